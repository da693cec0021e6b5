/* SPDX-License-Identifier: MIT */
/*
 * More completions than the ring has places for: overflow_test uring|uring-coop. The kernel keeps
 * the rest beside it until places are free. The queue is filled by operations that are done
 * when they are submitted, while nobody looks: so it overflows on every machine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "io/uring/uring.h"

enum {
    ENTRIES = 64, /* the completion queue has 512 places */
    OPS = 800,
    TURNS_MAX = 1000,
};

static struct sl_poller_config config = {.entries = ENTRIES};
static struct sl_op ops[OPS];
static uint32_t events[OPS];
static uint32_t events_count;

static void on_poll(struct sl_op *op, const struct sl_event *event)
{
    assert_int_equal(event->res & POLLIN, POLLIN);
    assert_int_equal(event->flags & SL_EVENT_MORE, 0);
    events[op - ops]++;
    events_count++;
}

static void overflow_of_completions_is_counted_and_loses_none(void **state)
{
    (void)state;
    int fds[OPS];
    struct sl_poller *poller = sl_poller_uring_new(&config, sl_clock_system(), NULL);
    assert_non_null(poller);
    for (uint32_t round = 0; round < 3; round++) {
        uint64_t before = atomic_load(&poller->stats.cq_overflows);
        memset(events, 0, sizeof(events));
        events_count = 0;
        for (uint32_t i = 0; i < OPS; i++) {
            fds[i] = eventfd(1, EFD_CLOEXEC);
            assert_true(fds[i] >= 0);
            ops[i] = (struct sl_op){.fn = on_poll};
            poller->ops->poll(poller, &ops[i], fds[i], POLLIN);
        }
        for (uint32_t i = 0; i < TURNS_MAX && events_count < OPS; i++) {
            (void)poller->ops->wait(poller, 0);
        }
        for (uint32_t i = 0; i < OPS; i++) {
            assert_int_equal(events[i], 1);
            assert_false(sl_op_is_pending(&ops[i]));
            (void)close(fds[i]);
        }
        assert_true(atomic_load(&poller->stats.cq_overflows) > before);
        assert_false(poller->ops->is_ready(poller));
    }
    poller->ops->free(poller);
}

int main(int argc, char **argv)
{
    struct sl_diag diag = {0};
    if (argc > 1 && strcmp(argv[1], "uring-coop") == 0) config.disable = SL_POLLER_NO_DEFER_TASKRUN;
    struct sl_poller *poller = sl_poller_uring_new(&config, sl_clock_system(), &diag);
    if (poller == NULL) {
        printf("skipped: %s (%s)\n", diag.text, diag.hint);
        return 77;
    }
    poller->ops->free(poller);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overflow_of_completions_is_counted_and_loses_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
