/* SPDX-License-Identifier: MIT */
#include "ctl/runtime/runtime.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/graph/remote.h"
#include "core/graph/report.h"
#include "core/graph/swap.h"
#include "core/mem/mem.h"
#include "ctl/admin/admin.h"
#include "ctl/admin/ops.h"
#include "ctl/boot/boot.h"
#include "ctl/loader/loader.h"
#include "ctl/registry/lease.h"
#include "ctl/registry/registry.h"
#include "ctl/registry/watch.h"
#include "ctl/runtime/claims.h"
#include "ctl/runtime/drain.h"
#include "ctl/runtime/published.h"
#include "io/epoll/epoll.h"
#include "nodes/kinds.h"
#include "nodes/script/use.h"
#include "nodes/system/native.h"

enum {
    RUNTIME_POLL_MS = 500,         /* the slow look at the registry behind the doorbell */
    RUNTIME_MAINTAIN_MS = 60000,   /* housekeeping of the registry */
    RUNTIME_SIGNAL_TWICE_MS = 200, /* a second signal within that is the first one's echo */
    RUNTIME_DRAIN_MS = 30000,
    RUNTIME_STALL_MS = 100,
    RUNTIME_STEP_MS = 10, /* between looks at a condition while waiting for it */
};

struct sl_runtime {
    struct sl_runtime_config cfg;
    char *name_space;
    char *data_dir;
    struct sl_clock *clock;
    struct sl_loop control;
    struct sl_poller_choice choice;
    struct sl_boot *boot;
    struct sl_component components[5];
    bool booted;

    struct sl_registry *registry;
    struct sl_lease *lease;
    struct sl_claims *claims;
    struct sl_epoch epoch;
    struct sl_shard *shards[SL_SHARDS_MAX];
    uint32_t shards_count;
    struct sl_swap *swap;
    struct sl_loader *loader;
    struct sl_admin *admin;
    struct sl_access_log *access_log;

    struct sl_watch *watch;
    struct sl_op watch_op;
    struct sl_timer poll_timer;
    struct sl_timer maintain_timer;
    struct sl_op signal_op;
    int signal_fd;
    uint32_t signals;   /* that end it */
    uint64_t signal_ns; /* when the first came */
    bool stopping;
    bool draining;
    int publish_result;
    struct sl_diag publish_diag;
    void (*hangup)(void *ctx);
    void *hangup_ctx;
};

/* ---- components ---------------------------------------------------------------------------- */

static int registry_load(struct sl_boot *boot, void *ctx, struct sl_diag *reterr)
{
    struct sl_runtime *runtime = ctx;
    int r = sl_registry_open(runtime->data_dir, NULL, &runtime->registry, reterr);
    if (r < 0) return r;
    sl_registry_set_validator(runtime->registry, sl_loader_validate, NULL);
    if (runtime->data_dir != NULL) {
        char name[SL_SPEC_NAME_MAX + 16];
        sl_published_lease(runtime->name_space, name, sizeof(name));
        r = sl_lease_take(runtime->data_dir, name, &runtime->lease, reterr);
        if (r != 0) {
            runtime->registry = sl_registry_close(runtime->registry);
            return r < 0 ? r : -EBUSY;
        }
    }
    sl_ops_set_registry(runtime->registry);
    sl_boot_put(boot, "registry", runtime->registry);
    return 0;
}

static int registry_stop(struct sl_boot *boot, void *ctx, uint64_t deadline_ns)
{
    struct sl_runtime *runtime = ctx;
    (void)boot;
    (void)deadline_ns;
    sl_ops_set_registry(NULL);
    runtime->lease = sl_lease_drop(runtime->lease);
    runtime->registry = sl_registry_close(runtime->registry);
    return 0;
}

static struct sl_poller *shard_poller(void *ctx, struct sl_clock *clock, struct sl_diag *reterr)
{
    struct sl_runtime *runtime = ctx;
    return sl_poller_new(runtime->choice.kind, &runtime->cfg.poller_config, clock, reterr);
}

