/* SPDX-License-Identifier: MIT */
#include "io/sock/waker.h"

#include <errno.h>

#include "core/base/assertion.h"

int sl_waker_init(struct sl_waker *waker)
{
    sl_assert(waker != NULL);
    atomic_init(&waker->pending, 0);
    atomic_init(&waker->sleeping, 0);
    waker->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return waker->fd < 0 ? -errno : 0;
}

void sl_waker_fini(struct sl_waker *waker)
{
    sl_assert(waker != NULL);
    if (waker->fd >= 0) (void)close(waker->fd);
    waker->fd = -1;
}
