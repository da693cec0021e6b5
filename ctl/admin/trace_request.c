/* SPDX-License-Identifier: MIT */
#include "ctl/admin/trace_request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/graph/program.h"
#include "core/mem/out.h"
#include "ctl/loader/loader.h"
#include "io/http/http.h"

enum {
    TRACE_COUNT = 10,
    TRACE_TIMEOUT_MAX_MS = 24 * 3600 * 1000,
    HINT_NODES_MAX = 8, /* names in a message */
};

/* ---- errors ---------------------------------------------------------------------------------- */

static void respond_error(struct sl_http_request *request, int status, const char *code,
                          const char *message)
{
    struct sl_value error = sl_value_new_error(NULL, code, 0, "%s", message);
    struct sl_out out;
    sl_out_init(&out, NULL);
    if (!sl_value_is_none(error)) (void)sl_json_write(error, 0, &out);
    sl_out_append_byte(&out, '\n');
    sl_http_respond_bytes(request, status, NULL, 0, SL_SLICE("application/json"),
                          sl_slice_make(out.data, out.size));
    sl_out_fini(&out);
    sl_value_unref(error);
}

/* ---- options --------------------------------------------------------------------------------- */

/* The last value of a name in the query; size 0 if it is not there. */
static struct sl_slice query_get(struct sl_value query, const char *name)
{
    if (!sl_value_is(query, SL_VALUE_MAP)) return SL_SLICE("");
    struct sl_value list = sl_value_get_str(query, name);
    if (!sl_value_is(list, SL_VALUE_LIST) || sl_value_count(list) == 0) return SL_SLICE("");
    struct sl_value last = sl_value_list_at(list, sl_value_count(list) - 1);
    return sl_value_is(last, SL_VALUE_STRING) ? sl_value_slice(last) : SL_SLICE("");
}

/* A number within min..max, `*number` as it is if there is none. False if it is wrong. */
static bool query_number(struct sl_value query, const char *name, uint32_t min, uint32_t max,
                         uint32_t *number)
{
    struct sl_slice text = query_get(query, name);
    if (text.size == 0) return true;
    uint64_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || i > 9) return false;
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (value < min || value > max) return false;
    *number = (uint32_t)value;
    return true;
}

/* The first name that there is no option for, or size 0. */
static struct sl_slice query_unknown(struct sl_value query)
{
    static const char *const names[] = {"count", "node", "when", "payload", "timeout_ms", "unmask"};
    for (uint32_t i = 0; sl_value_is(query, SL_VALUE_MAP) && i < sl_value_count(query); i++) {
        struct sl_slice key = sl_value_key_at(query, i);
        bool is_known = false;
        for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++) {
            is_known |= sl_slice_eq_str(key, names[j]);
        }
        if (!is_known) return key;
    }
    return SL_SLICE("");
}

/* False after a fault was answered. The texts are borrowed from the request. */
static bool options_read(struct sl_http_request *request, struct sl_trace_options *ret)
{
    char text[256];
    struct sl_value query = sl_value_get_str(request->payload, "query");
    struct sl_slice unknown = query_unknown(query);
    uint32_t unmask = 0;
    *ret = (struct sl_trace_options){
        .count = TRACE_COUNT,
        .timeout_ms = SL_TRACE_TIMEOUT_MS,
        .payload_size = SL_TRACE_PAYLOAD_SIZE,
        .node = query_get(query, "node"),
        .when = query_get(query, "when"),
    };
    const char *wrong = NULL;
    if (unknown.size > 0) {
        (void)snprintf(text, sizeof(text),
                       "there is no \"%.*s\"; there are count, node, when, payload, timeout_ms and "
                       "unmask",
                       (int)(unknown.size < 80 ? unknown.size : 80), (const char *)unknown.data);
        wrong = text;
    } else if (!query_number(query, "count", 1, SL_TRACE_COUNT_MAX, &ret->count)) {
        wrong = "\"count\" must be a number from 1 to 1000000";
    } else if (!query_number(query, "payload", 0, SL_TRACE_PAYLOAD_SIZE_MAX, &ret->payload_size)) {
        wrong = "\"payload\" must be a number of bytes from 0 to 16384";
    } else if (!query_number(query, "timeout_ms", 0, TRACE_TIMEOUT_MAX_MS, &ret->timeout_ms)) {
        wrong = "\"timeout_ms\" must be a number from 0 (never) to 86400000";
    } else if (!query_number(query, "unmask", 0, 1, &unmask)) {
        wrong = "\"unmask\" must be 0 or 1";
    }
    ret->show_credentials = unmask == 1;
    if (wrong != NULL) respond_error(request, 400, "bad_option", wrong);
    return wrong == NULL;
}

/* ---- the node ------------------------------------------------------------------------------- */

/* True if `path` is the node `name`, or one below it. */
static bool is_of(const char *path, struct sl_slice name)
{
    return strncmp(path, (const char *)name.data, name.size) == 0 &&
           (path[name.size] == '\0' || path[name.size] == '/');
}

static bool is_loaded(const struct sl_loader *loader, struct sl_slice name)
{
    for (size_t i = 0; loader != NULL && i < sl_loader_symbols_count(loader); i++) {
        struct sl_symbol_info info = sl_loader_symbol(loader, i);
        if (sl_slice_eq_str(name, info.name)) return true;
    }
    return false;
}

