/* SPDX-License-Identifier: MIT */
/*
 * What a value means as an answer: envelopes, errors, bodies and their content types.
 */
#include <errno.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "io/http/internal.h"

/* A status that may be sent, or 0. */
static int status_of(struct sl_value value)
{
    if (!sl_value_is(value, SL_VALUE_INT)) return 0;
    return value.cell->i64 >= 100 && value.cell->i64 <= 599 ? (int)value.cell->i64 : 0;
}

struct envelope {
    int status;
    struct sl_value header; /* Map, or none */
    bool has_body;
};

/* decisions of the reply: see sl_http_respond. */
static bool envelope_read(struct sl_value map, struct envelope *ret)
{
    struct sl_value status = sl_value_get_str(map, "status");
    struct sl_value header = sl_value_get_str(map, "header");
    /* Found, but not decoded: perhaps nobody need read it. */
    bool has_body = sl_value_find_hashed(map, "body", 4, sl_hash16("body", 4)) >= 0;
    if (status_of(status) == 0 && header.cell == NULL && !has_body) return false;
    uint32_t count = sl_value_count(map);
    for (uint32_t i = 0; i < count; i++) {
        if (!http_is_payload_field(sl_value_key_at(map, i))) return false;
    }
    ret->status = status_of(status);
    /* An interim status is no answer. */
    if (ret->status < 200) ret->status = 200;
    ret->header = sl_value_is(header, SL_VALUE_MAP) ? header : sl_value_none();
    ret->has_body = has_body;
    return true;
}

static void respond_status(struct http_request *request, int status)
{
    char text[64];
    struct sl_slice phrase = sl_http1_status_text(status);
    sl_assert(phrase.size < sizeof(text));
    if (phrase.size == 0) phrase = SL_SLICE("Error");
    memcpy(text, phrase.data, phrase.size);
    text[phrase.size] = '\n';
    struct http_reply reply = {
        .status = status,
        .content_type = SL_SLICE("text/plain; charset=utf-8"),
    };
    struct sl_slice bad;
    int err = http_reply_send(request, &reply, sl_slice_make(text, phrase.size + 1), &bad);
    sl_assert(err == 0); /* it has no fields of others */
}

/* The status of an error that nobody handled; its message is not for the client. */
static int error_status(struct sl_value error)
{
    static const struct {
        const char *code;
        int status;
    } codes[] = {
        {"deadline", 504}, {"overload", 503}, {"script_overload", 503}, {"no_memory", 503}};
    int status = status_of(sl_error_part(error, SL_ERROR_STATUS));
    if (status >= 200) return status;
    struct sl_slice code = sl_value_slice(sl_error_part(error, SL_ERROR_CODE));
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (sl_slice_eq_str(code, codes[i].code)) return codes[i].status;
    }
    return 500;
}

int sl_http_answer_status(struct sl_value answer)
{
    struct envelope envelope = {.status = 200};
    if (answer.cell == NULL) return 204;
    if (sl_value_is(answer, SL_VALUE_ERROR)) return error_status(answer);
    if (sl_value_is(answer, SL_VALUE_MAP)) (void)envelope_read(answer, &envelope);
    return envelope.status;
}

/* The body's bytes: those that were received, where the fields still say the same of them. */
static int body_write(struct sl_http_server *server, struct sl_value answer, bool is_envelope,
                      struct sl_value header, struct sl_slice *ret_body, struct sl_slice *ret_type)
{
    uint32_t tag;
    struct sl_slice type = http_header_get(header, SL_SLICE("content-type"));
    struct sl_value raw = is_envelope ? http_body_raw(answer, &tag) : sl_value_none();
    if (raw.cell != NULL && type.size > 0 &&
        tag == http_body_tag(type, http_header_get(header, SL_SLICE("content-encoding")))) {
        *ret_body = sl_value_slice(raw);
        return 0;
    }
    struct sl_value body = is_envelope ? sl_value_get_str(answer, "body") : answer;
    return http_body_encode(&server->text, body, type, ret_body, ret_type);
}

void sl_http_respond(struct sl_http_request *request, struct sl_value answer)
{
    struct sl_http_fault fault;
    if (sl_http_try_respond(request, answer, &fault) == 0) return;
    respond_status(http_request_of(request), 500);
}

int sl_http_try_respond(struct sl_http_request *request, struct sl_value answer,
                        struct sl_http_fault *ret_fault)
{
    sl_assert(request != NULL);
    sl_assert(ret_fault != NULL);
    struct http_request *self = http_request_of(request);
    struct sl_http_server *server = self->conn->server;
    struct envelope envelope = {.status = 200};
    if (sl_value_is(answer, SL_VALUE_ERROR)) {
        respond_status(self, error_status(answer));
        return 0;
    }
    bool is_envelope = sl_value_is(answer, SL_VALUE_MAP) && envelope_read(answer, &envelope);
    if (answer.cell == NULL) envelope.status = 204;
    struct http_reply reply = {.status = envelope.status, .header = envelope.header};
    struct sl_slice body = {NULL, 0};
    if (is_envelope ? envelope.has_body : answer.cell != NULL) {
        int err =
            body_write(server, answer, is_envelope, envelope.header, &body, &reply.content_type);
        if (err < 0) {
            *ret_fault = (struct sl_http_fault){.code = "bad_reply_body"};
            return -EINVAL;
        }
    }
    struct sl_slice bad = {NULL, 0};
    int err = http_reply_send(self, &reply, body, &bad);
    if (err < 0) *ret_fault = (struct sl_http_fault){.code = "bad_header", .field = bad};
    if (server->text.cap > HTTP_TEXT_KEEP_MAX) sl_out_fini(&server->text);
    return err;
}
