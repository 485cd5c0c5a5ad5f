"""Sockets, with and without TLS."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from scoutcore.errors import InvalidError
from scoutcore.replication.link import BUFFER_BYTES
from scoutcore.replication.urls import Address

_SERVED_BUFFER_BYTES: Final = 256 * 1024
"""Less than ``BUFFER_BYTES``: a listener may have a thousand peers."""
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Tls:
    """Certificates: PEM files."""

    certificate: str | os.PathLike[str] | None = None
    """Ours, and those that lead to it. A listener needs one."""
    key: str | os.PathLike[str] | None = None
    """Its private key."""
    authorities: str | os.PathLike[str] | None = None
    """Those that the peer's certificate has to lead to: for a listener, that of each client; else the system's."""

    def context(self, *, server: bool) -> ssl.SSLContext:
        """The context of a side.

        Raises:
            InvalidError: a file that cannot be used.
        """
        if server and not self.certificate:
            raise InvalidError("a listener with TLS needs a certificate")
        try:
            purpose = ssl.Purpose.CLIENT_AUTH if server else ssl.Purpose.SERVER_AUTH
            cafile = None if self.authorities is None else Path(self.authorities)
            context = ssl.create_default_context(purpose, cafile=cafile)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if server and cafile:
                context.verify_mode = ssl.CERT_REQUIRED
            if self.certificate:
                context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as problem:
            files = [os.fspath(file) for file in (self.certificate, self.key, self.authorities) if file]
            reason = tls_reason(problem) if isinstance(problem, ssl.SSLError) else problem.strerror or problem
            raise InvalidError(f"TLS with {', '.join(map(str, files))}: {reason}") from None
        return context


def tls_reason(problem: ssl.SSLError) -> str:
    """What was wrong, without the places in OpenSSL."""
    return (problem.reason or "no key or no certificate where one should be").replace("_", " ").lower()


async def connect(address: Address, tls: Tls | None, timeout: float) -> Streams:
    """Connect to a listener.

    Raises:
        OSError, asyncio.TimeoutError: it cannot be reached.
    """
    context = (tls or Tls()).context(server=False) if address.tls else None
    opening = asyncio.open_connection(address.host, address.port, ssl=context, limit=BUFFER_BYTES)
    return await asyncio.wait_for(opening, timeout)


async def listen(
    address: Address,
    tls: Tls | None,
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    handshake: float,
) -> tuple[asyncio.AbstractServer, Address]:
    """Begin to listen; the server, and where it listens.

    Raises:
        OSError: it cannot.
    """
    context = (tls or Tls()).context(server=True) if address.tls else None
    patience = handshake if context else None
    server = await asyncio.start_server(
        serve, address.host, address.port, limit=_SERVED_BUFFER_BYTES, ssl=context, ssl_handshake_timeout=patience
    )
    port = server.sockets[0].getsockname()[1]
    return server, Address(address.host, port, address.tls)


def check_listener(address: Address, tls: Tls | None, secret: bytes | None) -> None:
    """Refuse to listen to strangers.

    Raises:
        InvalidError: the address is not this machine's alone, and neither a secret nor mutual TLS is asked for.
    """
    if secret is not None or (address.tls and tls and tls.authorities):
        return
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as problem:
        raise InvalidError(f"{address}: {problem.strerror or problem}") from None
    if not all(ip_address(str(one[4][0]).partition("%")[0]).is_loopback for one in found):
        raise InvalidError(
            f"{address} can be reached from elsewhere: it needs a shared secret, or TLS that asks for certificates"
        )
