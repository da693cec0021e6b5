/* SPDX-License-Identifier: MIT */
/* Words of the command line, the environment and sluice.yaml, put together. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/yaml/yaml.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "ctl/cli/cli.h"

enum { ARGS_OPTIONS_MAX = 64, ARGS_CONFIG_SIZE_MAX = 1024 * 1024 };

#define DURATION_US_MAX 3.6e12 /* 1000 hours */

struct arg_values {
    const struct cli_option *option;
    const char **items; /* array of count */
    size_t count;
    const char *origin;
    const char *file; /* origin "file": where the value stands; kept in `texts` */
    struct sl_pos pos;
};

struct cli_args {
    const struct cli_command *command;
    struct arg_values values[ARGS_OPTIONS_MAX];
    size_t values_count;
    const char **operands;
    size_t operands_count;
    char **texts; /* owned strings */
    size_t texts_count;
    int argc; /* the words, to read everything again; borrowed */
    char **argv;
};

static struct arg_values *values_of(struct cli_args *args, const char *name)
{
    for (size_t i = 0; i < args->values_count; i++) {
        if (strcmp(args->values[i].option->name, name) == 0) return &args->values[i];
    }
    return NULL;
}

static void values_add(struct arg_values *values, const char *text, const char *origin)
{
    if (!(values->option->flags & CLI_LIST)) values->count = 0;
    const char **items = realloc(values->items, (values->count + 1) * sizeof(*items));
    sl_assert(items != NULL);
    values->items = items;
    items[values->count++] = text;
    values->origin = origin;
}

/* Keep a string for the life of the arguments. */
static const char *text_keep(struct cli_args *args, char *text)
{
    sl_assert(args != NULL);
    sl_assert(text != NULL);
    char **texts = realloc(args->texts, (args->texts_count + 1) * sizeof(*texts));
    sl_assert(texts != NULL);
    args->texts = texts;
    texts[args->texts_count++] = text;
    return text;
}

static void options_add(struct cli_args *args, const struct cli_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        sl_assert(args->values_count < ARGS_OPTIONS_MAX);
        args->values[args->values_count++] = (struct arg_values){.option = options};
    }
}

/* ---- words ---------------------------------------------------------------------------------- */

