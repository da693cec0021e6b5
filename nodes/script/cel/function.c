/* SPDX-License-Identifier: MIT */
/* The tables of functions and the reader of their signatures; see function.h. */
#include "nodes/script/cel/function.h"

#include <string.h>

#include "core/base/assertion.h"

#define ORDERED(name)                                                                              \
    {name, "bb>b", NULL}, {name, "ii>b", NULL}, {name, "uu>b", NULL}, {name, "dd>b", NULL},        \
        {name, "ss>b", NULL}, {name, "yy>b", NULL}, {name, "tt>b", NULL}, {name, "DD>b", NULL},    \
        {name, "iu>b", NULL}, {name, "id>b", NULL}, {name, "ui>b", NULL}, {name, "ud>b", NULL},    \
        {name, "di>b", NULL},                                                                      \
    {                                                                                              \
        name, "du>b", NULL                                                                         \
    }

#define EQUALITY(name)                                                                             \
    {name, "AA>b", NULL}, {name, "iu>b", NULL}, {name, "id>b", NULL}, {name, "ui>b", NULL},        \
        {name, "ud>b", NULL}, {name, "di>b", NULL}, {name, "du>b", NULL}, {name, "es>b", NULL},    \
    {                                                                                              \
        name, "se>b", NULL                                                                         \
    }

const struct sl_cel_function sl_cel_functions_operators[] = {
    {"!_", "b>b", NULL},
    {"-_", "i>i", NULL},
    {"-_", "d>d", NULL},
    {"_+_", "ii>i", NULL},
    {"_+_", "uu>u", NULL},
    {"_+_", "dd>d", NULL},
    {"_+_", "ss>s", NULL},
    {"_+_", "yy>y", NULL},
    {"_+_", "[A[A>[A", NULL},
    {"_+_", "tD>t", NULL},
    {"_+_", "Dt>t", NULL},
    {"_+_", "DD>D", NULL},
    {"_-_", "ii>i", NULL},
    {"_-_", "uu>u", NULL},
    {"_-_", "dd>d", NULL},
    {"_-_", "tt>D", NULL},
    {"_-_", "tD>t", NULL},
    {"_-_", "DD>D", NULL},
    {"_*_", "ii>i", NULL},
    {"_*_", "uu>u", NULL},
    {"_*_", "dd>d", NULL},
    {"_/_", "ii>i", NULL},
    {"_/_", "uu>u", NULL},
    {"_/_", "dd>d", NULL},
    {"_%_", "ii>i", NULL},
    {"_%_", "uu>u", NULL},
    EQUALITY("_==_"),
    EQUALITY("_!=_"),
    ORDERED("_<_"),
    ORDERED("_<=_"),
    ORDERED("_>_"),
    ORDERED("_>=_"),
    {"@in", "A[A>b", NULL},
    {"@in", "A{AB>b", NULL},
    {"_[_]", "[Ai>A", NULL},
    {"_[_]", "{ABA>B", NULL},
    {"_[_]", "?[Ai>?A", NULL},
    {"_[_]", "?{ABA>?B", NULL},
    {"_[?_]", "[Ai>?A", NULL},
    {"_[?_]", "{ABA>?B", NULL},
    {"_[?_]", "?[Ai>?A", NULL},
    {"_[?_]", "?{ABA>?B", NULL},
    {NULL, NULL, NULL},
};

const struct sl_cel_function *const sl_cel_functions[] = {
    sl_cel_functions_operators, sl_cel_functions_standard,
    sl_cel_functions_strings,   sl_cel_functions_time,
    sl_cel_functions_math,      sl_cel_functions_lists,
    sl_cel_functions_optional,  sl_cel_functions_network,
    sl_cel_functions_regex,     NULL,
};

enum { ALL_KINDS = (1 << SL_CEL_FAILED) - 1 };

