/* SPDX-License-Identifier: MIT */
/* What sluice-bench swap reads out of replies: every way to be wrong, in pieces of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bench/versions.h"

enum { VERSIONS_MAX = 100 };

static struct sl_versions *versions;

static int setup(void **state)
{
    (void)state;
    versions = sl_versions_new(2, 4, VERSIONS_MAX);
    if (versions == NULL) return -1;
    for (uint32_t worker = 0; worker < 2; worker++) {
        const struct sl_load_probe *probe = sl_versions_probe(versions);
        for (uint32_t id = 0; id < 4; id++) probe->opened(probe->ctx, worker, id);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    versions = sl_versions_free(versions);
    return 0;
}

/* "vA|vB|……" */
static const char *body(uint32_t first, uint32_t second)
{
    static char text[128];
    (void)snprintf(text, sizeof(text), "v%u|v%u|%.*s", first, second, SL_VERSIONS_FILLER - 1,
                   "................................................");
    return text;
}

static bool reply(uint32_t worker, uint32_t id, const char *text, uint16_t status, uint64_t now_ns)
{
    const struct sl_load_probe *probe = sl_versions_probe(versions);
    probe->body(probe->ctx, worker, id, (const uint8_t *)text, strlen(text));
    return probe->reply(probe->ctx, worker, id, status, now_ns);
}

static void reply_of_one_version_is_good(void **state)
{
    (void)state;
    sl_versions_issue(versions, 12);
    assert_true(reply(0, 0, body(0, 0), 200, 10));
    assert_true(reply(0, 0, body(12, 12), 200, 20));
    assert_true(reply(0, 1, body(3, 3), 200, 30)); /* another connection may be another shard's */
    assert_int_equal(sl_versions_replies(versions), 3);
    for (int i = 0; i < SL_VERSIONS_FAULTS_COUNT; i++) {
        assert_int_equal(sl_versions_faults(versions, (enum sl_versions_fault)i), 0);
    }
    assert_string_equal(sl_versions_first_bad(versions), "");
    assert_int_equal(sl_versions_gap_ns(versions), 10);
}

static void reply_in_pieces_at_every_byte_is_the_same(void **state)
{
    const struct sl_load_probe *probe = sl_versions_probe(versions);
    (void)state;
    sl_versions_issue(versions, 17);
    const char *text = body(17, 17);
    size_t size = strlen(text);
    for (size_t at = 0; at <= size; at++) {
        probe->body(probe->ctx, 0, 0, (const uint8_t *)text, at);
        probe->body(probe->ctx, 0, 0, (const uint8_t *)text + at, size - at);
        assert_true(probe->reply(probe->ctx, 0, 0, 200, at + 1));
    }
}

static void reply_of_two_versions_is_mixed(void **state)
{
    (void)state;
    sl_versions_issue(versions, 9);
    assert_false(reply(0, 0, body(8, 9), 200, 1));
    assert_false(reply(1, 0, body(9, 8), 200, 1));
    assert_int_equal(sl_versions_faults(versions, SL_VERSIONS_MIXED), 2);
    assert_non_null(strstr(sl_versions_first_bad(versions), "two versions"));
    assert_non_null(strstr(sl_versions_first_bad(versions), "v8|v9|"));
}

static void reply_older_than_before_is_backwards_on_that_connection(void **state)
{
    const struct sl_load_probe *probe = sl_versions_probe(versions);
    (void)state;
    sl_versions_issue(versions, 9);
    assert_true(reply(0, 2, body(9, 9), 200, 1));
    assert_false(reply(0, 2, body(8, 8), 200, 2));
    assert_true(reply(0, 3, body(8, 8), 200, 3));
    assert_int_equal(sl_versions_faults(versions, SL_VERSIONS_BACKWARDS), 1);
    /* A new connection knows nothing. */
    probe->opened(probe->ctx, 0, 2);
    assert_true(reply(0, 2, body(8, 8), 200, 4));
}

static void reply_not_given_out_yet_is_unknown(void **state)
{
    (void)state;
    sl_versions_issue(versions, 5);
    assert_false(reply(0, 0, body(6, 6), 200, 1));
    assert_int_equal(sl_versions_faults(versions, SL_VERSIONS_UNKNOWN), 1);
    sl_versions_issue(versions, 6);
    assert_true(reply(0, 0, body(6, 6), 200, 2));
}

static void reply_of_another_form_or_status_is_wrong(void **state)
{
    static const char *const wrong[] = {"",       "v",          "v1",   "v1|",
                                        "v1|v1",  "v1|v1|",     "pong", "v99999999999|v1|",
                                        "x1|v1|", "v1|v1|short"};
    char text[256];
    (void)state;
    sl_versions_issue(versions, 1);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(reply(0, 0, wrong[i], 200, i + 1));
        assert_int_equal(sl_versions_faults(versions, SL_VERSIONS_FORM), i + 1);
    }
    (void)snprintf(text, sizeof(text), "%s.", body(1, 1)); /* one byte too many */
    assert_false(reply(0, 0, text, 200, 50));
    assert_false(reply(0, 0, body(1, 1), 500, 60));
    assert_int_equal(sl_versions_faults(versions, SL_VERSIONS_STATUS), 1);
    assert_true(reply(0, 0, body(1, 1), 200, 70)); /* what was wrong leaves nothing behind */
}

static void sum_after_skipped_versions_says_when_each_was_seen(void **state)
{
    (void)state;
    sl_versions_issue(versions, 4);
    assert_true(reply(0, 0, body(0, 0), 200, 100));
    assert_true(reply(0, 0, body(1, 1), 200, 200));
    assert_true(reply(1, 0, body(0, 0), 200, 250)); /* another worker, still the old one */
    assert_true(reply(1, 0, body(3, 3), 200, 300)); /* 2 was never seen */
    assert_true(reply(0, 0, body(1, 1), 200, 310));
    assert_true(reply(0, 0, body(3, 3), 200, 400));
    sl_versions_sum(versions);
    assert_int_equal(sl_versions_first_ns(versions, 1), 200);
    assert_int_equal(sl_versions_old_ns(versions, 1), 250);
    assert_int_equal(sl_versions_first_ns(versions, 2), 300);
    assert_int_equal(sl_versions_first_ns(versions, 3), 300);
    assert_int_equal(sl_versions_old_ns(versions, 3), 310);
    assert_int_equal(sl_versions_first_ns(versions, 4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define X(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        X(reply_of_one_version_is_good),
        X(reply_in_pieces_at_every_byte_is_the_same),
        X(reply_of_two_versions_is_mixed),
        X(reply_older_than_before_is_backwards_on_that_connection),
        X(reply_not_given_out_yet_is_unknown),
        X(reply_of_another_form_or_status_is_wrong),
        X(sum_after_skipped_versions_says_when_each_was_seen),
#undef X
    };
    return cmocka_run_group_tests_name("bench_versions", tests, NULL, NULL);
}
