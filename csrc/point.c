/* One point as the frame of a change: what sc_blocks_encode and sc_changes_encode make of a batch of one, in one call. */
#include "internal.h"

#define SENSOR "\x0a\x06sensor\x12" /* field 1, the subset, and the tag of field 2 */
#define SENSOR_BYTES (sizeof SENSOR - 1)

static size_t numbers_put(uint8_t *out, const sc_point *p)
{
    size_t size = 0;
    const uint32_t numbers[] = {p->change, p->from, p->to};
    for (size_t i = 0; i < 3; i++) {
        out[size++] = (uint8_t)(0x18 + 8 * i);
        size += varint_put(out + size, numbers[i]);
    }
    return size;
}

/* The point in the block: its time, and its clock where it has one. */
static size_t point_put(uint8_t *out, const sc_point *p)
{
    size_t size = varint_put(out, zigzag((uint64_t)p->t));
    out[size++] = p->clocked != 0;
    if (p->clocked) {
        size += varint_put(out + size, p->boot);
        size += varint_put(out + size, p->ms);
    }
    return size;
}

sc_status sc_point_encode(const sc_point *p, const uint8_t *key, size_t key_len, const uint8_t *data, size_t data_len,
                          uint8_t *out, size_t room, size_t *block, size_t *at)
{
    *at = 0;
    if (p->write_time < 0)
        return SC_TIME;
    if (data_len == 0)
        return SC_DATA_EMPTY;
    if (data_len > SC_MAX_DATA)
        return SC_DATA_SIZE;
    if (!sc_utf8_ok(key, 0, key_len))
        return SC_UTF8;
    uint8_t point[4 * SC_VARINT_BYTES], written[SC_VARINT_BYTES], numbers[3 * (1 + SC_VARINT_BYTES)];
    size_t point_size = point_put(point, p);
    size_t written_size = varint_put(written, (uint64_t)p->write_time);
    size_t numbers_size = numbers_put(numbers, p);
    size_t inner = point_size + data_len;
    size_t block_size = 1 + written_size + varint_size(inner) + inner;
    size_t body = SENSOR_BYTES + varint_size(key_len) + key_len + numbers_size + 1 + varint_size(block_size) + block_size;
    if (body + 1 > SC_MAX_FRAME)
        return SC_FRAME_SIZE;
    if (varint_size(body + 1) + 1 + body > room)
        return SC_ROOM;
    size_t i = varint_put(out, body + 1);
    out[i++] = SC_FRAME_CHANGE;
    memcpy(out + i, SENSOR, SENSOR_BYTES);
    i += SENSOR_BYTES;
    i += varint_put(out + i, key_len);
    copy_slice(out + i, key, 0, key_len);
    i += key_len;
    memcpy(out + i, numbers, numbers_size);
    i += numbers_size;
    out[i++] = 0x32;
    i += varint_put(out + i, block_size);
    *block = i;
    out[i++] = 0; /* codec 0 */
    memcpy(out + i, written, written_size);
    i += written_size;
    i += varint_put(out + i, inner);
    memcpy(out + i, point, point_size);
    memcpy(out + i + point_size, data, data_len);
    *at = i + inner;
    return SC_OK;
}

#define ADDED_HEAD 12 /* of an array of four: where the block begins, whether it is deferred, and the frame's head */

sc_status sc_point_add(const sc_point *p, const uint8_t *key, size_t key_len, const uint8_t *data, size_t data_len,
                       const uint8_t *suffix, size_t suffix_len, const uint8_t *record, size_t record_len,
                       const uint8_t *uuids, size_t logs, int64_t newest, uint32_t log, uint8_t *out, size_t room,
                       size_t *at)
{
    size_t block, size;
    *at = 0;
    if (room < ADDED_HEAD)
        return SC_ROOM;
    uint8_t *made = out + ADDED_HEAD;
    sc_status status = sc_point_encode(p, key, key_len, data, data_len, made, room - ADDED_HEAD, &block, &size);
    if (status != SC_OK)
        return status;
    out[0] = 0x94;
    wide_put(out + 1, 0xce, block);
    wide_put(out + 7, 0xc6, size);
    int64_t write_time = p->write_time, t = p->t;
    uint8_t clocked = p->clocked != 0;
    uint64_t count = 1, boot = clocked ? p->boot : 0, ms = clocked ? p->ms : 0;
    uint64_t start = block, end = size, data_start = size - data_len;
    sc_summaries s = {&write_time, &count, &t,       &t,    &clocked, &boot,       &ms,
                      &boot,       &ms,    &clocked, &boot, &ms,      &data_start, &end,        made, size};
    uint64_t suffix_offsets[] = {0, suffix_len}, record_offsets[] = {0, record_len};
    sc_rows rows = {1,          suffix,         suffix_len, suffix_offsets, record,
                    record_len, record_offsets, uuids,      logs,           newest};
    uint32_t row_of = 0, change = p->change, version = p->to;
    sc_row scratch;
    uint64_t recent[SC_RECENT];
    size_t begin = ADDED_HEAD + size;
    status = sc_rows_add(&rows, made, size, &start, &end, &s, &row_of, &change, &version, 1, log, &scratch, recent, out + 6,
                         out + begin, room - begin, at);
    *at = status == SC_OK ? begin + *at : 0;
    return status;
}
