/* SPDX-License-Identifier: MIT */
#include "ctl/admin/snapshot.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/assertion.h"
#include "core/graph/program.h"

enum { COLLECT_SOURCES_MIN = 8, COLLECT_WAITS_MAX = 7 };

struct part {
    struct sl_mail mail;
    struct sl_collector *collector;
    struct sl_shard *shard;
    bool is_out;                   /* the mail is with the shard, and so is `taken` */
    bool in_round;                 /* the round under way waits for it */
    struct sl_admin_shard taken;   /* written by the shard */
    struct sl_admin_shard picture; /* of the control thread */
};

struct sl_collector {
    struct sl_loop *control;
    struct sl_timer timer;
    void (*done)(void *ctx); /* NULL: no round is under way */
    void *done_ctx;
    struct sl_admin_shard *shown; /* array of parts_count */
    uint32_t left;                /* parts of this round that are out */
    uint32_t waits;               /* how often the round has waited for sleepers */
    uint32_t parts_count;
    struct part parts[];
};

static void round_end(struct sl_collector *collector)
{
    void (*done)(void *ctx) = collector->done;
    sl_timer_stop(&collector->control->timers, &collector->timer);
    for (uint32_t i = 0; i < collector->parts_count; i++) {
        struct part *part = &collector->parts[i];
        struct timespec time = {0};
        clockid_t clock;
        part->picture.answered = !part->in_round;
        part->in_round = false;
        if (part->shard->has_thread && pthread_getcpuclockid(part->shard->thread, &clock) == 0 &&
            clock_gettime(clock, &time) == 0) {
            part->picture.cpu_ns = (uint64_t)time.tv_sec * SL_NS_PER_SEC + (uint64_t)time.tv_nsec;
        }
        collector->shown[i] = part->picture;
    }
    collector->done = NULL;
    done(collector->done_ctx);
}

/* A shard that sleeps is in no long turn: on a busy machine it only has not got its core yet. */
static bool has_sleeper(const struct sl_collector *collector)
{
    for (uint32_t i = 0; i < collector->parts_count; i++) {
        const struct part *part = &collector->parts[i];
        const struct sl_epoch *epoch = part->shard->epoch;
        if (!part->in_round || epoch == NULL) continue;
        const struct sl_epoch_reader *reader = &epoch->readers[part->shard->index];
        if (atomic_load_explicit(&reader->seen, memory_order_relaxed) == 0) return true;
    }
    return false;
}

static void on_timer(struct sl_timer *timer)
{
    struct sl_collector *collector = sl_container_of(timer, struct sl_collector, timer);
    if (collector->waits < COLLECT_WAITS_MAX && has_sleeper(collector)) {
        collector->waits++;
        sl_timer_start(&collector->control->timers, timer,
                       collector->control->now_ns + SL_ADMIN_COLLECT_MS * SL_NS_PER_MS);
        return;
    }
    round_end(collector);
}

/* ---- on the shard ---------------------------------------------------------------------------- */

static void poller_take(const struct sl_poller_stats *from, struct sl_admin_poller *to)
{
#define TAKE(field) to->field = atomic_load_explicit(&from->field, memory_order_relaxed)
    TAKE(waits);
    TAKE(sleeps);
    TAKE(syscalls);
    TAKE(events);
    TAKE(enobufs);
    TAKE(rearms);
    TAKE(cq_overflows);
    TAKE(short_sends);
    TAKE(accepts);
    TAKE(accept_errors);
    TAKE(bytes_received);
    TAKE(bytes_sent);
    TAKE(ops_pending);
#undef TAKE
}

static void sources_take(const struct sl_shard *shard, struct sl_admin_shard *to)
{
    to->sources_count = 0;
    to->sources_seen = 0;
    for (struct sl_list *at = shard->sources.next; at != &shard->sources; at = at->next) {
        const struct sl_source *source = sl_container_of(at, struct sl_source, link);
        to->sources_seen++;
        if (to->sources_count == to->sources_cap || source->impl == NULL) continue;
        struct sl_admin_source *one = &to->sources[to->sources_count++];
        memset(one, 0, sizeof(*one));
        (void)snprintf(one->key, sizeof(one->key), "%s", source->key);
        one->closing = source->closing;
        if (source->ops->stats != NULL) source->ops->stats(source, &one->stats);
    }
}

static void mail_taken(struct sl_mail *mail);

