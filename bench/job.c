/* SPDX-License-Identifier: MIT */
/* From options and URLs to a run; see job.h. */
#include "bench/job.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/fmt.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

enum { SPIN_NS = 100 * 1000, CONNECTIONS_MAX = 60000 };

static const struct sl_pos NO_POS = {0, 0};

void sl_job_values_default(struct sl_job_values *values)
{
    *values = (struct sl_job_values){
        .io = "auto",
        .spin = "auto",
        .duration_ns = 10 * SL_NS_PER_SEC,
        .warmup_ns = UINT64_MAX,
        .timeout_ns = 5 * SL_NS_PER_SEC,
        .connections = 64,
        .pipeline = 1,
    };
}

int sl_job_cores_parse(const char *text, int *ret_cores, int cores_max)
{
    int count = 0;
    const char *at = text;
    for (;;) {
        char *stop;
        long first = strtol(at, &stop, 10);
        long last = first;
        if (stop == at || first < 0 || first >= CPU_SETSIZE) return -EINVAL;
        if (*stop == '-') {
            at = stop + 1;
            last = strtol(at, &stop, 10);
            if (stop == at || last < first || last >= CPU_SETSIZE) return -EINVAL;
        }
        for (long core = first; core <= last; core++) {
            if (count == cores_max) return -EINVAL;
            ret_cores[count++] = (int)core;
        }
        if (*stop == '\0') return count;
        if (*stop != ',') return -EINVAL;
        at = stop + 1;
    }
}

static int bad(struct sl_diag *reterr, const char *name, const char *value, const char *expected)
{
    return sl_diag_set(reterr, "bad_value", NO_POS, "--%s \"%s\": expected %s", name, value,
                       expected);
}

static int rate_apply(struct sl_job *job, const char *text, struct sl_diag *reterr)
{
    if (text == NULL) return 0;
    char from[64];
    const char *dots = strstr(text, "..");
    size_t size = dots != NULL ? (size_t)(dots - text) : strlen(text);
    if (size >= sizeof(from)) return bad(reterr, "rate", text, "a number such as 20k");
    memcpy(from, text, size);
    from[size] = '\0';
    struct sl_run_config *config = &job->config;
    int err = sl_parse_number(from, &config->rate_from);
    config->rate_to = config->rate_from;
    if (err == 0 && dots != NULL) err = sl_parse_number(dots + 2, &config->rate_to);
    if (err < 0 || config->rate_from < 0.01 || config->rate_to < 0.01 || config->rate_from > 1e8 ||
        config->rate_to > 1e8) {
        return bad(reterr, "rate", text, "requests a second such as 20k, or a ramp 1k..20k");
    }
    return 0;
}

int sl_job_priority_parse(const char *text, int *ret_priority, struct sl_diag *reterr)
{
    char *stop;
    sl_assert(ret_priority != NULL);
    *ret_priority = 0;
    if (text == NULL || strcmp(text, "normal") == 0) return 0;
    bool is_fifo = strncmp(text, "fifo:", 5) == 0;
    const char *number = text + (is_fifo ? 5 : 0);
    long value = strtol(number, &stop, 10);
    bool ok = stop != number && *stop == '\0';
    ok = ok && (is_fifo ? value >= 1 && value <= 99 : value >= -20 && value <= 19);
    if (!ok) return bad(reterr, "priority", text, "normal, -20 to 19, or fifo:1 to fifo:99");
    struct rlimit limit = {0, 0};
    (void)getrlimit(is_fifo ? RLIMIT_RTPRIO : RLIMIT_NICE, &limit);
    long least = is_fifo ? value : 20 - value;
    if (geteuid() != 0 && (is_fifo || value < 0) && least > (long)limit.rlim_cur) {
        int err = bad(reterr, "priority", text, "one that this process may take");
        sl_diag_hint(reterr, "run as root, or with CAP_SYS_NICE");
        return err;
    }
    *ret_priority = (int)value + (is_fifo ? SL_RUN_FIFO : 0);
    return 0;
}

