/* SPDX-License-Identifier: MIT */
/*
 * A runtime: one namespace on some cores, assembled from components (ctl/boot).
 *
 *   registry      the log of specs and secrets             level 0
 *   shards        a thread per core                        level 0
 *   publisher     programs to shards          needs shards level 1
 *   loader        specs to programs           needs registry, publisher
 *   watch         follows the registry        needs loader
 *   admin         the control socket          needs shards
 *
 * One thread, the control thread, runs sl_runtime_run; every function here belongs to it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "codecs/flat/flat.h"
#include "core/base/diag.h"
#include "core/base/limit.h"
#include "core/shard/shard.h"
#include "ctl/admin/access_log.h"
#include "io/uring/pick.h"

struct sl_loader;
struct sl_registry;
struct sl_runtime;
struct sl_swap;

struct sl_runtime_config {
    const char *name_space;
    const char *data_dir;        /* NULL: the registry lives in memory */
    struct sl_value environment; /* Map; counted */
    int cpus[SL_SHARDS_MAX];     /* a shard is pinned to each; -1: not pinned */
    uint32_t cpus_count;         /* 1 … SL_SHARDS_MAX */
    int control_cpu;             /* the control thread is pinned to it; -1: not pinned */
    struct sl_priority priority; /* of the shards' threads */
    enum sl_poller_kind poller;
    struct sl_poller_config poller_config;
    size_t memory_max;      /* bytes a shard may take; 0: 4 GiB */
    size_t memory_reserve;  /* bytes a shard touches at start; 0: 16 MiB */
    uint32_t drain_ms;      /* how long requests in flight may take at the end; 0: 30 s */
    uint32_t stall_ms;      /* a shard's turn that is reported; 0: 100 ms */
    const char *control;    /* path of the control socket, "none", or NULL: ctl/admin/path.h */
    const char *access_log; /* file, "-", or NULL: none */
    enum sl_access_format access_format;
    const char *version; /* for the control socket; NULL: "" */
};

/*
 * Boot: open the registry, take the namespace's lease, start shards. Nothing is published yet, so
 * that specs can be applied first.
 *
 * returns  0 and a runtime owned by the caller; -EXXX with reterr, and nothing is left
 */
int sl_runtime_new(const struct sl_runtime_config *cfg, struct sl_runtime **ret_runtime,
                   struct sl_diag *reterr);

/* Load and publish what the registry has; returns when that has ended. 0 or -EXXX with reterr. */
int sl_runtime_publish(struct sl_runtime *runtime, struct sl_diag *reterr);

/*
 * Run until SIGINT or SIGTERM, or sl_runtime_stop; then drain. The second signal exits at once
 * with status 130.
 *
 * returns  0, or -ETIMEDOUT if requests had to be given up after the drain time
 */
int sl_runtime_run(struct sl_runtime *runtime);

/* End sl_runtime_run: drain and return. */
void sl_runtime_stop(struct sl_runtime *runtime);

/* Stop everything that still runs and free. NULL is fine; returns NULL. */
struct sl_runtime *sl_runtime_free(struct sl_runtime *runtime);

/* Called on SIGHUP. May be NULL. */
void sl_runtime_on_hangup(struct sl_runtime *runtime, void (*fn)(void *ctx), void *ctx);

/* Parts, borrowed. */
struct sl_loop *sl_runtime_control(struct sl_runtime *runtime);
struct sl_registry *sl_runtime_registry(struct sl_runtime *runtime);
struct sl_loader *sl_runtime_loader(struct sl_runtime *runtime);
struct sl_swap *sl_runtime_swap(struct sl_runtime *runtime);
struct sl_shard *const *sl_runtime_shards(struct sl_runtime *runtime, uint32_t *ret_count);
const char *sl_runtime_name_space(const struct sl_runtime *runtime);

/* "io_uring (self-test 1.2 ms; …)": which poller runs, and why. */
const char *sl_runtime_poller(const struct sl_runtime *runtime);

/* Path of the control socket, or NULL: there is none. */
const char *sl_runtime_control_path(const struct sl_runtime *runtime);

/* True while requests are still served but no new connection is taken. */
bool sl_runtime_is_draining(const struct sl_runtime *runtime);
