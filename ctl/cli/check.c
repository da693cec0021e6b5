/* SPDX-License-Identifier: MIT */
/* check: all mistakes of all files at once; and the effective configuration. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/spec/template.h"
#include "ctl/cli/costs.h"
#include "ctl/cli/edges.h"
#include "ctl/cli/store.h"
#include "ctl/cli/table.h"
#include "ctl/loader/address.h"
#include "ctl/loader/check.h"
#include "ctl/loader/unit.h"
#include "nodes/script/engine.h"
#include "nodes/script/use.h"

struct check {
    struct cli_args *args;
    const char *name_space;
    struct sl_value environment; /* Map, or cell == NULL: nothing is known of it */
    struct sl_specs specs;
    struct sl_addresses addresses;
    struct sl_diags diags;
    struct cli_costs costs;
};

/* ---- specs ----------------------------------------------------------------------------------- */

/* Placeholders of `env`, and of the env of children, against the names given by -e. */
static void environment_check(struct check *check, const struct sl_spec *spec)
{
    for (uint32_t i = 0; i < spec->env_count; i++) {
        const struct sl_spec_env *entry = &spec->env[i];
        if (entry->id.size + entry->name.size > 0 || sl_value_is_none(entry->data)) continue;
        struct sl_template template = {
            .bound = check->environment, .what = "the environment", .spec = spec};
        struct sl_value value;
        if (sl_template_apply(&template, entry->data, &value, &check->diags) == 0) {
            sl_value_unref(value);
        }
    }
}

static void cost_add(void *ctx, const struct sl_compile *c, struct sl_value code,
                     const struct sl_script_cost *cost)
{
    struct check *check = ctx;
    cli_costs_add(&check->costs, c, code, cost);
}

/* What a script prints at its top level is no part of the findings. */
static void print_drop(void *ctx, enum sl_log_level level, const char *node, const char *text,
                       size_t text_size)
{
    (void)ctx;
    (void)level;
    (void)node;
    (void)text;
    (void)text_size;
}

static void specs_compile(struct check *check)
{
    sl_script_log_set(print_drop, NULL);
    for (size_t i = 0; i < check->specs.count; i++) {
        const struct sl_spec *spec = check->specs.items[i].spec;
        struct sl_unit_source source = {
            .spec = spec,
            .name_space = check->name_space,
            .shards_count = 1,
            .check_only = true,
            .tries = true,
            .addresses = &check->addresses,
            .cost = cost_add,
            .ctx = check,
        };
        (void)sl_unit_build(&source, NULL, &check->diags);
        /* An env that could not be read would make every name look unbound. */
        bool is_lost = spec->broken && spec->env_count == 0;
        if (!is_lost) (void)sl_spec_check_env(spec, &check->diags);
        if (!sl_value_is_none(check->environment)) environment_check(check, spec);
    }
    sl_script_try_fini();
}

/* With --data, edges may lead to stored nodes too. */
static int known_read(struct check *check, struct sl_objects *known)
{
    if (!cli_is_set(check->args, "data")) return CLI_OK;
    struct sl_registry *registry = NULL;
    int r = cli_registry_open(check->args, false, &registry);
    if (r != CLI_OK) return r;
    r = sl_registry_snapshot(registry, SL_OBJECT_SPEC, NULL, SL_REVISION_NEWEST, known, NULL);
    registry = sl_registry_close(registry);
    if (r == 0) return CLI_OK;
    cli_error("the registry cannot be read: %s", strerror(-r));
    return CLI_UNREACHABLE;
}

static void findings_print_json(const struct check *check)
{
    struct sl_builder b;
    struct sl_value value;
    sl_builder_init(&b, NULL, 64, 1024);
    sl_build_map_begin(&b);
    cli_diags_build(&check->diags, &b);
    cli_costs_build(&check->costs, &b);
    sl_build_map_end(&b);
    if (sl_builder_finish(&b, &value) < 0) {
        cli_error("out of memory");
        return;
    }
    cli_print_json(value);
    sl_value_unref(value);
}

static void findings_print(const struct check *check)
{
    size_t errors = cli_print_diags(check->args, &check->diags);
    if (errors > 0) {
        (void)fprintf(stderr, "%zu error%s\n", errors, sl_plural(errors));
        return;
    }
    (void)printf("%zu spec%s in %u file%s: no mistakes", check->specs.count,
                 sl_plural(check->specs.count), check->specs.files_count,
                 sl_plural(check->specs.files_count));
    size_t warnings = check->diags.count;
    if (warnings > 0) (void)printf(", %zu warning%s", warnings, sl_plural(warnings));
    (void)putchar('\n');
    cli_costs_print(&check->costs, stdout);
}

