"""A simulated world: databases, a network between them, a clock, and accidents; all by one seed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from hashlib import blake2b
from itertools import combinations
from pathlib import Path
from random import Random
from unittest import mock
from uuid import UUID

from scoutcore import changes, checking, packer
from scoutcore.codec import constants
from scoutcore.errors import ExistsError, NotFoundError
from scoutcore.replication import chain
from scoutcore.replication.replica import replica_of
from scoutcore.replication.session import Ended, Options, Problem, Session
from tests.database.compare import assert_shows
from tests.simulation.nodes import SMALL, DiskNode, MemoryNode, Node

START = 1_790_000_000_000_000
YEAR = 365 * 86_400_000_000
KEYS = [f"the key of troop {number} of the simulation" for number in range(3)]
REPORTS = ["temp", "hum", "light/1"]
SECRET = b"the secret of the simulation"


class Connection:
    """A session between two nodes, and the bytes on their way."""

    def __init__(self, world: World, first: Node, second: Node, options: Options, others: Options) -> None:
        self.nodes = (first, second)
        self.databases = (first.database, second.database)
        nonces = [world.choose.randbytes(32) for _ in range(2)]
        self.sessions = [
            Session(
                replica_of(node.database),
                wanted,
                initiator=side == 0,
                now=lambda: world.time / 1e6,
                nonce=nonces[side],
            )
            for side, (node, wanted) in enumerate(zip(self.nodes, (options, others), strict=True))
        ]
        self.way = [b"", b""]
        self.gone = False
        self.again = False
        self.errors: list[str] = []

    def step(self, choose: Random, trace: Callable[..., None]) -> None:
        """Say something, carry something of it, cut anywhere."""
        if self.gone:
            return
        if any(node.database is not database for node, database in zip(self.nodes, self.databases, strict=True)):
            self.cut()
            return
        for side, session in enumerate(self.sessions):
            if choose.random() < 0.7:
                self.way[side] += session.output()
            if self.way[side] and choose.random() < 0.8:
                size = choose.choice([1, 17, 300, 5_000, 1_000_000])
                data, self.way[side] = self.way[side][:size], self.way[side][size:]
                trace("carried", self.nodes[side].name, data)
                self.sessions[1 - side].receive(data)
        self._events()
        for side, session in enumerate(self.sessions):
            other = self.sessions[1 - side]
            if other.ended and not self.way[1 - side] and not session.ended and not other.output():
                session.lost()
        self._events()
        if all(session.ended for session in self.sessions) and not any(self.way):
            self.gone = not any(session.output() for session in self.sessions)

    def _events(self) -> None:
        for session in self.sessions:
            for event in session.events():
                if isinstance(event, Ended):
                    self.again |= event.again
                    if event.error and not event.lost:
                        self.errors.append(event.error)
                if isinstance(event, Problem):
                    self.errors.append(event.message)

    def cut(self) -> None:
        for session in self.sessions:
            session.lost()
        self._events()
        self.gone = True


class World:
    """What happens, by one seed. :meth:`live`, then :meth:`heal`, then :meth:`check`."""

    def __init__(self, seed: int, directory: Path, *, disk: bool | None = None) -> None:
        """*disk*: whether the databases are on disk, in *directory*; None: the seed says."""
        self.choose = Random(seed)
        self.directory = directory
        self.time = START
        self.counts: Counter[str] = Counter()
        self._trace = blake2b(digest_size=16)
        self._values = 0
        self._packets: list[dict[str, object]] = []
        self._boots: Counter[tuple[str, int]] = Counter()
        self._clocks: Counter[tuple[str, int]] = Counter()
        self._connections: list[Connection] = []
        self._backups: dict[str, object] = {}
        self._apart: set[frozenset[str]] = set()
        self.disk = self.choose.random() < 0.25 if disk is None else disk
        self.nodes: list[Node] = []
        for _ in range(self.choose.randint(3, 5)):
            self.nodes.append(self._new())

    def _name(self) -> str:
        return f"node-{len(self.nodes)}"

    def _new(self) -> Node:
        name = self._name()
        if self.disk:
            return DiskNode(name, lambda: self.time, self.directory / name)
        return MemoryNode(name, lambda: self.time)

    def trace(self, *what: object) -> None:
        """Note what happens: the same seed gives the same notes."""
        self._trace.update(repr(what).encode())

    @property
    def fingerprint(self) -> str:
        return self._trace.hexdigest()

    # --- what happens -------------------------------------------------------------------------------------------------

    def live(self, events: int) -> None:
        kinds = {
            self._report: 20,
            self._batch: 3,
            self._packet: 14,
            self._reboot: 2,
            self._edit: 8,
            self._delete: 2,
            self._key: 1,
            self._connect: 7,
            self._cut: 3,
            self._part: 0.5,
            self._crash: 0.4,
            self._power: 0.4,
            self._backup: 0.3,
            self._restore: 0.15,
            self._clone: 0.08,
            self._clock: 0.7,
            self._pack: 1,
        }
        for _ in range(events):
            self.time += self.choose.choice([50, 3_000, 150_000, 20_000_000])
            (event,) = self.choose.choices(list(kinds), kinds.values())
            self.trace(event.__name__, self.time)
            event()
            self.choose.shuffle(self._connections)
            for connection in self._connections:
                connection.step(self.choose, self.trace)
                self._look(connection)
            self._connections = [one for one in self._connections if not one.gone]

    def _look(self, connection: Connection) -> None:
        assert not connection.errors, connection.errors
        self.counts["split"] += connection.gone and connection.again

    def _node(self) -> Node:
        return self.choose.choice(self.nodes)

    def _value(self) -> int:
        self._values += 1
        return self._values

    def _troop(self, node: Node) -> int:
        """One of the node's troops; it may make one."""
        found = sorted(node.database._metadata.uid_of)
        if not found or self.choose.random() < 0.03:
            with suppress(ExistsError):
                found = [node.database.troops.create(key=self.choose.choice(KEYS), name=self._value()).id]
        return self.choose.choice(found)

    def _report(self) -> None:
        node = self._node()
        value = self._value()
        t = None if self.choose.random() < 0.6 else self.time - self.choose.randint(-YEAR, YEAR)
        clock: dict[str, int] = {}
        node.database.report(
            self._troop(node), self.choose.randrange(3), self.choose.choice(REPORTS), value, t=t, **clock
        )
        node.values.add(str(value))

    def _batch(self) -> None:
        node = self._node()
        troop = self._troop(node)
        values = [self._value() for _ in range(self.choose.randint(1, 40))]
        node.database.ingest(
            [
                {
                    "troop": troop,
                    "scout": self.choose.randrange(3),
                    "report": self.choose.choice(REPORTS),
                    "data": value,
                    "t": self.time + index * self.choose.choice([0, 1000, 4_000_000_000]),
                }
                for index, value in enumerate(values)
            ]
        )
        node.values.update(map(str, values))

    def _packet(self) -> None:
        """A scout sends, and several gateways may hear it, some of them later, from a board that kept it."""
        key = self.choose.choice(KEYS)
        scout = self.choose.randrange(3)
        if self._packets and self.choose.random() < 0.3:
            packet = self.choose.choice(self._packets)
            self.counts["late"] += 1
        else:
            self._clocks[key, scout] += self.choose.randint(0, 5_000)
            packet = {
                "key": key,
                "scout": scout,
                "report": self.choose.choice(REPORTS),
                "data": self._value(),
                "boot": self._boots[key, scout],
                "ms": self._clocks[key, scout] + self._value(),
            }
            self._packets.append(packet)
        heard = self.choose.sample(self.nodes, self.choose.randint(1, 3))
        for node in heard:
            node.database.ingest([packet], create_troops=lambda _: None)
            node.values.add(json.dumps(packet["data"]))
        self.counts["duplicate"] += len(heard) > 1

    def _reboot(self) -> None:
        key = self.choose.choice(KEYS), self.choose.randrange(3)
        self._boots[key] += 1
        self._clocks[key] = 0
        self.counts["reboot"] += 1

    def _edit(self) -> None:
        node = self._node()
        troop = self._troop(node)
        name = self.choose.choice(["name", "place", "note"])
        unset = [self.choose.choice(["name", "place"])] if self.choose.random() < 0.3 else []
        fields = {} if name in unset else {name: self._value()}
        if self.choose.random() < 0.5:
            node.database.troops.update(troop, fields, unset=unset)
        else:
            node.database.scouts.update(troop, self.choose.randrange(3), fields, unset=unset)

    def _delete(self) -> None:
        node = self._node()
        troop = self._troop(node)
        if self.choose.random() < 0.4:
            node.database.troops.delete(troop)
        else:
            node.database.scouts.delete(troop, self.choose.randrange(3))
        self.counts["delete"] += 1

    def _key(self) -> None:
        node = self._node()
        troop = self._troop(node)
        key = f"a further key, number {self.choose.randrange(2)}, of the simulation"
        if self.choose.random() < 0.7:
            node.database.troops.assign_key(troop, key)
        else:
            with suppress(NotFoundError):
                node.database.troops.revoke_key(troop, key)
        self.counts["key"] += 1

    def _connect(self) -> None:
        first, second = self.choose.sample(self.nodes, 2)
        if frozenset((first.name, second.name)) in self._apart:
            return
        secret = SECRET if self.choose.random() < 0.3 else None
        chance = self.choose.random

        def options() -> Options:
            return Options(give=chance() < 0.9, take=chance() < 0.9, live=chance() < 0.7, secret=secret)

        self._connections.append(Connection(self, first, second, options(), options()))
        self.counts["secret" if secret else "open"] += 1

    def _cut(self) -> None:
        if self._connections:
            self.choose.choice(self._connections).cut()
            self.counts["cut"] += 1

    def _part(self) -> None:
        """A partition comes, or goes."""
        if self._apart:
            self._apart.clear()
            return
        here = {node.name for node in self.nodes if self.choose.random() < 0.5}
        for one, other in combinations((node.name for node in self.nodes), 2):
            if (one in here) != (other in here):
                self._apart.add(frozenset((one, other)))
        for connection in self._connections:
            if frozenset(node.name for node in connection.nodes) in self._apart:
                connection.cut()
        self.counts["partition"] += bool(self._apart)

    def _crash(self) -> None:
        self._node().crash(self.choose)  # type: ignore[attr-defined]
        self.counts["crash"] += 1

    def _power(self) -> None:
        self._node().power_cut(self.choose)  # type: ignore[attr-defined]
        self.counts["power cut"] += not self.disk

    def _backup(self) -> None:
        node = self._node()
        self._backups[node.name] = node.backup()  # type: ignore[attr-defined]

    def _restore(self) -> None:
        if self._backups:
            name = self.choose.choice(sorted(self._backups))
            (node,) = [node for node in self.nodes if node.name == name]
            node.restore(self._backups[name])  # type: ignore[attr-defined]
            self.counts["restore"] += 1

    def _clone(self) -> None:
        if len(self.nodes) < 7:
            node = self._node()
            copy = node.clone(self._name())  # type: ignore[attr-defined]
            copy.offset = node.offset
            self.nodes.append(copy)
            self.counts["clone"] += 1

    def _clock(self) -> None:
        self._node().offset = self.choose.choice([0, self.choose.randint(-10 * YEAR, 10 * YEAR)])
        self.counts["clock"] += 1

    def _pack(self) -> None:
        if self.disk:
            self._node().pack()  # type: ignore[attr-defined]
            self.counts["pack"] += 1

    # --- how it ends --------------------------------------------------------------------------------------------------

    def heal(self) -> None:
        """Everything is connected again, and nothing more is written."""
        for connection in self._connections:
            connection.cut()
        self._connections = []
        for node in self.nodes:
            node.check_values()
        self.survivors = set[str]().union(*(node.held() for node in self.nodes))
        for _ in range(20):
            moved = False
            for pair in combinations(self.nodes, 2):
                moved |= self._sync(*pair)
            if not moved:
                return
        raise AssertionError("it does not come to rest")

    def _sync(self, first: Node, second: Node) -> bool:
        before = [_heads(node) for node in (first, second)]
        connection = Connection(self, first, second, Options(), Options())
        for _ in range(200_000):
            self.time += 1000
            connection.step(self.choose, self.trace)
            self._look(connection)
            if connection.gone:
                return connection.again or before != [_heads(node) for node in (first, second)]
        raise AssertionError("a session does not end")

    def check(self) -> None:
        """All are the same, and have what any of them had."""
        first = self.nodes[0]
        content = first.content()
        assert first.held() == self.survivors
        dumps = [list(node.database.dump()) for node in self.nodes]
        assert all(dump == dumps[0] for dump in dumps)
        heads = [_heads(node) for node in self.nodes]
        assert all(one == heads[0] for one in heads)
        assert_shows(first.database, content)
        assert dumps[0] == list(content.dump())
        values = [item["point"]["data"] for item in dumps[0] if "point" in item]
        assert len(values) == len(set(values)), "a reading is there twice"
        assert len({node.database.id for node in self.nodes}) == len(self.nodes), "two write one log"
        for node in self.nodes:
            node.check_ids()
            found = node.database.verify(views=True)
            assert found.ok, (found.damages, found.views)
        files = [node.files(self.directory / f"{node.name}.files") for node in self.nodes]  # type: ignore[attr-defined]
        assert all(one == files[0] for one in files)
        self.trace(dumps[0], sorted(heads[0]))

    def close(self) -> None:
        for node in self.nodes:
            node.close()  # type: ignore[attr-defined]


