#include "check.h"

#include "../block.h"

#define RECORD (3 + 9 * 18 + 3 + 51 + SC_RECENT * 7 + 5) /* the most of a record beside its data */
#define HEAD   (5 + 5) /* of the array of puts and records, and of the puts in it */
#define BIAS   (UINT64_C(1) << 63)
#define LOGS   "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb"

static int64_t newest = INT64_MIN;

/* Two blocks of log 1, change 7: t 10 (boot 3, ms 200) and 20 (boot 3, ms 300), written at 50; and t 30, no clock. */
#define CLOCKED "00 32 06 14 01 03 c8 01 31 07 14 01 03 ac 02 32 32"
#define PLAIN   "00 32 03 3c 00 33"

static bytes number(uint64_t value, size_t width)
{
    bytes made = repeat(0, width);
    for (size_t i = width; i > 0; i--, value >>= 8) {
        made.data[i - 1] = (uint8_t)value;
    }
    return made;
}

typedef struct record {
    uint64_t flags, own_log, own_count, points, receptions, max_boot, max_ms, widest, low, t, log, change, index, shown_t,
        boot, ms, span;
    const char *data;
    uint64_t floor; /* less the smallest int64 */
    const char *recent; /* as hex */
} record;

/* As msgpack writes it: in the tag, or behind one that tells the width. */
static bytes least(uint64_t value)
{
    for (unsigned log = 0; value >= 0x80; log++) {
        if (log == 3 || value >> (8u << log) == 0) {
            return join(number(0xcc + log, 1), number(value, (size_t)1 << log));
        }
    }
    return number(value, 1);
}

static bytes packed(record r)
{
    const uint64_t fields[] = {r.flags,  r.own_log,   r.own_count, r.points,        r.receptions, r.max_boot,
                               r.max_ms, r.widest,    r.low ^ r.t, r.t ^ BIAS,      r.log,        r.change,
                               r.index,  r.shown_t ^ r.t, r.boot,  r.ms,            r.floor,      r.span};
    bytes made = hex("dc 00 14"), recent = hex(r.recent ? r.recent : "");
    for (size_t i = 0; i < COUNT(fields); i++) {
        made = join(made, least(fields[i]));
    }
    made = join(made, join(join(hex("c4"), number(recent.len, 1)), recent));
    return join(join(made, join(hex("c4"), number(strlen(r.data), 1))), exact(r.data, strlen(r.data)));
}

static bytes string(bytes text)
{
    return join(join(hex("c6"), number(text.len, 4)), text);
}

static bytes text(const char *chars)
{
    return exact(chars, strlen(chars));
}

typedef struct added {
    sc_status status;
    size_t at;
    uint8_t deferred;
    bytes out;
} added;

/* Adds one block, change 7 of log 1, to a row "row" of this record, with room for at most so much. */
static added add(bytes block, bytes record_bytes, const uint32_t *versions, size_t most)
{
    added made = {SC_OK, 99, 9, {NULL, 0}};
    uint64_t start = 0, end = block.len, suffix[] = {0, 3}, records[] = {0, record_bytes.len};
    uint32_t row_of = 0, change = 7;
    bytes name = text("row"), uuids = text(LOGS);
    sc_rows rows = {1, NULL, 0, NULL, NULL, name.data, 3, &suffix[0], &suffix[1], record_bytes.data, record_bytes.len,
                    &records[0], &records[1], uuids.data, 2, newest};
    int64_t write_time, first_t, last_t;
    uint64_t count, min_boot, min_ms, max_boot, max_ms, last_boot, last_ms, data_start, data_end;
    uint8_t clocks, last_clocked;
    sc_summaries s = {&write_time, &count,  &first_t,      &last_t,    &clocks,  &min_boot,   &min_ms,
                      &max_boot,   &max_ms, &last_clocked, &last_boot, &last_ms, &data_start, &data_end,
                      NULL,        sc_lasts_size(block.data, block.len, &start, &end, 1)};
    s.data = room_for(s.data_len);
    EQUAL(sc_blocks_summarize(block.data, block.len, &start, &end, 1, &s, &made.at), SC_OK);
    size_t enough = sc_rows_size(&rows, &start, &end, &row_of, 1, s.data_len), room = most < enough ? most : enough;
    uint8_t *out = room_for(room);
    sc_row *scratch = room_for(sizeof *scratch);
    uint64_t *recent = room_for(SC_RECENT * sizeof *recent);
    made.status = sc_rows_add(&rows, block.data, block.len, &start, &end, &s, &row_of, &change, versions, 1, 1, scratch,
                              recent, &made.deferred, out, room, &made.at);
    if (made.status == SC_OK) {
        made.out = exact(out, made.at);
    }
    return made;
}

