"""What the tests of faults share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.database.conftest import disk, path
from tests.faults import shim as shims

__all__ = ["disk", "path"]


@pytest.fixture
def elsewhere() -> Iterator[Callable[..., tuple[Counter[str], list[str]]]]:
    """Calls a function, with its arguments, in a process that has not opened LevelDB and may fork."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield lambda call, *arguments: pool.submit(call, *arguments).result(timeout=200)


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library to be preloaded."""
    if shims.compiler() is None:
        pytest.skip("needs Linux and a C compiler, for a library that is preloaded")
    return shims.build(tmp_path_factory.mktemp("shim"))
