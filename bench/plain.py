"""The plain ways to do the same, that we are measured against: plyvel with three puts per report, LMDB with orjson."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from struct import Struct
from typing import Any

import orjson

TIME = Struct(">q")
NUMBER = Struct(">Q")


def series_key(report: dict[str, Any]) -> bytes:
    return b"%d/%d/%s/" % (report["troop"], report["scout"], report["report"].encode())


class Plyvel:
    """A log, last values and history, each one put; no dedup, no checks, nothing grouped."""

    def __init__(self, path: Path) -> None:
        import plyvel

        self.db = plyvel.DB(str(path), create_if_missing=True)
        self.number = 0

    def put(self, target: Any, report: dict[str, Any], line: bytes) -> None:
        """Put one report into *target*, the database or a batch."""
        self.number += 1
        key = series_key(report)
        time = TIME.pack(report["t"])
        data = orjson.dumps(report["data"])
        target.put(b"log/" + NUMBER.pack(self.number), line)
        target.put(b"last/" + key, time + data)
        target.put(b"history/" + key + time + NUMBER.pack(self.number), data)

    def write(self, lines: Iterable[bytes]) -> int:
        """One atomic batch of NDJSON lines."""
        batch = self.db.write_batch()
        count = 0
        for line in lines:
            self.put(batch, orjson.loads(line), line)
            count += 1
        batch.write()
        return count


class Lmdb:
    """History alone: one item per point."""

    def __init__(self, path: Path) -> None:
        import lmdb

        self.env = lmdb.open(str(path), map_size=4 << 30, sync=False)

    def write(self, lines: Iterable[bytes]) -> None:
        with self.env.begin(write=True) as transaction:
            for number, line in enumerate(lines):
                report = orjson.loads(line)
                key = series_key(report) + TIME.pack(report["t"]) + NUMBER.pack(number)
                transaction.put(key, orjson.dumps(report["data"]))

    def read(self, series: bytes, start: int = 0, end: int = 2**63 - 1) -> Iterator[tuple[int, Any]]:
        """Time and decoded data of every point of *series* in [start, end)."""
        stop = series + TIME.pack(end)
        head = len(series)
        with self.env.begin() as transaction:
            cursor = transaction.cursor()
            if not cursor.set_range(series + TIME.pack(start)):
                return
            for key, value in cursor:
                if key >= stop:
                    return
                yield TIME.unpack_from(key, head)[0], orjson.loads(value)
