/* SPDX-License-Identifier: MIT */
#include "tests/sim/browser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/base/hash.h"
#include "io/sock/sock.h"

enum {
    BODY_MAX = 20000,
    OUT_MAX = 4 * BODY_MAX,
    THINK_NS_MAX = 2 * 1000 * 1000,
    LEAVE_NS_MAX = 40 * 1000 * 1000,
};

static uint64_t draw(struct browser *browser, uint64_t limit)
{
    return sim_random(browser->engine->sim, limit);
}

/* ---- asking -------------------------------------------------------------------------------- */

static enum ask ask_draw(struct browser *browser)
{
    enum ask ask = (enum ask)draw(browser, ASK_LATE);
    /* Programs are made anew for each: not too often. */
    if (ask == ASK_CREATE && draw(browser, 3) != 0) ask = ASK_CHAIN;
    if (ask == ASK_FAR && browser->engine->shards_count < 2) ask = ASK_NAP;
    return ask;
}

void browser_plan(struct browser *browser, struct engine *engine, uint32_t number,
                  uint64_t start_ns)
{
    *browser = (struct browser){.engine = engine, .client = -1, .port = 8000};
    browser->next_ns = start_ns;
    browser->count = 1 + (uint32_t)draw(browser, REQUESTS_MAX);
    browser->depth = 1 + (uint32_t)draw(browser, 6);
    for (uint32_t i = 0; i < browser->count; i++) {
        browser->requests[i] = (struct request){
            .ask = ask_draw(browser),
            .number = number * REQUESTS_MAX + i,
            .chunked = draw(browser, 2) == 0,
            .body_size = (uint32_t)draw(browser, draw(browser, 4) == 0 ? BODY_MAX : 200),
        };
    }
    uint64_t role = draw(browser, 10);
    if (role == 0) {
        browser->port = 8001;
        for (uint32_t i = 0; i < browser->count; i++) browser->requests[i].ask = ASK_LATE;
    } else if (role == 1) {
        bool far = engine->shards_count > 1 && draw(browser, 2) == 0;
        browser->requests[browser->count - 1].ask = far ? ASK_HANG_FAR : ASK_HANG;
        browser->leave_ns = start_ns + 1 + draw(browser, LEAVE_NS_MAX);
    } else if (role == 2) {
        browser->leave_ns = start_ns + 1 + draw(browser, LEAVE_NS_MAX);
    }
}

/* Where a request goes, and what is in it. */
static const char *const targets[ASK_COUNT] = {
    [ASK_ONE] = "GET /one/%u",      [ASK_CHAIN] = "GET /chain/%u",
    [ASK_NAP] = "GET /nap/%u",      [ASK_FAR] = "GET /far/%u",
    [ASK_ECHO] = "POST /echo/%u",   [ASK_FAIL] = "GET /fail/%u",
    [ASK_MISSING] = "GET /none/%u", [ASK_CREATE] = "POST /v1/nodes?n=%u",
    [ASK_READ] = "GET /v1/nodes",   [ASK_LATE] = "GET /late/%u",
    [ASK_HANG] = "GET /hang/%u",    [ASK_HANG_FAR] = "GET /hangfar/%u",
};

static char body_byte(uint32_t number, size_t at)
{
    return (char)('a' + (number * 7 + at * 31 + at / 255) % 26);
}

static size_t body_make(const struct request *request, char *body)
{
    if (request->ask == ASK_CREATE) {
        return (size_t)snprintf(
            body, BODY_MAX,
            "{\"kind\":\"snippet\",\"name\":\"extra-%u\",\"language\":\"text\",\"code\":\"x\"}",
            request->number);
    }
    for (size_t i = 0; i < request->body_size; i++) body[i] = body_byte(request->number, i);
    return request->body_size;
}

static void out_append(struct browser *browser, const char *data, size_t size)
{
    sl_assert(browser->out_size + size <= OUT_MAX);
    memcpy(browser->out + browser->out_size, data, size);
    browser->out_size += size;
}

static void out_chunks(struct browser *browser, const char *body, size_t size)
{
    char line[64];
    for (size_t at = 0; at < size;) {
        size_t part = 1 + draw(browser, size - at < 500 ? size - at : 500);
        if (part > size - at) part = size - at;
        int n = snprintf(line, sizeof(line), "%zx%s\r\n", part, draw(browser, 3) ? "" : ";a=b");
        out_append(browser, line, (size_t)n);
        out_append(browser, body + at, part);
        out_append(browser, "\r\n", 2);
        at += part;
    }
    out_append(browser, "0\r\n\r\n", 5);
}

