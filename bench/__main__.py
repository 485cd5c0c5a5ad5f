"""``python -m bench``: measure, and show the table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import figures
from bench.harness import PEERS, ROOT, Goal, HotPath, Result, Sample, Settings, measure_all
from bench.paths import PATHS

PYTHON_PACKAGES = ("scoutcore", "plyvel", "msgspec", "orjson", "rocksdict", "lmdb", "duckdb", "protobuf", "numpy")
NPM_PACKAGES = ("multibuffer", "dat-replication-protocol", "pinoccio-db", "leveldown", "hypercore", "pouchdb-core")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure scoutcore beside its peers.")
    parser.add_argument("--quick", action="store_true", help="very little of everything, to see that it runs")
    parser.add_argument("--reports", type=int, default=200_000, metavar="N", help="reports to ingest (200,000)")
    parser.add_argument("--log-mib", type=int, default=1024, metavar="N", help="MiB of the log to seek in (1,024)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="processes per contender, at most (5)")
    parser.add_argument("--minutes", type=float, default=15, metavar="N", help="no new round after so long (15)")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="only the path of this name, else those that have it in theirs"
    )
    parser.add_argument("--contender", metavar="NAME", help="only the contender of this name")
    parser.add_argument("--under", default="", metavar="COMMAND", help="run each process under a profiler")
    parser.add_argument(
        "--without", action="append", default=[], metavar="TEXT", help="no contenders with this in their names"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the main ratios there, as SVG or PNG")
    parser.add_argument("--publish", action="store_true", help="put tables and plot into README.md and docs/")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep inputs and databases there")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="scoutcore-bench-"))
    settings = Settings(
        str(work.absolute()),
        reports=options.reports,
        log_mib=options.log_mib,
        rounds=options.rounds,
        under=options.under,
    )
    if options.quick:
        settings = settings.quick()
        options.without.append("scoutcore (python)")
    console = Console()
    if not console.is_terminal:
        console.width = 160
    begin, load = time.monotonic(), os.getloadavg()
    try:
        with Console(stderr=True).status("") as status:
            chosen = choose(options.only, options.contender, options.without)
            results = measure_all(chosen, settings, options.minutes * 60, status.update)
    finally:
        if not options.work:
            shutil.rmtree(work, ignore_errors=True)
    console.print(as_table("What was measured (medians)", SAMPLE_TITLES, sample_rows(results)))
    console.print(as_table("Goals (ratios of speed, of neighbours in time)", GOAL_TITLES, goal_rows(results)))
    for name, reason in missing(results).items():
        console.print(f"not measured: {name}: {reason}", markup=False)
    loads = f"{load[0]:.1f} at the start, {os.getloadavg()[0]:.1f} at the end"
    rounds = max((len(samples) for result in results for samples in result.samples.values()), default=0)
    words = (
        f"{settings.reports:,} reports, {rounds} {'round' if rounds == 1 else 'rounds'},"
        f" {time.monotonic() - begin:,.0f} s; Python {platform.python_version()}; {os.cpu_count()} cores, load"
        f" average {loads}."
    )
    console.print(words)
    if options.plot:
        figures.plot(results, words, options.plot)
    if options.publish:
        figures.put(ROOT / "docs" / "performance.md", "measured", as_markdown(results, words))
        figures.put(ROOT / "README.md", "measured", f"{figures.table(results)}\n{words}\n")
        figures.plot(results, words, ROOT / "docs" / "performance.svg")
    if options.json:
        found = {"settings": asdict(settings) | {"work": ""}, "machine": machine()}
        options.json.write_text(json.dumps(found | {"paths": [result.as_json() for result in results]}, indent=1))
    if not options.contender and any(not any("scoutcore" in name for name in one.samples) for one in results):
        sys.exit("a path of ours could not be measured")


def choose(only: str, contender: str | None, without: list[str]) -> list[HotPath]:
    """The paths and contenders that were asked for."""
    paths = [path for path in PATHS if path.name == only] or [path for path in PATHS if only in path.name]
    return [
        replace(
            path,
            contenders=[
                one
                for one in path.contenders
                if contender in (None, one.name) and not any(text in one.name for text in without)
            ],
        )
        for path in paths
    ]


_MAX_DISK = 10_000
"""More bytes per item than this say nothing about it: the database was there before."""
SAMPLE_TITLES = ("path", "contender", "per second", "each", "p99", "spread", "CPU s", "peak MiB", "disk B/item")
GOAL_TITLES = ("path", "ours", "against", "goal", "measured", "spread", "by CPU", "")


def sample_rows(results: list[Result]) -> Iterator[list[str]]:
    """What was measured: medians; the spread is that of the rates, against their median."""
    for result in results:
        for number, (name, samples) in enumerate(result.samples.items()):
            rates = [sample.rate for sample in samples]
            middle = statistics.median(rates)
            disk = statistics.median(sample.disk_per_item for sample in samples)
            yield [
                "" if number else result.path.name,
                name,
                f"{middle:,.0f} {result.path.items}",
                _duration(statistics.median(sample.seconds_per_item for sample in samples)),
                _late(samples),
                f"{min(rates) / middle:.2f}–{max(rates) / middle:.2f}",
                f"{statistics.median(sample.cpu for sample in samples):.2f}",
                f"{statistics.median(sample.peak_kib for sample in samples) / 1024:,.0f}",
                f"{disk:.1f}" if 0 < disk < _MAX_DISK else "",
            ]


def goal_rows(results: list[Result]) -> Iterator[list[str]]:
    """Goals, and what became of them."""
    for result in results:
        path = result.path
        for goal in path.goals:
            wanted = "" if goal.ratio is None else f"{'≤' if goal.disk else '≥'} {show(goal, goal.ratio)}"
            start = [path.name, goal.ours, f"{goal.peer or ''}{', bytes on disk' * goal.disk}", wanted]
            ratios = result.ratios(goal)
            if not ratios:
                yield [*start, "not measured", "", "", ""]
                continue
            middle = statistics.median(ratios)
            spread = f"{show(goal, min(ratios))}–{show(goal, max(ratios))}"
            met = goal.ratio is None or (middle <= goal.ratio if goal.disk else middle >= goal.ratio)
            busy = "" if goal.disk else show(goal, result.busy(goal))
            yield [*start, show(goal, middle), spread, busy, "" if goal.ratio is None else _verdict(met)]
        peaks = [sample.peak_kib / 1024 for sample in result.samples.get("scoutcore (c)", [])]
        if path.peak_mib and peaks:
            start = [path.name, "scoutcore (c)", "peak memory", f"≤ {path.peak_mib:.0f} MiB"]
            spread = f"{min(peaks):.0f}–{max(peaks):.0f} MiB"
            yield [*start, f"{statistics.median(peaks):.0f} MiB", spread, "", _verdict(max(peaks) <= path.peak_mib)]


def _verdict(met: bool) -> str:
    return "met" if met else "short"


def as_table(title: str, titles: Sequence[str], rows: Iterable[list[str]]) -> Table:
    table = Table(title=title)
    for number, name in enumerate(titles):
        table.add_column(name, justify="left" if number < 2 or name == "against" else "right")
    for row in rows:
        if row[0] and table.row_count and titles is SAMPLE_TITLES:
            table.add_section()
        table.add_row(*row, style="red" if row[-1] == "short" else None)
    return table


def as_markdown(results: list[Result], words: str) -> str:
    """The two tables, and under which conditions they came about."""
    lines = [words]
    for titles, rows in ((GOAL_TITLES, goal_rows(results)), (SAMPLE_TITLES, sample_rows(results))):
        lines += ["", f"| {' | '.join(titles)} |", f"|{' --- |' * len(titles)}"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
    for name, reason in missing(results).items():
        lines += ["", f"Not measured: {name}: {reason}"]
    return "\n".join(lines) + "\n"


def show(goal: Goal, ratio: float) -> str:
    if goal.peer is None:
        return f"{ratio / 1e6:.2f} M/s"
    return f"{ratio:.2f}×" if ratio < 10 else f"{ratio:.1f}×"


def missing(results: list[Result]) -> dict[str, str]:
    return {f"{result.path.name}: {name}": reason for result in results for name, reason in result.missing.items()}


def _duration(seconds: float) -> str:
    if seconds >= 1e-3:
        return f"{seconds * 1e3:,.2f} ms"
    return f"{seconds * 1e9:,.0f} ns" if seconds < 1e-5 else f"{seconds * 1e6:,.1f} µs"


def _late(samples: list[Sample]) -> str:
    """What 99 of 100 items stay under, where each was timed by itself."""
    times = sorted(seconds for sample in samples for seconds in sample.seconds)
    return _duration(times[len(times) * 99 // 100]) if samples[0].count == 1 and len(times) >= 100 else ""


def machine() -> dict[str, Any]:
    """What ran it: kinds and versions, no names."""
    versions = {}
    for name in PYTHON_PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    for name in NPM_PACKAGES:
        package = PEERS / "node_modules" / name / "package.json"
        if package.exists():
            versions[f"npm {name}"] = json.loads(package.read_text())["version"]
    if shutil.which("node"):
        versions["node"] = subprocess.run(
            ["node", "--version"], capture_output=True, text=True, check=True
        ).stdout.strip()
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "versions": versions,
    }


if __name__ == "__main__":
    main()
