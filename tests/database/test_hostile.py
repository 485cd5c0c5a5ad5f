"""Nothing that is stored makes a false keyframe, whoever writes it and whatever he knows.

``SCOUTCORE_HOSTILE_ATTEMPTS=1000000`` is the long run.
"""

from __future__ import annotations

import io
import os
import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import scoutcore
from scoutcore import changes, codec
from scoutcore.codec.columns import Change, ChangeColumns
from scoutcore.database import Database
from tests.test_changes_seek import layout

ATTEMPTS = int(os.environ.get("SCOUTCORE_HOSTILE_ATTEMPTS", "6000"))
ROUND = 750
EXAMPLE = uuid.UUID("018596a7-b8c9-4d81-92a3-b4c5d6e70837").bytes
"""DESIGN's: 11 02, then this, is a point of 17 bytes."""
CHECK = b"\x21\x02"


def a_point(chance: random.Random) -> bytes:
    """A uuid that reads as flags, boot, ms and a number."""
    high = bytes(0x80 | one for one in chance.randbytes(10))
    return b"\x01" + high[:5] + b"\x4d\x81\x92" + high[5:] + b"\x0b%d" % chance.randrange(10)


def a_text(chance: random.Random) -> bytes:
    """A uuid of JSON text, and then the first byte of a check."""
    letters = bytes(chance.choice(b"abcdefgh") for _ in range(10))
    return b'"' + letters[:5] + b"M\xc3\xa9" + letters[5:] + b'"' + CHECK[:1]


def names(chance: random.Random) -> Iterator[bytes]:
    """The uuids of logs: those that are easy to imitate come up more often than in 2^128 tries."""
    yield EXAMPLE
    while True:
        yield a_text(chance)
        yield a_point(chance)
        yield a_text(chance)
        yield uuid.UUID(bytes=chance.randbytes(16), version=4).bytes


def number_at(data: bytes, at: int) -> tuple[int, int]:
    """The varint at an offset, and the offset behind it."""
    end = next(end for end in range(at, len(data)) if data[end] < 0x80) + 1
    return sum((one & 0x7F) << 7 * place for place, one in enumerate(data[at:end])), end


def attempt(db: Database, log: bytes, number: int, chance: random.Random) -> None:
    """One try to store something that reads as the keyframe of *log*, or as what belongs to one."""
    marker = b"\x11\x02" + log
    text = marker[chance.randrange(8) :].decode("latin-1")
    way = chance.randrange(8)
    if way == 0 and log[0] == 1 and log[6] == 0x4D:  # a point of 17 bytes, 1 µs after the one before, or after 1970
        boot, at = number_at(log, 1)
        ms, at = number_at(log, at)
        db.report(1, 7, f"fake{number % 50}", int(log[at:]), t=1, boot=boot, ms=ms)
    elif way <= 3 and log[6:9] == b"M\xc3\xa9":  # the last bytes of a frame, which a check may follow
        boot = 0x11 << 7 | chance.randrange(128)
        line = b'{"troop":1,"scout":7,"report":"tail","t":%d,"b":%d,"ms":2,"data":%b}' % (number, boot, log[:15])
        assert db.ingest(line).accepted == 1
    elif way == 4:
        name = "".join(one for one in text if one.isprintable())
        db.report(1, chance.choice([0x11, 0x1102, number]), name or "x", text, boot=0x11, ms=2)
    elif way == 5:
        db.troops.update(1, field=chance.choice([text, marker.hex(), [*marker], {text: text}]))
    elif way == 6:  # a whole file, as text, or lengths of markers and checks
        file = marker + CHECK + bytes(16) + changes.digest_of(bytes(16), marker).digest() + marker
        size = chance.choice([file, file[: chance.randrange(40)], b"\x11" * 0x11, b"\x21" * 0x21]).decode("latin-1")
        db.report(1, 0x11, "whole", size, t=int.from_bytes(log[:6], "big"))
    else:
        t = int.from_bytes((b"\x11\x02" + log)[:7], chance.choice(["big", "little"]))
        boot, ms = (int.from_bytes(log[at : at + 8], "big") for at in (0, 8))
        db.report(1, 7, "t", number, t=t, boot=boot, ms=ms)


