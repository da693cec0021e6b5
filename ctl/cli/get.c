/* SPDX-License-Identifier: MIT */
/* get: what is stored, as a table, or as YAML or JSON that can be applied again. */
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/yaml/yaml.h"
#include "ctl/cli/changes.h"
#include "ctl/cli/store.h"
#include "ctl/cli/table.h"
#include "ctl/runtime/published.h"

enum get_output { GET_TABLE, GET_YAML, GET_JSON };

struct get {
    struct cli_args *args;
    struct sl_registry *registry;
    enum sl_object_type type;
    enum get_output output;
    uint64_t revision;
    const char *name_space; /* NULL: all */
    struct sl_objects objects;
};

/* ---- state of nodes -------------------------------------------------------------------------- */

/* What the runtimes of the namespaces that were met said; asked once each. */
struct state {
    char *name_space;
    long pid;
    struct sl_value published;
};

struct states {
    struct state *items; /* array of count */
    size_t count;
};

static const struct state *state_get(struct states *states, struct sl_registry *registry,
                                     const char *name_space)
{
    for (size_t i = 0; i < states->count; i++) {
        if (strcmp(states->items[i].name_space, name_space) == 0) return &states->items[i];
    }
    struct state *items = reallocarray(states->items, states->count + 1, sizeof(*items));
    if (items == NULL) return NULL;
    states->items = items;
    struct state *state = &items[states->count++];
    *state = (struct state){.name_space = strdup(name_space), .published = sl_value_none()};
    if (sl_published_get(registry, name_space, &state->pid, &state->published) < 0) {
        state->pid = -1;
    }
    return state;
}

static void states_fini(struct states *states)
{
    for (size_t i = 0; i < states->count; i++) {
        free(states->items[i].name_space);
        sl_value_unref(states->items[i].published);
    }
    free(states->items);
}

static char *slice_text(struct sl_value value)
{
    if (sl_value_is_none(value) || !sl_value_is(value, SL_VALUE_STRING)) return strdup("");
    return sl_slice_dup_str(sl_value_slice(value));
}

/* "active", "inactive: why", "last_good: why", "pending", "stopped" (no runtime), "unknown". */
static char *object_state(const struct state *state, const struct sl_object *object)
{
    if (state == NULL || state->pid < 0) return strdup("unknown");
    if (state->pid == 0) return strdup("stopped");
    if (sl_value_is_none(state->published)) return strdup("pending");
    struct sl_value revision = sl_value_get_str(state->published, "revision");
    if (!sl_value_is(revision, SL_VALUE_INT)) return strdup("unknown");
    if (revision.cell->word < object->revision) return strdup("pending");
    struct sl_value symbols = sl_value_get_str(state->published, "symbols");
    uint32_t count = sl_value_is(symbols, SL_VALUE_LIST) ? sl_value_count(symbols) : 0;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_value symbol = sl_value_list_at(symbols, i);
        struct sl_value id = sl_value_get_str(symbol, "id");
        if (sl_value_is_none(id) || !sl_slice_eq_str(sl_value_slice(id), object->id)) continue;
        char *word = slice_text(sl_value_get_str(symbol, "state"));
        char *reason = slice_text(sl_value_get_str(symbol, "reason"));
        char *text = NULL;
        int r = asprintf(&text, "%s: %s", word, reason);
        free(word);
        free(reason);
        return r < 0 ? NULL : text;
    }
    return strdup("active");
}

/* ---- printing -------------------------------------------------------------------------------- */

static void specs_table(struct get *get)
{
    static const char *const heading[] = {"NAMESPACE", "NAME", "KIND", "REVISION", "ID", "STATE"};
    struct cli_table table;
    struct states states = {0};
    cli_table_init(&table, 6, heading);
    for (size_t i = 0; i < get->objects.count; i++) {
        const struct sl_object *object = get->objects.items[i];
        char revision[24];
        (void)snprintf(revision, sizeof(revision), "%llu", (unsigned long long)object->revision);
        char *state =
            get->revision != SL_REVISION_NEWEST
                ? strdup("")
                : object_state(state_get(&states, get->registry, object->namespace), object);
        cli_table_add(&table, (const char *const[]){object->namespace, object->name, object->kind,
                                                    revision, object->id, state});
        free(state);
    }
    cli_table_print(&table, stdout);
    cli_table_fini(&table);
    states_fini(&states);
}

static void secrets_table(const struct get *get)
{
    static const char *const heading[] = {"NAMESPACE", "NAME", "REVISION", "ID"};
    struct cli_table table;
    cli_table_init(&table, 4, heading);
    for (size_t i = 0; i < get->objects.count; i++) {
        const struct sl_object *object = get->objects.items[i];
        char revision[24];
        (void)snprintf(revision, sizeof(revision), "%llu", (unsigned long long)object->revision);
        cli_table_add(&table,
                      (const char *const[]){object->namespace, object->name, revision, object->id});
    }
    cli_table_print(&table, stdout);
    cli_table_fini(&table);
}

static int yaml_print(struct sl_value value)
{
    char *text;
    size_t size;
    int r = sl_yaml_write(value, &text, &size);
    if (r < 0) {
        cli_error("it cannot be written as YAML: %s", strerror(-r));
        return CLI_FAILED;
    }
    (void)fwrite(text, 1, size, stdout);
    free(text);
    return CLI_OK;
}

