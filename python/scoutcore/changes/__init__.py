"""Changes files: packed logs, from which anyone can replicate the data. ``csrc/FORMAT.md`` has the bytes.

A log's files lie in ``changes/<log uuid>/``, each named by its first change. Needs no plyvel.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from scoutcore.changes.keyframe import Keyframe, find_keyframe
from scoutcore.changes.position import DIGEST_BYTES, Position, digest_of, file_name, files_of
from scoutcore.changes.reader import Reader, Start
from scoutcore.changes.summary import Summary, summarize
from scoutcore.changes.verifier import Damage, Verified, Verifier, verify
from scoutcore.changes.writer import Writer
from scoutcore.errors import NotFoundError

__all__ = [
    "DIGEST_BYTES",
    "Damage",
    "Keyframe",
    "Position",
    "Reader",
    "Start",
    "Summary",
    "Verified",
    "Verifier",
    "Writer",
    "digest_of",
    "file_name",
    "files_of",
    "find_keyframe",
    "open",
    "summarize",
    "verify",
]


def open(source: str | os.PathLike[str] | BinaryIO) -> Reader:
    """Open a log's changes: a file, the directory of a log, or a binary stream that begins with a keyframe.

    Raises:
        NotFoundError: there are no changes files.
        OSError: the file system refuses.
    """
    if not isinstance(source, (str, os.PathLike)):
        return Reader(source)
    path = Path(source)
    if not path.is_dir():
        return Reader([path])
    files = files_of(path)
    if not files:
        raise NotFoundError(f"no changes files in {path}")
    return Reader(files, path)
