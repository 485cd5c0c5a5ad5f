#include "check.h"

static const size_t extras[] = {0, 1, 2, 7};

static void pack(void)
{
    static const uint64_t offsets[] = {1, 1, 2, 5, 5};
    static const char *const wants[] = {"00 01 62 03 63 64 65 00", "00 00 00 01 62 00 03 63 64 65 00 00"};
    bytes in = exact("abcdef", 6);
    uint64_t *rows = (uint64_t *)(void *)exact(offsets, sizeof offsets).data;
    for (size_t extra = 0; extra < 2; extra++) {
        bytes want = hex(wants[extra]);
        uint8_t *out = room_for(want.len);
        size_t at = 0;
        about(wants[extra]);
        EQUAL(sc_multibuffer_size(rows, 4, extra), want.len);
        EQUAL(sc_multibuffer_pack(in.data, in.len, rows, 4, extra, out, want.len, &at), SC_OK);
        EQUAL(at, want.len);
        SAME(out, want.len, want);
        for (size_t room = 0, row = 0, end = 0; room < want.len; room++) {
            while (room >= (end = sc_multibuffer_size(rows, row + 1, extra))) {
                row++;
            }
            uint8_t *less = room_for(room);
            EQUAL(sc_multibuffer_pack(in.data, in.len, rows, 4, extra, less, room, &at), SC_ROOM);
            EQUAL(at, row);
        }
    }
}

static void pack_edges(void)
{
    static const struct {
        uint64_t offsets[3];
        sc_status status;
        size_t at;
    } cases[] = {
        {{0, 4, 4}, SC_OK, 6},
        {{4, 4, 4}, SC_OK, 2},
        {{0, 5, 5}, SC_BOUNDS, 0},
        {{0, 4, 5}, SC_BOUNDS, 1},
        {{2, 1, 4}, SC_BOUNDS, 0},
        {{0, 3, 2}, SC_BOUNDS, 1},
        {{5, 5, 5}, SC_BOUNDS, 0},
        {{0, UINT64_MAX, UINT64_MAX}, SC_BOUNDS, 0},
        {{0, 2, UINT64_MAX}, SC_BOUNDS, 1},
    };
    bytes in = exact("abcd", 4);
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t *out = room_for(6);
        size_t at = 9;
        about("bounds of pack");
        EQUAL(sc_multibuffer_pack(in.data, in.len, cases[i].offsets, 2, 0, out, 6, &at), cases[i].status);
        EQUAL(at, cases[i].at);
    }
    uint64_t *zero = numbers(3);
    size_t at = 9;
    memset(zero, 0, 3 * sizeof *zero);
    about("pack nothing");
    EQUAL(sc_multibuffer_size(zero, 0, 5), 0);
    EQUAL(sc_multibuffer_pack(NULL, 0, zero, 0, 5, NULL, 0, &at), SC_OK);
    EQUAL(at, 0);
    uint8_t *out = room_for(2);
    EQUAL(sc_multibuffer_pack(NULL, 0, zero, 2, 0, out, 2, &at), SC_OK);
    EQUAL(at, 2);
    SAME(out, 2, hex("00 00"));
    about("extra that no room can hold");
    EQUAL(sc_multibuffer_pack(NULL, 0, zero, 2, SIZE_MAX, out, 2, &at), SC_ROOM);
    EQUAL(at, 0);
    EQUAL(sc_multibuffer_pack(NULL, 0, zero, 2, SIZE_MAX - 1, out, 2, &at), SC_ROOM);
    EQUAL(at, 0);
}

