/* Columns of numbers, and texts that differ in their numbers alone: see numbers.h. */
#include "numbers.h"

enum { DELTA = 0x40, STEPPED = 0x80, WIDTH = 0x3f }; /* the byte that a column begins with */
enum { ALL = 0, SHORTEST = 1, ONE_LEFT = 2 };         /* which zeros end a number's text: a format's upper three bits */
#define DECIMALS 0x1f
#define MAX_DIGITS 18 /* of a number in a text: it and its negative fit 64 bits */

/* ---- reading ---- */

sc_status column_open(column *c, const uint8_t *in, size_t end, size_t count, size_t *at)
{
    size_t begin = *at;
    if (begin == end)
        return SC_POINT_SIZE;
    uint8_t head = in[(*at)++];
    uint64_t numbers[3] = {0, 0, 1}; /* the first value, low, step */
    c->width = head & WIDTH;
    c->delta = head & DELTA;
    if (c->width > MAX_WIDTH) {
        *at = begin;
        return SC_COLUMN;
    }
    for (size_t i = c->delta ? 0 : 1; i < (head & STEPPED ? 3 : 2); i++) {
        sc_status status = varint_get(in, end, at, &numbers[i]);
        if (status != SC_OK)
            return status == SC_TRUNCATED ? SC_POINT_SIZE : status;
    }
    c->value = unzigzag(numbers[0]);
    c->low = unzigzag(numbers[1]);
    c->step = numbers[2];
    c->next = 0;
    c->size = ((count - c->delta) * c->width + 7) / 8;
    if (c->size > end - *at) {
        *at = begin;
        return SC_POINT_SIZE;
    }
    c->bits = in + *at;
    *at += c->size;
    return SC_OK;
}

bool format_ok(uint8_t format)
{
    unsigned zeros = format >> 5, decimals = format & DECIMALS;
    return zeros <= ONE_LEFT && zeros <= decimals && decimals <= MAX_DECIMALS;
}

/* Takes so many digits off the end of *number and writes them before end; returns where they begin. */
static uint8_t *digits_put(uint8_t *end, uint64_t *number, unsigned digits)
{
    static const char pairs[] = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
                                "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
    for (; digits > 1; digits -= 2) {
        end -= 2;
        memcpy(end, pairs + *number % 100 * 2, 2);
        *number /= 100;
    }
    if (digits == 1) {
        *--end = (uint8_t)('0' + *number % 10);
        *number /= 10;
    }
    return end;
}

/* How many digits a number has; 0 has one. */
static unsigned digits_of(uint64_t number)
{
    unsigned digits = 1;
    for (; number >= 10000; number /= 10000)
        digits += 4;
    return digits + (number >= 10) + (number >= 100) + (number >= 1000);
}

size_t number_text(uint8_t *out, uint64_t number, uint8_t format)
{
    unsigned zeros = format >> 5, decimals = format & DECIMALS, least = zeros == ALL ? decimals : zeros - 1;
    bool negative = number >> 63;
    uint64_t left = negative ? 0 - number : number;
    for (; decimals > least && left % 10 == 0; decimals--)
        left /= 10;
    unsigned digits = digits_of(left), whole = digits > decimals ? digits - decimals : 1;
    size_t size = negative + whole + (decimals > 0) + decimals;
    uint8_t *end = digits_put(out + size, &left, decimals);
    if (decimals > 0)
        *--end = '.';
    digits_put(end, &left, whole);
    if (negative)
        out[0] = '-';
    return size;
}

/* ---- writing columns ---- */

