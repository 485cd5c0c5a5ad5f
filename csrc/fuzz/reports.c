/* Reports as NDJSON: every line is one row or one odd line or blank; what is plain is JSON, says a slow reader of it
 * written here from RFC 8259, and its columns are what stands there. */
#include "fuzz.h"

typedef struct text {
    const uint8_t *data;
    size_t len, at;
} text;

static int next(text *t) { return t->at < t->len ? t->data[t->at] : -1; }

static int meets(text *t, int byte) { return next(t) == byte ? (t->at++, 1) : 0; }

static void skip_space(text *t)
{
    while (next(t) == ' ' || next(t) == '\t' || next(t) == '\r')
        t->at++;
}

static size_t skip_digits(text *t)
{
    size_t from = t->at;
    while (next(t) >= '0' && next(t) <= '9')
        t->at++;
    return t->at - from;
}

static int is_hex(int byte) { return byte > 0 && strchr("0123456789abcdefABCDEF", byte) != NULL; }

static int read_string(text *t)
{
    if (!meets(t, '"'))
        return 0;
    while (!meets(t, '"')) {
        if (next(t) < 0x20)
            return 0;
        if (meets(t, '\\')) {
            int escape = next(t);
            if (escape == 'u')
                for (size_t i = 1; i <= 4; i++)
                    if (t->at + i >= t->len || !is_hex(t->data[t->at + i]))
                        return 0;
            if (escape <= 0 || strchr("\"\\/bfnrtu", escape) == NULL)
                return 0;
        }
        t->at++;
    }
    return 1;
}

static int read_number(text *t)
{
    meets(t, '-');
    if (!meets(t, '0') && skip_digits(t) == 0)
        return 0;
    if (meets(t, '.') && skip_digits(t) == 0)
        return 0;
    if (meets(t, 'e') || meets(t, 'E')) {
        (void)(meets(t, '+') || meets(t, '-'));
        return skip_digits(t) > 0;
    }
    return 1;
}

static int read_word(text *t, const char *word)
{
    while (*word != 0)
        if (!meets(t, *word++))
            return 0;
    return 1;
}

/* Any value; how deep it is nested, or -1: it is none. */
static int read_value(text *t)
{
    int deepest = 0;
    skip_space(t);
    int byte = next(t), closing = byte == '{' ? '}' : ']';
    if (byte == '"')
        return read_string(t) - 1;
    if (byte == 't' || byte == 'f' || byte == 'n')
        return read_word(t, byte == 't' ? "true" : byte == 'f' ? "false" : "null") - 1;
    if (byte != '{' && byte != '[')
        return read_number(t) - 1;
    t->at++;
    skip_space(t);
    if (meets(t, closing))
        return 1;
    do {
        skip_space(t);
        if (byte == '{') {
            if (!read_string(t))
                return -1;
            skip_space(t);
            if (!meets(t, ':'))
                return -1;
        }
        int depth = read_value(t);
        if (depth < 0)
            return -1;
        deepest = depth > deepest ? depth : deepest;
        skip_space(t);
    } while (meets(t, ','));
    return meets(t, closing) ? deepest + 1 : -1;
}

/* A row and its line. */
static void check_row(const uint8_t *in, size_t start, size_t end, const sc_reports *r, size_t i)
{
    text line = {in + start, end - start, 0}, data = {in + r->starts[i], r->ends[i] - r->starts[i], 0};
    int depth = read_value(&line);
    skip_space(&line);
    REQUIRE(depth >= 1 && depth <= 65 && line.at == line.len);
    REQUIRE(r->starts[i] > start && r->ends[i] < end);
    depth = read_value(&data);
    REQUIRE(depth >= 0 && depth <= 64 && data.at == data.len && data.len <= SC_MAX_DATA);
    REQUIRE(r->stamped[i] <= 1 && r->clocked[i] <= 1 && (r->stamped[i] || r->t[i] == 0));
    REQUIRE(r->clocked[i] || (r->boot[i] == 0 && r->ms[i] == 0));
    REQUIRE(r->codes[i] < r->names);
}