/* Items of every length up to 300 bytes and some long ones: packed, found again, cut at every byte. */
static void round_trip(void)
{
    enum { ROWS = 24 };
    static const uint64_t lengths[ROWS] = {0,  1,  2,   3,   7,   8,   9,   15,  16,  17,    31,    32,
                                           33, 63, 126, 127, 128, 129, 255, 256, 300, 16383, 16384, 0};
    uint64_t *offsets = numbers(ROWS + 1), *starts = numbers(ROWS), *ends = numbers(ROWS);
    offsets[0] = 0;
    for (size_t i = 0; i < ROWS; i++) {
        offsets[i + 1] = offsets[i] + lengths[i];
    }
    bytes in = repeat(0, offsets[ROWS]);
    for (size_t i = 0; i < in.len; i++) {
        in.data[i] = (uint8_t)random_number();
    }
    for (size_t e = 0; e < COUNT(extras); e++) {
        size_t extra = extras[e], size = sc_multibuffer_size(offsets, ROWS, extra), at = 0, count = 0;
        uint8_t *out = room_for(size);
        about("multibuffer, there and back");
        EQUAL(sc_multibuffer_pack(in.data, in.len, offsets, ROWS, extra, out, size, &at), SC_OK);
        EQUAL(at, size);
        at = 0;
        EQUAL(sc_multibuffer_unpack(out, size, extra, starts, ends, ROWS, &count, &at), SC_OK);
        EQUAL(count, ROWS);
        EQUAL(at, size);
        size_t end = 0;
        for (size_t i = 0; i < ROWS; i++) {
            for (size_t k = 0; k < extra; k++) {
                EQUAL(out[end + k], 0);
            }
            EQUAL(starts[i], end + extra + sc_varint_size(lengths[i]));
            SAME(out + starts[i], ends[i] - starts[i], exact(in.data + offsets[i], lengths[i]));
            end = ends[i];
        }
        for (size_t room = 0; room <= ROWS; room++) {
            at = 0;
            EQUAL(sc_multibuffer_unpack(out, size, extra, numbers(room), numbers(room), room, &count, &at), SC_OK);
            EQUAL(count, room);
            EQUAL(at, room == 0 ? 0 : ends[room - 1]);
            at = 0;
            EQUAL(sc_multibuffer_unpack(out, size, extra, NULL, NULL, room, &count, &at), SC_OK);
            EQUAL(count, room);
        }
        for (size_t cut = 0; cut < size; cut += cut < 4096 ? 1 : 997) {
            bytes part = exact(out, cut);
            size_t whole = 0;
            while (whole < ROWS && ends[whole] <= cut) {
                whole++;
            }
            at = 0;
            EQUAL(sc_multibuffer_unpack(part.data, cut, extra, NULL, NULL, SIZE_MAX, &count, &at), SC_OK);
            EQUAL(count, whole);
            EQUAL(at, whole == 0 ? 0 : ends[whole - 1]);
        }
    }
}

static void unpack_edges(void)
{
    static const struct {
        const char *bytes;
        size_t extra, from;
        sc_status status;
        size_t count, at;
    } cases[] = {
        {"01 61 ff ff ff ff ff ff ff ff ff 01", 0, 0, SC_OK, 1, 2}, /* 2^64-1 bytes: cut, not wrong */
        {"ff ff ff ff ff ff ff ff ff 01 61", 0, 0, SC_OK, 0, 0},
        {"01 61 ff ff ff ff ff ff ff ff ff 02", 0, 0, SC_OK, 1, 2}, /* wrong, but behind a good one */
        {"01 61 ff ff ff ff ff ff ff ff ff 02", 0, 2, SC_VARINT, 0, 2},
        {"61 80 80 80 80 80 80 80 80 80 80", 1, 0, SC_VARINT, 0, 1}, /* the varint, behind the extra byte */
        {"80 00 82 80 00 61 62", 0, 0, SC_OK, 2, 7},                 /* not minimal */
        {"01 61", 0, 2, SC_OK, 0, 2},
        {"01 61", 0, 3, SC_OK, 0, 3},
        {"01 61", 2, 0, SC_OK, 0, 0},
        {"01 61", 3, 0, SC_OK, 0, 0},
        {"01 61", SIZE_MAX, 1, SC_OK, 0, 1},
        {"01 61", SIZE_MAX - 1, 1, SC_OK, 0, 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        bytes in = hex(cases[i].bytes);
        size_t at = cases[i].from, count = 9;
        about(cases[i].bytes);
        EQUAL(sc_multibuffer_unpack(in.data, in.len, cases[i].extra, numbers(9), numbers(9), 9, &count, &at),
              cases[i].status);
        EQUAL(at, cases[i].at);
        EQUAL(count, cases[i].count);
    }
    size_t at = 0, count = 9;
    about("unpack nothing");
    EQUAL(sc_multibuffer_unpack(NULL, 0, 0, NULL, NULL, 9, &count, &at), SC_OK);
    EQUAL(at, 0);
    EQUAL(count, 0);
}

void test_multibuffer(void)
{
    pack();
    pack_edges();
    round_trip();
    unpack_edges();
}
