/* Batches of points, written in blocks and read again; slices that are none, series that skip, data too long. */
#include "point_columns.h"

enum { MOST = 64 };

static uint8_t texts[SC_MAX_DATA + 1]; /* numbers, and what looks like one, first */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    input in = {data, len};
    size_t count = 0, at = 99;
    uint8_t limits = take_byte(&in);
    size_t max_points = limits & 1 ? take_byte(&in) : SIZE_MAX, max_bytes = limits & 2 ? take_byte(&in) : SIZE_MAX;
    int64_t write_time = (int64_t)take_number(&in);
    sc_points points = point_columns(MOST);
    uint32_t series[MOST], seen = 0;
    points.data = texts;
    points.data_len = sizeof texts;
    memcpy(texts, "1.50 -2 0.25,30 7-0.5 12 x3 0.10 9 18446744073709551616 -0 1.0 5.", 65);
    while (in.len > 0 && count < MOST) {
        uint8_t kind = take_byte(&in), slice = take_byte(&in);
        series[count] = kind & 1 ? seen : kind >> 1 & 7;
        seen += series[count] == seen;
        points.clocked[count] = kind >> 4 & 1;
        points.t[count] = sc_unzigzag(take_number(&in));
        points.boot[count] = kind & 16 ? take_number(&in) : 0;
        points.ms[count] = kind & 16 ? take_number(&in) : 0;
        points.starts[count] = slice & 15;
        points.ends[count] = slice == 0xff ? sizeof texts + 1 : 1u + (slice >> 4);
        if (slice == 0xfe) {
            points.starts[count] = 0;
            points.ends[count] = sizeof texts;
        }
        count++;
    }
    size_t size = sc_blocks_size(&points, count);
    sc_blocks blocks = blocks_for(count);
    sc_status status =
        sc_blocks_encode(&points, series, count, write_time, max_points, max_bytes, &blocks, room_for(size), size, &at);
    REQUIRE(status == SC_OK || status == SC_TIME || status == SC_BOUNDS || status == SC_DATA_EMPTY ||
            status == SC_DATA_SIZE || status == SC_SERIES);
    REQUIRE(status == SC_OK ? at <= size : at < count || (status == SC_TIME && at == 0));
    if (status != SC_OK && write_time >= 0)
        count = at; /* the points before a wrong one are good */
    if (write_time >= 0)
        blocks_round(&points, series, count, write_time, max_points, max_bytes);
    return free_all();
}
