"""The commands of replication as a user meets them: in processes that are killed, interrupted, misled."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import IO, Any

import pytest

import scoutcore
from tests.waiting import SECONDS, killed_at_the_end, wait_until

pytest.importorskip("click")
pytest.importorskip("rich")

KEY = "the key of the troop that the gateway hears"


class Running:
    """A command that goes on; what it prints is gathered."""

    def __init__(self, stack: ExitStack, *words: object, terminal: bool = False) -> None:
        self.said: list[bytes] = []
        self.printed: list[bytes] = []
        error: Any = subprocess.PIPE
        if terminal:
            ours, error = pty.openpty()
            terminal_end = stack.enter_context(os.fdopen(ours, "rb", buffering=0))
            fcntl.ioctl(error, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = stack.enter_context(
            killed_at_the_end(
                subprocess.Popen(
                    [sys.executable, "-m", "scoutcore", *map(str, words)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=error,
                )
            )
        )
        if terminal:
            os.close(error)
        said: Any = terminal_end if terminal else self.process.stderr
        self._threads = [
            Thread(target=_gather, args=one, daemon=True)
            for one in ((said, self.said), (self.process.stdout, self.printed))
        ]
        for thread in self._threads:
            thread.start()

    def says(self, text: str, times: int = 1) -> None:
        """Wait until it has said something on standard error."""
        wait_until(lambda: self.words.count(text) >= times or self.process.poll() is not None)
        assert self.words.count(text) >= times, self.words

    @property
    def words(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(self.said).decode(errors="replace"))

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in b"".join(self.printed).split(b"\n")[:-1]]

    def interrupt(self) -> int:
        """Ctrl-C; its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.ended()

    def ended(self) -> int:
        code = self.process.wait(SECONDS)
        for thread in self._threads:
            thread.join(SECONDS)
        return code


def _gather(stream: IO[bytes], found: list[bytes]) -> None:
    try:
        while data := os.read(stream.fileno(), 65536):
            found.append(data)
    except OSError:  # a terminal's other end is closed
        pass


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.scout"
    with scoutcore.open(path) as made:
        made.troops.create(key=KEY)
        made.report(1, 7, "temp", 0)
    return path


def reports(*values: int) -> bytes:
    return b"".join(b'{"troop":1,"scout":7,"report":"temp","data":%d}\n' % value for value in values)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


def serve(stack: ExitStack, db: Path, *words: object) -> tuple[Running, str]:
    server = Running(stack, "serve", db, "--listen", "tcp://127.0.0.1:0", *words)
    server.says("Listening on ")
    found = re.search(r"Listening on (\S+)\.\n", server.words)
    assert found
    return server, found[1]


def values(lines: list[Any]) -> list[int]:
    return [line["data"] for line in lines if "data" in line]


def stored(path: Path, copy: Path) -> list[int]:
    """The values in a database that another process has open; none where it cannot be copied just now."""
    shutil.rmtree(copy, ignore_errors=True)
    try:
        shutil.copytree(path, copy)
        with scoutcore.open(copy, pack=False) as database:
            return [int(one["point"]["data"]) for one in database.dump() if "point" in one]
    except (shutil.Error, scoutcore.Error):
        return []


def test_a_server_takes_reports_and_prints_them_while_others_follow(stack: ExitStack, db: Path, tmp_path: Path) -> None:
    server, url = serve(stack, db, "--ingest", "-", "--watch")
    wait_until(lambda: {"synced": True} in server.lines)
    watching = Running(stack, "watch", url)
    syncing = Running(stack, "sync", tmp_path / "laptop.scout", url, "--live")
    wait_until(lambda: {"synced": True} in watching.lines)
    syncing.says("in sync")
    assert server.process.stdin
    for value in (1, 2):
        server.process.stdin.write(reports(value))
        server.process.stdin.flush()
        wait_until(lambda value=value: values(watching.lines)[-1:] == [value])  # type: ignore[misc]
    server.process.stdin.write(b"what is this\n" + reports(3))
    server.process.stdin.close()
    server.says("3 reports stored, 1 rejected.")
    assert "-, line 3: " in server.words
    wait_until(lambda: values(watching.lines)[-1:] == [3])
    assert values(server.lines) == values(watching.lines) == [0, 1, 2, 3]
    wait_until(lambda: stored(tmp_path / "laptop.scout", tmp_path / "copy")[-1:] == [3])
    assert syncing.interrupt() == 130
    assert server.interrupt() == 0, "it goes on when its input has ended, until it is interrupted"
    assert watching.interrupt() == 130
    for running in (server, watching, syncing):
        assert "Traceback" not in running.words
    with scoutcore.open(db) as one, scoutcore.open(tmp_path / "laptop.scout") as other:
        assert list(one.dump()) == list(other.dump())


