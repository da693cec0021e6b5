/* SPDX-License-Identifier: MIT */
/* The life of one worker, from its start to its burial. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "io/proc/nursery.h"
#include "nodes/script/worker/pool.h"
#include "nodes/script/worker/starter.h"

enum { ENV_MAX = 12, ENV_SIZE = 512, ARGS_EXTRA_MAX = 4 };

/* Set before the first attach, only read afterwards. */
static const char *command_path;
static const char *const *command_extra;
static bool is_idle = true;

void sl_worker_idle_set(bool idle)
{
    is_idle = idle;
}

bool worker_is_idle(void)
{
    return is_idle;
}

void sl_worker_command_set(const char *path, const char *const *extra)
{
    command_path = path;
    command_extra = extra;
}

/* ---- on the helper threads ------------------------------------------------------------------ */

/*
 * Nothing of the environment goes along but what the engines' results depend on. Gigacage would
 * reserve tens of GB, and its arrays escape RLIMIT_DATA; polling traps need no signals.
 */
static void env_make(char lines[ENV_MAX][ENV_SIZE], const char *envp[ENV_MAX + 3])
{
    static const char *const kept[] = {"TZ",           "LANG",          "LC_ALL",
                                       "LC_TIME",      "LC_CTYPE",      "LD_LIBRARY_PATH",
                                       "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"};
    uint32_t count = 0;
    envp[count++] = "GIGACAGE_ENABLED=0";
    envp[count++] = "JSC_usePollingTraps=1";
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        const char *value = getenv(kept[i]);
        if (value == NULL) continue;
        int size = snprintf(lines[i], ENV_SIZE, "%s=%s", kept[i], value);
        if (size > 0 && size < ENV_SIZE) envp[count++] = lines[i];
    }
    envp[count] = NULL;
}

/* What a worker is started with. */
struct command {
    const char *argv[3 + ARGS_EXTRA_MAX + 1];
    const char *envp[ENV_MAX + 3];
    char lines[ENV_MAX][ENV_SIZE];
    char parent[16];
};

static void command_make(struct command *command)
{
    *command = (struct command){.argv = {"sluice", SL_WORKER_COMMAND, command->parent}};
    env_make(command->lines, command->envp);
    (void)snprintf(command->parent, sizeof(command->parent), "%d", (int)getpid());
    for (uint32_t i = 0; command_extra != NULL && command_extra[i] != NULL; i++) {
        sl_assert(i < ARGS_EXTRA_MAX);
        command->argv[3 + i] = command_extra[i];
    }
}

int worker_spawn(const struct sl_shm *shm, struct sl_proc *ret_proc, struct sl_diag *reterr)
{
    struct command command;
    command_make(&command);
    struct sl_proc_config cfg = {
        .path = command_path,
        .argv = command.argv,
        .envp = command.envp,
        .fds = shm->fds,
        .fds_count = SL_SHM_FDS,
        .keep_stderr = command_extra != NULL,
    };
    return sl_proc_spawn(&cfg, ret_proc, reterr);
}

/* Of the helper thread that starts workers, of which the program has one. */
static struct sl_nursery nursery = {.fd = -1};

void worker_nursery_close(void)
{
    sl_nursery_close(&nursery);
}

static int nursery_open(struct sl_diag *reterr)
{
    struct command command;
    command_make(&command);
    struct sl_nursery_config cfg = {
        .path = command_path,
        .argv = command.argv,
        .envp = command.envp,
        .is_idle = is_idle,
        .keep_stderr = command_extra != NULL,
    };
    return sl_nursery_open(&nursery, &cfg, reterr);
}

static int nursery_spawn(struct sl_worker *worker)
{
    int r = nursery.fd < 0 ? nursery_open(&worker->start_diag) : 0;
    if (r < 0) return r;
    r = sl_nursery_spawn(&nursery, worker->shm.fds, SL_SHM_FDS, worker->pool->cpus, &worker->proc,
                         &worker->start_diag);
    /* Somebody killed it. There may be a worker of this channel that nobody knows. */
    if (r == -EPIPE) sl_nursery_close(&nursery);
    return r;
}

static int channel_start(struct sl_worker *worker)
{
    struct sl_shm_config cfg = {
        .ring_size = SL_WORKER_RING_SIZE,
        .slab_size = SL_WORKER_SLAB_SIZE,
        .creator_wake = SL_SHM_EVENTFD,
        .peer_wake = SL_SHM_FUTEX,
        .hostile = true,
    };
    int r = sl_shm_init(&worker->shm, &cfg, &worker->start_diag);
    if (r < 0) return r;
    r = nursery_spawn(worker);
    if (r < 0) sl_shm_fini(&worker->shm);
    return r;
}

static void on_started(struct sl_mail *mail);
static void on_reaped(struct sl_mail *mail);
static void on_buried(struct sl_mail *mail);

