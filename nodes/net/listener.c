/* SPDX-License-Identifier: MIT */
/*
 * listener: serves HTTP/1.1 and makes a process of each request.
 *
 *     - kind: listener
 *       protocol: http
 *       host: 127.0.0.1
 *       port: 8000
 *       ports: {out: [{name: router, port: in}], error: [{name: catch, port: in}]}
 *
 * The source is kept by its address over all swaps: a connection belongs to the address, a request
 * to the program that was current when it began. An answer that is an error goes out of `error`
 * once; what comes back is the reply.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/counter.h"
#include "core/base/limit.h"
#include "core/graph/process.h"
#include "core/graph/program.h"
#include "core/graph/report.h"
#include "core/graph/span.h"
#include "core/graph/trace.h"
#include "core/mem/mem_fast.h"
#include "core/shard/shard.h"
#include "io/http/http.h"
#include "io/sock/sock.h"
#include "nodes/net/access.h"
#include "nodes/net/net.h"

enum {
    LISTENER_PROXIES_MAX = 32,
    FAULT_NAME_SIZE = 64, /* of a header, in a message */
};

struct listener {
    int64_t protocol;
    struct sl_slice host;
    int64_t port;
    struct sl_value proxies_value;
    uint64_t body_max;
    uint64_t header_max;
    uint64_t idle_ns;
    uint64_t header_ns;
    uint64_t body_ns;
    uint64_t deadline_ns;
    int64_t connections_max;
    struct sl_http_network proxies[LISTENER_PROXIES_MAX];
    uint32_t proxies_count;
};

static const char *const protocols[] = {"http", NULL};

#define MS(n) ((int64_t)(n) * (int64_t)SL_NS_PER_MS)

static const struct sl_field listener_fields[] = {
    {"protocol", SL_FIELD_ENUM, offsetof(struct listener, protocol), SL_FIELD_REQUIRED, 0, 0,
     protocols, "what it speaks", NULL},
    {"host", SL_FIELD_STRING, offsetof(struct listener, host), 0, 0, 0, NULL,
     "address to listen on; 0.0.0.0 opens it to the network", "127.0.0.1"},
    {"port", SL_FIELD_INT, offsetof(struct listener, port), SL_FIELD_REQUIRED, 1, 65535, NULL,
     "TCP port, 1 to 65535", NULL},
    {"body_max", SL_FIELD_SIZE, offsetof(struct listener, body_max), 0, 0,
     INT64_C(256) * 1024 * 1024, NULL, "largest request body", "1MiB"},
    {"header_max", SL_FIELD_SIZE, offsetof(struct listener, header_max), 0, 1024,
     INT64_C(1024) * 1024, NULL, "largest request head", "16KiB"},
    {"idle_timeout", SL_FIELD_DURATION, offsetof(struct listener, idle_ns), 0, MS(1), MS(86400000),
     NULL, "a connection between requests", "60s"},
    {"header_timeout", SL_FIELD_DURATION, offsetof(struct listener, header_ns), 0, MS(1),
     MS(86400000), NULL, "from the first byte of a request head to its last", "10s"},
    {"body_timeout", SL_FIELD_DURATION, offsetof(struct listener, body_ns), 0, MS(1), MS(86400000),
     NULL, "without a byte of a request body", "30s"},
    {"timeout", SL_FIELD_DURATION, offsetof(struct listener, deadline_ns), 0, MS(1), MS(86400000),
     NULL, "deadline of the process of a request", "30s"},
    {"connections_max", SL_FIELD_INT, offsetof(struct listener, connections_max), 0, 1,
     SL_HTTP_CONNECTIONS_MAX, NULL, "connections of one shard", "65536"},
    {"trusted_proxies", SL_FIELD_VALUE, offsetof(struct listener, proxies_value), 0, 0, 0, NULL,
     "networks whose X-Forwarded-For is believed", "none"},
    {0},
};