static const struct {
    char letter;
    uint8_t type; /* enum sl_cel_type_kind */
    uint8_t kind; /* enum sl_cel_kind */
} letters[] = {
    {'n', SL_CEL_T_NULL, SL_CEL_NULL},         {'b', SL_CEL_T_BOOL, SL_CEL_BOOL},
    {'i', SL_CEL_T_INT, SL_CEL_INT},           {'u', SL_CEL_T_UINT, SL_CEL_UINT},
    {'d', SL_CEL_T_DOUBLE, SL_CEL_DOUBLE},     {'s', SL_CEL_T_STRING, SL_CEL_STRING},
    {'y', SL_CEL_T_BYTES, SL_CEL_BYTES},       {'t', SL_CEL_T_TIMESTAMP, SL_CEL_TIMESTAMP},
    {'D', SL_CEL_T_DURATION, SL_CEL_DURATION}, {'e', SL_CEL_T_ERROR, SL_CEL_ERROR},
};

/* Signatures are written here, not outside: their depth is known to be small. */
static const struct sl_cel_type *read_type(const char **at, struct sl_cel_arena *arena,
                                           uint32_t *ret_kinds)
{
    uint32_t ignored;
    char c = *(*at)++;
    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
        if (letters[i].letter != c) continue;
        *ret_kinds = 1U << letters[i].kind;
        return sl_cel_type_simple((enum sl_cel_type_kind)letters[i].type);
    }
    *ret_kinds = ALL_KINDS;
    if (c == '*') return &sl_cel_type_dyn;
    if (c == 'A' || c == 'B') return sl_cel_type_param(arena, (uint32_t)(c - 'A'));
    *ret_kinds = c == 'I' ? 1U << SL_CEL_IP : 1U << SL_CEL_CIDR;
    if (c == 'I' || c == 'c') return c == 'I' ? &sl_cel_type_ip : &sl_cel_type_cidr;
    const struct sl_cel_type *first = read_type(at, arena, &ignored);
    if (first == NULL) return NULL;
    *ret_kinds = c == '[' ? 1U << SL_CEL_LIST : c == '?' ? 1U << SL_CEL_OPTIONAL : 1U << SL_CEL_MAP;
    if (c == '[') return sl_cel_type_list(arena, first);
    if (c == '?') return sl_cel_type_optional(arena, first);
    if (c == '@') return sl_cel_type_of(arena, first);
    sl_assert(c == '{');
    const struct sl_cel_type *second = read_type(at, arena, &ignored);
    return second != NULL ? sl_cel_type_map(arena, first, second) : NULL;
}

bool sl_cel_signature_read(const char *signature, struct sl_cel_arena *arena,
                           struct sl_cel_signature *ret)
{
    const char *at = signature;
    *ret = (struct sl_cel_signature){0};
    while (*at != '>') {
        if (*at == '.') {
            ret->member = true;
            at++;
            continue;
        }
        sl_assert(ret->count < SL_CEL_CALL_ARGS_MAX);
        ret->args[ret->count] = read_type(&at, arena, &ret->kinds[ret->count]);
        if (ret->args[ret->count] == NULL) return false;
        ret->count++;
    }
    at++;
    uint32_t ignored;
    ret->result = read_type(&at, arena, &ignored);
    return ret->result != NULL;
}

const struct sl_cel_function *sl_cel_function_next(struct sl_slice name, uint32_t *cursor)
{
    uint32_t at = 0;
    for (uint32_t table = 0; sl_cel_functions[table] != NULL; table++) {
        for (const struct sl_cel_function *row = sl_cel_functions[table]; row->name; row++, at++) {
            if (at < *cursor || !sl_slice_eq_str(name, row->name)) continue;
            *cursor = at + 1;
            return row;
        }
    }
    return NULL;
}

bool sl_cel_function_exists(struct sl_slice name)
{
    uint32_t cursor = 0;
    return sl_cel_function_next(name, &cursor) != NULL;
}
