"""The codec in C: the functions of :mod:`scoutcore.codec.reference`, with the same results and the same errors.

Nothing is decided here. Each function looks at its arguments as buffers, has C measure and fill arrays of its own, and
turns a status code into the error that the reference raises. One crossing per batch; the GIL is free meanwhile.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, repeat
from typing import Any

from msgspec import DecodeError
from msgspec.msgpack import Decoder, Encoder

from scoutcore._native import ffi, lib
from scoutcore.codec import columns as columns_module
from scoutcore.codec.columns import (
    AddedBlocks,
    AppendedBlocks,
    BlockNumbers,
    Blocks,
    BlockSummaries,
    Buffer,
    Change,
    ChangeColumns,
    CodecRow,
    DecodedBlocks,
    Frames,
    Interval,
    Intervals,
    PointColumns,
    Reports,
    TextNumbers,
    UInts,
    offsets_of,
)
from scoutcore.codec.constants import (
    CHECK_BYTES,
    FRAME_CHANGE,
    INT64_MAX,
    INTERVAL_BYTES,
    MARKER_BYTES,
    MAX_BLOCK,
    MAX_BLOCK_POINTS,
    MAX_FRAME,
    UINT64_MAX,
    UUID_BYTES,
)
from scoutcore.codec.numbers import number_text
from scoutcore.codec.status import Status, error
from scoutcore.errors import EncodeError, InvalidError

_new_uncleared: Callable[..., Any] = ffi.new_allocator(should_clear_after_alloc=False)

# --- varints ----------------------------------------------------------------------------------------------------------


def encode_varints(values: Iterable[int], signed: bool = False) -> bytes:
    """See :func:`scoutcore.codec.reference.encode_varints`."""
    column = _output(array("q" if signed else "Q", values), "uint64_t[]")
    out = _new_uncleared("uint8_t[]", lib.sc_varints_size(column, len(column), signed))
    at = ffi.new("size_t *")
    _check(lib.sc_varints_encode(column, len(column), signed, out, len(out), at), at, encoding=True)
    return _taken(out, at[0])


def decode_varints(data: Buffer, signed: bool = False) -> UInts:
    """See :func:`scoutcore.codec.reference.decode_varints`."""
    source = _source(data)
    count, at = ffi.new("size_t *"), ffi.new("size_t *")
    values = _zeros("q" if signed else "Q", lib.sc_varints_count(source, len(source)))
    _check(
        lib.sc_varints_decode(source, len(source), signed, _output(values, "uint64_t[]"), len(values), count, at),
        at,
    )
    return values


# --- multibuffers -----------------------------------------------------------------------------------------------------


def pack(buffers: Iterable[Buffer], extra: int = 0) -> bytes:
    """See :func:`scoutcore.codec.reference.pack`."""
    _check_extra(extra)
    if not isinstance(buffers, list):
        buffers = list(buffers)
    pieces: list[bytes] = []
    row, step = 0, 64
    while row < len(buffers):
        some = buffers[row : row + step]
        row += len(some)
        if list(map(type, some)).count(bytes) == len(some):
            size, piece = _pack_some(some, extra)
        else:
            some = [memoryview(buffer).cast("B") for buffer in some]
            piece = pack_columns(b"".join(some), offsets_of(map(len, some)), extra)
            size = len(piece)
        pieces.append(piece)
        step = min(4096, max(1, _PIECE_BYTES * len(some) // (size + 1)))
    return b"".join(pieces)


def _pack_some(buffers: list[Any], extra: int) -> tuple[int, bytes]:
    """Msgspec lays *buffers* out as one, with their lengths, in less time than join and len take in Python."""
    source = ffi.from_buffer("uint8_t[]", _to_msgpack(buffers))
    out = _new_uncleared("uint8_t[]", len(source) + len(buffers) * extra)
    at = ffi.new("size_t *")
    _check(lib.sc_msgpack_pack(source, len(source), extra, out, len(out), at), at)
    return len(source), _taken(out, at[0])


def pack_columns(data: Buffer, offsets: UInts, extra: int = 0) -> bytes:
    """See :func:`scoutcore.codec.reference.pack_columns`."""
    _check_extra(extra)
    source = _source(data)
    edges = _input(offsets, "Q")
    count = max(len(edges) - 1, 0)
    # Enough for any slices that are in order; pages never written cost nothing.
    out = _new_uncleared("uint8_t[]", len(source) + count * (extra + lib.SC_VARINT_BYTES))
    at = ffi.new("size_t *")
    status = lib.sc_multibuffer_pack(source, len(source), edges, count, extra, out, len(out), at)
    _check(status, at, encoding=True)
    return _taken(out, at[0])


def unpack(data: Buffer, extra: int = 0) -> list[bytes]:
    """See :func:`scoutcore.codec.reference.unpack`."""
    starts, ends, consumed = unpack_columns(data, extra)
    if consumed < len(_source(data)):
        unpack_columns(data, extra, consumed)  # raises where the next item is wrong and not only cut
        raise error(Status.TRUNCATED, consumed)
    return cut(data, starts, ends)


def unpack_columns(data: Buffer, extra: int = 0, offset: int = 0, limit: int = UINT64_MAX) -> tuple[UInts, UInts, int]:
    """See :func:`scoutcore.codec.reference.unpack_columns`."""
    _check_extra(extra)
    source = _source(data)
    count, at = ffi.new("size_t *"), ffi.new("size_t *", offset)
    limit = _clamp(limit)
    _check(lib.sc_multibuffer_unpack(source, len(source), extra, ffi.NULL, ffi.NULL, limit, count, at), at)
    starts, ends = _zeros("Q", count[0]), _zeros("Q", count[0])
    at[0] = offset
    _check(
        lib.sc_multibuffer_unpack(source, len(source), extra, _output(starts), _output(ends), len(starts), count, at),
        at,
    )
    return starts, ends, at[0]


def _check_extra(extra: int) -> None:
    if extra < 0:
        raise InvalidError("extra is negative")


# --- objects ----------------------------------------------------------------------------------------------------------

_PIECE_BYTES = 64 * 1024
"""Objects cross in pieces of about so many bytes: memory that the allocator has at hand, and the processor's cache."""
_FEW = 4
"""Fewer cross faster one by one."""

