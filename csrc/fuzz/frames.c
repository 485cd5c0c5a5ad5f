/* Frames: all at once, counted, one at a time, and from a stream that comes in two pieces agree. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    input in = {data, len};
    uint64_t max_change = take_number(&in), max_blob = take_number(&in);
    size_t cut = take_byte(&in) % (in.len + 1), count = 99, at = 0, counted = 99, counted_at = 0;
    uint8_t *ids = room_for(in.len), id;
    uint64_t *starts = numbers(in.len), *ends = numbers(in.len), start, end;
    sc_status status = sc_frames_scan(in.data, in.len, max_change, max_blob, ids, starts, ends, in.len, &count, &at);
    REQUIRE(sc_frames_scan(in.data, in.len, max_change, max_blob, NULL, NULL, NULL, SIZE_MAX, &counted, &counted_at) ==
            status);
    REQUIRE(counted == count && counted_at == at && (status == SC_OK || (count == 0 && at == 0)));

    size_t place = 0, one = 1;
    for (size_t i = 0; i < count; i++) {
        REQUIRE(sc_frames_scan(in.data, in.len, max_change, max_blob, &id, &start, &end, 1, &one, &place) == SC_OK);
        REQUIRE(one == 1 && id == ids[i] && start == starts[i] && end == ends[i] && place == end && end <= in.len);
        REQUIRE(id == SC_FRAME_CHANGE || id == SC_FRAME_BLOB);
        REQUIRE(end - start < (id == SC_FRAME_CHANGE ? max_change : max_blob));
    }
    REQUIRE(at == place);

    /* The first piece gives the first frames and no error that the whole does not give. */
    uint8_t *piece = exact(in.data, cut);
    place = 0;
    sc_status first = sc_frames_scan(piece, cut, max_change, max_blob, NULL, NULL, NULL, SIZE_MAX, &one, &place);
    REQUIRE(first == SC_OK || first == status);
    REQUIRE(one <= count && (one == count || ends[one] > cut) && place == (one == 0 ? 0 : ends[one - 1]));
    sc_status rest =
        sc_frames_scan(in.data, in.len, max_change, max_blob, NULL, NULL, NULL, SIZE_MAX, &counted, &place);
    REQUIRE(one + counted == count && place == at && (rest == SC_OK || one == count));
    return free_all();
}
