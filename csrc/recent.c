/* The latest readings of a row: see recent.h. */
#include "recent.h"

bool recent_read(sc_row *row, const uint8_t *in, size_t size)
{
    size_t at = 0;
    uint64_t count;
    row->kept = size > 0;
    row->recents = 0;
    if (size == 0)
        return true;
    if (varint_get(in, size, &at, &row->from) != SC_OK || varint_get(in, size, &at, &count) != SC_OK ||
        count > SC_RECENT)
        return false;
    column c;
    if (count > 0 && column_open(&c, in, size, (size_t)count, &at) != SC_OK)
        return false;
    for (; row->recents < count; row->recents++) {
        uint64_t ms = row->recent[row->recents] = column_at(&c, row->recents);
        if (row->recents == 0 ? ms < row->from : ms <= row->recent[row->recents - 1])
            return false;
    }
    return at == size;
}

size_t recent_put(uint8_t *out, const sc_row *row)
{
    if (!row->kept)
        return 0;
    size_t size = varint_put(out, row->from);
    size += varint_put(out + size, row->recents);
    if (row->recents == 0)
        return size;
    plan p = column_plan(row->recent, row->recents);
    if (p.width <= MAX_WIDTH)
        return size + column_put(out + size, &p, row->recent, row->recents);
    sc_row none = *row; /* too far apart for a column */
    recent_start(&none);
    return recent_put(out, &none);
}

void recent_start(sc_row *row)
{
    row->kept = row->max_ms < UINT64_MAX;
    row->from = row->max_ms + 1;
    row->recents = 0;
}

bool recent_has(const sc_row *row, const sc_clock *readings, size_t count)
{
    size_t i = 0;
    for (size_t k = 0; k < count; k++) {
        while (i < row->recents && row->recent[i] < readings[k].boot)
            i++;
        if (i < row->recents && row->recent[i] == readings[k].boot)
            return true;
    }
    return false;
}

void recent_add(sc_row *row, const sc_clock *readings, size_t count)
{
    uint64_t kept[SC_RECENT];
    size_t i = row->recents, k = count, free = SC_RECENT;
    for (;;) { /* the greatest first */
        while (k > 0 && (readings[k - 1].boot < row->from || (free < SC_RECENT && readings[k - 1].boot == kept[free])))
            k--;
        while (i > 0 && free < SC_RECENT && row->recent[i - 1] == kept[free])
            i--;
        if (free == 0 || (i == 0 && k == 0))
            break;
        kept[--free] = i > 0 && (k == 0 || row->recent[i - 1] > readings[k - 1].boot) ? row->recent[i - 1]
                                                                                       : readings[k - 1].boot;
    }
    if (i > 0 || k > 0)
        row->from = kept[0];
    row->recents = SC_RECENT - free;
    memcpy(row->recent, kept + free, row->recents * sizeof *kept);
}
