"""The append-only logs: our own, which only we append to, and a copy of every other that we know."""

from __future__ import annotations

import heapq
import uuid as uuids
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from struct import Struct
from typing import Final, NamedTuple

from scoutcore import codec, keys
from scoutcore.changes import DIGEST_BYTES, Position
from scoutcore.changes.position import MARKER
from scoutcore.clock import WriteClock
from scoutcore.codec.constants import MARKER_BYTES, UINT32_MAX, UUID_BYTES
from scoutcore.commit import Commit
from scoutcore.errors import CodecError, NotFoundError
from scoutcore.store import Store

_STATE: Final = Struct(">IIIIq")
_GAP: Final = Struct(">III?")
_TAIL_BYTES: Final = MARKER_BYTES - 1
_BEGIN: Final = MARKER[0]
OWN: Final = keys.META + b"own"
"""Our own log's uuid, and the fingerprint of the database that writes it."""
SECTIONS: Final = {"sensor": keys.LOG_SENSOR, "troop": keys.LOG_TROOP}


class Gap(NamedTuple):
    """Packed changes that cannot be read: their changes file is damaged. Peers are asked for them."""

    first: int
    have: int
    """The last one that has come again; it stays in LevelDB until all have, and the file is made whole."""
    last: int
    shown: bool
    """Whether the views have them all the same."""

    @classmethod
    def load(cls, record: bytes | None) -> list[Gap]:
        """The gaps of a record."""
        return [cls._make(fields) for fields in _GAP.iter_unpack(record or b"")]


def is_rest(uuid: bytes) -> bool:
    """Whether a log is the rest of one that went two ways: by its UUID's version, see :mod:`scoutcore.forks`."""
    return uuid[6] >> 4 == 8


@dataclass(slots=True)
class Log:
    """What is known of one log. ``number`` is its local name, short enough for keys.

    Years of restored backups and exchanged disks make thousands of logs that have ended: each is kept small.
    """

    uuid: bytes
    number: int
    base: int = 0
    """The last change that is not here at the front: it was dropped, or never was in this log."""
    origin: int = 0
    """The last change before the log's first: not 0 where it is the rest of a log that went two ways."""
    head: int = 0
    """The last change held."""
    packed: Position = field(default_factory=Position)
    """How far it stands in changes files: a record of its own, which the packer keeps."""
    written: int = 0
    """When its last change was written, if it is ours: no write time before it is given again."""
    tail: bytes = b""
    """As much of the end of its frames as a marker begins with: mostly nothing."""
    gaps: list[Gap] = field(default_factory=list)
    """What is damaged in its files, in order."""

    @property
    def state_key(self) -> bytes:
        """The key of its record in LevelDB."""
        return keys.LOG_STATE + self.uuid

    @property
    def marker(self) -> bytes:
        """Its uuid frame."""
        return MARKER + self.uuid

    def keep_tail(self, frames: bytes) -> None:
        """Keep the ``tail``, now that *frames* follow."""
        end = (self.tail + frames[-_TAIL_BYTES:])[-_TAIL_BYTES:]
        at = end.find(_BEGIN)
        while at >= 0 and not self.marker.startswith(end[at:]):
            at = end.find(_BEGIN, at + 1)
        self.tail = end[at:] if at >= 0 else b""

    def chunk_key(self, subset: str, first: int, last: int) -> bytes:
        """The key of a chunk of it: the changes *first* to *last*, all of one subset."""
        return keys.log_chunk(SECTIONS[subset], self.uuid, first, last)

    @property
    def gap(self) -> Gap | None:
        """The first gap in which changes are missing."""
        return next((gap for gap in self.gaps if gap.have < gap.last), None)

    @property
    def whole(self) -> int:
        """The last change before the first that is missing: so far it is given to others."""
        return self.gap.have if self.gap else self.head

    @property
    def missing(self) -> int:
        """How many changes are missing."""
        return sum(gap.last - gap.have for gap in self.gaps)

    def spans(self, head: int) -> Iterator[tuple[int, int]]:
        """The changes that can be read, up to *head*: behind which, and up to which."""
        after = self.base
        for gap in self.gaps:
            yield after, gap.first - 1
            yield gap.first - 1, gap.have
            after = gap.last
        yield after, head

    def dump_gaps(self) -> bytes | None:
        """The record of its gaps; None where there is none."""
        return b"".join(_GAP.pack(*gap) for gap in self.gaps) or None

    def dump(self) -> bytes:
        """The log's record in LevelDB."""
        return _STATE.pack(self.number, self.base, self.origin, self.head, self.written) + self.tail

    @classmethod
    def load(cls, uuid: bytes, record: bytes, packed: bytes | None) -> Log:
        """The log of a record made by :meth:`dump`, and that of its packing."""
        number, base, origin, head, written = _STATE.unpack_from(record)
        position = Position.load(packed) if packed else Position()
        return cls(uuid, number, base, origin, head, position, written, record[_STATE.size :])


