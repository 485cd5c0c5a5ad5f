"""Runs a piece of Python in a process of its own, that may die."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def environment(**more: str) -> dict[str, str]:
    places = [str(ROOT), *(place for place in sys.path if place)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places), "PYTHONUNBUFFERED": "1", **more}


def start(code: str, *arguments: object, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
    """Start *code* with ``sys.argv[1:]`` = *arguments*."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, env=environment(**(env or {})), text=True, **options)


def run(
    code: str, *arguments: object, env: dict[str, str] | None = None, timeout: float = 120, returns: int = 0
) -> str:
    """Run *code* to its end and return what it printed."""
    with start(code, *arguments, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        out, err = process.communicate(timeout=timeout)
    assert process.returncode == returns, err
    return out
