/* SPDX-License-Identifier: MIT */
/*
 * CEL from any text: it compiles or is refused, and runs to a value or an error within its limits.
 * The first byte picks how it is compiled; `self` is a small payload.
 */
#include <stdint.h>
#include <stdlib.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "nodes/script/cel/cel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { UNPACK = 1, NO_CHECK = 2, NO_MACROS = 4 };

static const char payload[] =
    "{\"a\":1,\"b\":[1,2.5,\"x\",null,true],\"c\":{\"d\":\"text\",\"e\":{}},"
    "\"s\":\"h\\u00e9llo\",\"n\":-5}";

static struct sl_value self;
static struct sl_cel_shard *shard;

static void start(void)
{
    if (shard != NULL) return;
    shard = sl_cel_shard_new();
    if (shard == NULL) abort();
    if (sl_json_parse(sl_slice_from_str(payload), NULL, NULL, 0, &self, NULL) != 0) abort();
}

static void run(struct sl_cel_program *program)
{
    struct sl_cel_instance *instance;
    struct sl_script_call call = {.clock = NULL, .deadline_ns = UINT64_MAX};
    if (sl_cel_instance_new(program, shard, &instance) != 0) return;
    struct sl_value values[1] = {self};
    struct sl_value error = sl_value_none();
    struct sl_value result = sl_cel_run(instance, values, &call);
    if (result.cell == NULL) abort();
    sl_value_unref(result);
    if (sl_cel_test(instance, values, &call, &error) < 0) sl_value_unref(error);
    (void)sl_cel_instance_free(instance);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sl_cel_decl decls[1] = {{.name = "self", .always = true}};
    start();
    if (size == 0) return 0;
    struct sl_cel_options options = {.decls = decls,
                                     .decls_count = 1,
                                     .unpack = (data[0] & UNPACK) != 0,
                                     .no_check = (data[0] & NO_CHECK) != 0,
                                     .no_macros = (data[0] & NO_MACROS) != 0,
                                     .cost_max = 20000,
                                     .memory_max = 1024 * 1024};
    struct sl_script_source source = {.code = {data + 1, size - 1}, .file = "fuzz"};
    struct sl_cel_program *program;
    struct sl_diag diag;
    if (sl_cel_compile(&source, &options, &program, &diag) != 0) return 0;
    run(program);
    (void)sl_cel_program_free(program);
    return 0;
}
