"""Counts and sizes of a database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TroopStats:
    """What a troop holds; of what is deleted nothing is counted."""

    troop: int
    uid: str
    scouts: int
    series: int
    """Reports of scouts, each with its own history."""
    points: int
    """Readings in the history."""
    receptions: int
    """Arrivals of readings: more than ``points`` where some were heard more than once."""
    ahead: int
    """Series whose last value is of a day from now or later, by the clocks of scout and gateway both: it stays the last
    one until then, or until it expires."""


@dataclass(frozen=True)
class LogStats:
    """One log, ours or a copy."""

    log: str
    own: bool
    base: int
    """The last change that was dropped from its front."""
    head: int
    """The last change held."""
    packed: int
    """The last change that is in changes files."""
    missing: int
    """Changes that were damaged in changes files, and have not come again."""


@dataclass(frozen=True)
class PackerStats:
    """What the worker that packs the logs is at."""

    running: bool
    """False: the database was opened with ``pack=False``, or packing is paused."""
    unpacked_bytes: int
    """About so much of the logs is not in changes files yet."""
    problem: str | None
    """Why nothing can be packed, such as a full disk; it is tried again on its own."""
    since: int | None
    """Since when it cannot, in µs since the Unix epoch."""


@dataclass(frozen=True)
class Stats:
    """Counts and sizes of a database. Sizes are bytes on disk, None in memory."""

    id: str
    troops: list[TroopStats]
    logs: list[LogStats]
    db_bytes: int | None
    """LevelDB: views, and what of the logs is not packed."""
    changes_bytes: int | None
    """Changes files: what of the logs is packed."""
    packer: PackerStats | None
    """None in memory."""


def bytes_under(directory: Path) -> int:
    """The bytes of all files in *directory*; files that go away meanwhile do not count."""
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total
