/* SPDX-License-Identifier: MIT */
#include "core/graph/swap.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/limit.h"

enum {
    SWAP_SLICE_NS = 50 * 1000,      /* of a shard's turn; then one part more may be under way */
    SWAP_POLL_NS_MIN = 1000 * 1000, /* between looks at what may be freed */
    SWAP_POLL_NS_MAX = 64 * 1000 * 1000,
};

/* What travels to one shard and back. */
struct swap_part {
    struct sl_mail mail;
    struct sl_task task; /* the rest of the work, next turn */
    struct swap_job *job;
    struct sl_shard *shard;
    int result;
    struct sl_diag diag;
    const struct sl_node *failed; /* of the program, or NULL */
};

enum job_state { JOB_PREPARING, JOB_CURRENT, JOB_WAITING, JOB_RETIRING };

/* A program and where it stands. */
struct swap_job {
    struct sl_list link; /* of swap->jobs */
    struct sl_swap *swap;
    struct sl_program *program;
    enum job_state state;
    bool refused;
    uint32_t acks;         /* parts that have not come back */
    uint64_t epoch_target; /* WAITING: nobody begins on it after this */
    sl_swap_done_fn *done;
    void *done_ctx;
    struct swap_part parts[]; /* by shard */
};

struct sl_swap {
    struct sl_loop *control;
    struct sl_shard *const *shards;
    uint32_t shards_count;
    struct sl_epoch *epoch;
    struct sl_list jobs;
    struct swap_job *current;
    struct swap_job *preparing;
    const struct sl_node *failed; /* for the length of `done` */
    struct sl_timer timer;
    uint64_t poll_ns;
    uint64_t generation;
    struct sl_swap_stats stats;
    void (*retracted)(void *ctx);
    void *retracted_ctx;
};

static void swap_poll(struct sl_timer *timer);

struct sl_swap *sl_swap_new(struct sl_loop *control, struct sl_shard *const *shards,
                            uint32_t shards_count, struct sl_epoch *epoch)
{
    sl_assert(control != NULL);
    sl_assert(shards_count >= 1);
    struct sl_swap *swap = calloc(1, sizeof(*swap));
    if (swap == NULL) return NULL;
    swap->control = control;
    swap->shards = shards;
    swap->shards_count = shards_count;
    swap->epoch = epoch;
    swap->poll_ns = SWAP_POLL_NS_MIN;
    sl_list_init(&swap->jobs);
    sl_timer_init(&swap->timer, swap_poll);
    return swap;
}

static void swap_poll_soon(struct sl_swap *swap)
{
    swap->poll_ns = SWAP_POLL_NS_MIN;
    sl_timer_start(&swap->control->timers, &swap->timer, swap->control->now_ns + swap->poll_ns);
}

/* Send every part of a job to its shard; `fn` runs there. */
static void job_send(struct swap_job *job, void (*fn)(struct sl_mail *mail))
{
    sl_assert(job->acks == 0);
    struct sl_swap *swap = job->swap;
    job->acks = swap->shards_count;
    for (uint32_t i = 0; i < swap->shards_count; i++) {
        job->parts[i].mail.fn = fn;
        sl_loop_post(&swap->shards[i]->loop, &job->parts[i].mail);
    }
}

static void part_return(struct swap_part *part, void (*fn)(struct sl_mail *mail))
{
    part->mail.fn = fn;
    sl_loop_post(part->job->swap->control, &part->mail);
}

/* ---- retiring ------------------------------------------------------------------------------ */

static void job_free(struct swap_job *job)
{
    sl_assert(job->state == JOB_RETIRING);
    sl_assert(job->swap->stats.alive > 0);
    struct sl_swap *swap = job->swap;
    sl_list_remove(&job->link);
    sl_program_free(job->program);
    free(job);
    swap->stats.freed++;
    swap->stats.alive--;
    if (swap->retracted != NULL && sl_list_is_empty(&swap->jobs)) {
        void (*retracted)(void *ctx) = swap->retracted;
        swap->retracted = NULL;
        sl_timer_stop(&swap->control->timers, &swap->timer);
        retracted(swap->retracted_ctx);
    }
}

static void mail_retired(struct sl_mail *mail)
{
    struct swap_part *part = sl_container_of(mail, struct swap_part, mail);
    sl_assert(part->job->state == JOB_RETIRING);
    sl_assert(part->job->acks > 0);
    if (--part->job->acks == 0) job_free(part->job);
}

