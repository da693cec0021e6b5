/* SPDX-License-Identifier: MIT */
/*
 * The payload of a request.
 *
 *     buffer    bytes | head as received | decoded path | remote | seed of the span |
 *               cells | raw head | method "GET" | … | header Lazy | body Lazy | … | root Map |
 *     body      a buffer of its own, which the first one owns; what is decoded from it may own it
 *               too, so that a part of the body does not keep the head alive
 *
 * The cells are written in place: the root map has always the same keys.
 */
#include <errno.h>
#include <string.h>

#include "codecs/flat/flat_build_fast.h"
#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "io/http/internal.h"

/* The first Lazies are always the same two. */
enum { CELLS_HINT = 32, RAW_HEAD = 0, LAZY_HEADER = 0, LAZY_TRACE, LAZIES_MIN };

/* What the building of one payload carries along. */
struct draft {
    struct sl_builder builder;
    const struct sl_http1_request *head;
    const uint8_t *base;
    size_t head_size;
    struct sl_cell *cells; /* next free one */
    uint32_t lazies_count;
    uint32_t pairs_count;
    struct sl_span_seed seed;
};

#define TEXT(text) text, sizeof(text) - 1

/* A key that lives for ever. Inline, so that the hash of a literal is worked out by the compiler. */
static inline __attribute__((always_inline)) void put_key(struct draft *draft, const char *key,
                                                          size_t size)
{
    *draft->cells++ = (struct sl_cell){
        .kind = SL_VALUE_STRING,
        .flags = SL_CELL_POINTER,
        .hash = sl_hash16(key, size),
        .len = (uint32_t)size,
        .ptr = (const uint8_t *)key,
    };
    draft->pairs_count++;
}

static void put_static(struct draft *draft, const char *text, size_t size)
{
    *draft->cells++ = (struct sl_cell){
        .kind = SL_VALUE_STRING,
        .flags = SL_CELL_POINTER,
        .len = (uint32_t)size,
        .ptr = (const uint8_t *)text,
    };
}

/* A string at an offset of the buffer's bytes. */
static void put_bytes(struct draft *draft, uint64_t offset, size_t size)
{
    *draft->cells++ =
        (struct sl_cell){.kind = SL_VALUE_STRING, .len = (uint32_t)size, .word = offset};
}

/* A part of the head, or "" for one that is not there. */
static void put_part(struct draft *draft, struct sl_slice part)
{
    if (part.size == 0)
        put_bytes(draft, 0, 0);
    else if (part.data >= draft->base && part.data < draft->base + draft->head_size) {
        put_bytes(draft, (uint64_t)(part.data - draft->base), part.size);
    } else {
        put_static(draft, (const char *)part.data, part.size);
    }
}

static inline void put_lazy(struct draft *draft, uint32_t index,
                            struct sl_value (*decode)(struct sl_lazy *, struct sl_buf *))
{
    draft->builder.buf->lazies[index].decode = decode;
    *draft->cells++ = (struct sl_cell){.kind = SL_VALUE_LAZY, .len = index};
}

/* -------- parts that are decoded when they are read -------- */

/* The head again, from the bytes it was copied to. */
static void parse_again(struct sl_buf *owner, struct sl_http1_request *ret_head)
{
    size_t size = owner->cells[RAW_HEAD].len;
    int64_t got = sl_http1_parse_request(owner->bytes, size, 0, size, ret_head);
    sl_assert(got == (int64_t)size);
}

static void build_header_key(struct sl_builder *builder, const struct sl_http1_header *field)
{
    if (field->id != SL_HTTP1_HEADER_OTHER) {
        struct sl_slice name = sl_http1_header_name((enum sl_http1_header_id)field->id);
        sl_build_key_borrow(builder, NULL, name.data, name.size);
        return;
    }
    uint8_t name[256];
    if (field->name.size > sizeof(name)) {
        sl_build_key(builder, field->name.data, field->name.size);
        return;
    }
    sl_http1_header_canonical(field->name, name);
    sl_build_key(builder, name, field->name.size);
}

static bool is_same_name(const struct sl_http1_header *a, const struct sl_http1_header *b)
{
    if (a->id != b->id) return false;
    return a->id != SL_HTTP1_HEADER_OTHER || sl_slice_eq_nocase(a->name, b->name);
}

