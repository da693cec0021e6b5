/* SPDX-License-Identifier: MIT */
/*
 * Places: characters to bytes to lines, and from inside a decoded string back to the file.
 *
 * The way back rests on one observation: folding, escapes of line ends and indentation only add,
 * drop or change white space. So the k-th byte of a string that is not white space is the k-th
 * such byte of its source, once escapes and doubled quotes are counted as what they stand for.
 */
#include "codecs/yaml/source.h"

#include "core/base/assertion.h"

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static bool is_break(uint8_t c)
{
    return c == '\n' || c == '\r';
}

static bool is_white(uint8_t c)
{
    return is_blank(c) || is_break(c);
}

static bool is_continuation(uint8_t c)
{
    return (c & 0xC0) == 0x80;
}

void yaml_source_init(struct yaml_source *source, struct sl_slice text, uint32_t line)
{
    *source = (struct yaml_source){.text = text, .line = line, .line_first = line};
    if (sl_slice_has_prefix(text, SL_SLICE("\xEF\xBB\xBF"))) source->skipped = 3;
    source->offset = source->skipped;
    source->line_start = source->skipped;
    source->line_end_at = source->skipped;
}

size_t yaml_source_seek(struct yaml_source *source, size_t char_index)
{
    sl_assert(source->offset <= source->text.size);
    const uint8_t *data = source->text.data;
    size_t size = source->text.size;
    while (source->char_index < char_index && source->offset < size) {
        source->offset++;
        while (source->offset < size && is_continuation(data[source->offset])) source->offset++;
        source->char_index++;
    }
    while (source->char_index > char_index && source->offset > source->skipped) {
        source->offset--;
        while (source->offset > source->skipped && is_continuation(data[source->offset])) {
            source->offset--;
        }
        source->char_index--;
    }
    return source->offset;
}

struct sl_pos yaml_source_pos(struct yaml_source *source, size_t offset)
{
    sl_assert(source->line_start <= source->text.size);
    const uint8_t *data = source->text.data;
    if (offset > source->text.size) offset = source->text.size;
    if (offset < source->line_start) { /* going back is rare: errors only */
        source->line = source->line_first;
        source->line_start = source->skipped;
        source->line_end_at = source->skipped;
    }
    for (; source->line_end_at < offset; source->line_end_at++) {
        uint8_t c = data[source->line_end_at];
        bool pair = c == '\r' && source->line_end_at + 1 < source->text.size &&
                    data[source->line_end_at + 1] == '\n';
        if (!is_break(c) || pair) continue;
        source->line++;
        source->line_start = source->line_end_at + 1;
    }
    if (offset < source->line_start) offset = source->line_start;
    return (struct sl_pos){source->line, (uint32_t)(offset - source->line_start) + 1};
}

/* ------------------------------------------------------------------------------------------ */
/* Texts                                                                                        */

static uint8_t byte_at(struct sl_slice text, size_t at)
{
    return at < text.size ? text.data[at] : 0;
}

static size_t skip_line(struct sl_slice text, size_t at)
{
    while (at < text.size && !is_break(text.data[at])) at++;
    if (at < text.size && text.data[at] == '\r' && byte_at(text, at + 1) == '\n') at++;
    return at < text.size ? at + 1 : at;
}

/* Skip anchor, tag, white space and comments before the content of a node. */
static size_t skip_properties(struct sl_slice text, size_t at)
{
    for (;;) {
        uint8_t c = byte_at(text, at);
        if (at >= text.size) return at;
        if (is_white(c)) {
            at++;
        } else if (c == '#') {
            at = skip_line(text, at);
        } else if (c == '&' || c == '!') {
            while (at < text.size && !is_white(text.data[at])) at++;
        } else {
            return at;
        }
    }
}

/* Leading spaces of the first line with content, in a file (from `at`) or in a string (from 0). */
static size_t first_indent(struct sl_slice text, size_t at)
{
    while (at < text.size) {
        size_t start = at;
        while (at < text.size && text.data[at] == ' ') at++;
        if (at < text.size && !is_break(text.data[at])) return at - start;
        at = skip_line(text, at);
    }
    return 0;
}

struct sl_yaml_text yaml_text_measure(struct yaml_source *source, struct sl_pos pos, size_t offset,
                                      enum sl_yaml_style style, struct sl_slice decoded)
{
    struct sl_slice text = source->text;
    size_t content = skip_properties(text, offset);
    size_t indent = 0;
    if (style == SL_YAML_LITERAL || style == SL_YAML_FOLDED) {
        content = skip_line(text, content);
        size_t own = first_indent(decoded, 0);
        size_t all = first_indent(text, content);
        indent = all > own ? all - own : 0;
        content += indent;
        if (content > text.size) content = text.size;
    } else if (style != SL_YAML_PLAIN) {
        content++;
    }
    /* The line is counted apart, so that the cursor does not run ahead of the marks. */
    struct yaml_source ahead = *source;
    struct sl_yaml_text entry = {
        .pos = pos, .offset = (uint32_t)offset, .indent = (uint32_t)indent, .style = style};
    if (style == SL_YAML_LITERAL || style == SL_YAML_FOLDED) {
        entry.text = yaml_source_pos(&ahead, content - indent);
        entry.text.column += (uint32_t)indent;
    } else {
        entry.text = yaml_source_pos(&ahead, content);
    }
    if (style != SL_YAML_LITERAL) entry.indent = 0;
    return entry;
}

