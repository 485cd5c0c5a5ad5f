/* Blocks of points, read: see scoutcore.h. */
#include "block.h"

/* ---- one block, point by point ---- */

typedef struct point {
    int64_t t;
    uint64_t flags, boot, ms;
    size_t start, end; /* of its text, in codec 0 */
    size_t row;        /* its place in its block */
} point;

typedef struct reader {
    const uint8_t *in;
    size_t at, end;     /* of what is left of codec 0 */
    bool numbers;       /* codec 1 */
    int64_t write_time, first_t;
    size_t rows;        /* read so far */
    /* of codec 1: */
    size_t points;      /* in the block */
    bool clocked;
    size_t skeleton, times; /* where they begin */
    size_t most;        /* bytes of a text */
    size_t holes;
    uint32_t pieces[SC_MAX_NUMBERS + 1]; /* bytes before each hole, and behind the last */
    column t, boot, ms, columns[SC_MAX_NUMBERS];
    uint8_t formats[SC_MAX_NUMBERS];
} reader;

/* As varint_get, of a block that is there whole: an end in mid-number is an error of its own. */
static sc_status varint_inside(const uint8_t *in, size_t end, size_t *at, uint64_t *value)
{
    sc_status status = varint_get(in, end, at, value);
    return status == SC_TRUNCATED ? SC_POINT_SIZE : status;
}

static sc_status wrong(size_t *at, size_t place, sc_status status)
{
    *at = place;
    return status;
}

/* The skeleton and its pieces. Nothing is allocated for a block before this has seen to its limits. */
static sc_status skeleton_open(reader *r, size_t end, size_t *at)
{
    size_t begin = *at;
    uint64_t size;
    sc_status status = varint_inside(r->in, end, at, &size);
    if (status != SC_OK)
        return status;
    if (size > end - *at)
        return wrong(at, begin, SC_POINT_SIZE);
    if (size == 0)
        return wrong(at, begin, SC_DATA_EMPTY);
    r->skeleton = *at;
    if (size > SC_MAX_TEXTS)
        return wrong(at, begin, SC_BLOCK_LIMIT);
    r->holes = 0;
    uint32_t piece = 0;
    for (size_t i = 0; i < size; i++) {
        if (r->in[*at + i] != HOLE) {
            piece++;
            continue;
        }
        if (r->holes == SC_MAX_NUMBERS)
            return wrong(at, begin, SC_BLOCK_LIMIT);
        r->pieces[r->holes++] = piece;
        piece = 0;
    }
    r->pieces[r->holes] = piece;
    r->most = texts_size(1, (size_t)size, r->holes);
    if (r->most * r->points > SC_MAX_TEXTS)
        return wrong(at, begin, SC_BLOCK_LIMIT);
    *at += (size_t)size;
    return text_ok(r->in, r->skeleton, *at) ? SC_OK : wrong(at, begin, SC_UTF8);
}

static sc_status columns_open(reader *r, size_t end, size_t *at)
{
    r->times = *at;
    sc_status status = column_open(&r->t, r->in, end, r->points, at);
    if (status == SC_OK && r->clocked)
        status = column_open(&r->boot, r->in, end, r->points, at);
    if (status == SC_OK && r->clocked)
        status = column_open(&r->ms, r->in, end, r->points, at);
    for (size_t k = 0; status == SC_OK && k < r->holes; k++) {
        if (*at == end)
            return SC_POINT_SIZE;
        r->formats[k] = r->in[*at];
        if (!format_ok(r->formats[k]))
            return SC_COLUMN;
        ++*at;
        status = column_open(&r->columns[k], r->in, end, r->points, at);
    }
    return status == SC_OK && *at < end ? SC_COLUMN : status;
}

