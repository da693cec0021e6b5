/* SPDX-License-Identifier: MIT */
#include "nodes/net/route.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/assertion.h"

struct route_node {
    struct sl_slice text;         /* segment; of text children only */
    struct route_node **children; /* array of children_count, text children in order */
    uint32_t children_count;
    struct route_node *param;
    struct route_node *rest;
    struct sl_route_leaf *leaf;
};

struct sl_routes {
    struct route_node *root;
    struct sl_route_leaf **leaves; /* array of leaves_count */
    uint32_t leaves_count;
};

struct sl_routes *sl_routes_new(void)
{
    struct sl_routes *routes = calloc(1, sizeof(*routes));
    if (routes == NULL) return NULL;
    routes->root = calloc(1, sizeof(*routes->root));
    if (routes->root == NULL) {
        free(routes);
        return NULL;
    }
    return routes;
}

/* Depth is bounded by SL_ROUTE_SEGMENTS_MAX. */
static void node_free(struct route_node *node)
{
    if (node == NULL) return;
    for (uint32_t i = 0; i < node->children_count; i++) node_free(node->children[i]);
    node_free(node->param);
    node_free(node->rest);
    free(node->children);
    free(node);
}

struct sl_routes *sl_routes_free(struct sl_routes *routes)
{
    if (routes == NULL) return NULL;
    for (uint32_t i = 0; i < routes->leaves_count; i++) {
        struct sl_route_leaf *leaf = routes->leaves[i];
        for (uint32_t m = 0; m < leaf->methods_count; m++) {
            free((struct sl_slice *)(uintptr_t)leaf->methods[m].names);
        }
        free(leaf->methods);
        free(leaf);
    }
    free(routes->leaves);
    node_free(routes->root);
    free(routes);
    return NULL;
}

/* The next segment of a path after its slash; `*at` moves behind it. */
static struct sl_slice segment_next(struct sl_slice path, size_t *at)
{
    size_t begin = *at + 1;
    const uint8_t *slash =
        begin < path.size ? memchr(path.data + begin, '/', path.size - begin) : NULL;
    size_t end = slash != NULL ? (size_t)(slash - path.data) : path.size;
    *at = end;
    return sl_slice_make(path.data + begin, end - begin);
}

/* Binary search; returns the place where the text is or belongs. */
static uint32_t child_place(const struct route_node *node, struct sl_slice text, bool *ret_found)
{
    uint32_t low = 0;
    uint32_t high = node->children_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = sl_slice_compare(node->children[middle]->text, text);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_found = false;
    return low;
}

static struct route_node *child_add(struct route_node *node, struct sl_slice text)
{
    bool found;
    uint32_t place = child_place(node, text, &found);
    if (found) return node->children[place];
    struct route_node **children =
        realloc(node->children, (node->children_count + 1U) * sizeof(*children));
    if (children == NULL) return NULL;
    node->children = children;
    struct route_node *child = calloc(1, sizeof(*child));
    if (child == NULL) return NULL;
    child->text = text;
    memmove(&children[place + 1], &children[place],
            (node->children_count - place) * sizeof(*children));
    children[place] = child;
    node->children_count++;
    return child;
}

static struct route_node *slot_get(struct route_node **slot)
{
    if (*slot == NULL) *slot = calloc(1, sizeof(**slot));
    return *slot;
}

/* Walk the tree along a pattern, adding what is missing; gathers the parameter names. */
static int pattern_walk(struct sl_routes *routes, struct sl_slice path,
                        struct sl_slice names[SL_ROUTE_PARAMS_MAX], uint32_t *ret_names_count,
                        struct route_node **ret_node)
{
    struct route_node *node = routes->root;
    uint32_t names_count = 0;
    uint32_t segments = 0;
    for (size_t at = 0; at < path.size;) {
        struct sl_slice segment = segment_next(path, &at);
        bool is_param = segment.size > 0 && segment.data[0] == ':';
        bool is_rest = segment.size > 0 && segment.data[0] == '*';
        if (++segments > SL_ROUTE_SEGMENTS_MAX) return -E2BIG;
        if ((is_param || is_rest) && names_count == SL_ROUTE_PARAMS_MAX) return -E2BIG;
        if (is_param) {
            if (segment.size == 1) return -EINVAL;
            names[names_count++] = sl_slice_make(segment.data + 1, segment.size - 1);
            node = slot_get(&node->param);
        } else if (is_rest) {
            if (segment.size != 1 || at != path.size) return -EINVAL;
            names[names_count++] = segment;
            node = slot_get(&node->rest);
        } else {
            bool escaped = segment.size > 1 && segment.data[0] == '\\' &&
                           (segment.data[1] == ':' || segment.data[1] == '*');
            node = child_add(node, sl_slice_make(segment.data + escaped, segment.size - escaped));
        }
        if (node == NULL) return -ENOMEM;
    }
    *ret_names_count = names_count;
    *ret_node = node;
    return 0;
}

static struct sl_route_leaf *leaf_get(struct sl_routes *routes, struct route_node *node)
{
    if (node->leaf != NULL) return node->leaf;
    struct sl_route_leaf **leaves =
        realloc(routes->leaves, (routes->leaves_count + 1U) * sizeof(*leaves));
    if (leaves == NULL) return NULL;
    routes->leaves = leaves;
    node->leaf = calloc(1, sizeof(*node->leaf));
    if (node->leaf == NULL) return NULL;
    node->leaf->number = routes->leaves_count;
    leaves[routes->leaves_count++] = node->leaf;
    return node->leaf;
}

