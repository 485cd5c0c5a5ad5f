"""Power cuts: a life is recorded, then opened as each of many possible images that a cut may have left of its files."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import get_args

from scoutcore import codec, database
from scoutcore.codec.columns import Change
from scoutcore.database import Database, Durability
from scoutcore.store.leveldb import LevelDBStore
from tests.database.child import environment
from tests.database.compare import assert_shows
from tests.database.logs import changes_of, content_of
from tests.faults import images, life, shim
from tests.faults.apart import apart

STEPS = 60


def record() -> None:
    """The program whose files are recorded: directory, durability, seed, where to write what, and what is broken."""
    root, durability, seed, trace, logs, broken = sys.argv[1:]
    life.make_small()
    life.stay_the_same()
    if broken:
        setattr(LevelDBStore, broken, lambda _: None)
    shim.root(Path(root))
    shim.record(Path(trace))
    one = life.Life(Path(root) / "a.scout", shim.mark, durability, int(seed))  # type: ignore[arg-type]
    for _ in range(STEPS):
        one.step()
    one.sync(one.opened())
    one.close()
    lines = [f"{one.peer._logs.own.uuid.hex()}\n"]  # type: ignore[union-attr]
    for log in one.peer._logs.by_number:
        frames = b"".join(frames for _, _, _, frames in one.peer._logs.chunks(log, 1))
        lines.append(f"{log.uuid.hex()} {frames.hex()}\n")
    Path(logs).write_text("".join(lines))


@dataclass
class Recording:
    """A life: what was done to its files, and what its logs became."""

    root: str
    operations: list[images.Operation]
    logs: dict[bytes, list[Change]]
    peer: bytes
    """The log that the peer wrote."""
    durability: Durability


def recording(library: Path, directory: Path, durability: Durability, seed: int, broken: str = "") -> Recording:
    """Record a life. *broken*: a method of the store that does nothing in it."""
    root = directory / "files"
    root.mkdir(parents=True)
    trace, logs = directory / "trace", directory / "logs"
    command = [sys.executable, "-m", __name__, str(root), durability, str(seed), str(trace), str(logs), broken]
    subprocess.run(command, env=environment(LD_PRELOAD=str(library)), check=True, timeout=300)
    found = {}
    peer, *lines = logs.read_text().splitlines()
    for line in lines:
        name, _, text = line.partition(" ")
        frames = bytes.fromhex(text)
        found[bytes.fromhex(name)] = codec.decode_changes(frames, codec.scan_frames(frames)).to_objects()
    return Recording(str(root), images.read_trace(trace), found, bytes.fromhex(peer), durability)


@dataclass
class Known:
    """What was promised to somebody before the power was cut."""

    acknowledged: set[int]
    held: dict[bytes, int]
    """By log the last change that the peer has."""

    def hear(self, mark: str) -> None:
        kind, *rest = mark.split()
        if kind == "number":
            self.acknowledged.add(int(rest[0]))
        else:
            self.held[bytes.fromhex(rest[0])] = int(rest[1])


def check(path: Path, found: Recording, known: Known, go_on: bool) -> Counter[str]:
    """Open what is left, and see that all promises are kept; what kind of image it was.

    *go_on*: pack, close and open it again too.
    """
    counts: Counter[str] = Counter()
    there = path.exists()
    with database.open(path, durability=found.durability, pack=False) as db:
        counts["mended"] += bool(db.recovered)
        counts["nothing there"] += not there
        assert bool(db.recovered) >= any(path.glob("db.damaged-*"))
        shown = life.numbers_in(db)
        if found.durability == "power":
            lost = known.acknowledged - shown
            assert not lost, f"acknowledged, and lost: {sorted(lost)}"
        counts["lost something"] += bool(known.acknowledged - shown)
        _assert_prefixes(db, found, known)
        assert_shows(db, content_of(db), receptions=False)
        before = {log.uuid: log.head for log in db._logs.by_number}
        one = life.Life(path, lambda _: None, found.durability)
        one.db, one.number = db, 1_000_000
        troop = next(iter(db.troops), None) or db.troops.create(key=life.KEY)
        one.batch(db)
        one.edit(db)
        own = db._logs.own
        assert own is not None
        first = before.get(own.uuid, 0) + 1
        assert first > known.held.get(own.uuid, 0), "a number that the peer holds was given again"
        if not go_on:
            return counts
        db.pack()
        assert_shows(db, content_of(db), receptions=False)
        after = life.numbers_in(db)
        assert after >= shown
        assert db.last(troop.id, 0, "temp") is not None
    with database.open(path, durability=found.durability, pack=False) as db:
        assert db.recovered == [], db.recovered
        assert life.numbers_in(db) == after
    return counts


def _assert_prefixes(db: Database, found: Recording, known: Known) -> None:
    """Every log is a clean beginning of what it became; what we wrote is no shorter than what the peer holds of it."""
    for log in db._logs.by_number:
        expected = found.logs.get(log.uuid, [])
        try:
            assert changes_of(db, log) == expected[log.base : log.head]
        except AssertionError:
            chunks = [(first, last) for first, last, _, _ in db._logs.chunks(log, 1)]
            files = sorted(file.stat().st_size for file in db._directory.path.rglob("*.changes"))  # type: ignore[union-attr]
            raise AssertionError(f"{log} is not what it was: {chunks}, {files}, {db.recovered}") from None
    heads = {log.uuid: log.head for log in db._logs.by_number}
    for log, head in known.held.items():
        if log != found.peer:
            assert heads.get(log, 0) >= head, f"the peer holds {head} changes of {log.hex()}, we {heads.get(log, 0)}"


def run(found: Recording, count: int, seed: int, at: Path, only: int | None = None) -> tuple[Counter[str], list[str]]:
    """Look at *count* images of a recording; what was seen, and what went wrong. *only*: that one alone."""
    choose = Random(seed)
    places = sorted(choose.randrange(1, len(found.operations) + 1) for _ in range(count))
    disk, known = images.Disk(found.root), Known(set(), {})
    counts: Counter[str] = Counter()
    problems, seen, done = [], set(), 0
    for number, place in enumerate(places):
        for operation in found.operations[done:place]:
            if operation.kind == "m":
                known.hear(operation.data.decode())
            else:
                disk.apply(operation)
        done = place
        if only not in (None, number):
            continue
        image = disk.image(Random(f"{seed} {number}"))
        digest = blake2b(repr(image).encode()).digest()
        counts["images"] += 1
        counts["different"] += digest not in seen
        seen.add(digest)
        shutil.rmtree(at, ignore_errors=True)
        images.lay_out(image, at)
        try:
            counts += apart(partial(check, at / "a.scout", found, known, number % 4 == 0))
        except AssertionError as problem:
            problems.append(f"{found.durability}, image {number}, behind operation {place}: {problem}")
            shutil.rmtree(at, ignore_errors=True)
    return counts, problems


def look(
    library: Path, directory: Path, durability: Durability, seed: int, count: int, only: int | None, broken: str = ""
) -> tuple[Counter[str], list[str]]:
    """Record a life and look at its images; where LevelDB has not been opened yet, as its thread does not fork."""
    life.make_small()
    life.stay_the_same()
    found = recording(library, directory / "life", durability, seed, broken)
    counts, problems = run(found, count, seed, directory / "image", only)
    return counts, [f"seed {seed}, {problem}" for problem in problems]


def campaign(count: int, seed: int, only: int | None = None) -> Iterator[tuple[Counter[str], list[str]]]:
    """Lives of both durabilities, 500 images of each, until there are *count*: what was seen, and what went wrong."""
    with tempfile.TemporaryDirectory() as text:
        library = shim.build(Path(text))
        for one in range(seed, seed + -(-count // 1000)):
            for durability in get_args(Durability):
                here = Path(text) / f"{one}-{durability}"
                counts, problems = look(library, here, durability, one, min(500, -(-count // 2)), only)
                shutil.rmtree(here)
                yield Counter({f"{durability}: {name}": number for name, number in counts.items()}), problems


if __name__ == "__main__":
    record()
