"""Every limit that docs/data-model.md and csrc/FORMAT.md state, at one below it, at it, and at one above it.

What limits bytes inside the codec alone is in ``tests/codec``. The number of a log's changes is in
``tests/database/test_log.py``.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from random import Random

import msgspec
import pytest

from scoutcore import changes, codec
from scoutcore.changes.position import CHECK, MARKER
from scoutcore.codec.columns import Change, ChangeColumns
from scoutcore.codec.constants import (
    CHECK_BYTES,
    CLOCK_RANGE,
    FILE_BYTES,
    INT64_MAX,
    INT64_MIN,
    INTERVAL_BYTES,
    MARKER_BYTES,
    MAX_BLOCK_POINTS,
    MAX_BLOCK_SPAN,
    MAX_DATA,
    MAX_ENTRIES,
    MAX_FRAME,
    MAX_HIDDEN,
    MAX_NUMBERS,
    MAX_TEXTS,
    MIN_COLUMN,
    RECENT,
    UINT32_MAX,
    UINT64_MAX,
)
from scoutcore.database import Database
from scoutcore.errors import Error, LaggedError
from scoutcore.ingest import MAX_ERRORS
from scoutcore.keys import MAX_REPORT_BYTES, MIN_KEY_LENGTH
from scoutcore.metadata import MAX_GIVEN_ID
from scoutcore.ndjson import MAX_DEPTH, MAX_LINE
from scoutcore.replication import messages
from scoutcore.replication.messages import HEADS_IN_MESSAGE, MAX_MESSAGE, MAX_UNTRUSTED, Have, Head, Hello
from scoutcore.replication.replica import Limits, replica_of
from scoutcore.replication.session import MIN_SECRET, Ended, Options, Session
from scoutcore.store.memory import MemoryStore
from scoutcore.watch import MAX_EVENTS, Synced
from tests.database.compare import assert_shows
from tests.database.logs import changes_of, content_of
from tests.replication.wire import Wire, dump, sync
from tests.test_cli import call

KEY = "the key of the troop at every limit"
LOG = b"l" * 16


@pytest.fixture
def db() -> Database:
    db = Database(MemoryStore())
    db.troops.create(key=KEY)
    return db


# --- what users give --------------------------------------------------------------------------------------------------


def text(size: int) -> str:
    """JSON text of so many bytes."""
    return '"' + "x" * (size - 2) + '"'


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def line(**members: str) -> bytes:
    whole = {"troop": "1", "scout": "7", "report": '"r"', "data": "1", "t": "1", **members}
    return b"{" + b",".join(b'"%s":%s' % (name.encode(), value.encode()) for name, value in whole.items()) + b"}"


def spaced(size: int) -> bytes:
    """A line of so many bytes."""
    return line() + b" " * (size - len(line()))


def lines(make: Callable[[int], bytes]) -> Callable[[Database, int], object]:
    """A line that *make* makes; it is refused alone."""

    def ingest(db: Database, n: int) -> object:
        good = line(report='"good"')
        result = db.ingest(good + b"\n" + make(n) + b"\n" + good + b"\n")
        assert sum(1 for _ in db.history(1, 7, "good")) % 2 == 0
        if result.errors:
            assert (result.accepted, result.rejected, result.errors[0][0]) == (2, 1, 2)
            raise Error(result.errors[0][1])
        assert result.accepted == 3
        return None

    return ingest


def column(db: Database, n: int) -> None:
    result = db.ingest_columns([(1, 7, "r")], array("I", [0]), array("q", [1]), b"[" + text(n).encode() + b"]")
    if result.errors:
        raise Error(result.errors[0][1])


MOST: dict[str, tuple[int, Callable[[Database, int], object], str]] = {
    "data, report": (MAX_DATA, lambda db, n: db.report(1, 7, "r", "x" * (n - 2)), "data is longer than 1048576 bytes"),
    "data, line": (MAX_DATA, lines(lambda n: line(data=text(n))), "data is longer than 1048576 bytes"),
    "data, column": (MAX_DATA, column, "data is longer than 1048576 bytes"),
    "depth, report": (MAX_DEPTH, lambda db, n: db.report(1, 7, "r", json.loads(nested(n))), "64"),
    "depth, line": (MAX_DEPTH, lines(lambda n: line(data=nested(n))), "64"),
    "line": (MAX_LINE, lines(spaced), f"line is longer than {MAX_LINE} bytes"),
    "name": (MAX_REPORT_BYTES, lambda db, n: db.report(1, 7, "n" * n, 1), "report name is longer than 200 bytes"),
    "name, line": (
        MAX_REPORT_BYTES,
        lines(lambda n: line(report='"' + "é" * (n // 2) + "n" * (n % 2) + '"')),
        "report name is longer than 200 bytes",
    ),
    "scout": (UINT32_MAX, lambda db, n: db.report(1, n, "r", 1), "4294967295"),
    "scout, line": (UINT32_MAX, lines(lambda n: line(scout=str(n))), "scout"),
    "scout, metadata": (UINT32_MAX, lambda db, n: db.scouts.update(1, n, name="x"), "4294967295"),
    "troop id": (UINT32_MAX, lambda db, n: db.troops.create(id=n), "4294967295"),
    "t": (INT64_MAX, lambda db, n: db.report(1, 7, "r", 1, t=n), "64 bits"),
    "t, line": (INT64_MAX, lines(lambda n: line(t=f"{n // 1000}.{n % 1000:03}")), "64 bits"),
    "boot": (UINT64_MAX, lambda db, n: db.report(1, 7, "r", 1, boot=n, ms=1), "boot"),
    "ms": (UINT64_MAX, lambda db, n: db.report(1, 7, "r", 1, boot=1, ms=n), "ms"),
    "boot, line": (UINT64_MAX, lines(lambda n: line(b=str(n), ms="1")), "b"),
    "ms, line": (UINT64_MAX, lines(lambda n: line(b="1", ms=str(n))), "ms"),
    "metadata": (
        MAX_DATA,
        lambda db, n: db.scouts.update(1, 7, {"one": "x" * 1000, "two": "x" * (n - 1000 - 4 - 6)}),
        "metadata written at once is longer than 1048576 bytes",
    ),
}
"""What is refused over a limit: the limit, who is given something of a size, and what the error says."""

LEAST: dict[str, tuple[int, Callable[[Database, int], object], str]] = {
    "troop key": (MIN_KEY_LENGTH, lambda db, n: db.troops.create(key="k" * n), "at least 32 characters"),
    "further key": (MIN_KEY_LENGTH, lambda db, n: db.troops.assign_key(1, "k" * n), "at least 32 characters"),
    "name": (1, lambda db, n: db.report(1, 7, "n" * n, 1), "report name is empty"),
    "scout": (0, lambda db, n: db.report(1, n, "r", 1), "scout"),
    "troop id": (1, lambda db, n: db.troops.create(id=n + 1 if n else 0), "from 1 to"),
    "t": (INT64_MIN, lambda db, n: db.report(1, 7, "r", 1, t=n), "64 bits"),
    "boot": (0, lambda db, n: db.report(1, 7, "r", 1, boot=n, ms=1), "boot"),
    "secret": (
        MIN_SECRET,
        lambda db, n: Session(replica_of(db), Options(secret=b"s" * n), initiator=True),
        "at least 16 bytes",
    ),
}
"""What is refused below a limit."""


def look(
    db: Database, give: Callable[[Database, int], object], sizes: tuple[int, int], wrong: int, reason: str
) -> None:
    """Give what is allowed, and what is not: that changes nothing, and all that was accepted shows."""
    for size in sizes:
        give(db, size)
    before, points = dump(db), sum(row[-1] for row in db.counts())
    with pytest.raises(Error, match=reason) as problem:
        give(db, wrong)
    assert len(str(problem.value)) < 300
    assert [one for one in dump(db) if one.get("report") != "good"] == [
        one for one in before if one.get("report") != "good"
    ]
    assert sum(row[-1] for row in db.counts() if row[2] != "good") <= points
    assert_shows(db, content_of(db), receptions=False)


@pytest.mark.parametrize("name", MOST)
def test_at_most(db: Database, name: str) -> None:
    limit, give, reason = MOST[name]
    look(db, give, (limit - 1, limit), limit + 1, reason)


@pytest.mark.parametrize("name", LEAST)
def test_at_least(db: Database, name: str) -> None:
    limit, give, reason = LEAST[name]
    look(db, give, (limit, limit + 1), limit - 1, reason)


@pytest.mark.parametrize("size", [4095, 4096, 4097])
@pytest.mark.parametrize("option", ["--key-file", "--secret-file"])
def test_a_file_with_a_secret_is_taken_whole_or_not_at_all(tmp_path: Path, option: str, size: int) -> None:
    """Cut, it would be another secret."""
    path, file = str(tmp_path / "x.scout"), tmp_path / "secret"
    file.write_text("s" * size)
    command = ["troops", "create", path] if option == "--key-file" else ["sync", path, "nowhere://"]
    result = call(*command, option, file)
    assert ("longer than 4096" in result.err) == (size > 4096), result.err
    assert "ssss" not in result.out + result.err


@pytest.mark.parametrize("count", [MAX_ERRORS - 1, MAX_ERRORS, MAX_ERRORS + 1])
def test_errors_that_are_described(db: Database, count: int) -> None:
    result = db.ingest(b"[]\n" * count)
    assert (result.rejected, len(result.errors)) == (count, min(count, MAX_ERRORS))


@pytest.mark.parametrize("count", [MAX_EVENTS - 1, MAX_EVENTS, MAX_EVENTS + 1])
def test_events_that_nobody_reads(db: Database, count: int) -> None:
    with db.watch() as watch:
        events = iter(watch)
        while not isinstance(next(events), Synced):
            pass
        one = {"troop": 1, "scout": 1, "report": "r", "data": 1, "t": 1}
        db.ingest([one] * (count - 1))
        db.report(1, 1, "r", 1)
        if count > MAX_EVENTS:
            with pytest.raises(LaggedError, match=f"more than {MAX_EVENTS} events"):
                list(events)
        else:
            assert len(list(islice(events, count))) == count


# --- blocks and indices: what is beyond goes elsewhere, and shows all the same ----------------------------------------


def blocks_of(db: Database) -> list[bytes]:
    """The blocks of our log."""
    assert db._logs.own is not None
    return [one.value or b"" for one in changes_of(db, db._logs.own) if one.subset == "sensor"]


@pytest.mark.parametrize("count", [MAX_BLOCK_POINTS - 1, MAX_BLOCK_POINTS, MAX_BLOCK_POINTS + 1])
@pytest.mark.parametrize("data", ["number", "text"])
def test_points_of_a_block(db: Database, count: int, data: str) -> None:
    value = {"number": lambda n: n, "text": lambda n: hex(n)}[data]
    db.ingest({"troop": 1, "scout": 1, "report": "r", "data": value(n), "t": n} for n in range(count))
    assert len(blocks_of(db)) == (1 if count <= MAX_BLOCK_POINTS else 2)
    assert_shows(db, content_of(db))


@pytest.mark.parametrize("span", [MAX_BLOCK_SPAN - 1, MAX_BLOCK_SPAN, MAX_BLOCK_SPAN + 1])
def test_span_of_a_block(db: Database, span: int) -> None:
    db.ingest({"troop": 1, "scout": 1, "report": "r", "data": t, "t": t} for t in (-5, span - 5))
    assert len(blocks_of(db)) == (1 if span <= MAX_BLOCK_SPAN else 2)
    assert_shows(db, content_of(db))


@pytest.mark.parametrize("count", [MIN_COLUMN - 1, MIN_COLUMN, MIN_COLUMN + 1])
def test_points_that_are_worth_columns(db: Database, count: int) -> None:
    db.ingest({"troop": 1, "scout": 1, "report": "r", "data": 1000 + n, "t": n * 1000} for n in range(count))
    assert [block[0] for block in blocks_of(db)] == [int(count >= MIN_COLUMN)]
    assert_shows(db, content_of(db))


@pytest.mark.parametrize("count", [MAX_NUMBERS - 1, MAX_NUMBERS, MAX_NUMBERS + 1])
def test_numbers_in_a_text(db: Database, count: int) -> None:
    db.ingest({"troop": 1, "scout": 1, "report": "r", "data": [n] * count, "t": n} for n in range(100))
    assert [block[0] for block in blocks_of(db)] == [int(count <= MAX_NUMBERS)]
    assert_shows(db, content_of(db))


@pytest.mark.parametrize(("count", "each"), [(511, 513), (512, 512), (5, 52_429)])
def test_bytes_of_all_texts_of_columns(db: Database, count: int, each: int) -> None:
    """What texts with one number can come to: that has up to 21 bytes."""
    filling = "x" * (each - 21 - len('["",]') - 1)
    db.ingest(b"\n".join(line(data=f'["{filling}",{1000 + n}]', t=str(n)) for n in range(count)))
    assert abs(count * each - MAX_TEXTS) <= 1
    assert [block[0] for block in blocks_of(db)] == [int(count * each <= MAX_TEXTS)]
    assert_shows(db, content_of(db))


def heard(db: Database, readings: list[tuple[int, int, int]]) -> None:
    """One batch of (t, boot, ms)."""
    db.ingest(
        {"troop": 1, "scout": 1, "report": "r", "data": [t, ms], "t": t, "boot": boot, "ms": ms}
        for t, boot, ms in readings
    )


@pytest.mark.parametrize("count", [MAX_HIDDEN - 1, MAX_HIDDEN, MAX_HIDDEN + 1])
def test_hidden_points_of_a_block(db: Database, count: int) -> None:
    heard(db, [(n, 1, n) for n in range(count)])
    heard(db, [(1000 + n, 1, n) for n in range(count)])
    assert_shows(db, content_of(db))
    heard(db, [(-1000 + n, 1, n) for n in range(count)])
    assert_shows(db, content_of(db))


@pytest.mark.parametrize("count", [MAX_ENTRIES - 1, MAX_ENTRIES, MAX_ENTRIES + 1])
@pytest.mark.parametrize("gap", [CLOCK_RANGE - 1, CLOCK_RANGE, CLOCK_RANGE + 1])
def test_entries_of_a_block_in_the_clock_index(db: Database, count: int, gap: int) -> None:
    for shift in (0, 5, -5):
        heard(db, [(shift + n, 1 + n % 2, n * gap) for n in range(2 * count)])
        assert_shows(db, content_of(db))


@pytest.mark.parametrize("count", [RECENT - 1, RECENT, RECENT + 1])
def test_recent_readings_of_a_row(db: Database, count: int) -> None:
    for n in range(0, count, 3):
        heard(db, [(n + k, 1, n + k) for k in range(min(3, count - n))])
    again = [*Random(count).sample(range(count), 40), 0, count - 1]
    for n in again:
        heard(db, [(5000 + n, 1, n)])
    assert [row[-2:] for row in db.counts()] == [(count, count + len(again))]
    assert_shows(db, content_of(db), receptions=False)


# --- files ------------------------------------------------------------------------------------------------------------


def exact(make: Callable[[int], bytes], size: int) -> bytes:
    """What *make* makes of a number, so that it has so many bytes."""
    room = size
    for _ in range(9):
        found = make(room)
        if len(found) == size:
            return found
        room += size - len(found)
    raise AssertionError(f"there is none of {size} bytes")


def framed(number: int, size: int) -> bytes:
    """The frame of a change, of so many bytes."""

    def make(room: int) -> bytes:
        change = Change(f"{'A' * 16}/1/r", number, 0, 1, b"\x09" + bytes(room), "sensor")
        return codec.encode_changes(ChangeColumns.from_objects([change]), 2 * MAX_FRAME)[0]

    return exact(make, size)


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_an_interval(tmp_path: Path, more: int) -> None:
    first = framed(1, INTERVAL_BYTES - MARKER_BYTES + more)
    writer = changes.Writer(tmp_path / "log", LOG, changes.Position())
    for frame in (first, framed(2, 100)):
        writer.append(frame, 1)
    writer.sync()
    writer.close()
    (file,) = changes.files_of(tmp_path / "log")
    data = file.read_bytes()
    closed = data[MARKER_BYTES + len(first) :].startswith(CHECK)
    assert closed == (more >= 0)
    assert data.count(MARKER + LOG) == 1 + closed
    assert changes.verify(tmp_path / "log").intervals == closed + (not closed)
    assert len(list(changes.open(tmp_path / "log"))) == 2


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_a_changes_file(tmp_path: Path, more: int) -> None:
    """It is ended with the interval that brings it to 64 MiB."""
    large = framed(1, 4_000_000)
    writer = changes.Writer(tmp_path / "log", LOG, changes.Position())
    number, size = 0, 0
    while FILE_BYTES - size > 4_500_000:
        number += 1
        writer.append(large.replace(b"\x18\x01", b"\x18" + bytes([number]), 1), 1)
        size = writer.position.size
    left = FILE_BYTES - size - MARKER_BYTES - CHECK_BYTES + more
    sizes = [left] if left <= MAX_FRAME else [left - 3_000_000 - MARKER_BYTES - CHECK_BYTES, 3_000_000]
    for one in sizes:
        number += 1
        writer.append(framed(number, one), 1)
    assert writer.position.size == FILE_BYTES + more
    writer.append(framed(number + 1, 100), 1)
    writer.sync()
    writer.close()
    assert len(changes.files_of(tmp_path / "log")) == (1 if more < 0 else 2)
    assert changes.verify(tmp_path / "log").last == number + 1


# --- peers ------------------------------------------------------------------------------------------------------------


def opened(db: Database) -> Session:
    """A session with a peer that has introduced itself and has other logs."""
    session = Session(replica_of(db), Options(), initiator=False)
    session.receive(messages.encode(Hello((1, 1), "ab" * 32)))
    session.receive(messages.encode(Have(own="ab" * 16, digest="00" * 16)))
    return session


def error_of(session: Session) -> str | None:
    ends = [event for event in session.events() if isinstance(event, Ended)]
    return ends[0].error if ends else None


def padded(message: messages.Message, size: int, whole: bool = False) -> bytes:
    """A message with a member that nobody knows, so that its JSON, or its *whole* frame, has so many bytes."""
    frame = messages.encode(message)
    columns = codec.decode_changes(frame, codec.scan_frames(frame))
    (change,) = columns.to_objects()
    start = (change.value or b"")[:-1] + b',"later":"'

    def make(room: int) -> bytes:
        value = start + b"x" * (room if whole else size - len(start) - 2) + b'"}'
        return codec.encode_changes(ChangeColumns.from_objects([msgspec.structs.replace(change, value=value)]))[0]

    return exact(make, size) if whole else make(0)


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_the_json_of_a_message(db: Database, more: int) -> None:
    session = opened(db)
    session.receive(padded(Have(heads=[]), MAX_MESSAGE + more))
    error = error_of(session)
    assert (error is None) == (more <= 0)
    assert error is None or error.endswith(f"message of {MAX_MESSAGE + 1} bytes: the limit is {MAX_MESSAGE}")


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_what_is_read_of_a_stranger(db: Database, more: int) -> None:
    session = Session(replica_of(db), Options(), initiator=False)
    session.receive(padded(Hello((1, 1), "ab" * 32), MAX_UNTRUSTED + more, whole=True))
    said = f"more than {MAX_UNTRUSTED} bytes before it was clear who sends them"
    assert error_of(session) == (None if more <= 0 else said)


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_a_frame_that_a_peer_sends(db: Database, more: int) -> None:
    """Of a codec that is not known, it is kept as it is."""
    frame = framed(1, MAX_FRAME + 4 + more)  # what its length says, and the four bytes of that
    session = opened(db)
    session.receive(messages.encode(Have(heads=[])) + MARKER + LOG + frame)
    error = error_of(session)
    assert error == (None if more <= 0 else "a wrong frame: frame longer than the limit")
    assert (LOG in db._logs.by_uuid) == (more <= 0)


@pytest.mark.parametrize("size", [15, 16, 17])
def test_a_blob_that_a_peer_sends(db: Database, size: int) -> None:
    session = opened(db)
    session.receive(messages.encode(Have(heads=[])) + bytes([size + 1, 2]) + b"l" * size + framed(1, 100))
    assert (error_of(session) is None) == (size == 16)
    assert (LOG in db._logs.by_uuid) == (size == 16)


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_the_span_of_a_block_that_a_peer_sends(db: Database, more: int) -> None:
    apart = codec.encode_varints([2 * (MAX_BLOCK_SPAN + more)])
    block = b"\x00\x01" + b"\x03\x00\x00\x37" + bytes([len(apart) + 2]) + apart + b"\x00\x37"
    change = Change(f"{'A' * 16}/1/r", 1, 0, 2, block, "sensor")
    session = opened(db)
    frame = codec.encode_changes(ChangeColumns.from_objects([change]))[0]
    session.receive(messages.encode(Have(heads=[])) + MARKER + LOG + frame)
    error = error_of(session)
    assert (error is None) == (more <= 0)
    assert error is None or error.endswith("block spans more than 3600 s")
    assert (LOG in db._logs.by_uuid) == (more <= 0)


@pytest.mark.parametrize("count", [19_999, 20_000, 20_001])
def test_logs_that_a_peer_tells_of(db: Database, count: int) -> None:
    session = opened(db)
    heads = [Head(f"{number:032x}", 0, 1, "ab" * 16) for number in range(count)]
    for begin in range(0, count, HEADS_IN_MESSAGE):
        session.receive(messages.encode(Have(heads=heads[begin : begin + HEADS_IN_MESSAGE], more=True)))
    assert error_of(session) == (None if count <= 20_000 else "more than 20000 logs")


def mesh(count: int) -> Database:
    """A database with so many logs, a troop and a change in each."""
    db = Database(MemoryStore())
    replica = replica_of(db)
    for number in range(count):
        db.troops.create(key=f"{number:032}")
        replica.start_own()
    return db


@pytest.mark.parametrize("count", [HEADS_IN_MESSAGE - 1, HEADS_IN_MESSAGE, HEADS_IN_MESSAGE + 1])
def test_heads_in_a_message(count: int) -> None:
    db, other = mesh(count), Database(MemoryStore())
    sync(other, db)
    assert dump(other) == dump(db)
    db.troops.update(1, name="new")
    wire = Wire(other, db).run()
    assert b"".join(wire.carried[1]).count(b'"more":true') == (count + 1 > HEADS_IN_MESSAGE)
    assert dump(other) == dump(db)


@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize("kind", ["logs", "troops", "bytes"])
def test_what_one_peer_may_cost(kind: str, more: int) -> None:
    other, db = mesh(5), Database(MemoryStore())
    size = sum(len(frames) for log in other._logs.by_number for *_, frames in other._logs.chunks(log, 1))
    limit = {"logs": 5, "troops": 5, "bytes": size}[kind]
    wire = Wire(db, other, Options(limits=Limits(**{kind: limit - more})), Options()).run()
    (end,) = wire.of(0, Ended)
    assert (end.error is None) == (more <= 0), end.error
    assert more > 0 or dump(db) == dump(other)


@pytest.mark.parametrize("number", [MAX_GIVEN_ID - 1, MAX_GIVEN_ID, MAX_GIVEN_ID + 1])
def test_an_id_that_a_troop_brings_along(number: int) -> None:
    one, other = Database(MemoryStore()), Database(MemoryStore())
    one.troops.create(id=number)
    sync(one, other)
    assert [troop.id for troop in other.troops] == [number if number <= MAX_GIVEN_ID else 1]
