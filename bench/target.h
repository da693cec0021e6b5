/* SPDX-License-Identifier: MIT */
/*
 * What to load: where the server is (an address) and what to send it (a set of requests with
 * weights, each already in its wire form).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/base/diag.h"

enum {
    SL_TARGET_HOST_SIZE = 256,
    SL_TARGET_REQUESTS_MAX = 1024,
    SL_TARGET_BODY_SIZE_MAX = 64 * 1024 * 1024,
};

/* A URL taken apart. Strings are terminated. */
struct sl_url {
    char host[SL_TARGET_HOST_SIZE];           /* name or address, IPv6 without brackets */
    char authority[SL_TARGET_HOST_SIZE + 16]; /* as the Host header says it */
    char unix_path[108];                      /* not empty: a unix socket */
    uint16_t port;
    uint32_t weight;    /* from "3:http://…", else 1 */
    const char *target; /* path and query, borrowed from the text; "/" if it has none */
};

struct sl_bench_addr {
    struct sockaddr_storage storage;
    socklen_t size;
    char text[SL_TARGET_HOST_SIZE + 16]; /* for messages: "127.0.0.1:8000" */
};

/* One request in its wire form. */
struct sl_request {
    uint8_t *data; /* owned */
    size_t size;   /* bytes */
    uint32_t weight;
    bool is_head;   /* the reply has no body whatever it says */
    char label[96]; /* "GET /ping" */
};

struct sl_requests {
    struct sl_request *items; /* array of `count`, owned */
    uint32_t count;
    uint32_t weight_sum;
};

/* What to build a request from; strings are borrowed. */
struct sl_request_parts {
    const char *method;
    const char *target;
    const char *authority;
    const char *const *headers; /* array of `headers_count` "Name: value" */
    size_t headers_count;
    const uint8_t *body; /* NULL: none */
    size_t body_size;
    uint32_t weight;
    bool close; /* send Connection: close */
};

/*
 * Take a URL apart: [WEIGHT:]http://HOST[:PORT][/PATH][?QUERY], http+unix://%2Fpath%2Fsock/PATH.
 * Without a scheme, http:// is assumed. 0, or -EINVAL with a diagnostic.
 */
int sl_url_parse(const char *text, struct sl_url *ret_url, struct sl_diag *reterr);

/* Find the address of a URL. 0, or -EHOSTUNREACH with a diagnostic. */
int sl_bench_addr_resolve(const struct sl_url *url, struct sl_bench_addr *ret_addr,
                          struct sl_diag *reterr);

/* Build a request and append it. 0, -ENOMEM, or -EINVAL with a diagnostic. */
int sl_requests_push(struct sl_requests *requests, const struct sl_request_parts *parts,
                     struct sl_diag *reterr);

/*
 * Append the requests of a file, one a line:
 *
 *     # weight method target [body=TEXT|body=@FILE] [header="Name: value"]…
 *     3 GET /ping
 *     1 POST /orders body=@order.json header="Content-Type: application/json"
 *
 * `defaults` gives authority, headers and close. 0, or -errno with a diagnostic (file:line).
 */
int sl_requests_load(struct sl_requests *requests, const char *path,
                     const struct sl_request_parts *defaults, struct sl_diag *reterr);

/* Which request is meant by a number in 0..weight_sum-1. */
uint32_t sl_requests_pick(const struct sl_requests *requests, uint32_t ticket);

/* Free the requests; the struct is empty afterwards. */
void sl_requests_fini(struct sl_requests *requests);

/* Read a whole file, with a zero byte after it; the caller frees. 0, or -errno with a diagnostic. */
int sl_bench_file_read(const char *path, uint8_t **ret_data, size_t *ret_size,
                       struct sl_diag *reterr);
