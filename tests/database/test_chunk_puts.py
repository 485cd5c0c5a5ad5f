"""What the journal makes again of a chunk is what was put, byte for byte."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scoutcore
from scoutcore.chunk_puts import puts_of_chunk
from scoutcore.codec.constants import MAX_BLOCK_POINTS
from scoutcore.codec.puts import all_puts
from scoutcore.database import Database
from scoutcore.errors import StorageError
from scoutcore.store.leveldb import LevelDBStore, create
from scoutcore.store.memory import MemoryStore
from tests.database.compare import assert_shows
from tests.database.conftest import KEY
from tests.database.logs import content_of

small = st.integers(0, 3)
clocks = st.none() | st.tuples(small, small | st.integers(0, 2**40))
reports = st.lists(st.tuples(small, small, st.integers(0, 5000), clocks), min_size=1, max_size=12)


class Compared(MemoryStore):
    """A store that makes again what says that it can be, and counts."""

    made = given_whole = 0
    last = b"", b""

    def write(self, puts: Any, sync: bool, packed: Any = ()) -> None:
        super().write(puts, sync, packed)
        known: dict[bytes, Any] = {}
        for one in packed:
            if one.chunk:
                for _ in range(2):
                    assert puts_of_chunk(puts[one.chunk], one.about, known) == one.puts
                self.made += 1
                self.last = puts[one.chunk], one.about
            else:
                self.given_whole += 1


@given(batches=st.lists(reports, min_size=1, max_size=5), troops=st.integers(1, 2))
def test_it_is_the_same(batches: list[list[tuple[Any, ...]]], troops: int) -> None:
    store = Compared()
    with Database(store) as db:
        for number in range(troops):
            db.troops.create(key=KEY + str(number))
        for batch in batches:
            result = db.ingest(
                {
                    "troop": 1 + scout % troops,
                    "scout": scout,
                    "report": f"r{name}",
                    "data": {"value": t / 4},
                    "t": 1_700_000_000_000 + t,
                    **({} if clock is None else {"boot": clock[0], "ms": clock[1]}),
                }
                for scout, name, t, clock in batch
            )
            assert result.accepted == len(batch)


def batch(t: int, ms: int) -> list[dict[str, Any]]:
    """A report of each of 40 series; *ms* by the scout's clock."""
    return [{"troop": 1, "scout": n, "report": "r", "data": n, "t": t, "boot": 1, "ms": ms} for n in range(40)]


def test_when_it_is_made_again() -> None:
    """Unless a reading may have been heard before, or a series has more than one block."""
    store = Compared()
    with Database(store) as db:
        db.troops.create(key=KEY)
        for t in range(3):
            db.ingest(batch(t, 10 * t))
        assert (store.made, store.given_whole) == (3, 0)
        late = batch(4, 40)
        late[7]["ms"] = 5
        db.ingest(late)
        assert (store.made, store.given_whole) == (3, 1)
        db.ingest([{"troop": 1, "scout": 1, "report": "r", "data": t, "t": t} for t in range(MAX_BLOCK_POINTS + 1)])
        assert (store.made, store.given_whole) == (3, 2)


def test_what_is_damaged() -> None:
    store = Compared()
    with Database(store) as db:
        db.troops.create(key=KEY)
        db.ingest(batch(1, 1))
    frames, about = store.last
    assert len(puts_of_chunk(frames, about, {})) > len(frames)
    damaged = [
        (b"\0" + frames[1:], about),
        (frames.replace(b"/", b"-"), about),
        (frames, about[:-1]),
        (frames, about.replace(b"-", b"_").replace(b"a", b"b").replace(b"1", b"2")),
        (frames, b""),
    ]
    for one in damaged:
        with pytest.raises(StorageError, match="a chunk that an entry of the journal is about is damaged: "):
            puts_of_chunk(*one, {})


def test_a_power_cut_that_takes_the_first_of_a_troop(
    path: Path, tmp_path: Path, usual: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LevelDB's older log has lost its end, the newer has entries about chunks of the troop: the log is mended."""
    written: list[dict[bytes, bytes | None]] = []
    write = LevelDBStore.write

    def recording(self: LevelDBStore, puts: Any, sync: bool, packed: Any = ()) -> None:
        write(self, puts, sync, packed)
        written.append(all_puts(puts, packed))

    with monkeypatch.context() as patch, scoutcore.open(path, pack=False) as db:
        patch.setattr(LevelDBStore, "write", recording)
        db.troops.create(key=KEY)
        for t in range(3):
            db.ingest(batch(t, 10 * t))
        begun = len(written)
        db.troops.create(key=KEY + "second")
        db.ingest([{**one, "troop": 2} for one in batch(0, 0)])
        lost = range(begun, len(written))
        for t in range(1, 4):
            db.ingest([{**one, "troop": 2} for one in batch(t, 10 * t)])
        left = [puts for number, puts in enumerate(written) if number not in lost]
        shutil.copytree(path, tmp_path / "cut", ignore=shutil.ignore_patterns("db"))
    store = create(tmp_path / "cut" / "db")
    for puts in left:
        store.write(puts, sync=False)
    store.close()
    with scoutcore.open(tmp_path / "cut", pack=False) as db:
        assert "a log has a hole" in db.recovered[0]
        assert sum(points for *_, points, _ in db.counts()) == 3 * 40
        assert_shows(db, content_of(db))
    with scoutcore.open(tmp_path / "cut", pack=False) as db:
        assert db.recovered == []
