"""Sessions with peers that say anything: ``python -m tests.replication.fuzz --executions 1000000 --seed 1``.

What peers have said in real sessions is changed, from single bits to whole messages, and said to a database as it was
then. Whatever comes, the session goes on or ends with an error, and the database has what it had and, of what came, a
run of changes from where each log ended, with views that are what its logs make of them.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from unittest import mock
from uuid import UUID

import msgspec

from scoutcore import codec
from scoutcore.codec.columns import Change, ChangeColumns
from scoutcore.codec.constants import FRAME_BLOB
from scoutcore.database import Database
from scoutcore.errors import CodecError
from scoutcore.recovery import rebuild
from scoutcore.replication.replica import replica_of
from scoutcore.replication.session import Ended, Options, Session
from scoutcore.store.memory import MemoryStore

KEY = "k" * 32
SECRET = b"the secret of the mesh"
NOW = 1_790_000_000_000_000
MAX_OUTPUTS = 1000
"""So often a side may have something to say before anything more has come."""
STEP = 20_000
"""Executions after which it is told how far it is."""
NONCES = (b"1" * 32, b"2" * 32)


def copy_of(store: MemoryStore) -> MemoryStore:
    found = MemoryStore()
    found._values, found._keys = dict(store._values), list(store._keys)
    return found


@dataclass
class Recording:
    """A session as one side heard it."""

    name: str
    initiator: bool
    """The side that heard it."""
    store: MemoryStore
    """What it held before."""
    options: Options
    heard: list[bytes] = field(default_factory=list)


def play(store: MemoryStore, heard: list[bytes], options: Options, initiator: bool) -> tuple[Database, Session]:
    """Say *heard* to a database in *store*; raises AssertionError where it does not come to rest."""
    db = Database(store, now=lambda: NOW)
    ticks = iter(range(1 << 30))
    session = Session(
        replica_of(db), options, initiator=initiator, nonce=NONCES[not initiator], now=lambda: next(ticks) / 10
    )
    for data in [b"", *heard]:
        if data:
            session.receive(data)
        for _ in range(MAX_OUTPUTS):
            said = session.output()
            assert b"something is wrong here" not in said, "it is not said what was wrong"
            if not said:
                break
        else:
            raise AssertionError("it goes on saying something")
    session.lost()
    return db, session


def record(name: str, first: Database, second: Database, **options: Any) -> list[Recording]:
    """Both sides of a session."""
    dbs = (first, second)
    stores = [db._store for db in dbs]
    found = [
        Recording(name, index == 0, copy_of(store), Options(**options))  # type: ignore[arg-type]
        for index, store in enumerate(stores)
    ]
    ticks = iter(range(1 << 30))
    sessions = [
        Session(
            replica_of(db), Options(**options), initiator=not index, nonce=NONCES[index], now=lambda: next(ticks) / 9
        )
        for index, db in enumerate(dbs)
    ]
    quiet = 0
    while quiet < 3:
        quiet += 1
        for index, session in enumerate(sessions):
            data = session.output()
            if data:
                quiet = 0
                found[1 - index].heard.append(data)
                sessions[1 - index].receive(data)
    return found


def database(count: int = 0, start: int = 0, name: str = "x") -> Database:
    db = Database(MemoryStore(), now=lambda: NOW + start)
    if count:
        db.troops.create(key=KEY, name=name)
    for value in range(start, start + count):
        db.report(1, value % 2, "temp", value, **({"boot": 1, "ms": value} if value % 2 else {}))
    return db


def recordings() -> list[Recording]:
    """Sessions of all kinds, small ones."""
    found = record("clone", database(), database(6))
    found += record("both", database(4), database(5, start=2, name="y"), live=True)
    found += record("secret", database(3), database(2, start=9), secret=SECRET)
    found += record("equal", one := database(3), Database(copy_of(one._store), now=lambda: NOW))  # type: ignore[arg-type]
    for live in (False, True):
        one = database(4)
        other = Database(copy_of(one._store), now=lambda: NOW)  # type: ignore[arg-type]
        for value in range(3):
            one.report(1, 1, "temp", 100 + value)
            other.report(1, 1, "temp", 200 + value)
        stores = [copy_of(db._store) for db in (one, other)]  # type: ignore[arg-type]
        found += record("fork", one, other, live=live)
        # And the session after it, in which the rest of the log moves.
        found += record("rest", one, other, live=live)
        third = database()
        record("", third, one)
        found += record("third", third, Database(stores[1], now=lambda: NOW), live=live)
    deleted = database(6)
    deleted.troops.delete(1)
    found += record("deleted", deleted, database(2), from_base=True, live=True)
    return [one for one in found if one.heard and one.name]


# --- changing ---------------------------------------------------------------------------------------------------------

_NUMBERS = [0, 1, 2, 5, 127, 128, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1, -1]
_TEXTS = ["", "x", "00" * 16, "ab" * 16, "ff" * 32, "1/2", "\u0000", "a" * 600, "session", "sensor", "hello", "have"]


def frames_of(data: bytes) -> list[bytes]:
    """Its frames; what follows the last whole one is one more."""
    try:
        ends = codec.scan_frames(data).ends
    except CodecError:
        return [data]
    found = [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    rest = data[ends[-1] :] if ends else data
    return [*found, rest] if rest else found


def _bytes(choose: random.Random, data: bytes, _: list[bytes]) -> bytes:
    """Change some bytes."""
    found = bytearray(data)
    for _time in range(choose.choice([1, 1, 1, 2, 5])):
        at = choose.randrange(len(found) + 1)
        kind = choose.randrange(5)
        if kind == 0 and at < len(found):
            found[at] ^= 1 << choose.randrange(8)
        elif kind == 1 and at < len(found):
            found[at] = choose.choice([0, 1, 2, 0x7F, 0x80, 0xFF])
        elif kind == 2:
            found[at:at] = choose.randbytes(choose.choice([1, 2, 18]))
        elif kind == 3:
            del found[at : at + choose.choice([1, 2, 18, 400])]
        else:
            end = at + choose.choice([1, 8, 40])
            found[at:at] = found[at:end]
    return bytes(found)


def _frames(choose: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Change the order of frames, leave some out, say some twice, or take some from other sessions."""
    frames = frames_of(data)
    for _ in range(choose.choice([1, 1, 2, 4])):
        at = choose.randrange(len(frames) + 1)
        kind = choose.randrange(5)
        if kind == 0:
            frames[at : at + choose.choice([1, 1, 3])] = []
        elif kind == 1:
            frames[at:at] = frames[at : at + choose.choice([1, 3])]
        elif kind == 2:
            frames.insert(at, choose.choice(others))
        elif kind == 3 and at < len(frames):
            frames[at] = choose.choice(others)
        elif frames:
            frames.insert(at, frames.pop(choose.randrange(len(frames))))
    return b"".join(frames)


