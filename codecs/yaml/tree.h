/* SPDX-License-Identifier: MIT */
/*
 * The tree between libyaml's events and the payload: inside this folder only.
 *
 * Nodes of one document stand in one array and name each other by index; index 0 is "none". A map
 * has its keys and values in turn among its children. Merge keys are resolved when their map
 * ends, into alias nodes, so an alias always points to a node that is complete: there are no
 * cycles, and what is left to bound is how far aliases multiply.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/yaml/yaml.h"
#include "core/base/diag.h"
#include "core/base/slice.h"

enum yaml_node_kind { YAML_NODE_SCALAR, YAML_NODE_LIST, YAML_NODE_MAP, YAML_NODE_ALIAS };

enum yaml_tag {
    YAML_TAG_NONE,
    YAML_TAG_STR, /* !!str and the non-specific "!" */
    YAML_TAG_NULL,
    YAML_TAG_BOOL,
    YAML_TAG_INT,
    YAML_TAG_FLOAT,
    YAML_TAG_BINARY,
    YAML_TAG_MAP,
    YAML_TAG_SEQ,
    YAML_TAG_OTHER,
};

struct yaml_node {
    uint8_t kind;    /* enum yaml_node_kind */
    uint8_t style;   /* enum sl_yaml_style, of a scalar */
    uint8_t tag;     /* enum yaml_tag */
    bool open;       /* its end has not been read */
    uint32_t next;   /* sibling, 0: last */
    uint32_t first;  /* child, 0: none */
    uint32_t last;   /* child */
    uint32_t count;  /* children */
    uint32_t target; /* of an alias */
    struct sl_pos pos;
    size_t text_off; /* of a scalar, in the tree's bytes */
    size_t text_size;
};

struct yaml_tree {
    struct yaml_node *nodes; /* array of nodes_cap; nodes[0] is unused */
    uint32_t nodes_count;
    uint32_t nodes_cap;
    uint32_t merged_count; /* pairs looked at by merge keys */
    uint8_t *bytes;        /* array of bytes_cap */
    size_t bytes_size;
    size_t bytes_cap;
};

/* What the core schema makes of a plain scalar. */
enum yaml_plain {
    YAML_PLAIN_STR,
    YAML_PLAIN_NULL,
    YAML_PLAIN_BOOL,
    YAML_PLAIN_INT,
    YAML_PLAIN_FLOAT
};

struct yaml_scalar {
    enum yaml_plain kind;
    bool negative;   /* YAML_PLAIN_INT: `number` is the magnitude */
    uint64_t number; /* YAML_PLAIN_BOOL: 0 or 1 */
    double real;     /* YAML_PLAIN_FLOAT */
};

/* Read `text` by the core schema. */
struct yaml_scalar yaml_scalar_read(struct sl_slice text);

/* Append a node; its index, or 0 for no memory. */
uint32_t yaml_tree_add(struct yaml_tree *tree, enum yaml_node_kind kind, struct sl_pos pos);
void yaml_tree_append(struct yaml_tree *tree, uint32_t parent, uint32_t child);
/* Copy bytes into the tree; false for no memory. */
bool yaml_tree_text(struct yaml_tree *tree, struct sl_slice text, size_t *ret_off);
void yaml_tree_reset(struct yaml_tree *tree);
void yaml_tree_fini(struct yaml_tree *tree);

/* The node behind aliases. */
static inline uint32_t yaml_tree_follow(const struct yaml_tree *tree, uint32_t index)
{
    while (tree->nodes[index].kind == YAML_NODE_ALIAS) index = tree->nodes[index].target;
    return index;
}

static inline struct sl_slice yaml_node_text(const struct yaml_tree *tree,
                                             const struct yaml_node *node)
{
    return sl_slice_make(tree->bytes + node->text_off, node->text_size);
}

/*
 * Refuse keys that stand twice and expand merge keys of a map whose end was just read. Mistakes
 * go to `diags`. 0 or -ENOMEM.
 */
int yaml_map_end(struct yaml_tree *tree, uint32_t map, const char *file, struct sl_diags *diags);

/*
 * Build the value of the tree's node `root`.
 * returns  0; -EINVAL with errors in diags; -ENOMEM
 */
int yaml_tree_build(const struct yaml_tree *tree, uint32_t root, struct sl_mem *mem,
                    const char *file, struct sl_value *ret_value, struct sl_diags *diags);

/* Push an error at `pos`; returns the stored diagnostic for a hint, or NULL. */
struct sl_diag *yaml_error(struct sl_diags *diags, const char *file, const char *code,
                           struct sl_pos pos, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
