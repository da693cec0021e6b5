/* SPDX-License-Identifier: MIT */
/* start: a runtime from the command line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/log.h"
#include "core/graph/program.h"
#include "core/graph/swap.h"
#include "ctl/cli/notify.h"
#include "ctl/cli/percore.h"
#include "ctl/cli/store.h"
#include "ctl/cli/watch.h"
#include "ctl/loader/loader.h"
#include "ctl/runtime/runtime.h"
#include "nodes/script/worker/worker.h"

struct start {
    struct cli_args *args;
    struct sl_runtime_config cfg;
    struct sl_runtime *runtime;
    struct sl_registry *registry; /* that the files go into */
    const char *files[256];       /* specs to apply */
    size_t files_count;
    bool has_stdin;              /* one of them is standard input: it can be read once */
    char (*applied)[SL_ID_SIZE]; /* ids that the files made: array of applied_count, owned */
    size_t applied_count;
    struct cli_watch watch;
    struct cli_args *again; /* the arguments as they were read last, or NULL; owned */
};

/* ---- options --------------------------------------------------------------------------------- */

static bool numbers_read(struct start *start)
{
    struct sl_runtime_config *cfg = &start->cfg;
    int64_t memory = 0;
    if (!cli_get_number(start->args, "memory", 64, 1 << 20, &memory) ||
        !cli_get_duration_ms(start->args, "drain-timeout", &cfg->drain_ms) ||
        !cli_get_duration_ms(start->args, "stall", &cfg->stall_ms)) {
        return false;
    }
    cfg->memory_max = (size_t)memory << 20;
    return true;
}

static bool files_add(struct start *start, const char *const *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (start->files_count == sizeof(start->files) / sizeof(start->files[0])) {
            cli_error("more than %zu files; give their folder",
                      sizeof(start->files) / sizeof(start->files[0]));
            return false;
        }
        start->has_stdin |= strcmp(items[i], "-") == 0;
        start->files[start->files_count++] = items[i];
    }
    return true;
}

static bool files_read(struct start *start, struct cli_args *args)
{
    size_t count;
    const char *const *specs = cli_get_list(args, "from-specs", &count);
    if (!files_add(start, specs, count)) return false;
    const char *const *operands = cli_operands(args, &count);
    return files_add(start, operands, count);
}

static bool options_read(struct start *start)
{
    struct sl_runtime_config *cfg = &start->cfg;
    cfg->name_space = cli_get(start->args, "namespace");
    cfg->data_dir = cli_get(start->args, "data");
    cfg->control = cli_get(start->args, "control");
    cfg->version = SL_VERSION;
    cfg->access_log = cli_get(start->args, "access-log");
    const char *priority = cli_get(start->args, "worker-priority");
    if (strcmp(priority, "idle") != 0 && strcmp(priority, "normal") != 0) {
        cli_error("\"--worker-priority %s\": expected idle or normal", priority);
        return false;
    }
    sl_worker_idle_set(strcmp(priority, "idle") == 0);
    const char *format = cli_get(start->args, "access-log-format");
    if (strcmp(format, "json") != 0 && strcmp(format, "combined") != 0) {
        cli_value_error(start->args, "access-log-format", "expected json or combined");
        return false;
    }
    cfg->access_format = strcmp(format, "json") == 0 ? SL_ACCESS_JSON : SL_ACCESS_COMBINED;
    if (!files_read(start, start->args)) return false;
    if (start->files_count == 0 && cli_is_set(start->args, "watch")) {
        cli_error("start: --watch needs the files that it is to watch");
        return false;
    }
    return numbers_read(start) && cli_percore_read(start->args, cfg) &&
           cli_environment(start->args, &start->cfg.environment);
}

/* ---- specs ----------------------------------------------------------------------------------- */

/* The ids that the files have now; what they had before and have no longer goes. */
static int applied_keep(struct start *start, const struct sl_commit *commit)
{
    char(*ids)[SL_ID_SIZE] = calloc(commit->count + 1, sizeof(*ids));
    size_t count = 0;
    if (ids == NULL) return -ENOMEM;
    for (size_t i = 0; i < commit->count; i++) {
        if (commit->items[i].after == NULL) continue;
        memcpy(ids[count++], commit->items[i].after->id, SL_ID_SIZE);
    }
    free(start->applied);
    start->applied = ids;
    start->applied_count = count;
    return 0;
}

