/* SPDX-License-Identifier: MIT */
/*
 * CEL: nanoseconds and allocations of one evaluation, for expressions as routers, switches and
 * snippets have them, over the payload of an HTTP request.
 *
 * What answers true or false is run as a condition. Each line is the median of 101 rounds; the best
 * one says what is left without other work on the machine. Allocations are those of the C heap;
 * "result" are the bytes of the shard's memory that a result holds while somebody has it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/fmt.h"
#include "bench/options.h"
#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "nodes/script/cel/cel.h"

enum { ROUNDS = 101 };

static uint64_t allocations;

/* The linker puts these before the functions they count. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);

void *__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    allocations++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    allocations++;
    return __real_realloc(block, size);
}

static const char payload[] =
    "{\"method\":\"POST\",\"scheme\":\"http\",\"host\":\"example.com\",\"path\":\"/api/v1/orders\","
    "\"query\":{\"page\":\"2\"},\"protocol\":\"HTTP/1.1\",\"header\":{\"host\":\"example.com\","
    "\"user-agent\":\"curl/8.5\",\"accept\":\"*/*\",\"content-type\":\"application/json\","
    "\"content-length\":\"170\"},\"body\":{\"id\":42,\"user\":{\"name\":\"Ada\",\"age\":36,"
    "\"email\":\"ada@example.com\"},\"items\":[{\"sku\":\"a\",\"price\":10},{\"sku\":\"b\","
    "\"price\":30},{\"sku\":\"c\",\"price\":120}],\"tags\":[\"new\",\"paid\",\"eu\"]}}";

static const struct {
    const char *name;
    const char *code;
} expressions[] = {
    {"nothing", "self"},
    {"header compare", "self.header[\"content-type\"] == \"application/json\""},
    {"number and method", "self.body.user.age >= 18 && self.method == \"POST\""},
    {"exists over 3", "self.body.items.exists(i, i.price > 100)"},
    {"two string functions",
     "self.path.startsWith(\"/api/\") && self.body.user.email.endsWith(\"@example.com\")"},
    {"small regex", "self.body.user.email.matches(\"^[a-z]+@[a-z]+[.]com$\")"},
    {"two-key map", "{\"name\": self.body.user.name, \"age\": self.body.user.age}"},
    {"body or null", "has(self.body) ? self.body : null"},
    {"in a list of 3", "self.method in [\"GET\", \"PUT\", \"POST\"]"},
    {"arithmetic", "self.body.user.age * 2 + 1 < 100 || self.query.debug == \"1\""},
    {"concatenation", "\"Hello \" + self.body.user.name"},
    {"filter and size", "self.body.items.filter(i, i.price > 20).size() == 2"},
    {"absent with a default", "self.?body.?coupon.?code.orValue(\"none\") == \"none\""},
};

/* One expression, ready to run. */
struct subject {
    struct sl_script *script;
    void *instance;
    struct sl_script_call call;
    bool condition; /* its result is a bool: run as routers and switches do */
};

/* Bytes of the shard's memory that the result holds. */
static uint64_t result_size(struct subject *subject)
{
    struct sl_mem_stats before;
    struct sl_mem_stats after;
    sl_mem_stats_get(subject->call.mem, &before);
    struct sl_value result = sl_engine_cel.run(subject->script, subject->instance, &subject->call);
    sl_mem_stats_get(subject->call.mem, &after);
    sl_value_unref(result);
    return after.used - before.used;
}

static void run_once(struct subject *subject)
{
    struct sl_value result;
    if (subject->condition) {
        sl_assert(sl_engine_cel.test(subject->script, subject->instance, &subject->call, &result) >=
                  0);
        return;
    }
    result = sl_engine_cel.run(subject->script, subject->instance, &subject->call);
    sl_assert(result.cell != NULL);
    sl_assert(result.cell->kind != SL_VALUE_ERROR);
    sl_value_unref(result);
}

