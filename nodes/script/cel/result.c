/* SPDX-License-Identifier: MIT */
/* Results and failures as payloads; see result.h. */
#include "nodes/script/cel/result.h"

#include <errno.h>
#include <string.h>

#include "codecs/flat/flat_build_fast.h"
#include "core/base/assertion.h"
#include "nodes/script/cel/program.h"
#include "nodes/script/cel/walk.h"

static bool build(struct sl_cel_eval *eval, struct sl_builder *builder,
                  const struct sl_cel_val *val, uint32_t depth);

static void build_bytes(struct sl_builder *builder, const struct sl_cel_val *val)
{
    bool string = val->kind != SL_CEL_BYTES;
    bool is_static = (val->flags & SL_CEL_STATIC) != 0;
    if (!is_static && (val->buf == NULL || val->len <= SL_BUILD_COPY_MAX)) {
        if (string) sl_build_string(builder, val->ptr, val->len);
        if (!string) sl_build_binary(builder, val->ptr, val->len);
        return;
    }
    /* Bytes of a payload are counted, those of the program live as long as what it answers. */
    if (string) sl_build_string_borrow(builder, val->buf, val->ptr, val->len);
    if (!string) sl_build_binary_borrow(builder, val->buf, val->ptr, val->len);
}

static bool build_list(struct sl_cel_eval *eval, struct sl_builder *builder,
                       const struct sl_cel_list *list, uint32_t depth)
{
    sl_build_list_begin(builder);
    for (uint32_t i = 0; i < list->count; i++) {
        if (!build(eval, builder, &list->items[i], depth + 1)) return false;
    }
    sl_build_list_end(builder);
    return true;
}

/* The cell of a key that was looked at when the program was compiled. */
static void key_put(struct sl_cell *cell, const struct sl_cel_key *key)
{
    uint64_t head = key->head | (uint64_t)SL_CELL_POINTER << 8;
    memcpy(cell, &head, sizeof(head));
    cell->ptr = key->data;
}

static void build_key(struct sl_builder *builder, const struct sl_cel_key *key)
{
    struct sl_cell *cell = sl_builder_push(builder);
    if (cell != NULL) key_put(cell, key);
}

/* A literal with such keys. */
static bool build_record(struct sl_cel_eval *eval, struct sl_builder *builder,
                         const struct sl_cel_map *map, uint32_t depth)
{
    sl_build_map_begin(builder);
    for (uint32_t i = 0; i < map->count; i++) {
        build_key(builder, &map->keys[i]);
        if (!build(eval, builder, &map->pairs[2 * (size_t)i + 1], depth + 1)) return false;
    }
    sl_builder_map_end_distinct(builder);
    return true;
}

static bool build_map(struct sl_cel_eval *eval, struct sl_builder *builder,
                      const struct sl_cel_map *map, uint32_t depth)
{
    if (map->keys != NULL) return build_record(eval, builder, map, depth);
    sl_build_map_begin(builder);
    for (uint32_t i = 0; i < map->count; i++) {
        const struct sl_cel_val *key = &map->pairs[2 * (size_t)i];
        struct sl_cel_val text;
        if (!sl_cel_to_string(eval, key, &text)) return false;
        if (text.buf == NULL && (text.flags & SL_CEL_STATIC) == 0) {
            sl_build_key(builder, text.ptr, text.len);
        } else {
            sl_build_key_borrow(builder, text.buf, text.ptr, text.len);
        }
        if (!build(eval, builder, &map->pairs[2 * (size_t)i + 1], depth + 1)) return false;
    }
    sl_build_map_end(builder);
    return true;
}

static void build_duration(struct sl_builder *builder, int64_t ns)
{
    int64_t seconds = ns / 1000000000;
    int64_t rest = ns % 1000000000;
    if (rest < 0) {
        rest += 1000000000;
        seconds--;
    }
    sl_build_duration(builder, seconds, (uint32_t)rest);
}

static void build_net(struct sl_builder *builder, const struct sl_cel_val *val)
{
    char buf[SL_CEL_SCALAR_TEXT];
    size_t size = sl_cel_net_text(val->net, val->kind == SL_CEL_CIDR, buf);
    sl_build_string(builder, buf, size);
}

