/* SPDX-License-Identifier: MIT */
#include "ctl/loader/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/spec/template.h"
#include "ctl/loader/address.h"
#include "ctl/loader/tree.h"

enum { CODE_FIELDS_MAX = 16 };

/* ---- binding ------------------------------------------------------------------------------- */

/* A diagnostic of a helper, put at a place of the spec if it has none of its own. */
static void push_diag(const struct sl_spec *spec, struct sl_diags *diags, struct sl_diag *diag,
                      struct sl_pos pos)
{
    if (diag->pos.line == 0) diag->pos = pos;
    if (diag->file[0] == '\0') sl_diag_file(diag, spec->file);
    (void)sl_diags_push(diags, diag);
}

/*
 * The value of one `env` entry: its `data` with the placeholders bound, or all that it names. A
 * secret is also put into the list `secrets`.
 */
static int env_entry(const struct sl_unit_source *source, const struct sl_spec *spec,
                     const struct sl_spec_env *entry, struct sl_value *ret_value,
                     struct sl_builder *secrets, struct sl_diags *diags)
{
    struct sl_diag diag = {0};
    struct sl_value from = sl_value_none();
    int r = source->env(source->ctx, entry, &from, &diag);
    if (r == -ENOMEM) return r;
    if (r < 0) {
        push_diag(spec, diags, &diag, entry->pos);
        return r;
    }
    bool is_secret = entry->id.size + entry->name.size > 0;
    if (is_secret) sl_build_value(secrets, from);
    if (sl_value_is_none(entry->data)) {
        *ret_value = from;
        return 0;
    }
    struct sl_template template = {
        .bound = from,
        .what = is_secret ? "the secret" : "the environment",
        .spec = spec,
    };
    r = sl_template_apply(&template, entry->data, ret_value, diags);
    sl_value_unref(from);
    return r;
}

/* Begin the builders of a vertex's names and secrets with those of its block. */
static void scope_begin(const struct tree *tree, const struct tree_vertex *vertex,
                        struct sl_builder *names, struct sl_builder *secrets)
{
    struct sl_value outer = sl_value_none();
    struct sl_value hidden = sl_value_none();
    if (vertex->parent != TREE_NONE) {
        outer = tree->vertices[vertex->parent].scope;
        hidden = tree->vertices[vertex->parent].secrets;
    }
    sl_builder_init(names, NULL, 16, 256);
    sl_builder_init(secrets, NULL, 0, 0);
    sl_build_map_begin(names);
    sl_build_list_begin(secrets);
    for (uint32_t i = 0; !sl_value_is_none(outer) && i < sl_value_count(outer); i++) {
        struct sl_slice key = sl_value_key_at(outer, i);
        sl_build_key(names, key.data, key.size);
        sl_build_value(names, sl_value_map_at(outer, i));
    }
    for (uint32_t i = 0; !sl_value_is_none(hidden) && i < sl_value_count(hidden); i++) {
        sl_build_value(secrets, sl_value_list_at(hidden, i));
    }
}

/* Take what a builder made; the first error of both stays. */
static int scope_end(struct sl_builder *builder, struct sl_value *ret_value, int result)
{
    int r = sl_builder_finish(builder, ret_value);
    if (r < 0) *ret_value = sl_value_none();
    return r < 0 ? r : result;
}

/* The names that a vertex's fields may use: those of its block and its own. */
static int scope_make(const struct sl_unit_source *source, struct tree *tree, uint32_t number,
                      struct sl_diags *diags)
{
    struct tree_vertex *vertex = &tree->vertices[number];
    const struct sl_spec *spec = vertex->spec;
    if (spec->env_count == 0) {
        if (vertex->parent == TREE_NONE) return 0;
        vertex->scope = sl_value_ref(tree->vertices[vertex->parent].scope);
        vertex->secrets = sl_value_ref(tree->vertices[vertex->parent].secrets);
        return 0;
    }
    struct sl_builder names, secrets;
    scope_begin(tree, vertex, &names, &secrets);
    int result = 0;
    for (uint32_t i = 0; i < spec->env_count; i++) {
        struct sl_value value = sl_value_none();
        int r = env_entry(source, spec, &spec->env[i], &value, &secrets, diags);
        if (r < 0) {
            result = r;
            continue;
        }
        sl_build_key(&names, spec->env[i].key.data, spec->env[i].key.size);
        sl_build_value(&names, value);
        sl_value_unref(value);
    }
    sl_build_map_end(&names);
    sl_build_list_end(&secrets);
    result = scope_end(&names, &vertex->scope, result);
    return scope_end(&secrets, &vertex->secrets, result);
}

