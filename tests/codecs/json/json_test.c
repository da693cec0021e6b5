/* SPDX-License-Identifier: MIT */
/*
 * JSON read, written, read in pieces. Every text here is also cut at every point and fed to the
 * stream, and read by each of the fast parsers: the results must be one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "core/mem/mem.h"
#include "core/mem/out.h"
#include "tests/codecs/json/json_check.h"

static int mem_setup(void **state)
{
    *state = sl_mem_new(1024 * 1024 * 1024);
    return *state == NULL;
}

static int mem_teardown(void **state)
{
    struct sl_mem_stats stats;
    sl_mem_stats_get(*state, &stats);
    *state = sl_mem_free(*state);
    return stats.used != 0;
}

static struct sl_value parse(struct sl_mem *mem, const char *text)
{
    struct sl_value value = sl_value_none();
    struct sl_diag diag = {0};
    json_check_text(mem, sl_slice_from_str(text));
    if (sl_json_parse(sl_slice_from_str(text), NULL, mem, 0, &value, &diag) != 0) {
        fail_msg("%s: %s", text, diag.text);
    }
    return value;
}

static void assert_writes(struct sl_value value, uint32_t flags, const char *expected)
{
    struct sl_out out;
    uint64_t size = 0;
    sl_out_init(&out, NULL);
    assert_int_equal(sl_json_write(value, flags, &out), 0);
    assert_int_equal(sl_json_size(value, flags, &size), 0);
    assert_int_equal(size, out.size);
    if (!sl_slice_eq_str(sl_slice_make(out.data, out.size), expected)) {
        fail_msg("%.*s instead of %s", (int)out.size, (const char *)out.data, expected);
    }
    sl_out_fini(&out);
}

static void parse_numbers_keep_kind_and_bits(void **state)
{
    static const struct {
        const char *text;
        enum sl_value_kind kind;
        uint64_t word; /* of integers */
        double f64;
    } cases[] = {
        {"0", SL_VALUE_INT, 0, 0},
        {"-1", SL_VALUE_INT, (uint64_t)-1, 0},
        {"9223372036854775807", SL_VALUE_INT, INT64_MAX, 0},
        {"9223372036854775808", SL_VALUE_UINT, UINT64_C(1) << 63, 0},
        {"18446744073709551615", SL_VALUE_UINT, UINT64_MAX, 0},
        {"18446744073709551616", SL_VALUE_FLOAT, 0, 18446744073709551616.0},
        {"-9223372036854775808", SL_VALUE_INT, UINT64_C(1) << 63, 0},
        {"-9223372036854775809", SL_VALUE_FLOAT, 0, -9223372036854775808.0},
        {"123456789012345678901234567890", SL_VALUE_FLOAT, 0, 1.2345678901234568e29},
        {"-0", SL_VALUE_FLOAT, 0, -0.0},
        {"-0.0", SL_VALUE_FLOAT, 0, -0.0},
        {"1.0", SL_VALUE_FLOAT, 0, 1.0},
        {"1e2", SL_VALUE_FLOAT, 0, 100.0},
        {"1E+2", SL_VALUE_FLOAT, 0, 100.0},
        {"0.1", SL_VALUE_FLOAT, 0, 0.1},
        {"5e-324", SL_VALUE_FLOAT, 0, 5e-324},
        {"1e-400", SL_VALUE_FLOAT, 0, 0.0},
        {"1.7976931348623157e308", SL_VALUE_FLOAT, 0, 1.7976931348623157e308},
        {"3.141592653589793238462643383279", SL_VALUE_FLOAT, 0, 3.141592653589793},
        {"12345678", SL_VALUE_INT, 12345678, 0},
        {"1234567.8", SL_VALUE_FLOAT, 0, 1234567.8},
        {"0.12345678901234567890123", SL_VALUE_FLOAT, 0, 0.12345678901234568},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_value value = parse(*state, cases[i].text);
        assert_int_equal(sl_value_kind(value), cases[i].kind);
        if (cases[i].kind == SL_VALUE_FLOAT) {
            assert_memory_equal(&value.cell->f64, &cases[i].f64, 8);
        } else {
            assert_true(value.cell->word == cases[i].word);
        }
        sl_value_unref(value);
    }
}

