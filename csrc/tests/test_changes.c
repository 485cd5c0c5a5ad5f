#include "check.h"

/* ---- where intervals are closed ---- */

static void split(void)
{
    static const uint64_t ends[] = {10, 82, 100, 181, 182, 500};
    static const struct {
        size_t count;
        uint64_t interval, before, after;
        size_t closed;
        uint64_t closing[6];
    } cases[] = {
        {0, 100, 0, 0, 0, {0}},
        {0, 100, 77, 77, 0, {0}},
        {1, 100, 0, 28, 0, {0}},
        {1, 28, 0, 0, 1, {0}},
        {1, 29, 0, 28, 0, {0}},
        {1, 100, 90, 0, 1, {0}},
        {1, 100, 89, 99, 0, {0}},
        {6, 100, 0, 0, 3, {1, 3, 5}}, /* 18 + 82 bytes; 18 + 18 + 81; 18 + 1 + 318 */
        {6, 1, 0, 0, 6, {0, 1, 2, 3, 4, 5}},
        {6, 0, 0, 0, 6, {0, 1, 2, 3, 4, 5}},
        {6, 519, 0, 518, 0, {0}},
        {6, 518, 0, 0, 1, {5}},
        {6, UINT64_MAX, 1, 501, 0, {0}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t fill = cases[i].before, *closing = numbers(cases[i].count);
        about("split");
        size_t closed = sc_changes_split(ends, cases[i].count, cases[i].interval, &fill, closing);
        EQUAL(closed, cases[i].closed);
        EQUAL(fill, cases[i].after);
        SAME((uint8_t *)closing, closed * sizeof *closing, exact(cases[i].closing, closed * sizeof *closing));
    }
    about("split: nothing given");
    uint64_t fill = 0;
    EQUAL(sc_changes_split(NULL, 0, 100, &fill, NULL), 0);
    EQUAL(fill, 0);
}

/* A batch split at once and frame by frame gives the same layout. */
static void split_in_parts(void)
{
    enum { MANY = 500 };
    uint64_t ends[MANY], whole[MANY], fill = 0, part_fill = 0, at = 0;
    for (size_t i = 0; i < MANY; i++) {
        ends[i] = at += 1 + random_number() % 300;
    }
    size_t closed = sc_changes_split(ends, MANY, 1000, &fill, whole), met = 0;
    about("split in parts");
    CHECK(closed > 10);
    for (size_t i = 0; i < MANY; i++) {
        uint64_t one = i > 0 ? ends[i] - ends[i - 1] : ends[i], first = 9;
        if (sc_changes_split(&one, 1, 1000, &part_fill, &first) == 1) {
            EQUAL(first, 0);
            EQUAL(whole[met], i);
            EQUAL(part_fill, 0);
            met++;
        }
    }
    EQUAL(met, closed);
    EQUAL(part_fill, fill);
}

/* ---- finding keyframes ---- */

static bytes uuid_of(uint8_t first)
{
    bytes uuid = repeat(0x40, SC_UUID_BYTES);
    uuid.data[0] = first;
    return uuid;
}

static bytes marker(bytes uuid) { return join(hex("11 02"), uuid); }

static void marker_find(void)
{
    bytes uuid = uuid_of(1), key = marker(uuid);
    for (size_t before = 0; before < 40; before++) {
        bytes in = join(repeat(0x11, before), key);
        about("a keyframe at the end");
        for (size_t at = 0; at <= in.len + 1; at++) {
            EQUAL(sc_marker_find(in.data, in.len, at, uuid.data), at <= before ? before : in.len);
        }
        about("a keyframe cut at every byte");
        for (size_t cut = 0; cut < in.len; cut++) {
            bytes part = exact(in.data, cut);
            EQUAL(sc_marker_find(part.data, cut, 0, uuid.data), cut);
        }
    }
    about("the first of two");
    bytes two = join(key, key);
    EQUAL(sc_marker_find(two.data, two.len, 0, uuid.data), 0);
    EQUAL(sc_marker_find(two.data, two.len, 1, uuid.data), 18);
    about("one that overlaps itself");
    bytes like = hex("11 02 11 02 11 02 11 02 11 02 11 02 11 02 11 02"), in = join(marker(like), hex("11 02"));
    EQUAL(sc_marker_find(in.data, in.len, 0, like.data), 0);
    EQUAL(sc_marker_find(in.data, in.len, 1, like.data), 2);
    EQUAL(sc_marker_find(in.data, in.len, 3, like.data), in.len);
    about("every byte of it counts");
    for (size_t i = 0; i < key.len; i++) {
        bytes other = exact(key.data, key.len);
        other.data[i] ^= 1;
        EQUAL(sc_marker_find(other.data, other.len, 0, uuid.data), other.len);
    }
    about("no bytes");
    EQUAL(sc_marker_find(NULL, 0, 0, uuid.data), 0);
    EQUAL(sc_marker_find(NULL, 0, 5, uuid.data), 0);
}

/* ---- finding intervals ---- */

static void found(const char *what, bytes in, size_t from, int want, size_t start, size_t check)
{
    size_t got[3] = {99, 99, 99};
    about(what);
    EQUAL(sc_interval_find(in.data, in.len, from, uuid_of(1).data, &got[0], &got[1], &got[2]), want);
    if (want > 0) {
        EQUAL(got[0], start);
    }
    if (want == 2) {
        EQUAL(got[1], check);
        EQUAL(got[2], check + SC_CHECK_BYTES);
    }
}

static void interval_find(void)
{
    bytes key = marker(uuid_of(1)), frame = hex("03 01 61 62"), digests = repeat(0x33, 32);
    bytes check = join(hex("21 02"), digests), body = join(frame, frame);
    bytes whole = join(join(key, body), check); /* 18 + 8 + 34 = 60 */

    found("an interval", whole, 0, 2, 0, 26);
    found("an interval without changes", join(key, check), 0, 2, 0, 18);
    found("behind its beginning", whole, 1, 0, 0, 0);
    found("the next interval", join(whole, whole), 1, 2, 60, 86);
    found("bytes before it", join(repeat(0x21, 9), whole), 0, 2, 9, 35);
    found("another log's before it", join(join(marker(uuid_of(2)), join(body, check)), whole), 0, 2, 60, 86);
    found("another log's keyframe within is a blob of the wrong size", join(join(key, marker(uuid_of(2))), check), 0, 0,
          0, 0);

    about("an interval cut at every byte");
    for (size_t cut = 0; cut < whole.len; cut++) {
        found("an interval cut at every byte", exact(whole.data, cut), 0, cut < 18 ? 0 : 1, 0, 0);
        found("an interval cut, and the next", join(exact(whole.data, cut), whole), 0, 2, cut, cut + 26);
    }
    found("a length that reaches over the next keyframe", join(join(key, hex("ff 7f 01")), whole), 0, 2, 21, 47);
    found("a length that reaches over the end", join(key, hex("ff 7f 01")), 0, 1, 0, 0);

    static const char *const damages[] = {"00", "01 00", "05 03", "ff ff ff ff ff ff ff ff ff 02", "ff ff ff ff 01 01"};
    for (size_t i = 0; i < COUNT(damages); i++) {
        bytes damaged = join(join(key, frame), hex(damages[i]));
        found(damages[i], join(damaged, check), 0, 0, 0, 0);
        found(damages[i], join(damaged, whole), 0, 2, damaged.len, damaged.len + 26);
    }
    static const char *const blobs[] = {"01 02", "02 02 33", "a1 00 02"}; /* the last: a check of 35 bytes, not 34 */
    for (size_t i = 0; i < COUNT(blobs); i++) {
        found(blobs[i], join(join(key, hex(blobs[i])), check), 0, 0, 0, 0);
    }
    found("a blob of a check's size that is none", join(join(key, hex("a0 00 02")), join(repeat(0, 31), check)), 0, 0,
          0, 0);
    found("a frame of 4 MiB", join(key, join(join(hex("80 80 80 02 01"), repeat(0, SC_MAX_FRAME - 1)), check)), 0, 2, 0,
          18 + 4 + SC_MAX_FRAME);
    found("a frame of 4 MiB and a byte", join(key, join(join(hex("81 80 80 02 01"), repeat(0, SC_MAX_FRAME)), check)),
          0, 0, 0, 0);
    found("a frame that holds the whole of the next keyframe", join(join(key, join(hex("15 01 00 00"), key)), check), 0, 2,
          22, 40);
    bytes like = uuid_of(1);
    like.data[14] = 0x21;
    like.data[15] = 0x02;
    bytes held = join(hex("11 01"), exact(marker(like).data, 16)), odd = join(marker(like), join(held, check));
    size_t got[3] = {99, 99, 99};
    about("a frame's last bytes and the check behind it read as a keyframe");
    EQUAL(sc_interval_find(odd.data, odd.len, 0, like.data, &got[0], &got[1], &got[2]), 2);
    EQUAL(got[0], 0);
    EQUAL(got[1], 36);
    EQUAL(got[2], odd.len);
    found("no bytes", (bytes){NULL, 0}, 0, 0, 0, 0);
    found("from behind the end", whole, whole.len + 1, 0, 0, 0);
}

/* What sc_intervals_walk says of in, intervals being closed at 40 bytes: its status, and the rest where that is given. */
static void walked(const char *what, bytes in, uint64_t number, sc_status want, size_t closed, size_t at, uint64_t next)
{
    about(what);
    uint64_t checks[4] = {0}, nexts[4] = {0};
    size_t count = 9, end = 9, place = 0;
    EQUAL(sc_intervals_walk(in.data, in.len, uuid_of(1).data, 40, checks, nexts, 4, &count, &number, &end, &place), want);
    EQUAL(place, at);
    if (want == SC_OK) {
        EQUAL(count, closed);
        EQUAL(number, next);
        EQUAL(place <= end && end <= in.len, true);
    }
    for (size_t i = 0; i < closed; i++) {
        EQUAL(checks[i], 40 + 74 * i);
        EQUAL(nexts[i], 3 + 2 * i);
    }
}

static void intervals_walk(void)
{
    bytes key = marker(uuid_of(1)), check = join(hex("21 02"), repeat(0x33, 32));
    bytes one = hex("0a 01 12 01 6b 18 01 20 00 28 01"), two = hex("0a 01 12 01 6b 18 02 20 00 28 01");
    bytes three = hex("0a 01 12 01 6b 18 03 20 00 28 01"), four = hex("0a 01 12 01 6b 18 04 20 00 28 01");
    bytes open = join(key, join(one, two)), whole = join(open, check);
    bytes second = join(key, join(three, join(four, check)));

    walked("no bytes", (bytes){NULL, 0}, 7, SC_OK, 0, 0, 7);
    walked("an interval", whole, 1, SC_OK, 1, 74, 3);
    walked("two", join(whole, second), 0, SC_OK, 2, 148, 5);
    about("cut at every byte");
    for (size_t cut = 0; cut < whole.len; cut++) {
        walked("cut at every byte", exact(whole.data, cut), 1, SC_OK, 0, 0, cut < 29 ? 1 : cut < 40 ? 2 : 3);
        walked("the second cut", join(whole, exact(second.data, cut)), 1, SC_OK, 1, 74,
               cut < 29 ? 3 : cut < 40 ? 4 : 5);
    }
    walked("cut in the length of a frame", join(key, hex("80")), 7, SC_OK, 0, 0, 7);
    walked("another log's", join(marker(uuid_of(2)), one), 0, SC_KEYFRAME, 0, 0, 0);
    walked("another number", whole, 2, SC_ORDER, 0, 18, 0);
    walked("a number left out", join(key, join(one, three)), 1, SC_ORDER, 0, 29, 0);
    walked("closed too early", join(join(key, one), check), 1, SC_INTERVAL, 0, 29, 0);
    walked("closed too late", join(open, three), 1, SC_INTERVAL, 0, 40, 0);
    walked("no frame", join(key, hex("00")), 1, SC_FRAME_EMPTY, 0, 18, 0);
    walked("no change", join(key, hex("01 01")), 1, SC_FIELD_MISSING, 0, 20, 0);
    walked("wrong behind another", join(whole, open), 1, SC_OK, 1, 74, 3);

    about("room for one of two");
    bytes both = join(whole, second);
    uint64_t checks[1], nexts[1], next = 1;
    size_t count = 9, end = 9, at = 0;
    for (uint64_t i = 0; i < 2; i++) {
        EQUAL(sc_intervals_walk(both.data, both.len, uuid_of(1).data, 40, checks, nexts, 1, &count, &next, &end, &at), SC_OK);
        EQUAL(count, 1);
        EQUAL(checks[0], 40 + 74 * i);
        EQUAL(nexts[0], 3 + 2 * i);
        EQUAL(at, 74 * (i + 1));
        EQUAL(end, at);
        EQUAL(next, nexts[0]);
    }
}

void test_changes(void)
{
    split();
    split_in_parts();
    marker_find();
    interval_find();
    intervals_walk();
}
