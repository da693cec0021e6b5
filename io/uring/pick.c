/* SPDX-License-Identifier: MIT */
#include "io/uring/pick.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/assertion.h"
#include "io/epoll/epoll.h"
#include "io/sock/self_test.h"
#include "io/uring/uring.h"

int sl_poller_kind_parse(struct sl_slice text, enum sl_poller_kind *ret_kind,
                         struct sl_diag *reterr)
{
    sl_assert(ret_kind != NULL);
    if (sl_slice_eq_str(text, "auto")) {
        *ret_kind = SL_POLLER_AUTO;
    } else if (sl_slice_eq_str(text, "uring") || sl_slice_eq_str(text, "io_uring")) {
        *ret_kind = SL_POLLER_URING;
    } else if (sl_slice_eq_str(text, "epoll")) {
        *ret_kind = SL_POLLER_EPOLL;
    } else {
        return sl_diag_set(reterr, "bad_poller", (struct sl_pos){0},
                           "unknown poller \"%.*s\": expected auto, uring or epoll",
                           SL_SLICE_FMT(text));
    }
    return 0;
}

struct sl_poller *sl_poller_new(enum sl_poller_kind kind, const struct sl_poller_config *config,
                                struct sl_clock *clock, struct sl_diag *reterr)
{
    switch (kind) {
    case SL_POLLER_URING: return sl_poller_uring_new(config, clock, reterr);
    case SL_POLLER_EPOLL: return sl_poller_epoll_new(config, clock, reterr);
    default: sl_unreachable();
    }
}

/* Make one, test it, free it. Fills `why` on success. */
static int try_kind(enum sl_poller_kind kind, const struct sl_poller_config *config,
                    struct sl_clock *clock, struct sl_poller_choice *ret_choice,
                    struct sl_diag *reterr)
{
    uint64_t start_ns = sl_clock_now_ns(clock);
    struct sl_poller *poller = sl_poller_new(kind, config, clock, reterr);
    if (poller == NULL) return -ENOTSUP;
    /* A poller that failed has ops pending and cannot be freed; it is left alone, once a process. */
    int r = sl_poller_self_test(poller, reterr);
    if (r < 0) return r;
    double ms = (double)(sl_clock_now_ns(clock) - start_ns) / 1e6;
    struct sl_poller_choice choice = {.kind = kind};
    if (kind == SL_POLLER_URING) {
        (void)snprintf(choice.why, sizeof(choice.why), "io_uring (self-test passed in %.1f ms; %s)",
                       ms, sl_poller_uring_summary(poller));
    } else {
        (void)snprintf(choice.why, sizeof(choice.why), "epoll (self-test passed in %.1f ms)", ms);
    }
    poller->ops->free(poller);
    *ret_choice = choice;
    return 0;
}

int sl_poller_pick(enum sl_poller_kind wanted, const struct sl_poller_config *config,
                   struct sl_clock *clock, struct sl_poller_choice *ret_choice,
                   struct sl_diag *reterr)
{
    sl_assert(clock != NULL);
    sl_assert(ret_choice != NULL);
    if (wanted != SL_POLLER_AUTO) return try_kind(wanted, config, clock, ret_choice, reterr);
    struct sl_diag refusal = {0};
    if (try_kind(SL_POLLER_URING, config, clock, ret_choice, &refusal) == 0) return 0;
    int r = try_kind(SL_POLLER_EPOLL, config, clock, ret_choice, reterr);
    if (r < 0) return r;
    (void)snprintf(ret_choice->why, sizeof(ret_choice->why), "epoll (%.150s%s%.80s)", refusal.text,
                   refusal.hint[0] != 0 ? "; " : "", refusal.hint);
    return 0;
}
