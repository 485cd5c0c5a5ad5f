"""A real mesh's reports, in by the command line and out again, against counts taken straight from the input."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from bisect import bisect_left
from collections import defaultdict
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import scoutcore

DATA = Path(__file__).parents[2] / "shared" / "data"
ARCHIVE = DATA / "library1data.tgz"
REPORTS = 178_212

pytestmark = pytest.mark.skipif(
    not ARCHIVE.exists(), reason="the Library 1 data is not here: it lies in shared/data, beside the repository"
)

Reading = tuple[int, int, int, str]
"""t in ms, boot, ms, data as JSON text."""


class Input(NamedTuple):
    """The reports as a file, and what plain dicts and lists make of them."""

    file: Path
    heard: dict[tuple[int, str], list[Reading]]
    """Per (scout, report), everything in order of arrival."""
    kept: dict[tuple[int, str], list[Reading]]
    """Per (scout, report), each (boot, ms) once: the reception with the smallest t, then the first; in time order."""


@pytest.fixture(scope="module")
def library1(tmp_path_factory: pytest.TempPathFactory) -> Input:
    """The reports as NDJSON, and an independent count of them."""
    file = tmp_path_factory.mktemp("library1") / "library1.ndjson"
    with file.open("wb") as out:
        subprocess.run([sys.executable, DATA / "library1_to_ndjson.py", ARCHIVE], stdout=out, check=True)
    heard: dict[tuple[int, str], list[Reading]] = defaultdict(list)
    for line in file.read_text().splitlines():
        report = json.loads(line)
        text = line.split('"data":')[1].split(',"t":')[0]
        heard[report["scout"], report["report"]].append((report["t"], report["b"], report["ms"], text))
    kept = {}
    for series, readings in heard.items():
        first: dict[tuple[int, int], Reading] = {}
        for reading in sorted(readings, key=lambda one: one[0]):  # stable: of equal times the first to arrive
            first.setdefault(reading[1:3], reading)
        kept[series] = list(first.values())
    return Input(file, dict(heard), kept)


@pytest.fixture(scope="module")
def db(library1: Input, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database that ``scoutcore ingest`` makes of them."""
    path = tmp_path_factory.mktemp("db") / "library1.scout"
    (summary,) = run("ingest", path, library1.file, "--create-troops")
    assert (summary["accepted"], summary["rejected"]) == (REPORTS, 0)
    return path


