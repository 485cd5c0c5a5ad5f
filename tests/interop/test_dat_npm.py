"""Changes and frames against npm ``dat-replication-protocol``."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from scoutcore import dat
from scoutcore.codec.columns import Change, ChangeColumns
from scoutcore.codec.constants import ABSENT
from scoutcore.errors import CorruptError, TruncatedError

from .npm import Cuts, Item, Npm, NpmError, Outcome, every_cut, pieces

if TYPE_CHECKING:
    from types import ModuleType

MIB = 1 << 20
UINT32_MAX = 2**32 - 1
UUID = bytes.fromhex("018596a7b8c94d8192a3b4c5d6e70837")

NUMBERS = sorted({0, 3, UINT32_MAX} | {(1 << bits) + step for bits in (7, 14, 21, 28, 31) for step in (-1, 0)})
KEYS = ["", "k", "uid/7/temp", "Gewächshaus/日本語", "🌡️", "a\0b", "\ufeffmark", "e\u0301", "x" * 127, "ж" * 64]
SIZES = [0, 1, 2, 126, 127, 128, 129, 16_383, 16_384, 65_535, 65_536, MIB - 1, MIB]

CHANGES = [
    *(Change("k", number, number, number, b"v") for number in NUMBERS),
    *(Change(key, 1, 0, 1, b"{}") for key in KEYS),
    *(Change("k", 1, 0, 1, None, subset) for subset in (None, "s", "sensor", "troop", "Größe", "🐒" * 40)),
    *(Change("k", 1, 0, 1, bytes(index % 253 for index in range(size))) for size in SIZES[:9]),
]
"""Every number, key, subset and length that is encoded in a way of its own, a MiB aside."""

STREAM: list[Item] = [
    Change("Xk3/7/tämp", 1, 0, 2, b"\0\1\2", "sensor"),
    UUID,
    Change("k", UINT32_MAX, 0, 1),
    bytes(200),
    b"",
    Change("k", 128, 1, 0, b"", "troop"),
    Change("", 0, 0, 0, b"\xff" * 140),
]
"""A change first and last, blobs of 16, 200 and 0 bytes, two of the frames longer than 127 bytes."""

SHORT: list[Item] = [Change("é", 200, 0, 1, b""), b"blob", Change("k", 2, 0, 1, b"v", "s")]
"""As short as it gets with everything in it: every way to cut it in three is tried."""


def varint(number: int) -> bytes:
    """A varint by another hand than the codec's."""
    head = bytearray()
    while number > 127:
        head.append(number % 128 + 128)
        number //= 128
    return bytes([*head, number])


def frame(kind: int, content: bytes) -> bytes:
    return varint(len(content) + 1) + bytes([kind]) + content


def body(change: Change) -> bytes:
    """A change's protobuf form by another hand than the codec's."""
    subset, key = (change.subset or "").encode(), change.key.encode()
    numbers = b"\x18" + varint(change.change) + b"\x20" + varint(change.from_) + b"\x28" + varint(change.to)
    return (
        (b"\x0a" + varint(len(subset)) + subset if subset else b"")
        + (b"\x12" + varint(len(key)) + key + numbers)
        + (b"\x32" + varint(len(change.value)) + change.value if change.value is not None else b"")
    )


def encode(codec: ModuleType, items: list[Item]) -> bytes:
    out = []
    for item in items:
        if isinstance(item, Change):
            out.append(codec.encode_changes(ChangeColumns.from_objects([item]))[0])
        else:
            out.append(frame(2, item))
    return b"".join(out)


def decode(codec: ModuleType, data: bytes) -> tuple[list[Item], bytes]:
    """The items of the whole frames, and what is left over: a cut frame or nothing. Raises where *data* is wrong."""
    frames = codec.scan_frames(data)
    if frames.consumed < len(data):
        codec.scan_frames(data, frames.consumed)  # raises where what comes next is wrong and not only cut
    changes = iter(codec.decode_changes(data, frames).to_objects())
    items = [
        next(changes) if kind == 1 else data[start:end]
        for kind, start, end in zip(frames.ids, frames.starts, frames.ends, strict=True)
    ]
    return items, data[frames.consumed :]


def stream_encode(items: list[Item], piece: int = 0) -> bytes:
    """As :func:`encode`, through the public encoder; with *piece*, blobs in pieces of so many bytes."""
    encoder = dat.Encoder()
    out: list[bytes] = []
    for item in items:
        if isinstance(item, Change):
            out.append(encoder.change(item))
        elif not piece:
            out.append(encoder.blob(item))
        else:
            out.append(encoder.blob_header(len(item)))
            out += [bytes(encoder.blob_piece(item[at : at + piece])) for at in range(0, len(item), piece)]
    encoder.close()
    return b"".join(out)


