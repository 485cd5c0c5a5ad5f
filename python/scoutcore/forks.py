"""A log that went two ways, because its writer was cloned: from there on, one of the ways becomes a log of its own.

Of two histories that part at one change, that whose frame of it has the smaller digest keeps the log's name. The other
is, from there on, the log that its digest names, its frames and their numbers unchanged. Everyone who sees both does
this, so all agree.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import Final
from uuid import UUID

from scoutcore import changes, codec, keys
from scoutcore.apply import by_subset
from scoutcore.changes import Position
from scoutcore.changes.keyframe import Window
from scoutcore.changes.seek import place_of
from scoutcore.codec.constants import MARKER_BYTES, MAX_FRAME
from scoutcore.commit import Commit
from scoutcore.directory import sync_directory
from scoutcore.errors import CorruptError
from scoutcore.log import Log, Logs
from scoutcore.source import Cursor
from scoutcore.store import Store

_FORK: Final = keys.META + b"fork"
"""There while a log is being split: its uuid, the change it is split at, and the uuid of the rest."""
_MARK: Final = Struct(">16sI16s")
_STEP_BYTES: Final = 1024 * 1024


def fingerprint(frame: bytes) -> bytes:
    """BLAKE2b-128 of a change's frame: of two histories the smaller one keeps the log's name."""
    return blake2b(frame, digest_size=16).digest()


def name_of(frame: bytes) -> bytes:
    """The uuid, of version 8, of the log that begins with *frame*, where it lost its name."""
    name = bytearray(fingerprint(frame))
    name[6] = name[6] & 0x0F | 0x80
    name[8] = name[8] & 0x3F | 0x80
    return bytes(name)


def split(store: Store, identity: bytes, directory: Path | None, uuid: bytes, change: int) -> None:
    """Make the changes of a log from *change* on a log of their own. The views have to be built anew.

    It is done whole, or goes on with :func:`resume`.

    Args:
        store: nobody else uses it meanwhile.
        identity: the database's.
        directory: where all changes files are; None in memory.

    Raises:
        StorageError: the disk or LevelDB refuses.
        CorruptError, NotFoundError: the change cannot be read; nothing is done.
    """
    logs = Logs(store, identity)
    rest = name_of(_frame(logs, logs.get(uuid), directory, change))
    store.write({_FORK: _MARK.pack(uuid, change, rest)}, sync=True)
    resume(store, identity, directory)


def resume(store: Store, identity: bytes, directory: Path | None) -> bool:
    """Go on with what :func:`split` had begun; whether there was anything. Raises as that."""
    mark = store.get(_FORK)
    if mark is None:
        return False
    uuid, change, rest = _MARK.unpack(mark)
    logs = Logs(store, identity)
    log = logs.get(uuid)
    if log.head >= change:
        _move(store, logs, log, directory, change, rest)
        store.publish()
        store.write(_cut(logs, log, directory, change), sync=True)
    if directory:
        for log in Logs(store, identity).by_number:
            _cut_files(directory / str(UUID(bytes=log.uuid)), log.packed)
    return True


def done(store: Store) -> None:
    """The views are built anew: all is well."""
    store.publish()
    store.write({_FORK: None}, sync=True)


def _frame(logs: Logs, log: Log, directory: Path | None, change: int) -> bytes:
    cursor = Cursor(logs, log, directory, change - 1)
    try:
        return cursor.read(change, MAX_FRAME)[0]
    finally:
        cursor.close()


def _move(store: Store, logs: Logs, log: Log, directory: Path | None, change: int, rest: bytes) -> None:
    """Append the changes of *log* from *change* on to the log *rest*; they stay in *log*.

    *rest* may be here already, from somebody else, and may itself go another way further on.
    """
    other = logs.by_uuid.get(rest)
    if other is None:
        commit = Commit(store)
        other = logs.add(commit, rest, change - 1, change - 1)
        commit.write(sync=False)
    parting = _parting(logs, log, other, directory, change)
    if parting <= min(log.head, other.head):
        ours, theirs = (_frame(logs, one, directory, parting) for one in (log, other))
        if fingerprint(theirs) < fingerprint(ours):
            _move(store, logs, log, directory, parting, name_of(ours))
            return
        _move(store, logs, other, directory, parting, name_of(theirs))
        store.publish()
        store.write(_cut(logs, other, directory, parting), sync=True)
    _append(store, logs, log, other, directory)


def _parting(logs: Logs, log: Log, other: Log, directory: Path | None, change: int) -> int:
    """The first change, from *change* on, that is not the same in two logs; the one behind the shorter if all are."""
    last = min(log.head, other.head)
    ours, theirs = (Cursor(logs, one, directory, change - 1) for one in (log, other))
    try:
        while ours.after < last:
            begin = ours.after
            if ours.read(begin + 1, MAX_FRAME) != theirs.read(begin + 1, MAX_FRAME):
                return begin + 1
    finally:
        ours.close()
        theirs.close()
    return last + 1


def _append(store: Store, logs: Logs, log: Log, other: Log, directory: Path | None) -> None:
    """Append what *log* has behind the last change of *other* to that."""
    cursor = Cursor(logs, log, directory, other.head)
    try:
        while cursor.after < log.head:
            frames, _ = cursor.read(log.head, _STEP_BYTES)
            commit = Commit(store)
            for subset, part, count in _runs(frames):
                if not logs.fits(other, part):
                    raise CorruptError("a change of a log that went two ways imitates the keyframe of its rest", 0)
                logs.append(commit, other, subset, part, count)
            commit.write(sync=False)
    finally:
        cursor.close()


def _runs(frames: bytes) -> Iterator[tuple[str, bytes, int]]:
    """Runs of frames of one subset: subset, frames and how many."""
    found = codec.scan_frames(frames)
    begin = done = 0
    for subset, part in by_subset(codec.decode_changes(frames, found)):
        count = len(part.change)
        done += count
        end = found.ends[done - 1]
        yield subset, frames[begin:end], count
        begin = end


def _cut(logs: Logs, log: Log, directory: Path | None, change: int) -> dict[bytes, bytes | None]:
    """The puts that end *log* before *change*."""
    puts: dict[bytes, bytes | None] = {}
    if log.packed.last >= change:
        assert directory is not None
        position = _position(directory / str(UUID(bytes=log.uuid)), log, change)
        puts[keys.PACKED + log.uuid] = position.dump()
    elif (found := logs.chunk_with(log, change)) and found[0] < change:
        first, frames = found
        ends = codec.scan_frames(frames).ends
        before = frames[: ends[change - 1 - first]]
        ((subset, part, count),) = _runs(before)
        puts[log.chunk_key(subset, first, first + len(ends) - 1)] = None
        puts[log.chunk_key(subset, first, first + count - 1)] = part
    return {**logs.cut(log, change - 1), **puts}


def _position(directory: Path, log: Log, change: int) -> Position:
    """Where the files end that hold all before *change*, which they hold too."""
    files = [path for path in changes.files_of(directory) if path.name <= changes.file_name(change)]
    path = files[-1]
    with path.open("rb", buffering=0) as file:
        window = Window(file)
        place = place_of(window, log.uuid, change, int(path.stem))
        digest = log.packed.digest if place.previous is None else place.previous
        if place.first < change:
            window.move(place.offset)
            wanted = change - place.first
            while len(ends := codec.scan_frames(window.data, MARKER_BYTES).ends if window.data else []) < wanted:
                if not window.grow(_STEP_BYTES):
                    raise CorruptError(f"{path} ends before what was packed", place.offset + len(window.data))
            size = ends[wanted - 1]
            head = changes.digest_of(digest, window.data[:size]).digest()
            return Position(change - 1, int(path.stem), place.offset + size, place.offset, digest, head)
    if place.offset:
        return Position(change - 1, int(path.stem), place.offset, place.offset, digest, digest)
    if len(files) == 1:
        return Position(change - 1, digest=digest, head=digest)
    size = files[-2].stat().st_size
    return Position(change - 1, int(files[-2].stem), size, size, digest, digest)


def _cut_files(directory: Path, position: Position) -> None:
    """Cut off what the files have behind *position*."""
    for path in changes.files_of(directory):
        if int(path.stem) > position.file:
            path.unlink()
        elif int(path.stem) == position.file and path.stat().st_size > position.size:
            os.truncate(path, position.size)
    if directory.is_dir():
        sync_directory(directory)
