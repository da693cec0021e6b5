/* SPDX-License-Identifier: MIT */
/*
 * From the tree of a document to its value: scalars by schema and tag, aliases expanded by value.
 * The walk has its own stack, as deep as a payload may be.
 */
#include <errno.h>
#include <stdlib.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/yaml/tree.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"

struct build_frame {
    uint32_t next; /* child to build, 0: none left */
    bool map;
    bool key;      /* the next child is a key */
    bool expanded; /* inside an alias */
};

struct build {
    const struct yaml_tree *tree;
    struct sl_builder builder;
    struct build_frame frames[SL_PAYLOAD_DEPTH_MAX];
    uint32_t depth;
    uint32_t expanded_count;
    const char *file;
    struct sl_diags *diags;
    bool stopped; /* a limit was reached */
};

static const char *tag_name(enum yaml_tag tag)
{
    static const char *const names[] = {"",        "!!str",    "!!null", "!!bool", "!!int",
                                        "!!float", "!!binary", "!!map",  "!!seq",  "tag"};
    return names[tag];
}

static void report_tag(struct build *build, const struct yaml_node *node, const char *what)
{
    (void)yaml_error(build->diags, build->file, "yaml_tag", node->pos, "%s on %s",
                     tag_name((enum yaml_tag)node->tag), what);
}

static int base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    return c == '/' ? 63 : -1;
}

/* Decode into `out` of at least text.size bytes; white space is skipped. Size, or -1. */
static int64_t base64_decode(struct sl_slice text, uint8_t *out)
{
    sl_assert(out != NULL);
    uint32_t word = 0;
    uint32_t digits = 0;
    uint32_t padding = 0;
    size_t used = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == ' ' || c == '\n' || c == '\t' || c == '\r') continue;
        if (c == '=') {
            padding++;
            continue;
        }
        int digit = base64_digit(c);
        if (digit < 0 || padding > 0) return -1;
        word = word << 6 | (uint32_t)digit;
        if (++digits % 4 == 0) {
            out[used++] = (uint8_t)(word >> 16);
            out[used++] = (uint8_t)(word >> 8);
            out[used++] = (uint8_t)word;
        }
    }
    if (digits % 4 == 1 || (digits + padding) % 4 != 0 || padding > 2) return -1;
    if (digits % 4 >= 2) out[used++] = (uint8_t)(digits % 4 == 2 ? word >> 4 : word >> 10);
    if (digits % 4 == 3) out[used++] = (uint8_t)(word >> 2);
    return (int64_t)used;
}

static void build_binary(struct build *build, const struct yaml_node *node, struct sl_slice text)
{
    uint8_t *bytes = malloc(text.size + 1);
    if (bytes == NULL) {
        build->builder.error = -ENOMEM;
        return;
    }
    int64_t size = base64_decode(text, bytes);
    if (size < 0) report_tag(build, node, "a text that is not base64");
    sl_build_binary(&build->builder, bytes, size < 0 ? 0 : (size_t)size);
    free(bytes);
}

static void build_plain(struct build *build, struct yaml_scalar scalar, struct sl_slice text)
{
    struct sl_builder *builder = &build->builder;
    switch (scalar.kind) {
    case YAML_PLAIN_NULL: sl_build_null(builder); break;
    case YAML_PLAIN_BOOL: sl_build_bool(builder, scalar.number != 0); break;
    case YAML_PLAIN_FLOAT: sl_build_float(builder, scalar.real); break;
    case YAML_PLAIN_STR: sl_build_string(builder, text.data, text.size); break;
    case YAML_PLAIN_INT:
        if (scalar.negative) {
            sl_build_int(builder, (int64_t)(0 - scalar.number));
        } else {
            sl_build_uint(builder, scalar.number);
        }
        break;
    }
}

/* A scalar with one of the tags of the core schema: the text must be of that kind. */
static void build_tagged(struct build *build, const struct yaml_node *node, struct sl_slice text)
{
    sl_assert(node->tag >= YAML_TAG_NULL);
    sl_assert(node->tag <= YAML_TAG_FLOAT);
    static const enum yaml_plain kinds[] = {
        [YAML_TAG_NULL] = YAML_PLAIN_NULL,
        [YAML_TAG_BOOL] = YAML_PLAIN_BOOL,
        [YAML_TAG_INT] = YAML_PLAIN_INT,
        [YAML_TAG_FLOAT] = YAML_PLAIN_FLOAT,
    };
    struct yaml_scalar scalar = yaml_scalar_read(text);
    if (node->tag == YAML_TAG_FLOAT && scalar.kind == YAML_PLAIN_INT) {
        scalar.kind = YAML_PLAIN_FLOAT;
        scalar.real = scalar.negative ? -(double)scalar.number : (double)scalar.number;
    }
    if (scalar.kind != kinds[node->tag]) {
        report_tag(build, node, "a text of another kind");
        scalar.kind = YAML_PLAIN_NULL;
    }
    build_plain(build, scalar, text);
}

