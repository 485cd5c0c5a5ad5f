"""Every path, in the order of the table."""

from __future__ import annotations

from bench import batches, changes, history, ingest, last, multibuffer, pack, report, seek

MODULES = (multibuffer, changes, ingest, batches, report, last, history, pack, seek)
PATHS = [path for module in MODULES for path in module.PATHS]
