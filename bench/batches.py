"""The caller's own batches: 1,000 reports over 500 series at a time, two points a series, each batch durable."""

from __future__ import annotations

from itertools import islice
from typing import Any

from bench import ours, sql
from bench.harness import Contender, Goal, HotPath, Sample, Settings, both, once, python
from bench.inputs import input_file

BATCH = 1000
DIRECTORY = "batches"


def scoutcore_lines(settings: Settings, name: str) -> Sample:
    with ours.create(settings.path(DIRECTORY)) as db, input_file(name, settings).open("rb") as file:

        def run() -> int:
            count = 0
            while lines := b"".join(islice(file, BATCH)):
                count += db.ingest(lines).accepted
            return count

        return once(run)


def _objects(settings: Settings, name: str) -> list[dict[str, Any]]:
    import orjson

    with input_file(name, settings).open("rb") as file:
        reports = [orjson.loads(line) for line in file]
    for report in reports:
        report["t"] *= 1000
        if "b" in report:
            report["boot"] = report.pop("b")
    return reports


def scoutcore_objects(settings: Settings, name: str) -> Sample:
    reports = _objects(settings, name)
    with ours.create(settings.path(DIRECTORY)) as db:

        def run() -> int:
            batches = (reports[begin : begin + BATCH] for begin in range(0, len(reports), BATCH))
            return sum(db.ingest(batch).accepted for batch in batches)

        return once(run)


def plain_lines(settings: Settings, name: str, store: str) -> Sample:
    from bench.plain import STORES

    return _lines(settings, name, STORES[store](settings.path(DIRECTORY)))


def sqlite_lines(settings: Settings, name: str) -> Sample:
    return _lines(settings, name, sql.Sqlite(settings.path(DIRECTORY)))


def duckdb_lines(settings: Settings, name: str) -> Sample:
    return _lines(settings, name, sql.DuckDb(settings.path(DIRECTORY)))


def _lines(settings: Settings, name: str, peer: Any) -> Sample:
    with input_file(name, settings).open("rb") as file:

        def run() -> int:
            count = 0
            while written := peer.write(islice(file, BATCH)):
                count += written
            return count

        found = once(run, whole=isinstance(peer, sql.DuckDb))
    peer.close()
    return found


def plyvel_objects(settings: Settings, name: str) -> Sample:
    import orjson

    from bench.plain import Plyvel

    reports = _objects(settings, name)
    plain = Plyvel(settings.path(DIRECTORY))

    def run() -> int:
        for begin in range(0, len(reports), BATCH):
            with plain.batch() as batch:
                for report in reports[begin : begin + BATCH]:
                    plain.put(batch, report, orjson.dumps(report))
        return len(reports)

    found = once(run)
    plain.close()
    return found


_OURS = "scoutcore (c)"


def _plain(title: str, store: str, module: str, name: str) -> Contender:
    return python(title, "bench.batches:plain_lines", name, store, needs=["orjson", module], writes=DIRECTORY)


def _ours(kind: str, name: str) -> list[Contender]:
    return both("scoutcore", f"bench.batches:scoutcore_{kind}", name, writes=DIRECTORY)


PATHS = [
    HotPath(
        "batches of 1,000: NDJSON",
        "reports",
        [
            *_ours("lines", "reports"),
            _plain("plyvel", "plyvel", "plyvel", "reports"),
            _plain("RocksDB", "rocksdb", "rocksdict", "reports"),
            _plain("LMDB", "lmdb", "lmdb", "reports"),
            python("SQLite", "bench.batches:sqlite_lines", "reports", needs=["orjson"], writes=DIRECTORY, max_rounds=3),
            python("DuckDB", "bench.batches:duckdb_lines", "reports", needs=["duckdb"], writes=DIRECTORY, max_rounds=3),
        ],
        [Goal(_OURS, "plyvel", 5), *(Goal(_OURS, name) for name in ("RocksDB", "LMDB", "SQLite", "DuckDB"))],
        ["reports"],
        peak_mib=150,
    ),
    HotPath(
        "batches of 1,000: NDJSON with boot/ms",
        "reports",
        [*_ours("lines", "reports-clocked"), _plain("plyvel", "plyvel", "plyvel", "reports-clocked")],
        [Goal(_OURS, "plyvel")],
        ["reports-clocked"],
        peak_mib=150,
    ),
    HotPath(
        "batches of 1,000: dicts",
        "reports",
        [
            *_ours("objects", "reports"),
            python("plyvel", "bench.batches:plyvel_objects", "reports", needs=["orjson"], writes=DIRECTORY),
        ],
        [Goal(_OURS, "plyvel")],
        ["reports"],
    ),
]
