"""Changes in a dat stream: 200,000 with values of 64 bytes, out of and into columns and objects."""

from __future__ import annotations

from typing import Any

from bench.harness import Contender, Goal, HotPath, Sample, Settings, both, node, python, repeat
from bench.inputs import input_file
from scoutcore import codec
from scoutcore.dat import Decoder, Encoder


def _stream(settings: Settings) -> bytes:
    return input_file("changes", settings).read_bytes()


def encode_columns(settings: Settings) -> Sample:
    data = _stream(settings)
    columns = codec.decode_changes(data, codec.scan_frames(data))
    assert codec.encode_changes(columns)[0] == data
    return repeat(lambda: codec.encode_changes(columns), settings.changes, settings.repeats)


def encode_objects(settings: Settings) -> Sample:
    data = _stream(settings)
    changes: Any = Decoder().feed(data)
    assert Encoder().changes(changes) == data
    return repeat(lambda: Encoder().changes(changes), settings.changes, settings.repeats)


def decode_columns(settings: Settings, piece_bytes: str) -> Sample:
    """In pieces, as scoutcore itself reads streams: a frame that a piece cuts begins the next one."""
    data = memoryview(_stream(settings))
    step = int(piece_bytes)

    def run() -> None:
        begin = count = 0
        while begin < len(data):
            piece = data[begin : begin + step]
            frames = codec.scan_frames(piece)
            count += len(codec.decode_changes(piece, frames).change)
            begin += frames.consumed
        assert count == settings.changes

    return repeat(run, settings.changes, settings.repeats)


def decode_objects(settings: Settings, piece_bytes: str) -> Sample:
    """Through the Decoder, in pieces as a file or socket gives them."""
    data = _stream(settings)
    step = int(piece_bytes)
    pieces = [data[begin : begin + step] for begin in range(0, len(data), step)]

    def run() -> None:
        decoder = Decoder()
        for piece in pieces:
            for change in decoder.feed(piece):
                change.key, change.value  # noqa: B018
        decoder.close()

    return repeat(run, settings.changes, settings.repeats)


# --- protobuf ---------------------------------------------------------------------------------------------------------


def message_class() -> Any:
    """Protobuf's class for a Change, made without a compiler."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    proto = descriptor_pb2.FileDescriptorProto(name="scoutcore_bench/change.proto", syntax="proto2")
    field = descriptor_pb2.FieldDescriptorProto
    message = proto.message_type.add(name="Change")
    for number, (label, kind, name) in enumerate(
        [
            (field.LABEL_OPTIONAL, field.TYPE_STRING, "subset"),
            (field.LABEL_REQUIRED, field.TYPE_STRING, "key"),
            (field.LABEL_REQUIRED, field.TYPE_UINT32, "change"),
            (field.LABEL_REQUIRED, field.TYPE_UINT32, "from"),
            (field.LABEL_REQUIRED, field.TYPE_UINT32, "to"),
            (field.LABEL_OPTIONAL, field.TYPE_BYTES, "value"),
        ],
        1,
    ):
        message.field.add(number=number, label=label, type=kind, name=name)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(proto)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Change"))


def protobuf_decode(settings: Settings) -> Sample:
    """Frames are cut for it beforehand, and no message outlives the next: that is its best."""
    from google.protobuf.internal import api_implementation

    assert api_implementation.Type() == "upb"
    data = _stream(settings)
    frames = codec.scan_frames(data)
    contents = [data[start:end] for start, end in zip(frames.starts, frames.ends, strict=True)]
    from_string = message_class().FromString

    def run() -> None:
        for content in contents:
            message = from_string(content)
            message.key, message.value  # noqa: B018

    return repeat(run, len(contents), settings.repeats)


def protobuf_encode(settings: Settings) -> Sample:
    """Of messages that are there, each to its bytes; no frames, and no stream of it."""
    data = _stream(settings)
    frames = codec.scan_frames(data)
    from_string = message_class().FromString
    messages = [from_string(data[start:end]) for start, end in zip(frames.starts, frames.ends, strict=True)]
    return repeat(lambda: [message.SerializeToString() for message in messages], len(messages), settings.repeats)


def _npm(what: str) -> Contender:
    return node("npm dat", "dat.js", lambda settings: [what, input_file("changes", settings), settings.repeats])


def _ours(function: str, *arguments: str) -> list[Contender]:
    return both("scoutcore", f"bench.changes:{function}", *arguments, slow_rounds=3)


_PROTOBUF = ["google.protobuf"]
_PIECE, _WHOLE = str(1 << 20), str(1 << 30)
"""Bytes decoded at a time."""

PATHS = [
    HotPath(
        "changes: encode columns",
        "changes",
        [*_ours("encode_columns"), _npm("encode")],
        [Goal("scoutcore (c)", "npm dat", 25), Goal("scoutcore (python)", "npm dat", 1 / 8)],
        ["changes"],
    ),
    HotPath(
        "changes: encode objects",
        "changes",
        [
            *_ours("encode_objects"),
            _npm("encode"),
            python("protobuf", "bench.changes:protobuf_encode", needs=_PROTOBUF),
        ],
        inputs=["changes"],
    ),
    HotPath(
        "changes: decode to columns",
        "changes",
        [
            *_ours("decode_columns", _PIECE),
            python("scoutcore (c), at once", "bench.changes:decode_columns", _WHOLE, backend="c"),
            _npm("decode"),
        ],
        [Goal("scoutcore (c)", "npm dat", 10), Goal("scoutcore (python)", "npm dat", 1 / 8)],
        ["changes"],
    ),
    HotPath(
        "changes: decode to objects",
        "changes",
        [
            *_ours("decode_objects", _PIECE),
            python("scoutcore (c), at once", "bench.changes:decode_objects", _WHOLE, backend="c"),
            python("protobuf", "bench.changes:protobuf_decode", needs=_PROTOBUF),
            _npm("decode"),
        ],
        [Goal("scoutcore (c)", "protobuf", 2)],
        ["changes"],
    ),
]
