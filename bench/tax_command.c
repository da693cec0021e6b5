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

#include "bench/ask.h"
#include "bench/command.h"
#include "bench/endpoint.h"
#include "bench/html.h"
#include "bench/known.h"
#include "bench/machine.h"
#include "bench/pairs.h"
#include "bench/scenario.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

enum {
    SERVERS_MAX = SL_PAIRS_TARGETS_MAX / 2,
    MODES_COUNT = 2,
    PIPELINE_DEPTH = 16,
    VERSION_SIZE = 256,
    BODY_SIZE = 1024,
};

static const uint64_t WARM_NS = 300 * SL_NS_PER_MS;

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
    {"slot", "T", "measure each so long in a round (default 300ms)",
     offsetof(struct tax_values, slot_ns), SL_OPTION_DURATION, 't'},
    {"settle", "T", "not measured at the begin of a slot (default 50ms)",
     offsetof(struct tax_values, settle_ns), SL_OPTION_DURATION, 0},
    {"scenario", "S",
     "ping (cheapest reply), const (a script encodes a table), echo (a script decodes 169 bytes "
     "of JSON, changes and encodes them), or all (default all)",
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
        "ratio to the floor and to nginx in the same rounds. Before anything is measured each "
        "reply is\n"
        "looked at: all servers of a scenario do the same work, and every later reply must be the "
        "same\n"
        "byte by byte. All on 127.0.0.1, in temporary folders.",
    .examples = "  sluice-bench tax --scenario ping\n"
                "  sluice-bench tax --scenario ping --rounds 10 --slot 300ms --only sluice,nginx\n"
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
    uint32_t in_flight_max;   /* requests that it takes at once; 0: any */
    char version[VERSION_SIZE];
    char body[BODY_SIZE]; /* of its reply, which every later one must repeat */
};