def _fields(choose: random.Random, data: bytes, _: list[bytes]) -> bytes:
    """Change a field of one change or message."""
    frames = frames_of(data)
    at = choose.randrange(len(frames) or 1)
    try:
        (change,) = codec.decode_changes(frames[at], codec.scan_frames(frames[at])).to_objects()
    except (CodecError, ValueError, IndexError):
        return data
    name = choose.choice(["change", "from_", "to", "key", "subset", "value", "value", "value"])
    old = getattr(change, name)
    if name == "value":
        new: Any = _json(choose, old or b"") if change.subset == "session" else _bytes(choose, old or b"", [])
    elif isinstance(old, int):
        new = choose.choice([old + 1, old - 1, 0, 2**32 - 1, choose.randrange(2**32)]) % 2**32
    else:
        new = choose.choice(
            [*_TEXTS, "sensor", "troop", "session", (old or "") + "0", None if name == "subset" else "x"]
        )
    changed = msgspec.structs.replace(change, **{name: new})
    frames[at] = codec.encode_changes(ChangeColumns.from_objects([changed]))[0]
    return b"".join(frames)


def _json(choose: random.Random, value: bytes) -> bytes:
    """Change a value somewhere in JSON."""
    try:
        found = msgspec.json.decode(value)
    except (ValueError, RecursionError):
        return _bytes(choose, value, [])
    places: list[tuple[Any, Any]] = []
    left = [found]
    while left:
        item = left.pop()
        keys = item if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ()
        for key in list(keys):
            places.append((item, key))
            left.append(item[key])
    if not places:
        return b"null"
    item, key = choose.choice(places)
    old = item[key]
    if choose.random() < 0.15 and isinstance(item, dict):
        del item[key]
    elif isinstance(old, int) and choose.random() < 0.7:
        item[key] = choose.choice([old + 1, max(old - 1, 0), not old, *_NUMBERS])
    elif isinstance(old, str) and choose.random() < 0.7:
        digits = list(old) or ["0"]
        digits[choose.randrange(len(digits))] = choose.choice("0123456789abcdefg")
        item[key] = choose.choice(["".join(digits), *_TEXTS])
    elif isinstance(old, list) and choose.random() < 0.7:
        item[key] = choose.choice([old + old, old[:-1], old * 50, []])
    else:
        item[key] = choose.choice([None, True, {}, [], 1.5, "x", 7])
    return msgspec.json.encode(found)


