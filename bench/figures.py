"""The main figures, for the README: a small table, and a plot of the ratios."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from bench.harness import Goal, Result

OURS = "scoutcore (c)"
MAIN = {
    "ingest: NDJSON file": "NDJSON ingest",
    "ingest: NDJSON file with boot/ms": "the same, with boot and ms",
    "batches of 1,000: NDJSON": "NDJSON, 1,000 reports at a time",
    "report(): one at a time": "single reports",
    "last value": "a last value",
    "history: to columns": "history to columns",
    "history: a window of 1 %": "history, a window of 1 %",
    "clone over loopback TCP": "clone over TCP",
    "live, beside 50,000 reports/s: until a peer sees it": "live, beside 50,000 reports/s",
    "disk: NDJSON": "bytes on disk",
}
"""Paths, and what the README calls them."""


@dataclass(frozen=True)
class Ratio:
    """How many times as fast as a peer ours is, in each round; of the disk, how many times as small."""

    peer: str
    values: list[float]

    @property
    def middle(self) -> float:
        return statistics.median(self.values)


def ratios(result: Result) -> list[Ratio]:
    """Ours against everybody else's, the greatest first."""
    found = [_ratio(result, goal) for goal in result.path.goals if goal.ours == OURS and _foreign(goal)]
    return sorted((one for one in found if one.values), key=lambda one: -one.middle)


def _foreign(goal: Goal) -> bool:
    return goal.peer is not None and not goal.peer.startswith("scoutcore")


def _ratio(result: Result, goal: Goal) -> Ratio:
    values = result.ratios(goal)
    return Ratio(goal.peer or "", [1 / value for value in values] if goal.disk else values)


def main_results(results: list[Result]) -> Iterator[tuple[str, Result]]:
    by_name = {result.path.name: result for result in results if OURS in result.samples}
    for name, title in MAIN.items():
        if name in by_name:
            yield title, by_name[name]


# --- table ------------------------------------------------------------------------------------------------------------


def table(results: list[Result]) -> str:
    lines = ["| | scoutcore | beside others |", "| --- | --- | --- |"]
    for title, result in main_results(results):
        beside = ", ".join(f"{one.peer} {times(one.middle)}" for one in ratios(result))
        lines.append(f"| {title} | {_figure(result)} | {beside} |")
    return "\n".join(lines) + "\n"


def _figure(result: Result) -> str:
    samples = result.samples[OURS]
    if result.path.name.startswith("disk"):
        return f"{statistics.median(sample.disk_per_item for sample in samples):.1f} bytes a report"
    if samples[0].count == 1:
        every = sorted(seconds for sample in samples for seconds in sample.seconds)
        middle, late = (every[len(every) * part // 100] * 1000 for part in (50, 99))
        return f"{middle:.1f} ms, 99 % in {late:.1f} ms"
    each = statistics.median(sample.seconds_per_item for sample in samples)
    if result.path.items in ("calls", "windows"):
        return f"{each * 1e6:.1f} µs"
    return f"{1 / each / 1e6:.2f} million {result.path.items}/s"


def times(ratio: float) -> str:
    return f"{ratio:.0f}×" if ratio >= 10 else f"{ratio:.1f}×" if ratio >= 1 else f"{ratio:.2f}×"


def put(file: Path, name: str, text: str) -> None:
    """Write *text* between the markers ``<!-- name -->`` and ``<!-- end -->`` in *file*."""
    before, found, rest = file.read_text().partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    if not end:
        raise SystemExit(f"{file} has no lines <!-- {name} --> and <!-- end -->")
    file.write_text(f"{before}{found}{text}{end}{after}")


# --- plot -------------------------------------------------------------------------------------------------------------

_ROW_INCHES = 0.21
_COLORS = ("#1f6f8b", "#c8553d")
"""Faster than the peer, and slower."""


def plot(results: list[Result], words: str, file: Path) -> None:
    """Every ratio as a dot, its spread as a line; *words*, below, say under which conditions."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "scoutcore", "font.size": 9, "axes.spines.right": False}
    from matplotlib import pyplot as plt

    rows: list[tuple[str, Ratio | None]] = []
    for title, result in main_results(results):
        found = ratios(result)
        if found:
            rows += [(title, None), *((one.peer, one) for one in found)]
    figure, axes = plt.subplots(figsize=(8.5, 1.3 + _ROW_INCHES * len(rows)), layout="constrained")
    axes.axvline(1, color="#555555", linewidth=1)
    most = max((max(one.values) for _, one in rows if one), default=1.0)
    for row, (_, one) in enumerate(rows):
        if one is None:
            continue
        color = _COLORS[one.middle < 1]
        axes.plot([min(one.values), max(one.values)], [row, row], color=color, linewidth=2, alpha=0.45)
        axes.plot([one.middle], [row], "o", color=color, markersize=5)
        axes.text(most * 1.5, row, times(one.middle), va="center", ha="left", color=color)
    axes.set_xscale("log")
    axes.set_xlim(right=most * 3)
    axes.set_ylim(len(rows) - 0.3, -0.9)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    for label, (_, one) in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if one is None else "normal")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title("How many times as fast as others scoutcore is (of disk: as small)", loc="left", fontsize=11)
    said = ["right of 1×: scoutcore is ahead; dot: median, line: spread of the rounds; logarithmic", *wrap(words, 90)]
    axes.set_xlabel("\n".join(said), loc="left")
    figure.savefig(file, format=file.suffix[1:], metadata={"Date": None} if file.suffix == ".svg" else None)
    plt.close(figure)
