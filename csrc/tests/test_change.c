#include "check.h"

#define NO_LIMIT UINT64_MAX

/* A change as text; null: absent. */
typedef struct sample {
    const char *subset, *key, *value;
    uint32_t change, from, to;
} sample;

/* Columns of `count` rows. The buffers hold each text once more than exactly: one unused byte before it. */
static sc_changes columns(size_t count)
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

static void add_text(const char *text, const uint8_t **data, size_t *len, uint64_t *start, uint64_t *end)
{
    *start = *end = SC_ABSENT;
    if (text != NULL) {
        bytes both = join(exact(*data, *len), exact(text, strlen(text)));
        *start = *len;
        *end = *len = both.len;
        *data = both.data;
    }
}

static sc_changes gather(const sample *rows, size_t count)
{
    sc_changes c = columns(count);
    for (size_t i = 0; i < count; i++) {
        add_text(rows[i].subset, &c.subset_data, &c.subset_len, &c.subset_starts[i], &c.subset_ends[i]);
        add_text(rows[i].key, &c.key_data, &c.key_len, &c.key_starts[i], &c.key_ends[i]);
        add_text(rows[i].value, &c.value_data, &c.value_len, &c.value_starts[i], &c.value_ends[i]);
        c.change[i] = rows[i].change;
        c.from[i] = rows[i].from;
        c.to[i] = rows[i].to;
    }
    return c;
}

static sc_status encode_one(const sc_changes *c, uint64_t max_frame, size_t *at)
{
    size_t room = sc_changes_size(c, 1);
    return sc_changes_encode(c, 1, max_frame, room_for(room), room, numbers(1), at);
}

static const sample samples[] = {
    {"sensor", "k", "v", 1, 0, 1},
    {NULL, "k", NULL, 2, 300, UINT32_MAX},
    {"", "", "", 0, 0, 0},
    {"troop", "2pKxQm1cT5d0w8Zs/7", NULL, UINT32_MAX, 128, 0},
    {NULL, "caf\xc3\xa9", "{\"at\":1}", 127, 128, 16384},
};
static const char *const frames[] = {
    "15 01 0a 06 73 65 6e 73 6f 72 12 01 6b 18 01 20 00 28 01 32 01 76",
    "0f 01 12 01 6b 18 02 20 ac 02 28 ff ff ff ff 0f",
    "0b 01 12 00 18 00 20 00 28 00 32 00",
    ("27 01 0a 05 74 72 6f 6f 70 12 12 32 70 4b 78 51 6d 31 63 54 35 64 30 77 38 5a 73 2f 37 18 ff ff ff ff 0f 20 80 01 "
     "28 00"),
    "1b 01 12 05 63 61 66 c3 a9 18 7f 20 80 01 28 80 80 01 32 08 7b 22 61 74 22 3a 31 7d",
};

