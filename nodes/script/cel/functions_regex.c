/* SPDX-License-Identifier: MIT */
/*
 * matches() with an expression that is not constant (a constant one has its own instruction), and
 * the regex library (cel-go, ext: Regex). The cost is length times size of the compiled program.
 */
#include <string.h>

#include "core/base/assertion.h"
#include "nodes/script/cel/eval.h"

typedef const struct sl_cel_val *const *args_t;

/* The compiled form of a pattern; NULL after a failure. */
static const struct sl_cel_regex *compiled(struct sl_cel_eval *eval,
                                           const struct sl_cel_val *pattern)
{
    char error[200];
    bool is_new = false;
    const struct sl_cel_regex *regex = NULL;
    error[0] = '\0';
    if (eval->instance == NULL) {
        (void)sl_cel_fail(eval, "not now");
        return NULL;
    }
    if (eval->instance->shard->regexes == NULL) {
        eval->instance->shard->regexes = sl_cel_regex_cache_new();
    }
    if (eval->instance->shard->regexes != NULL) {
        regex = sl_cel_regex_cache_get(eval->instance->shard->regexes, pattern->ptr, pattern->len,
                                       &is_new, error, sizeof(error));
    }
    if (regex == NULL) {
        if (error[0] == '\0') (void)sl_cel_fail_memory(eval);
        if (error[0] != '\0') (void)sl_cel_fail(eval, "invalid regular expression: %s", error);
        return NULL;
    }
    uint64_t cost = is_new ? 200 + (uint64_t)sl_cel_regex_size(regex) * 4 : 1;
    return sl_cel_charge(eval, cost) ? regex : NULL;
}

static bool charge_match(struct sl_cel_eval *eval, const struct sl_cel_regex *regex, uint64_t size)
{
    return sl_cel_charge(eval, 1 + size * sl_cel_regex_size(regex) / 64);
}

static bool call_matches(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    const struct sl_cel_regex *regex = compiled(eval, args[1]);
    if (regex == NULL || !charge_match(eval, regex, args[0]->len)) return false;
    *ret = sl_cel_bool(sl_cel_regex_match(regex, args[0]->ptr, args[0]->len));
    return true;
}

/* The part of a text that a group took. */
static struct sl_cel_val part(const struct sl_cel_val *text, const struct sl_cel_regex_group *group)
{
    struct sl_cel_val val = *text;
    val.ptr = text->ptr + group->start;
    val.len = (uint32_t)(group->end - group->start);
    return val;
}

/* The next match at or behind `from`; *ret_next is where to look for another. */
static bool find(struct sl_cel_eval *eval, const struct sl_cel_regex *regex,
                 const struct sl_cel_val *text, size_t from, struct sl_cel_regex_group *groups,
                 uint32_t count, int *ret_found)
{
    *ret_found = 0;
    if (from > text->len) return true;
    if (!charge_match(eval, regex, text->len - from)) return false;
    *ret_found = sl_cel_regex_find(regex, text->ptr, text->len, from, groups, count);
    return true;
}

static const struct sl_cel_regex *extracting(struct sl_cel_eval *eval, args_t args,
                                             uint32_t *ret_group)
{
    const struct sl_cel_regex *regex = compiled(eval, args[1]);
    if (regex == NULL) return NULL;
    *ret_group = sl_cel_regex_groups(regex);
    if (*ret_group <= 1) return regex;
    (void)sl_cel_fail(eval, "regular expression has more than one capturing group");
    return NULL;
}

static bool call_extract(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    struct sl_cel_regex_group groups[2];
    uint32_t group;
    int found;
    const struct sl_cel_regex *regex = extracting(eval, args, &group);
    if (regex == NULL || !find(eval, regex, args[0], 0, groups, group + 1, &found)) return false;
    *ret = sl_cel_optional(NULL);
    if (!found || groups[group].start < 0) return true;
    struct sl_cel_val val = part(args[0], &groups[group]);
    return sl_cel_optional_some(eval, &val, ret);
}

