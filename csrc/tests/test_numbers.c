/* Blocks of codec 1: their bytes, what fits them, every text back as it was, and every way in which one can be wrong. */
#include "check.h"

#include <math.h>

#define TEXTS 8

typedef struct batch {
    const char *texts[TEXTS]; /* of points 10 us apart from 1000 on, until a null */
    uint64_t ms;              /* 0: no clocks; else of the first, each next one 7 later; boot is 3 */
    const char *block;        /* in hex; null: codec 0 */
} batch;

static sc_points points_for(size_t count)
{
    sc_points made = {room_for(count * sizeof(int64_t)), room_for(count), numbers(count),  numbers(count), NULL, 0,
                      numbers(count),                    numbers(count)};
    return made;
}

static void text_add(sc_points *p, size_t i, bytes text)
{
    bytes all = join((bytes){exact(p->data, p->data_len).data, p->data_len}, text);
    p->starts[i] = p->data_len;
    p->ends[i] = all.len;
    p->data = all.data;
    p->data_len = all.len;
}

/* Encodes points of one series at write time 5; block i is offsets[i]..offsets[i + 1]. */
static bytes encode(const sc_points *p, size_t count, uint64_t **offsets, size_t *blocks)
{
    sc_blocks made = blocks_for(count);
    uint32_t *series = room_for(count * sizeof *series);
    memset(series, 0, count * sizeof *series);
    size_t room = sc_blocks_size(p, count), at = 99;
    uint8_t *out = room_for(room);
    EQUAL(sc_blocks_encode(p, series, count, 5, SIZE_MAX, SIZE_MAX, &made, out, room, &at), SC_OK);
    *offsets = made.offsets;
    *blocks = made.count;
    for (size_t less = at > 40 ? at - 40 : 0; less < at; less++) {
        size_t end = 99;
        EQUAL(sc_blocks_encode(p, series, count, 5, SIZE_MAX, SIZE_MAX, &made, room_for(less), less, &end), SC_ROOM);
        CHECK(end < count);
    }
    return exact(out, at);
}

/* Decodes the blocks and compares with the points, which are sorted. */
static void back(bytes in, const uint64_t *offsets, size_t blocks, const sc_points *p, size_t count)
{
    size_t texts = 99, at = 99, found = sc_blocks_count(in.data, in.len, offsets, offsets + 1, blocks, &texts);
    EQUAL(found, count);
    sc_points got = points_for(found);
    uint64_t *firsts = numbers(blocks + 1);
    int64_t *times = room_for(blocks * sizeof *times);
    EQUAL(sc_blocks_decode(in.data, in.len, offsets, offsets + 1, blocks, firsts, times, &got, found, room_for(texts),
                           texts, &at),
          SC_OK);
    for (size_t k = 0; k < count; k++) {
        EQUAL(got.t[k], p->t[k]);
        EQUAL(got.clocked[k], p->clocked[k]);
        EQUAL(got.boot[k], p->clocked[k] ? p->boot[k] : 0);
        EQUAL(got.ms[k], p->clocked[k] ? p->ms[k] : 0);
        SAME(got.data + got.starts[k], got.ends[k] - got.starts[k],
             exact(p->data + p->starts[k], p->ends[k] - p->starts[k]));
    }
    for (size_t room = 0; room < texts && room < 40; room++) {
        sc_status status = sc_blocks_decode(in.data, in.len, offsets, offsets + 1, blocks, firsts, times, &got, found,
                                            room_for(room), room, &at);
        CHECK(status == SC_ROOM || (status == SC_OK && room >= got.data_len));
    }
}

static void texts_are(const batch *b)
{
    size_t count = 0, blocks;
    uint64_t *offsets;
    while (count < TEXTS && b->texts[count]) {
        count++;
    }
    sc_points p = points_for(count);
    for (size_t i = 0; i < count; i++) {
        p.t[i] = 1000 + 10 * (int64_t)i;
        p.clocked[i] = b->ms > 0;
        p.boot[i] = 3;
        p.ms[i] = b->ms + 7 * i;
        text_add(&p, i, exact(b->texts[i], strlen(b->texts[i])));
    }
    about(b->texts[0]);
    bytes out = encode(&p, count, &offsets, &blocks);
    EQUAL(blocks, 1);
    if (b->block) {
        SAME(out.data, out.len, hex(b->block));
    } else {
        EQUAL(out.data[0], 0);
    }
    back(out, offsets, blocks, &p, count);
}

