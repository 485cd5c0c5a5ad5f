"""Years of accidents in a row: nothing grows that need not, nothing is lost, nothing comes back."""

from __future__ import annotations

from tests.faults import retired


def test_logs_that_have_ended_cost_little() -> None:
    """Opening and being in sync cost no look at each of them, and a bounded record in LevelDB and memory."""
    assert retired.look(300)["retired logs"] == 300