/* Of the applied ids those that `commit` does not have: array of *ret_count, to be freed. */
static char (*applied_gone(const struct start *start, const struct sl_commit *commit,
                           size_t *ret_count))[SL_ID_SIZE]
{
    char(*gone)[SL_ID_SIZE] = calloc(start->applied_count + 1, sizeof(*gone));
    size_t count = 0;
    for (size_t i = 0; gone != NULL && i < start->applied_count; i++) {
        bool there = false;
        for (size_t k = 0; k < commit->count && !there; k++) {
            const struct sl_object *after = commit->items[k].after;
            there = after != NULL && strcmp(after->id, start->applied[i]) == 0;
        }
        if (!there) memcpy(gone[count++], start->applied[i], SL_ID_SIZE);
    }
    *ret_count = count;
    return gone;
}

/*
 * Store the specs of the files. When they are read again, nodes that stood in them and no longer do
 * are deleted in the same change set: a first, dry run tells the ids.
 */
static int specs_store(struct start *start, const struct sl_specs *specs, struct sl_diags *diags)
{
    struct sl_registry *registry = start->registry;
    struct cli_store store = {
        .name_space = start->cfg.name_space,
        .author = cli_author(),
        .message = start->applied == NULL ? "start" : "files changed",
        .if_revision = SL_REVISION_ANY,
        .dry_run = start->applied != NULL,
    };
    struct sl_commit commit = {0};
    char(*gone)[SL_ID_SIZE] = NULL;
    int r = cli_store_specs(registry, &store, specs, &commit, diags);
    if (r == 0 && store.dry_run) {
        gone = applied_gone(start, &commit, &store.deletes_count);
        sl_commit_fini(&commit);
        commit = (struct sl_commit){0};
        store.deletes = gone;
        store.dry_run = false;
        r = cli_store_specs(registry, &store, specs, &commit, diags);
    }
    if (r == 0) r = applied_keep(start, &commit);
    sl_commit_fini(&commit);
    free(gone);
    return r;
}

static int specs_apply(struct start *start, struct sl_diags *diags)
{
    if (start->files_count == 0) return 0;
    struct sl_specs specs = {0};
    int r = cli_specs_read(start->files, start->files_count, start->cfg.name_space, &specs, diags);
    if (r == 0) r = specs_store(start, &specs, diags);
    sl_specs_fini(&specs);
    return r;
}

static int secrets_apply(struct start *start, struct sl_diags *diags)
{
    size_t count;
    const char *const *files = cli_get_list(start->args, "from-secrets", &count);
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        struct sl_value documents;
        r = cli_read_secrets(files[i], &documents, diags);
        if (r < 0) return r;
        struct cli_store store = {
            .name_space = start->cfg.name_space,
            .author = cli_author(),
            .message = "start",
            .if_revision = SL_REVISION_ANY,
        };
        struct sl_commit commit = {0};
        r = cli_store_secrets(start->registry, &store, documents, &commit, diags);
        sl_commit_fini(&commit);
        sl_value_unref(documents);
    }
    return r;
}

static int files_apply(struct start *start, struct sl_diags *diags)
{
    int r = secrets_apply(start, diags);
    if (r == 0) r = specs_apply(start, diags);
    if (r != 0 && diags->count == 0) {
        struct sl_diag diag;
        (void)sl_diag_set(&diag, "store", (struct sl_pos){0, 0},
                          "the specs could not be stored: %s", strerror(r < 0 ? -r : EIO));
        (void)sl_diags_push(diags, &diag);
    }
    return r;
}

/* Into a registry in memory, which knows all that an empty one would; what refuses is printed. */
static int files_rehearse(struct start *start)
{
    struct sl_diags diags = {0};
    if (sl_registry_open(NULL, NULL, &start->registry, NULL) < 0) return CLI_OK;
    sl_registry_set_validator(start->registry, sl_loader_validate, NULL);
    int r = files_apply(start, &diags);
    /* Else the warnings come again, with what they are about. */
    if (r != 0) (void)cli_print_diags(start->args, &diags);
    sl_diags_fini(&diags);
    start->registry = sl_registry_close(start->registry);
    return r == 0 ? CLI_OK : CLI_FAILED;
}