static void parse_strings_unescape(void **state)
{
    static const struct {
        const char *text;
        const char *expected;
        size_t size;
    } cases[] = {
        {"\"\"", "", 0},
        {"\"plain\"", "plain", 5},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8},
        {"\"\\u0041\\u00e4\\u65e5\\u0000\"", "A\xc3\xa4\xe6\x97\xa5\0", 7},
        {"\"\\uD83D\\uDE00\"", "\xf0\x9f\x98\x80", 4},
        {"\"\\ud83d\"", "\xef\xbf\xbd", 3},
        {"\"\\ud83dx\"", "\xef\xbf\xbdx", 4},
        {"\"\\ud83d\\n\"", "\xef\xbf\xbd\n", 4},
        {"\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80", 7},
        {"\"\\ude00\\ud83d\"", "\xef\xbf\xbd\xef\xbf\xbd", 6},
        {"\"\\ud83d\\u0041\"",
         "\xef\xbf\xbd"
         "A",
         4},
        {"\"\xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80 \x7f\"",
         "\xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80 \x7f", 13},
        {"\"a string of more than thirty-two bytes, so that blocks are crossed \\n twice \\t\"",
         "a string of more than thirty-two bytes, so that blocks are crossed \n twice \t", 76},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_value value = parse(*state, cases[i].text);
        struct sl_slice slice = sl_value_slice(value);
        assert_true(sl_slice_eq(slice, sl_slice_make(cases[i].expected, cases[i].size)));
        sl_value_unref(value);
    }
}

