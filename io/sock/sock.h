/* SPDX-License-Identifier: MIT */
/*
 * Sockets before a poller takes them: addresses as text, listening sockets, options.
 * Nothing here blocks, resolves names or keeps state.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/diag.h"
#include "core/base/slice.h"
#include "core/shard/poller.h"

enum {
    SL_ADDR_TEXT_SIZE = 128, /* holds every formatted address with its zero byte */
    SL_SOCK_BACKLOG = 4096,  /* default of listen(2); the kernel cuts it to net.core.somaxconn */
};

/*
 * Read an address:
 *
 *     127.0.0.1:8000   [::1]:8000   :8000 (127.0.0.1)   *:8000 ([::], both families)
 *     localhost:8000 (127.0.0.1)   unix:/run/x.sock   unix:@abstract
 *
 * returns  0; -EINVAL with `reterr` (may be NULL) saying what was expected
 */
int sl_addr_parse(struct sl_slice text, struct sl_addr *ret_addr, struct sl_diag *reterr);

/*
 * Make an address of a host as it stands in a specification (without brackets; "" and "localhost"
 * mean 127.0.0.1, "*" means every address) and a port in host order. 0 or -EINVAL.
 */
int sl_addr_make(struct sl_slice host, uint16_t port, struct sl_addr *ret_addr,
                 struct sl_diag *reterr);

/*
 * Write the address as text that sl_addr_parse reads; always terminated.
 * returns  bytes without the zero byte
 */
size_t sl_addr_format(const struct sl_addr *addr, char *buf, size_t buf_size);

/* Same family, address and port (or path). */
bool sl_addr_eq(const struct sl_addr *a, const struct sl_addr *b);

/* Port in host order; 0 for unix sockets. */
uint16_t sl_addr_port(const struct sl_addr *addr);

/*
 * Open a listening stream socket: CLOEXEC, NONBLOCK, REUSEADDR, TCP_NODELAY (connections inherit
 * it: tcp(7)); with `shared` SO_REUSEPORT; [::] takes both families. A unix socket path that
 * exists but where nobody listens any more is removed first.
 *
 * backlog  of listen(2); 0: SL_SOCK_BACKLOG
 * returns  descriptor, owned by the caller, or -errno
 */
int sl_sock_listen(const struct sl_addr *addr, bool shared, uint32_t backlog);

/*
 * Wait until nobody listens on an address, at most `timeout_ms`. Control thread, before the first
 * listen on it: the sockets of a process that died with an io_uring open live on for 4 to 8 ms (the
 * kernel takes the ring down behind its back), and with `shared` a new socket would quietly join
 * them and lose connections.
 *
 * returns  0; -EADDRINUSE: somebody still listens; another -errno of bind(2)
 */
int sl_sock_wait_free(const struct sl_addr *addr, uint32_t timeout_ms);

/* Check that `fd` is a listening stream socket and make it non-blocking. 0 or -errno. */
int sl_sock_adopt(int fd);

/* A new stream socket to connect to `addr`: CLOEXEC, NONBLOCK, TCP_NODELAY. Descriptor or -errno. */
int sl_sock_new(const struct sl_addr *addr);

/* getsockname(2) and getpeername(2). 0 or -errno. */
int sl_sock_local(int fd, struct sl_addr *ret_addr);
int sl_sock_peer(int fd, struct sl_addr *ret_addr);

/*
 * True if this error of accept(2) says nothing about the listening socket: it hit one connection
 * or will pass. `ret_pause` is set if it makes no sense to try again at once.
 */
bool sl_sock_accept_may_retry(int error, bool *ret_pause);

/*
 * Copy a poller's configuration with its zeroes replaced by the defaults.
 *
 * config   may be NULL: all defaults
 * returns  0; -EINVAL with `reterr` (may be NULL) for what is no power of two or beyond its limit
 */
int sl_poller_config_complete(const struct sl_poller_config *config,
                              struct sl_poller_config *ret_config, struct sl_diag *reterr);
