/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/log.h"
#include "core/graph/process.h"
#include "core/graph/mask.h"
#include "nodes/script/worker/pool.h"
#include "nodes/script/worker/starter.h"

enum {
    RETRY_FIRST_MS = 100, /* after a start that failed; doubled each time */
    RETRY_LAST_MS = 5000,
    FAILURES_FEW = 3, /* then nobody waits for a worker that may never come */
    TRIM_MS = 5000,   /* how often idle workers are looked at */
    FINI_STEP_MS = 5,
    TRIES_MAX = SL_WORKERS_ACTIVE_MAX + SL_WORKERS_SPARE_MAX, /* of a call that never began */
};

static struct sl_worker *worker_of(struct sl_list *at)
{
    return sl_container_of(at, struct sl_worker, link);
}

static struct sl_worker_wait *wait_of(struct sl_list *at)
{
    return sl_container_of(at, struct sl_worker_wait, link);
}

/* ---- answers --------------------------------------------------------------------------------- */

void wait_answer(struct sl_worker_wait *wait, struct sl_value value)
{
    struct sl_worker_pool *pool = wait->script->pool;
    sl_assert(wait->is_active);
    sl_value_unref(wait->value);
    wait->value = sl_value_none();
    const struct sl_mask *mask = wait->script->load->mask;
    if (mask != NULL && sl_value_is(value, SL_VALUE_ERROR)) {
        value = sl_mask_error(mask, value, pool->shard->loop.mem);
    }
    if (sl_value_is_none(value)) value = sl_error_no_memory();
    if (wait->frame->status != SL_FRAME_PARKED) {
        /* It failed inside sl_worker_call: the frame is parked once the node has returned. */
        wait->value = value;
        wait->is_failed = true;
        sl_list_insert(&pool->failed, &wait->link);
        sl_loop_task_add(&pool->shard->loop, &pool->fail_task);
        return;
    }
    wait->is_active = false;
    sl_frame_resume(wait->frame, value);
}

static void on_fail_task(struct sl_task *task)
{
    struct sl_worker_pool *pool = sl_container_of(task, struct sl_worker_pool, fail_task);
    while (!sl_list_is_empty(&pool->failed)) {
        struct sl_worker_wait *wait = wait_of(pool->failed.next);
        struct sl_value value = wait->value;
        sl_list_remove(&wait->link);
        wait->value = sl_value_none();
        wait_answer(wait, value);
    }
}

struct sl_worker_wait *worker_release(struct sl_worker *worker)
{
    struct sl_worker_wait *wait = worker->wait;
    bool was_busy = worker->state == WORKER_BUSY || worker->state == WORKER_LOADING;
    if (was_busy) worker->pool->stats.busy--;
    if (was_busy && worker->script != NULL) worker->script->busy--;
    if (was_busy) worker->state = WORKER_IDLE;
    worker->script = NULL;
    worker->wait = NULL;
    if (wait != NULL) wait->worker = NULL;
    return wait;
}

/* ---- who runs what --------------------------------------------------------------------------- */

struct census {
    uint32_t alive;
    uint32_t used;
    uint32_t starting;
    uint32_t dying;
};

static struct census census(const struct sl_worker_pool *pool)
{
    struct census c = {0, 0, 0, 0};
    for (struct sl_list *at = pool->workers.next; at != &pool->workers; at = at->next) {
        const struct sl_worker *worker = worker_of(at);
        if (worker->state == WORKER_DYING) {
            c.dying++;
            continue;
        }
        c.alive++;
        c.starting += worker->state == WORKER_STARTING;
        c.used += worker->was_used;
    }
    return c;
}

/* The best idle worker: one that has the script, then one that has run others, then a spare. */
static struct sl_worker *worker_pick(struct sl_worker_pool *pool, uint64_t script_id)
{
    struct sl_worker *used = NULL;
    struct sl_worker *spare = NULL;
    uint32_t used_count = 0;
    for (struct sl_list *at = pool->workers.next; at != &pool->workers; at = at->next) {
        struct sl_worker *worker = worker_of(at);
        if (worker->state == WORKER_DYING) continue;
        used_count += worker->was_used;
        if (worker->state != WORKER_IDLE || worker->is_gone) continue;
        if (worker_has_script(worker, script_id)) return worker;
        if (worker->was_used) {
            if (used == NULL) used = worker;
        } else if (spare == NULL) {
            spare = worker;
        }
    }
    if (used != NULL) return used;
    return used_count < SL_WORKERS_ACTIVE_MAX ? spare : NULL;
}

