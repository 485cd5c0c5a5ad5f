"""The plain ways to do the same on a store of keys: three puts per report on plyvel, RocksDB and LMDB, with orjson."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from struct import Struct
from typing import Any

import orjson

TIME = Struct(">q")
NUMBER = Struct(">Q")


def series_key(report: dict[str, Any]) -> bytes:
    return b"%d/%d/%s/" % (report["troop"], report["scout"], report["report"].encode())


class Plain(ABC):
    """A log, last values and history, each one put; no dedup, no checks, nothing grouped."""

    number = 0

    @abstractmethod
    def batch(self) -> AbstractContextManager[Any]:
        """Something with ``put(key, value)`` that is written as one, atomically, at its end."""

    @abstractmethod
    def close(self) -> None: ...

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
        count = 0
        with self.batch() as batch:
            for line in lines:
                self.put(batch, orjson.loads(line), line)
                count += 1
        return count


class Plyvel(Plain):
    def __init__(self, path: Path) -> None:
        import plyvel

        self.db = plyvel.DB(str(path), create_if_missing=True)

    def batch(self) -> AbstractContextManager[Any]:
        return self.db.write_batch()

    def close(self) -> None:
        self.db.close()


class RocksDb(Plain):
    def __init__(self, path: Path) -> None:
        from rocksdict import Options, Rdict

        self.db = Rdict(str(path), Options(raw_mode=True))

    @contextmanager
    def batch(self) -> Iterator[Any]:
        from rocksdict import WriteBatch

        batch = WriteBatch(raw_mode=True)
        yield batch
        self.db.write(batch)

    def close(self) -> None:
        self.db.close()


class Lmdb(Plain):
    def __init__(self, path: Path) -> None:
        import lmdb

        self.env = lmdb.open(str(path), map_size=16 << 30, sync=False)

    def batch(self) -> AbstractContextManager[Any]:
        return self.env.begin(write=True)

    def close(self) -> None:
        self.env.close()

    def read(self, series: bytes, start: int = 0, end: int = 2**63 - 1) -> Iterator[tuple[int, Any]]:
        """Time and decoded data of every point of *series* in [start, end)."""
        first = b"history/" + series
        stop = first + TIME.pack(end)
        head = len(first)
        with self.env.begin() as transaction:
            cursor = transaction.cursor()
            if not cursor.set_range(first + TIME.pack(start)):
                return
            for key, value in cursor:
                if key >= stop:
                    return
                yield TIME.unpack_from(key, head)[0], orjson.loads(value)


STORES: dict[str, type[Plain]] = {"plyvel": Plyvel, "rocksdb": RocksDb, "lmdb": Lmdb}
