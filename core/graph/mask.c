/* SPDX-License-Identifier: MIT */
#include "core/graph/mask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "codecs/text/base64.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/mem/out.h"

#define MASK "***"

enum {
    KEY_SIZE_MAX = 256,     /* of a key that holds a hidden value: cut */
    SECRET_VARIANT_MIN = 8, /* bytes: of shorter ones too little would be left to look for */
    SECRET_VARIANT_MAX = 64 * 1024,
};

struct needle {
    uint8_t *data;
    size_t size;
};

struct sl_mask {
    struct needle *needles; /* array of count, by first byte, then the longest first */
    uint32_t count;
    uint32_t first[257]; /* by first byte: where its needles begin */
};

/* An open container of a walk. */
struct frame {
    struct sl_value container;
    uint32_t next;
    uint32_t count;
};

/* ---- Making ------------------------------------------------------------------------------- */

/* The needles of a mask while they are collected; `error` sticks. */
struct draft {
    struct needle *needles; /* array of count */
    size_t count;
    size_t cap;
    int error;
};

static void needle_add(struct draft *draft, const void *data, size_t size)
{
    if (draft->error < 0 || size == 0) return;
    if (draft->count == SL_MASK_NEEDLES_MAX) {
        draft->error = -E2BIG;
        return;
    }
    if (draft->count == draft->cap) {
        size_t cap = draft->cap > 0 ? 2 * draft->cap : 16;
        struct needle *needles = realloc(draft->needles, cap * sizeof(*needles));
        if (needles == NULL) {
            draft->error = -ENOMEM;
            return;
        }
        draft->needles = needles;
        draft->cap = cap;
    }
    uint8_t *copy = malloc(size);
    if (copy == NULL) {
        draft->error = -ENOMEM;
        return;
    }
    memcpy(copy, data, size);
    draft->needles[draft->count++] = (struct needle){copy, size};
}

/* As JSON writes it inside a string. */
static void put_json(struct draft *draft, struct sl_value string)
{
    struct sl_out out;
    sl_out_init(&out, NULL);
    if (sl_json_write(string, 0, &out) == 0 && out.size - 2 != string.cell->len) {
        needle_add(draft, out.data + 1, out.size - 2);
    }
    if (out.data != NULL) explicit_bzero(out.data, out.cap);
    sl_out_fini(&out);
}

/* With percent escapes, as encodeURIComponent and most others write it. RFC 3986 section 2.3. */
static void put_percent(struct draft *draft, struct sl_slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    uint8_t *out = malloc(3 * text.size);
    if (out == NULL) {
        draft->error = -ENOMEM;
        return;
    }
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        uint8_t lower = byte | 0x20;
        bool is_plain = (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9') ||
                        (byte != 0 && strchr("-._~", byte) != NULL);
        if (is_plain) {
            out[size++] = byte;
            continue;
        }
        out[size++] = '%';
        out[size++] = (uint8_t)digits[byte >> 4];
        out[size++] = (uint8_t)digits[byte & 15];
    }
    if (size != text.size) needle_add(draft, out, size);
    free(out);
}

/*
 * Inside Base64 of a longer text, a secret has one of three forms, by where it begins modulo 3;
 * what its first and last characters share with their neighbours is left out.
 */
static void put_base64(struct draft *draft, struct sl_slice text)
{
    uint8_t *padded = calloc(1, text.size + 2);
    char *out = malloc(sl_base64_size(text.size + 2));
    if (padded == NULL || out == NULL) draft->error = -ENOMEM;
    for (size_t before = 0; before < 3 && draft->error == 0; before++) {
        memcpy(padded + before, text.data, text.size);
        sl_base64_write(padded, text.size + before, out);
        size_t first = before == 0 ? 0 : before + 1;
        size_t last = (text.size + before) * 8 / 6;
        needle_add(draft, out + first, last - first);
        bool is_other = false;
        for (size_t i = first; i < last; i++) {
            if (out[i] != '+' && out[i] != '/') continue;
            out[i] = out[i] == '+' ? '-' : '_';
            is_other = true;
        }
        /* RFC 4648 section 5: the alphabet for URLs. */
        if (is_other) needle_add(draft, out + first, last - first);
    }
    free(padded);
    free(out);
}

