"""The caller's own batches: 1,000 reports over 500 series at a time, two points a series, each batch durable."""

from __future__ import annotations

from itertools import islice
from typing import Any

from bench import ours
from bench.harness import Goal, HotPath, Sample, Settings, both, once, python
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


def plyvel_lines(settings: Settings, name: str) -> Sample:
    from bench.plain import Plyvel

    plain = Plyvel(settings.path(DIRECTORY))
    with input_file(name, settings).open("rb") as file:

        def run() -> int:
            count = 0
            while written := plain.write(islice(file, BATCH)):
                count += written
            return count

        found = once(run)
    plain.db.close()
    return found


def plyvel_objects(settings: Settings, name: str) -> Sample:
    import orjson

    from bench.plain import Plyvel

    reports = _objects(settings, name)
    plain = Plyvel(settings.path(DIRECTORY))

    def run() -> int:
        for begin in range(0, len(reports), BATCH):
            batch = plain.db.write_batch()
            for report in reports[begin : begin + BATCH]:
                plain.put(batch, report, orjson.dumps(report))
            batch.write()
        return len(reports)

    found = once(run)
    plain.db.close()
    return found


def _path(title: str, kind: str, name: str, goal: float | None) -> HotPath:
    return HotPath(
        f"batches of 1,000: {title}",
        "reports",
        [
            *both("scoutcore", f"bench.batches:scoutcore_{kind}", name, writes=DIRECTORY),
            python("plyvel", f"bench.batches:plyvel_{kind}", name, needs=["orjson"], writes=DIRECTORY),
        ],
        [Goal("scoutcore (c)", "plyvel", goal)] if goal else [],
        [name],
        peak_mib=150 if kind == "lines" else None,
    )


PATHS = [
    _path("NDJSON", "lines", "reports", 4),
    _path("NDJSON with boot/ms", "lines", "reports-clocked", None),
    _path("dicts", "objects", "reports", None),
]