static void batches(void)
{
    static const batch some[] = {
        {{"{\"c\":21.5}", "{\"c\":21.6}", "{\"c\":21.0}"}, 0,
         "01 05 06 07 7b 22 63 22 3a 00 7d 40 c6 0f 14 01 03 a4 03 35 00"},
        {{"{\"c\":21.5}", "{\"c\":22}", "{\"c\":-0.25}"}, 0,
         "01 05 06 07 7b 22 63 22 3a 00 7d 40 c6 0f 14 22 87 31 19 d7 2c 00"},
        {{"{\"c\":21.5}", "{\"c\":22.0}", "{\"c\":21.25}"}, 0,
         "01 05 06 07 7b 22 63 22 3a 00 7d 40 c6 0f 14 42 82 9a 21 19 0d"},
        {{"7", "8", "10", "12"}, 500, "01 05 09 01 00 40 c6 0f 14 00 06 40 e8 07 0e 00 41 0e 02 06"},
        {{"null", "null", "null"}, 0, "01 05 06 04 6e 75 6c 6c 40 c6 0f 14"},
        /* what the numbers of a text are */
        {{"id-007", "id-008", "id-009", "id-010"}, 0, NULL}, /* -0, 0, 7 and then -0, 10 */
        {{"id 007 aaaaa", "id 008 aaaaa", "id 009 aaaaa"}, 0,
         "01 05 06 0c 69 64 20 00 00 00 20 61 61 61 61 61 40 c6 0f 14 00 00 00 00 00 00 00 40 0e 02"},
        {{"-0,-0.0 -", "-0,-0.0 -", "-0,-0.0 -"}, 0,
         "01 05 06 07 2d 00 2c 2d 00 20 2d 40 c6 0f 14 00 00 00 01 00 00"},
        {{"5.", "6.", "7."}, 0, "01 05 06 02 00 2e 40 c6 0f 14 00 40 0a 02"},
        /* one that does not fit */
        {{"1 1", "2 2", "3"}, 0, NULL},
        {{"1", "2", "3x"}, 0, NULL},
        {{"1", "2", "-0"}, 0, NULL},
        {{"1", "2", "-"}, 0, NULL},
        {{"1", "2", "x"}, 0, NULL},
        {{"a1", "a2", "b3"}, 0, NULL},
        {{"a1", "a2", "a"}, 0, NULL},
        {{"a1", "a2", "ax"}, 0, NULL},
        /* decimals that no rule gives back */
        {{"1.50", "1.5", "1.5", "1.5"}, 0, NULL},
        {{"1.0", "1", "1", "1"}, 0, NULL},
        {{"1.0", "1.0", "1.20", "1.125"}, 0, NULL},
        {{"0.00000000000000001", "999999999999999999", "1", "1"}, 0, NULL},
        {{"0.00000000000000001", "-99999999999999999", "1", "1"}, 0, NULL},
        /* two points are not tried */
        {{"{\"value\":21.5}", "{\"value\":21.5}"}, 0, NULL},
    };
    for (size_t i = 0; i < COUNT(some); i++) {
        texts_are(&some[i]);
    }
}

