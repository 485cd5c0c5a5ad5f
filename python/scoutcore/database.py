"""The database: the class users meet. It composes log, views, metadata and packing over one store."""

from __future__ import annotations

import io
import os
import uuid as uuids
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Generic, Literal, Protocol, TypeVar, overload

import msgspec

from scoutcore import checking, dropping, keys, registers
from scoutcore.appender import Appender
from scoutcore.apply import Applier
from scoutcore.checking import Verification, ViewsVerified
from scoutcore.clock import WriteClock, system_time
from scoutcore.codec import cut
from scoutcore.codec.columns import ChangeColumns, PointColumns
from scoutcore.codec.constants import INT64_MAX, INT64_MIN, UINT32_MAX
from scoutcore.column_ingest import Column, Columns
from scoutcore.commit import Commit
from scoutcore.directory import Directory
from scoutcore.errors import (
    ClosedError,
    CorruptError,
    Error,
    ExistsError,
    IngestError,
    InvalidError,
    NotFoundError,
    ReportError,
    StorageError,
)
from scoutcore.history import History
from scoutcore.history import Series as HistorySeries
from scoutcore.ingest import (
    BATCH_ITEMS,
    FEW_SERIES,
    MANY_SERIES,
    Batch,
    Gatherer,
    IngestResult,
    Resolver,
    Series,
    parsed,
)
from scoutcore.keeper import Keeper
from scoutcore.log import Log, Logs
from scoutcore.metadata import Metadata
from scoutcore.model import Point, Scout, Time, Troop, microseconds
from scoutcore.ndjson import Parsed, check_clock, read_chunks
from scoutcore.packer import Packer
from scoutcore.recovery import build, open_store, split
from scoutcore.retention import Retention, Rule
from scoutcore.rows import Rows, counts, is_ahead, last_point
from scoutcore.source import changes_of
from scoutcore.stats import LogStats, Stats, TroopStats, bytes_under
from scoutcore.store import Store
from scoutcore.store.leveldb import create
from scoutcore.store.memory import MemoryStore
from scoutcore.troops import Scouts, Troops, scout_of, troop_of
from scoutcore.views import Reception, Views
from scoutcore.watch import Event, Hub, Watch

if TYPE_CHECKING:
    from scoutcore.replication import ExportResult, ImportResult, Limits, Server, Sync, Tls

T = TypeVar("T")
Durability = Literal["process", "power"]


_RECORD_EVERY: Final = 16
"""By how many single reports the log's record may be behind: to put it takes a tenth of the time that each takes."""
_PATIENCE: Final = 0.0005
"""Seconds after which a caller looks whether another has committed for it, while the next commit is under way."""


@dataclass(frozen=True)
class ScoutSnapshot:
    """A scout with its last values."""

    scout: Scout
    reports: dict[str, Point]


@dataclass(frozen=True)
class TroopSnapshot:
    """A troop with its scouts: the cached view of a mesh."""

    troop: Troop
    scouts: dict[int, ScoutSnapshot]


class Listener(Protocol):
    """Who is told what becomes of a database, by the thread that does it; it never waits."""

    def grown(self, logs: dict[bytes, int]) -> None:
        """Changes were stored: the logs, by uuid, and their last changes."""

    def closing(self) -> None:
        """The database is about to be closed."""


class _Entry(msgspec.Struct, Generic[T], eq=False):
    """Something that a caller wants in the next commit, and what became of it."""

    work: Callable[[Commit], T]
    result: T | None = None
    error: BaseException | None = None
    done: bool = False


def open(
    path: str | os.PathLike[str], *, durability: Durability = "process", create: bool = True, pack: bool = True
) -> Database:
    """Open the database in directory *path*; it is created where it is missing. ``":memory:"`` is one that forgets.

    Args:
        create: false: where there is no database, make none.
        durability: when a call that writes returns: ``"process"``: what it wrote survives the death of this process;
            ``"power"``: it survives a power cut too.
        pack: move the logs into changes files in the background; false: only :meth:`Database.pack` does.

    Raises:
        LockedError: another process has it open.
        FormatError: the directory is something else, or of a newer format.
        NotFoundError: there is none, and *create* is false.
        StorageError: the disk or LevelDB refuses.
    """
    _check_durability(durability)
    if path == ":memory:":
        return Database(MemoryStore(), durability=durability)
    if not (create or (Path(path) / "format").exists()):
        raise NotFoundError(f"no scoutcore database at {os.fspath(path)}")
    directory = Directory(Path(path))
    try:
        store, recovered = open_store(directory)
        try:
            database = Database(store, directory, durability=durability)
        except BaseException:
            store.close()
            raise
    except BaseException:
        directory.close()
        raise
    database.recovered = recovered
    if pack and database.packer:
        database.packer.start()
    return database


