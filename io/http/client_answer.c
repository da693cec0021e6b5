/* SPDX-License-Identifier: MIT */
/*
 * The value of an answer.
 */
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "io/http/client_internal.h"

/* Fields of this connection, not of the answer. RFC 9110 section 7.6.1. */
static bool is_hop(const struct sl_http1_header *field, struct sl_slice connection)
{
    switch (field->id) {
    case SL_HTTP1_HEADER_CONNECTION:
    case SL_HTTP1_HEADER_TRANSFER_ENCODING:
    case SL_HTTP1_HEADER_KEEP_ALIVE:
    case SL_HTTP1_HEADER_PROXY_CONNECTION:
    case SL_HTTP1_HEADER_TE:
    case SL_HTTP1_HEADER_TRAILER:
    case SL_HTTP1_HEADER_UPGRADE: return true;
    default: return connection.size > 0 && http_list_names(connection, field->name);
    }
}

static void drop_hops(struct sl_http1_head *head)
{
    uint32_t kept = 0;
    bool is_hop_field[SL_HTTP_HEADERS_MAX] = {false};
    for (uint32_t i = 0; i < head->headers_count; i++) {
        is_hop_field[i] |= is_hop(&head->headers[i], (struct sl_slice){NULL, 0});
        if (head->headers[i].id != SL_HTTP1_HEADER_CONNECTION) continue;
        for (uint32_t j = 0; j < head->headers_count; j++) {
            is_hop_field[j] |= is_hop(&head->headers[j], head->headers[i].value);
        }
    }
    for (uint32_t i = 0; i < head->headers_count; i++) {
        if (!is_hop_field[i]) head->headers[kept++] = head->headers[i];
    }
    head->headers_count = kept;
}

/* A body may be read later; its buffer is owned by the answer's. */
static void build_body(struct sl_builder *builder, struct sl_slice type, struct sl_slice coding,
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
    lazy->decode = http_body_decode;
    lazy->raw = raw;
    lazy->tag = http_body_tag(type, coding);
    /* Parts of a form are sent to servers, not by them. */
    if (lazy->tag == HTTP_BODY_MULTIPART) lazy->tag = HTTP_BODY_BINARY;
    sl_build_lazy(builder, 0);
}

struct sl_value http_link_answer(struct http_link *link)
{
    struct sl_http_client *client = link->client;
    struct sl_http1_response *head = &client->head;
    int64_t got = sl_http1_parse_response(link->in.data, link->in.size, 0, link->in.size,
                                          link->exchange->method, head);
    sl_assert(got == (int64_t)link->in.size);
    struct sl_slice type = http_field_of(&head->head, SL_HTTP1_HEADER_CONTENT_TYPE);
    struct sl_slice coding = http_field_of(&head->head, SL_HTTP1_HEADER_CONTENT_ENCODING);
    drop_hops(&head->head);
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
        build_body(&builder, type, coding, &link->body);
    }
    sl_build_map_end(&builder);
    struct sl_value value;
    return sl_builder_finish(&builder, &value) < 0 ? sl_value_none() : value;
}
