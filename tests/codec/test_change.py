"""Changes: exact bytes, and every way in which one can be wrong."""

from __future__ import annotations

from array import array

import pytest

from scoutcore.codec.columns import Change, ChangeColumns, Frames
from scoutcore.codec.constants import ABSENT, MAX_FRAME
from scoutcore.errors import EncodeError
from tests.codec.helpers import failure, frame, hexed

KEY, CHANGE, FROM, TO = "12 01 6b", "18 01", "20 00", "28 01"
REST = f"{CHANGE} {FROM} {TO}"
GOOD = f"{KEY} {REST}"
LONG = "ff ff ff ff ff ff ff ff ff 02"  # a varint over 64 bits


def encoded(codec, *changes, **kwargs):
    return codec.encode_changes(ChangeColumns.from_objects(changes), **kwargs)


def decoded(codec, *contents):
    data = b"".join(frame(1, hexed(content)) for content in contents)
    return codec.decode_changes(data, codec.scan_frames(data)).to_objects()


@pytest.mark.parametrize(
    ("change", "content"),
    [
        (Change("k", 1, 0, 1), GOOD),
        (Change("", 0, 0, 0), "12 00 18 00 20 00 28 00"),
        (Change("k", 1, 0, 1, b""), f"{GOOD} 32 00"),
        (Change("k", 1, 0, 1, b"\xff\0"), f"{GOOD} 32 02 ff 00"),
        (Change("k", 1, 0, 1, None, "sensor"), f"0a 06 73 65 6e 73 6f 72 {GOOD}"),
        (Change("k", 1, 0, 1, b"v", "s"), f"0a 01 73 {GOOD} 32 01 76"),
        (Change("ké€😀", 1, 0, 1), f"12 0a 6b c3 a9 e2 82 ac f0 9f 98 80 {REST}"),
        (Change("k\0", 1, 0, 1), f"12 02 6b 00 {REST}"),
        (Change("k", 127, 128, 129), f"{KEY} 18 7f 20 80 01 28 81 01"),
        (
            Change("k", 2**32 - 1, 2**31, 2**28 - 1),
            f"{KEY} 18 ff ff ff ff 0f 20 80 80 80 80 08 28 ff ff ff 7f",
        ),
        (Change("k" * 128, 1, 0, 1, b"v" * 128), f"12 80 01 {'6b' * 128} {REST} 32 80 01 {'76' * 128}"),
    ],
)
def test_bytes(codec, change, content):
    data = frame(1, hexed(content))
    assert encoded(codec, change) == (data, array("Q", [len(data)]))
    assert decoded(codec, content) == [change]


def test_an_empty_subset_is_none(codec):
    assert encoded(codec, Change("k", 1, 0, 1, subset="")) == encoded(codec, Change("k", 1, 0, 1))


def test_many(codec):
    changes = [
        Change(f"k{index}", index, 0, index, None if index % 3 else b"v" * index, "s" if index % 2 else None)
        for index in range(300)
    ]
    data, ends = encoded(codec, *changes)
    assert ends.typecode == "Q"
    frames = codec.scan_frames(data)
    assert frames.ends == ends
    columns = codec.decode_changes(data, frames)
    assert columns.to_objects() == changes
    assert [column.typecode for column in columns if isinstance(column, array)] == [*"QQQQQQIII"]
    assert columns.key_data is columns.value_data is columns.subset_data is data


def test_nothing(codec):
    assert encoded(codec) == (b"", array("Q"))
    assert decoded(codec) == []


