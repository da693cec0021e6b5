/* SPDX-License-Identifier: MIT */
/*
 * sluice-bench hostile: do scripts in processes leave others alone? One shard serves /ping at a part
 * of its capacity, as an open loop; slot by slot nobody disturbs it, or a script that does what it
 * should not is asked for all the time (bench/peers/hostile.yaml). The p99 of /ping with each script
 * is set against the p99 without, in the same rounds.
 *
 *     round    alone │ loop │ array │ … │ alone again      each: settle, then a slot that counts
 *
 * Who asks for the scripts are processes of their own: the generator's threads only wait for /ping.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/command.h"
#include "bench/endpoint.h"
#include "bench/fmt.h"
#include "bench/machine.h"
#include "bench/pairs.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

/* Routes of hostile.yaml. */
static const char *const SCRIPTS[] = {"loop",  "array", "garbage", "regex", "sort",
                                      "await", "log",   "result",  "throw"};

enum {
    SCRIPTS_COUNT = sizeof(SCRIPTS) / sizeof(SCRIPTS[0]),
    TARGETS_COUNT = SCRIPTS_COUNT + 2, /* alone in front, and once more at the end */
    ASKERS_MAX = 64,
    NOBODY = -1,
    IDLE_US = 2000,
    NICE = 10,
    CAPACITY_NS = 1000 * 1000 * 1000,
    SHARE = 10, /* of the capacity: one part in so many */
};

struct hostile_values {
    struct sl_job_values job;
    const char *server_core;
    const char *format;
    const char *only;
    uint64_t slot_ns;
    uint64_t settle_ns;
    uint32_t rounds;
    uint32_t askers;
    uint32_t most_percent;
    bool keep_late;
};

static const struct sl_option OPTIONS[] = {
    {"Load", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"rate", "R", "requests a second for /ping (default: a tenth of what a closed loop reaches)",
     offsetof(struct hostile_values, job.rate), SL_OPTION_STRING, 'r'},
    {"connections", "N", "connections for /ping (default 64)",
     offsetof(struct hostile_values, job.connections), SL_OPTION_UINT, 'c'},
    {"askers", "N", "who ask for the script at the same time (default 2: what a node keeps busy)",
     offsetof(struct hostile_values, askers), SL_OPTION_UINT, 0},
    {"only", "NAME", "only this script", offsetof(struct hostile_values, only), SL_OPTION_STRING,
     0},
    {"Slots", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"rounds", "N", "rounds; each has a slot for every script (default 11)",
     offsetof(struct hostile_values, rounds), SL_OPTION_UINT, 'n'},
    {"slot", "T", "measure each so long in a round (default 1s)",
     offsetof(struct hostile_values, slot_ns), SL_OPTION_DURATION, 't'},
    {"settle", "T", "not measured at the begin of a slot (default 500ms)",
     offsetof(struct hostile_values, settle_ns), SL_OPTION_DURATION, 0},
    {"keep-late", NULL, "slots in which the generator was late count too",
     offsetof(struct hostile_values, keep_late), SL_OPTION_FLAG, 0},
    {"Servers", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"server-core", "N", "the shard's core (default 0)",
     offsetof(struct hostile_values, server_core), SL_OPTION_STRING, 0},
    SL_JOB_OPTIONS_CLIENT(struct hostile_values, job),
    {"Output", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"most", "PERCENT", "exit 1 if a p99 is more than this of the one alone (default 200)",
     offsetof(struct hostile_values, most_percent), SL_OPTION_UINT, 0},
    {"format", "F", "text or json (default text)", offsetof(struct hostile_values, format),
     SL_OPTION_STRING, 'f'},
};

static const struct sl_options_usage USAGE = {
    .name = "hostile",
    .synopsis = "[options]",
    .about =
        "Load one shard at a part of its capacity while scripts that loop, hoard memory, log,\n"
        "or answer too much run in its worker processes, and without them, in the same\n"
        "rounds: the ratio of the p99s. Exit code 1 if one is above --most.",
    .examples = "  sluice-bench hostile --server-core 0 --cores 1\n"
                "  sluice-bench hostile --only loop --rounds 60\n"
                "  sluice-bench hostile --rate 2k --format json\n",
    .options = OPTIONS,
    .options_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
};

/* Shared with the askers. */
struct board {
    _Atomic int script;                         /* which is asked for, or NOBODY */
    _Atomic uint64_t ends[SCRIPTS_COUNT];       /* replies of it */
    _Atomic uint64_t ends_typed[SCRIPTS_COUNT]; /* of these, with 500, 503 or 504 */
};

