"""Where a log ends and a new one begins: at bytes that would read as its keyframe, and at the end of the numbers."""

from __future__ import annotations

import shutil
import uuid
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scoutcore
from scoutcore import changes, codec
from scoutcore.codec.constants import UINT32_MAX
from scoutcore.commit import Commit
from scoutcore.database import Database
from scoutcore.ingest import Series, parsed
from scoutcore.log import Log
from scoutcore.store.memory import MemoryStore
from tests.database.compare import assert_shows
from tests.database.logs import changes_of, content_of

FAKED = uuid.UUID("018596a7-b8c9-4d81-92a3-b4c5d6e70837")
FAKE: dict[str, Any] = {"boot": 2665413724933, "ms": 4959571987187969, "data": 7}
"""A point that, 1 µs behind the one before, encodes to the keyframe of the log above."""


@pytest.fixture
def faked(path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A database whose first log has the name that can be faked."""
    names = deque([FAKED])
    with monkeypatch.context() as patch:
        made = SimpleNamespace(UUID=uuid.UUID, uuid4=lambda: names.popleft() if names else uuid.uuid4())
        patch.setattr("scoutcore.log.uuids", made)
        with scoutcore.open(path) as db:
            assert db.id == str(FAKED)
            db.troops.create()
            yield db


def fake(t: int) -> list[dict[str, Any]]:
    report = {"troop": 1, "scout": 1, "report": "temp"}
    return [{**report, "t": t - 1, "boot": 1, "ms": 1, "data": 0}, {**report, "t": t, **FAKE}]


def test_a_point_that_reads_as_the_keyframe_goes_to_a_new_log(faked: Database) -> None:
    faked.ingest(fake(5), strict=True)
    assert faked.id != str(FAKED)
    old, new = faked._logs.by_number
    assert [len(changes_of(faked, log)) for log in (old, new)] == [1, 1]
    chunk = next(faked._logs.chunks(new, 1))[3]
    assert codec.find_marker(chunk, FAKED.bytes) > 0
    assert codec.find_marker(chunk, new.uuid) < 0
    faked.ingest(fake(100), strict=True)
    assert faked.id == str(uuid.UUID(bytes=new.uuid))
    assert_shows(faked, content_of(faked))
    faked.pack()
    for log in (old, new):
        (file,) = (faked._directory.changes / str(uuid.UUID(bytes=log.uuid))).iterdir()  # type: ignore[union-attr]
        assert file.read_bytes().count(b"\x11\x02" + log.uuid) == 1
        assert len(list(changes.open(file))) == log.head


def test_a_single_report_that_reads_as_the_keyframe(faked: Database) -> None:
    """The first point's time counts from 0: 1 µs after the epoch."""
    faked.report(1, 1, "temp", FAKE["data"], t=1, boot=FAKE["boot"], ms=FAKE["ms"])
    assert faked.id != str(FAKED)
    assert_shows(faked, content_of(faked))


def test_metadata_is_looked_through_too(faked: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    fits = faked._logs.fits

    def counting(log: Log, frames: bytes) -> bool:
        looked.append(log)
        return fits(log, frames) and len(looked) > 1

    monkeypatch.setattr(faked._logs, "fits", counting)
    faked.troops.update(1, name="x")
    assert faked.id != str(FAKED)
    assert faked.troops.get(1).name == "x"
    assert_shows(faked, content_of(faked))


@pytest.mark.parametrize("cut", range(1, 18))
def test_a_keyframe_over_the_seam(cut: int) -> None:
    db = Database(MemoryStore())
    own = db._logs.own
    assert own is not None
    marker = b"\x11\x02" + own.uuid
    own.keep_tail(b"before" * 5 + marker[:cut])
    assert own.tail == marker[:cut]
    assert not db._logs.fits(own, marker[cut:] + b"behind")
    assert db._logs.fits(own, b"x" + marker[cut:])


@given(st.lists(st.lists(st.sampled_from([b"\x11", b"\x11\x02", b"\x11\x02\x11", b"x", b"xyz"])).map(b"".join)))
def test_a_tail_is_all_that_a_keyframe_could_begin_with(pieces: list[bytes]) -> None:
    log = Log(b"\x11\x02\x11\x11\x02\x11\x02" + b"\x11" * 9, 0)
    for piece in pieces:
        log.keep_tail(piece)
    written = b"".join(pieces)
    assert log.tail == max((log.marker[:cut] for cut in range(18) if written.endswith(log.marker[:cut])), key=len)


def test_the_seam_is_kept_over_a_restart(path: Path) -> None:
    with scoutcore.open(path) as db:
        own = db._logs.own
        assert own is not None
        own.keep_tail(own.marker[:5])
        db._store.write({own.state_key: own.dump()}, sync=False)
    with scoutcore.open(path) as db:
        assert db._logs.own is not None
        assert db._logs.own.tail == own.marker[:5]


def test_the_last_change_number(db: Database) -> None:
    own = db._logs.own
    assert own is not None
    log = db.id
    own.head = UINT32_MAX - 2
    db.ingest({"troop": 1, "scout": n, "report": "r", "data": n} for n in range(2))
    assert db.id == log
    assert own.head == UINT32_MAX
    db.ingest({"troop": 1, "scout": n, "report": "r", "data": n} for n in range(2))
    assert db.id != log
    assert sorted(scout for _, scout, _, points, _ in db.counts() if points == 2) == [0, 1]


def test_the_last_version_of_a_row(db: Database) -> None:
    db.report(1, 1, "r", 0)
    log = db.id
    ((row),) = db._rows._rows.values()

    def counted(points: int) -> None:
        loaded = row.load(db._logs)
        loaded.own_count = points
        row.record = loaded.dump(db._logs)

    counted(UINT32_MAX - 1)
    db.report(1, 1, "r", 1)
    assert db.id == log
    db.report(1, 1, "r", 2)
    assert db.id != log
    log = db.id
    counted(UINT32_MAX - 2)
    hour = 3_600_000_001
    db.ingest({"troop": 1, "scout": 1, "report": "r", "data": n, "t": n * hour} for n in range(4))
    assert db.id != log
    assert [point.data for point in db.history(1, 1, "r")] == [0, 1, 2, 3, 0, 1, 2]


def heads_recorded(db: Database, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The heads that the record of our own log is given from now on."""
    found: list[int] = []
    dump = Log.dump

    def dumping(log: Log) -> bytes:
        if log is db._logs.own:
            found.append(log.head)
        return dump(log)

    monkeypatch.setattr(Log, "dump", dumping)
    return found


@pytest.mark.parametrize("count", [1, 15, 16, 17, 40])
def test_single_reports_that_are_not_recorded_are_there_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    now = 1_790_000_000_000_000
    with scoutcore.open(path, pack=False) as db:
        db.troops.create()
        found = heads_recorded(db, monkeypatch)
        name, begin = db.id, db.stats().logs[0].head
        db._clock._now = lambda: now
        for number in range(count):
            db.report(1, 1, "r", number, boot=1, ms=number)
        assert found == [begin + number for number in range(16, count + 1, 16)]
    with scoutcore.open(path, pack=False) as db:
        assert db.recovered == []
        assert (db.id, db.stats().logs[0].head) == (name, begin + count)
        db._clock._now = lambda: now - 1_000_000
        db.report(1, 1, "r", "next", boot=1, ms=count)
        heard = [db.receptions(1, 1, "r", boot=1, ms=ms) for ms in range(count + 1)]
        assert [one.change for (one,) in heard] == list(range(begin + 1, begin + count + 2))
        assert [one.write_time for (one,) in heard] == list(range(now, now + count + 1))
        assert_shows(db, content_of(db))
        assert db.verify(views=True).ok


def test_what_is_safe_against_power_loss_is_recorded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with scoutcore.open(path, pack=False) as db:
        db.troops.create()
        begin = db.stats().logs[0].head
        db.report(1, 1, "r", 1)
        found = heads_recorded(db, monkeypatch)
        db._publish()
        db._publish()
        assert found == [begin + 1]
        db.report(1, 1, "r", 2)
        assert db.pack() == begin + 2
        assert found == [begin + 1, begin + 2]
    with scoutcore.open(path, durability="power") as db:
        found = heads_recorded(db, monkeypatch)
        db.report(1, 1, "r", 3)
        db.report(1, 1, "r", 4)
        assert found == [begin + 3, begin + 4]


def test_what_is_not_recorded_is_not_packed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with scoutcore.open(path, pack=False) as db:
        db.troops.create()
        begin = db.stats().logs[0].head
        db.report(1, 1, "r", 1)
        with monkeypatch.context() as patch:
            patch.setattr(db._logs, "record", lambda commit: None)
            assert db.pack() == begin
        assert db.pack() == 1


@pytest.mark.parametrize("ended", ["full", "copied"])
def test_a_log_that_has_ended_is_recorded(path: Path, ended: str) -> None:
    with scoutcore.open(path, pack=False) as db:
        db.troops.create()
        own = db._logs.own
        assert own is not None
        for number in range(3):
            db.report(1, 1, "r", number)
        if ended == "full":
            db._logs._max_change = own.head
            db.report(1, 1, "r", 3)
    for _ in range(3):
        if ended == "copied":
            (path / "identity").unlink()
        with scoutcore.open(path, pack=False) as db:
            assert db.recovered == []
            assert db._logs.own is not None
            assert db._logs.own.uuid != own.uuid
            assert db._logs.get(own.uuid).head == own.head
            assert_shows(db, content_of(db))
            db.report(1, 1, "r", "more")


def test_the_seam_behind_a_report_that_is_not_recorded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = uuid.UUID("37000000-0000-4000-8000-000000000000")
    with monkeypatch.context() as patch:
        patch.setattr("scoutcore.log.uuids", SimpleNamespace(UUID=uuid.UUID, uuid4=lambda: name))
        with scoutcore.open(path, pack=False) as db:
            db.troops.create()
            db.report(1, 1, "r", 7, boot=0x11, ms=2)  # ends in 11 02 37
    with scoutcore.open(path, pack=False) as db:
        own = db._logs.own
        assert own is not None
        assert own.uuid == name.bytes
        assert own.tail == own.marker[:3]


def test_our_log_ends_in_a_commit_that_adds_to_it(path: Path) -> None:
    with scoutcore.open(path, pack=False) as db:
        db.troops.create()
        db.report(1, 1, "r", 1)
        old = db._logs.own
        assert old is not None

        def work(commit: Commit) -> None:
            db._append_point(Series(1, db.troops.get(1).uid, 1, "r"), parsed(1, "r", 2, 1), commit)
            db._logs.start_own(commit)

        db._submit(work)
        assert db._logs.own is not old
        assert db._logs.stored_head(old) == db._logs.recorded_head(old) == old.head
        assert db.pack() == old.head
        assert old.packed.last == old.head


def test_a_restored_backup_takes_what_it_lacks_of_its_log(path: Path, tmp_path: Path) -> None:
    with scoutcore.open(path, pack=False) as db:
        db.troops.create()
        for number in range(5):
            db.report(1, 1, "r", number)
        before = db.stats().logs[0].head
    shutil.copytree(path / "db", tmp_path / "backup")
    with scoutcore.open(path, pack=False) as db:
        for number in range(5, 50):
            db.report(1, 1, "r", number)
        own = db._logs.own
        assert own is not None
        expected = content_of(db)
        db.export_changes(tmp_path / "all")
    shutil.rmtree(path / "changes")
    shutil.rmtree(path / "db")
    (tmp_path / "backup").rename(path / "db")
    with scoutcore.open(path, pack=False) as db:
        assert db._logs.get(own.uuid).head == before
        assert db.import_changes(tmp_path / "all").new == 45
        assert db.import_changes(tmp_path / "all").new == 0
        assert db._logs.own is not None
        assert db._logs.own.uuid != own.uuid
        assert db._logs.stored_head(db._logs.get(own.uuid)) == own.head
        assert db.pack() == own.head
        assert_shows(db, expected)


def test_what_is_lost_is_counted_also_where_it_was_not_recorded(path: Path) -> None:
    with scoutcore.open(path, pack=False) as db:
        db.troops.create()
        for number in range(12):
            db.report(1, 1, "r", number)
        own = db._logs.own
        assert own is not None
        ((key, _),) = [(key, last) for first, last, key, _ in db._logs.chunks(own, 1) if first == own.head - 4]
        db._store.write({key: None}, sync=False)
    with scoutcore.open(path, pack=False) as db:
        assert f"was cut behind change {own.head - 5}: 5 changes are lost here" in db.recovered[-1]
        assert db._logs.get(own.uuid).head == own.head - 5
        assert db.verify(views=True).ok
