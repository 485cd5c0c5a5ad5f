"""Reports as NDJSON: whole lines out of a stream, and lines into columns.

With the C module the plain lines, nearly all, never become Python objects (``csrc/reports.c``); :func:`parse` judges
every other, and each of them where there is no C module. What it refuses, C does not take for plain.
"""

from __future__ import annotations

import re
import select
from array import array
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import BinaryIO, Final, TypeVar

import msgspec

from scoutcore import codec
from scoutcore.codec.columns import ReportName, Reports, offsets_of
from scoutcore.codec.constants import INT64_MAX, INT64_MIN, MAX_DATA, UINT64_MAX
from scoutcore.errors import Error, InvalidError, ReportError
from scoutcore.model import from_milliseconds

if codec.backend == "c":
    from scoutcore.codec import native

T = TypeVar("T")

BATCH_BYTES: Final = 4 * 1024 * 1024
"""NDJSON taken into one commit. More is hardly faster, and memory grows with it."""
MAX_LINE: Final = MAX_DATA + 4096
MAX_DEPTH: Final = 64


class Report(msgspec.Struct, gc=False):
    """A report in pinoccio's shape, ``t`` in ms. Other members are passed over."""

    scout: int
    report: str
    data: msgspec.Raw
    troop: int | None = None
    uid: str | None = None
    key: str | None = None
    t: int | float | None = None
    b: int | None = None
    ms: int | None = None

    @property
    def name(self) -> ReportName:
        """What it is of: the uid is preferred, then the key."""
        uid = self.uid or None
        key = None if uid else self.key or None
        return None if uid or key else self.troop, uid, key, self.scout, self.report


class _Time(msgspec.Struct):
    t: Decimal


class Parsed(msgspec.Struct, gc=False):
    """A line that is right in itself: whether its troop is known is another question."""

    name: ReportName
    t: int | None
    """µs since the Unix epoch."""
    clock: tuple[int | None, int | None]
    """``boot`` and ``ms``: both or none."""
    data: bytes


_decode_report = msgspec.json.Decoder(Report).decode
_decode_time = msgspec.json.Decoder(_Time).decode
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_decode_any = msgspec.json.Decoder(msgspec.Raw).decode


def scan(chunk: bytes) -> Reports:
    """The plain reports among the lines of *chunk* as columns, and where the other lines are."""
    long_line = _has_long_line(chunk)
    if codec.backend == "c" and not long_line:
        return native.scan_reports(chunk)
    lines = chunk.split(b"\n")
    ends = len(lines) - 1
    if chunk.isascii() and b"\\u" not in chunk and not long_line:
        if not lines[-1]:
            lines.pop()
        try:
            return _columns(lines)._replace(line_ends=ends)
        except (Error, ValueError, RecursionError):
            pass  # something in it is not plain: line by line
    odd = []
    start = 0
    for number, line in enumerate(lines):
        if line.strip():
            odd.append((number, start, start + len(line)))
        start += len(line) + 1
    return _columns([])._replace(odd=odd, line_ends=ends)


def _has_long_line(chunk: bytes) -> bool:
    start = 0
    while len(chunk) - start > MAX_LINE:
        end = chunk.rfind(b"\n", start, start + MAX_LINE + 1)
        if end < 0:
            return True
        start = end + 1
    return False


def _columns(lines: list[bytes]) -> Reports:
    """The reports in *lines*; raises Error or ValueError where one is not plain and right."""
    reports = list(map(_decode_report, lines))
    raws = [report.data for report in reports]
    offsets = offsets_of(map(len, raws))
    for raw in raws if max(map(len, raws), default=0) > MAX_DEPTH else ():
        check_data(raw)
    names: dict[ReportName, int] = {}
    number = names.setdefault
    codes = array("I", [number(report.name, len(names)) for report in reports])
    times = [_micros(report.t, line) for report, line in zip(reports, lines, strict=True)]
    for report in reports:
        check_clock(report.b, report.ms)
    return Reports(
        array("I", range(len(reports))),
        codes,
        array("q", [t or 0 for t in times]),
        array("B", [t is not None for t in times]),
        array("B", [report.b is not None for report in reports]),
        array("Q", [report.b or 0 for report in reports]),
        array("Q", [report.ms or 0 for report in reports]),
        offsets[:-1],
        offsets[1:],
        b"".join(raws),
        list(names),
        [],
        len(reports),
    )


def parse(line: bytes) -> Parsed:
    """The report in a line; raises ReportError that says what is wrong with it."""
    if len(line) > MAX_LINE:
        raise ReportError(f"line is longer than {MAX_LINE} bytes")
    report = decode(line)
    check_clock(report.b, report.ms)
    data = bytes(report.data)
    check_data(data)
    return Parsed(report.name, _micros(report.t, line), (report.b, report.ms), data)