/* What codec 1 has before its points, from in[*at] on. */
static sc_status numbers_open(reader *r, size_t block, size_t end, size_t *at)
{
    size_t begin = *at;
    uint64_t points;
    sc_status status = varint_inside(r->in, end, at, &points);
    if (status != SC_OK)
        return status;
    if (points < 2)
        return wrong(at, block, SC_BLOCK_EMPTY);
    if (points / 2 > SC_MAX_COLUMN)
        return wrong(at, begin, SC_BLOCK_LIMIT);
    r->points = (size_t)points / 2;
    r->clocked = points & CLOCKED;
    status = skeleton_open(r, end, at);
    return status == SC_OK ? columns_open(r, end, at) : status;
}

/* Makes r ready for the points of the block in[begin..end]; *at: what is wrong. */
static sc_status block_open(reader *r, const uint8_t *in, size_t begin, size_t end, size_t *at)
{
    *at = begin;
    if (begin == end)
        return SC_BLOCK_EMPTY;
    if (in[begin] > CODEC_NUMBERS)
        return SC_BLOCK_CODEC;
    uint64_t time;
    *at = begin + 1;
    sc_status status = varint_inside(in, end, at, &time);
    if (status != SC_OK)
        return status;
    if (time > INT64_MAX)
        return wrong(at, begin + 1, SC_TIME);
    if (*at == end)
        return wrong(at, begin, SC_BLOCK_EMPTY);
    r->in = in;
    r->at = *at;
    r->end = end;
    r->numbers = in[begin] == CODEC_NUMBERS;
    r->write_time = (int64_t)time;
    r->rows = 0;
    return r->numbers ? numbers_open(r, begin, end, at) : SC_OK;
}

static bool block_more(const reader *r)
{
    return r->numbers ? r->rows < r->points : r->at < r->end;
}

/* Adds delta to p->t; first_t null: the point is its block's first, and delta counts from 0. */
static sc_status time_add(point *p, int64_t delta, const int64_t *first_t)
{
    if (delta >= 0 ? p->t > INT64_MAX - delta : p->t < INT64_MIN - delta)
        return SC_TIME;
    p->t += delta;
    if (!first_t)
        return SC_OK;
    if (delta < 0)
        return SC_BLOCK_ORDER;
    return elapsed(*first_t, p->t) > SC_MAX_BLOCK_SPAN ? SC_BLOCK_SPAN : SC_OK;
}

static sc_status data_check(const uint8_t *in, size_t start, size_t end)
{
    if (start == end)
        return SC_DATA_EMPTY;
    if (end - start > SC_MAX_DATA)
        return SC_DATA_SIZE;
    return text_ok(in, start, end) ? SC_OK : SC_UTF8;
}

/* The point at in[*at], p->t being the time before it; *at moves behind it, or to what is wrong: a number that does
 * not read, or else the whole point. */
static sc_status point_read(const uint8_t *in, size_t end, size_t *at, const int64_t *first_t, point *p)
{
    size_t begin = *at;
    uint64_t length, delta;
    sc_status status = varint_inside(in, end, at, &length);
    if (status != SC_OK)
        return status;
    if (length > end - *at)
        return wrong(at, begin, SC_POINT_SIZE);
    end = *at + (size_t)length;
    status = varint_inside(in, end, at, &delta);
    if (status != SC_OK)
        return status;
    status = time_add(p, (int64_t)unzigzag(delta), first_t);
    if (status != SC_OK)
        return wrong(at, begin, status);
    status = varint_inside(in, end, at, &p->flags);
    if (status != SC_OK)
        return status;
    if (p->flags > CLOCKED)
        return wrong(at, begin, SC_FLAGS);
    p->boot = p->ms = 0;
    if (p->flags == CLOCKED)
        status = varint_inside(in, end, at, &p->boot);
    if (p->flags == CLOCKED && status == SC_OK)
        status = varint_inside(in, end, at, &p->ms);
    if (status != SC_OK)
        return status;
    p->start = *at;
    p->end = *at = end;
    status = data_check(in, p->start, end);
    return status == SC_OK ? SC_OK : wrong(at, begin, status);
}

