"""Blocks of history that come close together, in groups: one value where small batches would make dozens.

What is put *packed* is grouped. What is put by itself has a key of its own, also where a group has an older value of
it, and what is deleted is taken out of its group. Who reads sees no groups.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from struct import Struct
from threading import Lock
from typing import Final

from scoutcore import codec, keys
from scoutcore.codec.constants import UINT64_MAX
from scoutcore.codec.puts import (
    GROUP,
    GROUP_HEAD_BYTES,
    PLACE_BYTES,
    Packed,
    Puts,
    group_key,
    pack_puts,
    unpack_all,
)
from scoutcore.store import Store

_U64: Final = Struct(">Q")
_NAME: Final = len(keys.HISTORY) + 8
"""Where the report's name begins in a key, which ends with the first byte 0, as its row does."""
_BEHIND: Final = b"\xff"
"""A block's key and this is behind the key of a group that begins with it, which no scan of blocks is to end before."""
_MAX_KNOWN: Final = 65_536


class GroupedStore:
    """A store with groups in it. Nobody else is to write to that, and here one at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._spans: dict[bytes, int] = {}
        """By row, how far behind the first block of a group others of it begin at most, µs; 0: it has no groups."""
        self._any: bool | None = None
        """Whether any row has groups; None: nobody has looked."""
        self._lock = Lock()
        """Who looks or changes these holds it."""

    def get(self, key: bytes) -> bytes | None:
        value = self._store.get(key)
        if value is None and keys.HISTORY <= key < keys.CLOCK and self._has_groups():
            return self._member(key)
        return value

    def scan(
        self, start: bytes, stop: bytes, reverse: bool = False, *, once: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        if start < keys.HISTORY or stop > keys.CLOCK or self._any is False:
            stored = self._store.scan(start, stop, reverse, once=once)
            if not (self._any and start >= keys.HISTORY and stop <= keys.CLOCK):  # else the first groups have come
                return stored
        begin = None
        while begin != self._begin(start):  # else groups have come meanwhile
            begin = self._begin(start)
            stored = self._store.scan(begin, stop, reverse, once=once)
        if not self._has_groups():
            return stored
        blocks = self._backward(stored) if reverse else _forward(stored)
        return (block for block in blocks if start <= block[0] < stop)

    def write(self, puts: Mapping[bytes, bytes | None], sync: bool, packed: Sequence[Packed] = ()) -> None:
        if packed or None in puts.values():
            puts = {**self._group(puts, packed), **self._without(puts), **puts}
        self._store.write(puts, sync)

    def publish(self) -> None:
        self._store.publish()

    def size(self, start: bytes, stop: bytes) -> int:
        return self._store.size(start, stop)

    def compact(self, start: bytes, stop: bytes) -> None:
        self._store.compact(start, stop)

    @contextmanager
    def taken(self) -> Iterator[GroupedStore]:
        try:
            with self._store.taken() as store:
                yield GroupedStore(store)
        finally:  # when it is back: who reads may hold the lock and wait for it
            with self._lock:
                self._spans.clear()
                self._any = None

    def close(self) -> None:
        self._store.close()

    # --- reading ---

    def _has_groups(self) -> bool:
        if self._any is None:
            with self._lock:
                if self._any is None:
                    self._any = any(self._store.scan(keys.GROUPED, keys.after(keys.GROUPED)))
        return self._any

    def _span(self, row: bytes) -> int:
        with self._lock:
            span = self._spans.get(row)
            if span is None:
                span = int.from_bytes(self._store.get(_span_key(row)) or b"", "big")
                if len(self._spans) < _MAX_KNOWN:
                    self._spans[row] = span
            return span

    def _begin(self, start: bytes) -> bytes:
        """Where to begin to read for all blocks from *start* on."""
        end = start.find(b"\0", _NAME) + 1
        if not end or len(start) < end + _U64.size or not self._has_groups():
            return start
        row = start[:end]
        span = self._span(row)
        return row + _U64.pack(max(_time(start[end:]) - span, 0)) if span else start

    def _member(self, key: bytes) -> bytes | None:
        """The block *key*, if it is in a group."""
        place = key[-PLACE_BYTES:]
        for _, value in self._store.scan(self._begin(key), key + _BEHIND, reverse=True):
            for block in _members(value) if value[0] == GROUP else ():
                if block.startswith(place):
                    return block[PLACE_BYTES:]
        return None

    def _backward(self, stored: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        """All blocks, last ones first: each is held back as long as a group before it may have some behind it."""
        order: list[bytes] = []
        held: dict[bytes, bytes] = {}
        last_row, span = b"", 0
        for key, value in stored:
            grouped = value[0] == GROUP
            row, place = _split(key, grouped)
            at = 0
            if row == last_row:
                at = bisect_right(order, row + _U64.pack(min(_time(place) + span, UINT64_MAX)) + _BEHIND * 8)
            else:
                last_row, span = row, self._span(row)
            for one in reversed(order[at:]):
                yield one, held.pop(one)
            del order[at:]
            if not span:
                yield key, value
                continue
            for block in _members(value) if grouped else [place + value]:
                one = row + block[:PLACE_BYTES]
                if one not in held:
                    insort(order, one)
                elif grouped:
                    continue
                held[one] = block[PLACE_BYTES:]
        for one in reversed(order):
            yield one, held[one]

    # --- writing ---

    def _group(self, puts: Mapping[bytes, bytes | None], packed: Sequence[Packed]) -> Puts:
        """What is put for *packed*, but for what *puts* deletes."""
        gone = {key for key, value in puts.items() if value is None and key.startswith(keys.BLOCKS)}
        if packed and gone:
            left = [put for put in unpack_all(packed).items() if put[0] not in gone]
            packed = [Packed(pack_puts(list(chain.from_iterable(left))))]
        items = iter(codec.group_puts(b"".join(one.puts for one in packed)))
        grouped: Puts = {}
        spans: dict[bytes, int] = {}
        for key in items:
            value = grouped[key] = next(items)
            if value[0] == GROUP and key.startswith(keys.HISTORY):
                row, _ = _split(key, True)
                spans[row] = max(_time(value[1:]), spans.get(row) or self._span(row), 1)
        # With each group: a write before this one, which had the same, may be what a power cut takes.
        grouped.update((_span_key(row), _U64.pack(span)) for row, span in spans.items())
        if spans:
            with self._lock:  # before they are there: to look too far back does no harm
                if len(self._spans) + len(spans) > _MAX_KNOWN:
                    self._spans.clear()
                self._spans.update(spans)
                self._any = True
        return grouped

    def _without(self, puts: Mapping[bytes, bytes | None]) -> Puts:
        """The groups that had blocks which *puts* deletes, without them."""
        rows: dict[bytes, set[bytes]] = {}
        if None in puts.values() and self._has_groups():
            for key, value in puts.items():
                if value is None and key.startswith(keys.HISTORY):
                    row, place = _split(key, False)
                    rows.setdefault(row, set()).add(place)
        changed: Puts = {}
        for row, gone in rows.items():
            for key, value in self._store.scan(self._begin(row + min(gone)), row + max(gone) + _BEHIND, once=True):
                if value[0] == GROUP:
                    blocks = _members(value)
                    left = [block for block in blocks if block[:PLACE_BYTES] not in gone]
                    if len(left) < len(blocks):
                        changed[key] = None
                        if left:  # and the key is that of its first: another group may begin with the one that went
                            changed[group_key(row, left[0])] = value[:GROUP_HEAD_BYTES] + codec.pack(left)
        return changed


def _forward(stored: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """All blocks, in order."""
    order: list[bytes] = []
    held: dict[bytes, bytes] = {}
    before = b""
    for key, value in stored:
        if order:
            at = bisect_left(order, key)
            for one in order[:at]:
                yield one, held.pop(one)
                before = one
            del order[:at]
        if value[0] != GROUP:
            if held.pop(key, None) is not None:
                del order[0]
            yield key, value
            before = key
            continue
        row, _ = _split(key, True)
        for block in _members(value):
            one = row + block[:PLACE_BYTES]
            if one != before and one not in held:
                insort(order, one)
                held[one] = block[PLACE_BYTES:]
    for one in order:
        yield one, held[one]


def _members(group: bytes) -> list[bytes]:
    """Place and value of the blocks of a group."""
    return codec.unpack(memoryview(group)[GROUP_HEAD_BYTES:])


def _split(key: bytes, grouped: bool) -> tuple[bytes, bytes]:
    """The row, and the block's place, in the key of a block or a group."""
    end = len(key) - PLACE_BYTES - grouped
    return key[:end], key[end : end + PLACE_BYTES]


def _time(place: bytes) -> int:
    time: int = _U64.unpack_from(place)[0]
    return time


def _span_key(row: bytes) -> bytes:
    return keys.GROUPED + row[len(keys.HISTORY) :]
