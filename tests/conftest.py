"""Both backends for one suite, and how much Hypothesis tries."""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell script that runs the tests in the background has them ignore it, and so would all that they start."""

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    max_examples=100,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("dev", deadline=None, max_examples=100)
settings.register_profile("long", deadline=None, max_examples=5_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


def load_codec(backend: str) -> ModuleType:
    """The codec of *backend*; skips where the C module is not built, unless SCOUTCORE_REQUIRE_C=1."""
    # Only where it is not there at all: one that is there and does not load is a failure.
    there = importlib.util.find_spec("scoutcore._native") is not None
    if backend == "c" and not there and os.environ.get("SCOUTCORE_REQUIRE_C") != "1":
        pytest.skip("the C module is not built (SCOUTCORE_REQUIRE_C=1 makes this a failure)")
    return importlib.import_module(f"scoutcore.codec.{'native' if backend == 'c' else 'reference'}")


@pytest.fixture(scope="session", params=["python", "c"])
def codec(request: pytest.FixtureRequest) -> ModuleType:
    """Each test that takes this runs on both backends."""
    return load_codec(request.param)


@pytest.fixture(scope="session")
def native() -> ModuleType:
    """The codec in C."""
    return load_codec("c")
