"""Changes files: packed logs, from which anyone can replicate the data. ``csrc/FORMAT.md`` has the bytes.

A log's files lie in ``changes/<log uuid>/``, each named by its first change. Needs no plyvel.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Final

from scoutcore import codec
from scoutcore.codec.columns import Change, ChangeColumns, Frames, UInts
from scoutcore.codec.constants import (
    CHECK_BYTES,
    FILE_BYTES,
    FRAME_BLOB,
    INTERVAL_BYTES,
)
from scoutcore.errors import CorruptError, NotFoundError, TruncatedError

_READ_BYTES: Final = 1024 * 1024
_MARKER: Final = b"\x11\x02"
_CHECK: Final = b"\x21\x02"
DIGEST_BYTES: Final = 16
_POSITION: Final = Struct(">IIQQ16s")


def digest_of(previous: bytes, interval: bytes = b"") -> blake2b:
    """The running digest of an interval: BLAKE2b-128 over the previous check's digest and the interval's bytes."""
    running = blake2b(previous, digest_size=DIGEST_BYTES)
    running.update(interval)
    return running


def file_name(first: int) -> str:
    """The name of the file that begins with change *first*."""
    return f"{first:010d}.changes"


@dataclass(slots=True)
class Position:
    """How far a log stands in changes files."""

    last: int = 0
    """The last change in them."""
    file: int = 0
    """The first change of the newest file; 0: there is none yet."""
    size: int = 0
    """Bytes of that file that count."""
    interval: int = 0
    """Where in that file the open interval begins; ``size`` where none is open."""
    digest: bytes = bytes(DIGEST_BYTES)
    """The digest of the last check."""

    def dump(self) -> bytes:
        """The position as a record."""
        return _POSITION.pack(self.last, self.file, self.size, self.interval, self.digest)

    @classmethod
    def load(cls, record: bytes) -> Position:
        """The position of a record."""
        return cls(*_POSITION.unpack(record))


class Writer:
    """Appends a log's frames to its changes files, with keyframes and checks where the format wants them.

    The files are a pure function of the log: it does not matter in how many steps they are written.
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
        if position.file:
            self._file = (directory / file_name(position.file)).open("r+b", buffering=0)
            if self._file.seek(0, io.SEEK_END) < position.size:
                self._file.close()
                raise CorruptError(f"{self._file.name} ends before what was packed", position.size)
            self._file.truncate(position.size)
            self._file.seek(position.interval)
            self._running.update(self._file.read(position.size - position.interval))

    def append(self, frames: bytes, changes: int) -> None:
        """Append the frames of the next *changes* changes."""
        position = self.position
        found = codec.scan_frames(frames)
        if found.consumed != len(frames) or len(found.ids) != changes:
            raise CorruptError("a chunk of the log does not hold its changes", found.consumed)
        closing, _ = codec.split_intervals(found.ends, position.size - position.interval, self._interval_bytes)
        out: list[bytes] = []
        begin = index = 0
        for last in closing:
            self._open_interval(out, position.last + index + 1)
            end = found.ends[last]
            self._extend(out, frames[begin:end])
            digest = self._running.digest()
            out.append(_CHECK + position.digest + digest)
            position.size += CHECK_BYTES
            position.interval = position.size
            position.digest = digest
            begin, index = end, last + 1
        if begin < len(frames):
            self._open_interval(out, position.last + index + 1)
            self._extend(out, frames[begin:])
        self._flush(out)
        position.last += changes

    def _extend(self, out: list[bytes], data: bytes) -> None:
        out.append(data)
        self._running.update(data)
        self.position.size += len(data)

    def _open_interval(self, out: list[bytes], change: int) -> None:
        position = self.position
        if position.interval < position.size:
            return
        if position.file == 0 or position.size >= self._file_bytes:
            self._flush(out)
            self._next_file(change)
        self._running = digest_of(position.digest)
        position.interval = position.size
        self._extend(out, _MARKER + self._uuid)

    def _next_file(self, change: int) -> None:
        self.sync()
        if self._file:
            self._file.close()
        self._directory.mkdir(parents=True, exist_ok=True)
        self._file = (self._directory / file_name(change)).open("w+b", buffering=0)
        self._new_names = True
        self.position.file, self.position.size, self.position.interval = change, 0, 0

    def _flush(self, out: list[bytes]) -> None:
        if out:
            assert self._file is not None
            data = memoryview(b"".join(out))
            while data:
                data = data[self._file.write(data) :]
            out.clear()

    def sync(self) -> None:
        """Make all that was appended safe against power loss."""
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
        """Close the file."""
        if self._file:
            self._file.close()
            self._file = None


