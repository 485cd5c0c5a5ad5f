"""What tests wait for comes, or the test fails: no wait is without end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SECONDS = 60.0


def wait_until(reached: Callable[[], bool]) -> None:
    """Wait for something that other threads or processes do."""
    end = time.monotonic() + SECONDS
    while not reached():
        assert time.monotonic() < end, f"it did not come in {SECONDS:.0f} s"
        time.sleep(0.002)


@contextmanager
def killed_at_the_end(process: subprocess.Popen[Any]) -> Iterator[subprocess.Popen[Any]]:
    """A process that does not outlive the block, however that ends: leaving a bare one waits for it."""
    with process:
        try:
            yield process
        finally:
            process.kill()
