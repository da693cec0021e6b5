/* SPDX-License-Identifier: MIT */
#include "core/graph/remote.h"

#include <errno.h>
#include <stdlib.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/graph/process.h"
#include "core/graph/program.h"
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

/* The other side: one process. */
struct remote_job {
    struct sl_reply reply; /* first */
    struct sl_list link;   /* of remote->jobs */
    struct sl_process *process;
    struct sl_value answer;
    uint64_t cookie;
    uint32_t caller; /* shard */
};

struct remote_peer {
    struct sl_ring_producer out;
    struct sl_ring_consumer in;
    void *block; /* of `out`; owned */
    size_t block_size;
    struct sl_list waiting; /* struct remote_job whose answer found no room */
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

static int message_send(struct sl_remote *remote, uint32_t target, enum message_kind kind,
                        const struct message *message, struct sl_value value)
{
    struct remote_peer *peer = &remote->peers[target];
    size_t sealed = 0;
    int r = sl_value_is_none(value) ? 0 : sl_flat_sealed_size(value, &sealed);
    if (r < 0) return r;
    size_t size = sizeof(*message) + sealed;
    if (size > SL_PACKET_SIZE_MAX) return -E2BIG;
    bool slab;
    uint8_t *at = message_reserve(peer, size, &slab);
    if (at == NULL) return -EAGAIN;
    memcpy(at, message, sizeof(*message));
    struct sl_flat_envelope envelope = {.process = message->cookie, .target = message->symbol};
    if (sealed > 0) {
        r = sl_flat_seal(value, &envelope, at + sizeof(*message), sealed, &sealed);
    }
    if (r < 0) {
        if (slab) {
            sl_ring_slab_cancel(&peer->out, at);
        } else {
            sl_ring_abort(&peer->out);
        }
        return r;
    }
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
    int r = message_send(remote, symbol->placement_core, MESSAGE_CALL, &message, value);
    if (r < 0) {
        remote->stats.refused++;
    } else {
        remote->stats.calls++;
    }
    return r;
}

void sl_remote_cancel(struct sl_frame *frame)
{
    struct message message = {.cookie = (uint64_t)(uintptr_t)frame};
    struct sl_remote *remote = frame->process->shard->remote;
    /* Without room the other side runs on until its deadline; the answer still comes. */
    (void)message_send(remote, frame->symbol->placement_core, MESSAGE_CANCEL, &message,
                       sl_value_none());
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
    sl_frame_resume(frame, value);
}

/* ---- the other side -------------------------------------------------------------------------- */

static bool job_send(struct sl_remote *remote, struct remote_job *job)
{
    struct message message = {.cookie = job->cookie, .is_none = sl_value_is_none(job->answer)};
    int r = message_send(remote, job->caller, MESSAGE_ANSWER, &message, job->answer);
    if (r == -E2BIG || r == -ENOMEM) {
        r = message_send(remote, job->caller, MESSAGE_ANSWER, &message, sl_error_no_memory());
    }
    if (r == -EAGAIN) return false;
    sl_assert(r == 0);
    remote->stats.answers++;
    sl_list_remove(&job->link);
    sl_value_unref(job->answer);
    sl_mem_give(remote->shard->loop.mem, job, sizeof(*job));
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

/* No memory here: an answer without a process. False: no room for it, so the call waits. */
static bool call_refuse(struct sl_remote *remote, uint32_t caller, const struct message *message)
{
    struct message answer = {.cookie = message->cookie};
    return message_send(remote, caller, MESSAGE_ANSWER, &answer, sl_error_no_memory()) == 0;
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
    struct remote_job *job = sl_mem_take(shard->loop.mem, sizeof(*job));
    if (job == NULL || sl_flat_open(data, size, shard->loop.mem, &envelope, &value) < 0) {
        sl_mem_give(shard->loop.mem, job, sizeof(*job));
        return call_refuse(remote, caller, message);
    }
    memset(job, 0, sizeof(*job));
    job->reply.fn = job_replied;
    job->cookie = message->cookie;
    job->caller = caller;
    job->process = sl_process_new(shard, instance, NULL, message->deadline_ns);
    if (job->process == NULL) {
        sl_value_unref(value);
        sl_mem_give(shard->loop.mem, job, sizeof(*job));
        return call_refuse(remote, caller, message);
    }
    job->process->ended = job_ended;
    job->process->ended_ctx = job;
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
        for (uint32_t p = 0; p < count; p++) sl_list_init(&remote->peers[p].waiting);
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

void sl_remote_stats_get(const struct sl_shard *shard, struct sl_remote_stats *ret_stats)
{
    const struct sl_remote *remote = shard->remote;
    *ret_stats = remote != NULL ? remote->stats : (struct sl_remote_stats){0};
}
