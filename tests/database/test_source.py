"""A log read from any change on, from files and LevelDB, while it is packed: every change once, byte by byte."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from scoutcore import changes, codec, packer
from scoutcore.database import Database
from scoutcore.errors import CorruptError, NotFoundError
from scoutcore.log import Log
from scoutcore.source import Cursor
from scoutcore.store.leveldb import LevelDBStore

SMALL = {"interval_bytes": 1_000, "file_bytes": 5_000}
CHANGES = 301
Cursors = Callable[..., Cursor]


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packer, "Writer", partial(changes.Writer, **SMALL))


def fill(db: Database) -> Iterator[None]:
    """300 changes of both subsets behind the troop's first, in chunks of one, of many, and as long as a file."""
    for number in range(20):
        db.report(1, number, "temp", number)
        db.scouts.update(1, number, name=f"scout {number}")
        yield
        db.ingest([{"troop": 1, "scout": scout, "report": "temp", "data": "x" * 50} for scout in range(12)])
        yield
        db.report(1, 1, "long", "y" * (6_000 if number % 7 == 3 else 900))
        yield


def own(db: Database) -> Log:
    (log,) = db._logs.by_number
    return log


@pytest.fixture
def cursor() -> Iterator[Cursors]:
    """Makes cursors, and closes them."""
    with ExitStack() as made:

        def make(db: Database, after: int = 0) -> Cursor:
            found = Cursor(db._logs, own(db), db._directory.changes if db._directory else None, after)
            made.callback(found.close)
            return found

        yield make


def rest(source: Cursor, room: int = 1 << 30) -> bytes:
    """All that *source* still has to read."""
    read = b""
    while source.after < CHANGES:
        read += source.read(CHANGES, room)[0]
    return read


