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

/* What sc_point_encode and sc_rows_add make of it, in two calls. */
static void added(const sc_point *p, bytes key, bytes data, bytes record)
{
    uint8_t uuids[32] = {1}, deferred = 9, clocked, last_clocked;
    size_t most = 2 * key.len + record.len + 3 * data.len + 900, block = 99, at = 99, size = 99, rows_at = 99;
    uint8_t *out = room_for(most), *frame = room_for(most), *rest = room_for(most);
    EQUAL(sc_point_encode(p, key.data, key.len, data.data, data.len, frame, most, &block, &size), SC_OK);
    uint64_t start = block, end = size, suffix[] = {0, 3}, records[] = {0, record.len};
    uint64_t count, min_boot, min_ms, max_boot, max_ms, last_boot, last_ms, data_start, data_end;
    int64_t write_time, first_t, last_t;
    sc_summaries s = {&write_time, &count,  &first_t,      &last_t,    &clocked, &min_boot,   &min_ms,
                      &max_boot,   &max_ms, &last_clocked, &last_boot, &last_ms, &data_start, &data_end,
                      NULL,        sc_lasts_size(frame, size, &start, &end, 1)};
    s.data = room_for(s.data_len);
    EQUAL(sc_blocks_summarize(frame, size, &start, &end, 1, &s, &at), SC_OK);
    const uint8_t *name = (const uint8_t *)"row";
    sc_rows rows = {1, name, 3, suffix, record.data, record.len, records, uuids, 2, 5};
    uint32_t row_of = 0, change = p->change, version = p->to;
    sc_row scratch;
    uint64_t recent[SC_RECENT];
    sc_status want = sc_rows_add(&rows, frame, size, &start, &end, &s, &row_of, &change, &version, 1, 1, &scratch, recent,
                                 &deferred, rest, most, &rows_at);
    EQUAL(sc_point_add(p, key.data, key.len, data.data, data.len, name, 3, record.data, record.len, uuids, 2, 5, 1,
                       out, most, &at),
          want);
    if (want != SC_OK) {
        EQUAL(at, 0);
        return;
    }
    bytes head = hex("94 ce 00 00 00 00 00 c6 00 00 00 00");
    head.data[5] = (uint8_t)block;
    head.data[6] = deferred;
    head.data[11] = (uint8_t)size;
    SAME(out, at, join(join(head, exact(frame, size)), exact(rest, rows_at)));
    size_t enough = key.len + 6 + record.len + 3 * data.len + 4500;
    for (size_t room = 0; room <= enough; room += room < at ? 1 : 64) {
        size_t got = 99;
        sc_status status = sc_point_add(p, key.data, key.len, data.data, data.len, name, 3, record.data, record.len,
                                        uuids, 2, 5, 1, room_for(room), room, &got);
        CHECK(status == (room < at ? SC_ROOM : SC_OK) || (status == SC_ROOM && room < enough));
        EQUAL(got, status == SC_OK ? at : 0);
    }
    EQUAL(sc_point_add(p, key.data, key.len, data.data, data.len, name, 3, record.data, record.len, uuids, 2, 5, 1,
                       room_for(enough), enough, &at),
          SC_OK);
}

static void points_added(void)
{
    bytes key = exact("troop/1/r", 9), data = exact("{\"a\":1}", 7), none = {NULL, 0};
    const sc_point points[] = {{7, 9, 0, 3, 4, 1, 0, 1},
                               {7, 9, 1, 3, 4, UINT32_MAX, 8, 9},
                               {INT64_MAX, INT64_MAX, 1, UINT64_MAX, UINT64_MAX, 1, 2, 3},
                               {0, 4, 1, 0, 0, 1, 0, 1}};
    about("points and what they do to the views");
    for (size_t i = 0; i < COUNT(points); i++) {
        added(&points[i], key, data, none);
        added(&points[i], key, data, repeat(0, 117));
        added(&points[i], key, data, repeat(1, 130));
        added(&points[i], key, data, repeat(0, 116));
    }
    size_t at = 99;
    uint8_t out[15];
    EQUAL(sc_point_add(&points[0], key.data, key.len, NULL, 0, NULL, 0, NULL, 0, NULL, 0, 0, 0, out, 15, &at),
          SC_DATA_EMPTY);
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