_to_msgpack = Encoder().encode
_decode_bytes = Decoder(list[bytes]).decode
_to_bytes = 0, _decode_bytes
_to_bytes_or_none = 1, Decoder(list[bytes | None]).decode
_to_texts = 2, Decoder(list[str]).decode
_to_texts_or_none = 3, Decoder(list[str | None]).decode


def cut(data: Buffer, starts: Sequence[int], ends: Sequence[int]) -> list[bytes]:
    """See :func:`scoutcore.codec.columns.cut`."""
    if len(starts) < _FEW:
        return columns_module.cut(data, starts, ends)
    try:
        return _objects(data, starts, ends, *_to_bytes)
    except EncodeError:
        return columns_module.cut(data, starts, ends)


def cut_texts(data: Buffer, starts: Sequence[int], ends: Sequence[int]) -> list[str]:
    """See :func:`scoutcore.codec.columns.cut_texts`."""
    if len(starts) < _FEW:
        return columns_module.cut_texts(data, starts, ends)
    try:
        return _objects(data, starts, ends, *_to_texts)
    except (EncodeError, DecodeError):
        return columns_module.cut_texts(data, starts, ends)


def join(items: Sequence[bytes]) -> tuple[bytes, UInts]:
    """See :func:`scoutcore.codec.columns.join`."""
    if len(items) < _FEW:
        return columns_module.join(items)
    packed, offsets = _to_msgpack(items), _zeros("Q", len(items) + 1)
    if lib.sc_msgpack_offsets(_source(packed), len(packed), _output(offsets), ffi.new("size_t *")):
        return columns_module.join(items)  # not all of them are bytes
    return b"".join(items), offsets


def gather_changes(changes: Iterable[Change]) -> ChangeColumns:
    """See :meth:`scoutcore.codec.columns.ChangeColumns.from_objects`: the columns point into the objects' msgpack."""
    rows = list(changes)
    if len(rows) < _FEW:
        return columns_module.gather_changes(rows)
    try:
        data = _to_msgpack(rows)
    except (TypeError, ValueError, OverflowError):
        return columns_module.gather_changes(rows)
    source, at = ffi.from_buffer("uint8_t[]", data), ffi.new("size_t *")
    texts, numbers, found = _change_columns(len(rows))
    if list(map(type, rows)).count(Change) < len(rows) or lib.sc_msgpack_changes(source, len(source), found, at):
        return columns_module.gather_changes(rows)
    return ChangeColumns(data, texts[0], texts[1], data, texts[2], texts[3], data, texts[4], texts[5], *numbers)


def list_changes(columns: ChangeColumns) -> list[Change]:
    """See :meth:`scoutcore.codec.columns.ChangeColumns.to_objects`."""
    if len(columns.change) < _FEW:
        return columns_module.list_changes(columns)
    try:
        keys = _objects(columns.key_data, columns.key_starts, columns.key_ends, *_to_texts)
        values = _objects(columns.value_data, columns.value_starts, columns.value_ends, *_to_bytes_or_none)
        subsets = _few_texts(columns.subset_data, columns.subset_starts, columns.subset_ends)
    except (EncodeError, DecodeError):
        return columns_module.list_changes(columns)
    return list(map(Change, keys, columns.change, columns.from_, columns.to, values, subsets))


def _few_texts(data: Buffer, starts: Sequence[int], ends: Sequence[int]) -> Iterable[str | None]:
    """Texts of which there are few kinds, an empty one being none: mostly one object stands for all."""
    source, count = _source(data), len(starts)
    columns = _input(starts, "Q"), _input(ends, "Q", count)
    if 0 < count == lib.sc_slices_same(source, len(source), *columns, count):
        start, end = starts[0], ends[0]
        return repeat(None if start == end else ffi.buffer(source)[start:end].decode(), count)
    return _objects(data, starts, ends, *_to_texts_or_none)


