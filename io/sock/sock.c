/* SPDX-License-Identifier: MIT */
#include "io/sock/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "core/base/limit.h"

static int option_set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static bool addr_is_ip(const struct sl_addr *addr)
{
    return addr->storage.ss_family == AF_INET || addr->storage.ss_family == AF_INET6;
}

int sl_sock_new(const struct sl_addr *addr)
{
    sl_assert(addr != NULL);
    sl_assert(addr->size > 0);
    int fd = socket(addr->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    /* Small replies must not wait for the peer's delayed acknowledgement. */
    if (addr_is_ip(addr)) (void)option_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    return fd;
}

static int listen_options(int fd, const struct sl_addr *addr, bool shared)
{
    if (!addr_is_ip(addr)) return 0;
    int r = option_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (r == 0 && shared) r = option_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (r == 0 && addr->storage.ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, &addr->storage, sizeof(in6));
        bool is_any = IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr);
        r = option_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, is_any ? 0 : 1);
    }
    return r;
}

/* Remove a socket file that a dead process left behind; one that answers stays. */
static void unix_remove_stale(const struct sl_addr *addr)
{
    struct sockaddr_un un;
    struct stat st;
    memcpy(&un, &addr->storage, sizeof(un));
    if (un.sun_path[0] == 0) return;
    if (lstat(un.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)) return;
    int fd = sl_sock_new(addr);
    if (fd < 0) return;
    if (connect(fd, (const struct sockaddr *)&un, addr->size) < 0 && errno == ECONNREFUSED) {
        (void)unlink(un.sun_path);
    }
    (void)close(fd);
}

int sl_sock_listen(const struct sl_addr *addr, bool shared, uint32_t backlog)
{
    sl_assert(addr != NULL);
    if (backlog == 0) backlog = SL_SOCK_BACKLOG;
    if (backlog > INT32_MAX) backlog = INT32_MAX;
    if (addr->storage.ss_family == AF_UNIX) unix_remove_stale(addr);
    int fd = sl_sock_new(addr);
    if (fd < 0) return fd;
    int r = listen_options(fd, addr, shared);
    if (r == 0 && bind(fd, (const struct sockaddr *)&addr->storage, addr->size) < 0) r = -errno;
    if (r == 0 && listen(fd, (int)backlog) < 0) r = -errno;
    if (r == 0) return fd;
    (void)close(fd);
    return r;
}

int sl_sock_wait_free(const struct sl_addr *addr, uint32_t timeout_ms)
{
    sl_assert(addr != NULL);
    if (addr_is_ip(addr) && sl_addr_port(addr) == 0) return 0;
    for (uint32_t ms = 0;; ms++) {
        /* Not shared: this one joins no group, so it fails as long as there is any. */
        int fd = sl_sock_listen(addr, false, 1);
        if (fd >= 0) {
            (void)close(fd);
            return 0;
        }
        if (fd != -EADDRINUSE || ms >= timeout_ms) return fd;
        const struct timespec pause = {.tv_nsec = 1000000};
        (void)nanosleep(&pause, NULL);
    }
}

int sl_sock_adopt(int fd)
{
    int listening = 0;
    socklen_t size = sizeof(listening);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0) return -errno;
    if (listening == 0) return -EINVAL;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return -errno;
    return fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int sl_sock_local(int fd, struct sl_addr *ret_addr)
{
    sl_assert(ret_addr != NULL);
    struct sl_addr addr = {.size = sizeof(addr.storage)};
    if (getsockname(fd, (struct sockaddr *)&addr.storage, &addr.size) < 0) return -errno;
    *ret_addr = addr;
    return 0;
}

int sl_sock_peer(int fd, struct sl_addr *ret_addr)
{
    sl_assert(ret_addr != NULL);
    struct sl_addr addr = {.size = sizeof(addr.storage)};
    if (getpeername(fd, (struct sockaddr *)&addr.storage, &addr.size) < 0) return -errno;
    *ret_addr = addr;
    return 0;
}

bool sl_sock_accept_may_retry(int error, bool *ret_pause)
{
    sl_assert(error > 0);
    sl_assert(ret_pause != NULL);
    switch (error) {
    case EMFILE: /* the process, */
    case ENFILE: /* the system, */
    case ENOMEM:
    case ENOBUFS: /* or the kernel has no more of something */ *ret_pause = true; return true;
    case EAGAIN:
    case EINTR:
    case ECONNABORTED:
    case EPERM: /* a firewall's word: accept(2) */
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT: /* errors of the new connection that Linux passes on */
        *ret_pause = false;
        return true;
    default: return false;
    }
}

static bool is_power_of_two_to(uint32_t value, uint32_t max)
{
    return value > 0 && value <= max && (value & (value - 1)) == 0;
}

int sl_poller_config_complete(const struct sl_poller_config *config,
                              struct sl_poller_config *ret_config, struct sl_diag *reterr)
{
    sl_assert(ret_config != NULL);
    struct sl_poller_config cfg = {0};
    const struct sl_pos pos = {0};
    if (config != NULL) cfg = *config;
    if (cfg.entries == 0) cfg.entries = 1024;
    if (cfg.bufs_count == 0) cfg.bufs_count = 256;
    if (cfg.buf_size == 0) cfg.buf_size = 16384;
    if (cfg.backlog == 0) cfg.backlog = SL_SOCK_BACKLOG;
    if (!is_power_of_two_to(cfg.entries, SL_POLLER_ENTRIES_MAX)) {
        return sl_diag_set(reterr, "bad_poller_entries", pos,
                           "poller entries %u: expected a power of two up to %d", cfg.entries,
                           SL_POLLER_ENTRIES_MAX);
    }
    if (!is_power_of_two_to(cfg.bufs_count, SL_POLLER_BUFS_MAX)) {
        return sl_diag_set(reterr, "bad_poller_bufs", pos,
                           "poller buffers %u: expected a power of two up to %d", cfg.bufs_count,
                           SL_POLLER_BUFS_MAX);
    }
    if (cfg.buf_size > SL_POLLER_BUF_SIZE_MAX) {
        return sl_diag_set(reterr, "bad_poller_buf_size", pos,
                           "poller buffer size %u: expected at most %d bytes", cfg.buf_size,
                           SL_POLLER_BUF_SIZE_MAX);
    }
    if (cfg.batch > SL_POLLER_BATCH_MAX) {
        return sl_diag_set(reterr, "bad_poller_batch", pos,
                           "poller batch %u: expected at most %d completions", cfg.batch,
                           SL_POLLER_BATCH_MAX);
    }
    if (cfg.spin_us > SL_POLLER_SPIN_US_MAX || cfg.backlog > SL_POLLER_BACKLOG_MAX) {
        return sl_diag_set(reterr, "bad_poller_config", pos,
                           "poller spin %u µs, backlog %u: expected at most %d µs and %d",
                           cfg.spin_us, cfg.backlog, SL_POLLER_SPIN_US_MAX, SL_POLLER_BACKLOG_MAX);
    }
    *ret_config = cfg;
    return 0;
}
