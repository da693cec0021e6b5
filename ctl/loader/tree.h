/* SPDX-License-Identifier: MIT */
/*
 * The tree of a spec and its children while a unit is built: who stands in whom, and which edges
 * lead where. Inside this folder only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/diag.h"
#include "core/graph/kind.h"
#include "core/spec/spec.h"

#define TREE_TOP  0
#define TREE_NONE UINT32_MAX

/* A spec in the tree: a node, or a block that holds others. */
struct tree_vertex {
    const struct sl_spec *spec;
    const struct sl_kind *kind;
    uint32_t parent; /* TREE_NONE for the top */
    uint32_t first;  /* children stand in a row */
    uint32_t count;
    uint32_t depth;
    char *path;              /* owned */
    struct sl_value scope;   /* Map of bound values, one count */
    struct sl_value secrets; /* List of the secrets behind it, one count, or cell == NULL */
    bool has_env;            /* names are bound to it, by itself or a block around it */
    uint32_t node;           /* number among the nodes; TREE_NONE for blocks */
};

/* Where packets of (vertex, port) go, inside the block that holds both. */
struct tree_edge {
    uint32_t source;
    uint32_t port;
    uint32_t target;
    uint32_t in;
};

/* A port of a block and the child's port behind it. */
struct tree_forward {
    uint32_t block;
    uint32_t block_port;
    uint32_t child;
    uint32_t child_port;
};

struct tree {
    const char *file;
    struct sl_diags *diags;
    struct tree_vertex *vertices;
    uint32_t vertices_count;
    uint32_t vertices_cap;
    uint32_t nodes_count;
    struct tree_edge *edges;
    uint32_t edges_count;
    uint32_t edges_cap;
    struct tree_forward *inbounds;
    uint32_t inbounds_count;
    uint32_t inbounds_cap;
    struct tree_forward *outbounds;
    uint32_t outbounds_count;
    uint32_t outbounds_cap;
};

/* A list of (vertex, port), grown as needed. */
struct tree_place {
    uint32_t vertex;
    uint32_t port;
};

struct tree_places {
    struct tree_place *items;
    uint32_t count;
    uint32_t cap;
};

/*
 * Lay out a spec with its children, resolve the edges between siblings.
 * returns  0; -EINVAL with errors in diags; -ENOMEM. tree_fini in every case
 */
int tree_init(struct tree *tree, const struct sl_spec *spec, struct sl_diags *diags);
void tree_fini(struct tree *tree);

/* The leaves that `in` of a vertex leads to. Appends to `ret`. 0 or -ENOMEM. */
int tree_resolve_in(const struct tree *tree, uint32_t vertex, uint32_t in, struct tree_places *ret);

/*
 * The (vertex, port) pairs whose edges carry what leaves `port` of a leaf: its own, and those of the
 * blocks whose `outbounds` name it, up to the top. Appends to `ret`. 0 or -ENOMEM.
 */
int tree_resolve_out(const struct tree *tree, uint32_t vertex, uint32_t port,
                     struct tree_places *ret);
