"""Changes of any log, as they stand in it, into the views."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import groupby

from scoutcore import keys
from scoutcore.codec import cut
from scoutcore.codec.columns import ChangeColumns
from scoutcore.codec.constants import BLOCK_CODECS
from scoutcore.commit import Commit
from scoutcore.errors import InvalidError
from scoutcore.log import Log, Logs
from scoutcore.metadata import Metadata
from scoutcore.rows import Rows, StoredRow
from scoutcore.views import Views


def by_subset(columns: ChangeColumns) -> Iterator[tuple[str, ChangeColumns]]:
    """Runs of changes of one subset.

    Raises:
        InvalidError: a change of a subset that no log has.
    """
    subsets = cut(columns.subset_data, columns.subset_starts, columns.subset_ends)
    for subset, group in groupby(range(len(subsets)), subsets.__getitem__):
        numbers = list(group)
        if subset not in (b"sensor", b"troop"):
            raise InvalidError(f"change {columns.change[numbers[0]]} is of no subset that a log has")
        yield subset.decode(), columns.part(numbers[0], numbers[-1] + 1)


def by_codec(columns: ChangeColumns) -> Iterator[tuple[bool, ChangeColumns]]:
    """Runs of sensor changes of which this version can read the blocks, and of those that are for a later one.

    Raises:
        InvalidError: a change without a block.
    """
    try:
        codecs = bytes(map(columns.value_data.__getitem__, columns.value_starts))
    except IndexError:
        raise InvalidError("a sensor change without a block") from None
    if BLOCK_CODECS.issuperset(codecs):
        yield True, columns
        return
    start = 0
    for known, run in groupby(codecs, BLOCK_CODECS.__contains__):
        end = start + sum(1 for _ in run)
        yield known, columns.part(start, end)
        start = end


class Applier:
    """Merges changes that were written already, here or elsewhere."""

    def __init__(self, logs: Logs, metadata: Metadata, rows: Rows, views: Views) -> None:
        self._logs = logs
        self._metadata = metadata
        self._rows = rows
        self._views = views

    def apply(self, commit: Commit, log: Log, columns: ChangeColumns) -> None:
        """Merge changes of one log.

        Raises:
            CorruptError: a block of points that is wrong.
            InvalidError: a change whose subset, key or value cannot be.
        """
        for subset, part in by_subset(columns):
            if subset == "sensor":
                for known, run in by_codec(part):
                    if known:
                        self._sensor(commit, log, run)
                    else:
                        commit.put(keys.UNREAD, bytes(BLOCK_CODECS))
            else:
                for change in part.to_objects():
                    self._metadata.apply(commit, log, change)

    def _sensor(self, commit: Commit, log: Log, columns: ChangeColumns) -> None:
        numbers: dict[bytes, int] = {}
        row_of = array(
            "I",
            [
                numbers.setdefault(key, len(numbers))
                for key in cut(columns.key_data, columns.key_starts, columns.key_ends)
            ],
        )
        known = self._rows.by_key.get
        rows = [known(key) or self._row(commit, key) for key in numbers]
        versions = columns.to if log is self._logs.own else None
        values = columns.value_data, columns.value_starts, columns.value_ends
        self._views.add(commit, log, columns.change, rows, row_of, versions, *values)

    def _row(self, commit: Commit, key: bytes) -> StoredRow:
        uid, scout, report = keys.parse_sensor_key(key.decode())
        row = self._rows.get(commit, (self._metadata.allocate(commit, uid), uid, scout, report))
        self._rows.by_key[key] = row
        return row