static void encode_bytes(void)
{
    enum { ROWS = COUNT(samples) };
    bytes want = {NULL, 0};
    uint64_t ends[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        want = join(want, hex(frames[i]));
        ends[i] = want.len;
    }
    sc_changes c = gather(samples, ROWS);
    size_t size = sc_changes_size(&c, ROWS), at = 0;
    uint8_t *out = room_for(want.len);
    uint64_t *got_ends = numbers(ROWS);
    about("changes as bytes");
    CHECK(size >= want.len);
    EQUAL(sc_changes_encode(&c, ROWS, NO_LIMIT, out, want.len, got_ends, &at), SC_OK);
    EQUAL(at, want.len);
    SAME(out, want.len, want);
    SAME((uint8_t *)got_ends, sizeof ends, exact(ends, sizeof ends));
    for (size_t room = 0, row = 0; room < want.len; room++) {
        row += ends[row] <= room;
        EQUAL(sc_changes_encode(&c, ROWS, NO_LIMIT, room_for(room), room, numbers(ROWS), &at), SC_ROOM);
        EQUAL(at, row);
    }

    /* And back. */
    sc_changes got = columns(ROWS);
    uint8_t *ids = room_for(ROWS);
    uint64_t *starts = numbers(ROWS);
    size_t count = 0;
    at = 0;
    EQUAL(sc_frames_scan(out, want.len, SC_MAX_FRAME, 0, ids, starts, got_ends, ROWS, &count, &at), SC_OK);
    EQUAL(count, ROWS);
    EQUAL(sc_changes_decode(out, want.len, ids, starts, got_ends, ROWS, &got, &count, &at), SC_OK);
    EQUAL(count, ROWS);
    CHECK(got.subset_data == out && got.key_data == out && got.value_data == out);
    EQUAL(got.subset_len, want.len);
    for (size_t i = 0; i < ROWS; i++) {
        const sample *s = &samples[i];
        EQUAL(got.change[i], s->change);
        EQUAL(got.from[i], s->from);
        EQUAL(got.to[i], s->to);
        SAME(out + got.key_starts[i], got.key_ends[i] - got.key_starts[i], exact(s->key, strlen(s->key)));
        EQUAL(got.subset_starts[i] == SC_ABSENT, s->subset == NULL || *s->subset == 0);
        EQUAL(got.subset_ends[i] == SC_ABSENT, got.subset_starts[i] == SC_ABSENT);
        EQUAL(got.value_starts[i] == SC_ABSENT, s->value == NULL);
        EQUAL(got.value_ends[i] == SC_ABSENT, s->value == NULL);
        if (s->value != NULL) {
            SAME(out + got.value_starts[i], got.value_ends[i] - got.value_starts[i], exact(s->value, strlen(s->value)));
        }
    }
    about("no changes");
    EQUAL(sc_changes_size(&c, 0), 0);
    EQUAL(sc_changes_encode(&c, 0, NO_LIMIT, NULL, 0, NULL, &at), SC_OK);
    EQUAL(at, 0);
}

static void encode_wrong(void)
{
    size_t at = 9;
    for (size_t bad = 0; bad < 2; bad++) {
        sample rows[2] = {samples[0], samples[0]};
        about("bad UTF-8 to encode");
        rows[bad].key = "\xff";
        sc_changes c = gather(rows, 2);
        size_t room = sc_changes_size(&c, 2);
        EQUAL(sc_changes_encode(&c, 2, NO_LIMIT, room_for(room), room, numbers(2), &at), SC_UTF8);
        EQUAL(at, bad);
        rows[bad].key = "k";
        rows[bad].subset = "\xc3";
        c = gather(rows, 2);
        EQUAL(sc_changes_encode(&c, 2, NO_LIMIT, room_for(room), room, numbers(2), &at), SC_UTF8);
        EQUAL(at, bad);
        about("no key");
        rows[bad] = (sample){NULL, NULL, NULL, 0, 0, 0};
        c = gather(rows, 2);
        EQUAL(sc_changes_encode(&c, 2, NO_LIMIT, room_for(room), room, numbers(2), &at), SC_FIELD_MISSING);
        EQUAL(at, bad);
    }
    for (size_t field = 0; field < 3; field++) {
        static const uint64_t slices[][2] = {{1, 0}, {0, 2}, {2, 2}, {0, SC_ABSENT}, {SC_ABSENT, 0}, {SC_ABSENT, 1}};
        for (size_t i = 0; i < COUNT(slices); i++) {
            sample one = {"s", "k", "v", 1, 0, 1};
            sc_changes c = gather(&one, 1);
            uint64_t *starts[] = {c.subset_starts, c.key_starts, c.value_starts};
            uint64_t *ends[] = {c.subset_ends, c.key_ends, c.value_ends};
            starts[field][0] = slices[i][0];
            ends[field][0] = slices[i][1];
            about("a slice outside its buffer");
            EQUAL(encode_one(&c, NO_LIMIT, &at), SC_BOUNDS);
            EQUAL(at, 0);
        }
    }
    about("the longest frame");
    sc_changes c = gather(samples, 1);
    EQUAL(encode_one(&c, 0x15, &at), SC_OK);
    EQUAL(encode_one(&c, 0x14, &at), SC_FRAME_SIZE);
    EQUAL(at, 0);
}

