/* SPDX-License-Identifier: MIT */
/*
 * What goes over a worker's rings, seen from the shard. What comes in is hostile: it is copied out
 * once, its size and its turn are checked, and a packet is verified before it is opened.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/text/utf8.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/graph/process.h"
#include "core/mem/mem.h"
#include "nodes/script/worker/pool.h"

enum {
    HEAR_BATCH = 16,             /* messages of one worker in one turn */
    HEAR_INLINE_SIZE = 4 * 1024, /* larger ones are copied into memory of the shard */
};

static bool broke(struct sl_worker *worker, const char *what)
{
    char text[160];
    (void)snprintf(text, sizeof(text),
                   "the worker process of the script said what cannot be (%s) and was killed",
                   what);
    worker->pool->stats.killed++;
    worker_end(worker, "script_killed", 504, text);
    return false;
}

/* ---- to the worker --------------------------------------------------------------------------- */

/* Room for a message; NULL: an idle worker has not read what it got, or it broke its ring. */
static uint8_t *out_reserve(struct sl_worker *worker, size_t size)
{
    struct sl_ring_producer *out = &worker->shm.producer;
    return size > sl_ring_record_size_max(&out->map) ? sl_ring_slab_take(out, size)
                                                     : sl_ring_reserve(out, size);
}

static bool out_send(struct sl_worker *worker, enum wire_kind kind, uint8_t *at, size_t size)
{
    struct sl_ring_producer *out = &worker->shm.producer;
    if (size > sl_ring_record_size_max(&out->map)) {
        if (sl_ring_slab_commit(out, kind, at, size) < 0) {
            sl_ring_slab_cancel(out, at);
            return broke(worker, "its ring is full");
        }
    } else {
        sl_ring_commit(out, kind, size);
    }
    sl_shm_publish(&worker->shm);
    return true;
}

bool worker_has_script(const struct sl_worker *worker, uint64_t script_id)
{
    for (uint32_t i = 0; i < SL_WORKER_SCRIPTS_MAX; i++) {
        if (worker->scripts[i] == script_id) return true;
    }
    return false;
}

void worker_unload(struct sl_worker *worker, uint64_t script_id)
{
    for (uint32_t i = 0; i < SL_WORKER_SCRIPTS_MAX; i++) {
        if (worker->scripts[i] != script_id) continue;
        worker->scripts[i] = 0;
        uint8_t *at = out_reserve(worker, sizeof(struct wire_load));
        if (at == NULL) {
            (void)broke(worker, "its ring is full");
            return;
        }
        struct wire_load load = {.script = script_id};
        memcpy(at, &load, sizeof(load));
        (void)out_send(worker, WIRE_UNLOAD, at, sizeof(load));
        return;
    }
}

/* Begin to wait for the answer to what was sent. */
static void await(struct sl_worker *worker, enum worker_state state, uint64_t kill_ns)
{
    struct sl_loop *loop = &worker->pool->shard->loop;
    worker->state = state;
    worker->messages = 0;
    worker->lines = 0;
    worker->is_paced = false;
    worker->kill_ns = kill_ns;
    sl_timer_start(&loop->timers, &worker->timer, kill_ns);
}

bool worker_load(struct sl_worker *worker)
{
    const struct sl_worker_load *load = worker->script->load;
    size_t size = sizeof(struct wire_load) + load->size;
    /* The eldest goes: a table of fixed size that both sides keep alike. */
    uint32_t slot = worker->scripts_next++ % SL_WORKER_SCRIPTS_MAX;
    if (worker->scripts[slot] != 0) worker_unload(worker, worker->scripts[slot]);
    if (worker->state == WORKER_DYING) return false;
    uint8_t *at = out_reserve(worker, size);
    if (at == NULL) return broke(worker, "its ring is full");
    struct wire_load head = {.script = worker->script->id};
    memcpy(at, &head, sizeof(head));
    memcpy(at + sizeof(head), load->data, load->size);
    worker->scripts[slot] = worker->script->id;
    worker->script_id = worker->script->id;
    await(worker, WORKER_LOADING,
          worker->pool->shard->loop.now_ns + SL_WORKER_LOAD_MS * SL_NS_PER_MS);
    return out_send(worker, WIRE_LOAD, at, size);
}

