/* SPDX-License-Identifier: MIT */
/* The checker; see check.h. Its recursion follows the tree, whose depth the parser bounded. */
#include "nodes/script/cel/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/assertion.h"
#include "nodes/script/cel/function.h"

/* Variables of a binder that can be seen from here. */
struct sl_cel_scope {
    struct sl_cel_scope *up;
    struct sl_cel_node *binder;
    const struct sl_cel_type *types[2];
};

static const struct sl_cel_type *check_node(struct sl_cel_check *check, struct sl_cel_node *node);

static const struct sl_cel_type *const dyn = &sl_cel_type_dyn;

static const struct sl_cel_type *simple(enum sl_cel_type_kind kind)
{
    return sl_cel_type_simple(kind);
}

/* Note an error; without a check it is left to run time. Returns dyn, so that checking goes on. */
__attribute__((format(printf, 3, 4))) static const struct sl_cel_type *
complain(struct sl_cel_check *check, const struct sl_cel_node *node, const char *fmt, ...)
{
    if (check->error != 0 || check->options->no_check) return dyn;
    check->error = -EINVAL;
    check->error_offset = node->offset;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(check->error_text, sizeof(check->error_text), fmt, args);
    va_end(args);
    return dyn;
}

static const struct sl_cel_type *or_no_memory(struct sl_cel_check *check,
                                              const struct sl_cel_type *type)
{
    if (type != NULL) return type;
    check->error = -ENOMEM;
    return dyn;
}

static const struct sl_cel_type *list_of(struct sl_cel_check *check,
                                         const struct sl_cel_type *element)
{
    return or_no_memory(check, sl_cel_type_list(check->arena, element));
}

static const struct sl_cel_type *map_of(struct sl_cel_check *check, const struct sl_cel_type *key,
                                        const struct sl_cel_type *value)
{
    return or_no_memory(check, sl_cel_type_map(check->arena, key, value));
}

static const struct sl_cel_type *optional_of(struct sl_cel_check *check,
                                             const struct sl_cel_type *type)
{
    return or_no_memory(check, sl_cel_type_optional(check->arena, type));
}

static const char *type_text(struct sl_cel_check *check, const struct sl_cel_type *type, char *buf,
                             size_t buf_size)
{
    (void)sl_cel_type_format(sl_cel_subst_apply(&check->subst, type, true), buf, buf_size);
    return buf;
}

static bool fits(struct sl_cel_check *check, const struct sl_cel_type *from,
                 enum sl_cel_type_kind kind)
{
    const struct sl_cel_type *to = simple(kind);
    return sl_cel_subst_assignable(&check->subst, &from, &to, 1);
}

/* ------------------------------------------------------------------------------------------ */
/* Names                                                                                        */

static const struct {
    const char *name;
    enum sl_cel_type_kind kind;
} type_names[] = {
    {"bool", SL_CEL_T_BOOL},
    {"int", SL_CEL_T_INT},
    {"uint", SL_CEL_T_UINT},
    {"double", SL_CEL_T_DOUBLE},
    {"string", SL_CEL_T_STRING},
    {"bytes", SL_CEL_T_BYTES},
    {"null_type", SL_CEL_T_NULL},
    {"google.protobuf.Timestamp", SL_CEL_T_TIMESTAMP},
    {"google.protobuf.Duration", SL_CEL_T_DURATION},
    {"error", SL_CEL_T_ERROR},
    {"list", SL_CEL_T_LIST},
    {"map", SL_CEL_T_MAP},
    {"type", SL_CEL_T_TYPE},
    {"optional_type", SL_CEL_T_DYN},
    {"net.IP", SL_CEL_T_DYN},
    {"net.CIDR", SL_CEL_T_DYN},
};

enum { TYPE_NAMES = sizeof(type_names) / sizeof(type_names[0]) };

