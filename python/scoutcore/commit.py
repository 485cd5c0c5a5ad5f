"""One atomic write in the making: what goes into LevelDB, seen by those who still add to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from scoutcore import keys
from scoutcore.codec.puts import Packed, unpack_puts

if TYPE_CHECKING:
    from scoutcore.store import Store


class Commit(msgspec.Struct, eq=False, gc=False):
    """Gathers puts until all of them are written at once; reads see the puts."""

    # A Struct, as each single report makes one: it is there in a third of the time that an __init__ takes. Nothing in
    # it leads back to it.
    _store: Store | Commit
    """What it is on top of: a store, or another commit, which gets the puts of this one only if all goes well."""
    puts: dict[bytes, bytes | None] = {}
    clock_entries: dict[bytes, list[tuple[int, int, int, bytes]]] = {}
    """Per row, the entries of the clock index made in this commit: boot, first ms, last ms, block key."""
    hidden_entries: dict[bytes, list[tuple[int, int, int, bytes]]] = {}
    """The same, of blocks in which all is hidden."""
    packed: list[Packed] = []
    """Further puts, new blocks and their entries in the clock index; ``puts`` come later."""
    blocks: list[list[bytes]] = []
    """Key and value, in turn, of blocks and their entries that are not among ``clock_entries`` yet."""
    _unpacked: dict[bytes, bytes] = {}
    """What of ``packed`` somebody has asked for, by key."""
    _read: int = 0
    """How many of ``packed`` that is."""
    log_bytes: int = 0
    """Frames appended to logs."""
    grown: dict[bytes, int] = {}
    """The logs, by uuid, that changes were appended to, and their last changes."""
    events: list[Any] = []
    """What watchers are told once the commit is durable."""
    untold: bool = False
    """More happened than watchers can be told: they have lagged."""
    reappeared: list[tuple[int, int | None]] = []
    """Troops and scouts that were deleted: watchers are told their current values."""

    def put(self, key: bytes, value: bytes | None) -> None:
        """Put, or with None delete."""
        self.puts[key] = value

    def put_blocks(self, items: list[bytes]) -> None:
        """Put blocks and their entries in the clock index: key and value in turn."""
        puts, rest = self.puts, iter(items)
        for key in rest:
            puts[key] = next(rest)
        self.blocks.append(items)

    def unpack(self) -> dict[bytes, bytes]:
        """What is ``packed``, by key."""
        while self._read < len(self.packed):
            items = unpack_puts(self.packed[self._read].puts)
            rest = iter(items)
            self._unpacked.update(zip(rest, rest, strict=True))
            self.blocks.append(items)
            self._read += 1
        return self._unpacked

    def get(self, key: bytes) -> bytes | None:
        """The value as it will be after the commit."""
        if key in self.puts:
            return self.puts[key]
        if self.packed and key.startswith(keys.BLOCKS) and (value := self.unpack().get(key)) is not None:
            return value
        return self._store.get(key)

    def write(self, sync: bool) -> None:
        """Put all of it into the store; raises as :meth:`Store.write`."""
        assert not isinstance(self._store, Commit)
        self._store.write(self.puts, sync, self.packed)
