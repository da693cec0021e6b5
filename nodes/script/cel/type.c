/* SPDX-License-Identifier: MIT */
/*
 * Types and their unification. Depth of a type is bounded by the depth of the expression that it
 * came from (SL_CEL_DEPTH_MAX), so walking by recursion is bounded too; the number of steps is
 * counted because types share parts.
 */
#include "nodes/script/cel/type.h"

#include <stdio.h>
#include <string.h>

#include "core/base/assertion.h"

const struct sl_cel_type sl_cel_type_dyn = {.kind = SL_CEL_T_DYN};
const struct sl_cel_type sl_cel_type_ip = {.kind = SL_CEL_T_OPAQUE, .name = "net.IP"};
const struct sl_cel_type sl_cel_type_cidr = {.kind = SL_CEL_T_OPAQUE, .name = "net.CIDR"};

static const char *const optional_name = "optional_type";

const struct sl_cel_type *sl_cel_type_simple(enum sl_cel_type_kind kind)
{
    static const struct sl_cel_type types[] = {
        {.kind = SL_CEL_T_DYN},      {.kind = SL_CEL_T_NULL},  {.kind = SL_CEL_T_BOOL},
        {.kind = SL_CEL_T_INT},      {.kind = SL_CEL_T_UINT},  {.kind = SL_CEL_T_DOUBLE},
        {.kind = SL_CEL_T_STRING},   {.kind = SL_CEL_T_BYTES}, {.kind = SL_CEL_T_TIMESTAMP},
        {.kind = SL_CEL_T_DURATION}, {.kind = SL_CEL_T_ERROR},
    };
    sl_assert(kind <= SL_CEL_T_ERROR);
    return &types[kind];
}

static struct sl_cel_type *type_new(struct sl_cel_arena *arena, enum sl_cel_type_kind kind)
{
    struct sl_cel_type *type = sl_cel_arena_zero(arena, sizeof(*type));
    if (type != NULL) type->kind = (uint8_t)kind;
    return type;
}

static const struct sl_cel_type *type_with(struct sl_cel_arena *arena, enum sl_cel_type_kind kind,
                                           const struct sl_cel_type *a, const struct sl_cel_type *b)
{
    struct sl_cel_type *type = type_new(arena, kind);
    if (type == NULL) return NULL;
    type->params[0] = a;
    type->params[1] = b;
    type->params_count = b != NULL ? 2 : a != NULL ? 1 : 0;
    return type;
}

const struct sl_cel_type *sl_cel_type_list(struct sl_cel_arena *arena,
                                           const struct sl_cel_type *element)
{
    return type_with(arena, SL_CEL_T_LIST, element, NULL);
}

const struct sl_cel_type *sl_cel_type_map(struct sl_cel_arena *arena, const struct sl_cel_type *key,
                                          const struct sl_cel_type *value)
{
    return type_with(arena, SL_CEL_T_MAP, key, value);
}

const struct sl_cel_type *sl_cel_type_of(struct sl_cel_arena *arena, const struct sl_cel_type *type)
{
    return type_with(arena, SL_CEL_T_TYPE, type, NULL);
}

const struct sl_cel_type *sl_cel_type_opaque(struct sl_cel_arena *arena, const char *name,
                                             const struct sl_cel_type *const *params,
                                             uint32_t params_count)
{
    sl_assert(params_count <= SL_CEL_TYPE_PARAMS_MAX);
    struct sl_cel_type *type = type_new(arena, SL_CEL_T_OPAQUE);
    if (type == NULL) return NULL;
    type->name = name;
    type->params_count = (uint8_t)params_count;
    for (uint32_t i = 0; i < params_count; i++) type->params[i] = params[i];
    return type;
}

const struct sl_cel_type *sl_cel_type_optional(struct sl_cel_arena *arena,
                                               const struct sl_cel_type *type)
{
    return sl_cel_type_opaque(arena, optional_name, &type, 1);
}