/* Write the next request into `out`. */
static void request_write(struct browser *browser)
{
    const struct request *request = &browser->requests[browser->sent];
    char line[256];
    char body[BODY_MAX];
    browser->out = browser->out != NULL ? browser->out : malloc(OUT_MAX);
    sl_assert(browser->out != NULL);
    browser->out_size = 0;
    browser->out_at = 0;
    int n = snprintf(line, sizeof(line), targets[request->ask], request->number);
    out_append(browser, line, (size_t)n);
    n = snprintf(line, sizeof(line), " HTTP/1.1\r\nHost: sim\r\n");
    out_append(browser, line, (size_t)n);
    if (request->ask != ASK_ECHO && request->ask != ASK_CREATE) {
        out_append(browser, "\r\n", 2);
        return;
    }
    size_t size = body_make(request, body);
    n = snprintf(line, sizeof(line), "Content-Type: %s\r\n",
                 request->ask == ASK_CREATE ? "application/json" : "text/plain");
    out_append(browser, line, (size_t)n);
    if (request->chunked) {
        n = snprintf(line, sizeof(line), "Transfer-Encoding: chunked\r\n\r\n");
        out_append(browser, line, (size_t)n);
        out_chunks(browser, body, size);
        return;
    }
    n = snprintf(line, sizeof(line), "Content-Length: %zu\r\n\r\n", size);
    out_append(browser, line, (size_t)n);
    out_append(browser, body, size);
}

/* Send a piece of what is to be sent, if it is time. */
static void send_some(struct browser *browser)
{
    uint64_t now_ns = engine_now(browser->engine);
    while (now_ns >= browser->next_ns) {
        if (browser->out_at == browser->out_size) {
            if (browser->sent == browser->count) return;
            if (browser->sent - browser->answered >= browser->depth) return;
            request_write(browser);
            browser->requests[browser->sent].version = browser->engine->version;
            browser->sent++;
        }
        size_t left = browser->out_size - browser->out_at;
        size_t part = draw(browser, 2) == 0 ? left : 1 + draw(browser, left);
        sim_client_send(browser->engine->sim, browser->client, browser->out + browser->out_at,
                        part);
        browser->out_at += part;
        if (draw(browser, 3) == 0) browser->next_ns = now_ns + 1 + draw(browser, THINK_NS_MAX);
    }
}

/* ---- reading ------------------------------------------------------------------------------- */

struct reply {
    int status;
    const char *body;
    size_t body_size;
    size_t size; /* of all of it */
};

/* Parse one reply. 1: whole; 0: more is needed; -1: nonsense. */
static int reply_parse(const char *data, size_t size, struct reply *ret_reply)
{
    const char *end = memmem(data, size, "\r\n\r\n", 4);
    if (end == NULL) return size > 16384 ? -1 : 0;
    size_t head_size = (size_t)(end - data) + 4;
    char head[1024];
    if (head_size >= sizeof(head)) return -1;
    memcpy(head, data, head_size);
    head[head_size] = '\0';
    int used = 0;
    if (sscanf(head, "HTTP/1.1 %3d %n", &ret_reply->status, &used) != 1 || used == 0) return -1;
    const char *length = strstr(head, "\r\nContent-Length: ");
    size_t body_size = 0;
    if (length != NULL) {
        body_size = strtoul(length + 18, NULL, 10);
    } else if (ret_reply->status != 204) {
        return -1;
    }
    ret_reply->body = data + head_size;
    ret_reply->body_size = body_size;
    ret_reply->size = head_size + body_size;
    return size >= ret_reply->size;
}

/* The body names one version twice, and the number; returns what is behind, or NULL. */
static const char *versions_check(const struct browser *browser, const struct request *request,
                                  const char *body, const char **ret_wrong)
{
    unsigned first, last, number;
    int used = 0;
    *ret_wrong = "a body of another form";
    if (sscanf(body, "{\"first\":%u,\"last\":%u,\"n\":\"%u\"%n", &first, &last, &number, &used) !=
            3 ||
        used == 0) {
        return NULL;
    }
    *ret_wrong = "a reply from two versions";
    if (first != last) return NULL;
    *ret_wrong = "the reply to another request";
    bool numbered = request->ask != ASK_FAIL && request->ask != ASK_READ;
    if (numbered && number != request->number) return NULL;
    *ret_wrong = "a version older than the request";
    if (first < request->version) return NULL;
    *ret_wrong = "a version that is not published yet";
    if (first > browser->engine->version) return NULL;
    *ret_wrong = NULL;
    return body + used;
}

static const char *echo_check(const struct request *request, const char *rest)
{
    char expected[64];
    int n = snprintf(expected, sizeof(expected), ",\"size\":%u,\"echo\":\"", request->body_size);
    /* No body at all is no key. */
    if (request->body_size == 0) {
        return strcmp(rest, ",\"size\":0,\"echo\":\"\"}") == 0 ? NULL : "an empty echo is wrong";
    }
    if (strncmp(rest, expected, (size_t)n) != 0) return "the size of an echo is wrong";
    rest += n;
    for (size_t i = 0; i < request->body_size; i++) {
        if (rest[i] != body_byte(request->number, i)) return "an echo differs";
    }
    return strcmp(rest + request->body_size, "\"}") == 0 ? NULL : "an echo's end is wrong";
}

static int status_expected(enum ask ask)
{
    switch (ask) {
    case ASK_FAIL: return 503;
    case ASK_MISSING: return 404;
    case ASK_CREATE: return 201;
    case ASK_LATE: return 504;
    default: return 200;
    }
}

