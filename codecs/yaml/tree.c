/* SPDX-License-Identifier: MIT */
/*
 * The tree of one document: nodes, keys that stand twice, merge keys, and the way to a value.
 */
#include "codecs/yaml/tree.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/assertion.h"
#include "core/base/hash.h"
#include "core/base/limit.h"

enum { KEY_SHOWN_MAX = 64 };

struct sl_diag *yaml_error(struct sl_diags *diags, const char *file, const char *code,
                           struct sl_pos pos, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct sl_diag *diag = sl_diags_add(diags, file, code, pos, fmt, args);
    va_end(args);
    return diag;
}

uint32_t yaml_tree_add(struct yaml_tree *tree, enum yaml_node_kind kind, struct sl_pos pos)
{
    if (tree->nodes_count == 0) tree->nodes_count = 1;
    if (tree->nodes_count >= tree->nodes_cap) {
        if (tree->nodes_cap > UINT32_MAX / 2) return 0;
        uint32_t cap = tree->nodes_cap ? tree->nodes_cap * 2 : 64;
        struct yaml_node *nodes = realloc(tree->nodes, cap * sizeof(*nodes));
        if (nodes == NULL) return 0;
        tree->nodes = nodes;
        tree->nodes_cap = cap;
    }
    uint32_t index = tree->nodes_count++;
    tree->nodes[index] = (struct yaml_node){.kind = (uint8_t)kind, .pos = pos};
    return index;
}

void yaml_tree_append(struct yaml_tree *tree, uint32_t parent, uint32_t child)
{
    struct yaml_node *node = &tree->nodes[parent];
    sl_assert(child != 0);
    sl_assert(node->kind == YAML_NODE_LIST || node->kind == YAML_NODE_MAP);
    if (node->last == 0) {
        node->first = child;
    } else {
        tree->nodes[node->last].next = child;
    }
    node->last = child;
    node->count++;
}

bool yaml_tree_text(struct yaml_tree *tree, struct sl_slice text, size_t *ret_off)
{
    sl_assert(ret_off != NULL);
    sl_assert(text.size == 0 || text.data != NULL);
    size_t need = tree->bytes_size + text.size;
    if (need > tree->bytes_cap || tree->bytes == NULL) {
        size_t cap = need * 2 + 256;
        uint8_t *bytes = realloc(tree->bytes, cap);
        if (bytes == NULL) return false;
        tree->bytes = bytes;
        tree->bytes_cap = cap;
    }
    if (text.size > 0) memcpy(tree->bytes + tree->bytes_size, text.data, text.size);
    *ret_off = tree->bytes_size;
    tree->bytes_size = need;
    return true;
}

void yaml_tree_reset(struct yaml_tree *tree)
{
    tree->nodes_count = 0;
    tree->merged_count = 0;
    tree->bytes_size = 0;
}

void yaml_tree_fini(struct yaml_tree *tree)
{
    free(tree->nodes);
    free(tree->bytes);
    *tree = (struct yaml_tree){0};
}

/* ------------------------------------------------------------------------------------------ */
/* Keys of a map                                                                                */

/* A set of keys: open addressing over node indices. */
struct key_set {
    uint32_t *slots; /* array of size, a power of two; 0: free */
    uint32_t size;
};

static bool key_set_init(struct key_set *set, uint32_t keys_max)
{
    uint32_t size = 16;
    while (size / 2 < keys_max && size < UINT32_C(1) << 30) size *= 2;
    set->slots = calloc(size, sizeof(*set->slots));
    set->size = size;
    return set->slots != NULL;
}

/* The key already there with the text of `key`, or 0 after `key` was put in. */
static uint32_t key_set_put(struct key_set *set, const struct yaml_tree *tree, uint32_t key)
{
    sl_assert(set->size > 0);
    sl_assert(key != 0);
    struct sl_slice text = yaml_node_text(tree, &tree->nodes[yaml_tree_follow(tree, key)]);
    uint32_t slot = (uint32_t)sl_hash64(text.data, text.size) & (set->size - 1);
    for (; set->slots[slot] != 0; slot = (slot + 1) & (set->size - 1)) {
        const struct yaml_node *other = &tree->nodes[yaml_tree_follow(tree, set->slots[slot])];
        if (sl_slice_eq(text, yaml_node_text(tree, other))) return set->slots[slot];
    }
    set->slots[slot] = key;
    return 0;
}

static bool is_map(const struct yaml_tree *tree, uint32_t index)
{
    return tree->nodes[yaml_tree_follow(tree, index)].kind == YAML_NODE_MAP;
}

/* A plain `<<` whose value is a map or a list of maps. */
static bool is_merge(const struct yaml_tree *tree, uint32_t key)
{
    sl_assert(key != 0);
    sl_assert(key < tree->nodes_count);
    const struct yaml_node *node = &tree->nodes[key];
    if (node->kind != YAML_NODE_SCALAR || node->style != SL_YAML_PLAIN) return false;
    if (node->tag != YAML_TAG_NONE || !sl_slice_eq_str(yaml_node_text(tree, node), "<<")) {
        return false;
    }
    if (is_map(tree, node->next)) return true;
    const struct yaml_node *value = &tree->nodes[yaml_tree_follow(tree, node->next)];
    if (value->kind != YAML_NODE_LIST || value->count == 0) return false;
    for (uint32_t item = value->first; item != 0; item = tree->nodes[item].next) {
        if (!is_map(tree, item)) return false;
    }
    return true;
}

