/* SPDX-License-Identifier: MIT */
/* The runner of files of test cases; see cases.h. */
#include "nodes/script/cel/cases.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/json/json.h"
#include "core/base/assertion.h"
#include "core/mem/out.h"
#include "nodes/script/cel/cases_value.h"
#include "nodes/script/cel/format.h"
#include "nodes/script/cel/result.h"

enum { NAMES_MAX = 64, TEXT_MAX = 400 };

/* One file being run. */
struct runner {
    FILE *out;
    const char *path;
    struct sl_slice section;
    struct sl_cel_cases_counts counts;
    struct sl_cel_shard *shard;
};

/* One case. */
struct test_case {
    struct runner *runner;
    struct sl_value json;
    struct sl_cel_arena arena; /* declarations, expected and bound values */
    struct sl_cel_eval make;   /* makes values in the arena */
    struct sl_cel_decl decls[NAMES_MAX];
    struct sl_cel_function_decl functions[NAMES_MAX];
    struct sl_cel_options options;
    char got[TEXT_MAX];
};

static struct sl_slice text_at(struct sl_value map, const char *key)
{
    struct sl_value value = sl_value_get_str(map, key);
    return sl_value_is(value, SL_VALUE_STRING) ? sl_value_slice(value) : (struct sl_slice){NULL, 0};
}

static bool flag_at(struct sl_value map, const char *key)
{
    struct sl_value value = sl_value_get_str(map, key);
    return sl_value_is(value, SL_VALUE_BOOL) && value.cell->word != 0;
}

static char *copy_text(struct test_case *test, struct sl_slice text)
{
    char *copy = sl_cel_arena_zero(&test->arena, text.size + 1);
    if (copy != NULL && text.size > 0) memcpy(copy, text.data, text.size);
    return copy;
}

/* ------------------------------------------------------------------------------------------ */
/* Reporting                                                                                    */

static void expected_text(struct sl_value json, char *buf, size_t buf_size)
{
    static const char *const names[] = {"value",           "typed_result", "eval_error",
                                        "any_eval_errors", "unknown",      "any_unknowns"};
    struct sl_out text;
    sl_out_init(&text, NULL);
    (void)snprintf(buf, buf_size, "nothing");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct sl_value value = sl_value_get_str(json, names[i]);
        if (value.cell == NULL || sl_json_write(value, 0, &text) != 0) continue;
        (void)snprintf(buf, buf_size, "%s %.*s", names[i], (int)text.size, (const char *)text.data);
        break;
    }
    sl_out_fini(&text);
}

static void report(struct test_case *test)
{
    char expected[TEXT_MAX];
    struct runner *runner = test->runner;
    expected_text(test->json, expected, sizeof(expected));
    (void)fprintf(runner->out, "%s: %.*s/%.*s: %.*s: expected %s, got %s\n", runner->path,
                  SL_SLICE_FMT(runner->section), SL_SLICE_FMT(text_at(test->json, "name")),
                  SL_SLICE_FMT(text_at(test->json, "expr")), expected, test->got);
}

static void got_value(struct test_case *test, struct sl_cel_eval *eval,
                      const struct sl_cel_val *val)
{
    struct sl_cel_val format = sl_cel_string_str("%s");
    struct sl_cel_val list;
    struct sl_cel_val text;
    const struct sl_cel_val *args[2] = {&format, &list};
    bool done = sl_cel_list_new(eval, 1, &list) && sl_cel_list_push(eval, list.list, val) &&
                sl_cel_call_format(eval, args, &text);
    if (!done) text = sl_cel_string_str("?");
    (void)snprintf(test->got, sizeof(test->got), "%s %.*s", sl_cel_type_name(val),
                   SL_SLICE_FMT(sl_cel_slice(&text)));
}

/* ------------------------------------------------------------------------------------------ */
/* Declarations                                                                                 */

