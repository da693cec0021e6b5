/* SPDX-License-Identifier: MIT */
/* How a row is run. Inline: the engine on this thread, as a shard does it. Process: process.c. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/script/process.h"
#include "bench/script/script_bench.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

enum { TIMEOUT_MS = 10000 }; /* a busy machine must not end a call */

struct inline_state {
    const struct sl_engine *engine;
    struct sl_script *script;
    void *instance;
};

/* One machine a language, as on a shard. */
static void *inline_shards[SB_LANGUAGES_COUNT];
static uint32_t inline_users[SB_LANGUAGES_COUNT];

static bool inline_open(struct sb_row *row)
{
    struct inline_state *state = calloc(1, sizeof(*state));
    struct sl_diag diag = {0};
    struct sl_script_source source = {.code = sl_slice_from_str(row->scenario->code[row->language]),
                                      .name = "bench",
                                      .timeout_ms = TIMEOUT_MS};
    sl_assert(state != NULL);
    state->engine = sl_engine_get(sb_languages[row->language]);
    if (state->engine == NULL) {
        (void)snprintf(row->why, sizeof(row->why), "the language is not built in");
    } else if (state->engine->compile(&source, &state->script, &diag) < 0) {
        (void)snprintf(row->why, sizeof(row->why), "%s", diag.text);
    } else if (state->engine->attach(state->script, &inline_shards[row->language], &state->instance,
                                     &diag) < 0) {
        (void)snprintf(row->why, sizeof(row->why), "%s", diag.text);
        state->engine->script_free(state->script);
    } else {
        inline_users[row->language]++;
        row->state = state;
        return true;
    }
    free(state);
    return false;
}

static struct sl_value inline_run(struct sb_row *row, struct sl_value input)
{
    struct inline_state *state = row->state;
    struct sl_script_call call = {
        .input = input, .mem = row->mem, .clock = sl_clock_system(), .deadline_ns = UINT64_MAX};
    return state->engine->run(state->script, state->instance, &call);
}

static void inline_close(struct sb_row *row)
{
    struct inline_state *state = row->state;
    state->engine->detach(state->script, inline_shards[row->language], state->instance);
    state->engine->script_free(state->script);
    if (--inline_users[row->language] == 0) {
        state->engine->shard_fini(inline_shards[row->language]);
        inline_shards[row->language] = NULL;
    }
    free(state);
}

const struct sb_mode sb_modes[] = {
    {"inline", inline_open, inline_run, inline_close},
    {"process", sb_process_open, sb_process_run, sb_process_close},
};
const size_t sb_modes_count = sizeof(sb_modes) / sizeof(sb_modes[0]);
