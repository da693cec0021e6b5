/* SPDX-License-Identifier: MIT */
/*
 * Bodies, decoded when somebody reads them:
 *
 *     application/json, …+json            any value
 *     application/x-www-form-urlencoded   Map name → [String]
 *     multipart/form-data                 Map {values, files}
 *     text/…                              String
 *     anything else, or still encoded     Binary
 *
 * What does not parse is the Error `bad_body`, status 400, with the cause `unsupported value`.
 */
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/http1/http1.h"
#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "io/http/body.h"

struct sl_value http_body_bad(struct sl_mem *mem, const char *reason)
{
    struct sl_value cause = sl_value_new_error(mem, "unsupported_value", 400, "unsupported value");
    if (cause.cell == NULL) return cause;
    struct sl_value error =
        sl_value_new_error_caused(mem, "bad_body", 400, cause, "malformed body: %s", reason);
    sl_value_unref(cause);
    return error;
}

/* The media type without its parameters. */
static struct sl_slice media_type(struct sl_slice content_type)
{
    const uint8_t *end = memchr(content_type.data, ';', content_type.size);
    struct sl_slice type = content_type;
    if (end != NULL) type.size = (size_t)(end - type.data);
    while (type.size > 0 && (type.data[type.size - 1] == ' ' || type.data[type.size - 1] == '\t')) {
        type.size--;
    }
    return type;
}

static bool ends_with(struct sl_slice text, struct sl_slice tail)
{
    if (text.size < tail.size) return false;
    return sl_slice_eq_nocase(sl_slice_make(text.data + text.size - tail.size, tail.size), tail);
}

enum http_body_tag http_body_tag_of(struct sl_slice content_type)
{
    if (content_type.size == 0) return HTTP_BODY_BINARY;
    struct sl_slice type = media_type(content_type);
    if (sl_slice_eq_nocase(type, SL_SLICE("application/json"))) return HTTP_BODY_JSON;
    if (sl_slice_eq_nocase(type, SL_SLICE("application/x-www-form-urlencoded"))) {
        return HTTP_BODY_FORM;
    }
    if (sl_slice_eq_nocase(type, SL_SLICE("multipart/form-data"))) return HTTP_BODY_MULTIPART;
    if (ends_with(type, SL_SLICE("+json"))) return HTTP_BODY_JSON;
    struct sl_slice text = SL_SLICE("text/");
    if (type.size > text.size && sl_slice_eq_nocase(sl_slice_make(type.data, text.size), text)) {
        return HTTP_BODY_TEXT;
    }
    return HTTP_BODY_BINARY;
}

uint32_t http_body_tag(struct sl_slice content_type, struct sl_slice content_encoding)
{
    if (content_encoding.size > 0 && !sl_slice_eq_nocase(content_encoding, SL_SLICE("identity"))) {
        return HTTP_BODY_BINARY;
    }
    return http_body_tag_of(content_type);
}

/* The bytes as they are, as a String or Binary that borrows them. */
static struct sl_value decode_text(struct sl_value raw, struct sl_mem *mem)
{
    struct sl_builder builder;
    struct sl_slice bytes = sl_value_slice(raw);
    struct sl_value value;
    sl_builder_init(&builder, mem, 1, 0);
    sl_build_string_borrow(&builder, raw.buf, bytes.data, bytes.size);
    return sl_builder_finish(&builder, &value) < 0 ? sl_value_none() : value;
}

static struct sl_value decode_multipart(struct sl_value raw, struct sl_buf *owner)
{
    struct sl_http1_request head;
    size_t head_size = owner->cells[0].len;
    int64_t got = sl_http1_parse_request(owner->bytes, head_size, 0, head_size, &head);
    sl_assert(got == (int64_t)head_size);
    const struct sl_http1_header *type =
        sl_http1_head_find(&head.head, SL_HTTP1_HEADER_CONTENT_TYPE);
    sl_assert(type != NULL);
    return http_multipart_decode(owner->mem, raw, type->value);
}

struct sl_value http_body_decode(struct sl_lazy *lazy, struct sl_buf *owner)
{
    struct sl_value raw = lazy->raw;
    switch ((enum http_body_tag)lazy->tag) {
    case HTTP_BODY_JSON: return http_json_decode(owner->mem, raw);
    case HTTP_BODY_FORM: return http_pairs_decode(owner->mem, sl_value_slice(raw), "bad_body");
    case HTTP_BODY_TEXT: return decode_text(raw, owner->mem);
    case HTTP_BODY_MULTIPART: return decode_multipart(raw, owner);
    case HTTP_BODY_BINARY: break;
    }
    return sl_value_ref(raw);
}
