/* SPDX-License-Identifier: MIT */
/*
 * What stands before the cells of a packet as we seal it: its tables at a fixed place, so the whole
 * of them is one struct. seal.c writes it, open.c knows it again. For this folder only.
 *
 * The fields that differ from packet to packet are those that flat_head_write sets; the rest is
 * FlatBuffers' own and always the same.
 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "codecs/flat/flat_internal.h"

/* Source: the FlatBuffers binary format, "Internals" chapter of its documentation. */
struct flat_head {
    uint32_t packet_off;
    char file_id[4];
    uint16_t packet_vtable[7]; /* its size, the table's size, offsets of the fields */
    uint16_t pad;
    int32_t packet_vtable_back; /* the Packet table begins: distance back to its vtable */
    uint32_t source;
    uint64_t process;
    uint32_t target;
    uint32_t flags;
    uint32_t payload_off; /* from itself */
    uint16_t payload_vtable[5];
    uint16_t pads[3];
    int32_t payload_vtable_back; /* the Payload table begins */
    uint32_t root;
    uint32_t cells_off; /* from itself */
    uint32_t bytes_off; /* from itself */
    uint32_t cells_count;
};

#define FLAT_HEAD_OFF(field) ((uint32_t)offsetof(struct flat_head, field))

static_assert(sizeof(struct flat_head) == 88, "the head has no hidden padding");
static_assert(offsetof(struct flat_head, process) % 8 == 0, "process is aligned");
static_assert(offsetof(struct flat_head, packet_vtable) == 8, "layout");
static_assert(offsetof(struct flat_head, packet_vtable_back) == 24, "layout");
static_assert(offsetof(struct flat_head, payload_vtable) == 52, "layout");
static_assert(offsetof(struct flat_head, payload_vtable_back) == 68, "layout");
static_assert(offsetof(struct flat_head, cells_count) == 84, "layout");

enum { FLAT_PACKET_VTABLE_SIZE = 14, FLAT_PAYLOAD_VTABLE_SIZE = 10 };

static_assert(sizeof(((struct flat_head *)0)->packet_vtable) == FLAT_PACKET_VTABLE_SIZE, "layout");
static_assert(sizeof(((struct flat_head *)0)->payload_vtable) == FLAT_PAYLOAD_VTABLE_SIZE,
              "layout");

/* Distances from the two tables, which begin at their vtable's distance. */
#define FLAT_PACKET_OFF(field)  (FLAT_HEAD_OFF(field) - FLAT_HEAD_OFF(packet_vtable_back))
#define FLAT_PAYLOAD_OFF(field) (FLAT_HEAD_OFF(field) - FLAT_HEAD_OFF(payload_vtable_back))

/* Of no envelope and no cells. */
static const struct flat_head FLAT_HEAD = {
    .packet_off = FLAT_HEAD_OFF(packet_vtable_back),
    .file_id = {'S', 'L', 'P', 'K'},
    .packet_vtable = {FLAT_PACKET_VTABLE_SIZE, FLAT_PACKET_OFF(payload_vtable),
                      FLAT_PACKET_OFF(process), FLAT_PACKET_OFF(source), FLAT_PACKET_OFF(target),
                      FLAT_PACKET_OFF(flags), FLAT_PACKET_OFF(payload_off)},
    .packet_vtable_back = FLAT_HEAD_OFF(packet_vtable_back) - FLAT_HEAD_OFF(packet_vtable),
    .payload_off = FLAT_HEAD_OFF(payload_vtable_back) - FLAT_HEAD_OFF(payload_off),
    .payload_vtable = {FLAT_PAYLOAD_VTABLE_SIZE, FLAT_PAYLOAD_OFF(cells_count),
                       FLAT_PAYLOAD_OFF(root), FLAT_PAYLOAD_OFF(cells_off),
                       FLAT_PAYLOAD_OFF(bytes_off)},
    .payload_vtable_back = FLAT_HEAD_OFF(payload_vtable_back) - FLAT_HEAD_OFF(payload_vtable),
    .cells_off = FLAT_HEAD_OFF(cells_count) - FLAT_HEAD_OFF(cells_off),
};

static inline void flat_head_write(struct flat_head *head, const struct sl_flat_envelope *envelope,
                                   uint32_t cells_count)
{
    *head = FLAT_HEAD;
    head->source = envelope->source;
    head->process = envelope->process;
    head->target = envelope->target;
    head->flags = envelope->flags;
    head->root = cells_count - 1;
    head->bytes_off =
        (uint32_t)(sizeof(*head) + cells_count * sizeof(struct sl_cell)) - FLAT_HEAD_OFF(bytes_off);
    head->cells_count = cells_count;
}

/* True if the tables are where we put them; the numbers in them are still to be checked. */
static inline bool flat_head_is_ours(const struct flat_head *head)
{
    const size_t packet = offsetof(struct flat_head, source); /* from the begin up to here */
    const size_t payload = offsetof(struct flat_head, payload_off);
    return memcmp(head, &FLAT_HEAD, packet) == 0 &&
           memcmp((const uint8_t *)head + payload, (const uint8_t *)&FLAT_HEAD + payload,
                  offsetof(struct flat_head, root) - payload) == 0 &&
           head->cells_off == FLAT_HEAD.cells_off;
}
