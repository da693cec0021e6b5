/* SPDX-License-Identifier: MIT */
/*
 * JSON to a payload and back. bench/json sets the parser beside other libraries; this is what the
 * message path pays: strings borrowed from the request's text, memory of the shard.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/micro/micro.h"
#include "bench/micro/sample.h"
#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "core/mem/out.h"

enum { MEMORY_MAX = 64 * 1024 * 1024 };

struct json {
    struct sl_mem *mem;
    const char *text;
    struct sl_value owner; /* holds the text, so that strings may be borrowed */
    struct sl_value value;
    struct sl_out out;
};

static const bool SMALL = false;
static const bool LARGE = true;

static int json_setup(struct sl_micro_run *run)
{
    struct json *json = calloc(1, sizeof(*json));
    sl_assert(json != NULL);
    json->mem = sl_mem_new(MEMORY_MAX);
    sl_assert(json->mem != NULL);
    const char *text = *(const bool *)run->arg ? sl_sample_json_large() : SL_SAMPLE_JSON;
    json->owner = sl_value_new_string(json->mem, text, strlen(text));
    sl_assert(!sl_value_is_none(json->owner));
    json->text = (const char *)sl_value_slice(json->owner).data;
    json->value = sl_sample_value(text, json->mem);
    sl_out_init(&json->out, json->mem);
    run->bytes = strlen(text);
    run->state = json;
    return 0;
}

static void json_teardown(struct sl_micro_run *run)
{
    struct json *json = run->state;
    sl_out_fini(&json->out);
    sl_value_unref(json->value);
    sl_value_unref(json->owner);
    (void)sl_mem_free(json->mem);
    free(json);
}

static void parse_run(struct sl_micro_run *run, uint64_t count)
{
    struct json *json = run->state;
    struct sl_slice text = sl_slice_make(json->text, run->bytes);
    for (uint64_t i = 0; i < count; i++) {
        struct sl_value value;
        int result = sl_json_parse(text, json->owner.buf, json->mem, 0, &value, NULL);
        sl_assert(result == 0);
        sl_value_unref(value);
    }
}

static void print_run(struct sl_micro_run *run, uint64_t count)
{
    struct json *json = run->state;
    for (uint64_t i = 0; i < count; i++) {
        json->out.size = 0;
        int result = sl_json_write(json->value, 0, &json->out);
        sl_assert(result == 0);
    }
}

#define CASE(case_name, text, function, which)                                                     \
    {                                                                                              \
        .name = (case_name), .about = (text), .setup = json_setup, .run = (function),              \
        .teardown = json_teardown, .arg = &(which)                                                 \
    }

static const struct sl_micro_case CASES[] = {
    CASE("json/parse-169", "an object of 169 bytes to a payload, and drop it", parse_run, SMALL),
    CASE("json/print-169", "and to text", print_run, SMALL),
    CASE("json/parse-12k", "a list of 70 such objects", parse_run, LARGE),
    CASE("json/print-12k", "and to text", print_run, LARGE),
};

const struct sl_micro_group sl_micro_json = SL_MICRO_GROUP("json", CASES);
