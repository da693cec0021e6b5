/* SPDX-License-Identifier: MIT */
/*
 * eval: one expression or script on one value, without a runtime.
 *
 *   --cel EXPR        an expression; --bind names are variables
 *   --js, --ts, --lua a module, or an expression that becomes the body of a function of `self`;
 *                     --bind names are members of `env`
 *   --json, --yaml    parse a file and print it as JSON
 *   --cases FILE      run files of test cases for CEL
 *   (nothing)         lines from standard input, one expression each
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "codecs/yaml/yaml.h"
#include "core/base/limit.h"
#include "core/mem/mem.h"
#include "ctl/cli/store.h"
#include "nodes/script/cel/cases.h"
#include "nodes/script/cel/cel.h"
#include "nodes/script/engine.h"

enum { EVAL_BINDS_MAX = 64, EVAL_MEMORY = 1 << 30, EVAL_TIMEOUT_MS = 5000 };

struct eval {
    struct cli_args *args;
    struct sl_mem *mem;
    struct sl_clock *clock;
    uint32_t timeout_ms;
    size_t count; /* variables: self, then the bound names */
    char *names[EVAL_BINDS_MAX + 1];
    struct sl_value values[EVAL_BINDS_MAX + 1];
    struct sl_cel_shard *cel; /* scratch memory, made when needed */
};

/* ---- values ---------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text);
    size_t end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* Say that keys stood twice: `what` names the text. */
static void duplicates_print(const char *what, uint32_t count)
{
    if (count == 0) return;
    (void)fprintf(stderr, "%s: warning: %u duplicate key%s: the last value won\n", what, count,
                  count == 1 ? "" : "s");
}

/* Read a file of JSON, or of YAML. Prints what is wrong. */
static bool file_value(struct cli_args *args, const char *path, bool is_yaml,
                       struct sl_value *ret_value)
{
    size_t size = 0;
    uint32_t duplicates = 0;
    struct sl_diag diag = {0};
    size_t size_max = is_yaml ? SL_SPEC_FILE_SIZE_MAX : SL_PAYLOAD_BYTES_MAX;
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    char *text = cli_read_file(path, size_max, &size, &diag);
    if (text == NULL) {
        cli_print_diag(args, &diag);
        return false;
    }
    struct sl_slice slice = sl_slice_make(text, size);
    int r = is_yaml ? sl_yaml_parse_one(slice, NULL, 0, ret_value, &diag)
                    : sl_json_parse_counted(slice, NULL, NULL, 0, ret_value, &duplicates, &diag);
    free(text);
    if (r == 0) {
        duplicates_print(name, duplicates);
        return true;
    }
    if (diag.text[0] == '\0') {
        (void)sl_diag_set(&diag, "limit", (struct sl_pos){0, 0}, "%s", strerror(-r));
    }
    sl_diag_file(&diag, name);
    cli_print_diag(args, &diag);
    return false;
}

static bool is_name(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9')) return false;
    }
    return size > 0;
}

/* The place of a name: after all others where it is new; false if it has a value already. */
static bool place_find(struct eval *eval, const char *text, size_t size, size_t *ret_at)
{
    size_t at = 0;
    while (at < eval->count &&
           (strlen(eval->names[at]) != size || strncmp(eval->names[at], text, size) != 0)) {
        at++;
    }
    *ret_at = at;
    return at == eval->count || (at == 0 && cli_get(eval->args, "self") == NULL &&
                                 sl_value_is(eval->values[0], SL_VALUE_NULL));
}

/* "NAME=JSON" */
static bool bind_add(struct eval *eval, const char *text)
{
    size_t at;
    const char *equals = strchr(text, '=');
    struct sl_diag diag = {0};
    if (equals == NULL || !is_name(text, (size_t)(equals - text))) {
        cli_error("\"--bind %s\": expected NAME=JSON", text);
        return false;
    }
    if (!place_find(eval, text, (size_t)(equals - text), &at)) {
        cli_error("\"--bind %s\": the name has a value already", text);
        return false;
    }
    if (at > EVAL_BINDS_MAX) {
        cli_error("more than %d names are bound", EVAL_BINDS_MAX);
        return false;
    }
    struct sl_value value;
    uint32_t duplicates = 0;
    if (sl_json_parse_counted(sl_slice_from_str(equals + 1), NULL, NULL, 0, &value, &duplicates,
                              &diag) < 0) {
        cli_error("\"--bind %s\": column %u of the JSON: %s", text, diag.pos.column, diag.text);
        return false;
    }
    eval->values[at] = value;
    if (at == eval->count) eval->names[eval->count++] = strndup(text, (size_t)(equals - text));
    duplicates_print(eval->names[at], duplicates);
    return true;
}