struct tax {
    struct server servers[SERVERS_MAX]; /* array of `count`; the floor first */
    struct sl_pairs pairs;              /* target `mode * count + server` */
    struct sl_job_values job;           /* of the scenario */
    char body_file[700];
    enum sl_scenario scenario;
    uint32_t count;
    uint32_t nginx; /* index, or 0 (the floor): not there */
    int server_core;
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

/*
 * Look at one reply. All replies of the runs must repeat it, byte by byte; and if `must_serve`, it must
 * be what the scenario asks for.
 */
static int server_look(const struct tax *tax, struct server *server, bool must_serve,
                       struct sl_diag *reterr)
{
    struct sl_job *job = &server->endpoint.job;
    const struct sl_request *request = &job->requests.items[0];
    struct sl_ask_body body = {.text = server->body, .cap = sizeof(server->body)};
    int fd = sl_ask_connect((const struct sockaddr *)&job->addr.storage, job->addr.size);
    int status = fd < 0 ? fd : sl_ask(fd, request->data, request->size, &body);
    if (fd >= 0) (void)close(fd);
    if (status < 0) {
        (void)sl_diag_set(reterr, "no_reply", (struct sl_pos){0, 0}, "%s: no reply: %s",
                          request->label, strerror(-status));
        return status;
    }
    bool is_right = !must_serve || sl_scenario_reply_is_right(tax->scenario, body.text, body.size);
    if (status != 200 || !is_right) {
        (void)sl_diag_set(reterr, "wrong_reply", (struct sl_pos){0, 0},
                          "%s: status %d, \"%.120s\": not the work of this scenario",
                          request->label, status, server->body);
        return -EPROTO;
    }
    if (body.size + 1 == body.cap) return 0; /* longer than what is kept: any body will do */
    job->config.check.body = (const uint8_t *)server->body;
    job->config.check.body_size = body.size;
    job->config.check.is_any_order =
        tax->scenario == SL_SCENARIO_ECHO; /* tables of Lua have none */
    return 0;
}

/* No more connections than the server takes requests at once. */
static void connections_limit(struct server *server, int mode)
{
    struct sl_run_config *config = &server->configs[mode];
    uint32_t most = server->in_flight_max / config->pipeline;
    if (server->in_flight_max > 0 && config->connections > most) config->connections = most;
}

/* Open the server that was put at the end of the list; leave it out if it does not start. */
static int server_open(struct tax *tax, const struct tax_values *values, bool must_serve,
                       struct sl_diag *reterr)
{
    struct server *server = &tax->servers[tax->count];
    struct sl_endpoint *endpoint = &server->endpoint;
    const char *path = values->path != NULL ? values->path : sl_scenario_path(tax->scenario);
    int err = sl_endpoint_open(endpoint, &tax->job, path, tax->server_core, server->files, reterr);
    if (err == 0) err = server_look(tax, server, must_serve, reterr);
    if (err < 0) {
        sl_endpoint_fini(endpoint);
        return err;
    }
    for (int mode = 0; mode < MODES_COUNT; mode++) {
        server->configs[mode] = endpoint->job.config;
        server->configs[mode].pipeline = mode == 0 ? 1 : PIPELINE_DEPTH;
        connections_limit(server, mode);
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
    bool serves = (known->scenarios >> tax->scenario & 1) != 0;
    if (!is_floor && values->only != NULL && !list_has(values->only, known->name)) return 0;
    if (!serves && !known->is_base) return 0;
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
    server->in_flight_max = known->in_flight_max;
    sl_known_version(known, server->version, sizeof(server->version));
    int err = server_open(tax, values, serves, reterr);
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
    /* With --path it is asked for something of its own. */
    return err < 0 ? err : server_open(tax, values, values->path == NULL, reterr);
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
    pairs->warm_ns = values->slot_ns < WARM_NS ? values->slot_ns : WARM_NS;
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
        if (sl_pairs_target_is_spoilt(target)) {
            sl_table_row(&table,
                         (const char *const[]){tax->servers[i].title, "errors", "-", "-", "-", "-"},
                         6);
            continue;
        }
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
        sl_scenario_name(tax->scenario), values->job.connections, pairs->done_count,
        sl_fmt_ns((double)pairs->slot_ns).text, tax->server_core, values->job.cores);
    for (uint32_t mode = 0; mode < MODES_COUNT; mode++) {
        mode_text(out, tax, mode);
        (void)fprintf(out, "\n");
    }
    for (uint32_t i = 0; i < tax->count; i++) {
        if (tax->servers[i].version[0] == '\0') continue;
        (void)fprintf(out, "  %-18s %s\n", tax->servers[i].endpoint.name, tax->servers[i].version);
    }
    for (uint32_t i = 0; i < pairs->targets_count; i++) {
        const struct sl_pairs_target *target = &pairs->targets[i];
        if (target->empty_count > 0) {
            (void)fprintf(out, "  note: %s gave no reply in %u slots: left out\n", target->name,
                          target->empty_count);
        }
        char text[160];
        if (target->config->connections != values->job.connections) {
            (void)fprintf(out, "  note: %s has %u connections: it takes no more requests at once\n",
                          target->name, target->config->connections);
        }
        if (target->errors == 0) continue;
        sl_pairs_errors_text(target, text, sizeof(text));
        (void)fprintf(out, "  note: %s, %s: %s%s\n", target->name,
                      i < tax->count ? "one request in flight" : "16 pipelined", text,
                      sl_pairs_target_is_spoilt(target) ? ": its figures do not count" : "");
    }
    (void)fprintf(
        out, "  ratios over rounds (middle half) with their 95 %% interval; rates are those of the "
             "generator\n");
}

/* The page of all scenarios that were run. */
static int page_write(struct tax *const *taxes, const struct tax_values *values,
                      struct sl_diag *reterr)
{
    static const char *const modes[MODES_COUNT] = {"one request in flight", "16 pipelined"};
    struct sl_html_pairs_chart charts[SL_SCENARIOS_COUNT * MODES_COUNT];
    char titles[SL_SCENARIOS_COUNT * MODES_COUNT][64];
    size_t count = 0;
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL) return -ENOMEM;
    for (int i = 0; i < SL_SCENARIOS_COUNT; i++) {
        const struct tax *tax = taxes[i];
        if (tax == NULL || tax->pairs.targets_count == 0) continue;
        text_print(memory, tax, values);
        (void)fprintf(memory, "\n");
        for (uint32_t mode = 0; mode < MODES_COUNT; mode++) {
            (void)snprintf(titles[count], sizeof(titles[count]), "%s: CPU per request, %s",
                           sl_scenario_name(tax->scenario), modes[mode]);
            charts[count] = (struct sl_html_pairs_chart){titles[count], &tax->pairs, SL_PAIRS_CPU,
                                                         mode * tax->count, tax->count};
            count++;
        }
    }
    int err = fclose(memory) != 0 ? -ENOMEM : 0;
    if (err == 0) {
        err = sl_html_pairs_write(values->html, "What servers cost over the floor", text, charts,
                                  count, reterr);
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
    sl_json_bool(json, "counts", !sl_pairs_target_is_spoilt(target));
    sl_json_uint(json, "empty_slots", target->empty_count);
    struct sl_ratio ratio = sl_pairs_ratio(pairs, base, base + server, SL_PAIRS_CPU);
    ratio_json(json, "to_floor", &ratio);
    if (tax->nginx != 0) {
        ratio = sl_pairs_ratio(pairs, base + tax->nginx, base + server, SL_PAIRS_CPU);
        ratio_json(json, "to_nginx", &ratio);
    }
    sl_json_end(json, '}');
}

static void json_print(struct sl_json *json, const struct tax *tax, const struct tax_values *values)
{
    struct sl_machine machine;
    char command[1024];
    sl_machine_get(&machine);
    sl_machine_command(command, sizeof(command));
    sl_json_begin(json, NULL, '{');
    sl_json_string(json, "scenario", sl_scenario_name(tax->scenario));
    sl_json_uint(json, "connections", values->job.connections);
    sl_json_uint(json, "rounds", tax->pairs.done_count);
    sl_json_number(json, "slot_s", (double)tax->pairs.slot_ns / 1e9, 3);
    sl_json_begin(json, "servers", '[');
    for (uint32_t i = 0; i < tax->count; i++) {
        sl_json_begin(json, NULL, '{');
        sl_json_string(json, "name", tax->servers[i].endpoint.name);
        sl_json_string(json, "title", tax->servers[i].title);
        sl_json_string(json, "version", tax->servers[i].version);
        mode_json(json, tax, 0, i);
        mode_json(json, tax, 1, i);
        sl_json_end(json, '}');
    }
    sl_json_end(json, ']');
    sl_machine_json(json, &machine);
    sl_json_string(json, "command", command);
    sl_json_end(json, '}');
}

/* Bits 1 << enum sl_scenario; 0: there is none of that name. */
static uint32_t scenarios_of(const char *name)
{
    uint32_t all = (1U << SL_SCENARIOS_COUNT) - 1;
    if (strcmp(name, "all") == 0) return all;
    for (int i = 0; i < SL_SCENARIOS_COUNT; i++) {
        if (strcmp(name, sl_scenario_name((enum sl_scenario)i)) == 0) return 1U << i;
    }
    return 0;
}

static int values_check(const struct tax_values *values, const struct sl_option_list *positional,
                        int *ret_server_core, struct sl_diag *reterr)
{
    struct sl_pos none = {0, 0};
    if (positional->count > 0) {
        return sl_diag_set(reterr, "bad_usage", none, "unexpected \"%s\"", positional->items[0]);
    }
    if (scenarios_of(values->scenario) == 0) {
        return sl_diag_set(reterr, "bad_value", none,
                           "--scenario \"%s\": expected ping, const, echo or all",
                           values->scenario);
    }
    if (strcmp(values->format, "text") != 0 && strcmp(values->format, "json") != 0) {
        return sl_diag_set(reterr, "bad_value", none, "--format: expected text or json");
    }
    if (values->rounds < 1 || values->rounds > SL_PAIRS_ROUNDS_MAX || values->slot_ns == 0) {
        return sl_diag_set(reterr, "bad_value", none, "--rounds must be 1 to %d, --slot not 0",
                           (int)SL_PAIRS_ROUNDS_MAX);
    }
    *ret_server_core = -1;
    if (strcmp(values->server_core, "-") != 0 &&
        sl_job_cores_parse(values->server_core, ret_server_core, 1) != 1) {
        return sl_diag_set(reterr, "bad_value", none, "--server-core: expected one core");
    }
    return 0;
}

/* Start the servers of a scenario and load them. */
static int scenario_run(struct tax *tax, const struct tax_values *values, const char *peers_dir,
                        struct sl_diag *reterr)
{
    const char *body_file = sl_scenario_body_file(tax->scenario);
    tax->job = values->job;
    tax->job.check_status = "200";
    if (body_file != NULL) {
        (void)snprintf(tax->body_file, sizeof(tax->body_file), "%.600s/%s", peers_dir, body_file);
        tax->job.body_file = tax->body_file;
        tax->job.headers.items[tax->job.headers.count++] = "Content-Type: application/json";
    }
    int err = servers_open(tax, values, reterr);
    if (err == 0) err = pairs_setup(tax, values);
    return err < 0 ? err : sl_pairs_run(&tax->pairs, reterr);
}

/* End its servers; the figures stay. */
static void scenario_end(struct tax *tax)
{
    for (uint32_t i = 0; i < tax->count; i++) sl_endpoint_fini(&tax->servers[i].endpoint);
}

static int scenarios_run(struct tax *const *taxes, const struct tax_values *values,
                         struct sl_json *json, struct sl_diag *reterr)
{
    char peers_dir[600];
    int err = 0;
    if (sl_spawn_peers_dir(peers_dir, sizeof(peers_dir)) < 0) {
        (void)sl_diag_set(reterr, "no_peers", (struct sl_pos){0, 0},
                          "the folder bench/peers is not beside this program");
        return -EIO;
    }
    for (int i = 0; err == 0 && i < SL_SCENARIOS_COUNT && !sl_run_is_stopped(); i++) {
        struct tax *tax = taxes[i];
        if (tax == NULL) continue;
        err = scenario_run(tax, values, peers_dir, reterr);
        if (err == 0 && json->out != NULL) json_print(json, tax, values);
        if (err == 0 && json->out == NULL) {
            text_print(stdout, tax, values);
            (void)printf("\n");
        }
        (void)fflush(stdout);
        scenario_end(tax);
    }
    return err;
}

static int tax_run(struct tax *const *taxes, const struct tax_values *values,
                   struct sl_diag *reterr)
{
    bool is_json = strcmp(values->format, "json") == 0;
    uint32_t scenarios = scenarios_of(values->scenario);
    bool is_list = is_json && (scenarios & (scenarios - 1)) != 0;
    struct sl_json json = {.out = is_json ? stdout : NULL};
    if (is_list) sl_json_begin(&json, NULL, '{');
    if (is_list) sl_json_begin(&json, "scenarios", '[');
    int err = scenarios_run(taxes, values, &json, reterr);
    if (is_list) sl_json_end(&json, ']');
    if (is_list) sl_json_end(&json, '}');
    if (err == 0 && values->html != NULL && page_write(taxes, values, reterr) < 0) err = -EIO;
    if (err == 0) return SL_EXIT_OK;
    if (err == -EINVAL) return SL_EXIT_USAGE;
    return err == -ENOMEM || err == -EIO ? SL_EXIT_INTERNAL : SL_EXIT_TARGET;
}

int sl_command_tax(int argc, char **argv)
{
    struct tax_values values = {.format = "text",
                                .scenario = "all",
                                .server_core = "0",
                                .rounds = 60,
                                .slot_ns = 300 * SL_NS_PER_MS,
                                .settle_ns = 50 * SL_NS_PER_MS};
    struct sl_option_list positional = {.count = 0};
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    struct tax *taxes[SL_SCENARIOS_COUNT] = {NULL};
    char client_cores[24];
    int server_core = -1;
    int code = SL_EXIT_USAGE;
    sl_job_values_default(&values.job);
    int err = sl_options_parse(&USAGE, argc, argv, &values, &positional, &diag);
    if (err == 0) {
        (void)snprintf(client_cores, sizeof(client_cores), "%ld",
                       sysconf(_SC_NPROCESSORS_ONLN) - 1);
        if (values.job.cores == NULL) values.job.cores = client_cores;
        err = values_check(&values, &positional, &server_core, &diag);
    }
    for (int i = 0; err == 0 && i < SL_SCENARIOS_COUNT; i++) {
        if ((scenarios_of(values.scenario) >> i & 1) == 0) continue;
        taxes[i] = calloc(1, sizeof(*taxes[i]));
        if (taxes[i] == NULL) return SL_EXIT_INTERNAL;
        taxes[i]->scenario = (enum sl_scenario)i;
        taxes[i]->server_core = server_core;
    }
    if (err == SL_OPTIONS_HELP) {
        sl_options_help(&USAGE);
        code = SL_EXIT_OK;
    } else if (err == 0) {
        code = tax_run(taxes, &values, &diag);
    }
    if (diag.text[0] != '\0') sl_options_complain(code == SL_EXIT_USAGE ? &USAGE : NULL, &diag);
    for (int i = 0; i < SL_SCENARIOS_COUNT; i++) {
        if (taxes[i] == NULL) continue;
        scenario_end(taxes[i]);
        sl_pairs_fini(&taxes[i]->pairs);
        free(taxes[i]);
    }
    return code;
}
