/* SPDX-License-Identifier: MIT */
/*
 * Paths and queries: percent escapes, dot segments, pairs.
 */
#include <errno.h>
#include <string.h>

#include "codecs/http1/http1.h"
#include "core/base/assertion.h"

static const int8_t hex_values[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

/* The byte of the escape whose digits stand at `at`, or -1. */
static int escape_value(const uint8_t *at)
{
    int high = hex_values[at[0]] - 1;
    int low = hex_values[at[1]] - 1;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool sl_http1_path_is_plain(struct sl_slice path)
{
    uint8_t last = 0;
    for (size_t i = 0; i < path.size; i++) {
        uint8_t byte = path.data[i];
        if (byte == '%' || byte == '\\' || (byte == '.' && last == '/')) return false;
        last = byte;
    }
    return true;
}

/* Escapes out; -EINVAL for what no path may hold. */
static int64_t unescape_path(struct sl_slice path, uint8_t *out)
{
    size_t size = 0;
    for (size_t i = 0; i < path.size; i++) {
        int byte = path.data[i];
        if (byte == '%') {
            if (path.size - i < 3) return -EINVAL;
            byte = escape_value(path.data + i + 1);
            i += 2;
        }
        if (byte < 0x20 || byte == 0x7f || byte == '\\') return -EINVAL;
        out[size++] = (uint8_t)byte;
    }
    return (int64_t)size;
}

/*
 * Take dot segments out, in place. RFC 3986 section 5.2.4, but a path above the root is refused.
 * `path` begins with a slash.
 */
static int64_t remove_dots(uint8_t *path, size_t size)
{
    size_t to = 0;
    size_t at = 0;
    while (at < size) {
        size_t end = at + 1; /* path[at] is the slash that opens the segment */
        while (end < size && path[end] != '/') end++;
        size_t segment = end - at - 1;
        bool is_last = end == size;
        if (segment == 1 && path[at + 1] == '.') {
            if (is_last) path[to++] = '/';
        } else if (segment == 2 && path[at + 1] == '.' && path[at + 2] == '.') {
            if (to == 0) return -EINVAL;
            do {
                to--;
            } while (path[to] != '/');
            if (is_last) path[to++] = '/';
        } else {
            memmove(path + to, path + at, end - at);
            to += end - at;
        }
        at = end;
    }
    if (to == 0 && size > 0) path[to++] = '/';
    return (int64_t)to;
}

int64_t sl_http1_path_decode(struct sl_slice path, uint8_t *out)
{
    sl_assert(path.data != NULL || path.size == 0);
    sl_assert(out != NULL || path.size == 0);
    int64_t size = unescape_path(path, out);
    if (size <= 0 || out[0] != '/') return size;
    return remove_dots(out, (size_t)size);
}

bool sl_http1_query_next(struct sl_http1_query *query, struct sl_slice *ret_name,
                         struct sl_slice *ret_value)
{
    sl_assert(query != NULL);
    struct sl_slice *rest = &query->rest;
    while (rest->size > 0) {
        const uint8_t *amp = memchr(rest->data, '&', rest->size);
        size_t size = amp != NULL ? (size_t)(amp - rest->data) : rest->size;
        struct sl_slice pair = {rest->data, size};
        size_t skip = amp != NULL ? size + 1 : size;
        rest->data += skip;
        rest->size -= skip;
        if (pair.size == 0) continue;
        const uint8_t *equal = memchr(pair.data, '=', pair.size);
        size_t name_size = equal != NULL ? (size_t)(equal - pair.data) : pair.size;
        *ret_name = sl_slice_make(pair.data, name_size);
        *ret_value = equal != NULL ? sl_slice_make(equal + 1, pair.size - name_size - 1)
                                   : sl_slice_make(pair.data + pair.size, 0);
        return true;
    }
    return false;
}

bool sl_http1_query_is_plain(struct sl_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '%' || text.data[i] == '+') return false;
    }
    return true;
}

size_t sl_http1_query_decode(struct sl_slice text, uint8_t *out)
{
    sl_assert(out != NULL || text.size == 0);
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (byte == '+') {
            byte = ' ';
        } else if (byte == '%' && text.size - i >= 3) {
            int value = escape_value(text.data + i + 1);
            if (value >= 0) {
                byte = (uint8_t)value;
                i += 2;
            }
        }
        out[size++] = byte;
    }
    return size;
}
