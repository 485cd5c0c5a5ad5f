/* What several batches put, brought together by row. See scoutcore.h. */
#include "internal.h"

#define PLACE      16 /* what follows a row in the key of a block, of which the first 8 bytes are its time */
#define SHORTEST   (2 + PLACE)
#define GROUP_HEAD 9
#define ARRAY      0xdd
#define STRING     0xc6

/* The number behind a tag at in[*at]. */
static sc_status wide_get(const uint8_t *in, size_t len, size_t *at, uint8_t tag, size_t *number)
{
    if (*at == len)
        return SC_TRUNCATED;
    if (in[*at] != tag)
        return SC_WIRE_TYPE;
    if (len - *at < WIDE)
        return SC_TRUNCATED;
    *number = 0;
    for (size_t i = 1; i < WIDE; i++)
        *number = *number << 8 | in[*at + i];
    *at += WIDE;
    return SC_OK;
}

static sc_status string_get(const uint8_t *in, size_t len, size_t *at, size_t *start, size_t *size)
{
    size_t i = *at;
    sc_status status = wide_get(in, len, &i, STRING, size);
    if (status != SC_OK)
        return status;
    if (*size > len - i)
        return SC_TRUNCATED;
    *start = i;
    *at = i + *size;
    return SC_OK;
}

/* Reads all puts; puts may be null. */
static sc_status puts_read(const uint8_t *in, size_t len, sc_put *puts, size_t *count, size_t *at)
{
    *count = *at = 0;
    while (*at < len) {
        size_t head = *at, items;
        sc_status status = wide_get(in, len, at, ARRAY, &items);
        if (status == SC_OK && items % 2 != 0) {
            *at = head;
            status = SC_WIRE_TYPE;
        }
        for (size_t i = 0; i < items && status == SC_OK; i += 2, (*count)++) {
            sc_put one = {0, 0, 0, 0, 0, 0};
            size_t key = *at;
            status = string_get(in, len, at, &one.key, &one.key_len);
            if (status == SC_OK && one.key_len > 0 && in[one.key] == 'h' && one.key_len < SHORTEST) {
                *at = key;
                status = SC_WIRE_TYPE;
            }
            if (status == SC_OK)
                status = string_get(in, len, at, &one.value, &one.value_len);
            if (status != SC_OK)
                break;
            if (puts)
                puts[*count] = one;
        }
        if (status != SC_OK)
            return status;
    }
    return SC_OK;
}

size_t sc_puts_count(const uint8_t *in, size_t len)
{
    size_t count, at;
    puts_read(in, len, NULL, &count, &at);
    return count;
}

static bool is_block(const uint8_t *in, const sc_put *put)
{
    return put->key_len > 0 && in[put->key] == 'h';
}

/* Links the blocks of each row: puts[i].last is set for the first one only, to the last one's number + 1. */
static void rows_link(const uint8_t *in, sc_put *puts, size_t count, uint64_t seed, uint32_t *table, size_t table_size)
{
    memset(table, 0, table_size * sizeof *table);
    for (size_t k = 0; k < count; k++) {
        if (!is_block(in, &puts[k]))
            continue;
        size_t size = puts[k].key_len - PLACE;
        size_t i = bytes_hash(seed, in + puts[k].key, size) & (table_size - 1);
        for (; table[i] != 0; i = (i + 1) & (table_size - 1)) {
            const sc_put *first = &puts[table[i] - 1];
            if (first->key_len == puts[k].key_len && memcmp(in + first->key, in + puts[k].key, size) == 0)
                break;
        }
        if (table[i] == 0)
            table[i] = (uint32_t)k + 1;
        else
            puts[puts[table[i] - 1].last - 1].next = (uint32_t)k + 1;
        puts[table[i] - 1].last = (uint32_t)k + 1;
    }
}

static const uint8_t *place_of(const uint8_t *in, const sc_put *put)
{
    return in + put->key + put->key_len - PLACE;
}

/* By place; where that is the same, as they stood. */
static bool is_before(const uint8_t *in, const sc_put *puts, uint32_t a, uint32_t b)
{
    int order = memcmp(place_of(in, &puts[a]), place_of(in, &puts[b]), PLACE);
    return order < 0 || (order == 0 && a < b);
}

static void sift(const uint8_t *in, const sc_put *puts, uint32_t *heap, size_t root, size_t count)
{
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && is_before(in, puts, heap[child], heap[child + 1]))
            child++;
        if (!is_before(in, puts, heap[root], heap[child]))
            return;
        uint32_t moved = heap[root];
        heap[root] = heap[child];
        heap[child] = moved;
    }
}

