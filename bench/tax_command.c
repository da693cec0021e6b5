/* SPDX-License-Identifier: MIT */
/*
 * sluice-bench tax: what a server costs over the kernel alone. Starts the floor, our workflows and
 * the peers that are installed, loads them in turn in short slots, and prints server CPU per
 * request as ratio to the floor and to nginx of the same rounds.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/command.h"
#include "bench/endpoint.h"
#include "bench/html.h"
#include "bench/known.h"
#include "bench/pairs.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

enum { SERVERS_MAX = SL_PAIRS_TARGETS_MAX / 2, MODES_COUNT = 2, PIPELINE_DEPTH = 16 };

struct tax_values {
    struct sl_job_values job;
    const char *format;
    const char *html;
    const char *scenario;
    const char *only;
    const char *path;
    const char *server_core;
    const char *workflow;
    struct sl_option_list peers;
    uint64_t slot_ns;
    uint64_t settle_ns;
    uint32_t rounds;
};

static const struct sl_option OPTIONS[] = {
    {"Run", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"rounds", "N", "rounds; each loads every server (default 60)",
     offsetof(struct tax_values, rounds), SL_OPTION_UINT, 'n'},
    {"slot", "T", "measure each so long in a round (default 500ms)",
     offsetof(struct tax_values, slot_ns), SL_OPTION_DURATION, 't'},
    {"settle", "T", "not measured at the begin of a slot (default 50ms)",
     offsetof(struct tax_values, settle_ns), SL_OPTION_DURATION, 0},
    {"scenario", "S", "ping (GET, constant reply) or echo (POST of 170 bytes of JSON)",
     offsetof(struct tax_values, scenario), SL_OPTION_STRING, 0},
    {"connections", "N", "connections (default 64)", offsetof(struct tax_values, job.connections),
     SL_OPTION_UINT, 'c'},
    {"Servers", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"peer", "NAME='CMD'", "another server: a command with {port}; may be repeated",
     offsetof(struct tax_values, peers), SL_OPTION_LIST, 0},
    {"workflow", "FILE", "our server with this workflow, its port bound to PORT",
     offsetof(struct tax_values, workflow), SL_OPTION_STRING, 0},
    {"path", "/P", "path to load (default /ping or /echo)", offsetof(struct tax_values, path),
     SL_OPTION_STRING, 0},
    {"only", "A,B", "of the known servers only these (floor is always in)",
     offsetof(struct tax_values, only), SL_OPTION_STRING, 0},
    {"server-core", "N", "core of the servers (default 0; - for any)",
     offsetof(struct tax_values, server_core), SL_OPTION_STRING, 0},
    SL_JOB_OPTIONS_CLIENT(struct tax_values, job),
    {"Output", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"format", "F", "text or json (default text)", offsetof(struct tax_values, format),
     SL_OPTION_STRING, 'f'},
    {"html", "FILE", "write a page with charts and method", offsetof(struct tax_values, html),
     SL_OPTION_STRING, 0},
};

static const struct sl_options_usage USAGE = {
    .name = "tax",
    .synopsis = "[options]",
    .about =
        "Start a bare io_uring server (the floor), our workflows, and the peers that are "
        "installed\n"
        "(nginx, with LuaJIT, with njs, HAProxy), one worker each on one core; load them in turn,\n"
        "with one request in flight a connection and with 16; print server CPU per request and "
        "its\n"
        "ratio to the floor and to nginx in the same rounds. All on 127.0.0.1, in temporary "
        "folders.",
    .examples = "  sluice-bench tax\n"
                "  sluice-bench tax --rounds 10 --slot 300ms --only sluice,nginx\n"
                "  sluice-bench tax --scenario echo --only sluice-js,nginx-njs,nginx-lua\n"
                "  sluice-bench tax --peer mine='./server --port {port}' --path /ping\n",
    .options = OPTIONS,
    .options_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
};

struct server {
    struct sl_endpoint endpoint;
    struct sl_run_config configs[MODES_COUNT]; /* one request in flight, and sixteen */
    const char *title;
    const char *const *files; /* NULL: none */
};