static bool language_is_text(const struct sl_spec *spec)
{
    struct sl_value language = sl_value_get_str(spec->value, "language");
    return sl_value_is(language, SL_VALUE_STRING) &&
           sl_slice_eq(sl_value_slice(language), SL_SLICE("text"));
}

/* The spec's value with its own fields bound. */
static int fields_bind(const struct tree_vertex *vertex, struct sl_value *ret_value,
                       struct sl_diags *diags)
{
    const char *code[CODE_FIELDS_MAX + 1] = {NULL};
    size_t count = 0;
    const struct sl_field *field = vertex->kind->fields;
    /* Text is no code: what is put into it stays text. */
    if (language_is_text(vertex->spec)) field = NULL;
    for (; field != NULL && field->name != NULL && count < CODE_FIELDS_MAX; field++) {
        if (field->flags & SL_FIELD_HOLDS_CODE) code[count++] = field->name;
    }
    struct sl_template template = {
        .bound = vertex->scope,
        .what = "env",
        .spec = vertex->spec,
    };
    return sl_template_apply_spec(&template, code, ret_value, diags);
}

/* ---- compiling ----------------------------------------------------------------------------- */

static struct sl_pos locate(void *ctx, struct sl_value text, uint32_t *ret_indent)
{
    struct sl_spec_text place = sl_spec_text_get(ctx, text);
    *ret_indent = place.indent;
    return place.text.line > 0 ? place.text : place.pos;
}

static struct sl_pos place(void *ctx, struct sl_value text, uint32_t line, uint32_t column)
{
    return sl_spec_locate(ctx, text, line, column);
}

static bool field_is_resolved(struct sl_slice name)
{
    static const char *const others[] = {"id", "annotations", "ports", "env", "namespace", NULL};
    for (size_t i = 0; others[i] != NULL; i++) {
        if (sl_slice_eq_str(name, others[i])) return false;
    }
    return true;
}

/* Equal in all that a node is made from; edges and annotations may differ. */
static bool config_is_same(struct sl_value a, struct sl_value b)
{
    uint32_t fields_a = 0;
    uint32_t fields_b = 0;
    for (uint32_t i = 0; i < sl_value_count(b); i++) {
        fields_b += field_is_resolved(sl_value_key_at(b, i));
    }
    for (uint32_t i = 0; i < sl_value_count(a); i++) {
        struct sl_slice name = sl_value_key_at(a, i);
        if (!field_is_resolved(name)) continue;
        fields_a++;
        struct sl_value other = sl_value_get(b, name);
        if (sl_value_is_none(other)) return false;
        struct sl_value own = sl_value_map_at(a, i);
        if (sl_value_kind(own) != sl_value_kind(other) || !sl_value_equal(own, other)) return false;
    }
    return fields_a == fields_b;
}

/* What a node keeps: the bound spec, and beside it the names that scripts can read. */
static int identity_make(struct sl_value spec, struct sl_value scope, struct sl_value *ret_value)
{
    struct sl_builder b;
    sl_builder_init(&b, NULL, 8, 32);
    sl_build_map_begin(&b);
    sl_build_key_str(&b, "spec");
    sl_build_value(&b, spec);
    sl_build_key_str(&b, "env");
    sl_build_value(&b, sl_value_is_none(scope) ? sl_value_null() : scope);
    sl_build_map_end(&b);
    return sl_builder_finish(&b, ret_value);
}

static bool identity_is_same(struct sl_value a, struct sl_value b)
{
    struct sl_value env_a = sl_value_get_str(a, "env");
    struct sl_value env_b = sl_value_get_str(b, "env");
    return config_is_same(sl_value_get_str(a, "spec"), sl_value_get_str(b, "spec")) &&
           sl_value_equal(env_a, env_b);
}

