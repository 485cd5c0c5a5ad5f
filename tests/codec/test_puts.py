"""Puts of many small batches become groups: exact bytes, limits, and what is no array of puts."""

from __future__ import annotations

from itertools import chain, islice
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoutcore.codec import puts, reference
from scoutcore.codec.constants import GROUP_BYTES, GROUP_SPAN, UINT64_MAX
from tests.codec.helpers import failure, hexed, varint

WRONG = "CorruptError: wrong wire type at byte"
CUT = "TruncatedError: input ends in the middle of an item at byte"


@pytest.fixture(scope="session")
def group(codec):
    return puts.group_puts if codec is reference else codec.group_puts


def key(row: bytes, time: int, change: int = 1) -> bytes:
    return b"h" + row + b"\0" + pack(">QQ", time, change)


def group_of(*blocks: tuple[bytes, bytes]) -> list[bytes]:
    """Key and value of the group of these blocks of a row, in order, or of the only one."""
    (first, value), *more = blocks
    if not more:
        return [first, value]
    begin, end = (int.from_bytes(one[-16:-8], "big") for one in (first, blocks[-1][0]))
    members = b"".join(varint(16 + len(value)) + one[-16:] + value for one, value in blocks)
    return [first + b"g", b"\2" + pack(">Q", end - begin) + members]


TWO = """
    dd 00 00 00 04
    c6 00 00 00 13 68 72 00 00 00 00 00 00 00 01 01 00 00 00 00 00 00 00 03
    c6 00 00 00 01 01
    c6 00 00 00 13 68 72 00 00 00 00 00 00 00 00 0a 00 00 00 00 00 00 00 07
    c6 00 00 00 02 00 11
"""
GROUP = (
    "68 72 00 00 00 00 00 00 00 00 0a 00 00 00 00 00 00 00 07 67",
    """
    02 00 00 00 00 00 00 00 f7
    12 00 00 00 00 00 00 00 0a 00 00 00 00 00 00 00 07 00 11
    11 00 00 00 00 00 00 01 01 00 00 00 00 00 00 00 03 01
    """,
)


def test_bytes(group):
    assert group(hexed(TWO)) == list(map(hexed, GROUP))
    assert puts.pack_puts([key(b"r", 257, 3), b"\1", key(b"r", 10, 7), b"\0\x11"]) == hexed(TWO)


@pytest.mark.parametrize("data", [b"", puts.NO_PUTS, puts.NO_PUTS * 3])
def test_nothing(group, data):
    assert group(data) == []


def test_rows_and_the_rest_keep_their_order(group):
    arrays = [
        [b"i by clock", b"1", key(b"b", 5), b"b", b"", b"no key"],
        [key(b"a", 9), b"y", key(b"bb", 5), b""],
        [b"g", b"", key(b"a", 8, 2), b"x", b"i by clock", b"2"],
    ]
    assert group(b"".join(map(puts.pack_puts, arrays))) == [
        *(key(b"b", 5), b"b"),
        *group_of((key(b"a", 8, 2), b"x"), (key(b"a", 9), b"y")),
        *(key(b"bb", 5), b""),
        *(b"i by clock", b"1", b"", b"no key", b"g", b"", b"i by clock", b"2"),
    ]


def test_blocks_at_one_place_stay_as_they_stood(group):
    times = [3, 1, 3, 2, 1, 3, 0, 2, 3, 1]
    blocks = [(key(b"r", time), b"%d" % index) for index, time in enumerate(times)]
    items = [item for block in blocks for item in block]
    assert group(puts.pack_puts(items)) == group_of(*sorted(blocks, key=lambda block: block[0]))