const struct sl_cel_type *sl_cel_type_param(struct sl_cel_arena *arena, uint32_t param)
{
    struct sl_cel_type *type = type_new(arena, SL_CEL_T_PARAM);
    if (type != NULL) type->param = param;
    return type;
}

bool sl_cel_type_is_optional(const struct sl_cel_type *type)
{
    return type->kind == SL_CEL_T_OPAQUE && strcmp(type->name, optional_name) == 0;
}

static bool same_head(const struct sl_cel_type *a, const struct sl_cel_type *b)
{
    if (a->kind != b->kind || a->params_count != b->params_count) return false;
    if (a->kind == SL_CEL_T_PARAM) return a->param == b->param;
    return a->kind != SL_CEL_T_OPAQUE || strcmp(a->name, b->name) == 0;
}

bool sl_cel_type_equal(const struct sl_cel_type *a, const struct sl_cel_type *b)
{
    if (a == b) return true;
    if (!same_head(a, b)) return false;
    for (uint32_t i = 0; i < a->params_count; i++) {
        if (!sl_cel_type_equal(a->params[i], b->params[i])) return false;
    }
    return true;
}

static const char *type_name(const struct sl_cel_type *type)
{
    static const char *const names[] = {
        "dyn",   "null",      "bool",     "int",   "uint", "double", "string",
        "bytes", "timestamp", "duration", "error", "list", "map",    "type",
    };
    if (type->kind == SL_CEL_T_OPAQUE) return type->name;
    return type->kind == SL_CEL_T_PARAM ? "_" : names[type->kind];
}

size_t sl_cel_type_format(const struct sl_cel_type *type, char *buf, size_t buf_size)
{
    sl_assert(buf_size > 0);
    size_t at = (size_t)snprintf(buf, buf_size, "%s", type_name(type));
    if (at >= buf_size) return buf_size - 1;
    for (uint32_t i = 0; i < type->params_count && at + 2 < buf_size; i++) {
        at += (size_t)snprintf(buf + at, buf_size - at, i == 0 ? "(" : ", ");
        if (at + 1 < buf_size) at += sl_cel_type_format(type->params[i], buf + at, buf_size - at);
    }
    if (type->params_count > 0 && at + 1 < buf_size) {
        buf[at++] = ')';
        buf[at] = '\0';
    }
    return at;
}

/* ------------------------------------------------------------------------------------------ */
/* Unification                                                                                  */

static bool step(struct sl_cel_subst *subst)
{
    if (++subst->steps > SL_CEL_TYPE_STEPS_MAX) subst->failed = true;
    return !subst->failed;
}

const struct sl_cel_type *sl_cel_subst_fresh(struct sl_cel_subst *subst)
{
    if (subst->count == subst->cap) {
        uint32_t cap = subst->cap ? subst->cap * 2 : 64;
        const struct sl_cel_type **types = sl_cel_arena_grow(
            subst->arena, subst->types, subst->cap * sizeof(*types), cap * sizeof(*types));
        if (types == NULL) {
            subst->failed = true;
            return &sl_cel_type_dyn;
        }
        subst->types = types;
        subst->cap = cap;
    }
    subst->types[subst->count] = NULL;
    const struct sl_cel_type *type =
        sl_cel_type_param(subst->arena, SL_CEL_PARAM_FIRST + subst->count);
    if (type == NULL) {
        subst->failed = true;
        return &sl_cel_type_dyn;
    }
    subst->count++;
    return type;
}

static const struct sl_cel_type *rebuilt(struct sl_cel_subst *subst, const struct sl_cel_type *type,
                                         const struct sl_cel_type *const *params)
{
    if (memcmp(params, type->params, type->params_count * sizeof(*params)) == 0) return type;
    struct sl_cel_type *copy = type_new(subst->arena, (enum sl_cel_type_kind)type->kind);
    if (copy == NULL) {
        subst->failed = true;
        return &sl_cel_type_dyn;
    }
    *copy = *type;
    memcpy(copy->params, params, type->params_count * sizeof(*params));
    return copy;
}

