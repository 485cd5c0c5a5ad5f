/* Rows while blocks are added to them, one by one: rows_read, rows_begin, rows_add for each, rows_end. See sc_rows_add in
 * scoutcore.h. */
#ifndef SCOUTCORE_ROWS_H
#define SCOUTCORE_ROWS_H

#include "recent.h"

/* What a view needs of a block: a row of sc_summaries. */
typedef struct summary {
    int64_t write_time, first_t, last_t;
    uint64_t count;
    uint8_t clocks, last_clocked;
    uint64_t min_boot, min_ms, max_boot, max_ms, last_boot, last_ms;
    const uint8_t *text;
    size_t text_len;
} summary;

typedef struct adding {
    const sc_rows *rows;
    sc_row *scratch; /* of rows_read */
    uint32_t log;
    uint8_t *out;
    size_t room, head; /* head: ROWS_HEAD, for an array around puts and records; 0: the puts come first */
    size_t size, items;
} adding;

#define ROWS_HEAD 10 /* of that array, and of the puts, which are its first item */

/* Reads the rows' records; log is to be one of the logs. */
sc_status rows_read(const sc_rows *rows, uint32_t log, sc_row *scratch, uint64_t *recent, size_t *at);

sc_status rows_begin(adding *a);

/* A block of row r, in[start..end]: the caller has looked at the bounds. */
sc_status rows_add(adding *a, size_t r, const uint8_t *in, uint64_t start, uint64_t end, const summary *s,
                   uint32_t change, uint8_t *deferred);

sc_status rows_end(adding *a, size_t *at);

/* The row's version in our log becomes that behind so many points more; *from: before them. False: that is over limit. */
static inline bool version_raise(sc_row *row, uint32_t log, uint64_t points, uint32_t limit, uint32_t *from)
{
    *from = row->own_log == log + 1 ? row->own_count : 0;
    if (*from + points > limit)
        return false;
    row->own_log = log + 1;
    row->own_count = (uint32_t)(*from + points);
    return true;
}

#endif
