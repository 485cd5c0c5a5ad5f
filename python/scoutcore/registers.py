"""Metadata of a troop or a scout: a last-writer-wins register per field, one more that says whether it is deleted."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import msgspec

from scoutcore.codec.constants import INT64_MAX, MAX_DATA
from scoutcore.errors import InvalidError
from scoutcore.model import has_non_finite

KEY_FIELD: Final = "key/"
"""Fields that begin so hold the digests of assigned keys; users do not set them."""

_DIGEST_FIELD = re.compile(r"key/[A-Za-z0-9_-]{16}", re.ASCII)
_Stamp = tuple[int, str]


class Edit(msgspec.Struct, omit_defaults=True):
    """The value of a metadata change, as on the wire."""

    at: Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)]
    set: dict[str, msgspec.Raw] = {}
    unset: list[str] = []
    id: int | None = None
    """In the change that creates a row: the local id that its creator gave the troop, or the scout's number."""


class Registers(msgspec.Struct, omit_defaults=True):
    """The registers of one row. A stamp is (µs, log uuid in hex): the greater one wins."""

    uid: str = ""
    """The troop's uid, in the record of a troop."""
    values: dict[str, tuple[int, str, msgspec.Raw]] = {}
    unset: dict[str, _Stamp] = {}
    deleted: tuple[int, str, bool] | None = None
    creators: list[str] = []
    """Logs that created the row."""
    greatest: int = 0
    """The greatest stamp seen."""
    versions: dict[str, int] = {}
    """Changes of this row, per log."""

    @property
    def is_deleted(self) -> bool:
        """Whether the row is hidden."""
        return self.deleted is not None and self.deleted[2]

    @property
    def fields(self) -> dict[str, Any]:
        """The values that users see."""
        return {
            name: msgspec.json.decode(raw)
            for name, (_, _, raw) in sorted(self.values.items())
            if not name.startswith(KEY_FIELD)
        }

    @property
    def assigned(self) -> dict[str, bool]:
        """Digests of assigned keys, and whether each is active."""
        return {
            name[len(KEY_FIELD) :]: bytes(raw) == b"true"
            for name, (_, _, raw) in self.values.items()
            if _DIGEST_FIELD.fullmatch(name)
        }

    def apply(self, log: str, edit: Edit, version: int) -> None:
        """Merge a change of this row from *log*; *version* is its ``to``, 0 for a delete."""
        stamp = edit.at, log
        deletes = version == 0
        self.versions[log] = version
        if edit.id is not None and log not in self.creators:
            self.creators = sorted([*self.creators, log])
        for name, value in edit.set.items():
            if stamp > max(self._stamp(name)):
                self.values[name] = (*stamp, value.copy())
                self.unset.pop(name, None)
        for name in edit.unset:
            if stamp > max(self._stamp(name)):
                self.values.pop(name, None)
                self.unset[name] = stamp
        if self.deleted is None or stamp > self.deleted[:2]:
            self.deleted = (*stamp, deletes)
        self.greatest = max(self.greatest, edit.at)

    def _stamp(self, name: str) -> list[_Stamp]:
        stamps = [(-1, "")]
        if name in self.values:
            stamps.append(self.values[name][:2])
        if name in self.unset:
            stamps.append(self.unset[name])
        return stamps

    def dump(self) -> bytes:
        """The record in LevelDB."""
        return msgspec.json.encode(self)


_DECODER = msgspec.json.Decoder(Registers)


def load(record: bytes | None) -> Registers:
    """The registers of a record; new ones for None."""
    return _DECODER.decode(record) if record else Registers()


def encode_fields(fields: dict[str, Any]) -> dict[str, msgspec.Raw]:
    """Metadata as a user gives it, as it stands in a change; raises InvalidError for what cannot be metadata."""
    encoded = {}
    size = 0
    for name, value in fields.items():
        if not isinstance(name, str) or not name or name.startswith(KEY_FIELD) or name == "key":
            raise InvalidError(f"{name!r:.100} cannot be the name of a metadata field")
        try:
            text = msgspec.json.encode(value)
            msgspec.json.decode(text)
        except (TypeError, ValueError, RecursionError):
            raise InvalidError(f"the field {name!r:.100} is not a JSON value") from None
        if b"null" in text and has_non_finite(value):
            raise InvalidError(f"the field {name!r:.100} has a number that JSON cannot say (NaN or infinity)")
        try:
            size += len(name.encode()) + len(text)
        except UnicodeEncodeError:
            raise InvalidError(f"{name!r:.100} cannot be the name of a metadata field") from None
        encoded[name] = msgspec.Raw(text)
    if size > MAX_DATA:
        raise InvalidError(f"metadata written at once is longer than {MAX_DATA} bytes")
    return encoded
