/* SPDX-License-Identifier: MIT */
/* The table of languages, and what every language needs: positions and the log of scripts. */
#include "nodes/script/engine.h"

#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/graph/mask.h"

/* Written at start by one thread, only read afterwards. */
static const struct sl_engine *engines[SL_ENGINES_MAX];
static const char *engine_names[SL_ENGINES_MAX];
static size_t engines_count;

static sl_script_log_fn *script_log;
static void *script_log_ctx;
static _Thread_local const struct sl_mask *script_mask;

void sl_engine_register(const struct sl_engine *engine)
{
    sl_assert(engine != NULL);
    sl_assert(engine->name != NULL);
    sl_assert(engine->compile != NULL);
    if (sl_engine_get(engine->name) == engine) return;
    sl_assert(engines_count < SL_ENGINES_MAX);
    sl_assert(sl_engine_get(engine->name) == NULL);
    engines[engines_count] = engine;
    engine_names[engines_count] = engine->name;
    engines_count++;
}

static bool engine_is_called(const struct sl_engine *engine, const char *name)
{
    if (strcmp(engine->name, name) == 0) return true;
    for (const char *const *at = engine->aliases; at != NULL && *at != NULL; at++) {
        if (strcmp(*at, name) == 0) return true;
    }
    return false;
}

const struct sl_engine *sl_engine_get(const char *language)
{
    sl_assert(language != NULL);
    for (size_t i = 0; i < engines_count; i++) {
        if (engine_is_called(engines[i], language)) return engines[i];
    }
    return NULL;
}

const char *const *sl_engine_names(size_t *ret_count)
{
    sl_assert(ret_count != NULL);
    *ret_count = engines_count;
    return engine_names;
}

struct sl_pos sl_script_pos(const struct sl_script_source *source, uint32_t line, uint32_t column)
{
    sl_assert(source != NULL);
    if (line == 0) return (struct sl_pos){0, 0};
    if (column == 0) column = 1;
    if (source->place != NULL) {
        struct sl_pos pos = source->place(source->place_ctx, line, column);
        /* Code that came without a place (over the registry) has its own lines. */
        if (pos.line > 0) return pos;
    }
    uint32_t first_line = source->pos.line > 0 ? source->pos.line : 1;
    uint32_t first_column = source->pos.column > 0 ? source->pos.column : 1;
    if (line == 1) return (struct sl_pos){first_line, first_column + column - 1};
    if (source->indent == SL_SCRIPT_ONE_LINE) return (struct sl_pos){first_line, first_column};
    return (struct sl_pos){first_line + line - 1, source->indent + column};
}

void sl_script_log_set(sl_script_log_fn *log, void *ctx)
{
    script_log = log;
    script_log_ctx = ctx;
}

void sl_script_mask_set(const struct sl_mask *mask)
{
    script_mask = mask;
}

void sl_script_log(enum sl_log_level level, const char *node, const char *text, size_t text_size)
{
    sl_assert(text != NULL);
    char masked[SL_SCRIPT_LOG_SIZE_MAX];
    if (script_mask != NULL && sl_mask_is_hit(script_mask, sl_slice_make(text, text_size))) {
        text_size =
            sl_mask_text(script_mask, sl_slice_make(text, text_size), masked, sizeof(masked));
        text = masked;
    }
    if (script_log != NULL) {
        script_log(script_log_ctx, level, node, text, text_size);
        return;
    }
    sl_log(level, "%s: %.*s", node != NULL && node[0] != '\0' ? node : "script", (int)text_size,
           text);
}

bool sl_script_is_true(struct sl_value value)
{
    switch (sl_value_kind(value)) {
    case SL_VALUE_NULL: return false;
    case SL_VALUE_BOOL:
    case SL_VALUE_INT:
    case SL_VALUE_UINT: return value.cell->word != 0;
    case SL_VALUE_FLOAT: return value.cell->f64 != 0 && value.cell->f64 == value.cell->f64;
    case SL_VALUE_STRING:
    case SL_VALUE_BINARY:
    case SL_VALUE_LIST:
    case SL_VALUE_MAP: return value.cell->len != 0;
    default: return true;
    }
}
