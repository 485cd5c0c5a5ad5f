"""Where a peer is: ``tcp://host:port``, ``tls://host:port``, or ``exec:command`` for a child process."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from urllib.parse import urlsplit

from scoutcore.errors import InvalidError

PORT = 4747
"""Where nothing else is said."""


@dataclass(frozen=True)
class Address:
    """A place on the network."""

    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'tls' if self.tls else 'tcp'}://{host}:{self.port}"


@dataclass(frozen=True)
class Command:
    """A program that speaks on its standard input and output."""

    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"exec:{shlex.join(self.words)}"


def parse(url: str) -> Address | Command:
    """What *url* says; raises InvalidError."""
    if url.startswith("exec:"):
        try:
            words = tuple(shlex.split(url.removeprefix("exec:")))
        except ValueError as problem:
            raise InvalidError(f"{url!r:.200} is no command: {problem}") from None
        if not words:
            raise InvalidError("exec: needs a command")
        return Command(words)
    if not url.startswith(("tcp:", "tls:")):
        raise InvalidError(f"{url!r:.200} is no address: tcp://HOST:PORT, tls://HOST:PORT or exec:COMMAND is")
    address = parse_address(url)
    if address.port == 0:
        raise InvalidError(f"{url!r:.200}: port 0 is for a listener")
    return address


def parse_address(url: str) -> Address:
    """What *url* says of a place on the network; raises InvalidError."""
    try:
        parts = urlsplit(url)
        port = PORT if parts.port is None else parts.port
    except ValueError as problem:
        raise InvalidError(f"{url!r:.200} is no address: {problem}") from None
    plain = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password)
    if parts.scheme not in ("tcp", "tls") or not parts.hostname or not plain:
        raise InvalidError(f"{url!r:.200} is no address: tcp://HOST:PORT or tls://HOST:PORT is")
    return Address(parts.hostname, port, parts.scheme == "tls")
