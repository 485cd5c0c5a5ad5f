"""Repairing a LevelDB from those of its files that are left: ``python -m scoutcore.store.repair PATH``.

In a process of its own, as LevelDB can end it. LevelDB's own repair believes whatever a log says: it does not compare
its checksums, and keeps half of a batch. So an empty LevelDB reads the logs first, as any does that is opened: that
leaves out what does not match.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import plyvel

_TABLES = (".ldb", ".sst")


def repair(path: Path) -> None:
    """Repair it. Interrupted anywhere, it can be done again.

    Raises:
        plyvel.Error, OSError: it cannot be repaired, or the disk refuses.
    """
    logs = sorted(path.glob("*.log"))
    apart = path.with_name(f"{path.name}.logs")
    shutil.rmtree(apart, ignore_errors=True)
    apart.mkdir()
    for log in logs:
        shutil.copyfile(log, apart / log.name)
    plyvel.DB(str(apart), create_if_missing=True).close()  # what it reads from logs it writes into tables
    free = 1 + max((int(file.stem) for file in path.iterdir() if file.stem.isdigit()), default=0)
    for table in sorted(file for file in apart.iterdir() if file.suffix in _TABLES):
        table.rename(path / f"{free:06}{table.suffix}")
        free += 1
    for log in logs:
        log.unlink()
    shutil.rmtree(apart)
    plyvel.repair_db(str(path), paranoid_checks=True)
    with plyvel.DB(str(path), paranoid_checks=True) as db:
        # Until then a single read may find something older than a scan does. Without bounds plyvel compacts nothing.
        db.compact_range(start=b"\0", stop=b"\xff")


if __name__ == "__main__":
    repair(Path(sys.argv[1]))
