"""Every example in ``csrc/FORMAT.md`` is true, on both backends.

A fenced block's first word says what its examples are. An example is hex, over one or more lines, up to ``= value``,
``~ value`` (read, never written) or ``! error``, the values being JSON.
"""

from __future__ import annotations

import json
import re
from array import array
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from scoutcore import dat, forks
from scoutcore.codec.columns import Change, ChangeColumns
from scoutcore.errors import CodecError, TruncatedError
from scoutcore.replication import messages
from tests.codec.helpers import frame, hexed, point_columns, points_of

TEXT = (Path(__file__).parents[1] / "csrc" / "FORMAT.md").read_text()
LOG = "01 85 96 a7 b8 c9 4d 81 92 a3 b4 c5 d6 e7 08 37"


def examples():
    found = []
    for fence in re.finditer(r"^ *```(\w+)(?: (\w+)=(\d+))?\n(.*?)^ *```$", TEXT, re.MULTILINE | re.DOTALL):
        kind, option, value, body = fence.groups()
        options = {option: int(value)} if option else {}
        data = b""
        for line in body.splitlines():
            parts = re.fullmatch(r" *((?:[0-9a-f]{2} ?)*)(?: *([=~!]) (.*)|  .*)?", line)
            assert parts, line
            data += hexed(parts[1])
            if parts[2]:
                found.append(pytest.param(kind, options, data, parts[2], parts[3], id=f"{kind}: {line[:50].strip()}"))
                data = b""
        assert not data, body
    return found


# --- what an example's bytes mean -------------------------------------------------------------------------------------


def read_multibuffer(codec, data, extra=0):
    return [item.decode() for item in codec.unpack(data, extra)]


def write_multibuffer(codec, items, extra=0):
    return codec.pack([item.encode() for item in items], extra)


def read_frames(codec, data):
    frames = codec.scan_frames(data)
    if frames.consumed < len(data):
        codec.scan_frames(data, frames.consumed)
        raise TruncatedError("input ends in the middle of an item", frames.consumed)
    slices = zip(frames.ids, frames.starts, frames.ends, strict=True)
    return [[kind, data[start:end].hex(" ")] for kind, start, end in slices]


def write_frames(codec, frames):
    return b"".join(frame(kind, hexed(content)) for kind, content in frames)


def change_to_json(change):
    optional = {"subset": change.subset, "value": None if change.value is None else change.value.hex(" ")}
    there = {name: text for name, text in optional.items() if text is not None}
    return {"key": change.key, "change": change.change, "from": change.from_, "to": change.to, **there}


def change_from_json(item):
    value = hexed(item["value"]) if "value" in item else None
    return Change(item["key"], item["change"], item["from"], item["to"], value, item.get("subset"))


def read_change(codec, data):
    (change,) = codec.decode_changes(data, codec.scan_frames(data)).to_objects()
    return change_to_json(change)


def write_change(codec, item):
    return codec.encode_changes(ChangeColumns.from_objects([change_from_json(item)]))[0]


def read_block(codec, data):
    _, write_times, points = codec.decode_blocks(data, array("Q", [0]), array("Q", [len(data)]))
    rows = [[t, clock and list(clock), text.decode()] for t, clock, text in points_of(points)]
    return {"write_time": write_times[0], "points": rows}


def write_block(codec, block):
    rows = [(t, clock, text.encode()) for t, clock, text in block["points"]]
    return codec.encode_blocks(point_columns(rows), array("I", [0]) * len(rows), block["write_time"]).data


def read_stream(codec, data):
    decoder = dat.Decoder()
    events = decoder.feed(data)
    decoder.close()
    return [{"blob": event.data.hex(" ")} if isinstance(event, dat.Blob) else change_to_json(event) for event in events]


def write_stream(codec, events):
    encoder = dat.Encoder()
    blobs = [encoder.blob(hexed(event["blob"])) if "blob" in event else b"" for event in events]
    changes = [b"" if "blob" in event else encoder.change(change_from_json(event)) for event in events]
    return b"".join(blob + change for blob, change in zip(blobs, changes, strict=True))


