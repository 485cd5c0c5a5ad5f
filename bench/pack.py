"""Packing the log: how fast, and what it costs an ingest that goes on as fast as it can.

``python -m bench.pack [MINUTES]`` ingests at half of full speed for so long (10 minutes), and tells how much of the
log was unpacked at most.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
import time
from array import array
from itertools import count
from pathlib import Path

import scoutcore
from bench import inputs, ours
from bench.harness import Goal, HotPath, Sample, Settings, both, python
from bench.inputs import input_file

DIRECTORY = "pack"
PACKED = 2_000_000
"""Reports, about, that are ingested while the log is packed."""
PIECE = 1 << 20
SERIES, POINTS, TEXT_BYTES = 500, 100, 256
"""What the log that is packed gets at a time."""
FULL_SECONDS = 10.0
IDLE_SECONDS, IDLE_CPU = 0.5, 0.05
"""A process that takes no more CPU time in so long has nothing to do."""


def _passes(settings: Settings) -> int:
    return max(1, min(PACKED // settings.reports, 10))


def _later(data: bytes, number: int) -> bytes:
    """The same reports, some hours later for every *number*."""
    return data.replace(b'"t":170000', b'"t":%06d' % (170000 + number))


def pack(settings: Settings) -> Sample:
    """The bytes of changes files per second, the log's last sync included."""
    with ours.create(settings.path(DIRECTORY), pack=False) as db:
        _fill(db, _log_bytes(settings))
        _settle()
        begin, begin_cpu = time.perf_counter(), time.process_time()
        db.pack()
        seconds, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
        size = db.stats().changes_bytes
        assert size
        return Sample([seconds], size, cpu)


def _log_bytes(settings: Settings) -> int:
    return max(settings.log_mib // 8, 1) << 20


def _fill(db: scoutcore.Database, size: int) -> None:
    """Readings that no codec makes shorter: a log of numbers is so small that its packing is a few syncs."""
    made = random.Random(9)
    series = [(1, scout, "note") for scout in range(SERIES)]
    codes = array("I", range(SERIES)) * POINTS
    for begin in range(0, size, SERIES * POINTS * TEXT_BYTES):
        t = array("q", [begin + at * 1_000_000 for at in range(POINTS) for _ in series])
        texts = [made.randbytes(TEXT_BYTES // 2).hex() for _ in codes]
        db.ingest_columns(series, codes, t, json.dumps(texts).encode())


def _settle() -> None:
    """Wait until LevelDB has compacted what came: packing at disk speed is what it does with nothing else to do."""
    before = -IDLE_CPU
    while (now := time.process_time()) - before >= IDLE_CPU:
        before = now
        time.sleep(IDLE_SECONDS)


def plain_write(settings: Settings) -> Sample:
    """As many bytes written to one file from memory, a MiB at a time, and one fsync."""
    path = settings.path(DIRECTORY)
    path.mkdir()
    pieces = _log_bytes(settings) // PIECE
    piece = os.urandom(PIECE)
    begin, begin_cpu = time.perf_counter(), time.process_time()
    with (path / "plain").open("wb", buffering=0) as file:
        for _ in range(pieces):
            file.write(piece)
        os.fsync(file.fileno())
    return Sample([time.perf_counter() - begin], pieces * PIECE, time.process_time() - begin_cpu)


def ingest(settings: Settings, how: str) -> Sample:
    """Reports as fast as they go in; the CPU time is the whole process's, the packer's and LevelDB's included."""
    data = input_file("reports", settings).read_bytes()
    parts = [_later(data, number) for number in range(_passes(settings))]
    with ours.create(settings.path(DIRECTORY), pack=how == "packing") as db:
        begin, begin_cpu = time.perf_counter(), time.process_time()
        taken = sum(db.ingest(part).accepted for part in parts)
        return Sample([time.perf_counter() - begin], taken, time.process_time() - begin_cpu)


PATHS = [
    HotPath(
        "pack: the log into changes files",
        "bytes",
        [
            *both("scoutcore", "bench.pack:pack", writes=DIRECTORY),
            python("plain write, one fsync", "bench.pack:plain_write", writes=DIRECTORY),
        ],
        [Goal("scoutcore (c)", "plain write, one fsync", 0.4)],
    ),
    HotPath(
        "ingest while the log is packed",
        "reports",
        [
            python("scoutcore (c)", "bench.pack:ingest", "packing", backend="c", writes=DIRECTORY),
            python("scoutcore (c), not packing", "bench.pack:ingest", "not", backend="c", writes=DIRECTORY),
        ],
        [Goal("scoutcore (c)", "scoutcore (c), not packing", 0.87)],
        ["reports"],
    ),
]


def half_speed(work: Path, minutes: float) -> None:
    """Find out full speed with packing paused; then ingest half as fast."""
    settings = Settings(str(work), reports=50_000)
    assert inputs.make("reports", settings) is None
    data = input_file("reports", settings).read_bytes()
    numbers = count()
    with ours.create(work / "half") as db:
        assert db.packer
        with db.packer.pause():
            begin, taken = time.monotonic(), 0
            while time.monotonic() - begin < FULL_SECONDS:
                taken += db.ingest(_later(data, next(numbers))).accepted
            full = taken / (time.monotonic() - begin)
        db.pack()
        begin, taken, most = time.monotonic(), 0, 0
        while (now := time.monotonic() - begin) < 60 * minutes:
            if taken > now * full / 2:
                time.sleep(0.001)
                continue
            taken += db.ingest(_later(data, next(numbers))).accepted
            most = max(most, _unpacked(db))
        print(f"full speed: {full:,.0f} reports/s; half of it wanted, {taken / now:,.0f} reached, for {now:,.0f} s")
        print(f"unpacked at most {most / 2**20:.1f} MiB of {(db.stats().changes_bytes or 0) / 2**20:,.0f} MiB")


def _unpacked(db: scoutcore.Database) -> int:
    assert db.packer
    return db.packer.stats().unpacked_bytes


def main() -> None:
    work = Path(tempfile.mkdtemp(prefix="scoutcore-bench-"))
    try:
        half_speed(work, float(sys.argv[1]) if len(sys.argv) > 1 else 10)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
