/* SPDX-License-Identifier: MIT */
#include "tests/flows/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/flows/harness.h"

static void load_send(struct flow_load *load, struct flow_load_conn *conn)
{
    char head[256];
    int size = snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", load->path);
    conn->used = 0;
    if (!flow_send(conn->fd, head, (size_t)size)) atomic_fetch_add(&load->closed, 1);
}

static void load_failed(struct flow_load *load, const struct flow_load_conn *conn)
{
    if (atomic_fetch_add(&load->failed, 1) == 0) {
        (void)snprintf(load->first_error, sizeof(load->first_error), "%.500s", conn->buf);
    }
}

/* One reply, if it is whole: then the next request. */
static void load_reply(struct flow_load *load, struct flow_load_conn *conn)
{
    conn->buf[conn->used] = '\0';
    char *end = strstr(conn->buf, "\r\n\r\n");
    if (end == NULL) return;
    char *length = strstr(conn->buf, "Content-Length: ");
    size_t size = length != NULL && length < end ? strtoul(length + 16, NULL, 10) : 0;
    size_t head = (size_t)(end + 4 - conn->buf);
    if (conn->used < head + size) return;
    bool good = conn->used == head + size && strncmp(conn->buf, "HTTP/1.1 200 ", 13) == 0 &&
                strstr(conn->buf, "Connection: close") == NULL && load->check(end + 4, size);
    if (!good) load_failed(load, conn);
    uint64_t done = atomic_fetch_add(&load->replies, 1) + 1;
    if (load->requests > 0 && done >= load->requests) {
        atomic_store(&load->stop, true);
        return;
    }
    load_send(load, conn);
}

static void load_event(struct flow_load *load, int poll, struct flow_load_conn *conn)
{
    ssize_t n = recv(conn->fd, conn->buf + conn->used, sizeof(conn->buf) - conn->used - 1, 0);
    if (n <= 0) {
        atomic_fetch_add(&load->closed, 1);
        (void)epoll_ctl(poll, EPOLL_CTL_DEL, conn->fd, NULL);
        return;
    }
    conn->used += (size_t)n;
    load_reply(load, conn);
}

static void *load_run(void *arg)
{
    struct flow_load *load = arg;
    struct epoll_event events[FLOW_LOAD_CONNS_MAX];
    int poll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < load->count; i++) {
        struct flow_load_conn *conn = &load->conns[i];
        conn->fd = flow_connect(load->port);
        if (conn->fd < 0) {
            atomic_fetch_add(&load->refused, 1);
            continue;
        }
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
        (void)epoll_ctl(poll, EPOLL_CTL_ADD, conn->fd, &event);
        load_send(load, conn);
    }
    while (!atomic_load(&load->stop)) {
        int count = epoll_wait(poll, events, FLOW_LOAD_CONNS_MAX, 100);
        for (int i = 0; i < count; i++) load_event(load, poll, events[i].data.ptr);
    }
    for (int i = 0; i < load->count; i++) {
        if (load->conns[i].fd >= 0) (void)close(load->conns[i].fd);
    }
    (void)close(poll);
    return NULL;
}

void flow_load_start(struct flow_load *load)
{
    assert_in_range(load->count, 1, FLOW_LOAD_CONNS_MAX);
    assert_int_equal(pthread_create(&load->thread, NULL, load_run, load), 0);
}

void flow_load_stop(struct flow_load *load)
{
    if (load->requests == 0) atomic_store(&load->stop, true);
    (void)pthread_join(load->thread, NULL);
}
