/* Columns of points for the targets that read and write blocks. */
#include "fuzz.h"

static inline sc_points point_columns(size_t count)
{
    sc_points made = {room_for(count * sizeof(int64_t)),
                      room_for(count),
                      numbers(count),
                      numbers(count),
                      NULL,
                      0,
                      numbers(count),
                      numbers(count)};
    return made;
}

static inline size_t points_in(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count)
{
    size_t texts;
    return sc_blocks_count(in, len, starts, ends, count, &texts);
}

/* sc_blocks_decode, with as much room for texts as is said to be enough. */
static inline sc_status points_of(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                           uint64_t *firsts, int64_t *times, sc_points *points, size_t room, size_t *at)
{
    size_t texts;
    sc_blocks_count(in, len, starts, ends, count, &texts);
    return sc_blocks_decode(in, len, starts, ends, count, firsts, times, points, room, room_for(texts), texts, at);
}

static inline sc_summaries summary_columns(size_t count, size_t texts)
{
    sc_summaries made = {room_for(count * sizeof(int64_t)),
                         numbers(count),
                         room_for(count * sizeof(int64_t)),
                         room_for(count * sizeof(int64_t)),
                         room_for(count),
                         numbers(count),
                         numbers(count),
                         numbers(count),
                         numbers(count),
                         room_for(count),
                         numbers(count),
                         numbers(count),
                         numbers(count),
                         numbers(count),
                         room_for(texts),
                         texts};
    return made;
}

static inline int clock_less(const sc_points *p, size_t a, size_t b)
{
    return p->boot[a] < p->boot[b] || (p->boot[a] == p->boot[b] && p->ms[a] < p->ms[b]);
}

/* Row i of the summaries against the points first..end of its block. */
static inline void summary_check(const sc_summaries *s, size_t i, const sc_points *p, size_t first, size_t end)
{
    size_t with = 0, rises = 1, low = first, high = first;
    for (size_t k = first; k < end; k++) {
        if (!p->clocked[k])
            continue;
        low = with == 0 || clock_less(p, k, low) ? k : low;
        high = with == 0 || clock_less(p, high, k) ? k : high;
        rises &= k == first || clock_less(p, k - 1, k);
        with++;
    }
    REQUIRE(s->counts[i] == end - first && s->first_t[i] == p->t[first] && s->last_t[i] == p->t[end - 1]);
    REQUIRE(s->clocks[i] == (with == 0 ? 0 : with == end - first && rises ? 1 : 2));
    REQUIRE(s->min_boot[i] == p->boot[low] && s->min_ms[i] == p->ms[low]);
    REQUIRE(s->max_boot[i] == p->boot[high] && s->max_ms[i] == p->ms[high]);
    REQUIRE(s->last_clocked[i] == p->clocked[end - 1] && s->last_boot[i] == p->boot[end - 1]);
    size_t size = p->ends[end - 1] - p->starts[end - 1];
    REQUIRE(s->last_ms[i] == p->ms[end - 1] && s->ends[i] - s->starts[i] == size && s->ends[i] <= s->data_len);
    REQUIRE(same(s->data + s->starts[i], p->data + p->starts[end - 1], size));
}

/* The points of blocks as msgpack: as many as there are between from and to, in a room that is said to be enough. */
static inline void msgpack_check(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends,
                                 size_t count, const uint64_t *firsts, const sc_points *p, sc_status want)
{
    static const uint8_t prefix[] = {0x95, 7};
    size_t texts, points = sc_blocks_count(in, len, starts, ends, count, &texts), at = 99, found = 0, ordered = 1;
    size_t room = 5 + texts + points * (32 + sizeof prefix);
    int64_t from = points > 0 && want == SC_OK ? p->t[points / 3] : 0, to = from + (from < 1 ? 99 : 0);
    uint8_t *out = room_for(room);
    sc_status status = sc_blocks_msgpack(in, len, starts, ends, count, from, to, prefix, sizeof prefix, out, room, &at);
    REQUIRE(status == want || (status == SC_OK && at == 0));
    if (want != SC_OK)
        return;
    for (size_t i = 1; i < count; i++)
        ordered &= p->t[firsts[i]] > p->t[firsts[i] - 1];
    REQUIRE(at <= room && (at > 0) == ordered);
    for (size_t k = 0; k < points; k++)
        found += p->t[k] >= from && p->t[k] <= to;
    if (at > 0)
        REQUIRE(sc_msgpack_count(out, at) == found);
}