void http_header_build(struct sl_builder *builder, const struct sl_http1_head *head)
{
    uint64_t taken[SL_HTTP_HEADERS_MAX / 64] = {0};
    sl_build_map_begin(builder);
    for (uint32_t i = 0; i < head->headers_count; i++) {
        if (taken[i / 64] >> (i % 64) & 1) continue;
        build_header_key(builder, &head->headers[i]);
        sl_build_list_begin(builder);
        for (uint32_t j = i; j < head->headers_count; j++) {
            const struct sl_http1_header *field = &head->headers[j];
            if (j > i && !is_same_name(&head->headers[i], field)) continue;
            taken[j / 64] |= UINT64_C(1) << (j % 64);
            sl_build_string(builder, field->value.data, field->value.size);
        }
        sl_build_list_end(builder);
    }
    sl_build_map_end(builder);
}

static struct sl_value decode_header(struct sl_lazy *lazy, struct sl_buf *owner)
{
    (void)lazy;
    struct sl_http1_request request;
    parse_again(owner, &request);
    struct sl_builder builder;
    sl_builder_init(&builder, owner->mem, 4 * request.head.headers_count + 2,
                    owner->cells[RAW_HEAD].len);
    http_header_build(&builder, &request.head);
    struct sl_value value;
    return sl_builder_finish(&builder, &value) < 0 ? sl_value_none() : value;
}

/* Values of all fields of one name; returns how many, of which at most `max` are kept. */
static uint32_t fields_collect(const struct sl_http1_head *head, enum sl_http1_header_id id,
                               struct sl_slice *ret_values, uint32_t max)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < head->headers_count; i++) {
        if (head->headers[i].id != (uint32_t)id) continue;
        if (count < max) ret_values[count] = head->headers[i].value;
        count++;
    }
    return count;
}

void http_span_read(const struct sl_buf *buf, size_t head_size, uint32_t tag,
                    struct sl_span *ret_span, struct sl_tracestate *ret_state)
{
    struct sl_span_seed seed;
    sl_assert(tag / 2 + sizeof(seed) <= buf->bytes_size);
    memcpy(&seed, buf->bytes + tag / 2, sizeof(seed));
    if (ret_state != NULL) ret_state->size = 0;
    if ((tag & 1) == 0) {
        sl_span_make(&seed, ret_span);
        return;
    }
    struct sl_http1_request request;
    struct sl_slice values[SL_TRACESTATE_MEMBERS_MAX];
    int64_t got = sl_http1_parse_request(buf->bytes, head_size, 0, head_size, &request);
    sl_assert(got == (int64_t)head_size);
    uint32_t count = fields_collect(&request.head, SL_HTTP1_HEADER_TRACEPARENT, values, 1);
    /* Of several, which would it be? */
    if (count != 1 || sl_span_take(&seed, values[0], ret_span) < 0) {
        sl_span_make(&seed, ret_span);
        return;
    }
    if (ret_state == NULL) return;
    count = fields_collect(&request.head, SL_HTTP1_HEADER_TRACESTATE, values,
                           SL_TRACESTATE_MEMBERS_MAX);
    if (count <= SL_TRACESTATE_MEMBERS_MAX) sl_tracestate_take(values, count, ret_state);
}

static void build_hex(struct sl_builder *builder, const char *key, const uint8_t *bytes,
                      size_t size)
{
    char text[32];
    sl_assert(2 * size <= sizeof(text));
    sl_span_hex(bytes, size, text);
    sl_build_key_str(builder, key);
    sl_build_string(builder, text, 2 * size);
}

static struct sl_value decode_trace(struct sl_lazy *lazy, struct sl_buf *owner)
{
    struct sl_span span;
    struct sl_tracestate state;
    struct sl_builder builder;
    struct sl_value value;
    char text[SL_TRACEPARENT_SIZE];
    http_span_read(owner, owner->cells[RAW_HEAD].len, lazy->tag, &span, &state);
    sl_builder_init(&builder, owner->mem, 16, 256 + state.size);
    sl_build_map_begin(&builder);
    build_hex(&builder, "id", span.trace_id, sizeof(span.trace_id));
    build_hex(&builder, "span", span.id, sizeof(span.id));
    if (!sl_span_is_root(&span)) build_hex(&builder, "parent", span.parent, sizeof(span.parent));
    sl_build_key_str(&builder, "sampled");
    sl_build_bool(&builder, (span.flags & SL_SPAN_SAMPLED) != 0);
    sl_build_key_str(&builder, "traceparent");
    sl_span_write(&span, text);
    sl_build_string(&builder, text, sizeof(text));
    if (state.size > 0) {
        sl_build_key_str(&builder, "state");
        sl_build_string(&builder, state.text, state.size);
    }
    sl_build_map_end(&builder);
    return sl_builder_finish(&builder, &value) < 0 ? sl_value_none() : value;
}

