/* SPDX-License-Identifier: MIT */
#include "core/graph/process.h"

#include <errno.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/graph/program.h"
#include "core/graph/remote.h"
#include "core/graph/walk.h"
#include "core/mem/mem_fast.h"
#include "core/shard/shard.h"

struct sl_process_hook {
    struct sl_process_hook *next; /* the one added before */
    sl_process_hook_fn *fn;
    void *ctx;
};

struct sl_process_local {
    struct sl_process_local *next;
    const void *key;
    void *value;
    void (*fini)(void *value, struct sl_process *process);
};

static void process_task(struct sl_task *task)
{
    sl_walk_ready(sl_container_of(task, struct sl_process, task));
}

static __attribute__((cold)) void process_deadline(struct sl_timer *timer)
{
    struct sl_process *process = sl_container_of(timer, struct sl_process, timer);
    sl_process_cancel(process, sl_value_new_error(process->shard->loop.mem, "deadline", 504,
                                                  "the deadline of the process has passed"));
}

static void instance_pin(struct sl_instance *instance, uint64_t by)
{
    sl_assert(instance != NULL);
    uint64_t pins = atomic_load_explicit(&instance->pins, memory_order_relaxed);
    sl_assert(by == 1 || pins > 0);
    /* Release: when the control thread sees zero, it sees all that the process did. */
    atomic_store_explicit(&instance->pins, pins + by, memory_order_release);
}

static uint64_t process_deadline_ns(const struct sl_process *process, uint64_t deadline_ns)
{
    if (deadline_ns == 0) {
        deadline_ns = process->started_ns + process->instance->program->deadline_ns;
    }
    if (process->parent != NULL && deadline_ns > process->parent->deadline_ns) {
        deadline_ns = process->parent->deadline_ns;
    }
    return deadline_ns;
}

struct sl_process *sl_process_new(struct sl_shard *shard, struct sl_instance *instance,
                                  struct sl_process *parent, uint64_t deadline_ns)
{
    sl_assert(shard != NULL);
    sl_assert(instance != NULL || parent != NULL);
    if (shard->processes_count >= SL_SHARD_PROCESSES_MAX) return NULL;
    if (parent != NULL && parent->children_count >= SL_PROCESS_CHILDREN_MAX) return NULL;
    struct sl_process *process = sl_mem_take_fast(shard->loop.mem, sizeof(*process));
    if (process == NULL) return NULL;
    *process = (struct sl_process){
        .instance = parent != NULL ? parent->instance : instance,
        .shard = shard,
        .parent = parent,
        .id = ++shard->process_id_next,
        .started_ns = shard->loop.now_ns,
    };
    process->deadline_ns = process_deadline_ns(process, deadline_ns);
    sl_list_init(&process->children);
    sl_list_init(&process->sibling);
    sl_list_init(&process->frames);
    sl_list_init(&process->ready);
    sl_list_init(&process->joins);
    sl_timer_init(&process->timer, process_deadline);
    sl_task_init(&process->task, process_task);
    sl_list_insert(&shard->processes, &process->link);
    shard->processes_count++;
    if (parent != NULL) {
        sl_list_insert(&parent->children, &process->sibling);
        parent->children_count++;
        if (parent->cancelled) sl_process_cancel(process, sl_value_ref(parent->cancel_error));
    }
    instance_pin(process->instance, 1);
    return process;
}

void sl_process_timer_arm(struct sl_process *process)
{
    sl_assert(process != NULL);
    if (process->cancelled || sl_timer_is_started(&process->timer)) return;
    sl_timer_start(&process->shard->loop.timers, &process->timer, process->deadline_ns);
}

static void hooks_run(struct sl_process *process)
{
    struct sl_mem *mem = process->shard->loop.mem;
    while (process->hooks != NULL) {
        struct sl_process_hook *hook = process->hooks;
        process->hooks = hook->next;
        hook->fn(process, hook->ctx);
        sl_mem_give(mem, hook, sizeof(*hook));
    }
}

static void locals_free(struct sl_process *process)
{
    struct sl_mem *mem = process->shard->loop.mem;
    while (process->locals != NULL) {
        struct sl_process_local *local = process->locals;
        process->locals = local->next;
        if (local->fini != NULL) local->fini(local->value, process);
        sl_mem_give(mem, local, sizeof(*local));
    }
}

/* End a process that nothing keeps; returns its parent, which may end now too. */
static struct sl_process *process_end(struct sl_process *process)
{
    struct sl_shard *shard = process->shard;
    struct sl_process *parent = process->parent;
    sl_assert(process->frames_count == 0);
    sl_assert(process->packets == 0);
    sl_assert(process->children_count == 0);
    sl_assert(sl_list_is_empty(&process->ready));
    sl_assert(sl_list_is_empty(&process->joins));
    sl_assert(shard->processes_count > 0);
    sl_timer_stop(&shard->loop.timers, &process->timer);
    sl_task_cancel(&process->task);
    if (process->hooks != NULL) hooks_run(process);
    if (process->locals != NULL) locals_free(process);
    sl_value_unref(process->cancel_error);
    sl_value_unref(process->error);
    sl_list_remove(&process->link);
    shard->processes_count--;
    if (parent != NULL) {
        sl_assert(parent->children_count > 0);
        sl_list_remove(&process->sibling);
        parent->children_count--;
    }
    instance_pin(process->instance, (uint64_t)-1);
    if (process->ended != NULL) process->ended(process, process->ended_ctx);
    sl_mem_give_fast(shard->loop.mem, process, sizeof(*process));
    return parent;
}

