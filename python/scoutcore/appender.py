"""Our own changes: reports become blocks, blocks become changes of our log, and these go into the views."""

from __future__ import annotations

from scoutcore import codec
from scoutcore.clock import WriteClock
from scoutcore.commit import Commit
from scoutcore.ingest import Batch, Series
from scoutcore.log import Logs
from scoutcore.model import Point
from scoutcore.ndjson import Parsed
from scoutcore.rows import Rows
from scoutcore.views import Views


class Appender:
    """Writes reports. Everything that it does belongs to the commit it is given."""

    def __init__(self, logs: Logs, rows: Rows, views: Views, clock: WriteClock, limit: int) -> None:
        """*limit*: the greatest number that a change or a row's version may have."""
        self._logs = logs
        self._rows = rows
        self._views = views
        self._clock = clock
        self._limit = limit

    def append(self, commit: Commit, batch: Batch) -> None:
        """Write a batch as changes of our own log, and into the views."""
        if not batch.codes:
            return
        if batch.unstamped:
            last = self._clock.take(len(batch.unstamped))
            for stamp, index in enumerate(batch.unstamped, last - len(batch.unstamped) + 1):
                batch.points.t[index] = stamp
        else:
            last = self._clock.take()
        rows = self._rows.get_all(commit, batch.series)
        newest = self._views.retention.newest
        log = self._logs.room_for_one(commit)
        while True:
            first = log.head + 1
            about = self._logs.uuids, log.number, newest, first, self._limit
            made = codec.append_blocks(batch.points, batch.codes, last, rows, *about)
            if made is not None and self._logs.fits(log, made.frames):
                break
            log = self._logs.start_own(commit)
        frames, row_of, starts, ends, added = made
        changes = range(first, first + len(row_of))
        chunk = log.chunk_key("sensor", first, changes[-1])
        self._views.put(commit, log, changes, rows, row_of, frames, starts, ends, added, chunk)
        self._logs.append(commit, log, "sensor", frames, len(row_of))

    def append_point(self, commit: Commit, series: Series, point: Parsed) -> Point:
        """Write a batch of one: the same as :meth:`append`, with one crossing into C and no columns."""
        # Arguments one by one: a call with a star takes three times as long.
        troop, uid, scout, report = series
        write_time = self._clock.take()
        t = write_time if point.t is None else point.t
        boot, ms = point.clock
        clock = None if boot is None or ms is None else (boot, ms)
        row = self._rows.get(commit, series)
        log = self._logs.room_for_one(commit)
        while True:
            # fmt: off
            added = codec.add_point(
                row, self._logs.uuids, log.number, self._views.retention.newest, log.head + 1, self._limit,
                write_time, t, clock, point.data,
            )
            # fmt: on
            if added is not None and self._logs.fits(log, added[0]):
                break
            log = self._logs.start_own(commit)
        change = self._logs.append(commit, log, "sensor", added[0], 1)
        self._views.add_point(commit, log, change, row, added)
        return Point(troop, uid, scout, report, t, point.data, boot, ms)
