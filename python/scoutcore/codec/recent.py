"""The latest readings of a row, kept in its record: they tell whether one that comes late was heard before.

As bytes: none, where they are not kept; else the varint of the ms from which on every reading of the row's greatest
boot is there, the varint of their number, and a column of their ms, rising. There may be some that are no more.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from scoutcore.codec.constants import RECENT, UINT64_MAX
from scoutcore.codec.numbers import get_column, put_column
from scoutcore.codec.varint import get_varint, put_varint


def load(data: bytes) -> tuple[int, list[int]]:
    """From which ms on, and the readings; raises ValueError."""
    first, at = get_varint(data, 0, len(data))
    count, at = get_varint(data, at, len(data))
    times: list[int] = []
    if count > RECENT:
        raise ValueError("too many readings")
    if count:
        numbers, at = get_column(memoryview(data), at, len(data), count)
        times = [number % 2**64 for number in numbers]
    if at < len(data) or (times and times[0] < first) or any(a >= b for a, b in pairwise(times)):
        raise ValueError("readings out of order")
    return first, times


def dump(first: int, times: Iterable[int], greatest: int) -> bytes:
    """The bytes of readings; *greatest* is the row's greatest ms."""
    kept = sorted({ms for ms in times if ms >= first})
    if len(kept) > RECENT:
        kept = kept[-RECENT:]
        first = kept[0]
    out = bytearray()
    put_varint(out, first)
    put_varint(out, len(kept))
    if kept and not put_column(out, kept):
        return start(greatest)  # too far apart for a column
    return bytes(out)


def start(greatest: int) -> bytes:
    """Those of a row of which nothing is kept yet: after its greatest ms there is nothing."""
    out = bytearray()
    if greatest < UINT64_MAX:
        put_varint(out, greatest + 1)
        out.append(0)
    return bytes(out)
