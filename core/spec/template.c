/* SPDX-License-Identifier: MIT */
/* Placeholders: finding, binding, and building the value anew. The walk has its own stack. */
#include "core/spec/template.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/spec/decode.h"

enum { NEAREST_NAMES_MAX = 256, SCALAR_TEXT_MAX = 40 };

enum token_kind {
    TOKEN_NONE,  /* no placeholder from here on */
    TOKEN_PATH,  /* {{ .A.b }} */
    TOKEN_QUOTE, /* {{"{{"}} */
    TOKEN_WRONG, /* begins like a placeholder */
};

struct token {
    enum token_kind kind;
    size_t start;         /* of the first brace */
    size_t end;           /* behind the last */
    struct sl_slice path; /* behind the first dot; may be empty */
};

static bool is_name_start(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name_byte(uint8_t c)
{
    return is_name_start(c) || (c >= '0' && c <= '9') || c == '-';
}

bool sl_template_is_name(struct sl_slice text)
{
    if (text.size == 0 || text.size > SL_SPEC_NAME_MAX || !is_name_start(text.data[0]))
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (!is_name_byte(text.data[i])) return false;
    }
    return true;
}

static uint8_t byte_at(struct sl_slice text, size_t at)
{
    return at < text.size ? text.data[at] : 0;
}

static size_t skip_spaces(struct sl_slice text, size_t at)
{
    while (byte_at(text, at) == ' ' || byte_at(text, at) == '\t') at++;
    return at;
}

static bool is_pair(struct sl_slice text, size_t at, uint8_t brace)
{
    return byte_at(text, at) == brace && byte_at(text, at + 1) == brace;
}

/* `{{"{{"}}` with any of the three quotes; `at` is behind the opening braces and spaces. */
static bool quote_read(struct sl_slice text, size_t at, size_t *ret_end)
{
    uint8_t quote = byte_at(text, at);
    if (quote != '"' && quote != '\'' && quote != '`') return false;
    if (!is_pair(text, at + 1, '{') || byte_at(text, at + 3) != quote) return false;
    at = skip_spaces(text, at + 4);
    if (!is_pair(text, at, '}')) return false;
    *ret_end = at + 2;
    return true;
}

/* A token whose opening braces are at `start`; TOKEN_NONE if they are ordinary text. */
static struct token token_read(struct sl_slice text, size_t start)
{
    sl_assert(start + 2 <= text.size);
    struct token token = {.kind = TOKEN_NONE, .start = start};
    size_t at = skip_spaces(text, start + 2);
    if (quote_read(text, at, &token.end)) {
        token.kind = TOKEN_QUOTE;
        return token;
    }
    if (byte_at(text, at) != '.') return token;
    size_t path = ++at;
    bool is_path = true;
    while (at > path ? is_name_byte(byte_at(text, at)) : is_name_start(byte_at(text, at))) {
        while (is_name_byte(byte_at(text, at))) at++;
        if (byte_at(text, at) != '.') break;
        at++;
        is_path = is_name_byte(byte_at(text, at)); /* a dot is followed by a name */
    }
    size_t path_size = at - path;
    size_t close = skip_spaces(text, at);
    token.path = sl_slice_make(text.data + path, path_size);
    if (is_path && is_pair(text, close, '}')) {
        token.kind = TOKEN_PATH;
        token.end = close + 2;
    } else if (path_size > 0) {
        token.kind = TOKEN_WRONG;
        token.end = at;
    }
    return token;
}

/* The first token at or behind `at`. */
static struct token token_find(struct sl_slice text, size_t at)
{
    sl_assert(at <= text.size);
    while (at + 3 < text.size) {
        const uint8_t *brace = memchr(text.data + at, '{', text.size - at);
        if (brace == NULL) break;
        at = (size_t)(brace - text.data);
        if (is_pair(text, at, '{')) {
            struct token token = token_read(text, at);
            if (token.kind != TOKEN_NONE) return token;
        }
        at++;
    }
    return (struct token){.kind = TOKEN_NONE};
}

bool sl_template_is_in(struct sl_slice text)
{
    return token_find(text, 0).kind != TOKEN_NONE;
}

/* ------------------------------------------------------------------------------------------ */
/* Binding                                                                                      */

struct apply {
    const struct sl_template *template;
    struct sl_builder builder;
    struct sl_diags *diags;
    char *text; /* of a string being put together; array of text_cap */
    size_t text_size;
    size_t text_cap;
};

