/* SPDX-License-Identifier: MIT */
/*
 * Macros: calls that the parser turns into other nodes before anything is evaluated. Loops become
 * one node that the compiler knows (SL_CEL_N_LOOP) instead of the general fold of other
 * implementations; what they mean is the same.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/assertion.h"
#include "nodes/script/cel/ast.h"

static bool is_ident(const struct sl_cel_node *node, const char *name)
{
    return node->kind == SL_CEL_N_IDENT && sl_slice_eq_str(node->name, name);
}

/* The name declared by argument `index` of a macro: it must be a plain identifier. */
static bool read_var(struct sl_cel_parse *parse, const struct sl_cel_node *arg,
                     struct sl_slice *ret_name)
{
    if (arg->kind != SL_CEL_N_IDENT || (arg->flags & SL_CEL_NF_ROOT) != 0) {
        (void)sl_cel_parse_fail(parse, arg->offset,
                                "the variable of a macro must be a simple name");
        return false;
    }
    *ret_name = arg->name;
    return true;
}

static struct sl_cel_node *ident(struct sl_cel_parse *parse, struct sl_slice name, uint32_t offset)
{
    struct sl_cel_node *node = sl_cel_node_new(parse, SL_CEL_N_IDENT, offset, 0);
    if (node != NULL) node->name = name;
    return node;
}

static struct sl_cel_node *call2(struct sl_cel_parse *parse, const char *name, uint32_t offset,
                                 struct sl_cel_node *a, struct sl_cel_node *b, uint8_t flags)
{
    uint32_t count = a == NULL ? 0 : b == NULL ? 1 : 2;
    struct sl_cel_node *node = sl_cel_node_new(parse, SL_CEL_N_CALL, offset, count);
    if (node == NULL) return NULL;
    node->name = sl_slice_from_str(name);
    node->flags = flags;
    if (count > 0) node->args[0] = a;
    if (count > 1) node->args[1] = b;
    return sl_cel_node_close(parse, node);
}

static struct sl_cel_node *bind(struct sl_cel_parse *parse, struct sl_slice name, uint32_t offset,
                                struct sl_cel_node *init, struct sl_cel_node *body)
{
    struct sl_cel_node *node = sl_cel_node_new(parse, SL_CEL_N_BIND, offset, 2);
    if (node == NULL || init == NULL || body == NULL) return NULL;
    node->vars[0] = name;
    node->args[0] = init;
    node->args[1] = body;
    return sl_cel_node_close(parse, node);
}

/* A name that no text can spell. */
static bool hidden_name(struct sl_cel_parse *parse, struct sl_slice *ret_name)
{
    char *name = sl_cel_arena_take(parse->arena, 16);
    if (name == NULL) {
        parse->error = parse->error != 0 ? parse->error : -12;
        return false;
    }
    int size = snprintf(name, 16, "@h%u", parse->hidden_count++);
    *ret_name = sl_slice_make(name, (size_t)size);
    return true;
}

/* ------------------------------------------------------------------------------------------ */
/* Loops                                                                                        */

struct loop_form {
    const char *name;
    uint8_t args; /* with the variables, without the range */
    uint8_t vars;
    uint8_t op;     /* enum sl_cel_loop */
    uint8_t filter; /* the argument before the last is a filter */
};

