/* SPDX-License-Identifier: MIT */
/* From cells to the wire: one walk without recursion, Refs followed, Lazies decoded. */
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "nodes/script/js/js_private.h"

enum { KEPT_SIZE = 1024 * 1024 }; /* larger buffers are given back by js_input_reset */

struct walk_frame {
    struct sl_value container;
    uint32_t next;
    uint32_t count;
    bool keys; /* a map without shape: keys are on the wire */
};

void js_input_fini(struct js_input *input)
{
    free(input->words);
    free(input->floats);
    free(input->bytes);
    free(input->text);
    free(input->wide_text);
    *input = (struct js_input){0};
}

/* Grow an array of `item` bytes each to hold `need`; the old one on failure. */
static void *grow(struct js_input *input, void *array, size_t *cap, size_t need, size_t item)
{
    size_t next = *cap ? *cap : 256;
    while (next < need) next *= 2;
    void *moved =
        next * item > SL_PAYLOAD_BYTES_MAX * (size_t)4 ? NULL : realloc(array, next * item);
    if (moved == NULL) {
        input->failed = true;
        return array;
    }
    *cap = next;
    input->generation++;
    return moved;
}

void js_input_reset(struct js_input *input)
{
    if (input->bytes_cap + input->text_cap + input->wide_cap * 2 + input->words_cap * 4 +
            input->floats_cap * 8 >
        KEPT_SIZE) {
        uint32_t generation = input->generation;
        js_input_fini(input);
        input->generation = generation + 1;
    }
    input->words_count = 0;
    input->floats_count = 0;
    input->bytes_size = 0;
    input->text_size = 0;
    input->wide_count = 0;
    input->wide = false;
    input->failed = false;
    if (input->words == NULL) input->words = grow(input, NULL, &input->words_cap, 1, 4);
    if (input->floats == NULL) input->floats = grow(input, NULL, &input->floats_cap, 1, 8);
    if (input->bytes == NULL) input->bytes = grow(input, NULL, &input->bytes_cap, 1, 1);
}

static inline void put_word(struct js_input *input, uint32_t word)
{
    if (__builtin_expect(input->words_count == input->words_cap, 0)) {
        input->words = grow(input, input->words, &input->words_cap, input->words_count + 1, 4);
        if (input->failed) return;
    }
    input->words[input->words_count++] = (int32_t)word;
}

static void put_float(struct js_input *input, enum js_wire kind, double value)
{
    if (input->floats_count == input->floats_cap) {
        input->floats = grow(input, input->floats, &input->floats_cap, input->floats_count + 1, 8);
        if (input->failed) return;
    }
    input->floats[input->floats_count++] = value;
    put_word(input, kind);
}

static void put_integer(struct js_input *input, int64_t value)
{
    const int64_t safe = INT64_C(9007199254740991);
    if (value >= INT32_MIN && value <= INT32_MAX) {
        put_word(input, JS_WIRE_INT32);
        put_word(input, (uint32_t)value);
    } else if (value >= -safe && value <= safe) {
        put_float(input, JS_WIRE_FLOAT, (double)value);
    } else {
        put_word(input, JS_WIRE_INT64);
        put_word(input, (uint32_t)value);
        put_word(input, (uint32_t)((uint64_t)value >> 32));
    }
}

static void put_binary(struct js_input *input, struct sl_slice slice)
{
    if (input->bytes_size + slice.size > input->bytes_cap) {
        input->bytes =
            grow(input, input->bytes, &input->bytes_cap, input->bytes_size + slice.size, 1);
        if (input->failed) return;
    }
    if (slice.size > 0) memcpy(input->bytes + input->bytes_size, slice.data, slice.size);
    input->bytes_size += slice.size;
    put_word(input, JS_WIRE_BINARY | (uint32_t)slice.size << 4);
}

