#include "check.h"

#include "../internal.h"

#define PLACE 16 /* time, log and change: the end of a block's key */

enum { MOST = 64 };

static bytes number(uint64_t value, size_t width)
{
    bytes made = repeat(0, width);
    for (size_t i = width; i > 0; i--, value >>= 8) {
        made.data[i - 1] = (uint8_t)value;
    }
    return made;
}

static bytes text(const char *chars) { return exact(chars, strlen(chars)); }

static bytes string(bytes content) { return join(join(hex("c6"), number(content.len, 4)), content); }

static bytes list(size_t items, bytes content) { return join(join(hex("dd"), number(items, 4)), content); }

/* Puts that are written down, and joined as an array. */
typedef struct put_list {
    bytes keys[MOST], values[MOST];
    size_t count;
} put_list;

static void put(put_list *p, bytes key, bytes value)
{
    p->keys[p->count] = key;
    p->values[p->count++] = value;
}

static void put_text(put_list *p, const char *key, const char *value) { put(p, text(key), text(value)); }

static bytes place_at(uint64_t time, uint64_t change) { return join(number(time, 8), number(change, 8)); }

static bytes key_of(const char *row, uint64_t time, uint64_t change)
{
    return join(join(text(row), hex("00")), place_at(time, change));
}

static bytes array_of(const put_list *p, size_t begin, size_t end)
{
    bytes content = {NULL, 0};
    for (size_t i = begin; i < end; i++) {
        content = join(content, join(string(p->keys[i]), string(p->values[i])));
    }
    return list(2 * (end - begin), content);
}

static bytes whole(const put_list *p) { return array_of(p, 0, p->count); }

/* sc_puts_group in scratch of exactly the size that it is to have; into as much room, or most. */
static sc_status grouped(bytes in, size_t most, bytes *out, size_t *at)
{
    size_t count = sc_puts_count(in.data, in.len), table_size = 1, room = in.len + 16 * count + 5;
    while (table_size < 2 * count) {
        table_size *= 2;
    }
    room = most < room ? most : room;
    *at = 99;
    out->data = room_for(room);
    sc_status status = sc_puts_group(in.data, in.len, random_number(), room_for(count * sizeof(sc_put)),
                                     room_for(count * sizeof(uint32_t)), room_for(table_size * sizeof(uint32_t)),
                                     table_size, out->data, room, at);
    out->len = status == SC_OK ? *at : 0;
    return status;
}

static void gives(const char *what, bytes in, bytes want)
{
    bytes out;
    size_t at;
    about(what);
    EQUAL(grouped(in, SIZE_MAX, &out, &at), SC_OK);
    SAME(out.data, out.len, want);
}

/* ---- a second opinion ---- */

static bytes row_of(bytes key) { return exact(key.data, key.len - PLACE); }

static bytes place_of(bytes key) { return exact(key.data + key.len - PLACE, PLACE); }

static int is_block(bytes key) { return key.len > 0 && key.data[0] == 'h'; }

static int equal(bytes a, bytes b) { return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0); }

static uint64_t time_of(bytes key)
{
    uint64_t time = 0;
    for (size_t i = key.len - PLACE; i < key.len - PLACE + 8; i++) {
        time = time << 8 | key.data[i];
    }
    return time;
}

/* The blocks from begin on of one row: as one put. */
static void put_group(put_list *to, const put_list *row, size_t begin, size_t end)
{
    if (end - begin == 1) {
        put(to, row->keys[begin], row->values[begin]);
        return;
    }
    bytes value = join(hex("02"), number(time_of(row->keys[end - 1]) - time_of(row->keys[begin]), 8));
    for (size_t i = begin; i < end; i++) {
        uint8_t head[SC_VARINT_BYTES];
        bytes block = join(place_of(row->keys[i]), row->values[i]);
        value = join(value, join(exact(head, sc_varint_put(head, block.len)), block));
    }
    put(to, join(row->keys[begin], text("g")), value);
}

