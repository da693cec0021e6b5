/* SPDX-License-Identifier: MIT */
/* Nodes and programs: made, linked and freed on the control thread. */
#include "core/graph/program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/limit.h"
#include "core/graph/mask.h"

static struct sl_tally *tally_new(uint32_t shards_count)
{
    struct sl_tally *tally = calloc(1, sizeof(*tally) + shards_count * sizeof(tally->seats[0]));
    if (tally == NULL) return NULL;
    tally->refs = 1;
    tally->shards_count = shards_count;
    return tally;
}

/* No shard counts there any more when the last node goes. */
static void tally_unref(struct sl_tally *tally)
{
    if (tally == NULL) return;
    sl_assert(tally->refs > 0);
    if (--tally->refs > 0) return;
    for (uint32_t i = 0; i < tally->shards_count; i++) {
        sl_assert(tally->seats[i] == NULL || tally->seats[i]->in_flight == 0);
        free(tally->seats[i]);
    }
    free(tally);
}

void sl_node_succeed(struct sl_node *node, const struct sl_node *before)
{
    sl_assert(node != NULL);
    sl_assert(before != NULL);
    sl_assert(node->kind == before->kind);
    sl_assert(node->shards_count == before->shards_count);
    sl_assert(strcmp(node->path, before->path) == 0);
    before->tally->refs++;
    tally_unref(node->tally);
    node->tally = before->tally;
}

struct sl_node *sl_node_new(const struct sl_kind *kind, void *config, const char *path,
                            const char *id, const char *file, struct sl_pos pos,
                            struct sl_value spec, uint32_t shards_count)
{
    sl_assert(kind != NULL);
    sl_assert(path != NULL);
    sl_assert(shards_count <= SL_SHARDS_MAX);
    struct sl_node *node = calloc(1, sizeof(*node) + shards_count * sizeof(node->places[0]));
    if (node == NULL) return NULL;
    *node = (struct sl_node){
        .kind = kind, .config = config, .pos = pos, .refs = 1, .shards_count = shards_count};
    node->path = strdup(path);
    node->id = strdup(id ? id : "");
    node->file = strdup(file ? file : "");
    node->tally = tally_new(shards_count);
    if (node->path == NULL || node->id == NULL || node->file == NULL || node->tally == NULL) {
        tally_unref(node->tally);
        free(node->path);
        free(node->id);
        free(node->file);
        free(node);
        return NULL;
    }
    node->spec = spec;
    return node;
}

struct sl_node *sl_node_ref(struct sl_node *node)
{
    node->refs++;
    return node;
}

struct sl_node *sl_node_unref(struct sl_node *node)
{
    if (node == NULL) return NULL;
    sl_assert(node->refs > 0);
    if (--node->refs > 0) return NULL;
    for (uint32_t i = 0; i < node->shards_count; i++) sl_assert(node->places[i].refs == 0);
    tally_unref(node->tally);
    if (node->kind->config_fini != NULL && node->config != NULL) {
        node->kind->config_fini(node->config);
    }
    free(node->config);
    if (node->spec.buf != NULL) {
        if (node->spec.buf->refs == SL_BUF_IMMORTAL) {
            sl_buf_free_immortal(node->spec.buf);
        } else {
            sl_value_unref(node->spec);
        }
    }
    sl_value_unref(node->secrets);
    free(node->path);
    free(node->id);
    free(node->file);
    free(node);
    return NULL;
}

void sl_node_set_secrets(struct sl_node *node, struct sl_value secrets)
{
    sl_assert(node != NULL);
    sl_assert(sl_value_is_none(node->secrets));
    sl_assert(sl_value_is_none(secrets) || sl_value_is(secrets, SL_VALUE_LIST));
    node->secrets = secrets;
}

/* What linking needs besides the program: links in order of their source, ports of each node. */
struct linking {
    struct sl_link *links; /* array of links_count, grouped by source, else in the given order */
    uint32_t links_count;
    uint32_t *links_first;  /* by node: first of its links; one more than nodes */
    uint32_t *ports_counts; /* by node */
};

static void linking_fini(struct linking *linking)
{
    free(linking->links);
    free(linking->links_first);
    free(linking->ports_counts);
}

