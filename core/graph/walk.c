/* SPDX-License-Identifier: MIT */
/*
 * The walk: one packet's way through the graph, as a loop over four states.
 *
 *      ┌──────────────── CALL ◄─────────────┐
 *      │ a node's step                      │ next edge
 *      ▼                                    │
 *   answer? ──► DELIVER ──► parent joins ───┤
 *      │            └─────► parent resumes ─┤
 *   parks?                                  │
 *      └──────► PICK: an edge not begun, a frame that is ready ──► or leave
 *
 * Between two nodes with one edge there is nothing but the loop: no frame, no queue. That is what
 * fusing a chain means here; the edge was resolved to a pointer when the program was linked.
 */
#include "core/graph/walk.h"

#include <errno.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/counter.h"
#include "core/base/limit.h"
#include "core/graph/program.h"
#include "core/graph/remote.h"
#include "core/graph/trace.h"
#include "core/mem/mem.h"
#include "core/shard/shard.h"

enum walk_state { WALK_CALL, WALK_DELIVER, WALK_PICK, WALK_LEAVE };

struct walk {
    struct sl_process *process;
    const struct sl_symbol *symbol; /* CALL: whom */
    uint32_t in;                    /* CALL: through which `in` port */
    struct sl_value value;          /* CALL: payload; DELIVER: answer; one count */
    struct sl_frame *parent;        /* who gets the answer */
    uint32_t slot;
    bool its_turn; /* CALL: it has waited in the node's queue */
    uint8_t hop;   /* of a traced process: the one that led here */
};

/* What stands behind the frame of a fan-out. */
struct join {
    const struct sl_edge *edges; /* array of edges_count */
    uint32_t edges_count;
    uint32_t begun;
    uint32_t pending; /* not answered */
    uint32_t pad;
    struct sl_value input;
    struct sl_value answers[]; /* array of edges_count */
};

static struct join *join_of(struct sl_frame *frame)
{
    return (struct join *)sl_frame_data(frame);
}

struct sl_frame *sl_frame_new(struct sl_process *process, enum sl_frame_type type, size_t data_size)
{
    sl_assert(process != NULL);
    sl_assert(data_size <= SL_PACKET_SIZE_MAX);
    if (process->frames_count >= SL_PROCESS_FRAMES_MAX) return NULL;
    size_t size = sizeof(struct sl_frame) + data_size;
    struct sl_frame *frame = sl_mem_take(process->shard->loop.mem, size);
    if (frame == NULL) return NULL;
    memset(frame, 0, size);
    frame->process = process;
    frame->type = (uint8_t)type;
    frame->size = (uint32_t)size;
    sl_list_init(&frame->ready);
    sl_list_insert(&process->frames, &frame->link);
    process->frames_count++;
    return frame;
}

void sl_frame_free(struct sl_frame *frame)
{
    struct sl_process *process = frame->process;
    sl_assert(frame->type != SL_FRAME_REPLY);
    sl_assert(process->frames_count > 0);
    sl_list_remove(&frame->link);
    sl_list_remove(&frame->ready);
    process->frames_count--;
    sl_mem_give(process->shard->loop.mem, frame, frame->size);
}

static inline struct sl_seat *seat_of(struct sl_process *process, const struct sl_symbol *symbol)
{
    return process->instance->seats[symbol->index];
}

static inline void in_flight_add(struct sl_seat *seat, int32_t count)
{
    sl_assert(count > 0 || seat->in_flight > 0);
    if (!SL_METRICS_ON) return;
    sl_level_set(&seat->in_flight, seat->in_flight + (uint32_t)count);
}

static __attribute__((noinline)) enum sl_step run_timed(sl_node_fn *fn, struct sl_call *call,
                                                        struct sl_seat *seat)
{
    struct sl_loop *loop = &call->shard->loop;
    loop->timed_left -= loop->timed_left > 0;
    uint64_t begin_ns = sl_loop_fast_ns(loop);
    enum sl_step step = fn(call);
    uint64_t end_ns = sl_loop_fast_ns(loop);
    sl_histogram_add(&seat->time, end_ns > begin_ns ? end_ns - begin_ns : 0);
    return step;
}

/*
 * Run a node. A few calls of each turn are timed, and beyond them one in SL_LOOP_TIMED_EVERY: where
 * a core is busy the clock costs little, where it is not every call is seen.
 */
