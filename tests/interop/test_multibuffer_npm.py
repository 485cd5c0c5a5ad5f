"""Varints and multibuffers against npm ``varint``, ``multibuffer`` and ``multibuffer-stream``."""

from __future__ import annotations

import json
from array import array
from itertools import accumulate
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoutcore import multibuffer
from scoutcore.codec.columns import cut
from scoutcore.errors import CorruptError, TruncatedError

from .npm import HERE, Npm, StreamOutcome, every_cut, pieces

if TYPE_CHECKING:
    from types import ModuleType

MIB = 1 << 20
SIZES = [0, 1, 2, 126, 127, 128, 129, 200, 16_383, 16_384, 16_385, 65_535, 65_536, 262_143, MIB - 1, MIB]
ONE_BYTE_LENGTHS = [b"", b"a", b"abc", bytes(127)]

NUMBERS = sorted(
    {base + step for bits in range(53) for base in [1 << bits] for step in (-1, 0, 1)}
    | {2**32 - 2, 2**53 - 2, 2**53 - 1}
)
"""Around every power of two that a JavaScript number holds exactly."""

SMALL = b"\x00\x03abc\x01x\x00\x02\xff\x80"
"""Items of 0, 3, 1, 0 and 2 bytes."""
LONG = b"\x01a\x80\x01" + bytes(range(128)) + b"\x02bc"
"""Items of 1, 128 and 2 bytes: one length takes two bytes."""


def test_the_packages_are_the_pinned_ones(npm: Npm) -> None:
    locked = json.loads((HERE / "package-lock.json").read_text())["packages"]
    installed = {name: version for name, version in npm.versions.items() if name != "node"}
    assert installed == {name: locked[f"node_modules/{name}"]["version"] for name in installed}
    pinned = json.loads((HERE / "package.json").read_text())["dependencies"]
    assert pinned == {name: installed[name] for name in pinned}


def test_the_lock_file_names_no_registry() -> None:
    text = (HERE / "package-lock.json").read_text()
    assert "resolved" not in text.replace("resolve-protobuf-schema", "")
    assert "://" not in text


# -- varint ------------------------------------------------------------------------------------------------------------


def test_varints_are_the_same_bytes(codec: ModuleType, npm: Npm) -> None:
    theirs = npm.varint_encode(NUMBERS)
    assert [codec.encode_varints([number]) for number in NUMBERS] == theirs
    assert codec.encode_varints(NUMBERS) == b"".join(theirs)
    assert list(codec.decode_varints(b"".join(theirs))) == NUMBERS


def test_npm_reads_our_varints(codec: ModuleType, npm: Npm) -> None:
    ours = [codec.encode_varints([number]) for number in NUMBERS]
    assert npm.varint_decode(ours) == [(number, len(data)) for number, data in zip(NUMBERS, ours, strict=True)]


def test_longer_forms_read_the_same(codec: ModuleType, npm: Npm) -> None:
    forms = [b"\x80\x00", b"\xff\x00", b"\xac\x82\x80\x00", b"\x80" * 9 + b"\x00", b"\x81" + b"\x80" * 8 + b"\x00"]
    theirs = npm.varint_decode(forms)
    assert theirs == [(0, 2), (127, 2), (300, 4), (0, 10), (1, 10)]
    assert [(codec.decode_varints(form)[0], len(form)) for form in forms] == theirs


def test_a_cut_varint(codec: ModuleType, npm: Npm) -> None:
    for number in (128, 2**32 - 1, 2**53 - 1):
        whole = codec.encode_varints([number])
        heads = [whole[:length] for length in range(1, len(whole))]
        assert npm.varint_decode(heads) == [None] * len(heads)
        for head in heads:
            with pytest.raises(TruncatedError):
                codec.decode_varints(head)


def test_npm_rounds_what_leaves_64_bits_where_we_refuse(codec: ModuleType, npm: Npm) -> None:
    too_big = [b"\xff" * 9 + b"\x02", b"\x80" * 10 + b"\x01"]
    assert npm.varint_decode(too_big) == [(2**63 + 2**64, 10), (2**70, 11)]
    for data in too_big:
        with pytest.raises(CorruptError):
            codec.decode_varints(data)
    exact = b"\xff" * 9 + b"\x01"
    assert npm.varint_decode([exact]) == [(2**64, 10)], "npm rounds 2^64 - 1 up"
    assert list(codec.decode_varints(exact)) == [2**64 - 1]


# -- multibuffer -------------------------------------------------------------------------------------------------------


def buffers_of(sizes: list[int]) -> list[bytes]:
    return [bytes((size + index) % 251 for index in range(min(size, 256))).ljust(size, b"\xa5") for size in sizes]


