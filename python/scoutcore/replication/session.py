"""A replication session: bytes in, bytes and events out. The same for both sides, whatever carries the bytes.

It reads and writes a database, but knows no network. ``csrc/FORMAT.md`` has the messages and their order.
"""

from __future__ import annotations

import hmac
import secrets
import time
from array import array
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import Final, Literal

from scoutcore import codec
from scoutcore.changes import DIGEST_BYTES
from scoutcore.changes.position import MARKER
from scoutcore.codec import cut
from scoutcore.codec.columns import ChangeColumns
from scoutcore.codec.constants import FRAME_BLOB, MARKER_BYTES, MAX_FRAME
from scoutcore.errors import ClosedError, CodecError, Error, NotFoundError
from scoutcore.forks import name_of
from scoutcore.multibuffer import read_length
from scoutcore.replication import messages
from scoutcore.replication.messages import (
    HEADS_IN_MESSAGE,
    MAX_TEXT,
    MAX_UNTRUSTED,
    NONCE_BYTES,
    VERSION,
    Ack,
    At,
    Auth,
    Bye,
    Failure,
    Have,
    Head,
    Hello,
    Message,
    ProtocolError,
    Synced,
    mac_of,
)
from scoutcore.replication.replica import MIB, PIECE_BYTES, ForkError, Limits, Quota, Replica, Run, name
from scoutcore.source import Cursor

MIN_SECRET: Final = 16
_ACK_BYTES: Final = 8 * MIB
_ACK_SECONDS: Final = 0.1
"""What was received is acknowledged after so much, or so long."""
_MAX_CLAIMS: Final = 20_000
"""Logs of which a peer may say what it has: what is kept of each stays in memory for as long as the session lasts."""


_FEW_CLAIMS: Final = 100
_MAX_UNKNOWN: Final = 100_000
"""While peers say to have more logs that are not here, no one of them adds more than a few."""
_SMALL_PART: Final = 64 * 1024
_MAX_PARTS: Final = 64 * MIB
"""While there is more of frames that have not come whole, of all peers, no longer ones than the small go on."""


@dataclass(frozen=True)
class Connected:
    """The peer has introduced itself, and shown that it has the secret if there is one."""

    peer: str | None
    """The log that it writes."""


@dataclass(frozen=True)
class Progress:
    """So much has moved in this session."""

    sent: int
    received: int
    """Changes, and of those received all that came, known or not."""
    new: int
    """Changes received that were new here."""
    to_send: int
    to_receive: int
    """Changes that are still to move, as far as is known."""


@dataclass(frozen=True)
class InSync:
    """Both sides have what the other had to give; in a live session what is new follows."""


@dataclass(frozen=True)
class Problem:
    """Something went wrong with one log; the session goes on."""

    message: str
    log: str | None = None
    change: int | None = None


@dataclass(frozen=True)
class Ended:
    """The session is over."""

    error: str | None = None
    """Why, if something was wrong."""
    again: bool = False
    """Another one should begin at once: a log was split."""
    lost: bool = False
    """The connection was lost; nothing was wrong with what was said."""


Event = Connected | Progress | InSync | Problem | Ended
_State = Literal["hello", "auth", "summary", "heads", "open", "ended"]


@dataclass(slots=True)
class _Theirs:
    """What is known of a peer's copy of one log."""

    sent: int
    """The last change that it has, or that was sent to it."""
    cursor: Cursor | None = None
    claim: tuple[int, bytes] | None = None
    """What it says to have, where that is more than can be compared yet."""
    given: int = 0
    """The last change that was sent to it."""
    received: int = 0
    """The last change that came from it."""
    blocked: bool = False
    """Nothing of it is sent: it went two ways, or is not here from where it would have to begin."""
    forked: int = 0
    """The change at which it went two ways, if so: whoever gives his another name ends the session."""
    apart: tuple[int, int] | None = None
    """While it is sought where it went two ways: a change up to which it is the same, one at which it is not."""
    sure: bool = True
    """Whether it is known to be the same up to there: what one side has dropped may be something else."""

    def lacks(self, last: int) -> bool:
        """Whether the peer lacks something of the changes up to *last*, and is to get it."""
        covered = self.claim is not None and bool(self.claim[1]) and self.claim[0] >= last
        return self.sent < last and not (covered or self.blocked or self.apart)


@dataclass
class Options:
    """What a side wants of a session."""

    give: bool = True
    take: bool = True
    live: bool = False
    from_base: bool = False
    """Begin a log that is not here where the peer's copy begins, if that was dropped before."""
    secret: bytes | None = field(default=None, repr=False)
    limits: Limits = field(default_factory=Limits)


