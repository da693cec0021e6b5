/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as records of the registry's store: a version of an object, and the log of a revision.
 * They are refused, or give an object and a history that can be read.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "ctl/registry/history.h"
#include "ctl/registry/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_version(struct sl_slice bytes)
{
    struct id id = {{1}};
    struct record record;
    struct sl_object *object;
    if (record_unpack(SL_OBJECT_SPEC, &id, 1, bytes, &record) != 0 || record.deleted) return;
    if (record_object(&record, &object) != 0) return;
    sl_assert(strlen(object->id) == SL_ID_SIZE - 1);
    sl_assert(object->sealed.size == record.document.size);
    object = sl_object_free(object);
}

static int put_log(struct sl_kv_txn *txn, void *ctx)
{
    struct head head = {.oldest = 0, .newest = 1};
    struct key key = key_log(1);
    int r = sl_kv_put(txn, key_slice(&key), *(struct sl_slice *)ctx);
    return r == 0 ? head_put(txn, &head) : r;
}

static void check_log(struct sl_slice bytes)
{
    struct sl_registry *registry;
    struct sl_history history;
    int r = sl_registry_open(NULL, NULL, &registry, NULL);
    sl_assert(r == 0);
    r = sl_kv_write(registry->kv, put_log, &bytes);
    sl_assert(r == 0);
    if (sl_registry_history(registry, NULL, SL_REVISION_NEWEST, 1, &history) == 0) {
        sl_history_fini(&history);
    }
    registry = sl_registry_close(registry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1); /* of the exact size */
    if (copy == NULL) return 0;
    if (size > 0) memcpy(copy, data, size);
    check_version(sl_slice_make(copy, size));
    check_log(sl_slice_make(copy, size));
    free(copy);
    return 0;
}
