/* SPDX-License-Identifier: MIT */
/*
 * multipart/form-data:
 *
 *     --boundary CRLF  part head CRLF CRLF  bytes  CRLF --boundary …  CRLF --boundary--
 *
 * Source: RFC 7578, RFC 2046 section 5.1.1. A part with `filename` is a file.
 */
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/http1/http1.h"
#include "core/mem/mem.h"
#include "io/http/body.h"

enum { BOUNDARY_MAX = 70, PART_FIELDS_MAX = 16 };

struct part {
    struct sl_slice name;
    struct sl_slice filename; /* data NULL: no file */
    struct sl_slice head;     /* its field lines */
    struct sl_slice data;
    bool is_done; /* already in the result */
};

/* Value of a parameter `name=` of a field value: a token or a quoted string, quotes taken off. */
static bool parameter(struct sl_slice value, const char *name, struct sl_slice *ret)
{
    size_t name_size = strlen(name);
    const uint8_t *at = memchr(value.data, ';', value.size);
    const uint8_t *end = value.data + value.size;
    while (at != NULL && at < end) {
        at++;
        while (at < end && (*at == ' ' || *at == '\t')) at++;
        const uint8_t *key = at;
        while (at < end && *at != '=' && *at != ';') at++;
        struct sl_slice got = sl_slice_make(key, (size_t)(at - key));
        bool is_it = got.size == name_size && sl_slice_eq_nocase(got, sl_slice_from_str(name));
        if (at == end || *at == ';') continue;
        const uint8_t *begin = ++at;
        if (at < end && *at == '"') {
            begin = ++at;
            while (at < end && *at != '"') at += *at == '\\' && end - at > 1 ? 2 : 1;
            if (at >= end) return false;
            *ret = sl_slice_make(begin, (size_t)(at - begin));
            at++;
        } else {
            while (at < end && *at != ';' && *at != ' ' && *at != '\t') at++;
            *ret = sl_slice_make(begin, (size_t)(at - begin));
        }
        if (is_it) return true;
        while (at < end && *at != ';') at++;
    }
    return false;
}

/* The value of one field of a part's head; data NULL if it is not there. */
static struct sl_slice part_field(struct sl_slice head, const char *name)
{
    size_t name_size = strlen(name);
    const uint8_t *at = head.data;
    const uint8_t *end = at + head.size;
    while (at < end) {
        const uint8_t *line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
        if (line_end == NULL) line_end = end;
        const uint8_t *colon = memchr(at, ':', (size_t)(line_end - at));
        if (colon != NULL && (size_t)(colon - at) == name_size &&
            sl_slice_eq_nocase(sl_slice_make(at, name_size), sl_slice_from_str(name))) {
            colon++;
            while (colon < line_end && (*colon == ' ' || *colon == '\t')) colon++;
            return sl_slice_make(colon, (size_t)(line_end - colon));
        }
        at = line_end + 2;
    }
    return (struct sl_slice){NULL, 0};
}

/* One part, from behind its boundary line. False if it is malformed. */
static bool part_read(struct sl_slice bytes, struct part *ret)
{
    const uint8_t *end;
    size_t skip = 4;
    if (bytes.size >= 2 && memcmp(bytes.data, "\r\n", 2) == 0) {
        end = bytes.data;
        skip = 2;
    } else {
        end = memmem(bytes.data, bytes.size, "\r\n\r\n", 4);
    }
    if (end == NULL) return false;
    *ret = (struct part){.head = {bytes.data, (size_t)(end - bytes.data)}};
    ret->data = sl_slice_make(end + skip, bytes.size - ret->head.size - skip);
    struct sl_slice disposition = part_field(ret->head, "content-disposition");
    if (disposition.data == NULL || !parameter(disposition, "name", &ret->name)) return false;
    if (!parameter(disposition, "filename", &ret->filename)) ret->filename.data = NULL;
    return true;
}

/*
 * Cut the body into parts.
 * returns  their number, or -1 if it is malformed or has more than `parts_max`
 */
