/* SPDX-License-Identifier: MIT */
#include "ctl/loader/loader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/base/log.h"
#include "core/graph/swap.h"
#include "ctl/loader/address.h"
#include "ctl/loader/entry.h"
#include "ctl/loader/unit.h"
#include "ctl/registry/registry.h"

enum { ADDRESS_SIZE = 256 }; /* of the key of a source, bytes */

struct sl_loader {
    struct sl_registry *registry;
    struct sl_swap *swap;
    char *name_space;
    struct sl_value environment;
    uint32_t shards_count;
    sl_loader_published_fn *published;
    int (*claim)(void *ctx, const char *key, struct sl_diag *reterr);
    void *ctx;
    struct loader_entries entries;
    uint64_t revision_published;
    uint64_t revision_loading; /* of the publication under way */
    bool retried;              /* the publication under way leaves out what was refused */
    bool dirty;                /* look again when it has ended */
};

struct sl_loader *sl_loader_new(const struct sl_loader_config *cfg)
{
    sl_assert(cfg != NULL);
    sl_assert(cfg->registry != NULL);
    sl_assert(cfg->swap != NULL);
    sl_assert(cfg->shards_count >= 1);
    struct sl_loader *loader = calloc(1, sizeof(*loader));
    if (loader == NULL) return NULL;
    loader->registry = cfg->registry;
    loader->swap = cfg->swap;
    loader->name_space = strdup(cfg->name_space);
    loader->environment = sl_value_ref(cfg->environment);
    loader->shards_count = cfg->shards_count;
    loader->published = cfg->published;
    loader->claim = cfg->claim;
    loader->ctx = cfg->ctx;
    if (loader->name_space == NULL) return sl_loader_free(loader);
    return loader;
}

struct sl_loader *sl_loader_free(struct sl_loader *loader)
{
    if (loader == NULL) return NULL;
    loader_entries_fini(&loader->entries);
    sl_value_unref(loader->environment);
    free(loader->name_space);
    free(loader);
    return NULL;
}

/* ---- taking up objects --------------------------------------------------------------------- */

/* What the callbacks of a unit's build need. */
struct load_ctx {
    struct sl_loader *loader;
    struct sl_view *view;
    struct loader_entry *entry;
};

static int load_env(void *ctx, const struct sl_spec_env *entry, struct sl_value *ret_value,
                    struct sl_diag *reterr)
{
    struct load_ctx *load = ctx;
    if (entry->id.size + entry->name.size == 0) {
        *ret_value = sl_value_ref(load->loader->environment);
        return 0;
    }
    char *id = entry->id.size > 0 ? sl_slice_dup_str(entry->id) : NULL;
    char *name = entry->id.size > 0 ? NULL : sl_slice_dup_str(entry->name);
    int r =
        sl_registry_secret_value(load->view, load->loader->name_space, id, name, ret_value, reterr);
    if (r == SL_REGISTRY_NOT_FOUND) {
        (void)sl_diag_set(reterr, "unbound", entry->pos, "there is no secret \"%s\" in \"%s\"",
                          id ? id : name, load->loader->name_space);
        sl_diag_hint(reterr, "sluice apply secrets -n %s -f FILE", load->loader->name_space);
        r = -ENOENT;
    }
    free(id);
    free(name);
    return r;
}

static struct sl_node *load_node(void *ctx, const char *path)
{
    const struct sl_unit *unit = ((struct load_ctx *)ctx)->entry->unit;
    for (uint32_t i = 0; unit != NULL && i < unit->nodes_count; i++) {
        if (strcmp(unit->nodes[i]->path, path) == 0) return unit->nodes[i];
    }
    return NULL;
}

/* Build the unit of one stored version. */
static int object_build(struct load_ctx *load, const struct sl_object *object,
                        struct sl_unit **ret_unit, bool *ret_secrets, struct sl_diags *diags)
{
    struct sl_spec *spec = NULL;
    int r = loader_object_spec(object, &spec, diags);
    if (r < 0) return r;
    for (uint32_t i = 0; i < spec->env_count; i++) {
        if (spec->env[i].id.size + spec->env[i].name.size > 0) *ret_secrets = true;
    }
    struct sl_unit_source source = {
        .spec = spec,
        .name_space = load->loader->name_space,
        .shards_count = load->loader->shards_count,
        .ctx = load,
        .env = load_env,
        .node = load_node,
    };
    r = sl_unit_build(&source, ret_unit, diags);
    spec = sl_spec_free(spec);
    return r;
}

