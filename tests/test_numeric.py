"""The numbers of a history as NumPy arrays: those that JSON has, whether texts are alike or not."""

from __future__ import annotations

import math
from array import array
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoutcore import codec, numeric
from scoutcore.codec import cut
from scoutcore.codec.columns import PointColumns
from scoutcore.database import Database
from scoutcore.store.memory import MemoryStore
from tests.codec.helpers import json_numbers, point_columns

np = pytest.importorskip("numpy", reason="NumPy is not installed")


@pytest.fixture
def db() -> Database:
    database = Database(MemoryStore())
    database.troops.create()
    return database


def columns(texts: list[str]) -> PointColumns:
    return point_columns([(index, None, text.encode()) for index, text in enumerate(texts)])


def members(text: bytes) -> dict[str, float]:
    try:
        return numeric._members(text)
    except ValueError:
        return {}


def plainly(points: PointColumns) -> dict[str, list[float]]:
    """The same, one text after another."""
    rows = [members(text) for text in cut(points.data, points.starts, points.ends)]
    return {name: [row.get(name, math.nan) for row in rows] for row in rows for name in row}


def agree(texts: list[str]) -> None:
    points = columns(texts)
    in_blocks(points)
    found = {name: list(map(repr, values)) for name, values in numeric.numbers_of(points).items()}
    assert found == {name: list(map(repr, values)) for name, values in plainly(points).items()}


def in_blocks(points: PointColumns) -> None:
    """From blocks of four points each come the same numbers as from texts, where any come."""
    if not points.t:
        return
    made = codec.encode_blocks(points, array("I", [0]) * len(points.t), 0, 4)
    found = numeric.block_numbers(made.data, made.offsets[:-1], made.offsets[1:])
    if found is not None:
        assert found.t == points.t
        expected = {name: list(map(repr, values)) for name, values in plainly(points).items()}
        assert {name: list(map(repr, values)) for name, values in found.values.items()} == expected


def test_blocks_have_numbers() -> None:
    points = columns([f'{{"v":{n / 8},"id":"x1"}}' for n in range(20)])
    made = codec.encode_blocks(points, array("I", [0]) * 20, 0, 4)
    found = numeric.block_numbers(made.data, made.offsets[:-1], made.offsets[1:])
    assert found == (points.t, {"v": array("d", [n / 8 for n in range(20)])})


@pytest.mark.parametrize(
    "texts",
    [
        ["21.5", "21", "-0.25"],
        ["7", "7", "7"],
        ["0", "0.0"],
        ['{"a":1,"b":2.50}', '{"a":1,"b":3.25}'],
        ['{"co2":400,"pm2.5":1}', '{"co2":410,"pm2.5":1}'],
        ['{"t1":1,"id":"n-1"}', '{"t1":2,"id":"n-2"}'],
        ['{"k1":1}', '{"k2":1}'],
        ['{"a":{"b":1}}', '{"a":{"b":2}}'],
        ["[1,2]", "[1,3]"],
        ["1e5", "1e6", "-1E-7"],
        ["-0.0", "-0.0"],
        ["-0", "5"],
        ['{"a":1,"b":7.744e8}', '{"a":2,"b":7.744e8}'],
        ["9007199254740993", "9007199254740992"],
        ["0.1", "0.30000000000000004"],
        ["123456789012345678901234567890", "1" + "0" * 400],
        ["null", "true", '"7"', "{}", "7"],
        ['{"a":1}', '{"b":2}', "3"],
        ['{"a":774400000}', '{"a":774400001}'],
        ['{"a":true,"b":1}', '{"a":true,"b":2}'],
        ['{"a":1,"a":2}', '{"a":3,"a":2}'],
        ["1", "no JSON", "2"],
        ["00", "01"],
    ],
)
def test_as_json_has_them(texts: list[str]) -> None:
    agree(texts)
    agree(texts[:1])
    agree(texts * 4)


@given(
    st.sampled_from(["{}", '{{"a":{},"b2":{}}}', '{{"a":{},"b":[{}]}}', '{{"a":"{}","b":{}}}', '{{"x{}":{}}}']),
    st.lists(json_numbers | st.integers(-9, 9).map(str), min_size=2, max_size=8),
)
def test_as_json_has_them_whatever_they_are(skeleton: str, values: list[str]) -> None:
    agree([skeleton.format(one, other) for one, other in pairwise(values)])


@given(st.binary(max_size=12), st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=4))
def test_both_backends(data: bytes, slices: list[tuple[int, int]]) -> None:
    native = pytest.importorskip("scoutcore.codec.native")
    from scoutcore.codec import numbers

    starts, ends = array("Q", [start for start, _ in slices]), array("Q", [end for _, end in slices])
    assert native.text_numbers(data, starts, ends) == numbers.text_numbers(data, starts, ends)


def test_of_a_history(db: Database) -> None:
    def report(data: Any, t: int) -> dict[str, Any]:
        return {"troop": 1, "scout": 1, "report": "r", "data": data, "t": t}

    db.ingest(report({"c": n / 4, "h": n}, n) for n in range(1000))
    db.ingest(report({"c": n}, n) for n in range(1000, 1003))
    db.ingest([report("none", 2000), report(5, 2001)])
    t, values = db.history(1, 1, "r").numbers()
    assert t.dtype == "datetime64[us]"
    assert t.astype(int).tolist() == [*range(1003), 2000, 2001]
    nan = math.nan
    assert values.keys() == {"c", "h", "value"}
    np.testing.assert_array_equal(values["c"], [*(n / 4 for n in range(1000)), 1000, 1001, 1002, nan, nan])
    np.testing.assert_array_equal(values["h"], [*range(1000), nan, nan, nan, nan, nan])
    np.testing.assert_array_equal(values["value"], [*[nan] * 1004, 5])
    t, values = db.history(1, 1, "r", start=10, limit=2, reverse=True).numbers()
    assert t.astype(int).tolist() == [2001, 2000]
    np.testing.assert_array_equal(values["value"], [5, nan])


def test_of_nothing(db: Database) -> None:
    t, values = db.history(1, 1, "r").numbers()
    assert (len(t), values) == (0, {})