static const char *reply_check(struct browser *browser, const struct browser_rules *rules,
                               const struct reply *reply)
{
    const struct request *request = &browser->requests[browser->answered];
    if (rules->impatient && (reply->status == 408 || reply->status == 504)) return NULL;
    if (rules->impatient && request->ask == ASK_LATE && reply->status == 200) return NULL;
    if (request->ask == ASK_HANG || request->ask == ASK_HANG_FAR) {
        return rules->impatient ? NULL : "an answer from a node that hangs";
    }
    if (reply->status != status_expected(request->ask)) return "an unexpected status";
    if (request->ask == ASK_MISSING || request->ask == ASK_LATE) return NULL;
    char *body = strndup(reply->body, reply->body_size);
    const char *wrong = NULL;
    const char *rest = versions_check(browser, request, body, &wrong);
    if (rest != NULL && request->ask == ASK_ECHO) wrong = echo_check(request, rest);
    if (wrong != NULL) {
        (void)fprintf(stderr, "request %u (kind %d): %.200s\n", request->number, request->ask,
                      body);
    }
    free(body);
    return wrong;
}

static const char *receive(struct browser *browser, const struct browser_rules *rules)
{
    struct sim *sim = browser->engine->sim;
    for (;;) {
        size_t size;
        const char *data = (const char *)sim_client_received(sim, browser->client, &size);
        struct reply reply;
        int r = size > 0 ? reply_parse(data, size, &reply) : 0;
        if (r == 0) return NULL;
        if (r < 0) return "bytes that are no reply";
        bool timed_out = rules->impatient && reply.status == 408;
        if (browser->answered == browser->sent && !timed_out) return "a reply without a request";
        const char *wrong = timed_out ? NULL : reply_check(browser, rules, &reply);
        if (wrong != NULL) {
            (void)fprintf(stderr, "reply with status %d: %.*s\n", reply.status,
                          (int)(reply.size < 400 ? reply.size : 400), data);
            return wrong;
        }
        /* The body, but not the head: its Date is of the clock, which is in the trace already. */
        sim_trace(sim, "reply", (uint64_t)reply.status,
                  reply.body_size > 0 ? sl_hash64(reply.body, reply.body_size) : 0);
        browser->answered += browser->answered < browser->sent;
        sim_client_drop(sim, browser->client, reply.size);
    }
}

/* ---- life ---------------------------------------------------------------------------------- */

static void leave(struct browser *browser, bool with_reset)
{
    struct sim *sim = browser->engine->sim;
    sim_trace(sim, "leave", (uint64_t)browser->client, with_reset);
    if (with_reset) {
        sim_client_reset(sim, browser->client);
    } else {
        sim_client_close(sim, browser->client);
    }
    browser->client = -1;
    browser->done = true;
    browser->left_ns = engine_now(browser->engine);
}

static const char *connect_to(struct browser *browser, const struct browser_rules *rules)
{
    struct sl_addr addr;
    sl_assert(sl_addr_make(SL_SLICE("127.0.0.1"), browser->port, &addr, NULL) == 0);
    int client = sim_client_connect(browser->engine->sim, &addr);
    if (client < 0) {
        browser->done = true;
        browser->broken = true;
        return rules->draining ? NULL : "a connection was refused";
    }
    browser->client = client;
    return NULL;
}

/* The server has ended the connection: was it allowed to? */
static const char *ended(struct browser *browser, const struct browser_rules *rules)
{
    size_t left;
    (void)sim_client_received(browser->engine->sim, browser->client, &left);
    browser->broken = true;
    leave(browser, false);
    if (left > 0 && !rules->impatient) return "half a reply";
    if (browser->answered == browser->count) return NULL;
    return rules->draining || rules->impatient ? NULL : "the server closed a connection";
}

const char *browser_step(struct browser *browser, const struct browser_rules *rules)
{
    struct sim *sim = browser->engine->sim;
    if (browser->done) return NULL;
    if (browser->client < 0) {
        if (engine_now(browser->engine) < browser->next_ns) return NULL;
        const char *wrong = connect_to(browser, rules);
        if (browser->done) return wrong;
    }
    const char *wrong = receive(browser, rules);
    if (wrong != NULL) return wrong;
    if (sim_client_state(sim, browser->client) == SIM_CLIENT_RESET) {
        browser->broken = true;
        leave(browser, true);
        bool excused = sim_stats(sim)->resets > 0 || rules->draining || rules->impatient;
        return excused ? NULL : "the server reset a connection";
    }
    if (sim_client_state(sim, browser->client) == SIM_CLIENT_ENDED) {
        /* What came with the end is read first. */
        wrong = receive(browser, rules);
        return wrong != NULL ? wrong : ended(browser, rules);
    }
    if (browser->leave_ns != 0 && engine_now(browser->engine) >= browser->leave_ns) {
        leave(browser, draw(browser, 2) == 0);
        return NULL;
    }
    if (browser->answered == browser->count) {
        leave(browser, false);
        return NULL;
    }
    send_some(browser);
    return NULL;
}

void browser_fini(struct browser *browser)
{
    if (browser->client >= 0) sim_client_close(browser->engine->sim, browser->client);
    browser->client = -1;
    free(browser->out);
    browser->out = NULL;
}
