#include "check.h"

#define MANY_POINTS SIZE_MAX
#define MANY_BYTES  SIZE_MAX

typedef struct sample {
    uint32_t series;
    int64_t t;
    uint8_t clocked;
    uint64_t boot, ms;
    const char *data;
} sample;

static sc_points columns(size_t count)
{
    sc_points made = {room_for(count * sizeof(int64_t)),
                      room_for(count),
                      numbers(count),
                      numbers(count),
                      NULL,
                      0,
                      numbers(count),
                      numbers(count)};
    return made;
}

static sc_points gather(const sample *samples, size_t count)
{
    sc_points p = columns(count);
    bytes data = {NULL, 0};
    for (size_t i = 0; i < count; i++) {
        p.t[i] = samples[i].t;
        p.clocked[i] = samples[i].clocked;
        p.boot[i] = samples[i].boot;
        p.ms[i] = samples[i].ms;
        p.starts[i] = data.len;
        data = join(data, exact(samples[i].data, strlen(samples[i].data)));
        p.ends[i] = data.len;
    }
    p.data = data.data;
    p.data_len = data.len;
    return p;
}

static size_t points_in(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count)
{
    size_t texts;
    return sc_blocks_count(in, len, starts, ends, count, &texts);
}

/* sc_blocks_decode, with as much room for texts as is said to be enough. */
static sc_status points_of(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                           uint64_t *firsts, int64_t *times, sc_points *points, size_t room, size_t *at)
{
    size_t texts;
    sc_blocks_count(in, len, starts, ends, count, &texts);
    return sc_blocks_decode(in, len, starts, ends, count, firsts, times, points, room, room_for(texts), texts, at);
}

static uint32_t *series_of(const sample *samples, size_t count)
{
    uint32_t *series = room_for(count * sizeof *series);
    for (size_t i = 0; i < count; i++) {
        series[i] = samples[i].series;
    }
    return series;
}

typedef struct encoded {
    sc_status status;
    size_t at;
    sc_blocks blocks;
    bytes out; /* exactly what was written */
} encoded;

static encoded encode_points(const sc_points *points, const uint32_t *series, size_t count, int64_t write_time,
                             size_t max_points, size_t max_bytes)
{
    encoded made = {SC_OK, 0, blocks_for(count), {NULL, 0}};
    size_t room = sc_blocks_size(points, count);
    uint8_t *out = room_for(room);
    made.status =
        sc_blocks_encode(points, series, count, write_time, max_points, max_bytes, &made.blocks, out, room, &made.at);
    if (made.status == SC_OK) {
        made.out = exact(out, made.at);
    }
    return made;
}

static encoded encode(const sample *samples, size_t count, size_t max_points, size_t max_bytes)
{
    sc_points points = gather(samples, count);
    return encode_points(&points, series_of(samples, count), count, 5, max_points, max_bytes);
}

static bytes big_end(uint8_t tag, uint64_t number, size_t width)
{
    bytes made = repeat(tag, 1 + width);
    for (size_t i = width; i > 0; i--, number >>= 8) {
        made.data[i] = (uint8_t)number;
    }
    return made;
}

/* sc_blocks_msgpack against the points p that sc_blocks_decode gives, and against its failure. */
static void msgpack(bytes in, const uint64_t *starts, const uint64_t *ends, size_t count, const sc_points *p,
                    const uint64_t *firsts, sc_status status, size_t want_at, int64_t from, int64_t to)
{
    bytes prefix = hex("95 a1 78"), want = hex("dd 00 00 00 00"), nil = hex("c0");
    size_t points = points_in(in.data, in.len, starts, ends, count), at = 99;
    size_t texts = 0;
    sc_blocks_count(in.data, in.len, starts, ends, count, &texts);
    size_t room = 5 + texts + points * (32 + prefix.len);
    uint8_t *out = room_for(room);
    sc_status got =
        sc_blocks_msgpack(in.data, in.len, starts, ends, count, from, to, prefix.data, prefix.len, out, room, &at);
    size_t found = 0;
    for (size_t i = 1; status == SC_OK && i < count; i++) {
        if (p->t[firsts[i]] <= p->t[firsts[i] - 1]) {
            EQUAL(got, SC_OK);
            EQUAL(at, 0);
            return;
        }
    }
    if (got == SC_OK && at == 0) {
        return; /* out of order before what is wrong */
    }
    EQUAL(got, status);
    if (status != SC_OK) {
        EQUAL(at, want_at);
        return;
    }
    for (size_t k = 0; k < points; k++) {
        if (p->t[k] < from || p->t[k] > to) {
            continue;
        }
        size_t size = p->ends[k] - p->starts[k];
        want = join(join(want, prefix), big_end(0xd3, (uint64_t)p->t[k], 8));
        want = join(join(want, big_end(0xc6, size, 4)), exact(p->data + p->starts[k], size));
        want = join(want, p->clocked[k] ? big_end(0xcf, p->boot[k], 8) : nil);
        want = join(want, p->clocked[k] ? big_end(0xcf, p->ms[k], 8) : nil);
        found++;
    }
    want.data[4] = (uint8_t)found;
    want.data[3] = (uint8_t)(found >> 8);
    SAME(out, at, want);
}