/* A change whose frame is exactly so long, across the places where a length varint grows and at the log's limit. */
static void encode_sizes(void)
{
    static const uint64_t sizes[] = {127, 128, 16383, 16384, 2097151, 2097152, SC_MAX_FRAME};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        sample one = {NULL, "k", NULL, 1, 0, 1};
        sc_changes c = gather(&one, 1);
        size_t length = (size_t)sizes[i] - 12 /* id, key, numbers, value's tag and a first length byte */;
        while (1 + 9 + 1 + sc_varint_size(length) + length > sizes[i]) {
            length--;
        }
        bytes value = repeat('x', length);
        c.value_data = value.data;
        c.value_len = length;
        c.value_starts[0] = 0;
        c.value_ends[0] = length;
        size_t size = 1 + 9 + 1 + sc_varint_size(length) + length, at = 0, count = 0;
        size_t frame = sc_varint_size(size) + size;
        uint8_t *out = room_for(frame), id = 0;
        uint64_t *end = numbers(1), start = 0;
        about("frames of many sizes");
        CHECK(size >= sizes[i] - 1);
        EQUAL(sc_changes_encode(&c, 1, size - 1, out, frame, end, &at), SC_FRAME_SIZE);
        EQUAL(sc_changes_encode(&c, 1, size, out, frame - 1, end, &at), SC_ROOM);
        EQUAL(sc_changes_encode(&c, 1, size, out, frame, end, &at), SC_OK);
        EQUAL(at, frame);
        EQUAL(end[0], frame);
        at = 0;
        EQUAL(sc_frames_scan(out, frame, size, 0, &id, &start, end, 1, &count, &at), SC_OK);
        sc_changes got = columns(1);
        EQUAL(sc_changes_decode(out, frame, &id, &start, end, 1, &got, &count, &at), SC_OK);
        EQUAL(count, 1);
        SAME(out + got.value_starts[0], got.value_ends[0] - got.value_starts[0], value);
    }
}

/* Decodes the change `body`, which stands 3 bytes into the buffer and ends with it. */
static sc_status decode(bytes body, sc_changes *got, size_t *count, size_t *at)
{
    bytes in = join(repeat(0xff, 3), body);
    uint8_t id = SC_FRAME_CHANGE;
    uint64_t start = 3, end = in.len;
    *got = columns(1);
    return sc_changes_decode(in.data, in.len, &id, &start, &end, 1, got, count, at);
}

