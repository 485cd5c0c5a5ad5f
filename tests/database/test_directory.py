"""Whose directory it is: the lock, the format, the identity of a copy (promise 11)."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import scoutcore
from scoutcore import directory
from scoutcore.database import Database
from scoutcore.errors import FormatError, LockedError, NotFoundError, StorageError
from scoutcore.store.memory import MemoryStore
from tests.database.child import start
from tests.database.compare import assert_shows
from tests.database.logs import content_of
from tests.replication.wire import sync
from tests.waiting import killed_at_the_end

OPEN = """
import sys, scoutcore
db = scoutcore.open(sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
"""


def listing(path: Path) -> list[tuple[str, bytes | None]]:
    return sorted((str(one.relative_to(path)), one.read_bytes() if one.is_file() else None) for one in path.rglob("*"))


# --- the lock ---


def test_a_second_process_is_told_the_first_ones_pid(path: Path) -> None:
    with killed_at_the_end(start(OPEN, path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)) as process:
        assert process.stdout
        assert process.stdout.readline() == "open\n"
        with pytest.raises(LockedError, match=f"is open in process {process.pid}.*scoutcore serve") as caught:
            scoutcore.open(path)
        assert caught.value.pid == process.pid
        assert caught.value.path == str(path)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with scoutcore.open(path) as db:
        db.troops.create()


def test_twice_in_one_process(path: Path) -> None:
    with scoutcore.open(path), pytest.raises(LockedError) as caught:
        scoutcore.open(path)
    assert caught.value.pid == os.getpid()
    scoutcore.open(path).close()


def test_a_lock_that_does_not_say_whose_it_is(path: Path) -> None:
    with scoutcore.open(path):
        (path / "lock").write_text("")
        with pytest.raises(LockedError, match="is open in another process") as caught:
            scoutcore.open(path)
    assert caught.value.pid is None


def test_closing_twice(path: Path) -> None:
    db = scoutcore.open(path)
    db.close()
    with scoutcore.open(path) as other:
        db.close()  # not what the other has
        other.troops.create()


# --- the format ---


def test_a_newer_format_is_refused_by_name(path: Path) -> None:
    scoutcore.open(path).close()
    (path / "format").write_text(f"scoutcore database, format {directory.FORMAT + 1}\n")
    before = listing(path)
    with pytest.raises(FormatError, match=f"format {directory.FORMAT + 1}; .* up to format {directory.FORMAT}"):
        scoutcore.open(path)
    assert listing(path) == before


@pytest.mark.parametrize("text", [b"", b"something else", b"scoutcore database, format x", b"\xff\xfe", b"1" * 50])
def test_a_format_that_says_nothing(path: Path, text: bytes) -> None:
    path.mkdir()
    (path / "format").write_bytes(text)
    before = listing(path)
    with pytest.raises(FormatError, match="does not name a scoutcore format"):
        scoutcore.open(path)
    assert listing(path) == before


@pytest.mark.parametrize("name", ["notes.txt", "db2", "CURRENT", ".git"])
def test_a_directory_of_something_else(path: Path, name: str) -> None:
    path.mkdir()
    (path / name).write_text("mine")
    (path / "db").mkdir()
    before = listing(path)
    with pytest.raises(FormatError, match=re.escape(f"no scoutcore database: it holds {name!r}")):
        scoutcore.open(path)
    assert listing(path) == before


def test_a_file(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(FormatError, match="is a file"):
        scoutcore.open(path)
    with pytest.raises(StorageError, match="cannot open"):
        scoutcore.open(path / "inside")
    assert path.read_text() == "mine"


def test_an_empty_directory_and_missing_parents(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "some" / "where" / "deep"):
        scoutcore.open(path).close()
        assert (path / "format").read_text() == "scoutcore database, format 1\n"


def test_none_is_made_where_none_is_wanted(path: Path) -> None:
    with pytest.raises(NotFoundError, match="no scoutcore database at"):
        scoutcore.open(path, create=False)
    assert not path.exists()


# --- the identity ---


def by_shutil(path: Path, copy: Path) -> None:
    shutil.copytree(path, copy)


def by_cp(path: Path, copy: Path) -> None:
    subprocess.run(["cp", "-a", path, copy], check=True)


def by_cp_there_and_back(path: Path, copy: Path) -> None:
    """Restored from a backup: the same place, other files."""
    by_cp(path, copy.with_name("backup"))
    shutil.rmtree(path)
    by_cp(copy.with_name("backup"), copy)


def by_tar(path: Path, copy: Path) -> None:
    archive = shutil.make_archive(str(copy.with_name("archive")), "tar", path)
    shutil.unpack_archive(archive, copy)


@pytest.mark.parametrize("make", [by_shutil, by_cp, by_cp_there_and_back, by_tar])
def test_a_copy_writes_to_a_log_of_its_own(path: Path, tmp_path: Path, make: Callable[[Path, Path], None]) -> None:
    with scoutcore.open(path) as db:
        db.troops.create(key="k" * 32, name="first")
        db.report(1, 1, "temp", "before", t=1)
        log = db.id
    copy = tmp_path / "copy"
    make(path, copy)
    if path.exists():
        with scoutcore.open(path) as db:
            assert db.id == log
            db.report(1, 1, "temp", "in the first", t=2)
    with scoutcore.open(copy) as db:
        db.report(1, 1, "temp", "in the copy", t=3)
        assert db.id != log
        assert db._logs.by_uuid[bytes.fromhex(log.replace("-", ""))].head == 2
        assert [point.data for point in db.history(1, 1, "temp")] == ["before", "in the copy"]
        assert db.troops.by_key("k" * 32).id == 1
        assert db.troops.create().id == 2
        assert_shows(db, content_of(db))
        again = db.id
    with scoutcore.open(copy) as db:
        assert db.id == again


def test_what_is_no_copy_keeps_its_log(path: Path, tmp_path: Path) -> None:
    with scoutcore.open(path) as db:
        log = db.id
    for _ in range(2):
        with scoutcore.open(path) as db:
            assert db.id == log
    moved = tmp_path / "moved"
    path.rename(moved)
    link = tmp_path / "link"
    link.symlink_to(moved, target_is_directory=True)
    for place in (moved, link):
        with scoutcore.open(place) as db:
            assert db.id == log


def test_another_machine(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A disk that was cloned: every number of the file is the same, but not the machine's."""
    machine = tmp_path / "machine-id"
    machine.write_text("first")
    monkeypatch.setattr(directory, "_MACHINE_ID", machine)
    with scoutcore.open(path) as db:
        log = db.id
    with scoutcore.open(path) as db:
        assert db.id == log
    machine.write_text("second")
    with scoutcore.open(path) as db:
        db.troops.create()
        assert db.id != log


def test_another_identity(path: Path) -> None:
    with scoutcore.open(path) as db:
        log = db.id
    (path / "identity").unlink()
    with scoutcore.open(path) as db:
        db.troops.create()
        assert db.id != log


def test_a_log_to_which_nothing_was_written_is_forgotten(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A container that is another machine each time it starts, and says nothing, leaves nothing behind."""
    machine = tmp_path / "machine-id"
    monkeypatch.setattr(directory, "_MACHINE_ID", machine)
    ids = []
    for number in range(8):
        machine.write_text(str(number))
        with scoutcore.open(path) as db:
            ids.append(db.id)
            if number == 3:
                db.troops.create(key="k" * 32)
            if number == 5:
                sync(Database(MemoryStore()), db)
            assert len(db.stats().logs) == 1 + (number > 3)
            assert len(db._logs.uuids) == 16 * len(db.stats().logs)
    assert len(set(ids)) == 8
    with scoutcore.open(path) as db:
        db.report(1, 1, "temp", 1)
        assert [(log.log, log.head) for log in db.stats().logs] == [(ids[3], 1), (ids[7], 1)]
        assert_shows(db, content_of(db))
        assert db.verify(views=True).ok
