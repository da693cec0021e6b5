/* SPDX-License-Identifier: MIT */
/* Making, entering and freeing a ring; see uring.h. */
#include "bench/uring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "core/base/clock.h"

static_assert((MSG_WAITALL | MSG_NOSIGNAL) == (0x100 | 0x4000), "uring.h spells these flags");

static int ring_setup(uint32_t entries, struct io_uring_params *params)
{
    memset(params, 0, sizeof(*params));
    params->flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                    IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL;
    params->cq_entries = entries * 8;
    int fd = (int)syscall(SYS_io_uring_setup, entries, params);
    return fd < 0 ? -errno : fd;
}

static int ring_map(struct sl_uring *ring, const struct io_uring_params *params)
{
    size_t sq_size = params->sq_off.array + params->sq_entries * sizeof(uint32_t);
    size_t cq_size = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
    ring->ring_map_size = sq_size > cq_size ? sq_size : cq_size;
    uint8_t *map = mmap(NULL, ring->ring_map_size, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQ_RING);
    if (map == MAP_FAILED) return -errno;
    ring->ring_map = map;
    ring->sqes_map_size = params->sq_entries * sizeof(struct io_uring_sqe);
    void *sqes = mmap(NULL, ring->sqes_map_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                      ring->fd, IORING_OFF_SQES);
    if (sqes == MAP_FAILED) return -errno;
    ring->sqes = sqes;
    ring->cqes = (struct io_uring_cqe *)(void *)(map + params->cq_off.cqes);
    ring->sq_head = (uint32_t *)(void *)(map + params->sq_off.head);
    ring->sq_tail = (uint32_t *)(void *)(map + params->sq_off.tail);
    ring->sq_flags = (uint32_t *)(void *)(map + params->sq_off.flags);
    ring->cq_head = (uint32_t *)(void *)(map + params->cq_off.head);
    ring->cq_tail = (uint32_t *)(void *)(map + params->cq_off.tail);
    ring->cq_overflow = (uint32_t *)(void *)(map + params->cq_off.overflow);
    ring->sq_mask = params->sq_entries - 1;
    ring->cq_mask = params->cq_entries - 1;
    uint32_t *array = (uint32_t *)(void *)(map + params->sq_off.array);
    for (uint32_t i = 0; i < params->sq_entries; i++) array[i] = i;
    return 0;
}

int sl_uring_init(struct sl_uring *ring, uint32_t entries)
{
    sl_assert(ring != NULL);
    sl_assert(entries > 0 && (entries & (entries - 1)) == 0);
    memset(ring, 0, sizeof(*ring));
    ring->fd = -1;
    struct io_uring_params params;
    int fd = ring_setup(entries, &params);
    if (fd < 0) return fd;
    ring->fd = fd;
    if ((params.features & IORING_FEAT_SINGLE_MMAP) == 0 ||
        (params.features & IORING_FEAT_EXT_ARG) == 0) {
        sl_uring_fini(ring);
        return -ENOSYS;
    }
    int err = ring_map(ring, &params);
    if (err < 0) sl_uring_fini(ring);
    return err;
}

void sl_uring_fini(struct sl_uring *ring)
{
    if (ring->sqes != NULL) (void)munmap(ring->sqes, ring->sqes_map_size);
    if (ring->ring_map != NULL) (void)munmap(ring->ring_map, ring->ring_map_size);
    if (ring->fd > 0) (void)close(ring->fd);
    memset(ring, 0, sizeof(*ring));
    ring->fd = -1;
}

int sl_uring_bufs_init(struct sl_uring *ring, struct sl_uring_bufs *bufs, uint32_t count,
                       uint32_t size)
{
    sl_assert(count > 0 && (count & (count - 1)) == 0 && count <= 32768);
    memset(bufs, 0, sizeof(*bufs));
    bufs->count = count;
    bufs->size = size;
    void *map = mmap(NULL, count * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (map == MAP_FAILED) return -errno;
    bufs->ring = map;
    map = mmap(NULL, (size_t)count * size, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (map == MAP_FAILED) {
        int err = -errno;
        sl_uring_bufs_fini(bufs);
        return err;
    }
    bufs->data = map;
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)bufs->ring, .ring_entries = count, .bgid = 0};
    if (syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_PBUF_RING, &reg, 1) < 0) {
        int err = -errno;
        sl_uring_bufs_fini(bufs);
        return err;
    }
    for (uint32_t i = 0; i < count; i++) sl_uring_buf_put(bufs, i << IORING_CQE_BUFFER_SHIFT);
    return 0;
}

void sl_uring_bufs_fini(struct sl_uring_bufs *bufs)
{
    if (bufs->ring != NULL) (void)munmap(bufs->ring, bufs->count * sizeof(struct io_uring_buf));
    if (bufs->data != NULL) (void)munmap(bufs->data, (size_t)bufs->count * bufs->size);
    memset(bufs, 0, sizeof(*bufs));
}

struct io_uring_sqe *sl_uring_sqe(struct sl_uring *ring)
{
    if (ring->sqe_tail - ring->sqe_sent > ring->sq_mask) (void)sl_uring_enter(ring, 0, 0);
    sl_assert(ring->sqe_tail - ring->sqe_sent <= ring->sq_mask);
    struct io_uring_sqe *sqe = &ring->sqes[ring->sqe_tail & ring->sq_mask];
    ring->sqe_tail++;
    memset(sqe, 0, sizeof(*sqe));
    return sqe;
}

int sl_uring_enter(struct sl_uring *ring, uint32_t wait_count, uint64_t timeout_ns)
{
    struct __kernel_timespec ts = {.tv_sec = (long long)(timeout_ns / SL_NS_PER_SEC),
                                   .tv_nsec = (long long)(timeout_ns % SL_NS_PER_SEC)};
    struct io_uring_getevents_arg arg = {
        .ts = wait_count > 0 && timeout_ns != UINT64_MAX ? (uintptr_t)&ts : 0};
    /* Release pairs with the kernel's acquire of the tail: the entries are written before it. */
    __atomic_store_n(ring->sq_tail, ring->sqe_tail, __ATOMIC_RELEASE);
    uint32_t submit = ring->sqe_tail - ring->sqe_sent;
    long res = syscall(SYS_io_uring_enter, ring->fd, submit, wait_count,
                       IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg));
    int err = res < 0 ? -errno : 0;
    ring->sqe_sent = __atomic_load_n(ring->sq_head, __ATOMIC_ACQUIRE);
    bool harmless = err == -ETIME || err == -EINTR || err == -EBUSY || err == -EAGAIN;
    return harmless ? 0 : err;
}