static unsigned bits_of(uint64_t number)
{
    unsigned bits = 0;
    for (; number > 0; number >>= 1)
        bits++;
    return bits;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b > 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* What a column holds for row i: the number, or its difference to the one before, from row 1 on. */
static uint64_t held(const uint64_t *values, size_t i, bool delta)
{
    return delta ? values[i] - values[i - 1] : values[i];
}

/* The smallest number held, as a signed one; and how far the greatest is above it. */
static uint64_t lowest(const uint64_t *values, size_t count, bool delta, uint64_t *range)
{
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (size_t i = delta; i < count; i++) {
        int64_t number = (int64_t)held(values, i, delta);
        low = number < low ? number : low;
        high = number > high ? number : high;
    }
    *range = (uint64_t)high - (uint64_t)low;
    return (uint64_t)low;
}

plan column_plan(const uint64_t *values, size_t count)
{
    uint64_t range, range_delta;
    uint64_t low = lowest(values, count, false, &range), low_delta = lowest(values, count, true, &range_delta);
    plan p = {bits_of(range_delta) < bits_of(range), 0, low, 1, 0};
    if (p.delta) {
        p.low = low_delta;
        range = range_delta;
    }
    uint64_t step = 0;
    for (size_t i = p.delta; i < count && step != 1; i++) {
        uint64_t above = held(values, i, p.delta) - p.low;
        if (step == 0 || above % step > 0)
            step = common_divisor(step, above);
    }
    p.step = step == 0 ? 1 : step;
    p.width = bits_of(range / p.step);
    p.size = 1 + (p.delta ? varint_size(zigzag(values[0])) : 0) + varint_size(zigzag(p.low)) +
             (p.step > 1 ? varint_size(p.step) : 0) + ((count - p.delta) * p.width + 7) / 8;
    return p;
}

size_t column_put(uint8_t *out, const plan *p, const uint64_t *values, size_t count)
{
    size_t size = 0;
    out[size++] = (uint8_t)(p->width | (p->delta ? DELTA : 0) | (p->step > 1 ? STEPPED : 0));
    if (p->delta)
        size += varint_put(out + size, zigzag(values[0]));
    size += varint_put(out + size, zigzag(p->low));
    if (p->step > 1)
        size += varint_put(out + size, p->step);
    if (p->width == 0)
        return size;
    uint64_t word = 0;
    unsigned filled = 0; /* bits of word, below 8 between numbers */
    for (size_t i = p->delta; i < count; i++) {
        uint64_t above = held(values, i, p->delta) - p->low;
        word |= (p->step > 1 ? above / p->step : above) << filled;
        for (filled += p->width; filled >= 8; filled -= 8) {
            out[size++] = (uint8_t)word;
            word >>= 8;
        }
    }
    if (filled > 0)
        out[size++] = (uint8_t)word;
    return size;
}

/* ---- splitting texts ---- */

static bool is_digit(const uint8_t *text, size_t at, size_t len)
{
    return at < len && text[at] >= '0' && text[at] <= '9';
}

/* The number at text[*at]; *at moves behind it. False: none, or one that its value would not give back: -0. */
static bool number_read(const uint8_t *text, size_t len, size_t *at, uint64_t *number, uint8_t *decimals)
{
    size_t i = *at, digits = 1;
    bool negative = i < len && text[i] == '-';
    i += negative;
    if (!is_digit(text, i, len))
        return false;
    uint64_t value = text[i++] - (uint64_t)'0';
    if (value > 0)
        for (; digits < MAX_DIGITS && is_digit(text, i, len); digits++)
            value = 10 * value + text[i++] - '0';
    *decimals = 0;
    if (digits < MAX_DIGITS && i < len && text[i] == '.' && is_digit(text, i + 1, len))
        for (i++; digits < MAX_DIGITS && is_digit(text, i, len); digits++, (*decimals)++)
            value = 10 * value + text[i++] - '0';
    if (negative && value == 0)
        return false;
    *number = negative ? 0 - value : value;
    *at = i;
    return true;
}

bool skeleton_of(skeleton *s, const uint8_t *text, size_t len)
{
    uint64_t number;
    uint8_t decimals;
    s->text = text;
    s->numbers = s->size = s->starts[0] = 0;
    for (size_t at = 0; at < len;) {
        size_t begin = at;
        if (!number_read(text, len, &at, &number, &decimals)) {
            if (text[at] == HOLE)
                return false;
            at++;
            continue;
        }
        if (s->numbers == SC_MAX_NUMBERS)
            return false;
        s->ends[s->numbers] = begin;
        s->size += begin - s->starts[s->numbers++] + 1;
        s->starts[s->numbers] = at;
    }
    s->ends[s->numbers] = len;
    s->size += len - s->starts[s->numbers];
    return true;
}

bool skeleton_match(const skeleton *s, const uint8_t *text, size_t len, size_t row, size_t count, uint64_t *values,
                    uint8_t *decimals)
{
    size_t at = 0;
    for (size_t k = 0; k <= s->numbers; k++) {
        size_t size = s->ends[k] - s->starts[k];
        if (size > len - at || memcmp(text + at, s->text + s->starts[k], size) != 0)
            return false;
        at += size;
        size_t place = k * count + row;
        if (k < s->numbers && !number_read(text, len, &at, &values[place], &decimals[place]))
            return false;
    }
    return at == len;
}

size_t skeleton_put(uint8_t *out, const skeleton *s)
{
    size_t size = 0;
    for (size_t k = 0; k <= s->numbers; k++) {
        size_t piece = s->ends[k] - s->starts[k];
        memcpy(out + size, s->text + s->starts[k], piece);
        size += piece;
        if (k < s->numbers)
            out[size++] = HOLE;
    }
    return size;
}

bool column_format(uint64_t *values, const uint8_t *decimals, size_t count, uint8_t *format)
{
    uint8_t least = decimals[0], most = decimals[0];
    bool one_zero = false, more_zeros = false; /* a text that ends with 0 behind the point: as its only decimal, or not */
    for (size_t i = 0; i < count; i++) {
        least = decimals[i] < least ? decimals[i] : least;
        most = decimals[i] > most ? decimals[i] : most;
    }
    *format = most;
    if (least == most)
        return true;
    for (size_t i = 0; i < count; i++) {
        bool zero = decimals[i] > 0 && (int64_t)values[i] % 10 == 0;
        one_zero = one_zero || (zero && decimals[i] == 1);
        more_zeros = more_zeros || (zero && decimals[i] > 1);
        for (uint8_t d = decimals[i]; d < most; d++) {
            int64_t value = (int64_t)values[i];
            if (value > INT64_MAX / 10 || value < INT64_MIN / 10)
                return false;
            values[i] = (uint64_t)(10 * value);
        }
    }
    *format |= (uint8_t)((one_zero ? ONE_LEFT : SHORTEST) << 5);
    return !more_zeros && (!one_zero || least > 0);
}

/* ---- numbers as such ---- */

#define EXACT (INT64_C(1) << 53) /* up to here a double has every integer, and so the quotient below is the nearest */

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,
                                1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};

