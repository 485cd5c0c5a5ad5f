"""Readings that come late, and are heard again: what a row keeps of its recent readings tells them apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scoutcore
from scoutcore import keys
from scoutcore.codec import recent
from scoutcore.codec.columns import load_record
from scoutcore.codec.constants import CLOCK_RANGE, RECENT

_times = st.integers(0, 8) | st.integers(0, 6).map(lambda n: n * (CLOCK_RANGE // 2 + 1))
_clocks = st.none() | st.tuples(st.integers(1, 2), _times)
_batches = st.lists(st.lists(st.tuples(st.integers(0, 6), _clocks), min_size=1, max_size=5), min_size=2, max_size=12)


def expected(batches):
    """The history as (t, clock, data), and the data of the last value; data tells batch and place in it."""
    receptions = [
        (t, batch, place, clock) for batch, readings in enumerate(batches) for place, (t, clock) in enumerate(readings)
    ]
    receptions.sort(key=lambda one: one[:3])
    shown = {}
    for one in receptions:
        shown.setdefault(one[3] or ("plain", *one[1:3]), one)
    rows = sorted(shown.values(), key=lambda one: one[:3])
    last = receptions[-1]
    last = shown[last[3] or ("plain", *last[1:3])]
    return [(t, clock, [batch, place]) for t, batch, place, clock in rows], [last[1], last[2]]


def ingest(db, batches):
    for batch, readings in enumerate(batches):
        items = []
        for place, (t, clock) in enumerate(readings):
            item = {"troop": 1, "scout": 1, "report": "r", "t": t, "data": [batch, place]}
            items.append(item | ({"boot": clock[0], "ms": clock[1]} if clock else {}))
        assert db.ingest(items).rejected == 0


@given(_batches)
def test_late_readings(batches):
    with scoutcore.open(":memory:") as db:
        db.troops.create()
        ingest(db, batches)
        history, last = expected(batches)
        found = [
            (point.t, None if point.boot is None else (point.boot, point.ms), point.data)
            for point in db.history(1, 1, "r")
        ]
        assert found == history
        assert db.last(1, 1, "r").data == last
        for _, clock, _ in history:
            if clock:
                heard = sum(clock == one for readings in batches for _, one in readings)
                assert len(db.receptions(1, 1, "r", boot=clock[0], ms=clock[1])) == heard


def test_the_window_moves():
    """Late by one, far more often than readings are kept; then each once more, also those that are no longer kept."""
    order = [number ^ 1 for number in range(RECENT + 100)]
    batches = [[(number, (1, number))] for number in order]
    with scoutcore.open(":memory:") as db:
        db.troops.create()
        ingest(db, batches)
        record = load_record(db._store.get(keys.VIEW + keys.row_suffix(1, 1, "r")))
        first, times = recent.load(record.recent)
        assert len(times) == RECENT
        assert times == list(range(first, RECENT + 100))
        ingest(db, [[(RECENT + 200, (1, number))] for number in order])
        assert [point.ms for point in db.history(1, 1, "r")] == sorted(order)


def test_the_window_begins_with_what_was_there():
    """Once a block is late, the row's latest blocks are told by what is kept; those before them are looked up still."""
    count = 200
    with scoutcore.open(":memory:") as db:
        db.troops.create()
        ingest(db, [[(number, (1, 2 * number))] for number in range(count)] + [[(count, (1, 1))]])
        first, times = recent.load(load_record(db._store.get(keys.VIEW + keys.row_suffix(1, 1, "r"))).recent)
        assert times == list(range(first + 1, 2 * count, 2))
        assert len(times) == 128
        ingest(db, [[(count + 1, (1, ms))] for ms in range(2 * count)])
        assert sorted(point.ms for point in db.history(1, 1, "r")) == list(range(2 * count))


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\0\x81\4", b"\0\1", b"\5\1\0\x08", b"\0\2\0\x08", b"\0\0\0", b"\0\2\x40\x08\1"]
)
def test_what_cannot_be_kept(data):
    with pytest.raises(ValueError, match=r"in the middle|readings"):
        recent.load(data)


def test_readings_too_far_apart_are_not_kept():
    assert recent.load(recent.dump(0, [0, 1, 3, 2**62], 2**62)) == (2**62 + 1, [])
    assert recent.dump(0, [0, 1, 3, 2**62, 2**64 - 1], 2**64 - 1) == b""
