/* Blocks of points of both codecs, read point by point. See scoutcore.h and FORMAT.md. */
#ifndef SCOUTCORE_BLOCK_H
#define SCOUTCORE_BLOCK_H

#include "numbers.h"

enum { CODEC_POINTS = 0, CODEC_NUMBERS = 1 };
enum { CLOCKED = 1u }; /* the one flag of a point, and of a block of numbers: boot and ms follow */

/* t at an earlier point in its sorted series is at most t at a later one: the difference fits 64 bits unsigned. */
static inline uint64_t elapsed(int64_t earlier, int64_t later)
{
    return (uint64_t)later - (uint64_t)earlier;
}

/* The most bytes that points of a skeleton of so many bytes may be decoded to. */
static inline size_t texts_size(size_t points, size_t size, size_t numbers)
{
    return points * (size + numbers * SC_NUMBER_BYTES);
}

/* What a summary has of the clocks of a block's points. */
typedef struct clock_span {
    uint64_t count;
    bool rising; /* strictly, so far */
    uint64_t min_boot, min_ms, max_boot, max_ms;
} clock_span;

static const clock_span no_clock = {0, true, 0, 0, 0, 0};

/* While they rise the greatest is the one before: a clock that is not over the greatest ends the rise. */
static inline void clock_add(clock_span *c, uint64_t boot, uint64_t ms)
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

/* As clocks in sc_summaries, of a block of so many points. */
static inline uint8_t clock_state(const clock_span *c, uint64_t points)
{
    return c->count == 0 ? 0 : c->count == points && c->rising ? 1 : 2;
}

/* Sorts clocks by boot, then ms: in place, and never slow. */
void clock_sort(sc_clock *clocks, size_t count);

/* The ms of a block's readings, sorted, each with its row: {ms, row}. Returns how many; 0 where the block is wrong, or has
 * more than room. */
size_t block_readings(const uint8_t *in, size_t start, size_t end, sc_clock *readings, size_t room);

#endif
