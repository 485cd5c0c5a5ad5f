"""Databases for a test: on disk, in memory, or one and the other. They are packed where a test does it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import scoutcore
from scoutcore.database import Database
from scoutcore.store import journal
from scoutcore.store.memory import MemoryStore

KEY = "the key of the first troop of a test"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.scout"


@pytest.fixture(params=["memory", "disk"])
def db(request: pytest.FixtureRequest, path: Path) -> Iterator[Database]:
    """A database with troop 1, in each of the stores."""
    with scoutcore.open(path, pack=False) if request.param == "disk" else Database(MemoryStore()) as db:
        db.troops.create(key=KEY, name="first")
        yield db


@pytest.fixture
def disk(path: Path) -> Iterator[Database]:
    """A database with troop 1, on disk."""
    with scoutcore.open(path, pack=False) as db:
        db.troops.create(key=KEY, name="first")
        yield db


@pytest.fixture
def usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits of the journal that users have."""
    monkeypatch.setattr(journal, "_FEW", 16)
    monkeypatch.setattr(journal, "_KEYS", 16_384)
    monkeypatch.setattr(journal, "_UNSAFE", 8)