static inline enum sl_step run(sl_node_fn *fn, struct sl_call *call, struct sl_seat *seat)
{
    bool is_timed = SL_METRICS_ON &&
                    (call->shard->loop.timed_left > 0 || seat->calls % SL_LOOP_TIMED_EVERY == 0);
    return __builtin_expect(is_timed, 0) ? run_timed(fn, call, seat) : fn(call);
}

/* ------------------------------------------------------------------------------------------ */
/* Steps                                                                                        */

static enum walk_state answer_error(struct walk *w, const char *code, int status, const char *text)
{
    sl_value_unref(w->value);
    w->value = sl_value_new_error(w->process->shard->loop.mem, code, status, "%s", text);
    if (sl_value_is_none(w->value)) w->value = sl_error_no_memory();
    return WALK_DELIVER;
}

static __attribute__((cold)) enum walk_state answer_frames_limit(struct walk *w)
{
    return answer_error(w, "frames_limit", 503, "too many frames in one process");
}

static __attribute__((cold)) enum walk_state answer_no_route(struct walk *w,
                                                             const struct sl_symbol *symbol)
{
    sl_value_unref(w->value);
    w->value =
        sl_value_new_error(w->process->shard->loop.mem, "no_route", 0,
                           "no route: node \"%s\" has no edge for this packet", symbol->node->path);
    if (sl_value_is_none(w->value)) w->value = sl_error_no_memory();
    return WALK_DELIVER;
}

/* Several edges: a join frame collects their answers; the first edge begins now. */
static enum walk_state fan_out(struct walk *w, const struct sl_port *port)
{
    sl_assert(port->edges_count > 1);
    size_t size = sizeof(struct join) + port->edges_count * sizeof(struct sl_value);
    struct sl_frame *frame = sl_frame_new(w->process, SL_FRAME_JOIN, size);
    if (frame == NULL) return answer_frames_limit(w);
    struct join *join = join_of(frame);
    join->edges = port->edges;
    join->edges_count = port->edges_count;
    join->pending = port->edges_count;
    join->input = w->value;
    frame->hop = w->hop;
    frame->parent = w->parent;
    frame->slot = w->slot;
    frame->status = SL_FRAME_WAITING;
    /* Newest first: the branch begun last ends first, and memory stays small. */
    sl_list_insert(w->process->joins.next, &frame->ready);
    return WALK_PICK;
}

/* Send w->value out of a port of `symbol`; the answer goes to w->parent. */
static inline enum walk_state emit(struct walk *w, const struct sl_symbol *symbol,
                                   const struct sl_port *port)
{
    if (__builtin_expect(port->next != NULL, 1)) {
        w->symbol = port->next;
        w->in = port->next_in;
        return WALK_CALL;
    }
    if (port->edges_count > 0) return fan_out(w, port);
    if (symbol->kind->flags & SL_KIND_ROUTES) return answer_no_route(w, symbol);
    return WALK_DELIVER;
}

static const struct sl_port no_port = {0};

static const struct sl_port *port_of(const struct sl_symbol *symbol, uint32_t port)
{
    if (port == SL_PORT_ERROR) return &symbol->error;
    return port < symbol->ports_count ? &symbol->ports[port] : &no_port;
}

static __attribute__((cold)) void count_error(struct sl_seat *seat, const struct sl_kind *kind,
                                              struct sl_value error)
{
    sl_counter_add(&seat->errors, 1);
    uint32_t index = SL_NODE_ERROR_CODES - 1;
    if (sl_value_is(error, SL_VALUE_ERROR) && kind->error_codes != NULL) {
        struct sl_slice code = sl_value_slice(sl_error_part(error, SL_ERROR_CODE));
        for (uint32_t i = 0; i < SL_NODE_ERROR_CODES - 1 && kind->error_codes[i] != NULL; i++) {
            if (sl_slice_eq_str(code, kind->error_codes[i])) index = i;
        }
    }
    sl_counter_add(&seat->errors_by_code[index], 1);
}

