/* SPDX-License-Identifier: MIT */
/*
 * Any text as what `sluice tune` reads: lists and masks of cores, which read back as the same; lines
 * of /proc/interrupts, limits, cgroups; a journal; an answer of the harness; an old sluice.yaml,
 * around which a block is written that can be written again.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "ctl/tune/journal_text.h"
#include "ctl/tune/judge.h"
#include "ctl/tune/machine.h"
#include "ctl/tune/write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void cores_check(const char *text)
{
    char again[8192];
    cpu_set_t set;
    cpu_set_t same;
    if (sl_tune_cpus_parse(text, &set)) {
        sl_tune_cpus_format(&set, again, sizeof(again));
        sl_assert(sl_tune_cpus_parse(again, &same));
        sl_assert(CPU_EQUAL(&set, &same));
    }
    if (sl_tune_mask_parse(text, &set)) {
        sl_tune_mask_format(&set, again, sizeof(again));
        sl_assert(sl_tune_mask_parse(again, &same));
        sl_assert(CPU_EQUAL(&set, &same));
    }
}

static void lines_check(const char *text)
{
    char name[48];
    uint32_t number;
    uint64_t count;
    int64_t soft;
    int64_t hard;
    (void)sl_tune_irq_parse(text, 2, &number, &count, name, sizeof(name));
    (void)sl_tune_limit_parse(text, "Max open files", &soft, &hard);
    (void)sl_tune_cgroup_parse(text, "", name, sizeof(name));
    (void)sl_tune_cgroup_parse(text, "cpu", name, sizeof(name));
    sl_tune_choice(text, name, sizeof(name));
}

static void yaml_check(const char *text, size_t size)
{
    static const struct sl_tune_proposal spin = {
        .rule = "spin", .where = SL_TUNE_YAML, .key = "spin", .want = "50us"};
    static struct sl_tune_choices choices;
    static struct sl_tune_machine machine;
    char *first = NULL;
    char *second = NULL;
    size_t first_size;
    size_t second_size;
    choices.count = 0;
    sl_tune_choices_add(&choices, &spin, "50us", "");
    if (sl_tune_yaml(&choices, &machine, text, size, &first, &first_size, NULL) < 0) return;
    sl_assert(sl_tune_yaml(&choices, &machine, first, first_size, &second, &second_size, NULL) ==
              0);
    sl_assert(second_size == first_size);
    sl_assert(memcmp(first, second, first_size) == 0);
    free(first);
    free(second);
}

/* What follows the first line of a journal, closed by the right hash: what is taken reads again. */
static void journal_check(const char *text, size_t size)
{
    static const char head[] = "sluice-tune-journal 1\n";
    size_t head_size = sizeof(head) - 1;
    struct sl_tune_entries list = {.count = 0};
    struct sl_tune_entries again = {.count = 0};
    char *whole = malloc(head_size + size + 32);
    size_t again_size;
    sl_assert(whole != NULL);
    (void)sl_tune_entries_parse(&list, text, size);
    sl_tune_entries_cut(&list, 0);
    memcpy(whole, head, head_size);
    if (size > 0) memcpy(whole + head_size, text, size);
    int end = snprintf(whole + head_size + size, 32, "end %016" PRIx64 "\n",
                       sl_tune_bytes_hash(whole, head_size + size));
    if (sl_tune_entries_parse(&list, whole, head_size + size + (size_t)end) == 0) {
        char *same = sl_tune_entries_format(&list, &again_size);
        sl_assert(sl_tune_entries_parse(&again, same, again_size) == 0);
        sl_assert(again.count == list.count);
        free(same);
    }
    sl_tune_entries_cut(&list, 0);
    sl_tune_entries_cut(&again, 0);
    free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_tune_measured measured;
    char *text = malloc(size + 1);
    sl_assert(text != NULL);
    if (size > 0) memcpy(text, data, size);
    text[size] = '\0';
    cores_check(text);
    lines_check(text);
    yaml_check(text, size);
    journal_check(text, size);
    if (sl_tune_measured_parse(text, size, &measured, NULL) == 0) {
        char told[300];
        (void)sl_tune_judge(&measured, SL_TUNE_GOAL_BALANCED);
        sl_tune_measured_text(&measured, told, sizeof(told));
    }
    free(text);
    return 0;
}
