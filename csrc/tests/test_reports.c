#include "check.h"

enum { ODD, PLAIN };

/* Scans text into columns of exactly the room that sc_reports_count tells. */
static sc_reports scan(bytes in, uint64_t seed)
{
    size_t room = sc_reports_count(in.data, in.len), table_size = 2;
    while (table_size < 2 * room) {
        table_size *= 2;
    }
    sc_reports r;
    memset(&r, 0, sizeof r);
    r.lines = room_for(room * sizeof *r.lines);
    r.codes = room_for(room * sizeof *r.codes);
    r.t = room_for(room * sizeof *r.t);
    r.stamped = room_for(room);
    r.clocked = room_for(room);
    r.boot = numbers(room);
    r.ms = numbers(room);
    r.starts = numbers(room);
    r.ends = numbers(room);
    r.name_starts = numbers(room);
    r.name_data = room_for(in.len + 5);
    r.odd_lines = room_for(room * sizeof *r.odd_lines);
    r.odd_starts = numbers(room);
    r.odd_ends = numbers(room);
    r.count = r.names = r.name_len = r.odd = 99;
    sc_reports_scan(in.data, in.len, seed, room_for(table_size * sizeof(uint32_t)), table_size, &r);
    return r;
}

static bytes text(const char *words) { return exact(words, strlen(words)); }

static bytes part(bytes in, uint64_t start, uint64_t end) { return exact(in.data + start, end - start); }

static void expect(bytes in, int want)
{
    sc_reports r = scan(in, 0);
    EQUAL(r.count, want == PLAIN);
    EQUAL(r.odd, want == ODD);
    EQUAL(r.names, want == PLAIN);
    if (want == ODD && r.odd == 1) {
        EQUAL(r.odd_lines[0], 0);
        EQUAL(r.odd_starts[0], 0);
        EQUAL(r.odd_ends[0], in.len);
    }
}

static void columns(void)
{
    bytes in = text(
        "{\"troop\":1,\"scout\":7,\"report\":\"temp\",\"data\":{\"c\":21.5},\"t\":1163438041250.5,\"b\":3,\"ms\":9}\n"
        "\r\n"
        "nonsense\n"
        " { \"data\" : 1 , \"report\" : \"temp\" , \"key\" : \"k\" , \"scout\" : 7 } \r\n"
        "{\"uid\":\"u\",\"key\":\"k\",\"troop\":1,\"scout\":7,\"report\":\"temp\",\"data\":[]}\n"
        "{\"troop\":1,\"scout\":7,\"report\":\"temp\",\"data\":null,\"t\":-1}\n"
        "[]");
    sc_reports r = scan(in, 12345);
    about("reports: the columns");
    EQUAL(r.count, 4);
    EQUAL(r.names, 3);
    EQUAL(r.odd, 2);
    static const uint32_t lines[] = {0, 3, 4, 5}, codes[] = {0, 1, 2, 0};
    static const char *const data[] = {"{\"c\":21.5}", "1", "[]", "null"};
    for (size_t i = 0; i < 4; i++) {
        EQUAL(r.lines[i], lines[i]);
        EQUAL(r.codes[i], codes[i]);
        EQUAL(r.stamped[i], i == 0 || i == 3);
        EQUAL(r.t[i], i == 0 ? INT64_C(1163438041250500) : i == 3 ? -1000 : 0);
        EQUAL(r.clocked[i], i == 0);
        EQUAL(r.boot[i], i == 0 ? 3 : 0);
        EQUAL(r.ms[i], i == 0 ? 9 : 0);
        SAME(in.data + r.starts[i], r.ends[i] - r.starts[i], text(data[i]));
    }
    SAME(r.name_data, r.name_len,
         hex("dd00000003"
             "c600000016 95 ce00000001 c0 c0 ce00000007 db0000000474656d70"
             "c600000017 95 c0 c0 db000000016b ce00000007 db0000000474656d70"
             "c600000017 95 c0 db0000000175 c0 ce00000007 db0000000474656d70"));
    EQUAL(r.name_starts[0], 5);
    EQUAL(r.name_starts[1], 32);
    EQUAL(r.name_starts[2], 60);
    EQUAL(r.odd_lines[0], 2);
    SAME(in.data + r.odd_starts[0], r.odd_ends[0] - r.odd_starts[0], text("nonsense"));
    EQUAL(r.odd_lines[1], 6);
    SAME(in.data + r.odd_starts[1], r.odd_ends[1] - r.odd_starts[1], text("[]"));

    about("reports: nothing, and blank lines");
    static const char *const blanks[] = {"", "\n", "\r\n", " \t\r", "\n\n\n"};
    for (size_t i = 0; i < COUNT(blanks); i++) {
        r = scan(text(blanks[i]), 0);
        EQUAL(r.count + r.odd + r.names, 0);
        SAME(r.name_data, r.name_len, hex("dd00000000"));
    }
    EQUAL(sc_reports_count(NULL, 0), 1);
    EQUAL(sc_reports_count(text("\n\n").data, 2), 3);
}

