"""What the journal makes again of a chunk is what was put, byte for byte."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoutcore.apply import puts_of_chunk
from scoutcore.codec.constants import MAX_BLOCK_POINTS
from scoutcore.codec.puts import NO_PUTS
from scoutcore.database import Database
from scoutcore.errors import StorageError
from scoutcore.store.memory import MemoryStore
from tests.database.conftest import KEY

small = st.integers(0, 3)
clocks = st.none() | st.tuples(small, small | st.integers(0, 2**40))
reports = st.lists(st.tuples(small, small, st.integers(0, 5000), clocks), min_size=1, max_size=12)


class Compared(MemoryStore):
    """A store that makes again what says that it can be, and counts."""

    made = given_whole = 0

    def write(self, puts: Any, sync: bool, packed: Any = ()) -> None:
        super().write(puts, sync, packed)
        known: dict[bytes, Any] = {}
        for one in packed:
            if one.chunk:
                assert one.chunk in puts
                for _ in range(2):
                    assert puts_of_chunk(self.get, one.chunk, known) == one.puts
                self.made += 1
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


def test_what_is_missing_or_damaged() -> None:
    store = MemoryStore()
    with Database(store) as db:
        db.troops.create(key=KEY)
        db.ingest(batch(1, 1))
        ((chunk, frames),) = store.scan(b"ls", b"lt")
        ((state, _),) = store.scan(b"lh", b"li")
        ((troop, _),) = store.scan(b"u", b"v")
        whole = puts_of_chunk(store.get, chunk, {})
        assert len(whole) > len(frames)

        def found(**changed: bytes | None) -> bytes:
            names = {"chunk": chunk, "state": state, "troop": troop}
            other = {names[name]: value for name, value in changed.items()}
            return puts_of_chunk(lambda key: other[key] if key in other else store.get(key), chunk, {})

        assert found() == whole
        assert found(chunk=None) == found(state=None) == NO_PUTS
        for damaged in ({"chunk": b"\0" + frames[1:]}, {"chunk": frames.replace(b"/", b"-")}, {"troop": None}):
            with pytest.raises(StorageError, match="a chunk that an entry of the journal is about is damaged: "):
                found(**damaged)  # type: ignore[arg-type]
