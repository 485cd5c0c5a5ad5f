/* Varints in bulk against one at a time; what reads well, written and read again. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    input in = {data, len};
    int zigzag = take_byte(&in) & 1;
    size_t most = sc_varints_count(in.data, in.len), room = zigzag || most == 0 ? most : most - 1;
    uint64_t *values = numbers(room), value = 0;
    size_t count = 99, at = 99, one = 0, expected = 0;
    sc_status status = sc_varints_decode(in.data, in.len, zigzag, values, room, &count, &at), single = SC_OK;
    while (one < in.len && (single = sc_varint_get(in.data, in.len, &one, &value)) == SC_OK) {
        if (expected == room) {
            single = SC_ROOM;
            break;
        }
        REQUIRE(values[expected++] == (zigzag ? (uint64_t)sc_unzigzag(value) : value));
    }
    REQUIRE(status == single && count == expected);
    REQUIRE(status == SC_ROOM || at == one);

    size_t size = sc_varints_size(values, count, zigzag);
    REQUIRE(size <= in.len);
    uint8_t *out = room_for(size);
    REQUIRE(sc_varints_encode(values, count, zigzag, out, size, &at) == SC_OK && at == size);
    uint64_t *again = numbers(count);
    REQUIRE(sc_varints_decode(out, size, zigzag, again, count, &expected, &at) == SC_OK && expected == count);
    REQUIRE(same(values, again, count * sizeof *values));
    return free_all();
}
