"""What C takes for a plain report is right, and means what the Python parser says; the odd is left to that parser."""

from __future__ import annotations

import contextlib
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoutcore import ndjson
from scoutcore.codec.columns import name_parts
from scoutcore.errors import InvalidError

try:
    from scoutcore.codec import native
except ImportError:
    if os.environ.get("SCOUTCORE_REQUIRE_C") == "1":
        raise
    pytest.skip("scoutcore was installed without its C module", allow_module_level=True)

PLAIN = b'{"troop":1,"scout":7,"report":"temp","data":{"value":21.5},"t":1163438041250,"b":1,"ms":60000}'
UID = b"abcdefghijklmno_"

PLAIN_LINES = [
    PLAIN,
    b'{"uid":"' + UID + b'","scout":0,"report":"a/b","data":[1,[2,{"x":[]}],{}],"t":-1.5}',
    b'{"key":"' + b"k" * 32 + b'","scout":4294967295,"report":"temp","data":null}',
    b' { "troop" : 1 , "scout":7,\t"report":"temp","data": "a\\n\\u00e9\\"" ,"other":[true,false,{"t":1}]}\r',
    b'{"troop":1,"scout":7,"report":"\xc3\xa9","data":-0.5e-10,"t":0,"b":18446744073709551615,"ms":0}',
    b'{"troop":1,"scout":7,"report":"r","data":' + b"[" * 64 + b"]" * 64 + b"}",
    b'{"troop":1,"scout":7,"report":"r","data":1,"t":9223372036854774.123}',
    b'{"troop":1,"scout":7,"report":"r","data":1,"t":-0.001}',
]
ODD_LINES = [
    b"",
    b"[]",
    b"{}",
    PLAIN[:-1],
    PLAIN + b"x",
    PLAIN.replace(b'"t":1163438041250', b'"t":1.2345'),
    PLAIN.replace(b'"t":1163438041250', b'"t":1e3'),
    PLAIN.replace(b'"t":1163438041250', b'"t":null'),
    PLAIN.replace(b'"t":1163438041250', b'"t":9223372036854775'),
    PLAIN.replace(b'"t":1163438041250', b'"t":01'),
    PLAIN.replace(b'"t":1163438041250', b'"t":1.'),
    PLAIN.replace(b',"ms":60000', b""),
    PLAIN.replace(b'"b":1', b'"b":18446744073709551616'),
    PLAIN.replace(b'"scout":7', b'"scout":4294967296'),
    PLAIN.replace(b'"scout":7', b'"scout":-7'),
    PLAIN.replace(b'"scout":7', b'"scout":7.0'),
    PLAIN.replace(b'"scout":7', b'"scout":"7"'),
    PLAIN.replace(b'"scout":7', b'"scout":7,"scout":8'),
    PLAIN.replace(b'"temp"', b'"te\\u006dp"'),
    PLAIN.replace(b'"temp"', b'"te\x01mp"'),
    PLAIN.replace(b'"temp"', b'""'),
    PLAIN.replace(b'"temp"', b'"\xff"'),
    PLAIN.replace(b"21.5", b"NaN"),
    PLAIN.replace(b"21.5", b"01"),
    PLAIN.replace(b"21.5", b'"\\ud800"'),
    PLAIN.replace(b"21.5", b'"\xed\xa0\x80"'),
    PLAIN.replace(b"21.5", b"[1,]"),
    PLAIN.replace(b"21.5", b"tru"),
    PLAIN.replace(b"21.5", b'"\\x"'),
    PLAIN.replace(b"21.5", b'"\\u00g0"'),
    PLAIN.replace(b"21.5", b'"\\u00@0"'),
    PLAIN.replace(b'"troop":1,', b""),
    b'{"troop":1,"scout":7,"report":"r","data":' + b"[" * 65 + b"]" * 65 + b"}",
    b'{"troop":1,"scout":7,"report":"r","data":"' + b"x" * 2**20 + b'"}',
]


@pytest.mark.parametrize("line", PLAIN_LINES)
def test_plain_lines_are_taken_by_c(line: bytes) -> None:
    assert len(native.scan_reports(line).lines) == 1
    agree(line)


@pytest.mark.parametrize("line", ODD_LINES)
def test_odd_lines_are_left(line: bytes) -> None:
    reports = native.scan_reports(line)
    assert len(reports.lines) == 0
    assert reports.odd == ([(0, 0, len(line))] if line else [])


def test_blank_lines_count_but_are_not_odd() -> None:
    reports = native.scan_reports(b"\n \t\r\n" + PLAIN + b"\nx\n" + PLAIN)
    assert list(reports.lines) == [2, 4]
    assert reports.odd == [(3, 5 + len(PLAIN) + 1, 5 + len(PLAIN) + 2)]
    assert list(reports.codes) == [0, 0]


def agree(chunk: bytes) -> None:
    """Every plain report of *chunk* is the one that the parser finds in its line."""
    reports = native.scan_reports(chunk)
    lines = chunk.split(b"\n")
    seen = set()
    for index, line in enumerate(reports.lines):
        parsed = ndjson.parse(lines[line])
        seen.add(line)
        assert name_parts(reports.names[reports.codes[index]]) == parsed.name
        assert (reports.t[index] if reports.stamped[index] else None) == parsed.t
        clock = (reports.boot[index], reports.ms[index]) if reports.clocked[index] else (None, None)
        assert clock == parsed.clock
        assert chunk[reports.starts[index] : reports.ends[index]] == parsed.data
    for line, start, end in reports.odd:
        seen.add(line)
        assert chunk[start:end] == lines[line]
    assert len(set(map(name_parts, reports.names))) == len(set(reports.codes)) == len(reports.names)
    assert seen == {number for number, line in enumerate(lines) if line.strip(b" \t\r")}


numbers = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-10, 10).map(lambda n: n / 8),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=8,
)
reports = st.fixed_dictionaries(
    {"scout": st.integers(0, 2**32), "report": st.text(min_size=1, max_size=5), "data": values},
    optional={
        "troop": st.integers(0, 2**33),
        "uid": st.sampled_from([UID.decode(), "x", ""]),
        "key": st.sampled_from(["k" * 32, ""]),
        "t": st.one_of(st.integers(-(2**63), 2**63), st.decimals(-(10**13), 10**13, places=3).map(float), numbers),
        "b": st.integers(-1, 2**64),
        "ms": st.integers(-1, 2**64),
        "other": values,
    },
)
lines = st.builds(
    lambda report, ascii_only, spaced: json.dumps(
        report, ensure_ascii=ascii_only, separators=(", ", " : ") if spaced else (",", ":")
    ).encode("utf-8", "surrogatepass"),
    reports,
    st.booleans(),
    st.booleans(),
)


@given(st.lists(lines, max_size=5))
def test_c_and_python_agree_on_reports(chunk: list[bytes]) -> None:
    agree(b"\n".join(chunk))


@given(st.data(), st.sampled_from(PLAIN_LINES[:5]))
def test_c_and_python_agree_on_damaged_reports(data: st.DataObject, line: bytes) -> None:
    damaged = bytearray(line)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        what = data.draw(
            st.binary(max_size=2) | st.sampled_from([b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"1"])
        )
        damaged[at : at + data.draw(st.integers(0, 2))] = what
    agree(bytes(damaged))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_without_harm(chunk: bytes) -> None:
    agree(chunk)


@pytest.mark.parametrize("line", ODD_LINES[1:])
def test_the_parser_judges_odd_lines(line: bytes) -> None:
    """An odd line is parsed or refused with a reason, never anything else."""
    with contextlib.suppress(InvalidError):
        assert ndjson.parse(line).data