/* Take the last records of the access log from the shards; they still run. */
static void access_flush(struct sl_runtime *runtime)
{
    for (uint32_t i = 0; i < runtime->shards_count; i++) {
        bool flushed = false;
        if (!runtime->shards[i]->has_thread) continue;
        sl_access_flush(runtime->shards[i], &flushed);
        while (!flushed) {
            sl_loop_turn(&runtime->control,
                         runtime->control.now_ns + RUNTIME_STEP_MS * SL_NS_PER_MS);
        }
    }
}

static int shards_stop(struct sl_boot *boot, void *ctx, uint64_t deadline_ns)
{
    struct sl_runtime *runtime = ctx;
    (void)boot;
    (void)deadline_ns;
    access_flush(runtime);
    for (uint32_t i = 0; i < runtime->shards_count; i++) sl_shard_stop(runtime->shards[i]);
    sl_remote_fini(runtime->shards, runtime->shards_count);
    for (uint32_t i = 0; i < runtime->shards_count; i++) {
        sl_access_detach(runtime->shards[i]);
        free(runtime->shards[i]);
        runtime->shards[i] = NULL;
    }
    runtime->shards_count = 0;
    return 0;
}

static int shards_alloc(struct sl_runtime *runtime, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct sl_shard *shard = aligned_alloc(128, sizeof(*shard));
        if (shard == NULL) return -ENOMEM;
        memset(shard, 0, sizeof(*shard));
        shard->index = i;
        shard->peers = runtime->shards;
        shard->peers_count = count;
        runtime->shards[i] = shard;
        runtime->shards_count++;
        if (runtime->access_log == NULL) continue;
        int r =
            sl_access_attach(shard, &runtime->control, sl_access_log_write, runtime->access_log);
        if (r < 0) return r;
    }
    return sl_remote_init(runtime->shards, count);
}

static void shard_started(struct sl_shard *shard)
{
    sl_remote_attach(shard);
    sl_script_shard_init(shard);
}

static int shards_load(struct sl_boot *boot, void *ctx, struct sl_diag *reterr)
{
    struct sl_runtime *runtime = ctx;
    const struct sl_runtime_config *cfg = &runtime->cfg;
    sl_epoch_init(&runtime->epoch, cfg->cpus_count);
    int r = shards_alloc(runtime, cfg->cpus_count);
    for (uint32_t i = 0; r == 0 && i < cfg->cpus_count; i++) {
        struct sl_shard_config shard_cfg = {
            .index = i,
            .cpu = cfg->cpus[i],
            .priority = cfg->priority,
            .epoch = &runtime->epoch,
            .control = &runtime->control,
            .clock = runtime->clock,
            .memory_max = cfg->memory_max,
            .memory_reserve = cfg->memory_reserve,
            .stall_ns = cfg->stall_ms * SL_NS_PER_MS,
            .poller_new = shard_poller,
            .poller_ctx = runtime,
            .started = shard_started,
            .ended = sl_kinds_shard_fini,
        };
        r = sl_shard_start(runtime->shards[i], &shard_cfg, reterr);
    }
    if (r < 0) {
        (void)shards_stop(boot, runtime, 0);
        return r;
    }
    sl_boot_put(boot, "shards", runtime->shards);
    return 0;
}

static int publisher_load(struct sl_boot *boot, void *ctx, struct sl_diag *reterr)
{
    struct sl_runtime *runtime = ctx;
    (void)reterr;
    runtime->swap =
        sl_swap_new(&runtime->control, runtime->shards, runtime->shards_count, &runtime->epoch);
    if (runtime->swap == NULL) return -ENOMEM;
    sl_boot_put(boot, "publisher", runtime->swap);
    return 0;
}

/* Turn the control loop until `done` or the deadline. */
static bool control_wait(struct sl_runtime *runtime, const bool *done, uint64_t deadline_ns)
{
    while (!*done && runtime->control.now_ns < deadline_ns) {
        uint64_t step_ns = runtime->control.now_ns + RUNTIME_STEP_MS * SL_NS_PER_MS;
        sl_loop_turn(&runtime->control, step_ns < deadline_ns ? step_ns : deadline_ns);
    }
    return *done;
}

static void set_true(void *ctx)
{
    *(bool *)ctx = true;
}