/* One member more in an otherwise plain report; %s in the template. */
static bytes with(const char *template, bytes middle)
{
    const char *mark = strstr(template, "%s");
    return join(join(exact(template, (size_t)(mark - template)), middle), text(mark + 2));
}

static void every(const char *template, const char *const *texts, size_t count, int want)
{
    for (size_t i = 0; i < count; i++) {
        about(texts[i]);
        expect(with(template, text(texts[i])), want);
    }
}

#define EVERY(template, want, ...)                                                                                     \
    do {                                                                                                               \
        static const char *const texts[] = {__VA_ARGS__};                                                              \
        every(template, texts, COUNT(texts), want);                                                                    \
    } while (0)

#define DATA "{\"troop\":1,\"scout\":2,\"report\":\"r\",\"data\":%s}"
#define MORE "{\"troop\":1,\"scout\":2,\"report\":\"r\",\"data\":1%s}"

static void json(void)
{
    EVERY(DATA, PLAIN, "0", "-0", "1", "-12", "0.5", "-1.25", "1e5", "1E+5", "1.5e-10",
          "123456789012345678901234567890", "true", "false", "null", "\"\"", "\"abc\"",
          "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u00e9\\uFFFF\\uaBcD\\u0000\"", "\"\\ud7ff\\ue000\"", "\"caf\xc3\xa9\"",
          "\"\x7f\"", "\"12345678\"", "\"1234567890123456789\\n\"", "[]", "{}", "[1]", "[ ]", "{ }", "[[]]", "[{}]",
          "{\"a\":{}}", "[1,2 , 3]", "{\"a\":1,\"a\":2}", " {\t\"a\" : [ 1 , {\"b\":\"c\"} ] } ", "[[],[]]",
          "{\"a\":[],\"b\":{}}", "{\"\\u0061\":1}", "{\"caf\xc3\xa9\":1}");
    EVERY(DATA, ODD, "", "01", "-", "+1", ".5", "1.", "1.e5", "1e", "1e+", "1ee5", "-a", "0x1", "1 2", "NaN",
          "Infinity", "tru", "truex", "True", "fals", "nul", "nulll", "'a'", "a", "\"", "\"a", "\"\\", "\"\\\"",
          "\"\\x\"", "\"\\u\"", "\"\\u12\"", "\"\\u123\"", "\"\\u123g\"", "\"\\u12:4\"", "\"\\u/234\"", "\"\\u@234\"",
          "\"\\u`234\"", "\"\x1f\"", "\"\t\"", "\"\\\0\"", "\"\xff\"", "\"\xc3\"", "\"\xed\xa0\x80\"", "\"\\ud800\"",
          "\"\\udfff\"", "\"\\ud83d\\ude00\"", "\"1234567\x1f\"", "\"\\u12", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]",
          "[1}", "]", "{", "{]", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{\"a\" 1}", "{\"a\",1}",
          "{a:1}", "{1:1}", "{\"a\":}", "{\"a\":1]", "{,}", "[[]", "{\"a:1}", "[\xc2\xa0]", "[1,2", "{\"a\" ", "{ ",
          "[ ", "[[],", "[tru]");

    about("reports: nesting");
    for (size_t depth = 63; depth < 67; depth++) {
        for (size_t kind = 0; kind < 4; kind++) {
            bytes data = kind % 2 ? text("{}") : text("[]");
            for (size_t i = 1; i < depth; i++) {
                data = kind == 0   ? join(join(text("["), data), text("]"))
                       : kind == 1 ? join(join(text("{\"a\":"), data), text("}"))
                       : i % 2     ? join(join(text("{\"a\":"), data), text(",\"b\":0}"))
                                   : join(join(text("[0,"), data), text("]"));
            }
            expect(with(DATA, data), depth <= 64 ? PLAIN : ODD);
            expect(with(MORE, join(text(",\"x\":"), data)), depth <= 64 ? PLAIN : ODD);
        }
    }
    about("reports: the longest data");
    for (size_t more = 0; more < 2; more++) {
        expect(with(DATA, join(join(text("\""), repeat('a', SC_MAX_DATA - 2 + more)), text("\""))), more ? ODD : PLAIN);
    }
}

