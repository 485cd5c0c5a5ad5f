"""Whether what is stored is what was stored, and what to do where it is not: ``verify``, ``log verify``, ``repair``."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

import scoutcore
from scoutcore import changes
from scoutcore.changes import Damage, Verified
from scoutcore.checking import LogVerified, Verification
from scoutcore.cli.arguments import REJECTED, database_argument, json_option, open_database
from scoutcore.cli.output import add_row, console, new_table, printable, say, write_line
from scoutcore.cli.storage import logs_in
from scoutcore.stats import bytes_under

_COLUMNS = ("log", "changes", "bytes", "damages")


@click.command()
@database_argument
@click.option("--views", is_flag=True, help="Build the views anew from the logs, beside the database, and compare.")
@json_option
def verify(db: Path, views: bool, as_json: bool) -> None:
    """Check the logs of a database, and its views with --views.

    Every frame, number and digest of the changes files, the chain of the digests, and what LevelDB says of them. Behind
    damage it goes on. The exit code is 1 where anything is wrong. Of a database that another process has open, use
    `scoutcore log verify`.

    \b
    Examples:
      scoutcore verify gateway.scout
      scoutcore verify gateway.scout --views
    """  # noqa: D301
    with open_database(db) as database:
        with _progress(bytes_under(db / "changes") * (1 + views)) as progress:
            found = database.verify(views=views, progress=progress)
        recovered = database.recovered
    for message in recovered:
        say(message)
    logs = [_log_json(one) for one in found.logs]
    if as_json:
        compared = found.views
        shown = None if compared is None else {"records": compared.records, "wrong": compared.wrong}
        write_line({"ok": found.ok, "logs": logs, "views": shown})
    else:
        _show(logs)
    _say(found.damages)
    _say_views(found)
    if not found.ok:
        raise click.exceptions.Exit(1)


@click.command()
@database_argument
@click.option("--views", is_flag=True, help="Build LevelDB anew also where it can be used, as its views are wrong.")
@json_option
def repair(db: Path, views: bool, as_json: bool) -> None:
    """Make a damaged database usable.

    Where LevelDB is missing, damaged or refuses, a new one is built from the changes files and from what the old one
    still yields; the old one is kept as db.damaged-1. Damage in changes files is passed over, and what it took is
    asked for from peers at the next sync. Interrupted, it goes on when it is run again. The exit code is 3 where
    changes are missing.

    \b
    Examples:
      scoutcore repair gateway.scout
      scoutcore repair gateway.scout --views
    """  # noqa: D301
    with _progress((2 + views) * bytes_under(db / "changes")) as progress:
        done = scoutcore.repair(db, progress, views=views)
    if as_json:
        damages = [one._asdict() for one in done.damages]
        write_line({"rebuilt": done.rebuilt, "missing": done.missing, "damages": damages})
    else:
        say("LevelDB was built anew." if done.rebuilt else "LevelDB is whole.")
    for message in done.messages:
        say(message)
    _say(done.damages)
    if done.missing:
        say(f"{done.missing:,} changes are missing: sync with a database that has them.")
        raise click.exceptions.Exit(REJECTED)


def _say_views(found: Verification) -> None:
    if found.views_skipped:
        say(f"The views were not compared: {found.views_skipped}.")
    for text in found.views.said if found.views else ():
        say(f"The views: {text}.")
    if found.views and found.views.wrong:
        say("`scoutcore repair --views` builds them anew.")


@click.command("verify")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@json_option
def log_verify(source: Path, as_json: bool) -> None:
    """Check changes files, without LevelDB.

    One changes file, those of a log's directory, or of all logs of a database, which is not opened: another process may
    be at work on it. What stands behind the last check of a log, its open tail, has no digest to be compared with: for
    that use `scoutcore verify`. The exit code is 1 where anything is wrong.

    \b
    Examples:
      scoutcore log verify gateway.scout
    """  # noqa: D301
    paths = [source] if source.is_file() else logs_in(source)
    size = sum(path.stat().st_size if path.is_file() else bytes_under(path) for path in paths)
    with _progress(size) as progress:
        found = [changes.verify(path, progress) for path in paths]
    logs = [_files_json(one) for one in found]
    damages = [damage for one in found for damage in one.damages]
    if as_json:
        write_line({"ok": not damages, "logs": logs})
    else:
        _show(logs)
    _say(damages)
    if damages:
        raise click.exceptions.Exit(1)


def _files_json(found: Verified) -> dict[str, Any]:
    name = str(uuid.UUID(bytes=found.log)) if len(found.log) == len(uuid.NAMESPACE_DNS.bytes) else None
    return {
        "log": name,
        "first": found.first,
        "last": found.last,
        "bytes": found.size,
        "intervals": found.intervals,
        "open_bytes": found.open_bytes,
        "damages": [one._asdict() for one in found.damages],
    }


def _log_json(found: LogVerified) -> dict[str, Any]:
    return {
        "log": found.log,
        "base": found.base,
        "head": found.head,
        "packed": found.packed,
        "bytes": found.bytes,
        "intervals": found.intervals,
        "damages": [one._asdict() for one in found.damages],
    }


def _show(logs: list[dict[str, Any]]) -> None:
    table = new_table(*_COLUMNS)
    for log in logs:
        changes_held = log["head"] - log["base"] if "head" in log else (log["last"] or 0) - (log["first"] or 1) + 1
        add_row(table, log["log"], f"{changes_held:,}", f"{log['bytes']:,}", len(log["damages"]))
    console().print(table)


def _say(damages: list[Damage]) -> None:
    for damage in damages:
        say(printable(str(damage)))
    if damages:
        say(f"{len(damages)} damages." if len(damages) > 1 else "1 damage.")


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None] | None]:
    """A progress bar on standard error, if that is a terminal; gives the function that advances it."""
    screen = console(stderr=True)
    if not screen.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    with Progress(
        BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(), console=screen, transient=True
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda size: bar.advance(task, size)
