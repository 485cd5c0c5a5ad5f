"""The numbers in the data of points, as floats by name."""

from __future__ import annotations

import math
from array import array
from typing import Final

from scoutcore import codec
from scoutcore.codec.columns import PointColumns, TextNumbers
from scoutcore.model import decode_json

VALUE: Final = "value"
"""The name of a number that is all of the data."""
_MARK: Final = 774_400_000
"""Stands, with its place added, for a number that is not the same in all texts."""


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
    """The numbers of texts that differ in numbers alone: what the first text says of their names. None: it cannot."""
    data = memoryview(points.data).cast("B")
    at = points.starts[0]
    text = b""
    marks: dict[float, array[float]] = {}
    places: list[tuple[int, int, int]] = list(zip(found.starts, found.ends, found.same, strict=True))
    for number, (start, end, same) in enumerate(places):
        mark = b"%d" % (_MARK + number)
        if mark in data[points.starts[0] : points.ends[0]].tobytes():
            return None
        if not same:
            marks[_MARK + number] = found.values[number]
        text += bytes(data[at : end if same else start]) + (b"" if same else mark)
        at = end
    try:
        members = _members(text + bytes(data[at : points.ends[0]]))
    except ValueError:
        return None  # a number that varies is part of another one: 1e5
    if len(marks.keys() & members.values()) < len(marks):
        return None  # one is in a name, in a text or deeper
    return {name: marks.get(value) or array("d", [value]) * len(points.t) for name, value in members.items()}


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