/* True if all bytes are 1..127: such text is the same in UTF-8 and in UTF-16 units. */
static bool is_plain(const uint8_t *data, size_t size)
{
    uint64_t bad = 0;
    for (; size >= 8; size -= 8, data += 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        bad |= word | ((word - UINT64_C(0x0101010101010101)) & ~word);
    }
    for (; size > 0; size--, data++) bad |= (uint64_t)(*data - 1) | *data;
    return (bad & UINT64_C(0x8080808080808080)) == 0;
}

static size_t put_wide(struct js_input *input, const uint8_t *data, size_t size)
{
    if (input->wide_count + size + 1 > input->wide_cap) {
        input->wide_text =
            grow(input, input->wide_text, &input->wide_cap, input->wide_count + size + 1, 2);
        if (input->failed) return 0;
    }
    size_t units =
        js_utf8_to_utf16(sl_slice_make(data, size), input->wide_text + input->wide_count, NULL);
    input->wide_count += units;
    return units;
}

static void put_string(struct js_input *input, struct sl_slice slice)
{
    size_t units = slice.size;
    if (!input->wide && is_plain(slice.data, slice.size)) {
        if (input->text_size + slice.size + 1 > input->text_cap) {
            input->text =
                grow(input, input->text, &input->text_cap, input->text_size + slice.size + 1, 1);
            if (input->failed) return;
        }
        if (slice.size > 0) memcpy(input->text + input->text_size, slice.data, slice.size);
        input->text_size += slice.size;
    } else {
        if (!input->wide) {
            input->wide = true;
            (void)put_wide(input, input->text, input->text_size);
        }
        units = put_wide(input, slice.data, slice.size);
    }
    if (units >= 1U << 28) input->failed = true;
    put_word(input, JS_WIRE_STRING | (uint32_t)units << 4);
}

static double milliseconds(const struct sl_cell *cell)
{
    return (double)cell->i64 * 1000.0 + (double)(cell->len / 1000000U) +
           (double)(cell->len % 1000000U) / 1000000.0;
}

/* A scalar, or the head of a container: then true, and its frame is filled. */
static bool put_value(struct js_input *input, struct js_realm *realm, struct sl_value value,
                      struct walk_frame *frame)
{
    const struct sl_cell *cell = value.cell;
    switch ((enum sl_value_kind)cell->kind) {
    case SL_VALUE_NULL: put_word(input, JS_WIRE_NULL); return false;
    case SL_VALUE_BOOL: put_word(input, cell->word ? JS_WIRE_TRUE : JS_WIRE_FALSE); return false;
    case SL_VALUE_INT: put_integer(input, cell->i64); return false;
    case SL_VALUE_UINT:
        put_word(input, JS_WIRE_UINT64);
        put_word(input, (uint32_t)cell->word);
        put_word(input, (uint32_t)(cell->word >> 32));
        return false;
    case SL_VALUE_FLOAT: put_float(input, JS_WIRE_FLOAT, cell->f64); return false;
    case SL_VALUE_STRING: put_string(input, sl_value_slice(value)); return false;
    case SL_VALUE_BINARY: put_binary(input, sl_value_slice(value)); return false;
    case SL_VALUE_TIME:
        put_float(input, JS_WIRE_TIME, (double)cell->i64 * 1000.0 + (double)(cell->len / 1000000U));
        return false;
    case SL_VALUE_DURATION: put_float(input, JS_WIRE_DURATION, milliseconds(cell)); return false;
    case SL_VALUE_LIST:
        put_word(input, JS_WIRE_LIST | cell->len << 4);
        *frame = (struct walk_frame){value, 0, cell->len, false};
        return true;
    case SL_VALUE_MAP: {
        int32_t shape = js_shape_find(realm, value);
        put_word(input,
                 shape >= 0 ? JS_WIRE_SHAPE | (uint32_t)shape << 4 : JS_WIRE_MAP | cell->len << 4);
        *frame = (struct walk_frame){value, 0, cell->len, shape < 0};
        return true;
    }
    case SL_VALUE_ERROR:
        put_word(input, JS_WIRE_ERROR);
        *frame = (struct walk_frame){value, 0, SL_ERROR_CELLS, false};
        return true;
    case SL_VALUE_REF:
    case SL_VALUE_LAZY: break;
    }
    sl_unreachable(); /* readers resolve both */
}

