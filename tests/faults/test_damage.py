"""Damage to files: no wrong value is served; it opens, or says where it cannot (promise 12)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import scoutcore
from tests.faults import damage

COUNT = 30 if scoutcore.backend == "c" else 12
UNNOTICED = {"LevelDB's log", "retention.json"}
"""Of the end of LevelDB's log nobody knows that it was there; and another number in a rule is another rule."""


def unnoticed(counts: Counter[str]) -> set[str]:
    return {what.partition(":")[0].removeprefix("without ") for what in counts if what.endswith("unnoticed")}


def not_mended(counts: Counter[str]) -> set[str]:
    """What is no database of this version is left alone; all else is as it was, once it was repaired and synced."""
    assert any(what.endswith("mended, to the byte") for what in counts)
    return {what.partition(":")[0] for what in counts if what.endswith("repair refuses")}


def test_bits_flipped_and_files_cut(elsewhere: Callable[..., tuple[Counter[str], list[str]]]) -> None:
    counts, problems = elsewhere(damage.some, COUNT)
    assert problems == []
    assert counts.total() == 2 * COUNT
    assert not_mended(counts) <= {"format"}
    assert unnoticed(counts) <= UNNOTICED


def test_files_that_are_gone(elsewhere: Callable[..., tuple[Counter[str], list[str]]]) -> None:
    counts, problems = elsewhere(damage.each_alone)
    assert problems == []
    assert not_mended(counts) == set()
    assert unnoticed(counts) <= {"LevelDB's log"}
    assert {what for what in counts if "refused" in what} == {"without db: refused, and said where"}
