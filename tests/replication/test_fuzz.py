"""Some sessions with peers that say anything; ``python -m tests.replication.fuzz`` has many more."""

from __future__ import annotations

import pytest

from scoutcore.codec import backend
from scoutcore.replication.replica import Replica
from tests.replication.fuzz import Fuzzer


def test_whatever_a_peer_says() -> None:
    fuzzer = Fuzzer(1)
    fuzzer.run(2000 if backend == "c" else 500)
    assert fuzzer.counts["error"] > fuzzer.counts["no error"] > 30
    assert fuzzer.counts["contents"] > 30


def unchecked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Replica, "_check", lambda *_: None)


def half_applied(patch: pytest.MonkeyPatch) -> None:
    """The views get no more than the first of several changes."""
    from scoutcore.apply import Applier

    before = Applier.apply
    patch.setattr(Applier, "apply", lambda self, commit, log, part: before(self, commit, log, part.part(0, 1)))


@pytest.mark.parametrize("broken", [unchecked, half_applied])
def test_what_is_broken_is_found(broken: object, monkeypatch: pytest.MonkeyPatch) -> None:
    fuzzer = Fuzzer(1)
    broken(monkeypatch)  # type: ignore[operator]
    with pytest.raises(AssertionError):
        fuzzer.run(3000)
