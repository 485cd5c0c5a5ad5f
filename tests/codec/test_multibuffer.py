"""Multibuffers: exact bytes, cut and wrong input, streams."""

from __future__ import annotations

import mmap
import time
from array import array

import pytest

from scoutcore import multibuffer
from scoutcore.errors import CorruptError, EncodeError, InvalidError, TruncatedError
from tests.codec.helpers import failure, hexed, varint

TRUNCATED = "TruncatedError: input ends in the middle of an item at byte"
OVERLONG = "CorruptError: varint over 64 bits at byte"
LONG = "ff ff ff ff ff ff ff ff ff 02"

PACKED = [
    ([], 0, ""),
    ([b""], 0, "00"),
    ([b"ab", b"", b"c"], 0, "02 61 62 00 01 63"),
    ([b"a" * 127, b"b" * 128], 0, "7f" + "61" * 127 + "80 01" + "62" * 128),
    ([b"ab", b"c"], 2, "00 00 02 61 62 00 00 01 63"),
    # npm multibuffer loses "bc" here
    ([b"a" * 200, b"abc"], 2, "00 00 c8 01" + "61" * 200 + "00 00 03 61 62 63"),
]


@pytest.mark.parametrize(("buffers", "extra", "data"), PACKED)
def test_bytes(codec, buffers, extra, data):
    data = hexed(data)
    assert codec.pack(buffers, extra) == data
    assert codec.unpack(data, extra) == buffers
    assert b"".join(multibuffer.encode(buffer, extra) for buffer in buffers) == data
    assert b"".join(multibuffer.pack_stream(buffers, extra)) == data
    assert list(multibuffer.unpack_stream([data], extra)) == buffers
    whole = b"".join(buffers)
    offsets = array("Q", [sum(map(len, buffers[:index])) for index in range(len(buffers) + 1)])
    assert codec.pack_columns(whole, offsets, extra) == data
    starts, ends, consumed = codec.unpack_columns(data, extra)
    assert [data[start:end] for start, end in zip(starts, ends, strict=True)] == buffers
    assert consumed == len(data)
    assert starts.typecode == ends.typecode == "Q"


def test_any_contiguous_buffer(codec, tmp_path):
    (tmp_path / "file").write_bytes(b"\2hi\1!")
    buffers = [
        *(b"hi", bytearray(b"hi"), memoryview(b"hi"), memoryview(b"?hi")[1:], array("H", [0x6968])),
        *(memoryview(array("H", [0x6968])), memoryview(b"hi").cast("B", (2, 1))),
    ]
    assert codec.pack(buffers) == b"\2hi" * len(buffers)
    assert codec.pack(iter(buffers)) == b"\2hi" * len(buffers)
    assert codec.pack(iter([b"hi", b"!"])) == b"\2hi\1!"
    assert codec.pack((b"hi", b"!")) == b"\2hi\1!"
    assert codec.pack_columns(memoryview(array("H", [0x6968])), array("Q", [0, 2])) == b"\2hi"
    assert codec.unpack(array("H", [0x6802, 0x0069])) == [b"hi", b""]
    with (tmp_path / "file").open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        assert codec.unpack(mapped) == [b"hi", b"!"]
    assert multibuffer.read_partial(array("H", [0x6802, 0x0069])) == (b"hi", b"\0")


@pytest.mark.parametrize("wrong", [memoryview(b"h?i?")[::2], "hi", 5, None, [104]])
def test_what_is_no_contiguous_buffer(codec, wrong):
    for function in (codec.unpack, codec.unpack_columns, multibuffer.read_partial, lambda data: codec.pack([data])):
        with pytest.raises(TypeError):
            function(wrong)


@pytest.mark.parametrize(
    ("data", "extra", "error"),
    [
        # npm gives a short last buffer for these
        ("05 61 62", 0, f"{TRUNCATED} 0"),
        ("01 61 05 62", 0, f"{TRUNCATED} 2"),
        ("80", 0, f"{TRUNCATED} 0"),
        ("01 61 ff ff", 0, f"{TRUNCATED} 2"),
        ("ff ff ff ff ff ff ff ff ff 01 61", 0, f"{TRUNCATED} 0"),
        (LONG, 0, f"{OVERLONG} 0"),
        (f"01 61 {LONG} 61", 0, f"{OVERLONG} 2"),
        ("00", 2, f"{TRUNCATED} 0"),
        ("00 00", 2, f"{TRUNCATED} 0"),
        ("00 00 01 61 00", 2, f"{TRUNCATED} 4"),
        ("00 00 02 61", 2, f"{TRUNCATED} 0"),
        (f"00 00 {LONG}", 2, f"{OVERLONG} 2"),
        (f"00 00 01 61 00 00 {LONG}", 2, f"{OVERLONG} 6"),
    ],
)
def test_wrong(codec, data, extra, error):
    assert failure(codec.unpack, hexed(data), extra) == error
    kind, text = error.split(": ")
    with pytest.raises({"TruncatedError": TruncatedError, "CorruptError": CorruptError}[kind]) as caught:
        list(multibuffer.unpack_stream([hexed(data)], extra, max_length=2**64))
    assert str(caught.value) == text


