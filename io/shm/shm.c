/* SPDX-License-Identifier: MIT */
#include "io/shm/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "core/base/clock.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

enum {
    POPULATE_PART = 32 * 1024,
    FD_MEMORY = 0,
    FD_BELLS = 1, /* + side */
    BELL_STEP = 32,
    SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
};

/* What travels beside the descriptors. */
struct greeting {
    uint32_t magic;
    uint16_t version;
    uint16_t pad;
};

static int failed(struct sl_diag *reterr, int error, const char *what)
{
    (void)sl_diag_set(reterr, "shm_failed", (struct sl_pos){0}, "shared memory: %s: %s", what,
                      strerror(-error));
    return error;
}

static void fds_close(int fds[SL_SHM_FDS])
{
    for (int i = 0; i < SL_SHM_FDS; i++) {
        if (fds[i] >= 0) (void)close(fds[i]);
        fds[i] = -1;
    }
}

static uint64_t round_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) / to * to;
}

static struct sl_shm_head layout(const struct sl_shm_config *config)
{
    size_t data_size = config->ring_size != 0 ? config->ring_size : SL_RING_SIZE;
    struct sl_shm_head head = {.magic = SL_SHM_MAGIC, .version = SL_SHM_VERSION};
    head.wake[SL_SHM_CREATOR] = (uint16_t)config->creator_wake;
    head.wake[SL_SHM_PEER] = (uint16_t)config->peer_wake;
    head.ring_size = round_up(sl_ring_block_size(data_size, config->slab_size), SL_SHM_HEAD_SIZE);
    head.ring_off[SL_SHM_PEER] = SL_SHM_HEAD_SIZE;
    head.ring_off[SL_SHM_CREATOR] = SL_SHM_HEAD_SIZE + head.ring_size;
    head.total_size = SL_SHM_HEAD_SIZE + 2 * head.ring_size;
    return head;
}

static int memory_new(uint64_t size)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = memfd_create("sluice-channel", flags | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) fd = memfd_create("sluice-channel", flags);
    if (fd < 0) return -errno;
    int r = ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
    if (r == 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0) r = -errno;
    if (r == 0) return fd;
    (void)close(fd);
    return r;
}

static int map_memory(struct sl_shm *shm, uint64_t size)
{
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, shm->fds[FD_MEMORY], 0);
    if (map == MAP_FAILED) return -errno;
    shm->head = map;
    shm->map_size = size;
    return 0;
}

/* Both rings of a mapped channel. `head` is the checked copy. */
static int rings_attach(struct sl_shm *shm, const struct sl_shm_head *head, bool hostile)
{
    enum sl_shm_side other = shm->side == SL_SHM_CREATOR ? SL_SHM_PEER : SL_SHM_CREATOR;
    uint8_t *base = (uint8_t *)shm->head;
    shm->own_wake = head->wake[shm->side] == SL_SHM_FUTEX ? SL_SHM_FUTEX : SL_SHM_EVENTFD;
    shm->other_wake = head->wake[other] == SL_SHM_FUTEX ? SL_SHM_FUTEX : SL_SHM_EVENTFD;
    int r = sl_ring_producer_attach(&shm->producer, base + head->ring_off[other], head->ring_size,
                                    hostile);
    if (r < 0) return r;
    return sl_ring_consumer_attach(&shm->consumer, base + head->ring_off[shm->side],
                                   head->ring_size, hostile);
}

/*
 * All but the slabs is there from the beginning: who faults a page in holds it locked meanwhile, and
 * a peer that hardly runs must not make us wait for that. It is a wish (Linux 5.14). A page takes
 * microseconds, and the thread may share its processor with a shard: so not all at once.
 */
static void rings_populate(const struct sl_shm *shm, const struct sl_shm_head *head)
{
    for (int side = 0; side < 2; side++) {
        uint8_t *ring = (uint8_t *)shm->head + head->ring_off[side];
        uint64_t size = ((const struct sl_ring_head *)(const void *)ring)->slab_off;
        if (size == 0) size = head->ring_size;
        for (uint64_t done = 0; done < size; done += POPULATE_PART) {
            uint64_t part = size - done < POPULATE_PART ? size - done : POPULATE_PART;
            (void)madvise(ring + done, part, MADV_POPULATE_WRITE);
            (void)sched_yield();
        }
    }
}

