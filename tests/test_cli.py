"""The command line, as people and scripts meet it."""

from __future__ import annotations

import inspect
import io
import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
import trustme

import scoutcore

click = pytest.importorskip("click")
pytest.importorskip("rich")

from scoutcore.cli import app, arguments  # noqa: E402
from tests.waiting import killed_at_the_end  # noqa: E402

ROOT = Path(__file__).parents[1]
DOCS = (ROOT / "docs" / "cli.md").read_text()
KEY = "0123456789abcdef0123456789abcdef"


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """Standard output, read as JSON lines."""
        return [json.loads(line) for line in self.out.split("\n") if line]


def call(*words: object, stdin: bytes = b"") -> Result:
    """Run a command in this process, with pipes for its streams."""
    before = sys.stdin, sys.stdout, sys.stderr
    streams = io.TextIOWrapper(io.BytesIO(stdin)), io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
    sys.stdin, sys.stdout, sys.stderr = streams
    try:
        app.program.main([str(word) for word in words], "scoutcore")
    except SystemExit as problem:
        found = int(problem.code or 0)
    else:
        found = 0
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
    for stream in streams[1:]:
        stream.flush()
    out, err = (stream.buffer.getvalue().decode(errors="replace") for stream in streams[1:])  # type: ignore[attr-defined]
    return Result(found, out, err)


def cli(*words: object, stdin: bytes = b"", code: int = 0) -> Result:
    """Run a command that ends with *code*."""
    result = call(*words, stdin=stdin)
    assert result.code == code, result.out + result.err
    return result