static void build_scalar(struct build *build, const struct yaml_node *node)
{
    sl_assert(node->kind == YAML_NODE_SCALAR);
    struct sl_slice text = yaml_node_text(build->tree, node);
    switch ((enum yaml_tag)node->tag) {
    case YAML_TAG_NULL:
    case YAML_TAG_BOOL:
    case YAML_TAG_INT:
    case YAML_TAG_FLOAT: build_tagged(build, node, text); return;
    case YAML_TAG_BINARY: build_binary(build, node, text); return;
    case YAML_TAG_MAP:
    case YAML_TAG_SEQ: report_tag(build, node, "a scalar"); break;
    case YAML_TAG_STR: break;
    case YAML_TAG_NONE:
    case YAML_TAG_OTHER:
        if (node->style != SL_YAML_PLAIN) break;
        if (node->tag == YAML_TAG_OTHER && text.size > 0) break;
        build_plain(build, yaml_scalar_read(text), text);
        return;
    }
    sl_build_string(&build->builder, text.data, text.size);
}

static void build_open(struct build *build, const struct yaml_node *node, bool expanded)
{
    sl_assert(node->kind == YAML_NODE_LIST || node->kind == YAML_NODE_MAP);
    bool map = node->kind == YAML_NODE_MAP;
    enum yaml_tag tag = (enum yaml_tag)node->tag;
    if (tag != YAML_TAG_NONE && tag != YAML_TAG_OTHER &&
        tag != (map ? YAML_TAG_MAP : YAML_TAG_SEQ)) {
        report_tag(build, node, map ? "a map" : "a list");
    }
    if (build->depth == SL_PAYLOAD_DEPTH_MAX) {
        (void)yaml_error(build->diags, build->file, "yaml_depth", node->pos,
                         "nested deeper than %d levels", SL_PAYLOAD_DEPTH_MAX);
        build->stopped = true;
        return;
    }
    struct build_frame *frame = &build->frames[build->depth++];
    *frame = (struct build_frame){node->first, map, map, expanded};
    if (map) {
        sl_build_map_begin(&build->builder);
    } else {
        sl_build_list_begin(&build->builder);
    }
}

/* Build the node `index`, or begin it if it has children. */
static void build_node(struct build *build, uint32_t index, bool expanded)
{
    sl_assert(index != 0);
    sl_assert(index < build->tree->nodes_count);
    const struct yaml_node *node = &build->tree->nodes[index];
    if (node->kind == YAML_NODE_ALIAS) {
        expanded = true;
        node = &build->tree->nodes[yaml_tree_follow(build->tree, index)];
    }
    if (expanded && ++build->expanded_count > SL_YAML_ALIAS_NODES_MAX) {
        (void)yaml_error(build->diags, build->file, "yaml_alias_limit", node->pos,
                         "aliases of this document expand to more than %d nodes",
                         SL_YAML_ALIAS_NODES_MAX);
        build->stopped = true;
        return;
    }
    build->builder.pos = node->pos;
    if (node->kind == YAML_NODE_SCALAR) {
        build_scalar(build, node);
    } else {
        build_open(build, node, expanded);
    }
}

static void build_key(struct build *build, uint32_t index)
{
    sl_assert(index != 0);
    const struct yaml_tree *tree = build->tree;
    const struct yaml_node *node = &tree->nodes[yaml_tree_follow(tree, index)];
    struct sl_slice text = yaml_node_text(tree, node);
    build->builder.pos = node->pos;
    sl_build_key(&build->builder, text.data, text.size);
}

/* Build the next child of the innermost container, or end it. */
static void build_step(struct build *build)
{
    sl_assert(build->depth > 0);
    struct build_frame *frame = &build->frames[build->depth - 1];
    if (frame->next == 0) {
        build->depth--;
        if (frame->map) {
            sl_build_map_end(&build->builder);
        } else {
            sl_build_list_end(&build->builder);
        }
        return;
    }
    uint32_t child = frame->next;
    frame->next = build->tree->nodes[child].next;
    if (frame->map) frame->key = !frame->key;
    if (frame->map && !frame->key) {
        build_key(build, child);
    } else {
        build_node(build, child, frame->expanded);
    }
}

int yaml_tree_build(const struct yaml_tree *tree, uint32_t root, struct sl_mem *mem,
                    const char *file, struct sl_value *ret_value, struct sl_diags *diags)
{
    sl_assert(root != 0);
    sl_assert(root < tree->nodes_count);
    size_t errors_before = diags->errors_count;
    struct build *build = calloc(1, sizeof(*build));
    if (build == NULL) return -ENOMEM;
    build->tree = tree;
    build->file = file;
    build->diags = diags;
    sl_builder_init(&build->builder, mem, tree->nodes_count,
                    tree->bytes_size > UINT32_MAX ? UINT32_MAX : (uint32_t)tree->bytes_size);
    sl_builder_track(&build->builder);

    build_node(build, root, false);
    while (build->depth > 0 && !build->stopped && build->builder.error == 0) build_step(build);

    struct sl_value value = sl_value_none();
    int result = -EINVAL;
    if (!build->stopped) {
        result = sl_builder_finish(&build->builder, &value);
        if (result == -E2BIG) {
            (void)yaml_error(diags, file, "yaml_size", tree->nodes[root].pos,
                             "this document is larger than a payload may be");
            result = -EINVAL;
        }
    }
    sl_builder_fini(&build->builder);
    free(build);
    if (result == 0 && diags->errors_count > errors_before) {
        sl_value_unref(value);
        result = -EINVAL;
    }
    if (result == 0) *ret_value = value;
    return result;
}
