#include "check.h"

/* ---- slices to msgpack ---- */

static const uint8_t letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";

typedef struct slices {
    uint64_t *starts, *ends;
    size_t count;
} slices;

static slices slices_of(const uint64_t (*pairs)[2], size_t count)
{
    slices s = {numbers(count), numbers(count), count};
    for (size_t i = 0; i < count; i++) {
        s.starts[i] = pairs[i][0];
        s.ends[i] = pairs[i][1];
    }
    return s;
}

static void write_forms(void)
{
    static const uint64_t pairs[][2] = {{0, 2}, {SC_ABSENT, SC_ABSENT}, {5, 5}, {1, 32}, {1, 33}};
    static const char *const wants[] = {"dd 00 00 00 05 c4 02 61 62 c4 00 c4 00 c4 1f",
                                        "dd 00 00 00 05 c4 02 61 62 c0 c4 00 c4 1f", "dd 00 00 00 05 a2 61 62 a0 a0 bf",
                                        "dd 00 00 00 05 a2 61 62 c0 c0 bf"};
    bytes in = exact(letters, 36);
    slices s = slices_of(pairs, 5);
    for (int form = 0; form < 4; form++) {
        bytes want = join(hex(wants[form]), exact(letters + 1, 31));
        want = join(join(want, hex(form < 2 ? "c4 20" : "d9 20")), exact(letters + 1, 32));
        size_t room = want.len + 5, rows = 99, at = 99; /* an item is begun where its longest head has room */
        uint8_t *out = room_for(room);
        about(wants[form]);
        EQUAL(sc_msgpack_slices(in.data, in.len, s.starts, s.ends, s.count, form, out, room, &rows, &at), SC_OK);
        EQUAL(rows, 5);
        EQUAL(at, want.len);
        SAME(out, at, want);
        for (size_t less = 0, before = 0; less < room; less++) {
            out = room_for(less);
            EQUAL(sc_msgpack_slices(in.data, in.len, s.starts, s.ends, s.count, form, out, less, &rows, &at), SC_OK);
            CHECK(rows >= before && rows <= 5 && at <= less);
            CHECK(less < 5 ? at == 0 && rows == 0 : sc_msgpack_count(out, at) == rows);
            before = rows;
        }
    }
}

static void write_sizes(void)
{
    static const size_t sizes[] = {0, 31, 32, 255, 256, 65535, 65536};
    static const char *const heads[][2] = {{"c4 00", "a0"},
                                           {"c4 1f", "bf"},
                                           {"c4 20", "d9 20"},
                                           {"c4 ff", "d9 ff"},
                                           {"c5 01 00", "da 01 00"},
                                           {"c5 ff ff", "da ff ff"},
                                           {"c6 00 01 00 00", "db 00 01 00 00"}};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (int text = 0; text < 2; text++) {
            bytes in = repeat('a', sizes[i]), want = join(join(hex("dd 00 00 00 01"), hex(heads[i][text])), in);
            uint64_t start = 0, end = in.len;
            size_t rows = 99, at = 99;
            uint8_t *out = room_for(10 + in.len);
            about(heads[i][text]);
            EQUAL(sc_msgpack_slices(in.data, in.len, &start, &end, 1, text * 2, out, 10 + in.len, &rows, &at), SC_OK);
            EQUAL(rows, 1);
            SAME(out, at, want);
            EQUAL(sc_msgpack_slices(in.data, in.len, &start, &end, 1, text * 2, out, 9 + in.len, &rows, &at), SC_OK);
            EQUAL(rows, 0);
            EQUAL(at, 5);
        }
    }
}

static void write_wrong(void)
{
    static const uint64_t wrong[][2] = {{1, 0}, {0, 37}, {37, 37}, {0, SC_ABSENT}, {SC_ABSENT, 0}};
    bytes in = exact(letters, 36);
    uint8_t *out = room_for(200);
    size_t rows = 99, at = 99;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        for (size_t row = 0; row < 3; row++) {
            uint64_t pairs[3][2] = {{0, 1}, {0, 1}, {0, 1}};
            pairs[row][0] = wrong[i][0];
            pairs[row][1] = wrong[i][1];
            slices s = slices_of((const uint64_t(*)[2])pairs, 3);
            about("a slice outside its buffer");
            EQUAL(sc_msgpack_slices(in.data, in.len, s.starts, s.ends, 3, 0, out, 200, &rows, &at), SC_BOUNDS);
            EQUAL(at, row);
        }
    }
    about("no slices");
    EQUAL(sc_msgpack_slices(NULL, 0, NULL, NULL, 0, 0, out, 5, &rows, &at), SC_OK);
    EQUAL(rows, 0);
    SAME(out, at, hex("dd 00 00 00 00"));
    EQUAL(sc_msgpack_slices(NULL, 0, NULL, NULL, 0, 0, NULL, 0, &rows, &at), SC_OK);
    EQUAL(at, 0);
}

