/* SPDX-License-Identifier: MIT */
/*
 * The worker process: one thread, one call at a time. It trusts the shard that started it, and
 * nobody trusts it.
 *
 *   fence opens → channel → engines → memory limit → fence closes → READY → messages for ever
 *
 * It ends by being killed: by its shard, or by the kernel when its parent has gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/limit.h"
#include "core/mem/mem.h"
#include "io/proc/fence.h"
#include "io/proc/nursery.h"
#include "io/proc/spawn.h"
#include "io/shm/shm.h"
#include "nodes/script/worker/wire.h"
#include "nodes/script/worker/worker.h"

/* What the shard reads as the reason when a worker does not become ready. */
enum exit_code {
    EXIT_FENCE = 10,
    EXIT_CHANNEL = 11,
    EXIT_ENGINE = 12,
    EXIT_MEMORY = 13,
    EXIT_SECCOMP = 14,
    EXIT_PROTOCOL = 15,
};

enum {
    MEMORY_MAX = 512 * 1024 * 1024, /* of values; the scripts have limits of their own */
    PAGE_SIZE = 4096,
    SCRIPT_MEMORY_MAX_SHIFT = 33, /* the largest `memory` of a node: 8 GiB */
};

struct script {
    uint64_t id; /* 0: none */
    const struct sl_engine *engine;
    struct sl_script *script;
    void *instance;
    uint32_t slot; /* of engine_states */
};

/* What is resident, and what RLIMIT_DATA counts: mapped, touched or not. Bytes. */
struct memory {
    uint64_t resident;
    uint64_t data;
};

struct process {
    struct sl_shm shm;
    struct sl_mem *mem;
    struct script scripts[SL_WORKER_SCRIPTS_MAX];
    void *states[SL_ENGINES_MAX];
    uint64_t script_id; /* that runs */
    uint32_t lines;     /* logged by this call */
    int statm_fd;
    struct memory base;   /* when the fence closed */
    uint64_t faults_base; /* minor page faults when the memory was looked at last */
};

/* ---- to the shard ---------------------------------------------------------------------------- */

static bool send_parts(struct process *p, enum wire_kind kind, const void *head, size_t head_size,
                       const void *body, size_t body_size)
{
    struct sl_ring_producer *out = &p->shm.producer;
    size_t size = head_size + body_size;
    if (size > sl_ring_record_size_max(&out->map)) return false;
    uint8_t *at = sl_ring_reserve(out, size);
    if (at == NULL) return false;
    memcpy(at, head, head_size);
    if (body_size > 0) memcpy(at + head_size, body, body_size);
    sl_ring_commit(out, kind, size);
    return true;
}

/* Seal `value` behind `head`, in the ring or beside it. 0, -EAGAIN, -E2BIG, -ENOMEM. */
static int send_value(struct process *p, enum wire_kind kind, const void *head, size_t head_size,
                      struct sl_value value)
{
    struct sl_ring_producer *out = &p->shm.producer;
    struct sl_flat_envelope envelope = {0};
    struct sl_flat_plan plan;
    int r = sl_flat_plan(value, &plan);
    if (r < 0) return r;
    size_t size = head_size + plan.size;
    bool slab = size > sl_ring_record_size_max(&out->map);
    if (slab && size > sl_ring_slab_size_max(out)) return -E2BIG;
    uint8_t *at = slab ? sl_ring_slab_take(out, size) : sl_ring_reserve(out, size);
    if (at == NULL) return -EAGAIN;
    memcpy(at, head, head_size);
    sl_flat_seal_plan(value, &envelope, &plan, at + head_size);
    if (!slab) {
        sl_ring_commit(out, kind, size);
        return 0;
    }
    return sl_ring_slab_commit(out, kind, at, size);
}

/* Wait for room: the shard takes what was sent as soon as it is rung. */
static int send_value_surely(struct process *p, enum wire_kind kind, const void *head,
                             size_t head_size, struct sl_value value)
{
    for (;;) {
        int r = send_value(p, kind, head, head_size, value);
        if (r != -EAGAIN) return r;
        sl_shm_publish(&p->shm);
        (void)sl_shm_wait(&p->shm, true, SL_NS_PER_SEC);
    }
}

/* The same for a message without a value; it fits the ring. */
static void send_surely(struct process *p, enum wire_kind kind, const void *head, size_t head_size)
{
    while (!send_parts(p, kind, head, head_size, NULL, 0)) {
        sl_shm_publish(&p->shm);
        (void)sl_shm_wait(&p->shm, true, SL_NS_PER_SEC);
    }
}