/* Append the pairs of the map at `source` whose keys are not in `set`, as aliases. */
static int merge_map(struct yaml_tree *tree, uint32_t map, uint32_t source, struct key_set *set,
                     struct sl_pos pos)
{
    sl_assert(map < tree->nodes_count);
    sl_assert(source < tree->nodes_count);
    source = yaml_tree_follow(tree, source);
    for (uint32_t key = tree->nodes[source].first; key != 0;) {
        if (++tree->merged_count > SL_YAML_ALIAS_NODES_MAX) return -E2BIG;
        uint32_t value = tree->nodes[key].next;
        uint32_t next = tree->nodes[value].next;
        uint32_t key_alias = yaml_tree_add(tree, YAML_NODE_ALIAS, pos);
        uint32_t value_alias = yaml_tree_add(tree, YAML_NODE_ALIAS, pos);
        if (key_alias == 0 || value_alias == 0) return -ENOMEM;
        tree->nodes[key_alias].target = key;
        tree->nodes[value_alias].target = value;
        if (key_set_put(set, tree, key_alias) == 0) {
            yaml_tree_append(tree, map, key_alias);
            yaml_tree_append(tree, map, value_alias);
        }
        key = next;
    }
    return 0;
}

/* Keys that a merge may add: a bound for the set. */
static uint32_t merge_keys_max(const struct yaml_tree *tree, uint32_t value)
{
    const struct yaml_node *node = &tree->nodes[yaml_tree_follow(tree, value)];
    if (node->kind == YAML_NODE_MAP) return node->count / 2;
    uint64_t count = 0;
    for (uint32_t item = node->first; item != 0; item = tree->nodes[item].next) {
        count += tree->nodes[yaml_tree_follow(tree, item)].count / 2;
    }
    return count < SL_YAML_ALIAS_NODES_MAX ? (uint32_t)count : SL_YAML_ALIAS_NODES_MAX;
}

static int merge_value(struct yaml_tree *tree, uint32_t map, uint32_t value, struct key_set *set)
{
    struct sl_pos pos = tree->nodes[value].pos;
    uint32_t source = yaml_tree_follow(tree, value);
    if (tree->nodes[source].kind == YAML_NODE_MAP) return merge_map(tree, map, source, set, pos);
    int result = 0;
    for (uint32_t item = tree->nodes[source].first; item != 0 && result == 0;) {
        result = merge_map(tree, map, item, set, pos);
        item = tree->nodes[item].next;
    }
    return result;
}

static void report_twice(const struct yaml_tree *tree, uint32_t first, uint32_t second,
                         const char *file, struct sl_diags *diags)
{
    sl_assert(first != 0);
    sl_assert(second != 0);
    struct sl_slice text = yaml_node_text(tree, &tree->nodes[yaml_tree_follow(tree, second)]);
    if (text.size > KEY_SHOWN_MAX) text.size = KEY_SHOWN_MAX;
    struct sl_pos before = tree->nodes[first].pos;
    struct sl_diag *diag =
        yaml_error(diags, file, "duplicate_key", tree->nodes[second].pos,
                   "key \"%.*s\" stands twice in this map, first at line %u, column %u",
                   SL_SLICE_FMT(text), before.line, before.column);
    sl_diag_hint(diag, "remove one of the two");
}

/* Unlink the pair behind `before` (0: the first pair) from `map`; returns its value. */
static uint32_t pair_unlink(struct yaml_tree *tree, uint32_t map, uint32_t before, uint32_t key)
{
    sl_assert(tree->nodes[map].count >= 2);
    sl_assert(key != 0);
    struct yaml_node *node = &tree->nodes[map];
    uint32_t value = tree->nodes[key].next;
    uint32_t after = tree->nodes[value].next;
    if (before == 0) {
        node->first = after;
    } else {
        tree->nodes[before].next = after;
    }
    if (after == 0) node->last = before;
    tree->nodes[value].next = 0;
    node->count -= 2;
    return value;
}

/*
 * Take the merge key out of `map`; a second one is a mistake and stays.
 * returns  the value to merge, 0: none
 */
static uint32_t merge_take(struct yaml_tree *tree, uint32_t map, const char *file,
                           struct sl_diags *diags)
{
    uint32_t merge_key = 0;
    uint32_t merge = 0;
    uint32_t before = 0;
    for (uint32_t key = tree->nodes[map].first; key != 0;) {
        uint32_t value = tree->nodes[key].next;
        uint32_t next = tree->nodes[value].next;
        bool found = is_merge(tree, key);
        if (found && merge_key != 0) report_twice(tree, merge_key, key, file, diags);
        if (found && merge_key == 0) {
            merge_key = key;
            merge = pair_unlink(tree, map, before, key);
        } else {
            before = value;
        }
        key = next;
    }
    return merge;
}

int yaml_map_end(struct yaml_tree *tree, uint32_t map, const char *file, struct sl_diags *diags)
{
    sl_assert(tree->nodes[map].kind == YAML_NODE_MAP);
    sl_assert(tree->nodes[map].count % 2 == 0);
    uint32_t merge = merge_take(tree, map, file, diags);
    uint32_t keys_max = tree->nodes[map].count / 2;
    if (merge != 0) keys_max += merge_keys_max(tree, merge);

    struct key_set set;
    if (!key_set_init(&set, keys_max)) return -ENOMEM;
    for (uint32_t key = tree->nodes[map].first; key != 0;) {
        uint32_t first = key_set_put(&set, tree, key);
        if (first != 0) report_twice(tree, first, key, file, diags);
        key = tree->nodes[tree->nodes[key].next].next;
    }
    int result = merge != 0 ? merge_value(tree, map, merge, &set) : 0;
    free(set.slots);
    if (result == -E2BIG) {
        (void)yaml_error(diags, file, "yaml_alias_limit", tree->nodes[map].pos,
                         "merge keys of this document add more than %d keys",
                         SL_YAML_ALIAS_NODES_MAX);
        return 0;
    }
    return result;
}
