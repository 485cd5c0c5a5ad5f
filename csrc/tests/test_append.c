#include "check.h"

/* Batches appended one after another to three rows, the records that come of one going into the next: as blocks, changes,
 * summaries and rows are made in calls of their own. */
enum { ROWS = 3, MOST = 12, LOGS = 2 };

typedef struct world {
    bytes records[ROWS];
    uint32_t log[ROWS], version[ROWS]; /* of each row, as its record should have them */
} world;

typedef struct batch {
    sc_points points;
    uint32_t series[MOST];
    size_t count, rows;
    sc_blocks blocks;
    uint8_t *values;
} batch;

static const int64_t write_time = 50;

static bytes string(bytes text)
{
    uint8_t head[] = {0xc5, (uint8_t)(text.len >> 8), (uint8_t)text.len};
    return join(exact(head, sizeof head), text);
}

/* Keys "troop/0", suffixes "r0" and so on: as msgpack, with an item of each kind that is passed over. */
static sc_rows rows_of(const world *w, size_t count)
{
    uint8_t head[] = {(uint8_t)(0x90 + count)};
    bytes in = exact(head, 1);
    for (size_t r = 0; r < count; r++) {
        char key[] = "troop/0", suffix[] = "r0";
        key[6] = suffix[1] = (char)('0' + r);
        in = join(join(in, hex("97")), string(exact(key, 7)));
        in = join(join(in, join(string(exact(suffix, 2)), string(w->records[r]))), hex("c4 01 6b cd 01 00 a1 61 c0"));
    }
    sc_rows rows;
    size_t at = 99;
    EQUAL(sc_msgpack_count(in.data, in.len), count);
    EQUAL(sc_msgpack_rows(in.data, in.len, numbers(6 * count), &rows, &at), SC_OK);
    EQUAL(rows.count, count);
    EQUAL(at, in.len);
    rows.uuids = repeat('u', LOGS * SC_UUID_BYTES).data;
    rows.logs = LOGS;
    rows.newest = 5;
    return rows;
}

/* Points of up to ROWS series, many at the same times and with the same clocks, and their blocks of up to 3. */
static batch some_points(size_t count)
{
    batch b = {.count = count, .values = NULL};
    b.points = (sc_points){room_for(count * sizeof(int64_t)), room_for(count), numbers(count), numbers(count),
                           (const uint8_t *)"1234567", 7, numbers(count), numbers(count)};
    for (size_t i = 0; i < count; i++) {
        uint64_t any = random_number();
        b.series[i] = (uint32_t)(any % ROWS < b.rows ? any % ROWS : b.rows < ROWS ? b.rows++ : 0);
        b.points.t[i] = (int64_t)(any >> 8 & 63);
        b.points.clocked[i] = any >> 16 & 3 ? 2 : 0;
        b.points.boot[i] = any >> 20 & 1;
        b.points.ms[i] = any >> 24 & 1023;
        b.points.starts[i] = any >> 40 & 3;
        b.points.ends[i] = b.points.starts[i] + 1 + (any >> 44 & 3);
    }
    b.blocks = blocks_for(count);
    size_t size = sc_blocks_size(&b.points, count), at = 99;
    b.values = room_for(size);
    EQUAL(sc_blocks_encode(&b.points, b.series, count, write_time, 3, SIZE_MAX, &b.blocks, b.values, size, &at), SC_OK);
    return b;
}

static sc_append to_for(const batch *b, const sc_rows *rows, uint32_t log, uint32_t first)
{
    size_t frames, room = sc_append_size(&b->points, &b->blocks, rows, &frames), count = b->blocks.count;
    sc_append to = {log,
                    first,
                    UINT32_MAX,
                    room_for(frames),
                    frames,
                    numbers(count),
                    numbers(count),
                    room_for(count),
                    room_for(room),
                    room,
                    room_for(rows->count * sizeof(sc_row)),
                    numbers(rows->count * SC_RECENT)};
    return to;
}

static sc_status append(const batch *b, const sc_rows *rows, const sc_append *to, size_t *at)
{
    return sc_blocks_append(&b->points, &b->blocks, b->values, write_time, rows, to, at);
}

/* What the calls of their own make of a batch. */
typedef struct made {
    bytes frames, out;
    uint64_t *starts, *ends;
    uint8_t *deferred;
    uint32_t greatest; /* of its versions */
} made;

