/* SPDX-License-Identifier: MIT */
#include "ctl/admin/patch.h"

#include <errno.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/limit.h"

/* A pair of maps being merged: first what the target has, then what only the patch has. */
struct patch_level {
    struct sl_value target; /* a Map, or none: the patch makes a new one */
    struct sl_value patch;
    uint32_t index;
    bool adding; /* the target's keys are done */
};

struct patch_walk {
    struct sl_builder builder;
    struct patch_level levels[SL_PAYLOAD_DEPTH_MAX];
    uint32_t depth;
};

static void level_open(struct patch_walk *walk, struct sl_value target, struct sl_value patch)
{
    if (!sl_value_is(target, SL_VALUE_MAP)) target = sl_value_none();
    sl_build_map_begin(&walk->builder);
    walk->levels[walk->depth++] = (struct patch_level){target, patch, 0, false};
}

/* Key and new value of one place; opens a level where two maps meet. False: too deep. */
static bool pair_put(struct patch_walk *walk, struct sl_slice key, struct sl_value old,
                     struct sl_value new)
{
    if (sl_value_is(new, SL_VALUE_NULL)) return true;
    sl_build_key(&walk->builder, key.data, key.size);
    if (sl_value_is_none(new)) {
        sl_build_value(&walk->builder, old);
    } else if (!sl_value_is(new, SL_VALUE_MAP)) {
        sl_build_value(&walk->builder, new);
    } else {
        if (walk->depth == SL_PAYLOAD_DEPTH_MAX) return false;
        level_open(walk, old, new);
    }
    return true;
}

/* One step of the deepest level. */
static bool level_step(struct patch_walk *walk)
{
    struct patch_level *level = &walk->levels[walk->depth - 1];
    uint32_t targets = sl_value_is_none(level->target) ? 0 : sl_value_count(level->target);
    if (!level->adding && level->index < targets) {
        uint32_t i = level->index++;
        struct sl_slice key = sl_value_key_at(level->target, i);
        return pair_put(walk, key, sl_value_map_at(level->target, i),
                        sl_value_get(level->patch, key));
    }
    if (!level->adding) {
        level->adding = true;
        level->index = 0;
    }
    if (level->index < sl_value_count(level->patch)) {
        uint32_t i = level->index++;
        struct sl_slice key = sl_value_key_at(level->patch, i);
        if (targets > 0 && !sl_value_is_none(sl_value_get(level->target, key))) return true;
        return pair_put(walk, key, sl_value_none(), sl_value_map_at(level->patch, i));
    }
    sl_build_map_end(&walk->builder);
    walk->depth--;
    return true;
}

int sl_patch_apply(struct sl_value target, struct sl_value patch, struct sl_value *ret_value)
{
    struct patch_walk walk = {.depth = 0};
    sl_builder_init(&walk.builder, NULL, 64, 256);
    if (!sl_value_is(patch, SL_VALUE_MAP)) {
        sl_build_value(&walk.builder, patch);
        return sl_builder_finish(&walk.builder, ret_value);
    }
    level_open(&walk, target, patch);
    while (walk.depth > 0) {
        if (!level_step(&walk)) {
            sl_builder_fini(&walk.builder);
            return -E2BIG;
        }
    }
    return sl_builder_finish(&walk.builder, ret_value);
}
