/* SPDX-License-Identifier: MIT */
/* The table of commands. */
#include "ctl/cli/cli.h"

static const struct cli_option start_options[] = {
    {"namespace", 'n', "NAME", CLI_CONFIG, "default", "the namespace to run"},
    {"from-specs", 'f', "FILE", CLI_LIST | CLI_CONFIG, NULL,
     "apply these specs first: a file, a folder, or - for standard input"},
    {"from-secrets", 0, "FILE", CLI_LIST, NULL, "apply these secrets first"},
    {"env", 'e', "NAME=VALUE", CLI_LIST | CLI_CONFIG, NULL, "a value for {{ .NAME }} in specs"},
    {"data", 'd', "DIR", CLI_CONFIG, NULL,
     "directory of the registry; without it everything is in memory"},
    {"cores", 0, "auto|LIST", CLI_CONFIG, "auto", "a shard on each of these cores: 0,2-3"},
    {"poller", 0, "auto|uring|epoll", CLI_CONFIG, "auto", "how sockets are waited for"},
    {"spin", 0, "MICROSECONDS", CLI_CONFIG, "0", "busy-poll so long before sleeping"},
    {"buffers", 0, "COUNT", CLI_CONFIG, "256", "receive buffers of a shard, a power of two"},
    {"buffer-size", 0, "BYTES", CLI_CONFIG, "16384", "size of a receive buffer"},
    {"memory", 0, "MIB", CLI_CONFIG, "4096", "memory that one shard may take"},
    {"drain-timeout", 0, "DURATION", CLI_CONFIG, "30s",
     "how long requests in flight may take after the first signal"},
    {"stall", 0, "DURATION", CLI_CONFIG, "100ms", "a shard's turn that is reported"},
    {"control", 0, "PATH", CLI_CONFIG, NULL,
     "control socket (DATA/NAMESPACE.sock, or below the runtime directory)"},
    {"watch", 'w', NULL, CLI_SWITCH, NULL, "apply the files again when they are saved"},
    {0},
};

static const struct cli_option check_options[] = {
    {"namespace", 'n', "NAME", CLI_CONFIG, "default", "the namespace of specs that name none"},
    {"file", 'f', "FILE", CLI_LIST, NULL, "a file, a folder, or - for standard input"},
    {"env", 'e', "NAME=VALUE", CLI_LIST | CLI_CONFIG, NULL,
     "what is bound; with one of these, names that are not bound are mistakes"},
    {"data", 'd', "DIR", CLI_CONFIG, NULL, "edges may lead to nodes of this registry, too"},
    {"config", 0, NULL, CLI_SWITCH, NULL, "print the effective configuration and its origins"},
    {0},
};

static const struct cli_option no_options[] = {{0}};

const struct cli_command cli_commands[] = {
    {"start", "run a namespace", "[FILE…]",
     "Applies the given files, loads the namespace, and serves until SIGINT or SIGTERM: then\n"
     "listeners stop accepting and requests in flight end within --drain-timeout. A second\n"
     "signal ends at once. With --data the runtime follows the registry live.\n",
     "  sluice start docs/examples/ping.yaml\n"
     "  sluice start -n system --from-specs system.yaml -e PORT=8001 --data /var/lib/sluice\n"
     "  sluice start --cores 0-3 --data /var/lib/sluice\n",
     start_options, cli_start, false},
    {"check", "tell all mistakes of files at once", "FILE…",
     "Reads specs, compiles them without running anything, and follows the edges between them.\n"
     "Each mistake has file, line and column, what was expected, and the nearest name.\n",
     "  sluice check docs/examples/ping.yaml\n"
     "  sluice check --format json flows/ -e PORT=8001\n"
     "  sluice check --config\n",
     check_options, cli_check, false},
    {"version", "print the version and what was built in", "",
     "Prints version, languages, node kinds and pollers.\n", "  sluice version --format json\n",
     no_options, cli_version, false},
    {0},
};
