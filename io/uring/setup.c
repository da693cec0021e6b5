/* SPDX-License-Identifier: MIT */
#include "io/uring/setup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/limit.h"

enum {
    CQ_FACTOR = 8,       /* completion slots for each submission slot: multishot outruns 1:1 */
    ENTRIES_MIN = 64,    /* below that we do not shrink for want of memory */
    NOMEM_TRIES = 4,     /* some kernels before 6.14 return a passing ENOMEM */
    SHARE = 8,           /* one socket gets a part in so many of the buffers at once */
    BUF_COLOUR = 5 * 64, /* bytes between buffers; odd count of cache lines */
    FEATURES = IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_FAST_POLL |
               IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP,
};

static int refused(struct sl_diag *reterr, int error, const char *text, const char *hint)
{
    (void)sl_diag_set(reterr, "io_uring_refused", (struct sl_pos){0}, "%s", text);
    if (hint != NULL) sl_diag_hint(reterr, "%s", hint);
    return error;
}

/* Why io_uring_setup(2) said no, in words that lead somewhere. */
static int refused_setup(struct sl_diag *reterr, int error)
{
    if (error == -ENOSYS) {
        return refused(reterr, error, "io_uring_setup is not there (ENOSYS)",
                       "the kernel was built without io_uring, or a sandbox hides it");
    }
    if (error == -EPERM) {
        char value = 0;
        FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");
        if (file != NULL && fread(&value, 1, 1, file) != 1) value = 0;
        if (file != NULL) (void)fclose(file);
        if (value == '1' || value == '2') {
            return refused(reterr, error, "io_uring is switched off on this machine (EPERM)",
                           "sysctl kernel.io_uring_disabled=0 switches it on");
        }
        return refused(reterr, error, "io_uring_setup is forbidden (EPERM)",
                       "a seccomp profile, as containers have by default, or an LSM denies it");
    }
    char text[96];
    (void)snprintf(text, sizeof(text), "io_uring_setup failed: %s", strerror(-error));
    return refused(reterr, error, text, NULL);
}

static int setup_once(struct io_uring_params *params, uint32_t entries, uint32_t flags)
{
    int fd = -ENOMEM;
    for (int i = 0; i < NOMEM_TRIES && fd == -ENOMEM; i++) {
        *params = (struct io_uring_params){
            .flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
            .cq_entries = entries * CQ_FACTOR,
        };
        fd = (int)syscall(__NR_io_uring_setup, entries, params);
        if (fd < 0) fd = -errno;
    }
    return fd;
}

/* From the best combination of flags to the plainest; the first that is accepted. */
static int setup_ring(struct io_uring_params *params, const struct sl_poller_config *config)
{
    const uint32_t defer =
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    const uint32_t coop = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    const uint32_t tries[] = {
        defer | IORING_SETUP_NO_SQARRAY,         /* 6.6 */
        defer,                                   /* 6.1 */
        coop | IORING_SETUP_SINGLE_ISSUER, coop, /* 5.19 */
    };
    int fd = -EINVAL;
    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        uint32_t flags = tries[i];
        if ((config->disable & SL_POLLER_NO_DEFER_TASKRUN) && (flags & IORING_SETUP_DEFER_TASKRUN))
            continue;
        if (config->disable & SL_POLLER_NO_SQARRAY) flags &= ~IORING_SETUP_NO_SQARRAY;
        uint32_t entries = config->entries;
        fd = setup_once(params, entries, flags);
        while (fd == -ENOMEM && entries > ENTRIES_MIN) {
            entries /= 2;
            fd = setup_once(params, entries, flags);
        }
        if (fd != -EINVAL) break;
    }
    return fd;
}

