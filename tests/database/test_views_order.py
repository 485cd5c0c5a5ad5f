"""Views are a function of the set of receptions: in whatever order and batches these arrive (promises 4 and 5)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from scoutcore import views
from tests.database.compare import assert_row
from tests.database.worlds import World, shuffled, worlds
from tests.model import Content, Reception


def assert_merged(world: World) -> None:
    content = world.content()
    with world.database() as db:
        for row in content.receptions:
            assert_row(db, content, row)
        assert {tuple(counted) for counted in db.counts()} == {
            (1, *row[1:], len(content.history(row)), len(receptions)) for row, receptions in content.receptions.items()
        }


def dump(world: World) -> list[dict[str, Any]]:
    with world.database() as db:
        return list(db.dump())


@given(worlds())
@settings(max_examples=5 * settings.default.max_examples)
def test_views_show_what_the_model_says(world: World) -> None:
    assert_merged(world)


@given(worlds(), st.data())
def test_order_and_batches_do_not_matter(world: World, data: st.DataObject) -> None:
    other = shuffled(world, data.draw)
    assert_merged(other)
    assert dump(other) == dump(world)


class _ByLog(Reception):
    @property
    def order(self) -> tuple[Any, ...]:
        return self.log, self.t, self.change, self.index


class _UnsetClockShown(Reception):
    @property
    def shown_rank(self) -> tuple[Any, ...]:
        return self.order


class _EarliestWritten(Reception):
    @property
    def shown_rank(self) -> tuple[Any, ...]:
        return self.write_time, *self.order


class _GreatestTime(Reception):
    @property
    def last_rank(self) -> tuple[Any, ...]:
        return self.order


class _LatestWritten(Reception):
    @property
    def last_rank(self) -> tuple[Any, ...]:
        return self.write_time, *self.order


class _NoIdentity(Reception):
    @property
    def identity(self) -> tuple[Any, ...]:
        return self.log, self.change, self.index


class _ByBootOnly(Reception):
    @property
    def identity(self) -> tuple[Any, ...]:
        return super().identity[:1] if self.clock else super().identity


class _LastOfShown(Content):
    def last(self, row: Any) -> Reception | None:
        return max(self.history(row), key=lambda one: one.last_rank)


def _broken(world: World, kind: type[Reception], content: type[Content]) -> Content:
    broken = content()
    for row, receptions in world.content().receptions.items():
        broken.receptions[row] = [kind(*one) for one in receptions]
    return broken


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (_ByLog, Content),
        (_UnsetClockShown, Content),
        (_EarliestWritten, Content),
        (_GreatestTime, Content),
        (_LatestWritten, Content),
        (_NoIdentity, Content),
        (_ByBootOnly, Content),
        (Reception, _LastOfShown),
    ],
    ids=lambda kind: kind.__name__,
)
def test_worlds_tell_a_wrong_rule_from_the_right_one(kind: type[Reception], content: type[Content]) -> None:
    """The worlds above are rich enough: each rule of merging, replaced by a plausible other, shows in one of them."""
    find(
        worlds(),
        lambda world: list(_broken(world, kind, content).dump()) != list(world.content().dump()),
        settings=settings(max_examples=2000, phases=[Phase.generate]),
    )


def test_worlds_tell_nothing_where_nothing_is_wrong() -> None:
    with pytest.raises(NoSuchExample):
        find(
            worlds(),
            lambda world: list(_broken(world, Reception, Content).dump()) != list(world.content().dump()),
            settings=settings(max_examples=50, phases=[Phase.generate]),
        )


def test_a_broken_rule_in_the_code_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "SET_CLOCK", 0)

    def differs(world: World) -> bool:
        try:
            assert_merged(world)
        except AssertionError:
            return True
        return False

    find(worlds(), differs, settings=settings(max_examples=2000, phases=[Phase.generate]))
