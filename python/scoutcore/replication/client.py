"""Going to a peer: one session, or one after another for as long as it is wanted."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from dataclasses import dataclass, replace
from typing import Final

from scoutcore.database import Database
from scoutcore.errors import SyncError
from scoutcore.replication import stdio, tcp
from scoutcore.replication.handle import Handle
from scoutcore.replication.link import Link, Timing
from scoutcore.replication.replica import replica_of
from scoutcore.replication.session import Ended, Event, InSync, Options, Problem, Progress
from scoutcore.replication.tcp import Tls
from scoutcore.replication.urls import Address, parse

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 60.0
"""Seconds before it is tried again, at first and at most: a random part of it, so that not all come at once."""
_MAX_AGAIN: Final = 1000
"""Sessions that follow one another at once, because logs were split."""


@dataclass(frozen=True)
class Retrying:
    """A peer could not be reached, or a connection did not last; it is tried again."""

    reason: str
    seconds: float
    """After so long."""


class Sync(Handle["Event | Retrying"]):
    """Keeps a database and a peer in sync: :meth:`scoutcore.Database.sync` makes one.

    Attributes:
        url: where the peer is.
        problems: what could not be brought over: the rest was.
    """

    def __init__(
        self, database: Database, url: str, options: Options, tls: Tls | None = None, timing: Timing | None = None
    ) -> None:
        super().__init__()
        self.url = url
        self.problems: list[Problem] = []
        self._database = database
        self._replica = replica_of(database)
        self._peer = parse(url)
        self._options = options
        self._tls = tls
        self._timing = timing or Timing()
        if isinstance(self._peer, Address) and self._peer.tls:
            (tls or Tls()).context(server=False)  # what is wrong with it is said at once
        self._link: Link | None = None
        self._synced = False
        self._begin(self._work)

    @property
    def progress(self) -> Progress:
        """How far the session is that goes on, or was the last."""
        return self._link.session.progress if self._link else Progress(0, 0, 0, 0, 0)

    def wait_synced(self, timeout: float | None = None) -> None:
        """Wait until both sides have all that the other had to give; a live one goes on then.

        Raises:
            SyncError: it failed. TimeoutError: not within *timeout* seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._synced or self._done, timeout):
                raise TimeoutError(f"not in sync after {timeout} s")
        if not self._synced:
            self.wait()

    def _told(self, event: Event) -> None:
        if isinstance(event, InSync):
            self._synced = True
        if isinstance(event, Problem):
            self.problems.append(event)
        self._tell(event)

    async def _work(self) -> None:
        pause, again = _FIRST_PAUSE, 0
        while not self._database._closed:
            ended = await self._session()
            link = self._link
            if ended.again and again < _MAX_AGAIN:
                again += 1
                continue
            if ended.error and (not self._options.live or (link and not link.connected and not ended.lost)):
                raise SyncError(f"{self.url}: {ended.error}")
            if not self._options.live:
                return
            if link and link.connected:
                pause, again = _FIRST_PAUSE, 0
            seconds = random.uniform(pause / 2, pause)  # noqa: S311
            self._tell(Retrying(ended.error or "the peer has ended the session", seconds))
            await asyncio.sleep(seconds)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _session(self) -> Ended:
        self._link = None
        child = None
        try:
            if isinstance(self._peer, Address):
                streams = await tcp.connect(self._peer, self._tls, self._timing.introduction)
            else:
                child, streams = await stdio.spawn(self._peer)
        except asyncio.TimeoutError:
            return Ended("cannot be reached: no answer", lost=True)
        except ssl.SSLCertVerificationError as problem:
            return Ended(f"cannot be trusted: {problem.verify_message}", lost=True)
        except ssl.SSLError as problem:
            return Ended(f"cannot be reached by TLS: {tcp.tls_reason(problem)}", lost=True)
        except OSError as problem:
            reason = os.strerror(problem.errno) if problem.errno and problem.errno > 0 else problem.strerror or problem
            return Ended(f"cannot be reached: {reason}", lost=True)
        link = self._link = Link(self._replica, self._options, initiator=True, told=self._told, timing=self._timing)
        try:
            ended = await link.run(*streams)
        finally:
            code = await stdio.reap(child, self._timing.introduction) if child else 0
        if ended.lost and code and not link.connected:
            return Ended(f"{ended.error}: the program ended with exit code {code}")
        if ended.lost and not link.connected and isinstance(self._peer, Address):
            hint = "it may want a certificate of ours that it trusts" if self._peer.tls else "it may speak TLS only"
            return replace(ended, error=f"{ended.error} before the peer has said who it is; {hint}")
        return ended
