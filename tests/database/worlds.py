"""Receptions of the same readings in several logs, as replication brings them: a strategy, and how they are applied."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from hypothesis import strategies as st

from scoutcore import codec
from scoutcore.codec.columns import PointColumns, offsets_of
from scoutcore.codec.constants import INT64_MAX, INT64_MIN, UINT64_MAX
from scoutcore.commit import Commit
from scoutcore.database import Database
from scoutcore.keys import uid_of_key
from scoutcore.store.memory import MemoryStore
from tests.model import MAX_BLOCK_SPAN, SET_CLOCK, Content, Reception, Row

KEY = "the key of the one troop of a world"
UID = uid_of_key(KEY)
LOGS = [bytes([fill]) * 16 for fill in (0x11, 0x7F, 0xEE)]

Reading = tuple[int, "tuple[int, int] | None", bytes]


@dataclass(frozen=True)
class Change:
    """A block of a log: points in time order."""

    log: int
    number: int
    row: Row
    write_time: int
    points: tuple[Reading, ...]

    def receptions(self) -> list[Reception]:
        return [
            Reception(self.row, LOGS[self.log], self.number, index, self.write_time, *reading)
            for index, reading in enumerate(self.points)
        ]

    def block(self) -> bytes:
        offsets = offsets_of(len(raw) for _, _, raw in self.points)
        clocks = [clock or (0, 0) for _, clock, _ in self.points]
        columns = PointColumns(
            array("q", [t for t, _, _ in self.points]),
            array("B", [clock is not None for _, clock, _ in self.points]),
            array("Q", [boot for boot, _ in clocks]),
            array("Q", [ms for _, ms in clocks]),
            b"".join(raw for _, _, raw in self.points),
            offsets[:-1],
            offsets[1:],
        )
        blocks = codec.encode_blocks(columns, array("I", bytes(4 * len(self.points))), self.write_time)
        assert len(blocks.offsets) == 2
        return blocks.data


@dataclass(frozen=True)
class World:
    """Changes of several logs in the order in which they arrive, and how many come in one batch."""

    changes: tuple[Change, ...]
    batches: tuple[int, ...]
    """In how many changes a commit ends."""

    def content(self) -> Content:
        content = Content()
        for change in self.changes:
            for reception in change.receptions():
                content.add(reception)
        return content

    def database(self) -> Database:
        """A database to which all has been applied."""
        db = Database(MemoryStore(), now=lambda: SET_CLOCK)
        db.troops.create(key=KEY)
        left = list(self.changes)
        for size in [*self.batches, len(left)]:
            batch, left = left[:size], left[size:]
            db._submit(lambda commit, batch=batch: apply(db, commit, batch))
        return db


def apply(db: Database, commit: Commit, batch: list[Change]) -> None:
    """Add a batch to the views, the consecutive changes of a log at once."""
    while batch:
        log = batch[0].log
        count = next((index for index, change in enumerate(batch) if change.log != log), len(batch))
        run, batch = batch[:count], batch[count:]
        blocks = [change.block() for change in run]
        offsets = offsets_of(map(len, blocks))
        names = list(dict.fromkeys(change.row for change in run))
        rows = [db._rows.get(commit, (1, *row)) for row in names]
        row_of = array("I", [names.index(change.row) for change in run])
        known = db._logs.by_uuid.get(LOGS[log]) or db._logs.add(commit, LOGS[log])
        numbers = array("I", [change.number for change in run])
        db._views.add(commit, known, numbers, rows, row_of, None, b"".join(blocks), offsets[:-1], offsets[1:])


rows = st.sampled_from([Row(UID, 7, "temp"), Row(UID, 7, "tem")])
"""Two rows, the name of one a prefix of the other's."""
times = st.one_of(
    st.integers(0, 4),
    st.integers(0, 4).map(lambda n: SET_CLOCK + n),
    st.sampled_from([SET_CLOCK - 1, MAX_BLOCK_SPAN, 2 * MAX_BLOCK_SPAN, INT64_MAX, INT64_MIN]),
)
clocks = st.none() | st.tuples(
    st.sampled_from([0, 1, UINT64_MAX]),
    st.one_of(st.integers(0, 3), st.sampled_from([3_600_000, 3_600_001, 7_200_002, UINT64_MAX])),
)
readings = st.tuples(times, clocks, st.sampled_from([b"0", b"1", b"2"]))
write_times = st.sampled_from([0, 1, 2, 3, SET_CLOCK - 1, SET_CLOCK, SET_CLOCK + 2, SET_CLOCK + 9])


@st.composite
def _points(draw: st.DrawFn) -> tuple[Reading, ...]:
    points = sorted(draw(st.lists(readings, min_size=1, max_size=4)), key=lambda reading: reading[0])
    return tuple(reading for reading in points if reading[0] - points[0][0] <= MAX_BLOCK_SPAN)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Logs of some changes each, the numbers of which rise, shuffled into one another."""
    order = draw(st.lists(st.integers(0, len(LOGS) - 1), min_size=1, max_size=8))
    heads = [0] * len(LOGS)
    changes = []
    for log in order:
        heads[log] += draw(st.integers(1, 2))
        changes.append(Change(log, heads[log], draw(rows), draw(write_times), draw(_points())))
    return World(tuple(changes), tuple(draw(st.lists(st.integers(1, 3), max_size=8))))


def shuffled(world: World, draw: st.DrawFn) -> World:
    """The same changes in another order, in which those of each log still rise, and in other batches."""
    order = draw(st.permutations([change.log for change in world.changes]))
    queues = [iter([change for change in world.changes if change.log == log]) for log in range(len(LOGS))]
    batches = draw(st.lists(st.integers(1, 5), max_size=8))
    return World(tuple(next(queues[log]) for log in order), tuple(batches))
