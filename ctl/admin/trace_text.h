/* SPDX-License-Identifier: MIT */
/*
 * Values as JSON for people: cut to a limit, secrets masked, never more than a given room. What is
 * written is whole JSON whatever was cut:
 *
 *   a long text      "the beginning…(+1234 bytes)"
 *   a long list      [1,2,"…(+98 more)"]            a long map  {"a":1,"…":"+98 more"}
 *   deep nesting     "…"                            bytes       {"binary":"GIF89a\u0001","size":35}
 *   an undecoded body beyond the limit              "…(not decoded: 1048576 bytes)"
 *   a masked value   "***"
 *
 * Masked is, first, what `secrets` hides (core/graph/mask.h), in values and in keys, also where it
 * was cut. Second, the value
 * of keys that name credentials (authorization, cookie, password …) unless `show_credentials`.
 *
 * No allocation and no recursion, so a shard may call it; time is bounded by the limits and the
 * number of secrets (a Lazy that is within the limit is decoded).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/flat/flat.h"
#include "core/base/slice.h"
#include "core/graph/mask.h"

enum {
    SL_TRACE_DEPTH_MAX = 24, /* deeper values are not shown */
};

/* Text in borrowed room; `is_full`: something did not fit, and nothing of it was written. */
struct sl_trace_text {
    char *data;
    size_t size;
    size_t cap;
    bool is_full;
};

struct sl_trace_mask {
    const struct sl_mask *secrets; /* or NULL */
    bool show_credentials;
};

/* Append bytes as they are. */
void sl_trace_text_put(struct sl_trace_text *text, const void *data, size_t size);
void sl_trace_text_print(struct sl_trace_text *text, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Append a JSON string of at most about `limit` bytes of `data`, masked. */
void sl_trace_text_string(struct sl_trace_text *text, const struct sl_trace_mask *mask,
                          struct sl_slice data, size_t limit);

/* Append a value of at most about `limit` bytes (none: null). */
void sl_trace_text_value(struct sl_trace_text *text, const struct sl_trace_mask *mask,
                         struct sl_value value, size_t limit);

/* True if a key of this name holds credentials. */
bool sl_trace_is_credential(struct sl_slice key);
