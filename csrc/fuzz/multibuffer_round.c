/* Slices of a buffer packed and found again; slices that are none; too little room. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    input in = {data, len};
    size_t extra = take_byte(&in), less = take_byte(&in), count = take_byte(&in) % 32, bad = count;
    uint64_t offsets[33] = {take_byte(&in)};
    for (size_t i = 0; i < count; i++)
        offsets[i + 1] = offsets[i] + (uint64_t)(int64_t)(int8_t)take_byte(&in);
    for (size_t i = count; i-- > 0;)
        if (offsets[i] > offsets[i + 1] || offsets[i + 1] > in.len)
            bad = i;

    size_t at = 99, found = 99, place = 0;
    size_t size = bad == count ? sc_multibuffer_size(offsets, count, extra) : 64;
    uint8_t *out = room_for(size);
    sc_status status = sc_multibuffer_pack(in.data, in.len, offsets, count, extra, out, size, &at);
    if (bad < count) {
        REQUIRE(status == SC_BOUNDS && at == bad);
        return free_all();
    }
    REQUIRE(status == SC_OK && at == size);
    uint64_t starts[33], ends[33];
    REQUIRE(sc_multibuffer_unpack(out, size, extra, starts, ends, 33, &found, &place) == SC_OK);
    REQUIRE(found == count && place == size);
    for (size_t i = 0; i < count; i++) {
        REQUIRE(ends[i] - starts[i] == offsets[i + 1] - offsets[i]);
        REQUIRE(same(out + starts[i], in.data + offsets[i], ends[i] - starts[i]));
    }
    if (less > 0 && less <= size) {
        uint8_t *small = room_for(size - less);
        REQUIRE(sc_multibuffer_pack(in.data, in.len, offsets, count, extra, small, size - less, &at) == SC_ROOM);
        REQUIRE(at < count);
    }
    return free_all();
}