/* Points that codec 1 would fit but for one thing. */
static void limits(void)
{
    static const struct {
        const char *what;
        size_t count, numbers, text; /* points; numbers in each; bytes of text beside them */
        uint64_t far;                /* a number far from the others */
        bool fits;
    } cases[] = {
        {"512 points", SC_MAX_COLUMN, 1, 10, 7, true},
        {"513 points", SC_MAX_COLUMN + 1, 1, 10, 7, false},
        {"32 numbers", 5, SC_MAX_NUMBERS, 10, 7, true},
        {"33 numbers", 5, SC_MAX_NUMBERS + 1, 10, 7, false},
        {"56 bits", 5, 1, 200, (UINT64_C(1) << 56) - 1, true},
        {"57 bits, and 57 between", 5, 1, 200, (UINT64_C(1) << 57) - 1, false},
        {"262144 bytes of text", 4, 1, SC_MAX_TEXTS / 4 - 22, 7, true},
        {"and one more", 4, 1, SC_MAX_TEXTS / 4 - 21, 7, false},
        {"a longer one", 4, 1, SC_MAX_TEXTS, 7, false},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        sc_points p = points_for(cases[c].count);
        bytes text = repeat('x', cases[c].text);
        for (size_t k = 0; k < cases[c].numbers; k++) {
            text = join(text, exact(k > 0 ? ",0" : "0", k > 0 ? 2 : 1));
        }
        for (size_t i = 0; i < cases[c].count; i++) {
            char number[24];
            p.t[i] = (int64_t)i;
            p.clocked[i] = 0;
            text_add(&p, i, text);
            if (i < 2 && cases[c].far > 7) { /* of two others, lest all are multiples of one */
                int size = snprintf(number, sizeof number, "%llu", i > 0 ? 1 : (unsigned long long)cases[c].far);
                p.data_len--;
                uint64_t start = p.starts[i];
                text_add(&p, i, exact(number, (size_t)size));
                p.starts[i] = start;
            }
        }
        size_t blocks;
        uint64_t *offsets;
        about(cases[c].what);
        bytes out = encode(&p, cases[c].count, &offsets, &blocks);
        EQUAL(blocks, 1);
        EQUAL(out.data[0], cases[c].fits);
        back(out, offsets, blocks, &p, cases[c].count);
    }
    about("clocks of some, and a byte that stands for a number");
    for (size_t kind = 0; kind < 2; kind++) {
        sc_points p = points_for(4);
        for (size_t i = 0; i < 4; i++) {
            p.t[i] = 0;
            p.clocked[i] = kind == 0 && i < 3;
            p.boot[i] = p.ms[i] = 1;
            text_add(&p, i, kind == 0 ? repeat('x', 20) : exact("xxxxxxxxxxxxx\0xxxxxx", 20));
        }
        size_t blocks;
        uint64_t *offsets;
        bytes out = encode(&p, 4, &offsets, &blocks);
        EQUAL(out.data[0], 0);
        back(out, offsets, blocks, &p, 4);
    }
}

static size_t number_text(char *out, size_t room, uint64_t shape, uint64_t number, size_t decimals)
{
    static const uint64_t moduli[] = {1, 10, 1000, 100000, 10000000000, 1000000000000000000};
    int64_t value = (int64_t)(number % moduli[shape % 6]) - (shape >> 8 & 1 ? 50 : 0);
    double whole = (double)value / 100;
    int size = decimals == 0 ? snprintf(out, room, "%lld", (long long)value)
               : decimals < 5 ? snprintf(out, room, "%.*f", (int)decimals, whole)
                              : snprintf(out, room, "%.15g", whole);
    return (size_t)size;
}

/* Points of every shape come back as they were. */
static void random_points(void)
{
    for (size_t round = 0; round < 400; round++) {
        size_t count = 3 + random_number() % 60, decimals = round % 7;
        uint64_t pace = (uint64_t)1000 << random_number() % 16, boot = random_number(), ms = random_number() >> round % 64;
        int64_t t = (int64_t)random_number() / 2;
        sc_points p = points_for(count);
        for (size_t i = 0; i < count; i++) {
            uint64_t shape = random_number(), number = random_number();
            char text[64];
            p.t[i] = t += (int64_t)(pace + (round % 3 == 0 ? shape % 1000 : 0));
            p.clocked[i] = round % 2;
            p.boot[i] = boot;
            p.ms[i] = ms += pace / 1000;
            size_t size = number_text(text, sizeof text, round, number, decimals);
            text_add(&p, i, join(exact("{\"v\":", 5), join(exact(text, size), exact("}", 1))));
        }
        size_t blocks;
        uint64_t *offsets;
        about("random points");
        bytes out = encode(&p, count, &offsets, &blocks);
        back(out, offsets, blocks, &p, count);
    }
}

