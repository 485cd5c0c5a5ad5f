"""Watching: what holds now, a marker, then what happens; whoever is too slow learns it, and nobody waits for him."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

import scoutcore
from scoutcore import Point, Scout, Troop, watch
from scoutcore.database import Database
from scoutcore.errors import ClosedError, InvalidError, LaggedError, NotFoundError, StorageError
from scoutcore.watch import Event, Synced, Watch
from tests.faults.test_failed_write import break_next_write
from tests.waiting import wait_until


def plain(event: Event) -> Any:
    match event:
        case Point():
            return event.troop, event.scout, event.report, event.data
        case Scout():
            return event.troop, event.id, event.fields, event.deleted
        case Troop():
            return event.id, event.fields, event.deleted
    return event


def now(watch: Watch) -> list[Any]:
    """All events that are there, without waiting."""
    found = []
    while (event := watch.next(0)) is not None:
        found.append(plain(event))
    return found


@pytest.fixture
def filled(db: Database) -> Database:
    db.troops.create(name="second")
    db.scouts.update(1, 7, name="door")
    for troop, scout, report, data in ((1, 7, "temp", 1), (1, 7, "temp", 2), (1, 8, "hum", 3), (2, 7, "temp", 4)):
        db.report(troop, scout, report, data)
    return db


FIRST = (1, {"name": "first"}, False)
DOOR = (1, 7, {"name": "door"}, False)


@pytest.mark.parametrize(
    ("troop", "scout", "current", "live"),
    [
        (
            None,
            None,
            [FIRST, DOOR, (1, 7, "temp", 2), (1, 8, "hum", 3), (2, {"name": "second"}, False), (2, 7, "temp", 4)],
            ["1/7", "1/8", "1/9", "2/7", "troop 1", "scout 7", "troop 3"],
        ),
        (
            1,
            None,
            [FIRST, DOOR, (1, 7, "temp", 2), (1, 8, "hum", 3)],
            ["1/7", "1/8", "1/9", "troop 1", "scout 7"],
        ),
        (1, 7, [DOOR, (1, 7, "temp", 2)], ["1/7", "troop 1", "scout 7"]),
        (1, 99, [], ["troop 1"]),
    ],
)
def test_current_values_then_live(
    filled: Database, troop: int | None, scout: int | None, current: list[Any], live: list[str]
) -> None:
    with filled.watch(troop, scout) as watch:
        filled.report(1, 7, "temp", "1/7")
        assert now(watch) == [*current, Synced(), (1, 7, "temp", "1/7")][: None if "1/7" in live else -1]
        filled.ingest(
            {"troop": troop, "scout": scout, "report": "r", "data": f"{troop}/{scout}"}
            for troop, scout in ((1, 8), (2, 7), (1, 9))
        )
        filled.troops.update(1, name="troop 1")
        filled.scouts.update(1, 7, name="scout 7")
        filled.troops.create(name="troop 3")
        happened = [event[-1] if isinstance(event[-1], str) else event[-2]["name"] for event in now(watch)]
        assert sorted(happened) == sorted(name for name in live if name != "1/7")


def test_what_is_watched_has_to_be_there(db: Database) -> None:
    with pytest.raises(NotFoundError):
        db.watch(2)
    with pytest.raises(InvalidError):
        db.watch(scout=1)
    with pytest.raises(InvalidError):
        db.watch(1, -1)


def test_deleted_and_back(filled: Database) -> None:
    with filled.watch() as watch:
        now(watch)
        filled.scouts.delete(1, 7)
        assert now(watch) == [(1, 7, {"name": "door"}, True)]
        filled.report(1, 7, "temp", "hidden")
        filled.report(1, 8, "hum", "seen")
        assert now(watch) == [(1, 8, "hum", "seen")]
        assert list(filled.snapshot(1).scouts) == [8]
        filled.scouts.update(1, 7, back=True)
        assert now(watch) == [(1, 7, {"name": "door", "back": True}, False), (1, 7, "temp", "hidden")]
        assert list(filled.snapshot(1).scouts) == [7, 8]

        filled.troops.delete(1)
        assert now(watch) == [(*FIRST[:2], True)]
        filled.report(1, 8, "hum", "hidden too")
        filled.scouts.update(1, 8, name="unseen")
        filled.scouts.create(1)
        filled.scouts.delete(1, 7)
        assert now(watch) == []
        with pytest.raises(NotFoundError):
            filled.snapshot(1)
        with filled.watch(1) as other:
            assert now(other) == [Synced()]
        filled.troops.update(1)
        assert now(watch) == [FIRST, (1, 1, {}, False), (1, 8, {"name": "unseen"}, False), (1, 8, "hum", "hidden too")]
        assert list(filled.snapshot(1).scouts) == [1, 8]


def test_back_while_the_store_cannot_be_read(disk: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.troops.delete(1)
    with disk.watch() as watch:
        now(watch)

        def refuse(*_: Any, **__: Any) -> Any:
            raise StorageError("unreadable")

        with monkeypatch.context() as patch:
            patch.setattr(disk, "_current", refuse)
            assert not disk.troops.update(1, name="back").deleted
        with pytest.raises(LaggedError):
            now(watch)
    assert disk.troops.get(1).name == "back"


def test_current_values_that_cannot_be_read(disk: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever goes on after the error must not take the rest for all there was."""
    disk.ingest({"troop": 1, "scout": n, "report": "r", "data": n} for n in range(100))
    disk._store.compact(b"\1", b"\xff")  # nothing is in the journal, which has it in memory
    with disk.watch() as watched:
        watched.next()
        break_next_write(disk)
        with pytest.raises(StorageError):
            disk.troops.update(1, name="lost")
        with pytest.raises(StorageError, match="read again"):
            now(watched)
        with pytest.raises(LaggedError):
            now(watched)