def stream_decode(data: bytes, cuts: Cuts = ()) -> tuple[list[Item], str | None]:
    """The whole items that the public decoder gives before the end or an error, and the error."""
    decoder = dat.Decoder()
    items: list[Item] = []
    begun = bytearray()
    try:
        for chunk in pieces(data, cuts):
            for event in decoder.feed(chunk):
                if isinstance(event, Change):
                    assert not begun
                    items.append(event)
                    continue
                assert event.offset == len(begun)
                assert event.last or event.length > dat.WHOLE_BLOB
                begun += event.data
                if event.last:
                    assert len(begun) == event.length
                    items.append(bytes(begun))
                    begun.clear()
        decoder.close()
    except (CorruptError, TruncatedError) as problem:
        return items, str(problem)
    assert not begun
    return items, None


def same_at_every_split(data: bytes) -> tuple[list[Item], str | None]:
    """What :func:`stream_decode` says, whichever way *data* comes."""
    answer = stream_decode(data)
    for cuts in every_cut(data):
        assert stream_decode(data, cuts) == answer, cuts
    return answer


def frame_ends(data: bytes) -> list[int]:
    """Where the frames of a well formed stream end, by another hand than the codec's."""
    ends = [0]
    while ends[-1] < len(data):
        length = shift = 0
        for offset in range(ends[-1], len(data)):
            length |= (data[offset] & 127) << shift
            shift += 7
            if data[offset] < 128:
                ends.append(offset + 1 + length)
                break
    return ends


def cuts_that_matter(data: bytes) -> list[Cuts]:
    """At and around each frame's beginning, one by one and all together, and every 64 KiB."""
    near = sorted({end + step for end in frame_ends(data) for step in range(-3, 25) if 0 <= end + step <= len(data)})
    return [*((cut,) for cut in near), tuple(near), tuple(range(1 << 16, len(data), 1 << 16))]


# -- encoding ----------------------------------------------------------------------------------------------------------


def test_changes_are_the_same_bytes(codec: ModuleType, npm: Npm) -> None:
    theirs = npm.dat_encode(CHANGES)
    ours, ends = codec.encode_changes(ChangeColumns.from_objects(CHANGES))
    assert ours == theirs
    assert list(ends) == frame_ends(theirs)[1:]


@pytest.mark.parametrize("size", SIZES)
def test_values_of_every_size_are_the_same_bytes(codec: ModuleType, npm: Npm, size: int) -> None:
    items: list[Item] = [Change("uid/7/temp", 1, 0, 1, b"\x5a" * size, "sensor")]
    data = encode(codec, items)
    assert npm.dat_encode(items) == data
    assert decode(codec, data) == (items, b"")


@pytest.mark.parametrize("items", [STREAM, SHORT], ids=["stream", "short"])
def test_a_stream_of_changes_and_blobs_is_the_same_bytes(codec: ModuleType, npm: Npm, items: list[Item]) -> None:
    items = [item for item in items if item != b""]
    theirs = npm.dat_encode(items)
    assert encode(codec, items) == theirs
    assert stream_encode(items) == stream_encode(items, piece=3) == theirs


def test_npm_writes_an_empty_subset_which_we_read_as_absent(codec: ModuleType, npm: Npm) -> None:
    theirs = npm.dat_encode([Change("k", 1, 0, 1, None, "")])
    assert theirs == frame(1, bytes.fromhex("0a00 12016b 1801 2000 2801"))
    ours = frame(1, bytes.fromhex("12016b 1801 2000 2801"))
    assert encode(codec, [Change("k", 1, 0, 1, None, "")]) == ours
    assert decode(codec, theirs) == ([Change("k", 1, 0, 1)], b"")
    columns = codec.decode_changes(theirs, codec.scan_frames(theirs))
    assert list(columns.subset_starts) == list(columns.subset_ends) == [ABSENT]
    empty = columns._replace(subset_starts=columns.key_starts, subset_ends=columns.key_starts)
    assert codec.encode_changes(empty)[0] == ours


def test_npm_encodes_no_empty_blob_but_reads_ours(codec: ModuleType, npm: Npm) -> None:
    with pytest.raises(NpmError, match="Length is required"):
        npm.dat_encode([b""])
    data = encode(codec, [b"", b"after"])
    assert data[:2] == b"\x01\x02"
    assert stream_encode([b"", b"after"]) == stream_encode([b"", b"after"], piece=2) == data
    assert npm.dat_decode(data, every_cut(data)) == [Outcome([b"", b"after"])] * (len(data) + 3)
    assert decode(codec, data) == ([b"", b"after"], b"")
    assert same_at_every_split(data) == ([b"", b"after"], None)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
