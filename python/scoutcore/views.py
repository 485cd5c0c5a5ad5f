"""The views of sensor data: last values and history, merged from changes of any log in any order.

Everything here is a function of the set of receptions, whatever their order: that is why replicas agree.
"""

from __future__ import annotations

import uuid as uuids
from array import array
from bisect import bisect_left
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final

from scoutcore import codec, keys
from scoutcore.blocks import head_size, hidden_of, pack_hidden, whole
from scoutcore.chunk_puts import about_chunk
from scoutcore.clock import SET_CLOCK
from scoutcore.codec import recent
from scoutcore.codec.columns import AddedBlocks, Buffer, UInts, load_record, offsets_of
from scoutcore.codec.constants import CLOCK_RANGE, UINT64_MAX
from scoutcore.codec.puts import NO_PUTS, Packed
from scoutcore.commit import Commit
from scoutcore.expiry import Expiry
from scoutcore.log import Log, Logs
from scoutcore.retention import Retention
from scoutcore.rows import Rank, Row, StoredRow
from scoutcore.store import Store

_ENTRY: Final = Struct(">QQ")
_BIAS: Final = 2**63
_GATHERED: Final = 128
"""The most blocks that are read when a row begins to keep its recent readings."""


@dataclass(frozen=True, slots=True)
class Reception:
    """One arrival of a reading at a gateway: in which log, change and place in its block, and when it was written."""

    log: str
    change: int
    index: int
    write_time: int
    """When the gateway wrote it: µs since the Unix epoch, by the gateway's clock."""
    t: int
    raw: bytes


_ShownRank = tuple[bool, int, bytes, int, int]


@dataclass(slots=True)
class Heard:
    """One arrival of a reading, while receptions of the same reading are compared."""

    rank: _ShownRank
    """(written before the clock was set, t, log uuid, change, index): a reading's smallest is shown."""
    block: bytes
    """The key of its block in the history."""
    data: bytes

    @property
    def index(self) -> int:
        return self.rank[4]

    @property
    def t(self) -> int:
        return self.rank[1]


