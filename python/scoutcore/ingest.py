"""Reports on their way in, from lines or from objects: checked, and gathered into batches."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from scoutcore import keys, ndjson
from scoutcore.codec.columns import PointColumns, ReportName, Reports, UInts, name_parts, offsets_of
from scoutcore.errors import Error, ReportError
from scoutcore.model import Point, Time, encode_json, has_non_finite, microseconds
from scoutcore.ndjson import Parsed

BATCH_ITEMS: Final = 20_000
"""Items of an iterable taken into one commit."""
MANY_SERIES: Final = 16_384
FEW_SERIES: Final = 2048
"""A commit's memory grows with its series: behind one of many, smaller ones follow, until one has few again."""
MAX_ERRORS: Final = 1000
"""The errors that a result describes; all are counted."""
_MAX_KNOWN: Final = 65_536


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


class Gatherer:
    """Turns reports into batches. It remembers the series it has seen, so that each is checked once."""

    def __init__(self, resolve: Resolver, version: Callable[[], int]) -> None:
        """*version* changes whenever ids and keys may have changed hands: then every troop is asked for again."""
        self._resolve = resolve
        self._version = version
        self._seen = version()
        self._known: dict[ReportName, Series] = {}

    def lines(self, chunk: bytes, first_line: int, result: IngestResult) -> tuple[Batch, int]:
        """The good reports among the NDJSON lines of *chunk*, of which the others are counted in *result*.

        And how many lines end in it.
        """
        reports = ndjson.scan(chunk)
        odd: list[tuple[int, Parsed]] = []
        bad: dict[int, str] = {}
        for line, start, end in reports.odd:
            try:
                odd.append((line, ndjson.parse(chunk[start:end])))
            except Error as problem:
                bad[line] = str(problem)
        return self.rows(reports, odd, bad, first_line, result), reports.line_ends

    def rows(
        self, reports: Reports, odd: list[tuple[int, Parsed]], bad: dict[int, str], first: int, result: IngestResult
    ) -> Batch:
        """The good ones among *reports* and the *odd* ones beside them, by line; those of *bad* lines are refused."""
        if not odd and not bad:
            try:
                return self._batch(reports)
            except Error:
                pass  # a name is not right: report by report
        return self._mended(reports, odd, dict(bad), first, result)

    def items(self, items: Iterable[Any], first: int, result: IngestResult) -> Batch:
        """The good reports among *items*: Points, or dicts with the names that ``report()`` takes."""
        good: list[tuple[Series, Parsed]] = []
        for number, item in enumerate(items, first):
            try:
                parsed = _from_point(item) if isinstance(item, Point) else _from_mapping(item)
                good.append((self.find(parsed.name), parsed))
            except Error as problem:
                result.reject(number, str(problem))
        return _gathered(good)

    def find(self, name: ReportName) -> Series:
        """The series of a name; raises Error where it cannot be one, or the troop is unknown."""
        if self._seen != self._version():
            self._forget()
        series = self._known.get(name)
        if series is None:
            troop, uid, key, scout, report = name_parts(name)
            if troop is None and uid is None and key is None:
                raise ReportError("report without troop, uid or key")
            keys.check_number("scout", scout)
            keys.check_report(report)
            if len(self._known) >= _MAX_KNOWN:
                self._forget()
            series = self._known[name] = Series(*self._resolve(troop, uid, key), scout, report)
        return series

    def _forget(self) -> None:
        """Forget what is known: it may not hold any more, or is too much."""
        self._seen = self._version()
        self._known.clear()

    def _batch(self, reports: Reports) -> Batch:
        """All of *reports*; raises Error where a name is not right."""
        if self._seen != self._version():
            self._forget()
        names, codes = reports.names, reports.codes
        series = list(filter(None, map(self._known.get, names)))
        if len(series) < len(names):
            series = [self._known.get(name) or self.find(name) for name in names]
        if len(set(series)) < len(series):  # a troop has several names: id, uid, keys
            numbers = {one: number for number, one in enumerate(dict.fromkeys(series))}
            codes = array("I", [numbers[series[code]] for code in codes])
            series = list(numbers)
        unstamped: list[int] = []
        if 0 in bytes(reports.stamped):
            unstamped = [index for index, stamped in enumerate(reports.stamped) if not stamped]
        _, _, t, _, clocked, boot, ms, starts, ends, data, *_ = reports
        return Batch(series, codes, PointColumns(t, clocked, boot, ms, data, starts, ends), unstamped)

    def _mended(
        self, reports: Reports, odd: list[tuple[int, Parsed]], bad: dict[int, str], first: int, result: IngestResult
    ) -> Batch:
        rows = list(odd)
        for line, code, t, stamped, clocked, boot, ms, start, end in zip(*reports[:9], strict=True):
            if line not in bad:
                clock = (boot, ms) if clocked else (None, None)
                text = reports.data[start:end]
                rows.append((line, Parsed(reports.names[code], t if stamped else None, clock, text)))
        rows.sort(key=lambda row: row[0])
        good: list[tuple[Series, Parsed]] = []
        unknown: dict[ReportName, str] = {}
        for line, parsed in rows:
            try:
                if parsed.name not in unknown:
                    good.append((self.find(parsed.name), parsed))
                    continue
            except Error as problem:
                unknown[parsed.name] = str(problem)
            bad[line] = unknown[parsed.name]
        for line, reason in sorted(bad.items()):
            result.reject(first + line, reason)
        return _gathered(good)