def test_pack_is_the_same_bytes_for_every_size(codec: ModuleType, npm: Npm) -> None:
    buffers = buffers_of(SIZES)
    theirs = npm.pack(buffers)
    assert codec.pack(buffers) == theirs
    assert codec.pack_columns(b"".join(buffers), array("Q", accumulate(SIZES, initial=0))) == theirs
    for buffer in buffers:
        assert codec.pack([buffer]) == npm.encode(buffer)


def test_unpack_gives_the_same_buffers_for_every_size(codec: ModuleType, npm: Npm) -> None:
    buffers = buffers_of(SIZES)
    packed = npm.pack(buffers)
    starts, ends, consumed = codec.unpack_columns(packed)
    assert codec.unpack(packed) == npm.unpack(codec.pack(buffers)) == buffers
    assert cut(packed, starts, ends) == buffers
    assert consumed == len(packed)


def test_an_empty_list(codec: ModuleType, npm: Npm) -> None:
    assert codec.pack([]) == npm.pack([]) == b""
    assert codec.unpack(b"") == npm.unpack(b"") == []


@settings(max_examples=60, deadline=None)
@given(buffers=st.lists(st.binary(max_size=300), max_size=20), extra=st.integers(0, 5))
def test_any_list_both_ways(codec: ModuleType, npm: Npm, buffers: list[bytes], extra: int) -> None:
    packed = npm.pack(buffers)
    assert codec.pack(buffers) == packed
    assert codec.unpack(packed) == npm.unpack(packed) == buffers
    padded = codec.pack(buffers, extra)
    assert padded == b"".join(npm.encode(buffer, extra) for buffer in buffers)
    assert codec.unpack(padded, extra) == buffers


@pytest.mark.parametrize("extra", [1, 2, 7])
def test_extra_bytes_are_the_same_where_lengths_take_one_byte(codec: ModuleType, npm: Npm, extra: int) -> None:
    theirs = npm.pack(ONE_BYTE_LENGTHS, extra)
    assert codec.pack(ONE_BYTE_LENGTHS, extra) == theirs
    assert codec.unpack(theirs, extra) == ONE_BYTE_LENGTHS
    for buffer in buffers_of(SIZES):
        assert codec.pack([buffer], extra) == npm.encode(buffer, extra)


def test_npm_loses_data_with_extra_bytes_before_a_longer_length_where_we_do_not(codec: ModuleType, npm: Npm) -> None:
    buffers = [b"x" * 200, b"abc"]
    theirs = npm.pack(buffers, 2)
    # npm puts the extra bytes before every byte of a length, but counts them once: it runs out of room.
    assert theirs == b"\0\0\xc8" + b"\0\0\x01" + b"x" * 200 + b"\0\0\x03" + b"a"
    ours = codec.pack(buffers, 2)
    assert ours == b"\0\0\xc8\x01" + b"x" * 200 + b"\0\0\x03abc"
    assert ours == b"".join(npm.encode(buffer, 2) for buffer in buffers), "npm's own encode() agrees with us"
    assert codec.unpack(ours, 2) == buffers


@pytest.mark.parametrize("data", [SMALL, LONG], ids=["small", "long"])
def test_npm_unpacks_cut_input_to_wrong_data_where_we_raise(codec: ModuleType, npm: Npm, data: bytes) -> None:
    whole = codec.unpack(data)
    ends = {len(codec.pack(whole[:count])): count for count in range(len(whole) + 1)}
    heads = [data[:length] for length in range(len(data))]
    theirs = npm.batch([{"op": "multibuffer.unpack", "data": head} for head in heads])
    for head, wrong in zip(heads, theirs, strict=True):
        if len(head) in ends:
            assert codec.unpack(head) == wrong == whole[: ends[len(head)]]
            continue
        complete = max(count for end, count in ends.items() if end <= len(head))
        assert wrong[:-1] == whole[:complete], "npm gives what is whole"
        assert len(wrong[-1]) < len(whole[complete]), "and then a short buffer, as if it were whole"
        with pytest.raises(TruncatedError):
            codec.unpack(head)
        starts, stops, consumed = codec.unpack_columns(head)
        assert cut(head, starts, stops) == whole[:complete]
        assert head[consumed:] == head[len(codec.pack(whole[:complete])) :]


# -- one item at a time ------------------------------------------------------------------------------------------------


def first_item(codec: ModuleType, data: bytes) -> tuple[bytes | None, bytes]:
    """The first item and the rest; None where there is no whole item yet."""
    starts, ends, consumed = codec.unpack_columns(data, limit=1)
    ours = (cut(data, starts, ends)[0] if starts else None), data[consumed:]
    first, rest = multibuffer.read_partial(data)
    assert (first, bytes(rest)) == ours
    return ours