static bytes slowly(const put_list *p)
{
    put_list made = {.count = 0};
    int done[MOST] = {0};
    for (size_t k = 0; k < p->count; k++) {
        put_list row = {.count = 0};
        for (size_t i = k; i < p->count && is_block(p->keys[k]) && !done[k]; i++) {
            if (!is_block(p->keys[i]) || !equal(row_of(p->keys[i]), row_of(p->keys[k]))) {
                continue;
            }
            size_t to = row.count++;
            for (; to > 0 && memcmp(place_of(p->keys[i]).data, place_of(row.keys[to - 1]).data, PLACE) < 0; to--) {
                row.keys[to] = row.keys[to - 1];
                row.values[to] = row.values[to - 1];
            }
            row.keys[to] = p->keys[i];
            row.values[to] = p->values[i];
            done[i] = i > k;
        }
        size_t begin = 0, size = 0;
        for (size_t i = 0; i < row.count; i++) {
            size += row.values[i].len;
            uint64_t apart = time_of(row.keys[i]) - time_of(row.keys[begin]);
            if (i > begin && (size > SC_GROUP_BYTES || apart > SC_GROUP_SPAN)) {
                put_group(&made, &row, begin, i);
                begin = i;
                size = row.values[i].len;
            }
        }
        if (row.count > 0) {
            put_group(&made, &row, begin, row.count);
        }
    }
    for (size_t k = 0; k < p->count; k++) {
        if (!is_block(p->keys[k])) {
            put(&made, p->keys[k], p->values[k]);
        }
    }
    return whole(&made);
}

static void any_puts(void)
{
    static const char *const rows[] = {"h", "ha", "haa", "hb", "h\xff", "hthe longest of all", "i", "j"};
    static const size_t sizes[] = {0, 1, 110, 111, 112, 113, 5000, 16367, 16368, 16384};
    for (size_t turn = 0; turn < 300; turn++) {
        put_list p = {.count = 0};
        size_t count = (size_t)(random_number() % (MOST + 1)), few = 1 + (size_t)(random_number() % COUNT(rows));
        size_t small = random_number() % 4 ? 6 : COUNT(sizes);
        for (size_t i = 0; i < count; i++) {
            uint64_t any = random_number();
            uint64_t time = any & 1 ? any >> 60 : (any >> 60) * (SC_GROUP_SPAN / 4) + (any >> 50 & 1);
            bytes key = any >> 1 & 15 ? key_of(rows[(any >> 8 & 7) % few], time, any >> 12 & 3) : (bytes){NULL, 0};
            put(&p, key, repeat((uint8_t)i, sizes[(any >> 20 & 255) % small]));
        }
        size_t middle = count / 3;
        gives("any puts", join(array_of(&p, 0, middle), array_of(&p, middle, count)), slowly(&p));
    }
}

/* ---- what is written down ---- */

static void groups(void)
{
    bytes none = {NULL, 0};
    gives("nothing", none, hex("dd 00 00 00 00"));
    gives("arrays without puts", hex("dd 00 00 00 00 dd 00 00 00 00"), hex("dd 00 00 00 00"));

    put_list p = {.count = 0};
    put(&p, key_of("hr", 0x0a, 7), hex("00 11"));
    gives("one block", whole(&p), whole(&p));
    put(&p, key_of("hr", 0x0101, 3), hex("01"));
    bytes two = hex("dd 00 00 00 02 "
                    "c6 00 00 00 14 68 72 00 00 00 00 00 00 00 00 0a 00 00 00 00 00 00 00 07 67 "
                    "c6 00 00 00 2e 02 00 00 00 00 00 00 00 f7 "
                    "12 00 00 00 00 00 00 00 0a 00 00 00 00 00 00 00 07 00 11 "
                    "11 00 00 00 00 00 00 01 01 00 00 00 00 00 00 00 03 01");
    gives("two of a row", whole(&p), two);
    gives("in arrays of their own", join(array_of(&p, 1, 2), array_of(&p, 0, 1)), two);
    gives("with empty ones", join(join(list(0, none), whole(&p)), list(0, none)), two);

    put_list q = {.count = 0};
    put(&q, key_of("hr", 1, 1), text("A"));
    put(&q, key_of("hr2", 1, 1), text("B"));
    gives("rows alone stay as they are", whole(&q), whole(&q));

    put_list r = {.count = 0}, want = {.count = 0};
    put_text(&r, "i by clock", "1");
    put(&r, key_of("hb", 5, 1), text("b"));
    put(&r, none, text("no key"));
    put(&r, key_of("ha", 9, 1), text("y"));
    put(&r, key_of("hbb", 5, 1), none);
    put_text(&r, "g", "");
    put(&r, key_of("ha", 8, 2), text("x"));
    put_text(&r, "i by clock", "2");
    put(&want, r.keys[1], r.values[1]);
    put(&want, join(r.keys[6], text("g")),
        join(hex("02 00 00 00 00 00 00 00 01 11"),
             join(join(place_at(8, 2), text("x")), join(join(hex("11"), place_at(9, 1)), text("y")))));
    put(&want, r.keys[4], r.values[4]);
    put(&want, r.keys[0], r.values[0]);
    put(&want, r.keys[2], r.values[2]);
    put(&want, r.keys[5], r.values[5]);
    put(&want, r.keys[7], r.values[7]);
    gives("rows as they appear, then the rest as it stood", whole(&r), whole(&want));
}

