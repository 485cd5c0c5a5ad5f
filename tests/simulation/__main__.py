"""Many seeds by hand: ``python -m tests.simulation --seeds 10000``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from tests.simulation.world import run

STEP = 100
"""Seeds after which it is told how far it is."""


def one(seed: int, events: int) -> tuple[int, Counter[str], str]:
    """Counts of one seed, and what went wrong."""
    with tempfile.TemporaryDirectory() as directory:
        try:
            return seed, run(seed, Path(directory), events).counts, ""
        except Exception:
            return seed, Counter(), traceback.format_exc()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--events", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=1)
    wanted = parser.parse_args()
    begin = time.monotonic()
    seen: Counter[str] = Counter()
    failed = done = 0
    with ProcessPoolExecutor(wanted.jobs) as pool:
        seeds = range(wanted.start, wanted.start + wanted.seeds)
        for seed, counts, problem in pool.map(partial(one, events=wanted.events), seeds):
            done += 1
            seen.update(kind for kind, count in counts.items() if count)
            if problem:
                failed += 1
                print(f"seed {seed} failed: python -m tests.simulation --start {seed} --seeds 1\n{problem}", flush=True)
            if done % STEP == 0:
                print(f"{done} seeds, {failed} failed", flush=True)
    print(f"{done} seeds, {failed} failed, {time.monotonic() - begin:.0f} s; share of the seeds that had")
    for kind, count in sorted(seen.items()):
        print(f"  {kind:12} {count / done:5.0%}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
