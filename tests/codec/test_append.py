"""A batch is written in our own log in one call: as changes, and in the views."""

from __future__ import annotations

from array import array
from itertools import pairwise
from types import ModuleType

import pytest

from scoutcore.codec.columns import AddedBlocks, AppendedBlocks, CodecRow
from scoutcore.codec.constants import INT64_MIN, MAX_BLOCK_POINTS, UINT32_MAX
from scoutcore.codec.puts import NO_PUTS
from tests.codec.helpers import codec_rows, failure, point_columns

LOGS = b"a" * 16 + b"b" * 16
SERIES = array("I", [0, 1, 0, 2])
POINTS = point_columns([(20, None, b"2"), (5, (8, 9), b"[]"), (10, None, b"1"), (30, None, b"3")])


def append(
    codec: ModuleType,
    rows: list[CodecRow],
    *,
    log: int = 1,
    newest: int = INT64_MIN,
    first: int = 3,
    limit: int = UINT32_MAX,
) -> AppendedBlocks | None:
    made = codec.append_blocks(POINTS, SERIES, 1000, rows, LOGS, log, newest, first, limit)
    assert made is None or isinstance(made, AppendedBlocks)
    return made


def versions(codec: ModuleType, made: AppendedBlocks) -> list[tuple[str, int, int, int]]:
    """Key, change, from and to of the changes, all of which are the blocks' in sensor data."""
    columns = codec.decode_changes(made.frames, codec.scan_frames(made.frames))
    assert list(columns.value_starts) == list(made.starts)
    assert list(columns.value_ends) == list(made.ends)
    assert {change.subset for change in columns.to_objects()} == {"sensor"}
    return [(change.key, change.change, change.from_, change.to) for change in columns.to_objects()]


def test_blocks_become_changes_of_their_rows(codec: ModuleType) -> None:
    rows = codec_rows([b"", b"", b""])
    made = append(codec, rows)
    assert made is not None
    change = "23010a0673656e736f7212056b65792f30180320002802320b" + "00e8070314003103140032"
    assert made.frames[: made.ends[0]].hex() == change
    assert list(made.row_of) == [0, 1, 2]
    assert versions(codec, made) == [("key/0", 3, 0, 2), ("key/1", 4, 0, 1), ("key/2", 5, 0, 1)]
    blocks = made.row_of, array("I", [3, 4, 5]), array("I", [2, 1, 1]), made.frames, made.starts, made.ends
    assert codec.add_blocks(rows, LOGS, 1, INT64_MIN, *blocks) == made.added
    assert made.added.deferred == bytes(3)

    again = append(codec, codec_rows(made.added.records), first=6)
    assert again is not None
    assert versions(codec, again) == [("key/0", 6, 2, 4), ("key/1", 7, 1, 2), ("key/2", 8, 1, 2)]
    assert again.added.deferred == b"\0\1\0"  # its only clock was heard
    other = append(codec, codec_rows(made.added.records), log=0, newest=10)
    assert other is not None
    assert [one[2:] for one in versions(codec, other)] == [(0, 2), (0, 1), (0, 1)]
    assert other.added.deferred == b"\0\2\0"


def test_a_series_of_several_blocks(codec: ModuleType) -> None:
    count = 2 * MAX_BLOCK_POINTS + 1
    points = point_columns([(t, None, b"1") for t in range(count)])
    made = codec.append_blocks(points, array("I", [0]) * count, 1, codec_rows([b""]), LOGS, 0, INT64_MIN, 1, count)
    edges = [0, MAX_BLOCK_POINTS, 2 * MAX_BLOCK_POINTS, count]
    assert [one[2:] for one in versions(codec, made)] == list(pairwise(edges))


def test_nothing(codec: ModuleType) -> None:
    none = AddedBlocks(NO_PUTS, [], b"")
    made = codec.append_blocks(point_columns([]), array("I"), 0, [], LOGS, 0, 0, 1, 1)
    assert made == AppendedBlocks(b"", array("I"), array("Q"), array("Q"), none)


def test_numbers_over_the_limit(codec: ModuleType) -> None:
    rows = codec_rows([b"", b"", b""])
    assert append(codec, rows, first=1, limit=3)
    assert append(codec, rows, first=1, limit=2) is None
    assert append(codec, rows, first=2, limit=3) is None
    assert append(codec, rows, first=UINT32_MAX - 2)
    assert append(codec, rows, first=UINT32_MAX - 1) is None
    made = append(codec, rows, first=1)
    assert made is not None
    rows = codec_rows(made.added.records)
    assert append(codec, rows, first=1, limit=4)
    assert append(codec, rows, first=1, limit=3) is None


def test_what_cannot_be_appended(codec: ModuleType) -> None:
    rows = codec_rows([b"", b"", b""])
    assert failure(append, codec, rows, log=2) == "EncodeError: slice outside its buffer at item 0"
    assert failure(append, codec, rows[:2]) == "EncodeError: slice outside its buffer at item 2"
    rows[1].record = b"x"
    assert failure(append, codec, rows) == "CorruptError: damaged record of a row at byte 1"
    rows[1].record, rows[2].key = b"", b"\xff"
    assert failure(append, codec, rows) == "EncodeError: invalid UTF-8 at item 2"
    for wrong in (-1, UINT32_MAX + 1):
        with pytest.raises(OverflowError):
            append(codec, rows[:2], first=wrong)
        with pytest.raises(OverflowError):
            append(codec, rows[:2], limit=wrong)
