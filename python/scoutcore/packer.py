"""Packing: moves chunks of the logs, oldest first, out of LevelDB into changes files."""

from __future__ import annotations

import uuid as uuids
from copy import copy
from pathlib import Path
from threading import Lock
from typing import Final

from scoutcore import keys
from scoutcore.changes import Writer
from scoutcore.errors import StorageError
from scoutcore.log import Log, Logs
from scoutcore.store import Store

_STEP_BYTES: Final = 16 * 1024 * 1024
"""Frames packed before the fact is recorded and their chunks are dropped."""


class Packer:
    """Packs the logs of one database. Only one thread packs at a time."""

    def __init__(self, store: Store, logs: Logs, directory: Path) -> None:
        self._store = store
        self._logs = logs
        self._directory = directory
        self._writers: dict[bytes, Writer] = {}
        self._lock = Lock()

    def pack(self) -> int:
        """Pack all that is in the logs now; returns the number of changes packed.

        Raises:
            StorageError: the disk refuses; what was packed before stays so, nothing is lost.
        """
        with self._lock:
            return sum(self._pack_log(log) for log in list(self._logs.by_number))

    def _pack_log(self, log: Log) -> int:
        before = log.packed.last
        head = log.head
        while log.packed.last < head and self._step(log, head):
            pass
        return log.packed.last - before

    def _step(self, log: Log, head: int) -> bool:
        """Pack some chunks of a log up to change *head*, record it, and drop them."""
        self._store.publish()
        try:
            writer = self._writers.get(log.uuid)
            if writer is None:
                path = self._directory / str(uuids.UUID(bytes=log.uuid))
                writer = self._writers[log.uuid] = Writer(path, log.uuid, copy(log.packed))
            size = 0
            dropped: dict[bytes, bytes | None] = {}
            for first, last, key, frames in self._logs.chunks(log, log.packed.last + 1):
                if last > head or size >= _STEP_BYTES:
                    break
                writer.append(frames, last - first + 1)
                dropped[key] = None
                size += len(frames)
            writer.sync()
        except OSError as problem:
            self._forget(log)
            raise StorageError(f"cannot pack into {self._directory}: {problem.strerror or problem}") from problem
        if not dropped:
            return False
        try:
            self._store.write({keys.PACKED + log.uuid: writer.position.dump(), **dropped}, sync=False)
        except StorageError:
            self._forget(log)
            raise
        log.packed = copy(writer.position)
        return True

    def _forget(self, log: Log) -> None:
        """The writer may be ahead of what is recorded: a new one cuts that off."""
        self._writers.pop(log.uuid).close()

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            for writer in self._writers.values():
                writer.close()
            self._writers.clear()