static void parse_wrong_text_says_where(void **state)
{
    static const struct {
        const char *text;
        uint32_t line, column;
        const char *expected;
    } cases[] = {
        {"", 1, 1, "ends too early"},
        {"  \n ", 2, 2, "ends too early"},
        {"{\"a\":1,\n  \"b\" 2}", 2, 7, "expected ':'"},
        {"[1,\n2,\n]", 3, 1, "expected a value"},
        {"[1 2]", 1, 4, "expected ',' or ']'"},
        {"{\"a\":1 \"b\"}", 1, 8, "expected ',' or '}'"},
        {"{a:1}", 1, 2, "key in double quotes"},
        {"{\"a\":1,}", 1, 8, "key in double quotes"},
        {"\"\x01\"", 1, 2, "control character"},
        {"\"\\x\"", 1, 3, "unknown escape"},
        {"\"\\u12g4\"", 1, 6, "four hexadecimal"},
        {"\"\xff\"", 1, 2, "not UTF-8"},
        {"\"\xc3\"", 1, 3, "not UTF-8"},
        {"\"\xed\xa0\x80\"", 1, 3, "not UTF-8"},
        {"01", 1, 2, "not a number"},
        {"1.", 1, 3, "ends too early"},
        {"1.x", 1, 3, "not a number"},
        {"-x", 1, 2, "not a number"},
        {"1e400", 1, 6, "too large"},
        {"tru", 1, 4, "ends too early"},
        {"trux", 1, 4, "expected a value"},
        {"true x", 1, 6, "text after the end"},
        {"nulll", 1, 5, "text after the end"},
        {"\xef\xbb\xbf{}", 1, 1, "expected a value"},
        {"[1}", 1, 3, "expected ',' or ']'"},
        {"{]", 1, 2, "key in double quotes"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_diag diag = {0};
        struct sl_value value;
        struct sl_slice text = sl_slice_from_str(cases[i].text);
        json_check_text(*state, text);
        assert_int_equal(sl_json_parse(text, NULL, *state, 0, &value, &diag), -EINVAL);
        assert_int_equal(sl_json_parse(text, NULL, *state, 0, &value, NULL), -EINVAL);
        if (diag.pos.line != cases[i].line || diag.pos.column != cases[i].column ||
            strstr(diag.text, cases[i].expected) == NULL) {
            fail_msg("%s: %u:%u: %s", cases[i].text, diag.pos.line, diag.pos.column, diag.text);
        }
    }
}

static void parse_depth_limit_holds(void **state)
{
    char text[2 * 130 + 1];
    for (int depth = 127; depth <= 130; depth++) {
        for (int kind = 0; kind < 2; kind++) {
            struct sl_value value;
            struct sl_diag diag = {0};
            memset(text, kind ? '{' : '[', (size_t)depth);
            memset(text + depth, kind ? '}' : ']', (size_t)depth);
            if (kind) continue;
            text[2 * depth] = 0;
            json_check_text(*state, sl_slice_from_str(text));
            int result = sl_json_parse(sl_slice_from_str(text), NULL, *state, 0, &value, &diag);
            assert_int_equal(result, depth > SL_PAYLOAD_DEPTH_MAX ? -E2BIG : 0);
            if (result == 0) sl_value_unref(value);
        }
    }
}

/* A map of `pairs` keys; every third value is a list; `twice` stands again at the end, if it can. */
static struct sl_slice map_write(char *text, size_t cap, unsigned pairs, unsigned seed,
                                 unsigned twice)
{
    size_t size = 0;
    for (unsigned i = 0; i <= pairs; i++) {
        unsigned number = i < pairs ? i : twice;
        if (number >= pairs) break;
        size +=
            (size_t)snprintf(text + size, cap - size, "%c\"key_%u\":%s%u%s", i > 0 ? ',' : '{',
                             number * 7919 + seed, i % 3 == 0 ? "[" : "", i, i % 3 == 0 ? "]" : "");
    }
    size += (size_t)snprintf(text + size, cap - size, "}");
    return sl_slice_make(text, size);
}

static void parse_map_with_index_finds_every_key(void **state)
{
    char text[4096], key[32];
    for (unsigned pairs = 1; pairs <= 72; pairs++) {
        for (unsigned seed = 0; seed < 24; seed++) {
            struct sl_value map;
            unsigned twice = seed % 2 == 0 ? pairs : seed;
            struct sl_slice slice = map_write(text, sizeof(text), pairs, seed, twice);
            if (seed < 3) assert_int_equal(json_check_text(*state, slice), 0);
            struct sl_value owner = sl_value_new_int(*state, 0);
            assert_int_equal(sl_json_parse(slice, owner.buf, *state, 0, &map, NULL), 0);
            assert_int_equal(sl_value_count(map), pairs);
            for (unsigned i = 0; i < pairs; i++) {
                unsigned number = i == twice ? pairs : i;
                (void)snprintf(key, sizeof(key), "key_%u", i * 7919 + seed);
                struct sl_value value = sl_value_get_str(map, key);
                assert_non_null(value.cell);
                if (number % 3 == 0) value = sl_value_list_at(value, 0);
                assert_int_equal(value.cell->i64, number);
            }
            sl_value_unref(map);
            sl_value_unref(owner);
        }
    }
}

static void parse_duplicates_last_wins_and_counts(void **state)
{
    struct sl_value value;
    uint32_t duplicates = 0;
    struct sl_slice text = SL_SLICE("{\"a\":1,\"b\":{\"x\":1,\"x\":2},\"\\u0061\":3}");
    json_check_text(*state, text);
    assert_int_equal(sl_json_parse_counted(text, NULL, *state, 0, &value, &duplicates, NULL), 0);
    assert_int_equal(duplicates, 2);
    assert_writes(value, 0, "{\"a\":3,\"b\":{\"x\":2}}");
    sl_value_unref(value);
}

static void parse_round_trip_keeps_text(void **state)
{
    static const char *const texts[] = {
        "null",
        "true",
        "false",
        "0",
        "[]",
        "{}",
        "[[],{},[{}]]",
        "\"\"",
        "{\"z\":1,\"a\":2,\"m\":[1,2.5,\"x\",null,true,false]}",
        "[9223372036854775807,-9223372036854775808,18446744073709551615]",
        "{\"empty\":{},\"list\":[],\"nested\":{\"empty\":{},\"list\":[]}}",
        "[-0.0,0.1,1e21,1e-7,100.0,5e-324]",
        "{\"\\\"\":\"\\\\ \\b\\f\\n\\r\\t\\u0001\\u001f\",\"/\":\"\x7f\xc3\xa4\"}",
        "{\"1\":1,\"2\":2,\"3\":3,\"4\":4,\"5\":5,\"6\":6,\"7\":7,\"8\":8,\"9\":9,\"10\":10,\"11\":"
        "11,"
        "\"12\":12,\"13\":13,\"14\":14,\"15\":15,\"16\":16,\"17\":17,\"18\":18}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sl_value value = parse(*state, texts[i]);
        assert_writes(value, 0, texts[i]);
        sl_value_unref(value);
    }
}

static void parse_white_space_everywhere(void **state)
{
    struct sl_value value =
        parse(*state, " \t\r\n{ \"a\" : [ 1 , 2 ] ,\n\"b\"\t:\r{ } , \"c\" : \"x\" }\n ");
    assert_writes(value, 0, "{\"a\":[1,2],\"b\":{},\"c\":\"x\"}");
    sl_value_unref(value);
}

/* Strings without escapes are slices of the text they came from. */
static void parse_owner_borrows_strings(void **state)
{
    const char text[] =
        "{\"key\":\"a string that is borrowed from its text\",\"other\":\"es\\ncaped\"}";
    struct sl_value owner = sl_value_new_string(*state, text, sizeof(text) - 1);
    struct sl_slice source = sl_value_slice(owner);
    struct sl_value value;
    assert_int_equal(sl_json_parse(source, owner.buf, *state, 0, &value, NULL), 0);
    assert_int_equal(owner.buf->refs, 2);
    sl_value_unref(owner);
    struct sl_slice string = sl_value_slice(sl_value_get_str(value, "key"));
    assert_true(string.data >= source.data && string.data < source.data + source.size);
    assert_writes(value, 0, text);
    sl_value_unref(value);
}

static void parse_positions_are_kept(void **state)
{
    struct sl_value value;
    struct sl_slice text = SL_SLICE("{\n  \"a\": 1,\n  \"list\": [true,\n    {\"x\": \"y\"}]\n}");
    assert_int_equal(sl_json_parse(text, NULL, *state, SL_JSON_POSITIONS, &value, NULL), 0);
    struct sl_value list = sl_value_get_str(value, "list");
    struct sl_value y = sl_value_get_str(sl_value_list_at(list, 1), "x");
    assert_int_equal(sl_value_pos(value).line, 1);
    assert_int_equal(sl_value_key_pos(value, 0).line, 2);
    assert_int_equal(sl_value_key_pos(value, 0).column, 3);
    assert_int_equal(sl_value_pos(sl_value_get_str(value, "a")).column, 8);
    assert_int_equal(sl_value_pos(list).line, 3);
    assert_int_equal(sl_value_pos(list).column, 11);
    assert_int_equal(sl_value_pos(sl_value_list_at(list, 0)).column, 12);
    assert_int_equal(sl_value_pos(sl_value_list_at(list, 1)).line, 4);
    assert_int_equal(sl_value_pos(y).column, 11);
    sl_value_unref(value);
}

static void parse_no_memory_fails(void **state)
{
    (void)state;
    static char text[600001];
    memset(text, '[', 1);
    for (int i = 0; i < 200000; i++) memcpy(text + 1 + 3 * i, "10,", 3);
    text[600000] = ']';
    for (int owner = 0; owner < 2; owner++) {
        struct sl_mem *mem = sl_mem_new(1024 * 1024);
        struct sl_value value;
        struct sl_buf *buf = NULL;
        if (owner) buf = sl_value_new_int(mem, 1).buf;
        int result = sl_json_parse(sl_slice_make(text, sizeof(text)), buf, mem, 0, &value, NULL);
        assert_int_equal(result, -ENOMEM);
        sl_buf_unref(buf);
        struct sl_mem_stats stats;
        sl_mem_stats_get(mem, &stats);
        assert_int_equal(stats.used, 0);
        sl_mem_free(mem);
    }
}

/* Long texts of every length around the blocks, cut off behind each byte. */
static void parse_every_length_and_cut(void **state)
{
    char text[400];
    for (size_t size = 0; size < 140; size++) {
        static const char *const forms[] = {"[\"%.*s\"]", "{\"%.*s\":1}", "[1,\"%.*s\\n\",2]",
                                            "  \"%.*s\xc3\xa4\"  "};
        static const char filler[] =
            "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789"
            "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789";
        for (size_t form = 0; form < 4; form++) {
            int length = snprintf(text, sizeof(text), forms[form], (int)size, filler);
            for (int cut = length; cut >= length - 3 && cut >= 0; cut--) {
                json_check_text(*state, sl_slice_make(text, (size_t)cut));
            }
        }
    }
    for (size_t digits = 1; digits < 40; digits++) {
        static const char *const forms[] = {"%.*s",      "-%.*s",    "[%.*s,1]",
                                            "%.*s.5",    "0.%.*s",   "%.*se5",
                                            "1.5e-%.*s", "[1.%.*s]", "%.*s.%.*se-3"};
        static const char filler[] = "1234567890123456789012345678901234567890";
        for (size_t form = 0; form < sizeof(forms) / sizeof(forms[0]); form++) {
            int length =
                snprintf(text, sizeof(text), forms[form], (int)digits, filler, (int)digits, filler);
            json_check_text(*state, sl_slice_make(text, (size_t)length));
        }
    }
}

/*
 * Deep stacks of waiting cells with a large map on top: its index has to grow the stack, and the
 * builder's stack may move at any place of a text.
 */
static void parse_stack_grows_anywhere(void **state)
{
    static char text[200000];
    for (int before = 0; before < 140; before++) {
        size_t size = 0;
        text[size++] = '[';
        for (int i = 0; i < before; i++) size += (size_t)sprintf(text + size, "%d,", i);
        text[size++] = '{';
        for (int i = 0; i < 40; i++) {
            size += (size_t)sprintf(text + size, "\"key-%d\":[%d,{\"a\":\"\\n\"}],", i, i);
        }
        size += (size_t)sprintf(text + size, "\"key-1\":\"x\"},1,\"end\"]");
        struct sl_value value;
        json_check_text(*state, sl_slice_make(text, size));
        assert_int_equal(sl_json_parse(sl_slice_make(text, size), NULL, *state, 0, &value, NULL),
                         0);
        struct sl_value map = sl_value_list_at(value, (uint32_t)before);
        assert_int_equal(sl_value_count(map), 40);
        assert_int_equal(sl_value_count(value), before + 3);
        sl_value_unref(value);
    }
}

/* Valid texts with one byte changed: all parsers must still agree. */
static void parse_damaged_texts_agree(void **state)
{
    static const char *const texts[] = {
        "{\"a\":[1,-2.5e3,true,null,\"x\\u00e4\\n\"],\"bb\":{\"c\":false}}",
        "[\"a string of more than thirty-two bytes \xe6\x97\xa5\xe6\x9c\xac\", 12345678901, 0.25]",
        "  { \"k\" : \"\\ud83d\\ude00\" , \"l\" : [ ] , \"k\" : 1e5 }  ",
    };
    static const char bytes[] = "\"\\{}[],:0e-.tu \n\x01\x7f\x80\xc3\xff";
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char text[200];
        size_t size = strlen(texts[i]);
        for (size_t at = 0; at < size; at++) {
            for (size_t j = 0; j < sizeof(bytes); j++) {
                memcpy(text, texts[i], size);
                text[at] = bytes[j];
                json_check_text(*state, sl_slice_make(text, size));
            }
        }
    }
}

