"""Opening after damage: cut every log at its first gap, and build the views anew from the logs."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import uuid as uuids
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Final

from scoutcore import changes, codec, dropping, forks, keys
from scoutcore.apply import Applier, by_subset
from scoutcore.chunk_puts import puts_of_chunk
from scoutcore.clock import WriteClock
from scoutcore.codec.columns import ChangeColumns
from scoutcore.codec.constants import BLOCK_CODECS
from scoutcore.commit import Commit
from scoutcore.directory import Directory, write_file
from scoutcore.errors import CorruptError, StorageError, TruncatedError
from scoutcore.log import Log, Logs
from scoutcore.metadata import Metadata
from scoutcore.retention import APPLIED, Retention
from scoutcore.rows import Rows
from scoutcore.source import changes_of
from scoutcore.store import Store
from scoutcore.store.grouped import GroupedStore
from scoutcore.store.journal import JournaledStore
from scoutcore.store.leveldb import DamagedError, LevelDBStore, create
from scoutcore.views import Views

_VIEWS: Final = (keys.VIEW, keys.HISTORY, keys.CLOCK, keys.DELETED, keys.KEY_DIGEST)
_STEP: Final = 10_000
BUILT: Final = "db.built"
"""A LevelDB that was built anew, whole, while it is about to take the place of the old one."""
_MENDING: Final = keys.META + b"mending"
"""There while a database is being mended: what there is to say of it."""
DIRECT: Final = (keys.PACKED, keys.after(keys.LOG_TROOP))
"""The keys that the journal does not gather: how far logs are packed, and their chunks.

