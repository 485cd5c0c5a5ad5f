"""The paths under pytest-benchmark: ``pytest bench`` groups them by path and compares, saves and shows as it can.

The times are those of ``python -m bench``: each contender's processes have taken them, in turn with the others'. What
pytest-benchmark runs here only plays them back, on a clock that goes forward by what was measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bench.harness import HotPath, Result, Settings, measure
from bench.paths import PATHS


class Clock:
    """A clock that stands still until it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


CLOCK = Clock()
BY_NAME = {path.name: path for path in PATHS}
CASES = [(path, contender.name) for path in PATHS for contender in path.contenders]


@pytest.fixture(scope="session")
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    option = request.config.getoption
    work = Path(option("--bench-work") or tmp_path_factory.mktemp("bench"))
    settings = Settings(str(work), reports=option("--bench-reports"), rounds=option("--bench-rounds"))
    if option("--bench-quick"):
        settings = settings.quick()
    return cache(lambda name: measure(BY_NAME[name], settings))


@pytest.mark.benchmark(timer=CLOCK)
@pytest.mark.parametrize(("path", "name"), CASES, ids=[f"{path.name}-{name}" for path, name in CASES])
def test_path(benchmark: Any, results: Any, path: HotPath, name: str) -> None:
    result: Result = results(path.name)
    if name in result.missing:
        pytest.skip(result.missing[name])
    samples = result.samples[name]
    benchmark.group = path.name
    benchmark.extra_info["items"] = samples[0].count
    benchmark.extra_info["peak_kib"] = max(sample.peak_kib for sample in samples)
    benchmark.extra_info["items_per_second"] = [sample.rate for sample in samples]
    for goal in path.goals:
        if goal.ours == name:
            benchmark.extra_info[f"against {goal.peer or 'a fixed rate'}"] = result.ratios(goal)
    times: Iterator[float] = iter(sample.seconds_per_item for sample in samples)

    def play() -> None:
        CLOCK.now += next(times)

    benchmark.pedantic(play, rounds=len(samples), iterations=1)