#define LONG " ff ff ff ff ff ff ff ff ff 02" /* a varint over 64 bits */

/* What every function says of a block. */
static void says(bytes block, sc_status status, size_t at)
{
    bytes in = join(repeat(0xff, 3), block);
    uint64_t start = 3, end = in.len, firsts[2], count, min_boot, min_ms, max_boot, max_ms, boot, ms, first, last;
    int64_t time, first_t, last_t;
    uint8_t clocks, clocked, shared;
    size_t texts = 99, got = 99, found = sc_blocks_count(in.data, in.len, &start, &end, 1, &texts);
    size_t want = status == SC_OK ? at : at + 3;
    CHECK(found <= SC_MAX_COLUMN && texts <= SC_MAX_TEXTS);
    sc_points p = points_for(found);
    EQUAL(sc_blocks_decode(in.data, in.len, &start, &end, 1, firsts, &time, &p, found, room_for(texts), texts, &got),
          status);
    EQUAL(got, want);
    want = status == SC_OK ? 1 : want;
    size_t lasts = sc_lasts_size(in.data, in.len, &start, &end, 1);
    sc_summaries s = {&time,   &count,   &first_t, &last_t, &clocks, &min_boot,       &min_ms, &max_boot,
                      &max_ms, &clocked, &boot,    &ms,     &first,  &last, room_for(lasts), lasts};
    EQUAL(sc_blocks_summarize(in.data, in.len, &start, &end, 1, &s, &got), status);
    EQUAL(got, want);
    sc_clock *scratch = room_for(found * sizeof *scratch);
    EQUAL(sc_blocks_shared(in.data, in.len, &start, &end, 1, scratch, found, &shared, &got), status);
    EQUAL(got, want);
    size_t room = 5 + texts + 32 * found;
    EQUAL(sc_blocks_msgpack(in.data, in.len, &start, &end, 1, INT64_MIN, INT64_MAX, NULL, 0, room_for(room), room, &got),
          status);
    if (status == SC_OK) {
        s.data_len = 0;
        EQUAL(sc_blocks_summarize(in.data, in.len, &start, &end, 1, &s, &got), SC_ROOM);
    }
}

