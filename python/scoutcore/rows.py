"""A row is one series: a report of a scout of a troop. Its record has the last value and what merging needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from scoutcore import keys
from scoutcore.clock import DAY
from scoutcore.codec import recent
from scoutcore.codec.columns import (
    CLOCKED_EVER,
    CLOCKED_LAST,
    EMPTY,
    CodecRow,
    Record,
    decode_record,
    dump_record,
    load_record,
)
from scoutcore.codec.constants import INT64_MIN
from scoutcore.commit import Commit
from scoutcore.log import Logs
from scoutcore.model import Point
from scoutcore.store import Store

_MAX_CACHED: Final = 65_536

Rank = tuple[int, int, bytes, int, int]
RowName: TypeAlias = tuple[int, str, int, str]
"""Troop, its uid, scout and report."""


class StoredRow(CodecRow):
    """One row: its record as it is stored, the keys that each commit needs, and its names."""

    view_key: bytes
    troop: int
    uid: str
    scout: int
    report: str

    @classmethod
    def named(cls, troop: int, uid: str, scout: int, report: str) -> StoredRow:
        """The row of these names, without a record."""
        suffix = keys.row_suffix(troop, scout, report)
        return cls(
            keys.sensor_key(uid, scout, report).encode(), suffix, b"", keys.VIEW + suffix, troop, uid, scout, report
        )

    def load(self, logs: Logs) -> Row:
        """The row with its record unpacked."""
        row = Row(self.troop, self.uid, self.scout, self.report)
        return row.load(self.record, logs) if self.record else row


class Row:
    """One row, with its record unpacked."""

    __slots__ = (
        "boot",
        "clocked",
        "data",
        "floor",
        "history_key",
        "max_clock",
        "ms",
        "own_count",
        "own_log",
        "points",
        "rank",
        "recent",
        "receptions",
        "report",
        "scout",
        "span",
        "suffix",
        "t",
        "troop",
        "uid",
        "view_key",
        "widest",
    )

    def __init__(self, troop: int, uid: str, scout: int, report: str) -> None:
        self.troop = troop
        self.uid = uid
        self.scout = scout
        self.report = report
        self.suffix = keys.row_suffix(troop, scout, report)
        self.view_key = keys.VIEW + self.suffix
        self.history_key = keys.HISTORY + self.suffix + b"\0"
        self.own_log = -1
        """Local number of the log of ours that ``own_count`` speaks of."""
        self.own_count = 0
        """Points of this row in that log."""
        self.points = 0
        self.receptions = 0
        self.max_clock = (-1, -1)
        """The greatest (boot, ms) seen."""
        self.widest = 0
        """The most ms that an entry of the clock index spans."""
        self.span = 0
        """The longest time from a block's first point to its last, in µs: how far back reading has to look."""
        self.floor = INT64_MIN
        """What was before it has expired: the row is what is left of its receptions, by their own ``t``."""
        self.recent = b""
        """See :mod:`scoutcore.codec.recent`."""
        self.rank: Rank | None = None
        """(min(t, write time), t, log uuid, change, index) of the last value's reception."""
        self.clocked = False
        self.boot = self.ms = 0
        """The last value's reading, if ``clocked``."""
        self.t = 0
        self.data = b""
        """The last value as shown."""

    def load(self, record: bytes, logs: Logs) -> Row:
        """Take over a record made by :meth:`dump`."""
        one = load_record(record)
        flags = one.flags
        self.own_log = one.own_log - 1
        self.own_count, self.points, self.receptions = one.own_count, one.points, one.receptions
        self.max_clock = (one.max_boot, one.max_ms) if flags & CLOCKED_EVER else (-1, -1)
        self.widest, self.span, self.floor = one.widest, one.span, one.floor
        self.recent = one.recent
        self.rank = None if flags & EMPTY else (one.low, one.t, logs.by_number[one.log].uuid, one.change, one.index)
        self.clocked = bool(flags & CLOCKED_LAST)
        self.t, self.boot, self.ms, self.data = one.shown_t, one.boot, one.ms, one.data
        return self

    def forget_recent(self, clock: tuple[int, int]) -> None:
        """Start anew with its recent readings: some up to *clock* come that are not told of one by one."""
        if self.recent:
            self.recent = recent.start(max(self.max_clock, clock)[1])

    def dump(self, logs: Logs) -> bytes:
        """The record in LevelDB."""
        low, t, log, change, index = self.rank or (0, 0, b"", 0, 0)
        boot, ms = self.max_clock
        flags = 0 if self.rank else EMPTY
        if boot >= 0:
            flags |= CLOCKED_EVER
        else:
            boot = ms = 0
        if self.clocked:
            flags |= CLOCKED_LAST
        return dump_record(
            Record(
                flags,
                self.own_log + 1,
                self.own_count,
                self.points,
                self.receptions,
                boot,
                ms,
                self.widest,
                low,
                t,
                logs.by_uuid[log].number if self.rank else 0,
                change,
                index,
                self.t,
                self.boot,
                self.ms,
                self.floor,
                self.span,
                self.recent,
                self.data,
            )
        )


def last_point(record: bytes, troop: int, uid: str, scout: int, report: str) -> Point | None:
    """The last value in a row's record; None where all has expired."""
    one = decode_record(record)
    if one.flags & EMPTY:
        return None
    boot, ms = (one.boot, one.ms) if one.flags & CLOCKED_LAST else (None, None)
    return Point(troop, uid, scout, report, one.shown(), one.data, boot, ms)


def floor_and_span(record: bytes) -> tuple[int, int]:
    """Before when everything has expired, and the longest span of a block, in a row's record; µs."""
    one = decode_record(record)
    return one.shown_floor(), one.span


def counts(record: bytes) -> tuple[int, int]:
    """Points and receptions in a row's record."""
    one = decode_record(record)
    return one.points, one.receptions


def is_ahead(record: bytes, now: int) -> bool:
    """Whether the last value in a record is of a day from *now* or later: when it was, and when it was written."""
    one = load_record(record)
    return not one.flags & EMPTY and one.low > now + DAY


class Rows:
    """The rows in use, so that their records are not read again for every commit."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._rows: dict[RowName, StoredRow] = {}
        self.by_key: dict[bytes, StoredRow] = {}
        """Those of them that changes were applied to, by the key of these."""

    def get(self, commit: Commit, name: RowName) -> StoredRow:
        """The row, as it stands in *commit*."""
        row = self._rows.get(name)
        if row is None:
            row = StoredRow.named(*name)
            row.record = commit.get(row.view_key) or b""
            self._rows[name] = row
        return row

    def get_all(self, commit: Commit, names: Sequence[RowName]) -> list[StoredRow]:
        """The rows of these names."""
        rows = list(filter(None, map(self._rows.get, names)))
        return rows if len(rows) == len(names) else [self.get(commit, name) for name in names]

    def read(self, store: Store, troop: int, uid: str, scout: int, report: str) -> Row | None:
        """The row as it stands in the store, for readers; None where there is none."""
        row = Row(troop, uid, scout, report)
        record = store.get(row.view_key)
        return row.load(record, self._logs) if record else None

    def trim(self) -> None:
        """Forget rows, so that memory does not grow with their number. Only between commits."""
        if len(self._rows) > _MAX_CACHED:
            self._rows.clear()
            self.by_key.clear()
