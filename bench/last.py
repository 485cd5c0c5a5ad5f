"""The last value of a series, and the snapshot of a whole mesh."""

from __future__ import annotations

import random

import scoutcore
from bench import read
from bench.harness import Goal, HotPath, Sample, Settings, both, node, python, repeat
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
        [Goal("scoutcore (c)", "plyvel get", 1 / 2.5), Goal("scoutcore (c)", "pinoccio-db", 10)],
        ["reports"],
        [read.BULK, read.PLYVEL, read.PINOCCIO],
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
