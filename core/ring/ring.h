/* SPDX-License-Identifier: MIT */
/*
 * A ring of records from one producer to one consumer, over a block of memory that both can see:
 * two threads, or two OS processes. Beside it, in the same block, a slab for large records.
 *
 *     block   | head | returns (8 B each) | data, a power of two | slab, in units |
 *
 *     data    … [size kind payload ·] [size kind payload] …                 8-aligned, never split:
 *               ▲ head: first not released            ▲ tail: first not     a record that does not
 *                                                       yet published       fit before the end is
 *                                                                           preceded by padding
 *
 * Positions are counts of bytes since the beginning; they only grow (2^64 is never reached) and
 * mean the byte `position % size`. The producer writes `tail`, the consumer `head`, each on cache
 * lines of its own, and each keeps a private copy of the other's last known position, so that the
 * lines move between cores only when one seems to be at its end.
 *
 * Nobody loses a wake-up: the consumer announces that it sleeps and looks again; the producer
 * publishes and looks at the announcement (ring_fast.h). The same the other way for a producer
 * that waits for space. How the other side is woken (poller, eventfd, futex) is the caller's.
 *
 *   pairs: publish (tail, release or stronger) ↔ peek (tail, acquire): the records' bytes
 *          release (head, release or stronger) ↔ reserve (head, acquire): the space is read out
 *          publish, seq_cst, then `consumer_sleeps` ↔ announce, seq_cst, then tail
 *          release, seq_cst, then `producer_waits` ↔ announce, seq_cst, then head
 *          returns_tail (release) ↔ slab take (acquire): the slab's bytes are read out
 *
 * Trust: every position, size and offset that the other side wrote is checked before use. If it is
 * wrong and the ring is `hostile` (a sandboxed worker), the ring is broken from then on and says
 * so; if it is not, that is a bug and asserted. With a hostile peer the bytes themselves may change
 * at any time: use sl_ring_copy, and verify the copy.
 *
 * Source: Lamport 1983; cached positions as in FastForward (Giacomoni 2008) and rte_ring.
 */
#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/limit.h"

#define SL_RING_MAGIC     UINT32_C(0x474e5253) /* "SRNG", little endian */
#define SL_RING_KIND_PAD  UINT32_C(0xffffffff) /* not a kind of the user's */
#define SL_RING_KIND_SLAB UINT32_C(0x80000000) /* bit: the payload is a struct sl_ring_slab_ref */

enum {
    SL_RING_VERSION = 1,
    SL_RING_ALIGN = 8,
};

/* Shared. The first bytes of the block. Every field is fixed-width, at a fixed place. */
struct sl_ring_head {
    uint32_t magic;
    uint16_t version;
    uint16_t flags;        /* 0 */
    uint32_t data_size;    /* bytes, power of two */
    uint32_t returns_size; /* entries of 8 bytes, power of two; 0: no slab */
    uint64_t data_off;     /* from the beginning of the block */
    uint64_t returns_off;
    uint64_t slab_off;
    uint64_t slab_size; /* bytes */
    uint64_t slab_unit; /* bytes, power of two */
    uint8_t pad0[72];

    /* Written by the producer. 128 bytes: adjacent lines are fetched in pairs. */
    _Atomic uint64_t tail;
    _Atomic uint64_t returns_head;
    uint8_t pad1[112];

    /* Written by the consumer. */
    _Atomic uint64_t head;
    _Atomic uint64_t returns_tail;
    uint8_t pad2[112];

    /* Written by the sleeper, cleared by who wakes it; rarely touched. */
    _Atomic uint32_t consumer_sleeps;
    uint8_t pad3[124];
    _Atomic uint32_t producer_waits;
    uint8_t pad4[124];
};

static_assert(offsetof(struct sl_ring_head, magic) == 0, "layout");
static_assert(offsetof(struct sl_ring_head, version) == 4, "layout");
static_assert(offsetof(struct sl_ring_head, flags) == 6, "layout");
static_assert(offsetof(struct sl_ring_head, data_size) == 8, "layout");
static_assert(offsetof(struct sl_ring_head, returns_size) == 12, "layout");
static_assert(offsetof(struct sl_ring_head, data_off) == 16, "layout");
static_assert(offsetof(struct sl_ring_head, returns_off) == 24, "layout");
static_assert(offsetof(struct sl_ring_head, slab_off) == 32, "layout");
static_assert(offsetof(struct sl_ring_head, slab_size) == 40, "layout");
static_assert(offsetof(struct sl_ring_head, slab_unit) == 48, "layout");
static_assert(offsetof(struct sl_ring_head, tail) == 128, "layout");
static_assert(offsetof(struct sl_ring_head, returns_head) == 136, "layout");
static_assert(offsetof(struct sl_ring_head, head) == 256, "layout");
static_assert(offsetof(struct sl_ring_head, returns_tail) == 264, "layout");
static_assert(offsetof(struct sl_ring_head, consumer_sleeps) == 384, "layout");
static_assert(offsetof(struct sl_ring_head, producer_waits) == 512, "layout");
static_assert(sizeof(struct sl_ring_head) == 640, "layout");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "positions work between processes");
static_assert(ATOMIC_INT_LOCK_FREE == 2, "flags work between processes");

/* Shared. In front of each record's payload. */
struct sl_ring_record {
    uint32_t size; /* bytes of the payload, without padding */
    uint32_t kind; /* the user's, or SL_RING_KIND_PAD */
};

static_assert(sizeof(struct sl_ring_record) == SL_RING_ALIGN, "layout");

