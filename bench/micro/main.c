/* SPDX-License-Identifier: MIT */
/* sluice-bench-micro: options, the table of groups, running them, and what comes out. */
#include <errno.h>
#include <fnmatch.h>
#include <ftw.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/command.h"
#include "bench/fmt.h"
#include "bench/job.h"
#include "bench/machine.h"
#include "bench/micro/measure.h"
#include "bench/micro/micro.h"
#include "bench/micro/report.h"
#include "bench/options.h"
#include "bench/run.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

static const struct sl_micro_group *const GROUPS[] = {
    &sl_micro_hop,     &sl_micro_shard,  &sl_micro_ring,     &sl_micro_channel,
    &sl_micro_payload, &sl_micro_http,   &sl_micro_json,     &sl_micro_cel,
    &sl_micro_script,  &sl_micro_attach, &sl_micro_registry, &sl_micro_swap,
};

enum { GROUPS_COUNT = sizeof(GROUPS) / sizeof(GROUPS[0]), CORES_MAX = 64 };

struct micro_values {
    const char *only;
    const char *cores;
    const char *data;
    const char *format;
    const char *write;
    const char *against;
    const char *least;
    uint64_t time_ns;
    bool list;
    bool quiet;
};

static const struct sl_option OPTIONS[] = {
    {"Run", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"only", "A,B", "cases or groups: hop, json/parse-169, 'ring/*'",
     offsetof(struct micro_values, only), SL_OPTION_STRING, 0},
    {"time", "T", "measure each case so long (default 300ms)",
     offsetof(struct micro_values, time_ns), SL_OPTION_DURATION, 't'},
    {"cores", "LIST", "run on the first, others' threads on the next (default: all we have)",
     offsetof(struct micro_values, cores), SL_OPTION_STRING, 0},
    {"data", "DIR", "the registry's files here (default: memory-backed)",
     offsetof(struct micro_values, data), SL_OPTION_STRING, 0},
    {"list", NULL, "name the cases and what they do", offsetof(struct micro_values, list),
     SL_OPTION_FLAG, 'l'},
    {"quiet", NULL, "no progress on stderr", offsetof(struct micro_values, quiet), SL_OPTION_FLAG,
     'q'},
    {"Output", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"format", "F", "text or json (default text)", offsetof(struct micro_values, format),
     SL_OPTION_STRING, 'f'},
    {"baseline-write", "FILE", "keep the figures", offsetof(struct micro_values, write),
     SL_OPTION_STRING, 0},
    {"against", "FILE", "set them against kept ones; exit 1 if one is slower beyond the spread",
     offsetof(struct micro_values, against), SL_OPTION_STRING, 0},
    {"least", "SHARE", "with --against: smaller changes do not count (default 0.1)",
     offsetof(struct micro_values, least), SL_OPTION_STRING, 0},
};

static const struct sl_options_usage USAGE = {
    .name = "micro",
    .synopsis = "[options]",
    .about =
        "Measure the engine's own operations in this process: hops, rings, shards and processes,\n"
        "payloads, HTTP, JSON, CEL, scripts, registry, swap. Nanoseconds of one operation: the\n"
        "median of many short batches, the quartiles and the best; cycles and instructions where\n"
        "the machine counts them; what is taken from the system's allocators.",
    .examples = "  sluice-bench micro\n"
                "  sluice-bench micro --list\n"
                "  sluice-bench micro --only hop,json/parse-169 --time 1s\n"
                "  sluice-bench micro --baseline-write before.json\n"
                "  sluice-bench micro --against before.json --least 0.05\n",
    .options = OPTIONS,
    .options_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
};

static bool item_matches(const char *list, const char *group, const char *name)
{
    char item[128];
    while (*list != '\0') {
        size_t size = strcspn(list, ",");
        (void)snprintf(item, sizeof(item), "%.*s", (int)size, list);
        if (strcmp(item, group) == 0 || fnmatch(item, name, 0) == 0) return true;
        list += size + (list[size] == ',');
    }
    return false;
}