/* If `name` denotes a type: its literal into the node, and the type of that. */
static const struct sl_cel_type *denoted(struct sl_cel_check *check, struct sl_cel_node *node,
                                         struct sl_slice name)
{
    for (size_t i = 0; i < TYPE_NAMES; i++) {
        if (!sl_slice_eq_str(name, type_names[i].name)) continue;
        node->meaning = SL_CEL_M_TYPE;
        node->literal = sl_cel_type_val(type_names[i].name);
        enum sl_cel_type_kind kind = type_names[i].kind;
        const struct sl_cel_type *of = kind < SL_CEL_T_LIST ? simple(kind) : dyn;
        if (kind == SL_CEL_T_LIST) of = list_of(check, dyn);
        if (kind == SL_CEL_T_MAP) of = map_of(check, dyn, dyn);
        return or_no_memory(check, sl_cel_type_of(check->arena, of));
    }
    return NULL;
}

/* One candidate of a name: a variable or a type. NULL if there is none. */
static const struct sl_cel_type *find_global(struct sl_cel_check *check, struct sl_cel_node *node,
                                             struct sl_slice name)
{
    const struct sl_cel_options *options = check->options;
    for (uint32_t i = 0; i < options->decls_count; i++) {
        if (!sl_slice_eq_str(name, options->decls[i].name)) continue;
        node->meaning = SL_CEL_M_VAR;
        node->index = i;
        return options->decls[i].type != NULL ? options->decls[i].type : dyn;
    }
    return denoted(check, node, name);
}

/*
 * The candidates of `name` in the container "A.B": A.B.name, A.name, name. Calls `next` by turns:
 * *cursor starts at SIZE_MAX; false at the end.
 */
static bool next_candidate(struct sl_cel_check *check, struct sl_slice name, bool root,
                           size_t *cursor, struct sl_slice *ret)
{
    const char *container = root ? NULL : check->options->container;
    size_t size = container != NULL ? strlen(container) : 0;
    if (*cursor == 0) return false;
    if (*cursor == SIZE_MAX) {
        *cursor = size;
    } else {
        size_t end = *cursor;
        while (end > 0 && container[end - 1] != '.') end--;
        *cursor = end > 0 ? end - 1 : 0;
    }
    if (*cursor == 0) {
        *ret = name;
        return true;
    }
    uint8_t *text = sl_cel_arena_take(check->arena, *cursor + 1 + name.size);
    if (text == NULL) {
        check->error = -ENOMEM;
        return false;
    }
    memcpy(text, container, *cursor);
    text[*cursor] = '.';
    memcpy(text + *cursor + 1, name.data, name.size);
    *ret = (struct sl_slice){text, *cursor + 1 + name.size};
    return true;
}

static const struct sl_cel_type *resolve_global(struct sl_cel_check *check,
                                                struct sl_cel_node *node, struct sl_slice name,
                                                bool root)
{
    size_t cursor = SIZE_MAX;
    struct sl_slice candidate;
    while (next_candidate(check, name, root, &cursor, &candidate)) {
        const struct sl_cel_type *type = find_global(check, node, candidate);
        if (type != NULL) return type;
    }
    return NULL;
}

static const struct sl_cel_type *find_local(struct sl_cel_check *check, struct sl_slice name,
                                            struct sl_cel_node **ret_binder, uint32_t *ret_index)
{
    for (struct sl_cel_scope *scope = check->scope; scope != NULL; scope = scope->up) {
        for (uint32_t i = 0; i < 2; i++) {
            if (scope->types[i] == NULL || !sl_slice_eq(scope->binder->vars[i], name)) continue;
            *ret_binder = scope->binder;
            *ret_index = i;
            return scope->types[i];
        }
    }
    return NULL;
}

