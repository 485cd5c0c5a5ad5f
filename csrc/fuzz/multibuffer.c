/* Multibuffers: all at once, counted, and an item at a time agree; what was found, packed and found again. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    input in = {data, len};
    size_t extra = take_byte(&in), from = take_byte(&in) % 4, count = 99, at = from, counted = 99, counted_at = from;
    uint64_t *starts = numbers(in.len), *ends = numbers(in.len);
    sc_status status = sc_multibuffer_unpack(in.data, in.len, extra, starts, ends, in.len, &count, &at);
    REQUIRE(sc_multibuffer_unpack(in.data, in.len, extra, NULL, NULL, SIZE_MAX, &counted, &counted_at) == status);
    REQUIRE(counted == count && counted_at == at && (status == SC_OK || (status == SC_VARINT && count == 0)));

    size_t place = from, one = 1;
    uint64_t start, end, offsets[2], total = 0;
    for (size_t i = 0; i < count; i++) {
        REQUIRE(sc_multibuffer_unpack(in.data, in.len, extra, &start, &end, 1, &one, &place) == SC_OK);
        REQUIRE(one == 1 && start == starts[i] && end == ends[i] && place == end && end <= in.len);
        offsets[0] = start;
        offsets[1] = end;
        total += sc_multibuffer_size(offsets, 1, extra);
    }
    REQUIRE(count == 0 || at == ends[count - 1]);

    size_t filled = 0;
    uint8_t *out = room_for(total);
    for (size_t i = 0; i < count; i++) {
        offsets[0] = starts[i];
        offsets[1] = ends[i];
        REQUIRE(sc_multibuffer_pack(in.data, in.len, offsets, 1, extra, out + filled, total - filled, &at) == SC_OK);
        filled += at;
    }
    place = 0;
    for (size_t i = 0; i < count; i++) {
        REQUIRE(sc_multibuffer_unpack(out, total, extra, &start, &end, 1, &one, &place) == SC_OK && one == 1);
        REQUIRE(end - start == ends[i] - starts[i] && same(out + start, in.data + starts[i], end - start));
    }
    REQUIRE(place == total && filled == total);
    return free_all();
}
