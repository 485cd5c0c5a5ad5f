"""Clocks that are wrong by decades, stand still or run backwards: nothing is dropped, and all agree in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, repeat

import pytest

from scoutcore.database import Database
from scoutcore.store.memory import MemoryStore
from tests.replication.wire import dump, sync

NOW = 1_790_000_000_000_000
YEARS = 50 * 365 * 86_400_000_000
KEY = "the key of the troop whose clocks are wrong"
CLOCKS: dict[str, Callable[[], Iterator[int]]] = {
    "right": lambda: count(NOW, 1_000_000),
    "50 years behind": lambda: count(NOW - YEARS, 1_000_000),
    "50 years ahead": lambda: count(NOW + YEARS, 1_000_000),
    "frozen": lambda: repeat(NOW),
    "backwards": lambda: count(NOW, -1_000_000),
    "without a battery": lambda: count(0, 1_000_000),
}


def gateway(clock: str) -> Database:
    db = Database(MemoryStore(), now=CLOCKS[clock]().__next__)
    db.troops.create(key=KEY)
    return db


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_gateways_clock(clock: str) -> None:
    """What it stamps itself keeps its order, also when the clock is right again."""
    db = gateway(clock)
    for number in range(20):
        assert db.report(1, 1, "temp", number).data == number
        last = db.last(1, 1, "temp")
        assert last is not None
        assert last.data == number
    assert [point.data for point in db.history(1, 1, "temp")] == list(range(20))


@pytest.mark.parametrize("years", [-1, 1])
def test_a_scouts_clock(years: int) -> None:
    """What a scout says of the time is kept as it stands; one that was ahead is right again at the next reading."""
    db = gateway("right")
    db.report(1, 1, "temp", "right", t=NOW)
    db.report(1, 1, "temp", "wrong", t=NOW + years * YEARS)
    last = db.last(1, 1, "temp")
    assert last is not None
    assert last.data == ("wrong" if years > 0 else "right")
    db.report(1, 1, "temp", "right again", t=NOW + 3_600_000_000)
    last = db.last(1, 1, "temp")
    assert last is not None
    assert last.data == "right again"
    assert {(point.t, point.data) for point in db.history(1, 1, "temp")} == {
        (NOW, "right"),
        (NOW + years * YEARS, "wrong"),
        (NOW + 3_600_000_000, "right again"),
    }


@pytest.mark.parametrize("clock", CLOCKS)
def test_gateways_agree(clock: str) -> None:
    """Whoever's clock is wrong: what is written later, by whom all the other's changes have reached, wins."""
    wrong, right = gateway(clock), gateway("right")
    for one, name in ((wrong, "wrong"), (right, "right"), (wrong, "wrong again"), (right, "right again")):
        troop = next(iter(one.troops)).id
        one.report(troop, 1, "temp", name)
        one.scouts.update(troop, 1, name=name)
        sync(wrong, right)
        assert dump(wrong) == dump(right)
        assert one.scouts.get(troop, 1).name == name
    assert len(list(right.history(1, 1, "temp"))) == 4


def test_what_a_gateway_ahead_stamped_is_counted_until_it_expires() -> None:
    ahead, right = gateway("50 years ahead"), gateway("right")
    for db in (ahead, right):
        db.report(1, 1, "temp", "stamped")
        db.report(1, 2, "temp", "in time", t=NOW)
    sync(ahead, right)
    (troop,) = right.stats().troops
    assert (troop.series, troop.ahead) == (2, 1)
    last = right.last(1, 1, "temp")
    assert last is not None
    assert last.t >= NOW + YEARS
    right.report(1, 1, "temp", "later, here")
    assert right.last(1, 1, "temp") == last
    assert ahead.stats().troops[0].ahead == 0, "by its own clock all is well"
    right.expire(before=last.t + 1, report="temp")
    assert right.stats().troops[0].ahead == 0
