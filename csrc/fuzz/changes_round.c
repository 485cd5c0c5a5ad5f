/* Rows of slices and numbers, written and read again; slices that are none, absent keys, limits, bad UTF-8. */
#include "change_columns.h"

static void take_slice(input *in, uint64_t *start, uint64_t *end)
{
    uint8_t kind = take_byte(in);
    *start = kind == 0xff ? SC_ABSENT : kind;
    *end = kind == 0xff ? SC_ABSENT : *start + take_byte(in) % 64;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    input in = {data, len};
    size_t count = take_byte(&in) % 8, at = 99;
    uint64_t max_frame = take_number(&in);
    sc_changes rows = change_columns(count);
    for (size_t i = 0; i < count; i++) {
        take_slice(&in, &rows.subset_starts[i], &rows.subset_ends[i]);
        take_slice(&in, &rows.key_starts[i], &rows.key_ends[i]);
        take_slice(&in, &rows.value_starts[i], &rows.value_ends[i]);
        rows.change[i] = (uint32_t)take_number(&in);
        rows.from[i] = (uint32_t)take_number(&in);
        rows.to[i] = (uint32_t)take_number(&in);
    }
    rows.subset_data = rows.key_data = rows.value_data = in.data;
    rows.subset_len = rows.key_len = rows.value_len = in.len;
    size_t size = sc_changes_size(&rows, count);
    uint64_t *ends = numbers(count);
    sc_status status = sc_changes_encode(&rows, count, max_frame, room_for(size), size, ends, &at);
    REQUIRE(status == SC_OK || status == SC_BOUNDS || status == SC_FIELD_MISSING || status == SC_UTF8 ||
            status == SC_FRAME_SIZE);
    REQUIRE(status == SC_OK ? at <= size : at < count);
    change_round(&rows, status == SC_OK ? count : at); /* the rows before a wrong one are good */
    return free_all();
}