def _objects(
    data: Buffer, starts: Sequence[int], ends: Sequence[int], form: int, decode: Callable[[Any], list[Any]]
) -> list[Any]:
    """Slices as objects: C writes a piece of them as msgpack, msgspec makes the list."""
    source, begins, stops = _source(data), _input(starts, "Q"), _input(ends, "Q", len(starts))
    count, row = len(begins), 0
    out = _new_uncleared("uint8_t[]", _PIECE_BYTES)
    rows, at = ffi.new("size_t *"), ffi.new("size_t *")
    objects: list[Any] = []
    while row < count:
        left = count - row
        _check(
            lib.sc_msgpack_slices(source, len(source), begins + row, stops + row, left, form, out, len(out), rows, at),
            at,
            encoding=True,
        )
        if rows[0] == 0:  # a slice longer than a piece
            taken = bytes(ffi.buffer(source)[begins[row] : stops[row]])
            objects.append(taken if form < _to_texts[0] else taken.decode())
            row += 1
            continue
        objects += decode(ffi.buffer(out, at[0]))
        row += rows[0]
    return objects


# --- frames -----------------------------------------------------------------------------------------------------------


def scan_frames(data: Buffer, offset: int = 0, max_change: int = MAX_FRAME, max_blob: int = MAX_FRAME) -> Frames:
    """See :func:`scoutcore.codec.reference.scan_frames`."""
    source = _source(data)
    limits = _clamp(max_change), _clamp(max_blob)
    count, at = ffi.new("size_t *"), ffi.new("size_t *", offset)
    no = ffi.NULL
    _check(lib.sc_frames_scan(source, len(source), *limits, no, no, no, UINT64_MAX, count, at), at)
    ids, starts, ends = _zeros("B", count[0]), _zeros("Q", count[0]), _zeros("Q", count[0])
    at[0] = offset
    columns = _output(ids), _output(starts), _output(ends)
    _check(lib.sc_frames_scan(source, len(source), *limits, *columns, len(ids), count, at), at)
    return Frames(ids, starts, ends, at[0])


# --- changes ----------------------------------------------------------------------------------------------------------


def encode_changes(columns: ChangeColumns, max_frame: int = MAX_FRAME) -> tuple[bytes, UInts]:
    """See :func:`scoutcore.codec.reference.encode_changes`."""
    rows = ffi.new("sc_changes *")
    count = len(columns.change)
    owned = []
    for name in ("subset", "key", "value"):
        source = _source(getattr(columns, f"{name}_data"))
        starts = _input(getattr(columns, f"{name}_starts"), "Q", count)
        ends = _input(getattr(columns, f"{name}_ends"), "Q", count)
        owned += [source, starts, ends]
        setattr(rows, f"{name}_data", source)
        setattr(rows, f"{name}_len", len(source))
        setattr(rows, f"{name}_starts", starts)
        setattr(rows, f"{name}_ends", ends)
    for name in ("change", "from_", "to"):
        owned.append(_input(getattr(columns, name), "I", count))
        setattr(rows, name.rstrip("_"), owned[-1])
    out = _new_uncleared("uint8_t[]", lib.sc_changes_size(rows, count))
    frame_ends = _zeros("Q", count)
    at = ffi.new("size_t *")
    status = lib.sc_changes_encode(rows, count, _clamp(max_frame), out, len(out), _output(frame_ends), at)
    _check(status, at, encoding=True)
    return _taken(out, at[0]), frame_ends


def decode_changes(data: Buffer, frames: Frames) -> ChangeColumns:
    """See :func:`scoutcore.codec.reference.decode_changes`."""
    source = _source(data)
    ids = _input(frames.ids, "B")
    starts, ends = _input(frames.starts, "Q", len(ids)), _input(frames.ends, "Q", len(ids))
    changes = ffi.buffer(ids)[:].count(FRAME_CHANGE)
    texts, numbers, rows = _change_columns(changes)
    count, at = ffi.new("size_t *"), ffi.new("size_t *")
    status = lib.sc_changes_decode(source, len(source), ids, starts, ends, len(ids), rows, count, at)
    _check(status, at, encoding=status == Status.BOUNDS)
    return ChangeColumns(data, texts[0], texts[1], data, texts[2], texts[3], data, texts[4], texts[5], *numbers)


def _change_columns(count: int) -> tuple[list[UInts], list[UInts], Any]:
    """Columns for *count* changes: of texts and of numbers, and all of them as C has them."""
    texts = [_zeros("Q", count) for _ in range(6)]
    numbers = [_zeros("I", count) for _ in range(3)]
    subset_starts, subset_ends, key_starts, key_ends, value_starts, value_ends = map(_output, texts)
    fields = (
        *(ffi.NULL, 0, subset_starts, subset_ends),
        *(ffi.NULL, 0, key_starts, key_ends),
        *(ffi.NULL, 0, value_starts, value_ends),
        *map(_output, numbers),
    )
    return texts, numbers, ffi.new("sc_changes *", fields)


