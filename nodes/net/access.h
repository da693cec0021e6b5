/* SPDX-License-Identifier: MIT */
/*
 * The access log, the shard's side: what is known of a request when it is over, kept in records of
 * one size. A block of them goes to the control thread when it is full or a while old; that one
 * makes lines of it and sends the block back. There is a fixed number of blocks: when all are
 * away, records are dropped and counted, so the message path never waits for a disk.
 *
 *   shard:  push ─► block ── mail ──► control: told(ctx, block) ── mail ──► shard: free again
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "codecs/text/span.h"
#include "core/base/slice.h"
#include "core/shard/loop.h"

struct sl_access;
struct sl_http_refusal;
struct sl_http_request;
struct sl_shard;

enum { SL_ACCESS_RECORDS = 64, SL_ACCESS_BLOCKS = 8, SL_ACCESS_TEXT_SIZE = 440 };

/* Parts of a record's text, in this order; what does not fit is cut. */
enum sl_access_part {
    SL_ACCESS_METHOD,
    SL_ACCESS_TARGET, /* path and query as sent */
    SL_ACCESS_REMOTE,
    SL_ACCESS_REQUEST_ID, /* as sent */
    SL_ACCESS_REFERER,
    SL_ACCESS_USER_AGENT,
    SL_ACCESS_REFUSED, /* why, if no workflow saw it; then there is neither method nor target */
    SL_ACCESS_PARTS,
};

struct sl_access_record {
    int64_t wall_ns;      /* when it was over */
    uint64_t duration_ns; /* from its head */
    uint64_t bytes_in;
    uint64_t bytes_out;
    struct sl_span span;
    uint16_t status; /* 499: the client went away */
    uint16_t version_minor;
    uint16_t sizes[SL_ACCESS_PARTS];
    char text[SL_ACCESS_TEXT_SIZE];
};

struct sl_access_block {
    struct sl_mail mail;
    struct sl_access *access;
    uint32_t count;
    struct sl_access_record records[SL_ACCESS_RECORDS];
};

struct sl_access_stats {
    uint64_t records;
    uint64_t dropped; /* no block was free */
};

/* Told on the control thread; the block is borrowed for the call. */
typedef void sl_access_fn(void *ctx, const struct sl_access_block *block);

/*
 * Make a shard's part and set shard->access. Before the shard runs.
 * returns  0 or -ENOMEM
 */
int sl_access_attach(struct sl_shard *shard, struct sl_loop *control, sl_access_fn *told,
                     void *ctx);

/* Free it and clear shard->access. The shard does not run. */
void sl_access_detach(struct sl_shard *shard);

/* What a record tells of a head; slices into it, `data` NULL where there is no such field. */
struct sl_access_head {
    struct sl_slice method;
    struct sl_slice target;
    struct sl_slice request_id;
    struct sl_slice referer;
    struct sl_slice user_agent;
    uint16_t version_minor;
};

/*
 * Find these in a head without parsing it again: only for one that sl_http1_parse_request has taken.
 *
 * data  array of `size`, the whole head with its empty line
 */
void sl_access_head_read(const uint8_t *data, size_t size, struct sl_access_head *ret_head);

/* Keep what is known of a request that is over. The shard's thread; shard->access is set. */
void sl_access_push(struct sl_shard *shard, const struct sl_http_request *request, int status,
                    uint64_t bytes_out, uint64_t duration_ns);

/* The same for one that was refused before anybody saw it. */
void sl_access_push_refused(struct sl_shard *shard, const struct sl_http_refusal *refusal);

/*
 * Send what is kept, and set *ret_flushed when it has arrived and every block is at home. Control
 * thread; one at a time a shard.
 */
void sl_access_flush(struct sl_shard *shard, bool *ret_flushed);

/* A part of a record's text; borrowed. */
struct sl_slice sl_access_part(const struct sl_access_record *record, enum sl_access_part part);

/* Of a shard, on its thread; zeros without an access log. */
void sl_access_stats_get(const struct sl_shard *shard, struct sl_access_stats *ret_stats);
