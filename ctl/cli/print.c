/* SPDX-License-Identifier: MIT */
/* What commands print: help, mistakes, values. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "core/base/log.h"
#include "core/mem/out.h"
#include "ctl/cli/cli.h"

/* Of a line that is shown with a caret: bytes on each side of it. */
enum { PLACE_BEFORE_MAX = 60, PLACE_AFTER_MAX = 20 };

void cli_error(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)fputs("sluice: ", stderr);
    (void)vfprintf(stderr, fmt, args);
    (void)fputc('\n', stderr);
    va_end(args);
}

void cli_fail(struct cli_args *args, const char *code, const char *fmt, ...)
{
    va_list list;
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    va_start(list, fmt);
    (void)vsnprintf(diag.text, sizeof(diag.text), fmt, list);
    va_end(list);
    (void)snprintf(diag.code, sizeof(diag.code), "%s", code);
    if (cli_is_json(args)) {
        cli_print_diag(args, &diag);
    } else {
        cli_error("%s", diag.text);
    }
}

static void option_print(FILE *out, const struct cli_option *option)
{
    char left[64];
    (void)snprintf(left, sizeof(left), "  %c%c%s --%s%s%s", option->letter ? '-' : ' ',
                   option->letter ? option->letter : ' ', option->letter ? "," : " ", option->name,
                   option->value ? " " : "", option->value ? option->value : "");
    (void)fprintf(out, "%-30s %s", left, option->help);
    if (option->fallback != NULL) (void)fprintf(out, " (default %s)", option->fallback);
    (void)fputc('\n', out);
}

void cli_print_help(FILE *out, const struct cli_command *command)
{
    (void)fprintf(out, "sluice %s: %s\n\nUsage: sluice %s [OPTIONS]%s%s\n\n%s\n", command->name,
                  command->summary, command->name, command->operands[0] ? " " : "",
                  command->operands, command->text);
    (void)fputs("Options:\n", out);
    for (const struct cli_option *o = command->options; o != NULL && o->name != NULL; o++) {
        option_print(out, o);
    }
    for (const struct cli_option *o = cli_common_options; o->name != NULL; o++) {
        option_print(out, o);
    }
    (void)fprintf(out, "\nExamples:\n%s", command->examples);
    (void)fputs("\nExit codes: 0 well, 1 failed or refused, 2 wrong usage, 3 unreachable, "
                "4 timed out\n",
                out);
}

void cli_print_overview(FILE *out)
{
    (void)fputs("sluice: workflows of nodes at the speed of the kernel underneath\n\n"
                "Usage: sluice COMMAND [OPTIONS] [FILE…]\n\nCommands:\n",
                out);
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        (void)fprintf(out, "  %-10s %s\n", c->name, c->summary);
    }
    (void)fputs("\n\"sluice COMMAND --help\" tells more, with examples.\n", out);
}

void cli_print_diag(struct cli_args *args, const struct sl_diag *diag)
{
    struct sl_diags diags = {0};
    (void)sl_diags_push(&diags, diag);
    (void)cli_print_diags(args, &diags);
    sl_diags_fini(&diags);
}

/* Bytes that begin a character; the others continue one. */
static bool is_char_begin(char c)
{
    return ((uint8_t)c & 0xc0) != 0x80;
}

/* The line of `pos` in `text`, cut to what is near the column, and a caret under it. */
static void place_print(const char *text, struct sl_pos pos)
{
    const char *line = text;
    for (uint32_t i = 1; i < pos.line; i++) {
        line = strchr(line, '\n');
        if (line == NULL) return;
        line++;
    }
    size_t size = strcspn(line, "\r\n");
    size_t at = pos.column - 1 < size ? pos.column - 1 : size;
    size_t from = at > PLACE_BEFORE_MAX ? at - PLACE_BEFORE_MAX : 0;
    size_t to = size - at > PLACE_AFTER_MAX ? at + PLACE_AFTER_MAX : size;
    while (from < at && !is_char_begin(line[from])) from++;
    while (to < size && !is_char_begin(line[to])) to++;
    (void)fprintf(stderr, "  %s%.*s%s\n  %s", from > 0 ? "…" : "", (int)(to - from), line + from,
                  to < size ? "…" : "", from > 0 ? " " : "");
    for (size_t i = from; i < at; i++) {
        if (is_char_begin(line[i])) (void)fputc(line[i] == '\t' ? '\t' : ' ', stderr);
    }
    (void)fputs("^\n", stderr);
}

