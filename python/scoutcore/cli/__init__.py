"""The command line, ``scoutcore``. ``docs/cli.md`` describes it."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command that the program's arguments name; returns the exit code."""
    try:
        import click  # noqa: F401
        import rich  # noqa: F401
    except ImportError as problem:
        print(
            f"scoutcore: the command line needs {problem.name}: pip install 'scoutcore[cli]'",
            file=sys.stderr,
        )
        return 1
    from scoutcore.cli.app import program

    program(prog_name="scoutcore")
    return 0
