/* SPDX-License-Identifier: MIT */
#include "core/shard/shard.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "core/base/diag.h"
#include "core/mem/mem.h"

static void shard_offline(struct sl_loop *loop)
{
    struct sl_shard *shard = sl_shard_of(loop);
    sl_epoch_offline(shard->epoch, shard->index);
}

static void shard_online(struct sl_loop *loop)
{
    struct sl_shard *shard = sl_shard_of(loop);
    sl_epoch_online(shard->epoch, shard->index);
}

static void shard_quiescent(struct sl_loop *loop)
{
    struct sl_shard *shard = sl_shard_of(loop);
    sl_epoch_quiescent(shard->epoch, shard->index);
}

int sl_shard_init(struct sl_shard *shard, const struct sl_shard_config *cfg,
                  struct sl_poller *poller)
{
    sl_assert(shard != NULL);
    sl_assert(cfg != NULL);
    sl_assert(poller != NULL);
    struct sl_mem *mem = sl_mem_new(cfg->memory_max);
    if (mem == NULL) return -ENOMEM;
    if (cfg->memory_reserve > 0 && sl_mem_reserve(mem, cfg->memory_reserve) < 0) {
        mem = sl_mem_free(mem);
        return -ENOMEM;
    }
    sl_loop_init(&shard->loop, poller, cfg->clock, mem);
    shard->loop.stall_ns = cfg->stall_ns;
    shard->index = cfg->index;
    shard->cpu = cfg->cpu;
    shard->epoch = cfg->epoch;
    shard->control = cfg->control;
    shard->ended = cfg->ended;
    sl_list_init(&shard->sources);
    sl_list_init(&shard->processes);
    atomic_store_explicit(&shard->program, NULL, memory_order_relaxed);
    if (cfg->epoch != NULL) {
        shard->loop.offline = shard_offline;
        shard->loop.online = shard_online;
        shard->loop.quiescent = shard_quiescent;
        sl_epoch_online(cfg->epoch, cfg->index);
    }
    if (cfg->started != NULL) cfg->started(shard);
    return 0;
}

void sl_shard_fini(struct sl_shard *shard)
{
    sl_assert(sl_list_is_empty(&shard->processes));
    if (shard->ended != NULL) shard->ended(shard);
    if (shard->epoch != NULL) sl_epoch_offline(shard->epoch, shard->index);
    sl_loop_fini(&shard->loop);
}

/* What the starting thread hands over; it lives on the stack of sl_shard_start. */
struct shard_start {
    struct sl_shard *shard;
    const struct sl_shard_config *cfg;
};