struct tax {
    struct server servers[SERVERS_MAX]; /* array of `count`; the floor first */
    struct sl_pairs pairs;              /* target `mode * count + server` */
    const char *path;
    uint32_t count;
    uint32_t nginx; /* index, or 0 (the floor): not there */
    int server_core;
    int client_core;
    char client_cores[24];
};

static bool list_has(const char *list, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, size) == 0 && (at[size] == ',' || at[size] == '\0')) return true;
    }
    return false;
}

/* Open the server that was put at the end of the list; leave it out if it does not start. */
static int server_open(struct tax *tax, const struct tax_values *values, struct sl_diag *reterr)
{
    struct server *server = &tax->servers[tax->count];
    struct sl_endpoint *endpoint = &server->endpoint;
    int err = sl_endpoint_open(endpoint, &values->job, tax->path, tax->server_core, server->files,
                               reterr);
    if (err < 0) {
        sl_endpoint_fini(endpoint);
        return err;
    }
    for (int mode = 0; mode < MODES_COUNT; mode++) {
        server->configs[mode] = endpoint->job.config;
        server->configs[mode].pipeline = mode == 0 ? 1 : PIPELINE_DEPTH;
    }
    tax->count++;
    return 0;
}

static void skipped_print(const char *name, const char *why)
{
    (void)fprintf(stderr, "left out: %s: %s\n", name, why);
}

static int known_open(struct tax *tax, const struct tax_values *values,
                      const struct sl_known_server *known, struct sl_diag *reterr)
{
    bool is_floor = strcmp(known->name, "floor") == 0;
    bool is_echo = strcmp(values->scenario, "echo") == 0;
    if (!is_floor && values->only != NULL && !list_has(values->only, known->name)) return 0;
    if (is_echo && !known->echoes) return 0;
    if (!sl_known_is_installed(known)) {
        skipped_print(known->name, "not installed");
        return 0;
    }
    sl_assert(tax->count < SERVERS_MAX);
    struct server *server = &tax->servers[tax->count];
    memset(server, 0, sizeof(*server));
    (void)snprintf(server->endpoint.name, sizeof(server->endpoint.name), "%s", known->name);
    (void)snprintf(server->endpoint.command, sizeof(server->endpoint.command), "%s",
                   known->command);
    server->title = known->title;
    server->files = known->files;
    int err = server_open(tax, values, reterr);
    if (err == 0 && strcmp(known->name, "nginx") == 0) tax->nginx = tax->count - 1;
    if (err == 0 || is_floor) return err;
    skipped_print(known->name, reterr->text);
    reterr->text[0] = '\0';
    return 0;
}

/* A server that was asked for by name must start. */
static int asked_open(struct tax *tax, const struct tax_values *values, const char *text,
                      const char *fallback, struct sl_diag *reterr)
{
    if (tax->count == SERVERS_MAX) {
        return sl_diag_set(reterr, "too_many", (struct sl_pos){0, 0}, "too many servers");
    }
    struct server *server = &tax->servers[tax->count];
    memset(server, 0, sizeof(*server));
    int err = sl_endpoint_parse(text, fallback, &server->endpoint, reterr);
    server->title = server->endpoint.name;
    return err < 0 ? err : server_open(tax, values, reterr);
}

static int servers_open(struct tax *tax, const struct tax_values *values, struct sl_diag *reterr)
{
    int err = 0;
    size_t known_count;
    const struct sl_known_server *known = sl_known_servers(&known_count);
    for (size_t i = 0; err == 0 && i < known_count; i++) {
        err = known_open(tax, values, &known[i], reterr);
    }
    if (err == 0 && values->workflow != NULL) {
        char command[SL_ENDPOINT_TEXT_SIZE];
        (void)snprintf(command, sizeof(command),
                       "workflow=exec {bin}/sluice start --data {dir}/data --cores {core} -e "
                       "PORT={port} '%.700s'",
                       values->workflow);
        err = asked_open(tax, values, command, "workflow", reterr);
    }
    for (uint32_t i = 0; err == 0 && i < values->peers.count; i++) {
        err = asked_open(tax, values, values->peers.items[i], "peer", reterr);
    }
    return err;
}

