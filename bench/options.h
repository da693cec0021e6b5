/* SPDX-License-Identifier: MIT */
/*
 * Command-line options from a table: parsing, help, and errors that name the nearest option.
 * A subcommand declares a struct for its values and a table that points into it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/diag.h"

enum { SL_OPTIONS_LIST_MAX = 64 };

enum sl_option_type {
    SL_OPTION_FLAG,     /* bool; no value */
    SL_OPTION_UINT,     /* uint32_t */
    SL_OPTION_COUNT,    /* uint64_t; 10k, 1M */
    SL_OPTION_DURATION, /* uint64_t nanoseconds; 10s, 2ms; a bare number is seconds */
    SL_OPTION_STRING,   /* const char *; borrowed from argv */
    SL_OPTION_LIST,     /* struct sl_option_list; may be given many times */
    SL_OPTION_TITLE,    /* no option: a heading in the help */
};

struct sl_option {
    const char *name;  /* without dashes; a heading's text */
    const char *value; /* what the help calls it: "N" */
    const char *help;
    size_t offset; /* of the field in the values struct */
    enum sl_option_type type;
    char letter; /* short form, or 0 */
};

struct sl_option_list {
    const char *items[SL_OPTIONS_LIST_MAX]; /* array of `count` */
    uint32_t count;
};

/* A subcommand's usage, for its help and its errors. */
struct sl_options_usage {
    const char *program;             /* NULL: "sluice-bench", of which this is a command */
    const char *name;                /* "http"; "" where the program has no commands */
    const char *synopsis;            /* "URL… [options]" */
    const char *about;               /* what it does; several lines, without the last newline */
    const char *examples;            /* lines, each indented by two blanks */
    const struct sl_option *options; /* array of `options_count` */
    size_t options_count;
};

enum sl_options_outcome { SL_OPTIONS_OK = 0, SL_OPTIONS_HELP = 1 };

/*
 * Read the arguments. `--name value`, `--name=value`, `-x value`; `--` ends options; what is left
 * goes into `positional`.
 *
 * returns  SL_OPTIONS_OK; SL_OPTIONS_HELP for -h or --help, or for --complete as the only argument,
 *          with which sl_options_help lists the names of options, for shells; -EINVAL with a diagnostic
 */
int sl_options_parse(const struct sl_options_usage *usage, int argc, char **argv, void *values,
                     struct sl_option_list *positional, struct sl_diag *reterr);

/*
 * Can the file that option `name` gives be written, at the end of a run? Nothing of it changes.
 * `path` NULL: not given. 0, or -EINVAL with a diagnostic.
 */
int sl_options_output_check(const char *name, const char *path, struct sl_diag *reterr);

/* Print the whole help to stdout. */
void sl_options_help(const struct sl_options_usage *usage);

/* Print a diagnostic and where the help is, to stderr. */
void sl_options_complain(const struct sl_options_usage *usage, const struct sl_diag *diag);
