/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as YAML: no crash, and what is read can be written and read back equal. Places inside
 * strings stay inside the text.
 */
#include <stdint.h>
#include <stdlib.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/yaml/yaml.h"
#include "core/base/assertion.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_float(const struct sl_buf *buf)
{
    for (uint32_t i = 0; buf != NULL && i < buf->cells_count; i++) {
        if (buf->cells[i].kind == SL_VALUE_FLOAT) return true; /* NaN equals nothing */
    }
    return false;
}

static bool has_odd_text(const struct sl_buf *buf)
{
    for (uint32_t i = 0; buf != NULL && i < buf->cells_count; i++) {
        if (buf->cells[i].kind != SL_VALUE_STRING) continue;
        const uint8_t *bytes = sl_cell_bytes(buf, &buf->cells[i]);
        for (uint32_t j = 0; j < buf->cells[i].len; j++) {
            if (bytes[j] >= 0x80) return true; /* not UTF-8: comes back as Binary */
        }
    }
    return false;
}

static void round_trip(struct sl_value value)
{
    char *text = NULL;
    size_t size = 0;
    sl_assert(sl_yaml_write(value, &text, &size) == 0);
    struct sl_value again = sl_value_none();
    struct sl_diag diag = {0};
    int result = sl_yaml_parse_one(sl_slice_make(text, size), NULL, 0, &again, &diag);
    sl_assert(result == 0);
    if (!has_float(value.buf) && !has_odd_text(value.buf)) sl_assert(sl_value_equal(value, again));
    sl_value_unref(again);
    free(text);
}

static void locate_all(struct sl_slice source, const struct sl_yaml *yaml, struct sl_value value)
{
    for (uint32_t i = 0; value.buf != NULL && i < value.buf->cells_count; i++) {
        const struct sl_cell *cell = &value.buf->cells[i];
        if (cell->kind != SL_VALUE_STRING || cell->len > 256) continue;
        struct sl_value string = {value.buf, cell};
        const struct sl_yaml_text *entry = sl_yaml_text_find(yaml, sl_value_pos(string));
        if (entry == NULL) continue;
        for (uint32_t line = 1; line < 4; line++) {
            struct sl_pos pos = sl_yaml_locate(source, entry, sl_value_slice(string), line, 2);
            sl_assert(pos.line > 0);
            sl_assert(pos.column > 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_yaml yaml = {0};
    struct sl_diags diags = {0};
    struct sl_slice source = sl_slice_make(data, size);
    int result = sl_yaml_parse(source, "fuzz.yaml", NULL, 0, &yaml, &diags);
    sl_assert((result == 0) == (diags.errors_count == 0));
    for (size_t i = 0; i < yaml.docs_count; i++) {
        round_trip(yaml.docs[i].value);
        locate_all(source, &yaml, yaml.docs[i].value);
    }
    sl_yaml_fini(&yaml);
    sl_diags_fini(&diags);
    return 0;
}
