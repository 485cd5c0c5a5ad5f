#include "check.h"

enum { LIMIT = 200 };

static void scan(const char *text, size_t from, sc_status status, size_t count_want, size_t at_want)
{
    bytes in = hex(text);
    size_t at = from, count = 9;
    about(text);
    EQUAL(sc_frames_scan(in.data, in.len, 8, 16, room_for(9), numbers(9), numbers(9), 9, &count, &at), status);
    EQUAL(count, count_want);
    EQUAL(at, at_want);
    at = from;
    EQUAL(sc_frames_scan(in.data, in.len, 8, 16, NULL, NULL, NULL, 9, &count, &at), status);
    EQUAL(count, count_want);
    EQUAL(at, at_want);
}

static void cases(void)
{
    scan("01 01", 0, SC_OK, 1, 2);
    scan("03 02 61 62 02 01 63", 0, SC_OK, 2, 7);
    scan("03 02 61 62 02 01 63", 4, SC_OK, 1, 7);
    scan("03 02 61 62 02 01 63", 7, SC_OK, 0, 7);
    scan("03 02 61 62 02 01 63", 8, SC_OK, 0, 8);
    scan("82 80 00 01 63", 0, SC_OK, 1, 5); /* not minimal */
    scan("01 01 80", 0, SC_OK, 1, 2);
    scan("01 01 05", 0, SC_OK, 1, 2);
    scan("01 01 05 01 00 00", 0, SC_OK, 1, 2);

    /* Wrong: an error where it comes first, behind others a stop. */
    scan("00", 0, SC_FRAME_EMPTY, 0, 0);
    scan("01 01 00", 0, SC_OK, 1, 2);
    scan("01 01 00", 2, SC_FRAME_EMPTY, 0, 2);
    scan("80 00", 0, SC_FRAME_EMPTY, 0, 0);
    scan("01 00", 0, SC_FRAME_ID, 0, 0);
    scan("01 03", 0, SC_FRAME_ID, 0, 0);
    scan("01 01 ff 01 03", 0, SC_OK, 1, 2);
    scan("01 01 ff 01 03", 2, SC_FRAME_ID, 0, 2);
    scan("ff ff ff ff ff ff ff ff ff 02", 0, SC_VARINT, 0, 0);
    scan("01 02 ff ff ff ff ff ff ff ff ff 02", 0, SC_OK, 1, 2);

    /* The limits: length 8 for changes, 16 for blobs, id included. */
    scan("08 01 00 00 00 00 00 00 00", 0, SC_OK, 1, 9);
    scan("08 01", 0, SC_OK, 0, 0);
    scan("09", 0, SC_OK, 0, 0);
    scan("09 01", 0, SC_FRAME_SIZE, 0, 0);
    scan("01 01 09 01", 0, SC_OK, 1, 2);
    scan("01 01 09 01", 2, SC_FRAME_SIZE, 0, 2);
    scan("10 02", 0, SC_OK, 0, 0);
    scan("11 02", 0, SC_FRAME_SIZE, 0, 0);
    scan("ff ff ff ff ff ff ff ff ff 01 02", 0, SC_FRAME_SIZE, 0, 0);

    size_t at = 0, count = 9;
    about("nothing to scan");
    EQUAL(sc_frames_scan(NULL, 0, 8, 16, NULL, NULL, NULL, 9, &count, &at), SC_OK);
    EQUAL(count, 0);
    about("no limit: a frame of 2^64-1 bytes is cut, not read");
    bytes huge = hex("ff ff ff ff ff ff ff ff ff 01 02 61");
    EQUAL(sc_frames_scan(huge.data, huge.len, UINT64_MAX, UINT64_MAX, NULL, NULL, NULL, 9, &count, &at), SC_OK);
    EQUAL(count, 0);
    EQUAL(at, 0);
}

/* Frames of every content length up to LIMIT: found, at most `room` of them, and cut at every byte. */
static void every_cut(void)
{
    bytes in = {NULL, 0};
    uint64_t *starts = numbers(LIMIT), *ends = numbers(LIMIT);
    uint8_t *ids = room_for(LIMIT);
    size_t at = 0, count = 0, end = 0;
    for (size_t i = 0; i < LIMIT; i++) {
        uint8_t head[SC_VARINT_BYTES + 1];
        size_t size = sc_varint_put(head, i + 1);
        head[size++] = (uint8_t)(1 + i % 2);
        in = join(join(in, exact(head, size)), repeat((uint8_t)i, i));
    }
    about("frames of every length");
    EQUAL(sc_frames_scan(in.data, in.len, LIMIT, LIMIT, ids, starts, ends, LIMIT, &count, &at), SC_OK);
    EQUAL(count, LIMIT);
    EQUAL(at, in.len);
    for (size_t i = 0; i < LIMIT; i++) {
        EQUAL(ids[i], 1 + i % 2);
        EQUAL(starts[i], end + sc_varint_size(i + 1) + 1);
        EQUAL(ends[i], starts[i] + i);
        end = ends[i];
    }
    for (size_t room = 0; room < LIMIT; room++) {
        at = 0;
        EQUAL(sc_frames_scan(in.data, in.len, LIMIT, LIMIT, room_for(room), numbers(room), numbers(room), room, &count,
                             &at),
              SC_OK);
        EQUAL(count, room);
        EQUAL(at, room == 0 ? 0 : ends[room - 1]);
    }
    for (size_t cut = 0, whole = 0; cut < in.len; cut++) {
        bytes part = exact(in.data, cut);
        whole += ends[whole] <= cut;
        at = 0;
        EQUAL(sc_frames_scan(part.data, cut, LIMIT, LIMIT, NULL, NULL, NULL, LIMIT, &count, &at), SC_OK);
        EQUAL(count, whole);
        EQUAL(at, whole == 0 ? 0 : ends[whole - 1]);
    }
}

void test_frame(void)
{
    cases();
    every_cut();
}
