"""What decodes says what is wrong with garbage, and needs little memory for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import scoutcore
from tests.faults import garbage


def test_garbage_is_refused(elsewhere: Callable[..., tuple[Counter[str], list[str]]]) -> None:
    seen, problems = elsewhere(garbage.some, 4 if scoutcore.backend == "c" else 1)
    assert not problems
    assert all(seen[f"{name}: refused"] > 0 for name in garbage.decoders())