class Session:
    """One side of a session.

    Whoever carries the bytes calls :meth:`receive` with what comes and sends what :meth:`output` gives, until that is
    empty and :attr:`ended`. One thread at a time; ``wake`` is called by any thread when there may be more to send.
    """

    def __init__(
        self,
        replica: Replica,
        options: Options,
        *,
        initiator: bool,
        wake: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.monotonic,
        nonce: bytes | None = None,
    ) -> None:
        """Begin it; the first output is there at once.

        Args:
            now: seconds, of a clock that never goes back.
            nonce: 32 random bytes.
        """
        if options.secret is not None and len(options.secret) < MIN_SECRET:
            raise ProtocolError(f"a shared secret has at least {MIN_SECRET} bytes")
        self._replica = replica
        self._options = options
        self._initiator = initiator
        self._wake = wake
        self._now = now
        self._nonce = nonce or secrets.token_bytes(NONCE_BYTES)
        self._state: _State = "hello"
        self._events: list[Event] = []
        self._out: list[bytes] = []
        self.more = False
        """Whether :meth:`output` has more at once than it gave the last time."""
        self._pending = bytearray()
        """The beginning of a frame that has not come whole."""
        self._whole = 0
        """How long it is, as far as it says already."""
        self._parts = 0
        """How much of it the replica knows of."""
        self._unknown = 0
        """Logs that the peer says to have, and that were not here then."""
        self._received_bytes = 0
        self._peer = Hello((0, 0), "")
        self._peer_own: bytes | None = None
        self._frames: tuple[bytes, bytes] = (b"", b"")
        self._log_in: bytes | None = None
        """The log that the changes that come belong to."""
        self._log_out: bytes | None = None
        self._splits = replica.splits
        self._snapshot: dict[bytes, int] = {}
        """Our heads, as the peer was told of them."""
        self._logs: dict[bytes, _Theirs] = {}
        self._grown: dict[bytes, None] = {}
        """Logs of which more was published since they were looked at."""
        self._behind: dict[bytes, None] = {}
        """Logs of which the peer lacks something, in the order in which they are seen to."""
        self._told: dict[bytes, int] = {}
        """Up to which change the peer was told that a log is safe here."""
        self._owed: set[bytes] = set()
        """Logs of which it is to be told."""
        self._owed_bytes = 0
        self._owed_since: float | None = None
        self._remaining: dict[bytes, int] = {}
        """Changes that the peer has and we lack, by what it said."""
        self._quota = Quota(options.limits)
        self._sent = self._received = self._new = 0
        self._said_synced = self._heard_synced = self._in_sync = False
        self._said_bye = False
        self._closing = False
        self._replica.join(self)
        hello = Hello(
            (VERSION, VERSION),
            self._nonce.hex(),
            options.secret is not None,
            options.give,
            options.take,
            options.live,
            options.from_base,
        )
        self._hello = messages.encode(hello)
        self._out.append(self._hello)

    # --- what whoever carries the bytes sees --------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be received; what :meth:`output` still gives is to be sent."""
        return self._state == "ended"

    @property
    def introduced(self) -> bool:
        """Whether the peer has said who it is, and shown the secret if there is one."""
        return self._state not in ("hello", "auth")

    @property
    def missing(self) -> int:
        """Bytes that have yet to come of a frame that has begun; 0: none has, or its length is not known yet."""
        return max(self._whole - len(self._pending), 0)

    @property
    def new_bytes(self) -> int:
        """How much was received that was new here."""
        return self._quota.bytes

    @property
    def waiting(self) -> float | None:
        """When :meth:`output` has something even if nothing happens, by ``now``."""
        return None if self._owed_since is None else self._owed_since + _ACK_SECONDS

    @property
    def crowded(self) -> bool:
        """Whether answers wait to be sent: then nothing more is to be received."""
        return sum(map(len, self._out)) > PIECE_BYTES

    def receive(self, data: bytes) -> None:
        """Take what has come, cut anywhere; what is wrong ends the session, and is said to the peer."""
        if self._state == "ended":
            return
        self._received_bytes += len(data)
        try:
            self._check_splits()
            if self._state in ("hello", "auth") and self._received_bytes > MAX_UNTRUSTED:
                raise ProtocolError(f"more than {MAX_UNTRUSTED} bytes before it was clear who sends them")
            if self._pending:
                self._pending += data
                if len(self._pending) < self._whole:
                    self._count_parts()
                    return
                data = bytes(self._pending)
            self._take(data)
        except Error as problem:
            self._fail(problem)

    def output(self) -> bytes:
        """What is to be sent now: about 256 KiB at a time; nothing: wait for :meth:`receive`, ``wake`` or a while."""
        try:
            if self._state != "ended":
                self._check_splits()
            self.more = self.crowded
            if self._state == "open" and not self.more:
                self._go_on()
                self.more = bool(self._behind)
        except Error as problem:
            self._fail(problem)
        out, self._out = b"".join(self._out), []
        return out

    def events(self) -> list[Event]:
        """What has happened since it was asked the last time."""
        events, self._events = self._events, []
        return events

    @property
    def progress(self) -> Progress:
        """How far it is."""
        to_send = sum(
            max(self._replica.held(log).last - theirs.sent, 0)
            for log, theirs in list(self._logs.items())
            if not theirs.blocked and log in self._behind
        )
        return Progress(self._sent, self._received, self._new, to_send, sum(self._remaining.values()))

    def keep_alive(self) -> None:
        """Let the peer know that we are here."""
        if self._state == "open":
            self._say(Ack())

    def lost(self, reason: str | None = None) -> None:
        """The connection is gone."""
        if reason is None and self._said_bye:
            self._end(None)
        else:
            self._end(reason or "the connection was lost", lost=True)

    def stop(self) -> None:
        """End it in good order."""
        if self._state != "ended":
            self._say_bye()
            self._end(None)

    # --- what the replica tells, from any thread ----------------------------------------------------------------------

    def published(self, logs: Iterable[bytes]) -> None:
        """See :class:`Waker`."""
        self._grown.update(dict.fromkeys(logs))
        self._wake_if_live()

    def stored(self) -> None:
        """See :class:`Waker`."""
        self._wake_if_live()

    def closing(self) -> None:
        """See :class:`Waker`."""
        self._closing = True
        self._wake()

    def _wake_if_live(self) -> None:
        """Only a live session has anything to say of what is new: a thousand others sleep on."""
        if self._state == "open" and self._live:
            self._wake()

    # --- sending ------------------------------------------------------------------------------------------------------

    def _say(self, message: Message) -> None:
        self._out.append(messages.encode(message))

    def _say_bye(self, again: bool = False) -> None:
        if not self._said_bye:
            self._said_bye = True
            self._say(Bye(again))

    def _end(self, error: str | None, again: bool = False, lost: bool = False) -> None:
        if self._state == "ended":
            return
        self._state = "ended"
        self._replica.leave(self)
        for theirs in self._logs.values():
            if theirs.cursor:
                theirs.cursor.close()
        self._pending.clear()
        self._replica.count("parts", -self._parts)
        self._replica.count("claims", -self._unknown)
        self._events += [self.progress, Ended(error, again, lost)]

    def _fail(self, problem: Error) -> None:
        """End the session for a reason, and say so."""
        # What is wrong after a split is so by what was known before it.
        if isinstance(problem, _AgainError) or self._replica.splits != self._splits:
            self._say_bye(again=True)
            self._end(None, again=True)
            return
        if not self._said_bye:
            said = str(problem)[:MAX_TEXT] if isinstance(problem, ProtocolError) else "something is wrong here"
            self._say(Failure(said))
        self._end(str(problem))

    def _check_splits(self) -> None:
        if self._closing:
            raise ClosedError("the database is closed")
        if self._replica.splits != self._splits:
            raise _AgainError

    @property
    def _live(self) -> bool:
        return self._options.live and self._peer.live

    @property
    def _giving(self) -> bool:
        return self._options.give and self._peer.take

    def _go_on(self) -> None:
        """Give what comes next: acknowledgements, changes, and what is to be said when all is sent."""
        if self._has_to_publish():
            self._replica.publish()
        while self._grown:
            self._look_at(self._grown.popitem()[0])
        self._acknowledge()
        self._give()
        if self._behind:
            return
        if not self._said_synced and not self._apart:
            self._said_synced = True
            self._say(Synced())
        if self._heard_synced and self._said_synced:
            self._note_sync()
            if not self._live and not self._owed and self._all_acknowledged:
                self._say_bye()

    def _note_sync(self) -> None:
        if not self._in_sync:
            self._in_sync = True
            self._events += [self.progress, InSync()]

    def _has_to_publish(self) -> bool:
        """Whether there is something that the peer may get, or is to be told of now."""
        if self._acknowledges_now():
            return True
        if not self._live:
            return False
        for log, last in self._replica.unpublished.items():
            theirs = self._logs.get(log)
            if theirs is None or theirs.received < last:
                return True
        return False

    @property
    def _apart(self) -> bool:
        return any(theirs.apart or theirs.forked for theirs in self._logs.values())

    @property
    def _all_acknowledged(self) -> bool:
        return all(
            theirs.blocked or not theirs.given or (theirs.claim is not None and theirs.claim[0] >= theirs.given)
            for theirs in self._logs.values()
        )

    def _look_at(self, log: bytes) -> None:
        """A log has grown here, or is seen for the first time: see what the peer lacks of it."""
        held = self._replica.held(log)
        if held.last <= held.origin:
            return
        theirs = self._logs.get(log)
        if theirs is None:
            theirs = self._logs[log] = _Theirs(held.origin)
        if self._live and log != self._replica.own and held.last > self._told.get(log, 0):
            self._owe(log, 0)
        self._compare_claim(log, theirs)
        upto = held.last if self._live else self._snapshot.get(log, 0)
        if self._giving and theirs.lacks(upto):
            self._behind[log] = None

    def _compare_claim(self, log: bytes, theirs: _Theirs) -> None:
        """Where the peer says to have more than was sent to it, and we have that too, compare."""
        if theirs.claim is None or theirs.blocked or theirs.apart:
            return
        held = self._replica.held(log)
        change, digest = theirs.claim
        if change <= theirs.sent or change > held.last or not digest:
            return
        if change < held.base:
            if self._giving:
                self._below_base(log, theirs, change)
        elif self._replica.digest(log, change) == digest:
            theirs.sent = change
        else:
            theirs.sure = held.base <= held.origin
            self._seek_fork(log, theirs, max(held.origin, held.base), change)

    def _give(self) -> None:
        """Give some changes of those that the peer lacks."""
        size = 0
        while self._behind and 2 * size < PIECE_BYTES:  # what is read at once is mostly a piece
            log = next(iter(self._behind))
            theirs = self._logs[log]
            held = self._replica.held(log)
            upto = held.last if self._live else min(self._snapshot.get(log, 0), held.last)
            if not theirs.lacks(upto):
                del self._behind[log]
                if theirs.cursor:
                    theirs.cursor.close()  # of thousands of logs not every one keeps a file open
                continue
            if (theirs.sent < held.base or theirs.sent == held.origin > 0) and not self._begin(log, theirs):
                continue
            if theirs.cursor is None or theirs.cursor.after != theirs.sent:
                if theirs.cursor:
                    theirs.cursor.close()
                theirs.cursor = self._replica.cursor(log, theirs.sent)
                self._log_out = None  # behind a uuid frame changes follow one another
            try:
                frames, last = theirs.cursor.read(upto, PIECE_BYTES)
            except NotFoundError as problem:
                if self._replica.held(log).base <= theirs.sent:
                    raise
                self._below_base(log, theirs, theirs.sent, str(problem))
                continue
            self._send(log, frames)
            self._sent += last - theirs.sent
            size += len(frames)
            theirs.sent = theirs.given = last

    def _send(self, log: bytes, frames: bytes) -> None:
        if log != self._log_out:
            self._log_out = log
            self._out.append(MARKER + log)
        self._out.append(frames)

    def _begin(self, log: bytes, theirs: _Theirs) -> bool:
        """Say where a log begins that does not begin with change 1; False where it cannot go on from what is there."""
        held = self._replica.held(log)
        if held.base > held.origin and (theirs.sent > held.origin or not self._peer.base):
            self._below_base(log, theirs, theirs.sent)
            return False
        digest = self._replica.digest(log, held.base)
        self._say(Have(begin=Head(log.hex(), held.base, held.base, digest.hex(), held.origin)))
        theirs.sent = held.base
        return True

    def _below_base(self, log: bytes, theirs: _Theirs, change: int, reason: str = "") -> None:
        theirs.blocked = True
        self._behind.pop(log, None)
        base = self._replica.held(log).base
        text = reason or f"changes {change + 1} to {base} of log {name(log)} were dropped here"
        self._say(Failure(text, goes_on=True, log=log.hex(), change=change + 1))
        self._events.append(Problem(f"{text}: the peer lacks them", name(log), change + 1))

    # --- acknowledging ------------------------------------------------------------------------------------------------

    def _owe(self, log: bytes, size: int) -> None:
        """What the peer is to be told of a log, soon."""
        self._owed.add(log)
        self._owed_bytes += size
        if self._owed_since is None:
            self._owed_since = self._now()

    def _acknowledges_now(self) -> bool:
        if self._owed_since is None:
            return False
        due = self._owed_bytes >= _ACK_BYTES or self._now() >= self._owed_since + _ACK_SECONDS
        return due or (self._heard_synced and not self._live)

    def _acknowledge(self) -> None:
        """Say what is safe here, now and then, and at the end."""
        if not self._acknowledges_now():
            return
        heads = []
        for log in sorted(self._owed):
            last = self._replica.held(log).last
            if last <= self._told.get(log, 0):
                continue
            self._told[log] = last
            theirs = self._logs.get(log)
            if theirs and theirs.received >= last:
                heads.append(At(log.hex(), last))
            elif not (theirs and theirs.sent >= last):
                heads.append(At(log.hex(), last, self._replica.digest(log, last).hex()))
        self._owed.clear()
        self._owed_bytes, self._owed_since = 0, None
        for begin in range(0, len(heads), HEADS_IN_MESSAGE):
            self._say(Ack(heads[begin : begin + HEADS_IN_MESSAGE]))

    # --- receiving ----------------------------------------------------------------------------------------------------

    def _take(self, data: bytes) -> None:
        """Take all whole frames of *data*; what is left over is kept."""
        runs: list[Run] = []
        done = 0
        while done < len(data) and self._state != "ended":
            try:
                frames = codec.scan_frames(data, done, MAX_FRAME, MARKER_BYTES - 1)
                columns = codec.decode_changes(data, frames)
            except CodecError as problem:
                raise ProtocolError(f"a wrong frame: {problem.reason}") from None
            if not frames.ids:
                break
            subsets = cut(columns.subset_data, columns.subset_starts, columns.subset_ends)
            special = [index for index, kind in enumerate(frames.ids) if kind == FRAME_BLOB]
            row = index = 0
            begin = done
            # Between uuid frames and messages are runs of changes.
            for blob in [*special, len(frames.ids)]:
                while index < blob:
                    count = blob - index
                    with suppress(ValueError):
                        count = subsets.index(b"session", row, row + count) - row
                    if count:
                        ends = frames.ends[index : index + count]
                        runs.append(self._run(data[begin : ends[-1]], begin, ends, columns.part(row, row + count)))
                        index, row, begin = index + count, row + count, ends[-1]
                    else:
                        self._receive_runs(runs)
                        runs = []
                        frame = data[begin : frames.ends[index]]
                        index, row, begin = index + 1, row + 1, frames.ends[index]
                        self._message(columns.part(row - 1, row), frame)
                        if self.ended:
                            return
                if blob < len(frames.ids):
                    self._keyframe(data[begin : frames.ends[blob]])
                    index, begin = blob + 1, frames.ends[blob]
            done = frames.consumed
        self._receive_runs(runs)
        self._pending = bytearray(data[done:])
        length = read_length(self._pending, 0)
        # A length that cannot be is refused with the next byte.
        self._whole = sum(length) if length and length[0] <= MAX_FRAME else 0
        self._count_parts()

    def _count_parts(self) -> None:
        """Keep frames that have not come whole from filling the memory, however many peers begin them."""
        before, self._parts = self._parts, len(self._pending)
        if self._parts == before:
            return
        parts = self._replica.count("parts", self._parts - before)
        if self._parts > _SMALL_PART and parts > _MAX_PARTS:
            raise ProtocolError(
                f"{parts} bytes of frames that have not come whole, of all peers: the rest comes too late"
            )

    def _keyframe(self, frame: bytes) -> None:
        if len(frame) != MARKER_BYTES or not frame.startswith(MARKER):
            raise ProtocolError("a blob that names no log")
        self._log_in = frame[len(MARKER) :]

    def _run(self, frames: bytes, begin: int, ends: array[int], columns: ChangeColumns) -> Run:
        if self._state not in ("heads", "open"):
            raise ProtocolError("changes before it was said what is there")
        if self._log_in is None:
            raise ProtocolError("changes before a log is named")
        # One that is here already shows where a log went two ways.
        if not self._options.take and columns.change[-1] > self._replica.held(self._log_in).last:
            raise ProtocolError("changes, where none are taken")
        return Run(self._log_in, frames, array("Q", [end - begin for end in ends]), columns)

    def _receive_runs(self, runs: list[Run]) -> None:
        runs = [run for run in runs if self._wants(run)]
        while runs:
            try:
                self._new += self._replica.receive(runs, self._quota)
                self._check_splits()  # what came may have shown that a log here has lost its name
                break
            except ForkError as fork:
                self._settle(fork)
                runs = [run for run in runs if run.log != fork.log]
        for run in runs:
            count = len(run.ends)
            self._received += count
            theirs = self._logs.get(run.log)
            if theirs is None:
                theirs = self._logs[run.log] = _Theirs(self._replica.held(run.log).origin)
            if theirs.forked:  # it is not there that the two ways part: what came is what is here
                theirs.forked = 0
                self._note_apart(run.log, run.first)
            theirs.received = max(theirs.received, run.last)
            theirs.sent = max(theirs.sent, run.last)
            self._owe(run.log, len(run.frames))
            if run.log in self._remaining:
                self._remaining[run.log] -= count
                if self._remaining[run.log] <= 0:
                    del self._remaining[run.log]

    def _wants(self, run: Run) -> bool:
        """Whether it is to be taken: of a log that went two ways only the change where they part, which shows it."""
        theirs = self._logs.get(run.log)
        return theirs is None or theirs.forked in (0, run.first)

    def _message(self, columns: ChangeColumns, frame: bytes) -> None:
        """Take a message."""
        (change,) = columns.to_objects()
        message = messages.decode(change)
        if isinstance(message, Failure):
            self._failure(message)
        elif isinstance(message, Bye):
            if self._heard_synced and self._said_synced:
                self._note_sync()
            self._say_bye()
            self._end(None, message.again)
        elif self._state == "hello":
            self._hello_in(message, frame)
        elif self._state == "auth":
            self._auth_in(message)
        elif isinstance(message, (Hello, Auth)):
            raise ProtocolError("a second introduction")
        elif isinstance(message, Have):
            self._have(message)
        elif isinstance(message, Ack):
            self._ack(message)
        elif isinstance(message, Synced):
            self._heard_synced = True

    def _failure(self, failure: Failure) -> None:
        text = "".join(one if one.isprintable() else "?" for one in failure.error[:MAX_TEXT])
        if failure.goes_on:
            log = name(bytes.fromhex(failure.log)) if failure.log else None
            if failure.log:
                self._remaining.pop(bytes.fromhex(failure.log), None)
            self._events.append(Problem(f"the peer says: {text}", log, failure.change))
        else:
            self._said_bye = True
            self._end(f"the peer says: {text}")

    # --- who is there -------------------------------------------------------------------------------------------------

    def _hello_in(self, message: Message | None, frame: bytes) -> None:
        if not isinstance(message, Hello):
            raise ProtocolError("the first message is no hello")
        low, high = message.v
        if not low <= VERSION <= high:
            raise ProtocolError(f"the peer speaks versions {low} to {high} of the session, we speak {VERSION}")
        if hmac.compare_digest(message.nonce, self._nonce.hex()):
            raise ProtocolError("the peer repeats what we say")
        secret = self._options.secret
        if message.secret and secret is None:
            raise ProtocolError("the peer wants a shared secret, and none is given here")
        if secret is not None and not message.secret:
            raise ProtocolError("the peer has no shared secret, and one is wanted here")
        self._peer = message
        self._frames = (self._hello, frame) if self._initiator else (frame, self._hello)
        if secret is None:
            self._summarize()
            return
        self._state = "auth"
        if self._initiator:
            self._say(Auth(mac_of(secret, "initiator", self._frames)))

    def _auth_in(self, message: Message | None) -> None:
        secret = self._options.secret
        assert secret is not None
        role = "listener" if self._initiator else "initiator"
        if not isinstance(message, Auth):
            raise ProtocolError("the peer has not shown the shared secret")
        if not hmac.compare_digest(message.mac, mac_of(secret, role, self._frames)):
            raise ProtocolError("the peer has another shared secret")
        if not self._initiator:
            self._say(Auth(mac_of(secret, "listener", self._frames)))
        self._summarize()

    # --- what is there ------------------------------------------------------------------------------------------------

    def _summarize(self) -> None:
        """Say what we write, and a digest over all that is here."""
        self._state = "summary"
        self._grown.clear()
        self._replica.publish()
        self._held = self._replica.heads()
        self._snapshot = {log: held.last for log, held in self._held.items()}
        self._digests = {log: self._replica.digest(log, last) for log, last in self._snapshot.items()}
        running = blake2b(digest_size=DIGEST_BYTES)
        for log, last in sorted(self._snapshot.items()):
            running.update(log + last.to_bytes(4, "big") + self._digests[log])
        self._summary = running.hexdigest()
        self._say(Have(own=self._replica.own.hex(), digest=self._summary))

    def _have(self, have: Have) -> None:
        if have.digest is not None:
            self._summary_in(have)
        elif have.begin is not None:
            self._begin_in(have.begin)
        elif have.heads is not None:
            self._heads_in_message(have)
        elif have.ask is not None:
            self._asked(have.ask)
        elif have.at is not None:
            self._answered(have.at)
        elif have.fork is not None:
            self._fork_in(have.fork)

    def _summary_in(self, have: Have) -> None:
        if self._state != "summary":
            raise ProtocolError("a second summary")
        self._peer_own = bytes.fromhex(have.own) if have.own else None
        self._events.append(Connected(name(self._peer_own) if self._peer_own else None))
        if have.digest == self._summary:
            if self._peer_own == self._replica.own and self._nonce.hex() > self._peer.nonce:
                self._replica.start_own()
            for log, last in self._snapshot.items():
                self._logs[log] = _Theirs(last)
                self._told[log] = last
            self._open()
            return
        self._state = "heads"
        heads = [
            Head(log.hex(), self._held[log].base, last, self._digests[log].hex(), self._held[log].origin)
            for log, last in sorted(self._snapshot.items())
        ]
        pieces = iter(heads)
        sent = 0
        while True:
            some = list(islice(pieces, HEADS_IN_MESSAGE))
            sent += len(some)
            self._say(Have(heads=some, more=sent < len(heads)))
            if sent == len(heads):
                break
        self._told.update(self._snapshot)

    def _open(self) -> None:
        self._state = "open"
        self._grown.update(dict.fromkeys(self._snapshot))
        del self._held, self._digests

    def _heads_in_message(self, have: Have) -> None:
        if self._state != "heads":
            raise ProtocolError("heads that were not asked for")
        for head in have.heads or ():
            self._check_claims(bytes.fromhex(head.log))
            self._head_in(head)
        if have.more:
            return
        for log in self._snapshot:
            self._logs.setdefault(log, _Theirs(self._held[log].origin))
        self._open()

    def _head_in(self, head: Head) -> None:
        """Compare the peer's head of a log with ours."""
        log, digest = bytes.fromhex(head.log), bytes.fromhex(head.digest)
        if log in self._logs or not head.origin <= head.base <= head.last:
            raise ProtocolError(f"a head that cannot be, of log {name(log)}")
        held = self._held.get(log) or self._replica.held(log)
        last = self._snapshot.get(log, held.last)
        if not (last > held.origin or log in self._snapshot):
            # Somebody else may give us another history of it: what the peer has is compared as soon as it is here too.
            self._logs[log] = _Theirs(held.origin, claim=(head.last, digest))
            if self._options.take and self._peer.give and not head.base > head.origin:
                self._remaining[log] = head.last - head.origin
            if log == self._replica.own:
                self._replica.start_own()
            return
        theirs = self._logs[log] = _Theirs(held.origin, claim=(head.last, digest))
        ours = log == self._replica.own
        if head.last > last:
            theirs.sent = last  # the peer, who has more, compares
            if self._options.take and self._peer.give:
                self._remaining[log] = head.last - max(last, head.base)
            if ours:
                self._replica.start_own()
            return
        self._compare_claim(log, theirs)
        twins = ours and self._peer_own == log and head.last == last == theirs.sent
        if twins and self._nonce.hex() > self._peer.nonce:
            self._replica.start_own()

    def _begin_in(self, head: Head) -> None:
        """The peer gives a log that does not begin with change 1: the rest of one that went two ways, or of its own."""
        if self._state not in ("heads", "open") or not head.origin <= head.base or not self._options.take:
            raise ProtocolError("a beginning where there cannot be one")
        dropped = head.base > head.origin
        if dropped and not self._options.from_base:
            raise ProtocolError("a base that was not asked for")
        log = bytes.fromhex(head.log)
        self._replica.begin(log, head.base, head.origin, bytes.fromhex(head.digest), self._quota)
        if dropped:
            text = f"log {name(log)} begins behind change {head.base} here: the peer has dropped what was before"
            self._events.append(Problem(text, name(log), head.base))

    def _ack(self, ack: Ack) -> None:
        if self._state != "open" and ack.heads:
            raise ProtocolError("an acknowledgement before there is anything")
        for at in ack.heads:
            log = bytes.fromhex(at.log)
            theirs = self._logs.get(log)
            if theirs is None:
                self._check_claims(log)
                theirs = self._logs[log] = _Theirs(self._replica.held(log).origin)
            if theirs.claim is None or at.change > theirs.claim[0] or (at.digest and at.change == theirs.claim[0]):
                theirs.claim = at.change, bytes.fromhex(at.digest or "")
            self._compare_claim(log, theirs)

    def _check_claims(self, log: bytes) -> None:
        """Before it is kept what the peer says of a log."""
        if len(self._logs) >= _MAX_CLAIMS:
            raise ProtocolError(f"more than {_MAX_CLAIMS} logs")
        if log in self._snapshot or self._replica.held(log).last:
            return
        self._unknown += 1
        claims = self._replica.count("claims", 1)
        if self._unknown > _FEW_CLAIMS and claims > _MAX_UNKNOWN:
            raise ProtocolError(f"peers say to have {claims} logs that are not here")

    # --- logs that went two ways --------------------------------------------------------------------------------------

    def _seek_fork(self, log: bytes, theirs: _Theirs, same: int, differs: int) -> None:
        """The two copies are the same up to one change, and not at another: find where they part."""
        theirs.apart = same, differs
        if differs - same > 1 or not theirs.sure:
            self._say(Have(ask=At(log.hex(), (same + differs) // 2)))  # between neighbours that is the first of them
            return
        theirs.apart = None
        theirs.blocked, theirs.forked = True, differs
        self._say(Have(fork=At(log.hex(), differs)))
        self._send_change(log, differs)

    def _send_change(self, log: bytes, change: int) -> None:
        self._log_out = None
        self._send(log, self._replica.frame(log, change))

    def _asked(self, at: At) -> None:
        log = bytes.fromhex(at.log)
        held = self._replica.held(log)
        digest = None
        if held.last and max(held.origin, held.base) <= at.change <= held.last:
            digest = self._replica.digest(log, at.change).hex()
        self._say(Have(at=At(at.log, at.change, digest)))

    def _answered(self, at: At) -> None:
        log = bytes.fromhex(at.log)
        theirs = self._logs.get(log)
        if theirs is None or theirs.apart is None or at.change != sum(theirs.apart) // 2:
            raise ProtocolError("an answer that was not asked for")
        same, differs = theirs.apart
        equal = at.digest is not None and bytes.fromhex(at.digest) == self._replica.digest(log, at.change)
        if at.change == same and not equal:
            theirs.apart, theirs.blocked = None, True
            self._note_apart(log, at.change)
        elif equal or at.digest is None:  # where the peer has dropped it, look behind that
            theirs.sure = equal
            self._seek_fork(log, theirs, at.change, differs)
        else:
            self._seek_fork(log, theirs, same, at.change)

    def _note_apart(self, log: bytes, change: int) -> None:
        """Say that it cannot be found out where a log went two ways."""
        text = f"log {name(log)} went two ways in what one side has dropped"
        self._say(Failure(text, goes_on=True, log=log.hex(), change=change))
        self._events.append(Problem(text, name(log), change))

    def _fork_in(self, at: At) -> None:
        """The peer's change, which follows, is not ours: send ours too. Or ours has lost the log's name elsewhere."""
        log = bytes.fromhex(at.log)
        held = self._replica.held(log)
        theirs = self._logs.setdefault(log, _Theirs(held.origin))
        if at.digest is not None:
            if self._replica.give_way(log, at.change, bytes.fromhex(at.digest)):
                raise _AgainError
            return
        if theirs.forked or not held.base < at.change <= held.last:
            return
        theirs.blocked, theirs.forked = True, at.change
        self._send_change(log, at.change)

    def _settle(self, fork: ForkError) -> None:
        """What came differs from what is here: one of the two ways becomes a log of its own."""
        theirs = self._logs.setdefault(fork.log, _Theirs(self._replica.held(fork.log).origin))
        if self._replica.settle(fork.log, fork.change, fork.theirs):
            raise _AgainError
        if not theirs.forked:  # it is theirs that gives way, once they see ours
            theirs.blocked, theirs.forked = True, fork.change
            if self._replica.held(fork.log).last < fork.change:  # the way that has the name is not here, or is lost
                self._say(Have(fork=At(fork.log.hex(), fork.change, name_of(fork.theirs).hex())))
                return
            self._say(Have(fork=At(fork.log.hex(), fork.change)))
            self._send_change(fork.log, fork.change)


class _AgainError(Error):
    """A log was split: what this session knows counts no more."""
