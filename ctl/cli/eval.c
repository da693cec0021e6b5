/* SPDX-License-Identifier: MIT */
/*
 * eval: one expression or script on one value, without a runtime.
 *
 *   --cel EXPR        an expression; --bind names are variables
 *   --js, --ts, --lua a module, an expression over `self`, or statements that return a value;
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

/* What --self says: a file, or JSON as it is. A file of that name counts. Prints what is wrong. */
static bool self_value(struct cli_args *args, const char *self, struct sl_value *ret_value)
{
    bool is_yaml = ends_with(self, ".yaml") || ends_with(self, ".yml");
    struct sl_diag diag = {0};
    uint32_t duplicates = 0;
    const char *first = self + strspn(self, " \t\r\n");
    if (strcmp(self, "-") == 0 || access(self, F_OK) == 0) {
        return file_value(args, self, is_yaml, ret_value);
    }
    if (sl_json_parse_counted(sl_slice_from_str(self), NULL, NULL, 0, ret_value, &duplicates,
                              &diag) == 0) {
        duplicates_print("--self", duplicates);
        return true;
    }
    if (*first == '{' || *first == '[' || *first == '"') {
        cli_error("\"--self %s\": column %u of the JSON: %s", self, diag.pos.column, diag.text);
    } else {
        cli_error(
            "\"--self %s\": there is no such file, and it is no JSON; a value can be given as "
            "it is: --self '{\"age\": 20}'",
            self);
    }
    return false;
}

static bool values_read(struct eval *eval)
{
    const char *self = cli_get(eval->args, "self");
    size_t count;
    const char *const *binds = cli_get_list(eval->args, "bind", &count);
    eval->names[0] = strdup("self");
    eval->values[0] = sl_value_null();
    eval->count = 1;
    if (self != NULL && !self_value(eval->args, self, &eval->values[0])) return false;
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
    bool looks_into_self = strstr(text, "self.") != NULL || strstr(text, "self[") != NULL;
    if (sl_value_is(eval->values[0], SL_VALUE_NULL) && looks_into_self) {
        sl_diag_hint(&diag, "self is null: --self FILE, or --self '{\"a\": 1}', gives it a value");
    }
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

/* What a language wants around a text, all on its first line. */
struct wrapping {
    const char *before;
    const char *after;
};

/* How a text may be meant: a module, an expression, or statements that return a value. */
enum wrapping_kind { WRAP_MODULE, WRAP_EXPRESSION, WRAP_STATEMENTS, WRAPPINGS_COUNT };

static const struct wrapping lua_wrappings[WRAPPINGS_COUNT] = {
    {"", ""},
    {"return function(self) return ", "\nend"},
    {"return function(self) ", "\nend"},
};

/* A function is an expression, too, but what people mean is its result. */
static const struct wrapping js_wrappings[WRAPPINGS_COUNT] = {
    {"", ""},
    {"export default (self) => ((it) => typeof it === 'function' ? it(self) : it)((", "\n))"},
    {"export default (self) => {", "\n}"},
};

static bool is_module(const char *language, const char *text)
{
    if (strcmp(language, "lua") == 0) return strstr(text, "return function") != NULL;
    return strstr(text, "export ") != NULL || strstr(text, "module.exports") != NULL;
}

static bool is_word_byte(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* Words that are near to others and meant as they stand. */
static bool is_known(const char *word)
{
    static const char *const known[] = {"import", "enum", "async", "await", "throw", "class",
                                        "from",   "type", "this",  "true",  "case",  "print"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(word, known[i]) == 0) return true;
    }
    return false;
}

/* A word of the text that is nearly one of the languages', as a slip of the pen is; or NULL. */
static const char *keyword_meant(const char *text)
{
    static const char *const words[] = {"return", "function", "local", "export", "default",
                                        "const",  "while",    "then",  "else",   "end"};
    enum { WORDS_COUNT = sizeof(words) / sizeof(words[0]), WORD_SIZE = 16, WORD_MIN = 4 };
    for (const char *at = text; *at != '\0';) {
        char word[WORD_SIZE];
        size_t size = 0;
        while (is_word_byte(at[size])) size++;
        if (size >= WORD_MIN && size < WORD_SIZE) {
            (void)snprintf(word, sizeof(word), "%.*s", (int)size, at);
            const char *nearest = is_known(word) ? NULL : sl_diag_nearest(word, words, WORDS_COUNT);
            if (nearest != NULL && strcmp(nearest, word) != 0) return nearest;
        }
        at += size > 0 ? size : 1;
    }
    return NULL;
}

/* What may be wrong with a text that no wrapping makes a script of. Its place lies inside of it. */
static void syntax_print(struct eval *eval, const char *language, const char *text,
                         struct sl_diag *diag)
{
    const char *meant = keyword_meant(text);
    uint32_t lines = 1;
    const char *last = text;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at != '\n') continue;
        lines++;
        last = at + 1;
    }
    if (diag->pos.line > lines) {
        diag->pos = (struct sl_pos){lines, (uint32_t)strlen(last) + 1};
        (void)snprintf(diag->text, sizeof(diag->text), "the code ends where more was expected");
    }
    if (diag->hint[0] == '\0' && meant != NULL) {
        sl_diag_hint(diag, "did you mean \"%s\"?", meant);
    } else if (diag->hint[0] == '\0') {
        sl_diag_hint(
            diag, "expected an expression over self, statements with \"return\", or a module: %s",
            strcmp(language, "lua") == 0 ? "return function(self) … end"
                                         : "export default (self) => …");
    }
    cli_print_diag_in(eval->args, text, diag);
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