/* Where to look on behind a match; an empty one moves by a code point. */
static size_t behind(const struct sl_cel_val *text, const struct sl_cel_regex_group *whole)
{
    size_t next = (size_t)whole->end;
    if (whole->end > whole->start) return next;
    next++;
    while (next < text->len && (text->ptr[next] & 0xc0) == 0x80) next++;
    return next;
}

static bool call_extract_all(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    struct sl_cel_regex_group groups[2];
    uint32_t group;
    int found = 1;
    const struct sl_cel_regex *regex = extracting(eval, args, &group);
    if (regex == NULL || !sl_cel_list_new(eval, 0, ret)) return false;
    for (size_t at = 0; found;) {
        if (!find(eval, regex, args[0], at, groups, group + 1, &found)) return false;
        if (!found) break;
        at = behind(args[0], &groups[0]);
        if (groups[group].start < 0) continue;
        struct sl_cel_val val = part(args[0], &groups[group]);
        if (!sl_cel_list_push(eval, ret->list, &val)) return false;
    }
    return true;
}

/* The replacement with \1 … \9 put in. */
static bool put_replacement(struct sl_cel_text *text, const struct sl_cel_val *with,
                            const struct sl_cel_val *source,
                            const struct sl_cel_regex_group *groups, uint32_t count)
{
    for (uint32_t i = 0; i < with->len; i++) {
        if (with->ptr[i] != '\\') {
            if (!sl_cel_text_put(text, with->ptr + i, 1)) return false;
            continue;
        }
        uint8_t c = ++i < with->len ? with->ptr[i] : 0;
        if (c == '\\') {
            if (!sl_cel_text_put(text, "\\", 1)) return false;
            continue;
        }
        if (c < '0' || c > '9' || (uint32_t)(c - '0') >= count) {
            return sl_cel_fail(text->eval, "invalid replacement string");
        }
        if (groups[c - '0'].start < 0) continue;
        struct sl_cel_val taken = part(source, &groups[c - '0']);
        if (!sl_cel_text_put(text, taken.ptr, taken.len)) return false;
    }
    return true;
}

static bool replace(struct sl_cel_eval *eval, args_t args, int64_t limit, struct sl_cel_val *ret)
{
    struct sl_cel_regex_group groups[SL_CEL_REGEX_GROUPS];
    const struct sl_cel_val *source = args[0];
    struct sl_cel_text text = {.eval = eval};
    const struct sl_cel_regex *regex = compiled(eval, args[1]);
    if (regex == NULL) return false;
    uint32_t count = sl_cel_regex_groups(regex) + 1;
    if (count > SL_CEL_REGEX_GROUPS) count = SL_CEL_REGEX_GROUPS;
    size_t copied = 0;
    size_t at = 0;
    for (; limit != 0; limit--) {
        int found;
        if (!find(eval, regex, source, at, groups, count, &found)) return false;
        if (!found) break;
        if (!sl_cel_text_put(&text, source->ptr + copied, (size_t)groups[0].start - copied)) {
            return false;
        }
        if (!put_replacement(&text, args[2], source, groups, count)) return false;
        copied = (size_t)groups[0].end;
        at = behind(source, &groups[0]);
    }
    return sl_cel_text_put(&text, source->ptr + copied, source->len - copied) &&
           sl_cel_text_finish(&text, ret);
}

static bool call_replace(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return replace(eval, args, -1, ret);
}

static bool call_replace_limit(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return replace(eval, args, args[3]->i < 0 ? -1 : args[3]->i, ret);
}

const struct sl_cel_function sl_cel_functions_regex[] = {
    {"matches", "ss>b", call_matches},
    {"matches", "s.s>b", call_matches},
    {"regex.replace", "sss>s", call_replace},
    {"regex.replace", "sssi>s", call_replace_limit},
    {"regex.extract", "ss>?s", call_extract},
    {"regex.extractAll", "ss>[s", call_extract_all},
    {NULL, NULL, NULL},
};
