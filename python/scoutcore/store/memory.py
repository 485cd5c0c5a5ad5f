"""A store in memory, for tests and for replicas that are only looked at."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock

from scoutcore.codec.puts import Packed, all_puts


class MemoryStore:
    """The twin of LevelDBStore that forgets."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []
        self._lock = Lock()

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def scan(
        self,
        start: bytes,
        stop: bytes,
        reverse: bool = False,
        *,
        once: bool = False,  # noqa: ARG002
    ) -> Iterator[tuple[bytes, bytes]]:
        with self._lock:
            keys = self._keys[bisect_left(self._keys, start) : bisect_left(self._keys, stop)]
            found = [(key, self._values[key]) for key in keys]
        return reversed(found) if reverse else iter(found)

    def write(self, puts: Mapping[bytes, bytes | None], sync: bool, packed: Sequence[Packed] = ()) -> None:  # noqa: ARG002
        with self._lock:
            for key, value in all_puts(puts, packed).items():
                if value is None:
                    if self._values.pop(key, None) is not None:
                        del self._keys[bisect_left(self._keys, key)]
                else:
                    if key not in self._values:
                        insort(self._keys, key)
                    self._values[key] = value

    def publish(self) -> None:
        pass

    def size(self, start: bytes, stop: bytes) -> int:
        return sum(len(key) + len(value) for key, value in self.scan(start, stop))

    def compact(self, start: bytes, stop: bytes) -> None:
        pass

    @contextmanager
    def taken(self) -> Iterator[MemoryStore]:
        copy = MemoryStore()
        with self._lock:
            copy._values, copy._keys = dict(self._values), list(self._keys)
            yield copy
            self._values, self._keys = copy._values, copy._keys

    def close(self) -> None:
        pass
