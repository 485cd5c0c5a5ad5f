/* Changes: one that fills the input, those of a stream of frames, or of frames that may lie outside it. What reads
 * well is written and read again. */
#include "change_columns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    input in = {data, len};
    unsigned mode = take_byte(&in) % 3;
    size_t count = 0, at = 0, frames = 1, changes = 0;
    uint8_t *ids = room_for(in.len + 2);
    uint64_t *starts = numbers(in.len + 2), *ends = numbers(in.len + 2);
    ids[0] = SC_FRAME_CHANGE;
    starts[0] = 0;
    ends[0] = in.len;
    if (mode == 1)
        (void)sc_frames_scan(in.data, in.len, UINT64_MAX, UINT64_MAX, ids, starts, ends, in.len, &frames, &at);
    if (mode == 2) {
        frames = 2;
        for (size_t i = 0; i < frames; i++) {
            ids[i] = SC_FRAME_CHANGE;
            starts[i] = take_byte(&in);
            ends[i] = take_byte(&in);
        }
    }
    for (size_t i = 0; i < frames; i++)
        changes += ids[i] == SC_FRAME_CHANGE;
    sc_changes got = change_columns(changes);
    uint8_t *copy = exact(in.data, in.len);
    sc_status status = sc_changes_decode(copy, in.len, ids, starts, ends, frames, &got, &count, &at);
    REQUIRE(count <= changes && (status != SC_OK || count == changes));
    REQUIRE(at <= in.len || status == SC_BOUNDS);
    change_round(&got, count);
    return free_all();
}
