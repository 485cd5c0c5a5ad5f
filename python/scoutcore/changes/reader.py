"""Reading changes files, from the beginning or the middle: every interval and number is checked on the way."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import BinaryIO, Final, NamedTuple

from scoutcore import codec
from scoutcore.changes.keyframe import Window, next_keyframe
from scoutcore.changes.position import CHECK, DIGEST_BYTES, MARKER, digest_of, file_name, files_of
from scoutcore.changes.seek import Place, place_of
from scoutcore.codec.columns import Change, ChangeColumns, Frames, UInts
from scoutcore.codec.constants import FRAME_BLOB, INTERVAL_BYTES, MARKER_BYTES
from scoutcore.errors import CorruptError, InvalidError, NotFoundError, TruncatedError

_READ_BYTES: Final = 1024 * 1024


class Start(NamedTuple):
    """The keyframe at which reading starts."""

    file: str
    """The path, or the name of the stream."""
    offset: int
    """Its byte in that file."""
    first: int
    """The first change behind it."""
    checked: bool
    """Whether a check covers what is behind it; False: it begins the open tail."""


class _Following(NamedTuple):
    poll: float
    timeout: float | None
    stop: Event | None

    def wait(self, idle_since: float) -> bool:
        """Wait for a moment; False: that is enough."""
        if self.timeout is not None and time.monotonic() - idle_since >= self.timeout:
            return False
        if self.stop is None:
            time.sleep(self.poll)
            return True
        return not self.stop.wait(self.poll)


class Reader:
    """Reads changes files, checking every interval and number. Iterate it for the changes.

    Attributes:
        uuid: the log that is read, once its first keyframe is; in a stream of several logs each in turn.
        last: the last change read of it; None before the first.
        unchecked: bytes at the end that no check covers yet: the open tail.
        start: the keyframe at which reading starts; None: at the beginning.
    """

    def __init__(self, files: list[Path] | BinaryIO, directory: Path | None = None) -> None:
        """Read *files*, or a stream; followed, further files in *directory* too."""
        self._stream: Window | None = None
        if isinstance(files, list):
            self._files = files
        else:
            self._files = [Path(str(getattr(files, "name", "stream")))]
            self._stream = Window(files, files.tell() if files.seekable() else 0)
            self._stream_start = self._stream.offset
        self._directory = directory
        self._following: _Following | None = None
        self.start: Start | None = None
        self._place: Place | None = None
        self._index = 0
        self._sought: tuple[bytes, int] | None = None
        self._restart()

    def _restart(self) -> None:
        self.uuid: bytes | None = None
        self.last: int | None = None
        self.unchecked = 0
        self._first: int | None = None
        self._digest: bytes | None = None
        self._interval: list[bytes] | None = None

    # --- where to start -----------------------------------------------------------------------------------------------

    def seek(self, *, change: int | None = None, offset: int | None = None) -> Reader:
        """Let reading start elsewhere, without an index, whatever was sought before; returns this reader.

        A stream that cannot seek is read forward, and sought before it is read.

        Args:
            change: start with this change, found in O(log n) reads. The one behind the last may be sought too, to
                follow what comes.
            offset: start with the next keyframe whose check matches, from this byte on; in a directory the bytes of all
                files count, one file after another.

        Raises:
            NotFoundError: the change is not there, or no check covers anything from that byte on.
            CorruptError: the change is in damaged bytes, or a file does not begin with a keyframe.
            InvalidError: neither or both are given, or out of range, or the stream was read already.
            OSError: the file system refuses.
        """
        if change is not None and offset is None and change > 0:
            self._seek_change(change)
        elif offset is not None and change is None and offset >= 0:
            self._seek_offset(offset)
        else:
            raise InvalidError("seek either a change, from 1 on, or an offset, from 0 on")
        return self

    def _seek_change(self, change: int) -> None:
        # In a directory the names tell the file.
        index = max(0, sum(path.name <= file_name(change) for path in self._files) - 1) if self._directory else 0
        with self._opened(index) as window:
            log = self._log_of(window, index)
            named = int(self._files[index].stem) if self._directory else None
            try:
                place = place_of(window, log, change, named)
            except NotFoundError as problem:
                raise NotFoundError(f"{self._directory or self._files[index]}: {problem}") from None
            except CorruptError as problem:
                raise CorruptError(f"{self._files[index]}: {problem.reason}", problem.offset) from None
            self._start_at(index, place)
            self._sought = log, change

    def _seek_offset(self, offset: int) -> None:
        rest = offset
        for index, path in enumerate(self._files):
            if self._stream is None and rest >= (size := path.stat().st_size):
                rest -= size
                continue
            with self._opened(index) as window:
                log = self._log_of(window, index)
                window.move(window.offset + rest)
                keyframe = next_keyframe(window, log)
                if keyframe:
                    self._start_at(index, Place(keyframe.offset, keyframe.first, keyframe.previous, True))
                    self._sought = None
                    return
            rest = 0
        where = self._directory or self._files[0]
        raise NotFoundError(f"{where}: no check covers anything from byte {offset} on")

    @contextmanager
    def _opened(self, index: int) -> Iterator[Window]:
        """A window at the beginning of a file, or of the stream."""
        if self._stream is None:
            with self._files[index].open("rb", buffering=0) as file:
                yield Window(file)
            return
        if self._stream.file.seekable():
            self._stream.move(self._stream_start)
        elif self.uuid is not None:
            raise InvalidError(f"{self._files[0]} cannot seek, and was read already")
        yield self._stream

    def _log_of(self, window: Window, index: int) -> bytes:
        """The log of the keyframe at which *window* stands."""
        window.fill(MARKER_BYTES)
        if len(window.data) < MARKER_BYTES or not window.data.startswith(MARKER):
            raise CorruptError(f"{self._files[index]}: no keyframe", window.offset)
        return window.data[len(MARKER) : MARKER_BYTES]

    def _start_at(self, index: int, place: Place) -> None:
        self._index, self._place = index, place
        self.start = Start(str(self._files[index]), place.offset, place.first, place.checked)

    def follow(self, *, poll: float = 0.1, timeout: float | None = None, stop: Event | None = None) -> Reader:
        """Let reading go on at the end, as the writer appends and begins further files; returns this reader.

        A change is given once all its bytes are there. A stream that cannot seek ends where it ends.

        Args:
            poll: seconds between two looks.
            timeout: seconds without a new change after which reading ends; None: never.
            stop: reading ends when it is set, once all that is there was read.
        """
        self._following = _Following(poll, timeout, stop)
        return self

    # --- reading ------------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Change]:
        for columns in self.columns():
            yield from columns.to_objects()

    def columns(self) -> Iterator[ChangeColumns]:
        """The changes as columns, about a MiB at a time; raises as :meth:`frames`."""
        for _, columns in self.frames():
            log, change = self._sought or (None, 0)
            if log == self.uuid and columns.change and columns.change[0] < change:
                count = len(columns.change)
                yield columns.part(min(change - columns.change[0], count), count)
            else:
                yield columns

    def frames(self) -> Iterator[tuple[bytes, ChangeColumns]]:
        """Whole frames as they stand in the files, about a MiB at a time, and the changes among them.

        They begin with a keyframe: where a change was sought, with the one before it.

        Raises:
            CorruptError: bytes that are no frames, an interval that does not match its check, or a number out of order.
            TruncatedError: the end is in the middle of a frame.
        """
        self._restart()
        index, offset = self._index, 0
        if self._place:
            offset, self._digest = self._place.offset, self._place.previous
        if self._stream:
            yield from self._read(self._stream, None)
            return
        path = self._files[index] if self._files else None
        while path:
            window = Window(path.open("rb", buffering=0))
            try:
                window.move(offset)
                if not (yield from self._read(window, path)):
                    return
            finally:
                window.file.close()
            path, offset = self._file_behind(path), 0

    def _file_behind(self, path: Path) -> Path | None:
        """The next file of the log."""
        if self._following and self._directory:
            self._files = files_of(self._directory)
        return next((file for file in self._files if file.name > path.name), None)

    def _read(self, window: Window, path: Path | None) -> Generator[tuple[bytes, ChangeColumns], None, bool]:
        """What is in *window* and behind it, to the end of the file; *path* is None for a stream.

        Returns False where following ended before the file did.
        """
        name = str(path or self._files[0])
        following = self._following if path or window.file.seekable() else None
        complete = following is None
        idle_since = time.monotonic()
        size = INTERVAL_BYTES  # the first change comes soon, and many of them in few steps
        while True:
            grown = window.grow(size)
            size = min(2 * size, _READ_BYTES)
            data = window.data
            try:
                frames = self._of_one_log(data, codec.scan_frames(data))
                columns = codec.decode_changes(data, frames)
                self._trace(data, frames, columns.change)
            except CorruptError as problem:
                raise CorruptError(f"{name}: {problem.reason}", window.offset + problem.offset) from None
            if frames.consumed:
                window.drop(frames.consumed)
                yield data[: frames.consumed], columns
                idle_since = time.monotonic()
            elif grown:
                continue
            elif complete:
                if data:
                    raise TruncatedError(f"{name}: the end is in the middle of a frame", window.offset)
                return True
            elif path and self._file_behind(path):
                complete = True  # there is a further file: this one is read once more, and ends
            elif following and following.wait(idle_since):
                if path:
                    _reopen(window, path)
            else:
                return False

    def _of_one_log(self, data: bytes, frames: Frames) -> Frames:
        """*frames* up to the next keyframe of another log, which may follow in a stream of several."""
        start = 0
        uuid = self.uuid
        for index, (kind, end) in enumerate(zip(frames.ids, frames.ends, strict=True)):
            if kind == FRAME_BLOB and data[start : start + 2] == MARKER:
                if uuid is not None and data[start + 2 : end] != uuid:
                    if index > 0:
                        return Frames(frames.ids[:index], frames.starts[:index], frames.ends[:index], start)
                    self._restart()
                uuid = data[start + 2 : end]
            start = end
        return frames

    def _trace(self, data: bytes, frames: Frames, numbers: UInts) -> None:
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
            elif data[start : start + 2] == MARKER:
                self._keyframe(data[start + 2 : end], start)
                begin = start
            elif data[start : start + 2] == CHECK:
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


def _reopen(window: Window, path: Path) -> None:
    """Look at the file anew: a packer that starts again may put another one, of the same bytes, in its place."""
    with suppress(FileNotFoundError):  # it is about to
        file = path.open("rb", buffering=0)
        window.file.close()
        window.file = file
        file.seek(window.offset + len(window.data))