/* The name that the author may have meant. */
static void hint_name(struct sl_cel_check *check, struct sl_slice name)
{
    const char *names[512];
    size_t count = 0;
    for (uint32_t i = 0; i < check->options->decls_count && count < 256; i++) {
        names[count++] = check->options->decls[i].name;
    }
    for (size_t i = 0; i < TYPE_NAMES; i++) names[count++] = type_names[i].name;
    for (struct sl_cel_scope *scope = check->scope; scope != NULL; scope = scope->up) {
        for (uint32_t i = 0; i < 2 && count < 512; i++) {
            if (scope->types[i] == NULL || scope->binder->vars[i].data[0] == '@') continue;
            char *copy = sl_cel_arena_zero(check->arena, scope->binder->vars[i].size + 1);
            if (copy == NULL) return;
            memcpy(copy, scope->binder->vars[i].data, scope->binder->vars[i].size);
            names[count++] = copy;
        }
    }
    char text[128];
    (void)snprintf(text, sizeof(text), "%.*s", SL_SLICE_FMT(name));
    const char *nearest = sl_diag_nearest(text, names, count);
    if (nearest == NULL) return;
    (void)snprintf(check->error_hint, sizeof(check->error_hint), "did you mean \"%s\"?", nearest);
}

static const struct sl_cel_type *check_ident(struct sl_cel_check *check, struct sl_cel_node *node)
{
    bool root = (node->flags & SL_CEL_NF_ROOT) != 0;
    if (!root) {
        const struct sl_cel_type *type = find_local(check, node->name, &node->binder, &node->index);
        if (type != NULL) {
            node->meaning = SL_CEL_M_LOCAL;
            return type;
        }
    }
    const struct sl_cel_type *type = resolve_global(check, node, node->name, root);
    if (type != NULL && (node->meaning == SL_CEL_M_VAR || !check->options->unpack)) return type;
    if (check->options->unpack) {
        /* A key of the payload hides the name of a type, never a function. */
        node->regs[0] = node->meaning == SL_CEL_M_TYPE;
        node->meaning = SL_CEL_M_KEY;
        return dyn;
    }
    node->meaning = SL_CEL_M_NONE;
    if (check->error == 0 && !check->options->no_check) hint_name(check, node->name);
    return complain(check, node, "undeclared reference to '%.*s'", SL_SLICE_FMT(node->name));
}

/* "a.b.c" of a chain of plain selections, if its first name is no local; else size 0. */
static struct sl_slice dotted(struct sl_cel_check *check, const struct sl_cel_node *node,
                              bool *ret_root)
{
    size_t size = 0;
    const struct sl_cel_node *at = node;
    for (; at->kind == SL_CEL_N_SELECT && at->flags == 0; at = at->args[0])
        size += at->name.size + 1;
    if (at->kind != SL_CEL_N_IDENT) return (struct sl_slice){NULL, 0};
    struct sl_cel_node *binder;
    uint32_t index;
    *ret_root = (at->flags & SL_CEL_NF_ROOT) != 0;
    if (!*ret_root && find_local(check, at->name, &binder, &index) != NULL) {
        return (struct sl_slice){NULL, 0};
    }
    size += at->name.size;
    uint8_t *text = sl_cel_arena_take(check->arena, size);
    if (text == NULL) {
        check->error = -ENOMEM;
        return (struct sl_slice){NULL, 0};
    }
    size_t end = size;
    for (at = node; at->kind == SL_CEL_N_SELECT; at = at->args[0]) {
        end -= at->name.size;
        memcpy(text + end, at->name.data, at->name.size);
        text[--end] = '.';
    }
    memcpy(text, at->name.data, at->name.size);
    return (struct sl_slice){text, size};
}

/* ------------------------------------------------------------------------------------------ */
/* Selection                                                                                    */

static const struct sl_cel_type *field_type(struct sl_cel_check *check, struct sl_cel_node *node,
                                            const struct sl_cel_type *of)
{
    of = sl_cel_subst_apply(&check->subst, of, false);
    if (sl_cel_type_is_optional(of)) {
        return optional_of(check, field_type(check, node, of->params[0]));
    }
    switch (of->kind) {
    case SL_CEL_T_MAP: return of->params[1];
    case SL_CEL_T_DYN:
    case SL_CEL_T_ERROR:
    case SL_CEL_T_PARAM: return dyn;
    default: break;
    }
    char text[128];
    return complain(check, node, "type '%s' does not support field selection",
                    type_text(check, of, text, sizeof(text)));
}

