"""A session between two databases: what moves, how much is said, and that both are the same afterwards."""

from __future__ import annotations

import pytest

from scoutcore.errors import LaggedError
from scoutcore.model import Point
from scoutcore.replication import replica
from scoutcore.replication.session import InSync, Options
from scoutcore.watch import Synced
from tests.replication.wire import Wire, dump, logs, new, sync

KEY = "k" * 32


def test_both_get_what_the_other_has() -> None:
    one, other = new(), new()
    one.troops.create(key=KEY, name="x")
    one.ingest([{"troop": 1, "scout": scout % 5, "report": "temp", "data": scout} for scout in range(1000)])
    other.troops.create(key=KEY, name="y")
    other.report(1, 9, "hum", 5)
    (wire,) = sync(one, other)
    assert wire.of(0, InSync)
    assert wire.of(1, InSync)
    assert dump(one) == dump(other)
    assert logs(one) == logs(other)


def test_equal_heads_of_ten_logs_are_seen_in_two_round_trips_and_1_kb() -> None:
    one, other = new(), new()
    one.troops.create(key=KEY)
    for _ in range(10):
        further = new()
        sync(one, further)
        further.ingest([{"troop": 1, "scout": 1, "report": "temp", "data": 1}] * 100)
        sync(one, further)
    sync(one, other)
    wire = Wire(one, other, Options()).run()
    assert sum(wire.bytes) < 1024
    assert max(map(len, wire.carried)) <= 4, "hello, summary, synced, bye"


@pytest.mark.parametrize(("most", "told"), [(1001, 1000), (1000, 0)])
def test_watchers_are_not_told_more_at_once_than_memory_should_hold(
    monkeypatch: pytest.MonkeyPatch, most: int, told: int
) -> None:
    monkeypatch.setattr(replica, "_MAX_TOLD", most)
    one, other = new(), new()
    one.troops.create(key=KEY)
    one.ingest([{"troop": 1, "scout": scout % 2, "report": "temp", "data": 7, "t": scout} for scout in range(1000)])
    with other.watch() as watch:
        assert isinstance(next(watch), Synced)
        sync(one, other)
        points = 0
        try:
            while event := watch.next(timeout=0):
                points += isinstance(event, Point)
        except LaggedError:
            assert not told
        else:
            assert told
        assert points == told
