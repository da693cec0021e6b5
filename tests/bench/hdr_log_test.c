/* SPDX-License-Identifier: MIT */
/*
 * Histogram logs: what we write is read back equal, what other tools wrote is read right, and no
 * mutation of a log does harm.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bench/baseline.h"
#include "bench/hdr_log.h"

/* Written by another implementation (HdrHistogram for Python), 1 to 3,600,000,000. */
static const char FOREIGN[] =
    "HISTFAAAAC14nJNpmSzMwMDAxwABzFCaEURcm7yEwf4DVICJlekwP8v+PKbpLxiZAKh8CCY=";

static struct sl_hdr *sample(void)
{
    struct sl_hdr *hdr = sl_hdr_new_latency();
    assert_non_null(hdr);
    uint64_t random = 7;
    for (int i = 0; i < 5000; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        sl_hdr_record(hdr, (random >> 33) >> (random >> 60), random >> 61);
    }
    return hdr;
}

static void encode_then_decode_is_equal(void **state)
{
    (void)state;
    struct sl_hdr *hdr = sample();
    char *text = sl_hdr_encode(hdr);
    assert_non_null(text);
    struct sl_hdr *back;
    assert_int_equal(sl_hdr_decode(text, strlen(text), &back), 0);
    assert_int_equal(back->total, hdr->total);
    assert_int_equal(back->counts_count, hdr->counts_count);
    assert_memory_equal(back->counts, hdr->counts, hdr->counts_count * sizeof(*hdr->counts));
    free(text);
    sl_hdr_free(hdr);
    sl_hdr_free(back);
}

static void encode_empty_is_read_back_empty(void **state)
{
    (void)state;
    struct sl_hdr *hdr = sl_hdr_new_latency();
    char *text = sl_hdr_encode(hdr);
    struct sl_hdr *back;
    assert_int_equal(sl_hdr_decode(text, strlen(text), &back), 0);
    assert_int_equal(back->total, 0);
    free(text);
    sl_hdr_free(hdr);
    sl_hdr_free(back);
}

static void decode_of_another_tool_gives_its_values(void **state)
{
    (void)state;
    struct sl_hdr *hdr;
    assert_int_equal(sl_hdr_decode(FOREIGN, strlen(FOREIGN), &hdr), 0);
    assert_int_equal(hdr->total, 6);
    assert_int_equal(hdr->digits, 3);
    assert_int_equal(hdr->highest, 3600000000);
    assert_int_equal(sl_hdr_percentile(hdr, 50), 1000);
    assert_int_equal(sl_hdr_percentile(hdr, 75), 123519);
    assert_int_equal(hdr->min, 1);
    sl_hdr_free(hdr);
}

static void decode_mutations_do_no_harm(void **state)
{
    (void)state;
    struct sl_hdr *hdr = sample();
    char *text = sl_hdr_encode(hdr);
    size_t size = strlen(text);
    uint64_t random = 99;
    for (int i = 0; i < 20000; i++) {
        char *copy = strdup(text);
        assert_non_null(copy);
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        size_t cut = i % 3 == 0 ? (random >> 20) % size : size;
        copy[(random >> 40) % size] = (char)(random >> 8);
        struct sl_hdr *back;
        if (sl_hdr_decode(copy, cut, &back) == 0) sl_hdr_free(back);
        free(copy);
    }
    free(text);
    sl_hdr_free(hdr);
}

/* The uncompressed form, so that a mutation reaches the counts and not only the checksum. */
static void decode_hostile_counts_are_refused(void **state)
{
    (void)state;
    const char *hostile[] = {/* a run of zeros far beyond the counts */
                             "HISTEwAAAAYAAAAAAAAAAwAAAAAAAAABAAAAAAAAA+g/8AAAAAAAAP//////Pw==",
                             /* the largest run */
                             "HISTEwAAAAkAAAAAAAAAAwAAAAAAAAABAAAAAAAAA+g/8AAAAAAAAP///////////w==",
                             /* a count after the last */
                             "HISTEwAAAAUAAAAAAAAAAwAAAAAAAAABAAAAAAAAA+g/8AAAAAAAAP0fAgIC",
                             /* a number cut short */
                             "HISTEwAAAAIAAAAAAAAAAwAAAAAAAAABAAAAAAAAA+g/8AAAAAAAAP//",
                             /* nine digits */
                             "HISTEwAAAAAAAAAAAAAACQAAAAAAAAABAAAAAAAAA+g/8AAAAAAAAA==",
                             /* highest below lowest */
                             "HISTEwAAAAAAAAAAAAAAAwAAAAAAAAPoAAAAAAAAAAE/8AAAAAAAAA==",
                             /* payload longer than the bytes */
                             "HISTEwAAAP8AAAAAAAAAAwAAAAAAAAABAAAAAAAAA+g/8AAAAAAAAA==",
                             /* not a histogram */
                             "", "====", "HIST", "HISTFAAA"};
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        struct sl_hdr *hdr;
        assert_int_equal(sl_hdr_decode(hostile[i], strlen(hostile[i]), &hdr), -EINVAL);
    }
}