static void write_kinds_json_does_not_have(void **state)
{
    struct sl_builder builder;
    struct sl_value value;
    sl_builder_init(&builder, *state, 0, 0);
    sl_build_list_begin(&builder);
    sl_build_float(&builder, NAN);
    sl_build_float(&builder, INFINITY);
    sl_build_float(&builder, -INFINITY);
    sl_build_binary(&builder, "", 0);
    sl_build_binary(&builder, "f", 1);
    sl_build_binary(&builder, "fo", 2);
    sl_build_binary(&builder, "foo", 3);
    sl_build_binary(&builder, "\xfb\xff\xfe", 3);
    sl_build_time(&builder, 0, 0);
    sl_build_time(&builder, 1795252138, 500000000);
    sl_build_time(&builder, -1, 1);
    sl_build_time(&builder, 951782400, 0); /* a leap day of a year divisible by 400 */
    sl_build_time(&builder, INT64_C(253402300800), 0);
    sl_build_time(&builder, INT64_C(-62167219201), 0);
    sl_build_duration(&builder, 1, 500000000);
    sl_build_duration(&builder, -1, 500000000);
    sl_build_duration(&builder, -2, 250000000);
    sl_build_duration(&builder, 3600, 0);
    sl_build_duration(&builder, -3600, 0);
    sl_build_list_end(&builder);
    assert_int_equal(sl_builder_finish(&builder, &value), 0);
    assert_writes(value, 0,
                  "[null,null,null,\"\",\"Zg==\",\"Zm8=\",\"Zm9v\",\"+//+\","
                  "\"1970-01-01T00:00:00Z\",\"2026-11-21T09:08:58.5Z\","
                  "\"1969-12-31T23:59:59.000000001Z\",\"2000-02-29T00:00:00Z\","
                  "\"+10000-01-01T00:00:00Z\",\"-0001-12-31T23:59:59Z\","
                  "\"1.5s\",\"-0.5s\",\"-1.75s\",\"3600s\",\"-3600s\"]");
    sl_value_unref(value);
}

