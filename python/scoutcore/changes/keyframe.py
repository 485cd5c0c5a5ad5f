"""Finding a keyframe that can be trusted, from any byte of a changes file on."""

from __future__ import annotations

from typing import BinaryIO, Final, NamedTuple

from scoutcore import codec
from scoutcore.changes.position import DIGEST_BYTES, digest_of
from scoutcore.codec.columns import Frames
from scoutcore.codec.constants import CHECK_BYTES, INTERVAL_BYTES, MARKER_BYTES

_CLOSED_BYTES: Final = INTERVAL_BYTES + CHECK_BYTES
"""No interval that a check closes is shorter."""
_CHANGE: Final = b"\x01"
"""The id of a change's frame."""


class Window:
    """A buffer that moves forward over a binary stream, from where that stands.

    Attributes:
        file: the stream.
        offset: of the first byte in it.
        data: the bytes in it.
    """

    def __init__(self, file: BinaryIO, offset: int = 0) -> None:
        self.file = file
        self.offset = offset
        self.data = b""

    def fill(self, size: int) -> bool:
        """Read until it holds *size* bytes; False: the stream ends before."""
        pieces = [self.data]
        missing = size - len(self.data)
        while missing > 0 and (piece := self.file.read(missing)):
            pieces.append(piece)
            missing -= len(piece)
        if len(pieces) > 1:
            self.data = b"".join(pieces)
        return missing <= 0

    def grow(self, size: int) -> bool:
        """Read *size* bytes at most, in one call; False: the stream is at its end."""
        piece = self.file.read(size)
        self.data += piece
        return bool(piece)

    def drop(self, count: int) -> None:
        """Let the first *count* bytes go."""
        self.data = self.data[count:]
        self.offset += count

    def move(self, offset: int) -> None:
        """Go to *offset*: back or forth where the stream can seek, else on, over what is between."""
        if self.file.seekable():
            self.file.seek(offset)
            self.offset, self.data = offset, b""
            return
        while self.offset + len(self.data) < offset:
            self.drop(len(self.data))
            if not self.grow(min(offset - self.offset, INTERVAL_BYTES)):
                return
        self.drop(max(0, offset - self.offset))


class Keyframe(NamedTuple):
    """A keyframe that can be trusted: the check behind its interval matches."""

    offset: int
    """Where the keyframe begins."""
    end: int
    """Where the check behind its interval ends."""
    first: int
    """The first change behind it."""
    last: int
    """The last change before the check."""
    previous: bytes
    """The digest of the check before it."""
    digest: bytes
    """The digest of the check behind it."""


def find_keyframe(file: BinaryIO, uuid: bytes, offset: int = 0, limit: int | None = None) -> Keyframe | None:
    """The next keyframe of the log *uuid* in a seekable stream, from byte *offset* on, whose check matches.

    What is damaged is passed over. Of a file without damage no more is read than the rest of the interval and the whole
    next one; then, or where the open tail begins, this is the answer.

    Args:
        file: a binary stream that can seek.
        uuid: the 16 bytes that name the log.
        offset: the byte to start at.
        limit: the byte before which the keyframe must begin.

    Returns:
        The keyframe, or None: no check covers anything from there on.
    """
    file.seek(offset)
    return next_keyframe(Window(file, offset), uuid, limit)


def next_keyframe(window: Window, uuid: bytes, limit: int | None = None) -> Keyframe | None:
    """Move *window* to the next keyframe whose check matches, as :func:`find_keyframe`.

    Where there is none, and no *limit*, the stream is read to its end, and what is left is the open tail, if any.
    """
    while limit is None or window.offset < limit:
        found = codec.find_interval(window.data, uuid)
        if found.start < 0:
            window.drop(max(0, len(window.data) - MARKER_BYTES + 1))
            if not window.fill(len(window.data) + INTERVAL_BYTES) and codec.find_marker(window.data, uuid) < 0:
                return None
        elif found.start > 0:
            window.drop(found.start)
        elif found.check < 0:
            # Not more at once than an interval has: where a length is damaged, the next keyframe comes first.
            size = min(_bytes_to_check(window.data), len(window.data) + _CLOSED_BYTES)
            if not window.fill(size) and codec.find_interval(window.data, uuid) == found:
                return None
        else:
            keyframe = _checked(window, found.check)
            if keyframe:
                return keyframe
            window.drop(1)
    return None


def _bytes_to_check(data: bytes) -> int:
    """How many bytes, from the keyframe at the beginning of *data* on, the interval and its check have at least."""
    frames = codec.scan_frames(data, MARKER_BYTES)
    size, shift = 0, 0
    for at in range(frames.consumed, len(data)):
        size |= (data[at] & 0x7F) << shift
        shift += 7
        if data[at] < 0x80:
            check = CHECK_BYTES if data[at + 1 : at + 2] == _CHANGE else 0
            return max(_CLOSED_BYTES, at + 1 + size + check)
    return max(_CLOSED_BYTES, frames.consumed + CHECK_BYTES)


def _checked(window: Window, check: int) -> Keyframe | None:
    """The keyframe at the beginning of *window* if the check at byte *check* of it matches."""
    data = window.data
    previous = data[check + CHECK_BYTES - 2 * DIGEST_BYTES : check + CHECK_BYTES - DIGEST_BYTES]
    digest = digest_of(previous, data[:check]).digest()
    if data[check + CHECK_BYTES - DIGEST_BYTES : check + CHECK_BYTES] != digest:
        return None
    frames = codec.scan_frames(data[:check], MARKER_BYTES)
    if not frames.ids:
        return None  # no interval of ours is without a change
    first = number_of(data, frames)
    return Keyframe(
        window.offset, window.offset + check + CHECK_BYTES, first, first + len(frames.ids) - 1, previous, digest
    )


def number_of(data: bytes, frames: Frames, index: int = 0) -> int:
    """The number of the change in frame *index*; raises CorruptError."""
    one = slice(index, index + 1)
    frame = Frames(frames.ids[one], frames.starts[one], frames.ends[one], frames.ends[index])
    return codec.decode_changes(data, frame).change[0]
