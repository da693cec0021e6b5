/* SPDX-License-Identifier: MIT */
/*
 * Shapes: for a row of keys that comes again and again, a function is compiled that makes the object
 * in one go,
 *
 *     (read) => ({"method": read(), "path": read(), …})
 *
 * so that no key crosses the wire. A row must be seen twice before it is compiled, and there are at
 * most JS_SHAPES_MAX: a client that varies its keys only loses the shortcut.
 *
 * On the way out the same: (object, slot) => { slot(object.method); … }, found by the prelude.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/hash.h"
#include "nodes/script/js/js_private.h"

enum { TABLE_SIZE = JS_SHAPES_MAX * 2, SEEN_SIZE = 4096 };

static_assert((TABLE_SIZE & (TABLE_SIZE - 1)) == 0, "indexed by mask");

static void shape_free(struct js_shape *shape)
{
    free(shape->keys);
    free(shape->lens);
    free(shape->hashes);
    *shape = (struct js_shape){0};
}

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
        shape_free(&shape);
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

int32_t js_shape_make(struct js_realm *realm, const struct js_uses *uses)
{
    sl_assert(uses != NULL);
    sl_assert(uses->known);
    struct sl_builder builder;
    struct sl_value map;
    sl_builder_init(&builder, NULL, 0, 0);
    sl_build_map_begin(&builder);
    for (uint32_t i = 0; i < uses->count; i++) {
        sl_build_key(&builder, uses->keys[i].text, uses->keys[i].size);
        sl_build_null(&builder);
    }
    sl_build_map_end(&builder);
    if (sl_builder_finish(&builder, &map) < 0) return -1;
    int32_t id = js_shape_find(realm, map);
    if (id < 0) id = js_shape_find(realm, map); /* what was seen twice is compiled */
    sl_value_unref(map);
    return id;
}

/* ---- Out ----------------------------------------------------------------------------------- */

/* Copy one key; false if it is not fit, or there are too many bytes. */
static bool out_key_copy(struct js_realm *realm, struct js_shape *shape, JSObjectRef names,
                         uint32_t index)
{
    JSValueRef name = JSObjectGetPropertyAtIndex(realm->ctx, names, index, NULL);
    JSStringRef text = name != NULL ? JSValueToStringCopy(realm->ctx, name, NULL) : NULL;
    if (text == NULL) return false;
    uint8_t *key = shape->keys + shape->size;
    size_t room = JS_SHAPE_SIZE_MAX - shape->size + 1;
    bool fits = JSStringGetLength(text) < room;
    size_t size = fits ? JSStringGetUTF8CString(text, (char *)key, room) - 1 : 0;
    JSStringRelease(text);
    if (!fits || !key_is_plain(key, size)) return false;
    struct sl_slice slice = sl_slice_make(key, size);
    if (sl_slice_eq_str(slice, "__proto__") || sl_slice_eq_str(slice, "toJSON")) return false;
    shape->lens[index] = (uint32_t)size;
    shape->hashes[index] = sl_hash16(key, size);
    shape->size += (uint32_t)size;
    return true;
}

static bool out_keys_copy(struct js_realm *realm, struct js_shape *shape, JSObjectRef names)
{
    JSStringRef length = JSStringCreateWithUTF8CString("length");
    JSValueRef value = JSObjectGetProperty(realm->ctx, names, length, NULL);
    JSStringRelease(length);
    double count = value != NULL ? JSValueToNumber(realm->ctx, value, NULL) : 0;
    if (!(count >= 1 && count <= JS_SHAPE_KEYS_MAX)) return false;
    shape->keys = malloc(JS_SHAPE_SIZE_MAX + 1);
    shape->lens = calloc(JS_SHAPE_KEYS_MAX, sizeof(*shape->lens));
    shape->hashes = calloc(JS_SHAPE_KEYS_MAX, sizeof(*shape->hashes));
    if (shape->keys == NULL || shape->lens == NULL || shape->hashes == NULL) return false;
    for (uint32_t i = 0; i < (uint32_t)count; i++) {
        if (!out_key_copy(realm, shape, names, i)) return false;
        shape->keys_count++;
    }
    return true;
}

/* (object, slot) => { slot(object["a"]); … } */
static JSValueRef out_compile(struct js_realm *realm, const struct js_shape *shape)
{
    char code[JS_SHAPE_SIZE_MAX + JS_SHAPE_KEYS_MAX * 16 + 64];
    size_t used = (size_t)snprintf(code, sizeof(code), "(object, slot) => {");
    const uint8_t *key = shape->keys;
    for (uint32_t i = 0; i < shape->keys_count; i++) {
        used += (size_t)snprintf(code + used, sizeof(code) - used, "slot(object[\"%.*s\"]);",
                                 (int)shape->lens[i], (const char *)key);
        key += shape->lens[i];
    }
    (void)snprintf(code + used, sizeof(code) - used, "}");
    return js_evaluate(realm->ctx, code, "sluice:shape", NULL);
}

static void property_set(JSContextRef ctx, JSObjectRef object, const char *name, JSValueRef value)
{
    JSStringRef key = JSStringCreateWithUTF8CString(name);
    JSObjectSetProperty(ctx, object, key, value, kJSPropertyAttributeNone, NULL);
    JSStringRelease(key);
}

bool js_shape_add_out(struct js_realm *realm, JSObjectRef names, JSObjectRef found)
{
    sl_assert(realm != NULL);
    sl_assert(names != NULL);
    if (realm->out_shapes == NULL) {
        realm->out_shapes = calloc(JS_SHAPES_MAX, sizeof(*realm->out_shapes));
    }
    if (realm->out_shapes == NULL || realm->out_shapes_count == JS_SHAPES_MAX) return false;
    struct js_shape shape = {0};
    JSValueRef writer = NULL;
    if (out_keys_copy(realm, &shape, names)) writer = out_compile(realm, &shape);
    if (writer == NULL) {
        shape_free(&shape);
        return false;
    }
    property_set(realm->ctx, found, "write", writer);
    property_set(realm->ctx, found, "id", JSValueMakeNumber(realm->ctx, realm->out_shapes_count));
    realm->out_shapes[realm->out_shapes_count++] = shape;
    js_current->stats.shapes++;
    return true;
}

void js_shapes_fini(struct js_realm *realm)
{
    for (uint32_t i = 0; i < realm->out_shapes_count; i++) shape_free(&realm->out_shapes[i]);
    free(realm->out_shapes);
    realm->out_shapes = NULL;
    for (size_t i = 0; realm->shapes != NULL && i < TABLE_SIZE; i++) {
        shape_free(&realm->shapes[i]);
    }
    free(realm->shapes);
    free(realm->shapes_seen);
    realm->shapes = NULL;
    realm->shapes_seen = NULL;
}
