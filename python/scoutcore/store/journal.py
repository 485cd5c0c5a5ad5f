"""A journal before a store: small values are gathered, and put in their places only when many have come together.

LevelDB takes longer to put a small value than it takes to make one, and last values are put again and again. So what is
small in a write becomes one entry of the journal, in one atomic batch with the rest of it, and is kept in memory, too.
From time to time all that was gathered is put where it belongs, again in one batch, and its entries are deleted.

What can be made again of a chunk in the same write is not in the entry a second time. So where chunks are deleted, all
entries go in the same write.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from operator import gt, lt
from struct import Struct
from threading import Lock
from typing import Any, Final, TypeAlias

import msgspec

from scoutcore import keys
from scoutcore.codec.puts import Packed, Puts, all_puts, count_puts, unpack_puts
from scoutcore.errors import StorageError
from scoutcore.store import Store

PREFIX: Final = b"\0j"
"""What the keys of entries begin with, before all other keys. Numbers follow, which rise and are not used again."""
_NUMBER: Final = Struct(">Q")
_WRITE_KEYS: Final = 2048
_WRITE_BYTES: Final = 512 * 1024
_KEY_BYTES: Final = 1024
"""The most of one write that is gathered; bytes of its entry in all and for each key. More is put in place at once."""
_KEYS: Final = 16_384
_BYTES: Final = 4 * 1024 * 1024
"""The most that is gathered: keys, and bytes of entries."""
_UNSAFE: Final = 8
"""As often all may come to its place before the disk is waited for: whoever packs makes it safe meanwhile."""
_FEW: Final = 16
"""Writes of fewer keys are not gathered where nothing is. So many new keys are put into order one by one."""
_ABSENT: Final[Any] = object()

_encode = msgspec.msgpack.Encoder().encode
Part: TypeAlias = bytes | tuple[bytes, bytes]
"""Packed puts; or instead of them the key of a chunk, and what is needed beside it to make them again."""
_decode = msgspec.msgpack.Decoder(Puts | tuple[Puts, list[Part]]).decode
_NOTHING: Final = _encode({})
"""The entry behind all that has come to its place: its number is not used again."""
Again: TypeAlias = Callable[[bytes, bytes, dict[bytes, Any]], bytes]
"""Makes puts, packed, of a chunk and what is needed beside it; the last is for what it keeps from call to call."""


def parts_of(entry: bytes) -> tuple[Puts, list[Part]]:
    """What an entry puts, or with None deletes, and what before that.

    Raises:
        StorageError: it is none.
    """
    try:
        found = _decode(entry)
    except msgspec.DecodeError as problem:
        raise _damaged(problem) from None
    return (found, []) if isinstance(found, dict) else found


def _damaged(problem: Exception) -> StorageError:
    return StorageError(f"an entry of the journal is damaged: {problem}")


class _Gathered:
    """What entries put that has not come to its place. It only grows, and then there is another."""

    def __init__(self, puts: Puts, size: int = 0) -> None:
        self.puts = puts
        """What is put one by one: it comes later than what is ``packed``."""
        self.packed: list[Packed] = []
        """What is put packed: it is unpacked when somebody reads it."""
        self.deletes = _deletes(puts)
        """Whether ``puts`` deletes any of what may be packed."""
        self.size = size
        """What the entries take, in bytes, with what is not in them a second time."""
        self._unpacked: dict[bytes, bytes] = {}
        self._packed_count = 0
        self._read = 0
        """How many of ``packed`` are unpacked."""
        self._order: list[bytes] = []
        self._unordered = list(puts)
        """Together the keys of all that is not packed any more; some more than once."""
        self._lock = Lock()
        """Who adds, unpacks or looks for a range holds it."""

    @property
    def count(self) -> int:
        """How many values it is."""
        return len(self.puts) + self._packed_count

    def add(self, puts: Puts, packed: Sequence[Packed], size: int) -> None:
        """Take up what an entry of *size* bytes puts."""
        with self._lock:
            self.packed += packed  # first: who reads a record is to find its block
            self.puts.update(puts)
            self.deletes = self.deletes or _deletes(puts)
            self._packed_count += count_puts(packed)
            self.size += size
            self._unordered += puts

    def unpacked(self, key: bytes) -> Any:
        """The value of *key* where it is packed, else _ABSENT."""
        if not key.startswith(keys.BLOCKS):
            return _ABSENT
        if self._read < len(self.packed):
            with self._lock:
                self._unpack()
        return self._unpacked.get(key, _ABSENT)

    def range(self, start: bytes, stop: bytes) -> list[tuple[bytes, bytes | None]]:
        """Keys and values from *start* to *stop* (exclusive), in order."""
        with self._lock:
            if start < keys.after(keys.CLOCK) and stop > keys.HISTORY:
                self._unpack()
            order, new = self._order, self._unordered
            if len(new) <= _FEW:
                for key in new:
                    insort(order, key)
            else:
                order += new
                order.sort()
            self._unordered = []
            found = dict.fromkeys(order[bisect_left(order, start) : bisect_left(order, stop)])
            puts, unpacked = self.puts, self._unpacked
            return [(key, puts[key] if key in puts else unpacked[key]) for key in found]

    def _unpack(self) -> None:
        while self._read < len(self.packed):
            items = iter(unpack_puts(self.packed[self._read].puts))
            more = dict(zip(items, items, strict=True))
            self._unpacked.update(more)
            self._unordered += more
            self._read += 1


def _deletes(puts: Puts) -> bool:
    return None in puts.values() and any(value is None and key.startswith(keys.BLOCKS) for key, value in puts.items())


class JournaledStore:
    """A store behind a journal. Nobody else is to write to it."""

    def __init__(self, store: Store, direct: tuple[bytes, bytes], again: Again) -> None:
        """Nothing is read before it has to be.

        Args:
            direct: first key, and the one behind the last, of a range that is put in its place at once, chunks among
                them. Of one write these may be read a moment before the others.
            again: makes of a chunk what is not in an entry.
        """
        self._store = store
        self._direct = direct
        self._again = again
        self._lock = Lock()
        """Who writes or closes holds it."""
        self._gathered: _Gathered | None = None
        """What the entries put; None: they are to be read."""
        self._settled: object | None = None
        """Another one whenever what was gathered has come to its place; None while that is under way."""
        self._entries: list[bytes] = []
        """The keys of the entries of what is gathered."""
        self._past: list[bytes] = []
        """Those of entries of which all has come to its place, in order. They go when that is safe from power cuts."""
        self._begun = b""
        """The key of the first entry behind ``_past``."""
        self._safe = b""
        """The key of an entry: of those before it all is safe."""
        self._unsafe = 0
        """How often all came to its place since it was last made safe."""
        self._next = 0
        """The number of the next."""

    def get(self, key: bytes) -> bytes | None:
        settled, gathered = self._settled, self._gathered
        value: bytes | None
        if gathered is not None:
            value = gathered.puts.get(key, _ABSENT)
            if value is _ABSENT and gathered.packed:
                value = gathered.unpacked(key)
            if value is not _ABSENT:
                return value
            value = self._store.get(key)
            if settled is not None and settled is self._settled:
                return value
        start, stop = self._direct
        if start <= key < stop:
            return self._store.get(key)
        with self._lock:
            gathered = self._load()
            value = gathered.puts.get(key, _ABSENT)
            if value is _ABSENT:
                value = gathered.unpacked(key)
            return self._store.get(key) if value is _ABSENT else value

    def scan(
        self, start: bytes, stop: bytes, reverse: bool = False, *, once: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        settled = self._settled
        if settled is not None:
            found = self._scan(start, stop, reverse, once)
            if settled is self._settled:
                return found
        if self._direct[0] <= start and stop <= self._direct[1]:
            return self._store.scan(start, stop, reverse, once=once)
        with self._lock:
            self._load()
            return self._scan(start, stop, reverse, once)

    def write(self, puts: Mapping[bytes, bytes | None], sync: bool, packed: Sequence[Packed] = ()) -> None:
        start, stop = self._direct
        drops = None in puts.values() and any(value is None and start <= key < stop for key, value in puts.items())
        gathered = self._gathered
        if drops and (gathered is None or gathered.count or self._safe < self._begun):
            self.publish()  # nearly all of what has to be safe then, while nobody waits for the lock
        with self._lock:
            few = len(puts) + count_puts(packed) < _FEW
            if few and self._is_empty:  # there is nothing to gain
                self._store.write(puts, sync, packed)
                return
            if packed and self._load().deletes:  # behind which this may come
                puts, packed = all_puts(puts, packed), ()
            small = dict(puts)
            direct = {key: small.pop(key) for key in [key for key in puts if start <= key < stop]}
            drops = drops and not self._is_empty
            if not small and not packed and not drops:
                self._store.write(direct, sync)
            elif (made := self._entry(direct, small, packed)) is None:
                self._settle(puts, sync, packed)
            elif self._has_room(small, packed, made[1]) and not drops:
                self._gather(direct, small, packed, *made, sync)
            elif few and not drops:
                self._settle(puts, sync, packed)
            else:
                self._begin_anew(direct, small, packed, *made, sync, drops)

    def publish(self) -> None:
        begun = self._begun
        self._store.publish()
        self._safe, self._unsafe = begun, 0

    def size(self, start: bytes, stop: bytes) -> int:
        return self._store.size(start, stop)

    def compact(self, start: bytes, stop: bytes) -> None:
        with self._lock:
            self._settle({}, sync=False)
        self._store.compact(start, stop)

    @contextmanager
    def taken(self) -> Iterator[JournaledStore]:
        with self._lock:
            self._settled = self._gathered = None
            with self._store.taken() as store:
                taken = JournaledStore(store, self._direct, self._again)
                try:
                    yield taken
                finally:
                    self._begun = max(self._begun, taken._begun)  # as far as this is safe, so is that

    def close(self) -> None:
        with self._lock:
            try:
                with suppress(StorageError):  # the journal has it
                    self._settle({}, sync=False, safe=False)  # behind which nothing comes
            finally:
                self._settled, self._gathered = None, _Gathered({})
                self._store.close()

    # --- the lock is held ---

    @property
    def _is_empty(self) -> bool:
        """Whether nothing is gathered, and no entry can come back by a power cut."""
        return not self._load().count and self._safe >= self._begun

    def _load(self) -> _Gathered:
        """What is gathered, read again where need be."""
        if self._gathered is None:
            stop = PREFIX + b"\xff" * (_NUMBER.size + 1)
            entries = list(self._store.scan(PREFIX, stop))
            puts, size = self._read([entry for _, entry in entries])
            self._entries, self._past, self._unsafe = [key for key, _ in entries], [], 0
            self._next = _NUMBER.unpack_from(self._entries[-1], len(PREFIX))[0] + 1 if entries else 0
            self._gathered = _Gathered(puts, size)
            self._settled = object()
        return self._gathered

    def _read(self, entries: Sequence[bytes]) -> tuple[Puts, int]:
        """What *entries* put, and what they take, as :class:`_Gathered` has it."""
        puts: Puts = {}
        size = 0
        known: dict[bytes, Any] = {}
        for entry in entries:  # in order, as what is packed may follow deletes
            size += len(entry)
            small, parts = parts_of(entry)
            packed = []
            for part in parts:
                if isinstance(part, bytes):
                    packed.append(Packed(part))
                elif (chunk := self._store.get(part[0])) is not None:  # else its log has a hole, and is mended
                    packed.append(Packed(self._again(chunk, part[1], known)))
                    size += len(packed[-1].puts)
            try:
                puts.update(all_puts(small, packed))
            except ValueError as problem:
                raise _damaged(problem) from None
        return puts, size

    def _entry(self, direct: Puts, puts: Puts, packed: Sequence[Packed]) -> tuple[bytes, int] | None:
        """The entry that gathers *puts* and what is *packed*, and what it takes in memory; None: they are too large."""
        count = len(puts) + count_puts(packed)
        if not count:
            return _NOTHING, len(_NOTHING)
        if count > _WRITE_KEYS:
            return None
        parts: list[Part] = []
        size = 0
        for one in packed:
            if direct.get(one.chunk) is not None:
                parts.append((one.chunk, one.about))
                size += len(one.puts)
            else:
                parts.append(one.puts)
        entry = _encode((puts, parts) if parts else puts)
        size += len(entry)
        return (entry, size) if size <= min(_WRITE_BYTES, _KEY_BYTES * count) else None

    def _has_room(self, puts: Puts, packed: Sequence[Packed], size: int) -> bool:
        """Whether these can be gathered with what is."""
        gathered = self._load()
        return len(puts) + count_puts(packed) <= _KEYS - gathered.count and size <= _BYTES - gathered.size

    def _gone(self) -> list[bytes]:
        """The entries that may go."""
        return self._past[: bisect_left(self._past, self._safe)]

    def _gather(self, direct: Puts, small: Puts, packed: Sequence[Packed], entry: bytes, size: int, sync: bool) -> None:
        """Write *direct*, and as an *entry* the rest."""
        gathered = self._load()
        gone = self._gone()
        with self._in_doubt():
            self._store.write({**direct, **dict.fromkeys(gone), self._key(): entry}, sync)
            gathered.add(small, packed, size)
            del self._past[: len(gone)]
            self._number()

    def _begin_anew(
        self, direct: Puts, small: Puts, packed: Sequence[Packed], entry: bytes, size: int, sync: bool, drops: bool
    ) -> None:
        """Write *direct* and as an *entry* the rest, and all that was gathered before in its place.

        The entries of that stay until it is safe: LevelDB's log may lose its end in a power cut, and the next may not.
        Until then whatever is newer has an entry, too.

        *drops*: chunks go. So all entries before this one go in the same write; and where that is lost, they are all
        back, and whatever is newer has one.
        """
        gathered = self._load()
        if drops or self._unsafe == _UNSAFE:
            self.publish()
        past, gone = self._past + self._entries, self._past + self._entries if drops else self._gone()
        with self._in_doubt():
            self._settled = None
            try:
                self._store.write(
                    {**gathered.puts, **direct, **dict.fromkeys(gone), self._key(): entry}, sync, gathered.packed
                )
            finally:  # not before: who makes it safe meanwhile may miss it
                self._begun = self._key()
                self._unsafe += 1
            self._past, self._entries = past[len(gone) :], []
            self._number()
            gathered = _Gathered({})
            gathered.add(small, packed, size)
            self._gathered = gathered
            self._settled = object()

    def _settle(
        self, puts: Mapping[bytes, bytes | None], sync: bool, packed: Sequence[Packed] = (), *, safe: bool = True
    ) -> None:
        """Write *puts* and what is *packed*, and all that is gathered in its place; no entry stays.

        *safe*: against power loss: else entries might come back, and hide what is written behind this.
        """
        gathered = self._load()
        if self._is_empty:
            if puts or packed:
                self._store.write(puts, sync, packed)
            return
        if safe:
            self._store.publish()
        with self._in_doubt():
            self._settled = None
            entries = dict.fromkeys(self._past + self._entries)
            everything = {**gathered.puts, **puts, **entries, self._key(): _NOTHING}
            self._store.write(everything, sync or safe, [*gathered.packed, *packed])
            self._past, self._entries, self._safe, self._unsafe = [], [], self._begun, 0
            self._number()
            self._gathered = _Gathered({}, len(_NOTHING))
            self._settled = object()

    @contextmanager
    def _in_doubt(self) -> Iterator[None]:
        """What is written in here may be stored or not where it fails or is interrupted: then all is read again."""
        try:
            yield
        except BaseException:
            self._settled = self._gathered = None
            raise

    def _key(self) -> bytes:
        """The key of the next entry."""
        return PREFIX + _NUMBER.pack(self._next)

    def _number(self) -> None:
        """Count an entry that was written."""
        self._entries.append(self._key())
        self._next += 1

    # --- whoever reads ---

    def _scan(self, start: bytes, stop: bytes, reverse: bool, once: bool) -> Iterator[tuple[bytes, bytes]]:
        now = self._gathered
        gathered = now.range(start, stop) if now is not None and now.count else []
        stored = self._store.scan(start, stop, reverse, once=once)
        return _merged(gathered, stored, reverse) if gathered else stored


def _merged(
    gathered: list[tuple[bytes, bytes | None]], stored: Iterator[tuple[bytes, bytes]], reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    """What is *stored*, but for the keys of *gathered*, which has later values; both are in order."""
    before = gt if reverse else lt
    item = next(stored, None)
    for key, value in reversed(gathered) if reverse else gathered:
        while item is not None and before(item[0], key):
            yield item
            item = next(stored, None)
        if item is not None and item[0] == key:
            item = next(stored, None)
        if value is not None:
            yield key, value
    if item is not None:
        yield item
        yield from stored
