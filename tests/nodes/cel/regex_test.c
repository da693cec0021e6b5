/* SPDX-License-Identifier: MIT */
/* The automaton of small expressions beside RE2: they have to say the same of every text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "nodes/script/cel/regex.h"

enum { PATTERNS = 60000, TEXTS = 24, TEXT_MAX = 24, PATTERN_MAX = 96 };

static struct sl_cel_regex *regex_make(const char *pattern, size_t size)
{
    char error[200];
    return sl_cel_regex_new((const uint8_t *)pattern, size, error, sizeof(error));
}

static uint64_t draw_state;

static unsigned draw(unsigned limit)
{
    draw_state = draw_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(draw_state >> 33) % limit;
}

/* A few bytes of what expressions are made of, in any order: many are none. */
static size_t pattern_draw(char *pattern)
{
    static const char *const pieces[] = {
        "a",     "b",   "c",        "ab",     "@",     "\\.",  "[.]", "[a-c]", "[ab]",
        "^",     "$",   "(",        ")",      "|",     "*",    "+",   "?",     "(?:",
        "\\d",   "\\w", "[a-z]+",   "[\\w-]", "-",     ".",    "\\s", "[^a]",  "{2}",
        "(a|b)", "]",   "\xc3\xa9", "[-a]",   "[--a]", "(?i)", "+?"};
    size_t size = 0;
    for (unsigned i = 1 + draw(8); i > 0; i--) {
        const char *piece = pieces[draw(sizeof(pieces) / sizeof(pieces[0]))];
        memcpy(pattern + size, piece, strlen(piece));
        size += strlen(piece);
    }
    return size;
}

static size_t text_draw(uint8_t *text)
{
    static const char bytes[] = "aaabbbccc@..-z0_ \n\xc3\xa9\xff";
    size_t size = draw(TEXT_MAX);
    for (size_t i = 0; i < size; i++) text[i] = (uint8_t)bytes[draw(sizeof(bytes))];
    return size;
}

static void regex_match_any_expression_as_re2_does(void **state)
{
    (void)state;
    unsigned small = 0, matched = 0;
    draw_state = 1;
    for (unsigned i = 0; i < PATTERNS; i++) {
        char pattern[PATTERN_MAX];
        size_t size = pattern_draw(pattern);
        struct sl_cel_regex *regex = regex_make(pattern, size);
        if (regex == NULL) continue;
        for (unsigned j = 0; sl_cel_regex_is_small(regex) && j < TEXTS; j++) {
            uint8_t text[TEXT_MAX];
            size_t text_size = j == 0 ? 0 : text_draw(text);
            bool wanted = sl_cel_regex_match_large(regex, text, text_size);
            matched += wanted;
            if (sl_cel_regex_match(regex, text, text_size) == wanted) continue;
            fail_msg("'%.*s' on '%.*s'", (int)size, pattern, (int)text_size, (char *)text);
        }
        small += sl_cel_regex_is_small(regex);
        (void)sl_cel_regex_free(regex);
    }
    assert_true(small > PATTERNS / 10);
    assert_true(matched > PATTERNS);
}

static void regex_is_small_for_common_expressions(void **state)
{
    static const struct {
        const char *pattern;
        bool small;
    } cases[] = {
        {"^[a-z]+@[a-z]+[.]com$", true},
        {"^GET|POST$", true},
        {"^/api/", true},
        {"\\.json$", true},
        {"^[\\w-]+$", true},
        {"^a*$|^$", false},
        {"", false},
        {"a.b", false},
        {"[^a]", false},
        {"(?i)get", false},
        {"\\bget", false},
        {"a{2}", false},
        {"^/a/very/long/path", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_cel_regex *regex = regex_make(cases[i].pattern, strlen(cases[i].pattern));
        assert_non_null(regex);
        if (sl_cel_regex_is_small(regex) != cases[i].small) fail_msg("%s", cases[i].pattern);
        (void)sl_cel_regex_free(regex);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regex_match_any_expression_as_re2_does),
        cmocka_unit_test(regex_is_small_for_common_expressions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
