"""What a power cut leaves opens by itself, and keeps what was promised (promises 1, 7 and 11)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import get_args

import pytest

import scoutcore
from scoutcore.database import Durability
from tests.faults import images, power
from tests.faults.images import Operation

Elsewhere = Callable[..., "tuple[Counter[str], list[str]]"]
IMAGES = 80 if scoutcore.backend == "c" else 20


@pytest.mark.parametrize("durability", get_args(Durability))
def test_images(durability: Durability, elsewhere: Elsewhere, shim: Path, tmp_path: Path) -> None:
    counts, problems = elsewhere(power.look, shim, tmp_path, durability, 1, IMAGES, None)
    assert problems == []
    assert counts["images"] == IMAGES
    assert counts["different"] > IMAGES / 3


@pytest.mark.parametrize(("durability", "broken"), [("process", "publish"), ("power", "_sync_names")])
def test_what_is_broken_is_noticed(
    durability: Durability, broken: str, elsewhere: Elsewhere, shim: Path, tmp_path: Path
) -> None:
    """A store that publishes nothing, or leaves a new log's name unsynced."""
    for seed in range(10):
        _, problems = elsewhere(power.look, shim, tmp_path / str(seed), durability, seed, 60, None, broken)
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
