"""Some lives of the simulator, and that it catches what it is for. ``python -m tests.simulation`` runs many more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scoutcore import forks, registers
from scoutcore.codec import native, reference
from scoutcore.log import Logs
from scoutcore.metadata import Metadata
from scoutcore.replication.replica import Replica
from tests.simulation.world import run

FOUND = [
    15,  # a log that gives way in the middle of what came is not asked about in the rest of it
    41,  # a claim made before the log was here was never compared: the tail of one history behind another
    56,  # a history lost its name, the one that kept it was lost with a disk: readings under two names
    730,  # as 56, of a log that went two ways from its first change on
    100025,  # what came split one log, and had more of it under its old name: taken for a fault of the peer
    102398,  # as 100025, behind the log's first changes
]
"""Seeds that have failed once."""


@pytest.mark.parametrize("seed", [*range(6), *FOUND])
def test_all_are_the_same_in_the_end(seed: int, tmp_path: Path) -> None:
    run(seed, tmp_path)


def test_on_disk(tmp_path: Path) -> None:
    run(1000, tmp_path, events=300, disk=True)


def test_the_same_seed_gives_the_same_life(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from tests.simulation.world import run; "
    script += "print(run(7, Path(sys.argv[1]), 250, disk=False).fingerprint)"
    found = {
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / str(number))],
            env={**os.environ, "PYTHONHASHSEED": str(number)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for number in range(2)
    }
    assert len(found) == 1


def stamps_alone(patch: pytest.MonkeyPatch) -> None:
    """Metadata: of two writes of one moment the one that came later wins."""
    before = registers.Registers.apply

    def apply(self: Any, log: str, edit: Any, version: int) -> None:
        before(self, "", edit, version)

    patch.setattr(registers.Registers, "apply", apply)


def deletes_stay(patch: pytest.MonkeyPatch) -> None:
    """A write does not bring back what was deleted."""
    before = registers.Registers.apply

    def apply(self: Any, log: str, edit: Any, version: int) -> None:
        deleted = self.deleted
        before(self, log, edit, version)
        if deleted and deleted[2]:
            self.deleted = (*self.deleted[:2], True)

    patch.setattr(registers.Registers, "apply", apply)


def no_dedup(patch: pytest.MonkeyPatch) -> None:
    """What other gateways heard is not compared with what is here."""
    for codec in (native, reference):
        before = codec.add_blocks
        patch.setattr(codec, "add_blocks", lambda *args, before=before: before(*args)._replace(deferred=b""))
    import scoutcore.codec

    added = scoutcore.codec.add_blocks
    patch.setattr(
        scoutcore.codec,
        "add_blocks",
        lambda *args: (found := added(*args))._replace(deferred=bytes(len(found.deferred))),
    )


def greater_keeps_its_name(patch: pytest.MonkeyPatch) -> None:
    """Of two histories of a log, each side keeps its own name."""
    patch.setattr(Replica, "settle", lambda *_: False)


def rests_have_any_name(patch: pytest.MonkeyPatch) -> None:
    """The rest of a log that went two ways is not named by what it holds."""
    patch.setattr(forks, "name_of", lambda _: __import__("scoutcore.log").log.uuids.uuid4().bytes)


def ids_move(patch: pytest.MonkeyPatch) -> None:
    """A troop that arrives gets its creator's id, whoever has it."""
    before = Metadata.allocate

    def allocate(self: Any, commit: Any, uid: str, wanted: int | None = None) -> int:
        if wanted is not None and wanted in self.uid_of and uid not in self.id_of:
            del self.id_of[self.uid_of.pop(wanted)]
        return before(self, commit, uid, wanted)

    patch.setattr(Metadata, "allocate", allocate)


def lost_tail(patch: pytest.MonkeyPatch) -> None:
    """What is sent need not be safe."""
    patch.setattr(Logs, "stored_head", lambda _, log: log.head)
    patch.setattr("tests.simulation.stores.PowerStore.publish", lambda self: self.published())


@pytest.mark.parametrize(
    "broken",
    [
        stamps_alone,
        deletes_stay,
        no_dedup,
        greater_keeps_its_name,
        rests_have_any_name,
        ids_move,
        lost_tail,
    ],
)
def test_what_is_broken_is_caught(
    broken: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    for seed in range(30):
        try:
            run(seed, tmp_path / str(seed), disk=False)
        except Exception:
            return
    raise AssertionError("nothing was noticed")
