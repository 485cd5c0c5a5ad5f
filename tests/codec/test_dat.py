"""Streams: whole or in any pieces, wrong anywhere, never silently short."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoutcore.codec.constants import MAX_FRAME
from scoutcore.dat import WHOLE_BLOB, Blob, Change, Decoder, Encoder
from scoutcore.errors import CodecError, CorruptError, EncodeError, InvalidError, TruncatedError
from tests.codec.helpers import MARKER, all_bytes, frame, hexed, streams, varint

CHANGES = [Change("k", 1, 0, 1), Change("temp", 2, 1, 2, b"21.5", "sensor"), Change("é", 2**32 - 1, 0, 0, b"")]
BAD_CHANGE = frame(1, b"\x12\x01k\x07")  # field number 0, 5 bytes into the frame


def whole(blob):
    return Blob(len(blob), 0, blob)


def joined(events):
    """The events with the pieces of each blob put together."""
    out = []
    for event in events:
        if isinstance(event, Blob) and event.offset:
            out[-1] += event.data
        else:
            out.append(event.data if isinstance(event, Blob) else event)
    return out


def decode(*pieces):
    """All events of a stream and the error it ends with, None if it ends well."""
    decoder = Decoder()
    events = []
    try:
        for piece in pieces:
            events += decoder.feed(piece)
        decoder.close()
    except CodecError as problem:
        return events, f"{type(problem).__name__}: {problem}"
    assert decoder.failure is None
    return events, None


def test_a_stream():
    encoder = Encoder()
    data = encoder.blob(b"hi") + encoder.changes(CHANGES) + encoder.blob(b"") + encoder.change(CHANGES[0])
    events, error = decode(data)
    assert events == [whole(b"hi"), *CHANGES, whole(b""), CHANGES[0]]
    assert error is None
    assert all(blob.last for blob in events if isinstance(blob, Blob))


@pytest.mark.parametrize(
    ("frames", "events"),
    [
        ([], []),
        ([MARKER], [whole(MARKER[2:])]),
        ([b"\1\2"], [whole(b"")]),
        ([frame(1, hexed("12 01 6b 18 01 20 00 28 01 32 01 76"))], [Change("k", 1, 0, 1, b"v")]),
    ],
)
def test_bytes(frames, events):
    assert decode(b"".join(frames)) == (events, None)


def test_every_cut():
    data = Encoder().changes(CHANGES[:2]) + MARKER + frame(2, b"y" * 200) + Encoder().changes(CHANGES[2:])
    expected = [*CHANGES[:2], whole(MARKER[2:]), whole(b"y" * 200), CHANGES[2]]
    ends = [0]
    for piece in (*map(Encoder().change, CHANGES[:2]), MARKER, frame(2, b"y" * 200), Encoder().change(CHANGES[2])):
        ends.append(ends[-1] + len(piece))
    for cut in range(len(data) + 1):
        assert decode(data[:cut], b"", data[cut:]) == (expected, None)
        good = sum(end <= cut for end in ends) - 1
        error = f"TruncatedError: input ends in the middle of an item at byte {ends[good]}"
        assert decode(data[:cut]) == (expected[:good], None if cut in ends else error)
    assert decode(*(data[at : at + 1] for at in range(len(data)))) == (expected, None)


def test_any_buffer():
    data = Encoder().changes(CHANGES)
    assert decode(bytearray(data)) == decode(memoryview(data)) == (CHANGES, None)
    with pytest.raises(TypeError):
        Decoder().feed("text")


@pytest.mark.parametrize(
    ("bad", "good", "error", "offset"),
    [
        (b"\0", [], "CorruptError: frame of length 0", 0),
        (b"\1\3", [], "CorruptError: unknown frame id", 0),
        (b"\xff" * 9 + b"\2", [], "CorruptError: varint over 64 bits", 0),
        (varint(MAX_FRAME + 1) + b"\1", [], "CorruptError: frame longer than the limit", 0),
        (b"\1\1", [], "CorruptError: change without a required field", 2),
        (BAD_CHANGE, [], "CorruptError: field number 0", 5),
        (BAD_CHANGE + b"\0", [], "CorruptError: field number 0", 5),
        (MARKER + BAD_CHANGE + MARKER, [whole(MARKER[2:])], "CorruptError: field number 0", 23),
        # npm's decoder hangs on this
        (hexed("04 01 ff ff ff"), [], "CorruptError: field runs past the end of its change", 2),
        # finishes normally on this
        (Encoder().changes(CHANGES[:2])[:-1], CHANGES[:1], "TruncatedError: input ends in the middle of an item", 11),
        # and takes this
        (frame(1, hexed("12 01 6b 18 80 80 80 80 10 20 00 28 01")), [], "CorruptError: number over 32 bits", 5),
    ],
)
def test_wrong(bad, good, error, offset):
    for before, events in ((b"", []), (Encoder().change(CHANGES[1]) + frame(2, b"hi"), [CHANGES[1], whole(b"hi")])):
        data = before + bad
        expected = [*events, *good], f"{error} at byte {len(before) + offset}"
        assert decode(data) == expected
        for cut in range(len(data) + 1):
            assert decode(data[:cut], data[cut:]) == expected
        assert decode(*(data[at : at + 1] for at in range(len(data)))) == expected


def test_nothing_good_is_lost_and_no_error_is_missed():
    decoder = Decoder()
    good = Encoder().changes(CHANGES)
    assert decoder.feed(good + BAD_CHANGE + good) == CHANGES
    assert str(decoder.failure) == f"field number 0 at byte {len(good) + 5}"
    for again in (lambda: decoder.feed(b""), lambda: decoder.feed(good), decoder.close, decoder.close):
        with pytest.raises(CorruptError) as caught:
            again()
        assert caught.value is decoder.failure


def test_an_error_with_nothing_before_it_is_raised_at_once():
    decoder = Decoder()
    assert decoder.feed(Encoder().changes(CHANGES)) == CHANGES
    with pytest.raises(CorruptError):
        decoder.feed(b"\0")
    with pytest.raises(CorruptError):
        decoder.close()


def test_a_closed_decoder_that_was_cut_stays_failed():
    decoder = Decoder()
    decoder.feed(b"\5")
    with pytest.raises(TruncatedError):
        decoder.close()
    with pytest.raises(TruncatedError):
        decoder.feed(b"\2abcd")


@pytest.mark.parametrize("size", [0, 1, 126, 127, WHOLE_BLOB - 1, WHOLE_BLOB])
def test_blobs_up_to_the_size_come_whole(size):
    data = frame(2, b"x" * size) + frame(2, b"")
    for step in (1 + len(data) // 7, len(data)):
        pieces = [data[at : at + step] for at in range(0, len(data), step)]
        assert decode(*pieces) == ([whole(b"x" * size), whole(b"")], None)


def test_longer_blobs_come_in_pieces_as_they_arrive():
    blob = bytes(range(256)) * 257
    data = Encoder().change(CHANGES[0]) + frame(2, blob) + Encoder().change(CHANGES[1])
    for step in (1000, WHOLE_BLOB // 2, 60_000, WHOLE_BLOB + 9):
        decoder = Decoder()
        events = []
        for at in range(0, len(data), step):
            given_now = decoder.feed(data[at : at + step])
            assert sum(len(event.data) for event in given_now if isinstance(event, Blob)) <= step
            if 40 < at + step < 60_000:
                assert given_now  # nothing waits
            events += given_now
        decoder.close()
        assert joined(events) == [CHANGES[0], blob, CHANGES[1]]
        pieces = [event for event in events if isinstance(event, Blob)]
        assert {piece.length for piece in pieces} == {len(blob)}
        assert [piece.last for piece in pieces] == [False] * (len(pieces) - 1) + [True]
        assert [piece.offset for piece in pieces] == [sum(len(p.data) for p in pieces[:i]) for i in range(len(pieces))]
    # in one call, one piece
    assert decode(data) == ([CHANGES[0], whole(blob), CHANGES[1]], None)


def test_a_long_blob_cut_short():
    head = Encoder().change(CHANGES[0])
    data = head + frame(2, bytes(WHOLE_BLOB + 1))
    for cut in (len(head) + 4, len(head) + 5, len(data) - 1):
        events, error = decode(data[:cut], b"")
        assert error == f"TruncatedError: input ends in the middle of an item at byte {len(head)}"
        assert sum(len(event.data) for event in events[1:]) == cut - len(head) - 4
    events, error = decode(data, b"\0")
    assert error == f"CorruptError: frame of length 0 at byte {len(data)}"
    events, error = decode(data[:-1], data[-1:] + BAD_CHANGE)
    assert error == f"CorruptError: field number 0 at byte {len(data) + 5}"


def test_a_blob_of_any_length_needs_no_room():
    decoder = Decoder()
    length = 2**62
    assert decoder.feed(varint(length + 1) + b"\2") == []
    assert decoder.feed(b"abc") == [Blob(length, 0, b"abc")]
    assert decoder.feed(b"de") == [Blob(length, 3, b"de")]
    with pytest.raises(TruncatedError, match=r" at byte 0$"):
        decoder.close()


@pytest.mark.parametrize("limit", [0, 5, WHOLE_BLOB, WHOLE_BLOB + 1])
def test_blob_limit(limit):
    blob = bytes(limit)
    assert Decoder(max_blob=limit).feed(frame(2, blob)) == [whole(blob)]
    too_long = frame(2, blob + b"x")
    for data in (too_long, too_long[: len(varint(limit + 2)) + 1]):
        with pytest.raises(CorruptError, match=r"^frame longer than the limit at byte 0$"):
            Decoder(max_blob=limit).feed(data)


def test_frame_limit():
    data = Encoder().change(CHANGES[1])
    size = len(data) - 1
    assert Decoder(max_frame=size).feed(data) == [CHANGES[1]]
    with pytest.raises(CorruptError, match=r"^frame longer than the limit at byte 0$"):
        Decoder(max_frame=size - 1).feed(data[:2])
    assert Encoder(max_frame=size).change(CHANGES[1]) == data
    with pytest.raises(EncodeError, match=r"^frame longer than the limit at item 1$"):
        Encoder(max_frame=size - 1).changes(CHANGES[:2])
    # a blob has its own
    assert Decoder(max_frame=1).feed(MARKER) == [whole(MARKER[2:])]


def test_a_long_frame_in_small_pieces_takes_linear_time():
    change = Change("k", 1, 0, 1, bytes(2**20))
    data = Encoder().change(change)
    decoder = Decoder()
    begin = time.perf_counter()
    events = [event for at in range(0, len(data), 64) for event in decoder.feed(data[at : at + 64])]
    assert events == [change]
    assert time.perf_counter() - begin < 5  # copying all for each piece would take 8 GiB


def test_a_blob_in_pieces_is_written_with_its_length_kept():
    encoder = Encoder()
    data = encoder.blob_header(10)
    data += bytes(encoder.blob_piece(b"abc"))
    data += bytes(encoder.blob_piece(memoryview(b"defghi")))
    for early in (
        encoder.close,
        lambda: encoder.change(CHANGES[0]),
        lambda: encoder.blob(b""),
        lambda: encoder.blob_header(1),
    ):
        with pytest.raises(InvalidError, match=r"^the blob still lacks 1 bytes$"):
            early()
    with pytest.raises(InvalidError, match=r"^2 bytes given, but the blob lacks 1$"):
        encoder.blob_piece(b"jk")
    data += bytes(encoder.blob_piece(b"j"))
    with pytest.raises(InvalidError):
        encoder.blob_piece(b"k")
    encoder.close()
    assert data == encoder.blob(b"abcdefghij") == b"\x0b\2abcdefghij"
    assert encoder.blob_header(0) == b"\1\2"
    encoder.close()


@given(all_bytes(streams()), st.lists(st.integers(0, 400), max_size=6))
def test_cuts_do_not_matter(data, cuts):
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    events, error = decode(*(data[a:b] for a, b in pairwise(edges)))
    expected, same_error = decode(data)
    assert (joined(events), error) == (joined(expected), same_error)


@given(streams())
def test_round_trip(data):
    events, error = decode(data)
    assert error is None
    encoder = Encoder()
    again = b"".join(
        encoder.change(event) if isinstance(event, Change) else encoder.blob(event.data) for event in events
    )
    assert decode(again) == (events, None)
