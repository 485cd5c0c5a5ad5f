"""``db.troops`` and ``db.scouts``: metadata as users write and read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from scoutcore import keys
from scoutcore.errors import ExistsError, InvalidError, NotFoundError
from scoutcore.metadata import key_field
from scoutcore.model import Scout, Troop
from scoutcore.registers import Registers, encode_fields

if TYPE_CHECKING:
    from scoutcore.commit import Commit
    from scoutcore.database import Database

_TRUE = msgspec.Raw(b"true")
_FALSE = msgspec.Raw(b"false")


def troop_of(troop: int, row: Registers) -> Troop:
    """A troop as users see it."""
    return Troop(troop, row.uid, row.fields, row.is_deleted)


def scout_of(troop: int, scout: int, row: Registers) -> Scout:
    """A scout as users see it."""
    return Scout(troop, scout, row.fields, row.is_deleted, len(row.creators) > 1)


def _edit(
    fields: Mapping[str, Any] | None, named: dict[str, Any], unset: Iterable[str]
) -> tuple[dict[str, msgspec.Raw], list[str]]:
    if isinstance(unset, str):
        raise InvalidError("unset is a list of names, not a string")
    values = encode_fields({**(fields or {}), **named})
    removed = sorted(encode_fields(dict.fromkeys(unset)))
    if both := values.keys() & set(removed):
        raise InvalidError(f"the field {min(both)!r} is both set and unset")
    return values, removed


class Troops:
    """The troops of a database; iterating gives those that are not deleted, by id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        fields: Mapping[str, Any] | None = None,
        /,
        *,
        key: str | None = None,
        id: int | None = None,
        uid: str | None = None,
        **named: Any,
    ) -> Troop:
        """Create a troop and give it the next increment id.

        Args:
            fields, named: its metadata, JSON values by name.
            key: its secret, at least 32 characters; one is made where it is left out.
            id: an id of your choice, one that was never used here.
            uid: instead of a key: the uid of a troop created elsewhere, whose reports are expected here.

        Returns:
            the troop, with ``key``: it is shown here only, and stored nowhere.

        Raises:
            ExistsError: the id or the key is taken.
            InvalidError: a field, key, uid or id that cannot be.
        """
        values, _ = _edit(fields, named, ())
        if id is not None:
            keys.check_number("id", id, 1)
        if uid is None:
            key = key or keys.new_troop_key()
            uid = keys.uid_of_key(key)
        elif key is not None:
            raise InvalidError("a troop is created by its key or by its uid, not by both")
        else:
            keys.check_uid(uid)
        wanted = id

        def work(commit: Commit) -> tuple[int, Registers]:
            metadata = self._database._metadata
            if uid in metadata.id_of:
                raise ExistsError(f"the troop of this key is here already, with id {metadata.id_of[uid]}")
            if wanted in metadata.uid_of:
                raise ExistsError(f"troop id {wanted} was used before; ids are never reused")
            troop = metadata.allocate(commit, uid, wanted)
            row = metadata.write(commit, troop, fields=values, created_as=troop)
            commit.events.append(troop_of(troop, row))
            return troop, row

        troop, row = self._database._submit(work)
        return Troop(troop, uid, row.fields, key=key)

    def get(self, troop: int) -> Troop:
        """The troop; raises NotFoundError where it is not here or deleted."""
        metadata = self._database._metadata
        uid = metadata.uid(troop)
        if metadata.is_deleted(troop):
            raise NotFoundError(f"troop {troop} is deleted")
        row = metadata.troop(troop)
        return Troop(troop, uid, row.fields)

    def __iter__(self) -> Iterator[Troop]:
        for troop in sorted(self._database._metadata.uid_of):
            if not self._database._metadata.is_deleted(troop):
                yield self.get(troop)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def update(
        self, troop: int, fields: Mapping[str, Any] | None = None, /, *, unset: Iterable[str] = (), **named: Any
    ) -> Troop:
        """Set metadata fields, and remove those in *unset*; this brings a deleted troop back.

        Raises:
            NotFoundError: no such troop. InvalidError: a field that cannot be.
        """
        values, removed = _edit(fields, named, unset)
        return self._write(troop, fields=values, unset=removed)

    def delete(self, troop: int) -> None:
        """Hide the troop with all its data, here and on every replica; nothing is erased, an update brings it back."""
        self._write(troop, delete=True)

    def assign_key(self, troop: int, key: str | None = None) -> str:
        """Let a further key stand for the troop, or one that was revoked again; returns the key (a new one if None).

        Raises:
            NotFoundError: no such troop. InvalidError: the key is shorter than 32 characters.
        """
        key = key or keys.new_troop_key()
        self._write(troop, fields={key_field(keys.uid_of_key(key)): _TRUE})
        return key

    def revoke_key(self, troop: int, key: str) -> None:
        """Let a key stand for the troop no longer: an assigned one, or that of its creation.

        Raises:
            NotFoundError: no such troop, or it has no such key.
        """
        digest = keys.uid_of_key(key)
        metadata = self._database._metadata
        if digest != metadata.uid(troop) and not metadata.troop(troop).assigned.get(digest):
            raise NotFoundError(f"troop {troop} has no such key")
        self._write(troop, fields={key_field(digest): _FALSE})

    def by_key(self, key: str) -> Troop:
        """The troop that a key stands for; raises NotFoundError."""
        claimants = self._database._metadata.claimants(keys.uid_of_key(key))
        if not claimants:
            raise NotFoundError("no troop has this key")
        return self.get(self._database._metadata.id_of[claimants[0]])

    def clashes(self) -> list[tuple[Troop, list[str]]]:
        """Keys that several troops claim: the troop that has it, and the uids of the others."""
        metadata = self._database._metadata
        return [
            (self.get(metadata.id_of[claimed[0]]), claimed[1:])
            for claimed in metadata.claims()
            if len(claimed) > 1 and not metadata.is_deleted(metadata.id_of[claimed[0]])
        ]

    def _write(self, troop: int, **edit: Any) -> Troop:
        def work(commit: Commit) -> Troop:
            metadata = self._database._metadata
            deleted = metadata.is_deleted(troop)
            written = troop_of(troop, metadata.write(commit, troop, **edit))
            if deleted and not written.deleted:
                commit.reappeared.append((troop, None))
            else:
                commit.events.append(written)
            return written

        return self._database._submit(work)