static struct sl_value frame_next(struct js_input *input, struct walk_frame *frame)
{
    uint32_t index = frame->next++;
    switch (sl_value_kind(frame->container)) {
    case SL_VALUE_MAP:
        if (frame->keys) put_string(input, sl_value_key_at(frame->container, index));
        return sl_value_map_at(frame->container, index);
    case SL_VALUE_ERROR: return sl_error_part(frame->container, index);
    default: return sl_value_list_at(frame->container, index);
    }
}

void js_input_put(struct js_input *input, struct js_realm *realm, struct sl_value value)
{
    sl_assert(input != NULL);
    sl_assert(value.cell != NULL);
    struct walk_frame frames[SL_PAYLOAD_DEPTH_MAX + 1];
    uint32_t depth = 0;
    if (put_value(input, realm, value, &frames[0])) depth = 1;
    while (depth > 0 && !input->failed) {
        struct walk_frame *frame = &frames[depth - 1];
        if (frame->next == frame->count) {
            depth--;
            continue;
        }
        struct sl_value child = frame_next(input, frame);
        if (child.cell == NULL || depth == SL_PAYLOAD_DEPTH_MAX + 1) {
            input->failed = true; /* no memory to decode a Lazy, or deeper than any payload */
        } else if (put_value(input, realm, child, &frames[depth])) {
            depth++;
        }
    }
}

void js_input_put_empty_map(struct js_input *input)
{
    put_word(input, JS_WIRE_MAP);
}

void js_input_put_shape(struct js_input *input, int32_t shape)
{
    sl_assert(shape >= 0);
    put_word(input, JS_WIRE_SHAPE | (uint32_t)shape << 4);
}

void js_input_put_absent(struct js_input *input)
{
    put_word(input, JS_WIRE_ABSENT);
}

/* Make the prelude look at the arrays where they are now. */
static bool buffers_tell(struct js_input *input, struct js_realm *realm)
{
    if (realm->input_generation == input->generation) return true;
    JSContextRef ctx = realm->ctx;
    JSValueRef args[3];
    args[0] = JSObjectMakeTypedArrayWithBytesNoCopy(ctx, kJSTypedArrayTypeInt32Array, input->words,
                                                    input->words_cap * 4, NULL, NULL, NULL);
    args[1] = JSObjectMakeTypedArrayWithBytesNoCopy(
        ctx, kJSTypedArrayTypeFloat64Array, input->floats, input->floats_cap * 8, NULL, NULL, NULL);
    args[2] = JSObjectMakeTypedArrayWithBytesNoCopy(ctx, kJSTypedArrayTypeUint8Array, input->bytes,
                                                    input->bytes_cap, NULL, NULL, NULL);
    if (args[0] == NULL || args[1] == NULL || args[2] == NULL) return false;
    if (JSObjectCallAsFunction(ctx, realm->set_input, NULL, 3, args, NULL) == NULL) return false;
    realm->input_generation = input->generation;
    return true;
}

JSStringRef js_input_finish(struct js_input *input, struct js_realm *realm)
{
    sl_assert(input != NULL);
    sl_assert(realm != NULL);
    if (input->failed || !buffers_tell(input, realm)) return NULL;
    if (input->wide) return JSStringCreateWithCharacters(input->wide_text, input->wide_count);
    if (input->text_size == 0) return JSStringCreateWithUTF8CString("");
    input->text[input->text_size] = '\0';
    return JSStringCreateWithUTF8CString((const char *)input->text);
}
