/* The latest readings of a row, kept in its record: they tell whether one that comes late was heard before. */
#ifndef SCOUTCORE_RECENT_H
#define SCOUTCORE_RECENT_H

#include "block.h"

#define RECENT_BYTES (2 * SC_VARINT_BYTES + 1 + 3 * SC_VARINT_BYTES + (SC_RECENT * MAX_WIDTH + 7) / 8)

/* Takes row->kept, from and recent from size bytes; none: they are not kept. row->recent has room for SC_RECENT. */
bool recent_read(sc_row *row, const uint8_t *in, size_t size);

/* The bytes of what is kept: none, or at most RECENT_BYTES. */
size_t recent_put(uint8_t *out, const sc_row *row);

/* Nothing is kept yet but that of ms after the row's greatest there is nothing. */
void recent_start(sc_row *row);

/* Whether one of count readings, {ms, ...} in order of ms, is kept. */
bool recent_has(const sc_row *row, const sc_clock *readings, size_t count);

/* Keeps them, too, as far as they are not before row->from; the least go where they are too many. */
void recent_add(sc_row *row, const sc_clock *readings, size_t count);

#endif
