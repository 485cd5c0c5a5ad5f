"""Repairing a database: LevelDB is built anew where it cannot be used, damage in changes files is passed over.

Everything that can be read shows again. What cannot is known as missing, and asked for from peers.
"""

from __future__ import annotations

import os
import shutil
import uuid as uuids
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

from scoutcore import changes, checking, codec, dropping, keys
from scoutcore.apply import by_subset
from scoutcore.changes import Damage, Position, Verified, Verifier
from scoutcore.codec.columns import ChangeColumns
from scoutcore.directory import Directory, sync_directory
from scoutcore.errors import CorruptError, Error, FormatError, NotFoundError, StorageError
from scoutcore.log import OWN, Gap, Log, Logs
from scoutcore.recovery import BUILT, build, open_store
from scoutcore.retention import Retention
from scoutcore.salvage import salvage
from scoutcore.source import Cursor, changes_of
from scoutcore.store import Store
from scoutcore.store.leveldb import create

_BEGUN: Final = "db.begun"
"""The new LevelDB, while it is built."""
_COPY: Final = "db.read"
"""A copy of the old one, for the process that reads what it yields."""
_STEP_BYTES: Final = 4 * 1024 * 1024

Progress = Callable[[int], None]


@dataclass
class Repaired:
    """What repairing a database did."""

    rebuilt: bool = False
    """Whether LevelDB was built anew."""
    messages: list[str] = field(default_factory=list)
    """What was done, and what was lost."""
    damages: list[Damage] = field(default_factory=list)
    """What is damaged in changes files: it is asked for from peers."""

    @property
    def missing(self) -> int:
        """How many changes cannot be read."""
        return sum(one.last - one.first + 1 for one in self.damages if one.first and one.last)


def repair(path: str | os.PathLike[str], progress: Progress | None = None, *, views: bool = False) -> Repaired:
    """Repair the database in directory *path*, which nobody has open. Interrupted anywhere, it can be done again.

    Args:
        path: of the database.
        progress: told how many bytes of changes files more were verified, and then of logs applied.
        views: build LevelDB anew also where it can be used, as its views are not what the logs say; not while changes
            are missing, of which they may still show the readings.

    Raises:
        NotFoundError: there is none. LockedError: another process has it open. FormatError: it is something else.
        StorageError: the disk refuses.
    """
    place = Path(path)
    if not any((place / name).exists() for name in ("format", "db", "changes", BUILT)):
        raise NotFoundError(f"no scoutcore database at {place}")
    directory = Directory(place)
    try:
        return _Repair(directory, progress or (lambda _: None)).run(views)
    except OSError as problem:
        raise StorageError(f"cannot repair {place}: {problem.strerror or problem}") from problem
    finally:
        directory.close()


