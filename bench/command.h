/* SPDX-License-Identifier: MIT */
/* The subcommands of sluice-bench and their exit codes. One file per command. */
#pragma once

enum sl_bench_exit {
    SL_EXIT_OK = 0,
    SL_EXIT_THRESHOLD = 1, /* a --fail-if held, or a difference where none was allowed */
    SL_EXIT_USAGE = 2,
    SL_EXIT_TARGET = 3,  /* the target cannot be reached or gave no reply */
    SL_EXIT_INVALID = 4, /* the generator was late: the figures are its own */
    SL_EXIT_INTERNAL = 5,
    SL_EXIT_SIGNAL = 128, /* plus its number: it was interrupted, and showed what there was */
};

/* argc and argv begin after the command's name. Returns the exit code. */
typedef int sl_command_fn(int argc, char **argv);

sl_command_fn sl_command_http;    /* http_command.c */
sl_command_fn sl_command_compare; /* compare_command.c */
sl_command_fn sl_command_tail;    /* tail_command.c */
sl_command_fn sl_command_swap;    /* swap_command.c */
sl_command_fn sl_command_tax;     /* tax_command.c */
sl_command_fn sl_command_hdr;     /* hdr_command.c */
sl_command_fn sl_command_hostile; /* hostile_command.c */
sl_command_fn sl_command_proof;   /* proof_command.c */
sl_command_fn sl_command_floor;   /* floor.c */
sl_command_fn sl_command_micro;   /* micro_command.c: sluice-bench-micro */
sl_command_fn sl_command_scale;   /* micro_command.c: sluice-bench-micro */
