"""Blocks of codec 1: which points are written so, how short that is, and every text back as it was."""

from __future__ import annotations

import math
import tracemalloc
from array import array
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoutcore.codec import cut, numbers
from scoutcore.codec.constants import INT64_MAX, INT64_MIN, MAX_COLUMN, MAX_TEXTS
from scoutcore.errors import CodecError
from scoutcore.model import encode_json
from tests.codec.helpers import hexed, json_numbers, point_columns, points_of, uint64, varint

NOW = 1_770_000_000_000_000


def written(codec, rows, write_time=NOW):
    """The blocks of *rows*, of one series, which are read again and compared."""
    made = codec.encode_blocks(point_columns(rows), array("I", bytes(4 * len(rows))), write_time)
    found = codec.decode_blocks(made.data, made.offsets[:-1], made.offsets[1:])
    assert points_of(found.points) == [rows[index] for index in made.order]
    summary = codec.summarize_blocks(made.data, made.offsets[:-1], made.offsets[1:])
    assert summary.texts == [rows[made.order[end - 1]][2] for end in made.firsts[1:]]
    return [made.data[start:end] for start, end in pairwise(made.offsets)]


def codecs(codec, texts, clock=False):
    """The codec of the block of points with these texts, a minute apart."""
    rows = [(NOW + i * 60_000_000, (1, i * 60_000) if clock else None, text.encode()) for i, text in enumerate(texts)]
    (block,) = written(codec, rows)
    return block[0]


@pytest.mark.parametrize(
    "texts",
    [
        ["21.5", "21.75", "-3", "0"],
        ["21.5", "21.7", "22.0", "0.0"],
        ["21.50", "21.75", "22.00"],
        ['{"c":21.5,"h":40}', '{"c":21.0,"h":41}', '{"c":20.5,"h":39}'],
        ['"2026-10-11T12:13:14Z"', '"2026-10-11T12:13:15Z"', '"2026-10-11T12:13:16Z"'],
        ['{"s":"\u00e9","v":1}', '{"s":"\u00e9","v":2}', '{"s":"\u00e9","v":3}'],
        ["true", "true", "true"],
        ["1e-05", "2e-05", "3e-07"],
        ["-0.0", "-0.0", "-0.0"],
        ["999999999999999999", "999999999999999998", "999999999999999990"],
        ["0.1", "0.1234567890123456", "0.3"],
        ["12345678901234567890", "12345678901234567891", "12345678901234567892"],
    ],
)
def test_what_fits(codec, texts):
    assert codecs(codec, texts) == codecs(codec, texts, clock=True) == 1


@pytest.mark.parametrize(
    "texts",
    [
        ["1", "2"],
        ["1", "2", "true"],
        ["0.5", "-0.0", "0.5"],
        ["21.50", "21.5", "21.25", "21.125"],
        ["22.0", "22", "22", "22"],
        ['"a"', '"b"', '"c"'],
        ["0", "9" * 18, "-" + "9" * 17 + "8"],
    ],
)
def test_what_does_not_fit(codec, texts):
    assert codecs(codec, texts) == codecs(codec, texts, clock=True) == 0


def test_some_with_clocks(codec):
    rows = [(NOW + i, (1, 1) if i else None, b"[1,2,3,4,5,6]") for i in range(9)]
    (block,) = written(codec, rows)
    assert block[0] == 0


def test_numbers_are_short(codec):
    rows = [(NOW + i * 1_000_000, (1, i * 1000), b'{"value":%d.%d}' % (20 + i * 7 % 10, i % 10)) for i in range(500)]
    (block,) = written(codec, rows)
    assert len(block) < 500 + 60, "seven bits a value, and next to nothing for times and clocks"


@pytest.mark.parametrize("t", [INT64_MIN, -1, 0, INT64_MAX - 9])
@pytest.mark.parametrize("clock", [(0, 0), (2**64 - 1, 2**64 - 10), (2**63 - 2, 2**63 - 2)])
def test_the_ends_of_time_and_of_clocks(codec, t, clock):
    for write_time in (0, NOW, INT64_MAX):
        rows = [(t + i, (clock[0], clock[1] + i), b'{"value":1}') for i in range(10)]
        (block,) = written(codec, rows, write_time)
        assert block[0] == 1


