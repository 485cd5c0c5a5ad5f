"""The one tree of errors: everything scoutcore raises on purpose is a :class:`Error`."""

from __future__ import annotations


class Error(Exception):
    """Base of every error that scoutcore raises on purpose."""


class CodecError(Error, ValueError):
    """Bytes that cannot be decoded, or values that cannot be encoded.

    Attributes:
        reason: what is wrong, without the place.
        offset: for input, the byte offset of the item that is wrong; for a batch to be
            encoded, the index of the item.
    """

    where = "byte"

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(f"{reason} at {self.where} {offset}")
        self.reason = reason
        self.offset = offset

    def __reduce__(self) -> tuple[type[CodecError], tuple[str, int]]:
        return type(self), (self.reason, self.offset)


class TruncatedError(CodecError):
    """The input ends in the middle of an item: more bytes may make it whole."""


class CorruptError(CodecError):
    """The input is wrong: no further bytes can make it right."""


class UnsupportedError(CodecError):
    """The input is well formed, in a form that only a newer scoutcore reads."""


class EncodeError(CodecError):
    """A value in a batch cannot be encoded."""

    where = "item"