const struct sl_cel_type *sl_cel_subst_instance(struct sl_cel_subst *subst,
                                                const struct sl_cel_type *type,
                                                const struct sl_cel_type **own)
{
    if (type->kind == SL_CEL_T_PARAM && type->param < SL_CEL_PARAM_FIRST) {
        if (own[type->param] == NULL) own[type->param] = sl_cel_subst_fresh(subst);
        return own[type->param];
    }
    const struct sl_cel_type *params[SL_CEL_TYPE_PARAMS_MAX];
    for (uint32_t i = 0; i < type->params_count; i++) {
        params[i] = sl_cel_subst_instance(subst, type->params[i], own);
    }
    return rebuilt(subst, type, params);
}

static const struct sl_cel_type *find(const struct sl_cel_subst *subst,
                                      const struct sl_cel_type *param)
{
    sl_assert(param->kind == SL_CEL_T_PARAM);
    if (param->param < SL_CEL_PARAM_FIRST) return NULL;
    return subst->types[param->param - SL_CEL_PARAM_FIRST];
}

static void learn(struct sl_cel_subst *subst, const struct sl_cel_type *param,
                  const struct sl_cel_type *type)
{
    if (param->param < SL_CEL_PARAM_FIRST) return;
    uint32_t index = param->param - SL_CEL_PARAM_FIRST;
    if (subst->trail_count == subst->trail_cap) {
        uint32_t cap = subst->trail_cap ? subst->trail_cap * 2 : 64;
        struct sl_cel_learned *trail = sl_cel_arena_grow(
            subst->arena, subst->trail, subst->trail_cap * sizeof(*trail), cap * sizeof(*trail));
        if (trail == NULL) {
            subst->failed = true;
            return;
        }
        subst->trail = trail;
        subst->trail_cap = cap;
    }
    subst->trail[subst->trail_count++] = (struct sl_cel_learned){subst->types[index], index};
    subst->types[index] = type;
}

static bool is_general(const struct sl_cel_type *type)
{
    return type->kind == SL_CEL_T_DYN || type->kind == SL_CEL_T_PARAM;
}

/* True if `a` says no more than `b`. */
static bool less_specific(struct sl_cel_subst *subst, const struct sl_cel_type *a,
                          const struct sl_cel_type *b)
{
    if (!step(subst)) return true;
    if (is_general(a)) return true;
    if (is_general(b)) return false;
    if (a->kind == SL_CEL_T_TYPE && b->kind == SL_CEL_T_TYPE) return true;
    if (!same_head(a, b)) return false;
    for (uint32_t i = 0; i < a->params_count; i++) {
        if (!less_specific(subst, a->params[i], b->params[i])) return false;
    }
    return true;
}

static const struct sl_cel_type *
more_general(struct sl_cel_subst *subst, const struct sl_cel_type *a, const struct sl_cel_type *b)
{
    if (b->kind == SL_CEL_T_NULL) return a; /* null is a value of the other */
    if (a->kind == SL_CEL_T_NULL) return b;
    return less_specific(subst, a, b) ? a : b;
}

/* True if `param` stands somewhere in `type`. */
static bool occurs(struct sl_cel_subst *subst, const struct sl_cel_type *param,
                   const struct sl_cel_type *type)
{
    if (!step(subst)) return true;
    if (type->kind == SL_CEL_T_PARAM) {
        if (type->param == param->param) return true;
        const struct sl_cel_type *known = find(subst, type);
        return known != NULL && occurs(subst, param, known);
    }
    for (uint32_t i = 0; i < type->params_count; i++) {
        if (occurs(subst, param, type->params[i])) return true;
    }
    return false;
}

static bool assignable(struct sl_cel_subst *subst, const struct sl_cel_type *from,
                       const struct sl_cel_type *to);

