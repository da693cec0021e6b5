/* SPDX-License-Identifier: MIT */
#include "tests/codecs/json/json_check.h"

#include <errno.h>
#include <stdlib.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "codecs/json/json_private.h"
#include "codecs/json/stream.h"
#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "core/mem/out.h"

enum {
    CHECK_EVERY_CUT_MAX = 300, /* larger texts are cut at some points only */
    CHECK_SOME_CUTS = 64,
};

/* What reading came to: the result, and the value as sealed bytes (exact, and without order of
 * how it was built). */
struct outcome {
    int result;
    uint32_t duplicates;
    uint8_t *sealed;
    size_t size;
};

static struct outcome outcome_make(int result, uint32_t duplicates, struct sl_value value)
{
    struct outcome outcome = {.result = result, .duplicates = duplicates};
    if (result == 0) {
        int sealed = sl_flat_seal_dup(value, NULL, &outcome.sealed, &outcome.size);
        sl_assert(sealed == 0);
        sl_value_unref(value);
    }
    return outcome;
}

static void outcome_match(struct outcome *expected, struct outcome outcome)
{
    /* A text that is wrong and too deep may be told either way, as one or the other comes first. */
    sl_assert((outcome.result == 0) == (expected->result == 0));
    sl_assert(outcome.result != -ENOMEM);
    if (outcome.result == 0) {
        sl_assert(outcome.duplicates == expected->duplicates);
        sl_assert(outcome.size == expected->size);
        sl_assert(memcmp(outcome.sealed, expected->sealed, outcome.size) == 0);
    }
    free(outcome.sealed);
}

static struct outcome read_pieces(struct sl_mem *mem, struct sl_slice text, size_t cut, size_t next)
{
    struct sl_json_stream stream;
    struct sl_value value = sl_value_none();
    sl_json_stream_init(&stream, mem, 0);
    (void)sl_json_stream_feed(&stream, sl_slice_make(text.data, cut), NULL);
    (void)sl_json_stream_feed(&stream, sl_slice_make(text.data + cut, next - cut), NULL);
    (void)sl_json_stream_feed(&stream, sl_slice_make(text.data + next, text.size - next), NULL);
    int result = sl_json_stream_finish(&stream, &value, NULL);
    return outcome_make(result, stream.builder.duplicates, value);
}

/* The text stands in a buffer of its exact size, so that AddressSanitizer sees what lies beyond. */
static struct outcome read_whole(struct sl_mem *mem, struct sl_slice text, json_read_fn *read_fn,
                                 bool borrow)
{
    struct sl_value value = sl_value_none(), owner = sl_value_none();
    uint32_t duplicates = 0;
    uint8_t *copy = malloc(text.size > 0 ? text.size : 1);
    sl_assert(copy != NULL);
    if (text.size > 0) memcpy(copy, text.data, text.size);
    if (borrow) owner = sl_value_new_int(mem, 0);
    struct sl_slice slice = sl_slice_make(copy, text.size);
    int result = json_parse_with(read_fn, slice, owner.buf, mem, 0, &value, &duplicates, NULL);
    struct outcome outcome = outcome_make(result, duplicates, value);
    sl_value_unref(owner);
    free(copy);
    return outcome;
}

/* NULL: the stream alone, in one piece. */
static json_read_fn *const readers[] = {
    NULL,
    json_read_plain,
#if defined(__x86_64__)
    json_read_avx2,
    json_read_avx512,
#endif
};

/* What was read writes to a text that reads back to the same. */
static void check_round_trip(struct sl_mem *mem, struct outcome *expected, uint32_t flags)
{
    struct sl_value value;
    struct sl_out out;
    int result = sl_flat_open(expected->sealed, expected->size, mem, NULL, &value);
    sl_assert(result == 0);
    sl_out_init(&out, mem);
    result = sl_json_write(value, flags, &out);
    sl_assert(result == 0);
    sl_value_unref(value);
    struct outcome again =
        read_whole(mem, sl_slice_make(out.data, out.size), json_read_best, false);
    again.duplicates = expected->duplicates;
    outcome_match(expected, again);
    sl_out_fini(&out);
}

int json_check_text(struct sl_mem *mem, struct sl_slice text)
{
    struct outcome expected = read_pieces(mem, text, 0, 0);
    size_t step = text.size > CHECK_EVERY_CUT_MAX ? text.size / CHECK_SOME_CUTS : 1;
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
        if (readers[i] != NULL && !json_read_can_run(readers[i])) continue;
        outcome_match(&expected, read_whole(mem, text, readers[i], false));
        outcome_match(&expected, read_whole(mem, text, readers[i], true));
    }
    for (size_t cut = 0; cut < text.size; cut += step) {
        outcome_match(&expected, read_pieces(mem, text, cut, cut + 1));
    }
    if (expected.result == 0) {
        check_round_trip(mem, &expected, 0);
        check_round_trip(mem, &expected, SL_JSON_PRETTY);
    }
    free(expected.sealed);
    return expected.result;
}