/* sc_blocks_shared against the points p that sc_blocks_decode gives, and against its failure. */
static void shared(bytes in, const uint64_t *starts, const uint64_t *ends, size_t count, const sc_points *p,
                   const uint64_t *firsts, sc_status status, size_t want_at)
{
    size_t room = points_in(in.data, in.len, starts, ends, count > 0), clocked = 0, at = 99;
    sc_clock *scratch = room_for(room * sizeof *scratch);
    uint8_t *found = room_for(count);
    EQUAL(sc_blocks_shared(in.data, in.len, starts, ends, count, scratch, room, found, &at), status);
    if (status != SC_OK) {
        EQUAL(at, want_at);
        return;
    }
    EQUAL(at, count);
    for (size_t i = 0; i < count; i++) {
        bool want = false;
        for (size_t k = firsts[0]; k < firsts[1]; k++) {
            for (size_t j = firsts[i]; j < firsts[i + 1]; j++) {
                want = want || (j != k && p->clocked[j] && p->clocked[k] && p->boot[j] == p->boot[k] &&
                                p->ms[j] == p->ms[k]);
            }
            clocked += i == 0 && p->clocked[k];
        }
        EQUAL(found[i], want);
    }
    if (clocked > 0) {
        EQUAL(sc_blocks_shared(in.data, in.len, starts, ends, count, scratch, clocked - 1, found, &at), SC_ROOM);
        EQUAL(at, 0);
    }
}

/* sc_blocks_summarize against its description, read off the points that sc_blocks_decode gives: equal, also in failing.
 */
static void summarize(bytes in, const uint64_t *starts, const uint64_t *ends, size_t count)
{
    size_t points = points_in(in.data, in.len, starts, ends, count), at = 99, sum_at = 99;
    sc_points p = columns(points);
    uint64_t *firsts = numbers(count + 1);
    int64_t *times = room_for(count * sizeof *times);
    sc_summaries s = {room_for(count * 8), numbers(count), room_for(count * 8), room_for(count * 8), room_for(count),
                      numbers(count),      numbers(count), numbers(count),      numbers(count),      room_for(count),
                      numbers(count),      numbers(count), numbers(count),      numbers(count),      NULL,
                      sc_lasts_size(in.data, in.len, starts, ends, count)};
    s.data = room_for(s.data_len);
    sc_status status = points_of(in.data, in.len, starts, ends, count, firsts, times, &p, points, &at);
    msgpack(in, starts, ends, count, &p, firsts, status, at, INT64_MIN, INT64_MAX);
    msgpack(in, starts, ends, count, &p, firsts, status, at, 1, 10);
    shared(in, starts, ends, count, &p, firsts, status, at);
    EQUAL(sc_blocks_summarize(in.data, in.len, starts, ends, count, &s, &sum_at), status);
    if (status != SC_OK) {
        EQUAL(sum_at, at);
        return;
    }
    EQUAL(sum_at, count);
    for (size_t i = 0; i < count; i++) {
        size_t first = firsts[i], last = firsts[i + 1] - 1, with = 0, falls = 0, low = last, high = last;
        for (size_t k = first; k <= last; k++) {
            if (p.clocked[k]) {
                low =
                    with == 0 || p.boot[k] < p.boot[low] || (p.boot[k] == p.boot[low] && p.ms[k] < p.ms[low]) ? k : low;
                high = with == 0 || p.boot[k] > p.boot[high] || (p.boot[k] == p.boot[high] && p.ms[k] > p.ms[high])
                           ? k
                           : high;
                with++;
            }
            falls += k > first && (p.boot[k] < p.boot[k - 1] || (p.boot[k] == p.boot[k - 1] && p.ms[k] <= p.ms[k - 1]));
        }
        EQUAL(s.write_times[i], times[i]);
        EQUAL(s.counts[i], last - first + 1);
        EQUAL(s.first_t[i], p.t[first]);
        EQUAL(s.last_t[i], p.t[last]);
        EQUAL(s.clocks[i], with == 0 ? 0 : with == last - first + 1 && falls == 0 ? 1 : 2);
        EQUAL(s.min_boot[i], p.boot[low]);
        EQUAL(s.min_ms[i], p.ms[low]);
        EQUAL(s.max_boot[i], p.boot[high]);
        EQUAL(s.max_ms[i], p.ms[high]);
        EQUAL(s.last_clocked[i], p.clocked[last]);
        EQUAL(s.last_boot[i], p.boot[last]);
        EQUAL(s.last_ms[i], p.ms[last]);
        SAME(s.data + s.starts[i], s.ends[i] - s.starts[i],
             exact(p.data + p.starts[last], p.ends[last] - p.starts[last]));
    }
}