/* Group the links by their source with a counting sort, which keeps the order within a source. */
static int linking_init(struct linking *linking, const struct sl_link *links, uint32_t links_count,
                        uint32_t nodes_count)
{
    linking->links_count = links_count;
    linking->links = calloc(links_count + 1U, sizeof(*linking->links));
    linking->links_first = calloc(nodes_count + 2U, sizeof(*linking->links_first));
    linking->ports_counts = calloc(nodes_count + 1U, sizeof(*linking->ports_counts));
    if (!linking->links || !linking->links_first || !linking->ports_counts) return -ENOMEM;
    for (uint32_t i = 0; i < links_count; i++) {
        uint32_t source = links[i].source;
        sl_assert(source < nodes_count);
        sl_assert(links[i].target < nodes_count);
        linking->links_first[source + 2]++;
        if (links[i].port != SL_PORT_ERROR && links[i].port >= linking->ports_counts[source]) {
            linking->ports_counts[source] = links[i].port + 1;
        }
    }
    for (uint32_t i = 2; i < nodes_count + 2; i++) {
        linking->links_first[i] += linking->links_first[i - 1];
    }
    /* links_first[s + 1] is the next free place of source s, and in the end the first of s + 1. */
    for (uint32_t i = 0; i < links_count; i++) {
        linking->links[linking->links_first[links[i].source + 1]++] = links[i];
    }
    return 0;
}

/* Gather the edges of one port, in the order of the links. Returns the end of what was written. */
static struct sl_edge *port_link(struct sl_program *program, struct sl_port *port,
                                 struct sl_edge *edge, const struct sl_link *links,
                                 uint32_t links_count, uint32_t source, uint32_t number)
{
    struct sl_edge *first = edge;
    for (uint32_t i = 0; i < links_count; i++) {
        if (links[i].source != source || links[i].port != number) continue;
        *edge++ = (struct sl_edge){&program->symbols[links[i].target], links[i].in};
    }
    port->edges = first;
    port->edges_count = (uint32_t)(edge - first);
    if (port->edges_count == 1) {
        port->next = first->target;
        port->next_in = first->in;
    }
    return edge;
}

static int symbols_link(struct sl_program *program, const struct linking *linking)
{
    uint32_t ports_total = 0;
    for (uint32_t i = 0; i < program->symbols_count; i++) ports_total += linking->ports_counts[i];
    program->ports = calloc(ports_total + 1U, sizeof(*program->ports));
    program->edges = calloc(linking->links_count + 1U, sizeof(*program->edges));
    if (program->ports == NULL || program->edges == NULL) return -ENOMEM;
    struct sl_edge *edge = program->edges;
    struct sl_port *ports = program->ports;
    for (uint32_t i = 0; i < program->symbols_count; i++) {
        struct sl_symbol *symbol = &program->symbols[i];
        const struct sl_link *links = linking->links + linking->links_first[i];
        uint32_t count = linking->links_first[i + 1] - linking->links_first[i];
        symbol->ports = ports;
        symbol->ports_count = linking->ports_counts[i];
        for (uint32_t p = 0; p < symbol->ports_count; p++) {
            edge = port_link(program, &ports[p], edge, links, count, i, p);
        }
        edge = port_link(program, &symbol->error, edge, links, count, i, SL_PORT_ERROR);
        ports += symbol->ports_count;
    }
    return 0;
}

static int sources_collect(struct sl_program *program)
{
    program->sources = calloc(program->symbols_count + 1U, sizeof(*program->sources));
    if (program->sources == NULL) return -ENOMEM;
    for (uint32_t i = 0; i < program->symbols_count; i++) {
        struct sl_symbol *symbol = &program->symbols[i];
        const struct sl_source_ops *ops = symbol->kind->source;
        if (ops == NULL) continue;
        char key[256];
        if (ops->key(symbol->config, key, sizeof(key)) < 0) continue;
        struct sl_program_source *source = &program->sources[program->sources_count];
        source->key = strdup(key);
        if (source->key == NULL) return -ENOMEM;
        source->ops = ops;
        source->symbol = symbol;
        program->sources_count++;
    }
    return 0;
}

