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
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="processes per contender (5)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the paths with this in their names")
    parser.add_argument("--without", metavar="TEXT", help="no contenders with this in their names")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep inputs and databases there")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="scoutcore-bench-"))
    settings = Settings(str(work.absolute()), reports=options.reports, rounds=options.rounds)
    if options.quick:
        settings = settings.quick()
    console = Console()
    if not console.is_terminal:
        console.width = 160
    begin = time.monotonic()
    try:
        with Console(stderr=True).status("") as status:
            chosen = [without(path, options.without) for path in PATHS if options.only in path.name]
            results = [measure(path, settings, status.update) for path in chosen]
    finally:
        if not options.work:
            shutil.rmtree(work, ignore_errors=True)
    console.print(samples_table(results))
    console.print(goals_table(results))
    for name, reason in missing(results).items():
        console.print(f"not measured: {name}: {reason}", markup=False)
    console.print(
        f"{settings.reports:,} reports, {settings.rounds} rounds, {time.monotonic() - begin:,.0f} s; load average at"
        f" the end {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    if options.json:
        found = {"settings": asdict(settings) | {"work": ""}, "machine": machine()}
        options.json.write_text(json.dumps(found | {"paths": [result.as_json() for result in results]}, indent=1))


def without(path: HotPath, text: str | None) -> HotPath:
    return replace(path, contenders=[one for one in path.contenders if not text or text not in one.name])


def samples_table(results: list[Result]) -> Table:
    table = Table("path", "contender", title="What was measured (medians)")
    for title in ("per second", "each", "spread", "CPU s", "peak MiB", "disk B/item"):
        table.add_column(title, justify="right")
    for result in results:
        for number, (name, samples) in enumerate(result.samples.items()):
            rates = [sample.rate for sample in samples]
            each = statistics.median(sample.seconds_per_item for sample in samples)
            disk = statistics.median(sample.disk_bytes / sample.count for sample in samples)
            table.add_row(
                "" if number else result.path.name,
                name,
                f"{statistics.median(rates):,.0f} {result.path.items}",
                _duration(each),
                f"{min(rates) / statistics.median(rates):.2f}–{max(rates) / statistics.median(rates):.2f}",
                f"{statistics.median(sample.cpu for sample in samples):.2f}",
                f"{statistics.median(sample.peak_kib for sample in samples) / 1024:,.0f}",
                f"{disk:.1f}" if disk else "",
            )
        table.add_section()
    return table


def goals_table(results: list[Result]) -> Table:
    table = Table("path", "ours", "against", title="Goals (ratios of speed, of neighbours in time)")
    for title in ("goal", "measured", "spread", "by CPU", ""):
        table.add_column(title, justify="right")
    for result in results:
        for goal in result.path.goals:
            ratios = result.ratios(goal)
            if not ratios:
                table.add_row(
                    result.path.name, goal.ours, goal.peer or "", f"≥ {show(goal, goal.ratio)}", "not measured"
                )
                continue
            middle = statistics.median(ratios)
            table.add_row(
                result.path.name,
                goal.ours,
                goal.peer or "",
                f"≥ {show(goal, goal.ratio)}",
                show(goal, middle),
                f"{show(goal, min(ratios))}–{show(goal, max(ratios))}",
                show(goal, result.busy(goal)),
                "[green]met" if middle >= goal.ratio else "[red]short",
            )
        peaks = [sample.peak_kib / 1024 for sample in result.samples.get("scoutcore (c)", [])]
        if result.path.peak_mib and peaks:
            table.add_row(
                result.path.name,
                "scoutcore (c)",
                "peak memory",
                f"≤ {result.path.peak_mib:.0f} MiB",
                f"{statistics.median(peaks):.0f} MiB",
                f"{min(peaks):.0f}–{max(peaks):.0f}",
                "",
                "[green]met" if statistics.median(peaks) <= result.path.peak_mib else "[red]short",
            )
    return table


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
