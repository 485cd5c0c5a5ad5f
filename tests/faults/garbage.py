"""Garbage into everything that decodes, noise or what begins well: it says what is wrong, and needs little memory."""

from __future__ import annotations

import io
import resource
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache, partial
from itertools import chain, islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from scoutcore import changes, codec, dat, multibuffer
from scoutcore.changes.position import MARKER
from scoutcore.codec.columns import Change, ChangeColumns
from scoutcore.codec.constants import MAX_FRAME
from scoutcore.database import Database
from scoutcore.errors import Error
from scoutcore.replication import messages
from scoutcore.replication.messages import Ack, Have, Hello
from scoutcore.replication.replica import replica_of
from scoutcore.replication.session import Ended, Options, Session
from scoutcore.store.memory import MemoryStore
from tests.faults.apart import apart

KEY = "the key of the troop that hears garbage"
LOG = b"l" * 16
MIB = 1024 * 1024
PIECE = 256 * 1024
MAX_MIB = 96
"""What a decoder may need, however much comes: a frame, an interval or a batch of lines, in several forms."""
KINDS = ("noise", "zeros", "ones", "begun", "endless")

Pieces = Iterator[bytes]


def garbage(kind: str, size: int, begin: bytes, promise: bytes) -> Pieces:
    """About *size* bytes in pieces.

    What is *begun* begins with *begin*, piece by piece. What is *endless* begins once, and then promises more than ever
    comes: *promise*.
    """
    noise = Random(kind).randbytes(MIB + PIECE)
    for number in range(-(-size // PIECE)):
        place = number * 4099 % MIB
        piece = {"zeros": bytes(PIECE), "ones": b"\xff" * PIECE}.get(kind) or noise[place : place + PIECE]
        if kind == "begun":
            piece = (begin + piece)[:PIECE]
        elif kind == "endless" and number == 0:
            piece = (begin + promise + piece)[:PIECE]
        yield piece


def valid() -> bytes:
    """The changes of a small log."""
    db = Database(MemoryStore())
    db.troops.create(key=KEY)
    for begin in range(0, 1600, 100):
        db.ingest(
            {"troop": 1, "scout": n % 7, "report": "r", "data": [n, hex(n) * 20], "t": n}
            for n in range(begin, begin + 100)
        )
    (log,) = db._logs.by_number
    return b"".join(frames for *_, frames in db._logs.chunks(log, 1))


def valid_file() -> bytes:
    """The same in a changes file: an interval with its check, and the beginning of another."""
    with TemporaryDirectory() as text:
        writer = changes.Writer(Path(text) / "log", LOG, changes.Position())
        frames = valid()
        writer.append(frames, len(codec.scan_frames(frames).ids))
        writer.sync()
        writer.close()
        (file,) = changes.files_of(Path(text) / "log")
        return file.read_bytes()


def until_wrong(decode: Callable[[Pieces], Iterable[object]]) -> Callable[[Pieces], Counter[str]]:
    """Gives the pieces to a decoder, and what follows what is wrong to another one."""

    def all_of(pieces: Pieces) -> Counter[str]:
        seen: Counter[str] = Counter()
        for piece in pieces:
            try:
                for _ in decode(chain([piece], pieces)):
                    seen["decoded"] += 1
            except Error:
                seen["refused"] += 1
        return seen

    return all_of


def frames(pieces: Pieces) -> Iterator[object]:
    decoder = dat.Decoder()
    for piece in pieces:
        yield from decoder.feed(piece)
    decoder.close()


def buffers(pieces: Pieces) -> Iterator[object]:
    return multibuffer.unpack_stream(pieces, max_length=MAX_FRAME)


def blocks(pieces: Pieces) -> Counter[str]:
    """Each piece is a block, and then cut into many."""
    seen: Counter[str] = Counter()
    for number, piece in enumerate(pieces):
        for start in (0, number % 97):
            for decode in (codec.summarize_blocks, codec.decode_blocks, codec.shared_readings):
                try:
                    decode(piece, array("Q", [start]), array("Q", [len(piece) - number % 5]))
                    seen["decoded"] += 1
                except Error:
                    seen["refused"] += 1
    return seen


def sessions(pieces: Pieces) -> Counter[str]:
    """A peer that introduces itself, and says garbage; after an error another one comes."""
    db = Database(MemoryStore())
    db.troops.create(key=KEY)
    seen: Counter[str] = Counter()
    session = None
    for number, piece in enumerate(pieces):
        if session is None:
            session = Session(replica_of(db), Options(), initiator=False)
            if number % 8:
                session.receive(messages.encode(Hello((1, 1), "ab" * 32)))
                session.receive(messages.encode(Have(own="ab" * 16, digest="00" * 16)))
                session.receive(messages.encode(Have(heads=[])))
        session.receive(piece)
        session.output()
        for event in session.events():
            if isinstance(event, Ended):
                assert event.error
                seen["refused"] += 1
                session = None
    for log in db._logs.by_number:
        assert log is db._logs.own or log.uuid == LOG
    return seen


class Stream(io.RawIOBase):
    """The pieces as a file that cannot be sought."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._left = self._left or next(self._pieces, b"")
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


def lines(pieces: Pieces) -> Counter[str]:
    db = Database(MemoryStore())
    db.troops.create(key=KEY)
    result = db.ingest(io.BufferedReader(Stream(pieces)))
    return Counter({"refused": result.rejected, "decoded": result.accepted})


def in_a_file(look: Callable[[Path], Counter[str]]) -> Callable[[Pieces], Counter[str]]:
    """Puts the pieces into a changes file."""

    def all_of(pieces: Pieces) -> Counter[str]:
        with TemporaryDirectory() as text:
            path = Path(text) / "6c6c6c6c-6c6c-6c6c-6c6c-6c6c6c6c6c6c" / "0000000001.changes"
            path.parent.mkdir()
            with path.open("wb") as file:
                file.writelines(pieces)
            return look(path)

    return all_of


def verified(path: Path) -> Counter[str]:
    found = changes.verify(path)
    assert found.damages
    return Counter({"refused": len(found.damages), "decoded": found.intervals})


def sought(path: Path) -> Counter[str]:
    """From the beginning, the middle and near the end."""
    seen: Counter[str] = Counter()
    size = path.stat().st_size
    for offset in (0, size // 2 + 1, max(size - PIECE - 1, 0)):
        with path.open("rb") as file:
            seen["refused"] += changes.find_keyframe(file, LOG, offset) is None
    with suppress(Error):
        seen["decoded"] += len(list(islice(changes.open(path), 10_000)))
    return seen


def imported(path: Path) -> Counter[str]:
    db = Database(MemoryStore())
    found = db.import_changes(path)
    assert found.problems
    return Counter({"refused": len(found.problems), "decoded": found.changes})


def huge(size: int) -> bytes:
    """The beginning of a blob's frame of so many bytes."""
    return codec.encode_varints([size + 1]) + b"\x02"


def long_change() -> bytes:
    """The beginning of a change that has as many bytes as one may have."""
    frame, _ = codec.encode_changes(
        ChangeColumns.from_objects([Change(f"{'A' * 16}/1/r", 1, 0, 1, b"\x09" + bytes(MAX_FRAME - 60), "sensor")])
    )
    return frame[:60]


@cache
def decoders() -> dict[str, tuple[bytes, bytes, Callable[[Pieces], Counter[str]]]]:
    """By name: how something begins that is right, what promises more than ever comes, and the decoder."""
    frames_of_log, file = valid(), valid_file()
    log = MARKER + LOG + frames_of_log
    columns = codec.decode_changes(frames_of_log, codec.scan_frames(frames_of_log))
    (block, *_) = [change.value for change in columns.to_objects() if change.subset == "sensor"]
    assert block
    line = b'{"troop":1,"scout":7,"report":"r","data":1,"t":1}\n'
    items = multibuffer.pack([b"one", b"", b"x" * 200])
    return {
        "dat": (log, huge(2**60), until_wrong(frames)),
        "multibuffer": (items, codec.encode_varints([MAX_FRAME]), until_wrong(buffers)),
        "blocks": (block[:-9], b"", blocks),
        "session": (log, long_change(), sessions),
        "alive": (messages.encode(Ack()) * 200, huge(17), sessions),
        "lines": (line * 100, b'{"troop":1,"data":[', lines),
        "verify": (file, long_change(), in_a_file(verified)),
        "seek": (file, long_change(), in_a_file(sought)),
        "import": (file, long_change(), in_a_file(imported)),
    }


def one(name: str, kind: str, size: int) -> Counter[str]:
    """One decoder and one kind of garbage, in a process of its own."""
    begin, promise, decode = decoders()[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    seen = decode(garbage(kind, size, begin, promise))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    return seen + Counter({"MiB": grown, "ms": round(1000 * (time.monotonic() - started))})


def campaign(count: int) -> Iterator[tuple[Counter[str], list[str]]]:
    """*count* MiB into each decoder."""
    for name in decoders():
        most = 0
        for kind in KINDS:
            try:
                seen = apart(partial(one, name, kind, count * MIB // len(KINDS)))
            except AssertionError as problem:
                yield Counter(), [f"{name}, {kind}: {problem}"]
                continue
            most = max(most, seen["MiB"])
            over = [f"{name}, {kind}: {seen['MiB']} MiB of memory"] if seen["MiB"] > MAX_MIB else []
            yield Counter({f"{name}: refused": seen["refused"], f"{name}: s": seen["ms"] // 1000}), over
        yield Counter({f"{name}: MiB": count, f"{name}: MiB of memory at most": most}), []


def some(count: int) -> tuple[Counter[str], list[str]]:
    """A little."""
    total: Counter[str] = Counter()
    problems: list[str] = []
    for counts, wrong in campaign(count):
        total += counts
        problems += wrong
    return total, problems
