/* SPDX-License-Identifier: MIT */
/*
 * Values to block YAML. Every byte is determined by the value; what is written is read back equal
 * by sl_yaml_parse, and by YAML 1.1 readers wherever the two versions can be made to agree.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/yaml/tree.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"

enum {
    KEY_SIZE_MAX = 200, /* bytes; an escape may take ten characters a byte */
    PLAIN_SIZE_MAX = 1000
};

struct write_frame {
    struct sl_value value; /* a list, map or error that is begun */
    uint32_t next;
};

struct writer {
    char *text;
    size_t size;
    size_t cap;
    int error;
    struct write_frame frames[SL_PAYLOAD_DEPTH_MAX];
    uint32_t depth;
};

static const char *const error_keys[] = {"code", "message", "cause", "data", "status"};

static void put(struct writer *writer, const void *data, size_t size)
{
    sl_assert(size == 0 || data != NULL);
    if (writer->error != 0) return;
    if (writer->size + size + 1 > writer->cap) {
        size_t cap = (writer->size + size + 1) * 2;
        char *text = realloc(writer->text, cap);
        if (text == NULL) {
            writer->error = -ENOMEM;
            return;
        }
        writer->text = text;
        writer->cap = cap;
    }
    if (size > 0) memcpy(writer->text + writer->size, data, size);
    writer->size += size;
}

static void put_str(struct writer *writer, const char *str)
{
    put(writer, str, strlen(str));
}

static void put_indent(struct writer *writer, uint32_t columns)
{
    for (uint32_t i = 0; i < columns; i++) put(writer, " ", 1);
}

/* ------------------------------------------------------------------------------------------ */
/* Strings                                                                                      */

/* Bytes of the well-formed UTF-8 character at `at`, 0 if it is none. */
static size_t utf8_size(struct sl_slice text, size_t at, uint32_t *ret_code)
{
    sl_assert(at < text.size);
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t c = text.data[at];
    size_t size = c < 0x80 ? 1 : c >> 5 == 6 ? 2 : c >> 4 == 14 ? 3 : c >> 3 == 30 ? 4 : 0;
    if (size == 0 || at + size > text.size) return 0;
    uint32_t code = size == 1 ? c : c & (0xFFU >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if ((text.data[at + i] & 0xC0) != 0x80) return 0;
        code = code << 6 | (text.data[at + i] & 0x3F);
    }
    if (code < least[size] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return 0;
    *ret_code = code;
    return size;
}

/* True if the character may stand in a plain or literal text for readers of both versions. */
static bool is_printable(uint32_t code)
{
    if (code < 0x20 || (code >= 0x7F && code < 0xA0)) return false;
    if (code == 0x2028 || code == 0x2029 || code == 0xFEFF) return false;
    return code != 0xFFFE && code != 0xFFFF;
}

/* What stands in a string, found in one pass. */
struct string_shape {
    bool utf8;
    bool printable; /* apart from line feeds */
    bool lines;     /* has a line feed */
    bool tabs;
};

static struct string_shape shape_of(struct sl_slice text)
{
    struct string_shape shape = {.utf8 = true, .printable = true};
    for (size_t at = 0; at < text.size;) {
        uint32_t code = 0;
        size_t size = utf8_size(text, at, &code);
        if (size == 0) return (struct string_shape){0};
        if (code == '\n') {
            shape.lines = true;
        } else if (code == '\t') {
            shape.tabs = true;
        } else if (!is_printable(code)) {
            shape.printable = false;
        }
        at += size;
    }
    return shape;
}

/* Words that YAML 1.1 readers take for booleans, and the merge key. */
static bool is_word_of_old(struct sl_slice text)
{
    static const char *const words[] = {"y", "n", "yes", "no", "on", "off", "<<", "="};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (sl_slice_eq_nocase(text, sl_slice_from_str(words[i]))) return true;
    }
    return false;
}

/*
 * True if a text of one printable line reads as the same string without quotes. Texts that begin
 * like a number are quoted: YAML 1.1 has sexagesimal numbers, dates and underscores.
 */
