/* SPDX-License-Identifier: MIT */
/*
 * JSON texts per second: ours, simdjson's DOM and jansson on the same documents in one run.
 *
 *     json_bench [SECONDS]     seconds for each document and parser, 0.6 by default
 *
 * The parsers take turns in short rounds, so that a slow moment of the machine meets all of them;
 * each time is the tenth percentile of its rounds (CPU time of the thread), each ratio the median of
 * the ratios of adjacent rounds.
 * Ours borrows strings from the text (as the engine does with a request) and gives the memory of
 * each value back; simdjson uses one parser again and again, as its manual asks.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/mem/mem.h"
#include "core/mem/out.h"

#ifdef SL_HAVE_JANSSON
#include <jansson.h>
#endif

#ifdef SL_HAVE_SIMDJSON
void *simdjson_shim_new(void);
void simdjson_shim_free(void *shim);
int simdjson_shim_parse(void *shim, const uint8_t *data, size_t size, size_t cap);
const char *simdjson_shim_name(void);
#endif

enum {
    ROUNDS = 101,
    PADDING = 256,
    DOC_SIZE_MAX = 4 * 1024 * 1024,
};

struct doc {
    const char *name;
    uint8_t *data;
    size_t size;
    struct sl_value value;
};

struct bench {
    struct sl_mem *mem;
    struct sl_buf *owner; /* what the texts are borrowed from */
    void *simdjson;
    struct sl_out out;
};

/* One way to handle a document; the number of bytes it handled, to be summed up. */
typedef void bench_fn(struct bench *bench, const struct doc *doc);

static void run_ours(struct bench *bench, const struct doc *doc)
{
    struct sl_value value;
    int result = sl_json_parse(sl_slice_make(doc->data, doc->size), bench->owner, bench->mem, 0,
                               &value, NULL);
    sl_assert(result == 0);
    sl_value_unref(value);
}

static void run_ours_copied(struct bench *bench, const struct doc *doc)
{
    struct sl_value value;
    int result =
        sl_json_parse(sl_slice_make(doc->data, doc->size), NULL, bench->mem, 0, &value, NULL);
    sl_assert(result == 0);
    sl_value_unref(value);
}

static void run_write(struct bench *bench, const struct doc *doc)
{
    bench->out.size = 0;
    int result = sl_json_write(doc->value, 0, &bench->out);
    sl_assert(result == 0);
}

#ifdef SL_HAVE_SIMDJSON
static void run_simdjson(struct bench *bench, const struct doc *doc)
{
    int result = simdjson_shim_parse(bench->simdjson, doc->data, doc->size, doc->size + PADDING);
    sl_assert(result == 0);
}
#endif

#ifdef SL_HAVE_JANSSON
static void run_jansson(struct bench *bench, const struct doc *doc)
{
    (void)bench;
    json_error_t error;
    json_t *root = json_loadb((const char *)doc->data, doc->size, 0, &error);
    sl_assert(root != NULL);
    json_decref(root);
}
#endif

static const struct {
    const char *name;
    bench_fn *run;
} ways[] = {
    {"sluice", run_ours},       {"copied", run_ours_copied},
#ifdef SL_HAVE_SIMDJSON
    {"simdjson", run_simdjson},
#endif
#ifdef SL_HAVE_JANSSON
    {"jansson", run_jansson},
#endif
    {"write", run_write},
};

enum { WAYS_COUNT = sizeof(ways) / sizeof(ways[0]) };

/* ------------------------------------------------------------------------------------------ */
/* Documents                                                                                    */

struct text {
    char *data;
    size_t size;
};

static void put(struct text *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *text, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int size = vsnprintf(text->data + text->size, DOC_SIZE_MAX - text->size, fmt, args);
    va_end(args);
    sl_assert(size >= 0);
    text->size += (size_t)size;
    sl_assert(text->size < DOC_SIZE_MAX - PADDING);
}

static const char *const words[] = {
    "sluice", "gateway", "request",  "order", "payment",
    "north",  "blue",    "workflow", "seven", "a longer piece of prose here"};

static void put_item(struct text *text, unsigned n)
{
    put(text, "{\"sku\":\"A-%u\",\"quantity\":%u,\"price\":%u.%02u,\"name\":\"%s\"}",
        n * 7919 % 100000, n % 9 + 1, n * 31 % 500, n * 17 % 100, words[n % 10]);
}

