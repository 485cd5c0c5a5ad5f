"""A troop key is shown once, and is then nowhere: not on the disk, nor in anything printed, logged or raised."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import logging
import pickle
import pprint
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import plyvel
import pytest

import scoutcore
from scoutcore import Troop, keys
from scoutcore.database import Database
from scoutcore.errors import Error
from scoutcore.store.memory import MemoryStore
from tests.database.child import environment

GIVEN = "a given key: Grünkohl & radishes"
ASSIGNED = "assigned-0123456789abcdef-assigned"
WRONG = "wrong-fedcba9876543210-wrong-wrong"


def forms(key: str) -> list[bytes]:
    """How a key may stand in bytes: also in parts, for a table that is compressed may repeat itself."""
    whole = [key.encode(), key.encode("utf-16-le"), json.dumps(key).encode(), key.encode().hex().encode()]
    whole += [base64.b64encode(key.encode()), base64.urlsafe_b64encode(key.encode()).rstrip(b"=")]
    with contextlib.suppress(ValueError):
        whole.append(bytes.fromhex(key))
    text = key.encode()
    return whole + [text[start : start + 12] for start in range(0, len(text) - 11, 4)]


def assert_absent(found: bytes | str, *secrets: str) -> None:
    data = found.encode() if isinstance(found, str) else found
    for secret in secrets:
        for form in forms(secret):
            assert form not in data


@pytest.fixture
def lived(path: Path) -> Iterator[tuple[Database, list[str]]]:
    """A database in which keys were used in every way, and the keys."""
    with scoutcore.open(path) as db:
        made = db.troops.create(name="made").key
        assert made is not None
        db.troops.create(key=GIVEN, name="given")
        assert db.troops.assign_key(1, ASSIGNED) == ASSIGNED
        assigned = db.troops.assign_key(1)
        secrets = [made, GIVEN, ASSIGNED, assigned]
        for number, key in enumerate(secrets):
            report = {"key": key, "scout": 1, "report": "temp", "data": number}
            assert db.ingest([report]).accepted == 1
            assert db.ingest(json.dumps(report).encode()).accepted == 1
            assert db.troops.by_key(key)
        db.ingest([{"key": WRONG, "scout": 1, "report": "temp", "data": 1}])
        db.ingest(json.dumps({"key": WRONG, "scout": 1, "report": "temp", "data": 1}).encode())
        created: list[Troop] = []
        line = json.dumps({"key": WRONG + "2", "scout": 1, "report": "temp", "data": 1}).encode()
        assert db.ingest(line, create_troops=created.append).accepted == 1
        assert created[0].key is None
        secrets.append(WRONG + "2")
        db.troops.revoke_key(1, ASSIGNED)
        db.troops.delete(2)
        db.pack()
        db.troops.update(2, back=True)
        yield db, [*secrets, WRONG]


def test_in_every_byte_of_the_directory(lived: tuple[Database, list[str]], path: Path) -> None:
    db, secrets = lived

    def search() -> int:
        files = [file for file in path.rglob("*") if file.is_file()]
        for file in files:
            assert_absent(file.read_bytes(), *secrets)
            assert_absent(str(file), *secrets)
        return len(files)

    assert search() > 5
    for key, value in db._store.scan(b"\0", b"\xff"):
        assert_absent(key + value, *secrets)
    db.close()
    scoutcore.open(path).close()  # LevelDB's log becomes a table
    assert search() > 5
    with plyvel.DB(str(path / "db")) as store:
        assert len(list(store)) > 20
        for key, value in store:
            assert_absent(key + value, *secrets)


def test_the_search_finds_what_is_there(path: Path) -> None:
    """Else the test above would prove nothing."""
    with scoutcore.open(path) as db:
        db.troops.create(note=f"my key is {GIVEN}")
        db.pack()
        for pattern in ("*.changes", "*.log"):
            everything = b"".join(file.read_bytes() for file in path.rglob(pattern))
            with pytest.raises(AssertionError):
                assert_absent(everything, GIVEN)


def test_in_what_is_read_and_shown(lived: tuple[Database, list[str]]) -> None:
    db, secrets = lived
    shown: list[Any] = [db, db.troops, db.scouts, db.stats(), db.snapshot(), list(db.dump()), list(db.counts())]
    shown += [*db.troops, *(db.troops.by_key(key) for key in secrets[:2]), db.troops.clashes(), db._metadata, db._logs]
    shown += [db.last(1, 1, "temp"), list(db.history(1, 1, "temp")), list(db.scouts.list(1))]
    with db.watch() as watch:
        db.troops.create(key="k" * 32)
        db.troops.assign_key(1, secrets[2])
        while (event := watch.next(0)) is not None:
            shown.append(event)
    for one in shown:
        assert_absent(repr(one), *secrets)
        assert_absent(str(one), *secrets)
        assert_absent(pprint.pformat(one), *secrets)
        with contextlib.suppress(TypeError):
            assert_absent(msgspec.json.encode(one), *secrets)
        with contextlib.suppress(TypeError, AttributeError, pickle.PicklingError):
            assert_absent(pickle.dumps(one), *secrets)


def test_a_created_troop_shows_its_key_only_when_asked() -> None:
    db = Database(MemoryStore())
    troop = db.troops.create(name="made")
    assert troop.key is not None
    for text in (repr(troop), str(troop), f"{troop}", pprint.pformat(troop), repr([troop]), repr({"troop": troop})):
        assert troop.key not in text
    rich_shown = "".join(map(repr, troop.__rich_repr__()))
    assert troop.key not in rich_shown
    assert db.troops.get(1).key is None
    assert db.troops.update(1, name="new").key is None
    assert db.troops.by_key(troop.key).key is None


MISUSES: list[Callable[[Database, str], Any]] = [
    lambda db, key: db.troops.by_key(key),
    lambda db, key: db.troops.by_key(key[:31]),
    lambda db, key: db.troops.get(key),
    lambda db, key: db.troops.update(key, name="x"),
    lambda db, key: db.troops.delete(key),
    lambda db, key: db.troops.create(key=key[:31]),
    lambda db, key: db.troops.create(uid=key),
    lambda db, key: db.troops.create(id=key),
    lambda db, key: db.troops.create(key=GIVEN),
    lambda db, key: db.troops.create({"key": key}),
    lambda db, key: db.troops.assign_key(1, key[:31]),
    lambda db, key: db.troops.assign_key(key),
    lambda db, key: db.troops.revoke_key(1, key),
    lambda db, key: db.troops.revoke_key(key, key),
    lambda db, key: db.scouts.get(key, 1),
    lambda db, key: db.scouts.get(1, key),
    lambda db, key: db.scouts.create(key),
    lambda db, key: db.scouts.list(key),
    lambda db, key: db.report(key, 1, "temp", 1),
    lambda db, key: db.report(1, key, "temp", 1),
    lambda db, key: db.report(1, 1, "temp", 1, t=key),
    lambda db, key: db.report(1, 1, "temp", 1, boot=key, ms=key),
    lambda db, key: db.last(key, 1, "temp"),
    lambda db, key: list(db.history(key, 1, "temp")),
    lambda db, key: list(db.history(1, 1, "temp", start=key)),
    lambda db, key: db.snapshot(key),
    lambda db, key: db.watch(key),
    lambda db, key: db.receptions(key, 1, "temp", boot=1, ms=1),
    lambda db, key: db.ingest([{"troop": key, "scout": 1, "report": "temp", "data": 1}], strict=True),
    lambda db, key: db.ingest([{"uid": key, "scout": 1, "report": "temp", "data": 1}], strict=True),
    lambda db, key: db.ingest([{"key": key, "scout": 1, "report": "temp", "data": 1}], strict=True),
    lambda db, key: db.ingest([{"key": key, "scout": 1, "report": "te\nmp", "data": 1}], strict=True),
    lambda db, key: db.ingest([{"key": [key], "scout": 1, "report": "temp", "data": 1}], strict=True),
    lambda db, key: db.ingest([{"key": key[:31], "scout": 1, "report": "temp", "data": 1}], strict=True),
    lambda db, key: db.ingest(json.dumps({"troop": key, "scout": 1, "report": "t", "data": 1}).encode(), strict=True),
    lambda db, key: db.ingest(json.dumps({"uid": key, "scout": 1, "report": "t", "data": 1}).encode(), strict=True),
    lambda db, key: db.ingest(json.dumps({"key": key, "scout": 1, "report": "t", "data": 1}).encode(), strict=True),
    lambda db, key: db.ingest(json.dumps({"key": key, "scout": key, "report": "t", "data": 1}).encode(), strict=True),
    lambda db, key: db.ingest(json.dumps({"key": {key: key}, "scout": 1}).encode(), strict=True),
    lambda db, key: db.ingest(f'{{"key":"{key}","scout":1,"report":"t","data":nope}}'.encode(), strict=True),
    lambda db, key: db.ingest(f'{{"key":"{key}"'.encode(), strict=True),
    lambda db, key: db.ingest_columns([(key, 1, "t")], [0], data=b"[1]"),
]


@pytest.mark.parametrize("number", range(len(MISUSES)))
def test_in_errors_of_wrong_keys_and_keys_in_wrong_places(number: int, caplog: pytest.LogCaptureFixture) -> None:
    db = Database(MemoryStore())
    db.troops.create(key=GIVEN)
    caplog.set_level(logging.DEBUG)
    out = io.StringIO()
    key = keys.new_troop_key()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), pytest.raises((Error, TypeError)) as caught:
        MISUSES[number](db, key)
    problem: BaseException | None = caught.value
    while problem is not None:
        assert_absent(str(problem) + repr(problem) + repr(vars(problem)), key, GIVEN)
        problem = problem.__cause__ or (None if problem.__suppress_context__ else problem.__context__)
    source = Path(__file__).read_text()
    for line in traceback.format_exception(caught.value):
        assert_absent(line if line.strip() not in source else "", key, GIVEN)
    assert_absent(caplog.text + out.getvalue(), key, GIVEN)


def test_on_the_command_line(path: Path, tmp_path: Path) -> None:
    with scoutcore.open(path) as db:
        db.troops.create(key=GIVEN)
    lines = tmp_path / "lines"
    lines.write_text(
        "\n".join(
            json.dumps({"key": key, "scout": 1, "report": "temp", "data": 1}, ensure_ascii=False)
            for key in (GIVEN, WRONG)
        )
        + f'\n{{"key":"{WRONG}"'
    )
    commands = [
        ["ingest", path, lines],
        ["snapshot", path],
        ["dump", path],
        ["troops", "list", path, "--table"],
        ["log", "cat", path],
    ]
    for command in commands:
        words = [sys.executable, "-m", "scoutcore", *map(str, command)]
        done = subprocess.run(words, capture_output=True, env=environment(), check=False)
        assert done.returncode in (0, 3), done.stderr
        assert done.stdout + done.stderr
        assert_absent(done.stdout + done.stderr, GIVEN, WRONG)
