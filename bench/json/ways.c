/* SPDX-License-Identifier: MIT */
#include "bench/json/ways.h"

#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "core/mem/out.h"

#ifdef SL_HAVE_JANSSON
#include <jansson.h>
#endif

#ifdef SL_HAVE_SIMDJSON
void *simdjson_shim_new(void);
void simdjson_shim_free(void *shim);
int simdjson_shim_parse(void *shim, const uint8_t *data, size_t size, size_t cap);
size_t simdjson_shim_write(void *shim);
const char *simdjson_shim_name(void);
#endif

enum {
    WAYS_MEM_CAP = 1 << 30,
    WAYS_DUMP_FACTOR = 8, /* a text may get so much longer when it is written again */
};

struct ways {
    const struct doc *doc;
    struct sl_mem *mem;
    struct sl_buf *owner; /* what the texts are borrowed from */
    struct sl_out out;
    struct sl_value values[DOC_PARTS_MAX];
    void *simdjson; /* reads */
    void *simdjson_values[DOC_PARTS_MAX];
    char *dump; /* array of dump_size */
    size_t dump_size;
#ifdef SL_HAVE_JANSSON
    json_t *jansson_values[DOC_PARTS_MAX];
#endif
};

static void read_sluice_with(struct ways *ways, struct sl_buf *owner)
{
    for (size_t i = 0; i < ways->doc->count; i++) {
        const struct doc_part *part = &ways->doc->parts[i];
        struct sl_value value;
        int result =
            sl_json_parse(sl_slice_make(part->data, part->size), owner, ways->mem, 0, &value, NULL);
        sl_assert(result == 0);
        sl_value_unref(value);
    }
}

static void read_sluice(struct ways *ways)
{
    read_sluice_with(ways, ways->owner);
}

static void read_sluice_copied(struct ways *ways)
{
    read_sluice_with(ways, NULL);
}

static void write_sluice(struct ways *ways)
{
    for (size_t i = 0; i < ways->doc->count; i++) {
        ways->out.size = 0;
        int result = sl_json_write(ways->values[i], 0, &ways->out);
        sl_assert(result == 0);
    }
}

#ifdef SL_HAVE_SIMDJSON
static void read_simdjson(struct ways *ways)
{
    for (size_t i = 0; i < ways->doc->count; i++) {
        const struct doc_part *part = &ways->doc->parts[i];
        int result =
            simdjson_shim_parse(ways->simdjson, part->data, part->size, part->size + DOC_PADDING);
        sl_assert(result == 0);
    }
}

static void write_simdjson(struct ways *ways)
{
    for (size_t i = 0; i < ways->doc->count; i++) {
        size_t size = simdjson_shim_write(ways->simdjson_values[i]);
        sl_assert(size > 0);
    }
}

static bool simdjson_prepare(struct ways *ways)
{
    bool read = true;
    ways->simdjson = simdjson_shim_new();
    for (size_t i = 0; i < ways->doc->count; i++) {
        const struct doc_part *part = &ways->doc->parts[i];
        ways->simdjson_values[i] = simdjson_shim_new();
        read &= simdjson_shim_parse(ways->simdjson_values[i], part->data, part->size,
                                    part->size + DOC_PADDING) == 0;
    }
    return read;
}

static void simdjson_drop(struct ways *ways)
{
    simdjson_shim_free(ways->simdjson);
    for (size_t i = 0; i < ways->doc->count; i++) simdjson_shim_free(ways->simdjson_values[i]);
}
#endif

#ifdef SL_HAVE_JANSSON
static void read_jansson(struct ways *ways)
{
    for (size_t i = 0; i < ways->doc->count; i++) {
        const struct doc_part *part = &ways->doc->parts[i];
        json_error_t error;
        json_t *root = json_loadb((const char *)part->data, part->size, JSON_DECODE_ANY, &error);
        sl_assert(root != NULL);
        json_decref(root);
    }
}