static char *text_dup(struct sl_slice text)
{
    return sl_slice_dup_str(text);
}

/* What a listener with this config listens on, among those of others. */
static int address_take(const struct sl_unit_source *source, const struct sl_compile *c,
                        const void *config)
{
    char key[SL_SPEC_NAME_MAX + 16];
    char space[SL_SPEC_NAME_MAX + 1];
    struct sl_slice own = source->spec->name_space;
    if (c->kind->source == NULL || c->kind->source->key(config, key, sizeof(key)) < 0) return 0;
    (void)snprintf(space, sizeof(space), "%.*s", SL_SLICE_FMT(own));
    return sl_addresses_take(source->addresses, c, own.size > 0 ? space : source->name_space, key);
}

/* Decode and compile a bound spec into a fresh config. */
static int config_make(const struct sl_unit_source *source, const struct tree_vertex *vertex,
                       struct sl_value value, void **ret_config, struct sl_diags *diags)
{
    const struct sl_kind *kind = vertex->kind;
    void *config = calloc(1, kind->config_size > 0 ? kind->config_size : 1);
    if (config == NULL) return -ENOMEM;
    struct sl_compile c = {
        .kind = kind,
        .spec = value,
        .env = vertex->scope,
        .secrets = vertex->secrets,
        .ports = sl_value_get_str(value, "ports"),
        .name_space = source->name_space,
        .name = vertex->path,
        .file = vertex->spec->file,
        .config = config,
        .diags = diags,
        .tries = source->tries && !vertex->has_env,
        .lenient = source->check_only,
        .locate = locate,
        .place = place,
        .locate_ctx = (void *)(uintptr_t)vertex->spec,
        .cost = source->cost,
        .cost_ctx = source->ctx,
    };
    char where[SL_SPEC_NAME_MAX + 16];
    (void)snprintf(where, sizeof(where), "kind \"%s\"", kind->name);
    int r = sl_config_decode(&c, kind->fields, value, true, where, config);
    /* A mistake in a field that may be left out leaves it out, and hides no other mistake. */
    bool is_whole = !c.partial && (r == 0 || source->check_only);
    if (is_whole && kind->compile != NULL) {
        int compiled = kind->compile(&c);
        if (compiled < 0) r = compiled;
    }
    if (r == 0 && is_whole && source->addresses != NULL) r = address_take(source, &c, config);
    if (r < 0) {
        if (kind->config_fini != NULL) kind->config_fini(config);
        free(config);
        return r;
    }
    *ret_config = config;
    return 0;
}

/* `placement: any`, or `core N`: the shard of that number. */
static int placement_decode(const struct sl_unit_source *source, const struct tree_vertex *vertex,
                            enum sl_placement *ret_placement, uint32_t *ret_core,
                            struct sl_diags *diags)
{
    struct sl_value value = sl_value_get_str(vertex->spec->value, "placement");
    if (sl_value_is_none(value) || sl_value_is(value, SL_VALUE_NULL)) return 0;
    struct sl_slice text =
        sl_value_is(value, SL_VALUE_STRING) ? sl_value_slice(value) : SL_SLICE("");
    if (sl_slice_eq(text, SL_SLICE("any"))) return 0;
    uint32_t core = 0;
    bool is_core = text.size > 5 && text.size <= 7 && sl_slice_has_prefix(text, SL_SLICE("core "));
    for (size_t i = 5; is_core && i < text.size; i++) {
        is_core = text.data[i] >= '0' && text.data[i] <= '9';
        core = core * 10 + (uint32_t)(text.data[i] - '0');
    }
    if (!is_core || vertex->kind->source != NULL) {
        struct sl_diag *diag =
            sl_spec_error(vertex->spec->file, diags, "bad_placement", sl_value_pos(value),
                          is_core ? "a listener is on all shards" : "unknown placement");
        sl_diag_hint(diag, "any, or the number of a shard: core 0, core 1");
        return -EINVAL;
    }
    if (!source->check_only && core >= source->shards_count) {
        (void)sl_spec_error(vertex->spec->file, diags, "no_such_core", sl_value_pos(value),
                            "there is no shard %u: this runtime has %u", core,
                            source->shards_count);
        return -EINVAL;
    }
    *ret_placement = SL_PLACEMENT_CORE;
    *ret_core = core;
    return 0;
}

