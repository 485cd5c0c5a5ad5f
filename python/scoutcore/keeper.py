"""Keeps to the rules of retention: takes what has expired out of every row, when asked to and once a minute."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Final

from scoutcore import keys
from scoutcore.codec.constants import INT64_MIN
from scoutcore.commit import Commit
from scoutcore.errors import Error
from scoutcore.retention import APPLIED

if TYPE_CHECKING:
    from scoutcore.database import Database

Name = tuple[int, int, str]
_ROWS: Final = 256
"""Rows that are seen to in one commit."""
_BLOCKS: Final = 512
"""Blocks of a row that go in one commit."""
_PAUSE: Final = 60.0
_SHARE: Final = 0.05
"""The most of the time that goes into looking for what has expired."""
_log = logging.getLogger("scoutcore")


class Keeper:
    """Sees to it that a database's readings expire."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._stop = Event()
        self._thread: Thread | None = None

    def apply(self, change: Callable[[], None]) -> int:
        """Make a *change* to rules or floors, and take out what has expired then; returns how many receptions did.

        Raises:
            StorageError, ClosedError: it goes on where it was when it is called again.
        """
        database = self._database
        with self._lock:
            with database._between_commits():  # no commit may see two floors
                change()
            record = database._retention.dump()
            if database._store.get(APPLIED) == record:
                return 0
            went = 0
            names = self._expiring()
            while batch := list(islice(names, _ROWS)):
                while batch and not self._stop.is_set():
                    gone, batch = database._submit(lambda commit, batch=batch: self._expire(commit, batch))  # type: ignore[misc]
                    went += gone
                if self._stop.is_set():
                    return went
            database._submit(lambda commit: commit.put(APPLIED, record))
            return went

    def _expiring(self) -> Iterator[Name]:
        """The rows with blocks that begin before their floor."""
        store, floor_of = self._database._store, self._database._retention.floor
        for key, _ in store.scan(keys.VIEW, keys.after(keys.VIEW)):
            troop, scout, report = keys.parse_view(key)
            if scout is None or report is None:
                continue
            floor = floor_of(report)
            if floor > INT64_MIN:
                start, stop = keys.history_range(keys.row_suffix(troop, scout, report), INT64_MIN, floor)
                if next(store.scan(start, stop), None) is not None:
                    yield troop, scout, report

    def _expire(self, commit: Commit, names: list[Name]) -> tuple[int, list[Name]]:
        """Take one step in each row; how many receptions went, and the rows that need more."""
        database = self._database
        went, left = 0, []
        for troop, scout, report in names:
            stored = database._rows.get(commit, (troop, database._metadata.uid_of[troop], scout, report))
            row = stored.load(database._logs)
            floor = database._retention.floor(report)
            went += database._views.expiry.raise_floor(commit, row, floor, _BLOCKS)
            stored.record = row.dump(database._logs)
            if row.floor < floor:
                left.append((troop, scout, report))
        return went, left

    @contextmanager
    def held(self) -> Iterator[None]:
        """All that is to expire by now has, and nothing more does."""
        self._database.expire()
        with self._lock:
            yield

    def watch_the_clock(self) -> None:
        """From now on, apply the rules once a minute."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="scoutcore retention", daemon=True)
            self._thread.start()

    def expire(self) -> None:
        """Apply the rules. Where the disk refuses, the database goes on all the same, and it is tried again."""
        try:
            self._database.expire()
        except Error as problem:
            if not self._stop.is_set():
                _log.warning("%r: readings could not expire: %s", self._database, problem)

    def _run(self) -> None:
        pause = _PAUSE
        while not self._stop.wait(pause):
            begin = time.monotonic()
            self.expire()
            pause = max(_PAUSE, (time.monotonic() - begin) / _SHARE)

    def close(self) -> None:
        """End, after the commit under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
