"""A gateway that is offline for many days, is killed every day, and then meets its peer again."""

from __future__ import annotations

import itertools
import json
import resource
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from scoutcore.database import Database
from scoutcore.directory import Directory
from scoutcore.recovery import open_store
from tests.faults.apart import apart
from tests.model import SET_CLOCK
from tests.replication.wire import logs

KEY = "the key of the troop that is offline"
HOURS = 24
SCOUTS = 250
HOUR = 3_600_000_000
OVERHEARD = 50
"""Of so many readings the peer hears one, too."""
MAX_MIB = 400
"""However long it was; most of it are LevelDB's buffers, of two databases."""


def opened(path: Path, hour: int) -> Database:
    """The database, its clock in an hour since the first; it packs as it comes."""
    ticks = itertools.count(SET_CLOCK + hour * HOUR)
    directory = Directory(path)
    store, said = open_store(directory)
    assert not said, said
    db = Database(store, directory, now=lambda: next(ticks))
    assert db.packer
    db.packer.start()
    return db


def readings(hour: int, count: int) -> Iterator[dict[str, object]]:
    """What the scouts of a mesh report in an hour: told by boot and ms, some stamped by themselves, some late."""
    choose = Random(hour)
    for number in range(hour * count, (hour + 1) * count):
        reading = {
            "key": KEY,
            "scout": number % SCOUTS,
            "report": "temp",
            "data": {"n": number, "c": choose.randrange(1000) / 10},
            "boot": number % SCOUTS,
            "ms": number,
        }
        if number % 10:
            t = SET_CLOCK + hour * HOUR + HOUR * (number % count) // count
            reading["t"] = t - 40 * HOUR if number % 1000 == 1 else t
        yield reading


def day(path: Path, number: int, count: int) -> Counter[str]:
    """A day of *count* readings an hour; nothing is closed at its end."""
    db = opened(path, number * HOURS)
    if not len(db.troops):
        db.troops.create(key=KEY)
    for hour in range(number * HOURS, (number + 1) * HOURS):
        result = db.ingest(readings(hour, count), strict=True)
        assert result.accepted == count
        db.scouts.update(1, hour % SCOUTS, {"hour": hour})
    return peak()


def overhear(path: Path, number: int, count: int) -> Counter[str]:
    """What the peer hears on that day."""
    with opened(path, number * HOURS) as db:
        if not len(db.troops):
            db.troops.create(key=KEY)
        for hour in range(number * HOURS, (number + 1) * HOURS):
            db.ingest(itertools.islice(readings(hour, count), 0, None, OVERHEARD), strict=True)
    return peak()


def peak() -> Counter[str]:
    """The most memory that this process has had."""
    return Counter({"MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024})


def meet(path: Path, other: Path, hour: int) -> Counter[str]:
    """Both give each other what they lack."""
    with opened(path, hour) as db, opened(other, hour) as peer:
        with db.serve("tcp://127.0.0.1:0") as server:
            peer.sync(server.addresses[0]).wait(3600)
        assert logs(db) == logs(peer)
        assert list(db.counts()) == list(peer.counts())
        return peak()


def compare(path: Path, other: Path, hour: int, expected: int) -> Counter[str]:
    """All that was ever told is shown, once, by both; the logs are right."""
    with opened(path, hour) as db, opened(other, hour) as peer:
        points = 0
        for one, theirs in zip(db.dump(), peer.dump(), strict=True):
            assert one == theirs
            points += "point" in one
        assert points == expected, f"{points} points, not {expected}"
        numbers = bytearray(expected)
        for scout in range(SCOUTS):
            for point in db.history(1, scout, "temp"):
                numbers[json.loads(point.raw)["n"]] += 1
        assert numbers == b"\1" * expected, "a reading is missing, or there twice"
        for each in (db, peer):
            each.pack()
            found = each.verify()
            assert found.ok, found.damages
        return peak()


def look(count: int, days: int) -> Counter[str]:
    """About *count* readings in so many *days*, in a process that has not opened LevelDB."""
    hours = days * HOURS
    hourly = count // hours
    seen = Counter({"readings": hourly * hours})
    with TemporaryDirectory() as text:
        path, other = Path(text) / "gateway.scout", Path(text) / "peer.scout"
        for number in range(days):
            seen |= _most("ingest", apart(partial(day, path, number, hourly)))
            seen |= _most("the peer's ingest", apart(partial(overhear, other, number, hourly)))
        seen |= _most("both in sync", apart(partial(meet, path, other, hours)))
        seen |= _most("both read", apart(partial(compare, path, other, hours, hourly * hours)))
    return seen


def _most(what: str, memory: Counter[str]) -> Counter[str]:
    size = memory["MiB"]
    assert size < MAX_MIB, f"{what}: {size} MiB"
    return Counter({f"MiB at most, {what}": size})


def campaign(count: int, days: int = 30) -> Iterator[tuple[Counter[str], list[str]]]:
    """*count* readings."""
    try:
        yield look(count, days), []
    except AssertionError as problem:
        yield Counter(), [str(problem)]


def some(count: int, days: int) -> tuple[Counter[str], list[str]]:
    """A few readings."""
    ((seen, problems),) = campaign(count, days)
    return seen, problems