static void wrong(void)
{
    static const struct {
        const char *block;
        sc_status status;
        size_t at;
    } cases[] = {
        {"01", SC_POINT_SIZE, 1},
        {"01 05", SC_BLOCK_EMPTY, 0},
        {"01 05 80", SC_POINT_SIZE, 2},
        {"01 05" LONG, SC_VARINT, 2},
        {"01 05 00", SC_BLOCK_EMPTY, 0},
        {"01 05 01", SC_BLOCK_EMPTY, 0},
        {"01 05 82 08 01 00", SC_BLOCK_LIMIT, 2}, /* 513 points */
        {"01 05 fe ff ff ff ff ff ff ff ff 01 01 00", SC_BLOCK_LIMIT, 2},
        {"01 05 02", SC_POINT_SIZE, 3},
        {"01 05 02" LONG, SC_VARINT, 3},
        {"01 05 02 02 78", SC_POINT_SIZE, 3},
        {"01 05 02 00 00 00", SC_DATA_EMPTY, 3},
        {"01 05 02 01 ff 00 00", SC_UTF8, 3},
        {"01 05 02 21 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
         SC_BLOCK_LIMIT, 3},
        {"01 05 80 08 17 78 78 78 78 78 78 78 78 78 78 78 78 78 78 78 78 78 78 78 78 00 00 00", SC_POINT_SIZE, 28},
        /* the first column, of times */
        {"01 05 02 01 00", SC_POINT_SIZE, 5},
        {"01 05 02 01 00 39 00", SC_COLUMN, 5},
        {"01 05 02 01 00 00", SC_POINT_SIZE, 6},
        {"01 05 02 01 00 00 80", SC_POINT_SIZE, 6},
        {"01 05 02 01 00 00" LONG, SC_VARINT, 6},
        {"01 05 02 01 00 40", SC_POINT_SIZE, 6},
        {"01 05 02 01 00 40 00", SC_POINT_SIZE, 7},
        {"01 05 02 01 00 80 00", SC_POINT_SIZE, 7},
        {"01 05 02 01 00 01 00", SC_POINT_SIZE, 5},
        {"01 05 04 01 00 08 00 00", SC_POINT_SIZE, 5},
        /* boot, ms, and a number's format */
        {"01 05 03 01 00 00 00", SC_POINT_SIZE, 7},
        {"01 05 03 01 00 00 00 39", SC_COLUMN, 7},
        {"01 05 03 01 00 00 00 00 00", SC_POINT_SIZE, 9},
        {"01 05 03 01 00 00 00 00 00 39", SC_COLUMN, 9},
        {"01 05 03 01 00 00 00 00 00 00 00", SC_POINT_SIZE, 11},
        {"01 05 02 01 00 00 00", SC_POINT_SIZE, 7},
        {"01 05 02 01 00 00 00 13 00 00", SC_COLUMN, 7},
        {"01 05 02 01 00 00 00 20 00 00", SC_COLUMN, 7},
        {"01 05 02 01 00 00 00 41 00 00", SC_COLUMN, 7},
        {"01 05 02 01 00 00 00 63 00 00", SC_COLUMN, 7},
        {"01 05 02 01 00 00 00 00", SC_POINT_SIZE, 8},
        {"01 05 02 01 00 00 00 00 39 00", SC_COLUMN, 8},
        {"01 05 02 01 00 00 00 00 00 00 00", SC_COLUMN, 10},
        {"01 05 02 01 00 00 00 00 00 00", SC_OK, 1},
        {"01 05 02 01 00 7f 00 00", SC_COLUMN, 5},
        {"01 05 02 01 00 78 00 00 12 00 00", SC_OK, 1}, /* 56 bits of no difference */
        /* times that do not go together */
        {"01 05 04 01 78 40 00 01", SC_BLOCK_ORDER, 5},
        {"01 05 04 01 78 40 00 80 90 9d e9 1a", SC_OK, 2},
        {"01 05 04 01 78 40 00 82 90 9d e9 1a", SC_BLOCK_SPAN, 5},
        {"01 05 04 01 78 40 f4 ff ff ff ff ff ff ff ff 01 00", SC_OK, 2}, /* the end of time: 2^63 - 6 + 5 */
        {"01 05 04 01 78 40 f4 ff ff ff ff ff ff ff ff 01 02", SC_BLOCK_ORDER, 5},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        about(cases[i].block);
        says(hex(cases[i].block), cases[i].status, cases[i].at);
    }
    about("texts that come to 262144 bytes, and to more");
    bytes times = hex("00 00");
    says(join(join(hex("01 05 80 08 80 04"), repeat('x', 512)), times), SC_OK, 512);
    says(join(join(hex("01 05 80 08 81 04"), repeat('x', 513)), times), SC_BLOCK_LIMIT, 4);
    says(join(join(hex("01 05 02 80 80 10"), repeat('x', SC_MAX_TEXTS)), times), SC_OK, 1);
    says(join(join(hex("01 05 02 81 80 10"), repeat('x', SC_MAX_TEXTS + 1)), times), SC_BLOCK_LIMIT, 3);
}

