"""What the codec's tests share: hex, outcomes that can be compared, and strategies for bytes and columns."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from scoutcore.codec import recent, reference
from scoutcore.codec.columns import (
    Change,
    ChangeColumns,
    CodecRow,
    Frames,
    PointColumns,
    Record,
    dump_record,
    offsets_of,
)
from scoutcore.codec.constants import INT64_MAX, INT64_MIN, UINT32_MAX, UINT64_MAX
from scoutcore.errors import CodecError

UUID = bytes.fromhex("018596a7b8c94d8192a3b4c5d6e70837")
MARKER = b"\x11\x02" + UUID

hexed = bytes.fromhex


def varint(value: int) -> bytes:
    return reference.encode_varints([value])


def frame(kind: int, content: bytes) -> bytes:
    return varint(len(content) + 1) + bytes([kind]) + content


def plain(value: Any) -> Any:
    """*value* with its columns as (type, list), for comparison down to the types."""
    if isinstance(value, array):
        return value.typecode, value.tolist()
    if isinstance(value, tuple):
        return type(value).__name__, *map(plain, value)
    return type(value).__name__, value


def outcome(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What *function* gives: its result, or its error with type, text and offset."""
    try:
        return plain(function(*args, **kwargs))
    except CodecError as problem:
        return type(problem).__name__, str(problem), problem.offset