uint32s = st.integers(0, UINT32_MAX) | st.sampled_from(NUMBERS)
changes = st.builds(
    Change, texts, uint32s, uint32s, uint32s, st.none() | st.binary(max_size=300), st.none() | texts.filter(bool)
)


@settings(max_examples=60, deadline=None)
@given(items=st.lists(changes | st.binary(min_size=1, max_size=300), max_size=8))
def test_any_stream_both_ways(codec: ModuleType, npm: Npm, items: list[Item]) -> None:
    data = encode(codec, items)
    assert npm.dat_encode(items) == data
    assert stream_encode(items) == data
    assert decode(codec, data) == (items, b"")
    assert stream_decode(data, tuple(range(0, len(data), 5))) == (items, None)
    assert npm.dat_decode(data) == [Outcome(items)]


# -- decoding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paced", [False, True], ids=["at once", "paced"])
def test_npm_reads_ours_at_every_split(codec: ModuleType, npm: Npm, paced: bool) -> None:
    data = encode(codec, STREAM)
    assert npm.dat_decode(data, every_cut(data), paced=paced) == [Outcome(STREAM)] * (len(data) + 3)


@pytest.mark.parametrize("paced", [False, True], ids=["at once", "paced"])
def test_npm_reads_ours_at_every_pair_of_splits(codec: ModuleType, npm: Npm, paced: bool) -> None:
    data = encode(codec, SHORT)
    cuts: list[Cuts] = list(combinations(range(len(data) + 1), 2))
    assert npm.dat_decode(data, cuts, paced=paced) == [Outcome(SHORT)] * len(cuts)


@pytest.mark.parametrize("paced", [False, True], ids=["at once", "paced"])
def test_npm_reads_our_mebibytes_at_every_split_that_matters(codec: ModuleType, npm: Npm, paced: bool) -> None:
    items: list[Item] = [Change("k", 1, 0, 1, b"\xab" * MIB, "sensor"), b"\xcd" * MIB, Change("k", 2, 1, 2)]
    data = encode(codec, items)
    assert stream_encode(items, piece=100_000) == data
    cuts = cuts_that_matter(data)
    assert npm.dat_decode(data, cuts, paced=paced) == [Outcome(items)] * len(cuts)


def test_npm_reads_all_our_changes(codec: ModuleType, npm: Npm) -> None:
    data, _ = codec.encode_changes(ChangeColumns.from_objects(CHANGES))
    cuts: list[Cuts] = [(), tuple(range(1, len(data), 7)), tuple(range(1, len(data), 1_000))]
    assert npm.dat_decode(data, cuts) == [Outcome(CHANGES)] * 3


def test_we_read_all_its_changes(codec: ModuleType, npm: Npm) -> None:
    data = npm.dat_encode(CHANGES)
    assert decode(codec, data) == (CHANGES, b"")
    assert stream_decode(data) == stream_decode(data, tuple(range(1, len(data), 7))) == (CHANGES, None)


def test_we_read_npms_stream_at_every_split(npm: Npm) -> None:
    items = [item for item in STREAM if item != b""]
    assert same_at_every_split(npm.dat_encode(items)) == (items, None)


def test_we_read_npms_stream_at_every_pair_of_splits(npm: Npm) -> None:
    data = npm.dat_encode(SHORT)
    for cuts in combinations(range(len(data) + 1), 2):
        assert stream_decode(data, cuts) == (SHORT, None)


def test_we_read_npms_mebibytes_at_every_split_that_matters(npm: Npm) -> None:
    items: list[Item] = [Change("k", 1, 0, 1, b"\xab" * MIB, "sensor"), b"\xcd" * MIB, Change("k", 2, 1, 2)]
    data = npm.dat_encode(items)
    for cuts in cuts_that_matter(data):
        assert stream_decode(data, cuts) == (items, None)


# -- on Node ≥ 14 npm's decoder and encoder need help ------------------------------------------------------------------


def test_on_newer_nodes_npm_destroys_itself_after_a_blob(codec: ModuleType, npm: Npm) -> None:
    """The reason for the one thing that ``peer.js`` does beside calling the packages; not a matter of our bytes."""
    items: list[Item] = [UUID, Change("k", 1, 0, 1)]
    data = encode(codec, items)
    (as_it_comes,) = npm.dat_decode(data, [(18,)], paced=True, auto_destroy=True)
    if npm.node_major < 14:
        assert as_it_comes == Outcome(items)
        assert npm.dat_encode(items, auto_destroy=True) == data
    else:
        assert as_it_comes == Outcome([UUID], finalized=False, hung=True)
        with pytest.raises(NpmError, match="never took item 1"):
            npm.dat_encode(items, auto_destroy=True)
    assert npm.dat_decode(data, [(18,)], paced=True) == [Outcome(items)]