/* Let requests in flight end, then take the programs from the shards. */
static int publisher_stop(struct sl_boot *boot, void *ctx, uint64_t deadline_ns)
{
    struct sl_runtime *runtime = ctx;
    (void)boot;
    int result = 0;
    runtime->control.now_ns = sl_clock_now_ns(runtime->clock);
    uint64_t drain_ns = runtime->control.now_ns + runtime->cfg.drain_ms * SL_NS_PER_MS;
    struct sl_drain drain;
    sl_drain_begin(&drain, &runtime->control, runtime->shards, runtime->shards_count);
    if (!control_wait(runtime, &drain.done, drain_ns)) {
        result = -ETIMEDOUT;
        sl_drain_abort(&drain);
        (void)control_wait(runtime, &drain.done, deadline_ns);
    }
    sl_assert(drain.done);
    bool busy = sl_swap_is_busy(runtime->swap);
    while (busy && runtime->control.now_ns < deadline_ns) {
        sl_loop_turn(&runtime->control, runtime->control.now_ns + RUNTIME_STEP_MS * SL_NS_PER_MS);
        busy = sl_swap_is_busy(runtime->swap);
    }
    bool retracted = false;
    sl_swap_retract(runtime->swap, set_true, &retracted);
    if (!control_wait(runtime, &retracted, deadline_ns)) return -ETIMEDOUT;
    runtime->swap = sl_swap_free(runtime->swap);
    return result;
}

static void on_published(void *ctx, uint64_t revision, int result, const struct sl_diag *diag)
{
    struct sl_runtime *runtime = ctx;
    runtime->publish_result = result;
    sl_claims_settle(runtime->claims, sl_swap_current(runtime->swap));
    sl_script_try_fini();
    if (diag != NULL) runtime->publish_diag = *diag;
    if (result < 0) {
        sl_log(SL_LOG_ERROR, "namespace %s: revision %llu was refused: %s", runtime->name_space,
               (unsigned long long)revision, diag != NULL ? diag->text : strerror(-result));
    }
    if (runtime->data_dir == NULL) return;
    (void)sl_published_put(runtime->registry, runtime->name_space, runtime->loader, revision,
                           result, diag);
}

static int on_claim(void *ctx, const char *key, struct sl_diag *reterr)
{
    struct sl_runtime *runtime = ctx;
    return sl_claims_take(runtime->claims, key, reterr);
}

static int loader_load(struct sl_boot *boot, void *ctx, struct sl_diag *reterr)
{
    struct sl_runtime *runtime = ctx;
    (void)reterr;
    struct sl_loader_config cfg = {
        .registry = runtime->registry,
        .swap = runtime->swap,
        .name_space = runtime->name_space,
        .environment = runtime->cfg.environment,
        .shards_count = runtime->shards_count,
        .published = on_published,
        .claim = on_claim,
        .ctx = runtime,
    };
    runtime->loader = sl_loader_new(&cfg);
    if (runtime->loader == NULL) return -ENOMEM;
    sl_boot_put(boot, "loader", runtime->loader);
    return 0;
}

static void watch_stop(struct sl_runtime *runtime)
{
    sl_timer_stop(&runtime->control.timers, &runtime->poll_timer);
    sl_timer_stop(&runtime->control.timers, &runtime->maintain_timer);
    if (runtime->watch == NULL) return;
    struct sl_poller *poller = runtime->control.poller;
    poller->ops->cancel(poller, &runtime->watch_op);
    while (sl_op_is_pending(&runtime->watch_op)) sl_loop_turn(&runtime->control, 0);
    runtime->watch = sl_watch_close(runtime->watch);
}

/* Following ends first; the units go last, when no program refers to them. */
static int loader_stop(struct sl_boot *boot, void *ctx, uint64_t deadline_ns)
{
    struct sl_runtime *runtime = ctx;
    (void)boot;
    watch_stop(runtime);
    while (!sl_loader_is_settled(runtime->loader) && runtime->control.now_ns < deadline_ns) {
        sl_loop_turn(&runtime->control, runtime->control.now_ns + RUNTIME_STEP_MS * SL_NS_PER_MS);
    }
    return 0;
}

