/* SPDX-License-Identifier: MIT */
#include "ctl/loader/entry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/base/log.h"
#include "ctl/loader/source.h"

enum { FAULT_HOPS_MAX = 64 }; /* looked along from an inactive node to the one at fault */

static struct loader_entry *entry_free(struct loader_entry *entry)
{
    if (entry == NULL) return NULL;
    sl_unit_free(entry->unit);
    sl_unit_free(entry->next);
    free(entry->name);
    free(entry->kind);
    free(entry->file);
    free(entry);
    return NULL;
}

void loader_entries_fini(struct loader_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) entry_free(entries->items[i]);
    free(entries->items);
    *entries = (struct loader_entries){0};
}

void loader_entries_begin(struct loader_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) entries->items[i]->seen = false;
}

struct loader_entry *loader_entries_get(struct loader_entries *entries, const char *id)
{
    for (size_t i = 0; i < entries->count; i++) {
        if (strcmp(entries->items[i]->id, id) == 0) return entries->items[i];
    }
    if (entries->count == entries->cap) {
        size_t cap = entries->cap == 0 ? 16 : entries->cap * 2;
        struct loader_entry **items = realloc(entries->items, cap * sizeof(*items));
        if (items == NULL) return NULL;
        entries->items = items;
        entries->cap = cap;
    }
    struct loader_entry *entry = calloc(1, sizeof(*entry));
    if (entry == NULL) return NULL;
    (void)snprintf(entry->id, sizeof(entry->id), "%s", id);
    entries->items[entries->count++] = entry;
    return entry;
}

