"""Multibuffers: 100,000 buffers of 64 bytes, as a list and as one piece with offsets."""

from __future__ import annotations

from array import array

from bench.harness import Goal, HotPath, Sample, Settings, both, node, repeat
from bench.inputs import VALUE_BYTES, input_file
from scoutcore import multibuffer


def _data(settings: Settings) -> bytes:
    return input_file("buffers", settings).read_bytes()


def _list(settings: Settings) -> list[bytes]:
    data = _data(settings)
    return [data[begin : begin + VALUE_BYTES] for begin in range(0, len(data), VALUE_BYTES)]


def pack(settings: Settings) -> Sample:
    buffers = _list(settings)
    return repeat(lambda: multibuffer.pack(buffers), len(buffers), settings.repeats)


def unpack(settings: Settings) -> Sample:
    packed = multibuffer.pack(_list(settings))
    return repeat(lambda: multibuffer.unpack(packed), settings.buffers, settings.repeats)


def pack_columns(settings: Settings) -> Sample:
    data = _data(settings)
    offsets = array("Q", range(0, len(data) + 1, VALUE_BYTES))
    return repeat(lambda: multibuffer.pack_columns(data, offsets), settings.buffers, settings.repeats)


def unpack_columns(settings: Settings) -> Sample:
    packed = multibuffer.pack(_list(settings))
    return repeat(lambda: multibuffer.unpack_columns(packed), settings.buffers, settings.repeats)


def _npm(what: str) -> list:
    return [
        node(
            "npm multibuffer",
            "multibuffer.js",
            lambda settings: [what, input_file("buffers", settings), VALUE_BYTES, settings.repeats],
        )
    ]


PATHS = [
    HotPath(
        f"multibuffer: {title}",
        "buffers",
        [*both("scoutcore", f"bench.multibuffer:{function}", slow_rounds=3), *_npm(what)],
        [Goal("scoutcore (c)", "npm multibuffer", ratio)],
        ["buffers"],
    )
    for title, function, what, ratio in (
        ("pack a list", "pack", "pack", 4),
        ("unpack to a list", "unpack", "unpack", 3),
        ("pack one piece by offsets", "pack_columns", "pack", 25),
        ("unpack to offsets", "unpack_columns", "unpack", 25),
    )
]
