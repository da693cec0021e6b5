/* SPDX-License-Identifier: MIT */
#include "ctl/loader/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"

/* Make room for one more item of a growing array. */
static int grow(void **items, uint32_t count, uint32_t *cap, size_t item_size)
{
    if (count < *cap) return 0;
    uint32_t more = *cap == 0 ? 16 : *cap * 2;
    void *moved = realloc(*items, more * item_size);
    if (moved == NULL) return -ENOMEM;
    *items = moved;
    *cap = more;
    return 0;
}

static int place_add(struct tree_places *places, uint32_t vertex, uint32_t port)
{
    int r = grow((void **)&places->items, places->count, &places->cap, sizeof(*places->items));
    if (r < 0) return r;
    places->items[places->count++] = (struct tree_place){vertex, port};
    return 0;
}

static int forward_add(struct tree_forward **items, uint32_t *count, uint32_t *cap,
                       struct tree_forward forward)
{
    int r = grow((void **)items, *count, cap, sizeof(**items));
    if (r < 0) return r;
    (*items)[(*count)++] = forward;
    return 0;
}

static int edge_add(struct tree *tree, struct tree_edge edge)
{
    int r = grow((void **)&tree->edges, tree->edges_count, &tree->edges_cap, sizeof(edge));
    if (r < 0) return r;
    tree->edges[tree->edges_count++] = edge;
    return 0;
}

/* ---- vertices ------------------------------------------------------------------------------ */

static const struct sl_kind *kind_of(struct sl_slice name)
{
    char text[SL_SPEC_NAME_MAX + 1];
    if (name.size == 0 || name.size > SL_SPEC_NAME_MAX) return NULL;
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    return sl_kind_get(text);
}

/*
 * Report it. Returns the kind that was probably meant, or NULL: by it the rest of the spec is
 * checked, so that all its mistakes are told at once.
 */
static const struct sl_kind *kind_unknown(struct tree *tree, const struct sl_spec *spec)
{
    const char *names[SL_KINDS_MAX];
    size_t count;
    const struct sl_kind *const *kinds = sl_kinds_get(&count);
    for (size_t i = 0; i < count; i++) names[i] = kinds[i]->name;
    struct sl_value at = sl_value_get_str(spec->value, "kind");
    struct sl_diag *diag = sl_spec_error(tree->file, tree->diags, "unknown_kind", sl_value_pos(at),
                                         "unknown kind \"%.*s\"", SL_SLICE_FMT(spec->kind));
    sl_spec_hint_nearest(diag, spec->kind, names, count);
    char text[SL_SPEC_NAME_MAX + 1];
    (void)snprintf(text, sizeof(text), "%.*s", SL_SLICE_FMT(spec->kind));
    const char *nearest = sl_diag_nearest(text, names, count);
    return nearest != NULL ? sl_kind_get(nearest) : NULL;
}

/* "parent/name", or "parent/kind[2]" for the third child if that has no name. */
static char *path_make(const struct tree *tree, const struct sl_spec *spec, uint32_t parent,
                       uint32_t position)
{
    char *path = NULL;
    const char *before = parent == TREE_NONE ? "" : tree->vertices[parent].path;
    const char *slash = parent == TREE_NONE ? "" : "/";
    int r;
    if (spec->name.size > 0) {
        r = asprintf(&path, "%s%s%.*s", before, slash, SL_SLICE_FMT(spec->name));
    } else if (parent == TREE_NONE) {
        r = asprintf(&path, "%.*s", SL_SLICE_FMT(spec->id.size > 0 ? spec->id : spec->kind));
    } else {
        r = asprintf(&path, "%s/%.*s[%u]", before, SL_SLICE_FMT(spec->kind), position);
    }
    return r < 0 ? NULL : path;
}