static int proxies_compile(struct sl_compile *c, struct listener *listener)
{
    struct sl_value list = listener->proxies_value;
    if (sl_value_is_none(list) || sl_value_is(list, SL_VALUE_NULL)) return 0;
    if (!sl_value_is(list, SL_VALUE_LIST) || sl_value_count(list) > LISTENER_PROXIES_MAX) {
        return sl_compile_error(c, "wrong_type", list,
                                "\"trusted_proxies\" must be a list of at most %d networks",
                                LISTENER_PROXIES_MAX);
    }
    int result = 0;
    for (uint32_t i = 0; i < sl_value_count(list); i++) {
        struct sl_value text = sl_value_list_at(list, i);
        if (sl_value_is(text, SL_VALUE_STRING) &&
            sl_http_network_parse(sl_value_slice(text),
                                  &listener->proxies[listener->proxies_count]) == 0) {
            listener->proxies_count++;
            continue;
        }
        result = sl_compile_error(c, "bad_network", text,
                                  "expected a network such as 10.0.0.0/8 or ::1");
    }
    return result;
}

static int listener_key(const void *config, char *ret_key, size_t key_size)
{
    const struct listener *listener = config;
    struct sl_slice host = listener->host.size > 0 ? listener->host : SL_SLICE("127.0.0.1");
    bool is_v6 = memchr(host.data, ':', host.size) != NULL;
    int size = snprintf(ret_key, key_size, "http://%s%.*s%s:%d", is_v6 ? "[" : "",
                        SL_SLICE_FMT(host), is_v6 ? "]" : "", (int)listener->port);
    return size > 0 && (size_t)size < key_size ? 0 : -EINVAL;
}

static int listener_addr(const struct listener *listener, struct sl_addr *ret_addr)
{
    return sl_addr_make(listener->host, (uint16_t)listener->port, ret_addr, NULL);
}

static int listener_compile(struct sl_compile *c)
{
    struct listener *listener = c->config;
    struct sl_addr addr;
    int result = proxies_compile(c, listener);
    if (listener_addr(listener, &addr) < 0) {
        result = sl_compile_error(c, "bad_address", sl_value_get_str(c->spec, "host"),
                                  "\"%.*s\" is not an IP address", SL_SLICE_FMT(listener->host));
    }
    return result;
}

/* ---- a listener on a shard ----------------------------------------------------------------- */

struct listener_source {
    struct sl_http_network proxies[LISTENER_PROXIES_MAX]; /* outlives the node it came from */
    struct sl_source *source;
    struct sl_http_server *server;
    struct sl_histogram latency;
    struct sl_task answered; /* late: at the end of the turn the answers go out */
    uint64_t begin_ns;       /* of the requests that were answered in this turn */
    uint64_t answered_count; /* of them; not yet in `latency` */
};

/* One request: lives as long as its process has a packet of it. */
struct listener_call {
    struct sl_reply reply; /* first */
    struct sl_http_request *request;
    struct sl_process *process;
    const struct sl_symbol *symbol;
    bool catching;         /* the answer of `out` was an error: this is the one of `error` */
    struct sl_value error; /* that error, counted; cell == NULL: none, or nobody waits */
    const struct sl_symbol *error_symbol;
};

/* Why it was a 500, or a 400, for the log. Cold. */
static __attribute__((cold)) void report(struct listener_call *call, int status)
{
    char origin[256];
    enum sl_log_level level = status >= 500 ? SL_LOG_ERROR : SL_LOG_INFO;
    (void)snprintf(origin, sizeof(origin), "%.*s %.*s: %d",
                   SL_SLICE_FMT(sl_http_request_method(call->request)),
                   SL_SLICE_FMT(sl_http_request_path(call->request)), status);
    sl_report_error(call->process, level, call->error_symbol, call->error, origin);
    sl_value_unref(call->error);
    call->error = sl_value_none();
}

static void call_span(const struct sl_process *process, struct sl_span *ret_span,
                      struct sl_tracestate *ret_state)
{
    sl_http_request_span(process->request, ret_span, ret_state);
}

/* A span whose request is over, for children that go on. */
struct kept_span {
    struct sl_span span;
    struct sl_tracestate state;
};

static const char kept_key;

static void kept_free(void *value, struct sl_process *process)
{
    sl_mem_give(process->shard->loop.mem, value, sizeof(struct kept_span));
}

static void kept_span(const struct sl_process *process, struct sl_span *ret_span,
                      struct sl_tracestate *ret_state)
{
    const struct kept_span *kept = sl_process_local_get((struct sl_process *)process, &kept_key);
    *ret_span = kept->span;
    if (ret_state != NULL) *ret_state = kept->state;
}

