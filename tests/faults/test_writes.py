"""File operations that fail: nothing acknowledged is lost, and the same process goes on when the fault is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

import scoutcore
from tests.faults import writes

STEP = 29 if scoutcore.backend == "c" else 83


def test_calls_that_fail(shim: Path, tmp_path: Path) -> None:
    """Every so many of them, each in all ways."""
    counts, problems = writes.run(shim, tmp_path, "calls", STEP, 1)
    assert problems == []
    assert set(counts) == {f"calls that failed: {fault}" for fault in writes.FAULTS}


@pytest.mark.parametrize("files", ["log", "files"])
def test_a_disk_that_is_full(files: str, shim: Path, tmp_path: Path) -> None:
    counts, problems = writes.run(shim, tmp_path, files, 0, 65_536, 32_768 if scoutcore.backend == "c" else 65_536)
    assert problems == []
    assert sum(counts.values()) in (32, 64)
