"""Verifying changes files: every frame, number and check, and the chain of the checks, over whole logs."""

from __future__ import annotations

import os
import re
import time
import uuid as uuids
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from scoutcore import codec
from scoutcore.changes.keyframe import Window, next_keyframe, number_of
from scoutcore.changes.position import CHECK, DIGEST_BYTES, MARKER, Position, digest_of, file_name, files_of
from scoutcore.codec.constants import CHECK_BYTES, INTERVAL_BYTES, MARKER_BYTES, MAX_FRAME
from scoutcore.errors import CorruptError, NotFoundError

_READ_BYTES: Final = 1024 * 1024
_FIRST_BYTES: Final = MARKER_BYTES + 4 + MAX_FRAME
"""In so many bytes a file has its first change."""
_NAME: Final = re.compile(r"[0-9]{10}\.changes")
_PATIENCE: Final = 0.2
"""Seconds in which a writer has written the rest of a frame."""

Progress = Callable[[int], None]
"""Told how many bytes more were verified."""


class Damage(NamedTuple):
    """Something that is wrong in a changes file."""

    file: str
    offset: int | None
    """The byte of the file where that begins; None: it is about all of it."""
    first: int | None
    """The first change that cannot be read for it; None: which one is not known, or none."""
    last: int | None
    """The last one; None: nothing behind it can be read."""
    reason: str

    def __str__(self) -> str:
        where = self.file if self.offset is None else f"{self.file}, byte {self.offset}"
        if self.first is None:
            return f"{where}: {self.reason}"
        which = f"change {self.first}" if self.first == self.last else f"changes {self.first} to {self.last}"
        which = which if self.last else f"what was from change {self.first} on"
        return f"{where}: {self.reason}; {which} cannot be read"


class Verified(NamedTuple):
    """What verifying a log found."""

    log: bytes
    """Its uuid; empty where no file says it."""
    first: int | None
    """Its first change in the files; None: there is none."""
    last: int | None
    """Its last one."""
    size: int
    """Bytes of the files."""
    intervals: int
    """Intervals that a check closes, and that match it."""
    open_bytes: int
    """Bytes behind the last check, which only D covers, the digest that a database has."""
    head: bytes
    """D of the last change."""
    damages: list[Damage]
    position: Position
    """Where the last change ends that can be read."""
    open_first: int | None = None
    """The first change behind the last check; None: there is nothing behind it."""


def verify(source: str | os.PathLike[str], progress: Progress | None = None) -> Verified:
    """Verify a changes file, or all of a log's directory; nothing is written, and a database may be at work on it.

    Behind damage it goes on at the next keyframe whose check matches. Damage to the open tail that leaves frames and
    numbers right is not seen: no check covers it yet. :meth:`scoutcore.database.Database.verify` sees it.

    Raises:
        NotFoundError: there are no changes files.
        OSError: the file system refuses.
    """
    path = Path(source)
    files = files_of(path) if path.is_dir() else [path]
    if not files:
        raise NotFoundError(f"no changes files in {path}")
    named = all(_NAME.fullmatch(file.name) for file in files)
    return Verifier(files, named=named, uuid=_uuid_of(files[0].absolute().parent), progress=progress).verify()


def _uuid_of(directory: Path) -> bytes:
    """The log that a directory is named by; empty where it is named otherwise."""
    try:
        return uuids.UUID(directory.name).bytes
    except ValueError:
        return b""