static const struct loop_form loop_forms[] = {
    {"all", 2, 1, SL_CEL_LOOP_ALL, 0},
    {"all", 3, 2, SL_CEL_LOOP_ALL, 0},
    {"exists", 2, 1, SL_CEL_LOOP_EXISTS, 0},
    {"exists", 3, 2, SL_CEL_LOOP_EXISTS, 0},
    {"exists_one", 2, 1, SL_CEL_LOOP_ONE, 0},
    {"exists_one", 3, 2, SL_CEL_LOOP_ONE, 0},
    {"existsOne", 2, 1, SL_CEL_LOOP_ONE, 0},
    {"existsOne", 3, 2, SL_CEL_LOOP_ONE, 0},
    {"map", 2, 1, SL_CEL_LOOP_LIST, 0},
    {"map", 3, 1, SL_CEL_LOOP_LIST, 1},
    {"filter", 2, 1, SL_CEL_LOOP_LIST, 2},
    {"transformList", 3, 2, SL_CEL_LOOP_LIST, 0},
    {"transformList", 4, 2, SL_CEL_LOOP_LIST, 1},
    {"transformMap", 3, 2, SL_CEL_LOOP_MAP, 0},
    {"transformMap", 4, 2, SL_CEL_LOOP_MAP, 1},
    {"transformMapEntry", 3, 2, SL_CEL_LOOP_ENTRIES, 0},
    {"transformMapEntry", 4, 2, SL_CEL_LOOP_ENTRIES, 1},
};

static struct sl_cel_node *expand_loop(struct sl_cel_parse *parse, struct sl_cel_node *call,
                                       const struct loop_form *form)
{
    struct sl_cel_node *node =
        sl_cel_node_new(parse, SL_CEL_N_LOOP, call->offset, form->filter != 0 ? 3 : 2);
    if (node == NULL) return NULL;
    node->op = form->op;
    node->name = call->name;
    for (uint32_t i = 0; i < form->vars; i++) {
        if (!read_var(parse, call->args[1 + i], &node->vars[i])) return NULL;
    }
    if (form->vars == 2 && sl_slice_eq(node->vars[0], node->vars[1])) {
        return sl_cel_parse_fail(parse, call->args[2]->offset,
                                 "the two variables of a macro must differ");
    }
    struct sl_cel_node *last = call->args[call->count - 1];
    node->args[0] = call->args[0];
    node->args[1] = last;
    if (form->filter == 1) node->args[2] = call->args[call->count - 2];
    if (form->filter == 2) {
        node->args[2] = last;
        node->args[1] = ident(parse, node->vars[0], call->args[1]->offset);
    }
    if (form->op == SL_CEL_LOOP_ENTRIES && last->kind != SL_CEL_N_MAP) {
        return sl_cel_parse_fail(parse, last->offset, "the last argument must be a map literal");
    }
    return node->args[1] != NULL ? sl_cel_node_close(parse, node) : NULL;
}

/* ------------------------------------------------------------------------------------------ */
/* The other macros                                                                             */

static struct sl_cel_node *expand_has(struct sl_cel_parse *parse, struct sl_cel_node *call)
{
    struct sl_cel_node *field = call->args[0];
    if (field->kind != SL_CEL_N_SELECT || (field->flags & SL_CEL_NF_TEST) != 0) {
        return sl_cel_parse_fail(parse, field->offset,
                                 "has() needs the selection of a field, like has(a.b)");
    }
    field->flags |= SL_CEL_NF_TEST;
    return field;
}

static struct sl_cel_node *expand_bind(struct sl_cel_parse *parse, struct sl_cel_node *call)
{
    struct sl_slice name;
    if (!read_var(parse, call->args[1], &name)) return NULL;
    return bind(parse, name, call->offset, call->args[2], call->args[3]);
}

/* A small number literal, 0..999. */
static bool read_number(struct sl_cel_parse *parse, const struct sl_cel_node *arg, uint32_t *ret)
{
    if (arg->kind != SL_CEL_N_LITERAL || arg->literal.kind != SL_CEL_INT || arg->literal.i < 0 ||
        arg->literal.i > 999) {
        (void)sl_cel_parse_fail(parse, arg->offset, "a number from 0 to 999 is needed here");
        return false;
    }
    *ret = (uint32_t)arg->literal.i;
    return true;
}

