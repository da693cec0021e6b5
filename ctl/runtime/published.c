/* SPDX-License-Identifier: MIT */
#include "ctl/runtime/published.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "core/base/assertion.h"
#include "core/mem/out.h"
#include "ctl/loader/loader.h"
#include "ctl/registry/lease.h"
#include "ctl/registry/registry.h"

enum { PUBLISHED_SYMBOLS_MAX = 1000 };

static const char published_key[] = "published";

void sl_published_lease(const char *name_space, char *buf, size_t buf_size)
{
    (void)snprintf(buf, buf_size, "namespace-%s", name_space);
}

static void symbol_build(struct sl_builder *b, const struct sl_symbol_info *info)
{
    sl_build_map_begin(b);
    sl_build_key_str(b, "id");
    sl_build_string_str(b, info->id);
    sl_build_key_str(b, "name");
    sl_build_string_str(b, info->name);
    sl_build_key_str(b, "state");
    sl_build_string_str(b, info->state == SL_SYMBOL_LAST_GOOD ? "last_good" : "inactive");
    sl_build_key_str(b, "reason");
    sl_build_string_str(b, info->reason != NULL ? info->reason->text : "");
    if (info->reason != NULL && info->reason->file[0] != '\0') {
        char place[SL_DIAG_FILE_SIZE + 32];
        (void)snprintf(place, sizeof(place), "%s:%u:%u", info->reason->file, info->reason->pos.line,
                       info->reason->pos.column);
        sl_build_key_str(b, "place");
        sl_build_string_str(b, place);
    }
    sl_build_map_end(b);
}

static int published_value(const struct sl_loader *loader, uint64_t revision, const char *error,
                           struct sl_value *ret_value)
{
    struct sl_builder b;
    sl_builder_init(&b, NULL, 32, 256);
    sl_build_map_begin(&b);
    sl_build_key_str(&b, "pid");
    sl_build_int(&b, getpid());
    sl_build_key_str(&b, "revision");
    sl_build_uint(&b, revision);
    if (error != NULL) {
        sl_build_key_str(&b, "error");
        sl_build_string_str(&b, error);
    }
    sl_build_key_str(&b, "symbols");
    sl_build_list_begin(&b);
    size_t told = 0;
    for (size_t i = 0; i < sl_loader_symbols_count(loader); i++) {
        struct sl_symbol_info info = sl_loader_symbol(loader, i);
        if (info.state == SL_SYMBOL_ACTIVE || told == PUBLISHED_SYMBOLS_MAX) continue;
        symbol_build(&b, &info);
        told++;
    }
    sl_build_list_end(&b);
    sl_build_map_end(&b);
    return sl_builder_finish(&b, ret_value);
}

int sl_published_put(struct sl_registry *registry, const char *name_space,
                     const struct sl_loader *loader, uint64_t revision, int result,
                     const struct sl_diag *diag)
{
    sl_assert(registry != NULL);
    sl_assert(loader != NULL);
    const char *error = NULL;
    if (result < 0) error = diag != NULL && diag->text[0] ? diag->text : strerror(-result);
    struct sl_value value;
    int r = published_value(loader, revision, error, &value);
    if (r < 0) return r;
    struct sl_out out;
    sl_out_init(&out, NULL);
    r = sl_json_write(value, 0, &out);
    sl_value_unref(value);
    if (r == 0) {
        r = sl_registry_meta_put(registry, name_space, published_key,
                                 sl_slice_make(out.data, out.size));
    }
    sl_out_fini(&out);
    return r;
}

int sl_published_get(struct sl_registry *registry, const char *name_space, long *ret_pid,
                     struct sl_value *ret_value)
{
    sl_assert(registry != NULL);
    char lease[512];
    char *data = NULL;
    size_t size;
    *ret_value = sl_value_none();
    *ret_pid = 0;
    sl_published_lease(name_space, lease, sizeof(lease));
    int r = sl_lease_owner(sl_registry_dir(registry), lease, ret_pid);
    if (r < 0 || *ret_pid == 0) return r;
    r = sl_registry_meta_get(registry, name_space, published_key, &data, &size);
    if (r != 0) return r < 0 ? r : 0;
    struct sl_value value;
    r = sl_json_parse(sl_slice_make(data, size), NULL, NULL, 0, &value, NULL);
    free(data);
    if (r < 0) return r == -ENOMEM ? r : 0;
    struct sl_value pid =
        sl_value_is(value, SL_VALUE_MAP) ? sl_value_get_str(value, "pid") : sl_value_none();
    if (!sl_value_is_none(pid) && sl_value_is(pid, SL_VALUE_INT) && pid.cell->i64 == *ret_pid) {
        *ret_value = value;
        return 0;
    }
    sl_value_unref(value); /* of an owner before */
    return 0;
}
