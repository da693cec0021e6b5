/* SPDX-License-Identifier: MIT */
#include "ctl/loader/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "codecs/text/base64.h"
#include "core/base/assertion.h"
#include "core/mem/out.h"

enum {
    SECRET_BASE64_MIN = 8, /* bytes: below, too little of it would be left */
    SECRET_VARIANT_SIZE_MAX = 64 * 1024,
};

struct level {
    struct sl_value value;
    uint32_t next;
};

/* As JSON writes it inside a string. */
static void put_json(struct sl_builder *builder, struct sl_value string)
{
    struct sl_out out;
    sl_out_init(&out, NULL);
    if (sl_json_write(string, 0, &out) == 0 && out.size - 2 != string.cell->len) {
        sl_build_string(builder, out.data + 1, out.size - 2);
    }
    sl_out_fini(&out);
}

/* With percent escapes, as encodeURIComponent and most others write it. RFC 3986 section 2.3. */
static void put_percent(struct sl_builder *builder, struct sl_slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    uint8_t *out = malloc(3 * text.size);
    if (out == NULL) {
        builder->error = builder->error != 0 ? builder->error : -ENOMEM;
        return;
    }
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        uint8_t lower = byte | 0x20;
        bool is_plain = (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9') ||
                        (byte != 0 && strchr("-._~", byte) != NULL);
        if (is_plain) {
            out[size++] = byte;
            continue;
        }
        out[size++] = '%';
        out[size++] = (uint8_t)digits[byte >> 4];
        out[size++] = (uint8_t)digits[byte & 15];
    }
    if (size != text.size) sl_build_string(builder, out, size);
    free(out);
}

/*
 * Inside Base64 of a longer text, a secret has one of three forms, by where it begins modulo 3;
 * what its first and last characters share with their neighbours is left out.
 */
static void put_base64(struct sl_builder *builder, struct sl_slice text)
{
    uint8_t *padded = calloc(1, text.size + 2);
    char *out = malloc(sl_base64_size(text.size + 2));
    if (padded == NULL || out == NULL)
        builder->error = builder->error != 0 ? builder->error : -ENOMEM;
    for (size_t before = 0; before < 3 && builder->error == 0; before++) {
        memcpy(padded + before, text.data, text.size);
        sl_base64_write(padded, text.size + before, out);
        size_t first = before == 0 ? 0 : before + 1;
        size_t last = (text.size + before) * 8 / 6;
        sl_build_string(builder, out + first, last - first);
        bool is_other = false;
        for (size_t i = first; i < last; i++) {
            if (out[i] != '+' && out[i] != '/') continue;
            out[i] = out[i] == '+' ? '-' : '_';
            is_other = true;
        }
        /* RFC 4648 section 5: the alphabet for URLs. */
        if (is_other) sl_build_string(builder, out + first, last - first);
    }
    free(padded);
    free(out);
}

/* A key from a file often ends with a newline, which whoever uses it cuts off. */
static void put_trimmed(struct sl_builder *builder, struct sl_slice text)
{
    size_t size = text.size;
    while (text.size > 0 && text.data[text.size - 1] <= ' ') text.size--;
    while (text.size > 0 && text.data[0] <= ' ') text = sl_slice_make(text.data + 1, text.size - 1);
    if (text.size > 0 && text.size != size) sl_build_string(builder, text.data, text.size);
}

static void put_text(struct sl_builder *builder, struct sl_value string)
{
    struct sl_slice text = sl_value_slice(string);
    if (text.size == 0) return;
    sl_build_string(builder, text.data, text.size);
    put_trimmed(builder, text);
    if (text.size < SECRET_BASE64_MIN || text.size > SECRET_VARIANT_SIZE_MAX) return;
    if (sl_value_is(string, SL_VALUE_STRING)) put_json(builder, string);
    put_percent(builder, text);
    put_base64(builder, text);
}

static void put_part(struct sl_builder *builder, struct sl_value value)
{
    enum sl_value_kind kind = sl_value_kind(value);
    if (kind == SL_VALUE_STRING || kind == SL_VALUE_BINARY) {
        put_text(builder, value);
    } else if (kind == SL_VALUE_INT || kind == SL_VALUE_UINT || kind == SL_VALUE_FLOAT) {
        struct sl_out out;
        sl_out_init(&out, NULL);
        if (sl_json_write(value, 0, &out) == 0) sl_build_string(builder, out.data, out.size);
        sl_out_fini(&out);
    }
}

void loader_secret_texts(struct sl_builder *builder, struct sl_value value)
{
    sl_assert(builder != NULL);
    struct level stack[SL_PAYLOAD_DEPTH_MAX + 1];
    uint32_t depth = 0;
    if (sl_value_is_none(value)) return;
    stack[depth++] = (struct level){value, 0};
    while (depth > 0) {
        struct level *top = &stack[depth - 1];
        bool is_list = sl_value_is(top->value, SL_VALUE_LIST);
        if (!is_list && !sl_value_is(top->value, SL_VALUE_MAP)) {
            put_part(builder, top->value);
            depth--;
            continue;
        }
        if (top->next == sl_value_count(top->value)) {
            depth--;
            continue;
        }
        uint32_t index = top->next++;
        sl_assert(depth <= SL_PAYLOAD_DEPTH_MAX);
        struct sl_value child =
            is_list ? sl_value_list_at(top->value, index) : sl_value_map_at(top->value, index);
        stack[depth++] = (struct level){child, 0};
    }
}
