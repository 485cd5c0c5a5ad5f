"""What the pages say is so: their examples run, every public name is there as it is, limits and links are right.

``# -> text``, behind a statement or on lines of its own below, is what the statement prints, else the repr of its
value, or the error it raises. ``…`` stands for anything.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

import scoutcore
import scoutcore.store.memory
from scoutcore import (
    aio,
    changes,
    dat,
    database,
    errors,
    ingest,
    keys,
    model,
    multibuffer,
    ndjson,
    replication,
    retention,
    stats,
    views,
    watch,
)
from scoutcore.codec import columns, constants
from scoutcore.column_ingest import BATCH_ROWS

ROOT = Path(__file__).parents[1]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md"])
API = (ROOT / "docs" / "api.md").read_text()
DATA_MODEL = (ROOT / "docs" / "data-model.md").read_text()

# --- examples ---------------------------------------------------------------------------------------------------------


def blocks_of(text: str) -> Iterator[tuple[int, str]]:
    """The Python blocks of a page, and the number of the line before each."""
    for found in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, found.start(1)), found[1]


def matches(expected: str, found: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, expected.split("…"))), found, re.DOTALL) is not None


def run(page: str, before: int, code: str, names: dict[str, Any]) -> None:
    """Run a block, statement by statement, and compare what it says comes out."""
    lines = code.split("\n")
    for node in ast.parse(code, page).body:
        place = f"{page}, line {before + node.lineno}"
        end = node.end_lineno or node.lineno
        behind = lines[end - 1].encode()[node.end_col_offset :].decode()
        expected = re.findall(r"^\s*# -> (.*)", behind)
        while end < len(lines) and (more := re.fullmatch(r"# -> (.*)", lines[end])):
            expected.append(more[1])
            end += 1
        out = io.StringIO()
        try:
            with redirect_stdout(out):
                value = execute(node, page, before, names)
        except Exception as problem:
            value = f"{type(problem).__name__}: {problem}"
            if not expected:
                raise AssertionError(f"{place}: {value}") from problem
            print(value, file=out)
        found = out.getvalue() or f"{value}\n"
        if expected or out.getvalue():
            assert matches("\n".join(expected) + "\n", found), f"{place}: {found}"


def execute(node: ast.stmt, page: str, before: int, names: dict[str, Any]) -> str:
    """The repr of a statement's value."""
    ast.increment_lineno(node, before)
    if isinstance(node, ast.Expr):
        return repr(eval(compile(ast.Expression(node.value), page, "eval"), names))
    exec(compile(ast.Module([node], []), page, "exec"), names)
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return repr(names[node.targets[0].id])
    return ""


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "README.md"], ids=lambda page: page.name)
def test_examples(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": page.stem}
    try:
        for before, code in blocks_of(page.read_text()):
            run(page.name, before, code, names)
    finally:
        for value in names.values():
            if isinstance(value, scoutcore.Database):
                value.close()


@pytest.mark.parametrize(
    "code",
    [
        "1 + 1  # -> 3",
        "int('x')",
        "int('x')  # -> ValueError: nothing",
        "print(1)",
        "print(1)\n# -> 2",
        "print(1)\n# -> 1\n# -> 2",
        "for n in (1, 0):\n    print(1 // n)\n# -> 1",
        "x = [1]  # -> [2]",
    ],
)
def test_an_example_that_is_wrong_fails(code: str) -> None:
    with pytest.raises(AssertionError):
        run("page", 0, code, {})


def test_an_example_that_is_right_passes() -> None:
    code = "x = {'é': 1}  # -> {'é': …}\nint('x')  # -> ValueError: invalid literal …\nfor n in (1, 2):\n    print(n)\n"
    run("page", 0, code + "# -> 1\n# -> 2", {})


@pytest.mark.parametrize("name", ["api.md", "data-model.md"])
def test_every_expectation_is_compared(name: str) -> None:
    text = (ROOT / "docs" / name).read_text()
    for before, code in blocks_of(text):
        bodies = [part for node in ast.parse(code).body if hasattr(node, "body") for part in node.body]
        lines = code.split("\n")
        for node in bodies:
            assert "# ->" not in lines[node.end_lineno - 1], f"{name}, line {before + node.end_lineno}"


# --- names ------------------------------------------------------------------------------------------------------------


def public(thing: object) -> list[str]:
    return [name for name in dir(thing) if not name.startswith("_")]


def members() -> Iterator[Any]:
    """What a program calls, as the page writes it, and the thing itself."""
    db = database.Database(scoutcore.store.memory.MemoryStore())
    opened = {
        "db": db,
        "db.troops": db.troops,
        "db.scouts": db.scouts,
        "history": db.history(db.troops.create().id, 1, "n"),
        "watch": db.watch(),
        "adb": aio.AsyncDatabase(db),
        "reader": changes.Reader([]),
        "decoder": dat.Decoder(),
        "encoder": dat.Encoder(),
    }
    for prefix, thing in opened.items():
        for name in public(thing):
            yield pytest.param(f"{prefix}.{name}", getattr(thing, name), id=f"{prefix}.{name}")
    for module, names in (
        ("scoutcore", scoutcore.__all__),
        ("multibuffer", multibuffer.__all__),
        ("dat", dat.__all__),
        ("changes", ["open", "find_keyframe", "summarize"]),
        ("aio", ["open"]),
    ):
        for name in names:
            yield pytest.param(
                f"{module}.{name}", getattr(getattr(scoutcore, module, scoutcore), name), id=f"{module}.{name}"
            )
    db.close()


def signature_of(text: str) -> list[tuple[str, Any, Any]]:
    """Name, kind and default of the arguments in a call's text."""
    arguments = ast.parse(f"def call({text}): pass").body[0].args  # type: ignore[attr-defined]
    found: list[tuple[str, Any, Any]] = []
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [inspect.Parameter.empty] * (len(positional) - len(arguments.defaults)) + arguments.defaults
    kinds = [inspect.Parameter.POSITIONAL_ONLY] * len(arguments.posonlyargs)
    kinds += [inspect.Parameter.POSITIONAL_OR_KEYWORD] * len(arguments.args)
    groups = [*zip(positional, kinds, defaults, strict=True)]
    if arguments.vararg:
        groups.append((arguments.vararg, inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.empty))
    for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        groups.append((one, inspect.Parameter.KEYWORD_ONLY, default or inspect.Parameter.empty))
    if arguments.kwarg:
        groups.append((arguments.kwarg, inspect.Parameter.VAR_KEYWORD, inspect.Parameter.empty))
    for argument, kind, default in groups:
        value = ast.literal_eval(default) if isinstance(default, ast.AST) else default
        found.append((argument.arg, kind, value))
    return found


@pytest.mark.parametrize(("name", "thing"), list(members()))
def test_every_public_name_is_there_as_it_is(name: str, thing: Any) -> None:
    called = inspect.isroutine(thing) or (inspect.isclass(thing) and thing in (dat.Decoder, dat.Encoder))
    if not called:
        assert f"`{name}`" in API, f"docs/api.md does not have `{name}`"
        return
    parameters = inspect.signature(thing).parameters.values()
    wanted = [(parameter.name, parameter.kind, parameter.default) for parameter in parameters]
    texts = re.findall(rf"`{re.escape(name)}\(([^`]*)\)`", API)
    assert texts, f"docs/api.md does not have `{name}(…)`"
    assert wanted in map(signature_of, texts), f"docs/api.md has {name}({texts[0]}); it is {inspect.signature(thing)}"


RECORDS: list[tuple[type, Callable[[type], list[str]]]] = [
    *((one, public) for one in (model.Point, model.Troop, model.Scout)),
    *(
        (one, lambda kind: list(kind.__dataclass_fields__))
        for one in (  # type: ignore[attr-defined]
            ingest.IngestResult,
            views.Reception,
            database.TroopSnapshot,
            database.ScoutSnapshot,
            stats.Stats,
            retention.Rule,
            stats.TroopStats,
            stats.LogStats,
            replication.ExportResult,
            replication.ImportResult,
            replication.Gap,
            replication.FileProblem,
        )
    ),
    (columns.PointColumns, lambda kind: list(kind._fields)),  # type: ignore[attr-defined]
    (dat.Blob, lambda kind: [*kind._fields, "last"]),  # type: ignore[attr-defined]
    (dat.Change, public),
]


@pytest.mark.parametrize(("record", "names"), RECORDS, ids=lambda one: getattr(one, "__name__", ""))
def test_every_field_is_there(record: type, names: Callable[[type], list[str]]) -> None:
    found = re.search(rf"^\| `{record.__name__}` \|(.*)$", API, re.MULTILINE)
    assert found, f"docs/api.md has no row for `{record.__name__}`"
    for name in names(record):
        assert re.search(rf"`{name}(\(\))?`", found[1]), f"docs/api.md does not say what {record.__name__}.{name} is"


PUBLIC_ERRORS = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.Error)]
"""Those of other modules never leave them."""