# --- blocks of points -------------------------------------------------------------------------------------------------


def encode_blocks(
    points: PointColumns,
    series: UInts,
    write_time: int,
    max_points: int = MAX_BLOCK_POINTS,
    max_bytes: int = MAX_BLOCK,
) -> Blocks:
    """See :func:`scoutcore.codec.reference.encode_blocks`."""
    _, made, data, owned = _encode_blocks(points, series, write_time, max_points, max_bytes)
    count = made.count
    columns = (made.offsets, "Q", count + 1), (made.series, "I", count), (made.firsts, "Q", count + 1)
    order = made.order, "I", made.firsts[count]
    blocks = Blocks(data, *(_copied(*column) for column in (*columns, order)))
    del owned
    return blocks


def _encode_blocks(
    points: PointColumns, series: UInts, write_time: int, max_points: int = MAX_BLOCK_POINTS, max_bytes: int = MAX_BLOCK
) -> tuple[Any, Any, bytes, Any]:
    """The points and their blocks as C has them, the blocks' bytes, and what must live as long."""
    if not 0 <= write_time <= INT64_MAX:
        raise error(Status.TIME, 0, encoding=True)
    numbers = _input(series, "I")
    count = len(numbers)
    rows, owned = _point_columns(points, count)
    wide, narrow = _new_uncleared("uint64_t[]", 2 * count + 2), _new_uncleared("uint32_t[]", 4 * count + 1)
    columns = _new_uncleared("sc_columns *")
    places = wide, narrow, wide + (count + 1), narrow + count, narrow + 2 * count
    made = ffi.new("sc_blocks *", (*places, columns, 0))
    out = _new_uncleared("uint8_t[]", lib.sc_blocks_size(rows, count))
    at = ffi.new("size_t *")
    limits = _clamp(max_points), _clamp(max_bytes)
    status = lib.sc_blocks_encode(rows, numbers, count, write_time, *limits, made, out, len(out), at)
    _check(status, at, encoding=True)
    return rows, made, _taken(out, at[0]), (*owned, wide, narrow)


def decode_blocks(data: Buffer, starts: UInts, ends: UInts) -> DecodedBlocks:
    """See :func:`scoutcore.codec.reference.decode_blocks`."""
    source = _source(data)
    begins, stops = _block_slices(starts, ends)
    count = len(begins)
    firsts, write_times = _zeros("Q", count + 1), _zeros("q", count)
    texts_room = ffi.new("size_t *")
    room = lib.sc_blocks_count(source, len(source), begins, stops, count, texts_room)
    texts = _new_uncleared("uint8_t[]", texts_room[0])
    columns = [_zeros(typecode, room) for typecode in "qBQQQQ"]
    t, clocked, boot, ms, data_starts, data_ends = columns
    rows = ffi.new("sc_points *")
    rows.t, rows.clocked, rows.boot, rows.ms, rows.starts, rows.ends = map(_output, columns)
    at = ffi.new("size_t *")
    status = lib.sc_blocks_decode(
        *(source, len(source), begins, stops, count, _output(firsts), _output(write_times)),
        *(rows, room, texts, len(texts), at),
    )
    _check(status, at, encoding=status == Status.BOUNDS)
    data = _taken(texts, rows.data_len)
    return DecodedBlocks(firsts, write_times, PointColumns(t, clocked, boot, ms, data, data_starts, data_ends))


def summarize_blocks(data: Buffer, starts: UInts, ends: UInts) -> BlockSummaries:
    """See :func:`scoutcore.codec.reference.summarize_blocks`."""
    source = _source(data)
    begins, stops = _block_slices(starts, ends)
    columns, rows, owned = _summaries(source, begins, stops)
    *numbers, text_starts, text_ends = columns
    texts = cut(_taken(rows.data, text_ends[-1]) if text_ends else b"", text_starts, text_ends)
    del owned
    return BlockSummaries._make([*numbers, texts])


def _summaries(source: Any, begins: Any, stops: Any) -> tuple[list[UInts], Any, Any]:
    """Summaries of blocks, as columns; the same as C has them; and what must live as long."""
    columns = [_zeros(typecode, len(begins)) for typecode in "qQqqBQQQQBQQQQ"]
    texts = _new_uncleared("uint8_t[]", lib.sc_lasts_size(source, len(source), begins, stops, len(begins)))
    rows = ffi.new("sc_summaries *", (*map(_output, columns), texts, len(texts)))
    at = ffi.new("size_t *")
    status = lib.sc_blocks_summarize(source, len(source), begins, stops, len(begins), rows, at)
    _check(status, at, encoding=status == Status.BOUNDS)
    return columns, rows, texts


