"""Arguments and options that several commands take, and the exit codes."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, AnyStr, Final, TypeVar

import click

import scoutcore
from scoutcore.clock import system_time
from scoutcore.errors import InvalidError
from scoutcore.model import decode_json, from_milliseconds, microseconds

REJECTED: Final = 3
INTERRUPTED: Final = 130
NOBODY_READS: Final = 141

_Command = TypeVar("_Command", bound=Callable[..., Any])

_MAX_SECRET: Final = 4096
UNITS: Final = {
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
_RELATIVE: Final = re.compile(rf"([+-][0-9]{{1,9}})({'|'.join(UNITS)})")
_MILLISECONDS: Final = re.compile(r"-?[0-9]{1,17}(\.[0-9]{1,3})?")


def moment(value: str) -> int:
    """The time that *value* says, in µs since the Unix epoch."""
    try:
        if relative := _RELATIVE.fullmatch(value):
            return system_time() + int(relative[1]) * UNITS[relative[2]]
        if _MILLISECONDS.fullmatch(value):
            return from_milliseconds(Decimal(value))
        return microseconds(datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", value)), repr(value))
    except InvalidError as problem:
        raise click.BadParameter(f"{problem}.") from None
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not a time such as 2026-03-01T12:00Z, 1772366400000 (ms since 1970) or -90m (ago)."
        ) from None


def metadata_field(value: str) -> tuple[str, Any]:
    """``NAME=VALUE`` as a pair: VALUE is JSON if it can be, else a string."""
    name, equals, text = value.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{value!r} is not NAME=VALUE.")
    try:
        return name, decode_json(text)
    except ValueError:
        return name, text


def database_argument(command: _Command) -> _Command:
    """The argument DB."""
    return click.argument("db", type=click.Path(path_type=Path))(command)


def number_argument(name: str, *, required: bool = True) -> Callable[[_Command], _Command]:
    """An argument that is a troop id or a scout number."""
    return click.argument(name, type=click.IntRange(min=0), required=required)


def fields_argument(command: _Command) -> _Command:
    """Any number of arguments NAME=VALUE."""
    return click.argument("fields", metavar="[NAME=VALUE]...", type=metadata_field, nargs=-1)(command)


def unset_option(command: _Command) -> _Command:
    """The option that removes fields."""
    return click.option("--unset", metavar="NAME", multiple=True, help="Remove a field; may be repeated.")(command)


def read_secret(file: IO[AnyStr]) -> AnyStr:
    """All of a file with a key or a secret: cut, it would be another one."""
    text = file.read(_MAX_SECRET + 1)
    if len(text) > _MAX_SECRET:
        raise click.BadParameter(f"it is longer than {_MAX_SECRET} characters: that is no secret")
    return text


def key_file_option(text: str, *, required: bool = False) -> Callable[[_Command], _Command]:
    """The option that names a file with a troop key; on the command line everyone on the machine could see it."""

    def read(_ctx: click.Context, _param: click.Parameter, file: Any) -> str | None:
        if file is None:
            return None
        with file:
            return str(read_secret(file)).strip()

    return click.option(
        "--key-file", "key", type=click.File(), metavar="FILE", callback=read, required=required, help=text
    )


def json_option(command: _Command) -> _Command:
    """The option that chooses between JSON lines and tables."""

    def choose(_ctx: click.Context, _param: click.Parameter, value: bool | None) -> bool:
        return not sys.stdout.isatty() if value is None else value

    return click.option(
        "--json/--table",
        "as_json",
        default=None,
        callback=choose,
        help="JSON lines or a table. Default: a table on a terminal, JSON lines elsewhere.",
    )(command)


def open_database(path: Path, *, create: bool = False, **options: Any) -> scoutcore.Database:
    """Open the database at *path*; only with *create* is one made where there is none."""
    if not create and not path.exists():
        raise click.ClickException(
            f"there is no database {path}; `scoutcore troops create {shlex.quote(str(path))}` makes one"
        )
    return scoutcore.open(path, create=create, **options)
