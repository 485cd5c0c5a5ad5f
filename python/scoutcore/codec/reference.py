"""The codec in plain Python: the executable specification of the bytes, and the backend where no C compiler works.

Read it top to bottom beside ``csrc/FORMAT.md``. ``native.py`` gives the same results and the same errors from C.
Every decoder stops at the first thing that is wrong and raises an error with the offset of the item it belongs to.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from struct import Struct

from scoutcore.codec import numbers, recent
from scoutcore.codec.columns import (
    CLOCKED_EVER,
    CLOCKED_LAST,
    EMPTY,
    AddedBlocks,
    AppendedBlocks,
    Blocks,
    BlockSummaries,
    Buffer,
    ChangeColumns,
    CodecRow,
    DecodedBlocks,
    Frames,
    Interval,
    Intervals,
    PointColumns,
    Record,
    UInts,
    cut,
    dump_record,
    empty_record,
    load_record,
    offsets_of,
)
from scoutcore.codec.constants import (
    ABSENT,
    CHECK_BYTES,
    CLOCK_RANGE,
    FRAME_BLOB,
    FRAME_CHANGE,
    INT64_MAX,
    INT64_MIN,
    INTERVAL_BYTES,
    MARKER_BYTES,
    MAX_BLOCK,
    MAX_BLOCK_POINTS,
    MAX_BLOCK_SPAN,
    MAX_COLUMN,
    MAX_DATA,
    MAX_ENTRIES,
    MAX_FRAME,
    MAX_HIDDEN,
    UINT32_MAX,
    UINT64_MAX,
    UUID_BYTES,
)
from scoutcore.codec.numbers import Point
from scoutcore.codec.puts import pack_puts, unpack_puts
from scoutcore.codec.status import Status, error
from scoutcore.codec.varint import get_varint, point_varint, put_varint, unzigzag, varint_size, zigzag
from scoutcore.errors import InvalidError, TruncatedError

# --- varints ----------------------------------------------------------------------------------------------------------


def encode_varints(values: Iterable[int], signed: bool = False) -> bytes:
    """The varints of *values*, one after another; with *signed*, of their zigzag forms.

    Raises:
        OverflowError: a value that does not fit 64 bits.
    """
    out = bytearray()
    for value in array("q" if signed else "Q", values):
        put_varint(out, zigzag(value) if signed else value)
    return bytes(out)


def decode_varints(data: Buffer, signed: bool = False) -> UInts:
    """All varints in *data*, as an array of 64-bit numbers.

    Raises:
        TruncatedError: *data* ends in the middle of a varint.
        CorruptError: a varint over 64 bits.
    """
    view = _view(data)
    values = array("q" if signed else "Q")
    offset = 0
    while offset < len(view):
        value, offset = get_varint(view, offset, len(view))
        values.append(unzigzag(value) if signed else value)
    return values


# --- multibuffers -----------------------------------------------------------------------------------------------------


def pack(buffers: Iterable[Buffer], extra: int = 0) -> bytes:
    """The multibuffer of *buffers*: of each, *extra* zero bytes, a varint of its length in bytes, and its bytes.

    Raises:
        InvalidError: *extra* is negative.
    """
    _check_extra(extra)
    out = bytearray()
    for buffer in buffers:
        view = _view(buffer)
        out += bytes(extra)
        put_varint(out, len(view))
        out += view
    return bytes(out)


def pack_columns(data: Buffer, offsets: UInts, extra: int = 0) -> bytes:
    """As :func:`pack`, of the consecutive slices of *data* between *offsets* (array of uint64, rising).

    Raises:
        EncodeError: offsets that fall or leave *data*.
        InvalidError: *extra* is negative.
    """
    _check_extra(extra)
    view = _view(data)
    for index in range(len(offsets) - 1):
        if not offsets[index] <= offsets[index + 1] <= len(view):
            raise error(Status.BOUNDS, index, encoding=True)
    return pack([view[start:end] for start, end in pairwise(offsets)], extra)


def unpack(data: Buffer, extra: int = 0) -> list[bytes]:
    """The buffers of a multibuffer whose items have *extra* leading bytes.

    Raises:
        TruncatedError: *data* ends in the middle of an item.
        CorruptError: a length over 64 bits.
        InvalidError: *extra* is negative.
    """
    starts, ends, consumed = unpack_columns(data, extra)
    if consumed < len(_view(data)):
        unpack_columns(data, extra, consumed)  # raises where the next item is wrong and not only cut
        raise error(Status.TRUNCATED, consumed)
    return cut(data, starts, ends)


def unpack_columns(data: Buffer, extra: int = 0, offset: int = 0, limit: int = UINT64_MAX) -> tuple[UInts, UInts, int]:
    """Starts and ends of at most *limit* whole items from *offset* on, and where the next one begins.

    Items before a wrong one are given first; the call that starts at the wrong one raises.

    Raises:
        CorruptError: a length over 64 bits in the first item.
        InvalidError: *extra* is negative.
    """
    _check_extra(extra)
    view = _view(data)
    starts, ends = array("Q"), array("Q")
    while offset < len(view) and len(starts) < limit:
        try:
            length, start = get_varint(view, offset + extra, len(view))
        except TruncatedError:
            break
        except ValueError:
            if starts:
                break
            raise
        if length > len(view) - start:
            break
        starts.append(start)
        ends.append(start + length)
        offset = start + length
    return starts, ends, offset


def _check_extra(extra: int) -> None:
    if extra < 0:
        raise InvalidError("extra is negative")


# --- frames -----------------------------------------------------------------------------------------------------------


def scan_frames(data: Buffer, offset: int = 0, max_change: int = MAX_FRAME, max_blob: int = MAX_FRAME) -> Frames:
    """The whole frames from *offset* on; ``consumed`` is where a cut or wrong frame begins, or the end.

    Frames before a wrong one are given first; the call that starts at the wrong one raises. A frame's length
    (id included) over *max_change* or *max_blob* is wrong as soon as its id is seen.

    Raises:
        CorruptError: the first frame is wrong: length 0, over its limit or over 64 bits, or an unknown id.
    """
    view = _view(data)
    ids, starts, ends = array("B"), array("Q"), array("Q")
    while True:
        try:
            found = _frame_at(view, offset, max_change, max_blob)
        except ValueError:
            if ids:
                break
            raise
        if found is None:
            break
        kind, start, offset = found
        ids.append(kind)
        starts.append(start)
        ends.append(offset)
    return Frames(ids, starts, ends, offset)


def _frame_at(
    data: bytes | memoryview, offset: int, max_change: int = MAX_FRAME, max_blob: int = MAX_FRAME
) -> tuple[int, int, int] | None:
    """Id, and start and end of the content, of the frame at *offset*; None: it is cut."""
    try:
        length, start = get_varint(data, offset, len(data))
    except TruncatedError:
        return None
    if length == 0:
        raise error(Status.FRAME_EMPTY, offset)
    if start == len(data):
        return None
    kind = data[start]
    if kind not in (FRAME_CHANGE, FRAME_BLOB):
        raise error(Status.FRAME_ID, offset)
    if length > (max_change if kind == FRAME_CHANGE else max_blob):
        raise error(Status.FRAME_SIZE, offset)
    return (kind, start + 1, start + length) if length <= len(data) - start else None


# --- changes ----------------------------------------------------------------------------------------------------------

_STRING, _NUMBER = 2, 0
_TAGS = _SUBSET, _KEY, _CHANGE, _FROM, _TO, _VALUE = 0x0A, 0x12, 0x18, 0x20, 0x28, 0x32
"""Field numbers 1 to 6, shifted by three bits, and their wire types."""
_NONE = ABSENT, ABSENT


def encode_changes(columns: ChangeColumns, max_frame: int = MAX_FRAME) -> tuple[bytes, UInts]:
    """The frames of *columns*, one after another, and the offset at which each ends.

    Raises:
        EncodeError: a slice outside its buffer, an absent key, bad UTF-8, or a frame longer than *max_frame* bytes.
    """
    subset_data, key_data, value_data = map(_view, (columns.subset_data, columns.key_data, columns.value_data))
    out = bytearray()
    ends = array("Q")
    for index in range(len(columns.change)):
        subset = _slice(subset_data, columns.subset_starts[index], columns.subset_ends[index], index)
        key = _slice(key_data, columns.key_starts[index], columns.key_ends[index], index)
        value = _slice(value_data, columns.value_starts[index], columns.value_ends[index], index)
        if key is None:
            raise error(Status.FIELD_MISSING, index, encoding=True)
        if not (_is_utf8(key) and (subset is None or _is_utf8(subset))):
            raise error(Status.UTF8, index, encoding=True)
        body = bytearray()
        if subset:
            body.append(_SUBSET)
            put_varint(body, len(subset))
            body += subset
        body.append(_KEY)
        put_varint(body, len(key))
        body += key
        for tag, number in ((_CHANGE, columns.change), (_FROM, columns.from_), (_TO, columns.to)):
            body.append(tag)
            put_varint(body, number[index])
        if value is not None:
            body.append(_VALUE)
            put_varint(body, len(value))
            body += value
        if len(body) + 1 > max_frame:
            raise error(Status.FRAME_SIZE, index, encoding=True)
        put_varint(out, len(body) + 1)
        out.append(FRAME_CHANGE)
        out += body
        ends.append(len(out))
    return bytes(out), ends


def decode_changes(data: Buffer, frames: Frames) -> ChangeColumns:
    """The changes among *frames* (blobs are passed over), as columns that point into *data*.

    Raises:
        CorruptError: an error in a change: see ``csrc/FORMAT.md``.
        EncodeError: a frame outside *data*.
    """
    whole = data if isinstance(data, bytes) else bytes(_view(data))
    items = array("Q")  # of one change after another
    for index, kind in enumerate(frames.ids):
        start, end = frames.starts[index], frames.ends[index]
        if not start <= end <= len(whole):
            raise error(Status.BOUNDS, index, encoding=True)
        if kind == FRAME_CHANGE:
            items.extend(_decode_change(whole, start, end))
    a, b, c, d, e, f, *numbers = (items[column::9] for column in range(9))
    return ChangeColumns(data, a, b, data, c, d, data, e, f, *(array("I", column) for column in numbers))


def _decode_change(data: bytes, start: int, end: int) -> tuple[int, ...]:
    """Start and end of subset, key and value, then change, from and to, of the Change at ``data[start:end]``."""
    spans: dict[int, tuple[int, int]] = {}
    numbers: dict[int, int] = {}
    offset = start
    while offset < end:
        field = offset
        tag = data[offset]
        offset += 1
        if tag > 0x7F:
            tag, offset = _varint_inside(data, field, end)
        if tag not in _TAGS:
            offset = _skip_field(data, tag, field, offset, end)
            continue
        if offset < end and (value := data[offset]) <= 0x7F:  # of a number itself, of a string the length
            offset += 1
        else:
            value, offset = _varint_inside(data, offset, end)
        if tag & 7 == _NUMBER:
            if value > UINT32_MAX:
                raise error(Status.UINT32, field)
            numbers[tag] = value
            continue
        if value > end - offset:
            raise error(Status.FIELD_SIZE, field)
        following = offset + value
        if tag != _VALUE and not ((text := data[offset:following]).isascii() or _is_utf8(text)):
            raise error(Status.UTF8, field)
        spans[tag] = offset, following
        offset = following
    if _KEY not in spans or len(numbers) < 3:
        raise error(Status.FIELD_MISSING, start)
    subset = spans.get(_SUBSET, _NONE)
    if subset[0] == subset[1]:
        subset = _NONE
    return *subset, *spans[_KEY], *spans.get(_VALUE, _NONE), numbers[_CHANGE], numbers[_FROM], numbers[_TO]


def _skip_field(data: bytes, tag: int, field: int, offset: int, end: int) -> int:
    """The offset behind a field with an unknown tag."""
    if tag > UINT32_MAX:
        raise error(Status.UINT32, field)
    number, wire = tag >> 3, tag & 7
    if number == 0:
        raise error(Status.FIELD_NUMBER, field)
    if number <= 6 or wire not in (0, 1, 2, 5):
        raise error(Status.WIRE_TYPE, field)
    if wire == _NUMBER:
        return _varint_inside(data, offset, end)[1]
    length = 8 if wire == 1 else 4
    if wire == _STRING:
        length, offset = _varint_inside(data, offset, end)
    if length > end - offset:
        raise error(Status.FIELD_SIZE, field)
    return offset + length


def _varint_inside(data: bytes, offset: int, end: int) -> tuple[int, int]:
    """As :func:`get_varint`, of a change that is there whole: an end in mid-number is an error of its own."""
    try:
        return get_varint(data, offset, end)
    except TruncatedError:
        raise error(Status.FIELD_SIZE, offset) from None


# --- blocks of points -------------------------------------------------------------------------------------------------


def encode_blocks(
    points: PointColumns,
    series: UInts,
    write_time: int,
    max_points: int = MAX_BLOCK_POINTS,
    max_bytes: int = MAX_BLOCK,
) -> Blocks:
    """Group a batch by series, in order of their first points, sort each by ``t`` (stable), and encode it in blocks.

    Each block is of codec 1 where its points fit that and it is shorter than in codec 0.

    That the data is JSON in UTF-8 is for who accepts a report to see to; :func:`decode_blocks` refuses other bytes.

    Args:
        series: the series of each point: 0 for the first, and each new one the next number.
        write_time: µs since the Unix epoch, of the whole batch.
        max_points: the most points in a block.
        max_bytes: the longest block in codec 0, in bytes; one point may exceed it.

    Raises:
        EncodeError: a slice outside ``points.data``, data empty or over 1 MiB, series numbers that skip one, or a
            negative write time.
    """
    view = _view(points.data)
    if not 0 <= write_time <= INT64_MAX:
        raise error(Status.TIME, 0, encoding=True)
    by_series: list[list[int]] = []
    for index, number in enumerate(series):
        start, end = points.starts[index], points.ends[index]
        if not start <= end <= len(view):
            raise error(Status.BOUNDS, index, encoding=True)
        if start == end:
            raise error(Status.DATA_EMPTY, index, encoding=True)
        if end - start > MAX_DATA:
            raise error(Status.DATA_SIZE, index, encoding=True)
        if number > len(by_series):
            raise error(Status.SERIES, index, encoding=True)
        if number == len(by_series):
            by_series.append([])
        by_series[number].append(index)

    out = bytearray()
    offsets, block_series, firsts, order = array("Q"), array("I"), array("Q"), array("I")
    header = bytearray(1)
    put_varint(header, write_time)

    def put_block(number: int, members: list[int], block: bytearray) -> None:
        some = []
        for index in members:
            clock = (points.boot[index], points.ms[index]) if points.clocked[index] else None
            some.append(Point(points.t[index], clock, bytes(view[points.starts[index] : points.ends[index]])))
        offsets.append(len(out))
        block_series.append(number)
        firsts.append(len(order))
        order.extend(members)
        body = numbers.encode(some, write_time)
        fits = body is not None and len(header) + len(body) < len(block)
        out.extend(b"\1" + header[1:] + body if fits and body is not None else block)

    for number, members in enumerate(by_series):
        block = bytearray()
        inside: list[int] = []
        for index in sorted(members, key=points.t.__getitem__):
            t = points.t[index]
            item = bytearray()
            clocked = points.clocked[index]
            put_varint(item, 1 if clocked else 0)
            if clocked:
                put_varint(item, points.boot[index])
                put_varint(item, points.ms[index])
            item += view[points.starts[index] : points.ends[index]]
            delta = zigzag(t - points.t[inside[-1]] if inside else t)
            size = varint_size(delta) + len(item)
            size += varint_size(size)
            if inside and (
                len(inside) >= max_points or t - points.t[inside[0]] > MAX_BLOCK_SPAN or len(block) + size > max_bytes
            ):
                put_block(number, inside, block)
                inside = []
            if not inside:
                block = bytearray(header)
                delta = zigzag(t)
            put_varint(block, varint_size(delta) + len(item))
            put_varint(block, delta)
            block += item
            inside.append(index)
        put_block(number, inside, block)
    offsets.append(len(out))
    firsts.append(len(order))
    return Blocks(bytes(out), offsets, block_series, firsts, order)


def decode_blocks(data: Buffer, starts: UInts, ends: UInts) -> DecodedBlocks:
    """The points of the blocks ``data[starts[i]:ends[i]]``, as columns.

    Raises:
        CorruptError: an error in a block: see ``csrc/FORMAT.md``.
        UnsupportedError: a block with an unknown codec number.
        EncodeError: a block outside *data*.
    """
    view = _view(data)
    firsts, write_times = array("Q", [0]), array("q")
    found: list[Point] = []
    for index, (begin, end) in enumerate(list(zip(starts, ends, strict=True))):
        if not begin <= end <= len(view):
            raise error(Status.BOUNDS, index, encoding=True)
        if begin == end:
            raise error(Status.BLOCK_EMPTY, begin)
        if view[begin] > 1:
            raise error(Status.BLOCK_CODEC, begin)
        write_time, offset = point_varint(view, begin + 1, end)
        if write_time > INT64_MAX:
            raise error(Status.TIME, begin + 1)
        if offset == end:
            raise error(Status.BLOCK_EMPTY, begin)
        write_times.append(write_time)
        if view[begin] == 1:
            found += numbers.decode(view, begin, offset, end, write_time)
        else:
            found += _decode_points(view, offset, end)
        firsts.append(len(found))
    texts = [point.text for point in found]
    offsets = offsets_of(map(len, texts))
    clocks = [point.clock or (0, 0) for point in found]
    columns = PointColumns(
        array("q", [point.t for point in found]),
        array("B", [point.clock is not None for point in found]),
        array("Q", [boot for boot, _ in clocks]),
        array("Q", [ms for _, ms in clocks]),
        b"".join(texts),
        offsets[:-1],
        offsets[1:],
    )
    return DecodedBlocks(firsts, write_times, columns)


def _decode_points(view: memoryview, offset: int, end: int) -> list[Point]:
    """The points of a block of codec 0 from *offset* on."""
    found: list[Point] = []
    t = 0
    while offset < end:
        point = offset
        length, offset = point_varint(view, offset, end)
        if length > end - offset:
            raise error(Status.POINT_SIZE, point)
        point_end = offset + length
        delta, offset = point_varint(view, offset, point_end)
        t += unzigzag(delta)
        if not INT64_MIN <= t <= INT64_MAX:
            raise error(Status.TIME, point)
        if found and delta & 1:
            raise error(Status.BLOCK_ORDER, point)
        if found and t - found[0].t > MAX_BLOCK_SPAN:
            raise error(Status.BLOCK_SPAN, point)
        flags, offset = point_varint(view, offset, point_end)
        if flags > 1:
            raise error(Status.FLAGS, point)
        clock = None
        if flags:
            boot, offset = point_varint(view, offset, point_end)
            ms, offset = point_varint(view, offset, point_end)
            clock = boot, ms
        if offset == point_end:
            raise error(Status.DATA_EMPTY, point)
        if point_end - offset > MAX_DATA:
            raise error(Status.DATA_SIZE, point)
        text = bytes(view[offset:point_end])
        if not _is_utf8(text):
            raise error(Status.UTF8, point)
        found.append(Point(t, clock, text))
        offset = point_end
    return found


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
    """What the blocks ``data[starts[i]:ends[i]]`` of one log do to the views: puts, and the rows' new records.

    A block that may hold a reading that was heard before, since not all its clocks rise above the row's, is deferred:
    it counts in its row's receptions, span and greatest clock only. One that begins before *newest* or its row's floor
    does not even do that.

    Args:
        rows: those that there are blocks of; their keys are not looked at.
        uuids: of all logs, by number.
        log: the number of the log.
        newest: a time before which rows may have floors of which their records do not know.
        row_of: which row each block is of.
        changes: its change.
        versions: the row's version behind it, in a log of our own.

    Raises:
        CorruptError: a record that cannot be one; or as :func:`decode_blocks`.
        UnsupportedError, EncodeError: as :func:`decode_blocks`.
    """
    summary = summarize_blocks(data, starts, ends)
    records = _load_records(rows, uuids, log)
    view = _view(data)
    puts: list[bytes] = []
    deferred = bytearray()
    for index, (number, change, start, end, *about) in enumerate(
        zip(row_of, changes, starts, ends, *summary, strict=True)
    ):
        if number >= len(rows):
            raise error(Status.BOUNDS, index, encoding=True)
        first_t = about[2]
        row = records[number]
        clocks = _Clocks()
        if first_t < max(newest, row.floor):
            deferred.append(2)
        else:
            deferred.append(not _add_block(row, uuids, log, change, view[start:end], clocks, *about))
        if not deferred[index]:
            key = rows[number].suffix + b"\0"
            place = Struct(">II").pack(log, change)
            biased = Struct(">Q").pack(first_t + 2**63)
            puts += [b"h" + key + biased + place, _pack_hidden(clocks.hidden) + bytes(view[start:end])]
            for low, high in clocks.entries:
                row.widest = max(row.widest, high - low)
                puts += [b"i" + key + Struct(">QQ").pack(clocks.boot, high) + place, Struct(">Q").pack(low) + biased]
        if versions is not None:
            row.own_log, row.own_count = log + 1, versions[index]
    return AddedBlocks(pack_puts(puts), list(map(dump_record, records)), bytes(deferred))


def _load_records(rows: Sequence[CodecRow], uuids: bytes, log: int) -> list[Record]:
    if log >= len(uuids) // UUID_BYTES:
        raise error(Status.BOUNDS, 0, encoding=True)
    records: list[Record] = []
    for index, record in enumerate(row.record for row in rows):
        try:
            row = load_record(record) if record else empty_record()
            kept = recent.load(row.recent) if row.recent else None
        except ValueError:
            raise error(Status.RECORD, index) from None
        if (record and dump_record(row) != record) or (not row.flags & EMPTY and row.log >= len(uuids) // UUID_BYTES):
            raise error(Status.RECORD, index)
        if kept:
            row.recent = recent.dump(*kept, row.max_ms)
        records.append(row)
    return records


def _pack_hidden(points: list[int]) -> bytes:
    """What stands before a block in the history: see :mod:`scoutcore.blocks`."""
    return Struct(f">BI{len(points)}I").pack(1, len(points), *points) if points else b"\0"


@dataclass
class _Clocks:
    """What is found in a block's clocks: their boot, its entries in the clock index, and which points are hidden."""

    boot: int = 0
    entries: list[tuple[int, int]] = field(default_factory=list)
    hidden: list[int] = field(default_factory=list)

    def sort_out(self, readings: list[tuple[int, int]], points: int) -> bool:
        """Take them from readings, (ms, point), sorted; False: they are too many, or the block's last is hidden."""
        for before, (ms, point) in zip([None, *readings], readings, strict=False):
            if before and ms == before[0]:
                self.hidden.append(point)
            if not self.entries or ms - self.entries[-1][0] > CLOCK_RANGE:
                self.entries.append((ms, ms))
            self.entries[-1] = self.entries[-1][0], ms
        self.hidden.sort()
        return len(self.entries) <= MAX_ENTRIES and len(self.hidden) <= MAX_HIDDEN and points - 1 not in self.hidden