static void starter_start(struct sl_mail *mail)
{
    struct sl_worker *worker = sl_container_of(mail, struct sl_worker, mail);
    worker->start_error = channel_start(worker);
    /* A nursery that was killed has a successor. */
    if (worker->start_error == -EPIPE) worker->start_error = channel_start(worker);
    mail->fn = on_started;
    sl_loop_post(&worker->pool->shard->loop, mail);
}

static void starter_reap(struct sl_mail *mail)
{
    struct sl_worker *worker = sl_container_of(mail, struct sl_worker, mail);
    worker->reaped = sl_proc_reap(&worker->proc, &worker->exit_signal, &worker->exit_code);
    mail->fn = on_reaped;
    sl_loop_post(&worker->pool->shard->loop, mail);
}

/* Unmapping and closing take their time: pages that were touched go back to the system. */
static void starter_bury(struct sl_mail *mail)
{
    struct sl_worker *worker = sl_container_of(mail, struct sl_worker, mail);
    sl_shm_fini(&worker->shm);
    sl_proc_fini(&worker->proc);
    mail->fn = on_buried;
    sl_loop_post(&worker->pool->shard->loop, mail);
}

/* ---- on the shard ---------------------------------------------------------------------------- */

static void worker_free(struct sl_worker *worker)
{
    struct sl_worker_pool *pool = worker->pool;
    sl_list_remove(&worker->link);
    sl_mem_give(pool->shard->loop.mem, worker, sizeof(*worker));
}

static void on_buried(struct sl_mail *mail)
{
    struct sl_worker *worker = sl_container_of(mail, struct sl_worker, mail);
    struct sl_worker_pool *pool = worker->pool;
    worker_free(worker);
    pool_lost(pool);
}

static void bury_if_done(struct sl_worker *worker)
{
    if (!worker->is_gone || worker->is_out) return;
    if (sl_op_is_pending(&worker->bell_op) || sl_op_is_pending(&worker->exit_op)) return;
    sl_task_cancel(&worker->task);
    sl_timer_stop(&worker->pool->shard->loop.timers, &worker->timer);
    worker->is_out = true;
    worker->mail.fn = starter_bury;
    sl_starter_post(SL_STARTER_BURY, &worker->mail);
}

static void on_bell(struct sl_op *op, const struct sl_event *event)
{
    struct sl_worker *worker = sl_container_of(op, struct sl_worker, bell_op);
    (void)event;
    if (worker->state == WORKER_DYING) {
        bury_if_done(worker);
        return;
    }
    sl_shm_disarm(&worker->shm);
    worker->messages++; /* ringing for nothing is not free either */
    worker_hear(worker);
}

void worker_listen(struct sl_worker *worker)
{
    struct sl_loop *loop = &worker->pool->shard->loop;
    if (sl_op_is_pending(&worker->bell_op)) return;
    if (!sl_shm_arm(&worker->shm, false)) {
        worker->messages++;
        sl_loop_task_add(loop, &worker->task);
        return;
    }
    loop->poller->ops->poll(loop->poller, &worker->bell_op, sl_shm_bell_fd(&worker->shm), POLLIN);
}

static void on_task(struct sl_task *task)
{
    struct sl_worker *worker = sl_container_of(task, struct sl_worker, task);
    if (worker->state != WORKER_DYING) worker_hear(worker);
}

static void death_text(const struct sl_worker *worker, int signal, int code, char *text,
                       size_t size)
{
    (void)worker;
    if (signal != 0) {
        (void)snprintf(text, size, "the worker process of the script ended by signal %d (%s)",
                       signal, strsignal(signal));
    } else {
        (void)snprintf(text, size, "the worker process of the script ended with code %d", code);
    }
}

/* What a machine does that can get no memory; a kernel that has none sends SIGKILL. */
static bool is_memory_signal(int signal)
{
    switch (signal) {
    case SIGABRT:
    case SIGILL:
    case SIGSEGV:
    case SIGBUS:
    case SIGTRAP:
    case SIGKILL: return true;
    default: return false;
    }
}

/*
 * Was the last message never looked at? Then nothing of the call has happened. A worker that says so
 * falsely only makes its script run twice.
 */
static bool is_unread(const struct sl_worker *worker)
{
    const struct sl_ring_producer *out = &worker->shm.producer;
    return atomic_load_explicit(&out->map.shared->head, memory_order_acquire) != out->tail;
}

static void worker_died(struct sl_worker *worker, int signal, int code)
{
    char text[160];
    death_text(worker, signal, code, text, sizeof(text));
    if (worker->state == WORKER_STARTING) {
        worker->state = WORKER_DYING;
        pool_start_failed(worker->pool, text);
        return;
    }
    worker->pool->stats.crashed++;
    if (is_unread(worker)) (void)pool_again(worker);
    bool memory = is_memory_signal(signal);
    worker_end(worker, memory ? "script_memory" : "script_killed", memory ? 0 : 504, text);
}

static void exit_watch(struct sl_worker *worker)
{
    struct sl_poller *poller = worker->pool->shard->loop.poller;
    poller->ops->poll(poller, &worker->exit_op, worker->proc.pidfd, POLLIN);
}