/*
 * What is refused makes no registry: where there is none yet, a child tries the files first. Not
 * this process: compiling starts threads of script engines, and a runtime's signals have to be
 * blocked before there is any.
 */
static int files_try(struct start *start)
{
    char path[4096];
    int status = 0;
    if (start->cfg.data_dir == NULL || start->has_stdin) return CLI_OK;
    (void)snprintf(path, sizeof(path), "%s/data.mdb", start->cfg.data_dir);
    if (access(path, F_OK) == 0) return CLI_OK;
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int code = files_rehearse(start);
        (void)fflush(NULL);
        _exit(code);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : CLI_OK;
}

static int apply_all(struct start *start)
{
    struct sl_diags diags = {0};
    start->registry = sl_runtime_registry(start->runtime);
    int r = files_apply(start, &diags);
    if (diags.count > 0) (void)cli_print_diags(start->args, &diags);
    sl_diags_fini(&diags);
    return r;
}

/* The same while it runs: findings are lines of the log. */
static int apply_again(struct start *start)
{
    struct sl_diags diags = {0};
    int r = files_apply(start, &diags);
    for (size_t i = 0; i < diags.count; i++) {
        char text[2048];
        size_t size = sl_diag_format(&diags.items[i], text, sizeof(text));
        while (size > 0 && text[size - 1] == '\n') text[--size] = '\0';
        sl_log(diags.items[i].level == SL_DIAG_ERROR ? SL_LOG_ERROR : SL_LOG_WARN, "%s%s",
               r == 0 ? "files: " : "files were not taken: ", text);
    }
    sl_diags_fini(&diags);
    return r;
}

/* A file was saved, or SIGHUP: read the files again. A mistake leaves everything as it is. */
static void on_change(void *ctx)
{
    struct start *start = ctx;
    if (sl_runtime_is_draining(start->runtime)) return;
    if (start->has_stdin) {
        sl_log(SL_LOG_WARN, "standard input cannot be read again");
        return;
    }
    if (apply_again(start) == 0) {
        sl_log(SL_LOG_INFO, "files were read again");
        (void)sl_loader_refresh(sl_runtime_loader(start->runtime));
    }
}

/* Say which options have changed and cannot change while a runtime runs. */
static void changes_tell(struct start *start, struct cli_args *again)
{
    static const char *const live[] = {"from-specs", "log-level", "log-format", "format"};
    for (const struct cli_option *o = cli_args_command(again)->options; o->name != NULL; o++) {
        bool is_live = false;
        for (size_t i = 0; i < sizeof(live) / sizeof(live[0]); i++) {
            is_live |= strcmp(live[i], o->name) == 0;
        }
        if (is_live || cli_is_same(start->args, again, o->name)) continue;
        sl_log(SL_LOG_WARN, "\"%s\" has changed: that takes a new start", o->name);
    }
}

/* SIGHUP: the configuration, then the files it names. */
static void on_hangup(void *ctx)
{
    struct start *start = ctx;
    struct cli_args *again = cli_args_again(start->args);
    if (again == NULL || !cli_log_setup(again)) {
        sl_log(SL_LOG_ERROR, "the configuration is wrong: everything stays as it is");
        again = cli_args_free(again);
        return;
    }
    changes_tell(start, again);
    start->files_count = 0;
    start->has_stdin = false;
    (void)files_read(start, again);
    (void)cli_args_free(start->again);
    start->again = again;
    start->watch.count = start->files_count;
    on_change(start);
}

static void watch_start(struct start *start)
{
    if (!cli_is_set(start->args, "watch") || start->has_stdin) return;
    start->watch = (struct cli_watch){
        .paths = start->files,
        .count = start->files_count,
        .loop = sl_runtime_control(start->runtime),
        .fn = on_change,
        .ctx = start,
    };
    cli_watch_start(&start->watch);
}

/* ---- the start line -------------------------------------------------------------------------- */

