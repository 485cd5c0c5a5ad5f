"""History: whole series as points and as columns, and windows of 1 % of the time."""

from __future__ import annotations

import random
from collections.abc import Iterator

import scoutcore
from bench import read
from bench.harness import Goal, HotPath, Sample, Settings, both, node, python, repeat
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


def lmdb_points(settings: Settings) -> Sample:
    from bench.plain import Lmdb, series_key

    plain = Lmdb(settings.path("read-lmdb"))
    keys = [series_key({"troop": 1, "scout": scout, "report": report}) for scout, report in read.series()]

    def run() -> None:
        assert sum(1 for key in keys for _ in plain.read(key)) == settings.reports

    return repeat(run, settings.reports, max(1, settings.repeats // 2), warm=1)


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
        ],
        [Goal("scoutcore (c)", None, 1_000_000), Goal("scoutcore (c)", "LMDB + orjson")],
        ["reports"],
        [read.BULK, read.BATCHES, read.LMDB, read.PINOCCIO],
    ),
    HotPath(
        "history: to columns",
        "points",
        [
            *both("scoutcore", "bench.history:scoutcore_columns"),
            python("scoutcore (c), blocks of 2", "bench.history:scoutcore_columns", "read-scoutcore-1000", backend="c"),
            python("scoutcore (c), to_numpy", "bench.history:scoutcore_numpy", needs=["numpy"], backend="c"),
            _LMDB,
            _PINOCCIO,
        ],
        [
            Goal("scoutcore (c)", "pinoccio-db", 10),
            Goal("scoutcore (c), to_numpy", "pinoccio-db", 10),
            Goal("scoutcore (c)", "LMDB + orjson", 10),
        ],
        ["reports"],
        [read.BULK, read.BATCHES, read.LMDB, read.PINOCCIO],
    ),
    HotPath(
        "history: a window of 1 %",
        "windows",
        [
            *both("scoutcore", "bench.history:scoutcore_window"),
            python("scoutcore (c), blocks of 2", "bench.history:scoutcore_window", "read-scoutcore-1000", backend="c"),
            python("LMDB + orjson", "bench.history:lmdb_window", needs=["orjson", "lmdb"]),
        ],
        [Goal("scoutcore (c)", "LMDB + orjson", 0.5)],
        ["reports"],
        [read.BULK, read.BATCHES, read.LMDB],
    ),
]
