/* Frames: see scoutcore.h. */
#include "internal.h"

sc_status sc_frames_scan(const uint8_t *in, size_t len, uint64_t max_change, uint64_t max_blob, uint8_t *ids,
                         uint64_t *starts, uint64_t *ends, size_t room, size_t *count, size_t *at)
{
    size_t done = 0, next = *at;
    sc_status status = SC_OK;
    while (next < len && done < room) {
        frame found;
        status = frame_read(in, len, next, max_change, max_blob, &found);
        if (status != SC_OK)
            break;
        if (ids) {
            ids[done] = found.id;
            starts[done] = found.start;
            ends[done] = found.end;
        }
        next = found.end;
        done++;
    }
    *count = done;
    *at = next;
    /* What is wrong behind others waits for the call that begins there: its caller has had the others by then. */
    return done > 0 || status == SC_TRUNCATED ? SC_OK : status;
}