/* ---- msgpack to a multibuffer, and to offsets ---- */

/* sc_msgpack_offsets of in against what sc_msgpack_pack makes of it. */
static void offsets(bytes in, sc_status status)
{
    size_t count = sc_msgpack_count(in.data, in.len), at = 99, packed = 0, rows = 0;
    if (status != SC_OK)
        count = count < in.len ? count : in.len; /* no more strings than bytes */
    uint64_t *found = numbers(count + 1);
    EQUAL(sc_msgpack_offsets(in.data, in.len, found, &at), status);
    CHECK(at <= in.len);
    if (status != SC_OK)
        return;
    EQUAL(at, in.len);
    EQUAL(found[0], 0);
    uint8_t *multibuffer = room_for(in.len);
    uint64_t *starts = numbers(count), *ends = numbers(count);
    EQUAL(sc_msgpack_pack(in.data, in.len, 0, multibuffer, in.len, &packed), SC_OK);
    at = 0;
    EQUAL(sc_multibuffer_unpack(multibuffer, packed, 0, starts, ends, count, &rows, &at), SC_OK);
    EQUAL(rows, count);
    for (size_t i = 0; i < count; i++)
        EQUAL(found[i + 1] - found[i], ends[i] - starts[i]);
}

static void pack(void)
{
    static const struct {
        const char *in;
        sc_status status;
        const char *out;
    } cases[] = {
        {"90", SC_OK, ""},
        {"93 c4 01 61 c4 00 c5 00 02 62 63", SC_OK, "01 61 00 02 62 63"},
        {"dc 00 01 c6 00 00 00 01 61", SC_OK, "01 61"},
        {"dd 00 00 00 01 c4 01 61", SC_OK, "01 61"},
        {"", SC_TRUNCATED, ""},
        {"91", SC_TRUNCATED, ""},
        {"91 c4", SC_TRUNCATED, ""},
        {"91 c4 01", SC_TRUNCATED, ""},
        {"91 c5 00", SC_TRUNCATED, ""},
        {"91 c6 ff ff ff ff 00", SC_TRUNCATED, ""},
        {"dc 00", SC_TRUNCATED, ""},
        {"dd ff ff ff ff", SC_TRUNCATED, ""},
        {"c4 01 61", SC_WIRE_TYPE, ""},
        {"91 a1 61", SC_WIRE_TYPE, ""},
        {"91 d9 01 61", SC_WIRE_TYPE, ""},
        {"91 c0", SC_WIRE_TYPE, ""},
        {"91 90", SC_WIRE_TYPE, ""},
        {"91 05", SC_WIRE_TYPE, ""},
        {"91 80", SC_WIRE_TYPE, ""},
        {"91 e0", SC_WIRE_TYPE, ""},
        {"91 c1", SC_WIRE_TYPE, ""},
        {"91 c7 01 00 61", SC_WIRE_TYPE, ""},
        {"91 d0 01", SC_WIRE_TYPE, ""},
        {"91 de 00", SC_WIRE_TYPE, ""},
        {"90 00", SC_WIRE_TYPE, ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        bytes in = hex(cases[i].in), want = hex(cases[i].out);
        size_t at = 99;
        uint8_t *out = room_for(want.len);
        about(cases[i].in);
        EQUAL(sc_msgpack_pack(in.data, in.len, 0, out, want.len, &at), cases[i].status);
        CHECK(cases[i].status != SC_OK || at == want.len);
        CHECK(at <= in.len || cases[i].status == SC_OK);
        if (cases[i].status == SC_OK) {
            SAME(out, at, want);
        }
        offsets(in, cases[i].status);
    }
    about("lengths of more than one byte");
    bytes wide = join(hex("91 c5 01 2c"), repeat('a', 300));
    uint8_t *packed = room_for(302);
    size_t end = 0;
    EQUAL(sc_msgpack_pack(wide.data, wide.len, 0, packed, 302, &end), SC_OK);
    SAME(packed, end, join(hex("ac 02"), repeat('a', 300)));
    about("extra, and too little room");
    bytes in = hex("92 c4 01 61 c4 00"), want = hex("00 00 01 61 00 00 00");
    for (size_t room = 0; room <= want.len; room++) {
        size_t at = 99;
        uint8_t *out = room_for(room);
        EQUAL(sc_msgpack_pack(in.data, in.len, 2, out, room, &at), room < want.len ? SC_ROOM : SC_OK);
        if (room == want.len) {
            SAME(out, at, want);
        }
    }
    size_t at = 99;
    EQUAL(sc_msgpack_pack(in.data, in.len, SIZE_MAX, room_for(9), 9, &at), SC_ROOM);
    about("counts");
    EQUAL(sc_msgpack_count(in.data, in.len), 2);
    EQUAL(sc_msgpack_count(hex("dd ff ff ff ff").data, 5), UINT32_MAX);
    EQUAL(sc_msgpack_count(hex("c4 00").data, 2), 0);
    EQUAL(sc_msgpack_count(NULL, 0), 0);
}

/* ---- msgpack to changes ---- */

static sc_changes columns(size_t count)
{
    sc_changes c = {NULL,
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
    c.change = room_for(count * sizeof(uint32_t));
    c.from = room_for(count * sizeof(uint32_t));
    c.to = room_for(count * sizeof(uint32_t));
    return c;
}

static void changes(void)
{
    bytes in =
        hex("92 96 a1 6b 01 cc 80 ce ff ff ff ff c4 01 76 a1 73 96 a0 cd 01 00 cf 00 00 00 00 00 00 00 07 00 c0 c0");
    sc_changes c = columns(2);
    size_t at = 99;
    about("changes from msgpack");
    EQUAL(sc_msgpack_count(in.data, in.len), 2);
    EQUAL(sc_msgpack_changes(in.data, in.len, &c, &at), SC_OK);
    EQUAL(at, in.len);
    CHECK(c.key_data == in.data && c.subset_data == in.data && c.value_data == in.data && c.key_len == in.len);
    EQUAL(c.key_starts[0], 3);
    EQUAL(c.key_ends[0], 4);
    EQUAL(c.change[0], 1);
    EQUAL(c.from[0], 128);
    EQUAL(c.to[0], UINT32_MAX);
    EQUAL(c.value_starts[0], 14);
    EQUAL(c.value_ends[0], 15);
    EQUAL(c.subset_starts[0], 16);
    EQUAL(c.subset_ends[0], 17);
    EQUAL(c.key_starts[1], c.key_ends[1]);
    EQUAL(c.change[1], 256);
    EQUAL(c.from[1], 7);
    EQUAL(c.value_starts[1], SC_ABSENT);
    EQUAL(c.value_ends[1], SC_ABSENT);
    EQUAL(c.subset_starts[1], SC_ABSENT);
    EQUAL(c.subset_ends[1], SC_ABSENT);
    about("changes from msgpack, cut at every byte");
    for (size_t cut = 0; cut < in.len; cut++) {
        EQUAL(sc_msgpack_changes(exact(in.data, cut).data, cut, &c, &at), SC_TRUNCATED);
        CHECK(at <= cut);
    }

    static const struct {
        const char *in;
        sc_status status;
    } cases[] = {
        {"90", SC_OK},
        {"91 96 a1 6b 01 00 01 c4 00 a0", SC_OK}, /* an empty subset is none */
        {"91 96 a1 6b 01 00 01 c0 c0 00", SC_WIRE_TYPE},
        {"c0", SC_WIRE_TYPE},
        {"91 c0", SC_WIRE_TYPE},
        {"91 95 a1 6b 01 00 01 c0", SC_WIRE_TYPE},
        {"91 97 a1 6b 01 00 01 c0 c0 c0", SC_WIRE_TYPE},
        {"91 96 c0 01 00 01 c0 c0", SC_WIRE_TYPE}, /* no key */
        {"91 96 d9 01 6b 01 00 01 c0 db 00 00 00 01 73", SC_OK}, /* texts in more bytes than they need */
        {"91 96 da 00 02 6b 01 00 01 c0 c0", SC_WIRE_TYPE},
        {"91 96 c4 01 6b 01 00 01 c0 c0", SC_WIRE_TYPE},
        {"91 96 a1 6b c0 00 01 c0 c0", SC_WIRE_TYPE},
        {"91 96 a1 6b ff 00 01 c0 c0", SC_WIRE_TYPE}, /* -1 */
        {"91 96 a1 6b d0 80 00 01 c0 c0", SC_WIRE_TYPE},
        {"91 96 a1 6b 01 a0 01 c0 c0", SC_WIRE_TYPE},
        {"91 96 a1 6b 01 00 cb 00 00 00 00 00 00 00 00 c0 c0", SC_WIRE_TYPE},
        {"91 96 a1 6b 01 00 01 a1 76 c0", SC_WIRE_TYPE}, /* a value is bytes */
        {"91 96 a1 6b 01 00 01 a0 c0", SC_WIRE_TYPE},
        {"91 96 a1 6b 01 00 01 c0 c4 00", SC_WIRE_TYPE}, /* a subset is a text */
        {"91 96 a1 6b cf 00 00 00 01 00 00 00 00 00 01 c0 c0", SC_UINT32},
        {"91 96 a1 6b 01 cf ff ff ff ff ff ff ff ff 01 c0 c0", SC_UINT32},
        {"91 96 a1 6b 01 00 cf 00 00 00 01 00 00 00 00 c0 c0", SC_UINT32},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        bytes one = hex(cases[i].in);
        about(cases[i].in);
        sc_changes got = columns(sc_msgpack_count(one.data, one.len));
        EQUAL(sc_msgpack_changes(one.data, one.len, &got, &at), cases[i].status);
        CHECK(at <= one.len);
        CHECK(i != 1 || got.subset_starts[0] == SC_ABSENT);
    }
}

/* ---- msgpack to rows ---- */

static sc_status read_rows(bytes in, sc_rows *rows, size_t *at)
{
    return sc_msgpack_rows(in.data, in.len, numbers(6 * sc_msgpack_count(in.data, in.len)), rows, at);
}

static void rows(void)
{
    bytes in = hex("92 93 c4 01 6b c4 02 73 75 c4 00 95 c4 00 c5 00 01 73 c6 00 00 00 01 72 07 a1 78");
    sc_rows r;
    size_t at = 99;
    about("rows from msgpack");
    EQUAL(read_rows(in, &r, &at), SC_OK);
    EQUAL(at, in.len);
    EQUAL(r.count, 2);
    CHECK(r.keys == in.data && r.suffixes == in.data && r.records == in.data);
    CHECK(r.keys_len == in.len && r.suffixes_len == in.len && r.records_len == in.len);
    const uint64_t *const columns[] = {r.key_starts,  r.key_ends,      r.suffix_starts,
                                       r.suffix_ends, r.record_starts, r.record_ends};
    static const uint64_t want[][2] = {{4, 14}, {5, 14}, {7, 17}, {9, 18}, {11, 23}, {11, 24}};
    for (size_t k = 0; k < COUNT(want); k++) {
        EQUAL(columns[k][0], want[k][0]);
        EQUAL(columns[k][1], want[k][1]);
    }
    about("rows from msgpack, cut at every byte");
    for (size_t cut = 0; cut < in.len; cut++) {
        EQUAL(read_rows(exact(in.data, cut), &r, &at), SC_TRUNCATED);
        CHECK(at <= cut);
    }
    static const struct {
        const char *in;
        sc_status status;
    } cases[] = {
        {"90", SC_OK},
        {"90 00", SC_WIRE_TYPE},
        {"c0", SC_WIRE_TYPE},
        {"91 c0", SC_WIRE_TYPE},
        {"91 92 c4 00 c4 00", SC_WIRE_TYPE},
        {"91 93 a0 c4 00 c4 00", SC_WIRE_TYPE},
        {"91 93 c4 00 c0 c4 00", SC_WIRE_TYPE},
        {"91 93 c4 00 c4 00 07", SC_WIRE_TYPE},
        {"91 94 c4 00 c4 00 c4 00 c0", SC_OK},
        {"91 94 c4 00 c4 00 c4 00 90", SC_WIRE_TYPE},
        {"91 94 c4 00 c4 00 c4 00 c3", SC_WIRE_TYPE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        about(cases[i].in);
        EQUAL(read_rows(hex(cases[i].in), &r, &at), cases[i].status);
    }
}

/* ---- equal slices ---- */

static void same_slices(void)
{
    static const struct {
        uint64_t pairs[3][2];
        size_t same;
    } cases[] = {
        {{{0, 2}, {3, 5}, {6, 8}}, 3},
        {{{0, 2}, {3, 5}, {6, 7}}, 2},
        {{{0, 2}, {3, 5}, {8, 10}}, 2},
        {{{0, 2}, {1, 3}, {0, 2}}, 1},
        {{{0, 0}, {5, 5}, {9, 9}}, 3},
        {{{0, 0}, {SC_ABSENT, SC_ABSENT}, {9, 9}}, 1},
        {{{SC_ABSENT, SC_ABSENT}, {SC_ABSENT, SC_ABSENT}, {0, 0}}, 2},
        {{{SC_ABSENT, 0}, {SC_ABSENT, 0}, {0, 0}}, 0},
        {{{0, SC_ABSENT}, {0, SC_ABSENT}, {0, 0}}, 0},
        {{{0, 37}, {0, 37}, {0, 37}}, 0},
        {{{2, 1}, {2, 1}, {2, 1}}, 0},
        {{{0, 2}, {36, 38}, {0, 2}}, 1},
    };
    bytes in = exact("ab.ab.ab.aab", 12);
    about("slices that are the same");
    for (size_t i = 0; i < COUNT(cases); i++) {
        slices s = slices_of(cases[i].pairs, 3);
        EQUAL(sc_slices_same(in.data, in.len, s.starts, s.ends, 3), cases[i].same);
    }
    EQUAL(sc_slices_same(NULL, 0, NULL, NULL, 0), 0);
}

void test_msgpack(void)
{
    same_slices();
    write_forms();
    write_sizes();
    write_wrong();
    pack();
    changes();
    rows();
}
