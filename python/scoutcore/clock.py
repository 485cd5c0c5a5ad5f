"""Write time: µs since the Unix epoch, strictly rising, whatever the system clock does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

SET_CLOCK: Final = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z in µs. A clock before it was never set."""
DAY: Final = 86_400_000_000


def system_time() -> int:
    """The system clock, in µs since the Unix epoch."""
    return time.time_ns() // 1000


class WriteClock:
    """Gives write times: the system clock, but always at least 1 µs after the one before, also over restarts.

    A system clock that has been set (after 2026-01-01) and is more than a day behind the last write time is believed:
    then it was the last write time that was wrong.
    """

    def __init__(self, last: int = 0, now: Callable[[], int] = system_time) -> None:
        self.last = last
        self._now = now

    def take(self, count: int = 1) -> int:
        """The last of *count* further write times, which are consecutive µs."""
        first, last = self._now(), self.last
        if first <= last and not SET_CLOCK <= first <= last - DAY:
            first = last + 1
        self.last = last = first + count - 1
        return last
