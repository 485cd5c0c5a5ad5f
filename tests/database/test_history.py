"""History in time order, in constant memory, also where the blocks of several gateways overlap without end."""

from __future__ import annotations

import math
import tracemalloc
from array import array
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoutcore import codec, history, numeric
from scoutcore.codec.constants import INT64_MAX, INT64_MIN
from scoutcore.database import Database
from tests.database.worlds import UID, Change, World, apply, times, worlds
from tests.model import MAX_BLOCK_SPAN, SET_CLOCK, Row

ROW = Row(UID, 7, "temp")
bounds = st.none() | times | st.integers(-1, 5)


@given(
    worlds(),
    st.integers(1, 200),
    st.integers(1, 4),
    bounds,
    bounds,
    st.booleans(),
    st.none() | st.integers(0, 6),
)
@settings(max_examples=3 * settings.default.max_examples)
def test_small_runs_and_windows(
    world: World, run: int, window: int, start: int | None, end: int | None, reverse: bool, limit: int | None
) -> None:
    content = world.content()
    with world.database() as db, pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "_RUN_BYTES", run)
        patch.setattr(history, "_WINDOW_BLOCKS", window)
        for row in content.receptions:
            expected = [
                (one.t, one.clock, one.raw)
                for one in content.history(row)
                if (start is None or one.t >= start) and (end is None or one.t < end)
            ]
            expected = (expected[::-1] if reverse else expected)[:limit]
            found = db.history(1, *row[1:], start=start, end=end, reverse=reverse, limit=limit)
            for _ in range(2):
                assert [
                    (point.t, None if point.boot is None else (point.boot, point.ms), point.raw) for point in found
                ] == expected
            columns = [
                (t, (boot, ms) if clocked else None, bytes(part.data[first:behind]))
                for part in found.columns()
                for t, clocked, boot, ms, first, behind in zip(
                    part.t, part.clocked, part.boot, part.ms, part.starts, part.ends, strict=True
                )
            ]
            assert columns == expected
            arrays = found.to_numpy()
            assert arrays["t"].astype("int64").tolist() == [t for t, _, _ in expected]
            assert arrays["clocked"].tolist() == [clock is not None for _, clock, _ in expected]
            assert [text.encode() for text in arrays["data"]] == [raw for _, _, raw in expected]


@given(worlds(), st.integers(1, 200), bounds, bounds, st.booleans(), st.none() | st.integers(0, 6))
def test_numbers(world: World, run: int, start: int | None, end: int | None, reverse: bool, limit: int | None) -> None:
    pytest.importorskip("numpy", reason="NumPy is not installed")
    content = world.content()
    with world.database() as db, pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "_RUN_BYTES", run)
        for row in content.receptions:
            found = db.history(1, *row[1:], start=start, end=end, reverse=reverse, limit=limit)
            points = list(found)
            t, values = found.numbers()
            assert t.astype(int).tolist() == [point.t for point in points]
            members = [numeric._members(point.raw) for point in points]
            assert {name: list(map(repr, column.tolist())) for name, column in values.items()} == {
                name: [repr(one.get(name, math.nan)) for one in members] for some in members for name in some
            }


def chained(blocks: int, points: int) -> Database:
    """Two logs whose blocks overlap one another without end."""
    span = MAX_BLOCK_SPAN // points * (points - 1)
    step = span // (points - 1)
    changes = []
    for number in range(blocks):
        for log in (0, 1):
            first = number * (span + step) + log * (span // 2 + 1)
            readings = tuple((first + n * step, None, b"%d" % n) for n in range(points))
            changes.append(Change(log, number + 1, ROW, SET_CLOCK, readings))
    world = World((), ())
    db = world.database()
    db._submit(lambda commit: apply(db, commit, changes))
    return db


def test_blocks_that_overlap_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks, points = 400, 60
    with chained(blocks, points) as db:
        monkeypatch.setattr(history, "_RUN_BYTES", 4096)
        decoded = 0
        decode = codec.decode_blocks

        def counting(data: Any, starts: array[int], ends: array[int]) -> Any:
            nonlocal decoded
            decoded += len(starts)
            return decode(data, starts, ends)

        monkeypatch.setattr(codec, "decode_blocks", counting)
        for reverse in (False, True):
            decoded = 0
            tracemalloc.start()
            stamps = [0]
            count = 0
            for point in db.history(1, 7, "temp", reverse=reverse):
                assert stamps[0] <= point.t if not reverse or not count else stamps[0] >= point.t
                stamps[0] = point.t
                count += 1
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert count == 2 * blocks * points
            assert decoded < 4 * 2 * blocks
            assert peak < 3_000_000
        decoded = 0
        assert len(list(islice(db.history(1, 7, "temp"), 10))) == 10
        assert decoded < 100


def test_a_range_reads_only_its_blocks(disk: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for first in range(0, 20_000, 500):
        disk.ingest(
            {"troop": 1, "scout": 1, "report": "r", "data": n, "t": 1_000_000 * n} for n in range(first, first + 500)
        )
    read = 0
    scan = disk._store.scan

    def counting(start: bytes, stop: bytes, reverse: bool = False) -> Any:
        nonlocal read
        for item in scan(start, stop, reverse):
            read += 1
            yield item

    monkeypatch.setattr(disk._store, "scan", counting)
    points = list(disk.history(1, 1, "r", start=10_000_000_000, end=10_100_000_000))
    assert [point.data for point in points] == list(range(10_000, 10_100))
    assert read < 10
    read = 0
    assert [point.data for point in disk.history(1, 1, "r", reverse=True, limit=1)] == [19_999]
    assert read < 200


def test_the_ends_of_time(db: Database) -> None:
    stamps = [INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX]
    for t in reversed(stamps):
        db.report(1, 1, "r", str(t), t=t)
    assert [point.t for point in db.history(1, 1, "r")] == stamps
    assert [point.t for point in db.history(1, 1, "r", reverse=True)] == stamps[::-1]
    assert [point.t for point in db.history(1, 1, "r", end=INT64_MAX)] == stamps[:-1]
    assert [point.t for point in db.history(1, 1, "r", start=INT64_MAX)] == stamps[-1:]
    assert [point.t for point in db.history(1, 1, "r", start=INT64_MIN, end=INT64_MIN)] == []
    assert [point.t for point in db.history(1, 1, "r", start=1, end=-1)] == []
    assert list(db.history(1, 1, "other")) == []


def test_equal_times_are_all_kept_in_the_order_they_came(db: Database) -> None:
    for batch in range(3):
        db.ingest({"troop": 1, "scout": 1, "report": "r", "data": [batch, n], "t": 5} for n in range(700))
    assert [point.data for point in db.history(1, 1, "r")] == [[batch, n] for batch in range(3) for n in range(700)]
    backwards = [point.data for point in db.history(1, 1, "r", reverse=True)]
    assert backwards == [[batch, n] for batch in range(2, -1, -1) for n in range(699, -1, -1)]
