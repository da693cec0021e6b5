/* SPDX-License-Identifier: MIT */
/*
 * The table behind the router: a tree of path segments, immutable after it was built.
 *
 *     /users/:id/posts      root ─ users ─ (:) ─ posts
 *     /users/me                       └─ me
 *     /files/ *             root ─ files ─ (*)
 *
 * In each segment, text wins over a parameter, a parameter over `*`, which takes the rest of the path
 * and stands last; what leads nowhere is tried again with the next best. A segment that begins with
 * `\:` or `\*` is that text. Paths compare byte by byte: case and a slash at the end count.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"

struct sl_routes;

enum { SL_ROUTE_SEGMENTS_MAX = 64, SL_ROUTE_PARAMS_MAX = 32 };

/* What stands at the end of a path. */
struct sl_route_leaf {
    struct sl_route_method *methods; /* array of methods_count */
    uint32_t methods_count;
    uint32_t number; /* of the leaf in its table, from 0 */
};

struct sl_route_method {
    struct sl_slice method; /* borrowed from whoever added it */
    uint32_t port;
    uint32_t params_count;
    const struct sl_slice *names; /* array of params_count: parameter names, "*" for the rest */
};

struct sl_route_match {
    const struct sl_route_leaf *leaf;
    uint32_t values_count;
    struct sl_slice values[SL_ROUTE_PARAMS_MAX]; /* parameters in path order; part of the path */
};

/* NULL for no memory. */
struct sl_routes *sl_routes_new(void);
struct sl_routes *sl_routes_free(struct sl_routes *routes);

/*
 * Add a route; `method` and `path` are borrowed for the table's life.
 * returns  0; -EEXIST: this method and path are there; -EINVAL: path does not begin with `/`, an
 *          empty parameter name, `*` not last; -E2BIG: too many segments or parameters; -ENOMEM
 */
int sl_routes_add(struct sl_routes *routes, struct sl_slice method, struct sl_slice path,
                  uint32_t port);

/* Find the leaf of a path. Any thread. */
bool sl_routes_find(const struct sl_routes *routes, struct sl_slice path,
                    struct sl_route_match *ret_match);

/* The method of a leaf, or NULL; HEAD falls back to GET (RFC 9110 section 9.3.2). */
const struct sl_route_method *sl_route_method_find(const struct sl_route_leaf *leaf,
                                                   struct sl_slice method);

/* Leaves of the table, by number. */
uint32_t sl_routes_leaves_count(const struct sl_routes *routes);
const struct sl_route_leaf *sl_routes_leaf(const struct sl_routes *routes, uint32_t number);

/* "GET, HEAD, OPTIONS": for the Allow header. Cut to the buffer. */
void sl_route_allow(const struct sl_route_leaf *leaf, char *buf, size_t buf_size);
