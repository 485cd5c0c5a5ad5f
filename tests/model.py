"""The plain model: what a database has to show of a set of receptions and metadata edits, in dicts and lists.

It knows nothing of blocks, indices or the order in which things arrived: it gathers everything and takes the rules of
merging word by word.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

SET_CLOCK = 1_767_225_600_000_000
DAY = 86_400_000_000


class Row(NamedTuple):
    """A series, wherever it is."""

    uid: str
    scout: int
    report: str


class Reception(NamedTuple):
    """One arrival of a reading."""

    row: Row
    log: bytes
    change: int
    index: int
    write_time: int
    t: int
    clock: tuple[int, int] | None
    raw: bytes

    @property
    def identity(self) -> tuple[Any, ...]:
        return self.clock if self.clock is not None else (self.log, self.change, self.index)

    @property
    def shown_rank(self) -> tuple[Any, ...]:
        """The smallest of a reading's receptions is the one shown."""
        return self.write_time < SET_CLOCK, self.t, self.log, self.change, self.index

    @property
    def last_rank(self) -> tuple[Any, ...]:
        """The greatest of all receptions is that of the last value."""
        return min(self.t, self.write_time), self.t, self.log, self.change, self.index

    @property
    def order(self) -> tuple[Any, ...]:
        return self.t, self.log, self.change, self.index

    @property
    def plain(self) -> dict[str, Any]:
        boot, ms = self.clock or (None, None)
        return {"t": self.t, "boot": boot, "ms": ms, "data": self.raw.decode()}


class Edit(NamedTuple):
    """One metadata change of a troop, or of a scout of it."""

    uid: str
    scout: int | None
    log: bytes
    at: int
    set: dict[str, Any]
    unset: tuple[str, ...] = ()
    deletes: bool = False
    creates: bool = False


