/* SPDX-License-Identifier: MIT */
/* The plan's formula and its inverse; see schedule.h. */
#include "bench/schedule.h"

#include <math.h>

#include "core/base/assertion.h"

uint64_t sl_schedule_at_ns(const struct sl_schedule *schedule, uint64_t index)
{
    sl_assert(schedule->rate_from > 0);
    double from = schedule->rate_from;
    double slope = schedule->ramp_s > 0 ? (schedule->rate_to - from) / schedule->ramp_s : 0;
    double left = (double)index - from * schedule->warmup_s;
    if (left <= 0 || fabs(slope) < 1e-12) return (uint64_t)((double)index / from * 1e9);
    /* left = from·t + slope·t²/2, solved for t in the form that is stable for small slopes. */
    double ramp_count = (from + schedule->rate_to) / 2 * schedule->ramp_s;
    double t = left <= ramp_count ? 2 * left / (from + sqrt(from * from + 2 * slope * left))
                                  : schedule->ramp_s + (left - ramp_count) / schedule->rate_to;
    return (uint64_t)((schedule->warmup_s + t) * 1e9);
}

uint64_t sl_schedule_count(const struct sl_schedule *schedule, uint64_t at_ns)
{
    uint64_t low = 0;
    uint64_t high = 1;
    while (sl_schedule_at_ns(schedule, high) < at_ns) high *= 2;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (sl_schedule_at_ns(schedule, middle) < at_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}
