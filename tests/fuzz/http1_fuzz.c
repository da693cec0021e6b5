/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a stream of requests and of responses: no crash, no read outside, and the same
 * result however the stream is cut. Paths and queries decode within their size, and a decoded path
 * has no way out of its root.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "tests/codecs/http1/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_stream(const uint8_t *data, size_t size, bool is_response)
{
    struct stream stream;
    stream_init(&stream, is_response);
    stream_feed(&stream, data, size);
    if (size > 1) {
        size_t cut = 1 + (data[0] * 31u + data[size - 1]) % (size - 1);
        sl_assert(stream_cut_is_same(&stream, data, size, cut, 0));
        sl_assert(stream_cut_is_same(&stream, data, size, 0, 1 + data[size / 2] % 7u));
    }
    stream_fini(&stream);
}

static void check_path(const uint8_t *data, size_t size)
{
    uint8_t *out = malloc(size + 1);
    struct sl_slice path = {data, size};
    int64_t got = sl_http1_path_decode(path, out);
    sl_assert(got <= (int64_t)size || size == 0);
    if (got > 0 && out[0] == '/') {
        for (int64_t i = 0; i + 2 < got; i++) {
            bool climbs = out[i] == '/' && out[i + 1] == '.' && out[i + 2] == '.';
            sl_assert(!climbs || (i + 3 < got && out[i + 3] != '/'));
        }
    }
    if (got > 0 && sl_http1_path_is_plain(path)) {
        sl_assert(got == (int64_t)size);
        sl_assert(memcmp(out, data, size) == 0);
    }
    free(out);
}

static void check_query(const uint8_t *data, size_t size)
{
    struct sl_http1_query query = {{data, size}};
    struct sl_slice name;
    struct sl_slice value;
    uint8_t *out = malloc(size + 1);
    while (sl_http1_query_next(&query, &name, &value)) {
        sl_assert(name.data >= data);
        sl_assert(value.data + value.size <= data + size);
        sl_assert(sl_http1_query_decode(name, out) <= name.size);
        sl_assert(sl_http1_query_decode(value, out) <= value.size);
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 64 * 1024) return 0;
    check_stream(data, size, false);
    check_stream(data, size, true);
    check_path(data, size);
    check_query(data, size);
    return 0;
}
