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


class IngestError(Error, ValueError):
    """A strict ingest met a bad report: nothing of it went in.

    Attributes:
        line: number of the line or item, from 1.
        reason: what is wrong with it.
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}; nothing was ingested")
        self.line = line
        self.reason = reason


class NotFoundError(Error, LookupError):
    """No such troop, scout, key or log."""


class ExistsError(Error, ValueError):
    """The id or key is taken already."""


class InvalidError(Error, ValueError):
    """An argument that cannot be right: it names which and why."""


class ReportError(InvalidError):
    """A report that cannot be accepted: it names what is wrong."""


class StorageError(Error):
    """The disk or LevelDB refused: what was acknowledged before is safe, what raised this was not acknowledged."""


class LockedError(Error):
    """Another process has the database open.

    Attributes:
        pid: the process that has it, or None where it did not say.
    """

    def __init__(self, path: str, pid: int | None) -> None:
        owner = f"process {pid}" if pid else "another process"
        super().__init__(
            f"{path} is open in {owner}; one process owns a database: stop it, or let it serve (scoutcore serve)"
        )
        self.path = path
        self.pid = pid


class FormatError(Error):
    """The directory is no database, or one of a newer format."""


class ClosedError(Error):
    """The database is closed."""


class SyncError(Error):
    """A peer cannot be reached, or a session with it failed: what came before that is stored, and is not sent again."""


class LaggedError(Error):
    """A watcher did not read fast enough and lost events: watch again for the current values."""
