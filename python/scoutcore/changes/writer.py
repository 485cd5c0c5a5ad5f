"""Writing a log's changes files: keyframes and checks where the format wants them."""

from __future__ import annotations

import io
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Final

from scoutcore import codec
from scoutcore.changes.position import CHECK, MARKER, Position, digest_of, file_name, files_of
from scoutcore.codec.constants import CHECK_BYTES, FILE_BYTES, INTERVAL_BYTES
from scoutcore.errors import CorruptError

_PIECES: Final = 1024
"""The most that Linux writes in one call."""
_AT_A_TIME: Final = 16
"""Intervals that are written together, about 1 MiB."""
_BEHIND_BYTES: Final = 16 * 1024 * 1024
"""What was written so far behind is on the disk by now, or soon."""


class Writer:
    """Appends a log's frames to its changes files, with keyframes and checks where the format wants them.

    The files are a pure function of the log: it does not matter in how many steps they are written. A thread of its own
    writes what was appended while the next is hashed.
    """

    def __init__(
        self,
        directory: Path,
        uuid: bytes,
        position: Position,
        interval_bytes: int = INTERVAL_BYTES,
        file_bytes: int = FILE_BYTES,
    ) -> None:
        """Go on at *position*; what the newest file holds behind it is cut off.

        Raises:
            OSError: the file system refuses.
            CorruptError: the newest file is shorter than *position* says.
        """
        self.position = position
        self._directory = directory
        self._uuid = uuid
        self._interval_bytes = interval_bytes
        self._file_bytes = file_bytes
        self._file: BinaryIO | None = None
        self._running = digest_of(position.digest)
        self._new_names = False
        self._thread = ThreadPoolExecutor(1, "scoutcore changes file")
        self._writing: Future[None] | None = None
        if position.file:
            self._file = (directory / file_name(position.file)).open("r+b", buffering=0)
            if self._file.seek(0, io.SEEK_END) < position.size:
                self._file.close()
                raise CorruptError(f"{self._file.name} ends before what was packed", position.size)
            self._file.truncate(position.size)
            self._file.seek(position.interval)
            self._running.update(self._file.read(position.size - position.interval))
            if self._head() != position.head:
                self._file.close()
                raise CorruptError(f"{self._file.name}: the open interval is not what was packed", position.interval)

    def append(self, frames: bytes, changes: int) -> None:
        """Append the frames of the next *changes* changes; the disk's refusal may be raised by a later call.

        Raises:
            OSError: the file system refuses.
            CorruptError: *frames* are not so many changes.
        """
        position = self.position
        found = codec.scan_frames(frames)
        if found.consumed != len(frames) or len(found.ids) != changes:
            raise CorruptError("a chunk of the log does not hold its changes", found.consumed)
        closing, _ = codec.split_intervals(found.ends, position.size - position.interval, self._interval_bytes)
        data = memoryview(frames)
        out: list[bytes | memoryview] = []
        begin = index = 0
        for number, last in enumerate(closing, 1):
            self._open_interval(out, position.last + index + 1)
            end = found.ends[last]
            self._extend(out, data[begin:end])
            digest = self._running.digest()
            out.append(CHECK + position.digest + digest)
            position.size += CHECK_BYTES
            position.interval = position.size
            position.digest = digest
            begin, index = end, last + 1
            if number % _AT_A_TIME == 0:
                self._flush(out)
        if begin < len(frames):
            self._open_interval(out, position.last + index + 1)
            self._extend(out, data[begin:])
        self._flush(out)
        position.last += changes

    def _extend(self, out: list[bytes | memoryview], data: bytes | memoryview) -> None:
        out.append(data)
        self._running.update(data)
        self.position.size += len(data)

    def _open_interval(self, out: list[bytes | memoryview], change: int) -> None:
        position = self.position
        if position.interval < position.size:
            return
        if position.file == 0 or position.size >= self._file_bytes:
            self._flush(out)
            self._next_file(change)
        self._running = digest_of(position.digest)
        position.interval = position.size
        self._extend(out, MARKER + self._uuid)

    def _next_file(self, change: int) -> None:
        self.sync()
        if self._file:
            self._file.close()
        self._directory.mkdir(parents=True, exist_ok=True)
        self._file = (self._directory / file_name(change)).open("w+b", buffering=0)
        self._new_names = True
        self.position.file, self.position.size, self.position.interval = change, 0, 0

    def _flush(self, out: list[bytes | memoryview]) -> None:
        """Let the thread write the pieces of *out*, once it has written those before."""
        self._wait()
        if out:
            assert self._file is not None
            self._writing = self._thread.submit(_write, self._file.fileno(), out.copy())
            out.clear()

    def _wait(self) -> None:
        writing, self._writing = self._writing, None
        if writing:
            writing.result()

    def _head(self) -> bytes:
        """D of the last change."""
        position = self.position
        return self._running.digest() if position.interval < position.size else position.digest

    def sync(self) -> None:
        """Make all that was appended safe against power loss; only from then on ``position`` says so."""
        self._wait()
        self.position.head = self._head()
        if self._file:
            os.fdatasync(self._file.fileno())
        if self._new_names:
            for directory in (self._directory, self._directory.parent, self._directory.parent.parent):
                handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)
            self._new_names = False

    def close(self) -> None:
        """Close the file; what was not synced may be there or not."""
        self._thread.shutdown()
        if self._file:
            self._file.close()
            self._file = None


def cut_back(directory: Path, position: Position) -> None:
    """Delete what a writer that failed has appended behind *position*: where the disk is full others need the room."""
    for file in files_of(directory):
        if file.name == file_name(position.file):
            os.truncate(file, position.size)
        elif file.name > file_name(position.file):
            file.unlink()


def _write(file: int, pieces: list[bytes | memoryview]) -> None:
    begin = end = os.lseek(file, 0, os.SEEK_CUR)
    while pieces:
        written = os.writev(file, pieces[:_PIECES])
        end += written
        done = 0
        while done < len(pieces) and written >= len(pieces[done]):
            written -= len(pieces[done])
            done += 1
        if written:
            pieces[done] = memoryview(pieces[done])[written:]
        del pieces[:done]
    # Begins to write it out, so that less is left to sync, and lets go of what is written out: the next comes into the
    # same memory, and the page cache keeps what others read.
    behind = max(begin - _BEHIND_BYTES, 0)
    os.posix_fadvise(file, behind, end - behind, os.POSIX_FADV_DONTNEED)
