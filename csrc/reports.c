/* Reports as NDJSON: the plain ones become columns, and the others are pointed out. */
#include "internal.h"

#define MAX_DEPTH 64
#define LOW_BYTES UINT64_C(0x0101010101010101)
#define HIGH_BITS UINT64_C(0x8080808080808080)
#define SAFE_DIGITS 19 /* of a whole number: as many fit 64 bits, whatever they are */
#define MAX_WHOLE_MS (INT64_MAX / 1000 - 1)

enum member { TROOP = 1, UID = 2, KEY = 4, SCOUT = 8, REPORT = 16, DATA = 32, T = 64, BOOT = 128, MS = 256 };

typedef struct slice {
    size_t start, end;
} slice;

typedef struct report {
    unsigned members; /* which are there */
    slice uid, key, name, data;
    uint64_t troop, scout, boot, ms;
    int64_t t;
} report;

/* ---- JSON: each function takes the offset where something begins and gives where it ends; 0: it is not plain ---- */

static size_t space(const uint8_t *in, size_t end, size_t i)
{
    while (i < end && (in[i] == ' ' || in[i] == '\t' || in[i] == '\r'))
        i++;
    return i;
}

static bool is_digit(const uint8_t *in, size_t end, size_t i)
{
    return i < end && in[i] >= '0' && in[i] <= '9';
}

/* The high bits of those of eight bytes that end a run of plain characters: a quote, a backslash, a control or one over
 * 0x7f. Behind the first of them, from the lowest byte on, others may be marked too. */
static uint64_t specials(uint64_t word)
{
    uint64_t quote = word ^ LOW_BYTES * '"';
    uint64_t backslash = word ^ LOW_BYTES * '\\';
    uint64_t found = (quote - LOW_BYTES) & ~quote;
    found |= (backslash - LOW_BYTES) & ~backslash;
    found |= word - LOW_BYTES * 0x20;
    return (found | word) & HIGH_BITS;
}

/* How many bytes, in their order in memory, are before the first that is marked; or fewer: they are looked at singly. */
static size_t plain_bytes(uint64_t marks)
{
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (size_t)__builtin_ctzll(marks) / 8;
#else
    (void)marks;
    return 0;
#endif
}

/* Behind the escape at in[i], a backslash. Surrogates are left to others: they come in pairs, or not. */
static size_t escape(const uint8_t *in, size_t end, size_t i)
{
    if (end - i < 2)
        return 0;
    if (in[i + 1] != 'u')
        return memchr("\"\\/bfnrt", in[i + 1], 8) ? i + 2 : 0;
    if (end - i < 6)
        return 0;
    unsigned code = 0;
    for (size_t k = i + 2; k < i + 6; k++) {
        uint8_t c = in[k];
        unsigned digit = c <= '9' ? c - (unsigned)'0' : (c | 0x20u) - 'a' + 10u;
        if (c < '0' || digit > 15 || (c > '9' && (c | 0x20) < 'a'))
            return 0;
        code = code << 4 | digit;
    }
    return (code & 0xf800) == 0xd800 ? 0 : i + 6;
}

/* Behind the string whose quote is in[i]; *escaped: it has an escape. */
static size_t string(const uint8_t *in, size_t end, size_t i, bool *escaped)
{
    size_t start = ++i;
    bool ascii = true;
    *escaped = false;
    for (;;) {
        uint64_t word;
        while (end - i >= sizeof word) {
            memcpy(&word, in + i, sizeof word);
            uint64_t marks = specials(word);
            if (marks) {
                i += plain_bytes(marks);
                break;
            }
            i += sizeof word;
        }
        if (i == end || in[i] < 0x20)
            return 0;
        if (in[i] == '"')
            return ascii || sc_utf8_ok(in, start, i) ? i + 1 : 0;
        if (in[i] == '\\') {
            i = escape(in, end, i);
            if (i == 0)
                return 0;
            *escaped = true;
            continue;
        }
        ascii = ascii && in[i] < 0x80;
        i++;
    }
}

static size_t digits(const uint8_t *in, size_t end, size_t i)
{
    while (is_digit(in, end, i))
        i++;
    return i;
}

