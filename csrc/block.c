/* Blocks of points made from batches: grouped, sorted, cut into blocks, and written in the smaller of two codecs. See
 * scoutcore.h. */
#include "block.h"

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
    int64_t write_time;
    size_t header_size;
} writer;

/* Points of a series lie far apart in a batch: their texts are asked for so many points before they are read. */
#define AHEAD 8

static void prefetch(const uint8_t *text)
{
#ifdef __GNUC__
    __builtin_prefetch(text);
#else
    (void)text;
#endif
}

/* Where the block that begins with point order[first] ends; *size: its bytes in codec 0. */
static size_t block_end(const writer *w, size_t first, size_t last, size_t *size)
{
    const int64_t *t = w->points->t;
    const uint32_t *order = w->blocks->order;
    int64_t first_t = t[order[first]], previous = 0;
    *size = w->header_size;
    for (size_t k = first; k < last; k++) {
        size_t i = order[k];
        if (last - k > AHEAD)
            prefetch(w->points->data + w->points->starts[order[k + AHEAD]]);
        size_t point = varint_size(zigzag(elapsed(previous, t[i]))) + rest_size(w->points, i);
        point += varint_size(point);
        if (k > first && (k - first >= w->max_points || elapsed(first_t, t[i]) > SC_MAX_BLOCK_SPAN ||
                          *size + point > w->max_bytes))
            return k;
        *size += point;
        previous = t[i];
    }
    return last;
}

static void points_put(writer *w, size_t first, size_t end)
{
    const int64_t *t = w->points->t;
    int64_t previous = 0;
    for (size_t k = first; k < end; k++) {
        size_t i = w->blocks->order[k];
        uint64_t delta = zigzag(elapsed(previous, t[i]));
        size_t size = varint_size(delta) + rest_size(w->points, i);
        w->end += point_put(w->out + w->end, w->points, i, delta, size);
        previous = t[i];
    }
}

/* ---- codec 1 ---- */

typedef struct numbers {
    skeleton skeleton;
    bool clocked;
    size_t columns;                /* t, boot and ms where clocked, and then the texts' */
    plan plans[3 + SC_MAX_NUMBERS];
    uint8_t formats[SC_MAX_NUMBERS];
    size_t size;                   /* of the block, behind its write time */
} numbers;

/* The columns of the points' times and clocks, into values; false: some have a clock, and some have none. */
static bool clocks_take(const writer *w, const uint32_t *order, size_t count, bool clocked, uint64_t *values)
{
    const sc_points *p = w->points;
    for (size_t k = 0; k < count; k++) {
        size_t i = order[k];
        if ((p->clocked[i] != 0) != clocked)
            return false;
        values[k] = elapsed(w->write_time, p->t[i]);
        if (clocked) {
            values[count + k] = p->boot[i];
            values[2 * count + k] = p->ms[i];
        }
    }
    return true;
}

/* Takes count points apart into the columns of the scratch; false: they do not fit codec 1. */
static bool numbers_take(const writer *w, const uint32_t *order, size_t count, numbers *n)
{
    const sc_points *p = w->points;
    sc_columns *scratch = w->blocks->columns;
    if (count < SC_MIN_COLUMN || count > SC_MAX_COLUMN)
        return false;
    skeleton *s = &n->skeleton;
    size_t first = order[0];
    n->clocked = p->clocked[first] != 0;
    size_t before = n->clocked ? 3 : 1;
    if (!skeleton_of(s, p->data + p->starts[first], (size_t)(p->ends[first] - p->starts[first])) ||
        s->size > SC_MAX_TEXTS || texts_size(count, s->size, s->numbers) > SC_MAX_TEXTS)
        return false;
    for (size_t k = 0; k < count; k++) {
        size_t i = order[k];
        if (!skeleton_match(s, p->data + p->starts[i], (size_t)(p->ends[i] - p->starts[i]), k, count,
                            scratch->values + before * count, scratch->decimals))
            return false;
    }
    n->columns = before + s->numbers;
    if (!clocks_take(w, order, count, n->clocked, scratch->values))
        return false;
    n->size = varint_size(2 * count + n->clocked) + varint_size(s->size) + s->size + s->numbers;
    for (size_t c = 0; c < n->columns; c++) {
        uint64_t *values = scratch->values + c * count;
        if (c >= before &&
            !column_format(values, scratch->decimals + (c - before) * count, count, &n->formats[c - before]))
            return false;
        n->plans[c] = column_plan(values, count);
        n->size += n->plans[c].size;
        if (n->plans[c].width > MAX_WIDTH)
            return false;
    }
    return true;
}

static void numbers_put(writer *w, size_t count, const numbers *n)
{
    uint8_t *out = w->out + w->end;
    size_t size = varint_put(out, 2 * count + n->clocked);
    size += varint_put(out + size, n->skeleton.size);
    size += skeleton_put(out + size, &n->skeleton);
    size_t before = n->columns - n->skeleton.numbers;
    for (size_t c = 0; c < n->columns; c++) {
        if (c >= before)
            out[size++] = n->formats[c - before];
        size += column_put(out + size, &n->plans[c], w->blocks->columns->values + c * count, count);
    }
    w->end += size;
}

/* Writes points order[first..last] of one series. On failure *at is the first point of a block. */
static sc_status series_put(writer *w, uint32_t series, size_t first, size_t last, size_t *at)
{
    sc_blocks *b = w->blocks;
    for (size_t end; first < last; first = end) {
        size_t size;
        numbers n;
        end = block_end(w, first, last, &size);
        bool fits = numbers_take(w, b->order + first, end - first, &n) && w->header_size + n.size < size;
        *at = b->order[first];
        if ((fits ? w->header_size + n.size : size) > w->room - w->end)
            return SC_ROOM;
        b->offsets[b->count] = w->end;
        b->series[b->count] = series;
        b->firsts[b->count++] = first;
        w->out[w->end] = fits ? CODEC_NUMBERS : CODEC_POINTS;
        varint_put(w->out + w->end + 1, (uint64_t)w->write_time);
        w->end += w->header_size;
        if (fits)
            numbers_put(w, end - first, &n);
        else
            points_put(w, first, end);
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
    writer w = {points, blocks, out, room, 0, max_points, max_bytes, write_time, 0};
    uint32_t *firsts = blocks->scratch, *spare = blocks->scratch + count + 1;
    size_t found;
    *at = 0;
    if (write_time < 0)
        return SC_TIME;
    sc_status status = series_count(points, series, count, firsts, &found, at);
    if (status != SC_OK)
        return status;
    series_gather(series, count, firsts, found, blocks->order);
    w.header_size = 1 + varint_size((uint64_t)write_time);
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