class Scouts:
    """The scouts of a database's troops."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, troop: int, fields: Mapping[str, Any] | None = None, /, *, id: int | None = None, **named: Any
    ) -> Scout:
        """Create a scout and give it the next number of its troop, or *id*.

        Numbers are global in the troop: give them yourself where several databases add scouts to one.

        Raises:
            NotFoundError: no such troop. ExistsError: there is metadata of a scout *id*. InvalidError: see ``update``.
        """
        values, _ = _edit(fields, named, ())
        wanted = None if id is None else keys.check_number("id", id)

        def work(commit: Commit) -> Scout:
            metadata = self._database._metadata
            metadata.uid(troop)
            number = metadata.allocate_scout(commit, troop) if wanted is None else wanted
            if metadata.scout(troop, number, commit) is not None:
                raise ExistsError(f"troop {troop} has a scout {number} already")
            created = scout_of(troop, number, metadata.write(commit, troop, number, values))
            if not metadata.is_deleted(troop):
                commit.events.append(created)
            return created

        return self._database._submit(work)

    def get(self, troop: int, scout: int) -> Scout:
        """The scout; raises NotFoundError where neither metadata nor a report of it is here, or it is deleted."""
        metadata = self._database._metadata
        metadata.uid(troop)
        if metadata.is_deleted(troop, keys.check_number("scout", scout)):
            raise NotFoundError(f"scout {scout} of troop {troop} is deleted")
        row = metadata.scout(troop, scout)
        if row is None:
            if next(self._database._current(troop, scout), None) is None:
                raise NotFoundError(f"no scout {scout} in troop {troop}")
            row = Registers()
        return scout_of(troop, scout, row)

    def list(self, troop: int) -> list[Scout]:
        """The troop's scouts that have metadata or reports and are not deleted, by number."""
        self._database._metadata.uid(troop)
        found: dict[int, Scout] = {}
        for event in self._database._current(troop):
            if isinstance(event, Scout):
                found[event.id] = event
            elif not isinstance(event, Troop):
                found.setdefault(event.scout, Scout(troop, event.scout, {}))  # type: ignore[union-attr]
        return list(found.values())

    def update(
        self,
        troop: int,
        scout: int,
        fields: Mapping[str, Any] | None = None,
        /,
        *,
        unset: Iterable[str] = (),
        **named: Any,
    ) -> Scout:
        """Set metadata fields, and remove those in *unset*; a new scout is created, a deleted one comes back.

        Raises:
            NotFoundError: no such troop. InvalidError: a field or number that cannot be.
        """
        values, removed = _edit(fields, named, unset)
        return self._write(troop, scout, fields=values, unset=removed)

    def delete(self, troop: int, scout: int) -> None:
        """Hide the scout with all its data, here and on every replica; an update brings it back."""
        self._write(troop, scout, delete=True)

    def _write(self, troop: int, scout: int, **edit: Any) -> Scout:
        keys.check_number("scout", scout)

        def work(commit: Commit) -> Scout:
            metadata = self._database._metadata
            deleted = metadata.is_deleted(troop, scout)
            written = scout_of(troop, scout, metadata.write(commit, troop, scout, **edit))
            if deleted and not written.deleted:
                commit.reappeared.append((troop, scout))
            elif not metadata.is_deleted(troop):
                commit.events.append(written)
            return written

        return self._database._submit(work)
