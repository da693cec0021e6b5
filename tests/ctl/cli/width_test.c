/* SPDX-License-Identifier: MIT */
/* Texts on a terminal: how wide, cut to whole characters, and without commands. */
#include "ctl/cli/width.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void width_counts_places(void **state)
{
    (void)state;
    assert_int_equal(cli_text_width(""), 0);
    assert_int_equal(cli_text_width("abc"), 3);
    assert_int_equal(cli_text_width("größe"), 5);
    assert_int_equal(cli_text_width("응답"), 4);
    assert_int_equal(cli_text_width("日本"), 4);
    assert_int_equal(cli_text_width("e\xcc\x81"), 1); /* a letter and its accent */
    assert_int_equal(cli_text_width("\xff\xfe"), 2);
    assert_int_equal(cli_text_width("😀"), 2);
}

static void fit_keeps_characters_whole(void **state)
{
    (void)state;
    assert_int_equal(cli_text_fit("abc", 2), 2);
    assert_int_equal(cli_text_fit("abc", 9), 3);
    assert_int_equal(cli_text_fit("größe", 3), 4);
    assert_int_equal(cli_text_fit("응답", 3), 3); /* the second would need two places */
    assert_int_equal(cli_text_fit("응답", 4), 6);
    assert_int_equal(cli_text_fit("응", 0), 0);
}

static void pad_fills_to_the_place(void **state)
{
    (void)state;
    char buf[64];
    assert_string_equal(cli_text_pad("ab", 4, buf, sizeof(buf)), "ab  ");
    assert_string_equal(cli_text_pad("abcdef", 4, buf, sizeof(buf)), "abcd");
    assert_string_equal(cli_text_pad("응답", 5, buf, sizeof(buf)), "응답 ");
    assert_string_equal(cli_text_pad("응답", 3, buf, sizeof(buf)), "응 ");
    assert_string_equal(cli_text_pad("", 0, buf, sizeof(buf)), "");
}

static void clean_leaves_no_commands(void **state)
{
    (void)state;
    char buf[32];
    cli_text_clean(SL_SLICE("a\x1b[2Jb\x7f\n"), buf, sizeof(buf));
    assert_string_equal(buf, "a?[2Jb??");
    cli_text_clean(SL_SLICE("\xc2\x9b"
                            "2J \xc2\xa0 \xff"),
                   buf, sizeof(buf)); /* U+009B begins a command too */
    assert_string_equal(buf, "?2J \xc2\xa0 ?");
    cli_text_clean(SL_SLICE("größe"), buf, 5);
    assert_string_equal(buf, "grö");
    cli_text_clean(SL_SLICE(""), buf, 1);
    assert_string_equal(buf, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(width_counts_places),
        cmocka_unit_test(fit_keeps_characters_whole),
        cmocka_unit_test(pad_fills_to_the_place),
        cmocka_unit_test(clean_leaves_no_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