static void decode_cases(void)
{
    static const struct {
        const char *body;
        sc_status status;
        size_t at; /* in the body */
    } cases[] = {
        {"12 01 6b 18 01 20 00 28 01", SC_OK, 0},
        {"28 01 20 00 18 01 12 01 6b", SC_OK, 0},                      /* any order */
        {"12 03 78 79 7a 12 01 6b 18 05 18 01 20 00 28 01", SC_OK, 0}, /* the last of a repeated field wins */
        {"92 80 00 81 00 6b 98 00 81 00 20 00 28 01", SC_OK, 0},       /* varints that are not minimal */
        {"12 01 6b 18 01 20 00 28 01 38 ff ff ff ff ff ff ff ff ff 01", SC_OK, 0}, /* unknown: skipped */
        {"39 00 00 00 00 00 00 00 00 12 01 6b 18 01 20 00 28 01", SC_OK, 0},
        {"3d 00 00 00 00 12 01 6b 18 01 20 00 28 01", SC_OK, 0},
        {"3a 02 ff ff 12 01 6b 18 01 20 00 28 01", SC_OK, 0},
        {"fa ff ff ff 0f 00 12 01 6b 18 01 20 00 28 01", SC_OK, 0}, /* the greatest field number */
        {"80 80 04 01 12 01 6b 18 01 20 00 28 01", SC_OK, 0},       /* 8192: its low bits are those of none of ours */
        {"80 80 80 80 08 01 12 01 6b 18 01 20 00 28 01", SC_OK, 0}, /* 2^28 */

        {"", SC_FIELD_MISSING, 0},
        {"18 01 20 00 28 01", SC_FIELD_MISSING, 0},
        {"12 01 6b 20 00 28 01", SC_FIELD_MISSING, 0},
        {"12 01 6b 18 01 28 01", SC_FIELD_MISSING, 0},
        {"12 01 6b 18 01 20 00", SC_FIELD_MISSING, 0},
        {"12 01 6b 18 01 20 00 38 05", SC_FIELD_MISSING, 0},

        {"00 01", SC_FIELD_NUMBER, 0},
        {"12 01 6b 07", SC_FIELD_NUMBER, 3},
        {"80 80 80 80 10 01", SC_UINT32, 0}, /* a tag of 2^32 */
        {"ff ff ff ff ff ff ff ff ff 01", SC_UINT32, 0},

        {"08 01", SC_WIRE_TYPE, 0},
        {"12 01 6b 10 01", SC_WIRE_TYPE, 3},
        {"1a 00", SC_WIRE_TYPE, 0},
        {"22 00", SC_WIRE_TYPE, 0},
        {"2a 00", SC_WIRE_TYPE, 0},
        {"30 01", SC_WIRE_TYPE, 0},
        {"09 00 00 00 00 00 00 00 00", SC_WIRE_TYPE, 0},
        {"1d 00 00 00 00", SC_WIRE_TYPE, 0},
        {"0b", SC_WIRE_TYPE, 0},
        {"3b", SC_WIRE_TYPE, 0}, /* groups, and what protobuf does not have */
        {"3c", SC_WIRE_TYPE, 0},
        {"3e 00", SC_WIRE_TYPE, 0},
        {"3f 00", SC_WIRE_TYPE, 0},

        {"18 80 80 80 80 10", SC_UINT32, 0},
        {"12 01 6b 20 80 80 80 80 10", SC_UINT32, 3},
        {"12 01 6b 18 80 80 80 80 80 01", SC_UINT32, 3},
        {"28 ff ff ff ff ff ff ff ff ff 01", SC_UINT32, 0},
        {"18 80 80 80 80 80 80 80 80 80 02", SC_VARINT, 1},
        {"12 80 80 80 80 80 80 80 80 80 80", SC_VARINT, 1},
        {"80 80 80 80 80 80 80 80 80 02", SC_VARINT, 0},
        {"38 80 80 80 80 80 80 80 80 80 02", SC_VARINT, 1},

        {"12 02 6b", SC_FIELD_SIZE, 0},
        {"12 ff ff ff ff ff ff ff ff ff 01", SC_FIELD_SIZE, 0},
        {"3a 01", SC_FIELD_SIZE, 0},
        {"39 00 00 00 00 00 00 00", SC_FIELD_SIZE, 0},
        {"3d 00 00 00", SC_FIELD_SIZE, 0},
        {"80", SC_FIELD_SIZE, 0},
        {"12", SC_FIELD_SIZE, 1},
        {"18 80", SC_FIELD_SIZE, 1},
        {"38", SC_FIELD_SIZE, 1},

        {"0a 01 ff", SC_UTF8, 0},
        {"12 01 6b 12 01 80", SC_UTF8, 3},
        {"12 02 c3 28", SC_UTF8, 0},
        {"12 01 c3 18 01 20 00 28 01", SC_UTF8, 0},
        {"32 01 ff 12 01 6b 18 01 20 00 28 01", SC_OK, 0}, /* a value may be anything */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        sc_changes got;
        size_t count = 9, at = 0;
        about(cases[i].body);
        EQUAL(decode(hex(cases[i].body), &got, &count, &at), cases[i].status);
        EQUAL(count, cases[i].status == SC_OK);
        if (cases[i].status == SC_OK) {
            EQUAL(got.key_ends[0] - got.key_starts[0], 1);
            EQUAL(got.key_data[got.key_starts[0]], 'k');
            EQUAL(got.change[0], 1);
            EQUAL(got.from[0], 0);
            EQUAL(got.to[0], 1);
        } else {
            EQUAL(at, cases[i].at + 3);
        }
    }
}

