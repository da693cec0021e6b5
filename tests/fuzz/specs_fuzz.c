/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a file of specs: no crash, every mistake has a text, what is kept as a spec's own text
 * reads as the same spec at the same place, and placeholders are bound or refused.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/yaml/yaml.h"
#include "core/base/assertion.h"
#include "core/spec/template.h"
#include "ctl/loader/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_again(const struct sl_specs_item *item, struct sl_diags *diags)
{
    struct sl_specs again = {0};
    struct sl_specs_place place = {.file = "f.yaml", .line = item->line, .format = SL_SPECS_YAML};
    struct sl_slice text = sl_slice_make(item->text, item->text_size);
    (void)sl_specs_read_text(text, &place, &again, diags);
    sl_assert(again.count > 0);
    sl_assert(sl_value_equal(again.items[0].spec->value, item->spec->value));
    sl_assert(again.items[0].spec->pos.line == item->spec->pos.line);
    sl_assert(again.items[0].spec->pos.column == item->spec->pos.column);
    sl_specs_fini(&again);
}

static void bind(const struct sl_spec *spec, struct sl_value bound, struct sl_diags *diags)
{
    static const char *const code[] = {"code", "matches.when", NULL};
    struct sl_template template = {.bound = bound, .what = "env", .spec = spec};
    struct sl_value value = sl_value_none();
    int result = sl_template_apply_spec(&template, code, &value, diags);
    sl_assert(result == 0 || result == -EINVAL);
    if (result == 0) sl_value_unref(value);
}

static void locate_all(const struct sl_spec *spec)
{
    for (uint32_t i = 0; i < sl_value_count(spec->value); i++) {
        struct sl_value value = sl_value_map_at(spec->value, i);
        if (!sl_value_is(value, SL_VALUE_STRING)) continue;
        for (uint32_t line = 1; line < 4; line++) {
            sl_assert(sl_spec_locate(spec, value, line, 3).line > 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_specs specs = {0};
    struct sl_diags diags = {0};
    struct sl_specs_place place = {.file = "f"};
    struct sl_value bound = sl_value_none();
    sl_assert(sl_yaml_parse_one(SL_SLICE("{A: 1, B: [x, {c: d}]}"), NULL, 0, &bound, NULL) == 0);
    int result = sl_specs_read_text(sl_slice_make(data, size), &place, &specs, &diags);
    sl_assert((result == 0) == (diags.errors_count == 0));
    for (size_t i = 0; i < diags.count; i++) sl_assert(diags.items[i].text[0] != '\0');
    for (size_t i = 0; i < specs.count; i++) {
        if (specs.items[i].text_size > 0) read_again(&specs.items[i], &diags);
        bind(specs.items[i].spec, bound, &diags);
        locate_all(specs.items[i].spec);
    }
    (void)sl_specs_check_names(&specs, "default", &diags);
    sl_value_unref(bound);
    sl_specs_fini(&specs);
    sl_diags_fini(&diags);
    return 0;
}