/* Without memory they get one that is made: what they do is more than how it is called. */
static __attribute__((cold)) void span_keep(struct sl_process *process)
{
    struct sl_mem *mem = process->shard->loop.mem;
    struct kept_span *kept = sl_mem_take(mem, sizeof(*kept));
    if (kept == NULL) return;
    process->span(process, &kept->span, &kept->state);
    if (sl_process_local_set(process, &kept_key, kept, kept_free) < 0) {
        sl_mem_give(mem, kept, sizeof(*kept));
        return;
    }
    process->span = kept_span;
}

/* Codes of its own failures: of answers that HTTP has no way to say. */
static const char *const listener_errors[] = {"bad_header", "bad_reply_body", NULL};

/* The error of such an answer. Cold. */
static __attribute__((cold)) struct sl_value fault_error(struct sl_mem *mem,
                                                         const struct sl_http_fault *fault)
{
    char name[FAULT_NAME_SIZE];
    size_t size = fault->field.size < sizeof(name) - 1 ? fault->field.size : sizeof(name) - 1;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = fault->field.data[i];
        name[i] = byte > ' ' && byte < 0x7f ? (char)byte : '?'; /* it goes into the log */
    }
    name[size] = '\0';
    if (fault->field.data == NULL) {
        return sl_value_new_error(mem, fault->code, 500,
                                  "the body of the reply cannot be written as its Content-Type");
    }
    return sl_value_new_error(
        mem, fault->code, 500,
        "the header \"%s\" of the reply has a name or value that HTTP does not "
        "allow (a line break, a map)",
        name);
}

static void call_answered(struct sl_reply *reply, struct sl_value answer);

/*
 * Nothing was sent: the answer fails like one that is an error. Behind the `error` port there is
 * nobody left to ask. Cold.
 */
static __attribute__((cold)) void
call_refused(struct listener_call *call, const struct sl_http_fault *fault, struct sl_value answer)
{
    struct sl_value error = fault_error(call->process->shard->loop.mem, fault);
    sl_value_unref(answer);
    if (sl_value_is_none(error)) error = sl_error_no_memory();
    struct sl_seat *seat = call->process->instance->seats[call->symbol->index];
    bool is_header = strcmp(fault->code, listener_errors[0]) == 0;
    sl_counter_add(&seat->errors_by_code[is_header ? 0 : 1], 1);
    call->process->error_symbol = call->symbol;
    if (call->catching) {
        sl_counter_add(&seat->errors, 1);
        call->error = sl_value_ref(error);
        call->error_symbol = call->symbol;
    }
    call_answered(&call->reply, error);
}

static void call_end(struct listener_call *call, struct sl_value answer)
{
    struct sl_process *process = call->process;
    struct sl_mem *mem = process->shard->loop.mem;
    struct sl_http_fault fault;
    if (__builtin_expect(call->error.cell != NULL, 0)) report(call, sl_http_answer_status(answer));
    if (__builtin_expect(process->children_count > 0, 0)) span_keep(process);
    sl_process_span_fn *span = process->span;
    if (span == call_span) process->span = NULL; /* the request goes now */
    call->request->user = NULL;
    if (__builtin_expect(sl_http_try_respond(call->request, answer, &fault) < 0, 0)) {
        call->request->user = call;
        process->span = span;
        call_refused(call, &fault, answer);
        return;
    }
    sl_value_unref(answer);
    sl_mem_give_fast(mem, call, sizeof(*call));
    sl_process_finish(process);
}

static void call_answered(struct sl_reply *reply, struct sl_value answer)
{
    struct listener_call *call = (struct listener_call *)reply;
    if (__builtin_expect(sl_value_is(answer, SL_VALUE_ERROR), 0) && !call->catching) {
        struct sl_seat *seat = call->process->instance->seats[call->symbol->index];
        sl_counter_add(&seat->errors, 1);
        if (!call->request->cancelled) {
            call->error = sl_value_ref(answer);
            call->error_symbol = call->process->error_symbol;
        }
        if (call->symbol->error.edges_count > 0 && !call->process->cancelled) {
            call->catching = true;
            sl_process_send(call->process, call->symbol, SL_PORT_ERROR, answer, &call->reply);
            return;
        }
    }
    call_end(call, answer);
}

static void respond_unavailable(struct sl_http_request *request, const char *text)
{
    sl_http_respond_bytes(request, 503, NULL, 0, SL_SLICE("text/plain; charset=utf-8"),
                          sl_slice_from_str(text));
}

