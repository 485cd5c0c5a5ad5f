"""``scoutcore demo``: a small living mesh, made up here, and what becomes of it in a database."""

from __future__ import annotations

import math
import shlex
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

import scoutcore
from scoutcore.cli.output import add_row, console, new_table, size_text, utc
from scoutcore.clock import system_time
from scoutcore.errors import Error, ExistsError
from scoutcore.model import Point, Troop

if TYPE_CHECKING:
    from rich.console import Console

TROOP: Final = 1
SCOUTS: Final = {1: "door", 2: "bench", 3: "window", 4: "roof", 5: "pump", 6: "seedlings", 7: "compost", 8: "yard"}
REPORTS: Final = {
    "temp": ("°C", "{c:.1f}"),
    "humidity": ("%", "{percent:.0f}"),
    "light": ("lux", "{lux:,}"),
    "battery": ("V", "{volts:.2f}"),
    "link": ("dBm, hops", "{rssi} {hops}"),
}
HOURS: Final = 48
PLOTTED: Final = 4, "temp"
_MINUTE: Final = 60_000_000
_DAY: Final = 86_400_000_000
_TWICE: Final = 0.04
"""How often a packet comes through the mesh on two ways."""

# --- the mesh ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reboot:
    """A scout is off for a while, and counts its clock from 0 again."""

    scout: int
    minute: int
    minutes_off: int


