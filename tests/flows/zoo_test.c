/* SPDX-License-Identifier: MIT */
/*
 * The zoo: hostile scripts (tests/flows/zoo/LANGUAGE/NAME.EXT), each as a node of its own in both
 * modes, let out one after another through HTTP while other requests are answered.
 *
 * The first line of a file says in which ways it may end, mode by mode:
 *
 *     inline: deadline; process: deadline memory     → script_deadline, script_memory …
 *
 * In a process `deadline` holds for script_killed too: the shard ends what its own engine does not,
 * 20 ms later. `value` is an answer with status 200. ZOO_VERBOSE=1 prints a table.
 */
#include "tests/flows/harness.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#define IS_ADDRESS_SANITIZED 1
#else
#define IS_ADDRESS_SANITIZED 0
#endif

enum {
    ANIMALS_MAX = 256,
    NAME_SIZE = 128,
    CODE_SIZE = 4096,
    PROCESS_TIMEOUT_MS = 400,
    NEIGHBOUR_PAUSE_MS = 2,
    RSS_GROWTH_MAX = 300 * 1024 * 1024, /* what freed memory may still show, of the runtime */
    SETTLE_MS = 20000,
};

struct animal {
    char language[16];
    char name[NAME_SIZE];
    char outcomes[2][NAME_SIZE]; /* by mode */
    char code[CODE_SIZE];
};

static const char *const modes[] = {"inline", "process"};
static struct animal animals[ANIMALS_MAX];
static int animals_count;
static struct flow_server server;
static int port;

/* Somebody else's requests on the same shard. */
static pthread_t neighbour;
static _Atomic bool neighbour_stop;
static _Atomic uint64_t neighbour_good;
static _Atomic uint64_t neighbour_bad;

static void *neighbour_main(void *arg)
{
    (void)arg;
    while (!atomic_load(&neighbour_stop)) {
        struct flow_reply reply;
        int err = flow_try(port, "GET", "/fine", NULL, &reply);
        bool good = err == 0 && reply.status == 200 && strcmp(reply.body, "fine") == 0;
        if (err == 0) flow_reply_fini(&reply);
        atomic_fetch_add(good ? &neighbour_good : &neighbour_bad, 1);
        flow_sleep_ms(NEIGHBOUR_PAUSE_MS);
    }
    return NULL;
}

/* ---- the files ------------------------------------------------------------------------------- */

static void outcomes_read(struct animal *animal, const char *text)
{
    for (int mode = 0; mode < 2; mode++) {
        const char *at = strstr(text, modes[mode]);
        assert_non_null(at);
        at = strchr(at, ':') + 1;
        size_t size = strcspn(at, ";*\n");
        assert_true(size < NAME_SIZE);
        memcpy(animal->outcomes[mode], at, size);
    }
}

static void animal_read(const char *language, const char *folder, const char *file)
{
    char path[FLOW_PATH_SIZE + 256 + 2];
    size_t size;
    assert_true(animals_count < ANIMALS_MAX);
    struct animal *animal = &animals[animals_count++];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, file);
    char *text = flow_read(path, &size);
    assert_true(size < CODE_SIZE);
    memcpy(animal->code, text, size);
    free(text);
    (void)snprintf(animal->language, sizeof(animal->language), "%s", language);
    (void)snprintf(animal->name, sizeof(animal->name), "%.*s", (int)strcspn(file, "."), file);
    outcomes_read(animal, animal->code);
}

static void folder_read(const char *language)
{
    char folder[FLOW_PATH_SIZE];
    char name[64];
    (void)snprintf(name, sizeof(name), "tests/flows/zoo/%s", language);
    if (!flow_source(name, folder)) return;
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') animal_read(language, folder, entries[i]->d_name);
        free(entries[i]);
    }
    if (count >= 0) free(entries);
}

/* ---- the specification ----------------------------------------------------------------------- */

static void write_code(FILE *file, const char *code)
{
    (void)fprintf(file, "  code: |\n");
    for (const char *at = code; *at != '\0';) {
        size_t size = strcspn(at, "\n");
        (void)fprintf(file, "    %.*s\n", (int)size, at);
        at += size + (at[size] == '\n');
    }
}

/* A router for each mode: the ports of one are not enough for all. */
static void write_mode_routes(FILE *file, int mode)
{
    (void)fprintf(file, "- kind: router\n  name: %s\n  routes:\n", modes[mode]);
    for (int i = 0; i < animals_count; i++) {
        (void)fprintf(file, "    - {method: GET, path: '/%s/%s/%s', port: 'out[%d]'}\n",
                      modes[mode], animals[i].language, animals[i].name, i);
    }
    (void)fprintf(file, "  ports:\n");
    for (int i = 0; i < animals_count; i++) {
        (void)fprintf(file, "    out[%d]: [{name: animal%d, port: in}]\n", i, 2 * i + mode);
    }
}

static void write_routes(FILE *file)
{
    (void)fprintf(file, "- kind: router\n  name: routes\n  routes:\n"
                        "    - {method: GET, path: /fine, port: 'out[0]'}\n"
                        "    - {method: GET, path: '/inline/:language/:name', port: 'out[1]'}\n"
                        "    - {method: GET, path: '/process/:language/:name', port: 'out[2]'}\n"
                        "  ports:\n"
                        "    out[0]: [{name: fine, port: in}]\n"
                        "    out[1]: [{name: inline, port: in}]\n"
                        "    out[2]: [{name: process, port: in}]\n");
    write_mode_routes(file, 0);
    write_mode_routes(file, 1);
}