static void members(void)
{
    EVERY("{%s}", ODD, "", " ", "\"troop\":1", "\"troop\":1,\"scout\":2,\"report\":\"r\"",
          "\"troop\":1,\"scout\":2,\"data\":1", "\"troop\":1,\"report\":\"r\",\"data\":1",
          "\"scout\":2,\"report\":\"r\",\"data\":1", "\"troop\" 1,\"scout\":2,\"report\":\"r\",\"data\":1",
          "\"tr\\u006fop\":1,\"scout\":2,\"report\":\"r\",\"data\":1");
    EVERY(MORE, PLAIN, "", " ", ",\"x\":[1]", ",\"x\":1,\"x\":2", ",\"b\":0,\"ms\":0", ",\"uid\":\"u\"",
          ",\"key\":\"k\"", ",\"b\":18446744073709551615,\"ms\":18446744073709551615", ",\"t\":0", ",\"T\":\"x\"",
          ",\"\":null", ",\"uid\":\"u\",\"key\":\"k\"", ",\"m\":0", ",\"mss\":0", ",\"troops\":1");
    EVERY(MORE, ODD, ",", ",\"x\"", ",\"x\":", ",\"x\":}", "x", ",1:1", ",\"x", ",\"troop\":1", ",\"scout\":2",
          ",\"report\":\"r\"", ",\"data\":1", ",\"t\":1,\"t\":1", ",\"b\":0", ",\"ms\":0", ",\"b\":0,\"b\":0,\"ms\":0",
          ",\"b\":-1,\"ms\":0", ",\"b\":1.0,\"ms\":0", ",\"b\":1e3,\"ms\":0", ",\"b\":1E3,\"ms\":0",
          ",\"b\":01,\"ms\":0", ",\"b\":18446744073709551616,\"ms\":0", ",\"b\":0,\"ms\":28446744073709551615",
          ",\"b\":\"1\",\"ms\":0", ",\"b\":null,\"ms\":0", ",\"b\":0,\"ms\":", ",\"uid\":1", ",\"uid\":\"\"",
          ",\"key\":\"\"", ",\"key\":\"\\u0061\"", ",\"uid\":\"u", ",\"key\":null", ",\"x\\u0061\":1", "}", "}{",
          ",\"uid\":\"u\",\"uid\":\"u\"");
    EVERY("{\"troop\":%s,\"scout\":2,\"report\":\"r\",\"data\":1}", PLAIN, "0", "4294967295");
    EVERY("{\"troop\":%s,\"scout\":2,\"report\":\"r\",\"data\":1}", ODD, "", "4294967296", "-1", "00", "1.0", "1e0",
          "\"1\"", "x");
    EVERY("{\"troop\":1,\"scout\":%s,\"report\":\"r\",\"data\":1}", PLAIN, "0", "4294967295");
    EVERY("{\"troop\":1,\"scout\":%s,\"report\":\"r\",\"data\":1}", ODD, "", "4294967296", "-1", "00", "1.0", "1e0",
          "\"1\"", "x");
    EVERY("{\"troop\":1,\"scout\":2,\"report\":%s,\"data\":1}", PLAIN, "\"a\"", "\"a/b\"", "\"\xc3\xa9\"", "\"\x7f\"");
    EVERY("{\"troop\":1,\"scout\":2,\"report\":%s,\"data\":1}", ODD, "", "\"\"", "1", "\"\\n\"", "\"a", "\"\xff\"",
          "\"\x1f\"");
    EVERY("%s", ODD, "x", "{", "{\"", "{\"a\"", "{ ", "{\"a\" ", "{\"a\":", "[1]", "1", "\xef\xbb\xbf{}", "{}",
          "{} {}");
    bytes whole = text("{\"troop\":1,\"scout\":2,\"report\":\"r\",\"data\":{\"a\":[\"\\u00e9\",-1.5e3,true]},\"t\":1.5,"
                       "\"b\":1,\"ms\":2}");
    about("reports: cut at every byte");
    for (size_t cut = 1; cut < whole.len; cut++) {
        expect(part(whole, 0, cut), ODD);
    }
    expect(whole, PLAIN);
}

