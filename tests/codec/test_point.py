"""A batch of one is written in one call, and is what a batch would be."""

from __future__ import annotations

from array import array
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoutcore.codec import reference
from scoutcore.codec.columns import CodecRow
from scoutcore.codec.constants import INT64_MAX, INT64_MIN, MAX_DATA, UINT32_MAX, UINT64_MAX
from scoutcore.errors import EncodeError
from tests.codec.helpers import outcome, records

LOG = bytes(16), 0, INT64_MIN, 3, UINT32_MAX
"""Uuids of the logs, number of ours, newest floor, number of the change, limit."""


def row(key: bytes = b"k", record: bytes = b"") -> CodecRow:
    return CodecRow(key, b"row", record)


def test_the_block_ends_with_the_frame(codec: ModuleType) -> None:
    *_, record, _ = codec.add_point(row(), *LOG, 999, 5, (8, 8), b"1")
    frame, start, *_ = codec.add_point(row(record=record), *LOG, 1000, 5, (8, 9), b"2")
    assert frame.hex() == "1d010a0673656e736f7212016b180320012802320900e80705" + "0a" + "010809" + "32"
    frames = codec.scan_frames(frame)
    (change,) = codec.decode_changes(frame, frames).to_objects()
    assert (change.key, change.change, change.from_, change.to, change.subset) == ("k", 3, 1, 2, "sensor")
    assert change.value == frame[start:]
    decoded = codec.decode_blocks(frame, array("Q", [start]), array("Q", [len(frame)]))
    assert list(decoded.write_times) == [1000]
    assert [list(column) for column in decoded.points[:4]] == [[5], [1], [8], [9]]


@pytest.mark.parametrize(
    ("write_time", "key", "data", "reason"),
    [
        (-1, b"k", b"1", "time outside 64 bits"),
        (INT64_MAX + 1, b"k", b"1", "time outside 64 bits"),
        (0, b"k", b"", "point without data"),
        (0, b"k", b"1" * (MAX_DATA + 1), "data longer than the limit"),
        (0, b"\xff", b"1", "invalid UTF-8"),
    ],
)
def test_what_cannot_be_encoded(codec: ModuleType, write_time: int, key: bytes, data: bytes, reason: str) -> None:
    with pytest.raises(EncodeError, match=f"^{reason} at item 0$"):
        codec.add_point(row(key), *LOG, write_time, 0, None, data)


def test_the_longest_data_fits(codec: ModuleType) -> None:
    last = bytes(16), 0, INT64_MIN, UINT32_MAX, UINT32_MAX
    frame, start, *_ = codec.add_point(row(b"k" * 228), *last, INT64_MAX, INT64_MIN, None, b"1" * MAX_DATA)
    assert len(frame) - start > MAX_DATA


def test_threads_have_memory_of_their_own(codec: ModuleType) -> None:
    """C writes without the interpreter's lock. Some points are too large for the memory that is kept."""

    def add(number: int) -> Any:
        data = b'"%s"' % (b"%d" % number * (1 if number % 5 else 9000))
        return codec.add_point(row(b"k%d" % number), *LOG, number, -number, (1, number), data)

    numbers = range(1, 1000)
    expected = list(map(add, numbers))
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(add, numbers)) == expected
    assert expected[6] == reference.add_point(row(b"k7"), *LOG, 7, -7, (1, 7), b'"7"')


@pytest.mark.parametrize("number", [-1, UINT32_MAX + 1])
def test_numbers_over_32_bits(codec: ModuleType, number: int) -> None:
    with pytest.raises(OverflowError):
        codec.add_point(row(), *LOG[:3], number, UINT32_MAX, 0, 0, None, b"1")
    with pytest.raises(OverflowError):
        codec.add_point(row(), *LOG[:4], number, 0, 0, None, b"1")


uint64 = st.integers(0, UINT64_MAX)


@given(
    st.text(max_size=20),
    st.integers(1, UINT32_MAX),
    st.integers(0, 4) | st.just(UINT32_MAX),
    st.integers(0, INT64_MAX),
    st.integers(INT64_MIN, INT64_MAX),
    st.none() | st.tuples(uint64, uint64),
    st.text(max_size=200).map(str.encode),
    records | st.binary(max_size=120),
    st.sampled_from([INT64_MIN, 0, INT64_MAX]),
)
def test_c_and_python_agree(
    key: str,
    change: int,
    limit: int,
    write_time: int,
    t: int,
    clock: tuple[int, int] | None,
    data: bytes,
    record: bytes,
    newest: int,
) -> None:
    native = pytest.importorskip("scoutcore.codec.native")
    log = b"a" * 16 + b"b" * 16, 1, newest, change, limit
    arguments = row(key.encode(), record), *log, write_time, t, clock, data
    assert outcome(native.add_point, *arguments) == outcome(reference.add_point, *arguments)