Who misses a chunk in LevelDB is to find at once that it is packed.
"""
_log = logging.getLogger("scoutcore")


def open_store(directory: Directory) -> tuple[Store, list[str]]:
    """The directory's LevelDB, mended where it has to be, and what was cut off to mend it.

    Raises:
        StorageError: it cannot be mended here; what there was is kept beside it.
        CorruptError: so it is with a changes file.
    """
    messages: list[str] = []
    _refuse_to_begin_anew(directory)
    try:
        leveldb = LevelDBStore(directory.leveldb) if directory.leveldb.exists() else create(directory.leveldb)
        store = layered(leveldb)
        try:
            begun = store.get(_MENDING)
            restored = _restore_rules(store, directory)
            _end_fork(store, directory)
            _read_more(store, directory)
            logs = Logs(store, directory.identity)
            if begun is None and not any(chain(logs.holes(), logs.emptied_gaps())):
                return store, _said(directory, restored + adopt(store, directory))
        except BaseException:
            store.close()
            raise
        store.close()
        if begun is None:
            messages = ["a log has a hole"]
    except DamagedError as problem:
        messages = [str(problem)]
    if messages:
        messages[0] += f"; what there was is kept in {_keep_copy(directory.leveldb)}"
    store = layered(_open_damaged(directory.leveldb))
    try:
        forks.resume(store, directory.identity, directory.changes)
        messages = _mend(store, directory, messages + _restore_rules(store, directory))
    finally:
        store.close()
    return layered(LevelDBStore(directory.leveldb)), _said(directory, messages)


def layered(store: Store) -> Store:
    """*store* behind what puts blocks into groups and gathers what is small."""
    return JournaledStore(GroupedStore(store), DIRECT, puts_of_chunk)


def _restore_rules(store: Store, directory: Directory) -> list[str]:
    """Have the file of rules again, where it is gone: what has expired is not to come back."""
    applied = store.get(APPLIED)
    if applied in (None, Retention(None).dump()) or directory.retention.exists():
        return []
    write_file(directory.retention, applied)
    return [f"{directory.retention} was gone: the rules are those that were applied last"]


def _refuse_to_begin_anew(directory: Directory) -> None:
    """An empty LevelDB beside changes files would know nothing of them."""
    if directory.leveldb.exists():
        return
    if (directory.path / BUILT).exists() or any(directory.changes.glob("*/*.changes")):
        raise StorageError(f"{directory.leveldb} is missing: `scoutcore repair {directory.path}` builds a new one")


def _open_damaged(leveldb: Path) -> LevelDBStore:
    """Open LevelDB as far as it can be read; where it has lost a table or its first files, from those that are left."""
    try:
        return LevelDBStore(leveldb, paranoid=False)
    except DamagedError:
        pass
    # In a process of its own: LevelDB may end it.
    command = [sys.executable, "-m", "scoutcore.store.repair", str(leveldb)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (it is our own)
    if done.returncode:
        raise StorageError(f"LevelDB cannot repair {leveldb}: {done.stderr.strip()[-200:] or done.returncode}")
    return LevelDBStore(leveldb, paranoid=False)


def _said(directory: Directory, messages: list[str]) -> list[str]:
    for message in messages:
        _log.warning("%s: %s", directory.path, message)
    return messages


def _keep_copy(path: Path) -> Path:
    number = 1
    while (copy := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    try:
        shutil.copytree(path, copy)
    except OSError as problem:
        shutil.rmtree(copy, ignore_errors=True)
        raise StorageError(f"{path} is damaged, and cannot be copied before it is mended: {problem}") from problem
    return copy


def _mend(store: Store, directory: Directory, messages: list[str]) -> list[str]:
    """Cut the logs at their gaps and build the views anew; what was said of it, also before an interruption."""
    begun = store.get(_MENDING)
    if begun is not None:
        messages = begun.decode().split("\n") + messages
    logs = Logs(store, directory.identity)
    holes = list(logs.holes())
    for log, last in holes:
        lost = max(log.head - last, 0)  # none, where the record is older than the changes
        messages.append(f"log {uuids.UUID(bytes=log.uuid)} was cut behind change {last}: {lost} changes are lost here")
    emptied = list(logs.emptied_gaps())
    for log, gaps in emptied:
        lost = sum(gap.have - now.have for gap, now in zip(log.gaps, gaps, strict=True))
        messages.append(f"log {uuids.UUID(bytes=log.uuid)}: {lost} changes that had come again are missing again")
    # Without this, views that are half built would be taken for whole ones after an interruption.
    store.write({_MENDING: "\n".join(messages).encode()}, sync=True)
    for log, last in holes:
        store.write(logs.cut(log, last), sync=True)
    for log, gaps in emptied:
        log.gaps = gaps
        store.write({keys.GAPS + log.uuid: log.dump_gaps()}, sync=True)
    messages += dropping.settle(store, logs, directory.changes)
    messages += [
        f"log {uuids.UUID(bytes=log.uuid)}: readings of its changes {log.origin + 1} to {log.base} were dropped, "
        "and are shown no more"
        for log in logs.by_number
        if log.base > log.origin
    ]
    rebuild(store, directory.identity, directory.changes)
    messages += adopt(store, directory)
    forks.done(store)
    store.publish()
    store.write({_MENDING: None}, sync=True)
    return messages


def _end_fork(store: Store, directory: Directory) -> None:
    """Go on with the splitting of a log that was interrupted, if any."""
    if forks.resume(store, directory.identity, directory.changes):
        rebuild(store, directory.identity, directory.changes)
        forks.done(store)


def _read_more(store: Store, directory: Directory) -> None:
    """Build the views anew where there are blocks that an earlier version could not read, and this one can."""
    known = store.get(keys.UNREAD)
    if known is not None and not BLOCK_CODECS.issubset(known):
        rebuild(store, directory.identity, directory.changes)
        store.write({keys.UNREAD: bytes(BLOCK_CODECS)}, sync=True)


def split(
    store: Store, identity: bytes, directory: Path | None, retention: Retention, uuid: bytes, change: int
) -> None:
    """Make the changes of a log from *change* on a log of their own, and build the views anew; see :mod:`forks`."""
    forks.split(store, identity, directory, uuid, change)
    rebuild(store, identity, directory, retention)
    forks.done(store)


def rebuild(store: Store, identity: bytes, directory: Path | None, retention: Retention | None = None) -> None:
    """Build the views anew from the logs; local ids stay. *retention*: what is kept, else what is stored says it.

    Raises:
        StorageError: a log cannot be read.
        CorruptError: a changes file is damaged.
    """
    for section in _VIEWS:
        _clear(store, section)
    if retention is None:
        retention = Retention(None if directory is None else directory.with_name("retention.json"))
    logs = Logs(store, identity)

    def source(log: Log) -> Iterator[ChangeColumns]:
        kept = [dropping.kept_metadata(log, directory / str(uuids.UUID(bytes=log.uuid)))] if directory else []
        return chain(kept, changes_of(logs, log, directory))

    for log in logs.by_number:
        if log.gaps:
            log.gaps = [gap._replace(shown=False) for gap in log.gaps]
            store.write({keys.GAPS + log.uuid: log.dump_gaps()}, sync=False)
    try:
        build(store, identity, retention, source)
    except OSError as problem:
        raise StorageError(
            f"the views cannot be built anew: {problem}; what is left can be had by `scoutcore repair`"
        ) from problem


def build(
    store: Store,
    identity: bytes,
    retention: Retention,
    source: Callable[[Log], Iterable[ChangeColumns]],
    order: Iterable[Log] | None = None,
) -> None:
    """Build the views of all logs that *store* knows, of which it has none yet.

    Args:
        source: gives a log's changes.
        order: which log comes when; troops get their ids in it, where they have none.

    Raises:
        StorageError, CorruptError: a log cannot be read.
    """
    logs = Logs(store, identity)
    rows = Rows(logs)
    applier = Applier(logs, Metadata(store, logs, WriteClock()), rows, Views(store, logs, retention))
    for log in logs.by_number if order is None else [logs.get(log.uuid) for log in order]:
        for columns in source(log):
            commit = Commit(store)
            applier.apply(commit, log, columns)
            commit.write(sync=False)
            rows.trim()


def adopt(store: Store, directory: Directory) -> list[str]:
    """Bring changes files and log together again where the files have more than LevelDB says.

    What a pack that was killed left in them is cut off: it is all in LevelDB. Where LevelDB is older than the files, as
    in a backup, the changes that only they have are taken into log and views.
    """
    logs = Logs(store, directory.identity)
    messages = dropping.settle(store, logs, directory.changes)
    for log in logs.by_number:
        path = directory.changes / str(uuids.UUID(bytes=log.uuid))
        files = [file for file in changes.files_of(path) if file.name >= changes.file_name(log.packed.file)]
        if [file.stat().st_size for file in files] in ([], [log.packed.size]):
            continue
        before = log.head
        _adopt_log(store, logs, log, files, Retention(directory.retention))
        if log.head > before:
            messages.append(
                f"log {path.name} was behind its changes files: changes {before + 1} to {log.head} are back"
            )
            store.publish()  # before they are cut off where they were safe
        for file in files:
            missing = log.packed.size - file.stat().st_size
            if file.name != changes.file_name(log.packed.file):
                file.unlink()
            elif missing < 0:
                os.truncate(file, log.packed.size)
            elif missing > 0:
                messages.append(f"{file} lacks {missing} bytes of what was packed")
    return messages


def _adopt_log(store: Store, logs: Logs, log: Log, files: list[Path], retention: Retention) -> None:
    """Append the whole changes that *files* have behind the log's head, and apply them."""
    applier = Applier(logs, Metadata(store, logs, WriteClock()), Rows(logs), Views(store, logs, retention))
    with suppress(CorruptError, TruncatedError):  # the end that was being written
        for columns in changes.Reader(files).columns():
            numbers = columns.change
            if not numbers or numbers[0] > log.head + 1:
                return
            commit = Commit(store)
            for subset, part in by_subset(columns.part(min(log.head + 1 - numbers[0], len(numbers)), len(numbers))):
                frames, _ = codec.encode_changes(part)
                logs.append(commit, log, subset, frames, len(part.change))
                applier.apply(commit, log, part)
            commit.write(sync=False)


def _clear(store: Store, section: bytes) -> None:
    puts: dict[bytes, bytes | None] = {}
    for key, _ in store.scan(section, keys.after(section)):
        puts[key] = None
        if len(puts) == _STEP:
            store.write(puts, sync=False)
            puts = {}
    store.write(puts, sync=False)
