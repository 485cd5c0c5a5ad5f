"""The journal before a store: what is read is what was written, wherever it lies, and whatever fails or ends."""

from __future__ import annotations

import random
import shutil
import threading
from bisect import insort
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import plyvel
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

import scoutcore
from scoutcore import multibuffer
from scoutcore.codec.puts import Packed, all_puts, pack_puts, unpack_all
from scoutcore.errors import ClosedError, StorageError
from scoutcore.salvage import main, salvage
from scoutcore.store import Store, journal
from scoutcore.store.journal import JournaledStore
from scoutcore.store.leveldb import LevelDBStore, create
from scoutcore.store.memory import MemoryStore
from tests.database.compare import assert_shows
from tests.database.logs import content_of

DIRECT = b"ls", b"lt"
FIRST, LAST = b"\1", b"\xff"
short_keys = st.tuples(st.sampled_from((b"a", b"b", b"ls")), st.binary(max_size=2)).map(b"".join)
chunk_keys = st.binary(min_size=1, max_size=1).map(b"lsXY".__add__)
puts = st.dictionaries(short_keys, st.none() | st.binary(max_size=3) | st.just(b"x" * 2000), max_size=12)


def journaled(inner: Store) -> JournaledStore:
    """A store before which there is a journal, and whose chunks have what can be made of them as it is."""
    return JournaledStore(inner, DIRECT, lambda chunk, about, _: about + chunk)


def blocks(*numbers: int) -> bytes:
    """So many puts of blocks, packed."""
    return pack_puts([item for number in numbers for item in (b"h%04d" % number, b"%d" % number)])


class Failing(MemoryStore):
    """A store that fails when it is told to, before it has written or behind it."""

    fails: str | None = None

    def write(self, puts: Any, sync: bool, packed: Any = ()) -> None:
        fails, self.fails = self.fails, None
        if fails == "before":
            raise StorageError("before")
        super().write(puts, sync, packed)
        if fails == "behind":
            raise StorageError("behind")


