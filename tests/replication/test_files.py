"""Export and import: whatever order the files come in, and whatever is wrong with them, nothing wrong is taken."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import scoutcore
from scoutcore.changes.position import MARKER
from scoutcore.codec import encode_changes
from scoutcore.codec.columns import Change, ChangeColumns
from scoutcore.database import Database
from scoutcore.errors import Error, InvalidError, NotFoundError
from scoutcore.replication import ImportResult, Limits
from scoutcore.replication.pieces import Piece, pieces
from scoutcore.replication.replica import replica_of
from tests.replication.wire import clone, dump, logs, new, sync

TRIES = 25 if scoutcore.backend == "c" else 4
KEY = "the key of the troop that all gateways hear"


def filled(db: Database, batches: int = 30, scout: int = 1) -> Database:
    """Some intervals of changes, and an open tail, of texts that stay long in any codec."""
    if not db.troops:
        db.troops.create(key=KEY)
    begin = len(list(db.history(1, scout, "temp")))
    for batch in range(batches):
        db.ingest(
            {
                "troop": 1,
                "scout": scout,
                "report": "temp",
                "data": "xyz"[n % 3] * 1000,
                "t": (begin + 20 * batch + n) * 1_000_000,
            }
            for n in range(20)
        )
    return db


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Database]:
    with scoutcore.open(tmp_path / "source.scout") as db:
        yield filled(db)


def exported(db: Database, **options: Any) -> bytes:
    out = io.BytesIO()
    db.export_changes(out, **options)
    return out.getvalue()


def stream_of(db: Database) -> bytes:
    """A database in memory, or any other, as a stream of whole logs without checks."""
    replica = replica_of(db)
    replica.publish()
    out = b""
    for log, held in replica.heads().items():
        cursor = replica.cursor(log, held.base)
        out += MARKER + log
        while cursor.after < held.last:
            out += cursor.read(held.last, 1 << 20)[0]
        cursor.close()
    return out


def taken(db: Database, *data: bytes, **options: Any) -> ImportResult:
    return db.import_changes(*(io.BytesIO(one) for one in data), **options)


def cut(data: bytes) -> list[bytes]:
    """The intervals of a stream, and its open tail."""
    found = [one for one in pieces(io.BytesIO(data)) if isinstance(one, Piece)]
    assert found[-1].end == len(data)
    return [data[one.offset : one.end] for one in found]


def texts(found: ImportResult) -> str:
    return "\n".join(map(str, [*found.problems, *found.gaps]))


# --- whole files ------------------------------------------------------------------------------------------------------


def test_a_directory_and_a_stream_bring_the_same(source: Database, tmp_path: Path) -> None:
    with scoutcore.open(tmp_path / "other.scout") as other:
        other.troops.create(key=KEY, name="from the other")
        sync_by_files = source.import_changes(io.BytesIO(exported(other)))
        assert sync_by_files.new == 1
    wrote = source.export_changes(tmp_path / "out")
    assert (wrote.logs, wrote.changes) == (2, 32)
    assert wrote.bytes == len(exported(source))
    one, two = new(), new()
    found = one.import_changes(tmp_path / "out")
    assert (found.changes, found.new, found.gaps, found.problems) == (wrote.changes, wrote.changes, [], [])
    assert taken(two, exported(source)).new == wrote.changes
    assert dump(one) == dump(two) == dump(source)
    assert logs(one) == logs(two) == logs(source)


def test_files_are_the_changes_files_and_nothing_else(source: Database, tmp_path: Path) -> None:
    source.export_changes(tmp_path / "out")
    filled(source, 1)
    source.export_changes(tmp_path / "out")
    ours = {
        path.relative_to(tmp_path / "source.scout/changes"): path
        for path in (tmp_path / "source.scout").rglob("*.changes")
    }
    theirs = {path.relative_to(tmp_path / "out"): path for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert ours.keys() == theirs.keys()
    assert all(ours[name].read_bytes() == theirs[name].read_bytes() for name in ours)


def test_twice_changes_nothing(source: Database) -> None:
    db, data = new(), exported(source)
    taken(db, data, data)
    before = dump(db)
    again = taken(db, data)
    assert (again.new, again.problems, again.gaps) == (0, [], [])
    assert dump(db) == before == dump(source)


def test_names_and_order_do_not_matter(source: Database, tmp_path: Path) -> None:
    parts = cut(exported(source))
    assert len(parts) > 3
    random.Random(5).shuffle(parts)
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for number, part in enumerate(parts):
        name = "deep/0000000001.changes" if number == 2 else f"{number}.{'dat' if number % 2 else 'changes'}"
        (tmp_path / "in" / name).write_bytes(part)
    (tmp_path / "in" / "notes.txt").write_text("not one of them")
    db = new()
    found = db.import_changes(tmp_path / "in")
    assert not texts(found)
    assert dump(db) == dump(source)


def test_a_stream_without_checks(source: Database) -> None:
    db = new()
    found = taken(db, stream_of(source))
    assert not texts(found)
    assert dump(db) == dump(source)
    assert logs(db) == logs(source)


def test_what_was_packed_elsewhere_is_packed_to_the_same_bytes(source: Database, tmp_path: Path) -> None:
    with scoutcore.open(tmp_path / "copy.scout") as db:
        db.import_changes(io.BytesIO(exported(source)))
        assert exported(db) == exported(source)


# --- what is missing --------------------------------------------------------------------------------------------------


def test_what_does_not_follow_is_reported_and_comes_later(source: Database) -> None:
    db, parts = new(), cut(exported(source))
    ends = [next(iter(pieces(io.BytesIO(part)))) for part in parts]
    assert all(isinstance(end, Piece) for end in ends)
    found = taken(db, parts[-1], parts[1])
    firsts = [end.first for end in ends if isinstance(end, Piece)]
    assert [(gap.log, gap.first, gap.last) for gap in found.gaps] == [
        (source.id, 1, firsts[1] - 1),
        (source.id, firsts[2], firsts[-1] - 1),
    ]
    assert f"log {source.id}: changes 1 to {firsts[1] - 1} are missing" in texts(found)
    assert found.new == 0
    assert taken(db, parts[0]).new == firsts[1] - 1
    assert not texts(taken(db, *parts[1:]))
    assert dump(db) == dump(source)


def test_from_a_change_on(source: Database) -> None:
    head = max(log.head for log in source.stats().logs)
    for first in (1, 2, 5, head - 1, head):
        data = exported(source, log=source.id, first=first)
        assert exported(source).endswith(data)
        db = new()
        taken(db, b"".join(cut(exported(source))[: len(cut(exported(source))) - len(cut(data))]))
        assert not texts(taken(db, data))
        assert dump(db) == dump(source)
    with pytest.raises(NotFoundError, match=f"change {head + 1} of log {source.id} is not here"):
        exported(source, log=source.id, first=head + 1)
    with pytest.raises(InvalidError, match="'x' is not the uuid of a log"):
        exported(source, log="x")
    with pytest.raises(InvalidError, match="a database in memory has no changes files"):
        exported(new())


def test_a_log_whose_beginning_nobody_has(source: Database) -> None:
    rest = exported(source, first=8)
    first = next(iter(pieces(io.BytesIO(rest))))
    assert isinstance(first, Piece)
    assert first.first > 1
    db = new()
    assert "are missing" in texts(taken(db, rest))
    found = taken(db, rest, from_base=True)
    assert f"log {source.id} begins behind change {first.first - 1} here" in texts(found)
    assert found.new == source.stats().logs[-1].head - first.first + 1
    assert replica_of(db).digest(first.log, source.stats().logs[-1].head) == replica_of(source).digest(
        first.log, source.stats().logs[-1].head
    )


# --- damage -----------------------------------------------------------------------------------------------------------


def changes_in(db: Database) -> bytes:
    """The frames of the only log that has any."""
    found = stream_of(db)
    return found[18:]


@pytest.mark.parametrize("seed", range(4))
def test_of_damaged_files_only_what_verifies_is_taken(source: Database, seed: int) -> None:
    choose = random.Random(seed)
    data, truth = exported(source), changes_in(source)
    *closed, tail = cut(data)
    checked = len(data) - len(tail)
    bounds = [0]
    for part in closed:
        bounds.append(bounds[-1] + len(part))
    for _ in range(TRIES):
        wrong = bytearray(data)
        place = choose.randrange(checked)
        wrong[place] ^= 1 << choose.randrange(8)
        hit = max(number for number, begin in enumerate(bounds) if begin <= place)
        db = new()
        found = taken(db, bytes(wrong))
        assert truth.startswith(changes_in(db))
        expected = sum(
            len(piece.frames) for piece in pieces(io.BytesIO(b"".join(closed[:hit]))) if isinstance(piece, Piece)
        )
        assert len(changes_in(db)) == expected
        assert found.problems, "the damage is named"
        assert any(bounds[hit] <= (one.offset or 0) <= bounds[hit + 1] + 34 for one in found.problems)
        if hit + 1 < len(closed):
            assert found.gaps, "what is behind it was seen, and waits"
        assert not texts(taken(db, data)), "the whole file mends it"
        assert dump(db) == dump(source)


def test_cut_anywhere(source: Database) -> None:
    choose = random.Random(1)
    data, truth = exported(source), changes_in(source)
    for size in [0, 1, 17, 18, 19, *(choose.randrange(len(data)) for _ in range(TRIES))]:
        db = new()
        taken(db, data[:size])
        assert truth.startswith(changes_in(db))
        assert len(changes_in(db)) > size - 30_000
        taken(db, data)
        assert dump(db) == dump(source)


def test_a_change_that_cannot_be_is_named_and_those_before_it_are_taken(source: Database) -> None:
    def change(number: int, key: str) -> bytes:
        block = b"\0\1\3\0\0" + b"7"
        return encode_changes(ChangeColumns.from_objects([Change(key, number, number - 1, number, block, "sensor")]))[0]

    log = bytes(range(6)) + b"\x40\x01\x80" + bytes(7)
    good = [change(number, "A" * 16 + "/1/temp") for number in range(1, 101)]
    bad = change(60, "A" * 16 + "/01/temp")
    data = MARKER + log + b"".join(good[:59]) + bad + b"".join(good[60:])
    db = new()
    found = taken(db, data)
    (problem,) = found.problems
    assert (found.new, problem.change) == (59, 60)
    assert problem.offset == 18 + sum(map(len, good[:59]))
    assert len(list(db.history(1, 1, "temp"))) == 59


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x11\x01\x12\x04temp\x18\x01\x20\x00\x28\x01\x32\x0221", "changes before a log is named at byte 0"),
        (b"\x11\2" + bytes(16) + b"\x03\2hi", "a blob that is neither a uuid frame nor a check"),
        (b"\x11\2" + bytes(16) + b"\x00", "frame of length 0"),
        (b"\x11\2" + bytes(16) + b"\x11\x01\x12", "the end is in the middle of a frame"),
        (b"{}\n", "unknown frame id"),
    ],
)
def test_what_is_no_stream(data: bytes, reason: str) -> None:
    found = taken(new(), data)
    assert reason.removesuffix(" at byte 0") in texts(found)
    assert found.changes == 0


def test_what_looks_like_keyframes_again_and_again_takes_no_time() -> None:
    bait = b"\x11\2" + bytes(6) + b"\x40\0\x80" + bytes(7)
    found = taken(new(), b"\0" + bait * 60_000)
    assert len(found.problems) == 1


# --- logs that went two ways ------------------------------------------------------------------------------------------


@pytest.fixture
def ways(tmp_path: Path) -> tuple[list[list[bytes]], Callable[[], Any]]:
    """Two ways of a log in changes files' form, in intervals; and what they come to."""
    parent = filled(new(), 2)
    found, truth = [], new()
    for number in range(2):
        copy = clone(parent)
        filled(copy, 10 + number, scout=2 + number)
        with scoutcore.open(tmp_path / f"{number}.scout") as packed:
            taken(packed, stream_of(copy))
            found.append(cut(exported(packed, log=copy.id)))
        sync(truth, copy)
    return found, lambda: (dump(truth), logs(truth))


