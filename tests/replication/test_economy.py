"""What is said: no change that the peer has, nothing in an idle mesh, no more than one batch again after a cut."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from scoutcore import codec
from scoutcore.codec.columns import Change
from scoutcore.codec.constants import FRAME_BLOB
from scoutcore.database import Database
from scoutcore.replication import messages
from scoutcore.replication.messages import Ack, Have
from scoutcore.replication.replica import replica_of
from scoutcore.replication.session import Ended, InSync, Options, Session
from scoutcore.store.memory import MemoryStore
from tests.replication.wire import Wire, dump, logs, new, sync

KEY = "k" * 32


def first(count: int = 0) -> Database:
    db = new()
    db.troops.create(key=KEY)
    for value in range(count):
        db.report(1, value % 3, "temp", value)
    return db


class Stream:
    """What one side says, frame by frame, cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""
        self._log = ""

    def take(self, data: bytes) -> list[tuple[str, Change]]:
        """The changes and messages in what comes; of a change the log that it belongs to."""
        data = self._rest + data
        frames = codec.scan_frames(data)
        changes = iter(codec.decode_changes(data, frames).to_objects())
        found = []
        for kind, end in zip(frames.ids, frames.ends, strict=True):
            if kind == FRAME_BLOB:
                self._log = data[end - 16 : end].hex()
            else:
                change = next(changes)
                found.append(("" if change.subset == "session" else self._log, change))
        self._rest = data[frames.consumed :]
        return found


class Watcher:
    """Looks at both ways of a wire: no change goes to a side that has said to have it, or that has sent it."""

    def __init__(self) -> None:
        self.streams = [Stream(), Stream()]
        self.has: list[dict[str, int]] = [{}, {}]
        """What each side has said to have, as far as the other has read it."""
        self.sent: list[list[tuple[str, int]]] = [[], []]
        """The changes that each side has sent."""

    def __call__(self, side: int, data: bytes) -> bytes:
        for log, change in self.streams[side].take(data):
            if log:
                key = (log, change.change)
                assert change.change > self.has[1 - side].get(log, 0), "the peer has said that it has this"
                assert key not in self.sent[0], "it was sent before"
                assert key not in self.sent[1], "it came from the peer"
                self.sent[side].append(key)
                continue
            message = messages.decode(change)
            if isinstance(message, Have):
                for head in message.heads or ():
                    self._tell(side, head.log, head.last)
            if isinstance(message, Ack):
                for at in message.heads:
                    self._tell(side, at.log, at.change)
        return data

    def _tell(self, side: int, log: str, last: int) -> None:
        self.has[side][log] = max(last, self.has[side].get(log, 0))


@pytest.mark.parametrize("seed", range(12))
def test_no_change_goes_to_who_has_it(seed: int) -> None:
    """Live sessions in a full mesh, with sides that differ in what they want, in any order."""
    choose = random.Random(seed)
    dbs = [first(choose.randrange(20)) for _ in range(4)]
    for _ in range(choose.randrange(3)):
        sync(*choose.sample(dbs, 2))
    wires = [Wire(one, other, Options(live=True), change=Watcher()) for one, other in combinations(dbs, 2)]
    for _ in range(30):
        choose.choice(dbs).report(1, 1, "hum", choose.randrange(1000))
        for wire in choose.sample(wires, choose.randrange(len(wires))):
            wire.run()
    for _ in dbs:
        for wire in wires:
            wire.run()
    assert all(dump(db) == dump(dbs[0]) for db in dbs)
    assert not any(wire.of(side, Ended) for wire in wires for side in range(2))


