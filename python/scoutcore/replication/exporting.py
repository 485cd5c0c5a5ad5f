"""Giving changes away as files: copies of the changes files, each compared with its checks on the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final
from uuid import UUID

from scoutcore import changes
from scoutcore.changes import file_name, files_of
from scoutcore.database import Database
from scoutcore.directory import sync_directory
from scoutcore.errors import InvalidError, NotFoundError, StorageError

_PART: Final = ".part"


@dataclass
class ExportResult:
    """What was exported."""

    logs: int = 0
    changes: int = 0
    bytes: int = 0


def export_changes(
    database: Database,
    target: str | os.PathLike[str] | BinaryIO,
    *,
    log: str | None = None,
    first: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> ExportResult:
    """See :meth:`scoutcore.Database.export_changes`."""
    if database.packer is None or database._directory is None:
        raise InvalidError("a database in memory has no changes files to be exported")
    chosen = _chosen(database, log, first)
    database.pack()
    result = ExportResult()
    with database.packer.pause():  # what is there is whole then
        parts = [
            part
            for uuid in chosen
            for part in _parts(files_of(database._directory.changes / str(UUID(bytes=uuid))), first)
        ]
        total = sum(path.stat().st_size for path, _ in parts)
        result.logs = len({path.parent for path, _ in parts})
        for path, reader in parts:
            name = file_name(reader.start.first) if reader.start else path.name
            with _output(target, path.parent.name, name) as out:
                for data, columns in reader.frames():
                    out.write(data)
                    result.bytes += len(data)
                    result.changes += len(columns.change)
                    if progress:
                        progress(result.bytes, total)
    return result


def _chosen(database: Database, log: str | None, first: int) -> list[bytes]:
    """The logs that are meant."""
    found = [one.uuid for one in database._logs.by_number if one.head > one.base]
    if log is None:
        if first != 1 and len(found) != 1:
            raise InvalidError(f"there are {len(found)} logs: name that of which change {first} is the first")
        return found
    try:
        uuid = UUID(log).bytes
    except ValueError:
        raise InvalidError(f"{log!r:.60} is not the uuid of a log") from None
    if uuid not in found or database._logs.get(uuid).head < first:
        raise NotFoundError(f"change {first} of log {UUID(bytes=uuid)} is not here")
    return [uuid]


def _parts(files: list[Path], first: int) -> Iterator[tuple[Path, changes.Reader]]:
    """The files of a log, the first of them from the keyframe before a change on."""
    index = max(sum(path.name <= file_name(first) for path in files) - 1, 0)
    begin = changes.open(files[index])
    if first > int(files[index].stem):
        begin.seek(change=first)
        assert begin.start is not None
        if begin.start.offset and not begin.start.checked:  # with a check before it, it is known what the tail follows
            begin.seek(change=begin.start.first - 1)
    yield files[index], begin
    for path in files[index + 1 :]:
        yield path, changes.open(path)


@contextmanager
def _output(target: str | os.PathLike[str] | BinaryIO, log: str, name: str) -> Iterator[BinaryIO]:
    """Where a file goes; in a directory it takes its name only when it is whole and safe against power loss."""
    if not isinstance(target, (str, os.PathLike)):
        yield target
        return
    directory = Path(target) / log
    part = directory / (name + _PART)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with part.open("wb", buffering=0) as out:
            yield out
            os.fsync(out.fileno())
        part.replace(directory / name)
        sync_directory(directory)
    except OSError as problem:
        raise StorageError(f"cannot write {part}: {problem.strerror or problem}") from problem
    finally:
        part.unlink(missing_ok=True)
