/* SPDX-License-Identifier: MIT */
/*
 * A server named on the command line of compare and tax: a URL of one that runs, or a command
 * that the harness starts and ends.
 *
 *     [NAME=]http://127.0.0.1:8000/ping[,pid=4711]
 *     [NAME=]'server --port {port}'          (loaded at --path)
 *     [NAME=]nginx                           (one of bench/known.h, loaded at /ping)
 */
#pragma once

#include "bench/job.h"
#include "bench/known.h"
#include "bench/spawn.h"

enum { SL_ENDPOINT_NAME_SIZE = 48, SL_ENDPOINT_TEXT_SIZE = 1024 };

struct sl_endpoint {
    char name[SL_ENDPOINT_NAME_SIZE];
    char url[SL_ENDPOINT_TEXT_SIZE];     /* of a command: filled when it is started */
    char command[SL_ENDPOINT_TEXT_SIZE]; /* empty: a URL of a server that runs */
    const struct sl_known_server *known; /* NULL: none of them */
    pid_t pid;                           /* 0: not known */
    struct sl_spawn spawn;
    struct sl_job job;
    bool has_job;
};

/* Read one; `fallback` is its name if it gives none. 0, or -EINVAL with a diagnostic. */
int sl_endpoint_parse(const char *text, const char *fallback, struct sl_endpoint *ret_endpoint,
                      struct sl_diag *reterr);

/*
 * Start its command if it has one (on `core`, -1: anywhere), and make its job from `values`.
 *
 * path   of the URL, for commands; NULL: "/", or "/ping" of a known server
 * files  of the peers' folder for the command, or NULL
 * returns 0 or -errno with a diagnostic; end with sl_endpoint_fini in every case
 */
int sl_endpoint_open(struct sl_endpoint *endpoint, const struct sl_job_values *values,
                     const char *path, int core, const char *const *files, struct sl_diag *reterr);

/* End what was started. Zero-initialised is fine. */
void sl_endpoint_fini(struct sl_endpoint *endpoint);
