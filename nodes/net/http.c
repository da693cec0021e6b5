/* SPDX-License-Identifier: MIT */
/*
 * http: asks another server, and goes on with its answer.
 *
 *     - kind: http
 *       name: users
 *       url: http://127.0.0.1:9000/v1
 *       timeout: 2s
 *       ports: {out: [{name: next, port: in}], error: [{name: catch, port: in}]}
 *
 * The payload says what is asked (sl_http_request_write), the answer is a Map {status, protocol,
 * header, body}. Any status is an answer, unless `fail_status` is set; what is no answer is an
 * error. Each shard has connections of its own to the server; they are kept over swaps as long as
 * the node's configuration stays the same. A process that is cancelled gives its request up.
 */
#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/http1/http1.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/limit.h"
#include "core/graph/process.h"
#include "core/graph/program.h"
#include "core/graph/span.h"
#include "core/mem/mem.h"
#include "core/shard/shard.h"
#include "io/http/client.h"
#include "io/sock/name.h"
#include "io/sock/sock.h"
#include "nodes/net/net.h"
#include "nodes/net/url.h"

enum {
    HTTP_LABEL_SIZE = 320,
    HTTP_NAME_POLL_MS = 1, /* while a name is looked up; doubled each time up to … */
    HTTP_NAME_POLL_MAX_MS = 64,
    HTTP_FAIL_STATUS = 400,
    HTTP_CLOSE_TURNS_MAX = 1000, /* of 10 ms, at the end of a shard */
};

struct http {
    struct sl_slice url;
    struct sl_slice method;
    struct sl_value header; /* Map, or none */
    uint64_t timeout_ns;
    uint64_t connect_ns;
    uint64_t idle_ns;
    uint64_t body_max;
    uint64_t header_max;
    int64_t connections_max;
    int64_t keep_alive;
    int64_t queue_max;
    int64_t retries;
    bool fail_status;
    struct sl_net_url parts;
    struct sl_slice host; /* value of Host */
    struct sl_name *name; /* NULL: `addr` is known */
    struct sl_addr addr;
    char label[HTTP_LABEL_SIZE]; /* for messages */
};

#define MS(n)  ((int64_t)(n) * (int64_t)SL_NS_PER_MS)
#define MIB(n) (INT64_C(1024) * 1024 * (n))

static const struct sl_field http_fields[] = {
    {"url", SL_FIELD_STRING, offsetof(struct http, url), SL_FIELD_REQUIRED, 0, 0, NULL,
     "http://HOST:PORT/PATH, or http+unix://%2Fpath%2Fof.sock/PATH; the payload's path follows it",
     NULL},
    {"method", SL_FIELD_STRING, offsetof(struct http, method), 0, 0, 0, NULL,
     "method of every request", "the payload's"},
    {"header", SL_FIELD_VALUE, offsetof(struct http, header), 0, 0, 0, NULL,
     "fields of every request: name → text or list; they win over the payload's", "none"},
    {"timeout", SL_FIELD_DURATION, offsetof(struct http, timeout_ns), 0, MS(1), MS(86400000), NULL,
     "from the packet to the whole answer", "30s"},
    {"connect_timeout", SL_FIELD_DURATION, offsetof(struct http, connect_ns), 0, MS(1),
     MS(86400000), NULL, "until connected to one address", "5s"},
    {"idle_timeout", SL_FIELD_DURATION, offsetof(struct http, idle_ns), 0, MS(1), MS(86400000),
     NULL, "a kept connection without work", "60s"},
    {"body_max", SL_FIELD_SIZE, offsetof(struct http, body_max), 0, 0, MIB(256), NULL,
     "largest body of an answer", "16MiB"},
    {"header_max", SL_FIELD_SIZE, offsetof(struct http, header_max), 0, 1024, MIB(1), NULL,
     "largest head of an answer", "16KiB"},
    {"connections_max", SL_FIELD_INT, offsetof(struct http, connections_max), 0, 1,
     SL_HTTP_CONNECTIONS_MAX, NULL, "connections of one core; more requests wait", "1024"},
    {"keep_alive", SL_FIELD_INT, offsetof(struct http, keep_alive), 0, 0, SL_HTTP_CONNECTIONS_MAX,
     NULL, "connections of one core that are kept without work", "64"},
    {"queue_max", SL_FIELD_INT, offsetof(struct http, queue_max), 0, 0, SL_HTTP_CONNECTIONS_MAX,
     NULL, "requests of one core that wait for a connection; beyond: overload", "4096"},
    {"retries", SL_FIELD_INT, offsetof(struct http, retries), 0, 0, SL_HTTP_CLIENT_RETRIES_MAX,
     NULL, "of an idempotent request whose connection was closed without a byte of an answer", "1"},
    {"fail_status", SL_FIELD_BOOL, offsetof(struct http, fail_status), 0, 0, 0, NULL,
     "a status of 400 and above is the error http_status", "false"},
    {0},
};