static bytes list(uint64_t items, bytes content)
{
    return join(join(hex("dd"), number(items, 4)), content);
}

static void gives(const char *what, bytes block, bytes before, const uint32_t *versions, uint8_t deferred, bytes puts,
                  record after)
{
    about(what);
    added made = add(block, before, versions, SIZE_MAX);
    EQUAL(made.status, SC_OK);
    EQUAL(made.deferred, deferred);
    size_t items = puts.len == 0 ? 0 : block.len < 10 ? 2 : 4;
    SAME(made.out.data, made.out.len, list(2, join(string(list(items, puts)), string(packed(after)))));
}

static bytes history(uint64_t first_t, bytes block)
{
    bytes key = join(join(text("hrow"), hex("00")), join(number(first_t + (UINT64_C(1) << 63), 8), hex("00 00 00 01")));
    return join(string(join(key, hex("00 00 00 07"))), string(join(hex("00"), block)));
}

static void records(void)
{
    bytes none = {NULL, 0}, clocked = hex(CLOCKED), plain = hex(PLAIN);
    bytes clock_key = join(join(text("irow"), hex("00")), join(number(3, 8), number(300, 8)));
    clock_key = join(clock_key, hex("00 00 00 01 00 00 00 07"));
    bytes entry = join(number(200, 8), number(10 + (UINT64_C(1) << 63), 8));
    bytes both = join(history(10, clocked), join(string(clock_key), string(entry)));
    record fresh = {3, 0, 0, 2, 2, 3, 300, 100, 20, 20, 1, 7, 1, 20, 3, 300, 10, "22", 0, NULL};
    gives("a new row", clocked, none, NULL, 0, both, fresh);

    uint32_t version = 5;
    record own = {0, 2, 5, 1, 1, 0, 0, 0, 30, 30, 1, 7, 0, 30, 0, 0, 0, "3", 0, NULL};
    gives("without clocks, in our own log", plain, none, &version, 0, history(30, plain), own);

    record later = {3, 0, 0, 8, 9, 3, 199, 7, 21, 22, 0, 6, 2, 22, 3, 150, 11, "last", 0, NULL}, after = later;
    after.points = 10;
    after.receptions = 11;
    after.max_ms = 300;
    after.widest = 100;
    gives("before the last value", clocked, packed(later), NULL, 0, both, after);

    later.max_ms = 200;
    after = later;
    after.receptions = 11;
    after.max_ms = 300;
    after.recent = "ad 02 00";
    gives("maybe heard before", clocked, packed(later), NULL, 1, none, after);
    later.max_boot = 4;
    after = later;
    after.receptions = 11;
    after.recent = "c9 01 00";
    gives("all before the greatest", clocked, packed(later), NULL, 1, none, after);

    after = later;
    later.floor = after.floor = BIAS + 11;
    gives("before the row's floor", clocked, packed(later), NULL, 2, none, after);
    newest = 11;
    record empty = {4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "", 0, NULL};
    gives("before the newest floor", clocked, none, NULL, 2, none, empty);
    newest = 10;
    gives("from the newest floor on", clocked, none, NULL, 0, both, fresh);
    newest = INT64_MIN;

    /* In order of importance: min(t, write time), t, log uuid, change, index. Each is put above and below. */
    record last = {0, 0, 0, 1, 1, 0, 0, 0, 30, 30, 1, 7, 0, 30, 0, 0, 0, "old", 0, NULL};
    for (int field = 0; field < 5; field++) {
        for (int above = 0; above < 2; above++) {
            record before = last;
            before.low += field == 0 && above ? 1 : field == 0 ? UINT64_MAX : 0;
            before.t += field == 1 && above ? 1 : field == 1 ? UINT64_MAX : 0;
            before.log -= field == 2; /* the other log is always below */
            before.change += field == 3 && above ? 1 : field == 3 ? UINT64_MAX : 0;
            before.index += field == 4 && above;
            record want = before;
            want.points = want.receptions = 2;
            bool stays = field == 4 || (above && field != 2);
            if (!stays) {
                want = (record){0, 0, 0, 2, 2, 0, 0, 0, 30, 30, 1, 7, 0, 30, 0, 0, 0, "3", 0, NULL};
            }
            gives("ranks", plain, packed(before), NULL, 0, history(30, plain), want);
        }
    }
}