/* The place in the file of the byte `offset` of a string. */
static struct sl_pos place_of(const struct apply *apply, struct sl_value value,
                              struct sl_slice text, size_t offset)
{
    sl_assert(offset <= text.size);
    if (apply->template->spec == NULL) return sl_value_pos(value);
    uint32_t line = 1;
    size_t line_start = 0;
    for (size_t i = 0; i < offset && i < text.size; i++) {
        if (text.data[i] != '\n') continue;
        line++;
        line_start = i + 1;
    }
    return sl_spec_locate(apply->template->spec, value, line, (uint32_t)(offset - line_start) + 1);
}

static struct sl_diag *report(struct apply *apply, const char *code, struct sl_pos pos,
                              const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static struct sl_diag *report(struct apply *apply, const char *code, struct sl_pos pos,
                              const char *fmt, ...)
{
    const struct sl_spec *spec = apply->template->spec;
    char text[SL_DIAG_TEXT_SIZE];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return sl_spec_error(spec ? spec->file : "", apply->diags, code, pos, "%s", text);
}

static void report_unbound(struct apply *apply, struct sl_value scope, struct sl_slice path,
                           struct sl_slice name, struct sl_pos pos)
{
    const char *names[NEAREST_NAMES_MAX];
    uint32_t count = 0;
    bool map = sl_value_is(scope, SL_VALUE_MAP);
    struct sl_diag *diag =
        report(apply, "unbound_name", pos, "\"{{ .%.*s }}\": %s does not bind \"%.*s\"",
               SHOWN(path), apply->template->what, SHOWN(name));
    for (uint32_t i = 0; map && i < sl_value_count(scope) && count < NEAREST_NAMES_MAX; i++) {
        char *copy = sl_slice_dup_str(sl_value_key_at(scope, i));
        if (copy != NULL) names[count++] = copy;
    }
    sl_spec_hint_nearest(diag, name, names, count);
    for (uint32_t i = 0; i < count; i++) free((char *)names[i]);
}

/* The entry of a list whose number is `name`, or none. */
static struct sl_value list_get(struct sl_value list, struct sl_slice name)
{
    sl_assert(sl_value_is(list, SL_VALUE_LIST));
    uint64_t index = 0;
    if (name.size == 0 || name.size > 9) return sl_value_none();
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] < '0' || name.data[i] > '9') return sl_value_none();
        index = index * 10 + (uint64_t)(name.data[i] - '0');
    }
    if (index >= sl_value_count(list)) return sl_value_none();
    return sl_value_list_at(list, (uint32_t)index);
}

/* The value of a path, or none after a report. */
static struct sl_value bind(struct apply *apply, struct sl_slice path, struct sl_pos pos)
{
    sl_assert(path.size == 0 || path.data != NULL);
    struct sl_value scope = apply->template->bound;
    size_t at = 0;
    while (at < path.size) {
        size_t end = at;
        while (end < path.size && path.data[end] != '.') end++;
        struct sl_slice name = sl_slice_make(path.data + at, end - at);
        struct sl_value value = sl_value_none();
        if (sl_value_is(scope, SL_VALUE_MAP)) value = sl_value_get(scope, name);
        if (sl_value_is(scope, SL_VALUE_LIST)) value = list_get(scope, name);
        if (sl_value_is_none(value)) {
            report_unbound(apply, scope, path, name, pos);
            return value;
        }
        scope = value;
        if (apply->template->names_only) break;
        at = end + 1;
    }
    if (sl_value_is_none(scope)) {
        (void)report(apply, "unbound_name", pos, "\"{{ . }}\": %s binds nothing here",
                     apply->template->what);
    }
    return scope;
}

/* ------------------------------------------------------------------------------------------ */
/* Strings                                                                                      */

static void text_put(struct apply *apply, const void *data, size_t size)
{
    sl_assert(size == 0 || data != NULL);
    if (apply->builder.error != 0) return;
    if (size > SL_PAYLOAD_BYTES_MAX || apply->text_size + size > SL_PAYLOAD_BYTES_MAX) {
        apply->builder.error = -E2BIG;
        return;
    }
    if (apply->text_size + size > apply->text_cap) {
        size_t cap = (apply->text_size + size) * 2;
        char *text = realloc(apply->text, cap);
        if (text == NULL) {
            apply->builder.error = -ENOMEM;
            return;
        }
        apply->text = text;
        apply->text_cap = cap;
    }
    if (size > 0) memcpy(apply->text + apply->text_size, data, size);
    apply->text_size += size;
}