static bool values_read(struct eval *eval)
{
    const char *self = cli_get(eval->args, "self");
    size_t count;
    const char *const *binds = cli_get_list(eval->args, "bind", &count);
    eval->names[0] = strdup("self");
    eval->values[0] = sl_value_null();
    eval->count = 1;
    bool is_yaml = self != NULL && (ends_with(self, ".yaml") || ends_with(self, ".yml"));
    if (self != NULL && !file_value(eval->args, self, is_yaml, &eval->values[0])) return false;
    for (size_t i = 0; i < count; i++) {
        if (!bind_add(eval, binds[i])) return false;
    }
    return true;
}

/* ---- running --------------------------------------------------------------------------------- */

static uint32_t error_number(struct sl_value data, const char *key)
{
    struct sl_value number =
        sl_value_is(data, SL_VALUE_MAP) ? sl_value_get_str(data, key) : sl_value_none();
    return sl_value_is(number, SL_VALUE_INT) ? (uint32_t)number.cell->word : 0;
}

/* An error as a mistake at its place in `text`, if it has one. */
static void error_print(struct eval *eval, const char *text, struct sl_value error)
{
    struct sl_slice code = sl_value_slice(sl_error_part(error, SL_ERROR_CODE));
    struct sl_slice message = sl_value_slice(sl_error_part(error, SL_ERROR_MESSAGE));
    struct sl_value data = sl_error_part(error, SL_ERROR_DATA);
    struct sl_diag diag;
    struct sl_pos pos = {error_number(data, "line"), error_number(data, "column")};
    (void)sl_diag_set(&diag, "error", pos, "%.*s (%.*s)", SL_SLICE_FMT(message),
                      SL_SLICE_FMT(code));
    cli_print_diag_in(eval->args, text, &diag);
}

/* `text` is what was run. */
static int result_print(struct eval *eval, const char *text, struct sl_value result)
{
    if (sl_value_is_none(result)) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    bool failed = sl_value_is(result, SL_VALUE_ERROR);
    if (failed && !cli_is_json(eval->args)) {
        error_print(eval, text, result);
    } else if (!cli_print_value(result, cli_is_set(eval->args, "compact"))) {
        failed = true;
    }
    sl_value_unref(result);
    return failed ? CLI_FAILED : CLI_OK;
}

static struct sl_script_call call_make(struct eval *eval)
{
    uint64_t timeout_ns = eval->timeout_ms * SL_NS_PER_MS;
    return (struct sl_script_call){.input = eval->values[0],
                                   .mem = eval->mem,
                                   .clock = eval->clock,
                                   .deadline_ns = sl_clock_now_ns(eval->clock) + timeout_ns};
}

static int cel_run(struct eval *eval, const char *text)
{
    struct sl_cel_decl decls[EVAL_BINDS_MAX + 1] = {{0}};
    struct sl_cel_program *program = NULL;
    struct sl_cel_instance *instance = NULL;
    struct sl_diag diag = {0};
    for (size_t i = 0; i < eval->count; i++)
        decls[i] = (struct sl_cel_decl){eval->names[i], NULL, true};
    struct sl_script_source source = {
        .code = sl_slice_from_str(text), .file = "", .pos = {1, 1}, .name = "eval"};
    struct sl_cel_options options = {.decls = decls, .decls_count = (uint32_t)eval->count};
    if (eval->cel == NULL) eval->cel = sl_cel_shard_new();
    if (eval->cel == NULL) return CLI_FAILED;
    if (sl_cel_compile(&source, &options, &program, &diag) < 0) {
        cli_print_diag_in(eval->args, text, &diag);
        return CLI_FAILED;
    }
    int r = CLI_FAILED;
    if (sl_cel_instance_new(program, eval->cel, &instance) == 0) {
        struct sl_script_call call = call_make(eval);
        r = result_print(eval, text, sl_cel_run(instance, eval->values, &call));
    }
    instance = sl_cel_instance_free(instance);
    program = sl_cel_program_free(program);
    return r;
}