const struct sl_yaml_text *sl_yaml_text_find(const struct sl_yaml *yaml, struct sl_pos pos)
{
    sl_assert(yaml != NULL);
    size_t low = 0;
    size_t high = yaml->texts_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct sl_pos at = yaml->texts[middle].pos;
        bool before = at.line < pos.line || (at.line == pos.line && at.column < pos.column);
        if (before) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == yaml->texts_count) return NULL;
    struct sl_pos at = yaml->texts[low].pos;
    return at.line == pos.line && at.column == pos.column ? &yaml->texts[low] : NULL;
}

/* Offset in `decoded` of line and column; the line's end if the column is beyond it. */
static size_t decoded_offset(struct sl_slice decoded, uint32_t line, uint32_t column)
{
    sl_assert(line > 0);
    size_t at = 0;
    for (uint32_t i = 1; i < line && at < decoded.size; i++) {
        while (at < decoded.size && decoded.data[at] != '\n') at++;
        if (at < decoded.size) at++;
    }
    for (uint32_t i = 1; i < column && at < decoded.size && decoded.data[at] != '\n'; i++) at++;
    return at;
}

/* Bytes of an escape in double quotes (its backslash is at `at`), and how many it stands for. */
static size_t escape_measure(struct sl_slice text, size_t at, size_t *ret_solid)
{
    sl_assert(ret_solid != NULL);
    sl_assert(byte_at(text, at) == '\\');
    uint8_t c = byte_at(text, at + 1);
    *ret_solid = 1;
    switch (c) {
    case 'n':
    case 'r':
    case 't':
    case '\t':
    case ' ': *ret_solid = 0; return 2;
    case 'N':
    case '_': *ret_solid = 2; return 2;
    case 'L':
    case 'P': *ret_solid = 3; return 2;
    case 'x':
    case 'u':
    case 'U': break;
    default: *ret_solid = is_break(c) ? 0 : 1; return 2;
    }
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
    uint32_t code = 0;
    for (size_t i = 0; i < digits; i++) {
        uint8_t digit = byte_at(text, at + 2 + i);
        code = code * 16 + (uint32_t)(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
    }
    /* JSON's pairs of surrogates: the first stands for the whole character. */
    if (code >= 0xD800 && code < 0xE000) {
        *ret_solid = code < 0xDC00 ? 4 : 0;
        return 2 + digits;
    }
    bool white = code == ' ' || code == '\t' || code == '\n' || code == '\r';
    *ret_solid = white ? 0 : code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    return 2 + digits;
}

/* Bytes of the source at `at` that stand for *ret_solid bytes of the string, white space for none. */
static size_t source_step(struct sl_slice text, size_t at, enum sl_yaml_style style,
                          size_t *ret_solid)
{
    uint8_t c = text.data[at];
    *ret_solid = is_white(c) ? 0 : 1;
    if (style == SL_YAML_DOUBLE && c == '\\') return escape_measure(text, at, ret_solid);
    if (style == SL_YAML_SINGLE && c == '\'' && byte_at(text, at + 1) == '\'') return 2;
    return 1;
}

/* The first byte of the content of a node. */
static size_t content_offset(struct sl_slice text, size_t offset, enum sl_yaml_style style)
{
    size_t at = skip_properties(text, offset);
    if (style == SL_YAML_FOLDED || style == SL_YAML_LITERAL) return skip_line(text, at);
    return style == SL_YAML_PLAIN ? at : at + 1;
}

/* The offset in the source of the `solid`-th byte (from 0) that is not white space. */
static size_t solid_seek(struct sl_slice text, size_t at, enum sl_yaml_style style, size_t solid)
{
    while (at < text.size) {
        size_t stands_for;
        size_t step = source_step(text, at, style, &stands_for);
        if (solid < stands_for) break;
        solid -= stands_for;
        at += step;
    }
    return at < text.size ? at : text.size;
}

struct sl_pos sl_yaml_locate(struct sl_slice source, const struct sl_yaml_text *entry,
                             struct sl_slice decoded, uint32_t line, uint32_t column)
{
    sl_assert(entry != NULL);
    if (line == 0) return entry->text;
    if (column == 0) column = 1;
    if (entry->style == SL_YAML_LITERAL) {
        return (struct sl_pos){entry->text.line + line - 1, entry->indent + column};
    }
    size_t target = decoded_offset(decoded, line, column);
    size_t solid = 0;  /* bytes before the target that are not white space */
    size_t blanks = 0; /* white space between the last of them and the target */
    for (size_t i = 0; i < target; i++) {
        bool white = is_white(decoded.data[i]);
        solid += !white;
        blanks = white ? blanks + 1 : 0;
    }
    bool at_white = target >= decoded.size || is_white(decoded.data[target]);
    struct yaml_source places;
    yaml_source_init(&places, source, 1);
    uint32_t node_line = yaml_source_pos(&places, entry->offset).line;
    yaml_source_init(&places, source, 1 + entry->pos.line - node_line);
    size_t start = content_offset(source, entry->offset, entry->style);
    if (!at_white) {
        return yaml_source_pos(&places, solid_seek(source, start, entry->style, solid));
    }
    if (solid == 0) return entry->text;
    struct sl_pos pos =
        yaml_source_pos(&places, solid_seek(source, start, entry->style, solid - 1));
    pos.column += 1 + (uint32_t)blanks;
    return pos;
}