/* A heap sort; mostly they are in order. */
static void places_sort(const uint8_t *in, const sc_put *puts, uint32_t *order, size_t count)
{
    size_t sorted = 1;
    while (sorted < count && is_before(in, puts, order[sorted - 1], order[sorted]))
        sorted++;
    if (sorted >= count)
        return;
    for (size_t root = count / 2; root > 0; root--)
        sift(in, puts, order, root - 1, count);
    for (size_t end = count - 1; end > 0; end--) {
        uint32_t moved = order[0];
        order[0] = order[end];
        order[end] = moved;
        sift(in, puts, order, 0, end);
    }
}

static uint64_t time_of(const uint8_t *in, const sc_put *put)
{
    const uint8_t *place = place_of(in, put);
    uint64_t t = 0;
    for (size_t i = 0; i < 8; i++)
        t = t << 8 | place[i];
    return t;
}

/* What is written. */
typedef struct output {
    uint8_t *out;
    size_t room, size, items;
} output;

static bool has_room(const output *o, size_t size)
{
    return size <= o->room - o->size;
}

static bool string_put(output *o, const uint8_t *in, size_t start, size_t size)
{
    if (!has_room(o, WIDE + size))
        return false;
    o->size += wide_put(o->out + o->size, STRING, size);
    copy_slice(o->out + o->size, in, start, size);
    o->size += size;
    o->items++;
    return true;
}

static bool put_put(output *o, const uint8_t *in, const sc_put *put)
{
    return string_put(o, in, put->key, put->key_len) && string_put(o, in, put->value, put->value_len);
}

/* The blocks order[0..count], 2 or more, as one. */
static bool group_put(output *o, const uint8_t *in, const sc_put *puts, const uint32_t *order, size_t count)
{
    const sc_put *first = &puts[order[0]];
    size_t size = GROUP_HEAD;
    for (size_t i = 0; i < count; i++) {
        size_t block = PLACE + puts[order[i]].value_len;
        size += varint_size(block) + block;
    }
    if (!has_room(o, 2 * WIDE + first->key_len + 1 + size))
        return false;
    uint8_t *out = o->out + o->size;
    out += wide_put(out, STRING, first->key_len + 1);
    copy_slice(out, in, first->key, first->key_len);
    out += first->key_len;
    *out++ = 'g';
    out += wide_put(out, STRING, size);
    *out++ = 2;
    uint64_t span = time_of(in, &puts[order[count - 1]]) - time_of(in, first);
    for (size_t i = 0; i < 8; i++)
        *out++ = (uint8_t)(span >> 8 * (7 - i));
    for (size_t i = 0; i < count; i++) {
        const sc_put *one = &puts[order[i]];
        out += varint_put(out, PLACE + one->value_len);
        memcpy(out, place_of(in, one), PLACE);
        copy_slice(out + PLACE, in, one->value, one->value_len);
        out += PLACE + one->value_len;
    }
    o->size = (size_t)(out - o->out);
    o->items += 2;
    return true;
}

/* How many of the blocks order[0..count] make one group. */
static size_t group_size(const uint8_t *in, const sc_put *puts, const uint32_t *order, size_t count)
{
    uint64_t begin = time_of(in, &puts[order[0]]);
    size_t bytes = puts[order[0]].value_len, size = 1;
    for (; size < count; size++) {
        const sc_put *one = &puts[order[size]];
        bytes += one->value_len;
        if (bytes > SC_GROUP_BYTES || time_of(in, one) - begin > SC_GROUP_SPAN)
            break;
    }
    return size;
}

static bool row_put(output *o, const uint8_t *in, const sc_put *puts, size_t first, uint32_t *order)
{
    size_t count = 0;
    for (size_t k = first + 1; k != 0; k = puts[k - 1].next)
        order[count++] = (uint32_t)k - 1;
    places_sort(in, puts, order, count);
    for (size_t i = 0, size; i < count; i += size) {
        size = group_size(in, puts, order + i, count - i);
        if (size > 1 ? !group_put(o, in, puts, order + i, size) : !put_put(o, in, &puts[order[i]]))
            return false;
    }
    return true;
}

sc_status sc_puts_group(const uint8_t *in, size_t len, uint64_t seed, sc_put *puts, uint32_t *order, uint32_t *table,
                        size_t table_size, uint8_t *out, size_t room, size_t *at)
{
    size_t count;
    sc_status status = puts_read(in, len, puts, &count, at);
    if (status != SC_OK)
        return status;
    rows_link(in, puts, count, seed, table, table_size);
    *at = 0;
    if (room < WIDE)
        return SC_ROOM;
    output o = {out, room, WIDE, 0};
    bool fits = true;
    for (size_t k = 0; k < count && fits; k++)
        if (puts[k].last != 0)
            fits = row_put(&o, in, puts, k, order);
    for (size_t k = 0; k < count && fits; k++)
        if (!is_block(in, &puts[k]))
            fits = put_put(&o, in, &puts[k]);
    wide_put(out, ARRAY, o.items);
    *at = fits ? o.size : o.items;
    return fits ? SC_OK : SC_ROOM;
}