def _take_clocks(
    row: Record, block: memoryview, count: int, state: int, low: tuple[int, int], high: tuple[int, int], out: _Clocks
) -> bool:
    """Whether none of a block's readings can have been heard before; the row's greatest clock becomes that of both.

    Args:
        state: ``clocks`` of its summary, not 0.
        low, high: its smallest and greatest clock.
    """
    greatest = (row.max_boot, row.max_ms) if row.flags & CLOCKED_EVER else (-1, -1)
    above = low > greatest
    boot = out.boot = high[0]
    first, times = recent.load(row.recent) if row.recent else (0, [])
    fresh = boot == low[0] and (above or bool(row.recent and boot == row.max_boot and low[1] >= first))
    readings: list[tuple[int, int]] = []
    if fresh and above and state == 1 and high[1] - low[1] <= CLOCK_RANGE and not row.recent:
        out.entries.append((low[1], high[1]))
    else:
        if boot == low[0] and count <= MAX_COLUMN and (fresh or row.recent):
            _, _, points = decode_blocks(block, array("Q", [0]), array("Q", [len(block)]))
            readings = sorted((points.ms[i], i) for i in range(count) if points.clocked[i])
        fresh = fresh and bool(readings) and out.sort_out(readings, count)
        fresh = fresh and (above or {ms for ms, _ in readings}.isdisjoint(times))
    if row.recent and boot > row.max_boot:
        first, times = 0, []  # there is nothing of this boot yet
    row.max_boot, row.max_ms = max(greatest, high)
    row.flags |= CLOCKED_EVER
    if row.recent and readings and boot == row.max_boot:
        row.recent = recent.dump(first, [*times, *(ms for ms, _ in readings)], row.max_ms)
    elif not fresh and not readings:
        row.recent = recent.start(row.max_ms)
    return fresh


