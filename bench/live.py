"""Live replication over loopback TCP: from before report() on one database until a watcher of another sees it."""

from __future__ import annotations

import time

import scoutcore
from bench.harness import HotPath, Sample, Settings, python
from bench.serving import Serving
from scoutcore import Point

DIRECTORY = "live"
PAUSE_SECONDS = 0.01
LOAD = 50_000
"""Reports a second that the same database takes in beside."""


def latency(settings: Settings, load: str) -> Sample:
    """Each report says when it was made, by a clock that both processes share."""
    count = settings.singles // 20
    seconds = []
    with (
        Serving(settings.path(DIRECTORY)) as far,
        scoutcore.open(settings.path(f"{DIRECTORY}-near")) as db,
        db.sync(far.url, live=True) as sync,
    ):
        sync.wait_synced()
        with db.watch(1, 1) as watch:
            begin_cpu = time.process_time()
            far.begin("report_now", count, PAUSE_SECONDS, int(load))
            while len(seconds) < count:
                event = watch.next(timeout=30)
                assert event is not None
                if isinstance(event, Point):
                    seconds.append((time.monotonic_ns() - event.data) / 1e9)
            busy = time.process_time() - begin_cpu
        taken, took = far.result()
        assert taken >= int(load) * took * 0.9, f"only {taken / took:,.0f} reports a second"
    return Sample(seconds, 1, busy).with_peak(far.peak_kib)


PATHS = [
    HotPath(
        "live, beside 50,000 reports/s: until a peer sees it",
        "reports",
        [
            python("scoutcore (c)", "bench.live:latency", str(LOAD), backend="c", writes=DIRECTORY),
            python("scoutcore (c), alone", "bench.live:latency", "0", backend="c", writes=DIRECTORY),
        ],
        peak_mib=150,
    )
]