static made in_steps(const batch *b, const sc_rows *rows, world *w, uint32_t log, uint32_t first)
{
    size_t count = b->blocks.count, at = 99;
    made m = {.starts = numbers(count), .ends = numbers(count), .deferred = room_for(count)};
    uint32_t *change = room_for(count * 4), *from = room_for(count * 4), *to = room_for(count * 4);
    uint64_t *none = numbers(count), *six = numbers(count), *key_starts = numbers(count), *key_ends = numbers(count);
    for (size_t i = 0; i < count; i++) {
        uint32_t r = b->blocks.series[i], points = (uint32_t)(b->blocks.firsts[i + 1] - b->blocks.firsts[i]);
        none[i] = 0;
        six[i] = 6;
        change[i] = first + (uint32_t)i;
        from[i] = w->log[r] == log + 1 ? w->version[r] : 0;
        to[i] = w->version[r] = from[i] + points;
        w->log[r] = log + 1;
        m.greatest = m.greatest < to[i] ? to[i] : m.greatest;
        key_starts[i] = rows->key_starts[r];
        key_ends[i] = rows->key_ends[r];
    }
    sc_changes c = {(const uint8_t *)"sensor",
                    6,
                    none,
                    six,
                    rows->keys,
                    rows->keys_len,
                    key_starts,
                    key_ends,
                    b->values,
                    (size_t)b->blocks.offsets[count],
                    b->blocks.offsets,
                    b->blocks.offsets + 1,
                    change,
                    from,
                    to};
    size_t size = sc_changes_size(&c, count);
    m.frames = exact(room_for(size), size);
    EQUAL(sc_changes_encode(&c, count, SC_MAX_FRAME, m.frames.data, size, m.ends, &m.frames.len), SC_OK);
    for (size_t i = 0; i < count; i++) {
        m.starts[i] = m.ends[i] - (b->blocks.offsets[i + 1] - b->blocks.offsets[i]);
    }
    size_t texts = sc_lasts_size(m.frames.data, m.frames.len, m.starts, m.ends, count);
    sc_summaries s = {room_for(count * 8), numbers(count), room_for(count * 8), room_for(count * 8), room_for(count),
                      numbers(count),      numbers(count), numbers(count),      numbers(count),      room_for(count),
                      numbers(count),      numbers(count), numbers(count),      numbers(count),      room_for(texts),
                      texts};
    EQUAL(sc_blocks_summarize(m.frames.data, m.frames.len, m.starts, m.ends, count, &s, &at), SC_OK);
    size_t room = sc_rows_size(rows, m.starts, m.ends, b->blocks.series, count, texts);
    m.out = exact(room_for(room), room);
    EQUAL(sc_rows_add(rows, m.frames.data, m.frames.len, m.starts, m.ends, &s, b->blocks.series, change, to, count, log,
                      room_for(rows->count * sizeof(sc_row)), numbers(rows->count * SC_RECENT), m.deferred, m.out.data,
                      room, &m.out.len),
          SC_OK);
    return m;
}

/* The records, which follow the puts. */
static void keep_records(world *w, bytes out, size_t rows)
{
    size_t at = 5, items = sc_msgpack_count(out.data, out.len);
    EQUAL(items, 1 + rows);
    for (size_t i = 0; i < items; i++) {
        const uint8_t *head = out.data + at;
        size_t size = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
        if (i > 0) {
            w->records[i - 1] = exact(head + 5, size);
        }
        at += 5 + size;
    }
    EQUAL(at, out.len);
}

/* A batch of one is what sc_point_add makes of it, in an array of five: puts and record as they are, without a head. */
static void as_point(const batch *b, const sc_rows *rows, const made *m, uint32_t log, uint32_t first)
{
    const sc_points *p = &b->points;
    size_t record_len = (size_t)(rows->record_ends[0] - rows->record_starts[0]), at = 99;
    size_t data_len = (size_t)(p->ends[0] - p->starts[0]), enough = 7 + 2 * 2 + record_len + 3 * data_len + 4500;
    bytes want = hex("95 c6 00 00 00 00"), start = hex("ce 00 00 00 00"), puts = exact(m->out.data + 10, m->out.len - 10);
    want.data[5] = (uint8_t)m->frames.len;
    start.data[4] = (uint8_t)m->starts[0];
    want = join(join(want, m->frames), join(join(start, puts), exact(m->deferred, 1)));
    for (size_t room = 0; room <= enough; room += room < want.len ? 1 : enough - want.len) {
        uint8_t *out = room_for(room);
        for (uint32_t limit = UINT32_MAX; limit > 0; limit = limit == UINT32_MAX ? (first > m->greatest ? first : m->greatest) - 1 : 0) {
            sc_status status = sc_point_add(
                write_time, p->t[0], p->clocked[0], p->boot[0], p->ms[0], first,
                rows->keys + rows->key_starts[0], 7, p->data + p->starts[0], data_len,
                rows->suffixes + rows->suffix_starts[0], 2, rows->records + rows->record_starts[0], record_len,
                rows->uuids, rows->logs, rows->newest, log, limit, out, room, &at);
            if (limit < UINT32_MAX) {
                EQUAL(status, SC_LIMIT);
            } else if (room == enough) {
                EQUAL(status, SC_OK);
                SAME(out, at, want);
            } else {
                CHECK(status == SC_ROOM || room >= want.len);
            }
            EQUAL(at, status == SC_OK ? want.len : 0);
        }
    }
}