/* A key from a file often ends with a newline, which whoever uses it cuts off. */
static void put_trimmed(struct draft *draft, struct sl_slice text)
{
    size_t size = text.size;
    while (text.size > 0 && text.data[text.size - 1] <= ' ') text.size--;
    while (text.size > 0 && text.data[0] <= ' ') text = sl_slice_make(text.data + 1, text.size - 1);
    if (text.size > 0 && text.size != size) needle_add(draft, text.data, text.size);
}

static void put_text_needles(struct draft *draft, struct sl_value string)
{
    struct sl_slice text = sl_value_slice(string);
    if (text.size == 0) return;
    needle_add(draft, text.data, text.size);
    put_trimmed(draft, text);
    if (text.size > SECRET_VARIANT_MAX) return;
    if (sl_value_is(string, SL_VALUE_STRING)) put_json(draft, string);
    if (text.size < SECRET_VARIANT_MIN) return;
    put_percent(draft, text);
    put_base64(draft, text);
}

static void put_part(struct draft *draft, struct sl_value value)
{
    enum sl_value_kind kind = sl_value_kind(value);
    if (kind == SL_VALUE_STRING || kind == SL_VALUE_BINARY) {
        put_text_needles(draft, value);
    } else if (kind == SL_VALUE_INT || kind == SL_VALUE_UINT || kind == SL_VALUE_FLOAT) {
        struct sl_out out;
        sl_out_init(&out, NULL);
        if (sl_json_write(value, 0, &out) == 0) needle_add(draft, out.data, out.size);
        if (out.data != NULL) explicit_bzero(out.data, out.cap);
        sl_out_fini(&out);
    }
}

static bool is_container(struct sl_value value)
{
    return sl_value_is(value, SL_VALUE_MAP) || sl_value_is(value, SL_VALUE_LIST);
}

/* Every leaf of a value. */
static void leaves_add(struct draft *draft, struct sl_value value)
{
    struct frame frames[SL_PAYLOAD_DEPTH_MAX];
    uint32_t depth = 0;
    if (sl_value_is_none(value)) return;
    if (!is_container(value)) {
        put_part(draft, value);
        return;
    }
    frames[depth++] = (struct frame){value, 0, sl_value_count(value)};
    while (depth > 0 && draft->error == 0) {
        struct frame *frame = &frames[depth - 1];
        if (frame->next == frame->count) {
            depth--;
            continue;
        }
        uint32_t i = frame->next++;
        struct sl_value child = sl_value_is(frame->container, SL_VALUE_MAP)
                                    ? sl_value_map_at(frame->container, i)
                                    : sl_value_list_at(frame->container, i);
        if (child.cell == NULL) {
            draft->error = -ENOMEM;
        } else if (!is_container(child)) {
            put_part(draft, child);
        } else if (depth == SL_PAYLOAD_DEPTH_MAX) {
            draft->error = -E2BIG;
        } else {
            frames[depth++] = (struct frame){child, 0, sl_value_count(child)};
        }
    }
}

/* By first byte, the longest first: one that holds another is looked for before it. */
static int needle_compare(const void *a, const void *b)
{
    const struct needle *one = a;
    const struct needle *other = b;
    if (one->data[0] != other->data[0]) return one->data[0] < other->data[0] ? -1 : 1;
    if (one->size != other->size) return one->size < other->size ? 1 : -1;
    return memcmp(one->data, other->data, one->size);
}

static void needle_drop(struct needle *needle)
{
    explicit_bzero(needle->data, needle->size);
    free(needle->data);
}

/* Sort, keep each once, and know where those of a first byte begin. */
static struct sl_mask *mask_make(struct draft *draft)
{
    struct sl_mask *mask = calloc(1, sizeof(*mask));
    if (mask == NULL) return NULL;
    qsort(draft->needles, draft->count, sizeof(draft->needles[0]), needle_compare);
    uint32_t count = 0;
    for (size_t i = 0; i < draft->count; i++) {
        if (count > 0 && needle_compare(&draft->needles[i], &draft->needles[count - 1]) == 0) {
            needle_drop(&draft->needles[i]);
        } else {
            draft->needles[count++] = draft->needles[i];
        }
    }
    for (uint32_t i = 0; i < count; i++) mask->first[draft->needles[i].data[0] + 1U]++;
    for (uint32_t byte = 0; byte < 256; byte++) mask->first[byte + 1] += mask->first[byte];
    sl_assert(mask->first[256] == count);
    mask->needles = draft->needles;
    mask->count = count;
    return mask;
}

