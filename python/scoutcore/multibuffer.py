"""Multibuffers: byte strings packed one after another, each behind its length, as npm ``multibuffer`` 2.2.3.

An item is ``[extra zero bytes][varint n][n bytes]``; ``csrc/FORMAT.md`` has the bytes. *extra* is the number of bytes
that are left free before each item, for the caller to fill; readers pass over them. Every *data* and *buffer* can be
any contiguous object with the buffer protocol.

>>> unpack(pack([b"ab", b""]))
[b'ab', b'']
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scoutcore.codec import cut, decode_varints, pack, pack_columns, unpack, unpack_columns
from scoutcore.codec.columns import Buffer
from scoutcore.codec.constants import MAX_FRAME
from scoutcore.codec.status import Status, error
from scoutcore.errors import CodecError, CorruptError

_TOO_LONG = "item longer than the limit"

__all__ = [
    "encode",
    "pack",
    "pack_columns",
    "pack_stream",
    "read_partial",
    "unpack",
    "unpack_columns",
    "unpack_stream",
]


def encode(buffer: Buffer, extra: int = 0) -> bytes:
    """One item: the multibuffer of *buffer* alone."""
    return pack([buffer], extra)


def read_partial(data: Buffer, extra: int = 0) -> tuple[bytes | None, memoryview]:
    """The first buffer of *data* and the bytes behind it, or None and all of *data* where it is not there whole.

    Raises:
        CorruptError: a length over 64 bits.
    """
    view = memoryview(data).cast("B")
    starts, ends, consumed = unpack_columns(view, extra, 0, 1)
    if not starts:
        return None, view
    return bytes(view[starts[0] : ends[0]]), view[consumed:]


def pack_stream(buffers: Iterable[Buffer], extra: int = 0) -> Iterator[bytes]:
    """The item of each buffer in turn, as npm ``multibuffer-stream``'s ``packStream``."""
    return (pack([buffer], extra) for buffer in buffers)


def unpack_stream(chunks: Iterable[Buffer], extra: int = 0, max_length: int = MAX_FRAME) -> Iterator[bytes]:
    """The buffers of a multibuffer that arrives in *chunks*, each as soon as it is whole.

    Holds no more than one chunk and one item. What is good is given before an error is raised.

    Args:
        chunks: the multibuffer, cut anywhere.
        extra: bytes before each item.
        max_length: the longest buffer accepted, in bytes.

    Raises:
        TruncatedError: the chunks end in the middle of an item. Offsets count from the first chunk.
        CorruptError: a length over *max_length* or over 64 bits.
    """
    pending = bytearray()
    offset = 0
    for chunk in chunks:
        pending += chunk
        while True:
            try:
                starts, ends, consumed = unpack_columns(pending, extra)
            except CodecError as problem:
                raise type(problem)(problem.reason, offset + problem.offset) from None
            begin = 0
            for item, end in zip(cut(pending, starts, ends), ends, strict=True):
                if len(item) > max_length:
                    raise CorruptError(_TOO_LONG, offset + begin)
                yield item
                begin = end
            del pending[:consumed]
            offset += consumed
            if not starts:
                break
        header = read_length(pending, extra)
        if header is not None and header[0] > max_length:
            raise CorruptError(_TOO_LONG, offset)
    if pending:
        raise error(Status.TRUNCATED, offset)


def read_length(data: bytearray, offset: int) -> tuple[int, int] | None:
    """The varint at *offset*, not over 64 bits, and the offset behind it; None where *data* ends before it does."""
    head = data[offset : offset + 10]
    for size, byte in enumerate(head, 1):
        if byte < 0x80:
            return decode_varints(head[:size])[0], offset + size
    return None