/* An order as it is posted to a web service, with so many lines. */
static void make_order(struct text *text, unsigned items)
{
    put(text,
        "{\"id\":\"0f8fad5b-d9cb-469f-a165-70867728950e\",\"user\":{\"id\":%u,\"name\":\"Jane "
        "Doe\","
        "\"email\":\"jane@example.org\",\"verified\":true},\"note\":null,\"items\":[",
        128301);
    for (unsigned i = 0; i < items; i++) {
        if (i > 0) put(text, ",");
        put_item(text, i);
    }
    put(text, "],\"total\":%u.5}", 12 * items);
}

static void make_tiny(struct text *text, unsigned unused)
{
    (void)unused;
    put(text,
        "{\"id\":12345,\"name\":\"ping\",\"active\":true,\"tags\":[\"a\",\"b\"],\"score\":0.75}");
}

static void make_echo(struct text *text, unsigned unused)
{
    (void)unused;
    put(text, "{\"user\":{\"name\":\"Jane "
              "Doe\",\"age\":42,\"email\":\"jane@example.org\"},\"method\":\"POST\","
              "\"count\":17,\"items\":[1,2,3,4],\"message\":\"hello, world: this is a "
              "test\",\"ok\":true}");
}

/* Posts with prose in several scripts, long records of many keys, pretty-printed. */
static void make_posts(struct text *text, unsigned count)
{
    put(text, "{\n  \"statuses\": [\n");
    for (unsigned i = 0; i < count; i++) {
        put(text, "    {\n      \"created_at\": \"Sun Aug 31 00:29:%02u +0000 2014\",\n", i % 60);
        put(text, "      \"id\": %" PRIu64 ",\n      \"id_str\": \"%" PRIu64 "\",\n",
            UINT64_C(505874924095815681) + i, UINT64_C(505874924095815681) + i);
        put(text,
            "      \"text\": \"@%s %s\\n\\n\xe5\x90\x8d\xe5\x89\x8d:\xe5\x89\x8d\xe7\x94\xb0"
            "\xe3\x81\x82\xe3\x82\x86\xe3\x81\xbf\\n\xe7\xac\xac\xe4\xb8\x80\xe5\x8d\xb0\xe8\xb1"
            "\xa1:"
            "\xe3\x81\xaa\xe3\x82\x93\xe3\x81\x8b\xe6\x80\x96\xe3\x81\xa3\\u3001\",\n",
            words[i % 10], words[i % 7]);
        put(text, "      \"truncated\": false,\n      \"user\": {\n");
        for (unsigned key = 0; key < 30; key++) {
            put(text, "        \"profile_%s_%u\": ", words[key % 9], key);
            if (key % 4 == 0) put(text, "null,\n");
            if (key % 4 == 1)
                put(text, "\"http://abs.example.com/images/themes/theme%u/bg.png\",\n", key);
            if (key % 4 == 2) put(text, "false,\n");
            if (key % 4 == 3) put(text, "%u,\n", i * key);
        }
        put(text, "        \"lang\": \"ja\"\n      },\n      \"retweet_count\": %u\n    }%s\n", i,
            i + 1 < count ? "," : "");
    }
    put(text, "  ]\n}\n");
}

static void make_orders(struct text *text, unsigned count)
{
    put(text, "[");
    for (unsigned i = 0; i < count; i++) {
        if (i > 0) put(text, ",");
        make_order(text, i % 12);
    }
    put(text, "]");
}

static void make_coordinates(struct text *text, unsigned count)
{
    uint64_t state = 1;
    put(text, "{\"type\":\"Polygon\",\"coordinates\":[");
    for (unsigned i = 0; i < count; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        put(text, "%s[-%u.%06" PRIu64 "%09" PRIu64 ",%u.%06" PRIu64 "%08" PRIu64 "]",
            i > 0 ? "," : "", i % 180, state >> 45, state >> 20 & 0x1ffffff, i % 90,
            state >> 44 & 0x7ffff, state >> 10 & 0xffffff);
    }
    put(text, "]}");
}

static void make_integers(struct text *text, unsigned count)
{
    put(text, "[");
    for (unsigned i = 0; i < count; i++)
        put(text, "%s%u", i > 0 ? "," : "", i * 2654435761U >> (i % 28));
    put(text, "]");
}

static const struct {
    const char *name;
    void (*make)(struct text *text, unsigned count);
    unsigned count;
} kinds[] = {
    {"tiny", make_tiny, 0},
    {"echo", make_echo, 0},
    {"order/3", make_order, 3},
    {"order/9", make_order, 9},
    {"order/22", make_order, 22},
    {"posts/500k", make_posts, 280},
    {"orders/600k", make_orders, 1000},
    {"floats/1M", make_coordinates, 28000},
    {"ints/700k", make_integers, 100000},
};

