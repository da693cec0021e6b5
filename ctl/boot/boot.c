/* SPDX-License-Identifier: MIT */
#include "ctl/boot/boot.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/assertion.h"

enum { BOOT_STOP_MS = 10000 };

struct boot_entry {
    const char *name;
    void *value;
};

/* The context: on pages of its own, which are made read-only when it is sealed. */
struct boot_context {
    uint32_t count;
    struct boot_entry entries[SL_BOOT_ENTRIES_MAX];
};

struct boot_slot {
    const struct sl_component *component;
    struct sl_boot *boot;
    int level;
    bool loaded;
    bool threaded; /* has a thread to join */
    int result;
    struct sl_diag diag;
    pthread_t thread;
};

struct sl_boot {
    struct sl_clock *clock;
    struct boot_slot slots[SL_BOOT_COMPONENTS_MAX];
    uint32_t slots_count;
    int levels_count;
    struct boot_context *context;
    size_t context_size;  /* bytes, whole pages */
    pthread_mutex_t lock; /* while loading */
    _Atomic bool sealed;
};

struct sl_boot *sl_boot_new(struct sl_clock *clock)
{
    sl_assert(clock != NULL);
    struct sl_boot *boot = calloc(1, sizeof(*boot));
    if (boot == NULL) return NULL;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    boot->context_size = (sizeof(struct boot_context) + page - 1) / page * page;
    void *pages =
        mmap(NULL, boot->context_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) {
        free(boot);
        return NULL;
    }
    boot->context = pages;
    boot->clock = clock;
    (void)pthread_mutex_init(&boot->lock, NULL);
    return boot;
}

struct sl_boot *sl_boot_free(struct sl_boot *boot)
{
    if (boot == NULL) return NULL;
    for (uint32_t i = 0; i < boot->slots_count; i++) sl_assert(!boot->slots[i].loaded);
    (void)munmap(boot->context, boot->context_size);
    (void)pthread_mutex_destroy(&boot->lock);
    free(boot);
    return NULL;
}

static struct boot_slot *slot_of(const struct sl_boot *boot, const char *name)
{
    for (uint32_t i = 0; i < boot->slots_count; i++) {
        if (strcmp(boot->slots[i].component->name, name) == 0) {
            return (struct boot_slot *)(uintptr_t)&boot->slots[i];
        }
    }
    return NULL;
}

int sl_boot_add(struct sl_boot *boot, const struct sl_component *component, struct sl_diag *reterr)
{
    sl_assert(boot != NULL);
    sl_assert(component->name != NULL);
    sl_assert(component->load != NULL);
    struct sl_pos nowhere = {0, 0};
    if (slot_of(boot, component->name) != NULL) {
        (void)sl_diag_set(reterr, "duplicate_component", nowhere,
                          "component \"%s\" was added twice", component->name);
        return -EEXIST;
    }
    if (boot->slots_count == SL_BOOT_COMPONENTS_MAX) {
        (void)sl_diag_set(reterr, "too_many", nowhere, "more than %d components",
                          SL_BOOT_COMPONENTS_MAX);
        return -E2BIG;
    }
    boot->slots[boot->slots_count++] =
        (struct boot_slot){.component = component, .boot = boot, .level = -1};
    return 0;
}

int sl_boot_level(const struct sl_boot *boot, const char *name)
{
    const struct boot_slot *slot = slot_of(boot, name);
    return slot != NULL ? slot->level : -1;
}

static int needs_check(struct sl_boot *boot, struct sl_diag *reterr)
{
    for (uint32_t i = 0; i < boot->slots_count; i++) {
        const struct sl_component *component = boot->slots[i].component;
        for (uint32_t n = 0; component->needs != NULL && component->needs[n] != NULL; n++) {
            sl_assert(n < SL_BOOT_NEEDS_MAX);
            if (slot_of(boot, component->needs[n]) != NULL) continue;
            (void)sl_diag_set(reterr, "missing_component", (struct sl_pos){0, 0},
                              "component \"%s\" needs \"%s\", which is not there", component->name,
                              component->needs[n]);
            return -ENOENT;
        }
    }
    return 0;
}

/* The level after the highest of its needs, or -1 while one of them has none. */
static int level_of(const struct sl_boot *boot, const struct sl_component *component)
{
    int level = 0;
    for (uint32_t n = 0; component->needs != NULL && component->needs[n] != NULL; n++) {
        int below = slot_of(boot, component->needs[n])->level;
        if (below < 0) return -1;
        if (below + 1 > level) level = below + 1;
    }
    return level;
}

/* Name the members of a cycle: follow, from one without a level, needs without a level. */
static int cycle_report(struct sl_boot *boot, struct sl_diag *reterr)
{
    const struct boot_slot *at = boot->slots;
    while (at->level >= 0) at++;
    /* After as many steps as there are components we stand inside the cycle. */
    for (uint32_t step = 0; step < boot->slots_count; step++) {
        const char *const *need = at->component->needs;
        while (slot_of(boot, *need)->level >= 0) need++;
        at = slot_of(boot, *need);
    }
    char text[SL_DIAG_TEXT_SIZE] = "";
    const struct boot_slot *first = at;
    do {
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof(text) - used, "\"%s\" needs ", at->component->name);
        const char *const *need = at->component->needs;
        while (slot_of(boot, *need)->level >= 0) need++;
        at = slot_of(boot, *need);
    } while (at != first);
    (void)sl_diag_set(reterr, "cyclic_components", (struct sl_pos){0, 0},
                      "components depend on each other: %s\"%s\"", text, first->component->name);
    return -ELOOP;
}