static struct sl_swap *admin_swap(void *ctx)
{
    return ((struct sl_runtime *)ctx)->swap;
}

static struct sl_loader *admin_loader(void *ctx)
{
    return ((struct sl_runtime *)ctx)->loader;
}

static bool admin_is_draining(void *ctx)
{
    const struct sl_runtime *runtime = ctx;
    return runtime->stopping || runtime->draining;
}

static void admin_drain(void *ctx)
{
    sl_log(SL_LOG_INFO, "draining: asked for on the control socket");
    sl_runtime_stop(ctx);
}

static int admin_load(struct sl_boot *boot, void *ctx, struct sl_diag *reterr)
{
    (void)boot;
    (void)ctx;
    (void)reterr;
    return 0; /* the control loop belongs to the booting thread: see admin_start */
}

/* A default path that is taken, or cannot be made, is no reason not to serve. */
static int admin_start(struct sl_boot *boot, void *ctx, struct sl_diag *reterr)
{
    struct sl_runtime *runtime = ctx;
    (void)boot;
    struct sl_admin_config cfg = {
        .control = &runtime->control,
        .shards = runtime->shards,
        .shards_count = runtime->shards_count,
        .name_space = runtime->name_space,
        .version = runtime->cfg.version != NULL ? runtime->cfg.version : "",
        .poller = runtime->choice.why,
        .ctx = runtime,
        .swap = admin_swap,
        .loader = admin_loader,
        .is_draining = admin_is_draining,
        .drain = admin_drain,
    };
    struct sl_diag diag = {0};
    int r = sl_admin_path_make(runtime->cfg.control, runtime->data_dir, runtime->name_space,
                               &cfg.path, &diag);
    if (r == 0 && cfg.path.text[0] == '\0') return 0;
    if (r == 0) r = sl_admin_new(&cfg, &runtime->admin, &diag);
    if (r < 0 && cfg.path.is_default) {
        sl_log(SL_LOG_WARN, "no control socket: %s", diag.text);
        return 0;
    }
    if (r < 0 && reterr != NULL) *reterr = diag;
    return r;
}

static int admin_stop(struct sl_boot *boot, void *ctx, uint64_t deadline_ns)
{
    struct sl_runtime *runtime = ctx;
    (void)boot;
    (void)deadline_ns;
    runtime->admin = sl_admin_free(runtime->admin);
    return 0;
}

static const char *const publisher_needs[] = {"shards", NULL};
static const char *const loader_needs[] = {"registry", "publisher", NULL};

static int components_add(struct sl_runtime *runtime, struct sl_diag *reterr)
{
    uint32_t stop_ms = runtime->cfg.drain_ms + 10000;
    runtime->components[0] =
        (struct sl_component){.name = "registry", .load = registry_load, .stop = registry_stop};
    runtime->components[1] =
        (struct sl_component){.name = "shards", .load = shards_load, .stop = shards_stop};
    /* Before the publisher, which needs the same: so it still answers while that one drains. */
    runtime->components[2] = (struct sl_component){.name = "admin",
                                                   .needs = publisher_needs,
                                                   .load = admin_load,
                                                   .start = admin_start,
                                                   .stop = admin_stop};
    runtime->components[3] = (struct sl_component){.name = "publisher",
                                                   .needs = publisher_needs,
                                                   .load = publisher_load,
                                                   .stop = publisher_stop,
                                                   .stop_ms = stop_ms};
    runtime->components[4] = (struct sl_component){
        .name = "loader", .needs = loader_needs, .load = loader_load, .stop = loader_stop};
    for (uint32_t i = 0; i < 5; i++) {
        runtime->components[i].ctx = runtime;
        int r = sl_boot_add(runtime->boot, &runtime->components[i], reterr);
        if (r < 0) return r;
    }
    return 0;
}

/* ---- following the registry ---------------------------------------------------------------- */

static void refresh(struct sl_runtime *runtime)
{
    int r = sl_loader_refresh(runtime->loader);
    if (r < 0) sl_log(SL_LOG_ERROR, "the registry cannot be read: %s", strerror(-r));
}