/* What stands behind "there is no node": the nearest name, else some of those that there are. */
static void nodes_hint(const struct sl_program *program, struct sl_slice name, char *hint,
                       size_t size)
{
    char text[SL_SPEC_NAME_MAX + 1];
    uint32_t count = program != NULL ? program->symbols_count : 0;
    const char **paths = calloc(count + 1U, sizeof(*paths));
    hint[0] = '\0';
    if (paths == NULL) return;
    for (uint32_t i = 0; i < count; i++) paths[i] = program->symbols[i].node->path;
    (void)snprintf(text, sizeof(text), "%.*s", SL_SLICE_FMT(name));
    const char *nearest = sl_diag_nearest(text, paths, count);
    if (nearest != NULL) {
        (void)snprintf(hint, size, "; did you mean \"%s\"?", nearest);
    } else {
        size_t used = 0;
        for (uint32_t i = 0; i < count && i < HINT_NODES_MAX && used < size; i++) {
            used += (size_t)snprintf(hint + used, size - used, "%s%s", i == 0 ? "; nodes: " : ", ",
                                     paths[i]);
        }
        if (count > HINT_NODES_MAX && used < size) (void)snprintf(hint + used, size - used, " …");
    }
    free(paths);
}

/* False after it was answered that no request can reach the node. */
static bool node_check(struct sl_http_request *request, struct sl_slice name,
                       const struct sl_program *program, const struct sl_loader *loader)
{
    char text[SL_DIAG_TEXT_SIZE + SL_SPEC_NAME_MAX];
    char hint[SL_DIAG_HINT_SIZE];
    if (name.size == 0 || name.size > SL_SPEC_NAME_MAX) return true; /* told when it begins */
    for (uint32_t i = 0; program != NULL && i < program->symbols_count; i++) {
        if (is_of(program->symbols[i].node->path, name)) return true;
    }
    if (is_loaded(loader, name)) {
        (void)snprintf(
            text, sizeof(text),
            "the node \"%.*s\" is inactive: no request reaches it; \"sluice get\" says why",
            SL_SLICE_FMT(name));
    } else {
        nodes_hint(program, name, hint, sizeof(hint));
        (void)snprintf(text, sizeof(text), "there is no node \"%.*s\"%s", SL_SLICE_FMT(name), hint);
    }
    respond_error(request, 404, "not_found", text);
    return false;
}

/* What is wrong with the condition, where, and what it may name. */
static void when_text(const struct sl_diag *diag, char *text, size_t size)
{
    bool has_place = diag->pos.line > 0;
    bool is_name = strncmp(diag->text, "undeclared", 10) == 0;
    const char *hint = diag->hint;
    if (has_place && (is_name || hint[0] == '\0')) {
        hint = "self is the request: self.method, self.path, self.query, self.header, self.body …";
    }
    char place[40] = "";
    if (has_place) {
        (void)snprintf(place, sizeof(place), " at %u:%u of \"when\"", diag->pos.line,
                       diag->pos.column);
    }
    (void)snprintf(text, size, "%s%s%s%s", diag->text, place, hint[0] != '\0' ? "; " : "", hint);
}

/* ---- the stream ------------------------------------------------------------------------------ */

static int64_t on_line(void *ctx, struct sl_slice line)
{
    struct admin_trace *trace = ctx;
    return trace->request != NULL ? sl_http_stream_write(trace->request, line) : -EPIPE;
}

static void on_began(void *ctx)
{
    struct admin_trace *trace = ctx;
    if (trace->request == NULL) return;
    trace->is_streaming = true;
    sl_http_stream_begin(trace->request, 200, NULL, 0, SL_SLICE("application/x-ndjson"));
}

static void on_ended(void *ctx, const struct sl_diag *diag)
{
    struct admin_trace *trace = ctx;
    struct sl_http_request *request = trace->request;
    trace->request = NULL;
    if (request == NULL) return;
    if (trace->is_streaming) {
        sl_http_stream_end(request);
    } else {
        const char *text = diag != NULL && diag->text[0] != '\0' ? diag->text : "it was stopped";
        respond_error(request, 503, "cannot_trace", text);
    }
}

void admin_trace_request(struct admin_trace *trace, struct sl_http_request *request,
                         const struct sl_program *program, const struct sl_loader *loader)
{
    struct sl_trace_options options;
    struct sl_diag diag = {0};
    sl_assert(trace->traces != NULL);
    if (request->method != SL_HTTP1_METHOD_GET) {
        respond_error(request, 405, "method", "expected GET");
        return;
    }
    if (!options_read(request, &options)) return;
    if (!node_check(request, options.node, program, loader)) return;
    const struct sl_trace_reader reader = {
        .began = on_began, .put = on_line, .ended = on_ended, .ctx = trace};
    int r = sl_traces_begin(trace->traces, &options, &reader, &diag);
    if (r == -EBUSY) {
        respond_error(request, 409, "busy", "somebody else is tracing; one can at a time");
    } else if (r == -EINVAL) {
        char text[SL_DIAG_TEXT_SIZE + SL_DIAG_HINT_SIZE + 64];
        when_text(&diag, text, sizeof(text));
        respond_error(request, 400, diag.code[0] != '\0' ? diag.code : "bad_option", text);
    } else if (r < 0) {
        respond_error(request, r == -ENOMEM ? 503 : 400, "cannot_trace",
                      r == -ENOMEM ? "no memory" : "this build has no CEL");
    } else {
        trace->request = request;
        trace->is_streaming = false;
    }
}

void admin_trace_cancel(struct admin_trace *trace, struct sl_http_request *request)
{
    if (trace->request != request) return;
    trace->request = NULL;
    if (trace->is_streaming) {
        sl_http_stream_end(request);
    } else {
        respond_error(request, 503, "cancelled", "the client has gone");
    }
    sl_traces_end(trace->traces);
}
