"""Peers that mean no good, over real sockets, while others sync: silent, slow, noisy, endless, or mere echoes."""

from __future__ import annotations

import resource
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress

from scoutcore.database import Database
from scoutcore.store.memory import MemoryStore

KEY = "the key of the troop that peers are after"
MIB = 1024 * 1024
ENDLESS = b"\xff\xff\xff\xff\x7f\x01" + bytes(70_000)
"""A frame of 34 GB begins."""
KINDS = ("silent", "slow", "noise", "endless", "replayed")


def recorded() -> bytes:
    """What somebody who was heard says first, to be said again."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        peer = Database(MemoryStore())
        handle = peer.sync(f"tcp://{host}:{port}")
        connection, _ = server.accept()
        with connection:
            said = connection.recv(65_536)
        handle.cancel()
        peer.close()
        return said


def open_one(address: tuple[str, int], kind: str, said: bytes) -> socket.socket:
    """Connect, and begin to be what *kind* says."""
    one = socket.create_connection(address, timeout=10)
    words = {"silent": b"", "slow": said[:1], "noise": b"\x05noise" * 50, "endless": ENDLESS, "replayed": said * 2}
    one.settimeout(0.2)
    with suppress(OSError):  # it is thrown out in the middle of it
        one.sendall(words[kind])
    return one


def sync_time(url: str, expected: int) -> float:
    """Seconds that a good peer takes to have all."""
    peer = Database(MemoryStore())
    begin = time.monotonic()
    handle = peer.sync(url)
    handle.wait(120)
    taken = time.monotonic() - begin
    assert sum(points for *_, points, _ in peer.counts()) == expected
    peer.close()
    return taken


def look(count: int, readings: int = 20_000) -> Counter[str]:
    """*count* bad peers, and a good one beside them."""
    db = Database(MemoryStore())
    troop = db.troops.create(key=KEY).id
    db.ingest({"troop": troop, "scout": n % 50, "report": "temp", "data": n, "t": n} for n in range(readings))
    with ExitStack() as stack:
        stack.callback(db.close)
        server = stack.enter_context(db.serve("tcp://127.0.0.1:0"))
        (url,) = server.addresses
        host, _, port = url.removeprefix("tcp://").rpartition(":")
        address = host, int(port)
        alone = min(sync_time(url, readings) for _ in range(3))
        said = recorded()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        bad = [stack.enter_context(open_one(address, KINDS[n % len(KINDS)], said)) for n in range(count)]
        beside = min(sync_time(url, readings) for _ in range(3))
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        assert grown < 64 + count * 0.5, f"{grown:.0f} MiB more for {count} bad peers"
        for one in bad:
            one.close()
        assert sync_time(url, readings) > 0
    return Counter(
        {
            "bad peers": count,
            "% of the speed alone": round(100 * alone / beside),
            "MiB more memory": round(grown),
        }
    )


def campaign(count: int) -> Iterator[tuple[Counter[str], list[str]]]:
    """One bad peer, then *count*."""
    for number in (len(KINDS), count):
        try:
            yield Counter({f"{number} bad peers: {what}": value for what, value in look(number).items()}), []
        except AssertionError as problem:
            yield Counter(), [str(problem)]
