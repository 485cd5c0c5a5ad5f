"""A database as its sessions see it: logs that are safe against power loss, their digests, and a way to add to them."""

from __future__ import annotations

import shutil
import uuid as uuids
from array import array
from bisect import bisect_right
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock, RLock
from typing import Final, Literal, Protocol

from scoutcore import codec, keys
from scoutcore.apply import by_codec, by_subset
from scoutcore.changes import DIGEST_BYTES
from scoutcore.codec import cut
from scoutcore.codec.columns import ChangeColumns, UInts
from scoutcore.codec.constants import ABSENT, MARKER_BYTES, MAX_FRAME, UINT32_MAX
from scoutcore.commit import Commit
from scoutcore.database import Database
from scoutcore.errors import CodecError, Error, InvalidError, NotFoundError, StorageError
from scoutcore.forks import fingerprint, name_of
from scoutcore.log import Gap, Log, Logs, is_rest
from scoutcore.metadata import check_edit
from scoutcore.model import Point
from scoutcore.replication.chain import Chain
from scoutcore.replication.messages import ProtocolError
from scoutcore.source import Cursor
from scoutcore.troops import scout_of, troop_of

MIB: Final = 1024 * 1024
PIECE_BYTES: Final = 256 * 1024
"""About so many bytes are given to a peer at a time, and so many read ahead for it."""
_MAX_TOLD: Final = 262_144
"""Points that watchers are told of one commit: where more arrive at once, they have lagged."""


@dataclass(frozen=True)
class Limits:
    """What one peer may cost in one session."""

    logs: int = 10_000
    """Logs that are new here."""
    troops: int = 10_000
    """Troops that are new here."""
    bytes: int = 64 * 1024 * MIB
    """Bytes of changes."""
    disk_floor: int = 64 * MIB
    """Bytes that stay free on the disk: receiving stops before ingest has to."""


@dataclass
class Quota:
    """What is left of a peer's limits."""

    limits: Limits = field(default_factory=Limits)
    logs: int = 0
    troops: int = 0
    bytes: int = 0

    def check(self, logs: int, troops: int, size: int) -> None:
        """Refuse what would be too much; raises ProtocolError."""
        for name, more in (("logs", logs), ("troops", troops), ("bytes", size)):
            limit = getattr(self.limits, name)
            if getattr(self, name) + more > limit:
                raise ProtocolError(f"more than {limit} {name if name == 'bytes' else f'new {name}'} from one peer")

    def take(self, logs: int, troops: int, size: int) -> None:
        """Count what was accepted."""
        self.logs += logs
        self.troops += troops
        self.bytes += size


@dataclass(frozen=True)
class Held:
    """What is held of a log: the changes behind ``base`` up to ``last``."""

    base: int
    origin: int
    last: int


@dataclass
class Run:
    """Consecutive changes of one log, as they came."""

    log: bytes
    frames: bytes
    ends: UInts
    """Where in ``frames`` each ends."""
    columns: ChangeColumns

    @property
    def first(self) -> int:
        """Its first change."""
        return self.columns.change[0]

    @property
    def last(self) -> int:
        """Its last change."""
        return self.columns.change[-1]

    def frame(self, change: int) -> bytes:
        """The frame of one of its changes."""
        index = change - self.first
        return self.frames[self.ends[index - 1] if index else 0 : self.ends[index]]

    def upto(self, change: int) -> Run:
        """What of it comes up to *change*, which is not before its first."""
        count = change + 1 - self.first
        if count >= len(self.ends):
            return self
        return Run(self.log, self.frames[: self.ends[count - 1]], self.ends[:count], self.columns.part(0, count))

    def behind(self, change: int) -> Run | None:
        """What of it comes behind *change*."""
        skip = change + 1 - self.first
        if skip <= 0:
            return self
        if skip >= len(self.ends):
            return None
        begin = self.ends[skip - 1]
        ends = array(self.ends.typecode, [end - begin for end in self.ends[skip:]])
        return Run(self.log, self.frames[begin:], ends, self.columns.part(skip, len(self.ends)))


