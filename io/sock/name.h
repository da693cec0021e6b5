/* SPDX-License-Identifier: MIT */
/*
 * Host names and the addresses they have now. Looking up a name blocks, so a thread of its own does
 * it: it starts with the first name and looks again after SL_NAME_REFRESH_MS at the names that were
 * used since; what was found before stays until something else is found.
 *
 *     control: new ──┐                          ┌──▶ shard: read (no lock, no wait)
 *     shard:   use ──┴──▶ thread: getaddrinfo ──┘
 *
 * The addresses are published by a sequence lock whose words are atomic.
 *
 *   pairs: store of `sequence` by the thread (release) ↔ load by the reader (acquire)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/limit.h"
#include "core/base/slice.h"
#include "core/shard/poller.h"

struct sl_name;

enum { SL_NAME_HOST_MAX = 253 }; /* bytes. RFC 1035 section 2.3.4, without the last dot */

/* What is known of a name. */
struct sl_name_addrs {
    uint32_t version; /* changes with what follows; 0: not looked up yet */
    int error;        /* of getaddrinfo(3), if it never was found; see gai_strerror(3) */
    uint32_t count;   /* 0: not known */
    struct sl_addr addrs[SL_NAME_ADDRS_MAX]; /* in the order of RFC 6724 */
};

/*
 * A name and a port. Nothing is looked up before the first use.
 *
 * host     1..SL_NAME_HOST_MAX bytes
 * returns  owned by the caller; NULL for no memory or no thread
 * thread   control
 */
struct sl_name *sl_name_new(struct sl_slice host, uint16_t port);

/* Forget it; nobody uses it any more. NULL is fine; returns NULL. Control thread. */
struct sl_name *sl_name_free(struct sl_name *name);

/* It is used: look it up now if nothing is known, and again from time to time. Any thread. */
void sl_name_use(struct sl_name *name);

/* True if there is something else than what has this version. Any thread; one load. */
bool sl_name_is_newer(const struct sl_name *name, uint32_t version);

/* Copy what is known. Any thread; tries again only while the thread writes. */
void sl_name_read(const struct sl_name *name, struct sl_name_addrs *ret_addrs);

/* For tests: look up with another function than getaddrinfo (NULL: with it). No name exists. */
typedef int sl_name_lookup_fn(const char *host, uint16_t port, struct sl_addr *ret_addrs,
                              uint32_t *ret_count);
void sl_name_lookup_set(sl_name_lookup_fn *fn);
