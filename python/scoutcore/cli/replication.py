"""Databases that are kept in sync: ``sync``, ``serve``, ``watch``."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final, TypeVar

import click

import scoutcore
from scoutcore.cli.arguments import REJECTED, database_argument, json_option, open_database, read_secret
from scoutcore.cli.output import console, fields_text, printable, say, utc, write_line
from scoutcore.database import Database
from scoutcore.errors import SyncError
from scoutcore.model import Point, Scout, Troop
from scoutcore.replication import (
    Connected,
    Ended,
    InSync,
    Limits,
    Problem,
    Retrying,
    Server,
    Sync,
    Tls,
    options,
    stdio,
)
from scoutcore.watch import Synced, Watch

_Command = TypeVar("_Command", bound=Callable[..., Any])
_POLL: Final = 0.1
_SECRET_VARIABLE: Final = "SCOUTCORE_SECRET"  # noqa: S105


def _secret_option(command: _Command) -> _Command:
    def read(_ctx: click.Context, _param: click.Parameter, path: Path | None) -> bytes | None:
        if path is None:
            text = os.environb.get(_SECRET_VARIABLE.encode())
        else:
            with path.open("rb") as file:
                text = read_secret(file)
        return None if text is None else text.strip()

    return click.option(
        "--secret-file",
        "secret",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        callback=read,
        help=f"A file with the secret that both sides share, 16 characters or more; or {_SECRET_VARIABLE} in the "
        "environment. It keeps strangers out, but neither hides nor protects what is sent: use TLS or ssh.",
    )(command)


def _tls_options(command: _Command) -> _Command:
    path = click.Path(exists=True, dir_okay=False, path_type=Path)
    for name, text in (
        ("--tls-ca", "Certificates that the peer's has to lead to, as PEM. A server that has it asks every client."),
        ("--tls-key", "The private key of our certificate."),
        ("--tls-cert", "Our certificate, as PEM; a server needs one for tls://."),
    ):
        command = click.option(name, type=path, help=text)(command)
    return command


def limit_options(command: _Command) -> _Command:
    defaults = Limits()
    for name, field, text in (
        ("--max-bytes", "bytes", "Bytes of changes"),
        ("--max-troops", "troops", "New troops"),
        ("--max-logs", "logs", "New logs"),
    ):
        command = click.option(
            name,
            type=click.IntRange(min=0),
            default=getattr(defaults, field),
            show_default=True,
            help=f"{text} that are taken of a peer in one session.",
        )(command)
    return command


def _direction_options(command: _Command) -> _Command:
    for name, text in (
        ("--from-base", "Begin a log whose oldest changes the peer has dropped behind those."),
        ("--push", "Only give."),
        ("--pull", "Only take."),
    ):
        command = click.option(name, is_flag=True, help=text)(command)
    return command


def _settings(
    pull: bool,
    push: bool,
    from_base: bool,
    secret: bytes | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_ca: Path | None,
    max_logs: int,
    max_troops: int,
    max_bytes: int,
) -> dict[str, Any]:
    """The arguments of ``Database.sync`` and ``serve``."""
    tls = Tls(tls_cert, tls_key, tls_ca) if tls_cert or tls_key or tls_ca else None
    both = pull == push
    return {
        "pull": pull or both,
        "push": push or both,
        "from_base": from_base,
        "secret": secret,
        "tls": tls,
        "limits": Limits(max_logs, max_troops, max_bytes),
    }


# --- sync -------------------------------------------------------------------------------------------------------------


@click.command()
@database_argument
@click.argument("urls", metavar="[URL]...", nargs=-1)
@click.option("--live", is_flag=True, help="Stay, bring over what happens, and connect again when it has to be.")
@click.option("--stdio", "on_stdio", is_flag=True, help="Speak with a peer on standard input and output.")
@_direction_options
@_secret_option
@_tls_options
@limit_options
@json_option
def sync(db: Path, urls: tuple[str, ...], live: bool, on_stdio: bool, as_json: bool, **settings: Any) -> None:
    """Bring a database and others to the same state.

    Each URL is tcp://HOST:PORT or tls://HOST:PORT, where `scoutcore serve` listens, or exec:COMMAND, a program that
    speaks on its standard input and output. DB is made where there is none. Nothing is sent that the other side has;
    what was interrupted goes on where it was.

    \b
    Examples:
      scoutcore sync laptop.scout tcp://127.0.0.1:4747
      scoutcore sync laptop.scout tcp://127.0.0.1:4747 --live --pull
      scoutcore sync laptop.scout "exec:ssh gateway scoutcore sync --stdio gateway.scout"
    """  # noqa: D301
    if bool(urls) == on_stdio:
        raise click.UsageError("Give either a URL or --stdio.")
    arguments = _settings(**settings)
    if on_stdio:
        _on_stdio(db, live, arguments)
        return
    begin = time.monotonic()
    with ExitStack() as stack:
        database = stack.enter_context(open_database(db, create=True))
        handles = [stack.enter_context(database.sync(url, live=live, **arguments)) for url in urls]
        _follow(handles, live)
        failed = _finish(handles, time.monotonic() - begin, as_json)
        problems = any(handle.problems for handle in handles)
    if failed or problems:
        raise click.exceptions.Exit(1 if failed else REJECTED)


def _on_stdio(db: Path, live: bool, arguments: dict[str, Any]) -> None:
    with open_database(db, create=True) as database:
        arguments.pop("tls")
        ended = stdio.serve(database, options(live=live, **arguments))
    if ended.error:
        raise SyncError(ended.error)


def _follow(handles: list[Sync], live: bool) -> None:
    """Say what happens until all have ended."""
    with _progress(handles) as advance:
        while not all(handle.done for handle in handles):
            waited_for = next((handle for handle in handles if not handle.done), handles[0])
            event = waited_for.next(_POLL)
            _say_event(waited_for.url, event, live)
            for handle in handles:
                while (event := handle.next(0)) is not None:
                    _say_event(handle.url, event, live)
            advance()
    for handle in handles:
        while (event := handle.next(0)) is not None:
            _say_event(handle.url, event, live)


def _say_event(where: str, event: object, live: bool) -> None:
    if isinstance(event, Problem):
        say(f"{where}: {event.message}")
    elif isinstance(event, Retrying):
        say(f"{where}: {event.reason}; again in {event.seconds:.1f} s")
    elif live and isinstance(event, Connected):
        say(f"{where}: connected")
    elif live and isinstance(event, InSync):
        say(f"{where}: in sync")


@contextmanager
def _progress(handles: list[Sync]) -> Iterator[Callable[[], None]]:
    """A progress bar on standard error, if that is a terminal; gives the function that brings it up to date."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        TextColumn("{task.completed:,} of {task.total:,} changes, {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(compact=True),
    )
    begin = time.monotonic()
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=0, rate=0)

        def advance() -> None:
            found = [handle.progress for handle in handles]
            done = sum(one.sent + one.received for one in found)
            left = sum(one.to_send + one.to_receive for one in found)
            bar.update(task, completed=done, total=done + left, rate=done / (time.monotonic() - begin))

        yield advance


