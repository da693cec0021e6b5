/* SPDX-License-Identifier: MIT */
/* What the generator writes down: replies, errors, the time line; and merging of results. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load_state.h"
#include "core/base/assertion.h"

static const struct {
    const char *word;
    const char *text;
} ERRORS[] = {
#define X(name, word, text) {word, text},
    SL_LOAD_ERRORS(X)
#undef X
};

const char *sl_load_error_word(enum sl_load_error error)
{
    sl_assert(error < SL_LOAD_ERRORS_COUNT);
    return ERRORS[error].word;
}

const char *sl_load_error_text(enum sl_load_error error)
{
    sl_assert(error < SL_LOAD_ERRORS_COUNT);
    return ERRORS[error].text;
}

static void live_add(_Atomic uint64_t *counter)
{
    /* One writer: a plain load and store are enough. */
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + 1, memory_order_relaxed);
}

/* The interval of `now_ns`; entering another one publishes the figures of the last. */
static struct sl_load_interval *interval_at(struct sl_load *load, uint64_t now_ns)
{
    struct sl_load_result *result = &load->result;
    if (result->intervals_count == 0 || now_ns < load->window_start_ns) return NULL;
    uint64_t index = (now_ns - load->window_start_ns) / load->config.interval_ns;
    if (index >= result->intervals_count) index = result->intervals_count - 1;
    if (index != load->interval_index) {
        const struct sl_hdr *last = result->intervals[load->interval_index].latency;
        atomic_store_explicit(&load->live.interval_p50_ns, sl_hdr_percentile(last, 50),
                              memory_order_relaxed);
        atomic_store_explicit(&load->live.interval_p99_ns, sl_hdr_percentile(last, 99),
                              memory_order_relaxed);
        load->interval_index = (uint32_t)index;
    }
    return &result->intervals[index];
}

static bool is_in_window(const struct sl_load *load, uint64_t from_ns, uint64_t now_ns)
{
    if (!load->is_running) return false;
    uint64_t at = load_is_open_loop(load) ? from_ns : now_ns;
    if (at < load->window_start_ns || at >= load->window_end_ns) return false;
    return load_is_open_loop(load) || load->ended_count < load->config.count;
}

void sl_load_note_error(struct sl_load *load, enum sl_load_error error, uint64_t from_ns)
{
    uint64_t now = sl_wire_now_ns(load->wire);
    live_add(&load->live.errors);
    if (!is_in_window(load, from_ns, now)) return;
    load->result.errors[error]++;
    load->ended_count++;
    bool never_came = error == SL_LOAD_TIMEOUT || error == SL_LOAD_UNSENT;
    if (never_came && load_is_open_loop(load)) {
        sl_hdr_record(load->result.latency, now - from_ns, 1);
    }
    struct sl_load_interval *interval = interval_at(load, now);
    if (interval != NULL) interval->errors++;
}

static enum sl_load_error reply_check(const struct sl_load *load, const struct conn *conn)
{
    const struct sl_load_check *check = &load->config.check;
    uint16_t status = conn->response.status;
    if (status < check->status_min || status > check->status_max) return SL_LOAD_STATUS;
    if (load->config.probe != NULL) return conn->body_differs ? SL_LOAD_BODY : SL_LOAD_ERRORS_COUNT;
    if (check->body != NULL && (conn->body_differs || conn->body_at != check->body_size)) {
        return SL_LOAD_BODY;
    }
    if (check->body != NULL && check->is_any_order && conn->body_sum != load->check_sum) {
        return SL_LOAD_BODY;
    }
    return SL_LOAD_ERRORS_COUNT;
}