static int map_ring(struct sl_uring_setup *setup, struct io_uring_params *params, int fd)
{
    int r = io_uring_queue_mmap(fd, params, &setup->ring);
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    setup->ring.features = params->features;
    setup->setup_flags = params->flags;
    if (!(params->flags & IORING_SETUP_NO_SQARRAY)) {
        for (uint32_t i = 0; i < setup->ring.sq.ring_entries; i++) setup->ring.sq.array[i] = i;
    }
    /* A child of fork must not see the ring; its memory is the kernel's too (fork(2)). */
    (void)io_uring_ring_dontfork(&setup->ring);
    setup->enter_flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    if (io_uring_register_ring_fd(&setup->ring) == 1) {
        setup->enter_flags |= IORING_ENTER_REGISTERED_RING;
    }
    if (params->features & IORING_FEAT_NO_IOWAIT) setup->enter_flags |= IORING_ENTER_NO_IOWAIT;
    return 0;
}

static bool opcodes_are_supported(struct io_uring *ring)
{
    static const int needed[] = {IORING_OP_ACCEPT,       IORING_OP_RECV,    IORING_OP_SEND,
                                 IORING_OP_SENDMSG,      IORING_OP_CONNECT, IORING_OP_POLL_ADD,
                                 IORING_OP_ASYNC_CANCEL, IORING_OP_NOP,     IORING_OP_SEND_ZC};
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    if (probe == NULL) return false;
    bool all = true;
    /* SEND_ZC is not used: it came with 6.0, as multishot receive did, which has no probe. */
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        if (!io_uring_opcode_supported(probe, needed[i])) all = false;
    }
    io_uring_free_probe(probe);
    return all;
}

static int bufs_init(struct sl_uring_setup *setup, const struct sl_poller_config *config)
{
    struct sl_uring_bufs *bufs = &setup->bufs;
    bufs->count = config->bufs_count;
    bufs->size = config->buf_size;
    bufs->stride = (config->buf_size + 63) / 64 * 64 + BUF_COLOUR;
    size_t ring_size = (bufs->count * sizeof(struct io_uring_buf) + 4095) / 4096 * 4096;
    bufs->map_size = ring_size + (size_t)bufs->count * bufs->stride;
    void *map =
        mmap(NULL, bufs->map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return -errno;
    (void)madvise(map, bufs->map_size, MADV_DONTFORK);
    bufs->ring = map;
    bufs->base = (uint8_t *)map + ring_size;
    for (uint32_t i = 0; i < bufs->count; i++) sl_uring_buf_return(bufs, i);
    struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)map, .ring_entries = bufs->count};
    return io_uring_register_buf_ring(&setup->ring, &reg, 0);
}

/*
 * Send one byte through a socket pair into a multishot receive with a limit of bytes. A kernel
 * that does not know the limit answers EINVAL. Returns 1 yes, 0 no, -errno if receiving does not
 * work at all.
 */
static int probe_capped(struct sl_uring_setup *setup)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return -errno;
    int result = -EIO;
    if (write(pair[1], "x", 1) == 1) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&setup->ring);
        io_uring_prep_recv_multishot(sqe, pair[0], NULL, 0, 0);
        sqe->SL_SQE_OPTLEN = setup->bufs.size;
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->user_data = 1;
        (void)close(pair[1]); /* the second completion is the end of the stream */
        pair[1] = -1;
    }
    for (bool more = pair[1] < 0; more;) {
        int r = sl_uring_setup_enter(setup, sl_uring_setup_flush(setup), 1, SL_NS_PER_SEC);
        struct io_uring_cqe *cqe;
        if (r < 0 && r != -EINTR) break;
        while (io_uring_peek_cqe(&setup->ring, &cqe) == 0) {
            if (cqe->res == 1 && (cqe->flags & IORING_CQE_F_BUFFER)) result = 1;
            if (cqe->res == -EINVAL) result = 0;
            if (cqe->flags & IORING_CQE_F_BUFFER)
                sl_uring_buf_return(&setup->bufs, cqe->flags >> IORING_CQE_BUFFER_SHIFT);
            if (!(cqe->flags & IORING_CQE_F_MORE)) more = false;
            io_uring_cqe_seen(&setup->ring, cqe);
        }
    }
    if (pair[1] >= 0) (void)close(pair[1]);
    (void)close(pair[0]);
    return result;
}