def test_both_ways_of_a_clone_are_kept_whatever_comes_first(ways: Any) -> None:
    found, truth = ways
    one, other = (b"".join(way) for way in found)
    for order in ([one, other], [other, one], [one, other, one, other]):
        db = new()
        for data in order:
            assert not texts(taken(db, data))
        assert (dump(db), logs(db)) == truth()
    together = new()
    assert not texts(taken(together, one, other))
    assert (dump(together), logs(together)) == truth()


def test_what_no_check_covers_makes_no_log_of_its_own(ways: Any) -> None:
    found, _ = ways
    data = b"".join(found[0])
    db = new()
    taken(db, data)
    before = dump(db), logs(db)
    wrong = bytearray(data[: len(found[0][0]) - 40])  # its check is gone, and a bit has flipped
    wrong[300] ^= 1
    for late in (db, new()):
        refused = taken(late, bytes(wrong), data)
        assert "it is not what is here, and no check covers it" in texts(refused)
        assert (dump(late), logs(late)) == before


def test_the_intervals_of_both_ways_in_any_order(ways: Any) -> None:
    found, truth = ways
    # What no check covers is known to belong to one way by the check before it.
    parts = [part for way in found for part in [*way[:-2], way[-2] + way[-1]]]
    for seed in range(6):
        random.Random(seed).shuffle(parts)
        db = new()
        assert not texts(taken(db, *parts))
        assert (dump(db), logs(db)) == truth()


