"""Verifying a database: its logs, in changes files and in LevelDB, and its views against others built from the logs."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from scoutcore import changes, codec, dropping, keys, registers
from scoutcore.changes import Damage, Position, Verifier
from scoutcore.errors import CodecError, CorruptError, NotFoundError
from scoutcore.log import Log, Logs
from scoutcore.rows import counts, last_point
from scoutcore.source import Cursor
from scoutcore.store import Store

_STEP_BYTES: Final = 1024 * 1024
_MAX_SAID: Final = 100
"""Differences of the views that are described; all are counted."""
_COMPARED: Final = (keys.VIEW, keys.HISTORY, keys.DELETED, keys.KEY_DIGEST)
"""Sections that are a function of what the logs hold; the clock index depends on the order in which it came."""

Progress = Callable[[int], None]


@dataclass(frozen=True)
class LogVerified:
    """What verifying one log found."""

    log: str
    base: int
    """The last change that was dropped from its front."""
    head: int
    """The last change held."""
    packed: int
    """The last change that is in changes files."""
    bytes: int
    """Bytes of its changes files, and of its frames in LevelDB."""
    intervals: int
    """Intervals whose digest was compared."""
    damages: list[Damage]


@dataclass
class ViewsVerified:
    """What comparing the views with others that were built from the logs found."""

    records: int = 0
    """Records compared."""
    wrong: int = 0
    """Those of them that differ, or are only there in one of the two."""
    said: list[str] = field(default_factory=list)
    """What differs, of the first hundred."""


@dataclass(frozen=True)
class Verification:
    """What verifying a database found."""

    logs: list[LogVerified]
    strays: list[Damage]
    """Directories of changes files that belong to no log."""
    views: ViewsVerified | None
    """None: they were not compared."""
    views_skipped: str | None = None
    """Why they could not be."""

    @property
    def damages(self) -> list[Damage]:
        """All that is wrong with the logs."""
        return [one for log in self.logs for one in log.damages] + self.strays

    @property
    def ok(self) -> bool:
        """Whether all that was compared is as it should be."""
        return not self.damages and not (self.views and self.views.wrong)


def verify_log(logs: Logs, log: Log, directory: Path | None, leveldb: str, progress: Progress) -> LogVerified:
    """Verify one log, while others may append to it, pack it and drop its files.

    Args:
        directory: of all changes files; None in memory.
        leveldb: what LevelDB is called in what is said.

    Raises:
        StorageError, OSError: the disk refuses.
    """
    packed, head, base = logs.stored_position(log), logs.stored_head(log), log.base
    size = intervals = 0
    damages: list[Damage] = []
    if directory and packed.last > base:
        found = verify_files(log, directory / str(uuids.UUID(bytes=log.uuid)), packed, progress)
        size, intervals, damages = found.size, found.intervals, found.damages
        damages += _verify_kept(log, directory / str(uuids.UUID(bytes=log.uuid)))
    cursor = Cursor(logs, log, directory, max(packed.last, base))
    try:
        while cursor.after < head:
            first = cursor.after + 1
            frames, last = cursor.read(head, _STEP_BYTES)
            size += len(frames)
            progress(len(frames))
            numbers = codec.decode_changes(frames, codec.scan_frames(frames)).change
            if numbers.tolist() != list(range(first, last + 1)):
                while numbers and numbers[0] == first:
                    first += 1
                    numbers = numbers[1:]
                raise CorruptError(f"its chunk holds change {numbers[0] if numbers else None} instead", 0)
            if log.marker in frames:
                raise CorruptError("a change imitates the keyframe of its log", 0)
    except (CodecError, NotFoundError) as problem:
        reason = problem.reason if isinstance(problem, CodecError) else str(problem)
        damages.append(Damage(leveldb, None, first, head, reason))
    finally:
        cursor.close()
    name = str(uuids.UUID(bytes=log.uuid))
    return LogVerified(name, log.base, head, packed.last, size, intervals, damages)


def verify_files(log: Log, path: Path, packed: Position, progress: Progress) -> changes.Verified:
    """Verify what is packed of a log; raises OSError."""
    files = [file for file in changes.files_of(path) if file.name <= changes.file_name(packed.file)]
    if not files:
        gone = Damage(str(path), None, log.base + 1, packed.last, "its changes files are gone")
        return changes.Verified(log.uuid, None, None, 0, 0, 0, b"", [gone], packed)
    return Verifier(files, uuid=log.uuid, first=log.base + 1, packed=packed, progress=progress).verify()


def _verify_kept(log: Log, path: Path) -> list[Damage]:
    try:
        dropping.kept_metadata(log, path)
    except CorruptError as problem:
        return [Damage(str(path / dropping.KEPT), None, None, None, problem.reason)]
    return []


def strays(logs: Logs, directory: Path) -> list[Damage]:
    """The directories of changes files of which LevelDB knows nothing."""
    known = {str(uuids.UUID(bytes=uuid)) for uuid in list(logs.by_uuid)}
    paths = sorted({path.parent for path in directory.glob("*/*.changes")})
    return [
        Damage(str(path), None, None, None, "LevelDB knows nothing of this log")
        for path in paths
        if path.name not in known
    ]


# --- views ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Snapshot:
    """The views as they stand at one moment, and what they were built from."""

    heads: dict[bytes, int]
    """Of every log the last change that is in them."""
    states: list[tuple[bytes, bytes]]
    """What says of logs and troops which local numbers they have."""
    sections: dict[bytes, Iterator[tuple[bytes, bytes]]]


def snapshot(store: Store, logs: Logs) -> Snapshot:
    """Take one, while nobody commits; it is read afterwards, as it is now."""
    prefixes = (keys.LOG_STATE, keys.TROOP_UID)
    states = [item for prefix in prefixes for item in store.scan(prefix, keys.after(prefix))]
    heads = {log.uuid: logs.stored_head(log) for log in logs.by_number}
    return Snapshot(heads, states, {section: store.scan(section, keys.after(section)) for section in _COMPARED})


def compare(taken: Snapshot, built: Store) -> ViewsVerified:
    """Compare the views with others that were built of the same changes."""
    result = ViewsVerified()
    for section, ours in taken.sections.items():
        theirs = built.scan(section, keys.after(section))
        for key, one, other in _aligned(ours, theirs):
            result.records += 1
            if one == other or (one and other and _shown(key, one) == _shown(key, other)):
                continue
            result.wrong += 1
            if len(result.said) < _MAX_SAID:
                what = (
                    "is not in the logs"
                    if other is None
                    else "is missing"
                    if one is None
                    else "is not what the logs say"
                )
                result.said.append(f"{_name(key)} {what}")
    return result


def _aligned(
    ours: Iterator[tuple[bytes, bytes]], theirs: Iterator[tuple[bytes, bytes]]
) -> Iterator[tuple[bytes, bytes | None, bytes | None]]:
    """Every key of either, in order, and its two values."""
    one, other = next(ours, None), next(theirs, None)
    while one or other:
        if other is None or (one and one[0] < other[0]):
            assert one
            yield *one, None
            one = next(ours, None)
        elif one is None or other[0] < one[0]:
            yield other[0], None, other[1]
            other = next(theirs, None)
        else:
            yield *one, other[1]
            one, other = next(ours, None), next(theirs, None)


def _shown(key: bytes, record: bytes) -> object:
    """What of a record does not depend on the order in which changes came."""
    if not key.startswith(keys.VIEW):
        return record
    troop, scout, report = keys.parse_view(key)
    if scout is None or report is None:
        found = registers.load(record)
        return found.uid, found.values, found.unset, found.deleted, found.creators
    return counts(record), last_point(record, troop, "", scout, report)


def _name(key: bytes) -> str:
    if key.startswith(keys.VIEW):
        troop, scout, report = keys.parse_view(key)
        shown = f"troop {troop}" if scout is None else f"scout {scout} of troop {troop}"
        return f"the metadata of {shown}" if report is None else f"the last value of {report!r} of {shown}"
    if key.startswith(keys.HISTORY):
        first_t, _, change = keys.parse_history(key)
        troop, scout, report = keys.parse_view(key[: -len(keys.block_place(0, 0, 0)) - 1])
        return f"the block of {report!r} of scout {scout} of troop {troop} from {first_t} µs on (change {change})"
    return f"the record {key[:40].hex()}"
