"""Identity under accidents: clones, backups and what third parties see of them."""

from __future__ import annotations

import random
from array import array
from functools import partial
from itertools import combinations, permutations
from uuid import UUID

import pytest

from scoutcore import codec
from scoutcore.database import Database
from scoutcore.forks import fingerprint
from scoutcore.replication.chain import Chain
from scoutcore.replication.replica import Quota, Run, replica_of
from scoutcore.replication.session import Ended, Options, Problem
from tests.replication.wire import Wire, clone, dump, logs, new, sync

KEY = "k" * 32


def first(*data: int) -> Database:
    """A database with a troop, and some readings."""
    db = new()
    db.troops.create(key=KEY)
    for value in data:
        db.report(1, 1, "temp", value)
    return db


def values(db: Database) -> list[int]:
    return sorted(point.data for point in db.history(1, 1, "temp"))


def test_a_backup_starts_a_new_log_once_it_hears_of_what_it_lost() -> None:
    db = first(1)
    backup, other = clone(db), new()
    db.report(1, 1, "temp", 2)
    sync(db, other)
    before = backup.id
    sync(backup, other)
    assert backup.id != before
    backup.report(1, 1, "temp", 3)
    sync(backup, other)
    assert values(other) == values(backup) == [1, 2, 3]


def test_twins_of_equal_content_part() -> None:
    one = first(1)
    other = clone(one)
    sync(one, other)
    assert one.id != other.id
    one.report(1, 1, "temp", 2)
    other.report(1, 1, "temp", 3)
    sync(one, other)
    assert values(one) == values(other) == [1, 2, 3]


def test_empty_twins_part() -> None:
    one = new()
    other = clone(one)
    sync(one, other)
    assert one.id != other.id


@pytest.mark.parametrize("third_party", [False, True])
def test_clones_that_wrote_both_keep_all(third_party: bool) -> None:
    one = first(1, 2)
    other = clone(one)
    name = one.id
    for value in (10, 11, 12):
        one.report(1, 1, "temp", value)
    for value in (20, 21):
        other.report(1, 1, "temp", value)
    if third_party:
        third = new()
        for _ in range(2):
            sync(one, third)
            sync(other, third)
        assert logs(third) == logs(one)
    else:
        sync(one, other)
    assert values(one) == values(other) == [1, 2, 10, 11, 12, 20, 21]
    assert dump(one) == dump(other)
    assert logs(one) == logs(other)
    (rest,) = [log for log, (origin, _) in logs(one).items() if origin]
    assert rest[12] == "8", "a UUID of version 8"
    assert one.id != other.id
    assert [one.id, other.id].count(name) <= 1, "who lost the name writes a new log"


def test_a_history_that_came_while_a_session_was_open_is_compared() -> None:
    """The peer said what it has when nothing of that log was here: what a third party gives then may be another way."""
    one = first(1, 2)
    other, third = clone(one), new()
    one.report(1, 1, "temp", 10)
    for value in (20, 21, 22):
        other.report(1, 1, "temp", value)
    wire = Wire(third, one, Options(live=True), Options(live=True, give=False)).run()
    sync(other, third)
    wire.run()
    assert wire.of(0, Ended)[0].again
    for _ in range(2):
        for pair in combinations((one, other, third), 2):
            sync(*pair)
    for db in (one, other, third):
        assert values(db) == [1, 2, 10, 20, 21, 22]
        assert logs(db) == logs(one)


@pytest.mark.parametrize("take", [True, False])
@pytest.mark.parametrize("with_backup", [True, False])
@pytest.mark.parametrize("empty", [True, False])
def test_a_way_that_lost_its_name_keeps_the_new_one_though_the_winner_is_lost(
    take: bool, with_backup: bool, empty: bool
) -> None:
    backup = new() if empty else first(1, 2)
    ways = [clone(backup), clone(backup)]
    log = replica_of(backup).own
    change = backup._logs.get(log).head + 1
    for name, way in zip("xy", ways, strict=True):
        if empty:
            way.troops.create(key=KEY, name=name)
        way.report(1, 1, "temp", 10)
        way.report(1, 1, "temp", 11)
    winner, loser = sorted(ways, key=lambda way: fingerprint(replica_of(way).frame(log, change)))
    third, fourth = new(), new()
    sync(loser, third)
    sync(winner, loser, take=False)
    assert logs(loser).get(log.hex(), (0, 0)) == (0, change - 1), "it gave way, and has not got the winner's"
    # The winner's disk is lost. Whoever saw how it ended meets who did not.
    if with_backup:
        sync(loser, backup)
    sync(loser, third, take=take)
    for _ in range(2):
        for pair in combinations((loser, third, fourth, backup), 2):
            sync(*pair)
    for db in (loser, third, fourth, backup):
        assert values(db) == [*([] if empty else [1, 2]), 10, 11]
        assert logs(db) == logs(loser)


