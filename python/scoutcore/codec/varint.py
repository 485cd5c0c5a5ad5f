"""Varints in plain Python, one at a time: what the reference is made of."""

from __future__ import annotations

from scoutcore.codec.status import Status, error
from scoutcore.errors import TruncatedError


def put_varint(out: bytearray, value: int) -> None:
    """Append the varint of *value*."""
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def varint_size(value: int) -> int:
    """Bytes of the varint of *value*."""
    return max(1, (value.bit_length() + 6) // 7)


def get_varint(data: bytes | memoryview, offset: int, end: int) -> tuple[int, int]:
    """The number at *offset* and the offset behind it; nothing at or behind *end* is read."""
    if offset < end and (value := data[offset]) < 0x80:  # as nearly all are
        return value, offset + 1
    value = shift = 0
    for position in range(offset, end):
        byte = data[position]
        if shift == 63 and byte > 1:
            raise error(Status.VARINT, offset)
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position + 1
        shift += 7
    raise error(Status.TRUNCATED, offset)


def point_varint(data: bytes | memoryview, offset: int, end: int) -> tuple[int, int]:
    """As :func:`get_varint`, of a block that is there whole: an end in mid-number is an error of its own."""
    try:
        return get_varint(data, offset, end)
    except TruncatedError:
        raise error(Status.POINT_SIZE, offset) from None


def zigzag(value: int) -> int:
    """The unsigned form of a signed number."""
    return value << 1 if value >= 0 else (-value << 1) - 1


def unzigzag(value: int) -> int:
    """The inverse of :func:`zigzag`."""
    return value >> 1 if value & 1 == 0 else -(value >> 1) - 1