static int file_with(char *path, const char *text)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    return close(fd);
}

static void line_count(void *ctx, const char *tag, double start_s, double length_s,
                       const struct sl_hdr *hdr)
{
    uint64_t *sums = ctx;
    (void)start_s;
    (void)length_s;
    sums[strcmp(tag, "a") == 0] += hdr->total;
}

static void log_read_takes_tags_and_skips_comments(void **state)
{
    (void)state;
    char path[] = "/tmp/sluice-bench-test-XXXXXX";
    char text[1024];
    (void)snprintf(
        text, sizeof(text),
        "#[comment]\n\"StartTimestamp\",\"x\"\n0.5,1.0,3.0,%s\nTag=a,1.5,1.0,3.0,%s\r\n\n", FOREIGN,
        FOREIGN);
    file_with(path, text);
    uint64_t sums[2] = {0, 0};
    struct sl_hdr_log_sink sink = {.line = line_count, .ctx = sums};
    assert_int_equal(sl_hdr_log_read(path, &sink, NULL), 0);
    assert_int_equal(sums[0], 6);
    assert_int_equal(sums[1], 6);
    unlink(path);
}

static void log_read_bad_line_is_named(void **state)
{
    (void)state;
    const char *bad[] = {"#c\nhello\n", "#c\n1,2\n", "#c\n1,2,3\n", "#c\n1,2,3,HISTx\n",
                         "#c\nTag=a\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char path[] = "/tmp/sluice-bench-test-XXXXXX";
        struct sl_diag diag = {.level = SL_DIAG_ERROR};
        struct sl_hdr_log_sink sink = {.line = NULL};
        file_with(path, bad[i]);
        assert_int_equal(sl_hdr_log_read(path, &sink, &diag), -EINVAL);
        assert_int_equal(diag.pos.line, 2);
        unlink(path);
    }
}

static void baseline_written_is_read_back(void **state)
{
    (void)state;
    char path[] = "/tmp/sluice-bench-test-XXXXXX";
    file_with(path, "");
    struct sl_run_result result = {.rate = 1234.5};
    struct sl_baseline baseline;
    assert_int_equal(sl_load_result_init(&result.load, 1), 0);
    sl_hdr_record(result.load.latency, 1000, 99);
    sl_hdr_record(result.load.latency, 5000000, 1);
    result.load.requests = 100;
    assert_int_equal(sl_baseline_write(path, &result, NULL), 0);
    assert_int_equal(sl_baseline_read(path, &baseline, NULL), 0);
    assert_true(baseline.metrics.value[SL_METRIC_RATE] == 1234.5);
    assert_true(baseline.metrics.value[SL_METRIC_P50] == 1000);
    assert_true(baseline.metrics.value[SL_METRIC_MAX] == 5000000);
    assert_int_equal(baseline.latency->total, 100);
    sl_baseline_fini(&baseline);
    sl_run_result_fini(&result);
    unlink(path);
    assert_true(sl_baseline_read(path, &baseline, NULL) < 0);
    sl_baseline_fini(&baseline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encode_then_decode_is_equal),
        cmocka_unit_test(encode_empty_is_read_back_empty),
        cmocka_unit_test(decode_of_another_tool_gives_its_values),
        cmocka_unit_test(decode_mutations_do_no_harm),
        cmocka_unit_test(decode_hostile_counts_are_refused),
        cmocka_unit_test(log_read_takes_tags_and_skips_comments),
        cmocka_unit_test(log_read_bad_line_is_named),
        cmocka_unit_test(baseline_written_is_read_back),
    };
    return cmocka_run_group_tests_name("hdr_log", tests, NULL, NULL);
}
