"""The asyncio façade: many tasks at once, nothing lost, nothing twice; streams that end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from scoutcore import aio
from scoutcore.errors import ClosedError, SyncError
from scoutcore.model import Point
from scoutcore.replication import Ended
from scoutcore.watch import Synced


def test_many_tasks_report_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with await aio.open(tmp_path / "a.scout") as db:
            await db.run(db.database.troops.create, name="one")

            async def work(scout: int) -> list[Point]:
                return [await db.report(1, scout, "n", number) for number in range(40)]

            stored = await asyncio.gather(*(work(scout) for scout in range(12)))
            assert len({point.t for points in stored for point in points}) == 12 * 40
            for scout, points in enumerate(stored):
                assert [point async for point in db.history(1, scout, "n")] == points
                assert await db.last(1, scout, "n") == points[-1]
            assert len((await db.snapshot(1)).scouts) == 12
            result = await db.ingest(b'{"troop":1,"scout":1,"report":"m","data":1}\n')
            assert result.accepted == 1

    asyncio.run(main())


def test_a_watch_gives_what_happens_and_ends_with_the_database(tmp_path: Path) -> None:
    async def main() -> list[object]:
        db = await aio.open(tmp_path / "a.scout")
        await db.run(db.database.troops.create)
        await db.report(1, 1, "n", 1)
        seen: list[object] = []
        synced = asyncio.Event()

        async def follow() -> None:
            async for event in db.watch(troop=1, scout=1):
                seen.append(event.data if isinstance(event, Point) else type(event))
                if isinstance(event, Synced):
                    synced.set()

        task = asyncio.create_task(follow())
        await synced.wait()
        await db.report(1, 1, "n", 2)
        await db.report(1, 2, "n", 99)
        await db.close()
        await task
        return seen

    assert asyncio.run(main()) == [1, Synced, 2]


def test_a_cancelled_watch_lets_go(tmp_path: Path) -> None:
    async def main() -> None:
        async with await aio.open(tmp_path / "a.scout") as db:

            async def follow() -> None:
                async for _ in db.watch():
                    pass

            task = asyncio.create_task(follow())
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled()

    asyncio.run(asyncio.wait_for(main(), 10))


def test_a_closed_database_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        db = await aio.open(tmp_path / "a.scout")
        await db.close()
        await db.close()
        with pytest.raises(ClosedError):
            await db.report(1, 1, "n", 1)
        with pytest.raises(ClosedError):
            async for _ in db.watch():
                pass

    asyncio.run(main())


def test_replication_is_awaited(tmp_path: Path) -> None:
    async def main() -> None:
        async with await aio.open(tmp_path / "a.scout") as one, await aio.open(tmp_path / "b.scout") as other:
            await one.run(one.database.troops.create, name="one")
            async with await one.serve("tcp://127.0.0.1:0") as server:
                once = await other.sync(server.handle.addresses[0])
                await once.wait()
                assert [type(event) for event in [event async for event in once]][-1] is Ended
                async with await other.sync(server.handle.addresses[0], live=True) as live:
                    await asyncio.wait_for(live.wait_synced(), 30)
                    with pytest.raises(asyncio.TimeoutError):
                        await asyncio.wait_for(live.wait(), 0.01)
                    waiting = asyncio.create_task(live.wait())
                await waiting
            failed = await other.sync("tcp://127.0.0.1:1")
            with pytest.raises(SyncError, match="cannot be reached"):
                await failed.wait()
            assert list(one.database.dump()) == list(other.database.dump())
            await one.export_changes(tmp_path / "out")
            assert (await other.import_changes(tmp_path / "out")).new == 0

    asyncio.run(main())