static struct sl_value decode_query(struct sl_lazy *lazy, struct sl_buf *owner)
{
    (void)lazy;
    struct sl_http1_request request;
    parse_again(owner, &request);
    return http_pairs_decode(owner->mem, request.query, "bad_query");
}

/* -------- the body's buffer -------- */

int http_body_buffer(struct sl_mem *mem, struct http_bytes *body, struct sl_value *ret_value)
{
    struct sl_builder builder;
    bool is_copy = body->cap == 0;
    sl_builder_init(&builder, mem, 2, is_copy ? (uint32_t)body->size : 0);
    struct sl_buf *buf = builder.buf;
    if (buf == NULL) return -ENOMEM;
    if (is_copy) {
        sl_build_binary(&builder, body->data, body->size);
        return sl_builder_finish(&builder, ret_value);
    }
    /* Its few first bytes are inside the header's block: nothing to give back. */
    buf->bytes = body->data;
    buf->bytes_cap = (uint32_t)body->cap;
    buf->bytes_size = (uint32_t)body->size;
    *body = (struct http_bytes){NULL, body->size, 0};
    struct sl_cell *cell = sl_builder_push(&builder);
    *cell = (struct sl_cell){.kind = SL_VALUE_BINARY, .len = buf->bytes_size};
    return sl_builder_finish(&builder, ret_value);
}

static int attach_body(struct draft *draft, struct http_bytes *body)
{
    struct sl_buf *buf = draft->builder.buf;
    struct sl_value raw;
    int err = http_body_buffer(buf->mem, body, &raw);
    if (err < 0) return err;
    /* Only the owner's entry is wanted, not the cell. */
    struct sl_slice bytes = sl_value_slice(raw);
    sl_build_binary_borrow(&draft->builder, raw.buf, bytes.data, bytes.size);
    sl_buf_unref(raw.buf);
    if (draft->builder.error != 0) return draft->builder.error;
    draft->builder.stack_count--;
    const struct sl_http1_header *type =
        sl_http1_head_find(&draft->head->head, SL_HTTP1_HEADER_CONTENT_TYPE);
    const struct sl_http1_header *coding =
        sl_http1_head_find(&draft->head->head, SL_HTTP1_HEADER_CONTENT_ENCODING);
    const struct sl_slice none = {NULL, 0};
    struct sl_lazy *lazy = &buf->lazies[draft->lazies_count];
    lazy->raw = raw;
    lazy->tag =
        http_body_tag(type != NULL ? type->value : none, coding != NULL ? coding->value : none);
    put_key(draft, TEXT("body"));
    put_lazy(draft, draft->lazies_count++, http_body_decode);
    return 0;
}

/* -------- the root -------- */

/* The path as everybody understands it; decoded behind the head if it is not plain. */
static int put_path(struct draft *draft, struct http_request *ret)
{
    struct sl_buf *buf = draft->builder.buf;
    struct sl_slice path = draft->head->path;
    put_key(draft, TEXT("path"));
    if (sl_http1_path_is_plain(path)) {
        put_part(draft, path);
    } else {
        uint64_t offset = buf->bytes_size;
        int64_t size = sl_http1_path_decode(path, buf->bytes + offset);
        if (size < 0) return -EINVAL;
        buf->bytes_size += (uint32_t)size;
        put_bytes(draft, offset, (size_t)size);
    }
    const struct sl_cell *cell = draft->cells - 1;
    ret->path = sl_slice_make(sl_cell_bytes(buf, cell), cell->len);
    return 0;
}

static void put_method(struct draft *draft, struct http_request *ret)
{
    struct sl_slice method = draft->head->method;
    put_key(draft, TEXT("method"));
    put_part(draft, method);
    ret->method =
        sl_slice_make(draft->builder.buf->bytes + (method.data - draft->base), method.size);
}