/* Which blocks share readings with the first, against the points themselves. */
static inline void shared_check(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends,
                                size_t count, const uint64_t *firsts, const sc_points *p, sc_status want)
{
    size_t room = points_in(in, len, starts, ends, count > 0), at = 99;
    sc_clock *scratch = room_for(room * sizeof *scratch);
    uint8_t *shared = room_for(count);
    REQUIRE(sc_blocks_shared(in, len, starts, ends, count, scratch, room, shared, &at) == want);
    for (size_t i = 0; want == SC_OK && i < count; i++) {
        int found = 0;
        for (size_t k = firsts[0]; k < firsts[1]; k++)
            for (size_t j = firsts[i]; j < firsts[i + 1]; j++)
                found |= j != k && p->clocked[j] && p->clocked[k] && p->boot[j] == p->boot[k] && p->ms[j] == p->ms[k];
        REQUIRE(shared[i] == found);
    }
}

/* The numbers of blocks: of points at the same times. */
static inline void numbers_check(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends,
                                 size_t count, const sc_points *p, sc_status want)
{
    size_t found, points = sc_numbers_count(in, len, starts, ends, count, &found);
    sc_numbers got = {room_for(points * sizeof(int64_t)), room_for(points * found * sizeof(double)), points, 0, 0,
                      room_for(found * sizeof(int64_t)), room_for(found), room_for(found)};
    if (points == 0 || !sc_blocks_numbers(in, len, starts, ends, count, &got))
        return;
    REQUIRE(want == SC_OK && same(got.t, p->t, points * sizeof(int64_t)));
}

/* Decodes blocks, and summarizes them: both agree, also in what is wrong. Returns how many points there are. */
static inline size_t blocks_read(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends,
                                 size_t count, uint64_t *firsts, int64_t *times, sc_points *points, sc_status *status)
{
    size_t room = points_in(in, len, starts, ends, count), at = 99, summary_at = 99;
    *points = point_columns(room);
    *status = points_of(in, len, starts, ends, count, firsts, times, points, room, &at);
    msgpack_check(in, len, starts, ends, count, firsts, points, *status);
    shared_check(in, len, starts, ends, count, firsts, points, *status);
    numbers_check(in, len, starts, ends, count, points, *status);
    sc_summaries summaries = summary_columns(count, sc_lasts_size(in, len, starts, ends, count));
    REQUIRE(sc_blocks_summarize(in, len, starts, ends, count, &summaries, &summary_at) == *status);
    if (*status != SC_OK) {
        REQUIRE(*status != SC_ROOM && at == summary_at && at <= (*status == SC_BOUNDS ? count : len));
        return 0;
    }
    REQUIRE(firsts[count] == room && firsts[0] == 0);
    for (size_t i = 0; i < count; i++) {
        REQUIRE(summaries.write_times[i] == times[i]);
        summary_check(&summaries, i, points, firsts[i], firsts[i + 1]);
    }
    for (size_t k = 0; k < room; k++)
        REQUIRE(points->starts[k] < points->ends[k] && points->ends[k] <= points->data_len);
    return room;
}

static inline sc_blocks blocks_for(size_t count)
{
    sc_blocks made = {numbers(count + 1),
                      room_for(count * sizeof(uint32_t)),
                      numbers(count + 1),
                      room_for(count * sizeof(uint32_t)),
                      room_for((2 * count + 1) * sizeof(uint32_t)),
                      room_for(sizeof(sc_columns)),
                      0};
    return made;
}