def _check_durability(durability: str) -> None:
    if durability not in ("process", "power"):
        raise InvalidError(f"durability is 'process' or 'power', not {durability!r:.100}")


class Database:
    """A database of troops, scouts and their reports. Use :func:`scoutcore.open` to get one.

    It may be used from many threads; those that write at the same time share commits.
    """

    def __init__(
        self,
        store: Store,
        directory: Directory | None = None,
        *,
        durability: Durability = "process",
        now: Callable[[], int] = system_time,
        max_change: int = UINT32_MAX,
    ) -> None:
        _check_durability(durability)
        self._store = store
        self._directory = directory
        self._identity = directory.identity if directory else bytes(16)
        self._sync = durability == "power"
        self._max_change = max_change
        self._now = now
        self._clock = WriteClock(now=now)
        self._retention = Retention(directory.retention if directory else None)
        self._queue: list[_Entry[Any]] = []
        """What waits for the next commit. Any thread appends; only who holds the commit lock takes."""
        self._commit_lock = Lock()
        self._hub = Hub()
        self._listeners: tuple[Listener, ...] = ()
        self.packer = Packer(store, directory.changes, self._publish) if directory else None
        """Moves the logs into changes files; None in memory, where nothing is packed."""
        self.recovered: list[str] = []
        """What was damaged and cut off when the database was opened; empty where all was well."""
        self._closed = False
        self._stale = False
        """Whether a commit failed, and what is kept in memory could not yet be taken from the store again."""
        self.troops = Troops(self)
        self.scouts = Scouts(self)
        self._keeper = Keeper(self)
        self._drop_lock = Lock()
        try:
            self._load()
            if self.packer:
                self.packer.measure()
            if self._logs.own is None:
                self._submit(self._logs.start_own)
            if self._retention.rules():
                self._keeper.expire()
                self._keeper.watch_the_clock()
        except BaseException:
            self.close()
            raise

    def _load(self) -> None:
        """Take everything kept in memory from the store: at the start, and after a failed write."""
        with self.packer.stopped() if self.packer else nullcontext():
            self._load_stopped()
        self._stale = False

    def _load_stopped(self) -> None:
        every = 1 if self._sync else _RECORD_EVERY
        self._logs = Logs(self._store, self._identity, self._clock, self._max_change, every)
        self._metadata = Metadata(self._store, self._logs, self._clock, self._max_change)
        self._rows = Rows(self._logs)
        self._views = Views(self._store, self._logs, self._retention)
        self._appender = Appender(self._logs, self._rows, self._views, self._clock, self._max_change)
        self._applier = Applier(self._logs, self._metadata, self._rows, self._views)
        self._gatherer = self._new_gatherer(self._resolve)
        if self.packer:
            self.packer.logs = self._logs

    def close(self) -> None:
        """Close the database; closing twice is fine."""
        for listener in self._listeners:
            listener.closing()
        self._keeper.close()
        if self.packer:
            self.packer.close()  # before the lock: its worker may tell somebody who reports that, here
        with self._commit_lock:
            if not self._closed:
                self._end()

    def _end(self) -> None:
        self._closed = True
        self._hub.close()
        self._store.close()
        if self._directory:
            self._directory.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        where = self._directory.path if self._directory else "in memory"
        return f"<scoutcore.Database {where}>"

    @property
    def id(self) -> str:
        """The UUID of this database: the name of the log that it writes."""
        assert self._logs.own is not None
        return str(uuids.UUID(bytes=self._logs.own.uuid))

    # --- writing ------------------------------------------------------------------------------------------------------

    def _submit(self, work: Callable[[Commit], T]) -> T:
        """Run *work* in the next commit, together with what other threads want, and return its result when durable.

        *work* raises before it has changed anything, or not at all.
        """
        entry = _Entry(work)
        if self._commit_lock.acquire(False):  # mostly nobody else writes
            try:
                self._commit([*self._taken(), entry] if self._queue else [entry])
            finally:
                self._commit_lock.release()
        else:
            self._queue.append(entry)
            self._wait(entry)
        if entry.error is not None:
            raise entry.error
        return entry.result  # type: ignore[return-value]

    def _taken(self) -> list[_Entry[Any]]:
        """All that waits for the next commit, taken from the queue; the commit lock is held."""
        entries = self._queue[:]
        del self._queue[: len(entries)]
        return entries

    def _wait(self, entry: _Entry[Any]) -> None:
        """Wait until another thread has committed *entry*, or do so, with all others in the queue."""
        while not entry.done:
            if self._commit_lock.acquire(timeout=_PATIENCE):
                try:
                    if not entry.done:
                        entries = self._taken()
                        if entry not in entries:  # the thread that took it was interrupted outside its commit
                            entry.error = entry.error or StorageError("the commit was interrupted")
                            entry.done = True
                        self._commit(entries)
                finally:
                    self._commit_lock.release()

    def _commit(self, entries: list[_Entry[Any]]) -> None:
        commit = Commit(self._store)
        halfway = False
        try:
            if self._closed:
                raise ClosedError("the database is closed")
            if self._stale:
                self._load()
            for entry in entries:
                try:
                    entry.result = entry.work(commit)
                except (StorageError, CorruptError):
                    halfway = True
                    raise
                except (Error, TypeError) as problem:
                    entry.error = problem
            if commit.puts:
                commit.write(self._sync)
        except BaseException as problem:
            ours = isinstance(problem, Error)
            for entry in entries:
                entry.error = entry.error or (problem if ours else StorageError(f"the commit failed: {problem!r:.200}"))
            if not self._closed:
                self._stale = True
                with suppress(StorageError):  # the next commit tries again
                    self._load()
            if not ours:
                raise
            if halfway and len(entries) > 1:  # the others have nothing to do with it
                for entry in entries:
                    entry.error = None
                    self._commit([entry])
        else:
            self._logs.stored()
            self._rows.trim()
            if self.packer:
                self.packer.stored(commit.log_bytes)
            if commit.events or commit.reappeared or commit.untold:
                self._tell(commit)
            if commit.grown:
                for listener in self._listeners:
                    listener.grown(commit.grown)
        finally:
            for entry in entries:
                entry.done = True

    def _record(self) -> None:
        """Have our own log's record tell of all that is stored: should the end be lost, it shows."""
        if not self._logs.recorded:
            self._submit(lambda commit: self._logs.record(commit))  # after a failed write they are others by then

    def _publish(self) -> None:
        """Make all that is stored safe against power loss, and recorded."""
        self._record()
        self._store.publish()

    @contextmanager
    def _between_commits(self) -> Iterator[None]:
        with self._commit_lock:
            if self._closed:
                raise ClosedError("the database is closed")
            yield

    def _split(self, uuid: bytes, change: int) -> None:
        """Make the changes of a log from *change* on a log of their own; nobody reads or writes meanwhile.

        Where it was ours, our next change goes to a new one.

        Raises:
            StorageError, CorruptError, NotFoundError: it could not be done, and the database is closed; where it was
                begun, opening goes on with it.
        """
        directory = self._directory.changes if self._directory else None
        with self._between_commits():
            try:
                with self.packer.stopped() if self.packer else nullcontext(), self._store.taken() as store:
                    split(store, self._identity, directory, self._retention, uuid, change)
                self._load()
            except BaseException:
                self._end()  # what is half done is not to be read
                raise
        if self._logs.own is None:
            self._submit(self._logs.start_own)

    def _tell(self, commit: Commit) -> None:
        events: list[Event] | None = commit.events
        if commit.reappeared and self._hub.watchers:
            try:
                for troop, scout in commit.reappeared:
                    commit.events += self._current(troop, scout)
            except StorageError:
                events = None
        if commit.untold:
            events = None
        if events is None or events:
            self._hub.publish(events)

    def _new_gatherer(self, resolve: Resolver) -> Gatherer:
        return Gatherer(resolve, lambda: self._metadata.version)

    def _resolve(self, troop: int | None, uid: str | None, key: str | None) -> tuple[int, str]:
        """Id and uid of a report's troop; the uid is preferred, then the key."""
        metadata = self._metadata
        if uid:
            if uid not in metadata.id_of:
                raise ReportError(f"unknown troop uid {keys.shown(uid)}")
            return metadata.id_of[uid], uid
        if key:
            claimants = metadata.claimants(keys.uid_of_key(key))
            if not claimants:
                raise ReportError("unknown troop key")
            return metadata.id_of[claimants[0]], claimants[0]
        if not isinstance(troop, int) or troop not in metadata.uid_of:
            raise ReportError(f"unknown troop {keys.shown(troop)}")
        return troop, metadata.uid_of[troop]

    def _resolve_or_create(
        self, created: Callable[[Troop], None], troop: int | None, uid: str | None, key: str | None
    ) -> tuple[int, str]:
        try:
            return self._resolve(troop, uid, key)
        except ReportError:
            taken = (uid or key) and troop in self._metadata.uid_of
            try:
                made = self.troops.create(uid=uid or None, key=None if uid else key, id=None if taken else troop)
            except ExistsError:
                return self._resolve(troop, uid, key)
        created(msgspec.structs.replace(made, key=None) if key else made)
        return made.id, made.uid

    def report(
        self,
        troop: int,
        scout: int,
        report: str,
        data: Any,
        *,
        t: Time | None = None,
        boot: int | None = None,
        ms: int | None = None,
    ) -> Point:
        """Store one reading; when it returns the reading is durable.

        Args:
            data: any JSON value; or :class:`msgspec.Raw`, JSON text to be kept as it is.
            t: when: int µs since the Unix epoch, or an aware datetime; now, where it is left out.
            boot, ms: the scout's flag of this boot and its own clock: both or none. They tell a reading that is heard
                twice.

        Raises:
            ReportError: something in it is wrong, or the troop is unknown.
            StorageError: it could not be stored.
        """
        point = parsed(scout, report, data, troop, None, None, t, boot, ms)
        return self._submit(partial(self._append_point, self._gatherer.find(point.name), point))

    def _append_point(self, series: Series, point: Parsed, commit: Commit) -> Point:
        stored = self._appender.append_point(commit, series, point)
        if self._hub.watchers and self._shows(series, stored.t):
            commit.events.append(stored)
        return stored

    def ingest(
        self,
        source: BinaryIO | bytes | str | os.PathLike[str] | Iterable[Any],
        *,
        strict: bool = False,
        create_troops: Callable[[Troop], None] | None = None,
        progress: Callable[[IngestResult, int], None] | None = None,
    ) -> IngestResult:
        """Store many reports, in commits of some 50,000, each durable before the next begins.

        Args:
            source: NDJSON as bytes, a path, or a binary file or pipe; or an iterable of dicts (with the names that
                :meth:`report` takes, and ``uid`` or ``key`` instead of ``troop``) or :class:`Point`.
            strict: refuse everything where anything is wrong; takes memory for all of it.
            create_troops: a report for a troop that is unknown creates it, by its uid, its key or as its id, and this
                is called with it; with its ``key`` where one was made: it is shown here only.
            progress: called after each commit with the result so far and the bytes (or items) taken.

        Returns:
            how many were accepted and rejected, and why.

        Raises:
            IngestError: *strict*, and a report is wrong; nothing went in.
            StorageError: what the last call of *progress* counted is stored, of the rest nothing.
        """
        result = IngestResult()
        gatherer = self._gatherer
        if create_troops is not None:
            gatherer = self._new_gatherer(partial(self._resolve_or_create, create_troops))
        batches = self._batches(source, result, gatherer)
        if strict:
            taken = list(batches)
            if result.errors:
                raise IngestError(*result.errors[0])

            def work(commit: Commit) -> None:
                for batch, _ in taken:
                    self._append(commit, batch)

            self._submit(work)
            result.accepted = sum(len(batch.codes) for batch, _ in taken)
            return result
        for batch, size in batches:
            if batch.codes:
                self._submit(lambda commit, batch=batch: self._append(commit, batch))  # type: ignore[misc]
                result.accepted += len(batch.codes)
            if progress:
                progress(result, size)
        return result

    def ingest_columns(
        self,
        series: Sequence[tuple[int, int, str]],
        codes: Column,
        t: Column | None,
        data: Column | bytes,
        *,
        boot: Column | None = None,
        ms: Column | None = None,
        strict: bool = False,
    ) -> IngestResult:
        """Store many reports given as columns, NumPy arrays or other buffers, in commits of up to 50,000.

        Args:
            series: (troop, scout, report) of each series.
            codes: which of these each report is of, from 0.
            t: when, in µs since the Unix epoch; or None: now.
            data: a column of numbers; or the text of a JSON array that has an item for each report.
            boot, ms: the scouts' own clocks, both or none.
            strict: refuse everything where anything is wrong.

        Returns:
            how many were accepted and rejected, and why; reports are counted from 1.

        Raises:
            InvalidError: columns of unequal length, or something that is no such column.
            IngestError: *strict*, and a report is wrong; nothing went in.
            StorageError: what was committed before is stored, of the rest nothing.
        """
        result = IngestResult()
        columns = Columns(series, codes, t, data, boot, ms)
        if strict:
            part, bad = columns.part(0, len(columns))
            batch = self._gatherer.rows(part, [], bad, 1, result)
            if result.errors:
                raise IngestError(*result.errors[0])
            self._submit(lambda commit: self._append(commit, batch))
            result.accepted = len(batch.codes)
            return result
        for begin, part, bad in columns.groups():
            batch = self._gatherer.rows(part, [], bad, begin + 1, result)
            self._submit(lambda commit, batch=batch: self._append(commit, batch))  # type: ignore[misc]
            result.accepted += len(batch.codes)
        return result

    def _batches(self, source: Any, result: IngestResult, gatherer: Gatherer) -> Iterator[tuple[Batch, int]]:
        if isinstance(source, (str, os.PathLike)):
            with Path(source).open("rb") as file:
                yield from self._batches(file, result, gatherer)
            return
        if isinstance(source, (bytes, bytearray, memoryview)):
            source = io.BytesIO(source)
        if hasattr(source, "read"):
            many, line = False, 1
            for chunk in read_chunks(source, less=lambda: many):  # noqa: B023
                batch, ends = gatherer.lines(chunk, line, result)
                line += ends
                many = len(batch.series) > (FEW_SERIES if many else MANY_SERIES)
                yield batch, len(chunk)
            return
        items = iter(source)
        first = 1
        while some := list(islice(items, BATCH_ITEMS)):
            yield gatherer.items(some, first, result), len(some)
            first += len(some)

    def _append(self, commit: Commit, batch: Batch) -> None:
        self._appender.append(commit, batch)
        if self._hub.watchers:
            commit.events += self._visible(batch.points, batch.codes, batch.series)

    def _visible(self, points: PointColumns, codes: Any, series: list[Series]) -> list[Event]:
        texts = cut(points.data, points.starts, points.ends)
        columns = zip(codes, points.t, texts, points.clocked, points.boot, points.ms, strict=True)
        return [
            Point(*series[code], t, text, boot if clocked else None, ms if clocked else None)  # type: ignore[call-arg]
            for code, t, text, clocked, boot, ms in columns
            if self._shows(series[code], t)
        ]

    def _shows(self, series: Series, t: int) -> bool:
        return t >= self._retention.floor(series.report) and not self._metadata.is_deleted(series.troop, series.scout)

    # --- reading ------------------------------------------------------------------------------------------------------

    def last(self, troop: int, scout: int, report: str) -> Point | None:
        """The last value of a report, or None: also where the troop or scout is deleted.

        Raises:
            NotFoundError: no such troop.
        """
        metadata = self._metadata
        uid = metadata.uid_of.get(troop) or metadata.uid(troop)
        record = self._store.get(keys.VIEW + keys.row_suffix(troop, scout, report))
        if record is None or metadata.is_deleted(troop, scout):
            return None
        return last_point(record, troop, uid, scout, report)

    def history(
        self,
        troop: int,
        scout: int,
        report: str,
        *,
        start: Time | None = None,
        end: Time | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> History:
        """The points of a report in time order.

        Args:
            start, end: the half-open range of ``t``: int µs since the Unix epoch, or aware datetimes.
            reverse: the newest first.
            limit: at most so many points.

        Raises:
            NotFoundError: no such troop.
        """
        uid = self._metadata.uid(troop)
        if limit is not None and limit < 0:
            raise InvalidError(f"limit is not negative, but {limit}")
        series = HistorySeries(
            troop,
            uid,
            keys.check_number("scout", scout),
            keys.check_report(report),
            INT64_MIN if start is None else microseconds(start, "start"),
            INT64_MAX + 1 if end is None else microseconds(end, "end"),
        )
        hidden = self._metadata.is_deleted(troop, scout)
        logs = self._logs
        return History(
            self._store, lambda number: logs.by_number[number].uuid, None if hidden else series, reverse, limit
        )

    @overload
    def snapshot(self, troop: int) -> TroopSnapshot: ...
    @overload
    def snapshot(self, troop: None = None) -> dict[int, TroopSnapshot]: ...
    def snapshot(self, troop: int | None = None) -> TroopSnapshot | dict[int, TroopSnapshot]:
        """The current values of a mesh, or of all, by troop id: metadata, scouts, and the last value of every report.

        Raises:
            NotFoundError: no such troop, or it is deleted.
        """
        if troop is None:
            return {one.id: _nested(one, self._current(one.id)) for one in self.troops}
        return _nested(self.troops.get(troop), self._current(troop))

    def _current(self, troop: int | None, scout: int | None = None) -> Iterator[Event]:
        """The current values as events, in key order, what is deleted left out; one contiguous read."""
        if troop is None:
            prefix = keys.VIEW
        elif scout is None:
            prefix = keys.troop_view(troop)
        else:
            prefix = keys.scout_view(troop, scout)
        return self._events(self._store.scan(prefix, keys.after(prefix)))

    def _events(self, records: Iterator[tuple[bytes, bytes]]) -> Iterator[Event]:
        metadata = self._metadata
        for key, record in records:
            troop, scout, report = keys.parse_view(key)
            if metadata.is_deleted(troop, scout):
                continue
            if scout is None:
                yield troop_of(troop, registers.load(record))
            elif report is None:
                yield scout_of(troop, scout, registers.load(record))
            else:
                point = last_point(record, troop, metadata.uid_of[troop], scout, report)
                if point is not None:
                    yield point

    def watch(self, troop: int | None = None, scout: int | None = None) -> Watch:
        """The current values of a troop, a scout of it, or everything; a :class:`Synced` marker; then what happens.

        Raises:
            NotFoundError: no such troop.
        """
        if troop is not None:
            self._metadata.uid(troop)
        elif scout is not None:
            raise InvalidError("a scout is watched in a troop: give both")
        if scout is not None:
            keys.check_number("scout", scout)
        with self._between_commits():  # nothing may happen between the current values and what follows
            watch = Watch(self._hub, troop, scout, self._current(troop, scout))
            self._hub.add(watch)
        return watch

    def receptions(self, troop: int, scout: int, report: str, *, boot: int, ms: int) -> list[Reception]:
        """Every arrival of one reading, at whatever gateway, the one that history shows first.

        Raises:
            NotFoundError: no such troop.
        """
        uid = self._metadata.uid(troop)
        check_clock(boot, ms)
        row = self._rows.read(self._store, troop, uid, scout, report)
        if row is None or self._metadata.is_deleted(troop, scout):
            return []
        return self._views.receptions(Commit(self._store), row, boot, ms)

    def dump(self) -> Iterator[dict[str, Any]]:
        """The canonical content, item by item: the same on every replica that holds the same changes.

        Troops by uid, with their fields; scouts by number; reports by name with last value and history. No local
        ids, stamps or log names; what is deleted is left out.
        """
        metadata = self._metadata
        for uid, troop in sorted(metadata.id_of.items()):
            if metadata.is_deleted(troop):
                continue
            for event in self._current(troop):
                if isinstance(event, Troop):
                    yield {"uid": uid, "fields": event.fields}
                elif isinstance(event, Scout):
                    yield {"uid": uid, "scout": event.id, "fields": event.fields}
                elif isinstance(event, Point):
                    yield {"uid": uid, "scout": event.scout, "report": event.report, "last": _plain(event)}
                    for point in self.history(troop, event.scout, event.report):
                        yield {"uid": uid, "scout": event.scout, "report": event.report, "point": _plain(point)}

    def counts(self) -> Iterator[tuple[int, int, str, int, int]]:
        """Troop, scout, report, points and receptions of every row that is not deleted."""
        for troop, scout, report, record in self._row_records():
            points, receptions = counts(record)
            if receptions:
                yield troop, scout, report, points, receptions

    def _row_records(self) -> Iterator[tuple[int, int, str, bytes]]:
        for key, record in self._store.scan(keys.VIEW, keys.after(keys.VIEW)):
            troop, scout, report = keys.parse_view(key)
            if scout is not None and report is not None and not self._metadata.is_deleted(troop, scout):
                yield troop, scout, report, record

    def stats(self) -> Stats:
        """Counts and sizes: per troop, per log, and on disk."""
        now = self._now()
        found = {troop.id: [len(self.scouts.list(troop.id)), 0, 0, 0, 0] for troop in self.troops}
        for troop, _, _, record in self._row_records():
            points, receptions = counts(record)
            if receptions and troop in found:
                for index, more in enumerate((1, points, receptions, is_ahead(record, now)), 1):
                    found[troop][index] += more
        logs = [
            LogStats(
                str(uuids.UUID(bytes=log.uuid)),
                log is self._logs.own,
                log.base,
                log.head,
                log.packed.last,
                log.missing,
            )
            for log in self._logs.by_number
        ]
        return Stats(
            self.id,
            [TroopStats(troop, self._metadata.uid(troop), *counted) for troop, counted in found.items()],
            logs,
            bytes_under(self._directory.leveldb) if self._directory else None,
            bytes_under(self._directory.changes) if self._directory else None,
            self.packer.stats() if self.packer else None,
        )

    def sync(
        self,
        url: str,
        *,
        live: bool = False,
        pull: bool = True,
        push: bool = True,
        from_base: bool = False,
        secret: bytes | None = None,
        tls: Tls | None = None,
        limits: Limits | None = None,
    ) -> Sync:
        """Bring this database and another to the same state, in the background; nothing is ever sent twice for it.

        Args:
            url: where the other is served: ``tcp://host:port``, ``tls://host:port``, or ``exec:command``, a program
                that speaks on its standard input and output, such as ``exec:ssh gateway scoutcore sync --stdio DB``.
            live: stay, bring over what happens from then on, and connect again when the connection is lost.
            pull, push: take what the other has; give what is here.
            from_base: begin a log whose oldest changes the other has dropped behind those.
            secret: what both sides know, 16 bytes or more: strangers are kept out. It neither hides nor protects what
                is sent: use TLS or ssh across networks.
            tls: certificates, for ``tls://``.
            limits: what the peer may cost.

        Returns:
            a handle: wait for it, iterate over its events, cancel it.

        Raises:
            InvalidError: an argument that cannot be right.
        """
        replication: Any = import_module("scoutcore.replication")  # which builds on this module
        options = replication.options(live, pull, push, from_base, secret, limits)
        return replication.Sync(self, url, options, tls)  # type: ignore[no-any-return]

    def serve(
        self,
        url: str | Sequence[str] = "tcp://127.0.0.1:4747",
        *,
        pull: bool = True,
        push: bool = True,
        from_base: bool = False,
        secret: bytes | None = None,
        tls: Tls | None = None,
        limits: Limits | None = None,
    ) -> Server:
        """Let others sync with this database, any number at once, in the background; arguments as of :meth:`sync`.

        Args:
            url: where to listen, or several; port 0 stands for one that is free. From elsewhere than this machine
                nobody can connect without a *secret*, or *tls* that asks for certificates.

        Returns:
            a handle; ``addresses`` says where it listens.

        Raises:
            InvalidError: an argument that cannot be right. SyncError: it cannot listen there.
        """
        replication: Any = import_module("scoutcore.replication")
        options = replication.options(True, pull, push, from_base, secret, limits)
        return replication.Server(self, [url] if isinstance(url, str) else list(url), options, tls)  # type: ignore[no-any-return]

    def export_changes(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        *,
        log: str | None = None,
        first: int = 1,
        progress: Callable[[int, int], None] | None = None,
    ) -> ExportResult:
        """Give away all that is here, as files; it is packed first, and every interval is compared with its check.

        Args:
            target: a directory, made if need be, for changes files in a directory of each log; or a binary stream, for
                one dat stream.
            log: the uuid of the only log that is meant.
            first: begin at the keyframe before this change of it.
            progress: called with the bytes written and those that there are.

        Raises:
            InvalidError: an argument that cannot be right, or a database in memory.
            NotFoundError: no such log or change.
            StorageError: the disk refuses. CorruptError: a changes file is damaged.
        """
        replication: Any = import_module("scoutcore.replication")
        return replication.export_changes(  # type: ignore[no-any-return]
            self, target, log=log, first=first, progress=progress
        )

    def import_changes(
        self,
        *sources: str | os.PathLike[str] | BinaryIO,
        from_base: bool = False,
        limits: Limits | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> ImportResult:
        """Take what files hold of any logs: changes files and dat streams, in any order, as often as one likes.

        What follows what is here is added, as from a peer; what is here already is compared. The rest is reported. What
        was taken is safe against power loss when this returns.

        Args:
            sources: files; directories, of which all ``*.changes`` and ``*.dat`` are taken, however deep; binary
                streams. Symbolic links are not followed.
            from_base: begin a log whose oldest changes are neither here nor in the files behind those.
            limits: what all of them may cost.
            progress: called with the bytes done and those to do.

        Returns:
            how much was taken, which changes are missing, and what is damaged.

        Raises:
            InvalidError: a source that is a link, or no file. NotFoundError: a directory without any.
            OSError: a source cannot be read.
            StorageError: the disk refuses; what was taken before that stays.
        """
        replication: Any = import_module("scoutcore.replication")
        return replication.import_changes(  # type: ignore[no-any-return]
            self, sources, from_base=from_base, limits=limits, progress=progress
        )

    def drop_changes(self, before: Time) -> int:
        """Delete the oldest changes files here, of every log, in which all was written before a time.

        What they brought still shows, but views that are built anew after damage have only the metadata of it, and
        nobody can replicate it from here. Other databases keep theirs. The newest file of a log always stays.

        Args:
            before: int µs since the Unix epoch, or an aware datetime, by the clocks of those who wrote.

        Returns:
            the number of changes dropped.

        Raises:
            CorruptError: a file is damaged; those before it are dropped.
            StorageError: the disk refuses.
        """
        t = microseconds(before, "before")
        if self._directory is None:
            raise InvalidError("a database in memory has no changes files")
        with self._drop_lock:
            return sum(self._drop(log.uuid, self._directory.changes, t) for log in list(self._logs.by_number))

    def _drop(self, uuid: bytes, changes: Path, before: int) -> int:
        directory = changes / str(uuids.UUID(bytes=uuid))
        begin = self._logs.get(uuid).base
        try:
            while found := dropping.droppable(directory, log := self._logs.get(uuid), before):
                file, last = found
                dropping.keep_metadata(log, file)
                dropping.keep_digest(log, file, last)
                self._submit(lambda commit, last=last: self._logs.set_base(commit, uuid, last))  # type: ignore[misc]
                dropping.delete_dropped(directory, self._logs.get(uuid))
        except OSError as problem:
            raise StorageError(f"cannot drop files in {directory}: {problem.strerror or problem}") from problem
        return self._logs.get(uuid).base - begin

    @property
    def retention(self) -> list[Rule]:
        """How long readings are kept: the rule for every report first, then those for some; see :meth:`retain`."""
        return self._retention.rules()

    def retain(self, keep: timedelta | None, *, report: str | None = None) -> int:
        """Keep readings for so long, by their own ``t`` and this machine's clock, to the minute.

        What is older expires: at once, whenever it is received, and as time goes by. It is gone from the views, and
        from those that are built anew; the log keeps it.

        Args:
            keep: ``timedelta.max``: for ever; None: no rule, and what has expired stays so.
            report: the report's name; None: every report that has no rule of its own.

        Returns:
            how many receptions expired at once.

        Raises:
            InvalidError: something else than these.
            StorageError: it could not be stored; or not all expired yet: that goes on later.
        """

        def change() -> None:
            self._retention.retain(keep, report)
            self._retention.advance(self._now())

        went = self._keeper.apply(change)
        self._keeper.watch_the_clock()
        return went

    def expire(self, *, before: Time | None = None, report: str | None = None, compact: bool = False) -> int:
        """Let readings expire whose ``t`` is before a time, now and whenever some are received; and what rules say.

        Args:
            before: int µs since the Unix epoch, or an aware datetime; None: only what the rules of :meth:`retain` say.
            report: the report's name; None: every report.
            compact: have LevelDB give the space back now, rather than as it goes along.

        Returns:
            how many receptions expired.

        Raises:
            StorageError: not all expired yet: that goes on later.
        """
        t = None if before is None else microseconds(before, "before")
        went = self._keeper.apply(lambda: self._retention.advance(self._now(), t, report))
        if compact:
            for section in (keys.HISTORY, keys.CLOCK):
                self._store.compact(section, keys.after(section))
        return went

    def pack(self) -> int:
        """Move all that the log holds now into changes files; returns the number of changes moved.

        Raises:
            StorageError: the disk refuses; nothing is lost.
        """
        if self.packer is None:
            raise InvalidError("a database in memory is not packed")
        return self.packer.pack()

    def verify(self, *, views: bool = False, progress: Callable[[int], None] | None = None) -> Verification:
        """Recompute every check of all logs, and see that they are whole; others may read and write meanwhile.

        Args:
            views: also build last values, history and metadata anew from the logs, beside the database, and compare.
            progress: told how many bytes of logs more were read; with *views* they are read twice.

        Returns:
            what was found; ``ok`` says whether all is well. Behind damage it goes on where it can.

        Raises:
            StorageError: the disk or LevelDB refuses.
        """
        directory = self._directory.changes if self._directory else None
        leveldb = str(self._directory.leveldb) if self._directory else "memory"
        progress = progress or (lambda _: None)
        try:
            logs = list(self._logs.by_number)
            found = [checking.verify_log(self._logs, log, directory, leveldb, progress) for log in logs]
            strays = checking.strays(self._logs, directory) if directory else []
        except OSError as problem:
            raise StorageError(f"cannot verify {self._directory}: {problem.strerror or problem}") from problem
        compared, skipped = None, None
        if views and not any(log.damages for log in found):
            compared, skipped = self._verify_views(progress)
        elif views:
            skipped = "a log is damaged"
        return Verification(found, strays, compared, skipped)

    def _verify_views(self, progress: Callable[[int], None]) -> tuple[ViewsVerified | None, str | None]:
        directory = self._directory.changes if self._directory else None
        with self._keeper.held():  # what has expired is the same in both
            with self._between_commits():
                logs = self._logs
                taken = checking.snapshot(self._store, logs)
            if any(log.base > log.origin for log in logs.by_number):
                return None, "changes were dropped, and what was in them cannot be read again"

            def source(log: Log) -> Iterator[ChangeColumns]:
                return changes_of(logs, logs.get(log.uuid), directory, taken.heads[log.uuid], progress)

            with self._directory.scratch() if self._directory else nullcontext() as path:
                store = MemoryStore() if path is None else create(path)
                try:
                    store.write(dict(taken.states), sync=False)
                    build(store, self._identity, self._retention, source)
                    return checking.compare(taken, store), None
                finally:
                    store.close()


def _plain(point: Point) -> dict[str, Any]:
    return {"t": point.t, "boot": point.boot, "ms": point.ms, "data": point.raw.decode()}


def _nested(troop: Troop, events: Iterator[Event]) -> TroopSnapshot:
    scouts: dict[int, ScoutSnapshot] = {}
    for event in events:
        if isinstance(event, Scout):
            scouts[event.id] = ScoutSnapshot(event, {})
        elif isinstance(event, Point):
            if event.scout not in scouts:
                scouts[event.scout] = ScoutSnapshot(Scout(event.troop, event.scout, {}), {})
            scouts[event.scout].reports[event.report] = event
    return TroopSnapshot(troop, scouts)
