/* SPDX-License-Identifier: MIT */
/*
 * The verifier: one pass over the cells, from the root (the last) down. Children stand before
 * their parent, so when a cell is visited its parent has been: it left a mark at each child, its
 * depth plus one. No mark means no parent, a second mark means two; with both excluded, and every
 * range before its parent, there is no cycle, no sharing and nothing that is not reached.
 *
 * Nothing here trusts anything: cells are copied out before they are looked at, since the bytes
 * need not be aligned.
 */
#include "codecs/flat/flat_internal.h"
#include "codecs/flat/flat_view.h"

#include <errno.h>

enum { VERIFY_MARKS_INLINE = 4096 };

static_assert(SL_PAYLOAD_DEPTH_MAX + 1 <= UINT8_MAX, "a mark is a byte");

struct verify {
    struct flat_view view;
    uint8_t *marks;      /* array of cells_count: depth + 1, or 0 */
    uint64_t bytes_used; /* by all strings together */
};

static struct sl_cell cell_load(const struct verify *verify, uint64_t index)
{
    struct sl_cell cell;
    memcpy(&cell, verify->view.cells + index * sizeof(cell), sizeof(cell));
    return cell;
}

static bool bytes_inside(const struct verify *verify, const struct sl_cell *cell)
{
    return cell->word <= verify->view.bytes_size &&
           cell->len <= verify->view.bytes_size - cell->word;
}

/* What is wrong with a scalar or string by itself, or NULL. */
static const char *scalar_check(struct verify *verify, const struct sl_cell *cell)
{
    if (cell->flags != 0) return "a scalar with flags";
    switch (cell->kind) {
    case SL_VALUE_NULL: return cell->len != 0 || cell->word != 0 ? "a null that is more" : NULL;
    case SL_VALUE_BOOL: return cell->len != 0 || cell->word > 1 ? "a bool that is more" : NULL;
    case SL_VALUE_INT:
    case SL_VALUE_FLOAT: return cell->len != 0 ? "a number with a length" : NULL;
    case SL_VALUE_UINT:
        if (cell->len != 0) return "a number with a length";
        return cell->word <= INT64_MAX ? "a Uint that should be an Int" : NULL;
    case SL_VALUE_STRING:
    case SL_VALUE_BINARY:
        if (!bytes_inside(verify, cell)) return "a string out of bounds";
        verify->bytes_used += cell->len;
        if (verify->bytes_used > verify->view.bytes_size) return "strings that overlap";
        return NULL;
    case SL_VALUE_TIME:
    case SL_VALUE_DURATION: return cell->len > 999999999 ? "too many nanoseconds" : NULL;
    default: return "an unknown kind";
    }
}

/* Mark the children of a container; their range must be free and before `at`. */
static const char *children_claim(struct verify *verify, const struct sl_cell *cell, uint64_t at,
                                  uint64_t count)
{
    if (count == 0) return cell->word != 0 ? "an empty container with a place" : NULL;
    if (count > at || cell->word > at - count) return "children that are not before their parent";
    uint8_t mark = (uint8_t)(verify->marks[at] + 1);
    for (uint64_t i = 0; i < count; i++) {
        if (verify->marks[cell->word + i] != 0) return "a cell with two parents";
        verify->marks[cell->word + i] = mark;
    }
    return NULL;
}

static const char *list_check(const struct verify *verify, const struct sl_cell *list)
{
    for (uint64_t i = 0; i < list->len; i++) {
        if (cell_load(verify, list->word + i).hash != 0) return "a hash on what is not a key";
    }
    return NULL;
}

static const uint8_t *key_bytes(const struct verify *verify, const struct sl_cell *key)
{
    return key->len > 0 ? verify->view.bytes + key->word : (const uint8_t *)"";
}

static const char *pairs_check(const struct verify *verify, const struct sl_cell *map)
{
    for (uint64_t i = 0; i < map->len; i++) {
        struct sl_cell key = cell_load(verify, map->word + 2 * i);
        if (key.kind != SL_VALUE_STRING) return "a key that is not a string";
        if (!bytes_inside(verify, &key)) return "a string out of bounds";
        if (key.hash != sl_hash16(key_bytes(verify, &key), key.len)) return "a wrong key hash";
        if (cell_load(verify, map->word + 2 * i + 1).hash != 0) {
            return "a hash on what is not a key";
        }
    }
    return NULL;
}

static int keys_compare(const struct verify *verify, const struct sl_cell *map, uint64_t a,
                        uint64_t b)
{
    struct sl_cell a_key = cell_load(verify, map->word + 2 * a);
    struct sl_cell b_key = cell_load(verify, map->word + 2 * b);
    return flat_key_compare(key_bytes(verify, &a_key), &a_key, key_bytes(verify, &b_key), &b_key);
}

/* A small map without an index: no key twice. */
static const char *keys_check(const struct verify *verify, const struct sl_cell *map)
{
    if (map->len > SL_PAYLOAD_MAP_INDEX_MIN) return "a large map without an index";
    for (uint64_t i = 1; i < map->len; i++) {
        for (uint64_t j = 0; j < i; j++) {
            if (keys_compare(verify, map, i, j) == 0) return "a key that stands twice";
        }
    }
    return NULL;
}