def test_a_live_sync_connects_again_when_the_server_was_killed(stack: ExitStack, db: Path, tmp_path: Path) -> None:
    url = f"tcp://127.0.0.1:{free_port()}"
    live = Running(stack, "sync", tmp_path / "laptop.scout", url, "--live", terminal=True)
    live.says("cannot be reached: Connection refused; again in ", 2)
    server = Running(stack, "serve", db, "--listen", url)
    live.says("in sync")
    server.process.kill()
    server.ended()
    live.says("again in ", 3)
    with scoutcore.open(db) as opened:
        opened.report(1, 7, "temp", 99)
    server = Running(stack, "serve", db, "--listen", url)
    live.says("in sync", 2)
    live.says("2 of 2 changes")  # the progress bar: this session's troop and report are there; one of them is new
    assert live.interrupt() == 130
    assert "━" in live.words
    assert server.interrupt() == 0
    with scoutcore.open(tmp_path / "laptop.scout") as copy:
        point = copy.last(1, 7, "temp")
        assert point
        assert point.data == 99


def test_files_with_progress_on_a_terminal(stack: ExitStack, db: Path, tmp_path: Path) -> None:
    with scoutcore.open(db) as opened:
        for part in range(10):
            opened.ingest(
                {"troop": 1, "scout": 7, "report": "big", "data": "x" * 2000, "t": part * 1000 + n} for n in range(1000)
            )
    giving = Running(stack, "export", db, tmp_path / "stick", "--table", terminal=True)
    assert giving.ended() == 0
    assert "━" in giving.words
    assert re.fullmatch(rb"[0-9,]+ changes of 1 logs in .*stick, 2[0-9.]+ MB\.\n", b"".join(giving.printed))
    taking = Running(stack, "import", tmp_path / "copy.scout", tmp_path / "stick", "--table", terminal=True)
    assert taking.ended() == 0
    assert "━" in taking.words
    assert re.fullmatch(rb"([0-9,]+) changes taken, \1 of them new, in .* s \(.*/s\)\.\n", b"".join(taking.printed))


def test_export_and_import_in_a_pipe(db: Path, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "scoutcore"]
    giving = subprocess.Popen([*program, "export", str(db)], stdout=subprocess.PIPE)
    taking = subprocess.run(
        [*program, "import", str(tmp_path / "copy.scout"), "-"],
        stdin=giving.stdout,
        capture_output=True,
        timeout=SECONDS,
    )
    assert giving.stdout
    giving.stdout.close()
    assert giving.wait(SECONDS) == 0
    assert (taking.returncode, taking.stderr) == (0, b"")
    assert json.loads(taking.stdout)["new"] == 2
    with scoutcore.open(db) as one, scoutcore.open(tmp_path / "copy.scout") as other:
        assert list(one.dump()) == list(other.dump())


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (
            ["sync", "x.scout", "http://127.0.0.1:1"],
            1,
            "is no address: tcp://HOST:PORT, tls://HOST:PORT or exec:COMMAND",
        ),
        (["sync", "x.scout", "tcp://127.0.0.1:1"], 1, "cannot be reached: Connection refused"),
        (["sync", "x.scout", "exec:no-such-program"], 1, "cannot be reached: No such file or directory"),
        (["sync", "x.scout"], 2, "Give either a URL or --stdio"),
        (["sync", "x.scout", "tls://127.0.0.1:1", "--tls-ca", "no.pem"], 2, "File 'no.pem' does not exist"),
        (["sync", "x.scout", "tls://127.0.0.1:1", "--tls-ca", "text"], 1, "TLS with text: "),
        (["sync", "x.scout", "tcp://127.0.0.1:1", "--secret-file", "text"], 1, "a shared secret has at least 16 bytes"),
        (["serve", "x.scout", "--ingest", "no.ndjson"], 2, "File 'no.ndjson' does not exist"),
        (["serve", "x.scout", "--listen", "tcp://127.0.0.1:{taken}"], 1, "{taken}: Address already in use"),
        (["export", "no.scout", "out"], 1, "there is no database no.scout"),
        (["export", "gateway.scout", "out", "--log", "7"], 1, "'7' is not the uuid of a log"),
        (["export", "gateway.scout", "out", "--from", "9"], 1, "change 9"),
        (["export", "gateway.scout", "text"], 2, "Directory 'text' is a file"),
        (["export", "gateway.scout", "/proc/self/out"], 1, "cannot write /proc/self/out/"),
        (["import", "x.scout"], 2, "Missing argument 'FILE...'"),
        (["import", "x.scout", "no.changes"], 2, "'no.changes' does not exist"),
        (["import", "x.scout", "-", "-"], 2, "Standard input can be read only once"),
        (["import", "x.scout", "link"], 1, "link is a symbolic link, which import does not follow"),
        (["import", "x.scout", "empty"], 1, "no changes files in empty"),
        (["import", "x.scout", "text"], 3, "text, byte 0: unknown frame id"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_what_is_wrong_is_said_in_one_line(words: list[str], code: int, reason: str, db: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("1 is it\n")
    (tmp_path / "link").symlink_to("text")
    (tmp_path / "empty").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as held:
        taken = str(held.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "scoutcore", *(word.format(taken=taken) for word in words)],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    assert done.returncode == code
    assert reason.format(taken=taken) in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= (4 if code == 2 else 1)