static sc_status row_read(reader *r, point *p)
{
    int64_t before = p->t;
    p->t = (int64_t)((uint64_t)r->write_time + column_at(&r->t, r->rows));
    if (r->rows > 0 && p->t < before)
        return SC_BLOCK_ORDER;
    if (r->rows > 0 && elapsed(r->first_t, p->t) > SC_MAX_BLOCK_SPAN)
        return SC_BLOCK_SPAN;
    p->flags = r->clocked;
    p->boot = r->clocked ? column_at(&r->boot, r->rows) : 0;
    p->ms = r->clocked ? column_at(&r->ms, r->rows) : 0;
    return SC_OK;
}

/* The next point; *at: what is wrong. */
static sc_status block_next(reader *r, point *p, size_t *at)
{
    sc_status status;
    if (r->numbers) {
        status = row_read(r, p);
        *at = r->times;
    } else {
        if (r->rows == 0)
            p->t = 0;
        *at = r->at;
        status = point_read(r->in, r->end, at, r->rows > 0 ? &r->first_t : NULL, p);
        r->at = *at;
    }
    if (r->rows == 0)
        r->first_t = p->t;
    p->row = r->rows++;
    return status;
}

/* The most bytes that the text of p may take. */
static size_t text_most(const reader *r, const point *p)
{
    return r->numbers ? r->most : p->end - p->start;
}

/* memcpy, without a call where there is little to copy. */
static inline void copy_short(uint8_t *out, const uint8_t *in, size_t size)
{
    if (size >= sizeof(uint64_t) && size <= 2 * sizeof(uint64_t)) {
        memcpy(out, in, sizeof(uint64_t));
        memcpy(out + size - sizeof(uint64_t), in + size - sizeof(uint64_t), sizeof(uint64_t));
    } else if (size < sizeof(uint64_t)) {
        for (size_t i = 0; i < size; i++)
            out[i] = in[i];
    } else {
        memcpy(out, in, size);
    }
}

/* Writes the text of p, which is the last point read or comes behind the last one that was written; returns its bytes. */
static size_t text_put(reader *r, const point *p, uint8_t *out)
{
    if (!r->numbers) {
        memcpy(out, r->in + p->start, p->end - p->start);
        return p->end - p->start;
    }
    size_t size = 0;
    const uint8_t *piece = r->in + r->skeleton;
    for (size_t k = 0; k < r->holes; k++) {
        copy_short(out + size, piece, r->pieces[k]);
        size += r->pieces[k];
        piece += r->pieces[k] + 1;
        size += number_text(out + size, column_at(&r->columns[k], p->row), r->formats[k]);
    }
    copy_short(out + size, piece, r->pieces[r->holes]);
    return size + r->pieces[r->holes];
}

/* ---- many blocks ---- */

/* How many points the block in[at..end] has as far as their lengths read well. */
static size_t points_count(const uint8_t *in, size_t at, size_t end)
{
    size_t count = 0;
    uint64_t length;
    while (at < end && varint_get(in, end, &at, &length) == SC_OK && length <= end - at) {
        at += (size_t)length;
        count++;
    }
    return count;
}

size_t sc_blocks_count(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                       size_t *texts)
{
    size_t points = 0, at;
    reader r;
    *texts = 0;
    for (size_t i = 0; i < count; i++) {
        if (!slice_ok(starts[i], ends[i], len) ||
            block_open(&r, in, (size_t)starts[i], (size_t)ends[i], &at) != SC_OK)
            break;
        points += r.numbers ? r.points : points_count(in, r.at, r.end);
        *texts += r.numbers ? r.points * r.most : r.end - r.at;
    }
    return points;
}

