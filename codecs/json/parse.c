/* SPDX-License-Identifier: MIT */
/* Reading a whole text. */
#include "codecs/json/json.h"

#include "codecs/json/json_private.h"
#include "codecs/json/stream.h"
#include "core/base/assertion.h"

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

int sl_json_parse_counted(struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem,
                          uint32_t flags, struct sl_value *ret, uint32_t *ret_duplicates,
                          struct sl_diag *reterr)
{
    sl_assert(text.data != NULL || text.size == 0);
    sl_assert(ret != NULL);
    sl_assert(ret_duplicates != NULL);
    (void)owner;
    return parse_plain(text, mem, flags, ret, ret_duplicates, reterr);
}

int sl_json_parse(struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem, uint32_t flags,
                  struct sl_value *ret, struct sl_diag *reterr)
{
    uint32_t duplicates;
    return sl_json_parse_counted(text, owner, mem, flags, ret, &duplicates, reterr);
}