class ForkError(Error):
    """A log went two ways: what came is not what is here, or is known here by the name that it got when it lost that.

    Attributes:
        log: its uuid.
        change: where the ways part.
        theirs: the frame that came.
    """

    def __init__(self, log: bytes, change: int, theirs: bytes) -> None:
        super().__init__(f"log {name(log)} went two ways from change {change} on")
        self.log = log
        self.change = change
        self.theirs = theirs


class _MovedError(Error):
    """A log has grown meanwhile."""


class Waker(Protocol):
    """A session, as told of what becomes safe to send."""

    def published(self, logs: Iterable[bytes]) -> None:
        """So much more of these logs can be sent now."""

    def stored(self) -> None:
        """Something was stored: there may be more to publish."""

    def closing(self) -> None:
        """The database is about to be closed."""


def name(log: bytes) -> str:
    """A log's uuid as text."""
    return str(uuids.UUID(bytes=log))


_making = Lock()


def replica_of(database: Database) -> Replica:
    """The one replica of a database."""
    with _making:
        found = [one for one in database._listeners if isinstance(one, Replica)]
        return found[0] if found else Replica(database)


class Replica:
    """One database, shared by all its sessions: :func:`replica_of`. It may be used from many threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = RLock()
        """Who publishes, computes digests or splits logs holds it; who commits does not wait for that."""
        self._told = Lock()
        self._heads: dict[bytes, int] = {}
        """Of each log the last change that is safe against power loss."""
        self._fresh: dict[bytes, int] = {}
        """The same, of what was stored since."""
        self._chains: dict[bytes, Chain] = {}
        self._sessions: list[Waker] = []
        self._splits = 0
        self._kept = {"parts": 0, "claims": 0}
        database._listeners = (*database._listeners, self)
        with database._between_commits():
            for log in self._logs.by_number:
                self._fresh[log.uuid] = log.head

    @property
    def _logs(self) -> Logs:
        return self._database._logs

    # --- what becomes of the database ---------------------------------------------------------------------------------

    def grown(self, logs: dict[bytes, int]) -> None:
        """See :class:`scoutcore.database.Listener`."""
        with self._told:
            self._fresh.update(logs)
            sessions = list(self._sessions)
        for session in sessions:
            session.stored()

    def closing(self) -> None:
        """See :class:`scoutcore.database.Listener`."""
        for session in list(self._sessions):
            session.closing()

    def join(self, session: Waker) -> None:
        """From now on a session is told."""
        with self._told:
            self._sessions.append(session)

    def leave(self, session: Waker) -> None:
        """It is told no more."""
        with self._told:
            if session in self._sessions:
                self._sessions.remove(session)

    def count(self, what: Literal["parts", "claims"], more: int) -> int:
        """Count what sessions keep of what peers say; returns how much that is, of all peers.

        Args:
            what: bytes of frames that have not come whole; or logs that peers say to have, and that are not here.
        """
        with self._told:
            self._kept[what] += more
            return self._kept[what]

    def publish(self) -> None:
        """Make what was stored safe against power loss: only that is sent or acknowledged.

        Raises:
            StorageError: the disk refuses.
        """
        with self._lock:
            with self._told:
                fresh, self._fresh = self._fresh, {}
            if not fresh:
                return
            try:
                with suppress(StorageError):  # what is there can be given to others where the disk is full, too
                    self._database._record()
                self._database._store.publish()
            except BaseException:
                with self._told:
                    self._fresh = {**fresh, **self._fresh}
                raise
            self._heads.update(fresh)
            with self._told:
                sessions = list(self._sessions)
        for session in sessions:
            session.published(fresh)

    @property
    def unpublished(self) -> dict[bytes, int]:
        """The logs that have grown since, and their last changes."""
        with self._told:
            return dict(self._fresh)

    @property
    def splits(self) -> int:
        """How often a log was split: what a session knows of before counts no more."""
        return self._splits

    # --- logs ---------------------------------------------------------------------------------------------------------

    @property
    def own(self) -> bytes:
        """The log that the database writes."""
        own = self._logs.own
        assert own is not None
        return own.uuid

    def held(self, log: bytes) -> Held:
        """What is held of a log, and safe against power loss."""
        found = self._logs.by_uuid.get(log)
        if found is None:
            return Held(0, 0, 0)
        return Held(found.base, found.origin, max(min(self._heads.get(log, 0), found.whole), found.base))

    def stored(self, log: bytes) -> Held:
        """What is held of a log, safe against power loss or not yet."""
        found = self._logs.by_uuid.get(log)
        if found is None:
            return Held(0, 0, 0)
        return Held(found.base, found.origin, max(min(self._logs.stored_head(found), found.whole), found.base))

    def heads(self) -> dict[bytes, Held]:
        """What is held of every log that has anything."""
        found = {log: self.held(log) for log in list(self._heads)}
        return {log: held for log, held in found.items() if held.last > held.origin}

    def digest(self, log: bytes, change: int) -> bytes:
        """D of a stored change; raises as :meth:`Chain.at`."""
        with self._lock:
            found = self._logs.get(log)
            packed = found.packed
            if packed.last == change != found.origin:
                return packed.head  # so thousands of logs that have ended cost no chain, and no look into a file
            chain = self._chains.get(log)
            if chain is None or chain.logs is not self._logs:
                chain = self._chains[log] = Chain(self._logs, found, self._changes)
            return chain.at(change)

    def cursor(self, log: bytes, after: int) -> Cursor:
        """A cursor that reads a log from behind a change on."""
        return Cursor(self._logs, self._logs.get(log), self._changes, after, PIECE_BYTES)

    def frame(self, log: bytes, change: int) -> bytes:
        """The frame of one change; raises as :meth:`Cursor.read`."""
        cursor = self.cursor(log, change - 1)
        try:
            return cursor.read(change, MAX_FRAME)[0]
        finally:
            cursor.close()

    @property
    def _changes(self):  # type: ignore[no-untyped-def]
        directory = self._database._directory
        return directory.changes if directory else None

    def start_own(self) -> None:
        """Let our next change go to a new log."""
        self._database._submit(self._logs_start_own)

    def _logs_start_own(self, commit: Commit) -> None:
        self._logs.start_own(commit)

    def begin(self, log: bytes, base: int, origin: int, digest: bytes, quota: Quota) -> None:
        """Begin a log that is not here behind its change *base*, of which *digest* is D.

        Raises:
            ProtocolError: it is here, from elsewhere on, or there are too many.
        """
        if origin and not is_rest(log):
            raise ProtocolError(f"log {name(log)} begins behind change {origin}, and is not the rest of another")

        def work(commit: Commit) -> int:
            found = self._logs.by_uuid.get(log)
            if found:
                if found.origin != origin or found.head < base:
                    raise ProtocolError(f"log {name(log)} does not begin behind change {base} here")
                return 0
            quota.check(1, 0, 0)
            self._logs.add(commit, log, base, origin, digest)
            return 1

        quota.take(self._database._submit(work), 0, 0)

    def settle(self, log: bytes, change: int, theirs: bytes) -> bool:
        """Settle which way of a log keeps its name, given the other's frame of the change where they part.

        Returns:
            whether it was ours that gave way: it is a log of its own now.

        Raises:
            StorageError, CorruptError: it could not be done.
        """
        with self._lock:
            self.publish()
            if self.held(log).last < change:
                return False
            ours = self.frame(log, change)
            if ours == theirs or fingerprint(ours) < fingerprint(theirs):
                return False
            self._split(log, change)
            return True

    def give_way(self, log: bytes, change: int, rest: bytes) -> bool:
        """Make the changes of a log from *change* on what they are elsewhere: the log *rest*, which is named by them.

        Returns:
            whether they were still here under the old name.

        Raises:
            StorageError, CorruptError: it could not be done.
        """
        with self._lock:
            self.publish()
            held = self.held(log)
            if not held.base < change <= held.last or name_of(self.frame(log, change)) != rest:
                return False
            self._split(log, change)
            return True

    def _split(self, log: bytes, change: int) -> None:
        self._splits += 1
        self._chains.clear()
        self._database._split(log, change)
        self._heads.clear()
        with self._database._between_commits(), self._told:
            self._fresh = {one.uuid: one.head for one in self._logs.by_number}

    # --- receiving ----------------------------------------------------------------------------------------------------

    def receive(self, runs: list[Run], quota: Quota) -> int:
        """Add changes to copies of logs and merge them, all in one commit; what is here already is compared.

        Returns:
            how many changes are new; *quota* counts their bytes.

        Raises:
            ProtocolError: what came cannot be, or is more than *quota* allows; nothing of it was applied.
            ForkError: what came is not what is here, or has lost its log's name; nothing of it was applied.
            StorageError: the disk or LevelDB refuses; nothing of it is stored.
            CorruptError: what is here cannot be read.
        """
        self.check_disk(quota.limits)
        uids: set[str] = set()
        for run in runs:
            self._check(run, uids)
        for run in runs:
            self._check_name(run, quota)
        while True:
            prepared, heads = self._prepare(runs)
            if not prepared:
                return 0
            size = sum(len(run.frames) for run in prepared)
            try:
                logs, troops = self._database._submit(
                    lambda commit, prepared=prepared, heads=heads, size=size: self._add(  # type: ignore[misc]
                        commit, prepared, heads, uids, size, quota
                    )
                )
            except _MovedError:
                continue
            quota.take(logs, troops, size)
            return sum(len(run.ends) for run in prepared)

    def check_disk(self, limits: Limits) -> None:
        """See that the disk has room for what comes; raises StorageError."""
        directory = self._database._directory
        if directory is None:
            return
        try:
            free = shutil.disk_usage(directory.path).free
        except OSError as problem:
            raise StorageError(f"cannot look at the disk of {directory.path}: {problem.strerror}") from problem
        if free < limits.disk_floor:
            raise StorageError(f"the disk has {free} bytes left: receiving stops at {limits.disk_floor}")

    def _check(self, run: Run, uids: set[str]) -> None:
        """Refuse what no writer writes; troop uids are added to *uids*."""
        columns = run.columns
        first, count = columns.change[0], len(columns.change)
        last = first + count - 1
        if not first or last > UINT32_MAX or columns.change != array(columns.change.typecode, range(first, last + 1)):
            raise ProtocolError(f"changes of log {name(run.log)} are out of order behind {first}")
        at = first
        try:
            for subset, part in by_subset(columns):
                at = part.change[0]
                if subset == "troop":
                    for change in part.to_objects():
                        at = change.change
                        uids.add(keys.parse_troop_key(change.key)[0])
                        check_edit(change)
                    continue
                known = self._database._rows.by_key
                for key in dict.fromkeys(cut(part.key_data, part.key_starts, part.key_ends)):
                    if key not in known:
                        uids.add(keys.parse_sensor_key(key.decode())[0])
                for readable, some in by_codec(part):
                    if readable:
                        at = some.change[0]
                        codec.summarize_blocks(some.value_data, some.value_starts, some.value_ends)
        except CodecError as problem:
            row = bisect_right(columns.value_ends, problem.offset) if ABSENT not in columns.value_ends else 0
            number = columns.change[min(row, count - 1)]
            raise ProtocolError(f"change {number} of log {name(run.log)}: {problem.reason}") from None
        except InvalidError as problem:
            raise ProtocolError(f"change {at} of log {name(run.log)}, or one behind it: {problem}") from None

    def _check_name(self, run: Run, quota: Quota) -> None:
        """Where *run* begins the rest of a log that went two ways: its name tells, and it keeps it here too.

        The way that kept the log's name may be lost with a disk. Had the same changes two names then, depending on who
        had seen it, all their readings would be there twice.
        """
        rest = self._logs.by_uuid.get(run.log)
        origin, head = (rest.origin, rest.head) if rest else (0, 0)
        if not is_rest(run.log) or not run.first == head + 1 == origin + 1:
            return
        if name_of(run.frame(run.first)) != run.log:
            raise ProtocolError(f"log {name(run.log)} does not begin with the change that it is named by")
        if rest is None:
            self.begin(run.log, 0, 0, bytes(DIGEST_BYTES), quota)  # from now on nothing comes under the old name
        for log in list(self._logs.by_number):
            if log.uuid != run.log:
                self.give_way(log.uuid, run.first, run.log)

    def _prepare(self, runs: list[Run]) -> tuple[list[Run], dict[bytes, tuple[int, int]]]:
        """What of *runs* is new, the rest having been compared; and the heads that this holds for.

        Of a log with a gap, what fills it and what is behind it are runs of their own.

        Raises:
            ProtocolError: changes are left out. ForkError: what is here already differs.
        """
        heads: dict[bytes, tuple[int, int]] = {}
        tails: dict[bytes, bytes] = {}
        reached: dict[bytes, int] = {}
        prepared = []
        gaps: dict[bytes, list[Gap]] = {}
        left = runs[::-1]
        while left:
            run = left.pop()
            log = self._logs.by_uuid.get(run.log)
            if run.log not in heads:
                held = max(self._logs.stored_head(log), log.base) if log else 0
                heads[run.log] = held, log.whole if log else 0
                gaps[run.log] = [gap for gap in log.gaps if gap.have < gap.last] if log else []
                reached[run.log] = gaps[run.log][0].have if gaps[run.log] else held
                tails[run.log] = log.tail if log else b""
            if gaps[run.log]:
                last = gaps[run.log][0].last
                if behind := run.behind(last):
                    left.append(behind)
                    if behind.first <= run.first:
                        raise ProtocolError(f"change {run.first} of log {name(run.log)} follows a gap here")
                run = run.upto(last)
                if run.last == last:
                    following = gaps[run.log][1:]
                    rest, gaps[run.log] = self._filling(run, log, reached[run.log]), following
                    reached[run.log] = following[0].have if following else heads[run.log][0]
                else:
                    rest = self._filling(run, log, reached[run.log])
                    reached[run.log] = max(run.last, reached[run.log])
                if rest:
                    prepared.append(rest)
                continue
            head = reached[run.log]
            if run.first > head + 1:
                raise ProtocolError(f"change {run.first} of log {name(run.log)} follows change {head}")
            if log and run.first <= heads[run.log][0]:
                self._compare(run, log, heads[run.log][0])
            rest = run.behind(head)
            if rest is None:
                continue
            joined = tails[run.log] + rest.frames
            if b"\x11\x02" + run.log in joined:
                raise ProtocolError(f"changes of log {name(run.log)} from {rest.first} on imitate its keyframe")
            tails[run.log] = joined[1 - MARKER_BYTES :]
            reached[run.log] = rest.last
            prepared.append(rest)
        return prepared, heads

    def _filling(self, run: Run, log: Log | None, head: int) -> Run | None:
        """What of *run* fills a gap behind change *head*; what is here already is compared."""
        if run.first > head + 1:
            raise ProtocolError(f"change {run.first} of log {name(run.log)} follows change {head}")
        if log and run.first <= head:
            self._compare(run.upto(min(run.last, head)), log, head)
        rest = run.behind(head)
        if rest and b"\x11\x02" + run.log in rest.frames:
            raise ProtocolError(f"changes of log {name(run.log)} from {rest.first} on imitate its keyframe")
        return rest

    def _compare(self, run: Run, log: Log, head: int) -> None:
        """Compare what of *run* is here already; raises ForkError."""
        if run.first <= log.base:
            found = run.behind(log.base)
            if found is None:
                return
            run = found
        cursor = self.cursor(run.log, run.first - 1)
        try:
            last = min(run.last, head)
            done = 0
            while cursor.after < last:
                begin = cursor.after
                ours, after = cursor.read(last, MIB)
                end = run.ends[after - run.first]
                theirs = run.frames[done:end]
                if ours != theirs:
                    raise self._fork(run, begin, ours)
                done = end
        except NotFoundError:
            raise _MovedError from None  # a failed write, or a split, was in between
        finally:
            cursor.close()

    def _fork(self, run: Run, after: int, ours: bytes) -> ForkError:
        """Where our frames behind change *after* differ from those of *run*."""
        ends = codec.scan_frames(ours).ends
        begin, mine = run.ends[after - run.first] if after >= run.first else 0, 0
        for number, end in enumerate(ends, after + 1):
            theirs = run.frames[begin : run.ends[number - run.first]]
            if theirs != ours[mine:end]:
                break
            begin, mine = run.ends[number - run.first], end
        return ForkError(run.log, number, theirs)

    def _add(
        self,
        commit: Commit,
        runs: list[Run],
        heads: dict[bytes, tuple[int, int]],
        uids: set[str],
        size: int,
        quota: Quota,
    ) -> tuple[int, int]:
        """The work of one commit; the new logs and troops."""
        logs, database = self._logs, self._database
        for uuid, head in heads.items():
            found = logs.by_uuid.get(uuid)
            if ((max(found.head, found.base), found.whole) if found else (0, 0)) != head:
                raise _MovedError
        for run in runs:
            for rest in logs.rests:
                change = rest.origin + 1
                if run.first <= change <= run.last and rest.uuid != run.log and name_of(run.frame(change)) == rest.uuid:
                    raise ForkError(run.log, change, run.frame(change))
        new = len([uuid for uuid in heads if uuid not in logs.by_uuid])
        troops = len([uid for uid in uids if uid not in database._metadata.id_of])
        own = logs.own is not None and any(run.log == logs.own.uuid for run in runs)
        quota.check(new + own, troops, size)
        if own:
            logs.start_own(commit)  # somebody else goes on with what was ours: we do not
        for run in runs:
            log = logs.by_uuid.get(run.log) or logs.add(commit, run.log)
            done = 0
            begin = 0
            for subset, part in by_subset(run.columns):
                done += len(part.change)
                end = run.ends[done - 1]
                if log.gap and part.change[0] <= log.gap.last:
                    filled = logs.fill(commit, log, subset, run.frames[begin:end], len(part.change))
                else:
                    filled = None
                    logs.append(commit, log, subset, run.frames[begin:end], len(part.change))
                begin = end
                if filled and filled.shown:
                    continue
                before = self._hidden(subset, part) if database._hub.watchers else None
                database._applier.apply(commit, log, part)
                if before is not None:
                    self._tell(commit, subset, part, before)
        return new + own, troops

    # --- watchers -----------------------------------------------------------------------------------------------------

    def _hidden(self, subset: str, part: ChangeColumns) -> dict[str, bool]:
        """Which of the rows of metadata that are about to be changed are hidden."""
        if subset == "sensor":
            return {}
        metadata = self._database._metadata
        hidden = {}
        for change in part.to_objects():
            uid, scout = keys.parse_troop_key(change.key)
            troop = metadata.id_of.get(uid)
            hidden[change.key] = troop is not None and metadata.is_deleted(troop, scout)
        return hidden

    def _tell(self, commit: Commit, subset: str, part: ChangeColumns, hidden: dict[str, bool]) -> None:
        database = self._database
        metadata = database._metadata
        for key, was in hidden.items():
            uid, scout = keys.parse_troop_key(key)
            troop = metadata.id_of[uid]
            if was and not metadata.is_deleted(troop, scout):
                commit.reappeared.append((troop, scout))
            elif scout is None:
                commit.events.append(troop_of(troop, metadata.troop(troop, commit)))
            elif not metadata.is_deleted(troop) and (row := metadata.scout(troop, scout, commit)):
                commit.events.append(scout_of(troop, scout, row))
        if subset != "sensor":
            return
        for readable, some in by_codec(part):
            if not readable or commit.untold:
                continue
            counts = codec.summarize_blocks(some.value_data, some.value_starts, some.value_ends).counts
            if len(commit.events) + sum(counts) > _MAX_TOLD:
                commit.untold = True  # a few bytes may say as much as 512 points
            else:
                commit.events += self._points(some)

    def _points(self, part: ChangeColumns) -> list[Point]:
        rows = self._database._rows.by_key
        firsts, _, points = codec.decode_blocks(part.value_data, part.value_starts, part.value_ends)
        texts = cut(points.data, points.starts, points.ends)
        found = []
        for index, key in enumerate(cut(part.key_data, part.key_starts, part.key_ends)):
            row = rows[key]
            for at in range(firsts[index], firsts[index + 1]):
                clock = (points.boot[at], points.ms[at]) if points.clocked[at] else (None, None)
                point = Point(row.troop, row.uid, row.scout, row.report, points.t[at], texts[at], *clock)
                if self._database._shows(point, point.t):  # type: ignore[arg-type]
                    found.append(point)
        return found
