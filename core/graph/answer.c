/* SPDX-License-Identifier: MIT */
/* Joining the answers of a fan-out. */
#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/graph/process.h"

enum { JOIN_ERRORS_MAX = SL_SPEC_EDGES_MAX };

static const char no_memory_text[] = "no_memoryout of memory";

/* The one error that needs no memory: Error{code, message, Null, Null, 503}. */
struct sl_value sl_error_no_memory(void)
{
    static struct sl_cell cells[] = {
        {.kind = SL_VALUE_STRING, .len = 9, .word = 0},
        {.kind = SL_VALUE_STRING, .len = 13, .word = 9},
        {.kind = SL_VALUE_NULL},
        {.kind = SL_VALUE_NULL},
        {.kind = SL_VALUE_INT, .i64 = 503},
        {.kind = SL_VALUE_ERROR, .len = SL_ERROR_CELLS, .word = 0},
    };
    static struct sl_buf buf = {
        .refs = SL_BUF_IMMORTAL,
        .cells_count = 6,
        .cells_cap = 6,
        .bytes_size = sizeof(no_memory_text) - 1,
        .cells = cells,
        .bytes = (uint8_t *)(uintptr_t)no_memory_text,
        .depth = 1,
    };
    return (struct sl_value){&buf, &cells[5]};
}

/*
 * One error whose chain holds every error of every chain: the messages stay findable by
 * sl_error_has_message, and the text names them all.
 */
static struct sl_value errors_join(struct sl_mem *mem, const struct sl_value *errors,
                                   uint32_t count)
{
    sl_assert(count > 1);
    struct sl_value links[SL_PAYLOAD_DEPTH_MAX / 2];
    uint32_t links_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (struct sl_value at = errors[i];
             sl_value_is(at, SL_VALUE_ERROR) && links_count < SL_PAYLOAD_DEPTH_MAX / 2;
             at = sl_error_part(at, SL_ERROR_CAUSE)) {
            links[links_count++] = at;
        }
    }
    struct sl_value chain = sl_value_none();
    for (uint32_t i = links_count; i-- > 0;) {
        struct sl_value status = sl_error_part(links[i], SL_ERROR_STATUS);
        struct sl_builder builder;
        sl_builder_init(&builder, mem, 8, 0);
        sl_build_error(&builder, sl_value_slice(sl_error_part(links[i], SL_ERROR_CODE)),
                       sl_value_slice(sl_error_part(links[i], SL_ERROR_MESSAGE)), chain,
                       sl_error_part(links[i], SL_ERROR_DATA),
                       sl_value_is(status, SL_VALUE_INT) ? (int)status.cell->i64 : 0);
        struct sl_value link;
        int r = sl_builder_finish(&builder, &link);
        sl_value_unref(chain);
        if (r < 0) return sl_error_no_memory();
        chain = link;
    }
    return chain;
}

static struct sl_value list_join(struct sl_mem *mem, const struct sl_value *answers, uint32_t count)
{
    struct sl_builder builder;
    sl_builder_init(&builder, mem, count + 1, 0);
    sl_build_list_begin(&builder);
    for (uint32_t i = 0; i < count; i++) {
        if (!sl_value_is_none(answers[i])) sl_build_value(&builder, answers[i]);
    }
    sl_build_list_end(&builder);
    struct sl_value list;
    if (sl_builder_finish(&builder, &list) < 0) return sl_error_no_memory();
    return list;
}

struct sl_value sl_answers_join(struct sl_mem *mem, struct sl_value *answers, uint32_t count)
{
    sl_assert(mem != NULL);
    sl_assert(answers != NULL || count == 0);
    sl_assert(count <= SL_SPEC_EDGES_MAX);
    struct sl_value errors[JOIN_ERRORS_MAX];
    uint32_t errors_count = 0;
    uint32_t values_count = 0;
    struct sl_value last = sl_value_none();
    for (uint32_t i = 0; i < count; i++) {
        if (sl_value_is_none(answers[i])) continue;
        values_count++;
        last = answers[i];
        if (sl_value_is(answers[i], SL_VALUE_ERROR) && errors_count < JOIN_ERRORS_MAX) {
            errors[errors_count++] = answers[i];
        }
    }
    struct sl_value joined;
    if (errors_count > 1) {
        joined = errors_join(mem, errors, errors_count);
    } else if (errors_count == 1) {
        joined = sl_value_ref(errors[0]);
    } else if (values_count > 1) {
        joined = list_join(mem, answers, count);
    } else {
        joined = sl_value_ref(last);
    }
    for (uint32_t i = 0; i < count; i++) sl_value_unref(answers[i]);
    return joined;
}