def _add_block(
    row: Record,
    uuids: bytes,
    log: int,
    change: int,
    block: memoryview,
    clocks: _Clocks,
    write_time: int,
    count: int,
    first_t: int,
    last_t: int,
    state: int,
    min_boot: int,
    min_ms: int,
    max_boot: int,
    max_ms: int,
    last_clocked: int,
    last_boot: int,
    last_ms: int,
    text: bytes,
) -> bool:
    """Add a block to a row's record, and what is found in its clocks to *clocks*; False: it is deferred."""
    flags = row.flags
    row.receptions += count
    row.span = max(row.span, last_t - first_t)
    if state and not _take_clocks(row, block, count, state, (min_boot, min_ms), (max_boot, max_ms), clocks):
        return False
    row.points += count - len(clocks.hidden)

    def rank(low: int, t: int, log: int, change: int, index: int) -> tuple[int, int, bytes, int, int]:
        return low, t, uuids[UUID_BYTES * log :][:UUID_BYTES], change, index

    found = min(last_t, write_time), last_t, log, change, count - 1
    if flags & EMPTY or rank(*found) > rank(row.low, row.t, row.log, row.change, row.index):
        row.flags = row.flags & CLOCKED_EVER | (CLOCKED_LAST if last_clocked else 0)
        row.low, row.t, row.log, row.change, row.index = found
        row.shown_t, row.boot, row.ms, row.data = last_t, last_boot, last_ms, text
    return True


