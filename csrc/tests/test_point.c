#include "check.h"

/* What sc_blocks_encode and sc_changes_encode make of a batch of one. */
static sc_status two_calls(sc_point p, bytes key, bytes data, uint8_t *out, size_t room, size_t *block, size_t *at)
{
    uint8_t clocked = (uint8_t)(p.clocked != 0), subset[] = "sensor";
    uint64_t zero = 0, data_end = data.len, offsets[2], firsts[2], key_end = key.len, subset_end = 6, end = 0;
    uint32_t series = 0, of_block, order, scratch[3];
    sc_points points = {&p.t, &clocked, &p.boot, &p.ms, data.data, data.len, &zero, &data_end};
    sc_blocks blocks = {offsets, &of_block, firsts, &order, scratch, NULL, 0};
    size_t size = sc_blocks_size(&points, 1);
    uint8_t *value = room_for(size);
    sc_status status = sc_blocks_encode(&points, &series, 1, p.write_time, 1, SIZE_MAX, &blocks, value, size, at);
    if (status != SC_OK) {
        return status;
    }
    uint64_t value_end = *at;
    sc_changes c = {subset, 6,    &zero, &subset_end, key.data,  key.len, &zero, &key_end,
                    value,  size, &zero, &value_end,  &p.change, &p.from, &p.to};
    status = sc_changes_encode(&c, 1, SC_MAX_FRAME, out, room, &end, at);
    *block = end - value_end;
    return status;
}

static void both(const sc_point *p, bytes key, bytes data, sc_status want)
{
    size_t room = key.len + data.len + 128, at = 99, block = 99, other_at = 99, other_block = 99;
    uint8_t *out = room_for(room), *other = room_for(room);
    EQUAL(sc_point_encode(p, key.data, key.len, data.data, data.len, out, room, &block, &at), want);
    EQUAL(two_calls(*p, key, data, other, room, &other_block, &other_at), want);
    if (want != SC_OK) {
        EQUAL(at, 0);
        return;
    }
    EQUAL(block, other_block);
    SAME(out, at, exact(other, other_at));
    if (at < 300) {
        for (size_t less = 0; less <= at; less++) {
            size_t end = 99;
            out = room_for(less);
            EQUAL(sc_point_encode(p, key.data, key.len, data.data, data.len, out, less, &block, &end),
                  less < at ? SC_ROOM : SC_OK);
            EQUAL(end, less < at ? 0 : at);
        }
    }
}

static bytes text(const char *words) { return exact(words, strlen(words)); }

static void adds(sc_point p, const char *key, size_t data_len, bytes record, sc_status want)
{
    size_t at = 99, room = 4500 + 3 * data_len;
    bytes data = repeat('1', data_len), name = text(key);
    EQUAL(sc_point_add(p.write_time, p.t, p.clocked, p.boot, p.ms, p.change, name.data, name.len, data.data, data.len, NULL,
                       0, record.data, record.len, repeat(1, SC_UUID_BYTES).data, 1, 0, 0, UINT32_MAX, room_for(room),
                       room, &at),
          want);
    CHECK(want == SC_OK ? at > 0 : at == 0);
}

/* What comes of good ones test_append.c tells. */
static void points_added(void)
{
    bytes none = {NULL, 0}, wrong = hex("c0");
    sc_point p = {7, 9, 0, 3, 4, 1, 0, 0}, early = p;
    early.write_time = -1;
    about("points added to rows, and in which order it is looked for what is wrong");
    adds(p, "k", 1, none, SC_OK);
    adds(early, "\xff", 0, wrong, SC_TIME);
    adds(p, "\xff", 0, wrong, SC_DATA_EMPTY);
    adds(p, "\xff", SC_MAX_DATA + 1, wrong, SC_DATA_SIZE);
    adds(p, "\xff", 1, wrong, SC_RECORD);
    adds(p, "\xff", 1, none, SC_UTF8);
    size_t at = 99;
    uint8_t out[15];
    EQUAL(sc_point_add(7, 9, 0, 3, 4, 1, NULL, 0, out, 1, NULL, 0, NULL, 0, NULL, 0, 0, 0, UINT32_MAX, out, 15, &at),
          SC_BOUNDS);
    EQUAL(at, 0);
}

void test_point(void)
{
    points_added();
    static const int64_t times[] = {0, 1, -1, 1700000000000000, INT64_MAX, INT64_MIN};
    static const uint64_t wide[] = {0, 127, 128, UINT32_MAX, UINT64_MAX};
    for (size_t i = 0; i < COUNT(times); i++) {
        for (size_t k = 0; k < COUNT(wide); k++) {
            for (int clocked = 0; clocked < 2; clocked++) {
                uint32_t number = (uint32_t)wide[k];
                sc_point p = {times[i] < 0 ? 5 : times[i],
                              times[i],
                              clocked,
                              wide[k],
                              wide[k] / 3,
                              number,
                              number / 5,
                              number / 7};
                about("a point as two calls make it");
                both(&p, text("2pKxQm1cT5d0w8Zs/7/temp"), text("{\"c\":21.5}"), SC_OK);
                both(&p, text("caf\xc3\xa9"), repeat('1', 1u << (3 * k)), SC_OK);
            }
        }
    }
    sc_point p = {5, 10, 0, 0, 0, 1, 0, 1};
    about("no key");
    both(&p, (bytes){NULL, 0}, text("1"), SC_OK);
    about("the longest data and one byte more");
    both(&p, text("k"), repeat('1', SC_MAX_DATA), SC_OK);
    both(&p, text("k"), repeat('1', SC_MAX_DATA + 1), SC_DATA_SIZE);
    about("the longest frame and one byte more");
    size_t rest = 1 + 8 + 5 + 6 + 2 + 6; /* id, subset, key's tag and length, numbers, value's, a block of one */
    both(&p, repeat('k', SC_MAX_FRAME - rest), text("1"), SC_OK);
    both(&p, repeat('k', SC_MAX_FRAME - rest + 1), text("1"), SC_FRAME_SIZE);
    about("wrong points");
    both(&p, text("k"), (bytes){NULL, 0}, SC_DATA_EMPTY);
    both(&p, text("\xff"), text("1"), SC_UTF8);
    both(&p, text("kkkkkkkkkkk\xc3"), text("1"), SC_UTF8);
    p.write_time = -1;
    both(&p, text("k"), text("1"), SC_TIME);
}