static int vertex_add(struct tree *tree, const struct sl_spec *spec, uint32_t parent,
                      uint32_t position)
{
    if (tree->vertices_count >= SL_SPEC_NODES_MAX) {
        (void)sl_spec_error(tree->file, tree->diags, "too_many", spec->pos,
                            "more than %d nodes in one block", SL_SPEC_NODES_MAX);
        return -EINVAL;
    }
    int r = grow((void **)&tree->vertices, tree->vertices_count, &tree->vertices_cap,
                 sizeof(*tree->vertices));
    if (r < 0) return r;
    struct tree_vertex vertex = {.spec = spec, .parent = parent, .node = TREE_NONE};
    vertex.kind = kind_of(spec->kind);
    bool unknown = vertex.kind == NULL;
    /* Without a kind: that is told already. */
    if (unknown && spec->kind.size > 0) vertex.kind = kind_unknown(tree, spec);
    vertex.has_env = spec->env_count > 0 || (parent != TREE_NONE && tree->vertices[parent].has_env);
    vertex.depth = parent == TREE_NONE ? 0 : tree->vertices[parent].depth + 1;
    vertex.path = path_make(tree, spec, parent, position);
    if (vertex.path == NULL) return -ENOMEM;
    if (vertex.kind != NULL && !(vertex.kind->flags & SL_KIND_CONTAINER)) {
        vertex.node = tree->nodes_count++;
    }
    tree->vertices[tree->vertices_count++] = vertex;
    return unknown ? -EINVAL : 0;
}

static bool is_block(const struct tree_vertex *vertex)
{
    return vertex->kind != NULL && (vertex->kind->flags & SL_KIND_CONTAINER);
}

/* `specs` with something in it, of which nothing is left: that was told when it was decoded. */
static bool specs_are_told(const struct sl_spec *spec)
{
    struct sl_value specs = sl_value_get_str(spec->value, "specs");
    if (sl_value_is_none(specs) || sl_value_is(specs, SL_VALUE_NULL)) return false;
    return !sl_value_is(specs, SL_VALUE_LIST) || sl_value_count(specs) > 0;
}

/* Breadth first, so the children of a block stand in a row. */
static int vertices_lay(struct tree *tree, const struct sl_spec *spec)
{
    int result = vertex_add(tree, spec, TREE_NONE, 0);
    if (result == -ENOMEM) return result;
    for (uint32_t v = 0; v < tree->vertices_count; v++) {
        const struct sl_spec *own = tree->vertices[v].spec;
        if (!is_block(&tree->vertices[v])) continue;
        if (own->children_count == 0 && !specs_are_told(own)) {
            (void)sl_spec_error(tree->file, tree->diags, "empty_block", own->pos,
                                "a block needs at least one spec in \"specs\"");
            result = -EINVAL;
        }
        tree->vertices[v].first = tree->vertices_count;
        tree->vertices[v].count = own->children_count;
        for (uint32_t i = 0; i < own->children_count; i++) {
            int r = vertex_add(tree, own->children[i], v, i);
            if (r == -ENOMEM) return r;
            if (r < 0) result = r;
        }
    }
    return result;
}

/* ---- edges --------------------------------------------------------------------------------- */

/* A child of a block by name or id; TREE_NONE if there is none. */
static uint32_t child_find(const struct tree *tree, uint32_t block, struct sl_slice name,
                           struct sl_slice id)
{
    const struct tree_vertex *parent = &tree->vertices[block];
    for (uint32_t i = parent->first; i < parent->first + parent->count; i++) {
        const struct sl_spec *spec = tree->vertices[i].spec;
        bool same = id.size > 0 ? sl_slice_eq(spec->id, id)
                                : spec->name.size > 0 && sl_slice_eq(spec->name, name);
        if (same) return i;
    }
    return TREE_NONE;
}