int sl_shm_init(struct sl_shm *shm, const struct sl_shm_config *config, struct sl_diag *reterr)
{
    sl_assert(shm != NULL);
    sl_assert(config != NULL);
    if (config->ring_size > SL_RING_SIZE_MAX || config->slab_size > SL_RING_SLAB_SIZE_MAX)
        return failed(reterr, -EINVAL, "size");
    struct sl_shm_head head = layout(config);
    *shm = (struct sl_shm){.side = SL_SHM_CREATOR, .fds = {-1, -1, -1}};
    shm->fds[FD_MEMORY] = memory_new(head.total_size);
    if (shm->fds[FD_MEMORY] < 0) return failed(reterr, shm->fds[FD_MEMORY], "memfd");
    int r = 0;
    for (int i = FD_BELLS; i < SL_SHM_FDS; i++) {
        shm->fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (shm->fds[i] < 0) r = -errno;
    }
    if (r == 0) r = map_memory(shm, head.total_size);
    if (r == 0) {
        *shm->head = head;
        for (int side = 0; side < 2; side++) {
            sl_ring_format((uint8_t *)shm->head + head.ring_off[side],
                           config->ring_size != 0 ? config->ring_size : SL_RING_SIZE,
                           config->slab_size);
        }
        rings_populate(shm, &head);
        r = rings_attach(shm, &head, config->hostile);
    }
    if (r == 0) return 0;
    sl_shm_fini(shm);
    return failed(reterr, r, "channel");
}

/* Check the file before mapping it, and a copy of its head before believing it. */
static int peer_map(struct sl_shm *shm, struct sl_shm_head *ret_head)
{
    struct stat st;
    if (fstat(shm->fds[FD_MEMORY], &st) < 0) return -errno;
    int seals = fcntl(shm->fds[FD_MEMORY], F_GET_SEALS);
    /* Without the seal the other side could cut the file and our next read would be SIGBUS. */
    if (seals < 0 || !(seals & F_SEAL_SHRINK)) return -EINVAL;
    if (st.st_size < SL_SHM_HEAD_SIZE || st.st_size > INT64_MAX / 2) return -EINVAL;
    int r = map_memory(shm, (uint64_t)st.st_size);
    if (r < 0) return r;
    struct sl_shm_head head;
    memcpy(&head, shm->head, offsetof(struct sl_shm_head, pad1));
    uint64_t size = head.ring_size;
    if (head.magic != SL_SHM_MAGIC || head.version != SL_SHM_VERSION) return -EINVAL;
    if (head.total_size != (uint64_t)st.st_size) return -EINVAL;
    if (size % SL_SHM_HEAD_SIZE != 0 || size > (uint64_t)st.st_size / 2) return -EINVAL;
    if (head.total_size != SL_SHM_HEAD_SIZE + 2 * size) return -EINVAL;
    if (head.ring_off[SL_SHM_PEER] != SL_SHM_HEAD_SIZE) return -EINVAL;
    if (head.ring_off[SL_SHM_CREATOR] != SL_SHM_HEAD_SIZE + size) return -EINVAL;
    *ret_head = head;
    return 0;
}

int sl_shm_attach(struct sl_shm *shm, const int fds[SL_SHM_FDS], bool hostile,
                  struct sl_diag *reterr)
{
    sl_assert(shm != NULL);
    *shm = (struct sl_shm){.side = SL_SHM_PEER};
    memcpy(shm->fds, fds, sizeof(shm->fds));
    int r = 0;
    for (int i = 0; i < SL_SHM_FDS; i++) {
        int flags = fcntl(fds[i], F_GETFL);
        if (flags < 0) r = -errno;
        /* Ringing must never block, whatever was passed as a bell. */
        if (i >= FD_BELLS && r == 0 && fcntl(fds[i], F_SETFL, flags | O_NONBLOCK) < 0) r = -errno;
        if (r == 0 && fcntl(fds[i], F_SETFD, FD_CLOEXEC) < 0) r = -errno;
    }
    struct sl_shm_head head = {0};
    if (r == 0) r = peer_map(shm, &head);
    if (r == 0) r = rings_attach(shm, &head, hostile);
    if (r == 0) return 0;
    fds_close(shm->fds);
    sl_shm_fini(shm);
    return failed(reterr, r, "not a channel that this version can attach to");
}

void sl_shm_fini(struct sl_shm *shm)
{
    sl_assert(shm != NULL);
    if (shm->head != NULL) (void)munmap(shm->head, shm->map_size);
    if (shm->head != NULL || shm->fds[FD_MEMORY] > 0) fds_close(shm->fds); /* not if all zero */
    *shm = (struct sl_shm){.fds = {-1, -1, -1}};
}

/* Passing it on. */

int sl_shm_send(const struct sl_shm *shm, int socket_fd)
{
    sl_assert(shm->head != NULL);
    struct greeting greeting = {.magic = SL_SHM_MAGIC, .version = SL_SHM_VERSION};
    struct iovec iov = {&greeting, sizeof(greeting)};
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(shm->fds))] = {0};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control,
                         .msg_controllen = sizeof(control)};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(shm->fds));
    memcpy(CMSG_DATA(cmsg), shm->fds, sizeof(shm->fds));
    ssize_t size;
    do {
        size = sendmsg(socket_fd, &msg, MSG_NOSIGNAL);
    } while (size < 0 && errno == EINTR);
    if (size < 0) return -errno;
    return size == sizeof(greeting) ? 0 : -EIO;
}

