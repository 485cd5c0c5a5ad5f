"""``troops`` and ``scouts``: metadata and keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scoutcore.cli.arguments import (
    database_argument,
    fields_argument,
    json_option,
    key_file_option,
    number_argument,
    open_database,
    unset_option,
)
from scoutcore.cli.output import add_row, console, fields_text, new_table, printable, say, write_line
from scoutcore.model import Scout, Troop

_Fields = tuple[tuple[str, Any], ...]


class ListingGroup(click.Group):
    """A group that lists where no subcommand is named: ``troops DB`` is ``troops list DB``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put in the ``list`` that was left out."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["list", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The commands in the order in which one needs them."""
        return list(self.commands)


def _troop_json(troop: Troop) -> dict[str, Any]:
    return {"troop": troop.id, "uid": troop.uid, "fields": troop.fields}


def _scout_json(scout: Scout) -> dict[str, Any]:
    shown = {"troop": scout.troop, "scout": scout.id, "fields": scout.fields}
    return {**shown, "clash": True} if scout.clash else shown


def _show_troop(troop: Troop, as_json: bool) -> None:
    if as_json:
        write_line(_troop_json(troop))
    else:
        click.echo(printable(f"Troop {troop.id}, uid {troop.uid}  {fields_text(troop.fields)}".rstrip()))


def _show_scout(scout: Scout, as_json: bool) -> None:
    if as_json:
        write_line(_scout_json(scout))
    else:
        click.echo(printable(f"Scout {scout.id} of troop {scout.troop}  {fields_text(scout.fields)}".rstrip()))


# --- troops -----------------------------------------------------------------------------------------------------------


@click.group(cls=ListingGroup)
def troops() -> None:
    """List, create and change troops, and their keys.

    `scoutcore troops DB` lists them.

    \b
    Examples:
      scoutcore troops gateway.scout
      scoutcore troops create gateway.scout name=greenhouse
    """  # noqa: D301


@troops.command("list")
@database_argument
@json_option
def troops_list(db: Path, as_json: bool) -> None:
    """List the troops.

    \b
    Examples:
      scoutcore troops gateway.scout
      scoutcore troops list gateway.scout --json
    """  # noqa: D301
    with open_database(db) as database:
        found = list(database.troops)
        clashes = {winner.uid: others for winner, others in database.troops.clashes()}
    table = None if as_json else new_table("troop", "uid", "fields")
    for troop in found:
        if table is None:
            write_line(_troop_json(troop))
        else:
            add_row(table, troop.id, troop.uid, fields_text(troop.fields))
    if table is not None and table.row_count:
        console().print(table)
    if not found:
        say(f"No troops in {db}.")
    for uid, others in clashes.items():
        say(f"A key of troop {uid} is claimed by {', '.join(others)} too.")


@troops.command("create")
@database_argument
@fields_argument
@click.option("--id", type=click.IntRange(min=1), help="The troop's id, if it must be this one. Default: the next.")
@key_file_option("Its key, 32 characters or more, from a file; `-` reads it from a pipe. Default: one is made.")
@click.option("--uid", metavar="UID", help="The uid, instead of the key, of a troop that was created elsewhere.")
@json_option
def troops_create(db: Path, fields: _Fields, id: int | None, key: str | None, uid: str | None, as_json: bool) -> None:
    """Create a troop.

    And the database, if there is none. A key that is made is shown once, now: it is stored nowhere.

    \b
    Examples:
      scoutcore troops create gateway.scout name=greenhouse floor=2
      scoutcore troops create gateway.scout name=attic --id 9
    """  # noqa: D301
    with open_database(db, create=True) as database:
        made = database.troops.create(dict(fields), id=id, key=key, uid=uid)
    new_key = None if key or uid else made.key
    if as_json:
        write_line({**_troop_json(made), **({"key": new_key} if new_key else {})})
        return
    _show_troop(made, as_json)
    if new_key:
        _show_key(new_key)


def _show_key(key: str) -> None:
    click.echo(f"Key {key}\nKeep the key: it is shown only now, and stored nowhere.")


@troops.command("update")
@database_argument
@number_argument("troop")
@fields_argument
@unset_option
@json_option
def troops_update(db: Path, troop: int, fields: _Fields, unset: tuple[str, ...], as_json: bool) -> None:
    """Set and remove fields of a troop's metadata.

    A deleted troop comes back, with all its data. A VALUE is JSON where it can be (2, true, {"lat":50.8}, "2" for the
    string), else a string as it stands.

    \b
    Examples:
      scoutcore troops update gateway.scout 1 name=orangery
      scoutcore troops update gateway.scout 1 'place={"lat":50.8,"lon":4.4}' --unset floor
    """  # noqa: D301
    with open_database(db) as database:
        _show_troop(database.troops.update(troop, dict(fields), unset=unset), as_json)


