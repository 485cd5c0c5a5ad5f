"""Finding a change in a big log's changes files, without an index: what is in memory, and what the disk must give."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

from bench.harness import HotPath, Sample, Settings, both, python
from scoutcore import changes, codec
from scoutcore.codec.columns import Change, ChangeColumns

UUID = bytes(range(16))
BATCH = 5000
VALUE_BYTES = 100


def _log(settings: Settings) -> Path:
    return settings.path("seek", "log")


def generate(settings: Settings) -> Sample:
    """The log that is sought in: changes of some hundred bytes."""
    made = random.Random(7)
    position = changes.Position()
    writer = changes.Writer(_log(settings), UUID, position)
    begin, size = time.perf_counter(), 0
    while size < settings.log_mib << 20:
        first = position.last + 1
        batch = [
            Change("8dK4ng0d-85qzzez/7/temp", number, number - 1, number, made.randbytes(VALUE_BYTES), "sensor")
            for number in range(first, first + BATCH)
        ]
        data, _ = codec.encode_changes(ChangeColumns.from_objects(batch))
        writer.append(data, BATCH)
        size += len(data)
    writer.sync()
    writer.close()
    return Sample([time.perf_counter() - begin], position.last)


def _forget(path: Path) -> None:
    """Let the system drop the file from memory."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def seek(settings: Settings, how: str) -> Sample:
    """Open the log, find a change and read it."""
    files = changes.files_of(_log(settings))
    last = changes.summarize(files[-1]).last
    assert last is not None
    if how == "cold":
        for path in files:
            _forget(path)
    chance = random.Random()
    seconds = busy = 0.0
    seeks = settings.singles // 40
    for number in [chance.randint(1, last) for _ in range(seeks)]:
        begin, begin_busy = time.perf_counter(), time.thread_time()
        reader = changes.open(_log(settings)).seek(change=number)
        found = next(iter(reader))
        seconds += time.perf_counter() - begin
        busy += time.thread_time() - begin_busy
        assert found.change == number
        assert reader.start is not None
        if how == "cold":
            _forget(Path(reader.start.file))
    return Sample([seconds], seeks, busy)


def one_read(settings: Settings, how: str) -> Sample:
    """What a perfect index would leave to do: open the file, and read one interval from a known place."""
    files = changes.files_of(_log(settings))
    chance = random.Random()
    seconds = busy = 0.0
    seeks = settings.singles // 40
    for _ in range(seeks):
        path = chance.choice(files)
        offset = chance.randrange(max(1, path.stat().st_size - 65_536))
        if how == "cold":
            _forget(path)
        begin, begin_busy = time.perf_counter(), time.thread_time()
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            file.read(65_536)
        seconds += time.perf_counter() - begin
        busy += time.thread_time() - begin_busy
    return Sample([seconds], seeks, busy)


PATHS = [
    HotPath(
        f"seek a change in a log: {how}",
        "seeks",
        [
            *both("scoutcore", "bench.seek:seek", how, slow_rounds=3),
            python("one read of an interval", "bench.seek:one_read", how),
        ],
        prepare=[python("the log", "bench.seek:generate", writes="seek")],
    )
    for how in ("warm", "cold")
]
