/* Keyframes and intervals in any bytes, against a search written down a second time. */
#include "fuzz.h"

static uint64_t text_at(size_t position, size_t len, const uint8_t *in, const uint8_t *uuid)
{
    return position + SC_MARKER_BYTES <= len && in[position] == 0x11 && in[position + 1] == 2 &&
           same(in + position + 2, uuid, SC_UUID_BYTES);
}

static size_t slow_find(const uint8_t *in, size_t len, size_t at, const uint8_t *uuid)
{
    while (at < len && !text_at(at, len, in, uuid))
        at++;
    return at < len ? at : len;
}

static int slow_interval(const uint8_t *in, size_t len, size_t at, const uint8_t *uuid, size_t *start, size_t *check)
{
    for (*start = slow_find(in, len, at, uuid); *start < len; *start = slow_find(in, len, *start + 1, uuid)) {
        size_t following = slow_find(in, len, *start + SC_MARKER_BYTES, uuid), place = *start + SC_MARKER_BYTES,
               one = 1;
        sc_status status = SC_OK;
        uint8_t id = SC_FRAME_CHANGE, *piece = exact(in, len);
        uint64_t from, to;
        while (one == 1) {
            *check = place;
            status = sc_frames_scan(piece, len, SC_MAX_FRAME, SC_MAX_FRAME, &id, &from, &to, 1, &one, &place);
            if (one == 1 && (id == SC_FRAME_BLOB || place >= following + SC_MARKER_BYTES))
                break;
        }
        if (one == 1 && id == SC_FRAME_BLOB && in[*check] == 0x21 && (place <= following || *check > following))
            return 2;
        if (one == 0 && status == SC_OK && following == len)
            return 1;
    }
    return 0;
}

/* In one call and an interval at a time it must be the same; what is closed is what sc_interval_find finds. */
static void walk(const uint8_t *in, size_t len, const uint8_t *uuid)
{
    uint64_t checks[8], nexts[8], check, following, number = 0, again = 0;
    size_t count = 9, end = 9, at = 0, one, last = 0, place = 0;
    sc_status status = sc_intervals_walk(in, len, uuid, 30, checks, nexts, 8, &count, &number, &end, &at);
    if (status != SC_OK) {
        REQUIRE(at <= len && number == 0);
        return;
    }
    REQUIRE(at <= end && end <= len && count <= 8);
    for (size_t i = 0; i < count; i++) {
        REQUIRE(sc_intervals_walk(in, len, uuid, 30, &check, &following, 1, &one, &again, &last, &place) == SC_OK);
        REQUIRE(one == 1 && check == checks[i] && following == nexts[i] && again == following &&
                place == check + SC_CHECK_BYTES);
    }
    REQUIRE(place == at && (count == 0 || number >= again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    input in = {data, len};
    uint8_t uuid[SC_UUID_BYTES];
    memset(uuid, take_byte(&in), sizeof uuid); /* easy to meet */
    size_t at = take_byte(&in), start = 9, check = 9, end = 9, slow_start = 9, slow_check = 9;
    walk(in.data, in.len, uuid);
    REQUIRE(sc_marker_find(in.data, in.len, at, uuid) == slow_find(in.data, in.len, at, uuid));
    int found = sc_interval_find(in.data, in.len, at, uuid, &start, &check, &end);
    REQUIRE(found == slow_interval(in.data, in.len, at, uuid, &slow_start, &slow_check));
    REQUIRE(found == 0 || start == slow_start);
    REQUIRE(found < 2 || (check == slow_check && end == check + SC_CHECK_BYTES && end <= in.len));
    return free_all();
}
