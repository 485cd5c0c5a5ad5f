"""One place that gives a log's changes from any of them on, wherever they are, while the packer moves them."""

from __future__ import annotations

import os
import uuid as uuids
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from scoutcore import codec
from scoutcore.changes import DIGEST_BYTES, Position, digest_of, file_name, files_of
from scoutcore.changes.keyframe import Window, number_of
from scoutcore.changes.position import MARKER
from scoutcore.changes.seek import place_of
from scoutcore.codec.columns import ChangeColumns, UInts
from scoutcore.codec.constants import CHECK_BYTES, FRAME_BLOB, MARKER_BYTES
from scoutcore.errors import CorruptError, NotFoundError, StorageError
from scoutcore.log import Log, Logs

_RUN_BYTES: Final = 1024 * 1024
"""Frames taken from a file, or from LevelDB, at a time."""


class Cursor:
    """Reads a log forward: from its changes files where it is packed, else from LevelDB. For one thread.

    The packer may go on meanwhile. A change is not in LevelDB any more only once it is in a file and recorded as such,
    in one atomic write; so who misses it in LevelDB finds it in the record.

    Attributes:
        after: the last change read.
    """

    def __init__(self, logs: Logs, log: Log, directory: Path | None, after: int, ahead_bytes: int = _RUN_BYTES) -> None:
        """Begin behind change *after*; nothing is read yet.

        Args:
            logs, log: of them only what is stored counts: they may be those of before a failed write.
            directory: where all changes files are, ``changes/`` of the database; None in memory.
            ahead_bytes: about so much is read at a time, and kept until it was given.
        """
        self.after = after
        self._ahead_bytes = ahead_bytes
        self._logs = logs
        self._log = log
        name = str(uuids.UUID(bytes=log.uuid))
        self._files = _Files(directory / name, log.uuid, ahead_bytes) if directory else None
        self._frames = b""
        self._ends: UInts = array("I")
        """Where the frames that were read ahead end."""
        self._next = 0
        """Which of them comes next."""

    def read(self, upto: int, max_bytes: int) -> tuple[bytes, int]:
        """The frames of the next changes, without keyframes and checks, and the number of the last of them.

        Args:
            upto: the last change that may be given; it is stored.
            max_bytes: where more than one change is given, they have no more bytes.

        Returns:
            some changes, about *ahead_bytes* of them at most; ``(b"", after)`` only where *after* is *upto* or more.

        Raises:
            NotFoundError: the next change is not here: it was dropped.
            CorruptError: a changes file is damaged where it should be.
            StorageError: the disk or LevelDB refuses; the same read may be tried again.
        """
        if self.after >= upto:
            return b"", self.after
        if self._next == len(self._ends):
            self._fill(upto)
        begin = self._ends[self._next - 1] if self._next else 0
        stop = max(bisect_right(self._ends, begin + max_bytes, self._next), self._next + 1)
        stop = min(stop, self._next + upto - self.after)
        self.after += stop - self._next
        self._next = stop
        found = self._frames[begin : self._ends[stop - 1]]
        if stop == len(self._ends):
            self._frames, self._ends, self._next = b"", array("I"), 0
        return found, self.after

    def close(self) -> None:
        """Close the file that is open, if any; reading on opens it again."""
        if self._files:
            self._files.close()

    def _fill(self, upto: int) -> None:
        """Read ahead; at least one change."""
        # Where nothing fills a gap, what is packed is not in LevelDB, and to look there is to pass the marks of it all.
        packed = self._files is not None and self._log.packed.last > self.after and not self._log.gaps
        frames = b"" if packed else self._stored(upto)
        if frames and self._files:
            self._files.close()  # what is behind may be elsewhere in them: where a gap was filled, it is
        if not frames and self._files:
            position = self._logs.stored_position(self._log)
            if position.last > self.after:
                frames = self._files.read(self.after, position)
        if not frames:
            raise NotFoundError(f"change {self.after + 1} of log {uuids.UUID(bytes=self._log.uuid)} is not here")
        self._frames, self._ends, self._next = frames, codec.scan_frames(frames).ends, 0

    def _stored(self, upto: int) -> bytes:
        """Frames of LevelDB from the next change on; none where that is not in LevelDB."""
        parts: list[bytes] = []
        size, last = 0, self.after
        for first, chunk_last, _, frames in self._logs.chunks(self._log, last + 1):
            if first != last + 1 or first > upto or size >= self._ahead_bytes:
                break
            parts.append(frames)
            size += len(frames)
            last = chunk_last
        if parts:
            return b"".join(parts)
        found = self._logs.chunk_with(self._log, last + 1)
        if found is None:
            return b""
        first, frames = found
        return frames[codec.scan_frames(frames).ends[last - first] :]


