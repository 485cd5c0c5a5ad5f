"""How long readings are kept: the rules, and the times before which everything has expired, in a file of their own.

The file stands beside the changes files, so that views built anew from these obey it too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec

from scoutcore import keys
from scoutcore.codec.constants import INT64_MAX, INT64_MIN
from scoutcore.directory import write_file
from scoutcore.errors import FormatError, InvalidError, StorageError

APPLIED: Final = keys.META + b"retention"
"""The rules and floors to which all rows have been brought, in LevelDB."""
_MICROSECOND: Final = timedelta(microseconds=1)
_MINUTE: Final = 60_000_000
"""In such steps the clock moves a floor: within one, replicas with the same rules show the same."""


@dataclass(frozen=True)
class Rule:
    """How long the readings of a report are kept."""

    report: str | None
    """The report's name; None: of every report that has no rule of its own."""
    keep: timedelta | None
    """Counted from a reading's own ``t``; None: as long as the rule for every report says, or for ever."""
    before: int | None
    """What was before it has expired: µs since the Unix epoch. It only ever rises."""

    @property
    def for_ever(self) -> bool:
        """Whether ``keep`` is longer than all time."""
        return self.keep is not None and self.keep // _MICROSECOND >= INT64_MAX


class _Entry(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    keep: int | None = None
    before: int = INT64_MIN


class _Content(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    every: _Entry = msgspec.field(default_factory=_Entry)
    reports: dict[str, _Entry] = {}


class Retention:
    """The rules of one database, and the *floor* of each report: what was before it has expired.

    The clock moves a floor only when :meth:`advance` is called, and every floor is stored before anything is taken
    away: so what shows is a function of receptions and floors, whenever and in whatever order these came.
    """

    newest: int
    """The greatest floor of any report."""

    def __init__(self, path: Path | None) -> None:
        """Take the rules from the file *path*; None, or no such file: there are none, and with None they are not kept.

        Raises:
            FormatError: the file holds something else.
            StorageError: the file system refuses.
        """
        self._path = path
        try:
            text = path.read_bytes() if path else b"{}"
        except FileNotFoundError:
            text = b"{}"
        except OSError as problem:
            raise StorageError(f"cannot read {path}: {problem.strerror or problem}") from problem
        try:
            self._take(msgspec.json.decode(text, type=_Content))
        except ValueError as problem:
            raise FormatError(f"{path} does not hold scoutcore's rules of retention: {problem}") from None

    def _take(self, content: _Content) -> None:
        self._content = content
        self.newest = max(entry.before for entry in (content.every, *content.reports.values()))

    def _change(self, content: _Content) -> None:
        """Take *content* over, once it is stored."""
        if content == self._content:
            return
        if self._path:
            try:
                write_file(self._path, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
            except OSError as problem:
                raise StorageError(f"cannot write {self._path}: {problem.strerror or problem}") from problem
        self._take(content)

    def _copy(self) -> _Content:
        return msgspec.json.decode(self.dump(), type=_Content)

    def dump(self) -> bytes:
        """Everything, as stored."""
        return msgspec.json.encode(self._content)

    def rules(self) -> list[Rule]:
        """All rules, that for every report first."""
        entries = [(None, self._content.every), *sorted(self._content.reports.items())]
        return [
            Rule(
                report,
                None if entry.keep is None else timedelta(microseconds=entry.keep),
                None if entry.before == INT64_MIN else entry.before,
            )
            for report, entry in entries
            if entry != _Entry()
        ]

    def floor(self, report: str) -> int:
        """What was before it has expired, of *report*: µs since the Unix epoch."""
        return _floor(self._content, report)

    def retain(self, keep: timedelta | None, report: str | None) -> None:
        """Set a rule, or with None take it away."""
        kept = None
        if keep is not None:
            if not isinstance(keep, timedelta) or keep <= timedelta(0):
                raise InvalidError("keep is a timedelta over 0, or None")
            kept = min(keep // _MICROSECOND, INT64_MAX)
        content = self._copy()
        if report is None:
            content.every.keep = kept
        else:
            content.reports[keys.check_report(report)] = _Entry(kept, _floor(content, report))
        self._change(content)

    def advance(self, now: int, before: int | None = None, report: str | None = None) -> None:
        """Raise the floors to where the rules put them at *now*, and that of *report*, or all, to *before*."""
        content = self._copy()
        if before is not None and report is not None:
            content.reports.setdefault(keys.check_report(report), _Entry())
        for name, entry in [(None, content.every), *content.reports.items()]:
            if entry.keep is not None and entry.keep < INT64_MAX:
                entry.before = max(entry.before, (now - entry.keep) // _MINUTE * _MINUTE)
            if before is not None and report in (None, name):
                entry.before = max(entry.before, before)
        self._change(content)


def _floor(content: _Content, report: str) -> int:
    entry = content.reports.get(report)
    if entry is None:
        return content.every.before
    # A rule of its own stands instead of the one for every report.
    return entry.before if entry.keep is not None else max(entry.before, content.every.before)
