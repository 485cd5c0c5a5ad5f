/* Lists of objects as msgpack: see scoutcore.h. */
#include "internal.h"

enum { FORM_BYTES, FORM_BYTES_OR_NIL, FORM_TEXT, FORM_TEXT_OR_NIL };
enum { NIL = 0xc0, BYTES = 0xc4, NUMBER = 0xcc, TEXT = 0xd9, ARRAY = 0xdc }; /* the first tag of each kind */

#define SHORT_TEXT 0xa0u /* with its size, below 32, in the tag */
#define SHORT_ARRAY 0x90u /* with its count, below 16 */
#define ARRAY_HEAD 5u
#define ITEM_HEAD 5u /* the longest of a string */
#define CHANGE_ITEMS 6
#define ROW_ITEMS 3

/* ---- writing ---- */

/* A tag and width bytes of number, big end first. */
static size_t head_put(uint8_t *out, unsigned tag, uint64_t number, unsigned width)
{
    out[0] = (uint8_t)tag;
    for (unsigned i = 0; i < width; i++)
        out[1 + i] = (uint8_t)(number >> 8 * (width - 1 - i));
    return 1 + width;
}

static size_t string_head_put(uint8_t *out, unsigned kind, uint64_t size)
{
    if (kind == TEXT && size < 32)
        return head_put(out, SHORT_TEXT | (unsigned)size, 0, 0);
    return size < 0x100 ? head_put(out, kind, size, 1)
                        : size < 0x10000 ? head_put(out, kind + 1, size, 2) : head_put(out, kind + 2, size, 4);
}

sc_status sc_msgpack_slices(const uint8_t *data, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                            int form, uint8_t *out, size_t room, size_t *rows, size_t *at)
{
    size_t done = 0, end = ARRAY_HEAD;
    while (done < count && done < UINT32_MAX && end <= room && room - end >= ITEM_HEAD) {
        bool absent = starts[done] == SC_ABSENT && ends[done] == SC_ABSENT;
        uint64_t start = absent ? 0 : starts[done], stop = absent ? 0 : ends[done];
        if (!slice_ok(start, stop, len)) {
            *at = done;
            return SC_BOUNDS;
        }
        size_t size = (size_t)(stop - start);
        if (size > room - end - ITEM_HEAD || size > UINT32_MAX)
            break;
        if ((absent && form == FORM_BYTES_OR_NIL) || (size == 0 && form == FORM_TEXT_OR_NIL))
            end += head_put(out + end, NIL, 0, 0);
        else
            end += string_head_put(out + end, form >= FORM_TEXT ? TEXT : BYTES, size);
        copy_slice(out + end, data, (size_t)start, size);
        end += size;
        done++;
    }
    *rows = done;
    *at = 0;
    if (room < ARRAY_HEAD)
        return SC_OK;
    head_put(out, ARRAY + 1, done, 4);
    *at = end;
    return SC_OK;
}

size_t sc_slices_same(const uint8_t *data, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count)
{
    size_t same = 0;
    while (same < count) {
        bool absent = starts[same] == SC_ABSENT && ends[same] == SC_ABSENT;
        if (absent != (starts[0] == SC_ABSENT && ends[0] == SC_ABSENT))
            break;
        if (!absent) {
            uint64_t size = ends[0] - starts[0];
            if (!slice_ok(starts[same], ends[same], len) || ends[same] - starts[same] != size)
                break;
            if (size > 0 && memcmp(data + starts[0], data + starts[same], (size_t)size) != 0)
                break;
        }
        same++;
    }
    return same;
}

/* ---- reading ---- */

typedef struct item {
    unsigned kind;
    uint64_t number; /* of a string the size; it begins at start */
    size_t start;
} item;