static bool is_wanted(const struct micro_values *values, const struct sl_micro_group *group,
                      const struct sl_micro_case *item)
{
    return values->only == NULL || item_matches(values->only, group->name, item->name);
}

static uint32_t wanted_count(const struct micro_values *values)
{
    uint32_t count = 0;
    for (int g = 0; g < GROUPS_COUNT; g++) {
        for (size_t i = 0; i < GROUPS[g]->cases_count; i++) {
            count += is_wanted(values, GROUPS[g], &GROUPS[g]->cases[i]);
        }
    }
    return count;
}

static void list_print(const struct micro_values *values)
{
    for (int g = 0; g < GROUPS_COUNT; g++) {
        for (size_t i = 0; i < GROUPS[g]->cases_count; i++) {
            const struct sl_micro_case *item = &GROUPS[g]->cases[i];
            if (!is_wanted(values, GROUPS[g], item)) continue;
            (void)printf("%-24s %s\n", item->name, item->about);
        }
    }
}

static int cores_set(const struct micro_values *values, struct sl_micro_run *run, int *cores,
                     struct sl_diag *reterr)
{
    if (values->cores != NULL) {
        int count = sl_job_cores_parse(values->cores, cores, CORES_MAX);
        if (count <= 0) {
            return sl_diag_set(reterr, "bad_value", (struct sl_pos){0, 0},
                               "--cores \"%s\": expected cores such as 0 or 0,2-3", values->cores);
        }
        run->cores_count = (uint32_t)count;
    } else {
        cpu_set_t set;
        (void)sched_getaffinity(0, sizeof(set), &set);
        for (int cpu = 0; cpu < CPU_SETSIZE && run->cores_count < CORES_MAX; cpu++) {
            if (CPU_ISSET(cpu, &set)) cores[run->cores_count++] = cpu;
        }
    }
    run->cores = cores;
    (void)sl_run_pin(cores[0]);
    return 0;
}

/* One case: set up, measure, take down. */
static void case_run(const struct sl_micro_case *item, const struct micro_values *values,
                     struct sl_micro_run *run, struct sl_micro_report *report)
{
    struct sl_micro_result *result = sl_micro_report_add(report, item);
    run->state = NULL;
    run->arg = item->arg;
    run->bytes = 0;
    run->why = NULL;
    int outcome = item->setup != NULL ? item->setup(run) : 0;
    if (outcome == 0) {
        outcome = sl_micro_measure(item, run, &report->counters, values->time_ns, &result->figures);
        if (item->teardown != NULL) item->teardown(run);
    }
    if (outcome > 0) {
        (void)snprintf(result->why, sizeof(result->why), "%s", run->why);
    } else if (outcome < 0) {
        (void)snprintf(result->why, sizeof(result->why), "failed: %.100s",
                       run->diag.text[0] != '\0' ? run->diag.text : strerror(-outcome));
        result->failed = true;
    }
}

static int entry_remove(const char *path, const struct stat *stat, int type, struct FTW *at)
{
    (void)stat;
    (void)type;
    (void)at;
    return remove(path);
}

static void groups_run(const struct micro_values *values, struct sl_micro_run *run,
                       struct sl_micro_report *report)
{
    bool is_tty = isatty(STDERR_FILENO) != 0;
    for (int g = 0; g < GROUPS_COUNT; g++) {
        for (size_t i = 0; i < GROUPS[g]->cases_count; i++) {
            const struct sl_micro_case *item = &GROUPS[g]->cases[i];
            if (!is_wanted(values, GROUPS[g], item)) continue;
            if (!values->quiet && is_tty) (void)fprintf(stderr, "\r\033[K%s ", item->name);
            case_run(item, values, run, report);
        }
    }
    if (!values->quiet && is_tty) (void)fprintf(stderr, "\r\033[K");
}

