"""How everything is measured: each sample in a process of its own, contenders taking turns, ratios of neighbours.

A *path* is one hot path; its *contenders* do the same work on the same input. Only what a contender itself has timed
counts, never the start of its process.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PEERS = ROOT / "bench" / "peers"
SAMPLE_SECONDS = 1200
"""After so long a sample is given up."""
PROGRAMS = {"g++": "g++ libleveldb-dev", "influxd": "influxdb"}
"""What contenders need beside modules, and the Debian packages that have it."""


@dataclass(frozen=True)
class Settings:
    """What a run is to measure; every contender gets these."""

    work: str
    """Directory for inputs and databases."""
    reports: int = 200_000
    singles: int = 20_000
    """Calls, where one report or value is taken at a time."""
    library: int = 1_000_000
    """The most reports to take of the real mesh, which has 673,865."""
    buffers: int = 100_000
    changes: int = 200_000
    log_mib: int = 1024
    """Of the log that is sought in."""
    repeats: int = 7
    """Times that a short piece of work is repeated within its process."""
    rounds: int = 5
    """Processes per contender."""
    under: str = ""
    """A command line that runs each process: a profiler."""

    def quick(self) -> Settings:
        """Very little of everything: to see that it runs, never to judge a time."""
        little = dict.fromkeys(("reports", "library", "buffers", "changes"), 5_000)
        return replace(self, **little, log_mib=2, singles=500, repeats=2, rounds=1)

    def path(self, *parts: str) -> Path:
        return Path(self.work, *parts)


@dataclass(frozen=True)
class Sample:
    """What one process measured."""

    seconds: list[float]
    """Of each repeat."""
    count: int
    """Items in each repeat."""
    busy: float = 0.0
    """CPU seconds of the thread that works, over all repeats: hardly disturbed by what else the machine does. Helping
    threads (LevelDB's, Node's) are not in it."""
    cpu: float = 0.0
    """CPU seconds of the whole process, all its threads, its start and warm-up too."""
    peak_kib: int = 0
    disk_bytes: int = 0

    def with_peak(self, peak_kib: int) -> Sample:
        """The same, where another process that took part held so much: the greater counts."""
        return replace(self, peak_kib=max(self.peak_kib, peak_kib))

    @property
    def seconds_per_item(self) -> float:
        return statistics.median(self.seconds) / self.count

    @property
    def busy_per_item(self) -> float:
        return self.busy / len(self.seconds) / self.count

    @property
    def disk_per_item(self) -> float:
        return self.disk_bytes / self.count

    @property
    def rate(self) -> float:
        return 1 / self.seconds_per_item


@dataclass(frozen=True)
class Contender:
    """One way to do a path's work."""

    name: str
    command: Callable[[Settings], list[str]]
    needs: Sequence[str] = ()
    """Python modules, programs, or ``npm``."""
    backend: str | None = None
    writes: str | None = None
    """The directory under the work directory that it fills, made afresh for each sample."""
    max_rounds: int = 1_000_000

    def missing(self) -> str | None:
        """Why it cannot run here, or None."""
        for need in self.needs:
            if need in PROGRAMS:
                if shutil.which(need) is None:
                    return f"{need} is not installed: apt-get install {PROGRAMS[need]}"
            elif need == "npm":
                if shutil.which("node") is None:
                    return "node is not installed"
                if not (PEERS / "node_modules").is_dir():
                    return "its npm packages are not installed: npm ci --prefix bench/peers --ignore-scripts"
            elif not _installed(need):
                return f"{need} is not installed: pip install -e .[bench]"
        return None


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even its parent
        return False


@dataclass(frozen=True)
class Goal:
    """*ours* is to have at least *ratio* times the speed of *peer*; without a peer, so many items a second.

    Of the disk, it is to take at most *ratio* times the bytes. Without a ratio it is only shown.
    """

    ours: str
    peer: str | None
    ratio: float | None = None
    disk: bool = False


