"""A Hypothesis state machine: the database beside a plain model, through random operations, reopenings and clocks."""

from __future__ import annotations

import json
import shutil
import tempfile
import uuid
from array import array
from datetime import timedelta
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from scoutcore.codec.constants import INT64_MAX, INT64_MIN, UINT32_MAX, UINT64_MAX
from scoutcore.database import Database
from scoutcore.directory import Directory
from scoutcore.errors import ExistsError, IngestError, NotFoundError, ReportError
from scoutcore.keys import uid_of_key
from scoutcore.model import Point
from scoutcore.recovery import open_store
from scoutcore.store.memory import MemoryStore
from scoutcore.watch import Synced, Watch
from tests.database.compare import assert_row, assert_shows
from tests.database.logs import content_of
from tests.model import DAY, SET_CLOCK, Content, Row, Sent, Writer

MAX_CHANGE = 40
KEYS = [f"{number}-a troop key of the machine's tests" for number in range(4)]

scout_numbers = st.sampled_from([0, 1, 2, 7, UINT32_MAX])
report_names = st.sampled_from(["temp", "a/b", "é", "t"])
offsets = st.one_of(
    st.integers(-5, 5),
    st.sampled_from([-DAY, -3_600_000_001, -3_600_000_000, 3_600_000_000, 3_600_000_001, 10 * 365 * DAY]),
)
"""What a report's time is off the clock, in µs."""
extreme_times = st.sampled_from([0, 1, -1, INT64_MIN, INT64_MIN + 1, INT64_MAX - 1, INT64_MAX, 2**53 * 1000 + 1])
clocks = st.tuples(
    st.sampled_from([0, 1, 2, 2**53 + 1, UINT64_MAX]),
    st.one_of(st.integers(0, 6), st.sampled_from([3_600_000, 3_600_001, 7_200_005, UINT64_MAX - 1, UINT64_MAX])),
)
texts = st.sampled_from(
    [
        "0",
        "-0",
        "1e5",
        "21.50",
        "null",
        '""',
        '"\\u00e9\\n"',
        '"é"',
        '{"c" : 21.5}',
        "[ 1,2 ]",
        '{"a":1,"a":2}',
        "1E400",
    ]
)
fields = st.dictionaries(
    st.sampled_from(["name", "place", "é", "x"]),
    st.sampled_from([None, 0, 1.5, "door", [1, {"a": None}], {"deep": {"er": True}}, ""]),
    max_size=2,
)
unsets = st.lists(st.sampled_from(["name", "place", "never set"]), max_size=2, unique=True)


class Draft(NamedTuple):
    """A report before it is known which troop it is for."""

    pick: int
    scout: int
    report: str
    t: int | None
    extreme: bool
    clock: tuple[int, int] | None
    text: str
    by: str


drafts = st.builds(
    Draft,
    st.integers(0, 3),
    scout_numbers,
    report_names,
    st.none() | offsets | extreme_times,
    st.booleans(),
    st.none() | clocks,
    texts,
    st.sampled_from(["troop", "uid", "key"]),
)

BAD_LINES = [
    b"{",
    b"[]",
    b'"a"',
    b"\xff",
    b'{"scout":1,"report":"temp","data":1}',
    b'{"troop":999999,"scout":1,"report":"temp","data":1}',
    b'{"troop":1,"report":"temp","data":1}',
    b'{"troop":1,"scout":1,"data":1}',
    b'{"troop":1,"scout":1,"report":"temp"}',
    b'{"troop":1,"scout":-1,"report":"temp","data":1}',
    b'{"troop":1,"scout":4294967296,"report":"temp","data":1}',
    b'{"troop":1,"scout":1,"report":"","data":1}',
    b'{"troop":1,"scout":1,"report":"a\\u0000b","data":1}',
    b'{"troop":1,"scout":1,"report":"temp","data":NaN}',
    b'{"troop":1,"scout":1,"report":"temp","data":1,"b":1}',
    b'{"troop":1,"scout":1,"report":"temp","data":1,"ms":1}',
    b'{"troop":1,"scout":1,"report":"temp","data":1,"t":0.0001}',
    b'{"troop":1,"scout":1,"report":"temp","data":1,"t":9223372036854775.808}',
    b'{"troop":1,"scout":1,"report":"temp","data":1,"t":"now"}',
    b'{"key":"a key that nobody has, 32 letters","scout":1,"report":"temp","data":1}',
]