class _Repair:
    def __init__(self, directory: Directory, progress: Progress) -> None:
        self._directory = directory
        self._progress = progress
        self._result = Repaired()
        self._begun = directory.path / _BEGUN
        self._done = directory.path / BUILT
        self._copy = directory.path / _COPY

    def run(self, views: bool) -> Repaired:
        for leftover in (self._begun, self._copy):
            shutil.rmtree(leftover, ignore_errors=True)
        if self._done.exists():
            self._replace()
        self._rules()
        problem = self._problem()
        if problem is None and views:
            if self._result.missing:
                self._result.messages.append(
                    "the views are not built anew: they show readings of changes that are missing"
                )
            else:
                problem = "the views are built anew, as asked"
        if problem is not None:
            self._result.messages.append(problem)
            self._result.rebuilt = True
            self._rebuild()
            self._replace()
        return self._result

    def _rules(self) -> None:
        """Put the file of rules aside where it cannot be read: opening has them from LevelDB."""
        file = self._directory.retention
        try:
            Retention(file)
        except FormatError as problem:
            aside = _free(file)
            file.rename(aside)
            self._result.messages.append(f"{problem}: it is kept in {aside}")

    def _problem(self) -> str | None:
        """Note what is damaged in the files, and say why LevelDB cannot be used as it is; None: it can."""
        try:
            store, messages = open_store(self._directory)
        except (Error, ValueError, LookupError) as problem:
            return f"LevelDB cannot be used: {problem}"
        self._result.messages += messages
        try:
            for _ in store.scan(b"", b"\xff"):
                pass
            logs = Logs(store, self._directory.identity)
            strays = checking.strays(logs, self._directory.changes)
            if strays:
                return str(strays[0])
            for log in logs.by_number:
                self._note(store, logs, log)
        except (StorageError, ValueError, LookupError) as problem:
            self._result.damages.clear()
            return f"LevelDB cannot be used: {problem}"
        finally:
            store.close()
        return None

    def _note(self, store: Store, logs: Logs, log: Log) -> None:
        """Record the gaps that damage to a log's files makes."""
        path = self._directory.changes / str(uuids.UUID(bytes=log.uuid))
        self._kept(log, path)
        if log.packed.last <= log.base:
            return
        found = checking.verify_files(log, path, log.packed, self._progress)
        damages = _unproven(found)
        gaps = _gaps(damages, log.packed.last, log.gaps, shown=True)
        self._result.damages += damages
        if gaps == log.gaps:
            return
        log.gaps = gaps
        puts: dict[bytes, bytes | None] = {keys.GAPS + log.uuid: log.dump_gaps()}
        if log is logs.own:
            puts[OWN] = log.uuid + bytes(16)  # what comes next goes to a new log, as others may fill this one
        store.write(puts, sync=True)

    def _kept(self, log: Log, path: Path) -> None:
        """Put the metadata of dropped files aside where it is damaged."""
        kept = path / dropping.KEPT
        try:
            dropping.kept_metadata(log, path)
        except CorruptError as problem:
            kept.rename(_free(kept))
            self._result.messages.append(f"{problem}: the metadata of dropped files is lost")

    # --- building anew ------------------------------------------------------------------------------------------------

    def _rebuild(self) -> None:
        store = create(self._begun)
        try:
            found = self._verified()
            self._take_over(store, found)
            logs = Logs(store, self._directory.identity)
            last_own = (store.get(OWN) or b"")[:16]
            # Ours first: it gives troops the ids that they had here.
            order = sorted(logs.by_number, key=lambda log: log.uuid != last_own)
            retention = Retention(self._directory.retention)
            build(store, self._directory.identity, retention, lambda log: self._changes(logs, log), order)
            store.publish()
        finally:
            store.close()
        self._begun.rename(self._done)
        sync_directory(self._directory.path)

    def _changes(self, logs: Logs, log: Log) -> Iterator[ChangeColumns]:
        path = self._directory.changes / str(uuids.UUID(bytes=log.uuid))
        self._kept(log, path)
        kept = [dropping.kept_metadata(log, path)]
        return chain(kept, changes_of(logs, log, self._directory.changes, progress=self._progress))

    def _verified(self) -> dict[bytes, Verified]:
        """What the changes files hold, by log."""
        found = {}
        for path in sorted({path.parent for path in self._directory.changes.glob("*/*.changes")}):
            try:
                uuid = uuids.UUID(path.name).bytes
            except ValueError:
                self._result.messages.append(f"{path} is named by no log")
                continue
            files = changes.files_of(path)
            # Where the oldest were dropped, and the newest has no check yet, it says nothing of what was before.
            before = dropping.kept_digest(Log(uuid, 0, base=dropping.first_of(files[0]) - 1), path) if files else None
            found[uuid] = Verifier(files, uuid=uuid, before=before, progress=self._progress).verify()
        return found

    def _take_over(self, store: Store, found: dict[bytes, Verified]) -> None:
        """Put into the new LevelDB what the old one yields, and what the files say of their logs."""
        old: dict[bytes, bytes] = {}
        logs_section = (keys.LOG_SENSOR, keys.LOG_TROOP)
        if self._directory.leveldb.exists():
            shutil.copytree(self._directory.leveldb, self._copy)
            puts: dict[bytes, bytes | None] = {}
            size = 0
            for key, value in salvage(self._copy):
                if not key.startswith(logs_section):
                    old[key] = value
                    continue
                puts[key] = value
                size += len(value)
                if size > _STEP_BYTES:
                    store.write(puts, sync=False)
                    puts, size = {}, 0
            store.write(puts, sync=False)
            shutil.rmtree(self._copy)
        kept = (keys.TROOP_UID, keys.META + b"next", keys.UNREAD)
        store.write({key: value for key, value in old.items() if key.startswith(kept)}, sync=False)
        known = _known(old)
        own = old.get(OWN)
        if own and own[:16] in known:
            store.write({OWN: own[:16] + bytes(16)}, sync=False)  # it has ended: what was lost of it, others may have
        for number, uuid in enumerate([*known, *sorted(found.keys() - known.keys())]):
            log = known.get(uuid) or Log(uuid, number)
            log.number = number
            self._begin(store, log, found.get(uuid))

    def _begin(self, store: Store, log: Log, found: Verified | None) -> None:
        """Put a log's records into the new LevelDB; its chunks are there."""
        path = self._directory.changes / str(uuids.UUID(bytes=log.uuid))
        damages: list[Damage] = []
        gaps, whole = log.gaps, False
        if found and found.position.last >= log.packed.last:
            log.packed, whole = found.position, not found.damages
            if found.damages and found.damages[-1].last is None and found.damages[-1].first:
                self._result.messages.append(str(found.damages[-1]))
                _set_aside(path, found.position)
        if found and found.first is not None:
            first = int(changes.files_of(path)[0].stem)
            log.base = first - 1
            if not log.origin and uuids.UUID(bytes=log.uuid).version == 8:
                log.origin = first - 1  # the rest of a log that went two ways, which knew no other beginning
        if not whole and log.packed.last > log.base:
            damages = _unproven(checking.verify_files(log, path, log.packed, self._progress))
        log.gaps = _gaps(damages, log.packed.last, gaps, shown=False)
        self._result.damages += damages
        store.write({log.state_key: log.dump(), keys.PACKED + log.uuid: log.packed.dump()}, sync=False)
        store.write({keys.GAPS + log.uuid: log.dump_gaps()}, sync=False)
        self._settle(store, log)

    def _settle(self, store: Store, log: Log) -> None:
        """Find the last change from which on back none is missing; the chunks behind it go."""
        logs = Logs(store, self._directory.identity)
        log = logs.get(log.uuid)
        last = log.packed.last
        puts: dict[bytes, bytes | None] = {}
        for first, end, key, frames in logs.chunks(log, 0):
            missing = next((gap for gap in log.gaps if gap.first <= first and end <= gap.have), None)
            if missing is not None:
                continue
            if first <= last + 1 <= end and (rest := _behind(frames, first, end, last)):
                subset, more = rest
                if first <= last:
                    puts[key] = None
                    puts[log.chunk_key(subset, last + 1, end)] = more
                last = end
                log.keep_tail(more)
            else:
                puts[key] = None
        lost = max(log.head, last) - last
        if lost:
            name = uuids.UUID(bytes=log.uuid)
            self._result.messages.append(f"log {name} was cut behind change {last}: {lost} changes are lost here")
        log.head = last
        if last == log.packed.last:
            self._find_tail(logs, log)
        store.write({**puts, log.state_key: log.dump()}, sync=False)

    def _find_tail(self, logs: Logs, log: Log) -> None:
        log.tail = b""
        if log.head <= log.base or (log.gaps and log.gaps[-1].last == log.head):
            return
        cursor = Cursor(logs, log, self._directory.changes, log.head - 1)
        try:
            log.keep_tail(cursor.read(log.head, 1)[0])
        finally:
            cursor.close()

    def _replace(self) -> None:
        """Let the new LevelDB take the place of the old one, which is kept."""
        old = self._directory.leveldb
        if old.exists():
            aside = _free(old)
            old.rename(aside)
            self._result.messages.append(f"what there was is kept in {aside}")
        self._done.rename(old)
        sync_directory(self._directory.path)