static void write_spec(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(file,
                  "- kind: listener\n  name: web\n  protocol: http\n  port: %d\n"
                  "  ports: {out: [{name: routes, port: in}], error: [{name: catch, port: in}]}\n"
                  "- kind: snippet\n  name: catch\n  language: cel\n"
                  "  code: '{\"status\": 500, \"body\": {\"code\": self.code, "
                  "\"text\": self.message}}'\n"
                  "- {kind: snippet, name: fine, language: text, code: fine}\n",
                  port);
    write_routes(file);
    for (int i = 0; i < 2 * animals_count; i++) {
        const struct animal *animal = &animals[i / 2];
        (void)fprintf(file, "- kind: snippet\n  name: animal%d\n  language: %s\n  isolation: %s\n",
                      i, animal->language, modes[i % 2]);
        if (i % 2 == 1) (void)fprintf(file, "  timeout: %dms\n", PROCESS_TIMEOUT_MS);
        write_code(file, animal->code);
    }
    assert_int_equal(fclose(file), 0);
}

/* ---- letting them out ------------------------------------------------------------------------ */

static bool is_allowed(const struct animal *animal, int mode, const struct flow_reply *reply)
{
    const char *outcomes = animal->outcomes[mode];
    if (reply->status == 200) return strstr(outcomes, "value") != NULL;
    if (strstr(reply->body, "\"script_deadline\"")) return strstr(outcomes, "deadline") != NULL;
    if (strstr(reply->body, "\"script_memory\"")) {
        /* AddressSanitizer keeps what was freed: a script that only runs may meet the cap first. */
        return strstr(outcomes, "memory") != NULL ||
               (IS_ADDRESS_SANITIZED && strstr(outcomes, "deadline") != NULL);
    }
    if (strstr(reply->body, "\"script_error\"")) return strstr(outcomes, "error") != NULL;
    if (strstr(reply->body, "\"script_killed\"")) {
        return mode == 1 && strstr(outcomes, "deadline") != NULL;
    }
    return false;
}

static bool release(const struct animal *animal, int mode)
{
    struct flow_reply reply;
    uint64_t begin = flow_now_us();
    int status =
        flow_ask(port, "GET", flow_text("/%s/%s/%s", modes[mode], animal->language, animal->name),
                 NULL, &reply);
    double took_ms = (double)(flow_now_us() - begin) / 1000;
    bool good = is_allowed(animal, mode, &reply);
    if (!good || getenv("ZOO_VERBOSE") != NULL) {
        print_message("%-10s %-8s %-34s %7.0f ms %d %.100s\n", good ? "" : "UNEXPECTED",
                      modes[mode], animal->name, took_ms, status, reply.body);
    }
    flow_reply_fini(&reply);
    return good;
}

/* The runtime's own memory goes back, after a while. */
static void wait_for_rss(uint64_t limit)
{
    uint64_t rss = 0;
    for (int i = 0; i < SETTLE_MS / 100; i++) {
        rss = flow_rss(server.pid);
        if (rss <= limit) return;
        flow_sleep_ms(100);
    }
    fail_msg("resident: %llu MiB, expected at most %llu", (unsigned long long)rss >> 20,
             (unsigned long long)limit >> 20);
}

static void let_out(int mode)
{
    int bad = 0;
    uint64_t good_before = atomic_load(&neighbour_good);
    uint64_t rss = flow_rss(server.pid);
    int count = 0;
    for (int i = 0; i < animals_count; i++) {
        bad += !release(&animals[i], mode);
        count++;
    }
    print_message("%d animals %s; %llu requests of others were answered meanwhile\n", count,
                  modes[mode], (unsigned long long)(atomic_load(&neighbour_good) - good_before));
    assert_int_equal(bad, 0);
    assert_true(atomic_load(&neighbour_good) > good_before);
    assert_int_equal(atomic_load(&neighbour_bad), 0);
    wait_for_rss(rss + RSS_GROWTH_MAX);
}

static void zoo_in_processes_ends_and_others_are_served(void **state)
{
    (void)state;
    let_out(1);
}

static void zoo_inline_ends_and_others_are_served(void **state)
{
    (void)state;
    let_out(0);
}

static int group_setup(void **state)
{
    (void)state;
    port = flow_port();
    folder_read("js");
    if (getenv("FLOW_LUA") != NULL) folder_read("lua");
    assert_true(animals_count >= 40);
    const char *path = flow_path("zoo.yaml");
    write_spec(path);
    flow_start(&server, (const char *[]){path, "--data", flow_path("data"), "--cores", "0",
                                         "--worker-priority", "normal", NULL});
    assert_int_equal(pthread_create(&neighbour, NULL, neighbour_main, NULL), 0);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    atomic_store(&neighbour_stop, true);
    (void)pthread_join(neighbour, NULL);
    int code = flow_stop(&server, SIGTERM);
    flow_kill_rest(NULL);
    return code;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zoo_in_processes_ends_and_others_are_served),
        cmocka_unit_test(zoo_inline_ends_and_others_are_served),
    };
    return cmocka_run_group_tests_name("zoo", tests, group_setup, group_teardown);
}