static int entry_compare(const void *a, const void *b)
{
    const struct loader_entry *x = *(struct loader_entry *const *)a;
    const struct loader_entry *y = *(struct loader_entry *const *)b;
    if (x->seen != y->seen) return x->seen ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

void loader_entries_sort(struct loader_entries *entries)
{
    if (entries->count > 1) {
        qsort(entries->items, entries->count, sizeof(*entries->items), entry_compare);
    }
}

int loader_entry_describe(struct loader_entry *entry, const struct sl_object *object)
{
    char *name = strdup(object->name);
    char *kind = strdup(object->kind);
    char *file = strdup(object->origin_file ? object->origin_file : "");
    if (name == NULL || kind == NULL || file == NULL) {
        free(name);
        free(kind);
        free(file);
        return -ENOMEM;
    }
    free(entry->name);
    free(entry->kind);
    free(entry->file);
    entry->name = name;
    entry->kind = kind;
    entry->file = file;
    entry->pos = (struct sl_pos){object->origin_line, object->origin_line > 0 ? 1 : 0};
    return 0;
}

void loader_entry_reason(struct loader_entry *entry, const struct sl_diag *diag)
{
    if (diag != NULL) {
        entry->reason = *diag;
    } else {
        (void)sl_diag_set(&entry->reason, "failed", (struct sl_pos){0, 0}, "it cannot be loaded");
    }
    entry->has_reason = true;
    entry->logged = false;
}

/* The unit that would run: the new one, or the one that runs. */
static struct sl_unit *entry_unit(const struct loader_entry *entry)
{
    return entry->next != NULL ? entry->next : entry->unit;
}

static struct loader_entry *entry_find(const struct loader_entries *entries, const char *target,
                                       bool by_id)
{
    for (size_t i = 0; i < entries->count; i++) {
        struct loader_entry *entry = entries->items[i];
        if (!entry->seen) continue;
        if (by_id ? strcmp(entry->id, target) == 0
                  : entry->name != NULL && strcmp(entry->name, target) == 0) {
            return entry;
        }
    }
    return NULL;
}

static bool unit_has_in(const struct sl_unit *unit, uint32_t in)
{
    for (uint32_t i = 0; i < unit->ins_count; i++) {
        if (unit->ins[i].in == in) return true;
    }
    return false;
}

static const struct sl_unit_edge *edge_blocked(const struct loader_entries *entries,
                                               const struct loader_entry *entry,
                                               struct sl_diag *reason,
                                               const struct loader_entry **ret_target);

/* The node at whose own fault `entry` is inactive, along the edges that are blocked. */
static const struct loader_entry *entry_fault(const struct loader_entries *entries,
                                              const struct loader_entry *entry)
{
    for (uint32_t i = 0; i < FAULT_HOPS_MAX && entry_unit(entry) != NULL; i++) {
        struct sl_diag ignored;
        const struct loader_entry *target = NULL;
        if (edge_blocked(entries, entry, &ignored, &target) == NULL || target == NULL) break;
        if (target->active) break;
        entry = target;
    }
    return entry;
}

static void say_inactive(const struct loader_entries *entries, const struct sl_unit_edge *edge,
                         const struct loader_entry *target, struct sl_diag *reason)
{
    const struct loader_entry *fault = entry_fault(entries, target);
    if (fault == target || fault->name == NULL) {
        (void)sl_diag_set(reason, "inactive_target", edge->pos,
                          "node \"%s\", to which it leads, is inactive", edge->target);
    } else {
        (void)sl_diag_set(reason, "inactive_target", edge->pos,
                          "node \"%s\", to which it leads, is inactive because of \"%s\"",
                          edge->target, fault->name);
    }
}

/*
 * NULL if all edges lead to active units; else the reason is filled (its text only, if `ret_target` is
 * NULL), and *ret_target is where the edge leads, if that is there.
 */
static const struct sl_unit_edge *edge_blocked(const struct loader_entries *entries,
                                               const struct loader_entry *entry,
                                               struct sl_diag *reason,
                                               const struct loader_entry **ret_target)
{
    const struct sl_unit *unit = entry_unit(entry);
    for (uint32_t i = 0; i < unit->edges_count; i++) {
        const struct sl_unit_edge *edge = &unit->edges[i];
        const struct loader_entry *target = entry_find(entries, edge->target, edge->by_id);
        if (target == NULL) {
            (void)sl_diag_set(reason, "dangling_edge", edge->pos, "there is no node \"%s\"",
                              edge->target);
        } else if (!target->active) {
            if (ret_target == NULL) say_inactive(entries, edge, target, reason);
        } else if (!unit_has_in(entry_unit(target), edge->in)) {
            (void)sl_diag_set(reason, "unknown_port", edge->pos, "node \"%s\" has no port in[%u]",
                              edge->target, edge->in);
        } else {
            continue;
        }
        if (ret_target != NULL) *ret_target = target;
        sl_diag_file(reason, unit->file);
        return edge;
    }
    return NULL;
}

void loader_entries_activate(struct loader_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        struct loader_entry *entry = entries->items[i];
        entry->active = entry->seen && entry_unit(entry) != NULL;
        entry->is_blocked = false;
        /* A reason that only said what was missing downstream is found anew. */
        if (entry->active && !entry->next_failed) entry->has_reason = false;
    }
    /* The greatest set in which every edge leads to a member: cycles stay, dead ends go. */
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < entries->count; i++) {
            struct loader_entry *entry = entries->items[i];
            struct sl_diag reason = {0};
            if (!entry->active || edge_blocked(entries, entry, &reason, NULL) == NULL) continue;
            entry->active = false;
            entry->is_blocked = !entry->has_reason;
            changed = true;
        }
    }
    /* Only now is it known who is at fault. */
    for (size_t i = 0; i < entries->count; i++) {
        struct loader_entry *entry = entries->items[i];
        if (!entry->is_blocked || edge_blocked(entries, entry, &entry->reason, NULL) == NULL) {
            continue;
        }
        entry->has_reason = true;
        entry->logged = false;
    }
}

/* ---- linking ------------------------------------------------------------------------------- */

struct linker {
    struct sl_node **nodes;
    uint32_t nodes_count;
    struct sl_link *links;
    uint32_t links_count;
    uint32_t links_cap;
    uint32_t *first; /* by entry: number of its first node */
};

static int linker_add(struct linker *linker, struct sl_link link)
{
    if (linker->links_count == linker->links_cap) {
        uint32_t cap = linker->links_cap == 0 ? 64 : linker->links_cap * 2;
        struct sl_link *links = realloc(linker->links, cap * sizeof(*links));
        if (links == NULL) return -ENOMEM;
        linker->links = links;
        linker->links_cap = cap;
    }
    linker->links[linker->links_count++] = link;
    return 0;
}

