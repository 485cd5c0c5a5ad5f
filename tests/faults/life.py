"""A gateway's life in small: readings with numbers, metadata, packing, a peer beside it. One seed gives one life."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

from scoutcore import changes, checking, database, packer, repairing
from scoutcore.database import Database, Durability
from scoutcore.directory import Directory
from scoutcore.replication import chain, replica
from scoutcore.replication.session import Ended, Options, Problem
from scoutcore.store import leveldb
from scoutcore.store.memory import MemoryStore
from tests.replication.wire import Wire

KEY = "the key of the troop of a small life"
SCOUTS = 3


def make_small(interval: int = 700, file: int = 2_000, buffer: int = 65_536) -> None:
    """Let everything that has a size come to its end soon: intervals, changes files, LevelDB's memory."""
    packer.Writer = partial(changes.Writer, interval_bytes=interval, file_bytes=file)  # type: ignore[misc,assignment]
    changes.Writer = packer.Writer  # type: ignore[misc]
    replica.Chain = partial(chain.Chain, interval_bytes=interval)  # type: ignore[misc,assignment]
    checking.Verifier = partial(changes.Verifier, interval_bytes=interval)  # type: ignore[misc,assignment,attr-defined]
    repairing.Verifier = checking.Verifier  # type: ignore[misc,attr-defined]
    leveldb.WRITE_BUFFER_BYTES = buffer  # type: ignore[misc]


def stay_the_same() -> None:
    """A database stays itself wherever its files are copied to: what is found later stands for the very same disk."""
    identity = Directory._identity

    def same(self: Directory) -> bytes:
        identity(self)
        return bytes(16)

    Directory._identity = same  # type: ignore[method-assign]


class Life:
    """A database in *path*, and what it does, step by step.

    *told* hears ``number N`` when the reading or the field with that number is acknowledged, and ``peer LOG N`` when
    the peer holds change N of a log.
    """

    def __init__(
        self, path: Path, told: Callable[[str], None], durability: Durability = "process", seed: int = 0
    ) -> None:
        self.path = path
        self.told = told
        self.durability: Durability = durability
        self.choose = Random(seed)
        self.number = 0
        self.peer = Database(MemoryStore())
        self.peer._listeners = (*self.peer._listeners, _Heads(told))
        self.peer.troops.create(key=KEY)
        self.db: Database | None = None
        self.kinds: dict[Callable[[Database], None], float] = {
            self.report: 6,
            self.batch: 5,
            self.edit: 2,
            self.pack: 3,
            self.sync: 2,
            self.reopen: 0.7,
            self.large: 0.7,
        }

    def opened(self) -> Database:
        """The database, opened where it was not."""
        if self.db is None:
            self.db = database.open(self.path, durability=self.durability, pack=False)
            if not len(self.db.troops):
                self.db.troops.create(key=KEY)
        return self.db

    def step(self) -> None:
        """Do one thing."""
        (kind,) = self.choose.choices(list(self.kinds), self.kinds.values())
        kind(self.opened())

    def close(self) -> None:
        if self.db is not None:
            db, self.db = self.db, None
            db.close()

    def _readings(self, count: int, size: int = 0) -> list[dict[str, object]]:
        """Readings with new numbers; some have been heard by the peer too."""
        found: list[dict[str, object]] = []
        for _ in range(count):
            self.number += 1
            reading: dict[str, object] = {
                "key": KEY,
                "scout": self.number % SCOUTS,
                "report": "temp",
                "data": [self.number, "x" * size],
                "t": 1_790_000_000_000_000 + self.number,
            }
            if self.number % 3 == 0:
                reading |= {"boot": 1, "ms": self.number}
            found.append(reading)
        return found

    def _store(self, db: Database, readings: list[dict[str, object]]) -> None:
        last = self.number
        db.ingest(readings, strict=True)
        if db is not self.peer:
            for number in range(last - len(readings) + 1, last + 1):
                self.told(f"number {number}")

    def report(self, db: Database) -> None:
        self._store(db, self._readings(1))

    def batch(self, db: Database) -> None:
        self._store(db, self._readings(self.choose.randint(2, 30)))

    def large(self, db: Database) -> None:
        """So much that LevelDB begins a new log soon."""
        self._store(db, self._readings(4, 9_000))

    def edit(self, db: Database) -> None:
        self.number += 1
        number = self.number
        db.scouts.update(next(iter(db.troops)).id, number % SCOUTS, {f"field {number}": number})
        self.told(f"number {number}")

    def pack(self, db: Database) -> None:
        db.pack()

    def sync(self, db: Database) -> None:
        """The peer stores something itself, and both give each other what they lack."""
        self._store(self.peer, self._readings(self.choose.randint(0, 3)))
        exchange(self.peer, db)

    def reopen(self, db: Database) -> None:
        self.close()
        self.opened()


def exchange(peer: Database, db: Database) -> None:
    """Both give each other what they lack."""
    for _ in range(5):
        wire = Wire(peer, db, Options()).run()
        problems = [one.message for side in (0, 1) for one in wire.of(side, Problem)]
        ends = wire.of(0, Ended) + wire.of(1, Ended)
        problems += [one.error for one in ends if one.error]
        if problems:
            raise SessionError("; ".join(problems))
        if not any(one.again for one in ends):
            return


class SessionError(Exception):
    """A session ended with an error."""


class _Heads:
    """Tells what the peer holds."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told

    def grown(self, logs: dict[bytes, int]) -> None:
        for log, head in logs.items():
            self._told(f"peer {log.hex()} {head}")

    def closing(self) -> None:
        pass


def numbers_in(db: Database) -> set[int]:
    """The numbers of all readings and fields that a database shows."""
    found: set[int] = set()
    for troop in db.troops:
        for scout in range(SCOUTS):
            found.update(point.data[0] for point in db.history(troop.id, scout, "temp"))
        found.update(value for scout in db.scouts.list(troop.id) for value in scout.fields.values())
    return found


def clear(path: Path) -> None:
    """Remove a database, where there is one."""
    shutil.rmtree(path, ignore_errors=True)