/* Appends good points to rows without records: the changes, and what is put for them, as calls of their own make them. */
static inline void append_check(const sc_points *points, sc_blocks *b, const uint8_t *in, int64_t write_time)
{
    uint32_t rows_of_them = 0, from = 0;
    for (size_t i = 0; i < b->count; i++)
        rows_of_them = b->series[i] + 1;
    sc_rows rows = {.count = rows_of_them, .keys = in, .uuids = exact((const uint8_t *)"0123456789abcdef", 16), .logs = 1};
    uint64_t *none = numbers(rows.count + 1), *six = numbers(b->count), *keys = numbers(b->count + 1);
    memset(none, 0, (rows.count + 1) * sizeof *none);
    rows.key_starts = rows.key_ends = rows.suffix_starts = rows.suffix_ends = rows.record_starts = rows.record_ends = none;
    size_t at = 99, frames, room = sc_append_size(points, b, &rows, &frames), end = 0;
    sc_row *scratch = room_for(rows.count * sizeof *scratch);
    uint64_t *recent = numbers(rows.count * SC_RECENT);
    sc_append to = {0,
                    7,
                    UINT32_MAX,
                    room_for(frames),
                    frames,
                    numbers(b->count),
                    numbers(b->count),
                    room_for(b->count),
                    room_for(room),
                    room,
                    scratch,
                    recent};
    REQUIRE(sc_blocks_append(points, b, in, write_time, &rows, &to, &at) == SC_OK && at <= room);

    uint32_t *change = room_for(b->count * 4), *before = room_for(b->count * 4), *after = room_for(b->count * 4);
    memset(keys, 0, (b->count + 1) * sizeof *keys);
    for (size_t i = 0; i < b->count; i++) {
        from = i > 0 && b->series[i] == b->series[i - 1] ? after[i - 1] : 0;
        change[i] = 7 + (uint32_t)i;
        before[i] = from;
        after[i] = from + (uint32_t)(b->firsts[i + 1] - b->firsts[i]);
        six[i] = 6;
    }
    sc_changes c = {(const uint8_t *)"sensor", 6, keys, six, NULL, 0, keys, keys, in, (size_t)b->offsets[b->count],
                    b->offsets, b->offsets + 1, change, before, after};
    uint8_t *out = room_for(frames), *deferred = room_for(b->count), *puts = room_for(room);
    uint64_t *starts = numbers(b->count), *ends = numbers(b->count);
    REQUIRE(sc_changes_encode(&c, b->count, SC_MAX_FRAME, out, frames, ends, &end) == SC_OK);
    for (size_t i = 0; i < b->count; i++)
        starts[i] = ends[i] - (b->offsets[i + 1] - b->offsets[i]);
    REQUIRE(same(out, to.frames, end) && same(ends, to.ends, b->count * 8) && same(starts, to.starts, b->count * 8));
    sc_summaries s = summary_columns(b->count, sc_lasts_size(out, end, starts, ends, b->count));
    REQUIRE(sc_blocks_summarize(out, end, starts, ends, b->count, &s, &end) == SC_OK);
    REQUIRE(sc_rows_add(&rows, out, frames, starts, ends, &s, b->series, change, after, b->count, 0, scratch, recent,
                        deferred, puts, room, &end) == SC_OK);
    REQUIRE(end == at && same(puts, to.out, at) && same(deferred, to.deferred, b->count));
    to.limit = 6 + (uint32_t)b->count;
    for (size_t i = 0; i < b->count; i++)
        to.limit = to.limit < after[i] ? after[i] : to.limit;
    REQUIRE(sc_blocks_append(points, b, in, write_time, &rows, &to, &end) == SC_OK && end == at);
    to.limit--;
    REQUIRE(b->count == 0 || sc_blocks_append(points, b, in, write_time, &rows, &to, &end) == SC_LIMIT);
}

/* Encodes good points, reads them back and compares. */
static inline void blocks_round(const sc_points *points, const uint32_t *series, size_t count, int64_t write_time,
                                size_t max_points, size_t max_bytes)
{
    sc_blocks b = blocks_for(count);
    size_t size = sc_blocks_size(points, count), end = 0;
    uint8_t *out = room_for(size);
    REQUIRE(sc_blocks_encode(points, series, count, write_time, max_points, max_bytes, &b, out, size, &end) == SC_OK);
    REQUIRE(end <= size && b.offsets[b.count] == end && b.firsts[b.count] == count && b.count <= count);

    sc_points got;
    sc_status status;
    uint64_t *firsts = numbers(b.count + 1);
    int64_t *times = room_for(b.count * sizeof *times);
    REQUIRE(blocks_read(out, end, b.offsets, b.offsets + 1, b.count, firsts, times, &got, &status) == count);
    REQUIRE(status == SC_OK && same(firsts, b.firsts, (b.count + 1) * sizeof *firsts));
    for (size_t i = 0; i < b.count; i++) {
        REQUIRE(times[i] == write_time && firsts[i + 1] - firsts[i] <= (max_points > 0 ? max_points : 1));
        REQUIRE(b.offsets[i + 1] - b.offsets[i] <= max_bytes || firsts[i + 1] - firsts[i] == 1);
        REQUIRE(i == 0 || b.series[i] - b.series[i - 1] <= 1);
        for (size_t k = firsts[i]; k < firsts[i + 1]; k++) {
            size_t row = b.order[k], before = k > 0 ? b.order[k - 1] : row;
            REQUIRE(series[row] == b.series[i] && got.t[k] == points->t[row]);
            REQUIRE(k == 0 || series[before] < series[row] || points->t[before] < points->t[row] ||
                    (points->t[before] == points->t[row] && before < row));
            REQUIRE(got.clocked[k] == (points->clocked[row] != 0));
            REQUIRE(got.boot[k] == (got.clocked[k] ? points->boot[row] : 0));
            REQUIRE(got.ms[k] == (got.clocked[k] ? points->ms[row] : 0));
            REQUIRE(got.ends[k] - got.starts[k] == points->ends[row] - points->starts[row]);
            REQUIRE(same(got.data + got.starts[k], points->data + points->starts[row], got.ends[k] - got.starts[k]));
        }
    }
    append_check(points, &b, out, write_time);
    if (end > 0) {
        size_t at = 99;
        uint8_t *less = room_for(end - 1);
        REQUIRE(sc_blocks_encode(points, series, count, write_time, max_points, max_bytes, &b, less, end - 1, &at) ==
                SC_ROOM);
        REQUIRE(at < count);
    }
}
