/* SPDX-License-Identifier: MIT */
/*
 * Sealing: one contiguous FlatBuffer of payload.fbs. Its tables always have the same place and
 * every field is written, so everything before the cells is one struct:
 *
 *     0 | head, 88 bytes | cells, 16 each | size of bytes, 4 | bytes … | zeros up to 8 |
 *
 * Others may lay the same tables out differently; open.c reads whatever the format allows.
 */
#include "codecs/flat/flat_internal.h"

#include <errno.h>

/* Source: the FlatBuffers binary format, "Internals" chapter of its documentation. */
struct seal_head {
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

#define HEAD_OFF(field) ((uint32_t)offsetof(struct seal_head, field))

static_assert(sizeof(struct seal_head) == 88, "the head has no hidden padding");
static_assert(offsetof(struct seal_head, process) % 8 == 0, "process is aligned");
static_assert(offsetof(struct seal_head, packet_vtable) == 8, "layout");
static_assert(offsetof(struct seal_head, packet_vtable_back) == 24, "layout");
static_assert(offsetof(struct seal_head, payload_vtable) == 52, "layout");
static_assert(offsetof(struct seal_head, payload_vtable_back) == 68, "layout");
static_assert(offsetof(struct seal_head, cells_count) == 84, "layout");

enum {
    SEAL_BYTES_OFF = sizeof(struct seal_head) + sizeof(uint32_t), /* with no cells */
};

static size_t sealed_size(const struct flat_size *size)
{
    size_t whole = SEAL_BYTES_OFF + (size_t)size->cells * sizeof(struct sl_cell);
    return (whole + (size_t)size->bytes + 7) & ~(size_t)7;
}

static void head_write(struct seal_head *head, const struct sl_flat_envelope *envelope,
                       uint32_t cells_count)
{
    const uint32_t packet = HEAD_OFF(packet_vtable_back);
    const uint32_t payload = HEAD_OFF(payload_vtable_back);
    const uint32_t bytes = (uint32_t)(sizeof(*head) + cells_count * sizeof(struct sl_cell));
    *head = (struct seal_head){
        .packet_off = packet,
        .file_id = {'S', 'L', 'P', 'K'},
        .packet_vtable = {sizeof(head->packet_vtable),
                          (uint16_t)(HEAD_OFF(payload_vtable) - packet),
                          (uint16_t)(HEAD_OFF(process) - packet),
                          (uint16_t)(HEAD_OFF(source) - packet),
                          (uint16_t)(HEAD_OFF(target) - packet),
                          (uint16_t)(HEAD_OFF(flags) - packet),
                          (uint16_t)(HEAD_OFF(payload_off) - packet)},
        .packet_vtable_back = (int32_t)(packet - HEAD_OFF(packet_vtable)),
        .source = envelope->source,
        .process = envelope->process,
        .target = envelope->target,
        .flags = envelope->flags,
        .payload_off = payload - HEAD_OFF(payload_off),
        .payload_vtable = {sizeof(head->payload_vtable),
                           (uint16_t)(HEAD_OFF(cells_count) - payload),
                           (uint16_t)(HEAD_OFF(root) - payload),
                           (uint16_t)(HEAD_OFF(cells_off) - payload),
                           (uint16_t)(HEAD_OFF(bytes_off) - payload)},
        .payload_vtable_back = (int32_t)(payload - HEAD_OFF(payload_vtable)),
        .root = cells_count - 1,
        .cells_off = HEAD_OFF(cells_count) - HEAD_OFF(cells_off),
        .bytes_off = bytes - HEAD_OFF(bytes_off),
        .cells_count = cells_count,
    };
}

/* Write everything; `out` has room for sealed_size(size). */
static void seal(struct sl_value value, const struct sl_flat_envelope *envelope,
                 const struct flat_size *size, uint8_t *out)
{
    static const struct sl_flat_envelope none;
    uint32_t bytes_size = (uint32_t)size->bytes;
    head_write((struct seal_head *)out, envelope != NULL ? envelope : &none, (uint32_t)size->cells);
    uint8_t *cells = out + sizeof(struct seal_head);
    uint8_t *bytes = cells + size->cells * sizeof(struct sl_cell);
    memcpy(bytes, &bytes_size, sizeof(bytes_size));
    bytes += sizeof(bytes_size);
    flat_write(value, (struct sl_cell *)cells, (uint32_t)size->cells, bytes);
    memset(bytes + bytes_size, 0, sealed_size(size) - (size_t)(bytes + bytes_size - out));
}

int sl_flat_sealed_size(struct sl_value value, size_t *ret_size)
{
    sl_assert(value.cell != NULL);
    sl_assert(ret_size != NULL);
    struct flat_size size;
    int result = flat_measure(value, FLAT_WALK_LAZIES, &size);
    if (result < 0) return result;
    *ret_size = sealed_size(&size);
    return 0;
}

int sl_flat_seal(struct sl_value value, const struct sl_flat_envelope *envelope, void *out,
                 size_t out_size, size_t *ret_size)
{
    sl_assert(value.cell != NULL);
    sl_assert((uintptr_t)out % 8 == 0);
    sl_assert(ret_size != NULL);
    struct flat_size size;
    int result = flat_measure(value, FLAT_WALK_LAZIES, &size);
    if (result < 0) return result;
    if (sealed_size(&size) > out_size) return -ENOSPC;
    seal(value, envelope, &size, out);
    *ret_size = sealed_size(&size);
    return 0;
}

int sl_flat_seal_dup(struct sl_value value, const struct sl_flat_envelope *envelope,
                     uint8_t **ret_data, size_t *ret_size)
{
    sl_assert(value.cell != NULL);
    sl_assert(ret_data != NULL);
    sl_assert(ret_size != NULL);
    struct flat_size size;
    int result = flat_measure(value, FLAT_WALK_LAZIES, &size);
    if (result < 0) return result;
    uint8_t *data = malloc(sealed_size(&size));
    if (data == NULL) return -ENOMEM;
    seal(value, envelope, &size, data);
    *ret_data = data;
    *ret_size = sealed_size(&size);
    return 0;
}