@dataclass
class Content:
    """What every replica shows that holds these receptions and edits."""

    receptions: defaultdict[Row, list[Reception]] = field(default_factory=lambda: defaultdict(list))
    edits: list[Edit] = field(default_factory=list)

    def add(self, reception: Reception) -> None:
        self.receptions[reception.row].append(reception)

    def since(self, floor: Callable[[str], int]) -> Content:
        """What is left where the receptions of each report before its *floor* have expired."""
        left = Content(edits=self.edits)
        for row, receptions in self.receptions.items():
            if kept := [one for one in receptions if one.t >= floor(row.report)]:
                left.receptions[row] = kept
        return left

    # --- sensor data ---

    def heard(self, row: Row, boot: int, ms: int) -> list[Reception]:
        """All receptions of one reading, the shown one first."""
        return sorted((one for one in self.receptions[row] if one.clock == (boot, ms)), key=lambda one: one.shown_rank)

    def history(self, row: Row) -> list[Reception]:
        shown: dict[tuple[Any, ...], Reception] = {}
        for one in self.receptions.get(row, ()):
            other = shown.get(one.identity)
            if other is None or one.shown_rank < other.shown_rank:
                shown[one.identity] = one
        return sorted(shown.values(), key=lambda one: one.order)

    def last(self, row: Row) -> Reception | None:
        receptions = self.receptions.get(row)
        if not receptions:
            return None
        latest = max(receptions, key=lambda one: one.last_rank)
        return next(one for one in self.history(row) if one.identity == latest.identity)

    def rows(self, uid: str, scout: int | None = None) -> list[Row]:
        """The rows of a troop, or of a scout of it, that are not hidden."""
        found = (row for row in self.receptions if row.uid == uid and scout in (None, row.scout))
        return sorted(row for row in found if not self.hidden(uid, row.scout))

    # --- metadata ---

    def _register(self, uid: str, scout: int | None, name: str) -> tuple[bool, Any]:
        """Whether the field is there, and its value."""
        writes = [
            (edit.at, edit.log, name in edit.set, edit.set.get(name))
            for edit in self.edits
            if (edit.uid, edit.scout) == (uid, scout) and (name in edit.set or name in edit.unset)
        ]
        _, _, there, value = max(writes, key=lambda write: write[:2], default=(0, b"", False, None))
        return there, value

    def fields(self, uid: str, scout: int | None = None) -> dict[str, Any]:
        names = {name for edit in self.edits if (edit.uid, edit.scout) == (uid, scout) for name in edit.set}
        found = {name: self._register(uid, scout, name) for name in sorted(names) if not name.startswith("key/")}
        return {name: value for name, (there, value) in found.items() if there}

    def deleted(self, uid: str, scout: int | None = None) -> bool:
        edits = [edit for edit in self.edits if (edit.uid, edit.scout) == (uid, scout)]
        return max(edits, key=lambda edit: (edit.at, edit.log)).deletes if edits else False

    def hidden(self, uid: str, scout: int | None = None) -> bool:
        return self.deleted(uid) or (scout is not None and self.deleted(uid, scout))

    def known(self, uid: str, scout: int | None = None) -> bool:
        """Whether there is metadata of it, deleted or not."""
        return any((edit.uid, edit.scout) == (uid, scout) for edit in self.edits)

    def scouts(self, uid: str) -> list[int]:
        """The scouts of a troop that are not hidden, with metadata or reports."""
        found = {edit.scout for edit in self.edits if edit.uid == uid and edit.scout is not None}
        found |= {row.scout for row in self.receptions if row.uid == uid}
        return sorted(scout for scout in found if not self.hidden(uid, scout))

    def clash(self, uid: str, scout: int) -> bool:
        creators = {edit.log for edit in self.edits if (edit.uid, edit.scout, edit.creates) == (uid, scout, True)}
        return len(creators) > 1

    def by_key(self, digest: str) -> str | None:
        """The troop that a key of this digest stands for."""
        uids = sorted({edit.uid for edit in self.edits})
        claims = [uid for uid in uids if self._register(uid, None, f"key/{digest}") == (True, True)]
        if claims:
            return claims[0]
        own = digest in uids and self._register(digest, None, f"key/{digest}") != (True, False)
        return digest if own else None

    # --- everything ---

    def dump(self) -> Iterator[dict[str, Any]]:
        """The canonical content, as ``Database.dump`` gives it."""
        uids = {edit.uid for edit in self.edits} | {row.uid for row in self.receptions}
        for uid in sorted(uids):
            if self.deleted(uid):
                continue
            if self.known(uid):
                yield {"uid": uid, "fields": self.fields(uid)}
            rows = self.rows(uid)
            for scout in self.scouts(uid):
                if self.known(uid, scout):
                    yield {"uid": uid, "scout": scout, "fields": self.fields(uid, scout)}
                for row in rows:
                    if row.scout == scout:
                        about = {"uid": uid, "scout": scout, "report": row.report}
                        last = self.last(row)
                        assert last is not None
                        yield {**about, "last": last.plain}
                        yield from ({**about, "point": one.plain} for one in self.history(row))


class Clock:
    """Write times, as designed."""

    def __init__(self) -> None:
        self.now = SET_CLOCK
        self.last = 0

    def take(self, count: int = 1) -> int:
        follows = self.last + 1
        first = max(self.now, follows)
        if self.now >= SET_CLOCK and self.now < follows - DAY:
            first = self.now
        self.last = first + count - 1
        return self.last


class Sent(NamedTuple):
    """A report as its sender has it."""

    row: Row
    t: int | None
    clock: tuple[int, int] | None
    raw: bytes


MAX_BLOCK_SPAN = 3_600_000_000
MAX_BLOCK_POINTS = 512


