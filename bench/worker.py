"""One sample: ``python -m bench.worker module:function SETTINGS ARGUMENT...`` prints it as JSON."""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from bench.harness import Sample, Settings


def peak_kib() -> int:
    """The most memory this program held. Not ``ru_maxrss`` where it can be helped: that one is inherited over exec."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    except OSError:
        pass
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most // 1024 if sys.platform == "darwin" else most


def main() -> None:
    function, settings, *arguments = sys.argv[1:]
    module, _, name = function.partition(":")
    found: Sample = getattr(import_module(module), name)(Settings(**json.loads(settings)), *arguments)
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = max(found.peak_kib, peak_kib())
    print(json.dumps(asdict(found) | {"cpu": used.ru_utime + used.ru_stime, "peak_kib": peak}))


if __name__ == "__main__":
    main()
