"""``ingest_columns`` stores what ``ingest`` stores for the same reports, and names what is wrong by row."""

from __future__ import annotations

import json
from array import array
from pathlib import Path

import numpy as np
import pytest

import scoutcore
from scoutcore.column_ingest import BATCH_ROWS, Columns
from scoutcore.errors import IngestError, InvalidError
from scoutcore.ingest import MANY_SERIES

SERIES = [(1, 7, "temp"), (1, 8, "hum"), (1, 9, "never used")]


@pytest.fixture
def db(tmp_path: Path):
    with scoutcore.open(tmp_path / "a.scout") as database:
        database.troops.create(key="k" * 32)
        yield database


@pytest.mark.parametrize("clocked", [False, True])
@pytest.mark.parametrize("count", [0, 1, BATCH_ROWS + 1])
def test_the_same_as_ndjson(db: scoutcore.Database, tmp_path: Path, count: int, clocked: bool) -> None:
    codes = np.arange(count, dtype=np.uint32) % 2 ^ 1
    t = 1_700_000_000_000_000 + np.arange(count) * 500_000
    values = np.arange(count) / 8
    clock = {"boot": np.full(count, 5, np.uint64), "ms": np.arange(count, dtype=np.uint64)} if clocked else {}
    result = db.ingest_columns(SERIES, codes, t, values, **clock)
    assert (result.accepted, result.rejected) == (count, 0)
    lines = [
        {"troop": 1, "scout": SERIES[c][1], "report": SERIES[c][2], "data": v, "t": time / 1000}
        | ({"b": 5, "ms": row} if clocked else {})
        for row, (c, time, v) in enumerate(zip(codes.tolist(), t.tolist(), values.tolist(), strict=True))
    ]
    with scoutcore.open(tmp_path / "b.scout") as other:
        other.troops.create(key="k" * 32)
        other.ingest("\n".join(map(json.dumps, lines)).encode())
        assert list(other.dump()) == list(db.dump())


