"""The logs of a database as they stand, in LevelDB and in changes files: content rebuilt without any view."""

from __future__ import annotations

import json
import uuid as uuids
from array import array
from pathlib import Path

from scoutcore import changes as changes_files
from scoutcore import codec
from scoutcore.codec.columns import Change
from scoutcore.codec.constants import FRAME_CHANGE
from scoutcore.database import Database
from scoutcore.log import Log
from tests.model import Content, Edit, Reception, Row


def changes_of(db: Database, log: Log) -> list[Change]:
    """All changes of a log: those packed, then those in LevelDB, which must follow without a gap."""
    found: list[Change] = []
    if log.packed.last > log.base:
        assert db._directory is not None
        found += packed_changes(db._directory.changes / str(uuids.UUID(bytes=log.uuid)))
        del found[log.packed.last - log.base :]
    for first, last, _, frames in db._logs.chunks(log, log.packed.last + 1):
        scanned = codec.scan_frames(frames)
        assert scanned.consumed == len(frames)
        chunk = codec.decode_changes(frames, scanned).to_objects()
        assert (chunk[0].change, chunk[-1].change) == (first, last)
        found += chunk
    assert [change.change for change in found] == list(range(log.base + 1, log.head + 1))
    return found


def packed_changes(directory: Path) -> list[Change]:
    return list(changes_files.open(directory)) if directory.is_dir() else []


def content_of_change(content: Content, log: bytes, change: Change) -> None:
    """Add a change to *content*."""
    assert change.value is not None
    uid, *rest = change.key.split("/", 2)
    if change.subset == "sensor":
        row = Row(uid, int(rest[0]), rest[1])
        _, (write_time,), points = codec.decode_blocks(change.value, array("Q", [0]), array("Q", [len(change.value)]))
        assert change.to == change.from_ + len(points.t)
        for index, t in enumerate(points.t):
            clock = (points.boot[index], points.ms[index]) if points.clocked[index] else None
            raw = bytes(points.data)[points.starts[index] : points.ends[index]]
            content.add(Reception(row, log, change.change, index, write_time, t, clock, raw))
    else:
        assert change.subset == "troop"
        value = json.loads(change.value)
        content.edits.append(
            Edit(
                uid,
                int(rest[0]) if rest else None,
                log,
                value["at"],
                value.get("set", {}),
                tuple(value.get("unset", ())),
                change.to == 0,
                "id" in value,
            )
        )


def content_of(db: Database) -> Content:
    """What the logs of *db* hold."""
    content = Content()
    for log in db._logs.by_number:
        for change in changes_of(db, log):
            content_of_change(content, log.uuid, change)
    return content


def files_of(path: Path) -> dict[str, bytes]:
    """The changes files of the database in *path*."""
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.glob("changes/*/*.changes"))}


def packed_anew(path: Path, again: Path, **limits: int) -> dict[str, bytes]:
    """The same logs packed into *again*, each in one go."""
    for directory in (path / "changes").iterdir():
        stream = b"".join(file.read_bytes() for file in sorted(directory.glob("*.changes")))
        found = codec.scan_frames(stream)
        places = zip(found.ids, [0, *found.ends], found.ends, strict=False)
        frames = [stream[start:end] for kind, start, end in places if kind == FRAME_CHANGE]
        position = changes_files.Position()
        uuid = uuids.UUID(directory.name).bytes
        writer = changes_files.Writer(again / "changes" / directory.name, uuid, position, **limits)
        writer.append(b"".join(frames), len(frames))
        writer.sync()
        writer.close()
    return files_of(again)