def in_milliseconds(t: int) -> str:
    text = f"{Decimal(t).scaleb(-3):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class Machine(RuleBasedStateMachine):
    """Everything is foretold by the model; only the names of logs are taken from the database."""

    on_disk = False

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr("secrets.token_hex", lambda size: self.random().hex())
        self.patch.setattr("uuid.uuid4", lambda: uuid.UUID(bytes=self.random(), version=4))
        self.drawn = 0
        self.model = Writer(MAX_CHANGE)
        self.path = Path(tempfile.mkdtemp(prefix="scoutcore-machine-")) if self.on_disk else None
        self.memory = MemoryStore()
        self.keys: dict[str, str] = {}
        self.db: Database
        self.watch: Watch | None = None
        self.expected_events: list[Any] = []
        self.keeps: dict[str | None, int] = {}
        self.floors: dict[str | None, int] = {}

    def floor(self, report: str) -> int:
        """What was before it has expired."""
        own = self.floors.get(report, INT64_MIN)
        return own if report in self.keeps else max(own, self.floors.get(None, INT64_MIN))

    @property
    def shown(self) -> Content:
        return self.model.content.since(self.floor)

    def random(self) -> bytes:
        """16 bytes, the same in every run of the same steps."""
        self.drawn += 1
        return blake2b(str(self.drawn).encode(), digest_size=16).digest()

    def open(self, durability: str) -> None:
        directory = Directory(self.path) if self.path else None
        store = open_store(directory)[0] if directory else self.memory
        self.db = Database(
            store,
            directory,
            durability=durability,  # type: ignore[arg-type]
            now=lambda: self.model.clock.now,
            max_change=MAX_CHANGE,
        )

    @initialize(durability=st.sampled_from(["process", "power"]))
    def begin(self, durability: str) -> None:
        self.open(durability)
        self.model.log = self.log

    def teardown(self) -> None:
        try:
            if hasattr(self, "db"):
                self.everything()
                self.db.close()
        finally:
            self.patch.undo()
            if self.path:
                shutil.rmtree(self.path)

    @property
    def log(self) -> bytes:
        assert self.db._logs.own is not None
        return self.db._logs.own.uuid

    def pick(self, number: int) -> str:
        """The uid of one of the troops."""
        return sorted(self.model.ids)[number % len(self.model.ids)]

    def edit(self, uid: str, scout: int | None = None, *args: Any, **more: Any) -> None:
        """A metadata edit, as the model has it; where it brings something back, watchers are told its values."""
        content, troop = self.model.content, self.model.ids[uid]
        hidden = content.known(uid, scout) and content.hidden(uid, scout)
        self.model.edit(self.log, uid, scout, *args, **more)
        content = self.shown
        if hidden:
            lasts = [(row, content.last(row)) for row in content.rows(uid, scout)]
            self.happened(
                *(Point(troop, *row, one.t, one.raw, *(one.clock or (None, None))) for row, one in lasts if one)
            )

    # --- troops and scouts ---

    @rule(
        key=st.sampled_from([None, *KEYS]),
        wanted=st.none() | st.sampled_from([1, 2, 3, 9, UINT32_MAX]),
        fields=fields,
    )
    def create_troop(self, key: str | None, wanted: int | None, fields: dict[str, Any]) -> None:
        model = self.model
        taken = (key and uid_of_key(key) in model.ids) or wanted in model.ids.values()
        try:
            troop = self.db.troops.create(fields, key=key, id=wanted)
        except ExistsError:
            assert taken
            return
        assert not taken
        assert troop.key == key or key is None
        assert troop.key is not None
        assert troop.uid == uid_of_key(troop.key)
        self.keys[troop.uid] = troop.key
        assert troop.id == model.allocate(troop.uid, wanted)
        self.edit(troop.uid, None, fields)

    @precondition(lambda self: self.model.ids)
    @rule(pick=st.integers(0, 3), fields=fields, unset=unsets, scout=st.none() | scout_numbers)
    def update(self, pick: int, fields: dict[str, Any], unset: list[str], scout: int | None) -> None:
        uid = self.pick(pick)
        unset = [name for name in unset if name not in fields]
        troop = self.model.ids[uid]
        if scout is None:
            self.db.troops.update(troop, fields, unset=unset)
        else:
            self.db.scouts.update(troop, scout, fields, unset=unset)
        self.edit(uid, scout, fields, tuple(sorted(unset)))

    @precondition(lambda self: self.model.ids)
    @rule(pick=st.integers(0, 3), scout=st.none() | scout_numbers)
    def delete(self, pick: int, scout: int | None) -> None:
        uid = self.pick(pick)
        if scout is None:
            self.db.troops.delete(self.model.ids[uid])
        else:
            self.db.scouts.delete(self.model.ids[uid], scout)
        self.edit(uid, scout, deletes=True)

    @precondition(lambda self: self.model.ids)
    @rule(pick=st.integers(0, 3), wanted=st.none() | scout_numbers, fields=fields)
    def create_scout(self, pick: int, wanted: int | None, fields: dict[str, Any]) -> None:
        uid = self.pick(pick)
        taken = wanted is not None and self.model.content.known(uid, wanted)
        try:
            scout = self.db.scouts.create(self.model.ids[uid], fields, id=wanted)
        except ExistsError:
            assert taken
            return
        assert not taken
        assert scout.id == (self.model.allocate_scout(uid) if wanted is None else wanted)
        self.edit(uid, scout.id, fields)

    # --- keys ---

    @precondition(lambda self: self.model.ids)
    @rule(pick=st.integers(0, 3), key=st.sampled_from(KEYS))
    def assign_key(self, pick: int, key: str) -> None:
        uid = self.pick(pick)
        assert self.db.troops.assign_key(self.model.ids[uid], key) == key
        self.edit(uid, None, {f"key/{uid_of_key(key)}": True})

    @precondition(lambda self: self.model.ids)
    @rule(pick=st.integers(0, 3), key=st.sampled_from(KEYS))
    def revoke_key(self, pick: int, key: str) -> None:
        uid, digest = self.pick(pick), uid_of_key(key)
        has = uid == digest or self.model.content._register(uid, None, f"key/{digest}") == (True, True)
        try:
            self.db.troops.revoke_key(self.model.ids[uid], key)
        except NotFoundError:
            assert not has
            return
        assert has
        self.edit(uid, None, {f"key/{digest}": False})

    # --- reports ---

    def sent(self, draft: Draft) -> tuple[Sent, dict[str, Any]]:
        """A draft as the model takes it, and how it names its troop."""
        uid = self.pick(draft.pick)
        t = draft.t
        if t is not None and not draft.extreme:
            t = max(min(self.model.clock.now + t, INT64_MAX), INT64_MIN)
        names: dict[str, Any] = {"troop": self.model.ids[uid]}
        if draft.by == "uid":
            names = {"uid": uid, "troop": 12345}
        elif draft.by == "key":
            key = self.keys[uid]
            found = self.model.content.by_key(uid_of_key(key))
            if found is not None:
                uid, names = found, {"key": key}
        return Sent(Row(uid, draft.scout, draft.report), t, draft.clock, draft.text.encode()), names

    @precondition(lambda self: self.model.ids)
    @rule(draft=drafts)
    def report(self, draft: Draft) -> None:
        sent, _ = self.sent(draft)
        if draft.text == "1E400":
            return
        data = json.loads(draft.text)
        boot, ms = draft.clock or (None, None)
        troop = self.model.ids[sent.row.uid]
        point = self.db.report(troop, draft.scout, draft.report, data, t=sent.t, boot=boot, ms=ms)
        assert json.loads(point.raw) == data
        sent = sent._replace(raw=point.raw)
        (stamped,) = self.model.report([sent], self.log)
        assert point == Point(troop, *sent.row, stamped.t, point.raw, boot, ms)
        self.reported([stamped])

    @precondition(lambda self: self.model.ids)
    @rule(drafts=st.lists(drafts, max_size=12), bad=st.lists(st.tuples(st.integers(0, 12), st.sampled_from(BAD_LINES))))
    def ingest_lines(self, drafts: list[Draft], bad: list[tuple[int, bytes]]) -> None:
        taken = [self.sent(draft) for draft in drafts]
        lines = [self.line(sent, names) for sent, names in taken]
        wrong: list[bytes] = []
        for place, line in bad:
            if 1 in self.model.ids.values() or b'"troop":1,' not in line:
                lines.insert(place, line)
                wrong.append(line)
        result = self.db.ingest(b"\n".join(lines) + b"\n")
        assert [line for line, _ in result.errors] == [
            number for number, line in enumerate(lines, 1) if line in BAD_LINES
        ], result
        assert (result.accepted, result.rejected) == (len(taken), len(wrong))
        self.reported(self.model.report([sent for sent, _ in taken], self.log))

    @staticmethod
    def line(sent: Sent, names: dict[str, Any]) -> bytes:
        members = [f'"{name}": {json.dumps(value)}' for name, value in names.items()]
        members += [f'"scout":{sent.row.scout}', f'"report":{json.dumps(sent.row.report)}']
        if sent.t is not None:
            members.append(f'"t":{in_milliseconds(sent.t)}')
        if sent.clock:
            members.append(f'"b":{sent.clock[0]},"ms":{sent.clock[1]}')
        members.append(f'"data": {sent.raw.decode()} ')
        return ("{" + ",".join(members) + "}").encode()

    @precondition(lambda self: self.model.ids)
    @rule(drafts=st.lists(drafts, min_size=1, max_size=8), strict=st.booleans())
    def ingest_items(self, drafts: list[Draft], strict: bool) -> None:
        taken, items = [], []
        for draft in drafts:
            sent, names = self.sent(draft)
            item: Any = {**names, "scout": draft.scout, "report": draft.report, "data": json.loads(draft.text)}
            if sent.t is not None:
                item["t"] = sent.t
            if draft.clock:
                item["boot"], item["ms"] = draft.clock
            if draft.text == "1E400":  # inf: JSON cannot say it
                items.append(item)
                continue
            raw = json.dumps(item["data"], separators=(",", ":"), ensure_ascii=False).encode()
            if draft.extreme and sent.t is not None:
                raw = draft.text.encode()
                item = Point(12345, *sent.row, sent.t, raw, item.get("boot"), item.get("ms"))
            taken.append((len(items), sent._replace(raw=raw)))
            items.append(item)
        wrong = len(items) - len(taken)
        try:
            result = self.db.ingest(iter(items), strict=strict)
        except IngestError as problem:
            refused = problem.line
        else:
            refused = 0
        if strict and wrong:
            good = {place for place, _ in taken}
            assert refused == 1 + next(index for index in range(len(items)) if index not in good)
            return
        assert not refused
        assert (result.accepted, result.rejected) == (len(taken), wrong), result
        self.reported(self.model.report([sent for _, sent in taken], self.log))

    @precondition(lambda self: self.model.ids)
    @rule(drafts=st.lists(drafts, max_size=8), clocked=st.booleans(), stamped=st.booleans())
    def ingest_columns(self, drafts: list[Draft], clocked: bool, stamped: bool) -> None:
        taken = [self.sent(draft._replace(by="troop"))[0] for draft in drafts]
        taken = [
            sent._replace(t=(sent.t or 0) if stamped else None, clock=(sent.clock or (0, 0)) if clocked else None)
            for sent in taken
        ]
        rows = sorted({sent.row for sent in taken})
        result = self.db.ingest_columns(
            [(self.model.ids[row.uid], row.scout, row.report) for row in rows],
            array("I", [rows.index(sent.row) for sent in taken]),
            array("q", [sent.t or 0 for sent in taken]) if stamped else None,
            b"[" + b" ,".join(sent.raw for sent in taken) + b"]",
            boot=array("Q", [sent.clock[0] for sent in taken if sent.clock]) if clocked else None,
            ms=array("Q", [sent.clock[1] for sent in taken if sent.clock]) if clocked else None,
        )
        assert (result.accepted, result.errors) == (len(taken), [])
        self.reported(self.model.report(taken, self.log))

    @precondition(lambda self: self.model.ids)
    @rule(scout=scout_numbers, report=report_names)
    def unknown_troop(self, scout: int, report: str) -> None:
        unknown = 12345
        with pytest.raises(ReportError):
            self.db.report(unknown, scout, report, 1)
        for call in (self.db.last, self.db.history):
            with pytest.raises(NotFoundError):
                call(unknown, scout, report)

    # --- around it ---

    @rule(durability=st.sampled_from(["process", "power"]))
    def reopen(self, durability: str) -> None:
        self.db.close()
        self.watch = None
        self.open(durability)
        self.advance()
        assert self.log == self.model.log

    def advance(self) -> None:
        """The rules move the floors to where the clock says, in whole minutes."""
        for report, keep in self.keeps.items():
            if keep < INT64_MAX:
                floor = (self.model.clock.now - keep) // 60_000_000 * 60_000_000
                self.floors[report] = max(self.floors.get(report, INT64_MIN), floor)

    @rule(
        now=st.one_of(
            st.sampled_from([0, 1, SET_CLOCK - 1, SET_CLOCK, SET_CLOCK + 50 * 365 * DAY]),
            st.integers(SET_CLOCK, SET_CLOCK + 3 * DAY),
        )
    )
    def clock_jumps(self, now: int) -> None:
        self.model.clock.now = now

    @rule(by=st.integers(1, DAY))
    def clock_runs(self, by: int) -> None:
        self.model.clock.now += by

    @rule()
    def watches(self) -> None:
        self.watch = self.db.watch()
        self.expected_events = []
        current = list(iter(self.watch.__next__, Synced()))
        points = [event for event in current if isinstance(event, Point)]
        content = self.shown
        assert [point.t for point in points] == [
            content.last(row).t  # type: ignore[union-attr]
            for uid in sorted(self.model.ids, key=lambda uid: self.model.ids[uid])
            for row in content.rows(uid)
        ]

    def happened(self, *events: Any) -> None:
        self.expected_events += events

    def reported(self, batch: list[Sent]) -> None:
        for row, t, clock, raw in batch:
            if not self.model.content.hidden(row.uid, row.scout):
                assert t is not None
                if t < self.floor(row.report):
                    continue
                self.happened(Point(self.model.ids[row.uid], *row, t, raw, *(clock or (None, None))))

    @invariant()
    def watchers_know(self) -> None:
        if self.watch is None:
            return
        seen = []
        while (event := self.watch.next(0)) is not None:
            seen.append(event)
        self.expected_events, expected = [], self.expected_events
        assert [event for event in seen if isinstance(event, Point)] == [
            event for event in expected if isinstance(event, Point)
        ]

    @precondition(lambda self: self.model.content.receptions)
    @rule(
        pick=st.integers(0, 30),
        start=st.none() | extreme_times | offsets,
        end=st.none() | extreme_times | offsets,
        reverse=st.booleans(),
        limit=st.none() | st.integers(0, 5),
    )
    def history_range(self, pick: int, start: int | None, end: int | None, reverse: bool, limit: int | None) -> None:
        rows = sorted(self.model.content.receptions)
        row = rows[pick % len(rows)]
        start, end = (
            time if time is None or abs(time) > 2**60 else min(self.model.clock.now + time, INT64_MAX)
            for time in (start, end)
        )
        expected = [
            one
            for one in ([] if self.model.content.hidden(row.uid, row.scout) else self.shown.history(row))
            if (start is None or one.t >= start) and (end is None or one.t < end)
        ]
        if reverse:
            expected.reverse()
        troop = self.model.ids[row.uid]
        history = self.db.history(troop, *row[1:], start=start, end=end, reverse=reverse, limit=limit)
        found = [(point.t, point.boot, point.ms, point.raw) for point in history]
        assert found == [(one.t, *(one.clock or (None, None)), one.raw) for one in expected[:limit]]
        columns = [t for chunk in history.columns() for t in chunk.t]
        assert columns == [t for t, *_ in found]

    @precondition(lambda self: self.model.content.receptions)
    @rule(pick=st.integers(0, 30))
    def one_row(self, pick: int) -> None:
        rows = sorted(self.model.content.receptions)
        assert_row(self.db, self.shown, rows[pick % len(rows)])

    @rule()
    def everything(self) -> None:
        content = self.model.content
        assert_shows(self.db, self.shown)
        assert {uid: self.db._metadata.id_of[uid] for uid in self.model.ids} == self.model.ids
        for key in (*KEYS, *self.keys.values()):
            uid = content.by_key(uid_of_key(key))
            if uid is None or content.hidden(uid):
                with pytest.raises(NotFoundError):
                    self.db.troops.by_key(key)
            else:
                assert self.db.troops.by_key(key).uid == uid
        in_logs = content_of(self.db)
        assert {row: set(ones) for row, ones in in_logs.receptions.items()} == {
            row: set(ones) for row, ones in content.receptions.items() if ones
        }
        assert sorted(map(repr, in_logs.edits)) == sorted(map(repr, content.edits))


