"""Reports in and out: ``ingest``, ``last``, ``history``, ``snapshot``."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any, Final, Literal

import click
import msgspec

from scoutcore.cli.arguments import (
    INTERRUPTED,
    REJECTED,
    database_argument,
    json_option,
    moment,
    number_argument,
    open_database,
)
from scoutcore.cli.output import (
    TIME,
    add_row,
    console,
    fields_text,
    new_table,
    printable,
    say,
    show_points,
    utc,
    write_line,
)
from scoutcore.database import Database, TroopSnapshot
from scoutcore.errors import IngestError, NotFoundError
from scoutcore.ingest import IngestResult
from scoutcore.model import Point, Troop, milliseconds

MAX_SHOWN_ERRORS: Final = 10

# --- ingest -----------------------------------------------------------------------------------------------------------


class _Source:
    """A binary file that takes Ctrl-C while it waits for input; elsewhere it is put off until the commit is done.

    So what is then said to be stored is exact. A second Ctrl-C is not put off.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._waiting = False
        self.interrupted = False

    def interrupt(self, *_: Any) -> None:
        """What SIGINT does."""
        if self._waiting or self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True

    def fileno(self) -> int:
        return self._file.fileno()

    def read(self, size: int) -> bytes:
        return self.read1(size)

    def read1(self, size: int) -> bytes:
        self._waiting = True
        try:
            if self.interrupted:
                raise KeyboardInterrupt
            return self._file.read1(size)  # type: ignore[attr-defined, no-any-return]
        finally:
            self._waiting = False


@click.command()
@database_argument
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--create-troops", is_flag=True, help="Make the database, and every troop that is not known, as needed.")
@click.option("--strict", is_flag=True, help="All or nothing: one wrong report, and nothing goes in.")
@click.option(
    "--durability",
    type=click.Choice(["process", "power"]),
    default="process",
    show_default=True,
    help="What every commit survives: the death of the process, or a power cut too.",
)
@json_option
def ingest(
    db: Path, file: str, create_troops: bool, strict: bool, durability: Literal["process", "power"], as_json: bool
) -> None:
    """Store reports from a file or a pipe.

    One JSON object a line; with `-` for FILE they come from a pipe, and go in as they arrive.

    A report is {"troop":1,"scout":7,"report":"temp","data":{"c":21.5}}, where it has them with "t" (ms since 1970) and
    the scout's own clock "b" (boot) and "ms"; instead of "troop" it may have a "uid" or a "key".

    Wrong ones are described on standard error with their line; the rest goes in, and the exit code is 3.

    \b
    Examples:
      scoutcore ingest gateway.scout reports.ndjson
      tail -f reports.ndjson | scoutcore ingest gateway.scout -
      scoutcore history gateway.scout | scoutcore ingest copy.scout - --create-troops
    """  # noqa: D301
    begin = time.monotonic()
    taken = IngestResult()
    with (
        open_database(db, create=create_troops, durability=durability) as database,
        click.open_file(file, "rb") as opened,
        _progress(file) as advance,
    ):
        source = _Source(opened)
        before = signal.signal(signal.SIGINT, source.interrupt)

        def progress(result: IngestResult, size: int) -> None:
            nonlocal taken
            taken = result
            if advance:
                advance(result.accepted, size)

        try:
            taken = database.ingest(
                source,  # type: ignore[arg-type]
                strict=strict,
                create_troops=_created if create_troops else None,
                progress=progress,
            )
            if source.interrupted:
                raise KeyboardInterrupt
        except IngestError as problem:
            say(f"Error: {problem}")
            raise click.exceptions.Exit(REJECTED) from None
        except KeyboardInterrupt:
            say(f"Interrupted: {taken.accepted:,} reports are stored, none of those after them.")
            raise click.exceptions.Exit(INTERRUPTED) from None
        except Exception:
            if taken.accepted:
                say(f"{taken.accepted:,} reports are stored, none of those after them.")
            raise
        finally:
            signal.signal(signal.SIGINT, before)
    _summarize(taken, time.monotonic() - begin, as_json)
    if taken.rejected:
        raise click.exceptions.Exit(REJECTED)