static int parts_read(struct sl_slice body, struct sl_slice boundary, struct part *parts,
                      uint32_t parts_max)
{
    uint8_t line[BOUNDARY_MAX + 4] = "\r\n--";
    size_t line_size = boundary.size + 4;
    uint32_t count = 0;
    memcpy(line + 4, boundary.data, boundary.size);
    const uint8_t *end = body.data + body.size;
    const uint8_t *at = body.data;
    if (body.size >= line_size - 2 && memcmp(at, line + 2, line_size - 2) == 0) {
        at += line_size - 2;
    } else {
        at = memmem(at, body.size, line, line_size);
        if (at == NULL) return -1;
        at += line_size;
    }
    for (;;) {
        if (end - at >= 2 && memcmp(at, "--", 2) == 0) return (int)count;
        while (at < end && (*at == ' ' || *at == '\t')) at++;
        if (end - at < 2 || memcmp(at, "\r\n", 2) != 0) return -1;
        at += 2;
        const uint8_t *next = memmem(at, (size_t)(end - at), line, line_size);
        if (next == NULL && end - at >= 2 && memcmp(at, line + 2, 2) == 0) return -1;
        if (next == NULL || count == parts_max) return -1;
        if (!part_read(sl_slice_make(at, (size_t)(next - at)), &parts[count++])) return -1;
        at = next + line_size;
    }
}

static void build_part_head(struct sl_builder *builder, struct sl_slice head)
{
    const uint8_t *at = head.data;
    const uint8_t *end = at + head.size;
    sl_build_map_begin(builder);
    for (int i = 0; i < PART_FIELDS_MAX && at < end; i++) {
        const uint8_t *line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
        if (line_end == NULL) line_end = end;
        const uint8_t *colon = memchr(at, ':', (size_t)(line_end - at));
        uint8_t name[64];
        if (colon != NULL && (size_t)(colon - at) <= sizeof(name)) {
            struct sl_slice raw = sl_slice_make(at, (size_t)(colon - at));
            sl_http1_header_canonical(raw, name);
            sl_build_key(builder, name, raw.size);
            colon++;
            while (colon < line_end && (*colon == ' ' || *colon == '\t')) colon++;
            sl_build_list_begin(builder);
            sl_build_string(builder, colon, (size_t)(line_end - colon));
            sl_build_list_end(builder);
        }
        at = line_end + 2;
    }
    sl_build_map_end(builder);
}

static void build_part(struct sl_builder *builder, struct sl_value raw, const struct part *part)
{
    if (part->filename.data == NULL) {
        sl_build_string_borrow(builder, raw.buf, part->data.data, part->data.size);
        return;
    }
    sl_build_map_begin(builder);
    sl_build_key_str(builder, "filename");
    sl_build_string(builder, part->filename.data, part->filename.size);
    sl_build_key_str(builder, "header");
    build_part_head(builder, part->head);
    sl_build_key_str(builder, "size");
    sl_build_int(builder, (int64_t)part->data.size);
    sl_build_key_str(builder, "data");
    sl_build_binary_borrow(builder, raw.buf, part->data.data, part->data.size);
    sl_build_map_end(builder);
}

/* name → [parts], of files or of values. */
static void build_parts(struct sl_builder *builder, struct sl_value raw, struct part *parts,
                        int count, bool files)
{
    sl_build_map_begin(builder);
    for (int i = 0; i < count; i++) {
        if (parts[i].is_done || (parts[i].filename.data != NULL) != files) continue;
        sl_build_key(builder, parts[i].name.data, parts[i].name.size);
        sl_build_list_begin(builder);
        for (int j = i; j < count; j++) {
            if (parts[j].is_done || (parts[j].filename.data != NULL) != files) continue;
            if (!sl_slice_eq(parts[i].name, parts[j].name)) continue;
            build_part(builder, raw, &parts[j]);
            parts[j].is_done = true;
        }
        sl_build_list_end(builder);
    }
    sl_build_map_end(builder);
}

struct sl_value http_multipart_decode(struct sl_mem *mem, struct sl_value raw,
                                      struct sl_slice content_type)
{
    struct sl_slice boundary;
    if (!parameter(content_type, "boundary", &boundary) || boundary.size == 0 ||
        boundary.size > BOUNDARY_MAX) {
        return http_body_bad(mem, "multipart without a boundary");
    }
    size_t size = SL_HTTP_PAIRS_MAX * sizeof(struct part);
    struct part *parts = sl_mem_take(mem, size);
    if (parts == NULL) return sl_value_none();
    int count = parts_read(sl_value_slice(raw), boundary, parts, SL_HTTP_PAIRS_MAX);
    struct sl_value value;
    if (count < 0) {
        value = http_body_bad(mem, "malformed multipart");
    } else {
        struct sl_builder builder;
        sl_builder_init(&builder, mem, 8 * (uint32_t)count + 8, 64 * (uint32_t)count + 64);
        sl_build_map_begin(&builder);
        sl_build_key_str(&builder, "values");
        build_parts(&builder, raw, parts, count, false);
        sl_build_key_str(&builder, "files");
        build_parts(&builder, raw, parts, count, true);
        sl_build_map_end(&builder);
        if (sl_builder_finish(&builder, &value) < 0) value = sl_value_none();
    }
    sl_mem_give(mem, parts, size);
    return value;
}