static const struct sl_cel_type *check_select(struct sl_cel_check *check, struct sl_cel_node *node)
{
    if (node->flags == 0 && node->depth <= 16) {
        bool root = false;
        struct sl_slice name = dotted(check, node, &root);
        if (name.size > 0) {
            const struct sl_cel_type *type = resolve_global(check, node, name, root);
            if (type != NULL) return type;
        }
    }
    const struct sl_cel_type *of = check_node(check, node->args[0]);
    const struct sl_cel_type *type = field_type(check, node, of);
    if (node->flags & SL_CEL_NF_TEST) return simple(SL_CEL_T_BOOL);
    if ((node->flags & SL_CEL_NF_OPTIONAL) == 0 || sl_cel_type_is_optional(type)) return type;
    return optional_of(check, type);
}

/* ------------------------------------------------------------------------------------------ */
/* Calls                                                                                        */

/* The overloads that fit so far. */
struct candidates {
    const struct sl_cel_type *args[SL_CEL_CALL_ARGS_MAX];
    uint32_t count;
    bool member;
    const struct sl_cel_type *result; /* NULL: none fitted */
};

static void try_overload(struct sl_cel_check *check, struct candidates *cand,
                         const struct sl_cel_type *const *params, const struct sl_cel_type *result)
{
    const struct sl_cel_type *own[SL_CEL_PARAM_FIRST] = {NULL};
    const struct sl_cel_type *to[SL_CEL_CALL_ARGS_MAX];
    for (uint32_t i = 0; i < cand->count; i++) {
        to[i] = sl_cel_subst_instance(&check->subst, params[i], own);
    }
    if (!sl_cel_subst_assignable(&check->subst, cand->args, to, cand->count)) return;
    result = sl_cel_subst_instance(&check->subst, result, own);
    result = sl_cel_subst_apply(&check->subst, result, false);
    if (cand->result == NULL) {
        cand->result = result;
    } else if (!sl_cel_type_equal(cand->result, result)) {
        cand->result = dyn;
    }
}

static void try_functions(struct sl_cel_check *check, struct candidates *cand, struct sl_slice name)
{
    for (uint32_t i = 0; i < check->options->functions_count; i++) {
        const struct sl_cel_function_decl *decl = &check->options->functions[i];
        if (!sl_slice_eq_str(name, decl->name) || decl->member != cand->member) continue;
        if (decl->params_count == cand->count) {
            try_overload(check, cand, decl->params, decl->result);
        }
    }
    uint32_t cursor = 0;
    const struct sl_cel_function *row;
    while ((row = sl_cel_function_next(name, &cursor)) != NULL) {
        struct sl_cel_signature signature;
        if (!sl_cel_signature_read(row->signature, check->arena, &signature)) {
            check->error = -ENOMEM;
            return;
        }
        if (signature.member != cand->member || signature.count != cand->count) continue;
        try_overload(check, cand, signature.args, signature.result);
    }
}

static bool function_known(struct sl_cel_check *check, struct sl_slice name)
{
    for (uint32_t i = 0; i < check->options->functions_count; i++) {
        if (sl_slice_eq_str(name, check->options->functions[i].name)) return true;
    }
    return sl_cel_function_exists(name);
}

static bool resolve_function(struct sl_cel_check *check, struct sl_slice *name, bool root)
{
    size_t cursor = SIZE_MAX;
    struct sl_slice candidate;
    while (next_candidate(check, *name, root, &cursor, &candidate)) {
        if (!function_known(check, candidate)) continue;
        *name = candidate;
        return true;
    }
    return false;
}

