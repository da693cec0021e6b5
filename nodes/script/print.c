/* SPDX-License-Identifier: MIT */
/*
 * What scripts print on a shard: a shard neither writes nor waits, so messages are mailed to the control
 * thread, as many a second as people can make use of. What was left out is told with the next one.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/graph/report.h"
#include "core/shard/shard.h"
#include "nodes/script/use.h"

enum { NODE_SIZE_MAX = 256, DROPPED_SIZE_MAX = 48 };

struct print {
    struct sl_mail mail;
    enum sl_log_level level;
    char text[]; /* terminated */
};

static _Thread_local struct sl_shard *print_shard;
static atomic_uint prints_waiting; /* relaxed: a count, that nobody reads data behind */

static void print_tell(struct sl_mail *mail)
{
    struct print *print = sl_container_of(mail, struct print, mail);
    sl_log(print->level, "%s", print->text);
    (void)atomic_fetch_sub_explicit(&prints_waiting, 1, memory_order_relaxed);
    free(print);
}

static struct print *print_new(const char *node, struct sl_slice text, uint64_t dropped)
{
    size_t size = text.size + NODE_SIZE_MAX + DROPPED_SIZE_MAX + 8;
    struct print *print = malloc(sizeof(*print) + size);
    if (print == NULL) return NULL;
    bool named = node != NULL && node[0] != '\0';
    int used = snprintf(print->text, size, "%.*s: %.*s", NODE_SIZE_MAX, named ? node : "script",
                        SL_SLICE_FMT(text));
    sl_assert(used > 0);
    if (dropped > 0) {
        (void)snprintf(print->text + used, size - (size_t)used, " (%llu more left out)",
                       (unsigned long long)dropped);
    }
    return print;
}

static void print_post(void *ctx, enum sl_log_level level, const char *node, const char *text,
                       size_t text_size)
{
    (void)ctx;
    if (!sl_log_is_on(level)) return;
    struct sl_shard *shard = print_shard;
    if (shard == NULL || shard->control == NULL) {
        bool named = node != NULL && node[0] != '\0';
        sl_log(level, "%s: %.*s", named ? node : "script", (int)text_size, text);
        return;
    }
    struct sl_report_bucket *bucket = &shard->prints;
    if (!sl_report_may(bucket, shard->loop.now_ns, SL_PRINTS_PER_SECOND)) return;
    if (atomic_load_explicit(&prints_waiting, memory_order_relaxed) >= SL_PRINTS_WAITING_MAX) {
        bucket->dropped++; /* the control thread cannot write them as fast as they come */
        return;
    }
    struct print *print = print_new(node, sl_slice_make(text, text_size), bucket->dropped);
    if (print == NULL) return;
    bucket->dropped = 0;
    print->mail.fn = print_tell;
    print->level = level;
    (void)atomic_fetch_add_explicit(&prints_waiting, 1, memory_order_relaxed);
    sl_loop_post(shard->control, &print->mail);
}

void sl_script_prints_open(void)
{
    sl_script_log_set(print_post, NULL);
}

void sl_script_shard_init(struct sl_shard *shard)
{
    sl_assert(shard != NULL);
    print_shard = shard;
}

void sl_script_prints_close(const struct sl_shard *shard)
{
    if (print_shard == shard) print_shard = NULL;
}
