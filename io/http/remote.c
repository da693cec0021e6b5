/* SPDX-License-Identifier: MIT */
/*
 * Who the client is: the peer's address, or behind trusted proxies what they say about it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "io/http/internal.h"

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* An address without port, IPv4 as mapped IPv6. False if it is none. */
static bool addr_parse(struct sl_slice text, uint8_t ret_addr[16], bool *ret_is_v4)
{
    char buf[HTTP_REMOTE_SIZE];
    if (text.size == 0 || text.size >= sizeof(buf)) return false;
    memcpy(buf, text.data, text.size);
    buf[text.size] = 0;
    if (inet_pton(AF_INET, buf, ret_addr + 12) == 1) {
        memcpy(ret_addr, mapped_prefix, sizeof(mapped_prefix));
        *ret_is_v4 = true;
        return true;
    }
    *ret_is_v4 = false;
    return inet_pton(AF_INET6, buf, ret_addr) == 1;
}

int sl_http_network_parse(struct sl_slice text, struct sl_http_network *ret_network)
{
    sl_assert(ret_network != NULL);
    struct sl_http_network network = {{0}, 128};
    if (sl_slice_eq_str(text, "unix")) {
        *ret_network = network;
        return 0;
    }
    const uint8_t *slash = memchr(text.data, '/', text.size);
    struct sl_slice host = text;
    if (slash != NULL) host.size = (size_t)(slash - text.data);
    bool is_v4;
    if (!addr_parse(host, network.addr, &is_v4)) return -EINVAL;
    if (slash != NULL) {
        size_t digits = text.size - host.size - 1;
        unsigned bits = 0;
        if (digits == 0 || digits > 3) return -EINVAL;
        for (size_t i = 0; i < digits; i++) {
            if (slash[1 + i] < '0' || slash[1 + i] > '9') return -EINVAL;
            bits = bits * 10 + (unsigned)(slash[1 + i] - '0');
        }
        if (bits > (is_v4 ? 32u : 128u)) return -EINVAL;
        network.bits = (uint8_t)(is_v4 ? bits + 96 : bits);
    }
    *ret_network = network;
    return 0;
}

static bool network_has(const struct sl_http_network *network, const uint8_t addr[16])
{
    size_t bytes = network->bits / 8;
    unsigned rest = network->bits % 8;
    if (memcmp(network->addr, addr, bytes) != 0) return false;
    if (rest == 0) return true;
    uint8_t mask = (uint8_t)(0xff << (8 - rest));
    return ((network->addr[bytes] ^ addr[bytes]) & mask) == 0;
}

static bool is_trusted(const struct sl_http_server *server, const uint8_t addr[16])
{
    for (uint32_t i = 0; i < server->config.proxies_count; i++) {
        if (network_has(&server->config.proxies[i], addr)) return true;
    }
    return false;
}

/* Text and bytes of an address of the system; an address of a unix socket is "unix". */
static void addr_format(const struct sl_addr *addr, char text[HTTP_REMOTE_SIZE],
                        uint8_t ret_bytes[16])
{
    const struct sockaddr *base = (const struct sockaddr *)&addr->storage;
    memset(ret_bytes, 0, 16);
    memcpy(text, "unix", 5);
    if (base->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)base;
        memcpy(ret_bytes, mapped_prefix, sizeof(mapped_prefix));
        memcpy(ret_bytes + 12, &in->sin_addr, 4);
    } else if (base->sa_family == AF_INET6) {
        memcpy(ret_bytes, &((const struct sockaddr_in6 *)base)->sin6_addr, 16);
    } else {
        return;
    }
    if (memcmp(ret_bytes, mapped_prefix, sizeof(mapped_prefix)) == 0) {
        (void)inet_ntop(AF_INET, ret_bytes + 12, text, HTTP_REMOTE_SIZE);
    } else {
        (void)inet_ntop(AF_INET6, ret_bytes, text, HTTP_REMOTE_SIZE);
    }
}

void http_remote_resolve(struct http_conn *conn)
{
    struct sl_poller *poller = conn->server->loop->poller;
    struct sl_addr addr;
    uint8_t bytes[16];
    if (poller->ops->peer(poller, conn->fd, &addr) < 0) {
        memcpy(conn->remote, "unknown", 8);
        conn->remote_size = 7;
        return;
    }
    addr_format(&addr, conn->remote, bytes);
    conn->remote_size = (uint8_t)strlen(conn->remote);
    conn->is_trusted = is_trusted(conn->server, bytes);
}

/* The last member of a comma-separated list, trimmed; it is cut off from `list`. */
static struct sl_slice list_last(struct sl_slice *list)
{
    const uint8_t *comma = memrchr(list->data, ',', list->size);
    struct sl_slice item = *list;
    list->size = 0;
    if (comma != NULL) {
        list->size = (size_t)(comma - list->data);
        item = sl_slice_make(comma + 1, item.size - list->size - 1);
    }
    while (item.size > 0 && (item.data[0] == ' ' || item.data[0] == '\t')) {
        item.data++;
        item.size--;
    }
    while (item.size > 0 && (item.data[item.size - 1] == ' ' || item.data[item.size - 1] == '\t')) {
        item.size--;
    }
    return item;
}

struct sl_slice http_remote_forwarded(const struct sl_http_server *server,
                                      const struct sl_http1_request *head, struct sl_slice remote)
{
    for (uint32_t i = head->head.headers_count; i-- > 0;) {
        if (head->head.headers[i].id != SL_HTTP1_HEADER_X_FORWARDED_FOR) continue;
        struct sl_slice list = head->head.headers[i].value;
        while (list.size > 0) {
            struct sl_slice item = list_last(&list);
            uint8_t addr[16];
            bool is_v4;
            if (!addr_parse(item, addr, &is_v4)) return remote;
            remote = item;
            if (!is_trusted(server, addr)) return remote;
        }
    }
    return remote;
}
