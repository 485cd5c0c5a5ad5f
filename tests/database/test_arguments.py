"""What cannot be is refused by name, whatever call it is given to; and a closed database says that it is closed."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import scoutcore
from scoutcore.errors import ClosedError, InvalidError, NotFoundError, ReportError
from scoutcore.watch import Synced


@pytest.fixture
def db(tmp_path: Path) -> Iterator[scoutcore.Database]:
    with scoutcore.open(tmp_path / "a.scout") as opened:
        opened.troops.create(name="one")
        opened.scouts.update(1, 7, name="door")
        opened.report(1, 7, "temp", 21.5, boot=1, ms=1)
        yield opened


READS: list[Callable[..., Any]] = [
    lambda db, *row: db.last(*row),
    lambda db, *row: list(db.history(*row)),
    lambda db, *row: db.receptions(*row, boot=1, ms=1),
]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    ("row", "error", "text"),
    [
        ((2, 7, "temp"), NotFoundError, "no troop 2 here"),
        (("1", 7, "temp"), NotFoundError, "no troop '1' here"),
        ((1, -1, "temp"), InvalidError, "scout is a number from 0 to 4294967295, not -1"),
        ((1, 2**32, "temp"), InvalidError, "scout is a number from 0 to 4294967295, not 4294967296"),
        ((1, "7", "temp"), InvalidError, "scout is a number from 0 to 4294967295, not '7'"),
        ((1, 7, ""), ReportError, "report name is empty"),
        ((1, 7, 5), ReportError, "report is not a string"),
        ((1, 7, "\ud800"), ReportError, "report name is not valid Unicode"),
    ],
)
def test_a_row_that_cannot_be(
    db: scoutcore.Database, read: Callable[..., Any], row: tuple[Any, ...], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=f"^{text}$"):
        read(db, *row)


def test_a_clock_that_cannot_be(db: scoutcore.Database) -> None:
    with pytest.raises(ReportError, match="boot is not a number from 0 to 2\\^64-1"):
        db.receptions(1, 7, "temp", boot=-1, ms=1)
    assert db.receptions(1, 7, "temp", boot=2**64 - 1, ms=2**64 - 1) == []


def test_a_report_that_cannot_be(db: scoutcore.Database) -> None:
    wrong: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((2, 7, "temp", 1), {}),
        ((1, -1, "temp", 1), {}),
        ((1, 7, "", 1), {}),
        ((1, 7, "temp", float("inf")), {}),
        ((1, 7, "temp", 1), {"t": 1.5}),
        ((1, 7, "temp", 1), {"boot": 1}),
    ]
    for arguments, options in wrong:
        with pytest.raises(InvalidError):
            db.report(*arguments, **options)
    assert db.stats().troops[0].points == 1


def test_text_is_not_read(db: scoutcore.Database) -> None:
    with pytest.raises(InvalidError, match="open the file with mode 'rb'"):
        db.ingest(io.StringIO('{"troop":1,"scout":7,"report":"temp","data":1}'))  # type: ignore[arg-type]


def test_a_watched_scout_that_cannot_be(db: scoutcore.Database) -> None:
    with pytest.raises(InvalidError, match="scout is a number"):
        db.watch(1, -1)


@pytest.mark.parametrize(
    "call",
    [
        lambda db: db.last(1, 7, "temp"),
        lambda db: list(db.history(1, 7, "temp")),
        lambda db: db.receptions(1, 7, "temp", boot=1, ms=1),
        lambda db: db.snapshot(1),
        lambda db: db.snapshot(),
        lambda db: db.watch(),
        lambda db: list(db.dump()),
        lambda db: db.stats(),
        lambda db: db.pack(),
        lambda db: db.troops.get(1),
        lambda db: list(db.troops),
        lambda db: db.scouts.list(1),
        lambda db: db.report(1, 7, "temp", 1),
        lambda db: db.ingest([{"troop": 1, "scout": 7, "report": "temp", "data": 1}]),
        lambda db: db.troops.create(),
        lambda db: db.scouts.update(1, 7, name="window"),
    ],
)
def test_a_closed_database_says_so(db: scoutcore.Database, call: Callable[..., Any]) -> None:
    db.close()
    with pytest.raises(ClosedError, match="the database is closed"):
        call(db)


def test_a_watch_ends_with_the_database_also_before_all_was_read(db: scoutcore.Database) -> None:
    fresh, begun, read = db.watch(), db.watch(), db.watch()
    next(begun)
    assert isinstance(list(zip(range(4), read, strict=False))[-1][1], Synced)
    db.close()
    for watch in (fresh, begun, read):
        assert not any(isinstance(event, Synced) for event in watch)
        assert watch.closed