/* The index: strictly rising keys, so each pair is in it once and no key stands twice. */
static const char *index_check(const struct verify *verify, const struct sl_cell *map)
{
    struct sl_cell index = cell_load(verify, map->word + 2 * (uint64_t)map->len);
    if (index.kind != SL_VALUE_BINARY || index.hash != 0) return "a map index of a wrong kind";
    if (!bytes_inside(verify, &index)) return "a string out of bounds";
    if (index.len != (uint64_t)map->len * 4) return "a map index of a wrong size";
    uint32_t before = 0;
    for (uint64_t i = 0; i < map->len; i++) {
        uint32_t number;
        memcpy(&number, verify->view.bytes + index.word + 4 * i, 4);
        if (number >= map->len) return "a map index out of bounds";
        if (i > 0 && keys_compare(verify, map, before, number) >= 0) return "a map index unsorted";
        before = number;
    }
    return NULL;
}

static const char *error_check(const struct verify *verify, const struct sl_cell *error)
{
    uint8_t kinds[SL_ERROR_CELLS];
    for (uint64_t i = 0; i < SL_ERROR_CELLS; i++) {
        struct sl_cell cell = cell_load(verify, error->word + i);
        if (cell.hash != 0) return "a hash on what is not a key";
        kinds[i] = cell.kind;
    }
    if (kinds[SL_ERROR_CODE] != SL_VALUE_STRING) return "an error code that is not a string";
    if (kinds[SL_ERROR_MESSAGE] != SL_VALUE_STRING) return "an error message that is not a string";
    uint8_t cause = kinds[SL_ERROR_CAUSE], status = kinds[SL_ERROR_STATUS];
    if (cause != SL_VALUE_ERROR && cause != SL_VALUE_NULL) return "a cause that is no error";
    if (status != SL_VALUE_INT && status != SL_VALUE_NULL) return "a status that is no integer";
    return NULL;
}

static const char *container_check(struct verify *verify, const struct sl_cell *cell, uint64_t at)
{
    bool indexed = cell->flags == SL_CELL_INDEXED;
    if (cell->flags != 0 && !(indexed && cell->kind == SL_VALUE_MAP)) return "unknown flags";
    if (verify->marks[at] > SL_PAYLOAD_DEPTH_MAX) return "nested too deep";
    if (cell->kind == SL_VALUE_ERROR && cell->len != SL_ERROR_CELLS)
        return "an error of wrong size";
    uint64_t count = cell->kind == SL_VALUE_MAP ? 2 * (uint64_t)cell->len + indexed : cell->len;
    const char *wrong = children_claim(verify, cell, at, count);
    if (wrong != NULL || count == 0) return wrong;
    if (cell->kind == SL_VALUE_LIST) return list_check(verify, cell);
    if (cell->kind == SL_VALUE_ERROR) return error_check(verify, cell);
    wrong = pairs_check(verify, cell);
    if (wrong != NULL) return wrong;
    return indexed ? index_check(verify, cell) : keys_check(verify, cell);
}

static const char *cells_check(struct verify *verify)
{
    uint64_t count = verify->view.cells_count;
    if (verify->view.root != count - 1) return "a root that is not the last cell";
    if (cell_load(verify, count - 1).hash != 0) return "a hash on what is not a key";
    verify->marks[count - 1] = 1;
    for (uint64_t at = count; at-- > 0;) {
        struct sl_cell cell = cell_load(verify, at);
        if (verify->marks[at] == 0) return "a cell without a parent";
        const char *wrong = flat_is_container(&cell) ? container_check(verify, &cell, at)
                                                     : scalar_check(verify, &cell);
        if (wrong != NULL) return wrong;
    }
    return NULL;
}

int sl_flat_verify(const void *data, size_t size, struct sl_diag *reterr)
{
    return sl_flat_verify_in(data, size, NULL, reterr);
}

int sl_flat_verify_in(const void *data, size_t size, struct sl_mem *mem, struct sl_diag *reterr)
{
    sl_assert(data != NULL || size == 0);
    const struct sl_pos nowhere = {0, 0};
    uint8_t marks[VERIFY_MARKS_INLINE];
    struct verify verify = {.marks = marks};
    if (!flat_view_open(data, size, &verify.view)) {
        (void)sl_diag_set(reterr, "bad_packet", nowhere, "the tables of a packet are damaged");
        return -EBADMSG;
    }
    uint32_t count = verify.view.cells_count;
    if (count > VERIFY_MARKS_INLINE) {
        verify.marks = mem != NULL ? sl_mem_take(mem, count) : malloc(count);
        if (verify.marks == NULL) return -ENOMEM;
    }
    memset(verify.marks, 0, count);
    const char *wrong = cells_check(&verify);
    if (verify.marks != marks && mem != NULL) sl_mem_give(mem, verify.marks, count);
    if (verify.marks != marks && mem == NULL) free(verify.marks);
    if (wrong == NULL) return 0;
    (void)sl_diag_set(reterr, "bad_packet", nowhere, "a packet has %s", wrong);
    return -EBADMSG;
}