static void summarise(struct sl_uring_setup *setup)
{
    struct utsname name;
    if (uname(&name) < 0) name.release[0] = 0;
    uint32_t flags = setup->setup_flags;
    (void)snprintf(setup->summary, sizeof(setup->summary), "kernel %.40s, %s, %s%s%s", name.release,
                   flags & IORING_SETUP_DEFER_TASKRUN ? "DEFER_TASKRUN" : "COOP_TASKRUN",
                   setup->recv_cap > 0 ? "multishot receive" : "one-shot receive",
                   flags & IORING_SETUP_NO_SQARRAY ? ", no SQ array" : "",
                   setup->enter_flags & IORING_ENTER_REGISTERED_RING ? ", registered ring" : "");
}

int sl_uring_setup_init(struct sl_uring_setup *setup, const struct sl_poller_config *config,
                        struct sl_diag *reterr)
{
    sl_assert(setup != NULL);
    sl_assert(config->bufs_count > 0 && (config->bufs_count & (config->bufs_count - 1)) == 0);
    *setup = (struct sl_uring_setup){.ring.ring_fd = -1};
    struct io_uring_params params;
    int fd = setup_ring(&params, config);
    if (fd < 0) return refused_setup(reterr, fd);
    int r = map_ring(setup, &params, fd);
    if (r < 0) return refused(reterr, r, "the ring's memory could not be mapped", NULL);
    if ((params.features & FEATURES) != FEATURES || !opcodes_are_supported(&setup->ring)) {
        sl_uring_setup_fini(setup);
        return refused(reterr, -EOPNOTSUPP, "this kernel's io_uring is too old", "6.0 or newer");
    }
    r = bufs_init(setup, config);
    if (r < 0) {
        sl_uring_setup_fini(setup);
        return refused(reterr, r, "receive buffers could not be registered",
                       "kernel 5.19 or newer, and memory for poller bufs_count × buf_size");
    }
    int capped = probe_capped(setup);
    if (capped < 0) {
        sl_uring_setup_fini(setup);
        return refused(reterr, capped, "a receive through the ring did not work", NULL);
    }
    if (capped == 1 && !(config->disable & SL_POLLER_NO_MULTISHOT_RECV)) {
        uint32_t share = config->bufs_count / SHARE;
        uint64_t cap = (uint64_t)config->buf_size * (share > 0 ? share : 1);
        setup->recv_cap = cap < INT32_MAX ? (uint32_t)cap : INT32_MAX;
    }
    summarise(setup);
    return 0;
}

void sl_uring_setup_fini(struct sl_uring_setup *setup)
{
    sl_assert(setup != NULL);
    if (setup->ring.ring_fd >= 0) io_uring_queue_exit(&setup->ring);
    setup->ring.ring_fd = -1;
    if (setup->bufs.ring != NULL) (void)munmap(setup->bufs.ring, setup->bufs.map_size);
    setup->bufs.ring = NULL;
}

uint32_t sl_uring_setup_flush(struct sl_uring_setup *setup)
{
    struct io_uring_sq *sq = &setup->ring.sq;
    /* Pairs with the kernel's acquire of the tail: it reads the entries after it. */
    __atomic_store_n(sq->ktail, sq->sqe_tail, __ATOMIC_RELEASE);
    return sq->sqe_tail - __atomic_load_n(sq->khead, __ATOMIC_RELAXED);
}

int sl_uring_setup_enter(struct sl_uring_setup *setup, uint32_t submit_count, uint32_t wait_count,
                         uint64_t timeout_ns)
{
    struct __kernel_timespec ts = {
        .tv_sec = (int64_t)(timeout_ns / SL_NS_PER_SEC),
        .tv_nsec = (int64_t)(timeout_ns % SL_NS_PER_SEC),
    };
    struct io_uring_getevents_arg arg = {
        .ts = wait_count > 0 && timeout_ns != UINT64_MAX ? (uintptr_t)&ts : 0,
    };
    bool registered = setup->enter_flags & IORING_ENTER_REGISTERED_RING;
    int fd = registered ? setup->ring.enter_ring_fd : setup->ring.ring_fd;
    long r = syscall(__NR_io_uring_enter, fd, submit_count, wait_count, setup->enter_flags, &arg,
                     sizeof(arg));
    return r < 0 ? -errno : (int)r;
}