# -- where npm is wrong ------------------------------------------------------------------------------------------------

KEY, CHANGE, FROM, TO = b"\x12\x01k", b"\x18\x01", b"\x20\x00", b"\x28\x01"
WHOLE = KEY + CHANGE + FROM + TO


def refused(codec: ModuleType, data: bytes) -> str:
    """The error that *data* meets, the same at every split, and also behind good data, which is given first."""
    with pytest.raises(CorruptError) as caught:
        decode(codec, data)
    assert same_at_every_split(data) == ([], str(caught.value))
    good: list[Item] = [b"blob", Change("good", 1, 0, 1)]
    before = b"".join([frame(2, b"blob"), frame(1, body(Change("good", 1, 0, 1)))])
    items, problem = same_at_every_split(before + data)
    assert items == good
    assert problem == f"{caught.value.reason} at byte {caught.value.offset + len(before)}"
    return str(caught.value)


def test_npm_hangs_for_ever_on_five_bytes_where_we_raise(codec: ModuleType, npm: Npm) -> None:
    data = bytes.fromhex("04 01 ff ff ff")
    assert npm.dat_misread(data) == Outcome([], finalized=False, hung=True, spins=True)
    with pytest.raises(CorruptError, match="field runs past the end of its change at byte 2"):
        decode(codec, data)
    assert same_at_every_split(data) == ([], "field runs past the end of its change at byte 2")


@pytest.mark.parametrize("paced", [False, True], ids=["at once", "paced"])
def test_npm_takes_a_cut_stream_for_complete_where_we_need_more(codec: ModuleType, npm: Npm, paced: bool) -> None:
    data = encode(codec, STREAM)
    ends = frame_ends(data)
    for length in range(len(data)):
        whole = sum(end <= length for end in ends) - 1
        (theirs,) = npm.dat_decode(data[:length], paced=paced)
        assert theirs == Outcome(STREAM[:whole]), "npm finalizes, and says nothing of what it lost"
        assert decode(codec, data[:length]) == (STREAM[:whole], data[ends[whole] : length])
        cut_at = None if length in ends else f"input ends in the middle of an item at byte {ends[whole]}"
        assert stream_decode(data[:length]) == (STREAM[:whole], cut_at)


