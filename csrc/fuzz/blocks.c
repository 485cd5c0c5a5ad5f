/* Blocks: one that fills the input, or two that may lie anywhere. What reads well is written and read again. */
#include "point_columns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    input in = {data, len};
    size_t count = 1;
    uint64_t starts[2] = {0}, ends[2] = {0}, firsts[3];
    int64_t times[2];
    if (take_byte(&in) & 1) {
        count = 2;
        for (size_t i = 0; i < count; i++) {
            starts[i] = take_byte(&in);
            ends[i] = take_byte(&in);
        }
    } else {
        ends[0] = in.len;
    }
    sc_points points;
    sc_status status;
    uint8_t *copy = exact(in.data, in.len);
    size_t found = blocks_read(copy, in.len, starts, ends, count, firsts, times, &points, &status);
    uint32_t *series = room_for(found * sizeof *series);
    for (size_t k = 0; k < found; k++)
        series[k] = k >= firsts[1];
    if (status == SC_OK)
        blocks_round(&points, series, found, times[0], SIZE_MAX, SIZE_MAX);
    return free_all();
}