def add_blocks(
    rows: Sequence[CodecRow],
    uuids: bytes,
    log: int,
    newest: int,
    row_of: UInts,
    changes: UInts,
    versions: UInts | None,
    data: Buffer,
    starts: UInts,
    ends: UInts,
) -> AddedBlocks:
    """See :func:`scoutcore.codec.reference.add_blocks`."""
    source = _source(data)
    begins, stops = _block_slices(starts, ends)
    count = len(begins)
    owned, summaries, last_texts = _summaries(source, begins, stops)
    numbers = _input(row_of, "I", count), _input(changes, "I", count)
    own = ffi.NULL if versions is None else _input(versions, "I", count)
    found, scratch, recent, kept = _rows(rows, uuids, newest)
    room = lib.sc_rows_size(found, begins, stops, numbers[0], count, len(last_texts))
    out, at = _new_uncleared("uint8_t[]", room), ffi.new("size_t *")
    deferred = _new_uncleared("uint8_t[]", count)
    status = lib.sc_rows_add(
        *(found, source, len(source), begins, stops, summaries, *numbers, own, count, log, scratch, recent),
        *(deferred, out, room, at),
    )
    del owned, last_texts, kept
    _check(status, at, encoding=status == Status.BOUNDS)
    return _added(out, at[0], _taken(deferred, count))


def _rows(rows: Sequence[CodecRow], uuids: bytes, newest: int) -> tuple[Any, Any, Any, Any]:
    """*rows* as C has them, its scratch for them and for their recent readings; and what must live as long."""
    packed = ffi.from_buffer("uint8_t[]", _to_msgpack(rows))
    count, logs = len(rows), _source(uuids)
    columns = _new_uncleared("uint64_t[]", 6 * count)
    found, at = ffi.new("sc_rows *"), ffi.new("size_t *")
    _check(lib.sc_msgpack_rows(packed, len(packed), columns, found, at), at)
    found.uuids, found.logs, found.newest = logs, len(uuids) // UUID_BYTES, newest
    scratch, recent = _new_uncleared("sc_row[]", count), _new_uncleared("uint64_t[]", lib.SC_RECENT * count)
    return found, scratch, recent, (packed, columns, logs)


def _added(out: Any, size: int, deferred: bytes) -> AddedBlocks:
    puts, *records = _decode_bytes(ffi.buffer(out, size))
    return AddedBlocks(puts, records, deferred)


def group_puts(data: bytes) -> list[bytes]:
    """See :func:`scoutcore.codec.puts.group_puts`."""
    size = len(data)
    count, at = lib.sc_puts_count(data, size), ffi.new("size_t *")
    room = size + 16 * count + 5
    puts, out = _new_uncleared("sc_put[]", count), _new_uncleared("uint8_t[]", room)
    order, table = (_new_uncleared("uint32_t[]", items) for items in (count, 2 << count.bit_length()))
    _check(lib.sc_puts_group(data, size, _SEED, puts, order, table, len(table), out, room, at), at)
    return _decode_bytes(ffi.buffer(out, at[0]))


def shared_readings(data: Buffer, starts: UInts, ends: UInts) -> bytes:
    """See :func:`scoutcore.codec.reference.shared_readings`."""
    source = _source(data)
    begins, stops = _block_slices(starts, ends)
    count = len(begins)
    room = lib.sc_blocks_count(source, len(source), begins, stops, min(count, 1), ffi.new("size_t *"))
    scratch, shared = _new_uncleared("sc_clock[]", room), _new_uncleared("uint8_t[]", count)
    at = ffi.new("size_t *")
    status = lib.sc_blocks_shared(source, len(source), begins, stops, count, scratch, room, shared, at)
    _check(status, at, encoding=status == Status.BOUNDS)
    return _taken(shared, count)


def text_numbers(data: Buffer, starts: UInts, ends: UInts) -> TextNumbers | None:
    """See :func:`scoutcore.codec.numbers.text_numbers`."""
    source = _source(data)
    begins, stops = _block_slices(starts, ends)
    count = len(begins)
    if not count or not begins[0] <= stops[0] <= len(source):
        return None
    numbers = lib.sc_text_numbers(source + begins[0], stops[0] - begins[0])
    if numbers > lib.SC_MAX_NUMBERS:
        return None
    values = array("d", bytes(8 * count * numbers))
    places = [_zeros("Q", numbers), _zeros("Q", numbers), _zeros("B", numbers)]
    out = ffi.from_buffer("double[]", values), *map(_output, places)
    if not lib.sc_texts_numbers(source, len(source), begins, stops, count, *out):
        return None
    del out  # an array that C has cannot be cut
    return TextNumbers([values[k * count : (k + 1) * count] for k in range(numbers)], *places)


def number_texts(values: array[Any]) -> tuple[bytes, UInts, UInts] | None:
    """See :func:`scoutcore.codec.numbers.number_texts`."""
    count = len(values)
    starts, ends, out = _zeros("Q", count), _zeros("Q", count), _new_uncleared("uint8_t[]", lib.SC_NUMBER_BYTES * count)
    integers = doubles = ffi.NULL
    if values.typecode == "q":
        integers = ffi.from_buffer("int64_t[]", values)
    else:
        doubles = ffi.from_buffer("double[]", values)
    if not lib.sc_numbers_texts(integers, doubles, count, out, _output(starts), _output(ends)):
        return None
    return _taken(out, ends[-1] if count else 0), starts, ends


