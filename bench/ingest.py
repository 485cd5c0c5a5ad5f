"""NDJSON ingest from a file, parsing included: without and with boot and ms, and the real mesh with its links."""

from __future__ import annotations

from array import array
from dataclasses import replace
from itertools import islice
from typing import Any

from bench import ours, sql
from bench.harness import Contender, Goal, HotPath, Sample, Settings, both, cpp, node, once, python
from bench.inputs import input_file

PLAIN_BATCH = 1000
OUR_BATCH = 50_000
INFLUX_BATCH = 5000
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


def plain_file(settings: Settings, name: str, store: str) -> Sample:
    from bench.plain import STORES

    return _batches(settings, name, STORES[store](settings.path(DIRECTORY)), PLAIN_BATCH)


def sqlite_file(settings: Settings, name: str) -> Sample:
    return _batches(settings, name, sql.Sqlite(settings.path(DIRECTORY)), PLAIN_BATCH)


def duckdb_batches(settings: Settings, name: str) -> Sample:
    """In commits of as many reports as ours."""
    return _batches(settings, name, sql.DuckDb(settings.path(DIRECTORY)), OUR_BATCH)


def _batches(settings: Settings, name: str, peer: Any, size: int) -> Sample:
    """What a peer takes for all lines, *size* at a time."""
    with input_file(name, settings).open("rb") as file:

        def run() -> int:
            count = 0
            while written := peer.write(islice(file, size)):
                count += written
            return count

        found = once(run, whole=isinstance(peer, sql.DuckDb))
    peer.close()
    return found


def duckdb_bulk(settings: Settings, name: str) -> Sample:
    """The whole file in one transaction, on all cores: the CPU time is that of them all."""
    duck = sql.DuckDb(settings.path(DIRECTORY))
    found = once(lambda: duck.read(input_file(name, settings)), whole=True)
    duck.close()
    return found


def influx_file(settings: Settings, name: str, how: str) -> Sample:
    """From JSON, or from ready-made lines of its own protocol; the CPU time is this thread's and the server's."""
    import orjson

    from bench.influx import Influx, line_of

    influx = Influx(settings.path(DIRECTORY))
    with input_file(name, settings).open("rb") as file:
        lines = (line_of(orjson.loads(line)) for line in file)
        if how == "lines":
            lines = iter(list(lines))

        def run() -> int:
            count = 0
            while batch := list(islice(lines, INFLUX_BATCH)):
                influx.write(batch)
                count += len(batch)
            return count

        begin_cpu = influx.cpu
        found = once(run)
        busy = found.busy + influx.cpu - begin_cpu
    return replace(found, busy=busy, peak_kib=influx.close())


def _ours_and_plain(name: str) -> list[Contender]:
    return [
        *both("scoutcore", "bench.ingest:scoutcore_file", name, writes=DIRECTORY),
        _plain("plyvel", "plyvel", "plyvel", name),
        node(
            "pinoccio-db",
            "pinoccio.js",
            lambda settings: ["ingest", settings.path(DIRECTORY), input_file(name, settings), PINOCCIO_CHUNK],
            writes=DIRECTORY,
            max_rounds=3,
        ),
    ]


def _plain(title: str, store: str, module: str, name: str) -> Contender:
    return python(title, "bench.ingest:plain_file", name, store, needs=["orjson", module], writes=DIRECTORY)


def _influx(name: str) -> list[Contender]:
    return [
        python(
            f"InfluxDB, from {title}",
            "bench.ingest:influx_file",
            name,
            how,
            needs=["orjson", "influxd"],
            writes=DIRECTORY,
            max_rounds=3,
        )
        for title, how in (("JSON", "json"), ("ready-made lines", "lines"))
    ]


def _cpp(name: str, mib: int) -> Contender:
    return cpp(
        f"C++ LevelDB, 3 puts, {mib} MB",
        "leveldb.cc",
        "leveldb",
        lambda settings: [settings.path(DIRECTORY), input_file(name, settings), mib],
        writes=DIRECTORY,
    )


def _npm(title: str, script: str, name: str) -> Contender:
    """The first of the reports, which flatters them: they slow down as they go on."""
    return node(
        title,
        script,
        lambda settings: ["ingest", settings.path(DIRECTORY), input_file(name, settings), 5 * settings.singles],
        writes=DIRECTORY,
        max_rounds=1,
    )


def _all_peers(name: str) -> list[Contender]:
    duck: dict[str, Any] = {"needs": ["duckdb"], "writes": DIRECTORY}
    return [
        _cpp(name, 4),
        _cpp(name, 64),
        _plain("RocksDB", "rocksdb", "rocksdict", name),
        _plain("LMDB", "lmdb", "lmdb", name),
        python("SQLite", "bench.ingest:sqlite_file", name, needs=["orjson"], writes=DIRECTORY, max_rounds=3),
        python("DuckDB, bulk", "bench.ingest:duckdb_bulk", name, **duck),
        python("DuckDB, batches", "bench.ingest:duckdb_batches", name, **duck),
        *_influx(name),
        _npm("hypercore", "hypercore.js", name),
        _npm("PouchDB", "pouchdb.js", name),
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
        [*_ours_and_plain("reports"), *_columns("reports"), *_all_peers("reports")],
        [
            Goal(_OURS, "pinoccio-db", 14),
            Goal(_OURS, "InfluxDB, from JSON", 7),
            Goal(_OURS, "InfluxDB, from ready-made lines", 3.5),
            Goal(_OURS, "C++ LevelDB, 3 puts, 4 MB", 6),
            Goal(_OURS, "DuckDB, bulk", 0.5),
            Goal(_OURS, "plyvel", 8),
            *(Goal(_OURS, name) for name in ("RocksDB", "LMDB", "SQLite", "DuckDB, batches", "hypercore", "PouchDB")),
            *_COLUMNS,
        ],
        ["reports"],
        peak_mib=150,
    ),
    HotPath(
        "ingest: NDJSON file with boot/ms",
        "reports",
        [*_ours_and_plain("reports-clocked"), *_columns("reports-clocked"), *_influx("reports-clocked")],
        [
            Goal(_OURS, "pinoccio-db", 10),
            Goal(_OURS, "InfluxDB, from JSON", 7),
            Goal(_OURS, "InfluxDB, from ready-made lines", 3.5),
            *_COLUMNS,
        ],
        ["reports-clocked"],
        peak_mib=150,
    ),
    HotPath(
        "ingest: Library 1 with links",
        "reports",
        [*_ours_and_plain("library"), *_influx("library")],
        [Goal(_OURS, "pinoccio-db", 10), Goal(_OURS, "InfluxDB, from JSON", 7)],
        ["library"],
        peak_mib=150,
    ),
]
