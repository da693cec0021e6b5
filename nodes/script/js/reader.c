/* SPDX-License-Identifier: MIT */
/* From the result wire to cells: one pass without recursion. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_build_fast.h"
#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/hash.h"
#include "nodes/script/js/js_private.h"

enum {
    OUT_TEXT_KEPT = 1024 * 1024,
    BYTES_SPARE = 96, /* for the keys of shapes */
};

enum container_kind { IN_LIST, IN_MAP, IN_SHAPE, IN_ERROR };

/* An open container. */
struct container {
    enum container_kind kind;
    uint32_t left; /* values to come */
    uint32_t key;  /* of a shape: where its next key stands in the builder's bytes */
    const struct js_shape *shape;
    struct sl_pos pos; /* of an Error: it waits with the name until the data is met */
    char name[32];
};

struct reader {
    struct sl_builder builder;
    const struct js_script *script;
    const struct js_realm *realm;
    const int32_t *words;
    const int32_t *words_end;
    const double *floats;
    const double *floats_end;
    const uint8_t *bytes;
    const uint8_t *bytes_end;
    const uint16_t *wide_text; /* UTF-16; NULL: the text is ASCII and stands in the builder */
    size_t text_at;            /* units */
    size_t text_units;
    struct js_shard *shard; /* whose out_text is scratch for one wide string */
    uint32_t depth;
    int error; /* 0 or -errno; sticky */
    struct container stack[SL_PAYLOAD_DEPTH_MAX];
};

static uint32_t next_word(struct reader *reader)
{
    if (reader->words == reader->words_end) {
        reader->error = -EBADMSG;
        return 0;
    }
    return (uint32_t)*reader->words++;
}

static double next_float(struct reader *reader)
{
    if (reader->floats == reader->floats_end) {
        reader->error = -EBADMSG;
        return 0;
    }
    return *reader->floats++;
}

static bool out_text_reserve(struct js_shard *shard, size_t size)
{
    if (size <= shard->out_text_cap) return true;
    uint8_t *text = realloc(shard->out_text, size);
    if (text == NULL) return false;
    shard->out_text = text;
    shard->out_text_cap = size;
    return true;
}

/* The next `units` of the text; borrowed until the next call, or the next thing built. */
static struct sl_slice next_text(struct reader *reader, size_t units)
{
    if (units > reader->text_units - reader->text_at) reader->error = -EBADMSG;
    if (reader->error != 0 || reader->builder.error != 0) return sl_slice_make(NULL, 0);
    size_t at = reader->text_at;
    reader->text_at += units;
    if (reader->wide_text == NULL) {
        return sl_slice_make(reader->builder.buf->bytes + at, units);
    }
    if (!out_text_reserve(reader->shard, units * 3 + 1)) {
        reader->error = -ENOMEM;
        return sl_slice_make(NULL, 0);
    }
    uint8_t *out = reader->shard->out_text;
    return sl_slice_make(out, js_utf16_to_utf8(reader->wide_text + at, units, out));
}

/* The text of a String word. */
static size_t next_units(struct reader *reader)
{
    uint32_t word = next_word(reader);
    if ((word & 15) != JS_WIRE_STRING) reader->error = -EBADMSG;
    return word >> 4;
}

/* The next `units` of the text as a String cell: plain text is already where it stays. */
static struct sl_cell *build_text(struct reader *reader, size_t units)
{
    struct sl_builder *builder = &reader->builder;
    if (builder->error != 0) return NULL;
    struct sl_slice slice = next_text(reader, units);
    if (reader->wide_text != NULL) {
        sl_build_string(builder, slice.data, slice.size);
        return builder->error == 0 ? &builder->stack[builder->stack_count - 1] : NULL;
    }
    struct sl_cell *cell = reader->error == 0 ? sl_builder_push(builder) : NULL;
    if (cell == NULL) return NULL;
    *cell = (struct sl_cell){.kind = SL_VALUE_STRING,
                             .len = (uint32_t)units,
                             .word = (uint64_t)(slice.data - builder->buf->bytes)};
    return cell;
}

static void build_key(struct reader *reader)
{
    struct sl_cell *key = build_text(reader, next_units(reader));
    if (key != NULL) key->hash = sl_hash16(sl_cell_bytes(reader->builder.buf, key), key->len);
}

/* Doubles without fraction that are exact integers are Int. */
static void build_number(struct sl_builder *builder, double value)
{
    if (fabs(value) <= 9007199254740991.0 && value == trunc(value)) {
        sl_build_int(builder, (int64_t)value);
    } else {
        sl_build_float(builder, value);
    }
}

static void build_time(struct sl_builder *builder, double ms)
{
    double seconds = floor(ms / 1000.0);
    sl_build_time(builder, (int64_t)seconds, (uint32_t)((ms - seconds * 1000.0) * 1e6));
}

