"""Changes files: where intervals close, and finding a keyframe that can be trusted."""

from __future__ import annotations

from array import array

import pytest

from scoutcore.codec.constants import INTERVAL_BYTES, MARKER_BYTES, MAX_FRAME
from tests.codec.helpers import MARKER, UUID, failure, frame, hexed, varint

CHECK = frame(2, bytes(32))
FRAME = frame(1, b"x")  # the layout does not look into changes
NONE, OPEN = (-1, -1, -1), (-1, -1)


@pytest.mark.parametrize(
    ("sizes", "fill", "interval", "closing", "left"),
    [
        ([], 0, 100, [], 0),
        ([], 50, 100, [], 50),
        ([10], 0, 100, [], 28),
        ([81], 0, 100, [], 99),
        ([82], 0, 100, [0], 0),
        ([83], 0, 100, [0], 0),
        ([10], 89, 100, [], 99),
        ([10], 90, 100, [0], 0),
        ([82, 82, 5], 0, 100, [0, 1], 23),
        ([40, 41, 1, 40], 0, 100, [2], 58),
        ([5, 500, 5], 0, 100, [1], 23),
        ([1, 2, 3], 0, 1, [0, 1, 2], 0),
        ([1], 0, 0, [0], 0),
    ],
)
def test_split(codec, sizes, fill, interval, closing, left):
    ends = array("Q")
    for size in sizes:
        ends.append((ends[-1] if ends else 0) + size)
    found = codec.split_intervals(ends, fill, interval)
    assert found == (array("Q", closing), left)
    assert found[0].typecode == "Q"
    # in one call or in many
    position = fill
    again = []
    for index, size in enumerate(sizes):
        part, position = codec.split_intervals(array("Q", [size]), position, interval)
        again += [index] * len(part)
    assert (again, position) == (closing, left)


def test_the_interval_s_size(codec):
    at = INTERVAL_BYTES - MARKER_BYTES
    assert codec.split_intervals(array("Q", [at - 1]), 0) == (array("Q"), INTERVAL_BYTES - 1)
    assert codec.split_intervals(array("Q", [at]), 0) == (array("Q", [0]), 0)


@pytest.mark.parametrize(
    ("data", "offset", "found"),
    [
        (b"", 0, -1),
        (MARKER, 0, 0),
        (MARKER[:-1], 0, -1),
        (MARKER, 1, -1),
        (MARKER, 99, -1),
        (b"\x11" + MARKER, 0, 1),
        (b"\x11\x02" + MARKER, 0, 2),
        (MARKER + MARKER, 1, 18),
        (b"\x11\x02" + UUID[::-1] + b"xx", 0, -1),
        (b"x" * 1000 + MARKER, 0, 1000),
        (b"\x11" * 1000 + MARKER, 3, 1000),
    ],
)
def test_marker(codec, data, offset, found):
    assert codec.find_marker(data, UUID, offset) == found
    assert codec.find_marker(bytearray(data), UUID, offset) == found


@pytest.mark.parametrize("uuid", [b"", UUID[:-1], UUID + b"\0"])
def test_a_uuid_has_16_bytes(codec, uuid):
    for function in (codec.find_marker, codec.find_interval, codec.walk_intervals):
        with pytest.raises(ValueError, match="16 bytes"):
            function(MARKER, uuid)


ONE = MARKER + FRAME * 3
CLOSED = ONE + CHECK


@pytest.mark.parametrize(
    ("data", "offset", "found"),
    [
        (b"", 0, NONE),
        (FRAME, 0, NONE),
        (CLOSED, 0, (0, 27, 61)),
        (MARKER + CHECK, 0, (0, 18, 52)),
        (CLOSED, 1, NONE),
        (CLOSED + CLOSED, 1, (61, 88, 122)),
        (b"junk" + CLOSED, 0, (4, 31, 65)),
        # the end before the check: in a frame, between two, in the check, behind the keyframe
        (ONE, 0, (0, *OPEN)),
        (MARKER, 0, (0, *OPEN)),
        (CLOSED[:-1], 0, (0, *OPEN)),
        (ONE + b"\x81", 0, (0, *OPEN)),
        (CLOSED + ONE, 27, (61, *OPEN)),
        # an interval that does not read well is passed over
        (ONE + b"\0" + CLOSED, 0, (28, 55, 89)),
        (ONE + b"\1\3" + CLOSED, 0, (29, 56, 90)),
        (ONE + b"\0", 0, NONE),
        (ONE + b"\6\1ab" + CLOSED, 0, (31, 58, 92)),
        (ONE + MARKER + CHECK, 0, (27, 45, 79)),
        (ONE + b"\x05\1" + CLOSED, 0, (29, 56, 90)),
        (ONE + varint(MAX_FRAME) + b"\1" + CLOSED, 0, (32, 59, 93)),
        (ONE + varint(MAX_FRAME + 1) + b"\1", 0, NONE),
        # blobs that are no check: another log's keyframe, other sizes, a length in a long form
        (ONE + b"\x11\x02" + UUID[::-1] + CHECK, 0, NONE),
        (ONE + frame(2, bytes(31)) + CHECK, 0, NONE),
        (ONE + frame(2, bytes(33)) + CHECK, 0, NONE),
        (ONE + b"\xa0\0\2" + bytes(31), 0, NONE),
        (ONE + b"\xa1\0\2" + bytes(32), 0, NONE),
        # a check counts even where a keyframe begins inside it; nothing behind it is looked at
        (ONE + CHECK[:2] + bytes(14) + MARKER, 0, (43, *OPEN)),
        (CLOSED + b"\0\0\0", 0, (0, 27, 61)),
    ],
)
def test_interval(codec, data, offset, found):
    assert tuple(codec.find_interval(data, UUID, offset)) == found