@pytest.mark.parametrize(
    ("version", "reason"), [(8, "is named by"), (4, "begins behind change 3, and is not the rest of another")]
)
def test_the_rest_of_a_log_begins_with_the_change_that_it_is_named_by(version: int, reason: str) -> None:
    one = first(1, 2)
    other = clone(one)
    one.report(1, 1, "temp", 10)
    other.report(1, 1, "temp", 20)
    sync(one, other)
    (rest,) = [bytes.fromhex(log) for log, (origin, _) in logs(one).items() if origin]
    false = UUID(int=7, version=version).bytes if version == 4 else rest[:-1] + bytes([rest[-1] ^ 1])
    wire = Wire(
        one,
        new(),
        change=lambda _, data: data.replace(rest.hex().encode(), false.hex().encode()).replace(rest, false),
    ).run()
    assert reason in str(wire.of(1, Ended)[0].error)


@pytest.fixture
def tiny_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each change closes an interval: behind any of them a changes file might begin."""
    monkeypatch.setattr("scoutcore.replication.replica.Chain", partial(Chain, interval_bytes=1))


def without_its_beginning(db: Database, base: int, digest: bytes | None = None) -> Database:
    """A database with a copy of our log of which the changes up to *base* were dropped; *digest*: D of that."""
    (log,) = (bytes.fromhex(log) for log in logs(db))
    replica, found = replica_of(db), new()
    replica.publish()
    copy = replica_of(found)
    copy.begin(log, base, 0, digest or replica.digest(log, base), Quota())
    for change in range(base + 1, replica.held(log).last + 1):
        frame = replica.frame(log, change)
        columns = codec.decode_changes(frame, codec.scan_frames(frame))
        copy.receive([Run(log, frame, array("Q", [len(frame)]), columns)], Quota())
    return found


@pytest.mark.usefixtures("tiny_intervals")
@pytest.mark.parametrize("more", [0, 1, 5], ids=lambda more: f"{more} more")
@pytest.mark.parametrize("equal", [False, True], ids=["other changes", "the same changes"])
def test_a_log_that_went_two_ways_in_what_was_dropped_holds_up_nobody(equal: bool, more: int) -> None:
    """Where they part cannot be found out: that is said, nothing is split elsewhere, and the rest goes on."""
    one = first(1, 2, 3)
    twin = clone(one)
    for value in range(10, 13 + more):
        one.report(1, 1, "temp", value)
    for value in range(10 if equal else 20, 13 if equal else 23):
        (one if equal and not more else twin).report(1, 1, "temp", value)
    before = values(one)
    other = without_its_beginning(one if equal else twin, 5, b"\xab" * 16)
    (log,) = logs(one)
    wire = Wire(one, other, Options()).run()
    for side in (0, 1):
        assert wire.of(side, Ended)[0].error is None
        assert {problem.log for problem in wire.of(side, Problem)} == {str(UUID(log))}
    for db in (one, other):
        assert not any(origin for origin, _ in logs(db).values())
    assert values(one) == before


@pytest.mark.usefixtures("tiny_intervals")
@pytest.mark.parametrize(("mine", "theirs"), [(1, 1), (9, 1), (1, 9)])
def test_a_log_that_went_two_ways_behind_what_was_dropped_keeps_both(mine: int, theirs: int) -> None:
    one = first(1, 2, 3, 4, 5)
    twin = clone(one)
    for value in range(mine):
        one.report(1, 1, "temp", 100 + value)
    for value in range(theirs):
        twin.report(1, 1, "temp", 200 + value)
    other = without_its_beginning(twin, 4)
    for wire in sync(one, other):
        assert wire.of(0, Problem) == []
    assert values(one) == [1, 2, 3, 4, 5, *range(100, 100 + mine), *range(200, 200 + theirs)]
    sync(one, twin)
    assert values(one) == values(twin)
    assert dump(one) == dump(twin)
    assert logs(one) == logs(twin)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_clone_of_a_clone_parts_from_what_has_parted_already(order: tuple[int, ...]) -> None:
    one = first(1)
    other = clone(one)
    other.report(1, 1, "temp", 2)
    third = clone(other)
    for number, db in enumerate((one, other, third)):
        for value in range(3):
            db.report(1, 1, "temp", 10 * number + value + 3)
    found = [(one, other, third)[place] for place in order]
    for _ in range(3):
        for pair in combinations(found, 2):
            sync(*pair)
    for db in found:
        assert values(db) == sorted([1, 2, *(10 * number + value + 3 for number in range(3) for value in range(3))])
        assert logs(db) == logs(one)


@pytest.mark.parametrize("seed", range(20))
def test_any_number_of_clones_agree(seed: int) -> None:
    choose = random.Random(seed)
    found = [first()]
    for _ in range(40):
        chance = choose.random()
        if chance < 0.5:
            db = choose.choice(found)
            if db.troops:
                db.report(1, 1, "temp", choose.randrange(1000))
        elif chance < 0.6 and len(found) < 6:
            found.append(clone(choose.choice(found)))
        elif chance < 0.65 and len(found) < 6:
            found.append(new())
        elif len(found) > 1:
            sync(*choose.sample(found, 2))
    for _ in found:
        for pair in combinations(found, 2):
            sync(*pair)
    assert all(dump(db) == dump(found[0]) for db in found)
    assert all(logs(db) == logs(found[0]) for db in found)
    assert len({db.id for db in found}) == len(found)