sc_status sc_blocks_decode(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                           uint64_t *firsts, int64_t *write_times, sc_points *points, size_t room, uint8_t *texts,
                           size_t texts_room, size_t *at)
{
    size_t row = 0, size = 0;
    reader r;
    point p;
    firsts[0] = 0;
    for (size_t i = 0; i < count; i++) {
        if (!slice_ok(starts[i], ends[i], len))
            return wrong(at, i, SC_BOUNDS);
        sc_status status = block_open(&r, in, (size_t)starts[i], (size_t)ends[i], at);
        while (status == SC_OK && block_more(&r)) {
            status = block_next(&r, &p, at);
            if (status == SC_OK && (row == room || text_most(&r, &p) > texts_room - size))
                status = SC_ROOM;
            if (status != SC_OK)
                break;
            points->t[row] = p.t;
            points->clocked[row] = (uint8_t)p.flags;
            points->boot[row] = p.boot;
            points->ms[row] = p.ms;
            points->starts[row] = size;
            size += text_put(&r, &p, texts + size);
            points->ends[row++] = size;
        }
        if (status != SC_OK)
            return status;
        write_times[i] = r.write_time;
        firsts[i + 1] = row;
    }
    points->data = texts;
    points->data_len = size;
    *at = row;
    return SC_OK;
}

/* ---- summaries ---- */

static void summary_store(sc_summaries *s, size_t i, const reader *r, const point *last, const clock_span *c)
{
    s->write_times[i] = r->write_time;
    s->counts[i] = r->rows;
    s->first_t[i] = r->first_t;
    s->last_t[i] = last->t;
    s->clocks[i] = clock_state(c, r->rows);
    s->min_boot[i] = c->min_boot;
    s->min_ms[i] = c->min_ms;
    s->max_boot[i] = c->max_boot;
    s->max_ms[i] = c->max_ms;
    s->last_clocked[i] = (uint8_t)last->flags;
    s->last_boot[i] = last->boot;
    s->last_ms[i] = last->ms;
}

sc_status sc_blocks_summarize(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                              sc_summaries *summaries, size_t *at)
{
    size_t size = 0;
    reader r;
    point p;
    for (size_t i = 0; i < count; i++) {
        clock_span c = no_clock;
        if (!slice_ok(starts[i], ends[i], len))
            return wrong(at, i, SC_BOUNDS);
        sc_status status = block_open(&r, in, (size_t)starts[i], (size_t)ends[i], at);
        while (status == SC_OK && block_more(&r)) {
            status = block_next(&r, &p, at);
            if (status == SC_OK && p.flags == CLOCKED)
                clock_add(&c, p.boot, p.ms);
        }
        if (status == SC_OK && text_most(&r, &p) > summaries->data_len - size)
            status = SC_ROOM;
        if (status != SC_OK)
            return status;
        summary_store(summaries, i, &r, &p, &c);
        summaries->starts[i] = size;
        size += text_put(&r, &p, summaries->data + size);
        summaries->ends[i] = size;
    }
    *at = count;
    return SC_OK;
}

size_t sc_lasts_size(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count)
{
    size_t size = 0, at;
    reader r;
    for (size_t i = 0; i < count; i++) {
        if (!slice_ok(starts[i], ends[i], len))
            break;
        if (starts[i] < ends[i] && in[starts[i]] == CODEC_POINTS)
            size += (size_t)(ends[i] - starts[i]);
        else if (block_open(&r, in, (size_t)starts[i], (size_t)ends[i], &at) == SC_OK)
            size += r.most;
        else
            break;
    }
    return size;
}

/* ---- readings that several blocks have ---- */

static bool less(const sc_clock *a, const sc_clock *b)
{
    return clock_less(a->boot, a->ms, b->boot, b->ms);
}

