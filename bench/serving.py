"""A database that another process serves on loopback: the far side of what is measured about replication.

``python -m bench.serving DIRECTORY`` opens or creates the database, serves it, and prints where. Then each line of its
input is a call of a function of this module that takes a database, as JSON ``[name, argument, ...]``; it is answered by
a line with what that returned. At the end of its input it prints its peak memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from threading import Event, Thread
from typing import Any

import scoutcore
from bench import ours
from bench.worker import peak_kib
from scoutcore.replication.replica import replica_of


class Serving:
    """The process, from the side that measures."""

    def __init__(self, directory: Path) -> None:
        command = [sys.executable, "-m", "bench.serving", str(directory)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin
        assert self._process.stdout
        self._in, self._out = self._process.stdin, self._process.stdout
        self.url = self._out.readline().strip()
        self.peak_kib = 0

    def begin(self, name: str, *arguments: object) -> None:
        """Have a function called; :meth:`result` waits for it."""
        self._in.write(json.dumps([name, *arguments]) + "\n")
        self._in.flush()

    def result(self) -> Any:
        return json.loads(self._out.readline())

    def call(self, name: str, *arguments: object) -> Any:
        self.begin(name, *arguments)
        return self.result()

    def cpu(self) -> float:
        """Seconds of CPU that it has taken."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *_: object) -> None:
        rest, _ = self._process.communicate()
        self.peak_kib = int(rest or 0)


# --- what it can be told to do ----------------------------------------------------------------------------------------


def ingest_series(db: scoutcore.Database, series: int) -> int:
    """Ten reports of each of *series* series."""
    lines = (
        b'{"troop":1,"scout":%d,"report":"report%d","data":{"value":%d},"t":%d}\n'
        % (one % series // 5 + 1, one % 5, one, 1_700_000_000_000 + one)
        for one in range(10 * series)
    )
    return db.ingest(b"".join(lines)).accepted


def ingest_texts(db: scoutcore.Database, count: int, size: int) -> int:
    """*count* reports of *size* bytes that nothing makes shorter."""
    lines = (
        b'{"troop":1,"scout":%d,"report":"text","data":"%b","t":%d}\n'
        % (one % 100, token_hex(size // 2).encode(), 1_700_000_000_000 + one)
        for one in range(count)
    )
    return db.ingest(b"".join(lines)).accepted


def report_each(db: scoutcore.Database, count: int, series: int) -> int:
    """*count* single reports, each of another of *series* series."""
    for number in range(count):
        scout, name = divmod(number * 7919 % series, 5)
        db.report(1, scout + 1, f"report{name}", {"value": number / 4})
    return count


def write_logs(db: scoutcore.Database, logs: int) -> int:
    """So many logs that were ours one after another, as clones and restored backups leave them, of 100 reports each."""
    replica = replica_of(db)
    for number in range(logs):
        if number:
            replica.start_own()
        for scout in range(1, 101):
            db.report(1, scout, "temp", {"value": number})
    return logs


def report_now(db: scoutcore.Database, count: int, pause: float, load: int) -> tuple[int, float]:
    """*count* reports that say when they were made, one each *pause* seconds; a thread ingests *load* others a second.

    Returns:
        how many were ingested beside them, in how many seconds.
    """
    done = Event()
    taken, begun = 0, time.monotonic()
    batches = _load(1000)

    def ingest() -> None:
        nonlocal taken
        while not done.is_set():
            if taken < (time.monotonic() - begun) * load:
                taken += db.ingest(next(batches)).accepted
            else:
                done.wait(0.001)

    beside = Thread(target=ingest)
    if load:
        beside.start()
    for number in range(count):
        time.sleep(max(begun + number * pause - time.monotonic(), 0.0))
        db.report(1, 1, "now", time.monotonic_ns())
    took = time.monotonic() - begun
    done.set()
    if load:
        beside.join()
    return taken, took


def _load(batch: int) -> Iterator[bytes]:
    """Batches of reports of 500 series."""
    number = 0
    while True:
        yield b"".join(
            b'{"troop":1,"scout":%d,"report":"load","data":{"value":%d.5},"t":%d}\n'
            % (2 + one % 500, one % 1000, 1_700_000_000_000 + one)
            for one in range(number, number + batch)
        )
        number += batch


def peak(db: scoutcore.Database) -> int:
    """The most KiB of memory that it has held so far."""
    return peak_kib()


def main() -> None:
    directory = Path(sys.argv[1])
    with scoutcore.open(directory) if directory.exists() else ours.create(directory) as db:
        with db.serve("tcp://127.0.0.1:0") as server:
            print(server.addresses[0], flush=True)
            for line in sys.stdin:
                name, *arguments = json.loads(line)
                print(json.dumps(globals()[name](db, *arguments)), flush=True)
        print(peak_kib())


if __name__ == "__main__":
    main()