static int specs_check(struct check *check, const char *const *files, size_t count)
{
    struct sl_objects known = {0};
    int r = known_read(check, &known);
    if (r != CLI_OK) return r;
    check->specs.keep_broken = true;
    (void)sl_specs_read_paths(files, count, &check->specs, &check->diags);
    /* What could not even be named would make every edge to it look wrong. */
    struct cli_edges edges = {.specs = &check->specs,
                              .name_space = check->name_space,
                              .known = &known,
                              .level = SL_DIAG_ERROR,
                              .unnamed = check->diags.errors_count > check->specs.errors_count};
    (void)sl_specs_check_names(&check->specs, check->name_space, &check->diags);
    specs_compile(check);
    cli_edges_check(&edges, &check->diags);
    sl_objects_fini(&known);
    cli_diags_order(&check->diags);
    if (cli_is_json(check->args)) {
        findings_print_json(check);
    } else {
        findings_print(check);
    }
    return check->diags.errors_count > 0 ? CLI_FAILED : CLI_OK;
}

/* ---- configuration --------------------------------------------------------------------------- */

/* What -e gives may be a secret: only its name is shown. */
static char *value_shown(const struct cli_option *option, const char *text)
{
    if (strcmp(option->name, "env") != 0) return strdup(text);
    char *shown = NULL;
    return asprintf(&shown, "%.*s=…", (int)strcspn(text, "="), text) < 0 ? NULL : shown;
}

static void config_entry(struct cli_args *args, const struct cli_option *option,
                         struct cli_table *table, struct sl_builder *b)
{
    size_t count;
    const char *const *items = cli_get_list(args, option->name, &count);
    sl_build_key_str(b, option->name);
    sl_build_map_begin(b);
    sl_build_key_str(b, "origin");
    sl_build_string_str(b, cli_origin(args, option->name));
    sl_build_key_str(b, "value");
    if (option->flags & CLI_LIST) sl_build_list_begin(b);
    if (count == 0) {
        cli_table_add(table, (const char *const[]){option->name, "", "unset"});
        if (!(option->flags & CLI_LIST)) sl_build_null(b);
    }
    for (size_t i = 0; i < count; i++) {
        char *shown = value_shown(option, items[i]);
        cli_table_add(table, (const char *const[]){i == 0 ? option->name : "", shown,
                                                   cli_origin(args, option->name)});
        sl_build_string_str(b, shown != NULL ? shown : "");
        free(shown);
    }
    if (option->flags & CLI_LIST) sl_build_list_end(b);
    sl_build_map_end(b);
}

/* The configuration that `start` would have in this folder and environment. */
static int config_print(struct cli_args *args)
{
    const char *file = cli_config_path(args);
    char *words[] = {(char[]){"-c"}, (char *)(uintptr_t)file};
    struct cli_args *effective = NULL;
    int r = cli_args_parse(cli_command_find("start"), file != NULL ? 2 : 0, words, &effective);
    if (effective == NULL) return r;
    struct cli_table table;
    struct sl_builder b;
    struct sl_value value;
    const struct cli_option *const lists[] = {cli_command_find("start")->options,
                                              cli_common_options};
    cli_table_init(&table, 3, (const char *const[]){"OPTION", "VALUE", "FROM"});
    sl_builder_init(&b, NULL, 64, 1024);
    sl_build_map_begin(&b);
    for (size_t i = 0; i < 2; i++) {
        for (const struct cli_option *o = lists[i]; o->name != NULL; o++) {
            if (o->flags & CLI_CONFIG) config_entry(effective, o, &table, &b);
        }
    }
    sl_build_map_end(&b);
    if (!cli_is_json(args)) cli_table_print(&table, stdout);
    cli_table_fini(&table);
    bool is_right = cli_start_check(effective);
    r = sl_builder_finish(&b, &value);
    if (r == 0 && cli_is_json(args)) cli_print_json(value);
    if (r == 0) sl_value_unref(value);
    effective = cli_args_free(effective);
    if (!is_right) return CLI_USAGE;
    return r == 0 ? CLI_OK : CLI_FAILED;
}

int cli_check(struct cli_args *args)
{
    size_t count;
    (void)cli_operands(args, &count);
    if (cli_is_set(args, "config")) {
        if (count == 0) return config_print(args);
        cli_error("check --config takes no files; a configuration file is given by -c FILE");
        return CLI_USAGE;
    }
    const char **files = NULL;
    count = cli_files(args, 0, &files);
    if (count == 0) {
        cli_error("check: no files; see \"sluice check --help\"");
        free(files);
        return CLI_USAGE;
    }
    struct check check = {.args = args, .name_space = cli_get(args, "namespace")};
    int r = CLI_OK;
    if (cli_is_set(args, "env") && !cli_environment(args, &check.environment)) r = CLI_USAGE;
    if (r == CLI_OK) r = specs_check(&check, files, count);
    sl_value_unref(check.environment);
    sl_specs_fini(&check.specs);
    sl_addresses_fini(&check.addresses);
    sl_diags_fini(&check.diags);
    cli_costs_fini(&check.costs);
    free(files);
    return r;
}
