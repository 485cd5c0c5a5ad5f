"""Watchers: what each of them costs an ingest, and how fast they are told; all in one process."""

from __future__ import annotations

from itertools import islice

from bench import ours
from bench.harness import Goal, HotPath, Sample, Settings, both, once, python
from bench.inputs import input_file
from scoutcore import Point

BATCH = 1000
BATCHES = 100
DIRECTORY = "watch"


def fan_out(settings: Settings, watchers: str) -> Sample:
    """Batches of 1,000 reports, until every watcher has had every point; an item is a point given to all of them."""
    with input_file("reports", settings).open("rb") as file:
        batches = list(islice(iter(lambda: b"".join(islice(file, BATCH)), b""), BATCHES))
    with ours.create(settings.path(DIRECTORY)) as db:
        watches = [db.watch(1) for _ in range(int(watchers))]

        def run() -> int:
            total = 0
            for batch in batches:
                taken = db.ingest(batch).accepted
                total += taken
                for watch in watches:
                    points = 0
                    while points < taken:
                        points += isinstance(watch.next(timeout=30), Point)
            return total

        found = once(run)
        for watch in watches:
            watch.close()
    return found


PATHS = [
    HotPath(
        "watch: ingest in batches of 1,000, told to 10 watchers",
        "reports",
        [
            *both("scoutcore", "bench.watch:fan_out", "10", writes=DIRECTORY),
            python("scoutcore (c), 1 watcher", "bench.watch:fan_out", "1", backend="c", writes=DIRECTORY),
            python("scoutcore (c), nobody watches", "bench.watch:fan_out", "0", backend="c", writes=DIRECTORY),
        ],
        [Goal("scoutcore (c)", "scoutcore (c), nobody watches")],
        ["reports"],
    )
]