enum fit { FIT_NO, FIT_YES, FIT_NEW };

/* Let `param` stand for `type` as well as for what it stands for already. */
static enum fit fits_param(struct sl_cel_subst *subst, const struct sl_cel_type *type,
                           const struct sl_cel_type *param)
{
    if (sl_cel_type_equal(type, param)) return FIT_YES;
    const struct sl_cel_type *known = find(subst, param);
    if (known != NULL) {
        if (sl_cel_type_equal(type, known)) return FIT_YES;
        if (!assignable(subst, type, known)) return FIT_NO;
        const struct sl_cel_type *general = more_general(subst, type, known);
        if (!occurs(subst, param, general)) learn(subst, param, general);
        return FIT_YES;
    }
    if (occurs(subst, param, type)) return FIT_NO;
    learn(subst, param, type);
    return FIT_NEW;
}

/* null is a value of every type that stands for an object. */
static bool null_fits(const struct sl_cel_type *type)
{
    return type->kind == SL_CEL_T_NULL || type->kind == SL_CEL_T_OPAQUE ||
           type->kind == SL_CEL_T_TIMESTAMP || type->kind == SL_CEL_T_DURATION ||
           type->kind == SL_CEL_T_ERROR;
}

static bool assignable(struct sl_cel_subst *subst, const struct sl_cel_type *from,
                       const struct sl_cel_type *to)
{
    if (!step(subst)) return true;
    if (to->kind == SL_CEL_T_PARAM) {
        enum fit fit = fits_param(subst, from, to);
        if (fit != FIT_NO || from->kind != SL_CEL_T_PARAM) return fit != FIT_NO;
    }
    if (from->kind == SL_CEL_T_PARAM) return fits_param(subst, to, from) != FIT_NO;
    if (from->kind == SL_CEL_T_DYN || to->kind == SL_CEL_T_DYN) return true;
    if (from->kind == SL_CEL_T_NULL) return null_fits(to);
    if (to->kind == SL_CEL_T_NULL) return null_fits(from);
    if (from->kind == SL_CEL_T_TYPE && to->kind == SL_CEL_T_TYPE) return true;
    if (!same_head(from, to)) return false;
    for (uint32_t i = 0; i < from->params_count; i++) {
        if (!assignable(subst, from->params[i], to->params[i])) return false;
    }
    return true;
}

bool sl_cel_subst_assignable(struct sl_cel_subst *subst, const struct sl_cel_type *const *from,
                             const struct sl_cel_type *const *to, uint32_t count)
{
    subst->trail_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (assignable(subst, from[i], to[i])) continue;
        while (subst->trail_count > 0) {
            const struct sl_cel_learned *last = &subst->trail[--subst->trail_count];
            subst->types[last->index] = last->before;
        }
        return false;
    }
    return true;
}

const struct sl_cel_type *sl_cel_subst_apply(struct sl_cel_subst *subst,
                                             const struct sl_cel_type *type, bool dyn)
{
    if (!step(subst)) return &sl_cel_type_dyn;
    if (type->kind == SL_CEL_T_PARAM) {
        const struct sl_cel_type *known = find(subst, type);
        if (known != NULL) return sl_cel_subst_apply(subst, known, dyn);
        return dyn ? &sl_cel_type_dyn : type;
    }
    const struct sl_cel_type *params[SL_CEL_TYPE_PARAMS_MAX];
    for (uint32_t i = 0; i < type->params_count; i++) {
        params[i] = sl_cel_subst_apply(subst, type->params[i], dyn);
    }
    return rebuilt(subst, type, params);
}

const struct sl_cel_type *sl_cel_subst_join(struct sl_cel_subst *subst, const struct sl_cel_type *a,
                                            const struct sl_cel_type *b)
{
    if (a == NULL) return b;
    if (!sl_cel_subst_assignable(subst, &a, &b, 1)) return &sl_cel_type_dyn;
    return more_general(subst, a, b);
}