/* math.abs(x): if "math.abs" is a function, the receiver is not a value. */
static bool is_namespaced(struct sl_cel_check *check, struct sl_cel_node *node)
{
    if ((node->flags & SL_CEL_NF_MEMBER) == 0) return false;
    bool root = false;
    struct sl_slice space = dotted(check, node->args[0], &root);
    if (space.size == 0) return false;
    uint8_t *text = sl_cel_arena_take(check->arena, space.size + 1 + node->name.size);
    if (text == NULL) {
        check->error = -ENOMEM;
        return false;
    }
    memcpy(text, space.data, space.size);
    text[space.size] = '.';
    memcpy(text + space.size + 1, node->name.data, node->name.size);
    struct sl_slice name = {text, space.size + 1 + node->name.size};
    if (!resolve_function(check, &name, root)) return false;
    node->name = name;
    node->meaning = SL_CEL_M_GLOBAL_CALL;
    return true;
}

static void hint_function(struct sl_cel_check *check, struct sl_slice name)
{
    const char *names[512];
    size_t count = 0;
    for (uint32_t table = 0; sl_cel_functions[table] != NULL; table++) {
        for (const struct sl_cel_function *row = sl_cel_functions[table]; row->name; row++) {
            bool hidden = strpbrk(row->name, "@_!") != NULL;
            bool again = count > 0 && strcmp(names[count - 1], row->name) == 0;
            if (!hidden && !again && count < 512) names[count++] = row->name;
        }
    }
    char text[128];
    (void)snprintf(text, sizeof(text), "%.*s", SL_SLICE_FMT(name));
    const char *nearest = sl_diag_nearest(text, names, count);
    if (nearest == NULL) return;
    (void)snprintf(check->error_hint, sizeof(check->error_hint), "did you mean \"%s\"?", nearest);
}

static const struct sl_cel_type *no_overload(struct sl_cel_check *check, struct sl_cel_node *node,
                                             const struct candidates *cand)
{
    char list[256] = "";
    size_t at = 0;
    for (uint32_t i = 0; i < cand->count && at + 8 < sizeof(list); i++) {
        char text[96];
        (void)type_text(check, cand->args[i], text, sizeof(text));
        int size = snprintf(list + at, sizeof(list) - at, "%s%s", i > 0 ? ", " : "", text);
        at += (size_t)size;
    }
    return complain(check, node, "no matching overload for '%.*s' applied to (%s)",
                    SL_SLICE_FMT(node->name), list);
}

/*
 * Arithmetic with a value of unknown type: that may be a number of a payload, which takes the kind
 * of its partner and passes on this freedom (cel.h), so the kind of the result is not known.
 */
static const struct sl_cel_type *
loosened(struct sl_cel_check *check, const struct sl_cel_node *node, const struct candidates *cand)
{
    static const char *const names[] = {"_+_", "_-_", "_*_", "_/_", "-_"};
    bool arithmetic = false;
    bool unknown = false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        arithmetic |= sl_slice_eq_str(node->name, names[i]);
    }
    for (uint32_t i = 0; i < cand->count && arithmetic; i++) {
        const struct sl_cel_type *type = sl_cel_subst_apply(&check->subst, cand->args[i], true);
        unknown |= type->kind == SL_CEL_T_DYN;
    }
    bool number = cand->result->kind >= SL_CEL_T_INT && cand->result->kind <= SL_CEL_T_DOUBLE;
    return unknown && number ? dyn : cand->result;
}