class MachineOnDisk(Machine):
    """The same over LevelDB, with packing."""

    on_disk = True

    @rule(before=st.none() | offsets | extreme_times, report=st.none() | report_names)
    def expire(self, before: int | None, report: str | None) -> None:
        if before is not None and abs(before) < 2**60:
            before += self.model.clock.now
        gone = self.left()
        went = self.db.expire(before=before, report=report)
        self.advance()
        if before is not None:
            for name in {report, *(self.keeps | self.floors if report is None else ())}:
                self.floors[name] = max(self.floors.get(name, INT64_MIN), before)
        assert went == gone - self.left()

    def left(self) -> int:
        return sum(map(len, self.shown.receptions.values()))

    @rule(
        keep=st.none() | st.sampled_from([timedelta(hours=1), timedelta(days=30), timedelta.max]),
        report=st.none() | report_names,
    )
    def retain(self, keep: timedelta | None, report: str | None) -> None:
        gone = self.left()
        if report is not None:
            self.floors[report] = self.floor(report)
        self.keeps.pop(report, None)
        if keep is not None:
            self.keeps[report] = min(keep // timedelta(microseconds=1), INT64_MAX)
        self.advance()
        assert self.db.retain(keep, report=report) == gone - self.left()

    @rule()
    def pack(self) -> None:
        self.db.pack()


few = settings(
    stateful_step_count=30,
    report_multiple_bugs=False,
    phases=set(settings.default.phases) - {Phase.explain},
)
TestInMemory = Machine.TestCase
TestInMemory.settings = few
TestOnDisk = MachineOnDisk.TestCase
TestOnDisk.settings = settings(few, max_examples=max(10, settings.default.max_examples // 4))