class Twins(RuleBasedStateMachine):
    """A journaled store and a plain one that are written to alike."""

    @initialize(few=st.integers(0, 5), most=st.integers(1, 30), unsafe=st.integers(1, 3))
    def begin(self, few: int, most: int, unsafe: int) -> None:
        self.before = journal._FEW, journal._KEYS, journal._UNSAFE
        journal._FEW, journal._KEYS, journal._UNSAFE = few, most, unsafe
        self.inner = Failing()
        self.store = journaled(self.inner)
        self.plain = MemoryStore()
        self.blocks = 0

    def teardown(self) -> None:
        journal._FEW, journal._KEYS, journal._UNSAFE = self.before

    @rule(puts=puts)
    def write(self, puts: dict[bytes, bytes | None]) -> None:
        self.store.write(puts, sync=False)
        self.plain.write(puts, sync=False)

    @rule(puts=puts, chunk=chunk_keys, count=st.integers(1, 8), apart=st.booleans())
    def write_blocks(self, puts: dict[bytes, bytes | None], chunk: bytes, count: int, apart: bool) -> None:
        packed = [Packed(blocks(*range(self.blocks, self.blocks + count)), chunk)]
        self.blocks += count
        if apart:
            packed.append(Packed(blocks(self.blocks)))
            self.blocks += 1
        self.write({chunk: None})
        puts = {**puts, chunk: packed[0].puts}
        self.store.write(puts, False, packed)
        self.plain.write(puts, False, packed)

    @rule(chunk=chunk_keys)
    def pack(self, chunk: bytes) -> None:
        self.write({chunk: None, b"a": b""})

    @rule(puts=puts.filter(bool), fails=st.sampled_from(("before", "behind")))
    def fail(self, puts: dict[bytes, bytes | None], fails: str) -> None:
        self.inner.fails = fails
        with pytest.raises(StorageError, match=fails):
            self.store.write(puts, sync=False)
        if fails == "behind":
            self.plain.write(puts, sync=False)

    @rule()
    def die(self) -> None:
        self.store = journaled(self.inner)

    @rule(fails=st.sampled_from(("before", "behind", None)))
    def close(self, fails: str | None) -> None:
        self.inner.fails = fails
        self.store.close()
        self.inner.fails = None
        assert fails or list(self.inner.scan(FIRST, LAST)) == list(self.plain.scan(FIRST, LAST))
        self.store = journaled(self.inner)

    @rule(puts=puts)
    def take(self, puts: dict[bytes, bytes | None]) -> None:
        with self.store.taken() as store:
            assert list(store.scan(FIRST, LAST)) == list(self.plain.scan(FIRST, LAST))
            store.write(puts, sync=False)
        self.plain.write(puts, sync=False)

    @rule()
    def compact(self) -> None:
        self.store.compact(FIRST, LAST)
        assert list(self.inner.scan(FIRST, LAST)) == list(self.plain.scan(FIRST, LAST))

    @rule(key=short_keys)
    def get(self, key: bytes) -> None:
        assert self.store.get(key) == self.plain.get(key)

    @rule(number=st.integers(0, 100))
    def get_block(self, number: int) -> None:
        self.get(b"h%04d" % number)

    @rule(start=short_keys, stop=short_keys, reverse=st.booleans())
    def scan(self, start: bytes, stop: bytes, reverse: bool) -> None:
        assert list(self.store.scan(start, stop, reverse)) == list(self.plain.scan(start, stop, reverse))
        assert list(self.store.scan(FIRST, LAST, reverse)) == list(self.plain.scan(FIRST, LAST, reverse))

    @rule(puts=st.lists(puts, max_size=3))
    def scan_while_it_is_written_to(self, puts: list[dict[bytes, bytes | None]]) -> None:
        then = list(self.plain.scan(FIRST, LAST))
        scan = self.store.scan(FIRST, LAST)
        for some in puts:
            self.write(some)
        assert list(scan) == then


TestTwins = Twins.TestCase
TestTwins.settings = settings(max_examples=2 * settings.default.max_examples, stateful_step_count=30)


@pytest.fixture
def inner() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def store(usual: None, inner: MemoryStore) -> JournaledStore:
    return journaled(inner)


def batch(number: int, count: int = 100, size: int = 10) -> dict[bytes, bytes | None]:
    return {b"k%04d" % key: b"%0*d" % (size, number) for key in range(count)}


def entries(inner: Store) -> list[bytes]:
    return [entry for _, entry in inner.scan(journal.PREFIX, journal.PREFIX + b"\xff" * 9)]


def test_small_values_are_gathered_and_chunks_are_not(store: JournaledStore, inner: MemoryStore) -> None:
    chunk = {b"ls\1": b"x" * 5000}
    store.write({**chunk, **batch(1)}, sync=False)
    store.write(batch(2), sync=False)
    assert [journal.parts_of(entry) for entry in entries(inner)] == [(batch(1), []), (batch(2), [])]
    assert dict(inner.scan(FIRST, LAST)) == chunk
    store.write({b"ls\1": None}, sync=False)
    assert dict(store.scan(FIRST, LAST)) == batch(2)
    assert store.get(b"k0007") == batch(2)[b"k0007"]


def test_what_a_chunk_has_is_not_in_the_entry(store: JournaledStore, inner: MemoryStore) -> None:
    first, second, other = blocks(1), blocks(2), blocks(3)
    # The second chunk is not in this write.
    packed = [Packed(first, b"ls\1", first[:1]), Packed(second, b"ls\2"), Packed(other)]
    store.write({b"ls\1": first[1:], **batch(1)}, False, packed)
    assert [journal.parts_of(entry) for entry in entries(inner)] == [(batch(1), [(b"ls\1", first[:1]), second, other])]
    wanted = {**batch(1), **unpack_all(packed)}
    for one in (store, journaled(inner)):
        assert dict(one.scan(b"h", LAST)) == {**wanted, b"ls\1": first[1:]}
        assert one.get(b"h0001") == b"1"