static void write_error_with_causes(void **state)
{
    struct sl_builder builder;
    struct sl_value error, cause = sl_value_new_error(*state, "inner", 0, "the \"cause\"");
    sl_builder_init(&builder, *state, 0, 0);
    sl_build_list_begin(&builder);
    sl_build_error(&builder, SL_SLICE("outer"), SL_SLICE("failed"), cause, cause, 404);
    sl_build_list_end(&builder);
    assert_int_equal(sl_builder_finish(&builder, &error), 0);
    assert_writes(error, 0,
                  "[{\"error\":{\"code\":\"outer\",\"message\":\"failed\",\"status\":404,"
                  "\"data\":{\"error\":{\"code\":\"inner\",\"message\":\"the \\\"cause\\\"\"}},"
                  "\"cause\":{\"code\":\"inner\",\"message\":\"the \\\"cause\\\"\"}}}]");
    assert_writes(
        cause, SL_JSON_PRETTY,
        "{\"error\": {\n  \"code\": \"inner\",\n  \"message\": \"the \\\"cause\\\"\"\n}}");
    sl_value_unref(error);
    sl_value_unref(cause);
}

static void write_pretty(void **state)
{
    struct sl_value value = parse(*state, "{\"a\":[1,[],{}],\"b\":{\"c\":null}}");
    assert_writes(
        value, SL_JSON_PRETTY,
        "{\n  \"a\": [\n    1,\n    [],\n    {}\n  ],\n  \"b\": {\n    \"c\": null\n  }\n}");
    sl_value_unref(value);
}