static int option_unknown(const struct cli_args *args, const char *word)
{
    const char *names[ARGS_OPTIONS_MAX];
    for (size_t i = 0; i < args->values_count; i++) names[i] = args->values[i].option->name;
    char name[64];
    (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
    const char *nearest = sl_diag_nearest(name, names, args->values_count);
    if (nearest != NULL) {
        cli_error("%s: unknown option \"%s\"; did you mean \"--%s\"?", args->command->name, word,
                  nearest);
    } else {
        cli_error("%s: unknown option \"%s\"; see \"sluice %s --help\"", args->command->name, word,
                  args->command->name);
    }
    return CLI_USAGE;
}

/* "--name=value", "--name value", "--switch". `*at` is moved past what was used. */
static int word_long(struct cli_args *args, int argc, char **argv, int *at)
{
    char *word = argv[*at];
    char *equals = strchr(word, '=');
    char name[64];
    size_t size = equals != NULL ? (size_t)(equals - word - 2) : strlen(word + 2);
    if (size >= sizeof(name)) return option_unknown(args, word);
    memcpy(name, word + 2, size);
    name[size] = '\0';
    struct arg_values *values = values_of(args, name);
    if (values == NULL) return option_unknown(args, word);
    if (values->option->flags & CLI_SWITCH) {
        if (equals != NULL) {
            cli_error("%s: \"--%s\" takes no value", args->command->name, name);
            return CLI_USAGE;
        }
        values_add(values, "true", "flag");
        return 0;
    }
    if (equals == NULL && *at + 1 >= argc) {
        cli_error("%s: \"--%s\" needs a value: %s", args->command->name, name,
                  values->option->value);
        return CLI_USAGE;
    }
    values_add(values, equals != NULL ? equals + 1 : argv[++*at], "flag");
    return 0;
}

static struct arg_values *values_of_letter(struct cli_args *args, char letter)
{
    for (size_t i = 0; i < args->values_count; i++) {
        if (args->values[i].option->letter == letter) return &args->values[i];
    }
    return NULL;
}

/* "-n VALUE", "-nVALUE", "-q". */
static int word_short(struct cli_args *args, int argc, char **argv, int *at)
{
    const char *word = argv[*at];
    for (size_t i = 1; word[i] != '\0'; i++) {
        struct arg_values *values = values_of_letter(args, word[i]);
        if (values == NULL) {
            cli_error("%s: unknown option \"-%c\"; see \"sluice %s --help\"", args->command->name,
                      word[i], args->command->name);
            return CLI_USAGE;
        }
        if (values->option->flags & CLI_SWITCH) {
            values_add(values, "true", "flag");
            continue;
        }
        if (word[i + 1] != '\0') {
            values_add(values, &word[i + 1], "flag");
        } else if (*at + 1 < argc) {
            values_add(values, argv[++*at], "flag");
        } else {
            cli_error("%s: \"-%c\" needs a value: %s", args->command->name, word[i],
                      values->option->value);
            return CLI_USAGE;
        }
        return 0;
    }
    return 0;
}

static int words_parse(struct cli_args *args, int argc, char **argv)
{
    bool only_operands = false;
    for (int at = 0; at < argc; at++) {
        const char *word = argv[at];
        int r = 0;
        if (!only_operands && strcmp(word, "--") == 0) {
            only_operands = true;
        } else if (!only_operands && strncmp(word, "--", 2) == 0) {
            r = word_long(args, argc, argv, &at);
        } else if (!only_operands && word[0] == '-' && word[1] != '\0') {
            r = word_short(args, argc, argv, &at);
        } else {
            args->operands[args->operands_count++] = word;
        }
        if (r != 0) return r;
    }
    return 0;
}

/* ---- environment and file ------------------------------------------------------------------- */

/* "SLUICE_BUFFER_SIZE" for "buffer-size". */
static void environment_name(const char *option, char *buf, size_t buf_size)
{
    (void)snprintf(buf, buf_size, "SLUICE_%s", option);
    for (char *at = buf; *at != '\0'; at++) *at = *at == '-' ? '_' : (char)toupper(*at);
}

static void environment_read(struct cli_args *args)
{
    for (size_t i = 0; i < args->values_count; i++) {
        struct arg_values *values = &args->values[i];
        if (!(values->option->flags & CLI_CONFIG) || values->count > 0) continue;
        char name[80];
        environment_name(values->option->name, name, sizeof(name));
        const char *text = getenv(name);
        if (text != NULL && text[0] != '\0') values_add(values, text, "environment");
    }
}

/* A scalar of the file as the text that a flag would have had. */
static char *scalar_text(struct sl_value value)
{
    char *text = NULL;
    switch (sl_value_kind(value)) {
    case SL_VALUE_STRING: return sl_slice_dup_str(sl_value_slice(value));
    case SL_VALUE_BOOL: return strdup(value.cell->word ? "true" : "false");
    case SL_VALUE_INT:
        if (asprintf(&text, "%lld", (long long)value.cell->i64) < 0) return NULL;
        return text;
    case SL_VALUE_FLOAT:
        if (asprintf(&text, "%g", value.cell->f64) < 0) return NULL;
        return text;
    default: return NULL;
    }
}

/* 0 for a key that some command has; else the nearest is named. */
static int key_check(const char *file, const char *name, struct sl_pos pos)
{
    const char *names[CLI_COMMANDS_MAX * ARGS_OPTIONS_MAX];
    size_t count = 0;
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        for (const struct cli_option *o = c->options; o->name != NULL; o++) {
            if (o->flags & CLI_CONFIG) names[count++] = o->name;
        }
    }
    for (const struct cli_option *o = cli_common_options; o->name != NULL; o++) {
        if (o->flags & CLI_CONFIG) names[count++] = o->name;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) return 0;
    }
    const char *nearest = sl_diag_nearest(name, names, count);
    cli_error("%s:%u:%u: error: unknown key \"%s\"%s%s%s", file, pos.line, pos.column, name,
              nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
              nearest != NULL ? "\"?" : "");
    return CLI_USAGE;
}

/* One value of a key. */
static int file_value(struct cli_args *args, const char *file, struct arg_values *values,
                      struct sl_value value)
{
    char *text = scalar_text(value);
    struct sl_pos pos = sl_value_pos(value);
    bool is_switch = values->option->flags & CLI_SWITCH;
    bool is_bool = text != NULL && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0);
    if (text == NULL || (is_switch && !is_bool)) {
        cli_error("%s:%u:%u: error: \"%s\": expected %s", file, pos.line, pos.column,
                  values->option->name, is_switch ? "true or false" : "text or a number");
        free(text);
        return CLI_USAGE;
    }
    if (is_switch && strcmp(text, "false") == 0) {
        free(text);
        return 0;
    }
    values_add(values, text_keep(args, text), "file");
    values->file = file;
    values->pos = pos;
    return 0;
}

