"""A database whose log has ended and begun anew thousands of times: backups that were restored, disks that moved."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from scoutcore import database, keys
from scoutcore.database import Database
from scoutcore.log import Logs
from scoutcore.replication.replica import Limits, replica_of
from scoutcore.replication.session import Options
from scoutcore.store.leveldb import LevelDBStore
from scoutcore.store.memory import MemoryStore
from tests.replication.wire import Wire, dump, logs

KEY = "the key of the troop of many logs"
MAX_RECORDS = 120
"""Bytes of LevelDB's keys and values for each log."""
MAX_DISK = 104
"""Bytes of its files for each: 10,000 logs take less than 1 MiB."""
BLOCK = 4096
"""What LevelDB counts its files in."""
MAX_MEMORY = 800
"""Bytes in memory for each."""


def make(path: Path, count: int) -> None:
    """A database with *count* logs that have ended, each with a reading of its own; all but some are packed."""
    with database.open(path, pack=False) as db:
        db.troops.create(key=KEY)
        replica = replica_of(db)
        for number in range(count):
            db.report(1, number % 7, "temp", number)
            replica.start_own()
            if number == count - 20:
                db.pack()


@contextmanager
def scans() -> Iterator[list[bytes]]:
    """Where scans of LevelDB begin: each passes all that was deleted behind its range."""
    begins: list[bytes] = []
    scan = LevelDBStore.scan

    def noted(self: LevelDBStore, start: bytes, *args: object, **kwargs: object) -> Iterator[tuple[bytes, bytes]]:
        begins.append(start)
        return scan(self, start, *args, **kwargs)  # type: ignore[arg-type]

    with mock.patch.object(LevelDBStore, "scan", noted):
        yield begins


def look(count: int) -> Counter[str]:
    """Open it, let a peer have all, and be in sync with it; what that costs."""
    with TemporaryDirectory() as text:
        path = Path(text) / "many.scout"
        make(path, count)
        with scans() as begins, database.open(path, pack=False) as db, Database(MemoryStore()) as peer:
            at_opening = len(begins)
            assert at_opening < 50, f"{at_opening} scans to open {count} logs"
            options = Options(limits=Limits(logs=count + 2))
            begins.clear()
            Wire(peer, db, options).run()
            assert len(begins) < 200, f"{len(begins)} scans to give {count} logs"
            assert dump(peer) == dump(db)
            assert logs(peer) == logs(db)
            assert len(logs(db)) == count
            begins.clear()
            wire = Wire(peer, db, options).run()
            assert not begins, "in sync, and LevelDB is scanned for it"
            assert sum(wire.bytes) < 2_000
            records = disk = 0
            for section in (keys.LOG_STATE, keys.PACKED):
                records += sum(len(key) + len(value) for key, value in db._store.scan(section, keys.after(section)))
                db._store.compact(section, keys.after(section))
                disk += db._store.size(section, keys.after(section))
            assert records < count * MAX_RECORDS, f"{records} bytes in LevelDB for {count} logs"
            assert disk < count * MAX_DISK + 4 * BLOCK, f"{disk} bytes of LevelDB's files for {count} logs"
            tracemalloc.start()
            kept = Logs(db._store, db._identity)
            memory, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert len(kept.by_number) == count + 1
            assert memory < count * MAX_MEMORY, f"{memory} bytes in memory for {count} logs"
    return Counter(
        {
            "retired logs": count,
            "KiB of records": records // 1024,
            "KiB of files": disk // 1024,
            "KiB of memory": memory // 1024,
        }
    )


def campaign(count: int) -> Iterator[tuple[Counter[str], list[str]]]:
    """*count* logs."""
    try:
        yield look(count), []
    except AssertionError as problem:
        yield Counter(), [str(problem)]