static int linker_init(struct linker *linker, const struct loader_entries *entries)
{
    uint32_t total = 0;
    for (size_t i = 0; i < entries->count; i++) {
        if (entries->items[i]->active) total += entry_unit(entries->items[i])->nodes_count;
    }
    *linker = (struct linker){0};
    linker->nodes = calloc(total + 1U, sizeof(struct sl_node *));
    linker->first = calloc(entries->count + 1U, sizeof(*linker->first));
    if (linker->nodes == NULL || linker->first == NULL) return -ENOMEM;
    for (size_t i = 0; i < entries->count; i++) {
        linker->first[i] = linker->nodes_count;
        if (!entries->items[i]->active) continue;
        const struct sl_unit *unit = entry_unit(entries->items[i]);
        for (uint32_t n = 0; n < unit->nodes_count; n++) {
            linker->nodes[linker->nodes_count++] = unit->nodes[n];
        }
    }
    return 0;
}

static size_t entry_index(const struct loader_entries *entries, const struct loader_entry *entry)
{
    size_t i = 0;
    while (entries->items[i] != entry) i++;
    return i;
}

static int linker_edges(struct linker *linker, const struct loader_entries *entries, size_t index)
{
    const struct sl_unit *unit = entry_unit(entries->items[index]);
    uint32_t base = linker->first[index];
    for (uint32_t i = 0; i < unit->links_count; i++) {
        struct sl_link link = unit->links[i];
        link.source += base;
        link.target += base;
        int r = linker_add(linker, link);
        if (r < 0) return r;
    }
    for (uint32_t i = 0; i < unit->edges_count; i++) {
        const struct sl_unit_edge *edge = &unit->edges[i];
        const struct loader_entry *target = entry_find(entries, edge->target, edge->by_id);
        const struct sl_unit *to = entry_unit(target);
        uint32_t target_base = linker->first[entry_index(entries, target)];
        for (uint32_t n = 0; n < to->ins_count; n++) {
            if (to->ins[n].in != edge->in) continue;
            int r = linker_add(linker,
                               (struct sl_link){base + edge->node, edge->port,
                                                target_base + to->ins[n].node, to->ins[n].node_in});
            if (r < 0) return r;
        }
    }
    return 0;
}

/* Sources that are not active stay bound and refuse. */
static int sources_keep(struct sl_program *program, const struct loader_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        const struct loader_entry *entry = entries->items[i];
        const struct sl_unit *unit = entry_unit(entry);
        if (entry->active || !entry->seen || unit == NULL) continue;
        for (uint32_t n = 0; n < unit->nodes_count; n++) {
            const struct sl_source_ops *ops = unit->nodes[n]->kind->source;
            char key[256];
            if (ops == NULL || ops->key(unit->nodes[n]->config, key, sizeof(key)) < 0) continue;
            if (sl_program_add_source(program, key, ops) < 0) return -ENOMEM;
        }
    }
    return 0;
}

int loader_entries_link(struct loader_entries *entries, const char *name_space, uint64_t revision,
                        uint32_t shards_count, struct sl_program **ret_program)
{
    struct linker linker;
    int r = linker_init(&linker, entries);
    for (size_t i = 0; r == 0 && i < entries->count; i++) {
        if (entries->items[i]->active) r = linker_edges(&linker, entries, i);
    }
    struct sl_program *program = NULL;
    if (r == 0) {
        program = sl_program_new(name_space, revision, linker.nodes, linker.nodes_count,
                                 linker.links, linker.links_count, shards_count);
        r = program == NULL ? -ENOMEM : sources_keep(program, entries);
    }
    free(linker.nodes);
    free(linker.links);
    free(linker.first);
    if (r < 0) {
        program = sl_program_free(program);
        return r;
    }
    *ret_program = program;
    return 0;
}

/* ---- after the publication ----------------------------------------------------------------- */

