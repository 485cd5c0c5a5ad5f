/* A changes file laid out by sc_changes_split: each of its intervals is found, from any byte. */
#include "fuzz.h"

static const uint8_t uuid[SC_UUID_BYTES] = {0x11, 2, 0x11, 2, 5};

static size_t put(uint8_t *out, uint64_t size, uint8_t id, uint8_t fill)
{
    size_t at = sc_varint_put(out, size);
    out[at] = id;
    memset(out + at + 1, fill, (size_t)size - 1);
    return at + (size_t)size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    input in = {data, len};
    uint64_t interval = take_byte(&in), fill = 0, ends[64], closing[64], end = 0;
    size_t from = take_byte(&in), count = 0, file = 0, closed = 0, next = 0, keyframe = 0;
    uint8_t *frames = room_for(64 * 300), *out = room_for(64 * (300 + SC_MARKER_BYTES + SC_CHECK_BYTES));
    while (in.len > 0 && count < 64) {
        end += put(frames + end, 1 + take_byte(&in), SC_FRAME_CHANGE, 0x11);
        ends[count++] = end;
    }
    closed = sc_changes_split(ends, count, interval, &fill, closing);
    REQUIRE(closed <= count);

    size_t keyframes[65], checks[65];
    for (size_t i = 0; i < count; i++) {
        uint64_t begin = i > 0 ? ends[i - 1] : 0;
        if (i == 0 || (next > 0 && closing[next - 1] == i - 1)) {
            keyframes[next] = keyframe = file;
            file += put(out + file, 17, SC_FRAME_BLOB, 0);
            memcpy(out + keyframe + 2, uuid, sizeof uuid);
        }
        memcpy(out + file, frames + begin, (size_t)(ends[i] - begin));
        file += (size_t)(ends[i] - begin);
        if (next < closed && closing[next] == i) {
            REQUIRE(file - keyframe >= interval);
            checks[next++] = file;
            file += put(out + file, 33, SC_FRAME_BLOB, 0x11);
        } else {
            REQUIRE(file - keyframe < interval);
        }
    }
    REQUIRE(next == closed);
    uint8_t *whole = exact(out, file);
    size_t start = 9, check = 9, last = 9, want = 0;
    while (want < closed && keyframes[want] < from)
        want++;
    int found = sc_interval_find(whole, file, from, uuid, &start, &check, &last);
    if (want < closed) {
        REQUIRE(found == 2 && start == keyframes[want] && check == checks[want] && last == check + SC_CHECK_BYTES);
    } else {
        REQUIRE(fill > 0 && keyframe >= from ? found == 1 && start == keyframe && fill == file - keyframe : found == 0);
    }
    return free_all();
}
