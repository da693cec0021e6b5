/* SPDX-License-Identifier: MIT */
/*
 * An ES module comes out of the compiler as
 *
 *     var __defProp = …;                       helpers
 *     var script_exports = {};
 *     __export(script_exports, {
 *       default: () => script_default
 *     });
 *     module.exports = __toCommonJS(script_exports);
 *     …                                        the module
 *
 * The helpers keep no state: they are evaluated once. The export lines give the name of the default
 * export and are left out (empty lines keep the numbers). What does not look like this is CommonJS
 * and runs as it is.
 */
#include "nodes/script/js/wrap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"

static const char open_text[] = "(function(){\"use strict\";\n";
static const char factory_text[] = "return function(env){";
static const char commonjs_text[] = "var module={exports:{}},exports=module.exports;";
static const char commonjs_end[] =
    "\n{const e=module.exports;return typeof e===\"function\"?e:e&&e.default}}})()";

struct esm {
    struct sl_slice helpers; /* whole lines, may be empty */
    struct sl_slice export_lines;
    struct sl_slice name; /* of the default export; size 0: there is none */
    struct sl_slice body;
};

static struct sl_slice slice_between(const char *from, const char *to)
{
    return sl_slice_make(from, (size_t)(to - from));
}

static const char *find(struct sl_slice slice, const char *text)
{
    return slice.size > 0 ? memmem(slice.data, slice.size, text, strlen(text)) : NULL;
}

/* Find the parts of an ES module; false if it is none. */
static bool esm_split(struct sl_slice source, struct sl_slice output, struct esm *esm)
{
    static const char first[] = "var script_exports = {};\n__export(script_exports, {\n";
    static const char last[] = "});\nmodule.exports = __toCommonJS(script_exports);\n";
    static const char name_mark[] = "\n  default: () => ";
    if (find(source, "__export") != NULL) return false;
    const char *text = (const char *)output.data;
    const char *begin = find(output, first);
    if (begin == NULL || (begin != text && begin[-1] != '\n')) return false;
    const char *end = text + output.size;
    const char *close = find(slice_between(begin, end), last);
    if (close == NULL) return false;
    *esm = (struct esm){.helpers = slice_between(text, begin),
                        .export_lines = slice_between(begin, close + sizeof(last) - 1),
                        .body = slice_between(close + sizeof(last) - 1, end)};
    const char *name = find(slice_between(begin, close), name_mark);
    if (name != NULL) {
        name += sizeof(name_mark) - 1;
        esm->name = sl_slice_make(name, strcspn(name, ",\n"));
    }
    return true;
}

static uint32_t line_of(struct sl_slice output, const char *at)
{
    uint32_t line = 0;
    for (const char *c = (const char *)output.data; c < at; c++) line += *c == '\n';
    return line;
}

static void write_newlines(FILE *out, struct sl_slice lines)
{
    for (size_t i = 0; i < lines.size; i++) {
        if (lines.data[i] == '\n') (void)fputc('\n', out);
    }
}

static void write_slice(FILE *out, struct sl_slice slice)
{
    if (slice.size > 0) (void)fwrite(slice.data, 1, slice.size, out);
}

static void esm_write(FILE *out, const struct esm *esm)
{
    (void)fputs(open_text, out);
    /* Those for the exports are always there; what a module uses of others begins with two lines. */
    if (find(esm->body, "__") != NULL) {
        write_slice(out, esm->helpers);
    } else {
        write_newlines(out, esm->helpers);
    }
    (void)fputs(factory_text, out);
    write_newlines(out, esm->export_lines);
    write_slice(out, esm->body);
    (void)fprintf(out, "\nreturn %.*s}})()", SL_SLICE_FMT(esm->name));
}

static void commonjs_write(FILE *out, struct sl_slice output)
{
    (void)fputs("(function(){\"use strict\";", out);
    (void)fputs(factory_text, out);
    (void)fputs(commonjs_text, out);
    (void)fputc('\n', out);
    write_slice(out, output);
    (void)fputs(commonjs_end, out);
}

int js_wrap(struct sl_slice source, struct sl_slice output, char **ret_code,
            uint32_t *ret_lines_before, uint32_t *ret_line, struct js_uses *ret_uses)
{
    sl_assert(ret_code != NULL);
    sl_assert(output.data != NULL);
    struct esm esm;
    bool is_esm = esm_split(source, output, &esm);
    struct sl_slice body = is_esm ? esm.body : output;
    const char *import = find(body, "var import_");
    if (import != NULL && (import == (const char *)body.data || import[-1] == '\n') &&
        find(body, "require(\"") != NULL) {
        *ret_line = line_of(output, import);
        return JS_WRAP_IMPORTS;
    }
    *ret_uses = (struct js_uses){0};
    if (is_esm) js_uses_find(esm.body, esm.name, ret_uses);
    if (is_esm ? esm.name.size == 0 : find(output, "exports") == NULL) return JS_WRAP_NO_DEFAULT;
    char *code = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&code, &size);
    if (out == NULL) return -ENOMEM;
    if (is_esm)
        esm_write(out, &esm);
    else
        commonjs_write(out, output);
    if (fclose(out) != 0) {
        free(code);
        return -ENOMEM;
    }
    *ret_code = code;
    *ret_lines_before = 1;
    return 0;
}
