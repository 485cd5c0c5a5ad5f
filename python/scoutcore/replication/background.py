"""The event loop behind calls that are not asyncio: one thread for all databases of the process."""

from __future__ import annotations

import asyncio
import os
from threading import Lock, Thread

_lock = Lock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}
"""By process: a thread does not survive a fork."""


def loop() -> asyncio.AbstractEventLoop:
    """The loop, which runs."""
    with _lock:
        found = _loops.get(os.getpid())
        if found is None:
            found = _loops[os.getpid()] = asyncio.new_event_loop()
            Thread(target=found.run_forever, name="scoutcore replication", daemon=True).start()
        return found
