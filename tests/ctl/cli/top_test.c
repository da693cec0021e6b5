/* SPDX-License-Identifier: MIT */
/* The live view: rates, order, and that a picture fits its screen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "ctl/cli/top.h"

static const char first_text[] =
    "{\"namespace\":\"default\",\"state\":\"serving\",\"uptime_ms\":1000,\"revision\":3,"
    "\"nodes_count\":2,\"shards\":[{\"index\":0,\"cpu\":1,\"answered\":true,\"cpu_ns\":1000000000,"
    "\"calls\":100,\"errors\":0,\"queue\":0,\"connections\":4,\"stalls\":0,\"memory\":5000,"
    "\"buckets\":[40,100]}],\"nodes\":["
    "{\"path\":\"a\",\"kind\":\"router\",\"calls\":100,\"errors\":0,\"queue\":0,"
    "\"time_ns\":1000,\"time_count\":10,\"buckets\":[30,10]},"
    "{\"path\":\"b\\u001b[2J\",\"kind\":\"snippet\",\"calls\":90,\"errors\":1,\"queue\":2,"
    "\"time_ns\":1000,\"time_count\":10,\"buckets\":[30,10]}]}";
static const char second_text[] =
    "{\"namespace\":\"default\",\"state\":\"serving\",\"uptime_ms\":3000,\"revision\":3,"
    "\"nodes_count\":2,\"shards\":[{\"index\":0,\"cpu\":1,\"answered\":false,\"cpu_ns\":2000000000,"
    "\"calls\":300,\"errors\":0,\"queue\":0,\"connections\":4,\"stalls\":0,\"memory\":5000,"
    "\"buckets\":[40,100,50,200]}],\"nodes\":["
    "{\"path\":\"a\",\"kind\":\"router\",\"calls\":300,\"errors\":0,\"queue\":0,"
    "\"time_ns\":21000,\"time_count\":20,\"buckets\":[30,20]},"
    "{\"path\":\"b\\u001b[2J\",\"kind\":\"snippet\",\"calls\":490,\"errors\":11,\"queue\":2,"
    "\"time_ns\":1000,\"time_count\":10,\"buckets\":[30,10]}]}";

static struct top_sample before;
static struct top_sample now;

static void sample_read(const char *text, uint64_t at_ns, struct top_sample *sample)
{
    struct sl_value value;
    assert_int_equal(sl_json_parse(sl_slice_from_str(text), NULL, NULL, 0, &value, NULL), 0);
    top_sample_read(value, at_ns, sample);
    sl_value_unref(value);
}

static int setup(void **state)
{
    (void)state;
    sample_read(first_text, UINT64_C(10000000000), &before);
    sample_read(second_text, UINT64_C(12000000000), &now);
    return 0;
}

static void compare_rates_are_per_second(void **state)
{
    (void)state;
    top_sample_compare(&now, &before);
    assert_true(now.shards[0].calls_s == 100);
    assert_true(now.shards[0].cpu == 0.5);
    assert_true(now.shards[0].is_late);
    assert_true(now.shards[0].p50_ns >= sl_histogram_floor(50)); /* of the interval alone */
    assert_true(now.nodes[0].calls_s == 100);
    /* 10 timed calls took 20 µs, so 200 took 400 µs of two seconds. */
    assert_true(now.nodes[0].cpu > 0.000199);
    assert_true(now.nodes[0].cpu < 0.000201);
    assert_true(now.nodes[1].errors_s == 5);
    assert_true(now.nodes[1].cpu == 0);
}

static void compare_without_before_is_since_the_start(void **state)
{
    (void)state;
    top_sample_compare(&now, NULL);
    assert_true(now.shards[0].calls_s == 100);
    assert_true(now.nodes[0].calls_s == 100);
}

static void compare_counter_that_began_anew_is_not_negative(void **state)
{
    (void)state;
    top_sample_compare(&before, &now);
    assert_true(before.nodes[0].calls_s >= 0);
}

