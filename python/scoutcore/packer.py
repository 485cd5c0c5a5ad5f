"""Packing: moves chunks of the logs, oldest first, out of LevelDB into changes files."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Iterator
from contextlib import contextmanager
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

    logs: Logs
    """What is packed; only replaced while it is stopped."""

    def __init__(self, store: Store, directory: Path) -> None:
        self._store = store
        self._directory = directory
        self._writers: dict[bytes, Writer] = {}
        self._lock = Lock()

    def pack(self) -> int:
        """Pack all that is in the logs now; returns the number of changes packed.

        Raises:
            StorageError: the disk refuses; what was packed before stays so, nothing is lost.
        """
        with self._lock:
            heads = [(log, self.logs.stored_head(log)) for log in list(self.logs.by_number)]
            self._store.publish()  # what was stored by then; what comes later waits for the next time
            return sum(self._pack_log(log, head) for log, head in heads)

    def _pack_log(self, log: Log, head: int) -> int:
        before = log.packed.last
        while log.packed.last < head and self._step(log, head):
            pass
        return log.packed.last - before

    def _step(self, log: Log, head: int) -> bool:
        """Pack some chunks of a log up to change *head*, record it, and drop them."""
        try:
            writer = self._writers.get(log.uuid)
            if writer is None:
                path = self._directory / str(uuids.UUID(bytes=log.uuid))
                writer = self._writers[log.uuid] = Writer(path, log.uuid, copy(log.packed))
            size = 0
            dropped: dict[bytes, bytes | None] = {}
            for first, last, key, frames in self.logs.chunks(log, log.packed.last + 1):
                if last > head or size >= _STEP_BYTES:
                    break
                writer.append(frames, last - first + 1)
                dropped[key] = None
                size += len(frames)
            if not dropped:
                return False
            writer.sync()
            self._store.write({keys.PACKED + log.uuid: writer.position.dump(), **dropped}, sync=False)
        except BaseException as problem:
            # The writer may be ahead of what is recorded: a new one cuts that off.
            if log.uuid in self._writers:
                self._writers.pop(log.uuid).close()
            if isinstance(problem, OSError):
                raise StorageError(f"cannot pack into {self._directory}: {problem.strerror or problem}") from problem
            raise
        log.packed = copy(writer.position)
        return True

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Nothing is packed meanwhile, and no file is open."""
        with self._lock:
            for writer in self._writers.values():
                writer.close()
            self._writers.clear()
            yield

    def close(self) -> None:
        """Close the files."""
        with self.stopped():
            pass
