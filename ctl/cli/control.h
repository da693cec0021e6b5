/* SPDX-License-Identifier: MIT */
/* Asking a running runtime: HTTP over its control socket. */
#pragma once

#include "codecs/flat/flat.h"
#include "ctl/cli/cli.h"

/* An answer; `body` is owned: cli_control_fini. */
struct cli_answer {
    int status;
    char *body; /* array of size, and a zero byte */
    size_t size;
};

/*
 * Ask the runtime that --control, or --data and --namespace, mean.
 *
 * path     "/status"
 * returns  0; -ECONNREFUSED or -ENOENT when nobody answers; -ETIMEDOUT; -EXXX. What went wrong is
 *          printed unless `quiet`
 */
int cli_control_ask(struct cli_args *args, const char *method, const char *path, bool quiet,
                    struct cli_answer *ret_answer);
void cli_control_fini(struct cli_answer *answer);

/*
 * The same with GET, and the lines of the answer as they come, without their newlines; there is no
 * limit on how long that takes.
 *
 * line     told each line, and once before them, when the answer begins, with data == NULL; a
 *          negative result ends it
 * returns  0 at the end of the answer; what `line` returned; -EPROTO: another status than 200, whose
 *          message was printed; -EXXX as above, printed
 */
int cli_control_lines(struct cli_args *args, const char *path,
                      int (*line)(void *ctx, struct sl_slice text), void *ctx);

/* The same with GET, and the answer read as JSON: one count for the caller. */
int cli_control_get(struct cli_args *args, const char *path, struct sl_value *ret_value);

/* A number of a map, 0 if it is not there. */
uint64_t cli_uint(struct sl_value map, const char *key);
/* A text of a map, printed with SL_SLICE_FMT; empty if it is not there. */
struct sl_slice cli_text(struct sl_value map, const char *key);

int cli_status(struct cli_args *args);
int cli_drain(struct cli_args *args);
int cli_top(struct cli_args *args);
int cli_trace(struct cli_args *args);
