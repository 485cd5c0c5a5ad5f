"""What the golden files hold, and how they were made: ``python -m tests.golden.make`` writes those that are missing.

They are never written anew: a version that makes other bytes of the same content, or cannot read these, is wrong.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from types import ModuleType

from scoutcore.codec import reference
from scoutcore.codec.columns import Change, ChangeColumns
from tests.codec.helpers import UUID, frame, hexed, point_columns

HERE = Path(__file__).parent
INTERVAL = 300  # bytes at which log.changes closes an interval, instead of 65,536

BUFFERS = [b"", b"a", bytes(127), b"b" * 128, bytes(range(256)) * 2]

WRITE_TIME = 1_770_000_000_000_000
POINTS = [
    (WRITE_TIME + index * 250_001 - index % 4 * 7_000_000, (3, index * 250) if index % 3 else None, data)
    for index, data in enumerate(
        [b'{"c":21.5}', b"null", b"-1", '"caf\N{LATIN SMALL LETTER E WITH ACUTE}"'.encode()] * 10
    )
]
SERIES = [0, 1, 0, 2] * 10

NUMBERS = [
    (WRITE_TIME - 900_000_000 + index * 60_000_000 + index % 5 * 1000, (7, index * 60_000) if series else None, data)
    for index in range(15)
    for series, data in enumerate([b'{"c":%d.%d5}' % (index % 4 - 2, index), b"[%d,1.%d]" % (index * 2**40, index % 3)])
]
"""Of two series in turn, in one text each but for the numbers."""

UID = "8dK4ng0d-85qzzez"


def blocks(codec: ModuleType) -> list[bytes]:
    """The points in blocks of at most 7."""
    made = codec.encode_blocks(point_columns(POINTS), array("I", SERIES), WRITE_TIME, max_points=7)
    return [made.data[start:end] for start, end in pairwise(made.offsets)]


def numbers(codec: ModuleType) -> list[bytes]:
    """The points of one text, in blocks of codec 1."""
    made = codec.encode_blocks(point_columns(NUMBERS), array("I", [0, 1] * 15), WRITE_TIME)
    return [made.data[start:end] for start, end in pairwise(made.offsets)]


def changes(codec: ModuleType) -> list[Change]:
    """A log: metadata of a troop and a scout, a block in each of its changes, and the scout's deletion."""
    edit = b'{"at":1770000000000000,"set":{"name":"greenhouse"},"id":1}'
    log = [Change(UID, 1, 0, 1, edit, "troop"), Change(f"{UID}/7", 2, 0, 1, b'{"at":1770000000000001}', "troop")]
    for number, block in enumerate(blocks(codec), 3):
        key = f"{UID}/7/caf\u00e9/\U0001f600" if number % 2 else f"{UID}/4294967295/temp"
        log.append(Change(key, number, number - 3, number - 2, block, "sensor"))
    return [*log, Change(f"{UID}/7", len(log) + 1, 1, 0, b'{"at":1770000000000002}', "troop")]


LIMITS = [Change("", 2**32 - 1, 127, 128), Change("k", 0, 2**32 - 1, 2**31, b"", "s")]


def frames(codec: ModuleType) -> tuple[bytes, array[int]]:
    """The frames of the log, and their ends."""
    return codec.encode_changes(ChangeColumns.from_objects(changes(codec)))


def log_file(codec: ModuleType) -> bytes:
    """The log as a changes file with an open tail."""
    data, ends = frames(codec)
    closing, fill = codec.split_intervals(ends, 0, INTERVAL)
    assert fill
    out, digest, begin = b"", bytes(16), 0
    for index in closing:
        part = frame(2, UUID) + data[begin : ends[index]]
        previous, digest = digest, blake2b(digest + part, digest_size=16).digest()
        out += part + frame(2, previous + digest)
        begin = ends[index]
    return out + frame(2, UUID) + data[begin:]


BLOBS = [UUID, b"", b"x" * 300]


def build(codec: ModuleType) -> dict[str, bytes]:
    """Every file that we write, by name."""
    return {
        "multibuffer.bin": codec.pack(BUFFERS),
        "multibuffer-extra-3.bin": codec.pack(BUFFERS, 3),
        "blocks.multibuffer": codec.pack(blocks(codec)),
        "numbers.multibuffer": codec.pack(numbers(codec)),
        "stream.dat": codec.encode_changes(ChangeColumns.from_objects([*changes(codec), *LIMITS]))[0]
        + b"".join(frame(2, blob) for blob in BLOBS),
        "log.changes": log_file(codec),
    }


FOREIGN = [Change("k", 1, 0, 1, b"v"), Change("k", 2, 1, 2), Change("k", 3, 2, 3, b"", "s")]
"""What ``foreign.dat`` says: bytes that only others write."""
_FOREIGN_FRAMES = [
    "32 01 76 28 01 20 00 18 01 12 01 6b",
    "92 80 00 81 00 6b 18 82 00 20 01 28 82 80 80 80 00 38 ff ff ff ff ff ff ff ff ff 01 41 00 00 00 00 00 00 00 00",
    "12 01 6a 0a 01 73 12 01 6b 18 09 18 03 20 02 28 03 32 01 76 32 00 4a 02 ff ff 55 00 00 00 00",
]


def foreign() -> bytes:
    """Changes in any order, with long forms, repeats and unknown fields; a frame's length in a long form."""
    first, *others = (frame(1, hexed(content)) for content in _FOREIGN_FRAMES)
    return bytes([first[0] | 0x80, 0]) + first[1:] + b"".join(others)


if __name__ == "__main__":
    for name, data in {**build(reference), "foreign.dat": foreign()}.items():
        if not (HERE / name).exists():
            (HERE / name).write_bytes(data)
