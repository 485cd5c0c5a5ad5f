"""Reports given as columns: arrays of series, times, clocks and data, taken in without an object per report."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

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


def rows_of(
    series: Sequence[tuple[int, int, str]],
    codes: Column,
    t: Column | None,
    data: Column | bytes,
    boot: Column | None,
    ms: Column | None,
) -> tuple[Reports, dict[int, str]]:
    """The columns as reports, and what is wrong with the data of which of them; see ``Database.ingest_columns``."""
    numbers = _column("codes", codes, "I")
    count = len(numbers)
    ordered = codec.order_codes(numbers, len(series))
    if ordered is None:
        raise InvalidError(f"codes has {max(numbers)}, but there are {len(series)} series")
    if (boot is None) != (ms is None):
        raise InvalidError("boot and ms are given together or not at all")
    clocked = array("B", [boot is not None]) * count
    columns = [
        array("q", [0]) * count if t is None else _column("t", t, "q"),
        array("Q", [0]) * count if boot is None else _column("boot", boot, "Q"),
        array("Q", [0]) * count if ms is None else _column("ms", ms, "Q"),
    ]
    text, bad = _json(data)
    starts, ends, plain = _items(text, count)
    for name, column in zip(("t", "boot", "ms", "data"), [*columns, starts], strict=True):
        if len(column) != count:
            raise InvalidError(f"{name} has {len(column)} items, codes has {count}")
    if not plain:
        bad.update(_judge(text, starts, ends))
    named: list[ReportName] = [(troop, None, None, scout, report) for troop, scout, report in series]
    numbers, used = ordered
    names = [named[code] for code in used]
    stamped = array("B", [t is not None]) * count
    times, boots, clocks = columns
    return Reports(range(count), numbers, times, stamped, clocked, boots, clocks, starts, ends, text, names, []), bad


def slice_reports(reports: Reports, start: int, end: int) -> Reports:
    """Some rows of *reports*, counted from 0 again, with the names that they use in order of appearance."""
    *columns, data, names, _ = reports
    rest = [column[start:end] for column in columns[2:]]
    ordered = codec.order_codes(reports.codes[start:end], len(names))
    assert ordered is not None
    codes, used = ordered
    return Reports._make([range(len(codes)), codes, *rest, data, [names[code] for code in used], []])


def groups(reports: Reports) -> Iterator[tuple[int, Reports]]:
    """*reports* in groups for one commit each, and where they begin; smaller ones where they are of many series."""
    begin, size = 0, BATCH_ROWS
    while begin < len(reports.lines):
        part = slice_reports(reports, begin, begin + size)
        if size == BATCH_ROWS and len(part.names) > MANY_SERIES:
            size = BATCH_ROWS // 4
            continue
        yield begin, part
        begin += size


def _column(name: str, values: Column, typecode: str) -> array[Any]:
    """*values* as an array of its own; raises InvalidError where they are no such numbers."""
    try:
        view = memoryview(values)
    except TypeError:
        raise InvalidError(f"{name} is not a column: {type(values).__name__} has no buffer") from None
    kind = (view.format or "").lstrip("@=<")
    if view.ndim != 1 or kind not in _WHOLE:
        raise InvalidError(f"{name} is not a column of whole numbers")
    try:
        if view.itemsize == array(typecode).itemsize and kind.islower() == typecode.islower() and view.contiguous:
            taken = array(typecode)
            taken.frombytes(view.cast("B"))
            return taken
        return array(typecode, view.tolist())
    except OverflowError:
        raise InvalidError(f"{name} has a number that does not fit") from None


def _json(data: Column | bytes) -> tuple[bytes, dict[int, str]]:
    """A data column as the text of a JSON array, and the items that JSON cannot say."""
    if isinstance(data, (bytes, bytearray)):
        return bytes(data), {}
    try:
        view = memoryview(data)
    except TypeError:
        raise InvalidError(f"data is not a column: {type(data).__name__} has no buffer") from None
    kind = (view.format or "").lstrip("@=<")
    if view.ndim != 1 or kind not in _WHOLE | _FLOAT:
        raise InvalidError("data is the text of a JSON array, or a column of numbers")
    values = view.tolist()
    bad = {}
    if kind in _FLOAT and not all(map(math.isfinite, values)):
        bad = {row: "data is NaN or infinite" for row, value in enumerate(values) if not math.isfinite(value)}
    return encode_json(values), bad


def _items(text: bytes, count: int) -> tuple[UInts, UInts, bool]:
    """Where the items of a JSON array stand, and whether C has found nothing wrong in them.

    Raises:
        InvalidError: it is no JSON array.
    """
    if codec.backend == "c":
        found = native.json_items(text, count + 1)
        if found is not None:
            return *found, True
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
    return starts, ends, False


def _judge(text: bytes, starts: UInts, ends: UInts) -> dict[int, str]:
    """The items that cannot be data, and why."""
    bad: dict[int, str] = {}
    for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
        try:
            ndjson.check_text(text[start:end])
        except ReportError as problem:
            bad[row] = str(problem)
    return bad
