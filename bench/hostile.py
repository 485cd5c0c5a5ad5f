"""``python -m bench.hostile``: what good peers get while others mean no good, or are a thousand.

A process serves a database. For each kind of ``tests/replication/hostile.py`` somebody takes all that is there, alone
and beside; and reports that are made every 10 ms are followed live, alone and beside. The bad ones run in a process of
the least priority: what counts is what they cost the server, not what they take of a machine of few cores themselves.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.replication import hostile

import scoutcore
from bench import ours
from bench.harness import ROOT
from bench.serving import Serving
from scoutcore import Point, Synced
from scoutcore.store.memory import MemoryStore

CROWD = 990
"""A server takes 1,000 at most: these, and the good ones."""
COUNTS = {"live": (CROWD,), "forking": (1,)}
HEADINGS = [
    "peers",
    "kind",
    "connected",
    "speed, % of alone",
    "by the server's CPU, %",
    "live, p50 and p99, ms",
    "live beside, ms",
    "server's peak MiB, alone and beside",
]
SYNCED = b"session\x12\x06synced"
TAKES = 5
CALM_SECONDS = 0.5
SETTLE_SECONDS = 20.0


@dataclass
class Take:
    """What it took to give everything to somebody who reads it and does no more."""

    seconds: float
    cpu: float
    """Seconds of the server's CPU."""


def take(far: Serving) -> Take:
    host, _, port = far.url.removeprefix("tcp://").rpartition(":")
    begin, begin_cpu = time.perf_counter(), far.cpu()
    with socket.create_connection((host, int(port))) as peer:
        peer.sendall(hostile.introduced(live=False))
        tail = b""
        while SYNCED not in tail:
            piece = peer.recv(1 << 18)
            assert piece, "the server has thrown out a good peer"
            tail = tail[-len(SYNCED) :] + piece
        return Take(time.perf_counter() - begin, far.cpu() - begin_cpu)


def follow(far: Serving, db: scoutcore.Database, count: int) -> list[float]:
    """Seconds until each of *count* reports, made every 10 ms, is seen here."""
    seconds: list[float] = []
    with db.watch(1, 1) as watch:
        while not isinstance(watch.next(timeout=60), Synced):
            pass  # what was there before
        far.begin("report_now", count, 0.01, 0)
        while len(seconds) < count:
            event = watch.next(timeout=60)
            assert event is not None
            if isinstance(event, Point) and event.report == "now":
                seconds.append((time.monotonic_ns() - event.data) / 1e9)
        far.result()
    return seconds


@contextmanager
def beside(far: Serving, kind: str, count: int) -> Iterator[list[int]]:
    """*count* peers of a kind; how often they have connected is in the list in the end."""
    command = ["nice", "-n", "19", sys.executable, "-m", "tests.replication.hostile", far.url, kind, str(count)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        settle(far)
        times: list[int] = []
        yield times
        times.append(int(process.communicate()[0]))


def settle(far: Serving) -> None:
    """Wait until the server has little to do, if that comes: until those that take what is there have it."""
    end = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < end:
        begin = far.cpu()
        time.sleep(CALM_SECONDS)
        if far.cpu() - begin < CALM_SECONDS / 4:
            return


def late(seconds: list[float]) -> str:
    """The median and the 99th percentile, in ms."""
    quantiles = statistics.quantiles(seconds, n=100, method="inclusive")
    return f"{quantiles[49] * 1000:.1f}, {quantiles[98] * 1000:.0f}"


def ratio(alone: list[float], crowded: list[float]) -> str:
    """How fast it was beside, in % of alone."""
    beside = statistics.median(crowded)
    return f"{100 * statistics.median(alone) / beside:.0f}" if beside else "-"  # less than a tick of CPU time


def measure(work: Path, kind: str, count: int, rounds: int, reports: int) -> list[str]:
    """A row of the table."""
    alone: list[Take] = []
    crowded: list[Take] = []
    followed: list[float] = []
    followed_beside: list[float] = []
    connected = peak = 0
    shutil.copytree(work / "served", work / "far")
    with Serving(work / "far") as far, scoutcore.Database(MemoryStore()) as db, db.sync(far.url, live=True) as sync:
        sync.wait_synced()
        take(far)
        for _ in range(rounds):
            alone += [take(far) for _ in range(TAKES)]
            followed += follow(far, db, reports)
            peak = peak or far.call("peak")
            with beside(far, kind, count) as times:
                crowded += [take(far) for _ in range(TAKES)]
                followed_beside += follow(far, db, reports)
            connected += times[0]
    shutil.rmtree(work / "far")
    return [
        f"{count:,}",
        kind.replace("_", " "),
        f"{connected:,}",
        ratio([one.seconds for one in alone], [one.seconds for one in crowded]),
        ratio([one.cpu for one in alone], [one.cpu for one in crowded]),
        late(followed),
        late(followed_beside),
        f"{peak / 1024:.0f}, {far.peak_kib / 1024:.0f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=__doc__)
    parser.add_argument("--only", nargs="*", choices=[*hostile.KINDS], help="these kinds")
    parser.add_argument("--counts", type=int, nargs="*", help=f"how many at once (1, and {CROWD})")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--reports", type=int, default=300, help="that are followed in each round")
    parser.add_argument("--mib", type=int, default=64, help="of reports that are there to be taken")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="scoutcore-hostile-"))
    for row in HEADINGS, ["---:", "---", *["---:"] * (len(HEADINGS) - 2)]:
        print(f"| {' | '.join(row)} |")
    try:
        ours.create(work / "served").close()
        with Serving(work / "served") as far:
            far.call("ingest_texts", options.mib * 1024, 1024)
        with scoutcore.open(work / "served") as db:
            db.pack()
        for kind in options.only or hostile.KINDS:
            for count in options.counts or COUNTS.get(kind, (1, CROWD)):
                row = measure(work, kind, count, options.rounds, options.reports)
                print(f"| {' | '.join(row)} |", flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