static void build_integer(struct reader *reader, bool is_signed)
{
    uint64_t low = next_word(reader);
    uint64_t value = low | (uint64_t)next_word(reader) << 32;
    if (is_signed)
        sl_build_int(&reader->builder, (int64_t)value);
    else
        sl_build_uint(&reader->builder, value);
}

static void build_binary(struct reader *reader, size_t size)
{
    if (size > (size_t)(reader->bytes_end - reader->bytes)) {
        reader->error = -EBADMSG;
        return;
    }
    sl_build_binary(&reader->builder, reader->bytes, size);
    reader->bytes += size;
}

static struct container *container_push(struct reader *reader, enum container_kind kind,
                                        uint32_t left)
{
    if (reader->depth == SL_PAYLOAD_DEPTH_MAX) {
        reader->error = -E2BIG;
        return NULL;
    }
    struct container *container = &reader->stack[reader->depth++];
    container->kind = kind;
    container->left = left;
    return container;
}

/* line, column, name, code, message are read here; cause, data and status come as values. */
static void error_open(struct reader *reader)
{
    uint32_t line = next_word(reader);
    uint32_t column = next_word(reader);
    struct sl_slice name = next_text(reader, next_units(reader));
    struct container *container = container_push(reader, IN_ERROR, 3);
    if (container == NULL) return;
    container->pos = js_script_pos(reader->script, line, column);
    (void)snprintf(container->name, sizeof(container->name), "%.*s",
                   name.size < sizeof(container->name) ? (int)name.size : 0,
                   (const char *)name.data);
    sl_build_error_begin(&reader->builder);
    (void)build_text(reader, next_units(reader));
    (void)build_text(reader, next_units(reader));
}

/* An Error without data of its own tells where it came from. */
static void error_origin(struct reader *reader, const struct container *container)
{
    struct sl_builder *builder = &reader->builder;
    if (container->pos.line == 0) {
        sl_build_null(builder);
        return;
    }
    sl_build_map_begin(builder);
    sl_build_key_str(builder, "name");
    sl_build_string_str(builder, container->name);
    if (reader->script->file[0] != '\0') {
        sl_build_key_str(builder, "file");
        sl_build_string_str(builder, reader->script->file);
    }
    sl_build_key_str(builder, "line");
    sl_build_int(builder, container->pos.line);
    sl_build_key_str(builder, "column");
    sl_build_int(builder, container->pos.column);
    sl_build_map_end(builder);
}

/* What each of an Error's three values may be. */
static bool error_part_fits(uint32_t left, uint32_t kind)
{
    if (left == 3) return kind == JS_WIRE_NULL || kind == JS_WIRE_ERROR;
    if (left == 1) return kind == JS_WIRE_NULL || kind == JS_WIRE_INT32;
    return true;
}

/* All keys at once behind the bytes; the pairs follow as they come. */
static void shape_open(struct reader *reader, uint32_t id)
{
    if (id >= reader->realm->out_shapes_count) {
        reader->error = -EBADMSG;
        return;
    }
    const struct js_shape *shape = &reader->realm->out_shapes[id];
    struct container *container = container_push(reader, IN_SHAPE, shape->keys_count);
    if (container == NULL) return;
    sl_build_map_begin(&reader->builder);
    uint8_t *at = sl_builder_bytes_reserve(&reader->builder, shape->size);
    if (at == NULL) return; /* the builder has the error */
    memcpy(at, shape->keys, shape->size);
    container->shape = shape;
    container->key = reader->builder.buf->bytes_size;
    reader->builder.buf->bytes_size += shape->size;
}

/* The next key of a shape, as a cell; the bytes are there. */
static void shape_key(struct reader *reader, struct container *container, bool absent)
{
    const struct js_shape *shape = container->shape;
    uint32_t index = shape->keys_count - container->left;
    uint32_t len = shape->lens[index];
    struct sl_cell *cell = absent ? NULL : sl_builder_push(&reader->builder);
    if (cell != NULL) {
        *cell = (struct sl_cell){.kind = SL_VALUE_STRING,
                                 .hash = shape->hashes[index],
                                 .len = len,
                                 .word = container->key};
    }
    container->key += len;
}

static void build_value(struct reader *reader, uint32_t word)
{
    struct sl_builder *builder = &reader->builder;
    uint32_t arg = word >> 4;
    switch ((enum js_wire)(word & 15)) {
    case JS_WIRE_NULL: sl_build_null(builder); return;
    case JS_WIRE_FALSE: sl_build_bool(builder, false); return;
    case JS_WIRE_TRUE: sl_build_bool(builder, true); return;
    case JS_WIRE_INT32: sl_build_int(builder, (int32_t)next_word(reader)); return;
    case JS_WIRE_FLOAT: build_number(builder, next_float(reader)); return;
    case JS_WIRE_INT64: build_integer(reader, true); return;
    case JS_WIRE_UINT64: build_integer(reader, false); return;
    case JS_WIRE_STRING: (void)build_text(reader, arg); return;
    case JS_WIRE_BINARY: build_binary(reader, arg); return;
    case JS_WIRE_TIME: build_time(builder, next_float(reader)); return;
    case JS_WIRE_LIST:
        if (container_push(reader, IN_LIST, arg) != NULL) sl_build_list_begin(builder);
        return;
    case JS_WIRE_MAP:
        if (container_push(reader, IN_MAP, arg) != NULL) sl_build_map_begin(builder);
        return;
    case JS_WIRE_SHAPE: shape_open(reader, arg); return;
    case JS_WIRE_ERROR: error_open(reader); return;
    case JS_WIRE_DURATION:
    case JS_WIRE_ABSENT: break;
    }
    reader->error = -EBADMSG;
}