def shared_readings(data: Buffer, starts: UInts, ends: UInts) -> bytes:
    """Which of the blocks ``data[starts[i]:ends[i]]`` have a reading, a (boot, ms), of the first: 1 or 0 for each.

    For the first itself: whether it has a reading twice.

    Raises:
        CorruptError, UnsupportedError, EncodeError: as :func:`decode_blocks`.
    """
    firsts, _, points = decode_blocks(data, starts, ends)
    readings = list(zip(points.clocked, points.boot, points.ms, strict=True))
    blocks = [[one for one in readings[first:end] if one[0]] for first, end in pairwise(firsts)]
    own = set(blocks[0] if blocks else ())
    shared = bytearray(not own.isdisjoint(block) for block in blocks)
    if blocks:
        shared[0] = len(own) < len(blocks[0])
    return bytes(shared)


def summarize_blocks(data: Buffer, starts: UInts, ends: UInts) -> BlockSummaries:
    """What the views need of the blocks ``data[starts[i]:ends[i]]``, each checked whole.

    Raises:
        CorruptError, UnsupportedError, EncodeError: as :func:`decode_blocks`.
    """
    firsts, write_times, points = decode_blocks(data, starts, ends)
    rows = []
    for first, end in pairwise(firsts):
        last = end - 1
        clocks = [(points.boot[i], points.ms[i]) for i in range(first, end) if points.clocked[i]]
        rising = len(clocks) == end - first and all(a < b for a, b in pairwise(clocks))
        low, high = (min(clocks), max(clocks)) if clocks else ((0, 0), (0, 0))
        state = 0 if not clocks else 1 if rising else 2
        row = [end - first, points.t[first], points.t[last], state, *low, *high]
        row += [column[last] for column in (points.clocked, points.boot, points.ms)]
        rows.append(row)
    lasts = [end - 1 for end in firsts[1:]]
    texts = [points.data[points.starts[last] : points.ends[last]] for last in lasts]
    columns = zip(*rows, strict=True) if rows else [()] * 11
    return BlockSummaries._make([write_times, *map(array, "QqqBQQQQBQQ", columns), texts])