static void thread_pin(int cpu)
{
    if (cpu < 0) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    /* A cpu outside our cpuset cannot be pinned to; the shard then floats. */
    (void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

/* sched_setattr(2); glibc has no name for it. */
struct thread_attr {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns;
    uint64_t deadline_ns;
    uint64_t period_ns;
};

/*
 * An ordinary thread asks for short slices (Linux 6.12, EEVDF): it takes no less of the core in all,
 * but when a request wakes it, it need not wait for the 3 ms slice of another ordinary thread to end.
 * A wish: older kernels know nothing of it. What was started under another class (chrt) stays there.
 */
static void thread_slice(void)
{
    if (sched_getscheduler(0) != SCHED_OTHER) return;
    struct thread_attr attr = {
        .size = sizeof(attr),
        .policy = SCHED_OTHER,
        .flags = 1, /* SCHED_FLAG_RESET_ON_FORK */
        .nice = getpriority(PRIO_PROCESS, (id_t)gettid()),
        .runtime_ns = SL_SHARD_SLICE_NS,
    };
    (void)syscall(SYS_sched_setattr, 0, &attr, 0);
}

/*
 * Threads that a library starts from here later are ordinary again (SCHED_RESET_ON_FORK): a
 * compiler thread with the rank of its shard would take the core from it.
 */
static int thread_rank(const struct sl_priority *priority)
{
    if (priority->kind == SL_PRIORITY_NORMAL) {
        thread_slice();
        return 0;
    }
    bool is_fifo = priority->kind == SL_PRIORITY_FIFO;
    struct sched_param param = {.sched_priority = is_fifo ? priority->value : 0};
    int policy = (is_fifo ? SCHED_FIFO : SCHED_OTHER) | SCHED_RESET_ON_FORK;
    if (sched_setscheduler(0, policy, &param) < 0) return -errno;
    if (!is_fifo && setpriority(PRIO_PROCESS, (id_t)gettid(), priority->value) < 0) return -errno;
    return 0;
}

static int rank_refused(struct sl_shard *shard, const struct sl_shard_config *cfg, int error)
{
    (void)sl_diag_set(shard->start_diag, "bad_priority", (struct sl_pos){0, 0},
                      "shard %u: %s %d was refused: %s", cfg->index,
                      cfg->priority.kind == SL_PRIORITY_FIFO ? "SCHED_FIFO" : "nice",
                      cfg->priority.value, strerror(-error));
    sl_diag_hint(shard->start_diag,
                 "that takes CAP_SYS_NICE, or LimitNICE= and LimitRTPRIO= in the systemd unit");
    return error;
}

static int shard_setup(struct sl_shard *shard, const struct sl_shard_config *cfg)
{
    int ranked = thread_rank(&cfg->priority);
    if (ranked < 0) return rank_refused(shard, cfg, ranked);
    struct sl_poller *poller = cfg->poller_new(cfg->poller_ctx, cfg->clock, shard->start_diag);
    if (poller == NULL) return -EINVAL;
    int r = sl_shard_init(shard, cfg, poller);
    if (r < 0) {
        poller->ops->free(poller);
        sl_diag_set(shard->start_diag, "no_memory", (struct sl_pos){0, 0},
                    "shard %u: no memory for %zu bytes", cfg->index, cfg->memory_reserve);
    }
    return r;
}

static void *shard_main(void *arg)
{
    struct shard_start *start = arg;
    struct sl_shard *shard = start->shard;
    char name[16];
    (void)snprintf(name, sizeof(name), "sluice/%u", start->cfg->index);
    (void)pthread_setname_np(pthread_self(), name);
    thread_pin(start->cfg->cpu);
    int r = shard_setup(shard, start->cfg);
    /* After this store `start` may be gone. */
    atomic_store_explicit(&shard->start_result, r, memory_order_release);
    if (r < 0) return NULL;
    sl_loop_run(&shard->loop);
    /* The mail may have been read before its sender has rung the poller. */
    while (!atomic_load_explicit(&shard->stop_posted, memory_order_acquire)) (void)sched_yield();
    sl_shard_fini(shard);
    return NULL;
}

int sl_shard_start(struct sl_shard *shard, const struct sl_shard_config *cfg,
                   struct sl_diag *reterr)
{
    sl_assert(shard != NULL);
    sl_assert(cfg->poller_new != NULL);
    struct shard_start start = {shard, cfg};
    struct sl_diag diag = {0};
    shard->start_diag = &diag;
    atomic_store_explicit(&shard->start_result, 1, memory_order_relaxed);
    atomic_store_explicit(&shard->stop_posted, false, memory_order_relaxed);
    int r = pthread_create(&shard->thread, NULL, shard_main, &start);
    if (r != 0) {
        return sl_diag_set(reterr, "no_thread", (struct sl_pos){0, 0},
                           "cannot start the thread of shard %u (error %d)", cfg->index, r);
    }
    /* The thread needs a few milliseconds to make its ring; nothing else can be done meanwhile. */
    while ((r = atomic_load_explicit(&shard->start_result, memory_order_acquire)) == 1) {
        (void)sched_yield();
    }
    shard->start_diag = NULL;
    if (r < 0) {
        (void)pthread_join(shard->thread, NULL);
        if (reterr != NULL) *reterr = diag;
        return r;
    }
    shard->has_thread = true;
    return 0;
}

struct shard_stop {
    struct sl_mail mail;
    struct sl_shard *shard;
};

static void mail_stop(struct sl_mail *mail)
{
    struct shard_stop *stop = sl_container_of(mail, struct shard_stop, mail);
    sl_loop_stop(&stop->shard->loop);
}

void sl_shard_stop(struct sl_shard *shard)
{
    if (!shard->has_thread) return;
    struct shard_stop stop = {.mail = {.fn = mail_stop}, .shard = shard};
    sl_loop_post(&shard->loop, &stop.mail);
    /* Pairs with the acquire in shard_main: only then may the poller go. */
    atomic_store_explicit(&shard->stop_posted, true, memory_order_release);
    (void)pthread_join(shard->thread, NULL);
    shard->has_thread = false;
}