/* Start as many spares as are missing. */
static void pool_fill(struct sl_worker_pool *pool)
{
    if (pool->scripts_count == 0 || pool->retry_ns > pool->shard->loop.now_ns) return;
    for (;;) {
        struct census c = census(pool);
        if (c.alive - c.used >= SL_WORKERS_SPARE_MAX) return;
        if (c.alive >= SL_WORKERS_ACTIVE_MAX + SL_WORKERS_SPARE_MAX) return;
        if (c.dying >= SL_WORKERS_DYING_MAX) return;
        if (worker_start(pool) < 0) return;
    }
}

static void worker_give(struct sl_worker *worker, struct sl_worker_wait *wait)
{
    struct sl_worker_pool *pool = worker->pool;
    sl_list_remove(&wait->link);
    pool->queue_count--;
    wait->script->queued--;
    wait->script->busy++;
    pool->stats.busy++;
    wait->worker = worker;
    worker->wait = wait;
    worker->script = wait->script;
    worker->state = WORKER_LOADING; /* busy, whatever happens in the next line */
    if (worker_has_script(worker, wait->script->id)) {
        (void)worker_call(worker);
    } else {
        (void)worker_load(worker);
    }
    if (worker->state == WORKER_DYING) return;
    if (!worker->was_used) {
        worker->was_used = true;
        pool_fill(pool);
    }
    worker_listen(worker);
}

/* Oldest first; calls of a node that has its share already are passed over. */
static void pool_dispatch(struct sl_worker_pool *pool)
{
    for (struct sl_list *at = pool->queue.next; at != &pool->queue;) {
        struct sl_worker_wait *wait = wait_of(at);
        at = at->next;
        if (wait->script->busy >= SL_WORKER_NODE_MAX) continue;
        struct sl_worker *worker = worker_pick(pool, wait->script->id);
        if (worker == NULL) return;
        worker_give(worker, wait);
        at = pool->queue.next; /* an answer may have changed the queue */
    }
}

bool pool_again(struct sl_worker *worker)
{
    struct sl_worker_wait *wait = worker->wait;
    struct sl_worker_pool *pool = worker->pool;
    if (wait == NULL || wait->tries >= TRIES_MAX) return false;
    (void)worker_release(worker);
    wait->tries++;
    /* In front of all others. */
    sl_list_insert(pool->queue.next, &wait->link);
    pool->queue_count++;
    wait->script->queued++;
    return true;
}

void pool_ready(struct sl_worker *worker)
{
    struct sl_worker_pool *pool = worker->pool;
    sl_timer_stop(&pool->shard->loop.timers, &worker->timer);
    pool->failures = 0;
    pool->retry_ns = 0;
    pool->stats.start_ns = pool->shard->loop.now_ns - worker->begin_ns;
    pool_idle(worker);
}

void pool_idle(struct sl_worker *worker)
{
    struct sl_worker_pool *pool = worker->pool;
    worker->state = WORKER_IDLE;
    worker->messages = 0; /* what it sends without a call counts from here */
    worker->idle_ns = pool->shard->loop.now_ns;
    pool_dispatch(pool);
}

void pool_lost(struct sl_worker_pool *pool)
{
    pool_dispatch(pool);
    pool_fill(pool);
}

/* ---- starts that fail ------------------------------------------------------------------------ */

static struct sl_value overload(struct sl_worker_pool *pool, const char *why)
{
    pool->stats.overload++;
    return sl_value_new_error(pool->shard->loop.mem, "script_overload", 503, "%s", why);
}

static void queue_refuse(struct sl_worker_pool *pool)
{
    while (!sl_list_is_empty(&pool->queue)) {
        struct sl_worker_wait *wait = wait_of(pool->queue.next);
        sl_list_remove(&wait->link);
        pool->queue_count--;
        wait->script->queued--;
        wait_answer(wait, overload(pool, pool->failure));
    }
}

static bool nobody_comes(const struct sl_worker_pool *pool)
{
    if (pool->failures < FAILURES_FEW) return false;
    for (struct sl_list *at = pool->workers.next; at != &pool->workers; at = at->next) {
        enum worker_state state = worker_of(at)->state;
        if (state != WORKER_DYING && state != WORKER_STARTING) return false;
    }
    return true;
}

void pool_start_failed(struct sl_worker_pool *pool, const char *why)
{
    struct sl_loop *loop = &pool->shard->loop;
    uint64_t wait_ms = RETRY_FIRST_MS;
    for (uint32_t i = 0; i < pool->failures && wait_ms < RETRY_LAST_MS; i++) wait_ms *= 2;
    if (wait_ms > RETRY_LAST_MS) wait_ms = RETRY_LAST_MS;
    pool->failures++;
    pool->stats.failures++;
    pool->retry_ns = loop->now_ns + wait_ms * SL_NS_PER_MS;
    (void)snprintf(pool->failure, sizeof(pool->failure), "no worker process can be started: %s",
                   why);
    if (pool->failures == 1 || pool->failures == FAILURES_FEW) {
        sl_log(SL_LOG_ERROR, "%s", pool->failure);
    }
    sl_timer_start(&loop->timers, &pool->timer, pool->retry_ns);
    if (nobody_comes(pool)) queue_refuse(pool);
}

