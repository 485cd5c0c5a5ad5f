"""Repairing: logs and files that hold something else than they should, beside a LevelDB that is built anew."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import plyvel
import pytest

import scoutcore
from scoutcore import repairing
from scoutcore.database import Database
from scoutcore.errors import StorageError
from tests.database.test_repair import KEY, contents, fill


def stray(path: Path) -> Path:
    """A directory of changes files that is no log's: LevelDB is built anew."""
    nobody = path / "changes" / "nobody"
    nobody.mkdir()
    (nobody / "0000000001.changes").write_bytes(b"")
    return nobody


@pytest.fixture
def other(tmp_path: Path, path: Path) -> Database:
    """A peer with all that the database in *path* has: 400 readings in changes files, then five commits not packed."""
    other = scoutcore.open(":memory:")
    with scoutcore.open(path, pack=False) as db:
        db.troops.create(key=KEY, name="one")
        fill(db, 0, 400)
        db.pack()
        for begin in range(400, 900, 100):
            fill(db, begin, 100)
        with other.serve("tcp://127.0.0.1:0") as server:
            db.sync(server.addresses[0]).wait()
    return other


def comes_again(path: Path, other: Database) -> None:
    """Whatever was lost, the peer has it."""
    with other, scoutcore.open(path, pack=False) as db:
        fill(db, 1_000, 10)
        with other.serve("tcp://127.0.0.1:0") as server:
            db.sync(server.addresses[0]).wait()
        assert list(db.dump()) == list(other.dump())
        assert list(db.counts()) == list(other.counts())
        db.pack()
        found = db.verify(views=True)
        assert found.ok, (found.damages, found.views)


@pytest.mark.parametrize("harm", ["gone", "no frames", "cut", "another's"])
def test_a_log_is_cut_where_a_chunk_is_wrong(path: Path, other: Database, harm: str) -> None:
    with scoutcore.open(path, pack=False) as db:
        assert db._logs.own is not None
        log, head = db.id, db._logs.own.head
        chunks = list(db._logs.chunks(db._logs.own, db._logs.own.packed.last + 1))
    first, last, key, frames = chunks[len(chunks) // 2]
    assert chunks[0][0] < first
    assert last < head
    with plyvel.DB(str(path / "db")) as leveldb:
        prefix = next(found for found, value in leveldb if found.endswith(key) and value == frames)
        if harm == "gone":
            leveldb.delete(prefix)
        else:
            wrong = {"no frames": b"\x00", "cut": frames[:-1], "another's": chunks[0][3]}
            leveldb.put(prefix, wrong[harm])
    nobody = stray(path)
    result = scoutcore.repair(path)
    shutil.rmtree(nobody)
    assert f"{nobody} is named by no log" in result.messages
    assert f"log {log} was cut behind change {first - 1}: {head - first + 1} changes are lost here" in result.messages
    assert scoutcore.repair(path) == repairing.Repaired()
    with scoutcore.open(path, pack=False) as db:
        points = sum(receptions for *_, receptions in db.counts())
        assert 400 <= points < 900
        assert db.verify(views=True).ok
    comes_again(path, other)


def test_a_disk_that_refuses(path: Path, other: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with scoutcore.open(path, pack=False) as db:
        shown = contents(db)
    nobody = stray(path)

    def refuse(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(repairing, "sync_directory", refuse)
        with pytest.raises(StorageError, match=f"cannot repair {path}: No space left on device"):
            scoutcore.repair(path)
    shutil.rmtree(nobody)
    scoutcore.repair(path)
    with scoutcore.open(path, pack=False) as db:
        assert contents(db)["dump"] == shown["dump"]
    comes_again(path, other)
