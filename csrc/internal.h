/* What the files of the codec share and nobody else sees. Inlined: these run once per value. */
#ifndef SCOUTCORE_INTERNAL_H
#define SCOUTCORE_INTERNAL_H

#include <string.h>

#include "scoutcore.h"

/* Like sc_varint_size and the two below, for callers in a loop. */
static inline size_t varint_size(uint64_t value)
{
    size_t size = 1;
    while (value > 0x7f) {
        value >>= 7;
        size++;
    }
    return size;
}

static inline size_t varint_put(uint8_t *out, uint64_t value)
{
    size_t size = 0;
    while (value > 0x7f) {
        out[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[size++] = (uint8_t)value;
    return size;
}

/* Nothing at or behind in[end] is read. Nearly all varints of the format are one or two bytes: the rest is a call. */
static inline sc_status varint_get(const uint8_t *in, size_t end, size_t *at, uint64_t *value)
{
    size_t i = *at;
    if (i < end) {
        if (in[i] < 0x80) {
            *value = in[i];
            *at = i + 1;
            return SC_OK;
        }
        if (end - i > 1 && in[i + 1] < 0x80) {
            *value = (in[i] & 0x7fu) | (uint64_t)in[i + 1] << 7;
            *at = i + 2;
            return SC_OK;
        }
    }
    return sc_varint_get(in, end, at, value);
}

static inline uint64_t zigzag(uint64_t twos_complement)
{
    return twos_complement << 1 ^ (0 - (twos_complement >> 63));
}

static inline uint64_t unzigzag(uint64_t value)
{
    return value >> 1 ^ (0 - (value & 1));
}

/* A null buffer of length 0 is allowed, but neither in memcpy nor in arithmetic. */
static inline void copy_slice(uint8_t *out, const uint8_t *in, size_t start, size_t size)
{
    if (size > 0)
        memcpy(out, in + start, size);
}

#define WIDE 5

/* A tag of msgpack and its number, of 4 bytes. */
static inline size_t wide_put(uint8_t *out, uint8_t tag, size_t number)
{
    out[0] = tag;
    for (size_t i = 0; i < 4; i++)
        out[1 + i] = (uint8_t)(number >> 8 * (3 - i));
    return WIDE;
}

static inline bool slice_ok(uint64_t start, uint64_t end, size_t len)
{
    return start <= end && end <= len;
}

/* For tables: who does not know the seed cannot choose bytes with the same. Each half of a word has a factor of its own: with
 * a known one, two words can be told that most seeds give the same. */
static inline size_t bytes_hash(uint64_t seed, const uint8_t *in, size_t size)
{
    const uint64_t low = seed | 1, high = (seed ^ seed >> 29) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    uint64_t hash = seed, word;
    for (size_t left = size; left > 0; left -= left < sizeof word ? left : sizeof word) {
        word = left;
        memcpy(&word, in + size - left, left < sizeof word ? left : sizeof word);
        hash ^= word;
        hash = (hash & UINT32_MAX) * low + (hash >> 32) * high;
        hash ^= hash >> 32;
    }
    return (size_t)(hash ^ hash >> 32);
}

/* Clocks in order of time: first boot, then ms. */
static inline bool clock_less(uint64_t boot_a, uint64_t ms_a, uint64_t boot_b, uint64_t ms_b)
{
    return boot_a != boot_b ? boot_a < boot_b : ms_a < ms_b;
}

/* Whether the size bytes at in, 4 or more, are all below 0x80: read by words, the last of which may overlap. */
static inline bool is_ascii(const uint8_t *in, size_t size)
{
    if (size < sizeof(uint64_t)) {
        uint32_t head, tail;
        memcpy(&head, in, sizeof head);
        memcpy(&tail, in + size - sizeof tail, sizeof tail);
        return ((head | tail) & UINT32_C(0x80808080)) == 0;
    }
    uint64_t word, seen;
    memcpy(&seen, in + size - sizeof seen, sizeof seen);
    for (size_t i = 0; i + sizeof word <= size; i += sizeof word) {
        memcpy(&word, in + i, sizeof word);
        seen |= word;
    }
    return (seen & UINT64_C(0x8080808080808080)) == 0;
}

/* Whether in[start..end] is UTF-8 as CPython's strict decoder has it: no surrogates, nothing overlong. */
bool sc_utf8_ok(const uint8_t *in, size_t start, size_t end);

/* The same for the short texts of changes and points, which nearly always are ASCII. */
static inline bool text_ok(const uint8_t *in, size_t start, size_t end)
{
    return (end - start >= 4 && is_ascii(in + start, end - start)) || sc_utf8_ok(in, start, end);
}

typedef struct frame {
    uint8_t id;
    size_t start, end; /* of the content behind the id; end is also the frame's */
} frame;

/* Reads the frame at in[at], at < len. SC_TRUNCATED: it is cut, and as far as it goes not wrong. */
static inline sc_status frame_read(const uint8_t *in, size_t len, size_t at, uint64_t max_change, uint64_t max_blob,
                                   frame *found)
{
    uint64_t size;
    sc_status status = varint_get(in, len, &at, &size);
    if (status != SC_OK)
        return status;
    if (size == 0)
        return SC_FRAME_EMPTY;
    if (at == len)
        return SC_TRUNCATED;
    uint8_t id = in[at];
    if (id != SC_FRAME_CHANGE && id != SC_FRAME_BLOB)
        return SC_FRAME_ID;
    if (size > (id == SC_FRAME_CHANGE ? max_change : max_blob))
        return SC_FRAME_SIZE;
    if (size > len - at)
        return SC_TRUNCATED;
    found->id = id;
    found->start = at + 1;
    found->end = at + (size_t)size;
    return SC_OK;
}

/* The number of the change in in[start..end], which is read as sc_changes_decode does. */
sc_status sc_change_number(const uint8_t *in, size_t start, size_t end, uint32_t *number, size_t *at);

#endif
