"""What users hold in their hands: points, troops, scouts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta, timezone
from decimal import Context, Decimal, Inexact
from typing import Any, Final, TypeAlias

import msgspec

from scoutcore.codec.constants import INT64_MAX, INT64_MIN
from scoutcore.errors import Error, InvalidError
from scoutcore.keys import shown

EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND: Final = timedelta(microseconds=1)
_WHOLE_DIGITS: Final = 15
"""No time in ms that fits has more digits before the point, less one."""
_EXACT: Final = Context(prec=28, traps=[Inexact])
_ONE_LINE: Final = bytes.maketrans(b"\r\n", b"  ")
"""In JSON text a line ends only between tokens, where a space says the same."""

Time: TypeAlias = "int | datetime"
"""A point in time: int µs since the Unix epoch, or an aware datetime."""

decode_json = msgspec.json.Decoder().decode
encode_json = msgspec.json.Encoder().encode


def has_non_finite(data: object) -> bool:
    """Whether there is a NaN or an infinity in it: msgspec writes null for them, which is not what was given."""
    if isinstance(data, float):
        return not math.isfinite(data)
    if isinstance(data, msgspec.Struct):
        data = msgspec.structs.astuple(data)
    elif is_dataclass(data):
        data = [getattr(data, one.name) for one in fields(data)]
    elif isinstance(data, Mapping):
        data = data.values()
    elif not isinstance(data, (list, tuple, set, frozenset)):
        return False
    return any(map(has_non_finite, data))


def microseconds(t: Time, name: str = "t") -> int:
    """*t* as int µs since the Unix epoch; raises InvalidError for a naive datetime or a number over 64 bits."""
    if type(t) is int and INT64_MIN <= t <= INT64_MAX:  # nearly all
        return t
    if isinstance(t, datetime):
        if t.tzinfo is None:
            raise InvalidError(f"{name} is a datetime without a time zone")
        return (t - EPOCH) // _MICROSECOND
    if not isinstance(t, int) or isinstance(t, bool) or not INT64_MIN <= t <= INT64_MAX:
        raise InvalidError(
            f"{name} is an int of 64 bits (µs since the Unix epoch) or an aware datetime, not {shown(t)}"
        )
    return t


def milliseconds(t: int) -> msgspec.Raw:
    """*t* (µs) as a JSON number in milliseconds, with as many decimals as it has."""
    whole, rest = divmod(abs(t), 1000)
    text = f"{'-' if t < 0 else ''}{whole}"
    return msgspec.Raw((f"{text}.{rest:03d}".rstrip("0") if rest else text).encode())


def from_milliseconds(value: int | Decimal) -> int:
    """A JSON number in milliseconds as µs.

    Raises:
        InvalidError: more than three decimals, or over 64 bits.
    """
    value = Decimal(value)
    if not value.is_finite():
        raise InvalidError("t is not a number")
    if value and value.adjusted() > _WHOLE_DIGITS:
        raise InvalidError("t does not fit 64 bits of microseconds")
    try:
        t = int(_EXACT.to_integral_exact(_EXACT.multiply(value, 1000)))
    except Inexact:
        raise InvalidError("t has more than three decimals") from None
    if not INT64_MIN <= t <= INT64_MAX:
        raise InvalidError("t does not fit 64 bits of microseconds")
    return t


class Point(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One stored reading.

    Attributes:
        troop: the troop's id in this database.
        uid: the troop's identity everywhere.
        scout: the scout's number in its troop.
        report: the name of what was read.
        t: when, in µs since the Unix epoch, as the device said.
        raw: the data, JSON text exactly as accepted.
        boot: the scout's flag of this boot, or None where it has no clock of its own.
        ms: the scout's own clock, or None.
    """

    troop: int
    uid: str
    scout: int
    report: str
    t: int
    raw: bytes
    boot: int | None = None
    ms: int | None = None

    @property
    def data(self) -> Any:
        """The data, decoded; raises Error for a number that no float can hold."""
        try:
            return decode_json(self.raw)
        except ValueError as problem:
            raise Error(f"the data of this point cannot be decoded: {problem}") from None

    @property
    def time(self) -> datetime:
        """``t`` as an aware datetime in UTC; raises OverflowError for years that datetime cannot hold."""
        return EPOCH + timedelta(microseconds=self.t)

    def to_json(self) -> bytes:
        """The point as a JSON object on one line, as :meth:`Database.ingest` takes it."""
        shown: dict[str, Any] = {
            "troop": self.troop,
            "uid": self.uid,
            "scout": self.scout,
            "report": self.report,
            "data": msgspec.Raw(self.raw.translate(_ONE_LINE)),
            "t": milliseconds(self.t),
        }
        if self.boot is not None:
            shown["b"] = self.boot
            shown["ms"] = self.ms
        return encode_json(shown)


class Troop(msgspec.Struct, frozen=True):
    """A mesh, as it was when it was read.

    Attributes:
        id: its number in this database, never reused.
        uid: its identity everywhere.
        fields: its metadata, by name.
        deleted: whether it is hidden with all its data.
        key: the secret it was made with: only in what ``create`` returns, nowhere else, and not in the repr.
    """

    id: int
    uid: str
    fields: dict[str, Any]
    deleted: bool = False
    key: str | None = None

    @property
    def name(self) -> Any:
        """The metadata field ``name``, or None."""
        return self.fields.get("name")

    def __repr__(self) -> str:
        deleted = ", deleted=True" if self.deleted else ""
        return f"Troop(id={self.id}, uid={self.uid!r}, fields={self.fields!r}{deleted})"

    def __rich_repr__(self) -> Any:
        yield "id", self.id
        yield "uid", self.uid
        yield "fields", self.fields
        yield "deleted", self.deleted, False


class Scout(msgspec.Struct, frozen=True):
    """A node of a mesh, as it was when it was read.

    Attributes:
        troop: its troop's id in this database.
        id: its number in the troop.
        fields: its metadata, by name.
        deleted: whether it is hidden with all its data.
        clash: whether two databases created it, each on its own.
    """

    troop: int
    id: int
    fields: dict[str, Any]
    deleted: bool = False
    clash: bool = False

    @property
    def name(self) -> Any:
        """The metadata field ``name``, or None."""
        return self.fields.get("name")