static int file_entry(struct cli_args *args, const char *file, struct sl_slice key,
                      struct sl_value value, struct sl_pos pos)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%.*s", SL_SLICE_FMT(key));
    for (char *at = name; *at != '\0'; at++) *at = *at == '_' ? '-' : *at;
    struct arg_values *values = values_of(args, name);
    /* The file serves all commands: what this one does not have is another's, if it exists. */
    if (values == NULL || !(values->option->flags & CLI_CONFIG)) return key_check(file, name, pos);
    if (values->count > 0) return 0;
    if (!sl_value_is(value, SL_VALUE_LIST)) return file_value(args, file, values, value);
    if (!(values->option->flags & CLI_LIST) && sl_value_count(value) != 1) {
        cli_error("%s:%u:%u: error: \"%s\": expected one value, not a list", file, pos.line,
                  pos.column, name);
        return CLI_USAGE;
    }
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < sl_value_count(value); i++) {
        r = file_value(args, file, values, sl_value_list_at(value, i));
    }
    return r;
}

static char *file_read(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) return NULL;
    char *text = malloc(ARGS_CONFIG_SIZE_MAX);
    sl_assert(text != NULL);
    *ret_size = fread(text, 1, ARGS_CONFIG_SIZE_MAX, file);
    (void)fclose(file);
    return text;
}

/* `check --config` is a switch; the file is what the common option of the letter c names. */
static const char *config_given(struct cli_args *args)
{
    const struct arg_values *values = NULL;
    for (size_t i = 0; i < args->values_count; i++) {
        if (args->values[i].option->letter == 'c') values = &args->values[i];
    }
    return values != NULL && values->count > 0 ? values->items[values->count - 1] : NULL;
}

static int config_read(struct cli_args *args)
{
    const char *given = config_given(args);
    const char *path = text_keep(args, strdup(given != NULL ? given : "sluice.yaml"));
    size_t size = 0;
    char *text = file_read(path, &size);
    if (text == NULL) {
        if (given == NULL) return 0;
        cli_error("cannot read the configuration %s: %s", path, strerror(errno));
        return CLI_USAGE;
    }
    struct sl_value value;
    struct sl_diag diag = {0};
    int r = sl_yaml_parse_one(sl_slice_make(text, size), NULL, 0, &value, &diag);
    free(text);
    if (r < 0) {
        cli_error("%s:%u:%u: error: %s", path, diag.pos.line, diag.pos.column, diag.text);
        return CLI_USAGE;
    }
    r = 0;
    if (sl_value_is(value, SL_VALUE_MAP)) {
        for (uint32_t i = 0; i < sl_value_count(value); i++) {
            int wrong = file_entry(args, path, sl_value_key_at(value, i), sl_value_map_at(value, i),
                                   sl_value_key_pos(value, i));
            if (wrong != 0) r = wrong; /* all mistakes at once */
        }
    } else if (!sl_value_is(value, SL_VALUE_NULL)) {
        cli_error("%s: the configuration must be a map", path);
        r = CLI_USAGE;
    }
    sl_value_unref(value);
    return r;
}

static void defaults_fill(struct cli_args *args)
{
    for (size_t i = 0; i < args->values_count; i++) {
        struct arg_values *values = &args->values[i];
        if (values->count == 0 && values->option->fallback != NULL) {
            values_add(values, values->option->fallback, "default");
        }
    }
}

/* What no command can do anything with: no name at all for a file, a folder, a namespace. */
static int values_check(struct cli_args *args)
{
    static const char *const names[] = {"FILE", "DIR", "NAME"};
    for (size_t i = 0; i < args->values_count; i++) {
        const struct arg_values *values = &args->values[i];
        const struct cli_option *option = values->option;
        bool is_name = false;
        for (size_t n = 0; option->value != NULL && n < sizeof(names) / sizeof(names[0]); n++) {
            is_name |= strcmp(option->value, names[n]) == 0;
        }
        bool is_space = strcmp(option->name, "namespace") == 0;
        for (size_t v = 0; is_name && v < values->count; v++) {
            size_t size = strlen(values->items[v]);
            if (size > 0 && (!is_space || size <= SL_REGISTRY_NAMESPACE_MAX)) continue;
            if (size == 0) {
                cli_error("%s: \"--%s\" is empty: expected %s", args->command->name, option->name,
                          option->value);
            } else {
                cli_error("%s: \"--%s\": a namespace has at most %d bytes, this one %zu",
                          args->command->name, option->name, SL_REGISTRY_NAMESPACE_MAX, size);
            }
            return CLI_USAGE;
        }
    }
    return 0;
}

