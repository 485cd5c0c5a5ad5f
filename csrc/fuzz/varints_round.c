/* Numbers written and read again, also with too little room. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    input in = {data, len};
    int zigzag = take_byte(&in) & 1;
    size_t less = take_byte(&in), count = 0, at = 0, found = 0;
    uint64_t values[64], *got = numbers(64);
    while (in.len > 0 && count < 64)
        values[count++] = take_number(&in);
    size_t size = sc_varints_size(values, count, zigzag);
    if (less > 0 && less <= size) {
        REQUIRE(sc_varints_encode(values, count, zigzag, room_for(size - less), size - less, &at) == SC_ROOM);
        REQUIRE(at < count && sc_varints_size(values, at, zigzag) <= size - less);
        REQUIRE(sc_varints_size(values, at + 1, zigzag) > size - less);
    }
    uint8_t *out = room_for(size);
    REQUIRE(sc_varints_encode(values, count, zigzag, out, size, &at) == SC_OK && at == size);
    REQUIRE(sc_varints_count(out, size) == count);
    REQUIRE(sc_varints_decode(out, size, zigzag, got, count, &found, &at) == SC_OK);
    REQUIRE(found == count && at == size && same(got, values, count * sizeof *values));
    return free_all();
}