class Reader:
    """Reads changes files, checking every interval and number. Iterate it for the changes.

    Attributes:
        uuid: the log that is read, once its first keyframe is; in a stream of several logs each in turn.
        last: the last change read of it; None before the first.
        unchecked: bytes at the end that no check covers yet: the open tail.
    """

    def __init__(self, files: list[Path] | BinaryIO) -> None:
        self._files = files
        self._restart()

    def _restart(self) -> None:
        self.uuid: bytes | None = None
        self.last: int | None = None
        self.unchecked = 0
        self._first: int | None = None
        self._digest: bytes | None = None
        self._interval: list[bytes] | None = None

    def __iter__(self) -> Iterator[Change]:
        for columns in self.columns():
            yield from columns.to_objects()

    def columns(self) -> Iterator[ChangeColumns]:
        """The changes as columns, about a MiB at a time; raises as :meth:`frames`."""
        for _, columns in self.frames():
            yield columns

    def frames(self) -> Iterator[tuple[bytes, ChangeColumns]]:
        """Whole frames as they stand in the files, about a MiB at a time, and the changes among them.

        Raises:
            CorruptError: bytes that are no frames, an interval that does not match its check, or a number out of order.
            TruncatedError: the end is in the middle of a frame.
        """
        self._restart()
        if not isinstance(self._files, list):
            yield from self._stream(self._files, str(getattr(self._files, "name", "stream")))
            return
        for path in self._files:
            with path.open("rb", buffering=0) as file:
                yield from self._stream(file, str(path))

    def _stream(self, file: BinaryIO, name: str) -> Iterator[tuple[bytes, ChangeColumns]]:
        pending = b""
        offset = 0
        while (data := file.read(_READ_BYTES)) or pending:
            pending += data
            try:
                frames = self._of_one_log(pending, codec.scan_frames(pending))
                columns = codec.decode_changes(pending, frames)
                self._follow(pending, frames, columns.change)
            except CorruptError as problem:
                raise CorruptError(f"{name}: {problem.reason}", offset + problem.offset) from None
            if not data and not frames.consumed:
                raise TruncatedError(f"{name}: the end is in the middle of a frame", offset)
            yield pending[: frames.consumed], columns
            pending = pending[frames.consumed :]
            offset += frames.consumed

    def _of_one_log(self, data: bytes, frames: Frames) -> Frames:
        """*frames* up to the next keyframe of another log, which may follow in a stream of several."""
        start = 0
        uuid = self.uuid
        for index, (kind, end) in enumerate(zip(frames.ids, frames.ends, strict=True)):
            if kind == FRAME_BLOB and data[start : start + 2] == _MARKER:
                if uuid is not None and data[start + 2 : end] != uuid:
                    if index > 0:
                        return Frames(frames.ids[:index], frames.starts[:index], frames.ends[:index], start)
                    self._restart()
                uuid = data[start + 2 : end]
            start = end
        return frames

    def _follow(self, data: bytes, frames: Frames, numbers: UInts) -> None:
        """Keep the digest of the open interval, compare it with every check, and see that no number is left out."""
        begin = start = seen = 0
        for kind, end in zip(frames.ids, frames.ends, strict=True):
            if kind != FRAME_BLOB:
                if self.last is not None and numbers[seen] != self.last + 1:
                    raise CorruptError(f"change {numbers[seen]} follows change {self.last}", start)
                self.last = numbers[seen]
                if self._first is None:
                    self._first = self.last
                seen += 1
            elif data[start : start + 2] == _MARKER:
                self._keyframe(data[start + 2 : end], start)
                begin = start
            elif data[start : start + 2] == _CHECK:
                self._extend(data[begin:start], begin)
                self._check(data[start + 2 : end], start)
                begin = end
            else:
                raise CorruptError("a blob that is neither keyframe nor check", start)
            start = end
        if begin < start:
            self._extend(data[begin:start], begin)

    def _keyframe(self, uuid: bytes, offset: int) -> None:
        if self._interval is not None:
            raise CorruptError("a keyframe inside an interval", offset)
        self.uuid = uuid
        self._interval = []

    def _extend(self, data: bytes, offset: int) -> None:
        if self._interval is None:
            raise CorruptError("frames outside an interval", offset)
        self._interval.append(data)
        self.unchecked += len(data)

    def _check(self, digests: bytes, offset: int) -> None:
        previous, digest = digests[:DIGEST_BYTES], digests[DIGEST_BYTES:]
        if self._digest is None and self._first != 1:
            self._digest = previous  # the files before this one are not here
        if previous != self._previous or self._interval is None or self._open_digest() != digest:
            raise CorruptError(f"the check behind change {self.last} does not match", offset)
        self._digest = digest
        self._interval = None
        self.unchecked = 0

    @property
    def _previous(self) -> bytes:
        return self._digest or bytes(DIGEST_BYTES)

    def _open_digest(self) -> bytes:
        return digest_of(self._previous, b"".join(self._interval or ())).digest()

    def head_digest(self) -> bytes:
        """D(n) of the last change read, where the reading began with the log's first file."""
        return self._previous if self._interval is None else self._open_digest()


def open(source: str | os.PathLike[str] | BinaryIO) -> Reader:
    """Open a log's changes: a file, the directory of a log, or a binary stream that begins with a keyframe.

    Raises:
        NotFoundError: there are no changes files.
        OSError: the file system refuses.
    """
    if not isinstance(source, (str, os.PathLike)):
        return Reader(source)
    path = Path(source)
    files = sorted(path.glob("*.changes")) if path.is_dir() else [path]
    if not files:
        raise NotFoundError(f"no changes files in {path}")
    return Reader(files)
