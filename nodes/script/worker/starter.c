/* SPDX-License-Identifier: MIT */
#include "nodes/script/worker/starter.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "nodes/script/worker/pool.h"

/*
 * pairs: bell's add (release) ↔ the helper's load (acquire), then the mailbox's own; the futex
 * compares the bell again, so a post between the look and the sleep wakes it.
 */
struct starter {
    const char *name;
    void (*end)(void); /* on the thread, last; or NULL */
    struct sl_mailbox box;
    _Atomic uint32_t bell;
    _Atomic bool stopping;
    int policy;
    pthread_t thread;
};

static struct starter starters[SL_STARTERS] = {
    [SL_STARTER_START] = {.name = "sluice/starter", .end = worker_nursery_close},
    [SL_STARTER_REAP] = {.name = "sluice/reaper"},
    [SL_STARTER_BURY] = {.name = "sluice/burier"},
};
static uint32_t users; /* under `lock` */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void ring(struct starter *starter)
{
    (void)atomic_fetch_add_explicit(&starter->bell, 1, memory_order_release);
    (void)syscall(SYS_futex, &starter->bell, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *starter_main(void *arg)
{
    struct starter *starter = arg;
    (void)pthread_setname_np(pthread_self(), starter->name);
    /* It was made by a pinned shard, perhaps a real-time one, and must not fight with it. */
    struct sched_param param = {0};
    (void)sched_setscheduler(0, starter->policy, &param);
    cpu_set_t set;
    if (sched_getaffinity(getpid(), sizeof(set), &set) == 0) {
        (void)sched_setaffinity(0, sizeof(set), &set);
    }
    for (;;) {
        uint32_t seen = atomic_load_explicit(&starter->bell, memory_order_acquire);
        if (sl_mailbox_run(&starter->box) > 0) continue;
        if (atomic_load_explicit(&starter->stopping, memory_order_acquire)) break;
        (void)syscall(SYS_futex, &starter->bell, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    }
    if (starter->end != NULL) starter->end();
    return NULL;
}

static int starter_open(struct starter *starter, int policy)
{
    starter->policy = policy;
    sl_mailbox_init(&starter->box);
    atomic_store_explicit(&starter->stopping, false, memory_order_relaxed);
    return pthread_create(&starter->thread, NULL, starter_main, starter);
}

static void starter_close(struct starter *starter)
{
    atomic_store_explicit(&starter->stopping, true, memory_order_release);
    ring(starter);
    (void)pthread_join(starter->thread, NULL);
}

int sl_starter_open(bool workers_idle, struct sl_diag *reterr)
{
    (void)pthread_mutex_lock(&lock);
    int r = 0;
    for (int i = 0; users == 0 && r == 0 && i < SL_STARTERS; i++) {
        bool idle = workers_idle && i == SL_STARTER_REAP;
        r = starter_open(&starters[i], idle ? SCHED_IDLE : SCHED_OTHER);
        while (r != 0 && i-- > 0) starter_close(&starters[i]);
    }
    if (r == 0) users++;
    (void)pthread_mutex_unlock(&lock);
    if (r == 0) return 0;
    (void)sl_diag_set(reterr, "no_thread", (struct sl_pos){0, 0},
                      "cannot start the threads that start workers: %s", strerror(r));
    return -r;
}

struct drain {
    struct sl_mail mail;
    bool is_done; /* under drain_lock */
};

static pthread_mutex_t drain_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t drain_cond = PTHREAD_COND_INITIALIZER;

static void drain_done(struct sl_mail *mail)
{
    struct drain *drain = sl_container_of(mail, struct drain, mail);
    (void)pthread_mutex_lock(&drain_lock);
    drain->is_done = true;
    (void)pthread_cond_broadcast(&drain_cond);
    (void)pthread_mutex_unlock(&drain_lock);
}

/* Wait until what was posted before has been run and left: it rings the bells of shards. */
static void starter_drain(struct starter *starter)
{
    struct drain drain = {.mail.fn = drain_done};
    (void)sl_mailbox_push(&starter->box, &drain.mail);
    ring(starter);
    (void)pthread_mutex_lock(&drain_lock);
    while (!drain.is_done) (void)pthread_cond_wait(&drain_cond, &drain_lock);
    (void)pthread_mutex_unlock(&drain_lock);
}

void sl_starter_close(void)
{
    (void)pthread_mutex_lock(&lock);
    sl_assert(users > 0);
    bool is_last = --users == 0;
    for (int i = 0; i < SL_STARTERS; i++) {
        if (is_last) {
            starter_close(&starters[i]);
        } else {
            starter_drain(&starters[i]);
        }
    }
    (void)pthread_mutex_unlock(&lock);
}

void sl_starter_post(enum sl_starter which, struct sl_mail *mail)
{
    sl_assert(which < SL_STARTERS);
    sl_assert(mail != NULL);
    sl_assert(mail->fn != NULL);
    (void)sl_mailbox_push(&starters[which].box, mail);
    ring(&starters[which]);
}
