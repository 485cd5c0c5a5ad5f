/*
 * scoutcore.h - the codec of scoutcore: varints, multibuffers, frames, changes, blocks of points, changes files.
 *
 * This header is the manual; FORMAT.md beside it has the bytes.
 *
 * Rules that hold for every function here
 *
 *   Memory.   Nothing is allocated and nothing is kept: the caller owns every buffer. Input is read only inside
 *             [in, in + len) and output written only inside [out, out + room). In and out must not overlap. Null is
 *             allowed where the length is 0.
 *   Measure.  What a caller cannot know beforehand has a function *_size or *_count that walks the same input
 *             and tells how much room is needed. With less, the result is SC_ROOM.
 *   Columns.  A batch is one array per field, one item per row. Texts are named by starts and ends: byte offsets
 *             into a buffer, end exclusive.
 *   Result.   A function that can fail returns an sc_status, SC_OK being 0, and fills *at: on success as it says; on
 *             failure, for input the byte offset of the item that is wrong, for a batch to be encoded its row.
 *   Truncated is not corrupt. SC_TRUNCATED: the input ends in the middle of an item, more bytes may make it whole.
 *             Every other failure is final.
 *   Threads.  No global state: any function may run in any number of threads on different outputs.
 */
#ifndef SCOUTCORE_H
#define SCOUTCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The same numbers stand in python/scoutcore/codec/status.py. */
typedef enum sc_status {
    SC_OK = 0,
    SC_TRUNCATED = 1,      /* input ends in the middle of an item */
    SC_ROOM = 2,           /* output too small */
    SC_VARINT = 3,         /* varint over 64 bits */
    SC_FRAME_EMPTY = 4,    /* frame of length 0 */
    SC_FRAME_ID = 5,       /* unknown frame id */
    SC_FRAME_SIZE = 6,     /* frame longer than the limit */
    SC_FIELD_NUMBER = 7,   /* field number 0 */
    SC_WIRE_TYPE = 8,      /* wrong wire type */
    SC_FIELD_SIZE = 9,     /* field runs past the end of its change */
    SC_FIELD_MISSING = 10, /* change without a required field */
    SC_UINT32 = 11,        /* number over 32 bits */
    SC_UTF8 = 12,          /* invalid UTF-8 */
    SC_BLOCK_CODEC = 13,   /* unknown block codec */
    SC_BLOCK_EMPTY = 14,   /* block without points */
    SC_BLOCK_ORDER = 15,   /* points out of time order */
    SC_BLOCK_SPAN = 16,    /* block spans more than SC_MAX_BLOCK_SPAN */
    SC_TIME = 17,          /* time outside int64 */
    SC_FLAGS = 18,         /* unknown point flags */
    SC_DATA_EMPTY = 19,    /* point without data */
    SC_DATA_SIZE = 20,     /* data longer than SC_MAX_DATA */
    SC_POINT_SIZE = 21,    /* block ends in the middle of a point */
    SC_BOUNDS = 22,        /* a slice outside its buffer */
    SC_SERIES = 23,        /* series numbers not in order of appearance */
    SC_RECORD = 24,        /* a row's record that cannot be one */
    SC_KEYFRAME = 25,      /* no keyframe of the log where one has to be */
    SC_ORDER = 26,         /* a change whose number is not the next */
    SC_INTERVAL = 27,      /* an interval that is not closed where the format closes it */
    SC_BLOCK_LIMIT = 28,   /* block over SC_MAX_COLUMN, SC_MAX_NUMBERS or SC_MAX_TEXTS */
    SC_COLUMN = 29,        /* a column that cannot be one */
    SC_LIMIT = 30          /* no number is left in the log for a change, or for a row's version */
} sc_status;

