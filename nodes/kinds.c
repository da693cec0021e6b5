/* SPDX-License-Identifier: MIT */
/*
 * All node kinds and languages, in a written table: a constructor in a static library would be
 * dropped by the linker, and a table can be read.
 */
#include "nodes/kinds.h"

#include <stddef.h>

#include "core/graph/kind.h"
#include "nodes/data/data.h"
#include "nodes/flow/flow.h"
#include "nodes/net/net.h"
#include "nodes/script/cel/cel.h"
#include "nodes/script/engine.h"
#include "nodes/script/js/js.h"
#include "nodes/script/lua/lua.h"
#include "nodes/script/use.h"
#include "nodes/system/native.h"

static const struct sl_kind *const kinds[] = {
    &sl_kind_block,  &sl_kind_http,    &sl_kind_listener, &sl_kind_native,
    &sl_kind_router, &sl_kind_snippet, &sl_kind_switch,
};

static const struct sl_engine *const engines[] = {
    &sl_engine_cel,
#ifdef SL_HAVE_JS
    &sl_engine_js,   &sl_engine_ts,
#endif
#ifdef SL_HAVE_LUA
    &sl_engine_lua,
#endif
    &sl_engine_json, &sl_engine_text, &sl_engine_yaml,
};

void sl_kinds_register(void)
{
    if (sl_kind_get(kinds[0]->name) != NULL) return;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) sl_kind_register(kinds[i]);
    for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
        sl_engine_register(engines[i]);
    }
}

void sl_kinds_shard_fini(struct sl_shard *shard)
{
    sl_net_shard_fini(shard);
    sl_script_shard_fini(shard);
}
