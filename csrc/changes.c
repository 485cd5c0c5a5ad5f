/* The layout of changes files: see scoutcore.h. */
#include "internal.h"

#define MARKER_LENGTH 0x11 /* a uuid frame's length varint */
#define CHECK_LENGTH 0x21  /* a check frame's */

size_t sc_changes_split(const uint64_t *ends, size_t count, uint64_t interval, uint64_t *fill, uint64_t *closing)
{
    size_t closed = 0;
    uint64_t begin = 0;
    for (size_t i = 0; i < count; i++) {
        if (*fill == 0)
            *fill = SC_MARKER_BYTES;
        *fill += ends[i] - begin;
        begin = ends[i];
        if (*fill >= interval) {
            closing[closed++] = i;
            *fill = 0;
        }
    }
    return closed;
}

size_t sc_marker_find(const uint8_t *in, size_t len, size_t at, const uint8_t uuid[SC_UUID_BYTES])
{
    while (at < len && len - at >= SC_MARKER_BYTES) {
        const uint8_t *hit = memchr(in + at, MARKER_LENGTH, len - at - SC_MARKER_BYTES + 1);
        if (!hit)
            break;
        if (hit[1] == SC_FRAME_BLOB && memcmp(hit + 2, uuid, SC_UUID_BYTES) == 0)
            return (size_t)(hit - in);
        at = (size_t)(hit - in) + 1;
    }
    return len;
}

/* Whether whole frames stand from in[at] up to a check frame: 2, and *at is that frame; 1: in ends before; 0: no.
 * No frame holds the bytes of the following keyframe; but a frame's last bytes and the check behind it may read as one. */
static int interval_read(const uint8_t *in, size_t len, size_t following, size_t *at)
{
    while (*at < len) {
        frame found;
        sc_status status = frame_read(in, len, *at, SC_MAX_FRAME, SC_MAX_FRAME, &found);
        if (status != SC_OK)
            return status == SC_TRUNCATED;
        if (found.id == SC_FRAME_BLOB)
            return in[*at] == CHECK_LENGTH && (found.end <= following || *at > following) ? 2 : 0;
        if (found.end >= following + SC_MARKER_BYTES)
            return 0;
        *at = found.end;
    }
    return 1;
}

int sc_interval_find(const uint8_t *in, size_t len, size_t at, const uint8_t uuid[SC_UUID_BYTES], size_t *start,
                     size_t *check, size_t *end)
{
    size_t keyframe = sc_marker_find(in, len, at, uuid);
    while (keyframe < len) {
        size_t position = keyframe + SC_MARKER_BYTES;
        size_t following = sc_marker_find(in, len, position, uuid);
        int found = interval_read(in, len, following, &position);
        if (found == 2 || (found == 1 && following == len)) {
            *start = keyframe;
            *check = position;
            *end = position + SC_CHECK_BYTES;
            return found;
        }
        keyframe = following;
    }
    return 0;
}

/* What stands in in[at] for bytes of a frame: SC_OK, SC_TRUNCATED where in ends first, or wrong. */
static sc_status blob_expect(const uint8_t *in, size_t len, size_t at, const uint8_t *head, size_t head_len, size_t size,
                             sc_status wrong)
{
    size_t there = len - at < head_len ? len - at : head_len;
    if (there > 0 && memcmp(in + at, head, there) != 0)
        return wrong;
    return len - at < size ? SC_TRUNCATED : SC_OK;
}

/* The interval at in[*at] up to its check: *at is that, *next the number behind its last change. SC_TRUNCATED: in ends
 * before that is whole, *at is behind the last whole frame. */
static sc_status interval_walk(const uint8_t *in, size_t len, const uint8_t marker[SC_MARKER_BYTES], uint64_t interval,
                               uint64_t *next, size_t *at)
{
    static const uint8_t check[2] = {CHECK_LENGTH, SC_FRAME_BLOB};
    size_t start = *at;
    sc_status status = blob_expect(in, len, start, marker, SC_MARKER_BYTES, SC_MARKER_BYTES, SC_KEYFRAME);
    if (status != SC_OK)
        return status;
    *at += SC_MARKER_BYTES;
    do {
        if (*at == len)
            return SC_TRUNCATED;
        frame found;
        status = frame_read(in, len, *at, SC_MAX_FRAME, SC_MAX_FRAME, &found);
        if (status != SC_OK)
            return status;
        if (found.id != SC_FRAME_CHANGE)
            return SC_INTERVAL;
        uint32_t number = 0;
        size_t wrong;
        status = sc_change_number(in, found.start, found.end, &number, &wrong);
        if (status != SC_OK) {
            *at = wrong;
            return status;
        }
        if (*next != 0 && number != *next)
            return SC_ORDER;
        *next = (uint64_t)number + 1;
        *at = found.end;
    } while (*at - start < interval);
    return blob_expect(in, len, *at, check, sizeof check, SC_CHECK_BYTES, SC_INTERVAL);
}

sc_status sc_intervals_walk(const uint8_t *in, size_t len, const uint8_t uuid[SC_UUID_BYTES], uint64_t interval,
                            uint64_t *checks, uint64_t *nexts, size_t room, size_t *count, uint64_t *next, size_t *end,
                            size_t *at)
{
    uint8_t marker[SC_MARKER_BYTES] = {MARKER_LENGTH, SC_FRAME_BLOB};
    memcpy(marker + 2, uuid, SC_UUID_BYTES);
    sc_status status = SC_OK;
    size_t start = *at, place = start;
    uint64_t number = *next;
    for (*count = 0; place < len && *count < room; ++*count) {
        status = interval_walk(in, len, marker, interval, &number, &place);
        if (status != SC_OK)
            break;
        checks[*count] = place;
        nexts[*count] = number;
        *next = number;
        place += SC_CHECK_BYTES;
        start = place;
    }
    if (status == SC_OK || status == SC_TRUNCATED) {
        *next = number;
        *end = place;
        *at = start;
        return SC_OK;
    }
    *end = start;
    *at = *count > 0 ? start : place;
    /* What is wrong behind others waits for the call that begins there. */
    return *count > 0 ? SC_OK : status;
}
