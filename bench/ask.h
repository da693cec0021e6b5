/* SPDX-License-Identifier: MIT */
/*
 * One request and its reply, waiting: for looking at a server before and after it is measured. What
 * measures is bench/load.h.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* The body of a reply: text with a zero behind it, cut to `cap - 1` bytes. */
struct sl_ask_body {
    char *text; /* `cap` bytes of the caller; NULL: the body is not kept */
    size_t cap;
    size_t size; /* filled: bytes kept */
};

/* A connection whose reads give up after some seconds; the caller closes. A descriptor or -errno. */
int sl_ask_connect(const struct sockaddr *addr, socklen_t size);

/*
 * Send `request` in its wire form and wait for the whole reply. The connection may be used again if
 * the server keeps it.
 *
 * returns  the status; -EPIPE when the server closes or is silent; -EPROTO; -ENOMEM
 */
int sl_ask(int fd, const void *request, size_t request_size, struct sl_ask_body *body);
