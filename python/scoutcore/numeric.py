"""The numbers in the data of points, as floats by name."""

from __future__ import annotations

import math
from array import array
from functools import lru_cache
from itertools import chain
from typing import Final, NamedTuple

from scoutcore import codec
from scoutcore.codec.columns import PointColumns, TextNumbers, UInts
from scoutcore.model import decode_json

VALUE: Final = "value"
"""The name of a number that is all of the data."""
_MARK: Final = 774_400_000
"""Stands, with its place added, for a number that is not the same in all texts."""


class NumberColumns(NamedTuple):
    """The times of points, and their numbers by name."""

    t: array[int]
    values: dict[str, array[float]]


def block_numbers(data: bytes, starts: UInts, ends: UInts) -> NumberColumns | None:
    """Times and numbers of blocks whose points were never texts; None: :func:`numbers_of` has to look at these."""
    found = codec.block_numbers(data, starts, ends)
    named = None if found is None else _named(found.pieces, found.texts, found.values, len(found.t))
    return None if found is None or named is None else NumberColumns(found.t, named)


def numbers_of(points: PointColumns) -> dict[str, array[float]]:
    """Of each name the numbers of all *points*; NaN where one has none. Without decoding JSON where texts are alike."""
    found = codec.text_numbers(points.data, points.starts, points.ends)
    alike = None if found is None else _alike(points, found)
    if alike is not None:
        return alike
    data = memoryview(points.data).cast("B")
    columns: dict[str, array[float]] = {}
    for row, (start, end) in enumerate(zip(points.starts, points.ends, strict=True)):
        try:
            members = _members(bytes(data[start:end]))
        except ValueError:
            continue  # no JSON: a log may come from anyone
        for name, value in members.items():
            if name not in columns:
                columns[name] = array("d", [math.nan]) * len(points.t)
            columns[name][row] = value
    return columns


def _alike(points: PointColumns, found: TextNumbers) -> dict[str, array[float]] | None:
    """The numbers of texts that differ in numbers alone; None: see :func:`_named`."""
    data = bytes(memoryview(points.data).cast("B")[: points.ends[0]])
    begins = [points.starts[0], *found.ends]
    pieces = [data[begin:end] for begin, end in zip(begins, [*found.starts, points.ends[0]], strict=True)]
    places = zip(found.starts, found.ends, found.same, strict=True)
    return _named(
        pieces, [data[start:end] if same else None for start, end, same in places], found.values, len(points.t)
    )


def _named(
    pieces: list[bytes], texts: list[bytes | None], values: list[array[float]], count: int
) -> dict[str, array[float]] | None:
    """By name the numbers between the *pieces* of a text; those that have a text are the same in all *count* points.

    None: the text does not tell, as one is in a name, in a string or deeper, or a part of a number.
    """
    marks: dict[float, array[float]] = {
        _MARK + number: column for number, column in enumerate(values) if texts[number] is None
    }
    said = [b"%d" % (_MARK + number) if text is None else text for number, text in enumerate(texts)]
    try:
        members = _members(b"".join(chain.from_iterable(zip(pieces, [*said, b""], strict=True))))
    except ValueError:
        return None  # a number that varies is part of another one: 1e5
    if sorted(value for value in members.values() if value in marks) != list(marks):
        return None
    return {name: marks.get(value) or array("d", [value]) * count for name, value in members.items()}


@lru_cache(64)
def _members(text: bytes) -> dict[str, float]:
    """The numbers in data that is one, or an object of some."""
    data = decode_json(text)
    if not isinstance(data, dict):
        data = {VALUE: data}
    return {name: _float(value) for name, value in data.items() if type(value) in (int, float)}


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