@troops.command("delete")
@database_argument
@number_argument("troop")
def troops_delete(db: Path, troop: int) -> None:
    """Hide a troop with all its data.

    Here and on every replica. Nothing is erased: an update brings it back.

    \b
    Examples:
      scoutcore troops delete gateway.scout 1
    """  # noqa: D301
    with open_database(db) as database:
        database.troops.delete(troop)
    say(f"Troop {troop} is hidden with all its data; `scoutcore troops update {db} {troop}` brings it back.")


@troops.command("assign-key")
@database_argument
@number_argument("troop")
@key_file_option("The key, 32 characters or more, from a file; `-` reads it from a pipe. Default: one is made.")
@json_option
def troops_assign_key(db: Path, troop: int, key: str | None, as_json: bool) -> None:
    """Let a further key stand for a troop.

    Or again one that was revoked. A key that is made is shown once, now: it is stored nowhere.

    \b
    Examples:
      scoutcore troops assign-key gateway.scout 1
      scoutcore troops assign-key gateway.scout 1 --key-file key.txt
    """  # noqa: D301
    with open_database(db) as database:
        made = database.troops.assign_key(troop, key)
    if key:
        say(f"The key stands for troop {troop}.")
    elif as_json:
        write_line({"troop": troop, "key": made})
    else:
        _show_key(made)


@troops.command("revoke-key")
@database_argument
@number_argument("troop")
@key_file_option("The key, from a file; `-` reads it from a pipe.", required=True)
def troops_revoke_key(db: Path, troop: int, key: str) -> None:
    """Let a key stand for a troop no longer.

    \b
    Examples:
      scoutcore troops revoke-key gateway.scout 1 --key-file key.txt
    """  # noqa: D301
    with open_database(db) as database:
        database.troops.revoke_key(troop, key)
    say(f"The key stands for troop {troop} no longer.")


# --- scouts -----------------------------------------------------------------------------------------------------------


@click.group(cls=ListingGroup)
def scouts() -> None:
    """List, create and change the scouts of a troop.

    `scoutcore scouts DB TROOP` lists them.

    \b
    Examples:
      scoutcore scouts gateway.scout 1
      scoutcore scouts update gateway.scout 1 7 name=door
    """  # noqa: D301


@scouts.command("list")
@database_argument
@number_argument("troop")
@json_option
def scouts_list(db: Path, troop: int, as_json: bool) -> None:
    """List the scouts of a troop: those with metadata or reports.

    \b
    Examples:
      scoutcore scouts gateway.scout 1
      scoutcore scouts list gateway.scout 1 --json
    """  # noqa: D301
    with open_database(db) as database:
        database.troops.get(troop)
        found = database.scouts.list(troop)
    table = None if as_json else new_table("scout", "fields")
    for scout in found:
        if table is None:
            write_line(_scout_json(scout))
        else:
            clash = "  (created by two databases, each on its own)" if scout.clash else ""
            add_row(table, scout.id, fields_text(scout.fields) + clash)
    if table is not None and table.row_count:
        console().print(table)
    if not found:
        say(f"No scouts in troop {troop}.")


@scouts.command("create")
@database_argument
@number_argument("troop")
@fields_argument
@click.option("--id", type=click.IntRange(min=0), help="The scout's number, if it must be this one. Default: the next.")
@json_option
def scouts_create(db: Path, troop: int, fields: _Fields, id: int | None, as_json: bool) -> None:
    """Create a scout and number it.

    Give numbers with --id where several databases add scouts to one troop. Reports need no scout to be created first.

    \b
    Examples:
      scoutcore scouts create gateway.scout 1 name=window
      scoutcore scouts create gateway.scout 1 name=roof --id 40
    """  # noqa: D301
    with open_database(db) as database:
        _show_scout(database.scouts.create(troop, dict(fields), id=id), as_json)


@scouts.command("update")
@database_argument
@number_argument("troop")
@number_argument("scout")
@fields_argument
@unset_option
@json_option
def scouts_update(db: Path, troop: int, scout: int, fields: _Fields, unset: tuple[str, ...], as_json: bool) -> None:
    """Set and remove fields of a scout's metadata.

    A scout that is new is created; a deleted one comes back, with all its data.

    \b
    Examples:
      scoutcore scouts update gateway.scout 1 7 name=door 'height=1.2'
      scoutcore scouts update gateway.scout 1 7 --unset height
    """  # noqa: D301
    with open_database(db) as database:
        _show_scout(database.scouts.update(troop, scout, dict(fields), unset=unset), as_json)


@scouts.command("delete")
@database_argument
@number_argument("troop")
@number_argument("scout")
def scouts_delete(db: Path, troop: int, scout: int) -> None:
    """Hide a scout with all its data.

    Here and on every replica. Nothing is erased: an update brings it back.

    \b
    Examples:
      scoutcore scouts delete gateway.scout 1 7
    """  # noqa: D301
    with open_database(db) as database:
        database.scouts.delete(troop, scout)
    say(f"Scout {scout} is hidden with all its data; `scoutcore scouts update {db} {troop} {scout}` brings it back.")