/* The tag at in[*at] as kind and width of the number behind it; without one the number itself is in the tag. */
static sc_status tag_read(unsigned tag, item *found, unsigned *width)
{
    *width = 0;
    if (tag < 0x80) {
        found->kind = NUMBER;
        found->number = tag;
    } else if (tag >= SHORT_ARRAY && tag < SHORT_TEXT) {
        found->kind = ARRAY;
        found->number = tag - SHORT_ARRAY;
    } else if (tag >= SHORT_TEXT && tag < NIL) {
        found->kind = TEXT;
        found->number = tag - SHORT_TEXT;
    } else if (tag == NIL) {
        found->kind = NIL;
        found->number = 0;
    } else if (tag >= BYTES && tag <= BYTES + 2) {
        found->kind = BYTES;
        *width = 1u << (tag - BYTES);
    } else if (tag >= NUMBER && tag <= NUMBER + 3) {
        found->kind = NUMBER;
        *width = 1u << (tag - NUMBER);
    } else if (tag >= TEXT && tag <= TEXT + 2) {
        found->kind = TEXT;
        *width = 1u << (tag - TEXT);
    } else if (tag >= ARRAY && tag <= ARRAY + 1) {
        found->kind = ARRAY;
        *width = 2u << (tag - ARRAY);
    } else {
        return SC_WIRE_TYPE;
    }
    return SC_OK;
}

/* Reads an item, of an array only its head; *at moves behind it. */
static sc_status item_read(const uint8_t *in, size_t len, size_t *at, item *found)
{
    unsigned width;
    if (*at >= len)
        return SC_TRUNCATED;
    sc_status status = tag_read(in[*at], found, &width);
    if (status != SC_OK)
        return status;
    size_t next = *at + 1;
    if (width > len - next)
        return SC_TRUNCATED;
    if (width > 0)
        found->number = 0;
    for (unsigned i = 0; i < width; i++)
        found->number = found->number << 8 | in[next++];
    found->start = next;
    if (found->kind == BYTES || found->kind == TEXT) {
        if (found->number > len - next)
            return SC_TRUNCATED;
        next += (size_t)found->number;
    }
    *at = next;
    return SC_OK;
}

static sc_status kind_read(const uint8_t *in, size_t len, size_t *at, unsigned kind, item *found)
{
    sc_status status = item_read(in, len, at, found);
    return status == SC_OK && found->kind != kind ? SC_WIRE_TYPE : status;
}

size_t sc_msgpack_count(const uint8_t *in, size_t len)
{
    item array;
    size_t at = 0;
    return kind_read(in, len, &at, ARRAY, &array) == SC_OK ? (size_t)array.number : 0;
}

sc_status sc_msgpack_pack(const uint8_t *in, size_t len, size_t extra, uint8_t *out, size_t room, size_t *at)
{
    item array, bytes;
    size_t next = 0, end = 0;
    sc_status status = kind_read(in, len, &next, ARRAY, &array);
    for (uint64_t i = 0; status == SC_OK && i < array.number; i++) {
        status = kind_read(in, len, &next, BYTES, &bytes);
        if (status != SC_OK)
            break;
        size_t size = (size_t)bytes.number, left = room - end;
        if (left < extra || left - extra < size || left - extra - size < varint_size(size)) {
            status = SC_ROOM;
            break;
        }
        if (extra > 0)
            memset(out + end, 0, extra);
        end += extra;
        end += varint_put(out + end, size);
        copy_slice(out + end, in, bytes.start, size);
        end += size;
    }
    if (status == SC_OK && next < len)
        status = SC_WIRE_TYPE;
    *at = status == SC_OK ? end : next;
    return status;
}

sc_status sc_msgpack_offsets(const uint8_t *in, size_t len, uint64_t *offsets, size_t *at)
{
    item array, bytes;
    *at = 0;
    sc_status status = kind_read(in, len, at, ARRAY, &array);
    offsets[0] = 0;
    for (size_t i = 0; status == SC_OK && i < array.number; i++) {
        status = kind_read(in, len, at, BYTES, &bytes);
        if (status == SC_OK)
            offsets[i + 1] = offsets[i] + bytes.number;
    }
    return status == SC_OK && *at < len ? SC_WIRE_TYPE : status;
}

