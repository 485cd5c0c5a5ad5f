"""Changes files: written in any number of steps they are the same bytes; read, every interval and number is checked."""

from __future__ import annotations

import io
import random
from hashlib import blake2b
from pathlib import Path

import pytest

from scoutcore import changes, codec
from scoutcore.codec.columns import Change, ChangeColumns
from scoutcore.errors import CorruptError, NotFoundError, TruncatedError

UUID = bytes(range(16))
OTHER = bytes(range(16, 32))


def frames(first: int, sizes: list[int]) -> bytes:
    """A frame of every size, from change *first* on."""
    out = b""
    for number, size in enumerate(sizes, first):
        value = b"v" * size
        while True:
            frame, _ = codec.encode_changes(ChangeColumns.from_objects([Change("k", number, 0, 1, value, "sensor")]))
            if len(frame) <= size:
                break
            value = value[: len(value) - (len(frame) - size)]
        assert len(frame) == size
        out += frame
    return out


def write(directory: Path, steps: list[tuple[bytes, int]], reopen: bool = False, **limits: int) -> Path:
    position = changes.Position()
    writer = changes.Writer(directory, UUID, position, **limits)
    for data, count in steps:
        writer.append(data, count)
        if reopen:
            writer.sync()
            writer.close()
            writer = changes.Writer(directory, UUID, changes.Position.load(position.dump()), **limits)
            position = writer.position
    writer.sync()
    writer.close()
    return directory


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.glob("*"))}


def digest(*parts: bytes) -> bytes:
    return blake2b(b"".join(parts), digest_size=16).digest()


def test_the_layout_byte_by_byte(tmp_path: Path) -> None:
    one, two, three = frames(1, [60]), frames(2, [22]), frames(3, [40])
    files = content(write(tmp_path / "log", [(one + two + three, 3)], interval_bytes=100, file_bytes=1000))
    keyframe = b"\x11\x02" + UUID
    first = keyframe + one + two
    assert len(first) == 100
    check = b"\x21\x02" + bytes(16) + digest(bytes(16), first)
    assert files == {"0000000001.changes": first + check + keyframe + three}


@pytest.mark.parametrize(("size", "closed"), [(65_535, False), (65_536, True), (65_537, True)])
def test_an_interval_closes_at_its_limit(tmp_path: Path, size: int, closed: bool) -> None:
    (data,) = content(write(tmp_path / "log", [(frames(1, [size - 18]), 1)])).values()
    assert len(data) == size + (34 if closed else 0)
    assert (b"\x21\x02" in data[size:]) == closed


def test_a_frame_longer_than_an_interval(tmp_path: Path) -> None:
    (data,) = content(write(tmp_path / "log", [(frames(1, [200_000, 30]), 2)])).values()
    assert data[18 + 200_000 :][:2] == b"\x21\x02"
    assert data[18 + 200_000 + 34 :][:18] == b"\x11\x02" + UUID


def test_the_roll_to_the_next_file(tmp_path: Path) -> None:
    interval = 18 + 100 + 34
    sizes = [100] * 7
    files = content(write(tmp_path / "log", [(frames(1, sizes), 7)], interval_bytes=118, file_bytes=3 * interval))
    assert list(files) == ["0000000001.changes", "0000000004.changes", "0000000007.changes"]
    assert [len(data) for data in files.values()] == [3 * interval, 3 * interval, interval]
    assert all(data.startswith(b"\x11\x02" + UUID) for data in files.values())
    again = content(
        write(tmp_path / "one less", [(frames(1, sizes), 7)], interval_bytes=118, file_bytes=3 * interval + 1)
    )
    assert list(again) == ["0000000001.changes", "0000000005.changes"]