static void put_scheme(struct draft *draft, const struct http_conn *conn)
{
    bool is_tls = conn != NULL && conn->server->config.tls;
    if (conn != NULL && conn->is_trusted) {
        const struct sl_http1_header *proto =
            sl_http1_head_find(&draft->head->head, SL_HTTP1_HEADER_X_FORWARDED_PROTO);
        if (proto != NULL) is_tls = sl_slice_eq_nocase(proto->value, SL_SLICE("https"));
    }
    put_key(draft, TEXT("scheme"));
    put_static(draft, "https", is_tls ? 5 : 4);
}

static void put_query(struct draft *draft)
{
    put_key(draft, TEXT("query"));
    if (draft->head->query.size > 0)
        put_lazy(draft, draft->lazies_count++, decode_query);
    else
        *draft->cells++ = (struct sl_cell){.kind = SL_VALUE_MAP};
}

/* The address behind the head; returns its offset. */
static uint64_t copy_remote(struct draft *draft, struct sl_slice remote)
{
    struct sl_buf *buf = draft->builder.buf;
    uint64_t offset = buf->bytes_size;
    if (remote.size > 0) memcpy(buf->bytes + offset, remote.data, remote.size);
    buf->bytes_size += (uint32_t)remote.size;
    return offset;
}

static void take_id(const struct draft *draft, const struct sl_http1_header *field,
                    struct http_request *ret)
{
    if (ret->id.size > 0 || field->value.size == 0) return;
    if (field->value.size > SL_HTTP_REQUEST_ID_MAX) return;
    for (size_t i = 0; i < field->value.size; i++) {
        if (field->value.data[i] <= ' ' || field->value.data[i] >= 0x7f) return;
    }
    ret->id = sl_slice_make(draft->builder.buf->bytes + (field->value.data - draft->base),
                            field->value.size);
}

/* What identifies the request: looked for in one go, for few have any of it. */
static void take_ids(const struct draft *draft, struct http_request *ret)
{
    const struct sl_http1_head *head = &draft->head->head;
    ret->span_tag = 0;
    for (uint32_t i = 0; i < head->headers_count; i++) {
        uint32_t id = head->headers[i].id;
        if (__builtin_expect(id == SL_HTTP1_HEADER_X_REQUEST_ID, 0)) {
            take_id(draft, &head->headers[i], ret);
        } else if (__builtin_expect(id == SL_HTTP1_HEADER_TRACEPARENT, 0)) {
            ret->span_tag = 1;
        }
    }
}

/* The seed of its ids, behind all other bytes; and where it is found. */
static inline void put_trace(struct draft *draft, struct http_request *ret)
{
    struct sl_buf *buf = draft->builder.buf;
    uint32_t tag = ret->span_tag | buf->bytes_size << 1;
    memcpy(buf->bytes + buf->bytes_size, &draft->seed, sizeof(draft->seed));
    buf->bytes_size += (uint32_t)sizeof(draft->seed);
    ret->span_tag = tag;
    buf->lazies[LAZY_TRACE].tag = tag;
    put_key(draft, TEXT("trace"));
    put_lazy(draft, LAZY_TRACE, decode_trace);
}

/* All pairs; then the root behind them. */
static int put_pairs(struct draft *draft, const struct http_conn *conn, struct http_bytes *body,
                     struct sl_slice remote, struct http_request *ret)
{
    struct sl_buf *buf = draft->builder.buf;
    *draft->cells++ = (struct sl_cell){.kind = SL_VALUE_BINARY, .len = (uint32_t)draft->head_size};
    put_method(draft, ret);
    put_scheme(draft, conn);
    put_key(draft, TEXT("host"));
    put_part(draft, draft->head->host);
    if (put_path(draft, ret) < 0) return -EINVAL;
    put_query(draft);
    put_key(draft, TEXT("protocol"));
    put_static(draft, draft->head->head.version_minor ? "HTTP/1.1" : "HTTP/1.0", 8);
    put_key(draft, TEXT("header"));
    put_lazy(draft, LAZY_HEADER, decode_header);
    /* All bytes stand before a body is attached: its owner's entry may take the rest of them. */
    uint64_t remote_off = copy_remote(draft, remote);
    put_trace(draft, ret);
    if (body->size > 0) {
        int err = attach_body(draft, body);
        if (err < 0) return err;
    }
    put_key(draft, TEXT("status"));
    *draft->cells++ = (struct sl_cell){.kind = SL_VALUE_INT};
    put_key(draft, TEXT("remote"));
    put_bytes(draft, remote_off, remote.size);
    /* Empty here; a router fills it, and passes the request on as it is where there is none. */
    put_key(draft, TEXT("params"));
    *draft->cells++ = (struct sl_cell){.kind = SL_VALUE_MAP};
    buf->cells_count = (uint32_t)(draft->cells - buf->cells);
    sl_assert(buf->cells_count <= buf->cells_cap);
    sl_assert(buf->bytes_size <= buf->bytes_cap);
    return 0;
}