static struct sl_cel_node *expand_block(struct sl_cel_parse *parse, struct sl_cel_node *call)
{
    struct sl_cel_node *slots = call->args[1];
    if (slots->kind != SL_CEL_N_LIST || slots->opt != NULL) {
        return sl_cel_parse_fail(parse, slots->offset, "cel.block needs a list of expressions");
    }
    struct sl_cel_node *node =
        sl_cel_node_new(parse, SL_CEL_N_BLOCK, call->offset, slots->count + 1);
    if (node == NULL) return NULL;
    for (uint32_t i = 0; i < slots->count; i++) node->args[i] = slots->args[i];
    node->args[slots->count] = call->args[2];
    return sl_cel_node_close(parse, node);
}

static struct sl_cel_node *expand_index(struct sl_cel_parse *parse, struct sl_cel_node *call)
{
    struct sl_cel_node *node = sl_cel_node_new(parse, SL_CEL_N_SLOT, call->offset, 0);
    if (node == NULL || !read_number(parse, call->args[1], &node->index)) return NULL;
    return node;
}

static struct sl_cel_node *expand_iter(struct sl_cel_parse *parse, struct sl_cel_node *call)
{
    uint32_t depth;
    uint32_t unique;
    if (!read_number(parse, call->args[1], &depth)) return NULL;
    if (!read_number(parse, call->args[2], &unique)) return NULL;
    char *name = sl_cel_arena_take(parse->arena, 24);
    if (name == NULL) return sl_cel_parse_fail(parse, call->offset, "no memory");
    const char *prefix = sl_slice_eq_str(call->name, "iterVar") ? "it" : "ac";
    int size = snprintf(name, 24, "@%s:%u:%u", prefix, depth, unique);
    return ident(parse, sl_slice_make(name, (size_t)size), call->offset);
}

/* x.optMap(v, e): x.hasValue() ? optional.of(e with v = x.value()) : optional.none() */
static struct sl_cel_node *expand_opt(struct sl_cel_parse *parse, struct sl_cel_node *call)
{
    uint32_t at = call->offset;
    struct sl_slice name;
    struct sl_slice hidden;
    if (!read_var(parse, call->args[1], &name) || !hidden_name(parse, &hidden)) return NULL;
    struct sl_cel_node *value =
        call2(parse, "value", at, ident(parse, hidden, at), NULL, SL_CEL_NF_MEMBER);
    struct sl_cel_node *body = bind(parse, name, at, value, call->args[2]);
    if (sl_slice_eq_str(call->name, "optMap"))
        body = call2(parse, "optional.of", at, body, NULL, 0);
    struct sl_cel_node *node = sl_cel_node_new(parse, SL_CEL_N_COND, at, 3);
    if (node == NULL) return NULL;
    node->args[0] = call2(parse, "hasValue", at, ident(parse, hidden, at), NULL, SL_CEL_NF_MEMBER);
    node->args[1] = body;
    node->args[2] = call2(parse, "optional.none", at, NULL, NULL, 0);
    if (parse->error != 0) return NULL;
    return bind(parse, hidden, at, call->args[0], sl_cel_node_close(parse, node));
}

/* x.sortBy(v, key): x.@sortBy(x.map(v, key)) with x evaluated once */
static struct sl_cel_node *expand_sort(struct sl_cel_parse *parse, struct sl_cel_node *call)
{
    uint32_t at = call->offset;
    struct sl_slice hidden;
    if (!hidden_name(parse, &hidden)) return NULL;
    struct sl_cel_node *keys = sl_cel_node_new(parse, SL_CEL_N_LOOP, at, 2);
    if (keys == NULL || !read_var(parse, call->args[1], &keys->vars[0])) return NULL;
    keys->op = SL_CEL_LOOP_LIST;
    keys->name = call->name;
    keys->args[0] = ident(parse, hidden, at);
    keys->args[1] = call->args[2];
    if (parse->error != 0) return NULL;
    keys = sl_cel_node_close(parse, keys);
    struct sl_cel_node *sort =
        call2(parse, "@sortBy", at, ident(parse, hidden, at), keys, SL_CEL_NF_MEMBER);
    return bind(parse, hidden, at, call->args[0], sort);
}

