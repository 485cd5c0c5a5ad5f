"""Blocks of points: exact bytes, grouping, limits, and every way in which one can be wrong."""

from __future__ import annotations

from array import array

import pytest

from scoutcore.codec.constants import INT64_MAX, INT64_MIN, MAX_BLOCK_SPAN, MAX_DATA
from tests.codec.helpers import failure, hexed, point_columns, points_of, varint

HEAD = "00 01"  # codec 0, write time 1
LONG = "ff ff ff ff ff ff ff ff ff 02"  # a varint over 64 bits


def encoded(codec, rows, series=None, write_time=1, **kwargs):
    """The blocks of *rows*: (series, indices of their points, bytes)."""
    made = codec.encode_blocks(point_columns(rows), array("I", series or [0] * len(rows)), write_time, **kwargs)
    assert [made.offsets.typecode, made.series.typecode, made.firsts.typecode, made.order.typecode] == [*"QIQI"]
    assert made.offsets[0] == made.firsts[0] == 0
    assert made.offsets[-1] == len(made.data)
    return [
        (
            made.series[index],
            made.order[made.firsts[index] : made.firsts[index + 1]].tolist(),
            made.data[made.offsets[index] : made.offsets[index + 1]],
        )
        for index in range(len(made.series))
    ]


def decoded(codec, *blocks):
    """Write time and points of each block."""
    starts, ends, data = array("Q"), array("Q"), b""
    for block in blocks:
        data += b"\xee"  # blocks need not touch
        starts.append(len(data))
        data += block
        ends.append(len(data))
    firsts, write_times, points = codec.decode_blocks(data, starts, ends)
    assert [column.typecode for column in points if isinstance(column, array)] == [*"qBQQQQ"]
    assert len(points.data) == sum(points.ends) - sum(points.starts)
    rows = points_of(points)
    return [(write_times[index], rows[firsts[index] : firsts[index + 1]]) for index in range(len(blocks))]


def wrong(codec, block, function=None):
    return failure(function or codec.decode_blocks, block, array("Q", [0]), array("Q", [len(block)]))


@pytest.mark.parametrize(
    ("write_time", "rows", "block"),
    [
        (1, [(5, None, b"7")], "00 01 03 0a 00 37"),
        (0, [(0, None, b"7")], "00 00 03 00 00 37"),
        (1, [(-1, None, b"{}")], "00 01 04 01 00 7b 7d"),
        (1, [(5, (0, 0), b"7")], "00 01 05 0a 01 00 00 37"),
        (1, [(5, (1, 300), b"7")], "00 01 06 0a 01 01 ac 02 37"),
        (1, [(5, (2**64 - 1, 0), b"7")], "00 01 0e 0a 01 ff ff ff ff ff ff ff ff ff 01 00 37"),
        (1, [(5, None, b"7"), (5, None, b"8")], "00 01 03 0a 00 37 03 00 00 38"),
        (1, [(5, None, b"7"), (70, (1, 2), b"8")], "00 01 03 0a 00 37 06 82 01 01 01 02 38"),
        (1, [(1_700_000_000_000_000, None, b"7")], "00 01 0a 80 80 f2 81 83 89 85 06 00 37"),
        (1, [(INT64_MAX, None, b"7")], "00 01 0c fe ff ff ff ff ff ff ff ff 01 00 37"),
        (1, [(INT64_MIN, None, b"7")], "00 01 0c ff ff ff ff ff ff ff ff ff 01 00 37"),
        (INT64_MAX, [(5, None, b"7")], "00 ff ff ff ff ff ff ff ff 7f 03 0a 00 37"),
        (1, [(5, None, "é".encode() * 63)], f"00 01 80 01 0a 00 {'c3a9' * 63}"),
        # the point of FORMAT.md that looks like a uuid frame
        (
            1,
            [(0, None, b"1"), (1, (2665413724933, 4959571987187969), b"7")],
            "00 01 03 00 00 31 11 02 01 85 96 a7 b8 c9 4d 81 92 a3 b4 c5 d6 e7 08 37",
        ),
    ],
)
def test_bytes(codec, write_time, rows, block):
    assert encoded(codec, rows, write_time=write_time) == [(0, [*range(len(rows))], hexed(block))]
    assert decoded(codec, hexed(block)) == [(write_time, rows)]


def test_nothing(codec):
    assert encoded(codec, []) == []
    assert decoded(codec) == []


