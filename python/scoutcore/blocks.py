"""The value of a block in the history: which of its points are hidden, then the block as in the log."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from scoutcore.codec.columns import UInts, offsets_of


def pack_hidden(indices: Sequence[int]) -> bytes:
    """What stands before a block: ``00``, or ``01``, how many points are hidden and which (uint32, big-endian)."""
    if not indices:
        return b"\0"
    return Struct(f">BI{len(indices)}I").pack(1, len(indices), *indices)


def hidden_of(value: bytes) -> tuple[int, ...]:
    """The points hidden in a block, rising."""
    if value[0] == 0:
        return ()
    (count,) = Struct(">I").unpack_from(value, 1)
    return Struct(f">{count}I").unpack_from(value, 5)


def head_size(value: bytes) -> int:
    """How many bytes stand before a block."""
    return 5 + 4 * int.from_bytes(value[1:5], "big") if value[0] else 1


def whole(block: bytes) -> tuple[UInts, UInts]:
    """Start and end of a block that stands alone, as the codec takes them."""
    offsets = offsets_of([len(block)])
    return offsets[:1], offsets[1:]