static void task_retire(struct sl_task *task)
{
    struct swap_part *part = sl_container_of(task, struct swap_part, task);
    if (sl_instance_close(part->job->program, part->shard, SWAP_SLICE_NS) > 0) {
        sl_loop_task_add(&part->shard->loop, &part->task);
        return;
    }
    part_return(part, mail_retired);
}

static void mail_retire(struct sl_mail *mail)
{
    struct swap_part *part = sl_container_of(mail, struct swap_part, mail);
    sl_task_init(&part->task, task_retire);
    task_retire(&part->task);
}

/* True when no process runs on the program any more and none can begin. */
static bool job_is_idle(const struct swap_job *job)
{
    const struct sl_swap *swap = job->swap;
    if (!sl_epoch_is_passed(swap->epoch, job->epoch_target)) return false;
    for (uint32_t i = 0; i < swap->shards_count; i++) {
        const struct sl_instance *instance = job->program->instances[i];
        if (instance == NULL) continue;
        /* Pairs with the release of the process that went last. */
        if (atomic_load_explicit(&instance->pins, memory_order_acquire) != 0) return false;
    }
    return true;
}

static void swap_poll(struct sl_timer *timer)
{
    struct sl_swap *swap = sl_container_of(timer, struct sl_swap, timer);
    bool waiting = false;
    for (struct sl_list *at = swap->jobs.next; at != &swap->jobs;) {
        struct swap_job *job = sl_container_of(at, struct swap_job, link);
        at = at->next;
        if (job->state != JOB_WAITING) continue;
        if (job_is_idle(job)) {
            job->state = JOB_RETIRING;
            job_send(job, mail_retire);
        } else {
            waiting = true;
        }
    }
    if (!waiting) return;
    swap->poll_ns = swap->poll_ns * 2 < SWAP_POLL_NS_MAX ? swap->poll_ns * 2 : SWAP_POLL_NS_MAX;
    sl_timer_start(&swap->control->timers, &swap->timer, swap->control->now_ns + swap->poll_ns);
}

static void job_wait(struct swap_job *job)
{
    sl_assert(job->acks == 0);
    sl_assert(job != job->swap->current);
    job->state = JOB_WAITING;
    job->epoch_target = sl_epoch_advance(job->swap->epoch);
    swap_poll_soon(job->swap);
}

/* ---- publishing ---------------------------------------------------------------------------- */

struct swap_sync {
    struct sl_mail mail;
    struct sl_shard *shard;
};

static void mail_sync(struct sl_mail *mail)
{
    struct swap_sync *sync = sl_container_of(mail, struct swap_sync, mail);
    sl_sources_sync(sync->shard);
    free(sync);
}

static void shards_sync(struct sl_swap *swap)
{
    for (uint32_t i = 0; i < swap->shards_count; i++) {
        struct swap_sync *sync = calloc(1, sizeof(*sync));
        sl_assert(sync != NULL);
        sync->mail.fn = mail_sync;
        sync->shard = swap->shards[i];
        sl_loop_post(&swap->shards[i]->loop, &sync->mail);
    }
}

static void slots_store(struct sl_swap *swap, struct sl_program *program)
{
    for (uint32_t i = 0; i < swap->shards_count; i++) {
        /* Pairs with the acquire in sl_instance_current. */
        atomic_store_explicit(&swap->shards[i]->program, program, memory_order_release);
    }
}

static void job_publish(struct swap_job *job)
{
    struct sl_swap *swap = job->swap;
    struct swap_job *old = swap->current;
    job->state = JOB_CURRENT;
    job->program->generation = ++swap->generation;
    swap->current = job;
    slots_store(swap, job->program);
    swap->stats.published++;
    if (old != NULL) job_wait(old);
    shards_sync(swap);
    job->done(job->done_ctx, 0, NULL);
}

static void job_refuse(struct swap_job *job, const struct swap_part *failed)
{
    struct sl_swap *swap = job->swap;
    struct sl_diag diag = failed->diag;
    int result = failed->result;
    swap->stats.refused++;
    /* What some shards have opened is closed again; the running program is untouched. */
    shards_sync(swap);
    job_wait(job);
    swap->failed = failed->failed;
    job->done(job->done_ctx, result, &diag);
    swap->failed = NULL;
}

