/* SPDX-License-Identifier: MIT */
/* Reading a whole text. */
#include "codecs/json/json.h"

#include <errno.h>
#include <string.h>

#include "codecs/flat/flat_build_fast.h"
#include "codecs/json/fast.h"
#include "codecs/json/json_private.h"
#include "codecs/json/stream.h"
#include "core/base/assertion.h"

enum {
    PARSE_BYTES_PER_CELL = 6,
    PARSE_CELLS_MIN = 8,
    PARSE_BYTES_BORROW = 48, /* for the owner's entry; escapes make room for themselves */
};

static int parse_plain(struct sl_slice text, struct sl_mem *mem, uint32_t flags,
                       struct sl_value *ret, uint32_t *ret_duplicates, struct sl_diag *reterr)
{
    struct sl_json_stream stream;
    sl_json_stream_init(&stream, mem, flags);
    (void)sl_json_stream_feed(&stream, text, NULL);
    int result = sl_json_stream_finish(&stream, ret, reterr);
    *ret_duplicates = stream.builder.duplicates;
    return result;
}

/* Room for the tape: a cell for so many bytes of text is more than most texts need. */
static uint32_t cells_hint(size_t size)
{
    return (uint32_t)(size / PARSE_BYTES_PER_CELL) + PARSE_CELLS_MIN;
}

/*
 * The fast way: 0, -ENOMEM, or -EINVAL for everything that is wrong with the text, its size and
 * depth included.
 */
static inline int parse_fast(json_scan_fn *scan_fn, struct sl_slice text, struct sl_buf *owner,
                             struct sl_mem *mem, struct sl_value *ret, uint32_t *ret_duplicates)
{
    struct sl_builder builder;
    struct json_scan scan; /* its places need not be cleared */
    memset(&scan, 0, offsetof(struct json_scan, places));
    scan.text = text.data;
    scan.size = (uint32_t)text.size;
    scan.first = UINT32_MAX;
    uint32_t bytes_hint = owner != NULL ? PARSE_BYTES_BORROW : (uint32_t)text.size / 2 + 1;
    sl_builder_init(&builder, mem, cells_hint(text.size), bytes_hint);
    bool read = builder.error == 0 && json_fast_read(&scan, scan_fn, &builder, owner != NULL);
    if (read && owner != NULL) sl_builder_own(&builder, owner);
    if (!read && builder.error == 0) sl_builder_fail(&builder, -EINVAL);
    *ret_duplicates = builder.duplicates;
    return sl_builder_finish(&builder, ret);
}

int json_parse_with(json_scan_fn *scan_fn, struct sl_slice text, struct sl_buf *owner,
                    struct sl_mem *mem, uint32_t flags, struct sl_value *ret,
                    uint32_t *ret_duplicates, struct sl_diag *reterr)
{
    if (scan_fn == NULL || (flags & SL_JSON_POSITIONS) || text.size > SL_PAYLOAD_BYTES_MAX) {
        return parse_plain(text, mem, flags, ret, ret_duplicates, reterr);
    }
    int result = parse_fast(scan_fn, text, owner, mem, ret, ret_duplicates);
    if (result == 0 || (result == -EINVAL && reterr == NULL)) return result;
    /* Something is wrong, or too much: the stream knows what and where. */
    return parse_plain(text, mem, flags, ret, ret_duplicates, reterr);
}

int sl_json_parse_counted(struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem,
                          uint32_t flags, struct sl_value *ret, uint32_t *ret_duplicates,
                          struct sl_diag *reterr)
{
    sl_assert(text.data != NULL || text.size == 0);
    sl_assert(ret != NULL);
    sl_assert(ret_duplicates != NULL);
    return json_parse_with(json_scan_get(), text, owner, mem, flags, ret, ret_duplicates, reterr);
}

int sl_json_parse(struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem, uint32_t flags,
                  struct sl_value *ret, struct sl_diag *reterr)
{
    sl_assert(text.data != NULL || text.size == 0);
    sl_assert(ret != NULL);
    uint32_t duplicates;
    return json_parse_with(json_scan_get(), text, owner, mem, flags, ret, &duplicates, reterr);
}
