"""Databases to read from, made once per run; and which series they hold."""

from __future__ import annotations

from itertools import islice
from typing import Any

from bench import ours, sql
from bench.harness import Contender, Sample, Settings, node, once, python
from bench.inputs import NAMES, SERIES, input_file


def series() -> list[tuple[int, str]]:
    """Scout and report of every series."""
    return [(number // len(NAMES) + 1, NAMES[number % len(NAMES)]) for number in range(SERIES)]


def scoutcore_bulk(settings: Settings) -> Sample:
    with ours.create(settings.path("read-scoutcore")) as db:
        return once(lambda: db.ingest(input_file("reports", settings)).accepted)


def scoutcore_batches(settings: Settings) -> Sample:
    """By 1,000 reports: blocks of two points."""
    with ours.create(settings.path("read-scoutcore-1000")) as db, input_file("reports", settings).open("rb") as file:

        def run() -> int:
            while lines := b"".join(islice(file, 1000)):
                db.ingest(lines)
            return settings.reports

        return once(run)


def plain(settings: Settings, store: str) -> Sample:
    from bench.plain import STORES

    return _fill(settings, STORES[store](settings.path(f"read-{store}")))


def sqlite(settings: Settings) -> Sample:
    return _fill(settings, sql.Sqlite(settings.path("read-sqlite")))


def _fill(settings: Settings, peer: Any) -> Sample:
    with input_file("reports", settings).open("rb") as file:

        def run() -> int:
            while peer.write(islice(file, 1000)):
                pass
            return settings.reports

        found = once(run)
    peer.close()
    return found


def influx(settings: Settings) -> Sample:
    import orjson

    from bench.influx import Influx, line_of

    server = Influx(settings.path("read-influx"))
    with input_file("reports", settings).open("rb") as file:
        lines = (line_of(orjson.loads(line)) for line in file)

        def run() -> int:
            while batch := list(islice(lines, 5000)):
                server.write(batch)
            return settings.reports

        found = once(run)
    server.settle()
    server.close()
    return found


def _prepare(directory: str, function: str, *arguments: str, **more: Any) -> Contender:
    return python(directory, f"bench.read:{function}", *arguments, writes=f"read-{directory}", **more)


BULK = _prepare("scoutcore", "scoutcore_bulk")
BATCHES = _prepare("scoutcore-1000", "scoutcore_batches")
PLYVEL = _prepare("plyvel", "plain", "plyvel", needs=["orjson"])
LMDB = _prepare("lmdb", "plain", "lmdb", needs=["orjson", "lmdb"])
SQLITE = _prepare("sqlite", "sqlite", needs=["orjson"])
INFLUX = _prepare("influx", "influx", needs=["orjson", "influxd"])
PINOCCIO = node(
    "pinoccio-db",
    "pinoccio.js",
    lambda settings: ["ingest", settings.path("read-pinoccio"), input_file("reports", settings), 100],
    writes="read-pinoccio",
)
