"""Puts of several batches, and the groups that blocks of a row are put as: see ``csrc/scoutcore.h``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from struct import Struct
from typing import Final, NamedTuple

import msgspec

from scoutcore.codec.constants import GROUP_BYTES, GROUP_SPAN
from scoutcore.codec.status import Status, error
from scoutcore.codec.varint import put_varint

_U32: Final = Struct(">I")
_U64: Final = Struct(">Q")
_ARRAY: Final = 0xDD
_STRING: Final = 0xC6
_HEAD_BYTES: Final = 5
PLACE_BYTES: Final = 16
"""What follows a row in the key of a block: its time (8 bytes that sort), log and change."""
GROUP: Final = 2
"""The first byte of a group's value, where a block has 0 or 1."""
GROUP_HEAD_BYTES: Final = 9
_MARK: Final = b"g"
Puts = dict[bytes, bytes | None]
"""Values by key; None deletes."""
NO_PUTS: Final = bytes([_ARRAY, 0, 0, 0, 0])
"""Nothing, packed."""


class Packed(NamedTuple):
    """Puts of one batch, packed."""

    puts: bytes
    """As :func:`pack_puts` packs them."""
    chunk: bytes = b""
    """The key of a chunk of a log, which the same write puts, of which they can be made again; empty: of none."""
    about: bytes = b""
    """What is needed beside it."""


unpack_puts = msgspec.msgpack.Decoder(list[bytes]).decode
"""Key and value, in turn, of what :func:`pack_puts` has packed."""


def pack_puts(items: Sequence[bytes]) -> bytes:
    """Key and value, in turn, as a msgpack array."""
    packed = [bytes([_ARRAY]) + _U32.pack(len(items))]
    for item in items:
        packed += [bytes([_STRING]) + _U32.pack(len(item)), item]
    return b"".join(packed)


def all_puts(puts: Mapping[bytes, bytes | None], packed: Iterable[Packed]) -> Puts:
    """What is *packed*, and then *puts*."""
    return {**unpack_all(packed), **puts}


def unpack_all(packed: Iterable[Packed]) -> dict[bytes, bytes]:
    """What is *packed*, by key."""
    unpacked: dict[bytes, bytes] = {}
    for one in packed:
        items = iter(unpack_puts(one.puts))
        unpacked.update(zip(items, items, strict=True))
    return unpacked


def count_puts(packed: Iterable[Packed]) -> int:
    """How many puts are *packed*."""
    return sum(int.from_bytes(one.puts[1:_HEAD_BYTES], "big") for one in packed) // 2


def group_key(row: bytes, first: bytes) -> bytes:
    """The key of a group whose *first* block begins with its place."""
    return row + first[:PLACE_BYTES] + _MARK


def group_puts(data: bytes) -> list[bytes]:
    """Key and value, in turn, of the puts of arrays that stand one behind another in *data*; no key is twice.

    Blocks of a row are next to one another and in order, the rows as they first appear, and those that fit into a group
    become one; the rest follows as it stood.

    Raises:
        CorruptError, TruncatedError: *data* is something else.
    """
    rows: dict[bytes, list[tuple[bytes, bytes]]] = {}
    rest: list[bytes] = []
    for key, value in _read(data):
        if key.startswith(b"h"):
            rows.setdefault(key[:-PLACE_BYTES], []).append((key[-PLACE_BYTES:], value))
        else:
            rest += [key, value]
    puts: list[bytes] = []
    for row, blocks in rows.items():
        blocks.sort(key=lambda block: block[0])
        for group in _cut(blocks):
            (place, value), *more = group
            if more:
                span = _time(more[-1][0]) - _time(place)
                packed = bytearray([GROUP]) + _U64.pack(span)
                for one in group:
                    put_varint(packed, sum(map(len, one)))
                    packed += b"".join(one)
                puts += [group_key(row, place), bytes(packed)]
            else:
                puts += [row + place, value]
    return puts + rest


def _time(place: bytes) -> int:
    time: int = _U64.unpack_from(place)[0]
    return time


def _cut(blocks: list[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    """The blocks of one row, sorted, in groups."""
    group: list[tuple[bytes, bytes]] = []
    size = 0
    for place, value in blocks:
        size += len(value)
        if group and (size > GROUP_BYTES or _time(place) - _time(group[0][0]) > GROUP_SPAN):
            yield group
            group, size = [], len(value)
        group.append((place, value))
    if group:
        yield group


def _read(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        head = at
        items, at = _head(data, at, _ARRAY)
        if items % 2:
            raise error(Status.WIRE_TYPE, head)
        for _ in range(0, items, 2):
            begin = at
            key, at = _string(data, at)
            if key.startswith(b"h") and len(key) < 2 + PLACE_BYTES:
                raise error(Status.WIRE_TYPE, begin)
            value, at = _string(data, at)
            yield key, value


def _head(data: bytes, at: int, tag: int) -> tuple[int, int]:
    """The number behind a tag, and where it ends."""
    if at == len(data):
        raise error(Status.TRUNCATED, at)
    if data[at] != tag:
        raise error(Status.WIRE_TYPE, at)
    if len(data) - at < _HEAD_BYTES:
        raise error(Status.TRUNCATED, at)
    return _U32.unpack_from(data, at + 1)[0], at + _HEAD_BYTES


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    size, start = _head(data, at, _STRING)
    if size > len(data) - start:
        raise error(Status.TRUNCATED, at)
    return data[start : start + size], start + size
