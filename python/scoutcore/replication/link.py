"""Runs a session over a pair of asyncio streams, whatever they are: a socket, TLS, a pipe."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

from scoutcore.replication.replica import MIB, Replica
from scoutcore.replication.session import Connected, Ended, Event, Options, Session

T = TypeVar("T")

BUFFER_BYTES: Final = 1 * MIB
"""Twice as much is kept of what has come and was not looked at."""
_OUT_BYTES: Final = 64 * 1024
"""While more of what goes out was not taken by the peer, nothing is added to it."""
_FREE_SECONDS: Final = 1.0
_IDLE_SHARE: Final = 0.05
"""What a peer says that brings nothing new may take this part of a core, and so much more at once."""
_ALL_IDLE_SHARE: Final = 0.25
"""And this that of all peers of an event loop; if it takes more, for some seconds, one is heard after another."""
_ALL_FREE_SECONDS: Final = 5.0
_NEWCOMER_SECONDS: Final = 0.01
"""Of CPU that everybody may take without waiting for the others: to begin a session takes some."""
_PIECE_SECONDS: Final = 0.0003
"""Of CPU that a piece takes beside what the session does with it."""
_SMALL_BYTES: Final = 1024
"""Read at a time of a peer that has just brought nothing new: a few questions take as long as a MiB of changes."""
_LONGEST_PAUSE: Final = 10.0
"""Less than the silence for which a peer that sends would wait."""
_FAREWELL: Final = 2.0
"""Seconds that the peer has to read our last words."""


@dataclass(frozen=True)
class Timing:
    """How long a peer is waited for, in seconds."""

    introduction: float = 15.0
    """Until it has introduced itself."""
    silence: float = 60.0
    """For anything to come, or for what is sent to be taken."""
    keep_alive: float = 20.0
    """After so long without anything to say it is told that we are here."""


class _Bell:
    """Wakes what waits in an event loop, from any thread: a thousand links with one call of the loop, not with each."""

    def __init__(self) -> None:
        self._wanted: deque[asyncio.Event] = deque()
        self._rung = False

    def ring(self, loop: asyncio.AbstractEventLoop, wanted: asyncio.Event) -> None:
        self._wanted.append(wanted)
        if not self._rung:
            self._rung = True
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self._rung = False  # first: who finds it rung has added his before
        while self._wanted:
            self._wanted.popleft().set()


class _Idle:
    """The seconds of CPU that went into what brought nothing new, less what was allowed since."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._counted = time.monotonic()
        self._seconds = 0.0

    def add(self, seconds: float) -> float:
        """Count *seconds* more; returns what there is now."""
        before, self._counted = self._counted, time.monotonic()
        self._seconds = max(self._seconds - (self._counted - before) * self._share, 0.0) + seconds
        return self._seconds


class _Loop:
    """What the links of one event loop share."""

    def __init__(self) -> None:
        self.bell = _Bell()
        self.idle = _Idle(_ALL_IDLE_SHARE)
        self.lane = asyncio.Lock()
        """Held while a peer is heard that has taken its part, where all of them together take too much."""


_loops: WeakValueDictionary[asyncio.AbstractEventLoop, _Loop] = WeakValueDictionary()
"""As long as there are links: its lock knows the event loop."""


