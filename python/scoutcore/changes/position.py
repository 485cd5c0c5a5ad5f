"""How far a log stands in changes files, and the names and digests that everyone agrees on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import Final

DIGEST_BYTES: Final = 16
MARKER: Final = b"\x11\x02"
"""What a uuid frame begins with."""
CHECK: Final = b"\x21\x02"
"""What a check frame begins with."""
_FILE_NAME: Final = re.compile(r"[0-9]{10}\.changes", re.ASCII)
_POSITION: Final = Struct(">IIQQ16s16s")


def digest_of(previous: bytes, interval: bytes = b"") -> blake2b:
    """The running digest of an interval: BLAKE2b-128 over the previous check's digest and the interval's bytes."""
    running = blake2b(previous, digest_size=DIGEST_BYTES)
    running.update(interval)
    return running


def file_name(first: int) -> str:
    """The name of the file that begins with change *first*."""
    return f"{first:010d}.changes"


def files_of(directory: Path) -> list[Path]:
    """The changes files in a log's directory, in the order of their changes."""
    try:
        return sorted(file for file in directory.iterdir() if _FILE_NAME.fullmatch(file.name))
    except (FileNotFoundError, NotADirectoryError):
        return []


@dataclass(slots=True)
class Position:
    """How far a log stands in changes files."""

    last: int = 0
    """The last change in them."""
    file: int = 0
    """The first change of the newest file; 0: there is none yet."""
    size: int = 0
    """Bytes of that file that count."""
    interval: int = 0
    """Where in that file the open interval begins; ``size`` where none is open."""
    digest: bytes = bytes(DIGEST_BYTES)
    """The digest of the last check."""
    head: bytes = bytes(DIGEST_BYTES)
    """D of the last change: what the open interval, which no check covers yet, is compared with."""

    def dump(self) -> bytes:
        """The position as a record."""
        return _POSITION.pack(self.last, self.file, self.size, self.interval, self.digest, self.head)

    @classmethod
    def load(cls, record: bytes) -> Position:
        """The position of a record."""
        return cls(*_POSITION.unpack(record))
