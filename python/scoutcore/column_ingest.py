"""Reports given as columns: arrays of series, times, clocks and data, taken in without an object per report."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from scoutcore import codec, ndjson
from scoutcore.codec.columns import ReportName, Reports, UInts
from scoutcore.errors import InvalidError, ReportError
from scoutcore.ingest import MANY_SERIES
from scoutcore.model import encode_json

if codec.backend == "c":
    from scoutcore.codec import native

Column: TypeAlias = Any
"""A NumPy array, ``array.array`` or any other one-dimensional contiguous buffer of numbers."""

BATCH_ROWS: Final = 50_000
"""Reports taken into one commit."""
_WHOLE: Final = frozenset("bBhHiIlLqQnN")
_FLOAT: Final = frozenset("efd")


class Columns:
    """What ``Database.ingest_columns`` is given, looked at as a whole; its parts become reports as they are asked for.

    Raises:
        InvalidError: columns of unequal length, or something that is no such column.
    """

    def __init__(
        self,
        series: Sequence[tuple[int, int, str]],
        codes: Column,
        t: Column | None,
        data: Column | bytes,
        boot: Column | None,
        ms: Column | None,
    ) -> None:
        self._codes = _column("codes", codes, "I")
        self._limit = len(series)
        self._names: list[ReportName] = [(troop, None, None, scout, report) for troop, scout, report in series]
        if codec.order_codes(self._codes, self._limit) is None:
            raise InvalidError(f"codes has {max(self._codes)}, but there are {self._limit} series")
        if (boot is None) != (ms is None):
            raise InvalidError("boot and ms are given together or not at all")
        self._t = None if t is None else _column("t", t, "q")
        self._boot = None if boot is None else _column("boot", boot, "Q")
        self._ms = None if ms is None else _column("ms", ms, "Q")
        self._texts: _Texts | None = None
        if isinstance(data, (bytes, bytearray)):
            self._texts = _items(bytes(data), len(self))
        else:
            self._numbers = _numbers(data)
        items = self._numbers if self._texts is None else self._texts.starts
        for name, column in (("t", self._t), ("boot", self._boot), ("ms", self._ms), ("data", items)):
            if column is not None and len(column) != len(self):
                raise InvalidError(f"{name} has {len(column)} items, codes has {len(self)}")

    def __len__(self) -> int:
        return len(self._codes)

    def part(self, start: int, end: int) -> tuple[Reports, dict[int, str]]:
        """The rows from *start* to *end* as reports, counted from 0 again; and what is wrong with which of them."""
        codes = self._codes[start:end]
        ordered = codec.order_codes(codes, self._limit)
        if ordered is None:
            raise InvalidError("codes changed while they were read")
        numbers, used = ordered
        count = len(numbers)
        if self._texts is None:
            texts, bad = _texts_of(self._numbers[start:end])
        else:
            texts = self._texts.part(start, end)
            bad = {} if texts.plain else _judge(texts)

        def taken(column: memoryview | None, typecode: str) -> array[Any]:
            return array(typecode, [0]) * count if column is None else _copied(column[start:end], typecode)

        stamped, clocked = (array("B", [column is not None]) * count for column in (self._t, self._boot))
        columns = taken(self._t, "q"), stamped, clocked, taken(self._boot, "Q"), taken(self._ms, "Q")
        names = [self._names[code] for code in used]
        items = texts.starts, texts.ends, texts.data
        return Reports(range(count), numbers, *columns, *items, names, [], count), bad

    def groups(self) -> Iterator[tuple[int, Reports, dict[int, str]]]:
        """Parts for one commit each, and where they begin; smaller ones where they are of many series."""
        begin, size = 0, BATCH_ROWS
        while begin < len(self):
            part, bad = self.part(begin, begin + size)
            if size == BATCH_ROWS and len(part.names) > MANY_SERIES:
                size = BATCH_ROWS // 4
                continue
            yield begin, part, bad
            begin += size


class _Texts(NamedTuple):
    """JSON texts: ``data[starts[i]:ends[i]]``; *plain*: they are known to be right."""

    data: bytes
    starts: UInts
    ends: UInts
    plain: bool

    def part(self, start: int, end: int) -> _Texts:
        return self._replace(starts=self.starts[start:end], ends=self.ends[start:end])


def _column(name: str, values: Column, typecode: Literal["I", "q", "Q"]) -> memoryview[int]:
    """*values* as they stand, or as an array of its own; raises InvalidError where they are no such numbers."""
    try:
        view = memoryview(values)
    except TypeError:
        raise InvalidError(f"{name} is not a column: {type(values).__name__} has no buffer") from None
    kind = _kind(view)
    if view.ndim != 1 or kind not in _WHOLE:
        raise InvalidError(f"{name} is not a column of whole numbers")
    try:
        if view.itemsize == array(typecode).itemsize and kind.islower() == typecode.islower() and view.contiguous:
            return view.cast("B").cast(typecode)
        return memoryview(array(typecode, view.tolist()))
    except OverflowError:
        raise InvalidError(f"{name} has a number that does not fit") from None


def _kind(view: memoryview) -> str:
    return view.format.lstrip("@")


def _copied(column: memoryview, typecode: str) -> array[Any]:
    """An array that nobody else has: C reads it more than once."""
    taken = array(typecode)
    taken.frombytes(column.cast("B"))
    return taken


def _numbers(data: Column) -> memoryview:
    """A data column that is no text."""
    try:
        view = memoryview(data)
    except TypeError:
        raise InvalidError(f"data is not a column: {type(data).__name__} has no buffer") from None
    if view.ndim != 1 or _kind(view) not in _WHOLE | _FLOAT:
        raise InvalidError("data is the text of a JSON array, or a column of numbers")
    return view


def _texts_of(numbers: memoryview) -> tuple[_Texts, dict[int, str]]:
    """The texts of numbers, and those that JSON cannot say."""
    kind = _kind(numbers)
    typecode = "d" if kind in _FLOAT else "q"
    try:
        if numbers.contiguous and numbers.itemsize == 8 and kind.islower():
            column = _copied(numbers, typecode)
        else:
            column = array(typecode, numbers.tolist())
        texts = codec.number_texts(column)
        if texts is not None:
            return _Texts(*texts, True), {}
    except OverflowError:
        pass  # over 63 bits
    values = numbers.tolist()
    bad = {}
    if kind in _FLOAT and not all(map(math.isfinite, values)):
        bad = {row: "data is NaN or infinite" for row, value in enumerate(values) if not math.isfinite(value)}
    return _items(encode_json(values), len(values)), bad


def _items(text: bytes, count: int) -> _Texts:
    """The items of a JSON array, which should be *count*.

    Raises:
        InvalidError: it is no JSON array.
    """
    if codec.backend == "c":
        found = native.json_items(text, count + 1)
        if found is not None:
            return _Texts(text, *found, True)
    try:
        raws = msgspec.json.decode(text, type=list[msgspec.Raw])
    except (ValueError, RecursionError) as problem:
        raise InvalidError(f"data is not a JSON array: {problem}") from None
    starts, ends = array("Q"), array("Q")
    end = 0
    for raw in map(bytes, raws):
        start = text.index(raw, end + 1)  # only brackets, commas and spaces lie between
        end = start + len(raw)
        starts.append(start)
        ends.append(end)
    return _Texts(text, starts, ends, False)


def _judge(texts: _Texts) -> dict[int, str]:
    """The items that cannot be data, and why."""
    bad: dict[int, str] = {}
    for row, (start, end) in enumerate(zip(texts.starts, texts.ends, strict=True)):
        try:
            ndjson.check_text(texts.data[start:end])
        except ReportError as problem:
            bad[row] = str(problem)
    return bad
