/* Puts, in any bytes or made of the input, against a slow writer: the same array, or the same error. */
#include "fuzz.h"

#define HEAD  5
#define PLACE 16

typedef struct item {
    size_t key, key_len, value, value_len;
    int taken;
} item;

static size_t number_at(const uint8_t *in)
{
    return (size_t)in[0] << 24 | (size_t)in[1] << 16 | (size_t)in[2] << 8 | in[3];
}

/* String by string; left: of the array that is read. */
static sc_status items_read(const uint8_t *in, size_t len, item *items, size_t *count, size_t *at)
{
    size_t left = 0;
    *at = *count = 0;
    while (*at < len || left > 0) {
        if (*at == len)
            return SC_TRUNCATED;
        if (in[*at] != (left > 0 ? 0xc6 : 0xdd))
            return SC_WIRE_TYPE;
        if (*at + HEAD > len)
            return SC_TRUNCATED;
        size_t number = number_at(in + *at + 1), content = *at + HEAD;
        if (left == 0) {
            if (number % 2 == 1)
                return SC_WIRE_TYPE;
            left = number;
            *at = content;
            continue;
        }
        if (content + number > len)
            return SC_TRUNCATED;
        item *one = &items[*count];
        if (left % 2 == 0 && number > 0 && in[content] == 'h' && number < 2 + PLACE)
            return SC_WIRE_TYPE;
        if (left % 2 == 0) {
            *one = (item){content, number, 0, 0, 0};
        } else {
            one->value = content;
            one->value_len = number;
            (*count)++;
        }
        left--;
        *at = content + number;
    }
    return SC_OK;
}

static int is_block(const uint8_t *in, const item *one) { return one->key_len > 0 && in[one->key] == 'h'; }

static const uint8_t *place_of(const uint8_t *in, const item *one) { return in + one->key + one->key_len - PLACE; }

static uint64_t time_of(const uint8_t *in, const item *one)
{
    const uint8_t *place = place_of(in, one);
    return (uint64_t)number_at(place) << 32 | number_at(place + 4);
}

static size_t head_put(uint8_t *out, uint8_t tag, size_t number)
{
    out[0] = tag;
    for (size_t i = 4; i > 0; i--, number >>= 8)
        out[i] = (uint8_t)number;
    return HEAD;
}

static size_t bytes_put(uint8_t *out, const uint8_t *in, size_t size)
{
    if (size > 0)
        memcpy(out, in, size);
    return size;
}

static size_t string_put(uint8_t *out, const uint8_t *in, size_t size)
{
    return head_put(out, 0xc6, size) + bytes_put(out + HEAD, in, size);
}

/* The blocks group[0..count] of a row, as one put. */
static size_t group_put(uint8_t *out, const uint8_t *in, const item *items, const size_t *group, size_t count)
{
    const item *first = &items[group[0]];
    size_t at = string_put(out, in + first->key, first->key_len);
    if (count == 1)
        return at + string_put(out + at, in + first->value, first->value_len);
    head_put(out, 0xc6, first->key_len + 1);
    out[at++] = 'g';
    size_t value = at;
    at += HEAD;
    out[at++] = 2;
    uint64_t span = time_of(in, &items[group[count - 1]]) - time_of(in, first);
    for (unsigned shift = 64; shift > 0; shift -= 8)
        out[at++] = (uint8_t)(span >> (shift - 8));
    for (size_t i = 0; i < count; i++) {
        const item *one = &items[group[i]];
        at += sc_varint_put(out + at, PLACE + one->value_len);
        at += bytes_put(out + at, place_of(in, one), PLACE);
        at += bytes_put(out + at, in + one->value, one->value_len);
    }
    head_put(out + value, 0xc6, at - value - HEAD);
    return at;
}

/* The first of the least of the row of k that is not taken; count: there is none. */
static size_t least_of(const uint8_t *in, const item *items, size_t count, size_t k)
{
    size_t least = count;
    for (size_t i = k; i < count; i++) {
        const item *one = &items[i];
        if (one->taken || !is_block(in, one) || one->key_len != items[k].key_len ||
            !same(in + one->key, in + items[k].key, one->key_len - PLACE))
            continue;
        if (least == count || memcmp(place_of(in, one), place_of(in, &items[least]), PLACE) < 0)
            least = i;
    }
    return least;
}