static const struct sl_cel_type *check_call(struct sl_cel_check *check, struct sl_cel_node *node)
{
    struct candidates cand = {.member = (node->flags & SL_CEL_NF_MEMBER) != 0};
    uint32_t first = 0;
    if (is_namespaced(check, node)) {
        cand.member = false;
        first = 1;
    } else if (!resolve_function(check, &node->name, (node->flags & SL_CEL_NF_ROOT) != 0)) {
        if (check->error == 0 && !check->options->no_check) hint_function(check, node->name);
        (void)complain(check, node, "undeclared reference to '%.*s'", SL_SLICE_FMT(node->name));
        node->rest = 1; /* no such function */
    }
    cand.count = node->count - first;
    for (uint32_t i = 0; i < cand.count; i++) {
        const struct sl_cel_type *type = check_node(check, node->args[first + i]);
        if (i < SL_CEL_CALL_ARGS_MAX) cand.args[i] = type;
    }
    if (check->error != 0 || check->options->no_check) return dyn;
    if (cand.count <= SL_CEL_CALL_ARGS_MAX) try_functions(check, &cand, node->name);
    if (cand.result != NULL) return loosened(check, node, &cand);
    if (cand.count > SL_CEL_CALL_ARGS_MAX) cand.count = SL_CEL_CALL_ARGS_MAX;
    return no_overload(check, node, &cand);
}

/* ------------------------------------------------------------------------------------------ */
/* Literals                                                                                     */

/* The type behind `?e` in a literal. */
static const struct sl_cel_type *unwrapped(struct sl_cel_check *check, struct sl_cel_node *node,
                                           const struct sl_cel_type *type)
{
    type = sl_cel_subst_apply(&check->subst, type, false);
    if (sl_cel_type_is_optional(type)) return type->params[0];
    if (type->kind == SL_CEL_T_DYN || type->kind == SL_CEL_T_PARAM) return dyn;
    char text[128];
    return complain(check, node, "an optional value is needed behind '?', not '%s'",
                    type_text(check, type, text, sizeof(text)));
}

static const struct sl_cel_type *check_list(struct sl_cel_check *check, struct sl_cel_node *node)
{
    const struct sl_cel_type *element = NULL;
    for (uint32_t i = 0; i < node->count; i++) {
        const struct sl_cel_type *type = check_node(check, node->args[i]);
        if (node->opt != NULL && node->opt[i]) type = unwrapped(check, node->args[i], type);
        element = sl_cel_subst_join(&check->subst, element, type);
    }
    if (element == NULL) element = sl_cel_subst_fresh(&check->subst);
    return list_of(check, element);
}

static void check_key(struct sl_cel_check *check, struct sl_cel_node *node,
                      const struct sl_cel_type *type)
{
    type = sl_cel_subst_apply(&check->subst, type, true);
    bool fine = type->kind == SL_CEL_T_DYN || type->kind == SL_CEL_T_BOOL ||
                type->kind == SL_CEL_T_INT || type->kind == SL_CEL_T_UINT ||
                type->kind == SL_CEL_T_STRING;
    char text[128];
    if (fine) return;
    (void)complain(check, node, "a map has no keys of type '%s'",
                   type_text(check, type, text, sizeof(text)));
}

static const struct sl_cel_type *check_map(struct sl_cel_check *check, struct sl_cel_node *node)
{
    const struct sl_cel_type *key = NULL;
    const struct sl_cel_type *value = NULL;
    for (uint32_t i = 0; i < node->count; i += 2) {
        const struct sl_cel_type *key_type = check_node(check, node->args[i]);
        check_key(check, node->args[i], key_type);
        const struct sl_cel_type *type = check_node(check, node->args[i + 1]);
        if (node->opt != NULL && node->opt[i / 2]) type = unwrapped(check, node->args[i + 1], type);
        key = sl_cel_subst_join(&check->subst, key, key_type);
        value = sl_cel_subst_join(&check->subst, value, type);
    }
    if (key == NULL) key = sl_cel_subst_fresh(&check->subst);
    if (value == NULL) value = sl_cel_subst_fresh(&check->subst);
    return map_of(check, key, value);
}