def test_grouped_in_order_of_first_points_and_sorted_stably(codec):
    rows = [(t, None, b"%c" % (ord("a") + index)) for index, t in enumerate([9, 3, 5, 3, 1, 9, 3])]
    assert encoded(codec, rows, [0, 1, 0, 1, 2, 1, 0]) == [
        (0, [6, 2, 0], hexed("00 01 03 06 00 67 03 04 00 63 03 08 00 61")),
        (1, [1, 3, 5], hexed("00 01 03 06 00 62 03 00 00 64 03 0c 00 66")),
        (2, [4], hexed("00 01 03 02 00 65")),
    ]


def test_a_long_sort(codec):
    rows = [(index * 7919 % 1009, None, b"0") for index in range(3000)]
    expected = sorted(range(3000), key=lambda index: rows[index][0])
    assert [order for _, order, _ in encoded(codec, rows, max_points=3000)] == [expected]


@pytest.mark.parametrize(("max_points", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (4, [4, 1]), (5, [5]), (6, [5])])
def test_split_by_points(codec, max_points, sizes):
    blocks = encoded(codec, [(t, None, b"7") for t in range(5)], max_points=max_points)
    assert [len(order) for _, order, _ in blocks] == sizes
    assert [row[0] for _, rows in decoded(codec, *[block for _, _, block in blocks]) for row in rows] == [*range(5)]


@pytest.mark.parametrize(("max_bytes", "sizes"), [(0, [1] * 3), (13, [1] * 3), (14, [2, 1]), (17, [2, 1]), (18, [3])])
def test_split_by_bytes(codec, max_bytes, sizes):
    # 2 bytes of head, then 8, 4, 4; alone each is longer than that
    blocks = encoded(codec, [(2**33 + t, None, b"7") for t in range(3)], max_bytes=max_bytes)
    assert [len(order) for _, order, _ in blocks] == sizes
    assert all(len(block) <= max_bytes for _, order, block in blocks if len(order) > 1)


