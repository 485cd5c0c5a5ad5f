"""Calls of the file system that fail: a life in which the n-th does, for every n; disks that fill up at any byte."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from scoutcore import database
from scoutcore.database import Database
from scoutcore.errors import Error, StorageError
from tests.database.child import ROOT, environment
from tests.database.compare import assert_shows
from tests.database.logs import content_of
from tests.faults import life, shim
from tests.faults.apart import apart
from tests.faults.shim import Mode

FAULTS: dict[str, tuple[Mode, int, bool]] = {
    "ENOSPC once": (Mode.FAIL_ONCE, errno.ENOSPC, False),
    "ENOSPC for good": (Mode.FAIL_FOR_GOOD, errno.ENOSPC, False),
    "EIO once": (Mode.FAIL_ONCE, errno.EIO, False),
    "EIO for good": (Mode.FAIL_FOR_GOOD, errno.EIO, False),
    "short write": (Mode.SHORT_ONCE, 0, False),
    "short write, then ENOSPC": (Mode.SHORT_THEN_FAIL, errno.ENOSPC, False),
    "EIO once, reading too": (Mode.FAIL_ONCE, errno.EIO, True),
    "EIO for good, reading too": (Mode.FAIL_FOR_GOOD, errno.EIO, True),
}


class Shaken(life.Life):
    """A life that goes on whatever fails."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, self._hear)
        self.acknowledged: set[int] = set()
        self.failures: list[str] = []

    def _hear(self, mark: str) -> None:
        kind, _, number = mark.partition(" ")
        if kind == "number":
            self.acknowledged.add(int(number))

    def go_through(self) -> None:
        """Everything that it does, once."""
        kinds: list[Callable[[Database], None]] = [self.report, self.batch, self.pack, self.edit, self.sync, self.large]
        for kind in [*kinds, self.expire, self.reopen, self.batch, self.pack, self.report]:
            try:
                kind(self.opened())
            except (Error, life.SessionError) as problem:
                self.failures.append(str(problem))

    def expire(self, db: Database) -> None:
        """A floor, before which there is nothing."""
        db.expire(before=1_000_000 + self.number)


def fail(path: Path, number: int, fault: str, seen: Path) -> Counter[str]:
    """A life on the database in *path* whose call *number* fails. What was acknowledged goes into *seen*."""
    mode, error, reads = FAULTS[fault]
    one = Shaken(path)
    one.number = 1_000
    shim.arm(number, mode, error, reads)
    one.go_through()
    calls = shim.calls()
    shim.disarm()
    failed, one.failures = one.failures, []
    assert all(failed)
    before = set(one.acknowledged)
    one.go_through()
    assert one.failures == [], f"it does not go on: {one.failures}; before {failed}"
    assert len(one.acknowledged - before) > 10
    _assert_there(one.opened(), one.acknowledged)
    seen.write_text(" ".join(map(str, one.acknowledged)))
    return Counter({"calls": calls, "failures": len(failed), "reached": int(calls >= number)})


def look(path: Path, seen: Path) -> Counter[str]:
    """Open what that process left, as if it had been killed."""
    with database.open(path, pack=False) as db:
        assert db.recovered == [], db.recovered
        _assert_there(db, set(map(int, seen.read_text().split())))
    return Counter()


def _assert_there(db: Database, acknowledged: set[int]) -> None:
    lost = acknowledged - life.numbers_in(db)
    assert not lost, f"acknowledged, and lost: {sorted(lost)}"
    assert_shows(db, content_of(db), receptions=False)


def fill(path: Path, begin: int, end: int, packing: bool) -> Counter[str]:
    """Let the disk be full after *begin*, … *end* - 1 bytes more, of LevelDB's log or of changes files."""
    one = Shaken(path)
    db = one.opened()
    troop = next(iter(db.troops)).id
    stored = failed = 0
    for room in range(begin, end):
        if packing:
            db.report(troop, room % 3, "filler", "x" * (room + 700))  # more than there is room for
            stored += 1
        shim.arm(room, Mode.FULL)
        try:
            if packing:
                db.pack()
            while not packing:
                db.report(troop, 0, "filler", "x" * 700)
                stored += 1
        except StorageError:
            failed += 1
        shim.disarm()
        if packing:
            try:
                db.pack()
            except StorageError:  # what LevelDB failed to do in its background it tells who writes next, once
                db.pack()
        else:
            db.report(troop, 1, "filler", "after")
            stored += 1
    assert failed == end - begin
    found = sum(receptions for *_, report, _, receptions in db.counts() if report == "filler")
    # Of what failed the whole may have come through all the same.
    assert stored <= found <= stored + failed, (stored, found, failed)
    assert_shows(db, content_of(db), receptions=False)
    return Counter({"bytes at which the disk was full": end - begin, "failures": failed, "stored": stored})


