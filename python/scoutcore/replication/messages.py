"""The messages of a session: frames of changes with the subset ``session``, whose value is JSON. See FORMAT.md."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from scoutcore import codec
from scoutcore.codec.columns import Change, ChangeColumns
from scoutcore.codec.constants import UINT32_MAX
from scoutcore.errors import Error

VERSION: Final = 1
SUBSET: Final = "session"
MAX_MESSAGE: Final = 65_536
"""The longest JSON of a message, in bytes."""
MAX_UNTRUSTED: Final = 1024
"""What is read of a peer before it has shown that it has the secret, or said what it speaks."""
NONCE_BYTES: Final = 32
MAX_TEXT: Final = 500
HEADS_IN_MESSAGE: Final = 400

_Hex = Annotated[str, Meta(pattern="^([0-9a-f]{2})*$")]
Uuid: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
Digest: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
Number: TypeAlias = Annotated[int, Meta(ge=0, le=UINT32_MAX)]


class ProtocolError(Error):
    """What a peer sent cannot be right, or is more than is allowed; nothing of it was applied."""


class Hello(msgspec.Struct):
    """The first message of both sides, sent at once."""

    v: tuple[int, int]
    """The lowest and the highest version that is spoken."""
    nonce: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    secret: bool = False
    """Whether a shared secret is to be shown."""
    give: bool = True
    """Whether changes may be asked of this side."""
    take: bool = True
    """Whether it takes changes."""
    live: bool = False
    """Whether it stays, for what happens from then on."""
    base: bool = False
    """Whether it begins a log that it does not have where the peer's copy begins."""


class Auth(msgspec.Struct):
    """Shows that a side has the secret."""

    mac: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Head(msgspec.Struct, array_like=True):
    """What a side holds of a log: the changes behind ``base`` up to ``last``."""

    log: Uuid
    base: Number
    last: Number
    digest: Digest
    """D(last)."""
    origin: Number = 0


class At(msgspec.Struct, array_like=True):
    """A change of a log, and D of it where that is said."""

    log: Uuid
    change: Number
    digest: Digest | None = None


class Have(msgspec.Struct, omit_defaults=True):
    """What a side has, in one of several ways."""

    own: Uuid | None = None
    """The log that it writes: with ``digest``."""
    digest: Digest | None = None
    """Over all its heads."""
    heads: list[Head] | None = None
    more: bool = False
    """Further heads follow in another message."""
    ask: At | None = None
    """Asks for D of a change."""
    at: At | None = None
    """The answer; no digest: the change is not there."""
    fork: At | None = None
    """From this change on a log went two ways: each side sends its change as data. With a digest: that is the
    uuid of the log which the peer's changes from there on are, as they have lost this log's name before."""
    begin: Head | None = None
    """What follows of this log begins behind its base; with D of that."""


class Ack(msgspec.Struct, omit_defaults=True):
    """Changes that are safe here against power loss: of each log up to one. Without any it keeps the session alive."""

    heads: list[At] = []


class Synced(msgspec.Struct):
    """All that was to be sent is sent; in a live session what is new follows."""


class Bye(msgspec.Struct, omit_defaults=True):
    """The session ends."""

    again: bool = False
    """The peer should begin another one at once."""


class Failure(msgspec.Struct, omit_defaults=True):
    """Something is wrong; unless it goes on, the session ends."""

    error: str
    goes_on: bool = False
    log: Uuid | None = None
    change: Number | None = None


Message: TypeAlias = "Hello | Auth | Have | Ack | Synced | Bye | Failure"
_KEYS: Final[dict[type[msgspec.Struct], str]] = {
    Hello: "hello",
    Auth: "auth",
    Have: "have",
    Ack: "ack",
    Synced: "synced",
    Bye: "bye",
    Failure: "error",
}
_DECODERS: Final[dict[str, msgspec.json.Decoder[Message]]] = {
    key: msgspec.json.Decoder(kind) for kind, key in _KEYS.items()
}


def encode(message: Message) -> bytes:
    """The frame of a message."""
    change = Change(_KEYS[type(message)], 0, 0, 0, msgspec.json.encode(message), SUBSET)
    return codec.encode_changes(ChangeColumns.from_objects([change]))[0]


def decode(change: Change) -> Message | None:
    """The message of a change; None for one that this version does not know.

    Raises:
        ProtocolError: it is not what its name says, or too long.
    """
    decoder = _DECODERS.get(change.key)
    value = change.value or b""
    if len(value) > MAX_MESSAGE:
        raise ProtocolError(f"a {change.key!r:.20} message of {len(value)} bytes: the limit is {MAX_MESSAGE}")
    if decoder is None:
        return None
    try:
        return decoder.decode(value)
    except (ValueError, RecursionError) as problem:
        raise ProtocolError(f"a wrong {change.key!r} message: {problem}"[:MAX_TEXT]) from None


def mac_of(secret: bytes, role: str, hellos: Sequence[bytes]) -> str:
    """What a side of a *role*, ``initiator`` or ``listener``, shows; *hellos*: both frames, the initiator's first."""
    text = b"scoutcore auth 1 " + role.encode() + b"".join(hellos)
    return hmac.new(secret, text, hashlib.sha256).hexdigest()