def test_a_way_whose_parting_is_not_there_is_refused(ways: Any) -> None:
    found, truth = ways
    for way, other in ((0, 1), (1, 0)):
        db = new()
        taken(db, *found[way])
        before = dump(db)
        refused = taken(db, *found[other][1:])
        assert "went two ways before change" in texts(refused)
        assert "import this together with the file" in texts(refused)
        assert (dump(db), refused.new) == (before, 0)
        assert not texts(taken(db, b"".join(found[other])))
        assert (dump(db), logs(db)) == truth()


def test_a_way_that_has_lost_its_name_keeps_the_other_one(tmp_path: Path) -> None:
    parent = filled(new(), 2)
    one, other = clone(parent), clone(parent)
    filled(one, 4, scout=2)
    filled(other, 4, scout=3)
    copies = {2: stream_of(one), 3: stream_of(other)}
    truth = new()
    for way in (one, other, one):
        sync(truth, way)
    (rest,) = (log for log in truth._logs.by_number if log.origin)
    db = new()
    taken(db, stream_of(parent))
    (alone,) = (part for part in cut(stream_of(truth)) if part.startswith(MARKER + rest.uuid))
    assert not texts(taken(db, alone))
    # The way that kept the name is not here yet: what comes under it is known by the other name.
    scout = next(scout for scout in (2, 3) if list(db.history(1, scout, "temp")))
    assert taken(db, copies[scout]).new == 0
    assert not texts(taken(db, copies[5 - scout]))
    assert (dump(db), logs(db)) == (dump(truth), logs(truth))