/* Shortest text that reads back as the same double. */
static void float_text(double value, char *text, size_t size)
{
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, size, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
}

static bool text_put_value(struct apply *apply, struct sl_value value)
{
    sl_assert(!sl_value_is_none(value));
    char text[SCALAR_TEXT_MAX] = "";
    switch (sl_value_kind(value)) {
    case SL_VALUE_STRING: {
        struct sl_slice slice = sl_value_slice(value);
        text_put(apply, slice.data, slice.size);
        return true;
    }
    case SL_VALUE_BOOL:
        (void)snprintf(text, sizeof(text), "%s", value.cell->word ? "true" : "false");
        break;
    case SL_VALUE_INT: (void)snprintf(text, sizeof(text), "%" PRId64, value.cell->i64); break;
    case SL_VALUE_UINT: (void)snprintf(text, sizeof(text), "%" PRIu64, value.cell->word); break;
    case SL_VALUE_FLOAT: float_text(value.cell->f64, text, sizeof(text)); break;
    default: return false;
    }
    text_put(apply, text, strlen(text));
    return true;
}

static void report_wrong(struct apply *apply, struct sl_slice text, struct token token,
                         struct sl_pos pos)
{
    sl_assert(token.kind == TOKEN_WRONG);
    sl_assert(token.end <= text.size);
    size_t size = token.end - token.start + 8;
    if (token.start + size > text.size) size = text.size - token.start;
    struct sl_slice shown = sl_slice_make(text.data + token.start, size);
    struct sl_diag *diag =
        report(apply, "bad_placeholder", pos, "\"%.*s\" is not a placeholder", SHOWN(shown));
    sl_diag_hint(diag, "{{ .NAME }} and {{ .NAME.part }} are; write {{\"{{\"}} for two braces");
}

/* Put the string together in apply->text. `value` is where it stands (a key: its map). */
static void expand(struct apply *apply, struct sl_value value, struct sl_slice text)
{
    size_t at = 0;
    apply->text_size = 0;
    for (;;) {
        struct token token = token_find(text, at);
        if (token.kind == TOKEN_NONE) break;
        text_put(apply, text.data + at, token.start - at);
        at = token.end;
        if (token.kind == TOKEN_QUOTE) {
            text_put(apply, "{{", 2);
            continue;
        }
        struct sl_pos pos = place_of(apply, value, text, token.start);
        if (token.kind == TOKEN_WRONG) {
            report_wrong(apply, text, token, pos);
            continue;
        }
        struct sl_value bound = bind(apply, token.path, pos);
        if (sl_value_is_none(bound) || text_put_value(apply, bound)) continue;
        if (apply->template->names_only) continue;
        (void)report(apply, "wrong_type", pos,
                     "\"{{ .%.*s }}\" is %s, which cannot stand inside a text", SHOWN(token.path),
                     sl_spec_kind_text(bound));
    }
    text_put(apply, text.data + at, text.size - at);
}

/* Build a string: the value of a lone placeholder, or a text. */
static void build_string(struct apply *apply, struct sl_value value)
{
    sl_assert(sl_value_is(value, SL_VALUE_STRING));
    struct sl_slice text = sl_value_slice(value);
    struct token token = token_find(text, 0);
    if (token.kind == TOKEN_NONE) {
        sl_build_value(&apply->builder, value);
        return;
    }
    if (token.kind == TOKEN_PATH && token.start == 0 && token.end == text.size) {
        struct sl_value bound = bind(apply, token.path, place_of(apply, value, text, 0));
        if (sl_value_is_none(bound)) bound = sl_value_null();
        sl_build_value(&apply->builder, bound);
        return;
    }
    expand(apply, value, text);
    sl_build_string(&apply->builder, apply->text, apply->text_size);
}

static void build_key(struct apply *apply, struct sl_value map, uint32_t index)
{
    sl_assert(sl_value_is(map, SL_VALUE_MAP));
    sl_assert(index < sl_value_count(map));
    struct sl_slice key = sl_value_key_at(map, index);
    apply->builder.pos = sl_value_key_pos(map, index);
    if (!sl_template_is_in(key)) {
        sl_build_key(&apply->builder, key.data, key.size);
        return;
    }
    expand(apply, map, key);
    sl_build_key(&apply->builder, apply->text, apply->text_size);
}

