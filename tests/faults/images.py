"""What a power cut may leave of files, from what was done to them: the disk as a machine that starts again finds it.

What was synced is there. Of what was written to a file since, any of it may be, torn at sectors of 512 bytes, or
nothing, or zeros, or garbage where it should be. Names made, renamed and removed since their directory was synced are
there up to any of them: a file system keeps their order, within a directory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from struct import Struct
from typing import Final

_HEAD: Final = Struct("=iiqq")
SECTOR: Final = 512


@dataclass(frozen=True)
class Operation:
    """One thing that was done: the kinds are those of shim.c."""

    kind: str
    id: int
    offset: int
    data: bytes


def read_trace(path: Path) -> list[Operation]:
    """All operations that the shim wrote down."""
    data = path.read_bytes()
    found, at = [], 0
    while at < len(data):
        kind, id, offset, size = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        found.append(Operation(chr(kind), id, offset, data[at : at + size]))
        at += size
    return found


@dataclass(eq=False)
class File:
    """A file: as it was last synced, and the writes since."""

    durable: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Offset and bytes; None: it was cut there, or made longer."""

    def sync(self) -> None:
        self.durable = _written(self.durable, self.pending)
        self.pending.clear()


@dataclass(eq=False)
class Directory:
    """A directory: its names as the process sees them and as they were last synced, and what happened to them since."""

    names: dict[str, File | Directory] = field(default_factory=dict)
    durable: dict[str, File | Directory] = field(default_factory=dict)
    pending: list[tuple[str, File | Directory | None, str | None]] = field(default_factory=list)
    """Name, what it names now (None: nothing), and the name that this was before, if any."""

    def name(self, name: str, node: File | Directory | None, before: str | None = None) -> None:
        self.pending.append((name, node, before))
        _rename(self.names, name, node, before)

    def sync(self) -> None:
        for change in self.pending:
            _rename(self.durable, *change)
        self.pending.clear()

    def left(self, choose: Random) -> dict[str, File | Directory]:
        """The names that may be left."""
        names = dict(self.durable)
        for change in self.pending[: choose.choice([0, len(self.pending), choose.randint(0, len(self.pending))])]:
            _rename(names, *change)
        return names


def _rename(names: dict[str, File | Directory], name: str, node: File | Directory | None, before: str | None) -> None:
    if before is not None:
        names.pop(before, None)
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


class Disk:
    """All files under the directory *root*."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._top = Directory()
        self._open: dict[int, File | Directory] = {}

    def _place(self, path: str) -> tuple[Directory, str]:
        """The directory that a path is in, and its name there."""
        *above, name = path.removeprefix(self._root + "/").split("/")
        directory = self._top
        for part in above:
            found = directory.names[part]
            assert isinstance(found, Directory)
            directory = found
        return directory, name

    def apply(self, operation: Operation) -> None:
        """Do to this disk what was done to the real one."""
        kind, node = operation.kind, self._open.get(operation.id)
        path = "" if kind == "w" else os.fsdecode(operation.data)
        if kind == "o":
            self._open_file(operation, path)
        elif kind == "w":
            assert isinstance(node, File)
            node.pending.append((operation.offset, operation.data))
        elif kind == "t":
            if node is None:
                directory, name = self._place(path)
                node = directory.names[name]
            assert isinstance(node, File)
            node.pending.append((operation.offset, None))
        elif kind == "s":
            assert node is not None
            node.sync()
        elif kind in "du":
            directory, name = self._place(path)
            directory.name(name, Directory() if kind == "d" else None)
        elif kind == "r":
            before, _, after = path.partition("\n")
            (directory, old), (same, new) = self._place(before), self._place(after)
            assert directory is same
            if old in directory.names:  # LevelDB writes its LOG, which does not matter, in ways that are not seen
                directory.name(new, directory.names[old], old)

    def _open_file(self, operation: Operation, path: str) -> None:
        if path == self._root:
            self._open[operation.id] = self._top
            return
        directory, name = self._place(path)
        if name not in directory.names:
            directory.name(name, File())
        node = self._open[operation.id] = directory.names[name]
        if operation.offset & os.O_TRUNC and isinstance(node, File):
            node.pending.append((0, None))

    def image(self, choose: Random) -> dict[str, bytes | None]:
        """What may be left: contents by path below the root; None: a directory."""
        found: dict[str, bytes | None] = {}

        def look(directory: Directory, prefix: str) -> None:
            for name, node in sorted(directory.left(choose).items()):
                if isinstance(node, Directory):
                    found[prefix + name] = None
                    look(node, f"{prefix}{name}/")
                else:
                    found[prefix + name] = _left(node, choose)

        look(self._top, "")
        return found


def _written(data: bytes, writes: list[tuple[int, bytes | None]]) -> bytes:
    """*data* after some writes; gaps are zeros."""
    out = bytearray(data)
    for offset, piece in writes:
        if piece is None:
            del out[offset:]
            out.extend(bytes(offset - len(out)))
        else:
            out.extend(bytes(max(offset - len(out), 0)))
            out[offset : offset + len(piece)] = piece
    return bytes(out)


def _sectors(offset: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    """A write, in parts that end at sectors."""
    begin = offset
    while begin < offset + len(data):
        end = min((begin // SECTOR + 1) * SECTOR, offset + len(data))
        yield begin, data[begin - offset : end - offset]
        begin = end


def _left(node: File, choose: Random) -> bytes:
    """What may be left of a file."""
    writes = node.pending
    whole = _written(node.durable, writes)
    if not writes:
        return whole
    how = choose.randrange(8)
    if how == 0:
        return whole
    if how == 1:
        return node.durable
    pieces = [
        (offset, part)
        for offset, data in writes
        for offset, part in ([(offset, None)] if data is None else _sectors(offset, data))
    ]
    kept = pieces[: choose.randint(0, len(pieces))]
    if how == 2:
        return _written(node.durable, kept)
    if how == 3:
        return _written(node.durable, [one for one in pieces if choose.random() < 0.7])
    if how == 4:
        return _written(node.durable, [one for one in writes if choose.random() < 0.7])
    sizes = sorted((len(node.durable), len(whole)))
    size = choose.choice([sizes[1], choose.randint(*sizes)])
    left = _written(node.durable, kept)
    if how == 5:  # the length is there, the data is not
        return left + bytes(max(size - len(left), 0))
    if how == 6:  # what lay on the disk before
        return left + choose.randbytes(max(size - len(left), 0))
    return whole[:size] if len(whole) >= len(node.durable) else left


def lay_out(image: dict[str, bytes | None], at: Path) -> None:
    """Write an image into the new directory *at*."""
    at.mkdir(parents=True)
    for path, data in image.items():
        if data is None:
            (at / path).mkdir()
        else:
            (at / path).write_bytes(data)
