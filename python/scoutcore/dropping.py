"""Dropping the oldest changes files of a log. The metadata in them is kept beside those that stay.

What was read from them stays in the views. Views built anew have the metadata still, but not the readings.
"""

from __future__ import annotations

import os
import uuid as uuids
from pathlib import Path
from struct import Struct
from typing import Final

from scoutcore import changes, codec
from scoutcore.apply import by_subset
from scoutcore.changes.position import CHECK, DIGEST_BYTES
from scoutcore.codec.columns import ChangeColumns
from scoutcore.codec.constants import CHECK_BYTES
from scoutcore.directory import sync_directory, write_file
from scoutcore.errors import CorruptError, StorageError, UnsupportedError
from scoutcore.log import Log, Logs
from scoutcore.metadata import stamp_of
from scoutcore.store import Store

KEPT: Final = "dropped.metadata"
"""The metadata changes of a log's dropped files: a uuid frame, their frames as they stood, and a check of all that."""
DIGEST: Final = "dropped.digest"
"""The last change that was dropped of a log, D of it, and the BLAKE2b-128 of the log's uuid and both."""
_DIGEST: Final = Struct(">I16s")


def droppable(directory: Path, log: Log, before: int) -> tuple[Path, int] | None:
    """The oldest changes file of *log* and its last change, if all in it was written before a time (µs).

    The newest file never is: packing goes on in it.

    Raises:
        CorruptError: the file is damaged.
        OSError: the file system refuses.
    """
    files = changes.files_of(directory)
    if len(files) < 2 or files[1].name > changes.file_name(log.packed.file):
        return None
    for columns in changes.Reader(files[:1]).columns():
        for subset, part in by_subset(columns):
            try:
                if _newest(subset, part) >= before:
                    return None
            except UnsupportedError:
                return None  # a version that can read it may want to
    return files[0], first_of(files[1]) - 1


def _newest(subset: str, part: ChangeColumns) -> int:
    """When the last of some changes was written."""
    if subset == "sensor":
        return max(codec.summarize_blocks(part.value_data, part.value_starts, part.value_ends).write_times)
    return max(map(stamp_of, part.to_objects()))


def first_of(file: Path) -> int:
    """The first change of a changes file."""
    return int(file.stem)


def keep_metadata(log: Log, file: Path) -> None:
    """Keep the metadata changes of *file*, which is to be dropped next, beside those kept before."""
    frames = [_frames_of(log, file.parent)]
    for columns in changes.Reader([file]).columns():
        frames += [codec.encode_changes(part)[0] for subset, part in by_subset(columns) if subset == "troop"]
    interval = log.marker + b"".join(frames)
    write_file(file.with_name(KEPT), interval + _check_of(interval))


def _check_of(interval: bytes) -> bytes:
    none = bytes(DIGEST_BYTES)
    return CHECK + none + changes.digest_of(none, interval).digest()


def last_digest(file: Path) -> bytes:
    """The digest of the check that a changes file ends with, as all but the newest do."""
    with file.open("rb") as opened:
        opened.seek(-DIGEST_BYTES, os.SEEK_END)
        return opened.read(DIGEST_BYTES)


def keep_digest(log: Log, file: Path, last: int) -> None:
    """Keep D of the *last* change of *file*, which is to be dropped next: what stays goes on from there."""
    record = _DIGEST.pack(last, last_digest(file))
    write_file(file.with_name(DIGEST), record + changes.digest_of(log.uuid, record).digest())


def kept_digest(log: Log, directory: Path) -> bytes | None:
    """D of the last change of *log* that was dropped; None: it was not kept, or is damaged."""
    try:
        data = (directory / DIGEST).read_bytes()
    except FileNotFoundError:
        return None
    record = data[: _DIGEST.size]
    if data[_DIGEST.size :] != changes.digest_of(log.uuid, record).digest():
        return None
    last, digest = _DIGEST.unpack(record)
    # One that was killed before it had dropped the file has that of a later change.
    return digest if last == log.base else None


def kept_metadata(log: Log, directory: Path) -> ChangeColumns:
    """The metadata changes of all that was dropped of *log*.

    Raises:
        CorruptError: the file that has them is damaged.
    """
    frames = _frames_of(log, directory)
    return codec.decode_changes(frames, codec.scan_frames(frames))


def _frames_of(log: Log, directory: Path) -> bytes:
    file = directory / KEPT
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return b""
    interval, check = data[:-CHECK_BYTES], data[-CHECK_BYTES:]
    if interval[: len(log.marker)] != log.marker or check != _check_of(interval):
        raise CorruptError(f"{file} does not match its check", 0)
    frames = interval[len(log.marker) :]
    found = codec.scan_frames(frames)
    numbers = codec.decode_changes(frames, found).change
    # One that was killed before it had dropped the file has more.
    count = sum(number <= log.base for number in numbers)
    return frames[: found.ends[count - 1] if count else 0]


def delete_dropped(directory: Path, log: Log) -> list[Path]:
    """Delete the files of which the log's record says that they are dropped; returns those that stay."""
    files = changes.files_of(directory)
    dropped = [file for file in files if first_of(file) <= log.base]
    for file in dropped:
        file.unlink()
    if dropped:
        sync_directory(directory)
    return files[len(dropped) :]


def settle(store: Store, logs: Logs, directory: Path) -> list[str]:
    """Bring the logs' beginnings and their files together; returns what there is to say.

    Raises:
        StorageError: changes are missing between what LevelDB has and where the files begin.
    """
    messages = []
    for log in logs.by_number:
        name = str(uuids.UUID(bytes=log.uuid))
        files = delete_dropped(directory / name, log)
        base = first_of(files[0]) - 1 if files else 0
        if base > log.head:
            raise StorageError(
                f"{directory / name} begins with change {base + 1}, but LevelDB knows the log only up to {log.head}"
            )
        base = min(base, log.packed.last)
        if base > log.base:
            messages.append(f"log {name}: the files with changes {log.base + 1} to {base} are gone")
            log.base = base
            store.write({log.state_key: log.dump()}, sync=True)
    return messages