# --- batches in our own log -------------------------------------------------------------------------------------------

_SENSOR = b"sensor"


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
    """A batch as sensor changes of a log of our own, one for each block, and what they do to the views.

    None: a change or the version of a row would have a number over *limit*.

    Args:
        points, series, write_time: see :func:`encode_blocks`; that their texts are UTF-8 nobody looks at.
        rows: those of the series, whose records have their versions.
        uuids, log, newest: see :func:`add_blocks`.
        first: the number of the first change, from 1 on.

    Raises:
        EncodeError: as :func:`encode_blocks` and :func:`encode_changes`; a series without a row.
        CorruptError: a record that cannot be one.
        OverflowError: a number that does not fit its field.
    """
    blocks = encode_blocks(points, series, write_time)
    count = len(blocks.series)
    versions = [row.own_count if row.own_log == log + 1 else 0 for row in _load_records(rows, uuids, log)]
    array("I", [first, limit])
    if first + count > limit + 1:
        return None
    before, after = array("I"), array("I")
    for index, (number, begin, end) in enumerate(zip(blocks.series, blocks.firsts, blocks.firsts[1:], strict=False)):
        if number >= len(rows):
            raise error(Status.BOUNDS, index, encoding=True)
        if versions[number] + end - begin > limit:
            return None
        before.append(versions[number])
        versions[number] += end - begin
        after.append(versions[number])
    keys = [rows[number].key for number in blocks.series]
    edges = offsets_of(map(len, keys))
    changes = array("I", range(first, first + count))
    frames, ends = encode_changes(
        ChangeColumns(
            *(_SENSOR, array("Q", bytes(8 * count)), array("Q", [len(_SENSOR)]) * count),
            *(b"".join(keys), edges[:-1], edges[1:]),
            *(blocks.data, blocks.offsets[:-1], blocks.offsets[1:]),
            *(changes, before, after),
        )
    )
    sizes = map(int.__sub__, blocks.offsets[1:], blocks.offsets)
    starts = array("Q", map(int.__sub__, ends, sizes))
    added = add_blocks(rows, uuids, log, newest, blocks.series, changes, after, frames, starts, ends)
    return AppendedBlocks(frames, blocks.series, starts, ends, added)


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
    """What :func:`append_blocks` makes of one point.

    Args:
        row, uuids, log, newest, limit: see there.
        change: its number.
        write_time: µs since the Unix epoch, like *t*.
        t: when.
        clock: ``boot`` and ``ms``, if the scout has a clock.
        data: JSON text, in UTF-8 as who accepted it has seen to.

    Returns:
        the frame, and where its block begins, which ends with it; key and value of the puts in turn, record and
        whether it is deferred as of :func:`add_blocks`.

    Raises:
        EncodeError, CorruptError, OverflowError: as there.
    """
    start, end = array("Q", [0]), array("Q", [len(data)])
    boot, ms = (array("Q", [number]) for number in clock or (0, 0))
    points = PointColumns(array("q", [t]), array("B", [clock is not None]), boot, ms, data, start, end)
    made = append_blocks(points, array("I", [0]), write_time, [row], uuids, log, newest, change, limit)
    if made is None:
        return None
    frame, _, starts, _, (puts, (record,), deferred) = made
    return frame, starts[0], unpack_puts(puts), record, deferred[0]


