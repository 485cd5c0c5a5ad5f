"""Streams of dat-replication-protocol 4.1.2: changes and blobs in frames. No I/O: bytes in, events out, and back.

A frame is ``[varint n+1][id][n bytes]``: id 1 a :class:`Change`, id 2 a blob; ``csrc/FORMAT.md`` has the bytes. Unlike
the npm package, a stream that ends in the middle of a frame is an error.

>>> decoder = Decoder()
>>> decoder.feed(Encoder().change(Change("temp", 1, 0, 1, b"21.5")) + Encoder().blob(b"hi"))
[Change(key='temp', change=1, from_=0, to=1, value=b'21.5', subset=None), Blob(length=2, offset=0, data=b'hi')]
>>> decoder.close()
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

from scoutcore.codec import decode_changes, encode_changes, encode_varints, scan_frames
from scoutcore.codec.columns import Buffer, Change, ChangeColumns, Frames
from scoutcore.codec.constants import FRAME_BLOB, FRAME_CHANGE, INT64_MAX, MAX_FRAME
from scoutcore.codec.status import Status, error
from scoutcore.errors import CodecError, InvalidError
from scoutcore.multibuffer import read_length

__all__ = ["WHOLE_BLOB", "Blob", "Change", "Decoder", "Encoder", "Event"]

WHOLE_BLOB: Final = 65_536
"""A blob of so many bytes or fewer comes whole; a longer one in pieces, as its bytes arrive."""


class Blob(NamedTuple):
    """A blob, or a piece of one: *data* stands at *offset* in the blob's *length* bytes."""

    length: int
    offset: int
    data: bytes

    @property
    def last(self) -> bool:
        """Whether the blob ends with this piece."""
        return self.offset + len(self.data) == self.length


Event: TypeAlias = Change | Blob


class Decoder:
    """Takes a stream in pieces cut anywhere and gives its events in order.

    It holds at most one frame of *max_frame* bytes or one blob of :data:`WHOLE_BLOB` bytes between calls.

    Args:
        max_frame: the longest frame of a change, id included, in bytes; a longer one is refused by its first bytes.
        max_blob: the longest blob, in bytes.

    Attributes:
        failure: what is wrong with the stream, its ``offset`` counted in bytes from the beginning of the stream; None
            while nothing is. The next :meth:`feed` or :meth:`close` raises it, and every one after that.
    """

    def __init__(self, max_frame: int = MAX_FRAME, max_blob: int = INT64_MAX) -> None:
        self.failure: CodecError | None = None
        self._max_frame = max_frame
        self._max_blob_frame = max_blob + 1
        self._pending = bytearray()  # the cut frame at the end of what has come
        self._offset = 0  # of that frame in the stream
        self._blob_length = 0  # of the blob that goes on; 0: none does
        self._blob_header = 0
        self._blob_given = 0

    def feed(self, data: Buffer) -> list[Event]:
        """The events that are whole with *data*.

        Events before something wrong are given first: then :attr:`failure` is set and the next call raises it.

        Raises:
            CorruptError: a wrong frame: length 0, unknown id, over its limit, or an error in a change.
            TruncatedError: :meth:`close` raised it before.
        """
        if self.failure is not None:
            raise self.failure
        events: list[Event] = []
        try:
            self._feed(memoryview(data).cast("B"), events)
        except CodecError as problem:
            self.failure = type(problem)(problem.reason, self._offset + problem.offset)
        if self.failure is not None and not events:
            raise self.failure
        return events

    def close(self) -> None:
        """Say that the stream has ended.

        Raises:
            TruncatedError: it ends in the middle of a frame; the offset is where that frame begins.
            CorruptError: :attr:`failure`, if nothing has raised it yet.
        """
        if self.failure is None and (self._pending or self._blob_length):
            self.failure = error(Status.TRUNCATED, self._offset)
        if self.failure is not None:
            raise self.failure

    def _feed(self, data: memoryview, events: list[Event]) -> None:
        if self._blob_length:
            data = self._blob_piece(data, events)
        self._pending += data
        while self._pending:
            frames = scan_frames(self._pending, 0, self._max_frame, self._max_blob_frame)
            if not frames.ids:
                break
            consumed = self._take(frames, events)
            del self._pending[:consumed]
            self._offset += consumed
        header = read_length(self._pending, 0)
        if header is None:
            return
        length, start = header
        if length > WHOLE_BLOB + 1 and self._pending[start : start + 1] == b"\x02":
            self._blob_header, self._blob_length, self._blob_given = start + 1, length - 1, 0
            begun = bytes(self._pending)
            self._pending.clear()
            self._blob_piece(memoryview(begun)[start + 1 :], events)

    def _take(self, frames: Frames, events: list[Event]) -> int:
        """Give the events of *frames*, up to a wrong change behind others; returns the offset behind them."""
        data = bytes(memoryview(self._pending)[: frames.consumed])
        try:
            changes = decode_changes(data, frames).to_objects()
        except CodecError as problem:
            good = bisect_left(frames.ends, problem.offset)
            if good == 0:
                raise
            ids, starts, ends = frames.ids[:good], frames.starts[:good], frames.ends[:good]
            frames = Frames(ids, starts, ends, ends[-1])
            changes = decode_changes(data, frames).to_objects()
        if FRAME_BLOB not in frames.ids:
            events += changes
        else:
            following = iter(changes)
            for kind, start, end in zip(frames.ids, frames.starts, frames.ends, strict=True):
                events.append(next(following) if kind == FRAME_CHANGE else Blob(end - start, 0, data[start:end]))
        return frames.consumed

    def _blob_piece(self, data: memoryview, events: list[Event]) -> memoryview:
        """Give what *data* has of the blob that goes on; returns what follows it."""
        piece = bytes(data[: self._blob_length - self._blob_given])
        if piece:
            events.append(Blob(self._blob_length, self._blob_given, piece))
        self._blob_given += len(piece)
        if self._blob_given == self._blob_length:
            self._offset += self._blob_header + self._blob_length
            self._blob_length = self._blob_given = 0
        return data[len(piece) :]


