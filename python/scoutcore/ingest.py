"""Reports on their way in: NDJSON, dicts, points or columns, checked and gathered into batches."""

from __future__ import annotations

import math
import re
import select
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, BinaryIO, Final, NamedTuple, Protocol

import msgspec

from scoutcore import keys
from scoutcore.codec.columns import PointColumns, UInts, offsets_of
from scoutcore.codec.constants import INT64_MAX, INT64_MIN, MAX_DATA, UINT64_MAX
from scoutcore.errors import Error, ReportError
from scoutcore.model import Point, encode_json, from_milliseconds, microseconds

BATCH_BYTES: Final = 4 * 1024 * 1024
"""NDJSON taken into one commit. More is hardly faster, and memory grows with it."""
BATCH_ITEMS: Final = 20_000
"""Items of an iterable taken into one commit."""
MAX_LINE: Final = MAX_DATA + 4096
MAX_DEPTH: Final = 64
MAX_ERRORS: Final = 1000
"""The errors that a result describes; all are counted."""


class Series(NamedTuple):
    """Which row a report is for."""

    troop: int
    uid: str
    scout: int
    report: str


@dataclass(slots=True)
class Batch:
    """Reports that are good, as columns: report *i* is of ``series[codes[i]]``, in order of appearance.

    The times of the reports in ``unstamped`` are to be filled in when the batch is written.
    """

    series: list[Series]
    codes: UInts
    points: PointColumns
    unstamped: list[int]


@dataclass(slots=True)
class IngestResult:
    """What became of the reports of one ingest.

    Attributes:
        accepted: reports that are stored and durable.
        rejected: reports that were refused.
        errors: (line or item from 1, what is wrong) of the first 1,000 of these.
    """

    accepted: int = 0
    rejected: int = 0
    errors: list[tuple[int, str]] = field(default_factory=list)

    def reject(self, line: int, reason: str) -> None:
        """Count a refused report."""
        self.rejected += 1
        if len(self.errors) < MAX_ERRORS:
            self.errors.append((line, reason))


class Resolver(Protocol):
    """Finds the troop of a report: (id, uid) for an id, a uid or a key; raises Error."""

    def __call__(self, troop: int | None, uid: str | None, key: str | None) -> tuple[int, str]: ...


_Name = tuple[str | int | None, int, str]


class _Report(msgspec.Struct, gc=False):
    """A report in pinoccio's shape. Other members are passed over."""

    scout: int
    report: str
    data: msgspec.Raw
    troop: int | None = None
    uid: str | None = None
    key: str | None = None
    t: int | float | None = None
    b: int | None = None
    ms: int | None = None


class _Time(msgspec.Struct):
    t: Decimal


_decode_report = msgspec.json.Decoder(_Report).decode
_decode_reports = msgspec.json.Decoder(_Report).decode_lines
_decode_time = msgspec.json.Decoder(_Time).decode
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

# Below 2^43 ms a float tells every whole µs apart.
_EXACT_FLOAT: Final = float(2**43)


