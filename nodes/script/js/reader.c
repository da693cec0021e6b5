/* SPDX-License-Identifier: MIT */
/* From the result wire to cells: one pass without recursion. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "nodes/script/js/js_private.h"

enum { OUT_TEXT_KEPT = 1024 * 1024 };

enum container_kind { IN_LIST, IN_MAP, IN_ERROR };

/* An open container. Of an Error, name and position wait until its data is met. */
struct container {
    enum container_kind kind;
    uint32_t left; /* values to come */
    struct sl_pos pos;
    char name[32];
};

struct reader {
    struct sl_builder builder;
    const struct js_script *script;
    const int32_t *words;
    const int32_t *words_end;
    const double *floats;
    const double *floats_end;
    const uint8_t *bytes;
    const uint8_t *bytes_end;
    const uint8_t *text;       /* one byte a unit, or NULL: then wide_text */
    const uint16_t *wide_text; /* UTF-16 */
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

/* The next `units` of the text; borrowed until the next call. */
static struct sl_slice next_text(struct reader *reader, size_t units)
{
    if (units > reader->text_units - reader->text_at) reader->error = -EBADMSG;
    if (reader->error != 0) return sl_slice_make(NULL, 0);
    size_t at = reader->text_at;
    reader->text_at += units;
    if (reader->text != NULL) return sl_slice_make(reader->text + at, units);
    if (!out_text_reserve(reader->shard, units * 3 + 1)) {
        reader->error = -ENOMEM;
        return sl_slice_make(NULL, 0);
    }
    uint8_t *out = reader->shard->out_text;
    return sl_slice_make(out, js_utf16_to_utf8(reader->wide_text + at, units, out));
}

/* A String word and its text. */
static struct sl_slice next_string(struct reader *reader)
{
    uint32_t word = next_word(reader);
    if ((word & 15) != JS_WIRE_STRING) reader->error = -EBADMSG;
    return next_text(reader, word >> 4);
}

static void build_string(struct reader *reader, struct sl_slice slice)
{
    sl_build_string(&reader->builder, slice.data, slice.size);
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
    struct sl_slice name = next_string(reader);
    struct container *container = container_push(reader, IN_ERROR, 3);
    if (container == NULL) return;
    container->pos = js_script_pos(reader->script, line, column);
    (void)snprintf(container->name, sizeof(container->name), "%.*s",
                   name.size < sizeof(container->name) ? (int)name.size : 0,
                   (const char *)name.data);
    sl_build_error_begin(&reader->builder);
    build_string(reader, next_string(reader));
    build_string(reader, next_string(reader));
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
    case JS_WIRE_STRING: build_string(reader, next_text(reader, arg)); return;
    case JS_WIRE_BINARY: build_binary(reader, arg); return;
    case JS_WIRE_TIME: build_time(builder, next_float(reader)); return;
    case JS_WIRE_LIST:
        if (container_push(reader, IN_LIST, arg) != NULL) sl_build_list_begin(builder);
        return;
    case JS_WIRE_MAP:
        if (container_push(reader, IN_MAP, arg) != NULL) sl_build_map_begin(builder);
        return;
    case JS_WIRE_ERROR: error_open(reader); return;
    case JS_WIRE_SHAPE:
    case JS_WIRE_DURATION: break;
    }
    reader->error = -EBADMSG;
}

static void container_end(struct reader *reader)
{
    switch (reader->stack[--reader->depth].kind) {
    case IN_LIST: sl_build_list_end(&reader->builder); break;
    case IN_MAP: sl_build_map_end(&reader->builder); break;
    case IN_ERROR: sl_build_error_end(&reader->builder); break;
    }
}

/* The next value of the innermost container. */
static void container_step(struct reader *reader, struct container *container)
{
    if (container->kind == IN_MAP) {
        struct sl_slice key = next_string(reader);
        sl_build_key(&reader->builder, key.data, key.size);
    }
    uint32_t word = next_word(reader);
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

/* Point the reader at the text: as bytes if it is ASCII, else as UTF-16. */
static int text_open(struct reader *reader, JSStringRef text)
{
    struct js_shard *shard = reader->shard;
    reader->text_units = JSStringGetLength(text);
    if (shard->out_text_cap > OUT_TEXT_KEPT) {
        free(shard->out_text);
        shard->out_text = NULL;
        shard->out_text_cap = 0;
    }
    size_t size_max = JSStringGetMaximumUTF8CStringSize(text);
    if (!out_text_reserve(shard, size_max)) return -ENOMEM;
    size_t size = JSStringGetUTF8CString(text, (char *)shard->out_text, size_max);
    if (size == reader->text_units + 1) {
        reader->text = shard->out_text;
    } else {
        reader->wide_text = JSStringGetCharactersPtr(text);
    }
    return 0;
}

struct sl_value js_read_result(struct js_shard *shard, struct js_realm *realm,
                               const struct js_script *script, JSStringRef text, struct sl_mem *mem)
{
    sl_assert(realm->words != NULL);
    sl_assert(realm->words[0] >= 3);
    sl_assert((size_t)realm->words[0] <= realm->words_count);
    struct reader reader;
    reader.script = script;
    reader.words = realm->words + 2;
    reader.words_end = realm->words + realm->words[0];
    reader.floats = realm->floats;
    reader.floats_end = realm->floats + realm->floats_count;
    reader.bytes = realm->bytes;
    reader.bytes_end = realm->bytes + realm->bytes_size;
    reader.text = NULL;
    reader.wide_text = NULL;
    reader.text_at = 0;
    reader.shard = shard;
    reader.depth = 0;
    reader.error = 0;
    struct sl_value value = sl_value_none();
    int err = text_open(&reader, text);
    if (err == 0) {
        sl_builder_init(&reader.builder, mem, (uint32_t)(reader.words_end - reader.words),
                        (uint32_t)reader.text_units);
        err = read_all(&reader, &value);
    }
    if (err == -ENOMEM) return sl_value_none();
    if (err < 0) {
        return sl_value_new_error(mem, "script_error", 0,
                                  "the result of the script is larger than a payload may be");
    }
    return value;
}