/* One mask for all that its nodes are bound to. */
static int mask_collect(struct sl_program *program)
{
    uint32_t count = 0;
    struct sl_value *secrets = calloc(program->symbols_count + 1U, sizeof(*secrets));
    if (secrets == NULL) return -ENOMEM;
    for (uint32_t i = 0; i < program->symbols_count; i++) {
        struct sl_value own = program->symbols[i].node->secrets;
        if (!sl_value_is_none(own)) secrets[count++] = own;
    }
    int r = sl_mask_new(secrets, count, &program->mask);
    free(secrets);
    return r;
}

static int program_fill(struct sl_program *program, const char *name_space,
                        struct sl_node *const *nodes, uint32_t nodes_count,
                        const struct linking *linking)
{
    program->deadline_ns = (uint64_t)SL_PROCESS_DEADLINE_MS * SL_NS_PER_MS;
    program->name_space = strdup(name_space);
    program->symbols = calloc(nodes_count + 1U, sizeof(*program->symbols));
    if (program->name_space == NULL || program->symbols == NULL) return -ENOMEM;
    for (uint32_t i = 0; i < nodes_count; i++) {
        const struct sl_kind *kind = nodes[i]->kind;
        uint32_t own = kind->flags_of != NULL ? kind->flags_of(nodes[i]->config) : 0;
        program->symbols[i] = (struct sl_symbol){
            .run = kind->run,
            .config = nodes[i]->config,
            .kind = kind,
            .flags = kind->flags | own |
                     (nodes[i]->placement == SL_PLACEMENT_CORE ? SL_SYMBOL_PLACED : 0U),
            .placement_core = nodes[i]->placement_core,
            .index = i,
            .node = sl_node_ref(nodes[i]),
        };
        program->symbols_count++;
    }
    int r = symbols_link(program, linking);
    if (r == 0) r = sources_collect(program);
    return r < 0 ? r : mask_collect(program);
}

struct sl_program *sl_program_new(const char *name_space, uint64_t revision,
                                  struct sl_node *const *nodes, uint32_t nodes_count,
                                  const struct sl_link *links, uint32_t links_count,
                                  uint32_t shards_count)
{
    sl_assert(shards_count >= 1);
    sl_assert(shards_count <= SL_SHARDS_MAX);
    struct sl_program *program =
        calloc(1, sizeof(*program) + shards_count * sizeof(program->instances[0]));
    if (program == NULL) return NULL;
    program->revision = revision;
    program->shards_count = shards_count;
    struct linking linking = {0};
    int r = linking_init(&linking, links, links_count, nodes_count);
    if (r == 0) r = program_fill(program, name_space, nodes, nodes_count, &linking);
    linking_fini(&linking);
    return r < 0 ? sl_program_free(program) : program;
}

int sl_program_add_source(struct sl_program *program, const char *key,
                          const struct sl_source_ops *ops)
{
    size_t size = (program->sources_count + 1U) * sizeof(*program->sources);
    struct sl_program_source *sources = realloc(program->sources, size);
    if (sources == NULL) return -ENOMEM;
    program->sources = sources;
    char *copy = strdup(key);
    if (copy == NULL) return -ENOMEM;
    sources[program->sources_count++] = (struct sl_program_source){copy, ops, NULL};
    return 0;
}

struct sl_program *sl_program_free(struct sl_program *program)
{
    if (program == NULL) return NULL;
    for (uint32_t i = 0; i < program->shards_count; i++) sl_assert(program->instances[i] == NULL);
    for (uint32_t i = 0; i < program->symbols_count; i++) sl_node_unref(program->symbols[i].node);
    for (uint32_t i = 0; i < program->sources_count; i++) free(program->sources[i].key);
    free(program->sources);
    (void)sl_mask_free(program->mask);
    free(program->symbols);
    free(program->ports);
    free(program->edges);
    free(program->name_space);
    free(program);
    return NULL;
}

const struct sl_symbol *sl_program_find(const struct sl_program *program, const char *path)
{
    for (uint32_t i = 0; i < program->symbols_count; i++) {
        if (strcmp(program->symbols[i].node->path, path) == 0) return &program->symbols[i];
    }
    return NULL;
}