/* A text is written for the points of a window alone, and the last one for a summary: in columns of differences too. */
static void windows(void)
{
    sc_points p = points_for(40);
    for (size_t i = 0; i < 40; i++) {
        char text[24];
        p.t[i] = 100 * (int64_t)i;
        p.clocked[i] = 1;
        p.boot[i] = 9;
        p.ms[i] = 5 + i * i;
        text_add(&p, i, exact(text, (size_t)snprintf(text, sizeof text, "[%d,%d]", (int)(1000 * i + i % 3), (int)i % 2)));
    }
    size_t blocks, at = 99, texts = 99;
    uint64_t *offsets;
    about("windows");
    bytes in = encode(&p, 40, &offsets, &blocks);
    EQUAL(in.data[0], 1);
    back(in, offsets, blocks, &p, 40);
    for (size_t first = 0; first < 40; first += 3) {
        for (size_t last = first; last < 40; last += 5) {
            bytes want = hex("dd 00 00 00 00");
            want.data[4] = (uint8_t)(last - first + 1);
            for (size_t k = first; k <= last; k++) {
                size_t size = p.ends[k] - p.starts[k];
                bytes head = hex("d3 00 00 00 00 00 00 00 00 c6 00 00 00 00");
                bytes clock = hex("cf 00 00 00 00 00 00 00 09 cf 00 00 00 00 00 00 00 00");
                head.data[7] = (uint8_t)(p.t[k] >> 8);
                head.data[8] = (uint8_t)p.t[k];
                head.data[13] = (uint8_t)size;
                clock.data[16] = (uint8_t)(p.ms[k] >> 8);
                clock.data[17] = (uint8_t)p.ms[k];
                want = join(join(join(want, head), exact(p.data + p.starts[k], size)), clock);
            }
            size_t room = 5 + 40 * 32 + (sc_blocks_count(in.data, in.len, offsets, offsets + 1, 1, &texts), texts);
            uint8_t *out = room_for(room);
            EQUAL(sc_blocks_msgpack(in.data, in.len, offsets, offsets + 1, 1, p.t[first], p.t[last], NULL, 0, out, room,
                                    &at),
                  SC_OK);
            SAME(out, at, want);
        }
    }
}

/* The numbers of texts, in lines of one each; and where the first has them, which are alike. */
static void numbers_are(const char *lines, bool good, const char *want)
{
    about(lines);
    size_t len = strlen(lines), count = 0, first = strcspn(lines, "\n");
    bytes in = exact(lines, len);
    uint64_t *starts = numbers(len + 1), *ends = numbers(len + 1);
    for (size_t at = 0; at < len; at = (size_t)ends[count++] + 1) {
        starts[count] = at;
        ends[count] = at + strcspn(lines + at, "\n");
    }
    size_t found = sc_text_numbers(in.data, first);
    if (found > SC_MAX_NUMBERS) {
        CHECK(!good);
        found = SC_MAX_NUMBERS;
    }
    double *values = room_for(found * count * sizeof *values);
    uint64_t *number_starts = numbers(found), *number_ends = numbers(found);
    uint8_t *same = room_for(found);
    EQUAL(sc_texts_numbers(in.data, in.len, starts, ends, count, values, number_starts, number_ends, same), good);
    bytes said = {NULL, 0};
    for (size_t k = 0; good && k < found; k++) {
        char text[200];
        int size = snprintf(text, sizeof text, "%.*s%s", (int)(number_ends[k] - number_starts[k]),
                            lines + number_starts[k], same[k] ? "=" : "");
        said = join(said, exact(text, (size_t)size));
        for (size_t i = 0; i < count; i++) {
            said = join(said, exact(text, (size_t)snprintf(text, sizeof text, " %.17g", values[k * count + i])));
        }
        said = join(said, exact(";", 1));
    }
    if (good) {
        SAME(said.data, said.len, exact(want, strlen(want)));
    }
    starts[0] = len + 1;
    CHECK(!sc_texts_numbers(in.data, in.len, starts, ends, count, values, number_starts, number_ends, same));
    starts[0] = 0;
    ends[0] = len + 1;
    CHECK(!sc_texts_numbers(in.data, in.len, starts, ends, count, values, number_starts, number_ends, same));
}