@dataclass(frozen=True)
class HotPath:
    """One hot path."""

    name: str
    items: str
    contenders: Sequence[Contender]
    goals: Sequence[Goal] = ()
    inputs: Sequence[str] = ()
    prepare: Sequence[Contender] = ()
    """Run once before, to make the databases that the contenders read."""
    peak_mib: float | None = None
    """How much memory ours may take."""


@dataclass
class Result:
    """What a path's contenders measured: their samples, in the order of the rounds, or why there are none."""

    path: HotPath
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def ratios(self, goal: Goal) -> list[float]:
        """*goal*'s ratio in each round: of neighbours in time, since other work on the machine comes and goes."""
        ours = self.samples.get(goal.ours, [])
        if goal.peer is None:
            return [sample.rate for sample in ours]
        pairs = zip(ours, self.samples.get(goal.peer, []), strict=False)
        if goal.disk:
            return [our.disk_per_item / their.disk_per_item for our, their in pairs]
        return [their.seconds_per_item / our.seconds_per_item for our, their in pairs]

    def busy(self, goal: Goal) -> float:
        """The ratio by the CPU time of the working threads, medians: what an idle machine would show, nearly."""
        ours, theirs = (
            statistics.median(sample.busy_per_item for sample in self.samples[name])
            for name in (goal.ours, goal.peer or goal.ours)
        )
        return theirs / ours if goal.peer else 1 / ours

    def as_json(self) -> dict[str, Any]:
        return {
            "path": self.path.name,
            "items": self.path.items,
            "samples": {name: [asdict(sample) for sample in samples] for name, samples in self.samples.items()},
            "missing": self.missing,
            "goals": [asdict(goal) | {"measured": self.ratios(goal)} for goal in self.path.goals],
        }


# --- contenders -------------------------------------------------------------------------------------------------------


def python(
    name: str,
    function: str,
    *arguments: str,
    needs: Sequence[str] = (),
    backend: str | None = None,
    writes: str | None = None,
    max_rounds: int = 1_000_000,
) -> Contender:
    """A function ``module:name`` of this package, called with the settings and *arguments*; it returns a Sample."""

    def command(settings: Settings) -> list[str]:
        return [sys.executable, "-m", "bench.worker", function, json.dumps(asdict(settings)), *arguments]

    return Contender(name, command, needs, backend, writes, max_rounds)


def both(name: str, function: str, *arguments: str, slow_rounds: int = 1, **more: Any) -> list[Contender]:
    """Ours, on both backends; the slower one for fewer rounds."""
    fast = python(f"{name} (c)", function, *arguments, backend="c", needs=["scoutcore._native"], **more)
    return [fast, python(f"{name} (python)", function, *arguments, backend="python", max_rounds=slow_rounds, **more)]


def node(
    name: str,
    script: str,
    arguments: Callable[[Settings], Sequence[object]],
    writes: str | None = None,
    max_rounds: int = 1_000_000,
) -> Contender:
    """A script in ``bench/peers``."""

    def command(settings: Settings) -> list[str]:
        return ["node", "--no-warnings", str(PEERS / script), *map(str, arguments(settings))]

    return Contender(name, command, ["npm"], None, writes, max_rounds)


def cpp(
    name: str, source: str, library: str, arguments: Callable[[Settings], Sequence[object]], writes: str | None = None
) -> Contender:
    """A program in ``bench/peers``, compiled when it is first wanted."""

    def command(settings: Settings) -> list[str]:
        program = settings.path(source).with_suffix("")
        if not program.exists():
            options = ["g++", "-O2", "-std=c++17", str(PEERS / source), f"-l{library}", "-o", str(program)]
            done = subprocess.run(options, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"it does not compile: apt-get install {PROGRAMS['g++']}")
        return [str(program), *map(str, arguments(settings))]

    return Contender(name, command, ["g++"], None, writes)


# --- measuring --------------------------------------------------------------------------------------------------------


