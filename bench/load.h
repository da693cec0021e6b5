/* SPDX-License-Identifier: MIT */
/*
 * The generator: one thread's share of the connections, driven over a wire (wire.h).
 *
 *     closed loop   a connection sends its next batch when the last is answered;
 *                   latency counts from the sending
 *     open loop     requests are planned on a schedule; each takes the connection that has been
 *                   free longest, or waits for one; latency counts from the PLANNED time, so a
 *                   stall of the server is seen by every request that it would have delayed
 *
 * What is measured: open loop: requests planned inside the window, waited for after its end (up
 * to the timeout; what is still out then is an error, and its age goes into the histogram).
 * Closed loop: requests answered inside the window.
 *
 * How late the generator itself noticed a planned time is recorded apart (`late`).
 *
 * On a shared machine the generator is kept from its core now and then. What it then sees is not the
 * server's: such requests are told apart (`disturbed`) and stand not in `latency`:
 *
 *     due        its planned time was noticed more than SL_LOAD_LATE_NS late
 *     in a wake  planned soon after such: the late ones are sent in a burst that must be worked off
 *     read       the generator had waited for its core when it read the reply
 *
 * Each is a question about a moment, the due time or the arrival, not about how long the request
 * took. But a quick request has both moments in one absence, a slow one has two chances to meet one: the
 * share of slow requests is understated by at most the share of time that the generator was away.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench/hdr.h"
#include "bench/response.h"
#include "bench/schedule.h"
#include "bench/target.h"
#include "bench/wire.h"

/* Kinds of failure: name for programs, text for people. */
#define SL_LOAD_ERRORS(X)                                                                          \
    X(CONNECT, "connect", "could not connect")                                                     \
    X(WRITE, "write", "sending failed")                                                            \
    X(READ, "read", "connection reset")                                                            \
    X(CLOSED, "closed", "closed before the reply was whole")                                       \
    X(TIMEOUT, "timeout", "no reply in time")                                                      \
    X(PROTOCOL, "protocol", "not a valid HTTP reply")                                              \
    X(STATUS, "status", "unwanted status")                                                         \
    X(BODY, "body", "unwanted body")                                                               \
    X(UNSENT, "unsent", "planned but never sent: no connection was free")

enum sl_load_error {
#define X(name, word, text) SL_LOAD_##name,
    SL_LOAD_ERRORS(X)
#undef X
        SL_LOAD_ERRORS_COUNT
};

enum {
    SL_LOAD_STATUS_MAX = 600,
    SL_LOAD_PIPELINE_MAX = 1024,
    SL_LOAD_LATE_NS = 100 * 1000, /* open loop: what is later than that is the generator's doing */
};

/* What a reply must be to count as good. */
struct sl_load_check {
    uint16_t status_min; /* inclusive range */
    uint16_t status_max;
    const uint8_t *body; /* exact body, borrowed; NULL: any */
    size_t body_size;
    /* The same bytes in any order will do, for JSON whose keys have none: size and sum are compared. */
    bool is_any_order;
};

/*
 * Told of connections, bodies and replies, on the generator's thread `worker`; `id` is the
 * connection's number there.
 */
struct sl_load_probe {
    void *ctx;
    void (*opened)(void *ctx, uint32_t worker, uint32_t id);
    /* A part of a body, borrowed for the call. */
    void (*body)(void *ctx, uint32_t worker, uint32_t id, const uint8_t *data, size_t size);
    /* A reply is whole. False: it counts as one with a wrong body. */
    bool (*reply)(void *ctx, uint32_t worker, uint32_t id, uint16_t status, uint64_t now_ns);
};