static bool is_plain(struct sl_slice text)
{
    if (text.size == 0 || text.size > PLAIN_SIZE_MAX) return false;
    uint8_t first = text.data[0];
    if (strchr("-?:,[]{}#&*!|>'\"%@` .+~=", first) != NULL) return false;
    if (first >= '0' && first <= '9') return false;
    if (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == ':') return false;
    for (size_t i = 0; i + 1 < text.size; i++) {
        if (text.data[i] == ':' && text.data[i + 1] == ' ') return false;
        if (text.data[i] == ' ' && text.data[i + 1] == '#') return false;
    }
    if (yaml_scalar_read(text).kind != YAML_PLAIN_STR) return false;
    return !is_word_of_old(text);
}

static void put_escape(struct writer *writer, uint32_t code)
{
    static const char named[] = "0\0"
                                "a\a"
                                "b\b"
                                "t\t"
                                "n\n"
                                "v\v"
                                "f\f"
                                "r\r"
                                "e\x1b";
    char text[16];
    for (size_t i = 0; i + 1 < sizeof(named); i += 2) {
        if (code != (uint8_t)named[i + 1]) continue;
        (void)snprintf(text, sizeof(text), "\\%c", named[i]);
        put_str(writer, text);
        return;
    }
    const char *fmt = code < 0x100 ? "\\x%02X" : code < 0x10000 ? "\\u%04X" : "\\U%08X";
    (void)snprintf(text, sizeof(text), fmt, code);
    put_str(writer, text);
}

static void put_double(struct writer *writer, struct sl_slice text)
{
    put(writer, "\"", 1);
    for (size_t at = 0; at < text.size;) {
        uint32_t code = 0;
        size_t size = utf8_size(text, at, &code);
        sl_assert(size > 0);
        if (code == '"' || code == '\\') put(writer, "\\", 1);
        if (is_printable(code)) {
            put(writer, text.data + at, size);
        } else {
            put_escape(writer, code);
        }
        at += size;
    }
    put(writer, "\"", 1);
}

static void put_single(struct writer *writer, struct sl_slice text)
{
    put(writer, "'", 1);
    for (size_t at = 0; at < text.size; at++) {
        if (text.data[at] == '\'') put(writer, "'", 1);
        put(writer, text.data + at, 1);
    }
    put(writer, "'", 1);
}

/* A literal block under `indent`; the caller stands behind the key or dash and a space. */
static void put_literal(struct writer *writer, struct sl_slice text, uint32_t indent)
{
    sl_assert(text.size > 0);
    size_t ends = 0;
    while (ends < text.size && text.data[text.size - 1 - ends] == '\n') ends++;
    bool hint = text.data[0] == ' ' || text.data[0] == '\n' || text.data[0] == '\t';
    put(writer, "|", 1);
    if (hint) put(writer, "2", 1);
    if (ends != 1) put_str(writer, ends == 0 ? "-" : "+");
    for (size_t at = 0; at < text.size;) {
        size_t end = at;
        while (end < text.size && text.data[end] != '\n') end++;
        put(writer, "\n", 1);
        if (end > at) put_indent(writer, indent);
        put(writer, text.data + at, end - at);
        at = end + 1;
    }
    put(writer, "\n", 1);
}

static void put_base64(struct writer *writer, struct sl_slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < bytes.size; at += 3) {
        size_t left = bytes.size - at;
        uint32_t word = (uint32_t)bytes.data[at] << 16;
        if (left > 1) word |= (uint32_t)bytes.data[at + 1] << 8;
        if (left > 2) word |= bytes.data[at + 2];
        char text[4] = {digits[word >> 18], digits[word >> 12 & 63],
                        left > 1 ? digits[word >> 6 & 63] : '=',
                        left > 2 ? digits[word & 63] : '='};
        put(writer, text, 4);
    }
}

/* A string as a key or on one line. A text that is not UTF-8 becomes binary. */
static void put_flow_string(struct writer *writer, struct sl_slice text, struct string_shape shape)
{
    if (!shape.utf8) {
        put_str(writer, "!!binary \"");
        put_base64(writer, text);
        put(writer, "\"", 1);
    } else if (shape.lines || shape.tabs || !shape.printable) {
        put_double(writer, text);
    } else if (is_plain(text)) {
        put(writer, text.data, text.size);
    } else {
        put_single(writer, text);
    }
}

