"""Two sessions with a wire between them, in one thread and with a clock of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from scoutcore.database import Database
from scoutcore.replication.replica import replica_of
from scoutcore.replication.session import Ended, Event, Options, Session
from scoutcore.store.memory import MemoryStore

T = TypeVar("T")


def new() -> Database:
    return Database(MemoryStore())


def clone(database: Database) -> Database:
    """A copy of a database in memory that does not know that it is one."""
    store = MemoryStore()
    assert isinstance(database._store, MemoryStore)
    store._values, store._keys = dict(database._store._values), list(database._store._keys)
    return Database(store)


class Wire:
    """Carries what two sessions say; ``first`` is the initiator. *change* sees, and may change, what is carried."""

    def __init__(
        self,
        first: Database,
        second: Database,
        options: Options | None = None,
        others: Options | None = None,
        change: Callable[[int, bytes], bytes] = lambda side, data: data,
    ) -> None:
        self.time = 0.0
        self.change = change
        self.sessions = [
            Session(replica_of(first), options or Options(), initiator=True, now=lambda: self.time),
            Session(replica_of(second), others or options or Options(), initiator=False, now=lambda: self.time),
        ]
        self.carried: list[list[bytes]] = [[], []]
        """What each side has sent."""
        self.events: list[list[Event]] = [[], []]

    def run(self, turns: int = 100_000) -> Wire:
        """Carry until nothing more is said."""
        for _ in range(turns):
            quiet = True
            for side, session in enumerate(self.sessions):
                data = session.output()
                if data:
                    quiet = False
                    self.carried[side].append(data)
                    self.sessions[1 - side].receive(self.change(side, data))
            for side, session in enumerate(self.sessions):
                self.events[side] += session.events()
            if quiet:
                times = [session.waiting for session in self.sessions if session.waiting and not session.ended]
                if not times:
                    return self
                self.time = max(self.time, *times)
        raise AssertionError("it does not end")

    def of(self, side: int, kind: type[T]) -> list[T]:
        """What happened on a side, of one kind."""
        return [event for event in self.events[side] if isinstance(event, kind)]

    @property
    def bytes(self) -> list[int]:
        return [sum(map(len, carried)) for carried in self.carried]


def sync(first: Database, second: Database, **options: Any) -> list[Wire]:
    """Sessions until none is wanted any more; all end well."""
    wires = []
    for _ in range(20):
        wires.append(Wire(first, second, Options(**options)).run())
        ends = wires[-1].of(0, Ended) + wires[-1].of(1, Ended)
        assert [end.error for end in ends] == [None, None], ends
        if not any(end.again for end in ends):
            return wires
    raise AssertionError("it does not end")


def dump(database: Database) -> list[dict[str, Any]]:
    return list(database.dump())


def logs(database: Database) -> dict[str, tuple[int, int]]:
    """Origin and head of the logs that hold anything, by uuid."""
    found = database._logs.by_number
    return {log.uuid.hex(): (log.origin, log.head) for log in found if log.head > log.origin}