class Link:
    """One session and the streams that carry it."""

    def __init__(
        self,
        replica: Replica,
        options: Options,
        *,
        initiator: bool,
        told: Callable[[Event], None] = lambda _: None,
        timing: Timing | None = None,
    ) -> None:
        """Make the session; *told* is called with what happens, by the event loop's thread."""
        self._loop = asyncio.get_running_loop()
        self._shared = _loops.setdefault(self._loop, _Loop())
        self._wanted = asyncio.Event()
        """There may be something to send."""
        self._sent = asyncio.Event()
        """Something was sent since it was looked at."""
        self._turn = asyncio.Lock()
        self._asked = False
        """What there is to send was asked for, and is not looked at yet: it will be all that there is."""
        self._idle = _Idle(_IDLE_SHARE)
        self._taken = 0.0
        """Seconds of CPU that went into what brought nothing new, ever."""
        self._fruitful = False
        """What it said last brought something new."""
        self._told = told
        self._timing = timing or Timing()
        self._ended = Ended("it was not begun")
        self.connected = False
        self.session = Session(replica, options, initiator=initiator, wake=self._wake)

    def _wake(self) -> None:
        if not self._asked and not self._wanted.is_set():
            self._shared.bell.ring(self._loop, self._wanted)

    def _output(self) -> bytes:
        self._asked = False
        return self.session.output()

    def _receive_some(self, data: bytes) -> float:
        """Let the session receive *data*; the seconds of CPU that went into what of it brought nothing new."""
        session = self.session
        before, missing, begun = session.new_bytes, session.missing, time.thread_time()
        session.receive(data)
        if _SMALL_BYTES <= len(data) < missing:
            return 0.0  # a part of a long frame: what that brings shows in the end
        self._fruitful = session.new_bytes > before
        return (time.thread_time() - begun + _PIECE_SECONDS) * max(1 - (session.new_bytes - before) / len(data), 0.0)

    async def _call(self, call: Callable[..., T], *args: Any) -> T:
        """Run a call of the session in a worker thread: it may wait for the disk."""
        async with self._turn:
            result = await asyncio.to_thread(call, *args)
            for event in self.session.events():
                self.connected |= isinstance(event, Connected)
                if isinstance(event, Ended):
                    self._ended = event
                self._told(event)
            return result

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Ended:
        """Run the session to its end, and close the streams; cancelled, it says good-bye."""
        writer.transport.set_write_buffer_limits(high=_OUT_BYTES)
        receiving = asyncio.create_task(self._receive(reader))
        sending = asyncio.create_task(self._send(writer))
        try:
            await asyncio.wait((receiving, sending), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                self._wanted.set()
                await asyncio.wait_for(asyncio.shield(sending), self._timing.silence)
        except asyncio.TimeoutError:
            pass
        except asyncio.CancelledError:
            await self._call(self.session.stop)
            self._wanted.set()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(sending), _FAREWELL)
            raise
        finally:
            receiving.cancel()
            sending.cancel()
            done = await asyncio.gather(receiving, sending, return_exceptions=True)
            failed = [one for one in done if isinstance(one, Exception) and not isinstance(one, OSError)]
            await self._call(self.session.lost, str(failed[0]) or repr(failed[0]) if failed else None)
            await self._farewell(reader, writer)
        return self._ended

    async def _receive(self, reader: asyncio.StreamReader) -> None:
        session, timing = self.session, self._timing
        left = timing.introduction  # for the peer: what our own disk takes does not count
        while not session.ended:
            patience = timing.silence if session.introduced else min(timing.silence, left)
            begun = time.monotonic()
            size = BUFFER_BYTES if self._fruitful else max(session.missing, _SMALL_BYTES)
            try:
                data = await asyncio.wait_for(reader.read(size), max(patience, 0.0))
            except asyncio.TimeoutError:
                reason = "nothing was heard of the peer for too long"
                await self._call(session.lost, reason)
                break
            except OSError as problem:
                await self._call(session.lost, f"the connection was lost: {problem.strerror or problem}")
                break
            left -= time.monotonic() - begun
            if not data:
                await self._call(session.lost)
                break
            idle = await self._hear(data)
            if idle > _FREE_SECONDS and not session.ended:
                await asyncio.sleep(min((idle - _FREE_SECONDS) / _IDLE_SHARE, _LONGEST_PAUSE))
            while session.crowded and not session.ended:
                self._sent.clear()
                await self._sent.wait()

    async def _hear(self, data: bytes) -> float:
        """Let the session receive *data*, in its turn if too much of what comes brings nothing new.

        Returns what this peer has taken of CPU for nothing new.
        """
        shared = self._shared
        crowded = shared.idle.add(0.0) > _ALL_FREE_SECONDS and self._taken > _NEWCOMER_SECONDS and not self._fruitful
        async with shared.lane if crowded else nullcontext():
            idle = await self._call(self._receive_some, data)
            self._wanted.set()
            shared.idle.add(idle)
            self._taken += idle
            if crowded:
                await asyncio.sleep(idle / _ALL_IDLE_SHARE - idle)
            return self._idle.add(idle)

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        session, timing = self.session, self._timing
        said = time.monotonic()
        while True:
            self._wanted.clear()
            self._asked = True
            data = await self._call(self._output)
            self._sent.set()
            if data:
                try:
                    writer.write(data)
                    del data  # what the peer has not taken is kept once
                    if writer.transport.get_write_buffer_size():
                        await asyncio.wait_for(writer.drain(), timing.silence)
                except asyncio.TimeoutError:
                    await self._call(session.lost, "the peer takes nothing any more")
                    writer.transport.abort()
                    return
                except OSError as problem:
                    await self._call(session.lost, f"the connection was lost: {problem.strerror or problem}")
                    return
                said = time.monotonic()
                if session.ended or session.more:
                    continue
            elif session.ended:
                return
            due = said + timing.keep_alive
            if session.waiting is not None:
                due = min(due, session.waiting)
            alarm = self._loop.call_later(max(due - time.monotonic(), 0.001), self._wanted.set)
            try:
                await self._wanted.wait()
            finally:
                alarm.cancel()
            if time.monotonic() >= said + timing.keep_alive:
                await self._call(session.keep_alive)
                said = time.monotonic()  # also where nothing comes of it, as before the introduction

    async def _farewell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Close the streams, so that the peer still reads what was said last."""
        with suppress(OSError, asyncio.TimeoutError, RuntimeError):
            if writer.can_write_eof():
                writer.write_eof()
                await asyncio.wait_for(_read_off(reader), _FAREWELL)
        writer.close()
        with suppress(OSError, asyncio.TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), _FAREWELL)


async def _read_off(reader: asyncio.StreamReader) -> None:
    while await reader.read(BUFFER_BYTES):
        pass
