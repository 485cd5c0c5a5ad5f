"""Retention: what has expired is gone from every view, whenever it came and however it expired, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoutcore import keeper, keys
from scoutcore.codec.constants import INT64_MIN
from scoutcore.database import Database
from scoutcore.store.memory import MemoryStore
from tests.database.compare import assert_row
from tests.database.worlds import KEY, World, apply, shuffled, times, worlds
from tests.model import SET_CLOCK, Content

MINUTE = 60_000_000
REPORTS = ("temp", "tem")

floors = st.tuples(st.integers(0, 8), times, st.sampled_from([None, *REPORTS]))
"""After how many batches, what expires."""
Floors = list[tuple[int, int, "str | None"]]


@dataclass(frozen=True)
class Aging:
    """A world that arrives while readings expire."""

    world: World
    floors: Floors
    blocks: int
    """Blocks of a row that go in one commit."""

    def floor(self, report: str) -> int:
        return max((t for _, t, name in self.floors if name in (None, report)), default=INT64_MIN)

    def content(self) -> Content:
        """What is left, by the plain model."""
        content = Content()
        for row, receptions in self.world.content().receptions.items():
            left = [one for one in receptions if one.t >= self.floor(row.report)]
            if left:
                content.receptions[row] = left
        return content

    @contextmanager
    def database(self) -> Iterator[Database]:
        with pytest.MonkeyPatch.context() as patch, Database(MemoryStore(), now=lambda: SET_CLOCK) as db:
            patch.setattr(keeper, "_BLOCKS", self.blocks)
            db.troops.create(key=KEY)
            left = list(self.world.changes)
            for number, size in enumerate([*self.world.batches, len(left)]):
                self.expire(db, number)
                batch, left = left[:size], left[size:]
                db._submit(lambda commit, batch=batch: apply(db, commit, batch))
            for later in range(len(self.world.batches) + 1, 9):
                self.expire(db, later)
            yield db

    def expire(self, db: Database, number: int) -> None:
        for place, t, report in self.floors:
            if place == number:
                db.expire(before=t, report=report)


agings = st.builds(Aging, worlds(), st.lists(floors, max_size=4), st.integers(1, 3))


def assert_left(db: Database, content: Content, aging: Aging) -> None:
    for row, receptions in aging.world.content().receptions.items():
        assert_row(db, content, row)
        for clock in {one.clock for one in receptions if one.clock is not None}:
            heard = db.receptions(1, *row[1:], boot=clock[0], ms=clock[1])
            assert len(heard) == len(content.heard(row, *clock))
    assert set(db.counts()) == {
        (1, *row[1:], len(content.history(row)), len(left)) for row, left in content.receptions.items() if left
    }
    # What is not needed is not there.
    left = {(row.report, one.log, one.change) for row in content.receptions for one in content.receptions[row]}
    for section, parse in ((keys.HISTORY, keys.parse_history), (keys.CLOCK, keys.parse_clock)):
        for key, _ in db._store.scan(section, keys.after(section)):
            log, change = parse(key)[-2:]
            (report,) = {report for report in REPORTS if key[9:].startswith(report.encode() + b"\0")}
            assert (report, db._logs.by_number[log].uuid, change) in left, section


@given(agings)
@settings(max_examples=5 * settings.default.max_examples)
def test_what_is_left_is_what_the_model_says(aging: Aging) -> None:
    with aging.database() as db:
        assert_left(db, aging.content(), aging)


@given(agings, st.data())
@settings(max_examples=2 * settings.default.max_examples)
def test_it_does_not_matter_when_it_expires_and_when_it_comes(aging: Aging, data: st.DataObject) -> None:
    places = [data.draw(st.integers(0, 8)) for _ in aging.floors]
    moved = [(place, *floor[1:]) for place, floor in zip(places, aging.floors, strict=True)]
    other = Aging(shuffled(aging.world, data.draw), moved, 2)
    with aging.database() as one, other.database() as two:
        assert_left(two, aging.content(), other)
        assert list(one.dump()) == list(two.dump())


# --- what is rare in worlds -------------------------------------------------------------------------------------------


def times_of(db: Database, report: str = "r") -> list[int]:
    return [point.t for point in db.history(1, 1, report)]


def test_an_heir_is_compared_with_what_comes_later(db: Database) -> None:
    """The one reception of a block that was hidden from the start shows again, and hides those that come later."""

    def hear(t: int) -> None:
        db.report(1, 1, "r", t, t=t, boot=1, ms=1)

    hear(10)
    hear(20)
    hear(30)
    assert times_of(db) == [10]
    assert db.expire(before=15) == 1
    hear(40)
    hear(12)
    assert times_of(db) == [20]
    assert [one.t for one in db.receptions(1, 1, "r", boot=1, ms=1)] == [20, 30, 40]
    assert list(db.counts()) == [(1, 1, "r", 1, 3)]
    assert db.expire(before=25) == 1
    assert (times_of(db), db.last(1, 1, "r").data) == ([30], 30)
    assert db.expire(before=100) == 2
    assert (times_of(db), db.last(1, 1, "r"), list(db.counts())) == ([], None, [])
    hear(150)
    assert times_of(db) == [150]


def test_expiry_within_the_commit_in_which_things_come(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Floors have risen and a row was not seen to yet, when late receptions of its readings come, all in one commit."""
    for t in (10, 20):
        db.report(1, 1, "r", t, t=t, boot=1, ms=1)
    monkeypatch.setattr(keeper.Keeper, "_expiring", lambda self: iter(()))
    db.expire(before=15)
    db.ingest(
        [
            {"troop": 1, "scout": 1, "report": "r", "data": t, "t": t, "boot": 1, "ms": 1}
            # Each of them is a block of its own, for a block spans an hour.
            for t in (25 + 3 * 3_600_000_000, 12, 20 + 6 * 3_600_000_000)
        ]
    )
    assert times_of(db) == [20]
    assert list(db.counts()) == [(1, 1, "r", 1, 3)]


def test_a_last_value_that_expires_makes_way_for_a_clock_that_is_ahead(db: Database) -> None:
    ahead = 4_000_000_000_000_000
    db.report(1, 1, "r", "ahead", t=ahead)
    db.report(1, 1, "r", "now")
    assert db.last(1, 1, "r").data == "now"
    db.expire(before=ahead)
    assert db.last(1, 1, "r").data == "ahead"


def test_a_scout_of_which_all_has_expired_is_not_listed_and_its_number_not_given_again(db: Database) -> None:
    db.report(1, 1, "r", 1, t=10)
    db.expire(before=11)
    assert db.scouts.list(1) == []
    assert db.snapshot(1).scouts == {}
    assert db.stats().troops[0].series == 0
    assert db.scouts.create(1).id == 2