@dataclass
class Writer:
    """A database that writes: content, local ids, and how its log grows; only the log's uuid is not foretold."""

    max_change: int
    content: Content = field(default_factory=Content)
    clock: Clock = field(default_factory=Clock)
    ids: dict[str, int] = field(default_factory=dict)
    log: bytes = b""
    head: int = 0
    versions: defaultdict[Any, int] = field(default_factory=lambda: defaultdict(int))
    next_troop: int = 1
    next_scout: defaultdict[str, int] = field(default_factory=lambda: defaultdict(lambda: 1))

    def uid_of(self, troop: int) -> str:
        return next(uid for uid, known in self.ids.items() if known == troop)

    def allocate(self, uid: str, wanted: int | None) -> int:
        used = set(self.ids.values())
        if wanted is None:
            while self.next_troop in used:
                self.next_troop += 1
            wanted = self.next_troop
            self.next_troop += 1
        self.ids[uid] = wanted
        return wanted

    def allocate_scout(self, uid: str) -> int:
        used = {edit.scout for edit in self.content.edits if edit.uid == uid}
        used |= {row.scout for row in self.content.receptions if row.uid == uid and self.content.receptions[row]}
        while self.next_scout[uid] in used:
            self.next_scout[uid] += 1
        self.next_scout[uid] += 1
        return self.next_scout[uid] - 1

    def _follow(self, log: bytes, changes: int, versions: dict[Any, int]) -> None:
        """*log* is the one the database says it wrote to: a new one exactly if there was no room."""
        full = self.head + changes > self.max_change or any(
            self.versions[row] + more > self.max_change for row, more in versions.items()
        )
        assert (log != self.log) == full, f"log {log.hex()} after {self.log.hex()}, {self.head} changes, full: {full}"
        if log != self.log:
            self.log, self.head = log, 0
            self.versions.clear()
        for row, more in versions.items():
            self.versions[row] += more

    def blocks(self, batch: list[Sent]) -> list[list[Sent]]:
        """A batch as the blocks of its changes, the points in each by time."""
        rows: dict[Row, list[Sent]] = {}
        for sent in batch:
            rows.setdefault(sent.row, []).append(sent)
        found: list[list[Sent]] = []
        for members in rows.values():
            block: list[Sent] = []
            for sent in sorted(members, key=lambda one: one.t or 0):
                assert sent.t is not None
                if not block or len(block) >= MAX_BLOCK_POINTS or sent.t - (block[0].t or 0) > MAX_BLOCK_SPAN:
                    block = []
                    found.append(block)
                block.append(sent)
        return found

    def report(self, batch: list[Sent], log: bytes) -> list[Sent]:
        """One commit of reports, which went to *log*; returns them with their times."""
        if not batch:
            return []
        missing = sum(sent.t is None for sent in batch)
        last = self.clock.take(missing or 1)
        stamps = iter(range(last - missing + 1, last + 1))
        batch = [sent._replace(t=next(stamps)) if sent.t is None else sent for sent in batch]
        blocks = self.blocks(batch)
        versions: defaultdict[Any, int] = defaultdict(int)
        for block in blocks:
            versions[block[0].row] += len(block)
        self._follow(log, len(blocks), versions)
        for block in blocks:
            self.head += 1
            for index, (row, t, clock, raw) in enumerate(block):
                assert t is not None
                self.content.add(Reception(row, log, self.head, index, last, t, clock, raw))
        return batch

    def edit(
        self,
        log: bytes,
        uid: str,
        scout: int | None = None,
        fields: dict[str, Any] | None = None,
        unset: tuple[str, ...] = (),
        deletes: bool = False,
    ) -> None:
        """One metadata edit, which went to *log*."""
        greatest = max((edit.at for edit in self.content.edits if (edit.uid, edit.scout) == (uid, scout)), default=0)
        at = max(self.clock.take(), greatest + 1)
        creates = not self.content.known(uid, scout)
        self._follow(log, 1, {(uid, scout): 0 if deletes else 1})
        if deletes:
            self.versions[uid, scout] = 0
        self.head += 1
        plain = json.loads(json.dumps(fields or {}))
        self.content.edits.append(Edit(uid, scout, log, at, plain, unset, deletes, creates))