/* Decodes all blocks of `made` and compares with the samples they were made of. */
static void back(const encoded *made, const sample *samples, size_t count)
{
    const sc_blocks *b = &made->blocks;
    size_t at = 0;
    EQUAL(b->offsets[b->count], made->out.len);
    EQUAL(b->firsts[b->count], count);
    EQUAL(points_in(made->out.data, made->out.len, b->offsets, b->offsets + 1, b->count), count);
    summarize(made->out, b->offsets, b->offsets + 1, b->count);
    sc_points got = columns(count);
    uint64_t *firsts = numbers(b->count + 1);
    int64_t *times = room_for(b->count * sizeof *times);
    EQUAL(points_of(made->out.data, made->out.len, b->offsets, b->offsets + 1, b->count, firsts, times, &got,
                           count, &at),
          SC_OK);
    SAME((uint8_t *)firsts, (b->count + 1) * sizeof *firsts, exact(b->firsts, (b->count + 1) * sizeof *firsts));
    for (size_t block = 0; block < b->count; block++) {
        EQUAL(times[block], 5);
        for (size_t k = firsts[block]; k < firsts[block + 1]; k++) {
            const sample *s = &samples[b->order[k]];
            EQUAL(b->series[block], s->series);
            EQUAL(got.t[k], s->t);
            EQUAL(got.clocked[k], s->clocked);
            EQUAL(got.boot[k], s->clocked ? s->boot : 0);
            EQUAL(got.ms[k], s->clocked ? s->ms : 0);
            SAME(got.data + got.starts[k], got.ends[k] - got.starts[k], exact(s->data, strlen(s->data)));
        }
    }
}

static void bytes_of(const char *what, const sample *samples, size_t count, size_t max_points, size_t max_bytes,
                     const char *const *wants, size_t blocks)
{
    bytes all = {NULL, 0};
    about(what);
    encoded made = encode(samples, count, max_points, max_bytes);
    EQUAL(made.status, SC_OK);
    EQUAL(made.blocks.count, blocks);
    for (size_t i = 0; i < blocks; i++) {
        all = join(all, hex(wants[i]));
        EQUAL(made.blocks.offsets[i + 1], all.len);
    }
    EQUAL(made.blocks.offsets[0], 0);
    SAME(made.out.data, made.out.len, all);
    back(&made, samples, count);
}

#define BYTES_OF(what, samples, max_points, max_bytes, ...)                                                            \
    do {                                                                                                               \
        static const char *const wants[] = {__VA_ARGS__};                                                              \
        bytes_of(what, samples, COUNT(samples), max_points, max_bytes, wants, COUNT(wants));                           \
    } while (0)