@contextmanager
def _progress(file: str) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on standard error, if that is a terminal; gives the function that advances it."""
    if not sys.stderr.isatty() or (file == "-" and sys.stdin.isatty()):
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    total = None if file == "-" else Path(file).stat().st_size or None
    begin = time.monotonic()
    columns = (
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[stored]:,} reports, {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total, stored=0, rate=0)

        def advance(accepted: int, size: int) -> None:
            bar.update(task, advance=size, stored=accepted, rate=accepted / (time.monotonic() - begin))

        yield advance


def _created(troop: Troop) -> None:
    say(f"Made troop {troop.id}, uid {troop.uid}")
    if troop.key is not None:
        say(f"Key {troop.key}: keep it, it is shown only now.")


def _summarize(result: IngestResult, seconds: float, as_json: bool) -> None:
    for line, reason in result.errors[:MAX_SHOWN_ERRORS]:
        say(f"line {line}: {reason}")
    if result.rejected > MAX_SHOWN_ERRORS:
        say(f"… and {result.rejected - MAX_SHOWN_ERRORS:,} more")
    if as_json:
        write_line({"accepted": result.accepted, "rejected": result.rejected, "seconds": round(seconds, 3)})
    else:
        rejected = f", {result.rejected:,} rejected" if result.rejected else ""
        rate = result.accepted / max(seconds, 0.001)
        click.echo(f"{result.accepted:,} reports stored{rejected}, in {seconds:.2f} s ({rate:,.0f}/s).")


# --- last, history, snapshot ------------------------------------------------------------------------------------------


@click.command()
@database_argument
@number_argument("troop", required=False)
@number_argument("scout", required=False)
@click.argument("report", required=False)
@json_option
def last(db: Path, troop: int | None, scout: int | None, report: str | None, as_json: bool) -> None:
    """Show last values.

    Of a report; of all reports of a scout, of a troop, or of everything.

    \b
    Examples:
      scoutcore last gateway.scout
      scoutcore last gateway.scout 1 7
      scoutcore last gateway.scout 1 7 temp
    """  # noqa: D301
    with open_database(db) as database:
        found = show_points(_last(database, troop, scout, report), as_json, *_columns(troop, scout), TIME, "data")
    _nothing(found, db, troop, scout, report)


def _columns(*named: object) -> tuple[str, ...]:
    """The columns that say what a point is of, without those that the user named."""
    return tuple(column for column, value in zip_longest(("troop", "scout", "report"), named) if value is None)


def _last(database: Database, troop: int | None, scout: int | None, report: str | None) -> Iterator[Point]:
    if troop is not None and scout is not None and report is not None:
        point = database.last(troop, scout, report)
        return iter(() if point is None else (point,))
    meshes = database.snapshot().values() if troop is None else [database.snapshot(troop)]
    return (
        point
        for mesh in meshes
        for number, one in mesh.scouts.items()
        if scout in (None, number)
        for point in one.reports.values()
    )


def _nothing(found: int, db: Path, troop: int | None, scout: int | None, report: str | None) -> None:
    """Where nothing was found: an error if something was named."""
    if not found and scout is not None:
        raise NotFoundError(
            f"troop {troop} has no scout {scout} with " + (f"a report {report!r}" if report else "reports")
        )
    if not found:
        say(f"No reports in {db}." if troop is None else f"No reports in troop {troop}.")


@click.command()
@database_argument
@number_argument("troop", required=False)
@number_argument("scout", required=False)
@click.argument("report", required=False)
@click.option(
    "--start",
    type=moment,
    metavar="TIME",
    help="Only from here on: ISO 8601 with a zone, ms since 1970, or -1h.",
)
@click.option("--end", type=moment, metavar="TIME", help="Only before this.")
@click.option("--reverse", is_flag=True, help="The newest first.")
@click.option("--limit", type=click.IntRange(min=0), help="At most so many of every report.")
@json_option
def history(
    db: Path,
    troop: int | None,
    scout: int | None,
    report: str | None,
    start: int | None,
    end: int | None,
    reverse: bool,
    limit: int | None,
    as_json: bool,
) -> None:
    """Show readings in time order.

    Of a report; of all reports of a scout, of a troop, or of everything, one report after the other. Piped, it is what
    `ingest` takes: each reading is on one line, and nothing of it is lost.

    \b
    Examples:
      scoutcore history gateway.scout 1 7 temp --start -1h
      scoutcore history gateway.scout 1 7 temp --start 2026-03-01T00:00Z --end 2026-03-02T00:00Z
      scoutcore history gateway.scout 1 --reverse --limit 3
      scoutcore history gateway.scout > all.ndjson
    """  # noqa: D301
    with open_database(db) as database:
        points = (
            point
            for series in _series(database, troop, scout, report)
            for point in database.history(*series, start=start, end=end, reverse=reverse, limit=limit)
        )
        columns = _columns(troop, scout, report)
        found = show_points(points, as_json, *columns, TIME, "boot", "ms", "data")
        if not found and any(_series(database, troop, scout, report)):
            say("No readings in this time.")
        else:
            _nothing(found, db, troop, scout, report)


def _series(
    database: Database, troop: int | None, scout: int | None, report: str | None
) -> Iterator[tuple[int, int, str]]:
    if troop is not None:
        database.troops.get(troop)
    if troop is not None and scout is not None and report is not None:
        if database.last(troop, scout, report) is not None:
            yield troop, scout, report
        return
    for found_troop, found_scout, found_report, _, _ in database.counts():
        if troop in (None, found_troop) and scout in (None, found_scout):
            yield found_troop, found_scout, found_report


@click.command()
@database_argument
@number_argument("troop", required=False)
@json_option
def snapshot(db: Path, troop: int | None, as_json: bool) -> None:
    """Show the current state of a mesh, or of all.

    Troop, scouts, their metadata, and the last value of every report.

    \b
    Examples:
      scoutcore snapshot gateway.scout
      scoutcore snapshot gateway.scout 1
      scoutcore snapshot gateway.scout 1 --json
    """  # noqa: D301
    with open_database(db) as database:
        meshes = list(database.snapshot().values()) if troop is None else [database.snapshot(troop)]
    for mesh in meshes:
        if as_json:
            write_line(_mesh_json(mesh))
        else:
            _show_mesh(mesh)
    if not meshes:
        say(f"No troops in {db}.")


def _mesh_json(mesh: TroopSnapshot) -> dict[str, Any]:
    scouts = {
        str(number): {
            "fields": one.scout.fields,
            "reports": {name: _value_json(point) for name, point in one.reports.items()},
        }
        for number, one in mesh.scouts.items()
    }
    return {"troop": mesh.troop.id, "uid": mesh.troop.uid, "fields": mesh.troop.fields, "scouts": scouts}


def _value_json(point: Point) -> dict[str, Any]:
    clock = {} if point.boot is None else {"b": point.boot, "ms": point.ms}
    return {"data": msgspec.Raw(point.raw), "t": milliseconds(point.t), **clock}


def _show_mesh(mesh: TroopSnapshot) -> None:
    from rich.text import Text

    screen = console()
    screen.print(Text(printable(f"Troop {mesh.troop.id}  {fields_text(mesh.troop.fields)}"), "bold"))
    table = new_table("scout", "report", TIME, "data")
    for number, one in mesh.scouts.items():
        table.add_section()
        add_row(table, number, "", "", fields_text(one.scout.fields))
        table.rows[-1].style = "bold"
        for name, point in one.reports.items():
            add_row(table, "", name, utc(point.t), point.raw.decode())
    screen.print(table)