def mesh(now: int, random: Random, hours: int = HOURS) -> list[bytes]:
    """What a gateway hears of the mesh in the *hours* up to *now* (µs): NDJSON lines, in the order of arrival."""
    minutes = hours * 60
    reboots = [
        Reboot(4, minutes * 3 // 8, 95),  # its battery is flat before the sun is up
        Reboot(2, minutes // 5, 2),
        Reboot(2, minutes // 5 + 9, 1),
    ]
    heard: list[tuple[int, bytes]] = []
    for scout in SCOUTS:
        for t, boot, ms in _readings(scout, now - minutes * _MINUTE, minutes, reboots):
            packet = list(zip(REPORTS, _values(scout, t, random), strict=True))
            delays = [random.randrange(20_000, 60_000)]
            if random.random() < _TWICE:
                delays.append(delays[0] + random.randrange(100_000, 2_000_000))
            for delay in delays:
                arrival = t + delay // 1000 * 1000
                for name, data in packet:
                    line = (
                        f'{{"troop":{TROOP},"scout":{scout},"report":"{name}","data":{data},'
                        f'"t":{arrival // 1000},"b":{boot},"ms":{ms}}}'
                    )
                    heard.append((arrival, line.encode()))
    heard.sort(key=lambda one: one[0])
    return [line for _, line in heard]


def _readings(scout: int, start: int, minutes: int, reboots: list[Reboot]) -> Iterator[tuple[int, int, int]]:
    """Time (µs), boot and ms of every reading of a scout: one a minute."""
    boot = 1
    booted = -scout * 977  # long before
    off_until = 0
    ahead = {one.minute: one for one in reboots if one.scout == scout}
    for minute in range(minutes):
        if minute in ahead:
            boot += 1
            booted = off_until = minute + ahead[minute].minutes_off
        if minute >= off_until:
            yield start + minute * _MINUTE + scout * 7_300_000, boot, (minute - booted) * 60_000 + scout * 11


def _values(scout: int, t: int, random: Random) -> tuple[str, ...]:
    """What the scout measures, as JSON."""
    day = t % _DAY / _DAY
    sun = max(0.0, math.sin(2 * math.pi * (day - 0.25))) * (1.6 if scout in (3, 4, 8) else 1.0)
    lag = math.sin(2 * math.pi * (day - 0.36 - scout % 3 * 0.01))
    temp = 17.5 + scout % 4 + (5 + scout % 3) * lag + 0.6 * math.sin(day * 50 + scout) + random.gauss(0, 0.08)
    humidity = min(99.0, max(20.0, 68 - 2.1 * (temp - 18) + 3 * math.sin(day * 37 + scout) + random.gauss(0, 0.4)))
    light = 21_000 * sun**1.4 * (0.85 + 0.15 * math.sin(t / 4e8)) + random.random() * 3
    volts = 3.72 + 0.24 * sun - 0.03 * (scout % 3) + 0.05 * lag
    return (
        f'{{"c":{temp:.2f}}}',
        f'{{"percent":{humidity:.1f}}}',
        f'{{"lux":{light:.0f}}}',
        f'{{"volts":{volts:.3f}}}',
        f'{{"rssi":{round(random.gauss(-52 - 4 * scout, 2))},"hops":{1 + scout // 3}}}',
    )


# --- the show ---------------------------------------------------------------------------------------------------------


def run(directory: Path, *, force: bool = False) -> None:
    """Make the mesh, put it into a new database in *directory*, and show it.

    Raises:
        ExistsError: *directory* exists; with *force*, it is not a database that the demo left.
    """
    if directory.exists():
        _make_room(directory, force)
    screen = console()
    screen.print()
    try:
        with scoutcore.open(directory) as db:
            twice = _ingest(db, screen)
            _show_last(db, screen)
            _show_history(db, screen)
            _show_receptions(db, screen, twice)
            _show_files(db, screen, directory)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    _show_next(screen, directory)


def _make_room(directory: Path, force: bool) -> None:
    if not force:
        raise ExistsError(f"{directory} exists: name another directory, or replace it with --force")
    try:
        with scoutcore.open(directory, create=False) as db:
            ours = all(troop.fields.get("demo") is True for troop in db.troops)
    except Error as problem:
        raise ExistsError(f"{directory} is not replaced: {problem}") from None
    if not ours:
        raise ExistsError(f"{directory} is not replaced: it holds more than the demo's troop")
    shutil.rmtree(directory)


def _heading(screen: Console, text: str) -> None:
    from rich.rule import Rule
    from rich.text import Text

    screen.print(Rule(Text(f" {text} ", "bold"), align="left", style="green", characters="─"))


def _ingest(db: scoutcore.Database, screen: Console) -> Point:
    """Fill the database; returns a point of which there are two receptions."""
    from rich.text import Text

    _heading(screen, "A troop, which is a mesh; its scouts are the nodes")
    troop = db.troops.create(name="greenhouse", demo=True)
    for scout, name in SCOUTS.items():
        db.scouts.update(TROOP, scout, name=name)
    _show_troop(troop, screen)

    lines = mesh(system_time(), Random(20061113))  # noqa: S311
    ndjson = b"\n".join(lines)
    begin = time.perf_counter()
    result = db.ingest(ndjson)
    seconds = time.perf_counter() - begin
    _heading(screen, f"{HOURS} hours of reports, as the gateway heard them")
    screen.print(Text(lines[-1].decode(), "dim"), no_wrap=True, overflow="ellipsis")
    stored = sum(points for *_, points, _ in db.counts())
    screen.print(
        Text.assemble(
            (f"{result.accepted:,}", "bold"),
            f" reports ({size_text(len(ndjson))}) are in the log and in both views after ",
            (f"{seconds:.2f} s", "bold"),
            f":\n{result.accepted / seconds:,.0f} a second, in {'C' if scoutcore.backend == 'c' else 'pure Python'}. ",
            (f"{result.accepted - stored:,}", "bold"),
            " are readings heard twice.\n",
        )
    )
    return _heard_twice(db)


def _show_troop(troop: Troop, screen: Console) -> None:
    from rich.text import Text

    assert troop.key is not None
    screen.print(
        Text.assemble(
            "id   ",
            (f"{troop.id:<34}", "bold cyan"),
            ("in this database, increments\n", "dim"),
            "uid  ",
            (f"{troop.uid:<34}", "bold cyan"),
            ("everywhere, derived from the key\n", "dim"),
            "key  ",
            (f"{troop.key:<34}", "bold yellow"),
            ("secret; shown now and never again\n", "dim"),
        )
    )


def _heard_twice(db: scoutcore.Database) -> Point:
    for point in db.history(TROOP, 1, "temp", reverse=True):
        assert point.boot is not None
        assert point.ms is not None
        if len(db.receptions(TROOP, 1, "temp", boot=point.boot, ms=point.ms)) > 1:
            return point
    raise AssertionError("the mesh has readings that are heard twice")


def _show_last(db: scoutcore.Database, screen: Console) -> None:
    _heading(screen, "The last known values: one contiguous read")
    table = new_table("scout", "", *REPORTS)
    table.columns[1].style = "bold"
    for number, scout in db.snapshot(TROOP).scouts.items():
        values = [text.format(**scout.reports[name].data) for name, (_, text) in REPORTS.items()]
        add_row(table, number, scout.scout.name, *values)
    for column, (unit, _) in zip(table.columns[2:], REPORTS.values(), strict=True):
        column.header = f"{column.header} {unit}"
        column.justify = "right"
    screen.print(table)
    screen.print()


def _show_history(db: scoutcore.Database, screen: Console) -> None:
    from rich.text import Text

    scout, report = PLOTTED
    begin = time.perf_counter()
    points = list(db.history(TROOP, scout, report))
    milliseconds = (time.perf_counter() - begin) * 1000
    _heading(screen, f"History: {report} of the {SCOUTS[scout]}, {len(points):,} points read in {milliseconds:.0f} ms")
    width = min(screen.width, 100) - 8
    styles = ("red", "yellow", "yellow", "green", "green", "cyan", "cyan", "blue")
    values = [(point.t, float(point.data["c"])) for point in points]
    for line, style in zip(plot(values, width), styles, strict=True):
        screen.print(Text.assemble((line[:7], "dim"), (line[7:], style)))
    first, last = utc(points[0].t)[:16], utc(points[-1].t)[:16]
    screen.print(Text(f"       {first}{last:>{width - len(first)}}", "dim"))
    off, on = next((one, two) for one, two in pairwise(points) if one.boot != two.boot)
    minutes = (on.t - off.t) // _MINUTE
    screen.print(
        f"Off for {minutes} minutes: boot {off.boot} ended at ms {off.ms}, boot {on.boot} began at ms {on.ms}.\n"
    )


def plot(points: Iterable[tuple[int, float]], width: int, height: int = 8) -> list[str]:
    """Lines of block characters: the mean of the points in every column; a column without points stays empty."""
    points = list(points)
    first, last = points[0][0], points[-1][0]
    columns: list[list[float]] = [[] for _ in range(width)]
    for t, value in points:
        columns[(t - first) * (width - 1) // max(last - first, 1)].append(value)
    means = [sum(values) / len(values) if values else None for values in columns]
    known = [mean for mean in means if mean is not None]
    low, high = min(known), max(known)
    step = (high - low or 1.0) / (height * 8 - 1)
    levels = [0 if mean is None else 1 + round((mean - low) / step) for mean in means]
    lines = []
    for row in range(height - 1, -1, -1):
        label = {height - 1: f"{high:6.1f} ", 0: f"{low:6.1f} "}.get(row, " " * 7)
        blocks = (" ▁▂▃▄▅▆▇█"[min(max(level - row * 8, 0), 8)] for level in levels)
        lines.append(label + "".join(blocks))
    return lines


def _show_receptions(db: scoutcore.Database, screen: Console, point: Point) -> None:
    _heading(screen, "Heard twice, kept once, and every reception can be listed")
    assert point.boot is not None
    assert point.ms is not None
    table = new_table("reading", "heard at", "log", "change", "index")
    receptions = db.receptions(TROOP, point.scout, point.report, boot=point.boot, ms=point.ms)
    for reception in receptions:
        name = f"{point.report} of the {SCOUTS[point.scout]}, boot {point.boot}, ms {point.ms}"
        add_row(table, name, utc(reception.t)[11:], reception.log[:8] + "…", reception.change, reception.index)
    screen.print(table)
    screen.print()


def _show_files(db: scoutcore.Database, screen: Console, directory: Path) -> None:
    changes = db.pack()
    stats = db.stats()
    _heading(screen, f"On disk: {changes:,} changes of the log, packed for anyone to replicate")
    table = new_table("", "", "")
    table.show_header = False
    table.columns[0].style = "cyan"
    table.columns[1].justify = "right"
    table.columns[2].style = "dim"
    add_row(table, "db/", size_text(stats.db_bytes or 0), "last values, history, metadata")
    for path in sorted((directory / "changes").rglob("*.changes")):
        add_row(table, f"changes/{path.parent.name[:8]}…/{path.name}", size_text(path.stat().st_size), "the log")
    screen.print(table)
    screen.print()


def next_commands(directory: Path) -> list[str]:
    """Commands to try on the database that the demo leaves."""
    db = shlex.quote(str(directory))
    return [
        f"scoutcore snapshot {db}",
        f"scoutcore history {db} 1 3 temp --reverse --limit 5",
        f"scoutcore history {db} 1 3 temp --start -6h | tail -1",
        f"""echo '{{"troop":1,"scout":9,"report":"temp","data":21.5}}' | scoutcore ingest {db} -""",
        f"scoutcore last {db} 1 9",
        f"scoutcore log cat {db} --json | head -2",
        f"scoutcore stats {db}",
        "scoutcore --help",
    ]


def _show_next(screen: Console, directory: Path) -> None:
    from rich.text import Text

    _heading(screen, f"{directory} is yours to play with")
    for command in next_commands(directory):
        screen.print(Text.assemble("  ", (command, "bold")), soft_wrap=True)
    screen.print()
