/* Multibuffers: see scoutcore.h. */
#include "internal.h"

size_t sc_multibuffer_size(const uint64_t *offsets, size_t count, size_t extra)
{
    uint64_t size = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t length = offsets[i + 1] - offsets[i];
        size += extra + varint_size(length) + length;
    }
    return (size_t)size;
}

sc_status sc_multibuffer_pack(const uint8_t *in, size_t len, const uint64_t *offsets, size_t count, size_t extra,
                              uint8_t *out, size_t room, size_t *at)
{
    for (size_t i = 0; i < count; i++) {
        if (!slice_ok(offsets[i], offsets[i + 1], len)) {
            *at = i;
            return SC_BOUNDS;
        }
    }
    size_t end = 0;
    for (size_t i = 0; i < count; i++) {
        size_t length = (size_t)(offsets[i + 1] - offsets[i]);
        size_t left = room - end;
        if (left < extra || left - extra < length || left - extra - length < varint_size(length)) {
            *at = i;
            return SC_ROOM;
        }
        if (extra > 0)
            memset(out + end, 0, extra);
        end += extra;
        end += varint_put(out + end, length);
        copy_slice(out + end, in, (size_t)offsets[i], length);
        end += length;
    }
    *at = end;
    return SC_OK;
}

sc_status sc_multibuffer_unpack(const uint8_t *in, size_t len, size_t extra, uint64_t *starts, uint64_t *ends,
                                size_t room, size_t *count, size_t *at)
{
    size_t done = 0, next = *at;
    sc_status status = SC_OK;
    while (next < len && done < room && extra < len - next) {
        size_t start = next + extra;
        uint64_t length;
        status = varint_get(in, len, &start, &length);
        if (status != SC_OK || length > len - start)
            break;
        next = start + (size_t)length;
        if (starts) {
            starts[done] = start;
            ends[done] = next;
        }
        done++;
    }
    *count = done;
    if (status == SC_VARINT && done == 0) {
        *at = next + extra;
        return SC_VARINT;
    }
    *at = next;
    return SC_OK;
}
