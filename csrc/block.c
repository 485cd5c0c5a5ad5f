/* Blocks of points, codec 0: see scoutcore.h. */
#include "internal.h"

#define CODEC 0
#define CLOCKED 1u /* the one flag: boot and ms follow */

/* ---- encoding: group, sort, write ---- */

/* t at an earlier point in its sorted series is at most t at a later one: the difference fits 64 bits unsigned. */
static uint64_t elapsed(int64_t earlier, int64_t later)
{
    return (uint64_t)later - (uint64_t)earlier;
}

static sc_status point_check(const sc_points *p, size_t i)
{
    if (!slice_ok(p->starts[i], p->ends[i], p->data_len))
        return SC_BOUNDS;
    uint64_t size = p->ends[i] - p->starts[i];
    return size == 0 ? SC_DATA_EMPTY : size > SC_MAX_DATA ? SC_DATA_SIZE : SC_OK;
}

/* Counts the points of each series: firsts[s + 1] of series s, firsts[0] being 0. */
static sc_status series_count(const sc_points *points, const uint32_t *series, size_t count, uint32_t *firsts,
                              size_t *found, size_t *at)
{
    *found = 0;
    firsts[0] = 0;
    for (size_t i = 0; i < count; i++) {
        sc_status status = point_check(points, i);
        if (status == SC_OK && series[i] > *found)
            status = SC_SERIES;
        if (status != SC_OK) {
            *at = i;
            return status;
        }
        if (series[i] == *found)
            firsts[++*found] = 0;
        firsts[series[i] + 1]++;
    }
    return SC_OK;
}

/* A counting sort: afterwards series s has order[firsts[s - 1]..firsts[s]], the first from 0. */
static void series_gather(const uint32_t *series, size_t count, uint32_t *firsts, size_t found, uint32_t *order)
{
    for (size_t s = 0; s < found; s++)
        firsts[s + 1] += firsts[s];
    for (size_t i = 0; i < count; i++)
        order[firsts[series[i]]++] = (uint32_t)i;
}

static bool is_sorted(const int64_t *t, const uint32_t *order, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (t[order[i - 1]] > t[order[i]])
            return false;
    return true;
}

static void merge(const int64_t *t, const uint32_t *from, size_t begin, size_t middle, size_t end, uint32_t *to)
{
    size_t left = begin, right = middle;
    for (size_t i = begin; i < end; i++) {
        bool take_left = left < middle && (right == end || t[from[left]] <= t[from[right]]);
        to[i] = from[take_left ? left++ : right++];
    }
}

/* A stable merge sort of order by t, bottom up, between order and spare. */
static void time_sort(const int64_t *t, uint32_t *order, size_t count, uint32_t *spare)
{
    uint32_t *from = order, *to = spare;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t begin = 0; begin < count; begin += 2 * width) {
            size_t middle = count - begin < width ? count : begin + width;
            size_t end = count - middle < width ? count : middle + width;
            merge(t, from, begin, middle, end, to);
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != order)
        memcpy(order, from, count * sizeof *order);
}

/* Bytes of a point behind its time: flags, boot, ms and data. */
static size_t rest_size(const sc_points *p, size_t i)
{
    size_t size = 1 + (size_t)(p->ends[i] - p->starts[i]);
    return p->clocked[i] ? size + varint_size(p->boot[i]) + varint_size(p->ms[i]) : size;
}

static size_t point_put(uint8_t *out, const sc_points *p, size_t i, uint64_t delta, size_t size)
{
    uint8_t *end = out + varint_put(out, size);
    end += varint_put(end, delta);
    *end++ = p->clocked[i] ? CLOCKED : 0;
    if (p->clocked[i]) {
        end += varint_put(end, p->boot[i]);
        end += varint_put(end, p->ms[i]);
    }
    size_t length = (size_t)(p->ends[i] - p->starts[i]);
    memcpy(end, p->data + p->starts[i], length);
    return (size_t)(end - out) + length;
}

typedef struct writer {
    const sc_points *points;
    sc_blocks *blocks;
    uint8_t *out;
    size_t room, end;
    size_t max_points, max_bytes;
    uint8_t header[1 + SC_VARINT_BYTES];
    size_t header_size;
} writer;

