"""Deleting, packing, expiring and dropping, old copies that return, views built anew and old exports that are imported:
in any order, over three databases, each compared with the plain model after every step. One number gives one schedule.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import scoutcore
from scoutcore.codec.columns import Change
from scoutcore.codec.constants import INT64_MIN
from scoutcore.database import Database
from scoutcore.directory import Directory
from scoutcore.keys import uid_of_key
from scoutcore.recovery import open_store
from tests.database.logs import changes_of, content_of_change, files_of
from tests.faults.life import make_small
from tests.model import SET_CLOCK, Content
from tests.replication.wire import dump, sync

KEY = "the key of the troop of all schedules"
UID = uid_of_key(KEY)
SECOND = 1_000_000
REPORTS = ("temp", "level")
FIELDS = ("name", "place", "height")


@dataclass
class Node:
    """One database, and what it may not show any more."""

    path: Path
    db: Database
    floors: list[tuple[int, str | None]] = field(default_factory=list)
    """What has expired."""
    lost: dict[bytes, int] = field(default_factory=dict)
    """Of logs: the last change whose readings went with dropped files, when the views were built anew."""

    def floor(self, report: str) -> int:
        return max((t for t, name in self.floors if name in (None, report)), default=INT64_MIN)

    def heads(self) -> dict[bytes, int]:
        return {log.uuid: log.head for log in self.db._logs.by_number if log.head}


class Schedule:
    """The first database may drop files, the second never loses anything, the third may return as it was."""

    def __init__(self, directory: Path, choose: Random) -> None:
        self.directory = directory
        self.choose = choose
        self.time = SET_CLOCK + 1000 * SECOND
        self.values = 0
        self.counts = Counter({"schedules": 1})
        self.heard: list[dict[str, object]] = []
        self.changes: dict[tuple[bytes, int], Change] = {}
        """All that was ever written, as it stood in its log when that was acknowledged."""
        self.nodes = [self._node(directory / f"{number}.scout") for number in range(3)]
        self.old: Node | None = None
        self.exported = directory / "exported"
        for node in self.nodes[:2]:
            node.db.troops.create(key=KEY, name=node.path.name)
        self._look()

    def _open(self, path: Path) -> Database:
        directory = Directory(path)
        store, said = open_store(directory)
        assert not said, said
        return Database(store, directory, now=self._now)

    def _now(self) -> int:
        self.time += 1
        return self.time

    def _node(self, path: Path) -> Node:
        return Node(path, self._open(path))

    def close(self) -> None:
        with ExitStack() as stack:
            for node in self.nodes:
                stack.callback(node.db.close)

    # --- what happens -------------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Readings, of now or long ago, some of which others have heard or hear later."""
        node = self.choose.choice(self.nodes)
        batch = []
        for _ in range(self.choose.randint(1, 8)):
            self.values += 1
            reading: dict[str, object] = {
                "key": KEY,
                "scout": self.choose.randrange(2),
                "report": self.choose.choice(REPORTS),
                "data": self.values,
                "t": self.time - self.choose.randrange(900) * SECOND,
            }
            if self.choose.random() < 0.5:
                reading |= {"boot": 1, "ms": self.values}
                self.heard.append(reading)
            if self.heard and self.choose.random() < 0.3:
                reading = self.choose.choice(self.heard) | {"t": self.time}
            batch.append(reading)
        node.db.ingest(batch, strict=True, create_troops=lambda _: None)
        written = {json.dumps(reading["data"]) for reading in batch}
        self._look()
        assert written <= {one.raw.decode() for rows in self._content(node).receptions.values() for one in rows}

    def edit(self) -> None:
        node = self.choose.choice(self.nodes)
        self.values += 1
        if (troop := node.db._metadata.id_of.get(UID)) is None:
            return
        if self.choose.random() < 0.5:
            node.db.troops.update(troop, {self.choose.choice(FIELDS): self.values})
        else:
            node.db.scouts.update(troop, self.choose.randrange(2), {self.choose.choice(FIELDS): self.values})

    def delete(self) -> None:
        node = self.choose.choice(self.nodes)
        if (troop := node.db._metadata.id_of.get(UID)) is None:
            return
        if self.choose.random() < 0.5:
            node.db.troops.delete(troop)
        else:
            node.db.scouts.delete(troop, self.choose.randrange(2))

    def pack(self) -> None:
        self.choose.choice(self.nodes).db.pack()

    def expire(self) -> None:
        node = self.choose.choice(self.nodes)
        self._expire(node, self.time - self.choose.randrange(900) * SECOND, self.choose.choice([None, *REPORTS]))

    def _expire(self, node: Node, t: int, report: str | None) -> None:
        self.counts["readings expired"] += node.db.expire(before=t, report=report)
        node.floors.append((t, report))

    def drop(self) -> None:
        first, second, _ = self.nodes
        sync(first.db, second.db)
        first.db.pack()
        self.counts["changes dropped"] += first.db.drop_changes(self.time)

    def sync(self) -> None:
        first, second = self.choose.sample(self.nodes, 2)
        sync(first.db, second.db)

    def keep(self) -> None:
        """A copy of the third database is made."""
        node = self.nodes[2]
        node.db.close()
        copy = self.directory / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(node.path, copy)
        node.db = self._open(node.path)
        self.old = Node(copy, node.db, list(node.floors), dict(node.lost))

    def come_back(self) -> None:
        """The third database is what it was when it was copied."""
        if self.old is None:
            return
        node = self.nodes[2]
        node.db.close()
        shutil.rmtree(node.path)
        shutil.copytree(self.old.path, node.path)
        self.counts["old copies that came back"] += 1
        self.nodes[2] = Node(node.path, self._open(node.path), list(self.old.floors), dict(self.old.lost))

    def rebuild(self) -> None:
        """LevelDB is gone, and built anew from changes files: what was not packed is gone with it, at the third."""
        node = self.choose.choice([*self.nodes, self.nodes[0]])
        if node is not self.nodes[2]:
            node.db.pack()
        bases = {log.uuid: log.base for log in node.db._logs.by_number if log.base > log.origin}
        node.db.close()
        shutil.rmtree(node.path / "db")
        assert scoutcore.repair(node.path).rebuilt == bool(files_of(node.path))
        node.db = self._open(node.path)
        node.lost |= bases
        self.counts["views built anew"] += 1
        self.counts["views built anew without what was dropped"] += bool(bases)

    def export(self) -> None:
        self.choose.choice(self.nodes).db.export_changes(self.exported)

    def take(self) -> None:
        """An export is imported, of whatever time it is."""
        if list(self.exported.glob("*/*.changes")):
            found = self.choose.choice(self.nodes).db.import_changes(self.exported)
            assert not found.problems, found.problems
            self.counts["changes from old exports"] += found.new

    # --- how it is looked at ------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Note what was written last, and compare everything with the model."""
        for node in self.nodes:
            for log in node.db._logs.by_number:
                if log.head > log.base and (log.uuid, log.head) not in self.changes:
                    self.changes |= {(log.uuid, one.change): one for one in changes_of(node.db, log)}
        for node in self.nodes:
            expected = list(self._content(node).since(node.floor).dump())
            assert dump(node.db) == expected, f"{node.path.name} does not show what it should"

    def _content(self, node: Node) -> Content:
        content = Content()
        for log, head in node.heads().items():
            for number in range(1, head + 1):
                change = self.changes[log, number]
                if change.subset == "troop" or number > node.lost.get(log, 0):
                    content_of_change(content, log, change)
        return content

    def run(self) -> None:
        """Everything happens, some of it more often, in any order; then all are brought together."""
        acts: list[Callable[[], None]] = [
            *(self.delete, self.pack, self.expire, self.drop, self.come_back, self.rebuild, self.take),
            *(self.keep, self.export, self.rebuild, self.edit, self.edit),
            *[self.write] * 8,
            *[self.sync] * 3,
        ]
        acts += self.choose.choices(acts, k=6)
        self.choose.shuffle(acts)
        done = []
        try:
            for act in acts:
                done.append(act.__name__)
                self.time += 10 * SECOND
                act()
                self._look()
            done.append("the end")
            self._come_together()
        except AssertionError as problem:
            raise AssertionError(f"{', '.join(done)}: {problem}") from problem

    def _come_together(self) -> None:
        there: Counter[bytes] = Counter()
        for node in self.nodes:
            there |= Counter(node.heads())
        for _ in range(2):
            for first, second in combinations(self.nodes, 2):
                sync(first.db, second.db)
        floors = {floor for node in self.nodes for floor in node.floors}
        for node in self.nodes:
            assert Counter(node.heads()) == there
            for floor in sorted(floors, key=str):
                self._expire(node, *floor)
        self._look()
        first, second, third = self.nodes
        assert dump(second.db) == dump(third.db) or third.lost
        for node in self.nodes:
            node.db.pack()
            found = node.db.verify(views=not node.lost)
            assert found.ok, (found.damages, found.views)
        files = files_of(second.path)
        assert files_of(third.path) == files
        assert files_of(first.path).items() <= files.items()


def look(number: int) -> Counter[str]:
    """One schedule."""
    with TemporaryDirectory() as text:
        schedule = Schedule(Path(text), Random(number))
        try:
            schedule.run()
            return schedule.counts
        finally:
            schedule.close()


def campaign(count: int, seed: int, only: int | None = None) -> Iterator[tuple[Counter[str], list[str]]]:
    """*count* schedules."""
    make_small(interval=120, file=300)
    for number in range(count) if only is None else [only]:
        try:
            yield look(seed * 1_000_000 + number), []
        except AssertionError as problem:
            yield Counter(), [f"seed {seed}, {number}: {problem}"]


def some(count: int) -> tuple[Counter[str], list[str]]:
    """A few schedules."""
    seen: Counter[str] = Counter()
    problems: list[str] = []
    for counts, wrong in campaign(count, 1):
        seen += counts
        problems += wrong
    return seen, problems
