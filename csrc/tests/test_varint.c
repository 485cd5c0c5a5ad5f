#include "check.h"

static void sizes_and_bytes(void)
{
    static const struct {
        uint64_t value;
        const char *bytes;
    } cases[] = {
        {0, "00"},
        {1, "01"},
        {127, "7f"},
        {128, "80 01"},
        {300, "ac 02"},
        {16383, "ff 7f"},
        {16384, "80 80 01"},
        {UINT32_MAX, "ff ff ff ff 0f"},
        {INT64_MAX, "ff ff ff ff ff ff ff ff 7f"},
        {UINT64_C(1) << 63, "80 80 80 80 80 80 80 80 80 01"},
        {UINT64_MAX, "ff ff ff ff ff ff ff ff ff 01"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        bytes want = hex(cases[i].bytes);
        uint8_t *out = room_for(want.len);
        about(cases[i].bytes);
        EQUAL(sc_varint_size(cases[i].value), want.len);
        EQUAL(sc_varint_put(out, cases[i].value), want.len);
        SAME(out, want.len, want);
    }
}

static void every_length(void)
{
    about("every length");
    for (unsigned bits = 0; bits < 64; bits++) {
        for (unsigned less = 0; less < 2; less++) {
            uint64_t value = (UINT64_C(1) << bits) - less;
            size_t size = sc_varint_size(value), at = 0;
            uint64_t got = 0;
            uint8_t *out = room_for(size);
            EQUAL(size, value == 0 ? 1 : (bits - less) / 7 + 1);
            EQUAL(sc_varint_put(out, value), size);
            EQUAL(sc_varint_get(out, size, &at, &got), SC_OK);
            EQUAL(at, size);
            EQUAL(got, value);
            for (size_t cut = 0; cut < size; cut++) {
                bytes in = exact(out, cut);
                at = 0;
                EQUAL(sc_varint_get(in.data, in.len, &at, &got), SC_TRUNCATED);
                EQUAL(at, 0);
            }
        }
    }
}

static void get_strict(void)
{
    static const struct {
        const char *bytes;
        sc_status status;
        uint64_t value;
    } cases[] = {
        {"80 00", SC_OK, 0}, /* not minimal: read as protobuf does */
        {"81 80 80 00", SC_OK, 1},
        {"80 80 80 80 80 80 80 80 80 00", SC_OK, 0},
        {"80 80 80 80 80 80 80 80 80 02", SC_VARINT, 0},
        {"ff ff ff ff ff ff ff ff ff 7f", SC_VARINT, 0},
        {"80 80 80 80 80 80 80 80 80 80", SC_VARINT, 0},
        {"80 80 80 80 80 80 80 80 80 81 00", SC_VARINT, 0},
        {"80 80 80 80 80 80 80 80 80", SC_TRUNCATED, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        bytes before = repeat(0xff, 3), in = join(before, hex(cases[i].bytes));
        uint64_t value = 0;
        size_t at = 3;
        about(cases[i].bytes);
        EQUAL(sc_varint_get(in.data, in.len, &at, &value), cases[i].status);
        EQUAL(at, cases[i].status == SC_OK ? in.len : 3);
        EQUAL(value, cases[i].value);
    }
    uint64_t value;
    size_t at = 0;
    about("nothing to get");
    EQUAL(sc_varint_get(NULL, 0, &at, &value), SC_TRUNCATED);
    EQUAL(at, 0);
}

static void zigzag(void)
{
    static const int64_t plain[] = {0, -1, 1, -2, 2, INT64_MAX, INT64_MIN};
    static const uint64_t coded[] = {0, 1, 2, 3, 4, UINT64_MAX - 1, UINT64_MAX};
    about("zigzag");
    for (size_t i = 0; i < COUNT(plain); i++) {
        EQUAL(sc_zigzag(plain[i]), coded[i]);
        EQUAL(sc_unzigzag(coded[i]), plain[i]);
    }
}

static void bulk(void)
{
    enum { MANY = 200 };
    uint64_t *values = numbers(MANY), *got = numbers(MANY);
    for (size_t i = 0; i < MANY; i++) {
        uint64_t number = random_number();
        values[i] = i < 4 ? (uint64_t)0 - i : number >> number % 64;
    }
    for (int signs = 0; signs < 2; signs++) {
        size_t size = sc_varints_size(values, MANY, signs), at = 0, count = 0, want = 0;
        uint8_t *out = room_for(size);
        about(signs ? "bulk, zigzag" : "bulk");
        EQUAL(sc_varints_encode(values, MANY, signs, out, size, &at), SC_OK);
        EQUAL(at, size);
        for (size_t i = 0; i < MANY; i++) {
            uint64_t value;
            EQUAL(sc_varint_get(out, size, &want, &value), SC_OK);
            EQUAL(signs ? (uint64_t)sc_unzigzag(value) : value, values[i]);
        }
        EQUAL(sc_varints_count(out, size), MANY);
        EQUAL(sc_varints_decode(out, size, signs, got, MANY, &count, &at), SC_OK);
        EQUAL(count, MANY);
        EQUAL(at, size);
        SAME((uint8_t *)got, MANY * sizeof *got, exact(values, MANY * sizeof *values));

        /* Cut anywhere: whole items before the cut are good, and one cut in its middle is named by its start. */
        for (size_t cut = 0, whole = 0, start = 0; cut < size; cut++) {
            bytes in = exact(out, cut), room = exact(out, cut);
            EQUAL(sc_varints_count(in.data, cut), whole);
            EQUAL(sc_varints_decode(in.data, cut, signs, got, MANY, &count, &at), cut == start ? SC_OK : SC_TRUNCATED);
            EQUAL(at, start);
            EQUAL(sc_varints_encode(values, MANY, signs, room.data, cut, &at), SC_ROOM);
            EQUAL(at, whole);
            if (out[cut] < 0x80) {
                whole++;
                start = cut + 1;
            }
        }
        for (size_t room = 0; room < MANY; room++) {
            uint64_t *few = numbers(room);
            EQUAL(sc_varints_decode(out, size, signs, few, room, &count, &at), SC_ROOM);
            EQUAL(count, room);
            SAME((uint8_t *)few, room * sizeof *few, exact(values, room * sizeof *values));
        }
    }
}

static void bulk_edges(void)
{
    size_t at = 7, count = 7;
    about("bulk, nothing");
    EQUAL(sc_varints_size(NULL, 0, 0), 0);
    EQUAL(sc_varints_encode(NULL, 0, 1, NULL, 0, &at), SC_OK);
    EQUAL(at, 0);
    at = 7;
    EQUAL(sc_varints_count(NULL, 0), 0);
    EQUAL(sc_varints_decode(NULL, 0, 0, NULL, 0, &count, &at), SC_OK);
    EQUAL(at, 0);
    EQUAL(count, 0);

    about("bulk, a wrong one");
    bytes in = hex("01 80 01 80 80 80 80 80 80 80 80 80 02 05");
    uint64_t *values = numbers(4);
    EQUAL(sc_varints_decode(in.data, in.len, 0, values, 4, &count, &at), SC_VARINT);
    EQUAL(at, 3);

    about("bulk, every varint length at every distance from the end");
    for (size_t size = 1; size <= SC_VARINT_BYTES; size++) {
        for (size_t lead = 0; lead < 24; lead++) {
            bytes wide = join(repeat(0x01, lead), repeat(0xff, size));
            wide.data[wide.len - 1] = 1;
            values = numbers(lead + 1);
            EQUAL(sc_varints_decode(wide.data, wide.len, 0, values, lead + 1, &count, &at), SC_OK);
            EQUAL(count, lead + 1);
            EQUAL(values[lead], (size > 1 ? (UINT64_C(1) << (7 * (size - 1))) - 1 : 0) | UINT64_C(1)
                                                                                             << (7 * (size - 1)));
        }
    }
}

void test_varint(void)
{
    sizes_and_bytes();
    every_length();
    get_strict();
    zigzag();
    bulk();
    bulk_edges();
}