#define SC_ABSENT UINT64_MAX          /* start and end of a text that is not there */
#define SC_VARINT_BYTES 10            /* the longest varint */
#define SC_FRAME_CHANGE 1             /* frame ids of dat-replication-protocol 4.1.2 */
#define SC_FRAME_BLOB 2
#define SC_UUID_BYTES 16
#define SC_MARKER_BYTES 18            /* a uuid frame */
#define SC_CHECK_BYTES 34             /* a check frame */
#define SC_MAX_FRAME 4194304          /* bytes; the longest frame of a log */
#define SC_MAX_DATA 1048576           /* bytes; the longest data of a point */
#define SC_MAX_BLOCK_SPAN 3600000000  /* microseconds from a block's first point to its last */
#define SC_MIN_COLUMN 3               /* points; below that, codec 1 is not tried */
#define SC_MAX_COLUMN 512             /* points; the most in a block of codec 1 */
#define SC_MAX_NUMBERS 32             /* the most numbers in a text of codec 1 */
#define SC_NUMBER_BYTES 21            /* of a number as text, at most: a sign, 19 digits, a point */
#define SC_MAX_TEXTS 262144           /* bytes; the most that the texts of a block of codec 1 may come to */
#define SC_CLOCK_RANGE 3600000        /* ms that an entry of the clock index spans at most */
#define SC_RECENT 512                 /* the most readings that a row's record keeps */
#define SC_GROUP_SPAN 900000000       /* microseconds from the first block of a group to the last, at most */
#define SC_GROUP_BYTES 16384          /* of the values in a group, at most */

/* ---- varint.c: unsigned LEB128, at most 10 bytes, as npm varint; zigzag as protobuf sint64 ---- */

/* Bytes that the varint of value takes: 1 to 10. */
size_t sc_varint_size(uint64_t value);

/* Writes the varint of value at out, which has sc_varint_size(value) bytes of room; returns the bytes written. */
size_t sc_varint_put(uint8_t *out, uint64_t value);

/* Reads one varint at in[*at] into *value and moves *at behind it; on failure *at stays. SC_TRUNCATED, SC_VARINT. */
sc_status sc_varint_get(const uint8_t *in, size_t len, size_t *at, uint64_t *value);

uint64_t sc_zigzag(int64_t value);
int64_t sc_unzigzag(uint64_t value);

/* In bulk. zigzag != 0: values are int64 in two's complement and stand in zigzag form. *at: bytes written. SC_ROOM. */
size_t sc_varints_size(const uint64_t *values, size_t count, int zigzag);
sc_status sc_varints_encode(const uint64_t *values, size_t count, int zigzag, uint8_t *out, size_t room, size_t *at);

/* Reads the varints of all of in; *count: how many (sc_varints_count tells how many end in in). SC_TRUNCATED,
 * SC_VARINT, SC_ROOM. */
size_t sc_varints_count(const uint8_t *in, size_t len);
sc_status sc_varints_decode(const uint8_t *in, size_t len, int zigzag, uint64_t *values, size_t room, size_t *count,
                            size_t *at);

/* ---- multibuffer.c: [extra zero bytes][varint n][n bytes], one after another, as npm multibuffer ---- */

/* Packs the count slices of in between offsets[0..count] (rising, in bytes). *at: bytes written, or the row that is
 * wrong. SC_BOUNDS, SC_ROOM. sc_multibuffer_size: the room needed, for offsets that are in order. */
size_t sc_multibuffer_size(const uint64_t *offsets, size_t count, size_t extra);
sc_status sc_multibuffer_pack(const uint8_t *in, size_t len, const uint64_t *offsets, size_t count, size_t extra,
                              uint8_t *out, size_t room, size_t *at);

/* Finds whole items from in[*at] on, at most room of them: starts and ends of their contents, *count how many. *at:
 * where the next item begins. Stops without failure at a cut item, or a wrong one behind others. SC_VARINT where the
 * first item is wrong. starts and ends null: counts only. */
sc_status sc_multibuffer_unpack(const uint8_t *in, size_t len, size_t extra, uint64_t *starts, uint64_t *ends,
                                size_t room, size_t *count, size_t *at);

/* ---- frame.c: [varint n+1][id][n bytes]: the multibuffers of dat-replication-protocol ---- */

/* Finds whole frames from in[*at] on, at most room of them: ids, and starts and ends of their contents behind the id.
 * *at: where the next frame begins. Stops without failure at a cut frame, or a wrong one behind others. A frame's
 * length (id included) over max_change or max_blob is wrong as soon as its id is there. ids null: counts only.
 * Where the first frame is wrong: SC_VARINT, SC_FRAME_EMPTY, SC_FRAME_ID, SC_FRAME_SIZE. */
sc_status sc_frames_scan(const uint8_t *in, size_t len, uint64_t max_change, uint64_t max_blob, uint8_t *ids,
                         uint64_t *starts, uint64_t *ends, size_t room, size_t *count, size_t *at);

/* ---- change.c: the protobuf message Change ---- */

