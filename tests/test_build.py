"""Where no C compiler works: the package builds all the same, says so, and does its main job in plain Python."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

MAIN_PATH = """
import json, sys
from pathlib import Path
import scoutcore

assert scoutcore.backend == "python", scoutcore.backend
rows = [{"troop": 1, "scout": n % 3, "report": "temp", "data": {"c": n}, "t": 1163438041250 + n} for n in range(10)]
with scoutcore.open(sys.argv[1]) as db:
    troop = db.troops.create(name="greenhouse")
    result = db.ingest("".join(json.dumps(row) + "\\n" for row in rows).encode())
    assert (result.accepted, result.rejected) == (10, 0), result
with scoutcore.open(sys.argv[1]) as db:
    assert db.last(troop.id, 0, "temp").data == {"c": 9}
    assert [point.data["c"] for point in db.history(troop.id, 1, "temp")] == [1, 4, 7]
    assert db.pack() > 0
    log = Path(sys.argv[1], "changes", db.id)
print("changes", [change.key.partition("/")[2] for change in scoutcore.changes.open(log)])
"""


def run(
    *command: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        env={**os.environ, **(env or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The one wheel that comes of a compiler which compiles nothing, and what the build printed."""
    where = tmp_path_factory.mktemp("build")
    options = ["--no-deps", "--no-cache-dir", "-v", f"--config-settings=build-dir={where / 'build'}"]
    if all(importlib.util.find_spec(name) for name in ("scikit_build_core", "cffi")):
        options.append("--no-build-isolation")
    compiler = {"CC": "/bin/false", "CXX": "/bin/false"}
    made = run("-m", "pip", "wheel", *options, "-w", where / "wheels", ROOT, env=compiler)
    assert made.returncode == 0, made.stdout + made.stderr
    [wheel] = (where / "wheels").iterdir()
    return wheel, made.stdout + made.stderr


@pytest.fixture(scope="module")
def environment(build: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of an interpreter that has this wheel and what it depends on; -S keeps an editable scoutcore out."""
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(build[0]) as wheel:
        wheel.extractall(site)
    paths = [str(site), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return {"PYTHONPATH": os.pathsep.join(paths), "SCOUTCORE_BACKEND": "auto"}


def test_the_wheel_is_pure_and_the_build_says_so(build: tuple[Path, str]) -> None:
    wheel, output = build
    assert wheel.name.endswith("-py3-none-any.whl")
    assert "built WITHOUT its C module" in output
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
    assert "scoutcore/__init__.py" in names
    assert "scoutcore/py.typed" in names
    assert not [name for name in names if name.endswith((".so", ".pyd", ".c", ".h"))]


@pytest.mark.parametrize("wanted", ["auto", "python"])
def test_it_is_the_python_backend(environment: dict[str, str], tmp_path: Path, wanted: str) -> None:
    code = "import scoutcore, scoutcore.codec as c; print(scoutcore.backend, c.backend, c.pack([b'ab', b'']))"
    done = run("-S", "-c", code, env={**environment, "SCOUTCORE_BACKEND": wanted}, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "python python b'\\x02ab\\x00'\n"), done.stderr


def test_asking_for_c_fails_loudly(environment: dict[str, str], tmp_path: Path) -> None:
    done = run("-S", "-c", "import scoutcore", env={**environment, "SCOUTCORE_BACKEND": "c"}, cwd=tmp_path)
    assert done.returncode == 1
    assert "ImportError: SCOUTCORE_BACKEND is 'c', but scoutcore was installed without its C module" in done.stderr


@pytest.mark.parametrize("wanted", ["nonsense", "C", ""])
def test_other_backends_are_refused(environment: dict[str, str], tmp_path: Path, wanted: str) -> None:
    done = run("-S", "-c", "import scoutcore", env={**environment, "SCOUTCORE_BACKEND": wanted}, cwd=tmp_path)
    assert done.returncode == 1
    assert f"ImportError: SCOUTCORE_BACKEND is {wanted!r}; it can be auto, c, python" in done.stderr


def test_the_main_path_runs(environment: dict[str, str], tmp_path: Path) -> None:
    done = run("-S", "-c", MAIN_PATH, tmp_path / "gateway.scout", env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "changes ['', '0/temp', '1/temp', '2/temp']\n"


def test_the_codec_needs_no_leveldb(environment: dict[str, str], tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update(plyvel=None, cffi=None)\n"
        "import scoutcore; print(scoutcore.multibuffer.pack([b'a']), scoutcore.dat, scoutcore.changes)"
    )
    done = run("-S", "-c", code, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("b'\\x01a'")