def order_codes(codes: Sequence[int], limit: int) -> tuple[UInts, UInts] | None:
    """*codes* numbered anew in order of first appearance, and which they were; None: one is not below *limit*."""
    used = array("I", dict.fromkeys(codes))
    if any(code >= limit for code in used):
        return None
    order = {code: number for number, code in enumerate(used)}
    return array("I", map(order.__getitem__, codes)), used


# --- changes files ----------------------------------------------------------------------------------------------------


def split_intervals(ends: UInts, fill: int, interval: int = INTERVAL_BYTES) -> tuple[UInts, int]:
    """Which frames close an interval of a changes file.

    Args:
        ends: the offset at which each frame ends, from 0.
        fill: bytes that the open interval holds already, its keyframe included; 0: the first frame opens one.
        interval: the bytes that an interval is closed at.

    Returns:
        The indices of the frames that a check follows, and the fill of the interval left open (0: none is).
    """
    closing = array("Q")
    begin = 0
    for index, end in enumerate(ends):
        if fill == 0:
            fill = MARKER_BYTES
        fill += end - begin
        begin = end
        if fill >= interval:
            closing.append(index)
            fill = 0
    return closing, fill


def find_marker(data: Buffer, uuid: bytes, offset: int = 0) -> int:
    """The offset of the next 18 bytes, from *offset* on, that read as the uuid frame of the log *uuid*; -1: none."""
    return bytes(_view(data)).find(_marker(uuid), max(offset, 0))


