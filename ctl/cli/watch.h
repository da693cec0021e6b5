/* SPDX-License-Identifier: MIT */
/*
 * `start --watch`: notices that files were saved. A few times a second it looks at name, inode, size
 * and time of all of them (folders too), and calls back when something is different and has then
 * stayed as it is for one look: so a file that is being written is left alone until it is whole.
 * Looking instead of inotify costs some stat calls and works on every file system.
 *
 * Control thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/shard/loop.h"

struct cli_watch {
    const char *const *paths; /* array of count, borrowed; "-" is not looked at */
    size_t count;
    struct sl_loop *loop;
    struct sl_timer timer;
    uint64_t seen; /* what the files looked like */
    bool changed;  /* since the last call */
    void (*fn)(void *ctx);
    void *ctx;
};

/* Fill paths, count, loop, fn and ctx; then start. Stop it before the loop ends. */
void cli_watch_start(struct cli_watch *watch);
void cli_watch_stop(struct cli_watch *watch);
