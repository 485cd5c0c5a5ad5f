"""Our own database, as the contenders open it."""

from __future__ import annotations

from pathlib import Path

import scoutcore


def create(path: Path, *, pack: bool = True) -> scoutcore.Database:
    """A new one, with the troop that every input reports for."""
    db = scoutcore.open(path, pack=pack)
    db.troops.create(id=1)
    return db
