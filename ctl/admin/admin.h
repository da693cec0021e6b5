/* SPDX-License-Identifier: MIT */
/*
 * The control socket: HTTP over a unix socket of mode 0600, served by the control loop.
 *
 *   GET  /health    200 while requests are served; 503 before the first program and when draining
 *   GET  /status    what runs, in short              GET /shards   what each core does
 *   GET  /nodes     every specification and node     GET /top      counters for the live view
 *   GET  /metrics   the same for Prometheus          POST /drain   end gracefully
 *   GET  /trace     the next requests, hop by hop: ctl/admin/trace_request.h
 *
 *   curl --unix-socket DIR/default.sock http://sluice/status
 *
 * Control thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/diag.h"
#include "ctl/admin/path.h"

struct sl_admin;
struct sl_loader;
struct sl_loop;
struct sl_shard;
struct sl_swap;

/* Everything is borrowed and lives longer. */
struct sl_admin_config {
    struct sl_loop *control;
    struct sl_shard *const *shards;
    uint32_t shards_count;
    const char *name_space;
    const char *version;
    const char *poller; /* which and why */
    struct sl_admin_path path;
    void *ctx; /* of the functions below */
    /* NULL before they are there and after they are gone. */
    struct sl_swap *(*swap)(void *ctx);
    struct sl_loader *(*loader)(void *ctx);
    bool (*is_draining)(void *ctx);
    void (*drain)(void *ctx); /* begin to end; harmless if it has begun */
};

/* Open the socket and serve. 0, or -EXXX with reterr. */
int sl_admin_new(const struct sl_admin_config *cfg, struct sl_admin **ret_admin,
                 struct sl_diag *reterr);

/* The path it serves at. */
const char *sl_admin_path(const struct sl_admin *admin);

/*
 * Remove the socket, let requests in flight end, turn the control loop meanwhile, and free.
 * NULL is fine; returns NULL.
 */
struct sl_admin *sl_admin_free(struct sl_admin *admin);