/* Blocks whose first bytes tell when they stood where, at these places: how a group has them. */
static void orders(void)
{
    for (size_t count = 2; count < 40; count++) {
        for (size_t kind = 0; kind < 5; kind++) {
            put_list p = {.count = 0};
            for (size_t i = 0; i < count; i++) {
                size_t place = kind == 0 ? i : kind == 1 ? count - i : kind == 2 ? i * 7 % 11 : kind == 3 ? 4 : i ^ 1;
                put(&p, key_of("hr", place / 2, place % 2), number(i, 1));
            }
            bytes out;
            size_t at;
            about("blocks in order, and as they stood where they are at one place");
            EQUAL(grouped(whole(&p), SIZE_MAX, &out, &at), SC_OK);
            SAME(out.data, out.len, slowly(&p));
            const uint8_t *block = out.data + 5 + 5 + 20 + 5 + 9 + 1;
            EQUAL(out.len, (size_t)(block - out.data) + count * 18 - 1);
            for (size_t i = 1; i < count; i++, block += 18) {
                CHECK(memcmp(block, block + 18, 17) < 0); /* the value goes on counting where the place is the same */
            }
        }
    }
    put_list p = {.count = 0};
    static const char *const places[] = {"80 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
                                         "7f ff ff ff ff ff ff ff 80 00 00 00 00 00 00 00",
                                         "7f ff ff ff ff ff ff ff 00 00 00 01 00 00 00 00",
                                         "7f ff ff ff ff ff ff ff 00 00 00 00 ff ff ff ff"};
    bytes content = hex("02 00 00 00 00 00 00 00 01");
    for (size_t i = 0; i < 4; i++) {
        put(&p, join(hex("68 00"), hex(places[i])), number(i, 1));
        content = join(content, join(join(hex("11"), hex(places[3 - i])), number(3 - i, 1)));
    }
    put_list want = {.count = 0};
    put(&want, join(join(hex("68 00"), hex(places[3])), text("g")), content);
    gives("logs and changes sort as numbers", whole(&p), whole(&want));
}

/* Blocks of these times and sizes: how many each group has, 1 for one that stays as it is. */
static void cut(const char *what, const uint64_t *times, const size_t *sizes, size_t count, const size_t *groups_of)
{
    put_list p = {.count = 0}, want = {.count = 0};
    for (size_t i = 0; i < count; i++) {
        put(&p, key_of("hr", times[i], i), repeat((uint8_t)i, sizes[i]));
    }
    for (size_t i = 0; i < count; i += *groups_of++) {
        put_group(&want, &p, i, i + *groups_of);
    }
    gives(what, whole(&p), whole(&want));
    gives(what, slowly(&p), slowly(&want)); /* the groups are rows of their own by now */
}