static void on_log(void *ctx, enum sl_log_level level, const char *node, const char *text,
                   size_t size)
{
    struct process *p = ctx;
    (void)node;
    if (p->lines++ >= SL_WORKER_LOG_LINES_MAX) return;
    struct wire_log log = {.script = p->script_id, .level = (uint32_t)level};
    if (size > SL_WORKER_LOG_SIZE_MAX) size = SL_WORKER_LOG_SIZE_MAX;
    /* Without room it is dropped: a log never waits. */
    if (send_parts(p, WIRE_LOG, &log, sizeof(log), text, size)) sl_shm_publish(&p->shm);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static struct memory memory_read(const struct process *p)
{
    char text[128];
    ssize_t got = pread(p->statm_fd, text, sizeof(text) - 1, 0);
    if (got <= 0) return (struct memory){0};
    text[got] = '\0';
    unsigned long long resident = 0, data = 0;
    if (sscanf(text, "%*u %llu %*u %*u %*u %llu", &resident, &data) != 2) return (struct memory){0};
    return (struct memory){resident * PAGE_SIZE, data * PAGE_SIZE};
}

static uint64_t faults_read(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_minflt : 0;
}

static bool is_memory_error(struct sl_value value)
{
    return sl_value_is(value, SL_VALUE_ERROR) &&
           sl_slice_eq_str(sl_value_slice(sl_error_part(value, SL_ERROR_CODE)), "script_memory");
}

/*
 * Did it keep so much that a fresh process is better? What an allocator keeps mapped lets the next
 * script, which did nothing, meet the limit; and where memory ran out, threads of a machine (its
 * collector) may still stumble over it. Otherwise looked at only after many page faults.
 */
static bool is_tired(struct process *p, const struct wire_answer *answer, struct sl_value value)
{
    if (answer->outcome == WIRE_NO_MEMORY || is_memory_error(value)) return true;
    uint64_t faults = faults_read();
    if ((faults - p->faults_base) * PAGE_SIZE < SL_WORKER_GROWTH_MAX) return false;
    p->faults_base = faults;
    struct memory now = memory_read(p);
    return now.resident > p->base.resident + SL_WORKER_GROWTH_MAX ||
           now.data > p->base.data + SL_WORKER_DATA_KEPT_MAX;
}

/* ---- scripts --------------------------------------------------------------------------------- */

static struct script *script_of(struct process *p, uint64_t id)
{
    for (uint32_t i = 0; i < SL_WORKER_SCRIPTS_MAX; i++) {
        if (p->scripts[i].id == id) return &p->scripts[i];
    }
    return NULL;
}

/* Languages that share a machine (JavaScript, TypeScript) have the same attach function. */
static uint32_t engine_slot(const struct sl_engine *engine)
{
    size_t count;
    const char *const *names = sl_engine_names(&count);
    for (size_t i = 0; i < count; i++) {
        const struct sl_engine *other = sl_engine_get(names[i]);
        if (other == engine || (engine->attach != NULL && other->attach == engine->attach)) {
            return (uint32_t)i;
        }
    }
    return 0;
}

static void script_drop(struct process *p, struct script *script)
{
    if (script->instance != NULL && script->engine->detach != NULL) {
        script->engine->detach(script->script, p->states[script->slot], script->instance);
    }
    if (script->script != NULL) script->engine->script_free(script->script);
    *script = (struct script){0};
}

static uint64_t number_of(struct sl_value map, const char *key)
{
    struct sl_value value = sl_value_get_str(map, key);
    return sl_value_is_none(value) ? 0 : value.cell->word;
}

static char *text_of(struct sl_value map, const char *key)
{
    struct sl_value value = sl_value_get_str(map, key);
    return sl_slice_dup_str(sl_value_slice(value));
}

static void source_read(struct sl_value map, struct sl_script_source *ret_source)
{
    *ret_source = (struct sl_script_source){
        .code = sl_value_slice(sl_value_get_str(map, "text")),
        .pos = {(uint32_t)number_of(map, "line"), (uint32_t)number_of(map, "column")},
        .indent = (uint32_t)number_of(map, "indent"),
        .env = sl_value_get_str(map, "env"),
        .unpack = number_of(map, "unpack") != 0,
        .allow_eval = number_of(map, "eval") != 0,
        .timeout_ms = (uint32_t)number_of(map, "timeout_ms"),
        .memory_max = (size_t)number_of(map, "memory"),
        .file = text_of(map, "file"),
        .name = text_of(map, "name"),
    };
}

static int script_make(struct process *p, struct script *script, struct sl_value map,
                       struct sl_diag *reterr)
{
    char name[32];
    struct sl_slice language = sl_value_slice(sl_value_get_str(map, "language"));
    (void)snprintf(name, sizeof(name), "%.*s", SL_SLICE_FMT(language));
    script->engine = sl_engine_get(name);
    if (script->engine == NULL) return -EINVAL;
    script->slot = engine_slot(script->engine);
    struct sl_script_source source;
    struct sl_value saved = sl_value_get_str(map, "saved");
    source_read(map, &source);
    int r = sl_value_is_none(saved) ? script->engine->compile(&source, &script->script, reterr)
                                    : script->engine->load(&source, saved, &script->script, reterr);
    if (r == 0 && script->engine->attach != NULL) {
        r = script->engine->attach(script->script, &p->states[script->slot], &script->instance,
                                   reterr);
    }
    free((void *)(uintptr_t)source.file);
    free((void *)(uintptr_t)source.name);
    return r;
}

static struct sl_value diag_error(struct process *p, int r, const struct sl_diag *diag,
                                  struct wire_loaded *loaded)
{
    (void)snprintf(loaded->code, sizeof(loaded->code), "%s",
                   r == -ENOMEM         ? "script_memory"
                   : diag->code[0] != 0 ? diag->code
                                        : "script_error");
    if (r == -ENOMEM || diag->text[0] == '\0') {
        return sl_value_new_error(p->mem, r == -ENOMEM ? "script_memory" : "script_error", 0,
                                  "the script cannot be made in its worker process");
    }
    loaded->line = diag->pos.line;
    loaded->column = diag->pos.column;
    (void)snprintf(loaded->hint, sizeof(loaded->hint), "%s", diag->hint);
    if (diag->pos.line == 0) {
        return sl_value_new_error(p->mem, "script_error", 0, "%s", diag->text);
    }
    int size = snprintf(NULL, 0, "%s:%u:%u: ", diag->file, diag->pos.line, diag->pos.column);
    loaded->place_size = (uint32_t)size;
    return sl_value_new_error(p->mem, "script_error", 0, "%s:%u:%u: %s", diag->file, diag->pos.line,
                              diag->pos.column, diag->text);
}

static void on_load(struct process *p, uint64_t id, struct sl_value map)
{
    struct sl_diag diag = {0};
    struct wire_loaded loaded = {.script = id};
    struct script *script = script_of(p, 0);
    int r = -ENOMEM;
    p->script_id = id;
    p->lines = 0;
    if (script != NULL) {
        r = script_make(p, script, map, &diag);
        if (r == 0) script->id = id;
        if (r < 0) script_drop(p, script);
    }
    if (r == 0) {
        loaded.is_ok = 1;
        send_surely(p, WIRE_LOADED, &loaded, sizeof(loaded));
        return;
    }
    struct sl_value error = diag_error(p, r, &diag, &loaded);
    (void)send_value_surely(p, WIRE_LOADED, &loaded, sizeof(loaded), error);
    sl_value_unref(error);
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* The result, or none with *ret_outcome. */
static struct sl_value call_run(const struct script *script, struct sl_script_call *call,
                                bool is_test, uint32_t *ret_outcome)
{
    struct sl_value value = sl_value_none();
    if (is_test && script->engine->test != NULL) {
        int truth = script->engine->test(script->script, script->instance, call, &value);
        *ret_outcome = truth < 0 ? WIRE_VALUE : truth > 0 ? WIRE_TRUE : WIRE_FALSE;
        if (truth < 0 && sl_value_is_none(value)) *ret_outcome = WIRE_NO_MEMORY;
        return value;
    }
    value = script->engine->run(script->script, script->instance, call);
    *ret_outcome = sl_value_is_none(value) ? WIRE_NO_MEMORY : WIRE_VALUE;
    if (!is_test || sl_value_is_none(value) || sl_value_is(value, SL_VALUE_ERROR)) return value;
    *ret_outcome = sl_script_is_true(value) ? WIRE_TRUE : WIRE_FALSE;
    sl_value_unref(value);
    return sl_value_none();
}

static void answer_send(struct process *p, struct wire_answer *answer, struct sl_value value)
{
    int r = 0;
    if (answer->outcome == WIRE_VALUE) {
        r = send_value_surely(p, WIRE_ANSWER, answer, sizeof(*answer), value);
        if (r == 0) return;
        answer->outcome = r == -E2BIG ? WIRE_TOO_LARGE : WIRE_NO_MEMORY;
    }
    send_surely(p, WIRE_ANSWER, answer, sizeof(*answer));
}

static void on_call(struct process *p, const struct wire_call *call, struct sl_value input)
{
    const struct script *script = script_of(p, call->script);
    struct wire_answer answer = {.call = call->call};
    struct sl_script_call run = {
        .input = input,
        .mem = p->mem,
        .clock = sl_clock_system(),
        .deadline_ns = call->deadline_ns,
    };
    p->script_id = call->script;
    p->lines = 0;
    if (script == NULL) _exit(EXIT_PROTOCOL);
    struct sl_value value = call_run(script, &run, call->is_test != 0, &answer.outcome);
    answer.is_tired = is_tired(p, &answer, value);
    answer_send(p, &answer, value);
    sl_value_unref(value);
}

/* ---- messages -------------------------------------------------------------------------------- */

/* A message's own copy, so that its room is free while it is worked on. */
struct message {
    uint32_t kind;
    union {
        struct wire_load load;
        struct wire_call call;
    } head;
    struct sl_value value; /* one count, or none */
};

static void message_take(struct process *p, const struct sl_ring_view *view, struct message *ret)
{
    struct sl_flat_envelope envelope;
    size_t head_size = view->kind == WIRE_CALL ? sizeof(ret->head.call) : sizeof(ret->head.load);
    ret->kind = view->kind;
    ret->value = sl_value_none();
    if (view->size < head_size) _exit(EXIT_PROTOCOL);
    memcpy(&ret->head, view->data, head_size);
    if (view->size > head_size && sl_flat_open(view->data + head_size, view->size - head_size,
                                               p->mem, &envelope, &ret->value) < 0) {
        _exit(EXIT_MEMORY);
    }
}

static void message_handle(struct process *p, struct message *message)
{
    switch (message->kind) {
    case WIRE_LOAD: on_load(p, message->head.load.script, message->value); break;
    case WIRE_UNLOAD: {
        struct script *script = script_of(p, message->head.load.script);
        if (script != NULL) script_drop(p, script);
        break;
    }
    case WIRE_CALL: on_call(p, &message->head.call, message->value); break;
    default: _exit(EXIT_PROTOCOL);
    }
    sl_value_unref(message->value);
    sl_shm_publish(&p->shm);
}

static __attribute__((noreturn)) void run(struct process *p)
{
    struct sl_ring_view view;
    for (;;) {
        int r = sl_ring_peek(&p->shm.consumer, &view);
        if (r < 0) _exit(EXIT_PROTOCOL);
        if (r == 0) {
            (void)sl_shm_wait(&p->shm, false, UINT64_MAX);
            continue;
        }
        struct message message;
        message_take(p, &view, &message);
        sl_ring_consume(&p->shm.consumer);
        if (view.is_slab) sl_shm_slab_return(&p->shm, view.data);
        sl_shm_release(&p->shm);
        message_handle(p, &message);
    }
}

/* ---- start ----------------------------------------------------------------------------------- */

static void engines_warm(struct process *p)
{
    size_t count;
    const char *const *names = sl_engine_names(&count);
    for (size_t i = 0; i < count; i++) {
        const struct sl_engine *engine = sl_engine_get(names[i]);
        struct sl_diag diag = {0};
        if (engine->warm == NULL || engine_slot(engine) != i) continue;
        if (engine->warm(&p->states[i], &diag) < 0) {
            (void)fprintf(stderr, "sluice: worker: %s: %s\n", engine->name, diag.text);
            _exit(EXIT_ENGINE);
        }
    }
}

static void signals_reset(void)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Up to the closed fence; ends the process where something is missing. */
static void start(struct process *p, pid_t parent, struct wire_ready *ret_ready)
{
    static const int fds[SL_SHM_FDS] = {SL_PROC_FD_FIRST, SL_PROC_FD_FIRST + 1,
                                        SL_PROC_FD_FIRST + 2};
    int parts = sl_fence_open(parent);
    if (parts < 0) _exit(EXIT_FENCE);
    if (sl_shm_attach(&p->shm, fds, false, NULL) < 0) _exit(EXIT_CHANNEL);
    p->mem = sl_mem_new(MEMORY_MAX);
    p->statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (p->mem == NULL || p->statm_fd < 0) _exit(EXIT_ENGINE);
    engines_warm(p);
    uint64_t hard = (UINT64_C(1) << SCRIPT_MEMORY_MAX_SHIFT) + SL_WORKER_DATA_EXTRA;
    if (sl_fence_memory(SL_SCRIPT_MEMORY + SL_WORKER_DATA_EXTRA, hard, &ret_ready->data_used) < 0) {
        _exit(EXIT_MEMORY);
    }
    if (sl_fence_close() < 0) _exit(EXIT_SECCOMP);
    ret_ready->parts = (uint32_t)parts | SL_FENCE_SECCOMP;
    p->base = memory_read(p);
    p->faults_base = faults_read();
}

int sl_worker_main(int argc, char **argv)
{
    int code = sl_nursery_main(argc, argv);
    if (code >= 0) return code;
    if (argc < 3 || strcmp(argv[1], SL_WORKER_COMMAND) != 0) return -1;
    long parent = strtol(argv[2], NULL, 10);
    if (parent <= 0) return -1;
    static struct process process;
    struct wire_ready ready = {0};
    signals_reset();
    sl_script_log_set(on_log, &process);
    start(&process, (pid_t)parent, &ready);
    (void)send_parts(&process, WIRE_READY, &ready, sizeof(ready), NULL, 0);
    sl_shm_publish(&process.shm);
    run(&process);
}
