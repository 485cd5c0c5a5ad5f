"""What a chunk of our own log puts into the history, made again of the chunk: so the journal need not have it, too."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final

import msgspec

from scoutcore import codec, keys
from scoutcore.codec import cut
from scoutcore.codec.constants import INT64_MIN, UUID_BYTES
from scoutcore.errors import CodecError, InvalidError, StorageError
from scoutcore.rows import StoredRow

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[int, dict[str, int]]).decode


def about_chunk(log: int, rows: Sequence[StoredRow]) -> bytes:
    """What a chunk does not say of itself: the number of its log, and the local ids of the troops of its *rows*."""
    return _encode((log, {row.uid: row.troop for row in rows}))


def puts_of_chunk(frames: bytes, about: bytes, known: dict[bytes, StoredRow]) -> bytes:
    """What the blocks of a chunk put, packed: each of a row of its own, no reading of which had been heard before.

    Args:
        frames: the chunk.
        about: of :func:`about_chunk`.
        known: rows by the key of their changes, from one call to the next.

    Raises:
        StorageError: something is damaged.
    """
    try:
        log, troops = _decode(about)
        columns = codec.decode_changes(frames, codec.scan_frames(frames))
        rows = []
        for name in cut(columns.key_data, columns.key_starts, columns.key_ends):
            if name not in known:
                uid, scout, report = keys.parse_sensor_key(name.decode())
                known[name] = StoredRow.named(troops[uid], uid, scout, report)
            rows.append(known[name])
        numbers, uuids = array("I", range(len(rows))), bytes(UUID_BYTES * (log + 1))
        values = columns.value_data, columns.value_starts, columns.value_ends
        return codec.add_blocks(rows, uuids, log, INT64_MIN, numbers, columns.change, None, *values).puts
    except (CodecError, InvalidError, KeyError, ValueError) as problem:
        raise StorageError(f"a chunk that an entry of the journal is about is damaged: {problem}") from None
