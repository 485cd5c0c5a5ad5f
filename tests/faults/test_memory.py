"""Memory that runs out while buffers for C are made, each allocation in turn: nothing acknowledged is lost, nothing is
half stored, and the same database goes on when there is memory again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from msgspec import json

from scoutcore import codec
from scoutcore.database import Database
from tests.database.compare import assert_shows
from tests.database.logs import content_of
from tests.faults import life
from tests.faults.life import Life

ALLOCATORS = ("_new_uncleared", "_zeros", "_taken")
MOST = 2_000


class Scarce:
    """Counts what the C backend allocates; allocation *number* fails, and with *for_good* all behind it."""

    def __init__(self, kept: list[Any]) -> None:
        """*kept*: memory that is used again."""
        self.left = 0
        self.for_good = False
        self.kept = kept

    def arm(self, number: int, for_good: bool) -> None:
        self.kept.clear()
        self.left, self.for_good = number, for_good

    def disarm(self) -> bool:
        """Whether one has failed."""
        failed, self.left = self.left <= 0, 0
        self.for_good = False
        return failed

    def of(self, allocate: Callable[..., Any]) -> Callable[..., Any]:
        def allocate_or_fail(*arguments: Any) -> Any:
            self.left -= 1
            if self.left == 0 or (self.for_good and self.left < 0):
                raise MemoryError
            return allocate(*arguments)

        return allocate_or_fail


class ScarceFFI:
    """cffi, whose ``new`` may fail."""

    def __init__(self, ffi: Any, scarce: Scarce) -> None:
        self._ffi = ffi
        self.new = scarce.of(ffi.new)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ffi, name)


@pytest.fixture
def scarce(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Scarce:
    if codec.backend != "c":
        pytest.skip("the C module is not what databases use")
    made = Scarce(native._spare)
    for name in ALLOCATORS:
        monkeypatch.setattr(native, name, made.of(getattr(native, name)))
    monkeypatch.setattr(native, "ffi", ScarceFFI(native.ffi, made))
    return made


class Poor(Life):
    """A life that remembers what was acknowledged, and does some more."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, self._hear)
        self.acknowledged: set[int] = set()

    def _hear(self, mark: str) -> None:
        kind, _, number = mark.partition(" ")
        if kind == "number":
            self.acknowledged.add(int(number))

    def report(self, db: Database) -> None:
        """One reading, in one call."""
        (one,) = self._readings(1)
        del one["key"]
        db.report(next(iter(db.troops)).id, **one)  # type: ignore[arg-type]
        self.acknowledged.add(self.number)

    def lines(self, db: Database) -> None:
        """As NDJSON, and once more, the last first: readings with clocks have been heard."""
        readings = self._readings(9)
        names = {"boot": "b"}
        lines = [{names.get(name, name): value for name, value in one.items() if name != "t"} for one in readings]
        for one in (lines, reversed(lines)):
            assert db.ingest(b"".join(json.encode(line) + b"\n" for line in one), strict=True).accepted == len(lines)
        self.acknowledged.update(range(self.number - len(lines) + 1, self.number + 1))

    def read(self, db: Database) -> None:
        assert self.acknowledged <= life.numbers_in(db)
        for troop in db.troops:
            db.snapshot(troop.id)
            for scout in range(life.SCOUTS):
                for _ in db.history(troop.id, scout, "temp").columns():
                    pass

    def verify(self, db: Database) -> None:
        assert db.verify(views=True).ok


@pytest.fixture
def poor(path: Path) -> Iterator[Poor]:
    one = Poor(path)
    one.batch(one.opened())
    yield one
    one.close()


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("kind", ["report", "batch", "lines", "edit", "pack", "sync", "read", "verify"])
def test_each_allocation_fails(poor: Poor, scarce: Scarce, kind: str, for_good: bool) -> None:
    do = getattr(poor, kind)
    for number in range(1, MOST):
        poor.report(poor.opened())  # something to pack, and to give the peer
        scarce.arm(number, for_good)
        try:
            do(poor.opened())
        except (MemoryError, life.SessionError):
            assert scarce.disarm()
        else:
            if not scarce.disarm():
                break
        poor.read(poor.opened())
        do(poor.opened())
    assert 1 < number < MOST - 1, "none failed, or they never end"
    poor.verify(poor.opened())
    for db in (poor.opened(), poor.peer):
        assert_shows(db, content_of(db), receptions=False)