static void write_bytes_that_are_not_utf8(void **state)
{
    struct sl_value value = sl_value_new_string(*state, "a\xff\xc3(\xe6\x97", 6);
    assert_writes(value, 0, "\"a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\"");
    sl_value_unref(value);
}

/* Every character below 0x100 at every place of a block. */
static void write_escapes_at_every_place(void **state)
{
    for (size_t place = 0; place < 70; place++) {
        for (int byte = 0; byte < 0x80; byte++) {
            char text[80];
            memset(text, 'x', sizeof(text));
            text[place] = (char)byte;
            struct sl_value value = sl_value_new_string(*state, text, 70), again;
            struct sl_out out;
            sl_out_init(&out, *state);
            assert_int_equal(sl_json_write(value, 0, &out), 0);
            bool escaped = byte < 0x20 || byte == '"' || byte == '\\';
            assert_int_equal(out.size > 72, escaped);
            struct sl_slice slice = sl_slice_make(out.data, out.size);
            assert_int_equal(sl_json_parse(slice, NULL, *state, 0, &again, NULL), 0);
            assert_true(sl_value_equal(value, again));
            sl_value_unref(again);
            sl_value_unref(value);
            sl_out_fini(&out);
        }
    }
}

static void write_large_strings_and_limits(void **state)
{
    static uint8_t text[100000];
    for (size_t i = 0; i < sizeof(text); i++) text[i] = i % 7 == 0 ? '\n' : 'a';
    struct sl_value value = sl_value_new_string(*state, text, sizeof(text)), again;
    struct sl_out out;
    uint64_t size;
    sl_out_init(&out, *state);
    assert_int_equal(sl_json_write(value, 0, &out), 0);
    assert_int_equal(sl_json_size(value, 0, &size), 0);
    assert_int_equal(size, out.size);
    struct sl_slice slice = sl_slice_make(out.data, out.size);
    assert_int_equal(sl_json_parse(slice, NULL, *state, 0, &again, NULL), 0);
    assert_true(sl_value_equal(value, again));
    sl_value_unref(again);
    sl_out_fini(&out);
    sl_out_init(&out, *state);
    out.max = 1000;
    assert_int_equal(sl_json_write(value, 0, &out), -E2BIG);
    sl_out_fini(&out);
    sl_value_unref(value);
}