static bool is_exact(int64_t number)
{
    return number <= EXACT && number >= -EXACT;
}

bool column_doubles(column *c, uint8_t format, size_t count, double *out, bool fresh, int64_t *first, bool *same)
{
    double power = powers[format & DECIMALS];
    if (fresh)
        *first = (int64_t)column_at(c, 0);
    for (size_t i = 0; i < count; i++) {
        int64_t number = (int64_t)column_at(c, i);
        if (!is_exact(number))
            return false;
        out[i] = (double)number / power;
        *same &= number == *first;
    }
    return true;
}

size_t sc_text_numbers(const uint8_t *text, size_t len)
{
    skeleton s;
    return skeleton_of(&s, text, len) ? s.numbers : SC_MAX_NUMBERS + 1;
}

bool sc_texts_numbers(const uint8_t *data, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                      double *values, uint64_t *number_starts, uint64_t *number_ends, uint8_t *same)
{
    skeleton s;
    uint64_t numbers[SC_MAX_NUMBERS];
    uint8_t decimals[SC_MAX_NUMBERS], first[SC_MAX_NUMBERS];
    for (size_t i = 0; i < count; i++) {
        if (!slice_ok(starts[i], ends[i], len))
            return false;
        const uint8_t *text = data + starts[i];
        size_t size = (size_t)(ends[i] - starts[i]);
        if ((i == 0 && !skeleton_of(&s, text, size)) || !skeleton_match(&s, text, size, 0, 1, numbers, decimals))
            return false;
        for (size_t k = 0; k < s.numbers; k++) {
            int64_t number = (int64_t)numbers[k];
            if (!is_exact(number))
                return false;
            values[k * count + i] = (double)number / powers[decimals[k]];
            if (i == 0) {
                first[k] = decimals[k];
                number_starts[k] = starts[0] + s.ends[k];
                number_ends[k] = starts[0] + s.starts[k + 1];
                same[k] = 1;
            }
            same[k] = same[k] && decimals[k] == first[k] && values[k * count + i] == values[k * count];
        }
    }
    return true;
}

#define MAX_EXACT 1e15  /* below it a double's fewest digits are the only ones of up to 15 that read as it */
#define MIN_PLAIN 1e-4  /* below it an exponent is written */

/* The number, times 10 to the power of *decimals, whole: these are raised till it is. False: see sc_numbers_texts. */
static bool double_take(double value, unsigned *decimals, int64_t *number)
{
    double size = value < 0 ? -value : value;
    if (size == 0) {
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        *number = 0;
        return bits == 0;
    }
    if (!(size >= MIN_PLAIN && size < MAX_EXACT))
        return false;
    for (; *decimals <= MAX_DECIMALS; ++*decimals) {
        double scaled = size * powers[*decimals] + 0.5;
        if (!(scaled < MAX_EXACT))
            return false;
        int64_t whole = (int64_t)scaled;
        if ((double)whole / powers[*decimals] == size) {
            *number = value < 0 ? -whole : whole;
            return true;
        }
    }
    return false;
}

bool sc_numbers_texts(const int64_t *integers, const double *doubles, size_t count, uint8_t *out, uint64_t *starts,
                      uint64_t *ends)
{
    size_t size = 0;
    unsigned decimals = 1; /* as many as the number before has: zeros are left out again */
    for (size_t i = 0; i < count; i++) {
        int64_t number;
        if (integers)
            number = integers[i];
        else if (!double_take(doubles[i], &decimals, &number)) {
            decimals = 1;
            if (!double_take(doubles[i], &decimals, &number))
                return false;
        }
        starts[i] = size;
        size += number_text(out + size, (uint64_t)number, integers ? 0 : (uint8_t)(ONE_LEFT << 5 | decimals));
        ends[i] = size;
    }
    return true;
}
