/* SPDX-License-Identifier: MIT */
/* The table of commands. */
#include <string.h>

#include "ctl/cli/cli.h"
#include "ctl/cli/control.h"

const struct cli_option cli_common_options[] = {
    {"format", 0, "text|json", CLI_CONFIG, "text", "how to print"},
    {"config", 'c', "FILE", 0, NULL, "configuration file (sluice.yaml, if it is there)"},
    {"log-level", 0, "LEVEL", CLI_CONFIG, "info", "debug, info, warn or error"},
    {"log-format", 0, "text|json", CLI_CONFIG, "text", "how log lines look"},
    {"help", 'h', NULL, CLI_SWITCH, NULL, "this text"},
    {0},
};

static const struct cli_option start_options[] = {
    {"namespace", 'n', "NAME", CLI_CONFIG, "default", "the namespace to run"},
    {"from-specs", 'f', "FILE", CLI_LIST | CLI_CONFIG, NULL,
     "apply these specs first: a file, a folder, or - for standard input"},
    {"from-secrets", 0, "FILE", CLI_LIST, NULL, "apply these secrets first"},
    {"env", 'e', "NAME=VALUE", CLI_LIST | CLI_CONFIG, NULL, "a value for {{ .NAME }} in specs"},
    {"data", 'd', "DIR", CLI_CONFIG, NULL,
     "directory of the registry; without it everything is in memory"},
    {"cores", 0, "auto|LIST", CLI_CONFIG, "auto", "a shard on each of these cores: 0,2-3"},
    {"control-core", 0, "none|N", CLI_CONFIG, "none",
     "the control thread stays on this core; then it is left out of --cores auto"},
    {"poller", 0, "auto|uring|epoll", CLI_CONFIG, "auto", "how sockets are waited for"},
    {"spin", 0, "DURATION", CLI_CONFIG, "0", "busy-poll so long before sleeping: 50us; 0: never"},
    {"batch", 0, "COUNT", CLI_CONFIG, "0", "completions taken in one turn; 0: all there are"},
    {"buffers", 0, "COUNT", CLI_CONFIG, "256", "receive buffers of a shard, a power of two"},
    {"buffer-size", 0, "BYTES", CLI_CONFIG, "16384", "size of a receive buffer"},
    {"backlog", 0, "COUNT", CLI_CONFIG, "4096", "connections that may wait to be accepted"},
    {"priority", 0, "normal|N|fifo:N", CLI_CONFIG, "normal",
     "of the shards' threads: nice -20 to 19, or SCHED_FIFO 1 to 99"},
    {"memory", 0, "MIB", CLI_CONFIG, "4096", "memory that one shard may take"},
    {"drain-timeout", 0, "DURATION", CLI_CONFIG, "30s",
     "how long requests in flight may take after the first signal"},
    {"stall", 0, "DURATION", CLI_CONFIG, "100ms", "a shard's turn that is reported"},
    {"worker-priority", 0, "idle|normal", CLI_CONFIG, "idle",
     "of the processes of scripts: idle takes only what shards leave over"},
    {"control", 0, "PATH", CLI_CONFIG, NULL,
     "control socket (DATA/NAMESPACE.sock, or below the runtime directory); none: without"},
    {"access-log", 0, "FILE", CLI_CONFIG, NULL, "a line for each request; - for standard output"},
    {"access-log-format", 0, "json|combined", CLI_CONFIG, "json", "how its lines look"},
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

#define OPTION_DATA                                                                                \
    {                                                                                              \
        "data", 'd', "DIR", CLI_CONFIG, NULL, "directory of the registry"                          \
    }
#define OPTION_NAMESPACE(help)                                                                     \
    {                                                                                              \
        "namespace", 'n', "NAME", CLI_CONFIG, "default", help                                      \
    }
#define OPTION_ALL_NAMESPACES                                                                      \
    {                                                                                              \
        "all-namespaces", 'A', NULL, CLI_SWITCH, NULL, "of all namespaces"                         \
    }
#define OPTION_MESSAGE                                                                             \
    {                                                                                              \
        "message", 'm', "TEXT", 0, NULL, "what for, to be read in the history"                     \
    }
#define OPTION_IF_REVISION                                                                         \
    {                                                                                              \
        "if-revision", 0, "N", 0, NULL, "only if the newest revision is N"                         \
    }
#define OPTION_WAIT                                                                                \
    {                                                                                              \
        "wait", 'w', NULL, CLI_SWITCH, NULL, "until the running runtimes have published it"        \
    }
#define OPTION_TIMEOUT                                                                             \
    {                                                                                              \
        "timeout", 't', "DURATION", 0, "10s", "how long --wait waits"                              \
    }

static const struct cli_option apply_options[] = {
    {"file", 'f', "FILE", CLI_LIST, NULL, "a file, a folder, or - for standard input"},
    OPTION_NAMESPACE("the namespace of what names none"),
    OPTION_DATA,
    {"dry-run", 0, NULL, CLI_SWITCH, NULL, "show the difference, change nothing"},
    OPTION_IF_REVISION,
    OPTION_MESSAGE,
    OPTION_WAIT,
    OPTION_TIMEOUT,
    {0},
};

static const struct cli_option get_options[] = {
    OPTION_NAMESPACE("of which namespace"),
    OPTION_ALL_NAMESPACES,
    OPTION_DATA,
    {"output", 'o', "table|yaml|json", 0, NULL, "how to print (table)"},
    {"revision", 'r', "N", 0, NULL, "as it was at this revision"},
    {0},
};

static const struct cli_option delete_options[] = {
    {"file", 'f', "FILE", CLI_LIST, NULL, "delete what applying this file makes"},
    {"all", 0, NULL, CLI_SWITCH, NULL, "everything in the namespace"},
    OPTION_NAMESPACE("of which namespace"),
    OPTION_DATA,
    {"ignore-missing", 0, NULL, CLI_SWITCH, NULL, "what is not there is no mistake"},
    {"dry-run", 0, NULL, CLI_SWITCH, NULL, "show what would go, change nothing"},
    OPTION_IF_REVISION,
    OPTION_MESSAGE,
    OPTION_WAIT,
    OPTION_TIMEOUT,
    {0},
};

static const struct cli_option diff_options[] = {
    {"file", 'f', "FILE", CLI_LIST, NULL, "compare the newest revision with this file"},
    OPTION_NAMESPACE("of which namespace"),
    OPTION_ALL_NAMESPACES,
    OPTION_DATA,
    {"exit-code", 0, NULL, CLI_SWITCH, NULL, "exit with 1 if there is a difference"},
    {0},
};

static const struct cli_option history_options[] = {
    OPTION_NAMESPACE("of which namespace"),
    OPTION_ALL_NAMESPACES,
    OPTION_DATA,
    {"limit", 'l', "COUNT", 0, "20", "so many revisions, newest first"},
    {0},
};

static const struct cli_option rollback_options[] = {
    OPTION_NAMESPACE("of which namespace"),
    OPTION_DATA,
    OPTION_MESSAGE,
    OPTION_WAIT,
    OPTION_TIMEOUT,
    {0},
};

#define OPTION_CONTROL                                                                             \
    {                                                                                              \
        "control", 0, "PATH", CLI_CONFIG, NULL, "control socket (found by --data and --namespace)" \
    }

static const struct cli_option status_options[] = {
    OPTION_NAMESPACE("of which runtime"),
    OPTION_DATA,
    OPTION_CONTROL,
    {0},
};

static const struct cli_option top_options[] = {
    OPTION_NAMESPACE("of which runtime"),
    OPTION_DATA,
    OPTION_CONTROL,
    {"interval", 'i', "DURATION", 0, "1s", "between two looks"},
    {"sort", 's', "COLUMN", 0, "calls", "calls, errors, p99, queue, cpu or name"},
    {"filter", 0, "TEXT", 0, NULL, "only nodes whose name or kind has this in it"},
    {"once", '1', NULL, CLI_SWITCH, NULL, "print one picture of one interval and end"},
    {0},
};

static const struct cli_option trace_options[] = {
    OPTION_NAMESPACE("of which runtime"),
    OPTION_DATA,
    OPTION_CONTROL,
    {"count", 0, "N", 0, "10", "how many requests"},
    {"node", 0, "NAME", 0, NULL,
     "only requests that reach this node: \"block\" or \"block/child\""},
    {"when", 'w', "CEL", 0, NULL, "only requests for which this holds; self is the request"},
    {"payload", 0, "BYTES", 0, "1024", "how much is shown of each payload; 0: none"},
    {"unmask", 0, NULL, CLI_SWITCH, NULL,
     "show authorization, cookie, password and the like; secrets stay hidden"},
    {"timeout", 0, "DURATION", 0, "60s", "how long to wait for them; 0: for ever"},
    {0},
};

static const struct cli_option drain_options[] = {
    OPTION_NAMESPACE("of which runtime"),
    OPTION_DATA,
    OPTION_CONTROL,
    {"timeout", 0, "DURATION", 0, "40s", "how long to wait for its end"},
    {"no-wait", 0, NULL, CLI_SWITCH, NULL, "come back at once"},
    {0},
};

static const struct cli_option eval_options[] = {
    {"cel", 0, "EXPRESSION", 0, NULL, "evaluate CEL"},
    {"js", 0, "CODE", 0, NULL, "run JavaScript: a module, an expression over self, or statements"},
    {"ts", 0, "CODE", 0, NULL, "run TypeScript"},
    {"lua", 0, "CODE", 0, NULL, "run Lua: a module, an expression over self, or statements"},
    {"self", 's', "FILE", 0, NULL,
     "the value of self: a file of JSON, or YAML (*.yaml), or JSON itself; - is standard input"},
    {"bind", 'b', "NAME=JSON", CLI_LIST, NULL, "self, a variable (CEL), or a member of env"},
    {"json", 0, "FILE", 0, NULL, "parse JSON and print it"},
    {"yaml", 0, "FILE", 0, NULL, "parse YAML and print it as JSON"},
    {"compact", 0, NULL, CLI_SWITCH, NULL, "print JSON on one line instead of indented"},
    {"cases", 0, "FILE", CLI_LIST, NULL, "run a file of CEL test cases; more may follow"},
    {"language", 'l', "NAME", 0, "cel", "of an expression without an option, and of the prompt"},
    {"timeout", 't', "DURATION", 0, "5s", "how long a run may take"},
    {0},
};

static const struct cli_option tune_options[] = {
    {"try", 0, NULL, CLI_SWITCH, NULL,
     "measure each proposal on the workflow in FILE…, keep what wins twice beyond the noise"},
    {"path", 0, "/PATH", 0, "/", "what to ask for"},
    {"listener", 0, "NAME", 0, NULL, "which listener to load (the first)"},
    {"goal", 0, "balanced|latency|cpu", 0, "balanced",
     "what counts: balanced keeps what makes nothing worse"},
    {"connections", 0, "COUNT", 0, "64", "of the load"},
    {"pipeline", 0, "COUNT", 0, NULL, "requests in flight on a connection"},
    {"rate", 0, "R", 0, NULL,
     "requests a second, on a schedule; else as fast as they are answered"},
    {"method", 0, "NAME", 0, NULL, "of the requests"},
    {"body", 0, "TEXT", 0, NULL, "of the requests"},
    {"header", 0, "'NAME: VALUE'", CLI_LIST, NULL, "of the requests"},
    {"pairs", 0, "COUNT", 0, "30", "pairs of slots in a comparison; fewer if --time is short"},
    {"slot", 0, "DURATION", 0, "500ms", "how long each is measured"},
    {"least", 0, "SHARE", 0, "0.02", "the smallest difference that counts"},
    {"time", 0, "DURATION", 0, "30m", "how long all of it may take"},
    {"namespace", 'n', "NAME", CLI_CONFIG, "default", "of the workflow"},
    {"env", 'e', "NAME=VALUE", CLI_LIST | CLI_CONFIG, NULL, "a value for {{ .NAME }} in specs"},
    {"from-secrets", 0, "FILE", CLI_LIST, NULL, "secrets of the workflow"},
    {"write", 0, "FILE", 0, NULL, "write what was chosen into this sluice.yaml, with the reasons"},
    {"apply", 0, NULL, CLI_SWITCH, NULL, "set system settings now, until the machine restarts"},
    {"persist", 0, "DIR", 0, NULL,
     "write files that keep system settings below DIR (/ for this machine); - prints them"},
    {"revert", 0, NULL, CLI_SWITCH, NULL, "restore everything that tune has changed"},
    {"dry-run", 0, NULL, CLI_SWITCH, NULL, "show what would be done, change nothing"},
    {"only", 0, "RULE", CLI_LIST, NULL, "only these proposals, proof or not"},
    {"skip", 0, "RULE", CLI_LIST, NULL, "all but these"},
    {"root", 0, "DIR", 0, NULL, "look at a copy of another machine's /proc and /sys"},
    {"state", 0, "DIR", 0, NULL,
     "where the journal is (/var/lib/sluice; without root ~/.local/state)"},
    {0},
};

static const struct cli_option help_options[] = {
    {"man", 0, NULL, CLI_SWITCH, NULL, "print the manual page, for man -l -"},
    {0},
};

static const struct cli_option no_options[] = {{0}};

const struct cli_command cli_commands[] = {
    {"start", "run a namespace", "[FILE…]",
     "Applies the given files, loads the namespace, and serves until SIGINT or SIGTERM: then\n"
     "listeners stop accepting and requests in flight end within --drain-timeout. A second\n"
     "signal ends at once. With --data the runtime follows the registry live. SIGUSR1 opens the\n"
     "access log anew; SIGHUP does so too, and reads the configuration and the files again.\n",
     "  sluice start docs/examples/ping.yaml\n"
     "  sluice start -n system --from-specs system.yaml -e PORT=8001 --data /var/lib/sluice\n"
     "  sluice start --cores 0-3 --data /var/lib/sluice\n",
     start_options, cli_start, false},
    {"check", "tell all mistakes of files at once", "FILE…",
     "Reads specs, compiles them, runs the top level of their scripts, and follows the edges\n"
     "between them. Nothing is stored or served.\n"
     "Each mistake has file, line and column, what was expected, and the nearest name.\n"
     "For each CEL expression it shows the most that one run can cost, or what in it depends on\n"
     "the size of the input; a run ends at the limit with the error script_cost.\n",
     "  sluice check docs/examples/ping.yaml\n"
     "  sluice check --format json flows/ -e PORT=8001\n"
     "  sluice check --config\n",
     check_options, cli_check, false},
    {"apply", "store specs or secrets", "[specs|secrets] FILE…",
     "Creates what is new, replaces what differs, leaves alone what is the same; all in one\n"
     "revision or nothing. Running runtimes follow by themselves.\n",
     "  sluice apply -f flows/ --wait\n"
     "  sluice apply --dry-run ping.yaml\n"
     "  sluice apply secrets -f secrets.yaml -n system\n",
     apply_options, cli_apply, false},
    {"get", "show what is stored", "[nodes|secrets] [NAME|ID…]",
     "A table with the state of each node in its runtime, or YAML or JSON that can be applied\n"
     "again. Values of secrets are never shown.\n"
     "States: active; inactive and last_good, with the reason; pending, not yet published;\n"
     "stopped, no runtime runs the namespace.\n",
     "  sluice get\n"
     "  sluice get router -o yaml > router.yaml\n"
     "  sluice get secrets -A --format json\n",
     get_options, cli_get_command, false},
    {"delete", "delete specs or secrets", "[nodes|secrets] [NAME|ID…]",
     "Deletes all that is named in one revision, or nothing.\n",
     "  sluice delete pong router\n"
     "  sluice delete -f ping.yaml\n"
     "  sluice delete secrets db -n system\n",
     delete_options, cli_delete, false},
    {"diff", "show differences", "[REVISION [REVISION]]",
     "Between two revisions, a revision and the newest, or the newest and a file.\n",
     "  sluice diff 3 7\n"
     "  sluice diff 3\n"
     "  sluice diff -f ping.yaml --exit-code\n",
     diff_options, cli_diff, false},
    {"history", "list revisions", "",
     "Newest first: when, who, what for, and what changed (+ created, ~ updated, - deleted).\n",
     "  sluice history\n"
     "  sluice history -A --limit 100 --format json\n",
     history_options, cli_history, false},
    {"rollback", "bring specs back to a revision", "REVISION",
     "Makes a new revision in which the specs of the namespace are what they were. Secrets stay.\n",
     "  sluice rollback 3 --wait\n", rollback_options, cli_rollback, false},
    {"status", "show what a runtime does", "",
     "Program, nodes, and requests per shard and per listener, asked on the control socket.\n"
     "Exit code 3 when no runtime answers.\n",
     "  sluice status\n"
     "  sluice status -n system --data /var/lib/sluice --format json\n",
     status_options, cli_status, false},
    {"top", "watch shards and nodes live", "",
     "Per shard and per node: share of a core, calls per second, time of a call, errors, what\n"
     "waits. Times of nodes are a sample. Keys are told at the foot of the screen.\n",
     "  sluice top --data /var/lib/sluice\n"
     "  sluice top --once --sort p99\n"
     "  sluice top --once --format json\n",
     top_options, cli_top, false},
    {"trace", "follow the next requests through their nodes", "",
     "Each request hop by hop: when it came to a node, how long that took, where it went on, what\n"
     "it carried. Values that nodes are bound to as secrets are never shown. Costs nothing while\n"
     "nobody traces. Exit code 4 if the time was up first.\n",
     "  sluice trace --count 1 --data /var/lib/sluice\n"
     "  sluice trace --node router --when 'self.method == \"POST\"'\n"
     "  sluice trace --count 100 --payload 0 --format json > traces.ndjson\n",
     trace_options, cli_trace, false},
    {"drain", "end a runtime gracefully", "",
     "Listeners stop accepting, requests in flight end, then the runtime exits; as SIGTERM does.\n"
     "Comes back when it has ended.\n",
     "  sluice drain -n default --data /var/lib/sluice\n", drain_options, cli_drain, false},
    {"eval", "evaluate an expression or run a script", "[EXPRESSION]",
     "Without an expression each line of standard input is one. A result is printed as JSON; an\n"
     "error names its place, shows it with a caret, and exits with 1.\n",
     "  sluice eval 'self.age >= 18' --self person.json\n"
     "  sluice eval 'self.age >= 18' --self '{\"age\": 20}'\n"
     "  sluice eval --cel 'a + b' --bind a=1 --bind b=2\n"
     "  sluice eval --js '({double: self * 2})' --self - <<< 21\n"
     "  sluice eval --json body.json --compact\n"
     "  sluice eval --cases tests.json\n",
     eval_options, cli_eval, false},
    {"bench", "measure an HTTP server", "ARGUMENT…",
     "Runs sluice-bench, which stands beside sluice or in PATH, with the arguments.\n",
     "  sluice bench --help\n"
     "  sluice bench http http://127.0.0.1:8000/ping --duration 5s\n",
     no_options, cli_bench, true},
    {"tune", "fit the runtime to the machine", "[FILE…]",
     "Reads cores, memory nodes, interrupts, limits, frequency and idle states, kernel and "
     "network,\n"
     "and says what it would set, why, what to expect, where it is set, and whether we may.\n"
     "Without further options it changes nothing. Every change is kept in a journal first: "
     "--revert\n"
     "restores what was, also after a crash.\n",
     "  sluice tune\n"
     "  sluice tune --format json\n"
     "  sluice tune --try --path /ping docs/examples/ping.yaml --write sluice.yaml\n"
     "  sluice tune --try --goal latency --connections 1 --only spin --path /ping ping.yaml\n"
     "  sluice tune --write sluice.yaml\n"
     "  sluice tune --apply --persist / --dry-run\n"
     "  sluice tune --revert\n",
     tune_options, cli_tune, false},
    {"completion", "print the completion for a shell", "bash|zsh",
     "For bash: eval \"$(sluice completion bash)\" in ~/.bashrc.\n"
     "For zsh: eval \"$(sluice completion zsh)\" in ~/.zshrc, after compinit.\n",
     "  sluice completion bash > /etc/bash_completion.d/sluice\n", no_options, cli_completion,
     false},
    {"help", "tell about a command", "[COMMAND]",
     "The same as sluice COMMAND --help; without a command, all of them.\n",
     "  sluice help apply\n"
     "  sluice help --man | man -l -\n",
     help_options, cli_help, false},
    {"version", "print the version and what was built in", "",
     "Prints version, languages, node kinds and pollers.\n", "  sluice version --format json\n",
     no_options, cli_version, false},
    {0},
};

const struct cli_command *cli_command_find(const char *name)
{
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0) return c;
    }
    return NULL;
}

int cli_command_unknown(const char *name)
{
    const char *names[64];
    size_t count = 0;
    for (const struct cli_command *c = cli_commands; c->name != NULL && count < 64; c++) {
        names[count++] = c->name;
    }
    const char *nearest = sl_diag_nearest(name, names, count);
    if (nearest != NULL) {
        cli_error("unknown command \"%s\"; did you mean \"%s\"?", name, nearest);
    } else {
        cli_error("unknown command \"%s\"; see \"sluice --help\"", name);
    }
    return CLI_USAGE;
}
