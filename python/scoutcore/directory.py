"""The directory of a database: its format, its lock, and the file that tells it from a copy of it."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Final

from scoutcore.errors import FormatError, LockedError, StorageError

FORMAT: Final = 1
_FORMAT_TEXT: Final = "scoutcore database, format "
_FORMAT_NUMBER: Final = re.compile("[0-9]{1,9}")
_OURS: Final = frozenset(
    (
        "format",
        "format.new",
        "identity",
        "identity.new",
        "lock",
        "db",
        "db.new",
        "changes",
        "retention.json",
        "retention.json.new",
        "verify",
    )
)
_MACHINE_ID: Final = Path("/etc/machine-id")


class Directory:
    """A database's directory, created where it is missing, locked as long as it is open."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            FormatError: it is something else, or of a newer format.
            LockedError: another process has it open.
            StorageError: the file system refuses.
        """
        self.path = path
        try:
            self._refuse_others()
            if not self._format.exists():
                make_directory(path)
            self._lock = self._take_lock()
            try:
                if not self._format.exists():
                    write_file(self._format, f"{_FORMAT_TEXT}{FORMAT}\n".encode())
                self.identity = self._identity()
            except BaseException:
                self.close()
                raise
        except OSError as problem:
            raise StorageError(f"cannot open {path}: {problem.strerror or problem}") from problem

    @property
    def leveldb(self) -> Path:
        return self.path / "db"

    @property
    def changes(self) -> Path:
        return self.path / "changes"

    @property
    def retention(self) -> Path:
        return self.path / "retention.json"

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Where a copy of the views may stand for a while; what a process that was killed left is gone."""
        path = self.path / "verify"
        shutil.rmtree(path, ignore_errors=True)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """Give the lock back; closing twice is fine."""
        handle, self._lock = self._lock, -1
        if handle >= 0:
            os.close(handle)

    @property
    def _format(self) -> Path:
        return self.path / "format"

    def _refuse_others(self) -> None:
        """Raise FormatError where this is not for us; nothing in it has been touched."""
        if self.path.exists() and not self.path.is_dir():
            raise FormatError(f"{self.path} is a file, not a scoutcore database")
        if self._format.exists():
            number = self._format.read_text("utf-8", "replace").strip().removeprefix(_FORMAT_TEXT)
            if not _FORMAT_NUMBER.fullmatch(number):
                raise FormatError(
                    f"{self._format} does not name a scoutcore format: were it not there, it would be made"
                )
            if int(number) > FORMAT:
                raise FormatError(f"{self.path} has format {number}; this scoutcore knows up to format {FORMAT}")
        elif self.path.is_dir():
            found = {entry.name for entry in self.path.iterdir()}
            strangers = sorted(name for name in found - _OURS if not name.startswith("db."))
            if strangers:
                raise FormatError(f"{self.path} is no scoutcore database: it holds {strangers[0]!r}")

    def _take_lock(self) -> int:
        handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.pread(handle, 20, 0).strip()
                raise LockedError(str(self.path), int(owner) if owner.isdigit() else None) from None
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            os.close(handle)
            raise
        return handle

    def _identity(self) -> bytes:
        """A digest that changes when the database was copied, restored from a backup, or moved to another machine."""
        path = self.path / "identity"
        if not path.exists():
            write_file(path, f"{uuid.uuid4()}\n".encode())
        about = path.stat()
        try:
            machine = _MACHINE_ID.read_bytes()
        except OSError:
            machine = b""
        parts = (path.read_bytes(), about.st_ino, about.st_ctime_ns, machine)
        return blake2b(repr(parts).encode(), digest_size=16).digest()


def make_directory(path: Path) -> None:
    """Make a directory, and what is missing above it, safe against power loss; it may be there."""
    if not path.parent.exists():
        make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def write_file(path: Path, data: bytes) -> None:
    """Write a small file whole or not at all, safe against power loss."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make a directory's entries safe against power loss."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