def test_a_part_without_checks_cannot_show_where_a_log_went_two_ways(ways: Any) -> None:
    found, _ = ways
    db = new()
    taken(db, *found[0])
    last = [one for one in pieces(io.BytesIO(found[1][1])) if isinstance(one, Piece)][-1]
    before = dump(db)
    assert "it is not what is here, and no check covers it" in texts(taken(db, MARKER + last.log + last.frames))
    assert dump(db) == before


def test_our_own_log_comes_back_to_a_restored_backup() -> None:
    db = filled(new(), 3)
    backup = clone(db)
    filled(db, 3, scout=2)
    own = db.id
    assert not texts(taken(backup, stream_of(db)))
    assert backup.id != own
    assert dump(backup) == dump(db)
    backup.report(1, 9, "temp", 1)
    assert logs(backup)[own.replace("-", "")] == logs(db)[own.replace("-", "")]


def test_our_own_log_from_the_middle_shows_that_we_are_a_backup(source: Database, tmp_path: Path) -> None:
    parts = cut(exported(source))
    db = new()
    taken(db, parts[0])
    twin = clone(db)
    twin._logs.own = twin._logs.by_number[-1]  # as if it had been written here
    own = twin.id
    assert own == source.id
    found = taken(twin, parts[2])
    assert found.gaps
    assert twin.id != own


# --- what is not taken ------------------------------------------------------------------------------------------------


def test_links_and_what_is_no_file(source: Database, tmp_path: Path) -> None:
    source.export_changes(tmp_path / "out")
    (file,) = (tmp_path / "out").rglob("*.changes")
    link = tmp_path / "link.changes"
    link.symlink_to(file)
    os.mkfifo(tmp_path / "pipe.changes")
    (tmp_path / "empty").mkdir()
    db = new()
    with pytest.raises(InvalidError, match=r"link\.changes is a symbolic link"):
        db.import_changes(file, link)
    with pytest.raises(InvalidError, match=r"pipe\.changes is no file"):
        db.import_changes(tmp_path / "pipe.changes")
    with pytest.raises(NotFoundError, match="no changes files in"):
        db.import_changes(tmp_path / "empty")
    with pytest.raises(FileNotFoundError):
        db.import_changes(tmp_path / "nothing")
    assert not db.troops, "nothing was taken"
    inside = tmp_path / "out" / "elsewhere"
    inside.symlink_to(tmp_path)
    found = db.import_changes(tmp_path / "out")
    assert [problem.file for problem in found.problems] == [str(inside)]
    assert dump(db) == dump(source)


def test_limits_hold(source: Database) -> None:
    data = exported(source)
    for limits in (Limits(troops=0), Limits(logs=0)):
        db = new()
        found = taken(db, data, limits=limits)
        assert "more than 0 new" in texts(found)
        assert not list(dump(db))
    db = new()
    with pytest.raises(InvalidError, match="more than 1000 bytes"):
        taken(db, data, limits=Limits(bytes=1000))
    with pytest.raises(Error, match="the disk has"):
        source.import_changes(io.BytesIO(data), limits=Limits(disk_floor=1 << 60))


def test_progress_ends_where_it_said(source: Database, tmp_path: Path) -> None:
    source.export_changes(tmp_path / "out")
    db = new()
    for _ in range(2):
        seen: list[tuple[int, int]] = []
        db.import_changes(tmp_path / "out", progress=lambda *told, seen=seen: seen.append(told))
        assert seen == sorted(seen)
        assert len({total for _, total in seen}) == 1
        assert seen[-1][0] == seen[-1][1] > 0
