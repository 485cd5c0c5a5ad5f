"""Verifying changes files: whatever is wrong in them is found, named, and costs no more than it has to."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from scoutcore import changes, codec
from scoutcore.changes import Damage, Position, Verified, Verifier
from scoutcore.codec.constants import FRAME_CHANGE
from scoutcore.errors import NotFoundError
from tests.test_changes import UUID, content, frames, write

LIMITS = {"interval_bytes": 118, "file_bytes": 560}
SIZES = [50, 50, 100, 40, 21, 39, 300, 60, 60, 30, 70, 100, 100, 40]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Three files of 14 changes, in intervals of some 118 bytes; the last one has an open tail."""
    path = write(tmp_path / "log", [(frames(1, SIZES), len(SIZES))], **LIMITS)
    assert len(content(path)) == 3
    return path


def packed(sizes: list[int], tmp_path: Path, limits: dict[str, int] = LIMITS) -> Position:
    writer = changes.Writer(tmp_path / "again", UUID, Position(), **limits)
    writer.append(frames(1, sizes), len(sizes))
    writer.sync()
    writer.close()
    return writer.position


def verify(path: Path, position: Position | None = None) -> Verified:
    files = changes.files_of(path)
    return Verifier(files, uuid=UUID, packed=position, interval_bytes=LIMITS["interval_bytes"]).verify()


def lost(found: Verified, last: int = len(SIZES)) -> set[int]:
    """The changes that *found* says cannot be read."""
    return {
        number for one in found.damages if one.first is not None for number in range(one.first, (one.last or last) + 1)
    }


def intervals(path: Path) -> list[tuple[int, int]]:
    """First and last change of every interval, of the open tail too."""
    found, first = [], 1
    for file in changes.files_of(path):
        data = file.read_bytes()
        while data:
            walked = codec.walk_intervals(data, UUID, first, LIMITS["interval_bytes"])
            firsts = [first, *walked.nexts]
            found += [
                (begin, end - 1) for begin, end in zip(firsts, [*firsts[1:], walked.next], strict=True) if end > begin
            ]
            first, data = walked.next, b""
    return found


def test_all_is_well(log: Path, tmp_path: Path) -> None:
    position = packed(SIZES, tmp_path)
    for found in (verify(log), verify(log, position)):
        assert found.damages == []
        assert (found.log, found.first, found.last) == (UUID, 1, len(SIZES))
        assert found.size == sum(map(len, content(log).values()))
        assert found.head == position.head
        assert found.open_bytes == position.size - position.interval
        assert found.intervals == len(intervals(log)) - (found.open_bytes > 0)


def test_a_log_of_the_real_size(tmp_path: Path) -> None:
    chance = random.Random(1)
    sizes = [chance.choice([30, 500, 70_000]) for _ in range(400)]
    write(tmp_path / "log", [(frames(1, sizes), 400)], file_bytes=2_000_000)
    seen: list[int] = []
    found = changes.verify(tmp_path / "log", seen.append)
    assert found.damages == []
    assert (found.first, found.last, found.size) == (1, 400, sum(seen))
    (one, two, *_) = changes.files_of(tmp_path / "log")
    assert changes.verify(two).first == int(two.stem)
    renamed = one.rename(tmp_path / "renamed")
    assert changes.verify(renamed).damages == []
    assert changes.verify(renamed).last == int(two.stem) - 1
    with pytest.raises(NotFoundError, match="no changes files"):
        changes.verify(tmp_path)


def test_a_bit_flipped_anywhere_is_found_and_costs_one_interval(log: Path, tmp_path: Path) -> None:
    position = packed(SIZES, tmp_path)
    spans = intervals(log)
    for name, data in content(log).items():
        for at in range(len(data)):
            damaged = bytearray(data)
            damaged[at] ^= 1 << at % 8
            (log / name).write_bytes(damaged)
            found = verify(log, position)
            assert found.damages, (name, at)
            gone = lost(found)
            assert sum(bool(gone & set(range(first, last + 1))) for first, last in spans) <= 1, (
                name,
                at,
                found.damages,
            )
            assert {one.file for one in found.damages} == {str(log / name)}
            assert all(abs(one.offset - at) <= 400 for one in found.damages), (at, found.damages)
        (log / name).write_bytes(data)


def test_truncated_at_every_byte_only_what_follows_is_lost(tmp_path: Path) -> None:
    sizes = SIZES[:9]
    limits = {**LIMITS, "file_bytes": 100_000}
    (path,) = changes.files_of(write(tmp_path / "log", [(frames(1, sizes), 9)], **limits))
    position = packed(sizes, tmp_path, limits)
    data = path.read_bytes()
    scanned = codec.scan_frames(data)
    ends = [end for kind, end in zip(scanned.ids, scanned.ends, strict=True) if kind == FRAME_CHANGE]
    for size in range(len(data)):
        path.write_bytes(data[:size])
        whole = sum(end <= size for end in ends)
        found = verify(path.parent, position)
        assert found.damages
        assert lost(found, 9) == set(range(whole + 1, 10)), (size, found.damages)
        assert found.last == (whole or None)
    assert len(ends) == 9


def test_a_cut_that_no_record_tells_of(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scoutcore.changes.verifier._PATIENCE", 0)
    last = changes.files_of(log)[-1]
    data = last.read_bytes()
    last.write_bytes(data[:-1])
    (one,) = verify(log).damages
    assert (one.first, one.last, one.reason) == (14, None, "the end is in the middle of a frame")
    assert (
        str(one)
        == f"{last}, byte {one.offset}: the end is in the middle of a frame; what was from change 14 on cannot be read"
    )


@pytest.mark.parametrize("file", [0, 1, 2])
def test_a_file_that_is_gone(log: Path, tmp_path: Path, file: int) -> None:
    position = packed(SIZES, tmp_path)
    files = changes.files_of(log)
    firsts = [int(path.stem) for path in files] + [len(SIZES) + 1]
    files[file].unlink()
    found = verify(log, position)
    if file == 0:
        assert found.first == firsts[1]  # that it begins there, the database has to know
    else:
        assert lost(found) == set(range(firsts[file], firsts[file + 1]))


def test_what_is_whole_and_yet_wrong(log: Path, tmp_path: Path) -> None:
    one, two, three = changes.files_of(log)
    data = {path: path.read_bytes() for path in (one, two, three)}
    other = write(tmp_path / "other", [(frames(1, SIZES[::-1]), len(SIZES))], **LIMITS)

    def damages() -> list[Damage]:
        found = verify(log).damages
        for path, whole in data.items():
            path.write_bytes(whole)
        return found

    assert damages() == []
    one.write_bytes(b"")
    assert [damage.reason for damage in damages()] == ["it holds no change", f"it begins with change {int(two.stem)}"]
    # a file of another history: its digests are right, its chain is another
    two.write_bytes(data[two].replace(b"v", b"w"))
    assert "the interval does not match its check" in {damage.reason for damage in damages()}
    first = changes.files_of(other)[0].read_bytes()
    one.write_bytes(first)
    assert damages()
    # an interval that is there twice
    end = 18 + 50 + 50 + 34
    one.write_bytes(data[one][:end] + data[one])
    assert "change out of order" in {damage.reason for damage in damages()}
    # closed where the format does not close it
    short = write(tmp_path / "short", [(frames(1, SIZES), len(SIZES))], interval_bytes=60, file_bytes=560)
    assert {damage.reason for damage in verify(short).damages} >= {"interval not closed where it has to be"}