int sl_mask_new(const struct sl_value *secrets, uint32_t count, struct sl_mask **ret_mask)
{
    sl_assert(count == 0 || secrets != NULL);
    sl_assert(ret_mask != NULL);
    struct draft draft = {NULL, 0, 0, 0};
    struct sl_mask *mask = NULL;
    for (uint32_t i = 0; i < count; i++) leaves_add(&draft, secrets[i]);
    if (draft.error == 0 && draft.count > 0) {
        mask = mask_make(&draft);
        if (mask == NULL) draft.error = -ENOMEM;
    }
    if (mask == NULL) {
        for (size_t i = 0; i < draft.count; i++) needle_drop(&draft.needles[i]);
        free(draft.needles);
    }
    if (draft.error < 0) return draft.error;
    *ret_mask = mask;
    return 0;
}

struct sl_mask *sl_mask_free(struct sl_mask *mask)
{
    if (mask == NULL) return NULL;
    for (uint32_t i = 0; i < mask->count; i++) needle_drop(&mask->needles[i]);
    free(mask->needles);
    free(mask);
    return NULL;
}

/* ---- Texts -------------------------------------------------------------------------------- */

size_t sl_mask_at(const struct sl_mask *mask, struct sl_slice text, size_t at)
{
    sl_assert(mask != NULL);
    sl_assert(at < text.size);
    uint32_t end = mask->first[text.data[at] + 1U];
    for (uint32_t i = mask->first[text.data[at]]; i < end; i++) {
        const struct needle *needle = &mask->needles[i];
        if (needle->size < SL_MASK_SIZE_MIN) return 0; /* and so are those behind it */
        if (needle->size > text.size - at) continue;
        if (memcmp(text.data + at, needle->data, needle->size) == 0) return needle->size;
    }
    return 0;
}

bool sl_mask_is_whole(const struct sl_mask *mask, struct sl_slice text)
{
    sl_assert(mask != NULL);
    if (text.size == 0) return false;
    uint32_t end = mask->first[text.data[0] + 1U];
    for (uint32_t i = mask->first[text.data[0]]; i < end; i++) {
        const struct needle *needle = &mask->needles[i];
        if (sl_slice_eq(sl_slice_make(needle->data, needle->size), text)) return true;
    }
    return false;
}

/* The first hidden value in `text`: where, and how long; the longest where several begin. */
static const uint8_t *find(const struct sl_mask *mask, struct sl_slice text, size_t *ret_size)
{
    for (size_t at = 0; at < text.size; at++) {
        size_t size = sl_mask_at(mask, text, at);
        if (size == 0) continue;
        *ret_size = size;
        return text.data + at;
    }
    return NULL;
}

bool sl_mask_is_hit(const struct sl_mask *mask, struct sl_slice text)
{
    sl_assert(mask != NULL);
    size_t size;
    return sl_mask_is_whole(mask, text) || find(mask, text, &size) != NULL;
}

static size_t copy(char *buf, size_t used, size_t buf_size, const void *data, size_t size)
{
    size_t room = buf_size - 1 - used;
    if (size > room) size = room;
    if (size > 0) memcpy(buf + used, data, size);
    return used + size;
}

size_t sl_mask_text(const struct sl_mask *mask, struct sl_slice text, char *buf, size_t buf_size)
{
    sl_assert(mask != NULL);
    sl_assert(buf_size > 0);
    size_t used = 0, size = 0;
    if (sl_mask_is_whole(mask, text)) text = SL_SLICE(MASK);
    for (const uint8_t *at; (at = find(mask, text, &size)) != NULL;) {
        size_t before = (size_t)(at - text.data);
        used = copy(buf, used, buf_size, text.data, before);
        used = copy(buf, used, buf_size, MASK, sizeof(MASK) - 1);
        text = sl_slice_make(at + size, text.size - before - size);
    }
    used = copy(buf, used, buf_size, text.data, text.size);
    buf[used] = '\0';
    return used;
}

void sl_mask_diag(const struct sl_mask *mask, struct sl_diag *diag)
{
    sl_assert(mask != NULL);
    sl_assert(diag != NULL);
    char text[SL_DIAG_TEXT_SIZE];
    size_t size = sl_mask_text(mask, sl_slice_from_str(diag->text), text, sizeof(text));
    memcpy(diag->text, text, size + 1);
}

/* ---- Errors ------------------------------------------------------------------------------- */

/* A walk over an error that builds it anew. */
struct rebuild {
    const struct sl_mask *mask;
    struct sl_builder builder;
    struct frame frames[SL_PAYLOAD_DEPTH_MAX + 1];
    uint32_t depth;
    bool hit;
};