def false_keyframes(directory: Path, log: bytes, chance: random.Random) -> int:
    """How many bytes of a log's files read as a keyframe and are none; from all of them on only real ones are found."""
    count = 0
    for path in changes.files_of(directory):
        data = path.read_bytes()
        frames = codec.scan_frames(data)
        assert frames.consumed == len(data)
        keyframes = layout(data)
        real = {start for start, _, _ in keyframes}
        at, false = -1, []
        while (at := codec.find_marker(data, log, at + 1)) >= 0:
            if at not in real:
                false.append(at)
        count += len(false)
        offsets = [near for at in false for near in (at - 1, at, at + 1)]
        offsets += [chance.randrange(len(data)) for _ in range(20)]
        for offset in offsets:
            found = changes.find_keyframe(io.BytesIO(data), log, offset)
            want = next((start for start, end, _ in keyframes if start >= offset and end > 0), None)
            assert (found and found.offset) == want
        assert all(change.change for change in changes.open(path))
    return count


@pytest.fixture
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many ends of intervals."""
    monkeypatch.setattr(changes.Writer.__init__, "__defaults__", (1000, 100_000))


@pytest.mark.usefixtures("short_intervals")
def test_what_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(5)
    given = names(chance)
    made = SimpleNamespace(UUID=uuid.UUID, uuid4=lambda: uuid.UUID(bytes=next(given)))
    monkeypatch.setattr("scoutcore.log.uuids", made)
    false = logs = 0
    for part in range(0, ATTEMPTS // 2, ROUND):  # the next one begins with the next name
        path = tmp_path / str(part)
        with scoutcore.open(path) as db:
            db.troops.create()
            for number in range(part, min(part + ROUND, ATTEMPTS // 2)):
                attempt(db, uuid.UUID(db.id).bytes, number, chance)
            db.pack()
            found = db.stats().logs
        logs += len(found)
        for log in found:
            false += false_keyframes(path / "changes" / log.log, uuid.UUID(log.log).bytes, chance)
    assert logs > ATTEMPTS // 2 // ROUND, "attempts that hit began new logs"
    assert false > 0, "a frame and a check together did read as a keyframe"


def hostile_value(log: bytes, previous: bytes, chance: random.Random) -> bytes:
    """Any bytes, such as a peer may send that knows the log and its digests."""
    marker = b"\x11\x02" + log
    check = CHECK + previous + changes.digest_of(previous, marker).digest()
    forged = marker + b"\x05\x01abcd" + check + marker
    begin = chance.randrange(len(forged))
    return chance.choice(
        [
            chance.randbytes(chance.randrange(30)) + marker[: chance.randrange(19)],
            chance.randbytes(chance.randrange(30)) + marker[: chance.choice([16, 17])],
            marker[chance.randrange(1, 18) :] + chance.randbytes(9),
            forged[begin : begin + chance.randrange(200)],
            b"\x11\x02" * chance.randrange(1, 20) + marker[: chance.randrange(18)],
            CHECK + previous + marker[: chance.randrange(18)],
        ]
    )


def test_what_a_peer_sends(tmp_path: Path) -> None:
    """Any bytes, but for frames that make the log's keyframe, which everyone refuses."""
    chance = random.Random(6)
    refused = false = tried = 0
    while tried < ATTEMPTS // 2:
        ending = chance.choice([b"\x21", CHECK, b"\x11", b"\x11\x02", chance.randbytes(2)])
        chosen = chance.randbytes(16 - len(ending)) + ending
        log = chance.choice([EXAMPLE, b"\x11\x02" * 8, chosen, chosen, chosen])
        directory = tmp_path / str(tried)
        position, tail = changes.Position(), b""
        writer = changes.Writer(directory, log, position, interval_bytes=400, file_bytes=20_000)
        for _ in range(100):
            value = hostile_value(log, position.digest, chance)
            change = Change("k", position.last + 1, 0, 1, value, "sensor")
            frame, _ = codec.encode_changes(ChangeColumns.from_objects([change]))
            if b"\x11\x02" + log in tail + frame:
                refused += 1
            else:
                writer.append(frame, 1)
                tail = (tail + frame)[-17:]
        tried += 100
        writer.close()
        false += false_keyframes(directory, log, chance)
    assert refused > ATTEMPTS // 100
    assert false > 0
