"""Bytes on disk per report, once all is where it stays: LevelDB and changes files together, beside InfluxDB's.

LevelDB is compacted, which it does by itself where there is more than its write buffer holds.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import scoutcore
from bench import ours
from bench.harness import Goal, HotPath, Sample, Settings, once, python
from bench.inputs import input_file

DIRECTORY = "disk"


def scoutcore_packed(settings: Settings, name: str, batch: str) -> Sample:
    """Ingested *batch* reports at a time, then packed; opened once more, so that LevelDB's log becomes tables."""
    path = settings.path(DIRECTORY)
    with ours.create(path) as db, input_file(name, settings).open("rb") as file:

        def run() -> int:
            count = 0
            while lines := b"".join(islice(file, int(batch))):
                count += db.ingest(lines).accepted
            db.pack()
            return count

        found = once(run)
    _settle(path)
    return found


def _settle(path: Path) -> None:
    with scoutcore.open(path) as db:
        db._store.compact(b"\0", b"\xff")


def scoutcore_single(settings: Settings, name: str) -> Sample:
    """The first of them, one at a time."""
    import orjson

    path = settings.path(DIRECTORY)
    with ours.create(path) as db, input_file(name, settings).open("rb") as file:

        def run() -> int:
            for line in islice(file, settings.singles):
                one = orjson.loads(line)
                clock = {"boot": one["b"], "ms": one["ms"]} if "b" in one else {}
                db.report(one["troop"], one["scout"], one["report"], one["data"], t=one["t"] * 1000, **clock)
            db.pack()
            return settings.singles

        found = once(run)
    _settle(path)
    return found


def influx(settings: Settings, name: str) -> Sample:
    """In batches of 5,000; then until its write-ahead log has become files."""
    import orjson

    from bench.influx import Influx, line_of

    server = Influx(settings.path(DIRECTORY))
    with input_file(name, settings).open("rb") as file:

        def run() -> int:
            count = 0
            while batch := [line_of(orjson.loads(line)) for line in islice(file, 5000)]:
                server.write(batch)
                count += len(batch)
            server.settle()
            return count

        found = once(run)
    return found.with_peak(server.close())


def _path(title: str, name: str, goal: float) -> HotPath:
    ours = "scoutcore (c)"
    return HotPath(
        f"disk: {title}",
        "reports",
        [
            python(ours, "bench.disk:scoutcore_packed", name, "50000", backend="c", writes=DIRECTORY),
            python(f"{ours}, by 1,000", "bench.disk:scoutcore_packed", name, "1000", backend="c", writes=DIRECTORY),
            python(
                f"{ours}, one by one",
                "bench.disk:scoutcore_single",
                name,
                needs=["orjson"],
                backend="c",
                writes=DIRECTORY,
                max_rounds=1,
            ),
            python("InfluxDB", "bench.disk:influx", name, needs=["influxd", "orjson"], writes=DIRECTORY, max_rounds=1),
        ],
        [Goal(ours, "InfluxDB", goal, disk=True)],
        [name],
    )


PATHS = [
    _path("NDJSON", "reports", 2),
    _path("NDJSON with boot/ms", "reports-clocked", 2),
    _path("Library 1 with links", "library", 2),
]
