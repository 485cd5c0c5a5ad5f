/* The protobuf message Change: see scoutcore.h. */
#include "change.h"

enum { SUBSET = 1, KEY, CHANGE, FROM, TO, VALUE, FIELDS };
enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

#define TAG(field, wire) ((uint8_t)((field) << 3 | (wire)))
#define BIT(field) (1u << (field))
#define REQUIRED (BIT(KEY) | BIT(CHANGE) | BIT(FROM) | BIT(TO))

/* ---- encoding ---- */

static bool text_find(text *found, const uint8_t *data, size_t len, uint64_t start, uint64_t end)
{
    *found = (text){data, 0, 0, false};
    if (start == SC_ABSENT && end == SC_ABSENT)
        return true;
    if (!slice_ok(start, end, len))
        return false;
    *found = (text){data, (size_t)start, (size_t)(end - start), true};
    return true;
}

static bool change_find(change *found, const sc_changes *c, size_t i)
{
    found->change = c->change[i];
    found->from = c->from[i];
    found->to = c->to[i];
    return text_find(&found->subset, c->subset_data, c->subset_len, c->subset_starts[i], c->subset_ends[i]) &&
           text_find(&found->key, c->key_data, c->key_len, c->key_starts[i], c->key_ends[i]) &&
           text_find(&found->value, c->value_data, c->value_len, c->value_starts[i], c->value_ends[i]);
}

static uint64_t text_size(const text *t)
{
    return (uint64_t)1 + varint_size(t->size) + t->size;
}

/* Of the frame's content with its id: what its length varint says. An empty subset is none and is not written. */
static uint64_t change_size(const change *c)
{
    uint64_t size = 4 + text_size(&c->key) + varint_size(c->change) + varint_size(c->from) + varint_size(c->to);
    if (c->subset.size > 0)
        size += text_size(&c->subset);
    if (c->value.there)
        size += text_size(&c->value);
    return size;
}

static uint8_t *text_put(uint8_t *out, uint8_t tag, const text *t)
{
    *out++ = tag;
    out += varint_put(out, t->size);
    copy_slice(out, t->data, t->start, t->size);
    return out + t->size;
}

static uint8_t *number_put(uint8_t *out, uint8_t tag, uint32_t number)
{
    *out++ = tag;
    return out + varint_put(out, number);
}

static void change_write(uint8_t *out, const change *c, uint64_t size)
{
    out += varint_put(out, size);
    *out++ = SC_FRAME_CHANGE;
    if (c->subset.size > 0)
        out = text_put(out, TAG(SUBSET, WIRE_BYTES), &c->subset);
    out = text_put(out, TAG(KEY, WIRE_BYTES), &c->key);
    out = number_put(out, TAG(CHANGE, WIRE_VARINT), c->change);
    out = number_put(out, TAG(FROM, WIRE_VARINT), c->from);
    out = number_put(out, TAG(TO, WIRE_VARINT), c->to);
    if (c->value.there)
        text_put(out, TAG(VALUE, WIRE_BYTES), &c->value);
}

static bool text_utf8(const text *t)
{
    return text_ok(t->data, t->start, t->start + t->size);
}

sc_status change_put(const change *c, uint64_t max_frame, uint8_t *out, size_t room, size_t *end)
{
    if (!c->key.there)
        return SC_FIELD_MISSING;
    if (!text_utf8(&c->key) || !text_utf8(&c->subset))
        return SC_UTF8;
    uint64_t size = change_size(c);
    if (size > max_frame)
        return SC_FRAME_SIZE;
    if (varint_size(size) + size > room - *end)
        return SC_ROOM;
    change_write(out + *end, c, size);
    *end += varint_size(size) + (size_t)size;
    return SC_OK;
}

size_t sc_changes_size(const sc_changes *changes, size_t count)
{
    uint64_t size = 0;
    for (size_t i = 0; i < count; i++) {
        change c;
        /* Nothing is written from a wrong row on: it needs no room. */
        if (!change_find(&c, changes, i))
            break;
        uint64_t content = change_size(&c);
        size += varint_size(content) + content;
    }
    return (size_t)size;
}

