/* SPDX-License-Identifier: MIT */
/* What a person types: options, URLs, request files, thresholds, numbers with units. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bench/endpoint.h"
#include "bench/fmt.h"
#include "bench/job.h"
#include "bench/threshold.h"

struct values {
    struct sl_option_list headers;
    const char *rate;
    uint64_t duration_ns;
    uint64_t count;
    uint32_t connections;
    bool close;
};

static const struct sl_option OPTIONS[] = {
    {"connections", "N", "", offsetof(struct values, connections), SL_OPTION_UINT, 'c'},
    {"rate", "R", "", offsetof(struct values, rate), SL_OPTION_STRING, 0},
    {"duration", "T", "", offsetof(struct values, duration_ns), SL_OPTION_DURATION, 't'},
    {"count", "N", "", offsetof(struct values, count), SL_OPTION_COUNT, 0},
    {"close", NULL, "", offsetof(struct values, close), SL_OPTION_FLAG, 0},
    {"header", "H", "", offsetof(struct values, headers), SL_OPTION_LIST, 'H'},
};

static const struct sl_options_usage USAGE = {
    .name = "x", .options = OPTIONS, .options_count = sizeof(OPTIONS) / sizeof(OPTIONS[0])};

static int parse(const char *line, struct values *values, struct sl_option_list *positional,
                 struct sl_diag *diag)
{
    static char buf[512];
    char *argv[32];
    int argc = 0;
    (void)snprintf(buf, sizeof(buf), "%s", line);
    for (char *word = strtok(buf, " "); word != NULL; word = strtok(NULL, " ")) argv[argc++] = word;
    memset(values, 0, sizeof(*values));
    memset(positional, 0, sizeof(*positional));
    return sl_options_parse(&USAGE, argc, argv, values, positional, diag);
}

static void parse_all_forms_set_values(void **state)
{
    (void)state;
    struct values values;
    struct sl_option_list rest;
    assert_int_equal(parse("-c 8 u1 --rate=20k --duration 250ms --close -Ha --header b --count 1M "
                           "-- --u2",
                           &values, &rest, NULL),
                     SL_OPTIONS_OK);
    assert_int_equal(values.connections, 8);
    assert_string_equal(values.rate, "20k");
    assert_int_equal(values.duration_ns, 250000000);
    assert_true(values.close);
    assert_int_equal(values.count, 1000000);
    assert_int_equal(values.headers.count, 2);
    assert_string_equal(values.headers.items[1], "b");
    assert_int_equal(rest.count, 2);
    assert_string_equal(rest.items[1], "--u2");
    assert_int_equal(parse("--rate 1 -h", &values, &rest, NULL), SL_OPTIONS_HELP);
}

static void parse_mistakes_are_explained(void **state)
{
    (void)state;
    struct values values;
    struct sl_option_list rest;
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    assert_int_equal(parse("--conections 5", &values, &rest, &diag), -EINVAL);
    assert_non_null(strstr(diag.hint, "--connections"));
    assert_int_equal(parse("-c x", &values, &rest, &diag), -EINVAL);
    assert_int_equal(parse("-c 1.5", &values, &rest, &diag), -EINVAL);
    assert_int_equal(parse("-c -1", &values, &rest, &diag), -EINVAL);
    assert_int_equal(parse("--duration 5parsecs", &values, &rest, &diag), -EINVAL);
    assert_int_equal(parse("--close=yes", &values, &rest, &diag), -EINVAL);
    assert_int_equal(parse("--rate", &values, &rest, &diag), -EINVAL);
    assert_non_null(strstr(diag.text, "--rate needs a value"));
    assert_int_equal(parse("-z", &values, &rest, &diag), -EINVAL);
}

static void duration_units_are_read(void **state)
{
    (void)state;
    uint64_t ns;
    const struct {
        const char *text;
        uint64_t ns;
    } good[] = {{"1.5", 1500000000},  {"2s", 2000000000}, {"3ms", 3000000},
                {"4us", 4000},        {"4µs", 4000},      {"5ns", 5},
                {"2m", 120000000000}, {"0", 0},           {"1h", 3600000000000}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(sl_parse_duration_ns(good[i].text, &ns), 0);
        assert_int_equal(ns, good[i].ns);
    }
    const char *bad[] = {"", "x", "-1s", "1 s", "nan", "inf", "1e30s", "5ss"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(sl_parse_duration_ns(bad[i], &ns), -EINVAL);
    }
}

static void fmt_numbers_have_three_digits_and_a_unit(void **state)
{
    (void)state;
    assert_string_equal(sl_fmt_ns(0).text, "0 ns");
    assert_string_equal(sl_fmt_ns(1234).text, "1.23 µs");
    assert_string_equal(sl_fmt_ns(999.6e3).text, "1.00 ms");
    assert_string_equal(sl_fmt_ns(45.6e6).text, "45.6 ms");
    assert_string_equal(sl_fmt_count(1234567).text, "1,234,567");
    assert_string_equal(sl_fmt_count(999).text, "999");
    assert_string_equal(sl_fmt_bytes(12.3e6).text, "12.3 MB");
    assert_int_equal(sl_fmt_width("µs–×"), 4);
}

static void json_strings_are_escaped(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct sl_json json = {.out = out};
    sl_json_begin(&json, NULL, '{');
    sl_json_string(&json, "a\"", "line\nend\\");
    sl_json_number(&json, "n", NAN, 2);
    sl_json_begin(&json, "l", '[');
    sl_json_end(&json, ']');
    sl_json_end(&json, '}');
    fclose(out);
    assert_string_equal(
        text, "{\n  \"a\\\"\": \"line\\u000aend\\\\\",\n  \"n\": null,\n  \"l\": []\n}\n");
    free(text);
}

static void url_good_forms_are_taken_apart(void **state)
{
    (void)state;
    struct sl_url url;
    assert_int_equal(sl_url_parse("http://127.0.0.1:8000/a?b=c", &url, NULL), 0);
    assert_string_equal(url.host, "127.0.0.1");
    assert_int_equal(url.port, 8000);
    assert_string_equal(url.target, "/a?b=c");
    assert_string_equal(url.authority, "127.0.0.1:8000");
    assert_int_equal(url.weight, 1);
    assert_int_equal(sl_url_parse("3:http://[::1]:81", &url, NULL), 0);
    assert_string_equal(url.host, "::1");
    assert_string_equal(url.authority, "[::1]:81");
    assert_string_equal(url.target, "/");
    assert_int_equal(url.weight, 3);
    assert_int_equal(sl_url_parse("localhost:9/x", &url, NULL), 0);
    assert_string_equal(url.host, "localhost");
    assert_int_equal(sl_url_parse("http+unix://%2Ftmp%2Fs.sock/p", &url, NULL), 0);
    assert_string_equal(url.unix_path, "/tmp/s.sock");
    assert_string_equal(url.target, "/p");
}

static void url_bad_forms_are_refused(void **state)
{
    (void)state;
    struct sl_url url;
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    const char *bad[] = {"https://a/",        "ftp://a/",        "http://",         "http://:80/",
                         "http://a:0/",       "http://a:70000/", "http://a:8x/",    "http://[::1/",
                         "http://[::1]x/",    "http://a/b#c",    "http://a?b",      "http://a/b c",
                         "http+unix://%2G/p", "http+unix:///p",  "http+unix://%2/p"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(sl_url_parse(bad[i], &url, &diag), -EINVAL);
        assert_true(diag.hint[0] != '\0');
    }
}

static void request_file_is_read(void **state)
{
    (void)state;
    char path[] = "/tmp/sluice-bench-test-XXXXXX";
    int fd = mkstemp(path);
    const char *text = "# weight method target\n\n3 GET /ping\n"
                       "1 POST /o body=\"{\\\"a\\\": 1}\" header=\"X-A: b c\"  # note\n";
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    struct sl_requests requests = {.count = 0};
    struct sl_request_parts defaults = {.authority = "h", .weight = 1};
    assert_int_equal(sl_requests_load(&requests, path, &defaults, NULL), 0);
    assert_int_equal(requests.count, 2);
    assert_int_equal(requests.weight_sum, 4);
    assert_int_equal(sl_requests_pick(&requests, 2), 0);
    assert_int_equal(sl_requests_pick(&requests, 3), 1);
    const char *wire =
        "POST /o HTTP/1.1\r\nHost: h\r\nX-A: b c\r\nContent-Length: 8\r\n\r\n{\"a\": 1}";
    assert_int_equal(requests.items[1].size, strlen(wire));
    assert_memory_equal(requests.items[1].data, wire, strlen(wire));
    sl_requests_fini(&requests);
    unlink(path);
}

static void request_file_mistake_names_the_line(void **state)
{
    (void)state;
    const char *bad[] = {"1 GET /a\nx GET /b\n",
                         "1 GET /a\n1 GET\n",
                         "1 GET /a\n1 GET b\n",
                         "1 GET /a\n1 GET /b bodi=x\n",
                         "1 GET /a\n1 GET /b body=\"x\n",
                         "1 GET /a\n1 G=T /b\n",
                         "1 GET /a\n1 GET /b header=nocolon\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char path[] = "/tmp/sluice-bench-test-XXXXXX";
        int fd = mkstemp(path);
        assert_int_equal(write(fd, bad[i], strlen(bad[i])), (ssize_t)strlen(bad[i]));
        close(fd);
        struct sl_requests requests = {.count = 0};
        struct sl_request_parts defaults = {.authority = "h", .weight = 1};
        struct sl_diag diag = {.level = SL_DIAG_ERROR};
        assert_int_equal(sl_requests_load(&requests, path, &defaults, &diag), -EINVAL);
        assert_int_equal(diag.pos.line, 2);
        assert_string_equal(diag.file, path);
        sl_requests_fini(&requests);
        unlink(path);
    }
}

static void threshold_forms_are_judged(void **state)
{
    (void)state;
    struct sl_threshold threshold;
    struct sl_metrics metrics = {.value = {0}};
    struct sl_metrics baseline = {.value = {0}};
    metrics.value[SL_METRIC_P99] = 2e6;
    baseline.value[SL_METRIC_P99] = 1.9e6;
    metrics.value[SL_METRIC_CPU_US] = NAN;
    const struct {
        const char *text;
        bool exceeded;
    } cases[] = {{"p99>2ms", false},  {"p99>=2ms", true},  {"p99 > 1.9ms", true},
                 {"p99<3ms", true},   {"p99>1.1x", false}, {"p99>1.05x", true},
                 {"errors>0", false}, {"rate<1", true},    {"cpu_us>100", true}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(sl_threshold_parse(cases[i].text, &threshold, NULL), 0);
        assert_int_equal(sl_threshold_is_exceeded(&threshold, &metrics, &baseline),
                         cases[i].exceeded);
    }
    assert_int_equal(sl_threshold_parse("p99.9>1ms", &threshold, NULL), 0);
    assert_int_equal(threshold.metric, SL_METRIC_P99_9);
    const char *bad[] = {"", "p99", "p98>1ms", "p99=1ms", "p99>", "p99>fast", ">1ms", "rate>1ms"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(sl_threshold_parse(bad[i], &threshold, NULL), -EINVAL);
    }
}

static int job_from(struct sl_job *job, struct sl_job_values *values, const char *url_a,
                    const char *url_b)
{
    const char *urls[] = {url_a, url_b};
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    int err = sl_job_init(job, values, urls, url_b != NULL ? 2 : 1, &diag);
    assert_true(err == 0 || diag.text[0] != '\0');
    return err;
}

static void job_values_become_a_run(void **state)
{
    (void)state;
    struct sl_job job;
    struct sl_job_values values;
    sl_job_values_default(&values);
    values.rate = "1k..2k";
    values.body = "abc";
    values.check_status = "201-204";
    values.cores = "0,0";
    assert_int_equal(job_from(&job, &values, "http://127.0.0.1:1/a", "2:http://127.0.0.1:1/b"), 0);
    assert_true(job.config.rate_from == 1000 && job.config.rate_to == 2000);
    assert_int_equal(job.config.threads, 2);
    assert_int_equal(job.config.check.status_max, 204);
    assert_int_equal(job.requests.weight_sum, 3);
    assert_memory_equal(job.requests.items[0].data, "POST /a", 7);
    sl_job_fini(&job);
}

static void job_mistakes_are_refused(void **state)
{
    (void)state;
    struct sl_job job;
    struct sl_job_values base;
    sl_job_values_default(&base);
    struct sl_job_values bad[9];
    for (int i = 0; i < 9; i++) bad[i] = base;
    bad[0].rate = "fast";
    bad[1].rate = "10..";
    bad[2].connections = 0;
    bad[3].pipeline = 5000;
    bad[4].cores = "1-0";
    bad[5].io = "magic";
    bad[6].check_status = "20";
    bad[7].threads = 65;
    bad[8].body_file = "/nowhere/at/all";
    for (int i = 0; i < 9; i++) {
        assert_true(job_from(&job, &bad[i], "http://127.0.0.1:1/", NULL) < 0);
        sl_job_fini(&job);
    }
    assert_true(job_from(&job, &base, "http://127.0.0.1:1/", "http://127.0.0.1:2/") < 0);
    sl_job_fini(&job);
}

static void endpoint_forms_are_read(void **state)
{
    (void)state;
    struct sl_endpoint endpoint;
    assert_int_equal(sl_endpoint_parse("new=http://h:1/p,pid=42", "A", &endpoint, NULL), 0);
    assert_string_equal(endpoint.name, "new");
    assert_string_equal(endpoint.url, "http://h:1/p");
    assert_int_equal(endpoint.pid, 42);
    assert_int_equal(sl_endpoint_parse("http://h:1/p?x=1", "A", &endpoint, NULL), 0);
    assert_string_equal(endpoint.name, "A");
    assert_int_equal(sl_endpoint_parse("b=./run --port={port}", "A", &endpoint, NULL), 0);
    assert_string_equal(endpoint.name, "b");
    assert_string_equal(endpoint.command, "./run --port={port}");
    assert_int_equal(sl_endpoint_parse("b=./run", "A", &endpoint, NULL), -EINVAL);
    assert_int_equal(sl_endpoint_parse("http://h:1/,pid=x", "A", &endpoint, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_all_forms_set_values),
        cmocka_unit_test(parse_mistakes_are_explained),
        cmocka_unit_test(duration_units_are_read),
        cmocka_unit_test(fmt_numbers_have_three_digits_and_a_unit),
        cmocka_unit_test(json_strings_are_escaped),
        cmocka_unit_test(url_good_forms_are_taken_apart),
        cmocka_unit_test(url_bad_forms_are_refused),
        cmocka_unit_test(request_file_is_read),
        cmocka_unit_test(request_file_mistake_names_the_line),
        cmocka_unit_test(threshold_forms_are_judged),
        cmocka_unit_test(job_values_become_a_run),
        cmocka_unit_test(job_mistakes_are_refused),
        cmocka_unit_test(endpoint_forms_are_read),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
