"""Replication over loopback TCP: a clone of everything, applied and durable; catching up; seeing that all is there.

The far side is a process of its own. The CPU time is that of the whole process on the near side; the peak memory is
that of the side which took more.
"""

from __future__ import annotations

import scoutcore
from bench import ours
from bench.harness import Contender, Goal, HotPath, Sample, Settings, both, node, once, python, repeat
from bench.inputs import SERIES, input_file
from bench.serving import Serving

DIRECTORY = "clone"
CATCH_UP_SERIES = 10_000
CATCH_UP_CHANGES = 1000


def source(settings: Settings, name: str) -> Sample:
    """The database that is cloned: packed."""
    with ours.create(settings.path(f"clone-source-{name}")) as db:

        def run() -> int:
            taken = db.ingest(input_file(name, settings)).accepted
            db.pack()
            return taken

        return once(run)


def scoutcore_clone(settings: Settings, name: str) -> Sample:
    """Into a new database, until both sides know that all is there and safe against power loss."""
    with Serving(settings.path(f"clone-source-{name}")) as far, scoutcore.open(settings.path(DIRECTORY)) as db:

        def run() -> int:
            db.sync(far.url).wait()
            return settings.reports

        found = once(run, whole=True)
        assert len(list(db.history(1, 1, "humidity"))) == settings.reports // SERIES
    return found.with_peak(far.peak_kib)


def scoutcore_ingest(settings: Settings, name: str) -> Sample:
    """The same reports from NDJSON."""
    with ours.create(settings.path(DIRECTORY)) as db:
        return once(lambda: db.ingest(input_file(name, settings)).accepted, whole=True)


def catch_up(settings: Settings) -> Sample:
    """A clone gets what was reported since: one reading of each of 1,000 series out of 10,000, each a change."""
    changes = min(CATCH_UP_CHANGES, settings.singles)
    with Serving(settings.path(DIRECTORY)) as far, scoutcore.open(settings.path(f"{DIRECTORY}-near")) as db:
        far.call("ingest_series", CATCH_UP_SERIES)
        db.sync(far.url).wait()
        before = _changes(db)
        far.call("report_each", changes, CATCH_UP_SERIES)

        def run() -> int:
            db.sync(far.url).wait()
            return changes

        found = once(run, whole=True)
        assert _changes(db) == before + changes
    return found.with_peak(far.peak_kib)


def _changes(db: scoutcore.Database) -> int:
    return sum(log.head for log in db.stats().logs)


def in_sync(settings: Settings) -> Sample:
    """Connect, see that all is there on both sides, and part."""
    with Serving(settings.path("clone-source-reports")) as far, scoutcore.open(settings.path(DIRECTORY)) as db:
        db.sync(far.url).wait()
        found = repeat(lambda: db.sync(far.url).wait(), 1, settings.repeats)
    return found.with_peak(far.peak_kib)


def _path(title: str, name: str, peers: list[Contender]) -> HotPath:
    ingest = python("scoutcore (c), NDJSON ingest", "bench.clone:scoutcore_ingest", name, backend="c", writes=DIRECTORY)
    return HotPath(
        f"clone over loopback TCP{title}",
        "reports",
        [*both("scoutcore", "bench.clone:scoutcore_clone", name, writes=DIRECTORY), ingest, *peers],
        [
            Goal("scoutcore (c)", ingest.name, 0.7),
            *(Goal("scoutcore (c)", peer.name, 100) for peer in peers),
        ],
        [name],
        [python("source", "bench.clone:source", name, writes=f"clone-source-{name}")],
        peak_mib=150,
    )


def _npm(title: str, script: str) -> Contender:
    """Within one process, and of fewer reports, which flatters them: they slow down as they go on."""
    return node(
        title,
        script,
        lambda settings: ["clone", settings.path(DIRECTORY), input_file("reports", settings), settings.singles],
        writes=DIRECTORY,
        max_rounds=1,
    )


PATHS = [
    _path("", "reports", [_npm("hypercore", "hypercore.js"), _npm("PouchDB", "pouchdb.js")]),
    _path(", boot/ms", "reports-clocked", []),
    HotPath(
        "catch up after 1,000 single reports of 10,000 series",
        "changes",
        both("scoutcore", "bench.clone:catch_up", writes=DIRECTORY),
        peak_mib=150,
    ),
    HotPath(
        "see that all is in sync",
        "sessions",
        [python("scoutcore (c)", "bench.clone:in_sync", backend="c", writes=DIRECTORY)],
        inputs=["reports"],
        prepare=[python("source", "bench.clone:source", "reports", writes="clone-source-reports")],
        peak_mib=150,
    ),
]
