/* SPDX-License-Identifier: MIT */
/*
 * JSON texts per second: ours, simdjson's DOM and jansson on the same documents in one run.
 *
 * The ways (ways.h says what each does) take turns in short slots, so that a slow moment of the
 * machine meets all of them. A slot's time is CPU time of the thread. A speed is the ninth decile of
 * its slots; a ratio is the median of the ratios of adjacent slots, with their first and ninth
 * decile behind it. Ratios are of speeds: above 1 sluice is faster.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/json/docs.h"
#include "bench/json/ways.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

enum {
    ROUNDS_MAX = 1001,
    ROUNDS_DEFAULT = 61,
    FILES_MAX = 64,
    BATCH_SMALL = 256, /* runs between two looks at the clock, which cost hundreds of ns each */
    EXIT_MISSED = 1,
    EXIT_USAGE = 2,
};

/* What sluice has to reach against simdjson when it reads. */
#define TARGET_SMALL 1.0
#define TARGET_LARGE 0.5

struct options {
    double seconds; /* for each document and way */
    int rounds;
    bool json;
    bool check;
    const char *docs;   /* only names that contain it; NULL: all */
    const char *ways;   /* only the way of this name, without a table; NULL: all */
    const char *dump;   /* a folder the documents are written to */
    const char **paths; /* documents to read instead */
    int paths_count;
};

/* One document's slots. */
struct result {
    double ns[WAYS_MAX][ROUNDS_MAX];
    int rounds;
};

struct spread {
    double low, median, high;
};

struct summary {
    int small_count, small_held, large_count, large_held;
};

static const char usage[] =
    "usage: json_bench [OPTION]… [FILE]…\n"
    "\n"
    "Speed of reading and writing JSON: sluice, simdjson's DOM and jansson on the same documents, "
    "in\n"
    "adjacent slots of one run. With FILEs these are the documents.\n"
    "\n"
    "  --seconds S     for each document and way (0.4)\n"
    "  --rounds N      slots it is divided into (61)\n"
    "  --doc PART      only documents whose names contain PART (tiny, order, mixed, posts …)\n"
    "  --way NAME      only this way and no table: to be run under perf or callgrind; a writer is\n"
    "                  write:NAME\n"
    "  --check         exit 1 if reading is below 1.0 of simdjson's speed on a document of up to\n"
    "                  2,000 bytes, or below 0.5 on a larger one\n"
    "  --dump FOLDER   write the documents there\n"
    "  --format json   for programs (text)\n"
    "\n"
    "  json_bench\n"
    "  json_bench --doc order --seconds 2 --format json\n"
    "  valgrind --tool=callgrind json_bench --doc echo --way sluice --seconds 0.1\n";

/* ------------------------------------------------------------------------------------------ */
/* Time                                                                                         */

