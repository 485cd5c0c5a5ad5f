"""NDJSON as it comes: from files, pipes that pause, and streams with lines that do not end."""

from __future__ import annotations

import io
import os
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoutcore import ingest, ndjson
from scoutcore.database import Database
from scoutcore.errors import InvalidError
from scoutcore.ndjson import BATCH_BYTES, MAX_LINE, read_chunks
from tests.database.conftest import KEY
from tests.waiting import wait_until

LINE = b'{"troop":1,"scout":1,"report":"temp","data":1}\n'
COUNT = BATCH_BYTES // len(LINE) + 10_000
"""More than are read at a time."""


class Slow(io.RawIOBase):
    """A file that gives as much at a time as it likes."""

    def __init__(self, parts: list[bytes]) -> None:
        self.parts = list(parts)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not self.parts:
            return b""
        part = self.parts.pop(0)
        if len(part) > size:
            self.parts.insert(0, part[size:])
        return part[:size]


@given(st.lists(st.binary(max_size=12).map(lambda part: part.replace(b"\x00", b"\n"))), st.integers(1, 30))
def test_chunks_are_whole_lines_and_nothing_is_lost(parts: list[bytes], size: int) -> None:
    parts = [part for part in parts if part]
    chunks = list(read_chunks(Slow(parts), size))  # type: ignore[arg-type]
    whole = b"".join(parts)
    assert b"".join(chunks) == whole
    for number, chunk in enumerate(chunks):
        assert chunk.endswith(b"\n") or number == len(chunks) - 1
        assert ndjson.scan(chunk).line_ends == chunk.count(b"\n")


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(1, 20), st.integers(1, 50))
def test_a_line_too_long_is_cut_and_the_next_is_whole(lengths: list[int], limit: int, size: int) -> None:
    lines = [b"%x" % (number % 16) * length for number, length in enumerate(lengths)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ndjson, "MAX_LINE", limit)
        found = b"".join(read_chunks(io.BytesIO(b"\n".join(lines)), size))
    for line, taken in zip(lines, found.split(b"\n"), strict=True):
        assert taken == line if len(line) <= limit else len(taken) > limit and line.startswith(taken)


def test_commits_of_many_series_are_smaller(monkeypatch: pytest.MonkeyPatch, db: Database) -> None:
    monkeypatch.setattr("scoutcore.ndjson.read_chunks.__defaults__", (4000,))
    monkeypatch.setattr("scoutcore.database.MANY_SERIES", 10)
    monkeypatch.setattr("scoutcore.database.FEW_SERIES", 3)
    same = b"".join(b'{"troop":1,"scout":1,"report":"temp","data":%d}\n' % number for number in range(200))
    other = b"".join(b'{"troop":1,"scout":%d,"report":"temp","data":1}\n' % number for number in range(200))
    sizes: list[int] = []
    db.ingest(same + other + same, progress=lambda _, size: sizes.append(size))
    assert sum(sizes) == len(same + other + same)
    small = [number for number, size in enumerate(sizes[:-1]) if size < 1500]
    assert len(small) >= 4
    assert min(sizes[: small[0]]) > 3000
    assert min(sizes[small[-1] + 1 : -1]) > 3000


class Endless(io.RawIOBase):
    """A line of 300 MB, and a good one behind it."""

    left = 300_000_000

    def read(self, size: int = -1) -> bytes:
        if self.left <= 0:
            return b""
        self.left -= size
        return b"x" * size if self.left > 0 else b"\n" + LINE


def test_a_line_that_does_not_end_takes_little_memory(db: Database) -> None:
    tracemalloc.start()
    result = db.ingest(Endless())  # type: ignore[arg-type]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (result.accepted, result.rejected) == (1, 1)
    assert result.errors == [(1, f"line is longer than {MAX_LINE} bytes")]
    assert peak < 32_000_000


@pytest.fixture(params=["pipe", "raw pipe", "non-blocking pipe", "socket"])
def stream(request: pytest.FixtureRequest) -> Iterator[tuple[io.IOBase, int]]:
    """A file to read from, and the descriptor of its other end."""
    if request.param == "socket":
        here, there = socket.socketpair()
        with here, here.makefile("rb") as file:
            yield file, there.detach()
        return
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, request.param != "non-blocking pipe")
    with open(read_end, "rb", buffering=-1 if request.param == "pipe" else 0) as file:  # noqa: PTH123
        yield file, write_end


def test_what_a_pipe_has_is_stored_when_it_pauses(db: Database, stream: tuple[io.IOBase, int]) -> None:
    file, other = stream
    stored: list[int] = []
    arrived = threading.Condition()

    def progress(result: object, size: int) -> None:
        with arrived:
            stored.append(size)
            arrived.notify()

    thread = threading.Thread(target=lambda: db.ingest(file, progress=progress), daemon=True)  # type: ignore[arg-type]
    thread.start()
    for number in range(1, 4):
        os.write(other, LINE * 10 + LINE[:20])
        with arrived:
            assert arrived.wait_for(lambda number=number: sum(stored) >= number * 10 * len(LINE), 20)  # type: ignore[misc]
        assert sum(points for *_, points, _ in db.counts()) == 10 * number + (number - 1)
        os.write(other, LINE[20:])
        wait_until(lambda number=number: sum(points for *_, points, _ in db.counts()) >= 11 * number)  # type: ignore[misc]
    os.write(other, LINE[:-1])
    os.close(other)
    thread.join(20)
    assert not thread.is_alive()
    assert sum(points for *_, points, _ in db.counts()) == 34


def test_a_file(db: Database, tmp_path: Path) -> None:
    path = tmp_path / "reports.ndjson"
    path.write_bytes(LINE * COUNT)
    sizes: list[int] = []
    assert db.ingest(path, progress=lambda _, size: sizes.append(size)).accepted == COUNT
    assert sum(sizes) == len(LINE) * COUNT
    assert len(sizes) > 1
    with path.open("rb") as file:
        assert db.ingest(file).accepted == COUNT
    with path.open("rb", buffering=0) as raw:
        assert db.ingest(raw).accepted == COUNT
    assert sum(points for *_, points, _ in db.counts()) == 3 * COUNT


def test_a_file_of_text(db: Database) -> None:
    with pytest.raises(InvalidError, match="mode 'rb'"):
        db.ingest(io.StringIO(LINE.decode()))  # type: ignore[arg-type]


@pytest.mark.parametrize("names", [ingest._MAX_KNOWN, 3])
def test_reports_that_name_a_troop_in_different_ways_are_of_one_row(
    names: int, disk: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """*names*: how many are known before all are forgotten: in the middle of a batch."""
    monkeypatch.setattr(ingest, "_MAX_KNOWN", names)
    uid, second = disk.troops.get(1).uid, disk.troops.assign_key(1)
    troops = ['"troop":1', f'"uid":"{uid}"', f'"key":"{KEY}"', f'"key":"{second}"']
    for begin in (0, 40):  # then each is known
        lines = [
            f'{{{troops[number % 4]},"scout":{number % 8 // 4},"report":"temp","data":{number},"t":{number}}}\n'
            for number in range(begin, begin + 40)
        ]
        assert disk.ingest("".join(lines).encode()).accepted == 40
    for scout in (0, 1):
        assert [point.data for point in disk.history(1, scout, "temp")] == [
            number for number in range(80) if number % 8 // 4 == scout
        ]
    assert disk.verify(views=True).ok
    assert disk._logs.by_number[0].head == 2 + 2 * 2, "a change for each row and batch, behind two of the troop"
