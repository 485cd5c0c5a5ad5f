"""Metadata of troops and scouts: local ids, registers, keys; and the changes that carry them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from struct import Struct
from typing import Final

import msgspec

from scoutcore import codec, keys, registers
from scoutcore.clock import WriteClock
from scoutcore.codec.columns import Change, ChangeColumns
from scoutcore.codec.constants import INT64_MAX, UINT32_MAX
from scoutcore.commit import Commit
from scoutcore.errors import InvalidError, NotFoundError
from scoutcore.log import Log, Logs
from scoutcore.registers import KEY_FIELD, Edit, Registers
from scoutcore.store import Store

MAX_GIVEN_ID: Final = 65_535
"""The greatest id that a troop brings along from its creator."""
_NEXT_TROOP: Final = keys.META + b"next troop"
_NEXT_SCOUT: Final = keys.META + b"next scout"
_ID: Final = Struct(">I")
_EDIT = msgspec.json.Decoder(Edit)


class Metadata:
    """The troops and scouts of a database. Everything that changes it takes the commit it belongs to."""

    def __init__(self, store: Store, logs: Logs, clock: WriteClock, max_version: int = UINT32_MAX) -> None:
        self._store = store
        self._logs = logs
        self._clock = clock
        self._max_version = max_version
        self.version = 0
        """Counts the metadata changes seen: who remembers a troop's id or key looks here."""
        self.id_of: dict[str, int] = {}
        self.uid_of: dict[int, str] = {}
        self._deleted: set[bytes] = set()
        self._claims: dict[str, set[str]] = {}
        for key, value in store.scan(keys.TROOP_UID, keys.after(keys.TROOP_UID)):
            uid, troop = key[1:].decode(), _ID.unpack(value)[0]
            self.id_of[uid] = troop
            self.uid_of[troop] = uid
        for key, _ in store.scan(keys.DELETED, keys.after(keys.DELETED)):
            self._deleted.add(key[1:])
        for key, _ in store.scan(keys.KEY_DIGEST, keys.after(keys.KEY_DIGEST)):
            self._claims.setdefault(key[1:17].decode(), set()).add(key[17:].decode())

    # --- looking up ---

    def uid(self, troop: int) -> str:
        """The uid of a local id; raises NotFoundError."""
        try:
            return self.uid_of[troop]
        except (KeyError, TypeError):
            raise NotFoundError(f"no troop {keys.shown(troop)} here") from None

    def is_deleted(self, troop: int, scout: int | None = None) -> bool:
        """Whether the troop, or the scout, is hidden."""
        if not self._deleted:
            return False
        view = keys.troop_view(troop)[1:]
        return view in self._deleted or (scout is not None and keys.scout_view(troop, scout)[1:] in self._deleted)

    def claimants(self, digest: str) -> list[str]:
        """Uids of the troops that an active key of this digest belongs to: the first one has it."""
        claimed = sorted(self._claims.get(digest, ()))
        if not claimed and digest in self.id_of and self._own_key_active(digest):
            claimed.append(digest)
        return claimed

    def claims(self) -> list[list[str]]:
        """For every assigned key, the uids of the troops that claim it: the first one has it."""
        found = []
        for digest, claimed in self._claims.items():
            created = digest in self.id_of and digest not in claimed and self._own_key_active(digest)
            found.append([*sorted(claimed), *([digest] if claimed and created else [])])
        return found

    def _own_key_active(self, uid: str) -> bool:
        return self.troop(self.id_of[uid]).assigned.get(uid, True)

    def troop(self, troop: int, commit: Commit | None = None) -> Registers:
        """The registers of a troop."""
        return registers.load((commit or self._store).get(keys.troop_view(troop)))

    def scout(self, troop: int, scout: int, commit: Commit | None = None) -> Registers | None:
        """The registers of a scout, or None where nothing was ever written for it."""
        record = (commit or self._store).get(keys.scout_view(troop, scout))
        return registers.load(record) if record else None

    # --- local ids ---

    def allocate(self, commit: Commit, uid: str, wanted: int | None = None) -> int:
        """The local id of the troop *uid*: a new one if it has none, *wanted* if that was never used."""
        if uid in self.id_of:
            return self.id_of[uid]
        if wanted is None or wanted in self.uid_of:
            wanted = self._next(commit, _NEXT_TROOP, self.uid_of.__contains__)
        self.id_of[uid] = wanted
        self.uid_of[wanted] = uid
        commit.put(keys.TROOP_UID + uid.encode(), _ID.pack(wanted))
        return wanted

    def allocate_scout(self, commit: Commit, troop: int) -> int:
        """The next number that no scout of the troop has here."""

        def used(scout: int) -> bool:
            view = keys.scout_view(troop, scout)
            pending = any(key.startswith(view) for key in commit.puts)
            return pending or next(self._store.scan(view, keys.after(view)), None) is not None

        return self._next(commit, _NEXT_SCOUT + _ID.pack(troop), used)

    @staticmethod
    def _next(commit: Commit, counter: bytes, used: Callable[[int], bool]) -> int:
        record = commit.get(counter)
        number: int = _ID.unpack(record)[0] if record else 1
        while used(number):
            number += 1
        if number > UINT32_MAX:
            raise InvalidError("no number below 2^32 is left")
        commit.put(counter, _ID.pack(min(number + 1, UINT32_MAX)))
        return number

    # --- changes ---

    def write(
        self,
        commit: Commit,
        troop: int,
        scout: int | None = None,
        fields: Mapping[str, msgspec.Raw] | None = None,
        unset: Iterable[str] = (),
        delete: bool = False,
        created_as: int | None = None,
    ) -> Registers:
        """Write a metadata change of our own log and apply it; returns the row's registers."""
        uid = self.uid(troop)
        row = self.troop(troop, commit) if scout is None else self.scout(troop, scout, commit)
        if row is None:
            row, created_as = Registers(), scout
        edit = Edit(
            min(max(self._clock.take(), row.greatest + 1), INT64_MAX), dict(fields or {}), sorted(unset), created_as
        )
        value = msgspec.json.encode(edit)
        log = self._logs.room_for_one(commit)
        while True:
            version = row.versions.get(log.uuid.hex(), 0)
            to = 0 if delete else version + 1
            change = Change(uid if scout is None else f"{uid}/{scout}", log.head + 1, version, to, value, "troop")
            frames, _ = codec.encode_changes(ChangeColumns.from_objects([change]))
            if to <= self._max_version and self._logs.fits(log, frames):
                break
            log = self._logs.start_own(commit)
        self._logs.append(commit, log, "troop", frames, 1)
        return self.apply(commit, log, change)

    def apply(self, commit: Commit, log: Log, change: Change) -> Registers:
        """Merge one metadata change of any log into the view.

        Raises:
            InvalidError: its key or value is not that of a metadata change.
        """
        uid, scout = keys.parse_troop_key(change.key)
        edit = _edit_of(change)
        wanted = edit.id if scout is None and edit.id is not None and 1 <= edit.id <= UINT32_MAX else None
        if wanted is not None and wanted > MAX_GIVEN_ID and log is not self._logs.own:
            wanted = None
        troop = self.allocate(commit, uid, wanted)
        view = keys.troop_view(troop) if scout is None else keys.scout_view(troop, scout)
        row = registers.load(commit.get(view))
        self.version += 1
        if scout is None:
            row.uid = uid
        before = row.assigned
        row.apply(log.uuid.hex(), edit, change.to)
        commit.put(view, row.dump())
        self._index_deleted(commit, view[1:], row.is_deleted)
        if scout is None:
            self._index_keys(commit, uid, before, row.assigned)
        return row

    def _index_deleted(self, commit: Commit, view: bytes, deleted: bool) -> None:
        if deleted != (view in self._deleted):
            commit.put(keys.DELETED + view, b"" if deleted else None)
            (self._deleted.add if deleted else self._deleted.discard)(view)

    def _index_keys(self, commit: Commit, uid: str, before: dict[str, bool], after: dict[str, bool]) -> None:
        for digest, active in after.items():
            if active == before.get(digest, False):
                continue
            claim = keys.KEY_DIGEST + digest.encode() + uid.encode()
            commit.put(claim, b"" if active else None)
            claimed = self._claims.setdefault(digest, set())
            (claimed.add if active else claimed.discard)(uid)


def stamp_of(change: Change) -> int:
    """When a metadata change was written: µs since the Unix epoch; raises as :func:`check_edit`."""
    return _edit_of(change).at


def check_edit(change: Change) -> None:
    """Look whether a metadata change that came from elsewhere can be read, now and ever.

    Raises:
        InvalidError: its value is not that of a metadata change.
    """
    for raw in _edit_of(change).set.values():
        try:
            msgspec.json.decode(raw)
        except (ValueError, RecursionError) as problem:
            raise InvalidError(f"change {change.change}: a value of a metadata change: {problem}") from None


def _edit_of(change: Change) -> Edit:
    try:
        return _EDIT.decode(change.value or b"")
    except (ValueError, RecursionError) as problem:
        raise InvalidError(f"change {change.change}: not the value of a metadata change: {problem}") from None


def key_field(digest: str) -> str:
    """The metadata field that says whether an assigned key is active."""
    return KEY_FIELD + digest
