/* SPDX-License-Identifier: MIT */
/*
 * Servers that the harness knows how to start: the floor, our own workflows, and the peers that may
 * be installed. Their configurations are in bench/peers/. All answer GET /ping.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/scenario.h"
#include "bench/spawn.h"

struct sl_known_server {
    const char *name;
    const char *title;
    const char *needs; /* files or programs that must be there, separated by blanks */
    const char *command;
    const char *files[SL_SPAWN_FILES_MAX];
    const char *version; /* a command whose output says it, without the last newline */
    /* Bits 1 << enum sl_scenario: those in which its reply is made as the scenario asks. */
    uint32_t scenarios;
    uint32_t in_flight_max; /* requests that it takes at once; 0: any */
    bool is_base; /* in all scenarios, with its constant reply: what others are compared with */
};

/* All of them, the floor first: array of `*ret_count`, static. */
const struct sl_known_server *sl_known_servers(size_t *ret_count);

/* The one of a name, or NULL. */
const struct sl_known_server *sl_known_find(const char *name);

/* Is everything there that it needs? */
bool sl_known_is_installed(const struct sl_known_server *known);

/* Ask for its version, in one line; "" if it does not say. */
void sl_known_version(const struct sl_known_server *known, char *buf, size_t buf_size);
