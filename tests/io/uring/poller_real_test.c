/* SPDX-License-Identifier: MIT */
/*
 * The conformance test on the machine: poller_real_test uring|uring-VARIANT|epoll.
 * Exit 77 (skipped) if this machine forbids io_uring.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "io/epoll/epoll.h"
#include "io/sock/sock.h"
#include "io/uring/uring.h"
#include "tests/io/poller_harness.h"

static bool is_epoll;
static uint32_t disable;
static struct sl_diag diag;

static struct sl_poller *make(const struct sl_poller_config *config)
{
    struct sl_poller_config cfg = {0};
    if (config != NULL) cfg = *config;
    cfg.disable = disable;
    if (is_epoll) return sl_poller_epoll_new(&cfg, sl_clock_system(), &diag);
    return sl_poller_uring_new(&cfg, sl_clock_system(), &diag);
}

static int local(struct sl_poller *poller, int fd, struct sl_addr *ret_addr)
{
    (void)poller;
    return sl_sock_local(fd, ret_addr);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "uring";
    is_epoll = strcmp(name, "epoll") == 0;
    if (strcmp(name, "uring-oneshot") == 0) disable = SL_POLLER_NO_MULTISHOT_RECV;
    if (strcmp(name, "uring-coop") == 0) disable = SL_POLLER_NO_DEFER_TASKRUN;
    if (strcmp(name, "uring-array") == 0) disable = SL_POLLER_NO_SQARRAY;
    if (strcmp(name, "uring-full") == 0) disable = SL_POLLER_FAIL_SUBMIT;
    struct sl_poller *probe = make(NULL);
    if (probe == NULL) {
        printf("skipped: %s (%s)\n", diag.text, diag.hint);
        return is_epoll ? 1 : 77;
    }
    if (!is_epoll) printf("%s\n", sl_poller_uring_summary(probe));
    probe->ops->free(probe);
    const struct poller_harness harness = {
        .name = name,
        .is_real = true,
        .make = make,
        .local = local,
    };
    return poller_conformance_run(&harness);
}