static void watch_arm(struct sl_runtime *runtime)
{
    struct sl_poller *poller = runtime->control.poller;
    poller->ops->poll(poller, &runtime->watch_op, sl_watch_fd(runtime->watch), POLLIN);
}

static void on_watch(struct sl_op *op, const struct sl_event *event)
{
    struct sl_runtime *runtime = sl_container_of(op, struct sl_runtime, watch_op);
    if (event->res == -ECANCELED) return;
    uint64_t revision;
    if (sl_watch_poll(runtime->watch, &revision) >= 0) refresh(runtime);
    watch_arm(runtime);
}

static void on_poll(struct sl_timer *timer)
{
    struct sl_runtime *runtime = sl_container_of(timer, struct sl_runtime, poll_timer);
    uint64_t revision;
    if (runtime->watch != NULL) (void)sl_watch_poll(runtime->watch, &revision);
    refresh(runtime);
    sl_timer_start(&runtime->control.timers, timer,
                   runtime->control.now_ns + RUNTIME_POLL_MS * SL_NS_PER_MS);
}

static void on_maintain(struct sl_timer *timer)
{
    struct sl_runtime *runtime = sl_container_of(timer, struct sl_runtime, maintain_timer);
    int r = sl_registry_maintain(runtime->registry);
    if (r < 0) sl_log(SL_LOG_WARN, "housekeeping of the registry failed: %s", strerror(-r));
    sl_timer_start(&runtime->control.timers, timer,
                   runtime->control.now_ns + RUNTIME_MAINTAIN_MS * SL_NS_PER_MS);
}

static int watch_start(struct sl_runtime *runtime)
{
    uint64_t now_ns = runtime->control.now_ns;
    sl_timer_start(&runtime->control.timers, &runtime->poll_timer,
                   now_ns + RUNTIME_POLL_MS * SL_NS_PER_MS);
    sl_timer_start(&runtime->control.timers, &runtime->maintain_timer,
                   now_ns + RUNTIME_MAINTAIN_MS * SL_NS_PER_MS);
    int r = sl_watch_open(runtime->registry, sl_loader_revision(runtime->loader), &runtime->watch);
    if (r < 0) return r;
    runtime->watch_op.fn = on_watch;
    watch_arm(runtime);
    return 0;
}

/* ---- signals ------------------------------------------------------------------------------- */

static void signal_arm(struct sl_runtime *runtime)
{
    struct sl_poller *poller = runtime->control.poller;
    poller->ops->poll(poller, &runtime->signal_op, runtime->signal_fd, POLLIN);
}

static void on_signal(struct sl_op *op, const struct sl_event *event)
{
    struct sl_runtime *runtime = sl_container_of(op, struct sl_runtime, signal_op);
    struct signalfd_siginfo info;
    if (event->res == -ECANCELED) return;
    while (read(runtime->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGUSR1) {
            if (runtime->access_log != NULL) sl_access_log_reopen(runtime->access_log);
            continue;
        }
        if (info.ssi_signo == SIGHUP) {
            if (runtime->access_log != NULL) sl_access_log_reopen(runtime->access_log);
            if (runtime->hangup != NULL) runtime->hangup(runtime->hangup_ctx);
            continue;
        }
        uint64_t now_ns = sl_clock_now_ns(sl_clock_system());
        if (runtime->signals > 0) {
            /* timeout(1) and some terminals pass one on twice. */
            if (now_ns - runtime->signal_ns < RUNTIME_SIGNAL_TWICE_MS * SL_NS_PER_MS) continue;
            sl_log(SL_LOG_WARN, "a second signal: ending at once, requests are cut off");
            _exit(130);
        }
        runtime->signals++;
        runtime->signal_ns = now_ns;
        sl_log(SL_LOG_INFO, "draining: a second signal ends at once");
        sl_runtime_stop(runtime);
    }
    signal_arm(runtime);
}

static int signals_open(struct sl_runtime *runtime)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGUSR1);
    /* Before any thread starts, so that all inherit it and only the descriptor sees them. */
    int r = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (r != 0) return -r;
    (void)signal(SIGPIPE, SIG_IGN);
    runtime->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return runtime->signal_fd < 0 ? -errno : 0;
}