static void encode_bytes(void)
{
    static const sample one[] = {{0, 10, 0, 0, 0, "7"}};
    BYTES_OF("one point", one, MANY_POINTS, MANY_BYTES, "00 05 03 14 00 37");

    static const sample two[] = {{0, 10, 1, 300, 4, "71"}, {0, 12, 0, 9, 9, "{}"}};
    BYTES_OF("two points", two, MANY_POINTS, MANY_BYTES, "00 05 07 14 01 ac 02 04 37 31 04 04 00 7b 7d");

    static const sample mixed[] = {{0, 30, 0, 0, 0, "a"}, {1, -5, 0, 0, 0, "b"}, {0, 10, 0, 0, 0, "c"},
                                   {2, 0, 0, 0, 0, "d"},  {0, 30, 0, 0, 0, "e"}, {1, -5, 0, 0, 0, "f"}};
    BYTES_OF("three series: each sorted by t, equal ones in their order", mixed, MANY_POINTS, MANY_BYTES,
             "00 05 03 14 00 63 03 28 00 61 03 00 00 65", "00 05 03 09 00 62 03 00 00 66", "00 05 03 00 00 64");

    BYTES_OF("two points a block", mixed, 2, MANY_BYTES, "00 05 03 14 00 63 03 28 00 61", "00 05 03 3c 00 65",
             "00 05 03 09 00 62 03 00 00 66", "00 05 03 00 00 64");
    BYTES_OF("ten bytes a block", mixed, MANY_POINTS, 10, "00 05 03 14 00 63 03 28 00 61", "00 05 03 3c 00 65",
             "00 05 03 09 00 62 03 00 00 66", "00 05 03 00 00 64");
    BYTES_OF("nine bytes a block", mixed, MANY_POINTS, 9, "00 05 03 14 00 63", "00 05 03 3c 00 61", "00 05 03 3c 00 65",
             "00 05 03 09 00 62", "00 05 03 09 00 66", "00 05 03 00 00 64");
    BYTES_OF("one point may be longer", mixed, MANY_POINTS, 0, "00 05 03 14 00 63", "00 05 03 3c 00 61",
             "00 05 03 3c 00 65", "00 05 03 09 00 62", "00 05 03 09 00 66", "00 05 03 00 00 64");

    static const sample span[] = {
        {0, 0, 0, 0, 0, "1"}, {0, SC_MAX_BLOCK_SPAN, 0, 0, 0, "2"}, {0, SC_MAX_BLOCK_SPAN + 1, 0, 0, 0, "3"}};
    BYTES_OF("the longest span and one more", span, MANY_POINTS, MANY_BYTES,
             "00 05 03 00 00 31 07 80 90 9d e9 1a 00 32", "00 05 07 82 90 9d e9 1a 00 33");

    static const sample far[] = {{0, INT64_MAX, 0, 0, 0, "1"},
                                 {0, INT64_MIN, 0, 0, 0, "2"},
                                 {0, -1, 0, 0, 0, "3"},
                                 {0, INT64_MAX, 0, 0, 0, "4"}};
    BYTES_OF("the ends of time", far, MANY_POINTS, MANY_BYTES, "00 05 0c ff ff ff ff ff ff ff ff ff 01 00 32",
             "00 05 03 01 00 33", "00 05 0c fe ff ff ff ff ff ff ff ff 01 00 31 03 00 00 34");

    static const sample clocks[] = {{0, 0, 1, UINT64_MAX, UINT64_MAX, "1"}, {0, 0, 1, 0, 0, "2"}};
    BYTES_OF("the greatest boot and ms", clocks, MANY_POINTS, MANY_BYTES,
             "00 05 17 00 01 ff ff ff ff ff ff ff ff ff 01 ff ff ff ff ff ff ff ff ff 01 31 05 00 01 00 00 32");

    /* DESIGN section 3: a point that reads as a keyframe. */
    static const sample marker[] = {{0, 7, 0, 0, 0, "0"}, {0, 8, 1, 2665413724933, 4959571987187969, "7"}};
    about("a point that reads as a keyframe");
    encoded made = encode(marker, 2, MANY_POINTS, MANY_BYTES);
    bytes uuid = hex("01 85 96 a7 b8 c9 4d 81 92 a3 b4 c5 d6 e7 08 37");
    EQUAL(sc_marker_find(made.out.data, made.out.len, 0, uuid.data), made.out.len - SC_MARKER_BYTES);
}

static void encode_no_points(void)
{
    sc_points none = columns(0);
    about("no points");
    EQUAL(sc_blocks_size(&none, 0), 0);
    encoded made = encode_points(&none, NULL, 0, 5, MANY_POINTS, MANY_BYTES);
    EQUAL(made.status, SC_OK);
    EQUAL(made.at, 0);
    EQUAL(made.blocks.count, 0);
    EQUAL(made.blocks.offsets[0], 0);
    EQUAL(made.blocks.firsts[0], 0);
}

static void encode_times(void)
{
    static const sample one[] = {{0, 0, 0, 0, 0, "1"}};
    static const int64_t times[] = {0, 127, 128, INT64_MAX};
    sc_points points = gather(one, 1);
    uint32_t *series = series_of(one, 1);
    for (size_t i = 0; i < COUNT(times); i++) {
        encoded made = encode_points(&points, series, 1, times[i], MANY_POINTS, MANY_BYTES);
        uint64_t got = 0;
        size_t at = 1;
        about("write times");
        EQUAL(made.status, SC_OK);
        EQUAL(sc_varint_get(made.out.data, made.out.len, &at, &got), SC_OK);
        EQUAL(got, times[i]);
        EQUAL(made.out.len, at + 4);
    }
    EQUAL(encode_points(&points, series, 1, -1, MANY_POINTS, MANY_BYTES).status, SC_TIME);
    encoded made = encode_points(&points, series, 1, INT64_MIN, MANY_POINTS, MANY_BYTES);
    EQUAL(made.status, SC_TIME);
    EQUAL(made.at, 0);
}

