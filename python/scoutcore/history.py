"""Reading one series in time order, as points or as columns, in constant memory."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar

import msgspec

from scoutcore import codec, keys
from scoutcore.blocks import head_size, hidden_of
from scoutcore.codec import cut, cut_texts
from scoutcore.codec.columns import PointColumns, UInts
from scoutcore.codec.constants import INT64_MAX
from scoutcore.model import Point
from scoutcore.numeric import NumberColumns, block_numbers, numbers_of
from scoutcore.rows import floor_and_span

if TYPE_CHECKING:
    from scoutcore.store import Store

if codec.backend == "c":
    from scoutcore.codec import native

T = TypeVar("T")

_decode_points = msgspec.msgpack.Decoder(list[Point]).decode
_encode = msgspec.msgpack.Encoder().encode
_first_byte = itemgetter(0)

_RUN_BYTES: Final = 256 * 1024
"""Blocks decoded at once, as :func:`_weight` counts them."""
_NUMBERS_BYTES: Final = 4096
"""What a block of codec 1 counts for beside its own bytes: it may come to some tens of times these."""
_WINDOW_BLOCKS: Final = 64
"""Blocks by which reading in reverse goes back at a time."""


class Series(NamedTuple):
    """What is read: a row, and the half-open range of its times."""

    troop: int
    uid: str
    scout: int
    report: str
    start: int
    end: int


_Run = list[tuple[bytes, bytes]]
"""Key and value of blocks that follow one another."""
_Take: TypeAlias = Callable[[_Run, int, int, int], "T | None"]
"""Takes what it is after from a run of blocks, from a time to another; None: it cannot, or a block reaches the third
time."""


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
        reverse = self._reverse
        parts = self._in_order(series, _whole_points(series))
        points = chain.from_iterable(map(_points, repeat(series), parts, repeat(reverse)))
        return points if self._limit is None else islice(points, self._limit)

    def columns(self) -> Iterator[PointColumns]:
        """The points as columns, some thousands at a time; see :class:`PointColumns`."""
        left = INT64_MAX if self._limit is None else self._limit
        if self._series is None or left == 0:
            return
        for columns in self._in_order(self._series, _take_nothing):
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

        texts = chain.from_iterable(cut_texts(chunk.data, chunk.starts, chunk.ends) for chunk in chunks)
        return {
            "t": join("t", "int64").view("datetime64[us]"),
            "boot": join("boot", "uint64"),
            "ms": join("ms", "uint64"),
            "clocked": join("clocked", "bool"),
            "data": np.fromiter(texts, object, sum(len(chunk.t) for chunk in chunks)),
        }

    def numbers(self) -> tuple[Any, dict[str, Any]]:
        """The times of the points, and the numbers in their data, as NumPy arrays.

        Returns:
            t (datetime64[us]), and arrays of float64 by name, each as long: of data that is a number that itself, by
            the name ``value``; of objects their members that are numbers. NaN where a point has no such number.

        Raises:
            ImportError: NumPy is not installed.
        """
        import numpy as np

        left = INT64_MAX if self._limit is None else self._limit
        order = slice(None, None, -1 if self._reverse else None)
        times, parts = [np.empty(0, "int64")], []
        if self._series is not None and left > 0:
            for part in self._in_order(self._series, _take_numbers):
                t, values = part if isinstance(part, NumberColumns) else (part.t, numbers_of(part))
                times.append(np.frombuffer(t, "int64")[order][:left])
                parts.append({name: np.frombuffer(column)[order][:left] for name, column in values.items()})
                left -= len(times[-1])
                if left == 0:
                    break
        missing = np.full(max(map(len, times)), np.nan)
        found = {
            name: np.concatenate(
                [part.get(name, missing[: len(t)]) for t, part in zip(times[1:], parts, strict=True)],
            )
            for name in dict.fromkeys(chain.from_iterable(parts))
        }
        return np.concatenate(times).view("datetime64[us]"), found

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """An Arrow stream of ``t`` (timestamp[us, UTC]), ``boot``, ``ms`` (uint64 or null) and ``data`` (JSON, string).

        Raises:
            ImportError: nanoarrow is not installed (the extra ``arrow``).
        """
        from scoutcore.arrow import stream

        return stream(self.columns()).__arrow_c_stream__(requested_schema)

    # --- in order ---

    def _in_order(self, series: Series, take: _Take[T]) -> Iterator[T | PointColumns]:
        """The points in time order, part by part; in reverse the last part first, each still in time order."""
        if self._reverse:
            return self._backward(series, take)
        return self._forward(series, series.start, series.end, take)

    def _backward(self, series: Series, take: _Take[T]) -> Iterator[T | PointColumns]:
        end = series.end
        while end > series.start:
            _, blocks = self._scan(series, series.start, end, reverse=True)
            oldest = [keys.parse_history(key)[0] for key, _ in islice(blocks, _WINDOW_BLOCKS)]
            if not oldest:
                return
            start = max(oldest[-1], series.start) if len(oldest) == _WINDOW_BLOCKS else series.start
            yield from reversed(list(self._forward(series, start, end, take)))
            end = start

    def _forward(self, series: Series, start: int, end: int, take: _Take[T]) -> Iterator[T | PointColumns]:
        run: _Run = []
        size, enough = 0, _RUN_BYTES
        start, blocks = self._scan(series, start, end)
        for block in blocks:
            if size >= enough:
                first_t = keys.parse_history(block[0])[0]
                part, run = self._next(run, first_t, start, end, take)
                yield part
                start = max(start, first_t)
                size = sum(_weight(value) for _, value in run)
                enough = max(_RUN_BYTES, 2 * size)
            run.append(block)
            size += _weight(block[1])
        if run:
            yield self._next(run, INT64_MAX + 1, start, end, take)[0]

    def _next(self, run: _Run, next_t: int, start: int, end: int, take: _Take[T]) -> tuple[T | PointColumns, _Run]:
        """The points of *run* in range and before *next_t*, where the next block begins; and the blocks with more."""
        part = take(run, start, end, next_t)
        if part is not None:
            return part, []
        return self._merge(run, start, min(end, next_t), next_t)

    def _scan(
        self, series: Series, start: int, end: int, reverse: bool = False
    ) -> tuple[int, Iterator[tuple[bytes, bytes]]]:
        """*start*, or where what has not expired begins; and the blocks that may have points from there to *end*."""
        suffix = keys.row_suffix(series.troop, series.scout, series.report)
        record = self._store.get(keys.VIEW + suffix)
        if record is None:
            return start, iter(())
        floor, span = floor_and_span(record)
        start = max(start, floor)
        first, stop = keys.history_range(suffix, start - span, end)
        return start, self._store.scan(first, stop, reverse)

    def _merge(self, run: _Run, start: int, end: int, next_t: int) -> tuple[PointColumns, _Run]:
        """The points of *run* from *start* to *end*, and the blocks that reach *next_t*."""
        values = [value for _, value in run]
        plain = not any(map(_first_byte, values))  # nothing is hidden
        firsts, _, points = codec.decode_blocks(*_joined(values, repeat(1) if plain else map(head_size, values)))
        t = points.t
        if plain and all(t[first - 1] < t[first] for first in firsts[1:-1]):
            return _slice(points, bisect_left(t, start), bisect_left(t, end)), run[-1:] if t[-1] >= next_t else []
        rest = [block for block, behind in zip(run, firsts[1:], strict=True) if t[behind - 1] >= next_t]
        hidden = [hidden_of(value) for value in values]
        places = [keys.parse_history(key) for key, _ in run]
        order = [
            (t[position], self._uuid_of(log), change, index, position)
            for number, (_, log, change) in enumerate(places)
            for index, position in enumerate(range(firsts[number], firsts[number + 1]))
            if start <= t[position] < end and index not in hidden[number]
        ]
        order.sort()
        return _take(points, [entry[4] for entry in order]), rest


def _weight(value: bytes) -> int:
    """Bytes of a block, more where what it is decoded to may be much longer: all but codec 0 without hidden points."""
    return len(value) if value.startswith(b"\0\0") else len(value) + _NUMBERS_BYTES


def _joined(values: list[bytes], heads: Iterable[int]) -> tuple[bytes, UInts, UInts]:
    """*values* one behind another, and where the blocks in them begin, behind their heads, and end."""
    data, offsets = codec.join(values)
    return data, array("Q", map(int.__add__, offsets[:-1], heads)), offsets[1:]


def _take_nothing(*_: object) -> None:
    """For those who want columns."""


def _take_numbers(run: _Run, start: int, end: int, next_t: int) -> NumberColumns | None:
    """The numbers of blocks that lie one behind the other, hide no point, and were written as numbers; else None."""
    values = [value for _, value in run]
    if any(map(_first_byte, values)):
        return None
    found = block_numbers(*_joined(values, repeat(1)))
    if found is None or found.t[-1] >= next_t:
        return None
    part = slice(bisect_left(found.t, start), bisect_left(found.t, end))
    t = found.t[part]
    return NumberColumns(t, {name: column[part] for name, column in found.values.items()} if t else {})


def _whole_points(series: Series) -> _Take[list[Point]]:
    """Makes points of blocks that lie one behind the other, hide none, and are decoded by C; else None."""
    if codec.backend != "c":
        return _take_nothing
    prefix = _encode([series.troop, series.uid, series.scout, series.report])
    prefix = bytes([prefix[0] + 4]) + prefix[1:]  # the array goes on with what C writes

    def take(run: _Run, start: int, end: int, next_t: int) -> list[Point] | None:
        values = [value for _, value in run]
        if any(map(_first_byte, values)):
            return None
        packed = native.points_msgpack(values, start, end, prefix)
        points = None if packed is None else _decode_points(packed)
        return None if points and points[-1].t >= next_t else points

    return take


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


def _points(series: Series, part: list[Point] | PointColumns, reverse: bool) -> Iterable[Point]:
    if isinstance(part, list):
        return part[::-1] if reverse else part
    columns = part
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
