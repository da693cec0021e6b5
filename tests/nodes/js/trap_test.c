/* SPDX-License-Identifier: MIT */
/*
 * The library's watchdog and a script that meet at the wrong moment: what the library would see is laid
 * out here as its 2.50 has it, and its own functions abort on it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "nodes/script/js/js_private.h"

/* Called as the library calls them. */
void stop_request(void *traps,
                  uint32_t bits) __asm__("_ZN3JSC7VMTraps25requestThreadStopIfNeededEj");
void stop_cancel(void *traps) __asm__("_ZN3JSC7VMTraps24cancelThreadStopIfNeededEv");

enum { WATCHDOG_BIT = 4 };

struct library_lock {
    uint32_t count;
    uint8_t is_locked;
};

struct library_traps {
    uint32_t bits;
    uint8_t others[7];
    uint8_t is_stop_asked;
    uint8_t padding[4];
    struct library_lock *lock;
    void *more[8];
};

static void skip_if_unknown(void)
{
    js_options_set();
    if (!js_traps_open()) skip();
}

static void stop_request_after_the_bit_was_taken_goes_on(void **state)
{
    (void)state;
    skip_if_unknown();
    struct library_lock lock = {.count = 1};
    struct library_traps traps = {.is_stop_asked = 1, .lock = &lock};
    stop_request(&traps, WATCHDOG_BIT);
    assert_int_equal(lock.is_locked, 0);
}

static void stop_cancel_before_the_stop_is_asked_for_goes_on(void **state)
{
    (void)state;
    skip_if_unknown();
    struct library_lock lock = {.count = 1};
    struct library_traps traps = {.bits = WATCHDOG_BIT, .lock = &lock};
    stop_cancel(&traps);
    assert_int_equal(lock.is_locked, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stop_request_after_the_bit_was_taken_goes_on),
        cmocka_unit_test(stop_cancel_before_the_stop_is_asked_for_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