static void signals_close(struct sl_runtime *runtime)
{
    if (runtime->signal_fd < 0) return;
    struct sl_poller *poller = runtime->control.poller;
    poller->ops->cancel(poller, &runtime->signal_op);
    while (sl_op_is_pending(&runtime->signal_op)) sl_loop_turn(&runtime->control, 0);
    (void)close(runtime->signal_fd);
    runtime->signal_fd = -1;
}

/* ---- life ---------------------------------------------------------------------------------- */

static void report_log(enum sl_log_level level, const char *text)
{
    sl_log(level, "%s", text);
}

static void defaults_fill(struct sl_runtime_config *cfg)
{
    if (cfg->memory_max == 0) cfg->memory_max = (size_t)4 << 30;
    if (cfg->memory_reserve == 0) cfg->memory_reserve = (size_t)16 << 20;
    if (cfg->drain_ms == 0) cfg->drain_ms = RUNTIME_DRAIN_MS;
    if (cfg->stall_ms == 0) cfg->stall_ms = RUNTIME_STALL_MS;
}

/*
 * After the shards have started, which would inherit it; what the control thread starts from now
 * on (compilers of scripts, workers of no shard) stays off the shards' cores, too.
 */
static int control_pin(int cpu, struct sl_diag *reterr)
{
    if (cpu < 0) return 0;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    int r = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
    if (r == 0) return 0;
    (void)sl_diag_set(reterr, "bad_control_core", (struct sl_pos){0, 0},
                      "the control thread cannot run on core %d: %s", cpu, strerror(r));
    return -r;
}

static int runtime_boot(struct sl_runtime *runtime, struct sl_diag *reterr)
{
    if (runtime->claims == NULL || runtime->name_space == NULL) return -ENOMEM;
    int r = sl_poller_pick(runtime->cfg.poller, &runtime->cfg.poller_config, runtime->clock,
                           &runtime->choice, reterr);
    if (r < 0) return r;
    struct sl_poller *poller = sl_poller_epoll_new(NULL, runtime->clock, reterr);
    if (poller == NULL) return -EMFILE;
    struct sl_mem *mem = sl_mem_new((size_t)1 << 30);
    if (mem == NULL) {
        poller->ops->free(poller);
        return -ENOMEM;
    }
    sl_loop_init(&runtime->control, poller, runtime->clock, mem);
    r = signals_open(runtime);
    if (r < 0) return r;
    if (runtime->cfg.access_log != NULL) {
        r = sl_access_log_open(runtime->cfg.access_log, runtime->cfg.access_format,
                               &runtime->access_log, reterr);
        if (r < 0) return r;
    }
    runtime->signal_op.fn = on_signal;
    signal_arm(runtime);
    runtime->boot = sl_boot_new(runtime->clock);
    if (runtime->boot == NULL) return -ENOMEM;
    r = components_add(runtime, reterr);
    if (r == 0) r = sl_boot_load(runtime->boot, reterr);
    if (r == 0) r = sl_boot_start(runtime->boot, reterr);
    runtime->booted = r == 0;
    if (r == 0) r = control_pin(runtime->cfg.control_cpu, reterr);
    return r;
}

int sl_runtime_new(const struct sl_runtime_config *cfg, struct sl_runtime **ret_runtime,
                   struct sl_diag *reterr)
{
    sl_assert(cfg != NULL);
    sl_assert(cfg->cpus_count >= 1);
    sl_assert(cfg->cpus_count <= SL_SHARDS_MAX);
    sl_kinds_register();
    sl_ops_register();
    sl_native_freeze();
    sl_report_set(report_log);
    sl_script_shards_set(cfg->cpus_count);
    sl_script_prints_open();
    struct sl_runtime *runtime = aligned_alloc(128, sizeof(*runtime));
    if (runtime == NULL) return -ENOMEM;
    memset(runtime, 0, sizeof(*runtime));
    runtime->cfg = *cfg;
    defaults_fill(&runtime->cfg);
    runtime->cfg.environment = sl_value_ref(cfg->environment);
    runtime->clock = sl_clock_system();
    runtime->signal_fd = -1;
    runtime->claims = sl_claims_new(cfg->data_dir);
    runtime->name_space = strdup(cfg->name_space);
    runtime->data_dir = cfg->data_dir != NULL ? strdup(cfg->data_dir) : NULL;
    sl_timer_init(&runtime->poll_timer, on_poll);
    sl_timer_init(&runtime->maintain_timer, on_maintain);
    int r = runtime_boot(runtime, reterr);
    if (r < 0) {
        if (reterr != NULL && reterr->text[0] == '\0') {
            (void)sl_diag_set(reterr, "boot", (struct sl_pos){0, 0}, "cannot start: %s",
                              strerror(-r));
        }
        runtime = sl_runtime_free(runtime);
        return r;
    }
    *ret_runtime = runtime;
    return 0;
}