def block_numbers(data: Buffer, starts: UInts, ends: UInts) -> BlockNumbers | None:
    """See :func:`scoutcore.codec.numbers.block_numbers`."""
    source = _source(data)
    begins, stops = _block_slices(starts, ends)
    blocks = source, len(source), begins, stops, len(begins)
    found = ffi.new("size_t *")
    count = lib.sc_numbers_count(*blocks, found)
    numbers = found[0]
    if not count:
        return None
    t, values = _zeros("q", count), array("d", bytes(8 * count * numbers))
    firsts, formats, same = _zeros("q", numbers), _zeros("B", numbers), _zeros("B", numbers)
    columns = _output(t), ffi.from_buffer("double[]", values), count, 0, 0, *map(_output, (firsts, formats, same))
    out = ffi.new("sc_numbers *", columns)
    if not lib.sc_blocks_numbers(*blocks, out):
        return None
    pieces = bytes(ffi.buffer(source)[out.skeleton_start : out.skeleton_end]).split(b"\0")
    texts = [
        number_text(first, form) if alike else None for first, form, alike in zip(firsts, formats, same, strict=True)
    ]
    return BlockNumbers(t, [values[k * count : (k + 1) * count] for k in range(numbers)], pieces, texts)


def _block_slices(starts: UInts, ends: UInts) -> tuple[Any, Any]:
    begins, stops = _input(starts, "Q"), _input(ends, "Q")
    if len(begins) != len(stops):
        order = "shorter" if len(stops) < len(begins) else "longer"
        raise ValueError(f"zip() argument 2 is {order} than argument 1")
    return begins, stops


def _point_columns(points: PointColumns, count: int) -> tuple[Any, list[Any]]:
    """*points* as C has them, and what must live as long."""
    rows = ffi.new("sc_points *")
    source = rows.data = _source(points.data)
    rows.data_len = len(source)
    owned = [source]
    for name, typecode in (("t", "q"), ("clocked", "B"), ("boot", "Q"), ("ms", "Q"), ("starts", "Q"), ("ends", "Q")):
        owned.append(_input(getattr(points, name), typecode, count))
        setattr(rows, name, owned[-1])
    return rows, owned


def points_msgpack(values: list[bytes], start: int, end: int, prefix: bytes) -> Any:
    """The points of blocks from time *start* to *end*, exclusive, as a buffer: a msgpack array of arrays.

    A block is all of a value but its first byte. Each point is *prefix*, ``t``, the data, ``boot`` and ``ms`` (or nil).
    None: the blocks are not one after another.

    Raises:
        CorruptError, UnsupportedError: as :func:`decode_blocks`.
    """
    count = len(values)
    if count == 1:  # most windows
        data = values[0]
        size = len(data)
        begins = ffi.new("uint64_t[2]", (1, size))
        stops = begins + 1
    else:
        data = b"".join(values)
        size = len(data)
        ends = list(accumulate(map(len, values)))
        begins = ffi.new("uint64_t[]", [1, *map((1).__add__, ends)])
        stops = ffi.new("uint64_t[]", ends)
    at = ffi.new("size_t *")
    points = lib.sc_blocks_count(data, size, begins, stops, count, at)
    room = 64 + at[0] + (32 + len(prefix)) * points
    out = _new_uncleared("uint8_t[]", room)
    status = lib.sc_blocks_msgpack(data, size, begins, stops, count, start, end - 1, prefix, len(prefix), out, room, at)
    if status:
        raise error(status, at[0])
    written = at[0]
    return ffi.buffer(out, written) if written else None


# --- batches in our own log -------------------------------------------------------------------------------------------


def append_blocks(
    points: PointColumns,
    series: UInts,
    write_time: int,
    rows: Sequence[CodecRow],
    uuids: bytes,
    log: int,
    newest: int,
    first: int,
    limit: int,
) -> AppendedBlocks | None:
    """See :func:`scoutcore.codec.reference.append_blocks`."""
    columns, blocks, values, owned = _encode_blocks(points, series, write_time)
    found, scratch, recent, kept = _rows(rows, uuids, newest)
    count, at = blocks.count, ffi.new("size_t *")
    room = lib.sc_append_size(columns, blocks, found, at)
    frames, out, deferred = (_new_uncleared("uint8_t[]", size) for size in (at[0], room, count))
    starts, ends = _zeros("Q", count), _zeros("Q", count)
    places = frames, len(frames), _output(starts), _output(ends), deferred, out, room, scratch, recent
    to = ffi.new("sc_append *", (log, first, limit, *places))
    status = lib.sc_blocks_append(columns, blocks, values, write_time, found, to, at)
    row_of = _copied(blocks.series, "I", count)
    del owned, values, kept, scratch, recent
    if status == Status.LIMIT:
        return None
    _check(status, at, encoding=status != Status.RECORD)
    written = _taken(frames, ends[-1] if count else 0)
    del frames, places
    return AppendedBlocks(written, row_of, starts, ends, _added(out, at[0], _taken(deferred, count)))


