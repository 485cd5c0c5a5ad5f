"""Verifying a database: all is well where it is, and what is wrong is found, while others are at work on it."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest

from scoutcore import keys
from scoutcore.cli.app import program
from scoutcore.database import Database
from tests.database.test_repair import text


def fill(db: Database, begin: int = 0, count: int = 3000) -> None:
    db.ingest(
        {"troop": 1, "scout": n % 7, "report": "r", "data": text(n), "t": n, "boot": 1, "ms": n // 2}
        for n in range(begin, begin + count)
    )


def test_all_is_well(db: Database) -> None:
    fill(db)
    for step in range(3):
        if step and db.packer:
            db.pack()
        fill(db, 2000, 500)
        seen: list[int] = []
        found = db.verify(views=True, progress=seen.append)
        assert found.ok
        assert found.views
        assert found.views.records > 20
        (log,) = found.logs
        assert (log.log, log.head) == (db.id, db.stats().logs[0].head)
        assert sum(seen) >= 2 * log.bytes - 100 * log.intervals - 40
    db.troops.delete(1)
    assert db.verify(views=True).ok


def test_a_bit_in_the_open_tail(disk: Database, path: Path) -> None:
    fill(disk)
    disk.pack()
    (file,) = path.glob("changes/*/*.changes")
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)
    found = disk.verify(views=True)
    (one,) = found.damages
    assert not found.ok
    assert (one.file, one.last) == (str(file), found.logs[0].head)
    assert one.reason == "what no check covers yet is not what was packed"
    assert (found.views, found.views_skipped) == (None, "a log is damaged")
    file.write_bytes(data[:-5])
    (one,) = disk.verify().damages
    assert one.last == found.logs[0].head
    assert "middle of a frame" in one.reason or "lacks" in one.reason
    file.unlink()
    (one,) = disk.verify().damages
    assert (one.first, one.last, one.reason) == (1, found.logs[0].head, "its changes files are gone")


def test_what_leveldb_does_not_have(disk: Database) -> None:
    fill(disk)
    log = disk._logs.by_number[0]
    *_, (first, last, key, frames) = disk._logs.chunks(log, 1)
    disk._store.write({key: None}, sync=False)
    (one,) = disk.verify().damages
    assert (one.first, one.last) == (first, last)
    disk._store.write({key: next(disk._logs.chunks(log, 1))[3]}, sync=False)
    (one,) = disk.verify().damages
    assert one.first == first
    disk._store.write({key: frames}, sync=False)
    assert disk.verify().ok


def test_a_stray_log(disk: Database, path: Path) -> None:
    fill(disk)
    disk.pack()
    (log,) = (path / "changes").iterdir()
    shutil.copytree(log, path / "changes" / "018596a7-b8c9-4d81-92a3-b4c5d6e70837")
    (one,) = disk.verify().damages
    assert str(one) == f"{path}/changes/018596a7-b8c9-4d81-92a3-b4c5d6e70837: LevelDB knows nothing of this log"


@pytest.mark.parametrize("section", [keys.VIEW, keys.HISTORY])
def test_views_that_the_logs_do_not_say(db: Database, section: bytes) -> None:
    fill(db)
    *_, (key, value) = db._store.scan(section, keys.after(section))
    for other in (None, value[:-1] + bytes([value[-1] ^ 1])):
        db._store.write({key: other}, sync=False)
        found = db.verify(views=True)
        assert not found.ok
        assert found.damages == []
        assert found.views
        assert (found.views.wrong, len(found.views.said)) == (1, 1)
        assert "'r' of scout 6 of troop 1" in found.views.said[0]
    more = key[:-1] + bytes([key[-1] ^ 1])
    db._store.write({key: value, more: value}, sync=False)
    found = db.verify(views=True)
    assert found.views
    assert found.views.wrong == 1


def test_what_was_dropped_or_has_expired(disk: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(disk)
    disk.expire(before=700)
    assert disk.verify(views=True).ok
    disk._logs.by_number[0].base = 1
    found = disk.verify(views=True)
    assert found.views is None
    assert found.views_skipped


def test_while_others_are_at_work(disk: Database) -> None:
    stop = threading.Event()

    def work() -> None:
        number = 0
        while not stop.is_set():
            fill(disk, number, 200)
            number += 100
            if number % 500 == 0:
                disk.pack()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(5):
            found = disk.verify(views=True)
            assert found.ok, (found.damages, found.views)
    finally:
        stop.set()
        thread.join()


def test_on_the_command_line(disk: Database, path: Path) -> None:
    from click.testing import CliRunner

    fill(disk)
    disk.pack()
    disk.close()
    run = CliRunner().invoke
    done = run(program, ["verify", str(path), "--views", "--json"])
    assert (done.exit_code, json.loads(done.stdout)["ok"]) == (0, True)
    (file,) = path.glob("changes/*/*.changes")
    data = bytearray(file.read_bytes())
    data[1000] ^= 1
    file.write_bytes(data)
    for command in (["verify", str(path)], ["log", "verify", str(path)], ["log", "verify", str(file), "--table"]):
        done = run(program, command)
        assert done.exit_code == 1
        assert f"{file}, byte " in done.stderr
        assert "cannot be read" in done.stderr