/* ---- compiling ----------------------------------------------------------------------------- */

/* Fields that frame a message are not the author's. */
static bool is_framing(struct sl_slice name)
{
    static const char *const names[] = {"connection",        "content-length",   "expect",
                                        "keep-alive",        "proxy-connection", "te",
                                        "transfer-encoding", "trailer",          "upgrade"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (sl_slice_eq_nocase(name, sl_slice_from_str(names[i]))) return true;
    }
    return false;
}

static int header_value_check(struct sl_compile *c, struct sl_slice name, struct sl_value value)
{
    enum sl_value_kind kind = sl_value_kind(value);
    if (kind == SL_VALUE_BOOL || kind == SL_VALUE_INT || kind == SL_VALUE_UINT) return 0;
    if (kind != SL_VALUE_STRING) {
        return sl_compile_error(c, "wrong_type", value, "a field of \"header\" must be a text");
    }
    if (sl_http1_header_is_valid(name, sl_value_slice(value))) return 0;
    return sl_compile_error(c, "bad_header", value, "\"%.*s\" may not stand in a header",
                            SL_SLICE_FMT(name));
}

static int header_check(struct sl_compile *c, struct http *http)
{
    struct sl_value map = http->header;
    if (sl_value_is_none(map) || sl_value_is(map, SL_VALUE_NULL)) return 0;
    if (!sl_value_is(map, SL_VALUE_MAP)) {
        return sl_compile_error(c, "wrong_type", map, "\"header\" must be a map name → text");
    }
    int result = 0;
    for (uint32_t i = 0; i < sl_value_count(map); i++) {
        struct sl_slice name = sl_value_key_at(map, i);
        struct sl_value value = sl_value_map_at(map, i);
        bool is_list = sl_value_is(value, SL_VALUE_LIST);
        if (is_framing(name)) {
            result = sl_compile_error(c, "bad_header", value, "\"%.*s\" is set by the engine",
                                      SL_SLICE_FMT(name));
            continue;
        }
        uint32_t count = is_list ? sl_value_count(value) : 1;
        for (uint32_t j = 0; j < count; j++) {
            struct sl_value item = is_list ? sl_value_list_at(value, j) : value;
            if (header_value_check(c, name, item) < 0) result = -EINVAL;
        }
        bool is_host = sl_slice_eq_nocase(name, SL_SLICE("host"));
        if (is_host && sl_value_is(value, SL_VALUE_STRING)) http->host = sl_value_slice(value);
    }
    return result;
}

static bool has_field(const struct sl_compile *c, const char *name)
{
    return !sl_value_is_none(sl_value_get_str(c->spec, name));
}

static void set_defaults(const struct sl_compile *c, struct http *http)
{
    if (!has_field(c, "timeout")) http->timeout_ns = SL_PROCESS_DEADLINE_MS * SL_NS_PER_MS;
    if (!has_field(c, "connect_timeout")) {
        http->connect_ns = SL_HTTP_TIMEOUT_CONNECT_MS * SL_NS_PER_MS;
    }
    if (!has_field(c, "idle_timeout")) http->idle_ns = SL_HTTP_TIMEOUT_IDLE_MS * SL_NS_PER_MS;
    if (!has_field(c, "body_max")) http->body_max = SL_HTTP_CLIENT_BODY_SIZE_MAX;
    if (!has_field(c, "header_max")) http->header_max = SL_HTTP_HEAD_SIZE_MAX;
    if (!has_field(c, "connections_max")) http->connections_max = SL_HTTP_CLIENT_CONNECTIONS_MAX;
    if (!has_field(c, "keep_alive")) http->keep_alive = SL_HTTP_CLIENT_KEPT_MAX;
    if (!has_field(c, "queue_max")) http->queue_max = SL_HTTP_CLIENT_WAITING_MAX;
    if (!has_field(c, "retries")) http->retries = SL_HTTP_CLIENT_RETRIES;
}