void cli_print_diag_in(struct cli_args *args, const char *text, const struct sl_diag *diag)
{
    if (cli_is_json(args) || diag->pos.line == 0 || diag->pos.column == 0) {
        cli_print_diag(args, diag);
        return;
    }
    char said[2048];
    struct sl_diag head = *diag;
    head.hint[0] = '\0';
    (void)sl_diag_format(&head, said, sizeof(said));
    (void)fputs(said, stderr);
    place_print(text, diag->pos);
    if (diag->hint[0] != '\0') (void)fprintf(stderr, "  hint: %s\n", diag->hint);
}

void cli_diags_build(const struct sl_diags *diags, struct sl_builder *b)
{
    sl_build_key_str(b, "errors");
    sl_build_int(b, (int64_t)diags->errors_count);
    sl_build_key_str(b, "diagnostics");
    sl_build_list_begin(b);
    for (size_t i = 0; i < diags->count; i++) {
        const struct sl_diag *diag = &diags->items[i];
        sl_build_map_begin(b);
        sl_build_key_str(b, "level");
        sl_build_string_str(b, diag->level == SL_DIAG_ERROR ? "error" : "warning");
        sl_build_key_str(b, "code");
        sl_build_string_str(b, diag->code);
        sl_build_key_str(b, "file");
        sl_build_string_str(b, diag->file);
        sl_build_key_str(b, "line");
        sl_build_int(b, diag->pos.line);
        sl_build_key_str(b, "column");
        sl_build_int(b, diag->pos.column);
        sl_build_key_str(b, "text");
        sl_build_string_str(b, diag->text);
        sl_build_key_str(b, "hint");
        sl_build_string_str(b, diag->hint);
        sl_build_map_end(b);
    }
    sl_build_list_end(b);
}

static struct sl_value diags_value(const struct sl_diags *diags)
{
    struct sl_builder b;
    sl_builder_init(&b, NULL, 64, 1024);
    sl_build_map_begin(&b);
    cli_diags_build(diags, &b);
    sl_build_map_end(&b);
    struct sl_value value;
    return sl_builder_finish(&b, &value) < 0 ? sl_value_none() : value;
}

size_t cli_print_diags(struct cli_args *args, const struct sl_diags *diags)
{
    if (args != NULL && cli_is_json(args)) {
        struct sl_value value = diags_value(diags);
        if (!sl_value_is_none(value)) cli_print_json(value);
        sl_value_unref(value);
        return diags->errors_count;
    }
    for (size_t i = 0; i < diags->count; i++) {
        char text[2048];
        (void)sl_diag_format(&diags->items[i], text, sizeof(text));
        (void)fputs(text, stderr);
    }
    if (diags->dropped_count > 0) {
        (void)fprintf(stderr, "… and %zu more\n", diags->dropped_count);
    }
    return diags->errors_count;
}

bool cli_print_value(struct sl_value value, bool compact)
{
    struct sl_out out;
    sl_out_init(&out, NULL);
    out.max = SIZE_MAX / 2; /* indents may make a payload's text longer than a payload may be */
    int r = sl_json_write(value, compact ? 0 : SL_JSON_PRETTY, &out);
    bool written = r == 0 && fwrite(out.data, 1, out.size, stdout) == out.size &&
                   fputc('\n', stdout) != EOF && fflush(stdout) == 0;
    if (!written) cli_error("cannot print the value: %s", strerror(r < 0 ? -r : errno));
    sl_out_fini(&out);
    return written;
}

void cli_print_json(struct sl_value value)
{
    (void)cli_print_value(value, false);
}

bool cli_log_setup(struct cli_args *args)
{
    static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
    const char *level = cli_get(args, "log-level");
    const char *format = cli_get(args, "format");
    if (strcmp(format, "text") != 0 && strcmp(format, "json") != 0) {
        cli_value_error(args, "format", "expected text or json");
        return false;
    }
    const char *log_format = cli_get(args, "log-format");
    bool is_json = strcmp(log_format, "json") == 0;
    if (!is_json && strcmp(log_format, "text") != 0) {
        cli_value_error(args, "log-format", "expected text or json");
        return false;
    }
    sl_log_set_format(is_json ? SL_LOG_JSON : SL_LOG_TEXT);
    for (int i = 0; levels[i] != NULL; i++) {
        if (strcmp(levels[i], level) != 0) continue;
        sl_log_set_level((enum sl_log_level)i);
        return true;
    }
    cli_value_error(args, "log-level", "expected debug, info, warn or error");
    return false;
}