static void texts_numbers(void)
{
    numbers_are("{\"co2\":400,\"v\":0.5}\n{\"co2\":410,\"v\":0.5}", true, "2= 2 2;400 400 410;0.5= 0.5 0.5;");
    numbers_are("-1.50\n-1.5\n0", true, "-1.50 -1.5 -1.5 0;");
    numbers_are("1.50\n1.5", true, "1.50 1.5 1.5;");
    numbers_are("0.1\n0.3\n2.675", true, "0.1 0.10000000000000001 0.29999999999999999 2.6749999999999998;");
    numbers_are("x", true, "");
    numbers_are("9007199254740992\n-9007199254740992", true, "9007199254740992 9007199254740992 -9007199254740992;");
    numbers_are("9007199254740993", false, "");
    numbers_are("1\n-9007199254740993", false, "");
    numbers_are("a1\nb1", false, "");
    numbers_are("1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", false, "");
    EQUAL(sc_texts_numbers(NULL, 0, NULL, NULL, 0, NULL, NULL, NULL, NULL), true);
    EQUAL(sc_text_numbers(NULL, 0), 0);
}

/* The numbers of one block, or of two, as numbers_are has them, behind the times; null: they cannot be taken. counted: the
 * points that are said to be in them. */
static void block_numbers_are(const char *one, const char *two, size_t counted, const char *want)
{
    about(one);
    bytes first = hex(one), in = two ? join(first, hex(two)) : first;
    uint64_t *starts = numbers(2), *ends = numbers(2);
    starts[0] = 0;
    starts[1] = ends[0] = first.len;
    ends[1] = in.len;
    size_t count = two ? 2 : 1, found = 99;
    EQUAL(sc_numbers_count(in.data, in.len, starts, ends, count, &found), counted);
    size_t points = want ? counted : 4, most = want ? found : SC_MAX_NUMBERS;
    sc_numbers got = {room_for(points * sizeof(int64_t)), room_for(points * most * sizeof(double)), points, 0, 0,
                      room_for(most * sizeof(int64_t)), room_for(most), room_for(most)};
    EQUAL(sc_blocks_numbers(in.data, in.len, starts, ends, count, &got), want != NULL);
    if (!want)
        return;
    char text[400];
    int size = 0;
    for (size_t i = 0; i < points; i++)
        size += snprintf(text + size, sizeof text - (size_t)size, "%lld ", (long long)got.t[i]);
    for (size_t k = 0; k < found; k++) {
        size += snprintf(text + size, sizeof text - (size_t)size, "; %lld/%d%s", (long long)got.firsts[k], got.formats[k],
                         got.same[k] ? "=" : "");
        for (size_t i = 0; i < points; i++)
            size += snprintf(text + size, sizeof text - (size_t)size, " %.17g", got.values[k * points + i]);
    }
    SAME((uint8_t *)text, (size_t)size, exact(want, strlen(want)));
    SAME(in.data + got.skeleton_start, got.skeleton_end - got.skeleton_start, exact(first.data + 4, first.data[3]));
    got.room = points - 1;
    CHECK(!sc_blocks_numbers(in.data, in.len, starts, ends, count, &got));
    got.room = points;
    starts[0] = in.len + 1;
    EQUAL(sc_numbers_count(in.data, in.len, starts, ends, count, &found), 0);
    CHECK(!sc_blocks_numbers(in.data, in.len, starts, ends, count, &got));
    EQUAL(sc_numbers_count(in.data, in.len, starts, ends, 0, &found), 0);
}