static void write_jansson(struct ways *ways)
{
    for (size_t i = 0; i < ways->doc->count; i++) {
        size_t size = json_dumpb(ways->jansson_values[i], ways->dump, ways->dump_size,
                                 JSON_COMPACT | JSON_ENCODE_ANY);
        sl_assert(size > 0 && size <= ways->dump_size);
    }
}

static bool jansson_prepare(struct ways *ways)
{
    bool read = true;
    for (size_t i = 0; i < ways->doc->count; i++) {
        const struct doc_part *part = &ways->doc->parts[i];
        json_error_t error;
        ways->jansson_values[i] =
            json_loadb((const char *)part->data, part->size, JSON_DECODE_ANY, &error);
        read &= ways->jansson_values[i] != NULL;
    }
    return read;
}
#endif

static const struct way ways_all[] = {
    {"sluice", false, read_sluice},     {"sluice_copied", false, read_sluice_copied},
#ifdef SL_HAVE_SIMDJSON
    {"simdjson", false, read_simdjson},
#endif
#ifdef SL_HAVE_JANSSON
    {"jansson", false, read_jansson},
#endif
    {"sluice", true, write_sluice},
#ifdef SL_HAVE_SIMDJSON
    {"simdjson", true, write_simdjson},
#endif
#ifdef SL_HAVE_JANSSON
    {"jansson", true, write_jansson},
#endif
};

static_assert(sizeof(ways_all) / sizeof(ways_all[0]) <= WAYS_MAX, "the tables have room");

const struct way *ways_get(size_t *ret_count)
{
    sl_assert(ret_count != NULL);
    *ret_count = sizeof(ways_all) / sizeof(ways_all[0]);
    return ways_all;
}

static bool sluice_prepare(struct ways *ways)
{
    ways->mem = sl_mem_new(WAYS_MEM_CAP);
    sl_assert(ways->mem != NULL);
    ways->owner = sl_value_new_int(ways->mem, 0).buf;
    sl_out_init(&ways->out, NULL);
    for (size_t i = 0; i < ways->doc->count; i++) {
        const struct doc_part *part = &ways->doc->parts[i];
        if (sl_json_parse(sl_slice_make(part->data, part->size), NULL, ways->mem, 0,
                          &ways->values[i], NULL) < 0) {
            return false;
        }
    }
    return true;
}

struct ways *ways_new(const struct doc *doc, const char **ret_name)
{
    sl_assert(doc != NULL);
    sl_assert(ret_name != NULL);
    struct ways *ways = calloc(1, sizeof(*ways));
    sl_assert(ways != NULL);
    ways->doc = doc;
    ways->dump_size = doc->size * WAYS_DUMP_FACTOR;
    ways->dump = malloc(ways->dump_size);
    sl_assert(ways->dump != NULL);
    const char *refused = sluice_prepare(ways) ? NULL : "sluice";
#ifdef SL_HAVE_SIMDJSON
    if (!simdjson_prepare(ways)) refused = "simdjson";
#endif
#ifdef SL_HAVE_JANSSON
    if (!jansson_prepare(ways)) refused = "jansson";
#endif
    if (refused == NULL) return ways;
    *ret_name = refused;
    return ways_free(ways);
}

struct ways *ways_free(struct ways *ways)
{
    if (ways == NULL) return NULL;
#ifdef SL_HAVE_SIMDJSON
    simdjson_drop(ways);
#endif
#ifdef SL_HAVE_JANSSON
    for (size_t i = 0; i < ways->doc->count; i++) json_decref(ways->jansson_values[i]);
#endif
    sl_out_fini(&ways->out);
    ways->mem = sl_mem_free(ways->mem); /* values and owner with it */
    free(ways->dump);
    free(ways);
    return NULL;
}

const char *ways_simdjson_name(void)
{
#ifdef SL_HAVE_SIMDJSON
    return simdjson_shim_name();
#else
    return "";
#endif
}