static void decode_texts(void)
{
    sc_changes got;
    size_t count, at;
    about("subset and value");
    EQUAL(decode(hex("0a 01 73 12 00 18 ff ff ff ff 0f 20 01 28 02 32 00"), &got, &count, &at), SC_OK);
    EQUAL(got.subset_starts[0], 5);
    EQUAL(got.subset_ends[0], 6);
    EQUAL(got.key_starts[0], got.key_ends[0]);
    EQUAL(got.value_starts[0], got.value_ends[0]);
    CHECK(got.value_starts[0] != SC_ABSENT);
    EQUAL(got.change[0], UINT32_MAX);
    EQUAL(got.to[0], 2);
    about("an empty subset is none, also behind another");
    EQUAL(decode(hex("0a 01 73 0a 00 12 00 18 01 20 01 28 02"), &got, &count, &at), SC_OK);
    EQUAL(got.subset_starts[0], SC_ABSENT);
    EQUAL(got.subset_ends[0], SC_ABSENT);
    EQUAL(got.value_starts[0], SC_ABSENT);
    EQUAL(got.value_ends[0], SC_ABSENT);
}

/* Every proper prefix of a change with all fields is an error, none is read past its end. */
static void decode_cut(void)
{
    bytes whole = hex("0a 02 c3 a9 12 01 6b 18 80 01 20 80 01 28 80 01 32 01 76 38 80 01 3d 00 00 00 00");
    about("a change cut at every byte");
    for (size_t cut = 0; cut <= whole.len; cut++) {
        sc_changes got;
        size_t count, at = 0;
        sc_status status = decode(exact(whole.data, cut), &got, &count, &at);
        int between = cut == 16 || cut == 19 || cut == 22 || cut == 27; /* the required ones are there */
        int missing = cut == 0 || cut == 4 || cut == 7 || cut == 10 || cut == 13;
        EQUAL(status, between ? SC_OK : missing ? SC_FIELD_MISSING : SC_FIELD_SIZE);
        CHECK(status == SC_OK || (at >= 3 && at <= 3 + cut));
    }
}

static void decode_frames(void)
{
    bytes in = hex("03 02 ff ff 0a 01 12 01 6b 18 01 20 00 28 01 0a 01 12 01 6c 18 02 20 00 28 01 01 02");
    uint8_t *ids = room_for(4);
    uint64_t *starts = numbers(4), *ends = numbers(4);
    size_t count = 0, at = 0;
    sc_changes got = columns(2);
    about("blobs passed over");
    EQUAL(sc_frames_scan(in.data, in.len, 99, 99, ids, starts, ends, 4, &count, &at), SC_OK);
    EQUAL(count, 4);
    EQUAL(sc_changes_decode(in.data, in.len, ids, starts, ends, 4, &got, &count, &at), SC_OK);
    EQUAL(count, 2);
    EQUAL(in.data[got.key_starts[1]], 'l');
    about("no frames");
    sc_changes none = columns(0);
    EQUAL(sc_changes_decode(NULL, 0, NULL, NULL, NULL, 0, &none, &count, &at), SC_OK);
    EQUAL(count, 0);
    static const uint64_t slices[][2] = {{1, 0}, {0, 29}, {29, 29}, {0, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}};
    for (size_t i = 0; i < COUNT(slices); i++) {
        for (size_t frame = 0; frame < 4; frame++) {
            uint64_t *other_starts = (uint64_t *)(void *)exact(starts, 4 * sizeof *starts).data;
            uint64_t *other_ends = (uint64_t *)(void *)exact(ends, 4 * sizeof *ends).data;
            other_starts[frame] = slices[i][0];
            other_ends[frame] = slices[i][1];
            about("a frame outside its buffer");
            EQUAL(sc_changes_decode(in.data, in.len, ids, other_starts, other_ends, 4, &got, &count, &at), SC_BOUNDS);
            EQUAL(at, frame);
        }
    }
}

