/* SPDX-License-Identifier: MIT */
/*
 * Bodies of answers as bytes, and JSON both ways: the only file here that knows the JSON codec.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "core/base/assertion.h"
#include "core/mem/out.h"
#include "io/http/body.h"

struct sl_value http_json_decode(struct sl_mem *mem, struct sl_value raw)
{
    struct sl_value value;
    struct sl_diag diag;
    int err = sl_json_parse(sl_value_slice(raw), raw.buf, mem, 0, &value, &diag);
    if (err == 0) return value;
    if (err == -ENOMEM) return sl_value_none();
    char text[SL_DIAG_TEXT_SIZE + 64];
    (void)snprintf(text, sizeof(text), "%s at line %u, column %u", diag.text, diag.pos.line,
                   diag.pos.column);
    return http_body_bad(mem, text);
}

static void form_escape(struct sl_out *out, struct sl_slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        bool is_plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                        (byte >= 'A' && byte <= 'Z') || byte == '-' || byte == '.' || byte == '_' ||
                        byte == '*';
        if (is_plain) {
            sl_out_append_byte(out, byte);
        } else if (byte == ' ') {
            sl_out_append_byte(out, '+');
        } else {
            uint8_t escape[3] = {'%', (uint8_t)digits[byte >> 4], (uint8_t)digits[byte & 15]};
            sl_out_append(out, escape, sizeof(escape));
        }
    }
}

/* A scalar as text: strings as they are, everything else as JSON. */
static int text_write(struct sl_out *out, struct sl_value value, bool escape)
{
    if (sl_value_is(value, SL_VALUE_STRING) || sl_value_is(value, SL_VALUE_BINARY)) {
        struct sl_slice bytes = sl_value_slice(value);
        if (escape)
            form_escape(out, bytes);
        else
            sl_out_append(out, bytes.data, bytes.size);
        return out->error;
    }
    return sl_json_write(value, 0, out);
}

int http_form_write(struct sl_out *out, struct sl_value map)
{
    uint32_t count = sl_value_count(map);
    bool is_first = true;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_slice key = sl_value_key_at(map, i);
        struct sl_value value = sl_value_map_at(map, i);
        bool is_list = sl_value_is(value, SL_VALUE_LIST);
        uint32_t values = is_list ? sl_value_count(value) : 1;
        for (uint32_t j = 0; j < values; j++) {
            if (!is_first) sl_out_append_byte(out, '&');
            is_first = false;
            form_escape(out, key);
            sl_out_append_byte(out, '=');
            int err = text_write(out, is_list ? sl_value_list_at(value, j) : value, true);
            if (err < 0) return err;
        }
    }
    return out->error;
}

static bool is_scalar(struct sl_value value)
{
    return value.cell->kind < SL_VALUE_LIST || value.cell->kind > SL_VALUE_ERROR;
}

int http_body_encode(struct sl_out *out, struct sl_value value, struct sl_slice content_type,
                     struct sl_slice *ret_body, struct sl_slice *ret_type)
{
    sl_assert(value.cell != NULL);
    if (sl_value_is(value, SL_VALUE_STRING) || sl_value_is(value, SL_VALUE_BINARY)) {
        bool is_text = sl_value_is(value, SL_VALUE_STRING);
        *ret_body = sl_value_slice(value);
        *ret_type =
            is_text ? SL_SLICE("text/plain; charset=utf-8") : SL_SLICE("application/octet-stream");
        return 0;
    }
    enum http_body_tag tag = http_body_tag_of(content_type);
    int err;
    out->size = 0;
    out->error = 0;
    if (tag == HTTP_BODY_FORM && sl_value_is(value, SL_VALUE_MAP))
        err = http_form_write(out, value);
    else if (tag == HTTP_BODY_TEXT && is_scalar(value))
        err = text_write(out, value, false);
    else
        err = sl_json_write(value, 0, out);
    *ret_body = sl_slice_make(out->data, out->size);
    *ret_type = SL_SLICE("application/json");
    return err;
}
