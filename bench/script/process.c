/* SPDX-License-Identifier: MIT */
/*
 * The mode "process": a shard in this thread with a snippet of `isolation: process`, whose script
 * runs in a worker. One call at a time: both sides fall asleep between, and a call is
 *
 *     process → node → seal → futex ─► worker: open, run, seal ─► eventfd → copy, verify, open → answer
 *
 * `cpu` of such a row is what the shard pays; the worker's own time is not in it. All rows share
 * one shard, and so its pool of workers.
 */
#include "bench/script/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/graph/process.h"
#include "core/graph/program.h"
#include "core/shard/shard.h"
#include "io/epoll/epoll.h"
#include "io/uring/uring.h"
#include "nodes/script/use.h"
#include "nodes/script/worker/worker.h"

enum {
    TIMEOUT_MS = 10000, /* a busy machine must not end a call */
    MEMORY_MAX = 256 * 1024 * 1024,
    NEVER_SHIFT = 1, /* UINT64_MAX >> this: no deadline */
};

/* ---- the shard of all rows ------------------------------------------------------------------- */

static struct sl_shard *shard;
static uint32_t shard_users;

static void turn(void)
{
    sl_loop_turn(&shard->loop, shard->loop.now_ns + SL_NS_PER_MS);
}

static void shard_open(void)
{
    if (shard_users++ > 0) return;
    struct sl_clock *clock = sl_clock_system();
    struct sl_poller *poller = sl_poller_uring_new(NULL, clock, NULL);
    if (poller == NULL) poller = sl_poller_epoll_new(NULL, clock, NULL);
    sl_assert(poller != NULL);
    shard = aligned_alloc(128, sizeof(*shard));
    sl_assert(shard != NULL);
    memset(shard, 0, sizeof(*shard));
    struct sl_shard_config cfg = {.cpu = -1, .clock = clock, .memory_max = MEMORY_MAX};
    int r = sl_shard_init(shard, &cfg, poller);
    sl_assert(r == 0);
}

static void shard_close(void)
{
    if (--shard_users > 0) return;
    sl_worker_shard_fini(shard);
    sl_shard_fini(shard);
    free(shard);
    shard = NULL;
}

/* ---- a row ----------------------------------------------------------------------------------- */

struct process_row {
    struct sl_program *program;
    struct sl_reply reply;
    struct sl_task task;
    struct sl_value answer;
    bool is_answered;
};

static void on_answer(struct sl_reply *reply, struct sl_value answer)
{
    struct process_row *own = sl_container_of(reply, struct process_row, reply);
    own->answer = answer;
    own->is_answered = true;
    /* Something to do: so the turn that brought the answer does not sleep. */
    sl_loop_task_add(&shard->loop, &own->task);
}

static void on_task(struct sl_task *task)
{
    (void)task;
}

/* What an author would write. */
static struct sl_value spec_make(const struct sb_row *row)
{
    struct sl_builder b;
    struct sl_value spec;
    sl_builder_init(&b, NULL, 8, 256);
    sl_build_map_begin(&b);
    sl_build_key_str(&b, "kind");
    sl_build_string_str(&b, "snippet");
    sl_build_key_str(&b, "language");
    sl_build_string_str(&b, sb_languages[row->language]);
    sl_build_key_str(&b, "code");
    sl_build_string_str(&b, row->scenario->code[row->language]);
    sl_build_key_str(&b, "isolation");
    sl_build_string_str(&b, "process");
    sl_build_key_str(&b, "timeout");
    sl_build_int(&b, TIMEOUT_MS);
    sl_build_map_end(&b);
    int r = sl_builder_finish(&b, &spec);
    sl_assert(r == 0);
    return spec;
}

/* The node, or NULL with row->why. */
static struct sl_node *node_make(struct sb_row *row)
{
    const struct sl_kind *kind = sl_kind_get("snippet");
    sl_assert(kind != NULL);
    struct sl_value spec = spec_make(row);
    struct sl_diags diags = {0};
    void *config = calloc(1, kind->config_size);
    sl_assert(config != NULL);
    struct sl_compile c = {.kind = kind,
                           .spec = spec,
                           .name_space = "bench",
                           .name = "bench",
                           .file = "",
                           .config = config,
                           .diags = &diags};
    int r = sl_config_decode(&c, kind->fields, spec, true, "the row", config);
    if (r == 0) r = kind->compile(&c);
    sl_script_try_fini(); /* its process is none of those that are looked at */
    struct sl_node *node = NULL;
    if (r == 0) {
        node = sl_node_new(kind, config, "n", "", "", (struct sl_pos){0, 0}, spec, 1);
        sl_assert(node != NULL);
    } else {
        (void)snprintf(row->why, sizeof(row->why), "%s",
                       diags.count > 0 ? diags.items[0].text : strerror(-r));
        kind->config_fini(config);
        free(config);
        sl_value_unref(spec);
    }
    sl_diags_fini(&diags);
    return node;
}

