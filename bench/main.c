/* SPDX-License-Identifier: MIT */
/*
 * sluice-bench: measures any HTTP server and tells the truth about it. `sluice bench …` runs this
 * program. This file finds the subcommand; each has its own file.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/command.h"
#include "bench/run.h"
#include "core/base/diag.h"

struct command {
    const char *name;
    sl_command_fn *run;
    const char *about;
};

static const struct command COMMANDS[] = {
    {"http", sl_command_http, "load a server, closed or open loop, and report latency and CPU"},
    {"compare", sl_command_compare, "compare servers in adjacent pairs, with the noise told"},
    {"tail", sl_command_tail, "how long servers make people wait at parts of their capacity"},
    {"tax", sl_command_tax, "what servers cost over the kernel's floor, in one run"},
    {"swap", sl_command_swap, "change a workflow under load and look at every reply"},
    {"hostile", sl_command_hostile, "what hostile scripts in processes do to others: the p99s"},
    {"proof", sl_command_proof, "show on a stalling server that the open loop tells the truth"},
    {"micro", sl_command_micro, "what the engine's own operations cost: nanoseconds, allocations"},
    {"scale", sl_command_scale, "CPU per request with one shard and with two, without sockets"},
    {"hdr", sl_command_hdr, "read, add up and print histogram logs"},
    {"floor", sl_command_floor, "run a bare io_uring server: the cost below which nothing goes"},
};

enum { COMMANDS_COUNT = sizeof(COMMANDS) / sizeof(COMMANDS[0]) };

static void help_print(FILE *out)
{
    (void)fprintf(out, "Usage: sluice-bench COMMAND [options]\n\nCommands:\n");
    for (int i = 0; i < COMMANDS_COUNT; i++) {
        (void)fprintf(out, "  %-10s %s\n", COMMANDS[i].name, COMMANDS[i].about);
    }
    (void)fprintf(out, "\nEach command explains itself: sluice-bench COMMAND --help\n"
                       "\nExamples:\n"
                       "  sluice-bench http http://127.0.0.1:8000/ping\n"
                       "  sluice-bench http --rate 20k --fail-if 'p99>2ms' "
                       "http://127.0.0.1:8000/ping\n");
}

static atomic_int signalled; /* the signal that came, or 0 */

static void on_signal(int number)
{
    atomic_store_explicit(&signalled, number, memory_order_relaxed);
    sl_run_stop();
}

/*
 * What was measured until then is shown, and the code says that it is not what was asked for. A
 * server ends in no other way.
 */
static int command_run(const struct command *command, int argc, char **argv)
{
    int code = command->run(argc, argv);
    int number = atomic_load_explicit(&signalled, memory_order_relaxed);
    return number != 0 && command->run != sl_command_floor ? SL_EXIT_SIGNAL + number : code;
}

static void process_setup(void)
{
    struct rlimit limit;
    /* One descriptor for each connection: take what we may. */
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* For shells: the commands, or the options of one. */
static int complete(int argc, char **argv)
{
    for (int i = 0; i < COMMANDS_COUNT; i++) {
        if (argc < 3) {
            (void)printf("%s\n", COMMANDS[i].name);
        } else if (strcmp(argv[2], COMMANDS[i].name) == 0) {
            return COMMANDS[i].run(1, argv + 1); /* "--complete" */
        }
    }
    return SL_EXIT_OK;
}

int main(int argc, char **argv)
{
    const char *names[COMMANDS_COUNT];
    const char *name = argc > 1 ? argv[1] : NULL;
    if (name == NULL) {
        help_print(stderr);
        return SL_EXIT_USAGE;
    }
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        help_print(stdout);
        return SL_EXIT_OK;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        (void)printf("sluice-bench %s\n", SL_VERSION);
        return SL_EXIT_OK;
    }
    if (strcmp(name, "--complete") == 0) return complete(argc, argv);
    process_setup();
    for (int i = 0; i < COMMANDS_COUNT; i++) {
        names[i] = COMMANDS[i].name;
        if (strcmp(name, names[i]) == 0) return command_run(&COMMANDS[i], argc - 2, argv + 2);
    }
    (void)fprintf(stderr, "error: unknown command \"%s\"\n", name);
    const char *near = sl_diag_nearest(name, names, COMMANDS_COUNT);
    if (near != NULL) (void)fprintf(stderr, "  hint: did you mean \"%s\"?\n", near);
    (void)fprintf(stderr, "see: sluice-bench --help\n");
    return SL_EXIT_USAGE;
}
