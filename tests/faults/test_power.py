"""What a power cut leaves opens by itself, and keeps what was promised (promises 1, 7 and 11)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import get_args

import pytest

import scoutcore
from scoutcore.database import Durability
from tests.faults import images, life, power
from tests.faults.images import Operation

IMAGES = 100 if scoutcore.backend == "c" else 25


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name in life.PLACES:
        monkeypatch.setattr(place, name, getattr(place, name))
    life.make_small()
    life.stay_the_same()


@pytest.mark.parametrize("durability", get_args(Durability))
def test_images(durability: Durability, shim: Path, tmp_path: Path) -> None:
    found = power.recording(shim, tmp_path / "life", durability, seed=1)
    counts, problems = power.run(found, IMAGES, 1, tmp_path / "image")
    assert problems == []
    assert counts["images"] == IMAGES
    assert counts["different"] > IMAGES / 3


@pytest.mark.parametrize(("durability", "broken"), [("process", "publish"), ("power", "_sync_names")])
def test_what_is_broken_is_noticed(durability: Durability, broken: str, shim: Path, tmp_path: Path) -> None:
    """A store that publishes nothing, or leaves a new log's name unsynced."""
    found = power.recording(shim, tmp_path / "life", durability, seed=2, broken=broken)
    for seed in range(40):
        _, problems = power.run(found, 20, seed, tmp_path / "image")
        if problems:
            return
    raise AssertionError("nothing was noticed")


def disk_of(*operations: Operation) -> images.Disk:
    disk = images.Disk("/root")
    for operation in operations:
        disk.apply(operation)
    return disk


def test_what_was_synced_is_in_every_image() -> None:
    """And of what was not, everything is in some image."""
    path = b"/root/file"
    made = [Operation("o", 1, 0o100, path), Operation("w", 1, 0, b"a" * 600), Operation("s", 1, 0, b"")]
    named = [Operation("o", 2, 0, b"/root"), Operation("s", 2, 0, b"")]
    more = [Operation("w", 1, 600, b"b" * 1000), Operation("r", 0, 0, path + b"\n/root/other")]
    synced = [disk_of(*made, *named).image(Random(seed)) for seed in range(20)]
    assert synced == [{"file": b"a" * 600}] * 20
    found = Counter(str(disk_of(*made, *named, *more).image(Random(seed))) for seed in range(400))
    for data in (b"a" * 600, b"a" * 600 + b"b" * 1000, b"a" * 600 + b"b" * 424, b"a" * 600 + bytes(1000)):
        assert str({"file": data}) in found
        assert str({"other": data}) in found
    assert {str(disk_of(*made).image(Random(seed))) for seed in range(20)} == {"{}", str({"file": b"a" * 600})}