def repeat(run: Callable[[], object], count: int, repeats: int, warm: int = 2) -> Sample:
    """*run* again and again; what it gave last is let go within the time of the next, as in the Node scripts.

    The backend in plain Python, which is slow and steady, repeats it less often.
    """
    if os.environ.get("SCOUTCORE_BACKEND") == "python":
        repeats, warm = min(repeats, 3), 1
    times = []
    busy = 0.0
    result: object = None
    for number in range(-warm, repeats):
        begin, begin_busy = time.perf_counter(), time.thread_time()
        result = run()
        taken, taken_busy = time.perf_counter() - begin, time.thread_time() - begin_busy
        if number >= 0:
            times.append(taken)
            busy += taken_busy
    del result
    return Sample(times, count, busy)


def once(run: Callable[[], int], *, whole: bool = False) -> Sample:
    """*run*, which cannot be repeated in the same process, and the number of items that it says it took.

    With *whole*, the CPU time of all threads counts: where helping threads do the work.
    """
    busy = time.process_time if whole else time.thread_time
    begin, begin_busy = time.perf_counter(), busy()
    count = run()
    return Sample([time.perf_counter() - begin], count, busy() - begin_busy)


def sample(contender: Contender, settings: Settings) -> Sample:
    """One process of *contender*; raises RuntimeError with the last that it said where it fails."""
    directory = settings.path(contender.writes) if contender.writes else None
    if directory:
        for old in (directory, directory.with_name(f"{directory.name}-near")):
            shutil.rmtree(old, ignore_errors=True)
        directory.parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop("SCOUTCORE_BACKEND", None)
    if contender.backend:
        environment["SCOUTCORE_BACKEND"] = contender.backend
    try:
        done = subprocess.run(
            [*shlex.split(settings.under), *contender.command(settings)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SAMPLE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"no result after {SAMPLE_SECONDS} s") from None
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"])[-1])
    said = [line for line in done.stdout.splitlines() if line.startswith("{")]
    found = Sample(**json.loads(said[-1]))
    if directory:
        found = replace(found, disk_bytes=disk_bytes(directory))
    return found


def disk_bytes(directory: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in directory.rglob("*") if file.is_file())


def prepare(path: HotPath, settings: Settings, tell: Callable[[str], None] = lambda _: None) -> Result:
    """The inputs and databases of *path*, and which of its contenders cannot run; nothing is measured yet."""
    from bench import inputs

    result = Result(path)
    for contender in path.contenders:
        reason = contender.missing()
        if reason:
            result.missing[contender.name] = reason
    for name in path.inputs:
        reason = inputs.make(name, settings)
        if reason:
            result.missing |= dict.fromkeys((contender.name for contender in path.contenders), reason)
            return result
    for contender in path.prepare:
        assert contender.writes
        if contender.missing() is None and not settings.path(contender.writes).exists():
            tell(f"{path.name}: preparing {contender.name}")
            sample(contender, settings)
    return result


def measure_round(
    result: Result, number: int, settings: Settings, tell: Callable[[str], None] = lambda _: None
) -> None:
    """One process of each contender in turn, every second round the other way about."""
    contenders = result.path.contenders
    for contender in contenders if number % 2 == 0 else reversed(contenders):
        if number >= contender.max_rounds or contender.name in result.missing:
            continue
        tell(f"round {number + 1}: {result.path.name}: {contender.name}")
        try:
            found = sample(contender, settings)
        except RuntimeError as problem:
            if contender.name not in result.samples:
                result.missing[contender.name] = str(problem)
        else:
            result.samples.setdefault(contender.name, []).append(found)


def measure(path: HotPath, settings: Settings) -> Result:
    """All rounds of *path*."""
    result = prepare(path, settings)
    for number in range(settings.rounds):
        measure_round(result, number, settings)
    return result


def measure_all(
    paths: Sequence[HotPath], settings: Settings, seconds: float, tell: Callable[[str], None] = lambda _: None
) -> list[Result]:
    """One round of every path after another, for as long as *seconds* last: the first is always whole."""
    until = time.monotonic() + seconds
    results = [prepare(path, settings, tell) for path in paths]
    for number in range(settings.rounds):
        for result in results:
            if number and time.monotonic() > until:
                return results
            measure_round(result, number, settings, tell)
    return results
