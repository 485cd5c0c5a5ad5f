"""History: whole series as points and as columns, and windows of 1 % of the time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import scoutcore
from bench import read, sql
from bench.harness import Goal, HotPath, Sample, Settings, both, node, once, python, repeat
from bench.inputs import SERIES, START_MS, input_file

WINDOWS = 2000


def _points(settings: Settings) -> int:
    return settings.reports // SERIES


def scoutcore_points(settings: Settings, directory: str = "read-scoutcore") -> Sample:
    with scoutcore.open(settings.path(directory)) as db:

        def run() -> int:
            count = 0
            for scout, report in read.series():
                for point in db.history(1, scout, report):
                    point.data  # noqa: B018
                    count += 1
            assert count == settings.reports
            return count

        return repeat(run, settings.reports, max(1, settings.repeats // 2), warm=1)


def scoutcore_columns(settings: Settings, directory: str = "read-scoutcore") -> Sample:
    with scoutcore.open(settings.path(directory)) as db:

        def run() -> int:
            count = sum(
                len(columns.t) for scout, report in read.series() for columns in db.history(1, scout, report).columns()
            )
            assert count == settings.reports
            return count

        return repeat(run, settings.reports, max(1, settings.repeats // 2), warm=1)


def scoutcore_numpy(settings: Settings) -> Sample:
    with scoutcore.open(settings.path("read-scoutcore")) as db:

        def run() -> int:
            count = sum(len(db.history(1, scout, report).to_numpy()["t"]) for scout, report in read.series())
            assert count == settings.reports
            return count

        return repeat(run, settings.reports, max(1, settings.repeats // 2), warm=1)


def scoutcore_numbers(settings: Settings) -> Sample:
    """Times and values as numbers."""
    with scoutcore.open(settings.path("read-scoutcore")) as db:

        def run() -> int:
            count = sum(len(db.history(1, scout, report).numbers()[1]["value"]) for scout, report in read.series())
            assert count == settings.reports
            return count

        return repeat(run, settings.reports, max(1, settings.repeats // 2), warm=1)


def lmdb_points(settings: Settings) -> Sample:
    from bench.plain import Lmdb, series_key

    plain = Lmdb(settings.path("read-lmdb"))
    keys = [series_key({"troop": 1, "scout": scout, "report": report}) for scout, report in read.series()]

    def run() -> None:
        assert sum(1 for key in keys for _ in plain.read(key)) == settings.reports

    return repeat(run, settings.reports, max(1, settings.repeats // 2), warm=1)


def sqlite_points(settings: Settings) -> Sample:
    """Time and decoded data."""
    import orjson

    db = sql.open_sqlite(settings.path("read-sqlite"))
    query = "SELECT t, data FROM reports WHERE troop = 1 AND scout = ? AND report = ? ORDER BY t"

    def run() -> None:
        found = sum(1 for one in read.series() for _, data in db.execute(query, one) if orjson.loads(data))
        assert found == settings.reports

    return repeat(run, settings.reports, max(1, settings.repeats // 2), warm=1)


def influx_points(settings: Settings) -> Sample:
    """Time and value, out of the JSON that it answers with; the CPU time is this thread's and the server's."""
    from bench.influx import Influx

    influx = Influx(settings.path("read-influx"))

    def run() -> int:
        count = 0
        for scout, report in read.series():
            query = f"SELECT value FROM \"{report}\" WHERE troop = '1' AND scout = '{scout}'"
            count += sum(1 for _ in influx.query(query))
        assert count == settings.reports
        return count

    begin_cpu = influx.cpu
    found = once(run)
    return replace(found, busy=found.busy + influx.cpu - begin_cpu, peak_kib=influx.close())


# --- windows ----------------------------------------------------------------------------------------------------------


def _windows(settings: Settings) -> Iterator[tuple[int, str, int, int]]:
    """Scout, report, start and end (ms): 1 % of the time at random places."""
    made = random.Random(5)
    span = max(1, _points(settings)) * 1000
    for _ in range(WINDOWS):
        scout, report = made.choice(read.series())
        start = START_MS + made.randrange(span - span // 100)
        yield scout, report, start, start + span // 100


def scoutcore_window(settings: Settings, directory: str = "read-scoutcore") -> Sample:
    windows = [(scout, report, start * 1000, end * 1000) for scout, report, start, end in _windows(settings)]
    with scoutcore.open(settings.path(directory)) as db:

        def run() -> int:
            count = 0
            for scout, report, start, end in windows:
                for point in db.history(1, scout, report, start=start, end=end):
                    point.data  # noqa: B018
                    count += 1
            return count

        assert run() == _expected(settings)
        return repeat(run, len(windows), settings.repeats, warm=1)


def lmdb_window(settings: Settings) -> Sample:
    from bench.plain import Lmdb, series_key

    plain = Lmdb(settings.path("read-lmdb"))
    windows = [
        (series_key({"troop": 1, "scout": scout, "report": report}), start, end)
        for scout, report, start, end in _windows(settings)
    ]

    def run() -> int:
        count = 0
        for key, start, end in windows:
            for _ in plain.read(key, start, end):
                count += 1
        return count

    assert run() == _expected(settings)
    return repeat(run, len(windows), settings.repeats, warm=1)


def sqlite_window(settings: Settings) -> Sample:
    import orjson

    db = sql.open_sqlite(settings.path("read-sqlite"))
    windows = list(_windows(settings))
    query = "SELECT t, data FROM reports WHERE troop = 1 AND scout = ? AND report = ? AND t >= ? AND t < ? ORDER BY t"

    def run() -> int:
        return sum(1 for window in windows for _, data in db.execute(query, window) if orjson.loads(data))

    assert run() == _expected(settings)
    return repeat(run, len(windows), settings.repeats, warm=1)


def influx_window(settings: Settings) -> Sample:
    from bench.influx import Influx

    influx = Influx(settings.path("read-influx"))
    windows = list(_windows(settings))

    def run() -> int:
        count = 0
        for scout, report, start, end in windows:
            where = f"troop = '1' AND scout = '{scout}' AND time >= {start}ms AND time < {end}ms"
            count += sum(1 for _ in influx.query(f'SELECT value FROM "{report}" WHERE {where}'))
        assert count == _expected(settings)
        return len(windows)

    begin_cpu = influx.cpu
    found = once(run)
    return replace(found, busy=found.busy + influx.cpu - begin_cpu, peak_kib=influx.close())


def _expected(settings: Settings) -> int:
    series = {one: number for number, one in enumerate(read.series())}
    count = 0
    for scout, report, start, end in _windows(settings):
        first = START_MS + series[scout, report]
        count += len(range(max(0, -(-(start - first) // 1000)), min(_points(settings), -(-(end - first) // 1000))))
    return count


_PINOCCIO = node(
    "pinoccio-db",
    "pinoccio.js",
    lambda settings: ["history", settings.path("read-pinoccio"), input_file("reports", settings)],
    max_rounds=3,
)
_OTHERS = [
    python("SQLite", "bench.history:sqlite_points", needs=["orjson"], max_rounds=3),
    python("InfluxDB", "bench.history:influx_points", needs=["influxd", "orjson"], max_rounds=3),
]
_LMDB = python("LMDB + orjson", "bench.history:lmdb_points", needs=["orjson", "lmdb"])

PATHS = [
    HotPath(
        "history: to Points, .data decoded",
        "points",
        [
            *both("scoutcore", "bench.history:scoutcore_points"),
            python("scoutcore (c), blocks of 2", "bench.history:scoutcore_points", "read-scoutcore-1000", backend="c"),
            _LMDB,
            _PINOCCIO,
            *_OTHERS,
        ],
        [Goal("scoutcore (c)", None, 1_000_000), Goal("scoutcore (c)", "LMDB + orjson")],
        ["reports"],
        [read.BULK, read.BATCHES, read.LMDB, read.SQLITE, read.INFLUX, read.PINOCCIO],
    ),
    HotPath(
        "history: to columns",
        "points",
        [
            *both("scoutcore", "bench.history:scoutcore_columns"),
            python("scoutcore (c), blocks of 2", "bench.history:scoutcore_columns", "read-scoutcore-1000", backend="c"),
            python("scoutcore (c), to_numpy", "bench.history:scoutcore_numpy", needs=["numpy"], backend="c"),
            python("scoutcore (c), numbers", "bench.history:scoutcore_numbers", needs=["numpy"], backend="c"),
            _LMDB,
            _PINOCCIO,
            *_OTHERS,
        ],
        [
            Goal("scoutcore (c)", "pinoccio-db", 30),
            Goal("scoutcore (c)", "InfluxDB", 30),
            Goal("scoutcore (c), to_numpy", "pinoccio-db", 30),
            Goal("scoutcore (c), numbers", "InfluxDB", 30),
            Goal("scoutcore (c)", "LMDB + orjson", 10),
            Goal("scoutcore (c)", "SQLite"),
        ],
        ["reports"],
        [read.BULK, read.BATCHES, read.LMDB, read.SQLITE, read.INFLUX, read.PINOCCIO],
    ),
    HotPath(
        "history: a window of 1 %",
        "windows",
        [
            *both("scoutcore", "bench.history:scoutcore_window"),
            python("scoutcore (c), blocks of 2", "bench.history:scoutcore_window", "read-scoutcore-1000", backend="c"),
            python("LMDB + orjson", "bench.history:lmdb_window", needs=["orjson", "lmdb"]),
            python("SQLite", "bench.history:sqlite_window", needs=["orjson"]),
            python("InfluxDB", "bench.history:influx_window", needs=["influxd", "orjson"], max_rounds=3),
        ],
        [
            Goal("scoutcore (c)", "LMDB + orjson", 0.5),
            *(Goal("scoutcore (c)", name) for name in ("SQLite", "InfluxDB")),
        ],
        ["reports"],
        [read.BULK, read.BATCHES, read.LMDB, read.SQLITE, read.INFLUX],
    ),
]