/* ------------------------------------------------------------------------------------------ */
/* The walk                                                                                     */

struct walk_frame {
    struct sl_value value;
    uint32_t next;
};

static bool is_container(struct sl_value value)
{
    return sl_value_is(value, SL_VALUE_MAP) || sl_value_is(value, SL_VALUE_LIST);
}

/*
 * Call `visit` for each string in `value`, keys included; `at` is the string, or the map of the key.
 * Stops and returns true as soon as it does.
 */
static bool strings_visit(struct sl_value value,
                          bool (*visit)(void *ctx, struct sl_slice text, struct sl_value at),
                          void *ctx)
{
    sl_assert(visit != NULL);
    sl_assert(!sl_value_is_none(value));
    struct walk_frame frames[SL_PAYLOAD_DEPTH_MAX];
    uint32_t depth = 0;
    for (;;) {
        if (sl_value_is(value, SL_VALUE_STRING) && visit(ctx, sl_value_slice(value), value)) {
            return true;
        }
        if (is_container(value)) {
            sl_assert(depth < SL_PAYLOAD_DEPTH_MAX);
            frames[depth++] = (struct walk_frame){value, 0};
        }
        while (depth > 0 && frames[depth - 1].next == sl_value_count(frames[depth - 1].value)) {
            depth--;
        }
        if (depth == 0) return false;
        struct walk_frame *top = &frames[depth - 1];
        uint32_t index = top->next++;
        if (sl_value_is(top->value, SL_VALUE_LIST)) {
            value = sl_value_list_at(top->value, index);
            continue;
        }
        if (visit(ctx, sl_value_key_at(top->value, index), top->value)) return true;
        value = sl_value_map_at(top->value, index);
    }
}

static bool visit_find(void *ctx, struct sl_slice text, struct sl_value at)
{
    (void)ctx;
    (void)at;
    return sl_template_is_in(text);
}

bool sl_template_is_in_value(struct sl_value value)
{
    return strings_visit(value, visit_find, NULL);
}

static void container_begin(struct apply *apply, struct sl_value value)
{
    apply->builder.pos = sl_value_pos(value);
    if (sl_value_is(value, SL_VALUE_MAP)) {
        sl_build_map_begin(&apply->builder);
    } else {
        sl_build_list_begin(&apply->builder);
    }
}

static void container_end(struct apply *apply, struct sl_value value)
{
    if (sl_value_is(value, SL_VALUE_MAP)) {
        sl_build_map_end(&apply->builder);
    } else {
        sl_build_list_end(&apply->builder);
    }
}

static bool visit_code(void *ctx, struct sl_slice text, struct sl_value at)
{
    struct apply *apply = ctx;
    struct token token = token_find(text, 0);
    if (token.kind != TOKEN_PATH) return false;
    struct sl_diag *diag = report(
        apply, "placeholder_in_code", place_of(apply, at, text, token.start),
        "code is compiled as it is written: \"{{ .%.*s }}\" cannot stand in it", SHOWN(token.path));
    sl_diag_hint(diag, "read env.%.*s in the script", SHOWN(token.path));
    return false;
}

/* Report the placeholders in code, which may stand anywhere in `value`. */
static void report_code(struct apply *apply, struct sl_value value)
{
    (void)strings_visit(value, visit_code, apply);
}

/*
 * Build `value` anew, placeholders replaced. `code` (may be empty) names a key of the outermost map, or
 * of the maps of the outermost list, that holds code.
 */
static void build_value(struct apply *apply, struct sl_value value, struct sl_slice code)
{
    sl_assert(!sl_value_is_none(value));
    struct walk_frame frames[SL_PAYLOAD_DEPTH_MAX];
    uint32_t depth = 0;
    bool is_code = false;
    for (;;) {
        apply->builder.pos = sl_value_pos(value);
        if (is_code) {
            is_code = false;
            report_code(apply, value);
            sl_build_value(&apply->builder, value);
        } else if (is_container(value)) {
            sl_assert(depth < SL_PAYLOAD_DEPTH_MAX);
            container_begin(apply, value);
            frames[depth++] = (struct walk_frame){value, 0};
        } else if (sl_value_is(value, SL_VALUE_STRING)) {
            build_string(apply, value);
        } else {
            sl_build_value(&apply->builder, value);
        }
        while (depth > 0 && frames[depth - 1].next == sl_value_count(frames[depth - 1].value)) {
            container_end(apply, frames[--depth].value);
        }
        if (depth == 0) return;
        struct walk_frame *top = &frames[depth - 1];
        uint32_t index = top->next++;
        if (sl_value_is(top->value, SL_VALUE_MAP)) {
            struct sl_slice key = sl_value_key_at(top->value, index);
            build_key(apply, top->value, index);
            value = sl_value_map_at(top->value, index);
            is_code = code.size > 0 && depth <= 2 && sl_slice_eq(key, code);
        } else {
            value = sl_value_list_at(top->value, index);
        }
    }
}

