"""The ``npm`` fixture: the real packages, once on the Node at hand and once on the Node of their time.

Set up with ``npm ci --ignore-scripts`` in this directory. Where Node or the packages are missing the tests are
skipped, unless ``SCOUTCORE_REQUIRE_INTEROP=1``, which makes that a failure.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NoReturn

import pytest

from .npm import HERE, MODULES, NODE10, REQUIRED, Npm

if TYPE_CHECKING:
    from collections.abc import Iterator


def _missing(what: str) -> NoReturn:
    reason = f"{what}: run `npm ci --ignore-scripts` in {HERE}"
    if REQUIRED:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session", params=["node", "node10"])
def npm(request: pytest.FixtureRequest) -> Iterator[Npm]:
    """The npm packages on the ``node`` of the PATH, and on Node 10.24.1 as they come."""
    if not (MODULES / "dat-replication-protocol").is_dir():
        _missing("the npm packages are not installed")
    node = shutil.which("node") if request.param == "node" else shutil.which(NODE10)
    if node is None:
        _missing("there is no node on the PATH" if request.param == "node" else "there is no Node 10 for this machine")
    peer = Npm(node)
    yield peer
    peer.close()
