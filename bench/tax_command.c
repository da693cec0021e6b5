/* SPDX-License-Identifier: MIT */
/*
 * sluice-bench tax: what a server costs over the kernel alone. Starts the floor, our workflows and
 * the peers that are installed, loads them in turn in short slots, and prints server CPU per
 * request as ratio to the floor and to nginx of the same rounds.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/ask.h"
#include "bench/command.h"
#include "bench/known.h"
#include "bench/tax.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

static const uint64_t WARM_NS = 300 * SL_NS_PER_MS;

/* A slot takes so much more than its time: connecting, and waiting for the last replies. */
static const double SLOT_OVERHEAD_NS = 20e6;

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
    bool details;
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
    {"details", NULL, "also a table a scenario: over the floor, intervals of the ratios, rates",
     offsetof(struct tax_values, details), SL_OPTION_FLAG, 0},
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
        "byte by byte. A server that gives no reply keeps its row, without a figure, and the exit "
        "code is 3.\n"
        "All on 127.0.0.1, in temporary folders. All scenarios with 60 rounds take a quarter of an "
        "hour;\n"
        "--rounds shortens it.",
    .examples = "  sluice-bench tax --rounds 10\n"
                "  sluice-bench tax --scenario ping --details\n"
                "  sluice-bench tax --scenario ping --rounds 10 --slot 300ms --only sluice,nginx\n"
                "  sluice-bench tax --scenario echo --only sluice-js,nginx-njs,nginx-lua\n"
                "  sluice-bench tax --peer mine='./server --port {port}' --path /ping\n",
    .options = OPTIONS,
    .options_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
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
static int server_look(const struct sl_tax *tax, struct sl_tax_server *server, bool must_serve,
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
static void connections_limit(struct sl_tax_server *server, int mode)
{
    struct sl_run_config *config = &server->configs[mode];
    uint32_t most = server->in_flight_max / config->pipeline;
    if (server->in_flight_max > 0 && config->connections > most) config->connections = most;
}

/* Open the server that was put at the end of the list; leave it out if it does not start. */
static int server_open(struct sl_tax *tax, const struct tax_values *values, bool must_serve,
                       struct sl_diag *reterr)
{
    struct sl_tax_server *server = &tax->servers[tax->count];
    struct sl_endpoint *endpoint = &server->endpoint;
    const char *path = values->path != NULL ? values->path : sl_scenario_path(tax->scenario);
    int err = sl_endpoint_open(endpoint, &tax->job, path, tax->server_core, server->files, reterr);
    if (err == 0) err = server_look(tax, server, must_serve, reterr);
    if (err < 0) {
        sl_endpoint_fini(endpoint);
        return err;
    }
    for (int mode = 0; mode < SL_TAX_MODES_COUNT; mode++) {
        server->configs[mode] = endpoint->job.config;
        server->configs[mode].pipeline = mode == 0 ? 1 : SL_TAX_PIPELINE_DEPTH;
        connections_limit(server, mode);
    }
    tax->count++;
    return 0;
}

static void skipped_print(const char *name, const char *why)
{
    (void)fprintf(stderr, "left out: %s: %s\n", name, why);
}

static int known_open(struct sl_tax *tax, const struct tax_values *values,
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
    sl_assert(tax->count < SL_TAX_SERVERS_MAX);
    struct sl_tax_server *server = &tax->servers[tax->count];
    memset(server, 0, sizeof(*server));
    (void)snprintf(server->endpoint.name, sizeof(server->endpoint.name), "%s", known->name);
    (void)snprintf(server->endpoint.command, sizeof(server->endpoint.command), "%s",
                   known->command);
    server->title = known->title;
    server->files = known->files;
    server->in_flight_max = known->in_flight_max;
    server->is_base = known->is_base;
    sl_known_version(known, server->version, sizeof(server->version));
    int err = server_open(tax, values, serves, reterr);
    if (err == 0 && strcmp(known->name, "nginx") == 0) tax->nginx = tax->count - 1;
    if (err == 0 || is_floor) return err;
    skipped_print(known->name, reterr->text);
    reterr->text[0] = '\0';
    return 0;
}

/* A server that was asked for by name must start. */
static int asked_open(struct sl_tax *tax, const struct tax_values *values, const char *text,
                      const char *fallback, struct sl_diag *reterr)
{
    if (tax->count == SL_TAX_SERVERS_MAX) {
        return sl_diag_set(reterr, "too_many", (struct sl_pos){0, 0}, "too many servers");
    }
    struct sl_tax_server *server = &tax->servers[tax->count];
    memset(server, 0, sizeof(*server));
    int err = sl_endpoint_parse(text, fallback, &server->endpoint, reterr);
    server->title = server->endpoint.name;
    /* With --path it is asked for something of its own. */
    return err < 0 ? err : server_open(tax, values, values->path == NULL, reterr);
}

static int servers_open(struct sl_tax *tax, const struct tax_values *values, struct sl_diag *reterr)
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

static int pairs_setup(struct sl_tax *tax, const struct tax_values *values)
{
    struct sl_pairs *pairs = &tax->pairs;
    pairs->rounds = values->rounds;
    pairs->slot_ns = values->slot_ns;
    pairs->settle_ns = values->settle_ns;
    pairs->progress = !values->job.quiet;
    pairs->rotates = true;
    pairs->goes_on = true;
    pairs->warm_ns = values->slot_ns < WARM_NS ? values->slot_ns : WARM_NS;
    for (uint32_t mode = 0; mode < SL_TAX_MODES_COUNT; mode++) {
        for (uint32_t i = 0; i < tax->count; i++) {
            struct sl_pairs_target *target = &pairs->targets[pairs->targets_count++];
            target->name = tax->servers[i].endpoint.name;
            target->config = &tax->servers[i].configs[mode];
        }
    }
    return sl_pairs_init(pairs);
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
    return sl_options_output_check("html", values->html, reterr);
}

/* What the rounds of a scenario will take. */
static double time_needed(const struct sl_tax *tax, const struct tax_values *values)
{
    double slot_ns = (double)(values->slot_ns + values->settle_ns) + SLOT_OVERHEAD_NS;
    return (double)(SL_TAX_MODES_COUNT * tax->count) * (double)values->rounds * slot_ns;
}

/* Start the servers of a scenario and load them. */
static int scenario_run(struct sl_tax *tax, const struct tax_values *values, const char *peers_dir,
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
    if (err == 0 && !values->job.quiet) {
        (void)fprintf(stderr, "%s: %u server%s, %u round%s of %s: about %s\n",
                      sl_scenario_name(tax->scenario), tax->count, sl_plural(tax->count),
                      values->rounds, sl_plural(values->rounds),
                      sl_fmt_ns((double)values->slot_ns).text,
                      sl_fmt_minutes(time_needed(tax, values)).text);
    }
    return err < 0 ? err : sl_pairs_run(&tax->pairs, reterr);
}

/* End its servers; the figures stay. */
static void scenario_end(struct sl_tax *tax)
{
    for (uint32_t i = 0; i < tax->count; i++) sl_endpoint_fini(&tax->servers[i].endpoint);
}

static int scenarios_run(struct sl_tax *const *taxes, const struct tax_values *values,
                         struct sl_diag *reterr)
{
    char peers_dir[600];
    int err = 0;
    if (sl_spawn_peers_dir(peers_dir, sizeof(peers_dir)) < 0) {
        (void)sl_diag_set(reterr, "no_peers", (struct sl_pos){0, 0},
                          "the folder bench/peers is not beside this program");
        return -EIO;
    }
    for (int i = 0; err == 0 && i < SL_SCENARIOS_COUNT && !sl_run_is_stopped(); i++) {
        if (taxes[i] == NULL) continue;
        err = scenario_run(taxes[i], values, peers_dir, reterr);
        scenario_end(taxes[i]);
    }
    return err;
}

/* What was measured is shown, also if a later scenario failed. */
static int report_print(const struct sl_tax_report *report, const struct tax_values *values,
                        struct sl_diag *reterr)
{
    if (strcmp(values->format, "json") == 0) {
        sl_tax_json_print(stdout, report);
    } else {
        sl_tax_table_print(stdout, report);
        if (values->details) sl_tax_details_print(stdout, report);
    }
    (void)fflush(stdout);
    return values->html != NULL ? sl_tax_page_write(values->html, report, reterr) : 0;
}

static int tax_run(struct sl_tax *const *taxes, const struct tax_values *values,
                   struct sl_diag *reterr)
{
    struct sl_tax_report report = {.taxes = taxes, .job = &values->job};
    bool has_figures = false;
    uint32_t silent_count = 0;
    uint64_t begin = sl_clock_now_ns(sl_clock_system());
    int err = scenarios_run(taxes, values, reterr);
    report.took_ns = sl_clock_now_ns(sl_clock_system()) - begin;
    for (int i = 0; i < SL_SCENARIOS_COUNT; i++) {
        if (taxes[i] == NULL) continue;
        has_figures = has_figures || taxes[i]->pairs.done_count > 0;
        silent_count += sl_tax_silent_count(taxes[i]);
    }
    if ((err == 0 || has_figures) && report_print(&report, values, reterr) < 0) err = -EIO;
    if (err == 0) return silent_count > 0 ? SL_EXIT_TARGET : SL_EXIT_OK;
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
    struct sl_tax *taxes[SL_SCENARIOS_COUNT] = {NULL};
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