struct sl_load_config {
    const struct sl_requests *requests;
    const struct sl_bench_addr *addr;
    const struct sl_schedule *schedule; /* NULL: closed loop */
    struct sl_load_check check;
    const struct sl_load_probe *probe; /* borrowed; NULL: none. Then check.body is not compared */
    /* ns that the calling thread has waited for a core so far; NULL: nobody knows. */
    uint64_t (*waited_ns)(void *ctx);
    void *waited_ctx;
    uint64_t warmup_ns;
    uint64_t duration_ns; /* of the window; UINT64_MAX: until `count` */
    uint64_t count;       /* requests of the window, this worker's share; UINT64_MAX: no limit */
    uint64_t timeout_ns;
    uint64_t spin_ns;     /* busy-poll so long before a planned time; UINT64_MAX: always */
    uint64_t interval_ns; /* of the time line */
    uint32_t intervals_count;
    uint32_t connections; /* this worker's share */
    uint32_t pipeline;    /* requests in flight on a connection */
    uint32_t worker;      /* takes requests worker, worker + workers … of the plan */
    uint32_t workers;
    bool close; /* a connection for each request */
};

/* A piece of the time line. */
struct sl_load_interval {
    uint64_t requests;
    uint64_t errors;
    struct sl_hdr *latency; /* two digits; owned */
};

struct sl_load_result {
    struct sl_hdr *latency;   /* ns; owned */
    struct sl_hdr *disturbed; /* ns; of requests that the generator could not time; owned */
    struct sl_hdr *late;      /* ns between a planned time and noticing it; owned */
    uint64_t requests;        /* answered, in the window */
    uint64_t errors[SL_LOAD_ERRORS_COUNT];
    uint64_t statuses[SL_LOAD_STATUS_MAX];
    uint64_t bytes_in;  /* whole run */
    uint64_t bytes_out; /* whole run */
    uint64_t connects;  /* whole run */
    uint64_t resent;    /* asked again because the server closed after an earlier reply */
    uint64_t window_ns; /* from its start to its end, or to the last reply if that came later */
    uint64_t silent_ns; /* from the last reply to the end of the window */
    uint64_t waited_ns; /* for its core, whole run; 0 where that is not known */
    uint64_t cpu_ns;    /* of this thread, whole run */
    uint64_t wall_ns;   /* whole run */
    struct sl_load_interval *intervals; /* array of `intervals_count`; owned */
    uint32_t intervals_count;
    int first_errno;      /* of the first failed connection; 0: none */
    char first_fault[96]; /* of the first protocol error */
};

/* What other threads may read while it runs (relaxed: only for display and CPU accounting). */
struct sl_load_live {
    _Atomic uint64_t done;            /* replies, warm-up included */
    _Atomic uint64_t errors;          /* warm-up included */
    _Atomic uint64_t interval_p50_ns; /* of the last whole interval */
    _Atomic uint64_t interval_p99_ns;
    _Atomic bool stop; /* set by others: end soon */
};

struct sl_load;

/*
 * Make a generator on `wire`, which it borrows; the calling thread must be the wire's.
 *
 * returns  owned by the caller, or NULL for no memory
 */
struct sl_load *sl_load_new(const struct sl_load_config *config, struct sl_wire *wire);

/* NULL is fine; returns NULL. */
struct sl_load *sl_load_free(struct sl_load *load);

/* Counters for other threads; borrowed, lives as long as the generator. */
struct sl_load_live *sl_load_live_get(struct sl_load *load);

/*
 * Open the connections and wait until each is open or has failed.
 * 0, or the -errno of the first failure when not one could be opened.
 */
int sl_load_connect(struct sl_load *load);

/* Run from `start_ns` (the wire's clock) to the end of the window. 0 or -errno of the wire. */
int sl_load_run(struct sl_load *load, uint64_t start_ns);

/* Hand over the result, once, after the run. The caller ends with sl_load_result_fini. */
void sl_load_result_take(struct sl_load *load, struct sl_load_result *ret_result);

/* An empty result of the same shape, for merging into. 0 or -ENOMEM. */
int sl_load_result_init(struct sl_load_result *result, uint32_t intervals_count);
void sl_load_result_merge(struct sl_load_result *result, const struct sl_load_result *from);
void sl_load_result_fini(struct sl_load_result *result);

/* Sum of all kinds of errors. */
uint64_t sl_load_errors_sum(const struct sl_load_result *result);

/* The word and the sentence of a kind of error. */
const char *sl_load_error_word(enum sl_load_error error);
const char *sl_load_error_text(enum sl_load_error error);