static void apply_init(struct apply *apply, const struct sl_template *template,
                       struct sl_diags *diags)
{
    sl_assert(template->what != NULL);
    *apply = (struct apply){.template = template, .diags = diags};
    sl_builder_init(&apply->builder, template->mem, 64, 256);
    sl_builder_track(&apply->builder);
}

/* Finish the build; `errors_before` says whether mistakes were found. */
static int apply_finish(struct apply *apply, size_t errors_before, struct sl_pos pos,
                        struct sl_value *ret_value)
{
    sl_assert(ret_value != NULL);
    struct sl_value result = sl_value_none();
    uint32_t duplicates = apply->builder.duplicates;
    int error = sl_builder_finish(&apply->builder, &result);
    duplicates = apply->builder.duplicates > duplicates ? apply->builder.duplicates : duplicates;
    free(apply->text);
    if (error == -E2BIG) {
        (void)report(apply, "too_large", pos,
                     "the bound values make this larger than a payload may be");
    }
    if (error == 0 && duplicates > 0 && !apply->template->names_only) {
        (void)report(apply, "duplicate_key", pos, "two keys are the same after binding");
    }
    if (apply->diags->errors_count > errors_before) {
        if (error == 0) sl_value_unref(result);
        return -EINVAL;
    }
    if (error == 0) *ret_value = result;
    return error;
}

int sl_template_apply(const struct sl_template *template, struct sl_value value,
                      struct sl_value *ret_value, struct sl_diags *diags)
{
    sl_assert(template != NULL);
    sl_assert(diags != NULL);
    if (!sl_template_is_in_value(value)) {
        *ret_value = sl_value_ref(value);
        return 0;
    }
    struct apply apply;
    size_t errors_before = diags->errors_count;
    apply_init(&apply, template, diags);
    build_value(&apply, value, (struct sl_slice){NULL, 0});
    return apply_finish(&apply, errors_before, sl_value_pos(value), ret_value);
}

/*
 * Whether the field `name` is code (then *ret_part is empty), or has a part that is (its name).
 */
static bool code_find(struct sl_slice name, const char *const *code, struct sl_slice *ret_part)
{
    sl_assert(ret_part != NULL);
    *ret_part = (struct sl_slice){NULL, 0};
    for (; code != NULL && *code != NULL; code++) {
        struct sl_slice path = sl_slice_from_str(*code);
        if (sl_slice_eq(name, path)) return true;
        if (!sl_slice_has_prefix(path, name) || path.data[name.size] != '.') continue;
        *ret_part = sl_slice_make(path.data + name.size + 1, path.size - name.size - 1);
    }
    return false;
}

int sl_template_apply_spec(const struct sl_template *template, const char *const *code,
                           struct sl_value *ret_value, struct sl_diags *diags)
{
    sl_assert(template != NULL);
    sl_assert(template->spec != NULL);
    struct sl_value spec = template->spec->value;
    struct apply apply;
    size_t errors_before = diags->errors_count;
    apply_init(&apply, template, diags);
    container_begin(&apply, spec);
    for (uint32_t i = 0; i < sl_value_count(spec); i++) {
        struct sl_slice key = sl_value_key_at(spec, i);
        struct sl_value value = sl_value_map_at(spec, i);
        struct sl_slice part;
        bool is_code = code_find(key, code, &part);
        bool keep = sl_spec_is_common(key) || sl_slice_eq_str(key, "specs") || is_code;
        build_key(&apply, spec, i);
        apply.builder.pos = sl_value_pos(value);
        if (is_code) report_code(&apply, value);
        if (keep || !sl_template_is_in_value(value)) {
            sl_build_value(&apply.builder, value);
        } else {
            build_value(&apply, value, part);
        }
    }
    container_end(&apply, spec);
    return apply_finish(&apply, errors_before, sl_value_pos(spec), ret_value);
}
