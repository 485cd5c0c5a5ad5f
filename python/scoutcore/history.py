"""Reading one series in time order, as points or as columns, in constant memory."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any, Final

from scoutcore import codec, keys
from scoutcore.codec.columns import PointColumns, cut, offsets_of
from scoutcore.codec.constants import INT64_MAX, INT64_MIN, MAX_BLOCK_SPAN
from scoutcore.model import Point
from scoutcore.views import hidden_of

if TYPE_CHECKING:
    from scoutcore.store import Store

_RUN_BYTES: Final = 256 * 1024
"""Blocks decoded at once."""
_WINDOW_BLOCKS: Final = 64
"""Blocks by which reading in reverse goes back at a time."""


@dataclass(frozen=True)
class Series:
    """What is read: a row, and the half-open range of its times."""

    troop: int
    uid: str
    scout: int
    report: str
    start: int
    end: int


@dataclass(slots=True)
class _Block:
    first_t: int
    log: int
    change: int
    value: bytes


class History:
    """The points of a series. Iterate it, as often as you like, or take columns; nothing is read before."""

    def __init__(
        self, store: Store, uuid_of: Callable[[int], bytes], series: Series | None, reverse: bool, limit: int | None
    ) -> None:
        self._store = store
        self._uuid_of = uuid_of
        self._series = series
        self._reverse = reverse
        self._limit = limit

    def __iter__(self) -> Iterator[Point]:
        series = self._series
        if series is None:
            return iter(())
        points = (point for columns in self._in_order(series) for point in _points(series, columns, self._reverse))
        return points if self._limit is None else islice(points, self._limit)

    def columns(self) -> Iterator[PointColumns]:
        """The points as columns, some thousands at a time; see :class:`PointColumns`."""
        left = INT64_MAX if self._limit is None else self._limit
        if self._series is None or left == 0:
            return
        for columns in self._in_order(self._series):
            if self._reverse:
                columns = _take(columns, range(len(columns.t) - 1, -1, -1))
            columns = _slice(columns, 0, min(left, len(columns.t)))
            yield columns
            left -= len(columns.t)
            if left == 0:
                return

    def to_numpy(self) -> dict[str, Any]:
        """The points as NumPy arrays, by name.

        ``t`` (datetime64[us]), ``boot`` and ``ms`` (uint64, 0 where ``clocked`` is false), ``clocked`` (bool) and
        ``data`` (the JSON texts, str objects).

        Raises:
            ImportError: NumPy is not installed.
        """
        import numpy as np

        chunks = list(self.columns())

        def join(name: str, kind: str) -> Any:
            parts = [np.frombuffer(getattr(chunk, name), kind) for chunk in chunks]
            return np.concatenate(parts) if parts else np.empty(0, kind)

        texts = [text.decode() for chunk in chunks for text in cut(chunk.data, chunk.starts, chunk.ends)]
        return {
            "t": join("t", "int64").view("datetime64[us]"),
            "boot": join("boot", "uint64"),
            "ms": join("ms", "uint64"),
            "clocked": join("clocked", "bool"),
            "data": np.array(texts, object),
        }

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """An Arrow stream of ``t`` (timestamp[us, UTC]), ``boot``, ``ms`` (uint64 or null) and ``data`` (JSON, string).

        Raises:
            ImportError: nanoarrow is not installed (the extra ``arrow``).
        """
        from scoutcore.arrow import stream

        return stream(self.columns()).__arrow_c_stream__(requested_schema)

    # --- in order ---

    def _in_order(self, series: Series) -> Iterator[PointColumns]:
        """The points in time order, column by column; in reverse the last columns first, each still in time order."""
        if not self._reverse:
            yield from self._forward(series, series.start, series.end)
            return
        end = series.end
        suffix = keys.row_suffix(series.troop, series.scout, series.report)
        while end > series.start:
            blocks = self._store.scan(
                keys.history_time(suffix, series.start - MAX_BLOCK_SPAN),
                keys.history_time(suffix, end),
                reverse=True,
            )
            oldest = list(islice((keys.parse_history(key)[0] for key, _ in blocks), _WINDOW_BLOCKS))
            if not oldest:
                return
            start = max(oldest[-1], series.start) if len(oldest) == _WINDOW_BLOCKS else series.start
            yield from reversed(list(self._forward(series, start, end)))
            end = start

    def _forward(self, series: Series, start: int, end: int) -> Iterator[PointColumns]:
        run: list[_Block] = []
        size = 0
        for block in self._blocks(series, start, end):
            if size >= _RUN_BYTES:
                done, run = self._merge(run, block.first_t)
                size = sum(len(one.value) for one in run)
                yield from _inside(done, start, end)
            run.append(block)
            size += len(block.value)
        done, _ = self._merge(run, INT64_MAX + 1)
        yield from _inside(done, start, end)

    def _blocks(self, series: Series, start: int, end: int) -> Iterator[_Block]:
        suffix = keys.row_suffix(series.troop, series.scout, series.report)
        blocks = self._store.scan(keys.history_time(suffix, start - MAX_BLOCK_SPAN), keys.history_time(suffix, end))
        for key, value in blocks:
            yield _Block(*keys.parse_history(key), value)

    def _merge(self, run: list[_Block], next_t: int) -> tuple[PointColumns | None, list[_Block]]:
        """The points of the blocks of *run* that end before *next_t*, or before a later block begins; and the rest."""
        if not run:
            return None, run
        hidden = [hidden_of(block.value) for block in run]
        offsets = offsets_of(len(block.value) for block in run)
        heads = array("Q", [5 + 4 * len(ones) if ones else 1 for ones in hidden])
        starts = array("Q", map(int.__add__, offsets, heads))
        firsts, _, points = codec.decode_blocks(b"".join([block.value for block in run]), starts, offsets[1:])
        horizon = INT64_MIN - 1
        whole = disjoint = 0
        for index, block in enumerate(run):
            if block.first_t > horizon:
                whole = index
                disjoint += 1
            horizon = max(horizon, points.t[firsts[index + 1] - 1])
        if next_t > horizon:
            whole = len(run)
        if whole == 0:
            return None, run
        count = firsts[whole]
        if disjoint >= whole and not any(hidden[:whole]):
            return _slice(points, 0, count), run[whole:]
        order = [
            (points.t[position], self._uuid_of(block.log), block.change, index, position)
            for number, block in enumerate(run[:whole])
            for index, position in enumerate(range(firsts[number], firsts[number + 1]))
            if index not in hidden[number]
        ]
        order.sort()
        return _take(points, [entry[4] for entry in order]), run[whole:]


def _inside(points: PointColumns | None, start: int, end: int) -> Iterator[PointColumns]:
    if points is not None:
        found = _slice(points, bisect_left(points.t, start), bisect_left(points.t, end))
        if found.t:
            yield found


def _slice(points: PointColumns, start: int, end: int) -> PointColumns:
    if start == 0 and end == len(points.t):
        return points
    t, clocked, boot, ms, data, starts, ends = points
    part = slice(start, end)
    return PointColumns(t[part], clocked[part], boot[part], ms[part], data, starts[part], ends[part])


def _take(points: PointColumns, order: Any) -> PointColumns:
    def take(column: array[int]) -> array[int]:
        return array(column.typecode, map(column.__getitem__, order))

    t, clocked, boot, ms, data, starts, ends = points
    return PointColumns(take(t), take(clocked), take(boot), take(ms), data, take(starts), take(ends))


def _points(series: Series, columns: PointColumns, reverse: bool) -> Iterator[Point]:
    boots: Any = columns.boot
    times: Any = columns.ms
    if not all(columns.clocked):
        boots = [boot if clocked else None for boot, clocked in zip(columns.boot, columns.clocked, strict=True)]
        times = [ms if clocked else None for ms, clocked in zip(columns.ms, columns.clocked, strict=True)]
    texts = cut(columns.data, columns.starts, columns.ends)
    fields = [columns.t, texts, boots, times]
    if reverse:
        fields = list(map(reversed, fields))
    return map(Point, repeat(series.troop), repeat(series.uid), repeat(series.scout), repeat(series.report), *fields)