/* Append to a text of `cap` bytes, as far as there is room. */
static void random_put(char *text, size_t cap, size_t *size, const char *piece)
{
    size_t length = strlen(piece);
    if (*size + length >= cap) return;
    memcpy(text + *size, piece, length);
    *size += length;
}

static unsigned random_draw(uint64_t *seed, unsigned limit)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(*seed >> 33) % limit;
}

/* A scalar, or a container without children. */
static void random_scalar(char *text, size_t cap, size_t *size, uint64_t *seed)
{
    static const char *const scalars[] = {
        "1",  "-2.5", "true", "null", "\"s\"", "\"a\\n\"",
        "[]", "{}",   "1e3",  "\"\"", "false", "18446744073709551615",
    };
    random_put(text, cap, size, scalars[random_draw(seed, 12)]);
}

/*
 * Maps and lists in each other, some with more children than fit the builder's first stack, keys
 * that stand twice or share a bit of their hash, escapes, and in some texts one byte that is wrong.
 */
static size_t random_text(char *text, size_t cap, uint64_t seed)
{
    size_t size = 0;
    bool maps[SL_PAYLOAD_DEPTH_MAX];
    unsigned depth = 0, keys = 1 + random_draw(&seed, 60), wrong = random_draw(&seed, 8);
    unsigned steps = 1 + random_draw(&seed, 4) * random_draw(&seed, 120);
    unsigned close = 4 + random_draw(&seed, 60);
    maps[depth++] = random_draw(&seed, 2) != 0;
    random_put(text, cap, &size, maps[0] ? "{" : "[");
    for (bool first = true; depth > 0; steps -= steps > 0) {
        if (steps == 0 || (!first && random_draw(&seed, close) == 0)) {
            random_put(text, cap, &size, maps[--depth] ? "}" : "]");
            first = false;
            continue;
        }
        char key[32];
        if (!first) random_put(text, cap, &size, random_draw(&seed, 3) > 0 ? "," : " ,\n ");
        (void)snprintf(key, sizeof(key), "\"%.*sk%u\":", (int)random_draw(&seed, 12), "a_long_name",
                       random_draw(&seed, keys));
        if (maps[depth - 1]) random_put(text, cap, &size, key);
        first = depth < 100 && random_draw(&seed, 5) == 0;
        if (first) {
            maps[depth] = random_draw(&seed, 2) != 0;
            random_put(text, cap, &size, maps[depth++] ? "{" : "[");
        } else {
            random_scalar(text, cap, &size, &seed);
        }
    }
    if (wrong == 0) text[random_draw(&seed, (unsigned)size)] = ",:\"[]{}x"[random_draw(&seed, 8)];
    return size;
}