def digest_of(previous, data):
    return blake2b(previous + data, digest_size=16).digest()


def read_file(codec, data, interval):
    digest, start = bytes(16), 0
    while (found := codec.find_interval(data, hexed(LOG), start)).end >= 0:
        assert found.start == start
        assert data[found.check : found.end] == b"\x21\2" + digest + digest_of(digest, data[start : found.check])
        digest = data[found.end - 16 : found.end]
        start = found.end
    frames = codec.scan_frames(data)
    assert frames.consumed == len(data)
    values = [change.value.decode() for change in codec.decode_changes(data, frames).to_objects()]
    return {"values": values, "head": digest_of(digest, data[start:]).hex(" ")}


def write_file(codec, content, interval):
    rows = [Change("temp", at + 1, at, at + 1, value.encode()) for at, value in enumerate(content["values"])]
    data, ends = codec.encode_changes(ChangeColumns.from_objects(rows))
    closing, _ = codec.split_intervals(ends, 0, interval)
    edges = [0, *(ends[index] for index in closing)]
    out, digest = b"", bytes(16)
    for begin, end in pairwise(edges):
        part = b"\x11\2" + hexed(LOG) + data[begin:end]
        digest, previous = digest_of(digest, part), digest
        out += part + b"\x21\2" + previous + digest
    return out + b"\x11\2" + hexed(LOG) + data[edges[-1] :]


def write_uid(codec, key):
    return pytest.importorskip("scoutcore.keys").uid_of_key(key).encode()


def read_message(codec, data):
    (change,) = codec.decode_changes(data, codec.scan_frames(data)).to_objects()
    message = messages.decode(change)
    return message and {change.key: json.loads(msgspec.json.encode(message))}


def write_message(codec, item):
    if item is None:
        return b""
    ((key, value),) = item.items()
    return messages.encode(msgspec.convert(value, next(kind for kind, name in messages._KEYS.items() if name == key)))


def read_mac(codec, data):
    (first,) = codec.scan_frames(data[16:]).ends[:1]
    hellos = data[16 : 16 + first], data[16 + first :]
    return {role: messages.mac_of(data[:16], role, hellos) for role in ("initiator", "listener")}


def read_summary(codec, data):
    return blake2b(data, digest_size=16).hexdigest()


def read_fork(codec, data):
    return forks.name_of(data).hex()


KINDS = {
    "varint": (lambda codec, data: codec.decode_varints(data)[0], lambda codec, value: codec.encode_varints([value])),
    "zigzag": (
        lambda codec, data: codec.decode_varints(data, signed=True)[0],
        lambda codec, value: codec.encode_varints([value], signed=True),
    ),
    "multibuffer": (read_multibuffer, write_multibuffer),
    "frame": (read_frames, write_frames),
    "change": (read_change, write_change),
    "block": (read_block, write_block),
    "stream": (read_stream, write_stream),
    "file": (read_file, write_file),
    "uid": (None, write_uid),
    "message": (read_message, write_message),
    "mac": (read_mac, None),
    "summary": (read_summary, None),
    "fork": (read_fork, None),
}


@pytest.mark.parametrize(("kind", "options", "data", "sign", "text"), examples())
def test_example(codec, kind, options, data, sign, text):
    read, write = KINDS[kind]
    if sign == "!":
        with pytest.raises(CodecError) as caught:
            read(codec, data, **options)
        assert str(caught.value) == text.strip()
        return
    value = json.loads(text)
    assert read is None or read(codec, data, **options) == value
    assert write is None or (write(codec, value, **options) == data) == (sign == "=")


def test_every_kind_has_examples():
    kinds = [param.values[0] for param in examples()]
    assert set(kinds) == set(KINDS)
    assert len(kinds) == len(
        re.findall(r"^ *(?:[0-9a-f]{2} ?)* *[=~!] [^ ]", "".join(TEXT.split("```")[1::2]), re.MULTILINE)
    )
