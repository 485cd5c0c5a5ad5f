"""Finding a change in a changes file, without an index."""

from __future__ import annotations

import io
from typing import BinaryIO, Final, NamedTuple

from scoutcore import codec
from scoutcore.changes.keyframe import Keyframe, Window, find_keyframe, next_keyframe, number_of
from scoutcore.codec.constants import INTERVAL_BYTES, MARKER_BYTES
from scoutcore.errors import CorruptError, NotFoundError

_NEAR_BYTES: Final = 2 * INTERVAL_BYTES
"""Over so few bytes reading on is as good as bisecting."""


class Place(NamedTuple):
    """A keyframe at which reading can start."""

    offset: int
    first: int
    """The first change behind it."""
    previous: bytes | None
    """The digest of the check before it, where that is known."""
    checked: bool
    """Whether a check covers what is behind it; False: it begins the open tail."""


def place_of(window: Window, uuid: bytes, change: int, named: int | None = None) -> Place:
    """Move *window* to the keyframe before *change*, from where it is on; the change that comes next is there too.

    Where the stream can seek it is bisected, in O(log n) reads.

    Args:
        window: over a stream, at a keyframe.
        uuid: the log.
        change: its change, from 1 on.
        named: the file's first change by its name: it may have no whole change yet.

    Raises:
        NotFoundError: the change is not there.
        CorruptError: it is in bytes that no check matches.
    """
    start = window.offset
    before = None
    if window.file.seekable():
        before, reading = _bisect(window.file, uuid, change, start, window.file.seek(0, io.SEEK_END))
        window.move(reading)
    while (keyframe := next_keyframe(window, uuid)) and keyframe.last < change:
        before = keyframe
        window.drop(keyframe.end - keyframe.offset)
    end = before.end if before else start
    if keyframe and keyframe.first <= change:
        return Place(keyframe.offset, keyframe.first, keyframe.previous, True)
    if keyframe and keyframe.offset == start:
        raise NotFoundError(f"change {change} is not there: the first is {keyframe.first}")
    if keyframe or window.offset != end:
        raise CorruptError(f"change {change} is in bytes that match no check", end)
    first, last = _open_tail(window, before.last + 1 if before else named)
    if not first <= change <= last + 1:
        which = f"the first is {first}" if change < first else f"the last is {last}"
        raise NotFoundError(f"change {change} is not there: {which}")
    return Place(window.offset, first, before.digest if before else None, False)


def _bisect(file: BinaryIO, uuid: bytes, change: int, start: int, end: int) -> tuple[Keyframe | None, int]:
    """The last keyframe found that lies wholly before *change*, and from where on to look for what has it."""
    before = None
    while end - start > _NEAR_BYTES:
        middle = (start + end) // 2
        probe = find_keyframe(file, uuid, middle, end)
        if probe is None or change < probe.first:
            end = middle
        elif change <= probe.last:
            return before, probe.offset
        else:
            before, start = probe, probe.end
    return before, start


def _open_tail(window: Window, following: int | None) -> tuple[int, int]:
    """The first and the last change of the open tail; *following* and the one before it where it has none yet."""
    try:
        frames = codec.scan_frames(window.data, MARKER_BYTES)
    except CorruptError as problem:
        raise CorruptError(problem.reason, window.offset + problem.offset) from None
    if frames.ids:
        first = number_of(window.data, frames)
        return first, first + len(frames.ids) - 1
    if following is None:
        raise NotFoundError("there is no whole change")
    return following, following - 1
