"""NDJSON ingest from a file, parsing included: without and with boot and ms, and the real mesh with its links."""

from __future__ import annotations

from itertools import islice
from typing import Any

from bench import ours
from bench.harness import Goal, HotPath, Sample, Settings, both, node, once, python
from bench.inputs import input_file

PLYVEL_BATCH = 1000
PINOCCIO_CHUNK = 100
"""Its best: it writes such chunks two to seven times as fast as chunks of 5,000."""
DIRECTORY = "ingest"


def scoutcore_file(settings: Settings, name: str) -> Sample:
    file = input_file(name, settings)
    with ours.create(settings.path(DIRECTORY)) as db:

        def run() -> int:
            result = db.ingest(file)
            assert result.rejected == 0, result.errors[:3]
            return result.accepted

        return once(run)


def scoutcore_columns(settings: Settings, name: str) -> Sample:
    """The same reports as arrays: codes of the series, times, data texts."""
    import orjson

    lines = input_file(name, settings).read_bytes().splitlines()
    with ours.create(settings.path(DIRECTORY)) as db:
        if not hasattr(db, "ingest_columns"):
            raise SystemExit("Database has no ingest_columns yet")
        pieces = []
        for begin in range(0, len(lines), 50_000):
            series: dict[Any, int] = {}
            codes, times, texts, boots, clocks = [], [], [], [], []
            for line in lines[begin : begin + 50_000]:
                report = orjson.loads(line)
                key = report["troop"], report["scout"], report["report"]
                codes.append(series.setdefault(key, len(series)))
                times.append(report["t"] * 1000)
                texts.append(orjson.dumps(report["data"]))
                boots.append(report.get("b"))
                clocks.append(report.get("ms"))
            pieces.append((list(series), codes, times, texts, boots, clocks))
        raise SystemExit("ingest_columns: to be written with its signature")


def plyvel_file(settings: Settings, name: str) -> Sample:
    from bench.plain import Plyvel

    plain = Plyvel(settings.path(DIRECTORY))
    with input_file(name, settings).open("rb") as file:

        def run() -> int:
            count = 0
            while written := plain.write(islice(file, PLYVEL_BATCH)):
                count += written
            return count

        found = once(run)
    plain.db.close()
    return found


def _path(title: str, name: str, pinoccio: float, plyvel: float | None) -> HotPath:
    goals = [Goal("scoutcore (c)", "pinoccio-db", pinoccio)]
    if plyvel:
        goals.append(Goal("scoutcore (c)", "plyvel", plyvel))
    return HotPath(
        f"ingest: {title}",
        "reports",
        [
            *both("scoutcore", "bench.ingest:scoutcore_file", name, writes=DIRECTORY),
            python("plyvel", "bench.ingest:plyvel_file", name, needs=["orjson"], writes=DIRECTORY),
            node(
                "pinoccio-db",
                "pinoccio.js",
                lambda settings: ["ingest", settings.path(DIRECTORY), input_file(name, settings), PINOCCIO_CHUNK],
                writes=DIRECTORY,
                max_rounds=3,
            ),
        ],
        goals,
        [name],
        peak_mib=150,
    )


PATHS = [
    _path("NDJSON file", "reports", 14, 8),
    _path("NDJSON file with boot/ms", "reports-clocked", 10, None),
    _path("Library 1 with links", "library", 10, None),
]