static struct doc doc_make(struct bench *bench, size_t kind)
{
    struct text text = {calloc(1, DOC_SIZE_MAX), 0};
    sl_assert(text.data != NULL);
    kinds[kind].make(&text, kinds[kind].count);
    struct doc doc = {.name = kinds[kind].name, .data = (uint8_t *)text.data, .size = text.size};
    int result =
        sl_json_parse(sl_slice_make(doc.data, doc.size), NULL, bench->mem, 0, &doc.value, NULL);
    sl_assert(result == 0);
    return doc;
}

/* ------------------------------------------------------------------------------------------ */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The value at a given part of the sorted rounds. */
static double quantile(const double *values, double part)
{
    double sorted[ROUNDS];
    memcpy(sorted, values, sizeof(sorted));
    qsort(sorted, ROUNDS, sizeof(double), compare_doubles);
    return sorted[(int)(ROUNDS * part)];
}

/* Of this thread: what others do on the machine shows less in it. */
static uint64_t cpu_now_ns(void)
{
    struct timespec now;
    int result = clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    sl_assert(result == 0);
    return (uint64_t)now.tv_sec * SL_NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* Nanoseconds for one document, over a round of `round_ns`. */
static double round_run(struct bench *bench, const struct doc *doc, bench_fn *run,
                        uint64_t round_ns)
{
    uint64_t begin = cpu_now_ns(), now = begin, count = 0;
    while (now - begin < round_ns) {
        unsigned batch = doc->size < 4096 ? 64 : 1;
        for (unsigned i = 0; i < batch; i++) run(bench, doc);
        count += batch;
        now = cpu_now_ns();
    }
    return (double)(now - begin) / (double)count;
}

static void doc_run(struct bench *bench, const struct doc *doc, double seconds)
{
    double ns[WAYS_COUNT][ROUNDS], ratio[ROUNDS];
    uint64_t round_ns = (uint64_t)(seconds * 1e9 / ROUNDS);
    for (int round = 0; round < ROUNDS; round++) {
        for (int way = 0; way < WAYS_COUNT; way++) {
            ns[way][round] = round_run(bench, doc, ways[way].run, round_ns);
        }
    }
    printf("%-12s %8zu", doc->name, doc->size);
    for (int way = 0; way < WAYS_COUNT; way++) {
        for (int round = 0; round < ROUNDS; round++) ratio[round] = ns[way][round] / ns[0][round];
        double best = quantile(ns[way], 0.1);
        printf("  %9.0f %5.2f %5.2f", best, (double)doc->size / best, quantile(ratio, 0.5));
    }
    printf("\n");
    (void)fflush(stdout);
}

static void doc_dump(const struct doc *doc, const char *folder, size_t index)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%zu.json", folder, index);
    FILE *file = fopen(path, "wb");
    sl_assert(file != NULL);
    size_t written = fwrite(doc->data, 1, doc->size, file);
    sl_assert(written == doc->size);
    (void)fclose(file);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.6;
    struct bench bench = {.mem = sl_mem_new((size_t)1 << 30)};
    sl_assert(bench.mem != NULL);
    bench.owner = sl_value_new_int(bench.mem, 0).buf;
    sl_out_init(&bench.out, NULL);
#ifdef SL_HAVE_SIMDJSON
    bench.simdjson = simdjson_shim_new();
    printf("simdjson uses its implementation '%s'\n", simdjson_shim_name());
#endif
    printf("for each: ns a document, GB/s, and time as a ratio to sluice's (above 1: slower)\n");
    printf("%-12s %8s", "document", "bytes");
    for (int way = 0; way < WAYS_COUNT; way++) printf("  %21s", ways[way].name);
    printf("\n");
    const char *dump = getenv("JSON_BENCH_DUMP"); /* a folder: the documents are written there */
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct doc doc = doc_make(&bench, i);
        if (dump != NULL) doc_dump(&doc, dump, i);
        doc_run(&bench, &doc, seconds);
        sl_value_unref(doc.value);
        free(doc.data);
    }
#ifdef SL_HAVE_SIMDJSON
    simdjson_shim_free(bench.simdjson);
#endif
    sl_buf_unref(bench.owner);
    sl_out_fini(&bench.out);
    bench.mem = sl_mem_free(bench.mem);
    return 0;
}
