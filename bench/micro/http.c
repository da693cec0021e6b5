/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 on the wire: parsing heads, decoding chunks, writing a reply's head, and a whole reply
 * as the server writes it into the buffer of its connection. What a whole request costs, connection
 * included, `sluice-bench-micro scale` says.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/micro/bare.h"
#include "bench/micro/micro.h"
#include "bench/micro/sample.h"
#include "codecs/http1/http1.h"
#include "core/base/assertion.h"
#include "io/http/internal.h"

#define HEX_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char CHUNKED[] = "40\r\n" HEX_64 "\r\n80\r\n" HEX_64 HEX_64 "\r\n0\r\n\r\n";

static int parse_setup(struct sl_micro_run *run)
{
    run->state = malloc(sizeof(struct sl_http1_request));
    sl_assert(run->state != NULL);
    run->bytes = strlen(run->arg);
    return 0;
}

static void state_free(struct sl_micro_run *run)
{
    free(run->state);
}

static void parse_run(struct sl_micro_run *run, uint64_t count)
{
    const uint8_t *text = run->arg;
    for (uint64_t i = 0; i < count; i++) {
        int64_t used =
            sl_http1_parse_request(text, run->bytes, 0, SL_HTTP_HEAD_SIZE_MAX, run->state);
        sl_assert(used == (int64_t)run->bytes);
    }
}

static int chunked_setup(struct sl_micro_run *run)
{
    run->bytes = sizeof(CHUNKED) - 1;
    return 0;
}

static void chunked_run(struct sl_micro_run *run, uint64_t count)
{
    uint8_t out[sizeof(CHUNKED)];
    for (uint64_t i = 0; i < count; i++) {
        struct sl_http1_chunked chunked = {.left = 0};
        size_t consumed;
        size_t produced;
        int result = sl_http1_chunked_decode(&chunked, (const uint8_t *)CHUNKED, run->bytes, out,
                                             sizeof(out), &consumed, &produced);
        sl_assert(result == 1);
        sl_micro_keep(out);
    }
}

static void write_run(struct sl_micro_run *run, uint64_t count)
{
    uint8_t out[512];
    struct sl_http1_date date = {.is_set = false};
    (void)run;
    for (uint64_t i = 0; i < count; i++) {
        size_t at = sl_http1_write_status(out, sizeof(out), 200);
        memcpy(out + at, sl_http1_date_line(&date, 1800000000), SL_HTTP1_DATE_SIZE);
        at += SL_HTTP1_DATE_SIZE;
        at += sl_http1_write_header(out + at, sizeof(out) - at, SL_SLICE("Content-Type"),
                                    SL_SLICE("application/json"));
        at += sl_http1_write_content_length(out + at, sizeof(out) - at, 169);
        sl_assert(at < sizeof(out));
        sl_micro_keep(out);
    }
}

/* A connection that never had a socket: what http_reply_send needs to write an answer. */
struct site {
    struct sl_shard *shard;
    struct sl_http_server server;
    struct http_conn conn;
    struct http_request request;
};

static int reply_setup(struct sl_micro_run *run)
{
    struct site *site = calloc(1, sizeof(*site));
    sl_assert(site != NULL);
    site->shard = sl_micro_bare_new(0, NULL);
    site->server.loop = &site->shard->loop;
    site->conn.server = &site->server;
    sl_list_init(&site->conn.requests);
    site->request.conn = &site->conn;
    site->request.keep_alive = true;
    run->bytes = strlen(SL_SAMPLE_JSON);
    run->state = site;
    return 0;
}

static void reply_teardown(struct sl_micro_run *run)
{
    struct site *site = run->state;
    http_bytes_release(site->shard->loop.mem, &site->conn.out);
    (void)sl_micro_bare_free(site->shard);
    free(site);
}

static void reply_run(struct sl_micro_run *run, uint64_t count)
{
    struct site *site = run->state;
    struct http_bytes *out = &site->conn.out;
    struct sl_mem *mem = site->shard->loop.mem;
    for (uint64_t i = 0; i < count; i++) {
        struct http_reply reply = {
            .status = 200, .content_type = SL_SLICE("application/json"), .length = run->bytes};
        out->size = 0;
        struct sl_slice bad;
        bool is_fine = http_reply_head(&site->request, out, &reply, &bad) == 0 &&
                       http_bytes_add(mem, out, SL_SAMPLE_JSON, run->bytes);
        sl_assert(is_fine);
        sl_micro_keep(out->data);
    }
}

static const struct sl_micro_case CASES[] = {
    {.name = "http/parse-ping",
     .about = "the head of a GET with one field",
     .setup = parse_setup,
     .run = parse_run,
     .teardown = state_free,
     .arg = SL_SAMPLE_PING},
    {.name = "http/parse-post",
     .about = "the head of a POST with three fields",
     .setup = parse_setup,
     .run = parse_run,
     .teardown = state_free,
     .arg = SL_SAMPLE_POST},
    {.name = "http/parse-browser",
     .about = "the head of a browser's GET, eleven fields",
     .setup = parse_setup,
     .run = parse_run,
     .teardown = state_free,
     .arg = SL_SAMPLE_BROWSER},
    {.name = "http/chunked",
     .about = "decode a body of 192 bytes in two chunks",
     .setup = chunked_setup,
     .run = chunked_run},
    {.name = "http/write-head",
     .about = "status, date, type and length of a reply",
     .run = write_run},
    {.name = "http/write-reply",
     .about = "a whole reply, head and 169 bytes of body, into the connection's buffer",
     .setup = reply_setup,
     .run = reply_run,
     .teardown = reply_teardown},
};

const struct sl_micro_group sl_micro_http = SL_MICRO_GROUP("http", CASES);