/* The node's own failure: out of `error` if that has an edge, else it is the answer. */
static __attribute__((cold)) enum walk_state fail(struct walk *w, const struct sl_symbol *symbol)
{
    if (sl_value_is_none(w->value)) w->value = sl_error_no_memory();
    count_error(seat_of(w->process, symbol), symbol->kind, w->value);
    w->process->error_symbol = symbol;
    if (symbol->error.edges_count == 0) return WALK_DELIVER;
    return emit(w, symbol, &symbol->error);
}

/* After a parked frame has gone on: the next packet of the same node may begin. */
static void reader_next(struct sl_process *process, const struct sl_symbol *symbol)
{
    for (struct sl_list *at = process->frames.next; at != &process->frames; at = at->next) {
        struct sl_frame *frame = sl_container_of(at, struct sl_frame, link);
        if (frame->status == SL_FRAME_QUEUED && frame->symbol == symbol) {
            frame->status = SL_FRAME_READY;
            sl_list_insert(&process->ready, &frame->ready);
            return;
        }
    }
}

/* Turn the step of a node into the walk's next state. `frame` is the node's, or NULL. */
static inline enum walk_state take_step(struct walk *w, enum sl_step step, struct sl_call *call)
{
    const struct sl_symbol *symbol = call->symbol;
    struct sl_frame *frame = call->frame;
    w->value = call->value;
    if (frame != NULL) {
        if (step == SL_STEP_PARK) {
            frame->status = SL_FRAME_PARKED;
            sl_process_timer_arm(w->process);
            return WALK_PICK;
        }
        if (step == SL_STEP_CALL) {
            frame->status = SL_FRAME_WAITING;
            w->parent = frame;
            w->slot = 0;
            return emit(w, symbol, port_of(symbol, call->port));
        }
        w->parent = frame->parent;
        w->slot = frame->slot;
        in_flight_add(seat_of(w->process, symbol), -1);
        sl_frame_free(frame);
        if (symbol->flags & SL_KIND_PARKS) reader_next(w->process, symbol);
    }
    switch (step) {
    case SL_STEP_ANSWER: return WALK_DELIVER;
    case SL_STEP_EMIT: return emit(w, symbol, port_of(symbol, call->port));
    case SL_STEP_FAIL: return fail(w, symbol);
    case SL_STEP_CALL:
    case SL_STEP_PARK: break; /* without a frame: a bug of the kind */
    }
    sl_unreachable();
}

/* ------------------------------------------------------------------------------------------ */
/* States                                                                                       */

/* True if an earlier packet of this process is with a node that parks, or waits for it. */
static bool reader_is_busy(struct sl_process *process, const struct sl_symbol *symbol)
{
    for (struct sl_list *at = process->frames.next; at != &process->frames; at = at->next) {
        struct sl_frame *frame = sl_container_of(at, struct sl_frame, link);
        if (frame->symbol != symbol || frame->type == SL_FRAME_REMOTE) continue;
        if (frame->status == SL_FRAME_PARKED || frame->status == SL_FRAME_QUEUED) return true;
        if (frame->status == SL_FRAME_READY) return true;
    }
    return false;
}

/* Put a call off: its frame keeps what the walk knows. */
static enum walk_state put_off(struct walk *w, enum sl_frame_status status)
{
    struct sl_frame *frame = sl_frame_new(w->process, SL_FRAME_START, 0);
    if (frame == NULL) return answer_frames_limit(w);
    frame->symbol = w->symbol;
    frame->port = w->in;
    frame->value = w->value;
    frame->parent = w->parent;
    frame->slot = w->slot;
    frame->status = (uint8_t)status;
    frame->hop = w->hop;
    frame->queued = w->its_turn || status == SL_FRAME_QUEUED;
    w->its_turn = false;
    if (status == SL_FRAME_READY) sl_list_insert(&w->process->ready, &frame->ready);
    sl_process_timer_arm(w->process);
    return WALK_PICK;
}

static __attribute__((cold)) enum walk_state answer_cancelled(struct walk *w)
{
    sl_value_unref(w->value);
    w->value = sl_value_ref(w->process->cancel_error);
    return WALK_DELIVER;
}

/* A frame for the node that is about to be called; NULL after an error became the answer. */
static struct sl_frame *call_frame(struct walk *w)
{
    struct sl_frame *frame = sl_frame_new(w->process, SL_FRAME_NODE, w->symbol->kind->frame_size);
    if (frame == NULL) return NULL;
    frame->symbol = w->symbol;
    frame->parent = w->parent;
    frame->slot = w->slot;
    frame->status = SL_FRAME_RUNNING;
    in_flight_add(seat_of(w->process, w->symbol), 1);
    return frame;
}