/* How long the script may take: from now, and not beyond its process. */
static uint64_t call_deadline(const struct sl_worker *worker)
{
    uint64_t now_ns = sl_clock_now_ns(worker->pool->shard->loop.clock);
    uint64_t deadline_ns = now_ns + worker->script->load->timeout_ns;
    uint64_t process_ns = worker->wait->frame->process->deadline_ns;
    return deadline_ns < process_ns ? deadline_ns : process_ns;
}

/* The wish for memory is the script's; the limit stands in the worker's process. */
static void data_limit(struct sl_worker *worker)
{
    uint64_t soft = worker->script->load->memory_max + SL_WORKER_DATA_EXTRA;
    if (worker->data_soft == soft) return;
    if (sl_proc_limit_data(&worker->proc, worker->data_used + soft) == 0) worker->data_soft = soft;
}

bool worker_call(struct sl_worker *worker)
{
    struct sl_worker_wait *wait = worker->wait;
    struct sl_loop *loop = &worker->pool->shard->loop;
    struct sl_flat_plan plan = {.size = 0};
    int r = sl_flat_plan(wait->value, &plan);
    size_t size = sizeof(struct wire_call) + plan.size;
    data_limit(worker);
    uint8_t *at = r == 0 ? out_reserve(worker, size) : NULL;
    if (r == 0 && at == NULL) return broke(worker, "its ring is full");
    struct wire_call call = {
        .call = ++worker->pool->call_id_next,
        .script = worker->script->id,
        .deadline_ns = call_deadline(worker),
        .is_test = wait->is_test,
    };
    struct sl_flat_envelope envelope = {.process = call.call};
    if (r == 0) sl_flat_seal_plan(wait->value, &envelope, &plan, at + sizeof(call));
    if (r < 0) {
        (void)worker_release(worker);
        wait_answer(wait, sl_value_new_error(loop->mem, "script_memory", 0,
                                             "no memory for the value of the script"));
        return true; /* and is idle again */
    }
    memcpy(at, &call, sizeof(call));
    worker->call_id = call.call;
    worker->script_id = call.script;
    worker->pool->stats.calls++;
    await(worker, WORKER_BUSY, call.deadline_ns + SL_WORKER_GRACE_MS * SL_NS_PER_MS);
    return out_send(worker, WIRE_CALL, at, size);
}

/* ---- from the worker ------------------------------------------------------------------------- */

/* A verified copy of a packet as a value; cell == NULL with *ret_bad: it was none. */
static struct sl_value packet_open(struct sl_worker *worker, const uint8_t *data, size_t size,
                                   bool *ret_bad)
{
    struct sl_value value = sl_value_none();
    struct sl_flat_envelope envelope;
    struct sl_mem *mem = worker->pool->shard->loop.mem;
    int r = sl_flat_verify_in(data, size, mem, NULL);
    *ret_bad = r == -EBADMSG;
    if (r == 0) r = sl_flat_open(data, size, mem, &envelope, &value);
    return r == 0 ? value : sl_value_none();
}

static bool on_ready(struct sl_worker *worker, const uint8_t *data, size_t size)
{
    struct wire_ready ready;
    if (worker->state != WORKER_STARTING) return broke(worker, "ready twice");
    if (size != sizeof(ready)) return broke(worker, "size");
    memcpy(&ready, data, sizeof(ready));
    /* It says so before it has seen any script. */
    worker->data_used = ready.data_used;
    worker->data_soft = 0;
    pool_ready(worker);
    return worker->state != WORKER_DYING;
}

static bool on_loaded(struct sl_worker *worker, const uint8_t *data, size_t size)
{
    struct wire_loaded loaded;
    if (worker->state != WORKER_LOADING) return broke(worker, "loaded nothing");
    if (size < sizeof(loaded)) return broke(worker, "size");
    memcpy(&loaded, data, sizeof(loaded));
    if (loaded.script != worker->script_id) return broke(worker, "another script");
    sl_timer_stop(&worker->pool->shard->loop.timers, &worker->timer);
    if (loaded.is_ok) {
        if (worker->wait != NULL && worker->script != NULL) {
            (void)worker_call(worker);
        } else {
            (void)worker_release(worker);
        }
        if (worker->state == WORKER_IDLE) pool_idle(worker);
        return worker->state != WORKER_DYING;
    }
    bool bad;
    struct sl_value error = packet_open(worker, data + sizeof(loaded), size - sizeof(loaded), &bad);
    if (bad || (!sl_value_is_none(error) && !sl_value_is(error, SL_VALUE_ERROR))) {
        sl_value_unref(error);
        return broke(worker, "no error");
    }
    worker_unload(worker, loaded.script);
    struct sl_worker_wait *wait = worker_release(worker);
    if (wait != NULL) {
        wait_answer(wait, error);
    } else {
        sl_value_unref(error);
    }
    if (worker->state != WORKER_DYING) pool_idle(worker);
    return worker->state != WORKER_DYING;
}