static void child_missing(struct tree *tree, uint32_t block, struct sl_slice name,
                          struct sl_pos pos)
{
    const struct tree_vertex *parent = &tree->vertices[block];
    const char *names[64];
    char texts[64][SL_SPEC_NAME_MAX + 1];
    size_t count = 0;
    for (uint32_t i = 0; i < parent->count && count < 64; i++) {
        const struct sl_spec *spec = tree->vertices[parent->first + i].spec;
        if (spec->name.size == 0) continue;
        (void)snprintf(texts[count], sizeof(texts[0]), "%.*s", SL_SLICE_FMT(spec->name));
        names[count] = texts[count];
        count++;
    }
    struct sl_diag *diag =
        sl_spec_error(tree->file, tree->diags, "dangling_edge", pos,
                      "block \"%s\" has no child \"%.*s\"", parent->path, SL_SLICE_FMT(name));
    sl_spec_hint_nearest(diag, name, names, count);
}

static uint32_t port_number(enum sl_port_kind kind, uint32_t index)
{
    return kind == SL_PORT_KIND_ERROR ? SL_PORT_ERROR : index;
}

/* Is the port one that the kind has? Blocks have what their bounds say. */
static bool out_exists(const struct tree_vertex *vertex, const struct sl_spec_port *port)
{
    if (port->kind == SL_PORT_KIND_ERROR) return true;
    if (port->kind != SL_PORT_KIND_OUT) return false;
    return vertex->kind == NULL || port->index < vertex->kind->outs_max;
}

/* The edges that a child of a graph block names itself. */
static int child_edges(struct tree *tree, uint32_t block, uint32_t child)
{
    const struct sl_spec *spec = tree->vertices[child].spec;
    int result = 0;
    for (uint32_t p = 0; p < spec->ports_count; p++) {
        const struct sl_spec_port *port = &spec->ports[p];
        for (uint32_t e = 0; e < port->edges_count; e++) {
            const struct sl_spec_edge *edge = &port->edges[e];
            uint32_t target = child_find(tree, block, edge->name, edge->id);
            if (target == TREE_NONE) {
                child_missing(tree, block, edge->id.size > 0 ? edge->id : edge->name,
                              edge->node_pos);
                result = -EINVAL;
                continue;
            }
            int r = edge_add(tree, (struct tree_edge){child, port_number(port->kind, port->index),
                                                      target, edge->port_index});
            if (r < 0) return r;
        }
    }
    return result;
}

/* One {name, port} of `inbounds` or `outbounds`. */
static int bound_add(struct tree *tree, uint32_t block, uint32_t number, struct sl_value value,
                     bool inbound)
{
    struct sl_value name = sl_value_none();
    struct sl_value id = sl_value_none();
    struct sl_value port = sl_value_none();
    if (sl_value_is(value, SL_VALUE_MAP)) {
        name = sl_value_get_str(value, "name");
        id = sl_value_get_str(value, "id");
        port = sl_value_get_str(value, "port");
    }
    if (!sl_value_is(port, SL_VALUE_STRING) ||
        !(sl_value_is(name, SL_VALUE_STRING) || sl_value_is(id, SL_VALUE_STRING))) {
        (void)sl_spec_error(tree->file, tree->diags, "wrong_type", sl_value_pos(value),
                            "expected {name, port} of a child");
        return -EINVAL;
    }
    struct sl_slice name_text =
        sl_value_is(name, SL_VALUE_STRING) ? sl_value_slice(name) : SL_SLICE("");
    struct sl_slice id_text = sl_value_is(id, SL_VALUE_STRING) ? sl_value_slice(id) : SL_SLICE("");
    uint32_t child = child_find(tree, block, name_text, id_text);
    if (child == TREE_NONE) {
        child_missing(tree, block, id_text.size > 0 ? id_text : name_text,
                      sl_value_pos(id_text.size > 0 ? id : name));
        return -EINVAL;
    }
    uint32_t child_port;
    int r = inbound ? sl_port_parse_in(sl_value_slice(port), &child_port)
                    : sl_port_parse_out(sl_value_slice(port), &child_port);
    if (r < 0) {
        (void)sl_spec_error(tree->file, tree->diags, "bad_port", sl_value_pos(port),
                            "\"%.*s\" is not an %s port", SL_SLICE_FMT(sl_value_slice(port)),
                            inbound ? "in" : "out");
        return -EINVAL;
    }
    struct tree_forward forward = {block, number, child, child_port};
    return inbound
               ? forward_add(&tree->inbounds, &tree->inbounds_count, &tree->inbounds_cap, forward)
               : forward_add(&tree->outbounds, &tree->outbounds_count, &tree->outbounds_cap,
                             forward);
}

