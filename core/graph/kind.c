/* SPDX-License-Identifier: MIT */
#include "core/graph/kind.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"

/* Filled once, before any thread runs; read-only after that. */
static const struct sl_kind *kinds[SL_KINDS_MAX];
static size_t kinds_count;

void sl_kind_register(const struct sl_kind *kind)
{
    sl_assert(kind != NULL);
    sl_assert(kind->name != NULL);
    sl_assert(kinds_count < SL_KINDS_MAX);
    sl_assert(sl_kind_get(kind->name) == NULL);
    kinds[kinds_count++] = kind;
}

const struct sl_kind *sl_kind_get(const char *name)
{
    sl_assert(name != NULL);
    for (size_t i = 0; i < kinds_count; i++) {
        if (strcmp(kinds[i]->name, name) == 0) return kinds[i];
    }
    return NULL;
}

const struct sl_kind *const *sl_kinds_get(size_t *ret_count)
{
    sl_assert(ret_count != NULL);
    *ret_count = kinds_count;
    return kinds;
}

enum sl_step sl_call_fail(struct sl_call *call, const char *code, int status, const char *fmt, ...)
{
    sl_assert(call != NULL);
    sl_assert(code != NULL);
    sl_assert(status == 0 || (status >= 400 && status <= 599));
    char text[SL_DIAG_TEXT_SIZE];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    sl_value_unref(call->value);
    call->value = sl_value_new_error(call->mem, code, status, "%s", text);
    return SL_STEP_FAIL;
}

enum sl_step sl_call_fail_value(struct sl_call *call, struct sl_value error)
{
    sl_assert(call != NULL);
    sl_value_unref(call->value);
    call->value = error;
    return SL_STEP_FAIL;
}

/* "name" → 0, "name[12]" → 12. */
static int port_parse(struct sl_slice text, struct sl_slice name, uint32_t *ret_index)
{
    if (!sl_slice_has_prefix(text, name)) return -EINVAL;
    const uint8_t *at = text.data + name.size;
    size_t left = text.size - name.size;
    if (left == 0) {
        *ret_index = 0;
        return 0;
    }
    if (left < 3 || left > 6 || at[0] != '[' || at[left - 1] != ']') return -EINVAL;
    if (at[1] == '0' && left > 3) return -EINVAL;
    uint32_t index = 0;
    for (size_t i = 1; i < left - 1; i++) {
        if (at[i] < '0' || at[i] > '9') return -EINVAL;
        index = index * 10 + (uint32_t)(at[i] - '0');
    }
    if (index >= SL_SPEC_PORTS_MAX) return -EINVAL;
    *ret_index = index;
    return 0;
}

int sl_port_parse_out(struct sl_slice name, uint32_t *ret_port)
{
    sl_assert(ret_port != NULL);
    if (sl_slice_eq(name, SL_SLICE("error"))) {
        *ret_port = SL_PORT_ERROR;
        return 0;
    }
    return port_parse(name, SL_SLICE("out"), ret_port);
}

int sl_port_parse_in(struct sl_slice name, uint32_t *ret_port)
{
    sl_assert(ret_port != NULL);
    return port_parse(name, SL_SLICE("in"), ret_port);
}
