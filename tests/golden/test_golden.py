"""The golden files are still read, and the same content still makes the same bytes."""

from __future__ import annotations

from array import array
from hashlib import blake2b
from itertools import pairwise

import pytest

from scoutcore import changes, dat
from tests.codec.helpers import UUID, points_of
from tests.golden import make

NAMES = [
    "multibuffer.bin",
    "multibuffer-extra-3.bin",
    "blocks.multibuffer",
    "numbers.multibuffer",
    "stream.dat",
    "log.changes",
]


def golden(name):
    return (make.HERE / name).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_same_bytes(codec, name):
    assert make.build(codec)[name] == golden(name)


def test_multibuffers(codec):
    assert codec.unpack(golden("multibuffer.bin")) == make.BUFFERS
    assert codec.unpack(golden("multibuffer-extra-3.bin"), 3) == make.BUFFERS


def test_blocks(codec):
    data = golden("blocks.multibuffer")
    starts, ends, _ = codec.unpack_columns(data)
    firsts, write_times, points = codec.decode_blocks(data, starts, ends)
    assert set(write_times) == {make.WRITE_TIME}
    assert max(b - a for a, b in pairwise(firsts)) == 7
    by_series = [
        sorted((p for p, s in zip(make.POINTS, make.SERIES, strict=True) if s == series), key=lambda point: point[0])
        for series in range(3)
    ]
    assert points_of(points) == [point for series in by_series for point in series]


def test_numbers(codec):
    data = golden("numbers.multibuffer")
    starts, ends, _ = codec.unpack_columns(data)
    assert [data[start] for start in starts] == [1, 1]
    firsts, write_times, points = codec.decode_blocks(data, starts, ends)
    assert (list(firsts), list(write_times)) == ([0, 15, 30], [make.WRITE_TIME] * 2)
    assert points_of(points) == make.NUMBERS[::2] + make.NUMBERS[1::2]


@pytest.mark.parametrize("step", [1, 7, 100, 10_000])
def test_streams(codec, step):
    for name, events in (
        ("stream.dat", [*make.changes(codec), *make.LIMITS, *(dat.Blob(len(blob), 0, blob) for blob in make.BLOBS)]),
        ("foreign.dat", make.FOREIGN),
    ):
        decoder = dat.Decoder()
        data = golden(name)
        assert [e for at in range(0, len(data), step) for e in decoder.feed(data[at : at + step])] == events
        decoder.close()


def test_log(codec):
    data = golden("log.changes")
    digest, start = bytes(16), 0
    intervals = 0
    while (found := codec.find_interval(data, UUID, start)).end >= 0:
        digest = blake2b(digest + data[start : found.check], digest_size=16).digest()
        assert data[found.end - 16 : found.end] == digest
        start = found.end
        intervals += 1
    assert (found.start, intervals) == (start, 3)
    columns = codec.decode_changes(data, codec.scan_frames(data))
    assert columns.to_objects() == make.changes(codec)


def test_log_through_changes(codec, tmp_path):
    assert list(changes.open(make.HERE / "log.changes")) == make.changes(codec)
    data, ends = make.frames(codec)
    for step in (1, 4, len(ends)):
        directory = tmp_path / "one" / "two" / str(step)
        writer = changes.Writer(directory, UUID, changes.Position(), interval_bytes=make.INTERVAL)
        edges = array("Q", [0, *ends])
        for row in range(0, len(ends), step):
            last = min(row + step, len(ends))
            writer.append(data[edges[row] : edges[last]], last - row)
        writer.close()
        (path,) = directory.iterdir()
        assert path.name == "0000000001.changes"
        assert path.read_bytes() == golden("log.changes")