/* ---- the pool ------------------------------------------------------------------------------- */

/* One worker that has had nothing to do for long goes, the last one that was used stays. */
static void pool_trim(struct sl_worker_pool *pool)
{
    uint64_t now_ns = pool->shard->loop.now_ns;
    if (census(pool).used <= 1) return;
    for (struct sl_list *at = pool->workers.next; at != &pool->workers; at = at->next) {
        struct sl_worker *worker = worker_of(at);
        if (worker->state != WORKER_IDLE || !worker->was_used) continue;
        if (now_ns - worker->idle_ns < SL_WORKER_IDLE_MS * SL_NS_PER_MS) continue;
        worker_retire(worker);
        return;
    }
}

static void on_pool_timer(struct sl_timer *timer)
{
    struct sl_worker_pool *pool = sl_container_of(timer, struct sl_worker_pool, timer);
    struct sl_loop *loop = &pool->shard->loop;
    if (pool->scripts_count == 0) return;
    pool_trim(pool);
    pool_lost(pool);
    uint64_t next_ns = loop->now_ns + TRIM_MS * SL_NS_PER_MS;
    if (pool->retry_ns > loop->now_ns && pool->retry_ns < next_ns) next_ns = pool->retry_ns;
    sl_timer_start(&loop->timers, timer, next_ns);
}

/* The shard's own core and those that no shard is pinned to. */
static void cpus_choose(struct sl_worker_pool *pool)
{
    const struct sl_shard *shard = pool->shard;
    cpu_set_t set;
    CPU_ZERO(&set);
    (void)sched_getaffinity(getpid(), sizeof(set), &set);
    for (uint32_t i = 0; i < shard->peers_count; i++) {
        int cpu = shard->peers[i]->cpu;
        if (cpu >= 0) CPU_CLR((size_t)cpu, &set);
    }
    if (shard->cpu >= 0) CPU_SET((size_t)shard->cpu, &set);
    static_assert(sizeof(set) == SL_PROC_CPUS_MAX / 8, "the kernel's set of processors");
    memcpy(pool->cpus, &set, sizeof(set));
}

static struct sl_worker_pool *pool_new(struct sl_shard *shard, struct sl_diag *reterr)
{
    struct sl_worker_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL || sl_starter_open(worker_is_idle(), reterr) < 0) {
        free(pool);
        return NULL;
    }
    pool->shard = shard;
    sl_list_init(&pool->workers);
    sl_list_init(&pool->queue);
    sl_list_init(&pool->failed);
    sl_task_init(&pool->fail_task, on_fail_task);
    sl_timer_init(&pool->timer, on_pool_timer);
    cpus_choose(pool);
    shard->workers = pool;
    return pool;
}

int sl_worker_attach(struct sl_shard *shard, const struct sl_worker_load *load,
                     struct sl_worker_script **ret_script, struct sl_diag *reterr)
{
    sl_assert(shard != NULL);
    sl_assert(load != NULL);
    sl_assert(load->data != NULL);
    sl_assert(ret_script != NULL);
    if (shard->loop.clock != sl_clock_system()) {
        return sl_diag_set(reterr, "not_supported", (struct sl_pos){0, 0},
                           "isolation \"process\" needs the machine's own clock");
    }
    struct sl_worker_pool *pool = shard->workers;
    if (pool == NULL) pool = pool_new(shard, reterr);
    if (pool == NULL) return -ENOMEM;
    struct sl_worker_script *script = calloc(1, sizeof(*script));
    if (script == NULL) return -ENOMEM;
    *script = (struct sl_worker_script){.pool = pool, .load = load, .id = ++pool->script_id_next};
    if (pool->scripts_count++ == 0) {
        pool->failures = 0; /* of another time */
        pool->retry_ns = 0;
        sl_timer_start(&shard->loop.timers, &pool->timer,
                       shard->loop.now_ns + TRIM_MS * SL_NS_PER_MS);
    }
    pool_fill(pool);
    *ret_script = script;
    return 0;
}

static void pool_end_all(struct sl_worker_pool *pool)
{
    for (struct sl_list *at = pool->workers.next; at != &pool->workers;) {
        struct sl_worker *worker = worker_of(at);
        at = at->next;
        worker_retire(worker);
    }
    sl_timer_stop(&pool->shard->loop.timers, &pool->timer);
}

