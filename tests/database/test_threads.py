"""Threads and tasks that report at once: nothing lost, nothing twice, stamps strictly rising (promise 1)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import scoutcore
from scoutcore import aio, keys
from scoutcore.commit import Commit
from scoutcore.database import Database, _Entry
from scoutcore.errors import ClosedError, CorruptError, ExistsError
from scoutcore.watch import Synced
from tests.database.compare import assert_shows
from tests.database.logs import content_of
from tests.waiting import wait_until

THREADS = 10
REPORTS = 60


def at_once(work: Callable[[int], Any], count: int = THREADS) -> list[Any]:
    """Run *work* in so many threads, begun together; returns what each gave."""
    barrier = threading.Barrier(count)
    results: list[Any] = [None] * count
    problems: list[BaseException] = []

    def run(number: int) -> None:
        try:
            barrier.wait(30)
            results[number] = work(number)
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=run, args=[number], daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    if problems:
        raise problems[0]
    return results


def assert_all_there(db: Database, points: list[scoutcore.Point]) -> None:
    """Exactly *points* are stored, and their times, given by the database, are all different."""
    stored = [point for scout in {point.scout for point in points} for point in db.history(1, scout, "temp")]
    assert sorted(stored, key=lambda point: point.t) == sorted(points, key=lambda point: point.t)
    assert len({point.t for point in points}) == len(points)
    assert_shows(db, content_of(db))


@pytest.mark.parametrize("durability", ["process", "power"])
def test_threads_report(path: Path, durability: Any) -> None:
    with scoutcore.open(path, durability=durability) as db:
        db.troops.create()
        with db.watch() as watch:
            heard: list[scoutcore.Point] = []
            listener = threading.Thread(
                target=lambda: heard.extend(one for one in watch if not isinstance(one, Synced)), daemon=True
            )
            listener.start()

            def work(number: int) -> list[scoutcore.Point]:
                # All to one scout, and to one of their own.
                return [db.report(1, (0, number + 1)[n % 2], "temp", [number, n]) for n in range(REPORTS)]

            points = at_once(work)
            stamps = [[point.t for point in found] for found in points]
            assert all(found == sorted(set(found)) for found in stamps)
            everything = [point for found in points for point in found]
            assert_all_there(db, everything)
        listener.join(10)
        heard = [event for event in heard if isinstance(event, scoutcore.Point)]
        assert [point.t for point in heard] == sorted(point.t for point in everything)
    with scoutcore.open(path) as db:
        assert_all_there(db, everything)


def test_threads_do_everything_at_once(path: Path) -> None:
    with scoutcore.open(path) as db:
        db.troops.create()

        def work(number: int) -> Any:
            match number % 5:
                case 0:
                    return [db.troops.create(name=f"{number} {n}").id for n in range(20)]
                case 1:
                    return [db.scouts.create(1).id for _ in range(20)]
                case 2:
                    lines = b"".join(b'{"troop":1,"scout":9,"report":"l","data":%d}\n' % n for n in range(2000))
                    return db.ingest(lines).accepted
                case 3:
                    return [db.report(1, 8, "temp", n, boot=1, ms=n) for n in range(50)] and None
                case _:
                    for _ in range(10):
                        db.pack()
                        db.snapshot()
                        stamps = [point.t for point in db.history(1, 9, "l")]
                        assert stamps == sorted(set(stamps))
                    return None

        results = at_once(work)
        troops = sorted([1, *results[0], *results[5]])
        assert troops == list(range(1, 42))
        assert sorted(troop.id for troop in db.troops) == troops
        scouts = results[1] + results[6]
        assert len(set(scouts)) == 40
        assert results[2] == results[7] == 2000
        counts = {(scout, report): counted for troop, scout, report, *counted in db.counts()}
        assert counts == {(9, "l"): [4000, 4000], (8, "temp"): [50, 100]}
        content = content_of(db)
        assert_shows(db, content)
        stamps = sorted(one.t for ones in content.receptions.values() for one in ones)
        assert len(set(stamps)) == len(stamps)
    with scoutcore.open(path) as db:
        assert_shows(db, content)


def test_one_of_those_who_want_the_same_key_gets_it(db: Database) -> None:
    def work(_: int) -> int | None:
        try:
            return db.troops.create(key="k" * 32).id
        except ExistsError:
            return None

    found = at_once(work)
    assert sorted(filter(None, found)) == [2]
    assert [troop.id for troop in db.troops] == [1, 2]


def test_callers_share_commits(disk: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = []
    write = disk._store.write

    def slow(puts: Any, sync: bool, packed: Any = ()) -> None:
        commits.append(len(puts))
        threading.Event().wait(0.02)
        write(puts, sync, packed)

    monkeypatch.setattr(disk._store, "write", slow)
    at_once(lambda number: [disk.report(1, number, "temp", n) for n in range(10)])
    assert len(commits) < 40
    assert sum(points for *_, points, _ in disk.counts()) == 100


def test_ctrl_c_before_a_commit_begins_ends_no_other_caller(disk: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(entries: list[_Entry[Any]]) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    ends: list[BaseException] = []

    def report() -> None:
        try:
            disk.report(1, 1, "temp", 1)
        except BaseException as problem:
            ends.append(problem)

    monkeypatch.setattr(disk, "_commit", interrupted)
    threads = [threading.Thread(target=report, daemon=True) for _ in range(2)]
    with disk._commit_lock:
        for thread in threads:
            thread.start()
        wait_until(lambda: len(disk._queue) == 2)
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert [str(problem) or type(problem) for problem in ends] == [KeyboardInterrupt, "the commit was interrupted"]
    disk.report(1, 1, "temp", 2)
    assert [point.data for point in disk.history(1, 1, "temp")] == [2]


def test_closed_while_others_write_and_read(path: Path) -> None:
    """Everything acknowledged is there; everything else says that the database is closed."""
    db = scoutcore.open(path)
    db.troops.create()
    db.ingest({"troop": 1, "scout": 1, "report": "r", "data": n} for n in range(5000))
    acknowledged: list[int] = []

    def work(number: int) -> str:
        if number == 0:
            threading.Event().wait(0.1)
            db.close()
            return ""
        try:
            for n in range(10**9):
                if number % 3 == 0:
                    acknowledged.append(db.report(1, number, "temp", n).t)
                elif number % 3 == 1:
                    assert db.last(1, 1, "r") is not None
                    sum(1 for _ in db.history(1, 1, "r"))
                else:
                    db.snapshot(1)
                    db.pack()
        except ClosedError as problem:
            return str(problem)
        return "never"

    assert set(at_once(work)[1:]) == {"the database is closed"}
    with scoutcore.open(path) as db:
        stored = [point.t for number in (3, 6, 9) for point in db.history(1, number, "temp")]
        assert sorted(stored) == sorted(acknowledged)


def test_tasks_report(path: Path) -> None:
    async def main() -> list[scoutcore.Point]:
        async with await aio.open(path) as db:
            await db.run(db.database.troops.create)

            async def one(number: int) -> list[scoutcore.Point]:
                return [await db.report(1, number % 3, "temp", [number, n]) for n in range(20)]

            found = await asyncio.gather(*map(one, range(20)))
            points = [point for points in found for point in points]
            await db.run(assert_all_there, db.database, points)
            return points

    points = asyncio.run(main())
    assert len(points) == 400
    with scoutcore.open(path) as db:
        assert_all_there(db, points)


def test_what_fails_halfway_fails_alone(db: Database) -> None:
    """Of a commit that several share, what was half done goes, and the others' is stored."""

    def broken(commit: Commit) -> None:
        commit.put(keys.META + b"half", b"done")
        raise CorruptError("damaged", 7)

    entries = [
        _Entry(lambda commit: commit.put(keys.META + b"first", b"1")),
        _Entry(broken),
        _Entry(lambda commit: commit.put(keys.META + b"last", b"3")),
    ]
    with db._commit_lock:
        db._commit(entries)
    assert [type(entry.error) for entry in entries] == [type(None), CorruptError, type(None)]
    assert all(entry.done for entry in entries)
    found = [db._store.get(keys.META + name) for name in (b"first", b"half", b"last")]
    assert found == [b"1", None, b"3"]
