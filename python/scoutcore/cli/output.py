"""The two faces of output: JSON lines for programs, tables for people."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from scoutcore.model import EPOCH, Point, encode_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

TIME: Final = "time (UTC)"
MAX_ROWS: Final = 1000
"""Rows of a table; JSON lines have no limit."""
_TEXTS: Final = frozenset(("data", "fields", "report"))
_STYLES: Final = {"report": "cyan", TIME: "dim", "boot": "dim", "ms": "dim", "log": "dim"}
_NUMBERS: Final = frozenset(
    (
        "troop",
        "scout",
        "boot",
        "ms",
        "scouts",
        "reports",
        "readings",
        "arrivals",
        "changes",
        "packed",
        "change",
        "index",
        "first",
        "last",
        "bytes",
        "intervals",
        "open bytes",
        "damages",
    )
)
POINT_COLUMNS: Final[dict[str, Callable[[Point], object]]] = {
    "troop": lambda point: point.troop,
    "scout": lambda point: point.scout,
    "report": lambda point: point.report,
    TIME: lambda point: utc(point.t),
    "boot": lambda point: point.boot,
    "ms": lambda point: point.ms,
    "data": lambda point: point.raw.decode("utf-8", "backslashreplace"),
}


def write_line(item: bytes | dict[str, Any]) -> None:
    """Write one JSON line to standard output."""
    sys.stdout.buffer.write((item if isinstance(item, bytes) else encode_json(item)) + b"\n")


def say(text: str) -> None:
    """Tell the user something, on standard error."""
    print(printable(text), file=sys.stderr)  # not click.echo, which would write into a live progress bar


def printable(text: str) -> str:
    """*text* with everything escaped by which stored data could move a terminal's cursor."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def console(*, stderr: bool = False) -> Console:
    """Where tables and progress go."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, emoji=False, markup=False)


def new_table(*columns: str) -> Table:
    """A table in the one style of all. Where it is too wide, the columns of free text give way."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in columns:
        table.add_column(
            name,
            no_wrap=name not in _TEXTS,
            overflow="ellipsis",
            justify="right" if name in _NUMBERS else "left",
            style=_STYLES.get(name),
        )
    return table


def add_row(table: Table, *cells: object) -> None:
    """Add a row. What is in the cells is never read as markup."""
    from rich.text import Text

    texts = ["" if cell is None else printable(str(cell)) for cell in cells]
    table.add_row(*[Text(text, no_wrap=True, overflow="ellipsis") for text in texts])


def show_points(points: Iterable[Point], as_json: bool, *columns: str) -> int:
    """Show points as JSON lines, or as a table with *columns* of :data:`POINT_COLUMNS`; returns how many."""
    if as_json:
        count = 0
        for point in points:
            write_line(point.to_json())
            count += 1
        return count
    points = iter(points)
    table = new_table(*columns)
    for point in islice(points, MAX_ROWS):
        add_row(table, *(POINT_COLUMNS[name](point) for name in columns))
    if table.row_count:
        console().print(table)
    if next(points, None) is not None:
        say(f"These are the first {MAX_ROWS:,}; --json gives all.")
    return table.row_count


def fields_text(fields: dict[str, Any]) -> str:
    """Metadata in one line."""
    values = (
        (name, value if isinstance(value, str) else encode_json(value).decode()) for name, value in fields.items()
    )
    return "  ".join(f"{name}={value}" for name, value in values)


def utc(t: int) -> str:
    """*t* (µs) for people: to the millisecond, or to the microsecond where it has some."""
    try:
        time = EPOCH + timedelta(microseconds=t)
    except OverflowError:
        return f"{Decimal(t) / 1000} ms"
    return time.replace(tzinfo=None).isoformat(" ", "microseconds" if t % 1000 else "milliseconds")


def size_text(size: int) -> str:
    """A number of bytes for people."""
    amount = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} TB"