sc_status sc_changes_encode(const sc_changes *changes, size_t count, uint64_t max_frame, uint8_t *out, size_t room,
                            uint64_t *frame_ends, size_t *at)
{
    size_t end = 0;
    for (size_t i = 0; i < count; i++) {
        change c;
        sc_status status =
            change_find(&c, changes, i) ? change_put(&c, max_frame, out, room, &end) : SC_BOUNDS;
        if (status != SC_OK) {
            *at = i;
            return status;
        }
        frame_ends[i] = end;
    }
    *at = end;
    return SC_OK;
}

/* ---- decoding ---- */

typedef struct fields {
    unsigned seen;
    uint64_t starts[FIELDS], ends[FIELDS]; /* of texts */
    uint32_t numbers[FIELDS];
} fields;

/* As varint_get, of a change that is there whole: an end in mid-number is an error of its own. */
static sc_status varint_inside(const uint8_t *in, size_t end, size_t *at, uint64_t *value)
{
    sc_status status = varint_get(in, end, at, value);
    return status == SC_TRUNCATED ? SC_FIELD_SIZE : status;
}

static sc_status tag_check(uint64_t tag)
{
    if (tag > UINT32_MAX)
        return SC_UINT32;
    unsigned wire = tag & 7;
    switch (tag >> 3) {
    case 0:
        return SC_FIELD_NUMBER;
    case SUBSET:
    case KEY:
    case VALUE:
        return wire == WIRE_BYTES ? SC_OK : SC_WIRE_TYPE;
    case CHANGE:
    case FROM:
    case TO:
        return wire == WIRE_VARINT ? SC_OK : SC_WIRE_TYPE;
    default:
        return wire == WIRE_VARINT || wire == WIRE_64 || wire == WIRE_BYTES || wire == WIRE_32 ? SC_OK : SC_WIRE_TYPE;
    }
}

/* The field at in[*at]; *at moves behind it, or to what is wrong. Of repeated fields the last stays. */
static sc_status field_read(const uint8_t *in, size_t end, size_t *at, fields *found)
{
    size_t field = *at;
    uint64_t tag, value;
    sc_status status = varint_inside(in, end, at, &tag);
    if (status != SC_OK)
        return status;
    status = tag_check(tag);
    uint64_t number = tag >> 3;
    unsigned wire = tag & 7;
    if (status == SC_OK && (wire == WIRE_VARINT || wire == WIRE_BYTES)) {
        status = varint_inside(in, end, at, &value);
        if (status != SC_OK)
            return status;
    } else {
        value = wire == WIRE_64 ? 8 : 4;
    }
    if (status == SC_OK && wire == WIRE_VARINT) {
        if (number >= FIELDS)
            return SC_OK;
        if (value <= UINT32_MAX) {
            found->numbers[number] = (uint32_t)value;
            found->seen |= BIT(number);
            return SC_OK;
        }
        status = SC_UINT32;
    }
    if (status == SC_OK && value > end - *at)
        status = SC_FIELD_SIZE;
    if (status == SC_OK && number <= KEY && !text_ok(in, *at, *at + (size_t)value))
        status = SC_UTF8;
    if (status != SC_OK) {
        *at = field;
        return status;
    }
    if (number < FIELDS) {
        found->starts[number] = *at;
        found->ends[number] = *at + value;
        found->seen |= BIT(number);
    }
    *at += (size_t)value;
    return SC_OK;
}

/* The three below read a change as sc_changes_encode writes it, which nearly all are. At anything else they give up:
 * field_read then judges it. */
static bool text_next(const uint8_t *in, size_t end, size_t *at, unsigned field, fields *found)
{
    size_t i = *at;
    if (i >= end || in[i] != TAG(field, WIRE_BYTES))
        return false;
    uint64_t size;
    i++;
    if (varint_get(in, end, &i, &size) != SC_OK || size > end - i)
        return false;
    found->starts[field] = i;
    found->ends[field] = i + size;
    found->seen |= BIT(field);
    *at = i + (size_t)size;
    return true;
}

