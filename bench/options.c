/* SPDX-License-Identifier: MIT */
/* Parsing options by a table; see options.h. */
#include "bench/options.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/fmt.h"
#include "core/base/assertion.h"

static const struct sl_pos NO_POS = {0, 0};

static const struct sl_option *option_find(const struct sl_options_usage *usage, const char *name,
                                           size_t name_size)
{
    for (size_t i = 0; i < usage->options_count; i++) {
        const struct sl_option *option = &usage->options[i];
        if (option->type == SL_OPTION_TITLE) continue;
        bool is_letter = name_size == 1 && option->letter == name[0];
        bool is_name = strlen(option->name) == name_size && name_size > 1 &&
                       memcmp(option->name, name, name_size) == 0;
        if (is_letter || is_name) return option;
    }
    return NULL;
}

static int unknown_option(const struct sl_options_usage *usage, const char *arg, const char *name,
                          struct sl_diag *reterr)
{
    const char *names[128];
    size_t count = 0;
    for (size_t i = 0; i < usage->options_count && count < 128; i++) {
        if (usage->options[i].type != SL_OPTION_TITLE) names[count++] = usage->options[i].name;
    }
    int err = sl_diag_set(reterr, "unknown_option", NO_POS, "unknown option \"%s\"", arg);
    const char *near = sl_diag_nearest(name, names, count);
    if (near != NULL) sl_diag_hint(reterr, "did you mean --%s?", near);
    return err;
}

static int bad_value(const struct sl_option *option, const char *value, const char *expected,
                     struct sl_diag *reterr)
{
    return sl_diag_set(reterr, "bad_value", NO_POS, "--%s \"%s\": expected %s", option->name, value,
                       expected);
}

static int count_set(const struct sl_option *option, const char *text, void *field,
                     struct sl_diag *reterr)
{
    double number;
    double max = option->type == SL_OPTION_UINT ? 4294967295.0 : 1e15;
    if (sl_parse_number(text, &number) < 0 || number < 0 || number > max ||
        number != floor(number)) {
        return bad_value(option, text, "a whole number such as 64 or 10k", reterr);
    }
    if (option->type == SL_OPTION_UINT) {
        *(uint32_t *)field = (uint32_t)number;
    } else {
        *(uint64_t *)field = (uint64_t)number;
    }
    return 0;
}

static int value_set(const struct sl_option *option, const char *text, void *values,
                     struct sl_diag *reterr)
{
    void *field = (char *)values + option->offset;
    switch (option->type) {
    case SL_OPTION_UINT:
    case SL_OPTION_COUNT: return count_set(option, text, field, reterr);
    case SL_OPTION_DURATION:
        if (sl_parse_duration_ns(text, (uint64_t *)field) < 0) {
            return bad_value(option, text, "a duration such as 10s, 250ms or 100us", reterr);
        }
        return 0;
    case SL_OPTION_STRING: *(const char **)field = text; return 0;
    case SL_OPTION_LIST: {
        struct sl_option_list *list = field;
        if (list->count == SL_OPTIONS_LIST_MAX) {
            return bad_value(option, text, "fewer repetitions", reterr);
        }
        list->items[list->count++] = text;
        return 0;
    }
    default: sl_unreachable();
    }
}

/* One argument that begins with a dash. `ret_used` is 2 if the next one was its value. */
static int option_parse(const struct sl_options_usage *usage, const char *arg, const char *next,
                        void *values, int *ret_used, struct sl_diag *reterr)
{
    bool is_long = arg[1] == '-';
    const char *name = arg + (is_long ? 2 : 1);
    size_t name_size = is_long ? strcspn(name, "=") : 1;
    const char *value = NULL;
    *ret_used = 1;
    if (is_long && name[name_size] == '=') value = name + name_size + 1;
    if (!is_long && name[1] != '\0') value = name + 1;
    const struct sl_option *option = option_find(usage, name, name_size);
    if (option == NULL || (is_long && name_size == 1)) {
        return unknown_option(usage, arg, name, reterr);
    }
    if (option->type == SL_OPTION_FLAG) {
        if (value != NULL) return bad_value(option, value, "no value", reterr);
        *(bool *)((char *)values + option->offset) = true;
        return 0;
    }
    if (value == NULL) {
        if (next == NULL) {
            return sl_diag_set(reterr, "bad_value", NO_POS, "--%s needs a value: %s", option->name,
                               option->value);
        }
        value = next;
        *ret_used = 2;
    }
    return value_set(option, value, values, reterr);
}