/* The number behind a tag of five bytes. */
static size_t number_at(const uint8_t *in)
{
    return (size_t)in[1] << 24 | (size_t)in[2] << 16 | (size_t)in[3] << 8 | in[4];
}

/* The names fill their array, each is one of the three kinds, and no two are the same. */
static void check_names(const sc_reports *r)
{
    static const uint8_t kinds[3][5] = {
        {0xce, 0xc0, 0xc0, 0xce, 0xdb}, {0xc0, 0xdb, 0xc0, 0xce, 0xdb}, {0xc0, 0xc0, 0xdb, 0xce, 0xdb}};
    const uint8_t *names = r->name_data;
    REQUIRE(names[0] == 0xdd && number_at(names) == r->names);
    size_t at = 5;
    for (size_t k = 0; k < r->names; k++) {
        REQUIRE(r->name_starts[k] == at && names[at] == 0xc6);
        size_t end = at + 5 + number_at(names + at);
        for (size_t other = 0; other < k; other++)
            REQUIRE(memcmp(names + r->name_starts[other], names + at, end - at) != 0);
        at += 5;
        REQUIRE(names[at++] == 0x95);
        const uint8_t *kind = kinds[names[at] == 0xce ? 0 : names[at + 1] == 0xdb ? 1 : 2];
        for (size_t item = 0; item < 5; item++) {
            REQUIRE(names[at] == kind[item]);
            size_t size = kind[item] == 0xdb ? number_at(names + at) : 0;
            REQUIRE(kind[item] != 0xdb || size > 0);
            at += kind[item] == 0xc0 ? 1 : 5 + size;
        }
        REQUIRE(at == end);
    }
    REQUIRE(at == r->name_len);
}

/* All of the input as a JSON array. */
static void check_items(const uint8_t *in, size_t len)
{
    uint64_t *starts = numbers(len), *ends = numbers(len);
    size_t count = 0;
    text whole = {in, len, 0};
    int depth = read_value(&whole);
    if (!sc_json_items(in, len, starts, ends, len, &count))
        return;
    skip_space(&whole);
    REQUIRE(depth >= 1 && depth <= 65 && whole.at == len && count > 0);
    for (size_t i = 0; i < count; i++)
        REQUIRE(starts[i] >= (i > 0 ? ends[i - 1] + 1 : 1) && ends[i] < len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    input in = {data, len};
    uint64_t seed = take_byte(&in);
    check_items(in.data, in.len);
    size_t room = sc_reports_count(in.data, in.len), table_size = 1, row = 0, odd = 0, seen = 0;
    while (table_size < 2 * room)
        table_size *= 2;
    sc_reports r = {.lines = room_for(room * 4),
                    .codes = room_for(room * 4),
                    .t = room_for(room * 8),
                    .stamped = room_for(room),
                    .clocked = room_for(room),
                    .boot = numbers(room),
                    .ms = numbers(room),
                    .starts = numbers(room),
                    .ends = numbers(room),
                    .name_starts = numbers(room),
                    .name_data = room_for(in.len + 5),
                    .odd_lines = room_for(room * 4),
                    .odd_starts = numbers(room),
                    .odd_ends = numbers(room)};
    uint8_t *copy = exact(in.data, in.len);
    sc_reports_scan(copy, in.len, seed, room_for(table_size * 4), table_size, &r);

    check_names(&r);
    uint32_t number = 0;
    for (size_t start = 0; start < in.len; number++) {
        size_t end = start;
        while (end < in.len && in.data[end] != '\n')
            end++;
        text blank = {in.data + start, end - start, 0};
        skip_space(&blank);
        if (row < r.count && r.lines[row] == number) {
            check_row(in.data, start, end, &r, row);
            REQUIRE(r.codes[row] <= seen);
            seen += r.codes[row] == seen;
            row++;
        } else if (odd < r.odd && r.odd_lines[odd] == number) {
            REQUIRE(r.odd_starts[odd] == start && r.odd_ends[odd] == end && blank.at < blank.len);
            odd++;
        } else {
            REQUIRE(blank.at == blank.len);
        }
        start = end + 1;
    }
    REQUIRE(row == r.count && odd == r.odd && seen == r.names);
    return free_all();
}
