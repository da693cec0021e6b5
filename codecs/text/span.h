/* SPDX-License-Identifier: MIT */
/*
 * W3C Trace Context, Levels 1 and 2: who called, and what we tell those whom we call.
 *
 *     traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
 *                  version   trace id of all calls      id of the caller  flags
 *     tracestate:  vendor=opaque,other=opaque            passed on, never read
 *
 * A span is one unit of work in a trace: a process that serves a request, or a request that it
 * sends. Ids that nobody gave us come from a seed, by arithmetic: no system call, and the same
 * seed gives the same ids, so that they need not be stored before somebody asks for them.
 *
 * Pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/slice.h"

enum {
    SL_TRACEPARENT_SIZE = 55,
    SL_TRACESTATE_SIZE_MAX = 512,   /* bytes: so much must be passed on (section 3.3.1.5) */
    SL_TRACESTATE_MEMBERS_MAX = 32, /* section 3.3.1.1 */
};

enum sl_span_flag {
    SL_SPAN_SAMPLED = 1, /* the caller may have recorded it */
    SL_SPAN_RANDOM = 2,  /* the last seven bytes of the trace id are random (Level 2) */
};

struct sl_span {
    uint8_t trace_id[16];
    uint8_t id[8];
    uint8_t parent[8]; /* span of the caller; all zero: the trace begins here */
    uint8_t flags;     /* enum sl_span_flag */
    uint8_t unused[7];
};

/* What ids are made from: random words, and a number that is used once with them. */
struct sl_span_seed {
    uint64_t key[2];
    uint64_t number;
};

/* As it is sent on: list members with one comma between them. size 0: none. */
struct sl_tracestate {
    uint32_t size;
    char text[SL_TRACESTATE_SIZE_MAX];
};

/* A span that begins a trace: flags SL_SPAN_RANDOM, for nobody has recorded it. */
void sl_span_make(const struct sl_span_seed *seed, struct sl_span *ret_span);

/*
 * A span that goes on with the trace of a caller; its own id is made from the seed.
 *
 * text     value of the one traceparent field, white space around it removed
 * returns  0; -EBADMSG: not valid, ret_span untouched. Refused are other lengths of version 00,
 *          version ff, ids of zeros only, capitals, anything behind the flags that does not
 *          begin with "-" in versions that do not exist yet
 */
int sl_span_take(const struct sl_span_seed *seed, struct sl_slice text, struct sl_span *ret_span);

/* A span that `span` begins: same trace, its id made from the seed, its parent is `span`. */
void sl_span_child(const struct sl_span *span, const struct sl_span_seed *seed,
                   struct sl_span *ret_child);

/* Write the value of traceparent that names `span` as the caller; no zero byte. */
void sl_span_write(const struct sl_span *span, char ret_text[SL_TRACEPARENT_SIZE]);

/* Write `size` bytes as 2 * size small hexadecimal digits, no zero byte. */
void sl_span_hex(const uint8_t *bytes, size_t size, char *ret_text);

/* True if no caller gave the trace: it began here. */
bool sl_span_is_root(const struct sl_span *span);

/*
 * Take over the values of all tracestate fields, in their order.
 *
 * texts  array of `count`
 * ret    size 0 if a member is malformed or there are more than SL_TRACESTATE_MEMBERS_MAX: then
 *        nothing is passed on. What does not fit is left out, members of more than 128 bytes
 *        first, then from the end (section 3.3.1.5)
 */
void sl_tracestate_take(const struct sl_slice *texts, uint32_t count, struct sl_tracestate *ret);