/* Of this thread: what others do on the machine shows less in it. */
static uint64_t cpu_now_ns(void)
{
    struct timespec now;
    int result = clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    sl_assert(result == 0);
    return (uint64_t)now.tv_sec * SL_NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* Nanoseconds for one run of the document, over a slot of `slot_ns`. */
static double slot_run(struct ways *ways, const struct way *way, bool small, uint64_t slot_ns)
{
    uint64_t begin = cpu_now_ns(), now = begin, count = 0;
    while (now - begin < slot_ns) {
        unsigned batch = small ? BATCH_SMALL : 1;
        for (unsigned i = 0; i < batch; i++) way->run(ways);
        count += batch;
        now = cpu_now_ns();
    }
    return (double)(now - begin) / (double)count;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static struct spread spread_get(const double *values, int count)
{
    double sorted[ROUNDS_MAX];
    memcpy(sorted, values, (size_t)count * sizeof(double));
    qsort(sorted, (size_t)count, sizeof(double), compare_doubles);
    return (struct spread){sorted[count / 10], sorted[count / 2], sorted[count - 1 - count / 10]};
}

/* Speed of way 0 of `base` over that of `other`. */
static struct spread ratio_get(const struct result *result, size_t base, size_t other)
{
    double ratios[ROUNDS_MAX];
    for (int i = 0; i < result->rounds; i++) ratios[i] = result->ns[other][i] / result->ns[base][i];
    return spread_get(ratios, result->rounds);
}

/* ------------------------------------------------------------------------------------------ */
/* Tables                                                                                       */

/* The sluice that a way is compared to: the first of its direction. */
static size_t base_of(const struct way *all, size_t count, bool writes)
{
    for (size_t i = 0; i < count; i++) {
        if (all[i].writes == writes) return i;
    }
    sl_unreachable();
}

static void head_print(bool writes)
{
    size_t count;
    const struct way *all = ways_get(&count);
    printf("\n%-12s %8s", writes ? "writing" : "reading", "bytes");
    for (size_t i = 0; i < count; i++) {
        if (all[i].writes == writes) printf(" %13s", all[i].name);
    }
    for (size_t i = base_of(all, count, writes) + 1; i < count; i++) {
        if (all[i].writes != writes) continue;
        char name[64];
        (void)snprintf(name, sizeof(name), "sluice / %s", all[i].name);
        if (strcmp(all[i].name, "sluice_copied") != 0) printf("  %21s", name);
    }
    printf("\n");
}

static void doc_print(const struct doc *doc, const struct result *result, bool writes)
{
    size_t count;
    const struct way *all = ways_get(&count);
    size_t base = base_of(all, count, writes);
    printf("%-12s %8zu", doc->name, doc->size);
    for (size_t i = base; i < count; i++) {
        if (all[i].writes != writes) continue;
        printf(" %13.3f", (double)doc->size / spread_get(result->ns[i], result->rounds).low);
    }
    for (size_t i = base + 1; i < count; i++) {
        if (all[i].writes != writes || strcmp(all[i].name, "sluice_copied") == 0) continue;
        struct spread ratio = ratio_get(result, base, i);
        printf("  %6.2f (%5.2f..%5.2f)", ratio.median, ratio.low, ratio.high);
    }
    printf("\n");
    (void)fflush(stdout);
}

static void string_print(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') putchar('\\');
        if ((unsigned char)*text >= 0x20) putchar(*text);
    }
    putchar('"');
}

static void doc_print_json(const struct doc *doc, const struct result *result, bool first)
{
    size_t count;
    const struct way *all = ways_get(&count);
    printf("%s\n    {\"document\": ", first ? "" : ",");
    string_print(doc->name);
    printf(", \"bytes\": %zu, \"texts\": %zu, \"small\": %s", doc->size, doc->count,
           doc->small ? "true" : "false");
    for (int writes = 0; writes < 2; writes++) {
        size_t base = base_of(all, count, writes);
        printf(",\n     \"%s\": {", writes ? "writing" : "reading");
        for (size_t i = base; i < count; i++) {
            if (all[i].writes != (bool)writes) continue;
            double ns = spread_get(result->ns[i], result->rounds).low;
            printf("%s\"%s\": {\"gb_s\": %.4f, \"ns\": %.1f", i > base ? ", " : "", all[i].name,
                   (double)doc->size / ns, ns);
            if (i > base) {
                struct spread ratio = ratio_get(result, base, i);
                printf(", \"ratio\": %.4f, \"ratio_p10\": %.4f, \"ratio_p90\": %.4f", ratio.median,
                       ratio.low, ratio.high);
            }
            printf("}");
        }
        printf("}");
    }
    printf("}");
}

/* ------------------------------------------------------------------------------------------ */
/* Runs                                                                                         */

static void doc_measure(const struct options *options, struct ways *ways, const struct doc *doc,
                        struct result *result)
{
    size_t count;
    const struct way *all = ways_get(&count);
    uint64_t slot_ns = (uint64_t)(options->seconds * 1e9 / options->rounds);
    result->rounds = options->rounds;
    for (int round = -1; round < options->rounds; round++) { /* one to warm up */
        for (size_t i = 0; i < count; i++) {
            result->ns[i][round < 0 ? 0 : round] = slot_run(ways, &all[i], doc->small, slot_ns);
        }
    }
}

/* Count whether the document holds its target. */
static void summary_add(struct summary *summary, const struct doc *doc, const struct result *result)
{
    size_t count;
    const struct way *all = ways_get(&count);
    size_t base = base_of(all, count, false);
    for (size_t i = base + 1; i < count; i++) {
        if (all[i].writes || strcmp(all[i].name, "simdjson") != 0) continue;
        double ratio = ratio_get(result, base, i).median;
        if (doc->small) {
            summary->small_count++;
            summary->small_held += ratio >= TARGET_SMALL;
        } else {
            summary->large_count++;
            summary->large_held += ratio >= TARGET_LARGE;
        }
    }
}

/* Run one way alone, for a profiler. */
static int way_run(const struct options *options, struct ways *ways, const struct doc *doc)
{
    size_t count;
    const struct way *all = ways_get(&count);
    bool writes = strncmp(options->ways, "write:", 6) == 0;
    const char *name = options->ways + (writes ? 6 : 0);
    for (size_t i = 0; i < count; i++) {
        if (all[i].writes != writes || strcmp(all[i].name, name) != 0) continue;
        double ns = slot_run(ways, &all[i], doc->small, (uint64_t)(options->seconds * 1e9));
        printf("%-12s %8zu %10.1f ns %8.3f GB/s\n", doc->name, doc->size, ns,
               (double)doc->size / ns);
        return 0;
    }
    (void)fprintf(stderr, "json_bench: no way '%s'; see --help\n", options->ways);
    return EXIT_USAGE;
}

static void doc_dump(const struct doc *doc, const char *folder, size_t index)
{
    for (size_t i = 0; i < doc->count; i++) {
        char path[512];
        (void)snprintf(path, sizeof(path), "%s/%zu-%zu.json", folder, index, i);
        FILE *file = fopen(path, "wb");
        if (file == NULL) {
            (void)fprintf(stderr, "json_bench: %s: %s\n", path, strerror(errno));
            return;
        }
        (void)fwrite(doc->parts[i].data, 1, doc->parts[i].size, file);
        (void)fclose(file);
    }
}

/* All of one document, into `result`; 0 or an exit code. */
static int doc_run(const struct options *options, const struct doc *doc, size_t index,
                   struct result *result)
{
    if (options->dump != NULL) doc_dump(doc, options->dump, index);
    const char *refused = NULL;
    struct ways *ways = ways_new(doc, &refused);
    if (ways == NULL) {
        (void)fprintf(stderr, "json_bench: %s: %s does not read it\n", doc->name, refused);
        return EXIT_USAGE;
    }
    int code = 0;
    if (options->ways != NULL) {
        code = way_run(options, ways, doc);
    } else {
        doc_measure(options, ways, doc, result);
    }
    ways = ways_free(ways);
    return code;
}

/* The document at `index` of what was asked for: 0, an exit code, or -1 if it is left out. */
static int doc_get(const struct options *options, size_t index, struct doc *doc)
{
    if (options->paths_count > 0) {
        int result = doc_read(doc, options->paths[index]);
        if (result == 0) return 0;
        (void)fprintf(stderr, "json_bench: %s: %s\n", options->paths[index], strerror(-result));
        return EXIT_USAGE;
    }
    if (options->docs != NULL && strstr(docs_name(index), options->docs) == NULL) return -1;
    doc_make(doc, index);
    return 0;
}

/* Where the tables begin and end. */
static void begin_print(const struct options *options)
{
    if (options->ways != NULL) return;
    if (options->json) {
        printf("{\"simdjson\": \"%s\", \"rounds\": %d, \"seconds\": %g, \"documents\": [",
               ways_simdjson_name(), options->rounds, options->seconds);
    } else {
        printf("GB/s, and ratios of speed with their first and ninth decile (%d slots of %g s; "
               "simdjson runs '%s')\n",
               options->rounds, options->seconds / options->rounds, ways_simdjson_name());
    }
}

static void end_print(const struct options *options, const struct summary *summary)
{
    if (options->ways != NULL) return;
    if (options->json) {
        printf("],\n  \"targets\": {\"small\": %d, \"small_held\": %d, \"large\": %d, "
               "\"large_held\": %d}}\n",
               summary->small_count, summary->small_held, summary->large_count,
               summary->large_held);
    } else {
        printf("\nreading, against simdjson: %d of %d small documents at %.1f or more, %d of %d "
               "large ones at %.1f or more\n",
               summary->small_held, summary->small_count, TARGET_SMALL, summary->large_held,
               summary->large_count, TARGET_LARGE);
    }
}

static int bench_run(const struct options *options)
{
    static struct result results[FILES_MAX];
    static struct doc docs[FILES_MAX];
    struct summary summary = {0};
    size_t total = options->paths_count > 0 ? (size_t)options->paths_count : docs_count();
    size_t count = 0;
    int code = 0;
    begin_print(options);
    if (options->ways == NULL && !options->json) head_print(false);
    for (size_t i = 0; i < total && code <= 0; i++) {
        struct doc *doc = &docs[count];
        code = doc_get(options, i, doc);
        if (code != 0) continue;
        code = doc_run(options, doc, i, &results[count]);
        if (code == 0 && options->ways == NULL) {
            summary_add(&summary, doc, &results[count]);
            if (options->json) {
                doc_print_json(doc, &results[count], count == 0);
            } else {
                doc_print(doc, &results[count], false);
            }
        }
        doc_fini(doc);
        count++;
    }
    if (code > 0) return code;
    if (options->ways == NULL && !options->json) {
        head_print(true);
        for (size_t i = 0; i < count; i++) doc_print(&docs[i], &results[i], true);
    }
    end_print(options, &summary);
    bool held =
        summary.small_held == summary.small_count && summary.large_held == summary.large_count;
    return options->check && !held ? EXIT_MISSED : 0;
}

/* ------------------------------------------------------------------------------------------ */

static int options_read(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {
        {"seconds", required_argument, NULL, 's'},
        {"rounds", required_argument, NULL, 'r'},
        {"doc", required_argument, NULL, 'd'},
        {"way", required_argument, NULL, 'w'},
        {"dump", required_argument, NULL, 'u'},
        {"format", required_argument, NULL, 'f'},
        {"check", no_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    for (int name; (name = getopt_long(argc, argv, "h", names, NULL)) != -1;) {
        switch (name) {
        case 's': options->seconds = strtod(optarg, NULL); break;
        case 'r': options->rounds = (int)strtol(optarg, NULL, 10); break;
        case 'd': options->docs = optarg; break;
        case 'w': options->ways = optarg; break;
        case 'u': options->dump = optarg; break;
        case 'f':
            options->json = strcmp(optarg, "json") == 0;
            if (!options->json && strcmp(optarg, "text") != 0) return EXIT_USAGE;
            break;
        case 'c': options->check = true; break;
        case 'h': (void)fputs(usage, stdout); exit(0);
        default: return EXIT_USAGE;
        }
    }
    options->paths = (const char **)(argv + optind);
    options->paths_count = argc - optind;
    bool valid = options->seconds > 0 && options->seconds <= 3600 && options->rounds > 0 &&
                 options->rounds <= ROUNDS_MAX && options->paths_count <= FILES_MAX;
    return valid ? 0 : EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct options options = {.seconds = 0.4, .rounds = ROUNDS_DEFAULT};
    if (options_read(argc, argv, &options) != 0) {
        (void)fputs(usage, stderr);
        return EXIT_USAGE;
    }
    return bench_run(&options);
}
