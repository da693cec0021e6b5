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

struct sl_node *sl_node_new(const struct sl_kind *kind, void *config, const char *path,
                            const char *id, const char *file, struct sl_pos pos,
                            struct sl_value spec, uint32_t shards_count)
{
    sl_assert(kind != NULL);
    sl_assert(path != NULL);
    sl_assert(shards_count <= SL_SHARDS_MAX);
    struct sl_node *node = calloc(1, sizeof(*node) + shards_count * sizeof(node->seats[0]));
    if (node == NULL) return NULL;
    *node = (struct sl_node){
        .kind = kind, .config = config, .pos = pos, .refs = 1, .shards_count = shards_count};
    node->path = strdup(path);
    node->id = strdup(id ? id : "");
    node->file = strdup(file ? file : "");
    if (node->path == NULL || node->id == NULL || node->file == NULL) {
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
    for (uint32_t i = 0; i < node->shards_count; i++) sl_assert(node->seats[i] == NULL);
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
    free(node->path);
    free(node->id);
    free(node->file);
    free(node);
    return NULL;
}

static bool program_alloc(struct sl_program *program, const struct sl_link *links,
                          uint32_t links_count, uint32_t *ports_counts)
{
    uint32_t ports_total = 0;
    for (uint32_t i = 0; i < links_count; i++) {
        sl_assert(links[i].source < program->symbols_count);
        sl_assert(links[i].target < program->symbols_count);
        if (links[i].port == SL_PORT_ERROR) continue;
        if (links[i].port >= ports_counts[links[i].source]) {
            ports_counts[links[i].source] = links[i].port + 1;
        }
    }
    for (uint32_t i = 0; i < program->symbols_count; i++) ports_total += ports_counts[i];
    program->ports = calloc(ports_total + 1U, sizeof(*program->ports));
    program->edges = calloc(links_count + 1U, sizeof(*program->edges));
    return program->ports != NULL && program->edges != NULL;
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

static int link_compare(const void *a, const void *b)
{
    const struct sl_link *x = a;
    const struct sl_link *y = b;
    return (x->source > y->source) - (x->source < y->source);
}

static void symbols_link(struct sl_program *program, const struct sl_link *links,
                         uint32_t links_count, const uint32_t *ports_counts)
{
    struct sl_edge *edge = program->edges;
    struct sl_port *ports = program->ports;
    uint32_t first = 0;
    for (uint32_t i = 0; i < program->symbols_count; i++) {
        struct sl_symbol *symbol = &program->symbols[i];
        uint32_t count = 0;
        while (first + count < links_count && links[first + count].source == i) count++;
        symbol->ports = ports;
        symbol->ports_count = ports_counts[i];
        for (uint32_t p = 0; p < symbol->ports_count; p++) {
            edge = port_link(program, &ports[p], edge, links + first, count, i, p);
        }
        edge = port_link(program, &symbol->error, edge, links + first, count, i, SL_PORT_ERROR);
        ports += symbol->ports_count;
        first += count;
    }
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

struct sl_program *sl_program_new(const char *name_space, uint64_t revision,
                                  struct sl_node *const *nodes, uint32_t nodes_count,
                                  const struct sl_link *links, uint32_t links_count,
                                  uint32_t shards_count)
{
    sl_assert(shards_count >= 1);
    sl_assert(shards_count <= SL_SHARDS_MAX);
    struct sl_program *program =
        calloc(1, sizeof(*program) + shards_count * sizeof(program->instances[0]));
    uint32_t *ports_counts = calloc(nodes_count + 1U, sizeof(*ports_counts));
    struct sl_link *sorted = calloc(links_count + 1U, sizeof(*sorted));
    if (program == NULL || ports_counts == NULL || sorted == NULL) goto fail;
    program->revision = revision;
    program->shards_count = shards_count;
    program->deadline_ns = (uint64_t)SL_PROCESS_DEADLINE_MS * SL_NS_PER_MS;
    program->name_space = strdup(name_space);
    program->symbols = calloc(nodes_count + 1U, sizeof(*program->symbols));
    if (program->name_space == NULL || program->symbols == NULL) goto fail;
    for (uint32_t i = 0; i < nodes_count; i++) {
        program->symbols[i] = (struct sl_symbol){
            .run = nodes[i]->kind->run,
            .config = nodes[i]->config,
            .kind = nodes[i]->kind,
            .index = i,
            .node = sl_node_ref(nodes[i]),
        };
        program->symbols_count++;
    }
    if (links_count > 0) memcpy(sorted, links, links_count * sizeof(*sorted));
    /* Stable for equal sources: links of one source keep the author's order in mergesort. */
    qsort(sorted, links_count, sizeof(*sorted), link_compare);
    if (!program_alloc(program, sorted, links_count, ports_counts)) goto fail;
    symbols_link(program, sorted, links_count, ports_counts);
    if (sources_collect(program) < 0) goto fail;
    free(ports_counts);
    free(sorted);
    return program;

fail:
    free(ports_counts);
    free(sorted);
    return sl_program_free(program);
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
