"""Making a log's damaged changes files whole, once all that they lack has come again: they are what they were."""

from __future__ import annotations

import shutil
import uuid as uuids
from pathlib import Path
from typing import Final

from scoutcore import changes, keys
from scoutcore.changes import DIGEST_BYTES, Position
from scoutcore.changes.keyframe import find_keyframe
from scoutcore.directory import sync_directory
from scoutcore.dropping import kept_digest, last_digest
from scoutcore.errors import CorruptError, StorageError
from scoutcore.log import Log, Logs
from scoutcore.source import Cursor
from scoutcore.store import Store

_FRESH: Final = "restored"
"""The directory, in that of the log, where files are until they are whole."""
_STEP_BYTES: Final = 1024 * 1024


def restore(store: Store, logs: Logs, log: Log, directory: Path) -> None:
    """Write the damaged files of *log* anew, from those changes in them that are whole and those that came again.

    Interrupted anywhere, it can be done again. The files have to come out as they were: the digests of what follows
    them prove that before they replace the damaged ones.

    Raises:
        CorruptError: they do not; what came is of another history, or there is further damage. Nothing is changed.
        StorageError: the disk or LevelDB refuses.
    """
    path = directory / str(uuids.UUID(bytes=log.uuid))
    try:
        _restore(logs, log, directory, path)
    except OSError as problem:
        raise StorageError(f"cannot restore files in {path}: {problem.strerror or problem}") from problem
    chunks: dict[bytes, bytes | None] = {
        key: None for gap in log.gaps for first, _, key, _ in logs.chunks(log, gap.first) if first <= gap.last
    }
    store.write({**chunks, keys.GAPS + log.uuid: None}, sync=True)
    log.gaps = []


def _restore(logs: Logs, log: Log, directory: Path, path: Path) -> None:
    packed = logs.stored_position(log)
    fresh = path / _FRESH
    shutil.rmtree(fresh, ignore_errors=True)
    files = changes.files_of(path)
    before = [file for file in files if int(file.stem) <= log.gaps[0].first]
    first = int(before[-1].stem) if before else log.base + 1
    behind = next((file for file in files if int(file.stem) > log.gaps[-1].last), None)
    upto = int(behind.stem) - 1 if behind else packed.last
    position = Position(first - 1, digest=_digest_before(log, path, files, first))
    writer = changes.Writer(fresh, log.uuid, position)
    cursor = Cursor(logs, log, directory, first - 1)
    try:
        while cursor.after < upto:
            begin = cursor.after
            frames, last = cursor.read(upto, _STEP_BYTES)
            writer.append(frames, last - begin)
        writer.sync()
    finally:
        cursor.close()
        writer.close()
    if behind:
        with behind.open("rb") as following_file:
            following = find_keyframe(following_file, log.uuid, 0, 1)
        right = following is None or following.previous == writer.position.digest
    else:
        right = writer.position == packed
    if not right:
        shutil.rmtree(fresh, ignore_errors=True)
        raise CorruptError(f"{path}: what came for changes {log.gaps[0].first} on is not what was packed", 0)
    for file in changes.files_of(fresh):
        file.replace(path / file.name)
    sync_directory(path)
    fresh.rmdir()


def _digest_before(log: Log, path: Path, files: list[Path], first: int) -> bytes:
    """The digest of the last check before the file that begins with change *first*."""
    before = [file for file in files if int(file.stem) < first]
    if before:
        return last_digest(before[-1])
    if dropped := kept_digest(log, path):
        return dropped
    if first > log.origin + 1:
        with (files[0]).open("rb") as file:
            found = find_keyframe(file, log.uuid, 0, 1)
        if found is None:
            raise CorruptError(f"{files[0]}: the digest before it is not known", 0)
        return found.previous
    return bytes(DIGEST_BYTES)