/* The address, where it can be known without asking anybody; else a name. */
static int addr_make(struct http *http)
{
    const struct sl_net_url *parts = &http->parts;
    if (parts->unix_path[0] != '\0') {
        char text[sizeof(parts->unix_path) + 5];
        int size = snprintf(text, sizeof(text), "unix:%s", parts->unix_path);
        (void)snprintf(http->label, sizeof(http->label), "%s", text);
        return sl_addr_parse(sl_slice_make(text, (size_t)size), &http->addr, NULL);
    }
    (void)snprintf(http->label, sizeof(http->label), "http://%.*s", SL_SLICE_FMT(parts->authority));
    if (sl_addr_make(parts->host, parts->port, &http->addr, NULL) == 0) return 0;
    http->name = sl_name_new(parts->host, parts->port);
    return http->name != NULL ? 0 : -ENOMEM;
}

static int http_compile(struct sl_compile *c)
{
    struct http *http = c->config;
    struct sl_diag diag = {0};
    int result = header_check(c, http);
    if (http->method.size > 0 && (!sl_http1_header_is_valid(http->method, SL_SLICE("x")) ||
                                  sl_slice_eq_str(http->method, "CONNECT"))) {
        result =
            sl_compile_error(c, "bad_method", sl_value_get_str(c->spec, "method"),
                             "\"%.*s\" is no method for a request", SL_SLICE_FMT(http->method));
    }
    set_defaults(c, http);
    if (sl_net_url_parse(http->url, &http->parts, &diag) < 0) {
        diag.pos = sl_value_pos(sl_value_get_str(c->spec, "url"));
        sl_diag_file(&diag, c->file);
        (void)sl_diags_push(c->diags, &diag);
        return -EINVAL;
    }
    if (http->host.size == 0) http->host = http->parts.authority;
    if (result == 0 && addr_make(http) < 0) {
        result = sl_compile_error(c, "bad_url", sl_value_get_str(c->spec, "url"),
                                  "no memory for the name of the server");
    }
    return result;
}

static void http_config_fini(void *config)
{
    struct http *http = config;
    http->name = sl_name_free(http->name);
}

/* ---- a server, seen from a shard ----------------------------------------------------------- */

struct http_state {
    struct sl_http_target target;
    const struct http *http;
    struct sl_shard *shard;
    struct sl_name_addrs known;
    struct sl_list waiting; /* struct http_call: until the name is looked up */
    struct sl_timer timer;
    uint32_t poll_ms;
};

/* One request; behind the frame. */
struct http_call {
    struct sl_http_exchange exchange; /* first */
    struct http_state *state;
    struct sl_frame *frame;
    struct sl_list link; /* of state->waiting */
    bool is_started;
};

static void on_name_timer(struct sl_timer *timer);

static struct sl_http_client *client_get(struct sl_shard *shard)
{
    if (shard->http == NULL) shard->http = sl_http_client_new(&shard->loop);
    return shard->http;
}

static void client_closed(void *ctx, struct sl_http_client *client)
{
    struct sl_shard *shard = ctx;
    shard->http = sl_http_client_free(client);
}

void sl_net_shard_fini(struct sl_shard *shard)
{
    sl_assert(shard != NULL);
    if (shard->http == NULL) return;
    sl_http_client_close(shard->http, client_closed, shard);
    for (int i = 0; shard->http != NULL && i < HTTP_CLOSE_TURNS_MAX; i++) {
        sl_loop_turn(&shard->loop, sl_clock_now_ns(shard->loop.clock) + 10 * SL_NS_PER_MS);
    }
    sl_assert(shard->http == NULL);
}

static uint32_t to_ms(uint64_t ns)
{
    return (uint32_t)((ns + SL_NS_PER_MS - 1) / SL_NS_PER_MS);
}

/* Take over what the name has become. False: nothing is known yet. */
static bool addrs_refresh(struct http_state *state)
{
    struct sl_name *name = state->http->name;
    if (name == NULL) return true;
    sl_name_use(name);
    if (sl_name_is_newer(name, state->known.version)) {
        sl_name_read(name, &state->known);
        if (state->known.count > 0) {
            sl_http_target_addrs_set(&state->target, state->known.addrs, state->known.count);
        }
    }
    return state->known.version != 0;
}

