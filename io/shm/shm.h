/* SPDX-License-Identifier: MIT */
/*
 * A channel between two OS processes: two rings (core/ring) in one sealed memfd, and a way to wake
 * each side.
 *
 *     memfd   | head: sizes, bells | ring to the peer | ring to the creator |
 *     plus    eventfd "creator's bell", eventfd "peer's bell"
 *
 * The creator makes the channel and gives the three descriptors away: over a unix socket
 * (sl_shm_send) or to a child that inherits them. The peer attaches. The memory is sealed against
 * shrinking before anybody else sees it, so that nobody can make the other side's reads fault.
 *
 * Waking: a side is woken through its eventfd (for who sleeps in a poller) or by a futex on its
 * bell word (for a worker that only waits for this channel); the creator says which. Nothing is
 * rung while the other side is awake.
 *
 *     sleeper                                   waker
 *     see = bell word                           publish or release (ring_fast.h) says "wake"
 *     announce, look again (ring_fast.h)        bell word + 1
 *     sleep while bell word == see, or          futex wake, or write(eventfd)
 *     until the eventfd can be read
 *
 *   pairs: bell word (add, seq_cst) ↔ the futex's own check; the rest is core/ring's
 *
 * Thread: one thread of each process uses its end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/diag.h"
#include "core/ring/ring.h"
#include "core/ring/ring_fast.h"

#define SL_SHM_MAGIC UINT32_C(0x4d485353) /* "SSHM", little endian */

enum { SL_SHM_VERSION = 1, SL_SHM_FDS = 3, SL_SHM_HEAD_SIZE = 4096 };

enum sl_shm_side { SL_SHM_CREATOR = 0, SL_SHM_PEER = 1 };
enum sl_shm_wake { SL_SHM_EVENTFD = 0, SL_SHM_FUTEX = 1 };

/* Shared. The first bytes of the memfd. */
struct sl_shm_head {
    uint32_t magic;
    uint16_t version;
    uint16_t wake[2]; /* by side: enum sl_shm_wake */
    uint8_t pad0[6];
    uint64_t ring_off[2]; /* by the side that reads it: from the beginning of the memfd */
    uint64_t ring_size;   /* bytes of one ring's block */
    uint64_t total_size;
    uint8_t pad1[80];
    _Atomic uint32_t bell[2 * 32]; /* [0] the creator's, [32] the peer's: 128 bytes apart */
};

static_assert(offsetof(struct sl_shm_head, wake) == 6, "layout");
static_assert(offsetof(struct sl_shm_head, ring_off) == 16, "layout");
static_assert(offsetof(struct sl_shm_head, ring_size) == 32, "layout");
static_assert(offsetof(struct sl_shm_head, total_size) == 40, "layout");
static_assert(offsetof(struct sl_shm_head, bell) == 128, "layout");
static_assert(sizeof(struct sl_shm_head) <= SL_SHM_HEAD_SIZE, "layout");

struct sl_shm_config {
    size_t ring_size;              /* bytes of data each way; 0: SL_RING_SIZE */
    size_t slab_size;              /* bytes each way; 0: none */
    enum sl_shm_wake creator_wake; /* how the creator sleeps */
    enum sl_shm_wake peer_wake;
    bool hostile; /* the peer is not trusted */
};

/* One process's end. Zero-initialised and after fini it is empty. */
struct sl_shm {
    struct sl_ring_producer producer; /* to the other side */
    struct sl_ring_consumer consumer; /* from the other side */
    struct sl_shm_head *head;         /* mapped */
    size_t map_size;
    int fds[SL_SHM_FDS]; /* memfd, creator's bell, peer's bell; owned */
    enum sl_shm_side side;
    enum sl_shm_wake own_wake;
    enum sl_shm_wake other_wake;
};

/*
 * Make a channel; this process is its creator. Control plane.
 *
 * returns  0; -errno with `reterr` (may be NULL)
 */
int sl_shm_init(struct sl_shm *shm, const struct sl_shm_config *config, struct sl_diag *reterr);

/*
 * Attach to a channel as its peer. Takes the descriptors, also on failure.
 *
 * fds      array of SL_SHM_FDS, in the order of struct sl_shm
 * hostile  the creator is not trusted
 * returns  0; -EINVAL if it is no channel of this version, not sealed, or does not add up
 */
int sl_shm_attach(struct sl_shm *shm, const int fds[SL_SHM_FDS], bool hostile,
                  struct sl_diag *reterr);

/* Unmap and close. The other side's end stays usable. */
void sl_shm_fini(struct sl_shm *shm);

/* Send the descriptors over a unix stream socket (SCM_RIGHTS). 0 or -errno. May block. */
int sl_shm_send(const struct sl_shm *shm, int socket_fd);

/* Receive what sl_shm_send sent and attach as the peer. 0 or -errno. May block. */
int sl_shm_recv(struct sl_shm *shm, int socket_fd, bool hostile, struct sl_diag *reterr);

/* Let a child inherit the descriptors across exec: clear FD_CLOEXEC. In the child, before exec. */
int sl_shm_inherit(const struct sl_shm *shm);

/* Make pushed records visible, and wake the other side if it sleeps. */
void sl_shm_publish(struct sl_shm *shm);

/* Give back what was consumed, and wake the other side if it waits for room. */
void sl_shm_release(struct sl_shm *shm);

/* Give slab bytes back, and wake the other side if it waits for room. */
void sl_shm_slab_return(struct sl_shm *shm, const uint8_t *data);

/*
 * For who sleeps in a poller: announce. Then the bell's descriptor becomes readable when there is
 * something to do.
 *
 * for_room  also when there is room to push again
 * returns   false: there is something to do already, nothing was announced
 */
bool sl_shm_arm(struct sl_shm *shm, bool for_room);

/* Up again: take the announcement back, empty the bell. */
void sl_shm_disarm(struct sl_shm *shm);

/* The descriptor to poll for POLLIN; the end keeps it. */
int sl_shm_bell_fd(const struct sl_shm *shm);

/*
 * For a worker: sleep until there is a record (or room, with `for_room`).
 *
 * timeout_ns  UINT64_MAX: for ever
 * returns     1: look; 0: time-out or signal
 */
int sl_shm_wait(struct sl_shm *shm, bool for_room, uint64_t timeout_ns);