def run(*words: object) -> list[Any]:
    """What a command prints, as JSON lines."""
    program = [sys.executable, "-m", "scoutcore", *map(str, words)]
    done = subprocess.run(program, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def as_reading(point: scoutcore.Point) -> Reading:
    assert point.boot is not None
    assert point.ms is not None
    assert point.t % 1000 == 0
    return point.t // 1000, point.boot, point.ms, point.raw.decode()


def test_the_input_is_the_one_that_is_meant(library1: Input) -> None:
    assert sum(map(len, library1.heard.values())) == REPORTS
    assert sum(map(len, library1.kept.values())) < REPORTS, "some readings came twice"


def test_counts_per_series(library1: Input, db: Path) -> None:
    with scoutcore.open(db) as opened:
        counted = {(scout, report): (points, arrived) for _, scout, report, points, arrived in opened.counts()}
    assert counted == {series: (len(library1.kept[series]), len(heard)) for series, heard in library1.heard.items()}
    (stats,) = run("stats", db)
    assert stats["troops"][0]["points"] == sum(map(len, library1.kept.values()))
    assert stats["troops"][0]["receptions"] == REPORTS
    assert stats["troops"][0]["scouts"] == len({scout for scout, _ in library1.heard})


def test_every_reading_is_there_once_and_in_time_order(library1: Input, db: Path) -> None:
    found = defaultdict(list)
    for point in run("history", db):
        found[point["scout"], point["report"]].append((point["t"], point["b"], point["ms"], point["data"]))
    expected = {
        series: sorted(((t, boot, ms, json.loads(text)) for t, boot, ms, text in kept), key=lambda one: one[0])
        for series, kept in library1.kept.items()
    }
    assert found.keys() == expected.keys()
    for series, readings in found.items():
        assert [one[0] for one in readings] == sorted(one[0] for one in readings)
        assert sorted(readings, key=lambda one: one[:3]) == sorted(expected[series], key=lambda one: one[:3])


def test_data_is_kept_to_the_letter_and_ranges_agree(library1: Input, db: Path) -> None:
    with scoutcore.open(db) as opened:
        for (scout, report), kept in library1.kept.items():
            readings = list(map(as_reading, opened.history(1, scout, report)))
            assert sorted(readings) == sorted(kept)
            assert list(map(as_reading, opened.history(1, scout, report, reverse=True))) == readings[::-1]
            times = [one[0] for one in readings]
            start, end = times[len(times) // 3] + 1, times[len(times) // 2]
            part = opened.history(1, scout, report, start=start * 1000, end=end * 1000)
            assert list(map(as_reading, part)) == readings[bisect_left(times, start) : bisect_left(times, end)]


def test_last_values(library1: Input, db: Path) -> None:
    found = {(one["scout"], one["report"]): one for one in run("last", db, 1)}
    assert found.keys() == library1.heard.keys()
    for series, heard in library1.heard.items():
        # Of what has the greatest t, what arrived last; shown as history shows that reading.
        newest = max(one[0] for one in heard)
        _, boot, ms, _ = [one for one in heard if one[0] == newest][-1]
        t, _, _, text = next(one for one in library1.kept[series] if one[1:3] == (boot, ms))
        point = found[series]
        assert (point["t"], point["b"], point["ms"], point["data"]) == (t, boot, ms, json.loads(text))


def test_every_reception_of_what_came_twice_is_listed(library1: Input, db: Path) -> None:
    twice = 0
    with scoutcore.open(db) as opened:
        for (scout, report), heard in library1.heard.items():
            receptions: dict[tuple[int, int], list[tuple[int, str]]] = defaultdict(list)
            for t, boot, ms, text in heard:
                receptions[boot, ms].append((t, text))
            for (boot, ms), expected in receptions.items():
                if len(expected) > 1:
                    listed = opened.receptions(1, scout, report, boot=boot, ms=ms)
                    assert [(one.t // 1000, one.raw.decode()) for one in listed] == sorted(
                        expected, key=lambda one: one[0]
                    )
                    twice += 1
    assert twice > 100


def test_what_comes_again_changes_nothing_but_the_receptions(library1: Input, db: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.scout"
    program = [sys.executable, "-m", "scoutcore", "history", str(db)]
    with (tmp_path / "exported.ndjson").open("wb") as out:
        subprocess.run(program, stdout=out, check=True)
    run("ingest", again, tmp_path / "exported.ndjson", "--create-troops")
    before = _dump(again)
    assert before == _dump(db), "the export says all"
    run("ingest", again, library1.file)
    assert _dump(again) == before


def _dump(path: Path) -> str:
    program = [sys.executable, "-m", "scoutcore", "dump", str(path)]
    return hashlib.sha256(subprocess.run(program, capture_output=True, check=True).stdout).hexdigest()


def test_packed_changes_hold_all_of_it(library1: Input, db: Path) -> None:
    run("pack", db)  # what is not packed yet
    (stats,) = run("stats", db)
    changes = run("log", "cat", db / "changes", "--json")
    assert len(changes) == stats["logs"][0]["packed"] == stats["logs"][0]["head"] > 1000
    arrived = defaultdict(list)
    for change in changes:
        if change["subset"] == "sensor":
            _, scout, report = change["key"].split("/", 2)
            arrived[int(scout), report] += [(one["t"], one["b"], one["ms"]) for one in change["points"]]
    assert {series: sorted(points) for series, points in arrived.items()} == {
        series: sorted(one[:3] for one in heard) for series, heard in library1.heard.items()
    }


@pytest.mark.skipif(scoutcore.backend == "python", reason="compares the C module with plain Python")
def test_both_backends_give_the_same_dump(library1: Input, db: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.scout"
    with scoutcore.open(db) as opened:
        (uid,) = (troop.uid for troop in opened.troops)
    env = {**os.environ, "SCOUTCORE_BACKEND": "python"}
    for words in (["troops", "create", other, "--uid", uid], ["ingest", other, library1.file]):
        subprocess.run([sys.executable, "-m", "scoutcore", *map(str, words)], env=env, check=True, capture_output=True)
    assert _dump(other) == _dump(db)


# --- two gateways -----------------------------------------------------------------------------------------------------

SHARE = 36_000
"""Reports that two gateways hear a part of. All of them, with links, are 673,865 reports of 670,724 readings."""
LATE_MS = 4_321
"""How far the second gateway's clock is ahead."""


class Heard(NamedTuple):
    """What two gateways heard of the same mesh."""

    lines: tuple[list[bytes], list[bytes]]
    """What each ingests."""
    times: dict[tuple[int, str, int, int], list[tuple[int, int]]]
    """Per reading (scout, report, boot, ms): the gateways that heard it, and when by their clocks."""


@pytest.fixture(scope="module")
def heard(library1: Input) -> Heard:
    """Each gateway loses a random third of the packets, and stamps what it hears with a clock of its own."""
    choose = random.Random(1)
    lines: tuple[list[bytes], list[bytes]] = ([], [])
    times = defaultdict(list)
    lost: dict[tuple[int, ...], list[bool]] = {}
    with library1.file.open("rb") as file:
        for line in islice(file, SHARE):
            report = json.loads(line)
            packet = (report["scout"], report["b"], report["ms"], report["t"])
            lost.setdefault(packet, [choose.random() < 1 / 3, choose.random() < 1 / 3])
            for gateway in (0, 1):
                if not lost[packet][gateway]:
                    t = report["t"] + gateway * LATE_MS
                    lines[gateway].append(line.replace(b'"t":%d' % report["t"], b'"t":%d' % t))
                    times[report["scout"], report["report"], report["b"], report["ms"]].append((gateway, t))
    assert all(0.6 * SHARE < len(one) < 0.73 * SHARE for one in lines)
    return Heard(lines, dict(times))


def test_two_gateways_hold_the_union_once(heard: Heard, tmp_path: Path) -> None:
    key = "the key that the boards of the library were given"
    with scoutcore.open(tmp_path / "one.scout") as one, scoutcore.open(tmp_path / "two.scout") as two:
        for gateway, lines in zip((one, two), heard.lines, strict=True):
            gateway.troops.create(key=key)
            assert gateway.ingest(b"".join(lines)).accepted == len(lines)
        with one.serve("tcp://127.0.0.1:0") as server:
            two.sync(server.addresses[0]).wait(120)
        assert list(one.dump()) == list(two.dump())
        logs = [one.id, two.id]
        for gateway in (one, two):
            found = {}
            for scout, report in {reading[:2] for reading in heard.times}:
                for point in gateway.history(1, scout, report):
                    reading = (scout, report, point.boot, point.ms)
                    assert reading not in found, "it is there twice"
                    found[reading] = point.t // 1000
            assert found == {reading: min(t for _, t in times) for reading, times in heard.times.items()}
        several = [reading for reading, times in heard.times.items() if {one for one, _ in times} == {0, 1}]
        assert len(several) > SHARE / 3
        for scout, report, boot, ms in several[::50]:
            listed = two.receptions(1, scout, report, boot=boot, ms=ms)
            expected = sorted(heard.times[scout, report, boot, ms], key=lambda one: one[1])
            assert [(one.log, one.t // 1000) for one in listed] == [(logs[gateway], t) for gateway, t in expected]