static void mail_prepared(struct sl_mail *mail)
{
    struct swap_part *part = sl_container_of(mail, struct swap_part, mail);
    struct swap_job *job = part->job;
    sl_assert(job->state == JOB_PREPARING);
    sl_assert(job->acks > 0);
    sl_assert(job->swap->preparing == job);
    if (--job->acks > 0) return;
    job->swap->preparing = NULL;
    for (uint32_t i = 0; i < job->swap->shards_count; i++) {
        if (job->parts[i].result < 0) {
            job_refuse(job, &job->parts[i]);
            return;
        }
    }
    job_publish(job);
}

/* The node that sl_instance_open stopped at. */
static const struct sl_node *node_at_fault(const struct sl_program *program,
                                           const struct sl_shard *shard)
{
    const struct sl_instance *instance = program->instances[shard->index];
    if (instance == NULL || instance->seats_count >= program->symbols_count) return NULL;
    return program->symbols[instance->seats_count].node;
}

static void task_prepare(struct sl_task *task)
{
    struct swap_part *part = sl_container_of(task, struct swap_part, task);
    struct sl_program *program = part->job->program;
    int r = sl_instance_open(program, part->shard, SWAP_SLICE_NS, &part->diag);
    if (r > 0) {
        sl_loop_task_add(&part->shard->loop, &part->task);
        return;
    }
    if (r < 0) {
        part->failed = node_at_fault(program, part->shard);
    } else {
        r = sl_sources_open(program, part->shard, &part->failed, &part->diag);
    }
    part->result = r;
    part_return(part, mail_prepared);
}

static void mail_prepare(struct sl_mail *mail)
{
    struct swap_part *part = sl_container_of(mail, struct swap_part, mail);
    sl_task_init(&part->task, task_prepare);
    task_prepare(&part->task);
}

void sl_swap_publish(struct sl_swap *swap, struct sl_program *program, sl_swap_done_fn *done,
                     void *ctx)
{
    sl_assert(swap->preparing == NULL);
    sl_assert(program != NULL);
    sl_assert(done != NULL);
    size_t size = sizeof(struct swap_job) + swap->shards_count * sizeof(struct swap_part);
    struct swap_job *job = calloc(1, size);
    if (job == NULL) {
        sl_program_free(program);
        done(ctx, -ENOMEM, NULL);
        return;
    }
    job->swap = swap;
    job->program = program;
    job->done = done;
    job->done_ctx = ctx;
    for (uint32_t i = 0; i < swap->shards_count; i++) {
        job->parts[i].job = job;
        job->parts[i].shard = swap->shards[i];
    }
    sl_list_insert(&swap->jobs, &job->link);
    swap->stats.alive++;
    swap->preparing = job;
    job_send(job, mail_prepare);
}

const struct sl_node *sl_swap_failed(const struct sl_swap *swap)
{
    sl_assert(swap != NULL);
    return swap->failed;
}

bool sl_swap_is_busy(const struct sl_swap *swap)
{
    sl_assert(swap != NULL);
    return swap->preparing != NULL;
}

struct sl_program *sl_swap_current(struct sl_swap *swap)
{
    sl_assert(swap != NULL);
    return swap->current != NULL ? swap->current->program : NULL;
}

void sl_swap_retract(struct sl_swap *swap, void (*done)(void *ctx), void *ctx)
{
    sl_assert(swap->preparing == NULL);
    sl_assert(swap->retracted == NULL);
    sl_assert(done != NULL);
    swap->retracted = done;
    swap->retracted_ctx = ctx;
    struct swap_job *old = swap->current;
    swap->current = NULL;
    slots_store(swap, NULL);
    if (old != NULL) {
        job_wait(old);
    } else if (sl_list_is_empty(&swap->jobs)) {
        swap->retracted = NULL;
        done(ctx);
    }
}

void sl_swap_stats_get(const struct sl_swap *swap, struct sl_swap_stats *ret_stats)
{
    sl_assert(swap != NULL);
    sl_assert(ret_stats != NULL);
    *ret_stats = swap->stats;
}

struct sl_swap *sl_swap_free(struct sl_swap *swap)
{
    if (swap == NULL) return NULL;
    sl_assert(sl_list_is_empty(&swap->jobs));
    sl_timer_stop(&swap->control->timers, &swap->timer);
    free(swap);
    return NULL;
}
