/* SPDX-License-Identifier: MIT */
/*
 * Places in the author's file. A source map says where in the text; where the text stands in the file is
 * a rule of two numbers for most texts (sl_script_pos), and not for folded ones and those with
 * escapes. For these the places of all items of the map are asked for while somebody can tell them,
 * at compile; the map then holds places of the file.
 */
#include <string.h>

#include "core/base/assertion.h"
#include "nodes/script/js/js_private.h"

enum {
    SAMPLE_ITEMS = 64,                  /* one of so many is tried before the rule is believed */
    PLACE_BYTES_MAX = 64 * 1024 * 1024, /* that may be looked at: an ask reads the text up to it */
};

/* Walks over a text by line and UTF-16 column; going on is cheap, going back begins at the line. */
struct walk {
    struct sl_slice code;
    uint32_t line;
    uint32_t units;
    size_t start; /* of the line */
    size_t at;
};

static void walk_line(struct walk *walk, uint32_t line)
{
    if (line < walk->line) *walk = (struct walk){.code = walk->code};
    for (; walk->line < line && walk->start < walk->code.size; walk->line++) {
        const uint8_t *from = walk->code.data + walk->start;
        const uint8_t *end = memchr(from, '\n', walk->code.size - walk->start);
        walk->start = end != NULL ? (size_t)(end - walk->code.data) + 1 : walk->code.size;
        walk->at = walk->start;
        walk->units = 0;
    }
}

/* Byte column, from 1, of a column of UTF-16 units, from 0. */
static uint32_t walk_column(struct walk *walk, uint32_t line, uint32_t column)
{
    walk_line(walk, line);
    if (column < walk->units) {
        walk->at = walk->start;
        walk->units = 0;
    }
    const uint8_t *data = walk->code.data;
    while (walk->at < walk->code.size && data[walk->at] != '\n' && walk->units < column) {
        walk->units += data[walk->at] >= 0xf0 ? 2 : 1;
        walk->at++;
        while (walk->at < walk->code.size && (data[walk->at] & 0xc0) == 0x80) walk->at++;
    }
    return (uint32_t)(walk->at - walk->start) + 1;
}

static struct sl_pos item_ask(const struct js_script *script, struct walk *walk,
                              const struct js_mapping *item, bool by_rule)
{
    struct sl_script_source source = script->source;
    if (by_rule) source.place = NULL;
    uint32_t column = walk_column(walk, item->source_line, item->source_column);
    return sl_script_pos(&source, item->source_line + 1, column);
}

static bool rule_holds(const struct js_script *script)
{
    const struct js_sourcemap *map = &script->map;
    struct walk walk = {.code = script->source.code};
    size_t step = map->count / SAMPLE_ITEMS + 1;
    for (size_t i = map->count; i > 0; i = i > step ? i - step : 0) {
        struct sl_pos exact = item_ask(script, &walk, &map->items[i - 1], false);
        struct sl_pos near = item_ask(script, &walk, &map->items[i - 1], true);
        if (exact.line != near.line || exact.column != near.column) return false;
    }
    return true;
}

void js_map_place(struct js_script *script)
{
    sl_assert(script != NULL);
    struct js_sourcemap *map = &script->map;
    if (script->source.place == NULL || map->count == 0 || rule_holds(script)) return;
    if (map->count > PLACE_BYTES_MAX / (script->source.code.size + 1)) return;
    struct walk walk = {.code = script->source.code};
    for (size_t i = 0; i < map->count; i++) {
        struct sl_pos pos = item_ask(script, &walk, &map->items[i], false);
        map->items[i].source_line = pos.line;
        map->items[i].source_column = pos.column;
    }
    map->placed = true;
}

struct sl_pos js_script_pos(const struct js_script *script, uint32_t line, uint32_t column)
{
    sl_assert(script != NULL);
    if (line <= script->lines_before) return (struct sl_pos){0, 0};
    const struct js_mapping *item = js_sourcemap_find(&script->map, line - script->lines_before - 1,
                                                      column > 0 ? column - 1 : 0);
    if (item == NULL) return (struct sl_pos){0, 0};
    if (script->map.placed) return (struct sl_pos){item->source_line, item->source_column};
    struct walk walk = {.code = script->source.code};
    return item_ask(script, &walk, item, false);
}