/* `inbounds` or `outbounds`: port of the block → one {name, port} or a list. */
static int bounds_decode(struct tree *tree, uint32_t block, struct sl_value bounds, bool inbound)
{
    const char *field = inbound ? "inbounds" : "outbounds";
    if (sl_value_is_none(bounds) || sl_value_is(bounds, SL_VALUE_NULL)) return 0;
    if (!sl_value_is(bounds, SL_VALUE_MAP)) {
        (void)sl_spec_error(tree->file, tree->diags, "wrong_type", sl_value_pos(bounds),
                            "\"%s\" must be a map of ports, not %s", field,
                            sl_spec_kind_text(bounds));
        return -EINVAL;
    }
    int result = 0;
    for (uint32_t i = 0; i < sl_value_count(bounds); i++) {
        struct sl_slice name = sl_value_key_at(bounds, i);
        struct sl_value list = sl_value_map_at(bounds, i);
        uint32_t number;
        int r = inbound ? sl_port_parse_in(name, &number) : sl_port_parse_out(name, &number);
        if (r < 0) {
            (void)sl_spec_error(tree->file, tree->diags, "bad_port", sl_value_key_pos(bounds, i),
                                "\"%.*s\" is not a port name for \"%s\"", SL_SLICE_FMT(name),
                                field);
            result = -EINVAL;
            continue;
        }
        uint32_t count = sl_value_is(list, SL_VALUE_LIST) ? sl_value_count(list) : 1;
        for (uint32_t n = 0; n < count; n++) {
            struct sl_value one =
                sl_value_is(list, SL_VALUE_LIST) ? sl_value_list_at(list, n) : list;
            r = bound_add(tree, block, number, one, inbound);
            if (r == -ENOMEM) return r;
            if (r < 0) result = r;
        }
    }
    return result;
}

/* A chain: each child leads to the next; every error is the block's. */
static int chain_link(struct tree *tree, uint32_t block)
{
    const struct tree_vertex *own = &tree->vertices[block];
    int result = 0;
    for (uint32_t i = 0; i < own->count; i++) {
        uint32_t child = own->first + i;
        const struct sl_spec *spec = tree->vertices[child].spec;
        if (spec->ports_count > 0) {
            struct sl_diag *diag =
                sl_spec_error(tree->file, tree->diags, "ports_in_chain", spec->ports[0].pos,
                              "a node of a chain cannot name its own ports");
            sl_diag_hint(diag, "give the block \"inbounds\" and \"outbounds\" to draw a graph");
            result = -EINVAL;
        }
        int r = i + 1 < own->count
                    ? edge_add(tree, (struct tree_edge){child, 0, child + 1, 0})
                    : forward_add(&tree->outbounds, &tree->outbounds_count, &tree->outbounds_cap,
                                  (struct tree_forward){block, 0, child, 0});
        if (r < 0) return r;
        r = forward_add(&tree->outbounds, &tree->outbounds_count, &tree->outbounds_cap,
                        (struct tree_forward){block, SL_PORT_ERROR, child, SL_PORT_ERROR});
        if (r < 0) return r;
    }
    if (own->count == 0) return result;
    int r = forward_add(&tree->inbounds, &tree->inbounds_count, &tree->inbounds_cap,
                        (struct tree_forward){block, 0, own->first, 0});
    return r < 0 ? r : result;
}

