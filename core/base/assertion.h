/* SPDX-License-Identifier: MIT */
/*
 * Assertions. A bug stops the process with file and line; bad input never does.
 *
 * sl_assert       stays in release builds: cheap conditions only
 * sl_assert_slow  debug builds only: conditions that cost (walks, recounts)
 *
 * One condition per assertion, so that the message names the one that failed.
 */
#pragma once

#include <assert.h> /* static_assert */

/* Print the failed condition to stderr and abort. Any thread; never returns. */
__attribute__((noreturn, cold)) void sl_assert_fail(const char *condition, const char *file,
                                                    int line);

#define sl_assert(condition)                                                                       \
    (__builtin_expect(!(condition), 0) ? sl_assert_fail(#condition, __FILE__, __LINE__) : (void)0)

#ifdef SL_DEBUG
#define sl_assert_slow(condition) sl_assert(condition)
#else
#define sl_assert_slow(condition) ((void)sizeof(!(condition)))
#endif

#define sl_unreachable() sl_assert_fail("unreachable", __FILE__, __LINE__)