static int build(struct draft *draft, struct sl_mem *mem, const struct http_conn *conn,
                 struct http_bytes *body, struct sl_slice remote, struct http_request *ret)
{
    const struct sl_http1_request *head = draft->head;
    struct sl_builder *builder = &draft->builder;
    uint32_t lazies = LAZIES_MIN + (head->query.size > 0) + (body->size > 0);
    /* The bytes, and behind them the lazies: one block for all of it. */
    sl_builder_init(builder, mem, CELLS_HINT,
                    (uint32_t)(draft->head_size + head->path.size + remote.size +
                               sizeof(struct sl_span_seed) + lazies * sizeof(struct sl_lazy) +
                               sizeof(uint64_t)));
    if (builder->buf == NULL || sl_builder_lazies_reserve(builder, lazies) == NULL) {
        sl_builder_fini(builder);
        return -ENOMEM;
    }
    memcpy(builder->buf->bytes, draft->base, draft->head_size);
    builder->buf->bytes_size = (uint32_t)draft->head_size;
    draft->cells = builder->buf->cells;
    take_ids(draft, ret);
    int err = put_pairs(draft, conn, body, remote, ret);
    if (err < 0) {
        sl_builder_fini(builder);
        return err;
    }
    struct sl_cell *root = sl_builder_push(builder);
    *root = (struct sl_cell){.kind = SL_VALUE_MAP, .len = draft->pairs_count, .word = 1};
    builder->depth_max = 2; /* the root, and `query` where it is empty */
    return sl_builder_finish(builder, &ret->pub.payload);
}

int http_payload_build(struct http_conn *conn, const struct sl_http1_request *head,
                       const uint8_t *base, size_t head_size, struct http_bytes *body,
                       struct http_request *ret)
{
    if (conn->remote_size == 0) http_remote_resolve(conn);
    struct sl_slice remote = {(const uint8_t *)conn->remote, conn->remote_size};
    if (__builtin_expect(conn->is_trusted, 0)) {
        remote = http_remote_forwarded(conn->server, head, remote);
    }
    struct draft draft;
    draft.head = head;
    draft.base = base;
    draft.head_size = head_size;
    draft.lazies_count = LAZIES_MIN;
    draft.pairs_count = 0;
    draft.seed.key[0] = conn->server->span_key[0];
    draft.seed.key[1] = conn->server->span_key[1];
    draft.seed.number = conn->server->stats.requests;
    return build(&draft, http_mem(conn), conn, body, remote, ret);
}

int sl_http_payload_build(struct sl_mem *mem, struct sl_slice data, struct sl_slice remote,
                          struct sl_value *ret_value)
{
    sl_assert(ret_value != NULL);
    struct sl_http1_request head;
    int64_t got = sl_http1_parse_request(data.data, data.size, 0, data.size, &head);
    if (got <= 0 || head.head.chunked) return -EBADMSG;
    if (head.head.content_length != data.size - (uint64_t)got) return -EBADMSG;
    struct http_bytes body = {(uint8_t *)data.data + got, (size_t)head.head.content_length, 0};
    struct draft draft;
    draft.head = &head;
    draft.base = data.data;
    draft.head_size = (size_t)got;
    draft.lazies_count = LAZIES_MIN;
    draft.pairs_count = 0;
    draft.seed = (struct sl_span_seed){{0, 0}, 0};
    struct http_request request = {.pub = {.user = NULL}};
    int err = build(&draft, mem, NULL, &body, remote, &request);
    if (err == -EINVAL) return -EBADMSG;
    if (err == 0) *ret_value = request.pub.payload;
    return err;
}
