"""scoutcore: a database for meshes of sensor nodes.

It keeps every reading ever sent, in time order, beside the last known value of each; writes an append-only log; and
packs that into changes files from which anyone can replicate it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scoutcore import changes, dat, errors, multibuffer
from scoutcore.codec import backend
from scoutcore.errors import Error

if TYPE_CHECKING:
    from scoutcore.database import Database, open
    from scoutcore.ingest import IngestResult
    from scoutcore.model import Point, Scout, Troop
    from scoutcore.repairing import repair
    from scoutcore.watch import Synced

_LATER = {
    "Database": "scoutcore.database",
    "IngestResult": "scoutcore.ingest",
    "Point": "scoutcore.model",
    "Scout": "scoutcore.model",
    "Synced": "scoutcore.watch",
    "Troop": "scoutcore.model",
    "open": "scoutcore.database",
    "repair": "scoutcore.repairing",
}

__all__ = [
    "Database",
    "Error",
    "IngestResult",
    "Point",
    "Scout",
    "Synced",
    "Troop",
    "backend",
    "changes",
    "dat",
    "errors",
    "multibuffer",
    "open",
    "repair",
]


def __getattr__(name: str) -> Any:
    # The codec, changes, dat and multibuffer are for machines without plyvel too.
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'scoutcore' has no attribute {name!r}")
