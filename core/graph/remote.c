/* SPDX-License-Identifier: MIT */
#include "core/graph/remote.h"

#include <errno.h>
#include <stdlib.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/graph/process.h"
#include "core/graph/program.h"
#include "core/graph/span.h"
#include "core/graph/trace.h"
#include "core/graph/walk.h"
#include "core/mem/mem.h"
#include "core/ring/ring_fast.h"
#include "core/shard/shard.h"

enum message_kind { MESSAGE_CALL = 1, MESSAGE_ANSWER, MESSAGE_CANCEL };

enum {
    REMOTE_SLAB_SIZE = 4 * 1024 * 1024, /* a ring: packets beyond SL_RING_RECORD_SIZE_MAX */
    REMOTE_BATCH = 64,                  /* messages of one peer in one turn */
};

/* In front of the sealed packet of every message; both ends are this process. */
struct message {
    uint64_t cookie;  /* the caller's struct sl_frame: parked until the answer is back */
    uint64_t program; /* CALL: struct sl_program */
    uint64_t deadline_ns;
    uint64_t trace; /* CALL: key of the caller's trace; 0: it is not traced */
    uint32_t symbol;
    uint32_t in;
    uint32_t is_none;   /* ANSWER: there is no packet */
    uint32_t trace_hop; /* CALL: of that trace */
};

static_assert(sizeof(struct message) % 8 == 0, "the packet behind it stays aligned");

/* Behind the message of a CALL: the span that its process is part of, and what goes with it. */
struct message_span {
    struct sl_span span;
    uint64_t state_size; /* bytes that follow, padded to 8 */
};

static_assert(sizeof(struct message_span) % 8 == 0, "the packet behind it stays aligned");

/* What is sent between the message and its packet. */
struct extra {
    struct message_span head;
    struct sl_tracestate state;
};

/* The other side: one process. */
struct remote_job {
    struct sl_reply reply; /* first */
    struct sl_list link;   /* of remote->jobs */
    struct sl_process *process;
    struct sl_value answer;
    uint64_t cookie;
    uint32_t caller; /* shard */
    uint32_t state_size;
    struct sl_span span; /* of the calling process */
    char state[];        /* array of state_size */
};

struct remote_peer {
    struct sl_ring_producer out;
    struct sl_ring_consumer in;
    void *block; /* of `out`; owned */
    size_t block_size;
    struct sl_list waiting; /* struct remote_job whose answer found no room */
    struct sl_list cancels; /* struct sl_frame, by `ready`: their cancel found no room */
};

struct sl_remote {
    struct sl_shard *shard;
    struct sl_list jobs;
    struct sl_remote_stats stats;
    uint32_t peers_count;
    struct remote_peer peers[]; /* by shard; the own one is empty */
};

/* ---- sending --------------------------------------------------------------------------------- */

/* Room for one message with `size` sealed bytes, in the ring or beside it; NULL: none now. */
static uint8_t *message_reserve(struct remote_peer *peer, size_t size, bool *ret_slab)
{
    *ret_slab = size > sl_ring_record_size_max(&peer->out.map);
    return *ret_slab ? sl_ring_slab_take(&peer->out, size) : sl_ring_reserve(&peer->out, size);
}

