"""Blocks in groups: whoever reads finds what was put, as if each had a key of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

import scoutcore
from scoutcore import keys
from scoutcore.codec.constants import GROUP_BYTES, GROUP_SPAN, INT64_MAX, INT64_MIN
from scoutcore.codec.puts import GROUP, Packed, pack_puts
from scoutcore.errors import StorageError
from scoutcore.recovery import layered
from scoutcore.store import Store, journal
from scoutcore.store.grouped import GroupedStore
from scoutcore.store.leveldb import LevelDBStore, create
from scoutcore.store.memory import MemoryStore
from tests.database.compare import assert_shows
from tests.database.logs import content_of
from tests.database.test_journal import Failing

ROWS = [keys.row_suffix(1, 2, name) for name in ("a", "b", "bb")]
T = 1_700_000_000_000_000
WHOLE = keys.HISTORY, keys.after(keys.HISTORY)

times = st.sampled_from((0, GROUP_SPAN, 3 * GROUP_SPAN)).flatmap(lambda t: st.integers(T + t - 2, T + t + 2))
times = times | st.sampled_from((INT64_MIN, INT64_MIN + 1, INT64_MAX))
blocks = st.builds(keys.history_block, st.sampled_from(ROWS), times, st.integers(0, 1), st.integers(1, 3))
entries = st.builds(keys.clock_range, st.sampled_from(ROWS), st.just(1), st.integers(0, 3), st.just(0), st.just(1))
values = st.tuples(st.sampled_from((b"\0", b"\1")), st.binary(max_size=3) | st.just(b"x" * (GROUP_BYTES // 3)))
values = values.map(b"".join)
packed = st.lists(
    st.dictionaries(blocks, values, max_size=8)
    | st.dictionaries(entries, st.binary(min_size=1, max_size=3), max_size=2),
    max_size=3,
)
puts = st.dictionaries(blocks | entries | st.sampled_from((b"a", b"z")), st.none() | values, max_size=4)
bounds = (
    blocks
    | st.sampled_from(WHOLE)
    | st.builds(lambda row, t: keys.history_range(row, t, t)[0], st.sampled_from(ROWS), times)
)


class Twins(RuleBasedStateMachine):
    """A store with groups, with a journal before it or not, and a plain one that are written to alike."""

    @initialize(journaled=st.booleans(), most=st.integers(1, 30))
    def begin(self, journaled: bool, most: int) -> None:
        self.before = journal._FEW, journal._KEYS
        journal._FEW, journal._KEYS = 0, most
        self.journaled = journaled
        self.inner, self.plain = Failing(), MemoryStore()
        self.die()

    def teardown(self) -> None:
        journal._FEW, journal._KEYS = self.before

    @rule()
    def die(self) -> None:
        self.store: Store = layered(self.inner) if self.journaled else GroupedStore(self.inner)

    @rule(puts=puts, packed=packed)
    def write(self, puts: dict[bytes, bytes | None], packed: list[dict[bytes, bytes]]) -> None:
        seen: set[bytes] = set()
        new = []
        for some in packed:
            fresh = {key: value for key, value in some.items() if key not in seen and self.plain.get(key) is None}
            seen.update(fresh)
            new.append(Packed(pack_puts(list(chain.from_iterable(fresh.items())))))
        for store in (self.plain, self.store):
            store.write(puts, False, new)

    @rule(puts=puts, packed=packed, fails=st.sampled_from(("before", "behind")))
    def fail(self, puts: dict[bytes, bytes | None], packed: list[dict[bytes, bytes]], fails: str) -> None:
        self.inner.fails = fails
        before = dict(self.plain.scan(b"", b"\xff"))
        with suppress(StorageError):
            self.write(puts, packed)
        if self.inner.fails is None and fails == "before":
            self.plain = MemoryStore()
            self.plain.write(before, False)
        self.inner.fails = None

    @rule()
    def delete_all(self) -> None:
        self.write({key: None for key, _ in self.store.scan(*WHOLE)}, [])

    @rule(puts=puts)
    def take(self, puts: dict[bytes, bytes | None]) -> None:
        with self.store.taken() as store:
            store.write(puts, False)
        self.plain.write(puts, False)

    @rule(key=blocks | entries)
    def get(self, key: bytes) -> None:
        assert self.store.get(key) == self.plain.get(key)

    @rule(start=bounds, stop=bounds, reverse=st.booleans())
    def scan(self, start: bytes, stop: bytes, reverse: bool) -> None:
        for begin, end in ((start, stop), WHOLE, (keys.CLOCK, keys.after(keys.CLOCK))):
            assert list(self.store.scan(begin, end, reverse)) == list(self.plain.scan(begin, end, reverse))

    @rule(reverse=st.booleans(), puts=puts, packed=packed)
    def scan_while_it_is_written_to(
        self, reverse: bool, puts: dict[bytes, bytes | None], packed: list[dict[bytes, bytes]]
    ) -> None:
        then = list(self.plain.scan(*WHOLE, reverse))
        scan = self.store.scan(*WHOLE, reverse)
        self.write(puts, packed)
        assert list(scan) == then


TestTwins = Twins.TestCase
TestTwins.settings = settings(max_examples=3 * settings.default.max_examples, stateful_step_count=20)


def groups(store: Store) -> list[bytes]:
    """The keys of the groups in *store*."""
    return [key for key, value in store.scan(*WHOLE) if value[0] == GROUP]


def block(t: int, change: int = 1) -> bytes:
    return keys.history_block(ROWS[0], t, 0, change)


def some(first: int, count: int, size: int = 1) -> list[Packed]:
    """So many blocks, packed."""
    items = chain.from_iterable((block(T + n, 1 + n), b"\0" * size) for n in range(first, first + count))
    return [Packed(pack_puts(list(items)))]


def test_a_group_loses_what_is_deleted_and_keeps_what_was_put_anew() -> None:
    inner = MemoryStore()
    store = GroupedStore(inner)
    put = {block(T + number, 1 + number): b"\0%d" % number for number in range(4)}
    store.write({}, False, [Packed(pack_puts(list(chain.from_iterable(put.items()))))])
    (key,) = groups(inner)
    assert key == block(T) + b"g"
    assert inner.get(keys.GROUPED + ROWS[0] + b"\0") == (3).to_bytes(8, "big")
    store.write({block(T): None, block(T + 2, 3): b"\1anew"}, False)
    left = [(block(T + 1, 2), b"\0" + b"1"), (block(T + 2, 3), b"\1anew"), (block(T + 3, 4), b"\0" + b"3")]
    for again in (store, GroupedStore(inner)):
        assert list(again.scan(*WHOLE)) == left
        assert list(again.scan(*WHOLE, reverse=True)) == left[::-1]
        assert list(again.scan(block(T + 2), WHOLE[1])) == left[1:], "which begins in the middle of the group"
        assert again.get(block(T)) is None
        assert again.get(block(T + 3, 4)) == b"\0" + b"3"
    assert groups(inner) == [block(T + 1, 2) + b"g"], "and another may begin with the one that went"
    store.write({}, False, [Packed(pack_puts([block(T), b"\0again", block(T + 4, 5), b"\0more"]))])
    left = [(block(T), b"\0again"), *left, (block(T + 4, 5), b"\0more")]
    assert list(store.scan(*WHOLE)) == left
    assert len(groups(inner)) == 2
    store.write(dict.fromkeys(block for block, _ in left), False)
    assert list(inner.scan(*WHOLE)) == []


def test_small_batches_make_groups(usual: None, path: Path) -> None:
    """Of a row what comes to its place together is one value in LevelDB; history, windows and counts are the same."""
    count = 40
    with scoutcore.open(path, pack=False) as db:
        db.troops.create(key="k" * 32)
        for number in range(count):
            db.ingest(
                [
                    {"troop": 1, "scout": scout, "report": "temp", "data": number, "t": T + number * 10**6}
                    for scout in range(20)
                ]
            )
        assert_shows(db, content_of(db))
    leveldb = LevelDBStore(path / "db")
    assert len(groups(leveldb)) == len(list(leveldb.scan(*WHOLE))) == 20
    leveldb.close()
    with scoutcore.open(path, pack=False) as db:
        assert [point.data for point in db.history(1, 7, "temp")] == list(range(count))
        assert [point.data for point in db.history(1, 7, "temp", reverse=True, limit=3)] == [39, 38, 37]
        window = db.history(1, 7, "temp", start=T + 10 * 10**6, end=T + 12 * 10**6)
        assert [point.data for point in window] == [10, 11]
        assert_shows(db, content_of(db))
        assert db.verify(views=True).ok
        db.report(1, 7, "temp", "late", t=T + 5 * 10**6 + 1)
        assert [point.data for point in db.history(1, 7, "temp", limit=7)] == [0, 1, 2, 3, 4, 5, "late"]
        assert db.expire(before=T + 20 * 10**6) == 20 * 20 + 1
        assert [point.data for point in db.history(1, 7, "temp")] == list(range(20, count))
        assert db.verify(views=True).ok


@pytest.mark.parametrize("reverse", [False, True])
def test_who_reads_goes_on_while_groups_change(path: Path, reverse: bool) -> None:
    with scoutcore.open(path, pack=False) as db:
        db.troops.create(key="k" * 32)
        items = [{"troop": 1, "scout": 7, "report": "temp", "data": n, "t": T + n * 10**6} for n in range(200)]
        for begin in range(0, 200, 5):
            db.ingest(items[begin : begin + 5])
        db._store.compact(b"h", b"i")
        scan = db._store.scan(*WHOLE, reverse)
        first = next(scan)
        db.expire(before=T + 100 * 10**6)
        assert len([first, *scan]) == 40
        assert len(list(db._store.scan(*WHOLE, reverse))) == 20


@pytest.mark.parametrize("first", range(4))
def test_a_block_in_two_groups_is_one(first: int) -> None:
    """As a power cut may leave it that takes the write which has changed a group, and not the next."""
    inner = MemoryStore()
    store = GroupedStore(inner)
    store.write({}, False, some(0, 4))
    store.write({}, False, some(first, 4))
    assert len(groups(inner)) == 1 + (first > 0)
    found = [key for key, _ in store.scan(*WHOLE)]
    assert found == [block(T + n, 1 + n) for n in range(first + 4)]
    assert [key for key, _ in store.scan(*WHOLE, reverse=True)] == found[::-1]
    store.write(dict.fromkeys(found), False)
    assert list(inner.scan(*WHOLE)) == []


def test_each_write_says_how_far_the_groups_reach_that_it_brings(usual: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut may take a write from LevelDB's older log, where no missing change shows that, and not the next."""
    monkeypatch.setattr(journal, "_KEYS", 100)
    written: list[dict[bytes, bytes | None]] = []

    class Recording(MemoryStore):
        def write(self, puts: Any, sync: bool, packed: Any = ()) -> None:
            written.append(dict(puts))
            super().write(puts, sync, packed)

    store, plain = layered(Recording()), MemoryStore()

    def write(puts: dict[bytes, bytes | None], packed: list[Packed]) -> None:
        store.write(puts, False, packed)
        plain.write(puts, False, packed)

    record: dict[bytes, bytes | None] = {b"v%d" % number: b"" for number in range(5)}
    for first in range(0, 80, 20):
        write(record, some(first, 20))
    write({b"w%d" % number: b"" for number in range(20)}, [])
    lost = written[-1]
    assert keys.GROUPED + ROWS[0] + b"\0" in lost
    for first in range(80, 200, 20):
        write(record, some(first, 20))
    left = MemoryStore()
    for puts in written:
        if puts is not lost:
            left.write(puts, False)
    assert groups(left)
    assert list(layered(left).scan(*WHOLE)) == list(plain.scan(*WHOLE))


