"""One atomic write in the making: what goes into LevelDB, seen by those who still add to it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scoutcore.store import Store


class Commit:
    """Gathers puts until all of them are written at once; reads see the puts."""

    __slots__ = (
        "_store",
        "blocks",
        "clock_entries",
        "events",
        "grown",
        "hidden_entries",
        "log_bytes",
        "puts",
        "reappeared",
        "untold",
    )

    def __init__(self, store: Store | Commit) -> None:
        """On top of a store, or of another commit, which gets the puts of this one only if all goes well."""
        self._store = store
        self.puts: dict[bytes, bytes | None] = {}
        self.clock_entries: defaultdict[bytes, list[tuple[int, int, int, bytes]]] = defaultdict(list)
        """Per row, the entries of the clock index made in this commit: boot, first ms, last ms, block key."""
        self.hidden_entries: defaultdict[bytes, list[tuple[int, int, int, bytes]]] = defaultdict(list)
        """The same, of blocks in which all is hidden."""
        self.blocks: list[list[bytes]] = []
        """Key and value, in turn, of blocks and their entries that are not among ``clock_entries`` yet."""
        self.log_bytes = 0
        """Frames appended to logs."""
        self.grown: dict[bytes, int] = {}
        """The logs, by uuid, that changes were appended to, and their last changes."""
        self.events: list[Any] = []
        """What watchers are told once the commit is durable."""
        self.untold = False
        """More happened than watchers can be told: they have lagged."""
        self.reappeared: list[tuple[int, int | None]] = []
        """Troops and scouts that were deleted: watchers are told their current values."""

    def put(self, key: bytes, value: bytes | None) -> None:
        """Put, or with None delete."""
        self.puts[key] = value

    def put_blocks(self, items: list[bytes]) -> None:
        """Put blocks and their entries in the clock index: key and value in turn."""
        keys = iter(items)
        self.puts.update(zip(keys, keys, strict=True))
        self.blocks.append(items)

    def get(self, key: bytes) -> bytes | None:
        """The value as it will be after the commit."""
        if key in self.puts:
            return self.puts[key]
        return self._store.get(key)
