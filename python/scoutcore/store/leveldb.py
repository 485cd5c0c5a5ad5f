"""LevelDB through plyvel, with its traps closed: verified reads, and a fresh start after any failed write."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import plyvel

from scoutcore.errors import StorageError

WRITE_BUFFER_BYTES: Final = 24 * 1024 * 1024
"""LevelDB's own 4 MiB halves ingest at a million reports."""
_BLOCK_CACHE_BYTES: Final = 8 * 1024 * 1024


class LevelDBStore:
    """One LevelDB directory."""

    def __init__(self, path: Path, *, paranoid: bool = True) -> None:
        """Open it; not *paranoid*: also where the end of its log is damaged, which is then cut off.

        Raises:
            StorageError: LevelDB refuses.
        """
        self._path = path
        self._paranoid = paranoid
        self._db = self._open()

    def _open(self) -> plyvel.DB:
        try:
            return plyvel.DB(
                str(self._path),
                create_if_missing=True,
                paranoid_checks=self._paranoid,
                write_buffer_size=WRITE_BUFFER_BYTES,
                lru_cache_size=_BLOCK_CACHE_BYTES,
                bloom_filter_bits=10,
            )
        except (plyvel.Error, OSError) as problem:
            raise StorageError(f"LevelDB cannot open {self._path}: {problem}") from problem

    def get(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._db.get(key, verify_checksums=True)
        except plyvel.Error as problem:
            raise StorageError(f"LevelDB cannot read {self._path}: {problem}") from problem
        return value

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        iterator = self._db.iterator(
            start=start, stop=stop, include_stop=False, reverse=reverse, verify_checksums=True, fill_cache=False
        )
        return self._iterate(iterator)

    def _iterate(self, iterator: Any) -> Iterator[tuple[bytes, bytes]]:
        try:
            yield from iterator
        except plyvel.Error as problem:
            raise StorageError(f"LevelDB cannot read {self._path}: {problem}") from problem
        finally:
            iterator.close()

    def write(self, puts: Mapping[bytes, bytes | None], sync: bool) -> None:
        try:
            batch = self._db.write_batch(sync=sync)
            put, delete = batch.put, batch.delete
            for key, value in puts.items():
                if value is None:
                    delete(key)
                else:
                    put(key, value)
            batch.write()
        except (plyvel.Error, OSError) as problem:
            # After one failed write LevelDB acknowledges writes that its recovery then throws away: start afresh.
            self._db.close()
            self._db = self._open()
            raise StorageError(f"LevelDB cannot write {self._path}: {problem}") from problem

    def publish(self) -> None:
        # LevelDB's own sync covers only its newest log.
        for log in sorted(self._path.glob("*.log")):
            try:
                handle = os.open(log, os.O_RDONLY)
            except FileNotFoundError:
                continue  # LevelDB has moved it into a table, which it syncs
            try:
                os.fdatasync(handle)
            finally:
                os.close(handle)

    def size(self, start: bytes, stop: bytes) -> int:
        return int(self._db.approximate_size(start, stop))

    def close(self) -> None:
        self._db.close()