def decode(line: bytes) -> Report:
    """The JSON object in a line; raises ReportError where it is none, or a member is of a wrong type."""
    return _judged(_decode_report, line)


def _judged(decode: Callable[[bytes], T], text: bytes) -> T:
    try:
        str(text, "utf-8")
        return decode(text)
    except UnicodeDecodeError:
        raise ReportError("not valid UTF-8") from None
    except RecursionError:
        raise ReportError(f"data is nested deeper than {MAX_DEPTH}") from None
    except msgspec.ValidationError as problem:
        raise ReportError(str(problem)) from None
    except ValueError as problem:
        raise ReportError(f"not JSON: {problem}") from None


def check_clock(boot: int | None, ms: int | None) -> None:
    """Raise ReportError where a scout's clock is half there or out of range."""
    if (boot is None) != (ms is None):
        raise ReportError("boot without ms" if ms is None else "ms without boot")
    for name, value in (("boot", boot), ("ms", ms)):
        if value is not None and not 0 <= value <= UINT64_MAX:
            raise ReportError(f"{name} is not a number from 0 to 2^64-1")


def _micros(t: int | float | None, line: bytes) -> int | None:
    """A time in ms as µs; one with decimals is read again, as decimal: a float does not show all of them."""
    if isinstance(t, float):
        return from_milliseconds(_decode_time(line).t)
    if t is None:
        return None
    if not INT64_MIN <= t * 1000 <= INT64_MAX:
        raise ReportError("t does not fit 64 bits of microseconds")
    return t * 1000


def check_text(text: bytes) -> None:
    """Raise ReportError where *text* cannot be a report's data."""
    _judged(_decode_any, text)
    check_data(text)


def check_data(raw: bytes | msgspec.Raw) -> None:
    """Raise ReportError where JSON text is too long or too deep."""
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


def read_chunks(
    file: BinaryIO, size: int = BATCH_BYTES, *, less: Callable[[], bool] = lambda: False
) -> Iterator[bytes]:
    """Whole lines of *file*, about *size* bytes at a time.

    A pipe's lines are given as soon as it has no more to read for now. A line far too long comes cut short. *less* is
    asked before each chunk: true makes it a quarter.
    """
    rest = b""
    ended = False
    while not ended:
        pieces = [rest] if rest else []  # a piece that stands alone is not copied
        ended = _fill(file, pieces, size // 4 if less() else size)
        chunk, rest = (b"".join(pieces), b"") if ended else _cut(pieces)
        if not chunk and len(rest) > MAX_LINE:
            chunk, rest = _cut([rest, _skip_line(file)])
            if not chunk:  # the file ended
                chunk, rest = rest, b""
        if chunk:
            yield chunk


def _cut(pieces: list[bytes]) -> tuple[bytes, bytes]:
    """What *pieces* have up to the end of the last line, and what is behind: nearly all of it is copied once."""
    *before, last = pieces
    end = last.rfind(b"\n") + 1
    if not end:
        whole = b"".join(pieces)
        end = whole.rfind(b"\n") + 1
        return whole[:end], whole[end:]
    return b"".join([*before, memoryview(last)[:end]]), last[end:]


def _fill(file: BinaryIO, pieces: list[bytes], size: int) -> bool:
    """Read more *pieces* until they have *size* bytes, or a pause; True at the end."""
    have = sum(map(len, pieces))
    while True:
        data = _read(file, size)
        if not data:
            return True
        pieces.append(data)
        have += len(data)
        if have >= size or not _more(file, 0):
            return False


def _read(file: BinaryIO, size: int) -> bytes:
    """What there is, up to *size* bytes; waits for some. Nothing at the end."""
    read = getattr(file, "read1", file.read)
    while True:
        data = read(size)
        if isinstance(data, str):
            raise InvalidError("NDJSON is read as bytes: open the file with mode 'rb'")
        if data is not None:
            return bytes(data)
        _more(file, None)  # it does not wait by itself


def _more(file: BinaryIO, timeout: int | None) -> bool:
    """Whether *file* has more to read, or its end, within *timeout* ms; a file that cannot be asked never pauses."""
    try:
        poll = select.poll()
        poll.register(file, select.POLLIN)
    except (OSError, ValueError, TypeError):
        return True
    return bool(poll.poll(timeout))


def _skip_line(file: BinaryIO) -> bytes:
    """Pass over the rest of a line that is too long already; what is read behind it, from its end on."""
    while data := _read(file, 65_536):
        end = data.find(b"\n")
        if end >= 0:
            return data[end:]
    return b""