static bool declare_function(struct test_case *test, const char *name, struct sl_value overload)
{
    struct sl_cel_case_params params = {.count = 0};
    struct sl_value list = sl_value_get_str(overload, "params");
    uint32_t count = list.cell != NULL ? sl_value_count(list) : 0;
    const struct sl_cel_type **types =
        sl_cel_arena_zero(&test->arena, (count + 1) * sizeof(*types));
    if (types == NULL || test->options.functions_count == NAMES_MAX) return false;
    for (uint32_t i = 0; i < count; i++) {
        types[i] = sl_cel_case_type(&test->arena, sl_value_list_at(list, i), &params);
        if (types[i] == NULL) return false;
    }
    const struct sl_cel_type *result =
        sl_cel_case_type(&test->arena, sl_value_get_str(overload, "result_type"), &params);
    test->functions[test->options.functions_count++] = (struct sl_cel_function_decl){
        name, types, count, result, flag_at(overload, "is_instance_function")};
    return result != NULL;
}

static bool declare(struct test_case *test, struct sl_value entry)
{
    const char *name = copy_text(test, text_at(entry, "name"));
    struct sl_value ident = sl_value_get_str(entry, "ident");
    if (name == NULL || test->options.decls_count == NAMES_MAX) return false;
    if (ident.cell != NULL) {
        struct sl_cel_case_params params = {.count = 0};
        const struct sl_cel_type *type =
            sl_cel_case_type(&test->arena, sl_value_get_str(ident, "type"), &params);
        test->decls[test->options.decls_count++] = (struct sl_cel_decl){.name = name, .type = type};
        return type != NULL;
    }
    struct sl_value function = sl_value_get_str(entry, "function");
    struct sl_value list =
        function.cell != NULL ? sl_value_get_str(function, "overloads") : function;
    for (uint32_t i = 0; list.cell != NULL && i < sl_value_count(list); i++) {
        if (!declare_function(test, name, sl_value_list_at(list, i))) return false;
    }
    return true;
}

static int64_t find_decl(const struct test_case *test, struct sl_slice name)
{
    for (uint32_t i = 0; i < test->options.decls_count; i++) {
        if (sl_slice_eq_str(name, test->decls[i].name)) return i;
    }
    return -1;
}

/* All that type_env and bindings name. */
static bool declare_all(struct test_case *test)
{
    struct sl_value list = sl_value_get_str(test->json, "type_env");
    for (uint32_t i = 0; list.cell != NULL && i < sl_value_count(list); i++) {
        if (!declare(test, sl_value_list_at(list, i))) return false;
    }
    struct sl_value bindings = sl_value_get_str(test->json, "bindings");
    for (uint32_t i = 0; bindings.cell != NULL && i < sl_value_count(bindings); i++) {
        struct sl_slice name = sl_value_key_at(bindings, i);
        if (find_decl(test, name) >= 0) continue;
        if (test->options.decls_count == NAMES_MAX) return false;
        test->decls[test->options.decls_count++].name = copy_text(test, name);
    }
    return true;
}

