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

/*
 * pairs: bell's add (release) ↔ the helper's load (acquire), then the mailbox's own; the futex
 * compares the bell again, so a post between the look and the sleep wakes it.
 */
static struct {
    struct sl_mailbox box;
    _Atomic uint32_t bell;
    _Atomic bool stopping;
    pthread_t thread;
    uint32_t users; /* under `lock` */
    pthread_mutex_t lock;
} starter = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void ring(void)
{
    (void)atomic_fetch_add_explicit(&starter.bell, 1, memory_order_release);
    (void)syscall(SYS_futex, &starter.bell, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *starter_main(void *arg)
{
    (void)arg;
    (void)pthread_setname_np(pthread_self(), "sluice/starter");
    /* It was made by a pinned shard, perhaps a real-time one, and must not fight with it. */
    struct sched_param param = {0};
    (void)sched_setscheduler(0, SCHED_OTHER, &param);
    cpu_set_t set;
    if (sched_getaffinity(getpid(), sizeof(set), &set) == 0) {
        (void)sched_setaffinity(0, sizeof(set), &set);
    }
    for (;;) {
        uint32_t seen = atomic_load_explicit(&starter.bell, memory_order_acquire);
        if (sl_mailbox_run(&starter.box) > 0) continue;
        if (atomic_load_explicit(&starter.stopping, memory_order_acquire)) return NULL;
        (void)syscall(SYS_futex, &starter.bell, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    }
}

int sl_starter_open(struct sl_diag *reterr)
{
    (void)pthread_mutex_lock(&starter.lock);
    int r = 0;
    if (starter.users == 0) {
        sl_mailbox_init(&starter.box);
        atomic_store_explicit(&starter.stopping, false, memory_order_relaxed);
        r = pthread_create(&starter.thread, NULL, starter_main, NULL);
    }
    if (r == 0) starter.users++;
    (void)pthread_mutex_unlock(&starter.lock);
    if (r == 0) return 0;
    (void)sl_diag_set(reterr, "no_thread", (struct sl_pos){0, 0},
                      "cannot start the thread that starts workers: %s", strerror(r));
    return -r;
}

void sl_starter_close(void)
{
    (void)pthread_mutex_lock(&starter.lock);
    sl_assert(starter.users > 0);
    if (--starter.users == 0) {
        atomic_store_explicit(&starter.stopping, true, memory_order_release);
        ring();
        (void)pthread_join(starter.thread, NULL);
    }
    (void)pthread_mutex_unlock(&starter.lock);
}

void sl_starter_post(struct sl_mail *mail)
{
    sl_assert(mail != NULL);
    sl_assert(mail->fn != NULL);
    (void)sl_mailbox_push(&starter.box, mail);
    ring();
}
