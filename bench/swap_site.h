/* SPDX-License-Identifier: MIT */
/*
 * Where `sluice-bench swap` works: a server that runs the workflow of bench/peers/swap.yaml, and a
 * second runtime on the same registry through which its nodes are changed over HTTP.
 *
 *     generator ──► server (namespace)  ◄── registry ◄── admin (namespace sluice-bench) ◄── swap
 *
 * Either both are started here, with a registry in memory-backed files; or the server is somebody's
 * that runs, and only nodes named sluice-bench-… are added to its namespace and removed at the end.
 *
 * Thread: one at a time.
 */
#pragma once

#include "bench/spawn.h"

struct sl_swap_site {
    struct sl_spawn server; /* pid 0: somebody's */
    struct sl_spawn admin;
    const char *name_space;
    char data_dir[256];
    char control[108]; /* socket of the server */
    uint16_t port;     /* of the workflow */
    int fd;            /* connection to the admin; -1: none */
    bool is_applied;
};

struct sl_swap_site_config {
    const char *data_dir;     /* of a registry whose server runs; NULL: start one */
    const char *name_space;   /* that it runs */
    const char *control;      /* its control socket; NULL: where it is by itself */
    const char *server_cores; /* "0,1": of the server that is started */
    int priority;             /* of what is started; see sl_run_prioritise */
};

/* 0 or -errno with a diagnostic; end with sl_swap_site_close in every case. */
int sl_swap_site_open(struct sl_swap_site *site, const struct sl_swap_site_config *config,
                      struct sl_diag *reterr);
void sl_swap_site_close(struct sl_swap_site *site);

/*
 * Send a list of specs to be merged, as JSON.
 *
 * ret_text  what was answered, cut to `text_size`; may be NULL
 * returns   the status, or -errno
 */
int sl_swap_site_update(struct sl_swap_site *site, const char *json, char *ret_text,
                        size_t text_size);

/* What the server says of itself. */
struct sl_swap_status {
    pid_t pid;
    uint64_t programs_alive;
    uint64_t programs_published; /* since its start */
    uint64_t programs_refused;
};

/* Ask its control socket. 0 or -errno. */
int sl_swap_site_status(const struct sl_swap_site *site, struct sl_swap_status *ret_status);