/* Writes points order[first..last] of one series. On failure *at is the point. */
static sc_status series_put(writer *w, uint32_t series, size_t first, size_t last, size_t *at)
{
    const int64_t *t = w->points->t;
    sc_blocks *b = w->blocks;
    size_t block = 0, block_points = 0; /* where the open block begins, and the points it has */
    int64_t block_t = 0, previous = 0;
    for (size_t k = first; k < last; k++) {
        size_t i = b->order[k];
        size_t rest = rest_size(w->points, i), header = 0;
        uint64_t delta = zigzag(elapsed(previous, t[i]));
        size_t size = varint_size(delta) + rest;
        if (block_points == 0 || block_points >= w->max_points || elapsed(block_t, t[i]) > SC_MAX_BLOCK_SPAN ||
            w->end - block + varint_size(size) + size > w->max_bytes) {
            header = w->header_size;
            delta = zigzag((uint64_t)t[i]);
            size = varint_size(delta) + rest;
        }
        if (header + varint_size(size) + size > w->room - w->end) {
            *at = i;
            return SC_ROOM;
        }
        if (header > 0) {
            block = w->end;
            block_points = 0;
            block_t = t[i];
            b->offsets[b->count] = block;
            b->series[b->count] = series;
            b->firsts[b->count++] = k;
            memcpy(w->out + w->end, w->header, header);
            w->end += header;
        }
        w->end += point_put(w->out + w->end, w->points, i, delta, size);
        block_points++;
        previous = t[i];
    }
    return SC_OK;
}

size_t sc_blocks_size(const sc_points *points, size_t count)
{
    uint64_t size = 0;
    for (size_t i = 0; i < count; i++) {
        /* Nothing is written of a batch with a wrong point. */
        if (point_check(points, i) != SC_OK)
            break;
        /* As if each had a block of its own. Inside one its time takes 5 bytes at most: twice the span is < 2^35. */
        uint64_t delta = zigzag((uint64_t)points->t[i]);
        size_t content = (delta >> 28 ? varint_size(delta) : 5) + rest_size(points, i);
        size += 1 + SC_VARINT_BYTES + varint_size(content) + content;
    }
    return (size_t)size;
}

sc_status sc_blocks_encode(const sc_points *points, const uint32_t *series, size_t count, int64_t write_time,
                           size_t max_points, size_t max_bytes, sc_blocks *blocks, uint8_t *out, size_t room,
                           size_t *at)
{
    writer w = {points, blocks, out, room, 0, max_points, max_bytes, {CODEC}, 0};
    uint32_t *firsts = blocks->scratch, *spare = blocks->scratch + count + 1;
    size_t found;
    *at = 0;
    if (write_time < 0)
        return SC_TIME;
    sc_status status = series_count(points, series, count, firsts, &found, at);
    if (status != SC_OK)
        return status;
    series_gather(series, count, firsts, found, blocks->order);
    w.header_size = 1 + varint_put(w.header + 1, (uint64_t)write_time);
    blocks->count = 0;
    for (size_t s = 0; s < found; s++) {
        size_t first = s > 0 ? firsts[s - 1] : 0, last = firsts[s];
        if (!is_sorted(points->t, blocks->order + first, last - first))
            time_sort(points->t, blocks->order + first, last - first, spare);
        status = series_put(&w, (uint32_t)s, first, last, at);
        if (status != SC_OK)
            return status;
    }
    blocks->offsets[blocks->count] = w.end;
    blocks->firsts[blocks->count] = count;
    *at = w.end;
    return SC_OK;
}

/* ---- decoding ---- */

/* As varint_get, of a block that is there whole: an end in mid-number is an error of its own. */
static sc_status varint_inside(const uint8_t *in, size_t end, size_t *at, uint64_t *value)
{
    sc_status status = varint_get(in, end, at, value);
    return status == SC_TRUNCATED ? SC_POINT_SIZE : status;
}

