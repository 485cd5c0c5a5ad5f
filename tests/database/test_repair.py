"""Repairing: whatever of a database is damaged or gone, all that can be read shows again, and the rest is asked for."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import shutil
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any
from uuid import UUID

import plyvel
import pytest

import scoutcore
from scoutcore import keys, packer, repairing, restoring
from scoutcore.changes import Writer, files_of
from scoutcore.changes.position import MARKER
from scoutcore.database import Database
from scoutcore.errors import CorruptError, NotFoundError, StorageError
from scoutcore.source import Cursor
from scoutcore.store.leveldb import LevelDBStore
from tests.database.logs import files_of as all_files

KEY = "k" * 40


def text(n: int) -> str:
    """What no codec makes shorter."""
    return base64.b85encode(hashlib.blake2b(b"%d" % n, digest_size=48).digest()).decode()


def fill(db: Database, begin: int = 0, count: int = 12_000) -> None:
    db.ingest(
        {"troop": 1, "scout": n % 7, "report": "r", "data": text(n), "t": n, "boot": 1, "ms": n}
        for n in range(begin, begin + count)
    )
    db.scouts.update(1, 3, begin=begin)


@pytest.fixture
def whole(path: Path) -> dict[str, Any]:
    """A database with several intervals in changes files, a rest that is not packed, and troops of any ids."""
    with scoutcore.open(path, pack=False) as db:
        db.troops.create(key=KEY, name="one")
        db.troops.create(key="l" * 40, name="two", id=70_000)
        fill(db)
        db.pack()
        fill(db, 12_000, 500)
        return contents(db)


def contents(db: Database) -> dict[str, Any]:
    return {
        "dump": list(db.dump()),
        "ids": {troop.uid: troop.id for troop in db.troops},
        "counts": list(db.counts()),
        "log": db.id,
        "head": db.stats().logs[0].head,
    }


def repaired(path: Path, before: dict[str, Any], *, views: bool = False) -> repairing.Repaired:
    """Repair; all shows that was there before."""
    result = scoutcore.repair(path, views=views)
    with scoutcore.open(path, pack=False) as db:
        now = contents(db)
        assert now["dump"] == before["dump"]
        assert now["ids"] == before["ids"]
        assert now["counts"] == before["counts"]
        found = db.verify(views=True)
        assert found.ok, (found.damages, found.views)
    return result


def no_current(path: Path) -> None:
    (path / "db" / "CURRENT").unlink()


def no_manifest(path: Path) -> None:
    for file in (path / "db").glob("MANIFEST-*"):
        file.unlink()


def a_bad_manifest(path: Path) -> None:
    (file,) = (path / "db").glob("MANIFEST-*")
    file.write_bytes(b"\xff" * 100)


def a_bad_table(path: Path) -> None:
    with plyvel.DB(str(path / "db")) as db:
        db.compact_range()
    table = max((path / "db").glob("*.ldb"), key=lambda file: file.stat().st_size)
    damage(table, table.stat().st_size // 3)


@pytest.mark.parametrize("harm", [no_current, no_manifest, a_bad_manifest])
def test_leveldb_that_refuses(path: Path, whole: dict[str, Any], harm: Callable[[Path], None]) -> None:
    harm(path)
    repaired(path, whole)
    assert (path / "db.damaged-1").is_dir()
    with scoutcore.open(path, pack=False) as db:
        fill(db, 20_000, 10)
        files = all_files(path)
        db.pack()
        assert all(all_files(path)[name].startswith(data) for name, data in files.items())
    assert scoutcore.repair(path) == repairing.Repaired()


def test_without_leveldb_what_is_packed_shows(path: Path, whole: dict[str, Any]) -> None:
    with scoutcore.open(path, pack=False) as db:
        db.pack()
    shutil.rmtree(path / "db")
    with pytest.raises(StorageError, match="`scoutcore repair "):
        scoutcore.open(path)
    (path / "identity").unlink()
    (path / "format").unlink()
    scoutcore.repair(path)
    with scoutcore.open(path) as db:
        now = contents(db)
        assert now["dump"] == whole["dump"]
        assert now["counts"] == whole["counts"]
        assert min(now["ids"].values()) == 1
        assert now["log"] != whole["log"]


def test_a_damaged_table(path: Path, whole: dict[str, Any]) -> None:
    with plyvel.DB(str(path / "db")) as db:
        db.compact_range()
    chance = random.Random(1)
    for _ in range(3):
        table = chance.choice(sorted((path / "db").glob("*.ldb")))
        data = bytearray(table.read_bytes())
        data[chance.randrange(len(data))] ^= 0x10
        table.write_bytes(data)
    result = scoutcore.repair(path)
    with scoutcore.open(path, pack=False) as db:
        assert db.verify(views=True).ok
        if not result.rebuilt:
            assert contents(db)["dump"] == whole["dump"]
        assert len(list(db.dump())) > 11_000


def test_a_child_that_dies(
    path: Path,
    whole: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """LevelDB's repair aborts the process: what is packed shows all the same, and nobody sees how it died."""
    died = tmp_path / "dies"
    died.write_text("#!/bin/sh\necho Traceback >&2\nkill -ABRT $$\n")
    died.chmod(0o755)
    with scoutcore.open(path, pack=False) as db:
        db.pack()
    a_bad_table(path)
    monkeypatch.setattr("scoutcore.salvage.sys.executable", str(died))
    assert scoutcore.repair(path).rebuilt
    assert capfd.readouterr().err == ""
    with scoutcore.open(path, pack=False) as db:
        assert contents(db)["dump"] == whole["dump"]