/* math.greatest(a, b, c): of one list when there are more than two */
static struct sl_cel_node *expand_extreme(struct sl_cel_parse *parse, struct sl_cel_node *call)
{
    const char *name = sl_slice_eq_str(call->name, "greatest") ? "math.@max" : "math.@min";
    if (call->count < 2) {
        return sl_cel_parse_fail(parse, call->offset, "math.%.*s() needs at least one argument",
                                 SL_SLICE_FMT(call->name));
    }
    for (uint32_t i = 1; i < call->count; i++) {
        const struct sl_cel_node *arg = call->args[i];
        bool number = arg->kind != SL_CEL_N_LITERAL ||
                      (arg->literal.kind >= SL_CEL_INT && arg->literal.kind <= SL_CEL_DOUBLE);
        bool list = arg->kind == SL_CEL_N_LIST && call->count == 2 && arg->count > 0;
        if (number && arg->kind != SL_CEL_N_MAP && (arg->kind != SL_CEL_N_LIST || list)) continue;
        return sl_cel_parse_fail(parse, arg->offset,
                                 "math.%.*s() takes numbers or one list of them",
                                 SL_SLICE_FMT(call->name));
    }
    if (call->count <= 3) {
        struct sl_cel_node *second = call->count == 3 ? call->args[2] : NULL;
        return call2(parse, name, call->offset, call->args[1], second, 0);
    }
    struct sl_cel_node *list = sl_cel_node_new(parse, SL_CEL_N_LIST, call->offset, call->count - 1);
    if (list == NULL) return NULL;
    for (uint32_t i = 1; i < call->count; i++) list->args[i - 1] = call->args[i];
    return call2(parse, name, call->offset, sl_cel_node_close(parse, list), NULL, 0);
}

/* Calls of a namespace: cel.bind(…). The namespace is args[0]; `args` counts without it. */
static const struct {
    const char *space; /* NULL: any receiver */
    const char *name;
    int args; /* -1: any number */
    struct sl_cel_node *(*expand)(struct sl_cel_parse *parse, struct sl_cel_node *call);
} member_macros[] = {
    {"cel", "bind", 3, expand_bind},       {"cel", "block", 2, expand_block},
    {"cel", "index", 1, expand_index},     {"cel", "iterVar", 2, expand_iter},
    {"cel", "accuVar", 2, expand_iter},    {"math", "greatest", -1, expand_extreme},
    {"math", "least", -1, expand_extreme}, {NULL, "optMap", 2, expand_opt},
    {NULL, "optFlatMap", 2, expand_opt},   {NULL, "sortBy", 2, expand_sort},
};

struct sl_cel_node *sl_cel_macro_expand(struct sl_cel_parse *parse, struct sl_cel_node *call)
{
    sl_assert(call->kind == SL_CEL_N_CALL);
    if ((call->flags & SL_CEL_NF_MEMBER) == 0) {
        if (call->count == 1 && sl_slice_eq_str(call->name, "has")) return expand_has(parse, call);
        return call;
    }
    for (size_t i = 0; i < sizeof(member_macros) / sizeof(member_macros[0]); i++) {
        if (!sl_slice_eq_str(call->name, member_macros[i].name)) continue;
        if (member_macros[i].args >= 0 && (uint32_t)member_macros[i].args + 1 != call->count) {
            continue;
        }
        const char *space = member_macros[i].space;
        if (space != NULL && !is_ident(call->args[0], space)) continue;
        return member_macros[i].expand(parse, call);
    }
    for (size_t i = 0; i < sizeof(loop_forms) / sizeof(loop_forms[0]); i++) {
        const struct loop_form *form = &loop_forms[i];
        if (form->args + 1U != call->count || !sl_slice_eq_str(call->name, form->name)) continue;
        return expand_loop(parse, call, form);
    }
    return call;
}