/* After a restart the last good version is only in the registry. */
static void entry_load_good(struct load_ctx *load)
{
    struct loader_entry *entry = load->entry;
    struct sl_object *good = NULL;
    if (sl_view_good_get(load->view, entry->id, &good) != 0) return;
    struct sl_diags ignored = {0};
    bool secrets = false;
    if (object_build(load, good, &entry->next, &secrets, &ignored) == 0) {
        entry->next_is_old = true;
        entry->next_revision = good->revision;
    }
    sl_diags_fini(&ignored);
    good = sl_object_free(good);
}

static int entry_load(struct load_ctx *load, const struct sl_object *object)
{
    struct loader_entry *entry = load->entry;
    struct sl_diags diags = {0};
    bool secrets = false;
    int r = loader_entry_describe(entry, object);
    if (r == 0) r = object_build(load, object, &entry->next, &secrets, &diags);
    entry->has_secrets = secrets;
    entry->next_is_old = false;
    entry->next_revision = object->revision;
    entry->next_failed = r < 0;
    if (r < 0 && r != -ENOMEM) {
        loader_entry_reason(entry, diags.count > 0 ? &diags.items[0] : NULL);
        if (entry->unit == NULL) entry_load_good(load);
        r = 0;
    } else if (r == 0) {
        entry->has_reason = false;
    }
    sl_diags_fini(&diags);
    return r;
}

/* Compare the registry's objects with the entries; build what is new. */
static int objects_take(struct sl_loader *loader, struct sl_view *view,
                        const struct sl_objects *objects)
{
    loader_entries_begin(&loader->entries);
    for (size_t i = 0; i < objects->count; i++) {
        const struct sl_object *object = objects->items[i];
        struct loader_entry *entry = loader_entries_get(&loader->entries, object->id);
        if (entry == NULL) return -ENOMEM;
        entry->order = i;
        entry->seen = true;
        /* Secrets have no revision that a unit could remember: what names one is built again;
         * nodes whose values are the same are taken over. */
        if (entry->revision == object->revision && !entry->has_secrets) continue;
        struct load_ctx load = {loader, view, entry};
        entry->revision = object->revision;
        int r = entry_load(&load, object);
        if (r < 0) return r;
    }
    loader_entries_sort(&loader->entries);
    return 0;
}

/* ---- publishing ---------------------------------------------------------------------------- */

static void publish_done(void *ctx, int result, const struct sl_diag *diag);

/* The node of a unit, below number `end`, that listens where `key` does; NULL: none. */
static const struct sl_node *unit_listens(const struct sl_unit *unit, uint32_t end, const char *key,
                                          char *ret_key, size_t size)
{
    for (uint32_t n = 0; unit != NULL && n < unit->nodes_count && n < end; n++) {
        const struct sl_node *node = unit->nodes[n];
        if (node->kind->source == NULL) continue;
        if (node->kind->source->key(node->config, ret_key, size) < 0) continue;
        if (sl_address_is_same(key, ret_key)) return node;
    }
    return NULL;
}

/* True if the unit that runs listens there. */
static bool entry_has(const struct loader_entry *entry, const char *key)
{
    char own[ADDRESS_SIZE];
    return entry->unit_active && unit_listens(entry->unit, UINT32_MAX, key, own, sizeof(own));
}

/*
 * Another entry wants the address of the node `n` of the new unit, too: who has it keeps it, else the
 * first gets it. True if that is not this one; `reterr` says who.
 */
static bool address_is_taken(const struct sl_loader *loader, size_t index, uint32_t n,
                             const char *key, struct sl_diag *reterr)
{
    const struct loader_entry *entry = loader->entries.items[index];
    char other_key[ADDRESS_SIZE];
    const struct sl_node *other = unit_listens(entry->next, n, key, other_key, sizeof(other_key));
    for (size_t i = 0; other == NULL && i < loader->entries.count; i++) {
        const struct loader_entry *one = loader->entries.items[i];
        if (i == index || !one->seen) continue;
        bool is_before =
            entry_has(one, key) == entry_has(entry, key) ? i < index : entry_has(one, key);
        if (!is_before) continue;
        other = unit_listens(one->next != NULL ? one->next : one->unit, UINT32_MAX, key, other_key,
                             sizeof(other_key));
    }
    if (other == NULL) return false;
    struct sl_address owner = {
        .key = other_key, .name = other->path, .file = other->file, .pos = other->pos};
    sl_address_conflict(key, &owner, reterr);
    return true;
}

