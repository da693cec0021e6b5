/* SPDX-License-Identifier: MIT */
/*
 * A thread inherits the affinity of the thread that makes it. The machine makes threads (compiler,
 * collector) when it needs them, on the shard that needs them: they would fight with that shard for
 * its one core. Two measures: the shard widens its own mask while a machine is set up, and a control
 * thread looks now and then for threads that came later (sl_js_threads_unpin).
 */
#pragma once

#include <sched.h>
#include <stdbool.h>

struct js_affinity {
    cpu_set_t set;
    bool saved;
};

/* Remember the mask of this (control) thread as the one for the machine's threads. */
void js_affinity_remember(void);

/* Widen the mask of this thread, keeping the old one; restore puts it back. */
void js_affinity_widen(struct js_affinity *ret_saved);
void js_affinity_restore(const struct js_affinity *saved);