class Verifier:
    """Verifies the files of one log, one after another. What is lost by damage is known once reading goes on."""

    def __init__(
        self,
        files: Sequence[Path],
        *,
        named: bool = True,
        uuid: bytes = b"",
        first: int = 0,
        packed: Position | None = None,
        before: bytes | None = None,
        progress: Progress | None = None,
        interval_bytes: int = INTERVAL_BYTES,
    ) -> None:
        """Verify *files*, with :meth:`verify`.

        Args:
            named: their names have to say their first changes.
            uuid: the log; empty: the first file says it.
            first: the change that has to come first; 0: any.
            packed: how far the last file counts, and what has to be there.
            before: the digest of the check before the first file, where that is known though it does not begin the log.
            progress: told of every MiB or so.
            interval_bytes: what an interval is closed at.
        """
        self._files = files
        self._named = named
        self._uuid = uuid
        self._packed = packed
        self._progress = progress or (lambda _: None)
        self._interval_bytes = interval_bytes
        self._first: int | None = None
        self._next = first
        """The number that comes next; 0: not known."""
        self._digest = before
        """Of the last check; None: not known, for it is damaged or not here."""
        self._tail = b""
        self._tail_first = self._open_next = 0
        self._bytes = self._intervals = 0
        self._damages: list[Damage] = []
        self._open = False
        """Where the last damage ends is not known yet."""
        self._place: tuple[Path, int, int] | None = None
        """Where the last change ends that was read, and its interval if that is open begins."""

    def verify(self) -> Verified:
        """Read all of them; once. Raises OSError."""
        for path in self._files:
            try:
                with path.open("rb", buffering=0) as file:
                    self._begin(file, path)
                    self._file(file, path, last=path is self._files[-1])
            except FileNotFoundError:
                if path is not self._files[0]:
                    raise
                self._next = 0  # it was dropped meanwhile
        if self._packed:
            self._compare(self._packed)
        last = None if self._first is None else self._next - 1
        head, position = self._head(), Position()
        if self._place and last:
            path, size, interval = self._place
            number = int(path.stem) if self._named else 0
            position = Position(last, number, size, interval, self._digest or bytes(DIGEST_BYTES), head)
        tail = len(self._tail)
        return Verified(
            self._uuid,
            self._first,
            last,
            self._bytes,
            self._intervals,
            tail,
            head,
            self._damages,
            position,
            self._tail_first if tail else None,
        )

    def _head(self) -> bytes:
        """D of the last change."""
        digest = self._digest or bytes(DIGEST_BYTES)
        return digest_of(digest, self._tail).digest() if self._tail else digest

    def _compare(self, packed: Position) -> None:
        """Compare the end with what it has to be."""
        file = self._files[-1].with_name(file_name(packed.file))
        if self._digest is None:
            self._digest = packed.digest
        if not self._open and self._files[-1] != file:
            self._damaged(file, 0, "it is gone")
        elif not self._open and (self._next - 1, self._head()) != (packed.last, packed.head):
            self._next = self._tail_first or self._next
            self._tail = b""
            self._damaged(self._files[-1], packed.interval, "what no check covers yet is not what was packed")
        if self._open:
            self._lost(packed.last)

    # --- what is wrong ------------------------------------------------------------------------------------------------

    def _damaged(self, path: Path, offset: int, reason: str, first: int | None = 0) -> None:
        """Note damage. *first*: the change that is lost first: the next one (0), or none (None)."""
        self._damages.append(Damage(str(path), offset, (self._next or None) if first == 0 else first, None, reason))
        self._open = first is not None

    def _lost(self, last: int) -> None:
        """Reading goes on behind change *last*: those before it are lost."""
        if self._open:
            damage = self._damages[-1]
            known = damage.first is not None and damage.first <= last
            self._damages[-1] = damage._replace(last=last) if known else damage._replace(first=None)
        self._open = False
        self._digest = None

    # --- reading ------------------------------------------------------------------------------------------------------

    def _begin(self, file: BinaryIO, path: Path) -> None:
        """Look at how a file begins, and at how the one before it ended."""
        data = os.pread(file.fileno(), MARKER_BYTES if self._named else _FIRST_BYTES, 0)
        if not self._uuid:
            self._uuid = data[len(MARKER) : MARKER_BYTES]
        number = int(path.stem) if self._named else _first_in(data)
        if not self._open and self._next not in (0, number):
            self._damaged(path, 0, f"it begins with change {number}")
        if self._open:
            self._lost(number - 1)
        elif self._tail:
            self._damaged(path, 0, "the file before it lacks its last check", None)
            self._digest = self._head()
        elif number == 1:
            self._digest = bytes(DIGEST_BYTES)
        self._tail = b""
        self._next = number

    def _file(self, file: BinaryIO, path: Path, last: bool) -> None:
        packed = self._packed if self._packed and path.name == file_name(self._packed.file) else None
        handle, begin = file.fileno(), self._next
        end = os.fstat(handle).st_size
        limit = min(end, packed.size) if packed else end
        offset, size = 0, _READ_BYTES
        while offset < limit:
            data = os.pread(handle, min(size, limit - offset), offset)
            taken, whole, wrong = self._take(path, offset, data)
            following = offset + taken
            if wrong:
                self._damaged(path, offset + wrong.offset, wrong.reason)
                following = self._find(file, following + 1, limit) or limit
            elif offset + len(data) >= limit and (taken == 0 or whole == len(data)):
                cut = whole < len(data)
                if cut and last and not self._packed and (grown := _grown(handle, limit)):
                    limit = grown
                else:
                    if cut:
                        self._damaged(path, offset + whole, "the end is in the middle of a frame")
                    behind = self._find(file, following + 1, limit) if cut else None
                    if behind is None:
                        self._end(path, following, data[taken:whole], counts=last or not self._packed)
                    following = behind or limit
            self._progress(following - offset)
            size = _READ_BYTES if following > offset else 2 * size
            offset = following
        self._bytes += limit
        if not self._open and packed and end < packed.size:
            self._damaged(path, end, f"it lacks {packed.size - end} bytes of what was packed")
        elif not self._open and self._next == begin:
            self._damaged(path, 0, "it holds no change", None)

    def _take(self, path: Path, offset: int, data: bytes) -> tuple[int, int, CorruptError | None]:
        """Take the closed intervals that *data* begins with, which stands at *offset*.

        Returns:
            Where the first that is not taken begins, where its last whole frame ends, and what is wrong with it.
        """
        try:
            if len(self._uuid) + len(MARKER) < MARKER_BYTES:
                raise CorruptError("no keyframe of the log", 0)
            found = codec.walk_intervals(data, self._uuid, self._next, self._interval_bytes)
        except CorruptError as problem:
            return 0, 0, problem
        view, start = memoryview(data), 0
        for check, following in zip(found.checks, found.nexts, strict=True):
            end = check + CHECK_BYTES
            previous, digest = data[end - 2 * DIGEST_BYTES : end - DIGEST_BYTES], data[end - DIGEST_BYTES : end]
            running = digest_of(previous)
            running.update(view[start:check])
            if running.digest() != digest:
                return start, start, CorruptError("the interval does not match its check", start)
            if self._digest not in (None, previous):
                self._damaged(path, offset + check, "the check does not follow the one before it", None)
            self._first = self._first or self._next
            self._digest, self._next = digest, following
            self._intervals += 1
            start = end
            self._place = path, offset + start, offset + start
        self._open_next = found.next
        return start, found.end, None

    def _end(self, path: Path, offset: int, tail: bytes, *, counts: bool) -> None:
        """Take the open interval at the end of a file, from *offset* on; if it *counts*, also where it is cut."""
        self._tail, self._tail_first = tail, self._next
        if self._open_next > self._next:
            self._first = self._first or self._next
            self._next = self._open_next
            self._place = path, offset + len(tail), offset
            if self._open and counts:  # it is cut: what is before that is there, but no check covers it
                self._damages[-1] = self._damages[-1]._replace(first=self._next)

    def _find(self, file: BinaryIO, offset: int, limit: int) -> int | None:
        """Where reading goes on from *offset* on: at a keyframe whose check matches, or at that of the open tail."""
        file.seek(offset)
        window = Window(file, offset)
        keyframe = next_keyframe(window, self._uuid) if len(self._uuid) + len(MARKER) == MARKER_BYTES else None
        if keyframe and keyframe.end <= limit:
            first = keyframe.first
        elif keyframe or not window.data.startswith(MARKER + self._uuid) or not (first := _first_in(window.data)):
            return None
        self._lost(first - 1)
        self._next = first
        if keyframe is None:  # no check behind it would tell
            check = os.pread(file.fileno(), CHECK_BYTES, window.offset - CHECK_BYTES)
            self._digest = check[-DIGEST_BYTES:] if check.startswith(CHECK) else None
        return window.offset


def _first_in(data: bytes) -> int:
    """The number of the change behind the keyframe that *data* begins with; 0: there is none that can be read."""
    try:
        frames = codec.scan_frames(data, MARKER_BYTES)
        return number_of(data, frames) if frames.ids else 0
    except CorruptError:
        return 0


def _grown(handle: int, size: int) -> int:
    """The size of a file that is being written, once it is more than *size*; 0: it is not."""
    time.sleep(_PATIENCE)
    now = os.fstat(handle).st_size
    return now if now > size else 0
