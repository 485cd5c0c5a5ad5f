"""``scoutcore demo``: what the README's first command ends in."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest

import scoutcore

pytest.importorskip("rich")

from scoutcore import demo
from scoutcore.errors import ExistsError

NOW = 1_772_366_400_000_000


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The directory in which the demo ran as a program, with a cable for a screen, and what it printed."""
    directory = tmp_path_factory.mktemp("demo")
    env = {**os.environ, "COLUMNS": "80"}
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "scoutcore", "demo"], cwd=directory, env=env, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    assert time.monotonic() - begin < 60, "it ends by itself within seconds, even on a machine that is busy"
    return directory, done.stdout.decode()


def test_the_mesh_has_reboots_and_readings_heard_twice() -> None:
    lines = [json.loads(line) for line in demo.mesh(NOW, Random(1), hours=4)]
    assert [line["t"] for line in lines] == sorted(line["t"] for line in lines)
    assert lines[0]["t"] > NOW // 1000 - 4 * 3_600_000
    assert lines[-1]["t"] < NOW // 1000 + 3_000
    assert {line["scout"] for line in lines} == set(demo.SCOUTS)
    assert {line["report"] for line in lines} == set(demo.REPORTS)
    boots = {scout: {line["b"] for line in lines if line["scout"] == scout} for scout in demo.SCOUTS}
    assert (len(boots[1]), len(boots[2]), len(boots[4])) == (1, 3, 2)
    heard = Counter((line["scout"], line["report"], line["b"], line["ms"]) for line in lines)
    assert set(heard.values()) == {1, 2}
    assert lines == [json.loads(line) for line in demo.mesh(NOW, Random(1), hours=4)]


def test_a_plot_shows_means_and_gaps() -> None:
    lines = demo.plot([(0, 1.0), (1, 3.0), (20, 5.0), (99, 7.0), (100, 9.0)], width=11, height=2)
    assert lines == ["   9.0          ▄█", "   2.0 ▁ ▇      ██"]
    assert demo.plot([(5, 2.0)], width=3, height=1) == ["   2.0 ▁  "]


def test_it_shows_what_scoutcore_is(shown: tuple[Path, str]) -> None:
    directory, text = shown
    assert max(map(len, text.splitlines())) <= 100
    with scoutcore.open(directory / "demo.scout") as db:
        (troop,) = db.troops
        assert troop.name == "greenhouse"
        assert troop.uid in text
        assert db.stats().troops[0].receptions > db.stats().troops[0].points > 50_000
        key = text.split("key  ")[1].split()[0]
        assert db.troops.by_key(key).id == 1
        assert text.count(key) == 1
        for stored in directory.rglob("*"):
            assert not stored.is_file() or key.encode() not in stored.read_bytes()
        log = db.stats().logs[0]
        assert log.packed == log.head
        assert f"changes/{log.log[:8]}…/0000000001.changes" in text
        assert f"{db.last(1, 3, 'temp').data['c']:.1f}" in text  # type: ignore[union-attr]
        names = {scout.name for scout in db.scouts.list(1)}
    assert all(name in text for name in names)
    assert text.count("temp of the door, boot 1") == 2
    assert "Off for 96 minutes" in text
    assert "█" in text


def test_the_next_commands_run_as_they_stand(shown: tuple[Path, str], tmp_path: Path) -> None:
    directory, text = shown
    program = tmp_path / "scoutcore"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m scoutcore "$@"\n')
    program.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    commands = [line.strip() for line in text.split("to play with")[1].splitlines()[1:] if line.strip()]
    assert commands == demo.next_commands(Path("demo.scout"))
    for command in commands:
        done = subprocess.run(["bash", "-c", command], cwd=directory, env=env, capture_output=True)
        assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
        assert done.stdout
        assert done.stderr == b""


def test_it_replaces_only_what_it_made(tmp_path: Path, shown: tuple[Path, str]) -> None:
    directory, _ = shown
    with pytest.raises(ExistsError, match="--force"):
        demo.run(directory / "demo.scout")

    mine = tmp_path / "mine.scout"
    with scoutcore.open(mine) as db:
        db.troops.create(name="mine")
        with pytest.raises(ExistsError, match=f"process {os.getpid()}"):
            demo.run(mine, force=True)
    with pytest.raises(ExistsError, match="more than the demo's troop"):
        demo.run(mine, force=True)
    letter = tmp_path / "letter.txt"
    letter.write_text("hello")
    for path in (letter, tmp_path):
        with pytest.raises(ExistsError, match="no scoutcore database"):
            demo.run(path, force=True)
    assert letter.read_text() == "hello"
    with scoutcore.open(mine) as db:
        assert len(db.troops) == 1


def test_force_makes_it_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "HOURS", 4)
    monkeypatch.setattr(demo.mesh, "__defaults__", (4,))
    path = tmp_path / "a name's.scout"
    demo.run(path)
    demo.run(path, force=True)
    assert f"scoutcore stats {shlex.quote(str(path))}" in capsys.readouterr().out


def test_a_demo_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_show_last", interrupted)
    monkeypatch.setattr(demo.mesh, "__defaults__", (4,))
    with pytest.raises(KeyboardInterrupt):
        demo.run(tmp_path / "demo.scout")
    assert not list(tmp_path.iterdir())