struct hostile {
    struct hostile_values values;
    struct sl_endpoint endpoint;
    struct sl_run_config config;
    struct sl_pairs pairs;
    struct board *board;
    pid_t askers[ASKERS_MAX]; /* array of askers_count */
    uint32_t askers_count;
    int scripts[TARGETS_COUNT]; /* by target: index of SCRIPTS, or NOBODY */
    double capacity;            /* requests a second; 0: the rate was given */
    int core;
};

/* ---- who asks for the scripts ---------------------------------------------------------------- */

/* One request on a connection of its own, read to its end. Its status; 0: none. */
static int ask(const struct sl_bench_addr *addr, const char *name)
{
    char buf[16384];
    int status = 0;
    bool is_first = true;
    int fd = socket(addr->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return 0;
    int size = snprintf(buf, sizeof(buf),
                        "GET /%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", name);
    if (connect(fd, (const struct sockaddr *)&addr->storage, addr->size) == 0 &&
        send(fd, buf, (size_t)size, MSG_NOSIGNAL) == size) {
        for (;;) {
            ssize_t got = recv(fd, buf, sizeof(buf) - 1, 0);
            if (got <= 0) break;
            buf[got] = '\0';
            if (is_first) (void)sscanf(buf, "HTTP/1.1 %d", &status);
            is_first = false;
        }
    }
    (void)close(fd);
    return status;
}

static _Noreturn void asker_main(struct hostile *hostile)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* Whatever class the harness itself was given. */
    struct sched_param param = {0};
    (void)sched_setscheduler(0, SCHED_OTHER, &param);
    (void)setpriority(PRIO_PROCESS, 0, NICE);
    const struct sl_run_config *config = &hostile->endpoint.job.config;
    if (config->cores_count > 0) (void)sl_run_pin(config->cores[0]); /* not the shard's */
    struct board *board = hostile->board;
    for (;;) {
        int script = atomic_load_explicit(&board->script, memory_order_relaxed);
        if (script == NOBODY) {
            (void)usleep(IDLE_US);
            continue;
        }
        int status = ask(&hostile->endpoint.job.addr, SCRIPTS[script]);
        if (status == 0) (void)usleep(IDLE_US);
        if (status != 0) atomic_fetch_add_explicit(&board->ends[script], 1, memory_order_relaxed);
        if (status >= 500) {
            atomic_fetch_add_explicit(&board->ends_typed[script], 1, memory_order_relaxed);
        }
    }
}

