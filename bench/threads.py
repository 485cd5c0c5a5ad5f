"""Batches of 1,000 reports from several threads at once, as a service with many connections has them."""

from __future__ import annotations

from itertools import islice
from threading import Lock, Thread
from typing import Any

from bench import ours
from bench.harness import Goal, HotPath, Sample, Settings, once, python
from bench.inputs import input_file

BATCH = 1000
DIRECTORY = "threads"


def _batches(settings: Settings) -> list[list[bytes]]:
    with input_file("reports", settings).open("rb") as file:
        return list(iter(lambda: list(islice(file, BATCH)), []))


def _from_threads(threads: int, batches: list[list[bytes]], write: Any) -> Sample:
    """*write* called for every batch by as many threads, each with those that are its own."""
    counts = [0] * threads

    def work(number: int) -> None:
        for batch in islice(batches, number, None, threads):
            counts[number] += write(batch)

    def run() -> int:
        workers = [Thread(target=work, args=[number]) for number in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return sum(counts)

    return once(run, whole=True)


def scoutcore_threads(settings: Settings, threads: str) -> Sample:
    batches = _batches(settings)
    with ours.create(settings.path(DIRECTORY)) as db:
        return _from_threads(int(threads), batches, lambda batch: db.ingest(b"".join(batch)).accepted)


def plyvel_threads(settings: Settings, threads: str) -> Sample:
    from bench.plain import Plyvel

    plain = Plyvel(settings.path(DIRECTORY))
    numbering = Lock()

    def write(batch: list[bytes]) -> int:
        with numbering:
            return plain.write(batch)

    found = _from_threads(int(threads), _batches(settings), write)
    plain.close()
    return found


PATHS = [
    HotPath(
        "batches of 1,000 from 8 threads",
        "reports",
        [
            python("scoutcore (c)", "bench.threads:scoutcore_threads", "8", backend="c", writes=DIRECTORY),
            python("scoutcore (c), 1 thread", "bench.threads:scoutcore_threads", "1", backend="c", writes=DIRECTORY),
            python("plyvel", "bench.threads:plyvel_threads", "8", needs=["orjson"], writes=DIRECTORY),
        ],
        [Goal("scoutcore (c)", "scoutcore (c), 1 thread"), Goal("scoutcore (c)", "plyvel")],
        ["reports"],
        peak_mib=150,
    )
]