void loader_entries_commit(struct loader_entries *entries)
{
    size_t kept = 0;
    for (size_t i = 0; i < entries->count; i++) {
        struct loader_entry *entry = entries->items[i];
        if (!entry->seen) {
            entry = entry_free(entry);
            continue;
        }
        if (entry->next != NULL) {
            entry->unit = sl_unit_free(entry->unit);
            entry->unit = entry->next;
            entry->unit_revision = entry->next_revision;
            entry->next = NULL;
        }
        entry->unit_active = entry->active;
        entries->items[kept++] = entry;
    }
    entries->count = kept;
}

void loader_entries_abort(struct loader_entries *entries, const struct sl_diag *diag)
{
    for (size_t i = 0; i < entries->count; i++) {
        struct loader_entry *entry = entries->items[i];
        if (entry->next != NULL && diag != NULL) loader_entry_reason(entry, diag);
        entry->next = sl_unit_free(entry->next);
        entry->active = entry->unit_active;
    }
}

bool loader_entry_is_changed_source(const struct loader_entry *entry)
{
    if (entry->next == NULL) return false;
    for (uint32_t i = 0; i < entry->next->nodes_count; i++) {
        if (entry->next->nodes[i]->kind->source != NULL) return true;
    }
    return false;
}

void loader_entry_withdraw(struct loader_entry *entry, const struct sl_diag *diag)
{
    entry->next = sl_unit_free(entry->next);
    entry->next_failed = true;
    loader_entry_reason(entry, diag);
}

static const char *entry_name(const struct loader_entry *entry)
{
    return entry->name != NULL && entry->name[0] != '\0' ? entry->name : entry->id;
}

void loader_entries_log(struct loader_entries *entries, const char *name_space)
{
    for (size_t i = 0; i < entries->count; i++) {
        struct loader_entry *entry = entries->items[i];
        if (!entry->has_reason && entry->logged && entry->unit_active) {
            entry->logged = false;
            sl_log(SL_LOG_INFO, "namespace %s: node \"%s\" (%s) is active now", name_space,
                   entry_name(entry), entry->kind != NULL ? entry->kind : "?");
        }
        if (!entry->has_reason || entry->logged) continue;
        char text[1024];
        (void)sl_diag_format(&entry->reason, text, sizeof(text));
        size_t size = strlen(text);
        while (size > 0 && text[size - 1] == '\n') text[--size] = '\0';
        sl_log(SL_LOG_WARN, "namespace %s: node \"%s\" (%s) is %s: %s", name_space,
               entry_name(entry), entry->kind != NULL ? entry->kind : "?",
               entry->active ? "running in its last good version" : "inactive", text);
        entry->logged = true;
    }
}

struct sl_symbol_info loader_entry_info(const struct loader_entry *entry)
{
    struct sl_symbol_info info = {
        .id = entry->id,
        .name = entry->name != NULL ? entry->name : "",
        .kind = entry->kind != NULL ? entry->kind : "",
        .file = entry->file != NULL ? entry->file : "",
        .pos = entry->pos,
        .revision = entry->revision,
        .state = SL_SYMBOL_INACTIVE,
        .reason = entry->has_reason ? &entry->reason : NULL,
    };
    if (entry->unit_active) {
        info.state =
            entry->unit_revision == entry->revision ? SL_SYMBOL_ACTIVE : SL_SYMBOL_LAST_GOOD;
    }
    return info;
}

/* The spec from the author's own text, so that mistakes point into the author's file. */
static struct sl_spec *spec_from_source(const struct sl_object *object)
{
    struct sl_specs specs = {0};
    struct sl_diags ignored = {0};
    struct sl_specs_place place = {
        .file = object->origin_file, .line = object->origin_line, .format = SL_SPECS_AUTO};
    struct sl_spec *spec = NULL;
    if (sl_specs_read_text(object->source, &place, &specs, &ignored) == 0 && specs.count == 1) {
        spec = sl_specs_take(&specs, 0);
    }
    sl_specs_fini(&specs);
    sl_diags_fini(&ignored);
    return spec;
}

int loader_object_spec(const struct sl_object *object, struct sl_spec **ret_spec,
                       struct sl_diags *diags)
{
    if (object->source.size > 0) {
        *ret_spec = spec_from_source(object);
        if (*ret_spec != NULL) return 0;
    }
    return sl_spec_decode(object->document, object->origin_file ? object->origin_file : "", NULL,
                          ret_spec, diags);
}