static bool number_next(const uint8_t *in, size_t end, size_t *at, unsigned field, fields *found)
{
    size_t i = *at;
    if (i >= end || in[i++] != TAG(field, WIRE_VARINT))
        return false;
    uint64_t number = 0;
    for (unsigned shift = 0; i < end && shift < 35; shift += 7) {
        uint8_t byte = in[i++];
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            found->numbers[field] = (uint32_t)number;
            found->seen |= BIT(field);
            *at = i;
            return number <= UINT32_MAX;
        }
    }
    return false;
}

static bool change_read_plain(const uint8_t *in, size_t start, size_t end, fields *found)
{
    size_t at = start;
    found->seen = 0;
    if (text_next(in, end, &at, SUBSET, found) && !text_ok(in, (size_t)found->starts[SUBSET], (size_t)found->ends[SUBSET]))
        return false;
    if (!text_next(in, end, &at, KEY, found) || !text_ok(in, (size_t)found->starts[KEY], (size_t)found->ends[KEY]))
        return false;
    if (!number_next(in, end, &at, CHANGE, found) || !number_next(in, end, &at, FROM, found) ||
        !number_next(in, end, &at, TO, found))
        return false;
    text_next(in, end, &at, VALUE, found);
    return at == end;
}

static sc_status change_read(const uint8_t *in, size_t start, size_t end, fields *found, size_t *at)
{
    if (change_read_plain(in, start, end, found))
        return SC_OK;
    found->seen = 0;
    *at = start;
    while (*at < end) {
        sc_status status = field_read(in, end, at, found);
        if (status != SC_OK)
            return status;
    }
    *at = start;
    return (found->seen & REQUIRED) == REQUIRED ? SC_OK : SC_FIELD_MISSING;
}

sc_status sc_change_number(const uint8_t *in, size_t start, size_t end, uint32_t *number, size_t *at)
{
    fields found;
    sc_status status = change_read(in, start, end, &found, at);
    if (status == SC_OK)
        *number = found.numbers[CHANGE];
    return status;
}

static void text_store(const fields *found, unsigned field, bool there, uint64_t *start, uint64_t *end)
{
    *start = there ? found->starts[field] : SC_ABSENT;
    *end = there ? found->ends[field] : SC_ABSENT;
}

static void change_store(const fields *found, sc_changes *c, size_t i)
{
    bool subset = found->seen & BIT(SUBSET) && found->starts[SUBSET] < found->ends[SUBSET];
    text_store(found, SUBSET, subset, &c->subset_starts[i], &c->subset_ends[i]);
    text_store(found, KEY, true, &c->key_starts[i], &c->key_ends[i]);
    text_store(found, VALUE, found->seen & BIT(VALUE), &c->value_starts[i], &c->value_ends[i]);
    c->change[i] = found->numbers[CHANGE];
    c->from[i] = found->numbers[FROM];
    c->to[i] = found->numbers[TO];
}

sc_status sc_changes_decode(const uint8_t *in, size_t len, const uint8_t *ids, const uint64_t *starts,
                            const uint64_t *ends, size_t frames, sc_changes *changes, size_t *count, size_t *at)
{
    changes->subset_data = changes->key_data = changes->value_data = in;
    changes->subset_len = changes->key_len = changes->value_len = len;
    *count = 0;
    for (size_t i = 0; i < frames; i++) {
        if (!slice_ok(starts[i], ends[i], len)) {
            *at = i;
            return SC_BOUNDS;
        }
        if (ids[i] != SC_FRAME_CHANGE)
            continue;
        fields found;
        sc_status status = change_read(in, (size_t)starts[i], (size_t)ends[i], &found, at);
        if (status != SC_OK)
            return status;
        change_store(&found, changes, (*count)++);
    }
    *at = len;
    return SC_OK;
}