/* What a language wants around an expression, all on its first line. */
struct wrapping {
    const char *before;
    const char *after;
};

static struct wrapping wrapping_of(const char *language, const char *text)
{
    if (strcmp(language, "lua") == 0) {
        bool is_module = strstr(text, "return function") != NULL;
        return is_module ? (struct wrapping){"", ""}
                         : (struct wrapping){"return function(self) return ", "\nend"};
    }
    bool is_module = strstr(text, "export ") != NULL || strstr(text, "module.exports") != NULL;
    if (is_module) return (struct wrapping){"", ""};
    /* A function is an expression, too, but what people mean is its result. */
    return (struct wrapping){"export default (self) => "
                             "((it) => typeof it === 'function' ? it(self) : it)(",
                             "\n)"};
}

/* The bound names as `env`; cell == NULL without any. */
static struct sl_value env_make(const struct eval *eval)
{
    struct sl_builder b;
    struct sl_value env;
    if (eval->count == 1) return sl_value_none();
    sl_builder_init(&b, NULL, 16, 64);
    sl_build_map_begin(&b);
    for (size_t i = 1; i < eval->count; i++) {
        sl_build_key_str(&b, eval->names[i]);
        sl_build_value(&b, eval->values[i]);
    }
    sl_build_map_end(&b);
    return sl_builder_finish(&b, &env) < 0 ? sl_value_none() : env;
}

static int instance_run(struct eval *eval, const struct sl_engine *engine, struct sl_script *script,
                        const char *text)
{
    void *state = NULL;
    void *instance = NULL;
    struct sl_diag diag = {0};
    int r = CLI_FAILED;
    if (script->constant.cell != NULL) {
        r = result_print(eval, text, sl_value_ref(script->constant));
    } else if (engine->attach != NULL && engine->attach(script, &state, &instance, &diag) < 0) {
        cli_print_diag(eval->args, &diag);
    } else {
        struct sl_script_call call = call_make(eval);
        r = result_print(eval, text, engine->run(script, instance, &call));
        if (engine->detach != NULL) engine->detach(script, state, instance);
    }
    if (engine->shard_fini != NULL) engine->shard_fini(state);
    return r;
}

static int script_run(struct eval *eval, const char *language, const char *text)
{
    const struct sl_engine *engine = sl_engine_get(language);
    struct sl_script *script = NULL;
    struct sl_diag diag = {0};
    if (engine == NULL) {
        cli_error("the language \"%s\" was not built in; see \"sluice version\"", language);
        return CLI_FAILED;
    }
    struct wrapping wrapping = wrapping_of(language, text);
    char *module = NULL;
    if (asprintf(&module, "%s%s%s", wrapping.before, text, wrapping.after) < 0) return CLI_FAILED;
    struct sl_value env = env_make(eval);
    struct sl_script_source source = {
        .code = sl_slice_from_str(module),
        .file = "",
        /* So that the user's first character has column 1: unsigned, it comes out right. */
        .pos = {1, 1 - (uint32_t)strlen(wrapping.before)},
        .name = "eval",
        .env = env,
        .timeout_ms = eval->timeout_ms,
    };
    int r = CLI_FAILED;
    if (engine->compile(&source, &script, &diag) < 0) {
        cli_print_diag_in(eval->args, text, &diag);
    } else {
        r = instance_run(eval, engine, script, text);
        engine->script_free(script);
    }
    sl_value_unref(env);
    free(module);
    return r;
}

static int text_run(struct eval *eval, const char *language, const char *text)
{
    if (strcmp(language, "cel") == 0) return cel_run(eval, text);
    return script_run(eval, language, text);
}

/* ---- the command ----------------------------------------------------------------------------- */

