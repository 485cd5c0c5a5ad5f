"""What a changes file or a dat stream holds: changes of logs, and what is damaged. Nothing is trusted but content."""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from scoutcore import codec
from scoutcore.changes import DIGEST_BYTES, digest_of
from scoutcore.changes.keyframe import Window, find_keyframe
from scoutcore.changes.position import CHECK, MARKER
from scoutcore.codec.columns import UInts
from scoutcore.codec.constants import CHECK_BYTES, FRAME_BLOB, INTERVAL_BYTES, MARKER_BYTES, MAX_FRAME
from scoutcore.errors import CorruptError, InvalidError

_READ_BYTES: Final = 1024 * 1024
_MAX_TRIES: Final = 1000
"""Places in one file that look like a keyframe behind damage, and are none: then its rest is given up."""


@dataclass(frozen=True)
class Piece:
    """Consecutive changes of one log: an interval of a changes file, or a part of a stream that no check covers."""

    offset: int
    """Where it begins in the source, with its uuid frame if it has one."""
    end: int
    """Where it ends, check included."""
    log: bytes
    first: int
    last: int
    frames: bytes
    """Its changes alone."""
    begin: int
    """Where these are in the source."""
    previous: bytes | None = None
    """The digest of the check before it; None: no check covers it."""
    digest: bytes | None = None
    """The digest of the check behind it."""


@dataclass(frozen=True)
class Damage:
    """Something that cannot be taken."""

    offset: int
    reason: str
    log: bytes | None = None
    change: int | None = None
    """The change it is in, or that it is behind, as far as is known."""


def open_source(path: Path) -> BinaryIO:
    """Open a file to be imported.

    Raises:
        InvalidError: it is a symbolic link, which is not followed, or no regular file.
        OSError: the file system refuses.
    """
    if path.is_symlink():
        raise InvalidError(f"{path} is a symbolic link, which import does not follow")
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise InvalidError(f"{path} is no file")
    return os.fdopen(handle, "rb", buffering=0)


def pieces(file: BinaryIO, offset: int = 0) -> Iterator[Piece | Damage]:
    """What a seekable source holds from byte *offset* on, in its order.

    An interval is given only if its check matches. What has no check (the open tail of a log, a stream without checks)
    is given as far as its frames can be read; behind damage it goes on with the next interval whose check matches.
    No more is held than an interval, and some MiB.
    """
    return _Scan(file, offset).run()


