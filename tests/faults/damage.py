"""Damage to a database that is closed: bits that flipped, files that are cut, files that are gone."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import combinations
from pathlib import Path
from random import Random

import scoutcore
from scoutcore import changes, database
from scoutcore.database import Database
from scoutcore.errors import Error, FormatError
from scoutcore.retention import Retention
from scoutcore.store.memory import MemoryStore
from tests.database.logs import files_of
from tests.faults import life
from tests.faults.apart import apart

STEPS = 60
IGNORED = ("LOG", "LOG.old", "LOCK", "lock")
"""Files in which nothing counts."""


def prepare(path: Path, expected: Path) -> Counter[str]:
    """A database with some of everything; what it shows goes into *expected*."""
    one = life.Life(path, lambda _: None, seed=5)
    for _ in range(STEPS):
        one.step()
    db = one.opened()
    expired = items(db)
    db.expire(before=1_790_000_000_000_010)
    db.pack()
    one.report(db)
    one.reopen(db)
    one.batch(one.opened())
    one.edit(one.opened())
    one.sync(one.opened())
    right = items(one.opened())
    one.opened().export_changes(expected.with_name("stick"))
    one.close()
    whole = expected.with_name("whole")
    shutil.copytree(path, whole)
    with database.open(whole, pack=False) as db:
        db.pack()
    expected.write_text(json.dumps({"right": right, "expired": expired}))
    return Counter()


def items(db: Database) -> list[str]:
    """Everything that a database shows, piece by piece: a field alone, a point alone."""
    found = []
    for item in db.dump():
        where = {name: item[name] for name in ("uid", "scout", "report") if name in item}
        for name, value in item.get("fields", {}).items():
            found.append(json.dumps([where, name, value]))
        found += [json.dumps([where, name, item[name]]) for name in ("last", "point") if name in item]
    return found


def look(path: Path, expected: Path, what: str) -> Counter[str]:
    """Open what is damaged; how that went.

    Nothing that is shown may be wrong. A last value may be one that was shown before, where the later ones are gone;
    and where it was said that something was lost, the rules of retention may be.
    """
    content = json.loads(expected.read_text())
    right = content["right"]
    try:
        with database.open(path, pack=False) as db:
            shown = items(db)
            points = right + (content["expired"] if db.recovered else [])
            allowed = {*points, *(one.replace('"point"', '"last"', 1) for one in points)}
            wrong = [one for one in shown if one not in allowed]
            assert not wrong, f"wrong values: {wrong[:3]}"
            if db.recovered:
                return Counter({f"{what}: opened, and said what was lost": 1})
            if len(shown) < len(right):
                found = db.verify()
                if not found.ok:
                    return Counter({f"{what}: less is shown, and verify says why": 1})
                return Counter({f"{what}: less is shown, unnoticed": 1})
            found = db.verify()
            return Counter({f"{what}: {'no harm' if found.ok else 'no harm yet, and verify says so'}": 1})
    except Error as problem:
        said = str(problem)
        assert str(path) in said or "log " in said, f"it does not say where: {said}"
        return Counter({f"{what}: refused, and said where": 1})


def mend(path: Path, expected: Path, what: str) -> Counter[str]:
    """Repair what is damaged, and sync with a peer that has everything: all shows again, and the files are as before.

    Where the rules of retention were lost, what had expired may show too; where they are others, by the bit that
    flipped, they stay so. A log's oldest file that is gone counts as dropped.
    """
    content, whole = json.loads(expected.read_text()), expected.with_name("whole")
    try:
        scoutcore.repair(path)
    except FormatError:
        return Counter({f"{what}: repair refuses": 1})
    peer = Database(MemoryStore())
    peer.import_changes(expected.with_name("stick"))
    with database.open(path, pack=False) as db:
        life.exchange(peer, db)
        db.pack()
        shown = {one for one in items(db) if '"last"' not in one}
        right = {one for one in content["right"] if '"last"' not in one}
        assert shown <= right | set(content["expired"])
        same_rules = Retention(path / "retention.json").rules() == Retention(whole / "retention.json").rules()
        dropped = [changes.file_name(1) for log in db._logs.by_number if log.base]
        assert right <= shown or dropped or not same_rules, f"still missing: {sorted(right - shown)[:3]}"
        found = db.verify(views=same_rules)
        assert found.ok, (found.damages, found.views)
        assert found.views or dropped or not same_rules
    now, files = files_of(path), files_of(whole)
    wrong = [Path(name).name for name, data in files.items() if now.get(name) != data]
    assert wrong == dropped, f"files that are not what they were: {wrong}"
    return Counter({f"{what}: {'mended, to the byte' if not dropped else 'mended, without the oldest file'}": 1})


def kind_of(file: Path) -> str:
    """What a file of a database is, in few words."""
    if file.parent.name == "db":
        return {".log": "LevelDB's log", ".ldb": "a table"}.get(file.suffix, file.name.partition("-")[0])
    return "a changes file" if file.suffix == ".changes" else file.name


def bits(count: int, seed: int) -> Iterator[tuple[Counter[str], list[str]]]:
    """Flip a bit, or cut a file, anywhere: *count* times."""
    life.make_small()
    with tempfile.TemporaryDirectory() as text:
        prepared, path, expected = Path(text) / "prepared", Path(text) / "a.scout", Path(text) / "expected"
        apart(partial(prepare, prepared, expected))
        files = sorted(
            file.relative_to(prepared)
            for file in prepared.rglob("*")
            if file.is_file() and file.name not in IGNORED and file.stat().st_size
        )
        kinds = sorted({kind_of(file) for file in files})
        for number in range(count):
            choose = Random(f"{seed} {number}")
            kind = choose.choice(kinds)
            file = choose.choice([one for one in files if kind_of(one) == kind])
            data = bytearray((prepared / file).read_bytes())
            if choose.random() < 0.2:
                place = choose.randrange(len(data))
                del data[place:]
                what = f"{file} cut at byte {place}"
            else:
                place = choose.randrange(8 * len(data))
                data[place // 8] ^= 1 << place % 8
                what = f"bit {place} of {file} flipped"
            yield _look(prepared, path, expected, {file: bytes(data)}, kind, f"seed {seed}, {number}: {what}")


def missing(pairs: bool = True) -> Iterator[tuple[Counter[str], list[str]]]:
    """Remove every file and directory, alone and, of each kind, with each of any other."""
    life.make_small()
    with tempfile.TemporaryDirectory() as text:
        prepared, path, expected = Path(text) / "prepared", Path(text) / "a.scout", Path(text) / "expected"
        apart(partial(prepare, prepared, expected))
        entries = sorted(one.relative_to(prepared) for one in prepared.rglob("*") if one.name not in IGNORED[:3])
        for one in entries:
            yield _look(prepared, path, expected, {one: None}, f"without {kind_of(prepared / one)}", str(one))
        if pairs:
            firsts = {kind_of(prepared / one): one for one in entries}
            for one, other in combinations(sorted(firsts.values()), 2):
                gone: dict[Path, bytes | None] = {one: None, other: None}
                yield _look(prepared, path, expected, gone, "without two files", f"{one} and {other}")


def gathered(parts: Iterator[tuple[Counter[str], list[str]]]) -> tuple[Counter[str], list[str]]:
    """All of a campaign."""
    seen: Counter[str] = Counter()
    problems: list[str] = []
    for counts, wrong in parts:
        seen += counts
        problems += wrong
    return seen, problems


def some(count: int) -> tuple[Counter[str], list[str]]:
    """A few flips and cuts."""
    return gathered(bits(count, seed=1))


def each_alone() -> tuple[Counter[str], list[str]]:
    """Each file missing alone."""
    return gathered(missing(pairs=False))


def _look(
    prepared: Path, path: Path, expected: Path, changed: dict[Path, bytes | None], kind: str, what: str
) -> tuple[Counter[str], list[str]]:
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(prepared, path)
    for file, data in changed.items():
        place = path / file
        if data is not None:
            place.write_bytes(data)
        elif place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
    try:
        counts = apart(partial(look, path, expected, kind))
        return counts + apart(partial(mend, path, expected, kind)), []
    except AssertionError as problem:
        return Counter(), [f"{what}: {problem}"]
