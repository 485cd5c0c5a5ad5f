"""Multi-master replication over streams of dat-replication-protocol 4.1.2. ``csrc/FORMAT.md`` has the messages."""

from __future__ import annotations

from scoutcore.errors import InvalidError
from scoutcore.replication.client import Retrying, Sync
from scoutcore.replication.exporting import ExportResult, export_changes
from scoutcore.replication.importing import FileProblem, Gap, ImportResult, import_changes
from scoutcore.replication.replica import Limits
from scoutcore.replication.server import Server, Told
from scoutcore.replication.session import (
    MIN_SECRET,
    Connected,
    Ended,
    InSync,
    Options,
    Problem,
    Progress,
)
from scoutcore.replication.tcp import Tls

__all__ = [
    "Connected",
    "Ended",
    "ExportResult",
    "FileProblem",
    "Gap",
    "ImportResult",
    "InSync",
    "Limits",
    "Options",
    "Problem",
    "Progress",
    "Retrying",
    "Server",
    "Sync",
    "Tls",
    "Told",
    "export_changes",
    "import_changes",
    "options",
]


def options(
    live: bool, pull: bool, push: bool, from_base: bool, secret: bytes | None, limits: Limits | None
) -> Options:
    """What a side wants of a session.

    Raises:
        InvalidError: a secret that is none.
    """
    if secret is not None and (not isinstance(secret, bytes) or len(secret) < MIN_SECRET):
        raise InvalidError(f"a shared secret has at least {MIN_SECRET} bytes")
    return Options(push, pull, live, from_base, secret, limits or Limits())