@pytest.mark.parametrize(
    ("content", "change"),
    [
        # any order
        (f"32 01 76 28 01 20 00 18 01 {KEY} 0a 01 73", Change("k", 1, 0, 1, b"v", "s")),
        # the last of a repeated field
        (f"{GOOD} 12 01 6c", Change("l", 1, 0, 1)),
        (f"{GOOD} 18 05 20 06 28 07", Change("k", 5, 6, 7)),
        (f"32 01 76 {GOOD} 32 00", Change("k", 1, 0, 1, b"")),
        (f"0a 01 73 {GOOD} 0a 01 74", Change("k", 1, 0, 1, None, "t")),
        (f"0a 01 73 {GOOD} 0a 00", Change("k", 1, 0, 1)),
        # numbers in long forms: in a tag, a length, a value
        (f"92 80 00 81 00 6b {CHANGE} {FROM} a8 00 81 80 80 80 80 80 80 80 80 00", Change("k", 1, 0, 1)),
        # unknown fields of every wire type that has a length
        (f"38 ff ff ff ff ff ff ff ff ff 01 {GOOD}", Change("k", 1, 0, 1)),
        (f"39 01 02 03 04 05 06 07 08 {GOOD}", Change("k", 1, 0, 1)),
        (f"{GOOD} 3a 02 ff ff", Change("k", 1, 0, 1)),
        (f"{GOOD} 3d 01 02 03 04", Change("k", 1, 0, 1)),
        (f"{GOOD} 80 01 05", Change("k", 1, 0, 1)),
        (f"{GOOD} f8 ff ff ff 0f 05", Change("k", 1, 0, 1)),
    ],
)
def test_what_others_may_write(codec, content, change):
    assert decoded(codec, content) == [change]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        # a missing field: at the change
        ("", "change without a required field at byte 2"),
        (REST, "change without a required field at byte 2"),
        (f"{KEY} {FROM} {TO}", "change without a required field at byte 2"),
        (f"{KEY} {CHANGE} {TO}", "change without a required field at byte 2"),
        (f"{KEY} {CHANGE} {FROM}", "change without a required field at byte 2"),
        (f"0a 01 73 32 00 {KEY} {CHANGE} {FROM}", "change without a required field at byte 2"),
        # a tag
        (f"{GOOD} 80", "field runs past the end of its change at byte 11"),
        (f"{GOOD} {LONG}", "varint over 64 bits at byte 11"),
        (f"{GOOD} 80 80 80 80 10", "number over 32 bits at byte 11"),
        (f"{GOOD} ff ff ff ff ff ff ff ff ff 01", "number over 32 bits at byte 11"),
        (f"{GOOD} ff ff ff ff 0f", "wrong wire type at byte 11"),
        (f"{GOOD} 00 00", "field number 0 at byte 11"),
        (f"{GOOD} 07", "field number 0 at byte 11"),
        (f"{GOOD} 80 00 01", "field number 0 at byte 11"),
        # a number
        (f"{KEY} 18", "field runs past the end of its change at byte 6"),
        (f"{KEY} 18 80", "field runs past the end of its change at byte 6"),
        (f"{KEY} 18 {LONG}", "varint over 64 bits at byte 6"),
        (f"{KEY} 18 80 80 80 80 10", "number over 32 bits at byte 5"),
        (f"{KEY} 20 80 80 80 80 10", "number over 32 bits at byte 5"),
        (f"{KEY} 28 ff ff ff ff ff ff ff ff ff 01", "number over 32 bits at byte 5"),
        (f"{KEY} 18 80 80 80 80 10 {REST}", "number over 32 bits at byte 5"),
        (f"{GOOD} 38 {LONG}", "varint over 64 bits at byte 12"),
        (f"{GOOD} 38 80", "field runs past the end of its change at byte 12"),
        # a length
        (f"{REST} 12", "field runs past the end of its change at byte 9"),
        (f"{REST} 12 80", "field runs past the end of its change at byte 9"),
        (f"{REST} 12 {LONG}", "varint over 64 bits at byte 9"),
        (f"{REST} 12 02 6b", "field runs past the end of its change at byte 8"),
        (f"{GOOD} 0a 01", "field runs past the end of its change at byte 11"),
        (f"{GOOD} 32 01", "field runs past the end of its change at byte 11"),
        (f"{GOOD} 32 ff ff ff ff ff ff ff ff ff 01 61", "field runs past the end of its change at byte 11"),
        (f"{GOOD} 3a 03 01 02", "field runs past the end of its change at byte 11"),
        (f"{GOOD} 39 01 02 03 04 05 06 07", "field runs past the end of its change at byte 11"),
        (f"{GOOD} 3d 01 02 03", "field runs past the end of its change at byte 11"),
        # text, also one that a later field would have replaced
        (f"12 01 ff {REST}", "invalid UTF-8 at byte 2"),
        (f"0a 01 80 {GOOD}", "invalid UTF-8 at byte 2"),
        (f"{REST} 12 01 c3 {KEY}", "invalid UTF-8 at byte 8"),
        # the first thing that is wrong counts
        (f"12 01 ff {KEY} 18 80 80 80 80 10", "invalid UTF-8 at byte 2"),
        (f"{KEY} 18 80 80 80 80 10 00", "number over 32 bits at byte 5"),
    ],
)
def test_wrong(codec, content, error):
    data = frame(1, hexed(content))
    assert failure(codec.decode_changes, data, codec.scan_frames(data)) == f"CorruptError: {error}"


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("wire", range(8))
def test_wire_types(codec, number, wire):
    good = {1: [2], 2: [2], 3: [0], 4: [0], 5: [0], 6: [2]}.get(number, [0, 1, 2, 5])
    content = hexed(GOOD) + bytes([number << 3 | wire]) + bytes([0] * {0: 1, 1: 8, 2: 1, 5: 4}.get(wire, 0))
    data = frame(1, content)
    if wire in good:
        assert len(codec.decode_changes(data, codec.scan_frames(data)).change) == 1
    else:
        error = failure(codec.decode_changes, data, codec.scan_frames(data))
        assert error == "CorruptError: wrong wire type at byte 11"


