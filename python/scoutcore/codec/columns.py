"""The columns that go into and come out of a codec call: one array per field, one item per row.

Both backends take and give these, so a whole batch crosses into C at once. Texts and values stay
where they are, in one buffer, and are named by ``starts`` and ``ends``: byte offsets, end exclusive.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

import msgspec

from scoutcore.codec.constants import ABSENT, INT64_MIN, UINT32_MAX
from scoutcore.errors import EncodeError

Buffer: TypeAlias = "bytes | bytearray | memoryview | array[Any]"
UInts: TypeAlias = "array[int]"


class Frames(NamedTuple):
    """Frames found in a buffer: content ``data[starts[i]:ends[i]]``; frame *i* begins where frame *i* - 1 ends."""

    ids: UInts
    starts: UInts
    ends: UInts
    consumed: int
    """Offset behind the last whole frame: where the next scan goes on."""


class Change(msgspec.Struct, frozen=True, order=True, gc=False, array_like=True):
    """One entry of a log, as on the wire. ``from_`` and ``to`` are the row's version before and after."""

    # A Struct of plain values, which the garbage collector need not know: a list of many is made four times as fast.
    key: str
    change: int
    from_: int
    to: int
    value: bytes | None = None
    subset: str | None = None


class ChangeColumns(NamedTuple):
    """Changes as columns. An absent subset or value has :data:`ABSENT` for start and end."""

    subset_data: Buffer
    subset_starts: UInts
    subset_ends: UInts
    key_data: Buffer
    key_starts: UInts
    key_ends: UInts
    value_data: Buffer
    value_starts: UInts
    value_ends: UInts
    change: UInts
    from_: UInts
    to: UInts

    @classmethod
    def from_objects(cls, changes: Iterable[Change]) -> ChangeColumns:
        """Gather *changes* into columns.

        Raises:
            EncodeError: a number that does not fit 32 bits.
        """
        from scoutcore.codec import gather_changes  # the backend's; it imports this module

        return gather_changes(changes)

    def part(self, start: int, end: int) -> ChangeColumns:
        """The rows from *start* to *end*, end exclusive."""
        kept = ("subset_data", "key_data", "value_data")
        return ChangeColumns._make(
            column if name in kept else column[start:end] for name, column in zip(self._fields, self, strict=True)
        )

    def to_objects(self) -> list[Change]:
        """One :class:`Change` per row; values are copied out of the buffer."""
        from scoutcore.codec import list_changes

        return list_changes(self)


class PointColumns(NamedTuple):
    """Points as columns: ``t`` in µs since the Unix epoch, JSON text at ``data[starts[i]:ends[i]]``.

    Where ``clocked[i]`` is 0 the point has no ``boot`` and ``ms`` (both columns hold 0).
    """

    t: array[int]
    clocked: UInts
    boot: UInts
    ms: UInts
    data: Buffer
    starts: UInts
    ends: UInts


class Blocks(NamedTuple):
    """Blocks encoded from a batch: block *i* is ``data[offsets[i]:offsets[i + 1]]``.

    It holds the points ``order[firsts[i]:firsts[i + 1]]`` of the batch, all of series ``series[i]``.
    """

    data: bytes
    offsets: UInts
    series: UInts
    firsts: UInts
    order: UInts


class DecodedBlocks(NamedTuple):
    """Blocks decoded together: block *i* holds the points ``firsts[i]`` to ``firsts[i + 1]``, end exclusive."""

    firsts: UInts
    write_times: array[int]
    points: PointColumns


class TextNumbers(NamedTuple):
    """The numbers of texts that differ in them alone, one item per number of the first text."""

    values: list[array[float]]
    """That number of each text."""
    starts: UInts
    ends: UInts
    """Where it stands in the first text: offsets in the texts' buffer."""
    same: UInts
    """1: it is written alike in all texts."""


class BlockNumbers(NamedTuple):
    """The points of blocks of numbers, without their texts, which differ in their numbers alone."""

    t: array[int]
    values: list[array[float]]
    """Of each number, that of each point."""
    pieces: list[bytes]
    """What all texts have before each number, and behind the last."""
    texts: list[bytes | None]
    """Each number as text where that is the same in all points."""