static size_t padded(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

static size_t extra_size(const struct extra *extra)
{
    return extra != NULL ? sizeof(extra->head) + padded(extra->state.size) : 0;
}

/* `extra` is what a CALL has in front of its packet, else NULL. */
static int message_send(struct sl_remote *remote, uint32_t target, enum message_kind kind,
                        const struct message *message, const struct extra *extra,
                        struct sl_value value)
{
    sl_assert((kind == MESSAGE_CALL) == (extra != NULL));
    struct remote_peer *peer = &remote->peers[target];
    struct sl_flat_plan plan = {.size = 0};
    int r = sl_value_is_none(value) ? 0 : sl_flat_plan(value, &plan);
    if (r < 0) return r;
    size_t front = sizeof(*message) + extra_size(extra);
    size_t size = front + plan.size;
    if (size > SL_PACKET_SIZE_MAX) return -E2BIG;
    bool slab;
    uint8_t *at = message_reserve(peer, size, &slab);
    if (at == NULL) return -EAGAIN;
    memcpy(at, message, sizeof(*message));
    if (extra != NULL) {
        uint8_t *to = at + sizeof(*message);
        memcpy(to, &extra->head, sizeof(extra->head));
        memcpy(to + sizeof(extra->head), extra->state.text, extra->state.size);
    }
    struct sl_flat_envelope envelope = {.process = message->cookie, .target = message->symbol};
    if (plan.size > 0) sl_flat_seal_plan(value, &envelope, &plan, at + front);
    if (slab) {
        r = sl_ring_slab_commit(&peer->out, kind, at, size);
        if (r < 0) {
            sl_ring_slab_cancel(&peer->out, at);
            return r;
        }
    } else {
        sl_ring_commit(&peer->out, kind, size);
    }
    if (sl_ring_publish(&peer->out)) {
        struct sl_poller *poller = remote->shard->peers[target]->loop.poller;
        poller->ops->wake(poller);
    }
    return 0;
}

/* ---- the caller ------------------------------------------------------------------------------ */

int sl_remote_call(struct sl_frame *frame, const struct sl_symbol *symbol, uint32_t in,
                   struct sl_value value)
{
    struct sl_process *process = frame->process;
    struct sl_remote *remote = process->shard->remote;
    if (remote == NULL || symbol->placement_core >= remote->peers_count) return -EHOSTUNREACH;
    struct message message = {
        .cookie = (uint64_t)(uintptr_t)frame,
        .program = (uint64_t)(uintptr_t)process->instance->program,
        .deadline_ns = process->deadline_ns,
        .symbol = symbol->index,
        .in = in,
    };
    if (process->trace != NULL) {
        message.trace = process->trace->key;
        message.trace_hop = frame->hop;
    }
    struct extra extra;
    sl_process_span_get(process, &extra.head.span, &extra.state);
    extra.head.state_size = extra.state.size;
    int r = message_send(remote, symbol->placement_core, MESSAGE_CALL, &message, &extra, value);
    if (r < 0) {
        remote->stats.refused++;
    } else {
        remote->stats.calls++;
    }
    return r;
}

static bool cancel_send(struct sl_remote *remote, struct sl_frame *frame)
{
    struct message message = {.cookie = (uint64_t)(uintptr_t)frame};
    int r = message_send(remote, frame->symbol->placement_core, MESSAGE_CANCEL, &message, NULL,
                         sl_value_none());
    sl_assert(r == 0 || r == -EAGAIN);
    return r == 0;
}

void sl_remote_cancel(struct sl_frame *frame)
{
    sl_assert(frame->type == SL_FRAME_REMOTE);
    sl_assert(frame->status == SL_FRAME_PARKED);
    struct sl_remote *remote = frame->process->shard->remote;
    if (cancel_send(remote, frame)) return;
    /* Goes out when there is room, unless the answer is here before. */
    sl_list_insert(&remote->peers[frame->symbol->placement_core].cancels, &frame->ready);
}

static void on_answer(struct sl_remote *remote, const struct message *message, const uint8_t *data,
                      size_t size)
{
    struct sl_frame *frame = (struct sl_frame *)(uintptr_t)message->cookie;
    struct sl_value value = sl_value_none();
    struct sl_flat_envelope envelope;
    if (!message->is_none &&
        sl_flat_open(data, size, remote->shard->loop.mem, &envelope, &value) < 0) {
        value = sl_error_no_memory();
    }
    sl_list_remove(&frame->ready); /* a cancel that still waits is not needed any more */
    sl_frame_resume(frame, value);
}

/* Cancels that found no room when they were asked for. */
static void cancels_send(struct sl_remote *remote, struct remote_peer *peer)
{
    while (!sl_list_is_empty(&peer->cancels)) {
        struct sl_frame *frame = sl_container_of(peer->cancels.next, struct sl_frame, ready);
        if (!cancel_send(remote, frame)) return;
        sl_list_remove(&frame->ready);
    }
}

/* ---- the other side -------------------------------------------------------------------------- */

static void job_free(struct sl_remote *remote, struct remote_job *job)
{
    sl_mem_give(remote->shard->loop.mem, job, sizeof(*job) + job->state_size);
}

static bool job_send(struct sl_remote *remote, struct remote_job *job)
{
    struct message message = {.cookie = job->cookie, .is_none = sl_value_is_none(job->answer)};
    int r = message_send(remote, job->caller, MESSAGE_ANSWER, &message, NULL, job->answer);
    if (r == -E2BIG || r == -ENOMEM) {
        r = message_send(remote, job->caller, MESSAGE_ANSWER, &message, NULL, sl_error_no_memory());
    }
    if (r == -EAGAIN) return false;
    sl_assert(r == 0);
    remote->stats.answers++;
    sl_list_remove(&job->link);
    sl_value_unref(job->answer);
    job_free(remote, job);
    return true;
}

/* The process has ended, and holds the program no longer: now the caller may go on. */
static void job_ended(struct sl_process *process, void *ctx)
{
    struct remote_job *job = ctx;
    struct sl_remote *remote = process->shard->remote;
    job->process = NULL;
    if (job_send(remote, job)) return;
    sl_list_remove(&job->link);
    sl_list_insert(&remote->peers[job->caller].waiting, &job->link);
}

static void job_replied(struct sl_reply *reply, struct sl_value answer)
{
    struct remote_job *job = (struct remote_job *)reply;
    job->answer = answer;
    sl_process_finish(job->process);
}

static void job_span(const struct sl_process *process, struct sl_span *ret_span,
                     struct sl_tracestate *ret_state)
{
    const struct remote_job *job = process->ended_ctx;
    *ret_span = job->span;
    if (ret_state == NULL) return;
    ret_state->size = job->state_size;
    memcpy(ret_state->text, job->state, job->state_size);
}

/* A job with what the message says of its span. NULL for no memory. */
static struct remote_job *job_new(struct sl_remote *remote, uint32_t caller,
                                  const struct message *message, const uint8_t *data)
{
    struct message_span head;
    memcpy(&head, data, sizeof(head));
    sl_assert(head.state_size <= SL_TRACESTATE_SIZE_MAX);
    struct remote_job *job = sl_mem_take(remote->shard->loop.mem, sizeof(*job) + head.state_size);
    if (job == NULL) return NULL;
    memset(job, 0, sizeof(*job));
    job->reply.fn = job_replied;
    job->cookie = message->cookie;
    job->caller = caller;
    job->span = head.span;
    job->state_size = (uint32_t)head.state_size;
    memcpy(job->state, data + sizeof(head), head.state_size);
    return job;
}

/* No memory here: an answer without a process. False: no room for it, so the call waits. */
static bool call_refuse(struct sl_remote *remote, uint32_t caller, const struct message *message)
{
    struct message answer = {.cookie = message->cookie};
    return message_send(remote, caller, MESSAGE_ANSWER, &answer, NULL, sl_error_no_memory()) == 0;
}

/* Begin a process for a call. False: it could be neither begun nor refused; try again later. */
static bool on_call(struct sl_remote *remote, uint32_t caller, const struct message *message,
                    const uint8_t *data, size_t size)
{
    struct sl_shard *shard = remote->shard;
    struct sl_program *program = (struct sl_program *)(uintptr_t)message->program;
    struct sl_instance *instance = program->instances[shard->index];
    struct sl_value value;
    struct sl_flat_envelope envelope;
    struct remote_job *job = job_new(remote, caller, message, data);
    if (job == NULL) return call_refuse(remote, caller, message);
    size_t front = sizeof(struct message_span) + padded(job->state_size);
    sl_assert(front <= size);
    if (sl_flat_open(data + front, size - front, shard->loop.mem, &envelope, &value) < 0) {
        job_free(remote, job);
        return call_refuse(remote, caller, message);
    }
    job->process = sl_process_new(shard, instance, NULL, message->deadline_ns);
    if (job->process == NULL) {
        sl_value_unref(value);
        job_free(remote, job);
        return call_refuse(remote, caller, message);
    }
    job->process->ended = job_ended;
    job->process->ended_ctx = job;
    job->process->span = job_span;
    if (message->trace != 0 && shard->tracer != NULL) {
        shard->tracer->join(shard->tracer, job->process, message->trace,
                            (uint8_t)message->trace_hop);
    }
    sl_list_insert(&remote->jobs, &job->link);
    sl_process_call(job->process, &program->symbols[message->symbol], message->in, value,
                    &job->reply);
    return true;
}

static void on_cancel(struct sl_remote *remote, uint32_t caller, const struct message *message)
{
    for (struct sl_list *at = remote->jobs.next; at != &remote->jobs; at = at->next) {
        struct remote_job *job = sl_container_of(at, struct remote_job, link);
        if (job->caller != caller || job->cookie != message->cookie) continue;
        if (job->process == NULL) return;
        sl_process_cancel(job->process, sl_value_new_error(remote->shard->loop.mem, "cancelled",
                                                           499, "the calling process ended"));
        return;
    }
}

/* ---- arriving -------------------------------------------------------------------------------- */

static bool message_take(struct sl_remote *remote, uint32_t peer, const struct sl_ring_view *view)
{
    struct message message;
    sl_assert(view->size >= sizeof(message));
    memcpy(&message, view->data, sizeof(message));
    const uint8_t *data = view->data + sizeof(message);
    size_t size = view->size - sizeof(message);
    switch (view->kind & ~SL_RING_KIND_SLAB) {
    case MESSAGE_CALL: return on_call(remote, peer, &message, data, size);
    case MESSAGE_ANSWER: on_answer(remote, &message, data, size); return true;
    case MESSAGE_CANCEL: on_cancel(remote, peer, &message); return true;
    default: sl_unreachable();
    }
}

static void wake_peer(struct sl_remote *remote, uint32_t peer)
{
    struct sl_poller *poller = remote->shard->peers[peer]->loop.poller;
    poller->ops->wake(poller);
}

static void peer_poll(struct sl_remote *remote, uint32_t number)
{
    struct remote_peer *peer = &remote->peers[number];
    struct sl_ring_view view;
    uint32_t taken = 0;
    while (taken < REMOTE_BATCH && sl_ring_peek(&peer->in, &view) == 1) {
        if (!message_take(remote, number, &view)) break;
        sl_ring_consume(&peer->in);
        if (view.is_slab && sl_ring_slab_return(&peer->in, view.data)) wake_peer(remote, number);
        taken++;
    }
    if (taken > 0 && sl_ring_release(&peer->in)) wake_peer(remote, number);
    cancels_send(remote, peer);
    while (!sl_list_is_empty(&peer->waiting)) {
        if (!job_send(remote, sl_container_of(peer->waiting.next, struct remote_job, link))) break;
    }
}

/* Take what arrived, a batch of each peer. */
static void remote_inbound(struct sl_loop *loop)
{
    struct sl_shard *shard = sl_shard_of(loop);
    struct sl_remote *remote = shard->remote;
    for (uint32_t i = 0; i < remote->peers_count; i++) {
        if (i != shard->index) peer_poll(remote, i);
    }
}

/* May the shard sleep? Announces it to the peers; false if something arrived meanwhile. */
static bool remote_may_sleep(struct sl_loop *loop)
{
    struct sl_shard *shard = sl_shard_of(loop);
    struct sl_remote *remote = shard->remote;
    for (uint32_t i = 0; i < remote->peers_count; i++) {
        if (i == shard->index) continue;
        if (!sl_list_is_empty(&remote->peers[i].waiting)) return false;
        if (!sl_list_is_empty(&remote->peers[i].cancels)) return false;
        if (!sl_ring_consumer_announce(&remote->peers[i].in)) return false;
    }
    return true;
}

/* ---- life ------------------------------------------------------------------------------------ */

static int pair_init(struct sl_shard *from, struct sl_shard *to)
{
    struct remote_peer *out = &((struct sl_remote *)from->remote)->peers[to->index];
    struct remote_peer *in = &((struct sl_remote *)to->remote)->peers[from->index];
    out->block_size = sl_ring_block_size(SL_RING_SIZE, REMOTE_SLAB_SIZE);
    out->block = aligned_alloc(128, (out->block_size + 127) / 128 * 128);
    if (out->block == NULL) return -ENOMEM;
    sl_ring_format(out->block, SL_RING_SIZE, REMOTE_SLAB_SIZE);
    int r = sl_ring_producer_attach(&out->out, out->block, out->block_size, false);
    return r < 0 ? r : sl_ring_consumer_attach(&in->in, out->block, out->block_size, false);
}

void sl_remote_fini(struct sl_shard *const *shards, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct sl_remote *remote = shards[i]->remote;
        if (remote == NULL) continue;
        for (uint32_t p = 0; p < remote->peers_count; p++) free(remote->peers[p].block);
        free(remote);
        shards[i]->remote = NULL;
    }
}

