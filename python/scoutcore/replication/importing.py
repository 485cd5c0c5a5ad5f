"""Taking changes from files: any number of them, in any order, as often as one likes.

They are looked through first, then what they hold is sorted, and what follows what is here is added. Logs and numbers
come from content, never from a file's name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Final
from uuid import UUID

from scoutcore import codec
from scoutcore.changes import DIGEST_BYTES
from scoutcore.database import Database
from scoutcore.errors import CorruptError, InvalidError, NotFoundError
from scoutcore.forks import name_of
from scoutcore.replication.messages import ProtocolError
from scoutcore.replication.pieces import Damage, Piece, open_source, pieces
from scoutcore.replication.replica import MIB, ForkError, Held, Limits, Quota, Run, name, replica_of

SUFFIXES: Final = (".changes", ".dat")
"""Of the files that are taken of a directory."""
_BATCH_BYTES: Final = 1 * MIB
_MAX_SEGMENTS: Final = 1_000_000


@dataclass(frozen=True)
class Gap:
    """Changes that are missing, here and in the files, before others that the files hold."""

    log: str
    first: int
    last: int

    def __str__(self) -> str:
        return f"log {self.log}: changes {self.first} to {self.last} are missing; what follows them was not taken"


@dataclass(frozen=True)
class FileProblem:
    """Something in a file that was not taken."""

    file: str
    reason: str
    offset: int | None = None
    """The byte of the file."""
    log: str | None = None
    change: int | None = None

    def __str__(self) -> str:
        place = "" if self.offset is None else f", byte {self.offset}"
        change = "" if self.change is None else f" (change {self.change} of log {self.log}, or one behind it)"
        return f"{self.file}{place}: {self.reason}{change}"


@dataclass
class ImportResult:
    """What came of an import."""

    changes: int = 0
    """Changes that were taken, known or new."""
    new: int = 0
    """Those that were new here."""
    gaps: list[Gap] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)


@dataclass(slots=True)
class _Segment:
    """Changes of one log that follow one another in one source: all in intervals with checks, or none."""

    source: int
    offset: int
    end: int
    log: bytes
    first: int
    last: int
    previous: bytes | None
    """The digest of the check before it, where that is known."""
    digest: bytes | None
    """The digest of the check behind it."""

    def take(self, piece: Piece) -> bool:
        """Take in what follows; whether it does."""
        follows = piece.offset == self.end and piece.log == self.log and piece.first == self.last + 1
        if not follows or piece.previous != self.digest:
            return False
        self.end, self.last, self.digest = piece.end, piece.last, piece.digest
        return True


class _RefusedError(Exception):
    """A change, and all behind it in its segment, cannot be taken."""

    def __init__(self, change: int, reason: str) -> None:
        super().__init__(reason)
        self.change = change


def import_changes(
    database: Database,
    sources: Iterable[str | os.PathLike[str] | BinaryIO],
    *,
    from_base: bool = False,
    limits: Limits | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ImportResult:
    """See :meth:`scoutcore.Database.import_changes`."""
    with ExitStack() as stack:
        importer = _Import(database, from_base, limits or Limits(), progress or (lambda _done, _total: None))
        for source in sources:
            if isinstance(source, (str, os.PathLike)):
                importer.add_path(Path(source))
            else:
                importer.add_stream(source, stack)
        return importer.run()


class _Import:
    def __init__(
        self, database: Database, from_base: bool, limits: Limits, progress: Callable[[int, int], None]
    ) -> None:
        self._result = ImportResult()
        self._replica = replica_of(database)
        self._directory = database._directory.path if database._directory else None
        self._from_base = from_base
        self._quota = Quota(limits)
        self._progress = progress
        self._done = self._total = 0
        self._sources: list[tuple[str, Path | BinaryIO]] = []
        self._segments: list[_Segment] = []
        self._ways: dict[tuple[bytes, int, bytes], bytes] = {}
        """Under which name a log in the files goes on here, for it may have gone two ways: by log, last change before,
        and the digest of the check behind that."""
        self._starts: set[tuple[bytes, int]] = set()
        """Where segments begin: logs, and the changes before."""
        self._parted: set[bytes] = set()
        """Logs of which the files have two ways."""

    # --- sources ------------------------------------------------------------------------------------------------------

    def add_path(self, path: Path) -> None:
        """Add a file, or all that a directory has."""
        if path.is_symlink() or not path.is_dir():
            with open_source(path) as file:
                self._total += os.fstat(file.fileno()).st_size
            self._sources.append((str(path), path))
            return
        count = len(self._sources) + len(self._result.problems)
        for directory, below, names in os.walk(path):
            below.sort()
            for entry in sorted(names + [one for one in below if Path(directory, one).is_symlink()]):
                found = Path(directory, entry)
                if entry.endswith(SUFFIXES) or entry in below:
                    try:
                        self.add_path(found)
                    except (InvalidError, OSError) as problem:
                        self._problem(str(found), problem)
        if len(self._sources) + len(self._result.problems) == count:
            raise NotFoundError(f"no changes files in {path}")

    def add_stream(self, stream: BinaryIO, stack: ExitStack) -> None:
        """Add a stream: it is put aside, for what it holds may have to be taken in another order."""
        file = stack.enter_context(TemporaryFile(dir=self._directory))  # noqa: SIM115
        limits = self._quota.limits
        size = 0
        while data := stream.read(_BATCH_BYTES):
            size += len(data)
            if size > limits.bytes:
                raise InvalidError(f"the stream has more than {limits.bytes} bytes")
            self._replica.check_disk(limits)
            file.write(data)
        file.flush()
        self._total += size
        self._sources.append((str(getattr(stream, "name", "stream")), file))

    def _opened(self, source: int, stack: ExitStack) -> BinaryIO:
        where = self._sources[source][1]
        return stack.enter_context(open_source(where)) if isinstance(where, Path) else where

    def _problem(
        self, file: str, problem: object, offset: int | None = None, log: bytes | None = None, change: int | None = None
    ) -> None:
        if isinstance(problem, OSError):
            problem = problem.strerror or problem
        self._result.problems.append(FileProblem(file, str(problem), offset, name(log) if log else None, change))

    def _advance(self, size: int) -> None:
        self._done += size
        self._progress(self._done, 2 * self._total)

    # --- what is there ------------------------------------------------------------------------------------------------

    def run(self) -> ImportResult:
        """Take what can be taken."""
        for source, (file, _) in enumerate(self._sources):
            try:
                self._survey(source)
            except (InvalidError, OSError) as problem:
                self._problem(file, problem)
        # What has checks first: it is what the rest is compared with.
        self._segments.sort(key=lambda segment: (segment.log, segment.first, segment.digest is None))
        self._starts = {(segment.log, segment.first - 1) for segment in self._segments if segment.previous}
        self._replica.publish()
        for _, segments in groupby(self._segments, key=lambda segment: segment.log):
            self._take_log(segments)
        self._replica.publish()  # whoever imported a file may delete it
        self._progress(2 * self._total, 2 * self._total)
        return self._result

    def _survey(self, source: int) -> None:
        """Look through a source."""
        segment: _Segment | None = None
        with ExitStack() as stack:
            done = 0
            for found in pieces(self._opened(source, stack)):
                if isinstance(found, Damage):
                    self._problem(self._sources[source][0], found.reason, found.offset, found.log, found.change)
                    continue
                self._advance(found.end - done)
                done = found.end
                if segment is None or not segment.take(found):
                    segment = self._segment(source, found, segment)
                    if len(self._segments) == _MAX_SEGMENTS:
                        raise InvalidError(f"more than {_MAX_SEGMENTS} stretches of logs: import fewer files at a time")
                    self._segments.append(segment)

    def _segment(self, source: int, piece: Piece, before: _Segment | None) -> _Segment:
        previous = piece.previous
        if previous is None and before and piece.offset == before.end and piece.first == before.last + 1:
            previous = before.digest if piece.log == before.log else None  # the open interval behind the last check
        return _Segment(source, piece.offset, piece.end, piece.log, piece.first, piece.last, previous, piece.digest)

    # --- taking it ----------------------------------------------------------------------------------------------------

    def _take_log(self, segments: Iterable[_Segment]) -> None:
        """Take what there is of a log, in the order of its changes."""
        reached = 0
        for segment in segments:
            log = segment.log
            if log == self._replica.own and segment.last > self._replica.stored(log).last:
                self._replica.start_own()  # others may hold what we have lost: those numbers are not given again
            name_here = self._ways.get((log, segment.first - 1, segment.previous or b""), log)
            renamed = name_here if name_here != log else None
            held = self._replica.stored(name_here)
            if not renamed and segment.first > held.last + 1 and not self._begin(segment, held):
                reached = max(reached, held.last)
                if segment.first > reached + 1:
                    self._result.gaps.append(Gap(name(log), reached + 1, segment.first - 1))
                reached = max(reached, segment.last)
                self._advance(segment.end - segment.offset)
            elif not renamed and self._has(segment, held):
                assert segment.digest
                self._ways[log, segment.last, segment.digest] = log
                self._result.changes += segment.last - segment.first + 1
                self._advance(segment.end - segment.offset)
            else:
                self._take(segment, renamed)

    def _has(self, segment: _Segment, held: Held) -> bool:
        """Whether the digest behind it says that all of it is here."""
        if segment.digest is None or not max(held.base, 1) <= segment.last <= held.last:
            return False
        return self._digest(segment.log, segment.last) == segment.digest

    def _digest(self, log: bytes, change: int) -> bytes | None:
        try:
            return self._replica.digest(log, change)
        except CorruptError:
            return None  # what is damaged here is compared change by change, and named there

    def _begin(self, segment: _Segment, held: Held) -> bool:
        """Begin a log that is not here and whose first change is not number 1; False where that cannot be."""
        log, before = segment.log, segment.first - 1
        if held.last:
            return False
        with ExitStack() as stack:
            piece = next(pieces(self._opened(segment.source, stack), segment.offset))
        if isinstance(piece, Piece) and name_of(_first_frame(piece)) == log:
            self._replica.begin(log, before, before, bytes(DIGEST_BYTES), self._quota)
            return True
        if not self._from_base or segment.previous is None or UUID(bytes=log).version != 4:
            return False
        self._replica.begin(log, before, 0, segment.previous, self._quota)
        text = f"log {name(log)} begins behind change {before} here: what was before is not in the files"
        self._problem(self._sources[segment.source][0], text)
        return True

    def _take(self, segment: _Segment, renamed: bytes | None) -> None:
        """Add a segment to a log here, comparing what is there already."""
        batch: list[Piece] = []
        try:
            taking = _Taking(self, segment, renamed)
            with ExitStack() as stack:
                for piece in self._pieces(segment, stack):
                    batch.append(piece)
                    if piece.end - batch[0].offset >= _BATCH_BYTES:
                        taking.take(batch)
                        batch = []
                if batch:
                    taking.take(batch)
        except _RefusedError as refused:
            offset = next(
                (_offset_of(one, refused.change) for one in batch if one.first <= refused.change <= one.last),
                segment.offset,
            )
            self._problem(self._sources[segment.source][0], refused, offset, segment.log, refused.change)
        except OSError as problem:
            self._problem(self._sources[segment.source][0], problem, segment.offset, segment.log)

    def _pieces(self, segment: _Segment, stack: ExitStack) -> Iterator[Piece]:
        """The pieces of a segment, read once more."""
        following = segment.first
        for piece in pieces(self._opened(segment.source, stack), segment.offset):
            if isinstance(piece, Damage) or (piece.log, piece.first) != (segment.log, following):
                raise _RefusedError(following, "the file has changed meanwhile")
            yield piece
            self._advance(piece.end - piece.offset)
            following = piece.last + 1
            if piece.end >= segment.end:
                return


class _Taking:
    """Adds one segment to a log, and follows where that log goes on under another name."""

    def __init__(self, importing: _Import, segment: _Segment, renamed: bytes | None) -> None:
        self._importing = importing
        self._replica = importing._replica
        self._quota = importing._quota
        self._result = importing._result
        self._ways = importing._ways
        self._segment = segment
        self._log = renamed or segment.log
        held = self._replica.stored(self._log)
        self._compared = max(segment.first, held.base + 1)
        """The first change that can be compared."""
        before = segment.first - 1
        self._follows = bool(renamed) or before == held.origin
        """Whether it is certain that before that the log is the same."""
        if not self._follows and segment.previous is not None and before >= held.base:
            if importing._digest(segment.log, before) not in (segment.previous, None):
                self._unclear(segment.first)
            self._follows = True
        if not self._follows and segment.log in importing._parted and held.last < segment.first:
            raise _RefusedError(segment.first, f"no check tells which way of log {name(segment.log)} this goes on with")

    def _unclear(self, change: int) -> None:
        self._importing._parted.add(self._segment.log)
        text = (
            f"log {name(self._segment.log)} went two ways before change {change}; import this together with "
            "the file of that way that has the change where they part"
        )
        raise _RefusedError(change, text)

    def take(self, batch: list[Piece]) -> None:
        """Add pieces.

        Raises:
            _RefusedError: a change that cannot be taken; all before it were.
        """
        frames = b"".join(piece.frames for piece in batch)
        found = codec.scan_frames(frames)
        self._add(Run(self._segment.log, frames, found.ends, codec.decode_changes(frames, found)))
        origin = self._replica.stored(self._log).origin
        for piece in batch:
            if piece.digest and (piece.log, piece.last) in self._importing._starts:
                self._ways[piece.log, piece.last, piece.digest] = self._log if piece.last > origin else piece.log

    def _add(self, run: Run) -> None:
        """Add changes; where something is wrong with one of them, those before it."""
        try:
            self._receive(run)
            self._result.changes += len(run.ends)
        except ProtocolError as problem:
            half = len(run.ends) // 2
            if not half:
                raise _RefusedError(run.first, str(problem)) from None
            rest = run.behind(run.first + half - 1)
            assert rest is not None
            size = run.ends[half - 1]
            self._add(Run(run.log, run.frames[:size], run.ends[:half], run.columns.part(0, half)))
            self._add(rest)

    def _receive(self, run: Run) -> None:
        """Add changes to the log that they belong to here, settling where it went two ways."""
        while True:
            try:
                self._result.new += self._replica.receive([replace(run, log=self._log)], self._quota)
                return
            except ForkError as fork:
                run = self._settle(run, fork)

    def _settle(self, run: Run, fork: ForkError) -> Run:
        """Settle which way keeps the name; what of *run* is still to be added, to the log that it belongs to now."""
        before, theirs = fork.change - 1, name_of(fork.theirs)
        if self._replica.stored(fork.log).last >= fork.change:
            if self._segment.digest is None:  # else a flipped bit on a stick would become a log of its own, everywhere
                text = "it is not what is here, and no check covers it: it is damaged, or the log went two ways"
                raise _RefusedError(fork.change, f"{text}, which a session settles")
            if fork.change == self._compared and not self._follows:
                self._unclear(fork.change)
            self._importing._parted.add(self._segment.log)
            ours = name_of(self._replica.frame(fork.log, fork.change))
            if self._replica.settle(fork.log, fork.change, fork.theirs):
                for key, log in self._ways.items():
                    if log == fork.log and key[1] >= fork.change:
                        self._ways[key] = ours
                return run
        elif self._replica.stored(theirs) == Held(0, 0, 0):
            return run  # a session has settled it meanwhile
        self._log = theirs
        self._replica.begin(theirs, before, before, bytes(DIGEST_BYTES), self._quota)
        rest = run.behind(before)
        assert rest is not None
        return rest


def _first_frame(piece: Piece) -> bytes:
    return piece.frames[: codec.scan_frames(piece.frames).ends[0]]


def _offset_of(piece: Piece, change: int) -> int:
    """Where the frame of a change begins in its source."""
    index = change - piece.first
    return piece.begin + (codec.scan_frames(piece.frames).ends[index - 1] if index else 0)