/*
 * A string as a value, with its line end. At the root a text that begins with white space is not
 * written as a block: readers differ in what its indentation counts from.
 */
static void put_string(struct writer *writer, struct sl_slice text, uint32_t indent)
{
    struct string_shape shape = shape_of(text);
    bool solid = false;
    for (size_t i = 0; i < text.size && !solid; i++) solid = text.data[i] > ' ';
    bool root = writer->depth == 0 && text.size > 0 && text.data[0] <= ' ';
    if (shape.lines && shape.printable && solid && !root) {
        put_literal(writer, text, indent);
        return;
    }
    put_flow_string(writer, text, shape);
    put(writer, "\n", 1);
}

/* ------------------------------------------------------------------------------------------ */
/* Other scalars                                                                                */

static void put_float(struct writer *writer, double value)
{
    char text[40];
    if (isnan(value)) {
        put_str(writer, ".nan");
        return;
    }
    if (isinf(value)) {
        put_str(writer, value < 0 ? "-.inf" : ".inf");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    /* YAML 1.1 wants a point in every float, and so does the difference to an int. */
    char *exponent = strchr(text, 'e');
    if (strchr(text, '.') == NULL && exponent != NULL) {
        put(writer, text, (size_t)(exponent - text));
        put_str(writer, ".0");
        put_str(writer, exponent);
    } else {
        put_str(writer, text);
        if (strchr(text, '.') == NULL) put_str(writer, ".0");
    }
}

static void put_time(struct writer *writer, const struct sl_cell *cell)
{
    char text[64] = "";
    struct tm tm;
    time_t seconds = (time_t)cell->i64;
    if (gmtime_r(&seconds, &tm) != NULL) {
        (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    }
    put(writer, "'", 1);
    put_str(writer, text);
    if (cell->len > 0) {
        (void)snprintf(text, sizeof(text), ".%09" PRIu32, cell->len);
        put_str(writer, text);
    }
    put_str(writer, "Z'");
}

static void put_duration(struct writer *writer, const struct sl_cell *cell)
{
    char text[64];
    int64_t seconds = cell->i64;
    uint32_t rest = cell->len;
    const char *sign = "";
    if (seconds < 0 && rest > 0) { /* -0.5 s is -1 s + 500000000 ns */
        seconds++;
        rest = 1000000000U - rest;
        if (seconds == 0) sign = "-";
    }
    if (rest > 0) {
        (void)snprintf(text, sizeof(text), "'%s%" PRId64 ".%09" PRIu32 "s'", sign, seconds, rest);
    } else {
        (void)snprintf(text, sizeof(text), "'%" PRId64 "s'", seconds);
    }
    put_str(writer, text);
}

static void put_scalar(struct writer *writer, struct sl_value value, uint32_t indent)
{
    char text[32];
    const struct sl_cell *cell = value.cell;
    switch ((enum sl_value_kind)cell->kind) {
    case SL_VALUE_STRING: put_string(writer, sl_value_slice(value), indent); return;
    case SL_VALUE_NULL: put_str(writer, "null"); break;
    case SL_VALUE_BOOL: put_str(writer, cell->word ? "true" : "false"); break;
    case SL_VALUE_INT:
        (void)snprintf(text, sizeof(text), "%" PRId64, cell->i64);
        put_str(writer, text);
        break;
    case SL_VALUE_UINT:
        (void)snprintf(text, sizeof(text), "%" PRIu64, cell->word);
        put_str(writer, text);
        break;
    case SL_VALUE_FLOAT: put_float(writer, cell->f64); break;
    case SL_VALUE_BINARY:
        put_str(writer, "!!binary \"");
        put_base64(writer, sl_value_slice(value));
        put(writer, "\"", 1);
        break;
    case SL_VALUE_TIME: put_time(writer, cell); break;
    case SL_VALUE_DURATION: put_duration(writer, cell); break;
    case SL_VALUE_LIST: put_str(writer, "[]"); break;
    case SL_VALUE_MAP: put_str(writer, "{}"); break;
    default: sl_unreachable();
    }
    put(writer, "\n", 1);
}

/* ------------------------------------------------------------------------------------------ */
/* Containers                                                                                   */

static uint32_t children_count(struct sl_value value)
{
    if (sl_value_is(value, SL_VALUE_ERROR)) return SL_ERROR_CELLS;
    return sl_value_count(value);
}

static bool is_container(struct sl_value value)
{
    enum sl_value_kind kind = sl_value_kind(value);
    bool can = kind == SL_VALUE_LIST || kind == SL_VALUE_MAP || kind == SL_VALUE_ERROR;
    return can && children_count(value) > 0;
}

/* Columns before the children of frame `depth`: a list under a key keeps the key's column. */
static uint32_t frame_indent(const struct writer *writer, uint32_t depth)
{
    sl_assert(depth < SL_PAYLOAD_DEPTH_MAX);
    uint32_t indent = 0;
    for (uint32_t i = 1; i <= depth; i++) {
        bool list = sl_value_is(writer->frames[i].value, SL_VALUE_LIST);
        bool under_list = sl_value_is(writer->frames[i - 1].value, SL_VALUE_LIST);
        if (under_list || !list) indent += 2;
    }
    return indent;
}

/*
 * Begin `value` behind what stands on the line. `in_list` is where it stands: the first child of a
 * list entry goes on the dash's line ("- a: 1"), a child of a key on the next.
 */
static void begin(struct writer *writer, struct sl_value value, bool in_list)
{
    sl_assert(!sl_value_is_none(value));
    if (writer->depth == SL_PAYLOAD_DEPTH_MAX) {
        writer->error = -E2BIG;
        return;
    }
    if (writer->depth > 0) put_str(writer, in_list ? " " : "\n");
    writer->frames[writer->depth++] = (struct write_frame){value, 0};
}

/* A key and its colon; a long one needs the explicit form, readers stop looking at 1024. */
static void put_key(struct writer *writer, struct sl_slice key, uint32_t indent)
{
    bool is_long = key.size > KEY_SIZE_MAX;
    if (is_long) put_str(writer, "? ");
    put_flow_string(writer, key, shape_of(key));
    if (is_long) put(writer, "\n", 1);
    if (is_long) put_indent(writer, indent);
    put(writer, ":", 1);
}

/* Write the next child of the innermost container. */
static void step(struct writer *writer)
{
    sl_assert(writer->depth > 0);
    struct write_frame *frame = &writer->frames[writer->depth - 1];
    uint32_t index = frame->next++;
    if (index == children_count(frame->value)) {
        writer->depth--;
        return;
    }
    bool list = sl_value_is(frame->value, SL_VALUE_LIST);
    uint32_t indent = frame_indent(writer, writer->depth - 1);
    bool on_dash = index == 0 && writer->depth > 1 &&
                   sl_value_is(writer->frames[writer->depth - 2].value, SL_VALUE_LIST);
    if (!on_dash) put_indent(writer, indent);
    struct sl_value child;
    if (list) {
        put(writer, "-", 1);
        child = sl_value_list_at(frame->value, index);
    } else if (sl_value_is(frame->value, SL_VALUE_ERROR)) {
        put_str(writer, error_keys[index]);
        put(writer, ":", 1);
        child = sl_error_part(frame->value, index);
    } else {
        put_key(writer, sl_value_key_at(frame->value, index), indent);
        child = sl_value_map_at(frame->value, index);
    }
    if (is_container(child)) {
        begin(writer, child, list);
        return;
    }
    put(writer, " ", 1);
    put_scalar(writer, child, indent + 2);
}

int sl_yaml_write(struct sl_value value, char **ret_text, size_t *ret_size)
{
    sl_assert(ret_text != NULL);
    sl_assert(!sl_value_is_none(value));
    struct writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL) return -ENOMEM;
    put(writer, "", 0);
    if (is_container(value)) {
        begin(writer, value, false);
        while (writer->depth > 0 && writer->error == 0) step(writer);
    } else {
        put_scalar(writer, value, 2);
    }
    int result = writer->error;
    if (result == 0) {
        writer->text[writer->size] = '\0';
        *ret_text = writer->text;
        if (ret_size != NULL) *ret_size = writer->size;
    } else {
        free(writer->text);
    }
    free(writer);
    return result;
}
