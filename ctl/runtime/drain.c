/* SPDX-License-Identifier: MIT */
#include "ctl/runtime/drain.h"

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/graph/process.h"
#include "core/graph/program.h"

enum { DRAIN_LOOK_NS = 2 * 1000 * 1000 };

static void part_done(struct sl_mail *mail)
{
    struct sl_drain_part *part = sl_container_of(mail, struct sl_drain_part, mail);
    struct sl_drain *drain = part->drain;
    sl_assert(drain->left > 0);
    if (--drain->left == 0) drain->done = true;
}

static void sources_abort(struct sl_shard *shard)
{
    for (struct sl_list *at = shard->sources.next; at != &shard->sources;) {
        struct sl_source *source = sl_container_of(at, struct sl_source, link);
        at = at->next;
        if (source->ops->abort != NULL) source->ops->abort(source);
    }
}

static void part_aborted(struct sl_mail *mail)
{
    struct sl_drain_part *part = sl_container_of(mail, struct sl_drain_part, abort_mail);
    struct sl_drain *drain = part->drain;
    if (--drain->left == 0) drain->done = true;
}

static void part_abort(struct sl_mail *mail)
{
    struct sl_drain_part *part = sl_container_of(mail, struct sl_drain_part, abort_mail);
    sources_abort(part->shard);
    for (struct sl_list *at = part->shard->processes.next; at != &part->shard->processes;) {
        struct sl_process *process = sl_container_of(at, struct sl_process, link);
        at = at->next;
        sl_process_cancel(process, sl_value_new_error(part->shard->loop.mem, "cancelled", 503,
                                                      "the engine is shutting down"));
    }
    part->abort_mail.fn = part_aborted;
    sl_loop_post(part->drain->control, &part->abort_mail);
}

/* On the shard: empty? Then tell, else look again soon. */
static void part_look(struct sl_timer *timer)
{
    struct sl_drain_part *part = sl_container_of(timer, struct sl_drain_part, timer);
    struct sl_shard *shard = part->shard;
    if (sl_list_is_empty(&shard->sources) && sl_list_is_empty(&shard->processes)) {
        part->mail.fn = part_done;
        sl_loop_post(part->drain->control, &part->mail);
        return;
    }
    sl_timer_start(&shard->loop.timers, timer, shard->loop.now_ns + DRAIN_LOOK_NS);
}

static void part_begin(struct sl_mail *mail)
{
    struct sl_drain_part *part = sl_container_of(mail, struct sl_drain_part, mail);
    sl_sources_close_all(part->shard);
    sl_timer_init(&part->timer, part_look);
    part_look(&part->timer);
}

void sl_drain_begin(struct sl_drain *drain, struct sl_loop *control, struct sl_shard *const *shards,
                    uint32_t shards_count)
{
    *drain =
        (struct sl_drain){.control = control, .left = shards_count, .parts_count = shards_count};
    for (uint32_t i = 0; i < shards_count; i++) {
        struct sl_drain_part *part = &drain->parts[i];
        part->drain = drain;
        part->shard = shards[i];
        part->mail.fn = part_begin;
        sl_loop_post(&shards[i]->loop, &part->mail);
    }
}

void sl_drain_abort(struct sl_drain *drain)
{
    /* These mails come back too: until then the caller's storage is in use. */
    drain->left += drain->parts_count;
    drain->done = false;
    for (uint32_t i = 0; i < drain->parts_count; i++) {
        struct sl_drain_part *part = &drain->parts[i];
        part->abort_mail.fn = part_abort;
        sl_loop_post(&part->shard->loop, &part->abort_mail);
    }
}
