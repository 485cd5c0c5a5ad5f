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
