/* SPDX-License-Identifier: MIT */
/*
 * Tracing, the shard's side: slots in which requests are recorded, and their text. Only
 * ctl/admin/trace.c includes it.
 *
 *   part (one a shard) ── slots[] ── trace, hops ──► record: what the control thread reads
 */
#pragma once

#include <stdatomic.h>

#include "codecs/text/span.h"
#include "core/base/limit.h"
#include "core/graph/trace.h"
#include "core/shard/shard.h"
#include "ctl/admin/trace.h"
#include "ctl/admin/trace_text.h"
#include "nodes/script/use.h"

enum { TRACE_NODE_SIZE = 512, TRACE_WHEN_ERROR_SIZE = 96 };

struct trace_hop_text {
    uint64_t begin_ns;
    uint32_t at; /* in the record's text */
    uint32_t size;
    uint8_t cause;
};

/* A request on one shard, as text; it refers to nothing. */
struct trace_record {
    uint64_t key;
    uint64_t
        parent; /* key of the record whose hop `parent_hop` it belongs to; 0: it is a request */
    uint64_t begin_ns;
    uint64_t end_ns;
    int64_t wall_ns; /* when it began */
    struct sl_span span;
    uint32_t shard;
    uint32_t head_size; /* of the text: members of the line, from its front */
    uint32_t text_size;
    uint32_t hops_count;
    uint32_t hops_lost;
    uint8_t parent_hop;
    bool is_matched; /* it reached the node that was asked for */
    struct trace_hop_text hops[SL_TRACE_HOPS_MAX];
    char text[SL_TRACE_TEXT_SIZE];
};

struct trace_part;

struct trace_slot {
    struct sl_trace trace;
    struct sl_mail mail;
    struct trace_part *part;
    bool has_remote;
    struct sl_trace_hop hops[SL_TRACE_HOPS_MAX];
    struct trace_record record;
};

/* What all parts of a session share; written before they are attached, but for `is_stopping`. */
struct trace_session {
    uint32_t payload_size;
    uint32_t number; /* of the session, for keys */
    bool show_credentials;
    char node[TRACE_NODE_SIZE]; /* or "" */
    struct sl_script_use when;
    bool has_when;
    struct sl_loop *control;
    void (*told)(struct trace_slot *slot); /* control thread: a record is there */
    atomic_bool is_stopping;               /* no request need begin any more */
};

struct trace_part {
    struct sl_tracer tracer; /* first: shard->tracer */
    struct trace_session *session;
    struct sl_shard *shard;
    struct sl_mail mail; /* of attach and detach; trace.c's */
    void *when_instance;
    int attach_result;
    struct sl_diag attach_diag;
    uint64_t sequence;
    /* Counted by the shard; read when it is detached. */
    uint64_t begun;
    uint64_t missed;                        /* no slot was free */
    uint64_t when_errors;                   /* --when could not be evaluated: taken for false */
    char when_error[TRACE_WHEN_ERROR_SIZE]; /* what the first of them said */
    uint32_t free_count;
    struct trace_slot *free[SL_TRACE_SLOTS];
    struct trace_slot slots[SL_TRACE_SLOTS];
};

/* Set up a zeroed part. Control thread, before it is attached. */
void trace_part_init(struct trace_part *part, struct trace_session *session,
                     struct sl_shard *shard);

/* Become the shard's tracer; part->attach_result says how it went. Shard thread. */
void trace_part_attach(struct trace_part *part);

/* Drop what is being recorded, and let the shard go. Shard thread. */
void trace_part_detach(struct trace_part *part);

/* A slot whose record was read. Shard thread. */
void trace_slot_free(struct trace_slot *slot);
