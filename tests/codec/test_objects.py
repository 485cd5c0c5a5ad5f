"""Objects into columns and back: C, by way of msgpack, does what plain Python does."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoutcore.codec import columns, reference
from scoutcore.codec.columns import Change, ChangeColumns
from scoutcore.codec.constants import ABSENT
from tests.codec.helpers import changes, contents, outcome, plain

# Around the sizes at which msgpack takes a longer head, and at which native.py begins a new piece.
EDGES = [0, 1, 31, 32, 255, 256, 65_535, 65_536, 256 * 1024 - 11, 256 * 1024 - 10, 256 * 1024 - 9, 256 * 1024, 600_000]


def gathered(module, rows):
    """What encoding *rows* gives: the columns may lie differently."""
    return reference.encode_changes(module.gather_changes(rows))


@pytest.mark.parametrize("size", EDGES)
def test_sizes(native, size):
    text = "k" * size
    rows = [Change("a", 1, 0, 1), Change(text, 2, 1, 2, text.encode(), text), Change("", 3, 2, 3, b"")]
    assert plain(gathered(native, rows)) == plain(gathered(columns, rows))
    made = columns.gather_changes(rows)
    assert native.list_changes(made) == columns.list_changes(made)
    buffers = [b"a", text.encode(), b""] * 3
    packed = reference.pack(buffers, 1)
    assert native.pack(buffers, 1) == packed
    assert native.unpack(packed, 1) == buffers


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 63, 64, 65, 4096, 5000, 70_000])
def test_counts(native, count):
    rows = [Change(f"k{index % 50}", index, 0, index, b"v" if index % 2 else None, None) for index in range(count)]
    made = columns.gather_changes(rows)
    assert native.list_changes(made) == columns.list_changes(made)
    assert plain(gathered(native, rows)) == plain(gathered(columns, rows))
    buffers = [b"%d" % index for index in range(count)]
    assert native.unpack(native.pack(buffers)) == buffers


def test_pieces_of_changing_sizes(native):
    buffers = [b"x" * (index * 7919 % 5000) for index in range(3000)] + [b""] * 5000 + [b"y" * 10**6] * 3
    packed = reference.pack(buffers)
    assert native.pack(buffers) == packed
    assert native.unpack(packed) == buffers


@given(st.lists(changes))
def test_changes(native, rows):
    assert outcome(gathered, native, rows) == outcome(gathered, columns, rows)
    made = columns.gather_changes(rows)
    assert native.list_changes(made) == columns.list_changes(made)


@pytest.mark.parametrize(
    "row",
    [
        *(Change("k", number, 0, 1) for number in (-1, 2**32, 2**63, 2**64, True, 1.5, "1", None)),
        *(Change("k", 1, 0, 1, value) for value in (bytearray(b"v"), memoryview(b"v"), "v", 5, [1])),
        *(Change("k", 1, 0, 1, None, subset) for subset in ("", "\udfff", b"s", 5)),
        *(Change(key, 1, 0, 1) for key in ("\ud800", None, b"k", 5)),
        ("k", 1, 0, 1, None, None),
        None,
    ],
    ids=ascii,
)
def test_what_is_no_change(native, row):
    def result(module):
        try:
            return outcome(gathered, module, [Change("k", 1, 0, 1), row])
        except (TypeError, AttributeError) as problem:
            return type(problem)

    assert result(native) == result(columns)


@given(st.binary(max_size=10), st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)) | st.just((ABSENT, ABSENT))))
def test_cut(native, data, slices):
    starts, ends = (array("Q", [row[side] for row in slices]) for side in (0, 1))
    for source in (data, bytearray(data), memoryview(data)):
        assert native.cut(source, starts, ends) == columns.cut(source, starts, ends)


@given(st.binary(max_size=6) | st.text(max_size=6).map(str.encode), st.lists(st.tuples(*[st.integers(0, 8)] * 2)))
def test_cut_texts(native, data, slices):
    def result(module):
        try:
            return module.cut_texts(data, starts, ends)
        except UnicodeDecodeError as problem:
            return str(problem)

    starts, ends = (array("Q", [row[side] for row in slices]) for side in (0, 1))
    assert result(native) == result(columns)


@given(st.lists(contents))
def test_join(native, items):
    assert native.join(items) == columns.join(items)
    mixed = [item if index % 2 else bytearray(item) for index, item in enumerate(items)]
    assert native.join(mixed) == columns.join(items)


@given(st.lists(contents, min_size=5), st.sampled_from(("text", 5, None)))
def test_join_of_what_is_not_bytes(native, items, other):
    for module in (native, columns):
        with pytest.raises(TypeError):
            module.join([*items, other])


@given(st.lists(contents), st.integers(0, 2))
def test_pack_of_mixed_buffers(native, buffers, extra):
    kinds = [bytes, bytearray, memoryview]
    mixed = [kinds[index % 3](buffer) for index, buffer in enumerate(buffers)]
    assert native.pack(mixed, extra) == reference.pack(buffers, extra)


def test_bytes_that_are_no_text_are_refused_alike(native):
    bad = ChangeColumns.from_objects([Change("k", 1, 0, 1, None, "s")])._replace(key_data=b"\xff", subset_data=b"\xff")
    bad = bad._replace(
        **{
            f"{name}_{side}": array("Q", [at])
            for name in ("key", "subset")
            for side, at in (("starts", 0), ("ends", 1))
        }
    )
    for module in (native, columns):
        with pytest.raises(UnicodeDecodeError):
            module.list_changes(bad)
