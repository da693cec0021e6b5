/* SPDX-License-Identifier: MIT */
/* Addresses: text to sockaddr and back. */
#include "io/sock/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "core/base/assertion.h"
#include "core/base/limit.h"

static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) == SL_SOCKET_PATH_MAX + 1, "sun_path");
static_assert(SL_ADDR_TEXT_SIZE > SL_SOCKET_PATH_MAX + 6, "unix:@ and a path fit");
static_assert(SL_ADDR_TEXT_SIZE > INET6_ADDRSTRLEN + 16 + 8, "[address%scope]:port fits");

static int addr_error(struct sl_diag *reterr, struct sl_slice text, const char *expected)
{
    (void)sl_diag_set(reterr, "bad_address", (struct sl_pos){0}, "bad address \"%.*s\": %s",
                      SL_SLICE_FMT(text), expected);
    sl_diag_hint(reterr, "write 127.0.0.1:8000, [::1]:8000, *:8000 or unix:/path");
    return -EINVAL;
}

static int parse_unix(struct sl_slice path, struct sl_addr *ret_addr, struct sl_diag *reterr)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (path.size == 0) return addr_error(reterr, path, "expected a path after unix:");
    if (path.size > SL_SOCKET_PATH_MAX) {
        return addr_error(reterr, path, "a unix socket path has at most 107 bytes");
    }
    if (memchr(path.data, 0, path.size) != NULL) {
        return addr_error(reterr, path, "a unix socket path has no zero byte");
    }
    bool abstract = path.data[0] == '@';
    if (abstract && path.size == 1) return addr_error(reterr, path, "expected a name after @");
    memcpy(un.sun_path, path.data, path.size);
    if (abstract) un.sun_path[0] = 0; /* unix(7): the name space without files */
    size_t size = offsetof(struct sockaddr_un, sun_path) + path.size + (abstract ? 0 : 1);
    *ret_addr = (struct sl_addr){.size = (socklen_t)size};
    memcpy(&ret_addr->storage, &un, sizeof(un));
    return 0;
}

static int parse_port(struct sl_slice text, uint16_t *ret_port)
{
    uint32_t port = 0;
    if (text.size == 0 || text.size > 5) return -EINVAL;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return -EINVAL;
        port = port * 10 + (uint32_t)(text.data[i] - '0');
    }
    if (port > UINT16_MAX) return -EINVAL;
    *ret_port = (uint16_t)port;
    return 0;
}

int sl_addr_make(struct sl_slice host, uint16_t port, struct sl_addr *ret_addr,
                 struct sl_diag *reterr)
{
    sl_assert(ret_addr != NULL);
    char text[INET6_ADDRSTRLEN + 1];
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (host.size >= sizeof(text)) return addr_error(reterr, host, "too long for an IP address");
    memcpy(text, host.data != NULL ? (const char *)host.data : "", host.size);
    text[host.size] = 0;

    bool is_any = sl_slice_eq_str(host, "*");
    if (host.size == 0 || sl_slice_eq_str(host, "localhost")) {
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else if (is_any || inet_pton(AF_INET6, text, &in6.sin6_addr) == 1) {
        *ret_addr = (struct sl_addr){.size = sizeof(in6)};
        memcpy(&ret_addr->storage, &in6, sizeof(in6));
        return 0;
    } else if (inet_pton(AF_INET, text, &in.sin_addr) != 1) {
        return addr_error(reterr, host, "expected an IP address (names are not resolved)");
    }
    *ret_addr = (struct sl_addr){.size = sizeof(in)};
    memcpy(&ret_addr->storage, &in, sizeof(in));
    return 0;
}

int sl_addr_parse(struct sl_slice text, struct sl_addr *ret_addr, struct sl_diag *reterr)
{
    sl_assert(ret_addr != NULL);
    if (sl_slice_has_prefix(text, SL_SLICE("unix:"))) {
        return parse_unix(sl_slice_make(text.data + 5, text.size - 5), ret_addr, reterr);
    }
    size_t colon = text.size;
    while (colon > 0 && text.data[colon - 1] != ':') colon--;
    if (colon == 0) return addr_error(reterr, text, "expected host:port");
    struct sl_slice host = sl_slice_make(text.data, colon - 1);
    uint16_t port;
    if (parse_port(sl_slice_make(text.data + colon, text.size - colon), &port) < 0) {
        return addr_error(reterr, text, "expected a port from 0 to 65535 after the colon");
    }
    bool bracket = host.size >= 2 && host.data[0] == '[' && host.data[host.size - 1] == ']';
    if (bracket) host = sl_slice_make(host.data + 1, host.size - 2);
    bool is_v6 = host.size > 0 && memchr(host.data, ':', host.size) != NULL;
    if (is_v6 != bracket) return addr_error(reterr, text, "IPv6 addresses stand in brackets");
    return sl_addr_make(host, port, ret_addr, reterr);
}

static size_t format_unix(const struct sl_addr *addr, char *buf, size_t buf_size)
{
    struct sockaddr_un un;
    memcpy(&un, &addr->storage, sizeof(un));
    size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t size = addr->size > head ? addr->size - head : 0;
    if (size > sizeof(un.sun_path)) size = sizeof(un.sun_path);
    if (size == 0) return (size_t)snprintf(buf, buf_size, "unix:");
    bool abstract = un.sun_path[0] == 0 && size > 1;
    if (!abstract) size = strnlen(un.sun_path, size);
    int n = abstract ? snprintf(buf, buf_size, "unix:@%.*s", (int)size - 1, un.sun_path + 1)
                     : snprintf(buf, buf_size, "unix:%.*s", (int)size, un.sun_path);
    return (size_t)n;
}

size_t sl_addr_format(const struct sl_addr *addr, char *buf, size_t buf_size)
{
    sl_assert(addr != NULL);
    sl_assert(buf_size > 0);
    char text[INET6_ADDRSTRLEN];
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    size_t size;
    switch (addr->storage.ss_family) {
    case AF_INET:
        memcpy(&in, &addr->storage, sizeof(in));
        (void)inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text));
        size = (size_t)snprintf(buf, buf_size, "%s:%u", text, ntohs(in.sin_port));
        break;
    case AF_INET6:
        memcpy(&in6, &addr->storage, sizeof(in6));
        (void)inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof(text));
        size = (size_t)snprintf(buf, buf_size, "[%s]:%u", text, ntohs(in6.sin6_port));
        break;
    case AF_UNIX: size = format_unix(addr, buf, buf_size); break;
    default: size = (size_t)snprintf(buf, buf_size, "family %u", addr->storage.ss_family); break;
    }
    return size < buf_size ? size : buf_size - 1;
}

bool sl_addr_eq(const struct sl_addr *a, const struct sl_addr *b)
{
    sl_assert(a != NULL);
    sl_assert(b != NULL);
    char text_a[SL_ADDR_TEXT_SIZE];
    char text_b[SL_ADDR_TEXT_SIZE];
    if (a->storage.ss_family != b->storage.ss_family) return false;
    size_t size_a = sl_addr_format(a, text_a, sizeof(text_a));
    size_t size_b = sl_addr_format(b, text_b, sizeof(text_b));
    return size_a == size_b && memcmp(text_a, text_b, size_a) == 0;
}

uint16_t sl_addr_port(const struct sl_addr *addr)
{
    sl_assert(addr != NULL);
    struct sockaddr_in in;
    if (addr->storage.ss_family != AF_INET && addr->storage.ss_family != AF_INET6) return 0;
    memcpy(&in, &addr->storage, sizeof(in)); /* the port lies at the same place in both */
    return ntohs(in.sin_port);
}
