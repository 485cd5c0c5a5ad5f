"""Frames: found whole, refused early, never guessed."""

from __future__ import annotations

import pytest

from scoutcore.codec.constants import MAX_FRAME
from tests.codec.helpers import MARKER, failure, frame, hexed, varint


def found(codec, data, *args, **kwargs):
    frames = codec.scan_frames(data, *args, **kwargs)
    assert (frames.ids.typecode, frames.starts.typecode, frames.ends.typecode) == ("B", "Q", "Q")
    return [*zip(frames.ids, frames.starts, frames.ends, strict=True)], frames.consumed


@pytest.mark.parametrize(
    ("data", "frames", "consumed"),
    [
        ("", [], 0),
        ("01 02", [(2, 2, 2)], 2),
        ("01 01", [(1, 2, 2)], 2),
        ("03 02 61 62", [(2, 2, 4)], 4),
        ("03 02 61 62 02 01 63", [(2, 2, 4), (1, 6, 7)], 7),
        # a length in a long form
        ("83 00 02 61 62", [(2, 3, 5)], 5),
        # cut: in the length, before the id, in the content
        ("80", [], 0),
        ("03", [], 0),
        ("03 02", [], 0),
        ("03 02 61", [], 0),
        ("01 02 80", [(2, 2, 2)], 2),
        ("01 02 03 01", [(2, 2, 2)], 2),
        # an id that is not there yet cannot be wrong, whatever the length says
        ("ff ff ff ff ff ff ff ff ff 01", [], 0),
    ],
)
def test_whole_frames(codec, data, frames, consumed):
    assert found(codec, hexed(data)) == (frames, consumed)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("00", "frame of length 0"),
        ("80 00", "frame of length 0"),
        ("01 00", "unknown frame id"),
        ("01 03", "unknown frame id"),
        ("05 ff", "unknown frame id"),
        ("ff ff ff ff ff ff ff ff ff 01 03", "unknown frame id"),
        ("ff ff ff ff ff ff ff ff ff 02", "varint over 64 bits"),
        ("80 80 80 80 80 80 80 80 80 80", "varint over 64 bits"),
        ("81 80 80 02 01", "frame longer than the limit"),
        ("81 80 80 02 02", "frame longer than the limit"),
        ("ff ff ff ff ff ff ff ff ff 01 01", "frame longer than the limit"),
    ],
)
def test_wrong_frames_wait_their_turn(codec, data, error):
    assert failure(codec.scan_frames, hexed(data)) == f"CorruptError: {error} at byte 0"
    behind = b"\x02\x02x" + hexed(data)
    assert found(codec, behind) == ([(2, 2, 3)], 3)
    assert failure(codec.scan_frames, behind, 3) == f"CorruptError: {error} at byte 3"


@pytest.mark.parametrize(("kind", "limit"), [(1, "max_change"), (2, "max_blob")])
def test_limits(codec, kind, limit):
    assert found(codec, frame(kind, b"abc"), **{limit: 4}) == ([(kind, 2, 5)], 5)
    assert failure(codec.scan_frames, frame(kind, b"abc"), **{limit: 3}).endswith("limit at byte 0")
    assert found(codec, frame(3 - kind, b"abc"), **{limit: 3})[1] == 5
    # as soon as the id is there
    head = varint(MAX_FRAME + 1) + bytes([kind])
    assert failure(codec.scan_frames, head).endswith("limit at byte 0")
    assert found(codec, head[:-1]) == ([], 0)
    assert found(codec, varint(MAX_FRAME) + bytes([kind])) == ([], 0)
    assert found(codec, head, **{limit: 2**64 - 1}) == ([], 0)


def test_longest_frame(codec):
    data = frame(1, bytes(MAX_FRAME - 1))
    assert found(codec, data) == ([(1, 5, len(data))], len(data))
    assert found(codec, data[:-1]) == ([], 0)


def test_from_an_offset(codec):
    data = b"\xff\xff" + MARKER + frame(1, b"")
    assert found(codec, data, 2) == ([(2, 4, 20), (1, 22, 22)], 22)
    assert found(codec, data, 20) == ([(1, 22, 22)], 22)
    assert found(codec, data, 22) == ([], 22)


def test_every_cut(codec):
    data = frame(1, b"abc") + MARKER + frame(2, bytes(200)) + frame(1, b"")
    edges = [0, 5, 23, 226, 228]
    for cut in range(len(data) + 1):
        assert codec.scan_frames(data[:cut]).consumed == max(edge for edge in edges if edge <= cut)
