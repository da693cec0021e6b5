/* SPDX-License-Identifier: MIT */
/* What tune found and proposes, for people and for programs. */
#include <stdio.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "ctl/cli/tune.h"

struct fact_print {
    const char *area; /* of the line before */
};

static void fact_print(void *ctx, const char *area, const char *name, const char *text)
{
    struct fact_print *last = ctx;
    bool is_new = last->area == NULL || strcmp(last->area, area) != 0;
    (void)printf("  %-8s %-20s %s\n", is_new ? area : "", name, text);
    last->area = area;
}

static const char *measure_text(const struct sl_tune_proposal *proposal)
{
    if (proposal->measure == SL_TUNE_MEASURE_NONE) {
        return proposal->needs_proof
                   ? "none from here, and it may do harm: only taken when named by --only"
                   : "a load on one machine does not show it";
    }
    return proposal->needs_proof ? "only with --try: it depends on the workflow"
                                 : "--try puts it to the test";
}

static void proposal_print(uint32_t number, const struct sl_tune_proposal *p)
{
    (void)printf("\n%3u. %s: %s -> %s\n", number, p->key, p->now[0] != '\0' ? p->now : "none",
                 p->want);
    (void)printf("     rule    %s\n", p->rule);
    (void)printf("     why     %s\n", p->reason);
    (void)printf("     effect  %s\n", p->effect);
    (void)printf("     where   %s", sl_tune_where_text(p->where));
    if (p->settings_count == 1) (void)printf(": %s", p->settings[0].path);
    if (p->settings_count > 1) {
        (void)printf(": %s and %u more", p->settings[0].path, p->settings_count - 1);
    }
    (void)printf("\n     may we  %s\n     proof   %s", sl_tune_may_text(p->may), measure_text(p));
    for (uint32_t i = 0; i < p->others_count; i++) {
        (void)printf("%s%s", i == 0 ? "; also " : ", ", p->others[i]);
    }
    (void)putchar('\n');
}

void cli_tune_print_plan(const struct sl_tune_plan *plan)
{
    sl_assert(plan != NULL);
    struct fact_print last = {.area = NULL};
    (void)printf("machine\n");
    sl_tune_machine_facts(plan->machine, fact_print, &last);
    (void)printf("\nproposals: %u\n", plan->proposals_count);
    for (uint32_t i = 0; i < plan->proposals_count; i++) {
        proposal_print(i + 1, &plan->proposals[i]);
    }
    if (plan->left_count > 0) (void)printf("\nleft alone\n");
    for (uint32_t i = 0; i < plan->left_count; i++) {
        (void)printf("  %-12s %s\n", plan->left[i].rule, plan->left[i].reason);
    }
}

void cli_tune_print_choices(const struct sl_tune_choices *choices)
{
    sl_assert(choices != NULL);
    if (choices->count == 0) (void)printf("\nkept: nothing\n");
    for (uint32_t i = 0; i < choices->count; i++) {
        const struct sl_tune_choice *choice = &choices->items[i];
        (void)printf("%s  %s: %s", i == 0 ? "\nkept\n" : "", choice->proposal->key, choice->value);
        (void)printf("%s%s\n", choice->measured[0] != '\0' ? "    " : "    not measured",
                     choice->measured);
    }
}

/* ---- for programs ---------------------------------------------------------------------------- */

static void text_build(struct sl_builder *b, const char *key, const char *text)
{
    sl_build_key_str(b, key);
    sl_build_string_str(b, text);
}

struct fact_build {
    struct sl_builder *b;
    char area[SL_TUNE_WORD_SIZE];
};

/* {"cores": {"online": "0-1", …}, "network": …} */
static void fact_build(void *ctx, const char *area, const char *name, const char *text)
{
    struct fact_build *build = ctx;
    if (strcmp(build->area, area) != 0) {
        if (build->area[0] != '\0') sl_build_map_end(build->b);
        (void)snprintf(build->area, sizeof(build->area), "%s", area);
        sl_build_key_str(build->b, area);
        sl_build_map_begin(build->b);
    }
    text_build(build->b, name, text);
}

static void proposal_build(struct sl_builder *b, const struct sl_tune_proposal *p)
{
    static const char *const measures[] = {"none", "option", "system"};
    sl_build_map_begin(b);
    text_build(b, "rule", p->rule);
    text_build(b, "key", p->key);
    text_build(b, "now", p->now);
    text_build(b, "want", p->want);
    sl_build_key_str(b, "others");
    sl_build_list_begin(b);
    for (uint32_t i = 0; i < p->others_count; i++) sl_build_string_str(b, p->others[i]);
    sl_build_list_end(b);
    text_build(b, "reason", p->reason);
    text_build(b, "effect", p->effect);
    text_build(b, "where", sl_tune_where_text(p->where));
    text_build(b, "may", sl_tune_may_text(p->may));
    text_build(b, "measure", measures[p->measure]);
    sl_build_key_str(b, "needs_proof");
    sl_build_bool(b, p->needs_proof);
    sl_build_key_str(b, "settings");
    sl_build_list_begin(b);
    for (uint32_t i = 0; i < p->settings_count; i++) {
        sl_build_map_begin(b);
        text_build(b, "path", p->settings[i].path);
        text_build(b, "value", p->settings[i].value);
        sl_build_map_end(b);
    }
    sl_build_list_end(b);
    sl_build_map_end(b);
}

void cli_tune_build_plan(struct sl_builder *b, const struct sl_tune_plan *plan)
{
    sl_assert(b != NULL);
    sl_assert(plan != NULL);
    struct fact_build build = {.b = b};
    sl_build_key_str(b, "machine");
    sl_build_map_begin(b);
    sl_tune_machine_facts(plan->machine, fact_build, &build);
    if (build.area[0] != '\0') sl_build_map_end(b);
    sl_build_map_end(b);
    sl_build_key_str(b, "proposals");
    sl_build_list_begin(b);
    for (uint32_t i = 0; i < plan->proposals_count; i++) proposal_build(b, &plan->proposals[i]);
    sl_build_list_end(b);
    sl_build_key_str(b, "left_alone");
    sl_build_list_begin(b);
    for (uint32_t i = 0; i < plan->left_count; i++) {
        sl_build_map_begin(b);
        text_build(b, "rule", plan->left[i].rule);
        text_build(b, "reason", plan->left[i].reason);
        sl_build_map_end(b);
    }
    sl_build_list_end(b);
}

void cli_tune_build_choices(struct sl_builder *b, const struct sl_tune_choices *choices)
{
    sl_assert(b != NULL);
    sl_assert(choices != NULL);
    sl_build_key_str(b, "chosen");
    sl_build_list_begin(b);
    for (uint32_t i = 0; i < choices->count; i++) {
        const struct sl_tune_choice *choice = &choices->items[i];
        sl_build_map_begin(b);
        text_build(b, "rule", choice->proposal->rule);
        text_build(b, "key", choice->proposal->key);
        text_build(b, "value", choice->value);
        text_build(b, "measured", choice->measured);
        sl_build_map_end(b);
    }
    sl_build_list_end(b);
}
