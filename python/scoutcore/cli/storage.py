"""What is stored, and how: ``stats``, ``pack``, ``dump``, ``log cat``."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import msgspec

from scoutcore import changes, codec
from scoutcore.cli.arguments import database_argument, json_option, open_database
from scoutcore.cli.output import add_row, console, new_table, printable, size_text, write_line
from scoutcore.codec import cut
from scoutcore.codec.columns import Change, offsets_of
from scoutcore.errors import InvalidError, NotFoundError, UnsupportedError
from scoutcore.model import decode_json, milliseconds
from scoutcore.stats import Stats

# --- stats, pack, dump ------------------------------------------------------------------------------------------------


@click.command()
@database_argument
@json_option
def stats(db: Path, as_json: bool) -> None:
    """Count what is stored, and the bytes it takes.

    \b
    Examples:
      scoutcore stats gateway.scout
      scoutcore stats gateway.scout --json
    """  # noqa: D301
    with open_database(db) as database:
        found = database.stats()
    if as_json:
        write_line(asdict(found))
    else:
        _show_stats(db, found)


def _show_stats(db: Path, found: Stats) -> None:
    screen = console()
    table = new_table("troop", "uid", "scouts", "reports", "readings", "arrivals")
    for one in found.troops:
        counts = (f"{count:,}" for count in (one.scouts, one.series, one.points, one.receptions))
        add_row(table, one.troop, one.uid, *counts)
    if found.troops:
        screen.print(table)
    table = new_table("log", "changes", "packed", "")
    for log in found.logs:
        notes = ["ours"] * log.own + [f"{log.missing:,} missing"] * (log.missing > 0)
        add_row(table, log.log, f"{log.head - log.base:,}", f"{log.packed - log.base:,}", ", ".join(notes))
    screen.print(table)
    if ahead := sum(one.ahead for one in found.troops):
        screen.print(f"last values from a clock that is ahead: {ahead:,}")
    screen.print(printable(f"{db / 'db'}: {size_text(found.db_bytes or 0)}"))
    screen.print(printable(f"{db / 'changes'}: {size_text(found.changes_bytes or 0)}"))
    if found.packer:
        screen.print(f"not packed yet: {size_text(found.packer.unpacked_bytes)}")


@click.command()
@database_argument
@json_option
def pack(db: Path, as_json: bool) -> None:
    """Pack the log into changes files.

    It moves out of LevelDB; from the changes files anyone can replicate the data.

    \b
    Examples:
      scoutcore pack gateway.scout
    """  # noqa: D301
    begin = time.monotonic()
    with open_database(db) as database:
        packed = database.pack()
        size = database.stats().changes_bytes or 0
    seconds = time.monotonic() - begin
    if as_json:
        write_line({"changes": packed, "changes_bytes": size, "seconds": round(seconds, 3)})
    else:
        text = f"{packed:,} changes packed in {seconds:.2f} s; {db / 'changes'} has {size_text(size)}."
        click.echo(printable(text))


@click.command()
@database_argument
def dump(db: Path) -> None:
    """Print the canonical content, as JSON lines.

    It is the same for every replica that holds the same changes: troop uids, metadata, last values and history; no
    local ids, no log names. Times are µs since 1970, and data is a string: the JSON text exactly as it came.

    \b
    Examples:
      scoutcore dump gateway.scout | sha256sum
    """  # noqa: D301
    with open_database(db) as database:
        for item in database.dump():
            write_line(item)


# --- log --------------------------------------------------------------------------------------------------------------


@click.group()
def log() -> None:
    """Print the logs, change by change.

    \b
    Examples:
      scoutcore log cat gateway.scout
    """  # noqa: D301


@log.command("cat")
@click.argument("source", type=click.Path(exists=True, allow_dash=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="JSON lines, one per change; on a terminal it is always these.")
@click.option("--from", "first", type=click.IntRange(1), help="Start with this change; a stream, at its keyframe.")
@click.option("--follow", is_flag=True, help="Go on as the files grow, until interrupted.")
def log_cat(source: Path, as_json: bool, first: int | None, follow: bool) -> None:
    """Print the changes of a file, a log, or a database.

    Of a changes file or a dat stream, of a log's directory, or of a database, which is packed first. Piped, it is a
    dat stream (frames of dat-replication-protocol 4.1.2), byte by byte as in the changes files; every interval is
    checked on the way.

    With --from and --follow the files of one log are read as they are: a database is neither opened nor packed.

    \b
    Examples:
      scoutcore log cat gateway.scout --json
      scoutcore log cat gateway.scout > gateway.dat
      scoutcore log cat gateway.scout --json --from 2 --follow
      scoutcore log cat gateway.dat --json
    """  # noqa: D301
    for reader in _readers(source, first, follow):
        if as_json or sys.stdout.isatty():
            for columns in reader.columns():
                for change in columns.to_objects():
                    write_line(_change_json(reader.uuid, change))
                sys.stdout.flush()
        else:
            for data, _ in reader.frames():
                sys.stdout.buffer.write(data)
                sys.stdout.flush()


def _readers(source: Path, first: int | None, follow: bool) -> Iterator[changes.Reader]:
    if first is not None or follow:
        reader = changes.open(sys.stdin.buffer if str(source) == "-" else one_log(source))
        if first is not None:
            reader.seek(change=first)
        yield reader.follow() if follow else reader
    elif str(source) == "-":
        yield changes.open(sys.stdin.buffer)
    elif (source / "format").exists():
        with open_database(source) as database:
            database.pack()
            yield from map(changes.open, logs_in(source))
    elif source.is_dir():
        yield from map(changes.open, logs_in(source))
    else:
        yield changes.open(source)


def logs_in(directory: Path) -> list[Path]:
    """The directories of the logs that have changes files: of a database, of several logs, or of one."""
    if any(directory.glob("*.changes")):
        return [directory]
    where = directory / "changes" if (directory / "format").exists() else directory
    logs = sorted({path.parent for path in where.glob("*/*.changes")})
    if not logs:
        raise NotFoundError(f"no changes files in {where}")
    return logs


def one_log(source: Path) -> Path:
    """The changes file, or the directory of the one log that *source* has."""
    if not source.is_dir():
        return source
    logs = logs_in(source)
    if len(logs) > 1:
        raise InvalidError(f"{source} has {len(logs)} logs: name one of them, such as {logs[0]}")
    return logs[0]


def _change_json(log_uuid: bytes | None, change: Change) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "log": None if log_uuid is None else str(uuid.UUID(bytes=log_uuid)),
        "change": change.change,
        "subset": change.subset,
        "key": change.key,
        "from": change.from_,
        "to": change.to,
    }
    value = change.value or b""
    if change.subset != "sensor":
        return {**shown, "value": _embedded(value)}
    offsets = offsets_of([len(value)])
    try:
        _, (write_time,), points = codec.decode_blocks(value, offsets[:1], offsets[1:])
    except UnsupportedError as problem:
        return {**shown, "unreadable": problem.reason}
    texts = cut(points.data, points.starts, points.ends)
    rows = zip(points.t, points.clocked, points.boot, points.ms, texts, strict=True)
    return {
        **shown,
        "written": milliseconds(write_time),
        "points": [
            {"t": milliseconds(t), **({"b": boot, "ms": ms} if clocked else {}), "data": _embedded(text)}
            for t, clocked, boot, ms, text in rows
        ],
    }


def _embedded(text: bytes) -> msgspec.Raw | str:
    """JSON text as it stands; as a string where it is none, for a log may come from anyone."""
    try:
        decode_json(text)
    except ValueError:
        return text.decode("utf-8", "backslashreplace")
    return msgspec.Raw(text.replace(b"\n", b" "))