static void encode_wrong(void)
{
    static const sample good[] = {{0, 0, 0, 0, 0, "12"}, {1, 0, 0, 0, 0, "34"}, {0, 0, 0, 0, 0, "56"}};
    static const struct {
        uint64_t start, end;
        sc_status status;
    } slices[] = {{1, 0, SC_BOUNDS},
                  {0, 7, SC_BOUNDS},
                  {7, 7, SC_BOUNDS},
                  {0, UINT64_MAX, SC_BOUNDS},
                  {6, 6, SC_DATA_EMPTY},
                  {0, 0, SC_DATA_EMPTY},
                  {0, 6, SC_OK},
                  {UINT64_MAX, 0, SC_BOUNDS},
                  {UINT64_MAX, UINT64_MAX, SC_BOUNDS}};
    for (size_t row = 0; row < 3; row++) {
        for (size_t i = 0; i < COUNT(slices); i++) {
            sc_points points = gather(good, 3);
            points.starts[row] = slices[i].start;
            points.ends[row] = slices[i].end;
            about("slices of data");
            encoded made = encode_points(&points, series_of(good, 3), 3, 5, MANY_POINTS, MANY_BYTES);
            EQUAL(made.status, slices[i].status);
            CHECK(made.status == SC_OK || made.at == row);
        }
    }
    static const uint32_t numbers_of[][3] = {{1, 0, 0}, {0, 2, 1}, {0, 1, 3}, {UINT32_MAX, 0, 0}, {0, 0, UINT32_MAX}};
    static const size_t rows[] = {0, 1, 2, 0, 2};
    for (size_t i = 0; i < COUNT(rows); i++) {
        sc_points points = gather(good, 3);
        const uint32_t *series = (uint32_t *)(void *)exact(numbers_of[i], sizeof numbers_of[i]).data;
        about("series numbers");
        encoded made = encode_points(&points, series, 3, 5, MANY_POINTS, MANY_BYTES);
        EQUAL(made.status, SC_SERIES);
        EQUAL(made.at, rows[i]);
    }
    for (size_t more = 0; more < 2; more++) {
        bytes data = repeat('1', SC_MAX_DATA + more);
        sc_points points = gather(good, 1);
        points.data = data.data;
        points.data_len = data.len;
        points.ends[0] = data.len;
        about("the longest data and one byte more");
        encoded made = encode_points(&points, series_of(good, 1), 1, 5, MANY_POINTS, MANY_BYTES);
        EQUAL(made.status, more ? SC_DATA_SIZE : SC_OK);
        EQUAL(made.at, more ? 0 : data.len + 2 + 3 + 2);
    }
}

static void encode_room(void)
{
    static const sample samples[] = {
        {0, 9, 1, 1, 1, "1"}, {1, 3, 0, 0, 0, "22"}, {0, 1, 0, 0, 0, "333"}, {0, SC_MAX_BLOCK_SPAN * 2, 0, 0, 0, "4"}};
    sc_points points = gather(samples, 4);
    uint32_t *series = series_of(samples, 4);
    size_t need = encode(samples, 4, MANY_POINTS, MANY_BYTES).at;
    about("every room that is too small");
    for (size_t room = 0; room <= need; room++) {
        sc_blocks blocks = blocks_for(4);
        size_t at = 99;
        EQUAL(sc_blocks_encode(&points, series, 4, 5, MANY_POINTS, MANY_BYTES, &blocks, room_for(room), room, &at),
              room < need ? SC_ROOM : SC_OK);
        CHECK(at == need || at < 4);
    }
}

/* Batches of every shape against what the words of the header say. */
static void encode_random(void)
{
    enum { MANY = 300 };
    for (size_t round = 0; round < 200; round++) {
        size_t count = 1 + random_number() % MANY;
        uint32_t kinds = 1 + (uint32_t)(random_number() % 9), seen = 0;
        uint64_t spread = UINT64_C(1) << random_number() % 40;
        size_t max_points = round % 3 == 0 ? 1 + random_number() % 20 : MANY_POINTS;
        size_t max_bytes = round % 5 == 0 ? random_number() % 100 : MANY_BYTES;
        sample *samples = room_for(count * sizeof *samples);
        for (size_t i = 0; i < count; i++) {
            static const char *const texts[] = {"1", "{\"c\":21.5}", "null", "\"\xc3\xa9\""};
            uint64_t shape = random_number(), boot = random_number(), ms = random_number();
            uint32_t series = (uint32_t)(shape % kinds);
            series = series < seen ? series : seen++;
            samples[i] = (sample){series,
                                  (int64_t)(random_number() % spread) - (int64_t)(spread / 2),
                                  shape >> 8 & 1,
                                  boot >> (shape >> 16) % 64,
                                  ms >> (shape >> 24) % 64,
                                  texts[(shape >> 32) % 4]};
        }
        about("random batches");
        encoded made = encode(samples, count, max_points, max_bytes);
        EQUAL(made.status, SC_OK);
        const sc_blocks *b = &made.blocks;
        back(&made, samples, count);
        int good = 1;
        for (size_t i = 0; i < b->count; i++) {
            size_t first = b->firsts[i], end = b->firsts[i + 1];
            size_t size = b->offsets[i + 1] - b->offsets[i];
            good &= end > first && end - first <= max_points && (size <= max_bytes || end - first == 1);
            good &= i == 0 || b->series[i] == b->series[i - 1] || b->series[i] == b->series[i - 1] + 1;
            for (size_t k = first; k < end; k++) {
                const sample *s = &samples[b->order[k]], *before = k > 0 ? &samples[b->order[k - 1]] : s;
                good &= s->t - samples[b->order[first]].t <= SC_MAX_BLOCK_SPAN;
                good &= k == 0 || before->series < s->series || before->t < s->t ||
                        (before->t == s->t && b->order[k - 1] < b->order[k]);
            }
        }
        CHECK(good);
    }
}