def test_npm_loses_a_cut_blob_where_we_need_more(codec: ModuleType, npm: Npm) -> None:
    """A blob so long that ours gives it in pieces: what has come of it is given, its end is missed."""
    before, size = Change("k", 1, 0, 1), 2 * dat.WHOLE_BLOB
    data = encode(codec, [before, bytes(size)])
    begin, end = frame_ends(data)[1:]
    for length in (begin + 1, begin + 3, begin + 4, begin + 5, begin + size // 2, end - 1):
        assert npm.dat_decode(data[:length]) == [Outcome([before])]
        assert decode(codec, data[:length]) == ([before], data[begin:length])
        for cuts in ((), (begin,), (begin + 1,), (begin + 4,), (length - 1,)):
            assert stream_decode(data[:length], cuts) == (
                [before],
                f"input ends in the middle of an item at byte {begin}",
            )
    for cuts in ((), (begin + 5,), (end - 1,), (end,)):
        assert stream_decode(data + b"\0\1", cuts) == ([before, bytes(size)], f"frame of length 0 at byte {end}")


@pytest.mark.parametrize(
    ("data", "cuts", "theirs"),
    [
        pytest.param("00 01", (), Outcome([], False, thrown="Decoded message is not valid"), id="change"),
        pytest.param("00 01 11 22 33", (4,), Outcome([], False, hung=True, spins=True), id="change, cut"),
        pytest.param("00 02 11 22 33", (), Outcome([b"\x11\x22"]), id="blob"),
        pytest.param("00 02 11", (2,), Outcome([b""]), id="blob, cut"),
        pytest.param("00", (), Outcome([]), id="alone"),
    ],
)
def test_npm_throws_loops_or_makes_data_up_on_a_frame_of_length_0_where_we_raise(
    codec: ModuleType, npm: Npm, data: str, cuts: Cuts, theirs: Outcome
) -> None:
    assert npm.dat_misread(bytes.fromhex(data), cuts) == theirs
    with pytest.raises(CorruptError, match="frame of length 0 at byte 0"):
        decode(codec, bytes.fromhex(data))
    assert same_at_every_split(bytes.fromhex(data)) == ([], "frame of length 0 at byte 0")


@pytest.mark.parametrize("name", ["change", "from_", "to"])
def test_npm_takes_numbers_over_32_bits_where_we_raise(codec: ModuleType, npm: Npm, name: str) -> None:
    number = 2**32
    fields = {"change": CHANGE, "from_": FROM, "to": TO}
    tag = fields[name][:1]
    data = frame(1, KEY + b"".join((fields | {name: tag + varint(number)}).values()))
    expected = Change(**{"key": "k", "change": 1, "from_": 0, "to": 1, name: number})  # type: ignore[arg-type]
    assert npm.dat_decode(data) == [Outcome([expected])]
    assert npm.dat_encode([expected]) == data, "npm's encoder takes it too"
    assert refused(codec, data).startswith("number over 32 bits")
    with pytest.raises(ValueError, match="not a number of 32 bits"):
        encode(codec, [expected])


@pytest.mark.parametrize(
    ("content", "theirs", "reason"),
    [
        pytest.param(WHOLE + b"\x32\x05ab", Change("k", 1, 0, 1, b"ab"), "field runs past", id="value past the end"),
        pytest.param(
            CHANGE + FROM + TO + b"\x12\x05ab", Change("ab", 1, 0, 1), "field runs past", id="key past the end"
        ),
        pytest.param(b"\x12\x02a\xff" + CHANGE + FROM + TO, Change("a\ufffd", 1, 0, 1), "UTF-8", id="bad UTF-8"),
        pytest.param(WHOLE + b"\x1a\x07", Change("k", 7, 0, 1), "wrong wire type", id="wrong wire type"),
        pytest.param(WHOLE + b"\x02\x01x", Change("k", 1, 0, 1), "field number 0", id="field number 0"),
        pytest.param(WHOLE + b"\x39xx", Change("k", 1, 0, 1), "field runs past", id="unknown field past the end"),
        pytest.param(
            WHOLE + b"\x9a\x80\x80\x80\x10\x05", Change("k", 5, 0, 1), "number over 32 bits", id="tag over 32 bits"
        ),
    ],
)
def test_npm_gives_wrong_data_for_a_wrong_change_where_we_raise(
    codec: ModuleType, npm: Npm, content: bytes, theirs: Change, reason: str
) -> None:
    data = frame(1, content)
    assert npm.dat_misread(data) == Outcome([theirs])
    assert reason in refused(codec, data)


# -- where npm is right to refuse --------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [KEY, CHANGE, FROM, TO], ids=["key", "change", "from", "to"])
def test_both_refuse_a_missing_field(codec: ModuleType, npm: Npm, missing: bytes) -> None:
    data = frame(1, WHOLE.replace(missing, b""))
    assert npm.dat_misread(data) == Outcome([], False, thrown="Decoded message is not valid")
    assert "required field" in refused(codec, data)


@pytest.mark.parametrize("kind", [0, 3, 127, 128, 255])
def test_both_refuse_an_unknown_id(codec: ModuleType, npm: Npm, kind: int) -> None:
    data = frame(kind, b"abc")
    theirs = npm.dat_misread(data)
    if kind == 0:
        # To npm's decoder 0 is "I am reading a header": the frame's content is read as the next frame.
        assert theirs == npm.dat_misread(b"abc")
    else:
        assert theirs == Outcome([], False, error=f"Protocol error, unknown type: {kind}")
    assert refused(codec, data) == "unknown frame id at byte 0"


def test_both_refuse_groups(codec: ModuleType, npm: Npm) -> None:
    data = frame(1, WHOLE + b"\x3b\x3c")
    assert npm.dat_misread(data) == Outcome([], False, thrown="Groups are not supported")
    assert "wire type" in refused(codec, data)


# -- whatever we take, npm reads the same ------------------------------------------------------------------------------


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A valid stream with a few bytes changed, taken out or put in."""
    parts = draw(st.lists(changes, min_size=1, max_size=3))
    data = bytearray(b"".join(frame(1, body(part)) for part in parts))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.integers(0, 2))
        data[at : at + length] = draw(st.binary(max_size=2))
    return bytes(data)


@settings(max_examples=200, deadline=None)
@given(data=damaged())
def test_damaged_bytes_that_we_take_mean_the_same_to_npm(codec: ModuleType, npm: Npm, data: bytes) -> None:
    try:
        items, _ = decode(codec, data)
    except CorruptError:
        event("refused")
        return
    event("taken")
    assert npm.dat_decode(data) == [Outcome(items)]