static int report_out(const struct micro_values *values, struct sl_micro_report *report,
                      struct sl_diag *reterr)
{
    double least = strtod(values->least, NULL);
    int err = 0;
    if (values->against != NULL) err = sl_micro_report_against(report, values->against, reterr);
    if (err == 0 && values->write != NULL) {
        FILE *file = fopen(values->write, "we");
        if (file == NULL) {
            err = sl_diag_set(reterr, "cannot_write", (struct sl_pos){0, 0}, "%s: %s",
                              values->write, strerror(errno));
        } else {
            sl_micro_report_json(file, report);
            (void)fclose(file);
        }
    }
    if (err < 0) return SL_EXIT_USAGE;
    if (strcmp(values->format, "json") == 0) {
        sl_micro_report_json(stdout, report);
    } else {
        sl_micro_report_text(stdout, report, least);
    }
    return sl_micro_report_exit(report, least);
}

static int micro_command(const struct micro_values *values, struct sl_diag *reterr)
{
    static struct sl_micro_report report;
    int cores[CORES_MAX];
    char dir[] = "/dev/shm/sluice-bench-micro.XXXXXX";
    struct sl_micro_run run = {.dir = values->data};
    int err = cores_set(values, &run, cores, reterr);
    if (err < 0) return SL_EXIT_USAGE;
    if (run.dir == NULL) run.dir = mkdtemp(dir);
    if (run.dir == NULL) {
        (void)sl_diag_set(reterr, "no_folder", (struct sl_pos){0, 0}, "%s: %s", dir,
                          strerror(errno));
        return SL_EXIT_INTERNAL;
    }
    sl_micro_report_init(&report, run.dir, run.cores, run.cores_count);
    groups_run(values, &run, &report);
    sl_micro_report_end(&report);
    if (values->data == NULL) (void)nftw(dir, entry_remove, 8, FTW_DEPTH | FTW_PHYS);
    int code = report_out(values, &report, reterr);
    sl_micro_report_fini(&report);
    return code;
}

static int micro_main(int argc, char **argv)
{
    struct micro_values values = {.format = "text", .least = "0.1", .time_ns = 300 * SL_NS_PER_MS};
    struct sl_option_list rest = {.count = 0};
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    int err = sl_options_parse(&USAGE, argc, argv, &values, &rest, &diag);
    if (err == SL_OPTIONS_HELP) {
        sl_options_help(&USAGE);
        return SL_EXIT_OK;
    }
    if (err == 0 && rest.count > 0) {
        err = sl_diag_set(&diag, "no_argument", (struct sl_pos){0, 0},
                          "micro takes no argument \"%s\"", rest.items[0]);
        sl_diag_hint(&diag, "choose cases with --only");
    }
    bool is_text = strcmp(values.format, "text") == 0;
    if (err == 0 && !is_text && strcmp(values.format, "json") != 0) {
        err = sl_diag_set(&diag, "bad_value", (struct sl_pos){0, 0},
                          "--format \"%s\": expected text or json", values.format);
    }
    if (err == 0 && wanted_count(&values) == 0) {
        err = sl_diag_set(&diag, "bad_value", (struct sl_pos){0, 0},
                          "--only \"%s\": no case or group has such a name", values.only);
        sl_diag_hint(&diag, "--list shows them all");
    }
    if (err < 0) {
        sl_options_complain(&USAGE, &diag);
        return SL_EXIT_USAGE;
    }
    if (values.list) {
        list_print(&values);
        return SL_EXIT_OK;
    }
    int code = micro_command(&values, &diag);
    if (diag.text[0] != '\0') sl_options_complain(NULL, &diag);
    return code;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    bool is_named = strcmp(name, "micro") == 0;
    if (strcmp(name, "scale") == 0) return sl_micro_scale(argc - 2, argv + 2);
    return micro_main(argc - 1 - is_named, argv + 1 + is_named);
}