bool sb_process_open(struct sb_row *row)
{
    const char *missing = sl_worker_missing();
    if (missing != NULL) {
        (void)snprintf(row->why, sizeof(row->why), "%s", missing);
        return false;
    }
    struct sl_node *node = node_make(row);
    if (node == NULL) return false;
    struct process_row *own = calloc(1, sizeof(*own));
    sl_assert(own != NULL);
    shard_open();
    own->reply.fn = on_answer;
    sl_task_init(&own->task, on_task);
    own->program = sl_program_new("bench", 1, &node, 1, NULL, 0, 1);
    sl_assert(own->program != NULL);
    sl_node_unref(node);
    int r = sl_instance_open(own->program, shard, UINT64_MAX / 2, NULL);
    sl_assert(r == 0);
    row->state = own;
    return true;
}

struct sl_value sb_process_run(struct sb_row *row, struct sl_value input)
{
    struct process_row *own = row->state;
    own->is_answered = false;
    /* A shard's loop reads the clock once a turn; here the turn begins. */
    shard->loop.now_ns = sl_clock_now_ns(shard->loop.clock);
    struct sl_process *process =
        sl_process_new(shard, own->program->instances[0], NULL, UINT64_MAX >> NEVER_SHIFT);
    sl_assert(process != NULL);
    sl_process_call(process, &own->program->symbols[0], 0, sl_value_ref(input), &own->reply);
    sl_process_finish(process);
    while (!own->is_answered) turn();
    return own->answer;
}

void sb_process_close(struct sb_row *row)
{
    struct process_row *own = row->state;
    sl_task_cancel(&own->task);
    int r = sl_instance_close(own->program, shard, UINT64_MAX / 2);
    sl_assert(r == 0);
    (void)sl_program_free(own->program);
    free(own);
    shard_close();
}

/* ---- starts and memory ----------------------------------------------------------------------- */

static struct sb_scenario idle_scenario = {
    .name = "idle", .code = {"export default () => null", "return function() return nil end"}};

/* A number of KiB in a line "NAME: N kB" of a file of /proc; 0: not there. */
static double kib_of(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at == NULL ? 0 : strtod(at + strlen(name), NULL);
}

static void memory_add(long pid, struct sb_starts *starts)
{
    char path[64];
    char text[4096];
    (void)snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) return;
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    text[size] = '\0';
    double dirty = kib_of(text, "Private_Dirty:");
    if (dirty <= 0) return; /* it belongs to root once its fence is closed */
    starts->workers++;
    starts->dirty_kib += dirty;
    starts->pss_kib += kib_of(text, "\nPss:");
    starts->rss_kib += kib_of(text, "\nRss:");
}

/* All children of this process: they are workers. */
static void memory_read(struct sb_starts *starts)
{
    DIR *dir = opendir("/proc/self/task");
    if (dir == NULL) return;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char path[300];
        long pid;
        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/children", entry->d_name);
        FILE *file = entry->d_name[0] != '.' ? fopen(path, "re") : NULL;
        if (file == NULL) continue;
        while (fscanf(file, "%ld", &pid) == 1) memory_add(pid, starts);
        (void)fclose(file);
    }
    (void)closedir(dir);
}

bool sb_process_starts(enum sb_language language, uint32_t count, double *ret_ns,
                       struct sb_starts *ret_starts)
{
    struct sb_row row = {.scenario = &idle_scenario, .language = language};
    *ret_starts = (struct sb_starts){0};
    for (uint32_t i = 0; i < count; i++) {
        struct sl_worker_stats stats;
        if (!sb_process_open(&row)) return false;
        do {
            turn();
            sl_worker_stats_get(shard, &stats);
        } while (stats.ready < SL_WORKERS_SPARE_MAX);
        ret_ns[i] = (double)stats.start_ns;
        memory_read(ret_starts);
        sb_process_close(&row);
    }
    if (ret_starts->workers == 0) return true;
    ret_starts->dirty_kib /= ret_starts->workers;
    ret_starts->pss_kib /= ret_starts->workers;
    ret_starts->rss_kib /= ret_starts->workers;
    return true;
}