@pytest.mark.parametrize("seed", range(20))
def test_any_steps_give_the_same_bytes(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    sizes = [chance.choice([21, 60, 99, 100, 101, 500]) for _ in range(60)]
    limits = {"interval_bytes": chance.choice([118, 300]), "file_bytes": chance.choice([500, 2000])}
    whole = content(write(tmp_path / "whole", [(frames(1, sizes), 60)], **limits))
    steps, first = [], 1
    while first <= 60:
        count = min(chance.randint(1, 9), 61 - first)
        steps.append((frames(first, sizes[first - 1 : first - 1 + count]), count))
        first += count
    assert content(write(tmp_path / "steps", steps, reopen=True, **limits)) == whole
    read = list(changes.open(tmp_path / "whole"))
    assert [change.change for change in read] == list(range(1, 61))


def test_bytes_behind_the_position_are_cut_off(tmp_path: Path) -> None:
    directory = write(tmp_path / "log", [(frames(1, [50]), 1)])
    (path,) = directory.glob("*")
    head = changes.digest_of(bytes(16), path.read_bytes()).digest()
    position = changes.Position(1, 1, path.stat().st_size, 0, head=head)
    with path.open("ab") as file:
        file.write(b"torn")
    writer = changes.Writer(directory, UUID, position)
    writer.append(frames(2, [50]), 1)
    writer.close()
    assert content(directory) == content(write(tmp_path / "whole", [(frames(1, [50, 50]), 2)]))
    with pytest.raises(CorruptError, match="ends before what was packed"):
        changes.Writer(directory, UUID, changes.Position(3, 1, 10_000, 0))


def test_nothing_is_written_behind_an_open_interval_that_is_damaged(tmp_path: Path) -> None:
    directory = write(tmp_path / "log", [(frames(1, [50]), 1)])
    (path,) = directory.glob("*")
    head = changes.digest_of(bytes(16), path.read_bytes()).digest()
    position = changes.Position(1, 1, path.stat().st_size, 0, head=head)
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(CorruptError, match="the open interval is not what was packed at byte 0"):
        changes.Writer(directory, UUID, position)
    assert path.read_bytes() == damaged


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(tmp_path / "log", [(frames(1, [100] * 10), 10)], interval_bytes=300, file_bytes=900)


def test_heads(log: Path) -> None:
    reader = changes.open(log)
    assert sum(1 for _ in reader) == reader.last == 10
    assert reader.uuid == UUID
    assert reader.unchecked == 18 + 100
    newest = max(log.glob("*")).read_bytes()
    previous = sorted(log.glob("*"))[-2].read_bytes()[-16:]
    assert reader.head_digest() == digest(previous, newest)


def test_a_later_file_alone(log: Path) -> None:
    reader = changes.open(sorted(log.glob("*"))[1])
    assert [change.change for change in reader] == [10]


def test_several_logs_in_one_stream(log: Path) -> None:
    one = b"".join(path.read_bytes() for path in sorted(log.glob("*")))
    other = b"\x11\x02" + OTHER + frames(1, [50, 50])
    reader = changes.open(io.BytesIO(one + other + one))
    seen = [(reader.uuid, columns.change[0], columns.change[-1]) for columns in reader.columns()]
    assert seen == [(UUID, 1, 10), (OTHER, 1, 2), (UUID, 1, 10)]


def test_truncation_loses_only_what_follows(log: Path) -> None:
    whole = min(log.glob("*")).read_bytes()
    everything = list(changes.open(io.BytesIO(whole)))
    for cut in range(len(whole)):
        seen = []
        reader = changes.open(io.BytesIO(whole[:cut]))
        try:
            seen.extend(reader)
        except TruncatedError as problem:
            assert problem.offset <= cut  # noqa: PT017
            with pytest.raises(TruncatedError):
                list(changes.open(io.BytesIO(whole[:cut])))
            seen = list(changes.open(io.BytesIO(whole[: problem.offset])))
        assert seen == everything[: len(seen)]
        assert len(everything) - len(seen) <= 1 + (len(whole) - cut) // 100


def test_every_flipped_bit_of_a_checked_interval_is_found(log: Path) -> None:
    whole = min(log.glob("*")).read_bytes()
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises((CorruptError, TruncatedError), match="at byte"):
            list(changes.open(io.BytesIO(bytes(damaged))))


def test_numbers_out_of_order(tmp_path: Path) -> None:
    data = b"\x11\x02" + UUID + frames(1, [50]) + frames(3, [50])
    with pytest.raises(CorruptError, match="change 3 follows change 1 at byte 68"):
        list(changes.open(io.BytesIO(data)))
    with pytest.raises(CorruptError, match="neither keyframe nor check"):
        list(changes.open(io.BytesIO(data[:68] + b"\x90\x00\x02" + b"x" * 15)))
    with pytest.raises(CorruptError, match="frames outside an interval"):
        list(changes.open(io.BytesIO(frames(1, [50]))))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no changes files"):
        changes.open(tmp_path)