typedef struct sc_changes {
    const uint8_t *subset_data; /* where subsets, keys and values stand: after decoding all three are the input */
    size_t subset_len;
    uint64_t *subset_starts, *subset_ends; /* SC_ABSENT: none */
    const uint8_t *key_data;
    size_t key_len;
    uint64_t *key_starts, *key_ends;
    const uint8_t *value_data;
    size_t value_len;
    uint64_t *value_starts, *value_ends; /* SC_ABSENT: none; an empty value is not absent */
    uint32_t *change, *from, *to;
} sc_changes;

/* Writes the frames of count changes one after another, frame_ends[i] being where frame i ends. *at: bytes written, or
 * the row that is wrong. SC_BOUNDS, SC_FIELD_MISSING (an absent key), SC_UTF8, SC_FRAME_SIZE (over max_frame), SC_ROOM.
 * sc_changes_size: room that is enough. */
size_t sc_changes_size(const sc_changes *changes, size_t count);
sc_status sc_changes_encode(const sc_changes *changes, size_t count, uint64_t max_frame, uint8_t *out, size_t room,
                            uint64_t *frame_ends, size_t *at);

/* Decodes the frames of in that sc_frames_scan found, blobs passed over, into the columns of *changes, which have room
 * for as many rows as there are changes among ids. *count: rows written. SC_VARINT, SC_FIELD_NUMBER, SC_WIRE_TYPE,
 * SC_FIELD_SIZE, SC_FIELD_MISSING, SC_UINT32, SC_UTF8; SC_BOUNDS with *at the frame. */
sc_status sc_changes_decode(const uint8_t *in, size_t len, const uint8_t *ids, const uint64_t *starts,
                            const uint64_t *ends, size_t frames, sc_changes *changes, size_t *count, size_t *at);

/* ---- msgpack.c: lists of objects as msgpack. msgspec turns these into Python objects, and back, faster than Python
 *      can loop: so a batch of objects too is one buffer ---- */

/* Writes slices of data as an array: of byte strings (form 0; absent ones empty), byte strings or nil (1), texts (2), or
 * texts, nil where empty (3); as many of the count as there is room for, *rows. *at: bytes written. SC_BOUNDS. */
sc_status sc_msgpack_slices(const uint8_t *data, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                            int form, uint8_t *out, size_t room, size_t *rows, size_t *at);

/* How many of the slices, from the first on, read as the first does: one object can stand for all. */
size_t sc_slices_same(const uint8_t *data, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count);

/* The items of the array that in begins with; 0 where it is none. */
size_t sc_msgpack_count(const uint8_t *in, size_t len);

/* Packs the array of byte strings that is all of in as a multibuffer. room: len and count * extra are enough. *at: bytes
 * written. SC_TRUNCATED, SC_WIRE_TYPE (anything else than such an array), SC_ROOM. */
sc_status sc_msgpack_pack(const uint8_t *in, size_t len, size_t extra, uint8_t *out, size_t room, size_t *at);

/* The running offsets of the byte strings of the array that is all of in: room for sc_msgpack_count and one more, the
 * first 0. *at: behind the array. SC_TRUNCATED, SC_WIRE_TYPE (anything else than such an array). */
sc_status sc_msgpack_offsets(const uint8_t *in, size_t len, uint64_t *offsets, size_t *at);

/* Reads the array that is all of in, of arrays of key, change, from, to, value (or nil) and subset (or nil), into
 * columns that point into it and have room for sc_msgpack_count rows. *at: behind the array. SC_TRUNCATED, SC_WIRE_TYPE
 * (anything else), SC_UINT32. */
sc_status sc_msgpack_changes(const uint8_t *in, size_t len, sc_changes *changes, size_t *at);

/* ---- block.c, block_read.c: blocks of points. Codec 1 holds columns of numbers, and once the text that all points have
 *      around them; what does not fit it, or is not smaller in it, is codec 0, which holds point after point ---- */

typedef struct sc_points {
    int64_t *t;         /* microseconds since the Unix epoch */
    uint8_t *clocked;   /* 1: boot and ms are there */
    uint64_t *boot, *ms;
    const uint8_t *data; /* JSON texts, at data[starts[i]..ends[i]] */
    size_t data_len;
    uint64_t *starts, *ends;
} sc_points;