int cli_args_parse(const struct cli_command *command, int argc, char **argv,
                   struct cli_args **ret_args)
{
    *ret_args = NULL;
    struct cli_args *args = calloc(1, sizeof(*args));
    sl_assert(args != NULL);
    args->command = command;
    args->argc = argc;
    args->argv = argv;
    args->operands = calloc((size_t)argc + 1, sizeof(*args->operands));
    sl_assert(args->operands != NULL);
    options_add(args, command->options);
    options_add(args, cli_common_options);
    int r = 0;
    if (command->raw) {
        for (int i = 0; i < argc; i++) args->operands[args->operands_count++] = argv[i];
    } else {
        r = words_parse(args, argc, argv);
    }
    if (r == 0 && cli_is_set(args, "help")) {
        cli_print_help(stdout, command);
        args = cli_args_free(args);
        return CLI_OK;
    }
    if (r == 0) {
        environment_read(args);
        r = config_read(args);
    }
    if (r == 0) r = values_check(args);
    if (r != 0) {
        args = cli_args_free(args);
        return r;
    }
    defaults_fill(args);
    *ret_args = args;
    return 0;
}

struct cli_args *cli_args_again(const struct cli_args *args)
{
    struct cli_args *again = NULL;
    (void)cli_args_parse(args->command, args->argc, args->argv, &again);
    return again;
}

bool cli_is_same(struct cli_args *a, struct cli_args *b, const char *option)
{
    const struct arg_values *x = values_of(a, option);
    const struct arg_values *y = values_of(b, option);
    if (x == NULL || y == NULL || x->count != y->count) return x == y;
    for (size_t i = 0; i < x->count; i++) {
        if (strcmp(x->items[i], y->items[i]) != 0) return false;
    }
    return true;
}

struct cli_args *cli_args_free(struct cli_args *args)
{
    if (args == NULL) return NULL;
    for (size_t i = 0; i < args->values_count; i++) free(args->values[i].items);
    for (size_t i = 0; i < args->texts_count; i++) free(args->texts[i]);
    free(args->texts);
    free(args->operands);
    free(args);
    return NULL;
}

/* ---- reading --------------------------------------------------------------------------------- */

const struct cli_command *cli_args_command(const struct cli_args *args)
{
    return args->command;
}

const char *cli_get(struct cli_args *args, const char *option)
{
    const struct arg_values *values = values_of(args, option);
    return values != NULL && values->count > 0 ? values->items[values->count - 1] : NULL;
}

bool cli_is_set(struct cli_args *args, const char *option)
{
    return cli_get(args, option) != NULL;
}

const char *cli_origin(struct cli_args *args, const char *option)
{
    const struct arg_values *values = values_of(args, option);
    return values != NULL && values->count > 0 ? values->origin : "unset";
}

const char *const *cli_get_list(struct cli_args *args, const char *option, size_t *ret_count)
{
    const struct arg_values *values = values_of(args, option);
    *ret_count = values != NULL ? values->count : 0;
    return values != NULL ? values->items : NULL;
}

const char *const *cli_operands(struct cli_args *args, size_t *ret_count)
{
    *ret_count = args->operands_count;
    return args->operands;
}

bool cli_is_json(struct cli_args *args)
{
    const char *format = cli_get(args, "format");
    return format != NULL && strcmp(format, "json") == 0;
}

void cli_value_error(struct cli_args *args, const char *option, const char *fmt, ...)
{
    const struct arg_values *values = values_of(args, option);
    const char *text = cli_get(args, option);
    char expected[256];
    char name[80];
    va_list list;
    va_start(list, fmt);
    (void)vsnprintf(expected, sizeof(expected), fmt, list);
    va_end(list);
    if (values == NULL || text == NULL) {
        cli_error("\"--%s\": %s", option, expected);
    } else if (strcmp(values->origin, "file") == 0) {
        cli_error("%s:%u:%u: error: \"%s: %s\": %s", values->file, values->pos.line,
                  values->pos.column, option, text, expected);
    } else if (strcmp(values->origin, "environment") == 0) {
        environment_name(option, name, sizeof(name));
        cli_error("\"%s=%s\": %s", name, text, expected);
    } else {
        cli_error("\"--%s %s\": %s", option, text, expected);
    }
}