def _heads(node: Node) -> set[tuple[bytes, int, int]]:
    return {(log.uuid, log.origin, log.head) for log in node.database._logs.by_number if log.head > log.origin}


@contextmanager
def determined(seed: int) -> Iterator[None]:
    """Uuids by the seed, and small changes files."""
    choose = Random(~seed)
    with ExitStack() as stack:
        uuid4 = mock.patch("scoutcore.log.uuids.uuid4")
        stack.enter_context(uuid4).side_effect = lambda: UUID(int=choose.getrandbits(128), version=4)
        stack.enter_context(mock.patch.object(packer, "Writer", partial(changes.Writer, **SMALL)))
        small = partial(chain.Chain, interval_bytes=SMALL["interval_bytes"])
        verifier = partial(changes.Verifier, interval_bytes=SMALL["interval_bytes"])
        stack.enter_context(mock.patch.object(checking, "Verifier", verifier))
        stack.enter_context(mock.patch("scoutcore.replication.replica.Chain", small))
        yield


def run(seed: int, directory: Path, events: int = 500, *, disk: bool | None = None) -> World:
    """One life."""
    assert SMALL["interval_bytes"] < constants.INTERVAL_BYTES
    with determined(seed):
        world = World(seed, directory, disk=disk)
        try:
            world.live(events)
            world.heal()
            world.check()
        finally:
            world.close()
    return world