static int pairs_setup(struct tax *tax, const struct tax_values *values)
{
    struct sl_pairs *pairs = &tax->pairs;
    pairs->rounds = values->rounds;
    pairs->slot_ns = values->slot_ns;
    pairs->settle_ns = values->settle_ns;
    pairs->progress = !values->job.quiet;
    pairs->rotates = true;
    for (uint32_t mode = 0; mode < MODES_COUNT; mode++) {
        for (uint32_t i = 0; i < tax->count; i++) {
            struct sl_pairs_target *target = &pairs->targets[pairs->targets_count++];
            target->name = tax->servers[i].endpoint.name;
            target->config = &tax->servers[i].configs[mode];
        }
    }
    return sl_pairs_init(pairs);
}

/* Median of the differences to the floor in the same rounds. */
static double over_floor(const struct tax *tax, uint32_t floor, uint32_t target)
{
    const double *base = tax->pairs.targets[floor].values[SL_PAIRS_CPU];
    const double *values = tax->pairs.targets[target].values[SL_PAIRS_CPU];
    uint32_t count = tax->pairs.done_count;
    double *differences = calloc(count + 1, sizeof(*differences));
    sl_assert(differences != NULL);
    for (uint32_t i = 0; i < count; i++) differences[i] = values[i] - base[i];
    double median = sl_stats_median(differences, count);
    free(differences);
    return median;
}

static void mode_text(FILE *out, const struct tax *tax, uint32_t mode)
{
    const struct sl_pairs *pairs = &tax->pairs;
    uint32_t base = mode * tax->count;
    struct sl_table table = {.columns = 0};
    sl_table_row(&table,
                 (const char *const[]){mode == 0 ? "one request in flight" : "16 pipelined",
                                       "CPU/request", "over floor", "to floor", "to nginx", "rate"},
                 6);
    for (uint32_t i = 0; i < tax->count; i++) {
        const struct sl_pairs_target *target = &pairs->targets[base + i];
        struct sl_ratio floor = sl_pairs_ratio(pairs, base, base + i, SL_PAIRS_CPU);
        struct sl_ratio nginx = sl_pairs_ratio(pairs, base + tax->nginx, base + i, SL_PAIRS_CPU);
        struct sl_fmt cpu = sl_pairs_value(
            SL_PAIRS_CPU, sl_stats_median(target->values[SL_PAIRS_CPU], pairs->done_count));
        struct sl_fmt rate = sl_pairs_value(
            SL_PAIRS_RATE, sl_stats_median(target->values[SL_PAIRS_RATE], pairs->done_count));
        struct sl_fmt over = sl_pairs_value(SL_PAIRS_CPU, over_floor(tax, base, base + i));
        struct sl_fmt floor_text = sl_pairs_ratio_text(&floor);
        struct sl_fmt nginx_text = sl_pairs_ratio_text(&nginx);
        bool has_nginx = tax->nginx != 0 && i != tax->nginx;
        sl_table_row(&table,
                     (const char *const[]){tax->servers[i].title, cpu.text, i == 0 ? "" : over.text,
                                           i == 0 ? "" : floor_text.text,
                                           has_nginx ? nginx_text.text : "", rate.text},
                     6);
    }
    sl_table_print(&table, out, 2);
}

static void text_print(FILE *out, const struct tax *tax, const struct tax_values *values)
{
    const struct sl_pairs *pairs = &tax->pairs;
    (void)fprintf(
        out,
        "server CPU per request, %s, %u connections, %u rounds of %s, servers on core %d, "
        "generator on %s\n\n",
        values->scenario, values->job.connections, pairs->done_count,
        sl_fmt_ns((double)pairs->slot_ns).text, tax->server_core, values->job.cores);
    for (uint32_t mode = 0; mode < MODES_COUNT; mode++) {
        mode_text(out, tax, mode);
        (void)fprintf(out, "\n");
    }
    for (uint32_t i = 0; i < pairs->targets_count; i++) {
        if (pairs->targets[i].errors == 0) continue;
        (void)fprintf(out, "  note: %s had %s errors in %s requests: its figures do not count\n",
                      pairs->targets[i].name, sl_fmt_count(pairs->targets[i].errors).text,
                      sl_fmt_count(pairs->targets[i].requests).text);
    }
    (void)fprintf(
        out, "  ratios over rounds (middle half) with their 95 %% interval; rates are those of the "
             "generator\n");
}

