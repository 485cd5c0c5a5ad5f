"""Lets peers in: those from where somebody was thrown out of late come one after another."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

_PAUSE: Final = 0.05
"""Seconds after which the next two of such an address may come in."""
_REMEMBERED: Final = 10.0
"""Seconds without anybody waiting, after which an address is like any other."""
_MAX_ADDRESSES: Final = 10_000


@dataclass
class _Queue:
    """Those who wait at an address."""

    waiting: dict[asyncio.Future[None], None] = field(default_factory=dict)
    idle: float = 0.0
    """For how many seconds nobody has waited."""


class Door:
    """For the thread of one event loop. Whoever connects as often as he can gets no more of a server than a little."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}

    async def enter(self, host: str) -> None:
        """Wait until somebody from *host* may come in, which is at once where nobody from there was thrown out.

        The newest and the oldest come next: among many who are here again as soon as they were thrown out a good one
        mostly has his turn at once, and surely when those who were before him have had theirs.
        """
        queue = self._queues.get(host)
        if queue is None:
            return
        turn = asyncio.get_running_loop().create_future()
        queue.waiting[turn] = None
        try:
            await turn
        finally:
            queue.waiting.pop(turn, None)

    def thrown_out(self, host: str) -> None:
        """Somebody from *host* was."""
        queue = self._queues.get(host)
        if queue is not None:
            queue.idle = 0.0
        elif len(self._queues) < _MAX_ADDRESSES:
            self._queues[host] = _Queue()
            asyncio.get_running_loop().call_later(_PAUSE, self._next, host)

    def _next(self, host: str) -> None:
        queue = self._queues[host]
        queue.idle = 0.0 if queue.waiting else queue.idle + _PAUSE
        for turn in {*list(queue.waiting)[:1], *list(queue.waiting)[-1:]}:
            del queue.waiting[turn]
            if not turn.done():  # who has gone is
                turn.set_result(None)
        if queue.idle < _REMEMBERED:
            asyncio.get_running_loop().call_later(_PAUSE, self._next, host)
        else:
            del self._queues[host]
