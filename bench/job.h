/* SPDX-License-Identifier: MIT */
/*
 * A job: from options and URLs to everything a run needs. Shared by the commands that load a
 * server (http, compare, tax).
 */
#pragma once

#include "bench/options.h"
#include "bench/run.h"

/* Values of the options below; sl_job_values_default fills them first. */
struct sl_job_values {
    const char *rate; /* "20k", or a ramp "1k..20k"; NULL: closed loop */
    const char *method;
    const char *body;
    const char *body_file;
    const char *unix_path;
    const char *request_file;
    const char *cores;
    const char *io;
    const char *spin;
    const char *priority;     /* NULL: normal */
    const char *check_status; /* "200", "200-299", "any" */
    const char *check_body;
    const char *check_body_file;
    struct sl_option_list headers;
    uint64_t duration_ns;
    uint64_t warmup_ns; /* UINT64_MAX: not given */
    uint64_t count;     /* 0: not given */
    uint64_t timeout_ns;
    uint32_t connections;
    uint32_t pipeline;
    uint32_t threads;
    uint32_t pid;
    bool close;
    bool no_jitter;
    bool quiet;
};

/* Rows for an option table, for values embedded as `member` of `type`. */
#define SL_JOB_OPTIONS_LOAD(type, member)                                                          \
    {"Load", NULL, NULL, 0, SL_OPTION_TITLE, 0}, {"connections",                                   \
                                                  "N",                                             \
                                                  "connections kept open (default 64)",            \
                                                  offsetof(type, member.connections),              \
                                                  SL_OPTION_UINT,                                  \
                                                  'c'},                                            \
        {"rate",                                                                                   \
         "R",                                                                                      \
         "open loop: R requests a second; R..S is a ramp",                                         \
         offsetof(type, member.rate),                                                              \
         SL_OPTION_STRING,                                                                         \
         'r'},                                                                                     \
        {"pipeline",                                                                               \
         "N",                                                                                      \
         "requests in flight on a connection (default 1)",                                         \
         offsetof(type, member.pipeline),                                                          \
         SL_OPTION_UINT,                                                                           \
         0},                                                                                       \
        {"close",        NULL, "a new connection for each request", offsetof(type, member.close),  \
         SL_OPTION_FLAG, 0},                                                                       \
    {                                                                                              \
        "timeout", "T", "give a reply up after T (default 5s)", offsetof(type, member.timeout_ns), \
            SL_OPTION_DURATION, 0                                                                  \
    }

#define SL_JOB_OPTIONS_REQUEST(type, member)                                                       \
    {"Requests", NULL, NULL, 0, SL_OPTION_TITLE, 0}, {"method",                                    \
                                                      "M",                                         \
                                                      "method (default GET, POST with a body)",    \
                                                      offsetof(type, member.method),               \
                                                      SL_OPTION_STRING,                            \
                                                      'm'},                                        \
        {"header",       "'N: V'", "a header; may be repeated", offsetof(type, member.headers),    \
         SL_OPTION_LIST, 'H'},                                                                     \
        {"body", "TEXT", "request body", offsetof(type, member.body), SL_OPTION_STRING, 'd'},      \
        {"body-file",      "FILE", "request body from a file", offsetof(type, member.body_file),   \
         SL_OPTION_STRING, 0},                                                                     \
        {"request-file",                                                                           \
         "FILE",                                                                                   \
         "lines: WEIGHT METHOD /path [body=…] [header=\"N: V\"]",                                  \
         offsetof(type, member.request_file),                                                      \
         SL_OPTION_STRING,                                                                         \
         0},                                                                                       \
    {                                                                                              \
        "unix", "PATH", "connect to this unix socket", offsetof(type, member.unix_path),           \
            SL_OPTION_STRING, 0                                                                    \
    }

#define SL_JOB_OPTIONS_CHECK(type, member)                                                           \
    {"Checks", NULL, NULL, 0, SL_OPTION_TITLE, 0},                                                   \
        {"check-status",                                                                             \
         "S",                                                                                        \
         "good statuses: 200, 200-299, any (default 200-399)",                                       \
         offsetof(type, member.check_status),                                                        \
         SL_OPTION_STRING,                                                                           \
         0},                                                                                         \
        {"check-body",     "TEXT", "the whole body must be TEXT", offsetof(type, member.check_body), \
         SL_OPTION_STRING, 0},                                                                       \
    {                                                                                                \
        "check-body-file", "FILE", "the whole body must be what FILE holds",                         \
            offsetof(type, member.check_body_file), SL_OPTION_STRING, 0                              \
    }

#define SL_JOB_OPTIONS_CLIENT(type, member)                                                        \
    {"Generator", NULL, NULL, 0, SL_OPTION_TITLE, 0},                                              \
        {"cores",                                                                                  \
         "LIST",                                                                                   \
         "pin generator threads to these cores (0,2-3)",                                           \
         offsetof(type, member.cores),                                                             \
         SL_OPTION_STRING,                                                                         \
         0},                                                                                       \
        {"threads",                                                                                \
         "N",                                                                                      \
         "generator threads (default: one, or one per core given)",                                \
         offsetof(type, member.threads),                                                           \
         SL_OPTION_UINT,                                                                           \
         0},                                                                                       \
        {"io",                                                                                     \
         "KIND",                                                                                   \
         "auto, uring or epoll (default auto)",                                                    \
         offsetof(type, member.io),                                                                \
         SL_OPTION_STRING,                                                                         \
         0},                                                                                       \
        {"spin",                                                                                   \
         "T",                                                                                      \
         "busy-wait so long before a planned time; auto, always (default auto)",                   \
         offsetof(type, member.spin),                                                              \
         SL_OPTION_STRING,                                                                         \
         0},                                                                                       \
        {"priority",                                                                               \
         "N",                                                                                      \
         "of the generator and of servers that are started: normal, -20 to 19, fifo:1 to fifo:99", \
         offsetof(type, member.priority),                                                          \
         SL_OPTION_STRING,                                                                         \
         0},                                                                                       \
    {                                                                                              \
        "quiet", NULL, "no progress lines", offsetof(type, member.quiet), SL_OPTION_FLAG, 'q'      \
    }

struct sl_job {
    struct sl_requests requests;
    struct sl_bench_addr addr;
    struct sl_run_config config;
    uint8_t *body;       /* from --body-file; owned */
    uint8_t *check_body; /* from --check-body-file; owned */
    int cores[SL_RUN_THREADS_MAX];
    char title[512]; /* "GET /ping at 127.0.0.1:8000" */
};

/* Fill the values that hold where nothing is said. */
void sl_job_values_default(struct sl_job_values *values);

/*
 * Build the job for `urls` (array of `urls_count`, at least one; all of one server).
 *
 * returns  0; -EINVAL (usage), -EHOSTUNREACH, -ENOENT … with a diagnostic. Always end with
 *          sl_job_fini. The job borrows from `values`, and must not move once made.
 */
int sl_job_init(struct sl_job *job, const struct sl_job_values *values, const char *const *urls,
                uint32_t urls_count, struct sl_diag *reterr);
void sl_job_fini(struct sl_job *job);

/*
 * "normal", "-10", "fifo:1" → what sl_run_prioritise takes, if this process may; NULL is normal.
 * 0, or -EINVAL with a diagnostic.
 */
int sl_job_priority_parse(const char *text, int *ret_priority, struct sl_diag *reterr);

/* "0,2-3" → cores. Returns the count, or -EINVAL. */
int sl_job_cores_parse(const char *text, int *ret_cores, int cores_max);
