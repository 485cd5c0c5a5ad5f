"""Status codes of both backends: the numbers of ``sc_status`` in ``csrc/scoutcore.h``, and the errors they become."""

from __future__ import annotations

from enum import IntEnum

from scoutcore.errors import CodecError, CorruptError, EncodeError, TruncatedError, UnsupportedError


class Status(IntEnum):
    """What a codec function found; 0 is success."""

    OK = 0
    TRUNCATED = 1
    ROOM = 2
    VARINT = 3
    FRAME_EMPTY = 4
    FRAME_ID = 5
    FRAME_SIZE = 6
    FIELD_NUMBER = 7
    WIRE_TYPE = 8
    FIELD_SIZE = 9
    FIELD_MISSING = 10
    UINT32 = 11
    UTF8 = 12
    BLOCK_CODEC = 13
    BLOCK_EMPTY = 14
    BLOCK_ORDER = 15
    BLOCK_SPAN = 16
    TIME = 17
    FLAGS = 18
    DATA_EMPTY = 19
    DATA_SIZE = 20
    POINT_SIZE = 21
    BOUNDS = 22
    SERIES = 23
    RECORD = 24
    KEYFRAME = 25
    ORDER = 26
    INTERVAL = 27
    BLOCK_LIMIT = 28
    COLUMN = 29
    LIMIT = 30


_ERRORS: dict[Status, tuple[type[CodecError], str]] = {
    Status.TRUNCATED: (TruncatedError, "input ends in the middle of an item"),
    Status.ROOM: (EncodeError, "output buffer too small"),
    Status.VARINT: (CorruptError, "varint over 64 bits"),
    Status.FRAME_EMPTY: (CorruptError, "frame of length 0"),
    Status.FRAME_ID: (CorruptError, "unknown frame id"),
    Status.FRAME_SIZE: (CorruptError, "frame longer than the limit"),
    Status.FIELD_NUMBER: (CorruptError, "field number 0"),
    Status.WIRE_TYPE: (CorruptError, "wrong wire type"),
    Status.FIELD_SIZE: (CorruptError, "field runs past the end of its change"),
    Status.FIELD_MISSING: (CorruptError, "change without a required field"),
    Status.UINT32: (CorruptError, "number over 32 bits"),
    Status.UTF8: (CorruptError, "invalid UTF-8"),
    Status.BLOCK_CODEC: (UnsupportedError, "unknown block codec"),
    Status.BLOCK_EMPTY: (CorruptError, "block without points"),
    Status.BLOCK_ORDER: (CorruptError, "points out of time order"),
    Status.BLOCK_SPAN: (CorruptError, "block spans more than 3600 s"),
    Status.TIME: (CorruptError, "time outside 64 bits"),
    Status.FLAGS: (CorruptError, "unknown point flags"),
    Status.DATA_EMPTY: (CorruptError, "point without data"),
    Status.DATA_SIZE: (CorruptError, "data longer than the limit"),
    Status.POINT_SIZE: (CorruptError, "block ends in the middle of a point"),
    Status.BOUNDS: (EncodeError, "slice outside its buffer"),
    Status.SERIES: (EncodeError, "series numbers not in order of appearance"),
    Status.RECORD: (CorruptError, "damaged record of a row"),
    Status.KEYFRAME: (CorruptError, "no keyframe of the log"),
    Status.ORDER: (CorruptError, "change out of order"),
    Status.INTERVAL: (CorruptError, "interval not closed where it has to be"),
    Status.BLOCK_LIMIT: (CorruptError, "block over the limits of its codec"),
    Status.COLUMN: (CorruptError, "column of numbers that cannot be one"),
    Status.LIMIT: (EncodeError, "no number left in the log"),
}


def error(status: int, offset: int, *, encoding: bool = False) -> CodecError:
    """The exception for *status*; *offset* is a byte offset, or with *encoding* the index of the item."""
    kind, reason = _ERRORS[Status(status)]
    return (EncodeError if encoding else kind)(reason, offset)