static size_t number(const uint8_t *in, size_t end, size_t i)
{
    if (in[i] == '-')
        i++;
    if (!is_digit(in, end, i))
        return 0;
    i = in[i] == '0' ? i + 1 : digits(in, end, i);
    if (i < end && in[i] == '.') {
        if (!is_digit(in, end, i + 1))
            return 0;
        i = digits(in, end, i + 1);
    }
    if (i < end && (in[i] | 0x20) == 'e') {
        i++;
        if (i < end && (in[i] == '+' || in[i] == '-'))
            i++;
        if (!is_digit(in, end, i))
            return 0;
        i = digits(in, end, i);
    }
    return i;
}

static size_t literal(const uint8_t *in, size_t end, size_t i, const char *word, size_t size)
{
    return end - i >= size && memcmp(in + i, word, size) == 0 ? i + size : 0;
}

/* A value that holds no others; i < end here, and in each function for a member's value. */
static size_t scalar(const uint8_t *in, size_t end, size_t i)
{
    bool escaped;
    switch (in[i]) {
    case '"':
        return string(in, end, i, &escaped);
    case 't':
        return literal(in, end, i, "true", 4);
    case 'f':
        return literal(in, end, i, "false", 5);
    case 'n':
        return literal(in, end, i, "null", 4);
    default:
        return number(in, end, i);
    }
}

/* Behind a member's name and colon. */
static size_t name_and_colon(const uint8_t *in, size_t end, size_t i)
{
    bool escaped;
    i = space(in, end, i);
    if (i == end || in[i] != '"' || (i = string(in, end, i, &escaped)) == 0)
        return 0;
    i = space(in, end, i);
    return i < end && in[i] == ':' ? i + 1 : 0;
}

/* Behind any value, nested up to MAX_DEPTH: a bit for each level says whether it is an object. */
static size_t value(const uint8_t *in, size_t end, size_t i)
{
    uint64_t objects = 0;
    unsigned depth = 0;
    for (;;) {
        i = space(in, end, i);
        if (i == end)
            return 0;
        bool opens = in[i] == '{' || in[i] == '[';
        if (opens) {
            if (depth == MAX_DEPTH)
                return 0;
            objects = objects << 1 | (in[i] == '{');
            depth++;
            i = space(in, end, i + 1);
            opens = i == end || in[i] != (objects & 1 ? '}' : ']');
        } else {
            i = scalar(in, end, i);
            if (i == 0)
                return 0;
        }
        /* What closes here, up to a comma or the end. */
        while (!opens) {
            if (depth == 0)
                return i;
            i = space(in, end, i);
            if (i == end)
                return 0;
            if (in[i] == ',') {
                i++;
                break;
            }
            if (in[i] != (objects & 1 ? '}' : ']'))
                return 0;
            objects >>= 1;
            depth--;
            i++;
            if (depth == 0)
                return i;
        }
        if (objects & 1) {
            i = name_and_colon(in, end, i);
            if (i == 0)
                return 0;
        }
    }
}

/* ---- the members of a report ---- */

/* A whole number up to 2^64-1, without a sign; *ended: nothing of a number follows. */
static size_t whole(const uint8_t *in, size_t end, size_t i, uint64_t *number)
{
    size_t start = i;
    uint64_t n = 0;
    for (; i - start < SAFE_DIGITS && is_digit(in, end, i); i++)
        n = n * 10 + (unsigned)(in[i] - '0');
    for (; is_digit(in, end, i); i++) {
        unsigned digit = (unsigned)(in[i] - '0');
        if (n > (UINT64_MAX - digit) / 10)
            return 0;
        n = n * 10 + digit;
    }
    if (i == start || (in[start] == '0' && i > start + 1))
        return 0;
    *number = n;
    return i;
}

static size_t unsigned_member(const uint8_t *in, size_t end, size_t i, uint64_t limit, uint64_t *number)
{
    i = whole(in, end, i, number);
    if (i == 0 || *number > limit || (i < end && (in[i] == '.' || (in[i] | 0x20) == 'e')))
        return 0;
    return i;
}

/* Milliseconds with up to three decimals, as microseconds. */
static size_t time_member(const uint8_t *in, size_t end, size_t i, int64_t *t)
{
    bool negative = in[i] == '-';
    uint64_t ms;
    i = whole(in, end, i + negative, &ms);
    if (i == 0 || ms > MAX_WHOLE_MS)
        return 0;
    uint64_t micros = 0;
    if (i < end && in[i] == '.') {
        size_t start = ++i;
        uint64_t unit = 100;
        for (; is_digit(in, end, i) && unit > 0; i++, unit /= 10)
            micros += unit * (unsigned)(in[i] - '0');
        if (i == start || is_digit(in, end, i))
            return 0;
    }
    if (i < end && (in[i] | 0x20) == 'e')
        return 0;
    *t = (int64_t)(ms * 1000 + micros) * (negative ? -1 : 1);
    return i;
}

