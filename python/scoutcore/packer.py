"""Packing: moves chunks of the logs, oldest first, out of LevelDB into changes files, by hand or as they come."""

from __future__ import annotations

import logging
import time
import uuid as uuids
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from copy import copy
from itertools import chain
from pathlib import Path
from threading import Condition, Lock, Thread
from typing import Final

from scoutcore import keys, restoring
from scoutcore.changes import Writer
from scoutcore.changes.writer import cut_back
from scoutcore.clock import system_time
from scoutcore.errors import ClosedError, StorageError
from scoutcore.log import SECTIONS, Log, Logs
from scoutcore.stats import PackerStats
from scoutcore.store import Store

_ENOUGH_BYTES: Final = 8 * 1024 * 1024
"""When so much is unpacked, the worker begins at once."""
_STEP_BYTES: Final = 128 * 1024 * 1024
"""Frames packed before the fact is recorded and their chunks are dropped, which makes LevelDB compact what is left."""
_RUN_BYTES: Final = 1024 * 1024
"""Frames written at a time."""
_PATIENCE: Final = 10.0
"""Seconds that less than a step may wait."""
_RETRY: Final = 10.0
"""Seconds after which it is tried again where the disk refused."""
_log = logging.getLogger("scoutcore")


class Packer:
    """Packs the logs of one database. Only one thread packs at a time.

    The worker begins as soon as there is enough, and then takes all there is. Chunks so young are mostly
    still in LevelDB's memory, where reading them costs next to nothing, and each step syncs LevelDB's log and a file
    once: that keeps its share of the CPU small even at full ingest, so it needs no throttle, and it is never far
    behind. What is less waits for some seconds, so that commands that soon end pack nothing, and a trickle
    of reports does not wear out a flash card. What is heavy in a step lets other threads run: LevelDB, hashing, files.
    """

    logs: Logs
    """What is packed; only replaced while it is stopped."""

    def __init__(self, store: Store, directory: Path, publish: Callable[[], None]) -> None:
        """*publish*: makes what is stored safe against power loss, and has the logs record it: no more is packed."""
        self._store = store
        self._publish = publish
        self._directory = directory
        self._passing = Lock()
        """Held for a whole pass."""
        self._lock = Lock()
        """Held for a step."""
        self._changed = Condition(Lock())
        """Guards what follows; told when the worker may have something to do."""
        self._thread: Thread | None = None
        self._closed = False
        self._pauses = 0
        self._stored = 0
        """Bytes of frames stored since it was opened, and what was left then, by LevelDB's estimate. Only the thread
        that commits adds to it."""
        self._begun = 0
        """Those of them that were there when the last pass began."""
        self._packed = 0
        """Those of them that are packed."""
        self._due = 0.0
        """When even a little is to be packed, by the monotonic clock."""
        self._problem: tuple[str, int] | None = None

    def pack(self) -> int:
        """Pack all that is in the logs now; returns the number of changes packed.

        Raises:
            StorageError: the disk refuses; what was packed before stays so, nothing is lost.
            CorruptError: a changes file or the log is damaged; nothing is packed over it.
        """
        return self._pack(lambda: False)

    def _pack(self, interrupted: Callable[[], bool]) -> int:
        with self._passing:
            with self._changed:
                self._begun = self._stored
            grown = [log for log in list(self.logs.by_number) if log.gaps or log.packed.last < log.head]
            found = [(log, self.logs.stored_head(log)) for log in grown]
            self._publish()  # what was stored by then; what comes later waits for the next time
            last = {log.uuid: min(head, self.logs.recorded_head(log)) for log, head in found}
            heads = {uuid: head for uuid, head in last.items() if head}  # one that a failed commit began may be gone
            packed = 0
            for uuid, head in heads.items():
                self._restore(uuid, interrupted)
                while not self.logs.get(uuid).gaps:  # nothing is packed behind what is damaged
                    with self._lock:  # who has paused or closed it, and then this lock, knows that no step follows
                        if self._closed:
                            raise ClosedError("the database is closed")
                        if interrupted():
                            break
                        changes, size = self._step(self.logs.get(uuid), head, interrupted)
                    if not changes:
                        break
                    packed += changes
                    with self._changed:
                        self._packed = min(self._packed + size, self._begun)
            if not interrupted():
                with self._changed:
                    self._packed = self._begun
                    self._problem = None
            return packed

    def _restore(self, uuid: bytes, interrupted: Callable[[], bool]) -> None:
        """Make a log's damaged files whole, if all that was missing has come again."""
        with self._lock:
            if self._closed:
                raise ClosedError("the database is closed")
            log = self.logs.get(uuid)
            if log.gaps and not log.gap and not interrupted():
                restoring.restore(self._store, self.logs, log, self._directory)

    def _step(self, log: Log, head: int, interrupted: Callable[[], bool]) -> tuple[int, int]:
        """Pack some chunks of a log up to change *head*, record it, and drop them; the changes and their bytes."""
        log.packed = self.logs.stored_position(log)  # a write that failed may have come through
        size = 0
        dropped: dict[bytes, bytes | None] = {}
        runs = self._runs(log, head, interrupted, dropped)
        run = next(runs, None)
        if run is None:
            return 0, 0
        path = self._directory / str(uuids.UUID(bytes=log.uuid))
        try:
            with closing(Writer(path, log.uuid, copy(log.packed))) as writer:
                for changes, frames in chain([run], runs):
                    writer.append(frames, changes)
                    size += len(frames)
                writer.sync()
        except OSError as problem:
            with suppress(OSError):
                cut_back(path, log.packed)
            raise StorageError(f"cannot pack into {self._directory}: {problem.strerror or problem}") from problem
        self._store.write({keys.PACKED + log.uuid: writer.position.dump(), **dropped}, sync=False)
        before, log.packed = log.packed.last, writer.position
        return log.packed.last - before, size

    def _runs(
        self, log: Log, head: int, interrupted: Callable[[], bool], taken: dict[bytes, bytes | None]
    ) -> Iterator[tuple[int, bytes]]:
        """A step's changes and their frames, about a MiB at a time: chunks may be tiny. Their keys go into *taken*."""
        begin = behind = log.packed.last
        parts: list[bytes] = []
        size = left = 0
        for first, last, key, frames in self.logs.chunks(log, begin + 1):
            if last > head or size >= _STEP_BYTES or (taken and interrupted()):
                break
            if first != behind + 1:
                raise StorageError(f"log {uuids.UUID(bytes=log.uuid)} has no change {behind + 1} to be packed")
            parts.append(frames)
            taken[key] = None
            behind = last
            size += len(frames)
            left += len(frames)
            if left >= _RUN_BYTES:
                yield behind - begin, b"".join(parts)
                begin, left = behind, 0
                parts.clear()
        if parts:
            yield behind - begin, b"".join(parts)

    # --- the worker ---------------------------------------------------------------------------------------------------

    def measure(self) -> None:
        """Estimate how much was left unpacked the last time."""
        for log in self.logs.by_number:
            if log.packed.last < log.head:
                size = 1
                for section in SECTIONS.values():
                    start = keys.log_chunk(section, log.uuid, log.packed.last + 1, 0)
                    size += self._store.size(start, keys.after(section + log.uuid))
                self.stored(size)

    def start(self) -> None:
        """From now on, pack as chunks come."""
        self._thread = Thread(target=self._run, name="scoutcore packer", daemon=True)
        self._thread.start()

    def stored(self, size: int) -> None:
        """*size* bytes of frames were stored."""
        self._stored += size
        unpacked = self._stored - self._packed
        if unpacked <= size or unpacked - size < _ENOUGH_BYTES <= unpacked:  # else there is no need for a lock
            with self._changed:
                if unpacked <= size:
                    self._due = time.monotonic() + _PATIENCE
                self._changed.notify()

    @property
    def _unpacked(self) -> int:
        return self._stored - self._packed

    def _run(self) -> None:
        while self._wait():
            try:
                self._pack(self._interrupted)
                pause = _PATIENCE
            except ClosedError:
                return
            except Exception as problem:  # whatever it is, ingest goes on, and so does packing when it can
                pause = _RETRY
                self._stop_for(str(problem))
            with self._changed:
                self._due = time.monotonic() + pause

    def _wait(self) -> bool:
        """Wait until there is something to pack; False: the end."""
        with self._changed:
            while not self._closed:
                left = self._due - time.monotonic()
                if self._pauses or not self._unpacked:
                    self._changed.wait()
                elif left > 0 and (self._problem or self._unpacked < _ENOUGH_BYTES):
                    self._changed.wait(left)
                else:
                    return True
            return False

    def _interrupted(self) -> bool:
        return self._closed or self._pauses > 0

    def _stop_for(self, reason: str) -> None:
        with self._changed:
            before = self._problem
            self._problem = reason, before[1] if before else system_time()
        if before is None:  # whoever logs may take its time, or ask the packer something
            _log.warning("packing stopped, and is tried again every %d s: %s", _RETRY, reason)

    def pause(self) -> AbstractContextManager[object]:
        """Pack nothing, except by hand, until :meth:`resume`, or the end of the ``with`` block that this begins."""
        with self._changed:
            self._pauses += 1
        with self._lock:  # the step under way has ended
            resuming = ExitStack()
        resuming.callback(self.resume)
        return resuming

    def resume(self) -> None:
        """Pack again; where it was paused several times, after as many calls."""
        with self._changed:
            self._pauses = max(self._pauses - 1, 0)
            self._changed.notify()

    def stats(self) -> PackerStats:
        """How far it is behind, and what holds it up."""
        with self._changed:
            reason, since = self._problem or (None, None)
            return PackerStats(self._thread is not None and not self._pauses, self._unpacked, reason, since)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Nothing is packed meanwhile, by hand neither, and no file is open."""
        with self.pause(), self._lock:
            yield

    def close(self) -> None:
        """End the worker, and packing by hand, after the step under way."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            pass
