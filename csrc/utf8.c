/* UTF-8 as CPython's strict decoder has it: the table 3-7 of the Unicode standard. */
#include "internal.h"

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Length of the well-formed character that begins with a byte over 0x7f at in[i]; 0: there is none. */
static size_t character(const uint8_t *in, size_t i, size_t end)
{
    uint8_t lead = in[i];
    size_t size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (lead < 0xc2 || lead > 0xf4 || end - i < size)
        return 0;
    /* The second byte's range leaves out overlong forms, surrogates and what is over U+10FFFF. */
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (in[i + 1] < low || in[i + 1] > high)
        return 0;
    for (size_t k = 2; k < size; k++)
        if ((in[i + k] & 0xc0) != 0x80)
            return 0;
    return size;
}

bool sc_utf8_ok(const uint8_t *in, size_t start, size_t end)
{
    size_t i = start;
    while (i < end) {
        uint64_t word;
        while (end - i >= sizeof word) {
            memcpy(&word, in + i, sizeof word);
            if (word & HIGH_BITS)
                break;
            i += sizeof word;
        }
        while (i < end && in[i] < 0x80)
            i++;
        while (i < end && in[i] >= 0x80) {
            size_t size = character(in, i, end);
            if (size == 0)
                return false;
            i += size;
        }
    }
    return true;
}
