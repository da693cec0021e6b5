/* SPDX-License-Identifier: MIT */
#include "nodes/script/js/uses.h"

#include <string.h>

#include "core/base/assertion.h"
#include "core/base/hash.h"

/* A place in the text; `at` == `end` reads as zero bytes. */
struct cursor {
    const char *at;
    const char *end;
};

static char peek(const struct cursor *c)
{
    return c->at < c->end ? *c->at : '\0';
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || (unsigned char)c >= 0x80;
}

static bool take(struct cursor *c, const char *text)
{
    size_t size = strlen(text);
    if ((size_t)(c->end - c->at) < size || memcmp(c->at, text, size) != 0) return false;
    c->at += size;
    return true;
}

static struct sl_slice take_word(struct cursor *c)
{
    const char *from = c->at;
    while (is_word(peek(c))) c->at++;
    return sl_slice_make(from, (size_t)(c->at - from));
}

/* The next place where `word` stands as a whole word, or NULL. */
static const char *find_word(struct sl_slice text, const char *from, struct sl_slice word)
{
    const char *start = (const char *)text.data;
    const char *end = start + text.size;
    while (from < end) {
        const char *at = memmem(from, (size_t)(end - from), word.data, word.size);
        if (at == NULL) return NULL;
        const char *behind = at + word.size;
        if ((at == start || !is_word(at[-1])) && (behind == end || !is_word(*behind))) return at;
        from = at + 1;
    }
    return NULL;
}

static bool has_word(struct sl_slice text, const char *word)
{
    return find_word(text, (const char *)text.data, sl_slice_from_str(word)) != NULL;
}

/* What is not a key of the payload but of every object. */
static bool is_inherited(struct sl_slice key)
{
    static const char *const names[] = {
        "constructor",    "hasOwnProperty",   "isPrototypeOf", "propertyIsEnumerable",
        "toLocaleString", "toString",         "valueOf",       "__proto__",
        "toJSON",         "__defineGetter__", "then",          "__defineSetter__",
        "error",          "__lookupGetter__", "message",       "__lookupSetter__"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (sl_slice_eq_str(key, names[i])) return true;
    }
    return false;
}

static bool keep(struct js_uses *uses, struct sl_slice key)
{
    if (key.size == 0 || key.size >= JS_USES_KEY_SIZE_MAX || is_inherited(key)) return false;
    for (size_t i = 0; i < key.size; i++) {
        if (key.data[i] >= 0x80) return false;
    }
    for (uint32_t i = 0; i < uses->count; i++) {
        if (uses->keys[i].size == key.size && memcmp(uses->keys[i].text, key.data, key.size) == 0) {
            return true;
        }
    }
    if (uses->count == JS_USES_MAX) return false;
    memcpy(uses->keys[uses->count].text, key.data, key.size);
    uses->keys[uses->count].text[key.size] = '\0';
    uses->keys[uses->count].size = (uint16_t)key.size;
    uses->keys[uses->count++].hash = sl_hash16(key.data, key.size);
    return true;
}

/* { a, b: c } without defaults, rest or anything inside: its keys. */
static bool take_pattern(struct cursor *c, struct js_uses *uses)
{
    if (!take(c, "{ ")) return false;
    do {
        if (!keep(uses, take_word(c))) return false;
        if (take(c, ": ") && take_word(c).size == 0) return false;
    } while (take(c, ", "));
    return take(c, " }");
}

/* What stands in the brackets: one word (size 0 for nothing), or a pattern. */
static bool take_parameter(struct cursor *c, struct sl_slice *ret_parameter, struct js_uses *uses)
{
    if (!take(c, "(")) return false;
    *ret_parameter = take_word(c);
    if (ret_parameter->size == 0 && peek(c) == '{' && !take_pattern(c, uses)) return false;
    /* A second input is another object. */
    return peek(c) == ')' || (c->at[-1] != '(' && peek(c) == ',');
}

/*
 * The place behind the name where the function is declared, as a line of the module. Nothing before
 * it may be a text of several lines, in which a line only looks like it.
 */
static const char *find_declaration(struct sl_slice body, struct sl_slice name, bool *ret_function)
{
    const char *start = (const char *)body.data;
    for (const char *at = find_word(body, start, name); at != NULL;
         at = find_word(body, at + 1, name)) {
        const char *line = at;
        while (line > start && line[-1] != '\n') line--;
        size_t before = (size_t)(at - line);
        *ret_function = before == 9 && memcmp(line, "function ", 9) == 0;
        if (!*ret_function && !(before == 4 && memcmp(line, "var ", 4) == 0)) continue;
        struct sl_slice above = sl_slice_make(start, (size_t)(line - start));
        bool clear = above.size == 0 || (memchr(start, '`', above.size) == NULL &&
                                         memmem(start, above.size, "/*", 2) == NULL);
        return clear ? at + name.size : NULL;
    }
    return NULL;
}

/* function NAME(x) · var NAME = (x) => · var NAME = function(x); async is gone by now */
static bool find_parameter(struct sl_slice body, struct sl_slice name, struct sl_slice *ret,
                           struct js_uses *uses)
{
    bool is_function;
    const char *at = find_declaration(body, name, &is_function);
    if (at == NULL) return false;
    struct cursor c = {at, (const char *)body.data + body.size};
    if (is_function) return take_parameter(&c, ret, uses);
    if (!take(&c, " = ")) return false;
    if (take(&c, "function")) {
        (void)take(&c, " ");
        (void)take_word(&c);
        return take_parameter(&c, ret, uses);
    }
    if (!take_parameter(&c, ret, uses)) return false;
    while (c.at < c.end && *c.at != ')' && *c.at != '(' && *c.at != '{') c.at++;
    return take(&c, ") => ");
}

/* A key behind the parameter: .key · ?.key · ["key"]; and the result is not called. */
static bool take_key(struct cursor *c, struct js_uses *uses)
{
    struct sl_slice key;
    if (take(c, "[\"")) {
        key = take_word(c);
        if (!take(c, "\"]")) return false;
    } else {
        (void)take(c, "?");
        if (!take(c, ".")) return false;
        key = take_word(c);
    }
    /* A function of the payload's would be called with all of it as `this`. */
    if (peek(c) == '(' || peek(c) == '`' ||
        (peek(c) == '?' && c->end - c->at > 2 && c->at[2] == '('))
        return false;
    return keep(uses, key);
}

void js_uses_find(struct sl_slice body, struct sl_slice name, struct js_uses *ret_uses)
{
    sl_assert(ret_uses != NULL);
    sl_assert(body.data != NULL);
    *ret_uses = (struct js_uses){0};
    struct js_uses uses = {.known = true};
    struct sl_slice parameter;
    if (name.size == 0 || !find_parameter(body, name, &parameter, &uses)) return;
    const char *start = (const char *)body.data;
    if (has_word(body, "arguments") || has_word(body, "eval")) return;
    /* An escape might spell the name. */
    if (memmem(start, body.size, "\\u", 2) != NULL) return;
    const char *at = parameter.size > 0 ? find_word(body, start, parameter) : NULL;
    for (; at != NULL; at = find_word(body, at + 1, parameter)) {
        if (at == (const char *)parameter.data) continue;
        struct cursor c = {at + parameter.size, start + body.size};
        if (!take_key(&c, &uses)) return;
    }
    *ret_uses = uses;
}
