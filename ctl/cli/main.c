/* SPDX-License-Identifier: MIT */
/* The binary `sluice`: finds the command and runs it. */
#include <string.h>

#include "ctl/admin/ops.h"
#include "ctl/cli/cli.h"
#include "nodes/kinds.h"
#include "nodes/script/worker/worker.h"

/* Worker processes (nodes/script/worker) are this program too, and what starts them; not for people. */
static int worker_run(int argc, char **argv)
{
    if (argc < 3) return -1;
    if (strcmp(argv[1], "worker") != 0 && strcmp(argv[1], "nursery") != 0) return -1;
    sl_kinds_register();
    return sl_worker_main(argc, argv);
}

int main(int argc, char **argv)
{
    int code = worker_run(argc, argv);
    if (code >= 0) return code;
    if (argc < 2) {
        cli_print_overview(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        cli_print_overview(stdout);
        return CLI_OK;
    }
    const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    const struct cli_command *command = cli_command_find(name);
    if (command == NULL) return cli_command_unknown(name);
    sl_kinds_register();
    sl_ops_register();
    struct cli_args *args = NULL;
    int r = cli_args_parse(command, argc - 2, argv + 2, &args);
    if (args == NULL) return r;
    r = cli_log_setup(args) ? command->run(args) : CLI_USAGE;
    args = cli_args_free(args);
    return r;
}
