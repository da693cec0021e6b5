/* SPDX-License-Identifier: MIT */
#include "ctl/cli/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/http1/http1.h"
#include "codecs/json/json.h"
#include "core/base/assertion.h"
#include "ctl/admin/path.h"

enum {
    CONTROL_TIMEOUT_S = 10,
    CONTROL_SIZE_MAX = 256 * 1024 * 1024,
    CONTROL_STEP = 65536,
    CONTROL_REQUEST_SIZE = 12 * 1024, /* below what the server takes for a head */
};

static int control_connect(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct timeval timeout = {.tv_sec = CONTROL_TIMEOUT_S};
    memcpy(addr.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0) return fd;
    int r = -errno;
    (void)close(fd);
    return r;
}

/* `version` 1.0: the answer is not cut into chunks. */
static int control_send(int fd, const char *method, const char *path, const char *version)
{
    char text[CONTROL_REQUEST_SIZE];
    int size = snprintf(text, sizeof(text),
                        "%s %s HTTP/%s\r\nHost: sluice\r\nContent-Length: 0\r\n"
                        "Connection: close\r\n\r\n",
                        method, path, version);
    sl_assert(size > 0);
    if ((size_t)size >= sizeof(text)) return -E2BIG;
    for (int sent = 0; sent < size;) {
        ssize_t got = send(fd, text + sent, (size_t)(size - sent), MSG_NOSIGNAL);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno == EAGAIN ? -ETIMEDOUT : -errno;
        sent += (int)got;
    }
    return 0;
}

