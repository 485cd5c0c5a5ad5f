"""What a peer may cost, and what it cannot do: memory, disk, time, our own log."""

from __future__ import annotations

import os
import secrets
import socket
import time
import tracemalloc
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path
from threading import Thread

import pytest

import scoutcore
from scoutcore import codec
from scoutcore.changes.position import MARKER
from scoutcore.codec.columns import Change, ChangeColumns
from scoutcore.codec.constants import MAX_FRAME
from scoutcore.database import Database
from scoutcore.replication import messages
from scoutcore.replication.link import BUFFER_BYTES, Timing
from scoutcore.replication.messages import Have, Head, Hello
from scoutcore.replication.replica import MIB, Limits, replica_of
from scoutcore.replication.server import Server
from scoutcore.replication.session import Ended, InSync, Options, Session
from tests.replication.wire import Wire, dump, logs, new, sync
from tests.waiting import wait_until

KEY = "k" * 32
PATIENCE = 60.0


def mesh(count: int) -> Database:
    """A database that knows of *count* logs with a troop and a reading each."""
    db = new()
    for number in range(count):
        one = new()
        one.troops.create(key=f"{number:032}")
        one.report(1, 1, "temp", number)
        sync(one, db)
    return db


def opened(db: Database, **options: object) -> Session:
    """A session with a peer that has introduced itself and said that it has other things; what follows is up to it."""
    session = Session(replica_of(db), Options(**options), initiator=False)  # type: ignore[arg-type]
    session.receive(messages.encode(Hello((1, 1), secrets.token_hex(32), live=True)))
    session.receive(messages.encode(Have(own="ab" * 16, digest="00" * 16)))
    return session


def changes(log: bytes, first: int, values: list[int], uid: str) -> bytes:
    """A stream of changes, a reading each, as its writer makes them."""
    db = new()
    db.troops.create(key=KEY)
    for value in values:
        db.report(1, 1, "temp", value)
    frames = [frames for _, _, _, frames in db._logs.chunks(db._logs.by_number[0], 2)]
    columns = codec.decode_changes(b"".join(frames), codec.scan_frames(b"".join(frames)))
    found = [
        Change(f"{uid}/1/temp", number, change.from_, change.to, change.value, "sensor")
        for number, change in enumerate(columns.to_objects(), first)
    ]
    return MARKER + log + codec.encode_changes(ChangeColumns.from_objects(found))[0]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(logs=4), "more than 4 new logs from one peer"),
        (Limits(troops=4), "more than 4 new troops from one peer"),
        (Limits(bytes=300), "more than 300 bytes from one peer"),
    ],
)
def test_a_peer_may_bring_so_much(limits: Limits, reason: str) -> None:
    one, other = new(), mesh(5)
    wire = Wire(one, other, Options(limits=limits), Options()).run()
    assert wire.of(0, Ended)[0].error == reason
    assert wire.of(1, Ended)[0].error == f"the peer says: {reason}"
    assert len(one.troops) <= 4
    assert len(logs(one)) <= 4
    # What is there is whole, and a peer that brings less is welcome.
    sync(one, new())
    more = Options(limits=Limits(logs=5, troops=5, bytes=10_000))
    wire = Wire(one, other, more, Options()).run()
    assert wire.of(0, Ended)[0].error is None
    assert dump(one) == dump(other)