@pytest.mark.parametrize("error", PUBLIC_ERRORS, ids=lambda error: error.__name__)
def test_every_error_is_there(error: type[errors.Error]) -> None:
    (row,) = re.findall(rf"^\| `{error.__name__}` \|(.*)$", API, re.MULTILINE)
    base = error.__base__
    assert base is Exception or base is errors.Error or f"`{base.__name__}`" in row  # type: ignore[union-attr]


# --- limits -----------------------------------------------------------------------------------------------------------

LIMITS = {
    "data of one report": f"{constants.MAX_DATA:,} bytes",
    "depth": f"{ndjson.MAX_DEPTH} levels",
    "line of NDJSON": f"{ndjson.MAX_LINE:,} bytes",
    "report name": f"{keys.MAX_REPORT_BYTES} bytes",
    "troop key": f"{keys.MIN_KEY_LENGTH} characters",
    "scout, troop id": f"{constants.UINT32_MAX:,}",
    "metadata": f"{constants.MAX_DATA:,} bytes",
    "block": f"{constants.MAX_BLOCK_POINTS} points, {constants.MAX_BLOCK_SPAN // 10**6:,} seconds",
    "frame": f"{constants.MAX_FRAME:,} bytes",
    "interval": f"{constants.INTERVAL_BYTES:,} bytes",
    "changes file": f"{constants.FILE_BYTES:,} bytes",
    "events": f"{watch.MAX_EVENTS:,}",
    "errors described": f"{ingest.MAX_ERRORS:,}",
    "commit": f"{ndjson.BATCH_BYTES:,} bytes of lines, or {ingest.BATCH_ITEMS:,} items; {BATCH_ROWS:,} of columns",
}


@pytest.mark.parametrize("limit", LIMITS)
def test_every_limit_is_there(limit: str) -> None:
    rows = [row for row in re.findall(r"^\| (.*) \|$", DATA_MODEL, re.MULTILINE) if limit in row]
    assert any(LIMITS[limit] in row for row in rows), f"docs/data-model.md: {limit} is {LIMITS[limit]}"


# --- links ------------------------------------------------------------------------------------------------------------


def anchors_of(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", page.read_text()):
        if "://" not in target:
            linked = page.parent / target if target else page
            assert linked.exists(), target
            assert not anchor or anchor in anchors_of(linked.read_text()), f"{target}#{anchor}"


def test_the_index_has_every_page() -> None:
    text = (ROOT / "docs" / "index.md").read_text()
    for page in PAGES:
        if page.parent.name == "docs" and page.name != "index.md":
            assert f"]({page.name})" in text, f"docs/index.md does not name {page.name}"