class Encoder:
    """Makes the frames of a stream; what its methods return, one after another, is the stream.

    Args:
        max_frame: the longest frame of a change, id included, in bytes.
    """

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        self._max_frame = max_frame
        self._blob_left = 0

    def change(self, change: Change) -> bytes:
        """The frame of *change*; raises as :meth:`changes`."""
        return self.changes([change])

    def changes(self, changes: Iterable[Change]) -> bytes:
        """The frames of *changes*, one after another.

        Raises:
            EncodeError: a number over 32 bits, a text that is not UTF-8, or a frame longer than the limit.
            InvalidError: the last blob is not complete.
        """
        self.close()
        return encode_changes(ChangeColumns.from_objects(changes), self._max_frame)[0]

    def blob(self, data: Buffer) -> bytes:
        """The frame of a blob; raises as :meth:`close`."""
        view = memoryview(data).cast("B")
        header = self.blob_header(len(view))
        self._blob_left = 0
        return header + view

    def blob_header(self, length: int) -> bytes:
        """The head of a blob of *length* bytes, which then go through :meth:`blob_piece`; raises as :meth:`close`."""
        self.close()
        self._blob_left = length
        return encode_varints([length + 1]) + b"\x02"

    def blob_piece(self, data: Buffer) -> Buffer:
        """Count the next bytes of the blob begun last, and give them back.

        Raises:
            InvalidError: more bytes than the blob still lacks.
        """
        size = memoryview(data).nbytes
        if size > self._blob_left:
            raise InvalidError(f"{size} bytes given, but the blob lacks {self._blob_left}")
        self._blob_left -= size
        return data

    def close(self) -> None:
        """Say that the stream has ended.

        Raises:
            InvalidError: the last blob is not complete.
        """
        if self._blob_left:
            raise InvalidError(f"the blob still lacks {self._blob_left} bytes")