typedef struct sc_columns { /* scratch for one block; undefined afterwards */
    uint64_t values[(3 + SC_MAX_NUMBERS) * SC_MAX_COLUMN];
    uint8_t decimals[SC_MAX_NUMBERS * SC_MAX_COLUMN];
} sc_columns;

typedef struct sc_blocks {
    uint64_t *offsets; /* block i: out[offsets[i]..offsets[i+1]]; room for points + 1 */
    uint32_t *series;  /* of block i; room for points */
    uint64_t *firsts;  /* block i: points order[firsts[i]..firsts[i+1]]; room for points + 1 */
    uint32_t *order;   /* room for points */
    uint32_t *scratch; /* room for 2 * points + 1; undefined afterwards */
    sc_columns *columns;
    size_t count;      /* blocks made */
} sc_blocks;

/* Groups count (below 2^32) points by series, series in order of their first points (series[i] is 0 for the first and
 * the next number for each new one), sorts each by t (stable), and encodes them in blocks of at most max_points and,
 * unless a single point is longer, max_bytes in codec 0. write_time: microseconds, not negative. *at: bytes written, or
 * the row that is wrong. SC_TIME, SC_BOUNDS, SC_DATA_EMPTY, SC_DATA_SIZE, SC_SERIES, SC_ROOM.
 * sc_blocks_size: room that is enough, for slices that are in order. */
size_t sc_blocks_size(const sc_points *points, size_t count);
sc_status sc_blocks_encode(const sc_points *points, const uint32_t *series, size_t count, int64_t write_time,
                           size_t max_points, size_t max_bytes, sc_blocks *blocks, uint8_t *out, size_t room,
                           size_t *at);

/* Decodes count blocks in[starts[i]..ends[i]]: block i gives the points firsts[i]..firsts[i+1] (firsts has room for
 * count + 1) and write_times[i]. The columns of *points have room for as many points as sc_blocks_count tells; their
 * starts and ends point into texts, which becomes their data. SC_BOUNDS with *at the block, SC_BLOCK_CODEC,
 * SC_BLOCK_EMPTY, SC_BLOCK_ORDER, SC_BLOCK_SPAN, SC_TIME, SC_FLAGS, SC_DATA_EMPTY, SC_DATA_SIZE, SC_POINT_SIZE, SC_UTF8,
 * SC_VARINT, SC_BLOCK_LIMIT, SC_COLUMN, SC_ROOM.
 * sc_blocks_count: the points in them, and *texts, room that is enough for their texts; for blocks that are wrong no more
 * points than there are bytes, or SC_MAX_COLUMN for each block. */
size_t sc_blocks_count(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                       size_t *texts);
sc_status sc_blocks_decode(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                           uint64_t *firsts, int64_t *write_times, sc_points *points, size_t room, uint8_t *texts,
                           size_t texts_room, size_t *at);

typedef struct sc_summaries {
    int64_t *write_times;
    uint64_t *counts;           /* points; never 0 */
    int64_t *first_t, *last_t;
    uint8_t *clocks;            /* 0: no point has boot and ms; 1: all have, and (boot, ms) rises strictly; 2: else */
    uint64_t *min_boot, *min_ms; /* the smallest (boot, ms), and the greatest; 0 where there is none */
    uint64_t *max_boot, *max_ms;
    uint8_t *last_clocked;      /* of the last point, as in sc_points */
    uint64_t *last_boot, *last_ms, *starts, *ends; /* its text: data[starts[i]..ends[i]] */
    uint8_t *data;
    size_t data_len;            /* the room at data */
} sc_summaries;

/* What a view needs of count blocks, one row per block, each checked as by sc_blocks_decode: *at and failures are its.
 * sc_lasts_size: room that is enough for the texts of their last points. */
size_t sc_lasts_size(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count);
sc_status sc_blocks_summarize(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                              sc_summaries *summaries, size_t *at);

typedef struct sc_clock {
    uint64_t boot, ms;
} sc_clock;

/* shared[i], 1 or 0: whether block i has a reading, a (boot, ms), that block 0 has; shared[0]: whether it has one twice
 * itself. scratch: undefined afterwards; room for the points of block 0, sc_blocks_count, is enough. *at and failures are
 * those of sc_blocks_decode, and SC_ROOM. */
sc_status sc_blocks_shared(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                           sc_clock *scratch, size_t room, uint8_t *shared, size_t *at);