static const struct sl_cel_type *check_literal(struct sl_cel_check *check,
                                               const struct sl_cel_node *node)
{
    static const enum sl_cel_type_kind kinds[] = {
        SL_CEL_T_NULL,   SL_CEL_T_BOOL,   SL_CEL_T_INT,   SL_CEL_T_UINT,
        SL_CEL_T_DOUBLE, SL_CEL_T_STRING, SL_CEL_T_BYTES,
    };
    sl_assert(node->literal.kind <= SL_CEL_BYTES);
    return simple(kinds[node->literal.kind]);
}

/* ------------------------------------------------------------------------------------------ */
/* Conditions, loops, bindings                                                                  */

static void need_bool(struct sl_cel_check *check, const struct sl_cel_node *node,
                      const struct sl_cel_type *type, const char *where)
{
    char text[128];
    if (fits(check, type, SL_CEL_T_BOOL)) return;
    (void)complain(check, node, "a bool is needed %s, not '%s'", where,
                   type_text(check, type, text, sizeof(text)));
}

static const struct sl_cel_type *check_logic(struct sl_cel_check *check, struct sl_cel_node *node)
{
    const char *where = node->kind == SL_CEL_N_AND ? "beside &&" : "beside ||";
    for (uint32_t i = 0; i < node->count; i++) {
        need_bool(check, node->args[i], check_node(check, node->args[i]), where);
    }
    return simple(SL_CEL_T_BOOL);
}

static const struct sl_cel_type *check_cond(struct sl_cel_check *check, struct sl_cel_node *node)
{
    need_bool(check, node->args[0], check_node(check, node->args[0]), "before '?'");
    const struct sl_cel_type *both[2];
    both[0] = check_node(check, node->args[1]);
    both[1] = check_node(check, node->args[2]);
    const struct sl_cel_type *var = sl_cel_subst_fresh(&check->subst);
    const struct sl_cel_type *to[2] = {var, var};
    if (!sl_cel_subst_assignable(&check->subst, both, to, 2)) return dyn;
    return sl_cel_subst_apply(&check->subst, var, false);
}

/* The types of a loop's variables over `range`. */
static bool loop_types(struct sl_cel_check *check, struct sl_cel_node *node,
                       const struct sl_cel_type *range, const struct sl_cel_type **types)
{
    bool two = node->vars[1].size > 0;
    range = sl_cel_subst_apply(&check->subst, range, false);
    if (range->kind == SL_CEL_T_LIST) {
        types[0] = two ? simple(SL_CEL_T_INT) : range->params[0];
        types[1] = two ? range->params[0] : NULL;
    } else if (range->kind == SL_CEL_T_MAP) {
        types[0] = range->params[0];
        types[1] = two ? range->params[1] : NULL;
    } else {
        types[0] = dyn;
        types[1] = two ? dyn : NULL;
        return range->kind == SL_CEL_T_DYN || range->kind == SL_CEL_T_PARAM;
    }
    return true;
}

static const struct sl_cel_type *loop_result(struct sl_cel_check *check, struct sl_cel_node *node,
                                             const struct sl_cel_type *key,
                                             const struct sl_cel_type *step)
{
    switch ((enum sl_cel_loop)node->op) {
    case SL_CEL_LOOP_LIST: return list_of(check, step);
    case SL_CEL_LOOP_MAP: return map_of(check, key, step);
    case SL_CEL_LOOP_ENTRIES: return step;
    default:
        need_bool(check, node->args[1], step, "as the test of a macro");
        return simple(SL_CEL_T_BOOL);
    }
}

static const struct sl_cel_type *check_loop(struct sl_cel_check *check, struct sl_cel_node *node)
{
    struct sl_cel_scope scope = {.up = check->scope, .binder = node};
    const struct sl_cel_type *range = check_node(check, node->args[0]);
    if (!loop_types(check, node, range, scope.types)) {
        char text[128];
        (void)complain(check, node->args[0], "%.*s() needs a list or a map, not '%s'",
                       SL_SLICE_FMT(node->name), type_text(check, range, text, sizeof(text)));
    }
    check->scope = &scope;
    if (node->count == 3) {
        need_bool(check, node->args[2], check_node(check, node->args[2]), "as a filter");
    }
    const struct sl_cel_type *step = check_node(check, node->args[1]);
    check->scope = scope.up;
    return loop_result(check, node, scope.types[0], step);
}