static bool lists_only; /* --complete: the names of the options are asked for */

int sl_options_parse(const struct sl_options_usage *usage, int argc, char **argv, void *values,
                     struct sl_option_list *positional, struct sl_diag *reterr)
{
    sl_assert(usage != NULL);
    sl_assert(values != NULL);
    bool only_positional = false;
    lists_only = argc == 1 && strcmp(argv[0], "--complete") == 0;
    if (lists_only) return SL_OPTIONS_HELP;
    for (int i = 0; i < argc;) {
        const char *arg = argv[i];
        if (!only_positional && strcmp(arg, "--") == 0) {
            only_positional = true;
            i++;
        } else if (only_positional || arg[0] != '-' || arg[1] == '\0') {
            if (positional->count == SL_OPTIONS_LIST_MAX) {
                return sl_diag_set(reterr, "too_many", NO_POS, "too many arguments");
            }
            positional->items[positional->count++] = arg;
            i++;
        } else if (strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0) {
            return SL_OPTIONS_HELP;
        } else {
            int used;
            int err =
                option_parse(usage, arg, i + 1 < argc ? argv[i + 1] : NULL, values, &used, reterr);
            if (err < 0) return err;
            i += used;
        }
    }
    return SL_OPTIONS_OK;
}

int sl_options_output_check(const char *name, const char *path, struct sl_diag *reterr)
{
    sl_assert(name != NULL);
    struct stat st;
    int err = 0;
    if (path == NULL) return 0;
    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode)) {
            err = EISDIR;
        } else if (access(path, W_OK) < 0) {
            err = errno;
        }
    } else {
        /* Whether it can be made is known when it was; a run that fails leaves none behind. */
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0) err = errno;
        if (fd >= 0) (void)unlink(path);
        if (fd >= 0) (void)close(fd);
    }
    if (err == 0) return 0;
    return sl_diag_set(reterr, "bad_value", NO_POS, "--%s: %s cannot be written: %s", name, path,
                       strerror(err));
}

/* "sluice-bench http " or "script_bench ". */
static void usage_print_name(const struct sl_options_usage *usage, FILE *out)
{
    (void)fprintf(out, "%s ", usage->program != NULL ? usage->program : "sluice-bench");
    if (usage->name[0] != '\0') (void)fprintf(out, "%s ", usage->name);
}

static void names_print(const struct sl_options_usage *usage)
{
    for (size_t i = 0; i < usage->options_count; i++) {
        if (usage->options[i].type == SL_OPTION_TITLE) continue;
        (void)printf("--%s\n", usage->options[i].name);
    }
    (void)printf("--help\n");
}

void sl_options_help(const struct sl_options_usage *usage)
{
    if (lists_only) {
        names_print(usage);
        return;
    }
    (void)printf("Usage: ");
    usage_print_name(usage, stdout);
    (void)printf("%s\n\n%s\n", usage->synopsis, usage->about);
    for (size_t i = 0; i < usage->options_count; i++) {
        const struct sl_option *option = &usage->options[i];
        if (option->type == SL_OPTION_TITLE) {
            (void)printf("\n%s:\n", option->name);
            continue;
        }
        char left[64];
        char letter[5] = {0};
        if (option->letter != 0) (void)snprintf(letter, sizeof(letter), "-%c, ", option->letter);
        (void)snprintf(left, sizeof(left), "%4s--%s%s%s", letter, option->name,
                       option->value != NULL ? " " : "",
                       option->value != NULL ? option->value : "");
        (void)printf("  %-30s %s\n", left, option->help);
    }
    if (usage->examples != NULL) (void)printf("\nExamples:\n%s", usage->examples);
    if (usage->program != NULL) return;
    (void)printf("\nExit codes: 0 done; 1 a threshold failed; 2 usage; 3 the target does "
                 "not answer;\n            4 the run is invalid (the generator was late); 5 "
                 "internal error;\n            130 interrupted (what was measured is shown)\n");
}

void sl_options_complain(const struct sl_options_usage *usage, const struct sl_diag *diag)
{
    char text[1024];
    (void)sl_diag_format(diag, text, sizeof(text));
    (void)fprintf(stderr, "%s", text);
    if (usage == NULL) return;
    (void)fprintf(stderr, "see: ");
    usage_print_name(usage, stderr);
    (void)fprintf(stderr, "--help\n");
}
