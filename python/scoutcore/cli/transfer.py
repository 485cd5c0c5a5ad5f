"""Changes as files: ``export``, ``import``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click

from scoutcore.cli.arguments import REJECTED, database_argument, json_option, open_database
from scoutcore.cli.output import console, printable, say, size_text, write_line
from scoutcore.cli.replication import limit_options
from scoutcore.replication import ImportResult, Limits


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on standard error, if that is a terminal; gives the function that brings it up to date."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@click.command()
@database_argument
@click.argument("target", required=False, type=click.Path(file_okay=False, allow_dash=True, path_type=Path))
@click.option("--log", metavar="UUID", help="Only this log.")
@click.option("--from", "first", type=click.IntRange(1), default=1, help="Begin at the keyframe before this change.")
@json_option
def export(db: Path, target: Path | None, log: str | None, first: int, as_json: bool) -> None:
    """Give away all changes, as files.

    Into the directory TARGET, as changes files; or, without one, on standard output, as one dat stream (frames of
    dat-replication-protocol 4.1.2). `scoutcore import` takes both. What is not packed yet is packed first, and every
    interval is compared with its check.

    \b
    Examples:
      scoutcore export gateway.scout stick/
      scoutcore export gateway.scout news/ --from 2
      scoutcore export gateway.scout > gateway.dat
    """  # noqa: D301
    if target is None or str(target) == "-":
        if sys.stdout.isatty():
            raise click.UsageError("A dat stream is not for a terminal: name a directory, or send it on.")
        out: Path | BinaryIO = sys.stdout.buffer
    else:
        out = target
    begin = time.monotonic()
    with open_database(db) as database, _progress() as progress:
        found = database.export_changes(out, log=log, first=first, progress=progress)
    if not isinstance(out, Path):
        return
    seconds = time.monotonic() - begin
    if as_json:
        counts = {"logs": found.logs, "changes": found.changes, "bytes": found.bytes}
        write_line({**counts, "seconds": round(seconds, 3)})
    else:
        text = f"{found.changes:,} changes of {found.logs} logs in {out}, {size_text(found.bytes)}."
        click.echo(printable(text))


@click.command("import")
@database_argument
@click.argument("sources", metavar="FILE...", nargs=-1, required=True, type=click.Path(exists=True, allow_dash=True))
@click.option("--from-base", is_flag=True, help="Begin a log whose oldest changes are not there behind those.")
@limit_options
@json_option
def import_(
    db: Path,
    sources: tuple[str, ...],
    from_base: bool,
    max_logs: int,
    max_troops: int,
    max_bytes: int,
    as_json: bool,
) -> None:
    """Take changes from files.

    Changes files and dat streams, of any logs, in any order, as often as one likes; directories, of which all *.changes
    and *.dat are taken, however deep; and standard input: -. Symbolic links are not followed. DB is made where there is
    none.

    Logs and numbers come from content, never from names. What follows what is here is added, as from a peer; what is
    here already is compared. Missing changes and damaged places are described on standard error, and the exit code
    is 3. Who can write the files is trusted as a peer is.

    \b
    Examples:
      scoutcore import laptop.scout stick/
      scoutcore import laptop.scout gateway.dat news/
      scoutcore export gateway.scout | scoutcore import laptop.scout -
    """  # noqa: D301
    if sources.count("-") > 1:
        raise click.UsageError("Standard input can be read only once.")
    begin = time.monotonic()
    limits = Limits(max_logs, max_troops, max_bytes)
    with open_database(db, create=True) as database, _progress() as progress:
        opened: list[Any] = [sys.stdin.buffer if source == "-" else source for source in sources]
        found = database.import_changes(*opened, from_base=from_base, limits=limits, progress=progress)
    _summarize(found, time.monotonic() - begin, as_json)
    if found.gaps or found.problems:
        raise click.exceptions.Exit(REJECTED)


def _summarize(found: ImportResult, seconds: float, as_json: bool) -> None:
    for one in (*found.problems, *found.gaps):
        say(str(one))
    if as_json:
        write_line(
            {
                "changes": found.changes,
                "new": found.new,
                "missing": [{"log": gap.log, "first": gap.first, "last": gap.last} for gap in found.gaps],
                "problems": [
                    {
                        "file": one.file,
                        "offset": one.offset,
                        "log": one.log,
                        "change": one.change,
                        "reason": one.reason,
                    }
                    for one in found.problems
                ],
                "seconds": round(seconds, 3),
            }
        )
    else:
        rate = found.new / max(seconds, 0.001)
        click.echo(f"{found.changes:,} changes taken, {found.new:,} of them new, in {seconds:.2f} s ({rate:,.0f}/s).")
