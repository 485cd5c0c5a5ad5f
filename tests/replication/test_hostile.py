"""Peers that mean no good, on real sockets: what they get is little, and good ones sync beside them.

How fast, and how much memory it takes, is measured by ``python -m bench.hostile``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

import scoutcore
from scoutcore.database import Database
from scoutcore.log import is_rest
from scoutcore.replication import door, link
from scoutcore.replication.door import Door
from scoutcore.replication.replica import PIECE_BYTES, replica_of
from scoutcore.replication.server import Server
from scoutcore.replication.session import Options, Session
from tests.database import child
from tests.replication import hostile
from tests.replication.wire import dump, new
from tests.waiting import wait_until

KEY = "k" * 32
PATIENCE = 60.0


@contextmanager
def beside(server: Server, kind: str, count: int = 3) -> Iterator[Callable[[], int]]:
    """So many of a kind, each again as soon as it is thrown out; calls tell how often they have connected."""
    host, port = server.addresses[0].removeprefix("tcp://").split(":")
    loop = asyncio.new_event_loop()
    times = 0

    def connected() -> None:
        nonlocal times
        times += 1

    async def crowd() -> None:
        await asyncio.gather(*(hostile.keep(host, int(port), hostile.KINDS[kind], connected) for _ in range(count)))

    task = loop.create_task(crowd())

    def run() -> None:
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)

    thread = Thread(target=run)
    thread.start()
    try:
        wait_until(lambda: times >= count)
        yield lambda: times
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(PATIENCE)
        loop.close()


def history(db: Database, uid: str, scout: int, report: str) -> list[tuple[int, bytes]]:
    """Times and data, of a troop by its uid: its id depends on which of the troops has come first."""
    ids = [troop.id for troop in db.troops if troop.uid == uid]
    return [(point.t, point.raw) for one in ids for point in db.history(one, scout, report)]


@pytest.mark.parametrize("kind", hostile.KINDS)
def test_good_peers_sync_beside_bad_ones(kind: str) -> None:
    with new() as db, new() as live, new() as late:
        uid = db.troops.create(key=KEY).uid
        db.ingest([{"troop": 1, "scout": n % 7, "report": "temp", "data": "x" * 5000, "t": n} for n in range(200)])
        with Server(db, ["tcp://127.0.0.1:0"], Options(live=True)) as server, beside(server, kind):
            with live.sync(server.addresses[0], live=True) as sync:
                sync.wait_synced(PATIENCE)
                for number in range(20):
                    db.report(1, 1, "live", number)
                wait_until(lambda: len(history(live, uid, 1, "live")) == 20)
            late.sync(server.addresses[0]).wait(PATIENCE)
            points = [history(one, uid, scout, "temp") for one in (db, late) for scout in range(7)]
            assert points[:7] == points[7:]
            assert sum(map(len, points)) == 400


def test_every_way_of_a_log_is_kept_whole() -> None:
    """Whoever gives it another history each time gets it split each time, and good peers have all of them."""
    with new() as db, new() as late:
        db.troops.create(key=KEY)
        hostile.forks.clear()
        with Server(db, ["tcp://127.0.0.1:0"], Options(live=True)) as server, beside(server, "forking", 1):
            wait_until(lambda: replica_of(db).splits >= 3)
        with Server(db, ["tcp://127.0.0.1:0"], Options(live=True)) as server:
            late.sync(server.addresses[0]).wait(PATIENCE)
        assert dump(late) == dump(db)
        rests = [log for log in db._logs.by_number if is_rest(log.uuid)]
        assert len(rests) >= 3
        readings = {point.data for troop in db.troops for point in db.history(troop.id, 1, "temp")}
        assert set(range(1, hostile.LONG + 1)) <= readings, "what had the name first is still there"


# --- what brings nothing new ------------------------------------------------------------------------------------------


def test_what_brings_nothing_new_costs_who_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes that are here already, and questions; not what is new."""
    ticks = iter(range(1000))
    monkeypatch.setattr(time, "thread_time", lambda: float(next(ticks)))
    monkeypatch.setattr(link, "_PIECE_SECONDS", 0.0)

    async def costs() -> list[float]:
        one = link.Link(replica_of(new()), Options(), initiator=False)
        data = hostile.MARKER + hostile.FORKED + b"".join(hostile.change_frame(n, "x" * 1000) for n in range(1, 20))
        long = hostile.change_frame(20, "x" * 100_000)
        parts = [long[:50], long[50:20_000], long[20_000:99_000], long[99_000:99_010], long[99_010:]]
        ask = hostile.words(hostile.Have(ask=hostile.At(hostile.FORKED.hex(), 7)))
        found = [one._receive_some(some) for some in (hostile.introduced(), data, data, ask, *parts)]
        assert not one.session.ended
        return found

    _, new_data, again, asked, begun, part, next_part, little, end = asyncio.run(costs())
    assert new_data < 0.1
    assert again == asked == begun == little == 1.0
    assert part == next_part == 0.0, "of a long frame it is not known yet what it brings"
    assert end == 0.0