@pytest.mark.parametrize(
    "text",
    # the edges of table 3-7 of the Unicode standard
    [
        "7f",
        "c2 80",
        "df bf",
        "e0 a0 80",
        "ec bf bf",
        "ed 80 80",
        "ed 9f bf",
        "ee 80 80",
        "ef bf bf",
        "f0 90 80 80",
        "f3 bf bf bf",
        "f4 8f bf bf",
        "00",
        "61 62 63 64 65 66 67 c3 a9 61",
        "e2 82 ac 61 e2 82 ac",
    ],
)
def test_good_utf8(codec, text):
    key = hexed(text)
    content = b"\x12" + bytes([len(key)]) + key + hexed(REST)
    data = frame(1, content)
    assert codec.decode_changes(data, codec.scan_frames(data)).to_objects() == [Change(key.decode(), 1, 0, 1)]
    assert encoded(codec, Change(key.decode(), 1, 0, 1))[0] == data


@pytest.mark.parametrize(
    "text",
    [
        "80",
        "bf",
        "c0 80",
        "c1 bf",
        "c2",
        "c2 7f",
        "c2 c0",
        "e0 9f bf",
        "e0 a0",
        "e1 80",
        "e1 80 7f",
        "ed a0 80",
        "ed bf bf",
        "ef bf c0",
        "f0 8f bf bf",
        "f0 90 80",
        "f1 80 80 c0",
        "f4 90 80 80",
        "f5 80 80 80",
        "ff",
        "fe",
        "61 62 63 64 65 66 67 80",
        "61 62 63 64 65 66 67 68 c3",
        "c3 a9 61 62 63 64 65 66 67 e2 82",
    ],
)
def test_bad_utf8(codec, text):
    key = hexed(text)
    content = b"\x12" + bytes([len(key)]) + key + hexed(REST)
    data = frame(1, content)
    assert failure(codec.decode_changes, data, codec.scan_frames(data)) == "CorruptError: invalid UTF-8 at byte 2"
    for before in range(1, 9):  # wherever it stands in a word
        columns = ChangeColumns.from_objects([Change("k" * (before + len(key)), 1, 0, 1)])
        columns = columns._replace(key_data=b"k" * before + key, key_starts=array("Q", [0]))
        columns = columns._replace(key_ends=array("Q", [len(columns.key_data)]))
        assert failure(codec.encode_changes, columns) == "EncodeError: invalid UTF-8 at item 0"