void sl_load_note_reply(struct sl_load *load, const struct conn *conn, const struct flight *flight)
{
    uint64_t from_ns = flight->from_ns;
    uint64_t now = sl_wire_now_ns(load->wire);
    live_add(&load->live.done);
    enum sl_load_error error = reply_check(load, conn);
    if (error != SL_LOAD_ERRORS_COUNT) live_add(&load->live.errors);
    if (!is_in_window(load, from_ns, now)) return;
    struct sl_load_result *result = &load->result;
    result->requests++;
    load->ended_count++;
    result->statuses[conn->response.status < SL_LOAD_STATUS_MAX ? conn->response.status : 0]++;
    if (error != SL_LOAD_ERRORS_COUNT) result->errors[error]++;
    bool is_disturbed = load->is_disturbed || flight->is_disturbed;
    sl_hdr_record(is_disturbed ? result->disturbed : result->latency, now - from_ns, 1);
    struct sl_load_interval *interval = interval_at(load, now);
    if (interval != NULL) {
        interval->requests++;
        interval->errors += error != SL_LOAD_ERRORS_COUNT;
        if (!is_disturbed) sl_hdr_record(interval->latency, now - from_ns, 1);
    }
    load->last_ns = now;
}

int sl_load_result_init(struct sl_load_result *result, uint32_t intervals_count)
{
    sl_assert(result != NULL);
    memset(result, 0, sizeof(*result));
    result->latency = sl_hdr_new_latency();
    result->late = sl_hdr_new_latency();
    result->disturbed = sl_hdr_new_latency();
    result->intervals = calloc(intervals_count + 1, sizeof(*result->intervals));
    bool ok = result->latency != NULL && result->late != NULL && result->disturbed != NULL &&
              result->intervals != NULL;
    result->intervals_count = ok ? intervals_count : 0;
    for (uint32_t i = 0; ok && i < intervals_count; i++) {
        result->intervals[i].latency = sl_hdr_new(SL_HDR_LATENCY_LOWEST, SL_HDR_LATENCY_HIGHEST, 2);
        ok = result->intervals[i].latency != NULL;
    }
    if (ok) return 0;
    sl_load_result_fini(result);
    return -ENOMEM;
}

void sl_load_result_merge(struct sl_load_result *result, const struct sl_load_result *from)
{
    sl_hdr_merge(result->latency, from->latency);
    sl_hdr_merge(result->late, from->late);
    sl_hdr_merge(result->disturbed, from->disturbed);
    result->requests += from->requests;
    for (int i = 0; i < SL_LOAD_ERRORS_COUNT; i++) result->errors[i] += from->errors[i];
    for (int i = 0; i < SL_LOAD_STATUS_MAX; i++) result->statuses[i] += from->statuses[i];
    result->bytes_in += from->bytes_in;
    result->bytes_out += from->bytes_out;
    result->connects += from->connects;
    result->resent += from->resent;
    if (from->window_ns > result->window_ns) result->window_ns = from->window_ns;
    result->waited_ns += from->waited_ns;
    bool is_first = result->wall_ns == 0;
    if (is_first || from->silent_ns < result->silent_ns) result->silent_ns = from->silent_ns;
    result->cpu_ns += from->cpu_ns;
    result->wall_ns += from->wall_ns;
    for (uint32_t i = 0; i < result->intervals_count && i < from->intervals_count; i++) {
        result->intervals[i].requests += from->intervals[i].requests;
        result->intervals[i].errors += from->intervals[i].errors;
        sl_hdr_merge(result->intervals[i].latency, from->intervals[i].latency);
    }
    if (result->first_errno == 0) result->first_errno = from->first_errno;
    if (result->first_fault[0] == '\0') {
        memcpy(result->first_fault, from->first_fault, sizeof(result->first_fault));
    }
}

void sl_load_result_fini(struct sl_load_result *result)
{
    for (uint32_t i = 0; i < result->intervals_count; i++) {
        sl_hdr_free(result->intervals[i].latency);
    }
    free(result->intervals);
    sl_hdr_free(result->latency);
    sl_hdr_free(result->late);
    sl_hdr_free(result->disturbed);
    memset(result, 0, sizeof(*result));
}

uint64_t sl_load_errors_sum(const struct sl_load_result *result)
{
    uint64_t sum = 0;
    for (int i = 0; i < SL_LOAD_ERRORS_COUNT; i++) sum += result->errors[i];
    return sum;
}