/* Every address that a new unit wants has to be ours before a shard opens it. */
static bool sources_claim_round(struct sl_loader *loader)
{
    bool withdrawn = false;
    for (size_t i = 0; i < loader->entries.count; i++) {
        struct loader_entry *entry = loader->entries.items[i];
        for (uint32_t n = 0; entry->next != NULL && n < entry->next->nodes_count; n++) {
            const struct sl_node *node = entry->next->nodes[n];
            char key[ADDRESS_SIZE];
            struct sl_diag diag = {0};
            if (node->kind->source == NULL) continue;
            if (node->kind->source->key(node->config, key, sizeof(key)) < 0) continue;
            bool taken = address_is_taken(loader, i, n, key, &diag);
            if (!taken && (loader->claim == NULL || loader->claim(loader->ctx, key, &diag) == 0)) {
                continue;
            }
            diag.pos = node->pos;
            sl_diag_file(&diag, node->file);
            loader_entry_withdraw(entry, &diag);
            withdrawn = true;
        }
    }
    return withdrawn;
}

/* What is withdrawn goes back to the address that it had: others may have been given that. */
static void sources_claim(struct sl_loader *loader)
{
    bool withdrawn = true;
    for (size_t i = 0; withdrawn && i <= loader->entries.count; i++) {
        withdrawn = sources_claim_round(loader);
    }
}

static int entries_publish(struct sl_loader *loader)
{
    struct sl_program *program = NULL;
    loader_entries_activate(&loader->entries);
    int r = loader_entries_link(&loader->entries, loader->name_space, loader->revision_loading,
                                loader->shards_count, &program);
    if (r < 0) return r;
    sl_swap_publish(loader->swap, program, publish_done, loader);
    return 0;
}

static void remember_good(struct sl_loader *loader)
{
    size_t count = 0;
    struct sl_object *objects = calloc(loader->entries.count + 1, sizeof(*objects));
    const struct sl_object **list = calloc(loader->entries.count + 1, sizeof(*list));
    for (size_t i = 0; objects != NULL && list != NULL && i < loader->entries.count; i++) {
        const struct loader_entry *entry = loader->entries.items[i];
        if (!entry->active || entry->unit_revision != entry->revision) continue;
        (void)snprintf(objects[count].id, sizeof(objects[count].id), "%s", entry->id);
        objects[count].revision = entry->unit_revision;
        list[count] = &objects[count];
        count++;
    }
    int r = count > 0 ? sl_registry_good_put(loader->registry, list, count) : 0;
    if (r < 0) sl_log(SL_LOG_WARN, "the last good versions could not be stored (error %d)", -r);
    free(objects);
    free(list);
}

/* A shard could not take a changed source up (an address in use): go on with what it had before. */
static bool sources_withdraw(struct sl_loader *loader, const struct sl_diag *diag)
{
    bool withdrawn = false;
    for (size_t i = 0; i < loader->entries.count; i++) {
        struct loader_entry *entry = loader->entries.items[i];
        if (!loader_entry_is_changed_source(entry)) continue;
        loader_entry_withdraw(entry, diag);
        withdrawn = true;
    }
    return withdrawn;
}

/* The entry whose new unit has the node, or NULL. */
static struct loader_entry *entry_of(const struct sl_loader *loader, const struct sl_node *node)
{
    for (size_t i = 0; node != NULL && i < loader->entries.count; i++) {
        struct loader_entry *entry = loader->entries.items[i];
        for (uint32_t n = 0; entry->next != NULL && n < entry->next->nodes_count; n++) {
            if (entry->next->nodes[n] == node) return entry;
        }
    }
    return NULL;
}

/*
 * A shard could not make a node: go on without what is new of its entry, which keeps its last good
 * version. After a restart that one is only in the registry. False: it is not that.
 */
static bool node_withdraw(struct sl_loader *loader, const struct sl_diag *diag)
{
    struct loader_entry *entry = entry_of(loader, sl_swap_failed(loader->swap));
    if (entry == NULL) return false;
    bool is_old = entry->next_is_old;
    uint64_t revision = entry->next_revision;
    loader_entry_withdraw(entry, diag);
    if (is_old || entry->unit != NULL) return true;
    struct load_ctx load = {loader, NULL, entry};
    if (sl_view_open(loader->registry, SL_REVISION_NEWEST, &load.view) != 0) return true;
    entry_load_good(&load);
    (void)sl_view_close(load.view);
    if (entry->next != NULL && entry->next_revision == revision) {
        entry->next = sl_unit_free(entry->next);
    }
    return true;
}

