"""What the tests of faults share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.database.conftest import disk, path
from tests.faults import shim as shims

__all__ = ["disk", "path"]


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library to be preloaded."""
    if shims.compiler() is None:
        pytest.skip("needs Linux and a C compiler, for a library that is preloaded")
    return shims.build(tmp_path_factory.mktemp("shim"))