@pytest.mark.parametrize(
    ("times", "sizes", "counts"),
    [
        ([7, 7 + GROUP_SPAN], [1, 1], [2]),
        ([7, 8 + GROUP_SPAN], [1, 1], [1, 1]),
        ([0, 1, GROUP_SPAN, GROUP_SPAN + 1, 2 * GROUP_SPAN + 1], [1] * 5, [3, 2]),
        ([0, UINT64_MAX - GROUP_SPAN, UINT64_MAX], [1] * 3, [1, 2]),
        ([0] * 2, [GROUP_BYTES - 1, 1], [2]),
        ([0] * 2, [GROUP_BYTES - 1, 2], [1, 1]),
        ([0] * 4, [GROUP_BYTES, 0, 0, 1], [3, 1]),
        ([0] * 5, [1, 2, GROUP_BYTES + 1, 0, 3], [2, 1, 2]),
        ([0] * 5, [9000, 9000, 7384, 1, 2], [1, 2, 2]),
        ([0] * 5, [111, 112, 113, 16_048, 0], [5]),
        ([0] * 5, [111, 112, 113, 16_049, 0], [3, 2]),
    ],
)
def test_limits(group, times, sizes, counts):
    blocks = [
        (key(b"r", time, index), b"%d" % index * size)
        for index, (time, size) in enumerate(zip(times, sizes, strict=True))
    ]
    rest = iter(blocks)
    wanted = [item for count in counts for item in group_of(*islice(rest, count))]
    assert group(puts.pack_puts(list(chain.from_iterable(blocks)))) == wanted


def test_groups_are_not_grouped_again(group):
    (first, value) = group_of((key(b"r", 1), b"a"), (key(b"r", 2), b"b"))
    assert group(puts.pack_puts([first, value, key(b"r", 1), b"a"])) == [first, value, key(b"r", 1), b"a"]


ONE = puts.pack_puts([key(b"r", 1), b"v", b"i", b""])


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\xc0", f"{WRONG} 0"),
        (b"\xdd", f"{CUT} 0"),
        (hexed("dd 00 00 00"), f"{CUT} 0"),
        (hexed("dd 00 00 00 01"), f"{WRONG} 0"),
        (hexed("dd ff ff ff ff"), f"{WRONG} 0"),
        (hexed("dd ff ff ff fe"), f"{CUT} 5"),
        (hexed("dd 00 00 00 02 dd"), f"{WRONG} 5"),
        (hexed("dd 00 00 00 02 c6 ff ff ff ff"), f"{CUT} 5"),
        (hexed("dd 00 00 00 02 c6 00 00 00 01 69"), f"{CUT} 11"),
        (hexed("dd 00 00 00 02 c6 00 00 00 01 69 c4 00"), f"{WRONG} 11"),
        (ONE + b"\xdc", f"{WRONG} {len(ONE)}"),
        (ONE + b"\xdd", f"{CUT} {len(ONE)}"),
        (ONE + ONE[:-1], f"{CUT} {2 * len(ONE) - 5}"),
        (puts.pack_puts([b"i", b"", b"h", b"v"]), f"{WRONG} 16"),
        (puts.pack_puts([b"h" * 17, b"v"]), f"{WRONG} 5"),
        (puts.pack_puts([b"h" * 17, b"v"])[:27], f"{WRONG} 5"),
        (puts.pack_puts([b"h" * 17, b"v"])[:26], f"{CUT} 5"),
    ],
)
def test_what_is_wrong(group, data, error):
    assert failure(group, data) == error


def test_the_shortest_key(group):
    assert group(puts.pack_puts([b"h" * 18, b"v"])) == [b"h" * 18, b"v"]


def test_many(group):
    """Of few rows and of many, in the worst order: no more than a sort takes."""
    count = 20_000
    few = [(key(b"%d" % (time % 3), count - time), b"") for time in range(count)]
    found = group(puts.pack_puts(list(chain.from_iterable(few))))
    assert found == [item for row in range(3) for item in group_of(*sorted(few[row::3]))]
    many = [item for row in range(count) for item in (key(b"%d" % row, 1), b"v")]
    assert group(puts.pack_puts(many)) == many


@given(st.lists(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=9)), max_size=4), max_size=3))
def test_packed_and_back(arrays):
    packed = [puts.Packed(puts.pack_puts(list(chain.from_iterable(array)))) for array in arrays]
    assert [puts.unpack_puts(one.puts) for one in packed] == [list(chain.from_iterable(array)) for array in arrays]
    assert puts.count_puts(packed) == sum(map(len, arrays))
    every = dict(pair for array in arrays for pair in array)
    assert puts.all_puts({}, packed) == every
    assert puts.all_puts({b"k": None, b"l": b""}, packed) == {**every, b"k": None, b"l": b""}
