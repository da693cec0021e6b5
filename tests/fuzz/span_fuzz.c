/* SPDX-License-Identifier: MIT */
/* Trace contexts of strangers: what is taken over can be written, and is taken over again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/text/span.h"

static void check_parent(struct sl_slice text)
{
    const struct sl_span_seed seed = {{1, 2}, 3};
    struct sl_span span, again;
    char written[SL_TRACEPARENT_SIZE];
    if (sl_span_take(&seed, text, &span) < 0) return;
    sl_span_write(&span, written);
    if (memcmp(written + 3, text.data + 3, 32) != 0) abort();
    if (sl_span_take(&seed, sl_slice_make(written, sizeof(written)), &again) < 0) abort();
    if (memcmp(again.parent, span.id, sizeof(span.id)) != 0) abort();
}

static void check_state(struct sl_slice text)
{
    struct sl_tracestate state, again;
    sl_tracestate_take(&text, 1, &state);
    if (state.size > SL_TRACESTATE_SIZE_MAX || state.size > text.size) abort();
    struct sl_slice taken = sl_slice_make(state.text, state.size);
    sl_tracestate_take(&taken, 1, &again);
    if (again.size != state.size || memcmp(again.text, state.text, state.size) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_parent(sl_slice_make(data, size));
    check_state(sl_slice_make(data, size));
    return 0;
}
