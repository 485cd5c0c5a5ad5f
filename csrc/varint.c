/* Varints: see scoutcore.h. */
#include "internal.h"

size_t sc_varint_size(uint64_t value)
{
    return varint_size(value);
}

size_t sc_varint_put(uint8_t *out, uint64_t value)
{
    return varint_put(out, value);
}

sc_status sc_varint_get(const uint8_t *in, size_t len, size_t *at, uint64_t *value)
{
    uint64_t result = 0;
    unsigned shift = 0;
    for (size_t i = *at; i < len; i++) {
        uint8_t byte = in[i];
        /* The 10th byte holds the 64th bit alone; being below 0x80 it is also the last one read. */
        if (shift == 63 && byte > 1)
            return SC_VARINT;
        result |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = result;
            *at = i + 1;
            return SC_OK;
        }
        shift += 7;
    }
    return SC_TRUNCATED;
}

uint64_t sc_zigzag(int64_t value)
{
    return zigzag((uint64_t)value);
}

int64_t sc_unzigzag(uint64_t value)
{
    return (int64_t)unzigzag(value);
}

size_t sc_varints_size(const uint64_t *values, size_t count, int zigzagged)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += varint_size(zigzagged ? zigzag(values[i]) : values[i]);
    return size;
}

sc_status sc_varints_encode(const uint64_t *values, size_t count, int zigzagged, uint8_t *out, size_t room, size_t *at)
{
    size_t end = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t value = zigzagged ? zigzag(values[i]) : values[i];
        if (room - end < SC_VARINT_BYTES && room - end < varint_size(value)) {
            *at = i;
            return SC_ROOM;
        }
        end += varint_put(out + end, value);
    }
    *at = end;
    return SC_OK;
}

size_t sc_varints_count(const uint8_t *in, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += in[i] < 0x80;
    return count;
}

sc_status sc_varints_decode(const uint8_t *in, size_t len, int zigzagged, uint64_t *values, size_t room, size_t *count,
                            size_t *at)
{
    size_t done = 0, offset = 0;
    sc_status status = SC_OK;
    while (offset < len) {
        uint64_t value;
        status = varint_get(in, len, &offset, &value);
        if (status != SC_OK)
            break;
        if (done == room) {
            status = SC_ROOM;
            break;
        }
        values[done++] = zigzagged ? unzigzag(value) : value;
    }
    *count = done;
    *at = offset;
    return status;
}