def _gathered(good: list[tuple[Series, Parsed]]) -> Batch:
    series: dict[Series, int] = {}
    codes = array("I", [series.setdefault(one, len(series)) for one, _ in good])
    texts = [parsed.data for _, parsed in good]
    offsets = offsets_of(map(len, texts))
    points = PointColumns(
        array("q", [parsed.t or 0 for _, parsed in good]),
        array("B", [parsed.clock[0] is not None for _, parsed in good]),
        array("Q", [parsed.clock[0] or 0 for _, parsed in good]),
        array("Q", [parsed.clock[1] or 0 for _, parsed in good]),
        b"".join(texts),
        offsets[:-1],
        offsets[1:],
    )
    unstamped = [index for index, (_, parsed) in enumerate(good) if parsed.t is None]
    return Batch(list(series), codes, points, unstamped)


_N: Final = ord("n")
"""A byte is looked for in a quarter of the time that a word takes, and often it is not there."""
_SCALARS: Final = frozenset((bool, int, float, str, type(None)))


def encode_data(data: object) -> bytes:
    """A report's data as JSON text; raises ReportError for what JSON cannot say."""
    try:
        text = bytes(data) if isinstance(data, msgspec.Raw) else encode_json(data)
    except (TypeError, ValueError, RecursionError) as problem:
        raise ReportError(f"data is not a JSON value: {problem}") from None
    if _N in text and text.find(b"null") >= 0 and has_non_finite(data):
        raise ReportError("data has a number that JSON cannot say (NaN or infinity)")
    for value in data.values() if type(data) is dict else (data,):
        if type(value) not in _SCALARS:
            ndjson.check_text(text)  # a Raw may stand inside, too
            break
    else:
        if len(text) > ndjson.MAX_DEPTH:  # else it is neither too long nor too deep
            ndjson.check_data(text)
    return text


def _from_point(point: Point) -> Parsed:
    name = None, point.uid, None, point.scout, point.report
    ndjson.check_clock(point.boot, point.ms)
    return Parsed(name, microseconds(point.t), (point.boot, point.ms), encode_data(msgspec.Raw(point.raw)))


_ITEM_KEYS: Final = frozenset(("troop", "uid", "key", "scout", "report", "data", "t", "boot", "ms"))


def _from_mapping(item: object) -> Parsed:
    if type(item) is not dict and not isinstance(item, Mapping):  # Mapping is slow to ask
        raise ReportError(f"a report is a dict or a Point, not {type(item).__name__}")
    for name in ("scout", "report", "data"):
        if name not in item:
            raise ReportError(f"report without {name}")
    if not item.keys() <= _ITEM_KEYS:
        raise ReportError(f"report with an unknown item {min(map(str, item.keys() - _ITEM_KEYS))!r:.100}")
    return parsed(**item)


def parsed(
    scout: int,
    report: str,
    data: object,
    troop: int | None = None,
    uid: str | None = None,
    key: str | None = None,
    t: Time | None = None,
    boot: int | None = None,
    ms: int | None = None,
) -> Parsed:
    """A report given as Python values, checked but for its name; raises Error that says what is wrong."""
    if troop is not None and type(troop) is not int:
        raise ReportError("troop is not a number")
    if boot is not None or ms is not None:
        for name, number in (("boot", boot), ("ms", ms)):
            if number is not None and type(number) is not int:
                raise ReportError(f"{name} is not a number")
        ndjson.check_clock(boot, ms)
    if uid is None and key is None:
        name_of: ReportName = troop, None, None, scout, report
    else:
        for name, text in (("uid", uid), ("key", key)):
            if text is not None and not isinstance(text, str):
                raise ReportError(f"{name} is not a string")
        name_of = None if uid or key else troop, uid or None, None if uid else key or None, scout, report
    return Parsed(name_of, None if t is None else microseconds(t), (boot, ms), encode_data(data))