/* What UTF-8 is, written down a second time: decode, and see whether encoding gives the same bytes. */
static int is_utf8(const uint8_t *in, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t size = in[i] < 0x80 ? 1 : in[i] < 0xc0 ? 0 : in[i] < 0xe0 ? 2 : in[i] < 0xf0 ? 3 : in[i] < 0xf8 ? 4 : 0;
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        uint32_t point = size < 2 ? in[i] : in[i] & (0x7fu >> size);
        if (size == 0 || size > len - i) {
            return 0;
        }
        for (size_t k = 1; k < size; k++) {
            if (in[i + k] >> 6 != 2) {
                return 0;
            }
            point = point << 6 | (in[i + k] & 0x3f);
        }
        if (point < least[size] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
            return 0;
        }
        i += size;
    }
    return 1;
}

/* The subset, for it may be empty without being missing. */
static sc_status utf8_status(sc_changes *c, uint8_t *out, const uint8_t *text, size_t len)
{
    uint64_t end;
    size_t at;
    c->subset_data = text;
    c->subset_len = len;
    c->subset_ends[0] = len;
    return sc_changes_encode(c, 1, NO_LIMIT, out, 99, &end, &at);
}

static void utf8(void)
{
    static const uint8_t tails[] = {0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff};
    sample one = {"", "k", NULL, 1, 0, 1};
    sc_changes c = gather(&one, 1);
    uint8_t *out = room_for(99);
    unsigned long wrong = 0;
    about("UTF-8, all beginnings");
    for (size_t len = 1; len <= 4; len++) {
        bytes text = repeat(0, len);
        for (unsigned lead = 0; lead < 65536; lead++) {
            text.data[0] = (uint8_t)lead;
            if (len > 1) {
                text.data[1] = (uint8_t)(lead >> 8);
            }
            for (size_t tail = 0; tail < (len > 3 ? 36 : len > 2 ? 6 : 1); tail++) {
                if (len > 2) {
                    text.data[2] = tails[tail % 6];
                }
                if (len > 3) {
                    text.data[3] = tails[tail / 6];
                }
                sc_status want = is_utf8(text.data, len) ? SC_OK : SC_UTF8;
                wrong += utf8_status(&c, out, text.data, len) != want;
            }
        }
    }
    EQUAL(wrong, 0);

    about("UTF-8, every place in a word");
    static const char *const texts[] = {
        "",         "80",       "c3 a9",       "c3",          "e2 82 ac",    "e2 82",
        "ed a0 80", "ed 9f bf", "f0 9f 90 b5", "f0 9f 90",    "f4 90 80 80", "f5 80 80 80",
        "c3 a9 80", "c0 80",    "ff",          "c3 a9 c3 a9", "e0 9f bf"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        for (size_t before = 0; before < 20; before++) {
            for (size_t after = 0; after < 20; after++) {
                bytes text = join(join(repeat('a', before), hex(texts[i])), repeat('z', after));
                wrong += utf8_status(&c, out, text.data, text.len) != (is_utf8(text.data, text.len) ? SC_OK : SC_UTF8);
            }
        }
    }
    EQUAL(wrong, 0);
}

void test_change(void)
{
    encode_bytes();
    encode_wrong();
    encode_sizes();
    decode_cases();
    decode_texts();
    decode_cut();
    decode_frames();
    utf8();
}