static int page_write(const struct tax *tax, const struct tax_values *values,
                      struct sl_diag *reterr)
{
    const struct sl_html_pairs_chart charts[] = {
        {"CPU per request, one in flight", SL_PAIRS_CPU, 0, tax->count},
        {"CPU per request, 16 pipelined", SL_PAIRS_CPU, tax->count, tax->count},
    };
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL) return -ENOMEM;
    text_print(memory, tax, values);
    int err = fclose(memory) != 0 ? -ENOMEM : 0;
    if (err == 0) {
        err = sl_html_pairs_write(values->html, "What servers cost over the floor", text,
                                  &tax->pairs, charts, MODES_COUNT, reterr);
    }
    free(text);
    return err;
}

static void ratio_json(struct sl_json *json, const char *key, const struct sl_ratio *ratio)
{
    sl_json_begin(json, key, '{');
    sl_json_number(json, "ratio", ratio->ratio, 5);
    sl_json_number(json, "low", ratio->low, 5);
    sl_json_number(json, "high", ratio->high, 5);
    sl_json_end(json, '}');
}

static void mode_json(struct sl_json *json, const struct tax *tax, uint32_t mode, uint32_t server)
{
    const struct sl_pairs *pairs = &tax->pairs;
    uint32_t base = mode * tax->count;
    const struct sl_pairs_target *target = &pairs->targets[base + server];
    sl_json_begin(json, mode == 0 ? "single" : "pipelined", '{');
    sl_json_number(json, "cpu_us", sl_stats_median(target->values[SL_PAIRS_CPU], pairs->done_count),
                   4);
    sl_json_number(json, "over_floor_us", over_floor(tax, base, base + server), 4);
    sl_json_number(json, "rate_s",
                   sl_stats_median(target->values[SL_PAIRS_RATE], pairs->done_count), 1);
    sl_json_uint(json, "requests", target->requests);
    sl_json_uint(json, "errors", target->errors);
    struct sl_ratio ratio = sl_pairs_ratio(pairs, base, base + server, SL_PAIRS_CPU);
    ratio_json(json, "to_floor", &ratio);
    if (tax->nginx != 0) {
        ratio = sl_pairs_ratio(pairs, base + tax->nginx, base + server, SL_PAIRS_CPU);
        ratio_json(json, "to_nginx", &ratio);
    }
    sl_json_end(json, '}');
}

static void json_print(const struct tax *tax, const struct tax_values *values)
{
    struct sl_json json = {.out = stdout};
    sl_json_begin(&json, NULL, '{');
    sl_json_string(&json, "scenario", values->scenario);
    sl_json_uint(&json, "connections", values->job.connections);
    sl_json_uint(&json, "rounds", tax->pairs.done_count);
    sl_json_number(&json, "slot_s", (double)tax->pairs.slot_ns / 1e9, 3);
    sl_json_begin(&json, "servers", '[');
    for (uint32_t i = 0; i < tax->count; i++) {
        sl_json_begin(&json, NULL, '{');
        sl_json_string(&json, "name", tax->servers[i].endpoint.name);
        sl_json_string(&json, "title", tax->servers[i].title);
        mode_json(&json, tax, 0, i);
        mode_json(&json, tax, 1, i);
        sl_json_end(&json, '}');
    }
    sl_json_end(&json, ']');
    sl_json_end(&json, '}');
}

