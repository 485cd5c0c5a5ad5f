/* Blocks appended to our own log: changes, and what they do to the views. See scoutcore.h. */
#include "change.h"
#include "rows.h"

#define FRAME_BYTES 64 /* of a frame at most, beside key and block */

static const text sensor = {(const uint8_t *)"sensor", 0, 6, true};

/* The summary of the block of points order[0..count]: what sc_blocks_summarize finds in it. */
static summary points_summary(const sc_points *p, const uint32_t *order, size_t count, int64_t write_time)
{
    clock_span c = no_clock;
    for (size_t k = 0; k < count; k++)
        if (p->clocked[order[k]])
            clock_add(&c, p->boot[order[k]], p->ms[order[k]]);
    size_t last = order[count - 1];
    bool clocked = p->clocked[last] != 0;
    return (summary){write_time,
                     p->t[order[0]],
                     p->t[last],
                     count,
                     clock_state(&c, count),
                     clocked,
                     c.min_boot,
                     c.min_ms,
                     c.max_boot,
                     c.max_ms,
                     clocked ? p->boot[last] : 0,
                     clocked ? p->ms[last] : 0,
                     p->data + p->starts[last],
                     (size_t)(p->ends[last] - p->starts[last])};
}

size_t sc_append_size(const sc_points *points, const sc_blocks *blocks, const sc_rows *rows, size_t *frames)
{
    size_t texts = 0;
    *frames = 0;
    for (size_t i = 0; i < blocks->count && blocks->series[i] < rows->count; i++) {
        size_t r = blocks->series[i], last = blocks->order[blocks->firsts[i + 1] - 1];
        *frames += FRAME_BYTES + (size_t)(rows->key_ends[r] - rows->key_starts[r]) +
                   (size_t)(blocks->offsets[i + 1] - blocks->offsets[i]);
        texts += (size_t)(points->ends[last] - points->starts[last]);
    }
    return sc_rows_size(rows, blocks->offsets, blocks->offsets + 1, blocks->series, blocks->count, texts);
}

/* The row's version before each block and behind it, in pairs, into the scratch of the blocks. */
static sc_status versions_raise(const sc_append *to, const sc_blocks *blocks, const sc_rows *rows, size_t *at)
{
    for (*at = 0; *at < blocks->count; (*at)++) {
        size_t i = *at, r = blocks->series[i];
        uint32_t *versions = blocks->scratch + 2 * i;
        if (r >= rows->count || !slice_ok(rows->key_starts[r], rows->key_ends[r], rows->keys_len))
            return SC_BOUNDS;
        if (!version_raise(&to->scratch[r], to->log, blocks->firsts[i + 1] - blocks->firsts[i], to->limit, versions))
            return SC_LIMIT;
        versions[1] = to->scratch[r].own_count;
    }
    return SC_OK;
}

sc_status sc_blocks_append(const sc_points *points, const sc_blocks *blocks, const uint8_t *in, int64_t write_time,
                           const sc_rows *rows, const sc_append *to, size_t *at)
{
    adding a = {rows, to->scratch, to->log, to->out, to->room, ROWS_HEAD, 0, 0};
    size_t frames_end = 0;
    sc_status status = rows_read(rows, to->log, to->scratch, to->recent, at);
    if (status != SC_OK)
        return status;
    *at = 0;
    if (to->first + (uint64_t)blocks->count > (uint64_t)to->limit + 1)
        return SC_LIMIT;
    status = versions_raise(to, blocks, rows, at);
    if (status == SC_OK)
        status = rows_begin(&a);
    if (status != SC_OK)
        return status;
    for (*at = 0; *at < blocks->count; (*at)++) {
        size_t i = *at, r = blocks->series[i], first = (size_t)blocks->firsts[i];
        size_t start = (size_t)blocks->offsets[i], size = (size_t)blocks->offsets[i + 1] - start;
        const uint32_t *versions = blocks->scratch + 2 * i;
        size_t key = (size_t)rows->key_starts[r], key_size = (size_t)rows->key_ends[r] - key;
        change c = {sensor,
                    {rows->keys, key, key_size, true},
                    {in, start, size, true},
                    to->first + (uint32_t)i,
                    versions[0],
                    versions[1]};
        status = change_put(&c, SC_MAX_FRAME, to->frames, to->frames_room, &frames_end);
        if (status != SC_OK)
            return status;
        to->ends[i] = frames_end;
        to->starts[i] = frames_end - size;
        summary s =
            points_summary(points, blocks->order + first, (size_t)blocks->firsts[i + 1] - first, write_time);
        status = rows_add(&a, r, to->frames, to->starts[i], frames_end, &s, c.change, &to->deferred[i]);
        if (status != SC_OK)
            return status;
    }
    return rows_end(&a, at);
}