static const struct sl_cel_type *check_bind(struct sl_cel_check *check, struct sl_cel_node *node)
{
    struct sl_cel_scope scope = {.up = check->scope, .binder = node};
    scope.types[0] = check_node(check, node->args[0]);
    check->scope = &scope;
    const struct sl_cel_type *type = check_node(check, node->args[1]);
    check->scope = scope.up;
    return type;
}

static const struct sl_cel_type *check_block(struct sl_cel_check *check, struct sl_cel_node *node)
{
    struct sl_cel_node *outer = check->block;
    check->block = node;
    const struct sl_cel_type *type = dyn;
    for (node->regs[0] = 0; node->regs[0] < node->count; node->regs[0]++) {
        type = check_node(check, node->args[node->regs[0]]);
    }
    check->block = outer;
    return type;
}

static const struct sl_cel_type *check_slot(struct sl_cel_check *check, struct sl_cel_node *node)
{
    node->binder = check->block;
    if (check->block != NULL && node->index < check->block->regs[0]) {
        return check->block->args[node->index]->type;
    }
    node->binder = NULL;
    check->error = check->error != 0 ? check->error : -EINVAL;
    check->error_offset = node->offset;
    (void)snprintf(check->error_text, sizeof(check->error_text),
                   "cel.index(%u) is no earlier slot of a cel.block", node->index);
    return dyn;
}

static const struct sl_cel_type *check_struct(struct sl_cel_check *check, struct sl_cel_node *node)
{
    for (uint32_t i = 0; i < node->count; i++) (void)check_node(check, node->args[i]);
    return complain(check, node, "undeclared type: messages like %.*s{} do not exist here",
                    SL_SLICE_FMT(node->name));
}

static const struct sl_cel_type *check_kind(struct sl_cel_check *check, struct sl_cel_node *node)
{
    switch ((enum sl_cel_node_kind)node->kind) {
    case SL_CEL_N_LITERAL: return check_literal(check, node);
    case SL_CEL_N_IDENT: return check_ident(check, node);
    case SL_CEL_N_SELECT: return check_select(check, node);
    case SL_CEL_N_CALL: return check_call(check, node);
    case SL_CEL_N_LIST: return check_list(check, node);
    case SL_CEL_N_MAP: return check_map(check, node);
    case SL_CEL_N_STRUCT: return check_struct(check, node);
    case SL_CEL_N_AND:
    case SL_CEL_N_OR: return check_logic(check, node);
    case SL_CEL_N_COND: return check_cond(check, node);
    case SL_CEL_N_LOOP: return check_loop(check, node);
    case SL_CEL_N_BIND: return check_bind(check, node);
    case SL_CEL_N_BLOCK: return check_block(check, node);
    case SL_CEL_N_SLOT: return check_slot(check, node);
    }
    sl_unreachable();
}

static const struct sl_cel_type *check_node(struct sl_cel_check *check, struct sl_cel_node *node)
{
    if (check->error != 0) return dyn;
    node->type = check_kind(check, node);
    if (check->subst.failed && check->error == 0) {
        check->error = -EINVAL;
        check->error_offset = node->offset;
        (void)snprintf(check->error_text, sizeof(check->error_text),
                       "the types of this expression are too large");
    }
    return node->type;
}

const struct sl_cel_type *sl_cel_check(struct sl_cel_check *check, struct sl_cel_node *root)
{
    sl_assert(check->arena != NULL);
    sl_assert(check->options != NULL);
    check->subst.arena = check->arena;
    const struct sl_cel_type *type = check_node(check, root);
    if (check->error != 0) return NULL;
    return sl_cel_subst_apply(&check->subst, type, true);
}
