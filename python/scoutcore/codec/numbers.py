"""Codec 1 of blocks in plain Python: the text that all points share, once, and columns of numbers.

See "Codec 1" in ``csrc/FORMAT.md``; this is what stands in such a block behind its write time.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from itertools import pairwise
from math import gcd
from typing import Any, Final, NamedTuple

from scoutcore.codec.columns import BlockNumbers, Buffer, TextNumbers, UInts, offsets_of
from scoutcore.codec.constants import (
    INT64_MAX,
    MAX_BLOCK_SPAN,
    MAX_COLUMN,
    MAX_NUMBERS,
    MAX_TEXTS,
    MIN_COLUMN,
)
from scoutcore.codec.status import Status, error
from scoutcore.codec.varint import point_varint, put_varint, unzigzag, zigzag
from scoutcore.errors import CodecError

_MAX_WIDTH: Final = 56
_MAX_DIGITS: Final = 18
_MAX_FLOAT_DIGITS: Final = 15
"""Up to so many no two texts are one double."""
_MAX_NUMBER_BYTES: Final = 21
_HOLE: Final = b"\0"
_EXACT: Final = 2**53
"""Up to here a double has every integer, and so a quotient by a power of ten is the nearest."""
_DELTA: Final = 0x40
_STEPPED: Final = 0x80
_DECIMALS: Final = 0x1F
"""These bits of a format; above them is one of the three below."""
_ALL, _SHORTEST, _ONE_LEFT = range(3)
"""Which zeros end a number's text: those of all decimals, none, or one where there would be no decimal."""
_NUMBER: Final = re.compile(rb"(-?)(0|[1-9][0-9]{0,17})(?:\.([0-9]+))?")


class Point(NamedTuple):
    """One point of a block."""

    t: int
    clock: tuple[int, int] | None
    text: bytes


def encode(points: Sequence[Point], write_time: int) -> bytes | None:
    """The points, sorted by time, as codec 1 has them; None where they do not fit."""
    if not MIN_COLUMN <= len(points) <= MAX_COLUMN:
        return None
    first = points[0]
    pieces = _split(first.text)
    if pieces is None or any((point.clock is None) != (first.clock is None) for point in points):
        return None
    skeleton = _HOLE.join(pieces)
    if len(points) * (len(skeleton) + _MAX_NUMBER_BYTES * (len(pieces) - 1)) > MAX_TEXTS:
        return None
    rows = []
    for point in points:
        numbers = _match(pieces, point.text)
        if numbers is None:
            return None
        rows.append(numbers)
    out = bytearray()
    put_varint(out, len(points) << 1 | (first.clock is not None))
    put_varint(out, len(skeleton))
    out += skeleton
    columns = [[point.t - write_time for point in points]]
    if first.clock is not None:
        columns += [[point.clock[half] for point in points if point.clock] for half in (0, 1)]
    for column in columns:
        if not put_column(out, column):
            return None
    for texts in zip(*rows, strict=True):
        found = _format(texts)
        if found is None:
            return None
        out.append(found[0])
        if not put_column(out, found[1]):
            return None
    return bytes(out)


def _number(text: bytes, at: int) -> tuple[int, int, int] | None:
    """The number at *at*, as an integer, its decimals, and where it ends; None: none that its value gives back."""
    found = _NUMBER.match(text, at)
    if found is None:
        return None
    sign, whole, fraction = found.groups(b"")
    fraction = fraction[: _MAX_DIGITS - len(whole)]
    value = int(whole + fraction)
    if sign and value == 0:
        return None
    return -value if sign else value, len(fraction), found.end(2) + (len(fraction) + 1 if fraction else 0)


def _split(text: bytes) -> list[bytes] | None:
    """The pieces of a text around its numbers; None: too many numbers, or the byte that stands for one."""
    if _HOLE in text:
        return None
    pieces = []
    begin = at = 0
    while at < len(text):
        number = _number(text, at)
        if number is None:
            at += 1
            continue
        pieces.append(text[begin:at])
        begin = at = number[2]
    return None if len(pieces) > MAX_NUMBERS else [*pieces, text[begin:]]


def _match(pieces: list[bytes], text: bytes) -> list[tuple[int, int]] | None:
    """The numbers of a text between *pieces*, and their decimals; None: it is another text."""
    numbers = []
    at = 0
    for index, piece in enumerate(pieces):
        if not text.startswith(piece, at):
            return None
        at += len(piece)
        if index < len(pieces) - 1:
            number = _number(text, at)
            if number is None:
                return None
            numbers.append(number[:2])
            at = number[2]
    return numbers if at == len(text) else None


def _format(numbers: Sequence[tuple[int, int]]) -> tuple[int, list[int]] | None:
    """The format that gives back the texts of numbers, and these with equal decimals; None: there is none."""
    least, most = min(decimals for _, decimals in numbers), max(decimals for _, decimals in numbers)
    if least == most:
        return most, [value for value, _ in numbers]
    zeros = {decimals for value, decimals in numbers if decimals and value % 10 == 0}
    if zeros - {1} or (zeros and not least):
        return None
    values = [value * 10 ** (most - decimals) for value, decimals in numbers]
    if not all(-(2**63) <= value < 2**63 for value in values):
        return None
    return most | (_ONE_LEFT if zeros else _SHORTEST) << 5, values


