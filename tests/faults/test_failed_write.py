"""A write that fails: a clear error, nothing acknowledged lost, and the same database goes on (promises 1 and 12)."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import plyvel
import pytest

import scoutcore
from scoutcore.database import Database
from scoutcore.errors import InvalidError, StorageError
from scoutcore.store.grouped import GroupedStore
from scoutcore.store.journal import JournaledStore
from scoutcore.store.leveldb import LevelDBStore
from scoutcore.watch import Synced
from tests.database import test_store
from tests.database.child import run
from tests.database.compare import assert_shows
from tests.database.logs import changes_of, content_of
from tests.waiting import wait_until


def break_next_write(db: Database) -> None:
    assert isinstance(db._store, JournaledStore)
    assert isinstance(db._store._store, GroupedStore)
    leveldb = db._store._store._store
    assert isinstance(leveldb, LevelDBStore)
    test_store.break_next_write(leveldb)


def test_a_report(disk: Database) -> None:
    disk.report(1, 1, "temp", 1)
    break_next_write(disk)
    with pytest.raises(StorageError, match="No space left on device"):
        disk.report(1, 1, "temp", 2)
    disk.report(1, 1, "temp", 3)
    assert [point.data for point in disk.history(1, 1, "temp")] == [1, 3]
    assert_shows(disk, content_of(disk))


def test_versions_go_on_where_they_stood(disk: Database, path: Path) -> None:
    """Of a row in our log, whether written one by one or in batches, after a failed write and after opening again."""

    def write(db: Database) -> None:
        db.report(1, 1, "temp", 1)
        db.ingest([{"troop": 1, "scout": scout, "report": "temp", "data": 2} for scout in (1, 2, 1)])
        db.report(1, 2, "temp", 3)

    write(disk)
    for lost in (lambda: disk.report(1, 1, "temp", 4), lambda: write(disk)):
        break_next_write(disk)
        with pytest.raises(StorageError):
            lost()
    write(disk)
    disk.close()
    with scoutcore.open(path) as again:
        write(again)
        versions: dict[str, int] = {}
        for change in changes_of(again, again._logs.own):
            if change.subset == "sensor":
                assert change.from_ == versions.get(change.key, 0)
                versions[change.key] = change.to
        assert sorted(versions.values()) == [6, 9]


def test_metadata_and_ids(disk: Database) -> None:
    break_next_write(disk)
    with pytest.raises(StorageError):
        disk.troops.create(name="lost", key="k" * 32)
    assert [troop.name for troop in disk.troops] == ["first"]
    assert disk.troops.create(name="second", key="k" * 32).id == 2
    break_next_write(disk)
    with pytest.raises(StorageError):
        disk.troops.delete(1)
    assert disk.troops.get(1).name == "first"
    break_next_write(disk)
    with pytest.raises(StorageError):
        disk.scouts.create(1, name="lost")
    assert disk.scouts.create(1, name="door").id == 1
    assert_shows(disk, content_of(disk))


def test_ingest_says_how_far_it_came(disk: Database) -> None:
    lines = b'{"troop":1,"scout":1,"report":"temp","data":1}\n' * 200_000
    seen = []

    def progress(result: scoutcore.IngestResult, size: int) -> None:
        seen.append(result.accepted)
        if len(seen) == 2:
            break_next_write(disk)

    with pytest.raises(StorageError):
        disk.ingest(lines, progress=progress)
    ((_, _, _, points, _),) = disk.counts()
    assert points == seen[-1] < 200_000


def test_watchers_hear_only_of_what_is_stored(disk: Database) -> None:
    with disk.watch() as watch:
        while watch.next(0) != Synced():
            pass
        break_next_write(disk)
        with pytest.raises(StorageError):
            disk.report(1, 1, "temp", 1)
        disk.report(1, 1, "temp", 2)
        event = watch.next(0)
        assert isinstance(event, scoutcore.Point)
        assert event.data == 2
        assert watch.next(0) is None


def test_those_who_share_the_commit_all_hear_of_it(disk: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store = disk._store
    write = store.write
    begun, waiting = threading.Event(), threading.Event()
    failures = []

    def report(number: int) -> None:
        try:
            disk.report(1, number, "temp", number)
        except StorageError as problem:
            failures.append((number, str(problem)))

    def slow(puts: Any, sync: bool, packed: Any = ()) -> None:
        monkeypatch.setattr(store, "write", fail)
        begun.set()
        waiting.wait(60)
        write(puts, sync, packed)

    def fail(puts: Any, sync: bool, packed: Any = ()) -> None:
        monkeypatch.setattr(store, "write", write)
        raise StorageError("the disk is gone")

    monkeypatch.setattr(store, "write", slow)
    threads = [threading.Thread(target=report, args=[number], daemon=True) for number in range(5)]
    threads[0].start()
    assert begun.wait(60), "the first is alone in its commit"
    for thread in threads[1:]:
        thread.start()
    wait_until(lambda: len(disk._queue) == 4)
    waiting.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert len(failures) == 4
    assert {text for _, text in failures} == {"the disk is gone"}
    stored = {scout for _, scout, *_ in disk.counts()}
    assert stored == set(range(5)) - {number for number, _ in failures}
    assert_shows(disk, content_of(disk))


def test_a_commit_that_is_interrupted(disk: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C may come behind the write: then it is there, and memory agrees."""
    write = disk._store.write

    def interrupted(puts: Any, sync: bool, packed: Any = ()) -> None:
        write(puts, sync, packed)
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(disk._store, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        disk.report(1, 1, "temp", 1)
    disk.report(1, 1, "temp", 2)
    assert [point.data for point in disk.history(1, 1, "temp")] == [1, 2]
    assert_shows(disk, content_of(disk))


def test_leveldb_refuses_to_open_again_for_a_while(disk: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.report(1, 1, "temp", 1)
    with monkeypatch.context() as patch:

        def refuse(*_: Any, **__: Any) -> None:
            raise plyvel.IOError("No space left on device")

        break_next_write(disk)
        patch.setattr("plyvel.DB", refuse)
        for _ in range(3):
            with pytest.raises(StorageError, match="No space left on device"):
                disk.report(1, 1, "temp", 2)
        with pytest.raises(StorageError, match="No space left on device"):
            disk.last(1, 1, "temp")
    disk.report(1, 1, "temp", 3)
    assert [point.data for point in disk.history(1, 1, "temp")] == [1, 3]
    assert_shows(disk, content_of(disk))


def test_a_file_system_that_really_is_full(path: Path) -> None:
    """RLIMIT_FSIZE stands for a full disk. What was acknowledged after the failure survives kill -9 as well."""
    out = run(
        """
        import os, resource, signal, sys
        import scoutcore
        from scoutcore.errors import StorageError

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        db = scoutcore.open(sys.argv[1])
        db.troops.create(key="k" * 32)
        acknowledged, failures = [], 0
        size = 100_000
        for number in range(400):
            if number in (100, 200):
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            try:
                db.report(1, 1, "temp", [number, "x" * 1000])
                acknowledged.append(number)
            except StorageError as problem:
                assert "File too large" in str(problem), problem
                failures += 1
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert [point.data[0] for point in db.history(1, 1, "temp")] == acknowledged
        print(failures, *acknowledged, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        path,
        returns=-signal.SIGKILL,
    )
    failures, *acknowledged = map(int, out.split())
    assert failures >= 2
    assert len(acknowledged) >= 390
    with scoutcore.open(path) as db:
        assert [point.data[0] for point in db.history(1, 1, "temp")] == acknowledged
        assert db.recovered == []
        assert_shows(db, content_of(db))


def test_a_peer_gets_what_is_there_where_the_record_of_the_log_cannot_be_put(disk: Database, tmp_path: Path) -> None:
    disk.report(1, 1, "temp", 1)
    own = disk._logs.own
    assert own is not None
    assert not disk._logs.recorded
    with scoutcore.open(tmp_path / "other", pack=False) as other, disk.serve("tcp://127.0.0.1:0") as server:
        break_next_write(disk)
        other.sync(server.addresses[0]).wait()
        assert not disk._logs.recorded
        assert other._logs.get(own.uuid).head == disk.stats().logs[0].head
        disk._record()
        assert disk._logs.recorded


def test_packing_that_fails(disk: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(50):
        disk.report(1, 1, "temp", number)
    for name, problem in (("fdatasync", "os.fdatasync"), ("write", "")):
        with monkeypatch.context() as patch:
            if name == "fdatasync":

                def refuse(_: int) -> None:
                    raise OSError(28, os.strerror(28))

                patch.setattr(problem, refuse)
            else:
                break_next_write(disk)
            with pytest.raises(StorageError, match="No space left"):
                disk.pack()
        disk.report(1, 1, "temp", -1)
        assert_shows(disk, content_of(disk))
    assert disk.pack() == 53
    assert disk.pack() == 0
    assert_shows(disk, content_of(disk))


def test_packing_into_a_place_that_is_taken(disk: Database, path: Path) -> None:
    (path / "changes").write_bytes(b"a file where the directory should be")
    with pytest.raises(StorageError, match="cannot pack into"):
        disk.pack()
    (path / "changes").unlink()
    assert disk.pack() == 1


def test_a_wrong_durability_leaves_nothing_open(path: Path) -> None:
    with pytest.raises(InvalidError, match="durability"):
        scoutcore.open(path, durability="none")  # type: ignore[arg-type]
    scoutcore.open(path).close()
