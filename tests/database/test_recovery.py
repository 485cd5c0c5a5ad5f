"""Opening after damage: what can be is kept, what was cut is said, and log and views agree again."""

from __future__ import annotations

import shutil
from pathlib import Path

import plyvel
import pytest

import scoutcore
from scoutcore import keys, recovery
from scoutcore.errors import CorruptError, StorageError
from scoutcore.store.leveldb import LevelDBStore


def fill(path: Path, batches: int = 6) -> None:
    with scoutcore.open(path) as db:
        if not len(db.troops):
            db.troops.create(key="k" * 32, name="one")
        for batch in range(batches):
            db.ingest(
                {"troop": 1, "scout": n % 3, "report": "r", "data": batch, "t": n, "boot": 1, "ms": n}
                for n in range(50)
            )
            db.scouts.update(1, 1, batch=batch)


def chunks(path: Path) -> list[bytes]:
    with plyvel.DB(str(path / "db")) as db:
        return [key for section in (b"ls", b"lt") for key, _ in db.iterator(prefix=section)]


def dump(db: scoutcore.Database) -> list[object]:
    return list(db.dump())


def test_a_hole_cuts_the_log_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.scout"
    fill(path, 3)
    with scoutcore.open(path) as db:
        before, log = dump(db), db.id
    fill(path, 2)
    last = max(keys.parse_log_chunk(key)[1] for key in chunks(path))
    gap = sorted(chunks(path), key=lambda key: keys.parse_log_chunk(key)[0])[7]
    with plyvel.DB(str(path / "db")) as db:
        db.delete(gap)
    with scoutcore.open(path) as db:
        assert dump(db) == before
        cut = keys.parse_log_chunk(gap)[0] - 1
        assert db.recovered[-1] == f"log {log} was cut behind change {cut}: {last - cut} changes are lost here"
        assert db.recovered[-1] in caplog.text
        assert db.id != log
        assert Path(f"{path}/db.damaged-1").is_dir()
        db.report(1, 1, "r", 1)
    with scoutcore.open(path) as db:
        assert db.recovered == []
        assert (
            len(list(db.history(1, 1, "r")))
            == len([one for one in before if one.get("scout") == 1 and "point" in one]) + 1
        )


def test_garbage_behind_the_end_of_leveldbs_log(tmp_path: Path) -> None:
    path = tmp_path / "a.scout"
    fill(path)
    with scoutcore.open(path) as db:
        before = dump(db)
    newest = max((path / "db").glob("*.log"))
    with newest.open("ab") as file:
        file.write(b"\x07garbage" * 20)
    with scoutcore.open(path) as db:
        assert dump(db) == before