/* Writes the points, below 2^32, of blocks in[starts[i]..ends[i]] with a time from from up to to, to included, as a msgpack array;
 * each point is prefix (the head of its own array, and what the caller puts first), t, data as bytes, and boot and ms or
 * nil. room: at least 5; what sc_blocks_count has for texts and 32 + prefix_len for each of its points more are enough.
 * *at: bytes written; 0: a block does not begin after the one before it has ended. Failures as of sc_blocks_decode. */
sc_status sc_blocks_msgpack(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                            int64_t from, int64_t to, const uint8_t *prefix, size_t prefix_len, uint8_t *out,
                            size_t room, size_t *at);

typedef struct sc_numbers {
    int64_t *t;
    double *values;                        /* number k of point i: values[k * room + i] */
    size_t room;                           /* points */
    size_t skeleton_start, skeleton_end;   /* the texts, with a byte 0 for each number, are in[start..end]; 0 at first */
    int64_t *firsts;                       /* number k of the first point, and how its column is written: FORMAT.md */
    uint8_t *formats, *same;               /* same[k], 1 or 0: number k is written alike in all points */
} sc_numbers;

/* The points of count blocks of codec 1 as numbers, without their texts. False: a block is wrong or of codec 0, has
 * another skeleton than the one before, does not begin after that has ended, or has a number of over 53 bits.
 * sc_numbers_count: the points in them, for which there must be room, and *numbers, how many each has; 0: there are no
 * blocks, or one of the first three. */
size_t sc_numbers_count(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                        size_t *numbers);
bool sc_blocks_numbers(const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                       sc_numbers *numbers);

/* ---- numbers.c: the numbers of texts that differ in them alone, as codec 1 takes texts apart ---- */

/* How many numbers a text has; over SC_MAX_NUMBERS: it cannot be taken apart. */
size_t sc_text_numbers(const uint8_t *text, size_t len);

/* The numbers of count texts data[starts[i]..ends[i]], number k of text i at values[k * count + i]: room for as many as
 * sc_text_numbers tells of the first. Number k of the first text stands at data[number_starts[k]..number_ends[k]];
 * same[k]: it is written alike in all. False: they cannot be taken apart alike, or a number has over 53 bits. */
bool sc_texts_numbers(const uint8_t *data, size_t len, const uint64_t *starts, const uint64_t *ends, size_t count,
                      double *values, uint64_t *number_starts, uint64_t *number_ends, uint8_t *same);

/* Writes count numbers, the integers or, where these are null, the doubles, as JSON, one after another: text i is
 * out[starts[i]..ends[i]]. room: SC_NUMBER_BYTES for each. A double is written as Python writes it, in the fewest digits
 * that read as it, with a decimal. False: a double needs more than 15 digits or an exponent, or is NaN, infinite or -0. */
bool sc_numbers_texts(const int64_t *integers, const double *doubles, size_t count, uint8_t *out, uint64_t *starts,
                      uint64_t *ends);

/* ---- rows.c: what blocks do to the views ----
 *
 * All numbers are big-endian, times with their sign bit turned where they stand in a key, so that keys sort.
 *   block: "h" row 00 [first t, 8] [log, 4] [change, 4] = 00 block; or with hidden points: 01 [how many, 4] [each, 4] block
 *   clock: "i" row 00 [boot, 8] [greatest ms, 8] [log, 4] [change, 4] = [smallest ms, 8] [first t, as above, 8]
 *   record: the members of sc_row in their order as a msgpack array, each in the least width, the data as bytes; times
 *     with their sign bit turned, but low and shown_t as they differ from t, bit by bit: mostly they do not. kept to recents
 *     are one item, bytes: none where they are not kept, else [varint from][varint recents][column of recent, see FORMAT.md] */

typedef struct sc_row {
    uint8_t flags; /* 1: max_boot and max_ms are there; 2: boot and ms are; 4: no last value */
    uint32_t own_log, own_count; /* number + 1 of a log of our own, and the points of the row in it */
    uint64_t points, receptions, max_boot, max_ms;
    uint64_t widest; /* the most ms that a clock entry spans */
    int64_t low, t; /* of the last value's reception: min(t, write time), t, log, change, index */
    uint32_t log, change, index;
    int64_t shown_t; /* of the last value as shown: t, boot and ms, and its data, which ends the record */
    uint64_t boot, ms;
    int64_t floor; /* what was before it has expired */
    uint64_t span; /* the longest block, in microseconds */
    uint8_t kept;     /* 1: recent has every reading of max_boot from this ms on */
    uint64_t from;
    uint64_t *recent; /* their ms, rising; there may be some that are no more */
    size_t recents;
    const uint8_t *data;
    size_t data_len;
} sc_row;

