"""What is done to a database while it is killed: run as a program, with the shim preloaded.

For n = 1, 2, 3 …, or every few of them, it copies a prepared database, forks, and lets the child die at its n-th call
that changes files; until one lives through. After each, somebody else looks at what is left, and says so with a line.
"""

from __future__ import annotations

import mmap
import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import scoutcore
from scoutcore import changes, database, packer
from scoutcore.database import Database
from scoutcore.store import leveldb
from scoutcore.store.memory import MemoryStore
from tests.faults import shim
from tests.replication.wire import Wire
from tests.waiting import wait_until

KEY = "the key of the troop that is killed"
Act = Callable[[Path, Callable[[], None]], None]


def prepare(path: Path) -> None:
    """A database with some of everything, that was packed once."""
    with database.open(path) as db:
        db.troops.create(key=KEY, name="killed")
        for number in range(3):
            db.ingest(reports(number))
            db.scouts.update(1, number, name=f"scout {number}")
            if number == 1:
                db.pack()


EXPIRES = 12_001
"""In µs: of the clocked reports of a batch some are before."""


def reports(number: int) -> list[dict[str, object]]:
    """A batch: some with clocks, each of these heard twice."""
    clocked = [
        {"troop": 1, "scout": number, "report": "temp", "data": n, "boot": 1, "ms": n % 20, "t": 1000 * n + number}
        for n in range(40)
    ]
    return [*clocked, *({"troop": 1, "scout": 9, "report": "unclocked", "data": [number, n]} for n in range(5))]


def create(path: Path, acknowledge: Callable[[], None]) -> None:
    shutil.rmtree(path)
    with database.open(path) as db:
        db.troops.create(key=KEY, name="killed")
        acknowledge()


def commit(path: Path, acknowledge: Callable[[], None], durability: database.Durability = "process") -> None:
    with database.open(path, durability=durability) as db:
        arm()
        db.ingest(reports(7))
        acknowledge()
        db.scouts.update(1, 7, name="killed")
        db.ingest(reports(8))


def commit_power(path: Path, acknowledge: Callable[[], None]) -> None:
    commit(path, acknowledge, "power")


def commit_through_a_full_buffer(path: Path, acknowledge: Callable[[], None]) -> None:
    """LevelDB begins a new log and writes its memory into a table meanwhile."""
    leveldb.WRITE_BUFFER_BYTES = 65_536  # type: ignore[misc]
    with database.open(path) as db:
        db.report(1, 5, "large", "x" * 70_000)
        arm()
        db.ingest(reports(7))
        acknowledge()
        db.report(1, 5, "large", "y" * 70_000)


def pack(path: Path, acknowledge: Callable[[], None]) -> None:
    with database.open(path) as db:
        arm()
        db.pack()
        acknowledge()


def expire(path: Path, acknowledge: Callable[[], None]) -> None:
    with database.open(path) as db:
        arm()
        db.expire(before=EXPIRES)
        acknowledge()


def small_files() -> None:
    """From now on changes files are ended at some hundreds of bytes."""
    packer.Writer = partial(changes.Writer, interval_bytes=500, file_bytes=1000)  # type: ignore[misc,assignment]


def drop(path: Path, acknowledge: Callable[[], None]) -> None:
    small_files()
    with database.open(path) as db:
        db.pack()
        for number in range(3):
            db.ingest([{"troop": 1, "scout": 9, "report": "dropped", "data": "x" * 600, "t": number}])
            db.scouts.update(1, 9, number=number)
        db.pack()
        arm()
        db.drop_changes(2**62)
        acknowledge()


def pack_in_the_background(path: Path, acknowledge: Callable[[], None]) -> None:
    """In steps of one chunk, while reports come."""
    packer._ENOUGH_BYTES = packer._STEP_BYTES = 1  # type: ignore[misc]
    with database.open(path) as db:
        arm()
        db.report(1, 7, "temp", "while it packs")
        acknowledge()
        wait_until(lambda: all(log.packed == log.head for log in db.stats().logs))


def reopen(path: Path, acknowledge: Callable[[], None]) -> None:
    arm()
    database.open(path).close()
    acknowledge()


def sync(path: Path, acknowledge: Callable[[], None]) -> None:
    """A peer in memory, and both give each other what they lack."""
    peer = Database(MemoryStore())
    peer.troops.create(key=KEY)
    peer.ingest(reports(9))
    with database.open(path) as db:
        arm()
        Wire(peer, db).run()
        acknowledge()


def stick_of(path: Path) -> Path:
    """Where the database in *path* exports to, and imports from."""
    return path.with_name("stick")


def repair(path: Path, acknowledge: Callable[[], None]) -> None:
    """Of a database whose LevelDB has lost its first file."""
    (path / "db" / "CURRENT").unlink(missing_ok=True)
    arm()
    scoutcore.repair(path)
    acknowledge()


def build_anew(path: Path, acknowledge: Callable[[], None]) -> None:
    """A table of LevelDB is no table: a new LevelDB is built from what the old one yields and from the files."""
    with database.open(path) as db:
        db.pack()
    for table in (path / "db").glob("*.ldb"):
        table.write_bytes(b"no table")
    arm()
    scoutcore.repair(path)
    acknowledge()


def export(path: Path, acknowledge: Callable[[], None]) -> None:
    with database.open(path) as db:
        arm()
        db.export_changes(stick_of(path))
        acknowledge()


def import_(path: Path, acknowledge: Callable[[], None]) -> None:
    """What a peer has exported."""
    other = path.with_name("other")
    shutil.rmtree(other, ignore_errors=True)
    with database.open(other) as peer:
        peer.troops.create(key=KEY)
        peer.ingest(reports(9))
        peer.export_changes(stick_of(path))
    with database.open(path) as db:
        arm()
        db.import_changes(stick_of(path))
        acknowledge()


ACTS: dict[str, Act] = {
    act.__name__: act
    for act in (
        create,
        commit,
        commit_power,
        commit_through_a_full_buffer,
        pack,
        pack_in_the_background,
        expire,
        drop,
        reopen,
        sync,
        repair,
        build_anew,
        export,
        import_,
    )
}
_fatal = 0
_torn = 0


def arm() -> None:
    """The calls count from here."""
    shim.arm(_fatal, shim.Mode.KILL_IN_WRITE if _torn else shim.Mode.KILL)


def main() -> None:
    global _fatal, _torn
    name, torn, step, prepared, path = sys.argv[1], *map(int, sys.argv[2:4]), *map(Path, sys.argv[4:])
    act = ACTS[name]
    acknowledged = mmap.mmap(-1, 1)
    for number in range(1, 1000, step):
        shutil.copytree(prepared, path)
        acknowledged[0] = 0
        child = os.fork()
        if child == 0:
            _fatal, _torn = number, torn
            if act is create:
                arm()

            def acknowledge() -> None:
                acknowledged[0] = 1

            act(path, acknowledge)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(number, os.WTERMSIG(status), os.WEXITSTATUS(status), acknowledged[0], flush=True)
        sys.stdin.readline()
        shutil.rmtree(path)
        shutil.rmtree(stick_of(path), ignore_errors=True)
        if not os.WIFSIGNALED(status):
            return


if __name__ == "__main__":
    main()
