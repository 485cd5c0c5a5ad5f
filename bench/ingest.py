"""NDJSON ingest from a file, parsing included: without and with boot and ms, and the real mesh with its links."""

from __future__ import annotations

from array import array
from itertools import islice

from bench import ours
from bench.harness import Contender, Goal, HotPath, Sample, Settings, both, node, once, python
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


def scoutcore_columns(settings: Settings, name: str, data: str) -> Sample:
    """The same reports as arrays: which series, when, and the data as one JSON array or, ``numbers``, as floats."""
    import orjson

    series: dict[tuple[int, int, str], int] = {}
    codes, times, boots, clocks, values = array("I"), array("q"), array("Q"), array("Q"), array("d")
    with input_file(name, settings).open("rb") as file:
        for line in file:
            report = orjson.loads(line)
            codes.append(series.setdefault((report["troop"], report["scout"], report["report"]), len(series)))
            times.append(report["t"] * 1000)
            values.append(report["data"]["value"])
            if "b" in report:
                boots.append(report["b"])
                clocks.append(report["ms"])
    column = values if data == "numbers" else orjson.dumps([{"value": value} for value in values])
    clock = {"boot": boots, "ms": clocks} if boots else {}
    with ours.create(settings.path(DIRECTORY)) as db:

        def run() -> int:
            result = db.ingest_columns(list(series), codes, times, column, **clock)
            assert result.rejected == 0, result.errors[:3]
            return result.accepted

        return once(run)


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


def _contenders(name: str) -> list[Contender]:
    return [
        *both("scoutcore", "bench.ingest:scoutcore_file", name, writes=DIRECTORY),
        python("plyvel", "bench.ingest:plyvel_file", name, needs=["orjson"], writes=DIRECTORY),
        node(
            "pinoccio-db",
            "pinoccio.js",
            lambda settings: ["ingest", settings.path(DIRECTORY), input_file(name, settings), PINOCCIO_CHUNK],
            writes=DIRECTORY,
            max_rounds=3,
        ),
    ]


def _columns(name: str) -> list[Contender]:
    return [
        python(
            f"scoutcore (c), {title}",
            "bench.ingest:scoutcore_columns",
            name,
            data,
            needs=["orjson", "scoutcore._native"],
            backend="c",
            writes=DIRECTORY,
        )
        for title, data in (("columns", "json"), ("columns of floats", "numbers"))
    ]


_OURS = "scoutcore (c)"
_COLUMNS = [Goal(f"scoutcore (c), {title}", _OURS, 2) for title in ("columns", "columns of floats")]

PATHS = [
    HotPath(
        "ingest: NDJSON file",
        "reports",
        [*_contenders("reports"), *_columns("reports")],
        [Goal(_OURS, "pinoccio-db", 14), Goal(_OURS, "plyvel", 8), *_COLUMNS],
        ["reports"],
        peak_mib=150,
    ),
    HotPath(
        "ingest: NDJSON file with boot/ms",
        "reports",
        [*_contenders("reports-clocked"), *_columns("reports-clocked")],
        [Goal(_OURS, "pinoccio-db", 10), *_COLUMNS],
        ["reports-clocked"],
        peak_mib=150,
    ),
    HotPath(
        "ingest: Library 1 with links",
        "reports",
        _contenders("library"),
        [Goal(_OURS, "pinoccio-db", 10)],
        ["library"],
        peak_mib=150,
    ),
]