static int objects_print(struct get *get, bool single)
{
    if (get->output == GET_TABLE) {
        if (get->type == SL_OBJECT_SPEC) specs_table(get);
        if (get->type == SL_OBJECT_SECRET) secrets_table(get);
        return CLI_OK;
    }
    struct sl_value list;
    int r = sl_objects_value(&get->objects, NULL, &list);
    if (r < 0) {
        cli_error("%s", strerror(-r));
        return CLI_FAILED;
    }
    bool one = single && get->objects.count == 1;
    struct sl_value value = one ? sl_value_list_at(list, 0) : list;
    int exit_code = CLI_OK;
    if (get->output == GET_YAML) {
        exit_code = yaml_print(value);
    } else {
        cli_print_json(value);
    }
    sl_value_unref(list);
    return exit_code;
}

/* ---- choosing -------------------------------------------------------------------------------- */

static bool is_wanted(const struct sl_object *object, const char *word)
{
    char id[SL_ID_SIZE];
    return strcmp(object->name, word) == 0 ||
           (sl_registry_id_parse(word, id) && strcmp(object->id, id) == 0);
}

static void missing_print(struct get *get, const char *word)
{
    const char **names = calloc(get->objects.count + 1, sizeof(*names));
    for (size_t i = 0; names != NULL && i < get->objects.count; i++) {
        names[i] = get->objects.items[i]->name;
    }
    const char *nearest = names != NULL ? sl_diag_nearest(word, names, get->objects.count) : NULL;
    struct sl_diag diag = {0};
    (void)sl_diag_set(&diag, "not_found", (struct sl_pos){0, 0}, "there is no %s \"%s\"%s%s%s",
                      get->type == SL_OBJECT_SPEC ? "node" : "secret", word,
                      get->name_space != NULL ? " in namespace \"" : "",
                      get->name_space != NULL ? get->name_space : "",
                      get->name_space != NULL ? "\"" : "");
    if (nearest != NULL && nearest[0] != '\0') sl_diag_hint(&diag, "did you mean \"%s\"?", nearest);
    cli_print_diag(get->args, &diag);
    free(names);
}

/* Keep what the words name, in the order of creation. False if a word names nothing. */
static bool objects_choose(struct get *get, const char *const *words, size_t count)
{
    if (count == 0) return true;
    for (size_t w = 0; w < count; w++) {
        bool found = false;
        for (size_t i = 0; i < get->objects.count; i++) {
            found |= is_wanted(get->objects.items[i], words[w]);
        }
        if (found) continue;
        missing_print(get, words[w]);
        return false;
    }
    struct sl_objects chosen = {0};
    chosen.items = calloc(get->objects.count + 1, sizeof(struct sl_object *));
    if (chosen.items == NULL) return false;
    chosen.cap = get->objects.count + 1;
    for (size_t i = 0; i < get->objects.count; i++) {
        bool wanted = false;
        for (size_t w = 0; w < count; w++) wanted |= is_wanted(get->objects.items[i], words[w]);
        if (wanted) chosen.items[chosen.count++] = sl_objects_take(&get->objects, i);
    }
    sl_objects_fini(&get->objects);
    get->objects = chosen;
    return true;
}

/* ---- the command ----------------------------------------------------------------------------- */

static bool options_read(struct get *get)
{
    static const char *const outputs[] = {"table", "yaml", "json"};
    int64_t revision = -1;
    if (!cli_get_number(get->args, "revision", 0, INT64_MAX, &revision)) return false;
    get->revision = revision < 0 ? SL_REVISION_NEWEST : (uint64_t)revision;
    bool all = cli_is_set(get->args, "all-namespaces");
    get->name_space = all ? NULL : cli_get(get->args, "namespace");
    const char *output = cli_get(get->args, "output");
    get->output = cli_is_json(get->args) ? GET_JSON : GET_TABLE;
    if (output == NULL) return true;
    for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++) {
        if (strcmp(outputs[i], output) != 0) continue;
        get->output = (enum get_output)i;
        return true;
    }
    cli_error("\"-o %s\": expected table, yaml or json", output);
    return false;
}

static int objects_get(struct get *get, size_t skip)
{
    size_t count;
    const char *const *words = cli_operands(get->args, &count);
    int r = sl_registry_snapshot(get->registry, get->type, get->name_space, get->revision,
                                 &get->objects, NULL);
    struct sl_diags none = {0};
    if (r != 0) return cli_print_outcome(get->args, r, &none);
    if (!objects_choose(get, words + skip, count - skip)) return CLI_FAILED;
    return objects_print(get, count - skip == 1);
}

int cli_get_command(struct cli_args *args)
{
    struct get get = {.args = args};
    size_t skip = cli_type_read(args, &get.type);
    if (!options_read(&get)) return CLI_USAGE;
    int r = cli_registry_open(args, false, &get.registry);
    if (r != CLI_OK) return r;
    r = objects_get(&get, skip);
    sl_objects_fini(&get.objects);
    get.registry = sl_registry_close(get.registry);
    return r;
}