@pytest.mark.parametrize(
    ("times", "sizes"),
    [
        ([0, MAX_BLOCK_SPAN], [2]),
        ([0, MAX_BLOCK_SPAN + 1], [1, 1]),
        ([0, MAX_BLOCK_SPAN // 2, MAX_BLOCK_SPAN, MAX_BLOCK_SPAN + 1], [3, 1]),
        ([-MAX_BLOCK_SPAN, 0, 1], [2, 1]),
        ([INT64_MIN, INT64_MAX], [1, 1]),
        ([INT64_MIN, -1, 0, INT64_MAX], [1, 2, 1]),
        ([INT64_MAX - MAX_BLOCK_SPAN, INT64_MAX], [2]),
        ([INT64_MIN, INT64_MIN + MAX_BLOCK_SPAN], [2]),
    ],
)
def test_split_by_span(codec, times, sizes):
    rows = [(t, None, b"7") for t in times]
    blocks = encoded(codec, rows[::-1])
    assert [len(order) for _, order, _ in blocks] == sizes
    assert [row for _, found in decoded(codec, *[block for _, _, block in blocks]) for row in found] == rows


def test_longest_data(codec):
    rows = [(0, None, b"7" * MAX_DATA)]
    ((_, _, block),) = encoded(codec, rows)
    assert decoded(codec, block) == [(1, rows)]
    error = "EncodeError: data longer than the limit at item 1"
    assert failure(encoded, codec, [(0, None, b"7"), (0, None, b"7" * (MAX_DATA + 1))]) == error
    longer = b"\0\1" + varint(MAX_DATA + 3) + b"\0\0" + b"7" * (MAX_DATA + 1)
    assert wrong(codec, longer) == "CorruptError: data longer than the limit at byte 2"


def test_default_limits_keep_a_block_inside_a_frame(codec):
    blocks = encoded(codec, [(t, None, b"7" * MAX_DATA) for t in range(5)])
    assert [len(order) for _, order, _ in blocks] == [3, 2]
    blocks = encoded(codec, [(t, None, b"7") for t in range(1025)])
    assert [len(order) for _, order, _ in blocks] == [512, 512, 1]


@pytest.mark.parametrize(
    ("start", "end", "series", "error"),
    [
        (0, 3, 0, "slice outside its buffer"),
        (1, 0, 0, "slice outside its buffer"),
        (2**64 - 1, 2**64 - 1, 0, "slice outside its buffer"),
        (1, 1, 0, "point without data"),
        (1, 2, 2, "series numbers not in order of appearance"),
        (1, 2, 2**32 - 1, "series numbers not in order of appearance"),
        # the order of the looks
        (0, 3, 2, "slice outside its buffer"),
        (1, 1, 2, "point without data"),
    ],
)
def test_wrong_batches(codec, start, end, series, error):
    points = point_columns([(0, None, b"7"), (0, None, b"7")])
    points = points._replace(starts=array("Q", [0, start]), ends=array("Q", [1, end]))
    assert failure(codec.encode_blocks, points, array("I", [0, series]), 1) == f"EncodeError: {error} at item 1"


def test_series_begin_at_0(codec):
    error = "EncodeError: series numbers not in order of appearance at item 0"
    assert failure(encoded, codec, [(0, None, b"7")], [1]) == error


@pytest.mark.parametrize("write_time", [-1, 2**63])
def test_write_times_outside_63_bits(codec, write_time):
    error = "EncodeError: time outside 64 bits at item 0"
    assert failure(encoded, codec, [], write_time=write_time) == error


@pytest.mark.parametrize(
    ("block", "error"),
    [
        ("", "block without points at byte 0"),
        (HEAD, "block without points at byte 0"),
        # the write time
        ("00", "block ends in the middle of a point at byte 1"),
        ("00 80", "block ends in the middle of a point at byte 1"),
        (f"00 {LONG}", "varint over 64 bits at byte 1"),
        ("00 80 80 80 80 80 80 80 80 80 01 03 0a 00 37", "time outside 64 bits at byte 1"),
        ("00 80 80 80 80 80 80 80 80 80 01", "time outside 64 bits at byte 1"),
        # the point's length
        (f"{HEAD} 80", "block ends in the middle of a point at byte 2"),
        (f"{HEAD} {LONG}", "varint over 64 bits at byte 2"),
        (f"{HEAD} 04 0a 00 37", "block ends in the middle of a point at byte 2"),
        (f"{HEAD} ff ff ff ff ff ff ff ff ff 01 0a 00 37", "block ends in the middle of a point at byte 2"),
        # its time
        (f"{HEAD} 00", "block ends in the middle of a point at byte 3"),
        (f"{HEAD} 01 8a 03 0a 00 37", "block ends in the middle of a point at byte 3"),
        (f"{HEAD} 0b {LONG} 37", "varint over 64 bits at byte 3"),
        # its flags
        (f"{HEAD} 01 0a 03 0a 00 37", "block ends in the middle of a point at byte 4"),
        (f"{HEAD} 03 0a 02 37", "unknown point flags at byte 2"),
        (f"{HEAD} 03 0a 03 37", "unknown point flags at byte 2"),
        (f"{HEAD} 04 0a 80 01 37", "unknown point flags at byte 2"),
        (f"{HEAD} 0c 0a {LONG} 37", "varint over 64 bits at byte 4"),
        # boot and ms
        (f"{HEAD} 02 0a 01", "block ends in the middle of a point at byte 5"),
        (f"{HEAD} 03 0a 01 80 37", "block ends in the middle of a point at byte 5"),
        (f"{HEAD} 0d 0a 01 {LONG} 37", "varint over 64 bits at byte 5"),
        (f"{HEAD} 03 0a 01 05", "block ends in the middle of a point at byte 6"),
        (f"{HEAD} 0e 0a 01 05 {LONG} 37", "varint over 64 bits at byte 6"),
        # its data
        (f"{HEAD} 02 0a 00", "point without data at byte 2"),
        (f"{HEAD} 04 0a 01 05 06", "point without data at byte 2"),
        (f"{HEAD} 03 0a 00 ff", "invalid UTF-8 at byte 2"),
        # times that do not go together
        (f"{HEAD} 03 0a 00 37 03 01 00 37", "points out of time order at byte 6"),
        (f"{HEAD} 03 00 00 37 07 80 90 9d e9 1a 00 37 03 01 00 37", "points out of time order at byte 14"),
        (f"{HEAD} 03 00 00 37 07 82 90 9d e9 1a 00 37", "block spans more than 3600 s at byte 6"),
        (f"{HEAD} 03 00 00 37 07 80 90 9d e9 1a 00 37 03 02 00 37", "block spans more than 3600 s at byte 14"),
        (f"{HEAD} 0c fe ff ff ff ff ff ff ff ff 01 00 37 03 02 00 37", "time outside 64 bits at byte 15"),
        (f"{HEAD} 0c ff ff ff ff ff ff ff ff ff 01 00 37 03 01 00 37", "time outside 64 bits at byte 15"),
        # the first thing that is wrong counts: length, time, flags, data
        (f"{HEAD} 03 0a 00 37 03 01 02 ff", "points out of time order at byte 6"),
        (f"{HEAD} 03 0a 02 ff", "unknown point flags at byte 2"),
        (f"{HEAD} 03 0a 00 ff 80", "invalid UTF-8 at byte 2"),
    ],
)
def test_wrong_blocks(codec, block, error):
    assert wrong(codec, hexed(block)) == f"CorruptError: {error}"
    assert wrong(codec, hexed(block), codec.summarize_blocks) == f"CorruptError: {error}"


@pytest.mark.parametrize("number", ["02", "80", "ff"])
def test_unknown_codecs(codec, number):
    assert wrong(codec, hexed(f"{number} 01 03 0a 00 37")) == "UnsupportedError: unknown block codec at byte 0"
    assert wrong(codec, hexed(number)) == "UnsupportedError: unknown block codec at byte 0"


def test_long_forms_are_read(codec):
    block = hexed("00 81 00 89 00 8a 00 81 00 85 00 80 00 37")
    assert decoded(codec, block) == [(1, [(5, (5, 0), b"7")])]
    assert decoded(codec, hexed("00 01 04 0a 80 00 37")) == [(1, [(5, None, b"7")])]


def test_offsets_are_the_buffer_s(codec):
    good, bad = hexed("00 01 03 0a 00 37"), hexed("00 01 03 0a 02 37")
    error = failure(codec.decode_blocks, good + bad, array("Q", [0, 6]), array("Q", [6, 12]))
    assert error == "CorruptError: unknown point flags at byte 8"
    # a block's end is an end, whatever follows
    error = failure(codec.decode_blocks, good + good, array("Q", [0, 6]), array("Q", [5, 12]))
    assert error == "CorruptError: block ends in the middle of a point at byte 2"


@pytest.mark.parametrize(("start", "end"), [(0, 7), (6, 5), (7, 7), (2**64 - 1, 2**64 - 1), (0, 2**64 - 1)])
def test_blocks_outside_the_data(codec, start, end):
    data = hexed("00 01 03 0a 00 37")
    error = failure(codec.decode_blocks, data, array("Q", [0, start]), array("Q", [6, end]))
    assert error == "EncodeError: slice outside its buffer at item 1"


@pytest.mark.parametrize(("starts", "ends"), [([0, 0], [6]), ([0], [6, 6])])
def test_columns_that_do_not_match(codec, starts, ends):
    with pytest.raises(ValueError, match="argument 2 is"):
        codec.decode_blocks(hexed("00 01 03 0a 00 37"), array("Q", starts), array("Q", ends))


@pytest.mark.parametrize(
    ("rows", "clocks", "low", "high"),
    [
        ([(1, None, b"7"), (3, None, b"8")], 0, (0, 0), (0, 0)),
        ([(1, (1, 2), b"7"), (3, (1, 3), b"8")], 1, (1, 2), (1, 3)),
        ([(1, (1, 9), b"7"), (3, (2, 0), b"8")], 1, (1, 9), (2, 0)),
        ([(1, (1, 2), b"7"), (3, (1, 2), b"8")], 2, (1, 2), (1, 2)),
        ([(1, (2, 0), b"7"), (3, (1, 9), b"8")], 2, (1, 9), (2, 0)),
        ([(1, None, b"7"), (3, (1, 9), b"8")], 2, (1, 9), (1, 9)),
        ([(1, (1, 9), b"7"), (3, None, b"8")], 2, (1, 9), (1, 9)),
        ([(3, (0, 0), b"8")], 1, (0, 0), (0, 0)),
        ([(1, (2**64 - 1, 2**64 - 1), b"7"), (3, (0, 0), b"8")], 2, (0, 0), (2**64 - 1, 2**64 - 1)),
    ],
)
def test_summaries(codec, rows, clocks, low, high):
    ((_, _, block),) = encoded(codec, rows, write_time=9)
    found = codec.summarize_blocks(b"\xee" + block, array("Q", [1]), array("Q", [len(block) + 1]))
    last = rows[-1]
    assert [list(column) for column in found] == [
        [value]
        for value in (
            *(9, len(rows), rows[0][0], last[0], clocks, *low, *high),
            *(last[1] is not None, *(last[1] or (0, 0)), last[2]),
        )
    ]
    assert "".join(column.typecode for column in found[:-1]) == "qQqqBQQQQBQQ"
    assert all(len(column) == 0 for column in codec.summarize_blocks(b"", array("Q"), array("Q")))
