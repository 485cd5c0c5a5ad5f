"""Seeking in changes files: from any byte the next keyframe that can be trusted, and any change, without an index.

With ``SCOUTCORE_SEEK_MIB=1024 SCOUTCORE_SEEK_OFFSETS=10000`` the log of promise 9 has a GiB.
"""

from __future__ import annotations

import io
import os
import random
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import pytest

from scoutcore import changes, codec
from scoutcore.codec.columns import Change, ChangeColumns
from scoutcore.codec.constants import FRAME_BLOB
from scoutcore.errors import CorruptError, InvalidError, NotFoundError
from tests.test_changes import UUID, frames, write

MIB = int(os.environ.get("SCOUTCORE_SEEK_MIB", "5"))
OFFSETS = int(os.environ.get("SCOUTCORE_SEEK_OFFSETS", "200"))
MARKER = b"\x11\x02" + UUID


def value_of(number: int) -> bytes:
    """What change *number* of a generated log holds: some hundred bytes, sometimes far more than an interval."""
    seed = blake2b(number.to_bytes(8, "big")).digest()
    return seed * (1 + seed[0] % 40 if seed[1:3] != b"\0\0" else 3000)


def generate(directory: Path, size: int, file_bytes: int) -> int:
    """A log of *size* bytes or a little more; returns its last change."""
    position = changes.Position()
    writer = changes.Writer(directory, UUID, position, file_bytes=file_bytes)
    written = last = 0
    while written < size:
        batch = [Change("k", number, 0, 1, value_of(number), "sensor") for number in range(last + 1, last + 501)]
        data, _ = codec.encode_changes(ChangeColumns.from_objects(batch))
        writer.append(data, 500)
        last += 500
        written += len(data)
    writer.close()
    return last


class Counted(io.RawIOBase):
    """A file that counts what is read of it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.calls, self.count = file, 0, 0

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.file.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        piece = self.file.read(size)
        self.calls += 1
        self.count += len(piece)
        return piece


class Forward(io.RawIOBase):
    """A stream that cannot seek, in pieces."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self.file.read(min(size, 1000))


def layout(data: bytes) -> list[tuple[int, int, int]]:
    """Frame by frame: where each keyframe begins, where its check ends (-1: there is none), the change behind it."""
    found: list[tuple[int, int, int]] = []
    at = start = 0
    scanned = codec.scan_frames(data)
    assert scanned.consumed == len(data)
    number = 0
    for kind, end in zip(scanned.ids, scanned.ends, strict=True):
        if kind == FRAME_BLOB and data[at] == 0x11:
            start = at
            found.append((start, -1, number + 1))
        elif kind == FRAME_BLOB:
            found[-1] = (start, end, found[-1][2])
        else:
            number += 1
        at = end
    return found


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    directory = tmp_path_factory.mktemp("seek") / "log"
    last = generate(directory, MIB << 20, 1 << 60)
    return next(directory.glob("*")), last


def test_from_any_byte(big: tuple[Path, int]) -> None:
    """Promise 9, in one file: what is found, how much is read for it, and that reading from there gives the log."""
    path, last = big
    keyframes = layout(path.read_bytes())
    size = path.stat().st_size
    chance = random.Random(9)
    offsets = [chance.randrange(size) for _ in range(OFFSETS)]
    offsets += [start + near for start, _, _ in keyframes[-3:] for near in (-18, -1, 0, 1, 17, 18)]
    with path.open("rb", buffering=0) as raw:
        for offset in offsets:
            file = Counted(raw)
            found = changes.find_keyframe(file, UUID, offset)
            want = next(((start, end, first) for start, end, first in keyframes if start >= offset and end > 0), None)
            if want is None:
                assert found is None
                assert file.count <= size - offset
                continue
            assert found is not None
            assert (found.offset, found.end, found.first) == want
            assert file.count <= found.end - offset
            raw.seek(0)
            reader = changes.open(raw).seek(offset=offset)
            assert reader.start == changes.Start(str(path), *want[::2], True)
            for number, change in zip(range(found.first, found.last + 2), reader, strict=False):
                assert (change.change, change.value) == (number, value_of(number))
    assert keyframes[-1][1] == -1
    assert keyframes[-1][2] <= last