static void on_request(void *ctx, struct sl_http_request *request)
{
    struct listener_source *own = ctx;
    struct sl_shard *shard = own->source->shard;
    struct sl_instance *instance;
    const struct sl_symbol *symbol = sl_source_symbol(own->source, &instance);
    if (symbol == NULL || instance == NULL) {
        respond_unavailable(request, "Service Unavailable: the listener is inactive\n");
        return;
    }
    const struct listener *listener = symbol->config;
    uint64_t deadline_ns =
        listener->deadline_ns > 0 ? shard->loop.now_ns + listener->deadline_ns : 0;
    struct listener_call *call = sl_mem_take_fast(shard->loop.mem, sizeof(*call));
    struct sl_process *process =
        call != NULL ? sl_process_new(shard, instance, NULL, deadline_ns) : NULL;
    if (process == NULL) {
        sl_mem_give(shard->loop.mem, call, sizeof(*call));
        respond_unavailable(request, "Service Unavailable\n");
        return;
    }
    memset(call, 0, sizeof(*call));
    call->reply.fn = call_answered;
    call->request = request;
    call->process = process;
    call->symbol = symbol;
    request->user = call;
    process->request = request;
    process->span = call_span;
    sl_counter_add(&instance->seats[symbol->index]->calls, 1);
    sl_trace_begin(process, symbol, request->payload);
    sl_process_send(process, symbol, 0, sl_value_ref(request->payload), &call->reply);
}

static void on_cancel(void *ctx, struct sl_http_request *request)
{
    struct listener_source *own = ctx;
    struct listener_call *call = request->user;
    if (call == NULL) return;
    struct sl_mem *mem = own->source->shard->loop.mem;
    sl_process_cancel(call->process,
                      sl_value_new_error(mem, "cancelled", 499, "the client went away"));
}

static uint64_t duration_since(struct sl_loop *loop, uint64_t begin_ns)
{
    uint64_t now_ns = sl_loop_fast_ns(loop);
    return now_ns > begin_ns ? now_ns - begin_ns : 0;
}

/* Requests that came together and were answered together took the same time. */
static void latency_add(struct listener_source *own)
{
    if (own->answered_count == 0) return;
    sl_histogram_add_many(&own->latency, duration_since(&own->source->shard->loop, own->begin_ns),
                          own->answered_count);
    own->answered_count = 0;
}

static void on_answered(struct sl_task *task)
{
    latency_add(sl_container_of(task, struct listener_source, answered));
}

static __attribute__((noinline)) void
done_log(struct sl_shard *shard, struct sl_http_request *request, int status, uint64_t bytes)
{
    sl_access_push(shard, request, status, bytes, duration_since(&shard->loop, request->begin_ns));
}

/* The first of its turn, or one that came at another time than those before. */
static __attribute__((noinline)) void
done_first(struct listener_source *own, struct sl_http_request *request, int status, uint64_t bytes)
{
    struct sl_shard *shard = own->source->shard;
    latency_add(own);
    own->begin_ns = request->begin_ns;
    own->answered_count = 1;
    sl_loop_task_add_late(&shard->loop, &own->answered);
    if (shard->access != NULL) done_log(shard, request, status, bytes);
}

/* One look at the clock for all answers of a turn: that is when they go out. */
static void on_done(void *ctx, struct sl_http_request *request, int status, uint64_t bytes)
{
    struct listener_source *own = ctx;
    struct sl_shard *shard = own->source->shard;
    bool is_first = own->answered_count == 0 || own->begin_ns != request->begin_ns;
    if (__builtin_expect(SL_METRICS_ON && is_first, 0)) {
        done_first(own, request, status, bytes);
        return;
    }
    own->answered_count++;
    if (__builtin_expect(shard->access != NULL, 0)) done_log(shard, request, status, bytes);
}

static void on_refused(void *ctx, const struct sl_http_refusal *refusal)
{
    struct listener_source *own = ctx;
    if (own->source->shard->access != NULL) sl_access_push_refused(own->source->shard, refusal);
}

static void on_drained(void *ctx, struct sl_http_server *server)
{
    struct listener_source *own = ctx;
    (void)sl_http_server_free(server);
    struct sl_source *source = own->source;
    sl_task_cancel(&own->answered);
    free(own);
    sl_source_closed(source);
}

static const struct sl_http_handler listener_handler = {
    .request = on_request,
    .cancel = on_cancel,
    .done = on_done,
    .refused = on_refused,
    .drained = on_drained,
};