def test_the_watcher_sees_what_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions that forget what the peer has."""
    monkeypatch.setattr("scoutcore.replication.session.Session._compare_claim", lambda *_: None)
    one = first(5)
    other = new()
    sync(one, other)
    one.report(1, 1, "temp", 9)
    with pytest.raises(AssertionError, match="said that it has this"):
        Wire(one, other, Options(), change=Watcher()).run()


@pytest.mark.parametrize("shape", ["ring", "mesh"])
def test_an_idle_mesh_sends_no_changes(shape: str) -> None:
    dbs = [first(3) for _ in range(4)]
    pairs = list(combinations(range(4), 2)) if shape == "mesh" else [(0, 1), (1, 2), (2, 3), (3, 0)]
    wires = [Wire(dbs[one], dbs[other], Options(live=True), change=Watcher()) for one, other in pairs]
    for _ in range(6):
        for wire in wires:
            wire.run()
    assert all(dump(db) == dump(dbs[0]) for db in dbs)
    carried = [sum(wire.bytes) for wire in wires]
    for wire in wires:
        for session in wire.sessions:
            wire.time += 100
            session.keep_alive()
        wire.run()
    for wire, before in zip(wires, carried, strict=True):
        alive = 2 * len(messages.encode(Ack()))
        assert sum(wire.bytes) == before + alive, "nothing but that they are there"
    # One new reading goes at most once over each connection.
    earlier = [len(wire.change.sent[0]) + len(wire.change.sent[1]) for wire in wires]  # type: ignore[attr-defined]
    dbs[0].report(1, 1, "temp", 77)
    for _ in range(6):
        for wire in wires:
            wire.run()
    after = [len(wire.change.sent[0]) + len(wire.change.sent[1]) for wire in wires]  # type: ignore[attr-defined]
    assert len(dbs) - 1 <= sum(after) - sum(earlier) <= len(wires)
    assert all(dump(db) == dump(dbs[0]) for db in dbs)


def carry(one: Database, other: Database, limit: int, side: int) -> tuple[list[Session], int]:
    """A session that is cut after *limit* bytes of a side; the sessions, and how much that side has said."""
    sessions = [Session(replica_of(db), Options(), initiator=index == 0) for index, db in enumerate((one, other))]
    said = 0
    for _ in range(10_000):
        for index, session in enumerate(sessions):
            data = session.output()
            if index == side:
                data = data[: limit - said]
                said += len(data)
            sessions[1 - index].receive(data)
            if said == limit:
                for lost in sessions:
                    lost.lost()
                return sessions, said
        if all(session.ended for session in sessions):
            return sessions, said
    raise AssertionError("it does not end")


@pytest.mark.parametrize("side", [0, 1])
def test_after_a_cut_anywhere_one_batch_comes_again(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = 400 // 30  # no change here has less than 30 bytes
    monkeypatch.setattr("scoutcore.replication.session.PIECE_BYTES", 400)
    source = first(60)
    sender = replica_of(source)
    _, whole = carry(*((source, new()) if side == 0 else (new(), source)), 1 << 40, side)
    assert whole > 3000
    largest = 0
    for limit in [*range(0, whole, 61), whole - 1]:
        target = new()
        pair = (source, target) if side == 0 else (target, source)
        cut, _ = carry(*pair, limit, side)
        held = replica_of(target)
        held.publish()
        last = held.held(sender.own).last
        again, _ = carry(*pair, 1 << 40, side)
        sent = again[side].progress.sent
        assert sent == 61 - last, "it goes on where it was"
        assert cut[side].progress.sent + sent <= 61 + batch
        largest = max(largest, cut[side].progress.sent + sent - 61)
        assert dump(target) == dump(source)
    assert largest > 0


def test_logs_of_others_are_passed_on_as_they_are() -> None:
    """Through two others that keep the bytes, and a fourth that has them from both."""
    one = first(50)
    one.ingest([{"troop": 1, "scout": 1, "report": "temp", "data": value, "t": value} for value in range(100)])
    dbs = [one, new(), new(), new()]
    for pair in [(0, 1), (1, 2), (2, 3), (1, 3)]:
        sync(dbs[pair[0]], dbs[pair[1]])
    log = one._logs.by_number[0]
    for db in dbs[1:]:
        copy = db._logs.get(log.uuid)
        assert copy.head == log.head
        assert frames_of(db, log.uuid) == frames_of(one, log.uuid)


def frames_of(db: Database, log: bytes) -> bytes:
    return b"".join(frames for _, _, _, frames in db._logs.chunks(db._logs.get(log), 1))


def test_only_what_is_wanted_moves() -> None:
    one, other = first(3), first(4)
    before = dump(one)
    wire = Wire(one, other, Options(take=False), Options()).run()
    assert wire.of(0, InSync)
    assert dump(one) == before
    assert len(logs(other)) == 2
    third = new()
    Wire(other, third, Options(give=False), Options()).run()
    assert logs(third) == {}


@pytest.mark.parametrize("limit", [5, 20])
def test_logs_that_are_full_are_followed_by_others(limit: int) -> None:
    """Numbers run out, here soon: of changes in a log, and of a row's points."""
    dbs = [Database(MemoryStore(), max_change=limit) for _ in range(3)]
    dbs[0].troops.create(key=KEY)
    for turn in range(12):
        sync(dbs[turn % 3], dbs[(turn + 1) % 3])
        for db in dbs:
            if db.troops:
                for value in range(4):
                    db.report(1, 1, "temp", value)
                db.troops.update(1, name=str(turn))
    for _ in range(2):
        for pair in combinations(dbs, 2):
            sync(*pair)
    assert all(dump(db) == dump(dbs[0]) for db in dbs)
    assert all(logs(db) == logs(dbs[0]) for db in dbs)
    assert len(logs(dbs[0])) > 3
    assert max(head for _, head in logs(dbs[0]).values()) == limit
    assert len({db.id for db in dbs}) == 3
