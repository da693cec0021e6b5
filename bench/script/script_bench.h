/* SPDX-License-Identifier: MIT */
/*
 * script_bench: what one call of a script costs, as rows of language × scenario × mode.
 *
 *     scenarios.c   what is run: an input, and the same work written in each language
 *     modes.c       how it is run: inline (through the engine, on this thread), or in a process
 *     process.c     the latter: a shard with a pool of workers; this program is their worker too
 *     main.c        the rounds, the table
 *
 * A new language is a name in `sb_languages` and its texts in scenarios.c; a new mode is a row in
 * `sb_modes`. A row whose language was not built in, or that a mode refuses, is left out and said.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/flat/flat.h"
#include "nodes/script/engine.h"

struct sl_mem;

enum sb_language { SB_JAVASCRIPT, SB_LUA, SB_LANGUAGES_COUNT };
extern const char *const sb_languages[SB_LANGUAGES_COUNT];

/* How the input reaches the script, and its result leaves it. */
enum sb_way {
    SB_CELLS,     /* as cells, the way of a workflow */
    SB_TEXT_IN,   /* printed as JSON text, parsed by the script */
    SB_TEXT_OUT,  /* printed as JSON text by the script, parsed here */
    SB_TEXT_BOTH, /* both */
};

struct sb_scenario {
    const char *name;
    const char *about;
    const char *input; /* JSON text, or NULL for null */
    enum sb_way way;
    const char *base; /* the scenario that the ratio is taken to, or NULL */
    const char *code[SB_LANGUAGES_COUNT];
};

extern const struct sb_scenario sb_scenarios[];
extern const size_t sb_scenarios_count;

/* What a row needs; filled by main, freed by it. */
struct sb_row {
    const struct sb_scenario *scenario;
    enum sb_language language;
    const struct sb_mode *mode;
    struct sl_mem *mem;
    struct sl_value input;
    void *state;                 /* the mode's own */
    double *wall;                /* nanoseconds a call: array of rounds */
    double *cpu;                 /* the same, of this thread's processor time */
    char why[SL_DIAG_TEXT_SIZE]; /* it is left out because */
};

struct sb_mode {
    const char *name;
    /* Make a row ready to run; false with row->why filled. */
    bool (*open)(struct sb_row *row);
    /* One call; the result has one count for the caller. */
    struct sl_value (*run)(struct sb_row *row, struct sl_value input);
    void (*close)(struct sb_row *row);
};

extern const struct sb_mode sb_modes[];
extern const size_t sb_modes_count;