def test_many_series_go_in_smaller_commits(db: scoutcore.Database) -> None:
    count, bad = MANY_SERIES + 1, {0, 12_600, MANY_SERIES}
    series = [(1, number, "temp") for number in range(count)]
    values = np.arange(count, dtype=float)
    values[list(bad)] = np.nan
    started = []
    db._submit, submit = lambda work: started.append(work) or submit(work), db._submit  # type: ignore[method-assign]
    result = db.ingest_columns(series, np.arange(count), None, values)
    assert len(started) == -(-count // (BATCH_ROWS // 4))
    assert (result.accepted, {row for row, _ in result.errors}) == (count - 3, {row + 1 for row in bad})
    assert [db.last(1, scout, "temp") is None for scout in (0, 1, 12_599, 12_600, count - 1)] == [
        *(True, False, False),
        *(True, True),
    ]


def test_json_text_is_kept_as_it_is(db: scoutcore.Database) -> None:
    text = b' [ {"a" : 1.50} ,"x,]" , [ [ ] ],null ] '
    assert db.ingest_columns(SERIES, array("B", [0, 0, 1, 0]), array("q", [1, 2, 3, 4]), text).accepted == 4
    assert [point.raw for point in db.history(1, 7, "temp")] == [b'{"a" : 1.50}', b'"x,]"', b"null"]
    assert [point.raw for point in db.history(1, 8, "hum")] == [b"[ [ ] ]"]


def test_whole_numbers_of_any_width_and_no_time(db: scoutcore.Database) -> None:
    for kind in ("int8", "uint16", "int32", "uint64"):
        db.ingest_columns(SERIES, np.zeros(2, kind), None, np.array([1, 2], kind))
    points = list(db.history(1, 7, "temp"))
    assert [point.raw for point in points] == [b"1", b"2"] * 4
    assert len({point.t for point in points}) == 8


def test_bad_rows_are_named_and_the_others_go_in(db: scoutcore.Database) -> None:
    series = [*SERIES, (99, 1, "x"), (1, -1, "x"), (1, 1, "")]
    codes = np.array([0, 3, 1, 4, 0, 5, 0], np.uint32)
    values = np.array([1, 2, 3, 4, np.nan, 6, 7])
    result = db.ingest_columns(series, codes, np.arange(7), values)
    assert result.accepted == 3
    assert [row for row, _ in result.errors] == [2, 4, 5, 6]
    assert "unknown troop 99" in result.errors[0][1]
    assert result.errors[2][1] == "data is NaN or infinite"
    assert [point.data for point in db.history(1, 7, "temp")] == [1.0, 7.0]


def test_deep_data_is_refused_and_odd_data_judged(db: scoutcore.Database) -> None:
    text = b"[" + b"[" * 65 + b"]" * 65 + b',"\\ud83d\\ude00",1]'
    result = db.ingest_columns(SERIES, np.zeros(3, "I"), np.arange(3), text)
    assert result.errors == [(1, "data is nested deeper than 64")]
    assert [point.data for point in db.history(1, 7, "temp")] == ["\U0001f600", 1]


def test_strict_is_all_or_nothing(db: scoutcore.Database) -> None:
    with pytest.raises(IngestError, match="line 2: data is NaN"):
        db.ingest_columns(SERIES, np.zeros(2, "I"), None, np.array([1, np.nan]), strict=True)
    assert db.last(1, 7, "temp") is None
    assert db.ingest_columns(SERIES, np.ones(2, "I"), None, np.array([1, 2]), strict=True).accepted == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"codes": np.array([0, 9], "I")}, "codes has 9, but there are 3 series"),
        ({"codes": np.array([0.0, 1.0])}, "codes is not a column of whole numbers"),
        ({"codes": [0, 1]}, "codes is not a column: list has no buffer"),
        ({"data": [0, 1]}, "data is not a column: list has no buffer"),
        ({"codes": np.zeros((2, 1), "I")}, "codes is not a column of whole numbers"),
        ({"codes": np.array([0, -1])}, "codes has a number that does not fit"),
        ({"t": np.zeros(3, "q")}, "t has 3 items, codes has 2"),
        ({"data": b"[1]"}, "data has 1 items, codes has 2"),
        ({"data": b"[1,2,3]"}, "data has 3 items, codes has 2"),
        ({"data": b"[1,]"}, "data is not a JSON array"),
        ({"data": b"{}"}, "data is not a JSON array"),
        ({"data": np.array(["a", "b"])}, "data is the text of a JSON array, or a column of numbers"),
        ({"boot": np.zeros(2, "Q")}, "boot and ms are given together"),
        ({"boot": np.zeros(2, "q") - 1, "ms": np.zeros(2, "Q")}, "boot has a number that does not fit"),
    ],
)
def test_what_is_no_column(db: scoutcore.Database, change: dict[str, object], reason: str) -> None:
    columns = {"codes": np.zeros(2, "I"), "t": np.zeros(2, "q"), "data": np.zeros(2), **change}
    with pytest.raises(InvalidError, match=reason):
        db.ingest_columns(SERIES, **columns)
    assert list(db.counts()) == []


def test_numbers_of_any_kind_are_written_as_json_has_them(db: scoutcore.Database) -> None:
    for t, values in enumerate(
        (np.array([1, 2**63], "Q"), [0.1 + 0.2, 1e-9, -0.0, 1e22], np.array([0.1, 2.5], np.float32), [7, -8])
    ):
        column = np.asarray(values)
        db.ingest_columns(SERIES, np.zeros(len(column), "I"), np.full(len(column), t), column)
    raws = [point.raw for point in db.history(1, 7, "temp")]
    assert raws[:2] == [b"1", b"9223372036854775808"]
    assert raws[2:6] == [b"0.30000000000000004", b"1e-9", b"-0.0", b"1e22"]
    assert raws[6:] == [b"0.10000000149011612", b"2.5", b"7", b"-8"]


def test_codes_that_change_while_they_are_read() -> None:
    codes = array("I", [0, 0])
    columns = Columns(SERIES, codes, None, array("d", [1, 2]), None, None)
    codes[1] = 3
    with pytest.raises(InvalidError, match="codes changed"):
        columns.part(0, 2)


def test_a_series_that_is_listed_twice_is_one(db: scoutcore.Database) -> None:
    for begin in (0, 10, 20):  # then each is known
        values = np.arange(begin, begin + 3)
        db.ingest_columns([(1, 7, "temp"), (1, 7, "temp")], array("I", [0, 1, 0]), values, values)
    assert [point.data for point in db.history(1, 7, "temp")] == [0, 1, 2, 10, 11, 12, 20, 21, 22]
    assert db.stats().logs[0].head == 1 + 3, "a change for each call, behind one of the troop"
    assert db.verify(views=True).ok