static void arrange_sorts_and_filters(void **state)
{
    (void)state;
    struct top_look look = {.sort = TOP_BY_CALLS};
    top_sample_compare(&now, &before);
    top_sample_arrange(&now, &look);
    assert_int_equal(now.nodes[0].name[0], 'b');
    look.sort = TOP_BY_CPU;
    top_sample_arrange(&now, &look);
    assert_int_equal(now.nodes[0].name[0], 'a');
    (void)snprintf(look.filter, sizeof(look.filter), "SNIP");
    top_sample_arrange(&now, &look);
    assert_int_equal(now.nodes_rows, 1);
    assert_int_equal(now.nodes[0].name[0], 'b');
}

/* Places that lines take, escape sequences not counted; the longest. */
static uint32_t widest(const struct sl_out *out, uint32_t *ret_lines)
{
    uint32_t widest_line = 0;
    uint32_t places = 0;
    *ret_lines = 1;
    for (size_t i = 0; i < out->size; i++) {
        if (out->data[i] == 0x1b) {
            while (i < out->size && (out->data[i] < 'A' || out->data[i] == '[')) i++;
        } else if (out->data[i] == '\n') {
            places = 0;
            (*ret_lines)++;
        } else if (out->data[i] >= 0x20) {
            if (++places > widest_line) widest_line = places;
        }
    }
    return widest_line;
}

static void draw_small_screen_is_not_left(void **state)
{
    (void)state;
    for (uint32_t lines = 2; lines < 12; lines++) {
        struct top_look look = {.lines = lines, .columns = 30, .interval_ms = 1000};
        struct sl_out out;
        uint32_t drawn;
        sl_out_init(&out, NULL);
        top_sample_compare(&now, &before);
        top_draw(&now, &look, &out);
        /* The line of keys begins anew in the first column. */
        assert_true(widest(&out, &drawn) <= 2 * 30);
        assert_true(drawn <= lines);
        sl_out_fini(&out);
    }
}

/* What was seen last stays, and it is said that it is old. */
static void draw_of_a_lost_runtime_says_so(void **state)
{
    (void)state;
    struct top_look look = {.lines = 10, .columns = 80, .interval_ms = 500, .is_lost = true};
    struct sl_out out;
    sl_out_init(&out, NULL);
    top_sample_compare(&now, &before);
    top_draw(&now, &look, &out);
    assert_non_null(
        memmem(out.data, out.size, "default  does not answer; asking again every 0.5", 48));
    assert_non_null(memmem(out.data, out.size, "router", 6));
    sl_out_fini(&out);
}

/* Columns stand below each other whatever letters a name has. */
static void draw_wide_names_keep_the_columns(void **state)
{
    (void)state;
    struct top_look look = {.interval_ms = 1000};
    struct sl_out out;
    (void)snprintf(now.nodes[0].name, sizeof(now.nodes[0].name), "응답-노드-größe");
    sl_out_init(&out, NULL);
    top_sample_compare(&now, &before);
    top_draw(&now, &look, &out);
    /* 4 + 1 + 4 + 1 + 5 places of 32, and a space. */
    assert_non_null(memmem(out.data, out.size, "größe                  router", 5 + 2 + 18 + 6));
    sl_out_fini(&out);
}

static void draw_names_bring_no_escape_sequences(void **state)
{
    (void)state;
    struct top_look look = {.interval_ms = 1000};
    struct sl_out out;
    sl_out_init(&out, NULL);
    top_sample_compare(&now, &before);
    top_draw(&now, &look, &out);
    assert_null(memchr(out.data, 0x1b, out.size));
    assert_non_null(memmem(out.data, out.size, "b?[2J", 5));
    assert_non_null(memmem(out.data, out.size, "does not answer", 15));
    sl_out_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(compare_rates_are_per_second, setup),
        cmocka_unit_test_setup(compare_without_before_is_since_the_start, setup),
        cmocka_unit_test_setup(compare_counter_that_began_anew_is_not_negative, setup),
        cmocka_unit_test_setup(arrange_sorts_and_filters, setup),
        cmocka_unit_test_setup(draw_small_screen_is_not_left, setup),
        cmocka_unit_test_setup(draw_of_a_lost_runtime_says_so, setup),
        cmocka_unit_test_setup(draw_wide_names_keep_the_columns, setup),
        cmocka_unit_test_setup(draw_names_bring_no_escape_sequences, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
