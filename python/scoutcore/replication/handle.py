"""What whoever started something in the background holds in his hand: wait for it, follow it, end it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from threading import Condition
from typing import Any, Final, Generic, TypeVar

from scoutcore.replication import background

E = TypeVar("E")

_MAX_EVENTS: Final = 10_000
"""Events kept for somebody who does not read them; then the oldest go."""
_PATIENCE: Final = 15.0


class Handle(Generic[E]):
    """Something that goes on in the background, with events to iterate. In a ``with`` block it ends with that."""

    def __init__(self) -> None:
        self._loop = background.loop()
        self._events: deque[E] = deque(maxlen=_MAX_EVENTS)
        self._changed = Condition()
        self._done = False
        self._error: BaseException | None = None
        self._task: asyncio.Task[None] | None = None

    def _begin(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        def begin() -> None:
            self._task = self._loop.create_task(self._run(work()))

        self._loop.call_soon_threadsafe(begin)

    async def _run(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            pass
        except BaseException as problem:
            self._error = problem
        finally:
            with self._changed:
                self._done = True
                self._changed.notify_all()

    def _tell(self, event: E) -> None:
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._done

    def next(self, timeout: float | None = None) -> E | None:
        """The next event; None when there is none within *timeout* seconds, or no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._done, timeout)
            return self._events.popleft() if self._events else None

    def __iter__(self) -> Iterator[E]:
        """What happens, as it does, until it has ended."""
        while (event := self.next()) is not None:
            yield event

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the end.

        Raises:
            SyncError: it failed.
            TimeoutError: it has not ended within *timeout* seconds; it goes on.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._done, timeout):
                raise TimeoutError(f"it goes on after {timeout} s")
        if self._error:
            raise self._error

    def cancel(self) -> None:
        """End it in good order, and wait for that; ending it twice is fine."""

        def cancel() -> None:
            if self._task:
                self._task.cancel()

        self._loop.call_soon_threadsafe(cancel)
        with self._changed:
            self._changed.wait_for(lambda: self._done, _PATIENCE)

    def __enter__(self: H) -> H:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()


H = TypeVar("H", bound=Handle[Any])
