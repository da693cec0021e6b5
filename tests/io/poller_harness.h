/* SPDX-License-Identifier: MIT */
/*
 * The conformance test of pollers sees an implementation through this: how to make one, and which
 * of the things that need the machine (threads, RST by the kernel, descriptor limits) it has.
 */
#pragma once

#include <stdbool.h>

#include "core/shard/poller.h"

struct poller_harness {
    const char *name;
    bool is_real; /* descriptors are the kernel's; time is the machine's */
    struct sl_poller *(*make)(const struct sl_poller_config *config);
    int (*local)(struct sl_poller *poller, int fd, struct sl_addr *ret_addr);
};

/* Run all tests against one implementation; returns the number of failures, as cmocka does. */
int poller_conformance_run(const struct poller_harness *harness);