void sl_process_settle(struct sl_process *process)
{
    while (process != NULL) {
        if (process->walking > 0 || process->packets > 0 || !process->finishing) return;
        if (process->children_count > 0) {
            sl_process_timer_arm(process); /* children too must end in time */
            return;
        }
        process = process_end(process);
    }
}

void sl_process_finish(struct sl_process *process)
{
    sl_assert(process != NULL);
    process->finishing = true;
    sl_process_settle(process);
}

/* Wake every frame that sleeps; what it answers is the cancel error. */
static void frames_cancel(struct sl_process *process)
{
    for (struct sl_list *at = process->frames.next; at != &process->frames; at = at->next) {
        struct sl_frame *frame = sl_container_of(at, struct sl_frame, link);
        if (frame->type == SL_FRAME_REMOTE) {
            /* The other shard holds our program by us: its answer has to come first. */
            if (frame->status == SL_FRAME_PARKED) sl_remote_cancel(frame);
            continue;
        }
        if (frame->status == SL_FRAME_PARKED) {
            const struct sl_kind *kind = frame->symbol->kind;
            if (kind->cancel != NULL) kind->cancel(frame, process->shard);
        } else if (frame->status == SL_FRAME_READY && frame->type == SL_FRAME_NODE) {
            const struct sl_kind *kind = frame->symbol->kind;
            if (kind->cancel != NULL) kind->cancel(frame, process->shard);
            continue;
        } else if (frame->status != SL_FRAME_QUEUED) {
            continue;
        }
        frame->status = SL_FRAME_READY;
        sl_list_insert(&process->ready, &frame->ready);
    }
}

void sl_process_cancel(struct sl_process *process, struct sl_value error)
{
    sl_assert(process != NULL);
    if (sl_value_is_none(error)) error = sl_error_no_memory();
    if (process->cancelled) {
        sl_value_unref(error);
        return;
    }
    process->cancelled = true;
    process->cancel_error = error;
    sl_timer_stop(&process->shard->loop.timers, &process->timer);
    frames_cancel(process);
    for (struct sl_list *at = process->children.next; at != &process->children;) {
        struct sl_process *child = sl_container_of(at, struct sl_process, sibling);
        at = at->next;
        sl_process_cancel(child, sl_value_ref(error));
    }
    sl_loop_task_add(&process->shard->loop, &process->task);
}

void sl_frame_resume(struct sl_frame *frame, struct sl_value value)
{
    sl_assert(frame != NULL);
    sl_assert(frame->type == SL_FRAME_NODE || frame->type == SL_FRAME_REMOTE);
    sl_assert(frame->status == SL_FRAME_PARKED);
    struct sl_process *process = frame->process;
    frame->value = value;
    frame->status = SL_FRAME_READY;
    sl_list_insert(&process->ready, &frame->ready);
    sl_loop_task_add(&process->shard->loop, &process->task);
}

int sl_process_hook_add(struct sl_process *process, sl_process_hook_fn *fn, void *ctx)
{
    sl_assert(process != NULL);
    sl_assert(fn != NULL);
    struct sl_process_hook *hook = sl_mem_take(process->shard->loop.mem, sizeof(*hook));
    if (hook == NULL) return -ENOMEM;
    *hook = (struct sl_process_hook){process->hooks, fn, ctx};
    process->hooks = hook;
    return 0;
}

void sl_process_hook_remove(struct sl_process *process, sl_process_hook_fn *fn, void *ctx)
{
    sl_assert(process != NULL);
    sl_assert(fn != NULL);
    for (struct sl_process_hook **at = &process->hooks; *at != NULL; at = &(*at)->next) {
        struct sl_process_hook *hook = *at;
        if (hook->fn != fn || hook->ctx != ctx) continue;
        *at = hook->next;
        sl_mem_give(process->shard->loop.mem, hook, sizeof(*hook));
        return;
    }
}

static struct sl_process_local *local_of(const struct sl_process *process, const void *key)
{
    for (struct sl_process_local *local = process->locals; local != NULL; local = local->next) {
        if (local->key == key) return local;
    }
    return NULL;
}

void *sl_process_local_get(struct sl_process *process, const void *key)
{
    sl_assert(process != NULL);
    sl_assert(key != NULL);
    struct sl_process_local *local = local_of(process, key);
    return local != NULL ? local->value : NULL;
}

void *sl_process_local_find(struct sl_process *process, const void *key)
{
    sl_assert(process != NULL);
    sl_assert(key != NULL);
    for (; process != NULL; process = process->parent) {
        struct sl_process_local *local = local_of(process, key);
        if (local != NULL) return local->value;
    }
    return NULL;
}

int sl_process_local_set(struct sl_process *process, const void *key, void *value,
                         void (*fini)(void *value, struct sl_process *process))
{
    sl_assert(process != NULL);
    sl_assert(key != NULL);
    struct sl_process_local *local = local_of(process, key);
    if (local != NULL) {
        if (local->fini != NULL && local->value != value) local->fini(local->value, process);
        local->value = value;
        local->fini = fini;
        return 0;
    }
    local = sl_mem_take(process->shard->loop.mem, sizeof(*local));
    if (local == NULL) return -ENOMEM;
    *local = (struct sl_process_local){process->locals, key, value, fini};
    process->locals = local;
    return 0;
}
