/* SPDX-License-Identifier: MIT */
/*
 * Servers that the harness starts itself: own temporary folder, own port, own process group,
 * pinned to a core; ended by their ids and never by name.
 *
 * In commands and configuration files these are replaced:
 *     {port} a free port · {dir} the temporary folder · {core} the server's core ·
 *     {modules} nginx's modules · {bin} the folder of sluice-bench · {peers} the configurations
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/diag.h"

enum { SL_SPAWN_FILES_MAX = 4 };

struct sl_spawn_config {
    const char *name;
    const char *command; /* for /bin/sh, with placeholders */
    const char
        *files[SL_SPAWN_FILES_MAX]; /* of the peers' folder, copied with placeholders filled */
    const char *peers_dir;          /* NULL when `files` is empty */
    const char *parent_dir;         /* of the temporary folder; NULL: TMPDIR or /tmp */
    int core;                       /* -1: not pinned */
    int priority;                   /* see sl_run_prioritise */
};

struct sl_spawn {
    char dir[64];
    uint16_t port;
    pid_t pid; /* 0: not running */
};

/*
 * Start it and wait until its port accepts a connection.
 * 0, or -errno with a diagnostic that holds the end of what it printed.
 */
int sl_spawn_start(const struct sl_spawn_config *config, struct sl_spawn *ret_spawn,
                   struct sl_diag *reterr);

/* End it (TERM, then KILL for its group) and remove the folder. Harmless when not running. */
void sl_spawn_stop(struct sl_spawn *spawn);

/*
 * Run a command to its end with /bin/sh, without input or output.
 * 0; -EIO with a diagnostic if it did not exit with 0, or could not be run.
 */
int sl_spawn_run(const char *command, struct sl_diag *reterr);

/* The folder of this program, without a slash at its end. */
void sl_spawn_bin_dir(char *buf, size_t buf_size);

/* Where the peers' configurations are: beside the program's folder or installed. 0 or -ENOENT. */
int sl_spawn_peers_dir(char *buf, size_t buf_size);

/* True if `program` is a file that may be run, looked up in PATH if it has no slash. */
bool sl_spawn_has_program(const char *program);
