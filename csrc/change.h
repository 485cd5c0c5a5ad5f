/* Changes one by one. See scoutcore.h. */
#ifndef SCOUTCORE_CHANGE_H
#define SCOUTCORE_CHANGE_H

#include "internal.h"

typedef struct text {
    const uint8_t *data;
    size_t start, size;
    bool there;
} text;

typedef struct change {
    text subset, key, value;
    uint32_t change, from, to;
} change;

/* Writes the frame of a change at out[*end], and moves *end behind it: a row of sc_changes_encode. */
sc_status change_put(const change *c, uint64_t max_frame, uint8_t *out, size_t room, size_t *end);

#endif
