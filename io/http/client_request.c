/* SPDX-License-Identifier: MIT */
/*
 * A payload as a request: the counterpart of respond.c.
 *
 *     request line   method of base or payload, path and query of both
 *     fields         base, then extra, then payload: the first that has a name decides
 *     body           as it was received, or encoded
 */
#include <errno.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "io/http/client_internal.h"

struct parts {
    struct sl_slice method;
    struct sl_value path; /* String, or none: here and below */
    struct sl_value query;
    struct sl_value header; /* Map */
    struct sl_value body;
    struct sl_value raw_body; /* the bytes that `body` was decoded from */
    uint32_t raw_tag;
};

struct writer {
    struct sl_http_client *client;
    struct http_bytes out;
    const struct sl_http_request_base *base;
    bool is_base;               /* the base's own fields are being written */
    bool is_payload;            /* its fields are written now */
    struct sl_slice connection; /* the payload's field: what it names is not passed on */
    uint64_t seen[(SL_HTTP1_HEADERS_COUNT + 63) / 64];
    bool failed;
};

static struct sl_mem *mem_of(const struct writer *writer)
{
    return writer->client->loop->mem;
}

static void add(struct writer *writer, const void *data, size_t size)
{
    if (!http_bytes_add(mem_of(writer), &writer->out, data, size)) writer->failed = true;
}

/* -------- what the payload says -------- */

/* True if it has one of the keys that say something, and no key that is not a payload's. */
static bool is_envelope(struct sl_value map)
{
    static const char *const keys[] = {"method", "path", "query", "header", "body"};
    uint32_t count = sl_value_count(map);
    bool has_key = false;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_slice key = sl_value_key_at(map, i);
        if (!http_is_payload_field(key)) return false;
        for (size_t j = 0; j < sizeof(keys) / sizeof(keys[0]); j++) {
            has_key |= sl_slice_eq_str(key, keys[j]);
        }
    }
    return has_key;
}

/* What the fields to be sent say of the body. */
static uint32_t tag_of(const struct sl_http_request_base *base, struct sl_value header)
{
    struct sl_slice type = http_header_get(base->header, SL_SLICE("content-type"));
    struct sl_slice coding = http_header_get(base->header, SL_SLICE("content-encoding"));
    if (type.size == 0) type = http_header_get(header, SL_SLICE("content-type"));
    if (coding.size == 0) coding = http_header_get(header, SL_SLICE("content-encoding"));
    return http_body_tag(type, coding);
}

static bool is_token(struct sl_slice text)
{
    return sl_http1_header_is_valid(text, SL_SLICE("x"));
}

/* NULL, or why not. */
static const char *parts_read(const struct sl_http_request_base *base, struct sl_value payload,
                              struct parts *ret)
{
    struct parts parts = {.body = payload};
    if (sl_value_is(payload, SL_VALUE_MAP) && is_envelope(payload)) {
        struct sl_value method = sl_value_get_str(payload, "method");
        parts.path = sl_value_get_str(payload, "path");
        parts.query = sl_value_get_str(payload, "query");
        parts.header = sl_value_get_str(payload, "header");
        if (parts.header.cell != NULL && !sl_value_is(parts.header, SL_VALUE_MAP)) {
            return "\"header\" must be a map";
        }
        if (parts.path.cell != NULL && !sl_value_is(parts.path, SL_VALUE_STRING)) {
            return "\"path\" must be a string";
        }
        if (sl_value_is(method, SL_VALUE_STRING)) parts.method = sl_value_slice(method);
        parts.raw_body = http_body_raw(payload, &parts.raw_tag);
        bool is_raw = parts.raw_body.cell != NULL && parts.raw_tag == tag_of(base, parts.header);
        /* What nobody reads is not decoded. */
        if (!is_raw) parts.raw_body = sl_value_none();
        parts.body = is_raw ? parts.raw_body : sl_value_get_str(payload, "body");
    }
    if (sl_value_is(parts.body, SL_VALUE_NULL)) parts.body = sl_value_none();
    if (sl_value_is(parts.body, SL_VALUE_ERROR)) return "the body is an error";
    if (base->method.size > 0) parts.method = base->method;
    if (parts.method.size == 0) {
        parts.method = parts.body.cell != NULL ? SL_SLICE("POST") : SL_SLICE("GET");
    }
    if (!is_token(parts.method)) return "\"method\" is not a token";
    if (sl_slice_eq_str(parts.method, "CONNECT")) return "the method CONNECT is for proxies";
    *ret = parts;
    return NULL;
}

/* -------- request line -------- */

/* RFC 3986 section 3.3: pchar and the slash. A percent sign is data here: the path is decoded. */
static bool is_path_byte(uint8_t byte)
{
    if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z')) return true;
    if (byte >= '0' && byte <= '9') return true;
    return byte != 0 && strchr("-._~!$&'()*+,;=:@/", byte) != NULL;
}