/* "***" is shorter than all that is hidden inside a text. */
static_assert(sizeof(MASK) - 1 < SL_MASK_SIZE_MIN, "a masked text does not grow");

static void put_text(struct rebuild *rebuild, struct sl_slice text)
{
    struct sl_builder *builder = &rebuild->builder;
    if (!sl_mask_is_hit(rebuild->mask, text)) {
        sl_build_string(builder, text.data, text.size);
        return;
    }
    rebuild->hit = true;
    size_t room = (text.size > sizeof(MASK) ? text.size : sizeof(MASK)) + 1;
    char *at = (char *)sl_build_string_reserve(builder, room);
    if (at == NULL) return; /* the builder has the error */
    sl_build_string_shrink(builder, sl_mask_text(rebuild->mask, text, at, room));
}

static void put_key(struct rebuild *rebuild, struct sl_slice key)
{
    char masked[KEY_SIZE_MAX];
    if (!sl_mask_is_hit(rebuild->mask, key)) {
        sl_build_key(&rebuild->builder, key.data, key.size);
        return;
    }
    rebuild->hit = true;
    size_t size = sl_mask_text(rebuild->mask, key, masked, sizeof(masked));
    sl_build_key(&rebuild->builder, masked, size);
}

static void container_open(struct rebuild *rebuild, struct sl_value value)
{
    bool is_error = sl_value_is(value, SL_VALUE_ERROR);
    if (is_error) {
        sl_build_error_begin(&rebuild->builder);
    } else if (sl_value_is(value, SL_VALUE_MAP)) {
        sl_build_map_begin(&rebuild->builder);
    } else {
        sl_build_list_begin(&rebuild->builder);
    }
    rebuild->frames[rebuild->depth++] =
        (struct frame){value, 0, is_error ? SL_ERROR_CELLS : sl_value_count(value)};
}

static void put_value(struct rebuild *rebuild, struct sl_value value)
{
    if (value.cell == NULL) {
        sl_build_null(&rebuild->builder);
    } else if (sl_value_is(value, SL_VALUE_STRING)) {
        put_text(rebuild, sl_value_slice(value));
    } else if ((is_container(value) || sl_value_is(value, SL_VALUE_ERROR)) &&
               rebuild->depth <= SL_PAYLOAD_DEPTH_MAX) {
        container_open(rebuild, value);
    } else {
        sl_build_value(&rebuild->builder, value);
    }
}

static void container_close(struct rebuild *rebuild)
{
    struct sl_value container = rebuild->frames[--rebuild->depth].container;
    if (sl_value_is(container, SL_VALUE_ERROR)) {
        sl_build_error_end(&rebuild->builder);
    } else if (sl_value_is(container, SL_VALUE_MAP)) {
        sl_build_map_end(&rebuild->builder);
    } else {
        sl_build_list_end(&rebuild->builder);
    }
}

static void rebuild_all(struct rebuild *rebuild, struct sl_value error)
{
    put_value(rebuild, error);
    while (rebuild->depth > 0 && rebuild->builder.error == 0) {
        struct frame *frame = &rebuild->frames[rebuild->depth - 1];
        if (frame->next == frame->count) {
            container_close(rebuild);
            continue;
        }
        uint32_t i = frame->next++;
        if (sl_value_is(frame->container, SL_VALUE_MAP)) {
            put_key(rebuild, sl_value_key_at(frame->container, i));
            put_value(rebuild, sl_value_map_at(frame->container, i));
        } else if (sl_value_is(frame->container, SL_VALUE_ERROR)) {
            put_value(rebuild, sl_error_part(frame->container, i));
        } else {
            put_value(rebuild, sl_value_list_at(frame->container, i));
        }
    }
}

struct sl_value sl_mask_error(const struct sl_mask *mask, struct sl_value error, struct sl_mem *mem)
{
    sl_assert(mask != NULL);
    sl_assert(sl_value_is(error, SL_VALUE_ERROR));
    struct rebuild rebuild;
    struct sl_value masked = sl_value_none();
    rebuild.mask = mask;
    rebuild.depth = 0;
    rebuild.hit = false;
    sl_builder_init(&rebuild.builder, mem, 0, 0);
    rebuild_all(&rebuild, error);
    bool good = sl_builder_finish(&rebuild.builder, &masked) == 0;
    if (!rebuild.hit) {
        if (good) sl_value_unref(masked);
        return error;
    }
    sl_value_unref(error);
    return good ? masked : sl_value_none();
}