/* The bound values into a frame; what is not bound fails when it is used. */
static bool bind_all(struct test_case *test, struct sl_cel_val *frame)
{
    struct sl_value bindings = sl_value_get_str(test->json, "bindings");
    for (uint32_t i = 0; i < test->options.decls_count; i++) {
        frame[-1 - (int64_t)i] = (struct sl_cel_val){.kind = SL_CEL_FAILED};
    }
    for (uint32_t i = 0; bindings.cell != NULL && i < sl_value_count(bindings); i++) {
        int64_t at = find_decl(test, sl_value_key_at(bindings, i));
        struct sl_value value = sl_value_get_str(sl_value_map_at(bindings, i), "value");
        if (value.cell == NULL) continue;
        sl_assert(at >= 0);
        if (!sl_cel_case_value(&test->make, value, &frame[-1 - at])) return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------------------ */
/* Judging                                                                                      */

static bool judge_type(struct test_case *test, const struct sl_cel_program *program)
{
    struct sl_value typed = sl_value_get_str(test->json, "typed_result");
    struct sl_value json =
        sl_value_is(typed, SL_VALUE_MAP) ? sl_value_get_str(typed, "deduced_type") : typed;
    if (json.cell == NULL) return true;
    struct sl_cel_case_params params = {.count = 0};
    const struct sl_cel_type *expected = sl_cel_case_type(&test->arena, json, &params);
    const struct sl_cel_type *got = sl_cel_program_type(program);
    if (expected != NULL && sl_cel_type_equal(expected, got)) return true;
    size_t size = (size_t)snprintf(test->got, sizeof(test->got), "type ");
    (void)sl_cel_type_format(got, test->got + size, sizeof(test->got) - size);
    return false;
}

static bool judge_value(struct test_case *test, struct sl_cel_eval *eval,
                        const struct sl_cel_val *val)
{
    struct sl_value json = sl_value_get_str(test->json, "value");
    struct sl_value typed = sl_value_get_str(test->json, "typed_result");
    if (sl_value_is(typed, SL_VALUE_MAP)) json = sl_value_get_str(typed, "result");
    struct sl_cel_val expected;
    got_value(test, eval, val);
    if (json.cell == NULL || !sl_cel_case_value(&test->make, json, &expected)) return false;
    return sl_cel_case_same(eval, val, &expected, 0);
}

static bool wants_error(const struct test_case *test)
{
    return sl_value_get_str(test->json, "eval_error").cell != NULL ||
           sl_value_get_str(test->json, "any_eval_errors").cell != NULL;
}

/* No run costs more than what was promised before it. */
static bool judge_cost(struct test_case *test, const struct sl_cel_eval *eval)
{
    if (eval->cost <= eval->program->cost_bound) return true;
    (void)snprintf(test->got, sizeof(test->got), "cost %" PRIu64 ", more than its bound %" PRIu64,
                   eval->cost, eval->program->cost_bound);
    return false;
}

static bool run_program(struct test_case *test, const struct sl_cel_program *program)
{
    struct sl_cel_instance *instance;
    struct sl_script_call call = {.deadline_ns = UINT64_MAX};
    const struct sl_cel_val *val;
    if (sl_cel_instance_new(program, test->runner->shard, &instance) != 0) return false;
    struct sl_cel_eval *eval = sl_cel_begin(instance, &call);
    bool passed = false;
    if (!bind_all(test, instance->frame)) {
        (void)snprintf(test->got, sizeof(test->got), "bindings that do not exist here");
    } else if ((val = sl_cel_execute(eval, instance->frame, NULL)) != NULL) {
        passed = judge_cost(test, eval) && judge_value(test, eval, val);
    } else {
        passed = wants_error(test);
        (void)snprintf(test->got, sizeof(test->got), "error %s",
                       eval->failure.message != NULL ? eval->failure.message : "of a payload");
    }
    (void)sl_cel_instance_free(instance);
    return passed;
}

static bool run_case(struct test_case *test)
{
    struct sl_cel_program *program;
    struct sl_diag diag = {.code = ""};
    if (!declare_all(test)) {
        (void)snprintf(test->got, sizeof(test->got), "declarations that do not exist here");
        return false;
    }
    test->options.decls = test->decls;
    test->options.functions = test->functions;
    test->options.no_check = flag_at(test->json, "disable_check");
    test->options.no_macros = flag_at(test->json, "disable_macros");
    test->options.container = copy_text(test, text_at(test->json, "container"));
    struct sl_script_source source = {.code = text_at(test->json, "expr"), .file = ""};
    if (sl_cel_compile(&source, &test->options, &program, &diag) != 0) {
        (void)snprintf(test->got, sizeof(test->got), "refused: %.300s", diag.text);
        return wants_error(test);
    }
    bool passed = judge_type(test, program);
    if (passed && !flag_at(test->json, "check_only")) passed = run_program(test, program);
    (void)sl_cel_program_free(program);
    return passed;
}

static int start_case(struct runner *runner, struct sl_value json)
{
    if (flag_at(json, "needs_proto")) {
        runner->counts.skipped++;
        return 0;
    }
    struct test_case *test = calloc(1, sizeof(*test));
    if (test == NULL) return -ENOMEM;
    test->runner = runner;
    test->json = json;
    sl_cel_arena_init(&test->arena, SL_SCRIPT_MEMORY);
    test->make = (struct sl_cel_eval){
        .arena = &test->arena, .cost_next = UINT64_MAX, .cost_max = UINT64_MAX};
    if (run_case(test)) {
        runner->counts.passed++;
    } else {
        runner->counts.failed++;
        report(test);
    }
    sl_cel_arena_fini(&test->arena);
    free(test);
    return 0;
}

/* ------------------------------------------------------------------------------------------ */

static int run_sections(struct runner *runner, struct sl_value root)
{
    struct sl_value sections =
        sl_value_is(root, SL_VALUE_MAP) ? sl_value_get_str(root, "section") : sl_value_none();
    if (!sl_value_is(sections, SL_VALUE_LIST)) {
        (void)fprintf(runner->out, "%s: no list \"section\" in it\n", runner->path);
        return -EINVAL;
    }
    int result = 0;
    for (uint32_t i = 0; i < sl_value_count(sections) && result == 0; i++) {
        struct sl_value section = sl_value_list_at(sections, i);
        if (!sl_value_is(section, SL_VALUE_MAP)) continue;
        struct sl_value tests = sl_value_get_str(section, "test");
        if (!sl_value_is(tests, SL_VALUE_LIST)) continue;
        runner->section = text_at(section, "name");
        for (uint32_t at = 0; at < sl_value_count(tests) && result == 0; at++) {
            struct sl_value test = sl_value_list_at(tests, at);
            if (sl_value_is(test, SL_VALUE_MAP)) result = start_case(runner, test);
        }
    }
    return result;
}

static int read_file(const char *path, uint8_t **ret_data, size_t *ret_size)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) return -errno;
    size_t cap = 64 * 1024;
    size_t size = 0;
    uint8_t *data = malloc(cap);
    while (data != NULL) {
        size += fread(data + size, 1, cap - size, file);
        if (size < cap) break;
        uint8_t *bigger = cap < SL_SPEC_FILE_SIZE_MAX ? realloc(data, cap *= 2) : NULL;
        if (bigger == NULL) free(data);
        data = bigger;
    }
    int result = data == NULL ? -ENOMEM : ferror(file) ? -EIO : 0;
    (void)fclose(file);
    if (result != 0) free(data);
    *ret_data = data;
    *ret_size = size;
    return result;
}

int sl_cel_cases_run(FILE *out, const char *path, struct sl_cel_cases_counts *ret_counts)
{
    sl_assert(out != NULL);
    sl_assert(path != NULL);
    uint8_t *data = NULL;
    size_t size = 0;
    int result = read_file(path, &data, &size);
    if (result != 0) return result;
    struct runner runner = {.out = out, .path = path, .shard = sl_cel_shard_new()};
    struct sl_value root;
    struct sl_diag diag;
    if (runner.shard == NULL) {
        result = -ENOMEM;
    } else if (sl_json_parse(sl_slice_make(data, size), NULL, NULL, 0, &root, &diag) != 0) {
        (void)fprintf(out, "%s:%u:%u: %s\n", path, diag.pos.line, diag.pos.column, diag.text);
        result = -EINVAL;
    } else {
        result = run_sections(&runner, root);
        sl_value_unref(root);
    }
    if (result == 0) {
        (void)fprintf(out, "%u passed, %u failed, %u skipped\n", runner.counts.passed,
                      runner.counts.failed, runner.counts.skipped);
        if (ret_counts != NULL) *ret_counts = runner.counts;
    }
    (void)sl_cel_shard_free(runner.shard);
    free(data);
    return result;
}
