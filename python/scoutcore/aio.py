"""A database for asyncio: the same calls, awaited. Each runs in a worker thread, so that the event loop goes on.

Tasks that report at the same time share commits, as threads do. What is not here is on ``db.database``, the database.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, TypeVar

from scoutcore import database
from scoutcore.database import Database, Durability, TroopSnapshot
from scoutcore.errors import ClosedError
from scoutcore.ingest import IngestResult
from scoutcore.model import Point
from scoutcore.watch import Event

if TYPE_CHECKING:
    from scoutcore.replication import ExportResult, ImportResult, Server, Sync

P = ParamSpec("P")
T = TypeVar("T")
H = TypeVar("H", bound="Sync | Server")

_WORKERS: Final = 16
"""Calls that wait at the same time: the more, the more of them share a commit."""
_POINTS: Final = 1000
_POLL: Final = 0.5
"""Seconds after which who waits looks whether its task was cancelled."""


async def open(
    path: str | os.PathLike[str], *, durability: Durability = "process", create: bool = True, pack: bool = True
) -> AsyncDatabase:
    """Open a database; see :func:`scoutcore.open`."""
    return AsyncDatabase(await asyncio.to_thread(database.open, path, durability=durability, create=create, pack=pack))


class AsyncDatabase:
    """A :class:`Database` for asyncio. Use ``async with await aio.open(path) as db``."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._workers = ThreadPoolExecutor(_WORKERS, "scoutcore")
        self._closed = False

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run any call of the database in a worker: ``await db.run(db.database.troops.create, name="greenhouse")``."""
        if self._closed:
            raise ClosedError("the database is closed")
        return await asyncio.get_running_loop().run_in_executor(self._workers, partial(call, *args, **kwargs))

    async def report(self, troop: int, scout: int, report: str, data: Any, **options: Any) -> Point:
        """See :meth:`Database.report`."""
        return await self.run(self.database.report, troop, scout, report, data, **options)

    async def ingest(self, source: Any, **options: Any) -> IngestResult:
        """See :meth:`Database.ingest`."""
        return await self.run(self.database.ingest, source, **options)

    async def last(self, troop: int, scout: int, report: str) -> Point | None:
        """See :meth:`Database.last`."""
        return await self.run(self.database.last, troop, scout, report)

    async def snapshot(self, troop: int) -> TroopSnapshot:
        """See :meth:`Database.snapshot`."""
        return await self.run(self.database.snapshot, troop)

    async def history(self, troop: int, scout: int, report: str, **options: Any) -> AsyncIterator[Point]:
        """See :meth:`Database.history`."""
        points: Iterator[Point] = iter(self.database.history(troop, scout, report, **options))
        while some := await self.run(lambda: list(islice(points, _POINTS))):
            for point in some:
                yield point

    async def watch(self, troop: int | None = None, scout: int | None = None) -> AsyncIterator[Event]:
        """See :meth:`Database.watch`; it ends with the database."""
        with await self.run(self.database.watch, troop, scout) as watch:
            while not watch.closed:
                event = await asyncio.to_thread(watch.next, _POLL)
                if event is not None:
                    yield event

    async def export_changes(self, target: Any, **options: Any) -> ExportResult:
        """See :meth:`Database.export_changes`."""
        return await self.run(self.database.export_changes, target, **options)

    async def import_changes(self, *sources: Any, **options: Any) -> ImportResult:
        """See :meth:`Database.import_changes`."""
        return await self.run(self.database.import_changes, *sources, **options)

    async def sync(self, url: str, **options: Any) -> AsyncHandle[Sync]:
        """See :meth:`Database.sync`."""
        return AsyncHandle(await self.run(self.database.sync, url, **options))

    async def serve(self, *urls: str, **options: Any) -> AsyncHandle[Server]:
        """See :meth:`Database.serve`."""
        return AsyncHandle(await self.run(self.database.serve, *([urls] if urls else ()), **options))

    async def close(self) -> None:
        """Close the database; closing twice is fine."""
        self._closed = True
        await asyncio.to_thread(self.database.close)
        self._workers.shutdown(wait=False)

    async def __aenter__(self) -> AsyncDatabase:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncHandle(Generic[H]):
    """What goes on in the background: a sync or a server. In an ``async with`` block it ends with that.

    Attributes:
        handle: the handle itself, with its ``progress``, ``addresses`` and so on.
    """

    def __init__(self, handle: H) -> None:
        self.handle = handle

    async def wait(self) -> None:
        """Wait for the end; raises the SyncError that it ended with."""
        await self._patiently(self.handle.wait)

    async def wait_synced(self: AsyncHandle[Sync]) -> None:
        """See :meth:`Sync.wait_synced`."""
        await self._patiently(self.handle.wait_synced)

    async def _patiently(self, wait: Callable[[float], None]) -> None:
        while True:
            try:
                return await asyncio.to_thread(wait, _POLL)
            except TimeoutError:
                continue

    async def cancel(self) -> None:
        """End it in good order; ending it twice is fine."""
        await asyncio.to_thread(self.handle.cancel)

    async def __aiter__(self) -> AsyncIterator[Any]:
        """What happens, as it does, until it has ended."""
        while True:
            done = self.handle.done
            event = await asyncio.to_thread(self.handle.next, _POLL)
            if event is not None:
                yield event
            elif done:
                return

    async def __aenter__(self) -> AsyncHandle[H]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cancel()
