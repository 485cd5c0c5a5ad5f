"""Pipes: a program that speaks on its standard input and output, and our own."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from contextlib import suppress

from scoutcore.database import Database
from scoutcore.errors import InvalidError
from scoutcore.replication.link import BUFFER_BYTES, Link
from scoutcore.replication.replica import replica_of
from scoutcore.replication.session import Ended, Options
from scoutcore.replication.tcp import Streams
from scoutcore.replication.urls import Command


async def spawn(command: Command) -> tuple[asyncio.subprocess.Process, Streams]:
    """Start a program that speaks on its standard input and output; what it says on standard error is passed on.

    Raises:
        OSError: it cannot be started.
    """
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*command.words, stdin=pipe, stdout=pipe, limit=BUFFER_BYTES)
    assert child.stdin is not None
    assert child.stdout is not None
    return child, (child.stdout, child.stdin)


def serve(database: Database, options: Options) -> Ended:
    """One session with a peer at the other ends of our standard input and output.

    Raises:
        InvalidError: they are no pipes.
    """
    replica = replica_of(database)

    async def session() -> Ended:
        return await Link(replica, options, initiator=False).run(*await own())

    return asyncio.run(session())


async def reap(child: asyncio.subprocess.Process, patience: float) -> int:
    """Wait for the end of a program, and help it where it does not come; returns its exit code."""
    for stop in (None, child.terminate, child.kill):
        if stop:
            with suppress(ProcessLookupError):
                stop()
        with suppress(asyncio.TimeoutError):
            return await asyncio.wait_for(asyncio.shield(child.wait()), patience)
    return await child.wait()


async def own() -> Streams:
    """Our own standard input and output; what else writes to standard output goes to standard error from here on.

    Raises:
        InvalidError: they are no pipes.
    """
    if not all(map(_is_pipe, (0, 1))):
        raise InvalidError("standard input and output are no pipes: a peer has to be at their other ends")
    loop = asyncio.get_running_loop()
    sys.stdout.flush()
    source, sink = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    os.dup2(2, 1)
    reader = asyncio.StreamReader(BUFFER_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
    writing = asyncio.StreamReaderProtocol(asyncio.StreamReader())
    transport, _ = await loop.connect_write_pipe(lambda: writing, sink)
    return reader, asyncio.StreamWriter(transport, writing, None, loop)


def _is_pipe(handle: int) -> bool:
    try:
        mode = os.fstat(handle).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
