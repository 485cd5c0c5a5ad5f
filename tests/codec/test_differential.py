"""C against the reference: the same result or the same error, on good, damaged and random bytes."""

from __future__ import annotations

from array import array
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoutcore.codec import numbers as numbers_of
from scoutcore.codec import puts, reference
from scoutcore.codec.columns import ChangeColumns, Frames, offsets_of
from scoutcore.codec.constants import INT64_MAX, INT64_MIN, UINT32_MAX, UINT64_MAX
from tests.codec.helpers import (
    MARKER,
    UUID,
    all_bytes,
    batches,
    blocks,
    changes,
    codec_rows,
    contents,
    frame,
    frames_of,
    good_records,
    int64,
    loose_fields,
    numbers,
    outcome,
    points_of,
    records,
    streams,
    uint64,
    varint,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    Same = Callable[..., Any]

limits = st.sampled_from([0, 1, 5, 40, 2**22, UINT64_MAX])
columns = st.lists(uint64 | st.integers(0, 12), max_size=4).map(lambda values: array("Q", values))


@pytest.fixture(scope="session")
def same(native: ModuleType) -> Same:
    """Calls a function of both backends, holds that they agree, and gives what both gave."""

    def call(name: str, *args: Any, **kwargs: Any) -> Any:
        found = outcome(getattr(native, name), *args, **kwargs)
        assert found == outcome(getattr(reference, name), *args, **kwargs)
        return found

    return call


@given(st.lists(uint64), st.lists(int64))
def test_varints(same, unsigned, signed):
    for values, zigzag in ((unsigned, False), (signed, True)):
        _, data = same("encode_varints", values, zigzag)
        assert same("decode_varints", data, zigzag) == ("q" if zigzag else "Q", values)


@given(all_bytes(st.lists(uint64).map(reference.encode_varints)), st.booleans())
def test_varints_from_bytes(same, data, zigzag):
    same("decode_varints", data, zigzag)


@given(st.lists(contents), st.integers(0, 3))
def test_multibuffers(same, buffers, extra):
    _, data = same("pack", buffers, extra)
    assert same("unpack", data, extra) == ("list", buffers)


@given(
    all_bytes(st.builds(reference.pack, st.lists(contents, max_size=5), st.integers(0, 1))),
    st.integers(0, 2),
    st.integers(0, 20),
    limits,
)
def test_multibuffers_from_bytes(same, data, extra, offset, limit):
    same("unpack", data, extra)
    same("unpack_columns", data, extra, offset, limit)


@given(st.binary(max_size=12), columns, st.integers(0, 2))
def test_multibuffers_of_slices(same, data, offsets, extra):
    same("pack_columns", data, offsets, extra)


@given(all_bytes(streams()), st.integers(0, 30), limits, limits)
def test_frames_from_bytes(same, data, offset, max_change, max_blob):
    same("scan_frames", data)
    same("scan_frames", data, offset, max_change, max_blob)


@given(st.lists(changes), limits)
def test_changes(same, rows, max_frame):
    gathered = ChangeColumns.from_objects(rows)
    _, (_, data), _ = same("encode_changes", gathered)
    same("decode_changes", data, reference.scan_frames(data))
    assert reference.decode_changes(data, reference.scan_frames(data)).to_objects() == rows
    same("encode_changes", gathered, max_frame)


@given(all_bytes(streams()))
def test_changes_from_bytes(same, data):
    same("decode_changes", data, frames_of(data))


@given(st.lists(all_bytes(loose_fields()), max_size=4))
def test_changes_of_damaged_fields(same, fields):
    data = b"".join(frame(1, content) for content in fields)
    same("decode_changes", data, reference.scan_frames(data))


@given(loose_fields(), columns, columns)
def test_changes_of_any_frames(same, data, starts, ends):
    count = min(len(starts), len(ends))
    ids = array("B", (index % 2 + 1 for index in range(count)))
    same("decode_changes", data, Frames(ids, starts[:count], ends[:count], 0))


@given(
    st.binary(max_size=8),
    st.lists(st.lists(st.integers(0, 9) | st.just(UINT64_MAX), min_size=6, max_size=6), max_size=3),
)
def test_changes_of_any_slices(same, data, rows):
    slices = [array("Q", column) for column in zip(*rows, strict=True)] or [array("Q")] * 6
    ones = array("I", [1] * len(rows))
    same("encode_changes", ChangeColumns(data, *slices[:2], data, *slices[2:4], data, *slices[4:], ones, ones, ones))


@given(batches(), numbers(0, 2**63 - 1), st.integers(0, 5), st.sampled_from([0, 20, 60, 2**22]))
def test_blocks(same, native, batch, write_time, max_points, max_bytes):
    points, series = batch
    same("encode_blocks", points, series, write_time, max_points, max_bytes)
    made = reference.encode_blocks(points, series, write_time, max_points, max_bytes)
    slices = made.offsets[:-1], made.offsets[1:]
    same("decode_blocks", made.data, *slices)
    same("summarize_blocks", made.data, *slices)
    same("shared_readings", made.data, *slices)
    assert native.block_numbers(made.data, *slices) == numbers_of.block_numbers(made.data, *slices)
    found = reference.decode_blocks(made.data, *slices)
    rows = points_of(points)
    assert points_of(found.points) == [rows[index] for index in made.order]
    assert set(found.write_times) <= {write_time}


@given(batches(), columns, st.lists(st.integers(0, 3), max_size=4), numbers(-(2**63), 2**63))
def test_blocks_of_any_slices(same, batch, ends, series, write_time):
    points, _ = batch
    count = min(len(points.t), len(series), len(ends))
    points = points._replace(ends=ends)
    same("encode_blocks", points, array("I", series[:count]), write_time)


@given(st.lists(all_bytes(blocks()), max_size=3))
def test_blocks_from_bytes(same, native, parts):
    offsets = [sum(map(len, parts[:index])) for index in range(len(parts) + 1)]
    slices = array("Q", offsets[:-1]), array("Q", offsets[1:])
    same("decode_blocks", b"".join(parts), *slices)
    same("summarize_blocks", b"".join(parts), *slices)
    same("shared_readings", b"".join(parts), *slices)
    assert native.block_numbers(b"".join(parts), *slices) == numbers_of.block_numbers(b"".join(parts), *slices)


small = st.integers(0, 3)


@given(st.data(), st.lists(records, min_size=1, max_size=3), st.booleans())
def test_blocks_added_to_rows(same, data, rows, own):
    parts = data.draw(st.lists(blocks(), max_size=4))
    offsets = offsets_of(map(len, parts))
    numbers = [array("I", data.draw(st.lists(small, min_size=len(parts), max_size=len(parts)))) for _ in range(3)]
    row_of, changes, versions = numbers
    uuids = data.draw(st.sampled_from([b"a" * 16 + b"b" * 16, b"b" * 16 + b"a" * 16 + b"c" * 16]))
    log = data.draw(st.integers(0, 2))
    same(
        "add_blocks",
        *(
            codec_rows(rows),
            uuids,
            log,
            data.draw(small | st.just(INT64_MIN)),
            row_of,
            changes,
            versions if own else None,
        ),
        *(b"".join(parts), offsets[:-1], offsets[1:]),
    )


@given(
    batches(),
    numbers(0, INT64_MAX),
    st.lists(st.just(b"") | good_records, min_size=3, max_size=8) | st.lists(records, min_size=1, max_size=3),
    st.integers(0, 3) | st.just(4),
    st.sampled_from([INT64_MIN, 0, INT64_MAX]),
    st.integers(1, 4) | st.integers(1, UINT32_MAX),
    st.integers(0, 9) | st.just(UINT32_MAX),
)
def test_blocks_appended(same, batch, write_time, rows, log, newest, first, limit):
    points, series = batch
    logs = b"".join(letter * 16 for letter in (b"a", b"d", b"c", b"b"))
    same("append_blocks", points, series, write_time, codec_rows(rows), logs, log, newest, first, limit)


moments = st.integers(0, 4).map(lambda number: number * puts.GROUP_SPAN // 2) | uint64
block_keys = st.builds(
    lambda row, time, place: b"h" + row + time.to_bytes(8, "big") + place,
    st.sampled_from([b"a\0", b"b\0", b"ab\0", b"\0", b"a"]),
    st.tuples(moments, st.integers(-1, 1)).map(lambda pair: min(max(sum(pair), 0), UINT64_MAX)),
    st.sampled_from([bytes(8), b"\0" * 7 + b"\1", b"\1" + bytes(7)]),
)
keys = block_keys | st.sampled_from([b"", b"i", b"irow", b"g", b"j"]) | st.binary(max_size=20)
long_values = st.integers(0, 40_000).map(bytes) | st.sampled_from([110, 111, 112, 4096, 16_368]).map(bytes)


def packed_puts(values: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Arrays of puts, one behind another, with few rows."""
    pairs = st.lists(st.tuples(keys, values), max_size=12)
    return st.lists(pairs.map(lambda found: puts.pack_puts([*chain.from_iterable(found)])), max_size=4).map(b"".join)


@given(all_bytes(packed_puts(st.binary(max_size=3))) | packed_puts(contents | long_values))
def test_puts_in_groups(native, data):
    assert outcome(native.group_puts, data) == outcome(puts.group_puts, data)


@given(blocks(), columns, columns)
def test_blocks_of_any_bounds(same, data, starts, ends):
    count = min(len(starts), len(ends))
    same("decode_blocks", data, starts[:count], ends[:count])
    same("summarize_blocks", data, starts[:count], ends[:count])
    same("shared_readings", data, starts[:count], ends[:count])


@given(st.lists(st.integers(0, 12)), st.integers(0, 14))
def test_codes_in_order(same, codes, limit):
    same("order_codes", array("I", codes), limit)
    found = reference.order_codes(array("I", codes), limit)
    assert (found is None) == any(code >= limit for code in codes)
    if found:
        order, used = found
        assert [used[number] for number in order] == codes
        assert list(used) == list(dict.fromkeys(codes))


@given(st.lists(st.integers(1, 70), max_size=20), st.integers(0, 100), st.integers(0, 120))
def test_split(same, sizes, fill, interval):
    ends = array("Q", (sum(sizes[: index + 1]) for index in range(len(sizes))))
    same("split_intervals", ends, fill, interval)


pieces = st.sampled_from([MARKER, frame(2, bytes(32)), frame(1, b"x"), b"\x11\x02", UUID, frame(2, b"y")])
files = st.lists(pieces | streams(), max_size=8).map(b"".join)


@given(all_bytes(files), st.integers(0, 40))
def test_intervals(same, data, offset):
    same("find_marker", data, UUID, offset)
    same("find_interval", data, UUID, offset)


def numbered(number: int) -> bytes:
    return frame(1, b"\x12\x01k\x18" + varint(number) + b"\x20\x00\x28\x01")


some = st.integers(1, 4).map(numbered) | st.just(numbered(2**32 - 1)) | pieces
logs = st.lists(some | st.just(MARKER + numbered(1)) | st.just(numbered(2) + frame(2, bytes(32)) + MARKER))


@given(
    all_bytes(logs.map(b"".join)), st.integers(0, 3), st.sampled_from([0, 29, 30, 41, 52, 65536]), st.integers(0, 60)
)
def test_walked_intervals(same, data, number, interval, offset):
    same("walk_intervals", data, UUID, number, interval, offset)
    same("walk_intervals", MARKER + data, UUID, number, interval)


CORPUS = sorted((Path(__file__).parents[2] / "csrc" / "fuzz" / "corpus").glob("*/*"))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_fuzzers_corpus(same, native, path):
    # The targets take the first bytes for something else than data.
    for start in range(4):
        data = path.read_bytes()[start:]
        same("decode_varints", data)
        same("unpack", data, start % 3)
        same("scan_frames", data)
        same("decode_changes", data, frames_of(data))
        same("decode_changes", frame(1, data), frames_of(frame(1, data)))
        same("decode_blocks", data, array("Q", [0]), array("Q", [len(data)]))
        same("summarize_blocks", data, array("Q", [0]), array("Q", [len(data)]))
        same("find_interval", data, UUID)
        same("walk_intervals", MARKER + frame(1, data), UUID)
        assert outcome(native.group_puts, data) == outcome(puts.group_puts, data)