static void publish_done(void *ctx, int result, const struct sl_diag *diag)
{
    struct sl_loader *loader = ctx;
    /* Each time one entry less is new, so this ends. */
    if (result < 0 && node_withdraw(loader, diag) && entries_publish(loader) == 0) return;
    if (result < 0 && !loader->retried) {
        loader->retried = true;
        if (sources_withdraw(loader, diag) && entries_publish(loader) == 0) return;
    }
    uint64_t revision = loader->revision_loading;
    loader->revision_loading = 0;
    if (result == 0) {
        loader->revision_published = revision;
        loader_entries_commit(&loader->entries);
        remember_good(loader);
    } else {
        loader_entries_abort(&loader->entries, diag);
        loader->revision_published = revision; /* seen; not tried again before the next change */
    }
    loader_entries_log(&loader->entries, loader->name_space);
    if (loader->published != NULL) loader->published(loader->ctx, revision, result, diag);
    if (loader->dirty) (void)sl_loader_refresh(loader);
}

int sl_loader_refresh(struct sl_loader *loader)
{
    sl_assert(loader != NULL);
    if (loader->revision_loading != 0 || sl_swap_is_busy(loader->swap)) {
        loader->dirty = true;
        return 0;
    }
    loader->dirty = false;
    uint64_t newest;
    int r = sl_registry_revision(loader->registry, &newest);
    if (r < 0 || newest == loader->revision_published) return r;
    struct sl_view *view;
    r = sl_view_open(loader->registry, SL_REVISION_NEWEST, &view);
    if (r != 0) return r < 0 ? r : -EIO;
    struct sl_objects objects = {0};
    r = sl_view_list(view, SL_OBJECT_SPEC, loader->name_space, sl_value_none(), &objects);
    if (r == 0) {
        loader->revision_loading = sl_view_revision(view);
        loader->retried = false;
        r = objects_take(loader, view, &objects);
    }
    view = sl_view_close(view);
    sl_objects_fini(&objects);
    if (r == 0) {
        sources_claim(loader);
        r = entries_publish(loader);
    }
    if (r < 0) {
        loader->revision_loading = 0;
        loader_entries_abort(&loader->entries, NULL);
    }
    return r;
}

bool sl_loader_is_settled(const struct sl_loader *loader)
{
    return loader->revision_loading == 0 && !loader->dirty;
}

uint64_t sl_loader_revision(const struct sl_loader *loader)
{
    return loader->revision_published;
}

size_t sl_loader_symbols_count(const struct sl_loader *loader)
{
    return loader->entries.count;
}

struct sl_symbol_info sl_loader_symbol(const struct sl_loader *loader, size_t index)
{
    sl_assert(index < loader->entries.count);
    return loader_entry_info(loader->entries.items[index]);
}

/* ---- validation ---------------------------------------------------------------------------- */

/* A kind that listens, or that may have such nodes in it. */
static bool may_listen(const char *name)
{
    const struct sl_kind *kind = sl_kind_get(name);
    return kind != NULL && (kind->source != NULL || (kind->flags & SL_KIND_CONTAINER));
}

/* 0 also with mistakes: they are in diags and refuse the change. Only -ENOMEM gives up. */
static int object_validate(const struct sl_object *object, const char *name_space,
                           struct sl_addresses *addresses, struct sl_diags *diags)
{
    struct sl_spec *spec = NULL;
    int r = loader_object_spec(object, &spec, diags);
    if (r == 0) {
        struct sl_unit_source source = {.spec = spec,
                                        .name_space = name_space,
                                        .shards_count = 1,
                                        .check_only = true,
                                        .addresses = addresses,
                                        .addresses_only = addresses->is_quiet};
        r = sl_unit_build(&source, NULL, diags);
        spec = sl_spec_free(spec);
    }
    return r == -ENOMEM ? r : 0;
}

int sl_loader_validate(void *ctx, struct sl_view *view, const char *name_space,
                       struct sl_diags *diags)
{
    (void)ctx;
    struct sl_objects objects = {0};
    struct sl_addresses addresses = {.is_quiet = true};
    struct sl_diags ignored = {0};
    int r = sl_view_list(view, SL_OBJECT_SPEC, name_space, sl_value_none(), &objects);
    /* What this change leaves as it is keeps its addresses; then what it touches. */
    for (size_t i = 0; r == 0 && i < objects.count; i++) {
        const struct sl_object *object = objects.items[i];
        if (object->revision == sl_view_revision(view) || !may_listen(object->kind)) continue;
        r = object_validate(object, name_space, &addresses, &ignored);
    }
    addresses.is_quiet = false;
    for (size_t i = 0; r == 0 && i < objects.count; i++) {
        const struct sl_object *object = objects.items[i];
        if (object->revision != sl_view_revision(view)) continue;
        r = object_validate(object, name_space, &addresses, diags);
    }
    sl_diags_fini(&ignored);
    sl_addresses_fini(&addresses);
    sl_objects_fini(&objects);
    return r;
}