/* The head of the block in[begin..end]; *at moves to its first point, or to what is wrong. */
static sc_status header_read(const uint8_t *in, size_t begin, size_t end, int64_t *write_time, size_t *at)
{
    *at = begin;
    if (begin == end)
        return SC_BLOCK_EMPTY;
    if (in[begin] != CODEC)
        return SC_BLOCK_CODEC;
    uint64_t time;
    *at = begin + 1;
    sc_status status = varint_inside(in, end, at, &time);
    if (status != SC_OK)
        return status;
    if (time > INT64_MAX) {
        *at = begin + 1;
        return SC_TIME;
    }
    *write_time = (int64_t)time;
    if (*at == end) {
        *at = begin;
        return SC_BLOCK_EMPTY;
    }
    return SC_OK;
}

typedef struct point {
    int64_t t;
    uint64_t flags, boot, ms;
    size_t start, end; /* of the data */
} point;

static sc_status wrong(size_t *at, size_t place, sc_status status)
{
    *at = place;
    return status;
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

static void point_store(const point *p, sc_points *points, size_t i)
{
    points->t[i] = p->t;
    points->clocked[i] = (uint8_t)p->flags;
    points->boot[i] = p->boot;
    points->ms[i] = p->ms;
    points->starts[i] = p->start;
    points->ends[i] = p->end;
}

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

size_t sc_blocks_count(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count)
{
    size_t points = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t write_time;
        size_t at;
        if (!slice_ok(starts[i], ends[i], len) ||
            header_read(in, (size_t)starts[i], (size_t)ends[i], &write_time, &at) != SC_OK)
            break;
        points += points_count(in, at, (size_t)ends[i]);
    }
    return points;
}

/* The points of one block from in[*at] on, stored from points row *row on. */
static sc_status points_read(const uint8_t *in, size_t end, sc_points *points, size_t room, size_t *row, size_t *at)
{
    const int64_t *first_t = NULL;
    point p = {0, 0, 0, 0, 0, 0};
    while (*at < end) {
        sc_status status = point_read(in, end, at, first_t, &p);
        if (status == SC_OK && *row == room)
            status = SC_ROOM;
        if (status != SC_OK)
            return status;
        point_store(&p, points, *row);
        if (!first_t)
            first_t = &points->t[*row];
        (*row)++;
    }
    return SC_OK;
}

sc_status sc_blocks_decode(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                           uint64_t *firsts, int64_t *write_times, sc_points *points, size_t room, size_t *at)
{
    size_t row = 0;
    points->data = in;
    points->data_len = len;
    firsts[0] = 0;
    for (size_t i = 0; i < count; i++) {
        if (!slice_ok(starts[i], ends[i], len))
            return wrong(at, i, SC_BOUNDS);
        size_t end = (size_t)ends[i];
        sc_status status = header_read(in, (size_t)starts[i], end, &write_times[i], at);
        if (status == SC_OK)
            status = points_read(in, end, points, room, &row, at);
        if (status != SC_OK)
            return status;
        firsts[i + 1] = row;
    }
    *at = row;
    return SC_OK;
}

/* ---- summaries ---- */

typedef struct clocks {
    uint64_t count;
    bool rising; /* strictly, so far */
    uint64_t min_boot, min_ms, max_boot, max_ms;
} clocks;

/* While they rise the greatest is the one before: a clock that is not over the greatest ends the rise. */
static void clock_add(clocks *c, uint64_t boot, uint64_t ms)
{
    bool over = c->count == 0 || clock_less(c->max_boot, c->max_ms, boot, ms);
    if (c->count == 0 || clock_less(boot, ms, c->min_boot, c->min_ms)) {
        c->min_boot = boot;
        c->min_ms = ms;
    }
    if (over) {
        c->max_boot = boot;
        c->max_ms = ms;
    }
    c->rising = c->rising && over;
    c->count++;
}

static void summary_store(sc_summaries *s, size_t i, uint64_t count, const point *last, const clocks *c)
{
    s->counts[i] = count;
    s->last_t[i] = last->t;
    s->clocks[i] = c->count == 0 ? 0 : c->count == count && c->rising ? 1 : 2;
    s->min_boot[i] = c->min_boot;
    s->min_ms[i] = c->min_ms;
    s->max_boot[i] = c->max_boot;
    s->max_ms[i] = c->max_ms;
    s->last_clocked[i] = (uint8_t)last->flags;
    s->last_boot[i] = last->boot;
    s->last_ms[i] = last->ms;
    s->starts[i] = last->start;
    s->ends[i] = last->end;
}