void sl_worker_detach(struct sl_worker_script *script)
{
    if (script == NULL) return;
    struct sl_worker_pool *pool = script->pool;
    sl_assert(script->queued == 0);
    sl_assert(pool->scripts_count > 0);
    for (struct sl_list *at = pool->workers.next; at != &pool->workers;) {
        struct sl_worker *worker = worker_of(at);
        at = at->next;
        if (worker->script == script) {
            /* A cancelled call that still runs; its timer ends it. */
            sl_assert(worker->wait == NULL);
            worker->script = NULL;
        }
        if (worker->state != WORKER_DYING) worker_unload(worker, script->id);
    }
    free(script);
    if (--pool->scripts_count == 0) pool_end_all(pool);
}

void sl_worker_shard_fini(struct sl_shard *shard)
{
    sl_assert(shard != NULL);
    struct sl_worker_pool *pool = shard->workers;
    if (pool == NULL) return;
    struct sl_loop *loop = &shard->loop;
    sl_assert(pool->scripts_count == 0);
    pool_end_all(pool);
    /* The loop has ended; it turns on for the ends of the processes, a few milliseconds. */
    loop->stopping = false;
    while (!sl_list_is_empty(&pool->workers)) {
        loop->now_ns = sl_clock_now_ns(loop->clock);
        sl_loop_turn(loop, loop->now_ns + FINI_STEP_MS * SL_NS_PER_MS);
    }
    loop->stopping = true;
    sl_task_cancel(&pool->fail_task);
    sl_starter_close();
    shard->workers = NULL;
    free(pool);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static int call_refuse(struct sl_worker_pool *pool, const char *why, struct sl_value *ret_error)
{
    *ret_error = overload(pool, why);
    return -EAGAIN;
}

/* Too large for a ring, or not to be decoded: said before anything waits. */
static int value_check(struct sl_worker_pool *pool, struct sl_value value,
                       struct sl_value *ret_error)
{
    size_t sealed = 0;
    int r = sl_flat_sealed_size(value, &sealed);
    if (r == 0 && sealed + sizeof(struct wire_call) <= SL_WORKER_SLAB_SIZE) return 0;
    *ret_error = sl_value_new_error(pool->shard->loop.mem, "script_too_large", 413,
                                    "the value is too large for a script in a process (%d bytes)",
                                    SL_WORKER_SLAB_SIZE);
    return -EAGAIN;
}

int sl_worker_call(struct sl_worker_script *script, struct sl_call *call, struct sl_value value,
                   bool is_test, struct sl_worker_wait *wait, struct sl_value *ret_error)
{
    sl_assert(script != NULL);
    sl_assert(call->frame != NULL);
    sl_assert(wait != NULL);
    struct sl_worker_pool *pool = script->pool;
    int r = 0;
    if (pool->queue_count >= SL_WORKER_QUEUE_MAX || script->queued >= SL_WORKER_NODE_QUEUE_MAX) {
        r = call_refuse(pool, "too many calls wait for a worker process", ret_error);
    } else if (nobody_comes(pool)) {
        r = call_refuse(pool, pool->failure, ret_error);
    } else {
        r = value_check(pool, value, ret_error);
    }
    if (r < 0) {
        sl_value_unref(value);
        return r;
    }
    *wait = (struct sl_worker_wait){
        .frame = call->frame, .script = script, .value = value, .is_test = is_test};
    wait->is_active = true;
    sl_list_insert(&pool->queue, &wait->link);
    pool->queue_count++;
    script->queued++;
    pool_dispatch(pool);
    return 0;
}

void sl_worker_cancel(struct sl_worker_wait *wait)
{
    sl_assert(wait != NULL);
    if (!wait->is_active) return;
    wait->is_active = false;
    struct sl_worker_pool *pool = wait->script->pool;
    struct sl_worker *worker = wait->worker;
    if (worker == NULL) {
        sl_list_remove(&wait->link);
        pool->queue_count -= !wait->is_failed;
        wait->script->queued -= !wait->is_failed;
    } else {
        uint64_t kill_ns = pool->shard->loop.now_ns + SL_WORKER_GRACE_MS * SL_NS_PER_MS;
        worker->wait = NULL;
        /* One that still makes the script goes on: the next call will need it. */
        if (worker->state == WORKER_BUSY && kill_ns < worker->kill_ns) {
            worker->kill_ns = kill_ns;
            sl_timer_start(&pool->shard->loop.timers, &worker->timer, kill_ns);
        }
    }
    sl_value_unref(wait->value);
    wait->value = sl_value_none();
}

void sl_worker_stats_get(const struct sl_shard *shard, struct sl_worker_stats *ret_stats)
{
    sl_assert(shard != NULL);
    sl_assert(ret_stats != NULL);
    const struct sl_worker_pool *pool = shard->workers;
    *ret_stats = pool != NULL ? pool->stats : (struct sl_worker_stats){0};
    if (pool == NULL) return;
    struct census c = census(pool);
    ret_stats->alive = c.alive;
    ret_stats->ready = c.alive - c.starting;
    ret_stats->queued = pool->queue_count;
}