/* What a number of the option counts, for a message. */
static const char *unit_of(const struct cli_option *option)
{
    if (strcmp(option->value, "BYTES") == 0) return " of bytes";
    return strcmp(option->value, "MIB") == 0 || strcmp(option->value, "MiB") == 0 ? " of MiB" : "";
}

bool cli_get_number(struct cli_args *args, const char *option, int64_t min, int64_t max,
                    int64_t *ret_number)
{
    const char *text = cli_get(args, option);
    if (text == NULL) return true;
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < min || number > max) {
        cli_value_error(args, option, "expected a number%s from %lld to %lld",
                        unit_of(values_of(args, option)->option), (long long)min, (long long)max);
        return false;
    }
    *ret_number = number;
    return true;
}

/* "500ms", "1m30s", in microseconds; a number alone counts in `plain_us`. < 0: it is none. */
static double duration_us(const char *text, double plain_us)
{
    static const struct {
        const char *name;
        double us;
    } units[] = {{"us", 1}, {"µs", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 6e7}, {"h", 3.6e9}};
    double sum = 0;
    for (const char *at = text; at == text || *at != '\0';) {
        char *end = NULL;
        errno = 0;
        double number = isdigit((unsigned char)*at) || *at == '.' ? strtod(at, &end) : -1;
        if (errno != 0 || end == at || !(number >= 0)) return -1;
        if (*end == '\0') return at == text ? number * plain_us : -1;
        size_t size = strcspn(end, "0123456789.");
        size_t i = 0;
        while (i < sizeof(units) / sizeof(units[0]) &&
               (strlen(units[i].name) != size || memcmp(units[i].name, end, size) != 0)) {
            i++;
        }
        if (i == sizeof(units) / sizeof(units[0])) return -1;
        sum += number * units[i].us;
        at = end + size;
    }
    return sum;
}

bool cli_get_duration_ms(struct cli_args *args, const char *option, uint32_t *ret_ms)
{
    const char *text = cli_get(args, option);
    if (text == NULL) return true;
    double us = duration_us(text, 1e3);
    if (us < 0 || us > DURATION_US_MAX) {
        cli_value_error(args, option,
                        "expected a duration such as 500ms, 30s or 5m, 1000h at most");
        return false;
    }
    *ret_ms = (uint32_t)(us / 1e3);
    return true;
}

bool cli_get_duration_us(struct cli_args *args, const char *option, uint32_t max_us,
                         uint32_t *ret_us)
{
    const char *text = cli_get(args, option);
    if (text == NULL) return true;
    double us = duration_us(text, 1);
    if (us < 0 || us > max_us) {
        cli_value_error(args, option, "expected a duration up to %uus, such as 50us or 1ms",
                        max_us);
        return false;
    }
    *ret_us = (uint32_t)us;
    return true;
}

const char *cli_config_path(struct cli_args *args)
{
    return config_given(args);
}

size_t cli_files(struct cli_args *args, size_t skip, const char ***ret_files)
{
    size_t given;
    size_t operands;
    const char *const *items = cli_get_list(args, "file", &given);
    const char *const *more = cli_operands(args, &operands);
    const char **files = calloc(given + operands + 1, sizeof(*files));
    sl_assert(files != NULL);
    sl_assert(skip <= operands);
    for (size_t i = 0; i < given; i++) files[i] = items[i];
    for (size_t i = skip; i < operands; i++) files[given + i - skip] = more[i];
    *ret_files = files;
    return given + operands - skip;
}

bool cli_environment(struct cli_args *args, struct sl_value *ret_value)
{
    size_t count;
    const char *const *items = cli_get_list(args, "env", &count);
    struct sl_builder b;
    sl_builder_init(&b, NULL, 16, 256);
    sl_build_map_begin(&b);
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(items[i], '=');
        if (equals == NULL || equals == items[i]) {
            cli_error("\"-e %.*s\": expected NAME=VALUE", (int)strcspn(items[i], "="), items[i]);
            sl_builder_fini(&b);
            return false;
        }
        sl_build_key(&b, items[i], (size_t)(equals - items[i]));
        sl_build_string_str(&b, equals + 1);
    }
    sl_build_map_end(&b);
    return sl_builder_finish(&b, ret_value) == 0;
}