def look_filled(path: Path, stored: int, failed: int) -> Counter[str]:
    """Open what that process left."""
    with database.open(path, pack=False) as db:
        assert db.recovered == [], db.recovered
        found = sum(receptions for *_, report, _, receptions in db.counts() if report == "filler")
        assert stored <= found <= stored + failed, (stored, found, failed)
    return Counter()


def prepare(path: Path) -> Counter[str]:
    """A database with something of everything, for others to fail on."""
    one = Shaken(path)
    one.go_through()
    assert not one.failures
    one.close()
    return Counter()


def main() -> None:
    """The program that the shim is preloaded into: prints what it sees, and each problem on one line.

    Arguments: a directory, then ``calls``, every how many of them, from which on; or ``log`` or ``files``, the first
    byte, the one behind the last, and every how many.
    """
    directory, what, *rest = sys.argv[1:]
    life.make_small(buffer=24 * 1024 * 1024 if what == "files" else 65_536)
    here = Path(directory)
    prepared, path, seen = here / "prepared", here / "a.scout", here / "seen"
    apart(partial(prepare, prepared))
    shim.root(path)
    if what == "calls":
        _every_call(prepared, path, seen, *map(int, rest))
    else:
        _every_byte(prepared, path, what == "files", *map(int, rest))


def _every_call(prepared: Path, path: Path, seen: Path, step: int, begin: int) -> None:
    for fault in FAULTS:
        number, reached = begin, True
        while reached:
            shutil.rmtree(path, ignore_errors=True)
            shutil.copytree(prepared, path)
            try:
                counts = apart(partial(fail, path, number, fault, seen))
                reached = counts["reached"] > 0
                apart(partial(look, path, seen))
                if reached:
                    print(f"+ calls that failed: {fault}", flush=True)
            except AssertionError as problem:
                print(f"! {fault}, call {number}: {str(problem)!r}", flush=True)
                reached = number < 3_000 and "does not go on" in str(problem)
            number += step


def _every_byte(prepared: Path, path: Path, packing: bool, begin: int, end: int, step: int) -> None:
    for first in range(begin, end, step):
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(prepared, path)
        behind = min(first + 32, end)
        try:
            counts = apart(partial(fill, path, first, behind, packing))
            apart(partial(look_filled, path, counts["stored"], counts["failures"]))
            for _ in range(behind - first):
                print(f"+ bytes at which {'changes files' if packing else 'the log'} could not grow", flush=True)
        except AssertionError as problem:
            print(f"! {'files' if packing else 'log'}, full after {first} bytes: {str(problem)!r}", flush=True)


def run(library: Path, directory: Path, *arguments: object) -> tuple[Counter[str], list[str]]:
    """Run the program: what it saw, and what went wrong."""
    command = [sys.executable, "-m", __name__, str(directory), *map(str, arguments)]
    env = environment(LD_PRELOAD=str(library))
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
    lines = done.stdout.splitlines()
    return Counter(line[2:] for line in lines if line[0] == "+"), [line[2:] for line in lines if line[0] == "!"]


def campaign(count: int, step: int = 1) -> Iterator[tuple[Counter[str], list[str]]]:
    """Every call, or each *step*-th; and every byte of a window of *count*."""
    with tempfile.TemporaryDirectory() as text:
        library = shim.build(Path(text))
        for arguments in (("calls", step, 1), ("log", 0, count, 32), ("files", 0, count, 32)):
            directory = Path(text) / arguments[0]
            directory.mkdir()
            yield run(library, directory, *arguments)


if __name__ == "__main__":
    main()
