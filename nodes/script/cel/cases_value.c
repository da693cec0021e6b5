/* SPDX-License-Identifier: MIT */
/* Values and types of files of cases; see cases_value.h. Depth is that of the JSON, bounded. */
#include "nodes/script/cel/cases_value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"

enum { SAME_DEPTH_MAX = 200 };

static struct sl_slice text_of(struct sl_value json)
{
    return sl_value_is(json, SL_VALUE_STRING) ? sl_value_slice(json) : (struct sl_slice){NULL, 0};
}

/* A number written as a number or as decimal text. */
static bool read_integer(struct sl_value json, bool is_unsigned, uint64_t *ret)
{
    if (sl_value_is(json, SL_VALUE_INT) || sl_value_is(json, SL_VALUE_UINT)) {
        *ret = json.cell->word;
        return true;
    }
    char buf[32];
    struct sl_slice text = text_of(json);
    if (text.size == 0 || text.size >= sizeof(buf)) return false;
    memcpy(buf, text.data, text.size);
    buf[text.size] = '\0';
    char *end;
    *ret = is_unsigned ? strtoull(buf, &end, 10) : (uint64_t)strtoll(buf, &end, 10);
    return *end == '\0';
}

static bool read_double(struct sl_value json, struct sl_cel_val *ret)
{
    struct sl_slice text = text_of(json);
    double value = 0;
    if (sl_slice_eq_str(text, "NaN")) value = NAN;
    if (sl_slice_eq_str(text, "Infinity")) value = INFINITY;
    if (sl_slice_eq_str(text, "-Infinity")) value = -INFINITY;
    if (sl_value_is(json, SL_VALUE_FLOAT)) value = json.cell->f64;
    if (sl_value_is(json, SL_VALUE_INT)) value = (double)json.cell->i64;
    if (sl_value_is(json, SL_VALUE_UINT)) value = (double)json.cell->word;
    *ret = sl_cel_double(value);
    return text.size > 0 || sl_value_is_number(json);
}

static bool read_bytes(struct sl_cel_eval *eval, struct sl_value json, struct sl_cel_val *ret)
{
    uint32_t cursor = 0;
    struct sl_slice text = text_of(json);
    struct sl_cel_val arg = sl_cel_string(text.data, text.size, 0);
    const struct sl_cel_val *args[1] = {&arg};
    const struct sl_cel_function *decode = sl_cel_function_next(SL_SLICE("base64.decode"), &cursor);
    return decode->call(eval, args, ret);
}

/* Timestamps and durations; other messages do not exist here. */
static bool read_object(struct sl_value json, struct sl_cel_val *ret)
{
    struct sl_slice type = text_of(sl_value_get_str(json, "@type"));
    struct sl_value field = sl_value_get_str(json, "seconds");
    uint64_t seconds = 0;
    uint64_t nanos = 0;
    if (field.cell != NULL && !read_integer(field, false, &seconds)) return false;
    field = sl_value_get_str(json, "nanos");
    if (field.cell != NULL && !read_integer(field, false, &nanos)) return false;
    if (sl_slice_eq_str(type, "type.googleapis.com/google.protobuf.Timestamp")) {
        *ret = sl_cel_timestamp((int64_t)seconds, (uint32_t)nanos);
        return true;
    }
    *ret = sl_cel_duration((int64_t)seconds * 1000000000 + (int64_t)nanos);
    return sl_slice_eq_str(type, "type.googleapis.com/google.protobuf.Duration");
}

static bool read_list(struct sl_cel_eval *eval, struct sl_value json, struct sl_cel_val *ret)
{
    struct sl_value values = sl_value_get_str(json, "values");
    uint32_t count = values.cell != NULL ? sl_value_count(values) : 0;
    if (!sl_cel_list_new(eval, count, ret)) return false;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_cel_val item;
        if (!sl_cel_case_value(eval, sl_value_list_at(values, i), &item)) return false;
        if (!sl_cel_list_push(eval, ret->list, &item)) return false;
    }
    return true;
}