_to_added = Decoder(tuple[bytes, int, list[bytes], bytes, int]).decode
_ROOM = 16 * 1024
"""Memory for what most points become."""
_spare: list[tuple[Any, Any, Any]] = []
"""Memory, its bytes, and where what is in them ends, which nobody uses now: to have it anew takes longer than C."""


def _memory(room: int) -> tuple[Any, Any, Any]:
    out = _new_uncleared("uint8_t[]", room)
    return out, ffi.buffer(out), ffi.new("size_t *")


def add_point(
    row: CodecRow,
    uuids: bytes,
    log: int,
    newest: int,
    change: int,
    limit: int,
    write_time: int,
    t: int,
    clock: tuple[int, int] | None,
    data: bytes,
) -> tuple[bytes, int, list[bytes], bytes, int] | None:
    """See :func:`scoutcore.codec.reference.add_point`."""
    if not 0 <= write_time <= INT64_MAX:
        raise error(Status.TIME, 0, encoding=True)
    key, suffix, record = row.key, row.suffix, row.record
    key_len, suffix_len = len(key), len(suffix)  # of four at once Python would make a tuple
    record_len, data_len = len(record), len(data)
    room, logs = key_len + 2 * suffix_len + record_len + 3 * data_len + 4500, len(uuids) // UUID_BYTES
    try:
        memory = _spare.pop() if room <= _ROOM else _memory(room)
    except IndexError:
        memory = _memory(_ROOM)
    out, made, at = memory
    boot, ms = clock or (0, 0)
    # fmt: off
    status = lib.sc_point_add(  # without a tuple of what belongs together: each takes longer than C
        write_time, t, clock is not None, boot, ms, change, key, key_len, data, data_len, suffix, suffix_len,
        record, record_len, uuids, logs, newest, log, limit, out, room, at,
    )
    # fmt: on
    if status:
        if status == Status.LIMIT:
            return None
        raise error(status, 0, encoding=status != Status.RECORD)
    added = _to_added(made[: at[0]])
    if room <= _ROOM:
        _spare.append(memory)
    return added


# --- reports ----------------------------------------------------------------------------------------------------------

_SEED = int.from_bytes(os.urandom(8), "big")
_ROWS = [
    *(("lines", "I"), ("codes", "I"), ("t", "q"), ("stamped", "B"), ("clocked", "B"), ("boot", "Q"), ("ms", "Q")),
    *(("starts", "Q"), ("ends", "Q")),
]
_ODD = [("odd_lines", "I"), ("odd_starts", "Q"), ("odd_ends", "Q")]
"""The columns of reports, and of other lines."""


def scan_reports(chunk: bytes) -> Reports:
    """The plain reports among the NDJSON lines of *chunk*: see ``csrc/scoutcore.h``."""
    source = _source(chunk)
    room = lib.sc_reports_count(source, len(source))
    rows = ffi.new("sc_reports *")
    columns = {name: _zeros(typecode, room) for name, typecode in _ROWS}
    # Nearly all of these stays empty, and memory that nobody touches costs nothing.
    few = {name: _new_uncleared(_C_TYPES[typecode], room) for name, typecode in [*_ODD, ("name_starts", "Q")]}
    few["name_data"] = _new_uncleared("uint8_t[]", len(source) + 5)
    for name, column in columns.items():
        setattr(rows, name, _output(column))
    for name, memory in few.items():
        setattr(rows, name, memory)
    table = _new_uncleared("uint32_t[]", 2 << room.bit_length())
    lib.sc_reports_scan(source, len(source), _SEED, table, len(table), rows)
    for column in columns.values():
        del column[rows.count :]
    names = _decode_bytes(ffi.buffer(rows.name_data, rows.name_len))
    odd = list(zip(*(ffi.unpack(few[name], rows.odd) for name, _ in _ODD), strict=True))
    return Reports._make([*columns.values(), chunk, names, odd, room - 1])


def json_items(data: Buffer, room: int) -> tuple[UInts, UInts] | None:
    """Starts and ends of the items of a JSON array of at most *room*; None: it is not a plain one."""
    source = _source(data)
    starts, ends = _zeros("Q", room), _zeros("Q", room)
    count = ffi.new("size_t *")
    if not lib.sc_json_items(source, len(source), _output(starts), _output(ends), room, count):
        return None
    return starts[: count[0]], ends[: count[0]]


def order_codes(codes: Sequence[int], limit: int) -> tuple[UInts, UInts] | None:
    """See :func:`scoutcore.codec.reference.order_codes`."""
    rows = _input(codes, "I")
    table, order, used = _new_uncleared("uint32_t[]", limit), _zeros("I", len(rows)), _zeros("I", min(limit, len(rows)))
    found = ffi.new("size_t *")
    if not lib.sc_codes_order(rows, len(rows), table, limit, _output(order), _output(used), found):
        return None
    return order, used[: found[0]]