/* The block has boot 3, ms 200 and 300. */
static void recents(void)
{
    bytes none = {NULL, 0}, clocked = hex(CLOCKED);
    record row = {3, 0, 0, 8, 9, 3, 500, 7, 30, 30, 0, 6, 2, 30, 3, 500, 11, "last", 0, "96 01 00"}, after = row;
    bytes clock_key = join(join(text("irow"), hex("00")), join(number(3, 8), number(300, 8)));
    clock_key = join(clock_key, hex("00 00 00 01 00 00 00 07"));
    bytes entry = join(number(200, 8), number(10 + (UINT64_C(1) << 63), 8));
    bytes both = join(history(10, clocked), join(string(clock_key), string(entry)));
    after.points = 10;
    after.receptions = 11;
    after.widest = 100;
    after.recent = "96 01 02 40 90 03 c8 01";
    gives("late, but never heard", clocked, packed(row), NULL, 0, both, after);
    row.recent = "96 01 02 40 e6 03 c8 01"; /* 243 and 343 */
    about("kept beside what was");
    EQUAL(add(clocked, packed(row), NULL, SIZE_MAX).deferred, 0);

    row.recent = "96 01 01 00 d8 04"; /* 300 */
    after = row;
    after.receptions = 11;
    after.recent = "96 01 02 40 90 03 c8 01";
    gives("one was heard", clocked, packed(row), NULL, 1, none, after);
    row.recent = "c9 01 00";
    after.recent = "c9 01 01 00 d8 04";
    gives("begins before what is kept", clocked, packed(row), NULL, 1, none, after);
    row.max_boot = after.max_boot = 4;
    after.recent = row.recent;
    gives("of a boot before", clocked, packed(row), NULL, 1, none, after);
    row.max_boot = 2;
    after = row;
    after.max_boot = 3;
    after.max_ms = 300;
    after.points = 10;
    after.receptions = 11;
    after.widest = 100;
    after.recent = "00 02 40 90 03 c8 01";
    gives("of a boot behind", clocked, packed(row), NULL, 0, both, after);

    about("readings that are too many or far apart");
    static const char *const bad[] = {"80", "00", "00 81 04", "00 01", "05 01 00 08", "00 02 00 08", "00 00 00", "00 02 40 08 01"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        row.recent = bad[i];
        EQUAL(add(clocked, packed(row), NULL, SIZE_MAX).status, SC_RECORD);
    }

    /* t 10, 20 and 30, boot 3: ms 200, 200, 300; and 300, 200, 200. */
    bytes twice = hex("00 32 06 14 01 03 c8 01 31 06 14 01 03 c8 01 32 06 14 01 03 ac 02 33");
    record first = {3, 0, 0, 2, 3, 3, 300, 100, 30, 30, 1, 7, 2, 30, 3, 300, 20, "3", 0, NULL};
    bytes key = join(join(text("hrow"), hex("00")), join(number(10 + (UINT64_C(1) << 63), 8), hex("00 00 00 01 00 00 00 07")));
    bytes hidden = join(hex("01 00 00 00 01 00 00 00 01"), twice);
    bytes puts = join(join(string(key), string(hidden)), join(string(clock_key), string(entry)));
    gives("twice in itself", twice, none, NULL, 0, puts, first);
    bytes ends = hex("00 32 06 14 01 03 ac 02 31 06 14 01 03 c8 01 32 06 14 01 03 c8 01 33");
    EQUAL(add(ends, none, NULL, SIZE_MAX).deferred, 1);
}

