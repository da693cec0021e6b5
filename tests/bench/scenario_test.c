/* SPDX-License-Identifier: MIT */
/* What counts as the work of a scenario, and the words and bits that name them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bench/known.h"

static const char ECHO[] =
    "{\"id\":\"a1b2c3d4\",\"count\":42,\"user\":{\"name\":\"Ada Lovelace\",\"age\":36,\"email\":"
    "\"ada@example.org\"},\"tags\":[\"alpha\",\"beta\",\"gamma\"],\"active\":true,\"score\":12.5,"
    "\"note\":\"hello\"}";

static bool is_right(enum sl_scenario scenario, const char *body)
{
    return sl_scenario_reply_is_right(scenario, body, strlen(body));
}

static void reply_in_any_order_and_with_blanks_is_right(void **state)
{
    (void)state;
    assert_true(is_right(SL_SCENARIO_ECHO, ECHO));
    assert_true(
        is_right(SL_SCENARIO_ECHO,
                 "{\"count\": 42, \"score\": 12.5, \"note\": \"hello\", \"tags\": [\"alpha\", "
                 "\"beta\", \"gamma\"], \"active\": true, \"id\": \"a1b2c3d4\",\n \"user\": "
                 "{\"age\": 36, \"name\": \"Ada Lovelace\", \"email\": \"ada@example.org\"}}\n"));
    assert_true(is_right(SL_SCENARIO_PING, "pong"));
    assert_true(is_right(SL_SCENARIO_CONST, "{ \"message\": \"pong\" }"));
}

static void reply_of_other_work_is_wrong(void **state)
{
    char text[512];
    (void)state;
    assert_false(is_right(SL_SCENARIO_PING, "ping"));
    assert_false(is_right(SL_SCENARIO_CONST, "pong"));
    assert_false(is_right(SL_SCENARIO_ECHO, ""));
    assert_false(is_right(SL_SCENARIO_ECHO, "pong"));
    /* Sent back as it came: nobody counted. */
    (void)snprintf(text, sizeof(text), "%s", ECHO);
    strstr(text, "42")[1] = '1';
    assert_false(is_right(SL_SCENARIO_ECHO, text));
    /* One member too many. */
    (void)snprintf(text, sizeof(text), "%.*s,\"x\":1}", (int)strlen(ECHO) - 1, ECHO);
    assert_false(is_right(SL_SCENARIO_ECHO, text));
}

static void known_servers_each_serve_what_is_asked_of_them(void **state)
{
    size_t count;
    char version[256];
    uint32_t served = 0;
    (void)state;
    const struct sl_known_server *known = sl_known_servers(&count);
    assert_string_equal(known[0].name, "floor");
    for (size_t i = 0; i < count; i++) {
        assert_true(known[i].is_base || known[i].scenarios != 0);
        assert_int_equal(known[i].scenarios >> SL_SCENARIOS_COUNT, 0);
        assert_non_null(known[i].version);
        assert_ptr_equal(sl_known_find(known[i].name), &known[i]);
        served |= known[i].scenarios;
        sl_known_version(&known[i], version, sizeof(version));
        assert_null(strchr(version, '\n'));
    }
    assert_int_equal(served, (1U << SL_SCENARIOS_COUNT) - 1);
    assert_null(sl_known_find("apache"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reply_in_any_order_and_with_blanks_is_right),
        cmocka_unit_test(reply_of_other_work_is_wrong),
        cmocka_unit_test(known_servers_each_serve_what_is_asked_of_them),
    };
    return cmocka_run_group_tests_name("bench_scenario", tests, NULL, NULL);
}