/* Depth of a value is bounded by that of the expression; beyond the payload's limit it fails. */
static bool build(struct sl_cel_eval *eval, struct sl_builder *builder,
                  const struct sl_cel_val *val, uint32_t depth)
{
    if (depth > SL_PAYLOAD_DEPTH_MAX) {
        return sl_cel_fail(eval, "the result is nested more than %d deep", SL_PAYLOAD_DEPTH_MAX);
    }
    if (sl_cel_is_cell(val)) {
        sl_build_value(builder, sl_cel_payload(val));
        return true;
    }
    switch ((enum sl_cel_kind)val->kind) {
    case SL_CEL_BOOL: sl_build_bool(builder, val->u != 0); return true;
    case SL_CEL_INT: sl_build_int(builder, val->i); return true;
    case SL_CEL_UINT: sl_build_uint(builder, val->u); return true;
    case SL_CEL_DOUBLE: sl_build_float(builder, val->d); return true;
    case SL_CEL_STRING:
    case SL_CEL_BYTES:
    case SL_CEL_TYPE: build_bytes(builder, val); return true;
    case SL_CEL_LIST: return build_list(eval, builder, val->list, depth);
    case SL_CEL_MAP: return build_map(eval, builder, val->map, depth);
    case SL_CEL_TIMESTAMP: sl_build_time(builder, val->i, val->len); return true;
    case SL_CEL_DURATION: build_duration(builder, val->i); return true;
    case SL_CEL_OPTIONAL:
        if (val->some != NULL) return build(eval, builder, val->some, depth);
        break;
    case SL_CEL_IP:
    case SL_CEL_CIDR: build_net(builder, val); return true;
    default: break;
    }
    sl_build_null(builder);
    return true;
}

/* The end of a build that may have gone wrong. */
static bool result_finish(struct sl_cel_eval *eval, struct sl_builder *builder, bool built,
                          struct sl_value *ret)
{
    if (!built) {
        sl_builder_fini(builder);
        if (eval->failure.offset == UINT32_MAX) eval->failure.offset = 0;
        return false;
    }
    int result = sl_builder_finish(builder, ret);
    if (result == 0) return true;
    if (result == -E2BIG) (void)sl_cel_fail(eval, "the result is beyond the limits of a payload");
    if (result != -E2BIG) (void)sl_cel_fail_memory(eval);
    eval->failure.offset = 0;
    return false;
}

bool sl_cel_result(struct sl_cel_eval *eval, const struct sl_cel_val *val, struct sl_mem *mem,
                   struct sl_value *ret)
{
    if (val->kind == SL_CEL_BOOL) {
        *ret = sl_value_bool(val->u != 0);
        return true;
    }
    if (val->kind == SL_CEL_NULL) {
        *ret = sl_value_null();
        return true;
    }
    if (sl_cel_is_cell(val)) {
        *ret = sl_value_ref(sl_cel_payload(val));
        return true;
    }
    struct sl_builder builder;
    bool container = val->kind == SL_CEL_LIST || val->kind == SL_CEL_MAP;
    uint32_t cells = container ? 2 * sl_cel_count(val) + 1 : 1;
    eval->failure.offset = 0;
    sl_builder_init(&builder, mem, cells, 0);
    return result_finish(eval, &builder, build(eval, &builder, val, 0), ret);
}

/* ------------------------------------------------------------------------------------------ */
/* Maps of known keys                                                                           */

/* True for what is a cell and perhaps a few bytes; *size grows by those. */
static inline bool is_plain(const struct sl_cel_val *val, uint32_t *size)
{
    if (val->kind == SL_CEL_STRING || val->kind == SL_CEL_BYTES) {
        if ((val->flags & SL_CEL_STATIC) != 0) return true;
        *size += val->len;
        return val->len <= SL_BUILD_COPY_MAX;
    }
    return val->kind <= SL_CEL_DOUBLE;
}

static inline void bytes_copy(uint8_t *to, const uint8_t *from, uint32_t size)
{
    if (size > 16) {
        memcpy(to, from, size);
    } else if (size >= 8) {
        uint64_t first = sl_cel_load64(from), last = sl_cel_load64(from + size - 8);
        memcpy(to, &first, sizeof(first));
        memcpy(to + size - 8, &last, sizeof(last));
    } else {
        for (uint32_t i = 0; i < size; i++) to[i] = from[i];
    }
}

/* The cell of a plain value. */
static inline void plain_put(struct sl_buf *buf, struct sl_cell *cell, const struct sl_cel_val *val)
{
    uint8_t kind = val->kind;
    if (kind == SL_CEL_STRING || kind == SL_CEL_BYTES) {
        uint64_t flags = (val->flags & SL_CEL_STATIC) != 0 ? SL_CELL_POINTER : 0;
        uint64_t word = flags != 0 ? val->u : buf->bytes_size;
        if (flags == 0) {
            bytes_copy(buf->bytes + buf->bytes_size, val->ptr, val->len);
            buf->bytes_size += val->len;
        }
        *cell =
            (struct sl_cell){.kind = kind, .flags = (uint8_t)flags, .len = val->len, .word = word};
        return;
    }
    if (kind == SL_CEL_UINT && val->u <= INT64_MAX) kind = SL_CEL_INT;
    *cell = (struct sl_cell){.kind = kind, .word = kind == SL_CEL_NULL ? 0 : val->u};
}