static void limits(void)
{
    static const uint64_t none[5] = {0}, base = UINT64_C(1) << 63;
    static const size_t small[5] = {1, 1, 1, 1, 1};
    uint64_t far[][5] = {{base - 1, base - 1 + SC_GROUP_SPAN, 0, 0, 0},
                         {base - 1, base + SC_GROUP_SPAN, 0, 0, 0},
                         {0, 1, SC_GROUP_SPAN, SC_GROUP_SPAN + 1, 2 * (uint64_t)SC_GROUP_SPAN + 1},
                         {0, SC_GROUP_SPAN + 1, SC_GROUP_SPAN + 2, UINT64_MAX - SC_GROUP_SPAN, UINT64_MAX}};
    cut("a span at the limit", far[0], small, 2, (size_t[]){2});
    cut("and one more", far[1], small, 2, (size_t[]){1, 1});
    cut("a span begins with its group", far[2], small, 5, (size_t[]){3, 2});
    cut("up to the end of time", far[3], small, 5, (size_t[]){1, 2, 2});

    cut("sizes at the limit", none, (size_t[]){SC_GROUP_BYTES - 1, 1}, 2, (size_t[]){2});
    cut("and one more", none, (size_t[]){SC_GROUP_BYTES - 1, 2}, 2, (size_t[]){1, 1});
    cut("nothing beside the limit", none, (size_t[]){SC_GROUP_BYTES, 0, 0, 1}, 4, (size_t[]){3, 1});
    cut("one over the limit is alone", none, (size_t[]){SC_GROUP_BYTES + 1, 0, 1}, 3, (size_t[]){1, 2});
    cut("also behind others", none, (size_t[]){0, 1, SC_GROUP_BYTES + 1, 2, 3}, 5, (size_t[]){2, 1, 2});
    cut("sizes are counted anew", none, (size_t[]){9000, 9000, 7384, 1, 2}, 5, (size_t[]){1, 2, 2});
    cut("around the sizes of heads", none, (size_t[]){111, 112, 113, 127, 128}, 5, (size_t[]){5});
    cut("around the longer sizes of heads", none, (size_t[]){16, 16367, 16, 16368, 0}, 5, (size_t[]){2, 3});
}

/* ---- what is wrong ---- */

static void damaged(const char *what, bytes in, sc_status want, size_t where)
{
    bytes out;
    size_t at;
    about(what);
    EQUAL(grouped(in, SIZE_MAX, &out, &at), want);
    EQUAL(at, where);
}

static void wrong(void)
{
    put_list p = {.count = 0};
    put(&p, key_of("hr", 10, 1), text("one"));
    put_text(&p, "", "");
    put_text(&p, "i", "2");
    put(&p, key_of("hr", 20, 1), (bytes){NULL, 0});
    bytes in = join(array_of(&p, 0, 3), array_of(&p, 3, 4));
    size_t begins[MOST], items = 0, heads[2] = {0, array_of(&p, 0, 3).len}, counted[MOST];
    for (size_t i = 0, end = 0; i < p.count; i++) {
        if (i == 0 || i == 3) {
            counted[items] = i;
            begins[items++] = end;
            end += 5;
        }
        counted[items] = counted[items + 1] = i;
        begins[items++] = end;
        begins[items++] = end += 5 + p.keys[i].len;
        end += 5 + p.values[i].len;
    }
    begins[items] = in.len;
    EQUAL(sc_puts_count(in.data, in.len), 4);
    for (size_t item = 0; item < items; item++) {
        for (size_t size = begins[item]; size < begins[item + 1]; size++) {
            about("puts that are cut");
            bytes out, less = exact(in.data, size);
            size_t at, good = size == heads[0] || size == heads[1];
            EQUAL(grouped(less, SIZE_MAX, &out, &at), good ? SC_OK : SC_TRUNCATED);
            CHECK(good || at == begins[item]);
            EQUAL(sc_puts_count(less.data, less.len), counted[item]);
        }
        for (unsigned tag = 0; tag < 256; tag++) {
            bytes other = exact(in.data, in.len);
            other.data[begins[item]] = (uint8_t)tag;
            if (tag != in.data[begins[item]]) {
                damaged("another tag", other, SC_WIRE_TYPE, begins[item]);
            }
        }
        bytes one = exact(in.data, begins[item] + 1);
        one.data[begins[item]] ^= 1;
        damaged("another tag, cut behind it", one, SC_WIRE_TYPE, begins[item]);
    }

    about("sizes and counts over what is there");
    bytes more = exact(in.data, in.len);
    more.data[begins[items - 1] + 4]++;
    damaged("a string that is cut", more, SC_TRUNCATED, begins[items - 1]);
    memset(more.data + begins[items - 1] + 1, 0xff, 4);
    damaged("the longest", more, SC_TRUNCATED, begins[items - 1]);
    more = exact(in.data, in.len);
    more.data[heads[1] + 4] = 4;
    damaged("another put is missing", more, SC_TRUNCATED, in.len);
    memset(more.data + heads[1] + 1, 0xff, 3);
    more.data[heads[1] + 4] = 0xfe;
    damaged("as many as can be told", more, SC_TRUNCATED, in.len);
    more.data[heads[1] + 4] = 0xff;
    damaged("and one more", more, SC_WIRE_TYPE, heads[1]);
    for (uint8_t odd = 1; odd < 6; odd += 2) {
        more = exact(in.data, in.len);
        more.data[heads[1] + 4] = odd;
        damaged("a key without a value", more, SC_WIRE_TYPE, heads[1]);
        more.data[4] = odd;
        damaged("a key without a value in the first array", more, SC_WIRE_TYPE, 0);
    }
    damaged("bytes behind", join(in, hex("c0")), SC_WIRE_TYPE, in.len);

    put_list q = {.count = 0};
    put_text(&q, "i", "1");
    for (size_t size = 1; size < 2 + PLACE; size++) {
        q.count = 1;
        put(&q, join(text("h"), repeat(0, size - 1)), text("v"));
        damaged("a key that is too short for a block", whole(&q), SC_WIRE_TYPE, 5 + 6 + 6);
        damaged("and its value cut", exact(whole(&q).data, 5 + 6 + 6 + 5 + size), SC_WIRE_TYPE, 5 + 6 + 6);
        EQUAL(sc_puts_count(whole(&q).data, whole(&q).len), 1);
    }
    q.count = 1;
    put(&q, join(text("h"), repeat(0, 1 + PLACE)), text("v"));
    damaged("the shortest key of a block", whole(&q), SC_OK, whole(&q).len);
    q.keys[1].data[0] = 'i';
    q.keys[1].len = 5;
    damaged("others may be shorter", whole(&q), SC_OK, whole(&q).len);
}

