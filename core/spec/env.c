/* SPDX-License-Identifier: MIT */
/* The field `env` of a spec: names for values of the environment and of secrets. */
#include <errno.h>
#include <stdlib.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/spec/decode.h"
#include "core/spec/template.h"

static const char *const entry_fields[] = {"id", "name", "data", "value"};

static void key_check(struct spec_decode *decode, struct sl_slice key, struct sl_pos pos)
{
    if (sl_template_is_name(key)) return;
    struct sl_diag *diag =
        spec_error(decode, "bad_name", pos, "\"%.*s\" cannot be a name in \"env\"", SHOWN(key));
    sl_diag_hint(diag, "letters, digits, _ and -, beginning with a letter or _");
}

static void data_decode(struct spec_decode *decode, struct sl_value map, struct sl_spec_env *entry)
{
    sl_assert(sl_value_is(map, SL_VALUE_MAP));
    sl_assert(entry != NULL);
    struct sl_value data = sl_value_get_str(map, "data");
    struct sl_value value = sl_value_get_str(map, "value");
    if (!sl_value_is_none(data) && !sl_value_is_none(value)) {
        (void)spec_error(decode, "conflict", sl_value_pos(value),
                         "\"data\" and \"value\" are the same field; give one of them");
    }
    entry->data = sl_value_is_none(data) ? value : data;
    if (sl_value_is_none(entry->data) && entry->id.size == 0 && entry->name.size == 0) {
        struct sl_diag *diag =
            spec_error(decode, "missing_field", sl_value_pos(map),
                       "env \"%.*s\" binds nothing: it needs \"data\", or the \"name\" or "
                       "\"id\" of a secret",
                       SHOWN(entry->key));
        sl_diag_hint(diag, "data: '{{ .%.*s }}' takes it from the environment", SHOWN(entry->key));
    }
}

static void entry_decode(struct spec_decode *decode, struct sl_value value,
                         struct sl_spec_env *entry)
{
    sl_assert(entry != NULL);
    sl_assert(!sl_value_is_none(value));
    struct sl_value map = value;
    if (sl_value_is(value, SL_VALUE_LIST) && sl_value_count(value) == 1) {
        map = sl_value_list_at(value, 0);
    } else if (sl_value_is(value, SL_VALUE_LIST)) {
        (void)spec_error(decode, "wrong_type", sl_value_pos(value),
                         "env \"%.*s\" is a list of %u entries, expected one", SHOWN(entry->key),
                         sl_value_count(value));
        return;
    }
    if (!sl_value_is(map, SL_VALUE_MAP)) {
        struct sl_diag *diag = spec_error(decode, "wrong_type", sl_value_pos(map),
                                          "env \"%.*s\" must be a map with \"data\", not %s",
                                          SHOWN(entry->key), sl_spec_kind_text(map));
        sl_diag_hint(diag, "%.*s: {data: …}", SHOWN(entry->key));
        return;
    }
    spec_fields_check(decode, map, entry_fields, 4, "an env entry");
    (void)spec_id_decode(decode, sl_value_get_str(map, "id"), &entry->id);
    (void)spec_name_decode(decode, sl_value_get_str(map, "name"), "name", &entry->name);
    data_decode(decode, map, entry);
}

int spec_env_decode(struct spec_decode *decode, struct sl_value env)
{
    sl_assert(decode->spec != NULL);
    sl_assert(decode->spec->env == NULL);
    struct sl_spec *spec = decode->spec;
    if (sl_value_is_none(env)) return 0;
    if (!sl_value_is(env, SL_VALUE_MAP)) {
        (void)spec_error(decode, "wrong_type", sl_value_pos(env),
                         "\"env\" must be a map from names to values, not %s",
                         sl_spec_kind_text(env));
        return 0;
    }
    uint32_t count = sl_value_count(env);
    if (count > SL_SPEC_ENV_MAX) {
        (void)spec_error(decode, "too_many", sl_value_pos(env), "%u entries in \"env\", at most %d",
                         count, SL_SPEC_ENV_MAX);
        return 0;
    }
    spec->env = calloc(count ? count : 1, sizeof(*spec->env));
    if (spec->env == NULL) return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_spec_env *entry = &spec->env[spec->env_count++];
        entry->key = sl_value_key_at(env, i);
        entry->pos = sl_value_key_pos(env, i);
        key_check(decode, entry->key, entry->pos);
        entry_decode(decode, sl_value_map_at(env, i), entry);
    }
    return 0;
}