/* Part by part, a line each; the last says that it serves. */
static void ready_lines(struct start *start)
{
    struct sl_program *program = sl_swap_current(sl_runtime_swap(start->runtime));
    uint32_t active = 0;
    bool local = false;
    sl_log(SL_LOG_INFO, "poller: %s", sl_runtime_poller(start->runtime));
    for (uint32_t i = 0; program != NULL && i < program->sources_count; i++) {
        const char *key = program->sources[i].key;
        if (program->sources[i].symbol == NULL) continue;
        sl_log(SL_LOG_INFO, "listening on %s", key);
        local |= strstr(key, "127.0.0.1") != NULL;
        active++;
    }
    if (local) {
        sl_log(SL_LOG_INFO, "127.0.0.1 is this machine only: host: 0.0.0.0 in a listener opens it "
                            "to the network");
    }
    if (active == 0 && program != NULL && program->sources_count > 0) {
        sl_log(SL_LOG_WARN, "no listener serves: the lines above say why");
    } else if (start->files_count == 0 && start->cfg.data_dir == NULL) {
        sl_log(SL_LOG_WARN, "there is nothing to serve: no files were given, and without --data "
                            "nobody can apply any");
    } else if (program == NULL || program->symbols_count == 0) {
        sl_log(SL_LOG_INFO, "namespace %s is empty: \"sluice apply\" fills it while it runs",
               start->cfg.name_space);
    }
    uint32_t shards;
    (void)sl_runtime_shards(start->runtime, &shards);
    sl_log(SL_LOG_INFO, "namespace %s: ready, %u listener%s on %u core%s", start->cfg.name_space,
           active, sl_plural(active), shards, sl_plural(shards));
}

/* Why it ends, after all that was logged: the reason with its place, then a line that says so. */
static void closing_lines(struct start *start, const struct sl_symbol_info *info)
{
    cli_print_diag(start->args, info->reason);
    cli_error("start ends: listener \"%s\" did not get its address", info->name);
}

/* A listener that was asked for on the command line has to get its address. */
static bool listeners_are_open(struct start *start)
{
    const struct sl_loader *loader = sl_runtime_loader(start->runtime);
    for (size_t i = 0; start->files_count > 0 && i < sl_loader_symbols_count(loader); i++) {
        struct sl_symbol_info info = sl_loader_symbol(loader, i);
        if (info.state != SL_SYMBOL_INACTIVE || info.reason == NULL) continue;
        if (strcmp(info.reason->code, "address_in_use") == 0 ||
            strcmp(info.reason->code, "address_conflict") == 0 ||
            strcmp(info.reason->code, "cannot_listen") == 0 ||
            strcmp(info.reason->code, "lease_held") == 0) {
            closing_lines(start, &info);
            return false;
        }
    }
    return true;
}

bool cli_start_check(struct cli_args *args)
{
    struct start start = {.args = args};
    bool is_right = options_read(&start) && cli_log_setup(args);
    sl_value_unref(start.cfg.environment);
    return is_right;
}

/* A descriptor for each connection: what the hard limit allows is ours to take. */
static void descriptors_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int cli_start(struct cli_args *args)
{
    struct start start = {.args = args};
    if (!options_read(&start)) return CLI_USAGE;
    descriptors_raise();
    struct sl_diag diag = {0};
    int exit_code = files_try(&start);
    if (exit_code != CLI_OK) {
        sl_value_unref(start.cfg.environment);
        return exit_code;
    }
    int r = sl_runtime_new(&start.cfg, &start.runtime, &diag);
    sl_value_unref(start.cfg.environment);
    if (r < 0) {
        cli_print_diag(args, &diag);
        return CLI_UNREACHABLE;
    }
    if (apply_all(&start) != 0) {
        exit_code = CLI_FAILED;
    } else if (sl_runtime_publish(start.runtime, &diag) < 0) {
        cli_print_diag(args, &diag);
        exit_code = CLI_UNREACHABLE;
    } else if (!listeners_are_open(&start)) {
        exit_code = CLI_UNREACHABLE;
    } else {
        sl_runtime_on_hangup(start.runtime, on_hangup, &start);
        watch_start(&start);
        ready_lines(&start);
        r = cli_notify("READY=1");
        if (r < 0) sl_log(SL_LOG_WARN, "NOTIFY_SOCKET: %s", strerror(-r));
        r = sl_runtime_run(start.runtime);
        cli_watch_stop(&start.watch);
        if (r < 0) exit_code = r == -ETIMEDOUT ? CLI_TIMEOUT : CLI_FAILED;
    }
    start.runtime = sl_runtime_free(start.runtime);
    free(start.applied);
    start.again = cli_args_free(start.again);
    return exit_code;
}