class Views:
    """Adds blocks to the last values and the history."""

    def __init__(self, store: Store, logs: Logs, retention: Retention) -> None:
        self._store = store
        self._logs = logs
        self.retention = retention
        self.expiry = Expiry(store, logs, self)

    def add(
        self,
        commit: Commit,
        log: Log,
        changes: UInts,
        rows: Sequence[StoredRow],
        row_of: UInts,
        versions: UInts | None,
        data: Buffer,
        starts: UInts,
        ends: UInts,
    ) -> None:
        """Add the blocks ``data[starts[i]:ends[i]]``, the values of *changes* of *log*, to ``rows[row_of[i]]``.

        Args:
            versions: the row's version behind each block, where the log is our own.
        """
        about = self._logs.uuids, log.number, self.retention.newest
        added = codec.add_blocks(rows, *about, row_of, changes, versions, data, starts, ends)
        self.put(commit, log, changes, rows, row_of, data, starts, ends, added)

    def put(
        self,
        commit: Commit,
        log: Log,
        changes: Sequence[int],
        rows: Sequence[StoredRow],
        row_of: UInts,
        data: Buffer,
        starts: UInts,
        ends: UInts,
        added: AddedBlocks,
        chunk: bytes = b"",
    ) -> None:
        """As :meth:`add`, where *added* is what the codec has made of the blocks.

        *chunk*: the key of the chunk of the log that has these blocks and no others, if there is one.
        """
        late = [index for index, why in enumerate(added.deferred) if why] if added.deferred.strip(b"\0") else ()
        records = [row.record for row in rows] if late else ()
        puts = commit.puts
        for row, record in zip(rows, added.records, strict=True):
            row.record = puts[row.view_key] = record
        if added.puts != NO_PUTS:
            if late or len(rows) < len(row_of) or not chunk:
                commit.packed.append(Packed(added.puts))
            else:
                commit.packed.append(Packed(added.puts, chunk, about_chunk(log.number, rows)))
        if late:
            slices = (array("Q", [column[index] for index in late]) for column in (starts, ends))
            for index, *about in zip(late, *codec.summarize_blocks(data, *slices), strict=True):
                block = bytes(data[starts[index] : ends[index]])
                counted = added.deferred[index] == 1
                self._add_late(commit, log, changes[index], rows[row_of[index]], block, counted, about)
            for number in {row_of[index] for index in late}:
                self._gather_recent(commit, rows[number], records[number])

    def add_point(
        self,
        commit: Commit,
        log: Log,
        change: int,
        row: StoredRow,
        added: tuple[bytes, int, list[bytes], bytes, int],
    ) -> None:
        """Add a block of one point: what :func:`codec.add_point` has made of it."""
        frame, start, puts, record, deferred = added
        before, row.record = row.record, record
        commit.puts[row.view_key] = record
        commit.put_blocks(puts)
        if deferred:
            block = frame[start:]
            (about,) = zip(*codec.summarize_blocks(block, *whole(block)), strict=True)
            self._add_late(commit, log, change, row, block, deferred == 1, about)
            self._gather_recent(commit, row, before)

    def _add_late(
        self,
        commit: Commit,
        log: Log,
        change: int,
        stored: StoredRow,
        block: bytes,
        counted: bool,
        about: Sequence[Any],
    ) -> None:
        row = stored.load(self._logs)
        self._add_block(commit, log, change, row, block, counted, *about)
        stored.record = commit.puts[row.view_key] = row.dump(self._logs)

    def _gather_recent(self, commit: Commit, stored: StoredRow, before: bytes) -> None:
        """Where the row has just begun to keep its recent readings, add those of before; all of this commit are put."""
        row = stored.load(self._logs)
        if not row.recent or (before and load_record(before).recent):
            return
        boot, greatest = row.max_clock
        blocks = {block for other, _, _, block in _entries(commit).get(row.suffix, ()) if other == boot}
        first, read = 0, 0
        start, stop = keys.clock_from(row.suffix, boot, 0), keys.after(keys.clock_from(row.suffix, boot, greatest))
        for key, value in self._store.scan(start, stop, reverse=True):
            if len(value) > _ENTRY.size:
                continue  # what it has is in others
            if read == _GATHERED:
                first = keys.parse_clock(key)[1] + 1
                break
            read += 1
            blocks.add(row.history_key + value[8:16] + key[-8:])
        values = [value for value in map(commit.get, blocks) if value is not None]
        offsets = offsets_of(map(len, values))
        starts = array("Q", map(int.__add__, offsets, map(head_size, values)))
        points = codec.decode_blocks(b"".join(values), starts, offsets[1:]).points
        clocks = zip(points.clocked, points.boot, points.ms, strict=True)
        row.recent = recent.dump(first, (ms for clocked, other, ms in clocks if clocked and other == boot), greatest)
        stored.record = commit.puts[stored.view_key] = row.dump(self._logs)

    def _add_block(
        self,
        commit: Commit,
        log: Log,
        change: int,
        row: Row,
        block: bytes,
        counted: bool,
        write_time: int,
        count: int,
        first_t: int,
        last_t: int,
        clocks: int,
        min_boot: int,
        min_ms: int,
        max_boot: int,
        max_ms: int,
        last_clocked: int,
        last_boot: int,
        last_ms: int,
        last_text: bytes,
    ) -> None:
        """Add one block, of which the rest is the summary.

        *counted*: it counts in the row's receptions, span and greatest clock already.
        """
        block_key = keys.history_block(row.suffix, first_t, log.number, change)
        rank = (min(last_t, write_time), last_t, log.uuid, change, count - 1)
        if not counted:
            self.expiry.raise_floor(commit, row, self.retention.floor(row.report))
            if first_t < row.floor:
                self._add_left(commit, row, block_key, block, rank, (max_boot, max_ms) if clocks else (-1, -1))
                return
            row.receptions += count
            row.span = max(row.span, last_t - first_t)
            row.forget_recent((max_boot, max_ms) if clocks else (-1, -1))
        times = {max_boot: [min_ms, max_ms]} if clocks else {}
        near = min_boot == max_boot and max_ms - min_ms <= CLOCK_RANGE
        if clocks and not (clocks == 1 and (min_boot, min_ms) > row.max_clock and near):
            if not near:
                times = _clocks_of(block)
            others = self._others(commit, row, block, times)
            if others is not None:
                self._merge(commit, row, block_key, block, rank, times, others)
                row.max_clock = max(row.max_clock, (max_boot, max_ms))
                return
        # No reading in here has been heard before.
        row.points += count
        commit.puts[block_key] = b"\0" + block
        if row.rank is None or rank > row.rank:
            row.rank = rank
            row.t = last_t
            row.data = last_text
            row.clocked = last_clocked == 1
            row.boot, row.ms = last_boot, last_ms
        if clocks:
            row.max_clock = max(row.max_clock, (max_boot, max_ms))
            for boot, found in times.items():
                self._enter(commit, row, block_key, boot, found)

    def _add_left(
        self, commit: Commit, row: Row, block_key: bytes, block: bytes, rank: Rank, max_clock: tuple[int, int]
    ) -> None:
        """Add what has not expired of a block that begins before the row's floor."""
        t = codec.decode_blocks(block, *whole(block))[2].t
        left = len(t) - bisect_left(t, row.floor)
        if left:
            row.forget_recent(max_clock)
            row.receptions += left
            row.span = max(row.span, t[-1] - t[0])
            times = _clocks_of(block)
            others = self._others(commit, row, block, times) or []
            self._merge(commit, row, block_key, block, rank, times, others)
            row.max_clock = max(row.max_clock, max_clock)

    def _others(
        self, commit: Commit, row: Row, block: bytes, times: dict[int, list[int]]
    ) -> list[tuple[bytes, bytes]] | None:
        """Key and value of the row's blocks that have readings of *block*; None: there is none that is heard twice."""
        near = [self.blocks_with(commit, row, boot, found[0], found[-1]) for boot, found in times.items()]
        others = [(key, commit.get(key) or b"") for key in set().union(*near)]
        values = [value for _, value in others]
        offsets = offsets_of([len(block), *map(len, values)])
        heads = [0, *map(head_size, values)]
        starts = array("Q", map(int.__add__, offsets, heads))
        shared = codec.shared_readings(b"".join([block, *values]), starts, offsets[1:])
        return [other for other, shares in zip(others, shared[1:], strict=True) if shares] if any(shared) else None

    def _merge(
        self,
        commit: Commit,
        row: Row,
        block_key: bytes,
        block: bytes,
        rank: Rank,
        times: dict[int, list[int]],
        others: list[tuple[bytes, bytes]],
    ) -> None:
        """Add a block with readings that were heard before: twice in itself, or in *others*."""
        receptions = self.receptions_in(block_key, block, row.floor)
        shown: dict[tuple[int, int], Heard] = {}
        for other_key, other in others:
            hidden = hidden_of(other)
            heard = self.receptions_in(other_key, other[len(pack_hidden(hidden)) :], row.floor, receptions)
            for identity, found in heard.items():
                if identity is not None:
                    shown.update((identity, one) for one in found if one.index not in hidden)

        hide: dict[bytes, set[int]] = {block_key: set()}
        for identity, found in receptions.items():
            if identity is None:
                row.points += len(found)
                continue
            for reception in found:
                before = shown.get(identity)
                if before is None:
                    row.points += 1
                    shown[identity] = reception
                elif reception.rank < before.rank:
                    hide.setdefault(before.block, set()).add(before.index)
                    shown[identity] = reception
                else:
                    hide[block_key].add(reception.index)
        for key, indices in hide.items():
            if key == block_key:
                commit.put(key, pack_hidden(sorted(indices)) + block)
            else:
                value = commit.get(key)
                assert value is not None
                hidden = hidden_of(value)
                commit.put(key, pack_hidden(sorted(indices.union(hidden))) + value[len(pack_hidden(hidden)) :])
        all_hidden = len(hide[block_key]) == rank[4] + 1
        for boot, found_times in times.items():
            self._enter(commit, row, block_key, boot, found_times, all_hidden)
        self._update_last(row, rank, receptions, shown)

    @staticmethod
    def _update_last(
        row: Row,
        rank: Rank,
        receptions: dict[tuple[int, int] | None, list[Heard]],
        shown: dict[tuple[int, int], Heard],
    ) -> None:
        identity = (row.boot, row.ms) if row.clocked else None
        if row.rank is None or rank > row.rank:
            row.rank = rank
            identity, last = next(
                (identity, one) for identity, found in receptions.items() for one in found if one.index == rank[4]
            )
            row.clocked = identity is not None
            row.boot, row.ms = identity or (0, 0)
            row.t, row.data = last.t, last.data
        if identity in shown:
            row.t, row.data = shown[identity].t, shown[identity].data

    def receptions_in(
        self, block_key: bytes, block: bytes, floor: int, wanted: Container[tuple[int, int] | None] | None = None
    ) -> dict[tuple[int, int] | None, list[Heard]]:
        """The receptions from *floor* on in a block, by (boot, ms) or None; all, or those of *wanted* readings."""
        _, log, change = keys.parse_history(block_key)
        uuid = self._logs.by_number[log].uuid
        _, (write_time,), points = codec.decode_blocks(block, *whole(block))
        found: dict[tuple[int, int] | None, list[Heard]] = {}
        for index, (clocked, boot, ms) in enumerate(zip(points.clocked, points.boot, points.ms, strict=True)):
            identity = (boot, ms) if clocked else None
            if (wanted is None or identity in wanted) and points.t[index] >= floor:
                rank = write_time < SET_CLOCK, points.t[index], uuid, change, index
                data = bytes(points.data[points.starts[index] : points.ends[index]])
                found.setdefault(identity, []).append(Heard(rank, block_key, data))
        return found

    def blocks_with(
        self, commit: Commit, row: Row, boot: int, first_ms: int, last_ms: int, hidden: bool = False
    ) -> set[bytes]:
        """The keys of the row's blocks that may hold readings of *boot* from *first_ms* to *last_ms*.

        Blocks that were wholly hidden from the start are left out, unless *hidden*.
        """
        found = {
            block
            for entries in (_entries(commit), commit.hidden_entries)[: 1 + hidden]
            for other_boot, low, high, block in entries.get(row.suffix, ())
            if other_boot == boot and low <= last_ms and high >= first_ms
        }
        start = keys.clock_from(row.suffix, boot, first_ms)
        stop = keys.after(keys.clock_from(row.suffix, boot, min(last_ms + row.widest, UINT64_MAX)))
        # There may be dozens: so their bytes are compared and put together as they stand.
        last = last_ms.to_bytes(8, "big")
        found.update(
            row.history_key + value[8:16] + key[-8:]
            for key, value in self._store.scan(start, stop)
            if value[:8] <= last and (hidden or len(value) == _ENTRY.size)
        )
        return {block for block in found if commit.puts.get(block, b"") is not None}

    def entries_of(
        self, row: Row, block_key: bytes, boot: int, first_ms: int, last_ms: int
    ) -> Iterator[tuple[bytes, bytes]]:
        """A block's entries in the clock index that end from *first_ms* to *last_ms* of *boot*, as they are stored."""
        place = keys.parse_history(block_key)[1:]
        start = keys.clock_from(row.suffix, boot, first_ms)
        for key, value in self._store.scan(start, keys.after(keys.clock_from(row.suffix, boot, last_ms))):
            if keys.parse_clock(key)[2:] == place:
                yield key, value

    def unhide(self, commit: Commit, changed: Commit, row: Row, clock: tuple[int, int], one: Heard) -> None:
        """Show *one*, a reception of the reading *clock* that was hidden: what *changed* gets belongs to *commit*."""
        value = changed.get(one.block)
        assert value is not None
        hidden = hidden_of(value)
        rest = value[len(pack_hidden(hidden)) :]
        changed.put(one.block, pack_hidden([index for index in hidden if index != one.index]) + rest)
        boot, ms = clock
        first_t, log, change = keys.parse_history(one.block)
        entries = [
            (low, high)
            for other, low, high, block in commit.hidden_entries.get(row.suffix, ())
            if block == one.block and other == boot
        ]
        for key, value in self.entries_of(row, one.block, boot, ms, min(ms + row.widest, UINT64_MAX)):
            if len(value) > _ENTRY.size:
                entries.append((_ENTRY.unpack_from(value)[0], keys.parse_clock(key)[1]))
        for low, high in entries:
            if low <= ms <= high:
                entry = keys.clock_range(row.suffix, boot, high, log, change)
                changed.put(entry, _ENTRY.pack(low, first_t + _BIAS))
                commit.clock_entries.setdefault(row.suffix, []).append((boot, low, high, one.block))

    def receptions(self, commit: Commit, row: Row, boot: int, ms: int) -> list[Reception]:
        """All receptions of one reading, the one shown first."""
        found = []
        for block_key in self.blocks_with(commit, row, boot, ms, ms, hidden=True):
            value = commit.get(block_key)
            if value is None:
                continue
            block = value[head_size(value) :]
            _, log, change = keys.parse_history(block_key)
            write_time = codec.summarize_blocks(block, *whole(block)).write_times[0]
            for one in self.receptions_in(block_key, block, row.floor).get((boot, ms), ()):
                uuid = str(uuids.UUID(bytes=self._logs.by_number[log].uuid))
                found.append((one.rank, Reception(uuid, change, one.index, write_time, one.t, one.data)))
        return [reception for _, reception in sorted(found, key=lambda pair: pair[0])]

    @staticmethod
    def _enter(
        commit: Commit, row: Row, block_key: bytes, boot: int, times: list[int], all_hidden: bool = False
    ) -> None:
        """Enter a block's readings of *boot*, at sorted *times*, into the clock index.

        A block that is *all_hidden* has nothing that a later reading could be compared with: its entries say so.
        """
        first_t, log, change = keys.parse_history(block_key)
        low = high = times[0]
        for ms in [*times[1:], None]:
            if ms is not None and ms - low <= CLOCK_RANGE:
                high = ms
                continue
            entry = _ENTRY.pack(low, first_t + _BIAS)
            commit.put(keys.clock_range(row.suffix, boot, high, log, change), entry + b"\0" if all_hidden else entry)
            entries = commit.hidden_entries if all_hidden else commit.clock_entries
            entries.setdefault(row.suffix, []).append((boot, low, high, block_key))
            row.widest = max(row.widest, high - low)
            if ms is not None:
                low = high = ms


def _entries(commit: Commit) -> dict[bytes, list[tuple[int, int, int, bytes]]]:
    """``commit.clock_entries``, with those of the blocks put at last."""
    commit.unpack()
    for puts in commit.blocks:
        items = iter(puts)
        for key, value in zip(items, items, strict=True):
            if key.startswith(keys.CLOCK):
                boot, high, log, change = keys.parse_clock(key)
                low, biased_t = _ENTRY.unpack(value)
                suffix = keys.clock_row(key)
                block = keys.history_block(suffix, biased_t - _BIAS, log, change)
                commit.clock_entries.setdefault(suffix, []).append((boot, low, high, block))
    commit.blocks.clear()
    return commit.clock_entries


def _clocks_of(block: bytes) -> dict[int, list[int]]:
    """The ms of a block's readings, rising, by boot."""
    points = codec.decode_blocks(block, *whole(block)).points
    found: dict[int, list[int]] = {}
    for clocked, boot, ms in sorted(set(zip(points.clocked, points.boot, points.ms, strict=True))):
        if clocked:
            found.setdefault(boot, []).append(ms)
    return found