static int node_make(const struct sl_unit_source *source, const struct tree_vertex *vertex,
                     struct sl_value identity, struct sl_node **ret_node, struct sl_diags *diags)
{
    struct sl_node *before = source->node ? source->node(source->ctx, vertex->path) : NULL;
    if (before != NULL && before->kind == vertex->kind &&
        identity_is_same(before->spec, identity)) {
        *ret_node = sl_node_ref(before);
        return 0;
    }
    void *config;
    enum sl_placement placement = SL_PLACEMENT_ANY;
    uint32_t core = 0;
    int r = placement_decode(source, vertex, &placement, &core, diags);
    if (r < 0) return r;
    r = config_make(source, vertex, sl_value_get_str(identity, "spec"), &config, diags);
    if (r < 0) return r;
    char *id = text_dup(vertex->spec->id);
    struct sl_node *node =
        sl_node_new(vertex->kind, config, vertex->path, id, vertex->spec->file, vertex->spec->pos,
                    sl_value_ref(identity), source->shards_count);
    free(id);
    if (node == NULL) {
        sl_value_unref(identity);
        if (vertex->kind->config_fini != NULL) vertex->kind->config_fini(config);
        free(config);
        return -ENOMEM;
    }
    if (before != NULL && before->kind == vertex->kind &&
        before->shards_count == source->shards_count) {
        sl_node_succeed(node, before);
    }
    node->placement = placement;
    node->placement_core = core;
    sl_node_set_secrets(node, sl_value_ref(vertex->secrets));
    *ret_node = node;
    return 0;
}

/* Bind and compile one leaf; in check_only nothing is kept. */
static int vertex_compile(const struct sl_unit_source *source, const struct tree_vertex *vertex,
                          struct sl_node **ret_node, struct sl_diags *diags)
{
    if (source->check_only) {
        void *config;
        enum sl_placement placement;
        uint32_t core;
        int placed = placement_decode(source, vertex, &placement, &core, diags);
        int r = config_make(source, vertex, vertex->spec->value, &config, diags);
        if (r < 0) return r;
        if (vertex->kind->config_fini != NULL) vertex->kind->config_fini(config);
        free(config);
        return placed;
    }
    struct sl_value value;
    int r = fields_bind(vertex, &value, diags);
    if (r < 0) return r;
    struct sl_value identity;
    r = identity_make(value, vertex->scope, &identity);
    sl_value_unref(value);
    if (r < 0) return r;
    r = node_make(source, vertex, identity, ret_node, diags);
    sl_value_unref(identity);
    return r;
}

/* ---- links --------------------------------------------------------------------------------- */

static int link_add(struct sl_unit *unit, struct sl_link link)
{
    size_t size = (unit->links_count + 1U) * sizeof(link);
    struct sl_link *links = realloc(unit->links, size);
    if (links == NULL) return -ENOMEM;
    unit->links = links;
    links[unit->links_count++] = link;
    return 0;
}

static int outer_edge_add(struct sl_unit *unit, uint32_t node, uint32_t port,
                          const struct sl_spec_edge *edge)
{
    size_t size = (unit->edges_count + 1U) * sizeof(struct sl_unit_edge);
    struct sl_unit_edge *edges = realloc(unit->edges, size);
    if (edges == NULL) return -ENOMEM;
    unit->edges = edges;
    struct sl_unit_edge *own = &edges[unit->edges_count];
    *own = (struct sl_unit_edge){.node = node,
                                 .port = port,
                                 .in = edge->port_index,
                                 .by_id = edge->id.size > 0,
                                 .pos = edge->node_pos};
    own->target = text_dup(edge->id.size > 0 ? edge->id : edge->name);
    if (own->target == NULL) return -ENOMEM;
    unit->edges_count++;
    return 0;
}

