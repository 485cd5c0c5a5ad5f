"""The worker that packs: when it begins, what stops it, and that it always gives the same files."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import scoutcore
from scoutcore import changes, packer
from scoutcore.database import Database
from scoutcore.errors import ClosedError, StorageError
from tests.database.child import run
from tests.database.compare import assert_shows
from tests.database.logs import content_of, files_of, packed_anew
from tests.faults.test_failed_write import break_next_write
from tests.waiting import wait_until

SMALL = {"interval_bytes": 1_000, "file_bytes": 5_000}


def unpacked(db: Database) -> int:
    return sum(log.head - log.packed for log in db.stats().logs)


def is_packed(db: Database) -> bool:
    assert db.packer
    return unpacked(db) == 0 and db.packer.stats().unpacked_bytes == 0


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that packs what is there at once, in steps of a few chunks, into small files."""
    monkeypatch.setattr(packer, "_ENOUGH_BYTES", 1_000)
    monkeypatch.setattr(packer, "_STEP_BYTES", 1_000)
    monkeypatch.setattr(packer, "_RUN_BYTES", 400)
    monkeypatch.setattr(packer, "_PATIENCE", 0.01)
    monkeypatch.setattr(packer, "_RETRY", 0.01)
    monkeypatch.setattr(packer, "Writer", partial(changes.Writer, **SMALL))


@pytest.fixture
def db(path: Path, eager: None) -> Iterator[Database]:
    with scoutcore.open(path) as db:
        db.troops.create(key="k" * 32)
        yield db


def fill(db: Database, seed: int, times: int = 30) -> None:
    chance = random.Random(seed)
    for number in range(times):
        if chance.random() < 0.2:
            db.scouts.update(1, number, name="n" * chance.randrange(500))
        else:
            db.ingest(
                [
                    {"troop": 1, "scout": number % 5, "report": "temp", "data": "x" * chance.randrange(200)}
                    for _ in range(chance.randrange(30))
                ]
            )


def test_it_packs_by_itself_and_gives_the_same_files(db: Database, path: Path, tmp_path: Path) -> None:
    fill(db, 1)
    wait_until(lambda: is_packed(db))
    fill(db, 2)
    wait_until(lambda: is_packed(db))
    assert db.pack() == 0
    assert len(files_of(path)) > 3
    assert files_of(path) == packed_anew(path, tmp_path / "again", **SMALL)
    assert_shows(db, content_of(db))


def test_a_little_waits_and_a_lot_does_not(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packer, "_ENOUGH_BYTES", 50_000)
    monkeypatch.setattr(packer, "_PATIENCE", 3600.0)
    with scoutcore.open(path) as db:
        db.troops.create(key="k" * 32)
        db.report(1, 1, "temp", 1)
        time.sleep(0.05)
        assert unpacked(db) == 2
        db.report(1, 1, "large", "x" * 50_000)
        wait_until(lambda: is_packed(db))
        db.report(1, 1, "temp", 2)
    monkeypatch.setattr(packer, "_PATIENCE", 0.05)
    with scoutcore.open(path) as db:  # what was left there last time comes next
        wait_until(lambda: is_packed(db))


def test_pause(db: Database, path: Path) -> None:
    assert db.packer
    with db.packer.pause():
        assert not db.packer.stats().running
        fill(db, 1)
        time.sleep(0.05)
        before = unpacked(db)
        assert before > 0
        assert db.stats().packer == db.packer.stats()
        with db.packer.pause():
            pass
        time.sleep(0.05)
        assert unpacked(db) == before
        assert db.pack() == before
        assert db.packer.stats().unpacked_bytes == 0
    assert db.packer.stats().running
    db.packer.pause()
    fill(db, 2)
    assert unpacked(db) > 0
    db.packer.resume()
    db.packer.resume()
    wait_until(lambda: is_packed(db))


@pytest.mark.parametrize("ending", ["paused", "closed"])
def test_no_step_begins_after_it_was(path: Path, eager: None, ending: str) -> None:
    """Who packs had just looked whether it may, and waits for the step under way."""
    with scoutcore.open(path, pack=False) as db:
        db.troops.create(key="k" * 32)
        assert db.packer
        worker = db.packer
        ends: list[Any] = []

        def pack() -> None:
            try:
                ends.append(worker._pack(worker._interrupted) if ending == "paused" else worker.pack())
            except ClosedError as problem:
                ends.append(str(problem))

        thread = threading.Thread(target=pack, daemon=True)
        with worker._lock:
            thread.start()
            time.sleep(0.1)
            worker._pauses, worker._closed = int(ending == "paused"), ending == "closed"
        thread.join(20)
        assert ends == [0 if ending == "paused" else "the database is closed"]
        assert not list((path / "changes").glob("*/*"))
        worker._pauses, worker._closed = 0, False
        assert db.pack() == 1