/* A block, written at 50, of points 10 apart from 10 on, point k at boots[k] and ms[k]. */
static bytes readings_block(const uint64_t *boots, const uint64_t *ms, size_t count)
{
    bytes block = hex("00 32");
    for (size_t i = 0; i < count; i++) {
        uint8_t clock[2 * SC_VARINT_BYTES];
        size_t size = sc_varint_put(clock, boots[i]);
        size += sc_varint_put(clock + size, ms[i]);
        bytes point = join(hex("14 01"), join(exact(clock, size), hex("35")));
        block = join(block, join(number(point.len, 1), point));
    }
    return block;
}

/* What becomes of such a block; the items that are put for it. */
static void takes(const char *what, bytes block, bytes before, uint8_t deferred, size_t items)
{
    about(what);
    added made = add(block, before, NULL, SIZE_MAX);
    EQUAL(made.status, SC_OK);
    EQUAL(made.deferred, deferred);
    SAME(made.out.data, 5, hex("dd 00 00 00 02"));
    SAME(made.out.data + HEAD, 5, list(items, (bytes){NULL, 0}));
}

/* Whether the block's value begins so: with what it hides. */
static void hides(bytes block, const char *want)
{
    bytes head = hex(want), got = add(block, (bytes){NULL, 0}, NULL, SIZE_MAX).out;
    size_t value = HEAD + 5 + 5 + 5 + 16 + 5; /* behind the heads of both arrays, the key and the head of the value */
    CHECK(got.len > value + head.len);
    SAME(got.data + value, head.len, head);
}