/* A segment "." or ".." would lead out of the base's path on the server. */
static bool has_dots(struct sl_slice path)
{
    size_t begin = 0;
    for (size_t i = 0; i <= path.size; i++) {
        if (i < path.size && path.data[i] != '/') continue;
        size_t size = i - begin;
        const uint8_t *at = path.data + begin;
        if (size == 1 && at[0] == '.') return true;
        if (size == 2 && at[0] == '.' && at[1] == '.') return true;
        begin = i + 1;
    }
    return false;
}

static const char *put_path(struct writer *writer, struct sl_value path)
{
    static const char digits[] = "0123456789ABCDEF";
    struct sl_slice base = writer->base->path;
    struct sl_slice text = SL_SLICE("/");
    if (path.cell != NULL) text = sl_value_slice(path);
    if (text.size <= 1 && (text.size == 0 || text.data[0] == '/')) {
        if (base.size == 0) base = SL_SLICE("/");
        add(writer, base.data, base.size);
        return NULL;
    }
    while (base.size > 0 && base.data[base.size - 1] == '/') base.size--;
    add(writer, base.data, base.size);
    if (has_dots(text)) return "\"path\" has a segment . or ..";
    if (text.data[0] != '/') add(writer, "/", 1);
    uint8_t *at = http_bytes_reserve(mem_of(writer), &writer->out, text.size * 3);
    if (at == NULL) {
        writer->failed = true;
        return NULL;
    }
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (is_path_byte(byte)) {
            *at++ = byte;
            continue;
        }
        *at++ = '%';
        *at++ = (uint8_t)digits[byte >> 4];
        *at++ = (uint8_t)digits[byte & 15];
    }
    writer->out.size = (size_t)(at - writer->out.data);
    return NULL;
}

static const char *put_query(struct writer *writer, struct sl_value query)
{
    struct sl_slice base = writer->base->query;
    struct sl_slice text = {NULL, 0};
    struct sl_out *scratch = &writer->client->text;
    if (sl_value_is(query, SL_VALUE_MAP)) {
        scratch->size = 0;
        scratch->error = 0;
        if (http_form_write(scratch, query) < 0) writer->failed = true;
        text = sl_slice_make(scratch->data, scratch->size);
    } else if (sl_value_is(query, SL_VALUE_STRING)) {
        text = sl_value_slice(query);
        for (size_t i = 0; i < text.size; i++) {
            if (text.data[i] <= ' ' || text.data[i] >= 0x7f || text.data[i] == '#') {
                return "\"query\" is not encoded";
            }
        }
    } else if (query.cell != NULL && !sl_value_is(query, SL_VALUE_NULL)) {
        return "\"query\" must be a map or a string";
    }
    if (base.size > 0 || text.size > 0) add(writer, "?", 1);
    add(writer, base.data, base.size);
    if (base.size > 0 && text.size > 0) add(writer, "&", 1);
    add(writer, text.data, text.size);
    return NULL;
}

/* -------- fields -------- */

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

static bool was_seen(const struct writer *writer, enum sl_http1_header_id id)
{
    return id != SL_HTTP1_HEADER_OTHER && (writer->seen[id / 64] >> (id % 64) & 1) != 0;
}

/* True if a map has the name, without case. */
static bool map_has(struct sl_value map, struct sl_slice name)
{
    if (!sl_value_is(map, SL_VALUE_MAP)) return false;
    for (uint32_t i = 0; i < sl_value_count(map); i++) {
        if (sl_slice_eq_nocase(sl_value_key_at(map, i), name)) return true;
    }
    return false;
}

static bool extra_has(const struct sl_http_request_base *base, enum sl_http1_header_id id)
{
    if (id == SL_HTTP1_HEADER_OTHER) return false;
    for (uint32_t i = 0; i < base->extra_count; i++) {
        if (sl_http1_header_find(base->extra[i].name) == id) return true;
    }
    return false;
}

static bool put_field(void *ctx, struct sl_slice name, struct sl_slice value)
{
    struct writer *writer = ctx;
    enum sl_http1_header_id id = sl_http1_header_find(name);
    if (is_ours(id)) return true;
    if (!writer->is_base && map_has(writer->base->header, name)) return true;
    if (writer->is_payload && extra_has(writer->base, id)) return true;
    if (!writer->is_base && writer->connection.size > 0 &&
        http_list_names(writer->connection, name)) {
        return true;
    }
    size_t size = name.size + value.size + 4;
    uint8_t *at = http_bytes_reserve(mem_of(writer), &writer->out, size);
    if (at == NULL) {
        writer->failed = true;
        return true;
    }
    size_t written = sl_http1_write_header(at, size, name, value);
    writer->out.size += written;
    if (written > 0) writer->seen[id / 64] |= UINT64_C(1) << (id % 64);
    return written > 0;
}

