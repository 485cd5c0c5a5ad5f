"""Varints: exact bytes, limits, every way to be wrong."""

from __future__ import annotations

from array import array

import pytest

from tests.codec.helpers import failure, hexed

UNSIGNED = [
    (0, "00"),
    (1, "01"),
    (127, "7f"),
    (128, "80 01"),
    (300, "ac 02"),
    (2**14 - 1, "ff 7f"),
    (2**14, "80 80 01"),
    (2**28, "80 80 80 80 01"),
    (2**32 - 1, "ff ff ff ff 0f"),
    (2**53, "80 80 80 80 80 80 80 10"),
    (2**63 - 1, "ff ff ff ff ff ff ff ff 7f"),
    (2**63, "80 80 80 80 80 80 80 80 80 01"),
    (2**64 - 1, "ff ff ff ff ff ff ff ff ff 01"),
]
SIGNED = [
    (0, "00"),
    (-1, "01"),
    (1, "02"),
    (-2, "03"),
    (63, "7e"),
    (-64, "7f"),
    (64, "80 01"),
    (2**63 - 1, "fe ff ff ff ff ff ff ff ff 01"),
    (-(2**63), "ff ff ff ff ff ff ff ff ff 01"),
]


@pytest.mark.parametrize(("value", "data"), UNSIGNED)
def test_unsigned(codec, value, data):
    assert codec.encode_varints([value]) == hexed(data)
    assert codec.decode_varints(hexed(data)) == array("Q", [value])


@pytest.mark.parametrize(("value", "data"), SIGNED)
def test_signed(codec, value, data):
    assert codec.encode_varints([value], signed=True) == hexed(data)
    assert codec.decode_varints(hexed(data), signed=True) == array("q", [value])


@pytest.mark.parametrize(("signed", "table"), [(False, UNSIGNED), (True, SIGNED)])
def test_in_bulk(codec, signed, table):
    values = [value for value, _ in table] * 3
    data = b"".join(hexed(text) for _, text in table) * 3
    assert codec.encode_varints(iter(values), signed) == data
    decoded = codec.decode_varints(data, signed)
    assert decoded.tolist() == values
    assert decoded.typecode == ("q" if signed else "Q")


def test_nothing(codec):
    assert codec.encode_varints([]) == b""
    assert codec.decode_varints(b"") == array("Q")


@pytest.mark.parametrize("data", ["80 00", "81 80 00", "ff ff ff ff ff ff ff ff ff 00"])
def test_long_forms_are_read(codec, data):
    value = sum((byte & 0x7F) << 7 * index for index, byte in enumerate(hexed(data)))
    assert codec.decode_varints(hexed(data)).tolist() == [value]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("80", "TruncatedError: input ends in the middle of an item at byte 0"),
        ("ff ff ff ff ff ff ff ff ff", "TruncatedError: input ends in the middle of an item at byte 0"),
        ("05 ac", "TruncatedError: input ends in the middle of an item at byte 1"),
        ("ff ff ff ff ff ff ff ff ff 02", "CorruptError: varint over 64 bits at byte 0"),
        ("80 80 80 80 80 80 80 80 80 80", "CorruptError: varint over 64 bits at byte 0"),
        ("80 80 80 80 80 80 80 80 80 80 00", "CorruptError: varint over 64 bits at byte 0"),
        ("80 80 80 80 80 80 80 80 80 7f", "CorruptError: varint over 64 bits at byte 0"),
        ("00 80 01 ff ff ff ff ff ff ff ff ff ff", "CorruptError: varint over 64 bits at byte 3"),
    ],
)
@pytest.mark.parametrize("signed", [False, True])
def test_wrong(codec, data, error, signed):
    assert failure(codec.decode_varints, hexed(data), signed) == error


@pytest.mark.parametrize(("value", "signed"), [(-1, False), (2**64, False), (2**63, True), (-(2**63) - 1, True)])
def test_numbers_that_do_not_fit(codec, value, signed):
    with pytest.raises(OverflowError):
        codec.encode_varints([0, value], signed)
