"""Following changes files that grow: whole changes only, each once, from anywhere, into the next file."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scoutcore import changes
from scoutcore.errors import CorruptError, TruncatedError
from tests.test_changes import UUID, frames, write
from tests.test_changes_seek import Forward

FRAME = 100


class Steps(threading.Event):
    """Whenever the reader waits, one more step is taken; behind the last one it is told to stop."""

    def __init__(self, steps: Iterator[None], idle: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.steps, self.idle = steps, idle

    def wait(self, timeout: float | None = None) -> bool:
        self.idle()
        return next(self.steps, self) is self


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, bytes]:
    """Three files, 1 to 9, 10 to 18, 19 to 26."""
    limits = {"interval_bytes": 300, "file_bytes": 900}
    directory = write(tmp_path / "whole", [(frames(1, [FRAME] * 26), 26)], **limits)
    return {path.name: path.read_bytes() for path in sorted(directory.glob("*"))}


def grow(directory: Path, whole: dict[str, bytes], step: int) -> Iterator[None]:
    """Write the files *step* bytes at a time."""
    for name, data in whole.items():
        for at in range(0, len(data), step):
            with (directory / name).open("ab") as file:
                file.write(data[at : at + step])
            yield


@pytest.mark.parametrize(("start", "step"), [(1, 1), (15, 1), (2, 7), (10, 150), (9, 1000), (26, 7)])
def test_grown_in_steps(tmp_path: Path, whole: dict[str, bytes], start: int, step: int) -> None:
    log = tmp_path / "log"
    log.mkdir()
    steps = grow(log, whole, step)
    while not any(FRAMES[start] in path.read_bytes() for path in changes.files_of(log)):
        next(steps)
    seen: list[int] = []

    def compare() -> None:
        """All changes of which all bytes are there, and no other."""
        data = b"".join(path.read_bytes() for path in changes.files_of(log))
        assert seen == [number for number in range(start, 27) if FRAMES[number] in data]

    reader = changes.open(log).seek(change=start)
    for change in reader.follow(stop=Steps(steps, compare)):
        seen.append(change.change)  # noqa: PERF401 it is compared meanwhile
    compare()
    assert seen == list(range(start, 27))
    assert reader.unchecked == 18 + 2 * FRAME


FRAMES = {number: frames(number, [FRAME]) for number in range(1, 27)}
"""The change's bytes, which hold its number."""


def test_the_change_that_comes_next(tmp_path: Path, whole: dict[str, bytes]) -> None:
    log = tmp_path / "log"
    log.mkdir()
    steps = grow(log, whole, 1)
    for last in range(27):
        while FRAMES.get(last, b"") not in b"".join(path.read_bytes() for path in changes.files_of(log)):
            next(steps)
        if last:
            found = changes.open(log).seek(change=last + 1)
            assert list(found) == []
            one = Steps(iter([None]))
            assert list(found.follow(stop=one)) == []


def test_cut_off_and_written_again(tmp_path: Path, whole: dict[str, bytes]) -> None:
    """As after the death of a packer: the bytes come back, in the same file or in another one of its name."""
    log = tmp_path / "log"
    log.mkdir()
    (first, data), (second, more), *_ = whole.items()
    path, following = log / first, log / second

    def steps() -> Iterator[None]:
        path.write_bytes(data[:500])
        yield
        path.write_bytes(data[:250])
        yield
        path.unlink()
        yield
        path.write_bytes(data[:400])
        yield
        path.write_bytes(data)
        following.write_bytes(more[:200])
        yield
        yield
        following.unlink()
        yield
        following.write_bytes(more[:150])
        yield
        following.write_bytes(more)
        yield

    path.write_bytes(data[:300])
    found = [change.change for change in changes.open(log).follow(stop=Steps(steps()))]
    assert found == list(range(1, 19))


def test_a_writer_at_work(tmp_path: Path) -> None:
    log, count, stop = tmp_path / "log", 3000, threading.Event()
    writer = changes.Writer(log, UUID, changes.Position(), interval_bytes=1000, file_bytes=20_000)
    writer.append(frames(1, [50]), 1)

    def append() -> None:
        try:
            for first in range(2, count + 1, 7):
                sizes = [50] * min(7, count + 1 - first)
                writer.append(frames(first, sizes), len(sizes))
            writer.sync()
        finally:
            stop.set()

    thread = threading.Thread(target=append, daemon=True)
    thread.start()
    found = [change.change for change in changes.open(log).follow(poll=0.001, stop=stop)]
    thread.join()
    found += [change.change for change in changes.open(log).seek(change=len(found) + 1)]
    writer.close()
    assert found == list(range(1, count + 1))


def test_it_ends(whole: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "0000000001.changes"
    data = next(iter(whole.values()))
    for cut in (len(data), 500):
        path.write_bytes(data[:cut])
        begin = time.monotonic()
        count = sum(1 for _ in changes.open(path).follow(poll=0.01, timeout=0.05))
        assert count == (9 if cut == len(data) else 4)
        assert time.monotonic() - begin >= 0.05
    with pytest.raises(TruncatedError, match="the end is in the middle of a frame"):
        list(changes.open(path))
    with pytest.raises(TruncatedError):  # a pipe does not grow behind its end
        list(changes.open(Forward(data[:500])).follow())
    assert sum(1 for _ in changes.open(io.BytesIO(data)).follow(timeout=0)) == 9


def test_a_file_that_ends_in_the_middle_though_another_follows(tmp_path: Path, whole: dict[str, bytes]) -> None:
    (first, data), (second, more), *_ = whole.items()
    (tmp_path / first).write_bytes(data[:500])
    (tmp_path / second).write_bytes(more)
    with pytest.raises(TruncatedError, match=first):
        list(changes.open(tmp_path).follow(timeout=0))
    (tmp_path / first).write_bytes(data[: 18 + 2 * FRAME])
    with pytest.raises(CorruptError, match="a keyframe inside an interval"):
        list(changes.open(tmp_path).follow(timeout=0))
