"""Options of ``pytest bench``."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bench", "scoutcore's benchmarks")
    group.addoption("--bench-reports", type=int, default=200_000, help="reports to ingest (200,000)")
    group.addoption("--bench-rounds", type=int, default=5, help="processes per contender (5)")
    group.addoption("--bench-quick", action="store_true", help="very little of everything: to see that it runs")
    group.addoption("--bench-work", help="keep inputs and databases in this directory")