def changes_of(
    logs: Logs,
    log: Log,
    directory: Path | None,
    head: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[ChangeColumns]:
    """All changes of a log up to *head*, about a MiB at a time; those that are known to be damaged are left out.

    Raises:
        NotFoundError, CorruptError, StorageError: as :meth:`Cursor.read`.
    """
    for after, upto in log.spans(log.head if head is None else head):
        cursor = Cursor(logs, log, directory, after)
        try:
            while cursor.after < upto:
                frames, _ = cursor.read(upto, _RUN_BYTES)
                progress(len(frames))
                yield codec.decode_changes(frames, codec.scan_frames(frames))
        finally:
            cursor.close()


class _Files:
    """A log's changes files, read forward in whole intervals, each compared with its check."""

    def __init__(self, directory: Path, uuid: bytes, run_bytes: int) -> None:
        self._directory = directory
        self._run_bytes = run_bytes
        self._uuid = uuid
        self._file: BinaryIO | None = None
        self._first = 0
        """The first change of the file."""
        self._last = 0
        """The last change before the interval that is read next, which begins at ``_offset``."""
        self._offset = 0

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def read(self, after: int, packed: Position) -> bytes:
        """Some frames behind change *after*; none where no file has the next one. *packed*: how far the files count."""
        try:
            if self._file and after >= self._last:
                found = self._run(after, packed)
                if found:
                    return found
            return self._run(after, packed) if self._open(after + 1, packed) else b""
        except OSError as problem:
            raise StorageError(f"cannot read {self._directory}: {problem.strerror or problem}") from problem

    def _open(self, change: int, packed: Position) -> bool:
        """Open the file that would have *change*; whether there is one."""
        self.close()
        files = files_of(self._directory)
        number = bisect_right([file.name for file in files], file_name(change)) - 1
        if number < 0:
            return False
        self._file = files[number].open("rb", buffering=0)
        self._first = int(files[number].stem)
        self._last, self._offset = self._first - 1, 0
        if change > self._first:
            try:
                place = place_of(Window(self._file), self._uuid, change, self._first)
                self._last, self._offset = place.first - 1, place.offset
            except (NotFoundError, CorruptError):  # reading on from the file's begin says what there is to say
                self._skip_damage(self._file.fileno(), change, packed)
        return True

    def _skip_damage(self, handle: int, change: int, packed: Position) -> None:
        """Go to the open interval if that has *change*: behind damage, the record says where it is."""
        if self._first != packed.file or packed.interval == packed.size:
            return
        data = os.pread(handle, packed.size - packed.interval, packed.interval)
        with suppress(CorruptError):
            frames = codec.scan_frames(data, MARKER_BYTES)
            if frames.ids and (first := number_of(data, frames)) <= change:
                self._last, self._offset = first - 1, packed.interval

    def _run(self, after: int, packed: Position) -> bytes:
        """Frames of the open file behind change *after*; none where it ends before."""
        assert self._file
        handle = self._file.fileno()
        limit = os.fstat(handle).st_size
        if self._first == packed.file:
            limit = min(limit, packed.size)  # it may have lost its end
        size = self._run_bytes
        while self._offset < limit:
            data = os.pread(handle, min(size, limit - self._offset), self._offset)
            try:
                tail = packed if self._first == packed.file else None
                found, taken = self._intervals(data, after, self._offset + len(data) == limit, tail)
            except CorruptError as problem:
                raise CorruptError(f"{self._file.name}: {problem.reason}", self._offset + problem.offset) from None
            self._offset += taken
            if found or self._offset + len(data) - taken == limit:
                return found
            if not taken:
                size *= 2
        return b""

    def _intervals(self, data: bytes, after: int, at_end: bool, tail: Position | None) -> tuple[bytes, int]:
        """The frames behind change *after* in the intervals of *data*, and the bytes of those that are closed.

        The one that is still open counts where *data* is the end; *tail* says what it has to be.
        """
        frames = codec.scan_frames(data)
        ends = frames.ends
        blobs = [index for index, kind in enumerate(frames.ids) if kind == FRAME_BLOB]
        cut = at_end and frames.consumed < len(data)
        if at_end and not cut:
            blobs.append(len(ends))
        parts: list[bytes] = []
        taken = 0
        for keyframe, check in zip(blobs[::2], blobs[1::2], strict=False):
            end, changes = ends[check - 1], check - keyframe - 1
            begin = ends[keyframe + max(after - self._last, 0)] if self._last + changes > after else end
            wrong = data[taken : ends[keyframe]] != MARKER + self._uuid or (
                begin < end
                and not (
                    _matches(data[taken:end], data[end : ends[check]])
                    if check < len(ends)
                    else tail is None or digest_of(tail.digest, data[taken:end]).digest() == tail.head
                )
            )
            if wrong and parts:
                break  # what is before it is given first
            if wrong:
                raise CorruptError(
                    f"the interval of change {self._last + 1} does not match its check, or what was packed", taken
                )
            if begin < end:
                parts.append(data[begin:end])
            if check < len(ends):
                taken = ends[check]
                self._last += changes
        if cut and not parts:
            raise CorruptError("the end is in the middle of a frame", frames.consumed)
        return b"".join(parts), taken


def _matches(interval: bytes, check: bytes) -> bool:
    previous, digest = check[2 : 2 + DIGEST_BYTES], check[2 + DIGEST_BYTES :]
    return len(check) == CHECK_BYTES and digest_of(previous, interval).digest() == digest
