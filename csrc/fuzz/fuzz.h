/* What the fuzz targets share. A target is one file: it reads its input as a decoder's, or makes an encoder's of it. */
#ifndef FUZZ_H
#define FUZZ_H

#include "../scoutcore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* Buffers of exactly the size asked for, so that ASan sees one byte too far; null with size 0. All freed at once. */
static void *kept[512];
static size_t kept_count;

static inline void *room_for(size_t size)
{
    if (size == 0)
        return NULL;
    void *room = malloc(size);
    REQUIRE(room != NULL && kept_count < sizeof kept / sizeof *kept);
    kept[kept_count++] = room;
    return room;
}

static inline uint64_t *numbers(size_t count) { return room_for(count * sizeof(uint64_t)); }

static inline uint8_t *exact(const uint8_t *data, size_t len)
{
    uint8_t *copy = room_for(len);
    if (len > 0)
        memcpy(copy, data, len);
    return copy;
}

static inline int same(const void *a, const void *b, size_t len) { return len == 0 || memcmp(a, b, len) == 0; }

static inline int free_all(void)
{
    while (kept_count > 0)
        free(kept[--kept_count]);
    return 0;
}

/* The input, taken from its front as values; zeros behind its end. */
typedef struct input {
    const uint8_t *data;
    size_t len;
} input;

static inline uint8_t take_byte(input *in)
{
    if (in->len == 0)
        return 0;
    in->len--;
    return *in->data++;
}

/* A number of as many bits as the first byte says: all sizes are equally near. */
static inline uint64_t take_number(input *in)
{
    uint64_t value = 0;
    unsigned bits = take_byte(in) % 65;
    for (unsigned read = 0; read < bits; read += 8)
        value = value << 8 | take_byte(in);
    return bits < 64 ? value & ((UINT64_C(1) << bits) - 1) : value;
}

#endif