@given(st.lists(json_numbers, min_size=3, max_size=12), st.lists(uint64, min_size=12, max_size=12))
def test_every_text_comes_back(codec, numbers, clocks):
    for number, clock in zip(numbers, clocks, strict=False):
        changed = [number if index == 1 else other for index, other in enumerate([numbers[0]] * 8)]
        written(codec, [(index, (clock, index), f'{{"v":{text}}}'.encode()) for index, text in enumerate(changed)])
    written(codec, [(index, None, text.encode()) for index, text in enumerate(numbers)])


def test_a_block_that_says_it_has_much_is_refused_before_it_gets_room(codec):
    """Each is a few bytes that speak of as much as numbers can say, or of all that is allowed at once."""
    most = (MAX_TEXTS // MAX_COLUMN).to_bytes(2, "little")
    assert most == b"\0\2"
    allowed = hexed("01 01") + varint(2 * MAX_COLUMN) + varint(MAX_TEXTS // MAX_COLUMN) + b"x" * 512 + hexed("00 00")
    hostile = [
        hexed("01 01") + varint(2**64 - 1) + hexed("01 37 00 00"),
        hexed("01 01") + varint(2 * (MAX_COLUMN + 1)) + hexed("01 37 00 00"),
        hexed("01 01") + varint(2 * MAX_COLUMN) + varint(MAX_TEXTS) + b"x" * 600 + hexed("00 00"),
        hexed("01 01") + varint(2 * MAX_COLUMN) + varint(513) + b"x" * 513 + hexed("00 00"),
        hexed("01 01") + varint(2 * MAX_COLUMN) + varint(25) + bytes(25) + hexed("00 00") + hexed("00 00 00") * 25,
    ]
    for block in [allowed, *hostile]:
        whole = array("Q", [0]), array("Q", [len(block)])
        tracemalloc.start()
        try:
            points = len(codec.decode_blocks(block, *whole).points.t)
        except CodecError:
            points = 0
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert points == (MAX_COLUMN if block is allowed else 0)
        assert peak < (4 * MAX_TEXTS if block is allowed else 16_384)


def texts_of(codec, typecode, values):
    module = numbers if codec.__name__.endswith("reference") else codec
    found = module.number_texts(array(typecode, values))
    if found is None:
        return None
    data, starts, ends = found
    assert [*starts, len(data)] == [0, *ends]
    return cut(data, starts, ends)


@given(st.lists(st.integers(INT64_MIN, INT64_MAX)))
def test_texts_of_integers(codec, values):
    assert texts_of(codec, "q", values) == [b"%d" % value for value in values]


plain_floats = st.builds(
    lambda number, decimals: number / 10**decimals, st.integers(-(10**8), 10**8), st.integers(0, 4)
)


@given(st.lists(plain_floats.filter(lambda value: value == 0 or abs(value) >= 1e-4).map(lambda value: value + 0.0)))
def test_texts_of_floats(codec, values):
    assert texts_of(codec, "d", values) == [encode_json(value) for value in values]


@given(st.lists(plain_floats, max_size=3), st.floats() | st.floats(-1e16, 1e16) | st.floats(-1e-3, 1e-3))
def test_texts_of_floats_on_both_backends(values, one):
    native = pytest.importorskip("scoutcore.codec.native")
    for column in (array("d", [*values, one]), array("d", [one, *values])):
        assert native.number_texts(column) == numbers.number_texts(column)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        *((0.0, True), (-0.0, False), (1e-4, True), (0.00099999999999999, True), (0.000123456789012345, True)),
        *((9.9999999999999e-5, False), (99999999999999.9, True), (-99999999999999.0, True), (1e14, False)),
        *((0.1 + 0.2, False), (1 / 3, False), (123456.789012345, True), (1234567.89012345, True), (5e-324, False)),
        *((math.nan, False), (math.inf, False), (-math.inf, False), (1e22, False), (2.5, True), (-20.0, True)),
    ],
)
def test_texts_of_one_float(codec, value, plain):
    for before in ([], [0.000123456789012345], [2.5]):
        expected = [encode_json(one) for one in [*before, value]] if plain else None
        assert texts_of(codec, "d", [*before, value]) == expected