static void on_exit_event(struct sl_op *op, const struct sl_event *event)
{
    struct sl_worker *worker = sl_container_of(op, struct sl_worker, exit_op);
    (void)event;
    worker->is_gone = true;
    /* An answer that it gave before is still in the ring. */
    if (worker->state == WORKER_BUSY) worker_hear(worker);
    worker->is_out = true;
    worker->mail.fn = starter_reap;
    sl_starter_post(SL_STARTER_REAP, &worker->mail);
}

static void on_reaped(struct sl_mail *mail)
{
    struct sl_worker *worker = sl_container_of(mail, struct sl_worker, mail);
    struct sl_poller *poller = worker->pool->shard->loop.poller;
    worker->is_out = false;
    if (worker->reaped == 0) { /* not dead after all */
        worker->is_gone = false;
        exit_watch(worker);
        if (worker->state == WORKER_DYING) sl_proc_signal(&worker->proc, SIGKILL);
        return;
    }
    if (worker->state != WORKER_DYING) {
        worker_died(worker, worker->exit_signal, worker->exit_code);
    }
    poller->ops->cancel(poller, &worker->bell_op);
    bury_if_done(worker);
}

static void on_timer(struct sl_timer *timer)
{
    struct sl_worker *worker = sl_container_of(timer, struct sl_worker, timer);
    char text[160];
    if (worker->is_paced) {
        worker_hear_paced(worker);
        return;
    }
    if (worker->state == WORKER_STARTING) {
        worker->state = WORKER_DYING;
        sl_proc_signal(&worker->proc, SIGKILL);
        pool_start_failed(worker->pool, "a worker process did not become ready");
        return;
    }
    worker->pool->stats.killed++;
    if (worker->state == WORKER_LOADING) {
        (void)snprintf(text, sizeof(text),
                       "the script was not ready in its worker process after %d ms, which was "
                       "killed",
                       SL_WORKER_LOAD_MS);
    } else {
        (void)snprintf(text, sizeof(text),
                       "the script ran on for %d ms after its deadline: its worker process was "
                       "killed",
                       SL_WORKER_GRACE_MS);
    }
    worker_end(worker, "script_killed", 504, text);
}

static void on_started(struct sl_mail *mail)
{
    struct sl_worker *worker = sl_container_of(mail, struct sl_worker, mail);
    struct sl_worker_pool *pool = worker->pool;
    struct sl_loop *loop = &pool->shard->loop;
    worker->is_out = false;
    if (worker->start_error < 0) {
        bool wanted = worker->state == WORKER_STARTING;
        char why[SL_DIAG_TEXT_SIZE];
        (void)snprintf(why, sizeof(why), "%s", worker->start_diag.text);
        worker_free(worker);
        if (wanted) pool_start_failed(pool, why);
        return;
    }
    pool->stats.spawned++;
    exit_watch(worker);
    if (worker->state == WORKER_DYING) { /* nobody needs it any more */
        sl_proc_signal(&worker->proc, SIGKILL);
        return;
    }
    worker->kill_ns = loop->now_ns + SL_WORKER_START_MS * SL_NS_PER_MS;
    sl_timer_start(&loop->timers, &worker->timer, worker->kill_ns);
    worker_hear(worker);
}

int worker_start(struct sl_worker_pool *pool)
{
    struct sl_worker *worker = sl_mem_take(pool->shard->loop.mem, sizeof(*worker));
    if (worker == NULL) return -ENOMEM;
    memset(worker, 0, sizeof(*worker));
    worker->pool = pool;
    worker->begin_ns = pool->shard->loop.now_ns;
    worker->proc.pidfd = -1;
    worker->bell_op.fn = on_bell;
    worker->exit_op.fn = on_exit_event;
    sl_task_init(&worker->task, on_task);
    sl_timer_init(&worker->timer, on_timer);
    sl_list_insert(&pool->workers, &worker->link);
    worker->state = WORKER_STARTING;
    worker->is_out = true;
    worker->mail.fn = starter_start;
    sl_starter_post(SL_STARTER_START, &worker->mail);
    return 0;
}

void worker_end(struct sl_worker *worker, const char *code, int status, const char *text)
{
    struct sl_worker_pool *pool = worker->pool;
    struct sl_loop *loop = &pool->shard->loop;
    if (worker->state == WORKER_DYING) return;
    struct sl_worker_wait *wait = worker_release(worker);
    worker->state = WORKER_DYING;
    sl_timer_stop(&loop->timers, &worker->timer);
    sl_task_cancel(&worker->task);
    if (!worker->is_out) {
        if (!worker->is_gone) sl_proc_signal(&worker->proc, SIGKILL);
        loop->poller->ops->cancel(loop->poller, &worker->bell_op);
    }
    if (wait != NULL) {
        struct sl_value error = sl_value_new_error(loop->mem, code, status, "%s", text);
        wait_answer(wait, error);
    }
    pool_lost(pool);
}

void worker_retire(struct sl_worker *worker)
{
    if (worker->state != WORKER_DYING) worker->pool->stats.retired++;
    worker_end(worker, "script_killed", 0, "");
}