typedef struct sc_rows {
    size_t count;
    const uint8_t *keys; /* row r: keys[key_starts[r]..key_ends[r]], its key in changes; for sc_blocks_append alone */
    size_t keys_len;
    uint64_t *key_starts, *key_ends;
    const uint8_t *suffixes; /* likewise: what its keys in the views have in common */
    size_t suffixes_len;
    uint64_t *suffix_starts, *suffix_ends;
    const uint8_t *records; /* likewise: its record; empty: it has none yet */
    size_t records_len;
    uint64_t *record_starts, *record_ends;
    const uint8_t *uuids; /* of the logs, by number */
    size_t logs;
    int64_t newest; /* before it rows may have floors of which their records do not know */
} sc_rows;

/* Adds the blocks in[starts[i]..ends[i]], whose summaries are s, of the changes changes[i] of log (its number), to the
 * rows row_of[i]; versions, not null for a log of our own: the rows' versions behind each. out: a msgpack array of byte
 * strings: what is to be put, as puts.c reads it, then the rows' new records. deferred[i]: 1 for a block that may hold a
 * reading that was heard before, or is out of the ordinary: it counts in its row's receptions, span, greatest clock and
 * recent readings, and nothing else is done; 2 for one that begins before rows->newest or its row's floor: nothing is done;
 * else 0. A row keeps its recent readings from its first deferred block on. scratch: room for rows->count; recent: for
 * SC_RECENT times as many.
 * *at: bytes written; or what is wrong: the row (SC_RECORD), the block (SC_BOUNDS), SC_ROOM. sc_rows_size: room that is
 * enough, where the texts of the summaries come to that many bytes. */
size_t sc_rows_size(const sc_rows *rows, const uint64_t *starts, const uint64_t *ends, const uint32_t *row_of,
                    size_t count, size_t texts);
sc_status sc_rows_add(const sc_rows *rows, const uint8_t *in, size_t len, const uint64_t *starts, const uint64_t *ends,
                      const sc_summaries *s, const uint32_t *row_of, const uint32_t *changes, const uint32_t *versions,
                      size_t count, uint32_t log, sc_row *scratch, uint64_t *recent, uint8_t *deferred, uint8_t *out,
                      size_t room, size_t *at);

/* ---- puts.c: what several batches put, brought together by row ----
 *
 * Puts are msgpack arrays of byte strings, key and value in turn; all their heads have 5 bytes. in is below 4 GiB.
 *   group: "h" row 00 [place of the first, 16] "g" = 02 [span, 8] multibuffer of [place, 16] and value of each block: the
 *     place is what follows row 00 in its key; no block begins more than span microseconds behind the first */

typedef struct sc_put {
    size_t key, key_len, value, value_len;
    uint32_t next, last; /* of the same row */
} sc_put;

/* How many puts there are in arrays that stand one behind another and are all of in, or in front of what is wrong. */
size_t sc_puts_count(const uint8_t *in, size_t len);

/* Writes one array of the puts of such arrays, where no key is twice. Blocks of a row are next to one another and in order,
 * the rows as they first appear, and those that fit into a group become one; the rest follows as it stood. puts, order:
 * scratch for as many as there are; table: of a power of two, at least twice as many; seed: as of sc_reports_scan. room:
 * len and 16 bytes for each put and 5 are enough.
 * *at: bytes written; or where the item begins that is wrong: SC_TRUNCATED, SC_WIRE_TYPE (also the key of a block that is
 * too short, and an array with a key but no value); SC_ROOM: the items written. */
sc_status sc_puts_group(const uint8_t *in, size_t len, uint64_t seed, sc_put *puts, uint32_t *order, uint32_t *table,
                        size_t table_size, uint8_t *out, size_t room, size_t *at);

/* Reads the array that is all of in, of arrays that begin with the byte strings key, suffix and record, into rows, all but
 * uuids, logs and newest; what follows in an array, but another array, is passed over. columns: room for six times
 * sc_msgpack_count. *at: behind the array. SC_TRUNCATED, SC_WIRE_TYPE (anything else). This one is in msgpack.c. */