def test_a_torn_tail_is_a_clean_prefix(tmp_path: Path) -> None:
    path = tmp_path / "a.scout"
    fill(path)
    newest = max((path / "db").glob("*.log"))
    size = newest.stat().st_size
    for cut in range(0, size, max(1, size // 25)):
        torn = tmp_path / f"torn-{cut}.scout"
        shutil.copytree(path, torn)
        with (torn / "db" / newest.name).open("r+b") as file:
            file.truncate(cut)
        with scoutcore.open(torn, pack=False) as db:
            content = dump(db)
            recovery.rebuild(db._store, db._directory.identity, db._directory.changes)
            db._load()
            assert dump(db) == content
        shutil.rmtree(torn)


def test_views_are_built_anew_from_packed_and_unpacked_log(tmp_path: Path) -> None:
    path = tmp_path / "a.scout"
    fill(path, 3)
    with scoutcore.open(path, pack=False) as db:
        db.pack()
        db.scouts.delete(1, 2)
        key = db.troops.assign_key(1)
    fill(path, 2)
    with scoutcore.open(path, pack=False) as db:
        before, counts = dump(db), list(db.counts())
        records = list(db._store.scan(b"\1", b"\xff"))
        recovery.rebuild(db._store, db._directory.identity, db._directory.changes)
        db._load()
        assert dump(db) == before
        assert list(db.counts()) == counts
        assert db.troops.by_key(key).id == 1
        assert list(db._store.scan(b"\1", b"\xff")) == records


def test_a_damaged_table_is_not_served(tmp_path: Path) -> None:
    path = tmp_path / "a.scout"
    fill(path)
    with plyvel.DB(str(path / "db")) as db:
        db.compact_range()
    (table,) = (path / "db").glob("*.ldb")
    damaged = bytearray(table.read_bytes())
    damaged[len(damaged) // 3] ^= 0x10
    table.write_bytes(damaged)
    with pytest.raises(StorageError, match=r"LevelDB cannot (read|open)"), scoutcore.open(path) as db:
        dump(db)


def test_leveldb_older_than_the_changes_files(tmp_path: Path) -> None:
    """As in a backup that was taken while the database was at work: no number is given twice, nothing is lost."""
    path, backup = tmp_path / "a.scout", tmp_path / "backup"
    fill(path, 2)
    with scoutcore.open(path) as db:
        db.pack()
    shutil.copytree(path / "db", backup)
    fill(path, 3)
    with scoutcore.open(path) as db:
        db.troops.create(name="later", key="l" * 32)
        db.pack()
        before, counts, log = dump(db), list(db.counts()), db.id
        (packed,) = (path / "changes" / log).iterdir()
        whole = packed.read_bytes()
    shutil.rmtree(path / "db")
    shutil.copytree(backup, path / "db")
    with scoutcore.open(path) as db:
        assert db.id == log
        assert len(db.recovered) == 1
        assert "was behind its changes files" in db.recovered[0]
        assert dump(db) == before
        assert list(db.counts()) == counts
        db.pack()
        assert packed.read_bytes() == whole
        db.report(1, 1, "r", "after")
        db.pack()
        assert packed.read_bytes().startswith(whole)
    with scoutcore.open(path) as db:
        assert db.recovered == []
        assert [point.data for point in db.history(1, 1, "r", reverse=True, limit=1)] == ["after"]


@pytest.mark.parametrize("tail", [b"", b"\x11", b"\x11\x02garbage", b"garbage" * 100], ids=len)
def test_what_a_killed_pack_left_is_cut_off(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "a.scout"
    fill(path, 1)
    with scoutcore.open(path) as db:
        db.pack()
        before, log = dump(db), db.id
    directory = path / "changes" / log
    (packed,) = directory.iterdir()
    whole = packed.read_bytes()
    packed.write_bytes(whole + tail)
    (directory / "0000000900.changes").write_bytes(tail)
    with scoutcore.open(path) as db:
        assert (dump(db), db.id, db.recovered) == (before, log, [])
    assert packed.read_bytes() == whole
    assert list(directory.iterdir()) == [packed]


def damage(path: Path) -> None:
    """A record with a wrong checksum behind the end of LevelDB's log: with paranoid checks it refuses to open."""
    with max((path / "db").glob("*.log")).open("ab") as file:
        file.write(b"\xff\xff\xff\xff\x09\x00\x01not a log")


def test_mending_that_is_interrupted_anywhere_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.scout"
    fill(path, 3)
    with scoutcore.open(path) as db:
        before, log = dump(db), db.id
    fill(path, 1)
    gap = sorted(chunks(path), key=lambda key: keys.parse_log_chunk(key)[0])[7]
    with plyvel.DB(str(path / "db")) as db:
        db.delete(gap)

    class Interrupted(BaseException):
        pass

    def open_with(writes: int) -> scoutcore.Database:
        left = iter(range(writes))

        def write(self: LevelDBStore, puts: object, sync: bool) -> None:
            if next(left, None) is None:
                raise Interrupted
            real(self, puts, sync)

        with monkeypatch.context() as patch:
            real = LevelDBStore.write
            patch.setattr(LevelDBStore, "write", write)
            return scoutcore.open(trial)

    done = 0
    while True:
        trial = tmp_path / f"trial-{done}.scout"
        shutil.copytree(path, trial)
        try:
            open_with(done).close()
            break
        except Interrupted:
            pass
        with scoutcore.open(trial) as db:
            assert dump(db) == before
            copies = [entry for entry in trial.iterdir() if entry.name.startswith("db.damaged")]
            assert len(copies) == (2 if done == 0 else 1)
            if db.recovered:
                assert "kept in" in db.recovered[0]
                assert db.recovered[-1].startswith(f"log {log} was cut behind change")
        with scoutcore.open(trial) as db:
            assert db.recovered == []
            assert dump(db) == before
        shutil.rmtree(trial)
        done += 1
    assert done > 10


def test_a_database_that_cannot_be_mended_is_never_served_and_copied_once(tmp_path: Path) -> None:
    path = tmp_path / "a.scout"
    fill(path, 2)
    with scoutcore.open(path) as db:
        db.pack()
        before = dump(db)
    (file,) = path.glob("changes/*/*.changes")
    whole = file.read_bytes()
    file.write_bytes(b"\0" + whole[1:])
    damage(path)
    for _ in range(3):
        with pytest.raises(CorruptError, match="changes"):
            scoutcore.open(path)
    assert len(list(path.glob("db.damaged-*"))) == 1
    file.write_bytes(whole)
    with scoutcore.open(path) as db:
        assert dump(db) == before
        assert len(db.recovered) == 1


def test_damage_that_cannot_be_copied_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.scout"
    fill(path, 1)
    damage(path)
    before = {file.name: file.read_bytes() for file in (path / "db").iterdir() if file.suffix in (".log", ".ldb")}
    with monkeypatch.context() as patch:

        def full(source: Path, target: Path) -> None:
            target.mkdir()
            raise OSError(28, "No space left on device")

        patch.setattr(shutil, "copytree", full)
        with pytest.raises(StorageError, match=r"cannot be copied before it is mended: .*No space left"):
            scoutcore.open(path)
    assert not list(path.glob("db.damaged-*"))
    after = {file.name: file.read_bytes() for file in (path / "db").iterdir() if file.suffix in (".log", ".ldb")}
    assert after == before
    with scoutcore.open(path) as db:
        assert len(db.recovered) == 1


def test_a_changes_file_that_was_cut_is_said_and_not_filled_up(tmp_path: Path) -> None:
    path = tmp_path / "a.scout"
    fill(path, 2)
    with scoutcore.open(path) as db:
        db.pack()
        before = dump(db)
    (file,) = path.glob("changes/*/*.changes")
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    for _ in range(2):
        with scoutcore.open(path) as db:
            assert db.recovered == [f"{file} lacks 10 bytes of what was packed"]
            assert dump(db) == before
            db.report(1, 1, "r", 1)
            before = dump(db)
            with pytest.raises(CorruptError, match="ends before what was packed"):
                db.pack()
        assert file.read_bytes() == whole[:-10]


def test_what_a_log_holds_is_believed_only_with_its_checksum(tmp_path: Path) -> None:
    """Also where LevelDB has to be repaired, whose own repair compares none."""
    path = tmp_path / "a.scout"
    fill(path)
    with scoutcore.open(path) as db:
        before = dump(db)
        db.report(1, 1, "r", "a right value", t=90)
        db.report(1, 1, "r", "behind it", t=91)
    log = max((path / "db").glob("*.log"))
    data = log.read_bytes()
    assert data.count(b"a right value") > 1
    log.write_bytes(data.replace(b"a right value", b"a wrong value"))
    (path / "db" / "CURRENT").unlink()
    with scoutcore.open(path, pack=False) as db:
        assert len(db.recovered) > 0
        assert dump(db) == before
        assert db.verify(views=True).ok
    assert sorted(entry.name for entry in path.iterdir() if entry.name.startswith("db")) == ["db", "db.damaged-1"]


def some_of(found: list[bytes], where: str) -> list[bytes]:
    """A third of the chunks: those at the front, in the middle or at the end."""
    begin = {"front": 0, "middle": len(found) // 3, "end": len(found) - len(found) // 3}[where]
    return found[begin : begin + len(found) // 3]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("where", ["front", "middle", "end"])
def test_chunks_that_are_gone_are_not_served_and_come_again(tmp_path: Path, where: str, packed: bool) -> None:
    """Of each of two logs, one of them a peer's: it is cut where it has a hole, and the peer has what is missing."""
    path, other_path = tmp_path / "a.scout", tmp_path / "b.scout"
    fill(path, 3)
    with scoutcore.open(other_path, pack=False) as other, other.serve("tcp://127.0.0.1:0") as server:
        (url,) = server.addresses
        with scoutcore.open(path, pack=False) as db:
            db.sync(url).wait()
            if packed:
                db.pack()
            for number in range(9):
                other.report(1, 2, "theirs", number)
                db.report(1, 2, "ours", number)
                db.sync(url).wait()
            expected, logs = dump(db), {log.log: log.head for log in db.stats().logs}
        found = sorted(chunks(path), key=lambda key: (key[2:18], keys.parse_log_chunk(key)[0]))
        with plyvel.DB(str(path / "db")) as leveldb:
            for log in {key[2:18] for key in found}:
                for key in some_of([key for key in found if key[2:18] == log], where):
                    leveldb.delete(key)
        with scoutcore.open(path, pack=False) as db:
            assert sum("was cut behind change" in message for message in db.recovered) == len(logs) == 2
            assert len(dump(db)) < len(expected)
            assert db.verify(views=True).ok
            db.report(1, 2, "ours", "after it")
            db.sync(url).wait()
            assert {log.log: log.head for log in db.stats().logs}.items() >= logs.items()
            assert dump(db) == dump(other)
            assert len(dump(db)) == len(expected) + 1
            db.pack()
            assert db.verify(views=True).ok
        with scoutcore.open(path, pack=False) as db:
            assert db.recovered == []
            assert dump(db) == dump(other)
