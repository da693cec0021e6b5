/* SPDX-License-Identifier: MIT */
/*
 * HdrHistogram's outside form: the V2 compressed encoding, in base 64, one line an interval; any
 * HdrHistogram tool reads what we write, and we read what they write. This file is the only
 * includer of zlib here.
 *
 *     #[Histogram log format version 1.3]
 *     #[StartTime: 1700000000.123 (seconds since epoch), …]
 *     #[sluice-bench p99=1234567]                       our own figures, a comment for others
 *     "StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"
 *     [Tag=name,]0.000,10.000,5.850,HISTFAAA…
 */
#pragma once

#include <stdio.h>

#include "bench/hdr.h"
#include "core/base/diag.h"

/*
 * Encode into base 64.
 *
 * returns  terminated text, freed by the caller; NULL for no memory
 * source   HdrHistogram, AbstractHistogram V2 encoding (ZigZag LEB128-64b9B, zero runs negative)
 */
char *sl_hdr_encode(const struct sl_hdr *hdr);

/*
 * Decode base 64 of a V2 histogram, compressed or not. The bytes may come from anywhere: sizes are
 * checked, nothing is trusted.
 *
 * returns  0 and a histogram of the shape that the text says, owned by the caller; -EINVAL or
 *          -ENOMEM
 */
int sl_hdr_decode(const char *text, size_t size, struct sl_hdr **ret_hdr);

/* Begin a log. `started_s` is seconds since 1970. */
void sl_hdr_log_begin(FILE *out, double started_s);

/* Write one of our own figures, as a comment. Before the titles. */
void sl_hdr_log_figure(FILE *out, const char *name, double value);

/* The line of column titles, before the first interval. */
void sl_hdr_log_titles(FILE *out);

/* One interval: `tag` may be NULL. 0 or -ENOMEM. */
int sl_hdr_log_write(FILE *out, const char *tag, double start_s, double length_s,
                     const struct sl_hdr *hdr);

/* What a reader is told; either may be NULL. */
struct sl_hdr_log_sink {
    void (*figure)(void *ctx, const char *name, double value);
    void (*line)(void *ctx, const char *tag, double start_s, double length_s,
                 const struct sl_hdr *hdr); /* borrowed for the call; tag "" if none */
    void *ctx;
};

/* Read a whole log. 0, or -errno with a diagnostic (file:line). */
int sl_hdr_log_read(const char *path, const struct sl_hdr_log_sink *sink, struct sl_diag *reterr);
