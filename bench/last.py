"""The last value of a series, and the snapshot of a whole mesh."""

from __future__ import annotations

import random
from dataclasses import replace

import scoutcore
from bench import read, sql
from bench.harness import Goal, HotPath, Sample, Settings, both, node, once, python, repeat
from bench.inputs import SERIES, input_file


def _calls(settings: Settings) -> list[tuple[int, str]]:
    return random.Random(4).choices(read.series(), k=settings.singles)


def scoutcore_last(settings: Settings) -> Sample:
    calls = _calls(settings)
    with scoutcore.open(settings.path("read-scoutcore")) as db:

        def run() -> None:
            for scout, report in calls:
                assert db.last(1, scout, report) is not None

        return repeat(run, len(calls), settings.repeats, warm=1)


def scoutcore_decoded(settings: Settings) -> Sample:
    """With the data as Python objects."""
    calls = _calls(settings)
    with scoutcore.open(settings.path("read-scoutcore")) as db:

        def run() -> None:
            for scout, report in calls:
                assert db.last(1, scout, report).data

        return repeat(run, len(calls), settings.repeats, warm=1)


def plyvel_get(settings: Settings) -> Sample:
    """A get() with verified checksums of a ready-made key: bytes, nothing decoded."""
    import plyvel

    db = plyvel.DB(str(settings.path("read-plyvel")))
    keys = [b"last/1/%d/%s/" % (scout, report.encode()) for scout, report in _calls(settings)]

    def run() -> None:
        for key in keys:
            assert db.get(key, verify_checksums=True) is not None

    found = repeat(run, len(keys), settings.repeats, warm=1)
    db.close()
    return found


def lmdb_get(settings: Settings) -> Sample:
    from bench.plain import Lmdb

    plain = Lmdb(settings.path("read-lmdb"))
    keys = [b"last/1/%d/%s/" % (scout, report.encode()) for scout, report in _calls(settings)]

    def run() -> None:
        for key in keys:
            with plain.env.begin() as transaction:
                assert transaction.get(key) is not None

    found = repeat(run, len(keys), settings.repeats, warm=1)
    plain.close()
    return found


def sqlite_last(settings: Settings) -> Sample:
    db = sql.open_sqlite(settings.path("read-sqlite"))
    calls = _calls(settings)
    query = "SELECT t, data FROM reports WHERE troop = 1 AND scout = ? AND report = ? ORDER BY t DESC LIMIT 1"

    def run() -> None:
        for call in calls:
            assert db.execute(query, call).fetchone() is not None

    return repeat(run, len(calls), settings.repeats, warm=1)


def influx_last(settings: Settings) -> Sample:
    from bench.influx import Influx

    influx = Influx(settings.path("read-influx"))
    calls = _calls(settings)[: settings.singles // 40]

    def run() -> int:
        for scout, report in calls:
            query = f"SELECT last(value) FROM \"{report}\" WHERE troop = '1' AND scout = '{scout}'"
            assert list(influx.query(query))
        return len(calls)

    run()
    begin_cpu = influx.cpu
    found = once(run)
    return replace(found, busy=found.busy + influx.cpu - begin_cpu, peak_kib=influx.close())


def scoutcore_snapshot(settings: Settings) -> Sample:
    with scoutcore.open(settings.path("read-scoutcore")) as db:

        def run() -> None:
            assert len(db.snapshot(1).scouts) == 100

        return repeat(run, SERIES, settings.repeats)


def plyvel_range(settings: Settings) -> Sample:
    """All last values as they stand: one scan, bytes."""
    import plyvel

    db = plyvel.DB(str(settings.path("read-plyvel")))

    def run() -> None:
        assert sum(1 for _ in db.iterator(prefix=b"last/1/", verify_checksums=True)) == SERIES

    found = repeat(run, SERIES, settings.repeats)
    db.close()
    return found


PATHS = [
    HotPath(
        "last value",
        "calls",
        [
            *both("scoutcore", "bench.last:scoutcore_last"),
            python("scoutcore (c), .data", "bench.last:scoutcore_decoded", backend="c"),
            python("plyvel get", "bench.last:plyvel_get"),
            python("LMDB get", "bench.last:lmdb_get", needs=["lmdb", "orjson"]),
            python("SQLite", "bench.last:sqlite_last"),
            python("InfluxDB", "bench.last:influx_last", needs=["influxd", "orjson"]),
            node(
                "pinoccio-db",
                "pinoccio.js",
                lambda settings: [
                    "last",
                    settings.path("read-pinoccio"),
                    input_file("reports", settings),
                    settings.singles,
                ],
            ),
        ],
        [
            Goal("scoutcore (c)", "plyvel get", 1 / 2.5),
            Goal("scoutcore (c)", "pinoccio-db", 10),
            Goal("scoutcore (c)", "InfluxDB", 100),
            *(Goal("scoutcore (c)", name) for name in ("LMDB get", "SQLite")),
        ],
        ["reports"],
        [read.BULK, read.PLYVEL, read.LMDB, read.SQLITE, read.INFLUX, read.PINOCCIO],
    ),
    HotPath(
        "snapshot of a mesh",
        "last values",
        [*both("scoutcore", "bench.last:scoutcore_snapshot"), python("plyvel range", "bench.last:plyvel_range")],
        (),
        ["reports"],
        [read.BULK, read.PLYVEL],
    ),
]