def test_blobs_are_passed_over_and_offsets_are_the_buffer_s(codec):
    data = frame(2, b"\xff") + frame(1, hexed(GOOD)) + frame(2, b"") + frame(1, hexed(REST))
    frames = codec.scan_frames(data)
    assert failure(codec.decode_changes, data, frames) == "CorruptError: change without a required field at byte 18"
    first = Frames(frames.ids[:3], frames.starts[:3], frames.ends[:3], 16)
    assert codec.decode_changes(data, first).to_objects() == [Change("k", 1, 0, 1)]


@pytest.mark.parametrize(("start", "end"), [(0, 10), (9, 8), (2**64 - 1, 2**64 - 1), (0, 2**64 - 1), (10, 10)])
@pytest.mark.parametrize("kind", [1, 2])
def test_frames_outside_the_data(codec, start, end, kind):
    data = hexed(GOOD)
    frames = Frames(array("B", [1, kind]), array("Q", [0, start]), array("Q", [9, end]), 0)
    assert failure(codec.decode_changes, data, frames) == "EncodeError: slice outside its buffer at item 1"


@pytest.mark.parametrize("column", ["subset", "key", "value"])
@pytest.mark.parametrize(("start", "end"), [(0, 3), (2, 1), (3, 3), (ABSENT, 1), (0, ABSENT), (ABSENT - 1, ABSENT)])
def test_slices_outside_the_buffers(codec, column, start, end):
    columns = ChangeColumns.from_objects([Change("k", 1, 0, 1, b"v", "s")] * 2)
    columns = columns._replace(
        **{f"{column}_data": b"xx", f"{column}_starts": array("Q", [0, start]), f"{column}_ends": array("Q", [1, end])}
    )
    assert failure(codec.encode_changes, columns) == "EncodeError: slice outside its buffer at item 1"


def test_a_key_that_is_absent(codec):
    columns = ChangeColumns.from_objects([Change("k", 1, 0, 1)])
    columns = columns._replace(key_starts=array("Q", [ABSENT]), key_ends=array("Q", [ABSENT]))
    assert failure(codec.encode_changes, columns) == "EncodeError: change without a required field at item 0"


def test_texts_that_are_not_utf8(codec):
    good = Change("k", 1, 0, 1)
    for bad in (Change("\ud800", 1, 0, 1), Change("k", 1, 0, 1, None, "a\udfff")):
        columns = ChangeColumns.from_objects([good, bad])
        assert failure(codec.encode_changes, columns) == "EncodeError: invalid UTF-8 at item 1"


def test_longest_frame(codec):
    room = MAX_FRAME - len(hexed(GOOD)) - 1 - len(hexed("32 80 80 80 01"))
    longest = Change("k", 1, 0, 1, bytes(room))
    data, _ = encoded(codec, longest)
    assert data[:5] == hexed("80 80 80 02 01")
    assert codec.decode_changes(data, codec.scan_frames(data)).to_objects() == [longest]
    too_long = Change("k", 1, 0, 1, bytes(room + 1))
    error = "EncodeError: frame longer than the limit at item 1"
    assert failure(encoded, codec, longest, too_long) == error
    assert len(encoded(codec, too_long, max_frame=MAX_FRAME + 1)[0]) == MAX_FRAME + 5


@pytest.mark.parametrize("size", [len(hexed(GOOD)), len(hexed(GOOD)) + 1])
def test_limit(codec, size):
    change = Change("k", 1, 0, 1)
    if size == len(hexed(GOOD)):
        assert failure(encoded, codec, change, max_frame=size) == "EncodeError: frame longer than the limit at item 0"
    else:
        assert encoded(codec, change, max_frame=size)[0] == frame(1, hexed(GOOD))


@pytest.mark.parametrize("name", ["change", "from_", "to"])
@pytest.mark.parametrize("value", [-1, 2**32])
def test_numbers_over_32_bits(name, value):
    good = Change("k", 1, 0, 1)
    with pytest.raises(EncodeError, match=f"^{name.rstrip('_')} is not a number of 32 bits at item 1$"):
        ChangeColumns.from_objects([good, Change(**{"key": "k", "change": 1, "from_": 0, "to": 1, name: value})])
