"""The whole campaign by hand: ``python -m tests.faults``, or one fault of it, ``python -m tests.faults power``."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

from tests.faults import damage, garbage, offline, power, retired, schedules, writes

Part = Iterator[tuple["Counter[str]", list[str]]]
"""What was seen since the last, and what went wrong."""

CAMPAIGNS: dict[str, tuple[str, int, Callable[[argparse.Namespace], Part]]] = {
    "power": (
        "images that a power cut may leave",
        20_000,
        lambda wanted: power.campaign(wanted.count, wanted.seed, wanted.only),
    ),
    "writes": (
        "every call that may fail, and so many bytes at which a disk is full",
        65_536,
        lambda wanted: writes.campaign(wanted.count),
    ),
    "bits": (
        "bits flipped and files cut in a database that is closed",
        10_000,
        lambda wanted: damage.bits(wanted.count, wanted.seed),
    ),
    "missing": ("files removed, alone and in pairs: all of them", 1, lambda _: damage.missing()),
    "garbage": ("MiB of garbage into each decoder", 1024, lambda wanted: garbage.campaign(wanted.count)),
    "offline": ("readings of thirty days without a peer", 10_000_000, lambda wanted: offline.campaign(wanted.count)),
    "retired": ("logs of one database that have ended", 10_000, lambda wanted: retired.campaign(wanted.count)),
    "schedules": (
        "orders of deleting, packing, expiring, dropping, coming back, rebuilding and importing",
        2_000,
        lambda wanted: schedules.campaign(wanted.count, wanted.seed, wanted.only),
    ),
}
"""By fault: what *count* counts, how many there are by default, and the campaign."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description="All faults one after another, or some: "
        + "; ".join(f"{name}: {what}, {count:,}" for name, (what, count, _) in CAMPAIGNS.items()),
    )
    parser.add_argument("faults", nargs="*", metavar="FAULT", choices=[*CAMPAIGNS, []], help=", ".join(CAMPAIGNS))
    parser.add_argument("--count", type=int, help="how many, rather than what the fault's campaign has")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="one alone of a seed, to look at it again")
    wanted = parser.parse_args()
    logging.disable()  # what is damaged on purpose need not be said
    failed = False
    for name in wanted.faults or CAMPAIGNS:
        _, count, campaign = CAMPAIGNS[name]
        begin = time.monotonic()
        seen: Counter[str] = Counter()
        wrong = 0
        for counts, problems in campaign(argparse.Namespace(**{**vars(wanted), "count": wanted.count or count})):
            seen += counts
            wrong += len(problems)
            for problem in problems:
                print(f"{name}: {problem}", flush=True)
        print(f"{name}: {wrong} wrong, {time.monotonic() - begin:.0f} s")
        for what, number in sorted(seen.items()):
            print(f"  {number:9,} {what}")
        sys.stdout.flush()
        failed |= wrong > 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