def _finish(handles: list[Sync], seconds: float, as_json: bool) -> bool:
    """Say how each has ended; whether one failed."""
    failed = False
    for handle in handles:
        error = None
        try:
            handle.wait()
        except SyncError as problem:
            failed, error = True, str(problem)
            say(f"Error: {error}")
        found = handle.progress
        if as_json:
            write_line(
                {
                    "url": handle.url,
                    "sent": found.sent,
                    "received": found.received,
                    "new": found.new,
                    "seconds": round(seconds, 3),
                    "problems": [one.message for one in handle.problems],
                    "error": error,
                }
            )
        elif not error:
            changes = found.sent + found.new
            rate = f", {changes / max(seconds, 0.001):,.0f}/s" if changes else ""
            click.echo(f"{handle.url}: in sync; {found.sent:,} changes sent, {found.new:,} new ones received{rate}.")
    return failed


# --- serve ------------------------------------------------------------------------------------------------------------


@click.command()
@database_argument
@click.option(
    "--listen",
    "urls",
    metavar="URL",
    multiple=True,
    default=["tcp://127.0.0.1:4747"],
    show_default=True,
    help="Where: tcp://HOST:PORT or tls://HOST:PORT; may be repeated; port 0 is one that is free.",
)
@click.option(
    "--ingest",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="Store the reports of a file, or of standard input: -.",
)
@click.option("--create-troops", is_flag=True, help="With --ingest: make every troop that is not known, as needed.")
@click.option("--watch", "watching", is_flag=True, help="Print changes as they happen, on standard output.")
@_direction_options
@_secret_option
@_tls_options
@limit_options
@json_option
def serve(
    db: Path,
    urls: tuple[str, ...],
    ingest: str | None,
    create_troops: bool,
    watching: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Let others sync with a database, any number at once.

    It goes on until Ctrl-C or SIGTERM, which end it in good order. One process owns a database: give this one the
    reports as they come (--ingest -), and let it print what happens (--watch).

    Who can connect can read all, and write logs of its own. On anything but this machine's own addresses it wants a
    shared secret, or TLS that asks clients for certificates. A secret keeps strangers out, but neither hides nor
    protects the stream: across networks use TLS or ssh.

    \b
    Examples:
      scoutcore serve gateway.scout --listen tcp://127.0.0.1:4747
      radio | scoutcore serve gateway.scout --ingest - --watch
      scoutcore serve gateway.scout --listen tls://0.0.0.0:4747 --tls-cert cert.pem --secret-file s
    """  # noqa: D301
    arguments = _settings(**settings)
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with open_database(db, create=True) as database, database.serve(urls, **arguments) as server:
        for address in server.addresses:
            say(f"Listening on {address}.")
        tasks = []
        if ingest is not None:
            tasks.append(Thread(target=_ingest, args=(database, ingest, create_troops), daemon=True))
        if watching:
            tasks.append(Thread(target=_print, args=(database.watch(), as_json, stop), daemon=True))
        for task in tasks:
            task.start()
        while not stop.is_set():
            _say_told(server)
    say("Stopped.")


def _say_told(server: Server) -> None:
    """Say what happens with peers."""
    told = server.next(_POLL)
    if told is None:
        return
    if isinstance(told.event, Connected):
        say(f"{told.peer}: connected")
    elif isinstance(told.event, Problem):
        say(f"{told.peer}: {told.event.message}")
    elif isinstance(told.event, Ended):
        say(f"{told.peer}: {told.event.error or 'gone'}")


def _ingest(database: Database, file: str, create_troops: bool) -> None:
    """Store the reports of a file as they come, and say what is wrong with them."""
    shown = 0

    def progress(result: scoutcore.IngestResult, _size: int) -> None:
        nonlocal shown
        for line, reason in result.errors[shown:]:
            say(f"{file}, line {line}: {reason}")
        shown = len(result.errors)

    def created(troop: Troop) -> None:
        say(f"Made troop {troop.id}, uid {troop.uid}" + (f", key {troop.key}" if troop.key else ""))

    try:
        # Unbuffered: a thread that waits for input must not hold a lock when the process ends.
        with io.FileIO(0, closefd=False) if file == "-" else io.FileIO(file) as source:
            result = database.ingest(source, create_troops=created if create_troops else None, progress=progress)
        say(f"{file}: {result.accepted:,} reports stored, {result.rejected:,} rejected.")
    except scoutcore.errors.ClosedError:
        return
    except (scoutcore.Error, OSError) as problem:
        say(f"{file}: {getattr(problem, 'strerror', None) or problem}")


# --- watch ------------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("url")
@_secret_option
@_tls_options
@json_option
def watch(
    url: str, as_json: bool, secret: bytes | None, tls_cert: Path | None, tls_key: Path | None, tls_ca: Path | None
) -> None:
    """Follow a database that is served.

    It prints the current values, and then what happens, until Ctrl-C. For that it holds a copy of all in memory, and
    gives nothing.

    \b
    Examples:
      scoutcore watch tcp://127.0.0.1:4747
      scoutcore watch "exec:ssh gateway scoutcore sync --stdio --live gateway.scout" | jq .data
    """  # noqa: D301
    tls = Tls(tls_cert, tls_key, tls_ca) if tls_cert or tls_key or tls_ca else None
    with (
        scoutcore.open(":memory:") as database,
        database.sync(url, live=True, push=False, secret=secret, tls=tls) as handle,
    ):
        stop = Event()
        following = Thread(target=_follow_live, args=(handle, stop), daemon=True)
        following.start()
        handle.wait_synced()
        _print(database.watch(), as_json, stop)
        handle.wait()


def _follow_live(handle: Sync, stop: Event) -> None:
    for event in handle:
        _say_event(handle.url, event, live=True)
    stop.set()


def _print(events: Watch, as_json: bool, stop: Event) -> None:
    """Print events, until *stop*."""
    try:
        with events:
            while not stop.is_set() and not events.closed:
                event = events.next(_POLL)
                if event is not None:
                    _print_event(event, as_json)
    except BrokenPipeError:
        stop.set()


def _print_event(event: Point | Troop | Scout | Synced, as_json: bool) -> None:
    if as_json:
        if isinstance(event, Point):
            write_line(event.to_json())
        elif isinstance(event, Troop):
            write_line({"troop": event.id, "uid": event.uid, "fields": event.fields, "deleted": event.deleted})
        elif isinstance(event, Scout):
            write_line({"troop": event.troop, "scout": event.id, "fields": event.fields, "deleted": event.deleted})
        else:
            write_line({"synced": True})
        sys.stdout.flush()
        return
    if isinstance(event, Point):
        line = f"{utc(event.t)}  troop {event.troop}  scout {event.scout}  {event.report}  {event.raw.decode()}"
    elif isinstance(event, Synced):
        line = "— that is how it stands; what follows happens now —"
    else:
        name = f"troop {event.id}" if isinstance(event, Troop) else f"troop {event.troop}  scout {event.id}"
        line = f"{name}  " + ("deleted" if event.deleted else fields_text(event.fields))
    print(printable(line), flush=True)
