"""The databases that speak SQL: SQLite with a write-ahead log, and DuckDB, which reads NDJSON by itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from itertools import count
from pathlib import Path

_SQLITE = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = OFF;
    CREATE TABLE reports (
        troop INTEGER, scout INTEGER, report TEXT, t INTEGER, number INTEGER, boot INTEGER, ms INTEGER, data TEXT,
        PRIMARY KEY (troop, scout, report, t, number)
    ) WITHOUT ROWID;
"""


def open_sqlite(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path / "reports.sqlite", isolation_level=None)


class Sqlite:
    """One table, ordered by series and time: history is a range of it, the last value its end."""

    def __init__(self, path: Path) -> None:
        path.mkdir()
        self.db = open_sqlite(path)
        self.db.executescript(_SQLITE)
        self._numbers = count()

    def write(self, lines: Iterable[bytes]) -> int:
        """One transaction of NDJSON lines."""
        import orjson

        rows = []
        for line in lines:
            one = orjson.loads(line)
            key = one["troop"], one["scout"], one["report"], one["t"], next(self._numbers)
            rows.append((*key, one.get("b"), one.get("ms"), orjson.dumps(one["data"]).decode()))
        if rows:
            self.db.execute("BEGIN")
            self.db.executemany("INSERT INTO reports VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self.db.execute("COMMIT")
        return len(rows)

    def close(self) -> None:
        self.db.close()


_COLUMNS = {
    "troop": "UINTEGER",
    "scout": "UINTEGER",
    "report": "VARCHAR",
    "t": "BIGINT",
    "b": "UBIGINT",
    "ms": "UBIGINT",
    "data": "JSON",
}


class DuckDb:
    """One table as the reports come, without an index: it keeps no last values, and nothing in order."""

    def __init__(self, path: Path) -> None:
        import duckdb

        path.mkdir()
        self.db = duckdb.connect(str(path / "reports.duckdb"))
        self.db.execute(f"CREATE TABLE reports ({', '.join(' '.join(one) for one in _COLUMNS.items())})")
        self._piece = path / "piece.ndjson"

    def read(self, file: Path) -> int:
        """A file of NDJSON in one transaction."""
        columns = ", ".join(f"{name}: '{kind}'" for name, kind in _COLUMNS.items())
        (taken,) = self.db.execute(
            f"INSERT INTO reports SELECT * FROM read_json(?, format = 'newline_delimited', columns = {{{columns}}})",
            [str(file)],
        ).fetchone()
        return taken

    def write(self, lines: Iterable[bytes]) -> int:
        """One transaction of NDJSON lines, by way of a file: that is its fastest way in."""
        data = b"".join(lines)
        if not data:
            return 0
        self._piece.write_bytes(data)
        return self.read(self._piece)

    def close(self) -> None:
        self.db.close()
        self._piece.unlink(missing_ok=True)