/* The same by the builder. */
static __attribute__((noinline)) bool record_build(struct sl_cel_eval *eval,
                                                   const struct sl_cel_val *frame,
                                                   const struct sl_cel_ins *ins, struct sl_mem *mem,
                                                   struct sl_value *ret)
{
    const struct sl_cel_program *program = eval->program;
    struct sl_builder builder;
    bool built = true;
    eval->failure.offset = 0;
    sl_builder_init(&builder, mem, 2 * (uint32_t)ins->c + 1, 0);
    sl_build_map_begin(&builder);
    for (int16_t i = 0; i < ins->c && built; i++) {
        build_key(&builder, &program->keys[ins->imm + (uint32_t)i]);
        built = build(eval, &builder, &frame[program->operands[ins->imm2 + (uint32_t)i]], 1);
    }
    if (built) sl_builder_map_end_distinct(&builder);
    return result_finish(eval, &builder, built, ret);
}

bool sl_cel_result_record(struct sl_cel_eval *eval, const struct sl_cel_val *frame,
                          const struct sl_cel_ins *ins, struct sl_mem *mem, struct sl_value *ret)
{
    sl_assert(ins->op == SL_CEL_OP_RECORD);
    const struct sl_cel_program *program = eval->program;
    const struct sl_cel_key *key = &program->keys[ins->imm];
    const int16_t *value = program->operands + ins->imm2, *end = value + ins->c;
    uint32_t count = (uint32_t)ins->c, size = 0;
    bool plain = true;
    if (!sl_cel_charge(eval, SL_CEL_RECORD_COST(count))) {
        eval->failure.offset = program->offsets[ins - program->code];
        return false;
    }
    for (const int16_t *at = value; at < end; at++) plain &= is_plain(&frame[*at], &size);
    if (!plain) return record_build(eval, frame, ins, mem, ret);
    struct sl_buf *buf = sl_buf_new(mem, 2 * count + 1, size);
    if (buf == NULL) {
        (void)sl_cel_fail_memory(eval);
        eval->failure.offset = 0;
        return false;
    }
    struct sl_cell *cell = buf->cells;
    for (; value < end; value++, key++, cell += 2) {
        key_put(cell, key);
        plain_put(buf, cell + 1, &frame[*value]);
    }
    *cell = (struct sl_cell){.kind = SL_VALUE_MAP, .len = count, .word = 0};
    buf->cells_count = buf->weight = 2 * count + 1;
    buf->depth = 1;
    *ret = (struct sl_value){buf, cell};
    return true;
}

/* Where it failed: {line, column} and the file, if it is one. */
static struct sl_value failure_place(const struct sl_cel_eval *eval, struct sl_mem *mem)
{
    const struct sl_cel_program *program = eval->program;
    uint32_t offset = eval->failure.offset == UINT32_MAX ? 0 : eval->failure.offset;
    struct sl_pos pos = sl_cel_program_pos(program, offset);
    struct sl_builder builder;
    struct sl_value place;
    sl_builder_init(&builder, mem, 8, 0);
    sl_build_map_begin(&builder);
    if (program->file != NULL && program->file[0] != '\0') {
        sl_build_key_str(&builder, "file");
        sl_build_string_str(&builder, program->file);
    }
    sl_build_key_str(&builder, "line");
    sl_build_int(&builder, pos.line);
    sl_build_key_str(&builder, "column");
    sl_build_int(&builder, pos.column);
    sl_build_map_end(&builder);
    return sl_builder_finish(&builder, &place) == 0 ? place : sl_value_none();
}

struct sl_value sl_cel_failure_value(const struct sl_cel_eval *eval, struct sl_mem *mem)
{
    const struct sl_cel_failure *failure = &eval->failure;
    if (failure->error.cell != NULL) return sl_value_ref(failure->error);
    struct sl_value place = failure_place(eval, mem);
    int status = strcmp(failure->code, "script_deadline") == 0 ? 504 : 0;
    struct sl_builder builder;
    struct sl_value error;
    sl_builder_init(&builder, mem, 16, 0);
    sl_build_error(&builder, sl_slice_from_str(failure->code), sl_slice_from_str(failure->message),
                   sl_value_none(), place, status);
    int result = sl_builder_finish(&builder, &error);
    if (place.cell != NULL) sl_value_unref(place);
    return result == 0 ? error : sl_value_none();
}