/* Lets heap[i] sink to where no child of it, below count, is greater. */
static void clock_sink(sc_clock *heap, size_t i, size_t count)
{
    sc_clock moved = heap[i];
    for (size_t child = 2 * i + 1; child < count; child = 2 * i + 1) {
        if (child + 1 < count && less(&heap[child], &heap[child + 1]))
            child++;
        if (!less(&moved, &heap[child]))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = moved;
}

void clock_sort(sc_clock *heap, size_t count)
{
    for (size_t i = count / 2; i > 0; i--)
        clock_sink(heap, i - 1, count);
    for (size_t end = count; end > 1; end--) {
        sc_clock greatest = heap[0];
        heap[0] = heap[end - 1];
        heap[end - 1] = greatest;
        clock_sink(heap, 0, end - 1);
    }
}

static bool clock_is_in(const sc_clock *sorted, size_t count, const sc_clock *sought)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (less(&sorted[middle], sought))
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && !less(sought, &sorted[low]);
}

sc_status sc_blocks_shared(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                           sc_clock *scratch, size_t room, uint8_t *shared, size_t *at)
{
    size_t own = 0;
    reader r;
    point p;
    for (size_t i = 0; i < count; i++) {
        if (!slice_ok(starts[i], ends[i], len))
            return wrong(at, i, SC_BOUNDS);
        sc_status status = block_open(&r, in, (size_t)starts[i], (size_t)ends[i], at);
        if (status != SC_OK)
            return status;
        shared[i] = 0;
        while (block_more(&r)) {
            status = block_next(&r, &p, at);
            if (status != SC_OK)
                return status;
            sc_clock clock = {p.boot, p.ms};
            if (p.flags != CLOCKED)
                continue;
            if (i > 0)
                shared[i] = shared[i] || clock_is_in(scratch, own, &clock);
            else if (own == room)
                return wrong(at, 0, SC_ROOM);
            else
                scratch[own++] = clock;
        }
        if (i > 0)
            continue;
        clock_sort(scratch, own);
        for (size_t k = 1; k < own; k++)
            shared[0] = shared[0] || !less(&scratch[k - 1], &scratch[k]);
    }
    *at = count;
    return SC_OK;
}

size_t block_readings(const uint8_t *in, size_t start, size_t end, sc_clock *readings, size_t room)
{
    size_t count = 0, at;
    reader r;
    point p;
    bool rising = true;
    if (block_open(&r, in, start, end, &at) != SC_OK)
        return 0;
    while (block_more(&r)) {
        if (block_next(&r, &p, &at) != SC_OK || count == room)
            return 0;
        if (p.flags != CLOCKED)
            continue;
        readings[count] = (sc_clock){p.ms, p.row};
        rising = rising && (count == 0 || readings[count - 1].boot < p.ms);
        count++;
    }
    if (!rising)
        clock_sort(readings, count);
    return count;
}

/* ---- points as msgpack ---- */

#define MSGPACK_ARRAY 0xdd /* with a count of 4 bytes */
#define MSGPACK_NIL 0xc0
#define MSGPACK_BYTES 0xc6 /* with a size of 4 bytes */
#define MSGPACK_UINT 0xcf  /* 8 bytes */
#define MSGPACK_INT 0xd3
#define MSGPACK_HEAD 5
#define MSGPACK_POINT 32 /* the most that a point takes beside its prefix and data */

static size_t big_end_put(uint8_t *out, uint8_t tag, uint64_t number, size_t width)
{
    *out++ = tag;
    for (size_t i = 0; i < width; i++)
        out[i] = (uint8_t)(number >> 8 * (width - 1 - i));
    return 1 + width;
}

static size_t msgpack_put(uint8_t *out, reader *r, const point *p, const uint8_t *prefix, size_t prefix_len)
{
    copy_slice(out, prefix, 0, prefix_len);
    size_t i = prefix_len;
    i += big_end_put(out + i, MSGPACK_INT, (uint64_t)p->t, 8);
    size_t text = i + MSGPACK_HEAD, size = text_put(r, p, out + text);
    big_end_put(out + i, MSGPACK_BYTES, size, 4);
    i = text + size;
    if (p->flags == CLOCKED) {
        i += big_end_put(out + i, MSGPACK_UINT, p->boot, 8);
        return i + big_end_put(out + i, MSGPACK_UINT, p->ms, 8);
    }
    out[i] = out[i + 1] = MSGPACK_NIL;
    return i + 2;
}