/* maybe: nil, and an empty text, are absent. */
static sc_status text_column(const uint8_t *in, size_t len, size_t *at, unsigned kind, bool maybe, uint64_t *start,
                             uint64_t *end)
{
    item text;
    sc_status status = item_read(in, len, at, &text);
    if (status != SC_OK)
        return status;
    bool absent = maybe && (text.kind == NIL || (text.kind == TEXT && text.number == 0));
    *start = absent ? SC_ABSENT : text.start;
    *end = absent ? SC_ABSENT : text.start + text.number;
    return (absent && text.kind == NIL) || text.kind == kind ? SC_OK : SC_WIRE_TYPE;
}

static sc_status number_column(const uint8_t *in, size_t len, size_t *at, uint32_t *number)
{
    item found;
    sc_status status = kind_read(in, len, at, NUMBER, &found);
    if (status == SC_OK && found.number > UINT32_MAX)
        return SC_UINT32;
    *number = status == SC_OK ? (uint32_t)found.number : 0;
    return status;
}

static sc_status change_item(const uint8_t *in, size_t len, size_t *at, sc_changes *c, size_t i)
{
    item array;
    sc_status status = kind_read(in, len, at, ARRAY, &array);
    if (status == SC_OK && array.number != CHANGE_ITEMS)
        status = SC_WIRE_TYPE;
    if (status == SC_OK)
        status = text_column(in, len, at, TEXT, false, &c->key_starts[i], &c->key_ends[i]);
    if (status == SC_OK)
        status = number_column(in, len, at, &c->change[i]);
    if (status == SC_OK)
        status = number_column(in, len, at, &c->from[i]);
    if (status == SC_OK)
        status = number_column(in, len, at, &c->to[i]);
    if (status == SC_OK)
        status = text_column(in, len, at, BYTES, true, &c->value_starts[i], &c->value_ends[i]);
    if (status == SC_OK)
        status = text_column(in, len, at, TEXT, true, &c->subset_starts[i], &c->subset_ends[i]);
    return status;
}

sc_status sc_msgpack_changes(const uint8_t *in, size_t len, sc_changes *changes, size_t *at)
{
    item array;
    *at = 0;
    changes->subset_data = changes->key_data = changes->value_data = in;
    changes->subset_len = changes->key_len = changes->value_len = len;
    sc_status status = kind_read(in, len, at, ARRAY, &array);
    for (size_t i = 0; status == SC_OK && i < array.number; i++)
        status = change_item(in, len, at, changes, i);
    return status == SC_OK && *at < len ? SC_WIRE_TYPE : status;
}

/* An item that nobody asks for: no array. */
static sc_status item_pass(const uint8_t *in, size_t len, size_t *at)
{
    item found;
    sc_status status = item_read(in, len, at, &found);
    return status == SC_OK && found.kind == ARRAY ? SC_WIRE_TYPE : status;
}

sc_status sc_msgpack_rows(const uint8_t *in, size_t len, uint64_t *columns, sc_rows *rows, size_t *at)
{
    item array, row;
    *at = 0;
    rows->count = sc_msgpack_count(in, len);
    rows->keys = rows->suffixes = rows->records = in;
    rows->keys_len = rows->suffixes_len = rows->records_len = len;
    uint64_t **const starts[] = {&rows->key_starts, &rows->suffix_starts, &rows->record_starts};
    uint64_t **const ends[] = {&rows->key_ends, &rows->suffix_ends, &rows->record_ends};
    for (size_t k = 0; k < ROW_ITEMS && rows->count > 0; k++) {
        *starts[k] = columns + 2 * k * rows->count;
        *ends[k] = *starts[k] + rows->count;
    }
    sc_status status = kind_read(in, len, at, ARRAY, &array);
    for (size_t i = 0; status == SC_OK && i < rows->count; i++) {
        status = kind_read(in, len, at, ARRAY, &row);
        if (status == SC_OK && row.number < ROW_ITEMS)
            status = SC_WIRE_TYPE;
        for (size_t k = 0; status == SC_OK && k < ROW_ITEMS; k++)
            status = text_column(in, len, at, BYTES, false, &(*starts[k])[i], &(*ends[k])[i]);
        for (size_t k = ROW_ITEMS; status == SC_OK && k < row.number; k++)
            status = item_pass(in, len, at);
    }
    return status == SC_OK && *at < len ? SC_WIRE_TYPE : status;
}