static void rooms(void)
{
    put_list p = {.count = 0};
    put(&p, key_of("hr", 10, 1), text("one"));
    put_text(&p, "", "");
    put(&p, key_of("hs", 10, 1), text("alone"));
    put(&p, key_of("hr", 20, 1), (bytes){NULL, 0});
    put_text(&p, "key", "value");
    bytes in = whole(&p), out;
    size_t at, enough;
    about("too little room");
    EQUAL(grouped(in, SIZE_MAX, &out, &enough), SC_OK);
    /* A group is written whole or not at all. */
    const size_t ends[] = {5, 0, 5 + 2 * 5 + 20 + 9 + 2 * 17 + 3, 24, 10, 5, 5, 8, 10};
    for (size_t room = 0; room < enough; room++) {
        size_t items = 0, end = ends[0];
        for (size_t i = 1; i < COUNT(ends); i++) {
            end = i == 2 ? ends[i] : end + ends[i];
            items = end <= room && i > 1 ? i : items;
        }
        EQUAL(end, enough);
        EQUAL(grouped(in, room, &out, &at), SC_ROOM);
        EQUAL(at, items);
    }
    EQUAL(grouped(in, enough, &out, &at), SC_OK);
    EQUAL(at, enough);

    about("what needs the most room");
    put_list pairs = {.count = 0};
    for (uint8_t i = 0; i < MOST; i++) {
        bytes key = join(text("h"), join(number(i / 2, 1), place_at(0, i % 2)));
        put(&pairs, key, repeat(i, i % 2 ? 16 : SC_GROUP_BYTES - 16));
    }
    EQUAL(grouped(whole(&pairs), SIZE_MAX, &out, &at), SC_OK);
    EQUAL(at, whole(&pairs).len + MOST / 2 * 18);
}

/* A bit near the end of a word, and what comes of it where all factors are known: two rows for every pair of words. */
static void hashes(void)
{
    enum { SEEDS = 1000, BITS = 64, PAIR = 16 };
    about("rows that are told apart whatever the seed");
    for (unsigned bit = 0; bit < BITS; bit++) {
        for (unsigned then = 0; then < BITS; then++) {
            size_t equal_hashes = 0;
            for (size_t i = 0; i < SEEDS / BITS; i++) {
                uint64_t seed = random_number(), words[2] = {random_number(), random_number()}, others[2];
                others[0] = words[0] ^ UINT64_C(1) << bit;
                others[1] = words[1] ^ UINT64_C(1) << bit ^ UINT64_C(1) << then;
                equal_hashes += bytes_hash(seed, (uint8_t *)words, PAIR) == bytes_hash(seed, (uint8_t *)others, PAIR);
            }
            EQUAL(equal_hashes, 0);
        }
    }
}

void test_puts(void)
{
    hashes();
    groups();
    orders();
    limits();
    any_puts();
    wrong();
    rooms();
}