/* Take the descriptors out of a message; closes them all if they are not as many as expected. */
static int fds_take(struct msghdr *msg, int ret_fds[SL_SHM_FDS])
{
    int count = 0;
    int fds[SL_SHM_FDS] = {-1, -1, -1};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        size_t got = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < got; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (count < SL_SHM_FDS) {
                fds[count] = fd;
            } else {
                (void)close(fd);
            }
            count++;
        }
    }
    if (count != SL_SHM_FDS || (msg->msg_flags & MSG_CTRUNC)) {
        fds_close(fds);
        return -EINVAL;
    }
    memcpy(ret_fds, fds, sizeof(fds));
    return 0;
}

int sl_shm_recv(struct sl_shm *shm, int socket_fd, bool hostile, struct sl_diag *reterr)
{
    sl_assert(shm != NULL);
    struct greeting greeting = {0};
    struct iovec iov = {&greeting, sizeof(greeting)};
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(shm->fds))];
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control,
                         .msg_controllen = sizeof(control)};
    ssize_t size;
    int fds[SL_SHM_FDS];
    *shm = (struct sl_shm){.fds = {-1, -1, -1}};
    do {
        size = recvmsg(socket_fd, &msg, MSG_CMSG_CLOEXEC);
    } while (size < 0 && errno == EINTR);
    if (size < 0) return failed(reterr, -errno, "recvmsg");
    int r = fds_take(&msg, fds);
    if (r < 0) return failed(reterr, r, "message without its descriptors");
    if (size != sizeof(greeting) || greeting.magic != SL_SHM_MAGIC ||
        greeting.version != SL_SHM_VERSION) {
        fds_close(fds);
        return failed(reterr, -EINVAL, "greeting");
    }
    return sl_shm_attach(shm, fds, hostile, reterr);
}

int sl_shm_inherit(const struct sl_shm *shm)
{
    for (int i = 0; i < SL_SHM_FDS; i++) {
        if (fcntl(shm->fds[i], F_SETFD, 0) < 0) return -errno;
    }
    return 0;
}

/* Waking and sleeping. */

static _Atomic uint32_t *bell_of(struct sl_shm *shm, enum sl_shm_side side)
{
    return &shm->head->bell[side * BELL_STEP];
}

static void ring_other(struct sl_shm *shm)
{
    enum sl_shm_side other = shm->side == SL_SHM_CREATOR ? SL_SHM_PEER : SL_SHM_CREATOR;
    _Atomic uint32_t *bell = bell_of(shm, other);
    (void)atomic_fetch_add_explicit(bell, 1, memory_order_seq_cst);
    if (shm->other_wake == SL_SHM_FUTEX) {
        (void)syscall(SYS_futex, bell, FUTEX_WAKE, 1, NULL, NULL, 0);
    } else {
        (void)eventfd_write(shm->fds[FD_BELLS + other], 1);
    }
}

void sl_shm_publish(struct sl_shm *shm)
{
    if (sl_ring_publish(&shm->producer)) ring_other(shm);
}

void sl_shm_release(struct sl_shm *shm)
{
    if (sl_ring_release(&shm->consumer)) ring_other(shm);
}

void sl_shm_slab_return(struct sl_shm *shm, const uint8_t *data)
{
    if (sl_ring_slab_return(&shm->consumer, data)) ring_other(shm);
}

bool sl_shm_arm(struct sl_shm *shm, bool for_room)
{
    if (!sl_ring_consumer_announce(&shm->consumer)) return false;
    if (!for_room || sl_ring_producer_announce(&shm->producer)) return true;
    sl_ring_consumer_rise(&shm->consumer);
    return false;
}

void sl_shm_disarm(struct sl_shm *shm)
{
    eventfd_t count;
    sl_ring_consumer_rise(&shm->consumer);
    if (shm->own_wake == SL_SHM_EVENTFD) (void)eventfd_read(sl_shm_bell_fd(shm), &count);
}

int sl_shm_bell_fd(const struct sl_shm *shm)
{
    return shm->fds[FD_BELLS + shm->side];
}

static int sleep_futex(_Atomic uint32_t *bell, uint32_t seen, const struct timespec *timeout)
{
    long r = syscall(SYS_futex, bell, FUTEX_WAIT, seen, timeout, NULL, 0);
    return r == 0 || errno == EAGAIN;
}

static int sleep_eventfd(int fd, const struct timespec *timeout)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    return ppoll(&wait, 1, timeout, NULL) > 0;
}

int sl_shm_wait(struct sl_shm *shm, bool for_room, uint64_t timeout_ns)
{
    _Atomic uint32_t *bell = bell_of(shm, shm->side);
    uint32_t seen = atomic_load_explicit(bell, memory_order_seq_cst);
    if (!sl_shm_arm(shm, for_room)) return 1;
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / SL_NS_PER_SEC),
                               .tv_nsec = (long)(timeout_ns % SL_NS_PER_SEC)};
    const struct timespec *limit = timeout_ns == UINT64_MAX ? NULL : &timeout;
    int rung = shm->own_wake == SL_SHM_FUTEX ? sleep_futex(bell, seen, limit)
                                             : sleep_eventfd(sl_shm_bell_fd(shm), limit);
    sl_shm_disarm(shm);
    return rung != 0;
}
