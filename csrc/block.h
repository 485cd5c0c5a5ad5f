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

/* Sorts clocks by boot, then ms: in place, and never slow. */
void clock_sort(sc_clock *clocks, size_t count);

/* The ms of a block's readings, sorted, each with its row: {ms, row}. Returns how many; 0 where the block is wrong, or has
 * more than room. */
size_t block_readings(const uint8_t *in, size_t start, size_t end, sc_clock *readings, size_t room);

#endif
