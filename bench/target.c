/* SPDX-License-Identifier: MIT */
/* URLs, addresses, and requests in their wire form. */
#include "bench/target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "core/base/assertion.h"
#include "core/base/limit.h"

static const struct sl_pos NO_POS = {0, 0};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undo %XX from `text` (up to `end`) into `buf`. False: too long or malformed. */
static bool percent_decode(const char *text, const char *end, char *buf, size_t buf_size)
{
    size_t used = 0;
    while (text < end) {
        if (used + 1 >= buf_size) return false;
        if (*text != '%') {
            buf[used++] = *text++;
            continue;
        }
        if (end - text < 3 || hex_digit(text[1]) < 0 || hex_digit(text[2]) < 0) return false;
        buf[used++] = (char)(hex_digit(text[1]) * 16 + hex_digit(text[2]));
        text += 3;
    }
    buf[used] = '\0';
    return used > 0;
}

static int url_error(struct sl_diag *reterr, const char *text, const char *what)
{
    int err = sl_diag_set(reterr, "bad_url", NO_POS, "\"%s\": %s", text, what);
    sl_diag_hint(reterr, "write http://127.0.0.1:8000/path or http+unix://%%2Frun%%2Fs.sock/path");
    return err;
}

/* host[:port], IPv6 in brackets. */
static int authority_parse(const char *text, const char *at, const char *end, struct sl_url *url,
                           struct sl_diag *reterr)
{
    const char *host_end = NULL;
    const char *port = NULL;
    if (at < end && *at == '[') {
        at++;
        host_end = memchr(at, ']', (size_t)(end - at));
        if (host_end == NULL)
            return url_error(reterr, text, "the ] of the IPv6 address is missing");
        if (host_end + 1 < end) port = host_end + 1;
        if (port != NULL && *port != ':') return url_error(reterr, text, "garbage after ]");
    } else {
        port = memchr(at, ':', (size_t)(end - at));
        host_end = port != NULL ? port : end;
    }
    if (host_end == at) return url_error(reterr, text, "the host is missing");
    if ((size_t)(host_end - at) >= sizeof(url->host))
        return url_error(reterr, text, "host too long");
    memcpy(url->host, at, (size_t)(host_end - at));
    url->host[host_end - at] = '\0';
    url->port = 80;
    if (port == NULL) return 0;
    char *stop;
    unsigned long value = strtoul(port + 1, &stop, 10);
    if (stop != end || stop == port + 1 || value < 1 || value > 65535) {
        return url_error(reterr, text, "the port must be a number from 1 to 65535");
    }
    url->port = (uint16_t)value;
    return 0;
}

/* A leading "3:" before a scheme. */
static const char *weight_parse(const char *text, uint32_t *ret_weight)
{
    char *stop;
    *ret_weight = 1;
    if (*text < '0' || *text > '9') return text;
    unsigned long value = strtoul(text, &stop, 10);
    if (*stop != ':' || strstr(stop, "://") == NULL || value < 1 || value > 1000000) return text;
    *ret_weight = (uint32_t)value;
    return stop + 1;
}

int sl_url_parse(const char *text, struct sl_url *ret_url, struct sl_diag *reterr)
{
    sl_assert(text != NULL);
    sl_assert(ret_url != NULL);
    struct sl_url url = {.port = 0};
    const char *at = weight_parse(text, &url.weight);
    bool is_unix = strncmp(at, "http+unix://", 12) == 0;
    if (strncmp(at, "https://", 8) == 0) return url_error(reterr, text, "TLS is not supported");
    if (is_unix) {
        at += 12;
    } else if (strncmp(at, "http://", 7) == 0) {
        at += 7;
    } else if (strstr(at, "://") != NULL) {
        return url_error(reterr, text, "the scheme must be http or http+unix");
    }
    const char *end = at + strcspn(at, "/?#");
    url.target = *end == '/' ? end : "/";
    if (*end == '?' || strchr(end, '#') != NULL) {
        return url_error(reterr, text, "the path must begin with / and have no #");
    }
    if (strpbrk(url.target, " \t\r\n") != NULL) return url_error(reterr, text, "blank in the path");
    if (is_unix) {
        if (!percent_decode(at, end, url.unix_path, sizeof(url.unix_path))) {
            return url_error(reterr, text, "the socket path must be 1 to 107 bytes, / as %2F");
        }
        (void)snprintf(url.authority, sizeof(url.authority), "localhost");
    } else {
        int err = authority_parse(text, at, end, &url, reterr);
        if (err < 0) return err;
        (void)snprintf(url.authority, sizeof(url.authority), "%.*s", (int)(end - at), at);
    }
    *ret_url = url;
    return 0;
}

int sl_bench_addr_resolve(const struct sl_url *url, struct sl_bench_addr *ret_addr,
                          struct sl_diag *reterr)
{
    sl_assert(url != NULL);
    sl_assert(ret_addr != NULL);
    memset(ret_addr, 0, sizeof(*ret_addr));
    if (url->unix_path[0] != '\0') {
        struct sockaddr_un *un = (struct sockaddr_un *)&ret_addr->storage;
        static_assert(sizeof(url->unix_path) <= sizeof(un->sun_path), "the path fits");
        un->sun_family = AF_UNIX;
        memcpy(un->sun_path, url->unix_path, sizeof(url->unix_path));
        ret_addr->size = sizeof(*un);
        (void)snprintf(ret_addr->text, sizeof(ret_addr->text), "unix:%s", url->unix_path);
        return 0;
    }
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", url->port);
    int code = getaddrinfo(url->host, port, &hints, &found);
    if (code != 0) {
        (void)sl_diag_set(reterr, "unknown_host", NO_POS, "cannot find the host \"%s\": %s",
                          url->host, gai_strerror(code));
        return -EHOSTUNREACH;
    }
    memcpy(&ret_addr->storage, found->ai_addr, found->ai_addrlen);
    ret_addr->size = found->ai_addrlen;
    freeaddrinfo(found);
    (void)snprintf(ret_addr->text, sizeof(ret_addr->text), "%s:%u", url->host, url->port);
    return 0;
}