/* What leaves (vertex, port) by the edges of the top spec. */
static int top_edges(struct sl_unit *unit, const struct tree *tree, uint32_t node, uint32_t port,
                     uint32_t top_port)
{
    const struct sl_spec *spec = tree->vertices[TREE_TOP].spec;
    for (uint32_t p = 0; p < spec->ports_count; p++) {
        const struct sl_spec_port *own = &spec->ports[p];
        uint32_t number = own->kind == SL_PORT_KIND_ERROR ? SL_PORT_ERROR : own->index;
        if (number != top_port) continue;
        for (uint32_t e = 0; e < own->edges_count; e++) {
            int r = outer_edge_add(unit, node, port, &own->edges[e]);
            if (r < 0) return r;
        }
    }
    return 0;
}

/* What leaves (vertex, port) by edges between siblings, down to the leaves. */
static int inner_edges(struct sl_unit *unit, const struct tree *tree, uint32_t node, uint32_t port,
                       struct tree_place place)
{
    struct tree_places targets = {0};
    int r = 0;
    for (uint32_t e = 0; r == 0 && e < tree->edges_count; e++) {
        const struct tree_edge *edge = &tree->edges[e];
        if (edge->source != place.vertex || edge->port != place.port) continue;
        r = tree_resolve_in(tree, edge->target, edge->in, &targets);
    }
    for (uint32_t t = 0; r == 0 && t < targets.count; t++) {
        const struct tree_vertex *target = &tree->vertices[targets.items[t].vertex];
        r = link_add(unit, (struct sl_link){node, port, target->node, targets.items[t].port});
    }
    free(targets.items);
    return r;
}

static int port_edges(struct sl_unit *unit, const struct tree *tree, uint32_t vertex, uint32_t port)
{
    struct tree_places places = {0};
    int r = tree_resolve_out(tree, vertex, port, &places);
    uint32_t node = tree->vertices[vertex].node;
    for (uint32_t i = 0; r == 0 && i < places.count; i++) {
        r = places.items[i].vertex == TREE_TOP
                ? top_edges(unit, tree, node, port, places.items[i].port)
                : inner_edges(unit, tree, node, port, places.items[i]);
    }
    free(places.items);
    return r;
}

/* The highest `out` number that anything says of a leaf. */
static uint32_t outs_count(const struct tree *tree, uint32_t vertex)
{
    uint32_t count = 0;
    const struct sl_spec *spec = tree->vertices[vertex].spec;
    for (uint32_t p = 0; p < spec->ports_count; p++) {
        if (spec->ports[p].kind == SL_PORT_KIND_OUT && spec->ports[p].index >= count) {
            count = spec->ports[p].index + 1;
        }
    }
    for (uint32_t i = 0; i < tree->outbounds_count; i++) {
        const struct tree_forward *forward = &tree->outbounds[i];
        if (forward->child != vertex || forward->child_port == SL_PORT_ERROR) continue;
        if (forward->child_port >= count) count = forward->child_port + 1;
    }
    for (uint32_t i = 0; i < tree->edges_count; i++) {
        const struct tree_edge *edge = &tree->edges[i];
        if (edge->source == vertex && edge->port != SL_PORT_ERROR && edge->port >= count) {
            count = edge->port + 1;
        }
    }
    return count;
}

static int ins_collect(struct sl_unit *unit, const struct tree *tree)
{
    const struct tree_vertex *top = &tree->vertices[TREE_TOP];
    uint32_t ins_max = top->node != TREE_NONE ? top->kind->ins_max : 0;
    for (uint32_t i = 0; i < tree->inbounds_count; i++) {
        if (tree->inbounds[i].block != TREE_TOP) continue;
        if (tree->inbounds[i].block_port >= ins_max) ins_max = tree->inbounds[i].block_port + 1;
    }
    for (uint32_t in = 0; in < ins_max; in++) {
        struct tree_places leaves = {0};
        int r = tree_resolve_in(tree, TREE_TOP, in, &leaves);
        for (uint32_t i = 0; r == 0 && i < leaves.count; i++) {
            size_t size = (unit->ins_count + 1U) * sizeof(struct sl_unit_in);
            struct sl_unit_in *ins = realloc(unit->ins, size);
            if (ins == NULL) {
                r = -ENOMEM;
                break;
            }
            unit->ins = ins;
            ins[unit->ins_count++] = (struct sl_unit_in){
                in, tree->vertices[leaves.items[i].vertex].node, leaves.items[i].port};
        }
        free(leaves.items);
        if (r < 0) return r;
    }
    return 0;
}

