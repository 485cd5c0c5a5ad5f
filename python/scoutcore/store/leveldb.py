"""LevelDB through plyvel, with its traps closed: verified reads, and a fresh start after any failed write."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from threading import Lock, get_ident
from typing import Any, Final, TypeVar

import plyvel

from scoutcore.codec.puts import Packed, all_puts
from scoutcore.directory import sync_directory
from scoutcore.errors import ClosedError, StorageError

T = TypeVar("T")

WRITE_BUFFER_BYTES: Final = 24 * 1024 * 1024
"""LevelDB's own 4 MiB halves ingest at a million reports."""
_BLOCK_CACHE_BYTES: Final = 32 * 1024 * 1024
_FIRST_ITEMS: Final = 4
_SCAN_ITEMS: Final = 16
"""The most items that a scan reads at a time, the first time and then."""
_BATCH_BYTES: Final = 16 * 1024
"""A batch that is no larger is used again: to make one takes as long as a put."""
_LARGE_BYTES: Final = 64 * 1024
"""So large a value is the last that is read at a time: a chunk of a log may be many MiB."""
_TICK_NS: Final = 1_000_000_000
"""More than file systems' clocks are behind."""
_FENCES: Final = (b"\0", b"\xff")
"""Keys before and behind all others: a scan that comes to an end without meeting one has missed something."""


class DamagedError(StorageError):
    """LevelDB cannot be opened as it is: the end of its logs, or what lists its files, is damaged or missing."""


def _lists_its_files(path: Path) -> bool:
    """Whether what LevelDB begins to read from is there."""
    try:
        return (path / (path / "CURRENT").read_text("ascii", "replace").strip()).is_file()
    except FileNotFoundError:
        return False
    except OSError:
        return True


def create(path: Path) -> LevelDBStore:
    """Make an empty LevelDB, whole or not at all: LevelDB itself does not sync the first manifest that it writes.

    Raises:
        StorageError: the file system refuses.
    """
    fresh = path.with_name(f"{path.name}.new")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        plyvel.DB(str(fresh), create_if_missing=True).close()
        sync_directory(fresh)
        fresh.rename(path)
        sync_directory(path.parent)
    except (plyvel.Error, OSError) as problem:
        raise StorageError(f"LevelDB cannot be created in {path}: {problem}") from problem
    return LevelDBStore(path)