class Gatherer:
    """Turns reports into batches. It remembers the series it has seen, so that each is checked once."""

    def __init__(self, resolve: Resolver) -> None:
        self._resolve = resolve
        self._known: dict[_Name, Series] = {}

    def forget(self) -> None:
        """Ask for every troop again: ids and keys may have changed hands."""
        self._known.clear()

    def lines(self, chunk: bytes, first_line: int, result: IngestResult) -> Batch:
        """The good reports among the NDJSON lines of *chunk*; the others are counted in *result*."""
        if chunk.isascii() and b"\\u" not in chunk:
            try:
                return self._batch(_decode_reports(chunk))
            except (Error, ValueError, RecursionError):
                pass  # something in it is not plain: line by line
        reports, times = [], []
        for number, line in enumerate(chunk.split(b"\n"), first_line):
            if not line.strip():
                continue
            try:
                report = _parse_line(line)
                times.append(self._check(report, line))
                reports.append(report)
            except Error as problem:
                result.reject(number, str(problem))
        return self._batch(reports, times)

    def items(self, items: Iterable[Any], first: int, result: IngestResult) -> Batch:
        """The good reports among *items*: Points, or dicts with the names that ``report()`` takes."""
        reports, times = [], []
        for number, item in enumerate(items, first):
            try:
                report, t = _from_point(item) if isinstance(item, Point) else _from_mapping(item)
                self._check(report, b"")
                reports.append(report)
                times.append(t)
            except Error as problem:
                result.reject(number, str(problem))
        return self._batch(reports, times)

    def _check(self, report: _Report, line: bytes) -> int | None:
        """Raise Error where anything in *report* is wrong; returns its time in µs."""
        name = _name(report)
        if name not in self._known:
            self._known[name] = self._find(report)
        _check_clock(report)
        _check_data(bytes(report.data))
        return _micros(report.t, line)

    def _find(self, report: _Report) -> Series:
        if report.troop is None and not report.uid and not report.key:
            raise ReportError("report without troop, uid or key")
        scout, name = keys.check_number("scout", report.scout), keys.check_report(report.report)
        return Series(*self._resolve(report.troop, report.uid, report.key), scout, name)

    def _batch(self, reports: list[_Report], times: list[int | None] | None = None) -> Batch:
        """*reports* as columns; raises Error where one of them is not plain and right."""
        raws = [report.data for report in reports]
        offsets = offsets_of(map(len, raws))
        for raw in raws if max(map(len, raws), default=0) > MAX_DEPTH else ():
            _check_data(raw)

        names: dict[_Name, int] = {}
        number = names.setdefault
        codes = array("I", [number((r.uid or r.key or r.troop, r.scout, r.report), len(names)) for r in reports])
        series: dict[Series, int] = {}
        renumbered = []
        for code, name in enumerate(names):
            found = self._known.get(name)
            if found is None:
                found = self._known[name] = self._find(reports[codes.index(code)])
            renumbered.append(series.setdefault(found, len(series)))
        if len(series) < len(names):
            codes = array("I", map(renumbered.__getitem__, codes))

        unstamped: list[int] = []
        t: array[int]
        if times is None:
            try:
                t = array("q", [r.t * 1000 for r in reports])  # type: ignore[operator, misc]
            except (TypeError, OverflowError):
                times = [_micros(report.t, b"") for report in reports]
        if times is not None:
            unstamped = [index for index, time in enumerate(times) if time is None]
            t = array("q", [time or 0 for time in times])
        clocked, boot, ms = _clocks(reports)
        points = PointColumns(t, clocked, boot, ms, b"".join(raws), offsets[:-1], offsets[1:])
        return Batch(list(series), codes, points, unstamped)


def _name(report: _Report) -> _Name:
    return report.uid or report.key or report.troop, report.scout, report.report


def _clocks(reports: list[_Report]) -> tuple[UInts, UInts, UInts]:
    boots, times = [report.b for report in reports], [report.ms for report in reports]
    try:
        return array("B", b"\1" * len(reports)), array("Q", boots), array("Q", times)  # type: ignore[arg-type]
    except (TypeError, OverflowError):
        for report in reports:
            _check_clock(report)
        clocked = array("B", [boot is not None for boot in boots])
        return clocked, array("Q", [boot or 0 for boot in boots]), array("Q", [ms or 0 for ms in times])


def _check_clock(report: _Report) -> None:
    if (report.b is None) != (report.ms is None):
        raise ReportError("boot without ms" if report.ms is None else "ms without boot")
    for name, value in (("boot", report.b), ("ms", report.ms)):
        if value is not None and not 0 <= value <= UINT64_MAX:
            raise ReportError(f"{name} is not a number from 0 to 2^64-1")


def _micros(t: int | float | None, line: bytes) -> int | None:
    """A time in ms as µs; *line* is read again where a float is not exact."""
    if isinstance(t, float):
        if abs(t) < _EXACT_FLOAT:
            scaled = round(t * 1000)
            if scaled / 1000 != t:
                raise ReportError("t has more than three decimals")
            return scaled
        if not line:
            raise ReportError("t is too large for a float")
        return from_milliseconds(_decode_time(line).t)
    if t is None:
        return None
    if not INT64_MIN <= t * 1000 <= INT64_MAX:
        raise ReportError("t does not fit 64 bits of microseconds")
    return t * 1000


def _check_data(raw: bytes | msgspec.Raw) -> None:
    if len(raw) > MAX_DATA:
        raise ReportError(f"data is longer than {MAX_DATA} bytes")
    if len(raw) <= MAX_DEPTH:
        return
    brackets = _STRING.sub(b"", bytes(raw)).translate(None, _NOT_BRACKETS)
    if len(brackets) <= MAX_DEPTH:
        return
    depth = 0
    for bracket in brackets:
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise ReportError(f"data is nested deeper than {MAX_DEPTH}")