/* Shared. Payload of a record whose bytes lie in the slab. */
struct sl_ring_slab_ref {
    uint64_t off; /* from the beginning of the slab */
    uint64_t size;
};

static_assert(sizeof(struct sl_ring_slab_ref) == 16, "layout");

/* Checked geometry: a private copy, so that the other side cannot change it later. */
struct sl_ring_map {
    struct sl_ring_head *shared;
    uint8_t *data;
    _Atomic uint64_t *returns;
    uint8_t *slab;
    uint64_t data_mask;
    uint64_t returns_mask;
    uint64_t slab_size;
    uint64_t slab_unit;
    bool has_slab;
    bool hostile; /* the other side may write anything */
    bool broken;  /* it did */
};

/* Private to the producer. */
struct sl_ring_producer {
    struct sl_ring_map map;
    uint64_t tail;      /* end of what is committed */
    uint64_t published; /* end of what the consumer may see */
    uint64_t head;      /* the consumer's position when last looked */
    uint32_t reserved;  /* bytes of the reserved payload */
    bool is_reserved;

    /* The slab: who owns which unit is known to the producer alone. */
    uint64_t returns_head;
    uint32_t units_count;
    uint32_t unit_next;                         /* where to search first */
    uint32_t units_used;                        /* now */
    uint16_t runs[SL_RING_SLAB_UNITS_MAX];      /* units of the run that begins here; 0: none */
    uint64_t used[SL_RING_SLAB_UNITS_MAX / 64]; /* a bit per unit */
};

/* Private to the consumer. */
struct sl_ring_consumer {
    struct sl_ring_map map;
    uint64_t head;     /* next record to look at */
    uint64_t released; /* beginning of what the producer may not overwrite */
    uint64_t tail;     /* the producer's position when last looked */
    uint64_t next;     /* behind the record of the last peek */
    uint64_t returns_tail;
};

/*
 * Bytes of the block for a ring of `data_size` bytes and a slab of `slab_size` (0: none).
 * Both are rounded up: data to a power of two, the slab to whole units.
 */
size_t sl_ring_block_size(size_t data_size, size_t slab_size);

/*
 * Lay out an empty ring in a block of sl_ring_block_size bytes, aligned to 64. The block is zeroed
 * where it must be; slab and data pages are not touched. Before anyone attaches.
 */
void sl_ring_format(void *block, size_t data_size, size_t slab_size);

/*
 * Attach to a formatted block, which must outlive the handle.
 *
 * block_size  bytes that are really mapped: nothing beyond is touched, whatever the block claims
 * hostile     the other side is not trusted
 * returns     0; -EINVAL if the block is not a ring of this version or does not add up
 */
int sl_ring_producer_attach(struct sl_ring_producer *producer, void *block, size_t block_size,
                            bool hostile);
int sl_ring_consumer_attach(struct sl_ring_consumer *consumer, void *block, size_t block_size,
                            bool hostile);

/* Producer side. */

/*
 * Copy one record in, through the slab if it is too large for the ring. Not yet visible:
 * sl_ring_publish makes a batch of them visible at once.
 *
 * kind     the user's, below SL_RING_KIND_SLAB
 * returns  0; -EAGAIN: no room now; -EMSGSIZE: there never is; -EPROTO: broken
 */
int sl_ring_push(struct sl_ring_producer *producer, uint32_t kind, const void *data, size_t size);

/*
 * Take `size` bytes of slab to write into; then sl_ring_slab_commit or sl_ring_slab_cancel.
 *
 * returns  borrowed until committed, 8-aligned; NULL: no room now, beyond
 *          sl_ring_slab_size_max, or broken
 */
void *sl_ring_slab_take(struct sl_ring_producer *producer, size_t size);

/*
 * Put a record of `kind` for the first `size` of these bytes into the ring; not yet visible.
 * returns  0; -EAGAIN: no room now, the bytes are still the caller's; -EPROTO: broken
 */
int sl_ring_slab_commit(struct sl_ring_producer *producer, uint32_t kind, const void *bytes,
                        size_t size);

/* Give slab bytes back that were not committed. */
void sl_ring_slab_cancel(struct sl_ring_producer *producer, const void *bytes);

/* The largest record that the slab could hold if it were empty; 0: no slab. */
size_t sl_ring_slab_size_max(const struct sl_ring_producer *producer);

/* Consumer side. */

/* A record as the consumer sees it. */
struct sl_ring_view {
    const uint8_t *data; /* `size` bytes; valid until released (slab: until returned) */
    size_t size;
    uint32_t kind;
    bool is_slab; /* give it back by sl_ring_slab_return */
};

/*
 * Look at the next record without consuming it. A record of the slab shows the slab's bytes.
 *
 * returns  1: there is one; 0: empty; -EPROTO: broken
 */
int sl_ring_peek(struct sl_ring_consumer *consumer, struct sl_ring_view *ret_view);

/*
 * Copy the next record out and consume it (slab bytes are returned; sl_ring_release is the
 * caller's, for a batch): the only way with a hostile producer, whose bytes may change while one
 * reads them.
 *
 * returns  1: `*ret_size` bytes are in `buf`; 0: empty; -ENOBUFS: it has more than `buf_size`
 *          bytes, `*ret_size` says how many (it stays); -EPROTO: broken
 */
int sl_ring_copy(struct sl_ring_consumer *consumer, void *buf, size_t buf_size, size_t *ret_size,
                 uint32_t *ret_kind);

/*
 * Give bytes of the slab back to the producer. Any order. Returns true if the producer waits for
 * room: then the caller wakes it.
 */
bool sl_ring_slab_return(struct sl_ring_consumer *consumer, const uint8_t *data);
