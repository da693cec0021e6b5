/* SPDX-License-Identifier: MIT */
#include "nodes/script/mask.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/mem/out.h"

#define MASK "***"

enum { KEY_SIZE_MAX = 256 }; /* of a key that holds a hidden value: cut */

struct needle {
    uint8_t *data;
    size_t size;
};

struct sl_mask {
    size_t count;
    struct needle needles[SL_MASK_NEEDLES_MAX]; /* longest first: one may hold another */
};

/* An open container of a walk. */
struct frame {
    struct sl_value container;
    uint32_t next;
    uint32_t count;
};

/* ---- Making ------------------------------------------------------------------------------- */

static int needle_add(struct sl_mask *mask, struct sl_slice text)
{
    if (text.size < SL_MASK_SIZE_MIN) return 0;
    size_t at = 0;
    for (size_t i = 0; i < mask->count; i++) {
        const struct needle *needle = &mask->needles[i];
        if (sl_slice_eq(sl_slice_make(needle->data, needle->size), text)) return 0;
        if (needle->size >= text.size) at = i + 1;
    }
    if (mask->count == SL_MASK_NEEDLES_MAX) return -E2BIG;
    uint8_t *data = malloc(text.size);
    if (data == NULL) return -ENOMEM;
    memcpy(data, text.data, text.size);
    memmove(&mask->needles[at + 1], &mask->needles[at],
            (mask->count - at) * sizeof(mask->needles[0]));
    mask->needles[at] = (struct needle){data, text.size};
    mask->count++;
    return 0;
}

/* The text itself, and as it stands between the quotes of JSON. */
static int text_add(struct sl_mask *mask, struct sl_value text)
{
    int r = needle_add(mask, sl_value_slice(text));
    struct sl_out out;
    sl_out_init(&out, NULL);
    if (r == 0) r = sl_json_write(text, 0, &out);
    if (r == 0 && out.size >= 2) r = needle_add(mask, sl_slice_make(out.data + 1, out.size - 2));
    if (out.data != NULL) explicit_bzero(out.data, out.cap);
    sl_out_fini(&out);
    return r;
}

static int leaf_add(struct sl_mask *mask, struct sl_value value)
{
    char digits[32];
    if (sl_value_is(value, SL_VALUE_STRING)) return text_add(mask, value);
    if (!sl_value_is(value, SL_VALUE_INT)) return 0;
    int size = snprintf(digits, sizeof(digits), "%" PRId64, value.cell->i64);
    return needle_add(mask, sl_slice_make(digits, (size_t)size));
}

static bool is_container(struct sl_value value)
{
    return sl_value_is(value, SL_VALUE_MAP) || sl_value_is(value, SL_VALUE_LIST);
}

static int leaves_add(struct sl_mask *mask, struct sl_value secrets)
{
    struct frame frames[SL_PAYLOAD_DEPTH_MAX];
    uint32_t depth = 1;
    frames[0] = (struct frame){secrets, 0, sl_value_count(secrets)};
    while (depth > 0) {
        struct frame *frame = &frames[depth - 1];
        if (frame->next == frame->count) {
            depth--;
            continue;
        }
        uint32_t i = frame->next++;
        struct sl_value child = sl_value_is(frame->container, SL_VALUE_MAP)
                                    ? sl_value_map_at(frame->container, i)
                                    : sl_value_list_at(frame->container, i);
        if (child.cell == NULL) return -ENOMEM;
        if (is_container(child)) {
            if (depth == SL_PAYLOAD_DEPTH_MAX) return -E2BIG;
            frames[depth++] = (struct frame){child, 0, sl_value_count(child)};
            continue;
        }
        int r = leaf_add(mask, child);
        if (r < 0) return r;
    }
    return 0;
}

int sl_mask_new(struct sl_value secrets, struct sl_mask **ret_mask)
{
    sl_assert(ret_mask != NULL);
    struct sl_mask *mask = NULL;
    if (sl_value_is(secrets, SL_VALUE_LIST) && sl_value_count(secrets) > 0) {
        mask = calloc(1, sizeof(*mask));
        if (mask == NULL) return -ENOMEM;
        int r = leaves_add(mask, secrets);
        if (r < 0 || mask->count == 0) mask = sl_mask_free(mask);
        if (r < 0) return r;
    }
    *ret_mask = mask;
    return 0;
}

struct sl_mask *sl_mask_free(struct sl_mask *mask)
{
    if (mask == NULL) return NULL;
    for (size_t i = 0; i < mask->count; i++) {
        explicit_bzero(mask->needles[i].data, mask->needles[i].size);
        free(mask->needles[i].data);
    }
    free(mask);
    return NULL;
}

/* ---- Texts -------------------------------------------------------------------------------- */

/* The first hidden value in `text`: where, and how long; the longest where several begin. */
static const uint8_t *find(const struct sl_mask *mask, struct sl_slice text, size_t *ret_size)
{
    const uint8_t *first = NULL;
    for (size_t i = 0; i < mask->count; i++) {
        const struct needle *needle = &mask->needles[i];
        const uint8_t *at = text.size >= needle->size
                                ? memmem(text.data, text.size, needle->data, needle->size)
                                : NULL;
        if (at == NULL || (first != NULL && at >= first)) continue;
        first = at;
        *ret_size = needle->size;
    }
    return first;
}

bool sl_mask_is_hit(const struct sl_mask *mask, struct sl_slice text)
{
    sl_assert(mask != NULL);
    size_t size;
    return find(mask, text, &size) != NULL;
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

/* "***" is shorter than all that is hidden. */
static_assert(sizeof(MASK) - 1 < SL_MASK_SIZE_MIN, "a masked text does not grow");

static void put_text(struct rebuild *rebuild, struct sl_slice text)
{
    struct sl_builder *builder = &rebuild->builder;
    if (!sl_mask_is_hit(rebuild->mask, text)) {
        sl_build_string(builder, text.data, text.size);
        return;
    }
    rebuild->hit = true;
    char *at = (char *)sl_build_string_reserve(builder, text.size + 1);
    if (at == NULL) return; /* the builder has the error */
    sl_build_string_shrink(builder, sl_mask_text(rebuild->mask, text, at, text.size + 1));
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
