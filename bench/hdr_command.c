/* SPDX-License-Identifier: MIT */
/* sluice-bench hdr: read histogram logs of any tool, add them up, print percentiles. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/command.h"
#include "bench/fmt.h"
#include "bench/hdr_log.h"
#include "bench/options.h"

struct hdr_values {
    const char *format;
    const char *out;
    const char *tag;
};

static const struct sl_option OPTIONS[] = {
    {"tag", "NAME", "only lines with this tag", offsetof(struct hdr_values, tag), SL_OPTION_STRING,
     0},
    {"out", "FILE", "write the sum as one log", offsetof(struct hdr_values, out), SL_OPTION_STRING,
     'o'},
    {"format", "F", "text or json (default text)", offsetof(struct hdr_values, format),
     SL_OPTION_STRING, 'f'},
};

static const struct sl_options_usage USAGE = {
    .name = "hdr",
    .synopsis = "FILE… [options]",
    .about = "Read HdrHistogram logs (ours or another tool's), add them up and print percentiles.\n"
             "Values are taken as nanoseconds.",
    .examples = "  sluice-bench hdr before.hlog\n"
                "  sluice-bench hdr run1.hlog run2.hlog --out sum.hlog\n",
    .options = OPTIONS,
    .options_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
};

static const double PERCENTS[] = {50, 75, 90, 95, 99, 99.9, 99.99, 99.999, 100};

enum { PERCENTS_COUNT = sizeof(PERCENTS) / sizeof(PERCENTS[0]) };

struct sum {
    struct sl_hdr *hdr;
    const char *tag;
    double length_s;
    uint32_t lines_count;
};

static void line_take(void *ctx, const char *tag, double start_s, double length_s,
                      const struct sl_hdr *hdr)
{
    struct sum *sum = ctx;
    (void)start_s;
    if (sum->tag != NULL && strcmp(sum->tag, tag) != 0) return;
    sl_hdr_merge(sum->hdr, hdr);
    sum->length_s += length_s;
    sum->lines_count++;
}

static void sum_text(const struct sum *sum)
{
    (void)printf("%s values in %u lines of %.1f s, mean %s\n", sl_fmt_count(sum->hdr->total).text,
                 sum->lines_count, sum->length_s, sl_fmt_ns(sl_hdr_mean(sum->hdr)).text);
    for (int i = 0; i < PERCENTS_COUNT; i++) {
        (void)printf("  p%-7g %s\n", PERCENTS[i],
                     sl_fmt_ns((double)sl_hdr_percentile(sum->hdr, PERCENTS[i])).text);
    }
}

static void sum_json(const struct sum *sum)
{
    struct sl_json json = {.out = stdout};
    sl_json_begin(&json, NULL, '{');
    sl_json_uint(&json, "values", sum->hdr->total);
    sl_json_uint(&json, "lines", sum->lines_count);
    sl_json_number(&json, "length_s", sum->length_s, 3);
    sl_json_begin(&json, "latency_us", '{');
    for (int i = 0; i < PERCENTS_COUNT; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "p%g", PERCENTS[i]);
        for (char *c = key; *c != '\0'; c++) *c = *c == '.' ? '_' : *c;
        sl_json_number(&json, PERCENTS[i] == 100 ? "max" : key,
                       (double)sl_hdr_percentile(sum->hdr, PERCENTS[i]) / 1e3, 3);
    }
    sl_json_number(&json, "mean", sl_hdr_mean(sum->hdr) / 1e3, 3);
    sl_json_end(&json, '}');
    sl_json_end(&json, '}');
}

static int sum_write(const struct sum *sum, const char *path)
{
    FILE *out = fopen(path, "we");
    int err = out == NULL ? -errno : 0;
    if (out != NULL) {
        sl_hdr_log_begin(out, 0);
        sl_hdr_log_titles(out);
        err = sl_hdr_log_write(out, sum->tag, 0, sum->length_s, sum->hdr);
        if (fclose(out) != 0) err = -errno;
    }
    if (err < 0) (void)fprintf(stderr, "error: cannot write \"%s\": %s\n", path, strerror(-err));
    return err < 0 ? SL_EXIT_INTERNAL : SL_EXIT_OK;
}

static int files_sum(const struct hdr_values *values, const struct sl_option_list *files)
{
    struct sum sum = {.hdr = sl_hdr_new_latency(), .tag = values->tag};
    if (sum.hdr == NULL) return SL_EXIT_INTERNAL;
    struct sl_hdr_log_sink sink = {.line = line_take, .ctx = &sum};
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    int err = 0;
    for (uint32_t i = 0; err == 0 && i < files->count; i++) {
        err = sl_hdr_log_read(files->items[i], &sink, &diag);
    }
    int code = SL_EXIT_USAGE;
    if (err < 0) {
        sl_options_complain(NULL, &diag);
    } else {
        if (strcmp(values->format, "json") == 0) {
            sum_json(&sum);
        } else {
            sum_text(&sum);
        }
        code = values->out != NULL ? sum_write(&sum, values->out) : SL_EXIT_OK;
    }
    sl_hdr_free(sum.hdr);
    return code;
}

int sl_command_hdr(int argc, char **argv)
{
    struct hdr_values values = {.format = "text"};
    struct sl_option_list files = {.count = 0};
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    int err = sl_options_parse(&USAGE, argc, argv, &values, &files, &diag);
    if (err == SL_OPTIONS_HELP) {
        sl_options_help(&USAGE);
        return SL_EXIT_OK;
    }
    if (err == 0 && files.count == 0) {
        err = sl_diag_set(&diag, "bad_usage", (struct sl_pos){0, 0}, "no file given");
    }
    if (err < 0) {
        sl_options_complain(&USAGE, &diag);
        return SL_EXIT_USAGE;
    }
    return files_sum(&values, &files);
}