static int levels_assign(struct sl_boot *boot, struct sl_diag *reterr)
{
    uint32_t left = boot->slots_count;
    for (bool progress = true; left > 0 && progress;) {
        progress = false;
        for (uint32_t i = 0; i < boot->slots_count; i++) {
            struct boot_slot *slot = &boot->slots[i];
            if (slot->level >= 0) continue;
            slot->level = level_of(boot, slot->component);
            if (slot->level < 0) continue;
            if (slot->level + 1 > boot->levels_count) boot->levels_count = slot->level + 1;
            progress = true;
            left--;
        }
    }
    return left > 0 ? cycle_report(boot, reterr) : 0;
}

static void *slot_load(void *arg)
{
    struct boot_slot *slot = arg;
    slot->result = slot->component->load(slot->boot, slot->component->ctx, &slot->diag);
    return NULL;
}

/* Load one level side by side; the last member on this thread. */
static int level_load(struct sl_boot *boot, int level, struct sl_diag *reterr)
{
    struct boot_slot *own = NULL;
    for (uint32_t i = 0; i < boot->slots_count; i++) {
        struct boot_slot *slot = &boot->slots[i];
        if (slot->level != level) continue;
        if (own != NULL) {
            own->threaded = pthread_create(&own->thread, NULL, slot_load, own) == 0;
            if (!own->threaded) (void)slot_load(own);
        }
        own = slot;
    }
    if (own != NULL) (void)slot_load(own);
    int result = 0;
    for (uint32_t i = 0; i < boot->slots_count; i++) {
        struct boot_slot *slot = &boot->slots[i];
        if (slot->level != level) continue;
        if (slot->threaded) (void)pthread_join(slot->thread, NULL);
        slot->threaded = false;
        slot->loaded = slot->result == 0;
        if (slot->loaded || result != 0) continue;
        result = slot->result;
        if (reterr != NULL) *reterr = slot->diag;
        if (reterr != NULL && reterr->text[0] == '\0') {
            (void)sl_diag_set(reterr, "load_failed", (struct sl_pos){0, 0},
                              "component \"%s\" did not load (error %d)", slot->component->name,
                              -slot->result);
        }
    }
    return result;
}

int sl_boot_load(struct sl_boot *boot, struct sl_diag *reterr)
{
    sl_assert(boot != NULL);
    int r = needs_check(boot, reterr);
    if (r == 0) r = levels_assign(boot, reterr);
    for (int level = 0; r == 0 && level < boot->levels_count; level++) {
        r = level_load(boot, level, reterr);
    }
    if (r < 0) {
        (void)sl_boot_stop(boot, NULL);
        return r;
    }
    atomic_store_explicit(&boot->sealed, true, memory_order_release);
    r = mprotect(boot->context, boot->context_size, PROT_READ);
    sl_assert(r == 0);
    return 0;
}

int sl_boot_start(struct sl_boot *boot, struct sl_diag *reterr)
{
    for (int level = 0; level < boot->levels_count; level++) {
        for (uint32_t i = 0; i < boot->slots_count; i++) {
            const struct sl_component *component = boot->slots[i].component;
            if (boot->slots[i].level != level || component->start == NULL) continue;
            int r = component->start(boot, component->ctx, reterr);
            if (r < 0) {
                (void)sl_boot_stop(boot, NULL);
                return r;
            }
        }
    }
    return 0;
}

static int slot_stop(struct sl_boot *boot, struct boot_slot *slot, struct sl_diag *reterr)
{
    const struct sl_component *component = slot->component;
    slot->loaded = false;
    if (component->stop == NULL) return 0;
    uint32_t ms = component->stop_ms != 0 ? component->stop_ms : BOOT_STOP_MS;
    uint64_t deadline_ns = sl_clock_now_ns(boot->clock) + ms * SL_NS_PER_MS;
    int r = component->stop(boot, component->ctx, deadline_ns);
    if (r < 0) {
        (void)sl_diag_set(reterr, "stop_failed", (struct sl_pos){0, 0},
                          r == -ETIMEDOUT ? "component \"%s\" did not stop in time"
                                          : "component \"%s\" did not stop well",
                          component->name);
    }
    return r;
}

int sl_boot_stop(struct sl_boot *boot, struct sl_diag *reterr)
{
    int result = 0;
    for (int level = boot->levels_count - 1; level >= 0; level--) {
        for (uint32_t i = boot->slots_count; i-- > 0;) {
            struct boot_slot *slot = &boot->slots[i];
            if (slot->level != level || !slot->loaded) continue;
            int r = slot_stop(boot, slot, result == 0 ? reterr : NULL);
            if (result == 0) result = r;
        }
    }
    return result;
}

static void *context_find(const struct boot_context *context, const char *name)
{
    for (uint32_t i = 0; i < context->count; i++) {
        if (strcmp(context->entries[i].name, name) == 0) return context->entries[i].value;
    }
    return NULL;
}

void sl_boot_put(struct sl_boot *boot, const char *name, void *value)
{
    sl_assert(value != NULL);
    sl_assert(!atomic_load_explicit(&boot->sealed, memory_order_acquire));
    (void)pthread_mutex_lock(&boot->lock);
    sl_assert(boot->context->count < SL_BOOT_ENTRIES_MAX);
    sl_assert(context_find(boot->context, name) == NULL);
    boot->context->entries[boot->context->count++] = (struct boot_entry){name, value};
    (void)pthread_mutex_unlock(&boot->lock);
}

void *sl_boot_get(const struct sl_boot *boot, const char *name)
{
    if (atomic_load_explicit(&boot->sealed, memory_order_acquire)) {
        return context_find(boot->context, name);
    }
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&boot->lock;
    (void)pthread_mutex_lock(lock);
    void *value = context_find(boot->context, name);
    (void)pthread_mutex_unlock(lock);
    return value;
}
