"""``python -m bench.growth``: how cost grows, with reports and series, and sync with logs and with what is to be sent.

One sample each, in a process of its own; what to look at is how a column changes from row to row.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import scoutcore
from bench import figures, ours
from bench.harness import ROOT, disk_bytes
from bench.serving import Serving
from bench.worker import peak_kib

REPORTS = (1_000_000, 5_000_000, 20_000_000)
SERIES = (500, 50_000, 1_000_000)
LOGS = (1, 10, 100, 1000)
BACKLOGS = (0, 1000, 10_000, 100_000)
START_MS = 1_700_000_000_000
NAMES = (b"temp", b"humidity", b"battery", b"light", b"pressure")
PIECE = 50_000
SESSIONS = 5


# --- what is measured, each in a process ------------------------------------------------------------------------------


def lines(reports: int, series: int) -> Iterator[bytes]:
    """Reports of *series* series in turn, each once a second, with values at random."""
    for begin in range(0, reports, PIECE):
        end = min(begin + PIECE, reports)
        values = random.Random(begin).choices(range(10_000), k=end - begin)
        yield b"".join(
            b'{"troop":1,"scout":%d,"report":"%b","data":{"value":%.2f},"t":%d}\n'
            % (
                number % series // 5 + 1,
                NAMES[number % 5],
                value / 100,
                START_MS + number // series * 1000 + number % 1000,
            )
            for number, value in zip(range(begin, end), values, strict=True)
        )


def ingest(work: str, file: str) -> dict[str, float]:
    """Ingest a file; then pack, close, and open again."""
    path = Path(work, "growth")
    with ours.create(path) as db:
        begin, begin_cpu = time.perf_counter(), time.process_time()
        taken = db.ingest(file).accepted
        seconds, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
        db.pack()
    peak = peak_kib()
    begin = time.perf_counter()
    scoutcore.open(path).close()
    opened = time.perf_counter() - begin
    return {
        "reports/s": taken / seconds,
        "CPU µs": cpu / taken * 1e6,
        "disk B": disk_bytes(path) / taken,
        "MiB": peak / 1024,
        "open ms": opened * 1e3,
    }


def clone(work: str, reports: int) -> dict[str, float]:
    """Clone it over loopback; then see that it is in sync, a few times."""
    with Serving(Path(work, "growth")) as far, scoutcore.open(Path(work, "growth-near")) as db:
        begin = time.perf_counter()
        db.sync(far.url).wait()
        seconds = time.perf_counter() - begin
        checks = [_timed(lambda: db.sync(far.url).wait()) for _ in range(SESSIONS)]
    return {
        "clone/s": reports / seconds,
        "near MiB": peak_kib() / 1024,
        "far MiB": far.peak_kib / 1024,
        "in sync ms": statistics.median(checks) * 1e3,
    }


def sync(work: str, logs: int, backlog: int) -> dict[str, float]:
    """A clone of so many logs; then of so many changes more, of all logs in turn."""
    with Serving(Path(work, "growth")) as far, scoutcore.open(Path(work, "growth-near")) as db:
        far.call("write_logs", logs)
        first = _timed(lambda: db.sync(far.url).wait())
        if backlog:
            far.call("report_each", backlog, 1000)
        seconds = _timed(lambda: db.sync(far.url).wait())
        check = statistics.median(_timed(lambda: db.sync(far.url).wait()) for _ in range(SESSIONS))
        assert len(db.stats().logs) >= logs
    found = {"clone ms": first * 1e3, "in sync ms": check * 1e3, "MiB": max(peak_kib(), far.peak_kib) / 1024}
    return found | ({"catch up ms": seconds * 1e3, "µs/change": seconds / backlog * 1e6} if backlog else {})


def _timed(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


# --- tables -----------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """Where it is measured, and what came out."""

    work: Path
    rows: list[dict[str, Any]]

    def measure(self, what: dict[str, Any], *calls: tuple[Callable[..., dict[str, float]], tuple[Any, ...]]) -> None:
        """A row: what it is about, and what the functions called for it, each in a new process, have measured."""
        row = dict(what)
        for name in ("growth", "growth-near"):
            shutil.rmtree(self.work / name, ignore_errors=True)
        for function, arguments in calls:
            with get_context("spawn").Pool(1) as pool:
                row |= pool.apply(function, (str(self.work), *arguments))
        self.rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)


def grow(run: Run, reports: Iterable[int], series: Iterable[int]) -> None:
    for count in reports:
        for kinds in series:
            file = run.work / "growth.ndjson"
            with file.open("wb") as out:
                out.writelines(lines(count, kinds))
            calls = (ingest, (str(file),)), (clone, (count,))
            run.measure({"reports": count, "series": kinds}, *calls)
            file.unlink()


def sync_all(run: Run, logs: Iterable[int], backlogs: Iterable[int]) -> None:
    for count in logs:
        run.measure({"logs": count, "backlog": 0}, (sync, (count, 0)))
    for backlog in backlogs:
        if backlog:
            run.measure({"logs": 1, "backlog": backlog}, (sync, (1, backlog)))


def as_markdown(rows: list[dict[str, Any]]) -> str:
    titles = list(dict.fromkeys(title for row in rows for title in row))
    text = [f"| {' | '.join(titles)} |", f"|{' ---: |' * len(titles)}"]
    text += [f"| {' | '.join(_shown(row.get(title)) for title in titles)} |" for row in rows]
    return "\n".join(text) + "\n"


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 or isinstance(value, int) else f"{value:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description="Measure how cost grows.")
    parser.add_argument("--reports", type=int, nargs="*", default=REPORTS, metavar="N", help="databases of so many")
    parser.add_argument("--series", type=int, nargs="*", default=SERIES, metavar="N", help="each with so many series")
    parser.add_argument("--logs", type=int, nargs="*", default=LOGS, metavar="N", help="sync of so many logs")
    parser.add_argument("--backlogs", type=int, nargs="*", default=BACKLOGS, metavar="N", help="with so many changes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured there")
    parser.add_argument("--publish", action="store_true", help="put the tables into docs/performance.md")
    parser.add_argument("--work", type=Path, metavar="DIR", help="where there is room: 5 GB for 20,000,000 reports")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="scoutcore-bench-", dir=options.work))
    data, syncs = Run(work, []), Run(work, [])
    try:
        grow(data, options.reports, options.series)
        sync_all(syncs, options.logs, options.backlogs)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    text = "\n".join(as_markdown(run.rows) for run in (data, syncs) if run.rows)
    print(text)
    if options.json:
        options.json.write_text(json.dumps({"growth": data.rows, "sync": syncs.rows}, indent=1))
    if options.publish:
        figures.put(ROOT / "docs" / "performance.md", "growth", text)


if __name__ == "__main__":
    main()
