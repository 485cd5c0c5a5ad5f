"""Databases to read from, made once per run; and which series they hold."""

from __future__ import annotations

from itertools import islice
from typing import Any

from bench import ours
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


def plyvel(settings: Settings) -> Sample:
    from bench.plain import Plyvel

    plain = Plyvel(settings.path("read-plyvel"))
    with input_file("reports", settings).open("rb") as file:

        def run() -> int:
            while plain.write(islice(file, 1000)):
                pass
            return settings.reports

        found = once(run)
    plain.db.close()
    return found


def lmdb(settings: Settings) -> Sample:
    from bench.plain import Lmdb

    plain = Lmdb(settings.path("read-lmdb"))
    with input_file("reports", settings).open("rb") as file:

        def run() -> int:
            plain.write(file)
            return settings.reports

        found = once(run)
    plain.env.close()
    return found


def _prepare(name: str, **more: Any) -> Contender:
    directory = f"read-{name}"
    return python(name, f"bench.read:{more.pop('function', name)}", writes=directory, **more)


BULK = _prepare("scoutcore", function="scoutcore_bulk")
BATCHES = _prepare("scoutcore-1000", function="scoutcore_batches")
PLYVEL = _prepare("plyvel", needs=["orjson"])
LMDB = _prepare("lmdb", needs=["orjson", "lmdb"])
PINOCCIO = node(
    "pinoccio-db",
    "pinoccio.js",
    lambda settings: ["ingest", settings.path("read-pinoccio"), input_file("reports", settings), 100],
    writes="read-pinoccio",
)
