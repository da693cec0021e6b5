/* SPDX-License-Identifier: MIT */
/* The binary `sluice`: finds the command and runs it. */
#include <string.h>

#include "core/base/log.h"
#include "ctl/admin/ops.h"
#include "ctl/cli/cli.h"
#include "nodes/kinds.h"

static bool log_setup(struct cli_args *args)
{
    static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
    const char *level = cli_get(args, "log-level");
    const char *format = cli_get(args, "format");
    if (strcmp(format, "text") != 0 && strcmp(format, "json") != 0) {
        cli_error("\"--format %s\": expected text or json", format);
        return false;
    }
    if (strcmp(cli_get(args, "log-format"), "json") == 0) sl_log_set_format(SL_LOG_JSON);
    for (int i = 0; levels[i] != NULL; i++) {
        if (strcmp(levels[i], level) != 0) continue;
        sl_log_set_level((enum sl_log_level)i);
        return true;
    }
    cli_error("\"--log-level %s\": expected debug, info, warn or error", level);
    return false;
}

int main(int argc, char **argv)
{
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
    r = log_setup(args) ? command->run(args) : CLI_USAGE;
    args = cli_args_free(args);
    return r;
}
