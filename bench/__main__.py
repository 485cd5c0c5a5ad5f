"""``python -m bench``: measure, and show the table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.harness import PEERS, Goal, HotPath, Result, Settings, measure
from bench.paths import PATHS

PYTHON_PACKAGES = ("scoutcore", "plyvel", "msgspec", "orjson", "lmdb", "protobuf", "numpy")
NPM_PACKAGES = ("multibuffer", "dat-replication-protocol", "pinoccio-db", "leveldown")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure scoutcore beside its peers.")
    parser.add_argument("--quick", action="store_true", help="very little of everything: to see that it runs")
    parser.add_argument("--reports", type=int, default=200_000, metavar="N", help="reports to ingest (200,000)")
    parser.add_argument("--log-mib", type=int, default=1024, metavar="N", help="MiB of the log to seek in (1,024)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="processes per contender (5)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the paths with this in their names")
    parser.add_argument("--without", metavar="TEXT", help="no contenders with this in their names")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the tables into docs/performance.md")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep inputs and databases there")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="scoutcore-bench-"))
    settings = Settings(str(work.absolute()), reports=options.reports, log_mib=options.log_mib, rounds=options.rounds)
    if options.quick:
        settings = settings.quick()
    console = Console()
    if not console.is_terminal:
        console.width = 160
    begin, load = time.monotonic(), os.getloadavg()
    try:
        with Console(stderr=True).status("") as status:
            chosen = [without(path, options.without) for path in PATHS if options.only in path.name]
            results = [measure(path, settings, status.update) for path in chosen]
    finally:
        if not options.work:
            shutil.rmtree(work, ignore_errors=True)
    console.print(as_table("What was measured (medians)", SAMPLE_TITLES, sample_rows(results)))
    console.print(as_table("Goals (ratios of speed, of neighbours in time)", GOAL_TITLES, goal_rows(results)))
    for name, reason in missing(results).items():
        console.print(f"not measured: {name}: {reason}", markup=False)
    loads = f"{load[0]:.1f} at the start, {os.getloadavg()[0]:.1f} at the end"
    words = (
        f"{settings.reports:,} reports, {settings.rounds} rounds, {time.monotonic() - begin:,.0f} s; Python"
        f" {platform.python_version()}; {os.cpu_count()} cores, load average {loads}."
    )
    console.print(words)
    if options.markdown:
        put_markdown(options.markdown, as_markdown(results, words))
    if options.json:
        found = {"settings": asdict(settings) | {"work": ""}, "machine": machine()}
        options.json.write_text(json.dumps(found | {"paths": [result.as_json() for result in results]}, indent=1))


def without(path: HotPath, text: str | None) -> HotPath:
    return replace(path, contenders=[one for one in path.contenders if not text or text not in one.name])


SAMPLE_TITLES = ("path", "contender", "per second", "each", "spread", "CPU s", "peak MiB", "disk B/item")
GOAL_TITLES = ("path", "ours", "against", "goal", "measured", "spread", "by CPU", "")


def sample_rows(results: list[Result]) -> Iterator[list[str]]:
    """What was measured: medians; the spread is that of the rates, against their median."""
    for result in results:
        for number, (name, samples) in enumerate(result.samples.items()):
            rates = [sample.rate for sample in samples]
            middle = statistics.median(rates)
            disk = statistics.median(sample.disk_bytes / sample.count for sample in samples)
            yield [
                "" if number else result.path.name,
                name,
                f"{middle:,.0f} {result.path.items}",
                _duration(statistics.median(sample.seconds_per_item for sample in samples)),
                f"{min(rates) / middle:.2f}–{max(rates) / middle:.2f}",
                f"{statistics.median(sample.cpu for sample in samples):.2f}",
                f"{statistics.median(sample.peak_kib for sample in samples) / 1024:,.0f}",
                f"{disk:.1f}" if disk else "",
            ]


def goal_rows(results: list[Result]) -> Iterator[list[str]]:
    """Goals, and what became of them."""
    for result in results:
        path = result.path
        for goal in path.goals:
            wanted = "" if goal.ratio is None else f"≥ {show(goal, goal.ratio)}"
            start = [path.name, goal.ours, goal.peer or "", wanted]
            ratios = result.ratios(goal)
            if not ratios:
                yield [*start, "not measured", "", "", ""]
                continue
            middle = statistics.median(ratios)
            spread = f"{show(goal, min(ratios))}–{show(goal, max(ratios))}"
            verdict = "" if goal.ratio is None else _verdict(middle >= goal.ratio)
            yield [*start, show(goal, middle), spread, show(goal, result.busy(goal)), verdict]
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


def put_markdown(file: Path, text: str) -> None:
    """Write *text* between the two markers in *file*."""
    before, _, rest = file.read_text().partition("<!-- measured -->\n")
    _, marker, after = rest.partition("<!-- end -->")
    if not marker:
        raise SystemExit(f"{file} has no lines <!-- measured --> and <!-- end -->")
    file.write_text(f"{before}<!-- measured -->\n{text}{marker}{after}")


def show(goal: Goal, ratio: float) -> str:
    if goal.peer is None:
        return f"{ratio / 1e6:.2f} M/s"
    return f"{ratio:.2f}×" if ratio < 10 else f"{ratio:.1f}×"


def missing(results: list[Result]) -> dict[str, str]:
    return {f"{result.path.name}: {name}": reason for result in results for name, reason in result.missing.items()}


def _duration(seconds: float) -> str:
    return f"{seconds * 1e9:,.0f} ns" if seconds < 1e-5 else f"{seconds * 1e6:,.1f} µs"


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