sc_status sc_blocks_msgpack(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                            int64_t from, int64_t to, const uint8_t *prefix, size_t prefix_len, uint8_t *out,
                            size_t room, size_t *at)
{
    size_t size = MSGPACK_HEAD;
    uint32_t found = 0;
    reader r;
    point p;
    int64_t before = 0;
    for (size_t i = 0; i < count; i++) {
        if (!slice_ok(starts[i], ends[i], len))
            return wrong(at, i, SC_BOUNDS);
        sc_status status = block_open(&r, in, (size_t)starts[i], (size_t)ends[i], at);
        if (status != SC_OK)
            return status;
        while (block_more(&r)) {
            status = block_next(&r, &p, at);
            if (status != SC_OK)
                return status;
            if (p.row == 0 && i > 0 && p.t <= before)
                return wrong(at, 0, SC_OK);
            before = p.t;
            if (p.t < from || p.t > to)
                continue;
            if (room - size < prefix_len + MSGPACK_POINT + text_most(&r, &p))
                return wrong(at, i, SC_ROOM);
            size += msgpack_put(out + size, &r, &p, prefix, prefix_len);
            found++;
        }
    }
    big_end_put(out, MSGPACK_ARRAY, found, 4);
    *at = size;
    return SC_OK;
}

/* ---- numbers without texts ---- */

/* Opens a block of codec 1 with a skeleton like the one of size bytes at like; null: with any. */
static bool numbers_block(reader *r, const uint8_t *in, size_t len, uint64_t start, uint64_t end, const uint8_t *like,
                          size_t size)
{
    size_t at;
    if (!slice_ok(start, end, len) || block_open(r, in, (size_t)start, (size_t)end, &at) != SC_OK || !r->numbers)
        return false;
    return !like || (r->times - r->skeleton == size && memcmp(in + r->skeleton, like, size) == 0);
}

size_t sc_numbers_count(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                        size_t *numbers)
{
    size_t points = 0, size = 0;
    const uint8_t *like = NULL;
    reader r;
    *numbers = 0;
    for (size_t i = 0; i < count; i++) {
        if (!numbers_block(&r, in, len, starts[i], ends[i], like, size))
            return 0;
        like = in + r.skeleton;
        size = r.times - r.skeleton;
        *numbers = r.holes;
        points += r.points;
    }
    return points;
}

static bool block_numbers(reader *r, sc_numbers *n, size_t done)
{
    point p;
    size_t at;
    for (size_t row = 0; row < r->points; row++) {
        if (block_next(r, &p, &at) != SC_OK || (row == 0 && done > 0 && p.t <= n->t[done - 1]))
            return false;
        n->t[done + row] = p.t;
    }
    for (size_t k = 0; k < r->holes; k++) {
        bool fresh = done == 0, same = fresh || (n->same[k] && n->formats[k] == r->formats[k]);
        double *out = n->values + k * n->room + done;
        if (!column_doubles(&r->columns[k], r->formats[k], r->points, out, fresh, &n->firsts[k], &same))
            return false;
        n->same[k] = same;
        n->formats[k] = fresh ? r->formats[k] : n->formats[k];
    }
    return true;
}

bool sc_blocks_numbers(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                       sc_numbers *numbers)
{
    size_t done = 0;
    const uint8_t *like = NULL;
    reader r;
    for (size_t i = 0; i < count; i++) {
        if (!numbers_block(&r, in, len, starts[i], ends[i], like, numbers->skeleton_end - numbers->skeleton_start) ||
            r.points > numbers->room - done || !block_numbers(&r, numbers, done))
            return false;
        done += r.points;
        like = in + r.skeleton;
        numbers->skeleton_start = r.skeleton;
        numbers->skeleton_end = r.times;
    }
    return true;
}
