/* SPDX-License-Identifier: MIT */
#include "nodes/script/js/sourcemap.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/assertion.h"

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    if (c == '/') return 63;
    return -1;
}

/* One base64 VLQ number: five bits a digit, low first, sign in the lowest bit. */
static bool vlq_read(const uint8_t **at, const uint8_t *end, int64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 40 && *at < end; shift += 5) {
        int digit = base64_value(**at);
        if (digit < 0) return false;
        (*at)++;
        value |= (uint64_t)(digit & 31) << shift;
        if ((digit & 32) == 0) {
            *ret_value = (value & 1) ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
            return true;
        }
    }
    return false;
}

static int mapping_push(struct js_sourcemap *map, size_t *cap, struct js_mapping mapping)
{
    if (map->count == *cap) {
        size_t next = *cap ? *cap * 2 : 64;
        struct js_mapping *items = realloc(map->items, next * sizeof(*items));
        if (items == NULL) return -ENOMEM;
        map->items = items;
        *cap = next;
    }
    map->items[map->count++] = mapping;
    return 0;
}

/* Running values of one decode; all but `column` go on over lines. */
struct decode_state {
    int64_t line, column, source, source_line, source_column, name;
};

static bool segment_read(const uint8_t **at, const uint8_t *end, struct decode_state *state,
                         bool *ret_has_source)
{
    int64_t *fields[] = {&state->column, &state->source, &state->source_line, &state->source_column,
                         &state->name};
    size_t count = 0;
    while (*at < end && **at != ',' && **at != ';') {
        int64_t delta;
        if (count == 5 || !vlq_read(at, end, &delta)) return false;
        *fields[count] += delta;
        if (*fields[count] < 0 || *fields[count] > INT32_MAX) return false;
        count++;
    }
    *ret_has_source = count >= 4;
    return true;
}

static int mappings_decode(const uint8_t *at, const uint8_t *end, struct js_sourcemap *map)
{
    struct decode_state state = {0};
    size_t cap = 0;
    while (at < end) {
        if (*at == ';') {
            state.line++;
            state.column = 0;
            at++;
            continue;
        }
        if (*at == ',') {
            at++;
            continue;
        }
        bool has_source;
        if (!segment_read(&at, end, &state, &has_source)) return -EBADMSG;
        if (!has_source) continue;
        struct js_mapping mapping = {(uint32_t)state.line, (uint32_t)state.column,
                                     (uint32_t)state.source_line, (uint32_t)state.source_column};
        int err = mapping_push(map, &cap, mapping);
        if (err < 0) return err;
    }
    return 0;
}

int js_sourcemap_decode(struct sl_slice json, struct js_sourcemap *ret_map)
{
    sl_assert(ret_map != NULL);
    *ret_map = (struct js_sourcemap){0};
    static const char key[] = "\"mappings\"";
    const uint8_t *end = json.data + json.size;
    const uint8_t *at = json.size > 0 ? memmem(json.data, json.size, key, sizeof(key) - 1) : NULL;
    if (at == NULL) return -EBADMSG;
    at += sizeof(key) - 1;
    while (at < end && (*at == ' ' || *at == ':' || *at == '\n')) at++;
    if (at == end || *at != '"') return -EBADMSG;
    at++;
    const uint8_t *close = memchr(at, '"', (size_t)(end - at));
    if (close == NULL) return -EBADMSG;
    int err = mappings_decode(at, close, ret_map);
    if (err < 0) js_sourcemap_fini(ret_map);
    return err;
}

int js_sourcemap_decode_url(struct sl_slice url, struct js_sourcemap *ret_map)
{
    sl_assert(ret_map != NULL);
    *ret_map = (struct js_sourcemap){0};
    static const char prefix[] = "data:application/json;base64,";
    if (!sl_slice_has_prefix(url, SL_SLICE("data:application/json;base64,"))) return -EBADMSG;
    const uint8_t *at = url.data + sizeof(prefix) - 1;
    const uint8_t *end = url.data + url.size;
    uint8_t *json = malloc((size_t)(end - at) + 1);
    if (json == NULL) return -ENOMEM;
    size_t size = 0;
    uint32_t word = 0;
    unsigned bits = 0;
    for (; at < end; at++) {
        int value = base64_value(*at);
        if (value < 0) break;
        word = (word << 6) | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            json[size++] = (uint8_t)(word >> bits);
        }
    }
    int err = js_sourcemap_decode(sl_slice_make(json, size), ret_map);
    free(json);
    return err;
}

const struct js_mapping *js_sourcemap_find(const struct js_sourcemap *map, uint32_t line,
                                           uint32_t column)
{
    sl_assert(map != NULL);
    size_t low = 0, high = map->count; /* first item behind (line, column) */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct js_mapping *item = &map->items[middle];
        bool before = item->line < line || (item->line == line && item->column <= column);
        if (before)
            low = middle + 1;
        else
            high = middle;
    }
    if (low > 0 && map->items[low - 1].line == line) return &map->items[low - 1];
    if (low < map->count && map->items[low].line == line) return &map->items[low];
    return low > 0 ? &map->items[low - 1] : NULL;
}

void js_sourcemap_fini(struct js_sourcemap *map)
{
    if (map == NULL) return;
    free(map->items);
    *map = (struct js_sourcemap){0};
}