static double run_many(struct subject *subject, uint64_t count)
{
    struct sl_clock *clock = sl_clock_system();
    uint64_t start = sl_clock_now_ns(clock);
    for (uint64_t i = 0; i < count; i++) run_once(subject);
    return (double)(sl_clock_now_ns(clock) - start) / (double)count;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static void measure(struct subject *subject, const char *name, uint64_t budget_ns)
{
    double rounds[ROUNDS];
    double once = run_many(subject, 10000);
    uint64_t count = (uint64_t)((double)budget_ns / ROUNDS / once) + 1;
    uint64_t before = allocations;
    for (int i = 0; i < ROUNDS; i++) rounds[i] = run_many(subject, count);
    double each = (double)(allocations - before) / (double)(count * ROUNDS);
    qsort(rounds, ROUNDS, sizeof(rounds[0]), compare);
    (void)printf("%-22s %8.1f %8.1f %8.1f %12.2f %8llu\n", name, rounds[ROUNDS / 2], rounds[0],
                 rounds[ROUNDS - 1], each, (unsigned long long)result_size(subject));
}

enum { EXPRESSIONS_COUNT = sizeof(expressions) / sizeof(expressions[0]), MS_MAX = 60000 };

static const struct sl_options_usage USAGE = {
    .program = "cel_bench",
    .name = "",
    .synopsis = "[MILLISECONDS [EXPRESSION]]",
    .about =
        "Measure one evaluation of each expression, or of one by its name: nanoseconds (median,\n"
        "best and worst of 101 rounds), allocations, and bytes that the result holds. Each takes\n"
        "100 ms, or what is given.",
    .examples = "  cel_bench\n"
                "  cel_bench 500 \"small regex\"\n",
};

static int arguments_read(const struct sl_option_list *words, uint64_t *ret_ms,
                          const char **ret_only, struct sl_diag *reterr)
{
    const char *names[EXPRESSIONS_COUNT];
    struct sl_pos none = {0, 0};
    double ms = 100;
    if (words->count > 2) {
        return sl_diag_set(reterr, "bad_usage", none, "unexpected \"%s\"", words->items[2]);
    }
    if (words->count > 0 &&
        (sl_parse_number(words->items[0], &ms) < 0 || ms < 1 || ms > (double)MS_MAX)) {
        return sl_diag_set(reterr, "bad_value", none, "\"%s\": expected milliseconds, 1 to %d",
                           words->items[0], MS_MAX);
    }
    *ret_ms = (uint64_t)ms;
    *ret_only = words->count > 1 ? words->items[1] : NULL;
    for (size_t i = 0; i < EXPRESSIONS_COUNT; i++) {
        names[i] = expressions[i].name;
        if (*ret_only == NULL || strcmp(*ret_only, names[i]) == 0) return 0;
    }
    int r = sl_diag_set(reterr, "bad_value", none, "there is no expression \"%s\"", *ret_only);
    const char *nearest = sl_diag_nearest(*ret_only, names, EXPRESSIONS_COUNT);
    sl_diag_hint(reterr, nearest != NULL ? "did you mean \"%s\"?" : "one of them is \"%s\"",
                 nearest != NULL ? nearest : names[0]);
    return r;
}

static bool expression_measure(size_t index, struct sl_value self, struct sl_mem *mem, void **shard,
                               uint64_t ms)
{
    struct sl_diag diag = {0};
    struct subject subject = {
        .call = {.input = self, .mem = mem, .clock = sl_clock_system(), .deadline_ns = UINT64_MAX}};
    struct sl_script_source source = {.code = sl_slice_from_str(expressions[index].code)};
    if (sl_engine_cel.compile(&source, &subject.script, &diag) != 0) {
        (void)printf("%s: %s\n", expressions[index].name, diag.text);
        return false;
    }
    if (sl_engine_cel.attach(subject.script, shard, &subject.instance, &diag) != 0) return false;
    struct sl_value once = sl_engine_cel.run(subject.script, subject.instance, &subject.call);
    sl_assert(once.cell != NULL);
    subject.condition = once.cell->kind == SL_VALUE_BOOL;
    sl_value_unref(once);
    measure(&subject, expressions[index].name, ms * SL_NS_PER_MS);
    sl_engine_cel.detach(subject.script, *shard, subject.instance);
    sl_engine_cel.script_free(subject.script);
    return true;
}

int main(int argc, char **argv)
{
    struct sl_option_list words = {.count = 0};
    struct sl_mem *mem = sl_mem_new((size_t)64 * 1024 * 1024);
    struct sl_value self;
    struct sl_diag diag = {0};
    const char *only = NULL;
    uint64_t ms = 0;
    void *shard = NULL;
    int err = sl_options_parse(&USAGE, argc - 1, argv + 1, &ms, &words, &diag);
    if (err == SL_OPTIONS_HELP) {
        sl_options_help(&USAGE);
        return 0;
    }
    if (err == 0) err = arguments_read(&words, &ms, &only, &diag);
    if (err < 0) {
        sl_options_complain(&USAGE, &diag);
        return 2;
    }
    if (mem == NULL) return 1;
    if (sl_json_parse(sl_slice_from_str(payload), NULL, mem, 0, &self, &diag) != 0) return 1;
    (void)printf("%-22s %8s %8s %8s %12s %8s\n", "expression", "ns", "best", "worst", "allocations",
                 "result");
    bool good = true;
    for (size_t i = 0; good && i < EXPRESSIONS_COUNT; i++) {
        if (only != NULL && strcmp(only, expressions[i].name) != 0) continue;
        good = expression_measure(i, self, mem, &shard, ms);
    }
    sl_value_unref(self);
    sl_engine_cel.shard_fini(shard);
    (void)sl_mem_free(mem);
    return good ? 0 : 1;
}