class BlockSummaries(NamedTuple):
    """What the views need of blocks, one row per block.

    ``clocks`` is 0 where no point has boot and ms, 1 where all have and (boot, ms) rises strictly in time order, else
    2. ``min_*`` and ``max_*`` are the smallest and greatest (boot, ms); ``last_*`` and ``texts`` are those of the last
    point.
    """

    write_times: array[int]
    counts: UInts
    first_t: array[int]
    last_t: array[int]
    clocks: UInts
    min_boot: UInts
    min_ms: UInts
    max_boot: UInts
    max_ms: UInts
    last_clocked: UInts
    last_boot: UInts
    last_ms: UInts
    texts: list[bytes]


NameParts: TypeAlias = tuple[int | None, str | None, str | None, int, str]
"""Troop id, uid or key (one of the three), scout and report of an incoming report."""
ReportName: TypeAlias = NameParts | bytes
"""Its parts, or their msgpack: C tells names so, one object each to be made and hashed instead of several."""
_decode_name = msgspec.msgpack.Decoder(NameParts).decode


_U8: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=0xFF)]
_U32: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=UINT32_MAX)]
_U64: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
_BIAS: Final = 2**63


class Record(msgspec.Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    """A row's record, see :class:`scoutcore.rows.Row`; as it is stored, ``low`` to ``floor`` are turned."""

    flags: _U8
    own_log: _U32
    """Number of our own log + 1 that the next counts points of."""
    own_count: _U32
    points: _U64
    receptions: _U64
    max_boot: _U64
    max_ms: _U64
    widest: _U64
    low: _U64
    """Of the last value's rank: min(t, write time), t, the log by number, change, index."""
    t: _U64
    log: _U32
    change: _U32
    index: _U32
    shown_t: _U64
    """Of the last value as shown; with boot, ms and data."""
    boot: _U64
    ms: _U64
    floor: _U64
    span: _U64
    recent: bytes
    """See :mod:`scoutcore.codec.recent`."""
    data: bytes

    def shown(self) -> int:
        """``shown_t`` of a record as it is stored."""
        return (self.shown_t ^ self.t) - _BIAS

    def shown_floor(self) -> int:
        """``floor`` of a record as it is stored."""
        return self.floor - _BIAS


decode_record = msgspec.msgpack.Decoder(Record).decode
"""A record as it is stored: times with their sign bit turned, but two of them only as they differ from ``t``."""
_encode_record = msgspec.msgpack.Encoder().encode


def empty_record() -> Record:
    """That of a row that has none, with its times as they are."""
    return Record(EMPTY, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, INT64_MIN, 0, b"", b"")


def load_record(data: bytes) -> Record:
    """A record with its times as they are; raises ValueError."""
    one = decode_record(data)
    one.low, one.shown_t = (one.low ^ one.t) - _BIAS, one.shown()
    one.t -= _BIAS
    one.floor = one.shown_floor()
    return one


def dump_record(one: Record) -> bytes:
    """The bytes of a record made by :func:`load_record`."""
    t = one.t + _BIAS
    low, shown_t, floor = (one.low + _BIAS) ^ t, (one.shown_t + _BIAS) ^ t, one.floor + _BIAS
    return _encode_record(msgspec.structs.replace(one, low=low, t=t, shown_t=shown_t, floor=floor))


CLOCKED_EVER: Final = 1
CLOCKED_LAST: Final = 2
EMPTY: Final = 4
"""Flags of a record: there is a greatest clock; the last value has boot and ms; there is none, or none is left."""


class CodecRow(msgspec.Struct, array_like=True, eq=False, gc=False):
    """What codec functions want of a row. They read it as msgpack, of which it is the beginning."""

    key: bytes
    """Its key in changes."""
    suffix: bytes
    """What its keys in the views have in common."""
    record: bytes
    """See :class:`Record`; empty as long as it has none."""


class AddedBlocks(NamedTuple):
    """What blocks do to the views."""

    puts: bytes
    """What is to be put, as :func:`scoutcore.codec.puts.pack_puts` packs it."""
    records: list[bytes]
    """The new record of each row."""
    deferred: bytes
    """For each block: 0; 1, it may hold a reading that was heard before; 2, it begins before a floor."""


class AppendedBlocks(NamedTuple):
    """Blocks as changes of our own log: block *i* is ``frames[starts[i]:ends[i]]``, of row ``row_of[i]``."""

    frames: bytes
    row_of: UInts
    starts: UInts
    ends: UInts
    added: AddedBlocks


class Reports(NamedTuple):
    """The plain reports among NDJSON lines, as columns, and where the other lines are.

    Report *i* stands in line ``lines[i]``, from 0, is of ``names[codes[i]]``, and has its data at
    ``data[starts[i]:ends[i]]``. Without ``stamped`` it has no ``t``, without ``clocked`` no ``boot`` and ``ms``.
    ``odd`` has line, start and end of every other line that is not blank; ``line_ends`` counts the ends of lines.
    """

    lines: Sequence[int]
    codes: UInts
    t: array[int]
    stamped: UInts
    clocked: UInts
    boot: UInts
    ms: UInts
    starts: UInts
    ends: UInts
    data: bytes
    names: list[ReportName]
    odd: list[tuple[int, int, int]]
    line_ends: int


class Interval(NamedTuple):
    """An interval found in a changes file: offsets of its keyframe, of its check frame, and of what follows that.

    ``check`` and ``end`` are -1 where the buffer ends before the check does, ``start`` too where there is no keyframe.
    """

    start: int
    check: int
    end: int


class Intervals(NamedTuple):
    """Intervals one after another: the check of interval *i* begins at ``checks[i]``; all but the last have one."""

    checks: UInts
    nexts: UInts
    """The number behind the last change of each."""
    start: int
    """Where the interval begins that no check closes."""
    end: int
    """Where the last whole frame in it ends."""
    next: int
    """The number behind the last change."""


def name_parts(name: ReportName) -> NameParts:
    """Troop id, uid, key, scout and report of a name."""
    return _decode_name(name) if isinstance(name, bytes) else name


def cut(data: Buffer, starts: Sequence[int], ends: Sequence[int]) -> list[bytes]:
    """The slices of *data* as ``bytes``, one per row; an absent one is empty."""
    if isinstance(data, bytes):
        return list(map(data.__getitem__, map(slice, starts, ends)))
    view = memoryview(data).cast("B")
    return list(map(bytes, map(view.__getitem__, map(slice, starts, ends))))


def cut_texts(data: Buffer, starts: Sequence[int], ends: Sequence[int]) -> list[str]:
    """The slices of *data*, UTF-8, as ``str``, one per row; an absent one is empty."""
    return list(map(bytes.decode, cut(data, starts, ends)))


def join(items: Sequence[bytes]) -> tuple[bytes, UInts]:
    """*items* one behind another, and their running offsets: one more than there are, the first 0."""
    return b"".join(items), offsets_of(map(len, items))


def gather_changes(changes: Iterable[Change]) -> ChangeColumns:
    """See :meth:`ChangeColumns.from_objects`."""
    rows = list(changes)
    numbers = []
    for name in ("change", "from_", "to"):
        values = [getattr(row, name) for row in rows]
        for index, value in enumerate(values):
            if not 0 <= value <= UINT32_MAX:
                raise EncodeError(f"{name.rstrip('_')} is not a number of 32 bits", index)
        numbers.append(array("I", values))
    # What is not UTF-8 is for encode_changes to refuse, by its row.
    subsets = [row.subset.encode(errors="surrogatepass") if row.subset else None for row in rows]
    return ChangeColumns(
        *_gather(subsets),
        *_gather([row.key.encode(errors="surrogatepass") for row in rows]),
        *_gather([row.value for row in rows]),
        *numbers,
    )


def list_changes(columns: ChangeColumns) -> list[Change]:
    """See :meth:`ChangeColumns.to_objects`."""
    subsets = map(_Texts({b"": None}).__getitem__, cut(columns.subset_data, columns.subset_starts, columns.subset_ends))
    keys = cut_texts(columns.key_data, columns.key_starts, columns.key_ends)
    values: Iterable[bytes | None] = cut(columns.value_data, columns.value_starts, columns.value_ends)
    if ABSENT in columns.value_starts:
        values = (None if start == ABSENT else value for start, value in zip(columns.value_starts, values, strict=True))
    return list(map(Change, keys, columns.change, columns.from_, columns.to, values, subsets))


class _Texts(dict[bytes, "str | None"]):
    """Decodes each text once: for texts of which there are few."""

    def __missing__(self, text: bytes) -> str:
        decoded = self[text] = text.decode()
        return decoded


def offsets_of(lengths: Iterable[int]) -> UInts:
    """Running offsets of consecutive items: one more than there are lengths, the first 0."""
    return array("Q", accumulate(lengths, initial=0))


def _gather(items: Sequence[bytes | None]) -> tuple[bytes, UInts, UInts]:
    data = b"".join([item for item in items if item is not None])
    offsets = offsets_of(0 if item is None else len(item) for item in items)
    starts, ends = offsets[:-1], offsets[1:]
    for index, item in enumerate(items):
        if item is None:
            starts[index] = ends[index] = ABSENT
    return data, starts, ends