static void times(void)
{
    static const struct {
        const char *text;
        int want;
        int64_t t;
    } cases[] = {
        {"0", PLAIN, 0},
        {"-0", PLAIN, 0},
        {"1", PLAIN, 1000},
        {"1.5", PLAIN, 1500},
        {"1.05", PLAIN, 1050},
        {"1.005", PLAIN, 1005},
        {"-0.001", PLAIN, -1},
        {"-12.340", PLAIN, -12340},
        {"9223372036854774", PLAIN, INT64_C(9223372036854774000)},
        {"9223372036854774.999", PLAIN, INT64_C(9223372036854774999)},
        {"-9223372036854774.999", PLAIN, -INT64_C(9223372036854774999)},
        {"9223372036854775", ODD, 0}, /* within int64, and left to others */
        {"99999999999999999999", ODD, 0},
        {"1.0005", ODD, 0},
        {"1.0000", ODD, 0},
        {"1.", ODD, 0},
        {"1e3", ODD, 0},
        {"1.5E3", ODD, 0},
        {"", ODD, 0},
        {"-", ODD, 0},
        {"--1", ODD, 0},
        {"01", ODD, 0},
        {"null", ODD, 0},
        {"\"1\"", ODD, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        bytes in = with(MORE, join(text(",\"t\":"), text(cases[i].text)));
        about(cases[i].text);
        expect(in, cases[i].want);
        if (cases[i].want == PLAIN) {
            EQUAL(scan(in, 0).t[0], cases[i].t);
        }
    }
}

/* Thousands of names, all told apart, whatever the seed. */
static void names(void)
{
    enum { NAMES = 3000 };
    bytes all = {room_for(NAMES * 100), 0};
    for (uint32_t i = 0; i < NAMES; i++) {
        static const char *const forms[] = {"{\"troop\":%u,\"scout\":%u,\"report\":\"r%u\",\"data\":%u}\n",
                                            "{\"uid\":\"%u\",\"scout\":%u,\"report\":\"r%u\",\"data\":%u}\n",
                                            "{\"key\":\"%u\",\"scout\":%u,\"report\":\"r%u\",\"data\":%u}\n"};
        /* Three kinds of troop times ten troops times ten scouts times ten reports. */
        uint32_t k = i / 3;
        all.len += (size_t)snprintf((char *)all.data + all.len, 100, forms[i % 3], k / 100, k / 10 % 10, k % 10 * 7, i);
    }
    bytes in = exact(all.data, all.len), twice = join(in, in);
    static const uint64_t seeds[] = {0, 1, UINT64_MAX, 0x9e3779b97f4a7c15};
    for (size_t i = 0; i < COUNT(seeds); i++) {
        sc_reports r = scan(twice, seeds[i]);
        unsigned wrong = 0;
        about("reports: many names");
        EQUAL(r.count, 2 * NAMES);
        EQUAL(r.names, NAMES);
        for (uint32_t k = 0; k < 2 * NAMES; k++) {
            wrong += r.codes[k] != k % NAMES || r.lines[k] != k;
        }
        EQUAL(wrong, 0);
    }
}

/* ---- JSON on its own ---- */

static void json_items(void)
{
    static const struct {
        const char *text;
        size_t count; /* 0: it is no such array */
    } cases[] = {{"[1]", 1},       {" [ 1 , {\"a\":[2]} ,\"x\" ] ", 3},
                 {"[[],[]]", 2},   {"", 0},
                 {"[", 0},         {"[]", 0},
                 {"[ ]", 0},       {"[1", 0},
                 {"[1,", 0},       {"[1,]", 0},
                 {"[1 2]", 0},     {"[1}", 0},
                 {"[1] 2", 0},     {"1", 0},
                 {"{\"a\":1}", 0}, {"[01]", 0},
                 {"[,1]", 0},      {"[1 ", 0},
                 {"[\"\xff\"]", 0}, {"[\"\\ud800\"]", 0}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        bytes in = text(cases[i].text);
        size_t want = cases[i].count, count = 99;
        uint64_t *starts = numbers(want + 1), *ends = numbers(want + 1);
        about(cases[i].text);
        EQUAL(sc_json_items(in.data, in.len, starts, ends, want + 1, &count), want > 0);
        if (want > 0) {
            EQUAL(count, want);
            EQUAL(sc_json_items(in.data, in.len, numbers(want), numbers(want), want, &count), 1);
            EQUAL(sc_json_items(in.data, in.len, numbers(want - 1), numbers(want - 1), want - 1, &count), 0);
        }
    }
}

static void items_size(void)
{
    for (size_t size = SC_MAX_DATA; size <= SC_MAX_DATA + 1; size++) {
        bytes in = join(join(exact("[", 1), repeat('1', size)), exact("]", 1));
        uint64_t start = 9, end = 9;
        size_t count = 9;
        about("the longest item");
        EQUAL(sc_json_items(in.data, in.len, &start, &end, 1, &count), size == SC_MAX_DATA);
    }
}

static void codes_order(void)
{
    static const uint32_t codes[] = {7, 2, 2, 0, 7, 9}, want_order[] = {0, 1, 1, 2, 0, 3}, want_used[] = {7, 2, 0, 9};
    uint32_t table[10], order[6] = {0}, used[6] = {0};
    size_t found = 99;
    about("codes in order of appearance");
    EQUAL(sc_codes_order(codes, 6, table, 10, order, used, &found), 1);
    EQUAL(found, 4);
    EQUAL(memcmp(order, want_order, sizeof want_order), 0);
    EQUAL(memcmp(used, want_used, sizeof want_used), 0);
    EQUAL(sc_codes_order(codes, 6, table, 9, order, used, &found), 0);
    EQUAL(sc_codes_order(NULL, 0, NULL, 0, NULL, NULL, &found), 1);
    EQUAL(found, 0);
}

void test_reports(void)
{
    codes_order();
    items_size();
    columns();
    json();
    members();
    times();
    names();
    json_items();
}