static bool read_map(struct sl_cel_eval *eval, struct sl_value json, struct sl_cel_val *ret)
{
    struct sl_value entries = sl_value_get_str(json, "entries");
    uint32_t count = entries.cell != NULL ? sl_value_count(entries) : 0;
    if (!sl_cel_map_new(eval, count, ret)) return false;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_value entry = sl_value_list_at(entries, i);
        struct sl_cel_val key;
        struct sl_cel_val val;
        if (!sl_cel_case_value(eval, sl_value_get_str(entry, "key"), &key)) return false;
        if (!sl_cel_case_value(eval, sl_value_get_str(entry, "value"), &val)) return false;
        if (!sl_cel_map_put(eval, ret->map, &key, &val)) return false;
    }
    return true;
}

static const char *const value_names[] = {
    "null_value",  "bool_value", "int64_value", "uint64_value", "double_value", "string_value",
    "bytes_value", "list_value", "map_value",   "type_value",   "object_value",
};

bool sl_cel_case_value(struct sl_cel_eval *eval, struct sl_value json, struct sl_cel_val *ret)
{
    if (!sl_value_is(json, SL_VALUE_MAP) || sl_value_count(json) != 1) return false;
    struct sl_slice name = sl_value_key_at(json, 0);
    struct sl_value of = sl_value_map_at(json, 0);
    struct sl_slice text = text_of(of);
    uint64_t number = 0;
    size_t at = 0;
    while (at < 11 && !sl_slice_eq_str(name, value_names[at])) at++;
    switch (at) {
    case 0: *ret = sl_cel_null(); return true;
    case 1: *ret = sl_cel_bool(of.cell->word != 0); return sl_value_is(of, SL_VALUE_BOOL);
    case 2:
        if (!read_integer(of, false, &number)) return false;
        *ret = sl_cel_int((int64_t)number);
        return true;
    case 3:
        if (!read_integer(of, true, &number)) return false;
        *ret = sl_cel_uint(number);
        return true;
    case 4: return read_double(of, ret);
    case 5: *ret = sl_cel_string(text.data, text.size, 0); return sl_value_is(of, SL_VALUE_STRING);
    case 6: return read_bytes(eval, of, ret);
    case 7: return read_list(eval, of, ret);
    case 8: return read_map(eval, of, ret);
    case 9:
        *ret = sl_cel_string(text.data, text.size, 0);
        ret->kind = SL_CEL_TYPE;
        return true;
    case 10: return read_object(of, ret);
    default: return false;
    }
}

/* ------------------------------------------------------------------------------------------ */
/* Types                                                                                        */

static const struct sl_cel_type *simple_named(struct sl_slice name)
{
    static const struct {
        const char *name;
        enum sl_cel_type_kind kind;
    } names[] = {
        {"BOOL", SL_CEL_T_BOOL},
        {"INT64", SL_CEL_T_INT},
        {"UINT64", SL_CEL_T_UINT},
        {"DOUBLE", SL_CEL_T_DOUBLE},
        {"STRING", SL_CEL_T_STRING},
        {"BYTES", SL_CEL_T_BYTES},
        {"TIMESTAMP", SL_CEL_T_TIMESTAMP},
        {"DURATION", SL_CEL_T_DURATION},
        {"google.protobuf.Timestamp", SL_CEL_T_TIMESTAMP},
        {"google.protobuf.Duration", SL_CEL_T_DURATION},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (sl_slice_eq_str(name, names[i].name)) return sl_cel_type_simple(names[i].kind);
    }
    return NULL;
}

static const struct sl_cel_type *read_param(struct sl_cel_arena *arena, struct sl_slice name,
                                            struct sl_cel_case_params *params)
{
    uint32_t at = 0;
    while (at < params->count && !sl_slice_eq(params->names[at], name)) at++;
    if (at == 16) return NULL;
    if (at == params->count) params->names[params->count++] = name;
    return sl_cel_type_param(arena, at);
}

