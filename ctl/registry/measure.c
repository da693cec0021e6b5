/* SPDX-License-Identifier: MIT */
#include "ctl/registry/measure.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "ctl/registry/watch.h"

enum { SPECS = 100, BELL_PATIENCE_MS = 2000 };

static const char space[] = "measure";

struct measure {
    struct sl_registry *registry;
    char id[SL_ID_SIZE]; /* of the spec "n0" */
    uint64_t counter;
    struct sl_watch *watch;
    _Atomic uint64_t heard_ns; /* by the listener; 0: not yet */
    _Atomic bool stop;
};

/* {kind, name, counter: n}; cell == NULL for no memory. */
static struct sl_value make_document(const char *name, const char *field, uint64_t number)
{
    struct sl_builder builder;
    struct sl_value value = sl_value_none();
    sl_builder_init(&builder, NULL, 0, 0);
    sl_build_map_begin(&builder);
    sl_build_key_str(&builder, "kind");
    sl_build_string_str(&builder, "snippet");
    sl_build_key_str(&builder, "name");
    sl_build_string_str(&builder, name);
    sl_build_key_str(&builder, field);
    sl_build_uint(&builder, number);
    sl_build_map_end(&builder);
    (void)sl_builder_finish(&builder, &value);
    return value;
}

static int put(struct measure *measure, enum sl_object_type type, const char *name)
{
    struct sl_value document = make_document(name, "data", measure->counter++);
    struct sl_change change = {
        .op = SL_CHANGE_APPLY, .type = type, .namespace = space, .document = document};
    struct sl_change_set set = {
        .changes = &change, .count = 1, .author = "measure", .if_revision = SL_REVISION_ANY};
    if (sl_value_is_none(document)) return -ENOMEM;
    int r = sl_registry_apply(measure->registry, &set, NULL, NULL);
    sl_value_unref(document);
    return r <= 0 ? r : -EINVAL;
}

static int prepare(struct measure *measure)
{
    struct sl_objects objects;
    int r = put(measure, SL_OBJECT_SECRET, "secret");
    for (int i = 0; i < SPECS && r == 0; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "n%d", i);
        r = put(measure, SL_OBJECT_SPEC, name);
    }
    if (r != 0) return r;
    r = sl_registry_snapshot(measure->registry, SL_OBJECT_SPEC, space, SL_REVISION_NEWEST, &objects,
                             NULL);
    if (r != 0) return r < 0 ? r : -EINVAL;
    sl_assert(objects.count >= SPECS);
    memcpy(measure->id, objects.items[0]->id, sizeof(measure->id));
    sl_objects_fini(&objects);
    return 0;
}

static int get(struct measure *measure, enum sl_registry_measure_op op)
{
    struct sl_view *view;
    struct sl_object *object = NULL;
    struct sl_value value = sl_value_none();
    int r = sl_view_open(measure->registry, SL_REVISION_NEWEST, &view);
    if (r != 0) return r;
    if (op == SL_MEASURE_GET) r = sl_view_get(view, SL_OBJECT_SPEC, measure->id, &object);
    if (op == SL_MEASURE_FIND) r = sl_view_find(view, SL_OBJECT_SPEC, space, "n0", &object);
    if (op == SL_MEASURE_SECRET) {
        r = sl_registry_secret_value(view, space, NULL, "secret", &value, NULL);
        sl_value_unref(value);
    }
    object = sl_object_free(object);
    view = sl_view_close(view);
    return r;
}

static int snapshot(struct measure *measure)
{
    struct sl_objects objects = {0};
    int r = sl_registry_snapshot(measure->registry, SL_OBJECT_SPEC, space, SL_REVISION_NEWEST,
                                 &objects, NULL);
    sl_objects_fini(&objects);
    return r;
}