static int unit_link(struct sl_unit *unit, const struct tree *tree)
{
    for (uint32_t v = 0; v < tree->vertices_count; v++) {
        if (tree->vertices[v].node == TREE_NONE) continue;
        uint32_t outs = outs_count(tree, v);
        for (uint32_t port = 0; port < outs; port++) {
            int r = port_edges(unit, tree, v, port);
            if (r < 0) return r;
        }
        int r = port_edges(unit, tree, v, SL_PORT_ERROR);
        if (r < 0) return r;
    }
    return ins_collect(unit, tree);
}

/* ---- the whole ----------------------------------------------------------------------------- */

struct sl_unit *sl_unit_free(struct sl_unit *unit)
{
    if (unit == NULL) return NULL;
    for (uint32_t i = 0; i < unit->nodes_count; i++) sl_node_unref(unit->nodes[i]);
    for (uint32_t i = 0; i < unit->edges_count; i++) free(unit->edges[i].target);
    free(unit->nodes);
    free(unit->links);
    free(unit->edges);
    free(unit->ins);
    free(unit->id);
    free(unit->name);
    free(unit->kind);
    free(unit->file);
    free(unit);
    return NULL;
}

static struct sl_unit *unit_new(const struct sl_spec *spec, uint32_t nodes_count)
{
    struct sl_unit *unit = calloc(1, sizeof(*unit));
    if (unit == NULL) return NULL;
    unit->pos = spec->pos;
    unit->id = text_dup(spec->id);
    unit->name = text_dup(spec->name);
    unit->kind = text_dup(spec->kind);
    unit->file = strdup(spec->file);
    unit->nodes = calloc(nodes_count + 1U, sizeof(struct sl_node *));
    bool whole = unit->id && unit->name && unit->kind && unit->file && unit->nodes;
    return whole ? unit : sl_unit_free(unit);
}

/* Bind and compile every vertex, blocks before their children. Goes on after mistakes. */
static int vertices_compile(const struct sl_unit_source *source, struct tree *tree,
                            struct sl_unit *unit, struct sl_diags *diags)
{
    int result = 0;
    for (uint32_t v = 0; v < tree->vertices_count; v++) {
        struct tree_vertex *vertex = &tree->vertices[v];
        int r = source->check_only ? 0 : scope_make(source, tree, v, diags);
        if (r == -ENOMEM) return r;
        if (r < 0) {
            result = r;
            continue;
        }
        if (vertex->kind == NULL) continue;
        if (source->addresses_only && vertex->kind->source == NULL) continue;
        struct sl_node *node = NULL;
        if (vertex->node == TREE_NONE) {
            void *config;
            r = config_make(source, vertex, vertex->spec->value, &config, diags);
            if (r == 0) free(config);
        } else {
            r = vertex_compile(source, vertex, &node, diags);
        }
        if (r == -ENOMEM) return r;
        if (r < 0) result = r;
        if (node != NULL) {
            unit->nodes[vertex->node] = node;
        }
    }
    return result;
}

int sl_unit_build(const struct sl_unit_source *source, struct sl_unit **ret_unit,
                  struct sl_diags *diags)
{
    sl_assert(source != NULL);
    sl_assert(source->spec != NULL);
    sl_assert(diags != NULL);
    struct tree tree;
    struct sl_unit *unit = NULL;
    int result = tree_init(&tree, source->spec, diags);
    if (result != -ENOMEM) {
        unit = unit_new(source->spec, tree.nodes_count);
        int r = unit == NULL ? -ENOMEM : vertices_compile(source, &tree, unit, diags);
        if (r < 0 && (result == 0 || r == -ENOMEM)) result = r;
        if (unit != NULL) unit->nodes_count = tree.nodes_count;
    }
    if (result == 0 && !source->check_only) result = unit_link(unit, &tree);
    tree_fini(&tree);
    if (result < 0 || source->check_only) {
        unit = sl_unit_free(unit);
        if (ret_unit != NULL) *ret_unit = NULL;
        return result;
    }
    *ret_unit = unit;
    return 0;
}