def failure(function: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """The error of *function* as ``Type: text``."""
    try:
        result = function(*args, **kwargs)
    except CodecError as problem:
        return f"{type(problem).__name__}: {problem}"
    raise AssertionError(f"no error, but {result!r}")


def point_columns(rows: list[tuple[int, tuple[int, int] | None, bytes]]) -> PointColumns:
    """Columns of points (t, (boot, ms) or None, data)."""
    offsets = offsets_of(len(row[2]) for row in rows)
    clocks = [row[1] or (0, 0) for row in rows]
    return PointColumns(
        array("q", [row[0] for row in rows]),
        array("B", [row[1] is not None for row in rows]),
        array("Q", [clock[0] for clock in clocks]),
        array("Q", [clock[1] for clock in clocks]),
        b"".join(row[2] for row in rows),
        offsets[:-1],
        offsets[1:],
    )


def points_of(points: PointColumns) -> list[tuple[int, tuple[int, int] | None, bytes]]:
    """The inverse of :func:`point_columns`."""
    data = bytes(points.data)
    return [
        (t, (boot, ms) if clocked else None, data[start:end])
        for t, clocked, boot, ms, start, end in zip(
            points.t, points.clocked, points.boot, points.ms, points.starts, points.ends, strict=True
        )
    ]


# --- strategies -------------------------------------------------------------------------------------------------------

_EDGES = sorted({2**bits + delta for bits in range(65) for delta in (-1, 0, 1)})


def numbers(low: int, high: int) -> st.SearchStrategy[int]:
    """Numbers from *low* to *high*, with a liking for those around powers of two."""
    edges = [edge for edge in (*(-edge for edge in reversed(_EDGES)), *_EDGES) if low <= edge <= high]
    return st.sampled_from([low, high, *edges]) | st.integers(low, high) | st.integers(max(low, 0), min(high, 200))


uint64 = numbers(0, UINT64_MAX)
uint32 = numbers(0, UINT32_MAX)
int64 = numbers(INT64_MIN, INT64_MAX)
contents = st.binary(max_size=20) | st.binary(min_size=126, max_size=130)
texts = st.text(max_size=8)
changes = st.builds(
    Change,
    key=texts,
    change=uint32,
    from_=uint32,
    to=uint32,
    value=st.none() | contents,
    subset=st.none() | texts.filter(bool),
)


@st.composite
def loose_fields(draw: st.DrawFn) -> bytes:
    """A Change as only a foreign writer makes it: any order, repeats, unknown fields, numbers in long forms."""
    fields = [b"\x12\x01k", b"\x18\x01", b"\x20\x81\x00", b"\x28\x82\x80\x00"]
    fields += draw(
        st.lists(
            st.one_of(
                st.builds(lambda text: b"\x0a" + varint(len(text.encode())) + text.encode(), texts),
                st.builds(lambda text: b"\x12" + varint(len(text.encode())) + text.encode(), texts),
                st.builds(lambda tag, value: bytes([tag]) + varint(value), st.sampled_from([0x18, 0x20, 0x28]), uint32),
                st.builds(lambda value: b"\x32" + varint(len(value)) + value, contents),
                st.builds(lambda tag, value: varint(tag << 3) + varint(value), st.integers(7, 2**29 - 1), uint64),
                st.builds(
                    lambda tag, value: varint(tag << 3 | 1) + value,
                    st.integers(7, 99),
                    st.binary(min_size=8, max_size=8),
                ),
                st.builds(
                    lambda tag, value: varint(tag << 3 | 5) + value,
                    st.integers(7, 99),
                    st.binary(min_size=4, max_size=4),
                ),
            ),
            max_size=6,
        )
    )
    return b"".join(draw(st.permutations(fields)))


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """A good stream of frames: changes as we and as others write them, and blobs."""
    frames = st.one_of(
        st.builds(lambda change: reference.encode_changes(ChangeColumns.from_objects([change]))[0], changes),
        st.builds(lambda content: frame(1, content), loose_fields()),
        st.builds(lambda content: frame(2, content), contents),
        st.just(MARKER),
        st.just(frame(2, bytes(32))),
    )
    return b"".join(draw(st.lists(frames, max_size=6)))


json_numbers = (
    st.integers(-(10**19), 10**19).map(str)
    | st.builds("{:.{}f}".format, st.floats(-1e6, 1e6), st.integers(0, 4))
    | st.floats(-1000, 1000, width=32).map(lambda number: str(round(number, 2)))
    | st.floats(allow_nan=False, allow_infinity=False).map(str)
    | st.sampled_from(["0", "-0", "-0.0", "00", "1.", "-", "9" * 18, "9" * 19, "1e5", "0.10", "x"])
)
_SKELETONS = ["{}", '{{"value":{}}}', '{{"a":{},"b":{}}}', "[{},{},{}]", "-{}", "é{}\0", "{}{}"]


@st.composite
def numeric_rows(draw: st.DrawFn) -> list[tuple[int, tuple[int, int] | None, bytes]]:
    """Points of texts that mostly differ in their numbers alone, at a pace, mostly all with clocks or without."""
    skeleton = draw(st.sampled_from(_SKELETONS))
    kind = draw(st.integers(0, 99).map(str).flatmap(st.just) | json_numbers)
    values = draw(
        st.sampled_from([st.just(kind), st.integers(-99, 99).map(str), st.integers(0, 50).map("2.{}".format)])
    )
    texts = st.lists(values | json_numbers if draw(st.booleans()) else values, min_size=3, max_size=3)
    t, pace = draw(numbers(INT64_MIN, INT64_MAX)), draw(st.sampled_from([0, 1, 1000, 60_000_000]))
    clocked = draw(st.sampled_from([st.just(False), st.just(True), st.booleans()]))
    boot, ms = draw(uint64), draw(uint64)
    rows = []
    for index in range(draw(st.integers(1, 20))):
        clock = (boot, (ms + index * pace) % 2**64) if draw(clocked) else None
        moment = min(INT64_MAX, t + index * pace + pace // 1000 * draw(st.integers(0, 9)))
        rows.append((moment, clock, skeleton.format(*draw(texts)).encode()))
    return rows


@st.composite
def _any_rows(draw: st.DrawFn) -> list[tuple[int, tuple[int, int] | None, bytes]]:
    """Points, mostly near one time, in any order."""
    base = draw(int64)
    near = st.integers(max(INT64_MIN, base - 5 * 10**9), min(INT64_MAX, base + 5 * 10**9))
    row = st.tuples(near | int64, st.none() | st.tuples(uint64, uint64), texts.filter(bool).map(str.encode))
    return draw(st.lists(row, max_size=12))


def point_rows() -> st.SearchStrategy[list[tuple[int, tuple[int, int] | None, bytes]]]:
    """Points of any kind."""
    return _any_rows() | numeric_rows()


@st.composite
def batches(draw: st.DrawFn) -> tuple[PointColumns, array[int]]:
    """Points and their series, numbered in order of appearance."""
    rows = draw(point_rows())
    series: list[int] = []
    for _ in rows:
        series.append(draw(st.integers(0, max(series, default=-1) + 1)))
    return point_columns(rows), array("I", series)


@st.composite
def blocks(draw: st.DrawFn) -> bytes:
    """A good block."""
    rows = draw(point_rows().filter(bool))
    made = reference.encode_blocks(
        point_columns(rows),
        array("I", [0]) * len(rows),
        draw(numbers(0, INT64_MAX)),
        max_points=draw(st.sampled_from([1, 2, 4, 12])),
    )
    index = draw(st.integers(0, len(made.offsets) - 2))
    return made.data[made.offsets[index] : made.offsets[index + 1]]


_PIECES = [b"", b"\0", b"\1", b"\2", b"\x7f", b"\x80", b"\xff", b"\xff" * 9 + b"\1", b"\xff" * 9 + b"\2", b"\x80" * 10]


@st.composite
def mutations(draw: st.DrawFn, good: st.SearchStrategy[bytes]) -> bytes:
    """Good bytes with a few edits: a piece put in place of another, doubled, or cut off."""
    data = bytearray(draw(good))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 3)))
        edit = draw(st.integers(0, 3))
        if edit == 0:
            data[start:end] = draw(st.sampled_from(_PIECES) | st.binary(max_size=3))
        elif edit == 1 and start < len(data):
            data[start] = (data[start] + draw(st.sampled_from([1, 255, 128, 7]))) % 256
        elif edit == 2:
            data[start:start] = data[start:end]
        else:
            del data[start:]
    return bytes(data)


def all_bytes(good: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Good, damaged and random bytes."""
    return good | mutations(good) | st.binary(max_size=40)


def frames_of(data: bytes) -> Frames:
    """The frames of *data* as far as they are good; none where the first is wrong."""
    try:
        return reference.scan_frames(data)
    except CodecError:
        return reference.scan_frames(b"")


_small = st.integers(0, 3)
_recent = (
    st.builds(recent.dump, _small, st.lists(st.integers(0, 9) | uint64, max_size=4), st.just(UINT64_MAX))
    | st.binary(max_size=3)
    | st.just(b"")
)
good_records = st.builds(
    lambda numbers, times, kept, data: dump_record(
        Record(*numbers[:8], *times[:2], *numbers[8:11], times[2], *numbers[11:13], times[3], numbers[13], kept, data)
    ),
    st.lists(_small, min_size=14, max_size=14),
    st.lists(_small | int64, min_size=4, max_size=4),
    _recent,
    st.binary(max_size=3),
)
records = st.just(b"") | all_bytes(good_records)
"""Records of rows, mostly good."""


def codec_rows(found: list[bytes]) -> list[CodecRow]:
    """Rows with these records."""
    return [CodecRow(b"key/%d" % number, b"row%d" % number, record) for number, record in enumerate(found)]