def command(*words: object) -> list[str]:
    """A command for a process of its own."""
    return [sys.executable, "-m", "scoutcore", *map(str, words)]


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """A database with a troop, two scouts and four readings, two of them with a clock."""
    path = tmp_path / "mesh.scout"
    with scoutcore.open(path) as opened:
        opened.troops.create(name="greenhouse")
        opened.scouts.update(1, 7, name="door")
        for minute in range(3):
            opened.report(1, 7, "temp", {"c": 20 + minute}, t=minute * 60_000_000, boot=1, ms=minute * 60_000)
        opened.report(1, 8, "light", 5, t=1_500)
    return path


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A directory, and an environment in which ``scoutcore`` is the one under test."""
    directory = tmp_path_factory.mktemp("shell")
    program = directory / "bin" / "scoutcore"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m scoutcore "$@"\n')
    program.chmod(0o755)
    return directory, {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}


def run_shell(text: str, shell: tuple[Path, dict[str, str]]) -> tuple[int, str]:
    """Exit code and output of a line of shell; a plain command runs in this process, which is quicker."""
    directory, env = shell
    if text.startswith("scoutcore ") and not re.search(r"[|<>;&]", text):
        before = Path.cwd()
        os.chdir(directory)
        try:
            result = call(*shlex.split(text)[1:])
        finally:
            os.chdir(before)
        return result.code, result.err + result.out
    script = ["bash", "-o", "pipefail", "-c", text]
    done = subprocess.run(script, cwd=directory, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout.decode(errors="replace")


# --- help and docs ----------------------------------------------------------------------------------------------------


def all_commands() -> Iterator[tuple[str, click.Command]]:
    def walk(name: str, group: click.Group) -> Iterator[tuple[str, click.Command]]:
        context = click.Context(group)
        for word in group.list_commands(context):
            one = group.get_command(context, word)
            assert one is not None
            yield f"{name} {word}", one
            if isinstance(one, click.Group):
                yield from walk(f"{name} {word}", one)

    yield from walk("scoutcore", app.program)


COMMANDS = dict(all_commands())


def examples(of: click.Command) -> list[str]:
    _, _, text = inspect.cleandoc(of.help or "").partition("\b\nExamples:\n")
    return [line.strip() for line in text.split("\n\n")[0].splitlines() if line.strip()]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_examples_and_docs(name: str) -> None:
    described = COMMANDS[name]
    first, *_ = inspect.cleandoc(described.help or "").split("\n\n")
    assert 10 < len(first) <= 64, "the first paragraph fits on a line of the list of commands"
    assert first.endswith(".")
    assert any(example.find(name) >= 0 for example in examples(described))
    section = re.search(rf"^## `{' '.join(name.split()[:2])}`\n(.*?)(?=^## |\Z)", DOCS, re.MULTILINE | re.DOTALL)
    assert section, f"docs/cli.md has no section on {name}"
    if not isinstance(described, click.Group):
        *_, word = name.split()
        assert re.search(rf"`(scoutcore )?({name.split()[1]} )?{word} [^`]*`", section[1])
    for parameter in described.params:
        if isinstance(parameter, click.Option):
            assert parameter.help
            for option in parameter.opts + parameter.secondary_opts:
                assert f"`{option}" in section[1] or f"[{option}" in section[1] or f" {option} " in section[1]


@pytest.mark.parametrize("name", ["scoutcore", *COMMANDS])
def test_help_is_shown(name: str) -> None:
    shown = cli(*name.split()[1:], "--help").out
    assert "Examples:\n" in shown
    assert "noqa" not in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_examples_of_help_run_as_they_stand(db: Path, shell: tuple[Path, dict[str, str]]) -> None:
    directory, _ = shell
    db.rename(directory / "gateway.scout")
    (directory / "key.txt").write_text(KEY)
    (directory / "reports.ndjson").write_text('{"troop":1,"scout":7,"report":"temp","data":{"c":21.5}}\n')
    # Those that hide something come last; those of the demo run in its own test.
    for name in sorted(COMMANDS, key=lambda name: ("delete" in name, "revoke" in name)):
        for example in examples(COMMANDS[name]) if name not in ("scoutcore demo", *REPLICATION) else ():
            code, output = run_shell(example.replace("tail -f", "tail").replace(" --follow", ""), shell)
            assert code == 0, f"{example}: {output}"


REPLICATION = ("scoutcore sync", "scoutcore serve", "scoutcore watch")


def test_examples_of_replication_run(db: Path, shell: tuple[Path, dict[str, str]]) -> None:
    """Those that would go on are interrupted; another database is served where they look for one."""
    directory, _ = shell
    if not (directory / "gateway.scout").exists():
        db.rename(directory / "gateway.scout")
    (directory / "reports.ndjson").write_bytes(line())
    (directory / "s").write_text("sixteen characters or more")
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(directory / "cert.pem"))
    with scoutcore.open(directory / "served.scout") as served, served.serve("tcp://127.0.0.1:0") as server:
        for name in REPLICATION:
            for example in examples(COMMANDS[name]):
                where = "//127.0.0.1:0" if name == "scoutcore serve" else server.addresses[0].partition(":")[2]
                text = example.replace("//127.0.0.1:4747", where).replace("//0.0.0.0:4747", "//0.0.0.0:0")
                text = text.replace("ssh gateway ", "").replace("radio ", "cat reports.ndjson ").replace("jq ", "grep ")
                goes_on = name != "scoutcore sync" or "--live" in text
                if goes_on:
                    text = text.replace(name, f"timeout -s INT 2 {name}", 1)
                code, output = run_shell(f"{text}; exit ${{PIPESTATUS[-1]}}", shell)
                assert code in ((124, 0, 1) if "| grep" in text else (124,) if goes_on else (0,)), f"{text}: {output}"
                assert "Error" not in output


def documented() -> list[tuple[str, str]]:
    blocks = re.findall(r"^```console\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)
    return re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", "".join(blocks), re.MULTILINE)


def test_docs_run_as_they_stand(tmp_path: Path, shell: tuple[Path, dict[str, str]]) -> None:
    steps = documented()
    assert len(steps) > 20
    for text, expected in steps:
        code, output = run_shell(text, (tmp_path, shell[1]))
        pattern = ".*".join(map(re.escape, expected.split("…")))
        assert re.fullmatch(pattern, output), f"{text}: {output}"
        assert code == (1 if expected.startswith("Error") else 3 if '"rejected":1' in expected else 0)


def test_what_is_missing_is_named() -> None:
    code = "import sys; sys.modules['rich'] = None; from scoutcore.cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install 'scoutcore[cli]'" in done.stderr


def test_version() -> None:
    assert scoutcore.backend in cli("--version").out


# --- ingest -----------------------------------------------------------------------------------------------------------


def line(**members: object) -> bytes:
    return json.dumps({"troop": 1, "scout": 7, "report": "temp", "data": 1, **members}).encode() + b"\n"


def test_ingest_counts(db: Path, tmp_path: Path) -> None:
    reports = tmp_path / "reports.ndjson"
    reports.write_bytes(line(t=1) + line(t=2))
    (summary,) = cli("ingest", db, reports).lines
    assert (summary["accepted"], summary["rejected"]) == (2, 0)
    assert "2 reports stored" in cli("ingest", db, reports, "--table").out


def test_ingest_describes_what_it_rejects_and_stores_the_rest(db: Path) -> None:
    good, bad = line(t=99_000_000), line(scout=-1)
    result = cli("ingest", db, "-", stdin=good + bad * 12 + b"{\n" + good, code=3)
    assert (result.lines[0]["accepted"], result.lines[0]["rejected"]) == (2, 13)
    described = result.err.splitlines()
    assert described[0].startswith("line 2: scout")
    assert [one.split(":")[0] for one in described[:10]] == [f"line {number}" for number in range(2, 12)]
    assert described[10:] == ["… and 3 more"]
    assert len(cli("history", db, 1, 7, "temp", "--start", 99_000_000).lines) == 2


def test_strict_is_all_or_nothing(db: Path) -> None:
    before = cli("dump", db).out
    result = cli("ingest", db, "-", "--strict", stdin=line() + line(scout=-1), code=3)
    assert "line 2: scout" in result.err
    assert "nothing was ingested" in result.err
    assert cli("dump", db).out == before
    cli("ingest", db, "-", "--strict", "--durability", "power", stdin=line())


def test_unknown_troops_are_rejected_or_created(tmp_path: Path) -> None:
    path = tmp_path / "new.scout"
    assert "no database" in cli("ingest", path, "-", stdin=line(), code=1).err
    assert not path.exists()

    uid = "AAAAAAAAAAAAAAAA"
    reports = line(troop=3) * 2 + line(troop=None, uid=uid) + line(troop=None, key=KEY)
    result = cli("ingest", path, "-", "--create-troops", stdin=reports)
    assert result.lines[0]["accepted"] == 4
    assert KEY not in result.err
    shown = re.findall(r"Key ([0-9a-f]{32})", result.err)
    assert len(shown) == 1, "the key that was made is shown, once"
    troops = {troop["uid"]: troop["troop"] for troop in cli("troops", path).lines}
    with scoutcore.open(path) as opened:
        assert opened.troops.by_key(shown[0]).id == 3
        assert opened.troops.by_key(KEY).uid in troops
    assert uid in troops
    assert "unknown troop" in cli("ingest", path, "-", stdin=line(troop=77), code=3).err


def test_history_is_ingested_again_without_loss(tmp_path: Path) -> None:
    one, two = tmp_path / "one.scout", tmp_path / "two.scout"
    raws = [
        b'{"a": [1.10, 1E5, 123456789012345678901234567890, "\\u00e9\xc3\xa9/\\n"], "b":null}',
        b"[1,\n 2]",
        b'"\x7f"',
    ]
    with scoutcore.open(one) as opened:
        for name in ("a", "b"):
            opened.troops.create(name=name)
        for number, t in enumerate((0, 1, -1, 1163438041250123, -(2**63), 2**63 - 1, 10**18 + 7, 1000)):
            raw = scoutcore.model.msgspec.Raw(raws[number % 3])
            clock = {"boot": 2**64 - 1 - number, "ms": number} if number % 2 else {}
            opened.report(1 + number % 2, 2**32 - 1 - number, 'odd/\u00e9 \u2028"\\', raw, t=t, **clock)
    exported = cli("history", one)
    result = cli("ingest", two, "-", "--create-troops", stdin=exported.out.encode())
    assert "Key" not in result.err, "troops that are known by their uid need no key"

    def points(path: Path) -> list[Any]:
        return [item for item in cli("dump", path).lines if "fields" not in item]

    expected = points(one)
    for item in expected:
        for point in (item[name] for name in ("point", "last") if name in item):
            point["data"] = point["data"].replace("\n", " ")
    assert points(two) == expected
    assert [line.split('"uid"')[1] for line in cli("history", two).out.split("\n")[:-1]] == [
        line.split('"uid"')[1] for line in exported.out.split("\n")[:-1]
    ]


def test_ctrl_c_says_exactly_what_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "mesh.scout"
    cli("troops", "create", path)
    process = subprocess.Popen(
        command("ingest", path, "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin
    # Each has another text, so that no codec makes the log short.
    process.stdin.write(b"".join(line(t=number, data=Random(number).randbytes(9).hex()) for number in range(1000)))
    process.stdin.flush()
    end = time.monotonic() + 20
    while not _log_bytes(path) > 4000 and time.monotonic() < end:
        time.sleep(0.02)
    time.sleep(0.3)  # the rest of what the pipe held, and back to waiting
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert out == b""
    said = re.fullmatch(rb"Interrupted: ([\d,]+) reports are stored, none of those after them.\n", err)
    assert said
    assert int(said[1].replace(b",", b"")) == len(cli("history", path).lines) > 0


def _log_bytes(path: Path) -> int:
    try:
        return sum(log.stat().st_size for log in path.glob("db/*.log"))
    except FileNotFoundError:  # LevelDB has just replaced one
        return 0


def test_ctrl_c_in_the_middle_of_a_file(tmp_path: Path) -> None:
    path, reports = tmp_path / "mesh.scout", tmp_path / "reports.ndjson"
    with reports.open("wb") as file:
        for scout in range(100):
            file.write(b"".join(line(scout=scout, t=number) for number in range(4000)))
    process = subprocess.Popen(command("ingest", path, reports, "--create-troops"), stderr=subprocess.PIPE)
    end = time.monotonic() + 20
    while not _log_bytes(path) > 4000 and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    said = re.search(rb"Interrupted: ([\d,]+) reports are stored", err)
    assert said
    with scoutcore.open(path) as opened:
        assert sum(points for *_, points, _ in opened.counts()) == int(said[1].replace(b",", b""))


# --- reading ----------------------------------------------------------------------------------------------------------


def test_last_of_a_report_a_scout_a_troop_and_all(db: Path) -> None:
    (point,) = cli("last", db, 1, 7, "temp").lines
    assert point == {
        **point,
        "troop": 1,
        "scout": 7,
        "report": "temp",
        "data": {"c": 22},
        "t": 120_000,
        "b": 1,
        "ms": 120_000,
    }
    assert [one["report"] for one in cli("last", db, 1, 7).lines] == ["temp"]
    assert [one["report"] for one in cli("last", db, 1).lines] == ["temp", "light"]
    assert cli("last", db).lines == cli("last", db, 1).lines
    assert cli("last", db, 1, 8).lines[0]["t"] == 1.5


@pytest.mark.parametrize("name", ["last", "history", "snapshot"])
def test_what_is_not_there_is_named(db: Path, name: str) -> None:
    assert "no troop 5" in cli(name, db, 5, code=1).err
    if name != "snapshot":
        assert "no scout 9" in cli(name, db, 1, 9, code=1).err
        assert "report 'nope'" in cli(name, db, 1, 7, "nope", code=1).err
    cli("troops", "delete", db, 1)
    assert cli(name, db, 1, code=1).err == "Error: troop 1 is deleted\n"
    assert cli(name, db).out == ""


def test_history_ranges(db: Path) -> None:
    def times(*options: object) -> list[float]:
        return [point["t"] for point in cli("history", db, 1, 7, "temp", *options).lines]

    assert times() == [0, 60_000, 120_000]
    assert times("--reverse", "--limit", 2) == [120_000, 60_000]
    assert times("--start", 60_000) == [60_000, 120_000]
    assert times("--start", "0.001", "--end", 120_000) == [60_000]
    assert times("--start", "1970-01-01T00:01Z", "--end", "1970-01-01T01:02:00+01:00") == [60_000]
    assert times("--end", "1970-01-01T00:01:00.000001+00:00") == [0, 60_000]
    assert times("--start", "-1h") == []
    assert times("--end", "+1h") == [0, 60_000, 120_000]
    assert [point["scout"] for point in cli("history", db, 1, "--limit", 1).lines] == [7, 8]


@pytest.mark.parametrize("text", ["yesterday", "2026-03-01T12:00", "1.0001", "-1y", "", "99999999999999999999"])
def test_times_that_are_none(db: Path, text: str) -> None:
    assert "Invalid value for '--start'" in cli("history", db, "--start", text, code=2).err


def test_relative_times() -> None:
    now = time.time_ns() // 1000
    assert abs(arguments.moment("-90m") - (now - 5_400_000_000)) < 60_000_000
    assert abs(arguments.moment("+2w") - (now + 1_209_600_000_000)) < 60_000_000


def test_snapshot(db: Path) -> None:
    (mesh,) = cli("snapshot", db).lines
    assert mesh["fields"] == {"name": "greenhouse"}
    assert mesh["scouts"] == {
        "7": {
            "fields": {"name": "door"},
            "reports": {"temp": {"data": {"c": 22}, "t": 120_000, "b": 1, "ms": 120_000}},
        },
        "8": {"fields": {}, "reports": {"light": {"data": 5, "t": 1.5}}},
    }
    assert cli("snapshot", db, 1).lines == [mesh]
    table = cli("snapshot", db, "--table").out
    assert "door" in table
    assert '{"c":22}' in table


def test_tables(db: Path) -> None:
    table = cli("history", db, 1, 7, "temp", "--table").out.splitlines()
    assert table[0].split() == ["time", "(UTC)", "boot", "ms", "data"]
    assert table[3].split() == ["1970-01-01", "00:01:00.000", "1", "60000", '{"c":21}']
    assert cli("last", db, 1, "--table").out.split()[:5] == ["scout", "report", "time", "(UTC)", "data"]
    assert "greenhouse" in cli("troops", db, "--table").out
    assert "door" in cli("scouts", db, 1, "--table").out


def test_a_table_ends_after_a_thousand_rows(db: Path) -> None:
    cli("ingest", db, "-", stdin=b"".join(line(report="many", t=t) for t in range(1001)))
    result = cli("history", db, 1, 7, "many", "--table")
    assert len(result.out.splitlines()) == 1002
    assert "first 1,000" in result.err


def test_times_beyond_the_calendar_are_shown(db: Path) -> None:
    cli("ingest", db, "-", stdin=line(report="far", t=2**62 // 1000))
    assert f"{2**62 // 1000} ms" in cli("last", db, 1, 7, "far", "--table").out


def test_what_is_stored_cannot_move_the_cursor(db: Path) -> None:
    evil = "\x1b[2Jgone\u009b2J\u202e"
    cli("troops", "update", db, 1, f"name={evil}")
    cli(
        "ingest",
        db,
        "-",
        stdin=json.dumps({"troop": 1, "scout": 7, "report": "\u009bx", "data": evil}, ensure_ascii=False)
        .encode()
        .replace(b"\x1b", b""),
    )
    for shown in (cli("troops", db, "--table"), cli("snapshot", db, "--table"), cli("last", db, "--table")):
        assert not set("\x1b\u009b\u202e") & set(shown.out)
    assert "\\x1b[2J" in cli("troops", db, "--table").out
    assert cli("troops", db).lines[0]["fields"]["name"] == evil


# --- metadata ---------------------------------------------------------------------------------------------------------


def test_troops_from_creation_to_deletion_and_back(tmp_path: Path) -> None:
    path = tmp_path / "new.scout"
    (made,) = cli("troops", "create", path, "name=attic", "floor=2", 'tag="7"', 'place={"lat":50.8}').lines
    assert made["fields"] == {"name": "attic", "floor": 2, "tag": "7", "place": {"lat": 50.8}}
    assert re.fullmatch(r"[0-9a-f]{32}", made["key"])
    assert cli("troops", path).lines == [{name: made[name] for name in ("troop", "uid", "fields")}]
    (updated,) = cli("troops", "update", path, 1, "floor=3", "--unset", "tag", "--unset", "place").lines
    assert updated["fields"] == {"name": "attic", "floor": 3}
    cli("troops", "delete", path, 1)
    assert cli("troops", path).out == ""
    assert "brings it back" in cli("troops", "delete", path, 1).err
    assert cli("troops", "update", path, 1).lines == [updated]
    assert cli("troops", "create", path, "--id", 40).lines[0]["troop"] == 40
    assert "never reused" in cli("troops", "create", path, "--id", 40, code=1).err
    assert cli("troops", "create", path, "--uid", "AAAAAAAAAAAAAAAA").lines[0] == {
        "troop": 2,
        "uid": "A" * 16,
        "fields": {},
    }
    text = cli("troops", "create", path, "--table").out
    assert "shown only now" in text
    assert "Key " in text
    assert "NAME=VALUE" in cli("troops", "update", path, 1, "floor", code=2).err
    assert "cannot be the name" in cli("troops", "update", path, 1, "key=x", code=1).err
    assert "no troop 9" in cli("troops", "update", path, 9, "a=1", code=1).err


def test_keys_are_read_from_files_and_shown_nowhere(tmp_path: Path) -> None:
    path, file = tmp_path / "new.scout", tmp_path / "key.txt"
    file.write_text(KEY + "\n")
    other = KEY[::-1]
    results = [
        cli("troops", "create", path, "--key-file", file),
        cli("ingest", path, "-", stdin=line(troop=None, key=KEY)),
        cli("troops", "assign-key", path, 1, "--key-file", "-", stdin=other.encode()),
        cli("ingest", path, "-", stdin=line(troop=None, key=other)),
        cli("troops", "revoke-key", path, 1, "--key-file", file),
        cli("ingest", path, "-", stdin=line(troop=None, key=KEY), code=3),
        cli("troops", "create", path, "--key-file", "-", stdin=b"short", code=1),
        cli("log", "cat", path, "--json"),
        cli("dump", path),
        cli("stats", path),
    ]
    for secret in (KEY, other):
        assert not any(secret in result.out + result.err for result in results)
        for stored in path.rglob("*"):
            assert not stored.is_file() or secret.encode() not in stored.read_bytes()
    (made,) = cli("troops", "assign-key", path, 1).lines
    with scoutcore.open(path) as opened:
        assert opened.troops.by_key(made["key"]).id == 1
    assert "no such key" in cli("troops", "revoke-key", path, 1, "--key-file", "-", stdin=b"x" * 32, code=1).err
    assert "Key " in cli("troops", "assign-key", path, 1, "--table").out


def test_scouts_from_creation_to_deletion_and_back(db: Path) -> None:
    assert [one["scout"] for one in cli("scouts", db, 1).lines] == [7, 8]
    assert cli("scouts", "create", db, 1, "name=x").lines == [{"troop": 1, "scout": 1, "fields": {"name": "x"}}]
    assert cli("scouts", "create", db, 1, "--id", 40).lines[0]["scout"] == 40
    assert "has a scout 40" in cli("scouts", "create", db, 1, "--id", 40, code=1).err
    assert "name=gate" in cli("scouts", "update", db, 1, 7, "name=gate", "--table").out
    cli("scouts", "delete", db, 1, 7)
    assert [one["scout"] for one in cli("scouts", "list", db, 1).lines] == [1, 8, 40]
    cli("scouts", "update", db, 1, 7, "--unset", "name")
    assert {"troop": 1, "scout": 7, "fields": {}} in cli("scouts", db, 1).lines
    assert "no troop 9" in cli("scouts", db, 9, code=1).err


# --- storage ----------------------------------------------------------------------------------------------------------


def test_stats_and_pack(db: Path) -> None:
    (before,) = cli("stats", db).lines
    uid = before["troops"][0]["uid"]
    counts = {"scouts": 2, "series": 2, "points": 4, "receptions": 4, "ahead": 0}
    assert before["troops"] == [{"troop": 1, "uid": uid, **counts}]
    (log,) = before["logs"]
    assert (log["log"], log["own"], log["head"], log["packed"]) == (before["id"], True, 6, 0)
    assert before["db_bytes"] > 0 == before["changes_bytes"]
    (packed,) = cli("pack", db).lines
    (after,) = cli("stats", db).lines
    assert before["packer"]["unpacked_bytes"] > 0
    assert after["packer"] == {"running": True, "unpacked_bytes": 0, "problem": None, "since": None}
    assert packed["changes"] == after["logs"][0]["packed"] == 6
    assert (
        packed["changes_bytes"] == after["changes_bytes"] == sum(path.stat().st_size for path in db.rglob("*.changes"))
    )
    assert cli("pack", db, "--table").out.startswith("0 changes packed")
    assert "greenhouse" not in cli("stats", db, "--table").out
    assert before["id"] in cli("stats", db, "--table").out


def test_rules_of_retention(db: Path) -> None:
    assert "everything is kept" in cli("retention", db).err
    assert cli("expire", db, "--before", 60_000, "--report", "temp").lines == [{"expired": 1}]
    assert len(cli("history", db, 1, 7, "temp").lines) == 2
    assert cli("retention", "set", db, "--report", "light", "--keep", "30d").lines == [{"expired": 1}]
    assert cli("retention", "set", db, "--keep", "forever", "--table").err == "0 arrivals of readings expired.\n"
    every, light, temp = cli("retention", db).lines
    assert every == {"report": None, "keep_s": "forever", "before": None}
    assert (light["report"], light["keep_s"]) == ("light", 30 * 86400.0)
    assert temp == {"report": "temp", "keep_s": None, "before": 60_000}
    table = cli("retention", db, "--table").out
    assert "(every)" in table
    assert "forever" in table
    assert "30 days" in table
    assert "1970-01-01 00:01:00.000" in table
    cli("retention", "rm", db)
    assert [rule["report"] for rule in cli("retention", db).lines] == ["light", "temp"]
    assert cli("stats", db).lines[0]["troops"][0]["points"] == 2


@pytest.mark.parametrize("keep", ["", "30", "d", "0d", "-1d", "1y", "for ever"])
def test_spans_of_time_that_are_none(db: Path, keep: str) -> None:
    assert "is not a span of time such as" in cli("retention", "set", db, "--keep", keep, code=2).err


def test_log_drop(db: Path) -> None:
    cli("pack", db)
    assert cli("log", "drop", db, "--before", "+1d").lines == [{"changes": 0}], "the newest file stays"
    assert cli("log", "drop", db, "--before", "+1d", "--table").err == "0 changes dropped.\n"


def test_log_cat_gives_the_changes_as_they_stand(db: Path, tmp_path: Path) -> None:
    stream = subprocess.run(command("log", "cat", db), capture_output=True, check=True).stdout
    (file,) = db.rglob("*.changes")
    assert stream == file.read_bytes()
    lines = cli("log", "cat", db, "--json").lines
    assert [one["change"] for one in lines] == [1, 2, 3, 4, 5, 6]
    assert [one["subset"] for one in lines] == ["troop", "troop", "sensor", "sensor", "sensor", "sensor"]
    assert lines[0]["value"]["set"] == {"name": "greenhouse"}
    assert lines[2]["points"] == [{"t": 0, "b": 1, "ms": 0, "data": {"c": 20}}]
    assert lines[5]["points"] == [{"t": 1.5, "data": 5}]
    for source in (file, file.parent, file.parent.parent):
        assert cli("log", "cat", source, "--json").lines == lines
    assert cli("log", "cat", "-", "--json", stdin=stream).lines == lines


def test_log_ls_and_seek(db: Path, tmp_path: Path) -> None:
    assert "no changes files" in cli("log", "ls", db, code=1).err
    cli("pack", db)
    (file,) = db.rglob("*.changes")
    expected = {"log": file.parent.name, "file": str(file), "first": 1, "last": 6, "bytes": file.stat().st_size}
    with scoutcore.open(db):  # another process may have it open
        for source in (db, db / "changes", file.parent, file):
            assert cli("log", "ls", source).lines == [{**expected, "intervals": 0, "open_bytes": file.stat().st_size}]
            start = {"file": str(file), "offset": 0, "first": 1, "checked": False}
            assert cli("log", "seek", source, "--change", 4).lines == [start]
    assert file.parent.name in cli("log", "ls", db, "--table").out
    assert "the last is 6" in cli("log", "seek", db, "--change", 8, code=1).err
    assert "no check covers" in cli("log", "seek", db, "--offset", 1, code=1).err
    assert "either" in cli("log", "seek", db, code=2).err
    assert "either" in cli("log", "seek", db, "--offset", 1, "--change", 1, code=2).err
    other = tmp_path / "logs" / "a copy"
    other.mkdir(parents=True)
    (other / file.name).write_bytes(file.read_bytes())
    assert len(cli("log", "ls", other.parent).lines) == 1
    (other.parent / "more").mkdir()
    (other.parent / "more" / file.name).write_bytes(file.read_bytes()[:30])
    assert [one["last"] for one in cli("log", "ls", other.parent).lines] == [6, None]
    assert "has 2 logs" in cli("log", "seek", other.parent, "--change", 1, code=1).err
    (other / file.name).write_bytes(b"x" * 99)
    assert "no keyframe at byte 0" in cli("log", "ls", other, code=1).err


def test_log_cat_from_a_change_and_on(db: Path) -> None:
    cli("pack", db)
    (file,) = db.rglob("*.changes")
    lines = cli("log", "cat", db, "--json").lines
    assert cli("log", "cat", db, "--json", "--from", 4).lines == lines[3:]
    assert cli("log", "cat", "-", "--json", "--from", 4, stdin=file.read_bytes()).lines == lines[3:]
    assert cli("log", "cat", db, "--json", "--from", 7).lines == []
    assert "the last is 6" in cli("log", "cat", db, "--from", 8, code=1).err
    data = file.read_bytes()
    file.write_bytes(data[:-1])
    follower = command("log", "cat", file.parent, "--json", "--from", 4, "--follow")
    with killed_at_the_end(subprocess.Popen(follower, stdout=subprocess.PIPE)) as process:
        assert process.stdout is not None
        seen = [json.loads(process.stdout.readline()) for _ in range(2)]
        with file.open("ab") as end:
            end.write(data[-1:])
        seen.append(json.loads(process.stdout.readline()))
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert seen == lines[3:]


def test_a_damaged_file_is_an_error_without_a_traceback(db: Path, tmp_path: Path) -> None:
    stream = subprocess.run(command("log", "cat", db), capture_output=True, check=True).stdout
    damaged = tmp_path / "damaged.changes"
    damaged.write_bytes(stream[:-1])
    assert "middle of a frame" in cli("log", "cat", damaged, "--json", code=1).err
    damaged.write_bytes(b"\0" + stream)
    assert "at byte 0" in cli("log", "cat", damaged, "--json", code=1).err
    assert "no changes files" in cli("log", "cat", tmp_path / "mesh.scout" / "db", code=1).err


# --- errors -----------------------------------------------------------------------------------------------------------


READING = [words.split() for words in ("last", "history", "snapshot", "troops", "scouts list", "stats", "pack", "dump")]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_reading_creates_nothing(tmp_path: Path, words: list[str]) -> None:
    missing, empty, other = tmp_path / "missing", tmp_path / "empty", tmp_path / "other"
    empty.mkdir()
    other.mkdir()
    (other / "letter.txt").write_text("hello")
    more = ["1"] if words[0] == "scouts" else []
    assert "there is no database" in cli(*words, missing, *more, code=1).err
    assert "no scoutcore database" in cli(*words, empty, *more, code=1).err
    assert "no scoutcore database" in cli(*words, other, *more, code=1).err
    assert "no scoutcore database" in cli(*words, other / "letter.txt", *more, code=1).err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty", "letter.txt", "other"]


def test_a_locked_database_names_its_owner(db: Path) -> None:
    with scoutcore.open(db):
        done = subprocess.run(command("last", db), capture_output=True, text=True)
    assert done.returncode == 1
    assert f"process {os.getpid()}" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_newer_format_is_refused_by_name(db: Path) -> None:
    (db / "format").write_text("scoutcore database, format 99\n")
    assert "format 99" in cli("last", db, code=1).err
    assert "holds 'letter.txt'" in cli("troops", "create", _with_letter(db.parent / "other"), code=1).err


def _with_letter(directory: Path) -> Path:
    directory.mkdir()
    (directory / "letter.txt").write_text("hello")
    return directory


def test_wrong_command_lines(db: Path) -> None:
    for words in (
        ["nope"],
        ["last"],
        ["last", db, "x"],
        ["ingest", db, db / "nope"],
        ["last", db, 1, -7],
        ["history", db, "--nope"],
    ):
        assert cli(*words, code=2).err.startswith("Usage: ")


def test_a_reader_that_stops_ends_it_quietly(db: Path, shell: tuple[Path, dict[str, str]]) -> None:
    cli("ingest", db, "-", stdin=b"".join(line(report="many", t=t) for t in range(5000)))
    _, output = run_shell(f"scoutcore history {shlex.quote(str(db))} | head -1; echo ${{PIPESTATUS[0]}}", shell)
    point, status = output.splitlines()
    assert json.loads(point)
    assert status == "141"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_output_that_cannot_be_written_is_an_error(db: Path, shell: tuple[Path, dict[str, str]]) -> None:
    ended = run_shell(f"scoutcore dump {shlex.quote(str(db))} > /dev/full", shell)
    assert ended == (1, "Error: No space left on device\n")


# --- on a terminal ----------------------------------------------------------------------------------------------------


def on_terminal(*words: object) -> str:
    """What a command writes to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "COLUMNS": "80", "TERM": "xterm-256color"}
    process = subprocess.Popen(command(*words), stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    written = b""
    while True:
        ready, _, _ = select.select([ours], [], [], 60)
        assert ready, "it does not end"
        try:
            data = os.read(ours, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not data:
            break
        written += data
    os.close(ours)
    assert process.wait(20) == 0
    return written.decode()


def test_tables_and_progress_on_a_terminal(db: Path, tmp_path: Path) -> None:
    reports = tmp_path / "reports.ndjson"
    reports.write_bytes(b"".join(line(report="many", t=t) for t in range(50_000)))
    shown = on_terminal("ingest", db, reports, "--create-troops")
    assert "━" in shown
    assert "reports, " in shown
    assert "/s" in shown
    assert "50,000 reports stored, in" in shown
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", on_terminal("last", db, 1))
    lines = shown.splitlines()
    assert lines[0].split() == ["scout", "report", "time", "(UTC)", "data"]
    assert max(map(len, lines)) <= 80
    assert json.loads(on_terminal("last", db, 1, 8, "--json"))["data"] == 5
    assert '"subset":"sensor"' in on_terminal("log", "cat", db)