/* False: one of them cannot be written. */
static bool put_fields(struct writer *writer, const struct parts *parts,
                       struct sl_slice content_type)
{
    struct sl_slice bad;
    bool is_fine = true;
    const struct sl_http_request_base *base = writer->base;
    size_t host_size = base->host.size + 8;
    uint8_t *at = http_bytes_reserve(mem_of(writer), &writer->out, host_size);
    if (at == NULL) {
        writer->failed = true;
        return true;
    }
    writer->out.size += sl_http1_write_header(at, host_size, SL_SLICE("Host"), base->host);
    writer->is_base = true;
    if (sl_value_is(base->header, SL_VALUE_MAP)) {
        is_fine = http_header_walk(base->header, put_field, writer, &bad);
    }
    writer->is_base = false;
    for (uint32_t i = 0; i < base->extra_count; i++) {
        const struct sl_http_field *field = &base->extra[i];
        sl_assert(sl_http1_header_find(field->name) != SL_HTTP1_HEADER_OTHER);
        if (field->value.size > 0) (void)put_field(writer, field->name, field->value);
    }
    if (parts->header.cell != NULL) {
        writer->connection = http_header_get(parts->header, SL_SLICE("connection"));
        writer->is_payload = true;
        is_fine = http_header_walk(parts->header, put_field, writer, &bad) && is_fine;
        writer->is_payload = false;
    }
    if (content_type.size > 0 && !was_seen(writer, SL_HTTP1_HEADER_CONTENT_TYPE)) {
        (void)put_field(writer, SL_SLICE("Content-Type"), content_type);
    }
    return is_fine;
}

/* POST, PUT and PATCH say that their body is empty. RFC 9110 section 8.6. */
static bool needs_length(enum sl_http1_method method, bool has_body)
{
    return has_body || method == SL_HTTP1_METHOD_POST || method == SL_HTTP1_METHOD_PUT ||
           method == SL_HTTP1_METHOD_PATCH;
}

/* -------- all of it -------- */

/* The body's bytes, and the value that owns them: none if they stand in the scratch. */
static int body_encode(struct writer *writer, const struct parts *parts, struct sl_slice *ret_body,
                       struct sl_slice *ret_type, struct sl_value *ret_owner)
{
    struct sl_value body = parts->body;
    *ret_body = (struct sl_slice){NULL, 0};
    *ret_type = (struct sl_slice){NULL, 0};
    *ret_owner = sl_value_none();
    if (body.cell == NULL) return 0;
    if (parts->raw_body.cell != NULL) {
        *ret_body = sl_value_slice(body);
        *ret_owner = body;
        return 0;
    }
    struct sl_slice type = http_header_get(writer->base->header, SL_SLICE("content-type"));
    if (type.size == 0) type = http_header_get(parts->header, SL_SLICE("content-type"));
    int err = http_body_encode(&writer->client->text, body, type, ret_body, ret_type);
    bool is_own = sl_value_is(body, SL_VALUE_STRING) || sl_value_is(body, SL_VALUE_BINARY);
    if (err == 0 && is_own) *ret_owner = body;
    return err;
}

static int write_all(struct writer *writer, const struct parts *parts,
                     struct sl_http_exchange *exchange, const char **ret_reason)
{
    struct sl_slice body;
    struct sl_slice type;
    struct sl_value owner;
    exchange->method = sl_http1_method_find(parts->method);
    add(writer, parts->method.data, parts->method.size);
    add(writer, " ", 1);
    *ret_reason = put_path(writer, parts->path);
    if (*ret_reason == NULL) *ret_reason = put_query(writer, parts->query);
    if (*ret_reason != NULL) return -EINVAL;
    add(writer, " HTTP/1.1\r\n", 11);
    /* After the query: both use the scratch. */
    int err = body_encode(writer, parts, &body, &type, &owner);
    if (err < 0) return err;
    if (!put_fields(writer, parts, type)) {
        *ret_reason =
            "a name or value of \"header\" is none that HTTP allows (a line break, a map)";
        return -EINVAL;
    }
    uint8_t line[64];
    size_t size = 0;
    if (needs_length(exchange->method, parts->body.cell != NULL)) {
        size = sl_http1_write_content_length(line, sizeof(line), body.size);
    }
    memcpy(line + size, "\r\n", 2);
    add(writer, line, size + 2);
    if (writer->failed) return -ENOMEM;
    if (writer->out.size > SL_HTTP_CLIENT_HEAD_SIZE_MAX) return -E2BIG;
    if (owner.cell != NULL && body.size > SL_HTTP_CLIENT_COPY_MAX)
        exchange->body = sl_value_ref(owner);
    else
        add(writer, body.data, body.size);
    if (writer->failed) return -ENOMEM;
    err = http_body_buffer(mem_of(writer), &writer->out, &exchange->head);
    if (err < 0) sl_http_request_drop(exchange);
    return err;
}

int sl_http_request_write(struct sl_http_client *client, const struct sl_http_request_base *base,
                          struct sl_value payload, struct sl_http_exchange *exchange,
                          const char **ret_reason)
{
    sl_assert(client != NULL);
    sl_assert(base != NULL);
    sl_assert(exchange != NULL);
    sl_assert(exchange->head.cell == NULL);
    struct writer writer = {.client = client, .base = base};
    struct parts parts;
    *ret_reason = parts_read(base, payload, &parts);
    if (*ret_reason != NULL) return -EINVAL;
    int err = write_all(&writer, &parts, exchange, ret_reason);
    http_bytes_release(client->loop->mem, &writer.out);
    if (client->text.cap > HTTP_TEXT_KEEP_MAX) sl_out_fini(&client->text);
    return err;
}