static int http_state_init(void *memory, const void *config, struct sl_shard *shard,
                           struct sl_diag *reterr)
{
    struct http_state *state = memory;
    const struct http *http = config;
    struct sl_http_client *client = client_get(shard);
    if (client == NULL) {
        (void)sl_diag_set(reterr, "no_memory", (struct sl_pos){0, 0}, "no memory for a client");
        return -ENOMEM;
    }
    const struct sl_http_target_config cfg = {
        .head_size_max = (uint32_t)http->header_max,
        .body_size_max = http->body_max,
        .connections_max = (uint32_t)http->connections_max,
        .kept_max = (uint32_t)http->keep_alive,
        .waiting_max = (uint32_t)http->queue_max,
        .timeout_connect_ms = to_ms(http->connect_ns),
        .timeout_idle_ms = to_ms(http->idle_ns),
        .retries_max = (uint32_t)http->retries,
    };
    sl_http_target_init(&state->target, client, http->label, &cfg);
    state->http = http;
    state->shard = shard;
    sl_list_init(&state->waiting);
    sl_timer_init(&state->timer, on_name_timer);
    if (http->name == NULL)
        sl_http_target_addrs_set(&state->target, &http->addr, 1);
    else
        (void)addrs_refresh(state);
    return 0;
}

static void http_state_fini(void *memory, const void *config, struct sl_shard *shard)
{
    struct http_state *state = memory;
    (void)config;
    sl_assert(sl_list_is_empty(&state->waiting));
    sl_timer_stop(&shard->loop.timers, &state->timer);
    sl_http_target_fini(&state->target);
}

/* ---- requests ------------------------------------------------------------------------------ */

static struct sl_value state_error(const struct http_state *state, const char *code, int status,
                                   const char *text)
{
    return sl_value_new_error(state->shard->loop.mem, code, status, "%s: %s", state->http->label,
                              text);
}

/* The answer as an error, which carries it. */
static struct sl_value status_error(struct sl_mem *mem, const struct http *http,
                                    struct sl_value answer, int64_t status)
{
    char text[HTTP_LABEL_SIZE + 64];
    int size =
        snprintf(text, sizeof(text), "%s: answered with status %d", http->label, (int)status);
    struct sl_builder builder;
    struct sl_value error;
    sl_builder_init(&builder, mem, 8, 0);
    sl_build_error_begin(&builder);
    sl_build_string_str(&builder, "http_status");
    sl_build_string(&builder, text, (size_t)size);
    sl_build_null(&builder);
    sl_build_value(&builder, answer);
    sl_build_int(&builder, 502);
    sl_build_error_end(&builder);
    return sl_builder_finish(&builder, &error) < 0 ? sl_value_none() : error;
}

static void on_done(struct sl_http_exchange *exchange, struct sl_value answer)
{
    struct http_call *own = (struct http_call *)exchange;
    const struct http *http = own->state->http;
    own->is_started = false;
    if (http->fail_status && sl_value_is(answer, SL_VALUE_MAP)) {
        struct sl_value status = sl_value_get_str(answer, "status");
        if (status.cell->i64 >= HTTP_FAIL_STATUS) {
            struct sl_mem *mem = own->state->shard->loop.mem;
            struct sl_value error = status_error(mem, http, answer, status.cell->i64);
            if (error.cell == NULL) error = sl_error_no_memory();
            sl_frame_resume(own->frame, error);
            return;
        }
    }
    sl_frame_resume(own->frame, sl_value_ref(answer));
}

static void call_start(struct http_call *own)
{
    own->is_started = true;
    sl_http_exchange_start(&own->exchange);
}

static void call_give_up(struct http_call *own, struct sl_value error)
{
    sl_http_request_drop(&own->exchange);
    sl_frame_resume(own->frame, error.cell != NULL ? error : sl_error_no_memory());
}

/* While a name is looked up for the first time. */
static void on_name_timer(struct sl_timer *timer)
{
    struct http_state *state = sl_container_of(timer, struct http_state, timer);
    struct sl_loop *loop = &state->shard->loop;
    bool is_known = addrs_refresh(state);
    for (struct sl_list *at = state->waiting.next; at != &state->waiting;) {
        struct http_call *own = sl_container_of(at, struct http_call, link);
        at = at->next;
        bool is_late = loop->now_ns >= own->exchange.deadline_ns;
        if (!is_known && !is_late) continue;
        sl_list_remove(&own->link);
        if (is_known && state->known.count > 0) {
            call_start(own);
        } else if (is_known) {
            call_give_up(own,
                         state_error(state, "http_resolve", 502, gai_strerror(state->known.error)));
        } else {
            call_give_up(own,
                         state_error(state, "http_timeout", 504, "its name was not found in time"));
        }
    }
    if (sl_list_is_empty(&state->waiting)) return;
    if (state->poll_ms < HTTP_NAME_POLL_MAX_MS) state->poll_ms *= 2;
    sl_timer_start(&loop->timers, timer, loop->now_ns + state->poll_ms * SL_NS_PER_MS);
}

