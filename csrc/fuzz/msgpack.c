/* Lists of objects as msgpack: read as byte strings to pack, as changes, or as rows; what reads well is written as msgpack
 * or as frames, and read again. */
#include "change_columns.h"

static void check_pack(const uint8_t *in, size_t len, size_t extra)
{
    size_t count = sc_msgpack_count(in, len), at = 99, found = 0, place = 0, rows = 0, again_at = 0;
    size_t room = len + (count <= len ? count : len) * extra;
    uint8_t *out = room_for(room);
    sc_status status = sc_msgpack_pack(in, len, extra, out, room, &at);
    REQUIRE(status == SC_OK || status == SC_TRUNCATED || status == SC_WIRE_TYPE);
    REQUIRE(status == SC_OK ? at <= room : at <= len);
    uint64_t *offsets = numbers((count <= len ? count : len) + 1);
    REQUIRE(sc_msgpack_offsets(in, len, offsets, &place) == status);
    if (status != SC_OK)
        return;
    for (size_t less = 1; less <= extra + 1 && less <= at; less++)
        REQUIRE(sc_msgpack_pack(in, len, extra, room_for(at - less), at - less, &place) == SC_ROOM);
    place = 0;
    uint64_t *starts = numbers(count), *ends = numbers(count);
    REQUIRE(sc_multibuffer_unpack(out, at, extra, starts, ends, count, &found, &place) == SC_OK);
    REQUIRE(found == count && place == at);
    for (size_t i = 0; i < count; i++)
        REQUIRE(offsets[i + 1] - offsets[i] == ends[i] - starts[i]);
    size_t equal = count > 0, first = count > 0 ? ends[0] - starts[0] : 0;
    while (equal < count && ends[equal] - starts[equal] == first && same(out + starts[0], out + starts[equal], first))
        equal++;
    REQUIRE(sc_slices_same(out, at, starts, ends, count) == equal);
    size_t size = 5 + at + 10 * count;
    uint8_t *packed = room_for(size), *again = room_for(room);
    REQUIRE(sc_msgpack_slices(out, at, starts, ends, count, 0, packed, size, &rows, &place) == SC_OK && rows == count);
    REQUIRE(sc_msgpack_pack(packed, place, extra, again, room, &again_at) == SC_OK);
    REQUIRE(again_at == at && same(again, out, at));
}

static void check_changes(const uint8_t *in, size_t len)
{
    size_t count = sc_msgpack_count(in, len), at = 99;
    size_t room = count <= len ? count : len; /* no more rows than bytes are written */
    sc_changes rows = change_columns(room);
    sc_status status = sc_msgpack_changes(in, len, &rows, &at);
    REQUIRE(status == SC_OK || status == SC_TRUNCATED || status == SC_WIRE_TYPE || status == SC_UINT32);
    REQUIRE(at <= len && (status != SC_OK || (at == len && count == room)));
    uint64_t *ends = numbers(room);
    size_t size = status == SC_OK ? sc_changes_size(&rows, count) : 0;
    if (status == SC_OK && sc_changes_encode(&rows, count, UINT64_MAX, room_for(size), size, ends, &at) == SC_OK)
        change_round(&rows, count); /* it is not where a text is no UTF-8 */
}

static void check_rows(const uint8_t *in, size_t len)
{
    size_t count = sc_msgpack_count(in, len), at = 99;
    sc_rows rows;
    if (count > len)
        return; /* there is no room for so many */
    sc_status status = sc_msgpack_rows(in, len, numbers(6 * count), &rows, &at);
    REQUIRE(status == SC_OK || status == SC_TRUNCATED || status == SC_WIRE_TYPE);
    REQUIRE(rows.count == count && at <= len && (status != SC_OK || at == len));
    for (size_t r = 0; status == SC_OK && r < count; r++) {
        REQUIRE(rows.key_starts[r] <= rows.key_ends[r] && rows.key_ends[r] < rows.suffix_starts[r]);
        REQUIRE(rows.suffix_starts[r] <= rows.suffix_ends[r] && rows.suffix_ends[r] < rows.record_starts[r]);
        REQUIRE(rows.record_starts[r] <= rows.record_ends[r] && rows.record_ends[r] <= len);
    }
}

/* Slices of a buffer, some absent or outside it, in any form and room: as many as are said to be there can be read. */
static void check_slices(input *in, int form)
{
    static uint8_t texts[70000];
    uint64_t starts[16], ends[16], wrong = 16;
    size_t count = 0, rows = 99, at = 99, next = 0;
    size_t room = (size_t)take_number(in) % 200000;
    while (in->len > 0 && count < 16) {
        uint8_t kind = take_byte(in);
        starts[count] = kind & 1 ? SC_ABSENT : kind;
        ends[count] = kind & 1 ? SC_ABSENT : kind + take_number(in);
        if (wrong == 16 && !(kind & 1) && (ends[count] < kind || ends[count] > sizeof texts))
            wrong = count;
        count++;
    }
    REQUIRE(sc_slices_same(texts, sizeof texts, starts, ends, count) <= (wrong < count ? wrong : count));
    uint8_t *out = room_for(room);
    sc_status status = sc_msgpack_slices(texts, sizeof texts, starts, ends, count, form, out, room, &rows, &at);
    REQUIRE(status == (status == SC_OK ? SC_OK : SC_BOUNDS) && (status == SC_OK || at == wrong));
    if (status != SC_OK || at == 0)
        return;
    REQUIRE(rows <= count && rows <= wrong && sc_msgpack_count(out, at) == rows && at <= room);
    if (form == 0) {
        uint8_t *packed = room_for(at);
        REQUIRE(sc_msgpack_pack(out, at, 0, packed, at, &next) == SC_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    input in = {data, len};
    uint8_t mode = take_byte(&in);
    if (mode % 4 == 3) {
        check_slices(&in, mode >> 2 & 3);
        return free_all();
    }
    uint8_t *copy = exact(in.data, in.len);
    check_rows(copy, in.len);
    if (mode & 1)
        check_changes(copy, in.len);
    else
        check_pack(copy, in.len, mode >> 1);
    return free_all();
}
