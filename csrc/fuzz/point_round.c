/* One point in one call: the bytes that blocks and changes make of a batch of one, or the same error; and added to a row. */
#include "change_columns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    input in = {data, len};
    uint8_t flags = take_byte(&in), clocked = flags & 1;
    sc_point p = {.write_time = (int64_t)take_number(&in), .t = sc_unzigzag(take_number(&in)), .clocked = flags & 1};
    p.boot = take_number(&in);
    p.ms = take_number(&in);
    p.change = (uint32_t)take_number(&in);
    p.from = (uint32_t)take_number(&in);
    p.to = (uint32_t)take_number(&in);
    size_t key_len = take_byte(&in);
    key_len = key_len < in.len ? key_len : in.len;
    const uint8_t *key = exact(in.data, key_len), *text = exact(in.data + key_len, in.len - key_len);
    size_t text_len = in.len - key_len, room = in.len + 128, block = 99, at = 99, made = 0, other = 0;
    uint8_t *out = room_for(room), *value = room_for(room), *frame = room_for(room);
    sc_status status = sc_point_encode(&p, key, key_len, text, text_len, out, room, &block, &at);

    uint64_t zero = 0, end = text_len, offsets[2], firsts[2], six = 6, key_end = key_len, frame_end = 0;
    uint32_t series = 0, of_block, order, scratch[3];
    sc_points points = {&p.t, &clocked, &p.boot, &p.ms, text, text_len, &zero, &end};
    sc_blocks blocks = {offsets, &of_block, firsts, &order, scratch, NULL, 0};
    sc_status want = sc_blocks_encode(&points, &series, 1, p.write_time, 1, SIZE_MAX, &blocks, value, room, &made);
    uint64_t value_end = made;
    sc_changes row = {(const uint8_t *)"sensor",
                      6,
                      &zero,
                      &six,
                      key,
                      key_len,
                      &zero,
                      &key_end,
                      value,
                      room,
                      &zero,
                      &value_end,
                      &p.change,
                      &p.from,
                      &p.to};
    if (want == SC_OK)
        want = sc_changes_encode(&row, 1, SC_MAX_FRAME, frame, room, &frame_end, &other);
    REQUIRE(status == want);
    if (status == SC_OK)
        REQUIRE(at == other && same(out, frame, at) && block == at - value_end);
    else
        REQUIRE(at == 0);
    if (status == SC_OK)
        REQUIRE(sc_point_encode(&p, key, key_len, text, text_len, room_for(at - 1), at - 1, &block, &made) == SC_ROOM);

    static const uint8_t uuid[SC_UUID_BYTES];
    size_t most = key_len + 3 * text_len + 4500;
    uint8_t *added = room_for(most);
    p.from = 0;
    p.to = 1;
    want = sc_point_encode(&p, key, key_len, text, text_len, out, room, &block, &at);
    REQUIRE(sc_point_add(p.write_time, p.t, p.clocked, p.boot, p.ms, p.change, key, key_len, text, text_len, NULL, 0, NULL,
                         0, uuid, 1, 0, 0, UINT32_MAX, added, most, &other) == want);
    REQUIRE(want == SC_OK ? other > 12 + at && same(added + 6, out, at) : other == 0);
    return free_all();
}