def test_long_frames_come_in_long_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no piece before the last of a frame has brought anything new."""
    sizes: list[int] = []
    receive = Session.receive

    def noted(self: Session, data: bytes) -> None:
        sizes.append(len(data))
        receive(self, data)

    monkeypatch.setattr(Session, "receive", noted)
    with new() as db, new() as near:
        db.troops.create(key=KEY)
        for number in range(10):
            db.report(1, 1, "temp", "x" * 1_000_000 + str(number))
        with Server(near, ["tcp://127.0.0.1:0"], Options()) as server:
            db.sync(server.addresses[0]).wait(PATIENCE)
        assert dump(near) == dump(db)
    assert sum(sizes) > 10_000_000
    assert len(sizes) < 2_000


def test_who_says_nothing_new_is_heard_less(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def slept(seconds: float, *result: Any) -> Any:
        if seconds == 12345.0:
            pauses.append(seconds)
            await asyncio.Event().wait()
        return await sleep(seconds, *result)

    monkeypatch.setattr(link.asyncio, "sleep", slept)  # type: ignore[attr-defined]
    monkeypatch.setattr(link, "_FREE_SECONDS", 0.0)
    monkeypatch.setattr(link, "_IDLE_SHARE", 1e-12)
    monkeypatch.setattr(link, "_LONGEST_PAUSE", 12345.0)
    with new() as db:
        db.troops.create(key=KEY)
        db.report(1, 1, "temp", 1)
        with Server(db, ["tcp://127.0.0.1:0"], Options(live=True)) as server, beside(server, "asking", 1):
            wait_until(lambda: bool(pauses))
            assert server.peers == 1, "he is heard again later"


def test_of_a_crowd_that_says_nothing_new_one_is_heard_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only those who have had their part; who has just come, or brought something new, is heard at once."""
    monkeypatch.setattr(link, "_ALL_FREE_SECONDS", 1.0)
    heard: list[int] = []
    at_once = most = 0
    meeting = Barrier(2)

    def receive(self: link.Link, data: bytes) -> float:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        if not self._shared.idle.add(0.0):
            meeting.wait(PATIENCE)
        time.sleep(0.01)
        heard.append(data[0])
        at_once -= 1
        return 0.0

    monkeypatch.setattr(link.Link, "_receive_some", receive)

    async def crowd() -> None:
        nonlocal most
        links = [link.Link(replica_of(new()), Options(), initiator=False) for _ in range(6)]
        for one in links[:5]:
            one._taken = 0.5
        assert len({id(one._shared) for one in links}) == 1
        await asyncio.gather(*(one._hear(b"!") for one in links[:2]))  # together they take little
        links[0]._shared.idle.add(1000.0)
        most = 0
        heard.clear()
        await asyncio.gather(*(one._hear(bytes([number])) for number, one in enumerate(links[:5])))
        assert most == 1
        assert heard == [0, 1, 2, 3, 4]
        links[4]._fruitful = True
        async with links[0]._shared.lane:
            await links[4]._hear(b"\4")
            await links[5]._hear(b"\5")

    asyncio.run(crowd())


# --- who comes again and again ----------------------------------------------------------------------------------------