@pytest.mark.parametrize("data", [b"\x02ab", b"\x02abc", b"\x00", b"\x00\x00", LONG, SMALL, LONG[2:132]])
def test_the_first_item_is_the_same(codec: ModuleType, npm: Npm, data: bytes) -> None:
    first, rest = npm.read_partial(data)
    assert first_item(codec, data) == (first, rest or b"")


@pytest.mark.parametrize("data", [b"\x03", b"\x03ab", b"\x80\x01", b"\x80\x01" + bytes(127)])
def test_more_is_needed_where_npm_says_so_too(codec: ModuleType, npm: Npm, data: bytes) -> None:
    assert npm.read_partial(data) == (None, data)
    assert first_item(codec, data) == (None, data)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff\xff"])
def test_npm_reads_an_empty_item_from_a_cut_length_or_nothing_where_we_need_more(
    codec: ModuleType, npm: Npm, data: bytes
) -> None:
    assert npm.read_partial(data)[0] == b""
    assert first_item(codec, data) == (None, data)


# -- streams (our side is the public module, on the backend of the process) --------------------------------------------


def unpacked(chunks: list[bytes]) -> tuple[list[bytes], str | None]:
    """The buffers that come out before the end or an error, and the error."""
    buffers: list[bytes] = []
    try:
        buffers.extend(multibuffer.unpack_stream(chunks))
    except (TruncatedError, CorruptError) as problem:
        return buffers, str(problem)
    return buffers, None


def test_streams_pack_to_the_same_bytes(npm: Npm) -> None:
    buffers = buffers_of(SIZES[1:])
    assert StreamOutcome(list(multibuffer.pack_stream(buffers))) == npm.pack_stream(buffers)
    assert multibuffer.encode(b"abc", 2) == npm.encode(b"abc", 2)


def test_streams_unpack_to_the_same_buffers_at_every_split(npm: Npm) -> None:
    buffers = [b"a", b"bcd", bytes(range(127)), b"\x80"]
    data = npm.pack(buffers)
    cuts = every_cut(data)
    assert npm.unpack_stream(data, cuts) == [StreamOutcome(buffers)] * len(cuts)
    assert [unpacked(pieces(data, places)) for places in cuts] == [(buffers, None)] * len(cuts)


def test_streams_unpack_mebibytes(npm: Npm) -> None:
    buffers = [b"\xab" * MIB, b"c", b"\xde" * (MIB - 1)]
    data = b"".join(multibuffer.pack_stream(buffers))
    cuts = [(), tuple(range(1 << 16, len(data), 1 << 16)), (3,), (MIB // 2,), (MIB + 3,), (MIB + 4,), (len(data) - 1,)]
    assert npm.unpack_stream(data, cuts) == [StreamOutcome(buffers)] * len(cuts)
    assert [unpacked(pieces(data, places)) for places in cuts] == [(buffers, None)] * len(cuts)


def test_npm_streams_lose_empty_buffers_where_we_do_not(npm: Npm) -> None:
    cuts = every_cut(SMALL)
    assert npm.unpack_stream(SMALL, cuts) == [StreamOutcome([b"abc", b"x", b"\xff\x80"])] * len(cuts)
    whole = [b"", b"abc", b"x", b"", b"\xff\x80"]
    assert npm.pack_stream(whole) == StreamOutcome(list(multibuffer.pack_stream(whole))), "it packs them"
    assert [unpacked(pieces(SMALL, places)) for places in cuts] == [(whole, None)] * len(cuts)


def test_npm_streams_break_on_a_cut_length_where_we_wait(npm: Npm) -> None:
    """The empty item that readPartial makes of a cut length is taken for ever."""
    whole = [b"a", bytes(range(128)), b"bc"]
    cuts = every_cut(LONG)
    for places, theirs in zip(cuts, npm.unpack_stream(LONG, cuts), strict=True):
        if 3 in places:  # between the two bytes of the long item's length
            assert theirs == StreamOutcome([b"a"], ended=False, thrown="Maximum call stack size exceeded")
        else:
            assert theirs == StreamOutcome(whole)
        assert unpacked(pieces(LONG, places)) == (whole, None)


def test_npm_streams_take_a_cut_stream_for_complete_where_we_raise(npm: Npm) -> None:
    data = b"\x03abc\x05defgh\x01i"
    whole, ends = [b"abc", b"defgh", b"i"], [0, 4, 10, 12]
    for length in range(len(data)):
        complete = sum(end <= length for end in ends) - 1
        assert npm.unpack_stream(data[:length]) == [StreamOutcome(whole[:complete])]
        cut_at = None if length in ends else f"input ends in the middle of an item at byte {ends[complete]}"
        for cuts in every_cut(data[:length]):
            assert unpacked(pieces(data[:length], cuts)) == (whole[:complete], cut_at)
