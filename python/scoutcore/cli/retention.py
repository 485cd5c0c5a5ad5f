"""``retention``, ``expire`` and ``log drop``: how long readings are kept, and changes files."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from scoutcore.cli.arguments import UNITS, database_argument, json_option, moment, open_database
from scoutcore.cli.metadata import ListingGroup
from scoutcore.cli.output import add_row, console, new_table, say, utc, write_line
from scoutcore.model import milliseconds
from scoutcore.retention import Rule

_DURATION = re.compile(rf"([1-9][0-9]{{0,8}})({'|'.join(UNITS)})")
_FOR_EVER = "forever"


def duration(value: str) -> timedelta:
    """The span of time that *value* says."""
    if value == _FOR_EVER:
        return timedelta.max
    found = _DURATION.fullmatch(value)
    if not found:
        raise click.BadParameter(f"{value!r} is not a span of time such as 90m, 36h, 30d, 52w, or {_FOR_EVER}.")
    return timedelta(microseconds=int(found[1]) * UNITS[found[2]])


_report_option = click.option("--report", metavar="REPORT", help="Of this report only. Default: of every report.")


def _show_expired(went: int, as_json: bool) -> None:
    if as_json:
        write_line({"expired": went})
    else:
        say(f"{went:,} arrivals of readings expired.")


@click.group(cls=ListingGroup)
def retention() -> None:
    """Say how long readings are kept.

    `scoutcore retention DB` lists the rules.

    \b
    Examples:
      scoutcore retention gateway.scout
      scoutcore retention set gateway.scout --report debug --keep 30d
    """  # noqa: D301


@retention.command("list")
@database_argument
@json_option
def retention_list(db: Path, as_json: bool) -> None:
    """List the rules, and before when all has expired.

    \b
    Examples:
      scoutcore retention gateway.scout
      scoutcore retention list gateway.scout --json
    """  # noqa: D301
    with open_database(db) as database:
        rules = database.retention
    table = None if as_json else new_table("report", "keep", "expired before (UTC)")
    for rule in rules:
        if table is None:
            write_line(_rule_json(rule))
        else:
            before = "" if rule.before is None else utc(rule.before)
            add_row(table, "(every)" if rule.report is None else rule.report, _keep_text(rule), before)
    if table is not None and table.row_count:
        console().print(table)
    if not rules:
        say(f"No rules in {db}: everything is kept.")


def _keep_text(rule: Rule) -> str | None:
    if rule.keep is None:
        return None
    return _FOR_EVER if rule.for_ever else str(rule.keep)


def _rule_json(rule: Rule) -> dict[str, Any]:
    keep = None if rule.keep is None else _FOR_EVER if rule.for_ever else rule.keep.total_seconds()
    before = None if rule.before is None else milliseconds(rule.before)
    return {"report": rule.report, "keep_s": keep, "before": before}


@retention.command("set")
@database_argument
@_report_option
@click.option("--keep", metavar="SPAN", type=duration, required=True, help="How long: 90m, 36h, 30d, 52w, or forever.")
@json_option
def retention_set(db: Path, report: str | None, keep: timedelta, as_json: bool) -> None:
    """Keep readings for so long, and no longer.

    Counted from the time of a reading, by this machine's clock. What is older expires, at once and as time goes by: it
    is gone from history and last values. The log keeps it.

    \b
    Examples:
      scoutcore retention set gateway.scout --report debug --keep 30d
      scoutcore retention set gateway.scout --keep forever
    """  # noqa: D301
    with open_database(db) as database:
        _show_expired(database.retain(keep, report=report), as_json)


@retention.command("rm")
@database_argument
@_report_option
def retention_rm(db: Path, report: str | None) -> None:
    """Take a rule away; what has expired stays so.

    \b
    Examples:
      scoutcore retention rm gateway.scout --report debug
    """  # noqa: D301
    with open_database(db) as database:
        database.retain(None, report=report)


@click.command()
@database_argument
@click.option(
    "--before", metavar="TIME", type=moment, help="What is before it expires too. Default: what the rules say."
)
@_report_option
@click.option("--compact", is_flag=True, help="Have LevelDB give the space back now, rather than as it goes along.")
@json_option
def expire(db: Path, before: int | None, report: str | None, compact: bool, as_json: bool) -> None:
    """Let readings expire: those before a time, and by the rules.

    Now, and whenever such a reading is received. They are gone from history and last values; the log keeps them.

    \b
    Examples:
      scoutcore expire gateway.scout
      scoutcore expire gateway.scout --before 2001-01-01T00:00Z --report debug
      scoutcore expire gateway.scout --compact
    """  # noqa: D301
    with open_database(db) as database:
        _show_expired(database.expire(before=before, report=report, compact=compact), as_json)


@click.command("drop")
@database_argument
@click.option("--before", metavar="TIME", type=moment, required=True, help="Files in which all was written before it.")
@json_option
def log_drop(db: Path, before: int, as_json: bool) -> None:
    """Delete the oldest changes files here.

    What they brought still shows, but cannot be replicated from here any more, and readings in them cannot be shown
    again after damage. The newest file of each log stays; other databases keep theirs. Pack first.

    \b
    Examples:
      scoutcore log drop gateway.scout --before 2001-01-01T00:00Z
    """  # noqa: D301
    with open_database(db) as database:
        dropped = database.drop_changes(before)
    if as_json:
        write_line({"changes": dropped})
    else:
        say(f"{dropped:,} changes dropped.")