/* Everything until the other side closes. */
static int control_receive(int fd, struct cli_answer *answer)
{
    size_t cap = 0;
    for (;;) {
        if (answer->size + CONTROL_STEP > cap) {
            cap = cap * 2 + 2 * CONTROL_STEP;
            char *more = cap <= CONTROL_SIZE_MAX ? realloc(answer->body, cap + 1) : NULL;
            if (more == NULL) return -E2BIG;
            answer->body = more;
        }
        ssize_t got = recv(fd, answer->body + answer->size, CONTROL_STEP, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno == EAGAIN ? -ETIMEDOUT : -errno;
        answer->size += (size_t)got;
        answer->body[answer->size] = '\0';
        if (got == 0) return 0;
    }
}

/* Cut the head off: the body is as long as Content-Length says. */
static int answer_cut(struct cli_answer *answer)
{
    struct sl_http1_response head;
    int64_t size = sl_http1_parse_response((const uint8_t *)answer->body, answer->size, 0,
                                           answer->size, SL_HTTP1_METHOD_GET, &head);
    if (size <= 0) return -EBADMSG;
    size_t rest = answer->size - (size_t)size;
    if (head.body == SL_HTTP1_BODY_LENGTH && head.head.content_length != rest) return -EBADMSG;
    answer->status = head.status;
    answer->size = rest;
    memmove(answer->body, answer->body + size, rest + 1);
    return 0;
}

static int control_path(struct cli_args *args, struct sl_admin_path *ret_path)
{
    struct sl_diag diag = {0};
    int r = sl_admin_path_make(cli_get(args, "control"), cli_get(args, "data"),
                               cli_get(args, "namespace"), ret_path, &diag);
    if (r < 0) cli_print_diag(args, &diag);
    if (r == 0 && ret_path->text[0] == '\0') {
        cli_fail(
            args, "no_control",
            "--control none names no socket to ask. A runtime that was started so is ended by a "
            "signal (kill -TERM PID drains it); any other is found without this option");
        r = -ENOTCONN;
    }
    return r;
}

static void print_unreachable(struct cli_args *args, const char *path, int r)
{
    if (r == -ETIMEDOUT) {
        cli_fail(args, "no_answer", "the runtime at %s does not answer", path);
    } else {
        cli_fail(args, "unreachable",
                 "no runtime answers at %s: %s; is it started? (--data DIR, -n NAMESPACE or "
                 "--control PATH say which)",
                 path, strerror(-r));
    }
}

int cli_control_ask(struct cli_args *args, const char *method, const char *path, bool quiet,
                    struct cli_answer *ret_answer)
{
    struct sl_admin_path socket_path;
    *ret_answer = (struct cli_answer){0};
    int r = control_path(args, &socket_path);
    if (r < 0) return r;
    int fd = control_connect(socket_path.text);
    r = fd < 0 ? fd : control_send(fd, method, path, "1.1");
    if (r == 0) r = control_receive(fd, ret_answer);
    if (r == 0) r = answer_cut(ret_answer);
    if (fd >= 0) (void)close(fd);
    if (r < 0) {
        if (!quiet) print_unreachable(args, socket_path.text, r);
        cli_control_fini(ret_answer);
    }
    return r;
}

void cli_control_fini(struct cli_answer *answer)
{
    free(answer->body);
    *answer = (struct cli_answer){0};
}

/* An answer that is read line by line. */
struct stream {
    int fd;
    uint8_t *data; /* array of cap */
    size_t size;
    size_t cap;
    int status; /* 0: the head is not there yet */
};

/* More bytes; 0 at the end. */
static int64_t stream_read(struct stream *stream)
{
    if (stream->cap - stream->size < CONTROL_STEP) {
        size_t cap = stream->cap * 2 + 2 * CONTROL_STEP;
        uint8_t *more = cap <= CONTROL_SIZE_MAX ? realloc(stream->data, cap) : NULL;
        if (more == NULL) return -E2BIG;
        stream->data = more;
        stream->cap = cap;
    }
    for (;;) {
        ssize_t got = recv(stream->fd, stream->data + stream->size, CONTROL_STEP, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno == EAGAIN ? -ETIMEDOUT : -errno;
        stream->size += (size_t)got;
        return got;
    }
}

static void stream_skip(struct stream *stream, size_t size)
{
    stream->size -= size;
    memmove(stream->data, stream->data + size, stream->size);
}

/* The head; afterwards the body begins at the front. */
static int stream_head(struct stream *stream)
{
    struct sl_http1_response head;
    const struct timeval never = {0};
    while (stream->status == 0) {
        int64_t got = stream_read(stream);
        if (got <= 0) return got < 0 ? (int)got : -ECONNRESET;
        int64_t size = sl_http1_parse_response(stream->data, stream->size, 0, CONTROL_STEP,
                                               SL_HTTP1_METHOD_GET, &head);
        if (size < 0) return -EBADMSG;
        if (size == 0) continue;
        stream->status = head.status;
        stream_skip(stream, (size_t)size);
    }
    (void)setsockopt(stream->fd, SOL_SOCKET, SO_RCVTIMEO, &never, sizeof(never));
    return 0;
}

static int stream_lines(struct stream *stream, int (*line)(void *ctx, struct sl_slice text),
                        void *ctx)
{
    for (;;) {
        const uint8_t *end = stream->size > 0 ? memchr(stream->data, '\n', stream->size) : NULL;
        if (end != NULL) {
            size_t size = (size_t)(end - stream->data);
            int r = line(ctx, sl_slice_make(stream->data, size));
            if (r < 0) return r;
            stream_skip(stream, size + 1);
            continue;
        }
        int64_t got = stream_read(stream);
        if (got <= 0) return (int)got;
    }
}

/* What the runtime said was wrong. */
static int print_refusal(void *ctx, struct sl_slice text)
{
    struct cli_args *args = ctx;
    struct sl_value value;
    if (sl_json_parse(text, NULL, NULL, 0, &value, NULL) < 0) {
        cli_fail(args, "refused", "the runtime refused: %.*s", SL_SLICE_FMT(text));
        return 0;
    }
    struct sl_value error =
        sl_value_is(value, SL_VALUE_MAP) ? sl_value_get_str(value, "error") : sl_value_none();
    if (sl_value_is(error, SL_VALUE_MAP)) {
        char code[SL_DIAG_CODE_SIZE];
        (void)snprintf(code, sizeof(code), "%.*s", SL_SLICE_FMT(cli_text(error, "code")));
        cli_fail(args, code, "%.*s", SL_SLICE_FMT(cli_text(error, "message")));
    }
    sl_value_unref(value);
    return 0;
}

int cli_control_lines(struct cli_args *args, const char *path,
                      int (*line)(void *ctx, struct sl_slice text), void *ctx)
{
    struct sl_admin_path socket_path;
    sl_assert(line != NULL);
    int r = control_path(args, &socket_path);
    if (r < 0) return r;
    struct stream stream = {.fd = control_connect(socket_path.text)};
    r = stream.fd < 0 ? stream.fd : control_send(stream.fd, "GET", path, "1.0");
    if (r == 0) r = stream_head(&stream);
    if (r < 0) {
        print_unreachable(args, socket_path.text, r);
    } else if (stream.status == 200) {
        r = line(ctx, (struct sl_slice){NULL, 0});
        if (r == 0) r = stream_lines(&stream, line, ctx);
    } else {
        (void)stream_lines(&stream, print_refusal, args);
        r = -EPROTO;
    }
    if (stream.fd >= 0) (void)close(stream.fd);
    free(stream.data);
    return r;
}

int cli_control_get(struct cli_args *args, const char *path, struct sl_value *ret_value)
{
    struct cli_answer answer;
    int r = cli_control_ask(args, "GET", path, false, &answer);
    if (r < 0) return r;
    if (answer.status != 200) {
        cli_fail(args, "refused", "the runtime answered %s with %d", path, answer.status);
        r = -EPROTO;
    } else {
        r = sl_json_parse(sl_slice_make(answer.body, answer.size), NULL, NULL, 0, ret_value, NULL);
        if (r < 0) cli_fail(args, "bad_answer", "the runtime's answer to %s is no JSON", path);
    }
    cli_control_fini(&answer);
    return r;
}

uint64_t cli_uint(struct sl_value map, const char *key)
{
    struct sl_value value = sl_value_get_str(map, key);
    bool is_whole = sl_value_is(value, SL_VALUE_INT) || sl_value_is(value, SL_VALUE_UINT);
    return is_whole ? value.cell->word : 0;
}

struct sl_slice cli_text(struct sl_value map, const char *key)
{
    struct sl_value value = sl_value_get_str(map, key);
    return sl_value_is(value, SL_VALUE_STRING) ? sl_value_slice(value) : SL_SLICE("");
}