static void blocks_numbers(void)
{
    static const char one[] = "01 05 04 02 78 00 40 0a 02 01 00 1e"; /* at 10 and 11 */
    block_numbers_are(one, NULL, 2, "10 11 ; 15/1= 1.5 1.5");
    block_numbers_are("01 05 04 01 78 40 0a 02", NULL, 2, "10 11 ");
    block_numbers_are("01 05 04 02 00 00 40 0a 02 00 40 01 04 01 00 01", NULL, 2,
                      "10 11 ; -1/0 -1 1; -1/1= -0.10000000000000001 -0.10000000000000001");
    block_numbers_are("01 05 04 02 78 00 40 0a 02 01 04 1e 30", NULL, 2, "10 11 ; 15/1 1.5 1.8");
    block_numbers_are("01 05 04 02 78 00 40 0a 02 01 20 1e 00 00 00 00 03 00 00 00", NULL, 2, "10 11 ; 15/1 1.5 1.8");
    block_numbers_are("01 05 06 02 78 00 40 0a 02 01 44 1e 00 21", NULL, 3,
                      "10 11 12 ; 15/1 1.5 1.6000000000000001 1.8");
    block_numbers_are("01 05 04 02 78 00 40 0a 02 01 40 1e 04", "01 05 04 02 78 00 40 0e 02 01 00 1e", 4,
                      "10 11 12 13 ; 15/1 1.5 1.7 1.5 1.5");
    block_numbers_are(one, "01 05 04 02 78 00 40 0e 02 01 00 1e", 4, "10 11 12 13 ; 15/1= 1.5 1.5 1.5 1.5");
    block_numbers_are(one, "01 05 04 02 78 00 40 0e 02 01 00 20", 4,
                      "10 11 12 13 ; 15/1 1.5 1.5 1.6000000000000001 1.6000000000000001");
    block_numbers_are(one, "01 05 04 02 78 00 40 0e 02 00 00 1e", 4, "10 11 12 13 ; 15/1 1.5 1.5 15 15");
    block_numbers_are(one, "01 05 04 02 78 00 40 0e 02 00 00 80 80 80 80 80 80 80 20", 4,
                      "10 11 12 13 ; 15/1 1.5 1.5 9007199254740992 9007199254740992");
    block_numbers_are(one, "01 05 04 02 78 00 40 0e 02 00 00 82 80 80 80 80 80 80 20", 4, NULL); /* 54 bits */
    block_numbers_are(one, "01 05 04 02 78 00 40 0e 02 00 00 81 80 80 80 80 80 80 20", 4, NULL);
    block_numbers_are(one, "01 05 04 02 79 00 40 0e 02 01 00 1e", 0, NULL);
    block_numbers_are(one, "01 05 04 01 00 40 0e 02 01 00 1e", 0, NULL);
    block_numbers_are(one, one, 4, NULL);
    block_numbers_are("01 05 04 01 78 40 0a 01", NULL, 2, NULL); /* back in time */
    block_numbers_are("00 05 03 14 00 37", NULL, 0, NULL);
    block_numbers_are("01 05", NULL, 0, NULL);
}

/* The texts of one kind of numbers in an exact room, with a comma behind each; null: they cannot be written. */
static void number_texts_are(const int64_t *integers, const double *doubles, size_t count, const char *want)
{
    about(want);
    uint64_t *starts = numbers(count), *ends = numbers(count);
    uint8_t *out = room_for(count * SC_NUMBER_BYTES);
    EQUAL(sc_numbers_texts(integers, doubles, count, out, starts, ends), want != NULL);
    bytes said = {NULL, 0};
    for (size_t i = 0; want && i < count; i++)
        said = join(join(said, exact(out + starts[i], (size_t)(ends[i] - starts[i]))), exact(",", 1));
    if (want)
        SAME(said.data, said.len, exact(want, strlen(want)));
}

static void numbers_texts(void)
{
    static const int64_t integers[] = {0, -7, 10, INT64_MAX, INT64_MIN};
    number_texts_are(integers, NULL, COUNT(integers), "0,-7,10,9223372036854775807,-9223372036854775808,");
    number_texts_are(NULL, NULL, 0, "");
    static const double doubles[] = {0, 21.25, -20, 0.0001, 99999999999999, 0.000123456789012345, 1234567.5, -0.3};
    number_texts_are(NULL, doubles, COUNT(doubles),
                     "0.0,21.25,-20.0,0.0001,99999999999999.0,0.000123456789012345,1234567.5,-0.3,");
    static const double wrong[] = {-0.0, 1e14, 1e15, 0.00009, 0.30000000000000004, 0.0001234567890123456, 1e300};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        double three[] = {1.5, wrong[i], -wrong[i]};
        number_texts_are(NULL, three, i == 0 ? 2 : 3, NULL);
    }
    static const double not_finite[] = {INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < COUNT(not_finite); i++)
        number_texts_are(NULL, not_finite + i, 1, NULL);
}

void test_numbers(void)
{
    numbers_texts();
    blocks_numbers();
    texts_numbers();
    batches();
    limits();
    random_points();
    wrong();
    windows();
}
