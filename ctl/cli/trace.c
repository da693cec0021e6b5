/* SPDX-License-Identifier: MIT */
/* trace: the next requests of a runtime, hop by hop. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/mem/out.h"
#include "ctl/cli/control.h"

enum { TRACE_PATH_SIZE = 8192, TRACE_DEPTH_MAX = 20 };

struct trace_view {
    bool is_json;
    bool is_ended;
    bool is_timeout;
};

/* ---- asking ---------------------------------------------------------------------------------- */

/* Append ",name=value" with percent escapes; false if it does not fit. */
static bool query_add(char *path, const char *name, const char *value)
{
    size_t used = strlen(path);
    int got = snprintf(path + used, TRACE_PATH_SIZE - used, "&%s=", name);
    if (got < 0) return false;
    used += (size_t)got;
    for (const char *at = value; *at != '\0'; at++) {
        uint8_t byte = (uint8_t)*at;
        uint8_t lower = byte | 0x20;
        bool is_plain = (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9');
        if (used + 4 > TRACE_PATH_SIZE) return false;
        used +=
            (size_t)snprintf(path + used, TRACE_PATH_SIZE - used, is_plain ? "%c" : "%%%02X", byte);
    }
    return true;
}

static bool path_make(struct cli_args *args, char path[TRACE_PATH_SIZE])
{
    int64_t count = 0;
    int64_t payload = 0;
    uint32_t timeout_ms = 0;
    if (!cli_get_number(args, "count", 1, SL_TRACE_COUNT_MAX, &count)) return false;
    if (!cli_get_number(args, "payload", 0, SL_TRACE_PAYLOAD_SIZE_MAX, &payload)) return false;
    if (!cli_get_duration_ms(args, "timeout", &timeout_ms)) return false;
    (void)snprintf(path, TRACE_PATH_SIZE, "/trace?count=%lld&payload=%lld&timeout_ms=%u&unmask=%d",
                   (long long)count, (long long)payload, timeout_ms, cli_is_set(args, "unmask"));
    bool fits = true;
    if (cli_get(args, "node") != NULL) fits = query_add(path, "node", cli_get(args, "node"));
    if (fits && cli_get(args, "when") != NULL) {
        fits = query_add(path, "when", cli_get(args, "when"));
    }
    if (!fits) cli_error("--node and --when are too long together");
    return fits;
}

/* ---- printing -------------------------------------------------------------------------------- */

/*
 * A value as one line. What a client sent must not reach the terminal as a command: JSON escapes
 * what is below U+0020, and here so are U+007F to U+009F.
 */
static void value_print(struct sl_value value)
{
    struct sl_out out;
    sl_out_init(&out, NULL);
    (void)sl_json_write(value, 0, &out);
    for (size_t i = 0; i < out.size; i++) {
        uint8_t byte = out.data[i];
        bool is_c1 = byte == 0xc2 && i + 1 < out.size && out.data[i + 1] < 0xa0;
        if (byte == 0x7f || is_c1) {
            (void)printf("\\u%04x", is_c1 ? out.data[++i] : byte);
        } else {
            (void)putchar(byte);
        }
    }
    sl_out_fini(&out);
}

static double us(uint64_t ns)
{
    return (double)ns / 1000;
}

static bool has(struct sl_value map, const char *key)
{
    return !sl_value_is_none(sl_value_get_str(map, key));
}

static void member_print(struct sl_value map, const char *key, const char *before)
{
    if (!has(map, key)) return;
    (void)printf("%s", before);
    value_print(sl_value_get_str(map, key));
}

static void head_print(struct sl_value trace)
{
    struct sl_value request = sl_value_get_str(trace, "request");
    bool is_map = sl_value_is(request, SL_VALUE_MAP);
    (void)printf("#%llu  %.*s  %.*s %.*s", (unsigned long long)cli_uint(trace, "trace"),
                 SL_SLICE_FMT(cli_text(trace, "time")),
                 SL_SLICE_FMT(is_map ? cli_text(request, "method") : SL_SLICE("")),
                 SL_SLICE_FMT(is_map ? cli_text(request, "path") : SL_SLICE("")));
    if (has(trace, "status")) {
        (void)printf("  → %llu", (unsigned long long)cli_uint(trace, "status"));
    }
    (void)printf("  in %.1f µs  (shard %llu, revision %llu)%s\n",
                 us(cli_uint(trace, "duration_ns")), (unsigned long long)cli_uint(trace, "shard"),
                 (unsigned long long)cli_uint(trace, "revision"),
                 has(trace, "cancelled") ? "  cancelled" : "");
    if (has(trace, "trace_id")) {
        (void)printf("    trace %.*s  span %.*s\n", SL_SLICE_FMT(cli_text(trace, "trace_id")),
                     SL_SLICE_FMT(cli_text(trace, "span_id")));
    }
    member_print(trace, "request", "    ");
    if (is_map) (void)printf("\n");
}

/* What happened, after the node's name. */
static void event_print(struct sl_value hop, uint64_t home)
{
    struct sl_slice event = cli_text(hop, "event");
    struct sl_slice step = cli_text(hop, "step");
    if (has(hop, "waited_ns")) {
        (void)printf(" after %.1f µs", us(cli_uint(hop, "waited_ns")));
    }
    member_print(hop, "input", " with ");
    if (has(hop, "in") && !sl_slice_eq_str(cli_text(hop, "in"), "in")) {
        (void)printf(" %.*s", SL_SLICE_FMT(cli_text(hop, "in")));
    }
    if (sl_slice_eq_str(event, "remote")) {
        (void)printf(" → shard %llu", (unsigned long long)cli_uint(hop, "to_shard"));
    } else if (cli_uint(hop, "shard") != home) {
        (void)printf(" [shard %llu]", (unsigned long long)cli_uint(hop, "shard"));
    }
    if (sl_slice_eq_str(step, "park")) {
        (void)printf(" waits");
    } else if (sl_slice_eq_str(step, "fail")) {
        (void)printf(" FAILS");
    } else if (sl_slice_eq_str(step, "answer") || sl_slice_eq_str(step, "no_route")) {
        (void)printf(" %s", step.data[0] == 'a' ? "answers" : "has no edge");
    }
    if (has(hop, "out")) (void)printf(" → %.*s", SL_SLICE_FMT(cli_text(hop, "out")));
    member_print(hop, "value", " ");
}

static void hop_print(struct sl_value hop, uint32_t depth, uint64_t home)
{
    struct sl_slice event = cli_text(hop, "event");
    struct sl_slice node = cli_text(hop, "node");
    char took[24] = "";
    if (has(hop, "took_ns")) {
        (void)snprintf(took, sizeof(took), "%.1f", us(cli_uint(hop, "took_ns")));
    }
    (void)printf("  %10.1f %9s  %*s", us(cli_uint(hop, "at_ns")), took, (int)(2 * depth), "");
    if (node.size > 0) {
        (void)printf("%.*s", SL_SLICE_FMT(node));
        if (sl_slice_eq_str(event, "resume")) (void)printf(" goes on");
    } else {
        (void)printf("%s", sl_slice_eq_str(event, "join") ? "joined" : "answered");
    }
    event_print(hop, home);
    (void)printf("\n");
}

/*
 * Branches stand in: whoever is led to by a hop that led to another one before. A chain does not
 * move, however long it is.
 */
static void hops_print(struct sl_value hops, uint64_t home)
{
    uint32_t count = sl_value_count(hops);
    uint32_t *depths = calloc(count + 1U, sizeof(*depths));
    if (depths == NULL) return;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_value hop = sl_value_list_at(hops, i);
        uint64_t cause = cli_uint(hop, "cause");
        if (has(hop, "cause") && cause < i) {
            depths[i] = depths[cause] + (cause + 1 != i);
            if (depths[i] > TRACE_DEPTH_MAX) depths[i] = TRACE_DEPTH_MAX;
        }
        hop_print(hop, depths[i], home);
    }
    free(depths);
}

