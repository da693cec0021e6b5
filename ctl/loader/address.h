/* SPDX-License-Identifier: MIT */
/*
 * The addresses that specs want to listen on, so that two that want the same one are told before
 * either runs: an address has one owner.
 *
 * The same port is the same address if the hosts are equal, or if one of them stands for all:
 * 0.0.0.0 for those of IPv4, :: for all.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/base/diag.h"

struct sl_compile;

/* What one node wants. All strings owned. */
struct sl_address {
    char *key; /* "http://127.0.0.1:8000" */
    char *name_space;
    char *name; /* path of the node */
    char *file; /* or "" */
    struct sl_pos pos;
};

/* Zero-initialised is empty and valid. */
struct sl_addresses {
    struct sl_address *items; /* array of count */
    size_t count;
    bool
        is_quiet; /* sl_addresses_take only remembers: what stands there already is told of others */
};

void sl_addresses_fini(struct sl_addresses *addresses);

/* True if the keys of two sources cannot both be listened on. */
bool sl_address_is_same(const char *key, const char *other);

/*
 * Say that the node of `c`, whose config is whole, wants the address `key`. If another one has it,
 * that is an error at the node's port, with both places; in another namespace a warning.
 *
 * returns  0; -EINVAL with an error in c->diags; -ENOMEM
 */
int sl_addresses_take(struct sl_addresses *addresses, const struct sl_compile *c,
                      const char *name_space, const char *key);

/* Fill `reterr` with "… is the address of … at FILE:LINE:COL"; code `address_conflict`. */
void sl_address_conflict(const char *key, const struct sl_address *owner, struct sl_diag *reterr);
