/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a request and the value of its answer.
 */
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "io/http/client_internal.h"

/* Fields that are ours to say. */
static bool is_ours(enum sl_http1_header_id id)
{
    switch (id) {
    case SL_HTTP1_HEADER_HOST:
    case SL_HTTP1_HEADER_CONNECTION:
    case SL_HTTP1_HEADER_CONTENT_LENGTH:
    case SL_HTTP1_HEADER_TRANSFER_ENCODING:
    case SL_HTTP1_HEADER_KEEP_ALIVE:
    case SL_HTTP1_HEADER_PROXY_CONNECTION:
    case SL_HTTP1_HEADER_EXPECT:
    case SL_HTTP1_HEADER_TE:
    case SL_HTTP1_HEADER_TRAILER:
    case SL_HTTP1_HEADER_UPGRADE: return true;
    default: return false;
    }
}

static bool add_field(struct sl_mem *mem, struct http_bytes *out, struct sl_slice name,
                      struct sl_slice value)
{
    size_t size = name.size + value.size + 4;
    uint8_t *at = http_bytes_reserve(mem, out, size);
    if (at == NULL) return false;
    out->size += sl_http1_write_header(at, size, name, value);
    return true;
}

/* POST, PUT and PATCH say that their body is empty. RFC 9110 section 8.6. */
static bool needs_length(const struct sl_http_exchange *exchange)
{
    if (exchange->body.size > 0) return true;
    enum sl_http1_method method = sl_http1_method_find(exchange->method);
    return method == SL_HTTP1_METHOD_POST || method == SL_HTTP1_METHOD_PUT ||
           method == SL_HTTP1_METHOD_PATCH;
}

/* True if `text` has only visible characters: else it would break the request line. */
static bool is_visible(struct sl_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f) return false;
    }
    return text.size > 0;
}

bool http_link_write(struct http_link *link, const struct sl_http_exchange *exchange)
{
    struct sl_mem *mem = link->client->loop->mem;
    struct http_bytes *out = &link->out;
    struct sl_slice target = exchange->target.size > 0 ? exchange->target : SL_SLICE("/");
    sl_assert(is_visible(target));
    sl_assert(is_visible(exchange->method));
    bool is_fine = http_bytes_add(mem, out, exchange->method.data, exchange->method.size) &&
                   http_bytes_add(mem, out, " ", 1) &&
                   http_bytes_add(mem, out, target.data, target.size) &&
                   http_bytes_add(mem, out, " HTTP/1.1\r\n", 11) &&
                   add_field(mem, out, SL_SLICE("Host"), exchange->host);
    bool has_type = exchange->content_type.size == 0;
    for (uint32_t i = 0; is_fine && i < exchange->fields_count; i++) {
        const struct sl_http_field *field = &exchange->fields[i];
        enum sl_http1_header_id id = sl_http1_header_find(field->name);
        if (is_ours(id)) continue;
        has_type |= id == SL_HTTP1_HEADER_CONTENT_TYPE;
        is_fine = add_field(mem, out, field->name, field->value);
    }
    if (!has_type) {
        is_fine = is_fine && add_field(mem, out, SL_SLICE("Content-Type"), exchange->content_type);
    }
    uint8_t line[64];
    size_t size = 0;
    if (needs_length(exchange)) {
        size = sl_http1_write_content_length(line, sizeof(line), exchange->body.size);
    }
    memcpy(line + size, "\r\n", 2);
    return is_fine && http_bytes_add(mem, out, line, size + 2) &&
           http_bytes_add(mem, out, exchange->body.data, exchange->body.size);
}

/* A body may be read later; its buffer is owned by the answer's. */
static void build_body(struct sl_builder *builder, const struct sl_http1_head *head,
                       struct http_bytes *body)
{
    struct sl_value raw;
    if (http_body_buffer(builder->mem, body, &raw) < 0) {
        sl_build_null(builder);
        return;
    }
    struct sl_lazy *lazy = sl_builder_lazies_reserve(builder, 1);
    struct sl_slice bytes = sl_value_slice(raw);
    sl_build_binary_borrow(builder, raw.buf, bytes.data, bytes.size);
    sl_buf_unref(raw.buf);
    if (lazy == NULL || builder->error != 0) return;
    builder->stack_count--; /* only the owner's entry was wanted, not the cell */
    const struct sl_http1_header *type = sl_http1_head_find(head, SL_HTTP1_HEADER_CONTENT_TYPE);
    const struct sl_http1_header *coding =
        sl_http1_head_find(head, SL_HTTP1_HEADER_CONTENT_ENCODING);
    const struct sl_slice none = {NULL, 0};
    lazy->decode = http_body_decode;
    lazy->raw = raw;
    lazy->tag =
        http_body_tag(type != NULL ? type->value : none, coding != NULL ? coding->value : none);
    /* Parts of a form are sent to servers, not by them. */
    if (lazy->tag == HTTP_BODY_MULTIPART) lazy->tag = HTTP_BODY_BINARY;
    sl_build_lazy(builder, 0);
}

struct sl_value http_link_answer(struct http_link *link)
{
    struct sl_http_client *client = link->client;
    struct sl_http1_response *head = &client->head;
    enum sl_http1_method method = sl_http1_method_find(link->exchange->method);
    int64_t got =
        sl_http1_parse_response(link->in.data, link->in.size, 0, link->in.size, method, head);
    sl_assert(got == (int64_t)link->in.size);
    struct sl_builder builder;
    sl_builder_init(&builder, client->loop->mem, 4 * head->head.headers_count + 16,
                    (uint32_t)link->in.size);
    sl_build_map_begin(&builder);
    sl_build_key_borrow(&builder, NULL, "status", 6);
    sl_build_int(&builder, head->status);
    sl_build_key_borrow(&builder, NULL, "protocol", 8);
    sl_build_string_borrow(&builder, NULL, head->head.version_minor ? "HTTP/1.1" : "HTTP/1.0", 8);
    sl_build_key_borrow(&builder, NULL, "header", 6);
    http_header_build(&builder, &head->head);
    if (link->body.size > 0) {
        sl_build_key_borrow(&builder, NULL, "body", 4);
        build_body(&builder, &head->head, &link->body);
    }
    sl_build_map_end(&builder);
    struct sl_value value;
    return sl_builder_finish(&builder, &value) < 0 ? sl_value_none() : value;
}
