"""Years of accidents in a row: nothing grows that need not, nothing is lost, nothing comes back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tests.faults import offline, retired, schedules

Elsewhere = Callable[..., "tuple[Counter[str], list[str]]"]


def test_logs_that_have_ended_cost_little() -> None:
    """Opening and being in sync cost no look at each of them, and a bounded record in LevelDB and memory."""
    assert retired.look(120)["retired logs"] == 120


def test_nothing_is_lost_and_nothing_comes_back(elsewhere: Elsewhere) -> None:
    """Deletes, packing, expiry, dropping, old copies, old exports and views built anew, in any order."""
    seen, problems = elsewhere(schedules.some, 4)
    assert not problems
    assert min(seen["changes dropped"], seen["readings expired"], seen["views built anew"]) > 0


def test_a_gateway_that_was_offline_for_days(elsewhere: Elsewhere) -> None:
    seen, problems = elsewhere(offline.some, 3_000, 3)
    assert not problems
    assert seen["readings"] > 2_900
