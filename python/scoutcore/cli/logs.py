"""Where things are in changes files: ``log ls``, ``log seek``."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from scoutcore import changes
from scoutcore.cli.arguments import json_option
from scoutcore.cli.output import add_row, console, new_table, write_line
from scoutcore.cli.storage import logs_in, one_log

_COLUMNS = ("file", "first", "last", "bytes", "intervals", "open bytes")


@click.command("ls")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@json_option
def log_ls(source: Path, as_json: bool) -> None:
    """List changes files, and what they hold.

    One changes file, those of a log's directory, or of all logs of a database, which is not opened: another process may
    have it. Digests are not compared.

    \b
    Examples:
      scoutcore log ls gateway.scout
      scoutcore log ls gateway.scout --json
    """  # noqa: D301
    if as_json:
        for item in _listed(source):
            write_line(item)
        return
    screen = console()
    for name, items in groupby(_listed(source), lambda item: item["log"]):
        table = new_table(*_COLUMNS)
        for item in items:
            numbers = ("" if number is None else f"{number:,}" for number in list(item.values())[2:])
            add_row(table, Path(item["file"]).name, *numbers)
        screen.print(f"log {name}")
        screen.print(table)


def _listed(source: Path) -> Iterator[dict[str, Any]]:
    files = (
        [source]
        if source.is_file()
        else [path for directory in logs_in(source) for path in changes.files_of(directory)]
    )
    for path in files:
        found = changes.summarize(path)
        yield {
            "log": str(uuid.UUID(bytes=found.log)),
            "file": str(path),
            **dict(zip(found._fields[1:], found[1:], strict=True)),
        }


@click.command("seek")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--change", type=click.IntRange(1), help="Find this change.")
@click.option("--offset", type=click.IntRange(0), help="Find the next keyframe from this byte on.")
def log_seek(source: Path, change: int | None, offset: int | None) -> None:
    """Find the keyframe at which reading can start.

    In a changes file, a log's directory, or a database with one log, which is not opened. No index is read: a change is
    found by bisection, and a keyframe counts only if the check behind it matches. The answer is one line of JSON:
    "checked" is false where the change is in the open tail, which no check covers yet.

    \b
    Examples:
      scoutcore log seek gateway.scout --change 2
    """  # noqa: D301
    if (change is None) == (offset is None):
        raise click.UsageError("Give either --change or --offset.")
    start = changes.open(one_log(source)).seek(change=change, offset=offset).start
    assert start is not None
    write_line(start._asdict())
