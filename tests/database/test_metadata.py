"""Metadata and keys: what cannot be is refused before it is written; a revoked key stands for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import scoutcore
from scoutcore.errors import InvalidError, NotFoundError

KEY = "k" * 32


@pytest.fixture
def db(tmp_path: Path) -> Iterator[scoutcore.Database]:
    with scoutcore.open(tmp_path / "a.scout") as opened:
        opened.troops.create(key=KEY, name="one")
        yield opened


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"": 1}, "'' cannot be the name of a metadata field"),
        ({"key": 1}, "'key' cannot be the name"),
        ({"key/x": 1}, "'key/x' cannot be the name"),
        ({"\ud800": 1}, "cannot be the name of a metadata field"),
        ({5: 1}, "5 cannot be the name"),
        ({"a": object()}, "the field 'a' is not a JSON value"),
        ({"a": "\ud800"}, "the field 'a' is not a JSON value"),
        ({"a": [None, {"b": float("nan")}]}, "the field 'a' has a number that JSON cannot say"),
        ({"a": "x" * 600_000, "b": "x" * 600_000}, "longer than 1048576 bytes"),
    ],
)
def test_fields_that_cannot_be(db: scoutcore.Database, fields: dict[Any, Any], text: str) -> None:
    for write in (
        lambda: db.troops.create(fields),
        lambda: db.troops.update(1, fields),
        lambda: db.scouts.create(1, fields),
        lambda: db.scouts.update(1, 7, fields),
    ):
        with pytest.raises(InvalidError, match=text):
            write()
    assert db.stats().logs[0].head == 1
    assert db.troops.get(1).fields == {"name": "one"}


def test_unset_is_a_list(db: scoutcore.Database) -> None:
    with pytest.raises(InvalidError, match="unset is a list of names"):
        db.troops.update(1, unset="name")
    with pytest.raises(InvalidError, match="'name' is both set and unset"):
        db.troops.update(1, name="two", unset=["name"])
    assert db.troops.update(1, unset=["name", "never set"]).fields == {}


def test_a_revoked_key_stands_for_nothing(db: scoutcore.Database) -> None:
    further = db.troops.assign_key(1)
    assert db.troops.by_key(further).id == 1
    db.troops.revoke_key(1, further)
    db.troops.revoke_key(1, KEY)
    assert db.troops.clashes() == []
    for key in (further, KEY):
        with pytest.raises(NotFoundError):
            db.troops.by_key(key)
    with pytest.raises(NotFoundError, match="has no such key"):
        db.troops.revoke_key(1, "x" * 32)
    db.troops.assign_key(1, KEY)
    assert db.troops.by_key(KEY).id == 1


def test_of_those_a_key_is_assigned_to_the_smallest_uid_has_it(db: scoutcore.Database) -> None:
    # Both of the uids that come by chance may be smaller than that of the troop created with the key, or greater.
    assigned = sorted((db.troops.create() for _ in range(2)), key=lambda troop: troop.uid)
    first, other = (msgspec.structs.replace(troop, key=None) for troop in assigned)
    created = db.troops.get(1)
    db.troops.assign_key(other.id, KEY)
    assert db.troops.by_key(KEY) == other
    assert db.troops.clashes() == [(other, [created.uid])]
    db.troops.assign_key(first.id, KEY)
    assert db.troops.by_key(KEY) == first
    assert db.troops.clashes() == [(first, [other.uid, created.uid])]
    db.troops.revoke_key(first.id, KEY)
    db.troops.revoke_key(other.id, KEY)
    assert db.troops.by_key(KEY) == created
    assert db.troops.clashes() == []


def test_a_troop_shows_that_it_is_deleted(db: scoutcore.Database) -> None:
    with db.watch(1) as watch:
        assert "deleted" not in repr(watch.next())
        watch.next()
        db.troops.delete(1)
        assert repr(watch.next(1)).endswith("fields={'name': 'one'}, deleted=True)")