static void many_readings(void)
{
    enum { HOUR = SC_CLOCK_RANGE, MOST = SC_MAX_COLUMN + 1 };
    bytes none = {NULL, 0};
    uint64_t boots[MOST], ms[MOST];
    for (size_t i = 0; i < MOST; i++) {
        boots[i] = 3;
    }
    static const uint64_t apart[] = {1000, 1000 + HOUR, 1001 + HOUR, 1002 + 2 * HOUR, 1003 + 3 * HOUR, 1004 + 4 * HOUR};
    takes("an hour and no more", readings_block(boots, apart, 2), none, 0, 4);
    takes("an hour and a millisecond", readings_block(boots, apart, 3), none, 0, 6);
    takes("in four entries", readings_block(boots, apart, 5), none, 0, 10);
    takes("in five", readings_block(boots, apart, 6), none, 1, 0);

    static const uint64_t pairs[] = {300, 300, 200, 200, 250, 250, 400};
    about("hidden points in order of their rows");
    hides(readings_block(boots, pairs, 7), "01 00 00 00 03 00 00 00 01 00 00 00 03 00 00 00 05");
    for (size_t hidden = 64; hidden < 66; hidden++) {
        for (size_t i = 0; i <= hidden; i++) {
            ms[i] = 500;
        }
        ms[hidden + 1] = 501;
        takes("many hidden points", readings_block(boots, ms, hidden + 2), none, hidden > 64, hidden > 64 ? 0 : 4);
    }
    /* Out of order: each is looked at. */
    for (size_t count = MOST - 1; count <= MOST; count++) {
        for (size_t i = 0; i < count; i++) {
            ms[i] = 1000 + (i ^ 1);
        }
        bytes block = readings_block(boots, ms, count);
        takes("readings that are too many to look at", block, none, count == MOST, count == MOST ? 0 : 4);
        about("as many as there is room for");
        sc_clock *readings = room_for(MOST * sizeof *readings);
        EQUAL(block_readings(block.data, 0, block.len, readings, MOST - 1), count == MOST ? 0 : count);
        EQUAL(block_readings(block.data, 0, block.len, readings, MOST), count);
        EQUAL(readings[0].boot, 1000);
        EQUAL(readings[0].ms, 1);
        EQUAL(block_readings(block.data, 0, block.len - 1, readings, MOST), 0);
        EQUAL(block_readings(block.data, 1, block.len, readings, MOST), 0);
    }
    about("points without a clock have no reading");
    bytes mixed = join(hex(PLAIN), hex("06 14 01 03 c8 01 31"));
    sc_clock reading[1];
    EQUAL(block_readings(mixed.data, 0, mixed.len, reading, 1), 1);
    EQUAL(reading[0].boot, 200);
    EQUAL(reading[0].ms, 1);

    /* Two boots are out of the ordinary; what was kept of the one before is gone. */
    static const uint64_t two[] = {3, 4}, times[] = {200, 100};
    record row = {4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "", 0, NULL}, after = row;
    after.flags = 5;
    after.receptions = 2;
    after.max_boot = 4;
    after.max_ms = 100;
    after.span = 10;
    after.recent = "65 00";
    gives("of two boots", readings_block(two, times, 2), none, NULL, 1, none, after);
    row = (record){3, 0, 0, 8, 9, 3, 150, 7, 30, 30, 0, 6, 2, 30, 3, 150, 11, "last", 0, "14 02 40 3c 5a"};
    row.recent = "96 01 01 00 ac 02"; /* 150 */
    after = row;
    after.receptions = 11;
    after.max_boot = 4;
    after.max_ms = 100;
    after.recent = "65 00";
    gives("of two boots, the row's readings being kept", readings_block(two, times, 2), packed(row), NULL, 1, none, after);
    static const uint64_t same[] = {3, 3}, later[] = {200, 300};
    takes("behind all that is kept", readings_block(same, later, 2), packed(row), 0, 4);

    about("a record of a row without a last value");
    row = (record){4, 0, 0, 0, 5, 0, 0, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, "", 0, NULL};
    takes("a row without a last value, whatever its log", hex(PLAIN), packed(row), 0, 2);
}

