/* SPDX-License-Identifier: MIT */
#include "ctl/tune/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "io/uring/pick.h"

static void probe_run(struct sl_tune_machine *machine)
{
    struct sl_poller_choice choice;
    struct sl_diag diag = {0};
    machine->probe.is_known = true;
    machine->probe.works =
        sl_poller_pick(SL_POLLER_URING, NULL, sl_clock_system(), &choice, &diag) == 0;
    (void)snprintf(machine->probe.text, sizeof(machine->probe.text), "%.250s",
                   machine->probe.works ? choice.why : diag.text);
}

/* What a kernel of this version and setting would say. */
static void probe_guess(struct sl_tune_machine *machine)
{
    struct sl_tune_probe *probe = &machine->probe;
    if (machine->uring_disabled > 0) {
        (void)snprintf(probe->text, sizeof(probe->text),
                       "switched off by kernel.io_uring_disabled");
    } else if (!sl_tune_machine_has_kernel(machine, 6, 0)) {
        (void)snprintf(probe->text, sizeof(probe->text), "too old here: 6.0 is needed");
    } else {
        probe->works = true;
        (void)snprintf(probe->text, sizeof(probe->text), "expected to work (not tried)");
    }
}

struct sl_tune_machine *sl_tune_machine_read(const char *root)
{
    struct sl_tune_machine *machine = calloc(1, sizeof(*machine));
    if (machine == NULL) return NULL;
    machine->cpus = calloc(SL_TUNE_CPUS_MAX, sizeof(*machine->cpus));
    machine->irqs = calloc(SL_TUNE_IRQS_MAX, sizeof(*machine->irqs));
    if (machine->cpus == NULL || machine->irqs == NULL ||
        sl_tune_tree_init(&machine->tree, root) < 0) {
        return sl_tune_machine_free(machine);
    }
    sl_tune_read_system(machine);
    sl_tune_read_cpu(machine);
    sl_tune_read_net(machine);
    if (sl_tune_tree_is_live(&machine->tree)) {
        probe_run(machine);
    } else {
        probe_guess(machine);
    }
    return machine;
}

struct sl_tune_machine *sl_tune_machine_free(struct sl_tune_machine *machine)
{
    if (machine == NULL) return NULL;
    free(machine->cpus);
    free(machine->irqs);
    free(machine);
    return NULL;
}

bool sl_tune_machine_may_write(const struct sl_tune_machine *machine, const char *path)
{
    sl_assert(machine != NULL);
    sl_assert(path != NULL);
    if (!machine->is_root) return false;
    for (uint32_t i = 0; i < machine->readonly_count; i++) {
        size_t size = strlen(machine->readonly[i]);
        bool is_below = strncmp(path, machine->readonly[i], size) == 0 &&
                        (path[size] == '/' || path[size] == '\0');
        if (is_below) return false;
    }
    return true;
}

bool sl_tune_machine_has_kernel(const struct sl_tune_machine *machine, uint32_t major,
                                uint32_t minor)
{
    if (machine->kernel_major == 0) return true;
    if (machine->kernel_major != major) return machine->kernel_major > major;
    return machine->kernel_minor >= minor;
}