static size_t text_member(const uint8_t *in, size_t end, size_t i, slice *text)
{
    bool escaped;
    if (in[i] != '"')
        return 0;
    text->start = i + 1;
    i = string(in, end, i, &escaped);
    text->end = i - 1;
    return escaped || i < text->start + 2 ? 0 : i;
}

static bool is(const uint8_t *name, const char *known, size_t size)
{
    return memcmp(name, known, size) == 0;
}

static unsigned member_of(const uint8_t *name, size_t size)
{
    switch (size) { /* of a known size, comparing is no call */
    case 1:
        return is(name, "t", 1) ? T : is(name, "b", 1) ? BOOT : 0;
    case 2:
        return is(name, "ms", 2) ? MS : 0;
    case 3:
        return is(name, "uid", 3) ? UID : is(name, "key", 3) ? KEY : 0;
    case 4:
        return is(name, "data", 4) ? DATA : 0;
    case 5:
        return is(name, "troop", 5) ? TROOP : is(name, "scout", 5) ? SCOUT : 0;
    case 6:
        return is(name, "report", 6) ? REPORT : 0;
    default:
        return 0;
    }
}

static size_t member_value(const uint8_t *in, size_t end, size_t i, unsigned member, report *r)
{
    size_t start = i;
    switch (member) {
    case TROOP:
        return unsigned_member(in, end, i, UINT32_MAX, &r->troop);
    case UID:
        return text_member(in, end, i, &r->uid);
    case KEY:
        return text_member(in, end, i, &r->key);
    case SCOUT:
        return unsigned_member(in, end, i, UINT32_MAX, &r->scout);
    case REPORT:
        return text_member(in, end, i, &r->name);
    case T:
        return time_member(in, end, i, &r->t);
    case BOOT:
        return unsigned_member(in, end, i, UINT64_MAX, &r->boot);
    case MS:
        return unsigned_member(in, end, i, UINT64_MAX, &r->ms);
    case DATA:
        i = value(in, end, i);
        r->data = (slice){start, i};
        return i;
    default: /* passed over */
        return value(in, end, i);
    }
}

/* Whether in[i..end], i < end, is a plain report: all that scoutcore needs, each member once, as it is written mostly. */
static bool plain(const uint8_t *in, size_t end, size_t i, report *r)
{
    r->members = 0;
    if (in[i] != '{')
        return false;
    do {
        bool escaped;
        size_t start = i = space(in, end, i + 1);
        if (i == end || in[i] != '"' || (i = string(in, end, i, &escaped)) == 0 || escaped)
            return false;
        unsigned member = member_of(in + start + 1, i - start - 2);
        i = space(in, end, i);
        if (i == end || in[i] != ':' || (r->members & member))
            return false;
        i = space(in, end, i + 1);
        if (i == end || (i = member_value(in, end, i, member, r)) == 0)
            return false;
        r->members |= member;
        i = space(in, end, i);
    } while (i < end && in[i] == ',');
    if (i == end || in[i] != '}' || space(in, end, i + 1) != end)
        return false;
    unsigned needed = SCOUT | REPORT | DATA;
    return (r->members & needed) == needed && (r->members & (TROOP | UID | KEY)) &&
           !(r->members & BOOT) == !(r->members & MS) && r->data.end - r->data.start <= SC_MAX_DATA;
}

/* ---- the columns ---- */

static size_t nil_put(uint8_t *out)
{
    out[0] = 0xc0;
    return 1;
}

static size_t number_put(uint8_t *out, uint64_t number)
{
    return wide_put(out, 0xce, (size_t)number);
}

static size_t text_put(uint8_t *out, const uint8_t *in, slice text)
{
    size_t size = text.end - text.start, head = wide_put(out, 0xdb, size);
    memcpy(out + head, in + text.start, size);
    return head + size;
}

