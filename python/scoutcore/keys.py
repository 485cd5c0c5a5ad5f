"""Names and numbers in keys: troop keys and uids, row keys on the wire, and the keys in LevelDB."""

from __future__ import annotations

import re
import secrets
import struct
from base64 import urlsafe_b64encode
from hashlib import blake2b
from struct import Struct
from typing import Final

from scoutcore.codec.constants import INT64_MAX, UINT32_MAX
from scoutcore.errors import InvalidError, ReportError

MIN_KEY_LENGTH: Final = 32
MAX_REPORT_BYTES: Final = 200

_SHOWN_BITS: Final = 128
_UID = re.compile(r"[A-Za-z0-9_-]{16}", re.ASCII)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,9}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

# --- troops -----------------------------------------------------------------------------------------------------------


def new_troop_key() -> str:
    """A fresh secret of 128 bits, as 32 hex characters."""
    return secrets.token_hex(16)


def uid_of_key(key: str) -> str:
    """The troop uid that a troop key stands for: BLAKE2b-96 as 16 characters of base64url.

    Raises:
        InvalidError: the key is shorter than 32 characters; the text does not show it.
    """
    if not isinstance(key, str) or len(key) < MIN_KEY_LENGTH:
        raise InvalidError(f"a troop key has at least {MIN_KEY_LENGTH} characters")
    try:
        secret = key.encode()
    except UnicodeEncodeError:
        raise InvalidError("a troop key is text that UTF-8 can hold") from None
    return urlsafe_b64encode(blake2b(secret, digest_size=12, person=b"scoutcore troop").digest()).decode()


def check_uid(uid: object) -> str:
    """*uid* if it is one; raises InvalidError."""
    if not isinstance(uid, str) or not _UID.fullmatch(uid):
        raise InvalidError("a troop uid has 16 characters of base64url")
    return uid


def shown(value: object) -> str:
    """*value* as an error shows it: not a text so long that it may be a troop key in the wrong place."""
    if isinstance(value, str) and len(value) >= MIN_KEY_LENGTH:
        return f"a text of {len(value)} characters"
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS:
        return f"a number of {value.bit_length()} bits"
    return repr(value) if isinstance(value, (str, int, float)) else type(value).__name__


def check_number(name: str, value: object, low: int = 0) -> int:
    """*value* if it is an int from *low* to 2^32-1; raises InvalidError that calls it *name*."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= UINT32_MAX:
        raise InvalidError(f"{name} is a number from {low} to {UINT32_MAX}, not {shown(value)}")
    return value


def check_report(name: object) -> str:
    """*name* if it can be a report's; raises ReportError."""
    if not isinstance(name, str):
        raise ReportError("report is not a string")
    if 0 < len(name) <= MAX_REPORT_BYTES and name.isascii() and name.isprintable():
        return name
    if not name:
        raise ReportError("report name is empty")
    if _CONTROL.search(name):
        raise ReportError("report name has a control character")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise ReportError("report name is not valid Unicode") from None
    if size > MAX_REPORT_BYTES:
        raise ReportError(f"report name is longer than {MAX_REPORT_BYTES} bytes")
    return name


# --- row keys on the wire ---------------------------------------------------------------------------------------------


def sensor_key(uid: str, scout: int, report: str) -> str:
    """The key of a sensor change."""
    return f"{uid}/{scout}/{report}"


def parse_sensor_key(key: str) -> tuple[str, int, str]:
    """Troop uid, scout and report of a sensor change's key; raises InvalidError."""
    parts = key.split("/", 2)
    if len(parts) != 3:
        raise InvalidError("a sensor key is <troop uid>/<scout>/<report>")
    try:
        return check_uid(parts[0]), _parse_scout(parts[1]), check_report(parts[2])
    except ReportError as problem:
        raise InvalidError(str(problem)) from None


def parse_troop_key(key: str) -> tuple[str, int | None]:
    """Troop uid and scout (None: the troop itself) of a metadata change's key; raises InvalidError."""
    uid, slash, scout = key.partition("/")
    return check_uid(uid), _parse_scout(scout) if slash else None