/* ---- decoding ---- */

static void decode_cases(void)
{
    static const struct {
        const char *block;
        sc_status status;
        size_t at; /* in the block; points where it is good */
    } cases[] = {
        {"00 05 03 14 00 37", SC_OK, 1},
        {"00 ff ff ff ff ff ff ff ff 7f 03 00 00 37", SC_OK, 1},
        {"00 85 00 84 00 94 00 00 37", SC_OK, 1}, /* not minimal */
        {"00 05 03 14 00 37 05 02 01 00 00 37", SC_OK, 2},
        {"00 05 05 14 01 00 00 37 03 00 00 37", SC_OK, 2},

        {"", SC_BLOCK_EMPTY, 0},
        {"00 05", SC_BLOCK_EMPTY, 0},
        {"02", SC_BLOCK_CODEC, 0},
        {"ff 05 03 14 00 37", SC_BLOCK_CODEC, 0},

        {"00", SC_POINT_SIZE, 1},
        {"00 80", SC_POINT_SIZE, 1},
        {"00 80 80 80 80 80 80 80 80 80 02", SC_VARINT, 1},
        {"00 80 80 80 80 80 80 80 80 80 01 03 14 00 37", SC_TIME, 1},
        {"00 ff ff ff ff ff ff ff ff ff 01", SC_TIME, 1},

        {"00 05 80", SC_POINT_SIZE, 2},
        {"00 05 ff ff ff ff ff ff ff ff ff 02", SC_VARINT, 2},
        {"00 05 04 14 00 37", SC_POINT_SIZE, 2},
        {"00 05 ff ff ff ff ff ff ff ff ff 01 14 00 37", SC_POINT_SIZE, 2},
        {"00 05 03 14 00 37 01", SC_POINT_SIZE, 6},
        {"00 05 00", SC_POINT_SIZE, 3},
        {"00 05 01 80", SC_POINT_SIZE, 3},
        {"00 05 0a 80 80 80 80 80 80 80 80 80 02", SC_VARINT, 3},
        {"00 05 01 14", SC_POINT_SIZE, 4},
        {"00 05 02 14 80", SC_POINT_SIZE, 4},
        {"00 05 0b 14 80 80 80 80 80 80 80 80 80 02", SC_VARINT, 4},
        {"00 05 02 14 01", SC_POINT_SIZE, 5},
        {"00 05 03 14 01 80", SC_POINT_SIZE, 5},
        {"00 05 0c 14 01 80 80 80 80 80 80 80 80 80 02", SC_VARINT, 5},
        {"00 05 03 14 01 00", SC_POINT_SIZE, 6},
        {"00 05 0d 14 01 00 80 80 80 80 80 80 80 80 80 02", SC_VARINT, 6},
        {"00 05 02 14 80 37", SC_POINT_SIZE, 4}, /* a number does not reach over the end of its point */

        {"00 05 03 14 02 37", SC_FLAGS, 2},
        {"00 05 03 14 00 37 0c 00 ff ff ff ff ff ff ff ff ff 01 37", SC_FLAGS, 6},
        {"00 05 02 14 00", SC_DATA_EMPTY, 2},
        {"00 05 04 14 01 00 00", SC_DATA_EMPTY, 2},
        {"00 05 03 14 00 ff", SC_UTF8, 2},
        {"00 05 03 14 00 37 04 00 00 c3 28", SC_UTF8, 6},
        {"00 05 03 14 00 c3 03 00 00 a9", SC_UTF8, 2},

        {"00 05 03 14 00 37 03 01 00 37", SC_BLOCK_ORDER, 6},
        {"00 05 03 13 00 37 03 13 00 37", SC_BLOCK_ORDER, 6},
        {"00 05 03 14 00 37 07 80 90 9d e9 1a 00 37", SC_OK, 2},
        {"00 05 03 14 00 37 07 82 90 9d e9 1a 00 37", SC_BLOCK_SPAN, 6},
        {"00 05 03 14 00 37 03 02 00 37 07 80 90 9d e9 1a 00 37", SC_BLOCK_SPAN, 10},
        /* -2^63, and back to 2^63-1: over the span and not over int64 on the way */
        {"00 05 0c ff ff ff ff ff ff ff ff ff 01 00 37 0c fe ff ff ff ff ff ff ff ff 01 00 37", SC_BLOCK_SPAN, 15},
        {"00 05 0c fe ff ff ff ff ff ff ff ff 01 00 37 03 00 00 37", SC_OK, 2},
        {"00 05 0c fe ff ff ff ff ff ff ff ff 01 00 37 03 02 00 37", SC_TIME, 15},
        {"00 05 0c ff ff ff ff ff ff ff ff ff 01 00 37 03 01 00 37", SC_TIME, 15},
        {"00 05 0c ff ff ff ff ff ff ff ff ff 01 00 37 0c ff ff ff ff ff ff ff ff ff 01 00 37", SC_TIME, 15},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        bytes block = hex(cases[i].block), in = join(repeat(0xff, 3), block);
        uint64_t start = 3, end = in.len;
        uint64_t *firsts = numbers(2);
        int64_t write_time = 0;
        size_t at = 99, count = points_in(in.data, in.len, &start, &end, 1);
        sc_points points = columns(count);
        about(cases[i].block);
        CHECK(count <= block.len);
        EQUAL(points_of(in.data, in.len, &start, &end, 1, firsts, &write_time, &points, count, &at),
              cases[i].status);
        EQUAL(firsts[0], 0);
        if (cases[i].status == SC_OK) {
            EQUAL(count, cases[i].at);
            EQUAL(firsts[1], cases[i].at);
            EQUAL(points.data_len, points.ends[firsts[1] - 1]);
        } else {
            EQUAL(at, cases[i].at + 3);
        }
        summarize(in, &start, &end, 1);
    }
}

