"""Arrow streams of points, by nanoarrow (the extra ``arrow``)."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from itertools import accumulate
from typing import Any

import nanoarrow as na
from nanoarrow.c_array_stream import CArrayStream

from scoutcore.codec import cut
from scoutcore.codec.columns import PointColumns, UInts

_SCHEMA = na.c_schema(
    na.struct(
        {
            "t": na.timestamp("us", "UTC", nullable=False),
            "boot": na.uint64(),
            "ms": na.uint64(),
            "data": na.large_string(nullable=False),
        },
        nullable=False,
    )
)


def stream(columns: Iterable[PointColumns]) -> CArrayStream:
    """An Arrow stream of record batches, one per item of *columns*."""
    return CArrayStream.from_c_arrays([_batch(points) for points in columns], _SCHEMA, validate=False)


def _batch(points: PointColumns) -> Any:
    count = len(points.t)
    texts = cut(points.data, points.starts, points.ends)
    validity, nulls = _validity(points.clocked)
    children = [
        na.c_array_from_buffers(_SCHEMA.child(0), count, [None, points.t], null_count=0),
        na.c_array_from_buffers(_SCHEMA.child(1), count, [validity, points.boot], null_count=nulls),
        na.c_array_from_buffers(_SCHEMA.child(2), count, [validity, points.ms], null_count=nulls),
        na.c_array_from_buffers(
            _SCHEMA.child(3),
            count,
            [None, array("q", accumulate(map(len, texts), initial=0)), b"".join(texts)],
            null_count=0,
        ),
    ]
    return na.c_array_from_buffers(_SCHEMA, count, [None], children=children, null_count=0)


def _validity(clocked: UInts) -> tuple[bytes | None, int]:
    nulls = clocked.count(0)
    if nulls == 0:
        return None, 0
    bits = bytearray((len(clocked) + 7) // 8)
    for index, known in enumerate(clocked):
        if known:
            bits[index >> 3] |= 1 << (index & 7)
    return bytes(bits), nulls