def test_a_slow_watcher_learns_that_it_lagged(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MAX_EVENTS", 10)
    with db.watch() as slow, db.watch() as quick:
        now(quick)
        for number in range(30):
            db.report(1, 1, "temp", number)
            assert now(quick) == [(1, 1, "temp", number)]
        assert slow.next() == db.troops.get(1)
        assert slow.next() == Synced()
        for _ in range(2):
            with pytest.raises(LaggedError, match="watch again"):
                slow.next()
        with db.watch() as again:
            assert now(again)[-2:] == [(1, 1, "temp", 29), Synced()]


def test_one_large_commit_is_no_lag(db: Database) -> None:
    """A watcher that has read everything before does not lag because of one commit."""
    count = watch.MAX_EVENTS + 1000
    with db.watch() as watched:
        now(watched)
        db.ingest(b'{"troop":1,"scout":1,"report":"r","data":1}\n' * count, strict=True)
        assert len(now(watched)) == count
        db.report(1, 1, "r", 2)
        assert now(watched) == [(1, 1, "r", 2)]


def test_a_watcher_that_does_not_read_never_blocks_the_writer(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MAX_EVENTS", 6_000)
    with db.watch() as idle:
        for _ in range(10):
            db.ingest(b'{"troop":1,"scout":1,"report":"r","data":1}\n' * 1_000)
            assert len(idle._events) < 6_000 + 1_000
        with pytest.raises(LaggedError):
            now(idle)


def test_waiting(db: Database) -> None:
    with db.watch() as watched:
        now(watched)
        begin = time.monotonic()
        assert watched.next(0.05) is None
        assert time.monotonic() - begin >= 0.05
        threading.Timer(0.05, db.report, (1, 1, "temp", "late")).start()
        assert plain(watched.next(20) or Synced()) == (1, 1, "temp", "late")


@pytest.mark.parametrize("ends", ["the watch", "the database"])
def test_the_end(path: Path, ends: str) -> None:
    with scoutcore.open(path) as db:
        db.troops.create()
        db.ingest({"troop": 1, "scout": n, "report": "r", "data": n} for n in range(100))
        watched, half_read = db.watch(), db.watch()
        half_read.next()
        seen: list[Any] = []
        reader = threading.Thread(target=lambda: seen.extend(watched), daemon=True)
        reader.start()
        wait_until(lambda: Synced() in seen)
        db.report(1, 1, "r", "last")
        for closed in (watched, half_read) if ends == "the watch" else (db,):
            closed.close()
        reader.join(10)
        assert not reader.is_alive()
        assert [plain(event) for event in seen[-2:]] == [Synced(), (1, 1, "r", "last")]
        assert watched.next() is None
        assert (Synced() in list(half_read)) == (ends == "the watch")
        if ends == "the watch":
            db.report(1, 1, "r", "unseen")
            assert not db._hub.watchers


def test_a_closed_database_is_not_watched(db: Database) -> None:
    db.close()
    with pytest.raises(ClosedError):
        db.watch()


def test_the_values_are_of_one_moment(disk: Database) -> None:
    """Whatever is reported while the current values are read comes behind the marker, and once."""
    for scout in range(50):
        disk.report(1, scout, "n", 0)
    with disk.watch() as watched:
        first = watched.next()
        disk.ingest({"troop": 1, "scout": scout, "report": "n", "data": 1} for scout in range(50))
        events = [plain(event) for event in (first or Synced(),)] + now(watched)
    marker = events.index(Synced())
    assert [event[-1] for event in events[1:marker]] == [0] * 50
    assert [event[-1] for event in events[marker + 1 :]] == [1] * 50


def test_threads_that_share_a_watch(db: Database) -> None:
    shared = db.watch(1)
    assert now(shared)[-1] == Synced()
    taken: list[list[Any]] = [[], [], []]
    threads = [threading.Thread(target=lambda mine=mine: mine.extend(map(plain, shared))) for mine in taken]
    for thread in threads:
        thread.start()
    for number in range(300):
        db.report(1, 7, "temp", number)
    wait_until(lambda: sum(map(len, taken)) == 300)
    shared.close()
    for thread in threads:
        thread.join()
    assert sorted(event[3] for mine in taken for event in mine) == list(range(300))
    assert all(mine == sorted(mine) for mine in taken)


def test_watchers_of_the_same_and_of_others(db: Database) -> None:
    watches = [db.watch(1, 7), db.watch(1, 7), db.watch(1, 8), db.watch(1), db.watch()]
    for one in watches:
        assert now(one)[-1] == Synced()
    db.report(1, 7, "temp", 1)
    db.report(1, 8, "temp", 2)
    assert [[event[3] for event in now(one)] for one in watches] == [[1], [1], [2], [1, 2], [1, 2]]
