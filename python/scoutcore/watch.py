"""Watching a database: what holds now, a marker, then every change as it happens."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from threading import Condition, Lock
from typing import Any, Final, Literal

import msgspec

from scoutcore.errors import ClosedError, LaggedError, StorageError
from scoutcore.model import Point, Scout, Troop

MAX_EVENTS: Final = 65_536
"""Events kept for a watcher that does not read them; when there are so many, the next commit is lost to it."""


class Synced(msgspec.Struct, frozen=True):
    """The current values are all given; what follows happens now."""


Event = Point | Troop | Scout | Synced


class Watch:
    """An iterator of :data:`Event`; ``close()`` it, or use it in ``with``.

    Iterating ends when the watch or the database is closed.
    """

    def __init__(self, hub: Hub, troop: int | None, scout: int | None, current: Iterable[Event]) -> None:
        """*current* and the marker come before all that happens."""
        self._hub = hub
        self._wanted = troop, scout
        self._current: Iterator[Event] | None = chain(current, [Synced()])
        """None: all of it is given."""
        self._events: deque[Event] = deque()
        self._changed = Condition()
        self._state: Literal["open", "lagged", "closed"] = "open"

    def _wants(self, event: Event) -> bool:
        """Whether the event is of the troop and scout that are watched."""
        troop, scout = self._wanted
        if troop is None:
            return True
        if isinstance(event, Troop):
            return event.id == troop
        if isinstance(event, Synced) or event.troop != troop:
            return False
        return scout in (None, event.id if isinstance(event, Scout) else event.scout)

    def _push(self, events: list[Event] | None) -> None:
        """Add what happened and is wanted, None for what could not be told; never waits."""
        with self._changed:
            if self._state != "open":
                return
            if events is None or len(self._events) >= MAX_EVENTS:  # before: one commit alone may have more
                self._events.clear()
                self._state = "lagged"
            else:
                self._events.extend(events)
            self._changed.notify()

    def __iter__(self) -> Watch:
        return self

    def __next__(self) -> Event:
        event = self.next()
        if event is None:
            raise StopIteration
        return event

    def next(self, timeout: float | None = None) -> Event | None:
        """The next event; None when there is none within *timeout* seconds, or the watch is closed.

        Raises:
            LaggedError: events were lost because they were not read in time.
            StorageError: the current values cannot be read.
        """
        current = self._current
        if current is not None:
            event = self._next_of(current)
            if event is not None:
                return event
            self._current = None
        try:
            return self._events.popleft()  # nearly always, and without a lock
        except IndexError:
            pass  # wait
        with self._changed:
            while self._changed.wait_for(lambda: self._events or self._state != "open", timeout):
                with suppress(IndexError):  # another thread took it
                    return self._events.popleft()
                if self._state == "lagged":
                    raise LaggedError(f"more than {MAX_EVENTS} events were not read in time: watch again")
                if self._state == "closed":
                    break
            return None

    def _next_of(self, current: Iterator[Event]) -> Event | None:
        try:
            return next(current, None)
        except ClosedError:
            return None  # not all was read: no marker
        except StorageError:
            self._current = None
            self._push(None)
            raise

    @property
    def closed(self) -> bool:
        """Whether nothing more will come."""
        return self._state == "closed" and not self._events

    def close(self) -> None:
        """Stop watching."""
        self._hub.remove(self)
        with self._changed:
            self._state = "closed"
            self._changed.notify_all()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class Hub:
    """The watchers of a database."""

    def __init__(self) -> None:
        self.watchers: tuple[Watch, ...] = ()
        """Replaced, never changed: any thread may look."""
        self._lock = Lock()

    def add(self, watch: Watch) -> None:
        """Tell *watch* what happens from now on."""
        with self._lock:
            self.watchers = (*self.watchers, watch)

    def remove(self, watch: Watch) -> None:
        """Tell it no more."""
        with self._lock:
            self.watchers = tuple(one for one in self.watchers if one is not watch)

    def publish(self, events: list[Event] | None) -> None:
        """Tell all watchers; None: something that could not be read, so they have lagged."""
        wanted: dict[tuple[int | None, int | None], list[Event] | None] = {}
        for watch in self.watchers:
            if watch._wanted not in wanted:
                wanted[watch._wanted] = None if events is None else list(filter(watch._wants, events))
            watch._push(wanted[watch._wanted])

    def close(self) -> None:
        """End all watches: of the current values nothing more can be read."""
        for watch in self.watchers:
            watch._current = None
            watch.close()