/* A text as a script, and the source that it points into. */
struct wrapped {
    char *module;
    struct sl_value env;
    struct sl_script *script;
};

static void wrapped_fini(const struct sl_engine *engine, struct wrapped *wrapped)
{
    if (wrapped->script != NULL) engine->script_free(wrapped->script);
    sl_value_unref(wrapped->env);
    free(wrapped->module);
    *wrapped = (struct wrapped){0};
}

/* Compile `text` as one kind of script. 0, or < 0 with reterr; wrapped_fini either way. */
static int wrapped_compile(struct eval *eval, const struct sl_engine *engine,
                           const struct wrapping *wrapping, const char *text,
                           struct wrapped *wrapped, struct sl_diag *reterr)
{
    if (asprintf(&wrapped->module, "%s%s%s", wrapping->before, text, wrapping->after) < 0) {
        wrapped->module = NULL;
        return -ENOMEM;
    }
    wrapped->env = env_make(eval);
    struct sl_script_source source = {
        .code = sl_slice_from_str(wrapped->module),
        .file = "",
        /* So that the user's first character has column 1: unsigned, it comes out right. */
        .pos = {1, 1 - (uint32_t)strlen(wrapping->before)},
        .name = "eval",
        .env = wrapped->env,
        .timeout_ms = eval->timeout_ms,
    };
    return engine->compile(&source, &wrapped->script, reterr);
}

static int script_run(struct eval *eval, const char *language, const char *text)
{
    const struct sl_engine *engine = sl_engine_get(language);
    const struct wrapping *wrappings = strcmp(language, "lua") == 0 ? lua_wrappings : js_wrappings;
    struct wrapped wrapped = {0};
    struct sl_diag diag = {0};
    if (engine == NULL) {
        cli_error("the language \"%s\" was not built in; see \"sluice version\"", language);
        return CLI_FAILED;
    }
    enum wrapping_kind kind = is_module(language, text) ? WRAP_MODULE : WRAP_EXPRESSION;
    int compiled = wrapped_compile(eval, engine, &wrappings[kind], text, &wrapped, &diag);
    if (compiled < 0 && kind == WRAP_EXPRESSION && strstr(text, "return") != NULL) {
        diag = (struct sl_diag){0};
        wrapped_fini(engine, &wrapped);
        compiled =
            wrapped_compile(eval, engine, &wrappings[WRAP_STATEMENTS], text, &wrapped, &diag);
    }
    int r = CLI_FAILED;
    if (compiled < 0) {
        syntax_print(eval, language, text, &diag);
    } else {
        r = instance_run(eval, engine, wrapped.script, text);
    }
    wrapped_fini(engine, &wrapped);
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

/* One thing to evaluate: of two, one would be left out without a word. */
static bool subject_check(struct cli_args *args)
{
    static const char *const subjects[] = {"cel", "js", "ts", "lua", "json", "yaml", "cases"};
    const char *first = NULL;
    size_t operands;
    (void)cli_operands(args, &operands);
    for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        if (!cli_is_set(args, subjects[i])) continue;
        if (first != NULL) {
            cli_error("eval: --%s or --%s, not both", first, subjects[i]);
            return false;
        }
        first = subjects[i];
    }
    if (first != NULL && operands > 0 && strcmp(first, "cases") != 0) {
        cli_error("eval: --%s and one more expression; put it in quotes", first);
        return false;
    }
    return true;
}

/* Is it JSON where the name of a file was meant? */
static bool is_json_text(const char *path)
{
    return path != NULL && access(path, F_OK) < 0 && strchr("{[\"", path[0]) != NULL;
}

int cli_eval(struct cli_args *args)
{
    if (!subject_check(args)) return CLI_USAGE;
    if (cli_is_set(args, "cases")) return cases_run(args);
    struct sl_value value;
    const char *json = cli_get(args, "json");
    const char *yaml = cli_get(args, "yaml");
    if (is_json_text(json)) {
        cli_error("eval: --json takes a file, or - for standard input; JSON itself: --self JSON "
                  "--cel self");
        return CLI_USAGE;
    }
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
