/* SPDX-License-Identifier: MIT */
#include "core/graph/report.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/limit.h"
#include "core/graph/process.h"
#include "core/graph/mask.h"
#include "core/graph/program.h"
#include "core/graph/span.h"
#include "core/shard/shard.h"

enum { REPORTS_PER_SHARD = 32 }; /* on their way to the control thread, at once */

static sl_report_fn *receiver;

/*
 * Places for reports of all shards. Not the shard's memory: the control thread may read one when
 * the shard is gone. A page of it is there when its first report is.
 *
 *   pairs: store of is_busy by the control thread (release) ↔ load by the shard (acquire)
 */
struct report {
    struct sl_mail mail;
    _Atomic bool is_busy;
    enum sl_log_level level;
    char text[SL_REPORT_TEXT_SIZE];
};

static struct report reports[SL_SHARDS_MAX][REPORTS_PER_SHARD];

void sl_report_set(sl_report_fn *fn)
{
    receiver = fn;
}

static void report_tell(struct sl_mail *mail)
{
    sl_assert(receiver != NULL);
    struct report *report = sl_container_of(mail, struct report, mail);
    receiver(report->level, report->text);
    atomic_store_explicit(&report->is_busy, false, memory_order_release);
}

/* A free place of a shard, or NULL: the control thread is behind. */
static struct report *report_take(const struct sl_shard *shard)
{
    sl_assert(shard->index < SL_SHARDS_MAX);
    for (uint32_t i = 0; i < REPORTS_PER_SHARD; i++) {
        struct report *report = &reports[shard->index][i];
        if (atomic_load_explicit(&report->is_busy, memory_order_acquire)) continue;
        atomic_store_explicit(&report->is_busy, true, memory_order_relaxed);
        return report;
    }
    return NULL;
}

bool sl_report_may(struct sl_report_bucket *bucket, uint64_t now_ns, uint32_t per_second)
{
    sl_assert(bucket != NULL);
    sl_assert(per_second > 0);
    uint64_t step_ns = SL_NS_PER_SEC / per_second;
    if (bucket->next_ns + SL_NS_PER_SEC < now_ns) bucket->next_ns = now_ns - SL_NS_PER_SEC;
    if (bucket->next_ns > now_ns) {
        bucket->dropped++;
        return false;
    }
    bucket->next_ns += step_ns;
    return true;
}

/* Where it is cut, snprintf still walks through all of it: a message of 1 MB took 2 ms of the shard. */
static size_t append(char *text, size_t used, const char *before, struct sl_slice part)
{
    sl_assert(before != NULL);
    if (used >= SL_REPORT_TEXT_SIZE) return used;
    size_t room = SL_REPORT_TEXT_SIZE - used;
    if (part.size > room) part.size = room;
    int more = snprintf(text + used, room, "%s%.*s", before, SL_SLICE_FMT(part));
    return used + (size_t)more;
}

/* Where a script says that it failed, else the node's own place. */
static struct sl_pos place_of(struct sl_value error, const struct sl_node *node)
{
    struct sl_value data = sl_error_part(error, SL_ERROR_DATA);
    if (!sl_value_is(data, SL_VALUE_MAP)) return node->pos;
    struct sl_value line = sl_value_get_str(data, "line");
    struct sl_value column = sl_value_get_str(data, "column");
    if (!sl_value_is(line, SL_VALUE_INT) || !sl_value_is(column, SL_VALUE_INT)) return node->pos;
    if (line.cell->i64 <= 0 || line.cell->i64 > UINT32_MAX) return node->pos;
    if (column.cell->i64 < 0 || column.cell->i64 > UINT32_MAX) return node->pos;
    return (struct sl_pos){(uint32_t)line.cell->i64, (uint32_t)column.cell->i64};
}

static void text_make(char *text, const struct sl_process *process, const struct sl_symbol *symbol,
                      struct sl_value error, const char *origin)
{
    struct sl_span span;
    char trace[2 * sizeof(span.trace_id)];
    sl_process_span_get(process, &span, NULL);
    sl_span_hex(span.trace_id, sizeof(span.trace_id), trace);
    size_t used =
        (size_t)snprintf(text, SL_REPORT_TEXT_SIZE,
                         "namespace %s: %s, trace %.*s:", process->instance->program->name_space,
                         origin, (int)sizeof(trace), trace);
    if (symbol != NULL && used < SL_REPORT_TEXT_SIZE) {
        const struct sl_node *node = symbol->node;
        used += (size_t)snprintf(text + used, SL_REPORT_TEXT_SIZE - used, " node \"%s\" (%s",
                                 node->path, node->kind->name);
        if (node->file[0] != '\0' && used < SL_REPORT_TEXT_SIZE) {
            struct sl_pos pos = place_of(error, node);
            used += (size_t)snprintf(text + used, SL_REPORT_TEXT_SIZE - used, ", %s:%u:%u",
                                     node->file, pos.line, pos.column);
        }
        used = append(text, used, ")", SL_SLICE(""));
    }
    const char *before = " ";
    for (struct sl_value at = error; sl_value_is(at, SL_VALUE_ERROR);
         at = sl_error_part(at, SL_ERROR_CAUSE)) {
        used = append(text, used, before, sl_value_slice(sl_error_part(at, SL_ERROR_CODE)));
        used = append(text, used, ": ", sl_value_slice(sl_error_part(at, SL_ERROR_MESSAGE)));
        before = "; caused by ";
    }
}

/* How many were left out since the last one. */
static void text_add_dropped(char *text, struct sl_report_bucket *bucket)
{
    size_t used = strlen(text);
    if (bucket->dropped == 0 || used + 1 >= SL_REPORT_TEXT_SIZE) return;
    (void)snprintf(text + used, SL_REPORT_TEXT_SIZE - used, " (%llu more left out)",
                   (unsigned long long)bucket->dropped);
    bucket->dropped = 0;
}

void sl_report_error(struct sl_process *process, enum sl_log_level level,
                     const struct sl_symbol *symbol, struct sl_value error, const char *origin)
{
    sl_assert(process != NULL);
    sl_assert(origin != NULL);
    sl_assert(sl_value_is(error, SL_VALUE_ERROR));
    struct sl_shard *shard = process->shard;
    struct sl_report_bucket *bucket = &shard->reports[level == SL_LOG_ERROR];
    if (receiver == NULL || shard->control == NULL) return;
    if (!sl_report_may(bucket, shard->loop.now_ns, SL_REPORTS_PER_SECOND)) return;
    struct report *report = report_take(shard);
    if (report == NULL) {
        bucket->dropped++;
        return;
    }
    report->mail.fn = report_tell;
    report->level = level;
    /* Before it is cut: half a secret is one too. */
    const struct sl_mask *mask = process->instance->program->mask;
    struct sl_value shown = sl_value_ref(error);
    if (mask != NULL) shown = sl_mask_error(mask, shown, shard->loop.mem);
    if (sl_value_is_none(shown)) shown = sl_error_no_memory();
    text_make(report->text, process, symbol, shown, origin);
    sl_value_unref(shown);
    text_add_dropped(report->text, bucket);
    sl_loop_post(shard->control, &report->mail);
}