# --- changes files ----------------------------------------------------------------------------------------------------


def split_intervals(ends: UInts, fill: int, interval: int = INTERVAL_BYTES) -> tuple[UInts, int]:
    """See :func:`scoutcore.codec.reference.split_intervals`."""
    frames = _input(ends, "Q")
    closing = _zeros("Q", len(frames))
    left = ffi.new("uint64_t *", fill)
    del closing[lib.sc_changes_split(frames, len(frames), _clamp(interval), left, _output(closing)) :]
    return closing, left[0]


def find_marker(data: Buffer, uuid: bytes, offset: int = 0) -> int:
    """See :func:`scoutcore.codec.reference.find_marker`."""
    source = _source(data)
    found: int = lib.sc_marker_find(source, len(source), _clamp(offset), _uuid(uuid))
    return found if found < len(source) else -1


def find_interval(data: Buffer, uuid: bytes, offset: int = 0) -> Interval:
    """See :func:`scoutcore.codec.reference.find_interval`."""
    source = _source(data)
    start, check, end = ffi.new("size_t *"), ffi.new("size_t *"), ffi.new("size_t *")
    found = lib.sc_interval_find(source, len(source), _clamp(offset), _uuid(uuid), start, check, end)
    if found == 0:
        return Interval(-1, -1, -1)
    return Interval(start[0], check[0], end[0]) if found == 2 else Interval(start[0], -1, -1)


def walk_intervals(
    data: Buffer, uuid: bytes, number: int = 0, interval: int = INTERVAL_BYTES, offset: int = 0
) -> Intervals:
    """See :func:`scoutcore.codec.reference.walk_intervals`."""
    source = _source(data)
    room = len(source) // (max(interval, MARKER_BYTES) + CHECK_BYTES) + 1
    checks, nexts = _zeros("Q", room), _zeros("Q", room)
    count, end, at = ffi.new("size_t *"), ffi.new("size_t *", offset), ffi.new("size_t *", offset)
    following = ffi.new("uint64_t *", number)
    limits = _uuid(uuid), _clamp(interval)
    columns = _output(checks), _output(nexts)
    _check(lib.sc_intervals_walk(source, len(source), *limits, *columns, room, count, following, end, at), at)
    return Intervals(checks[: count[0]], nexts[: count[0]], at[0], end[0], following[0])


# --- shared -----------------------------------------------------------------------------------------------------------

_C_TYPES = {"B": "uint8_t[]", "I": "uint32_t[]", "Q": "uint64_t[]", "q": "int64_t[]"}
_ZERO = {typecode: array(typecode, (0,)) for typecode in _C_TYPES}
_LONG_IS_64 = array("L").itemsize == 8
_SAME_FORMATS = {"B": "B?", "I": "I", "Q": "QL" if _LONG_IS_64 else "Q", "q": "ql" if _LONG_IS_64 else "q"}


def _source(data: Buffer) -> Any:
    """The bytes of any contiguous buffer object, as C has them."""
    return ffi.from_buffer("uint8_t[]", data if type(data) is bytes else memoryview(data).cast("B"))


def _input(column: Sequence[int], typecode: str, count: int = 0) -> Any:
    """A column of *count* or more numbers, as C has them: where they stand, or else in an array of their own."""
    if not (type(column) is array and column.typecode == typecode) and not _stands(column, typecode):
        column = array(typecode, column)
    if len(column) < count:
        raise IndexError("array index out of range")
    return ffi.from_buffer(_C_TYPES[typecode], column)


def _stands(column: object, typecode: str) -> bool:
    """Whether *column* is a buffer of such numbers, like a slice of a memoryview or a NumPy array."""
    try:
        view = memoryview(column)  # type: ignore[arg-type]
    except TypeError:
        return False
    return view.format in _SAME_FORMATS[typecode] and view.ndim == 1 and view.c_contiguous


def _zeros(typecode: str, count: int) -> UInts:
    return _ZERO[typecode] * count


def _output(column: UInts, as_type: str = "") -> Any:
    return ffi.from_buffer(as_type or _C_TYPES[column.typecode], column)


def _copied(column: Any, typecode: str, count: int) -> UInts:
    """The first *count* numbers of memory that C has filled, as an array."""
    copy = array(typecode)
    copy.frombytes(ffi.buffer(column, count * copy.itemsize))
    return copy


def _taken(out: Any, size: int) -> bytes:
    taken: bytes = ffi.buffer(out, size)[:]
    return taken


def _clamp(number: int) -> int:
    """A limit, as one that C can have: any number over 64 bits is no limit, any below 0 lets nothing through."""
    return max(0, min(number, UINT64_MAX))


def _uuid(uuid: bytes) -> Any:
    if len(uuid) != UUID_BYTES:
        raise ValueError("a log's uuid has 16 bytes")
    return ffi.from_buffer("uint8_t[]", uuid)


def _check(status: int, at: Any, *, encoding: bool = False) -> None:
    if status != Status.OK:
        raise error(status, at[0], encoding=encoding)