def damage(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("by_files", [False, True], ids=["by a session", "by files"])
@pytest.mark.parametrize("lost", [False, True], ids=["LevelDB is whole", "LevelDB is lost"])
def test_a_damaged_interval_is_asked_for_and_comes_again(
    path: Path, tmp_path: Path, lost: bool, by_files: bool
) -> None:
    with scoutcore.open(path, pack=False) as db, scoutcore.open(tmp_path / "other", pack=False) as other:
        db.troops.create(key=KEY, name="one")
        fill(db)
        other.troops.create(key=KEY, name="one")
        other.report(1, 1, "other", 1)
        with other.serve("tcp://127.0.0.1:0") as server:
            db.sync(server.addresses[0]).wait()
        db.pack()
        whole = contents(db)
        files = all_files(path)
        log = whole["log"]
    (file,) = files_of(path / "changes" / log)
    damage(file, 100_000)
    damage(file, 400_000)
    if lost:
        shutil.rmtree(path / "db")
    result = scoutcore.repair(path)
    assert result.rebuilt == lost
    assert len(result.damages) == 2
    assert 0 < result.missing < 100
    with scoutcore.open(path, pack=False) as db:
        now = contents(db)
        assert (now["dump"] == whole["dump"]) is not lost
        assert len(now["dump"]) > 0.7 * len(whole["dump"])
        assert db.pack() >= 0
        (held,) = [one for one in db._logs.by_number if one.gaps]
        assert held.whole == result.damages[0].first - 1  # type: ignore[operator]
        assert held.head == whole["head"]
        assert sum(one.missing for one in db.stats().logs) == result.missing
        fill(db, 30_000, 20)
    with scoutcore.open(path, pack=False) as db, scoutcore.open(tmp_path / "other", pack=False) as other:
        if by_files:
            for one, another in ((other, db), (db, other)):
                one.export_changes(tmp_path / f"from {one.id}")
                taken = another.import_changes(tmp_path / f"from {one.id}")
                assert (taken.gaps, taken.problems) == ([], [])
        else:
            with other.serve("tcp://127.0.0.1:0") as server:
                db.sync(server.addresses[0]).wait()
        assert list(db.dump()) == list(other.dump())
        assert list(db.counts()) == list(other.counts())
        db.pack()
        other.pack()
        now_files = all_files(path)
        assert {name: now_files[name] for name in files} == files
        assert all_files(tmp_path / "other") == now_files
        found = db.verify(views=True)
        assert found.ok, (found.damages, found.views)
        assert not any(one.gaps for one in db._logs.by_number)


def test_interrupted_anywhere_it_goes_on(path: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with scoutcore.open(path, pack=False) as db:
        db.pack()
    a_bad_table(path)

    class Interrupted(BaseException):
        pass

    for step in range(0, 60, 7):
        trial = path.with_name(f"trial-{step}")
        shutil.copytree(path, trial)
        left = iter(range(step))
        with monkeypatch.context() as patch:
            for owner, name in ((LevelDBStore, "write"), (Path, "rename"), (shutil, "rmtree")):
                real = getattr(owner, name)

                def counted(*args: Any, real: Any = real, left: Any = left, **options: Any) -> Any:
                    if next(left, None) is None:
                        raise Interrupted
                    return real(*args, **options)

                patch.setattr(owner, name, counted)
            with suppress(Interrupted):
                scoutcore.repair(trial)
        scoutcore.repair(trial)
        with scoutcore.open(trial, pack=False) as db:
            assert contents(db)["dump"] == whole["dump"]
        assert len(list(trial.glob("db.damaged-*"))) == 1
        shutil.rmtree(trial)


def test_what_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no scoutcore database"):
        scoutcore.repair(tmp_path)
    with pytest.raises(NotFoundError, match="no scoutcore database"):
        scoutcore.repair(tmp_path / "nowhere")


def test_views_that_are_wrong_are_built_anew(path: Path, whole: dict[str, Any]) -> None:
    with plyvel.DB(str(path / "db")) as db:
        for section in (keys.VIEW, keys.HISTORY):
            (key, value), *_ = db.iterator(prefix=section)
            db.delete(key)
            db.put(key[:-1] + bytes([key[-1] ^ 1]), value)
    with scoutcore.open(path, pack=False) as db:
        found = db.verify(views=True)
        assert found.views
        assert found.views.wrong == 4
    assert scoutcore.repair(path) == repairing.Repaired()
    done = repaired(path, whole, views=True)
    assert (done.rebuilt, done.missing, len(done.messages)) == (True, 0, 2)


def test_views_are_not_built_anew_from_less_than_they_show(path: Path, whole: dict[str, Any]) -> None:
    (file,) = files_of(path / "changes" / whole["log"])
    damage(file, 100_000)
    done = scoutcore.repair(path, views=True)
    assert (done.rebuilt, done.messages) == (
        False,
        ["the views are not built anew: they show readings of changes that are missing"],
    )
    assert done.missing > 0
    with scoutcore.open(path, pack=False) as db:
        assert list(db.dump()) == whole["dump"]


def test_a_whole_one_is_left_alone(path: Path, whole: dict[str, Any]) -> None:
    files = all_files(path)
    assert scoutcore.repair(path) == repairing.Repaired()
    assert all_files(path) == files
    with scoutcore.open(path, pack=False) as db:
        assert contents(db) == whole


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes files are ended at 140,000 bytes: a few intervals."""
    writer = partial(Writer, file_bytes=140_000)
    monkeypatch.setattr(packer, "Writer", writer)
    monkeypatch.setattr(restoring.changes, "Writer", writer)


@pytest.mark.usefixtures("small_files")
def test_files_that_are_gone_come_again(path: Path, tmp_path: Path) -> None:
    """A log in several files: one is gone, one is cut, one has a bit that is wrong, and so has the open tail."""
    with scoutcore.open(path, pack=False) as db, scoutcore.open(tmp_path / "other", pack=False) as other:
        db.troops.create(key=KEY, name="one")
        fill(db, 0, 20_000)
        with other.serve("tcp://127.0.0.1:0") as server:
            db.sync(server.addresses[0]).wait()
        db.pack()
        whole, files, log = contents(db), all_files(path), db.id
    (one, two, three, *_, last) = found = files_of(path / "changes" / log)
    assert len(found) >= 6
    damage(one, 70_000)
    two.unlink()
    three.write_bytes(three.read_bytes()[:70_000])
    damage(last, last.stat().st_size - 3)
    result = scoutcore.repair(path)
    assert not result.rebuilt
    assert result.missing > 4
    assert scoutcore.repair(path) == result, "it can be done again"
    with scoutcore.open(path, pack=False) as db, scoutcore.open(tmp_path / "other", pack=False) as other:
        assert list(db.dump()) == whole["dump"]
        fill(db, 30_000, 10)
        with other.serve("tcp://127.0.0.1:0") as server:
            db.sync(server.addresses[0]).wait()
        assert list(db.dump()) == list(other.dump())
        assert list(db.counts()) == list(other.counts())
        db.pack()
        now = all_files(path)
        assert {name: now[name] for name in files} == files
        assert db.verify(views=True).ok


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("cut", [False, True], ids=["an interval", "all of the file"])
def test_the_first_that_was_not_dropped_comes_again(path: Path, tmp_path: Path, cut: bool) -> None:
    """What stands before it is known though the files that had it are dropped."""
    with scoutcore.open(path, pack=False) as db, scoutcore.open(tmp_path / "other", pack=False) as other:
        db.troops.create(key=KEY, name="one")
        fill(db, 0, 8_000)
        db.pack()
        middle = db.stats().logs[0].head
        time.sleep(0.01)
        kept_from = time.time_ns() // 1000
        fill(db, 8_000, 12_000)
        with other.serve("tcp://127.0.0.1:0") as server:
            db.sync(server.addresses[0]).wait()
        db.pack()
        assert 0 < db.drop_changes(kept_from) <= middle
        whole, files, log = contents(db), all_files(path), db.id
    file = files_of(path / "changes" / log)[0]
    if cut:
        file.write_bytes(file.read_bytes()[:100])
    else:
        damage(file, 1_000)
    result = scoutcore.repair(path)
    assert result.missing
    with scoutcore.open(path, pack=False) as db, scoutcore.open(tmp_path / "other", pack=False) as other:
        with other.serve("tcp://127.0.0.1:0") as server:
            db.sync(server.addresses[0]).wait()
        db.pack()
        assert list(db.dump()) == whole["dump"]
        assert list(db.counts()) == whole["counts"]
        now = all_files(path)
        assert {name: now[name] for name in files} == files
        found = db.verify(views=True)
        assert found.ok, (found.damages, found.views)


@pytest.mark.parametrize("byte", [0, 17, 18, 19, 40], ids=lambda byte: f"byte {byte}")
def test_the_open_interval_is_read_behind_one_that_is_damaged(path: Path, byte: int) -> None:
    """Also where that can no longer be told apart from what follows it."""
    with scoutcore.open(path, pack=False) as db, scoutcore.open(":memory:") as other:
        db.troops.create(key=KEY, name="one")
        fill(db, 0, 4_000)
        with other.serve("tcp://127.0.0.1:0") as server:
            db.sync(server.addresses[0]).wait()
            db.pack()
            whole, files, log = contents(db), all_files(path), db.id
            db.close()
            (file,) = files_of(path / "changes" / log)
            data = file.read_bytes()
            keyframe = MARKER + UUID(log).bytes
            last = data.rindex(keyframe)
            before = data.rindex(keyframe, 0, last)
            assert len(data) > last
            damage(file, before + byte)
            assert scoutcore.repair(path).missing
            with scoutcore.open(path, pack=False) as again:
                again.sync(server.addresses[0]).wait()
                again.pack()
                assert list(again.dump()) == whole["dump"]
                assert again.verify(views=True).ok
                now = all_files(path)
                assert {name: now[name] for name in files} == files


@pytest.mark.usefixtures("small_files")
def test_a_log_of_which_only_an_open_interval_is_left_goes_on_as_it_was(path: Path, tmp_path: Path) -> None:
    """No check in it says what was before: that was kept when the files before it were dropped."""
    with scoutcore.open(path, pack=False) as db, scoutcore.open(tmp_path / "other", pack=False) as other:
        db.troops.create(key=KEY, name="one")
        fill(db, 0, 8_000)
        db.pack()
        assert db._logs.own is not None
        end = db._logs.own.packed
        while end.interval == end.size or end.file == 1 or end.interval:
            fill(db, 0, 100)
            db.pack()
            end = db._logs.own.packed
        with other.serve("tcp://127.0.0.1:0") as server:
            db.sync(server.addresses[0]).wait()
        assert db.drop_changes(2**62) == end.file - 1
        log = db.id
        assert len(files_of(path / "changes" / log)) == 1
    shutil.rmtree(path / "db")
    assert scoutcore.repair(path).rebuilt
    with scoutcore.open(path, pack=False) as db, scoutcore.open(tmp_path / "other", pack=False) as other:
        assert db._logs.get(UUID(log).bytes).packed == end
        fill(db, 30_000, 10)
        with other.serve("tcp://127.0.0.1:0") as server:
            db.sync(server.addresses[0]).wait()
        assert [one.head for one in db.stats().logs if one.head] == [one.head for one in other.stats().logs if one.head]


@pytest.mark.parametrize("size", [1, 7, 3_000])
def test_the_newest_file_that_lost_its_end_comes_again(path: Path, tmp_path: Path, size: int) -> None:
    """No digest tells whether the rest of its open interval is right: all of that is asked for."""
    with scoutcore.open(path, pack=False) as db:
        db.troops.create(key=KEY, name="one")
        fill(db)
        db.pack()
        whole, files, log = contents(db), all_files(path), db.id
        db.export_changes(tmp_path / "stick")
    last = files_of(path / "changes" / log)[-1]
    os.truncate(last, last.stat().st_size - size)
    result = scoutcore.repair(path)
    assert result.missing > 1
    with scoutcore.open(path, pack=False) as db:
        (held,) = [one for one in db._logs.by_number if one.gaps]
        with closing(Cursor(db._logs, held, path / "changes", held.head - 1)) as cursor, pytest.raises(CorruptError):
            cursor.read(held.head, 1)
        taken = db.import_changes(tmp_path / "stick")
        assert (taken.new, taken.gaps, taken.problems) == (result.missing, [], [])
        db.pack()
        assert contents(db)["dump"] == whole["dump"]
        assert db.verify(views=True).ok
    assert all_files(path)[str(last.relative_to(path))] == files[str(last.relative_to(path))]


def test_what_had_come_again_and_is_gone_once_more(path: Path, tmp_path: Path) -> None:
    """LevelDB lost a chunk that filled a gap, but not the record of it: it is asked for once more."""
    with scoutcore.open(path, pack=False) as db:
        db.troops.create(key=KEY, name="one")
        fill(db)
        db.pack()
        whole, files, log = contents(db), all_files(path), db.id
        db.export_changes(tmp_path / "stick")
    damage(files_of(path / "changes" / log)[0], 100_000)
    missing = scoutcore.repair(path).missing
    with scoutcore.open(path, pack=False) as db:
        assert db.import_changes(tmp_path / "stick").new == missing
        (held,) = [one for one in db._logs.by_number if one.gaps]
        first, _, key, _ = next(db._logs.chunks(held, held.gaps[0].first))
        assert first == held.gaps[0].first
        db._store.write({key: None}, sync=True)
    with scoutcore.open(path, pack=False) as db:
        assert db.recovered[-1] == f"log {log}: {missing} changes that had come again are missing again"
        (held,) = [one for one in db._logs.by_number if one.gaps]
        assert held.missing == missing
        assert db.import_changes(tmp_path / "stick").new == missing
        db.pack()
        assert contents(db)["dump"] == whole["dump"]
        assert db.verify(views=True).ok
    now = all_files(path)
    assert {name: now[name] for name in files} == files


def test_rules_that_cannot_be_read_are_those_that_were_applied_last(path: Path) -> None:
    with scoutcore.open(path, pack=False) as db:
        db.troops.create(key=KEY, name="one")
        fill(db, 0, 100)
        db.expire(before=50)
        before = list(db.dump())
    rules = path / "retention.json"
    whole = rules.read_bytes()
    rules.write_bytes(whole[:-5])
    with pytest.raises(scoutcore.errors.FormatError, match=r"retention\.json"):
        scoutcore.open(path)
    result = scoutcore.repair(path)
    assert not result.rebuilt
    assert "is kept in" in result.messages[0]
    assert json.loads(rules.read_bytes()) == json.loads(whole)
    assert (path / "retention.json.damaged-1").read_bytes() == whole[:-5]
    with scoutcore.open(path, pack=False) as db:
        assert list(db.dump()) == before


@pytest.mark.usefixtures("small_files")
def test_a_file_in_the_middle_that_lost_the_check_of_its_interval(path: Path, tmp_path: Path) -> None:
    """Nothing tells whether what is left of the interval is right: all of it is asked for."""
    with scoutcore.open(path, pack=False) as db:
        db.troops.create(key=KEY, name="one")
        for begin in range(0, 9_000, 100):
            fill(db, begin, 100)
        db.pack()
        whole, files, log = contents(db), all_files(path), db.id
        db.export_changes(tmp_path / "stick")
    _, file, _, *_ = files_of(path / "changes" / log)
    for lost, cut in product((False, True), (1, 40, 41, 500, 5_000)):
        os.truncate(file, len(files[str(file.relative_to(path))]) - cut)
        if lost:
            shutil.rmtree(path / "db")
        result = scoutcore.repair(path)
        missing = result.missing
        assert missing > 1
        with scoutcore.open(path, pack=False) as db:
            for log_ in db._logs.by_number:
                for after, upto in log_.spans(log_.head):
                    with closing(Cursor(db._logs, log_, path / "changes", after)) as cursor:
                        while cursor.after < upto:
                            cursor.read(upto, 1 << 20)
            assert db.import_changes(tmp_path / "stick").new == missing
            db.pack()
            assert contents(db)["dump"] == whole["dump"]
        assert {name: data for name, data in all_files(path).items() if name in files} == files