/* The value of an answer; *ret_bad: it cannot be. */
static struct sl_value answer_value(struct sl_worker *worker, const struct wire_answer *answer,
                                    const uint8_t *data, size_t size, bool *ret_bad)
{
    struct sl_mem *mem = worker->pool->shard->loop.mem;
    bool is_test = worker->wait == NULL || worker->wait->is_test;
    *ret_bad = false;
    switch (answer->outcome) {
    case WIRE_VALUE: return packet_open(worker, data, size, ret_bad);
    case WIRE_NO_MEMORY:
        return sl_value_new_error(mem, "script_memory", 0,
                                  "the worker process of the script has no memory for its result");
    case WIRE_TOO_LARGE:
        return sl_value_new_error(mem, "script_too_large", 0,
                                  "the script's result is larger than %d bytes",
                                  SL_WORKER_SLAB_SIZE);
    case WIRE_TRUE:
    case WIRE_FALSE: *ret_bad = !is_test; return sl_value_bool(answer->outcome == WIRE_TRUE);
    default: *ret_bad = true; return sl_value_none();
    }
}

static bool on_answer(struct sl_worker *worker, const uint8_t *data, size_t size)
{
    struct wire_answer answer;
    if (worker->state != WORKER_BUSY) return broke(worker, "an answer without a call");
    if (size < sizeof(answer)) return broke(worker, "size");
    memcpy(&answer, data, sizeof(answer));
    if (answer.call != worker->call_id) return broke(worker, "the answer to another call");
    bool bad;
    struct sl_value value =
        answer_value(worker, &answer, data + sizeof(answer), size - sizeof(answer), &bad);
    if (!bad && worker->wait != NULL && worker->wait->is_test && !sl_value_is_none(value)) {
        bad = !sl_value_is(value, SL_VALUE_BOOL) && !sl_value_is(value, SL_VALUE_ERROR);
    }
    if (bad) {
        sl_value_unref(value);
        return broke(worker, "its packet is not valid");
    }
    sl_timer_stop(&worker->pool->shard->loop.timers, &worker->timer);
    struct sl_worker_wait *wait = worker_release(worker);
    if (wait != NULL) {
        wait_answer(wait, value);
    } else {
        sl_value_unref(value);
    }
    if (answer.is_tired) {
        worker_retire(worker);
        return false;
    }
    pool_idle(worker);
    return worker->state != WORKER_DYING;
}

void worker_text_clean(char *text, size_t size)
{
    bool valid = sl_utf8_is_valid((const uint8_t *)text, size);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f || (c >= 0x80 && !valid))
            text[i] = '?';
    }
}

static bool on_log(struct sl_worker *worker, uint8_t *data, size_t size)
{
    struct wire_log log;
    if (size < sizeof(log) || size > sizeof(log) + SL_WORKER_LOG_SIZE_MAX) {
        return broke(worker, "size");
    }
    memcpy(&log, data, sizeof(log));
    if (log.level > SL_LOG_ERROR) return broke(worker, "level");
    /* A node that has gone took the mask of its secrets along. */
    if (worker->script == NULL || worker->lines++ >= SL_WORKER_LOG_LINES_MAX) return true;
    char *text = (char *)data + sizeof(log);
    worker_text_clean(text, size - sizeof(log));
    sl_script_mask_set(worker->script->load->mask);
    sl_script_log((enum sl_log_level)log.level, worker->script->load->name, text,
                  size - sizeof(log));
    sl_script_mask_set(NULL);
    return true;
}

