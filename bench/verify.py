"""Verifying a packed log, beside a bare BLAKE2b over the same bytes; and building a database anew from its log."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import scoutcore
from bench import ours
from bench.harness import Goal, HotPath, Sample, Settings, both, once, python, repeat
from bench.inputs import input_file
from scoutcore import changes
from scoutcore.codec.constants import INTERVAL_BYTES

PIECE = 1 << 20
LOST = "rebuild"


def packed(settings: Settings) -> Sample:
    """The log that is verified: every report a change of its own, so frames are as short as they get."""
    with ours.create(settings.path("verify"), pack=False) as db:

        def run() -> int:
            for line in _lines(settings):
                db.ingest(line)
            return db.pack()

        return once(run)


def _lines(settings: Settings) -> list[bytes]:
    return input_file("reports", settings).read_bytes().splitlines()[: settings.singles * 2]


def _log(settings: Settings) -> Path:
    (log,) = settings.path("verify", "changes").iterdir()
    return log


def verify(settings: Settings) -> Sample:
    """Bytes verified: frames, numbers, digests and the chain."""

    def run() -> int:
        found = changes.verify(_log(settings))
        assert found.damages == []
        return found.size

    return repeat(run, _size(settings), settings.repeats)


def _size(settings: Settings) -> int:
    return sum(file.stat().st_size for file in changes.files_of(_log(settings)))


def bare(settings: Settings) -> Sample:
    """The same files read, and hashed 64 KiB at a time."""

    def run() -> int:
        size = 0
        for path in changes.files_of(_log(settings)):
            with path.open("rb", buffering=0) as file:
                while data := file.read(PIECE):
                    view = memoryview(data)
                    for start in range(0, len(data), INTERVAL_BYTES):
                        hashlib.blake2b(view[start : start + INTERVAL_BYTES], digest_size=16).digest()
                    size += len(data)
        return size

    return repeat(run, _size(settings), settings.repeats)


def lost(settings: Settings) -> Sample:
    """The packed database that is built anew."""
    with ours.create(settings.path(f"{LOST}-source"), pack=False) as db:

        def run() -> int:
            taken = db.ingest(input_file("reports", settings)).accepted
            db.pack()
            return taken

        return once(run)


def rebuild(settings: Settings) -> Sample:
    """All of a database from its changes files alone, the verifying of these included."""
    path = settings.path(LOST)
    shutil.copytree(settings.path(f"{LOST}-source"), path)
    shutil.rmtree(path / "db")
    repair = scoutcore.repair  # loads what it needs, as that of the other is loaded

    def run() -> int:
        assert repair(path).rebuilt
        return settings.reports

    return once(run, whole=True)


def ingest(settings: Settings) -> Sample:
    """The same reports from NDJSON."""
    with ours.create(settings.path(LOST), pack=False) as db:
        return once(lambda: db.ingest(input_file("reports", settings)).accepted, whole=True)


PATHS = [
    HotPath(
        "verify: a log of single reports",
        "bytes",
        [*both("scoutcore", "bench.verify:verify", slow_rounds=1), python("bare BLAKE2b", "bench.verify:bare")],
        [Goal("scoutcore (c)", "bare BLAKE2b", 0.7)],
        ["reports"],
        [python("the log", "bench.verify:packed", writes="verify")],
    ),
    HotPath(
        "rebuild: a database from its changes files",
        "reports",
        [
            *both("scoutcore", "bench.verify:rebuild", writes=LOST, slow_rounds=1),
            python("ingest of NDJSON", "bench.verify:ingest", backend="c", writes=LOST),
        ],
        [Goal("scoutcore (c)", "ingest of NDJSON", 1.0)],
        ["reports"],
        [python("the database", "bench.verify:lost", writes=f"{LOST}-source")],
    ),
]
