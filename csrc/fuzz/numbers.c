/* Numbers as texts, and texts as numbers: what is written is what strtod and strtoll read, and so are the numbers of
 * texts that are taken apart. */
#include "fuzz.h"

enum { MOST = 64 };

/* The number that stands at text[start..end], of at most 63 bytes. */
static double number_at(const uint8_t *text, uint64_t start, uint64_t end)
{
    char copy[64] = {0};
    REQUIRE(start < end && end - start < sizeof copy);
    memcpy(copy, text + start, end - start);
    char *rest;
    double value = strtod(copy, &rest);
    REQUIRE(*rest == 0);
    return value;
}

static void write_and_read(input *in, int whole)
{
    size_t count = 0;
    int64_t *integers = room_for(MOST * sizeof *integers);
    double *doubles = room_for(MOST * sizeof *doubles);
    for (; in->len > 0 && count < MOST; count++) {
        uint8_t shape = take_byte(in);
        uint64_t bits = take_number(in);
        integers[count] = shape & 1 ? (int64_t)bits : (int64_t)-bits;
        if (shape & 2) { /* one with few digits */
            doubles[count] = (double)(integers[count] % 1000000);
            for (int i = shape >> 2 & 7; i > 0; i--)
                doubles[count] /= 10;
        } else {
            memcpy(doubles + count, &bits, sizeof bits);
        }
    }
    uint8_t *out = room_for(count * SC_NUMBER_BYTES);
    uint64_t *starts = numbers(count), *ends = numbers(count);
    if (!sc_numbers_texts(whole ? integers : NULL, whole ? NULL : doubles, count, out, starts, ends)) {
        REQUIRE(!whole);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        REQUIRE(starts[i] == (i ? ends[i - 1] : 0) && ends[i] - starts[i] <= SC_NUMBER_BYTES);
        const void *dot = memchr(out + starts[i], '.', ends[i] - starts[i]);
        if (whole) {
            char text[SC_NUMBER_BYTES + 1] = {0};
            memcpy(text, out + starts[i], ends[i] - starts[i]);
            REQUIRE(dot == NULL && strtoll(text, NULL, 10) == integers[i]);
        } else {
            double value = number_at(out, starts[i], ends[i]);
            REQUIRE(dot != NULL && same(&value, doubles + i, sizeof value));
        }
    }
}

/* Where the number at text[at] ends, of at most 18 digits; no number is a zero before other digits. */
static uint64_t number_end(const uint8_t *text, uint64_t at, uint64_t end)
{
    uint64_t i = at + (at < end && text[at] == '-'), digits = 0;
    int zero = i < end && text[i] == '0';
    while (i < end && text[i] >= '0' && text[i] <= '9' && digits < (zero ? 1 : 18))
        i++, digits++;
    if (digits < 18 && i + 1 < end && text[i] == '.' && text[i + 1] >= '0' && text[i + 1] <= '9')
        for (i++; i < end && text[i] >= '0' && text[i] <= '9' && digits < 18; digits++)
            i++;
    return i;
}

static void take_apart(input *in)
{
    size_t count = 0, at = 0;
    uint64_t *starts = numbers(MOST), *ends = numbers(MOST);
    const uint8_t *data = exact(in->data, in->len);
    while (at < in->len && count < MOST) { /* texts end with a ; */
        const uint8_t *end = memchr(data + at, ';', in->len - at);
        starts[count] = at;
        ends[count] = end ? (size_t)(end - data) : in->len;
        at = ends[count++] + 1;
    }
    if (count == 0)
        return;
    size_t found = sc_text_numbers(data + starts[0], ends[0] - starts[0]);
    size_t places = found > SC_MAX_NUMBERS ? 0 : found;
    double *values = room_for(places * count * sizeof *values);
    uint64_t *number_starts = numbers(places), *number_ends = numbers(places);
    uint8_t *alike = room_for(places);
    if (!sc_texts_numbers(data, in->len, starts, ends, count, values, number_starts, number_ends, alike))
        return;
    REQUIRE(found == places);
    for (size_t k = 0; k < places; k++) {
        uint64_t first = number_ends[k] - number_starts[k];
        uint8_t all = 1;
        for (size_t i = 0; i < count; i++) {
            uint64_t begin = starts[i], piece = starts[0];
            for (size_t n = 0; n <= k; n++) { /* what is between numbers is as in the first */
                uint64_t size = number_starts[n] - piece;
                REQUIRE(size <= ends[i] - begin && same(data + begin, data + piece, size));
                begin = n < k ? number_end(data, begin + size, ends[i]) : begin + size;
                piece = number_ends[n];
            }
            uint64_t end = number_end(data, begin, ends[i]);
            double value = number_at(data, begin, end);
            REQUIRE(value == values[k * count + i]);
            all &= end - begin == first && same(data + begin, data + number_starts[k], first);
            REQUIRE(k + 1 < places || (ends[i] - end == ends[0] - number_ends[k] &&
                                       same(data + end, data + number_ends[k], ends[i] - end)));
        }
        REQUIRE(alike[k] == all);
    }
    starts[count - 1] = in->len + 1; /* a slice that is none */
    REQUIRE(!sc_texts_numbers(data, in->len, starts, ends, count, values, number_starts, number_ends, alike));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    input in = {data, len};
    uint8_t kind = take_byte(&in) % 3;
    if (kind == 2)
        take_apart(&in);
    else
        write_and_read(&in, kind);
    return free_all();
}
