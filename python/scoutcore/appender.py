"""Our own changes: reports become blocks, blocks become changes of our log, and these go into the views."""

from __future__ import annotations

from array import array
from operator import add, sub
from typing import Final

from scoutcore import codec
from scoutcore.clock import WriteClock
from scoutcore.codec.columns import Blocks, ChangeColumns, UInts
from scoutcore.commit import Commit
from scoutcore.ingest import Batch, Series
from scoutcore.log import Logs
from scoutcore.model import Point
from scoutcore.ndjson import Parsed
from scoutcore.rows import Rows, StoredRow
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
        rows = self._rows.get_all(commit, batch.series)
        blocks = codec.encode_blocks(batch.points, batch.codes, last)
        count = len(blocks.series)
        row_keys = [rows[number].wire_key for number in blocks.series]
        key_data, key_offsets = codec.join(row_keys)
        log = self._logs.room_for(commit, count)
        while True:
            before, after, fits = _versions(rows, log.number, blocks, self._max_version)
            changes = array("I", range(log.head + 1, log.head + 1 + count))
            columns = ChangeColumns(
                _SUBSET,
                array("Q", bytes(8 * count)),
                array("Q", [len(_SUBSET)]) * count,
                key_data,
                key_offsets[:-1],
                key_offsets[1:],
                blocks.data,
                blocks.offsets[:-1],
                blocks.offsets[1:],
                changes,
                before,
                after,
            )
            frames, _ = codec.encode_changes(columns)
            if fits and self._logs.fits(log, frames):
                break
            log = self._logs.start_own(commit)
        for number, version in zip(blocks.series, after, strict=True):
            rows[number].own_count = version
        slices = blocks.offsets[:-1], blocks.offsets[1:]
        self._views.add(commit, log, changes, rows, blocks.series, after, blocks.data, *slices)
        self._logs.append(commit, log, "sensor", frames, count)

    def append_point(self, commit: Commit, series: Series, point: Parsed) -> Point:
        """Write a batch of one: the same as :meth:`append`, with one crossing into C and no columns."""
        # Arguments one by one: a call with a star takes three times as long.
        troop, uid, scout, report = series
        write_time = self._clock.take()
        t = write_time if point.t is None else point.t
        boot, ms = point.clock
        clock = None if boot is None or ms is None else (boot, ms)
        row = self._rows.get(commit, series)
        log = self._logs.room_for(commit, 1)
        while True:
            version = row.version(log.number)
            if version < self._max_version:
                numbers = log.head + 1, version, version + 1
                # fmt: off
                added = codec.add_point(
                    row.wire_key, row.suffix, row.record, self._logs.uuids, log.number, self._views.retention.newest,
                    numbers, write_time, t, clock, point.data,
                )
                # fmt: on
                if self._logs.fits(log, added[0]):
                    break
            log = self._logs.start_own(commit)
        row.own_count = version + 1
        change = self._logs.append(commit, log, "sensor", added[0], 1)
        self._views.add_point(commit, log, change, row, added)
        return Point(troop, uid, scout, report, t, point.data, boot, ms)


def _versions(rows: list[StoredRow], log: int, blocks: Blocks, most: int) -> tuple[UInts, UInts, bool]:
    """Versions of its row before and after each block, in our log of this number; and whether all are within *most*."""
    now = [row.own_count if row.own_log == log else row.version(log) for row in rows]
    sizes = list(map(sub, blocks.firsts[1:], blocks.firsts))
    if len(sizes) == len(rows):  # one block each, in their order
        before, after = now, list(map(add, now, sizes))
    else:
        before, after = [], []
        for number, size in zip(blocks.series, sizes, strict=True):
            before.append(now[number])
            now[number] += size
            after.append(now[number])
    fits = max(after) <= most
    if not fits:  # this goes to a new log; 32 bits will do
        before, after = [0] * len(before), [0] * len(after)
    return array("I", before), array("I", after), fits