def test_the_entries_go_with_the_chunks(
    store: JournaledStore, inner: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write({b"ls\1": blocks(1), **batch(1)}, False, [Packed(blocks(1), b"ls\1")])
    store.write({b"ls\2": blocks(2), **batch(1)}, False, [Packed(blocks(2), b"ls\2")])
    write, syncs = inner.write, []

    def watched(puts: Any, sync: bool, packed: Any = ()) -> None:
        write(puts, sync, packed)
        syncs.append(sync)

    monkeypatch.setattr(inner, "write", watched)
    store.write({b"ls\1": None}, sync=False)
    left = {**batch(1), b"h0001": b"1", b"h0002": b"2"}
    assert [journal.parts_of(entry) for entry in entries(inner)] == [({}, [])]
    assert dict(inner.scan(FIRST, LAST)) == {**left, b"ls\2": blocks(2)}
    assert syncs == [False]
    assert dict(journaled(inner).scan(b"h", b"l")) == left


def test_what_follows_has_an_entry_until_that_is_safe(store: JournaledStore, inner: MemoryStore) -> None:
    """Else those that went would hide it, where a power cut brings them back."""
    for published in (False, True):
        store.write({b"ls\1": blocks(1), **batch(1)}, False, [Packed(blocks(1), b"ls\1")])
        store.write({b"ls\1": None}, sync=False)
        if published:
            store.publish()
        store.write(batch(2, 1), sync=False)
        assert [journal.parts_of(entry)[0] for entry in entries(inner)] == [{}] + [batch(2, 1)] * (not published)
        store.write(batch(3, 3000), sync=False)
        store.write({b"a": b""}, sync=False)
        assert len(entries(inner)) == 1
        assert dict(inner.scan(b"k", b"l")) == batch(3, 3000)


def test_what_is_written_while_others_make_it_safe_is_not_safe(usual: None, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = TwoLogs()
    store = journaled(inner)
    batches = [{b"%04d" % number + key: value for key, value in batch(1, 1000).items()} for number in range(19)]
    for some in batches[:16]:
        store.write(some, sync=False)
    write = inner.write

    def late(puts: Any, sync: bool, packed: Any = ()) -> None:
        store.publish()
        write(puts, sync, packed)

    with monkeypatch.context() as patch:
        patch.setattr(inner, "write", late)
        store.write(batches[16], sync=False)  # with it all of that comes to its place, and is lost there
    inner.current = 1
    for some in batches[17:]:
        store.write(some, sync=False)
    left = dict(journaled(inner.left()).scan(FIRST, LAST))
    assert all(left.items() >= some.items() for some in batches[:16])


def test_what_was_taken_is_given_back_as_safe_as_it_is(usual: None) -> None:
    inner = TwoLogs()
    store = journaled(inner)
    with store.taken() as one:
        one.write({b"ls\1": blocks(1), **batch(1)}, False, [Packed(blocks(1), b"ls\1")])
        one.write({b"ls\1": None}, sync=False)
    inner.current = 1
    store.write(batch(2, 1), sync=False)
    left = journaled(inner.left())
    assert dict(left.scan(b"k", b"l")) == {**batch(1), **batch(2, 1)}
    assert left.get(b"h0001") == b"1"


def test_a_write_is_as_large_as_what_can_be_made_again(store: JournaledStore, inner: MemoryStore) -> None:
    large = pack_puts([b"h%04d" % 1, b"x" * 30 * journal._KEY_BYTES])
    store.write({b"ls\1": large, **batch(1, 20)}, False, [Packed(large, b"ls\1")])
    assert entries(inner) == []
    assert inner.get(b"h0001") is not None


@pytest.mark.parametrize(
    "large", [batch(1, journal._WRITE_KEYS + 1), batch(1, 600, 1000), batch(1, 20, 1025), batch(1, 15)]
)
def test_what_is_large_or_next_to_nothing_is_not_gathered(
    large: dict[bytes, bytes | None], store: JournaledStore, inner: MemoryStore
) -> None:
    store.write(large, sync=False)
    assert entries(inner) == []
    assert dict(inner.scan(FIRST, LAST)) == large


def test_next_to_nothing_is_gathered_where_something_is(store: JournaledStore, inner: MemoryStore) -> None:
    store.write(batch(1), sync=False)
    store.write(batch(2, 1), sync=False)
    assert len(entries(inner)) == 2
    assert dict(store.scan(FIRST, LAST)) == {**batch(1), **batch(2, 1)}


@pytest.mark.parametrize(("count", "size", "most"), [(1000, 10, 16), (500, 1000, 8)])
def test_what_is_gathered_has_limits(
    count: int, size: int, most: int, store: JournaledStore, inner: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By keys, where each write has others, and by bytes. What came to its place keeps its entries until it is safe."""
    monkeypatch.setattr(journal, "_UNSAFE", 2)
    places, left = [], []
    for number in range(5 * most):
        keys = batch(number, count, size)
        store.write({b"%04d" % number + key: value for key, value in keys.items()}, sync=False)
        places.append(sum(1 for _ in inner.scan(FIRST, LAST)))
        left.append(len(entries(inner)))
        assert sum(map(len, entries(inner))) <= 3 * journal._BYTES
    assert places == [number // most * most * count for number in range(5 * most)]
    assert left == [*range(1, 3 * most + 1), *range(1 * most + 1, 3 * most + 1)]


def test_entries_go_when_what_they_have_is_safe(store: JournaledStore, inner: MemoryStore) -> None:
    for number in range(17):
        store.write(batch(number, 1000), sync=False)
        store.write({b"%04d" % number + key: value for key, value in batch(number, 1000).items()}, sync=False)
    found = []
    for number in range(17, 20):
        store.write(batch(number), sync=False)
        found.append(len(entries(inner)))
        store.publish()
    assert found[0] > found[1] < found[2] == found[1] + 1


def test_numbers_are_not_used_again(store: JournaledStore, inner: MemoryStore) -> None:
    numbers = []
    for _ in range(3):
        store.write(batch(1), sync=False)
        numbers += [key for key, _ in inner.scan(journal.PREFIX, b"\1")]
        store.close()
        store = journaled(inner)
        numbers += [key for key, _ in inner.scan(journal.PREFIX, b"\1")]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == 6, "one for each write, and one for each time that all came to its place"


def test_a_damaged_entry_is_an_error(store: JournaledStore, inner: MemoryStore) -> None:
    store.write(batch(1), sync=False)
    ((key, entry),) = inner.scan(journal.PREFIX, b"\1")
    cut = journal._encode(({}, [blocks(1)[:-1]]))
    short = journal._encode(({}, [(b"ls\1",)]))
    for damaged in (entry[:-1], b"", b"\xc1", b"\x01", cut, short):
        inner.write({key: damaged}, sync=False)
        again = journaled(inner)
        for call in (
            lambda again=again: again.get(b"a"),
            lambda again=again: again.scan(FIRST, LAST),
            lambda again=again: again.write(batch(2), sync=False),
        ):
            with pytest.raises(StorageError, match="entry of the journal is damaged"):
                call()
        again.close()
        assert list(inner.scan(journal.PREFIX, b"\1")) == [(key, damaged)]


def test_a_scan_that_was_interrupted_leaves_no_twins(store: JournaledStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write(batch(1), sync=False)
    assert len(list(store.scan(FIRST, LAST))) == 100
    store.write({b"k%04d" % key: b"" for key in range(100, 105)}, sync=False)

    def interrupted(order: list[bytes], key: bytes) -> None:
        insort(order, key)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(journal, "insort", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.scan(FIRST, LAST)
    assert [key for key, _ in store.scan(FIRST, LAST)] == list(batch(2, 105))


class TwoLogs(MemoryStore):
    """A store that knows what of two logs a power cut may take: the ends of both, each behind what was synced of it."""

    def __init__(self) -> None:
        super().__init__()
        self.logs: tuple[list[Any], list[Any]] = [], []
        self.current = 0
        self.safe = [0, 0]

    def write(self, puts: Any, sync: bool, packed: Any = ()) -> None:
        super().write(puts, sync, packed)
        self.logs[self.current].append(all_puts(puts, packed))
        if sync:
            self.safe[self.current] = len(self.logs[self.current])

    def publish(self) -> None:
        self.safe = [len(log) for log in self.logs]

    @contextmanager
    def taken(self) -> Iterator[TwoLogs]:
        yield self

    def left(self) -> MemoryStore:
        """What there is where the older log has lost what it can, and the newer one nothing."""
        left = MemoryStore()
        for puts in self.logs[0][: self.safe[0]] + self.logs[1]:
            left.write(puts, sync=False)
        return left


@pytest.mark.parametrize("later", [batch(2, 1), batch(2, 5000), batch(2)], ids=["few", "large", "gathered"])
@pytest.mark.parametrize("how", ["compact", "with a chunk"])
def test_a_power_cut_brings_nothing_back_that_had_come_to_its_place(
    how: str, later: dict[bytes, bytes | None], usual: None
) -> None:
    """Entries that are still there would hide what was written since."""
    inner = TwoLogs()
    store = journaled(inner)
    store.write(batch(1), sync=True)
    if how == "compact":
        store.compact(FIRST, LAST)
    else:
        store.write({b"ls\1": b"", **dict.fromkeys(batch(1, 5000), b"")}, sync=False)
    before = dict(store.scan(FIRST, LAST))
    inner.current = 1
    store.write(later, sync=True)
    store.compact(FIRST, LAST)
    assert dict(journaled(inner.left()).scan(FIRST, LAST)) == {**before, **later}


@pytest.mark.parametrize("more", [1, 16], ids=["gathered", "begun anew"])
def test_entries_stay_until_what_they_have_is_safe(more: int, usual: None) -> None:
    inner = TwoLogs()
    store = journaled(inner)
    batches = [{b"%04d" % number + key: value for key, value in batch(1, 1000).items()} for number in range(17 + more)]
    for some in batches[:16]:
        store.write(some, sync=False)
    store.publish()
    store.write(batches[16], sync=False)  # with it all of that comes to its place, and may be lost there
    inner.current = 1
    for some in batches[17:]:
        store.write(some, sync=False)
    left = dict(journaled(inner.left()).scan(FIRST, LAST))
    assert all(left.items() >= some.items() for some in batches[:16])


@given(
    acts=st.lists(
        st.sampled_from(("publish", "compact", "pack", "rotate"))
        | st.tuples(st.sets(st.integers(0, 11), min_size=1, max_size=9), st.sampled_from((False, False, False, True))),
        max_size=30,
    ),
    cut=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    unsafe=st.integers(1, 3),
)
@example(
    acts=[
        ({1, 2, 4, 6, 8, 9, 10}, True),
        ({0, 4, 5, 7, 8, 11}, False),
        "publish",
        ({2, 7, 8, 9}, False),  # deletes an entry, and is lost
        "rotate",
        ({11}, False),
        ({1, 3, 4, 5, 6, 7, 9}, True),
        ({1, 2, 9}, False),
    ],
    cut=(0, 1),
    unsafe=1,
)
@example(
    acts=[
        ({0, 1, 2}, False),
        ({0, 1, 2, 3, 4, 5}, False),
        "publish",
        ({0}, False),  # deletes an entry, and is lost
        "rotate",
        "pack",
    ],
    cut=(0, 1),
    unsafe=1,
)
@settings(max_examples=10 * settings.default.max_examples)
def test_after_a_power_cut_nothing_hides_what_is_newer(acts: list[Any], cut: tuple[float, float], unsafe: int) -> None:
    """Of each key there is the newest value that any write has left, or a newer one that was gathered with another."""
    with pytest.MonkeyPatch.context() as patch:
        for name, most in (("_FEW", 2), ("_KEYS", 10), ("_WRITE_KEYS", 8), ("_UNSAFE", unsafe)):
            patch.setattr(journal, name, most)
        inner = TwoLogs()
        store = journaled(inner)
        written: list[tuple[int, int, set[int], int]] = []
        for number, act in enumerate(acts, 1):
            if act == "publish":
                store.publish()
            elif act == "compact":
                store.compact(FIRST, LAST)
            elif act == "rotate":
                inner.current = 1
            elif act == "pack":
                store.write({chunk: None for chunk, _ in inner.scan(*DIRECT)}, sync=False)
            else:
                keys, sync = act
                chunk, packed = b"ls%04d" % number, blocks(number)
                some = {b"k%02d" % key: b"%d" % number for key in keys}
                store.write({chunk: packed, **some}, sync, [Packed(packed, chunk)])
                written.append((inner.current, len(inner.logs[inner.current]), keys, number))
        ends = [
            safe + round(share * (len(log) - safe))
            for safe, share, log in zip(inner.safe, cut, inner.logs, strict=True)
        ]
        left = MemoryStore()
        for puts in inner.logs[0][: ends[0]] + inner.logs[1][: ends[1]]:
            left.write(puts, sync=False)
        found = journaled(left)
        for log, end, keys, number in written:
            if end <= ends[log]:
                assert all(int(found.get(b"k%02d" % key) or 0) >= number for key in keys)
                assert found.get(b"h%04d" % number) == b"%d" % number


def test_closed(usual: None, tmp_path: Path) -> None:
    store = journaled(create(tmp_path / "db"))
    store.write(batch(1), sync=False)
    store.close()
    store.close()
    for call in (
        lambda: store.get(b"k0001"),
        lambda: list(store.scan(FIRST, LAST)),
        lambda: store.write(batch(2), sync=False),
        lambda: store.write(batch(2, 1), sync=False),
    ):
        with pytest.raises(ClosedError):
            call()
    leveldb = LevelDBStore(tmp_path / "db")
    assert dict(leveldb.scan(FIRST, LAST)) == batch(1)
    leveldb.close()


def test_readers_see_writes_whole(usual: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one scan all values are of one write, while they are gathered, come to their places, or a write fails."""
    monkeypatch.setattr(journal, "_KEYS", 130)
    leveldb = create(tmp_path / "db")
    store = journaled(leveldb)
    store.write(batch(0), sync=False)
    real, done = leveldb.write, threading.Event()

    def write(puts: Any, sync: bool, packed: Any = ()) -> None:
        real(puts, sync, packed)
        if b"fails" in puts:
            raise StorageError("behind")

    monkeypatch.setattr(leveldb, "write", write)
    seen: list[int] = []
    problems: list[BaseException] = []

    def read(reverse: bool) -> None:
        try:
            last = 0
            while not done.is_set():
                values = {value for key, value in store.scan(b"k", b"l", reverse) if value}
                assert len(values) == 1, values
                (value,) = values
                assert int(value) >= last
                assert int(store.get(b"k0050") or 0) >= int(value)
                last = int(value)
                seen.append(last)
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=read, args=[reverse], daemon=True) for reverse in (False, True)]
    for thread in threads:
        thread.start()
    for number in range(1, 600):
        more: dict[bytes, bytes | None] = {b"m%04d" % number: b""}
        store.write({**batch(number), **more}, sync=False)
        if number % 50 == 0:
            with pytest.raises(StorageError):
                store.write({**batch(number), b"fails": b"", **batch(number, 5000)}, sync=False)
            store.write(dict.fromkeys([b"k%04d" % key for key in range(100, 5000)]), sync=False)
    done.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not problems, problems
    assert len(set(seen)) > 5
    store.close()


def test_what_was_read_once_is_not_older_when_it_is_read_again(
    store: JournaledStore, inner: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a reader that looks in its place just while one comes there that it does not know to be gathered."""
    store.write(batch(1), sync=False)
    store.compact(FIRST, LAST)
    get, write, there, go_on = inner.get, inner.write, threading.Event(), threading.Event()

    def late_get(key: bytes) -> bytes | None:
        monkeypatch.setattr(inner, "get", get)
        store.write(batch(2), sync=False)
        monkeypatch.setattr(inner, "write", slow_write)
        settling.start()
        assert there.wait(60)
        threading.Timer(0.2, go_on.set).start()
        return get(key)

    def slow_write(puts: Any, sync: bool, packed: Any = ()) -> None:
        write(puts, sync, packed)
        there.set()
        assert go_on.wait(60)

    monkeypatch.setattr(inner, "get", late_get)
    settling = threading.Thread(target=store.write, args=[batch(3, 5000), False], daemon=True)
    first, second = int(store.get(b"k0007") or 0), int(store.get(b"k0007") or 0)
    settling.join(60)
    assert first <= second


@pytest.fixture
def killed(usual: None, tmp_path: Path) -> Path:
    """A database that its process left without closing it, all of its last commits in the journal."""
    path = tmp_path / "killed.scout"
    with scoutcore.open(path, pack=False) as db:
        db.troops.create(key="k" * 32)
        db.ingest([{"troop": 1, "scout": scout, "report": "temp", "data": scout} for scout in range(50)] * 2)
        store = db._store
        assert isinstance(store, JournaledStore)
        assert store._load().count > 100
        copy = tmp_path / "copy"
        shutil.copytree(path / "db", copy)
    shutil.rmtree(path / "db")
    copy.rename(path / "db")
    return path


def test_a_database_that_was_killed_has_what_was_gathered(killed: Path) -> None:
    for _ in range(2):
        with scoutcore.open(killed, pack=False) as db:
            assert db.recovered == []
            assert sum(points for _, _, _, points, _ in db.counts()) == 100
            assert_shows(db, content_of(db))


def test_salvage_reads_the_journal(usual: None, tmp_path: Path) -> None:
    """What is newest of each key; an entry that is none is left out."""
    leveldb = create(tmp_path / "db")
    store = journaled(leveldb)
    store.write({b"ls\1": b"chunk", b"m1": b"old", b"m2": b"old", b"m3": b"old", b"v": b""}, sync=False)
    store.write({b"m1": b"new", b"m2": None, b"m4": b"new", **batch(1)}, sync=False)
    leveldb.write({journal.PREFIX + b"\xff" * 8: b"damaged"}, sync=False)
    leveldb.close()
    written = {b"ls\1": b"chunk", b"m1": b"new", b"m3": b"old", b"m4": b"new"}
    found = list(salvage(tmp_path / "db"))
    assert dict(found) == written
    assert len(found) == len(written)


def test_salvage_reads_on_where_the_journal_cannot_be_read(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    with plyvel.DB(str(tmp_path), create_if_missing=True) as db:
        db.put(journal.PREFIX + bytes(8), random.Random(1).randbytes(10_000))
        db.put(b"m1", b"there")
    plyvel.DB(str(tmp_path)).close()  # its log becomes a table
    (table,) = tmp_path.glob("*.ldb")
    data = bytearray(table.read_bytes())
    data[5_000] ^= 1
    table.write_bytes(data)
    main(str(tmp_path), "read")
    assert multibuffer.unpack(capsysbinary.readouterr().out) == [b"m1", b"there"]