int sl_remote_init(struct sl_shard *const *shards, uint32_t count)
{
    if (count < 2) return 0;
    for (uint32_t i = 0; i < count; i++) {
        size_t size = sizeof(struct sl_remote) + count * sizeof(struct remote_peer);
        struct sl_remote *remote = aligned_alloc(128, (size + 127) / 128 * 128);
        if (remote == NULL) {
            sl_remote_fini(shards, count);
            return -ENOMEM;
        }
        memset(remote, 0, size);
        remote->shard = shards[i];
        remote->peers_count = count;
        sl_list_init(&remote->jobs);
        for (uint32_t p = 0; p < count; p++) {
            sl_list_init(&remote->peers[p].waiting);
            sl_list_init(&remote->peers[p].cancels);
        }
        shards[i]->remote = remote;
    }
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t p = 0; p < count; p++) {
            if (i == p || pair_init(shards[i], shards[p]) == 0) continue;
            sl_remote_fini(shards, count);
            return -ENOMEM;
        }
    }
    return 0;
}

void sl_remote_attach(struct sl_shard *shard)
{
    if (shard->remote == NULL) return;
    shard->loop.inbound = remote_inbound;
    shard->loop.may_sleep = remote_may_sleep;
}

static void peer_stats(const struct remote_peer *peer, struct sl_remote_stats *stats)
{
    const struct sl_ring_producer *out = &peer->out;
    /* Relaxed: a figure, which may be old. */
    uint64_t head = atomic_load_explicit(&out->map.shared->head, memory_order_relaxed);
    uint64_t bytes = out->tail - head;
    stats->ring_bytes += bytes;
    if (bytes > stats->ring_bytes_max) stats->ring_bytes_max = bytes;
    stats->ring_size = out->map.data_mask + 1;
    stats->slab_bytes += out->units_used * out->map.slab_unit;
    for (const struct sl_list *at = peer->waiting.next; at != &peer->waiting; at = at->next) {
        stats->waiting++;
    }
}

void sl_remote_stats_get(const struct sl_shard *shard, struct sl_remote_stats *ret_stats)
{
    sl_assert(ret_stats != NULL);
    const struct sl_remote *remote = shard->remote;
    *ret_stats = remote != NULL ? remote->stats : (struct sl_remote_stats){0};
    for (uint32_t i = 0; remote != NULL && i < remote->peers_count; i++) {
        if (i != shard->index) peer_stats(&remote->peers[i], ret_stats);
    }
}
