"""The scenarios of pinoccio-db's own tests (0.0.5, ``test/*.js``) with our calls; the table is ``docs/pinoccio.md``."""

from __future__ import annotations

import re
import threading
import uuid
from pathlib import Path

import pytest

import scoutcore
from scoutcore.database import Database
from scoutcore.errors import NotFoundError
from scoutcore.store.memory import MemoryStore

PAGE = Path(__file__).parents[2] / "docs" / "pinoccio.md"


@pytest.fixture
def db() -> Database:
    return Database(MemoryStore())


def test_can_require_lib() -> None:
    """test.js"""
    assert scoutcore.open


def test_get_id(db: Database) -> None:
    """getid.js: can get database uuid."""
    assert uuid.UUID(db.id).version == 4
    assert db.id == db.id


def test_write_troop(db: Database) -> None:
    """writetroop.js: can make new troops."""
    bob = db.troops.create(name="bob")
    assert (bob.id, bob.name) == (1, "bob")
    steve = db.troops.create(name="steve")
    assert (steve.id, steve.name) == (2, "steve")


def test_get_troop(db: Database) -> None:
    """gettroop.js: can get new troops, by id and by key. The key itself is given once, when it is made."""
    troop = db.troops.create(name="bob")
    assert troop.key is not None
    assert db.troops.get(troop.id).uid == troop.uid
    assert db.troops.by_key(troop.key).id == troop.id


def test_get_troops(db: Database) -> None:
    """gettroops.js: can get list of troops."""
    db.troops.create(name="hi")
    db.troops.create(name="ho")
    troops = db.snapshot()
    assert troops[1].troop.name == "hi"
    assert troops[2].troop.name == "ho"
    assert [troop.name for troop in db.troops] == ["hi", "ho"]


def test_delete_troop(db: Database) -> None:
    """deletetroop.js, and its TODO: the troop is excluded from then on."""
    troop = db.troops.create(name="bob")
    with db.watch() as watch:
        db.troops.delete(troop.id)
        events = [event for event in iter(lambda: watch.next(0), None) if isinstance(event, scoutcore.Troop)]
    assert events[-1].deleted
    assert list(db.troops) == []
    assert db.snapshot() == {}
    with pytest.raises(NotFoundError):
        db.troops.get(troop.id)


def test_write_scout(db: Database) -> None:
    """writescout.js: can make new scouts."""
    troop = db.troops.create()
    scout = db.scouts.create(troop.id, name="happy")
    assert db.scouts.get(troop.id, scout.id) == scout
    assert scout.troop == troop.id
    assert scout.id == 1


def test_get_scouts(db: Database) -> None:
    """getscouts.js: can get scouts."""
    troop = db.troops.create()
    assert db.scouts.create(troop.id, name="stu").name == "stu"
    db.scouts.create(troop.id)
    scouts = db.snapshot(troop.id).scouts
    assert len(scouts) == 2
    assert scouts[1].scout.id == 1
    assert scouts[2].scout.id == 2


def test_delete_scout(db: Database) -> None:
    """deletescout.js: a scout that was deleted is not among them."""
    troop = db.troops.create()
    db.scouts.create(troop.id, name="stu")
    scouts = db.snapshot(troop.id).scouts
    assert len(scouts) == 1
    db.scouts.delete(troop.id, next(iter(scouts)))
    assert db.snapshot(troop.id).scouts == {}


def test_next_id_serially(db: Database) -> None:
    """nextid.js: can generate increment ids serially."""
    assert db.troops.create().id == 1
    assert db.troops.create().id == 2
    assert [db.scouts.create(2).id for _ in range(3)] == [1, 2, 3]
    assert db.scouts.create(1).id == 1


def test_next_id_in_parallel(db: Database) -> None:
    """nextid.js: can generate increment ids in parallel."""
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(db.troops.create().id), daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found) == list(range(1, 9))


def test_save_reports(db: Database) -> None:
    """savereports.js: three reports of a troop that nobody made: all three in the history, the last one current."""
    made: list[scoutcore.Troop] = []
    lines = b'{"troop":1,"scout":1,"report":"hi","data":1,"t":%d}\n'
    result = db.ingest(b"".join(lines % t for t in (1, 2, 3)), create_troops=made.append)
    assert (result.accepted, result.rejected) == (3, 0)
    assert [(troop.id, len(troop.key or "")) for troop in made] == [(1, 32)]
    assert [point.t for point in db.history(1, 1, "hi")] == [1000, 2000, 3000]
    assert {name: point.t for name, point in db.snapshot(1).scouts[1].reports.items()} == {"hi": 3000}


def test_stats(db: Database) -> None:
    """stats.js: sends all data and ends."""
    db.troops.create()
    for report in ("lalal", "hi", "hi", "zugzug", "hi"):
        db.report(1, 1, report, {"hi": 1})
    points = list(db.history(1, 1, "hi"))
    assert len(points) == 3
    for point in points:
        assert point.data["hi"]
        assert point.report == "hi"


def test_the_table_names_every_call() -> None:
    rows = re.findall(r"^\| `(\w+)[^`]*` \|", PAGE.read_text(), re.MULTILINE)
    calls = ["get", "writeTroop", "deleteTroop", "assignTroopKey", "getTroopIdFromKey", "writeScout", "deleteScout"]
    calls += ["sync", "stats", "saveReportsStream", "getId", "getTroopData", "getScoutData"]
    assert set(calls) <= set(rows)
