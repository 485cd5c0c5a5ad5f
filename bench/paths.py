"""Every path, in the order of the table."""

from __future__ import annotations

from bench import (
    batches,
    changes,
    clone,
    disk,
    history,
    ingest,
    last,
    live,
    multibuffer,
    pack,
    report,
    seek,
    threads,
    verify,
    watch,
)

_STORING = (ingest, batches, threads, report, disk, pack)
_READING = (last, history, watch, seek)
MODULES = (multibuffer, changes, *_STORING, *_READING, clone, live, verify)
PATHS = [path for module in MODULES for path in module.PATHS]
