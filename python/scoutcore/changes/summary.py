"""What a changes file holds, by its frames alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from scoutcore import codec
from scoutcore.changes.keyframe import Window, number_of
from scoutcore.changes.position import MARKER
from scoutcore.codec.constants import CHECK_BYTES, FRAME_CHANGE, MARKER_BYTES
from scoutcore.errors import CorruptError

_READ_BYTES: Final = 1024 * 1024


class Summary(NamedTuple):
    """What a changes file holds."""

    log: bytes
    """The uuid of its log."""
    first: int | None
    """Its first change; None: it has none yet."""
    last: int | None
    """Its last change."""
    bytes: int
    """Its size."""
    intervals: int
    """Intervals that are closed by a check."""
    open_bytes: int
    """Bytes behind the last check."""


def summarize(path: Path) -> Summary:
    """Read the frames of a changes file, without comparing digests; a cut frame at the end is no change.

    Raises:
        CorruptError: it does not begin with a keyframe, or holds what is no frame.
        OSError: the file system refuses.
    """
    with path.open("rb", buffering=0) as file:
        window = Window(file)
        if not window.fill(MARKER_BYTES) or not window.data.startswith(MARKER):
            raise CorruptError(f"{path}: no keyframe", 0)
        log = window.data[len(MARKER) : MARKER_BYTES]
        first, count, intervals, closed = None, 0, 0, 0
        while window.grow(_READ_BYTES):
            try:
                frames = codec.scan_frames(window.data)
            except CorruptError as problem:
                raise CorruptError(f"{path}: {problem.reason}", window.offset + problem.offset) from None
            start = 0
            for index, (kind, end) in enumerate(zip(frames.ids, frames.ends, strict=True)):
                if kind == FRAME_CHANGE:
                    count += 1
                    if first is None:
                        first = number_of(window.data, frames, index)
                elif end - start == CHECK_BYTES:
                    intervals += 1
                    closed = window.offset + end
                start = end
            window.drop(frames.consumed)
        size = window.offset + len(window.data)
    return Summary(log, first, None if first is None else first + count - 1, size, intervals, size - closed)