static void wrong(void)
{
    bytes none = {NULL, 0}, clocked = hex(CLOCKED), plain = hex(PLAIN);
    record of_no_log = {0, 0, 0, 1, 1, 0, 0, 0, 30, 30, 2, 7, 0, 30, 0, 0, 0, "3", 0, NULL};
    about("records that cannot be");
    EQUAL(add(plain, packed(of_no_log), NULL, SIZE_MAX).status, SC_RECORD);
    record right = {3, 1, 300, 70000, UINT64_MAX, 3, 300, 100, 20, 20, 1, 7, 1, 20, 3, 300, 10, "22", 0, NULL};
    bytes whole = packed(right);
    EQUAL(add(plain, whole, NULL, SIZE_MAX).status, SC_OK);
    for (size_t size = 1; size < whole.len; size++) {
        added made = add(plain, exact(whole.data, size), NULL, SIZE_MAX);
        EQUAL(made.status, SC_RECORD);
        EQUAL(made.at, 0);
    }
    EQUAL(add(plain, join(whole, hex("00")), NULL, SIZE_MAX).status, SC_RECORD);
    right.recent = "96 01 02 40 90 03 c8 01";
    bytes kept = packed(right);
    for (size_t size = whole.len - 4; size < kept.len; size++) {
        EQUAL(add(plain, exact(kept.data, size), NULL, SIZE_MAX).status, SC_RECORD);
    }
    static const char *const starts[] = {"dc 00 14 c4", "dc 00 13", "dd 00 14", "dc 00 14 cd 01 00", "dc 00 14 cc 7f", "dc 00 14 e0",
                                         "dc 00 14 03 cf 00 00 00 01 00 00 00 00", "dc 00 14 03 cd 00 ff", "dc 00 14 d0"};
    for (size_t i = 0; i < COUNT(starts); i++) {
        bytes rest = exact(whole.data + 4, whole.len - 4);
        EQUAL(add(plain, join(hex(starts[i]), rest), NULL, SIZE_MAX).status, SC_RECORD);
    }
    about("room");
    size_t size = add(clocked, none, NULL, SIZE_MAX).at;
    for (size_t room = 0; room < size; room++) {
        EQUAL(add(clocked, none, NULL, room).status, SC_ROOM);
    }
    EQUAL(add(clocked, none, NULL, size).status, SC_OK);
    about("slices and rows outside");
    uint64_t start = 0, end = plain.len, none_of[] = {0}, beyond[] = {1};
    uint32_t row_of = 1, change = 7;
    bytes uuids = text(LOGS);
    sc_rows rows = {1, NULL, 0, NULL, NULL, NULL, 0, none_of, none_of, NULL, 0, none_of, none_of, uuids.data, 2, 0};
    sc_summaries s;
    sc_row scratch;
    uint64_t recent[SC_RECENT];
    uint8_t deferred, out[300];
    size_t at = 99;
    EQUAL(sc_rows_size(&rows, &start, &end, &row_of, 1, 0), HEAD + 5 + 5 + RECORD);
    EQUAL(sc_rows_add(&rows, plain.data, plain.len, &start, &end, &s, &row_of, &change, NULL, 1, 1, &scratch, recent, &deferred,
                      out, 300, &at),
          SC_BOUNDS);
    EQUAL(at, 0);
    EQUAL(sc_rows_add(&rows, NULL, 0, NULL, NULL, &s, NULL, NULL, NULL, 0, 2, &scratch, recent, &deferred, out, 300, &at),
          SC_BOUNDS);
    EQUAL(sc_rows_add(&rows, NULL, 0, NULL, NULL, &s, NULL, NULL, NULL, 0, 1, &scratch, recent, &deferred, out, HEAD + 4, &at),
          SC_ROOM);
    about("a slice of the block, or of its last text, outside");
    uint64_t first_text = 0, last_text = 0, past = plain.len + 1, back[] = {1, 0};
    row_of = 0;
    s.starts = &first_text;
    s.ends = &last_text;
    s.data_len = 0;
    const uint64_t *const outside[][4] = {{&start, &past, &first_text, &last_text},
                                          {&back[0], &back[1], &first_text, &last_text},
                                          {&start, &end, &first_text, &end},
                                          {&start, &end, &back[0], &back[1]}};
    for (size_t i = 0; i < COUNT(outside); i++) {
        uint64_t text_ends[] = {*outside[i][2], *outside[i][3]};
        s.starts = &text_ends[0];
        s.ends = &text_ends[1];
        EQUAL(sc_rows_add(&rows, plain.data, plain.len, outside[i][0], outside[i][1], &s, &row_of, &change, NULL, 1, 1,
                          &scratch, recent, &deferred, out, 300, &at),
              SC_BOUNDS);
        EQUAL(at, 0);
    }
    EQUAL(sc_rows_size(&rows, &back[0], &back[1], &row_of, 1, 0), HEAD + 5 + 5 + RECORD);
    rows.suffix_ends = beyond;
    EQUAL(sc_rows_add(&rows, NULL, 0, NULL, NULL, &s, NULL, NULL, NULL, 0, 1, &scratch, recent, &deferred, out, 300, &at),
          SC_RECORD);
    rows.suffix_ends = none_of;
    rows.record_ends = beyond;
    EQUAL(sc_rows_add(&rows, NULL, 0, NULL, NULL, &s, NULL, NULL, NULL, 0, 1, &scratch, recent, &deferred, out, 300, &at),
          SC_RECORD);
}

void test_rows(void)
{
    records();
    recents();
    many_readings();
    wrong();
}
