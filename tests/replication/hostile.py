"""Peers that mean no good, on real sockets: each kind is a coroutine that goes on until it is thrown out.

``python -m tests.replication.hostile tcp://HOST:PORT KIND COUNT`` keeps so many of a kind connected, each again as soon
as it is thrown out, until its input ends; then it prints how often they connected. ``bench/hostile.py`` starts it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from functools import cache

from scoutcore import codec
from scoutcore.changes.position import MARKER
from scoutcore.codec.columns import Change, ChangeColumns
from scoutcore.codec.constants import FRAME_BLOB, MAX_FRAME
from scoutcore.forks import fingerprint
from scoutcore.replication import messages
from scoutcore.replication.messages import HEADS_IN_MESSAGE, Ack, At, Have, Head, Hello, Message, Synced
from tests.replication.wire import new

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter

UID = "0123456789abcdef"
"""Of the troop whose logs the bad peers bring."""
FORKED = bytes.fromhex("f0" * 6 + "4f" + "f0" + "8f" + "f0" * 7)
"""The log that goes another way with each of them."""
LONG = 500
"""Changes of it."""


def words(*said: Message) -> bytes:
    return b"".join(map(messages.encode, said))


def introduced(*, live: bool = True, heads: list[Head] | None = None) -> bytes:
    """What somebody says first who has nothing, or says to have *heads*."""
    hello = Hello((1, 1), secrets.token_hex(32), live=live)
    return words(hello, Have(own=os.urandom(16).hex(), digest="00" * 16), Have(heads=heads or []))


@cache
def value_of(reading: object) -> bytes:
    """The value of a change with one reading, as its writer makes it."""
    with new() as db:
        db.troops.create(key="k" * 32)
        db.report(1, 1, "temp", reading)
        frames = b"".join(found for _, _, _, found in db._logs.chunks(db._logs.by_number[0], 2))
    (change,) = codec.decode_changes(frames, codec.scan_frames(frames)).to_objects()
    assert change.value is not None
    return change.value


def change_frame(number: int, reading: object, uid: str = UID) -> bytes:
    """A change of a log that brings one reading."""
    change = Change(f"{uid}/1/temp", number, number - 1, number, value_of(reading), "sensor")
    return codec.encode_changes(ChangeColumns.from_objects([change]))[0]


# --- the kinds --------------------------------------------------------------------------------------------------------


async def hold(reader: Reader, writer: Writer) -> None:
    """Read until there is no more."""
    while await reader.read(65_536):
        pass


async def silent(reader: Reader, writer: Writer) -> None:
    """Says nothing at all."""
    await hold(reader, writer)


async def slow(reader: Reader, writer: Writer) -> None:
    """Introduces itself byte by byte."""
    for byte in words(Hello((1, 1), secrets.token_hex(32))):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.2)


async def noise(reader: Reader, writer: Writer) -> None:
    """Speaks another language."""
    writer.write(os.urandom(1000))
    await hold(reader, writer)


async def endless(reader: Reader, writer: Writer) -> None:
    """Begins frames as long as may be, or longer, and never ends them."""
    writer.write(introduced())
    writer.write(b"\x80\x80\x80\x02\x01")  # 4 MiB
    for _ in range(MAX_FRAME // 65_536 - 1):
        writer.write(bytes(65_536))
        await writer.drain()
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(1.0)


async def too_long(reader: Reader, writer: Writer) -> None:
    """Begins a frame of 34 GB."""
    writer.write(introduced() + b"\xff\xff\xff\xff\x7f\x01" + bytes(200_000))
    await hold(reader, writer)


async def deaf(reader: Reader, writer: Writer) -> None:
    """Asks for everything, takes nothing, and says that it is there."""
    writer.write(introduced())
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    while True:
        writer.write(words(Ack()))
        await writer.drain()
        await asyncio.sleep(0.5)


async def sipping(reader: Reader, writer: Writer) -> None:
    """Takes what it asked for in sips."""
    writer.write(introduced())
    while await reader.read(512):
        writer.write(words(Ack()))
        await asyncio.sleep(0.05)


async def false_heads(reader: Reader, writer: Writer) -> None:
    """Says to have 20,000 logs, and of those that are there something else; whatever it is asked it makes up."""
    theirs = await heads_of(reader, writer)
    lies = [Head(head.log, 0, head.last, os.urandom(16).hex()) for head in theirs if head.last]
    lies += [
        Head(os.urandom(16).hex(), 0, 1_000_000 + number, os.urandom(16).hex()) for number in range(19_000 - len(lies))
    ]
    for begin in range(0, len(lies), HEADS_IN_MESSAGE):
        some = lies[begin : begin + HEADS_IN_MESSAGE]
        writer.write(words(Have(heads=some, more=begin + len(some) < len(lies))))
        await writer.drain()
    writer.write(words(Synced()))
    async for message in heard(reader, writer):
        if isinstance(message, Have) and message.ask is not None:
            writer.write(words(Have(at=At(message.ask.log, message.ask.change, os.urandom(16).hex()))))


async def asking(reader: Reader, writer: Writer) -> None:
    """Asks for the digests of changes, at random, as fast as it is answered."""
    theirs = [head for head in await heads_of(reader, writer) if head.last]
    writer.write(words(Have(heads=[])))
    reading = asyncio.create_task(hold(reader, writer))
    try:
        while theirs and not reading.done():
            head = secrets.choice(theirs)
            asks = [Have(ask=At(head.log, head.last - secrets.randbelow(head.last))) for _ in range(50)]
            writer.write(words(*asks))
            await writer.drain()
            await asyncio.sleep(0)  # where there is room to write, drain does not let others go on
    finally:
        reading.cancel()


async def repeating(reader: Reader, writer: Writer) -> None:
    """Gives back all that it gets, again and again."""
    writer.write(introduced(live=False))
    said = bytearray()
    while b"session\x12\x06synced" not in said[-1000:]:
        data = await reader.read(1 << 20)
        if not data:
            return
        said += data
    stream = data_of(bytes(said))
    reading = asyncio.create_task(hold(reader, writer))
    try:
        while stream and not reading.done():
            writer.write(stream)
            await writer.drain()
            await asyncio.sleep(0)
    finally:
        reading.cancel()


async def forking(reader: Reader, writer: Writer) -> None:
    """Has a log that goes another way each time, so that what is there gives way."""
    theirs = await heads_of(reader, writer)
    held = next((head.last for head in theirs if head.log == FORKED.hex()), 0)
    here = [change_frame(number, number) for number in range(1, LONG + 1)]
    at = LONG - forks.get("made", 0) % LONG
    if held:
        # What is there has the name by what stands in it: another that takes the name from it is soon found.
        reading = 0
        while fingerprint(change_frame(at, f"{at} {reading}")) >= fingerprint(here[at - 1]):
            reading += 1
        here[at - 1 :] = [change_frame(at, f"{at} {reading}")]
        forks["made"] = forks.get("made", 0) + 1
    writer.write(words(Have(heads=[])) + MARKER + FORKED + b"".join(here))
    writer.write(words(Synced()))
    await writer.drain()
    if not held:
        await asyncio.sleep(0.2)
        return  # and come again with another
    await hold(reader, writer)


forks: dict[str, int] = {}
"""How many ways were gone."""


async def replayed(reader: Reader, writer: Writer) -> None:
    """Says what was heard of another's session, twice."""
    writer.write(recorded() * 2)
    await hold(reader, writer)


