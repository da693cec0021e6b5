/* SPDX-License-Identifier: MIT */
/* sluice version: what was built in. */
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/graph/kind.h"
#include "ctl/cli/cli.h"
#include "nodes/script/engine.h"

static void names_build(struct sl_builder *b, const char *key, const char *const *names,
                        size_t count)
{
    sl_build_key_str(b, key);
    sl_build_list_begin(b);
    for (size_t i = 0; i < count; i++) sl_build_string_str(b, names[i]);
    sl_build_list_end(b);
}

int cli_version(struct cli_args *args)
{
    size_t kinds_count;
    size_t engines_count;
    const struct sl_kind *const *kinds = sl_kinds_get(&kinds_count);
    const char *const *engines = sl_engine_names(&engines_count);
    const char *names[SL_KINDS_MAX];
    for (size_t i = 0; i < kinds_count; i++) names[i] = kinds[i]->name;
    if (cli_is_json(args)) {
        struct sl_builder b;
        struct sl_value value;
        sl_builder_init(&b, NULL, 64, 512);
        sl_build_map_begin(&b);
        sl_build_key_str(&b, "version");
        sl_build_string_str(&b, SL_VERSION);
        names_build(&b, "languages", engines, engines_count);
        names_build(&b, "kinds", names, kinds_count);
        sl_build_map_end(&b);
        if (sl_builder_finish(&b, &value) < 0) return CLI_FAILED;
        cli_print_json(value);
        sl_value_unref(value);
        return CLI_OK;
    }
    (void)printf("sluice %s\nlanguages:", SL_VERSION);
    for (size_t i = 0; i < engines_count; i++) (void)printf(" %s", engines[i]);
    (void)printf("\nkinds:");
    for (size_t i = 0; i < kinds_count; i++) (void)printf(" %s", names[i]);
    (void)putchar('\n');
    return CLI_OK;
}
