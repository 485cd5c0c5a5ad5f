"""Being there for peers."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
from contextlib import suppress
from dataclasses import dataclass
from threading import Event as Flag
from typing import Final

from scoutcore.database import Database
from scoutcore.errors import SyncError
from scoutcore.replication import tcp
from scoutcore.replication.door import Door
from scoutcore.replication.handle import Handle
from scoutcore.replication.link import Link, Timing
from scoutcore.replication.replica import replica_of
from scoutcore.replication.session import Event, Options
from scoutcore.replication.tcp import Tls
from scoutcore.replication.urls import parse_address

MAX_PEERS: Final = 1000
_FILES_PER_PEER: Final = 2
"""Its socket, and the changes file that is read for it."""
_OTHER_FILES: Final = 256
"""Files that the rest of the process may have open: LevelDB has to write, however many connect."""
_log = logging.getLogger("scoutcore")


@dataclass(frozen=True)
class Told:
    """What happened with a peer."""

    peer: str
    """Where it is."""
    event: Event


def _places(wanted: int) -> int:
    """For how many peers there are files enough; the process is allowed as many as may be, if need be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted * _FILES_PER_PEER + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(min((soft - _OTHER_FILES) // _FILES_PER_PEER, wanted), 1)
    return wanted


@dataclass
class _Peer:
    """Somebody who is connected."""

    transport: asyncio.WriteTransport
    link: Link | None = None
    """None: it is not his turn yet."""


class Server(Handle[Told]):
    """Listens for peers: :meth:`scoutcore.Database.serve` makes one.

    Attributes:
        addresses: where it listens, as peers have to say it; port 0 has become one that was free.
    """

    def __init__(
        self,
        database: Database,
        urls: list[str],
        options: Options,
        tls: Tls | None = None,
        timing: Timing | None = None,
        max_peers: int = MAX_PEERS,
    ) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self._replica = replica_of(database)
        self._options = options
        self._tls = tls
        self._timing = timing or Timing()
        self._max_peers = _places(max_peers)
        self._wanted = [parse_address(url) for url in urls]
        for address in self._wanted:
            tcp.check_listener(address, tls, options.secret)
            if address.tls:
                (tls or Tls()).context(server=True)
        self._peers: dict[asyncio.Task[None], _Peer] = {}
        """In the order in which they came."""
        self._door = Door()
        self._ready = Flag()
        self._begin(self._work)
        self._ready.wait()
        if self._error:
            raise self._error

    @property
    def peers(self) -> int:
        """How many are connected."""
        return len(self._peers)

    async def _work(self) -> None:
        servers = []
        try:
            for wanted in self._wanted:
                try:
                    server, address = await tcp.listen(wanted, self._tls, self._accept, self._timing.introduction)
                except OSError as problem:
                    reason = os.strerror(problem.errno) if problem.errno and problem.errno > 0 else problem.strerror
                    raise SyncError(f"cannot listen on {wanted}: {reason or problem}") from None
                servers.append(server)
                self.addresses.append(str(address))
            self._ready.set()
            await asyncio.Event().wait()
        except BaseException as problem:
            self._error = problem  # before it is said to be ready
            raise
        finally:
            for server in servers:
                server.close()
            peers = list(self._peers)
            for peer in peers:
                peer.cancel()
            await asyncio.gather(*peers, return_exceptions=True)
            self._ready.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        transport = writer.transport
        if len(self._peers) >= self._max_peers and not self._make_room():
            transport.abort()
            return
        one = self._peers[task] = _Peer(transport)
        where = writer.get_extra_info("peername")
        host, peer = (str(where[0]), f"{where[0]}:{where[1]}") if where else ("", "a peer")
        try:
            with suppress(asyncio.CancelledError):
                transport.pause_reading()  # type: ignore[attr-defined]
                await self._door.enter(host)
                transport.resume_reading()  # type: ignore[attr-defined]
                one.link = Link(
                    self._replica,
                    self._options,
                    initiator=False,
                    told=lambda event: self._tell(Told(peer, event)),
                    timing=self._timing,
                )
                ended = await one.link.run(reader, writer)
                if ended.error and not (ended.lost and one.link.connected):
                    self._door.thrown_out(host)
        except Exception:
            _log.exception("the session with %s failed", peer)
        finally:
            transport.abort()
            self._peers.pop(task, None)

    def _make_room(self) -> bool:
        """Throw out who has been here longest without an introduction; False: all have introduced themselves."""
        for task, one in self._peers.items():
            if one.link is None:
                task.cancel()
            elif one.link.connected:
                continue
            else:
                one.transport.abort()
            del self._peers[task]
            return True
        return False
