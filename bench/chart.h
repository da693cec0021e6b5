/* SPDX-License-Identifier: MIT */
/*
 * Line charts as SVG text. The caller says the range of both axes and draws series of points;
 * ticks and labels are the caller's words, so that a percentile axis is as easy as a linear one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct sl_chart {
    FILE *out;
    double x_min, x_max;
    double y_min, y_max;
    bool y_log; /* y values are drawn by their logarithm; y_min > 0 */
    int series_count;
    int legend_step; /* pixels between names; 0: 150 */
};

/* Open the picture: frame, title, unit of the y axis. Then ticks, then series, then end. */
void sl_chart_begin(struct sl_chart *chart, const char *title, const char *caption);
void sl_chart_x_tick(const struct sl_chart *chart, double x, const char *label);
void sl_chart_y_tick(const struct sl_chart *chart, double y, const char *label);

/* A line through `count` points; NaN breaks it. `kind` 0..7 is its colour and stroke. */
void sl_chart_series(struct sl_chart *chart, const char *label, int kind, const double *x,
                     const double *y, size_t count);
void sl_chart_end(struct sl_chart *chart);

/* Ticks of 1, 2, 5 × 10^n between min and max, at most ten; for a log axis powers of ten. */
size_t sl_chart_ticks(double min, double max, bool is_log, double *ret_ticks, size_t ticks_max);

/* Write text with & < > " escaped. */
void sl_html_escape(FILE *out, const char *text);