/* The listener's thread: wait for the bell, poll, say when. Pairs with ring() on heard_ns. */
static void *listen_main(void *arg)
{
    struct measure *measure = arg;
    struct pollfd pollfd = {.fd = sl_watch_fd(measure->watch), .events = POLLIN};
    uint64_t revision;
    while (!atomic_load_explicit(&measure->stop, memory_order_acquire)) {
        if (poll(&pollfd, 1, BELL_PATIENCE_MS) != 1) continue;
        if (sl_watch_poll(measure->watch, &revision) < 0) break;
        uint64_t now = sl_clock_now_ns(sl_clock_system());
        atomic_store_explicit(&measure->heard_ns, now, memory_order_release);
    }
    return NULL;
}

/* Ring until the listener has heard it. A slow tick between two rounds is heard too: wait it out. */
static int ring(struct measure *measure, uint64_t *ret_ns)
{
    struct timespec pause = {.tv_nsec = 200 * 1000};
    (void)nanosleep(&pause, NULL); /* let the listener fall asleep again */
    atomic_store_explicit(&measure->heard_ns, 0, memory_order_release);
    uint64_t start = sl_clock_now_ns(sl_clock_system());
    sl_registry_ring(measure->registry);
    uint64_t heard = 0;
    while (heard == 0) {
        heard = atomic_load_explicit(&measure->heard_ns, memory_order_acquire);
        if (sl_clock_now_ns(sl_clock_system()) - start > BELL_PATIENCE_MS * SL_NS_PER_MS) {
            return -ETIMEDOUT;
        }
    }
    *ret_ns = heard > start ? heard - start : 0;
    return 0;
}

static int measure_ring(struct measure *measure, size_t rounds, uint64_t *ret_ns,
                        void (*begin)(void))
{
    pthread_t listener;
    int r = sl_watch_open(measure->registry, SL_REVISION_NEWEST, &measure->watch);
    if (r != 0) return r;
    r = -pthread_create(&listener, NULL, listen_main, measure);
    if (r == 0) {
        uint64_t first_ns; /* the listener is there when it was heard once */
        r = ring(measure, &first_ns);
        if (r == 0 && begin != NULL) begin();
        for (size_t i = 0; i < rounds && r == 0; i++) r = ring(measure, &ret_ns[i]);
        atomic_store_explicit(&measure->stop, true, memory_order_release);
        sl_registry_ring(measure->registry);
        (void)pthread_join(listener, NULL);
    }
    measure->watch = sl_watch_close(measure->watch);
    return r;
}

static int run_once(struct measure *measure, enum sl_registry_measure_op op)
{
    uint64_t revision;
    switch (op) {
    case SL_MEASURE_PUT: return put(measure, SL_OBJECT_SPEC, "n0");
    case SL_MEASURE_SNAPSHOT: return snapshot(measure);
    case SL_MEASURE_REVISION: return sl_registry_revision(measure->registry, &revision);
    default: return get(measure, op);
    }
}

const char *sl_registry_measure_name(enum sl_registry_measure_op op)
{
    static const char *const names[SL_MEASURE_OPS] = {"put",      "get",    "find", "snapshot",
                                                      "revision", "secret", "ring"};
    sl_assert(op < SL_MEASURE_OPS);
    return names[op];
}

int sl_registry_measure(struct sl_registry *registry, enum sl_registry_measure_op op, size_t rounds,
                        uint64_t *ret_ns, void (*begin)(void))
{
    sl_assert(registry != NULL);
    sl_assert(op < SL_MEASURE_OPS);
    sl_assert(ret_ns != NULL || rounds == 0);
    struct measure measure = {.registry = registry};
    struct sl_clock *clock = sl_clock_system();
    measure.counter = (uint64_t)clock->wall_ns(clock); /* so that each run changes something */
    int r = prepare(&measure);
    if (r == 0 && op == SL_MEASURE_RING) return measure_ring(&measure, rounds, ret_ns, begin);
    if (r == 0 && begin != NULL) begin();
    for (size_t i = 0; i < rounds && r == 0; i++) {
        uint64_t start = sl_clock_now_ns(clock);
        r = run_once(&measure, op);
        ret_ns[i] = sl_clock_now_ns(clock) - start;
    }
    return r <= 0 ? r : -EINVAL;
}
