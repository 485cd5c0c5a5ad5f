"""A session between two databases: what moves, how much is said, and that both are the same afterwards."""

from __future__ import annotations

import pytest

from scoutcore.errors import LaggedError
from scoutcore.model import Point
from scoutcore.replication import replica
from scoutcore.replication.session import Event, InSync, Options
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


@pytest.mark.parametrize("slow", [0, 1])
def test_who_hears_late_that_all_is_in_sync_hears_it(slow: int) -> None:
    """What the peer says last may come together: that it has given all, and good-bye."""
    wire = Wire(new(), new())
    slow_session, quick = wire.sessions[slow], wire.sessions[1 - slow]
    events: list[Event] = []
    while not (slow_session.ended and quick.ended):
        quick.receive(slow_session.output())
        wire.time += 1
        said = b""
        while data := quick.output():
            said += data
            wire.time += 1
        slow_session.receive(said)
        events += slow_session.events()
    assert any(isinstance(event, InSync) for event in events)


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
