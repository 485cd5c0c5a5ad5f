/* Rows: suffixes, records and blocks of the input. What comes out is a list of puts and records, and as many puts as were counted. */
#include "point_columns.h"

static const uint8_t *take_bytes(input *in, size_t size)
{
    const uint8_t *taken = exact(in->data, size);
    in->data += size;
    in->len -= size;
    return taken;
}

/* Up to most bytes of the input, cut into count pieces: their offsets. */
static uint64_t *take_offsets(input *in, size_t count, size_t most, size_t *len)
{
    uint64_t *offsets = numbers(count + 1);
    offsets[0] = 0;
    for (size_t i = 0; i < count; i++)
        offsets[i + 1] = offsets[i] + take_byte(in) % most;
    *len = (size_t)offsets[count] < in->len ? (size_t)offsets[count] : in->len; /* some may lie outside */
    return offsets;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    input in = {data, len};
    sc_rows rows = {.count = take_byte(&in) % 4};
    uint8_t kinds = take_byte(&in);
    rows.suffix_starts = take_offsets(&in, rows.count, 12, &rows.suffixes_len);
    rows.suffix_ends = rows.suffix_starts + 1;
    rows.suffixes = take_bytes(&in, rows.suffixes_len);
    rows.record_starts = take_offsets(&in, rows.count, 150, &rows.records_len);
    rows.record_ends = rows.record_starts + 1;
    rows.records = take_bytes(&in, rows.records_len);
    rows.newest = take_byte(&in) - 99;
    rows.logs = in.len < 16 ? 0 : in.len < 32 ? 1 : 2;
    rows.uuids = take_bytes(&in, 16 * rows.logs);

    enum { BLOCKS = 2 };
    uint64_t starts[BLOCKS], ends[BLOCKS];
    uint32_t row_of[BLOCKS], changes[BLOCKS] = {7, 9}, versions[BLOCKS] = {1, UINT32_MAX};
    starts[0] = 0;
    ends[0] = starts[1] = take_byte(&in) < in.len ? in.data[-1] : in.len;
    ends[1] = in.len;
    for (size_t i = 0; i < BLOCKS; i++)
        row_of[i] = kinds >> 2 * i & 3;
    const uint8_t *blocks = exact(in.data, in.len);
    size_t at = 99, count = kinds >> 4 & 1 ? BLOCKS : 1;
    sc_summaries s = summary_columns(BLOCKS, sc_lasts_size(blocks, in.len, starts, ends, count));
    if (sc_blocks_summarize(blocks, in.len, starts, ends, count, &s, &at) != SC_OK)
        return free_all();

    size_t room = sc_rows_size(&rows, starts, ends, row_of, count, s.data_len);
    uint8_t *out = room_for(room), deferred[BLOCKS];
    sc_row *scratch = room_for(rows.count * sizeof *scratch);
    uint64_t *recent = room_for(rows.count * SC_RECENT * sizeof *recent);
    sc_status status = sc_rows_add(&rows, blocks, in.len, starts, ends, &s, row_of, changes,
                                   kinds >> 5 & 1 ? versions : NULL, count, kinds >> 6, scratch, recent, deferred, out,
                                   room, &at);
    REQUIRE(status == SC_OK || status == SC_RECORD || status == SC_BOUNDS);
    if (status != SC_OK) {
        REQUIRE(at <= rows.count + count);
        return free_all();
    }
    size_t least = 0, most = 0, end = at, puts_len = 0, head = 10;
    for (size_t i = 0; i < count; i++) {
        least += deferred[i] ? 0 : s.clocks[i] ? 4 : 2;
        most += deferred[i] ? 0 : s.clocks[i] ? 10 : 2;
    }
    REQUIRE(end <= room && sc_msgpack_count(out, end) == 1 + rows.count);
    for (size_t i = 6; i < head; i++)
        puts_len = puts_len << 8 | out[i];
    REQUIRE(puts_len <= end - head && out[head] == 0xdd);
    size_t items = sc_msgpack_count(out + head, puts_len);
    REQUIRE(least <= items && items <= most);
    REQUIRE(sc_puts_count(out + head, puts_len) == items / 2);
    for (size_t less = 0; less < end; less += 1 + less / 8) /* a block may need less than is asked for */
        REQUIRE(sc_rows_add(&rows, blocks, in.len, starts, ends, &s, row_of, changes, versions, count, kinds >> 6,
                            scratch, recent, deferred, room_for(less), less, &at) == SC_ROOM);
    return free_all();
}
