#include "check.h"

#include <inttypes.h>

enum { SHOWN = 20 }; /* failed checks printed */

static unsigned passed, failed;
static const char *subject = "";
static void *kept[1 << 20]; /* the buffers of this test */
static size_t kept_count;

void check(int good, const char *file, int line, const char *text)
{
    if (good) {
        passed++;
        return;
    }
    if (++failed <= SHOWN) {
        printf("%s:%d: %s: %s\n", file, line, subject, text);
    }
}

void check_equal(uint64_t got, uint64_t want, const char *file, int line, const char *text)
{
    check(got == want, file, line, text);
    if (got != want && failed <= SHOWN) {
        printf("    got %" PRIu64 " (%" PRIx64 "), want %" PRIu64 " (%" PRIx64 ")\n", got, got, want, want);
    }
}

static void print_hex(const char *name, const uint8_t *data, size_t len)
{
    printf("    %s %zu bytes:", name, len);
    for (size_t i = 0; i < len && i < 80; i++) {
        printf(" %02x", data[i]);
    }
    printf("\n");
}

void check_same(const uint8_t *got, size_t got_len, bytes want, const char *file, int line, const char *text)
{
    int good = got_len == want.len && (got_len == 0 || memcmp(got, want.data, got_len) == 0);
    check(good, file, line, text);
    if (!good && failed <= SHOWN) {
        print_hex("got", got, got_len);
        print_hex("want", want.data, want.len);
    }
}

void about(const char *what) { subject = what; }

void *room_for(size_t size)
{
    if (size == 0) {
        return NULL;
    }
    void *room = kept_count < COUNT(kept) ? malloc(size) : NULL;
    if (room == NULL) {
        abort();
    }
    kept[kept_count++] = room;
    return memset(room, 0xa5, size);
}

uint64_t *numbers(size_t count) { return room_for(count * sizeof(uint64_t)); }

sc_blocks blocks_for(size_t count)
{
    sc_blocks made = {numbers(count + 1),
                      room_for(count * sizeof(uint32_t)),
                      numbers(count + 1),
                      room_for(count * sizeof(uint32_t)),
                      room_for((2 * count + 1) * sizeof(uint32_t)),
                      room_for(sizeof(sc_columns)),
                      99};
    return made;
}

bytes exact(const void *data, size_t len)
{
    bytes copy = {room_for(len), len};
    if (len > 0) {
        memcpy(copy.data, data, len);
    }
    return copy;
}

bytes hex(const char *text)
{
    uint8_t *data = room_for(strlen(text) + 1);
    size_t len = 0;
    while (*text != 0) {
        char digits[3] = {text[0], text[1], 0};
        data[len++] = (uint8_t)strtoul(digits, NULL, 16);
        text += text[2] == ' ' ? 3 : 2;
    }
    return exact(data, len);
}

bytes repeat(uint8_t byte, size_t len)
{
    bytes made = {room_for(len), len};
    if (len > 0) {
        memset(made.data, byte, len);
    }
    return made;
}

bytes join(bytes first, bytes second)
{
    bytes both = {room_for(first.len + second.len), first.len + second.len};
    if (first.len > 0) {
        memcpy(both.data, first.data, first.len);
    }
    if (second.len > 0) {
        memcpy(both.data + first.len, second.data, second.len);
    }
    return both;
}

/* xorshift64: the same numbers in every run. */
uint64_t random_number(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

int main(void)
{
    void (*const tests[])(void) = {test_varint,  test_multibuffer, test_frame,   test_change, test_block,
                                   test_changes, test_reports,     test_msgpack, test_append, test_point,
                                   test_rows,    test_puts,        test_recent,  test_numbers};
    for (size_t i = 0; i < COUNT(tests); i++) {
        tests[i]();
        while (kept_count > 0) {
            free(kept[--kept_count]);
        }
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0;
}