int sl_runtime_publish(struct sl_runtime *runtime, struct sl_diag *reterr)
{
    runtime->publish_result = 0;
    int r = sl_loader_refresh(runtime->loader);
    if (r < 0) return r;
    while (!sl_loader_is_settled(runtime->loader)) {
        sl_loop_turn(&runtime->control, runtime->control.now_ns + RUNTIME_STEP_MS * SL_NS_PER_MS);
    }
    if (runtime->publish_result < 0 && reterr != NULL) *reterr = runtime->publish_diag;
    return runtime->publish_result;
}

int sl_runtime_run(struct sl_runtime *runtime)
{
    int r = watch_start(runtime);
    if (r < 0) return r;
    while (!runtime->stopping) sl_loop_turn(&runtime->control, UINT64_MAX);
    runtime->draining = true;
    runtime->booted = false;
    struct sl_diag diag = {0};
    r = sl_boot_stop(runtime->boot, &diag);
    if (r < 0) sl_log(SL_LOG_WARN, "%s", diag.text);
    return r;
}

void sl_runtime_stop(struct sl_runtime *runtime)
{
    runtime->stopping = true;
}

struct sl_runtime *sl_runtime_free(struct sl_runtime *runtime)
{
    if (runtime == NULL) return NULL;
    if (runtime->booted) (void)sl_boot_stop(runtime->boot, NULL);
    runtime->loader = sl_loader_free(runtime->loader);
    runtime->claims = sl_claims_free(runtime->claims);
    runtime->boot = sl_boot_free(runtime->boot);
    if (runtime->control.poller != NULL) {
        signals_close(runtime);
        sl_loop_fini(&runtime->control);
    }
    runtime->access_log = sl_access_log_close(runtime->access_log);
    sl_value_unref(runtime->cfg.environment);
    free(runtime->name_space);
    free(runtime->data_dir);
    free(runtime);
    return NULL;
}

void sl_runtime_on_hangup(struct sl_runtime *runtime, void (*fn)(void *ctx), void *ctx)
{
    runtime->hangup = fn;
    runtime->hangup_ctx = ctx;
}

struct sl_loop *sl_runtime_control(struct sl_runtime *runtime)
{
    return &runtime->control;
}

struct sl_registry *sl_runtime_registry(struct sl_runtime *runtime)
{
    return runtime->registry;
}

struct sl_loader *sl_runtime_loader(struct sl_runtime *runtime)
{
    return runtime->loader;
}

struct sl_swap *sl_runtime_swap(struct sl_runtime *runtime)
{
    return runtime->swap;
}

struct sl_shard *const *sl_runtime_shards(struct sl_runtime *runtime, uint32_t *ret_count)
{
    *ret_count = runtime->shards_count;
    return runtime->shards;
}

const char *sl_runtime_name_space(const struct sl_runtime *runtime)
{
    return runtime->name_space;
}

const char *sl_runtime_poller(const struct sl_runtime *runtime)
{
    return runtime->choice.why;
}

const char *sl_runtime_control_path(const struct sl_runtime *runtime)
{
    return runtime->admin != NULL ? sl_admin_path(runtime->admin) : NULL;
}

bool sl_runtime_is_draining(const struct sl_runtime *runtime)
{
    return runtime->draining;
}