/* A report's name as an item of the array of names: a byte string, with fewer bytes than the report has in its line. */
static size_t name_put(uint8_t *out, const uint8_t *in, const report *r)
{
    unsigned by = r->members & UID ? UID : r->members & KEY ? KEY : TROOP;
    size_t i = WIDE;
    out[i++] = 0x95; /* an array of five */
    i += by == TROOP ? number_put(out + i, r->troop) : nil_put(out + i);
    i += by == UID ? text_put(out + i, in, r->uid) : nil_put(out + i);
    i += by == KEY ? text_put(out + i, in, r->key) : nil_put(out + i);
    i += number_put(out + i, r->scout);
    i += text_put(out + i, in, r->name);
    wide_put(out, 0xc6, i - WIDE);
    return i;
}

/* The number of a report's name. It is put behind the others, and stays there where it appears first. */
static uint32_t number_of(const uint8_t *in, const report *r, sc_reports *reports, uint32_t *table, size_t mask,
                          uint64_t seed)
{
    uint8_t *name = reports->name_data + reports->name_len;
    size_t size = name_put(name, in, r);
    size_t i = bytes_hash(seed, name, size) & mask;
    for (; table[i] != 0; i = (i + 1) & mask) {
        uint32_t k = table[i] - 1;
        if (memcmp(reports->name_data + reports->name_starts[k], name, size) == 0) /* the head has the size */
            return k;
    }
    uint32_t k = (uint32_t)reports->names++;
    table[i] = k + 1;
    reports->name_starts[k] = reports->name_len;
    reports->name_len += size;
    return k;
}

static void store(const report *r, uint32_t line, uint32_t name, sc_reports *reports)
{
    size_t i = reports->count++;
    bool clocked = r->members & BOOT;
    reports->lines[i] = line;
    reports->codes[i] = name;
    reports->stamped[i] = (r->members & T) != 0;
    reports->t[i] = r->members & T ? r->t : 0;
    reports->clocked[i] = clocked;
    reports->boot[i] = clocked ? r->boot : 0;
    reports->ms[i] = clocked ? r->ms : 0;
    reports->starts[i] = r->data.start;
    reports->ends[i] = r->data.end;
}

size_t sc_reports_count(const uint8_t *in, size_t len)
{
    size_t lines = 1;
    const uint8_t *newline;
    for (size_t at = 0; at < len && (newline = memchr(in + at, '\n', len - at)) != NULL; lines++)
        at = (size_t)(newline - in) + 1;
    return lines;
}

void sc_reports_scan(const uint8_t *in, size_t len, uint64_t seed, uint32_t *table, size_t table_size,
                     sc_reports *reports)
{
    reports->count = reports->names = reports->odd = 0;
    reports->name_len = WIDE;
    memset(table, 0, table_size * sizeof *table);
    size_t start = 0;
    for (uint32_t line = 0; start < len; line++) {
        const uint8_t *newline = memchr(in + start, '\n', len - start);
        size_t end = newline ? (size_t)(newline - in) : len;
        size_t i = space(in, end, start);
        report r;
        if (i < end && plain(in, end, i, &r)) {
            store(&r, line, number_of(in, &r, reports, table, table_size - 1, seed), reports);
        } else if (i < end) {
            size_t k = reports->odd++;
            reports->odd_lines[k] = line;
            reports->odd_starts[k] = start;
            reports->odd_ends[k] = end;
        }
        start = end + 1;
    }
    wide_put(reports->name_data, 0xdd, reports->names);
}

bool sc_json_items(const uint8_t *in, size_t len, uint64_t *starts, uint64_t *ends, size_t room, size_t *count)
{
    size_t n = 0;
    size_t i = space(in, len, 0);
    if (i == len || in[i] != '[')
        return false;
    do {
        i = space(in, len, i + 1);
        size_t end = i < len ? value(in, len, i) : 0;
        if (end == 0 || end - i > SC_MAX_DATA || n == room)
            return false;
        starts[n] = i;
        ends[n++] = end;
        i = space(in, len, end);
    } while (i < len && in[i] == ',');
    *count = n;
    return i < len && in[i] == ']' && space(in, len, i + 1) == len;
}

bool sc_codes_order(const uint32_t *codes, size_t count, uint32_t *table, size_t limit, uint32_t *order, uint32_t *used,
                    size_t *found)
{
    uint32_t n = 0;
    if (limit > 0)
        memset(table, 0, limit * sizeof *table); /* new numbers + 1; 0: has not appeared */
    for (size_t i = 0; i < count; i++) {
        uint32_t code = codes[i];
        if (code >= limit)
            return false;
        if (table[code] == 0) {
            used[n] = code;
            table[code] = ++n;
        }
        order[i] = table[code] - 1;
    }
    *found = n;
    return true;
}
