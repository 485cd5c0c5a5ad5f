/* The views of blocks: what a row's record becomes, and what is put beside it. See scoutcore.h. */
#include "rows.h"

#define NUMBERS 18 /* of a record; recent readings and the last value's data are behind them */
#define RECORD (3 + 9 * NUMBERS + 3 + RECENT_BYTES + 5) /* the most bytes of a record beside that data */
#define PLACE  16  /* what follows a row in the key of a block */
#define CLOCK_PLACE 24
#define CLOCK_ENTRY 16
#define HIDDEN_HEAD 5
#define STRING_HEAD 5
#define ARRAY_HEAD  5
#define BIAS (UINT64_C(1) << 63)
#define MAX_ENTRIES 4 /* of a block in the clock index, and */
#define MAX_HIDDEN  64 /* points of it that are hidden, unless somebody else puts it */

enum { MSGPACK_BYTES = 0xc4, MSGPACK_UINT = 0xcc }; /* the tags for 1 byte; those for 2, 4 and 8 follow */

enum { CLOCKED_EVER = 1, CLOCKED_LAST = 2, EMPTY = 4 };

/* ---- records ---- */

static uint64_t number_get(const uint8_t *in, size_t *at, size_t width)
{
    uint64_t number = 0;
    for (size_t i = 0; i < width; i++)
        number = number << 8 | in[(*at)++];
    return number;
}

static void number_put(uint8_t *out, size_t *at, uint64_t number, size_t width)
{
    for (size_t i = width; i > 0; i--)
        out[(*at)++] = (uint8_t)(number >> 8 * (i - 1));
}

/* The head of a msgpack string or number: a tag, one for each width from first on, and n in the least width. */
static void tagged_put(uint8_t *out, size_t *at, unsigned first, uint64_t n)
{
    unsigned log = n < 0x100 ? 0 : n < 0x10000 ? 1 : n <= UINT32_MAX ? 2 : 3;
    out[(*at)++] = (uint8_t)(first + log);
    number_put(out, at, n, (size_t)1 << log);
}

static bool tagged_get(const uint8_t *in, size_t end, size_t *at, unsigned first, unsigned widths, uint64_t *n)
{
    if (*at == end || in[*at] < first || in[*at] >= first + widths)
        return false;
    unsigned log = in[*at] - first;
    if (end - *at - 1 < (size_t)1 << log)
        return false;
    (*at)++;
    *n = number_get(in, at, (size_t)1 << log);
    return log == 0 || *n >> (8u << (log - 1)) != 0;
}

static void uint_put(uint8_t *out, size_t *at, uint64_t n)
{
    if (n < 0x80)
        out[(*at)++] = (uint8_t)n;
    else
        tagged_put(out, at, MSGPACK_UINT, n);
}

static bool uint_get(const uint8_t *in, size_t end, size_t *at, uint64_t limit, uint64_t *n)
{
    if (*at < end && in[*at] < 0x80)
        *n = in[(*at)++];
    else if (!tagged_get(in, end, at, MSGPACK_UINT, 4, n) || *n < 0x80)
        return false;
    return *n <= limit;
}

static const uint8_t record_head[] = {0xdc, 0, NUMBERS + 2}; /* an array of so many */

