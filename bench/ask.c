/* SPDX-License-Identifier: MIT */
#include "bench/ask.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "bench/response.h"
#include "core/base/assertion.h"

enum { TIMEOUT_S = 10 };

int sl_ask_connect(const struct sockaddr *addr, socklen_t size)
{
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    int one = 1;
    sl_assert(addr != NULL);
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if (addr->sa_family != AF_UNIX) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    if (connect(fd, addr, size) == 0) return fd;
    int err = -errno;
    (void)close(fd);
    return err;
}

static void body_take(void *ctx, const uint8_t *data, size_t size)
{
    struct sl_ask_body *body = ctx;
    size_t room = body->text != NULL && body->cap > 0 ? body->cap - 1 - body->size : 0;
    if (size > room) size = room;
    if (size == 0) return;
    memcpy(body->text + body->size, data, size);
    body->size += size;
    body->text[body->size] = '\0';
}

static int bytes_send(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return -EPIPE;
        data += sent;
        size -= (size_t)sent;
    }
    return 0;
}

int sl_ask(int fd, const void *request, size_t request_size, struct sl_ask_body *body)
{
    uint8_t buf[4096];
    struct sl_response response = {.body = body_take, .body_ctx = body};
    sl_assert(fd >= 0);
    sl_assert(body != NULL);
    body->size = 0;
    if (body->text != NULL && body->cap > 0) body->text[0] = '\0';
    int err = bytes_send(fd, request, request_size);
    while (err == 0 && response.state != SL_RESPONSE_DONE) {
        size_t used;
        ssize_t size = recv(fd, buf, sizeof(buf), 0);
        if (size < 0 && errno == EINTR) continue;
        if (size > 0) {
            err = sl_response_feed(&response, buf, (size_t)size, &used);
        } else {
            err = size == 0 ? sl_response_end(&response) : -EPIPE;
        }
    }
    int status = response.status;
    sl_response_fini(&response);
    return err < 0 ? err : status;
}