_CHANGES: list[Callable[[random.Random, bytes, list[bytes]], bytes]] = [_bytes, _frames, _fields]


# --- looking ----------------------------------------------------------------------------------------------------------


class Fuzzer:
    """Executions by one seed."""

    def __init__(self, seed: int) -> None:
        self.choose = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self._uuids = random.Random(seed)
        with self._determined():
            self._recordings = recordings()
        self._others = [frame for one in self._recordings for data in one.heard for frame in frames_of(data)]
        self._seen: set[int] = set()
        """Contents that were looked at."""
        self._first = {id(one): _logs_of(Database(copy_of(one.store))) for one in self._recordings}

    def _determined(self) -> Any:
        return mock.patch("scoutcore.log.uuids.uuid4", new=self._uuid4)

    def _uuid4(self) -> UUID:
        return UUID(int=self._uuids.getrandbits(128), version=4)

    def run(self, executions: int) -> None:
        """So many sessions with changes, after all of them as they were."""
        with self._determined():
            for recording in self._recordings:
                self.execute(recording, recording.heard)
            self._run(executions)

    def _run(self, executions: int) -> None:
        for _ in range(executions):
            recording = self.choose.choice(self._recordings)
            heard = list(recording.heard)
            for _time in range(self.choose.choice([1, 1, 1, 2])):
                at = self.choose.randrange(len(heard))
                heard[at] = self.choose.choice(_CHANGES)(self.choose, heard[at], self._others)
            if self.choose.random() < 0.3:
                heard = [piece for data in heard for piece in self._cut(data)]
            try:
                self.execute(recording, heard)
            except BaseException as problem:
                raise AssertionError(
                    f"after {self.counts['executions']} executions: {recording.name}, {heard}"
                ) from problem

    def _cut(self, data: bytes) -> list[bytes]:
        at = self.choose.randrange(len(data) + 1)
        return [data[:at], data[at:]]

    def execute(self, recording: Recording, heard: list[bytes]) -> None:
        """Say *heard*, and look at what has become of the database."""
        self.counts["executions"] += 1
        self._uuids.seed(0)
        db, session = play(copy_of(recording.store), heard, recording.options, recording.initiator)
        (end,) = [event for event in session.events() if isinstance(event, Ended)]
        self.counts["error" if end.error and not end.lost else "again" if end.again else "no error"] += 1
        store = db._store
        assert isinstance(store, MemoryStore)
        if store._values == recording.store._values:
            return
        content = hash(frozenset(store._values.items()))
        if content in self._seen:
            return
        self._seen.add(content)
        self.counts["contents"] += 1
        self._look(db, recording, b"".join(heard))

    def _look(self, db: Database, recording: Recording, heard: bytes) -> None:
        assert not list(db._logs.holes())
        before, came = self._first[id(recording)], set(frames_of(heard))
        known = {frame for frames in before.values() for frame in frames}
        for uuid, frames in _logs_of(db).items():
            log = db._logs.get(uuid)
            assert [change.change for change in _objects(frames)] == list(range(log.base + 1, log.head + 1))
            assert all(frame in known or frame in came for frame in frames), "what nobody has said"
            had = before.get(uuid, [])
            if not db._logs.rests:  # else a log may have lost its name
                assert frames[: len(had)] == had
        again = copy_of(db._store)  # type: ignore[arg-type]
        rebuild(again, db._identity, None)
        assert list(Database(again, now=lambda: NOW).dump()) == list(db.dump()), "views and logs differ"


def _logs_of(db: Database) -> dict[bytes, list[bytes]]:
    return {
        log.uuid: [frame for _, _, _, frames in db._logs.chunks(log, 1) for frame in frames_of(frames)]
        for log in db._logs.by_number
    }


def _objects(frames: list[bytes]) -> list[Change]:
    data = b"".join(frames)
    found = codec.scan_frames(data)
    assert FRAME_BLOB not in found.ids
    return codec.decode_changes(data, found).to_objects()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.replication.fuzz")
    parser.add_argument("--executions", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    begin = time.process_time()
    fuzzer = Fuzzer(wanted.seed)
    for done in range(0, wanted.executions, STEP):
        fuzzer.run(min(STEP, wanted.executions - done))
        print(dict(fuzzer.counts), f"{time.process_time() - begin:.0f} s of CPU time", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
