/* SPDX-License-Identifier: MIT */
/*
 * Records of the store: versions of objects, and what a revision changed. What comes from the disk
 * is checked here once: bounds by unpack, documents by the payload verifier.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "ctl/registry/internal.h"

int record_put(struct sl_kv_txn *txn, const struct record *record)
{
    sl_assert(record->revision > 0);
    sl_assert(record->created_revision <= record->revision);
    sl_assert(record->namespace.size > 0);
    struct pack pack = {0};
    pack_u8(&pack, REGISTRY_FORMAT);
    pack_u8(&pack, record->deleted);
    pack_u64(&pack, record->created_revision);
    pack_u32(&pack, record->ordinal);
    pack_slice(&pack, record->kind);
    pack_slice(&pack, record->namespace);
    pack_slice(&pack, record->name);
    pack_slice(&pack, record->origin_file);
    pack_u32(&pack, record->origin_line);
    pack_slice(&pack, record->source);
    pack_raw(&pack, record->hash, sizeof(record->hash));
    pack_slice(&pack, record->document);
    pack_slice(&pack, record->secret);
    struct key key = key_version(record->type, &record->id, record->revision);
    int r = pack.error ? -ENOMEM : sl_kv_put(txn, key_slice(&key), pack_result(&pack));
    pack_fini(&pack);
    return r;
}

/* What the rest of the registry relies on; the disk may say anything. */
static bool record_is_sound(const struct record *record)
{
    return record->revision > 0 && record->created_revision <= record->revision &&
           record->namespace.size > 0 && record->namespace.size <= SL_REGISTRY_NAMESPACE_MAX &&
           record->name.size <= SL_SPEC_NAME_MAX;
}

int record_unpack(enum sl_object_type type, const struct id *id, uint64_t revision,
                  struct sl_slice value, struct record *ret_record)
{
    struct unpack unpack = {.rest = value};
    bool known = unpack_u8(&unpack) == REGISTRY_FORMAT;
    struct record record = {.type = type, .id = *id, .revision = revision};
    record.deleted = unpack_u8(&unpack) != 0;
    record.created_revision = unpack_u64(&unpack);
    record.ordinal = unpack_u32(&unpack);
    record.kind = unpack_slice(&unpack);
    record.namespace = unpack_slice(&unpack);
    record.name = unpack_slice(&unpack);
    record.origin_file = unpack_slice(&unpack);
    record.origin_line = unpack_u32(&unpack);
    record.source = unpack_slice(&unpack);
    memcpy(record.hash, unpack_raw(&unpack, sizeof(record.hash)).data, sizeof(record.hash));
    record.document = unpack_slice(&unpack);
    record.secret = unpack_slice(&unpack);
    if (!known || unpack.error || !record_is_sound(&record)) return -EBADMSG;
    *ret_record = record;
    return 0;
}

int record_find(struct sl_kv_txn *txn, enum sl_object_type type, const struct id *id,
                uint64_t revision, struct record *ret_record)
{
    struct key key = key_version(type, id, revision);
    struct sl_kv_pair pair;
    int r = sl_kv_seek(txn, key_slice(&key), &pair);
    if (r != 0) return r;
    if (pair.key.size != key.size || memcmp(pair.key.data, key.data, key.size - 8) != 0) {
        return SL_KV_NOT_FOUND;
    }
    return record_unpack(type, id, key_version_revision(pair.key), pair.value, ret_record);
}

int record_delete(struct sl_kv_txn *txn, enum sl_object_type type, const struct id *id,
                  uint64_t revision)
{
    struct key key = key_version(type, id, revision);
    int r = sl_kv_delete(txn, key_slice(&key));
    return r == SL_KV_NOT_FOUND ? 0 : r;
}

/* Copy `slice` to `*at` with a zero byte after it, and move on. */
static const char *place_str(char **at, struct sl_slice slice)
{
    char *str = *at;
    if (slice.size > 0) memcpy(str, slice.data, slice.size);
    str[slice.size] = '\0';
    *at = str + slice.size + 1;
    return str;
}

int record_object(const struct record *record, struct sl_object **ret_object)
{
    sl_assert(!record->deleted);
    size_t strings = record->kind.size + record->namespace.size + record->name.size +
                     record->origin_file.size + record->source.size + 5;
    size_t document_off = (sizeof(struct sl_object) + 15) & ~(size_t)15;
    struct sl_object *object = malloc(document_off + record->document.size + strings);
    if (object == NULL) return -ENOMEM;
    uint8_t *document = (uint8_t *)object + document_off;
    if (record->document.size > 0) {
        memcpy(document, record->document.data, record->document.size);
    }
    char *at = (char *)document + record->document.size;
    *object = (struct sl_object){
        .type = record->type,
        .kind = place_str(&at, record->kind),
        .sealed = sl_slice_make(document, record->document.size),
        .origin_line = record->origin_line,
        .revision = record->revision,
        .created_revision = record->created_revision,
        .ordinal = record->ordinal,
    };
    object->namespace = place_str(&at, record->namespace);
    object->name = place_str(&at, record->name);
    object->origin_file = place_str(&at, record->origin_file);
    object->source = sl_slice_make(place_str(&at, record->source), record->source.size);
    id_format(&record->id, object->id);
    memcpy(object->hash, record->hash, sizeof(object->hash));
    int r = sl_flat_verify(document, record->document.size, NULL);
    if (r == 0) r = sl_flat_open(document, record->document.size, NULL, NULL, &object->document);
    if (r != 0) {
        free(object);
        return r;
    }
    *ret_object = object;
    return 0;
}

void log_pack_change(struct pack *pack, const struct log_change *change)
{
    pack_u8(pack, (uint8_t)change->effect);
    pack_u8(pack, (uint8_t)change->type);
    pack_raw(pack, change->id.bytes, ID_BYTES);
    pack_u64(pack, change->previous);
    pack_slice(pack, change->namespace);
    pack_slice(pack, change->kind);
    pack_slice(pack, change->name);
}

int log_next(struct log_entry *entry, struct log_change *ret_change)
{
    struct unpack *rest = &entry->rest;
    ret_change->effect = (enum sl_change_effect)unpack_u8(rest);
    ret_change->type = (enum sl_object_type)unpack_u8(rest);
    memcpy(ret_change->id.bytes, unpack_raw(rest, ID_BYTES).data, ID_BYTES);
    ret_change->previous = unpack_u64(rest);
    ret_change->namespace = unpack_slice(rest);
    ret_change->kind = unpack_slice(rest);
    ret_change->name = unpack_slice(rest);
    return rest->error ? -EBADMSG : 0;
}

int log_get(struct sl_kv_txn *txn, uint64_t revision, struct log_entry *ret_entry)
{
    struct key key = key_log(revision);
    struct sl_slice value;
    int r = sl_kv_get(txn, key_slice(&key), &value);
    if (r != 0) return r;
    struct log_entry entry = {.rest = {.rest = value}};
    bool known = unpack_u8(&entry.rest) == REGISTRY_FORMAT;
    entry.wall_ns = (int64_t)unpack_u64(&entry.rest);
    entry.author = unpack_slice(&entry.rest);
    entry.message = unpack_slice(&entry.rest);
    entry.changes_count = unpack_u32(&entry.rest);
    if (!known || entry.rest.error || entry.changes_count > SL_REGISTRY_CHANGES_MAX) {
        return -EBADMSG;
    }
    *ret_entry = entry;
    return 0;
}
