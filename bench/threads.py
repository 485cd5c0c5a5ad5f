"""Batches of 1,000 reports from several threads at once, as a service with many connections has them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from threading import Lock, Thread

from bench import ours
from bench.harness import Goal, HotPath, Sample, Settings, once, python
from bench.inputs import input_file

BATCH = 1000
DIRECTORY = "threads"


def _from_threads(settings: Settings, threads: int, write: Callable[[list[bytes]], int]) -> Sample:
    """*write* called for every batch, by as many threads, of which each takes the next when it is done with one."""
    counts = [0] * threads
    taking = Lock()

    def run() -> int:
        with input_file("reports", settings).open("rb") as file:

            def work(number: int) -> None:
                while True:
                    with taking:
                        batch = list(islice(file, BATCH))
                    if not batch:
                        return
                    counts[number] += write(batch)

            workers = [Thread(target=work, args=[number]) for number in range(threads)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        return sum(counts)

    return once(run, whole=True)


def scoutcore_threads(settings: Settings, threads: str) -> Sample:
    with ours.create(settings.path(DIRECTORY)) as db:
        return _from_threads(settings, int(threads), lambda batch: db.ingest(b"".join(batch)).accepted)


def plyvel_threads(settings: Settings, threads: str) -> Sample:
    from bench.plain import Plyvel

    plain = Plyvel(settings.path(DIRECTORY))
    numbering = Lock()

    def write(batch: list[bytes]) -> int:
        with numbering:
            return plain.write(batch)

    found = _from_threads(settings, int(threads), write)
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
