"""The codec: the format's bytes, in C (``native``) or in plain Python (``reference``), chosen once at import.

``SCOUTCORE_BACKEND`` chooses: ``c`` (fails where the C module is missing), ``python``, or ``auto`` (the default: C
where it is there). :data:`backend` tells which it is.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Final

_CHOICES: Final = ("auto", "c", "python")


def _choose(wanted: str) -> str:
    if wanted not in _CHOICES:
        raise ImportError(f"SCOUTCORE_BACKEND is {wanted!r}; it can be {', '.join(_CHOICES)}")
    if wanted == "python":
        return "python"
    try:
        importlib.import_module("scoutcore._native")
    except ImportError as problem:
        if wanted == "c":
            raise ImportError("SCOUTCORE_BACKEND is 'c', but scoutcore was installed without its C module") from problem
        return "python"
    return "c"


backend: Final[str] = _choose(os.environ.get("SCOUTCORE_BACKEND", "auto"))
"""``"c"`` or ``"python"``."""

if TYPE_CHECKING or backend == "python":
    from scoutcore.codec.columns import cut, cut_texts, gather_changes, join, list_changes
    from scoutcore.codec.numbers import block_numbers, number_texts, text_numbers
    from scoutcore.codec.puts import group_puts
    from scoutcore.codec.reference import (
        add_blocks,
        add_point,
        append_blocks,
        decode_blocks,
        decode_changes,
        decode_varints,
        encode_blocks,
        encode_changes,
        encode_varints,
        find_interval,
        find_marker,
        order_codes,
        pack,
        pack_columns,
        scan_frames,
        shared_readings,
        split_intervals,
        summarize_blocks,
        unpack,
        unpack_columns,
        walk_intervals,
    )
else:
    from scoutcore.codec.native import (
        add_blocks,
        add_point,
        append_blocks,
        block_numbers,
        cut,
        cut_texts,
        decode_blocks,
        decode_changes,
        decode_varints,
        encode_blocks,
        encode_changes,
        encode_varints,
        find_interval,
        find_marker,
        gather_changes,
        group_puts,
        join,
        list_changes,
        number_texts,
        order_codes,
        pack,
        pack_columns,
        scan_frames,
        shared_readings,
        split_intervals,
        summarize_blocks,
        text_numbers,
        unpack,
        unpack_columns,
        walk_intervals,
    )

__all__ = [
    "add_blocks",
    "add_point",
    "append_blocks",
    "backend",
    "block_numbers",
    "cut",
    "cut_texts",
    "decode_blocks",
    "decode_changes",
    "decode_varints",
    "encode_blocks",
    "encode_changes",
    "encode_varints",
    "find_interval",
    "find_marker",
    "gather_changes",
    "group_puts",
    "join",
    "list_changes",
    "number_texts",
    "order_codes",
    "pack",
    "pack_columns",
    "scan_frames",
    "shared_readings",
    "split_intervals",
    "summarize_blocks",
    "text_numbers",
    "unpack",
    "unpack_columns",
    "walk_intervals",
]