static int askers_start(struct hostile *hostile, struct sl_diag *reterr)
{
    hostile->board = mmap(NULL, sizeof(*hostile->board), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (hostile->board == MAP_FAILED) {
        hostile->board = NULL;
        return -ENOMEM;
    }
    atomic_store(&hostile->board->script, NOBODY);
    (void)fflush(NULL);
    for (uint32_t i = 0; i < hostile->values.askers; i++) {
        pid_t pid = fork();
        if (pid < 0) {
            (void)sl_diag_set(reterr, "no_process", (struct sl_pos){0, 0}, "fork: %s",
                              strerror(errno));
            return -EAGAIN;
        }
        if (pid == 0) asker_main(hostile);
        hostile->askers[hostile->askers_count++] = pid;
    }
    return 0;
}

static void askers_stop(struct hostile *hostile)
{
    for (uint32_t i = 0; i < hostile->askers_count; i++) {
        (void)kill(hostile->askers[i], SIGKILL);
        (void)waitpid(hostile->askers[i], NULL, 0);
    }
    if (hostile->board != NULL) (void)munmap(hostile->board, sizeof(*hostile->board));
}

/* ---- slots ----------------------------------------------------------------------------------- */

static void on_enter(void *ctx, uint32_t target)
{
    struct hostile *hostile = ctx;
    atomic_store_explicit(&hostile->board->script, hostile->scripts[target], memory_order_relaxed);
}

static int rate_find(struct hostile *hostile, struct sl_diag *reterr)
{
    struct sl_run_result result;
    struct sl_run_config config = hostile->endpoint.job.config;
    /*
     * Nobody reads the server's processor time here, and looking into /proc/PID of processes that die
     * makes the kernel's part of reaping them long (shrink_dcache_parent).
     */
    config.pid = 0;
    hostile->config = config;
    if (config.rate_from > 0) return 0;
    config.warmup_ns = hostile->values.settle_ns;
    config.duration_ns = CAPACITY_NS;
    config.jitter = false;
    config.progress = false;
    int err = sl_run(&config, &result, reterr);
    hostile->capacity = err == 0 ? result.rate : 0;
    sl_run_result_fini(&result);
    if (err == 0 && hostile->capacity < SHARE) {
        err = sl_diag_set(reterr, "no_reply", (struct sl_pos){0, 0}, "the server gave no reply");
    }
    hostile->config.rate_from = hostile->capacity / SHARE;
    hostile->config.rate_to = hostile->config.rate_from;
    return err;
}

static void target_add(struct hostile *hostile, const char *name, int script)
{
    struct sl_pairs *pairs = &hostile->pairs;
    hostile->scripts[pairs->targets_count] = script;
    struct sl_pairs_target *target = &pairs->targets[pairs->targets_count++];
    target->name = name;
    target->config = &hostile->config;
}

static int pairs_setup(struct hostile *hostile)
{
    struct sl_pairs *pairs = &hostile->pairs;
    pairs->rounds = hostile->values.rounds;
    pairs->slot_ns = hostile->values.slot_ns;
    pairs->settle_ns = hostile->values.settle_ns;
    pairs->progress = !hostile->values.job.quiet;
    pairs->keeps = true;
    pairs->keeps_late = hostile->values.keep_late;
    pairs->enter = on_enter;
    pairs->enter_ctx = hostile;
    target_add(hostile, "alone", NOBODY);
    for (int i = 0; i < SCRIPTS_COUNT; i++) {
        if (hostile->values.only != NULL && strcmp(hostile->values.only, SCRIPTS[i]) != 0) continue;
        target_add(hostile, SCRIPTS[i], i);
    }
    target_add(hostile, "alone again", NOBODY);
    return sl_pairs_init(pairs);
}

/* ---- output ---------------------------------------------------------------------------------- */

enum { COLUMNS = 9 };

/* NaN: nothing was measured. */
static double percentile_ns(const struct sl_hdr *hdr, double percent)
{
    return hdr->total > 0 ? (double)sl_hdr_percentile(hdr, percent) : (double)NAN;
}

static struct sl_fmt percentile_text(const struct sl_hdr *hdr, double percent)
{
    struct sl_fmt none = {.text = "-"};
    return hdr->total > 0 ? sl_fmt_ns(percentile_ns(hdr, percent)) : none;
}

static void row_add(struct sl_table *table, const char *name, const struct sl_hdr *hdr,
                    const char *ratio, const char *ends, const char *typed, const char *errors)
{
    struct sl_fmt p50 = percentile_text(hdr, 50);
    struct sl_fmt p99 = percentile_text(hdr, 99);
    struct sl_fmt p999 = percentile_text(hdr, 99.9);
    struct sl_fmt max = percentile_text(hdr, 100);
    sl_table_row(table,
                 (const char *const[]){name, p50.text, p99.text, p999.text, max.text, ratio, ends,
                                       typed, errors},
                 COLUMNS);
}

static uint64_t ends_of(const struct hostile *hostile, uint32_t target, bool is_typed)
{
    int script = hostile->scripts[target];
    if (script == NOBODY) return 0;
    return atomic_load(is_typed ? &hostile->board->ends_typed[script]
                                : &hostile->board->ends[script]);
}

static void text_print(const struct hostile *hostile)
{
    const struct sl_pairs *pairs = &hostile->pairs;
    struct sl_hdr *late = sl_hdr_new_latency();
    struct sl_table table = {.columns = 0};
    sl_assert(late != NULL);
    (void)printf("/ping at %s/s%s, open loop, %u round%s of %s; beside it one script at a time, "
                 "asked for by %u\n",
                 sl_fmt_count((uint64_t)hostile->config.rate_from).text,
                 hostile->capacity > 0 ? " (a tenth of the capacity)" : "", pairs->done_count,
                 sl_plural(pairs->done_count), sl_fmt_ns((double)pairs->slot_ns).text,
                 hostile->askers_count);
    sl_table_row(&table,
                 (const char *const[]){"beside", "p50", "p99", "p99.9", "max", "p99 to alone",
                                       "calls ended", "by an error", "errors of /ping"},
                 COLUMNS);
    for (uint32_t i = 0; i < pairs->targets_count; i++) {
        const struct sl_pairs_target *target = &pairs->targets[i];
        struct sl_ratio ratio = sl_pairs_ratio(pairs, 0, i, SL_PAIRS_P99);
        bool asks = hostile->scripts[i] != NOBODY;
        row_add(&table, target->name, target->latency,
                i > 0 ? sl_pairs_ratio_text(&ratio).text : "",
                asks ? sl_fmt_count(ends_of(hostile, i, false)).text : "",
                asks ? sl_fmt_count(ends_of(hostile, i, true)).text : "",
                sl_fmt_count(target->errors).text);
        sl_hdr_merge(late, target->late);
    }
    row_add(&table, "generator late", late, "", "", "", "");
    row_add(&table, "jitter floor", pairs->jitter, "", "", "", "");
    sl_table_print(&table, stdout, 2);
    sl_hdr_free(late);
    for (uint32_t i = 0; i < pairs->targets_count; i++) {
        if (pairs->targets[i].invalid_count == 0) continue;
        (void)printf("  note: the generator was late in %u of %u slots of %s: %s\n",
                     pairs->targets[i].invalid_count, pairs->done_count, pairs->targets[i].name,
                     pairs->keeps_late ? "its lateness is in the figures" : "left out");
    }
}

static void target_json(struct sl_json *json, const struct hostile *hostile, uint32_t i)
{
    const struct sl_pairs_target *target = &hostile->pairs.targets[i];
    struct sl_ratio ratio = sl_pairs_ratio(&hostile->pairs, 0, i, SL_PAIRS_P99);
    sl_json_begin(json, NULL, '{');
    sl_json_string(json, "beside", target->name);
    sl_json_uint(json, "requests", target->requests);
    sl_json_uint(json, "errors", target->errors);
    sl_json_uint(json, "late_slots", target->invalid_count);
    sl_json_number(json, "p50_us", percentile_ns(target->latency, 50) / 1e3, 3);
    sl_json_number(json, "p99_us", percentile_ns(target->latency, 99) / 1e3, 3);
    sl_json_number(json, "p99_9_us", percentile_ns(target->latency, 99.9) / 1e3, 3);
    sl_json_number(json, "p99_ratio", ratio.ratio, 4);
    sl_json_number(json, "p99_ratio_low", ratio.low, 4);
    sl_json_number(json, "p99_ratio_high", ratio.high, 4);
    sl_json_uint(json, "calls_ended", ends_of(hostile, i, false));
    sl_json_uint(json, "calls_ended_by_an_error", ends_of(hostile, i, true));
    sl_json_end(json, '}');
}

static void json_print(const struct hostile *hostile)
{
    struct sl_machine machine;
    char command[1024];
    struct sl_json json = {.out = stdout};
    sl_machine_get(&machine);
    sl_machine_command(command, sizeof(command));
    sl_json_begin(&json, NULL, '{');
    sl_json_number(&json, "rate_s", hostile->config.rate_from, 1);
    sl_json_number(&json, "capacity_s", hostile->capacity > 0 ? hostile->capacity : (double)NAN, 1);
    sl_json_uint(&json, "rounds", hostile->pairs.done_count);
    sl_json_number(&json, "slot_s", (double)hostile->pairs.slot_ns / 1e9, 3);
    sl_json_begin(&json, "slots", '[');
    for (uint32_t i = 0; i < hostile->pairs.targets_count; i++) target_json(&json, hostile, i);
    sl_json_end(&json, ']');
    sl_machine_json(&json, &machine);
    sl_json_string(&json, "command", command);
    sl_json_end(&json, '}');
}

static int verdict(const struct hostile *hostile)
{
    const struct sl_pairs *pairs = &hostile->pairs;
    double most = hostile->values.most_percent / 100.0;
    if (pairs->done_count == 0) return SL_EXIT_INVALID;
    for (uint32_t i = 0; i < pairs->targets_count; i++) {
        if (pairs->targets[i].invalid_count * 2 > pairs->done_count) return SL_EXIT_INVALID;
    }
    for (uint32_t i = 1; i < pairs->targets_count; i++) {
        struct sl_ratio ratio = sl_pairs_ratio(pairs, 0, i, SL_PAIRS_P99);
        if (ratio.ratio > most) return SL_EXIT_THRESHOLD;
    }
    return SL_EXIT_OK;
}

static int hostile_run(struct hostile *hostile, struct sl_diag *reterr)
{
    static const char *const files[SL_SPAWN_FILES_MAX] = {"hostile.yaml"};
    struct sl_endpoint *endpoint = &hostile->endpoint;
    (void)snprintf(endpoint->name, sizeof(endpoint->name), "sluice");
    (void)snprintf(endpoint->command, sizeof(endpoint->command),
                   "exec {bin}/sluice start --data {dir}/data --cores {core} "
                   "{dir}/hostile.yaml");
    int err =
        sl_endpoint_open(endpoint, &hostile->values.job, "/ping", hostile->core, files, reterr);
    if (err == 0) err = askers_start(hostile, reterr);
    if (err == 0) err = rate_find(hostile, reterr);
    if (err == 0) err = pairs_setup(hostile);
    if (err == 0) err = sl_pairs_run(&hostile->pairs, reterr);
    if (err == -EINVAL) return SL_EXIT_USAGE;
    if (err < 0) return err == -ENOMEM ? SL_EXIT_INTERNAL : SL_EXIT_TARGET;
    if (strcmp(hostile->values.format, "json") == 0) {
        json_print(hostile);
    } else {
        text_print(hostile);
    }
    return verdict(hostile);
}

static int values_check(struct hostile *hostile, const struct sl_option_list *positional,
                        struct sl_diag *reterr)
{
    const struct hostile_values *values = &hostile->values;
    struct sl_pos none = {0, 0};
    if (positional->count > 0) {
        return sl_diag_set(reterr, "bad_usage", none, "unexpected \"%s\"", positional->items[0]);
    }
    if (values->rounds < 1 || values->rounds > SL_PAIRS_ROUNDS_MAX || values->slot_ns == 0) {
        return sl_diag_set(reterr, "bad_value", none, "--rounds: 1 to %d, and --slot not 0",
                           SL_PAIRS_ROUNDS_MAX);
    }
    if (values->askers < 1 || values->askers > ASKERS_MAX) {
        return sl_diag_set(reterr, "bad_value", none, "--askers: 1 to %d", ASKERS_MAX);
    }
    if (strcmp(values->format, "text") != 0 && strcmp(values->format, "json") != 0) {
        return sl_diag_set(reterr, "bad_value", none, "--format: text or json");
    }
    bool is_known = values->only == NULL;
    for (int i = 0; !is_known && i < SCRIPTS_COUNT; i++) {
        is_known = strcmp(values->only, SCRIPTS[i]) == 0;
    }
    if (!is_known) {
        const char *nearest = sl_diag_nearest(values->only, SCRIPTS, SCRIPTS_COUNT);
        (void)sl_diag_set(reterr, "bad_value", none, "--only: no script \"%s\"", values->only);
        sl_diag_hint(reterr, "did you mean \"%s\"?", nearest != NULL ? nearest : SCRIPTS[0]);
        return -EINVAL;
    }
    hostile->core = 0;
    if (values->server_core != NULL &&
        sl_job_cores_parse(values->server_core, &hostile->core, 1) != 1) {
        return sl_diag_set(reterr, "bad_value", none, "--server-core: expected one core");
    }
    return 0;
}

int sl_command_hostile(int argc, char **argv)
{
    struct sl_option_list positional = {.count = 0};
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    struct hostile *hostile = calloc(1, sizeof(*hostile));
    if (hostile == NULL) return SL_EXIT_INTERNAL;
    sl_job_values_default(&hostile->values.job);
    hostile->values.format = "text";
    hostile->values.rounds = 11;
    hostile->values.askers = 2;
    hostile->values.most_percent = 200;
    hostile->values.slot_ns = SL_NS_PER_SEC;
    hostile->values.settle_ns = 500 * SL_NS_PER_MS;
    int code = SL_EXIT_OK;
    int err = sl_options_parse(&USAGE, argc, argv, &hostile->values, &positional, &diag);
    if (err == SL_OPTIONS_HELP) {
        sl_options_help(&USAGE);
    } else {
        if (err == 0) err = values_check(hostile, &positional, &diag);
        code = err < 0 ? SL_EXIT_USAGE : hostile_run(hostile, &diag);
        if (diag.text[0] != '\0') sl_options_complain(code == SL_EXIT_USAGE ? &USAGE : NULL, &diag);
        sl_pairs_fini(&hostile->pairs);
        askers_stop(hostile);
        sl_endpoint_fini(&hostile->endpoint);
    }
    free(hostile);
    return code;
}