def _parse_line(line: bytes) -> _Report:
    if len(line) > MAX_LINE:
        raise ReportError(f"line is longer than {MAX_LINE} bytes")
    try:
        str(line, "utf-8")
        return _decode_report(line)
    except UnicodeDecodeError:
        raise ReportError("not valid UTF-8") from None
    except RecursionError:
        raise ReportError(f"data is nested deeper than {MAX_DEPTH}") from None
    except msgspec.ValidationError as problem:
        raise ReportError(str(problem)) from None
    except ValueError as problem:
        raise ReportError(f"not JSON: {problem}") from None


def encode_data(data: object) -> msgspec.Raw:
    """A report's data as JSON text; raises ReportError for what JSON cannot say."""
    if isinstance(data, msgspec.Raw):
        return data
    try:
        text = encode_json(data)
    except (TypeError, ValueError, RecursionError) as problem:
        raise ReportError(f"data is not a JSON value: {problem}") from None
    if b"null" in text:
        _refuse_non_finite(data)
    return msgspec.Raw(text)


def _refuse_non_finite(data: object) -> None:
    """Msgspec writes NaN and infinities as null: that would store something else than was sent."""
    if isinstance(data, float) and not math.isfinite(data):
        raise ReportError("data has a number that JSON cannot say (NaN or infinity)")
    if isinstance(data, Mapping):
        data = list(data.values())
    if isinstance(data, (list, tuple)):
        for item in data:
            _refuse_non_finite(item)


def _from_point(point: Point) -> tuple[_Report, int]:
    _parse_line(b'{"scout":0,"report":"","data":' + point.raw + b"}")
    report = _Report(
        point.scout, point.report, msgspec.Raw(point.raw), point.troop, point.uid, None, None, point.boot, point.ms
    )
    return report, microseconds(point.t)


_ITEM_KEYS: Final = frozenset(("troop", "uid", "key", "scout", "report", "data", "t", "boot", "ms"))


def _from_mapping(item: object) -> tuple[_Report, int | None]:
    if not isinstance(item, Mapping):
        raise ReportError(f"a report is a dict or a Point, not {type(item).__name__}")
    for name in ("scout", "report", "data"):
        if name not in item:
            raise ReportError(f"report without {name}")
    if unknown := item.keys() - _ITEM_KEYS:
        raise ReportError(f"report with an unknown item {min(map(str, unknown))!r:.100}")
    for name, kind in (("troop", int), ("uid", str), ("key", str), ("boot", int), ("ms", int)):
        value = item.get(name)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise ReportError(f"{name} is not {'a number' if kind is int else 'a string'}")
    t = item.get("t")
    report = _Report(
        keys.check_number("scout", item["scout"]),
        keys.check_report(item["report"]),
        encode_data(item["data"]),
        item.get("troop"),
        item.get("uid"),
        item.get("key"),
        None,
        item.get("boot"),
        item.get("ms"),
    )
    return report, None if t is None else microseconds(t)


def read_chunks(file: BinaryIO, size: int = BATCH_BYTES) -> Iterator[tuple[int, bytes]]:
    """Whole lines of *file*: the number of the first, and about *size* bytes of them.

    A pipe's lines are given as soon as it has no more to read for now. A line far too long comes cut short.
    """
    pending = bytearray()
    line = 1
    ended = False
    while not ended:
        ended = _fill(file, pending, size)
        end = len(pending) if ended else pending.rfind(b"\n") + 1
        if end == 0 and len(pending) > MAX_LINE:
            _skip_line(file, pending)
            end = pending.rfind(b"\n") + 1 or len(pending)
        if end:
            chunk = bytes(pending[:end])
            del pending[:end]
            yield line, chunk
            line += chunk.count(b"\n")


def _fill(file: BinaryIO, pending: bytearray, size: int) -> bool:
    """Read until there are *size* bytes, or a pause; True at the end."""
    read = getattr(file, "read1", file.read)
    while True:
        data = read(size)
        if not data:
            return True
        pending += data
        if len(pending) >= size or not _more_now(file):
            return False


def _more_now(file: BinaryIO) -> bool:
    try:
        return bool(select.select([file], [], [], 0)[0])
    except (OSError, ValueError, TypeError):
        return True  # no descriptor to ask: never a pause


def _skip_line(file: BinaryIO, pending: bytearray) -> None:
    """Drop what follows in a line that is too long already, up to its end."""
    while data := file.read(65_536):
        end = data.find(b"\n")
        if end >= 0:
            pending += data[end:]
            return
