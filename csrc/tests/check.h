/* The checks of these tests, and buffers of exactly the size they need, so that ASan sees one byte read or written too
 * far. */
#ifndef CHECK_H
#define CHECK_H

#include "../scoutcore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bytes {
    uint8_t *data;
    size_t len;
} bytes;

#define COUNT(array)             (sizeof(array) / sizeof *(array))
#define CHECK(condition)         check((condition) != 0, __FILE__, __LINE__, #condition)
#define EQUAL(got, want)         check_equal((uint64_t)(got), (uint64_t)(want), __FILE__, __LINE__, #got)
#define SAME(got, got_len, want) check_same((got), (got_len), (want), __FILE__, __LINE__, #got)

void check(int good, const char *file, int line, const char *text);
void check_equal(uint64_t got, uint64_t want, const char *file, int line, const char *text);
void check_same(const uint8_t *got, size_t got_len, bytes want, const char *file, int line, const char *text);

/* Named in the output of every check that fails, until the next call. */
void about(const char *what);

/* All of these live until the end of the test; with size 0 they are null. */
void *room_for(size_t size);
uint64_t *numbers(size_t count);
sc_blocks blocks_for(size_t count); /* of so many points, for sc_blocks_encode; its count is wrong before */
bytes exact(const void *data, size_t len);
bytes hex(const char *text);
bytes repeat(uint8_t byte, size_t len);
bytes join(bytes first, bytes second);

uint64_t random_number(void);

void test_varint(void);
void test_multibuffer(void);
void test_frame(void);
void test_change(void);
void test_block(void);
void test_changes(void);
void test_reports(void);
void test_msgpack(void);
void test_append(void);
void test_point(void);
void test_rows(void);
void test_puts(void);
void test_recent(void);
void test_numbers(void);

#endif
