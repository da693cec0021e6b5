/* SPDX-License-Identifier: MIT */
/* SVG line charts; see chart.h. */
#include "bench/chart.h"

#include <math.h>
#include <stddef.h>

#include "core/base/assertion.h"

enum {
    WIDTH = 860,
    HEIGHT = 300,
    LEFT = 72,
    RIGHT = 34,
    TOP = 34,
    BOTTOM = 34,
    LEGEND_STEP = 150,
};

void sl_html_escape(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&': (void)fputs("&amp;", out); break;
        case '<': (void)fputs("&lt;", out); break;
        case '>': (void)fputs("&gt;", out); break;
        case '"': (void)fputs("&quot;", out); break;
        default: (void)fputc(*text, out);
        }
    }
}

static double x_of(const struct sl_chart *chart, double x)
{
    return LEFT + (x - chart->x_min) / (chart->x_max - chart->x_min) * (WIDTH - LEFT - RIGHT);
}

static double y_of(const struct sl_chart *chart, double y)
{
    double min = chart->y_log ? log10(chart->y_min) : chart->y_min;
    double max = chart->y_log ? log10(chart->y_max) : chart->y_max;
    double at = chart->y_log ? log10(y > chart->y_min ? y : chart->y_min) : y;
    return HEIGHT - BOTTOM - (at - min) / (max - min) * (HEIGHT - TOP - BOTTOM);
}

void sl_chart_begin(struct sl_chart *chart, const char *title, const char *caption)
{
    sl_assert(chart->x_max > chart->x_min);
    sl_assert(chart->y_max > chart->y_min);
    sl_assert(!chart->y_log || chart->y_min > 0);
    chart->series_count = 0;
    (void)fprintf(chart->out, "<figure><figcaption><b>");
    sl_html_escape(chart->out, title);
    (void)fprintf(chart->out, "</b> ");
    sl_html_escape(chart->out, caption);
    (void)fprintf(chart->out,
                  "</figcaption>\n<svg viewBox=\"0 0 %d %d\" role=\"img\">\n"
                  "<rect class=\"frame\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n",
                  WIDTH, HEIGHT, LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
}

void sl_chart_x_tick(const struct sl_chart *chart, double x, const char *label)
{
    double at = x_of(chart, x);
    (void)fprintf(chart->out,
                  "<path class=\"grid\" d=\"M%.1f %dV%d\"/><text x=\"%.1f\" y=\"%d\" "
                  "text-anchor=\"middle\">",
                  at, TOP, HEIGHT - BOTTOM, at, HEIGHT - BOTTOM + 18);
    sl_html_escape(chart->out, label);
    (void)fprintf(chart->out, "</text>\n");
}

void sl_chart_y_tick(const struct sl_chart *chart, double y, const char *label)
{
    double at = y_of(chart, y);
    (void)fprintf(chart->out,
                  "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" "
                  "text-anchor=\"end\">",
                  LEFT, at, WIDTH - RIGHT, LEFT - 6, at + 4);
    sl_html_escape(chart->out, label);
    (void)fprintf(chart->out, "</text>\n");
}

void sl_chart_series(struct sl_chart *chart, const char *label, int kind, const double *x,
                     const double *y, size_t count)
{
    int step = chart->legend_step > 0 ? chart->legend_step : LEGEND_STEP;
    int at = LEFT + chart->series_count++ * step;
    (void)fprintf(chart->out, "<path class=\"line k%d\" d=\"M%d %dh22\"/><text x=\"%d\" y=\"%d\">",
                  kind, at, TOP - 16, at + 28, TOP - 12);
    sl_html_escape(chart->out, label);
    (void)fprintf(chart->out, "</text>\n<path class=\"line k%d\" d=\"", kind);
    bool is_drawing = false;
    for (size_t i = 0; i < count; i++) {
        bool is_point = isfinite(x[i]) && isfinite(y[i]);
        if (is_point) {
            (void)fprintf(chart->out, "%c%.1f %.1f", is_drawing ? 'L' : 'M', x_of(chart, x[i]),
                          y_of(chart, y[i]));
        }
        is_drawing = is_point;
    }
    (void)fprintf(chart->out, "\"/>\n");
}

void sl_chart_end(struct sl_chart *chart)
{
    (void)fprintf(chart->out, "</svg></figure>\n");
}

size_t sl_chart_ticks(double min, double max, bool is_log, double *ret_ticks, size_t ticks_max)
{
    size_t count = 0;
    if (is_log) {
        double tick = pow(10, ceil(log10(min) - 1e-9));
        for (; tick <= max * 1.0001 && count < ticks_max; tick *= 10) ret_ticks[count++] = tick;
        return count;
    }
    double rough = (max - min) / 8;
    double base = pow(10, floor(log10(rough)));
    double step = rough <= base       ? base
                  : rough <= 2 * base ? 2 * base
                  : rough <= 5 * base ? 5 * base
                                      : 10 * base;
    double tick = ceil(min / step) * step;
    for (; tick <= max + step * 1e-6 && count < ticks_max; tick += step) ret_ticks[count++] = tick;
    return count;
}
