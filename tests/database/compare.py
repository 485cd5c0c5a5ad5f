"""Every view of a database against what the model says it has to show."""

from __future__ import annotations

from typing import Any

from scoutcore.database import Database
from scoutcore.model import Point
from tests.model import Content, Reception, Row


def plain(point: Point | None) -> dict[str, Any] | None:
    if point is None:
        return None
    return {"t": point.t, "boot": point.boot, "ms": point.ms, "data": point.raw.decode()}


def shown(reception: Reception | None) -> dict[str, Any] | None:
    return None if reception is None else reception.plain


def assert_row(db: Database, content: Content, row: Row, receptions: bool = True) -> None:
    """Last value, history and receptions of one row."""
    troop = db._metadata.id_of[row.uid]
    hidden = content.hidden(row.uid, row.scout)
    assert plain(db.last(troop, *row[1:])) == (None if hidden else shown(content.last(row))), row
    expected = [] if hidden else content.history(row)
    points = list(db.history(troop, *row[1:]))
    assert [plain(point) for point in points] == [shown(one) for one in expected], row
    assert {(point.troop, point.uid, point.scout, point.report) for point in points} <= {(troop, *row)}
    for clock in {one.clock for one in expected if one.clock is not None} if receptions else ():
        boot, ms = clock
        heard = db.receptions(troop, *row[1:], boot=boot, ms=ms)
        assert [(one.log.replace("-", ""), one.change, one.index, one.write_time, one.t, one.raw) for one in heard] == [
            (one.log.hex(), one.change, one.index, one.write_time, one.t, one.raw) for one in content.heard(row, *clock)
        ], row


def expected_snapshot(content: Content, uid: str) -> dict[str, Any]:
    scouts: dict[int, Any] = {
        scout: {"fields": content.fields(uid, scout), "clash": content.clash(uid, scout), "reports": {}}
        for scout in content.scouts(uid)
    }
    for row in content.rows(uid):
        scouts[row.scout]["reports"][row.report] = shown(content.last(row))
    return {"uid": uid, "fields": content.fields(uid), "scouts": scouts}


def snapshot(db: Database, troop: int) -> dict[str, Any]:
    taken = db.snapshot(troop)
    assert taken.troop.id == troop
    return {
        "uid": taken.troop.uid,
        "fields": taken.troop.fields,
        "scouts": {
            number: {
                "fields": scout.scout.fields,
                "clash": scout.scout.clash,
                "reports": {report: plain(point) for report, point in scout.reports.items()},
            }
            for number, scout in taken.scouts.items()
        },
    }


def assert_shows(db: Database, content: Content, receptions: bool = True) -> None:
    """Everything that *db* shows is what *content* asks for."""
    ids = db._metadata.id_of
    uids = {edit.uid for edit in content.edits} | {row.uid for row in content.receptions}
    assert set(ids) == uids
    for row in sorted(content.receptions):
        assert_row(db, content, row, receptions)
    for uid in sorted(uids):
        if not content.hidden(uid):
            assert snapshot(db, ids[uid]) == expected_snapshot(content, uid)
            assert [scout.id for scout in db.scouts.list(ids[uid])] == content.scouts(uid)
    assert [troop.uid for troop in db.troops] == [
        uid for uid in sorted(uids, key=lambda uid: ids[uid]) if not content.hidden(uid)
    ]
    assert sorted(db.counts()) == sorted(
        (ids[uid], *row[1:], len(content.history(row)), len(content.receptions[row]))
        for uid in uids
        for row in content.rows(uid)
    )
    assert list(db.dump()) == list(content.dump())