static int client_apply(struct sl_job *job, const struct sl_job_values *values,
                        struct sl_diag *reterr)
{
    struct sl_run_config *config = &job->config;
    if (strcmp(values->io, "auto") == 0) {
        config->wire = SL_RUN_WIRE_AUTO;
    } else if (strcmp(values->io, "uring") == 0) {
        config->wire = SL_RUN_WIRE_URING;
    } else if (strcmp(values->io, "epoll") == 0) {
        config->wire = SL_RUN_WIRE_EPOLL;
    } else {
        return bad(reterr, "io", values->io, "auto, uring or epoll");
    }
    if (values->cores != NULL) {
        int count = sl_job_cores_parse(values->cores, job->cores, SL_RUN_THREADS_MAX);
        if (count <= 0) return bad(reterr, "cores", values->cores, "a list such as 1 or 0,2-3");
        long cores_max = sysconf(_SC_NPROCESSORS_CONF);
        for (int i = 0; i < count; i++) {
            if (job->cores[i] < cores_max) continue;
            return sl_diag_set(reterr, "bad_value", NO_POS,
                               "--cores \"%s\": this machine has the cores 0 to %ld", values->cores,
                               cores_max - 1);
        }
        config->cores = job->cores;
        config->cores_count = (uint32_t)count;
    }
    if (sl_job_priority_parse(values->priority, &config->priority, reterr) < 0) return -EINVAL;
    config->threads = values->threads > 0 ? values->threads : config->cores_count;
    if (config->threads == 0) config->threads = 1;
    if (config->threads > SL_RUN_THREADS_MAX || config->threads > values->connections) {
        return sl_diag_set(reterr, "bad_value", NO_POS,
                           "%u threads: at most %d, and not more than connections (%u)",
                           config->threads, (int)SL_RUN_THREADS_MAX, values->connections);
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (strcmp(values->spin, "always") == 0) {
        config->spin_ns = UINT64_MAX;
    } else if (strcmp(values->spin, "auto") == 0) {
        /* Only where it takes nothing from the server; in real time the kernel would throttle it. */
        bool is_alone = online > (long)config->threads && config->priority < SL_RUN_FIFO;
        config->spin_ns = is_alone ? SPIN_NS : 0;
    } else if (sl_parse_duration_ns(values->spin, &config->spin_ns) < 0) {
        return bad(reterr, "spin", values->spin, "auto, always or a duration such as 100us");
    }
    return 0;
}

static int status_apply(struct sl_load_check *check, const char *text, struct sl_diag *reterr)
{
    check->status_min = 200;
    check->status_max = 399;
    if (text == NULL) return 0;
    check->status_min = 0;
    check->status_max = 999;
    if (strcmp(text, "any") == 0) return 0;
    char *stop;
    unsigned long low = strtoul(text, &stop, 10);
    unsigned long high = low;
    bool ok = stop != text;
    if (ok && *stop == '-') {
        const char *at = stop + 1;
        high = strtoul(at, &stop, 10);
        ok = stop != at;
    }
    if (!ok || *stop != '\0' || low < 100 || high > 599 || low > high) {
        return bad(reterr, "check-status", text, "200, 200-299 or any");
    }
    check->status_min = (uint16_t)low;
    check->status_max = (uint16_t)high;
    return 0;
}

static int check_apply(struct sl_job *job, const struct sl_job_values *values,
                       struct sl_diag *reterr)
{
    struct sl_load_check *check = &job->config.check;
    int err = status_apply(check, values->check_status, reterr);
    if (err < 0) return err;
    if (values->check_body != NULL) {
        check->body = (const uint8_t *)values->check_body;
        check->body_size = strlen(values->check_body);
    }
    if (values->check_body_file != NULL) {
        err = sl_bench_file_read(values->check_body_file, &job->check_body, &check->body_size,
                                 reterr);
        check->body = job->check_body;
    }
    return err;
}

static int limits_apply(struct sl_job *job, const struct sl_job_values *values,
                        struct sl_diag *reterr)
{
    struct sl_run_config *config = &job->config;
    if (values->connections < 1 || values->connections > CONNECTIONS_MAX) {
        return sl_diag_set(reterr, "bad_value", NO_POS, "--connections must be 1 to %d",
                           (int)CONNECTIONS_MAX);
    }
    if (values->pipeline < 1 || values->pipeline > SL_LOAD_PIPELINE_MAX) {
        return sl_diag_set(reterr, "bad_value", NO_POS, "--pipeline must be 1 to %d",
                           (int)SL_LOAD_PIPELINE_MAX);
    }
    if (values->close && values->pipeline > 1) {
        return sl_diag_set(reterr, "bad_value", NO_POS,
                           "--close and --pipeline exclude each other");
    }
    if (values->duration_ns == 0 || values->timeout_ns == 0) {
        return sl_diag_set(reterr, "bad_value", NO_POS, "--duration and --timeout must not be 0");
    }
    if (values->pid > 0 && kill((pid_t)values->pid, 0) < 0 && errno == ESRCH) {
        return sl_diag_set(reterr, "bad_value", NO_POS, "--pid %llu: there is no such process",
                           (unsigned long long)values->pid);
    }
    bool by_count = values->count > 0;
    config->connections = values->connections;
    config->pipeline = values->pipeline;
    config->close = values->close;
    config->count = by_count ? values->count : UINT64_MAX;
    config->duration_ns = by_count ? UINT64_MAX : values->duration_ns;
    config->warmup_ns = values->warmup_ns != UINT64_MAX ? values->warmup_ns
                        : by_count                      ? 0
                                                        : SL_NS_PER_SEC;
    config->timeout_ns = values->timeout_ns;
    config->pid = (pid_t)values->pid;
    config->jitter = !values->no_jitter;
    config->progress = !values->quiet;
    return 0;
}

/* All URLs must mean one server; the first says which. */
static int url_check(const struct sl_url *first, const struct sl_url *url, const char *text,
                     struct sl_diag *reterr)
{
    if (strcmp(first->authority, url->authority) == 0 &&
        strcmp(first->unix_path, url->unix_path) == 0) {
        return 0;
    }
    int err =
        sl_diag_set(reterr, "bad_url", NO_POS, "\"%s\" is another server than the first URL", text);
    sl_diag_hint(reterr, "one run loads one server; sluice-bench compare takes several");
    return err;
}

static int requests_build(struct sl_job *job, const struct sl_job_values *values,
                          const char *const *urls, uint32_t urls_count, struct sl_url *ret_first,
                          struct sl_diag *reterr)
{
    struct sl_request_parts parts = {.headers = values->headers.items,
                                     .headers_count = values->headers.count,
                                     .close = values->close};
    if (values->body != NULL) {
        parts.body = (const uint8_t *)values->body;
        parts.body_size = strlen(values->body);
    } else if (values->body_file != NULL) {
        int err = sl_bench_file_read(values->body_file, &job->body, &parts.body_size, reterr);
        if (err < 0) return err;
        parts.body = job->body;
    }
    parts.method = values->method != NULL ? values->method : parts.body != NULL ? "POST" : "GET";
    for (uint32_t i = 0; i < urls_count; i++) {
        struct sl_url url;
        int err = sl_url_parse(urls[i], &url, reterr);
        if (err == 0 && i == 0) *ret_first = url;
        if (err == 0) err = url_check(ret_first, &url, urls[i], reterr);
        if (err < 0) return err;
        parts.target = url.target;
        parts.authority = ret_first->authority;
        parts.weight = url.weight;
        if (values->request_file == NULL) err = sl_requests_push(&job->requests, &parts, reterr);
        if (err < 0) return err;
    }
    if (values->request_file == NULL) return 0;
    return sl_requests_load(&job->requests, values->request_file, &parts, reterr);
}

int sl_job_init(struct sl_job *job, const struct sl_job_values *values, const char *const *urls,
                uint32_t urls_count, struct sl_diag *reterr)
{
    sl_assert(urls_count > 0);
    memset(job, 0, sizeof(*job));
    struct sl_url url = {.port = 0};
    int err = requests_build(job, values, urls, urls_count, &url, reterr);
    if (err == 0) err = rate_apply(job, values->rate, reterr);
    if (err == 0) err = limits_apply(job, values, reterr);
    if (err == 0) err = client_apply(job, values, reterr);
    if (err == 0) err = check_apply(job, values, reterr);
    if (err < 0) return err;
    if (values->unix_path != NULL) {
        if (strlen(values->unix_path) >= sizeof(url.unix_path)) {
            return bad(reterr, "unix", values->unix_path, "a path of at most 107 bytes");
        }
        (void)snprintf(url.unix_path, sizeof(url.unix_path), "%s", values->unix_path);
    }
    err = sl_bench_addr_resolve(&url, &job->addr, reterr);
    job->config.requests = &job->requests;
    job->config.addr = &job->addr;
    (void)snprintf(job->title, sizeof(job->title), "%s%s at %s", job->requests.items[0].label,
                   job->requests.count > 1 ? " …" : "", job->addr.text);
    return err;
}

void sl_job_fini(struct sl_job *job)
{
    sl_requests_fini(&job->requests);
    free(job->body);
    free(job->check_body);
    job->body = NULL;
    job->check_body = NULL;
}