static bool has_header(const struct sl_request_parts *parts, const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < parts->headers_count; i++) {
        if (strncasecmp(parts->headers[i], name, size) == 0 && parts->headers[i][size] == ':') {
            return true;
        }
    }
    return false;
}

static int parts_check(const struct sl_request_parts *parts, struct sl_diag *reterr)
{
    for (const char *c = parts->method; *c != '\0'; c++) {
        if ((*c < 'A' || *c > 'Z') && (*c < 'a' || *c > 'z') && *c != '-' && *c != '_') {
            return sl_diag_set(reterr, "bad_method", NO_POS, "\"%s\" is not a method",
                               parts->method);
        }
    }
    for (size_t i = 0; i < parts->headers_count; i++) {
        const char *header = parts->headers[i];
        if (strchr(header, ':') == NULL || header[0] == ':' || strpbrk(header, "\r\n") != NULL) {
            int err = sl_diag_set(reterr, "bad_header", NO_POS, "\"%s\" is not a header", header);
            sl_diag_hint(reterr, "write --header 'Name: value'");
            return err;
        }
    }
    return 0;
}

/* Write the head; the stream grows as needed. */
static void head_write(FILE *out, const struct sl_request_parts *parts)
{
    (void)fprintf(out, "%s %s HTTP/1.1\r\n", parts->method, parts->target);
    if (!has_header(parts, "Host")) (void)fprintf(out, "Host: %s\r\n", parts->authority);
    for (size_t i = 0; i < parts->headers_count; i++) {
        (void)fprintf(out, "%s\r\n", parts->headers[i]);
    }
    if (parts->close) (void)fprintf(out, "Connection: close\r\n");
    if (parts->body != NULL && !has_header(parts, "Content-Length") &&
        !has_header(parts, "Transfer-Encoding")) {
        (void)fprintf(out, "Content-Length: %zu\r\n", parts->body_size);
    }
    (void)fprintf(out, "\r\n");
    if (parts->body_size > 0) (void)fwrite(parts->body, 1, parts->body_size, out);
}

int sl_requests_push(struct sl_requests *requests, const struct sl_request_parts *parts,
                     struct sl_diag *reterr)
{
    sl_assert(requests != NULL);
    sl_assert(parts->weight > 0);
    int err = parts_check(parts, reterr);
    if (err < 0) return err;
    if (requests->count >= SL_TARGET_REQUESTS_MAX) {
        return sl_diag_set(reterr, "too_many_requests", NO_POS, "more than %d different requests",
                           (int)SL_TARGET_REQUESTS_MAX);
    }
    struct sl_request *items =
        realloc(requests->items, (requests->count + 1) * sizeof(*requests->items));
    if (items == NULL) return -ENOMEM;
    requests->items = items;
    struct sl_request request = {.weight = parts->weight,
                                 .is_head = strcmp(parts->method, "HEAD") == 0};
    (void)snprintf(request.label, sizeof(request.label), "%s %s", parts->method, parts->target);
    FILE *out = open_memstream((char **)&request.data, &request.size);
    if (out == NULL) return -ENOMEM;
    head_write(out, parts);
    if (fclose(out) != 0 || request.data == NULL) return -ENOMEM;
    items[requests->count++] = request;
    requests->weight_sum += request.weight;
    return 0;
}

uint32_t sl_requests_pick(const struct sl_requests *requests, uint32_t ticket)
{
    sl_assert(ticket < requests->weight_sum);
    for (uint32_t i = 0; i < requests->count; i++) {
        if (ticket < requests->items[i].weight) return i;
        ticket -= requests->items[i].weight;
    }
    sl_unreachable();
}

void sl_requests_fini(struct sl_requests *requests)
{
    for (uint32_t i = 0; i < requests->count; i++) free(requests->items[i].data);
    free(requests->items);
    memset(requests, 0, sizeof(*requests));
}

int sl_bench_file_read(const char *path, uint8_t **ret_data, size_t *ret_size,
                       struct sl_diag *reterr)
{
    FILE *in = fopen(path, "rbe");
    int err = in == NULL ? -errno : 0;
    uint8_t *data = NULL;
    size_t size = 0;
    size_t cap = 4096;
    while (err == 0) {
        uint8_t *grown = realloc(data, cap + 1);
        if (grown == NULL) err = -ENOMEM;
        if (grown == NULL) break;
        data = grown;
        size += fread(data + size, 1, cap - size, in);
        if (ferror(in)) err = -EIO;
        if (size < cap) break;
        if (cap >= SL_TARGET_BODY_SIZE_MAX) err = -EFBIG;
        cap *= 2;
    }
    if (in != NULL) (void)fclose(in);
    if (err < 0) {
        free(data);
        (void)sl_diag_set(reterr, "bad_file", NO_POS, "cannot read \"%s\": %s", path,
                          strerror(-err));
        return err;
    }
    data[size] = '\0';
    *ret_data = data;
    *ret_size = size;
    return 0;
}