def test_whoever_logs_that_it_stopped_may_take_its_time(
    db: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    held, go_on = threading.Event(), threading.Event()

    def emit(record: Any) -> bool:
        held.set()
        return go_on.wait(20)

    monkeypatch.setattr(changes.Writer, "_flush", refuse(28))
    caplog.handler.addFilter(emit)
    try:
        fill(db, 1, 3)
        assert held.wait(20)
        reporting = threading.Thread(target=fill, args=[db, 2, 3], daemon=True)
        reporting.start()
        reporting.join(10)
        assert not reporting.is_alive()
    finally:
        go_on.set()
        caplog.handler.removeFilter(emit)


def test_what_is_logged_may_be_reported_while_it_is_closed(
    path: Path, eager: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    db = scoutcore.open(path)
    db.troops.create(key="k" * 32)
    begun = threading.Event()

    def emit(record: Any) -> bool:
        begun.set()
        time.sleep(0.1)
        with suppress(ClosedError):
            db.report(1, 1, "log", record.getMessage())
        return True

    monkeypatch.setattr(changes.Writer, "_flush", refuse(28))
    caplog.handler.addFilter(emit)
    try:
        fill(db, 1, 3)
        assert begun.wait(20)
        closing = threading.Thread(target=db.close, daemon=True)
        closing.start()
        closing.join(20)
        assert not closing.is_alive()
    finally:
        caplog.handler.removeFilter(emit)
    with scoutcore.open(path, pack=False) as db:
        assert db.last(1, 1, "log") is not None


def test_not_at_all(path: Path, eager: None) -> None:
    with scoutcore.open(path, pack=False) as db:
        db.troops.create(key="k" * 32)
        fill(db, 1)
        time.sleep(0.05)
        assert unpacked(db) == sum(log.head for log in db.stats().logs)
        found = db.stats().packer
        assert found
        assert not found.running
        assert found.unpacked_bytes > 0
        assert db.pack() == sum(log.head for log in db.stats().logs)


def refuse(number: int) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return call


def test_a_full_disk_is_told_and_gets_over(
    db: Database, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert db.packer
    fill(db, 1)
    wait_until(lambda: is_packed(db))
    with monkeypatch.context() as patch:
        patch.setattr(changes.Writer, "_flush", refuse(28))
        fill(db, 2)
        wait_until(lambda: db.packer.stats().problem is not None)  # type: ignore[union-attr]
        stopped = db.packer.stats()
        assert stopped.problem == f"cannot pack into {path / 'changes'}: No space left on device"
        assert abs(stopped.since - time.time() * 1e6) < 60e6  # type: ignore[operator]
        fill(db, 3)
        assert_shows(db, content_of(db))
        time.sleep(0.05)
        assert db.packer.stats().since == stopped.since
    wait_until(lambda: is_packed(db))
    assert db.packer.stats().problem is None
    assert [record.getMessage() for record in caplog.records] == [
        f"packing stopped, and is tried again every 0 s: {stopped.problem}"
    ]
    assert files_of(path) == packed_anew(path, tmp_path / "again", **SMALL)
    assert_shows(db, content_of(db))


@pytest.mark.parametrize("packed_before", [False, True])
def test_where_the_disk_is_full_it_takes_no_room(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed_before: bool
) -> None:
    """What it had written of a step is gone again, files that it had begun included."""
    monkeypatch.setattr(packer, "Writer", partial(changes.Writer, **SMALL))
    with scoutcore.open(path, pack=False) as db:
        db.troops.create(key="k" * 32)
        if packed_before:
            fill(db, 1)
            db.pack()
        before = files_of(path)
        fill(db, 2, 200)
        written = 0

        def writev(file: int, pieces: list[Any]) -> int:
            nonlocal written
            written += sum(map(len, pieces))
            if written > 20_000:
                refuse(28)()
            return os.write(file, b"".join(pieces))

        with monkeypatch.context() as patch:
            patch.setattr(os, "writev", writev)
            with pytest.raises(StorageError, match="No space left on device"):
                db.pack()
        assert written > SMALL["file_bytes"]
        assert files_of(path) == before
        db.pack()
        assert files_of(path) == packed_anew(path, tmp_path / "again", **SMALL)
        assert_shows(db, content_of(db))


@pytest.mark.parametrize("seed", range(4))
def test_leveldb_that_refuses_now_and_then(db: Database, path: Path, tmp_path: Path, seed: int) -> None:
    """Whosoever write it is, ingest's or the packer's, both go on, and nothing is lost."""
    chance = random.Random(seed)
    for number in range(40):
        if chance.random() < 0.4:
            break_next_write(db)
        with suppress(StorageError):
            fill(db, number, 2)
    wait_until(lambda: is_packed(db))
    assert_shows(db, content_of(db))
    assert files_of(path) == packed_anew(path, tmp_path / "again", **SMALL)


@pytest.mark.parametrize("came_through", [False, True])
def test_a_record_that_failed_may_have_come_through(
    path: Path, tmp_path: Path, eager: None, came_through: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scoutcore.open(path, pack=False) as db:
        db.troops.create(key="k" * 32)
        fill(db, 1)
        write = db._store.write

        def fail(puts: Any, sync: bool, packed: Any = ()) -> None:
            if came_through:
                write(puts, sync, packed)
            raise StorageError("who knows")

        with monkeypatch.context() as patch:
            patch.setattr(db._store, "write", fail)
            with pytest.raises(StorageError, match="who knows"):
                db.pack()
        fill(db, 2)
        db.pack()
        assert_shows(db, content_of(db))
        assert files_of(path) == packed_anew(path, tmp_path / "again", **SMALL)


def test_nothing_is_packed_over_a_gap(path: Path, eager: None) -> None:
    with scoutcore.open(path, pack=False) as db:
        db.troops.create(key="k" * 32)
        fill(db, 1)
        (log,) = db._logs.by_number
        _, gap, *_ = [key for _, _, key, _ in db._logs.chunks(log, 1)]
        db._store.write({gap: None}, sync=False)
        with pytest.raises(StorageError, match=f"log {db.id} has no change 2 to be packed"):
            db.pack()


def test_closing_does_not_wait_for_the_whole_backlog(path: Path, eager: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with scoutcore.open(path, pack=False) as db:
        db.troops.create(key="k" * 32)
        fill(db, 1)
    stepping = threading.Event()
    sync = changes.Writer.sync

    def slow(self: changes.Writer) -> None:
        stepping.set()
        time.sleep(0.2)
        sync(self)

    with monkeypatch.context() as patch:
        patch.setattr(changes.Writer, "sync", slow)
        with scoutcore.open(path) as db:
            assert stepping.wait(10)
    assert db.packer
    assert not db.packer._thread.is_alive()  # type: ignore[union-attr]
    with scoutcore.open(path, pack=False) as db:
        (log,) = db.stats().logs
        assert 0 < log.packed < log.head
        db.pack()
        assert_shows(db, content_of(db))


def test_a_file_system_that_really_is_full(path: Path) -> None:
    """RLIMIT_FSIZE stands for a full disk, for changes files only: LevelDB's are small here."""
    out = run(
        """
        import resource, signal, sys, time
        import scoutcore
        from scoutcore import packer
        from scoutcore.store import leveldb

        leveldb.WRITE_BUFFER_BYTES = 65_536
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        packer._ENOUGH_BYTES, packer._PATIENCE, packer._RETRY = 1_000, 0.01, 0.02
        with scoutcore.open(sys.argv[1]) as db:
            db.troops.create(key="k" * 32)
            resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
            number = 0
            while db.packer.stats().problem is None:
                db.report(1, number % 7, "temp", [number, "x" * 5000])
                number += 1
                assert number < 1000
                time.sleep(0.001)
            for _ in range(10):
                db.report(1, number % 7, "temp", [number, "y"])
                number += 1
            assert sum(1 for scout in range(7) for _ in db.history(1, scout, "temp")) == number
            print(db.stats().packer.problem)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            for _ in range(3000):
                found = db.stats()
                if found.packer.problem is None and found.logs[0].packed == found.logs[0].head:
                    break
                time.sleep(0.01)
            print(found.logs[0].packed - found.logs[0].head, found.packer.problem, number)
        """,
        path,
    )
    problem, end = out.splitlines()
    assert problem == f"cannot pack into {path / 'changes'}: File too large"
    assert end.startswith("0 None ")
    with scoutcore.open(path, pack=False) as db:
        assert db.recovered == []
        assert_shows(db, content_of(db))


def test_what_comes_during_a_pass_still_counts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where LevelDB's estimate of what was there before is far too low."""
    with scoutcore.open(path, pack=False) as db:
        db.troops.create(key="k" * 32)
        fill(db, 1)
        assert db.packer
        db.packer._stored = 1
        publish = db._store.publish

        def late() -> None:
            monkeypatch.undo()
            db.report(1, 1, "temp", "late")
            publish()

        monkeypatch.setattr(db._store, "publish", late)
        db.pack()
        assert unpacked(db) == 1
        assert db.packer.stats().unpacked_bytes > 0
        assert db.pack() == 1
        assert db.packer.stats().unpacked_bytes == 0
