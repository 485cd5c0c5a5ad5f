"""Runs a check in a process of its own, which LevelDB may end, and whose files are left as they are when it ends."""

from __future__ import annotations

import os
import traceback
from collections import Counter
from collections.abc import Callable


def apart(call: Callable[[], Counter[str]]) -> Counter[str]:
    """Run *call* in a child of this process, which must not have opened LevelDB: its thread does not fork.

    The child ends at once, without closing anything, as one that is killed.

    Raises:
        AssertionError: it raised something, or died.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            said = "\n".join(f"{name}={count}" for name, count in call().items())
            status = 0
        except BaseException:
            said, status = traceback.format_exc(), 1
        with os.fdopen(writing, "w") as file:
            file.write(said)
        os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as file:
        said = file.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, said or f"the process ended with status {status}"
    return Counter({name: int(count) for name, _, count in (line.rpartition("=") for line in said.splitlines())})