@cache
def recorded() -> bytes:
    """What somebody who has nothing says in a whole session."""
    return introduced(live=False) + words(Synced(), Ack())


async def live(reader: Reader, writer: Writer) -> None:
    """No bad one: takes all that is there and that comes."""
    writer.write(introduced() + words(Synced()))

    async def alive() -> None:
        while True:
            await asyncio.sleep(15)
            writer.write(words(Ack()))
            await writer.drain()

    speaking = asyncio.create_task(alive())
    try:
        await hold(reader, writer)
    finally:
        speaking.cancel()


Kind = Callable[[Reader, Writer], Awaitable[None]]
KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        silent,
        slow,
        noise,
        endless,
        too_long,
        deaf,
        sipping,
        false_heads,
        asking,
        repeating,
        forking,
        replayed,
        live,
    )
}


# --- what they need ---------------------------------------------------------------------------------------------------


async def heard(reader: Reader, writer: Writer, *, introduction: bool = True) -> AsyncIterator[Message]:
    """The messages that come; without an introduction yet, one is made."""
    if not introduction:
        writer.write(words(Hello((1, 1), secrets.token_hex(32), live=True)))
        writer.write(words(Have(own=os.urandom(16).hex(), digest="00" * 16)))
    pending = b""
    while data := await reader.read(1 << 20):
        pending += data
        frames = codec.scan_frames(pending)
        columns = codec.decode_changes(pending, frames)
        for change in columns.to_objects():
            if change.subset == messages.SUBSET:
                message = messages.decode(change)
                if message is not None:
                    yield message
        pending = pending[frames.consumed :]


async def heads_of(reader: Reader, writer: Writer) -> list[Head]:
    """Make an introduction, and hear what the other side has."""
    heads: list[Head] = []
    async for message in heard(reader, writer, introduction=False):
        if isinstance(message, Have) and message.heads is not None:
            heads += message.heads
            if not message.more:
                break
    return heads


def data_of(stream: bytes) -> bytes:
    """What of a session's bytes is data: uuid frames and changes."""
    return b"".join(data_frames(stream))


def data_frames(stream: bytes) -> Iterator[bytes]:
    frames = codec.scan_frames(stream)
    changes = iter(codec.decode_changes(stream, frames).to_objects())
    begin = 0
    for kind, end in zip(frames.ids, frames.ends, strict=True):
        if kind == FRAME_BLOB or next(changes).subset != messages.SUBSET:
            yield stream[begin:end]
        begin = end


# --- many of them -----------------------------------------------------------------------------------------------------


async def keep(
    host: str, port: int, kind: Kind, connected: Callable[[], None], source: tuple[str, int] | None = None
) -> None:
    """Be one of a kind, again and again."""
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, port, local_addr=source)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        connected()
        try:
            with suppress(OSError):
                await kind(reader, writer)
        finally:
            writer.transport.abort()


ELSEWHERE = ("127.0.0.2", 0) if sys.platform == "linux" else None
"""Where they come from: not from where the good ones do."""


async def crowd(host: str, port: int, kind: Kind, count: int) -> int:
    """*count* of them until our input ends; returns how often they connected."""
    times = 0
    ready = asyncio.Event()

    def connected() -> None:
        nonlocal times
        times += 1
        if times >= count:
            ready.set()

    tasks = [asyncio.create_task(keep(host, port, kind, connected, ELSEWHERE)) for _ in range(count)]
    await ready.wait()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return times


def main() -> None:
    logging.disable()  # asyncio tells of each write to somebody who has gone
    url, kind, count = sys.argv[1:]
    host, _, port = url.removeprefix("tcp://").rpartition(":")
    print(asyncio.run(crowd(host, int(port), KINDS[kind], int(count))))


if __name__ == "__main__":
    main()