static sc_status block_summarize(const uint8_t *in, size_t end, sc_summaries *summaries, size_t i, size_t *at)
{
    point p = {0, 0, 0, 0, 0, 0};
    clocks c = {0, true, 0, 0, 0, 0};
    const int64_t *first_t = NULL;
    uint64_t count = 0;
    while (*at < end) {
        sc_status status = point_read(in, end, at, first_t, &p);
        if (status != SC_OK)
            return status;
        if (!first_t)
            summaries->first_t[i] = p.t;
        first_t = &summaries->first_t[i];
        if (p.flags == CLOCKED)
            clock_add(&c, p.boot, p.ms);
        count++;
    }
    summary_store(summaries, i, count, &p, &c);
    return SC_OK;
}

sc_status sc_blocks_summarize(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                              sc_summaries *summaries, size_t *at)
{
    for (size_t i = 0; i < count; i++) {
        if (!slice_ok(starts[i], ends[i], len))
            return wrong(at, i, SC_BOUNDS);
        size_t end = (size_t)ends[i];
        sc_status status = header_read(in, (size_t)starts[i], end, &summaries->write_times[i], at);
        if (status == SC_OK)
            status = block_summarize(in, end, summaries, i, at);
        if (status != SC_OK)
            return status;
    }
    *at = count;
    return SC_OK;
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

/* A heap sort: in place, and never slow. */
static void clock_sort(sc_clock *heap, size_t count)
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
    for (size_t i = 0; i < count; i++) {
        int64_t write_time, first_t;
        if (!slice_ok(starts[i], ends[i], len))
            return wrong(at, i, SC_BOUNDS);
        size_t end = (size_t)ends[i];
        sc_status status = header_read(in, (size_t)starts[i], end, &write_time, at);
        if (status != SC_OK)
            return status;
        point p = {0, 0, 0, 0, 0, 0};
        shared[i] = 0;
        for (const int64_t *first = NULL; *at < end; first = &first_t) {
            status = point_read(in, end, at, first, &p);
            if (status != SC_OK)
                return status;
            if (!first)
                first_t = p.t;
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

static size_t msgpack_put(uint8_t *out, const uint8_t *in, const point *p, const uint8_t *prefix, size_t prefix_len)
{
    size_t size = p->end - p->start;
    copy_slice(out, prefix, 0, prefix_len);
    size_t i = prefix_len;
    i += big_end_put(out + i, MSGPACK_INT, (uint64_t)p->t, 8);
    i += big_end_put(out + i, MSGPACK_BYTES, size, 4);
    copy_slice(out + i, in, p->start, size);
    i += size;
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
    point p = {0, 0, 0, 0, 0, 0};
    for (size_t i = 0; i < count; i++) {
        int64_t write_time, first_t, before = p.t;
        if (!slice_ok(starts[i], ends[i], len))
            return wrong(at, i, SC_BOUNDS);
        size_t end = (size_t)ends[i];
        sc_status status = header_read(in, (size_t)starts[i], end, &write_time, at);
        if (status != SC_OK)
            return status;
        p.t = 0;
        for (const int64_t *first = NULL; *at < end; first = &first_t) {
            status = point_read(in, end, at, first, &p);
            if (status != SC_OK)
                return status;
            if (!first)
                first_t = p.t;
            if (!first && i > 0 && p.t <= before)
                return wrong(at, 0, SC_OK);
            if (p.t < from || p.t > to)
                continue;
            if (room - size < prefix_len + MSGPACK_POINT + (p.end - p.start) || found == UINT32_MAX)
                return wrong(at, i, SC_ROOM);
            size += msgpack_put(out + size, in, &p, prefix, prefix_len);
            found++;
        }
    }
    big_end_put(out, MSGPACK_ARRAY, found, 4);
    *at = size;
    return SC_OK;
}