static void container_end(struct reader *reader)
{
    switch (reader->stack[--reader->depth].kind) {
    case IN_LIST: sl_build_list_end(&reader->builder); break;
    case IN_MAP:
    case IN_SHAPE: sl_build_map_end(&reader->builder); break;
    case IN_ERROR: sl_build_error_end(&reader->builder); break;
    }
}

/* The next value of the innermost container. */
static void container_step(struct reader *reader, struct container *container)
{
    if (container->kind == IN_MAP) build_key(reader);
    uint32_t word = next_word(reader);
    if (container->kind == IN_SHAPE) {
        bool absent = (word & 15) == JS_WIRE_ABSENT;
        shape_key(reader, container, absent);
        container->left--;
        if (!absent) build_value(reader, word);
        return;
    }
    uint32_t left = container->left--;
    if (container->kind == IN_ERROR) {
        if (!error_part_fits(left, word & 15)) reader->error = -EBADMSG;
        if (left == 2 && (word & 15) == JS_WIRE_NULL) {
            error_origin(reader, container);
            return;
        }
    }
    build_value(reader, word);
}

static int read_all(struct reader *reader, struct sl_value *ret_value)
{
    build_value(reader, next_word(reader));
    while (reader->depth > 0 && reader->error == 0 && reader->builder.error == 0) {
        struct container *container = &reader->stack[reader->depth - 1];
        if (container->left == 0)
            container_end(reader);
        else
            container_step(reader, container);
    }
    if (reader->error != 0) {
        sl_builder_fini(&reader->builder);
        return reader->error;
    }
    return sl_builder_finish(&reader->builder, ret_value);
}

static bool is_ascii(const uint8_t *data, size_t size)
{
    uint64_t bits = 0;
    for (; size >= 8; size -= 8, data += 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        bits |= word;
    }
    for (; size > 0; size--, data++) bits |= *data;
    return (bits & UINT64_C(0x8080808080808080)) == 0;
}

/* Put the text into the builder, where strings then point at it; if it is not ASCII, convert later. */
static void text_open(struct reader *reader, JSStringRef text)
{
    struct js_shard *shard = reader->shard;
    size_t units = reader->text_units;
    if (shard->out_text_cap > OUT_TEXT_KEPT) {
        free(shard->out_text);
        shard->out_text = NULL;
        shard->out_text_cap = 0;
    }
    uint8_t *at = units > 0 ? sl_builder_bytes_reserve(&reader->builder, units + 1) : NULL;
    if (at == NULL) return;
    size_t size = JSStringGetUTF8CString(text, (char *)at, units + 1);
    if (size == units + 1 && is_ascii(at, units)) {
        reader->builder.buf->bytes_size += (uint32_t)units;
    } else {
        reader->wide_text = JSStringGetCharactersPtr(text);
    }
}

struct sl_value js_read_result(struct js_shard *shard, struct js_realm *realm,
                               const struct js_script *script, JSStringRef text, struct sl_mem *mem)
{
    sl_assert(realm->words != NULL);
    sl_assert(realm->words[0] >= 3);
    sl_assert((size_t)realm->words[0] <= realm->words_count);
    struct reader reader;
    reader.script = script;
    reader.realm = realm;
    reader.words = realm->words + 2;
    reader.words_end = realm->words + realm->words[0];
    reader.floats = realm->floats;
    reader.floats_end = realm->floats + realm->floats_count;
    reader.bytes = realm->bytes;
    reader.bytes_end = realm->bytes + realm->bytes_size;
    reader.wide_text = NULL;
    reader.text_at = 0;
    reader.shard = shard;
    reader.depth = 0;
    reader.error = 0;
    struct sl_value value = sl_value_none();
    reader.text_units = JSStringGetLength(text);
    sl_builder_init(&reader.builder, mem, (uint32_t)(reader.words_end - reader.words),
                    (uint32_t)reader.text_units + BYTES_SPARE);
    text_open(&reader, text);
    int err = read_all(&reader, &value);
    if (err == -ENOMEM) return sl_value_none();
    if (err < 0) {
        return sl_value_new_error(mem, "script_error", 0,
                                  "the result of the script is larger than a payload may be");
    }
    return value;
}