static uint32_t to_ms(uint64_t ns)
{
    return (uint32_t)((ns + SL_NS_PER_MS - 1) / SL_NS_PER_MS);
}

static int listener_open(struct sl_source *source, const struct sl_node *node,
                         struct sl_diag *reterr)
{
    const struct listener *listener = node->config;
    struct sl_addr addr;
    int r = listener_addr(listener, &addr);
    if (r < 0) return r;
    struct listener_source *own = calloc(1, sizeof(*own));
    if (own == NULL) return -ENOMEM;
    struct sl_http_server_config cfg = {
        .head_size_max = (uint32_t)listener->header_max,
        .body_size_max = listener->body_max,
        .connections_max = (uint32_t)listener->connections_max,
        .timeout_idle_ms = to_ms(listener->idle_ns),
        .timeout_header_ms = to_ms(listener->header_ns),
        .timeout_body_ms = to_ms(listener->body_ns),
        .proxies_count = listener->proxies_count,
    };
    memcpy(own->proxies, listener->proxies, sizeof(own->proxies));
    cfg.proxies = own->proxies;
    own->source = source;
    sl_task_init(&own->answered, on_answered);
    own->server = sl_http_server_new(&source->shard->loop, &cfg, &listener_handler, own);
    r = own->server == NULL ? -ENOMEM : sl_http_server_bind(own->server, &addr, true);
    if (r < 0) {
        (void)sl_http_server_free(own->server);
        free(own);
        (void)sl_diag_set(reterr, r == -EADDRINUSE ? "address_in_use" : "cannot_listen", node->pos,
                          "cannot listen on %s: %s", source->key, strerror(-r));
        sl_diag_file(reterr, node->file);
        return r;
    }
    source->impl = own;
    return 0;
}

static void listener_begin(struct sl_source *source)
{
    struct listener_source *own = source->impl;
    sl_http_server_accept(own->server);
}

static void listener_close(struct sl_source *source)
{
    struct listener_source *own = source->impl;
    sl_http_server_drain(own->server);
}

static void listener_abort(struct sl_source *source)
{
    struct listener_source *own = source->impl;
    sl_http_server_abort(own->server);
}

static uint32_t listener_active(const struct sl_source *source)
{
    const struct listener_source *own = source->impl;
    return sl_http_server_stats(own->server)->connections;
}

static_assert((int)SL_SOURCE_REFUSALS == (int)SL_HTTP_REFUSALS_COUNT, "one table");

static void listener_stats(const struct sl_source *source, struct sl_source_stats *ret_stats)
{
    struct listener_source *own = source->impl;
    const struct sl_http_server_stats *stats = sl_http_server_stats(own->server);
    latency_add(own);
    ret_stats->accepted = stats->accepted;
    ret_stats->refused = stats->refused;
    ret_stats->requests = stats->requests;
    memcpy(ret_stats->responses, stats->responses, sizeof(ret_stats->responses));
    ret_stats->bad_requests = stats->bad_requests;
    memcpy(ret_stats->refusals, stats->refusals, sizeof(ret_stats->refusals));
    ret_stats->refusal_statuses = sl_http_refusal_statuses;
    ret_stats->timeouts = stats->timeouts;
    ret_stats->cancelled = stats->cancelled;
    ret_stats->bytes_in = stats->bytes_in;
    ret_stats->bytes_out = stats->bytes_out;
    ret_stats->connections = stats->connections;
    ret_stats->idle = stats->idle;
    ret_stats->in_flight = stats->in_flight;
    sl_histogram_read(&own->latency, &ret_stats->latency);
}

static const struct sl_source_ops listener_source_ops = {
    .key = listener_key,
    .open = listener_open,
    .begin = listener_begin,
    .close = listener_close,
    .abort = listener_abort,
    .active = listener_active,
    .stats = listener_stats,
};

/* Nothing leads into a listener. */
static enum sl_step listener_run(struct sl_call *call)
{
    return sl_call_fail(call, "unsupported_value", 500, "a listener takes no packets");
}

const struct sl_kind sl_kind_listener = {
    .name = "listener",
    .summary = "serves HTTP and makes a process of each request",
    .fields = listener_fields,
    .config_size = sizeof(struct listener),
    .flags = SL_KIND_ROUTES,
    .outs_max = 1,
    .ins_max = 0,
    .error_codes = listener_errors,
    .compile = listener_compile,
    .run = listener_run,
    .source = &listener_source_ops,
};
