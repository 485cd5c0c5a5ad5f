"""D(n) of a log: the digest over all that it holds up to change n. Equal n and D: the same log."""

from __future__ import annotations

import uuid as uuids
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Final

from scoutcore import changes, codec
from scoutcore.changes import DIGEST_BYTES, Position, digest_of
from scoutcore.changes.keyframe import Window
from scoutcore.changes.seek import Place, place_of
from scoutcore.codec.constants import INTERVAL_BYTES, MARKER_BYTES
from scoutcore.dropping import kept_digest
from scoutcore.errors import CorruptError, NotFoundError, StorageError
from scoutcore.log import Log, Logs
from scoutcore.source import Cursor

_READ_BYTES: Final = 1024 * 1024


class Chain:
    """The digests of one log. It remembers where it was: going on from there costs only what is new."""

    def __init__(self, logs: Logs, log: Log, directory: Path | None, interval_bytes: int = INTERVAL_BYTES) -> None:
        """Of *log*, one of *logs*; its files, if any, are in *directory*, ``changes/`` of the database."""
        self.logs = logs
        self._log = log
        self._directory = directory
        self._files = directory / str(uuids.UUID(bytes=log.uuid)) if directory else None
        self._interval_bytes = interval_bytes
        self._last = -1
        """The change up to which the rest counts."""
        self._digest = b""
        """Of the last check."""
        self._running: blake2b | None = None
        """Of the open interval."""
        self._fill = 0
        """Bytes of the open interval."""

    def at(self, change: int) -> bytes:
        """D of a stored *change*, from the log's base on; of its origin it is 16 zero bytes.

        Raises:
            NotFoundError: the change is not here.
            CorruptError: a changes file is damaged there.
            StorageError: the disk or LevelDB refuses.
        """
        if change == self._log.origin:
            return bytes(DIGEST_BYTES)
        if change != self._last:
            position = self.logs.stored_position(self._log)
            if change < position.last or (change == self._log.base and position.file):
                return self._packed(change, position)
            if not position.last <= self._last < change:
                self._begin(position)
            self._go_on(change)
        return self._running.digest() if self._running else self._digest

    def _begin(self, position: Position) -> None:
        """Start where the files end."""
        self._last, self._digest = max(position.last, self._log.base), position.digest
        self._running, self._fill = None, position.size - position.interval
        if not self._fill:
            return
        assert self._files is not None
        path = self._files / changes.file_name(position.file)
        try:
            with path.open("rb") as file:
                file.seek(position.interval)
                tail = file.read(self._fill)
        except OSError as problem:
            raise StorageError(f"cannot read {path}: {problem.strerror or problem}") from problem
        if len(tail) < self._fill:
            raise CorruptError(f"{path} ends before what was packed", position.interval + len(tail))
        self._running = digest_of(self._digest, tail)
        if self._running.digest() != position.head:  # else damage would look like a log that went two ways
            self._last = -1
            raise CorruptError(f"{path}: the open interval is not what was packed", position.interval)

    def _go_on(self, change: int) -> None:
        cursor = Cursor(self.logs, self._log, self._directory, self._last)
        try:
            while self._last < change:
                frames, self._last = cursor.read(change, _READ_BYTES)
                self._extend(frames)
        except BaseException:
            self._last = -1
            raise
        finally:
            cursor.close()

    def _extend(self, frames: bytes) -> None:
        ends = codec.scan_frames(frames).ends
        closing, self._fill = codec.split_intervals(ends, self._fill, self._interval_bytes)
        begin = 0
        for last in closing:
            self._add(frames[begin : ends[last]])
            assert self._running is not None
            self._digest, self._running = self._running.digest(), None
            begin = ends[last]
        if begin < len(frames):
            self._add(frames[begin:])

    def _add(self, frames: bytes) -> None:
        if self._running is None:
            self._running = digest_of(self._digest, self._log.marker)
        self._running.update(frames)

    def _packed(self, change: int, position: Position) -> bytes:
        """D of a change that is in the files: read from the keyframe before it."""
        assert self._files is not None
        wanted = max(change, self._log.base + 1)
        paths = [path for path in changes.files_of(self._files) if path.name <= changes.file_name(wanted)]
        if change < self._log.base or not paths:
            raise NotFoundError(f"change {change} of log {uuids.UUID(bytes=self._log.uuid)} is not here")
        path = paths[-1]
        try:
            if change < wanted and (kept := kept_digest(self._log, self._files)):
                return kept
            with path.open("rb", buffering=0) as file:
                place = place_of(Window(file), self._log.uuid, wanted, int(path.stem))
                previous = position.digest if place.previous is None else place.previous
                if change < wanted:
                    return previous
                if not place.checked:
                    self._begin(position)  # compares the open interval with what is known of it
                return digest_of(previous, _up_to(file, place, change)).digest()
        except CorruptError as problem:
            raise CorruptError(f"{path}: {problem.reason}", problem.offset) from None
        except OSError as problem:
            raise StorageError(f"cannot read {path}: {problem.strerror or problem}") from problem


def _up_to(file: BinaryIO, place: Place, change: int) -> bytes:
    """The bytes of an interval up to the end of the frame of *change*."""
    window = Window(file)
    window.move(place.offset)
    size = INTERVAL_BYTES
    while True:
        more = window.grow(size)
        size *= 2
        ends = codec.scan_frames(window.data, MARKER_BYTES).ends if len(window.data) > MARKER_BYTES else []
        if len(ends) > change - place.first:
            return window.data[: ends[change - place.first]]
        if not more:
            raise CorruptError("the file ends before what was packed", place.offset + len(window.data))