def test_to_any_change(big: tuple[Path, int]) -> None:
    path, last = big
    chance = random.Random(4)
    intervals = len(layout(path.read_bytes()))
    with path.open("rb", buffering=0) as raw:
        for number in [1, 2, last - 1, last, *(chance.randint(1, last) for _ in range(OFFSETS // 4))]:
            raw.seek(0)
            file = Counted(raw)
            reader = changes.open(file).seek(change=number)
            # a probe has two or three reads; a long frame among the last ones takes some more
            assert file.calls <= 3 * (intervals.bit_length() + 4) + 10
            found = next(iter(reader))
            assert (found.change, found.value) == (number, value_of(number))
            assert reader.start is not None
            assert reader.start.first <= number


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Three files, 1 to 9, 10 to 18, 19 to 26: intervals of three, and an open tail of two."""
    return write(tmp_path / "log", [(frames(1, [100] * 26), 26)], interval_bytes=300, file_bytes=900)


def files(log: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(log.glob("*"))]


def numbers(reader: changes.Reader) -> list[int]:
    return [change.change for change in reader]


def test_every_change_of_a_directory(log: Path) -> None:
    reader = changes.open(log)
    for number in range(1, 28):
        for _ in range(2):  # it reads from there each time
            assert numbers(reader.seek(change=number)) == list(range(number, 27))
        assert reader.start is not None
        assert reader.start.first == min(1 + (number - 1) // 3 * 3, 25)
        assert reader.start.checked == (number < 25)
        assert Path(reader.start.file).name == f"{(1, 10, 19)[min(number - 1, 25) // 9]:010d}.changes"
        frame = next(iter(reader.frames()))[0]
        assert frame.startswith(MARKER)
    assert reader.head_digest() == (whole := changes.open(log), numbers(whole))[0].head_digest()


def test_every_change_of_streams(log: Path) -> None:
    whole = b"".join(files(log))
    for number in range(1, 28):
        for stream in (io.BytesIO(whole), Forward(whole)):
            assert numbers(changes.open(stream).seek(change=number)) == list(range(number, 27))


def test_every_offset_of_a_directory_and_of_streams(log: Path) -> None:
    whole = b"".join(files(log))
    firsts = [
        (at, 3 * index + 1) for index, at in enumerate(i for i in range(len(whole)) if whole[i:].startswith(MARKER))
    ]
    for offset in range(len(whole) + 3):
        first = next((first for at, first in firsts[:-1] if at >= offset), None)
        for source in (log, io.BytesIO(whole), Forward(whole)):
            reader = changes.open(source)
            if first is None:
                with pytest.raises(NotFoundError, match=f"no check covers anything from byte {offset} on"):
                    reader.seek(offset=offset)
            else:
                assert numbers(reader.seek(offset=offset)) == list(range(first, 27))


def test_what_is_not_there(log: Path) -> None:
    with pytest.raises(NotFoundError, match=r"log: change 28 is not there: the last is 26"):
        changes.open(log).seek(change=28)
    with pytest.raises(InvalidError, match="seek either"):
        changes.open(log).seek()
    with pytest.raises(InvalidError, match="seek either"):
        changes.open(log).seek(change=1, offset=1)
    with pytest.raises(InvalidError, match="seek either"):
        changes.open(log).seek(change=0)
    read = changes.open(Forward(b"".join(files(log))))
    numbers(read)
    with pytest.raises(InvalidError, match="cannot seek"):
        read.seek(change=3)
    with pytest.raises(CorruptError, match="no keyframe at byte 0"):
        changes.open(io.BytesIO(b"x" * 99)).seek(change=3)


def test_files_dropped_from_the_front(log: Path) -> None:
    min(log.glob("*")).unlink()
    reader = changes.open(log)
    assert numbers(reader) == list(range(10, 27))
    assert numbers(reader.seek(change=20)) == list(range(20, 27))
    with pytest.raises(NotFoundError, match="change 9 is not there: the first is 10"):
        reader.seek(change=9)


def test_a_file_that_has_no_change_yet(log: Path) -> None:
    newest = max(log.glob("*"))
    for size in range(18, 118):
        os.truncate(newest, size) if size == 18 else newest.write_bytes(MARKER + frames(19, [100])[: size - 18])
        reader = changes.open(log).seek(change=19)
        assert reader.start == changes.Start(str(newest), 0, 19, False)
        with pytest.raises(NotFoundError, match="the last is 18"):
            reader.seek(change=20)


def test_damage_costs_an_interval_at_most(log: Path) -> None:
    """Any bit: what is behind the interval is still found, from anywhere, and what is before it."""
    whole = files(log)[0]
    keyframes = layout(whole)
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        file = io.BytesIO(bytes(damaged))
        hit = next(start for start, end, _ in keyframes if bit // 8 < end)
        found, offset = [], 0
        while keyframe := changes.find_keyframe(file, UUID, offset):
            found.append((keyframe.offset, keyframe.end, keyframe.first))
            offset = keyframe.end
        assert found == [one for one in keyframes if one[0] != hit]


def test_a_damaged_change_is_not_taken_for_one_that_is_missing(log: Path) -> None:
    path = sorted(log.glob("*"))[1]
    data = bytearray(path.read_bytes())
    data[500] ^= 1  # of 13, 14, 15
    path.write_bytes(data)
    assert numbers(changes.open(log).seek(change=16)) == list(range(16, 27))
    with pytest.raises(CorruptError, match=r"010.changes: change 14 is in bytes that match no check at byte 352"):
        changes.open(log).seek(change=14)


def test_a_frame_s_end_and_its_check_that_read_as_a_keyframe(tmp_path: Path) -> None:
    """A log may have a uuid such that data at the end of an interval and the check behind it hold its bytes."""
    uuid = bytes(15) + b"\x21"
    value = b"\x11\x02" + bytes(15)
    batch = [Change("k", number, 0, 1, bytes(20) + value, "sensor") for number in range(1, 31)]
    data, _ = codec.encode_changes(ChangeColumns.from_objects(batch))
    writer = changes.Writer(tmp_path, uuid, changes.Position(), interval_bytes=200)
    writer.append(data, 30)
    writer.close()
    (path,) = tmp_path.glob("*")
    whole = path.read_bytes()
    keyframes = layout(whole)
    assert whole.count(b"\x11\x02" + uuid) == 2 * len(keyframes) - 1
    for offset in range(len(whole)):
        found = changes.find_keyframe(io.BytesIO(whole), uuid, offset)
        want = next((start for start, end, _ in keyframes if start >= offset and end > 0), None)
        assert (found and found.offset) == want


def test_an_interval_without_a_change_is_none() -> None:
    data = MARKER
    check = b"\x21\x02" + bytes(16) + changes.digest_of(bytes(16), data).digest()
    assert changes.find_keyframe(io.BytesIO(data + check), UUID) is None