def _known(old: dict[bytes, bytes]) -> dict[bytes, Log]:
    """The logs of which the old LevelDB tells, in the order of their numbers."""
    logs = []
    for key, value in old.items():
        uuid = key[len(keys.LOG_STATE) :]
        if key.startswith(keys.LOG_STATE) and len(uuid) == 16:
            log = Log.load(uuid, value, old.get(keys.PACKED + uuid))
            log.gaps = Gap.load(old.get(keys.GAPS + uuid))
            logs.append(log)
    return {log.uuid: log for log in sorted(logs, key=lambda log: log.number)}


def _unproven(found: Verified) -> list[Damage]:
    """What cannot be used: where the open interval lost its end, nothing tells whether the rest of it is right."""
    begin = found.open_first
    return [
        one if begin is None or one.first is None else one._replace(first=min(one.first, begin))
        for one in found.damages
    ]


def _gaps(damages: list[Damage], last: int, before: list[Gap], *, shown: bool) -> list[Gap]:
    """The gaps that *damages* make; what had come again of those there were *before* stays, also where it was shown."""
    gaps = []
    for one in damages:
        if one.first is None:
            continue
        known = next((gap for gap in before if (gap.first, gap.last) == (one.first, one.last or last)), None)
        if known:
            gaps.append(known._replace(shown=known.shown and shown))
        else:
            gaps.append(Gap(one.first, one.first - 1, one.last or last, shown))
    return gaps


def _behind(frames: bytes, first: int, end: int, last: int) -> tuple[str, bytes] | None:
    """The subset, and the frames behind change *last*, of a chunk; None: it is not what its key says."""
    try:
        found = codec.scan_frames(frames)
        columns = codec.decode_changes(frames, found)
        subsets = {subset for subset, _ in by_subset(columns)}
    except Error:
        return None
    if found.consumed != len(frames) or columns.change.tolist() != list(range(first, end + 1)) or len(subsets) != 1:
        return None
    return subsets.pop(), frames[found.ends[last - first] if last >= first else 0 :]


def _set_aside(path: Path, position: Position) -> None:
    """Keep a copy of what cannot be read behind *position*, and cut it off: the log ends there."""
    for file in changes.files_of(path):
        if int(file.stem) > position.file:
            file.rename(_free(file))
        elif int(file.stem) == position.file and file.stat().st_size > position.size:
            shutil.copyfile(file, _free(file))
            os.truncate(file, position.size)


def _free(path: Path) -> Path:
    """A name for what is put aside."""
    number = 1
    while (free := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return free
