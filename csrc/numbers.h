/* Columns of numbers, and texts that differ in their numbers alone: what codec 1 of blocks is made of. See FORMAT.md. */
#ifndef SCOUTCORE_NUMBERS_H
#define SCOUTCORE_NUMBERS_H

#include "internal.h"

#define MAX_WIDTH 56          /* bits of a number in a column: with 7 more before it they fit one word */
#define MAX_DECIMALS 18
#define HOLE 0                /* the byte of a skeleton where a number stands */

/* ---- reading ---- */

typedef struct column {
    const uint8_t *bits;
    size_t size;        /* bytes of bits */
    size_t next;        /* the row that value is before, where delta */
    uint64_t value;     /* of row next - 1 */
    uint64_t low, step; /* a number, or its difference to the one before: low + step * bits */
    unsigned width;
    bool delta;        /* numbers are differences */
} column;

/* The column of count rows, at least 1, at in[*at]; *at moves behind it, or to what is wrong. */
sc_status column_open(column *c, const uint8_t *in, size_t end, size_t count, size_t *at);

/* Width bits from bit on: the eight bytes they are in are read where they are all there. */
static inline uint64_t column_bits(const column *c, size_t bit)
{
    size_t byte = bit / 8, left = c->size - byte;
    uint64_t word = 0;
    if (left >= sizeof word) {
        const uint8_t *in = c->bits + byte;
        word = in[0] | (uint64_t)in[1] << 8 | (uint64_t)in[2] << 16 | (uint64_t)in[3] << 24 | (uint64_t)in[4] << 32 |
               (uint64_t)in[5] << 40 | (uint64_t)in[6] << 48 | (uint64_t)in[7] << 56;
    } else {
        for (size_t i = 0; i < left; i++)
            word |= (uint64_t)c->bits[byte + i] << 8 * i;
    }
    return word >> bit % 8 & ((UINT64_C(1) << c->width) - 1);
}

/* The number of a row, in two's complement; rows are asked for in order, and may be left out. */
static inline uint64_t column_at(column *c, size_t row)
{
    if (!c->delta)
        return c->low + c->step * (c->width ? column_bits(c, row * c->width) : 0);
    for (; c->next <= row; c->next++)
        if (c->next > 0)
            c->value += c->low + c->step * (c->width ? column_bits(c, (c->next - 1) * c->width) : 0);
    return c->value;
}

/* Whether format, the byte before a column of numbers in texts, can be one. */
bool format_ok(uint8_t format);

/* The text of a number; returns its bytes, at most SC_NUMBER_BYTES. */
size_t number_text(uint8_t *out, uint64_t number, uint8_t format);

/* Writes the numbers of a column of format, divided by what its decimals say. *first: the number of row 0, taken from the
 * column where fresh; *same stays true while all numbers are *first. False: one has over 53 bits. */
bool column_doubles(column *c, uint8_t format, size_t count, double *out, bool fresh, int64_t *first, bool *same);

/* ---- writing ---- */

/* What a column takes: found once, then measured and written. */
typedef struct plan {
    bool delta;
    unsigned width;
    uint64_t low, step;
    size_t size; /* in bytes */
} plan;

plan column_plan(const uint64_t *values, size_t count);
size_t column_put(uint8_t *out, const plan *plan, const uint64_t *values, size_t count);

/* What texts that differ in their numbers alone have in common. */
typedef struct skeleton {
    const uint8_t *text;                                        /* the first of them */
    size_t starts[SC_MAX_NUMBERS + 1], ends[SC_MAX_NUMBERS + 1]; /* the pieces between numbers, one more than these */
    size_t numbers;
    size_t size; /* pieces and holes */
} skeleton;

/* The skeleton of a text; false: too many numbers, or a byte that is a hole's. */
bool skeleton_of(skeleton *s, const uint8_t *text, size_t len);

/* Takes the numbers of row out of a text: number k to values[k * count + row], and its decimals likewise. False: it has
 * another skeleton. */
bool skeleton_match(const skeleton *s, const uint8_t *text, size_t len, size_t row, size_t count, uint64_t *values,
                    uint8_t *decimals);

size_t skeleton_put(uint8_t *out, const skeleton *s);

/* Brings the numbers of a column to equal decimals; the format that gives their texts back. False: there is none. */
bool column_format(uint64_t *values, const uint8_t *decimals, size_t count, uint8_t *format);

#endif