def frames_of(db: Database) -> list[bytes]:
    """Frame by frame what LevelDB has of the log."""
    data = b"".join(frames for _, _, _, frames in db._logs.chunks(own(db), 1))
    ends = codec.scan_frames(data).ends
    return [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def test_from_every_change_however_far_it_is_packed(disk: Database, cursor: Cursors) -> None:
    steps = fill(disk)
    expected: list[bytes] = []
    for packed in (0, 20, 15, 25):
        for _ in range(packed):
            next(steps)
        expected += frames_of(disk)[:]
        disk.pack()
    for _ in steps:
        pass
    expected += frames_of(disk)
    assert len(expected) == CHANGES
    assert len(list(disk._directory.changes.glob("*/*"))) > 3  # type: ignore[union-attr]
    for after in range(CHANGES):
        assert cursor(disk, after).read(CHANGES, 1) == (expected[after], after + 1)
        assert rest(cursor(disk, after)) == b"".join(expected[after:])
    for seed in range(30):
        chance = random.Random(seed)
        after = chance.randrange(CHANGES)
        source = cursor(disk, after)
        while source.after < CHANGES:
            upto, room = chance.randint(source.after, CHANGES), chance.choice([1, 100, 2_000, 20_000])
            data, last = source.read(upto, room)
            assert data == b"".join(expected[after:last])
            assert len(data) <= room or last == after + 1
            assert last > after or upto == after
            after = last
        assert source.read(CHANGES, 100) == (b"", CHANGES)
        source.close()


def test_in_memory(cursor: Cursors) -> None:
    from scoutcore.store.memory import MemoryStore

    with Database(MemoryStore()) as db:
        db.troops.create(key="k" * 32)
        for _ in fill(db):
            pass
        assert rest(cursor(db)) == b"".join(frames_of(db))


def test_a_cursor_that_lets_the_packer_pass_and_passes_it(disk: Database, cursor: Cursors) -> None:
    """One that reads from LevelDB, then from files that were written meanwhile, and so on."""
    near, far = cursor(disk), cursor(disk)
    expected: list[bytes] = []
    read = [b"", b""]
    for number, _ in enumerate(fill(disk)):
        if number % 3 == 0:
            expected += frames_of(disk)
            disk.pack()
        head = own(disk).head
        while near.after < head:
            read[0] += near.read(head, 1 << 30)[0]
        read[1] += far.read(head, 700)[0]
    expected += frames_of(disk)
    read[1] += rest(far, 700)
    assert near.after == CHANGES
    assert read == [b"".join(expected)] * 2


def test_the_packer_at_the_same_time(disk: Database, cursor: Cursors) -> None:
    done = threading.Event()
    problems: list[BaseException] = []

    def pack() -> None:
        try:
            while not done.is_set():
                disk.pack()
        except BaseException as problem:
            problems.append(problem)

    worker = threading.Thread(target=pack, daemon=True)
    worker.start()
    sources = [cursor(disk) for _ in range(3)]
    read = [b""] * 3
    try:
        for _ in fill(disk):
            head = own(disk).head
            for number, room in enumerate((1, 1_000, 1 << 30)):
                read[number] += sources[number].read(head, room)[0]
    finally:
        done.set()
        worker.join(60)
    assert not worker.is_alive()
    assert problems == []
    disk.pack()
    whole = rest(cursor(disk))
    assert [change.change for change in codec.decode_changes(whole, codec.scan_frames(whole)).to_objects()] == list(
        range(1, CHANGES + 1)
    )
    assert [data + rest(source, 5_000) for data, source in zip(read, sources, strict=True)] == [whole] * 3


def test_what_is_not_there_is_named(disk: Database, cursor: Cursors) -> None:
    for _ in fill(disk):
        pass
    disk.pack()
    first, second = sorted(disk._directory.changes.glob("*/*"))[:2]  # type: ignore[union-attr]
    begins = int(second.stem)
    first.unlink()
    with pytest.raises(NotFoundError, match=f"change 1 of log {disk.id} is not here"):
        cursor(disk).read(CHANGES, 1)
    assert cursor(disk, begins - 1).read(CHANGES, 1)[1] == begins
    second.unlink()
    with pytest.raises(NotFoundError, match=f"change {begins} of log {disk.id} is not here"):
        cursor(disk, begins - 1).read(CHANGES, 1)
    with pytest.raises(NotFoundError, match=f"change {CHANGES + 1} "):
        cursor(disk, CHANGES).read(CHANGES + 1, 1)


def damaged(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def test_damage_is_named_and_not_given_out(disk: Database, cursor: Cursors) -> None:
    for _ in fill(disk):
        pass
    expected = frames_of(disk)
    disk.pack()
    path = min(disk._directory.changes.glob("*/*"))  # type: ignore[union-attr]
    damaged(path, 1_500)  # in the second interval
    source = cursor(disk)
    read = source.read(CHANGES, 1_500)[0]
    with pytest.raises(CorruptError, match=f"{path}: the interval of change [0-9]+ does not match its check"):
        read += source.read(CHANGES, 1_500)[0]
    assert b"".join(expected).startswith(read)
    damaged(path, 1_500)
    read += rest(source, 1)
    assert read == b"".join(expected)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CorruptError, match="the end is in the middle of a frame"):
        rest(cursor(disk))


def test_damage_in_the_open_interval_is_not_given_out(disk: Database, cursor: Cursors) -> None:
    for _ in fill(disk):
        pass
    disk.pack()
    path = max(disk._directory.changes.glob("*/*"))  # type: ignore[union-attr]
    damaged(path, path.stat().st_size - 1)
    with pytest.raises(CorruptError, match=f"{path}: the interval of change [0-9]+ does not match its check"):
        cursor(disk, CHANGES - 1).read(CHANGES, 1_500)


def test_it_begins_near_the_change(disk: Database, cursor: Cursors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packer, "Writer", changes.Writer)
    for number in range(CHANGES - 1):
        disk.report(1, 1, "long", f"{number} " * 3_000)
    expected = frames_of(disk)
    disk.pack()
    pread, sizes = os.pread, []

    def counted(handle: int, size: int, offset: int) -> bytes:
        data = pread(handle, size, offset)
        sizes.append(len(data))
        return data

    monkeypatch.setattr(os, "pread", counted)
    for after in (0, 1, 100, CHANGES - 20, CHANGES - 1):
        assert cursor(disk, after).read(CHANGES, 1) == (expected[after], after + 1)
    assert rest(cursor(disk, 77)) == b"".join(expected[77:])
    sizes.clear()
    cursor(disk, CHANGES - 20).read(CHANGES, 1)
    assert sum(sizes) < sum(map(len, expected)) / 5


def test_what_is_gone_from_leveldb_is_known_to_be_packed(
    disk: Database, cursor: Cursors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the write that moves it is under way, for a reader that does not wait for its end."""
    for _ in fill(disk):
        pass
    expected = b"".join(frames_of(disk))
    found: list[bytes] = []
    real = LevelDBStore.write

    def write(self: LevelDBStore, puts: dict[bytes, Any], sync: bool) -> None:
        real(self, puts, sync)
        found.append(rest(cursor(disk)))

    with monkeypatch.context() as patch:
        patch.setattr(LevelDBStore, "write", write)
        disk.pack()
    assert found
    assert set(found) == {expected}
