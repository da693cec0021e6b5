/* SPDX-License-Identifier: MIT */
/*
 * Numbers at random, the same ones in every run, against the C library: what is read has the bits
 * that strtod and strtoll give, by every parser; what is written reads back to the same bits. The
 * texts stand in lists, where the parsers' fast paths are, alone, and before white space.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "codecs/json/json_private.h"
#include "core/mem/mem.h"
#include "core/mem/out.h"

enum {
    DOUBLES = 200000,
    DECIMALS = 200000,
    INTEGERS = 100000,
};

static uint64_t state = 1;

static uint64_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * UINT64_C(0x2545f4914f6cdd1d);
}

static json_read_fn *const readers[] = {
    NULL,
    json_read_plain,
#if defined(__x86_64__)
    json_read_avx2,
    json_read_avx512,
#endif
};

/* The cell of a number that stands between two pieces of text: the first of a list, or alone. */
static struct sl_cell cell_read(struct sl_mem *mem, json_read_fn *reader, const char *before,
                                const char *number, const char *after)
{
    char text[512];
    struct sl_value value;
    uint32_t duplicates;
    int size = snprintf(text, sizeof(text), "%s%s%s", before, number, after);
    assert_true(size > 0 && (size_t)size < sizeof(text));
    struct sl_diag diag;
    int result = json_parse_with(reader, sl_slice_make(text, (size_t)size), NULL, mem, 0, &value,
                                 &duplicates, &diag);
    if (result != 0) fail_msg("%s: %d", text, result);
    struct sl_value item = value;
    if (sl_value_is(value, SL_VALUE_LIST)) item = sl_value_list_at(value, 0);
    struct sl_cell cell = *item.cell;
    sl_value_unref(value);
    return cell;
}

/* By every parser, in every surrounding: the kind and bits of `expected`. */
static void number_check(struct sl_mem *mem, const char *number, struct sl_cell expected)
{
    static const char *const around[][2] = {
        {"[", "]"}, {"[", ",1234567890123456789]"}, {"[", " \n]"}, {"[          ", "]"}, {"", ""}};
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
        if (readers[i] != NULL && !json_read_can_run(readers[i])) continue;
        for (size_t k = 0; k < sizeof(around) / sizeof(around[0]); k++) {
            struct sl_cell cell = cell_read(mem, readers[i], around[k][0], number, around[k][1]);
            if (cell.kind != expected.kind || cell.word != expected.word) {
                fail_msg("%s by parser %zu: kind %u, %016" PRIx64 ", not %u, %016" PRIx64, number,
                         i, cell.kind, cell.word, expected.kind, expected.word);
            }
        }
    }
}

static struct sl_cell float_cell(double value)
{
    return (struct sl_cell){.kind = SL_VALUE_FLOAT, .f64 = value};
}

static void read_doubles_of_17_digits_gives_their_bits(void **unused)
{
    (void)unused;
    struct sl_mem *mem = sl_mem_new((size_t)1 << 24);
    for (int i = 0; i < DOUBLES; i++) {
        char text[64];
        uint64_t bits = draw();
        double value;
        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value)) continue;
        (void)snprintf(text, sizeof(text), "%.17e", value);
        number_check(mem, text, float_cell(value));
    }
    (void)sl_mem_free(mem);
}

static void write_doubles_reads_back_to_their_bits(void **unused)
{
    (void)unused;
    struct sl_mem *mem = sl_mem_new((size_t)1 << 24);
    struct sl_out out;
    sl_out_init(&out, mem);
    for (int i = 0; i < DOUBLES; i++) {
        uint64_t bits = draw();
        double value;
        memcpy(&value, &bits, sizeof(value));
        if (i % 2 == 1) value = (double)(int64_t)(bits >> 20) / 1000; /* as people write them */
        if (!isfinite(value)) continue;
        struct sl_value made = sl_value_new_float(mem, value);
        out.size = 0;
        assert_int_equal(sl_json_write(made, 0, &out), 0);
        sl_out_append_byte(&out, '\0');
        const char *text = (const char *)out.data;
        double again = strtod(text, NULL);
        assert_memory_equal(&again, &value, sizeof(value));
        assert_true(strlen(text) <= 25);
        struct sl_cell cell = cell_read(mem, json_read_best, "[", text, "]");
        assert_int_equal(cell.kind, SL_VALUE_FLOAT);
        assert_memory_equal(&cell.f64, &value, sizeof(value));
        sl_value_unref(made);
    }
    sl_out_fini(&out);
    (void)sl_mem_free(mem);
}

/* Up to 22 digits with the point anywhere: past each border between the fast paths. */
static void read_decimals_gives_what_strtod_gives(void **unused)
{
    (void)unused;
    struct sl_mem *mem = sl_mem_new((size_t)1 << 24);
    for (int i = 0; i < DECIMALS; i++) {
        char text[64];
        size_t size = 0, whole = draw() % 12, places = 1 + draw() % 11;
        if (draw() % 3 == 0) text[size++] = '-';
        text[size++] = whole == 0 ? '0' : (char)('1' + draw() % 9);
        for (size_t k = 1; k < whole; k++) text[size++] = (char)('0' + draw() % 10);
        text[size++] = '.';
        for (size_t k = 0; k < places; k++) text[size++] = (char)('0' + draw() % 10);
        text[size] = '\0';
        if (draw() % 4 == 0) (void)snprintf(text + size, 8, "e%d", (int)(draw() % 60) - 30);
        number_check(mem, text, float_cell(strtod(text, NULL)));
    }
    (void)sl_mem_free(mem);
}

static void read_integers_of_all_lengths_is_exact(void **unused)
{
    (void)unused;
    struct sl_mem *mem = sl_mem_new((size_t)1 << 24);
    for (int i = 0; i < INTEGERS; i++) {
        char text[64];
        uint64_t value = draw() >> draw() % 64;
        if (i % 8 == 0) value = (i % 16 == 0 ? (uint64_t)INT64_MAX : UINT64_MAX) - draw() % 3;
        (void)snprintf(text, sizeof(text), "%" PRIu64, value);
        uint8_t kind = value > INT64_MAX ? SL_VALUE_UINT : SL_VALUE_INT;
        number_check(mem, text, (struct sl_cell){.kind = kind, .word = value});
        (void)snprintf(text, sizeof(text), "-%" PRIu64, value);
        bool is_int = value > 0 && value <= UINT64_C(1) << 63;
        struct sl_cell cell = {.kind = SL_VALUE_INT, .word = 0 - value};
        number_check(mem, text, is_int ? cell : float_cell(strtod(text, NULL)));
    }
    (void)sl_mem_free(mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_doubles_of_17_digits_gives_their_bits),
        cmocka_unit_test(write_doubles_reads_back_to_their_bits),
        cmocka_unit_test(read_decimals_gives_what_strtod_gives),
        cmocka_unit_test(read_integers_of_all_lengths_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
