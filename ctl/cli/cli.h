/* SPDX-License-Identifier: MIT */
/*
 * The command line: a table of commands, each with a table of options. Help, shell completion, the
 * man pages and the effective configuration are all made from these tables.
 *
 *   value of an option:  flag  >  environment SLUICE_<NAME>  >  file sluice.yaml  >  default
 *
 * Exit codes are the same for all commands: enum cli_exit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "codecs/flat/flat.h"
#include "core/base/diag.h"

enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,      /* the specs are wrong, the change was refused, something was not there */
    CLI_USAGE = 2,       /* the command line or the configuration is wrong */
    CLI_UNREACHABLE = 3, /* no runtime, no registry, an address in use */
    CLI_TIMEOUT = 4,
    CLI_INTERRUPTED = 130, /* by ^C, and everything was cleaned up */
};

enum cli_option_flags {
    CLI_LIST = 1,   /* may stand several times */
    CLI_SWITCH = 2, /* takes no value */
    CLI_CONFIG = 4, /* also read from the environment and the file */
};

struct cli_option {
    const char *name;     /* long: "from-specs" */
    char letter;          /* short, or 0 */
    const char *value;    /* "FILE"; NULL for switches */
    uint32_t flags;       /* CLI_* */
    const char *fallback; /* default, or NULL */
    const char *help;
};

struct cli_args;

struct cli_command {
    const char *name;
    const char *summary;              /* one line */
    const char *operands;             /* "FILE…", or "" */
    const char *text;                 /* what it does, paragraphs */
    const char *examples;             /* lines that can be typed */
    const struct cli_option *options; /* ends with name == NULL */
    int (*run)(struct cli_args *args);
    bool raw; /* all words are operands: they belong to another program */
};

enum { CLI_COMMANDS_MAX = 32 };

/* All commands: ends with name == NULL. */
extern const struct cli_command cli_commands[];

/* Options that every command has: help, format, config, log-level … */
extern const struct cli_option cli_common_options[];

const struct cli_command *cli_command_find(const char *name);

/* ---- arguments of one call ------------------------------------------------------------------ */

/* The value of an option by the order above; NULL if there is none. Borrowed. */
const char *cli_get(struct cli_args *args, const char *option);
bool cli_is_set(struct cli_args *args, const char *option);

/* Where the value came from: "flag", "environment", "file", "default", "unset". */
const char *cli_origin(struct cli_args *args, const char *option);

/* Values of an option that may stand several times: array of *ret_count. Borrowed. */
const char *const *cli_get_list(struct cli_args *args, const char *option, size_t *ret_count);

/* What stands beside the options: array of *ret_count. Borrowed. */
const char *const *cli_operands(struct cli_args *args, size_t *ret_count);

const struct cli_command *cli_args_command(const struct cli_args *args);

/* True for `--format json`. */
bool cli_is_json(struct cli_args *args);

/*
 * Operands from number `skip` on, after the values of -f: array of the returned count, freed by the
 * caller with free(). The strings are borrowed.
 */
size_t cli_files(struct cli_args *args, size_t skip, const char ***ret_files);

/*
 * The values of -e as a Map, one count for the caller. They are untyped: the field where they land
 * decides, so they stay strings here. False when one was wrong, which was printed.
 */
bool cli_environment(struct cli_args *args, struct sl_value *ret_value);

/* The file of -c, or NULL. Borrowed. */
const char *cli_config_path(struct cli_args *args);

/* A number in min..max; on a wrong one prints what was expected and returns false. */
bool cli_get_number(struct cli_args *args, const char *option, int64_t min, int64_t max,
                    int64_t *ret_number);

/* A duration ("30s", "250ms", or milliseconds) in milliseconds. */
bool cli_get_duration_ms(struct cli_args *args, const char *option, uint32_t *ret_ms);

/* A duration ("50us", "1ms", or microseconds) up to `max_us`, in microseconds. */
bool cli_get_duration_us(struct cli_args *args, const char *option, uint32_t max_us,
                         uint32_t *ret_us);

/*
 * Print that the value of an option is wrong, and what was expected: with file, line and column if
 * it stands in the file, with the variable's name if in the environment, else as the flag.
 */
void cli_value_error(struct cli_args *args, const char *option, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Parse the words after the command's name. Prints what is wrong, with the nearest option.
 * returns  0; CLI_USAGE; or CLI_OK with *ret_args NULL when help was printed
 */
int cli_args_parse(const struct cli_command *command, int argc, char **argv,
                   struct cli_args **ret_args);
struct cli_args *cli_args_free(struct cli_args *args);

/*
 * The same words with environment and file as they are now; owned by the caller. NULL: something is
 * wrong, which was printed.
 */
struct cli_args *cli_args_again(const struct cli_args *args);

/* True if an option has the same values in both. */
bool cli_is_same(struct cli_args *a, struct cli_args *b, const char *option);

/* Set level and format of the log. False when a value was wrong, which was printed. */
bool cli_log_setup(struct cli_args *args);

/* ---- printing ------------------------------------------------------------------------------- */

/* "sluice: error: …" with a hint, to stderr. */
void cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* What failed: the same, or with --format json a diagnostic of this code on stdout. */
void cli_fail(struct cli_args *args, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void cli_print_diag(struct cli_args *args, const struct sl_diag *diag);

/* The same with the line of `text` that it is about, and a caret under the column. */
void cli_print_diag_in(struct cli_args *args, const char *text, const struct sl_diag *diag);

/* All of them: text to stderr, or one JSON document to stdout. Returns the number of errors. */
/* Append the keys "errors" and "diagnostics" to a map. */
void cli_diags_build(const struct sl_diags *diags, struct sl_builder *b);

size_t cli_print_diags(struct cli_args *args, const struct sl_diags *diags);

/* A value as JSON on stdout, pretty. */
void cli_print_json(struct sl_value value);

/* The same, pretty or on one line. False when it could not be written, which was printed. */
bool cli_print_value(struct sl_value value, bool compact);

void cli_print_help(FILE *out, const struct cli_command *command);
void cli_print_overview(FILE *out);

/* The manual page of all commands, for man(1), on stdout. */
void cli_print_manual(void);

/* "unknown command", with the nearest. Returns CLI_USAGE. */
int cli_command_unknown(const char *name);

/* ---- shared by commands ---------------------------------------------------------------------- */

/* The commands; each in its own file. */
int cli_apply(struct cli_args *args);
int cli_bench(struct cli_args *args);
int cli_check(struct cli_args *args);
int cli_completion(struct cli_args *args);
int cli_delete(struct cli_args *args);
int cli_diff(struct cli_args *args);
int cli_eval(struct cli_args *args);
int cli_get_command(struct cli_args *args);
int cli_help(struct cli_args *args);
int cli_history(struct cli_args *args);
int cli_rollback(struct cli_args *args);
int cli_start(struct cli_args *args);

/* True if `start` could run with these; what is wrong was printed. Nothing is started. */
bool cli_start_check(struct cli_args *args);
int cli_tune(struct cli_args *args);

/* The path of sluice-bench: beside this program, or in PATH. False if it is not there. */
bool cli_bench_find(char *buf, size_t buf_size);
int cli_version(struct cli_args *args);