/* The node lives on another shard: its answer comes back to a parked frame. */
static enum walk_state call_remote(struct walk *w)
{
    struct sl_frame *frame = sl_frame_new(w->process, SL_FRAME_REMOTE, 0);
    if (frame == NULL) return answer_frames_limit(w);
    frame->symbol = w->symbol;
    frame->parent = w->parent;
    frame->slot = w->slot;
    frame->status = SL_FRAME_PARKED;
    struct sl_trace *trace = w->process->trace;
    if (trace != NULL) frame->hop = sl_trace_remote(trace, w->hop, w->symbol, w->in, w->value);
    int r = sl_remote_call(frame, w->symbol, w->in, w->value);
    if (r < 0) {
        if (trace != NULL) sl_trace_remote_end(trace, frame->hop, sl_value_none());
        sl_frame_free(frame);
        return answer_error(w, "overload", 503,
                            r == -EHOSTUNREACH ? "the shard of the node is not there"
                                               : "no room between the shards");
    }
    sl_value_unref(w->value);
    sl_process_timer_arm(w->process);
    return WALK_PICK;
}

/*
 * `traced` is a constant in both walks, so that the one which is not traced has nothing of it. Inline
 * for that reason.
 */
static inline __attribute__((always_inline)) enum walk_state state_call(struct walk *w, bool traced)
{
    struct sl_process *process = w->process;
    const struct sl_symbol *symbol = w->symbol;
    if (__builtin_expect(process->cancelled, 0)) return answer_cancelled(w);
    if (__builtin_expect(process->hops >= SL_PROCESS_HOPS_MAX, 0)) {
        return answer_error(w, "hops_limit", 508, "too many node calls in one process");
    }
    if (__builtin_expect(process->turn_hops == 0, 0)) return put_off(w, SL_FRAME_READY);
    process->hops++;
    process->turn_hops--;
    bool its_turn = w->its_turn;
    w->its_turn = false;

    struct sl_call call;
    call.frame = NULL;
    if (symbol->flags & (SL_KIND_PARKS | SL_KIND_FRAMES | SL_SYMBOL_PLACED)) {
        if ((symbol->flags & SL_SYMBOL_PLACED) && symbol->placement_core != process->shard->index) {
            return call_remote(w);
        }
        if ((symbol->flags & SL_KIND_PARKS) && !its_turn && reader_is_busy(process, symbol)) {
            return put_off(w, SL_FRAME_QUEUED);
        }
        if (symbol->flags & (SL_KIND_PARKS | SL_KIND_FRAMES)) {
            call.frame = call_frame(w);
            if (call.frame == NULL) return answer_frames_limit(w);
        }
    }
    struct sl_seat *seat = seat_of(process, symbol);
    sl_counter_add(&seat->calls, 1);
    call.value = w->value;
    call.port = w->in;
    call.symbol = symbol;
    call.config = symbol->config;
    call.state = process->instance->states[symbol->index];
    call.process = process;
    call.shard = process->shard;
    call.mem = process->shard->loop.mem;
    if (traced) w->hop = sl_trace_call(process->trace, w->hop, symbol, w->in, w->value);
    enum sl_step step = run(symbol->run, &call, seat);
    if (traced) sl_trace_step(process->trace, w->hop, step, &call);
    if (traced && call.frame != NULL) call.frame->hop = w->hop;
    return take_step(w, step, &call);
}

static enum walk_state deliver_join(struct walk *w, struct sl_frame *frame)
{
    struct join *join = join_of(frame);
    sl_assert(w->slot < join->edges_count);
    sl_assert(join->pending > 0);
    join->answers[w->slot] = w->value;
    if (--join->pending > 0) return WALK_PICK;
    w->value = sl_answers_join(w->process->shard->loop.mem, join->answers, join->edges_count);
    sl_value_unref(join->input);
    struct sl_trace *trace = w->process->trace;
    if (trace != NULL) w->hop = sl_trace_join(trace, frame->hop, w->value);
    w->parent = frame->parent;
    w->slot = frame->slot;
    sl_frame_free(frame);
    return WALK_DELIVER;
}