def test_limits_count_over_all_that_a_peer_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the pieces are."""
    monkeypatch.setattr("scoutcore.replication.session.PIECE_BYTES", 1)
    one, other = new(), mesh(5)
    wire = Wire(one, other, Options(limits=Limits(logs=4)), Options()).run()
    assert wire.of(0, Ended)[0].error == "more than 4 new logs from one peer"
    assert len(logs(one)) == 4


def test_receiving_stops_before_the_disk_is_full_and_nothing_else_does(tmp_path: Path) -> None:
    other = mesh(1)
    with scoutcore.open(tmp_path / "one.scout") as one:
        one.troops.create(key=KEY)
        floor = Options(limits=Limits(disk_floor=1 << 62))
        wire = Wire(one, other, floor, Options()).run()
        (end,) = wire.of(0, Ended)
        assert "receiving stops at 4611686018427387904" in str(end.error)
        assert len(one.troops) == 1
        one.report(1, 1, "temp", 1)
        wire = Wire(one, other, Options(take=False, limits=floor.limits), Options()).run()
        assert wire.of(0, Ended)[0].error is None
        assert len(other.troops) == 2


def test_nobody_writes_into_the_log_that_we_write() -> None:
    """Who goes on with it has, for all we know, what a disk of ours has lost: from then on ours is another."""
    db = new()
    db.troops.create(key=KEY)
    own, head = db._logs.by_number[0].uuid, db._logs.by_number[0].head
    session = opened(db)
    (uid,) = [troop.uid for troop in db.troops]
    session.receive(messages.encode(Have(heads=[])) + changes(own, head + 1, [7], uid))
    assert not session.ended
    assert db._logs.own is not None
    assert db._logs.own.uuid != own
    db.report(1, 1, "temp", 8)
    assert (db._logs.get(own).head, db._logs.own.head) == (head + 1, 1)
    assert sorted(point.data for point in db.history(1, 1, "temp")) == [7, 8]


@pytest.mark.parametrize("frame", [b"\x80\x80\x80\x80\x10\x01", b"\x81\x80\x80\x02\x01", b"\xff" * 11])
def test_a_frame_that_is_too_long_is_refused_before_it_comes(frame: bytes) -> None:
    session = opened(new())
    for byte in frame:
        session.receive(bytes([byte]))
    assert "a wrong frame" in str(next(e for e in session.events() if isinstance(e, Ended)).error)


def test_a_frame_that_comes_in_many_pieces_costs_no_more_than_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    session = opened(new())
    scanned = []
    scan = codec.scan_frames

    def counted(data: bytes, *args: int) -> object:
        scanned.append(len(data))
        return scan(data, *args)

    monkeypatch.setattr(codec, "scan_frames", counted)
    session.receive(b"\x80\x80\x80\x02\x01")
    for _ in range(MAX_FRAME // 1024 - 1):
        session.receive(b"x" * 1024)
    assert not session.ended
    assert sum(scanned) < MAX_FRAME


def test_a_peer_costs_little_memory() -> None:
    """As many heads as it may tell of, and a frame that never ends; the streams keep not more than these buffers."""
    db = new()
    db.troops.create(key=KEY)
    session = opened(db)
    session.output()
    tracemalloc.start()
    try:
        told = 0
        while told < 20_000:
            heads = [Head(os.urandom(16).hex(), 0, 100_000 + index, os.urandom(16).hex()) for index in range(400)]
            session.receive(messages.encode(Have(heads=heads, more=True)))
            told += len(heads)
        session.receive(b"\x80\x80\x80\x02\x01")
        for _ in range(MAX_FRAME // 65_536 - 1):
            session.receive(b"x" * 65_536)
        assert not session.ended
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # asyncio's reader holds up to twice its limit.
    assert peak + 3 * BUFFER_BYTES < 16 * MIB


def test_frames_that_many_peers_begin_do_not_fill_the_memory() -> None:
    """Whoever goes on with a long one is thrown out; the short ones of others come through."""
    with new() as db:
        sessions = [opened(db) for _ in range(30)]
        for session in sessions:
            session.receive(b"\x80\x80\x80\x02\x01")
            for _ in range(MAX_FRAME // MIB - 1):
                session.receive(bytes(MIB))
        kept = [session for session in sessions if not session.ended]
        assert 15 < len(kept) < 30
        assert sum(len(session._pending) for session in sessions) <= 66 * MIB
        reasons = [e.error for s in sessions for e in s.events() if isinstance(e, Ended)]
        assert len(reasons) == 30 - len(kept)
        assert all("bytes of frames that have not come whole" in str(reason) for reason in reasons)
        good = opened(db)
        data = messages.encode(Have(heads=[])) + changes(b"\xcd" * 16, 1, [1], "A" * 16)
        for byte in data:
            good.receive(bytes([byte]))
        assert logs(db)["cd" * 16] == (0, 1)
        for session in kept:
            session.lost()
        assert replica_of(db).count("parts", 0) == 0


def test_a_peer_tells_of_so_many_logs() -> None:
    session = opened(new())
    for begin in range(0, 20_400, 400):
        heads = [Head(number.to_bytes(16, "big").hex(), 0, 1, "ab" * 16) for number in range(begin, begin + 400)]
        session.receive(messages.encode(Have(heads=heads, more=True)))
    assert next(e for e in session.events() if isinstance(e, Ended)).error == "more than 20000 logs"


def test_logs_that_many_peers_make_up_do_not_fill_the_memory() -> None:
    """Good ones may still say what they have."""
    with new() as db:
        sessions = [opened(db) for _ in range(12)]
        for session in sessions:
            for _ in range(25):
                heads = [Head(os.urandom(16).hex(), 0, 9, os.urandom(16).hex()) for _ in range(400)]
                session.receive(messages.encode(Have(heads=heads, more=True)))
        kept = [session for session in sessions if not session.ended]
        assert len(kept) == 10
        reasons = [str(e.error) for s in sessions for e in s.events() if isinstance(e, Ended)]
        assert len(reasons) == 2
        assert all(reason.endswith("logs that are not here") for reason in reasons)
        with mesh(5) as other:
            sync(other, db)
            assert dump(db) == dump(other)
        for session in kept:
            session.lost()
        assert replica_of(db).count("claims", 0) == 0


def test_nothing_is_kept_for_a_peer_that_takes_nothing() -> None:
    """What is new while it does not read is sent later, from the logs."""
    db, other = new(), new()
    db.troops.create(key=KEY)
    wire = Wire(db, other, Options(live=True)).run()
    session = wire.sessions[0]
    for _ in range(20):
        db.ingest([{"troop": 1, "scout": 1, "report": "temp", "data": "x" * 1000}] * 1000)
        session.keep_alive()
    assert sum(map(len, session._out)) < 2_000
    data = session.output()
    assert len(data) < MIB, "about 256 KiB at a time"
    wire.sessions[1].receive(data)
    wire.run()
    assert dump(db) == dump(other)


@pytest.mark.parametrize("last", [1, 3, 50, 4_000_000_000])
@pytest.mark.parametrize("live", [True, False])
def test_false_heads_change_nothing(last: int, live: bool) -> None:
    """A peer that says to have what it has not, or something else: what it asks for it gets, and no more."""
    db = new()
    db.troops.create(key=KEY)
    for value in range(9):
        db.report(1, 1, "temp", value)
    before, held = dump(db), logs(db)
    log = db._logs.by_number[0].uuid.hex()
    session = opened(db, live=live)
    session.receive(messages.encode(Have(heads=[Head(log, 0, last, "ab" * 16), Head("cd" * 16, 0, last, "ab" * 16)])))
    for _ in range(100):
        session.receive(messages.encode(Have(at=messages.At(log, 5, "ef" * 16))) if session.output() else b"")
    assert dump(db) == before
    assert logs(db) == held
    sync(db, other := new())
    assert dump(other) == before


@pytest.mark.parametrize("change", [0, 1, 9])
def test_of_a_log_that_is_not_here_there_is_no_digest(change: int) -> None:
    session = opened(new())
    session.output()
    ask = messages.At("cd" * 16, change)
    session.receive(messages.encode(Have(ask=ask)))
    assert not session.ended
    assert messages.encode(Have(at=ask)) in session.output()


def test_a_wrong_frame_keeps_all_that_came_with_it_out() -> None:
    db = new()
    db.troops.create(key=KEY)
    (uid,) = [troop.uid for troop in db.troops]
    good, log = changes(b"l" * 16, 1, [1, 2, 3], uid), b"l" * 16
    for wrong in (
        b"\x00",
        b"\x02\x07x",
        b"\x03\x01\xff\xff",
        changes(log, 5, [9], uid)[18:],
        changes(log, 4, [9], "not a uid")[18:],
    ):
        session = opened(db)
        session.receive(messages.encode(Have(heads=[])) + good + wrong)
        (end,) = [event for event in session.events() if isinstance(event, Ended)]
        assert end.error
        assert log.hex() not in logs(db)
        assert list(db.history(1, 1, "temp")) == []
    session = opened(db)
    session.receive(messages.encode(Have(heads=[])) + good)
    assert logs(db)[log.hex()] == (0, 3)


@pytest.mark.parametrize(
    "value",
    [
        b'{"at":1,"set":{"name":"\xff"}}',
        b'{"at":1,"set":{"name":1e999}}',
        b'{"at":1,"set":{"name":' + b"[" * 5000 + b"]" * 5000 + b"}}",
        b'{"at":9223372036854775808}',
        b"[]",
    ],
)
def test_metadata_that_cannot_be_read_is_refused(value: bytes) -> None:
    """Once it were stored, nobody could look at the troop any more."""
    db = new()
    change = Change("A" * 16, 1, 0, 1, value, "troop")
    session = opened(db)
    frame = codec.encode_changes(ChangeColumns.from_objects([change]))[0]
    session.receive(messages.encode(Have(heads=[])) + MARKER + b"l" * 16 + frame)
    (end,) = [event for event in session.events() if isinstance(event, Ended)]
    assert "change 1 of log 6c6c6c6c" in str(end.error)
    assert not db.troops
    assert dump(db) == []


# --- over sockets -----------------------------------------------------------------------------------------------------


def served(db: Database, timing: Timing | None = None, **options: int) -> Server:
    return Server(db, ["tcp://127.0.0.1:0"], Options(live=True), timing=timing, **options)


def connected(server: Server) -> socket.socket:
    host, port = server.addresses[0].removeprefix("tcp://").split(":")
    found = socket.create_connection((host, int(port)))
    found.settimeout(PATIENCE)
    return found


def ended(server: Server) -> Ended:
    while (told := server.next(PATIENCE)) is not None:
        if isinstance(told.event, Ended):
            return told.event
    raise AssertionError("nothing has ended")


def read_off(peer: socket.socket) -> bytes:
    data = b""
    while piece := peer.recv(65_536):
        data += piece
    return data


@pytest.mark.parametrize("drip", [b"", b"\x90"])
def test_who_does_not_introduce_himself_is_dropped(drip: bytes) -> None:
    with new() as db, served(db, Timing(introduction=0.2)) as server, connected(server) as peer:
        peer.sendall(drip)
        read_off(peer)
        assert "nothing was heard" in str(ended(server).error)


def test_who_is_slow_to_introduce_himself_is_reminded_of_us_no_more_than_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[float] = []
    monkeypatch.setattr(Session, "keep_alive", lambda self: asked.append(time.monotonic()))
    with new() as db, served(db, Timing(keep_alive=0.2)) as server, connected(server) as peer:
        peer.sendall(messages.encode(Hello((1, 1), secrets.token_hex(32), live=True))[:1])
        wait_until(lambda: len(asked) > 2)
        assert all(later - before > 0.15 for before, later in pairwise(asked))


def test_who_falls_silent_is_dropped() -> None:
    with new() as db, served(db, Timing(silence=0.3, keep_alive=0.1)) as server, connected(server) as peer:
        introduce(peer)
        read_off(peer)
        assert "nothing was heard" in str(ended(server).error)


def test_who_takes_nothing_is_dropped_and_slows_nobody() -> None:
    db = new()
    db.troops.create(key=KEY)
    for _ in range(16):
        db.ingest([{"troop": 1, "scout": 1, "report": "temp", "data": "x" * 1000}] * 1000)
    with db, served(db, Timing(silence=3.0)) as server, connected(server) as peer:
        stalled = Session(replica_of(new()), Options(live=True), initiator=True)
        peer.sendall(stalled.output())
        while stalled._state != "open":
            data = peer.recv(4096)
            assert data
            stalled.receive(data)
            peer.sendall(stalled.output())
        # It reads no more, though it is there. Others do not wait for it.
        alive = Thread(target=_keep_alive, args=(peer,))
        alive.start()
        with new() as other:
            other.sync(server.addresses[0]).wait(PATIENCE)
            assert dump(other) == dump(db)
        reasons = [ended(server).error, ended(server).error]
        assert reasons == [None, "the peer takes nothing any more"]
        alive.join(PATIENCE)


def _keep_alive(peer: socket.socket) -> None:
    with suppress(OSError):
        while True:
            peer.sendall(messages.encode(messages.Ack()))
            time.sleep(0.05)


def introduce(peer: socket.socket) -> None:
    """Until it is known who he is, and he has what is here."""
    session = Session(replica_of(new()), Options(live=True), initiator=True)
    peer.sendall(session.output())
    while not any(isinstance(event, InSync) for event in session.events()):
        session.receive(peer.recv(65_536))
        peer.sendall(session.output())


def assert_thrown_out(peer: socket.socket) -> None:
    with suppress(ConnectionResetError):
        read_off(peer)


def test_so_many_peers_are_served_at_once() -> None:
    with (
        new() as db,
        Server(db, ["tcp://127.0.0.1:0"], Options(live=True), max_peers=2) as server,
        ExitStack() as stack,
    ):
        for _ in range(2):
            introduce(stack.enter_context(connected(server)))
        assert_thrown_out(stack.enter_context(connected(server)))
        assert server.peers == 2


def test_strangers_keep_nobody_out() -> None:
    """Where there is no room, who has longest not said who he is makes some."""
    with (
        new() as db,
        Server(db, ["tcp://127.0.0.1:0"], Options(live=True), max_peers=2) as server,
        ExitStack() as stack,
    ):
        stranger, first = (stack.enter_context(connected(server)) for _ in range(2))
        assert stranger.recv(1)
        introduce(first)
        introduce(stack.enter_context(connected(server)))
        assert_thrown_out(stranger)
        assert server.peers == 2