static void parse_random_nestings_every_way_agrees(void **state)
{
    enum { TEXTS = 3000 };
    static char text[32768];
    unsigned read = 0;
    for (uint64_t seed = 0; seed < TEXTS; seed++) {
        size_t size = random_text(text, sizeof(text), seed);
        read += json_check_text(*state, sl_slice_make(text, size)) == 0;
    }
    assert_true(read > TEXTS / 2);
    assert_true(read < TEXTS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, mem_setup, mem_teardown)

/* All texts of up to five of some bytes as a scalar: each border of the short paths is among them. */
static void parse_every_short_scalar_is_as_the_stream_says(void **state)
{
    static const char bytes[] = "-01.e ";
    enum { BYTES = sizeof(bytes) - 1, SIZE_MAX_TRIED = 5 };
    unsigned count = 1, good = 0;
    for (unsigned size = 0; size < SIZE_MAX_TRIED; size++) {
        count *= BYTES;
        for (unsigned number = 0; number < count; number++) {
            char text[64], scalar[SIZE_MAX_TRIED + 1] = "";
            for (unsigned i = 0, rest = number; i <= size; i++, rest /= BYTES) {
                scalar[i] = bytes[rest % BYTES];
            }
            (void)snprintf(text, sizeof(text), number % 2 ? "[%s]" : "[\"a text\",%s,0]", scalar);
            good += json_check_text(*state, sl_slice_from_str(text)) == 0;
        }
    }
    assert_true(good > 100);
    assert_true(good < count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(parse_numbers_keep_kind_and_bits),
        TEST(parse_strings_unescape),
        TEST(parse_wrong_text_says_where),
        TEST(parse_depth_limit_holds),
        TEST(parse_duplicates_last_wins_and_counts),
        TEST(parse_map_with_index_finds_every_key),
        TEST(parse_every_short_scalar_is_as_the_stream_says),
        TEST(parse_round_trip_keeps_text),
        TEST(parse_white_space_everywhere),
        TEST(parse_owner_borrows_strings),
        TEST(parse_positions_are_kept),
        TEST(parse_no_memory_fails),
        TEST(parse_every_length_and_cut),
        TEST(parse_stack_grows_anywhere),
        TEST(parse_damaged_texts_agree),
        TEST(parse_random_nestings_every_way_agrees),
        TEST(write_kinds_json_does_not_have),
        TEST(write_error_with_causes),
        TEST(write_pretty),
        TEST(write_bytes_that_are_not_utf8),
        TEST(write_escapes_at_every_place),
        TEST(write_large_strings_and_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