@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize("reverse", [False, True])
def test_who_begins_to_read_while_groups_come(usual: None, reverse: bool, before: int) -> None:
    """He sees all of the write that brings them, or nothing."""
    inner = MemoryStore()
    store = layered(inner)
    store.write({}, False, some(0, before))
    scan, pending = inner.scan, [some(100, 3000)]

    def late_scan(start: bytes, *args: Any, **kwargs: Any) -> Iterator[tuple[bytes, bytes]]:
        if pending and keys.HISTORY <= start < keys.CLOCK:
            store.write({}, False, pending.pop())
        return scan(start, *args, **kwargs)

    inner.scan = late_scan  # type: ignore[method-assign]
    found = [key for key, _ in store.scan(block(T + 105), WHOLE[1], reverse)]
    assert found == [block(T + n, 1 + n) for n in range(105, 3100)][:: -1 if reverse else 1]


def test_who_reads_waits_while_the_store_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And who has taken it gives it back."""
    store = layered(create(tmp_path / "db"))
    store.write({}, False, some(0, 4))
    store.close()
    leveldb = LevelDBStore(tmp_path / "db")
    store = layered(leveldb)
    assert store.get(b"x") is None
    get, there, go_on = leveldb.get, threading.Event(), threading.Event()

    def slow_get(key: bytes) -> bytes | None:
        there.set()
        assert go_on.wait(60)
        return get(key)

    found: list[list[tuple[bytes, bytes]]] = []
    reader = threading.Thread(target=lambda: found.append(list(store.scan(block(T + 1), WHOLE[1]))), daemon=True)

    def take() -> None:
        with store.taken():
            go_on.set()
            reader.join(0.2)

    with monkeypatch.context() as patch:
        patch.setattr(leveldb, "get", slow_get)
        reader.start()
        assert there.wait(60)
        taker = threading.Thread(target=take, daemon=True)
        taker.start()
        for thread in (taker, reader):
            thread.join(60)
            assert not thread.is_alive()
    assert len(found[0]) == 3
    store.close()


def test_behind_a_delete_nobody_waits_for_the_disk(usual: None, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = MemoryStore()
    store, published = layered(inner), []
    monkeypatch.setattr(inner, "publish", lambda: published.append(1))
    record: dict[bytes, bytes | None] = {b"v%d" % number: b"" for number in range(20)}
    for first in range(0, 100, 10):
        store.write(record, False, some(first, 10))
        store.write({block(T + first, 1 + first): None}, False)
        store.write({}, False, [Packed(pack_puts([block(T + first, 1 + first), b"\0again"]))])
    assert not published
    assert len(list(store.scan(*WHOLE))) == 100
    assert store.get(block(T)) == b"\0again"