static int values_check(struct tax *tax, struct tax_values *values,
                        const struct sl_option_list *positional, struct sl_diag *reterr)
{
    struct sl_pos none = {0, 0};
    bool is_echo = strcmp(values->scenario, "echo") == 0;
    if (positional->count > 0) {
        return sl_diag_set(reterr, "bad_usage", none, "unexpected \"%s\"", positional->items[0]);
    }
    if (!is_echo && strcmp(values->scenario, "ping") != 0) {
        return sl_diag_set(reterr, "bad_value", none, "--scenario: expected ping or echo");
    }
    if (strcmp(values->format, "text") != 0 && strcmp(values->format, "json") != 0) {
        return sl_diag_set(reterr, "bad_value", none, "--format: expected text or json");
    }
    if (values->rounds < 1 || values->rounds > SL_PAIRS_ROUNDS_MAX || values->slot_ns == 0) {
        return sl_diag_set(reterr, "bad_value", none, "--rounds must be 1 to %d, --slot not 0",
                           (int)SL_PAIRS_ROUNDS_MAX);
    }
    tax->server_core = -1;
    if (strcmp(values->server_core, "-") != 0 &&
        sl_job_cores_parse(values->server_core, &tax->server_core, 1) != 1) {
        return sl_diag_set(reterr, "bad_value", none, "--server-core: expected one core");
    }
    if (values->job.cores == NULL) {
        (void)snprintf(tax->client_cores, sizeof(tax->client_cores), "%ld",
                       sysconf(_SC_NPROCESSORS_ONLN) - 1);
        values->job.cores = tax->client_cores;
    }
    tax->path = values->path != NULL ? values->path : is_echo ? "/echo" : "/ping";
    return 0;
}

static int tax_run(struct tax *tax, struct tax_values *values, struct sl_diag *reterr)
{
    char body_file[700];
    char peers_dir[600];
    if (sl_spawn_peers_dir(peers_dir, sizeof(peers_dir)) < 0) {
        (void)sl_diag_set(reterr, "no_peers", (struct sl_pos){0, 0},
                          "the folder bench/peers is not beside this program");
        return SL_EXIT_INTERNAL;
    }
    if (strcmp(values->scenario, "echo") == 0) {
        (void)snprintf(body_file, sizeof(body_file), "%s/echo.json", peers_dir);
        values->job.body_file = body_file;
        values->job.headers.items[values->job.headers.count++] = "Content-Type: application/json";
    }
    int err = servers_open(tax, values, reterr);
    if (err == 0) err = pairs_setup(tax, values);
    if (err == 0) err = sl_pairs_run(&tax->pairs, reterr);
    if (err == -EINVAL) return SL_EXIT_USAGE;
    if (err < 0) return err == -ENOMEM ? SL_EXIT_INTERNAL : SL_EXIT_TARGET;
    if (strcmp(values->format, "json") == 0) {
        json_print(tax, values);
    } else {
        text_print(stdout, tax, values);
    }
    if (values->html != NULL && page_write(tax, values, reterr) < 0) return SL_EXIT_INTERNAL;
    return SL_EXIT_OK;
}

int sl_command_tax(int argc, char **argv)
{
    struct tax_values values = {.format = "text",
                                .scenario = "ping",
                                .server_core = "0",
                                .rounds = 60,
                                .slot_ns = 500 * SL_NS_PER_MS,
                                .settle_ns = 50 * SL_NS_PER_MS};
    struct sl_option_list positional = {.count = 0};
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    sl_job_values_default(&values.job);
    struct tax *tax = calloc(1, sizeof(*tax));
    if (tax == NULL) return SL_EXIT_INTERNAL;
    int err = sl_options_parse(&USAGE, argc, argv, &values, &positional, &diag);
    int code = SL_EXIT_OK;
    if (err == SL_OPTIONS_HELP) {
        sl_options_help(&USAGE);
    } else {
        if (err == 0) err = values_check(tax, &values, &positional, &diag);
        code = err < 0 ? SL_EXIT_USAGE : tax_run(tax, &values, &diag);
    }
    if (diag.text[0] != '\0') sl_options_complain(code == SL_EXIT_USAGE ? &USAGE : NULL, &diag);
    sl_pairs_fini(&tax->pairs);
    for (uint32_t i = 0; i < tax->count; i++) sl_endpoint_fini(&tax->servers[i].endpoint);
    free(tax);
    return code;
}
