"""Single report() calls: one reading at a time, each durable before the next."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from bench import ours
from bench.harness import Goal, HotPath, Sample, Settings, both, node, once, python
from bench.inputs import input_file

DIRECTORY = "report"


def _reports(settings: Settings) -> list[tuple[dict[str, Any], bytes]]:
    import orjson

    with input_file("reports", settings).open("rb") as file:
        return [(orjson.loads(line), line) for line in islice(file, settings.singles)]


def scoutcore_report(settings: Settings) -> Sample:
    calls = [(one["troop"], one["scout"], one["report"], one["data"], one["t"] * 1000) for one, _ in _reports(settings)]
    with ours.create(settings.path(DIRECTORY)) as db:

        def run() -> int:
            for troop, scout, report, data, t in calls:
                db.report(troop, scout, report, data, t=t)
            return len(calls)

        return once(run)


def plyvel_puts(settings: Settings) -> Sample:
    """Three put() calls per report, not even in a batch; the data encoded, the log's line ready-made."""
    from bench.plain import Plyvel

    calls = _reports(settings)
    plain = Plyvel(settings.path(DIRECTORY))

    def run() -> int:
        for report, line in calls:
            plain.put(plain.db, report, line)
        return len(calls)

    found = once(run)
    plain.close()
    return found


def plyvel_batches(settings: Settings) -> Sample:
    """The same three in one atomic batch per report, as a reading that is whole or not there needs."""
    from bench.plain import Plyvel

    calls = _reports(settings)
    plain = Plyvel(settings.path(DIRECTORY))

    def run() -> int:
        for report, line in calls:
            with plain.batch() as batch:
                plain.put(batch, report, line)
        return len(calls)

    found = once(run)
    plain.close()
    return found


def scoutcore_threads(settings: Settings) -> Sample:
    """The same from eight threads at once: they share commits."""
    from threading import Thread

    reports = [one for one, _ in _reports(settings)]
    with ours.create(settings.path(DIRECTORY)) as db:

        def work(mine: Iterator[dict[str, Any]]) -> None:
            for one in mine:
                db.report(one["troop"], one["scout"], one["report"], one["data"], t=one["t"] * 1000)

        def run() -> int:
            threads = [Thread(target=work, args=[islice(reports, first, None, 8)]) for first in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return len(reports)

        return once(run)


PATHS = [
    HotPath(
        "report(): one at a time",
        "calls",
        [
            *both("scoutcore", "bench.report:scoutcore_report", writes=DIRECTORY),
            python("scoutcore (c), 8 threads", "bench.report:scoutcore_threads", backend="c", writes=DIRECTORY),
            python("plyvel, 3 puts", "bench.report:plyvel_puts", needs=["orjson"], writes=DIRECTORY),
            python("plyvel, batch of 3", "bench.report:plyvel_batches", needs=["orjson"], writes=DIRECTORY),
            node(
                "pinoccio-db",
                "pinoccio.js",
                lambda settings: [
                    "report",
                    settings.path(DIRECTORY),
                    input_file("reports", settings),
                    settings.singles,
                ],
                writes=DIRECTORY,
            ),
        ],
        [Goal("scoutcore (c)", "pinoccio-db", 4), Goal("scoutcore (c)", "plyvel, 3 puts", 0.5)],
        ["reports"],
    )
]
