"""The databases of a simulated mesh: in memory, or on disk."""

from __future__ import annotations

import shutil
from array import array
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from random import Random
from uuid import UUID

from scoutcore import changes, codec
from scoutcore.codec import cut
from scoutcore.database import Database
from scoutcore.directory import Directory
from scoutcore.recovery import layered, open_store
from tests.database.logs import changes_of, content_of, files_of
from tests.model import Content
from tests.simulation.stores import PowerStore

SMALL = {"interval_bytes": 2_000, "file_bytes": 9_000}
"""Limits of changes files, so that there are many of all kinds."""


class Node:
    """One database. ``values`` are the readings that it has acknowledged and not lost in a way that may lose them."""

    def __init__(self, name: str, now: Callable[[], int], values: set[str], ids: dict[str, int]) -> None:
        self.name = name
        self.now = now
        self.offset = 0
        """What its clock is wrong by, in µs."""
        self.values = values
        self.ids = ids
        """Troop ids, by uid: they stay."""
        self.database: Database

    def clock(self) -> int:
        return self.now() + self.offset

    def held(self) -> set[str]:
        """The data of all readings in the logs; many at a time, as this is asked often."""
        found: set[bytes] = set()
        for log in self.database._logs.by_number:
            blocks = [change.value for change in changes_of(self.database, log) if change.subset == "sensor"]
            ends = array("Q", accumulate(map(len, blocks)))
            values = b"".join(blocks)
            points = codec.decode_blocks(values, array("Q", [0, *ends[:-1]][: len(ends)]), ends)[2]
            found.update(cut(points.data, points.starts, points.ends))
        return {value.decode() for value in found}

    def content(self) -> Content:
        return content_of(self.database)

    def check_ids(self) -> None:
        found = self.database._metadata.id_of
        assert self.ids.items() <= found.items(), f"{self.name}: troop ids have changed"
        self.ids.update(found)

    def check_values(self) -> None:
        lost = self.values - self.held()
        assert not lost, f"{self.name} has lost {sorted(lost)[:5]}"


class MemoryNode(Node):
    """In memory, with crashes, power cuts, backups and clones."""

    def __init__(
        self,
        name: str,
        now: Callable[[], int],
        store: PowerStore | None = None,
        values: set[str] | None = None,
        ids: dict[str, int] | None = None,
    ) -> None:
        super().__init__(name, now, set(values or ()), dict(ids or {}))
        self._safe: set[str] = set(self.values)
        self._start(store or PowerStore())

    def _start(self, store: PowerStore) -> None:
        self.store = store
        self.database = Database(layered(store), now=self.clock)
        store.published = self._published

    def _published(self) -> None:
        self._safe = set(self.values)

    def crash(self, choose: Random) -> None:
        """Kill -9: nothing acknowledged is lost."""
        left = self.store.copy()
        self.database.close()
        self._start(left)
        self.check_values()
        self.check_ids()

    def power_cut(self, choose: Random) -> None:
        """Nothing published is lost."""
        left = self.store.power_cut(choose)
        self.database.close()
        self._start(left)
        self.values = set(self._safe)
        self.check_values()
        self.values = self.held()
        self.ids = dict(self.database._metadata.id_of)

    def backup(self) -> tuple[PowerStore, dict[str, int]]:
        return self.store.copy(), dict(self.ids)

    def restore(self, backup: tuple[PowerStore, dict[str, int]]) -> None:
        self.database.close()
        self.ids = dict(backup[1])
        self._start(backup[0].copy())
        self.values, self._safe = self.held(), self.held()

    def clone(self, name: str) -> MemoryNode:
        """A copy of the disk that does not know that it is one."""
        return MemoryNode(name, self.now, self.store.copy(), self.values, self.ids)

    def files(self, directory: Path) -> dict[str, bytes]:
        """Its logs as changes files."""
        for log in self.database._logs.by_number:
            frames = b"".join(frames for _, _, _, frames in self.database._logs.chunks(log, 1))
            if frames:
                path = directory / "changes" / str(UUID(bytes=log.uuid))
                writer = changes.Writer(path, log.uuid, changes.Position(log.base), **SMALL)
                writer.append(frames, log.head - log.base)
                writer.close()
        return files_of(directory)

    def close(self) -> None:
        self.database.close()


class DiskNode(Node):
    """LevelDB and changes files."""

    def __init__(self, name: str, now: Callable[[], int], path: Path) -> None:
        super().__init__(name, now, set(), {})
        self.path = path
        self._start()

    def _start(self) -> None:
        directory = Directory(self.path)
        store, recovered = open_store(directory)
        self.database = Database(store, directory, now=self.clock)
        assert not recovered, recovered

    def crash(self, choose: Random) -> None:
        self.database.close()
        self._start()
        self.check_values()
        self.check_ids()

    power_cut = crash
    """No more than a crash: what LevelDB and the disk make of a real one is tested with faults below LevelDB."""

    def backup(self) -> tuple[Path, dict[str, int]]:
        """A copy of the directory, made while it is closed."""
        self.database.close()
        copy = self.path.with_name(f"{self.path.name}.backup")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.path, copy)
        self._start()
        return copy, dict(self.ids)

    def restore(self, backup: tuple[Path, dict[str, int]]) -> None:
        self.database.close()
        shutil.rmtree(self.path)
        shutil.copytree(backup[0], self.path)
        self.ids = dict(backup[1])
        self._start()
        self.values = self.held()

    def clone(self, name: str) -> DiskNode:
        self.database.close()
        path = self.path.with_name(name)
        shutil.copytree(self.path, path)
        self._start()
        copy = DiskNode(name, self.now, path)
        copy.values, copy.ids = set(self.values), dict(self.ids)
        return copy

    def pack(self) -> None:
        self.database.pack()

    def files(self, directory: Path) -> dict[str, bytes]:
        self.database.pack()
        return files_of(self.path)

    def close(self) -> None:
        self.database.close()