static void mail_take(struct sl_mail *mail)
{
    struct part *part = sl_container_of(mail, struct part, mail);
    const struct sl_shard *shard = part->shard;
    struct sl_admin_shard *to = &part->taken;
    to->index = shard->index;
    to->cpu = shard->cpu;
    to->processes = shard->processes_count;
    to->processes_begun = shard->process_id_next;
    to->reports_dropped = shard->reports[0].dropped + shard->reports[1].dropped;
    to->loop = shard->loop.stats;
    poller_take(&shard->loop.poller->stats, &to->poller);
    sl_mem_stats_get(shard->loop.mem, &to->mem);
    if (shard->remote != NULL) sl_remote_stats_get(shard, &to->remote);
    sl_access_stats_get(shard, &to->access);
    sl_worker_stats_get(shard, &to->workers);
    sources_take(shard, to);
    mail->fn = mail_taken;
    sl_loop_post(part->collector->control, mail);
}

/* ---- on the control thread ------------------------------------------------------------------- */

static void mail_taken(struct sl_mail *mail)
{
    struct part *part = sl_container_of(mail, struct part, mail);
    struct sl_collector *collector = part->collector;
    struct sl_admin_shard before = part->picture;
    part->is_out = false;
    part->picture = part->taken;
    part->taken = before; /* its array of sources is the next one's */
    if (!part->in_round) return;
    part->in_round = false;
    sl_assert(collector->left > 0);
    if (--collector->left == 0) round_end(collector);
}

/* Room for the sources that were seen last, and some that may come. */
static void sources_reserve(struct part *part)
{
    uint32_t cap = part->picture.sources_seen + COLLECT_SOURCES_MIN;
    if (part->taken.sources_cap >= cap) return;
    struct sl_admin_source *sources = realloc(part->taken.sources, cap * sizeof(*sources));
    if (sources == NULL) return;
    part->taken.sources = sources;
    part->taken.sources_cap = cap;
}

struct sl_collector *sl_collector_new(struct sl_loop *control, struct sl_shard *const *shards,
                                      uint32_t count)
{
    sl_assert(control != NULL);
    sl_assert(count <= SL_SHARDS_MAX);
    struct sl_collector *collector =
        calloc(1, sizeof(*collector) + count * sizeof(collector->parts[0]));
    if (collector == NULL) return NULL;
    collector->shown = calloc(count + 1U, sizeof(*collector->shown));
    if (collector->shown == NULL) {
        free(collector);
        return NULL;
    }
    collector->control = control;
    collector->parts_count = count;
    sl_timer_init(&collector->timer, on_timer);
    for (uint32_t i = 0; i < count; i++) {
        collector->parts[i].collector = collector;
        collector->parts[i].shard = shards[i];
        collector->parts[i].picture.index = i;
        collector->parts[i].picture.cpu = shards[i]->cpu;
    }
    return collector;
}

void sl_collector_begin(struct sl_collector *collector, void (*done)(void *ctx), void *ctx)
{
    sl_assert(collector->done == NULL);
    sl_assert(done != NULL);
    struct sl_loop *control = collector->control;
    collector->done = done;
    collector->done_ctx = ctx;
    collector->left = collector->parts_count;
    collector->waits = 0;
    sl_timer_start(&control->timers, &collector->timer,
                   control->now_ns + SL_ADMIN_COLLECT_MS * SL_NS_PER_MS);
    for (uint32_t i = 0; i < collector->parts_count; i++) {
        struct part *part = &collector->parts[i];
        part->in_round = true;
        if (part->is_out) continue; /* asked before, and not back yet */
        sources_reserve(part);
        part->is_out = true;
        part->mail.fn = mail_take;
        sl_loop_post(&part->shard->loop, &part->mail);
    }
}

bool sl_collector_is_busy(const struct sl_collector *collector)
{
    bool busy = collector->done != NULL;
    for (uint32_t i = 0; i < collector->parts_count; i++) busy |= collector->parts[i].is_out;
    return busy;
}

const struct sl_admin_shard *sl_collector_shards(const struct sl_collector *collector,
                                                 uint32_t *ret_count)
{
    *ret_count = collector->parts_count;
    return collector->shown;
}

struct sl_collector *sl_collector_free(struct sl_collector *collector)
{
    if (collector == NULL) return NULL;
    sl_assert(!sl_collector_is_busy(collector));
    for (uint32_t i = 0; i < collector->parts_count; i++) {
        free(collector->parts[i].picture.sources);
        free(collector->parts[i].taken.sources);
    }
    free(collector->shown);
    free(collector);
    return NULL;
}