def _marker(uuid: bytes) -> bytes:
    if len(uuid) != UUID_BYTES:
        raise ValueError("a log's uuid has 16 bytes")
    return b"\x11\x02" + uuid


def find_interval(data: Buffer, uuid: bytes, offset: int = 0) -> Interval:
    """The next keyframe of the log *uuid* from *offset* on whose interval reads well up to a check frame.

    Its digest is not looked at: the caller compares it, and goes on behind ``start`` where it does not match. ``check``
    and ``end`` are -1 where *data* ends first. An interval never reaches over the next keyframe: the log holds no such
    bytes, so a damaged one costs no other. But a frame's last bytes and the check behind it may read as one.
    """
    view = _view(data)
    start = find_marker(view, uuid, offset)
    while start >= 0:
        following = find_marker(view, uuid, start + MARKER_BYTES)
        limit = following if following >= 0 else len(view)
        inside = view[: limit + MARKER_BYTES + CHECK_BYTES]
        position = start + MARKER_BYTES
        try:
            while (frames := scan_frames(inside, position)).ids:
                for kind, end in zip(frames.ids, frames.ends, strict=True):
                    if kind == FRAME_BLOB:
                        # Its length is one byte, as we write it.
                        if view[position] != CHECK_BYTES - 1 or position <= limit < end:
                            raise error(Status.FRAME_ID, position)
                        return Interval(start, position, end)
                    if end >= limit + MARKER_BYTES:
                        raise error(Status.FRAME_ID, position)
                    position = end
            if following < 0:
                return Interval(start, -1, -1)
        except ValueError:
            pass
        start = following
    return Interval(-1, -1, -1)