static const struct sl_cel_type *read_abstract(struct sl_cel_arena *arena, struct sl_value json,
                                               struct sl_cel_case_params *params)
{
    const struct sl_cel_type *types[SL_CEL_TYPE_PARAMS_MAX];
    struct sl_value list = sl_value_get_str(json, "parameter_types");
    uint32_t count = list.cell != NULL ? sl_value_count(list) : 0;
    struct sl_slice name = text_of(sl_value_get_str(json, "name"));
    char *copy = sl_cel_arena_zero(arena, name.size + 1);
    if (copy == NULL || count > SL_CEL_TYPE_PARAMS_MAX) return NULL;
    if (name.size > 0) memcpy(copy, name.data, name.size);
    for (uint32_t i = 0; i < count; i++) {
        types[i] = sl_cel_case_type(arena, sl_value_list_at(list, i), params);
        if (types[i] == NULL) return NULL;
    }
    return sl_cel_type_opaque(arena, copy, types, count);
}

const struct sl_cel_type *sl_cel_case_type(struct sl_cel_arena *arena, struct sl_value json,
                                           struct sl_cel_case_params *params)
{
    if (!sl_value_is(json, SL_VALUE_MAP) || sl_value_count(json) != 1) return NULL;
    struct sl_slice name = sl_value_key_at(json, 0);
    struct sl_value of = sl_value_map_at(json, 0);
    if (sl_slice_eq_str(name, "dyn")) return &sl_cel_type_dyn;
    if (sl_slice_eq_str(name, "null")) return sl_cel_type_simple(SL_CEL_T_NULL);
    if (sl_slice_eq_str(name, "type_param")) return read_param(arena, text_of(of), params);
    if (sl_slice_eq_str(name, "abstract_type")) return read_abstract(arena, of, params);
    if (sl_value_is(of, SL_VALUE_STRING)) return simple_named(sl_value_slice(of));
    if (sl_slice_eq_str(name, "list_type")) {
        const struct sl_cel_type *element =
            sl_cel_case_type(arena, sl_value_get_str(of, "elem_type"), params);
        return element != NULL ? sl_cel_type_list(arena, element) : NULL;
    }
    if (sl_slice_eq_str(name, "map_type")) {
        const struct sl_cel_type *key =
            sl_cel_case_type(arena, sl_value_get_str(of, "key_type"), params);
        const struct sl_cel_type *value =
            sl_cel_case_type(arena, sl_value_get_str(of, "value_type"), params);
        return key != NULL && value != NULL ? sl_cel_type_map(arena, key, value) : NULL;
    }
    if (sl_slice_eq_str(name, "type")) {
        const struct sl_cel_type *inner = sl_cel_case_type(arena, of, params);
        return sl_cel_type_of(arena, inner != NULL ? inner : &sl_cel_type_dyn);
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------ */

static bool same_items(struct sl_cel_eval *eval, const struct sl_cel_val *a,
                       const struct sl_cel_val *b, uint32_t depth)
{
    uint32_t count = sl_cel_count(a);
    if (count != sl_cel_count(b)) return false;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_cel_val left;
        struct sl_cel_val right;
        if (a->kind == SL_CEL_LIST) {
            if (!sl_cel_list_at(eval, a, i, &left) || !sl_cel_list_at(eval, b, i, &right))
                return false;
        } else {
            struct sl_cel_val key;
            if (!sl_cel_map_at(eval, a, i, &key, &left)) return false;
            if (sl_cel_map_find(eval, b, &key, &right) <= 0) return false;
        }
        if (!sl_cel_case_same(eval, &left, &right, depth + 1)) return false;
    }
    return true;
}

bool sl_cel_case_same(struct sl_cel_eval *eval, const struct sl_cel_val *a,
                      const struct sl_cel_val *b, uint32_t depth)
{
    if (a->kind != b->kind || depth > SAME_DEPTH_MAX) return false;
    if (a->kind == SL_CEL_DOUBLE && isnan(a->d) && isnan(b->d)) return true;
    if (a->kind == SL_CEL_LIST || a->kind == SL_CEL_MAP) return same_items(eval, a, b, depth);
    return sl_cel_equal(eval, a, b) == 1;
}