def put_column(out: bytearray, numbers: list[int]) -> bool:
    """Append a column; False: it is too wide."""
    values = [_signed(number) for number in numbers]
    deltas = [_signed(later - earlier) for earlier, later in pairwise(values)]
    spread = max(values) - min(values)
    delta = bool(deltas) and (max(deltas) - min(deltas)).bit_length() < spread.bit_length()
    held = deltas if delta else values
    low = min(held)
    step = gcd(*(value - low for value in held)) or 1
    width = ((max(held) - low) // step).bit_length()
    if width > _MAX_WIDTH:
        return False
    out.append(width | (_DELTA if delta else 0) | (_STEPPED if step > 1 else 0))
    if delta:
        put_varint(out, zigzag(values[0]))
    put_varint(out, zigzag(low))
    if step > 1:
        put_varint(out, step)
    bits = sum((value - low) // step << width * index for index, value in enumerate(held))
    out += bits.to_bytes((width * len(held) + 7) // 8, "little")
    return True


def text_numbers(data: Buffer, starts: UInts, ends: UInts) -> TextNumbers | None:
    """The numbers of the texts ``data[starts[i]:ends[i]]``.

    None: there is no text, they differ in more than numbers or have too many, or a number has over 53 bits.
    """
    view = memoryview(data).cast("B")
    pieces: list[bytes] | None = None
    rows: list[list[tuple[int, int]]] = []
    for start, end in zip(starts, ends, strict=True):
        text = bytes(view[start:end])
        if not start <= end <= len(view):
            return None
        if not rows:
            pieces = _split(text)
        numbers = None if pieces is None else _match(pieces, text)
        if numbers is None or any(abs(value) > _EXACT for value, _ in numbers):
            return None
        rows.append(numbers)
    if not rows or pieces is None:
        return None
    begins, stops = array("Q"), array("Q")
    at = starts[0]
    for piece, (value, decimals) in zip(pieces, rows[0], strict=False):
        begins.append(at + len(piece))
        at = begins[-1] + len(number_text(value, decimals))
        stops.append(at)
    columns = list(zip(*rows, strict=True))
    values = [array("d", [value / 10**decimals for value, decimals in column]) for column in columns]
    return TextNumbers(values, begins, stops, array("B", [len(set(column)) == 1 for column in columns]))


class _Block(NamedTuple):
    """What stands in a block: its points, with a hole in each text for every number."""

    times: list[int]
    clocks: list[tuple[int, int] | None]
    pieces: list[bytes]
    columns: list[tuple[int, list[int]]]
    """The format and the numbers of each hole."""


def number_texts(values: array[Any]) -> tuple[bytes, UInts, UInts] | None:
    """Numbers, of type ``q`` or ``d``, as JSON texts one after another, and where each starts and ends.

    A float is written as Python does. None: one needs more than 15 digits or an exponent, or is NaN, infinite or -0.
    """
    texts = [repr(value) for value in values]
    if values.typecode == "d" and not all(map(_is_plain, texts)):
        return None
    offsets = offsets_of(map(len, texts))
    return "".join(texts).encode(), offsets[:-1], offsets[1:]


def _is_plain(text: str) -> bool:
    digits = text.lstrip("-0.").replace(".", "")
    return len(digits) <= _MAX_FLOAT_DIGITS and not digits.strip("0123456789") and text != "-0.0"


def block_numbers(data: Buffer, starts: UInts, ends: UInts) -> BlockNumbers | None:
    """The numbers of the points of the blocks ``data[starts[i]:ends[i]]``, without their texts.

    None: there is none, one is wrong or of codec 0, has another skeleton than the one before, or does not begin after
    that has ended, or a number has over 53 bits.
    """
    view = memoryview(data).cast("B")
    blocks: list[_Block] = []
    for begin, end in zip(starts, ends, strict=True):
        if not begin < end <= len(view) or view[begin] != 1:
            return None
        try:
            write_time, offset = point_varint(view, begin + 1, end)
            block = _open(view, begin, offset, end, write_time)
        except CodecError:
            return None
        if write_time > INT64_MAX or (blocks and block.pieces != blocks[0].pieces):
            return None
        if blocks and block.times[0] <= blocks[-1].times[-1]:
            return None
        blocks.append(block)
    if not blocks:
        return None
    found: list[array[float]] = []
    texts: list[bytes | None] = []
    for columns in zip(*(block.columns for block in blocks), strict=True):
        if any(abs(value) > _EXACT for _, values in columns for value in values):
            return None
        found.append(
            array("d", [value / 10 ** (form & _DECIMALS) for form, values in columns for value in values]),
        )
        alike = len({(form, value) for form, values in columns for value in values}) == 1
        texts.append(number_text(columns[0][1][0], columns[0][0]) if alike else None)
    return BlockNumbers(array("q", [t for block in blocks for t in block.times]), found, blocks[0].pieces, texts)


def decode(data: memoryview, block: int, offset: int, end: int, write_time: int) -> list[Point]:
    """The points of the block ``data[block:end]``, of which *offset* is behind its write time."""
    times, clocks, pieces, columns = _open(data, block, offset, end, write_time)
    texts = [pieces[0]] * len(times)
    for piece, (form, values) in zip(pieces[1:], columns, strict=True):
        texts = [text + number_text(value, form) + piece for text, value in zip(texts, values, strict=True)]
    return list(map(Point, times, clocks, texts))


def _open(data: memoryview, block: int, offset: int, end: int, write_time: int) -> _Block:
    """What is in the block ``data[block:end]``, of which *offset* is behind its write time."""
    begin = offset
    head, offset = point_varint(data, offset, end)
    if head < 2:
        raise error(Status.BLOCK_EMPTY, block)
    count, clocked = head >> 1, head & 1
    if count > MAX_COLUMN:
        raise error(Status.BLOCK_LIMIT, begin)
    pieces, offset = _get_skeleton(data, offset, end, count)
    times_at = offset
    times, offset = get_column(data, offset, end, count)
    clocks: list[tuple[int, int] | None] = [None] * count
    if clocked:
        boots, offset = get_column(data, offset, end, count)
        mss, offset = get_column(data, offset, end, count)
        clocks = [(boot % 2**64, ms % 2**64) for boot, ms in zip(boots, mss, strict=True)]
    columns = []
    for _ in pieces[1:]:
        if offset == end:
            raise error(Status.POINT_SIZE, offset)
        form = data[offset]
        zeros, decimals = form >> 5, form & _DECIMALS
        if zeros > min(_ONE_LEFT, decimals) or decimals > _MAX_DIGITS:
            raise error(Status.COLUMN, offset)
        values, offset = get_column(data, offset + 1, end, count)
        columns.append((form, values))
    if offset < end:
        raise error(Status.COLUMN, offset)
    times = [_signed(write_time + time) for time in times]
    for before, t in pairwise(times):
        if t < before:
            raise error(Status.BLOCK_ORDER, times_at)
        if t - times[0] > MAX_BLOCK_SPAN:
            raise error(Status.BLOCK_SPAN, times_at)
    return _Block(times, clocks, pieces, columns)


def _get_skeleton(data: memoryview, offset: int, end: int, count: int) -> tuple[list[bytes], int]:
    """The pieces of a block's texts, and the offset behind them."""
    begin = offset
    size, offset = point_varint(data, offset, end)
    if size > end - offset:
        raise error(Status.POINT_SIZE, begin)
    if size == 0:
        raise error(Status.DATA_EMPTY, begin)
    skeleton = bytes(data[offset : offset + size])
    pieces = skeleton.split(_HOLE)
    numbers = len(pieces) - 1
    if numbers > MAX_NUMBERS or count * (size + _MAX_NUMBER_BYTES * numbers) > MAX_TEXTS:
        raise error(Status.BLOCK_LIMIT, begin)
    try:
        skeleton.decode()
    except UnicodeDecodeError:
        raise error(Status.UTF8, begin) from None
    return pieces, offset + size


def get_column(data: memoryview, offset: int, end: int, count: int) -> tuple[list[int], int]:
    """The numbers of a column, signed, and the offset behind it."""
    begin = offset
    if offset == end:
        raise error(Status.POINT_SIZE, offset)
    head = data[offset]
    offset += 1
    width, delta = head & 0x3F, head & _DELTA
    if width > _MAX_WIDTH:
        raise error(Status.COLUMN, begin)
    first, step = 0, 1
    if delta:
        first, offset = point_varint(data, offset, end)
    low, offset = point_varint(data, offset, end)
    if head & _STEPPED:
        step, offset = point_varint(data, offset, end)
    held = count - 1 if delta else count
    size = (held * width + 7) // 8
    if size > end - offset:
        raise error(Status.POINT_SIZE, begin)
    bits = int.from_bytes(data[offset : offset + size], "little")
    numbers = [unzigzag(low) + step * (bits >> width * index & (1 << width) - 1) for index in range(held)]
    if delta:
        value = unzigzag(first)
        numbers = [value, *(value := value + number for number in numbers)]
    return [_signed(number) for number in numbers], offset + size


def number_text(value: int, form: int) -> bytes:
    """The text of a number, given as an integer, in a column of this format."""
    zeros, decimals = form >> 5, form & _DECIMALS
    digits = str(abs(value)).zfill(decimals + 1)
    whole, fraction = digits[: len(digits) - decimals], digits[len(digits) - decimals :]
    if zeros != _ALL:
        fraction = fraction.rstrip("0")
    if zeros == _ONE_LEFT:
        fraction = fraction or "0"
    return f"{'-' if value < 0 else ''}{whole}{'.' if fraction else ''}{fraction}".encode()


def _signed(number: int) -> int:
    """A number as 64 bits in two's complement have it."""
    return (number + 2**63) % 2**64 - 2**63
