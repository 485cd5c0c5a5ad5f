"""Bad input: what is wrong with it and in which line, and the rest goes in (promise 12)."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

import scoutcore
from scoutcore import Point
from scoutcore.codec.constants import INT64_MAX, INT64_MIN, MAX_DATA
from scoutcore.database import Database
from scoutcore.errors import IngestError, InvalidError, ReportError
from scoutcore.ndjson import MAX_LINE
from tests.database.conftest import KEY

GOOD = b'{"troop":1,"scout":1,"report":"temp","data":1,"t":1}'


def line(**members: str) -> bytes:
    """A report with *members*, JSON texts, in place of or beside those of a good one; "" leaves one out."""
    all_members = {"troop": "1", "scout": "7", "report": '"temp"', "data": "1", **members}
    return ("{" + ",".join(f'"{name}":{text}' for name, text in all_members.items() if text) + "}").encode()


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


BAD = {
    "empty object": (b"{}", "missing required field `scout`"),
    "half a line": (b'{"troop":1,"scout":', "not JSON"),
    "no object": (b"[1,2]", "Expected `object`, got `array`"),
    "a number": (b"1", "Expected `object`, got `int`"),
    "two in a line": (GOOD + GOOD, "not JSON"),
    "something behind it": (GOOD + b" x", "not JSON"),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, "not JSON"),
    "zero byte": (GOOD + b"\0", "not JSON"),
    "bad UTF-8 in data": (line(data='"~"').replace(b"~", b"\xff"), "not valid UTF-8"),
    "bad UTF-8 in a name": (line(report='"~"').replace(b"~", b"\xc3"), "not valid UTF-8"),
    "bad UTF-8 in what is passed over": (line(other='"~"').replace(b"~", b"\xed\xa0\x80"), "not valid UTF-8"),
    "half a surrogate pair": (line(report='"\\ud83d"'), "not JSON"),
    "half a surrogate pair in data": (line(data='"\\ud83d"'), "not JSON"),
    "wrong escape": (line(data='"\\q"'), "not JSON"),
    "control character in data": (line(data='"\x01"'), "not JSON"),
    "NaN": (line(data="NaN"), "not JSON"),
    "Infinity": (line(data="[-Infinity]"), "not JSON"),
    "leading zero": (line(data="01"), "not JSON"),
    "trailing comma": (line(data="[1,]"), "not JSON"),
    "single quotes": (line(data="'a'"), "not JSON"),
    "no troop": (line(troop=""), "report without troop, uid or key"),
    "null for a troop": (line(troop="null"), "report without troop, uid or key"),
    "no scout": (line(scout=""), "missing required field `scout`"),
    "no report": (line(report=""), "missing required field `report`"),
    "no data": (line(data=""), "missing required field `data`"),
    "unknown troop": (line(troop="2"), "unknown troop 2"),
    "troop 0": (line(troop="0"), "unknown troop 0"),
    "troop -1": (line(troop="-1"), "unknown troop -1"),
    "troop of 40 bits": (line(troop="1099511627776"), "unknown troop 1099511627776"),
    "troop is a string": (line(troop='"1"'), "got `str` - at `$.troop`"),
    "troop is true": (line(troop="true"), "got `bool` - at `$.troop`"),
    "unknown uid": (line(uid='"AAAAAAAAAAAAAAAA"'), "unknown troop uid 'AAAAAAAAAAAAAAAA'"),
    "uid that is none": (line(uid='"x"'), "unknown troop uid 'x'"),
    "unknown key": (line(key=json.dumps("k" * 32)), "unknown troop key"),
    "short key": (line(key='"k"'), "a troop key has at least 32 characters"),
    "scout -1": (line(scout="-1"), "scout is a number from 0 to 4294967295, not -1"),
    "scout of 33 bits": (line(scout="4294967296"), "scout is a number from 0 to 4294967295, not 4294967296"),
    "scout of 65 bits": (line(scout="18446744073709551616"), "scout"),
    "scout 1.5": (line(scout="1.5"), "got `float` - at `$.scout`"),
    "scout is a string": (line(scout='"1"'), "got `str` - at `$.scout`"),
    "empty name": (line(report='""'), "report name is empty"),
    "name with a line feed": (line(report='"a\\nb"'), "report name has a control character"),
    "name with a zero": (line(report='"\\u0000"'), "report name has a control character"),
    "name with DEL": (line(report='"\\u007f"'), "report name has a control character"),
    "name of 201 bytes": (line(report=json.dumps("n" * 201)), "report name is longer than 200 bytes"),
    "name of 202 bytes, 101 characters": (line(report=json.dumps("é" * 101)), "report name is longer than 200 bytes"),
    "name is a number": (line(report="1"), "got `int` - at `$.report`"),
    "b without ms": (line(b="1"), "boot without ms"),
    "ms without b": (line(ms="1"), "ms without boot"),
    "b is null": (line(b="null", ms="1"), "ms without boot"),
    "b -1": (line(b="-1", ms="1"), "boot is not a number from 0 to 2^64-1"),
    "ms -1": (line(b="1", ms="-1"), "ms is not a number from 0 to 2^64-1"),
    "b of 65 bits": (line(b="18446744073709551616", ms="1"), "b"),
    "ms 1.5": (line(b="1", ms="1.5"), "got `float` - at `$.ms`"),
    "t with four decimals": (line(t="0.0001"), "t has more than three decimals"),
    "t with four decimals that a float drops": (line(t="1163438041250.1231"), "t has more than three decimals"),
    "t with 22 decimals": (line(t="1163438041250.1230000000000000000001"), "t has more than three decimals"),
    "t too small to see": (line(t="1e-400"), "t has more than three decimals"),
    "t behind int64": (line(t="9223372036854775.808"), "t does not fit 64 bits"),
    "t before int64": (line(t="-9223372036854775.809"), "t does not fit 64 bits"),
    "t far too large": (line(t="9223372036854776"), "t does not fit 64 bits"),
    "t larger than any float": (line(t="1e999"), "out of range"),
    "t is a string": (line(t='"2026-01-01"'), "got `str` - at `$.t`"),
    "t is true": (line(t="true"), "got `bool` - at `$.t`"),
    "data 65 deep": (line(data=nested(65)), "data is nested deeper than 64"),
    "data 65 deep behind brackets in a string": (
        line(data='["' + "]" * 100 + '",' + nested(64) + "]"),
        "data is nested deeper than 64",
    ),
    "data 100,000 deep": (line(data=nested(100_000)), "data is nested deeper than 64"),
    "data of 1 MiB + 1": (line(data='"' + "x" * (MAX_DATA - 1) + '"'), "data is longer than 1048576 bytes"),
    "line too long": (line(other='"' + "x" * MAX_LINE + '"'), f"line is longer than {MAX_LINE} bytes"),
    "line of spaces": (b" " * (2 * MAX_LINE) + b"x", f"line is longer than {MAX_LINE} bytes"),
}

FINE = {
    "as it is": (line(data='{ "a" : 1.0 }'), b'{ "a" : 1.0 }', None),
    "spaces around": (b' \t{ "troop" : 1 , "scout":7,"report":"temp","data" : 1 } \r', b"1", None),
    "other members": (line(other='{"deep":[1]}', time='"x"'), b"1", None),
    "the last of two": (b'{"troop":1,"scout":1,"scout":7,"report":"temp","data":1,"data":2}', b"2", None),
    "uid before troop": (line(uid="UID", troop="99"), b"1", None),
    "key before troop": (line(key=json.dumps(KEY), troop="99"), b"1", None),
    "empty uid": (line(uid='""'), b"1", None),
    "null": (line(data="null", uid="null", t="null", b="null", ms="null"), b"null", None),
    "escapes": (line(report='"\\u0074emp"', data='"\\ud83d\\ude00"'), b'"\\ud83d\\ude00"', None),
    "number that no float holds": (line(data="1e999"), b"1e999", None),
    "400 digits": (line(data="9" * 400), b"9" * 400, None),
    "data 64 deep": (line(data=nested(64)), nested(64).encode(), None),
    "brackets in strings": (line(data=json.dumps("[" * 100)), json.dumps("[" * 100).encode(), None),
    "data of 1 MiB": (line(data='"' + "x" * (MAX_DATA - 2) + '"'), b'"' + b"x" * (MAX_DATA - 2) + b'"', None),
    "t 0": (line(t="0"), b"1", 0),
    "t -1": (line(t="-1"), b"1", -1000),
    "t with decimals": (line(t="1163438041250.125"), b"1", 1163438041250125),
    "t negative with decimals": (line(t="-0.001"), b"1", -1),
    "t with a needless zero": (line(t="1.1000"), b"1", 1100),
    "t with an exponent": (line(t="1163.4e3"), b"1", 1163400000),
    "t below 2^43 ms": (line(t="8796093022207.999"), b"1", 8796093022207999),
    "t above 2^43 ms": (line(t="8796093022208.001"), b"1", 8796093022208001),
    "t beyond floats": (line(t="9007199254740993.001"), b"1", 9007199254740993001),
    "t the first": (line(t="-9223372036854775.808"), b"1", INT64_MIN),
    "t the last": (line(t="9223372036854775.807"), b"1", INT64_MAX),
    "greatest b and ms": (line(b="18446744073709551615", ms="18446744073709551615"), b"1", None),
    "greatest scout": (line(scout="4294967295"), b"1", None),
    "name of 200 bytes": (line(report=json.dumps("é" * 100, ensure_ascii=False)), b"1", None),
    "name with slashes and spaces": (line(report='"a/ b//"'), b"1", None),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_between_good_ones(db: Database, name: str) -> None:
    bad, reason = BAD[name]
    result = db.ingest(b"\n".join([GOOD, b"", bad, GOOD, bad]))
    assert (result.accepted, result.rejected) == (2, 2)
    assert [number for number, _ in result.errors] == [3, 5]
    for _, text in result.errors:
        assert reason in text
        assert len(text) < 200
    assert [point.t for point in db.history(1, 1, "temp")] == [1000, 1000]
    assert sum(points for *_, points, _ in db.counts()) == 2


@pytest.mark.parametrize("name", BAD)
def test_strict_takes_all_or_nothing(name: str, disk: Database) -> None:
    bad, reason = BAD[name]
    before = disk.stats().logs
    with pytest.raises(IngestError) as caught:
        disk.ingest(b"\n".join([GOOD, bad, GOOD]), strict=True)
    assert caught.value.line == 2
    assert reason in caught.value.reason
    assert "line 2" in str(caught.value)
    assert list(disk.counts()) == []
    assert disk.stats().logs == before
    assert disk.ingest(b"\n".join([GOOD, GOOD]), strict=True).accepted == 2


@pytest.mark.parametrize("name", FINE)
@pytest.mark.parametrize("beside", ["alone", "beside a bad line"])
def test_a_line_that_is_fine(db: Database, name: str, beside: str) -> None:
    good, raw, t = FINE[name]
    good = good.replace(b"UID", json.dumps(db.troops.get(1).uid).encode())
    result = db.ingest(good if beside == "alone" else good + b"\n{")
    assert (result.accepted, result.rejected) == (1, 0 if beside == "alone" else 1)
    ((_, scout, report, *_),) = db.counts()
    point = db.last(1, scout, report)
    assert point is not None
    assert point.raw == raw
    if t is not None:
        assert point.t == t
    # What is printed goes in again, without loss.
    again = Database(scoutcore.store.memory.MemoryStore())
    again.troops.create(key=KEY)
    assert again.ingest(point.to_json(), strict=True).accepted == 1
    assert again.last(1, scout, report) == point


def test_lines_are_counted_through_chunks(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scoutcore.ndjson.BATCH_BYTES", 1000)
    monkeypatch.setattr("scoutcore.ndjson.read_chunks.__defaults__", (1000,))
    lines = [b"bad" if number % 7 == 0 else GOOD for number in range(1, 1001)]
    result = db.ingest(b"\n".join(lines))
    assert [number for number, _ in result.errors] == list(range(7, 1001, 7))
    assert result.accepted == 1000 - result.rejected == 858


def test_only_the_first_thousand_errors_are_described(db: Database) -> None:
    result = db.ingest(b"x\n" * 5000 + GOOD)
    assert (result.accepted, result.rejected, len(result.errors)) == (1, 5000, 1000)


# --- objects ---


class _Struct(msgspec.Struct):
    x: float


@dataclasses.dataclass
class _Data:
    x: float


REPORT: dict[str, Any] = {"troop": 1, "scout": 7, "report": "temp", "data": 1}
BAD_ITEMS = {
    "no report at all": (7, "a report is a dict or a Point, not int"),
    "no data": ({"troop": 1, "scout": 1, "report": "temp"}, "report without data"),
    "unknown item": ({**REPORT, "b": 1}, "report with an unknown item 'b'"),
    "troop is a string": ({**REPORT, "troop": "1"}, "troop is not a number"),
    "troop is true": ({**REPORT, "troop": True}, "troop is not a number"),
    "scout is a float": ({**REPORT, "scout": 1.0}, "scout is a number"),
    "scout is true": ({**REPORT, "scout": True}, "scout is a number"),
    "scout with 5,000 digits": ({**REPORT, "scout": 10**5000}, "scout is a number"),
    "report is None": ({**REPORT, "report": None}, "report is not a string"),
    "report is not Unicode": ({**REPORT, "report": "\ud800"}, "report name is not valid Unicode"),
    "boot without ms": ({**REPORT, "boot": 1}, "boot without ms"),
    "boot of 65 bits": ({**REPORT, "boot": 2**64, "ms": 1}, "boot is not a number from 0 to 2^64-1"),
    "t is a float": ({**REPORT, "t": 1.0}, "t is an int of 64 bits"),
    "t is naive": ({**REPORT, "t": datetime(2026, 1, 1)}, "without a time zone"),  # noqa: DTZ001
    "t of 65 bits": ({**REPORT, "t": 2**63}, "t is an int of 64 bits"),
    "NaN": ({**REPORT, "data": math.nan}, "NaN"),
    "NaN inside": ({**REPORT, "data": {"a": [None, (1, -math.inf)]}}, "NaN"),
    "NaN in a set": ({**REPORT, "data": [{math.inf}]}, "NaN"),
    "NaN in a struct": ({**REPORT, "data": _Struct(math.nan)}, "NaN"),
    "NaN in a dataclass": ({**REPORT, "data": [_Data(math.nan)]}, "NaN"),
    "no JSON value": ({**REPORT, "data": object()}, "data is not a JSON value"),
    "no Unicode": ({**REPORT, "data": "\ud800"}, "data is not a JSON value"),
    "itself inside": ({**REPORT, "data": (endless := [], endless.append(endless))[0]}, "data is"),
    "too deep": ({**REPORT, "data": json.loads(nested(65))}, "data is nested deeper than 64"),
    "too large": ({**REPORT, "data": "x" * MAX_DATA}, "data is longer than 1048576 bytes"),
    "empty text": ({**REPORT, "data": msgspec.Raw(b"")}, "not JSON"),
    "no JSON": ({**REPORT, "data": msgspec.Raw(b"nope")}, "not JSON"),
    "more than one JSON": ({**REPORT, "data": msgspec.Raw(b"1 2")}, "not JSON"),
    "more than one member": ({**REPORT, "data": msgspec.Raw(b'1,"t":5')}, "not JSON"),
    "text that is no UTF-8": ({**REPORT, "data": msgspec.Raw(b'"\xff"')}, "not valid UTF-8"),
    "no JSON inside": ({**REPORT, "data": [msgspec.Raw(b"nope")]}, "not JSON"),
    "a point of nobody": (Point(1, "AAAAAAAAAAAAAAAA", 1, "temp", 0, b"1"), "unknown troop uid"),
    "a point with no JSON": (Point(1, "UID", 1, "temp", 0, b'1,"scout":2'), "not JSON"),
    "a point with half a clock": (Point(1, "UID", 1, "temp", 0, b"1", 1), "boot without ms"),
    "a point with a wrong name": (Point(1, "UID", 1, "te\nmp", 0, b"1"), "control character"),
}


@pytest.mark.parametrize("name", BAD_ITEMS)
def test_a_bad_item_between_good_ones(db: Database, name: str) -> None:
    item, reason = BAD_ITEMS[name]
    if isinstance(item, Point) and item.uid == "UID":
        item = msgspec.structs.replace(item, uid=db.troops.get(1).uid)
    result = db.ingest([REPORT, item, REPORT])
    assert (result.accepted, result.rejected) == (2, 1)
    ((number, text),) = result.errors
    assert number == 2
    assert reason in text
    assert len(text) < 250
    with pytest.raises(IngestError, match="line 2"):
        db.ingest(iter([REPORT, item]), strict=True)
    assert [points for *_, points, _ in db.counts()] == [2]
    if isinstance(item, dict) and "unknown item" not in reason and "data" in item:
        with pytest.raises((ReportError, InvalidError)) as caught:
            db.report(**item)
        assert reason in str(caught.value)
        assert [points for *_, points, _ in db.counts()] == [2]


@pytest.mark.parametrize(
    ("data", "raw"),
    [
        ({"c": 21.5, "a": [None, True, 2**64]}, b'{"c":21.5,"a":[null,true,18446744073709551616]}'),
        ("é\n", '"é\\n"'.encode()),
        (msgspec.Raw(b' {"a" :1}'), b' {"a" :1}'),
        ([msgspec.Raw(b"1.50")], b"[1.50]"),
        ((1, 2), b"[1,2]"),
        (Decimal("1.50"), b'"1.50"'),
    ],
)
def test_data_of_a_report(db: Database, data: Any, raw: bytes) -> None:
    assert db.report(1, 7, "temp", data).raw == raw
    point = db.last(1, 7, "temp")
    assert point is not None
    assert point.raw == raw


def test_a_source_that_breaks_leaves_what_was_committed(db: Database) -> None:
    def reports() -> Any:
        yield from [REPORT] * 20_000
        raise RuntimeError("the radio fell off")

    seen = []
    with pytest.raises(RuntimeError, match="fell off"):
        db.ingest(reports(), progress=lambda result, size: seen.append((result.accepted, size)))
    assert sum(points for *_, points, _ in db.counts()) == sum(accepted for accepted, _ in seen[-1:])


def test_sources_that_cannot_be(db: Database, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        db.ingest(tmp_path / "nothing.ndjson")
    with pytest.raises((InvalidError, TypeError)):
        db.ingest(io.StringIO(GOOD.decode()))  # type: ignore[arg-type]
    with pytest.raises((InvalidError, TypeError)):
        db.ingest(None)  # type: ignore[arg-type]
    assert list(db.counts()) == []


def test_empty_sources(db: Database, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for source in (b"", b"\n \n\t\r\n", io.BytesIO(), [], iter(()), tmp_path / "empty", str(tmp_path / "empty")):
        result = db.ingest(source)
        assert (result.accepted, result.rejected, result.errors) == (0, 0, [])