def walk_intervals(
    data: Buffer, uuid: bytes, number: int = 0, interval: int = INTERVAL_BYTES, offset: int = 0
) -> Intervals:
    """The intervals of the log *uuid* from *offset* on, where a keyframe has to stand, up to a cut frame or the end.

    Their frames are read, their digests not looked at. Intervals before a wrong one are given first; the call that
    starts at the wrong one raises.

    Args:
        number: of the first change; 0: any.
        interval: the bytes that an interval is closed at.

    Raises:
        CorruptError: the first interval has no keyframe of the log, something that is no change, a change whose number
            is not the next, or its check elsewhere than the format puts it.
    """
    whole = data if isinstance(data, bytes) else bytes(_view(data))
    marker = _marker(uuid)
    checks, nexts = array("Q"), array("Q")
    end = offset
    while offset < len(whole):
        try:
            end, following, closed = _walk_interval(whole, marker, number, interval, offset)
        except ValueError:
            if checks:
                return Intervals(checks, nexts, offset, offset, number)
            raise
        number = following
        if not closed:
            break
        checks.append(end)
        nexts.append(number)
        offset = end = end + CHECK_BYTES
    return Intervals(checks, nexts, offset, end, number)


def _walk_interval(data: bytes, marker: bytes, number: int, interval: int, start: int) -> tuple[int, int, bool]:
    """Where its last whole frame ends, the number behind that, and whether a check follows."""
    if not _begins(data, start, marker):
        raise error(Status.KEYFRAME, start)
    if len(data) - start < MARKER_BYTES:
        return start, number, False
    end = start + MARKER_BYTES
    while end == start + MARKER_BYTES or end - start < interval:
        found = _frame_at(data, end)
        if found is None:
            return end, number, False
        kind, content, following = found
        if kind != FRAME_CHANGE:
            raise error(Status.INTERVAL, end)
        change = _decode_change(data, content, following)[6]
        if number not in (0, change):
            raise error(Status.ORDER, end)
        number, end = change + 1, following
    if not _begins(data, end, b"\x21\x02"):
        raise error(Status.INTERVAL, end)
    return end, number, len(data) - end >= CHECK_BYTES


def _begins(data: bytes, offset: int, head: bytes) -> bool:
    """Whether *head* stands at *offset*, as far as *data* goes."""
    return data[offset : offset + len(head)] == head[: len(data) - offset]


# --- shared -----------------------------------------------------------------------------------------------------------


def _view(data: Buffer) -> memoryview:
    return memoryview(data).cast("B")


def _slice(data: memoryview, start: int, end: int, index: int) -> memoryview | None:
    if start == ABSENT and end == ABSENT:
        return None
    if not start <= end <= len(data):
        raise error(Status.BOUNDS, index, encoding=True)
    return data[start:end]


def _is_utf8(data: bytes | memoryview) -> bool:
    try:
        str(data, "utf-8")
    except UnicodeDecodeError:
        return False
    return True
