"""What a damaged LevelDB still yields, read in a process of its own: LevelDB can end the process that reads it.

``python -m scoutcore.salvage COPY repair|read`` writes keys and values, in turn, to standard output as a multibuffer.
It may change what it reads.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import plyvel

from scoutcore import keys, multibuffer
from scoutcore.codec.puts import Puts
from scoutcore.errors import CodecError, StorageError
from scoutcore.store import journal
from scoutcore.store.repair import repair

SECTIONS: Final = (keys.LOG_STATE, keys.PACKED, keys.GAPS, keys.META, keys.TROOP_UID, keys.LOG_SENSOR, keys.LOG_TROOP)
"""What cannot be built anew from changes files; in the order in which it is given."""
_PIECE: Final = 1024 * 1024


def salvage(copy: Path) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of :data:`SECTIONS` that a damaged LevelDB in *copy*, which is changed, still yields.

    First it is repaired; where that ends its process, what can be read without. It may be nothing.
    """
    for how in ("repair", "read"):
        command = [sys.executable, "-m", "scoutcore.salvage", str(copy), how]
        # What it says when it dies, of damage or by Ctrl-C, is of no use to anybody.
        nothing = subprocess.DEVNULL
        with subprocess.Popen(command, stdin=nothing, stdout=subprocess.PIPE, stderr=nothing) as child:  # noqa: S603
            assert child.stdout
            items = multibuffer.unpack_stream(iter(partial(child.stdout.read, _PIECE), b""))
            with suppress(CodecError):  # it ended in the middle
                yield from zip(items, items, strict=False)
        if child.returncode == 0:
            return


def main(path: str, how: str) -> None:
    """Write what there is to standard output."""
    if how == "repair":
        repair(Path(path))
    db = plyvel.DB(path, create_if_missing=False, paranoid_checks=False)
    gathered = _gathered(db)
    out = sys.stdout.buffer
    for key, value in gathered.items():
        if value is not None and key.startswith(SECTIONS):
            out.write(multibuffer.pack((key, value)))
    for section in SECTIONS:
        for item in db.iterator(start=section, stop=keys.after(section), verify_checksums=True, fill_cache=False):
            if item[0] not in gathered:
                out.write(multibuffer.pack(item))
    out.flush()


def _gathered(db: plyvel.DB) -> Puts:
    """What entries of the journal have, up to the first that cannot be read; those that are none are left out."""
    gathered: Puts = {}
    with suppress(plyvel.Error):
        for _, entry in db.iterator(prefix=journal.PREFIX, verify_checksums=True):
            with suppress(StorageError):
                gathered.update(journal.parts_of(entry)[0])  # what is packed is of the views
    return gathered


if __name__ == "__main__":
    main(*sys.argv[1:])
