/* The latest readings of a row, beside a plain list of numbers. */
#include "check.h"

#include "../recent.h"

/* Readings of these ms, in their order. */
static sc_clock *readings_of(const uint64_t *ms, size_t count)
{
    sc_clock *readings = room_for(count * sizeof *readings);
    for (size_t i = 0; i < count; i++) {
        readings[i] = (sc_clock){ms[i], i};
    }
    return readings;
}

static sc_row row_of(uint64_t from, const uint64_t *ms, size_t count)
{
    sc_row row = {0};
    row.kept = 1;
    row.from = from;
    row.max_ms = count > 0 ? ms[count - 1] : from;
    row.recent = numbers(SC_RECENT);
    row.recents = count;
    if (count > 0) {
        memcpy(row.recent, ms, count * sizeof *ms);
    }
    return row;
}

/* What is put is read as it was. */
static bytes put(const sc_row *row)
{
    uint8_t *out = room_for(RECENT_BYTES);
    bytes made = exact(out, recent_put(out, row));
    sc_row again = {0};
    again.recent = numbers(SC_RECENT);
    CHECK(recent_read(&again, made.data, made.len));
    EQUAL(again.kept, made.len > 0);
    for (size_t cut = 1; cut < made.len; cut++) {
        sc_row part = {0};
        part.recent = numbers(SC_RECENT);
        CHECK(!recent_read(&part, exact(made.data, cut).data, cut));
    }
    if (again.recents > 0) {
        EQUAL(again.from, row->from);
        EQUAL(again.recents, row->recents);
        CHECK(memcmp(again.recent, row->recent, row->recents * sizeof *row->recent) == 0);
    }
    return made;
}

static void columns(void)
{
    uint64_t ms[SC_RECENT];
    for (unsigned width = 2; width <= 56; width += 6) {
        ms[0] = 1000;
        for (size_t i = 1; i < 9; i++) {
            ms[i] = ms[i - 1] + 1 + random_number() % (UINT64_C(1) << (width - 2));
        }
        about("columns of every width");
        sc_row row = row_of(7, ms, 9);
        CHECK(put(&row).len > 3);
    }
    about("as wide and as many as they may be");
    for (size_t i = 0; i < SC_RECENT; i++) {
        ms[i] = i;
    }
    ms[SC_RECENT - 1] = UINT64_C(1) << 55;
    sc_row row = row_of(0, ms, SC_RECENT);
    CHECK(put(&row).len > 3);

    about("too far apart: from behind the greatest on");
    uint64_t apart[] = {0, 1, UINT64_C(1) << 60, (UINT64_C(1) << 60) + 2};
    row = row_of(0, apart, 4);
    bytes none = put(&row);
    SAME(none.data, none.len, hex("83 80 80 80 80 80 80 80 10 00"));
    about("and nothing, where nothing is behind it");
    row.max_ms = UINT64_MAX;
    EQUAL(put(&row).len, 0);

    about("a column of numbers themselves, not of their differences");
    EQUAL(recent_read(&row, hex("00 02 08 00 05 09").data, 6), true);
    EQUAL(row.recents, 2);
    EQUAL(row.recent[0], 5);
    EQUAL(row.recent[1], 9);

    about("no number follows, or one that is no varint");
    EQUAL(recent_read(&row, hex("05").data, 1), false);
    EQUAL(recent_read(&row, hex("05 80").data, 2), false);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* recent_has and recent_add, as a list that is sorted says: the greatest SC_RECENT of both, each once. */
static void adds(size_t old_count, size_t new_count, uint64_t range)
{
    uint64_t olds[SC_RECENT], *news = numbers(new_count + 1), *all = numbers(old_count + new_count + 1); /* never null */
    uint64_t from = 100;
    for (size_t i = 0; i < old_count; i++) {
        olds[i] = (i == 0 ? from : olds[i - 1]) + 1 + random_number() % range;
    }
    for (size_t i = 0; i < new_count; i++) {
        news[i] = 90 + random_number() % (range * (new_count + 1));
    }
    qsort(news, new_count, sizeof *news, by_value);
    sc_row row = row_of(from, olds, old_count);
    const sc_clock *readings = readings_of(news, new_count);

    bool heard = false;
    size_t count = 0, distinct = 0;
    for (size_t i = 0; i < new_count; i++) {
        heard = heard || (old_count > 0 && bsearch(&news[i], olds, old_count, sizeof *olds, by_value));
    }
    EQUAL(recent_has(&row, readings, new_count), heard);
    for (size_t i = 0; i < old_count; i++) {
        all[count++] = olds[i];
    }
    for (size_t i = 0; i < new_count; i++) {
        if (news[i] >= from) {
            all[count++] = news[i];
        }
    }
    qsort(all, count, sizeof *all, by_value);
    for (size_t i = 0; i < count; i++) {
        if (distinct == 0 || all[i] != all[distinct - 1]) {
            all[distinct++] = all[i];
        }
    }
    size_t skipped = distinct > SC_RECENT ? distinct - SC_RECENT : 0;
    recent_add(&row, readings, new_count);
    EQUAL(row.recents, distinct - skipped);
    EQUAL(row.from, skipped > 0 ? all[skipped] : from);
    CHECK(row.recents == 0 || memcmp(row.recent, all + skipped, row.recents * sizeof *all) == 0);
    EQUAL(recent_has(&row, readings, new_count), new_count > 0 && news[new_count - 1] >= row.from);
}

void test_recent(void)
{
    columns();
    static const size_t olds[] = {0, 1, 3, 300, SC_RECENT - 1, SC_RECENT}, news[] = {0, 1, 2, 300, SC_MAX_COLUMN};
    for (size_t i = 0; i < COUNT(olds); i++) {
        for (size_t k = 0; k < COUNT(news); k++) {
            for (uint64_t range = 1; range <= 64; range *= 4) {
                about("readings that are added");
                adds(olds[i], news[k], range);
            }
        }
    }
}
