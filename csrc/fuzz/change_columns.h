/* Columns of changes for the two targets of change.c. */
#include "fuzz.h"

static inline sc_changes change_columns(size_t count)
{
    sc_changes made = {NULL,
                       0,
                       numbers(count),
                       numbers(count),
                       NULL,
                       0,
                       numbers(count),
                       numbers(count),
                       NULL,
                       0,
                       numbers(count),
                       numbers(count),
                       NULL,
                       NULL,
                       NULL};
    made.change = room_for(count * sizeof(uint32_t));
    made.from = room_for(count * sizeof(uint32_t));
    made.to = room_for(count * sizeof(uint32_t));
    return made;
}

static inline int text_same(const uint8_t *a, uint64_t a_start, uint64_t a_end, const uint8_t *b, uint64_t b_start,
                            uint64_t b_end)
{
    if (a_start == SC_ABSENT || b_start == SC_ABSENT)
        return a_start == b_start && a_end == SC_ABSENT && b_end == SC_ABSENT;
    return a_end - a_start == b_end - b_start && same(a + a_start, b + b_start, a_end - a_start);
}

/* Encodes `count` rows, reads them back and compares; an empty subset comes back as none. */
static inline void change_round(const sc_changes *want, size_t count)
{
    size_t size = sc_changes_size(want, count), at = 0, found = 0, end;
    uint8_t *out = room_for(size), *ids = room_for(count);
    uint64_t *frame_ends = numbers(count), *starts = numbers(count), *ends = numbers(count);
    REQUIRE(sc_changes_encode(want, count, UINT64_MAX, out, size, frame_ends, &end) == SC_OK && end <= size);
    REQUIRE(sc_frames_scan(out, end, UINT64_MAX, 0, ids, starts, ends, count, &found, &at) == SC_OK);
    REQUIRE(found == count && at == end && same(ends, frame_ends, count * sizeof *ends));
    sc_changes got = change_columns(count);
    REQUIRE(sc_changes_decode(out, end, ids, starts, ends, count, &got, &found, &at) == SC_OK && found == count);
    for (size_t i = 0; i < count; i++) {
        uint64_t start = want->subset_starts[i], last = want->subset_ends[i];
        if (start == last)
            start = last = SC_ABSENT;
        REQUIRE(text_same(want->subset_data, start, last, out, got.subset_starts[i], got.subset_ends[i]));
        REQUIRE(
            text_same(want->key_data, want->key_starts[i], want->key_ends[i], out, got.key_starts[i], got.key_ends[i]));
        REQUIRE(text_same(want->value_data, want->value_starts[i], want->value_ends[i], out, got.value_starts[i],
                          got.value_ends[i]));
        REQUIRE(got.change[i] == want->change[i] && got.from[i] == want->from[i] && got.to[i] == want->to[i]);
    }
    if (size > 0 && end > 0) {
        uint8_t *less = room_for(end - 1);
        REQUIRE(sc_changes_encode(want, count, UINT64_MAX, less, end - 1, frame_ends, &at) == SC_ROOM);
        REQUIRE(at == count - 1);
    }
}
