"""The two stores: each other's twins, and what LevelDB's does when reads, writes and closing meet."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plyvel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoutcore.errors import ClosedError, StorageError
from scoutcore.store import Store
from scoutcore.store.leveldb import LevelDBStore, create
from scoutcore.store.memory import MemoryStore

short_keys = st.text("abc", min_size=1, max_size=3).map(str.encode) | st.binary(min_size=1, max_size=2).map(
    b"a".__add__
)
batches = st.lists(st.dictionaries(short_keys, st.none() | st.binary(max_size=3), max_size=12), max_size=4)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LevelDBStore]:
    store = create(tmp_path / "db")
    yield store
    store.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LevelDBStore]:
    store = create(tmp_path_factory.mktemp("shared") / "db")
    yield store
    store.close()


@given(batches=batches, start=short_keys, stop=short_keys)
@settings(max_examples=2 * settings.default.max_examples)
def test_twins(shared: LevelDBStore, batches: list[dict[bytes, bytes | None]], start: bytes, stop: bytes) -> None:
    shared.write(dict.fromkeys([key for key, _ in shared.scan(b"a", b"\xff")]), sync=False)
    twin = MemoryStore()
    for puts in batches:
        shared.write(puts, sync=False)
        twin.write(puts, sync=False)
    for reverse in (False, True):
        assert list(shared.scan(start, stop, reverse)) == list(twin.scan(start, stop, reverse))
        assert list(shared.scan(b"a", b"\xff", reverse)) == list(twin.scan(b"a", b"\xff", reverse))
    assert shared.get(start) == twin.get(start)


def test_a_scan_of_large_values_holds_few_of_them(store: LevelDBStore) -> None:
    size = 1 << 20
    store.write({b"k%02d" % number: bytes([number]) * size for number in range(20)}, sync=False)
    tracemalloc.start()
    try:
        found = [value[:1] for _, value in store.scan(b"k", b"l")]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [bytes([number]) for number in range(20)]
    assert peak < 4 * size


@pytest.mark.parametrize("kind", [LevelDBStore, MemoryStore])
def test_a_scan_is_of_when_it_began(kind: Any, tmp_path: Path) -> None:
    store: Store = create(tmp_path / "db") if kind is LevelDBStore else MemoryStore()
    store.write({b"%03d" % number: b"old" for number in range(100)}, sync=False)
    scan = store.scan(b"0", b"1")
    store.write({b"%03d" % number: b"new" for number in range(100)}, sync=False)
    store.write({b"050": None, b"0500": b"added"}, sync=False)
    assert {value for _, value in scan} == {b"old"}
    store.close()


def test_closed(store: LevelDBStore) -> None:
    store.write({b"%03d" % number: b"" for number in range(100)}, sync=False)
    scan = store.scan(b"0", b"1")
    next(scan)
    store.close()
    store.close()
    for call in (
        lambda: store.get(b"a"),
        lambda: list(store.scan(b"a", b"b")),
        lambda: store.write({b"a": b""}, sync=False),
        lambda: store.size(b"a", b"b"),
        lambda: list(scan),
    ):
        with pytest.raises(ClosedError):
            call()


class Refusing:
    """A plyvel database whose next writes fail."""

    def __init__(self, db: plyvel.DB) -> None:
        self.db = db

    def write_batch(self, **_: Any) -> Any:
        raise plyvel.IOError("No space left on device")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.db, name)


def break_next_write(store: LevelDBStore) -> None:
    store._db, store._batch = Refusing(store._db), None


def test_after_a_failed_write_leveldb_is_opened_afresh(store: LevelDBStore) -> None:
    store.write({b"%03d" % number: b"" for number in range(100)}, sync=False)
    scan = store.scan(b"0", b"1")
    next(scan)
    break_next_write(store)
    with pytest.raises(StorageError, match="No space left"):
        store.write({b"a": b"1"}, sync=False)
    assert isinstance(store._db, plyvel.DB)
    assert store.get(b"a") is None
    with pytest.raises(StorageError, match="read again"):
        list(scan)
    store.write({b"a": b"2"}, sync=False)
    assert store.get(b"a") == b"2"
    assert len(list(store.scan(b"0", b"1"))) == 100


def test_what_a_failed_write_has_put_together_is_not_in_the_next(store: LevelDBStore) -> None:
    store.write({b"a": b"1"}, sync=False)
    wrong: Any = {b"b": b"1", b"c": 2}
    with pytest.raises(TypeError):
        store.write(wrong, sync=False)
    store.write({b"d": b"1"}, sync=False)
    assert [key for key, _ in store.scan(b"a", b"z")] == [b"a", b"d"]


def test_leveldb_that_cannot_be_opened_is_tried_again(store: LevelDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    break_next_write(store)
    with monkeypatch.context() as patch:

        def refuse(*_: Any, **__: Any) -> None:
            raise plyvel.IOError("No space left on device")

        patch.setattr("plyvel.DB", refuse)
        with pytest.raises(StorageError, match="cannot write"):
            store.write({b"a": b"1"}, sync=False)
        for call in (lambda: store.get(b"a"), lambda: store.scan(b"a", b"b"), lambda: store.write({}, sync=False)):
            with pytest.raises(StorageError, match="cannot open"):
                call()
    store.write({b"a": b"2"}, sync=False)
    assert store.get(b"a") == b"2"


def test_readers_while_leveldb_is_opened_afresh(store: LevelDBStore) -> None:
    """plyvel frees LevelDB under the feet of those that read in it: nobody may be left inside."""
    store.write({b"%04d" % number: b"x" * 1000 for number in range(2000)}, sync=False)
    stop = threading.Event()
    problems: list[BaseException] = []
    refused = []

    def read() -> None:
        while not stop.is_set():
            try:
                assert store.get(b"0007") == b"x" * 1000
                assert sum(1 for _ in store.scan(b"0", b"1")) == 1000
            except StorageError:
                refused.append(1)  # a scan that the opening met
            except BaseException as problem:
                problems.append(problem)
                return

    threads = [threading.Thread(target=read, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        break_next_write(store)
        with pytest.raises(StorageError):
            store.write({b"a": b""}, sync=False)
    stop.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not problems
    assert refused


def test_damage_in_a_table_is_an_error_not_a_gap(tmp_path: Path) -> None:
    """A block that does not verify must not read as nothing, wherever in the range it is."""
    path = tmp_path / "db"
    store = create(path)
    count = 2000
    store.write({b"%06d" % number: number.to_bytes(4, "big") * 25 for number in range(count)}, sync=False)
    store.close()
    LevelDBStore(path).close()  # its log becomes a table
    (table,) = path.glob("*.ldb")
    whole = table.read_bytes()
    found = 0
    for place in range(100, len(whole) - 8_000, len(whole) // 20):
        table.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        for reverse in (False, True):
            with pytest.raises(StorageError, match=r"cannot (read|open)"):  # noqa: PT012
                store = LevelDBStore(path)
                try:
                    list(store.scan(b"0", b"1", reverse))
                finally:
                    store.close()
            found += 1
    assert found > 20
