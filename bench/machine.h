/* SPDX-License-Identifier: MIT */
/* Where a figure was measured: without it a figure means nothing. */
#pragma once

#include "bench/fmt.h"

struct sl_machine {
    char kernel[128];
    char cpu[128];
    char governor[32];    /* "" where the system does not say */
    char virtualised[32]; /* "" or the hypervisor's hint */
    unsigned cores;
    double memory_bytes;
};

/* Read what the machine is; what cannot be known stays empty. */
void sl_machine_get(struct sl_machine *ret_machine);

/* One line for people. */
void sl_machine_text(const struct sl_machine *machine, char *buf, size_t buf_size);

/* A member "machine" of the open object. */
void sl_machine_json(struct sl_json *json, const struct sl_machine *machine);

/* The command line of this process, words separated by blanks. */
void sl_machine_command(char *buf, size_t buf_size);