sc_status sc_msgpack_rows(const uint8_t *in, size_t len, uint64_t *columns, sc_rows *rows, size_t *at);

/* ---- append.c: a batch, written in our own log ---- */

typedef struct sc_append {
    uint32_t log, first; /* our log by number, and the number of the first change */
    uint32_t limit;      /* the greatest number that a change or a row's version may have */
    uint8_t *frames;     /* the changes; with as much room as sc_append_size tells */
    size_t frames_room;
    uint64_t *starts, *ends; /* block i: frames[starts[i]..ends[i]], where the frame of its change ends, too */
    uint8_t *deferred, *out; /* as of sc_rows_add */
    size_t room;
    sc_row *scratch; /* for sc_rows_add, like the next */
    uint64_t *recent;
} sc_append;

/* Writes the blocks that sc_blocks_encode has made of points, of all of in, as sensor changes: what sc_changes_encode makes
 * of them, block i being of row series[i] and change first + i, and what sc_rows_add makes of that. A row's versions follow
 * that of its record, where that speaks of log; else 0. The texts of the points are taken to be UTF-8. The scratch of blocks
 * is used once more; starts, ends and deferred have room for as many as there are blocks.
 * *at: bytes written to out; the frames end with the last block. SC_LIMIT: a number would be over limit. Else what is
 * wrong: the row (SC_RECORD), the block (SC_BOUNDS, SC_UTF8, SC_FRAME_SIZE), SC_ROOM. sc_append_size: room that is enough
 * for out, and *frames, for the frames. */
size_t sc_append_size(const sc_points *points, const sc_blocks *blocks, const sc_rows *rows, size_t *frames);
sc_status sc_blocks_append(const sc_points *points, const sc_blocks *blocks, const uint8_t *in, int64_t write_time,
                           const sc_rows *rows, const sc_append *to, size_t *at);

/* ---- point.c: a batch of one ---- */

typedef struct sc_point {
    int64_t write_time, t; /* microseconds since the Unix epoch */
    int clocked;           /* 1: boot and ms are there */
    uint64_t boot, ms;
    uint32_t change, from, to;
} sc_point;

/* Writes the frame of the sensor change that holds one point: as sc_blocks_encode and sc_changes_encode write it for a
 * batch of one. *block: where its block begins; it ends with the frame. *at: bytes written. room: the lengths of key and
 * data and 128 bytes more are enough. SC_TIME, SC_DATA_EMPTY, SC_DATA_SIZE, SC_UTF8, SC_FRAME_SIZE, SC_ROOM. */
sc_status sc_point_encode(const sc_point *point, const uint8_t *key, size_t key_len, const uint8_t *data,
                          size_t data_len, uint8_t *out, size_t room, size_t *block, size_t *at);

/* What sc_blocks_append makes of one point, with members of sc_point that stand by themselves, for one row; the rest as in
 * sc_rows and sc_append. out: a msgpack array of five: the frame, where in it its block begins, an array of key and value,
 * in turn, of what is to be put, the row's new record, and deferred as of sc_rows_add. *at: bytes written. room: key_len,
 * twice suffix_len, record_len, three times data_len and 4,500 bytes more are enough. SC_LIMIT; failures of
 * sc_point_encode and sc_rows_add; *at 0. */
sc_status sc_point_add(int64_t write_time, int64_t t, int clocked, uint64_t boot, uint64_t ms, uint32_t change,
                       const uint8_t *key, size_t key_len, const uint8_t *data, size_t data_len, const uint8_t *suffix,
                       size_t suffix_len, const uint8_t *record, size_t record_len, const uint8_t *uuids, size_t logs,
                       int64_t newest, uint32_t log, uint32_t limit, uint8_t *out, size_t room, size_t *at);

/* ---- changes.c: changes files. An interval is a uuid frame (the keyframe), frames of changes, and a check frame ---- */

/* Which of count frames, frame i ending at ends[i] (from 0), close an interval: the one that brings it, its keyframe
 * included, to interval bytes or more. *fill: bytes in the open interval before (0: none is open, the first frame
 * opens one), and after. closing has room for count; returns how many it got. */
size_t sc_changes_split(const uint64_t *ends, size_t count, uint64_t interval, uint64_t *fill, uint64_t *closing);