@pytest.mark.parametrize("inside", range(1, 17))
def test_a_frame_s_end_and_the_check_that_read_as_a_keyframe(codec, inside):
    """The last *inside* bytes of such a uuid are those that the check begins with."""
    check = frame(2, bytes(range(32)))
    uuid = UUID[: 16 - inside] + check[:inside]
    keyframe = b"\x11\x02" + uuid
    interval = keyframe + FRAME + frame(1, b"x" + keyframe[: 18 - inside])
    data = (interval + check) * 2 + keyframe
    false = len(interval) - 18 + inside
    assert codec.find_marker(data, uuid, 1) == false
    found = [tuple(codec.find_interval(data, uuid, offset)) for offset in (0, 1, false, false + 1)]
    first, second = (0, len(interval), len(interval) + 34), len(interval) + 34
    assert found == [first] + [(second, second + len(interval), 2 * second)] * 3


def numbered(number: int) -> bytes:
    """A change's frame of 11 bytes."""
    return frame(1, b"\x12\x01k\x18" + varint(number) + b"\x20\x00\x28\x01")


TWO = MARKER + numbered(1) + numbered(2)
"""An interval of 40 bytes."""


@pytest.mark.parametrize(
    ("data", "number", "found"),
    [
        (b"", 0, ([], [], 0, 0, 0)),
        (MARKER[:7], 5, ([], [], 0, 0, 5)),
        (MARKER, 5, ([], [], 0, 18, 5)),
        (MARKER + numbered(5)[:-1], 5, ([], [], 0, 18, 5)),
        (MARKER + numbered(5), 5, ([], [], 0, 29, 6)),
        (TWO, 1, ([], [], 0, 40, 3)),
        (TWO + CHECK[:33], 1, ([], [], 0, 40, 3)),
        (TWO + CHECK, 1, ([40], [3], 74, 74, 3)),
        (TWO + CHECK, 0, ([40], [3], 74, 74, 3)),
        (
            MARKER + numbered(1) * 0 + frame(1, numbered(9)[2:] + b"\x3a\x0a" + bytes(10)) + CHECK,
            0,
            ([41], [10], 75, 75, 10),
        ),
        (TWO + CHECK + MARKER + numbered(3), 1, ([40], [3], 74, 103, 4)),
        (TWO + CHECK + MARKER + numbered(2**32 - 1), 1, ([40], [3], 74, 74, 3)),
        (TWO + CHECK + MARKER + numbered(4), 1, ([40], [3], 74, 74, 3)),
        (TWO + CHECK + b"\0", 1, ([40], [3], 74, 74, 3)),
    ],
)
def test_walk(codec, data, number, found):
    checks, nexts, *rest = codec.walk_intervals(data, UUID, number, 40)
    assert (checks.tolist(), nexts.tolist(), *rest) == found
    assert (
        codec.walk_intervals(b"xyz" + data, UUID, number, 40, 3)[2:] == tuple(at + 3 for at in found[2:4]) + found[4:]
    )


@pytest.mark.parametrize(
    ("data", "number", "error"),
    [
        (b"\x11\x03", 0, "no keyframe of the log at byte 0"),
        (b"\x11\x02" + UUID[::-1], 0, "no keyframe of the log at byte 0"),
        (MARKER + CHECK, 0, "interval not closed where it has to be at byte 18"),
        (MARKER + numbered(1) + CHECK, 0, "interval not closed where it has to be at byte 29"),
        (MARKER + numbered(1) + MARKER, 0, "interval not closed where it has to be at byte 29"),
        (TWO + numbered(3), 0, "interval not closed where it has to be at byte 40"),
        (TWO + MARKER, 0, "interval not closed where it has to be at byte 40"),
        (TWO, 2, "change out of order at byte 18"),
        (MARKER + numbered(1) + numbered(3), 0, "change out of order at byte 29"),
        (MARKER + numbered(1) + b"\0", 0, "frame of length 0 at byte 29"),
        (MARKER + numbered(1) + b"\1\3", 0, "unknown frame id at byte 29"),
        (MARKER + frame(1, b"\x12\x01k"), 0, "change without a required field at byte 20"),
        (MARKER + frame(1, b"\x12\x05k"), 0, "field runs past the end of its change at byte 20"),
    ],
)
def test_a_walk_that_is_refused(codec, data, number, error):
    assert failure(codec.walk_intervals, data, UUID, number, 40) == f"CorruptError: {error}"


def test_from_every_offset(codec):
    data = (CLOSED + MARKER + FRAME * 5 + CHECK) * 2 + ONE
    starts = [0, 61, 128, 189, 256]
    for offset in range(len(data) + 1):
        start = min((start for start in starts if start >= offset), default=-1)
        found = codec.find_interval(data, UUID, offset)
        assert found.start == start
        assert (found.check, found.end) == (OPEN if start in (256, -1) else (found.end - 34, found.end))


def test_every_byte_damaged(codec):
    data = CLOSED + CLOSED
    assert hexed("11 02") == data[:2]
    for at in range(61):
        for value in (0, data[at] ^ 0x80, (data[at] + 1) % 256):
            damaged = data[:at] + bytes([value]) + data[at + 1 :]
            found = codec.find_interval(damaged, UUID)
            # the second interval is never lost, and the first never reaches into it
            assert found.start in (0, 61)
            assert found.end == (61 if found.start == 0 else 122)
