/* SPDX-License-Identifier: MIT */
#include "tests/nodes/js/fixture.h"

#include <stdio.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/mem/mem.h"

void fixture_init(struct fixture *fixture, const struct sl_engine *engine)
{
    *fixture = (struct fixture){.engine = engine, .clock = sl_clock_system()};
    fixture->mem = sl_mem_new((size_t)1 << 30);
    sl_assert(fixture->mem != NULL);
}

bool fixture_fini(struct fixture *fixture)
{
    if (fixture->engine->shard_fini != NULL) fixture->engine->shard_fini(fixture->shard_state);
    struct sl_mem_stats stats;
    sl_mem_stats_get(fixture->mem, &stats);
    (void)sl_mem_free(fixture->mem);
    return stats.used == 0;
}

struct attached fixture_attach(struct fixture *fixture, const char *code)
{
    struct sl_script_source source = {
        .code = sl_slice_from_str(code),
        .file = "test.yaml",
        .pos = {10, 5},
        .indent = 4,
        .name = "node",
        .env = fixture->env,
        .allow_eval = fixture->allow_eval,
        .timeout_ms = fixture->timeout_ms,
        .memory_max = fixture->memory_max,
    };
    struct attached attached = {NULL, NULL};
    if (fixture->engine->compile(&source, &attached.script, &fixture->diag) < 0) return attached;
    if (fixture->engine->attach == NULL) return attached;
    int err = fixture->engine->attach(attached.script, &fixture->shard_state, &attached.instance,
                                      &fixture->diag);
    if (err < 0) {
        fixture->engine->script_free(attached.script);
        attached.script = NULL;
    }
    return attached;
}

void fixture_detach(struct fixture *fixture, struct attached *attached)
{
    if (fixture->engine->detach != NULL) {
        fixture->engine->detach(attached->script, fixture->shard_state, attached->instance);
    }
    fixture->engine->script_free(attached->script);
    *attached = (struct attached){NULL, NULL};
}

struct sl_value fixture_call(struct fixture *fixture, struct attached *attached,
                             struct sl_value input)
{
    struct sl_script_call call = {
        .input = input, .mem = fixture->mem, .clock = fixture->clock, .deadline_ns = UINT64_MAX};
    struct sl_value result = fixture->engine->run(attached->script, attached->instance, &call);
    sl_value_unref(input);
    return result;
}

const char *fixture_call_text(struct fixture *fixture, struct attached *attached,
                              struct sl_value input)
{
    struct sl_value result = fixture_call(fixture, attached, input);
    value_print(result, fixture->text, sizeof(fixture->text));
    sl_value_unref(result);
    return fixture->text;
}

const char *fixture_run(struct fixture *fixture, const char *code, struct sl_value input)
{
    struct attached attached = fixture_attach(fixture, code);
    if (attached.script == NULL) {
        sl_value_unref(input);
        size_t used = (size_t)snprintf(fixture->text, sizeof(fixture->text), "diag: ");
        used += sl_diag_format(&fixture->diag, fixture->text + used, sizeof(fixture->text) - used);
        if (fixture->text[used - 1] == '\n') fixture->text[used - 1] = '\0';
        return fixture->text;
    }
    const char *text = fixture_call_text(fixture, &attached, input);
    fixture_detach(fixture, &attached);
    return text;
}

/* ---- Printing: recursion is fine, tests make their values themselves ------------------------ */

struct printer {
    char *buf;
    size_t size;
    size_t used;
};

static void put(struct printer *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct printer *p, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(p->buf + p->used, p->size - p->used, fmt, args);
    va_end(args);
    p->used += (size_t)n;
    if (p->used >= p->size) p->used = p->size - 1;
}

static void print(struct printer *p, struct sl_value value);

static void print_map(struct printer *p, struct sl_value value)
{
    put(p, "{");
    for (uint32_t i = 0; i < sl_value_count(value); i++) {
        put(p, "%s\"%.*s\": ", i ? ", " : "", SL_SLICE_FMT(sl_value_key_at(value, i)));
        print(p, sl_value_map_at(value, i));
    }
    put(p, "}");
}

static void print_list(struct printer *p, struct sl_value value)
{
    put(p, "[");
    for (uint32_t i = 0; i < sl_value_count(value); i++) {
        if (i > 0) put(p, ", ");
        print(p, sl_value_list_at(value, i));
    }
    put(p, "]");
}

static void print_error(struct printer *p, struct sl_value value)
{
    put(p, "error(%.*s, ", SL_SLICE_FMT(sl_value_slice(sl_error_part(value, SL_ERROR_CODE))));
    for (uint32_t i = SL_ERROR_MESSAGE; i < SL_ERROR_CELLS; i++) {
        print(p, sl_error_part(value, i));
        put(p, i + 1 < SL_ERROR_CELLS ? ", " : ")");
    }
}

static void print_binary(struct printer *p, struct sl_slice slice)
{
    put(p, "b'");
    for (size_t i = 0; i < slice.size && i < 64; i++) put(p, "%02x", slice.data[i]);
    put(p, "'");
}

static void print(struct printer *p, struct sl_value value)
{
    if (value.cell == NULL) {
        put(p, "none");
        return;
    }
    const struct sl_cell *cell = value.cell;
    switch (sl_value_kind(value)) {
    case SL_VALUE_NULL: put(p, "null"); break;
    case SL_VALUE_BOOL: put(p, cell->word ? "true" : "false"); break;
    case SL_VALUE_INT: put(p, "%lld", (long long)cell->i64); break;
    case SL_VALUE_UINT: put(p, "%lluu", (unsigned long long)cell->word); break;
    case SL_VALUE_FLOAT: put(p, "%.17g", cell->f64); break;
    case SL_VALUE_STRING: put(p, "\"%.*s\"", SL_SLICE_FMT(sl_value_slice(value))); break;
    case SL_VALUE_BINARY: print_binary(p, sl_value_slice(value)); break;
    case SL_VALUE_LIST: print_list(p, value); break;
    case SL_VALUE_MAP: print_map(p, value); break;
    case SL_VALUE_ERROR: print_error(p, value); break;
    case SL_VALUE_TIME: put(p, "t'%lld.%09u'", (long long)cell->i64, cell->len); break;
    case SL_VALUE_DURATION: put(p, "d'%lld.%09u'", (long long)cell->i64, cell->len); break;
    default: put(p, "?"); break;
    }
}

void value_print(struct sl_value value, char *buf, size_t buf_size)
{
    struct printer p = {buf, buf_size, 0};
    buf[0] = '\0';
    print(&p, value);
}
