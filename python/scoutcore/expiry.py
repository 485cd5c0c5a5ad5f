"""Taking what has expired out of a row: its views become those of the receptions that are left."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from scoutcore import codec, keys
from scoutcore.blocks import head_size, hidden_of, pack_hidden, whole
from scoutcore.codec.constants import INT64_MAX, INT64_MIN
from scoutcore.commit import Commit
from scoutcore.log import Logs
from scoutcore.rows import Rank, Row
from scoutcore.store import Store

if TYPE_CHECKING:
    from scoutcore.views import Heard, Views

_Clock = tuple[int, int]


class Expiry:
    """Raises the floors of rows.

    What a commit under way has put lies on or above the floor that is aimed at: floors are given out between commits,
    and what is added obeys them. So what expires is looked for in the store alone.
    """

    def __init__(self, store: Store, logs: Logs, views: Views) -> None:
        self._store = store
        self._logs = logs
        self._views = views

    def raise_floor(self, commit: Commit, row: Row, floor: int, limit: int | None = None) -> int:
        """Let all receptions with ``t`` before *floor* expire; returns how many did.

        With a *limit* of blocks the row's floor may come out lower, but higher than it was; only blocks that begin at
        one and the same time go beyond the limit. It does everything or raises.

        Raises:
            StorageError: the store cannot be read.
        """
        if floor <= row.floor:
            return 0
        blocks: list[bytes] = []
        for key, _ in self._store.scan(*keys.history_range(row.suffix, INT64_MIN, floor)):
            first_t = keys.parse_history(key)[0]
            if limit is not None and len(blocks) >= limit and first_t > row.floor:
                floor = first_t
                break
            blocks.append(key)
        changed = Commit(commit)
        went, points, gone = self._take_away(changed, row, floor, blocks)
        heirs = self._heirs(commit, changed, row, floor, gone) if row.points < row.receptions else {}
        for reading, heir in heirs.items():
            self._views.unhide(commit, changed, row, reading, heir)
        rank, clock = row.rank, (row.boot, row.ms) if row.clocked else None
        last: Heard | None = None
        if rank is not None and rank[1] < floor:
            rank, last, clock = self._last(commit, changed, row, floor)
        elif clock is not None:
            last = heirs.get(clock)
        # Nothing raises any more.
        commit.puts.update(changed.puts)
        row.floor = floor
        row.receptions -= went
        row.points -= points + sum(map(len, gone.values())) - len(heirs)
        row.rank = rank
        row.clocked = clock is not None
        row.boot, row.ms = clock or (0, 0)
        if rank is None:
            row.t, row.data = 0, b""
        elif last is not None:
            row.t, row.data = last.t, last.data
        commit.puts[row.view_key] = row.dump(self._logs)
        return went

    def _take_away(
        self, changed: Commit, row: Row, floor: int, blocks: list[bytes]
    ) -> tuple[int, int, dict[bytes, set[_Clock]]]:
        """Delete the blocks of which nothing is left.

        Returns:
            how many receptions expired; how many of these were readings without a clock that were shown; and of the
            others that were shown which they are, by block.
        """
        went = points = 0
        gone: dict[bytes, set[_Clock]] = {}
        for key in blocks:
            value = changed.get(key)
            if value is None:
                continue  # it went in this very commit
            hidden = set(hidden_of(value))
            block = value[len(pack_hidden(sorted(hidden))) :]
            _, _, columns = codec.decode_blocks(block, *whole(block))
            end = bisect_left(columns.t, floor)
            for index in range(bisect_left(columns.t, row.floor), end):
                went += 1
                if index in hidden:
                    continue
                if columns.clocked[index]:
                    gone.setdefault(key, set()).add((columns.boot[index], columns.ms[index]))
                else:
                    points += 1
            if end == len(columns.t):
                changed.put(key, None)
                clocks = zip(columns.clocked, columns.boot, columns.ms, strict=True)
                for boot, low, high in _spans({(boot, ms) for clocked, boot, ms in clocks if clocked}):
                    for entry, _ in self._views.entries_of(row, key, boot, low, high):
                        changed.put(entry, None)
        return went, points, gone

    def _heirs(
        self, commit: Commit, changed: Commit, row: Row, floor: int, gone: dict[bytes, set[_Clock]]
    ) -> dict[_Clock, Heard]:
        """Of readings the shown reception of which is gone: the one to be shown now, where one is left."""
        heirs: dict[_Clock, Heard] = {}
        for clocks in gone.values():
            for boot, low, high in _spans(clocks):
                for clock, one in self._receptions(commit, changed, row, floor, clocks, (boot, low, high)):
                    if clock not in heirs or one.rank < heirs[clock].rank:
                        heirs[clock] = one
        return heirs

    def _receptions(
        self,
        commit: Commit,
        changed: Commit,
        row: Row,
        floor: int,
        clocks: set[_Clock],
        span: tuple[int, int, int],
        hidden: bool = True,
    ) -> Iterator[tuple[_Clock, Heard]]:
        """The receptions from *floor* on of those of *clocks* that are in *span*: boot, first ms, last ms."""
        for key in self._views.blocks_with(commit, row, *span, hidden=True):
            value = changed.get(key)
            if value is not None:
                wanted = {(boot, ms) for boot, ms in clocks if boot == span[0]}
                indices = hidden_of(value)
                found = self._views.receptions_in(key, value[len(pack_hidden(indices)) :], floor, wanted)
                for clock, heard in found.items():
                    assert clock is not None
                    yield from ((clock, one) for one in heard if hidden or one.index not in indices)

    def _last(
        self, commit: Commit, changed: Commit, row: Row, floor: int
    ) -> tuple[Rank | None, Heard | None, _Clock | None]:
        """Rank, shown reception and (boot, ms) of the last value among what is left."""
        rank: Rank | None = None
        last = b""
        stored = self._store.scan(*keys.history_range(row.suffix, floor - row.span, INT64_MAX + 1))
        pending = [key for key in chain(commit.unpack(), commit.puts) if key.startswith(row.history_key)]
        for key in chain((key for key, _ in stored), pending):
            value = changed.get(key)
            if value is None:
                continue
            block = value[head_size(value) :]
            write_times, counts, _, last_ts, *_ = codec.summarize_blocks(block, *whole(block))
            _, log, change = keys.parse_history(key)
            uuid = self._logs.by_number[log].uuid
            found = min(last_ts[0], write_times[0]), last_ts[0], uuid, change, counts[0] - 1
            if last_ts[0] >= floor and (rank is None or found > rank):
                rank, last = found, key
        if rank is None:
            return None, None, None
        value = changed.get(last)
        assert value is not None
        block = value[head_size(value) :]
        found_in = self._views.receptions_in(last, block, floor)
        clock, one = next((clock, one) for clock, heard in found_in.items() for one in heard if one.index == rank[4])
        if clock is not None:
            span = clock[0], clock[1], clock[1]
            ((_, one),) = self._receptions(commit, changed, row, floor, {clock}, span, hidden=False)
        return rank, one, clock


def _spans(clocks: set[_Clock]) -> Iterator[tuple[int, int, int]]:
    """Each boot, with its first and last ms."""
    boots: dict[int, list[int]] = {}
    for boot, ms in clocks:
        boots.setdefault(boot, []).append(ms)
    for boot, times in boots.items():
        yield boot, min(times), max(times)