static int cases_run(struct cli_args *args)
{
    size_t count;
    size_t more;
    const char **files = NULL;
    const char *const *given = cli_get_list(args, "cases", &count);
    const char *const *operands = cli_operands(args, &more);
    struct sl_cel_cases_counts all = {0};
    int result = CLI_OK;
    files = calloc(count + more + 1, sizeof(*files));
    if (files == NULL) return CLI_FAILED;
    for (size_t i = 0; i < count; i++) files[i] = given[i];
    for (size_t i = 0; i < more; i++) files[count + i] = operands[i];
    for (size_t i = 0; i < count + more; i++) {
        struct sl_cel_cases_counts counts = {0};
        int r = sl_cel_cases_run(stdout, files[i], &counts);
        if (r < 0 && r != -EINVAL) cli_error("cannot read %s: %s", files[i], strerror(-r));
        if (r < 0 || counts.failed > 0) result = CLI_FAILED;
        all.passed += counts.passed;
        all.failed += counts.failed;
        all.skipped += counts.skipped;
    }
    if (count + more > 1) {
        (void)printf("%u passed, %u failed, %u skipped\n", all.passed, all.failed, all.skipped);
    }
    free(files);
    return result;
}

/* Lines until the end of the input. An error does not end it. */
static int prompt_run(struct eval *eval)
{
    const char *language = cli_get(eval->args, "language");
    bool is_terminal = isatty(STDIN_FILENO);
    char *line = NULL;
    size_t cap = 0;
    int result = CLI_OK;
    const char *self = cli_get(eval->args, "self");
    if (self != NULL && strcmp(self, "-") == 0) {
        cli_error("eval: \"--self -\" needs an expression: standard input cannot be both");
        return CLI_USAGE;
    }
    for (;;) {
        if (is_terminal) (void)fprintf(stderr, "%s> ", language);
        ssize_t size = getline(&line, &cap, stdin);
        if (size < 0) break;
        if (line[size - 1] == '\n') line[size - 1] = '\0';
        if (line[strspn(line, " \t\r")] == '\0') continue;
        if (text_run(eval, language, line) != CLI_OK) result = CLI_FAILED;
        (void)fflush(stdout);
    }
    if (is_terminal) (void)fputc('\n', stderr);
    free(line);
    return is_terminal ? CLI_OK : result;
}

static int expression_run(struct eval *eval)
{
    static const char *const languages[] = {"cel", "js", "ts", "lua"};
    size_t count;
    const char *const *operands = cli_operands(eval->args, &count);
    for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++) {
        const char *text = cli_get(eval->args, languages[i]);
        if (text != NULL) return text_run(eval, languages[i], text);
    }
    if (count > 1) {
        cli_error("eval: one expression; put it in quotes");
        return CLI_USAGE;
    }
    if (count == 1) return text_run(eval, cli_get(eval->args, "language"), operands[0]);
    return prompt_run(eval);
}

int cli_eval(struct cli_args *args)
{
    if (cli_is_set(args, "cases")) return cases_run(args);
    struct sl_value value;
    const char *json = cli_get(args, "json");
    const char *yaml = cli_get(args, "yaml");
    if (json != NULL || yaml != NULL) {
        if (!file_value(args, json != NULL ? json : yaml, json == NULL, &value)) return CLI_FAILED;
        bool printed = cli_print_value(value, cli_is_set(args, "compact"));
        sl_value_unref(value);
        return printed ? CLI_OK : CLI_FAILED;
    }
    struct eval eval = {.args = args, .clock = sl_clock_system(), .timeout_ms = EVAL_TIMEOUT_MS};
    if (!cli_get_duration_ms(args, "timeout", &eval.timeout_ms)) return CLI_USAGE;
    eval.mem = sl_mem_new(EVAL_MEMORY);
    if (eval.mem == NULL) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    int r = values_read(&eval) ? expression_run(&eval) : CLI_USAGE;
    for (size_t i = 0; i < eval.count; i++) {
        free(eval.names[i]);
        sl_value_unref(eval.values[i]);
    }
    eval.cel = sl_cel_shard_free(eval.cel);
    eval.mem = sl_mem_free(eval.mem);
    return r;
}