def test_columns_of_part(codec):
    data = hexed("01 61 00 02 62 63 03 64")
    assert codec.unpack_columns(data) == (array("Q", [1, 3, 4]), array("Q", [2, 3, 6]), 6)
    assert codec.unpack_columns(data, 0, 2, 1) == (array("Q", [3]), array("Q", [3]), 3)
    assert codec.unpack_columns(data, 0, 2, 0) == (array("Q"), array("Q"), 2)
    assert codec.unpack_columns(data, 0, 6) == (array("Q"), array("Q"), 6)
    assert codec.unpack_columns(data, 0, 8) == (array("Q"), array("Q"), 8)
    assert codec.unpack_columns(b"") == (array("Q"), array("Q"), 0)
    wrong = b"\1a" + hexed(LONG)
    assert codec.unpack_columns(wrong) == (array("Q", [1]), array("Q", [2]), 2)
    assert failure(codec.unpack_columns, wrong, 0, 2) == f"{OVERLONG} 2"


@pytest.mark.parametrize(
    ("offsets", "row"), [([0, 4], 0), ([2, 1], 0), ([0, 1, 2, 1], 2), ([0, 1, 2**64 - 1], 1), ([4, 4], 0)]
)
def test_offsets_that_do_not_fit(codec, offsets, row):
    error = f"EncodeError: slice outside its buffer at item {row}"
    assert failure(codec.pack_columns, b"abc", array("Q", offsets)) == error


def test_offsets_of_nothing(codec):
    assert codec.pack_columns(b"abc", array("Q")) == codec.pack_columns(b"abc", array("Q", [3])) == b""
    assert codec.pack_columns(b"abc", array("Q", [1, 1, 2])) == b"\0\1b"


def test_a_negative_extra_is_refused(codec):
    for function in (
        codec.unpack,
        codec.unpack_columns,
        multibuffer.read_partial,
        lambda data, n: codec.pack([data], n),
    ):
        with pytest.raises(InvalidError, match=r"^extra is negative$"):
            function(b"\0\1a", -1)
    with pytest.raises(InvalidError):
        codec.pack_columns(b"a", array("Q", [0, 1]), -1)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 2**20])
def test_sizes(codec, size):
    buffers = [b"x" * size, b"", b"y" * size]
    data = codec.pack(buffers)
    assert data[: len(varint(size))] == varint(size)
    assert codec.unpack(data) == buffers


@pytest.mark.parametrize("extra", [0, 1, 3])
def test_read_partial_at_every_cut(extra):
    data = multibuffer.pack([b"a" * 200, b"", b"b"], extra)
    first = len(multibuffer.encode(b"a" * 200, extra))
    for cut in range(len(data) + 1):
        item, rest = multibuffer.read_partial(data[:cut], extra)
        assert item == (b"a" * 200 if cut >= first else None)
        assert rest == (data[first:cut] if cut >= first else data[:cut])
        assert isinstance(rest, memoryview)


def test_read_partial_to_the_end():
    data = memoryview(b"\1a\0\1b")
    items = []
    while data:
        item, data = multibuffer.read_partial(data)
        items.append(item)
    assert items == [b"a", b"", b"b"]
    with pytest.raises(CorruptError, match=r"^varint over 64 bits at byte 0$"):
        multibuffer.read_partial(hexed(LONG))


@pytest.mark.parametrize("extra", [0, 2])
def test_unpack_stream_at_every_cut(extra):
    buffers = [b"a" * 130, b"", b"bc"]
    data = multibuffer.pack(buffers, extra)
    ends = [len(multibuffer.pack(buffers[:count], extra)) for count in range(4)]
    for cut in range(len(data) + 1):
        assert list(multibuffer.unpack_stream([data[:cut], b"", data[cut:]], extra)) == buffers
        if cut not in ends:
            stream = multibuffer.unpack_stream([data[:cut]], extra)
            whole = sum(end <= cut for end in ends) - 1
            assert [next(stream) for _ in range(whole)] == buffers[:whole]
            with pytest.raises(TruncatedError, match=f"middle of an item at byte {ends[whole]}$"):
                next(stream)
    assert list(multibuffer.unpack_stream([data[at : at + 1] for at in range(len(data))], extra)) == buffers


def test_unpack_stream_gives_each_item_at_once():
    given = []

    def chunks():
        for chunk in (b"\1", b"a\1", b"b"):
            given.append(chunk)
            yield chunk

    stream = multibuffer.unpack_stream(chunks())
    assert next(stream) == b"a"
    assert given == [b"\1", b"a\1"]
    assert list(stream) == [b"b"]


@pytest.mark.parametrize("chunks", [[b"\1a\4bcde"], [b"\1a", b"\4"], [b"\1a\4", b"bcde\1"], [b"\1a\xff\1"]])
def test_unpack_stream_limit(chunks):
    stream = multibuffer.unpack_stream(chunks, max_length=3)
    assert next(stream) == b"a"
    with pytest.raises(CorruptError, match=r"^item longer than the limit at byte 2$"):
        next(stream)
    assert list(multibuffer.unpack_stream([b"\3abc\0"], max_length=3)) == [b"abc", b""]


def test_unpack_stream_error_offsets_count_from_the_first_chunk():
    stream = multibuffer.unpack_stream([b"\1", b"a\1b", hexed(LONG)])
    assert [next(stream), next(stream)] == [b"a", b"b"]
    with pytest.raises(CorruptError, match=r"^varint over 64 bits at byte 4$"):
        next(stream)


def test_unpack_stream_takes_linear_time():
    data = multibuffer.encode(b"x" * 2**20)
    begin = time.perf_counter()
    assert [len(item) for item in multibuffer.unpack_stream(data[at : at + 64] for at in range(0, len(data), 64))]
    assert time.perf_counter() - begin < 5  # copying all for each piece would take 8 GiB


def test_pack_stream_refuses_what_is_no_buffer():
    with pytest.raises(TypeError):
        list(multibuffer.pack_stream(["a"]))
    with pytest.raises(EncodeError):
        multibuffer.pack_columns(b"", array("Q", [0, 1]))
