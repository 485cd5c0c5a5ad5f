"""Imports point one way, from the codec up to the command line, and reading changes files needs no LevelDB."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import scoutcore
from tests.conftest import load_codec

ROOT = Path(scoutcore.__file__).parent

LAYERS = {
    "errors": ["errors"],
    "codec": ["_native", "codec"],
    "words and files": ["__init__", "changes", "clock", "dat", "keys", "model", "multibuffer", "ndjson", "registers"],
    "store": ["commit", "directory", "store"],
    "log and views": [
        "appender",
        "apply",
        "arrow",
        "blocks",
        "checking",
        "chunk_puts",
        "column_ingest",
        "dropping",
        "expiry",
        "forks",
        "history",
        "ingest",
        "log",
        "metadata",
        "numeric",
        "packer",
        "recovery",
        "repairing",
        "restoring",
        "retention",
        "rows",
        "salvage",
        "source",
        "stats",
        "views",
        "watch",
    ],
    "database": ["aio", "database", "keeper", "troops"],
    "replication": ["replication"],
    "command line": ["__main__", "cli", "demo"],
}
LAYER_OF = {module: number for number, modules in enumerate(LAYERS.values()) for module in modules}
CLI = list(LAYERS).index("command line")


def unit_of(path: Path) -> str:
    """A module of the package, or the subpackage that it is in."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


UNITS = {unit_of(path) for path in ROOT.rglob("*.py")} | {"_native"}


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of all that is imported from scoutcore, in functions too; ``__init__`` where no module is named."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "scoutcore":
                unit = rest.split(".")[0]
                yield node.lineno, unit if unit in UNITS else "__init__"


def wrong_imports(source: str, unit: str) -> list[str]:
    tree = ast.parse(source)
    if unit in ("__init__", "aio", "database"):  # the types of what they give on demand
        tree.body = [node for node in tree.body if not is_type_checking(node)]
    wrong = []
    for line, imported in imports_of(tree):
        later = LAYER_OF.get(imported, -1) > LAYER_OF[unit]
        # The package itself gives everything on demand: only the command line takes it so.
        if later or (imported == "__init__" and LAYER_OF[unit] < CLI):
            wrong.append(f"{unit}, line {line}: imports {imported}")
    return wrong


def test_every_module_has_a_layer() -> None:
    assert UNITS - LAYER_OF.keys() == set(), "name the layer of these above"


@pytest.mark.parametrize(
    "path",
    sorted(path for path in ROOT.rglob("*.py") if unit_of(path) in LAYER_OF),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_imports_point_one_way(path: Path) -> None:
    assert wrong_imports(path.read_text(), unit_of(path)) == []


@pytest.mark.parametrize(
    ("source", "unit", "count"),
    [
        ("from scoutcore import keys", "log", 0),
        ("from scoutcore.store.leveldb import LevelDBStore", "keys", 1),
        ("import scoutcore.database", "views", 1),
        ("def late():\n    from scoutcore import database", "views", 1),
        ("if TYPE_CHECKING:\n    from scoutcore.database import Database", "views", 1),
        ("if TYPE_CHECKING:\n    from scoutcore.database import Database", "__init__", 0),
        ("from scoutcore import open", "history", 1),
        ("import scoutcore", "database", 1),
        ("import scoutcore", "cli", 0),
        ("from scoutcore.cli import app", "database", 1),
    ],
)
def test_a_wrong_import_is_found(source: str, unit: str, count: int) -> None:
    assert len(wrong_imports(source, unit)) == count


WITHOUT_PLYVEL = """
import sys
sys.modules["plyvel"] = None
import io
import scoutcore.codec, scoutcore.changes, scoutcore.dat, scoutcore.multibuffer
from scoutcore import changes, dat, multibuffer
assert multibuffer.unpack(multibuffer.pack([b"ab"])) == [b"ab"]
sent = dat.Encoder().change(dat.Change("temp", 1, 0, 1, b"21.5"))
assert dat.Decoder().feed(sent)[0].value == b"21.5"
assert [change.key for change in changes.open(io.BytesIO(b"\\x11\\x02" + bytes(16) + sent))] == ["temp"]
later = {"scoutcore.database", "scoutcore.store", "scoutcore.log"} & sys.modules.keys()
assert not later, later
print(scoutcore.backend)
"""


@pytest.mark.parametrize("backend", ["python", "c"])
def test_reading_needs_no_plyvel(backend: str) -> None:
    load_codec(backend)  # or skip
    env = {**os.environ, "SCOUTCORE_BACKEND": backend}
    done = subprocess.run([sys.executable, "-c", WITHOUT_PLYVEL], env=env, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"{backend}\n", "")