static void trace_print(struct sl_value trace)
{
    struct sl_value hops = sl_value_get_str(trace, "hops");
    head_print(trace);
    (void)printf("  %10s %9s  NODE\n", "AT µs", "TOOK µs");
    if (sl_value_is(hops, SL_VALUE_LIST)) hops_print(hops, cli_uint(trace, "shard"));
    uint64_t lost = cli_uint(trace, "hops_lost");
    if (lost > 0) (void)printf("  (%llu more hops found no room)\n", (unsigned long long)lost);
    if (has(trace, "answer")) member_print(trace, "answer", "    ");
    (void)printf("\n\n");
}

/* What was missed is said beside the traces, not among them. */
static void end_print(struct trace_view *view, struct sl_value end)
{
    struct sl_slice why = cli_text(end, "end");
    uint64_t missed = cli_uint(end, "missed");
    uint64_t dropped = cli_uint(end, "dropped");
    uint64_t errors = cli_uint(end, "when_errors");
    view->is_ended = true;
    view->is_timeout = sl_slice_eq_str(why, "timeout");
    if (view->is_json) return;
    if (!sl_slice_eq_str(why, "count")) {
        (void)fprintf(stderr, "sluice: %s after %llu request%s\n",
                      view->is_timeout ? "the time is up" : "the runtime stopped tracing",
                      (unsigned long long)cli_uint(end, "traced"),
                      sl_plural(cli_uint(end, "traced")));
    }
    if (missed + dropped > 0) {
        (void)fprintf(stderr, "sluice: %llu more went by while no room was free\n",
                      (unsigned long long)(missed + dropped));
    }
    if (errors > 0) {
        (void)fprintf(stderr, "sluice: --when could not be evaluated for %llu request%s: %.*s\n",
                      (unsigned long long)errors, sl_plural(errors),
                      SL_SLICE_FMT(cli_text(end, "when_error")));
    }
}

static int on_line(void *ctx, struct sl_slice text)
{
    struct trace_view *view = ctx;
    struct sl_value value;
    if (text.data == NULL) {
        if (!view->is_json) (void)fprintf(stderr, "sluice: tracing; waiting for requests\n");
        return 0;
    }
    if (sl_json_parse(text, NULL, NULL, 0, &value, NULL) < 0) return -EBADMSG;
    bool is_end = has(value, "end");
    if (is_end) end_print(view, value);
    if (view->is_json) {
        (void)printf("%.*s\n", SL_SLICE_FMT(text));
    } else if (!is_end) {
        trace_print(value);
    }
    sl_value_unref(value);
    /* Whoever reads a pipe wants each when it is there; nobody reads: nothing to do. */
    return fflush(stdout) == 0 ? 0 : -EPIPE;
}

int cli_trace(struct cli_args *args)
{
    char path[TRACE_PATH_SIZE];
    struct trace_view view = {.is_json = cli_is_json(args)};
    if (!path_make(args, path)) return CLI_USAGE;
    int r = cli_control_lines(args, path, on_line, &view);
    if (r == -EPROTO) return CLI_FAILED;
    if (r == -EPIPE) return CLI_OK;
    if (r < 0 || !view.is_ended) {
        if (r == 0 || r == -EBADMSG) {
            cli_fail(args, "cut_off", "the runtime ended in the middle of its answer");
        }
        return r == -ETIMEDOUT ? CLI_TIMEOUT : CLI_UNREACHABLE;
    }
    return view.is_timeout ? CLI_TIMEOUT : CLI_OK;
}