class _Scan:
    """One pass over a source. All offsets of its errors are counted in the source."""

    def __init__(self, file: BinaryIO, offset: int) -> None:
        self._window = Window(file)
        self._window.move(offset)
        self._log: bytes | None = None
        """Of the last uuid frame; behind a check there has to be another."""
        self._last: int | None = None
        """The last change of it that was given."""
        self._checked: bytes | None = None
        """The log of the last check: its intervals all end with one."""
        self._tries = 0

    def run(self) -> Iterator[Piece | Damage]:
        more = True
        while more:
            more = self._window.grow(_READ_BYTES)
            try:
                yield from self._whole(not more)
            except CorruptError as problem:
                yield Damage(problem.offset, problem.reason, self._log, self._last and self._last + 1)
                more = self._resume()

    def _whole(self, at_end: bool) -> Iterator[Piece | Damage]:
        """What is whole in the window, which begins with the stretch of frames under way; it is dropped then.

        Raises:
            CorruptError: something is wrong in the stretch with which the window begins now.
        """
        window, data = self._window, self._window.data
        frames = codec.scan_frames(data, 0, MAX_FRAME, CHECK_BYTES - 1)
        ends = frames.ends
        begin = 0
        try:
            for index, kind in enumerate(frames.ids):
                if kind != FRAME_BLOB:
                    continue
                start, end = (ends[index - 1] if index else 0), ends[index]
                if end - start == MARKER_BYTES and data.startswith(MARKER, start):
                    yield from self._unchecked(data, begin, start)
                    begin, log = start, data[start + len(MARKER) : end]
                    if log != self._log:
                        self._log, self._last = log, None
                elif end - start == CHECK_BYTES and data.startswith(CHECK, start):
                    yield self._interval(data, begin, start, end)
                    begin = end
                else:
                    raise CorruptError("a blob that is neither a uuid frame nor a check", window.offset + start)
            if frames.consumed < len(data):
                self._first_frame(data, frames.consumed)
            if len(ends) > 1 and ends[-2] - begin >= INTERVAL_BYTES:  # and the frame behind that is no check
                if self._checked == self._log:
                    raise CorruptError("an interval that no check ends", window.offset + begin)
                yield from self._unchecked(data, begin, frames.consumed)
                begin = frames.consumed
            if at_end:
                yield from self._unchecked(data, begin, frames.consumed)
                begin = len(data)
                if frames.consumed < begin:
                    where, behind = window.offset + frames.consumed, self._last and self._last + 1
                    yield Damage(where, "the end is in the middle of a frame", self._log, behind)
        finally:
            window.drop(begin)

    def _first_frame(self, data: bytes, start: int) -> None:
        """Raise CorruptError if the frame at *start* is wrong, and not only cut."""
        try:
            codec.scan_frames(data, start, MAX_FRAME, CHECK_BYTES - 1)
        except CorruptError as problem:
            raise CorruptError(problem.reason, self._window.offset + problem.offset) from None

    def _interval(self, data: bytes, begin: int, start: int, end: int) -> Piece:
        """The interval from *begin* on, whose check is from *start* to *end*."""
        offset = self._window.offset
        previous, digest = data[end - 2 * DIGEST_BYTES : end - DIGEST_BYTES], data[end - DIGEST_BYTES : end]
        if not data.startswith(MARKER, begin) or digest_of(previous, data[begin:start]).digest() != digest:
            raise CorruptError("a check that does not match what is before it", offset + start)
        self._checked = self._log
        found = list(self._unchecked(data, begin, start))
        if len(found) != 1:
            raise CorruptError("an interval whose changes do not follow one another", offset + begin)
        return replace(found[0], end=offset + end, previous=previous, digest=digest)

    def _unchecked(self, data: bytes, begin: int, end: int) -> Iterator[Piece]:
        """The changes of a stretch, each run of those that follow one another."""
        offset = self._window.offset
        at = begin + MARKER_BYTES if data.startswith(MARKER, begin) else begin
        if at >= end:
            return
        if self._log is None:
            raise CorruptError("changes before a log is named", offset + at)
        if MARKER + self._log in data[at:end]:
            raise CorruptError("a change that imitates the keyframe of its log", offset + at)
        frames = codec.scan_frames(data[:end], at)
        try:
            numbers = codec.decode_changes(data, frames).change
        except CorruptError as problem:
            raise CorruptError(problem.reason, offset + problem.offset) from None
        for first, count, start, stop in _runs(numbers, frames.ends, at):
            self._last = first + count - 1
            yield Piece(offset + begin, offset + stop, self._log, first, self._last, data[start:stop], offset + start)
            begin = stop

    def _resume(self) -> bool:
        """Go to the next interval, of any log, whose check matches, behind the beginning of the window."""
        window, at = self._window, 1
        while self._tries < _MAX_TRIES:
            at = window.data.find(MARKER, at)
            if at < 0 or at + MARKER_BYTES > len(window.data):
                window.drop(max(len(window.data) - MARKER_BYTES + 1, 1))
                at = 0
                if not window.grow(_READ_BYTES):
                    break
                continue
            log = window.data[at + len(MARKER) : at + MARKER_BYTES]
            if log[6] >> 4 in (4, 8) and log[8] >> 6 == 2:  # the uuid of a log has version 4 or 8
                self._tries += 1
                here = window.offset + at
                if find_keyframe(window.file, log, here, here + 1):
                    window.move(here)
                    return True
                window.file.seek(window.offset + len(window.data))
            at += 1
        return False


def _runs(numbers: UInts, ends: UInts, start: int) -> Iterator[tuple[int, int, int, int]]:
    """Runs of changes that follow one another: the first, how many, and the bytes that they are in."""
    begin = 0
    while begin < len(numbers):
        stop = len(numbers)
        if numbers[begin:] != array(numbers.typecode, range(numbers[begin], numbers[begin] + stop - begin)):
            stop = next(at for at in range(begin + 1, stop + 1) if at == stop or numbers[at] != numbers[at - 1] + 1)
        yield numbers[begin], stop - begin, start, ends[stop - 1]
        begin, start = stop, ends[stop - 1]