static size_t written_slowly(const uint8_t *in, item *items, size_t count, size_t *group, uint8_t *out)
{
    size_t at = HEAD, puts = 0;
    for (size_t k = 0; k < count; k++) {
        if (!is_block(in, &items[k]) || items[k].taken)
            continue;
        for (size_t next = 0, size = 0, bytes = 0; next < count;) {
            next = least_of(in, items, count, k);
            const item *one = next < count ? &items[next] : NULL;
            if (size > 0 && (one == NULL || bytes + one->value_len > SC_GROUP_BYTES ||
                             time_of(in, one) - time_of(in, &items[group[0]]) > SC_GROUP_SPAN)) {
                at += group_put(out + at, in, items, group, size);
                puts++;
                size = bytes = 0;
            }
            if (one == NULL)
                break;
            items[next].taken = 1;
            group[size++] = next;
            bytes += one->value_len;
        }
    }
    for (size_t k = 0; k < count; k++) {
        if (is_block(in, &items[k]))
            continue;
        at += string_put(out + at, in + items[k].key, items[k].key_len);
        at += string_put(out + at, in + items[k].value, items[k].value_len);
        puts++;
    }
    head_put(out, 0xdd, 2 * puts);
    return at;
}

static void check_puts(const uint8_t *in, size_t len, uint64_t seed)
{
    size_t count = sc_puts_count(in, len), table_size = 1, at = 99, found, where;
    while (table_size < 2 * count)
        table_size *= 2;
    REQUIRE(count <= len / (2 * HEAD));
    item *items = room_for((count + 1) * sizeof *items);
    sc_status want = items_read(in, len, items, &found, &where);
    REQUIRE(found == count);

    sc_put *puts = room_for(count * sizeof *puts);
    uint32_t *order = room_for(count * sizeof *order), *table = room_for(table_size * sizeof *table);
    size_t room = len + 16 * count + HEAD;
    uint8_t *out = room_for(room);
    REQUIRE(sc_puts_group(in, len, seed, puts, order, table, table_size, out, room, &at) == want);
    if (want != SC_OK) {
        REQUIRE(at == where);
        return;
    }
    uint8_t *slow = room_for(room);
    size_t end = written_slowly(in, items, count, room_for(count * sizeof(size_t)), slow);
    REQUIRE(at == end && same(out, slow, end));
    for (size_t less = 0; less < end; less += 1 + less / 2) {
        uint8_t *small = room_for(less);
        REQUIRE(sc_puts_group(in, len, seed, puts, order, table, table_size, small, less, &at) == SC_ROOM);
        REQUIRE(at <= number_at(out + 1) && (less < HEAD || same(small + HEAD, out + HEAD, at > 0 ? HEAD : 0)));
    }
}

/* Puts of few rows, near one another or anywhere, in two arrays; few are long. */
static size_t puts_made(input *in, uint8_t *out)
{
    enum { SMALL = 200, LARGE = SC_GROUP_BYTES - 54 };
    static const uint8_t value[LARGE + 56], key[4 + 1 + PLACE] = "habc";
    size_t at = HEAD, head = 0, items = 0;
    for (size_t puts = 0; in->len > 0 && puts < 20; puts++, items += 2) {
        uint8_t kind = take_byte(in);
        if (kind >= 0xf0 && head == 0) {
            head_put(out, 0xdd, items);
            head = at;
            at += HEAD;
            items = 0;
        }
        uint64_t time = kind & 8 ? take_number(in) : take_byte(in) * (uint64_t)(SC_GROUP_SPAN / 2) + take_byte(in) % 3;
        size_t row = 1 + kind % 4, size = take_byte(in);
        uint8_t *name = out + at + HEAD;
        at += string_put(out + at, key, kind & 0xc0 ? row + 1 + PLACE : 0);
        if (kind & 0xc0) {
            name[0] = kind & 0x30 ? 'h' : 'i';
            for (size_t i = 0; i < PLACE; i++)
                name[row + 1 + i] = i < 8 ? (uint8_t)(time >> 8 * (7 - i)) : i == 15 ? kind >> 2 & 1 : 0;
        }
        at += string_put(out + at, value, size < SMALL || at > 3 * LARGE ? size : LARGE + size - SMALL);
    }
    head_put(out + head, 0xdd, items);
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    input in = {data, len};
    uint8_t kind = take_byte(&in);
    if (kind & 1) {
        static uint8_t made[2 * HEAD + 20 * (2 * HEAD + 5 + PLACE + SC_GROUP_BYTES + 2)];
        size_t size = puts_made(&in, made);
        check_puts(exact(made, size), size, kind);
    } else {
        check_puts(exact(in.data, in.len), in.len, kind);
    }
    return free_all();
}