static int block_link(struct tree *tree, uint32_t block)
{
    const struct tree_vertex *own = &tree->vertices[block];
    struct sl_value inbounds = sl_value_get_str(own->spec->value, "inbounds");
    struct sl_value outbounds = sl_value_get_str(own->spec->value, "outbounds");
    if (sl_value_is_none(inbounds) && sl_value_is_none(outbounds)) return chain_link(tree, block);
    int result = bounds_decode(tree, block, inbounds, true);
    if (result == -ENOMEM) return result;
    int r = bounds_decode(tree, block, outbounds, false);
    if (r < 0) result = r;
    for (uint32_t i = 0; i < tree->vertices[block].count && r != -ENOMEM; i++) {
        r = child_edges(tree, block, tree->vertices[block].first + i);
        if (r < 0) result = r;
    }
    return result;
}

/* Each `out` that is written must be one that the kind has. */
static int ports_check(struct tree *tree)
{
    int result = 0;
    for (uint32_t v = 0; v < tree->vertices_count; v++) {
        const struct tree_vertex *vertex = &tree->vertices[v];
        for (uint32_t p = 0; p < vertex->spec->ports_count; p++) {
            const struct sl_spec_port *port = &vertex->spec->ports[p];
            if (out_exists(vertex, port)) continue;
            struct sl_diag *diag =
                sl_spec_error(tree->file, tree->diags, "unknown_port", port->pos,
                              "kind \"%.*s\" has no port \"%.*s\"",
                              SL_SLICE_FMT(vertex->spec->kind), SL_SLICE_FMT(port->name));
            sl_diag_hint(diag, vertex->kind != NULL && vertex->kind->outs_max > 1
                                   ? "ports: out[0], out[1] …, error"
                                   : "ports: out, error");
            result = -EINVAL;
        }
    }
    return result;
}

int tree_init(struct tree *tree, const struct sl_spec *spec, struct sl_diags *diags)
{
    *tree = (struct tree){.file = spec->file, .diags = diags};
    int result = vertices_lay(tree, spec);
    if (result == -ENOMEM) return result;
    int r = ports_check(tree);
    if (r < 0) result = r;
    for (uint32_t v = 0; v < tree->vertices_count; v++) {
        if (!is_block(&tree->vertices[v])) continue;
        r = block_link(tree, v);
        if (r == -ENOMEM) return r;
        if (r < 0) result = r;
    }
    return result;
}

void tree_fini(struct tree *tree)
{
    for (uint32_t v = 0; v < tree->vertices_count; v++) {
        free(tree->vertices[v].path);
        sl_value_unref(tree->vertices[v].scope);
        sl_value_unref(tree->vertices[v].secrets);
    }
    free(tree->vertices);
    free(tree->edges);
    free(tree->inbounds);
    free(tree->outbounds);
    *tree = (struct tree){0};
}

int tree_resolve_in(const struct tree *tree, uint32_t vertex, uint32_t in, struct tree_places *ret)
{
    struct tree_places open = {0};
    int r = place_add(&open, vertex, in);
    /* Depth is bounded by SL_SPEC_BLOCK_DEPTH_MAX: an inbound leads one level down. */
    for (uint32_t at = 0; r == 0 && at < open.count; at++) {
        struct tree_place place = open.items[at];
        if (!is_block(&tree->vertices[place.vertex])) {
            r = place_add(ret, place.vertex, place.port);
            continue;
        }
        for (uint32_t i = 0; r == 0 && i < tree->inbounds_count; i++) {
            const struct tree_forward *forward = &tree->inbounds[i];
            if (forward->block != place.vertex || forward->block_port != place.port) continue;
            r = place_add(&open, forward->child, forward->child_port);
        }
    }
    free(open.items);
    return r;
}

int tree_resolve_out(const struct tree *tree, uint32_t vertex, uint32_t port,
                     struct tree_places *ret)
{
    uint32_t at = ret->count;
    int r = place_add(ret, vertex, port);
    /* An outbound leads one level up. */
    for (; r == 0 && at < ret->count; at++) {
        struct tree_place place = ret->items[at];
        for (uint32_t i = 0; r == 0 && i < tree->outbounds_count; i++) {
            const struct tree_forward *forward = &tree->outbounds[i];
            if (forward->child != place.vertex || forward->child_port != place.port) continue;
            r = place_add(ret, forward->block, forward->block_port);
        }
    }
    return r;
}
