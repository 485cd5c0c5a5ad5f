"""The library that stands between a process and its files: built, and spoken to where it is preloaded."""

from __future__ import annotations

import ctypes
import enum
import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path


class Mode(enum.IntEnum):
    """What happens at the n-th call."""

    NONE = 0
    KILL = 1
    KILL_IN_WRITE = 2
    FAIL_ONCE = 3
    FAIL_FOR_GOOD = 4
    SHORT_ONCE = 5
    """Half is written, and said so: no failure."""
    SHORT_THEN_FAIL = 6
    FULL = 7
    """The disk is, after n bytes more."""


def compiler() -> str | None:
    """The C compiler that builds it; None: there is none, or this is not Linux."""
    found = os.environ.get("CC") or shutil.which("cc")
    return found if sys.platform == "linux" else None


def build(directory: Path) -> Path:
    """Build it into *directory*."""
    library = directory / "shim.so"
    source = Path(__file__).with_name("shim.c")
    command = [compiler() or "cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", library, source]
    subprocess.run(command, check=True)
    return library


def root(path: Path) -> None:
    """Only files under this directory count."""
    ctypes.CDLL(None).shim_root(os.fsencode(path))


def arm(number: int, mode: Mode, error: int = errno.ENOSPC, reads: bool = False) -> None:
    """Count from here; at call *number* something happens."""
    ctypes.CDLL(None).shim_arm(ctypes.c_long(number), int(mode), error, int(reads))


def disarm() -> None:
    """All is well from here on."""
    arm(0, Mode.NONE)


def calls() -> int:
    """Calls since it was armed."""
    function = ctypes.CDLL(None).shim_calls
    function.restype = ctypes.c_long
    return int(function())


def record(path: Path) -> None:
    """From now on write down, in the file *path*, all that is done to files."""
    ctypes.CDLL(None).shim_record(os.fsencode(path))


def mark(text: str) -> None:
    """Write down something that happened beside the files."""
    ctypes.CDLL(None).shim_mark(text.encode())