static void decode_many(void)
{
    bytes in = hex("00 05 03 14 00 37 ff 00 06 03 15 00 38 03 00 00 39");
    uint64_t starts[] = {7, 0, 7}, ends[] = {17, 6, 17}, firsts[4];
    int64_t times[3];
    size_t at = 0;
    sc_points points = columns(5);
    about("blocks in any order, one twice");
    EQUAL(points_in(in.data, in.len, starts, ends, 3), 5);
    EQUAL(points_of(in.data, in.len, starts, ends, 3, firsts, times, &points, 5, &at), SC_OK);
    EQUAL(firsts[1], 2);
    EQUAL(firsts[2], 3);
    EQUAL(firsts[3], 5);
    EQUAL(times[0], 6);
    EQUAL(times[1], 5);
    EQUAL(points.t[0], -11);
    EQUAL(points.t[1], -11);
    EQUAL(points.t[2], 10);
    EQUAL(points.starts[4], 4);
    summarize(in, starts, ends, 3);

    static const uint64_t slices[][2] = {{1, 0}, {0, 18}, {18, 18}, {0, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}};
    for (size_t i = 0; i < COUNT(slices); i++) {
        for (size_t block = 0; block < 3; block++) {
            uint64_t other_starts[] = {7, 0, 7}, other_ends[] = {17, 6, 17};
            other_starts[block] = slices[i][0];
            other_ends[block] = slices[i][1];
            about("a block outside its buffer");
            CHECK(points_in(in.data, in.len, other_starts, other_ends, 3) <= 5);
            EQUAL(points_of(in.data, in.len, other_starts, other_ends, 3, firsts, times, &points, 5, &at),
                  SC_BOUNDS);
            EQUAL(at, block);
            summarize(in, other_starts, other_ends, 3);
        }
    }
    about("too little room");
    for (size_t room = 0; room < 5; room++) {
        sc_points few = columns(room);
        EQUAL(points_of(in.data, in.len, starts, ends, 3, firsts, times, &few, room, &at), SC_ROOM);
    }
    about("no blocks");
    EQUAL(points_in(NULL, 0, NULL, NULL, 0), 0);
    sc_points none = columns(0);
    EQUAL(points_of(NULL, 0, NULL, NULL, 0, firsts, NULL, &none, 0, &at), SC_OK);
    EQUAL(firsts[0], 0);
}

static void decode_data_size(void)
{
    for (size_t more = 0; more < 2; more++) {
        uint8_t head[2 + SC_VARINT_BYTES + 2] = {0, 5};
        size_t size = 2 + sc_varint_put(head + 2, SC_MAX_DATA + more + 2), at = 0;
        head[size++] = 0;
        head[size++] = 0;
        bytes in = join(exact(head, size), repeat('1', SC_MAX_DATA + more));
        uint64_t start = 0, end = in.len, firsts[2];
        int64_t time;
        sc_points points = columns(1);
        about("the longest data and one byte more");
        EQUAL(points_of(in.data, in.len, &start, &end, 1, firsts, &time, &points, 1, &at),
              more ? SC_DATA_SIZE : SC_OK);
        CHECK(!more || at == 2);
    }
}

