"""Peers that mean no good keep nobody from syncing, and cost little memory."""

from __future__ import annotations

from tests.faults import peers


def test_bad_peers_beside_a_good_one() -> None:
    assert peers.look(60, readings=2_000)["bad peers"] == 60