static bool take(struct sl_worker *worker, uint32_t kind, uint8_t *data, size_t size)
{
    if (++worker->messages > SL_WORKER_MESSAGES_MAX) return broke(worker, "too many messages");
    switch (kind) {
    case WIRE_READY: return on_ready(worker, data, size);
    case WIRE_LOADED: return on_loaded(worker, data, size);
    case WIRE_ANSWER: return on_answer(worker, data, size);
    case WIRE_LOG: return on_log(worker, data, size);
    default: return broke(worker, "an unknown message");
    }
}

/* The time since `begin_ns` went into a large result of the script: it pays for that. */
static void large_pay(struct sl_worker_script *script, uint64_t begin_ns)
{
    uint64_t now_ns = sl_clock_now_ns(sl_clock_system());
    uint64_t price_ns = (now_ns - begin_ns) * SL_WORKER_LARGE_PART;
    uint64_t most_ns = SL_WORKER_LARGE_WAIT_MS * SL_NS_PER_MS;
    if (script->large_next_ns < now_ns) script->large_next_ns = now_ns;
    script->large_next_ns += price_ns < most_ns ? price_ns : most_ns;
}

/* A message that does not fit the stack. False: the worker was ended. */
static bool take_large(struct sl_worker *worker, size_t room)
{
    struct sl_mem *mem = worker->pool->shard->loop.mem;
    struct sl_worker_script *script = worker->script;
    uint64_t begin_ns = room > SL_WORKER_LARGE_SIZE ? sl_clock_now_ns(sl_clock_system()) : 0;
    uint8_t *buf = sl_mem_take(mem, room);
    if (buf == NULL) return broke(worker, "no memory for its message");
    size_t size = 0;
    uint32_t kind = 0;
    int r = sl_ring_copy(&worker->shm.consumer, buf, room, &size, &kind);
    sl_shm_release(&worker->shm);
    /* It may have changed its mind about the size meanwhile. */
    bool good = r == 1 ? take(worker, kind, buf, size) : broke(worker, "its ring");
    sl_mem_give(mem, buf, room);
    if (begin_ns != 0 && script != NULL) large_pay(script, begin_ns);
    return good;
}

/*
 * Copying, verifying and opening a large result holds up everybody else on the shard, and a hostile
 * script answers with nothing but large results. So each node has a small part of the shard's
 * time for them, and what is beyond waits in the ring. True: it waits.
 */
static bool large_waits(struct sl_worker *worker, size_t size)
{
    struct sl_loop *loop = &worker->pool->shard->loop;
    if (size <= SL_WORKER_LARGE_SIZE || worker->state != WORKER_BUSY) return false;
    if (worker->script == NULL || worker->is_gone) return false;
    uint64_t burst_ns = SL_WORKER_LARGE_BURST_MS * SL_NS_PER_MS;
    if (worker->script->large_next_ns <= loop->now_ns + burst_ns) return false;
    worker->pool->stats.paced++;
    worker->is_paced = true;
    sl_timer_start(&loop->timers, &worker->timer, worker->script->large_next_ns - burst_ns);
    return true;
}

void worker_hear_paced(struct sl_worker *worker)
{
    worker->is_paced = false;
    worker_hear(worker);
    /* What it showed before may be gone: then its time is over. */
    if (worker->state != WORKER_BUSY || worker->is_paced) return;
    if (sl_timer_is_started(&worker->timer)) return;
    sl_timer_start(&worker->pool->shard->loop.timers, &worker->timer, worker->kill_ns);
}

void worker_hear(struct sl_worker *worker)
{
    alignas(16) uint8_t buf[HEAR_INLINE_SIZE];
    for (uint32_t i = 0; i < HEAR_BATCH; i++) {
        size_t size = 0;
        uint32_t kind = 0;
        int r = sl_ring_copy(&worker->shm.consumer, buf, sizeof(buf), &size, &kind);
        if (r == 0) break;
        if (r == -ENOBUFS) {
            if (size > SL_WORKER_SLAB_SIZE) {
                (void)broke(worker, "size");
                return;
            }
            if (large_waits(worker, size)) return;
            if (!take_large(worker, size)) return;
            continue;
        }
        if (r < 0) {
            (void)broke(worker, "its ring");
            return;
        }
        sl_shm_release(&worker->shm);
        if (!take(worker, kind, buf, size)) return;
    }
    if (worker->messages > SL_WORKER_MESSAGES_MAX) {
        (void)broke(worker, "too many messages");
        return;
    }
    worker_listen(worker);
}
