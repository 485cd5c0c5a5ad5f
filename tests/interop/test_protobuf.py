"""The Change codec against PyPI ``protobuf`` with the same schema: a third opinion on valid input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoutcore.codec.columns import Change, ChangeColumns
from scoutcore.errors import CorruptError

from .npm import REQUIRED

if not REQUIRED:
    pytest.importorskip("google.protobuf")

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

if TYPE_CHECKING:
    from types import ModuleType

UINT32_MAX = 2**32 - 1


def change_class() -> Any:
    """The class for the schema of dat-replication-protocol 4.1.2, made without a compiler."""
    proto = descriptor_pb2.FileDescriptorProto(name="scoutcore_interop/change.proto", syntax="proto2")
    field = descriptor_pb2.FieldDescriptorProto
    message = proto.message_type.add(name="Change")
    for number, label, kind, name in [
        (1, field.LABEL_OPTIONAL, field.TYPE_STRING, "subset"),
        (2, field.LABEL_REQUIRED, field.TYPE_STRING, "key"),
        (3, field.LABEL_REQUIRED, field.TYPE_UINT32, "change"),
        (4, field.LABEL_REQUIRED, field.TYPE_UINT32, "from"),
        (5, field.LABEL_REQUIRED, field.TYPE_UINT32, "to"),
        (6, field.LABEL_OPTIONAL, field.TYPE_BYTES, "value"),
    ]:
        message.field.add(number=number, label=label, type=kind, name=name)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(proto)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Change"))


Message = change_class()


def message_of(change: Change) -> Any:
    fields = {"key": change.key, "change": change.change, "from": change.from_, "to": change.to}
    fields |= {} if change.value is None else {"value": change.value}
    return Message(**fields, **({"subset": change.subset} if change.subset else {}))


def change_of(message: Any) -> Change:
    value = message.value if message.HasField("value") else None
    return Change(message.key, message.change, getattr(message, "from"), message.to, value, message.subset or None)


def varint(number: int) -> bytes:
    head = bytearray()
    while number > 127:
        head.append(number % 128 + 128)
        number //= 128
    return bytes([*head, number])


def frame(content: bytes) -> bytes:
    return varint(len(content) + 1) + b"\x01" + content


def decode(codec: ModuleType, *contents: bytes) -> list[Change]:
    data = b"".join(map(frame, contents))
    frames = codec.scan_frames(data)
    assert frames.consumed == len(data)
    found: list[Change] = codec.decode_changes(data, frames).to_objects()
    return found


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
uint32s = st.integers(0, UINT32_MAX) | st.sampled_from(
    [0, 1, 127, 128, 16_383, 16_384, 2**21 - 1, 2**21, 2**28 - 1, 2**28, 2**31, UINT32_MAX]
)
changes = st.builds(
    Change, texts, uint32s, uint32s, uint32s, st.none() | st.binary(max_size=400), st.none() | texts.filter(bool)
)


@settings(deadline=None)
@given(batch=st.lists(changes, max_size=10))
def test_encodes_to_the_same_bytes(codec: ModuleType, batch: list[Change]) -> None:
    ours, ends = codec.encode_changes(ChangeColumns.from_objects(batch))
    theirs = [frame(message_of(change).SerializeToString(deterministic=True)) for change in batch]
    assert ours == b"".join(theirs)
    assert list(ends) == [len(b"".join(theirs[: index + 1])) for index in range(len(theirs))]


@settings(deadline=None)
@given(batch=st.lists(changes, max_size=10))
def test_decodes_to_the_same_change(codec: ModuleType, batch: list[Change]) -> None:
    contents = [message_of(change).SerializeToString() for change in batch]
    assert decode(codec, *contents) == batch == [change_of(Message.FromString(content)) for content in contents]


@pytest.mark.parametrize("size", [0, 127, 128, 16_383, 16_384, 65_536, 1 << 20])
def test_values_of_every_size(codec: ModuleType, size: int) -> None:
    change = Change("k", 1, 0, 1, b"\xa5" * size)
    content = message_of(change).SerializeToString()
    assert codec.encode_changes(ChangeColumns.from_objects([change]))[0] == frame(content)
    assert decode(codec, content) == [change]


# -- forms that we never write but read --------------------------------------------------------------------------------


def longer(number: int, extra_bytes: int) -> bytes:
    """*number* as a varint with *extra_bytes* more bytes than it takes, at most 10 in all."""
    data = bytearray(varint(number))
    for _ in range(min(extra_bytes, 10 - len(data))):
        data[-1] |= 128
        data.append(0)
    return bytes(data)


def field(tag: int, value: int | bytes, extra_bytes: int = 0) -> bytes:
    """One field on the wire; *tag* is its number and wire type."""
    if tag & 7 == 0:
        assert isinstance(value, int)
        return varint(tag) + longer(value, extra_bytes)
    assert isinstance(value, bytes)
    return varint(tag) + (longer(len(value), extra_bytes) if tag & 7 == 2 else b"") + value


known_fields = st.one_of(
    *(st.builds(field, st.just(tag), texts.map(str.encode), st.integers(0, 3)) for tag in (0x0A, 0x12)),
    *(st.builds(field, st.just(tag), uint32s, st.integers(0, 9)) for tag in (0x18, 0x20, 0x28)),
    st.builds(field, st.just(0x32), st.binary(max_size=40), st.integers(0, 3)),
)
unknown_numbers = (st.integers(7, 20) | st.integers(7, 2**29 - 1)).map(lambda number: number << 3)
unknown_fields = st.one_of(
    st.builds(field, unknown_numbers, st.integers(0, 2**64 - 1)),
    st.builds(lambda tag, value: field(tag | 1, value), unknown_numbers, st.binary(min_size=8, max_size=8)),
    st.builds(lambda tag, value: field(tag | 2, value), unknown_numbers, st.binary(max_size=40)),
    st.builds(lambda tag, value: field(tag | 5, value), unknown_numbers, st.binary(min_size=4, max_size=4)),
)


@st.composite
def unusual(draw: st.DrawFn) -> bytes:
    """A Change with its fields in any order, some twice, unknown ones between, and numbers longer than needed."""
    required = [
        field(0x12, draw(texts).encode()),
        *(field(tag, draw(uint32s), draw(st.integers(0, 9))) for tag in (0x18, 0x20, 0x28)),
    ]
    more = draw(st.lists(known_fields | unknown_fields, max_size=8))
    return b"".join(draw(st.permutations(required + more)))


@settings(max_examples=200, deadline=None)
@given(contents=st.lists(unusual(), min_size=1, max_size=3))
def test_any_order_repeated_and_unknown_fields(codec: ModuleType, contents: list[bytes]) -> None:
    assert decode(codec, *contents) == [change_of(Message.FromString(content)) for content in contents]


# -- wrong input -------------------------------------------------------------------------------------------------------

WHOLE = b"\x12\x01k\x18\x01\x20\x00\x28\x01"


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_both_refuse_a_change_cut_short(codec: ModuleType, length: int) -> None:
    try:
        complete = Message.FromString(WHOLE[:length]).IsInitialized()
    except DecodeError:
        complete = False
    assert not complete
    with pytest.raises(CorruptError):
        decode(codec, WHOLE[:length])


@pytest.mark.parametrize("missing", [WHOLE[:3], WHOLE[3:5], WHOLE[5:7], WHOLE[7:]], ids=["key", "change", "from", "to"])
def test_both_miss_a_required_field(codec: ModuleType, missing: bytes) -> None:
    content = WHOLE.replace(missing, b"")
    assert not Message.FromString(content).IsInitialized()
    with pytest.raises(CorruptError, match="change without a required field"):
        decode(codec, content)


@pytest.mark.parametrize(
    ("tail", "reason"),
    [
        pytest.param(b"\x00\x01", "field number 0", id="field number 0"),
        pytest.param(b"\x32\x05ab", "field runs past", id="value past the end"),
        pytest.param(b"\x38", "field runs past", id="unknown field cut"),
        pytest.param(b"\x3e", "wrong wire type", id="wire type 6"),
        pytest.param(b"\x3c", "wrong wire type", id="end of no group"),
        pytest.param(b"\x38" + b"\xff" * 10 + b"\x01", "varint over 64 bits", id="number over 10 bytes"),
        pytest.param(b"\xb8\x80\x80\x80\x10\x01", "number over 32 bits", id="tag over 32 bits"),
    ],
)
def test_both_refuse(codec: ModuleType, tail: bytes, reason: str) -> None:
    with pytest.raises(DecodeError):
        Message.FromString(WHOLE + tail)
    with pytest.raises(CorruptError, match=reason):
        decode(codec, WHOLE + tail)


@pytest.mark.parametrize(
    ("tail", "theirs", "reason"),
    [
        pytest.param(b"\x18\x80\x80\x80\x80\x10", Change("k", 0, 0, 1), "over 32 bits", id="2^32 cut to 0"),
        pytest.param(b"\x1a\x01x", Change("k", 1, 0, 1), "wire type", id="wrong wire type taken for unknown"),
        pytest.param(b"\x3b\x3c", Change("k", 1, 0, 1), "wire type", id="group passed over"),
    ],
)
def test_we_refuse_what_protobuf_passes_over(codec: ModuleType, tail: bytes, theirs: Change, reason: str) -> None:
    assert change_of(Message.FromString(WHOLE + tail)) == theirs
    with pytest.raises(CorruptError, match=reason):
        decode(codec, WHOLE + tail)


def test_we_refuse_bad_utf8(codec: ModuleType) -> None:
    """upb takes bytes for a proto2 string as they are and gives an object that is not text."""
    with pytest.raises(CorruptError, match="invalid UTF-8"):
        decode(codec, WHOLE + b"\x12\x02a\xff")