static void call_wait(struct http_call *own)
{
    struct http_state *state = own->state;
    struct sl_loop *loop = &state->shard->loop;
    sl_list_insert(&state->waiting, &own->link);
    if (sl_timer_is_started(&state->timer)) return;
    state->poll_ms = HTTP_NAME_POLL_MS;
    sl_timer_start(&loop->timers, &state->timer, loop->now_ns + state->poll_ms * SL_NS_PER_MS);
}

/* The trace that the request is part of: of this process, not of the client that it may come from. */
struct trace_fields {
    struct sl_http_field fields[2];
    char parent[SL_TRACEPARENT_SIZE];
    struct sl_tracestate state;
};

static void trace_fields_make(const struct sl_process *process, struct trace_fields *ret)
{
    sl_process_span_send(process, ret->parent, &ret->state);
    ret->fields[0] = (struct sl_http_field){sl_http1_header_name(SL_HTTP1_HEADER_TRACEPARENT),
                                            sl_slice_make(ret->parent, sizeof(ret->parent))};
    ret->fields[1] = (struct sl_http_field){sl_http1_header_name(SL_HTTP1_HEADER_TRACESTATE),
                                            sl_slice_make(ret->state.text, ret->state.size)};
}

static int request_write(struct sl_call *call, struct http_call *own, const char **ret_reason)
{
    const struct http *http = call->config;
    struct trace_fields trace;
    trace_fields_make(call->process, &trace);
    struct sl_http_request_base base = {
        .host = http->host,
        .method = http->method,
        .path = http->parts.path,
        .query = http->parts.query,
        .header = http->header,
        .extra = trace.fields,
        .extra_count = 2,
    };
    return sl_http_request_write(own->state->target.client, &base, call->value, &own->exchange,
                                 ret_reason);
}

static enum sl_step http_run(struct sl_call *call)
{
    const struct http *http = call->config;
    struct http_call *own = sl_frame_data(call->frame);
    const char *reason = NULL;
    own->state = call->state;
    own->frame = call->frame;
    sl_list_init(&own->link);
    int r = request_write(call, own, &reason);
    if (r == -EINVAL) return sl_call_fail(call, "unsupported_value", 400, "%s", reason);
    if (r == -E2BIG)
        return sl_call_fail(call, "unsupported_value", 400, "the request is too large");
    if (r < 0) return sl_call_fail(call, "no_memory", 503, "no memory for the request");
    sl_value_unref(call->value);
    call->value = sl_value_none();
    own->exchange.done = on_done;
    own->exchange.target = &own->state->target;
    own->exchange.deadline_ns = call->shard->loop.now_ns + http->timeout_ns;
    bool is_known = addrs_refresh(own->state);
    if (is_known && own->state->target.addrs_count > 0) {
        call_start(own);
    } else if (!is_known) {
        call_wait(own);
    } else {
        sl_http_request_drop(&own->exchange);
        return sl_call_fail(call, "http_resolve", 502, "%s: %s", http->label,
                            gai_strerror(own->state->known.error));
    }
    return SL_STEP_PARK;
}

static enum sl_step http_resume(struct sl_call *call)
{
    if (sl_value_is(call->value, SL_VALUE_ERROR)) return SL_STEP_FAIL;
    call->port = 0;
    return SL_STEP_EMIT;
}

static void http_cancel(struct sl_frame *frame, struct sl_shard *shard)
{
    (void)shard;
    struct http_call *own = sl_frame_data(frame);
    if (own->is_started) {
        own->is_started = false;
        sl_http_exchange_cancel(&own->exchange);
    } else if (!sl_list_is_empty(&own->link)) {
        sl_list_remove(&own->link);
        sl_http_request_drop(&own->exchange);
    }
}

static const char *const http_errors[] = {
    "http_connect", "http_timeout", "http_protocol",     "http_body_too_large", "http_status",
    "http_resolve", "overload",     "unsupported_value", "no_memory",           NULL};

const struct sl_kind sl_kind_http = {
    .name = "http",
    .summary = "asks another server over HTTP/1.1",
    .fields = http_fields,
    .config_size = sizeof(struct http),
    .state_size = sizeof(struct http_state),
    .frame_size = sizeof(struct http_call),
    .flags = SL_KIND_TRANSFORMS | SL_KIND_PARKS,
    .outs_max = 1,
    .ins_max = 1,
    .error_codes = http_errors,
    .compile = http_compile,
    .config_fini = http_config_fini,
    .state_init = http_state_init,
    .state_fini = http_state_fini,
    .run = http_run,
    .resume = http_resume,
    .cancel = http_cancel,
};
