"""Where the bytes are kept: ordered keys and values, written in atomic batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from scoutcore.codec.puts import Packed


class Store(Protocol):
    """What scoutcore needs of a key-value store. Keys are sorted as bytes."""

    def get(self, key: bytes) -> bytes | None:
        """The value of *key*, or None."""

    def scan(
        self, start: bytes, stop: bytes, reverse: bool = False, *, once: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values from *start* to *stop* (exclusive), as they were when the scan began.

        *once*: they are large and not read again soon: nothing is put out of a cache for them.
        """

    def write(self, puts: Mapping[bytes, bytes | None], sync: bool, packed: Sequence[Packed] = ()) -> None:
        """Put all of *puts* (None deletes) and *packed*, or nothing; with *sync*, power-safe on return.

        Args:
            packed: further puts, of keys that there are not; what *puts* has, too, comes later.

        Raises:
            StorageError: it could not; the store is open again and holds all of that or nothing.
        """

    def publish(self) -> None:
        """Make everything written so far safe against power loss."""

    def size(self, start: bytes, stop: bytes) -> int:
        """Roughly the bytes that a range takes on disk."""

    def compact(self, start: bytes, stop: bytes) -> None:
        """Give back the space of what was deleted from *start* to *stop*."""

    def taken(self) -> AbstractContextManager[Store]:
        """Take it away from everybody: for changes in many steps between which nobody is to read or write.

        Others wait. What they scan just now they read as it was, or are told to begin again.
        """

    def close(self) -> None:
        """Close it; closing twice is fine."""
