/* A batch of one: what sc_blocks_append makes of it, in less time. */
#include "rows.h"

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

static sc_status point_check(const sc_point *p, size_t data_len)
{
    if (p->write_time < 0)
        return SC_TIME;
    return data_len == 0 ? SC_DATA_EMPTY : data_len > SC_MAX_DATA ? SC_DATA_SIZE : SC_OK;
}

sc_status sc_point_encode(const sc_point *p, const uint8_t *key, size_t key_len, const uint8_t *data, size_t data_len,
                          uint8_t *out, size_t room, size_t *block, size_t *at)
{
    sc_status status = point_check(p, data_len);
    *at = 0;
    if (status != SC_OK)
        return status;
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

#define ADDED_HEAD 6 /* of an array of five, and of the frame */
#define ADDED_REST 6 /* where the block begins, and whether it is deferred */

sc_status sc_point_add(int64_t write_time, int64_t t, int clocked, uint64_t boot, uint64_t ms, uint32_t change,
                       const uint8_t *key, size_t key_len, const uint8_t *data, size_t data_len, const uint8_t *suffix,
                       size_t suffix_len, const uint8_t *record, size_t record_len, const uint8_t *uuids, size_t logs,
                       int64_t newest, uint32_t log, uint32_t limit, uint8_t *out, size_t room, size_t *at)
{
    uint64_t begin = 0, suffix_end = suffix_len, record_end = record_len, recent[SC_RECENT];
    sc_rows rows = {1,      NULL,       0,      NULL,        NULL,  suffix, suffix_len, &begin, &suffix_end,
                    record, record_len, &begin, &record_end, uuids, logs,   newest};
    sc_row row;
    sc_point point = {write_time, t, clocked != 0, clocked ? boot : 0, clocked ? ms : 0, change, 0, 0};
    size_t block, size;
    sc_status status = point_check(&point, data_len);
    if (status == SC_OK)
        status = rows_read(&rows, log, &row, recent, at);
    *at = 0;
    if (status != SC_OK)
        return status;
    if (change > limit || !version_raise(&row, log, 1, limit, &point.from))
        return SC_LIMIT;
    point.to = row.own_count;
    if (room < ADDED_HEAD + ADDED_REST)
        return SC_ROOM;
    room -= ADDED_HEAD + ADDED_REST;
    uint8_t *made = out + ADDED_HEAD, deferred;
    status = sc_point_encode(&point, key, key_len, data, data_len, made, room, &block, &size);
    if (status != SC_OK)
        return status;
    out[0] = 0x95;
    wide_put(out + 1, 0xc6, size);
    uint8_t *puts = made + size + wide_put(made + size, 0xce, block);
    boot = point.boot;
    ms = point.ms;
    uint8_t clocks = point.clocked != 0;
    summary s = {write_time, t, t, 1, clocks, clocks, boot, ms, boot, ms, boot, ms, made + size - data_len, data_len};
    adding a = {&rows, &row, log, puts, room - size, 0, 0, 0};
    status = rows_begin(&a);
    if (status == SC_OK)
        status = rows_add(&a, 0, made, block, size, &s, change, &deferred);
    if (status == SC_OK)
        status = rows_end(&a, &size);
    if (status != SC_OK)
        return status;
    puts[size] = deferred;
    *at = (size_t)(puts - out) + size + 1;
    return SC_OK;
}
