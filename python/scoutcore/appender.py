"""Our own changes: reports become blocks, blocks become changes of our log, and these go into the views."""

from __future__ import annotations

from array import array
from typing import Final

from scoutcore import codec
from scoutcore.clock import WriteClock
from scoutcore.codec.columns import ChangeColumns, offsets_of
from scoutcore.codec.constants import UINT32_MAX
from scoutcore.commit import Commit
from scoutcore.ingest import Batch, Series
from scoutcore.log import Logs
from scoutcore.model import Point
from scoutcore.ndjson import Parsed
from scoutcore.rows import Rows
from scoutcore.views import Views

_SUBSET: Final = b"sensor"


class Appender:
    """Writes reports. Everything that it does belongs to the commit it is given."""

    def __init__(self, logs: Logs, rows: Rows, views: Views, clock: WriteClock, max_version: int) -> None:
        self._logs = logs
        self._rows = rows
        self._views = views
        self._clock = clock
        self._max_version = max_version

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
        rows = [self._rows.get(commit, *series) for series in batch.series]
        blocks = codec.encode_blocks(batch.points, batch.codes, last)
        block_rows = [rows[number] for number in blocks.series]
        sizes = [end - first for first, end in zip(blocks.firsts, blocks.firsts[1:], strict=False)]
        count = len(block_rows)
        row_keys = [row.wire_key for row in block_rows]
        key_offsets = offsets_of(map(len, row_keys))
        log = self._logs.room_for(commit, count)
        while True:
            before, after = array("I"), array("I")
            versions: dict[int, int] = {}
            for number, row, size in zip(blocks.series, block_rows, sizes, strict=True):
                version = versions.get(number)
                if version is None:
                    version = row.own_count if row.own_log == log.number else 0
                before.append(min(version, UINT32_MAX))  # what is beyond goes to a new log
                versions[number] = version + size
                after.append(min(version + size, UINT32_MAX))
            columns = ChangeColumns(
                _SUBSET,
                array("Q", bytes(8 * count)),
                array("Q", [len(_SUBSET)]) * count,
                b"".join(row_keys),
                key_offsets[:-1],
                key_offsets[1:],
                blocks.data,
                blocks.offsets[:-1],
                blocks.offsets[1:],
                array("I", range(log.head + 1, log.head + 1 + count)),
                before,
                after,
            )
            frames, _ = codec.encode_changes(columns)
            if max(versions.values()) <= self._max_version and self._logs.fits(log, frames):
                break
            log = self._logs.start_own(commit)
        first = self._logs.append(commit, log, "sensor", frames, count)
        for number, version in versions.items():
            rows[number].own_log = log.number
            rows[number].own_count = version
        self._views.add(
            commit, log, range(first, first + count), block_rows, blocks.data, blocks.offsets[:-1], blocks.offsets[1:]
        )

    def append_point(self, commit: Commit, series: Series, point: Parsed) -> Point:
        """Write a batch of one: the same as :meth:`append`, with one crossing into C and no columns."""
        write_time = self._clock.take()
        t = write_time if point.t is None else point.t
        boot, ms = point.clock
        clock = None if boot is None or ms is None else (boot, ms)
        row = self._rows.get(commit, *series)
        log = self._logs.room_for(commit, 1)
        while True:
            version = row.own_count if row.own_log == log.number else 0
            versions = log.head + 1, version, min(version + 1, UINT32_MAX)
            frame, start = codec.encode_point(row.wire_key, versions, write_time, t, clock, point.data)
            if version < self._max_version and self._logs.fits(log, frame):
                break
            log = self._logs.start_own(commit)
        change = self._logs.append(commit, log, "sensor", frame, 1)
        row.own_log, row.own_count = log.number, version + 1
        self._views.add_point(commit, log, change, row, frame[start:], write_time, t, clock, point.data)
        return Point(*series, t, point.data, boot, ms)