def _parse_scout(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > UINT32_MAX:
        raise InvalidError("a scout in a key is a decimal number up to 2^32-1 without leading zeros")
    return int(text)


# --- keys in LevelDB: one letter for the section, then numbers big-endian so that they sort ---------------------------

_U32: Final = Struct(">I")
_U32X2: Final = Struct(">II")
_U64: Final = Struct(">Q")
_BLOCK: Final = Struct(">QII")
_CLOCK: Final = Struct(">QQII")
_CHUNK: Final = Struct(">2s16sII")

META: Final = b"m"
UNREAD: Final = META + b"unread"
"""There where blocks of an unknown codec were received: the codecs known then. Who knows more builds the views anew."""
LOG_SENSOR: Final = b"ls"
LOG_TROOP: Final = b"lt"
LOG_STATE: Final = b"lh"
PACKED: Final = b"lp"
GAPS: Final = b"lg"
TROOP_UID: Final = b"u"
KEY_DIGEST: Final = b"k"
DELETED: Final = b"d"
VIEW: Final = b"v"
HISTORY: Final = b"h"
CLOCK: Final = b"i"
BLOCKS: Final = (HISTORY, CLOCK)
"""The sections of what may be put packed: blocks, and their entries in the clock index."""
GROUPED: Final = b"g"
"""By row, how far the blocks of a group are apart at most: see :mod:`scoutcore.store.grouped`."""


def after(prefix: bytes) -> bytes:
    """The first key behind all that begin with *prefix*."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1])


def log_chunk(section: bytes, uuid: bytes, first: int, last: int) -> bytes:
    """A chunk of a log: the frames of the changes *first* to *last*."""
    return _CHUNK.pack(section, uuid, first, last)


def parse_log_chunk(key: bytes) -> tuple[int, int]:
    """First and last change of a chunk's key."""
    first, last = _U32X2.unpack_from(key, len(key) - _U32X2.size)
    return first, last


def troop_view(troop: int) -> bytes:
    """A troop's metadata; all views of its mesh follow it."""
    return VIEW + _U32.pack(troop)


def scout_view(troop: int, scout: int) -> bytes:
    """A scout's metadata; its last values follow it."""
    return VIEW + _U32X2.pack(troop, scout)


def row_suffix(troop: int, scout: int, report: str) -> bytes:
    """What the keys of a row's views share, behind the section letter; raises as check_number and check_report."""
    try:
        suffix = _U32X2.pack(troop, scout) + report.encode()
    except (struct.error, AttributeError, UnicodeEncodeError):
        check_number("scout", scout)
        check_report(report)
        raise
    if len(suffix) == _U32X2.size:
        check_report(report)  # without a name it is the key of the scout's metadata
    return suffix


def parse_view(key: bytes) -> tuple[int, int | None, str | None]:
    """Troop, scout and report of a key in the view; None for what it does not have."""
    troop = _U32.unpack_from(key, 1)[0]
    scout = _U32.unpack_from(key, 5)[0] if len(key) > 5 else None
    return troop, scout, key[9:].decode() if len(key) > 9 else None


def history_block(suffix: bytes, first_t: int, log: int, change: int) -> bytes:
    """A block in a row's history; *log* is the log's local number."""
    return HISTORY + suffix + b"\0" + block_place(first_t, log, change)


def block_place(first_t: int, log: int, change: int) -> bytes:
    """The end of a block's key."""
    return _BLOCK.pack(first_t + 2**63, log, change)


def history_range(suffix: bytes, start: int, end: int) -> tuple[bytes, bytes]:
    """The first keys of the row's blocks that begin at *start* and at *end* or later.

    *start* may be below 64 bits, *end* one above.
    """
    prefix = HISTORY + suffix + b"\0"
    stop = after(prefix) if end > INT64_MAX else prefix + _U64.pack(end + 2**63)
    return prefix + _U64.pack(max(start + 2**63, 0)), stop


def parse_history(key: bytes) -> tuple[int, int, int]:
    """First time, local log number and change of a block's key."""
    biased, log, change = _BLOCK.unpack_from(key, len(key) - _BLOCK.size)
    return biased - 2**63, log, change


def clock_row(key: bytes) -> bytes:
    """The row of an entry, as :func:`row_suffix` gives it."""
    return key[len(CLOCK) : -_CLOCK.size - 1]


def clock_range(suffix: bytes, boot: int, last_ms: int, log: int, change: int) -> bytes:
    """An entry that says: this block of the row has readings of *boot* up to *last_ms*."""
    return CLOCK + suffix + b"\0" + clock_place(boot, last_ms, log, change)


def clock_place(boot: int, last_ms: int, log: int, change: int) -> bytes:
    """The end of an entry's key."""
    return _CLOCK.pack(boot, last_ms, log, change)


def clock_from(suffix: bytes, boot: int, ms: int) -> bytes:
    """The first key of the entries of *boot* that reach *ms*."""
    return CLOCK + suffix + b"\0" + _U64.pack(boot) + _U64.pack(ms)


def parse_clock(key: bytes) -> tuple[int, int, int, int]:
    """Boot, last ms, local log number and change of an entry."""
    boot, last_ms, log, change = _CLOCK.unpack_from(key, len(key) - _CLOCK.size)
    return boot, last_ms, log, change