/* The offset of the next 18 bytes at or behind in[at] that read as the uuid frame of a log; len: none. */
size_t sc_marker_find(const uint8_t *in, size_t len, size_t at, const uint8_t uuid[SC_UUID_BYTES]);

/* The next keyframe at or behind in[at] from which whole frames read well up to a check frame, before any further
 * keyframe; bytes that read as one but reach from the last frame into the check are none. The digest is not looked at:
 * where it does not match, go on behind *start, not behind *end. 2: found, *start, *check and *end (of the check) are set. 1: in ends before
 * a check, *start is set. 0: none. */
int sc_interval_find(const uint8_t *in, size_t len, size_t at, const uint8_t uuid[SC_UUID_BYTES], size_t *start,
                     size_t *check, size_t *end);

/* Walks the intervals of a log from in[*at] on: a keyframe; whole changes, numbered on from *next (0: from the first
 * one's number on); and a check, behind the change that brings them to interval bytes or more and nowhere else. Digests
 * are not looked at. checks[i]: where the check of interval i begins; nexts[i]: the number behind its last change; at most
 * room of them, *count. *at: where the interval begins that is not closed; *end: where its last whole frame ends; *next:
 * the number behind the last change. Stops without failure where in ends, or at a wrong interval behind others. Where the
 * first is wrong: SC_KEYFRAME, SC_ORDER, SC_INTERVAL, failures of sc_frames_scan and sc_changes_decode; *next stays. */
sc_status sc_intervals_walk(const uint8_t *in, size_t len, const uint8_t uuid[SC_UUID_BYTES], uint64_t interval,
                            uint64_t *checks, uint64_t *nexts, size_t room, size_t *count, uint64_t *next, size_t *end,
                            size_t *at);

/* ---- reports.c: reports as NDJSON, one JSON object a line, on their way in ---- */

typedef struct sc_reports {
    /* One row per plain report. */
    uint32_t *lines;                  /* the line it stands in, from 0 */
    uint32_t *codes;                  /* the number of its name: of (troop, scout, report) */
    int64_t *t;                       /* microseconds since the Unix epoch; 0 where stamped is 0 */
    uint8_t *stamped;                 /* 1: t is there */
    uint8_t *clocked;                 /* 1: boot and ms are there */
    uint64_t *boot, *ms;
    uint64_t *starts, *ends;          /* the text of data */
    size_t count;
    /* One row per name, in order of first appearance. */
    uint64_t *name_starts;            /* where it begins in name_data */
    size_t names;
    uint8_t *name_data;               /* msgpack: an array of byte strings, each a name, see below */
    size_t name_len;
    /* One row per other line that is not blank. */
    uint32_t *odd_lines;
    uint64_t *odd_starts, *odd_ends;
    size_t odd;
} sc_reports;

/* Reads the lines of in, each column having room for as many rows as sc_reports_count tells (no more than 2^32). A
 * plain report is valid JSON and UTF-8 with a troop, uid or key, scout, report and data, maybe t, maybe b and ms, each
 * once and without escapes in names; numbers in range and written without exponent, t with up to three decimals; data at
 * most SC_MAX_DATA bytes and 64 levels deep. Anything else is not wrong, but odd: for somebody slower to judge.
 * A name is the msgpack of troop, uid, key, scout and report, in an array: of the first three the uid, else the key, else
 * the troop, the others nil. Equal names are equal bytes. name_data has room for len + 5; no line is over 4 GiB. table:
 * scratch of a power of two, at least twice as many as there may be names; seed: any number, better one that senders do
 * not know. */
size_t sc_reports_count(const uint8_t *in, size_t len);
void sc_reports_scan(const uint8_t *in, size_t len, uint64_t seed, uint32_t *table, size_t table_size,
                     sc_reports *reports);

/* Where the items of a plain JSON array stand that is all of in, at least one and at most room, none over SC_MAX_DATA:
 * *count of them. False: it is not that. */
bool sc_json_items(const uint8_t *in, size_t len, uint64_t *starts, uint64_t *ends, size_t room, size_t *count);

/* Numbers codes anew, from 0 in order of first appearance: order[i] is the new number of codes[i], used[k] the code whose
 * new number is k, for k below *found. table: scratch of limit items; used has room for as many or for count, whichever is
 * less. False: a code is not below limit. */
bool sc_codes_order(const uint32_t *codes, size_t count, uint32_t *table, size_t limit, uint32_t *order, uint32_t *used,
                    size_t *found);

#endif