static void batches(void)
{
    world w = {{{NULL, 0}, {NULL, 0}, {NULL, 0}}, {0}, {0}};
    uint32_t first = 1;
    for (size_t turn = 0; turn < 60; turn++) {
        about("batches as they are made in steps");
        uint32_t log = turn / 20 % 2;
        batch b = some_points(turn % 4 ? 1 + turn % MOST : 1);
        sc_rows rows = rows_of(&w, b.rows);
        size_t count = b.blocks.count, at = 99, none;
        made m = in_steps(&b, &rows, &w, log, first);
        sc_append to = to_for(&b, &rows, log, first);
        EQUAL(append(&b, &rows, &to, &at), SC_OK);
        SAME(to.out, at, m.out);
        SAME(to.frames, (size_t)to.ends[count - 1], m.frames);
        SAME(to.deferred, count, exact(m.deferred, count));
        SAME((uint8_t *)to.starts, count * 8, exact(m.starts, count * 8));
        SAME((uint8_t *)to.ends, count * 8, exact(m.ends, count * 8));
        if (b.count == 1) {
            as_point(&b, &rows, &m, log, first);
        }

        about("limits of batches");
        uint32_t last = first + (uint32_t)count - 1;
        to.limit = last > m.greatest ? last : m.greatest;
        EQUAL(append(&b, &rows, &to, &none), SC_OK);
        to.limit--;
        EQUAL(append(&b, &rows, &to, &none), SC_LIMIT);
        to.limit = UINT32_MAX;
        about("room for batches");
        for (size_t room = 0; room < at; room += room < 15 || room + 20 > at ? 1 : 7) {
            to.out = room_for(to.room = room);
            EQUAL(append(&b, &rows, &to, &none), SC_ROOM);
        }
        to = to_for(&b, &rows, log, first);
        for (size_t room = 0; room < m.frames.len; room += 3) {
            to.frames = room_for(to.frames_room = room);
            EQUAL(append(&b, &rows, &to, &none), SC_ROOM);
        }
        keep_records(&w, m.out, b.rows);
        first += (uint32_t)count;
    }
}

static void wrong(void)
{
    world w = {{{NULL, 0}, {NULL, 0}, {NULL, 0}}, {0}, {0}};
    batch b = some_points(MOST);
    EQUAL(b.rows, ROWS);
    sc_rows rows = rows_of(&w, ROWS);
    sc_append to = to_for(&b, &rows, 0, 1);
    size_t at = 99, second = 0, less;
    while (b.blocks.series[second] == 0) {
        second++;
    }
    about("a log that is none");
    to.log = LOGS;
    EQUAL(append(&b, &rows, &to, &at), SC_BOUNDS);
    EQUAL(at, 0);
    to.log = 0;
    about("a series without a row");
    rows.count = 1;
    EQUAL(append(&b, &rows, &to, &at), SC_BOUNDS);
    EQUAL(at, second);
    sc_append_size(&b.points, &b.blocks, &rows, &less);
    CHECK(less < to.frames_room);
    rows.count = ROWS;
    about("a key outside");
    rows.key_ends[1] = rows.keys_len + 1;
    EQUAL(append(&b, &rows, &to, &at), SC_BOUNDS);
    EQUAL(at, second);
    about("a key that is no text");
    rows.key_ends[1] = rows.key_starts[1] + 1;
    rows.keys = exact("\xff", 1).data;
    rows.key_starts[1] = 0;
    rows.key_starts[0] = rows.key_ends[0] = rows.key_starts[2] = rows.key_ends[2] = 0;
    rows.key_ends[1] = rows.keys_len = 1;
    EQUAL(append(&b, &rows, &to, &at), SC_UTF8);
    EQUAL(at, second);
    about("a record that is none");
    w.records[2] = hex("c0");
    rows = rows_of(&w, ROWS);
    EQUAL(append(&b, &rows, &to, &at), SC_RECORD);
    EQUAL(at, 2);
}

void test_append(void)
{
    batches();
    wrong();
}
