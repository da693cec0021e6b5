/* SPDX-License-Identifier: MIT */
/* W3C Trace Context: what is taken over, what is refused, what is passed on. */
#include "codecs/text/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOOD "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static const struct sl_span_seed seed = {{UINT64_C(0x0123456789abcdef), 42}, 7};

static int take(const char *text, struct sl_span *ret_span)
{
    /* A copy of its exact size: reading beyond it is noticed. */
    size_t size = strlen(text);
    char *copy = malloc(size + 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    int r = sl_span_take(&seed, sl_slice_make(copy, size), ret_span);
    free(copy);
    return r;
}

static void span_take_valid_reads_back(void **state)
{
    (void)state;
    struct sl_span span, child;
    char text[SL_TRACEPARENT_SIZE];
    assert_int_equal(take(GOOD, &span), 0);
    assert_int_equal(span.trace_id[0], 0x4b);
    assert_int_equal(span.trace_id[15], 0x36);
    assert_memory_equal(span.parent, "\x00\xf0\x67\xaa\x0b\xa9\x02\xb7", 8);
    assert_int_equal(span.flags, SL_SPAN_SAMPLED);
    assert_false(sl_span_is_root(&span));
    sl_span_write(&span, text);
    assert_memory_equal(text, GOOD, 36);     /* version and trace id */
    assert_memory_not_equal(text, GOOD, 52); /* the caller is another one: we are */
    assert_memory_equal(text + 52, "-01", 3);
    struct sl_span_seed other = {{1, 2}, 3};
    sl_span_child(&span, &other, &child);
    assert_memory_equal(child.trace_id, span.trace_id, 16);
    assert_memory_equal(child.parent, span.id, 8);
    assert_memory_not_equal(child.id, span.id, 8);
    assert_int_equal(child.flags, span.flags);
}

static void span_take_flags_keeps_those_that_are_known(void **state)
{
    (void)state;
    struct sl_span span;
    assert_int_equal(take("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", &span), 0);
    assert_int_equal(span.flags, 0);
    assert_int_equal(take("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff", &span), 0);
    assert_int_equal(span.flags, SL_SPAN_SAMPLED | SL_SPAN_RANDOM);
    assert_int_equal(take("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02", &span), 0);
    assert_int_equal(span.flags, SL_SPAN_RANDOM);
}

static void span_take_later_version_reads_what_is_known(void **state)
{
    (void)state;
    struct sl_span span;
    char text[SL_TRACEPARENT_SIZE];
    assert_int_equal(take("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", &span), 0);
    assert_int_equal(
        take("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes", &span), 0);
    assert_int_equal(take("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-", &span), 0);
    sl_span_write(&span, text);
    assert_memory_equal(text, "00-", 3); /* we speak version 00 */
}

static void span_take_malformed_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "00",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "FF-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0A",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736a-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1x",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
        "00-4bf92f3577b34da6a3ce929d0e0e473.-00f067aa0ba902b7-01",
        GOOD "," GOOD,
        " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct sl_span span;
        memset(&span, 0xa5, sizeof(span));
        if (take(bad[i], &span) == 0) fail_msg("taken: %s", bad[i]);
        assert_int_equal(span.flags, 0xa5);
    }
    /* Every byte of a good one matters. */
    for (size_t i = 0; i < SL_TRACEPARENT_SIZE; i++) {
        struct sl_span span;
        char text[] = GOOD;
        text[i] = 'X';
        assert_int_not_equal(take(text, &span), 0);
        text[i] = '\0';
        assert_int_not_equal(take(text, &span), 0);
    }
}

static void span_make_numbers_give_other_ids(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    static struct sl_span spans[COUNT];
    struct sl_span_seed own = {{3, 4}, 0};
    uint32_t bits = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        own.number = i;
        sl_span_make(&own, &spans[i]);
        assert_true(sl_span_is_root(&spans[i]));
        assert_int_equal(spans[i].flags, SL_SPAN_RANDOM);
        for (uint32_t j = 0; j < 16; j++)
            bits += (uint32_t)__builtin_popcount(spans[i].trace_id[j]);
        for (uint32_t j = 0; j < i; j++) {
            assert_memory_not_equal(spans[i].trace_id, spans[j].trace_id, 16);
            assert_memory_not_equal(spans[i].id, spans[j].id, 8);
        }
    }
    /* Half of the 256,000 bits are set: 128,000, standard deviation 253. */
    assert_in_range(bits, 128000 - 2000, 128000 + 2000);
    struct sl_span again;
    own.number = 5;
    sl_span_make(&own, &again);
    assert_memory_equal(&again, &spans[5], sizeof(again));
}

