/* SPDX-License-Identifier: MIT */
/*
 * What was chosen, as files: the block of sluice.yaml, and the files that bring system settings
 * back after a restart of the machine. Texts only; ctl/tune/journal.h writes them.
 *
 *   /etc/sysctl.d/60-sluice.conf                      sysctls                 sysctl --system
 *   /etc/tmpfiles.d/60-sluice.conf                    /sys and /proc/irq      systemd-tmpfiles
 *   /etc/systemd/system/sluice.service.d/60-tune.conf limits, cores           daemon-reload
 *   /etc/default/grub.d/60-sluice.cfg                 kernel command line     update-grub, reboot
 */
#pragma once

#include "core/base/diag.h"
#include "ctl/tune/propose.h"

/* A proposal that is to be made true, with the value that was chosen. */
struct sl_tune_choice {
    const struct sl_tune_proposal *proposal; /* borrowed from the plan */
    char value[SL_TUNE_VALUE_SIZE];          /* `want`, or one of the others */
    char measured[200];                      /* "p50 ×0.81 (0.78–0.84)"; "": not measured */
};

struct sl_tune_choices {
    struct sl_tune_choice items[SL_TUNE_PROPOSALS_MAX]; /* array of count */
    uint32_t count;
};

enum { SL_TUNE_FILES_MAX = 4 };

struct sl_tune_file {
    char path[128]; /* from the root: "/etc/sysctl.d/60-sluice.conf" */
    char *text;     /* owned */
    size_t size;
    char after[128]; /* the command that makes it work now */
};

/* Take all proposals into `choices` that need no proof. */
void sl_tune_choices_default(const struct sl_tune_plan *plan, struct sl_tune_choices *ret_choices);

/* Add one, with a value and what was measured ("" for nothing). */
void sl_tune_choices_add(struct sl_tune_choices *choices, const struct sl_tune_proposal *proposal,
                         const char *value, const char *measured);

/*
 * The text of sluice.yaml with our block at its end. The rest of `old` stays as it is; an older
 * block goes, and lines of the same keys become comments.
 *
 * old         text of `old_size` bytes, or NULL
 * ret_text    owned by the caller
 * returns     0; -EINVAL with reterr: `old` is no map of one key a line
 */
int sl_tune_yaml(const struct sl_tune_choices *choices, const struct sl_tune_machine *machine,
                 const char *old, size_t old_size, char **ret_text, size_t *ret_size,
                 struct sl_diag *reterr);

/*
 * The files that keep system settings over a restart.
 *
 * layout   of the plan: for the unit's CPUAffinity
 * files    array of SL_TUNE_FILES_MAX; the first `return` are filled
 */
uint32_t sl_tune_files(const struct sl_tune_choices *choices, const struct sl_tune_layout *layout,
                       struct sl_tune_file *files);

/* Free the texts. */
void sl_tune_files_fini(struct sl_tune_file *files, uint32_t count);
