"""kill -9, in the middle of ingest and at every call that changes files (promises 1, 7 and 11)."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import scoutcore
from scoutcore import changes, recovery
from scoutcore.store.memory import MemoryStore
from tests.database.child import ROOT, environment, start
from tests.database.compare import assert_shows
from tests.database.logs import content_of, files_of, packed_anew
from tests.faults import killed
from tests.model import Content
from tests.waiting import killed_at_the_end

KILLS = int(os.environ.get("SCOUTCORE_KILLS", "12" if scoutcore.backend == "c" else "8"))
"""How often ingest is killed; 500 for the long run. Plain Python takes its time to compare all that is there."""
MOST = 50
"""How often one database is killed: it grows, and all of it is looked at each time."""

SLOW = {"repair": 41, "build_anew": 41, "export": 7, "import_": 7}
"""Acts of many calls, or that begin processes: every how many of them these are killed at, but in the long run."""

INGEST = """
import sys
import scoutcore
import tests  # for its small limits of the journal
from scoutcore import packer

packer._ENOUGH_BYTES = packer._STEP_BYTES = 3_000
packer._PATIENCE = 0.001
with scoutcore.open(sys.argv[1]) as db:
    if not len(db.troops):
        db.troops.create(key="k" * 32)
    begin = sum(points for _, _, report, points, _ in db.counts() if report == "number")

    def reports():
        for number in range(begin, 10**9):
            scout = number % 5
            yield {"troop": 1, "scout": scout, "report": "number", "data": number}
            # Each of these is heard twice, the second time with another time.
            yield {"troop": 1, "scout": scout, "report": "heard", "data": number, "boot": 1, "ms": number // 2 * 10}

    import scoutcore.database
    scoutcore.database.BATCH_ITEMS = 300
    print("begin", begin, flush=True)
    db.ingest(reports(), progress=lambda result, size: print(begin + result.accepted // 2, flush=True))
"""


@pytest.mark.parametrize("seed", range(max(1, KILLS // MOST)))
def test_in_the_middle_of_ingest_and_packing(seed: int, path: Path, tmp_path: Path) -> None:
    chance = random.Random(seed)
    acknowledged = 0
    kills = min(KILLS, MOST)
    for kill in range(kills):
        with killed_at_the_end(start(INGEST, path, stdout=subprocess.PIPE)) as process:
            assert process.stdout
            assert process.stdout.readline().startswith("begin")
            time.sleep(chance.random() * 0.2)
            process.send_signal(signal.SIGKILL)
            told = process.stdout.read().rpartition("\n")[0].split()
        if told:
            assert int(told[-1]) >= acknowledged
            acknowledged = int(told[-1])
        with scoutcore.open(path) as db:
            assert db.recovered == []
            numbers = sorted(point.data for scout in range(5) for point in db.history(1, scout, "number"))
            assert numbers == list(range(len(numbers)))
            assert len(numbers) >= acknowledged
            acknowledged = len(numbers)
            heard = [point.data for scout in range(5) for point in db.history(1, scout, "heard")]
            assert len(heard) == len({number // 2 * 10 + number % 5 * 10**9 for number in range(len(numbers))})
            found = db.verify(views=kill % 20 == 0)
            assert found.ok, (found.damages, found.views)
            if kill in (kills // 2, kills - 1):
                assert_shows(db, content_of(db), receptions=False)
            packed = db.stats().logs[0].packed
    assert acknowledged > 0
    assert packed > 0
    with scoutcore.open(path) as db:
        db.pack()
    assert files_of(path) == packed_anew(path, tmp_path / "again")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Content]:
    path = tmp_path_factory.mktemp("prepared") / "prepared.scout"
    killed.prepare(path)
    with scoutcore.open(path) as db:
        return path, content_of(db)


@pytest.mark.parametrize("torn", [False, True], ids=["before the call", "in mid-write"])
@pytest.mark.parametrize("name", killed.ACTS)
def test_at_every_call(
    name: str, torn: bool, shim: Path, prepared: tuple[Path, Content], path: Path, tmp_path: Path
) -> None:
    step = SLOW.get(name, 1) if KILLS < 100 else 1
    command = [sys.executable, "-m", "tests.faults.killed", name, *map(str, (int(torn), step, prepared[0], path))]
    env = environment(LD_PRELOAD=str(shim))
    pipe = subprocess.PIPE
    outcomes = []
    made = subprocess.Popen(command, cwd=ROOT, env=env, stdin=pipe, stdout=pipe, text=True, bufsize=1)
    with killed_at_the_end(made) as process:
        assert process.stdin
        assert process.stdout
        for line in process.stdout:
            number, killed_by, returned, acknowledged = map(int, line.split())
            assert number == len(outcomes) * step + 1
            assert killed_by in (0, signal.SIGKILL)
            assert returned == 0
            outcomes.append(killed_by)
            assert_whole(path, name, bool(acknowledged), prepared[1])
            if name != "drop":
                assert files_of(path) == packed_anew(path, tmp_path / f"again {number}")
                shutil.rmtree(tmp_path / f"again {number}")
            process.stdin.write("\n")
        assert process.wait(60) == 0
    assert outcomes[-1] == 0
    assert len(outcomes) > 1
    print(f"{name}: {len(outcomes) - 1} kills")
    assert set(outcomes[:-1]) == {signal.SIGKILL}


def assert_whole(path: Path, name: str, acknowledged: bool, before: Content) -> None:
    """What is left opens, and shows what its log says: all or nothing of each commit, and all that was acknowledged."""
    if name in ("repair", "build_anew"):
        scoutcore.repair(path)
    with scoutcore.open(path) as db:
        assert db.recovered == []
        content = content_of(db)
        if name == "drop":
            assert_dropped(db, acknowledged, before)
            return
        if name == "expire" and acknowledged:
            assert db.retention[0].before == killed.EXPIRES
        floor = db._retention.floor
        assert_shows(db, content.since(floor))
        found = db.verify(views=True)
        assert found.ok, (found.damages, found.views)
        if name in ("export", "import_"):
            assert_exchanged(db, killed.stick_of(path), name == "export")
            content = content_of(db)
        numbers = {row.scout for row in content.receptions if row.report == "temp"}
        if name == "create":
            assert len(db.troops) in [0, 1][acknowledged:]
        else:
            for row, receptions in before.receptions.items():
                assert content.receptions[row][: len(receptions)] == receptions
            assert content.edits[: len(before.edits)] == before.edits
        if name.startswith("commit"):
            assert numbers in [{0, 1, 2}, {0, 1, 2, 7}, {0, 1, 2, 7, 8}][acknowledged:]
        if not len(db.troops):
            db.troops.create(key=killed.KEY)
        db.ingest(killed.reports(3), strict=True)
        db.pack()
        after = content_of(db)
        assert_shows(db, after.since(floor))
        assert sum(map(len, after.receptions.values())) == sum(map(len, content.receptions.values())) + 45


def assert_exchanged(db: scoutcore.Database, stick: Path, exported: bool) -> None:
    """What was interrupted can be done again, and then all has come."""
    peer = scoutcore.Database(MemoryStore())
    if exported:
        db.export_changes(stick)
    for one in (peer,) if exported else (peer, db):
        taken = one.import_changes(stick)
        assert (taken.gaps, taken.problems) == ([], [])
    ours, theirs = ([item for item in one.dump() if "point" in item] for one in (db, peer))
    assert [item for item in theirs if item not in ours] == []
    assert len(theirs) == (len(ours) if exported else 25)


def assert_dropped(db: scoutcore.Database, acknowledged: bool, before: Content) -> None:
    """All shows that showed before; and built anew, all metadata still does."""
    assert_numbered(db)
    expected = {(1, *row[1:], len(before.history(row)), len(found)) for row, found in before.receptions.items()}
    assert set(db.counts()) == expected | {(1, 9, "dropped", 3, 3)}
    assert db._directory is not None
    bases = set()
    for log in db.stats().logs:
        files = changes.files_of(db._directory.changes / log.log)
        assert int(files[0].stem) == log.base + 1
        assert (len(files) == 1) if acknowledged else files
        bases.add(log.base)
    assert bases != {0} or not acknowledged
    db.ingest(killed.reports(3), strict=True)
    db.pack()
    assert_numbered(db)
    fields = [item for item in db.dump() if "fields" in item]
    recovery.rebuild(db._store, db._directory.identity, db._directory.changes)
    db._load()
    assert [item for item in db.dump() if "fields" in item] == fields
    assert len(fields) == 1 + 4


def assert_numbered(db: scoutcore.Database) -> None:
    """The changes that the log says it has are there."""
    content_of(db)