static const char *state_of(const char *first, const char *second)
{
    static struct sl_tracestate got;
    static char text[SL_TRACESTATE_SIZE_MAX + 1];
    struct sl_slice texts[2] = {sl_slice_from_str(first),
                                sl_slice_from_str(second != NULL ? second : "")};
    sl_tracestate_take(texts, second != NULL ? 2 : 1, &got);
    assert_true(got.size <= SL_TRACESTATE_SIZE_MAX);
    memcpy(text, got.text, got.size);
    text[got.size] = '\0';
    return text;
}

static void tracestate_take_members_are_passed_on(void **state)
{
    (void)state;
    assert_string_equal(state_of("", NULL), "");
    assert_string_equal(state_of("a=1", NULL), "a=1");
    assert_string_equal(state_of(" rojo=00f067 ,\tcongo=t61rcWkgMzE\t", NULL),
                        "rojo=00f067,congo=t61rcWkgMzE");
    assert_string_equal(state_of("a=1,,b=2, ,", "c=3"), "a=1,b=2,c=3");
    assert_string_equal(state_of("t1@v=x,0a*/_-=y", NULL), "t1@v=x,0a*/_-=y");
    assert_string_equal(state_of("a= inner space", NULL), "a= inner space");
    assert_string_equal(state_of("a=1,a=2", NULL), "a=1,a=2"); /* whose they are, we do not know */
}

static void tracestate_take_malformed_passes_nothing_on(void **state)
{
    (void)state;
    static const char *const bad[] = {"a",      "=1",      "a=",        "A=1",        "a=1=2",
                                      "a b=1",  "a@b@c=1", "a@=1",      "@a=1",       "a=\x7f",
                                      "a=\x01", "-a=1",    "a=1;b=2,c", "\xc3\xa9=1", "a=\xc3\xa9"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (state_of(bad[i], NULL)[0] != '\0') fail_msg("passed on: %s", bad[i]);
        assert_string_equal(state_of("good=1", bad[i]), "");
    }
    char many[256] = "";
    for (int i = 0; i < 33; i++) strcat(many, i > 0 ? ",a=1" : "a=1");
    assert_string_equal(state_of(many, NULL), "");
    many[strlen(many) - 4] = '\0';
    assert_string_equal(state_of(many, NULL), many);
}

static void tracestate_take_too_long_drops_large_members_first(void **state)
{
    (void)state;
    char text[1024], large[151], expected[1024];
    memset(large, 'x', 150);
    large[150] = '\0';
    snprintf(text, sizeof(text), "a=1,l=%s,b=2,m=%s,c=3,n=%s,o=%s", large, large, large, large);
    snprintf(expected, sizeof(expected), "a=1,l=%s,b=2,m=%s,c=3,n=%s", large, large, large);
    assert_string_equal(state_of(text, NULL), expected);
    large[100] = '\0'; /* none is large: from the end */
    snprintf(text, sizeof(text), "a=%s,b=%s,c=%s,d=%s,e=%s,f=1", large, large, large, large, large);
    snprintf(expected, sizeof(expected), "a=%s,b=%s,c=%s,d=%s", large, large, large, large);
    assert_string_equal(state_of(text, NULL), expected);
}

/* Four bytes go at once, the rest one by one: each byte at each place says the same. */
static void span_hex_of_every_byte_at_every_place_is_right(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t size = 0; size <= 9; size++) {
            uint8_t bytes[9];
            char text[2 * sizeof(bytes) + 1];
            char expected[2 * sizeof(bytes) + 1] = "";
            for (size_t i = 0; i < size; i++) {
                bytes[i] = (uint8_t)(byte + i * 29);
                (void)sprintf(expected + 2 * i, "%02x", bytes[i]);
            }
            memset(text, '!', sizeof(text));
            sl_span_hex(bytes, size, text);
            assert_memory_equal(text, expected, 2 * size);
            assert_int_equal(text[2 * size], '!');
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(span_hex_of_every_byte_at_every_place_is_right),
        cmocka_unit_test(span_take_valid_reads_back),
        cmocka_unit_test(span_take_flags_keeps_those_that_are_known),
        cmocka_unit_test(span_take_later_version_reads_what_is_known),
        cmocka_unit_test(span_take_malformed_is_refused),
        cmocka_unit_test(span_make_numbers_give_other_ids),
        cmocka_unit_test(tracestate_take_members_are_passed_on),
        cmocka_unit_test(tracestate_take_malformed_passes_nothing_on),
        cmocka_unit_test(tracestate_take_too_long_drops_large_members_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
