/* SPDX-License-Identifier: MIT */
/* Reading a whole text. */
#include "codecs/json/json.h"

#include <errno.h>
#include <string.h>

#include "codecs/json/json_private.h"
#include "codecs/json/stream.h"
#include "core/base/assertion.h"

int json_parse_plain(struct sl_slice text, struct sl_mem *mem, uint32_t flags, struct sl_value *ret,
                     uint32_t *ret_duplicates, struct sl_diag *reterr)
{
    struct sl_json_stream stream;
    sl_json_stream_init(&stream, mem, flags);
    (void)sl_json_stream_feed(&stream, text, NULL);
    int result = sl_json_stream_finish(&stream, ret, reterr);
    if (ret_duplicates != NULL) *ret_duplicates = stream.builder.duplicates;
    return result;
}

static inline __attribute__((always_inline)) int
parse_with(json_read_fn *read_fn, struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem,
           uint32_t flags, uint32_t *ret_duplicates, struct sl_value *ret, struct sl_diag *reterr)
{
    if (__builtin_expect((flags & SL_JSON_POSITIONS) || text.size > SL_PAYLOAD_BYTES_MAX, 0)) {
        return json_parse_plain(text, mem, flags, ret, ret_duplicates, reterr);
    }
    return read_fn(text, owner, mem, ret_duplicates, ret, reterr);
}

int json_parse_with(json_read_fn *read_fn, struct sl_slice text, struct sl_buf *owner,
                    struct sl_mem *mem, uint32_t flags, struct sl_value *ret,
                    uint32_t *ret_duplicates, struct sl_diag *reterr)
{
    if (read_fn == NULL) return json_parse_plain(text, mem, flags, ret, ret_duplicates, reterr);
    return parse_with(read_fn, text, owner, mem, flags, ret_duplicates, ret, reterr);
}

int sl_json_parse_counted(struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem,
                          uint32_t flags, struct sl_value *ret, uint32_t *ret_duplicates,
                          struct sl_diag *reterr)
{
    sl_assert(text.data != NULL || text.size == 0);
    sl_assert(ret != NULL);
    sl_assert(ret_duplicates != NULL);
    return parse_with(json_read_best, text, owner, mem, flags, ret_duplicates, ret, reterr);
}

int sl_json_parse(struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem, uint32_t flags,
                  struct sl_value *ret, struct sl_diag *reterr)
{
    sl_assert(text.data != NULL || text.size == 0);
    sl_assert(ret != NULL);
    return parse_with(json_read_best, text, owner, mem, flags, NULL, ret, reterr);
}