/* The frame's node cannot go on: its process was cancelled. The error goes up. */
static void frame_abandon(struct walk *w, struct sl_frame *frame)
{
    sl_assert(frame->symbol != NULL);
    sl_assert(w->process->cancelled);
    const struct sl_kind *kind = frame->symbol->kind;
    if (kind->cancel != NULL) kind->cancel(frame, w->process->shard);
    w->parent = frame->parent;
    w->slot = frame->slot;
    in_flight_add(seat_of(w->process, frame->symbol), -1);
    sl_frame_free(frame);
}

/* Let a waiting or resumed node go on with w->value. */
static enum walk_state node_resume(struct walk *w, struct sl_frame *frame)
{
    struct sl_process *process = w->process;
    const struct sl_symbol *symbol = frame->symbol;
    sl_assert(symbol->kind->resume != NULL);
    struct sl_call call = {
        .value = w->value,
        .symbol = symbol,
        .config = symbol->config,
        .state = process->instance->states[symbol->index],
        .frame = frame,
        .process = process,
        .shard = process->shard,
        .mem = process->shard->loop.mem,
    };
    frame->status = SL_FRAME_RUNNING;
    struct sl_trace *trace = process->trace;
    if (trace != NULL) w->hop = sl_trace_resume(trace, frame->hop, symbol, w->value);
    enum sl_step step = run(symbol->kind->resume, &call, seat_of(process, symbol));
    if (trace != NULL) {
        sl_trace_step(trace, w->hop, step, &call);
        frame->hop = w->hop;
    }
    return take_step(w, step, &call);
}

/* Inline, as state_deliver is: having two walks would cost each packet two calls more. */
static inline __attribute__((always_inline)) void deliver_reply(struct walk *w,
                                                                struct sl_frame *frame)
{
    struct sl_process *process = w->process;
    struct sl_reply *reply = (struct sl_reply *)frame;
    sl_assert(process->packets > 0);
    process->packets--;
    if (__builtin_expect(sl_value_is(w->value, SL_VALUE_ERROR), 0)) {
        sl_value_unref(process->error);
        process->error = sl_value_ref(w->value);
    }
    if (__builtin_expect(process->trace != NULL, 0)) {
        sl_trace_answer(process->trace, w->hop, w->value);
    }
    reply->fn(reply, w->value);
}

static inline __attribute__((always_inline)) enum walk_state state_deliver(struct walk *w)
{
    struct sl_frame *frame = w->parent;
    switch (frame->type) {
    case SL_FRAME_REPLY: deliver_reply(w, frame); return WALK_PICK;
    case SL_FRAME_JOIN: return deliver_join(w, frame);
    case SL_FRAME_NODE:
        if (__builtin_expect(w->process->cancelled, 0)) {
            frame_abandon(w, frame);
            return WALK_DELIVER;
        }
        return node_resume(w, frame);
    default: sl_unreachable();
    }
}

/* Begin the next edge of the newest fan-out. */
static enum walk_state pick_edge(struct walk *w)
{
    struct sl_frame *frame = sl_container_of(w->process->joins.next, struct sl_frame, ready);
    struct join *join = join_of(frame);
    uint32_t index = join->begun++;
    if (join->begun == join->edges_count) sl_list_remove(&frame->ready);
    w->symbol = join->edges[index].target;
    w->in = join->edges[index].in;
    w->value = sl_value_ref(join->input);
    w->parent = frame;
    w->slot = index;
    w->hop = frame->hop;
    return WALK_CALL;
}

static enum walk_state pick_frame(struct walk *w)
{
    struct sl_process *process = w->process;
    struct sl_frame *frame = sl_container_of(process->ready.next, struct sl_frame, ready);
    sl_list_remove(&frame->ready);
    w->value = frame->value;
    frame->value = sl_value_none();
    if (frame->type == SL_FRAME_START) {
        w->symbol = frame->symbol;
        w->in = frame->port;
        w->parent = frame->parent;
        w->slot = frame->slot;
        w->its_turn = frame->queued;
        w->hop = frame->hop;
        sl_frame_free(frame);
        return WALK_CALL;
    }
    if (frame->type == SL_FRAME_REMOTE) {
        if (process->trace != NULL) sl_trace_remote_end(process->trace, frame->hop, w->value);
        w->hop = frame->hop;
        w->parent = frame->parent;
        w->slot = frame->slot;
        sl_frame_free(frame);
        return process->cancelled ? answer_cancelled(w) : WALK_DELIVER;
    }
    if (process->cancelled) {
        sl_value_unref(w->value);
        w->value = sl_value_ref(process->cancel_error);
        w->parent = frame->parent;
        w->slot = frame->slot;
        w->hop = frame->hop;
        in_flight_add(seat_of(process, frame->symbol), -1);
        sl_frame_free(frame); /* the kind was told when the process was cancelled */
        return WALK_DELIVER;
    }
    return node_resume(w, frame);
}