int sl_routes_add(struct sl_routes *routes, struct sl_slice method, struct sl_slice path,
                  uint32_t port)
{
    sl_assert(routes != NULL);
    if (path.size == 0 || path.data[0] != '/') return -EINVAL;
    struct sl_slice names[SL_ROUTE_PARAMS_MAX];
    uint32_t names_count;
    struct route_node *node;
    int r = pattern_walk(routes, path, names, &names_count, &node);
    if (r < 0) return r;
    struct sl_route_leaf *leaf = leaf_get(routes, node);
    if (leaf == NULL) return -ENOMEM;
    for (uint32_t i = 0; i < leaf->methods_count; i++) {
        if (sl_slice_eq(leaf->methods[i].method, method)) return -EEXIST;
    }
    struct sl_route_method *methods =
        realloc(leaf->methods, (leaf->methods_count + 1U) * sizeof(*methods));
    if (methods == NULL) return -ENOMEM;
    leaf->methods = methods;
    struct sl_slice *copy = calloc(names_count + 1U, sizeof(*copy));
    if (copy == NULL) return -ENOMEM;
    if (names_count > 0) memcpy(copy, names, names_count * sizeof(*copy));
    methods[leaf->methods_count++] = (struct sl_route_method){method, port, names_count, copy};
    return 0;
}

/* One place to come back to: the same path position with the next best kind of segment. */
struct route_choice {
    const struct route_node *node;
    size_t at;
    uint32_t values_count;
    uint8_t next; /* 1: parameter, 2: rest */
};

bool sl_routes_find(const struct sl_routes *routes, struct sl_slice path,
                    struct sl_route_match *ret_match)
{
    struct route_choice choices[SL_ROUTE_SEGMENTS_MAX + 1];
    uint32_t choices_count = 0;
    const struct route_node *node = routes->root;
    size_t at = 0;
    uint32_t values = 0;
    uint8_t kind = 0;
    if (path.size == 0 || path.data[0] != '/') return false;
    for (;;) {
        const struct route_node *next = NULL;
        if (at >= path.size) {
            if (node->leaf != NULL) {
                ret_match->leaf = node->leaf;
                ret_match->values_count = values;
                return true;
            }
        } else {
            size_t end = at;
            struct sl_slice segment = segment_next(path, &end);
            bool found = false;
            uint32_t place = kind == 0 ? child_place(node, segment, &found) : 0;
            if (found) {
                next = node->children[place];
                if (node->param != NULL || node->rest != NULL) {
                    choices[choices_count++] = (struct route_choice){node, at, values, 1};
                }
                at = end;
            } else if (kind <= 1 && node->param != NULL && segment.size > 0) {
                next = node->param;
                if (node->rest != NULL) {
                    choices[choices_count++] = (struct route_choice){node, at, values, 2};
                }
                ret_match->values[values++] = segment;
                at = end;
            } else if (node->rest != NULL) {
                next = node->rest;
                ret_match->values[values++] = sl_slice_make(path.data + at + 1, path.size - at - 1);
                at = path.size;
            }
        }
        kind = 0;
        if (next == NULL) {
            if (choices_count == 0) return false;
            struct route_choice choice = choices[--choices_count];
            node = choice.node;
            at = choice.at;
            values = choice.values_count;
            kind = choice.next;
        } else {
            node = next;
        }
    }
}

const struct sl_route_method *sl_route_method_find(const struct sl_route_leaf *leaf,
                                                   struct sl_slice method)
{
    for (uint32_t i = 0; i < leaf->methods_count; i++) {
        if (sl_slice_eq(leaf->methods[i].method, method)) return &leaf->methods[i];
    }
    if (sl_slice_eq(method, SL_SLICE("HEAD"))) return sl_route_method_find(leaf, SL_SLICE("GET"));
    return NULL;
}

uint32_t sl_routes_leaves_count(const struct sl_routes *routes)
{
    return routes->leaves_count;
}

const struct sl_route_leaf *sl_routes_leaf(const struct sl_routes *routes, uint32_t number)
{
    sl_assert(number < routes->leaves_count);
    return routes->leaves[number];
}

void sl_route_allow(const struct sl_route_leaf *leaf, char *buf, size_t buf_size)
{
    size_t used = 0;
    bool has_get = false;
    bool has_head = false;
    bool has_options = false;
    for (uint32_t i = 0; i < leaf->methods_count && used < buf_size; i++) {
        struct sl_slice method = leaf->methods[i].method;
        has_get |= sl_slice_eq(method, SL_SLICE("GET"));
        has_head |= sl_slice_eq(method, SL_SLICE("HEAD"));
        has_options |= sl_slice_eq(method, SL_SLICE("OPTIONS"));
        used += (size_t)snprintf(buf + used, buf_size - used, "%s%.*s", i ? ", " : "",
                                 SL_SLICE_FMT(method));
    }
    if (has_get && !has_head && used < buf_size) {
        used += (size_t)snprintf(buf + used, buf_size - used, ", HEAD");
    }
    if (!has_options && used < buf_size) (void)snprintf(buf + used, buf_size - used, ", OPTIONS");
}
