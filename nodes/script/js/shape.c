/* SPDX-License-Identifier: MIT */
/*
 * Shapes: for a row of keys that comes again and again, a function is compiled that makes the object
 * in one go,
 *
 *     (read) => ({"method": read(), "path": read(), …})
 *
 * so that no key crosses the wire. A row must be seen twice before it is compiled, and there are at
 * most JS_SHAPES_MAX: a client that varies its keys only loses the shortcut.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "nodes/script/js/js_private.h"

enum { TABLE_SIZE = JS_SHAPES_MAX * 2, SEEN_SIZE = 4096 };

static_assert((TABLE_SIZE & (TABLE_SIZE - 1)) == 0, "indexed by mask");

static const struct sl_cell *map_keys(struct sl_value map)
{
    return &map.buf->cells[map.cell->word];
}

static uint64_t keys_hash(struct sl_value map)
{
    const struct sl_cell *key = map_keys(map);
    uint64_t hash = map.cell->len;
    for (uint32_t i = 0; i < map.cell->len; i++, key += 2) {
        hash = (hash ^ (hash >> 29) ^ ((uint64_t)key->len << 16 | key->hash)) * SL_HASH_MULTIPLIER;
    }
    return hash | 1; /* 0 marks an empty slot */
}

static bool keys_are(const struct js_shape *shape, struct sl_value map)
{
    if (shape->keys_count != map.cell->len) return false;
    const struct sl_cell *key = map_keys(map);
    const uint8_t *at = shape->keys;
    for (uint32_t i = 0; i < shape->keys_count; i++, key += 2) {
        if (key->len != shape->lens[i]) return false;
        if (memcmp(at, sl_cell_bytes(map.buf, key), key->len) != 0) return false;
        at += key->len;
    }
    return true;
}

/* Only printable ASCII without quotes may stand in the compiled text. */
static bool key_is_plain(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] < 0x20 || data[i] > 0x7e || data[i] == '"' || data[i] == '\\') return false;
    }
    return true;
}

/* Copy the keys; false if they are not fit for a shape or there is no memory. */
static bool keys_copy(struct js_shape *shape, struct sl_value map)
{
    uint32_t count = map.cell->len;
    size_t size = 0;
    const struct sl_cell *key = map_keys(map);
    for (uint32_t i = 0; i < count; i++) {
        if (!key_is_plain(sl_cell_bytes(map.buf, &key[2 * i]), key[2 * i].len)) return false;
        size += key[2 * i].len;
    }
    if (size > JS_SHAPE_SIZE_MAX) return false;
    uint8_t *keys = malloc(size + 1);
    uint32_t *lens = malloc((count + 1) * sizeof(*lens));
    if (keys == NULL || lens == NULL) {
        free(keys);
        free(lens);
        return false;
    }
    *shape =
        (struct js_shape){.keys_count = count, .size = (uint32_t)size, .keys = keys, .lens = lens};
    for (uint32_t i = 0; i < count; i++) {
        memcpy(keys, sl_cell_bytes(map.buf, &key[2 * i]), key[2 * i].len);
        keys += key[2 * i].len;
        lens[i] = key[2 * i].len;
    }
    return true;
}

/* Compile the maker and hand it to the prelude. Returns its number or -1. */
static int32_t shape_compile(struct js_realm *realm, const struct js_shape *shape)
{
    char code[JS_SHAPE_SIZE_MAX + JS_SHAPE_KEYS_MAX * 16 + 64];
    size_t used = (size_t)snprintf(code, sizeof(code), "(read) => ({");
    const uint8_t *key = shape->keys;
    for (uint32_t i = 0; i < shape->keys_count; i++) {
        /* In brackets, because "__proto__": would set the prototype. */
        bool proto = shape->lens[i] == 9 && memcmp(key, "__proto__", 9) == 0;
        used += (size_t)snprintf(code + used, sizeof(code) - used,
                                 proto ? "[\"%.*s\"]: read()," : "\"%.*s\": read(),",
                                 (int)shape->lens[i], (const char *)key);
        key += shape->lens[i];
    }
    (void)snprintf(code + used, sizeof(code) - used, "})");
    JSValueRef exception = NULL;
    JSValueRef maker = js_evaluate(realm->ctx, code, "sluice:shape", &exception);
    if (maker == NULL) return -1;
    JSValueRef id = JSObjectCallAsFunction(realm->ctx, realm->add_shape, NULL, 1, &maker, NULL);
    return id != NULL ? (int32_t)JSValueToNumber(realm->ctx, id, NULL) : -1;
}

static __attribute__((cold)) int32_t shape_add(struct js_realm *realm, struct js_shape *slot,
                                               uint64_t hash, struct sl_value map)
{
    if (realm->shapes_count == JS_SHAPES_MAX) return -1;
    uint64_t *seen = &realm->shapes_seen[(hash >> 8) & (SEEN_SIZE - 1)];
    if (*seen != hash) {
        *seen = hash;
        return -1;
    }
    struct js_shape shape;
    if (!keys_copy(&shape, map)) return -1;
    shape.hash = hash;
    shape.id = shape_compile(realm, &shape);
    if (shape.id < 0) {
        free(shape.keys);
        free(shape.lens);
        return -1;
    }
    *slot = shape;
    realm->shapes_count++;
    js_current->stats.shapes++;
    return shape.id;
}

int32_t js_shape_find(struct js_realm *realm, struct sl_value map)
{
    sl_assert(realm != NULL);
    if (map.cell->len > JS_SHAPE_KEYS_MAX) return -1;
    if (realm->shapes == NULL) {
        realm->shapes = calloc(TABLE_SIZE, sizeof(*realm->shapes));
        realm->shapes_seen = calloc(SEEN_SIZE, sizeof(*realm->shapes_seen));
    }
    if (realm->shapes == NULL || realm->shapes_seen == NULL) return -1;
    uint64_t hash = keys_hash(map);
    /* At most half of the slots are taken, so an empty one ends the search. */
    for (size_t i = (hash >> 16) & (TABLE_SIZE - 1);; i = (i + 1) & (TABLE_SIZE - 1)) {
        struct js_shape *shape = &realm->shapes[i];
        if (shape->hash == 0) return shape_add(realm, shape, hash, map);
        if (shape->hash == hash && keys_are(shape, map)) return shape->id;
    }
}

void js_shapes_fini(struct js_realm *realm)
{
    for (size_t i = 0; realm->shapes != NULL && i < TABLE_SIZE; i++) {
        free(realm->shapes[i].keys);
        free(realm->shapes[i].lens);
    }
    free(realm->shapes);
    free(realm->shapes_seen);
    realm->shapes = NULL;
    realm->shapes_seen = NULL;
}