def test_those_from_where_one_was_thrown_out_come_one_after_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door, "_PAUSE", 0.001)
    monkeypatch.setattr(door, "_REMEMBERED", 0.01)
    came: list[str] = []

    async def enter(one: Door, host: str, name: str) -> None:
        await one.enter(host)
        came.append(name)

    async def run() -> None:
        one = Door()
        await enter(one, "bad", "before")
        one.thrown_out("bad")
        waiting = [asyncio.create_task(enter(one, "bad", name)) for name in ("1", "2", "gone", "3", "4")]
        await asyncio.sleep(0)
        waiting[2].cancel()
        await enter(one, "good", "another")
        await asyncio.gather(*waiting, return_exceptions=True)
        one.thrown_out("bad")
        while one._queues:
            await asyncio.sleep(0.001)
        await enter(one, "bad", "after")

    asyncio.run(asyncio.wait_for(run(), PATIENCE))
    assert came[:2] == ["before", "another"]
    assert [set(came[2:4]), set(came[4:6]), came[6:]] == [{"1", "4"}, {"2", "3"}, ["after"]]


def test_of_so_many_addresses_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_MAX_ADDRESSES", 3)

    async def run() -> int:
        one = Door()
        for number in range(10):
            one.thrown_out(str(number))
        return len(one._queues)

    assert asyncio.run(run()) == 3


def test_who_is_thrown_out_waits_at_the_door() -> None:
    with (
        new() as db,
        new() as other,
        Server(db, ["tcp://127.0.0.1:0"], Options(live=True)) as server,
        beside(server, "noise", 2) as connected,
    ):
        wait_until(lambda: connected() >= 6)
        assert list(server._door._queues) == ["127.0.0.1"]
        other.sync(server.addresses[0]).wait(PATIENCE)


# --- many of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("live", "woken"), [(True, True), (False, False)])
def test_only_who_has_something_to_say_of_it_is_woken_by_what_is_new(live: bool, woken: bool) -> None:
    wakes: list[bool] = []
    with new() as db:
        db.troops.create(key=KEY)
        session = Session(replica_of(db), Options(live=True), initiator=False, wake=lambda: wakes.append(True))
        db.report(1, 1, "temp", 1)
        assert not wakes, "a stranger"
        session.receive(hostile.introduced(live=live))
        session.output()
        wakes.clear()
        db.report(1, 1, "temp", 2)
        assert bool(wakes) is woken


@pytest.mark.parametrize("where", ["memory", "disk", "packed"])
def test_who_has_all_costs_nothing_that_was_read_for_him(where: str, tmp_path: Path) -> None:
    with new() if where == "memory" else scoutcore.open(tmp_path / "db.scout", pack=False) as db:
        db.troops.create(key=KEY)
        for _ in range(20):
            db.ingest([{"troop": 1, "scout": n, "report": "temp", "data": "x" * 1000, "t": n} for n in range(100)])
        if where == "packed":
            db.pack()
        session = Session(replica_of(db), Options(), initiator=False)
        session.receive(hostile.introduced(live=False))
        pieces = [session.output()]
        while session.more:
            pieces.append(session.output())
            for theirs in session._logs.values():
                assert theirs.cursor is None or len(theirs.cursor._frames) < 2 * PIECE_BYTES
        assert len(pieces) > 4
        assert max(map(len, pieces)) < 2 * PIECE_BYTES
        assert b"synced" in pieces[-1]
        cursors = [theirs.cursor for theirs in session._logs.values() if theirs.cursor]
        assert cursors
        assert all(cursor._frames == b"" for cursor in cursors)
        assert [cursor for cursor in cursors if cursor._files and cursor._files._file] == []
        session.stop()


FILES = """
import resource, sys
import scoutcore
from scoutcore.replication.replica import replica_of
from scoutcore.store.memory import MemoryStore

resource.setrlimit(resource.RLIMIT_NOFILE, (200, 3000))
with scoutcore.open(sys.argv[1]) as db, scoutcore.Database(MemoryStore()) as other:
    db.troops.create(key="k" * 32)
    for number in range(150):
        if number:
            replica_of(db).start_own()
        db.report(1, 1, "temp", number)
    db.pack()
    for hard in (3000, 400, 200):
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
        with db.serve("tcp://127.0.0.1:0") as server:
            print(server._max_peers, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
            if hard == 200:
                other.sync(server.addresses[0]).wait(60)
    print(len(list(other.history(1, 1, "temp"))))
"""


def test_files_are_left_for_the_database_itself(tmp_path: Path) -> None:
    """Neither the logs of a peer nor the number of peers take all that the process may open."""
    assert child.run(FILES, tmp_path / "db.scout").split() == ["1000", "2256", "72", "400", "1", "200", "150"]