class Logs:
    """All logs of a database, by uuid and by local number."""

    def __init__(
        self,
        store: Store,
        identity: bytes,
        clock: WriteClock | None = None,
        max_change: int = UINT32_MAX,
        record_every: int = 1,
    ) -> None:
        """Load them.

        Args:
            identity: the fingerprint of this very database: where it changed, our log of before has ended.
            clock: goes on where our last log says.
            max_change: the last number that a log gives.
            record_every: by how many changes of our own the log's record may be behind, where single reports come: of
                what is made safe against power loss it tells in any case.
        """
        self._store = store
        self._clock = clock or WriteClock()
        self._identity = identity
        self._max_change = max_change
        self._record_every = record_every
        self.by_uuid: dict[bytes, Log] = {}
        self.by_number: list[Log] = []
        records = store.scan(keys.LOG_STATE, keys.after(keys.LOG_STATE))
        loaded = [
            Log.load(uuid := key[len(keys.LOG_STATE) :], value, store.get(keys.PACKED + uuid)) for key, value in records
        ]
        for log in loaded:
            log.gaps = Gap.load(store.get(keys.GAPS + log.uuid))
        for log in sorted(loaded, key=lambda log: log.number):
            self.by_uuid[log.uuid] = log
            self.by_number.append(log)
        self.rests = [log for log in self.by_number if is_rest(log.uuid)]
        """Those that are the rest of a log that went two ways."""
        own = store.get(OWN) or b""
        last = self.by_uuid.get(own[:16])
        self.uuids = b"".join(log.uuid for log in self.by_number)
        """The logs' uuids by local number, one after another."""
        self.own: Log | None = last if own[16:] == identity else None
        self._recorded = last.head if last is not None else 0
        """The last change of our own log that its record tells of."""
        if last is not None:
            self._read_on(last)
            self._clock.last = max(self._clock.last, last.written)
        self._ended = last if self.own is None else None
        """Our own log of before."""
        self._stored = (b"", 0)
        """Our own log's uuid and last change, as they are stored."""
        self.stored()

    def _read_on(self, log: Log) -> None:
        """Take up what our own log has behind its record: single reports."""
        for _, last, _, frames in self.chunks(log, log.head + 1):
            log.head = last
            log.keep_tail(frames)
            with suppress(CodecError, IndexError):  # who verifies it finds that
                columns = codec.decode_changes(frames, codec.scan_frames(frames))
                blocks = codec.summarize_blocks(columns.value_data, columns.value_starts, columns.value_ends)
                log.written = blocks.write_times[-1]

    def holes(self) -> Iterator[tuple[Log, int]]:
        """The logs that miss changes which their record or a chunk has, and the last change before the first gap."""
        # One scan for all of them: what was packed of a log leaves marks in LevelDB, which a scan of any log before it
        # has to pass.
        reached = {log.uuid: log.packed.last for log in self.by_number}
        torn: set[bytes] = set()
        for uuid, first, last in self._chunk_names():
            log = self.by_uuid.get(uuid)
            if log is None or first <= log.packed.last or uuid in torn:
                continue
            if first == reached[uuid] + 1:
                reached[uuid] = last
            else:
                torn.add(uuid)
        for log in self.by_number:
            if log.uuid in torn or reached[log.uuid] != log.head:
                yield log, reached[log.uuid]

    def _chunk_names(self) -> Iterator[tuple[bytes, int, int]]:
        """Log, first and last change of all chunks in LevelDB, in order."""

        def section(name: bytes) -> Iterator[tuple[bytes, int, int]]:
            for key, _ in self._store.scan(name, keys.after(name), once=True):
                yield key[len(name) : len(name) + UUID_BYTES], *keys.parse_log_chunk(key)

        return heapq.merge(*map(section, SECTIONS.values()))

    def emptied_gaps(self) -> Iterator[tuple[Log, list[Gap]]]:
        """The logs of whose gaps less has come again than their record says, and these gaps as they are."""
        for log in self.by_number:
            gaps = []
            for gap in log.gaps:
                have = gap.first - 1
                for first, last, _, _ in self.chunks(log, gap.first):
                    if first != have + 1 or last > gap.have:
                        break
                    have = last
                gaps.append(gap._replace(have=have))
            if gaps != log.gaps:
                yield log, gaps

    def cut(self, log: Log, last: int) -> dict[bytes, bytes | None]:
        """The puts that cut *log* off behind change *last*."""
        puts: dict[bytes, bytes | None] = {key: None for _, _, key, _ in self.chunks(log, last + 1)}
        log.head, log.tail = last, b""
        if log is self.own:
            self.own = None  # what follows goes to a new log: no number is ever given twice
            puts[OWN] = None
        return {**puts, keys.LOG_STATE + log.uuid: log.dump()}

    def get(self, uuid: bytes) -> Log:
        """The log *uuid*; raises NotFoundError."""
        try:
            return self.by_uuid[uuid]
        except KeyError:
            raise NotFoundError(f"no log {uuids.UUID(bytes=uuid)} here") from None

    def stored_head(self, log: Log) -> int:
        """The last change of *log* that is stored; ``log.head`` counts those of the commit under way too."""
        own, head = self._stored
        return head if own == log.uuid else self.recorded_head(log)

    def recorded_head(self, log: Log) -> int:
        """The last change of *log* that its record tells of: of our own there may be some more."""
        record = self._store.get(keys.LOG_STATE + log.uuid)
        return Log.load(log.uuid, record, None).head if record else 0

    def stored(self) -> None:
        """A commit is stored: nothing is under way now."""
        if self.own is not None:
            self._stored = self.own.uuid, self.own.head

    @property
    def recorded(self) -> bool:
        """Whether the record of our own log tells of all its changes."""
        return self.own is None or self._recorded == self.own.head

    def record(self, commit: Commit) -> None:
        """Record our own log as it stands."""
        if self.own is not None:
            self._put_record(commit, self.own)

    def _put_record(self, commit: Commit, log: Log) -> None:
        commit.put(log.state_key, log.dump())
        if log is self.own:
            self._recorded = log.head

    def stored_position(self, log: Log) -> Position:
        """How far *log* is packed as LevelDB has it: in the write that drops chunks, not a moment later."""
        record = self._store.get(keys.PACKED + log.uuid)
        return Position.load(record) if record else Position()

    def add(
        self, commit: Commit, uuid: bytes, base: int = 0, origin: int = 0, digest: bytes = bytes(DIGEST_BYTES)
    ) -> Log:
        """A further log, empty so far, that goes on behind change *base*; *digest* is that of the check before."""
        log = Log(uuid, len(self.by_number), base, origin, base)
        if base:
            log.packed = Position(base, digest=digest, head=digest)
            commit.put(keys.PACKED + uuid, log.packed.dump())
        self.by_uuid[uuid] = log
        self.by_number.append(log)
        if is_rest(uuid):
            self.rests.append(log)
        self.uuids += uuid
        commit.put(keys.LOG_STATE + uuid, log.dump())
        return log

    def start_own(self, commit: Commit) -> Log:
        """A new log of our own; the one before, if any, has ended."""
        for log in (self.own, self._ended):
            if log is not None:
                self._put_record(commit, log)
        self._forget_unused(commit)
        self.own = self.add(commit, uuids.uuid4().bytes)
        self.own.written = self._clock.last
        self._put_record(commit, self.own)
        commit.put(OWN, self.own.uuid + self._identity)
        return self.own

    def _forget_unused(self, commit: Commit) -> None:
        """Forget our log of before if nothing was written to it, and no other has come since: its number is free."""
        unused, self._ended = self._ended, None
        if unused is not None and not unused.head and unused is self.by_number[-1]:
            commit.put(unused.state_key, None)
            del self.by_uuid[unused.uuid], self.by_number[-1]
            self.uuids = self.uuids[:-UUID_BYTES]

    def room_for_one(self, commit: Commit) -> Log:
        """Our own log, with a number left for another change."""
        if self.own is None or self.own.head >= self._max_change:
            return self.start_own(commit)
        return self.own

    def fits(self, log: Log, frames: bytes) -> bool:
        """Whether *frames* can follow in *log* without imitating its uuid frame."""
        # Most single reports do not have the byte, which "in" finds out at once; for bytes find is faster.
        if _BEGIN in frames and frames.find(log.uuid) >= 0 and frames.find(log.marker) >= 0:
            return False
        return not log.tail or log.marker not in log.tail + frames[:_TAIL_BYTES]

    def append(self, commit: Commit, log: Log, subset: str, frames: bytes, changes: int) -> int:
        """Append *frames*, which hold the next *changes* changes of one subset; returns the first one's number."""
        first = log.head + 1
        last = log.head = log.head + changes
        if log.tail or _BEGIN in frames[-_TAIL_BYTES:]:  # hardly ever
            log.keep_tail(frames)
        if log is self.own:
            log.written = self._clock.last
        commit.log_bytes += len(frames)
        commit.grown[log.uuid] = last
        commit.puts[log.chunk_key(subset, first, last)] = frames
        # What is behind the record is read on from sensor changes alone.
        if log is not self.own or last - self._recorded >= self._record_every or changes > 1 or subset != "sensor":
            self._put_record(commit, log)
        return first

    def fill(self, commit: Commit, log: Log, subset: str, frames: bytes, changes: int) -> Gap:
        """Put *frames*, the next *changes* changes of the first gap, where they can be read; returns what it was."""
        gap = log.gap
        assert gap
        first, have = gap.have + 1, gap.have + changes
        log.gaps[log.gaps.index(gap)] = gap._replace(have=have)
        commit.puts[log.chunk_key(subset, first, have)] = frames
        commit.puts[keys.GAPS + log.uuid] = log.dump_gaps()
        commit.grown[log.uuid] = log.whole
        return gap

    def set_base(self, commit: Commit, uuid: bytes, last: int) -> None:
        """Record that the changes up to *last* are dropped."""
        log = self.get(uuid)
        log.base = last
        self._put_record(commit, log)

    def chunks(self, log: Log, change: int) -> Iterator[tuple[int, int, bytes, bytes]]:
        """First change, last change, key and frames of the chunks in LevelDB that begin at *change* or later."""

        def section(name: bytes) -> Iterator[tuple[int, int, bytes, bytes]]:
            start = keys.log_chunk(name, log.uuid, change, 0)
            for key, frames in self._store.scan(start, keys.after(name + log.uuid), once=True):
                yield *keys.parse_log_chunk(key), key, frames

        return heapq.merge(*map(section, SECTIONS.values()))

    def chunk_with(self, log: Log, change: int) -> tuple[int, bytes] | None:
        """First change and frames of the chunk in LevelDB that has *change*; None: it is in none."""
        for name in SECTIONS.values():
            stop = keys.log_chunk(name, log.uuid, change, UINT32_MAX) + b"\0"
            for key, frames in self._store.scan(keys.log_chunk(name, log.uuid, 0, 0), stop, reverse=True):
                first, last = keys.parse_log_chunk(key)
                if last >= change:
                    return first, frames
                break
        return None