static enum walk_state pick(struct walk *w)
{
    struct sl_process *process = w->process;
    if (!sl_list_is_empty(&process->joins)) return pick_edge(w);
    if (process->turn_hops == 0 && !process->cancelled) {
        sl_loop_task_add(&process->shard->loop, &process->task);
        return WALK_LEAVE;
    }
    return pick_frame(w);
}

/* Most packets leave nothing to go on with. */
static inline enum walk_state state_pick(struct walk *w)
{
    const struct sl_process *process = w->process;
    bool is_idle = sl_list_is_empty(&process->joins) && sl_list_is_empty(&process->ready);
    return is_idle ? WALK_LEAVE : pick(w);
}

static inline __attribute__((always_inline)) void walk_on(struct walk *w, enum walk_state state,
                                                          bool traced)
{
    struct sl_process *process = w->process;
    process->walking++;
    for (;;) {
        switch (state) {
        case WALK_CALL: state = state_call(w, traced); break;
        case WALK_DELIVER: state = state_deliver(w); break;
        case WALK_PICK: state = state_pick(w); break;
        case WALK_LEAVE:
            process->walking--;
            if (process->walking == 0) sl_process_settle(process);
            return;
        }
    }
}

static __attribute__((cold, noinline)) void walk_traced(struct walk *w, enum walk_state state)
{
    walk_on(w, state, true);
}

static void walk(struct walk *w, enum walk_state state)
{
    if (__builtin_expect(w->process->trace != NULL, 0)) {
        walk_traced(w, state);
        return;
    }
    walk_on(w, state, false);
}

void sl_walk_ready(struct sl_process *process)
{
    process->turn_hops = SL_PROCESS_TURN_HOPS_MAX;
    struct walk w = {.process = process, .hop = SL_TRACE_NONE};
    walk(&w, WALK_PICK);
}

static void reply_init(struct sl_process *process, struct sl_reply *reply)
{
    sl_assert(reply->fn != NULL);
    sl_assert(!process->finishing || process->packets > 0 || process->walking > 0);
    reply->frame.type = SL_FRAME_REPLY;
    reply->frame.process = process;
    process->packets++;
    process->turn_hops = SL_PROCESS_TURN_HOPS_MAX;
}

void sl_process_send(struct sl_process *process, const struct sl_symbol *symbol, uint32_t port,
                     struct sl_value value, struct sl_reply *reply)
{
    sl_assert(process != NULL);
    sl_assert(symbol != NULL);
    reply_init(process, reply);
    struct walk w = {
        .process = process, .value = value, .parent = &reply->frame, .hop = SL_TRACE_NONE};
    const struct sl_port *out = port_of(symbol, port);
    enum walk_state state;
    if (__builtin_expect(process->trace != NULL, 0)) {
        w.hop = sl_trace_send(process->trace, symbol, port, value);
    }
    if (out->edges_count == 0) {
        state = port == SL_PORT_ERROR ? WALK_DELIVER : answer_no_route(&w, symbol);
    } else {
        state = emit(&w, symbol, out);
    }
    walk(&w, state);
}

void sl_process_call(struct sl_process *process, const struct sl_symbol *symbol, uint32_t in,
                     struct sl_value value, struct sl_reply *reply)
{
    sl_assert(process != NULL);
    sl_assert(symbol != NULL);
    reply_init(process, reply);
    struct walk w = {.process = process,
                     .symbol = symbol,
                     .in = in,
                     .value = value,
                     .parent = &reply->frame,
                     .hop = SL_TRACE_NONE};
    walk(&w, WALK_CALL);
}
