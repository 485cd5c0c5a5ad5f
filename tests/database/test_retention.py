"""Retention: what has expired is gone from every view, whenever it came and however it expired, and nothing else is."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scoutcore
from scoutcore import changes, codec, dat, dropping, keeper, keys, packer, recovery, retention
from scoutcore.blocks import whole
from scoutcore.codec.constants import INT64_MAX, INT64_MIN
from scoutcore.commit import Commit
from scoutcore.database import Database
from scoutcore.directory import Directory
from scoutcore.errors import CorruptError, FormatError, InvalidError, StorageError
from scoutcore.ingest import parsed
from scoutcore.store.journal import JournaledStore
from scoutcore.store.memory import MemoryStore
from scoutcore.watch import Synced
from tests.database.compare import assert_row, plain
from tests.database.logs import content_of
from tests.database.worlds import KEY, World, apply, shuffled, times, worlds
from tests.model import SET_CLOCK, Content, Row

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
        return self.world.content().since(self.floor)

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
@settings(max_examples=3 * settings.default.max_examples)
def test_what_is_left_is_what_the_model_says(aging: Aging) -> None:
    with aging.database() as db:
        assert_left(db, aging.content(), aging)


@given(agings, st.data())
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


def test_a_late_reception_overtakes_a_row_that_expires_step_by_step(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour = 3_600_000_001
    db.ingest([{"troop": 1, "scout": 1, "report": "r", "data": n, "t": n * hour} for n in range(10)])
    monkeypatch.setattr(keeper.Keeper, "_expiring", lambda self: iter(()))
    monkeypatch.setattr(keeper, "_BLOCKS", 3)
    db.expire(before=8 * hour)

    def work(commit: Commit) -> None:
        assert db._keeper._expire(commit, [(1, 1, "r")]) == (3, [(1, 1, "r")])
        series = db._gatherer.find((1, None, None, 1, "r"))
        db._appender.append_point(commit, series, parsed(1, "r", "late", 1, None, None, 5 * hour, None, None))
        db._appender.append_point(commit, series, parsed(1, "r", "new", 1, None, None, 11 * hour, None, None))

    db._submit(work)
    assert times_of(db) == [8 * hour, 9 * hour, 11 * hour]
    assert list(db.counts()) == [(1, 1, "r", 3, 3)]


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


# --- rules and the clock ----------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = SET_CLOCK + 1000 * MINUTE

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(path: Path, clock: Clock) -> Database:
    directory = Directory(path)
    store, _ = recovery.open_store(directory)
    return Database(store, directory, now=clock)


def test_rules_move_with_the_clock_and_floors_only_rise(path: Path, clock: Clock) -> None:
    minute = timedelta(minutes=1)
    with opened(path, clock) as db:
        db.troops.create(key=KEY)
        for ago in (1, 3, 5):
            for report in ("r", "other"):
                db.report(1, 1, report, ago, t=clock.now - ago * MINUTE)
        assert db.retain(4 * minute) == 2
        assert db.retain(2 * minute, report="r") == 1
        assert [len(times_of(db, report)) for report in ("r", "other")] == [1, 2]
        # One whose own rule is longer does not get back what is gone, and is not touched by that for every report.
        assert db.retain(timedelta.max, report="other") == 0
        clock.now += 10 * MINUTE
        assert db.expire() == 1
        assert [len(times_of(db, report)) for report in ("r", "other")] == [0, 2]
        floor = db._retention.floor("r")
        db.retain(None, report="r")
        db.retain(10 * minute)
        assert db._retention.floor("r") == floor
        clock.now -= 100 * MINUTE
        assert db.expire() == 0
        assert db._retention.floor("r") == floor
        rules = db.retention
        assert [(rule.report, rule.keep, rule.for_ever) for rule in rules] == [
            (None, 10 * minute, False),
            ("other", timedelta(microseconds=INT64_MAX), True),
            ("r", None, False),
        ]
    clock.now += 150 * MINUTE
    with opened(path, clock) as db:  # nobody calls expire
        assert [rule.report for rule in db.retention] == [None, "other", "r"]
        assert db._retention.floor("new") == clock.now - 10 * MINUTE
        db.report(1, 1, "new", 1, t=clock.now - 11 * MINUTE)
        assert times_of(db, "new") == []
        db.retain(None, report="other")
        assert times_of(db, "other") == []


def test_it_goes_on_by_itself(path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_PAUSE", 0.01)
    with opened(path, clock) as db:
        db.troops.create(key=KEY)
        db.report(1, 1, "r", 1, t=clock.now)
        db.retain(timedelta(hours=1))
        thread = db._keeper._thread
        assert thread is not None
        assert times_of(db) != []
        clock.now += 61 * MINUTE
        deadline = time.monotonic() + 30
        while times_of(db) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert times_of(db) == []
    assert not thread.is_alive()


def test_watchers_are_told_of_what_shows(db: Database) -> None:
    db.expire(before=100)
    with db.watch() as watch:
        events = iter(watch)
        while not isinstance(next(events), Synced):
            pass
        db.report(1, 1, "r", "late", t=99)
        db.ingest([{"troop": 1, "scout": 1, "report": "r", "data": n, "t": n} for n in (98, 100)])
        assert next(events).data == 100


@pytest.mark.parametrize("keep", [timedelta(0), timedelta(days=-1), 5, "1d"])
def test_a_rule_that_cannot_be(db: Database, keep: Any) -> None:
    with pytest.raises(InvalidError, match="keep is a timedelta"):
        db.retain(keep)
    assert db.retention == []


@pytest.mark.parametrize("content", ["{", "[]", '{"every":{"keep":"x"}}', '{"later":1}'])
def test_a_file_that_holds_something_else(path: Path, content: str) -> None:
    scoutcore.open(path).close()
    (path / "retention.json").write_text(content)
    with pytest.raises(FormatError, match=r"retention\.json does not hold"):
        scoutcore.open(path)


def test_a_rule_that_cannot_be_stored_lets_nothing_expire(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with scoutcore.open(path) as db:
        db.troops.create(key=KEY)
        db.report(1, 1, "r", 1, t=1)
        with monkeypatch.context() as patch:
            patch.setattr(retention, "write_file", full)
            with pytest.raises(StorageError, match=r"cannot write .*retention\.json: No space left"):
                db.expire(before=2)
            with pytest.raises(StorageError, match=r"cannot write .*retention\.json: No space left"):
                db.retain(timedelta(days=1))
        assert times_of(db) == [1]
        assert db.retention == []
        assert db.expire(before=2) == 1


def test_it_opens_where_floors_cannot_be_stored(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(path, clock) as db:
        db.troops.create(key=KEY)
        db.retain(timedelta(hours=1))
        db.report(1, 1, "r", 1, t=clock.now)
    clock.now += 61 * MINUTE

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(retention, "write_file", full)
        with opened(path, clock) as db:
            assert "readings could not expire: cannot write" in caplog.text
            assert times_of(db) != []
            db.report(1, 1, "r", 2)
    with opened(path, clock) as db:
        assert [point.data for point in db.history(1, 1, "r")] == [2]


# --- on disk ----------------------------------------------------------------------------------------------------------


def fill(path: Path, blocks: int) -> None:
    """A row with many blocks, each of its readings heard twice, the second time later."""
    with scoutcore.open(path, pack=False) as db:
        db.troops.create(key=KEY)
        for offset in (0, 7):
            db.ingest(
                {"troop": 1, "scout": 1, "report": "r", "data": n, "boot": 1, "ms": n, "t": (n + offset) * MINUTE}
                for n in range(512 * blocks)
            )


def test_built_anew_it_is_the_same(path: Path) -> None:
    fill(path, 4)
    with scoutcore.open(path) as db:
        db.pack()
        db.report(1, 1, "r", "unpacked", t=0)
        db.expire(before=100 * MINUTE)
        before, counts = list(db.dump()), list(db.counts())
        assert counts == [(1, 1, "r", 2048 - 93, 2 * 2048 - 93 - 100)]
        recovery.rebuild(db._store, db._directory.identity, db._directory.changes)  # type: ignore[union-attr]
        db._load()
        assert list(db.dump()) == before
        assert list(db.counts()) == counts


def test_a_large_row_expires_step_by_step_and_goes_on_after_an_interruption(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(path, 8)
    monkeypatch.setattr(keeper, "_BLOCKS", 2)

    class Interrupted(BaseException):
        pass

    def expire_with(trial: Path, writes: int | None) -> tuple[int, int]:
        """Expire with so many writes; the largest, and how many there were."""
        sizes: list[int] = []

        def write(self: JournaledStore, puts: dict[bytes, Any], sync: bool, packed: Any = ()) -> None:
            if len(sizes) == writes:
                raise Interrupted
            sizes.append(len(puts))
            real(self, puts, sync, packed)

        with monkeypatch.context() as patch, scoutcore.open(trial, pack=False) as db:
            real = JournaledStore.write
            patch.setattr(JournaledStore, "write", write)
            db.expire(before=512 * 7 * MINUTE)
        return max(sizes), len(sizes)

    whole = tmp_path / "whole.scout"
    shutil.copytree(path, whole)
    largest, count = expire_with(whole, None)
    assert largest < 100
    assert count > 5
    with scoutcore.open(whole) as db:
        expected, counts = list(db.dump()), list(db.counts())
        points = [item for item in expected if "point" in item]
        assert len(points) == 512 + 7
        size = db._store.size(keys.HISTORY, keys.CLOCK + b"\xff")
        db.expire(compact=True)
        assert db._store.size(keys.HISTORY, keys.CLOCK + b"\xff") < size / 2
    for writes in range(0, count, 4 if scoutcore.backend == "c" else 13):  # plain Python takes its time
        trial = tmp_path / f"{writes}.scout"
        shutil.copytree(path, trial)
        with pytest.raises(Interrupted):
            expire_with(trial, writes)
        with scoutcore.open(trial) as db:
            assert list(db.dump()) == expected
            assert list(db.counts()) == counts


# --- changes files ----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packer, "Writer", partial(changes.Writer, interval_bytes=300, file_bytes=600))


def write_files(db: Database, clock: Clock, count: int) -> None:
    """About a changes file a minute, in which metadata is written too."""
    for number in range(count):
        clock.now += MINUTE
        db.report(1, 1, "r", "x" * 600, t=number)
        db.scouts.update(1, 1, {f"field {number}": number})
        db.pack()


@pytest.mark.usefixtures("small_files")
def test_old_files_are_dropped_and_what_they_brought_stays(path: Path, clock: Clock) -> None:
    with opened(path, clock) as db:
        db.troops.create(key=KEY, name="one")
        write_files(db, clock, 6)
        assert db._directory is not None
        directory = db._directory.changes / db.id
        files = {file.name: file.read_bytes() for file in changes.files_of(directory)}
        before, counts = list(db.dump()), list(db.counts())
        assert db.drop_changes(SET_CLOCK) == 0
        dropped = db.drop_changes(clock.now - 3 * MINUTE)
        assert 0 < dropped < db.stats().logs[0].packed
        left = {file.name: file.read_bytes() for file in changes.files_of(directory)}
        assert len(left) > 1
        assert left == {name: files[name] for name in sorted(files)[-len(left) :]}
        oldest = changes.open(directory / min(left))
        assert max(map(write_time_of, oldest)) >= clock.now - 3 * MINUTE
        assert next(iter(oldest)).change == db.stats().logs[0].base + 1 == dropped + 1
        content_of(db)
        assert (list(db.dump()), list(db.counts())) == (before, counts)
    with opened(path, clock) as db:
        assert db.recovered == []
        assert db.drop_changes(INT64_MAX) > 0
        (last,) = changes.files_of(directory)
        assert last.name == max(files)
        # Packing goes on as if nothing had been dropped, and what is built anew has the metadata.
        write_files(db, clock, 1)
        assert last.read_bytes().startswith(files[last.name])
        assert [change.change for change in changes.open(directory)][-1] == db.stats().logs[0].head
        fields = [item for item in db.dump() if "fields" in item]
        recovery.rebuild(db._store, db._directory.identity, db._directory.changes)  # type: ignore[union-attr]
        db._load()
        assert [item for item in db.dump() if "fields" in item] == fields
        left_over = content_of(db).history(Row(db.troops.get(1).uid, 1, "r"))
        assert [plain(point) for point in db.history(1, 1, "r")] == [one.plain for one in left_over] != []


def write_time_of(change: changes.reader.Change) -> int:
    assert change.value
    if change.subset == "troop":
        return int(json.loads(change.value)["at"])
    _, (write_time,), _ = codec.decode_blocks(change.value, *whole(change.value))
    return write_time


@pytest.mark.usefixtures("small_files")
def test_damage_after_dropping_is_said(path: Path, clock: Clock) -> None:
    with opened(path, clock) as db:
        db.troops.create(key=KEY, name="one")
        write_files(db, clock, 4)
        dropped, log = db.drop_changes(INT64_MAX), db.id
    with max((path / "db").glob("*.log")).open("ab") as file:
        file.write(b"\xff\xff\xff\xff\x09\x00\x01not a log")
    with scoutcore.open(path) as db:
        said = f"log {log}: readings of its changes 1 to {dropped} were dropped, and are shown no more"
        assert said in db.recovered
        assert len(db.scouts.get(1, 1).fields) == 4


@pytest.mark.usefixtures("small_files")
def test_files_that_were_deleted_by_hand_count_as_dropped(path: Path, clock: Clock) -> None:
    with opened(path, clock) as db:
        db.troops.create(key=KEY, name="one")
        write_files(db, clock, 4)
        before, log = list(db.dump()), db.id
    first, second, *_ = changes.files_of(path / "changes" / log)
    first.unlink()
    base = int(second.stem) - 1
    with scoutcore.open(path) as db:
        assert db.recovered == [f"log {log}: the files with changes 1 to {base} are gone"]
        assert db.stats().logs[0].base == base
        assert list(db.dump()) == before
    with scoutcore.open(path) as db:
        assert db.recovered == []


@pytest.mark.usefixtures("small_files")
def test_metadata_that_was_kept_is_checked(path: Path, clock: Clock) -> None:
    with opened(path, clock) as db:
        db.troops.create(key=KEY, name="one")
        write_files(db, clock, 4)
        db.drop_changes(INT64_MAX)
        (kept,) = path.glob("changes/*/dropped.metadata")
        data = kept.read_bytes()
        decoder = dat.Decoder()
        assert [item.subset for item in decoder.feed(data) if isinstance(item, dat.Change)] == ["troop"] * 4
        for place in range(0, len(data), 7):
            kept.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            with pytest.raises(CorruptError, match=r"dropped\.metadata does not match its check"):
                dropping.kept_metadata(db._logs.own, kept.parent)


def test_a_database_in_memory_has_no_files() -> None:
    with Database(MemoryStore()) as db, pytest.raises(InvalidError, match="in memory"):
        db.drop_changes(0)