class LevelDBStore:
    """One LevelDB directory.

    plyvel frees LevelDB when it is closed, even under a thread that reads in it. So who reads says so before, and who
    closes, for good or to open it afresh, first takes it away and then waits for those who had it.
    """

    def __init__(self, path: Path, *, paranoid: bool = True) -> None:
        """Open it; not *paranoid*: also where the end of its log is damaged, which is then cut off.

        Raises:
            StorageError: LevelDB refuses, or there is none: see :func:`create`.
        """
        self._path = path
        self._paranoid = paranoid
        self._lock = Lock()
        """Who writes, opens or closes holds it; who reads does not."""
        self._readers: dict[int, None] = {}
        """The threads that are inside LevelDB to read."""
        self._closed = False
        self._names_synced: int | None = None
        """When the directory was changed last, as far as that is safe against power loss."""
        self._batch: Any = None
        """An empty batch of LevelDB as it is open now; None: there is none."""
        self._db: plyvel.DB | None = self._open()

    def _open(self) -> plyvel.DB:
        try:
            db = plyvel.DB(
                str(self._path),
                create_if_missing=False,  # one that has lost its first file would be emptied
                paranoid_checks=self._paranoid,
                write_buffer_size=WRITE_BUFFER_BYTES,
                lru_cache_size=_BLOCK_CACHE_BYTES,
                bloom_filter_bits=10,
            )
        except (plyvel.Error, OSError) as problem:
            failure = self._failure("open", problem)
            if isinstance(problem, plyvel.CorruptionError) or not _lists_its_files(self._path):
                raise DamagedError(*failure.args) from problem
            raise failure from problem
        try:
            for fence in _FENCES:
                if db.get(fence, verify_checksums=True) is None:
                    db.put(fence, b"")
        except plyvel.Error as problem:
            db.close()
            raise self._failure("read", problem) from problem
        return db

    def _failure(self, what: str, problem: Exception) -> StorageError:
        reason = problem.args[0] if problem.args else ""
        said = reason.decode(errors="replace") if isinstance(reason, bytes) else problem  # plyvel gives LevelDB's bytes
        return StorageError(f"LevelDB cannot {what} {self._path}: {said}")

    def _opened(self) -> plyvel.DB:
        """LevelDB, opened again where it could not be before; the lock is held."""
        if self._closed:
            raise ClosedError("the database is closed")
        if self._db is None:
            self._db = self._open()
        return self._db

    def _shut(self) -> None:
        """Close LevelDB, once nobody reads in it; the lock is held."""
        db, self._db, self._batch = self._db, None, None
        while self._readers:
            time.sleep(0.0005)
        if db is not None:
            db.close()

    def _read(self, read: Callable[[plyvel.DB], T]) -> T:
        me = get_ident()
        while True:
            self._readers[me] = None
            try:
                db = self._db
                if db is not None:
                    return read(db)
            except plyvel.Error as problem:
                raise self._failure("read", problem) from problem
            finally:
                self._readers.pop(me, None)
            with self._lock:
                self._opened()

    def get(self, key: bytes) -> bytes | None:
        # As _read does it, spelled out: this is the hot path.
        me = get_ident()
        self._readers[me] = None
        try:
            db = self._db
            if db is not None:
                return db.get(key, verify_checksums=True)  # type: ignore[no-any-return]
        except plyvel.Error as problem:
            raise self._failure("read", problem) from problem
        finally:
            self._readers.pop(me, None)
        value: bytes | None = self._read(lambda db: db.get(key, verify_checksums=True))
        return value

    def scan(
        self, start: bytes, stop: bytes, reverse: bool = False, *, once: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        def begin(db: plyvel.DB) -> tuple[plyvel.DB, Any, list[tuple[bytes, bytes]], bool]:
            if reverse:
                iterator = db.iterator(reverse=True, stop=stop, verify_checksums=True, fill_cache=not once)
            else:
                iterator = db.iterator(start=start, verify_checksums=True, fill_cache=not once)
            return db, iterator, *self._some(iterator, start, stop, _FIRST_ITEMS)

        db, iterator, found, ended = self._read(begin)
        if ended:
            iterator.close()
            return iter(found)
        return chain(found, self._items(db, iterator, start, stop))

    def _some(self, iterator: Any, start: bytes, stop: bytes, most: int) -> tuple[list[tuple[bytes, bytes]], bool]:
        """The next items in range, and whether they are the last.

        plyvel ends at a damaged block as at the last one: so read on to a key out of range.
        """
        found: list[tuple[bytes, bytes]] = []
        for item in iterator:
            if not start <= item[0] < stop:
                return found, True
            found.append(item)
            if len(found) == most or len(item[1]) >= _LARGE_BYTES:
                return found, False
        raise StorageError(f"LevelDB cannot read {self._path}: a scan ended before its range does")

    def _items(self, db: plyvel.DB, iterator: Any, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        def some(now: plyvel.DB) -> tuple[list[tuple[bytes, bytes]], bool]:
            if now is not db:
                raise StorageError("LevelDB was opened afresh: read again")
            return self._some(iterator, start, stop, _SCAN_ITEMS)

        try:
            ended = False
            while not ended:
                found, ended = self._read(some)
                yield from found
        finally:
            iterator.close()

    def write(self, puts: Mapping[bytes, bytes | None], sync: bool, packed: Sequence[Packed] = ()) -> None:
        if packed:
            puts = all_puts(puts, packed)
        with self._lock:
            db = self._db or self._opened()
            batch, self._batch = self._batch, None  # where it fails it is not used again
            try:
                if sync or batch is None:
                    batch = db.write_batch(sync=sync)
                put = batch.put
                for key, value in puts.items():
                    if value is None:
                        batch.delete(key)
                    else:
                        put(key, value)
                batch.write()
                if sync:
                    self._sync_names()
                elif batch.approximate_size() <= _BATCH_BYTES:
                    batch.clear()
                    self._batch = batch
            except (plyvel.Error, OSError) as problem:
                # After one failed write LevelDB acknowledges writes that its recovery then throws away: start afresh.
                self._shut()
                with suppress(StorageError):  # whoever comes next tries again
                    self._opened()
                raise self._failure("write", problem) from problem

    def publish(self) -> None:
        # LevelDB's own sync covers only its newest log.
        for log in sorted(self._path.glob("*.log")):
            try:
                handle = os.open(log, os.O_RDONLY)
                try:
                    os.fdatasync(handle)
                finally:
                    os.close(handle)
            except FileNotFoundError:
                continue  # LevelDB has moved it into a table, which it syncs
            except OSError as problem:
                raise StorageError(f"cannot sync {log}: {problem.strerror}") from problem
        try:
            self._sync_names()
        except OSError as problem:
            raise StorageError(f"cannot sync {self._path}: {problem.strerror}") from problem

    def _sync_names(self) -> None:
        """Make the name of a new log safe against power loss: LevelDB does not, until it next has a new table."""
        changed = self._path.stat().st_mtime_ns
        if changed != self._names_synced:
            sync_directory(self._path)
            # What was made within one tick of the file system's clock has the same time.
            self._names_synced = changed if changed < time.time_ns() - _TICK_NS else None

    def size(self, start: bytes, stop: bytes) -> int:
        return int(self._read(lambda db: db.approximate_size(start, stop)))

    def compact(self, start: bytes, stop: bytes) -> None:
        self._read(lambda db: db.compact_range(start=start, stop=stop))

    @contextmanager
    def taken(self) -> Iterator[LevelDBStore]:
        with self._lock:
            self._opened()
            self._shut()
            try:
                store = LevelDBStore(self._path)
                try:
                    yield store
                finally:
                    store.close()
            finally:
                with suppress(StorageError):  # whoever comes next tries again
                    self._opened()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._shut()