/* A block cut between points is one with fewer points; cut anywhere else it is an error, never a wrong point. */
static void decode_cut(void)
{
    bytes whole = hex("00 80 01 09 94 01 01 ac 02 90 01 37 38 05 00 00 e2 82 ac 04 80 80 01 00");
    /* Its last point has no data: whole, it is wrong too. */
    about("a block cut at every byte");
    for (size_t cut = 0; cut <= whole.len; cut++) {
        bytes in = exact(whole.data, cut);
        uint64_t start = 0, end = cut, firsts[2];
        int64_t time;
        size_t at = 99, count = points_in(in.data, cut, &start, &end, 1);
        sc_points points = columns(count);
        int good = cut == 13 || cut == 19;
        int empty = cut == 0 || cut == 3;
        EQUAL(points_of(in.data, cut, &start, &end, 1, firsts, &time, &points, count, &at),
              good               ? SC_OK
              : empty            ? SC_BLOCK_EMPTY
              : cut == whole.len ? SC_DATA_EMPTY
                                 : SC_POINT_SIZE);
        CHECK(good || at <= cut);
        summarize(in, &start, &end, 1);
    }
}

/* Clocks in every order of up to four points. */
static void clocks(void)
{
    for (uint64_t shape = 0; shape < 7 * 7 * 7 * 7; shape++) {
        sample samples[4];
        uint64_t rest = shape;
        for (size_t i = 0; i < 4; i++, rest /= 7) {
            uint64_t kind = rest % 7;
            samples[i] = (sample){0, (int64_t)i, kind < 6, kind / 3, kind % 3, "1"};
        }
        about("clocks");
        encoded made = encode(samples, 1 + shape % 4, MANY_POINTS, MANY_BYTES);
        summarize(made.out, made.blocks.offsets, made.blocks.offsets + 1, 1);
        samples[2].series = samples[3].series = 1;
        made = encode(samples, 4, MANY_POINTS, MANY_BYTES);
        summarize(made.out, made.blocks.offsets, made.blocks.offsets + 1, 2);
    }
    about("no summaries");
    size_t at = 99;
    sc_summaries none;
    EQUAL(sc_blocks_summarize(NULL, 0, NULL, NULL, 0, &none, &at), SC_OK);
    EQUAL(at, 0);
    EQUAL(sc_blocks_shared(NULL, 0, NULL, NULL, 0, NULL, 0, NULL, &at), SC_OK);
    EQUAL(at, 0);
}

static void msgpack_room(void)
{
    bytes in = hex("00 05 07 14 01 ac 02 04 37 31 04 04 00 7b 7d 00 05 03 1a 00 37 00 05 03 1c 00 38");
    uint64_t starts[] = {0, 15, 21}, ends[] = {15, 21, 27};
    size_t at = 99, need = 5 + (2 + 32) + (2 + 32 - 16) + 2 * (1 + 32 - 16);
    about("points as msgpack: room, and times");
    for (size_t room = 5; room < need + 16; room++) { /* a point is written where one with boot and ms has room */
        uint8_t *out = room_for(room);
        EQUAL(sc_blocks_msgpack(in.data, in.len, starts, ends, 3, 0, 99, NULL, 0, out, room, &at), SC_ROOM);
        CHECK(at < 3);
    }
    EQUAL(sc_blocks_msgpack(in.data, in.len, starts, ends, 3, 0, 99, NULL, 0, room_for(need + 16), need + 16, &at),
          SC_OK);
    EQUAL(at, need);
    static const struct {
        int64_t from, to;
        uint8_t count;
    } ranges[] = {{0, 9, 0}, {10, 10, 1}, {10, 12, 2}, {11, 13, 2}, {13, 14, 2}, {15, 99, 0}, {12, 11, 0}};
    for (size_t i = 0; i < COUNT(ranges); i++) {
        uint8_t *out = room_for(200);
        EQUAL(sc_blocks_msgpack(in.data, in.len, starts, ends, 3, ranges[i].from, ranges[i].to, NULL, 0, out, 200, &at),
              SC_OK);
        EQUAL(out[4], ranges[i].count);
    }
    about("points as msgpack: blocks that overlap, or touch");
    starts[2] = 15;
    ends[2] = 21;
    EQUAL(sc_blocks_msgpack(in.data, in.len, starts, ends, 3, 0, 99, NULL, 0, room_for(200), 200, &at), SC_OK);
    EQUAL(at, 0);
    about("points as msgpack: no blocks");
    uint8_t *out = room_for(5);
    EQUAL(sc_blocks_msgpack(NULL, 0, NULL, NULL, 0, 0, 99, NULL, 0, out, 5, &at), SC_OK);
    SAME(out, at, hex("dd 00 00 00 00"));
}

void test_block(void)
{
    encode_bytes();
    encode_no_points();
    encode_times();
    encode_wrong();
    encode_room();
    encode_random();
    decode_cases();
    decode_many();
    decode_data_size();
    decode_cut();
    clocks();
    msgpack_room();
}
