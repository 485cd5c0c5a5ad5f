"""A store in memory that knows what a power cut would take away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from random import Random

from scoutcore.store.memory import MemoryStore

Puts = Mapping[bytes, "bytes | None"]


class PowerStore(MemoryStore):
    """What is not published may be lost, the newest writes first, each whole."""

    def __init__(self, values: Mapping[bytes, bytes] | None = None) -> None:
        super().__init__()
        super().write(dict(values or {}), sync=True)
        self._durable = dict(self._values)
        self._unsafe: list[dict[bytes, bytes | None]] = []
        self.published: Callable[[], None] = lambda: None
        """Called when all that was written is safe."""

    def write(self, puts: Puts, sync: bool) -> None:
        super().write(puts, sync)
        self._unsafe.append(dict(puts))
        if sync:
            self.publish()

    def publish(self) -> None:
        for puts in self._unsafe:
            _apply(self._durable, puts)
        self._unsafe.clear()
        self.published()

    @contextmanager
    def taken(self) -> Iterator[MemoryStore]:
        with super().taken() as store:
            yield store
        self._durable = dict(self._values)
        self._unsafe.clear()

    def copy(self) -> PowerStore:
        """What a process that starts again finds, or a copy of the disk has."""
        return PowerStore(self._values)

    def power_cut(self, choose: Random) -> PowerStore:
        """What a machine that starts again finds."""
        left = dict(self._durable)
        for puts in self._unsafe[: choose.randint(0, len(self._unsafe))]:
            _apply(left, puts)
        return PowerStore(left)


def _apply(values: dict[bytes, bytes], puts: Puts) -> None:
    for key, value in puts.items():
        if value is None:
            values.pop(key, None)
        else:
            values[key] = value
