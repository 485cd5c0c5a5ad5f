"""The inputs, made up the same way every time, or of the real mesh in ``../shared/data`` where that is there."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.harness import ROOT, Settings

SERIES = 500
NAMES = ("internal_temperature", "humidity", "battery_voltage", "light", "air_pressure")
START_MS = 1_700_000_000_000
LIBRARY = ROOT.parent / "shared" / "data"
VALUE_BYTES = 64


def reports(count: int, clocked: bool) -> Iterator[str]:
    """*count* reports of 500 series in turn, each once a second: some 90 bytes of NDJSON each, 110 with boot and ms."""
    made = random.Random(1)
    for number in range(count):
        second, series = divmod(number, SERIES)
        scout, name = divmod(series, len(NAMES))
        clock = f',"b":{123_456 + scout},"ms":{second * 1000}' if clocked else ""
        data = f'{{"value":{made.randrange(100_000) / 100}}}'
        yield (
            f'{{"troop":1,"scout":{scout + 1},"report":"{NAMES[name]}","data":{data}'
            f',"t":{START_MS + second * 1000 + series}{clock}}}\n'
        )


def report_file(settings: Settings, clocked: bool = False) -> Path:
    return settings.path(f"reports-{settings.reports}{'-clocked' if clocked else ''}.ndjson")


def input_file(name: str, settings: Settings) -> Path:
    """Where the input *name* stands."""
    if name in ("reports", "reports-clocked"):
        return report_file(settings, name == "reports-clocked")
    if name == "library":
        return settings.path(f"library1-links-{settings.library}.ndjson")
    sizes = {"buffers": settings.buffers, "changes": settings.changes}
    return settings.path(f"{name}-{sizes[name]}.bin")


def make(name: str, settings: Settings) -> str | None:
    """Make the input *name* where it is missing; returns why that cannot be, or None."""
    file = input_file(name, settings)
    if file.exists():
        return None
    if name == "library" and not (LIBRARY / "library1data.tgz").exists():
        return "../shared/data is not here"
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    if name == "library":
        script = LIBRARY / "library1_to_ndjson.py"
        command = [sys.executable, str(script), str(LIBRARY / "library1data.tgz"), "--links"]
        lines = subprocess.run(command, capture_output=True, check=True).stdout.splitlines(keepends=True)
        part.write_bytes(b"".join(lines[: settings.library]))
    elif name == "buffers":
        part.write_bytes(random.Random(2).randbytes(settings.buffers * VALUE_BYTES))
    elif name == "changes":
        _write_changes(part, settings.changes)
    else:
        with part.open("w") as lines:
            lines.writelines(reports(settings.reports, name == "reports-clocked"))
    part.rename(file)
    return None


def _write_changes(file: Path, count: int) -> None:
    from scoutcore.dat import Change, Encoder

    made = random.Random(3)
    encoder = Encoder()
    with file.open("wb") as out:
        for number in range(count):
            version, series = divmod(number, SERIES)
            scout, name = divmod(series, len(NAMES))
            key = f"5Dk0mUm3Qf6sJq2a/{scout + 1}/{NAMES[name]}"
            value = made.randbytes(VALUE_BYTES)
            out.write(encoder.change(Change(key, number + 1, version, version + 1, value, "sensor")))
