"""Numbers of the format, the same for everyone: ``csrc/FORMAT.md`` explains them, ``csrc/scoutcore.h`` has them too."""

from __future__ import annotations

from typing import Final

UINT32_MAX: Final = 2**32 - 1
UINT64_MAX: Final = 2**64 - 1
INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1

ABSENT: Final = UINT64_MAX
"""Start and end of a text that is not there."""

FRAME_CHANGE: Final = 1
FRAME_BLOB: Final = 2

MAX_FRAME: Final = 4 * 1024 * 1024
"""The longest frame of a log: the number its length varint may say, in bytes."""
MAX_DATA: Final = 1024 * 1024
"""The longest data of one report, in bytes of JSON text."""
BLOCK_CODECS: Final = frozenset((0, 1))
"""The block codecs that this version reads."""
MAX_BLOCK_SPAN: Final = 3_600_000_000
"""The longest time from a block's first point to its last, in µs."""
MIN_COLUMN: Final = 3
"""The fewest points for which our writer tries codec 1."""
MAX_COLUMN: Final = 512
"""The most points in a block of codec 1."""
MAX_NUMBERS: Final = 32
"""The most numbers in a text of codec 1."""
MAX_TEXTS: Final = 262_144
"""The most bytes that the texts of a block of codec 1 may come to."""
CLOCK_RANGE: Final = 3_600_000
"""The most ms that one entry of the clock index spans, so that a look-up need not look far."""
MAX_ENTRIES: Final = 4
"""The most entries of a block in the clock index, and"""
MAX_HIDDEN: Final = 64
"""the most of its points that are hidden, where it is not deferred."""
RECENT: Final = 512
"""The most readings that a row's record keeps."""
GROUP_SPAN: Final = 900_000_000
"""The longest time from the beginning of the first block of a group to that of the last, in µs."""
GROUP_BYTES: Final = 16_384
"""The most bytes of values in a group."""
MAX_BLOCK_POINTS: Final = 512
"""The most points our writer puts into a block; a reader takes any number."""
MAX_BLOCK: Final = MAX_FRAME - 512
"""The longest block our writer makes, measured in codec 0: the rest of the frame is for its key and numbers."""

UUID_BYTES: Final = 16
MARKER_BYTES: Final = 18
"""A uuid frame: length 17, id 2, the log's uuid."""
CHECK_BYTES: Final = 34
"""A check frame: length 33, id 2, two digests."""
INTERVAL_BYTES: Final = 65_536
"""An interval of a changes file is closed by the frame that brings it to so many bytes."""
FILE_BYTES: Final = 67_108_864
"""A changes file of so many bytes or more gets no further interval."""