/* recent: room for SC_RECENT. */
static bool record_read(const sc_rows *rows, size_t r, sc_row *row, uint64_t *recent)
{
    static const uint64_t limits[NUMBERS] = {
        UINT8_MAX,  UINT32_MAX, UINT32_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
        UINT64_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    const uint8_t *in = rows->records;
    uint64_t start = rows->record_starts[r], stop = rows->record_ends[r], n[NUMBERS], size;
    memset(row, 0, sizeof *row);
    row->flags = EMPTY;
    row->floor = INT64_MIN;
    row->recent = recent;
    if (!slice_ok(start, stop, rows->records_len) ||
        !slice_ok(rows->suffix_starts[r], rows->suffix_ends[r], rows->suffixes_len))
        return false;
    if (start == stop)
        return true;
    size_t at = (size_t)start + sizeof record_head, end = (size_t)stop;
    if (stop - start < sizeof record_head || memcmp(in + start, record_head, sizeof record_head) != 0)
        return false;
    for (size_t i = 0; i < NUMBERS; i++)
        if (!uint_get(in, end, &at, limits[i], &n[i]))
            return false;
    if (!tagged_get(in, end, &at, MSGPACK_BYTES, 3, &size) || size > end - at ||
        !recent_read(row, in + at, (size_t)size))
        return false;
    at += (size_t)size;
    if (!tagged_get(in, end, &at, MSGPACK_BYTES, 3, &size) || size != end - at)
        return false;
    row->flags = (uint8_t)n[0];
    row->own_log = (uint32_t)n[1];
    row->own_count = (uint32_t)n[2];
    row->points = n[3];
    row->receptions = n[4];
    row->max_boot = n[5];
    row->max_ms = n[6];
    row->widest = n[7];
    row->low = (int64_t)(n[8] ^ n[9] ^ BIAS);
    row->t = (int64_t)(n[9] ^ BIAS);
    row->log = (uint32_t)n[10];
    row->change = (uint32_t)n[11];
    row->index = (uint32_t)n[12];
    row->shown_t = (int64_t)(n[13] ^ n[9] ^ BIAS);
    row->boot = n[14];
    row->ms = n[15];
    row->floor = (int64_t)(n[16] ^ BIAS);
    row->span = n[17];
    row->data = in + at;
    row->data_len = (size_t)size;
    return (row->flags & EMPTY) || row->log < rows->logs;
}

/* All of a record but its data: at most RECORD bytes. */
static size_t record_put(uint8_t *out, const sc_row *row)
{
    uint64_t t = (uint64_t)row->t;
    const uint64_t n[NUMBERS] = {row->flags,
                                 row->own_log,
                                 row->own_count,
                                 row->points,
                                 row->receptions,
                                 row->max_boot,
                                 row->max_ms,
                                 row->widest,
                                 (uint64_t)row->low ^ t,
                                 t ^ BIAS,
                                 row->log,
                                 row->change,
                                 row->index,
                                 (uint64_t)row->shown_t ^ t,
                                 row->boot,
                                 row->ms,
                                 (uint64_t)row->floor ^ BIAS,
                                 row->span};
    size_t size = sizeof record_head;
    memcpy(out, record_head, sizeof record_head);
    for (size_t i = 0; i < NUMBERS; i++)
        uint_put(out, &size, n[i]);
    uint8_t recent[RECENT_BYTES];
    size_t recent_size = recent_put(recent, row);
    tagged_put(out, &size, MSGPACK_BYTES, recent_size);
    memcpy(out + size, recent, recent_size);
    size += recent_size;
    tagged_put(out, &size, MSGPACK_BYTES, row->data_len);
    return size;
}

/* ---- blocks ---- */

/* Where a block stands. */
typedef struct place {
    uint32_t log, change;
} place;

/* Whether a reception of this rank, the last of the block, comes behind the row's last one. */
static bool is_last(const sc_rows *rows, const sc_row *row, int64_t low, int64_t t, place at, uint64_t index)
{
    if (row->flags & EMPTY)
        return true;
    if (low != row->low)
        return low > row->low;
    if (t != row->t)
        return t > row->t;
    int order = memcmp(rows->uuids + SC_UUID_BYTES * (size_t)at.log, rows->uuids + SC_UUID_BYTES * (size_t)row->log,
                       SC_UUID_BYTES);
    if (order != 0)
        return order > 0;
    return at.change != row->change ? at.change > row->change : index > row->index;
}

/* What is found in a block's clocks. */
typedef struct clocks {
    sc_clock readings[SC_MAX_COLUMN]; /* {ms, row}, sorted */
    size_t count;
    uint64_t low[MAX_ENTRIES], high[MAX_ENTRIES]; /* ms of its entries in the clock index */
    size_t entries;
    uint32_t hidden[MAX_HIDDEN]; /* rows, rising, of readings that stand in it before */
    size_t hides;
} clocks;

/* Its entries and what is hidden; false: they are too many, or the block's last point is hidden. */
static bool clocks_sort_out(clocks *c, uint64_t points)
{
    for (size_t k = 0; k < c->count; k++) {
        uint64_t ms = c->readings[k].boot, row = c->readings[k].ms;
        if (k > 0 && ms == c->readings[k - 1].boot) {
            if (c->hides == MAX_HIDDEN || row == points - 1)
                return false;
            size_t i = c->hides++;
            for (; i > 0 && c->hidden[i - 1] > row; i--)
                c->hidden[i] = c->hidden[i - 1];
            c->hidden[i] = (uint32_t)row;
        }
        if (k == 0 || ms - c->low[c->entries - 1] > SC_CLOCK_RANGE) {
            if (c->entries == MAX_ENTRIES)
                return false;
            c->low[c->entries++] = ms;
        }
        c->high[c->entries - 1] = ms;
    }
    return true;
}

/* Whether none of the block's readings can have been heard before; the row's greatest clock becomes that of both. */
static bool clocks_take(sc_row *row, const uint8_t *in, uint64_t start, uint64_t end, const summary *s, clocks *c)
{
    c->count = c->entries = c->hides = 0;
    if (s->clocks == 0)
        return true;
    uint64_t boot = s->max_boot, min_ms = s->min_ms, max_ms = s->max_ms;
    bool ever = row->flags & CLOCKED_EVER, one_boot = s->min_boot == boot;
    bool above = !ever || clock_less(row->max_boot, row->max_ms, s->min_boot, min_ms);
    bool fresh = one_boot && (above || (row->kept && boot == row->max_boot && min_ms >= row->from));
    if (above && one_boot && s->clocks == 1 && max_ms - min_ms <= SC_CLOCK_RANGE && !row->kept) {
        c->low[0] = min_ms;
        c->high[0] = max_ms;
        c->entries = 1;
    } else {
        if (one_boot && (fresh || row->kept))
            c->count = block_readings(in, (size_t)start, (size_t)end, c->readings, SC_MAX_COLUMN);
        fresh = fresh && c->count > 0 && clocks_sort_out(c, s->count) &&
                (above || !recent_has(row, c->readings, c->count));
    }
    if (row->kept && boot > row->max_boot) /* there is nothing of this boot yet */
        row->from = row->recents = 0;
    if (!ever || clock_less(row->max_boot, row->max_ms, boot, max_ms)) {
        row->max_boot = boot;
        row->max_ms = max_ms;
    }
    row->flags |= CLOCKED_EVER;
    if (row->kept && c->count > 0 && boot == row->max_boot)
        recent_add(row, c->readings, c->count);
    else if (!fresh && c->count == 0)
        recent_start(row);
    return fresh;
}

static void last_take(const sc_rows *rows, sc_row *row, const summary *s, place at)
{
    int64_t t = s->last_t, low = t < s->write_time ? t : s->write_time;
    if (!is_last(rows, row, low, t, at, s->count - 1))
        return;
    row->low = low;
    row->t = row->shown_t = t;
    row->log = at.log;
    row->change = at.change;
    row->index = (uint32_t)(s->count - 1);
    row->flags = (uint8_t)((row->flags & CLOCKED_EVER) | (s->last_clocked ? CLOCKED_LAST : 0));
    row->boot = s->last_boot;
    row->ms = s->last_ms;
    row->data = s->text;
    row->data_len = s->text_len;
}

static void string_head_put(uint8_t *out, size_t *at, uint64_t size)
{
    out[(*at)++] = 0xc6;
    number_put(out, at, size, 4);
}

/* The head of a key: a section's letter, the row, and a byte 0. */
static void key_put(uint8_t *out, size_t *at, const sc_rows *rows, size_t r, char section, size_t rest)
{
    uint64_t start = rows->suffix_starts[r];
    size_t size = (size_t)(rows->suffix_ends[r] - start);
    string_head_put(out, at, 2 + size + rest);
    out[(*at)++] = (uint8_t)section;
    copy_slice(out + *at, rows->suffixes, (size_t)start, size);
    *at += size;
    out[(*at)++] = 0;
}

static size_t puts_size(const sc_rows *rows, size_t r, uint64_t block, size_t hides, size_t entries)
{
    size_t key = STRING_HEAD + 2 + (size_t)(rows->suffix_ends[r] - rows->suffix_starts[r]);
    size_t hidden = hides ? HIDDEN_HEAD + 4 * hides : 1;
    return key + PLACE + STRING_HEAD + hidden + (size_t)block + entries * (key + CLOCK_PLACE + STRING_HEAD + CLOCK_ENTRY);
}

static void hidden_put(uint8_t *out, size_t *at, const clocks *c)
{
    out[(*at)++] = c->hides > 0;
    if (c->hides == 0)
        return;
    number_put(out, at, c->hides, 4);
    for (size_t i = 0; i < c->hides; i++)
        number_put(out, at, c->hidden[i], 4);
}

/* The block and its entries in the clock index. */
static void puts_put(uint8_t *out, size_t *at, const sc_rows *rows, size_t r, sc_row *row, const uint8_t *in,
                     uint64_t start, uint64_t end, const summary *s, place where, const clocks *c)
{
    uint64_t first_t = (uint64_t)s->first_t + BIAS;
    key_put(out, at, rows, r, 'h', PLACE);
    number_put(out, at, first_t, 8);
    number_put(out, at, where.log, 4);
    number_put(out, at, where.change, 4);
    string_head_put(out, at, (c->hides ? HIDDEN_HEAD + 4 * c->hides : 1) + end - start);
    hidden_put(out, at, c);
    copy_slice(out + *at, in, (size_t)start, (size_t)(end - start));
    *at += (size_t)(end - start);
    for (size_t k = 0; k < c->entries; k++) {
        uint64_t range = c->high[k] - c->low[k];
        row->widest = row->widest < range ? range : row->widest;
        key_put(out, at, rows, r, 'i', CLOCK_PLACE);
        number_put(out, at, s->max_boot, 8);
        number_put(out, at, c->high[k], 8);
        number_put(out, at, where.log, 4);
        number_put(out, at, where.change, 4);
        string_head_put(out, at, CLOCK_ENTRY);
        number_put(out, at, c->low[k], 8);
        number_put(out, at, first_t, 8);
    }
}

size_t sc_rows_size(const sc_rows *rows, const uint64_t *starts, const uint64_t *ends, const uint32_t *row_of,
                    size_t count, size_t texts)
{
    uint64_t size = ROWS_HEAD + ARRAY_HEAD + rows->count * (STRING_HEAD + RECORD) + texts;
    for (size_t r = 0; r < rows->count; r++)
        size += rows->record_ends[r] - rows->record_starts[r];
    for (size_t i = 0; i < count; i++) {
        if (row_of[i] >= rows->count || starts[i] > ends[i])
            break;
        size += puts_size(rows, row_of[i], ends[i] - starts[i], MAX_HIDDEN, MAX_ENTRIES);
    }
    return (size_t)size;
}

/* Adds a block to its row; false: it may have readings that were heard before. */
static bool block_add(const sc_rows *rows, sc_row *row, const uint8_t *in, uint64_t start, uint64_t end,
                      const summary *s, place at, clocks *c)
{
    uint64_t span = (uint64_t)s->last_t - (uint64_t)s->first_t;
    row->span = row->span < span ? span : row->span;
    row->receptions += s->count;
    if (!clocks_take(row, in, start, end, s, c))
        return false;
    row->points += s->count - c->hides;
    last_take(rows, row, s, at);
    return true;
}

sc_status rows_read(const sc_rows *rows, uint32_t log, sc_row *scratch, uint64_t *recent, size_t *at)
{
    *at = 0;
    if (log >= rows->logs)
        return SC_BOUNDS;
    for (; *at < rows->count; (*at)++)
        if (!record_read(rows, *at, &scratch[*at], recent + *at * SC_RECENT))
            return SC_RECORD;
    return SC_OK;
}

sc_status rows_begin(adding *a)
{
    a->size = a->head + ARRAY_HEAD;
    a->items = 0;
    return a->room < a->size ? SC_ROOM : SC_OK;
}

sc_status rows_add(adding *a, size_t r, const uint8_t *in, uint64_t start, uint64_t end, const summary *s,
                   uint32_t change, uint8_t *deferred)
{
    clocks found;
    sc_row *row = &a->scratch[r];
    place where = {a->log, change};
    if (s->first_t < a->rows->newest || s->first_t < row->floor)
        *deferred = 2;
    else
        *deferred = !block_add(a->rows, row, in, start, end, s, where, &found);
    if (*deferred)
        return SC_OK;
    if (puts_size(a->rows, r, end - start, found.hides, found.entries) > a->room - a->size)
        return SC_ROOM;
    a->items += 2 + 2 * found.entries;
    puts_put(a->out, &a->size, a->rows, r, row, in, start, end, s, where, &found);
    return SC_OK;
}

sc_status rows_end(adding *a, size_t *at)
{
    wide_put(a->out + a->head, 0xdd, a->items);
    if (a->head > 0)
        wide_put(a->out + wide_put(a->out, 0xdd, 1 + a->rows->count), 0xc6, a->size - a->head);
    for (*at = 0; *at < a->rows->count; (*at)++) {
        const sc_row *row = &a->scratch[*at];
        uint8_t record[RECORD];
        size_t head = record_put(record, row);
        if (STRING_HEAD + head + row->data_len > a->room - a->size)
            return SC_ROOM;
        string_head_put(a->out, &a->size, head + row->data_len);
        memcpy(a->out + a->size, record, head);
        copy_slice(a->out + a->size + head, row->data, 0, row->data_len);
        a->size += head + row->data_len;
    }
    *at = a->size;
    return SC_OK;
}

static bool summary_get(summary *one, const sc_summaries *s, size_t i)
{
    if (!slice_ok(s->starts[i], s->ends[i], s->data_len))
        return false;
    *one = (summary){s->write_times[i],
                     s->first_t[i],
                     s->last_t[i],
                     s->counts[i],
                     s->clocks[i],
                     s->last_clocked[i],
                     s->min_boot[i],
                     s->min_ms[i],
                     s->max_boot[i],
                     s->max_ms[i],
                     s->last_boot[i],
                     s->last_ms[i],
                     s->data + s->starts[i],
                     (size_t)(s->ends[i] - s->starts[i])};
    return true;
}

sc_status sc_rows_add(const sc_rows *rows, const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends,
                      const sc_summaries *s, const uint32_t *row_of, const uint32_t *changes, const uint32_t *versions,
                      size_t count, uint32_t log, sc_row *scratch, uint64_t *recent, uint8_t *deferred, uint8_t *out,
                      size_t room, size_t *at)
{
    adding a = {rows, scratch, log, out, room, ROWS_HEAD, 0, 0};
    sc_status status = rows_read(rows, log, scratch, recent, at);
    if (status == SC_OK)
        status = rows_begin(&a);
    if (status != SC_OK)
        return status;
    for (*at = 0; *at < count; (*at)++) {
        size_t i = *at, r = row_of[i];
        summary one;
        if (r >= rows->count || !slice_ok(starts[i], ends[i], len) || !summary_get(&one, s, i))
            return SC_BOUNDS;
        if (versions) {
            scratch[r].own_log = log + 1;
            scratch[r].own_count = versions[i];
        }
        status = rows_add(&a, r, in, starts[i], ends[i], &one, changes[i], &deferred[i]);
        if (status != SC_OK)
            return status;
    }
    return rows_end(&a, at);
}
