/* SPDX-License-Identifier: MIT */
/* A packet that a test sends into a process, and the answer that comes back. */
#pragma once

#include "core/graph/process.h"

/* A packet that was sent, and what came back. */
struct ask {
    struct sl_reply reply;
    struct sl_value answer; /* one count */
    uint32_t answers;
};

static inline void asked(struct sl_reply *reply, struct sl_value answer)
{
    struct ask *ask = (struct ask *)reply;
    ask->answers++;
    ask->answer = answer;
}
